"""Workloads of the functions on trees, beside those of Equinox on a tree of its own classes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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


# One place at depth 4, beside Equinox and beside what a user writes; in a list of so many blocks.
BY_HAND, TREE_MAP, BY_FUNCTION = "by hand", "jax.tree.map", "at, by a function"
BESIDE = (BY_HAND, TREE_MAP, BY_FUNCTION)
SET, SET_BY_PATH = "at(...).set / tree_at of one leaf", "at(...).set by a path"
BLOCKS = (1, 100, 2_000, 5_000)
_HAND = """\
blocks = [*x.blocks]
blocks[0] = blocks[0].replace(one=blocks[0].one.replace(weight=leaf))
x.replace(blocks=blocks)
"""
_AT = "structkit.at(x, lambda t: t.blocks[0].one.weight).set(leaf)"
_SET_CODES = {OURS: _AT, EQUINOX: "equinox.tree_at(lambda t: t.blocks[0].one.weight, x, leaf)", BY_HAND: _HAND}
_PATH_CODES = {OURS: "structkit.at(x, 'blocks[0].one.weight').set(leaf)", BY_FUNCTION: _AT}

# All leaves, beside `jax.tree.map`.
SET_ALL, APPLY_ALL, GET_ALL = "at(x, '**').set", "at(x, '**').apply", "at(x, '**').get"
_ALL_CODES = {
    SET_ALL: "structkit.at(x, '**').set(leaf)",
    APPLY_ALL: "structkit.at(x, '**').apply(identity)",
    GET_ALL: "structkit.at(x, '**').get()",
}

# In seconds, beside nothing.
DIFF, SUMMARY = "diff of leaves that all differ", "summary"
_ALONE = {DIFF: "structkit.diff(x, jax.tree.unflatten(treedef, others))", SUMMARY: "structkit.summary(x)"}


def group(leaves: int) -> str:
    """What tables call a tree with so many leaves."""
    return f"tree of {leaves:,} leaves"


def workloads(workshop: Workshop) -> Iterator[Workload]:
    """The workloads on trees."""
    for leaves in SIZES:
        for name, codes in _CODES.items():
            yield Workload(group(leaves), name, partial(snippets, workshop, codes, leaves), _EFFORT)
    for blocks in BLOCKS:
        yield Workload(in_list(blocks), SET, partial(_beside, workshop, _SET_CODES, blocks), _EFFORT)
    yield Workload(in_list(1), SET_BY_PATH, partial(_beside, workshop, _PATH_CODES, 1), _EFFORT)
    for name, code in _ALL_CODES.items():
        codes_beside = {OURS: code, TREE_MAP: "jax.tree.map(identity, x)"}
        blocks = SIZES[-1] // LEAVES_EACH
        yield Workload(group(SIZES[-1]), name, partial(_beside, workshop, codes_beside, blocks), _EFFORT)

    for name, code in _ALONE.items():
        yield Workload(group(SIZES[-1]), name, partial(_alone, workshop, code), _EFFORT)


def _alone(workshop: Workshop, code: str) -> dict[str, Snippet]:
    """The snippet that runs the code on a tree of different scalars, with others for its structure."""
    scope = {**_scope(workshop, workshop.peers[OURS]), "jax": jax}
    x = eval(f"Model([block() for _ in range({SIZES[-1] // LEAVES_EACH})])", scope)
    treedef = jax.tree.structure(x)
    leaves, others = ([jnp.float32(i + start) for i in range(SIZES[-1])] for start in (0, 1))
    names = {"x": treedef.unflatten(leaves), "treedef": treedef, "others": others}
    return {OURS: Snippet(code, {**scope, **names}, calls=1)}


def in_list(blocks: int) -> str:
    """What tables call a tree with so many blocks."""
    return f"{LEAVES_EACH * blocks:,} leaves in {'one block' if blocks == 1 else f'a list of {blocks:,} blocks'}"


def _beside(workshop: Workshop, codes: Mapping[str, str], blocks: int) -> dict[str, Snippet]:
    """The snippets that run each code, on trees of structkit's classes or of Equinox's."""
    found = {}
    for name, code in codes.items():
        peer = EQUINOX if name == EQUINOX else OURS
        if peer in workshop.peers:
            scope = {**_scope(workshop, workshop.peers[peer]), "jax": jax, "identity": lambda leaf: leaf}
            x = eval(f"Model([block() for _ in range({blocks})])", scope)
            found[name] = Snippet(code, {**scope, "x": x})
    return found


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
