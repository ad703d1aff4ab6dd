"""Static values: what may be one, how equal ones of different types are told apart, and `freeze`.

The aux half of a flat form is a tuple of static values, to which JAX applies `==` when it looks for a compiled
function. For Python `1 == True == 1.0` and `0.0 == -0.0`, but each of them can trace to another program. So the first
item of the tuple is `(names, tags)`, with a tag for each value, or the names alone where no value needs a tag. It comes
first because a tuple compares its items in order: values are compared only where their types are the same, so a type
whose `==` is no bool for strangers, as numpy's scalars, does no harm. The names are there for people: JAX prints aux in
its messages about structures that differ.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import operator
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar, overload

import jax
import jax.core
import numpy as np

from structkit.errors import FreezeError, StaticValueError, UnhashableFieldError, a_type

_T = TypeVar("_T")

PLAIN = frozenset({int, str, bytes, type(None), type, type(...)})
"""Exact types whose values are hashable, and never equal to a value of another exact type in this set."""

SCALARS = frozenset({bool, int, float, complex, str, bytes, type(None)})
"""Exact types of leaves that are compared, hashed and printed as Python does it."""


def pack_statics(struct: str, names: tuple[str, ...], values: tuple[Any, ...]) -> tuple[Any, ...]:
    """The aux half of a flat form: names (and tags), then the values; `()` for a class without static fields."""
    if not values:
        return ()
    if PLAIN.issuperset(map(type, values)):
        return names, *values
    tags = tuple([None if type(value) in PLAIN else _tag(struct, name, value) for name, value in zip(names, values)])
    return (names if tags.count(None) == len(tags) else (names, tags)), *values


def unpack_statics(aux: tuple[Any, ...]) -> list[tuple[Any, Any]]:
    """A pair for each value of an aux, with the tag that tells it from equal values of other types."""
    head, *values = aux or ((),)
    # The names alone are a tuple of texts; with tags, the first item is a tuple.
    tags = head[1] if head and isinstance(head[0], tuple) else [None] * len(values)
    return [*zip(tags, values)]


def _tag(struct: str, field: str, value: Any) -> Any:
    try:
        return _tag_of(value)
    except _Unfit as unfit:
        what, cure = unfit.what, unfit.cure
        if unfit.value is not value:
            what = f"{a_type(value)} with {what} in it"
    except RecursionError:
        what, cure = f"{a_type(value)} that is nested too deeply", "use a data field"
    raise StaticValueError(struct, field, what, cure)


class _Unfit(Exception):
    def __init__(self, value: Any, what: str, cure: str):
        self.value, self.what, self.cure = value, what, cure


def _tag_of(value: Any) -> Any:
    """What tells `value` from equal values of other types: None where nothing has to."""
    cls: Any = type(value)
    if cls in PLAIN:
        return None
    special = _SPECIAL_TAGS.get(cls)
    if special is not None:
        return special(value)
    _refuse_hidden_data(value)
    if cls.__eq__ is object.__eq__ and cls.__hash__ is not None and not hasattr(cls, "__struct__"):
        return None
    # Its items first: they say better what is wrong.
    items = tuple(map(_tag_of, value)) if isinstance(value, tuple) else ()
    _check_hashable(value)
    _check_equality(value)
    if isinstance(value, np.generic):
        return cls, value.tobytes()
    for kind in (float, complex, frozenset):
        if isinstance(value, kind):
            return cls, _SPECIAL_TAGS[kind](value)
    if isinstance(value, tuple):
        return cls, *items
    if dataclasses.is_dataclass(cls):
        # A struct or a dataclass, whose own `==` says nothing of types, nor of fields that do not compare.
        children, aux = getattr(value, "__flat__", ((), ()))
        if isinstance(children, list):
            what = f"{a_type(value)} under construction"
            raise _Unfit(value, what, "it still changes; store it when it is made")
        # What a struct has told apart already stands at the head of its aux.
        fields: Any = dataclasses.fields(cls)
        return cls, *aux[:1], *[_tag_of_field(value, f) for f in fields if not (aux and f.compare and f.static)]
    return cls


def _tag_of_field(owner: Any, field: dataclasses.Field[Any]) -> Any:
    item = getattr(owner, field.name, None)
    if not field.compare and not isinstance(item, jax.Array):
        return of_its_own(item)
    try:
        return _tag_of(item)
    except _Unfit:
        # An ordinary dataclass that has a hash although it holds a dict or a numpy array says itself what is equal.
        if type(item).__hash__ is None and not isinstance(item, jax.Array) and not hasattr(type(owner), "__struct__"):
            return None
        raise


def of_its_own(item: Any) -> Any:
    """Something that is equal for the same value only, where `==` of its owner does not look at it."""
    try:
        return item, _tag_of(item)
    except _Unfit:
        return id(item)


def _refuse_hidden_data(value: Any) -> None:
    """Refuse a function that holds data: no transformation would see the data.

    That is a method of an object with data, or such an object in a `functools.partial` or in what `jax.jit` made of it.
    """
    cure = "JAX would not see the data in it; keep the function alone, or call the method where it is needed"
    functions = [value]
    # Not without end: an object may answer any name, `__wrapped__` too.
    for function in itertools.islice(functions, 20):
        held = _held_by(function)
        functions.extend(held)
        for item in held:
            if type(item) not in _HARMLESS and _holds_data(item):
                what = f"a function around data, {a_type(item)}"
                if isinstance(function, _METHODS):
                    what = f"{type(item).__name__}.{function.__name__}, a method of an object that holds data"
                raise _Unfit(value, what, cure)


# Numbers and texts, and functions that say themselves what they are made of.
_HARMLESS = SCALARS | {types.FunctionType, type(jax.jit(len)), jax.custom_jvp, jax.custom_vjp}


_METHODS = (types.MethodType, types.BuiltinMethodType, types.MethodWrapperType)


def _held_by(function: Any) -> tuple[Any, ...]:
    if isinstance(function, _METHODS):
        return (function.__self__,)
    if isinstance(function, functools.partial):
        return function.func, *function.args, *function.keywords.values()
    try:
        wrapped = getattr(function, "__wrapped__", None)
    except Exception:
        # Code of the value's class may raise anything.
        wrapped = None
    return () if wrapped is None else (wrapped,)


def _holds_data(owner: Any) -> bool:
    plan = getattr(type(owner), "__struct__", None)
    if plan is not None:
        # Not by its leaves: it may be under construction.
        return bool(plan.data_names) or isinstance(getattr(owner, "__flat__", ((),))[0], list)
    leaves = jax.tree.leaves(owner)
    is_container = isinstance(owner, (list, tuple, dict)) or (len(leaves) == 1 and leaves[0] is owner)
    return any([isinstance(leaf, jax.Array) or not is_container for leaf in leaves])


def _tag_of_float(value: float) -> str:
    if value != value:
        raise _Unfit(value, "NaN", "it equals nothing, so every call would be traced anew; use a data field or None")
    return "-0.0" if value == 0 and math.copysign(1, value) < 0 else "float"


def _tag_of_tuple(value: tuple[Any, ...]) -> tuple[Any, ...] | None:
    tags = tuple([_tag_of(item) for item in value])
    return None if tags.count(None) == len(tags) else ("tuple", tags)


def _tag_of_frozenset(value: frozenset[Any]) -> frozenset[Any] | None:
    tags = frozenset((item, _tag_of(item)) for item in value)
    return None if all(tag is None for _, tag in tags) else tags


def _tag_of_range(value: Any) -> Any:
    _check_hashable(value)
    return (type(value).__name__, *[of_its_own(part) for part in (value.start, value.stop, value.step)])


_SPECIAL_TAGS: dict[type, Callable[[Any], Any]] = {
    bool: lambda value: "bool",
    float: _tag_of_float,
    complex: lambda value: ("complex", _tag_of_float(value.real), _tag_of_float(value.imag)),
    tuple: _tag_of_tuple,
    frozenset: _tag_of_frozenset,
    slice: _tag_of_range,
    range: _tag_of_range,
    types.FunctionType: lambda value: _refuse_hidden_data(value) if value.__dict__ else None,
    # A function of a module has the module for its object.
    types.BuiltinMethodType: _refuse_hidden_data,
}


def _check_hashable(value: Any) -> None:
    try:
        hash(value)
    except TypeError as error:
        what, cure = f"an unhashable {type(value).__name__}", "use a data field, or give its class __hash__ and __eq__"
        if isinstance(error, UnhashableFieldError):
            what, cure = f"{a_type(value)}, whose field {error.field!r} has no hash", _FREEZE.format("")
        known = next(((what, cure) for kind, what, cure in _KNOWN_UNFIT if isinstance(value, kind)), (what, cure))
        raise _Unfit(value, *known) from None


_FREEZE = "use a data field, {}or static(converter=freeze)"
_KNOWN_UNFIT: tuple[tuple[type, str, str], ...] = (
    (jax.core.Tracer, "a tracer", "values that depend on traced arrays belong in a data field"),
    (jax.Array, "a jax array", "arrays belong in a data field: drop static"),
    (np.ndarray, "a numpy array", _FREEZE.format("")),
    (list, "a list", _FREEZE.format("a tuple, ")),
    (dict, "a dict", _FREEZE.format("")),
    (set, "a set", _FREEZE.format("a frozenset, ")),
    (bytearray, "a bytearray", "use a data field or bytes"),
    # Before Python 3.12 every one.
    (slice, "an unhashable slice", "use a tuple of its start, stop and step"),
)


def _check_equality(value: Any) -> None:
    cure = "use a data field"
    try:
        same = value == value
        what = f"whose == gives {a_type(same)}, not a bool"
        if isinstance(same, bool | np.bool_):
            what, cure = "that is not equal to itself", "every call would be traced anew; use a data field"
            if same:
                return
    except Exception as error:
        what = f"whose == raises {type(error).__name__}"
    raise _Unfit(value, f"{a_type(value)} {what}", cure)


class FrozenDict(Mapping[Any, Any]):
    """A hashable mapping, compared by content; made by `freeze`.

    Iterates in sorted order of the keys (by type and repr where they do not sort), so that equal mappings also trace
    to equal programs.
    """

    __slots__ = ("_entries", "_items")

    def __init__(self, items: Mapping[Any, Any]):
        alike = len(set(map(type, items))) == 1 and type(next(iter(items))) in (str, int, float, bytes)
        order = sorted(items) if alike else sorted(items, key=lambda key: (type(key).__qualname__, repr(key)))
        self._items: dict[Any, Any] = {}
        entries: list[Any] = []
        for key in order:
            try:
                self._items[key] = value = _frozen(items[key])
                # The tags first: of values that differ in type, numpy's scalars compare with a tuple item by item.
                entries.append((_tag_of(key), _tag_of(value), key, value))
            except (FreezeError, _Unfit) as error:
                entry = getattr(error, "entry", None)
                raise FreezeError(key if entry is None else entry, error.what, error.cure) from None
        self._entries = frozenset(entries)

    def __getitem__(self, key: Any) -> Any:
        return self._items[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return hash(self._entries)

    def __eq__(self, other: object) -> bool:
        return self._entries == other._entries if isinstance(other, FrozenDict) else NotImplemented

    def __reduce__(self) -> Any:
        return FrozenDict, (self._items,)

    def __repr__(self) -> str:
        return f"freeze({self._items!r})"


class FrozenArray:
    """A hashable numpy array, compared by shape, dtype and bytes; made by `freeze`.

    `numpy.asarray` and `jax.numpy.asarray` take it; `.array` is the read-only array.
    """

    __slots__ = ("_key",)

    # Without it, the == of a numpy scalar would compare element by element.
    __array_ufunc__ = None

    def __init__(self, array: np.ndarray[Any, Any]):
        if array.dtype.hasobject:
            raise FreezeError(None, "an array of objects", "use a tuple")
        if isinstance(array, np.ma.MaskedArray):
            raise FreezeError(None, "a masked array", "freeze its data and its mask")
        self._key = array.shape, array.dtype, array.tobytes()

    @property
    def array(self) -> np.ndarray[Any, Any]:
        """The contents; read-only."""
        return np.ndarray(*self._key)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        return np.array(self.array, dtype, copy=copy)

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return self._key == other._key if isinstance(other, FrozenArray) else NotImplemented

    def __reduce__(self) -> Any:
        return FrozenArray, (self.array,)

    def __repr__(self) -> str:
        return f"freeze({self.array!r})"


@overload
def freeze(value: list[_T]) -> tuple[_T, ...]: ...
@overload
def freeze(value: set[_T]) -> frozenset[_T]: ...
@overload
def freeze(value: dict[Any, Any]) -> FrozenDict: ...
@overload
def freeze(value: np.ndarray[Any, Any] | jax.Array) -> FrozenArray: ...
@overload
def freeze(value: _T) -> _T: ...
def freeze(value: Any) -> Any:
    """A hashable value with the same content, fit for a static field.

    Lists become tuples, sets frozensets, dicts a `FrozenDict`, arrays of numpy and JAX a `FrozenArray`, at every depth,
    in structs and other pytree nodes too; anything else is returned as it is.

    Args:
        value: any value. Containers are copied.

    Raises:
        FreezeError: there is a value without a frozen form in it, such as a tracer.

    Example:
        >>> from structkit import freeze
        >>> freeze({"sizes": [1, 2]})
        freeze({'sizes': (1, 2)})
    """
    try:
        return _frozen(value)
    except RecursionError:
        raise FreezeError(None, f"{a_type(value)} that is nested too deeply", "use a data field") from None


def _frozen(value: Any) -> Any:
    if isinstance(value, jax.core.Tracer):
        raise FreezeError(None, "a tracer", "it has no value yet; freeze outside of jit, or use a data field")
    if isinstance(value, jax.Array):
        if not isinstance(value.dtype, np.dtype):
            raise FreezeError(None, "a random key", "use its jax.random.key_data, or a data field")
        value = np.asarray(value)
    if isinstance(value, np.ndarray):
        return FrozenArray(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(_frozen, value))
    if isinstance(value, (list, tuple)):
        return tuple(map(_frozen, value))
    if isinstance(value, (set, frozenset)):
        return frozenset(map(_frozen, value))
    if isinstance(value, dict):
        return FrozenDict(value)
    children, treedef = one_level(value) or ([], None)
    found = [*map(_frozen, children)]
    return value if treedef is None or all(map(operator.is_, found, children)) else treedef.unflatten(found)


def one_level(value: Any) -> tuple[list[Any], Any] | None:
    """The children of a pytree node and the structure over them; None for a leaf.

    Where depth is not known this is the way: JAX's own walk ends with a SystemError where recursion does.
    """
    children, treedef = jax.tree.flatten(value, is_leaf=lambda inner: inner is not value)
    return None if len(children) == 1 and children[0] is value else (children, treedef)
