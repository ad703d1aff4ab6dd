"""Equality, order and hashing of structs, on their flat forms."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from structkit._core.flat import Flat
from structkit._core.plan import ClassPlan
from structkit._core.statics import SCALARS, pack_statics
from structkit.errors import DefinitionError, UnhashableFieldError

_NUMBERS: tuple[type[Any], ...] = (bool, int, float, complex)
_ARRAYS: tuple[type[Any], ...] = (jax.Array, np.ndarray, np.generic)
_BOOLS: tuple[type[Any], ...] = (bool, np.bool_)
_LEAVES: tuple[type[Any], ...] = (*_ARRAYS, *_NUMBERS)


def equal(self: Any, other: Any) -> Any:
    """Whether both are of one class, with equal statics and equal leaves: a bool, or a traced boolean inside a trace.

    Args:
        self: a struct.
        other: anything.
    """
    if type(self) is not type(other):
        return NotImplemented
    verdict = _equal_structs(self, other)
    # A caller inside a trace may write `~(a == b)`, which needs an array also where the answer is known.
    return jnp.asarray(False) if verdict is False and _has_tracer(self, other) else verdict


def _equal_structs(a: Any, b: Any) -> Any:
    """What `==` says of two structs of one class, but always a bool where the answer is known."""
    plan: ClassPlan = a.__struct__
    # Spelt out, since two calls of `compared` would take a third of the time.
    if plan.compares_all:
        (children, statics), (other_children, other_statics) = a.__flat__, b.__flat__
    else:
        (children, statics), (other_children, other_statics) = compared(a, plan), compared(b, plan)
    # Not `!=`, for which an item may have a method of its own.
    same = statics == other_statics
    if not same:
        return False
    # Most structs that are compared hold numbers alone, which need no call for each. Not by `==` of the tuples: for
    # that, a NaN which is in both of them is equal to itself.
    for child, other in zip(children, other_children):
        kind = type(child)
        if kind is not type(other) or kind not in SCALARS:
            return _equal_in_turn(children, other_children)
        if child != other:
            return False
    return True


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


def compared(self: Any, plan: ClassPlan) -> tuple[Any, Any]:
    """The flat form, without the fields that do not compare.

    Args:
        self: a struct.
        plan: the plan of its class.
    """
    if plan.compares_all:
        return self.__flat__  # type: ignore[no-any-return]
    names = [name for name in plan.static_names if plan.fields[name].compare]
    statics = pack_statics(plan.name, tuple(names), tuple([getattr(self, name) for name in names]))
    return tuple([getattr(self, name) for name in plan.data_names if plan.fields[name].compare]), statics


def _has_tracer(*structs: Any) -> bool:
    halves = [compared(struct, struct.__struct__)[0] for struct in structs]
    # Most structs that differ hold numbers alone, and need not be flattened to see it.
    mixed = [half for half in halves if type(half) is not tuple or not SCALARS.issuperset(map(type, half))]
    types = {*map(type, jax.tree.leaves(mixed))} if mixed else ()
    return any([issubclass(kind, jax.core.Tracer) for kind in types])


# A method of C, since JAX asks for each node.
_is_struct: Callable[[Any], bool] = Flat.__instancecheck__

# `cls.__eq__` would go through the metaclass, which serves the defaults of fields in Python code.
_class_attribute: Callable[[Any, str], Any] = type.__getattribute__


def _equal_in_turn(values: Iterable[Any], others: Iterable[Any]) -> Any:
    """Whether each value equals the one in its place: False at the first that does not."""
    traced: list[Any] = []
    for a, b in zip(values, others):
        kind = type(a)
        # Past `==`, which would look for tracers at each level of nesting; but a class may have an `__eq__` of its own.
        plain = kind is type(b) and isinstance(a, Flat) and _class_attribute(kind, "__eq__") is equal
        verdict = _equal_structs(a, b) if plain else _equal_trees(a, b)
        if verdict is True:
            continue
        if not isinstance(verdict, _BOOLS):
            traced.append(verdict)
        elif not verdict:
            return False
    return functools.reduce(jnp.logical_and, traced) if traced else True


def _equal_trees(a: Any, b: Any) -> Any:
    if type(a) in SCALARS and type(a) is type(b):
        return a == b
    if isinstance(a, Flat) or isinstance(b, Flat):
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
    return _equal_in_turn(leaves, other_leaves)


def _equal_arrays(a: Any, b: Any) -> Any:
    if not (isinstance(a, _LEAVES) and isinstance(b, _LEAVES)):
        return False
    shape, dtype = _form(a)
    if (shape, dtype) != _form(b):
        return False
    if isinstance(a, jax.core.Tracer) or isinstance(b, jax.core.Tracer):
        return jnp.all(jnp.equal(a, b))  # pyright: ignore[reportUnknownArgumentType]  # JAX 0.12 makes Tracer generic
    try:
        # The dtypes of random keys are JAX's own.
        x, y = (a, b) if isinstance(dtype, np.dtype) else (jax.random.key_data(a), jax.random.key_data(b))
        return bool((np.asarray(x) == np.asarray(y)).all())
    except Exception:
        # Deleted (donated) and non-addressable arrays have no contents to look at here.
        return a is b


def _form(value: Any) -> tuple[tuple[int, ...], Any]:
    """The shape and dtype of an array or a number."""
    return (value.shape, value.dtype) if isinstance(value, _ARRAYS) else ((), jnp.result_type(value))


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
    plan: ClassPlan = self.__struct__
    if plan.callable:
        return hash(_without_contents(self))
    (children, statics), names = self.__flat__, plan.data_names
    if type(children) is not tuple:
        # A list, in a constructor of the user's.
        children = tuple(children)
    if not plan.hashes_all:
        hashed = hashed_fields(plan)
        names = tuple([name for name in names if name in hashed])
        children = tuple([getattr(self, name) for name in names])
        statics = tuple([getattr(self, name) for name in plan.static_names if name in hashed])
    for child in children:
        if type(child) not in SCALARS:
            children = tuple([_hash_field(plan, name, value) for name, value in zip(names, children)])
            break
    return hash((children, statics))


def _hash_field(plan: ClassPlan, name: str, value: Any) -> Any:
    try:
        # A number stands for itself: its hash is that of the numpy scalar which is equal to it.
        return value if type(value) in SCALARS else _hash_tree(value)
    except TypeError:
        raise UnhashableFieldError(plan.name, name, type(value).__name__) from None


def _hash_tree(value: Any) -> int:
    """The hash of a value, in one walk; as in `==`, a pytree node of another library counts by its leaves."""
    # Structs first: asking one's class for its `__hash__` runs code of the metaclass.
    if isinstance(value, Flat) or type(value) in SCALARS:
        return hash(value)
    if type(value) is tuple:
        return hash(tuple(map(_hash_tree, value)))
    if type(value).__hash__ is None:
        return hash(value)
    leaves, treedef = jax.tree.flatten(value, is_leaf=_is_struct)
    if len(leaves) == 1 and leaves[0] is value:
        return hash(value)
    return hash((treedef, *map(_hash_tree, leaves)))


def _without_contents(value: Any) -> Any:
    """Something hashable that is the same for values that `==` may find equal."""
    if _is_struct(value):
        plan: ClassPlan = value.__struct__
        cls: Any = type(value)
        if cls.__hash__ is not hash_struct:
            return value
        return plan.name, tuple([_without_contents(getattr(value, name)) for name in hashed_fields(plan)])
    if isinstance(value, _LEAVES):
        return _form(value)
    leaves, treedef = jax.tree.flatten(value, is_leaf=_is_struct)
    if len(leaves) == 1 and leaves[0] is value:
        return value
    return treedef, tuple(map(_without_contents, leaves))


def hashed_fields(plan: ClassPlan) -> list[str]:
    """The names of the fields that `hash` looks at.

    Args:
        plan: the plan of a class.
    """
    return [name for name, f in plan.fields.items() if (f.compare if f.hash is None else f.hash)]


def _ordering(name: str, operation: Any) -> Callable[[Any, Any], bool]:
    def compare(self: Any, other: Any) -> Any:
        if type(self) is not type(other):
            return NotImplemented
        names = [key for key, f in self.__struct__.fields.items() if f.compare]
        return operation(tuple([getattr(self, key) for key in names]), tuple([getattr(other, key) for key in names]))

    compare.__name__ = compare.__qualname__ = name
    compare.__doc__ = f"Compare the fields in order, as tuples do ({operation.__name__})."
    return compare


_ORDERINGS = {f"__{name}__": _ordering(f"__{name}__", getattr(operator, name)) for name in ("lt", "le", "gt", "ge")}


def orderings(plan: ClassPlan, namespace: dict[str, Any]) -> dict[str, Any]:
    """The methods that `order=True` adds to a class; none without the option.

    Args:
        plan: the plan of the class.
        namespace: the class body.

    Raises:
        DefinitionError: the body has one of them.
    """
    if not plan.options.get("order"):
        return {}
    for name in _ORDERINGS:
        if name in namespace:
            raise DefinitionError(plan.name, f"order=True would overwrite its {name}", "drop one of the two")
    return _ORDERINGS
