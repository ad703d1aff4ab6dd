"""A tree in two parts and back (`partition`, `merge`), other dtypes for its floating arrays (`cast`), its size."""

from __future__ import annotations

import dataclasses
import functools
import math
import operator
from collections.abc import Callable, Iterable
from typing import Any, Literal, NamedTuple, TypeVar, overload

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from structkit._bridges import keystr, tree_flatten_with_path
from structkit._core.plan import plan_of
from structkit._core.pretty import pformat
from structkit._trees.nodes import children, leaf_path
from structkit._trees.patterns import leaf_mask
from structkit._trees.unlike import leaves_like
from structkit.errors import MergeError, PlaceError, TreeError, a_type

_T = TypeVar("_T")

# In C: JAX asks for each node and leaf.
_is_hole = functools.partial(operator.is_, None)


# fmt: off
@overload
def partition(tree: _T, where: str | Callable[[Any], bool], /) -> tuple[_T, _T]: ...
@overload
def partition(tree: _T, where: Callable[[str, Any], bool], /, *, with_path: Literal[True]) -> tuple[_T, _T]: ...
@overload
def partition(tree: _T, /, *, metadata: str, default: bool = True) -> tuple[_T, _T]: ...
# fmt: on
def partition(
    tree: _T, where: Any = None, /, *, with_path: bool = False, metadata: str | None = None, default: bool = True
) -> tuple[_T, _T]:
    """Two trees like `tree`: the leaves that `where` chooses, and the others. Each has None where the other has a leaf.

    `merge` puts them together again. What is None in `tree` is None in both.

    Args:
        tree: any pytree.
        where: a function of a leaf that gives a bool; or a path, as in `at`: it chooses the leaves at and under each
            place that matches.
        with_path: whether `where` takes the path too, as `jax.tree_util.keystr` writes it, before the leaf.
        metadata: in the place of `where`, what the fields on the way to a leaf have in their metadata under this name.
            One False makes it False for all that is under the field; else one True makes it True.
        default: what holds where none of the fields says anything.

    Raises:
        TreeError: what decides is no bool, or is known only when a compiled program runs.
        PlaceError: the path matches nothing.

    Example:
        >>> import jax
        >>> from structkit import Struct, field, merge, partition
        >>> class Model(Struct):
        ...     weight: jax.Array
        ...     scale: jax.Array = field(metadata={"trainable": False})
        >>> model = Model(jax.numpy.ones(3), jax.numpy.ones(2))
        >>> trained, frozen = partition(model, metadata="trainable")
        >>> trained
        Model(weight=f32[3], scale=None)
        >>> jax.grad(lambda part: merge(part, frozen).weight.sum())(trained)
        Model(weight=f32[3], scale=None)
        >>> partition(model, "scale")[0]
        Model(weight=None, scale=f32[2])
        >>> partition(model, lambda leaf: leaf.size > 2)[1]
        Model(weight=None, scale=f32[2])
        >>> partition(model, lambda path, leaf: path == ".scale", with_path=True)[0]
        Model(weight=None, scale=f32[2])
    """
    leaves, treedef = jax.tree.flatten(tree)
    if metadata is not None:
        if where is not None or with_path:
            raise TreeError("partition", "takes `where` or `metadata`, not both", "drop one of the two")
        mask = _by_metadata(tree, metadata, default)
    elif not default:
        raise TreeError("partition", "`default` goes with `metadata`", "have `where` decide about every leaf")
    elif isinstance(where, str) and not with_path:
        mask = _by_pattern(tree, where)
    elif type(where) is type(tree) and treedef.num_nodes > 1:
        what = f"`where` is {a_type(tree)}, as the tree is, and decides about no leaf"
        raise TreeError("partition", what, "pass a function of a leaf, a path, or metadata=...")
    elif callable(where):
        mask = _by_predicate(tree, leaves, where, with_path)
    else:
        what = f"`where` is {pformat(where)}{' and `with_path` is given' * with_path}"
        raise TreeError("partition", what, "pass a function of a leaf, a path, or metadata=...")
    chosen = [leaf if kept else None for leaf, kept in zip(leaves, mask)]
    others = [None if kept else leaf for leaf, kept in zip(leaves, mask)]
    return treedef.unflatten(chosen), treedef.unflatten(others)


def _by_predicate(tree: Any, leaves: list[Any], where: Callable[..., Any], with_path: bool) -> list[bool]:
    mask: list[bool] = []
    try:
        if with_path:
            for path, leaf in tree_flatten_with_path(tree)[0]:
                mask.append(where(keystr(path), leaf))
        else:
            for leaf in leaves:
                mask.append(where(leaf))
    except Exception as error:
        error.add_note(f"partition: this is what `where` raised for tree{leaf_path(tree, len(mask))}")
        raise
    if not _BOOLS.issuperset(map(type, mask)):
        i = next(i for i, said in enumerate(mask) if type(said) not in _BOOLS)
        raise TreeError("partition", f"`where` gave {pformat(mask[i])} for tree{leaf_path(tree, i)}", _cure(mask[i]))
    return mask


_BOOLS = frozenset({bool, np.bool_})


def _cure(said: Any) -> str:
    if isinstance(said, jax.core.Tracer):
        return "a value is not known while JAX traces: choose by path, type, shape or dtype"
    return "return a Python bool: bool(...)" if isinstance(said, jax.Array | np.ndarray) else "return True or False"


def _by_pattern(tree: Any, path: str) -> list[bool]:
    try:
        return leaf_mask(tree, path)
    except PlaceError as error:
        raise PlaceError(error.path, error.what, error.cure, "partition") from None


def _by_metadata(tree: Any, metadata: str, default: bool) -> list[bool]:
    """What the fields on the way to each leaf say, in one walk."""
    mask: list[bool] = []
    rules: dict[type, dict[str, bool]] = {}
    waiting: list[tuple[Any, bool | None]] = [(tree, None)]
    while waiting:
        node, said = waiting.pop()
        level = children(node)
        if level is None:
            mask.append(default if said is None else said)
        elif said is False:
            mask.extend([False] * jax.tree.structure(node).num_leaves)
        else:
            cls = type(node)
            if cls not in rules:
                rules[cls] = _said_by_fields(cls, metadata)
            rule, (keys, below) = rules[cls], level
            if rule:
                waiting += [(child, rule.get(name, said)) for name, child in zip(_names(cls, keys), below)][::-1]
            else:
                waiting += [(child, said) for child in below][::-1]
    return mask


def _said_by_fields(cls: type, metadata: str) -> dict[str, bool]:
    """What the fields of a dataclass of any library have under a name in their metadata: field -> bool."""
    if not dataclasses.is_dataclass(cls):
        return {}
    found = {f.name: f.metadata[metadata] for f in dataclasses.fields(cls) if metadata in f.metadata}
    for name, said in found.items():
        if type(said) is not bool:
            what = f"the metadata of {cls.__name__}.{name} have {said!r} under {metadata!r}"
            raise TreeError("partition", what, "write True or False")
    return found


def _names(cls: type, keys: Iterable[Any]) -> Iterable[str]:
    """The fields that the children of a dataclass are in."""
    plan = plan_of(cls)
    if plan is not None:
        return plan.data_names
    # Chex's dataclasses that are mappings have dict keys.
    names: list[Any] = [getattr(key, "name", getattr(key, "key", None)) for key in keys]
    if not all([isinstance(name, str) for name in names]):
        what = f"{cls.__name__} has metadata, but its library gives JAX no names of its fields"
        raise TreeError("partition", what, "choose by a function of the leaf")
    return names


def merge(tree: _T, /, *others: _T) -> _T:
    """The tree with the values of all: at each place that of the one tree which does not have None there.

    Args:
        tree: a pytree.
        *others: trees of the same structure, where None may stand in the place of any leaf.

    Raises:
        MergeError: a place has a value in two trees.
        TreeError: the trees have other structures.

    Example:
        >>> from structkit import merge, partition
        >>> numbers, texts = partition({"a": 1, "b": "text"}, lambda leaf: isinstance(leaf, int))
        >>> numbers, texts
        ({'a': 1, 'b': None}, {'a': None, 'b': 'text'})
        >>> merge(numbers, texts)
        {'a': 1, 'b': 'text'}
    """
    leaves, treedef = jax.tree.flatten(tree, _is_hole)
    for other in others:
        leaves = _filled(tree, leaves, leaves_like(tree, treedef, other, "merge", _LIKE, holes=True))
    return treedef.unflatten(leaves)  # type: ignore[no-any-return]


_LIKE = "give trees of one structure, with None for leaves only, such as the two that partition gives"


def _filled(tree: Any, leaves: list[Any], others: list[Any]) -> list[Any]:
    """The leaves, with those of another tree in the place of None."""
    found: list[Any] = []
    for one, another in zip(leaves, others):
        if one is None:
            found.append(another)
        elif another is None:
            found.append(one)
        else:
            raise MergeError("tree" + leaf_path(tree, len(found), _is_hole), pformat(one), pformat(another))
    return found


def cast(tree: _T, dtype: DTypeLike) -> _T:
    """The tree with its floating arrays as `dtype`: those of JAX and numpy, and `ShapeDtypeStruct`s.

    Python numbers, integers, booleans, complex numbers, random keys and everything else stay what they are. As
    everywhere in JAX, float64 needs `jax_enable_x64`, and is float32 without it.

    Args:
        tree: any pytree.
        dtype: a floating dtype, such as `jnp.bfloat16`.

    Raises:
        TreeError: it is no floating dtype.

    Example:
        >>> import jax.numpy as jnp
        >>> from structkit import Struct, cast
        >>> class State(Struct):
        ...     weights: jnp.ndarray
        ...     step: jnp.ndarray
        ...     rate: float
        >>> cast(State(jnp.ones(3), jnp.array(0), 0.1), jnp.bfloat16)
        State(weights=bf16[3], step=i32(0), rate=0.1)
    """
    wanted = _floating(dtype)
    canonical = jax.dtypes.canonicalize_dtype(wanted)
    return jax.tree.map(lambda leaf: _cast_leaf(leaf, wanted, canonical), tree)  # type: ignore[no-any-return]


def _floating(dtype: Any) -> Any:
    unclear = dtype is None or isinstance(dtype, jax.Array | np.ndarray | np.generic)
    try:
        found = None if unclear else jnp.dtype(dtype)
    except TypeError:
        found = None
    if found is None or not jnp.issubdtype(found, jnp.floating):
        raise TreeError("cast", f"{dtype!r} is no floating dtype", "give one, such as jnp.float32 or jnp.bfloat16")
    # Python's `float` is the default of JAX, about which it does not warn.
    return float if dtype is float else found


def _cast_leaf(leaf: Any, wanted: Any, canonical: Any) -> Any:
    known = isinstance(leaf, jax.Array | np.ndarray | np.generic | jax.ShapeDtypeStruct)
    if not known or not jnp.issubdtype(leaf.dtype, jnp.floating):
        return leaf
    if leaf.dtype == canonical and not getattr(leaf, "weak_type", False):
        return leaf
    if isinstance(leaf, jax.ShapeDtypeStruct):
        return leaf.update(dtype=canonical, weak_type=False)  # type: ignore[no-untyped-call]  # JAX's
    # JAX warns where it has not what is wanted; numpy would have it.
    return leaf.astype(wanted if isinstance(leaf, jax.Array) else canonical)


class Count(NamedTuple):
    """How much is in a tree: what `count` gives."""

    elements: int
    bytes: int


def count(tree: Any) -> Count:
    """The number of elements in all leaves of `tree`, and of their bytes.

    It follows from shapes and dtypes alone: inside a trace too, and of what `jax.eval_shape` gives. Each element counts
    with the size of its dtype, as in `nbytes`: a whole byte for an int4, which some devices pack; for a random key that
    of its data. A Python number is one element, as large as the array that JAX makes of it. What is no array and no
    number does not count.

    Args:
        tree: any pytree.

    Example:
        >>> import jax.numpy as jnp
        >>> from structkit import count
        >>> count({"weight": jnp.ones((2, 3)), "step": 0, "name": "linear"})
        Count(elements=7, bytes=28)
        >>> f"{count(jnp.ones((1000, 1000))).bytes / 1e6} MB"
        '4.0 MB'
    """
    elements = bytes_ = 0
    for leaf in jax.tree.leaves(tree):
        shape, dtype = getattr(leaf, "shape", None), getattr(leaf, "dtype", None)
        if isinstance(leaf, bool | int | float | complex) and dtype is None:
            kind = next(kind for kind in (bool, int, float, complex) if isinstance(leaf, kind))
            shape, dtype = (), jnp.dtype(jnp.result_type(kind))
        if isinstance(shape, tuple) and dtype is not None:
            size = math.prod(shape)
            elements, bytes_ = elements + size, bytes_ + size * dtype.itemsize
    return Count(elements, bytes_)
