"""The values of leaves beside each other: brought to the host all at once, and what differs in numbers."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np


class Unequal(NamedTuple):
    """How the values of two leaves of one shape differ: what `Difference` says of them, under the same names."""

    unequal: int
    size: int
    absolute: float | None = None
    relative: float | None = None
    nans: int = 0
    why: str = ""


class Tolerance(NamedTuple):
    """How far apart floating and complex numbers may be: `atol + rtol * abs(b)`. Everything else has to be equal."""

    rtol: float = 0.0
    atol: float = 0.0


class Hidden(NamedTuple):
    """Stands in the place of values that cannot be looked at, and says why."""

    why: str


class Local(NamedTuple):
    """The elements of an array that are on this process, where others are not: one after the other."""

    sharding: Any
    elements: np.ndarray[Any, Any]


def is_key(dtype: Any) -> bool:
    """Whether a dtype is one of random keys, which are JAX's own."""
    return not isinstance(dtype, np.dtype)


def on_host(leaves: Sequence[Any]) -> list[Any]:
    """The values of arrays as numpy's, Python numbers as they are, `Local` or `Hidden` where that cannot be.

    All transfers start before the first is waited for. Random keys come as integers, with more axes.
    """
    # Where the processor's memory is the device's, there is nothing to wait for.
    ahead = jax.default_backend() != "cpu"
    arrays = [_started(leaf, ahead) for leaf in leaves]
    return [_waited_for(array, leaf) for array, leaf in zip(arrays, leaves)]


def _started(leaf: Any, ahead: bool) -> Any:
    if not isinstance(leaf, jax.Array):
        return leaf
    try:
        array: Any = jax.random.key_data(leaf) if is_key(leaf.dtype) else leaf
        if ahead:
            array.copy_to_host_async()
    except Exception as error:
        return _hidden(leaf, error)
    return array


def _waited_for(array: Any, leaf: Any) -> Any:
    if not isinstance(array, jax.Array):
        return array
    try:
        return np.asarray(array)
    except Exception as error:
        failure = error
    try:
        # By their place, so that copies of a part count once. What a random key is made of stays together.
        form = (-1, *array.shape[leaf.ndim :])
        parts = {str(shard.index): np.reshape(shard.data, form) for shard in array.addressable_shards}
        return Local(array.sharding, np.concatenate([*parts.values()]))
    except Exception:
        return _hidden(array, failure)


def _hidden(array: Any, error: Exception) -> Hidden:
    return Hidden("deleted" if array.is_deleted() else f"not readable: {type(error).__name__}")


def unequal(x: Any, y: Any, tolerance: Tolerance, axes: int) -> Unequal | None:
    """How two values of one shape differ, as `on_host` gives them; None where they do not.

    NaN is equal to NaN, and 0.0 to -0.0.

    Args:
        x: the first.
        y: the second.
        tolerance: how far apart numbers may be.
        axes: how many axes the leaf has. The values of random keys have more.
    """
    if isinstance(x, Local) and isinstance(y, Local) and x.sharding == y.sharding:
        x, y, axes = x.elements, y.elements, 1
    for value in (x, y):
        if isinstance(value, Hidden | Local):
            return Unequal(0, 0, why=value.why if isinstance(value, Hidden) else "on other processes")
    if axes < np.ndim(x):
        return _unequal_elements(_any_of(x != y, axes))
    if axes == 0:
        return _unequal_numbers(x, y, tolerance)
    return _unequal_arrays(x, y, tolerance)


def _any_of(differ: Any, axes: int) -> Any:
    return differ.reshape(*differ.shape[:axes], -1).any(axis=-1)


def _unequal_elements(differ: Any) -> Unequal | None:
    """The same for what are no numbers, told which elements differ."""
    count = int(np.count_nonzero(differ))
    return Unequal(count, int(np.size(differ))) if count else None


def _unequal_numbers(x: Any, y: Any, tolerance: Tolerance) -> Unequal | None:
    """The same for two values without axes, in Python's numbers: ten times as fast as arrays."""
    p, q = [value.item() if isinstance(value, np.ndarray | np.generic) else value for value in (x, y)]
    if type(p) not in _NUMBERS or type(q) not in _NUMBERS:
        return _unequal_elements(np.asarray(_differ(p, q)))
    if p == q or (p != p and q != q):
        return None
    try:
        absolute = abs(p - q)
        relative = absolute / abs(q) if q and absolute != math.inf else math.inf
    except OverflowError:
        absolute = relative = math.inf
    is_exact = not isinstance(p, _INEXACT) and not isinstance(q, _INEXACT)
    if not is_exact and math.isfinite(absolute) and absolute <= tolerance.atol + tolerance.rtol * abs(q):
        return None
    return Unequal(1, 1, absolute, relative, int((p != p) != (q != q)))


_NUMBERS = (bool, int, float, complex)
_INEXACT = (float, complex)


def _differ(p: Any, q: Any) -> bool:
    try:
        return not bool(p == q)
    except Exception:
        return True


def _unequal_arrays(x: Any, y: Any, tolerance: Tolerance) -> Unequal | None:
    kinds = _kind(x.dtype), _kind(y.dtype)
    if None in kinds:
        return _unequal_elements(_differ_in(x, y))
    if x.dtype != y.dtype:
        # Not all dtypes have one in common that holds both.
        x, y = _wide(x), _wide(y)
    differ = x != y
    if _FLOATING in kinds:
        differ &= ~((x != x) & (y != y))
    if not differ.any():
        return None
    p, q = x[differ], y[differ]
    absolute, relative, nan = _distances(p, q)
    if _FLOATING in kinds and any(tolerance):
        far = ~(np.isfinite(absolute) & (absolute <= tolerance.atol + tolerance.rtol * np.abs(_wide(q))))
        if not far.any():
            return None
        absolute, relative, nan = absolute[far], relative[far], nan[far]
    largest, largest_relative = math.nan, math.nan
    if not nan.all():
        largest, largest_relative = float(np.nanmax(absolute)), float(np.nanmax(relative))
    return Unequal(int(absolute.size), int(differ.size), largest, largest_relative, int(nan.sum()))


_EXACT, _FLOATING = "exact", "floating"


@functools.lru_cache
def _kind(dtype: Any) -> str | None:
    """Whether elements of a dtype are exact or floating numbers (complex ones too); None for what are none."""
    if dtype == np.bool_ or jax.numpy.issubdtype(dtype, np.integer):
        return _EXACT
    return _FLOATING if jax.numpy.issubdtype(dtype, np.inexact) else None


def _wide(x: Any) -> Any:
    """The numbers in a dtype that holds sums of them: float64 or complex128, or wider."""
    return x.astype(np.result_type(x.dtype, np.float64))


def _distances(p: Any, q: Any) -> tuple[Any, Any, Any]:
    """The absolute and the relative difference of unequal elements, and where one of the two is NaN."""
    with np.errstate(all="ignore"):
        if _kind(p.dtype) == _EXACT:
            # Modulo 2**64, which is right for every pair of integers where floating point would round to 0.
            kind = np.uint64 if p.dtype == np.uint64 else np.int64
            p, q = p.astype(kind), q.astype(kind)
            absolute = np.maximum(p, q).astype(np.uint64) - np.minimum(p, q).astype(np.uint64)
        else:
            absolute = np.abs(_wide(p) - _wide(q))
        magnitude = np.abs(_wide(q))
        relative = np.where((magnitude == 0) | (absolute == np.inf), np.inf, absolute / magnitude)
    return absolute, relative, np.isnan(absolute)


def _differ_in(x: Any, y: Any) -> Any:
    """Which elements differ of arrays that hold no numbers: texts, dates, objects, records."""
    try:
        # A date may be none, as a number may be NaN.
        differ = np.asarray((x != y) & ~((x != x) & (y != y)), bool)
    except Exception:
        differ = np.asarray([_differ(p, q) for p, q in zip(x.flat, y.flat)], bool)
    return differ if differ.shape == x.shape else np.full(x.shape, not np.array_equal(x, y))
