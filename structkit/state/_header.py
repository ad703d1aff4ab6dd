"""The header of a file, on the published layout of safetensors: eight bytes of length, JSON, then the tensors.

All that the header says follows from the schema and the checksums. So it is written from them, and a header that is
read is compared, byte by byte, with what would be written: no other one is understood.
"""

from __future__ import annotations

import json
import platform
import re
import struct
from typing import Any, NamedTuple

import jax
import numpy as np

from structkit import errors
from structkit.state import _checksums
from structkit.state._checksums import Checksum
from structkit.state._dtypes import Storage
from structkit.state._schema import Schema, read_schema

FORMAT = 1
MOST = 100_000_000
"""The largest header that safetensors reads."""

_ALIGNMENT = 64
_quoted = json.encoder.encode_basestring_ascii
_BEGIN = re.compile(
    rb'\{"__metadata__":\{"structkit":"(\d{1,9})","checksum":"(\w{1,20})","header":"([0-9a-f]*)","tensors":"([0-9a-f]*)"'
)
_DECODER = json.JSONDecoder()
_LETTERS = 1000
"""How many letters all paths may have for one of the header: nested a thousand deep, they repeat themselves."""


class Header(NamedTuple):
    """What a file says before its data.

    Attributes:
        schema: the structure of the tree.
        versions: of what wrote the file.
        checksum: the algorithm.
        sums: the checksum of each leaf.
        paths: the path of each leaf.
        storages: how each is kept.
        offsets: where each begins in the file, and where the last one ends.
    """

    schema: Schema
    versions: dict[str, str]
    checksum: Checksum
    sums: list[str]
    paths: list[str]
    storages: list[Storage]
    offsets: list[int]


def versions() -> dict[str, str]:
    """The versions of what writes files here."""
    import structkit

    return {
        "structkit": structkit.__version__,
        "jax": jax.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


class Layout:
    """The header that is to be written: all of it but the checksums is known before the data is.

    Attributes:
        size: of the header with its length, in bytes.
        storages: how each leaf is kept.
        starts: where each begins, from the start of the data, and where the last one ends.
    """

    def __init__(self, schema: Schema, paths: list[str], checksum: Checksum, written_by: dict[str, str]):
        self._checksum = checksum
        kinds = schema.storages()
        heads = [f':{{"dtype":"{s.code}","shape":{json.dumps(s.shape)},"data_offsets":[' for s in kinds]
        codes = [-1 - code for code in schema.tree if code < 0]
        self.storages = [kinds[code] for code in codes]
        self.starts = [0]
        entries, end = [], 0
        for path, code in zip(paths, codes):
            start, end = end, end + kinds[code].nbytes
            self.starts.append(end)
            entries.append(f",{_quoted(path)}{heads[code]}{start},{end}]}}")
        meta = f',"schema":{_quoted(schema.text())},"versions":{_quoted(json.dumps(written_by))}}}'
        self._rest = f'"{meta}{"".join(entries)}}}'.encode()
        self._count = len(codes)
        length = len(self._before()) + len(codes) * checksum.width + len(self._rest)
        self._padding = -(8 + length) % _ALIGNMENT
        self.size = 8 + length + self._padding

    def _before(self, sum_of_header: str = "") -> bytes:
        zeros = sum_of_header or "0" * self._checksum.width
        begin = f'{{"__metadata__":{{"structkit":"{FORMAT}","checksum":"{self._checksum.name}","header":"{zeros}"'
        return f'{begin},"tensors":"'.encode()

    def rendered(self, sums: str) -> bytes:
        """The header with its length, for these checksums of the leaves."""
        rest = sums.encode() + self._rest + b" " * self._padding
        length = struct.pack("<Q", self.size - 8)
        return length + self._before(self._checksum.of(length + self._before() + rest)) + rest


def read(data: bytes, size: int) -> Header:
    """The header in the first bytes of a file.

    Args:
        data: the length and the header.
        size: of the file.

    Raises:
        FaultError: it is none, or damaged.
    """
    begin = _BEGIN.match(data, 8)
    if begin is None:
        raise FaultError("is no file of structkit.state", "read it with what wrote it")
    if int(begin[1]) != FORMAT:
        raise FaultError(f"has format {int(begin[1])}, which this version does not know", "install a newer structkit")
    checksum = _algorithm(begin[2].decode())
    zeroed = b"".join([data[: begin.start(3)], b"0" * len(begin[3]), data[begin.end(3) :]])
    if checksum.of(zeroed) != begin[3].decode():
        raise FaultError("has a damaged header", RESTORE)
    try:
        header, expected = _parsed(data.decode("latin-1"), begin, checksum)
    except Exception as error:
        # Pure reading of what may be anything; whatever it ends with, the file is at fault.
        raise FaultError(f"has a header that makes no sense ({type(error).__name__}: {error})", RESTORE) from None
    if expected != data or header.offsets[-1] != size:
        raise FaultError("has a header that does not fit what it describes", RESTORE)
    return header


RESTORE = "restore the file from a copy"


class FaultError(Exception):
    """What is wrong with a file, and the cure; its name is known further up."""

    def __init__(self, what: str, cure: str):
        self.what, self.cure = what, cure

    def at(self, file: Any) -> errors.StateError:
        """The error with the name of the file."""
        return errors.StateError(str(file), self.what, self.cure)


def _algorithm(name: str) -> Checksum:
    if name not in _checksums.NAMES:
        raise FaultError(f"has checksums by {name}, which this version does not know", "install a newer structkit")
    try:
        return _checksums.named(name)
    except ImportError:
        cure = "pip install 'structkit-jax[state]'"
        raise FaultError("has checksums by xxh3, whose package xxhash is not here", cure) from None


def _parsed(text: str, begin: re.Match[bytes], checksum: Checksum) -> tuple[Header, bytes]:
    """The header, and what it should be, byte by byte."""
    sums, end = begin[4].decode(), begin.end(4) + 1
    schema_text, end = _text_after(text, end, ',"schema":')
    versions_text, end = _text_after(text, end, ',"versions":')
    schema = read_schema(schema_text)
    written_by = {str(key): str(value) for key, value in json.loads(versions_text).items()}
    schema.ends()
    paths = schema.leaf_paths(_LETTERS * len(text))
    layout = Layout(schema, paths, checksum, written_by)
    width = checksum.width
    if len(sums) != width * len(paths):
        raise ValueError("as many checksums as leaves")
    each = [sums[i : i + width] for i in range(0, len(sums), width)]
    offsets = [layout.size + start for start in layout.starts]
    return Header(schema, written_by, checksum, each, paths, layout.storages, offsets), layout.rendered(sums)


def _text_after(text: str, place: int, name: str) -> tuple[str, int]:
    if not text.startswith(name, place):
        raise ValueError(f"no {name[2:-2]}")
    found, end = _DECODER.raw_decode(text, place + len(name))
    if type(found) is not str:
        raise ValueError(f"{name[2:-2]} is no text")
    return found, end
