"""Workloads of `structkit.batch`, beside what is written without it: `jax.tree.map` of one function of `jax.numpy`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.peers import OURS, Shape, Workshop
from benchmarks.rows import Workload
from benchmarks.timing import Effort, Snippet
from benchmarks.trees import TREE_MAP
from structkit import batch

LEAVES, COUNT, MANY = 20, 100, 10_000
STACK, UNSTACK, WHERE, PUT = "stack", "unstack", "where", "put at an int"
TAKE_INT, TAKE_SLICE, TAKE_ARRAY = "take an int", "take a slice", "take an array of ints"
TAKES = (TAKE_INT, TAKE_SLICE, TAKE_ARRAY)

# Of structs `xs`, their stack `x`, an array of indices `i` and a mask `m`.
_CODES = {
    STACK: ("batch.stack(xs)", "jax.tree.map(lambda *leaves: jnp.stack(leaves), *xs)"),
    UNSTACK: ("batch.unstack(x)", "[jax.tree.map(lambda leaf: leaf[k], x) for k in range(len(xs))]"),
    TAKE_INT: ("batch.take(x, 7)", "jax.tree.map(lambda leaf: leaf[7], x)"),
    TAKE_SLICE: ("batch.take(x, slice(3, 9))", "jax.tree.map(lambda leaf: leaf[3:9], x)"),
    TAKE_ARRAY: ("batch.take(x, i)", "jax.tree.map(lambda leaf: leaf[i], x)"),
    PUT: ("batch.put(x, 7, xs[0])", "jax.tree.map(lambda leaf, value: leaf.at[7].set(value), x, xs[0])"),
    WHERE: (
        "batch.where(m, x, x)",
        "jax.tree.map(lambda a, b: jnp.where(m.reshape(m.shape + (1,) * (a.ndim - 1)), a, b), x, x)",
    ),
}

# What takes a tenth of a second needs few rounds.
_EFFORT, _LONG = Effort(0.6), Effort(2.0, least=5)


def group(count: int) -> str:
    """What tables call so many structs."""
    return f"{count:,} structs of {LEAVES} leaves"


def workloads(workshop: Workshop) -> Iterator[Workload]:
    """The workloads on batches."""
    for name, codes in _CODES.items():
        effort = _LONG if name == UNSTACK else _EFFORT
        yield Workload(
            group(COUNT), name, partial(_snippets, workshop, COUNT, dict(zip((OURS, TREE_MAP), codes))), effort
        )
    # To stack as many by hand takes XLA minutes.
    yield Workload(group(MANY), STACK, partial(_snippets, workshop, MANY, {OURS: _CODES[STACK][0]}), _LONG)


def _snippets(workshop: Workshop, count: int, codes: Mapping[str, str]) -> dict[str, Snippet]:
    make = workshop.maker(workshop.peers[OURS], Shape.of(LEAVES))
    # One leaf in two is a number, the others have three.
    arrays = [[jnp.full((3,) * (k % 2), i, jnp.float32) for k in range(2)] * (LEAVES // 2) for i in range(count)]
    xs = [make(*leaves) for leaves in arrays]
    names: dict[str, Any] = {"batch": batch, "jax": jax, "jnp": jnp, "xs": xs, "x": batch.stack(xs)}
    names |= {"i": jnp.array([3, 1, 4, 1, 5]), "m": jnp.arange(count) % 3 == 0}
    return {peer: Snippet(f"jax.block_until_ready({code})", names) for peer, code in codes.items()}
