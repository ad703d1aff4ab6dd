"""The names and the behaviour of `flax.struct`: `dataclass`, `field` and `PyTreeNode`.

`from structkit import struct` in the place of `from flax import struct` is all that a code base needs. The classes are
structs: `structkit.at`, `summary`, `diff` and the others work on them. They follow the standard library's dataclasses,
as flax's do, wherever `Struct` is stricter: static values are not checked, `object.__setattr__` always works, and
attributes that are no fields can be set in the ways in which flax allows it.

Example:
    >>> import jax
    >>> from structkit import struct
    >>> @struct.dataclass
    ... class Particle:
    ...     position: float
    ...     name: str = struct.field(pytree_node=False, default="electron")
    >>> jax.tree.map(lambda leaf: leaf + 1, Particle(1.0))
    Particle(position=2.0, name='electron')
"""

from __future__ import annotations

import copy
import dataclasses
import enum
import functools
import inspect
import reprlib
import types
import weakref
from abc import ABCMeta, update_abstractmethods
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar, cast, overload

from typing_extensions import dataclass_transform

from structkit import _compare, _dataclass, _storage, update
from structkit._fields import Field
from structkit._spec import CUSTOM, GENERATED, INHERITED, OPTIONS, ClassSpec, Dialect, collect, linearize, spec_of
from structkit._struct import Struct, StructMeta, is_layout_conflict, plan_again
from structkit._typing import PROTOCOL_INITS, any_tuple, class_of, namespace_annotations
from structkit.errors import DefinitionError, FrozenInstanceError, StructError
from structkit.pretty import plain_doc, struct_doc

__all__ = ["PyTreeNode", "dataclass", "field"]

_T = TypeVar("_T")
_C = TypeVar("_C", bound=type[Any])

# Set on each decorated class, as flax does it: code that looks for it finds it.
MARKER = "_flax_dataclass"

# The body of an undecorated subclass, in case that a decorator with options follows.
_BODY = "__struct_body__"

# In the body of a class that is made anew: its bases' hooks have seen it once already.
_ANEW = "__struct_anew__"

_NONE_GIVEN: Any = object()

# Values that a subclass body gives to a parent's field without an annotation: seen on the class, never on objects.
_SHADOWS = "__struct_shadows__"

_ANNOTATIONS = ("__annotations__", "__annotate__", "__annotate_func__")

# Python's and this package's own bases; among them, those whose subclasses need no decorator. Filled in below.
_ROOTS: set[type] = set()
_ALWAYS_DECORATED: list[type] = []


@overload
def field(
    pytree_node: bool = True,
    *,
    default: _T,
    init: bool = True,
    repr: bool = ...,
    hash: bool | None = ...,
    compare: bool = ...,
    kw_only: bool = ...,
    doc: str | None = ...,
    metadata: Mapping[str, Any] | None = ...,
) -> _T: ...
@overload
def field(
    pytree_node: bool = True,
    *,
    default_factory: Callable[[], _T],
    init: bool = True,
    repr: bool = ...,
    hash: bool | None = ...,
    compare: bool = ...,
    kw_only: bool = ...,
    doc: str | None = ...,
    metadata: Mapping[str, Any] | None = ...,
) -> _T: ...
@overload
def field(
    pytree_node: bool = True,
    *,
    init: bool = True,
    repr: bool = ...,
    hash: bool | None = ...,
    compare: bool = ...,
    kw_only: bool = ...,
    doc: str | None = ...,
    metadata: Mapping[str, Any] | None = ...,
) -> Any: ...
def field(pytree_node: bool = True, *, metadata: Mapping[str, Any] | None = None, **options: Any) -> Any:
    """A field with options, to be written as the default in a class body.

    Args:
        pytree_node: False keeps the value in the tree structure, unchecked, instead of among the children.
        metadata: a mapping for your own use; `pytree_node` is added to it.
        **options: those of `dataclasses.field`.

    Example:
        >>> from structkit import struct
        >>> @struct.dataclass
        ... class Model:
        ...     weight: float
        ...     name: str = struct.field(pytree_node=False, default="linear")
        >>> Model(1.0)
        Model(weight=1.0, name='linear')
    """
    return Field(static=not pytree_node, metadata={**(metadata or {}), "pytree_node": pytree_node}, **options)


class _FlaxDialect(Dialect):
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
            spec.init, spec.given_init = CUSTOM, _take_nothing
        return spec

    def members(self, spec: ClassSpec, namespace: dict[str, Any]) -> dict[str, Any]:
        """The methods that the standard library's decorator puts into a class, where the body has none."""
        if MARKER not in namespace:
            return {}
        options = spec.options
        found = {**_comparison(spec, namespace), **_order(spec, namespace), **_guards(spec, namespace)}
        if options.get("repr", True):
            found["__repr__"] = _repr
        elif _first(spec, "__repr__") in _ROOTS:
            found["__repr__"] = object.__repr__
        if options.get("slots"):
            found["__slots__"] = tuple(name for name in spec.fields if name in namespace_annotations(namespace))
        if not _keeps_replace(spec):
            found["replace"] = _Node.__dict__["replace"]
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


def _take_nothing(self: Any) -> None:
    """Leave every field to its default: what `init=False` without an `__init__` of the user's means."""


def _users(spec: ClassSpec) -> Iterator[type]:
    """The bases that are neither Python's nor this package's."""
    return (base for base in spec.mro if base not in _ROOTS)


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
    elif _first(spec, "__eq__") in _ROOTS:
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


def _order(spec: ClassSpec, namespace: dict[str, Any]) -> dict[str, Any]:
    if not spec.options.get("order"):
        return {}
    for name in _compare.ORDERINGS:
        if name in namespace:
            raise DefinitionError(spec.name, f"order=True would overwrite its {name}", "drop one of the two")
    return _compare.ORDERINGS


def _guards(spec: ClassSpec, namespace: dict[str, Any]) -> dict[str, Any]:
    if not spec.frozen:
        # Mutable objects need no guard, and assign faster without one.
        return {"__setattr__": object.__setattr__} if _first(spec, "__setattr__") in _ROOTS else {}
    for name in ("__setattr__", "__delattr__"):
        if name in namespace:
            raise DefinitionError(spec.name, f"frozen=True would overwrite its {name}", "drop it, or set frozen=False")
    return {"__setattr__": _Node.__dict__["__setattr__"], "__delattr__": _Node.__dict__["__delattr__"]}


def _keeps_replace(spec: ClassSpec) -> bool:
    """Whether the `replace` that a class inherits is a user's own, and not that of another framework."""
    first = _first(spec, "replace")
    if first in _ROOTS:
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
    if spec.compares_all:
        return self.__flat__
    return tuple([getattr(self, name) for name, f in spec.fields.items() if f.compare])


@reprlib.recursive_repr()
def _repr(self: Any) -> str:
    """The qualified name and the fields, as the standard library writes a dataclass."""
    values = _storage.field_values(self)
    shown = [f"{name}={values[name]!r}" for name, f in self.__struct__.fields.items() if f.repr and name in values]
    return f"{type(self).__qualname__}({', '.join(shown)})"


_repr.__name__ = _repr.__qualname__ = "__repr__"


if TYPE_CHECKING:
    _NodeMeta = ABCMeta
else:

    class _NodeMeta(StructMeta):
        """The metaclass of decorated classes, of `PyTreeNode`, and of all their subclasses."""

        __dialect__ = _FlaxDialect()

        def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **keywords: Any) -> Any:
            _check_options(name, keywords, namespace)
            namespace = {key: value for key, value in namespace.items() if key != "__slots__"}
            if any(issubclass(base, root) for base in bases for root in _ALWAYS_DECORATED):
                namespace[MARKER] = True
            cls = super().__new__(mcs, name, bases, namespace, **keywords)
            _note_shadows(cls, namespace)
            if MARKER not in namespace:
                type.__setattr__(cls, _BODY, namespace)
            late = cls.__dict__.get("__late_options__")
            if late:
                type.__delattr__(cls, "__late_options__")
                plan_again(cls, namespace, {**keywords, **late})
            return cls

        @classmethod
        def __assemble__(mcs, name: str, bases: tuple[type, ...], body: dict[str, Any], others: dict[str, Any]) -> Any:
            """The class as Python makes it; for one that is made anew, without hooks where they need keywords."""
            if not body.pop(_ANEW, False):
                return super().__assemble__(name, bases, body, others)
            try:
                return super().__assemble__(name, bases, dict(body), others)
            except TypeError:
                if all("__init_subclass__" not in base.__dict__ for base in linearize(bases) if base is not object):
                    raise
            # The hooks have run on the old class, and what they have set there is in the body.
            cls = super().__assemble__(name, (_Node,), body, {})
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


def _check_options(name: str, options: Mapping[str, Any], namespace: Mapping[str, Any]) -> None:
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


class _Node(_NodeBase, _Open, metaclass=_NodeMeta):
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


_ROOTS.update(_Node.__mro__)


@dataclass_transform(frozen_default=True, field_specifiers=(field, dataclasses.field))
class PyTreeNode(_Node):
    """A base class that makes each of its subclasses a frozen dataclass and a pytree node, like `dataclass`.

    The options of `dataclasses.dataclass` are class keywords.

    Example:
        >>> import jax
        >>> from structkit import struct
        >>> class Model(struct.PyTreeNode):
        ...     weight: float
        ...     name: str = struct.field(pytree_node=False, default="linear")
        >>> jax.tree.leaves(Model(1.0).replace(weight=2.0))
        [2.0]
    """

    if TYPE_CHECKING:

        def __init_subclass__(
            cls,
            *,
            init: bool = True,
            repr: bool = True,
            eq: bool = True,
            order: bool = False,
            unsafe_hash: bool = False,
            frozen: bool = True,
            match_args: bool = True,
            kw_only: bool = False,
            slots: bool = False,
            weakref_slot: bool = False,
            **others: Any,
        ) -> None: ...

    else:

        def __init_subclass__(cls, **keywords: Any) -> None:
            # A hook of the user's may pass options on (`super().__init_subclass__(kw_only=True)`).
            late = {key: keywords.pop(key) for key in _FlaxDialect.options if key in keywords}
            if late:
                type.__setattr__(cls, "__late_options__", late)
            super().__init_subclass__(**keywords)

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            if type(self) is PyTreeNode:
                raise NotImplementedError("PyTreeNode is a base class: inherit from it and declare fields")
            super().__init__(*args, **kwargs)


_ROOTS.add(PyTreeNode)
for _root in (_Node, PyTreeNode):
    # Classes with `match_args=False` must not find one here.
    type.__delattr__(_root, "__match_args__")
_ALWAYS_DECORATED.append(PyTreeNode)


@overload
def dataclass(clz: _C, /) -> _C: ...
@overload
def dataclass(
    clz: None = None,
    /,
    *,
    init: bool = True,
    repr: bool = True,
    eq: bool = True,
    order: bool = False,
    unsafe_hash: bool = False,
    frozen: bool = True,
    match_args: bool = True,
    kw_only: bool = False,
    slots: bool = False,
    weakref_slot: bool = False,
) -> Callable[[_C], _C]: ...
@dataclass_transform(frozen_default=True, field_specifiers=(field, dataclasses.field))
def dataclass(clz: Any = None, **options: Any) -> Any:
    """The class as a frozen dataclass and a pytree node; with options only, a decorator that makes it one.

    A class without a struct among its bases is made anew, as `dataclasses.dataclass(slots=True)` does it. A class that
    is decorated already is returned as it is. A subclass of a `dict`, of another class with a C layout, or of one with
    slots, becomes a dataclass and a pytree node as with flax, but no struct.

    Args:
        clz: the class to decorate.
        **options: those of `dataclasses.dataclass`; `frozen` is True by default.

    Raises:
        DefinitionError: the class cannot become a struct; the message says why and what to do.

    Example:
        >>> import jax
        >>> from structkit import struct
        >>> @struct.dataclass
        ... class State:
        ...     position: float
        ...     steps: int = struct.field(pytree_node=False, default=0)
        >>> jax.tree.map(lambda leaf: leaf + 1, State(1.0))
        State(position=2.0, steps=0)
    """
    unknown = next((key for key in options if key not in _FlaxDialect.options), None)
    if unknown is not None:
        raise TypeError(f"dataclass() got an unexpected keyword argument {unknown!r}")
    if clz is None:
        return functools.partial(dataclass, **options)
    if not isinstance(clz, type):
        raise TypeError(f"dataclass() decorates a class, not {type(clz).__name__}")
    if MARKER in clz.__dict__:
        return clz
    if isinstance(clz, _NodeMeta):
        return _decorated(clz, options)
    if isinstance(clz, StructMeta):
        raise DefinitionError(clz.__name__, "is a Struct already", "drop the decorator; options are class keywords")
    return _remade(clz, options)


def _decorated(cls: Any, options: dict[str, Any]) -> Any:
    """The same class, planned again: its class statement made it a node already, without the decorator's options."""
    namespace = {**cls.__dict__[_BODY], MARKER: True}
    _check_options(cls.__name__, options, namespace)
    plan_again(cls, namespace, options)
    type.__setattr__(cls, MARKER, True)
    type.__delattr__(cls, _BODY)
    return cls


# What a class statement adds to the namespace, and a new class statement adds again.
_MADE_BY_PYTHON = (
    "__dict__",
    "__weakref__",
    "__abstractmethods__",
    "_abc_impl",
    "__annotations_cache__",
    "__dataclass_fields__",
    "__dataclass_params__",
)


def _remade(old: Any, options: dict[str, Any]) -> Any:
    """A node class with the body of `old`, which takes its place; `old` itself where it cannot be a struct."""
    _refuse_unfit(old)
    body = {key: value for key, value in old.__dict__.items() if key not in _MADE_BY_PYTHON}
    body.update(__qualname__=old.__qualname__, **{MARKER: True, _ANEW: True})
    for name in _slot_names(old):
        body.pop(name, None)
    if body.get("__doc__") is None:
        body.pop("__doc__", None)
    if body.get("__init__") in PROTOCOL_INITS:
        body.pop("__init__")
    _undo_dataclass(old, body)
    bases = (*(base for base in old.__bases__ if base is not object), _Node)
    try:
        made = _make(old, bases, body, options)
    except DefinitionError as error:
        if not is_layout_conflict(error.__cause__):
            raise
        made = _dataclass.make(old, options)
        setattr(made, MARKER, True)
        return made
    _mend_cells(body, old, made)
    _retire(old, made)
    return made


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


def _refuse_unfit(old: type) -> None:
    name = old.__name__
    if issubclass(old, enum.Enum):
        raise DefinitionError(
            name, "is an Enum, whose members are constants", "keep it as it is: it can be a static field"
        )
    if issubclass(old, tuple):
        raise DefinitionError(name, "is a tuple, which JAX knows already", "drop the decorator, or NamedTuple")
    parameters = old.__dict__.get("__dataclass_params__")
    if parameters is not None and parameters.frozen:
        raise DefinitionError(
            name, "is a frozen dataclass already, made by dataclasses.dataclass or a base class", "drop one of the two"
        )


def _slot_names(old: type) -> tuple[str, ...]:
    slots = old.__dict__.get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _undo_dataclass(old: type, body: dict[str, Any]) -> None:
    """Take out what a standard `@dataclasses.dataclass` below the decorator generated."""
    fields = old.__dict__.get("__dataclass_fields__")
    if fields is None:
        return
    body.update({name: fields[name] for name in namespace_annotations(body) if name in fields})
    body.pop("__match_args__", None)
    for name in ("__init__", "__repr__", "__eq__", "__replace__"):
        code = getattr(inspect.unwrap(body[name]), "__code__", None) if name in body else None
        if code is not None and code.co_filename in ("<string>", dataclasses.__file__):
            del body[name]
    if body.get("__hash__", True) is None and "__eq__" not in body:
        del body["__hash__"]


# Metaclasses of users', each with the one that is both it and ours.
_metaclasses: weakref.WeakKeyDictionary[type, type] = weakref.WeakKeyDictionary()


def _metaclass(old: type) -> Any:
    theirs = type(old)
    if issubclass(_NodeMeta, theirs):
        return _NodeMeta
    if theirs not in _metaclasses:
        _metaclasses[theirs] = types.new_class(f"_Node{theirs.__name__}", (_NodeMeta, theirs))
    return _metaclasses[theirs]


def _make(old: type, bases: tuple[type, ...], body: dict[str, Any], options: dict[str, Any]) -> Any:
    # Hooks of the bases run again, since a registry among them has to know the new class; what they have set on the
    # old one stays, since only then they had the keywords of the class statement.
    given = dict(body)
    try:
        made = _metaclass(old)(old.__name__, bases, dict(body), **options)
    except StructError:
        raise
    except TypeError as error:
        if type(old) is not type and not issubclass(_NodeMeta, type(old)):
            what = f"its metaclass {type(old).__name__} does not work together with that of structs ({error})"
            raise DefinitionError(old.__name__, what, "drop the metaclass, or the decorator") from error
        raise
    for name, value in given.items():
        now = made.__dict__.get(name)
        if (
            (now is not value or value is old)
            and name not in _PYTHONS
            and not isinstance(now, property | functools.cached_property)
        ):
            if name not in made.__struct__.fields and not name.startswith("__"):
                type.__setattr__(made, name, made if value is old else value)
    return made


_PYTHONS = frozenset({"__doc__", "__qualname__", "__module__", "__slots__"})


def _mend_cells(body: dict[str, Any], old: type, made: type) -> None:
    """Point the `__class__` cells of the body's functions to the new class: `super()` reads them."""
    seen: set[int] = set()
    waiting = list(body.values())
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        waiting += [getattr(value, name) for name in _INSIDE if _has_plainly(value, name)]
        for cell in getattr(value, "__closure__", None) or () if isinstance(value, types.FunctionType) else ():
            try:
                content = cell.cell_contents
            except ValueError:
                continue
            if content is old:
                cell.cell_contents = made
            elif isinstance(content, _WRAPPERS) or hasattr(class_of(content), "__wrapped__"):
                waiting.append(content)


_INSIDE = ("__func__", "__wrapped__", "fget", "fset", "fdel", "func")
_WRAPPERS: tuple[type[Any], ...] = (
    types.FunctionType,
    staticmethod,
    classmethod,
    property,
    functools.partial,
    functools.cached_property,
)


def _has_plainly(value: Any, name: str) -> bool:
    try:
        return inspect.getattr_static(value, name, None) is not None and not isinstance(value, type)
    except Exception:
        return False


class _Retired:
    """The base of a class that was made anew: what its old bases must not list among their subclasses any more."""


def _retire(old: Any, made: Any) -> None:
    """Make calls of the old class, which a decorator below may have kept, give objects of the new one."""

    def __new__(cls: Any, *args: Any, **kwargs: Any) -> Any:
        return made(*args, **kwargs)

    try:
        old.__new__ = __new__
        if old.__bases__ != (object,):
            old.__bases__ = (_Retired,)
    except TypeError:
        # A metaclass or a layout that forbids it; then the old class stays as it is.
        pass
