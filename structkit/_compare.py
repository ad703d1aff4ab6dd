"""Equality, order and hashing of structs, on their flat forms."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from structkit._spec import ClassSpec
from structkit._statics import pack_statics
from structkit._storage import Flat
from structkit._typing import any_tuple, class_of
from structkit.errors import UnhashableFieldError

_SCALARS = frozenset({bool, int, float, complex, str, bytes, type(None)})
_NUMBERS: tuple[type[Any], ...] = (bool, int, float, complex)
_ARRAYS: tuple[type[Any], ...] = (jax.Array, np.ndarray, np.generic)
_LEAVES: tuple[type[Any], ...] = (*_ARRAYS, *_NUMBERS)


def equal(self: Any, other: Any) -> Any:
    """Whether both are of one class, with equal statics and equal leaves: a bool, or a traced boolean inside a trace.

    Args:
        self: a struct.
        other: anything.
    """
    if type(self) is not type(other):
        return NotImplemented
    spec: ClassSpec = self.__struct__
    (children, statics), (other_children, other_statics) = _compared(self, spec), _compared(other, spec)
    traced: list[Any] = []
    same = statics == other_statics
    for a, b in zip(children, other_children):
        verdict = same and _equal_trees(a, b)
        if not isinstance(verdict, bool | np.bool_):
            traced.append(verdict)
        elif not verdict:
            # A caller inside a trace may write `~(a == b)`, which needs an array also where the answer is known.
            return jnp.asarray(False) if _has_tracer(children, other_children) else False
    return functools.reduce(jnp.logical_and, traced) if traced else bool(same)


def not_equal(self: Any, other: Any) -> Any:
    """The negation of `==`, also inside a trace.

    Args:
        self: a struct.
        other: anything.
    """
    result = self.__eq__(other)
    if result is NotImplemented:
        return result
    return not result if isinstance(result, bool) else jnp.logical_not(result)


def _compared(self: Any, spec: ClassSpec) -> tuple[Any, Any]:
    """The flat form, without the fields that do not compare."""
    if not spec.dialect.checks_statics:
        # Unchecked statics may be arrays, which have to be compared as the data is.
        return tuple([getattr(self, name) for name, f in spec.fields.items() if f.compare]), ()
    if spec.compares_all:
        return self.__flat__  # type: ignore[no-any-return]
    names = [name for name in spec.statics if spec.fields[name].compare]
    statics = pack_statics(spec.name, tuple(names), tuple([getattr(self, name) for name in names]))
    return tuple([getattr(self, name) for name in spec.data if spec.fields[name].compare]), statics


def _has_tracer(*trees: Any) -> bool:
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(trees))


def _is_struct(node: Any) -> bool:
    return isinstance(node, Flat)


def _equal_trees(a: Any, b: Any) -> Any:
    if type(a) in _SCALARS and type(a) is type(b):
        return a == b
    if _is_struct(a) or _is_struct(b):
        # Not through the leaves: the class may have an `__eq__` of its own, or fields that do not compare.
        return type(a) is type(b) and a == b
    if isinstance(a, _ARRAYS) or isinstance(b, _ARRAYS):
        return _equal_arrays(a, b)
    leaves, treedef = jax.tree.flatten(a, is_leaf=_is_struct)
    other_leaves, other_treedef = jax.tree.flatten(b, is_leaf=_is_struct)
    if treedef != other_treedef:
        return False
    if len(leaves) == 1 and leaves[0] is a:
        return _equal_opaque(a, b)
    traced: list[Any] = []
    for leaf, other_leaf in zip(leaves, other_leaves):
        verdict = _equal_trees(leaf, other_leaf)
        if not isinstance(verdict, bool | np.bool_):
            traced.append(verdict)
        elif not verdict:
            return False
    return functools.reduce(jnp.logical_and, traced) if traced else True


def _equal_arrays(a: Any, b: Any) -> Any:
    if not all(isinstance(value, (*_ARRAYS, *_NUMBERS)) for value in (a, b)):
        return False
    if np.shape(a) != np.shape(b) or _dtype(a) != _dtype(b):
        return False
    if isinstance(a, jax.core.Tracer) or isinstance(b, jax.core.Tracer):
        return jnp.all(jnp.equal(a, b))  # pyright: ignore[reportUnknownArgumentType]  # JAX 0.12 makes Tracer generic
    try:
        return bool(np.array_equal(_contents(a), _contents(b)))
    except Exception:
        # Deleted (donated) and non-addressable arrays have no contents to look at here.
        return a is b


def _dtype(value: Any) -> Any:
    return value.dtype if isinstance(value, _ARRAYS) else jnp.result_type(value)


def _contents(value: Any) -> Any:
    if isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        value = jax.random.key_data(value)
    return np.asarray(value)


def _equal_opaque(a: Any, b: Any) -> bool:
    if a is b or type(a) is not type(b):
        return a is b
    try:
        return bool(a == b)
    except Exception:
        return False


def hash_struct(self: Any) -> int:
    """The hash of the statics and the data.

    A struct that can be called may be given to `jax.jit` as a function, which needs a hash: there, numbers and arrays
    count by shape and dtype. Equal structs have equal hashes either way.

    Args:
        self: a struct.

    Raises:
        UnhashableFieldError: a field's value is unhashable, such as an array.
    """
    spec: ClassSpec = self.__struct__
    if spec.callable:
        return hash(_without_contents(self))
    children, statics = self.__flat__
    if spec.hashes_all and all([type(child) in _SCALARS for child in children]):
        return hash((children, statics))
    hashed = hashed_fields(spec)
    statics = statics if spec.hashes_all else tuple([getattr(self, name) for name in spec.statics if name in hashed])
    return hash((tuple([_hash_field(self, spec, name) for name in spec.data if name in hashed]), statics))


def _hash_field(self: Any, spec: ClassSpec, name: str) -> Any:
    value = getattr(self, name)
    try:
        # A number stands for itself: its hash is that of the numpy scalar which is equal to it.
        return value if type(value) in _SCALARS else _hash_tree(value)
    except TypeError:
        raise UnhashableFieldError(spec.name, name, type(value).__name__) from None


def _hash_tree(value: Any) -> int:
    """The hash of a value, in one walk; as in `==`, a pytree node of another library counts by its leaves."""
    if type(value) is any_tuple:
        return hash(tuple(map(_hash_tree, value)))
    if type(value) in _SCALARS or type(value).__hash__ is None or _is_struct(value):
        return hash(value)
    leaves, treedef = jax.tree.flatten(value, is_leaf=_is_struct)
    if len(leaves) == 1 and leaves[0] is value:
        return hash(value)
    return hash((treedef, *map(_hash_tree, leaves)))


def _without_contents(value: Any) -> Any:
    """Something hashable that is the same for values that `==` may find equal."""
    if _is_struct(value):
        spec: ClassSpec = value.__struct__
        cls: Any = class_of(value)
        if cls.__hash__ is not hash_struct:
            return value
        return spec.name, tuple([_without_contents(getattr(value, name)) for name in hashed_fields(spec)])
    if isinstance(value, _LEAVES):
        return np.shape(value), _dtype(value)
    leaves, treedef = jax.tree.flatten(value, is_leaf=_is_struct)
    if len(leaves) == 1 and leaves[0] is value:
        return value
    return treedef, tuple(map(_without_contents, leaves))


def hashed_fields(spec: ClassSpec) -> list[str]:
    """The names of the fields that `hash` looks at.

    Args:
        spec: the plan of a class.
    """
    return [name for name, f in spec.fields.items() if (f.compare if f.hash is None else f.hash)]


def _ordering(name: str, operation: Any) -> Callable[[Any, Any], bool]:
    def compare(self: Any, other: Any) -> Any:
        if type(self) is not type(other):
            return NotImplemented
        names = [key for key, f in self.__struct__.fields.items() if f.compare]
        return operation(tuple([getattr(self, key) for key in names]), tuple([getattr(other, key) for key in names]))

    compare.__name__ = compare.__qualname__ = name
    compare.__doc__ = f"Compare the fields in order, as tuples do ({operation.__name__})."
    return compare


ORDERINGS = {f"__{name}__": _ordering(f"__{name}__", getattr(operator, name)) for name in ("lt", "le", "gt", "ge")}
"""The methods that `order=True` adds."""
