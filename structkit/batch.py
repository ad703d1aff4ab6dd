"""Batches: trees whose arrays all begin with the same axes, made, indexed and reshaped as one array is.

    >>> import jax.numpy as jnp
    >>> from structkit import Struct, batch
    >>> class Particle(Struct):
    ...     position: jnp.ndarray
    ...     mass: float
    >>> particles = batch.stack([Particle(jnp.zeros(3), 1.0), Particle(jnp.ones(3), 2.0)])
    >>> particles
    Particle(position=f32[2,3], mass=f32[2])
    >>> batch.take(particles, 1)
    Particle(position=f32[3], mass=f32(2.0))

Every function takes any pytree, gives a new one of the same structure, and works inside `jit`, `vmap` and `grad`:

- Leaves come out as JAX arrays, also those of numpy and Python numbers, with the dtype that JAX gives them; keys of
  `jax.random` stay keys.
- Dtypes have to be equal. What is weakly typed, as Python numbers are, takes the dtype of what it is put together with
  where JAX promotes to that, and stays weakly typed among its like.
- None holds no array and stays, and so does a struct without fields. A tree without any array has no size.
- Static fields have to be equal, and stay.
- Axes count from the front, since leaves have different numbers of them.

How many axes lead is known where fields are annotated with jaxtyping: with `position: Float[Array, "3"]`, an array of
shape `(5, 3)` belongs to a batch of 5, and one of shape `(3,)` to no batch; a variadic axis in front, as in
`Float[Array, "*b 3"]`, is the leading axes. Nothing is guessed from shapes. Fields of unknown rank take part in
everything and do not say how many axes lead. A class that is its own batch, `class Particle(Struct, batch.Batched)`, is
indexed, counted and iterated over, and `jaxtyping.Shaped[Particle, "n"]` is the type of a batch of n.

A mistake raises a `structkit.errors.BatchError` that names the first place. So does an index that is out of range,
where it is known: outside of transformations. For that, indices in an array on an accelerator are waited for.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Self, SupportsIndex, TypeAlias, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from structkit._core.annotations import names_around
from structkit._trees import arrays, batches
from structkit._trees.arrays import as_array
from structkit._trees.axes import leading_axes, ranks_of
from structkit._trees.batches import Leaves, axis_number, axis_sizes, reshaped
from structkit._trees.indexing import Selection, selected_shape
from structkit.errors import BatchError, BatchIndexError, UnbatchedError, UnknownRankError, a_type

__all__ = [
    "Batched",
    "Index",
    "broadcast",
    "check",
    "concatenate",
    "expand",
    "put",
    "reshape",
    "shape",
    "size",
    "squeeze",
    "stack",
    "swapaxes",
    "take",
    "unstack",
    "where",
]

_T = TypeVar("_T")

_Part: TypeAlias = SupportsIndex | slice | list[int] | list[bool] | jax.Array | np.ndarray[Any, Any]

Index: TypeAlias = _Part | tuple[_Part, ...]
"""What `take`, `put` and `Batched` are indexed with; a tuple has a part for each of several leading axes."""


def stack(trees: Iterable[_T], /, *, axis: int = 0) -> _T:
    """The trees as one, with a new leading axis along which they lie.

    Args:
        trees: at least one, all of one structure, with equal shapes and dtypes. Thousands are no problem.
        axis: where the new axis goes, among the leading ones.

    Raises:
        BatchError: there is no tree, or two are unlike; or a tree has fewer than `axis` leading axes.

    Example:
        >>> import jax.numpy as jnp
        >>> from structkit import batch
        >>> batch.stack([{"x": jnp.zeros(3)}, {"x": jnp.ones(3)}])["x"].shape
        (2, 3)
    """
    axis = axis_number("stack", axis)
    several = batches.several("stack", trees)
    if axis:
        several[0].lead(axis)
    columns = batches.columns_of(several)
    try:
        return several[0].mapped(lambda column: arrays.stacked(column, axis), columns)  # type: ignore[no-any-return]
    except (TypeError, ValueError):
        # Only now: to compare all shapes takes longer than to stack small trees.
        unlike = batches.unlike_shapes(several, "give all trees the same shapes")
        if unlike is not None:
            raise unlike from None
        raise


def unstack(tree: _T, /, *, axis: int = 0) -> list[_T]:
    """The trees that lie along a leading axis, as a list.

    Args:
        tree: a batch.
        axis: which of the leading axes.

    Raises:
        BatchError: the tree has no such axis, or no array.

    Example:
        >>> import jax.numpy as jnp
        >>> from structkit import batch
        >>> batch.unstack({"x": jnp.arange(6).reshape(2, 3)})[1]
        {'x': Array([3, 4, 5], dtype=int32)}
    """
    axis = axis_number("unstack", axis)
    leaves = Leaves("unstack", tree)
    leaves.sizes(axis + 1)
    found: list[list[Any]] = []
    leaves.mapped(lambda leaf: found.append(arrays.rows(leaf, axis)))
    return [leaves.treedef.unflatten(row) for row in zip(*found)]


def concatenate(trees: Iterable[_T], /, *, axis: int = 0) -> _T:
    """The batches as one, one after the other along a leading axis.

    Args:
        trees: at least one, all of one structure, with equal dtypes, and equal shapes but for the size of `axis`.
        axis: which of the leading axes.

    Raises:
        BatchError: there is no tree, two are unlike, or one has no such axis.

    Example:
        >>> import jax.numpy as jnp
        >>> from structkit import batch
        >>> batch.concatenate([{"x": jnp.zeros((2, 3))}, {"x": jnp.ones((4, 3))}])["x"].shape
        (6, 3)
    """
    axis = axis_number("concatenate", axis)
    several = batches.several("concatenate", trees)
    for one in several:
        one.lead(axis + 1)
    columns = batches.columns_of(several)
    try:
        return several[0].mapped(lambda column: arrays.joined(column, axis), columns)  # type: ignore[no-any-return]
    except (TypeError, ValueError):
        unlike = batches.unlike_shapes(several, f"give all trees the same shapes but for axis {axis}", axis)
        if unlike is not None:
            raise unlike from None
        raise


def take(tree: _T, index: Index, /) -> _T:
    """The item at an index of the leading axes, or the items: `x[index]` of every leaf.

    An int takes the axis away, as does an array of ints without axes; slices, arrays and lists keep a batch. Where the
    index is known, it is compared with the size; inside of `jit`, as in `x[index]`, an index beyond the end gives the
    last item.

    Args:
        tree: a batch.
        index: an int, a slice, an array or list of ints, or a mask of the shape of leading axes; a tuple has one for
            each of several leading axes. A mask only outside of transformations, where it is known what it selects.

    Raises:
        BatchIndexError: the index is out of range, or no index; or a mask has another shape. It is an `IndexError` too.
        BatchError: the tree has too few leading axes.

    Example:
        >>> import jax.numpy as jnp
        >>> from structkit import batch
        >>> numbers = {"x": jnp.arange(5)}
        >>> batch.take(numbers, -1), batch.take(numbers, jnp.array([0, 2]))
        ({'x': Array(4, dtype=int32)}, {'x': Array([0, 2], dtype=int32)})
    """
    leaves, selection = Leaves("take", tree), Selection("take", index)
    sizes = leaves.lead(selection.axes)
    return leaves.mapped(arrays.get(selection.within(sizes), sizes))  # type: ignore[no-any-return]


def put(tree: _T, index: Index, values: _T, /) -> _T:
    """The batch with other items at an index: `x.at[index].set(value)` of every leaf, as a replay buffer does it.

    Inside of `jit`, as in `x.at[index]`, an index beyond the end changes nothing.

    Args:
        tree: a batch.
        index: as in `take`.
        values: a tree of the same structure, with the same dtypes, and the shapes that `take` gives for this index; or
            one item, to be put at every place.

    Raises:
        BatchIndexError: as in `take`.
        BatchError: the trees are unlike, or the tree has too few leading axes.

    Example:
        >>> import jax.numpy as jnp
        >>> from structkit import batch
        >>> batch.put({"x": jnp.zeros(3)}, 1, {"x": 5.0})
        {'x': Array([0., 5., 0.], dtype=float32)}
    """
    leaves, others, selection = Leaves("put", tree), Leaves("put", values, "values"), Selection("put", index)
    columns = batches.columns_of((leaves, others), into_first=True)
    sizes = leaves.lead(selection.axes)
    parts = selection.within(sizes)
    items = selected_shape("put", sizes or (), parts)
    if items is not None:
        batches.refuse_misfits(leaves, others, selection.axes, items)
    write = arrays.put(parts)
    return leaves.mapped(lambda column: write(*column), columns)  # type: ignore[no-any-return]


def where(mask: jax.Array | np.ndarray[Any, Any] | bool, a: _T, b: _T, /) -> _T:
    """The items of `a` where the mask is true, those of `b` elsewhere.

    The mask has the shape of leading axes, or none at all, and goes for all that follows: so are those environments
    reset that are done.

    Args:
        mask: of bools.
        a: a batch.
        b: another of the same structure, shapes and dtypes.

    Raises:
        BatchError: the trees are unlike, or the mask has not the shape of their leading axes or is not of bools.

    Example:
        >>> import jax.numpy as jnp
        >>> from structkit import batch
        >>> done = jnp.array([True, False])
        >>> batch.where(done, {"x": jnp.zeros((2, 2))}, {"x": jnp.ones((2, 2))})["x"].tolist()
        [[0.0, 0.0], [1.0, 1.0]]
    """
    try:
        mask = jnp.asarray(mask)
    except (TypeError, ValueError):
        raise BatchError("where", "mask", f"is {a_type(mask)}", "give an array of bools") from None
    if mask.dtype != bool:
        raise BatchError("where", "mask", f"has dtype {mask.dtype}", "compare with something: mask != 0")
    one, other = Leaves("where", a, "a"), Leaves("where", b, "b")
    columns = batches.columns_of((one, other))
    unlike = batches.unlike_shapes((one, other), "give both the same shapes; batch.broadcast repeats one item")
    if unlike is not None:
        raise unlike
    sizes = one.lead(mask.ndim)
    if sizes is not None and mask.shape != sizes:
        what = f"has shape {mask.shape}, the leading axes of a have the sizes {sizes}"
        raise BatchError("where", "mask", what, "give the mask the shape of leading axes")
    return one.mapped(lambda column: arrays.choose(mask, *column), columns)  # type: ignore[no-any-return]


def size(tree: Any, /) -> int:
    """How many items lie along the first leading axis: what `len` gives for an array.

    Args:
        tree: a batch.

    Raises:
        BatchError: the leaves have not the same first axis, or none; or there is no array.

    Example:
        >>> import jax.numpy as jnp
        >>> from structkit import batch
        >>> batch.size({"x": jnp.zeros((5, 3)), "y": jnp.zeros(5)})
        5
    """
    return Leaves("size", tree).sizes(1)[0]


def shape(tree: Any, /, *, ndim: int | None = None) -> tuple[int, ...]:
    """The sizes of the leading axes.

    Args:
        tree: any pytree of arrays.
        ndim: how many axes lead. Left out, they are those that the annotations tell, and where these tell nothing, 1.

    Raises:
        BatchError: the leaves have not the same leading axes, or not as many; or there is no array.

    Example:
        >>> import jax.numpy as jnp
        >>> from structkit import batch
        >>> batch.shape({"x": jnp.zeros((5, 2, 3)), "y": jnp.zeros((5, 2))}, ndim=2)
        (5, 2)
    """
    leaves = Leaves("shape", tree)
    return leaves.sizes(leaves.count(ndim))


def reshape(tree: _T, shape: int | Sequence[int], /, *, ndim: int | None = None) -> _T:
    """The same items with leading axes of other sizes, in the same order.

    Args:
        tree: a batch.
        shape: the new sizes; one may be -1, and is then what is left.
        ndim: how many axes they replace. Left out, all that the annotations tell, and where these tell nothing, 1.

    Raises:
        BatchError: the sizes do not make as many items, or the tree has too few leading axes.

    Example:
        >>> import jax.numpy as jnp
        >>> from structkit import batch
        >>> steps = {"x": jnp.zeros((8, 5, 3))}
        >>> batch.reshape(steps, (4, 2))["x"].shape, batch.reshape(steps, -1, ndim=2)["x"].shape
        ((4, 2, 5, 3), (40, 3))
    """
    leaves = Leaves("reshape", tree)
    count = leaves.count(ndim)
    sizes = leaves.lead(count)
    wanted = axis_sizes("reshape", shape)
    if sizes is not None:
        wanted = reshaped(sizes, wanted)
    return leaves.mapped(lambda leaf: jnp.reshape(as_array(leaf), wanted + jnp.shape(leaf)[count:]))  # type: ignore[no-any-return]


def swapaxes(tree: _T, axis1: int = 0, axis2: int = 1, /) -> _T:
    """The batch with two of its leading axes in each other's place: time first, or the environments.

    Args:
        tree: a batch.
        axis1: the one.
        axis2: the other.

    Raises:
        BatchError: the tree has no such axes.

    Example:
        >>> import jax.numpy as jnp
        >>> from structkit import batch
        >>> batch.swapaxes({"x": jnp.zeros((8, 5, 3))})["x"].shape
        (5, 8, 3)
    """
    one, other = axis_number("swapaxes", axis1), axis_number("swapaxes", axis2)
    leaves = Leaves("swapaxes", tree)
    leaves.lead(max(one, other) + 1)
    return leaves.mapped(lambda leaf: jnp.swapaxes(as_array(leaf), one, other))  # type: ignore[no-any-return]


def expand(tree: _T, axis: int = 0, /) -> _T:
    """The tree with a new leading axis of size 1: `x[None]` of every leaf.

    Args:
        tree: any pytree of arrays.
        axis: where the new axis goes, among the leading ones.

    Raises:
        BatchError: the tree has fewer than `axis` leading axes.

    Example:
        >>> import jax.numpy as jnp
        >>> from structkit import batch
        >>> batch.expand({"x": jnp.zeros(3)})["x"].shape
        (1, 3)
    """
    axis = axis_number("expand", axis)
    leaves = Leaves("expand", tree)
    leaves.lead(axis)
    return leaves.mapped(lambda leaf: jnp.expand_dims(as_array(leaf), axis))  # type: ignore[no-any-return]


def squeeze(tree: _T, axis: int = 0, /) -> _T:
    """The tree without a leading axis, which has size 1.

    Args:
        tree: a batch.
        axis: which of the leading axes.

    Raises:
        BatchError: the axis has another size, or there is no such axis.

    Example:
        >>> import jax.numpy as jnp
        >>> from structkit import batch
        >>> batch.squeeze({"x": jnp.zeros((1, 3))})["x"].shape
        (3,)
    """
    axis = axis_number("squeeze", axis)
    leaves = Leaves("squeeze", tree)
    sizes = leaves.lead(axis + 1)
    if sizes is not None and sizes[axis] != 1:
        what = f"has size {sizes[axis]} along axis {axis}, not 1"
        raise BatchError("squeeze", "tree", what, "take one item with batch.take")
    return leaves.mapped(lambda leaf: jnp.squeeze(as_array(leaf), axis))  # type: ignore[no-any-return]


def broadcast(tree: _T, shape: int | Sequence[int], /) -> _T:
    """A batch of the one tree, over and over: every leaf gets these leading axes in front of its own.

    Args:
        tree: any pytree of arrays.
        shape: the sizes of the new leading axes.

    Raises:
        BatchError: a size is negative, or a leaf is no array.

    Example:
        >>> import jax.numpy as jnp
        >>> from structkit import batch
        >>> batch.broadcast({"x": jnp.zeros(3)}, 5)["x"].shape
        (5, 3)
    """
    leaves, front = Leaves("broadcast", tree), axis_sizes("broadcast", shape)
    if any(one < 0 for one in front):
        raise BatchError("broadcast", "shape", f"is {front}", "say how many items there are to be")
    leaves.lead(0)
    return leaves.mapped(lambda leaf: jnp.broadcast_to(as_array(leaf), front + jnp.shape(leaf)))  # type: ignore[no-any-return]


def check(tree: _T, dims: str, /) -> _T:
    """The tree itself, once its leading axes have been compared with `dims`, as jaxtyping does it with a shape.

    For trees that are no `Batched` objects: those have a type, `Shaped[Particle, "n"]`. Inside a function that
    `jaxtyping.jaxtyped` decorates, a name stands for the same size as in the annotations of the arguments.

    Args:
        tree: any pytree of arrays.
        dims: what jaxtyping takes, such as `"n"`, `"time env"`, `"8 n"`, `"_"`. Where no annotation tells how many
            axes lead, they are as many as it has.

    Raises:
        BatchError: the leading axes are others.
        ModuleNotFoundError: jaxtyping is not installed.

    Example:
        @jaxtyped(typechecker=beartype.beartype)
        def step(state: dict[str, Array], actions: Float[Array, "env 2"]) -> dict[str, Array]:
            batch.check(state, "env")
            return state
    """
    # By name: no type checker shall want it to be there.
    wanted: Any = importlib.import_module("jaxtyping").Shaped[_Leading, dims]
    leaves = Leaves("check", tree)
    sizes = leaves.known()
    if sizes is None:
        if wanted.index_variadic is not None:
            what = f"does not tell how many axes lead, and {dims!r} leaves it open"
            raise BatchError("check", "tree", what, "name each axis, or annotate the fields with their ranks")
        sizes = leaves.sizes(len(wanted.dims))
    # What type checkers ask for the reason; a new name is bound as by `isinstance`.
    wrong = wanted.__instancecheck_str__(_Leading(sizes))
    if wrong:
        raise BatchError("check", "tree", f"has the leading axes {sizes}, not {dims!r}", wrong)
    return tree


class _Leading:
    """Stands for leading axes where jaxtyping wants an array."""

    dtype = np.dtype(object)

    def __init__(self, shape: tuple[int, ...]):
        self.shape = shape


class Batched:
    """A class that is its own batch: `class Particle(Struct, batch.Batched)`.

    The ranks of its fields have to be known, from jaxtyping's annotations; then an object with leading axes is indexed
    as an array is, has a length, and can be iterated over, and jaxtyping's `Shaped[Particle, "n"]` is the type of a
    batch of n. One without leading axes has neither length nor items. As a condition an object is always true.

    Example:
        class Particle(Struct, batch.Batched):
            position: Float[Array, "3"]
            mass: Float[Array, ""]

        particles = Particle(jnp.zeros((5, 3)), jnp.ones(5))
        assert particles.shape == (5,) and len(particles) == 5 and particles[1:3].shape == (2,)
        assert [one.position.shape for one in particles[:2]] == [(3,), (3,)]

        def energy(particles: Shaped[Particle, "n"]) -> Float[Array, "n"]:
            return particles.mass * (particles.position**2).sum(1)
    """

    __slots__ = ()

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if "<locals>" in cls.__qualname__:
            # Annotations that are strings name what only the running function has.
            ranks_of(cls, names_around(cls))

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of the leading axes; an `AttributeError` where no annotation tells them."""
        return _own_axes(self, "shape")

    @property
    def dtype(self) -> Any:
        """The dtype that all arrays have, or numpy's `object` where they have several."""
        try:
            dtypes = {batches.dtype_of(leaf) for leaf in jax.tree.leaves(self)}
        except TypeError:
            # What `jax.tree.map` put in the place of arrays, such as a `PartitionSpec`.
            dtypes = set()
        return dtypes.pop() if len(dtypes) == 1 else np.dtype(object)

    def __getitem__(self, index: Index, /) -> Self:
        """The item or items at an index of the leading axes, as in `take`."""
        if not _own_axes(self, "take"):
            raise BatchIndexError("take", type(self).__name__, "has no leading axes to index", "stack several of them")
        return take(self, index)

    def __len__(self) -> int:
        return _own_batch(self, "len")[0]

    def __iter__(self) -> Iterator[Self]:
        _own_batch(self, "iter")
        return iter(unstack(self))

    def __bool__(self) -> bool:
        return True


def _own_axes(tree: Any, call: str) -> tuple[int, ...]:
    sizes = leading_axes(tree, call, type(tree).__name__)
    if sizes is None:
        raise UnknownRankError(type(tree).__name__, ranks_of(type(tree)).unresolved.values())
    return sizes


def _own_batch(tree: Any, call: str) -> tuple[int, ...]:
    sizes = _own_axes(tree, call)
    if not sizes:
        raise UnbatchedError(call, type(tree).__name__, "has no leading axes", "stack several of them")
    return sizes
