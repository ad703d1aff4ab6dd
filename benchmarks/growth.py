"""How cost grows with the number of fields and of nested structs: the exponent of a power law, fitted."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmarks import creation, structs
from benchmarks.peers import EQUINOX, FLAX, OURS, TUPLES, Shape, Workshop
from benchmarks.rows import Workload
from benchmarks.states import TREE_OPERATIONS
from benchmarks.timing import Effort, Snippet, Timing, race

SIZES = (100, 200, 400, 800)
"""Numbers of fields and of structs: large enough that what every call costs does not count."""

FIELDS, STRUCTS = "fields", "nested structs"
_PEERS = (OURS, FLAX, EQUINOX, TUPLES)
_EFFORT = Effort(0.9, least=6)


@dataclass(frozen=True)
class Growth:
    """How one operation grows.

    Attributes:
        group: in what: `fields` or `nested structs`.
        name: the operation.
        exponents: peer -> exponent; 1 is linear, 0 is constant.
        seconds: peer -> the seconds (or bytes) that were fitted, one for each of `SIZES`.
    """

    group: str
    name: str
    exponents: dict[str, float]
    seconds: dict[str, list[float]]


@dataclass(frozen=True)
class Series:
    """A growth to be: the workloads of one operation, by size."""

    group: str
    name: str
    workloads: tuple[Workload, ...]

    def measure(self, factor: float) -> Growth:
        """The exponents. All sizes and peers take turns.

        Args:
            factor: what to multiply the measuring time with.
        """
        snippets = {
            f"{peer}/{i}": snippet
            for i, workload in enumerate(self.workloads)
            for peer, snippet in workload.snippets().items()
            if peer in _PEERS
        }
        return self._growth(race(snippets, _EFFORT.scaled(factor)))

    def _growth(self, times: dict[str, Timing]) -> Growth:
        seconds: dict[str, list[float]] = {}
        for key, timing in times.items():
            seconds.setdefault(key.partition("/")[0], []).append(timing.best)
        return Growth(self.group, self.name, {peer: exponent(found) for peer, found in seconds.items()}, seconds)


def exponent(seconds: list[float]) -> float:
    """The slope of a line through the logarithms of the sizes and the seconds, by least squares.

    Args:
        seconds: one for each of `SIZES`.
    """
    return float(np.polyfit([math.log(size) for size in SIZES], [math.log(value) for value in seconds], 1)[0])


def series(workshop: Workshop) -> Iterator[Series]:
    """What is fitted.

    Args:
        workshop: the peers.
    """
    # A benchmark with 800 names in its source would measure how they are loaded.
    operations = {**structs.OPERATIONS, "construct": structs.constructing(unpacked=True)}
    for name, recipe in operations.items():
        yield Series(FIELDS, name, tuple(structs.workload(workshop, name, size, 0, recipe) for size in SIZES))
    classes = tuple(
        Workload(FIELDS, "class creation", partial(creation.creating, workshop, size), _EFFORT) for size in SIZES
    )
    yield Series(FIELDS, "class creation", classes)
    for name, code in {**TREE_OPERATIONS, "==": "x == same", "hash": "hash(x)", "repr": "repr(x)"}.items():
        nested = tuple(Workload(STRUCTS, name, partial(_nested, workshop, code, size), _EFFORT) for size in SIZES)
        yield Series(STRUCTS, name, nested)


def memory(workshop: Workshop) -> Growth:
    """How the bytes of an object grow with its fields.

    Args:
        workshop: the peers.
    """
    found = {
        peer.name: [creation.bytes_per_object(workshop, peer, size) for size in SIZES]
        for peer in workshop.peers.values()
        if peer.name in _PEERS
    }
    return Growth(FIELDS, "bytes of an object", {name: exponent(values) for name, values in found.items()}, found)


def _nested(workshop: Workshop, code: str, size: int) -> dict[str, Snippet]:
    recipe = structs.on_object(code, nested=size)
    found = {peer.name: recipe(workshop, peer, Shape.of(1)) for peer in workshop.peers.values() if peer.name in _PEERS}
    return {name: snippet for name, snippet in found.items() if snippet is not None}
