"""How cost grows with the number of fields, of leaves and of classes: the exponent of a power law, fitted."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmarks import creation, structs
from benchmarks.peers import DROP_IN, FLAX, OURS, TUPLES, Peer, Shape, Workshop
from benchmarks.timing import Effort, Racer, Snippet, race

FIELDS, LEAVES, CLASSES = "fields", "leaves", "classes of one name"
SIZES = {
    # Large enough that what every call costs does not count.
    FIELDS: (100, 200, 400, 800),
    # Over three decades, so that the step from the cache to the memory counts for little.
    LEAVES: (99, 315, 999, 3_162, 9_999, 31_623, 99_999),
    CLASSES: (10, 30, 100, 300),
}
LONGEST = 0.6
"""Seconds: a size of which one call would take longer is left out, but for three. A quadratic cost shows early."""

LEAVES_EACH = 3
"""How many of the leaves are in one struct."""

_PEERS = {
    FIELDS: (OURS, DROP_IN, FLAX, TUPLES),
    LEAVES: (OURS, DROP_IN, TUPLES),
    CLASSES: (OURS, DROP_IN),
}
_EFFORT = Effort(0.4, least=3)


@dataclass(frozen=True)
class Growth:
    """How one operation grows.

    Attributes:
        group: in what: `fields`, `leaves`, or `classes of one name`.
        name: the operation.
        exponents: peer -> exponent; 1 is linear, 0 is constant.
        largest: the largest size that was measured for structkit.
        seconds: what structkit takes for it (or bytes).
    """

    group: str
    name: str
    exponents: dict[str, float]
    largest: int
    seconds: float

    @classmethod
    def of(cls, group: str, name: str, measured: dict[str, dict[int, float]]) -> Growth:
        """The growth with these measurements: peer -> size -> seconds."""
        largest, seconds = max(measured[OURS].items())
        return cls(group, name, {peer: exponent(found) for peer, found in measured.items()}, largest, seconds)


def exponent(measured: dict[int, float]) -> float:
    """The slope of a line through the logarithms of the sizes and the seconds, by least squares."""
    return float(np.polyfit(np.log([*measured]), np.log([*measured.values()]), 1)[0])


@dataclass(frozen=True)
class Series:
    """A growth to be: the snippets of one operation, by size."""

    group: str
    name: str
    snippets: Callable[[int, Collection[str]], dict[str, Snippet]]

    def measure(self, factor: float) -> Growth:
        """The exponents, measured for `factor` times the time. All sizes and peers take turns."""
        effort = _EFFORT.scaled(factor)
        racers: dict[tuple[str, int], Racer] = {}
        peers, sizes = set(_PEERS[self.group]), SIZES[self.group]
        for i, size in enumerate(sizes):
            for peer, snippet in self.snippets(size, peers).items():
                # By the time of the processor: a call of a tenth of a second is always interrupted on a busy machine.
                racer = racers[peer, size] = Racer(snippet, effort.batch, time.thread_time)
                if 2 <= i < len(sizes) - 1 and racer.seconds * sizes[i + 1] / size > LONGEST * factor:
                    peers.remove(peer)
        measured: dict[str, dict[int, float]] = {}
        for (peer, size), timing in race(racers, effort).items():
            measured.setdefault(peer, {})[size] = timing.best
        return Growth.of(self.group, self.name, measured)


def series(workshop: Workshop) -> Iterator[Series]:
    """What is fitted."""
    # A benchmark with 800 names in its source would measure how they are loaded.
    of_fields = {**structs.OPERATIONS, "construct": structs.constructing(unpacked=True), **_public()}
    for name, recipe in of_fields.items():
        yield Series(FIELDS, name, partial(_of_fields, workshop, recipe))
    yield Series(FIELDS, "class creation", partial(_classes, workshop))
    for name in _of_leaves():
        yield Series(LEAVES, name, partial(_nested, workshop, name))
    yield Series(CLASSES, "class creation", partial(_of_one_name, workshop))


def memory(workshop: Workshop) -> Growth:
    """How the bytes of an object grow with its fields."""
    found = {
        name: {size: creation.bytes_per_object(workshop, peer, size) for size in SIZES[FIELDS]}
        for name, peer in workshop.peers.items()
        if name in _PEERS[FIELDS]
    }
    return Growth.of(FIELDS, "bytes of an object", found)


def _public() -> dict[str, structs.Recipe]:
    """Structkit's functions, on a struct with many fields."""
    codes = {
        "replace(...)": "structkit.replace(x, {field}=v)",
        "construct(...)": "structkit.construct(type(x), **vars(x))",
        "fields": "structkit.fields(x)",
        "is_struct": "structkit.is_struct(x)",
        "pformat": "structkit.pformat(x)",
        "summary": "structkit.summary(x)",
        "diff": "structkit.diff(x, jax.tree.unflatten(treedef, leaves[::-1]))",
        "diagram": "structkit.diagram(x)",
        "at(...).get": "structkit.at(x, lambda t: t.{field}).get()",
        "freeze": "structkit.freeze(leaves)",
    }
    return {**{name: structs.on_object(code, of=structs.ours) for name, code in codes.items()}, **_serialization()}


def _serialization(nested: int = 0) -> dict[str, structs.Recipe]:
    """Flax's, of its own classes and of structkit's; nothing where it is not installed."""
    try:
        from flax import serialization
    except ImportError:
        return {}
    tools = {"to": serialization.to_state_dict, "back": serialization.from_state_dict}

    def known(peer: Peer) -> bool:
        return peer.is_ours or peer.name == FLAX

    return {
        "flax's to_state_dict": structs.on_object("to(x)", of=known, nested=nested, tools=tools),
        "flax's from_state_dict": structs.on_object("back(x, to(x))", of=known, nested=nested, tools=tools),
    }


_ON_LEAVES = ("flatten", "flatten with path", "unflatten", "tree.map", "==", "hash", "repr", "pickle")


def _of_leaves(nested: int = 1) -> dict[str, structs.Recipe]:
    """Everything that a struct with many structs in a field is used for, and lists of many structs."""
    codes = {
        "pformat": "structkit.pformat(x)",
        "summary": "structkit.summary(x)",
        "summary of a list": "structkit.summary(structs)",
        "diff": "structkit.diff(x, jax.tree.unflatten(treedef, leaves[::-1]))",
        "diff of equals": "structkit.diff(x, same)",
        "shared_buffers": "structkit.shared_buffers(x)",
        "diagram": "structkit.diagram(x)",
        "at(...).get": "structkit.at(x, lambda t: t.f0[-1].f1).get()",
        "at(...).set": "structkit.at(x, lambda t: t.f0[-1].f1).set(v)",
        "at(...).set in a list": "structkit.at(structs, lambda t: t[-1].f1).set(v)",
        "at(...).get through list(...)": "structkit.at(x, lambda t: list(t.f0)[-1].f1).get()",
        "freeze of a list": "structkit.freeze(structs)",
    }
    return {
        **{name: structs.on_object(structs.CODES[name], nested=nested) for name in _ON_LEAVES},
        "deepcopy": structs.on_object("deepcopy(x)", nested=nested),
        **{name: structs.on_object(code, of=structs.ours, nested=nested) for name, code in codes.items()},
        **_serialization(nested),
    }


def _of_fields(workshop: Workshop, recipe: structs.Recipe, size: int, peers: Collection[str]) -> dict[str, Snippet]:
    return structs.snippets(workshop, recipe, Shape.of(size), peers)


def _classes(workshop: Workshop, size: int, peers: Collection[str]) -> dict[str, Snippet]:
    return creation.creating(workshop, size, peers=peers)


def _nested(workshop: Workshop, name: str, leaves: int, peers: Collection[str]) -> dict[str, Snippet]:
    return structs.snippets(workshop, _of_leaves(leaves // LEAVES_EACH)[name], Shape.of(1), peers)


def _of_one_name(workshop: Workshop, size: int, peers: Collection[str]) -> dict[str, Snippet]:
    """The snippets that define so many classes of one name, which no class had before, and of different fields."""
    return {
        peer.name: Snippet(
            "for code in ready: exec(code, scope)",
            {"scope": workshop.scope(peer), "codes": partial(creation.of_one_name, peer, size)},
            setup="ready = codes()",
            calls=1,
        )
        for peer in workshop.peers.values()
        if peer.name in peers and peer.is_class
    }
