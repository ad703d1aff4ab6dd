"""Equality, order and hashing of structs, and whether a field has its default.

For most classes two objects are equal when their contents are. A struct that can be called is a function to JAX, which
keeps compiled programs by `==` and `hash` of functions: there, two objects are equal only if they compute the same.
So one walk compares and one hashes, each by content or by program. They are loops with a stack of their own, so that
depth costs no recursion.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from structkit._bridges import untraced
from structkit._core.fields import MISSING, Field
from structkit._core.flat import Flat, items
from structkit._core.plan import ClassPlan, class_dict
from structkit._core.statics import SCALARS, of_its_own, one_level, pack_statics
from structkit.errors import DefinitionError, UnhashableFieldError

_ARRAYS: tuple[type[Any], ...] = (jax.Array, np.ndarray, np.generic)
_LEAVES: tuple[type[Any], ...] = (*_ARRAYS, bool, int, float, complex)
_BOOLS: tuple[type[Any], ...] = (bool, np.bool_)

_Rule = Callable[[Any], tuple[Any, Any]]


def equal(self: Any, other: Any, by_contents: bool = False) -> Any:
    """Whether both are of one class, with equal statics and leaves: a bool, or a traced boolean inside a trace.

    Structs that can be called are equal if they compute the same, which is a bool inside a trace too. There every field
    counts: numbers by type and sign, arrays by dtype, weak type and contents, tracers by identity, dicts with the order
    of their keys, and what has no hash by identity. `by_contents` compares them as any struct.
    """
    if type(self) is not type(other):
        return NotImplemented
    if self.__struct__.callable and not by_contents:
        if self is other:
            return True
        # Not by its own `==`: that is what may be calling.
        same = self.__flat__[1] == other.__flat__[1]
        return same and _all(_verdicts([*zip(_data(self), _data(other))], _program))
    waiting: list[tuple[Any, Any]] = []
    verdict: Any = _compare_structs(self, other, waiting)
    if verdict and waiting:
        verdict = _all(_verdicts(waiting, _compared))
    return _as_traced(False, [*_data(self), *_data(other)]) if verdict is False else verdict


def not_equal(self: Any, other: Any) -> Any:
    """The negation of `==`, also inside a trace."""
    result = self.__eq__(other)
    if result is NotImplemented:
        return result
    return jnp.logical_not(result) if isinstance(result, jax.Array) else not result


def equal_values(values: tuple[Any, ...], others: tuple[Any, ...]) -> Any:
    """Whether two tuples of fields are equal as Python's tuples are, but arrays by shape, dtype and contents.

    A bool, or a traced boolean inside a trace; arrays raise nothing.
    """
    if SCALARS.issuperset(map(type, values)) and SCALARS.issuperset(map(type, others)):
        return values == others
    return _as_traced(_all(_as_python([*zip(values, others)][::-1])), [*values, *others])


def _as_python(waiting: list[tuple[Any, Any]]) -> Iterator[Any]:
    """Whether the two of each pair are equal as Python says, and of each pair further in.

    Lists, tuples and dicts are gone into: by their own `==` an array in them would raise, after what stands before it
    was compared in vain, and so at each level.
    """
    entered: dict[tuple[int, int], Any] = {}
    while waiting:
        a, b = waiting.pop()
        if a is b:
            yield True
        elif (pairs := _pairs(a, b)) is None:
            yield _equal_as_python(a, b)
        elif (id(a), id(b)) not in entered:
            # Of what may hold itself; kept, so that no other object gets the same id meanwhile.
            entered[id(a), id(b)] = a, b
            waiting.extend(pairs[::-1])


def _pairs(a: Any, b: Any) -> list[tuple[Any, Any]] | None:
    """What stands in the same places of two containers; None for other values, whose `==` is asked.

    These are lists, tuples and dicts, and nodes of other libraries that hold arrays.
    """
    equalities: list[Any] = [type(a).__eq__, type(b).__eq__]
    kind: Any = next((kind for kind in (list, tuple, dict) if equalities == [kind.__eq__] * 2), None)
    if kind is None:
        return _node_pairs(a, b)
    # By the methods of the kind, as its `==` goes, whatever a subclass has put in their places.
    held, others = (dict.values(a), dict.values(b)) if kind is dict else (kind.__iter__(a), kind.__iter__(b))
    held, others = [*held], [*others]
    if SCALARS.issuperset(map(type, held)) and SCALARS.issuperset(map(type, others)):
        return None
    if len(held) != len(others) or (kind is dict and dict.keys(a) != dict.keys(b)):
        return [(True, False)]
    return [*zip(held, [dict.__getitem__(b, key) for key in dict.keys(a)] if kind is dict else others)]


# Whose `==` says itself what is equal, or is by identity.
_OF_THEIR_OWN: tuple[Any, ...] = (*_ARRAYS, *SCALARS, Flat)


def _node_pairs(a: Any, b: Any) -> list[tuple[Any, Any]] | None:
    by_identity: Any = object.__eq__
    if type(a) is not type(b) or isinstance(a, _OF_THEIR_OWN) or _is_node(a) or type(a).__eq__ is by_identity:
        return None
    try:
        level, other = one_level(a), one_level(b)
    except Exception:
        # What takes it apart is user code.
        return None
    if level is None or other is None or not _among([*level[0], *other[0]], _ARRAYS):
        return None
    return [*zip(level[0], other[0])] if level[1] == other[1] else [(True, False)]


def _equal_as_python(a: Any, b: Any) -> Any:
    arrays = [value for value in (a, b) if isinstance(value, _ARRAYS)]
    if not arrays:
        return _by_own_equality(a, b)
    numbers = isinstance(a, _LEAVES) and isinstance(b, _LEAVES)
    if not numbers or any([array.shape or not isinstance(array.dtype, np.dtype) for array in arrays]):
        return _equal_arrays(a, b)
    if isinstance(a, jax.core.Tracer) or isinstance(b, jax.core.Tracer):
        return a == b
    try:
        x, y = [np.asarray(value)[()] if isinstance(value, _ARRAYS) else value for value in (a, b)]
        return bool(x == y)
    except Exception:
        # Deleted (donated), or elsewhere.
        return _equal_arrays(a, b)


def _by_own_equality(a: Any, b: Any) -> Any:
    same = a == b
    return same if isinstance(same, jax.core.Tracer) else bool(same)


def _all(verdicts: Iterable[Any]) -> Any:
    """Whether all hold: False at the first one that does not, traced where one of them is."""
    traced: list[Any] = []
    for verdict in verdicts:
        if not isinstance(verdict, _BOOLS):
            traced.append(verdict)
        elif not verdict:
            return False
    return functools.reduce(jnp.logical_and, traced) if traced else True


def _as_traced(verdict: Any, compared: list[Any]) -> Any:
    """An answer that is known, as an array inside a trace: a caller may write `~(a == b)`."""
    known = not isinstance(verdict, bool) or untraced()
    return verdict if known or not _among(compared, jax.core.Tracer) else jnp.asarray(verdict)


def _among(waiting: list[Any], kinds: Any) -> bool:
    """Whether there is an array of these kinds in any of the values, in a walk of its own: JAX's refuses some dicts."""
    entered: dict[int, Any] = {}
    while waiting:
        value = waiting.pop()
        if isinstance(value, kinds):
            return True
        if isinstance(value, _ARRAYS) or id(value) in entered:
            continue
        entered[id(value)] = value
        waiting.extend(_held(value))
    return False


def _held(value: Any) -> Iterable[Any]:
    """What a node holds, whatever its class says of `==`: the answer may be traced all the same."""
    if isinstance(value, Flat):
        return _data(value)
    if _is_node(value):
        return [getattr(value, f.name, None) for f in dataclasses.fields(value) if f.compare]
    try:
        level = _level(value, _program)
    except Exception:
        # What takes it apart is user code.
        level = None
    return () if level is None else level[1]


# The rules, by what of a struct counts: `_program` for callables; by content `_compared` or `_hashed`.
_program: _Rule = operator.attrgetter("__flat__")


def _data(struct: Any) -> tuple[Any, ...]:
    return items(struct.__flat__[0])


def _compared(self: Any) -> tuple[Any, Any]:
    return _program(self) if self.__struct__.compares_all else _chosen(self, lambda f: f.compare)


def _hashed(self: Any) -> tuple[Any, Any]:
    everything = self.__struct__.hashes_all
    return _program(self) if everything else _chosen(self, lambda f: f.compare if f.hash is None else f.hash)


def _chosen(self: Any, counts: Callable[[Field], Any]) -> tuple[Any, Any]:
    """The flat form of a struct as if it had no other fields."""
    plan: ClassPlan = self.__struct__
    chosen = {name: getattr(self, name) for name, f in plan.fields.items() if counts(f)}
    statics = {name: value for name, value in chosen.items() if plan.fields[name].static}
    data = tuple([value for name, value in chosen.items() if name not in statics])
    return data, pack_statics(plan.name, tuple(statics), tuple(statics.values()))


def _compare_structs(a: Any, b: Any, waiting: list[tuple[Any, Any]]) -> bool:
    """Whether two structs of one class can be equal; what is no number or text of both is left to compare."""
    # Spelt out, since two calls of `_compared` would take a third of the time.
    if a.__struct__.compares_all:
        (children, aux), (others, other_aux) = a.__flat__, b.__flat__
    else:
        (children, aux), (others, other_aux) = _compared(a), _compared(b)
    # Not `!=`, for which an item may have a method of its own.
    same = aux == other_aux
    if not same:
        return False
    # Not by `==` of the tuples: for that, a NaN which is in both of them is equal to itself.
    for child, other in zip(children, others):
        kind = type(child)
        if kind is not type(other) or kind not in SCALARS:
            waiting.append((child, other))
        elif child != other:
            return False
    return True


def _verdicts(waiting: list[tuple[Any, Any]], rule: _Rule) -> Iterator[Any]:
    """Whether the two of each pair are equal, and of each pair further in."""
    entered: dict[tuple[int, int], Any] = {}
    while waiting:
        a, b = waiting.pop()
        kind = type(a)
        if rule is _program and a is b:
            # A program was made of what an array of numpy held then.
            yield not (isinstance(a, np.ndarray) and a.flags.writeable)
            continue
        if kind is not type(b):
            yield rule is not _program and _equal_arrays(a, b)
        elif kind in SCALARS:
            # By program, by what they print: 0.0 and -0.0 are equal, and a NaN is not equal to itself.
            yield a == b if rule is _compared else repr(a) == repr(b)
        elif rule is _compared and isinstance(a, Flat) and a.__struct__.frozen and not _decides(a, rule):
            yield _compare_structs(a, b, waiting)
        elif isinstance(a, _ARRAYS):
            yield _equal_arrays(a, b, exact=rule is _program)
            # A program is also made for where its arrays are.
            yield rule is not _program or getattr(a, "sharding", None) == getattr(b, "sharding", None)
        elif (level := _level(a, rule, a)) is None or (other := _level(b, rule, a)) is None:
            yield _equal_opaque(a, b, rule)
        elif (id(a), id(b)) not in entered:
            # Of what may hold itself; kept, so that no other object gets the same id meanwhile.
            entered[id(a), id(b)] = a, b
            # Not `!=`, for which an item may have a method of its own.
            same = level[0] == other[0]
            waiting.extend(zip(level[1], other[1]) if same else ())
            yield same


def _level(value: Any, rule: _Rule, like: Any = None) -> tuple[Any, Iterable[Any]] | None:
    """What a node is apart from its parts, and the parts; None for what is compared and hashed as a whole.

    By content, the values of a dict are in the order of the keys of `like`.
    """
    if type(value) in SCALARS:
        return None
    if isinstance(value, Flat):
        if _decides(value, rule):
            return None
        children, aux = rule(value)
        return aux, items(children)
    if type(value) in (list, tuple):
        return len(value), value
    if type(value) in (dict, collections.defaultdict):
        factory = getattr(value, "default_factory", None)
        if rule is _program:
            # In their own order: JAX sorts the keys, which not all keys allow, and a program may read it.
            return len(value), (*value, *value.values(), factory)
        return (factory, value.keys()), map(value.get, like)
    node = None if _is_node(value) and rule is not _program else one_level(value)
    if node is None:
        return None
    children, treedef = node
    return (len(children), (*children, treedef.node_data())) if rule is _program else (treedef, children)


# `cls.__eq__` would go through the metaclass, which serves the defaults of fields in Python code.
_class_attribute: Callable[[Any, str], Any] = type.__getattribute__


def _decides(struct: Any, rule: _Rule) -> bool:
    """Whether its class has an `__eq__` of its own, or a `__hash__` where that is what is asked for."""
    return _class_attribute(type(struct), "__hash__" if rule is _hashed else "__eq__") not in _OURS


def _is_node(value: Any) -> bool:
    """Whether it is an object of `structkit.struct`, whose class says what is equal."""
    return "__node__" in class_dict(type(value))


def _equal_opaque(a: Any, b: Any, rule: _Rule) -> Any:
    """Whether two values of one type are equal of which that is all that is known."""
    if rule is not _program:
        # What the `==` of a user's class raises is the user's to see.
        alike = a is b and not isinstance(a, Flat) and not _is_node(a)
        return alike or _by_own_equality(a, b)
    if not isinstance(a, Flat):
        a, b = of_its_own(a), of_its_own(b)
    try:
        return a is b or bool(a == b)
    except RecursionError:
        raise
    except Exception:
        # To JAX, which looks for a compiled function, what cannot be compared is another thing.
        return False


def _equal_arrays(a: Any, b: Any, exact: bool = False) -> Any:
    """Whether two arrays, or an array and a number, have the same shape, dtype and contents; False for all others.

    `exact` is by weak types and bits, too, and says of no traced array that it is equal.
    """
    one_is_array = isinstance(a, _ARRAYS) or isinstance(b, _ARRAYS)
    if not (one_is_array and isinstance(a, _LEAVES) and isinstance(b, _LEAVES)):
        return False
    form = _form(a, exact)
    traced = isinstance(a, jax.core.Tracer) or isinstance(b, jax.core.Tracer)
    if form != _form(b, exact) or (traced and exact):
        return False
    if traced:
        return jnp.all(jnp.equal(a, b))  # pyright: ignore[reportUnknownArgumentType]  # JAX 0.12 makes Tracer generic
    try:
        # The dtypes of random keys are JAX's own.
        x, y = map(np.asarray, (a, b) if isinstance(form[1], np.dtype) else map(jax.random.key_data, (a, b)))
        return x.tobytes() == y.tobytes() if exact else bool((x == y).all())
    except Exception:
        # Deleted (donated) and non-addressable arrays have no contents to look at here.
        return a is b


def _form(value: Any, exact: bool) -> tuple[Any, ...]:
    """The shape and dtype of an array or a number, and whether its type is weak where that matters."""
    form = (value.shape, value.dtype) if isinstance(value, _ARRAYS) else ((), jnp.result_type(value))
    return (*form, getattr(value, "weak_type", None)) if exact else form


def hash_struct(self: Any) -> int:
    """The hash of the statics and the data.

    Of structs that can be called, arrays by identity, so that JAX's caches compare none on the host; where the class
    says what is equal, the class alone.
    """
    plan: ClassPlan = self.__struct__
    if plan.callable:
        return hash(type(self)) if _decides(self, _program) else _hash(self, _program)
    children, aux = self.__flat__ if plan.hashes_all else _hashed(self)
    for child in children:
        if type(child) not in SCALARS:
            return _hash(self, _hashed)
    # A list, in a constructor.
    return hash((children if type(children) is tuple else items(children), aux))


_OURS = (equal, hash_struct)
# The beginning of a program is enough to tell most apart, and what holds itself has no end.
_ENOUGH = 1000


def _hash(struct: Any, rule: _Rule) -> int:
    """The hash of all the leaves in a row, with what each node is apart from its parts before them."""
    children, aux = rule(struct)
    found: list[Any] = []
    path: list[tuple[Any, Iterator[Any]]] = [(struct, iter(items(children)))]
    while path:
        for value in path[-1][1]:
            if type(value) in SCALARS and rule is _hashed:
                found.append(value)
                continue
            if rule is _program and len(found) >= _ENOUGH:
                return hash((tuple(found), aux))
            try:
                by_program = rule is _program
                whole = isinstance(value, _ARRAYS) if by_program else _class_attribute(type(value), "__hash__") is None
                level = None if whole else _level(value, rule)
                if level is None:
                    found.append(_identity(value) if by_program else hash(value))
                    continue
                found.append(hash(level[0]))
            except UnhashableFieldError:
                # Of a struct further in.
                raise
            except (TypeError, RecursionError) as error:
                raise _unhashable([*[node for node, _ in path], value], error) from None
            path.append((value, iter(level[1])))
            break
        else:
            path.pop()
    return hash((tuple(found), aux))


def _identity(leaf: Any) -> Any:
    """Something hashable that is the same for two leaves which may stand for each other, but for arrays."""
    if isinstance(leaf, _ARRAYS):
        return id(leaf)
    return type(leaf) if isinstance(leaf, Flat) else of_its_own(leaf)


def _unhashable(path: list[Any], error: Exception) -> UnhashableFieldError:
    """The error for the last value of a path, with the field of the innermost struct that holds it."""
    i = max(i for i, value in enumerate(path[:-1]) if isinstance(value, Flat))
    plan: ClassPlan = path[i].__struct__
    name = next((name for name in plan.data_names if getattr(path[i], name) is path[i + 1]), "")
    return UnhashableFieldError(plan.name, name, type(path[i + 1]).__name__, isinstance(error, RecursionError))


def _ordering(qualname: str, operation: Any) -> Callable[[Any, Any], bool]:
    def compare(self: Any, other: Any) -> Any:
        if type(self) is not type(other):
            return NotImplemented
        names = [key for key, f in self.__struct__.fields.items() if f.compare]
        return operation(*[tuple([getattr(struct, key) for key in names]) for struct in (self, other)])

    compare.__name__, compare.__qualname__ = qualname.rpartition(".")[2], qualname
    compare.__doc__ = f"Compare the fields in order, as tuples do ({operation.__name__})."
    return compare


def orderings(plan: ClassPlan, namespace: Mapping[str, Any]) -> dict[str, Any]:
    """The methods that `order=True` adds to a class."""
    qualname = namespace.get("__qualname__", plan.name)
    methods: dict[str, Any] = {}
    for operation in (operator.lt, operator.le, operator.gt, operator.ge):
        name = f"__{operation.__name__}__"
        if name in namespace:
            raise DefinitionError(plan.name, f"order=True would overwrite its {name}", "drop one of the two")
        methods[name] = _ordering(f"{qualname}.{name}", operation)
    return methods


# A factory may count, or draw random numbers; these make the same each time.
_FACTORIES = (list, dict, set, frozenset, tuple)


def is_default(field: Any, value: Any) -> bool:
    """Whether an object has in a field its default, or what the converter makes of that; False where it is not known.

    Arrays are compared by their bits; a traced value is no default.
    """
    try:
        default = field.default_factory() if field.default_factory in _FACTORIES else field.default
        if default is MISSING:
            return False
        converter: Any = getattr(field, "converter", None)
        return _alike(value, default) or (converter is not None and _alike(value, converter(default)))
    except Exception:
        # User code, contents that are elsewhere or gone: nothing may keep an object from being shown.
        return False


def _alike(a: Any, b: Any) -> bool:
    (leaves, treedef), (others, other) = jax.tree.flatten(a), jax.tree.flatten(b)
    return bool(treedef == other) and all(map(_alike_leaves, leaves, others))


def _alike_leaves(a: Any, b: Any) -> bool:
    if type(a) is not type(b):
        return False
    if isinstance(a, _ARRAYS):
        return bool(_equal_arrays(a, b, exact=True))
    return repr(a) == repr(b) if type(a) in SCALARS else a is b or (a == b) is True
