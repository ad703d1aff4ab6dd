"""What is done to one leaf of a batch.

The compiled functions are for one leaf, not for a tree: leaves of one shape share them, in trees of any structure.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import jax.core
import jax.numpy as jnp

# XLA takes seconds to compile a function of thousands of arrays, and little time for one of a hundred.
_CHUNK = 100

# A function with a hundred results takes it a second, and one with eight a tenth of one; calls take as long.
_FEW = 8


def as_array(leaf: Any) -> jax.Array:
    """An array of JAX; functions of `jax.numpy` give some arrays of numpy back as they are."""
    return leaf if isinstance(leaf, jax.Array) else jnp.asarray(leaf)


def get(parts: tuple[Any, ...], sizes: tuple[int, ...] | None) -> Callable[[Any], Any]:
    """The function that gives the items at an index of one array.

    Args:
        parts: the index.
        sizes: those of the axes that it indexes; None where no array has them.
    """
    if not any([isinstance(part, slice) for part in parts]):
        return lambda leaf: leaf[parts] if isinstance(leaf, jax.core.Tracer) else _get(leaf, parts)
    if len(parts) == 1 and parts[0].step in (None, 1) and sizes and isinstance(sizes[0], int):
        start, stop, _ = parts[0].indices(sizes[0])
        count = max(stop - start, 0)
        return lambda leaf: leaf[parts] if isinstance(leaf, jax.core.Tracer) else _part_of(leaf, start, count, 0)
    # A compiled function for each slice would be too many.
    return lambda leaf: as_array(leaf)[parts]


def put(parts: tuple[Any, ...]) -> Callable[[Any, Any], Any]:
    """The function that gives one array with other items at an index."""
    if any([isinstance(part, slice) for part in parts]):
        return lambda leaf, value: as_array(leaf).at[parts].set(value)
    return lambda leaf, value: _put(leaf, parts, value)


def stacked(leaves: Sequence[Any], axis: int) -> jax.Array:
    """The arrays along a new axis."""
    if len(leaves) <= _CHUNK:
        return _stack(leaves, axis)
    return joined([_stack(chunk, axis) for chunk in _chunks(leaves)], axis)


def joined(leaves: Sequence[Any], axis: int) -> jax.Array:
    """The arrays one after the other along an axis."""
    while len(leaves) > _CHUNK:
        leaves = [_concatenate(chunk, axis) for chunk in _chunks(leaves)]
    return _concatenate(leaves, axis)


def _chunks(leaves: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return [leaves[i : i + _CHUNK] for i in range(0, len(leaves), _CHUNK)]


def rows(leaf: Any, axis: int) -> list[jax.Array]:
    """What an array has at each index of an axis."""
    size = leaf.shape[axis]
    if size <= _FEW or isinstance(leaf, jax.core.Tracer):
        return [*jnp.unstack(leaf, axis=axis)]
    found: list[jax.Array] = []
    for start in range(0, size, _FEW):
        # The last ones again with some before them: one compiled function does for axes of all sizes.
        first = min(start, size - _FEW)
        found.extend(_some_rows(leaf, first, axis)[start - first :])
    return found


# Inlined, so that a program in which they are used reads as if the operation stood there.
_compiled = functools.partial(jax.jit, inline=True)
_get: Callable[[Any, Any], jax.Array] = _compiled(lambda leaf, parts: jnp.asarray(leaf)[parts])
_put: Callable[[Any, Any, Any], jax.Array] = _compiled(
    lambda leaf, parts, value: jnp.asarray(leaf).at[parts].set(value)
)
_stack: Callable[[Any, int], jax.Array] = _compiled(jnp.stack, static_argnums=1)
_concatenate: Callable[[Any, int], jax.Array] = _compiled(jnp.concatenate, static_argnums=1)
_some_rows: Callable[[Any, int, int], list[jax.Array]] = _compiled(
    lambda leaf, start, axis: [*jnp.unstack(jax.lax.dynamic_slice_in_dim(leaf, start, _FEW, axis), axis=axis)],
    static_argnums=2,
)
_part_of: Callable[[Any, int, int, int], jax.Array] = _compiled(jax.lax.dynamic_slice_in_dim, static_argnums=(2, 3))
choose: Callable[[Any, Any, Any], jax.Array] = _compiled(
    lambda mask, one, other: jnp.where(mask.reshape(mask.shape + (1,) * (jnp.ndim(one) - mask.ndim)), one, other)
)
"""The one array where the mask is true, the other elsewhere, with the mask spread over the axes behind it."""
