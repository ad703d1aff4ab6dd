"""Workloads of the functions on trees, beside those of Equinox on a tree of its own classes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

import structkit
from benchmarks.peers import DROP_IN, EQUINOX, OURS, Peer, Workshop
from benchmarks.rows import Workload
from benchmarks.timing import Effort, Snippet

SIZES = (250, 10_000)
"""Leaves of the trees."""

LEAVES_EACH = 5
"""How many of them are in one block."""

BY_PREDICATE, BY_PATTERN, BY_METADATA = "partition by predicate", "partition by path", "partition by metadata"
MERGE = "merge / combine"

_EFFORT = Effort(0.4)

# Equinox knows neither paths nor metadata: what it does fastest, a predicate, stands beside.
_THEIRS = "equinox.partition(x, where)"
# The code of structkit, and that of Equinox.
_CODES = {
    BY_PREDICATE: ("structkit.partition(x, where)", _THEIRS),
    BY_PATTERN: ("structkit.partition(x, '**.bias')", _THEIRS),
    BY_METADATA: ("structkit.partition(x, metadata='trainable')", _THEIRS),
    MERGE: ("structkit.merge(*parts)", "equinox.combine(*parts)"),
}


def group(leaves: int) -> str:
    """What tables call a tree with so many leaves."""
    return f"tree of {leaves:,} leaves"


def workloads(workshop: Workshop) -> Iterator[Workload]:
    """The workloads on trees."""
    for leaves in SIZES:
        for name, codes in _CODES.items():
            yield Workload(group(leaves), name, partial(snippets, workshop, codes, leaves), _EFFORT)


def snippets(workshop: Workshop, codes: tuple[str, str], leaves: int) -> dict[str, Snippet]:
    """The snippets that run the code on a tree `x`, or its two `parts`, of each peer that has the functions."""
    found = {}
    for name in (OURS, DROP_IN, EQUINOX):
        if name in workshop.peers:
            scope = _scope(workshop, workshop.peers[name])
            x = eval(f"Model([block() for _ in range({leaves // LEAVES_EACH})])", scope)
            names = {**scope, "x": x, "parts": _halves(x), "where": lambda leaf: leaf.ndim > 1}
            found[name] = Snippet(codes[name == EQUINOX], names)
    return found


def _halves(x: Any) -> list[Any]:
    """Two trees like `x`, with every other leaf."""
    leaves, treedef = jax.tree.flatten(x)
    return [treedef.unflatten([leaf if i % 2 == kept else None for i, leaf in enumerate(leaves)]) for kept in (0, 1)]


_FIELDS = {OURS: "structkit.field", DROP_IN: "structkit.struct.field", EQUINOX: "equinox.field"}
_SOURCE = """\
{linear}
    weight: object
    bias: object = {field}(metadata={{'trainable': False}})
    {activation}
{block}
    one: object
    two: object
    scale: object
{model}
    blocks: object
def block():
    return Block(Linear(leaf, leaf, 'relu'), Linear(leaf, leaf, 'relu'), leaf)
"""


def _scope(workshop: Workshop, peer: Peer) -> dict[str, Any]:
    """The globals of the peer's code, with the classes of the tree in them."""
    heads = {name.lower(): peer.header.format(name=name, base=peer.root) for name in ("Linear", "Block", "Model")}
    static = str(peer.static_field).format(field="activation", default="")
    scope = {**workshop.scope(peer), "structkit": structkit, "leaf": jnp.zeros((2, 3))}
    exec(_SOURCE.format(field=_FIELDS[peer.name], activation=static, **heads), scope)
    return scope
