"""What has to be reached: the limits that the project has set itself, each with how its value comes from the rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from benchmarks import batches, creation, saving, sharding, structs, trees
from benchmarks.growth import FIELDS, LEAVES, Growth
from benchmarks.peers import DROP_IN, EQUINOX, FLAX, OURS, SLOTS, TUPLES
from benchmarks.rows import Row, by_key
from benchmarks.states import NESTED, ONE_WAY, TWO_WAY

EXPONENT_LIMIT = 1.05
# For each keyword, CPython looks through all parameters: every function with hundreds of them pays for it.
BY_KEYWORD = {(FIELDS, "construct by keyword", OURS)} | {
    (FIELDS, name, DROP_IN) for name in ("construct by keyword", "replace", "replace(...)", "construct(...)")
}
# Group and name of the row -> milliseconds.
LIMITS_MS = {(creation.IMPORTS, creation.IMPORT_ROW): 10.0, (sharding.GROUP, sharding.SHARDINGS): 100.0}


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


# The row, the peer that is compared with, and which of structkit's -> the value.
_Measure = Callable[[Row, str, str], float | None]


def ratio(row: Row, peer: str, ours: str) -> float | None:
    """Our time over the peer's."""
    return row.over(peer, ours)


def seconds(row: Row, peer: str, ours: str) -> float | None:
    """Our time, whatever the peers take."""
    return row.best.get(ours)


def over_tuples(row: Row, peer: str, ours: str) -> float | None:
    """Our time beyond that of raw tuples over the peer's beyond it."""
    one, other, tuples = (row.best.get(name) for name in (ours, peer, TUPLES))
    if one is None or other is None or tuples is None or other <= tuples:
        return None
    return (one - tuples) / (other - tuples)


def over_fastest(row: Row, peer: str, ours: str) -> float | None:
    """Our time over that of the fastest of the others."""
    others = [seconds for name, seconds in row.best.items() if name not in (OURS, DROP_IN)]
    return row.best[ours] / min(others) if ours in row.best and others else None


def limits(rows: Iterable[Row], *, inlines: bool) -> list[Target]:
    """The limits of times with what was measured.

    Args:
        rows: the rows of all workloads.
        inlines: whether the interpreter inlines property getters, as CPython does since 3.12.
    """
    known = by_key(rows)
    found: list[Target] = []
    tables = ((OURS, _of_structs(3.5 if inlines else 7.0)), (OURS, _of_saving()), (DROP_IN, _of_the_drop_in()))
    for ours, table in tables:
        for title, group, name, measure, peers in table:
            row = known.get((group, name), Row(group, name, {}))
            what = "drop-in: " * (ours == DROP_IN) + (f"{title}, {group}" if title else f"{group}, {name}")
            found.extend(Target(what, peer, limit, measure(row, peer, ours)) for peer, limit in peers.items())
    for (group, name), limit in LIMITS_MS.items():
        seconds = known[group, name].best[OURS] if (group, name) in known else None
        what = name if group == creation.IMPORTS else f"{group}, {name}"
        found.append(Target(what, "ms", limit, seconds and seconds * 1e3))
    return found


# Title (nothing for the group's), group and name of the row, how to compare, and the limit for each peer.
_Limits = Iterator[tuple[str, str, str, _Measure, dict[str, float]]]


def _of_structs(read: float) -> _Limits:
    for size, flax, equinox in ((6, 0.35, 0.5), (48, 0.08, 0.25)):
        yield "unflatten", structs.group(size), "unflatten", ratio, {FLAX: flax, EQUINOX: equinox}
    yield "unflatten", NESTED, "unflatten", ratio, {FLAX: 0.36}
    yield "tree.map", NESTED, "tree.map", ratio, {FLAX: 0.6, EQUINOX: 0.4}
    yield f"{TWO_WAY}, time over raw tuples'", NESTED, TWO_WAY, over_tuples, {FLAX: 0.42, EQUINOX: 0.28}
    yield f"{ONE_WAY}, whole call", NESTED, ONE_WAY, ratio, {FLAX: 1.08, EQUINOX: 0.45}
    for size, flax in ((3, 0.8), (6, 0.6)):
        yield "construct", structs.group(size), "construct", ratio, {FLAX: flax, EQUINOX: 0.03, SLOTS: 2.3}
    yield structs.CONSTRUCT_CUSTOM, structs.group(3), structs.CONSTRUCT_CUSTOM, ratio, {EQUINOX: 0.2}
    for name in (structs.READ, structs.READ_IN_LOOP):
        yield name, structs.group(6), name, ratio, {EQUINOX: 0.2, SLOTS: read}
    for size in (3, 10, 50):
        yield "replace of one", structs.group(size), "replace", ratio, {FLAX: 0.45, EQUINOX: 0.05}
    for size, kind in creation.CLASS_ROWS:
        yield "", creation.CLASSES, creation.class_row(size, kind), ratio, {FLAX: 0.4, EQUINOX: 0.3}
    for leaves in trees.SIZES:
        yield "", trees.group(leaves), trees.BY_PREDICATE, ratio, {EQUINOX: 0.2}
        yield "", trees.group(leaves), trees.BY_PATTERN, ratio, {EQUINOX: 0.5}
        yield "", trees.group(leaves), trees.BY_METADATA, ratio, {EQUINOX: 0.5}
        yield "", trees.group(leaves), trees.MERGE, ratio, {EQUINOX: 0.45}
    for blocks, equinox, hand in ((1, 0.12, 4.0), (100, 0.005, 4.0), (2_000, 0.005, 4.0), (5_000, 0.005, 1.5)):
        yield "", trees.in_list(blocks), trees.SET, ratio, {EQUINOX: equinox, trees.BY_HAND: hand}
    for name, limit in ((trees.DIFF, 0.5), (trees.SUMMARY, 0.15)):
        yield "", trees.group(trees.SIZES[-1]), name, seconds, {"s": limit}
    yield "", trees.in_list(1), trees.SET_BY_PATH, ratio, {trees.BY_FUNCTION: 1.0}
    for name, limit in ((trees.SET_ALL, 2.5), (trees.APPLY_ALL, 2.5), (trees.GET_ALL, 3.0)):
        yield "", trees.group(trees.SIZES[-1]), name, ratio, {trees.TREE_MAP: limit}
    few = batches.group(batches.COUNT)
    for name, limit in ((batches.STACK, 1.1), (batches.UNSTACK, 0.1), (batches.WHERE, 1.15)):
        yield "", few, name, ratio, {trees.TREE_MAP: limit}
    for name in batches.TAKES:
        yield "", few, name, ratio, {trees.TREE_MAP: 1.1}
    yield "", batches.group(batches.MANY), batches.STACK, seconds, {"s": 0.5}


_FASTEST = "the fastest"


def _of_saving() -> _Limits:
    for what, large, many in (("save", 1.0, 1.1), ("load", 0.8, 0.8)):
        yield "", saving.GROUP, saving.row_name(what, saving.LARGE), over_fastest, {_FASTEST: large}
        yield "", saving.GROUP, saving.row_name(what, saving.MANY), over_fastest, {_FASTEST: many}
        yield "", saving.GROUP, saving.row_name(what, saving.FEW), seconds, {"s": 0.003}
    for what, limit in (("save", 0.02), ("load", 1.05)):
        yield "", saving.GROUP, saving.row_name(what, saving.MEMORY), ratio, {saving.DATA: limit}


def _of_the_drop_in() -> _Limits:
    yield f"{TWO_WAY}, time over raw tuples'", NESTED, TWO_WAY, over_tuples, {FLAX: 0.7}
    yield f"{ONE_WAY}, whole call", NESTED, ONE_WAY, ratio, {FLAX: 1.25}
    yield "unflatten", structs.group(48), "unflatten", ratio, {FLAX: 0.12}
    for size in (3, 6):
        yield "construct", structs.group(size), "construct", ratio, {FLAX: 1.05}
    for size in (3, 10, 50):
        yield "replace of one", structs.group(size), "replace", ratio, {FLAX: 0.7}
    yield structs.READ, structs.group(6), structs.READ, ratio, {FLAX: 1.05}
    yield structs.READ_UNFLATTENED, structs.group(6), structs.READ_UNFLATTENED, ratio, {FLAX: 3.0}


def exponents(growths: Iterable[Growth]) -> list[Target]:
    """The limits of growth with what was measured."""
    found = [exponent(growth, peer) for growth in growths for peer in (OURS, DROP_IN) if peer in growth.exponents]
    return [one for one in found if one.limit < math.inf]


def exponent(growth: Growth, peer: str) -> Target:
    """The limit of the growth of `Struct` or of the drop-in, with what was measured.

    Trees that outgrow the processor's caches cost more for each leaf, raw tuples too: where those are above the limit,
    theirs is the limit.
    """
    limit = max(EXPONENT_LIMIT, growth.exponents.get(TUPLES, 0.0) if growth.group == LEAVES else 0.0)
    if (growth.group, growth.name, peer) in BY_KEYWORD:
        limit = math.inf
    title = f"growth: {growth.name}{', drop-in' * (peer == DROP_IN)}"
    return Target(title, f"in {growth.group}", limit, growth.exponents[peer])
