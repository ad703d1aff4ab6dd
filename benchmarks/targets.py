"""What has to be reached: the limits that the project has set itself, each with how its value comes from the rows."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks import creation, structs
from benchmarks.growth import Growth
from benchmarks.peers import EQUINOX, FLAX, OURS, SLOTS, TUPLES
from benchmarks.rows import Rows
from benchmarks.states import NESTED

EXPONENT_LIMIT = 1.05
IMPORT_LIMIT_MS = 10.0
# CPython inlines property getters since 3.12.
READ_LIMIT = 3.5 if sys.version_info >= (3, 12) else 7.0


@dataclass(frozen=True)
class Target:
    """A limit and what was measured.

    Attributes:
        name: what is limited.
        against: the peer of a ratio, or the unit of another value.
        limit: the largest value that counts as reached.
        value: what was measured; None where the peer is missing.
    """

    name: str
    against: str
    limit: float
    value: float | None

    @property
    def verdict(self) -> str:
        """`reached`, `NOT reached`, or `not measured`."""
        if self.value is None:
            return "not measured"
        return "reached" if self.value <= self.limit else "NOT reached"


def ratio(rows: Rows, group: str, name: str, peer: str) -> float | None:
    """Our time over the peer's.

    Args:
        rows: what was measured.
        group: the row's group.
        name: the row's name.
        peer: the other peer.
    """
    ours, theirs = rows.best(group, name, OURS), rows.best(group, name, peer)
    return ours / theirs if ours is not None and theirs is not None else None


def over_tuples(rows: Rows, group: str, name: str, peer: str) -> float | None:
    """Our time beyond that of raw tuples over the peer's beyond it.

    Args:
        rows: what was measured.
        group: the row's group.
        name: the row's name.
        peer: the other peer.
    """
    ours, theirs, limit = (rows.best(group, name, one) for one in (OURS, peer, TUPLES))
    if ours is None or theirs is None or limit is None or theirs <= limit:
        return None
    return (ours - limit) / (theirs - limit)


_Measure = Callable[[Rows, str, str, str], float | None]


def targets(rows: Rows, growths: list[Growth]) -> list[Target]:
    """The limits with what was measured.

    Args:
        rows: the rows of all workloads.
        growths: the fitted exponents.
    """
    limited = [
        Target(f"{title}, {group}" if title else f"{group}, {name}", peer, limit, measure(rows, group, name, peer))
        for title, group, name, measure, limits in _ratios()
        for peer, limit in limits.items()
    ]
    seconds = rows.best(creation.IMPORTS, creation.IMPORT_ROW, OURS)
    imported = Target(creation.IMPORT_ROW, "ms", IMPORT_LIMIT_MS, seconds and seconds * 1e3)
    return [*limited, imported, *_exponents(growths)]


def _ratios() -> Iterator[tuple[str, str, str, _Measure, dict[str, float]]]:
    """Title, group and name of the row, how to compare, and the limit for each peer."""
    for size, flax, equinox in ((6, 0.35, 0.5), (48, 0.08, 0.25)):
        yield "unflatten", structs.group(size), "unflatten", ratio, {FLAX: flax, EQUINOX: equinox}
    yield "unflatten", NESTED, "unflatten", ratio, {FLAX: 0.36}
    yield "tree.map", NESTED, "tree.map", ratio, {FLAX: 0.6, EQUINOX: 0.4}
    two_way = "jitted state -> state"
    yield f"{two_way}, time over raw tuples'", NESTED, two_way, over_tuples, {FLAX: 0.42, EQUINOX: 0.28}
    one_way = "jitted state -> scalar"
    yield f"{one_way}, whole call", NESTED, one_way, ratio, {FLAX: 1.08, EQUINOX: 0.45}
    for size, flax in ((3, 0.8), (6, 0.6)):
        yield "construct", structs.group(size), "construct", ratio, {FLAX: flax, EQUINOX: 0.03, SLOTS: 2.3}
    custom = "construct, custom __init__"
    yield custom, structs.group(3), custom, ratio, {EQUINOX: 0.2}
    yield "attribute read", structs.group(6), "attribute read", ratio, {EQUINOX: 0.2, SLOTS: READ_LIMIT}
    yield structs.READ_IN_LOOP, structs.group(6), structs.READ_IN_LOOP, ratio, {EQUINOX: 0.2, SLOTS: READ_LIMIT}
    for size in (3, 10, 50):
        yield "replace of one", structs.group(size), "replace", ratio, {FLAX: 0.45, EQUINOX: 0.05}
    for size, kind in creation.CLASS_ROWS:
        yield "", creation.CLASSES, creation.class_row(size, kind), ratio, {FLAX: 0.4, EQUINOX: 0.3}


def _exponents(growths: list[Growth]) -> Iterator[Target]:
    for growth in growths:
        yield Target(f"growth: {growth.name}", f"in {growth.group}", EXPONENT_LIMIT, growth.exponents.get(OURS))


def near_constant(rows: Rows) -> dict[str, float]:
    """What 48 fields cost over what 6 cost, for what should hardly grow: 8 would be linear.

    Args:
        rows: the rows of all workloads.
    """
    found = {}
    for name in ("unflatten", "construct"):
        for peer in (OURS, FLAX, EQUINOX, TUPLES):
            few, many = (rows.best(structs.group(size), name, peer) for size in (6, 48))
            if few is not None and many is not None:
                found[f"{name}, {peer}"] = many / few
    return found
