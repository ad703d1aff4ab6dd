"""The checksums of a file: xxh3 where its package is there (the extra `state`), else CRC-32."""

from __future__ import annotations

import importlib
import importlib.util
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple


class Checksum(NamedTuple):
    """One algorithm.

    Attributes:
        name: in files.
        width: how many hexadecimal digits it gives.
        of: the digits for some bytes.
        stream: makes an object with `update(bytes)` and `hexdigest()`.
    """

    name: str
    width: int
    of: Callable[[Any], str]
    stream: Callable[[], Any]


class _Crc32:
    def __init__(self) -> None:
        self._value = 0

    def update(self, data: Any) -> None:
        self._value = zlib.crc32(data, self._value)

    def hexdigest(self) -> str:
        return f"{self._value:08x}"


def _crc32() -> Checksum:
    return Checksum("crc32", 8, lambda data: f"{zlib.crc32(data):08x}", _Crc32)


def _xxh3() -> Checksum:
    xxhash: Any = importlib.import_module("xxhash")
    return Checksum("xxh3", 16, xxhash.xxh3_64_hexdigest, xxhash.xxh3_64)


_ALGORITHMS = {"xxh3": _xxh3, "crc32": _crc32}
NAMES = tuple(_ALGORITHMS)


def best() -> Checksum:
    """The fastest algorithm that is there."""
    return _xxh3() if importlib.util.find_spec("xxhash") is not None else _crc32()


def named(name: str) -> Checksum:
    """The algorithm with this name.

    Raises:
        ImportError: its package is not there.
        KeyError: there is no such algorithm.
    """
    return _ALGORITHMS[name]()
