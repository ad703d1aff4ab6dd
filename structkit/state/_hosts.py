"""The bytes of leaves: from arrays to what is written, piece by piece, and without a copy where that can be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from structkit.state import _dtypes
from structkit.state._schema import KEY, PYTHON, Refused, text_bytes

PIECE = 8 << 20
"""How many bytes of a large leaf are taken at a time."""

SMALL = 64 << 10
"""Leaves up to this size are written many at a time."""


def check(leaf: Any) -> None:
    """Refuse an array whose values are not all here.

    Raises:
        Refused: it is deleted, abstract, or spread over other processes.
    """
    if isinstance(leaf, jax.ShapeDtypeStruct):
        raise Refused("is a ShapeDtypeStruct, which has no values", "save arrays")
    if not isinstance(leaf, jax.Array):
        return
    if leaf.is_deleted():
        raise Refused("is deleted: its buffer was donated", "save what the donating function gave back")
    if not (leaf.is_fully_addressable or leaf.is_fully_replicated):
        raise Refused("is spread over several processes", "save it with Orbax, or gather it first")


def small_bytes(leaf: Any, kind: Any) -> bytes:
    """All bytes of a leaf of this kind."""
    origin, dtype = kind[:2]
    if origin == PYTHON:
        plain: bytes = _PYTHON_BYTES[dtype](leaf, kind)
        return plain
    if origin == KEY:
        leaf = jax.random.key_data(leaf)
    array = _host(leaf) if isinstance(leaf, jax.Array) else np.asarray(leaf)
    if dtype == _dtypes.FLOAT0:
        return b""
    bits = _dtypes.bits_of(dtype)
    return (_dtypes.pack(array, bits) if bits else array).tobytes()


_PYTHON_BYTES: dict[str, Any] = {
    "bool": lambda leaf, kind: bytes([leaf]),
    "int": lambda leaf, kind: leaf.to_bytes(kind[2][0] if kind[2] else 8, "little", signed=True),
    "float": lambda leaf, kind: np.float64(leaf).tobytes(),
    "complex": lambda leaf, kind: np.complex128(leaf).tobytes(),
    "str": lambda leaf, kind: text_bytes(leaf),
    "bytes": lambda leaf, kind: leaf,
}


def pieces(leaf: Any, kind: Any) -> Iterator[Any]:
    """The bytes of a large leaf in order, in buffers of some megabytes."""
    if kind[0] == PYTHON:
        yield small_bytes(leaf, kind)
        return
    if kind[0] == KEY:
        leaf = jax.random.key_data(leaf)
    bits = _dtypes.bits_of(kind[1])
    for rows in _rows(leaf, bits):
        yield from _flat(_dtypes.pack(rows, bits) if bits else rows)


def _flat(rows: np.ndarray[Any, Any]) -> Iterator[Any]:
    data = np.ascontiguousarray(rows).reshape(-1).view(np.uint8)
    for start in range(0, data.size, PIECE):
        yield data[start : start + PIECE]


def _rows(leaf: Any, bits: int) -> Iterator[np.ndarray[Any, Any]]:
    """The array in pieces along its first axis; whole where that copies nothing."""
    if isinstance(leaf, jax.Array) and len(leaf.sharding.device_set) > 1 and not leaf.is_fully_replicated:
        read = _from_shards(leaf)
    else:
        array: Any = leaf
        if isinstance(leaf, jax.Array):
            array = _host(leaf.addressable_shards[0].data if len(leaf.sharding.device_set) > 1 else leaf)
        if array.flags.c_contiguous and not bits:
            yield array
            return
        read = lambda start, stop: array[start:stop]  # noqa: E731
    # Elements that share bytes are cut where a byte ends.
    step = max(1, PIECE * max(1, leaf.shape[0]) // max(1, leaf.nbytes))
    step += -step % 8 if bits else 0
    for start in range(0, leaf.shape[0], step):
        yield read(start, min(start + step, leaf.shape[0]))


def _host(array: Any) -> np.ndarray[Any, Any]:
    """The values of an array on one device; of one in this machine's memory as they lie there."""
    return np.asarray(array)


def _from_shards(leaf: Any) -> Any:
    """What reads some rows of an array that is spread over devices, from each part of it once."""
    parts: dict[Any, Any] = {}
    for shard in leaf.addressable_shards:
        spans = [part.indices(size) for part, size in zip(shard.index, leaf.shape)]
        parts.setdefault(tuple([(start, stop) for start, stop, _ in spans]), shard.data)

    def read(start: int, stop: int) -> np.ndarray[Any, Any]:
        found = np.empty((stop - start, *leaf.shape[1:]), leaf.dtype)
        for (rows, *others), data in parts.items():
            first, last = max(start, rows[0]), min(stop, rows[1])
            if first < last:
                place = (slice(first - start, last - start), *[slice(*span) for span in others])
                found[place] = _host(data)[first - rows[0] : last - rows[0]]
        return found

    return read
