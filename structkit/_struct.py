"""`Struct` and its metaclass: plan a class, build it, register it."""

from __future__ import annotations

import copy
import copyreg
import dataclasses
from abc import ABCMeta
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, ParamSpec, Protocol, Self, TypeVar, overload

from typing_extensions import dataclass_transform

from structkit import _compare, _pytree, _storage, update
from structkit._codegen import generate_init
from structkit._fields import Field, derived, field, static
from structkit._spec import (
    GENERATED,
    INHERITED,
    STRUCT_DIALECT,
    ClassSpec,
    Dialect,
    class_dict,
    collect,
    spec_of,
    split_options,
    unknown_option,
)
from structkit._typing import ProtocolMeta, any_tuple, class_of, signature
from structkit.errors import BaseInstantiationError, DefinitionError, FrozenInstanceError
from structkit.pretty import class_text, plain_doc, struct_doc, struct_repr

_P = ParamSpec("_P")
_R_co = TypeVar("_R_co", covariant=True)
_T = TypeVar("_T")

# Methods of `Struct` that a standard dataclass or an `__init_subclass__` hook among the bases must not replace.
_OURS = ("__delattr__", "__eq__", "__hash__", "__ne__", "__repr__", "__replace__", "__setattr__")


_GUARDS = ("__delattr__", "__setattr__")

# What `copyreg` has for pickles; no checker knows the name.
_NEW_OBJECT: Any = vars(copyreg)["__newobj__"]

# A class body may repeat them in `__slots__`: every struct has the one and needs not the other.
_HARMLESS_SLOTS = ("__weakref__", "__dict__")


class _Params(NamedTuple):
    """What `__dataclass_params__` says; the standard library looks at it when a dataclass inherits from a struct."""

    init: bool
    repr: bool
    eq: bool
    order: bool
    unsafe_hash: bool
    frozen: bool
    match_args: bool
    kw_only: bool
    slots: bool
    weakref_slot: bool


if TYPE_CHECKING:
    # Static checkers understand struct classes through `dataclass_transform`; the metaclass would only confuse them.
    StructMeta = ABCMeta
else:

    class StructMeta(ProtocolMeta):
        """The metaclass of `Struct`: a class statement becomes a frozen, typed pytree node."""

        # Without an annotation: those of a metaclass hide the ones of its classes.
        __dialect__ = STRUCT_DIALECT

        def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **keywords: Any) -> Any:
            """Plan, build and register one class; see `collect`, `_members` and `_pytree.register`."""
            if not any(isinstance(base, StructMeta) for base in bases):
                return super().__new__(mcs, name, bases, namespace)
            options, others = split_options(name, keywords, mcs.__dialect__.options)
            spec = mcs.__dialect__.plan(name, bases, namespace, options)
            members, publish = _members(spec, namespace)
            body = _body(spec, namespace, members)
            try:
                cls = mcs.__assemble__(name, bases, body, others)
            except TypeError as error:
                clearer = _clearer_error(name, bases, others, error)
                if clearer is None:
                    raise
                raise clearer from error
            _complete(cls, spec, body, members)
            publish(cls)
            return cls

        @classmethod
        def __assemble__(mcs, name: str, bases: tuple[type, ...], body: dict[str, Any], others: dict[str, Any]) -> Any:
            """The class as Python makes it; the hooks of the bases run."""
            return super().__new__(mcs, name, bases, body, **others)

        def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **keywords: Any) -> None:
            # The keywords went to `__init_subclass__`; Protocol's metaclass would pass them on to `type`.
            super().__init__(name, bases, namespace)

        def __getattribute__(cls, name: str) -> Any:
            """The attribute; for a field, its default, as a dataclass has it. Instances never come here."""
            value = type.__getattribute__(cls, name)
            if type(value) is not property:
                return value
            spec = spec_of(cls)
            f = None if spec is None else spec.fields.get(name)
            if f is None:
                return value
            if f.default is dataclasses.MISSING:
                raise AttributeError(
                    f"type object {cls.__name__!r} has no attribute {name!r}: the field has no default"
                )
            return f.default

        def __setattr__(cls, name: str, value: Any) -> None:
            """Set a class attribute; a field's property must stay, and a dataclass decorator is refused."""
            spec = spec_of(cls)
            if spec is None or spec.cls is not cls:
                # Hooks of the bases run before the class is finished and may do what they like.
                return super().__setattr__(name, value)
            if name == "__dataclass_params__" and type(value) is not _Params:
                raise DefinitionError(
                    cls.__name__, "is a dataclass already, made by Struct", "drop the dataclass decorator"
                )
            if name in spec.fields and type(value) is not property:
                raise DefinitionError(
                    cls.__name__,
                    f"{name!r} is a field and cannot be set on the class",
                    "change the default in the body",
                )
            super().__setattr__(name, value)

        def __delattr__(cls, name: str) -> None:
            """Delete a class attribute; a field's property must stay."""
            spec = spec_of(cls)
            if spec is not None and name in spec.fields:
                raise DefinitionError(cls.__name__, f"{name!r} is a field and cannot be deleted", "drop it in the body")
            super().__delattr__(name)

        def __dir__(cls) -> list[str]:
            """The names that can be read on the class; a field without a default is none of them."""
            spec = spec_of(cls)
            fields = () if spec is None else spec.fields
            return [name for name in super().__dir__() if name not in fields or hasattr(cls, name)]

        def __instancecheck__(cls, instance: Any) -> bool:
            # ABCMeta's cache of virtual subclasses costs several times as much and is only needed for a no.
            return type.__instancecheck__(cls, instance) or ABCMeta.__instancecheck__(cls, instance)

        def __subclasscheck__(cls, subclass: Any) -> bool:
            return type.__subclasscheck__(cls, subclass) or ABCMeta.__subclasscheck__(cls, subclass)


def _members(spec: ClassSpec, namespace: dict[str, Any]) -> tuple[dict[str, Any], Callable[[type], None]]:
    """What the class gets besides what its body says: the constructor, the fields and the data of dataclasses.

    With it, what is to be called with the finished class.
    """
    options = spec.options
    members: dict[str, Any] = {"__struct__": spec, "__dataclass_fields__": {**spec.arguments}}
    members.update(_storage.field_properties(spec))
    members.update(_storage.own_cached_properties(spec, namespace))
    members.update(_comparison(spec, namespace))
    if spec.statics and spec.dialect.checks_statics:
        _storage.check_static_defaults(spec)
    publish: Callable[[type], None] = _nothing
    if spec.init == GENERATED:
        qualname = namespace.get("__qualname__", spec.name)
        members["__init__"], publish = generate_init(spec, namespace.get("__module__", "builtins"), qualname)
    elif spec.given_init is not None:
        wrap = _storage.constructs if spec.dialect.seals else _storage.opens
        # An inherited one opens a draft already.
        members["__init__"] = spec.given_init if spec.init == INHERITED else wrap(spec.given_init)
    getattr_ = next(
        (body["__getattr__"] for body in (namespace, *map(class_dict, spec.new_bases)) if "__getattr__" in body), None
    )
    if getattr_ is not None:
        members["__getattr__"] = _storage.delegates(getattr_)
    if options.get("match_args", True) and "__match_args__" not in namespace:
        members["__match_args__"] = tuple(key for key, f in spec.arguments.items() if f.init and not f.kw_only)
    members["__dataclass_params__"] = _Params(
        options.get("init", True),
        options.get("repr", True),
        options.get("eq", True),
        options.get("order", False),
        options.get("unsafe_hash", False),
        spec.frozen,
        options.get("match_args", True),
        options.get("kw_only", False),
        options.get("slots", False),
        options.get("weakref_slot", False),
    )
    members.update(spec.dialect.members(spec, namespace))
    return members, publish


def _nothing(cls: type) -> None:
    """What there is to publish of a class whose `__init__` is not generated."""


def _comparison(spec: ClassSpec, namespace: dict[str, Any]) -> dict[str, Any]:
    """The special methods that this class needs in its own body: the others come from `Struct` by inheritance."""
    members: dict[str, Any] = {}
    ours = class_dict(Struct)
    for name in _OURS if spec.new_bases else ():
        first = next((base for base in spec.new_bases if name in class_dict(base)), object)
        if spec_of(first) is None and "__dataclass_fields__" in class_dict(first) and name not in namespace:
            members[name] = _nearest_struct_member(spec, name)
    real = any(["__dict__" in class_dict(base) for base in spec.new_bases if spec_of(base) is None])
    if real and "__dict__" not in namespace:
        # A mixin without slots brings a real one, which holds no field.
        members["__dict__"] = _nearest_struct_member(spec, "__dict__")
    if not spec.dialect.strict:
        return members
    if "__eq__" in namespace and "__hash__" not in namespace:
        # Python would set it to None; a frozen dataclass hashes all the same.
        members["__hash__"] = ours["__hash__"]
    eq, repr_ = spec.options.get("eq"), spec.options.get("repr")
    if eq is not None:
        owner = ours if eq else class_dict(object)
        members.update({key: owner[key] for key in ("__eq__", "__ne__", "__hash__") if key not in namespace})
    if repr_ is not None and "__repr__" not in namespace:
        members["__repr__"] = (ours if repr_ else class_dict(object))["__repr__"]
    if not spec.frozen and eq is not False and "__hash__" not in namespace:
        members["__hash__"] = None
    return {**members, **_compare.orderings(spec, namespace)}


def _nearest_struct_member(spec: ClassSpec, name: str) -> Any:
    return next(class_dict(base)[name] for base in spec.mro if spec_of(base) is not None and name in class_dict(base))


def _body(spec: ClassSpec, namespace: dict[str, Any], members: dict[str, Any]) -> dict[str, Any]:
    """The namespace for `type.__new__`: the class body with the members in place of the defaults."""
    # A dataclass decorator in an `__init_subclass__` refuses to overwrite these: `_complete` puts them in after it.
    body = {**namespace, **{name: value for name, value in members.items() if name not in _GUARDS}}
    for name in spec.initvars:
        # As in dataclasses, only the default of an InitVar stays readable.
        default = spec.initvars[name].default
        if default is not dataclasses.MISSING:
            body[name] = default
        else:
            body.pop(name, None)
    # Annotations are evaluated lazily on 3.14; they must not see the property of a field named like its type.
    body.pop("__classdictcell__", None)
    slots = namespace.get("__slots__", ())
    extra = [s for s in ((slots,) if isinstance(slots, str) else slots) if s not in (*spec.fields, *_HARMLESS_SLOTS)]
    if extra:
        raise DefinitionError(
            spec.name, f"__slots__ names {extra[0]!r}, which is no field", f"annotate it: {extra[0]}: ..."
        )
    body["__slots__"] = ()
    body.setdefault("__doc__", _Doc())
    return body


def _complete(cls: Any, spec: ClassSpec, body: dict[str, Any], members: dict[str, Any]) -> None:
    """What needs the finished class: its name in the constructor, the registration, and our methods after hooks."""
    spec.cls = cls
    # An `__init_subclass__` of another framework may have made the class a dataclass of its own kind.
    present = class_dict(cls)
    for name in _OURS:
        if name in present and name not in body:
            type.__delattr__(cls, name)
    for name, member in members.items():
        if present.get(name) is not member:
            type.__setattr__(cls, name, member)
    _storage.correct_getters(spec)
    _pytree.register(cls)


def plan_again(cls: Any, namespace: dict[str, Any], options: dict[str, Any]) -> None:
    """Make `cls` what it would have been with other options in its class statement; its identity stays.

    Args:
        cls: a struct class without objects yet.
        namespace: its body, as the class statement left it.
        options: the class options.
    """
    dialect: Dialect = class_of(cls).__dialect__
    spec = dialect.plan(cls.__name__, cls.__bases__, namespace, options)
    members, publish = _members(spec, namespace)
    for name in ("__init__", "__match_args__", "__hash__"):
        if name in class_dict(cls) and name not in namespace and name not in members:
            type.__delattr__(cls, name)
    _complete(cls, spec, {**class_dict(cls), **members}, members)
    publish(cls)


def _clearer_error(name: str, bases: tuple[type, ...], others: dict[str, Any], error: TypeError) -> Exception | None:
    if others and "__init_subclass__() takes no keyword arguments" in str(error):
        return unknown_option(name, others)
    if is_layout_conflict(error):
        strangers = ", ".join(base.__name__ for base in bases if spec_of(base) is None)
        return DefinitionError(
            name, f"cannot inherit from {strangers}, whose instances have a layout of their own", "hold it in a field"
        )
    return None


def is_layout_conflict(error: BaseException | None) -> bool:
    """Whether Python said that the objects of two bases cannot be laid out in one.

    Args:
        error: what was raised when a class was made.
    """
    return isinstance(error, TypeError) and ("lay-out conflict" in str(error) or "layout conflict" in str(error))


class _Doc:
    """A class's `__doc__` where it has none: its signature and fields, computed when read."""

    def __get__(self, instance: Any, owner: Any) -> str:
        try:
            call = signature(owner)
        except (TypeError, ValueError):
            call = None
        return class_text(owner, call)


if TYPE_CHECKING:

    class _SupportsReplace(Protocol[_P, _R_co]):
        def __replace__(self, *args: _P.args, **kwargs: _P.kwargs) -> _R_co: ...

    class _UncheckedReplace(Protocol[_R_co]):
        def __call__(self, /, **changes: Any) -> _R_co: ...

    class _ReplaceDescriptor:
        """`replace` with the keywords of `__replace__`, which most checkers make for dataclasses on 3.13 and later.

        For older targets the names and types of changes stay unchecked, but the result is known.
        """

        @overload
        def __get__(self, obj: None, owner: type[Any], /) -> Self: ...
        @overload
        def __get__(self, obj: _SupportsReplace[_P, Any], owner: type[_T], /) -> Callable[_P, _T]: ...
        @overload
        def __get__(self, obj: object, owner: type[_T], /) -> _UncheckedReplace[_T]: ...
        def __get__(self, obj: Any, owner: type[Any], /) -> Any: ...


@dataclass_transform(eq_default=True, frozen_default=True, field_specifiers=(field, static, derived))
class Struct(_storage.Flat, metaclass=StructMeta):
    """A frozen, typed class with fields that every JAX transformation understands; inherit from it.

    Annotated names are fields. Data fields are the children of the pytree node; static ones (`static()`,
    `Static[T]`) are part of its structure. Class options, as keywords: `init`, `repr`, `eq`, `order`, `frozen`,
    `kw_only`, `match_args`. Hooks: `__post_init__(self, <InitVars>)`, in which fields may be assigned, and
    `__check_init__(self)`, which runs on the finished object, for every class that has one.

    Example:
        >>> import jax
        >>> from structkit import Struct, static
        >>> class Scale(Struct):
        ...     factor: jax.Array
        ...     power: int = static(default=1)
        ...     def __call__(self, x):
        ...         return self.factor * x**self.power
        >>> scale = Scale(jax.numpy.ones(3), power=2)
        >>> scale
        Scale(factor=f32[3], power=2)
        >>> jax.grad(lambda s: s(2.0).sum())(scale).factor
        Array([4., 4., 4.], dtype=float32)
    """

    __slots__ = ()

    if TYPE_CHECKING:
        __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]
        replace: ClassVar[_ReplaceDescriptor]
        """A copy with some fields changed; see `structkit.replace`."""

        def __init_subclass__(
            cls,
            *,
            init: bool = True,
            repr: bool = True,
            eq: bool = True,
            order: bool = False,
            frozen: bool = True,
            kw_only: bool = False,
            match_args: bool = True,
            **others: Any,
        ) -> None: ...

    else:

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            """Go on to the next class of the method resolution order, for cooperative `super().__init__` calls."""
            if type(self) is Struct:
                raise BaseInstantiationError
            super().__init__(*args, **kwargs)

        replace = update.replace_method
        __replace__ = update.replace_method
        __setattr__ = _storage.guarded_setattr
        __delattr__ = _storage.guarded_delattr
        __eq__ = _compare.equal
        __ne__ = _compare.not_equal
        __hash__ = _compare.hash_struct
        __dict__ = property(_storage.Vars, doc="A new dict of the fields: `vars(struct)`.")

    def __dir__(self) -> list[str]:
        """The names that can be read: without fields that are not set yet."""
        spec: ClassSpec = vars(type(self))["__struct__"]
        unset = spec.fields.keys() - _storage.field_values(self).keys()
        return [name for name in super().__dir__() if name not in unset and name != "__cache__"]

    def __repr__(self) -> str:
        """The class's name with its fields, arrays as dtype and shape; never fails."""
        return struct_repr(self)

    def __pdoc__(self, **options: Any) -> Any:
        """The document of `wadler_lindig` for this object; a class's own `__repr__` is heeded."""
        own = type(self).__repr__ is not Struct.__repr__
        return plain_doc(self) if own else struct_doc(self, **options)

    def __copy__(self) -> Self:
        return update.with_flat(self, *_storage.snapshot(self))

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        # Statics are immutable; copies of those that compare by identity would change the tree structure.
        made = memo[id(self)] = _storage.new(type(self))
        children, statics = _storage.snapshot(self)
        values = copy.deepcopy([*any_tuple.__iter__(children)], memo)
        _storage.store(made, (_storage.half(values), statics))
        return made  # type: ignore[no-any-return]

    def __reduce__(self) -> Any:
        return _NEW_OBJECT, (type(self),), self.__getstate__()

    def __getstate__(self) -> dict[str, Any]:
        """The fields by name, so that a pickle outlives a new order of the fields and new fields with defaults."""
        return _storage.field_values(self)

    def __setstate__(self: Any, state: dict[str, Any]) -> None:
        if not _storage.is_bare(self):
            raise FrozenInstanceError(type(self).__name__, "__setstate__", known=False)
        spec: ClassSpec = self.__struct__
        if type(state) is dict and state and state.keys() == spec.fields.keys():
            _storage.store(self, _storage.flat_form(spec, state))
        else:
            # Fields came or went since the pickle was made.
            _storage.store(self, update.construct(class_of(self), **state).__flat__)


if not TYPE_CHECKING:
    type.__setattr__(Struct, "__struct__", collect("Struct", (object,), {}, {}))
    type.__setattr__(Struct, "__dataclass_fields__", {})
    type.__setattr__(
        Struct, "__dataclass_params__", _Params(*(True, True, True, False, False, True, True, False, False, False))
    )
    Struct.__struct__.cls = Struct


def is_struct(value: Any) -> bool:
    """Whether `value` is a struct class or an object of one.

    Args:
        value: anything.

    Example:
        >>> from structkit import Struct, is_struct
        >>> class Point(Struct):
        ...     x: float
        >>> is_struct(Point), is_struct(Point(1.0)), is_struct(1.0)
        (True, True, False)
    """
    return isinstance(value if isinstance(value, type) else type(value), StructMeta)


def fields(struct: Any) -> tuple[Field, ...]:
    """The fields of a struct class or object, in order.

    Args:
        struct: a struct class, or an object of one.

    Raises:
        NotAStructError: it is neither.

    Example:
        >>> from structkit import Struct, fields, static
        >>> class Point(Struct):
        ...     x: float
        ...     unit: str = static(default="m")
        >>> [(f.name, f.static) for f in fields(Point)]
        [('x', False), ('unit', True)]
    """
    cls = type(struct) if isinstance(struct, _storage.Flat) else struct
    return tuple(update.known_spec("fields", cls).fields.values())
