"""The trees that a function of `structkit.batch` is given: their leaves with places, and what is refused of them."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import jax.export
import jax.numpy as jnp

from structkit._trees.axes import leading_axes
from structkit._trees.nodes import leaf_path
from structkit._trees.unlike import first_unlike
from structkit.errors import BatchError, UnbatchedError, a_type

_ONE_STRUCTURE = "give all of them one structure with equal static fields"
_CAST = "cast the one to the dtype of the other"
_SAME_AXES = "give all leaves the same leading axes"
_BATCH_IT = "stack several trees, or give this one a leading axis with batch.expand or batch.broadcast"
_NO_LEAF = "batches are made of arrays and numbers: make it a static field, or None"


class Leaves:
    """The leaves of a tree that is an argument of a function of `batch`, and what they are called.

    Attributes:
        call: the function.
        name: how messages call the tree.
        tree: the tree.
        leaves: its leaves, in order.
        treedef: its structure.
    """

    __slots__ = ("call", "leaves", "name", "tree", "treedef")

    def __init__(self, call: str, tree: Any, name: str = "tree"):
        self.call, self.tree, self.name = call, tree, name
        self.leaves, self.treedef = jax.tree.flatten(tree)

    def place(self, i: int) -> str:
        """How messages call a leaf."""
        return self.name + leaf_path(self.tree, i)

    def error(self, i: int, what: str, cure: str) -> BatchError:
        """The error for what is wrong with a leaf."""
        return BatchError(self.call, self.place(i), what, cure)

    def known(self) -> tuple[int, ...] | None:
        """The leading axes that the annotations tell, or None."""
        return leading_axes(self.tree, self.call, self.name)

    def lead(self, count: int) -> tuple[int, ...] | None:
        """The sizes of the first `count` axes, which all leaves have; None for a tree without leaves.

        Raises:
            UnbatchedError: a leaf has fewer axes, or the annotations say that fewer lead.
            BatchError: a leaf has others than the first leaf.
        """
        known = self.known()
        if known is not None and len(known) < count:
            wanted = f"{count} {'is' if count == 1 else 'are'} needed"
            raise UnbatchedError(self.call, self.name, f"has the leading axes {known}, and {wanted}", _BATCH_IT)
        try:
            heads = {leaf.shape[:count] for leaf in self.leaves}
        except AttributeError:
            heads = {self._shape(i)[:count] for i in range(len(self.leaves))}
        if not heads:
            return None
        head: tuple[int, ...] = heads.pop()
        if heads or len(head) < count:
            raise self._unlike_axes(count)
        return head

    def sizes(self, count: int) -> tuple[int, ...]:
        """The same as `lead`, for what has to have an array.

        Raises:
            BatchError: as `lead`, and for a tree without leaves.
        """
        sizes = self.lead(count)
        if sizes is None:
            raise BatchError(self.call, self.name, "holds no array", "only arrays tell how many items there are")
        return sizes

    def count(self, ndim: int | None) -> int:
        """How many axes lead: `ndim`, or those that the annotations tell, or 1."""
        if ndim is not None:
            return axis_number(self.call, ndim, "ndim")
        known = self.known()
        return 1 if known is None else len(known)

    def _unlike_axes(self, count: int) -> BatchError:
        shapes = [self._shape(i) for i in range(len(self.leaves))]
        for i, shape in enumerate(shapes):
            if len(shape) < count:
                what = f"has shape {shape} and no axis {len(shape)} to lead with"
                return UnbatchedError(self.call, self.place(i), what, _BATCH_IT)
        i = next(i for i, shape in enumerate(shapes) if shape[:count] != shapes[0][:count])
        what = f"leads with the axes {shapes[i][:count]}, {self.place(0)} with {shapes[0][:count]}"
        return self.error(i, what, _SAME_AXES)

    def _shape(self, i: int) -> tuple[int, ...]:
        try:
            return shape_of(self.leaves[i])
        except TypeError as error:
            raise self.error(i, str(error), _NO_LEAF) from None

    def dtype(self, i: int) -> Any:
        """The dtype of a leaf as JAX has it.

        Raises:
            BatchError: it is no array and no number.
        """
        try:
            return dtype_of(self.leaves[i])
        except TypeError as error:
            raise self.error(i, str(error), _NO_LEAF) from None

    def mapped(self, function: Callable[[Any], Any], columns: Iterable[Any] | None = None) -> Any:
        """A tree of this structure with what `function` gives for each leaf, or for each of `columns` in its place.

        What JAX raises gets a note that names the leaf.
        """
        made: list[Any] = []
        for item in self.leaves if columns is None else columns:
            try:
                made.append(function(item))
            except Exception as error:
                error.add_note(f"This is batch.{self.call} at {self.place(len(made))}.")
                raise
        return self.treedef.unflatten(made)


def shape_of(leaf: Any) -> tuple[int, ...]:
    """The shape of an array or a number.

    Raises:
        TypeError: it is neither.
    """
    shape = () if isinstance(leaf, bool | int | float | complex) else getattr(leaf, "shape", None)
    if not isinstance(shape, tuple):
        raise TypeError(f"is {a_type(leaf)} and no array")
    return shape


def dtype_of(leaf: Any) -> Any:
    """The dtype that an array or a number has in JAX.

    Raises:
        TypeError: it is neither.
    """
    if isinstance(leaf, bool | int | float | complex):
        return jnp.result_type(leaf)
    dtype = getattr(leaf, "dtype", None)
    if dtype is None:
        raise TypeError(f"is {a_type(leaf)} and no array")
    try:
        return jax.dtypes.canonicalize_dtype(dtype)
    except (TypeError, ValueError):
        # One that JAX has not, or a key of `jax.random`.
        return dtype


def columns_of(trees: Sequence[Leaves], *, into_first: bool = False) -> list[tuple[Any, ...]]:
    """For each place of a leaf the leaves that the trees have there.

    Args:
        trees: several.
        into_first: whether the leaves of the first tree keep their dtypes.

    Raises:
        BatchError: two trees have another structure or dtype; with the first place, and what both have there.
    """
    first = trees[0]
    for other in trees[1:]:
        if other.treedef != first.treedef:
            found = first_unlike(first.tree, other.tree)
            path, one, two = found or ("", "of one structure", "of another")
            raise BatchError(first.call, first.name + path, f"is {one}, {other.name}{path} is {two}", _ONE_STRUCTURE)
    columns = [*zip(*[tree.leaves for tree in trees])]
    for i, column in enumerate(columns):
        try:
            if len({leaf.dtype for leaf in column}) == 1:
                continue
        except AttributeError:
            pass
        _refuse_unlike_dtypes(trees, i, column, into_first)
    return columns


def _refuse_unlike_dtypes(trees: Sequence[Leaves], i: int, column: Sequence[Any], into_first: bool) -> None:
    """Raise for leaves that have not one dtype in JAX; those that are weakly typed take that of the others."""
    dtypes = [tree.dtype(i) for tree in trees]
    firm = [k for k, leaf in enumerate(column) if not _is_weak(leaf)]
    lead = firm[0] if firm and not into_first else 0
    for tree, leaf, dtype in zip(trees, column, dtypes):
        if dtype != dtypes[lead] and not (_is_weak(leaf) and _takes(dtypes[lead], leaf)):
            raise tree.error(i, f"has dtype {dtype}, {trees[lead].place(i)} has {dtypes[lead]}", _CAST)


def _is_weak(leaf: Any) -> bool:
    return isinstance(leaf, bool | int | float | complex) or bool(getattr(leaf, "weak_type", False))


def _takes(dtype: Any, leaf: Any) -> bool:
    try:
        return bool(jnp.result_type(dtype, leaf) == dtype)
    except (TypeError, ValueError):
        # A key of `jax.random` goes with nothing, and under strict promotion there may be no dtype for both.
        return False


def unlike_shapes(trees: Sequence[Leaves], cure: str, but: int | None = None) -> BatchError | None:
    """The error for the first place where shapes differ, or None.

    Args:
        trees: several, of one structure.
        cure: what to do instead.
        but: an axis whose sizes may differ.
    """
    for i in range(len(trees[0].leaves)):
        shapes = [shape_of(tree.leaves[i]) for tree in trees]
        for tree, shape in zip(trees, shapes):
            if _without(shape, but) != _without(shapes[0], but):
                return tree.error(i, f"has shape {shape}, {trees[0].place(i)} has {shapes[0]}", cure)
    return None


def refuse_misfits(leaves: Leaves, values: Leaves, axes: int, items: tuple[int, ...]) -> None:
    """Raise for values that are neither as many items as an index selects, nor one item.

    Args:
        leaves: those of the batch.
        values: what is to be put there.
        axes: how many axes are indexed.
        items: the shape of what the index selects of them.

    Raises:
        BatchError: with the first place, and both shapes.
    """
    for i, (leaf, value) in enumerate(zip(leaves.leaves, values.leaves)):
        shape, given = shape_of(leaf), shape_of(value)
        if given not in (items + shape[axes:], shape[axes:]):
            what = f"has shape {given}, where {leaves.place(i)} of shape {shape} takes {items + shape[axes:]}"
            raise values.error(i, what, "give values the shapes of batch.take(tree, index), or those of one item")


def _without(shape: tuple[int, ...], axis: int | None) -> tuple[int, ...]:
    return shape if axis is None else shape[:axis] + shape[axis + 1 :]


def several(call: str, trees: Iterable[Any]) -> list[Leaves]:
    """The leaves of each tree.

    Raises:
        BatchError: there is no tree.
    """
    try:
        every = enumerate(trees)
    except TypeError:
        raise BatchError(call, "trees", f"is {a_type(trees)}", "give a list of trees") from None
    found = [Leaves(call, tree, f"trees[{i}]") for i, tree in every]
    if not found:
        raise BatchError(call, "trees", "is empty", "give at least one tree: there is no structure without")
    return found


def axis_number(call: str, axis: Any, name: str = "axis") -> int:
    """The number of an axis.

    Raises:
        BatchError: it is none, or negative.
    """
    try:
        found = -1 if isinstance(axis, bool) else operator.index(axis)
    except TypeError:
        found = -1
    if found < 0:
        raise BatchError(call, name, f"is {axis!r}", "count the leading axes from the front, from 0 on")
    return found


def axis_sizes(call: str, shape: Any) -> tuple[int, ...]:
    """The sizes of axes that a caller wants.

    Raises:
        BatchError: they are no ints.
    """
    sizes: Any = shape if isinstance(shape, Sequence) else (shape,)
    try:
        numbers: list[Any] = [size if jax.export.is_symbolic_dim(size) else operator.index(size) for size in sizes]
    except TypeError:
        raise BatchError(call, "shape", f"is {shape!r}", "give an int or a tuple of ints") from None
    return tuple(numbers)


def reshaped(sizes: tuple[int, ...], wanted: tuple[int, ...]) -> tuple[int, ...]:
    """The wanted sizes, with what is left in the place of a -1.

    Raises:
        BatchError: they do not make as many items.
    """
    said = [one for one in wanted if one != -1]
    items, given, open_ = math.prod(sizes), math.prod(said), len(wanted) - len(said)
    fits = items == given if open_ == 0 else open_ == 1 and given != 0 and items % given == 0
    if not fits or any([one < 0 for one in said]):
        what = f"has the leading axes {sizes}, {items} items that do not make {wanted}"
        raise BatchError("reshape", "tree", what, "give sizes with this product")
    return tuple([items // given if one == -1 else one for one in wanted])
