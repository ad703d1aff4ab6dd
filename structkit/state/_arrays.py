"""Leaves from the bytes of a file: read into memory of our own, checked, and put where they belong."""

from __future__ import annotations

import contextlib
import functools
import os
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from structkit.state import _dtypes
from structkit.state._header import RESTORE, FaultError, Header
from structkit.state._hosts import SMALL
from structkit.state._leaves import in_width, put, sharding_of, widths
from structkit.state._matching import Slot
from structkit.state._schema import JAX, KEY, NUMPY, PYTHON, SCALAR, WEAK
from structkit.state._threads import submitted

_ALIGNMENT = 64
"""At which the runtime of JAX takes a buffer as it is, without a copy."""

_PIECE = 1 << 20
_RUN = 4 << 20

_CHUNK = 64
_MANY = 4096
"""From so many small arrays of one kind on, it is faster to put them on the device as one and to part them there."""


# Reading is copying and summing: more threads than cores take 5 to 10 % longer, from the disk as from memory.
_READERS = min(4, os.cpu_count() or 1)
_WAIT = 0.05
_WORTH_A_THREAD = 1 << 20


def read_at(raw: Any, view: memoryview, offset: int) -> int:
    """How many bytes of the file from there on are now in the buffer."""
    if hasattr(os, "preadv"):
        return os.preadv(raw.fileno(), [view], offset)
    with _one_at_a_time:
        raw.seek(offset)
        return int(raw.readinto(view))


_one_at_a_time = threading.Lock()


class Reader:
    """What reads the leaves of one file."""

    def __init__(self, raw: Any, header: Header, progress: Any):
        self._raw, self._header, self._progress = raw, header, progress
        codes = header.schema.tree
        self._kinds = [header.schema.leaves[-1 - code] for code in codes if code < 0]
        self._done = self._total = 0
        self._groups: dict[Any, tuple[list[int], list[Any]]] = {}
        self._values: dict[int, Any] = {}
        self._lock = threading.Lock()
        self._stopped = False

    def read(self, slots: dict[int, Slot]) -> dict[int, Any]:
        """The values of the slots by their places.

        Raises:
            FaultError: the data is damaged.
        """
        sizes = [stored.nbytes for stored in self._header.storages]
        self._total = sum([sizes[slot.number] for slot in slots.values()])
        runs = [*_runs(slots, sizes)]
        large = [run[0] for run in runs if sizes[run[0][1].number] > SMALL]
        for run in runs:
            if sizes[run[0][1].number] <= SMALL:
                self._making(run[0][1], self._read_run, run, sizes)
        for (place, slot), data in self._read_large(large, sizes):
            self._values[place] = self._making(slot, self._made, slot, self._kinds[slot.number], data)
        for key, (places, _) in [*self._groups.items()]:
            self._making(slots[places[0]], self._part, key)
        if self._progress is not None:
            self._progress(self._total, self._total)
        return self._values

    def _making(self, slot: Slot, make: Callable[..., Any], *arguments: Any) -> Any:
        """What `make` gives; what cannot be made is a fault of the file."""
        try:
            return make(*arguments)
        except (ValueError, TypeError, OverflowError, jax.errors.JaxRuntimeError) as error:
            what = f"has a leaf that cannot be made, {self._header.paths[slot.number]} or one after it ({error})"
            raise FaultError(what, "load it with a target of numpy arrays, or restore the file from a copy") from None

    def _read_run(self, run: list[tuple[int, Slot]], sizes: list[int]) -> None:
        view = memoryview(bytearray(sum([sizes[slot.number] for _, slot in run])))
        self._fill(view, self._header.offsets[run[0][1].number])
        self._tell(len(view))
        start, of, sums = 0, self._header.checksum.of, self._header.sums
        for place, slot in run:
            number = slot.number
            end = start + sizes[number]
            part = view[start:end]
            if of(part) != sums[number]:
                raise self._damaged(number)
            self._small(place, slot, part)
            start = end

    def _read_large(self, items: list[tuple[int, Slot]], sizes: list[int]) -> Iterator[tuple[tuple[int, Slot], Any]]:
        """The large leaves with their bytes; several are read at a time, since that is copying and summing."""
        alone = [item for item in items if sizes[item[1].number] < _WORTH_A_THREAD]
        items = [item for item in items if sizes[item[1].number] >= _WORTH_A_THREAD]
        if len(items) == 1:
            alone, items = alone + items, []
        for item in alone:
            yield item, self._large(item[1].number, _room(sizes[item[1].number]), self._tell)
        if not items:
            return
        with ThreadPoolExecutor(_READERS, "structkit.state") as pool:
            waiting: deque[tuple[tuple[int, Slot], Any]] = deque()
            try:
                for item in items:
                    number = item[1].number
                    waiting.append((item, submitted(pool, self._large, number, _room(sizes[number]), self._count)))
                    if len(waiting) > 2 * _READERS:
                        yield self._awaited(*waiting.popleft())
                while waiting:
                    yield self._awaited(*waiting.popleft())
            finally:
                self._stopped = True

    def _awaited(self, item: tuple[int, Slot], future: Future[Any]) -> tuple[tuple[int, Slot], Any]:
        while self._progress is not None and not wait([future], _WAIT).done:
            self._tell(0)
        data = future.result()
        self._tell(0)
        return item, data

    def _count(self, count: int) -> None:
        with self._lock:
            self._done += count

    def _tell(self, count: int) -> None:
        self._count(count)
        if self._progress is not None and self._done < self._total:
            self._progress(self._done, self._total)

    def _fill(self, view: memoryview, offset: int) -> None:
        """Fill a buffer from the file."""
        while view:
            got = read_at(self._raw, view, offset)
            if not got:
                raise FaultError("is cut off", RESTORE)
            view, offset = view[got:], offset + got

    def _large(self, number: int, data: np.ndarray[Any, Any], tell: Callable[[int], None]) -> np.ndarray[Any, Any]:
        """The bytes of one leaf, in the buffer that is given."""
        stream, offset = self._header.checksum.stream(), self._header.offsets[number]
        for start in range(0, data.size, _PIECE):
            if self._stopped:
                break
            piece = data[start : start + _PIECE].data
            self._fill(piece, offset + start)
            # While it is in the caches of the processor.
            stream.update(piece)
            tell(len(piece))
        if stream.hexdigest() != self._header.sums[number]:
            raise self._damaged(number)
        return data

    def _damaged(self, number: int) -> FaultError:
        return FaultError(f"has damaged data in {self._header.paths[number]}", RESTORE)

    def _small(self, place: int, slot: Slot, data: Any) -> None:
        kind = self._kinds[slot.number]
        origin = kind[0]
        if origin == PYTHON:
            self._values[place] = _PYTHON[kind[1]](data)
        elif origin == JAX and not _dtypes.bits_of(kind[1]) and _goes_anywhere(slot.target):
            # By the identity of its kind: all leaves of one kind share it.
            places, parts = self._groups.setdefault(id(kind), ([], []))
            places.append(place)
            parts.append(data)
            if len(parts) * len(data) > _RUN:
                self._part(id(kind))
        else:
            self._values[place] = self._made(slot, kind, np.frombuffer(data, np.uint8).copy())

    def _part(self, key: int) -> None:
        """Make the arrays of one kind that wait."""
        places, parts = self._groups.pop(key)
        kind = next(kind for kind in self._header.schema.leaves if id(kind) == key)
        dtype, shape = _dtypes.dtype_of(kind[1]), tuple(kind[2])
        if kind[1] == _dtypes.FLOAT0:
            arrays = [np.zeros(shape, dtype) for _ in parts]
        else:
            stacked = np.frombuffer(b"".join(parts), dtype).reshape((len(parts), *shape))
            arrays = _put_many(stacked)
        self._values.update(zip(places, arrays))

    def _made(self, slot: Slot, kind: Any, data: np.ndarray[Any, Any]) -> Any:
        """The leaf of this kind from its bytes, which nobody else has."""
        origin, name, shape = kind[:3]
        if origin == PYTHON:
            return _PYTHON[name](data.data)
        if origin == KEY:
            return _keys(data, kind, slot.target)
        dtype = _dtypes.dtype_of(name)
        if name == _dtypes.FLOAT0:
            return np.zeros(shape, dtype)
        _dtypes.check_letters(data, dtype)
        array = _dtypes.unpack(data, name, tuple(shape)) if _dtypes.bits_of(name) else data.view(dtype).reshape(shape)
        return placed(array, origin, slot.target)


def placed(array: np.ndarray[Any, Any], origin: str, target: Any) -> Any:
    """The leaf with these values, which nobody else has: of numpy or of JAX, and where the target has it."""
    sharding = sharding_of(target)
    if isinstance(target, (np.ndarray, np.generic)) or (origin in (NUMPY, SCALAR) and sharding is None):
        scalar = isinstance(target, np.generic) or (origin == SCALAR and not isinstance(target, np.ndarray))
        return array[()] if scalar else array
    if sharding is not None:
        array = in_width(array, target.dtype)
    weak = _weak(array) if origin == WEAK else None
    return put(array if weak is None else weak, sharding)


_PYTHON: dict[str, Any] = {
    "bool": lambda data: data[0] != 0,
    "int": lambda data: int.from_bytes(data, "little", signed=True),
    "float": lambda data: struct.unpack("<d", data)[0],
    "complex": lambda data: complex(*struct.unpack("<dd", data)),
    "str": lambda data: str(data, "utf-8", "surrogatepass"),
    "bytes": bytes,
}


def _room(size: int) -> np.ndarray[Any, Any]:
    """Memory that nobody else has and JAX can take as it is. Made by one thread: others have no old memory to reuse."""
    room = np.empty(size + _ALIGNMENT, np.uint8)
    begin = -room.ctypes.data % _ALIGNMENT
    return room[begin : begin + size]


def _runs(slots: dict[int, Slot], sizes: list[int]) -> Iterator[list[tuple[int, Slot]]]:
    """The leaves in the order of the file: each large one alone, small ones together that follow each other."""
    run: list[tuple[int, Slot]] = []
    following, waiting = -1, 0
    for item in sorted(slots.items(), key=lambda item: item[1].number):
        number = item[1].number
        size = sizes[number]
        if run and (number != following or size > SMALL or waiting > _RUN):
            yield run
            run, waiting = [], 0
        run.append(item)
        following, waiting = number + 1, waiting + size
        if size > SMALL:
            yield run
            run, waiting = [], 0
    if run:
        yield run


def _goes_anywhere(target: Any) -> bool:
    return not isinstance(target, (np.ndarray, np.generic)) and sharding_of(target) is None


def _put_many(stacked: np.ndarray[Any, Any]) -> list[Any]:
    """The arrays along the first axis, each of its own."""
    found: list[Any] = []
    with widths(stacked.dtype), _any_numbers():
        if len(stacked) >= _MANY and stacked.dtype.itemsize <= 4:
            for start in range(0, len(stacked) - _CHUNK + 1, _CHUNK):
                found += _parted(stacked[start : start + _CHUNK])
        rows = [stacked[i] for i in range(len(found), len(stacked))]
        found += jax.device_put(rows, may_alias=False)
    return found


@contextlib.contextmanager
def _any_numbers() -> Iterator[None]:
    """NaN and infinity too: `jax.debug_nans` looks for where they are computed, not where they are read."""
    with jax.debug_nans(False), jax.debug_infs(False):
        yield


@functools.cache
def _jitted() -> Any:
    def parts(stacked: Any) -> list[Any]:
        # Of numpy where `jax.disable_jit` has it run as it stands.
        stacked = jnp.asarray(stacked)
        return [stacked[i] for i in range(_CHUNK)]

    return jax.jit(parts)


def _parted(stacked: Any) -> Any:
    return _jitted()(stacked)


def _weak(array: np.ndarray[Any, Any]) -> Any:
    """The 0-d array with a weak type; None where there is none of this dtype with these bits."""
    with jax.enable_x64(array.dtype.itemsize >= (16 if array.dtype.kind == "c" else 8)), _any_numbers():
        made = jnp.asarray(array.item())
    same = made.weak_type and made.dtype == array.dtype and np.asarray(made).tobytes() == array.tobytes()
    return made if same else None


def _keys(data: np.ndarray[Any, Any], kind: Any, target: Any) -> Any:
    words = data.view(np.uint32).reshape(kind[2])
    keys = jax.random.wrap_key_data(jnp.asarray(words), impl=kind[3])
    sharding = sharding_of(target)
    return keys if sharding is None else put(keys, sharding)
