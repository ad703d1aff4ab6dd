"""Equality, order and hashing of structs, on their flat forms.

For most classes two objects are equal when their contents are. A struct that can be called is a function to JAX, which
keeps compiled programs by `==` and `hash` of functions: there, two objects are equal only if they compute the same.
Walks are loops with a stack of their own, so that depth costs no recursion.
"""

from __future__ import annotations

import collections
import functools
import operator
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from structkit._core.flat import Flat, items
from structkit._core.plan import ClassPlan, class_dict
from structkit._core.statics import SCALARS, of_its_own, one_level, pack_statics
from structkit.errors import DefinitionError, UnhashableFieldError

_ARRAYS: tuple[type[Any], ...] = (jax.Array, np.ndarray, np.generic)
_LEAVES: tuple[type[Any], ...] = (*_ARRAYS, bool, int, float, complex)
_BOOLS: tuple[type[Any], ...] = (bool, np.bool_)
_DICTS: tuple[type[Any], ...] = (dict, collections.OrderedDict, collections.defaultdict)


def _is_node(value: Any) -> bool:
    """Whether it is an object of `structkit.struct`, whose class says what is compared."""
    return "__node__" in class_dict(type(value))


# `cls.__eq__` would go through the metaclass, which serves the defaults of fields in Python code.
_class_attribute: Callable[[Any, str], Any] = type.__getattribute__


def equal(self: Any, other: Any) -> Any:
    """Whether both are of one class, with equal statics and leaves: a bool, or a traced boolean inside a trace."""
    if self.__struct__.callable:
        # JAX is given it as a function, and keeps programs by it.
        return equal_callables(self, other)
    if type(self) is not type(other):
        return NotImplemented
    waiting: list[tuple[Any, Any]] = []
    verdict: Any = _compare_level(self, other, waiting)
    if verdict and waiting:
        verdict = _equal_in_turn(waiting)
    # A caller inside a trace may write `~(a == b)`, which needs an array also where the answer is known.
    return jnp.asarray(False) if verdict is False and _has_tracer(self, other) else verdict


def not_equal(self: Any, other: Any) -> Any:
    """The negation of `==`, also inside a trace."""
    result = self.__eq__(other)
    if result is NotImplemented:
        return result
    return not result if isinstance(result, bool) else jnp.logical_not(result)


def compared(self: Any, plan: ClassPlan) -> tuple[Any, Any]:
    """The flat form, without the fields that do not compare."""
    if plan.compares_all:
        return self.__flat__  # type: ignore[no-any-return]
    names = [name for name in plan.static_names if plan.fields[name].compare]
    aux = pack_statics(plan.name, tuple(names), tuple([getattr(self, name) for name in names]))
    return tuple([getattr(self, name) for name in plan.data_names if plan.fields[name].compare]), aux


def _compare_level(a: Any, b: Any, waiting: list[tuple[Any, Any]]) -> bool:
    """Whether two structs of one class can be equal; what is no number or text of both is left to compare."""
    plan: ClassPlan = a.__struct__
    # Spelt out, since two calls of `compared` would take a third of the time.
    if plan.compares_all:
        (children, aux), (other_children, other_aux) = a.__flat__, b.__flat__
    else:
        (children, aux), (other_children, other_aux) = compared(a, plan), compared(b, plan)
    # Not `!=`, for which an item may have a method of its own.
    same = aux == other_aux
    if not same:
        return False
    # Not by `==` of the tuples: for that, a NaN which is in both of them is equal to itself.
    for child, other in zip(children, other_children):
        kind = type(child)
        if kind is not type(other) or kind not in SCALARS:
            waiting.append((child, other))
        elif child != other:
            return False
    return True


def _equal_in_turn(waiting: list[tuple[Any, Any]]) -> Any:
    """Whether the two of each pair are equal: False at the first pair that is not."""
    traced: list[Any] = []
    entered: dict[tuple[int, int], Any] = {}
    waiting.reverse()
    while waiting:
        a, b = waiting.pop()
        kind = type(a)
        inner: list[tuple[Any, Any]] = []
        if kind is not type(b) or kind in SCALARS:
            verdict = a == b if kind is type(b) else _equal_leaves(a, b)
        elif isinstance(a, Flat):
            # Not `==`, which would look for tracers at each level; but a class may have an `__eq__` of its own.
            if _has_own_equality(a):
                verdict = a == b
            else:
                verdict = (not a.__struct__.frozen and _met(a, b, entered)) or _compare_level(a, b, inner)
        elif kind in (list, tuple, dict, collections.defaultdict):
            verdict = (kind is not tuple and _met(a, b, entered)) or _compare_containers(a, b, inner)
        elif isinstance(a, _ARRAYS):
            verdict = _equal_leaves(a, b)
        elif _is_node(a):
            verdict = a == b
        else:
            verdict = _compare_nodes(a, b, inner)
        if not isinstance(verdict, _BOOLS):
            traced.append(verdict)
        elif not verdict:
            return False
        waiting.extend(reversed(inner))
    return functools.reduce(jnp.logical_and, traced) if traced else True


def _met(a: Any, b: Any, entered: dict[tuple[int, int], Any]) -> bool:
    """Whether two containers that may contain themselves have been entered before."""
    pair = id(a), id(b)
    seen = pair in entered
    # Kept, so that no other object gets the same id meanwhile.
    entered[pair] = a, b
    return seen


def _compare_containers(a: Any, b: Any, inner: list[tuple[Any, Any]]) -> bool:
    if len(a) != len(b) or getattr(a, "default_factory", None) != getattr(b, "default_factory", None):
        return False
    if not isinstance(a, dict):
        inner.extend(zip(a, b))
        return True
    for key, value in a.items():
        if key not in b:
            return False
        inner.append((value, b[key]))
    return True


def _compare_nodes(a: Any, b: Any, inner: list[tuple[Any, Any]]) -> bool:
    """The same for a pytree node of another library: by its children. Anything else by its own `==`."""
    node, other = one_level(a), one_level(b)
    if node is None or other is None:
        return _equal_opaque(a, b)
    inner.extend(zip(node[0], other[0]))
    return bool(node[1] == other[1])


def _has_tracer(*structs: Any) -> bool:
    waiting: list[Any] = [child for struct in structs for child in items(compared(struct, struct.__struct__)[0])]
    return _tracer_among(waiting)


def _tracer_among(waiting: list[Any]) -> bool:
    """Whether there is a tracer in any of the values, in a walk of its own: JAX's refuses dicts that do not sort."""
    entered: dict[int, Any] = {}
    while waiting:
        value = waiting.pop()
        if isinstance(value, jax.core.Tracer):
            return True
        parts = _parts(value)
        if parts is not None and id(value) not in entered:
            entered[id(value)] = value
            waiting.extend(parts)
    return False


def _equal_leaves(a: Any, b: Any) -> Any:
    """Whether two values are equal of which one may be an array."""
    if not (isinstance(a, _ARRAYS) or isinstance(b, _ARRAYS)):
        return False
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
    try:
        return a is b or bool(a == b)
    except Exception:
        return False


def equal_values(values: tuple[Any, ...], others: tuple[Any, ...]) -> Any:
    """Whether two tuples of fields are equal as Python's tuples are, but arrays by shape, dtype and contents.

    A bool, or a traced boolean inside a trace; arrays raise nothing.
    """
    if SCALARS.issuperset(map(type, values)) and SCALARS.issuperset(map(type, others)):
        return values == others
    verdict: Any = True
    for a, b in zip(values, others):
        same = _equal_as_python(a, b)
        verdict = same if verdict is True or same is False else jnp.logical_and(verdict, same)
        if same is False:
            break
    traced = isinstance(verdict, bool) and _tracer_among([*values, *others])
    return jnp.asarray(verdict) if traced else verdict


def _equal_as_python(a: Any, b: Any) -> Any:
    if a is b and not _is_node(a):
        return True
    arrays = isinstance(a, _ARRAYS) or isinstance(b, _ARRAYS)
    if arrays and not np.ndim(a) == np.ndim(b) == 0:
        return _equal_leaves(a, b)
    try:
        same = a == b
        return same if isinstance(same, jax.core.Tracer) else bool(same)
    except RecursionError:
        raise
    except Exception:
        # An array in a container has no truth value.
        return _equal_in_turn([(a, b)])


def equal_callables(self: Any, other: Any) -> Any:
    """Whether two structs that can be called compute the same: a bool, inside a trace too.

    Every field counts: numbers by type and sign, arrays by dtype, weak type and contents, tracers by identity, dicts
    with the order of their keys, and what has no hash by identity.
    """
    if type(self) is not type(other):
        return NotImplemented
    if self is other:
        return True
    # Not this one's own `==`: that is what may be calling.
    waiting = [*zip(_parts(self) or (), _parts(other) or ())]
    entered: dict[tuple[int, int], Any] = {}
    while waiting:
        a, b = waiting.pop()
        if a is b:
            continue
        if type(a) is not type(b):
            return False
        parts, others = _parts(a), _parts(b)
        if parts is None or others is None or _has_own_equality(a):
            if not _same_leaf(a, b):
                return False
        elif len(parts) != len(others):
            return False
        elif not _met(a, b, entered):
            waiting.extend([pair for pair in zip(parts, others) if pair[0] is not pair[1]])
    return True


def _parts(value: Any) -> tuple[Any, ...] | None:
    """All that code can find in a struct, a container or another pytree node, one level down; None for a leaf."""
    kind = type(value)
    if kind in SCALARS:
        return None
    if isinstance(value, Flat):
        children, aux = value.__flat__
        return (*items(children), *items(aux))
    if kind in (list, tuple):
        return tuple(value)
    if kind in _DICTS:
        # In their own order: JAX sorts the keys, which not all keys allow, and a program may read it.
        return (*value, *value.values(), getattr(value, "default_factory", None))
    node = None if isinstance(value, _ARRAYS) else one_level(value)
    return None if node is None else (*node[0], node[1].node_data())


def _has_own_equality(value: Any) -> bool:
    return isinstance(value, Flat) and _class_attribute(type(value), "__eq__") not in (equal, equal_callables)


def _same_leaf(a: Any, b: Any) -> bool:
    """Whether two values of one type, without parts, may stand for each other in a program."""
    if type(a) in (float, complex):
        # By what they print: 0.0 and -0.0 are equal, and a NaN is not equal to itself.
        return repr(a) == repr(b)
    if isinstance(a, jax.core.Tracer):
        return False
    if isinstance(a, _ARRAYS):
        return _same_array(a, b)
    return _equal_opaque(a, b) if _has_own_equality(a) else _equal_opaque(of_its_own(a), of_its_own(b))


def _same_array(a: Any, b: Any) -> bool:
    try:
        if _form(a) != _form(b) or [getattr(x, "weak_type", None) for x in (a, b)].count(True) == 1:
            return False
        if getattr(a, "sharding", None) != getattr(b, "sharding", None):
            return False
        x, y = (a, b) if isinstance(a.dtype, np.dtype) else (jax.random.key_data(a), jax.random.key_data(b))
        return np.asarray(x).tobytes() == np.asarray(y).tobytes()
    except Exception:
        return False


def hash_struct(self: Any) -> int:
    """The hash of the statics and the data.

    Raises:
        UnhashableFieldError: a field's value is unhashable, such as an array.
    """
    plan: ClassPlan = self.__struct__
    if plan.callable:
        # A `__hash__` of the user's came here through `super()`.
        return hash_callable(self)
    children, aux = self.__flat__ if plan.hashes_all else _hashed(self)
    for child in children:
        if type(child) not in SCALARS:
            return _hash_nested(self)
    # A list, in a constructor.
    return hash((children if type(children) is tuple else items(children), aux))


def _hashed(self: Any) -> tuple[tuple[Any, ...], Any]:
    """What `hash` looks at: children and aux."""
    plan: ClassPlan = self.__struct__
    if plan.hashes_all:
        children, aux = self.__flat__
        return items(children), aux
    names = [name for name, f in plan.fields.items() if (f.compare if f.hash is None else f.hash)]
    statics = tuple([getattr(self, name) for name in plan.static_names if name in names])
    return tuple([getattr(self, name) for name in plan.data_names if name in names]), statics


def _hash_nested(root: Any) -> int:
    """The hash of a struct with structs in it, innermost first: an inner one counts by its hash."""
    entered: list[tuple[Any, Any, list[Any]]] = [(root, iter(_hashed(root)[0]), [])]
    while True:
        struct, pending, hashes = entered[-1]
        for child in pending:
            if type(child) in SCALARS:
                hashes.append(child)
            elif _is_hashed_by_content(child):
                entered.append((child, iter(_hashed(child)[0]), []))
                break
            else:
                hashes.append(_hash_child(struct, child))
        else:
            entered.pop()
            found = hash((tuple(hashes), _hashed(struct)[1]))
            if not entered:
                return found
            entered[-1][2].append(found)


def _is_hashed_by_content(value: Any) -> bool:
    # One that can be called too, as a field of another struct.
    return isinstance(value, Flat) and _class_attribute(type(value), "__hash__") in (hash_struct, hash_callable)


def _hash_child(struct: Any, child: Any) -> int:
    try:
        return _hash_tree(child)
    except UnhashableFieldError:
        # Of a struct further in.
        raise
    except (TypeError, RecursionError) as error:
        plan: ClassPlan = struct.__struct__
        name = next((name for name in plan.data_names if getattr(struct, name) is child), "")
        too_deep = isinstance(error, RecursionError)
        raise UnhashableFieldError(plan.name, name, type(child).__name__, too_deep) from None


def _hash_tree(value: Any) -> int:
    """The hash of a value, in one walk; as in `==`, a pytree node of another library counts by its children."""
    # Structs first: asking one's class for its `__hash__` runs code of the metaclass.
    if isinstance(value, Flat):
        return _hash_nested(value) if _is_hashed_by_content(value) else hash(value)
    if type(value) in SCALARS:
        return hash(value)
    if type(value) is tuple:
        return hash(tuple(map(_hash_tree, value)))
    node = None if type(value).__hash__ is None or _is_node(value) else one_level(value)
    return hash(value) if node is None else hash((node[1], *map(_hash_tree, node[0])))


def hash_callable(self: Any) -> int:
    """The hash of a struct that can be called: arrays by identity, so that JAX's caches compare none on the host."""
    found: list[Any] = []
    waiting = [self]
    # The beginning is enough to tell most apart, and what holds itself has no end.
    while waiting and len(found) < 1000:
        value = waiting.pop()
        parts = _parts(value)
        if parts is None or _has_own_equality(value):
            found.append(_identity(value))
        else:
            found.append(type(value))
            waiting.extend(parts)
    return hash(tuple(found))


def _identity(leaf: Any) -> Any:
    """Something hashable that is the same for two leaves which may stand for each other, but for arrays."""
    if isinstance(leaf, _ARRAYS):
        return id(leaf)
    return type(leaf) if isinstance(leaf, Flat) else of_its_own(leaf)


def _ordering(qualname: str, operation: Any) -> Callable[[Any, Any], bool]:
    def compare(self: Any, other: Any) -> Any:
        if type(self) is not type(other):
            return NotImplemented
        names = [key for key, f in self.__struct__.fields.items() if f.compare]
        return operation(tuple([getattr(self, key) for key in names]), tuple([getattr(other, key) for key in names]))

    compare.__name__, compare.__qualname__ = qualname.rpartition(".")[2], qualname
    compare.__doc__ = f"Compare the fields in order, as tuples do ({operation.__name__})."
    return compare


_ORDERINGS = {f"__{name}__": getattr(operator, name) for name in ("lt", "le", "gt", "ge")}


def orderings(plan: ClassPlan, namespace: Mapping[str, Any]) -> dict[str, Any]:
    """The methods that `order=True` adds to a class.

    Raises:
        DefinitionError: the body has one of them.
    """
    for name in _ORDERINGS:
        if name in namespace:
            raise DefinitionError(plan.name, f"order=True would overwrite its {name}", "drop one of the two")
    qualname = namespace.get("__qualname__", plan.name)
    return {name: _ordering(f"{qualname}.{name}", operation) for name, operation in _ORDERINGS.items()}
