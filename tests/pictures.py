"""The pictures of the pages: small files, which say in themselves what they show.

    python -m tests.pictures

puts those that `make examples SIZE=` has drawn into the gallery.
"""

from __future__ import annotations

import pathlib
import struct
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

ROOT = pathlib.Path(__file__).parents[1]
ASSETS = ROOT / "docs" / "assets"
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
COLOURS = 128
KEYWORD = "Shows"


def of_example(name: str) -> pathlib.Path:
    return ASSETS / f"example-{name}.png"


def save(image: Image, path: pathlib.Path, shows: str) -> None:
    """Write a picture with few colours, and with the text of what it shows in it."""
    from PIL.Image import Quantize
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_itxt(KEYWORD, shows, zip=True)
    # The method that keeps a colour which few pixels have.
    few = image.convert("RGB").quantize(COLOURS, method=Quantize.MAXCOVERAGE, dither=0)
    few.save(path, optimize=True, pnginfo=info)


def shown_in(path: pathlib.Path) -> str:
    """What a picture that `save` wrote says that it shows, by the chunks of the PNG format (ISO/IEC 15948)."""
    data, at = path.read_bytes(), 8
    while at < len(data):
        (length,), kind = struct.unpack_from(">I", data, at), data[at + 4 : at + 8]
        body = data[at + 8 : at + 8 + length]
        if kind == b"iTXt" and body.startswith(KEYWORD.encode()):
            # The keyword, a flag and a method of compression, a language, the keyword translated: the last three empty.
            return zlib.decompress(body[len(KEYWORD) + 5 :]).decode()
        at += length + 12
    raise ValueError(f"{path} does not say what it shows")


def main() -> None:
    from PIL import Image

    for example in EXAMPLES:
        with Image.open(ROOT / "build" / f"{example.stem}.png") as image:
            save(image, of_example(example.stem), f"python examples/{example.name}")
        print(of_example(example.stem))


if __name__ == "__main__":
    main()
