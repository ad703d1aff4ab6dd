"""Indices into leading axes: what may be one, what is out of range, and what it selects."""

from __future__ import annotations

import operator
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from structkit.errors import BatchIndexError, a_type


class Selection:
    """An index into leading axes: an int, a slice, an array, a mask, or a tuple of these.

    Attributes:
        axes: how many axes it indexes.

    Raises:
        BatchIndexError: it is nothing of the kind.
    """

    __slots__ = ("_call", "_parts", "axes")

    def __init__(self, call: str, index: Any):
        self._call = call
        self._parts = [_part(call, part) for part in (index if type(index) is tuple else (index,))]
        self.axes = sum([part.ndim if _is_mask(part) else 1 for part in self._parts])

    def within(self, sizes: tuple[int, ...] | None) -> tuple[Any, ...]:
        """The index for JAX: masks as the places where they are true, and nothing that is known to be out of range.

        Args:
            sizes: those of the axes; None where there are none.

        Raises:
            BatchIndexError: an index is out of range, or a mask has another shape.
        """
        if sizes is None:
            return ()
        found: list[Any] = []
        axis = 0
        for part in self._parts:
            if _is_mask(part):
                wanted = sizes[axis : axis + part.ndim]
                if part.shape != wanted:
                    what = f"is a mask of shape {part.shape}, the axes from {axis} on have the sizes {wanted}"
                    raise BatchIndexError(self._call, "index", what, "give the mask the shape of leading axes")
                found.extend(np.nonzero(part))
                axis += part.ndim
            else:
                found.append(self._in_range(part, axis, sizes[axis]))
                axis += 1
        return tuple(found)

    def _in_range(self, part: Any, axis: int, size: Any) -> Any:
        if isinstance(part, slice | jax.core.Tracer) or not isinstance(size, int):
            return part
        if isinstance(part, int):
            wrong = [part] if not -size <= part < size else []
        else:
            known = np.asarray(part)
            wrong = known[(known < -size) | (known >= size)].tolist()
        if wrong:
            cure = f"indices go from {-size} to {size - 1}" if size else "the axis has no item"
            what = f"{wrong[0]} is out of range for axis {axis} of size {size}"
            raise BatchIndexError(self._call, "index", what, cure)
        return part + size if isinstance(part, int) and part < 0 else part


def _part(call: str, part: Any) -> Any:
    """One part of an index, lists as arrays, and masks as arrays of numpy.

    Raises:
        BatchIndexError: it is no index.
    """
    cure = "index with ints, slices, arrays of ints, masks, or a tuple of these"
    if isinstance(part, slice):
        return part
    if isinstance(part, list):
        part = _array(call, part)
    if isinstance(part, np.ndarray | jax.Array):
        if jnp.issubdtype(part.dtype, np.integer):
            return part
        if part.dtype != bool or part.ndim == 0:
            raise BatchIndexError(call, "index", f"is an array of dtype {part.dtype} and shape {part.shape}", cure)
        if isinstance(part, jax.core.Tracer):
            what = "is a mask inside a transformation, where it is not known how many items it selects"
            raise BatchIndexError(call, "index", what, "use batch.where, or the indices from jnp.nonzero(mask, size=n)")
        return np.asarray(part)
    if not isinstance(part, bool | np.bool_):
        try:
            return operator.index(part)
        except TypeError:
            pass
    raise BatchIndexError(call, "index", f"has {a_type(part)} in it", cure)


def _array(call: str, part: list[Any]) -> Any:
    try:
        return np.asarray(part, None if part else int)
    except TypeError:
        # Of tracers.
        return jnp.asarray(part)
    except ValueError:
        cure = "give a list of ints, or lists of one length"
        raise BatchIndexError(call, "index", "has a list in it that is no array", cure) from None


def _is_mask(part: Any) -> bool:
    return isinstance(part, np.ndarray) and part.dtype == bool


def selected_shape(call: str, sizes: tuple[Any, ...], parts: tuple[Any, ...]) -> tuple[int, ...] | None:
    """The shape of what an index selects of axes of these sizes; None where a size is a symbol of `jax.export`.

    Raises:
        BatchIndexError: the arrays in it do not go together, or an axis has no item.
    """
    if not all([isinstance(size, int) for size in sizes]):
        return None
    stand_ins = [np.zeros(part.shape, int) if isinstance(part, jax.core.Tracer) else part for part in parts]
    known = tuple([np.asarray(part) if isinstance(part, jax.Array) else part for part in stand_ins])
    try:
        shape: tuple[int, ...] = np.broadcast_to(np.int8(0), sizes)[known].shape
    except IndexError as error:
        raise BatchIndexError(call, "index", f"does not fit: {error}", "see numpy's rules of indexing") from None
    return shape
