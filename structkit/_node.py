"""The classes of `structkit.struct`: what `structs` become under the rules of flax's dataclasses.

Their dialect, their metaclass, and the base class that all of them have.
"""

from __future__ import annotations

import copy
import dataclasses
import inspect
import reprlib
import weakref
from abc import ABCMeta, update_abstractmethods
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

from structkit import _compare, _storage, update
from structkit._spec import (
    CUSTOM,
    GENERATED,
    INHERITED,
    OPTIONS,
    ClassSpec,
    Dialect,
    collect,
    empty_init,
    linearize,
    spec_of,
)
from structkit._struct import Struct, StructMeta, plan_again
from structkit._typing import any_tuple, namespace_annotations
from structkit.errors import DefinitionError, FrozenInstanceError, StructError
from structkit.pretty import plain_doc, struct_doc

# Set on each decorated class, as flax does it: code that looks for it finds it.
MARKER = "_flax_dataclass"

# The body of an undecorated subclass, in case that a decorator with options follows.
BODY = "__struct_body__"

# In the body of a class that is made anew: its bases' hooks have seen it once already.
ANEW = "__struct_anew__"

_NONE_GIVEN: Any = object()

# Values that a subclass body gives to a parent's field without an annotation: seen on the class, never on objects.
_SHADOWS = "__struct_shadows__"

_ANNOTATIONS = ("__annotations__", "__annotate__", "__annotate_func__")

# Python's and this package's own bases; among them, those whose subclasses need no decorator. Filled as they
# are made.
ROOTS: set[type] = set()
ALWAYS_DECORATED: list[type] = []


class FlaxDialect(Dialect):
    """The rules of flax's dataclasses, which are the standard library's."""

    options = (*OPTIONS, "unsafe_hash", "slots", "weakref_slot")
    checks_statics = False
    seals = False
    strict = False

    def plan(self, name: str, bases: tuple[type, ...], namespace: dict[str, Any], options: dict[str, Any]) -> ClassSpec:
        """The plan of a decorated class, or of a subclass that is not decorated."""
        if MARKER in namespace:
            spec = collect(name, bases, namespace, {"init": True, **options}, self)
        else:
            spec = _plan_undecorated(self, name, bases, namespace, options)
        if spec.init == INHERITED and not any("__init__" in base.__dict__ for base in _users(spec)):
            # Nobody wrote an `__init__`: what is left is that of `Struct`, which sets nothing.
            spec.init, spec.given_init = CUSTOM, empty_init
        return spec

    def members(self, spec: ClassSpec, namespace: dict[str, Any]) -> dict[str, Any]:
        """The methods that the standard library's decorator puts into a class, where the body has none."""
        if MARKER not in namespace:
            return {}
        options = spec.options
        found = {**_comparison(spec, namespace), **_compare.orderings(spec, namespace), **_guards(spec, namespace)}
        if options.get("repr", True):
            found["__repr__"] = _repr
        elif _first(spec, "__repr__") in ROOTS:
            found["__repr__"] = object.__repr__
        if options.get("slots"):
            found["__slots__"] = tuple(name for name in spec.fields if name in namespace_annotations(namespace))
        if not _keeps_replace(spec):
            found["replace"] = Node.__dict__["replace"]
        return {key: value for key, value in found.items() if key not in namespace and key not in spec.fields}


def _plan_undecorated(
    dialect: Dialect, name: str, bases: tuple[type, ...], namespace: dict[str, Any], options: dict[str, Any]
) -> ClassSpec:
    parents = [spec for spec in map(spec_of, linearize(bases)) if spec is not None and spec.fields]
    options = {"frozen": all(parent.frozen for parent in parents), **options}
    try:
        return collect(name, bases, namespace, options, dialect)
    except StructError:
        # A decorator with options (`kw_only=True`) may follow, or nothing: then the annotations are no fields to
        # flax either, and the class works as it does there.
        bare = {
            key: value
            for key, value in namespace.items()
            if key not in _ANNOTATIONS and not isinstance(value, dataclasses.Field)
        }
        return collect(name, bases, bare, options, dialect)


def _users(spec: ClassSpec) -> Iterator[type]:
    """The bases that are neither Python's nor this package's."""
    return (base for base in spec.mro if base not in ROOTS)


def _first(spec: ClassSpec, name: str) -> type:
    """The base from which a class would get the attribute."""
    return next(base for base in spec.mro if name in base.__dict__)


def _comparison(spec: ClassSpec, namespace: dict[str, Any]) -> dict[str, Any]:
    """`__eq__`, `__ne__` and `__hash__`, by the standard library's table."""
    eq, own_hash = spec.options.get("eq", True), namespace.get("__hash__")
    written = "__hash__" in namespace and not (own_hash is None and "__eq__" in namespace)
    found: dict[str, Any] = {}
    if eq:
        found = {"__eq__": _equal, "__ne__": _compare.not_equal}
    elif _first(spec, "__eq__") in ROOTS:
        found = {name: object.__dict__[name] for name in ("__eq__", "__ne__", "__hash__")}
        if "__eq__" in namespace:
            del found["__hash__"]
    if spec.options.get("unsafe_hash"):
        if written:
            raise DefinitionError(spec.name, "unsafe_hash=True would overwrite its __hash__", "drop one of the two")
        found["__hash__"] = _hash
    elif eq and not written:
        found["__hash__"] = _hash if spec.frozen else None
    if eq and not written:
        # Python puts None here for a body with an `__eq__`; it is not the user's word.
        namespace.pop("__hash__", None)
    return found


def _guards(spec: ClassSpec, namespace: dict[str, Any]) -> dict[str, Any]:
    if not spec.frozen:
        # Mutable objects need no guard, and assign faster without one.
        return {"__setattr__": object.__setattr__} if _first(spec, "__setattr__") in ROOTS else {}
    for name in ("__setattr__", "__delattr__"):
        if name in namespace:
            raise DefinitionError(spec.name, f"frozen=True would overwrite its {name}", "drop it, or set frozen=False")
    return {"__setattr__": Node.__dict__["__setattr__"], "__delattr__": Node.__dict__["__delattr__"]}


def _keeps_replace(spec: ClassSpec) -> bool:
    """Whether the `replace` that a class inherits is a user's own, and not that of another framework."""
    first = _first(spec, "replace")
    if first in ROOTS:
        return True
    stub = first.__name__ == "PyTreeNode"
    return not stub and (spec_of(first) is not None or "__dataclass_fields__" not in first.__dict__)


def _equal(self: Any, other: Any) -> Any:
    """Whether both are of one class and their fields are equal; arrays by shape, dtype and contents.

    Yes wherever the tuples of the fields are equal for Python (`1 == 1.0`), which is what flax's classes compare.

    Args:
        self: an object of a decorated class.
        other: anything.
    """
    if type(self) is not type(other):
        return NotImplemented
    try:
        if _compared(self) == _compared(other):
            return True
    except Exception:
        # An array of several values, or a tracer, has no truth value.
        pass
    return _compare.equal(self, other)


def _hash(self: Any) -> int:
    """The hash of the tuple of the fields; where one has none, what `Struct` makes of it."""
    try:
        return hash(tuple([getattr(self, name) for name in _compare.hashed_fields(self.__struct__)]))
    except TypeError:
        return _compare.hash_struct(self)


def _compared(self: Any) -> Any:
    spec: ClassSpec = self.__struct__
    return self.__flat__ if spec.compares_all else _compare.compared(self, spec)


@reprlib.recursive_repr()
def _repr(self: Any) -> str:
    """The qualified name and the fields, as the standard library writes a dataclass."""
    values = _storage.field_values(self)
    shown = [f"{name}={values[name]!r}" for name, f in self.__struct__.fields.items() if f.repr and name in values]
    return f"{type(self).__qualname__}({', '.join(shown)})"


_repr.__name__ = _repr.__qualname__ = "__repr__"


if TYPE_CHECKING:
    NodeMeta = ABCMeta
else:

    class NodeMeta(StructMeta):
        """The metaclass of decorated classes, of `PyTreeNode`, and of all their subclasses."""

        __dialect__ = FlaxDialect()

        def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **keywords: Any) -> Any:
            check_options(name, keywords, namespace)
            namespace = {key: value for key, value in namespace.items() if key != "__slots__"}
            if any(issubclass(base, root) for base in bases for root in ALWAYS_DECORATED):
                namespace[MARKER] = True
            cls = super().__new__(mcs, name, bases, namespace, **keywords)
            _note_shadows(cls, namespace)
            if MARKER not in namespace:
                type.__setattr__(cls, BODY, namespace)
            late = cls.__dict__.get("__late_options__")
            if late:
                type.__delattr__(cls, "__late_options__")
                plan_again(cls, namespace, {**keywords, **late})
            return cls

        @classmethod
        def __assemble__(mcs, name: str, bases: tuple[type, ...], body: dict[str, Any], others: dict[str, Any]) -> Any:
            """The class as Python makes it; for one that is made anew, without hooks where they need keywords."""
            if not body.pop(ANEW, False):
                return super().__assemble__(name, bases, body, others)
            try:
                return super().__assemble__(name, bases, dict(body), others)
            except TypeError:
                if all("__init_subclass__" not in base.__dict__ for base in linearize(bases) if base is not object):
                    raise
            # The hooks have run on the old class, and what they have set there is in the body.
            cls = super().__assemble__(name, (Node,), body, {})
            type.__setattr__(cls, "__bases__", bases)
            return update_abstractmethods(cls)

        def __getattribute__(cls, name: str) -> Any:
            value = type.__getattribute__(cls, name)
            if type(value) is not property:
                return value
            for base in type.__getattribute__(cls, "__mro__"):
                shadows = type.__getattribute__(base, "__dict__").get(_SHADOWS)
                if shadows is not None and name in shadows:
                    return shadows[name]
            return super().__getattribute__(name)

        def __setattr__(cls, name: str, value: Any) -> None:
            spec = spec_of(cls)
            if spec is not None and spec.cls is cls and name in spec.fields and type(value) is not property:
                # Where a dataclass keeps its defaults; objects have the value in themselves and never see it.
                type.__setattr__(cls, _SHADOWS, {**cls.__dict__.get(_SHADOWS, {}), name: value})
            else:
                super().__setattr__(name, value)


def check_options(name: str, options: Mapping[str, Any], namespace: Mapping[str, Any]) -> None:
    """Refuse options that exclude each other, with the errors of the standard library.

    Args:
        name: the class's name.
        options: the options that were given.
        namespace: the class body.

    Raises:
        ValueError: `order` without `eq`.
        TypeError: `weakref_slot` without `slots`, or `slots` where the body has its own.
    """
    if options.get("order") and not options.get("eq", True):
        raise ValueError(f"{name}: eq must be true if order is true")
    if options.get("weakref_slot") and not options.get("slots"):
        raise TypeError(f"{name}: weakref_slot is True but slots is False")
    if options.get("slots") and "__slots__" in namespace:
        raise TypeError(f"{name} already specifies __slots__; drop it, or slots=True")


def _note_shadows(cls: Any, namespace: dict[str, Any]) -> None:
    spec: ClassSpec = cls.__struct__
    inherited = [name for name in spec.fields if name in namespace]
    if inherited:
        declared = namespace_annotations(namespace)
        shadows = {name: namespace[name] for name in inherited if name not in declared}
        if shadows:
            type.__setattr__(cls, _SHADOWS, shadows)


class _Open:
    """Gives objects a real `__dict__`, for attributes that are no fields."""


_extras: Callable[[Any], dict[str, Any]] = _Open.__dict__["__dict__"].__get__


# The methods of a plain dict, which `Vars` overrides.
_dict: Any = dict


class _Attributes(_storage.Vars):
    """What `vars(x)` gives: the fields and the other attributes. Writing to it writes to the object, as flax's does."""

    __slots__ = ()

    def __init__(self, struct: Any):
        super().__init__(struct)
        _dict.update(self, _extras(struct))

    def __setitem__(self, name: str, value: Any) -> None:
        if name in self._struct.__struct__.fields:
            object.__setattr__(self._struct, name, value)
        else:
            # As in any `__dict__`: past the properties of the class, which may be ones that cache.
            _extras(self._struct)[name] = value
        _dict.__setitem__(self, name, value)

    def __delitem__(self, name: str) -> None:
        if name in self._struct.__struct__.fields:
            raise _frozen_error(self._struct, name, "delete")
        _dict.__delitem__(self, name)
        del _extras(self._struct)[name]

    def pop(self, name: Any, default: Any = _NONE_GIVEN, /) -> Any:
        if name not in self and default is not _NONE_GIVEN:
            return default
        value = self[name]
        del self[name]
        return value


def _frozen_error(self: Any, name: str, action: str = "assign to") -> FrozenInstanceError:
    return _FlaxFrozenInstanceError(self.__struct__.name, name, action)


class _FlaxFrozenInstanceError(FrozenInstanceError):
    """The same error with the standard library's text; the cure is a note under it."""

    def __init__(self, struct: str, field: str, action: str = "assign to", known: bool = True):
        super().__init__(struct, field, action, known)
        if action == "assign to":
            self.add_note(f"{struct} is frozen: make a changed copy with .replace({field}=...)")

    def __str__(self) -> str:
        return f"cannot {self.action} field {self.field!r}"


if TYPE_CHECKING:
    from structkit._struct import _ReplaceDescriptor

    class _NodeBase:
        # For a checker not a `Struct`: its subclasses are frozen, and nodes with `frozen=False` have to be allowed.
        __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]
        __flat__: Any
        replace: ClassVar[_ReplaceDescriptor]
        """A copy with some fields changed, made by the constructor, as `dataclasses.replace` does it."""

        def __copy__(self) -> Self: ...
        def __deepcopy__(self, memo: dict[int, Any]) -> Self: ...

else:
    _NodeBase = Struct


class Node(_NodeBase, _Open, metaclass=NodeMeta):
    """The base of decorated classes: what they have in common, and what the decorator need not repeat."""

    if not TYPE_CHECKING:

        def __setattr__(self, name: str, value: Any) -> None:
            spec: ClassSpec = self.__struct__
            if spec.frozen and (MARKER in type(self).__dict__ or name in spec.fields):
                raise _frozen_error(self, name)
            object.__setattr__(self, name, value)

        def __delattr__(self, name: str) -> None:
            spec: ClassSpec = self.__struct__
            if name in spec.fields or (spec.frozen and MARKER in type(self).__dict__):
                raise _frozen_error(self, name, "delete")
            object.__delattr__(self, name)

        __dict__ = property(_Attributes, doc="The fields and the other attributes: `vars(x)`.")

        def replace(self, /, **updates: Any) -> Any:
            """A copy with some fields changed, made by the constructor, as `dataclasses.replace` does it."""
            spec: ClassSpec = self.__struct__
            if spec.init == GENERATED or not _takes_fields(type(self)):
                return update.replace_method(self, **updates)
            values = {name: getattr(self, name) for name, f in spec.fields.items() if f.init}
            return type(self)(**{**values, **updates})

        __replace__ = replace

    def __pdoc__(self, **options: Any) -> Any:
        return struct_doc(self, **options) if type(self).__repr__ is _repr else plain_doc(self)

    def __copy__(self) -> Self:
        made = super().__copy__()
        _extras(made).update(_extras(self))
        return made

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        made = super().__deepcopy__(memo)
        # Statics too: unchecked ones may be lists, and a copy must not share them.
        children, statics = made.__flat__
        _storage.store(made, (children, _storage.half(copy.deepcopy([*any_tuple.__iter__(statics)], memo))))
        _extras(made).update(copy.deepcopy(_extras(self), memo))
        return made

    def __getstate__(self) -> dict[str, Any]:
        return {**_storage.field_values(self), **_extras(self)}

    def __setstate__(self, state: Any) -> None:
        spec: ClassSpec = vars(type(self))["__struct__"]
        # A dataclass with `slots=True` left a list in its pickles: the values in order.
        values = cast(dict[str, Any], state if isinstance(state, dict) else dict(zip(spec.fields, state)))
        if _storage.is_bare(self):
            _storage.store(self, _storage.start(spec)[1:])
        for name, value in values.items():
            if name in spec.fields:
                object.__setattr__(self, name, value)
            else:
                _extras(self)[name] = value


ROOTS.update(Node.__mro__)


_taking_fields: weakref.WeakKeyDictionary[type, bool] = weakref.WeakKeyDictionary()


def _takes_fields(cls: type) -> bool:
    """Whether a custom `__init__` can be called with the fields by name, so that `replace` can go through it."""
    if cls not in _taking_fields:
        names = [name for name, f in update.known_spec("replace", cls).fields.items() if f.init]
        try:
            inspect.signature(cls).bind(**dict.fromkeys(names))
            _taking_fields[cls] = True
        except (TypeError, ValueError):
            _taking_fields[cls] = False
    return _taking_fields[cls]
