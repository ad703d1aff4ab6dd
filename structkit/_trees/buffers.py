"""`shared_buffers`: leaves of a tree that hold the same memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.core
import numpy as np

from structkit._bridges import keystr
from structkit._trees.nodes import leaves
from structkit._trees.values import is_key


@dataclasses.dataclass(frozen=True, slots=True)
class SharedBuffer:
    """Leaves of a tree that hold one buffer.

    Attributes:
        paths: the places of the leaves, as `jax.tree_util.keystr` writes them, in the order of the tree.
        bytes: the size of the first leaf; of its part on the device where they meet, if it is in parts.

    Example:
        >>> from structkit import SharedBuffer
        >>> print(SharedBuffer((".weight", ".average"), 1024))
        .weight and .average hold one buffer of 1,024 bytes
    """

    paths: tuple[str, ...]
    bytes: int

    def __str__(self) -> str:
        return f"{', '.join(self.paths[:-1])} and {self.paths[-1]} hold one buffer of {self.bytes:,} bytes"


class SharedBuffers(tuple[SharedBuffer, ...]):
    """What `shared_buffers` gives. `str` of it is a report with a line for each buffer."""

    def __str__(self) -> str:
        return "\n".join(map(str, self)) or "no shared buffers"

    def __repr__(self) -> str:
        return f"<SharedBuffers: {self}>"


def shared_buffers(tree: Any) -> SharedBuffers:
    """The leaves that hold one buffer, by path; an empty sequence where each has its own.

    To donate such a tree to `jax.jit` fails (`Attempt to donate the same buffer twice`), for empty arrays too. The
    cure is a copy of one of the leaves: `jnp.copy(x)`.

    Arrays that are split over devices are compared part by part. Leaves of numpy are listed where they share memory,
    with each other or with jax arrays on the CPU; views that lie between each other, as the columns of an array do, are
    compared pair by pair. Tracers, deleted arrays and what is no array have no buffers.

    Args:
        tree: any pytree.

    Raises:
        RecursionError: the tree is more than 2,000 levels deep, or holds itself.

    Example:
        >>> import jax.numpy as jnp
        >>> from structkit import shared_buffers
        >>> zeros = jnp.zeros(3)
        >>> print(shared_buffers({"mean": zeros, "scale": jnp.ones(3), "square": zeros}))
        ['mean'] and ['square'] hold one buffer of 12 bytes
    """
    pairs = [*leaves(tree, "shared_buffers")]
    parts = [part for i, (_, leaf) in enumerate(pairs) for part in _parts(i, leaf)]
    parts.sort(key=lambda part: (part.space, part.start, part.leaf))
    found: dict[tuple[int, ...], int] = {}
    for group in _groups(parts):
        places = sorted({part.leaf for part in group})
        if len(places) > 1:
            # Leaves in several parts meet in each of them.
            found.setdefault(tuple(places), next(part.size for part in group if part.leaf == places[0]))
    return SharedBuffers(
        SharedBuffer(tuple(keystr(pairs[i][0]) for i in places), size) for places, size in sorted(found.items())
    )


class _Part(NamedTuple):
    """The memory of a leaf, or of its part on one device.

    Attributes:
        leaf: which leaf.
        space: where addresses are comparable.
        start: the first address.
        end: one past the last; for an empty array too, since JAX gives it a buffer.
        size: the bytes in it.
        array: the leaf, if it is numpy's.
    """

    leaf: int
    space: str
    start: int
    end: int
    size: int
    array: np.ndarray[Any, Any] | None


_HOST = ""


def _parts(i: int, leaf: Any) -> Iterator[_Part]:
    if isinstance(leaf, np.ndarray):
        start, end = np.lib.array_utils.byte_bounds(leaf)
        if leaf.size:
            yield _Part(i, _HOST, start, end, leaf.nbytes, leaf)
    elif isinstance(leaf, jax.Array) and not isinstance(leaf, jax.core.Tracer) and not leaf.is_deleted():
        array: Any = jax.random.key_data(leaf) if is_key(leaf.dtype) else leaf
        whole = len(array.sharding.device_set) == 1 and array.is_fully_addressable
        for part in [array] if whole else [shard.data for shard in array.addressable_shards]:
            yield _part(i, part, id(leaf))


def _part(i: int, array: Any, identity: int) -> _Part:
    (device,) = array.sharding.device_set
    start: int = array.unsafe_buffer_pointer()
    space = _HOST if device.platform == "cpu" else f"{device.platform} {device.id} {array.sharding.memory_kind}"
    if not start:
        # Some devices give an empty array no address.
        space, start = f"{space}, none", identity
    return _Part(i, space, start, start + max(array.nbytes, 1), array.nbytes, None)


class _Group:
    """Parts that share memory, up to an address; `open` are those that the next part may share it with."""

    def __init__(self, part: _Part):
        self.space, self.end, self.parts, self.open = part.space, part.end, [part], [part]

    def holds(self, part: _Part) -> bool:
        found = next((other for other in self.open if _overlap(part, other)), None)
        if self.open[0].end <= part.start:
            # Each part may overlap the one before it alone, as windows on an array do.
            self.open = [other for other in self.open if other.end > part.start]
        return found is not None

    def take(self, other: _Group) -> None:
        self.end = max(self.end, other.end)
        self.parts += other.parts
        self.open += other.open


def _groups(parts: list[_Part]) -> Iterator[list[_Part]]:
    """The parts that share memory, of parts in the order of their addresses."""
    active: list[_Group] = []
    for part in parts:
        for group in [group for group in active if group.space != part.space or group.end <= part.start]:
            active.remove(group)
            yield group.parts
        made = _Group(part)
        for group in [group for group in active if group.holds(part)]:
            active.remove(group)
            group.take(made)
            made = group
        active.append(made)
    yield from [group.parts for group in active]


def _overlap(part: _Part, other: _Part) -> bool:
    if part.array is None and other.array is None:
        # JAX shares whole buffers. The size of one of int4 is not what its elements say.
        return part.start == other.start
    if part.array is None or other.array is None:
        return part.start < other.end and other.start < part.end
    # Views of one array may lie between each other, every second element. What is hard to tell counts as shared.
    limited: Any = np.shares_memory
    try:
        return bool(limited(part.array, other.array, max_work=_MOST_WORK))
    except np.exceptions.TooHardError:
        return True


_MOST_WORK = 10_000
