"""`Struct` and its metaclass: plan a class, build it, register it."""

from __future__ import annotations

import collections
import copy
import dataclasses
import types
from abc import ABCMeta
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Self

from typing_extensions import dataclass_transform

from structkit._bridges import ProtocolMeta, serve_pprint, signature
from structkit._core import attributes, compare, flat, lifecycle, pretty, replace
from structkit._core.fields import MISSING, Field
from structkit._core.initgen import generate_init, rebind_post_init
from structkit._core.plan import (
    CUSTOM,
    GENERATED,
    ClassPlan,
    class_dict,
    class_mro,
    is_generated,
    is_of_dataclass,
    make_plan,
    plan_of,
    split_options,
    unknown_option,
    written_checks,
    written_post_init,
)
from structkit._core.registry import node_of, register
from structkit._core.reload import supersede
from structkit._core.specifiers import derived, field, static
from structkit._core.statics import SCALARS
from structkit.errors import BaseInstantiationError, DefinitionError, FrozenInstanceError

# Methods of `Struct` that a standard dataclass or an `__init_subclass__` hook among the bases must not replace, with
# the class option that asks for them.
_OURS = {
    **dict.fromkeys(("__eq__", "__hash__", "__ne__"), "eq"),
    "__repr__": "repr",
    **dict.fromkeys(("__delattr__", "__replace__", "__setattr__", "replace"), ""),
}

# What `__dataclass_params__` says; the standard library looks at it when a dataclass inherits from a struct.
_Params = types.SimpleNamespace
_PARAMS = {
    **dict.fromkeys(("init", "repr", "eq", "frozen", "match_args"), True),
    **dict.fromkeys(("order", "unsafe_hash", "kw_only", "slots", "weakref_slot"), False),
}


class _Doc:
    """A class's `__doc__` where it has none: its signature and fields, computed when read."""

    def __get__(self, instance: Any, owner: Any) -> str:
        try:
            call = signature(owner)
        except (TypeError, ValueError):
            call = None
        return pretty.class_text(owner, call)


class _DocOfClasses:
    """The `__doc__` of the metaclass: `pydoc` reads that of a class past the class, and finds a `_Doc` no text."""

    def __get__(self, cls: Any, metaclass: Any) -> Any:
        if cls is None:
            return "The metaclass of `Struct`: a class statement becomes a frozen, typed pytree node."
        doc = class_dict(cls).get("__doc__")
        return doc.__get__(None, cls) if type(doc) is _Doc else doc

    __set__ = vars(type)["__doc__"].__set__


if TYPE_CHECKING:
    from structkit._bridges import ReplaceDescriptor

    # Static checkers understand struct classes through `dataclass_transform`; the metaclass would only confuse them.
    StructMeta = ABCMeta
else:

    class StructMeta(ProtocolMeta):
        __doc__ = _DocOfClasses()

        def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **keywords: Any) -> Any:
            """Plan, generate, make and register one class."""
            if not any([isinstance(base, StructMeta) for base in bases]):
                return super().__new__(mcs, name, bases, namespace)
            if isinstance(namespace.get("__struct__"), ClassPlan):
                # The dict of a finished class: dill carries classes so, and attrs makes one anew.
                if "__attrs_attrs__" in namespace:
                    what, cure = "is a dataclass already, made by Struct", "drop the decorator of attrs"
                    raise DefinitionError(name, what, cure)
                cls = super().__new__(mcs, name, bases, namespace)
                register(cls, namespace["__struct__"].frozen)
                return cls
            options, others = split_options(name, keywords)
            plan = make_plan(name, bases, namespace, options)
            plan.simple = plan.simple and mcs.__call__ is StructMeta.__call__
            members, publish = _generate(plan, namespace)
            body = _body(plan, namespace, members)
            try:
                cls = super().__new__(mcs, name, bases, body, **others)
            except TypeError as error:
                clearer = _clearer_error(name, bases, others, error)
                if clearer is None:
                    raise
                raise clearer from error
            _restore_members(cls, plan, body, members)
            attributes.correct_getters(plan)
            if publish is not None:
                publish(cls)
            register(cls, plan.frozen and not plan.filled_later)
            plan.finished = True
            return cls

        def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **keywords: Any) -> None:
            # The keywords went to `__init_subclass__`; Protocol's metaclass would pass them on to `type`.
            super().__init__(name, bases, namespace)

        def __getattribute__(cls, name: str) -> Any:
            """The attribute; for a field with a default, that, as a dataclass has it. Instances never come here."""
            value = type.__getattribute__(cls, name)
            if type(value) is not property:
                return value
            plan = class_dict(cls).get("__struct__")
            f = None if plan is None else plan.fields.get(name)
            return value if f is None or f.default is MISSING else f.default

        def __setattr__(cls, name: str, value: Any) -> None:
            """Set a class attribute; a field's property must stay, and a dataclass decorator is refused."""
            plan = class_dict(cls).get("__struct__")
            if name == "__call__":
                for known in filter(None, map(plan_of, _below(cls))):
                    known.callable = True
            if plan is None or not plan.finished:
                # Hooks of the bases run before the class is finished and may do what they like.
                return super().__setattr__(name, value)
            if name == "__struct__":
                return supersede(cls, value)
            what = cure = ""
            if name == "__dataclass_params__" and type(value) is not _Params:
                what, cure = "is a dataclass already, made by Struct", "drop the dataclass decorator"
            elif name in plan.fields and type(value) is not property:
                what, cure = f"{name!r} is a field and cannot be set on the class", "change the default in the body"
            elif name in _HOOKS and name not in plan.hooks and plan.init == GENERATED and not plan.filled_later:
                what, cure = f"was made without {name!r}, which its constructor does not run", "write it in the body"
            if what:
                raise DefinitionError(cls.__name__, what, cure)
            super().__setattr__(name, value)
            if name == "__init__" and not is_generated(value):
                # A decorator that checks or logs: changed copies have to go through it as well.
                plan.simple = False
            elif name == "__new__":
                for known in filter(None, map(plan_of, _below(cls))):
                    known.simple = False
            elif name == "__post_init__":
                plan.post_init = value
            if name in _HOOKS:
                _rebind_hooks(cls)

        def __delattr__(cls, name: str) -> None:
            """Delete a class attribute; a field's property must stay."""
            plan = plan_of(cls)
            if plan is not None and name in plan.fields:
                raise DefinitionError(cls.__name__, f"{name!r} is a field and cannot be deleted", "drop it in the body")
            super().__delattr__(name)
            if plan is not None and name in _HOOKS:
                _rebind_hooks(cls)

        def __instancecheck__(cls, instance: Any) -> bool:
            # ABCMeta's cache of virtual subclasses costs several times as much and is only needed for a no; so below.
            return type.__instancecheck__(cls, instance) or ABCMeta.__instancecheck__(cls, instance)

        def __subclasscheck__(cls, subclass: Any) -> bool:
            return type.__subclasscheck__(cls, subclass) or ABCMeta.__subclasscheck__(cls, subclass)


def _below(cls: Any) -> Iterator[Any]:
    """A class and its subclasses, parents first."""
    yield cls
    for child in type.__subclasses__(cls):
        yield from _below(child)


_HOOKS = ("__check_init__", "__post_init__")


def _rebind_hooks(cls: Any) -> None:
    """Have the constructors of a class, and of those that inherit its hooks, call those that it has now."""
    for one in _below(cls):
        plan, bodies = plan_of(one), [*map(class_dict, class_mro(one))]
        if plan is None:
            continue
        plan.checks = written_checks(bodies)
        if "__post_init__" not in bodies[0]:
            plan.post_init = written_post_init(bodies)
        rebind_post_init(bodies[0].get("__init__"), plan.post_init or (lambda *_: None))


def _generate(plan: ClassPlan, namespace: dict[str, Any]) -> tuple[dict[str, Any], Callable[[type], None] | None]:
    """What the class gets besides what its body says, and what is to be called with the finished class, if anything."""
    qualname, publish = namespace.get("__qualname__", plan.name), None
    members: dict[str, Any] = {
        "__struct__": plan,
        "__dataclass_fields__": {**plan.arguments},
        **attributes.field_properties(plan, qualname),
        **attributes.own_cached_properties(plan, namespace),
    }
    if plan.given_init is not None:
        # An inherited one begins a draft already.
        members["__init__"] = lifecycle.within_draft(plan.given_init) if plan.init == CUSTOM else plan.given_init
    elif plan.init != CUSTOM:
        members["__init__"], publish = generate_init(plan, namespace.get("__module__", "builtins"), qualname)
    if plan.options.get("match_args", True) and "__match_args__" not in namespace:
        members["__match_args__"] = tuple([key for key, f in plan.arguments.items() if f.init and not f.kw_only])
    members["__dataclass_params__"] = _Params(**{**_PARAMS, **plan.options, "frozen": plan.frozen})
    members.update(_special_methods(plan, namespace))
    members.update(_wrapped_hooks(plan, namespace))
    return members, publish


# What is called around a method that user code wrote: in the body, or in a base that no struct parent has dealt with.
_WRAPPERS: dict[str, Callable[[Any], Any]] = {
    "__getattr__": attributes.guard_getattr,
    "__post_init__": lifecycle.wrap_post_init,
    "__setstate__": lambda method: lifecycle.within_draft(method, lifecycle.Restored),
}


def _wrapped_hooks(plan: ClassPlan, namespace: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    bodies: list[Any] = [namespace, *map(class_dict, plan.new_bases)]
    for name, wrap in _WRAPPERS.items():
        body = next((body for body in bodies if name in body), None)
        if body is not None and "__struct__" not in body:
            found[name] = wrap(body[name])
    if plan.post_init is None and (plan.checks or not plan.fields):
        found["__post_init__"] = lifecycle.no_post_init(plan, namespace.get("__qualname__", plan.name))
    return found


def _special_methods(plan: ClassPlan, namespace: dict[str, Any]) -> dict[str, Any]:
    """The methods of ours that this class needs in its own body: the others come from `Struct` by inheritance."""
    members: dict[str, Any] = {}
    strangers = [class_dict(base) for base in plan.new_bases]
    for name, option in _OURS.items():
        if name in namespace:
            continue
        wanted = plan.options.get(option)
        if wanted:
            members[name] = class_dict(Struct)[name]
        elif wanted is not None:
            members[name] = _written(plan, name)
        elif strangers and _gives_way(name, next((body for body in strangers if name in body), {})):
            # It hides what is behind it, up to the next struct.
            members[name] = next(body[name] for body in strangers if "__struct__" in body and name in body)
    if any(["__dict__" in body and "__struct__" not in body for body in strangers]) and "__dict__" not in namespace:
        # A mixin without slots brings a real one, which holds no field.
        members["__dict__"] = class_dict(Struct)["__dict__"]
    if "__eq__" in namespace and "__hash__" not in namespace and plan.options.get("eq") is None:
        # Python would set it to None; a frozen dataclass hashes all the same.
        members["__hash__"] = class_dict(Struct)["__hash__"]
    by_identity = members.get("__hash__") is object.__hash__
    if by_identity or not plan.frozen:
        found = collections.ChainMap(namespace, members, *map(class_dict, plan.mro))
        # Equal objects would have different hashes: as Python does for a class that has its own `==` alone.
        if found.get("__eq__") is not object.__eq__ if by_identity else found.get("__hash__") is compare.hash_struct:
            members["__hash__"] = None
    if plan.options.get("order"):
        members.update(compare.orderings(plan, namespace))
    writers = [namespace, *[class_dict(base) for base in plan.new_bases if base is not object]]
    if any([name in body and "__struct__" not in body for body in writers for name in _PICKLED]):
        # So that `copy` does as they say.
        members.update({name: None for name in ("__copy__", "__deepcopy__") if name not in namespace})
    return members


_PICKLED = ("__getstate__", "__setstate__", "__reduce__", "__reduce_ex__")


_GUARDS = ("__delattr__", "__replace__", "__setattr__")


def _gives_way(name: str, body: Any) -> bool:
    """Whether what a body that is no struct's has was made by `dataclass` or `structkit.struct`, or is abstract."""
    found, of_dataclass = body.get(name), "__dataclass_fields__" in body
    # Python itself puts the None beside an `__eq__`. What guards a frozen dataclass, of any library, is no user code.
    made = is_of_dataclass(found) or (of_dataclass and (found is None or name in _GUARDS))
    return "__struct__" not in body and (made or getattr(found, "__isabstractmethod__", False))


def _written(plan: ClassPlan, name: str) -> Any:
    """What user code among the bases wrote under a method's name; `object`'s where none did."""
    ours = class_dict(object)[name], class_dict(Struct)[name]
    bodies = [body for body in map(class_dict, plan.mro) if name in body and not _gives_way(name, body)]
    return next((body[name] for body in bodies if body[name] not in ours), ours[0])


def _body(plan: ClassPlan, namespace: dict[str, Any], members: dict[str, Any]) -> dict[str, Any]:
    """The namespace for `type.__new__`: the class body with the members in place of the defaults."""
    # A dataclass decorator in an `__init_subclass__` refuses to overwrite these: `_restore_members` puts them in.
    # The plan comes first: a reload that copies the members of a class sees it before it touches the others.
    later = ("__delattr__", "__setattr__")
    body = {"__struct__": plan, **namespace, **{name: value for name, value in members.items() if name not in later}}
    for name, value in namespace.items():
        if isinstance(value, dataclasses.Field) and name not in members:
            # As in dataclasses, only the default of an `InitVar` or a `ClassVar` stays readable.
            body[name] = value.default
            if value.default is MISSING:
                del body[name]
    # Annotations are evaluated lazily on 3.14; they must not see the property of a field named like its type.
    body.pop("__classdictcell__", None)
    slots = namespace.get("__slots__", ())
    # Every struct has a `__weakref__` and needs no `__dict__`.
    known = (*plan.fields, "__weakref__", "__dict__")
    extra = [slot for slot in ((slots,) if isinstance(slots, str) else slots) if slot not in known]
    if extra:
        what = f"__slots__ names {extra[0]!r}, which is no field"
        raise DefinitionError(plan.name, what, f"annotate it: {extra[0]}: ...")
    body["__slots__"] = ()
    body.setdefault("__doc__", _Doc())
    return body


def _restore_members(cls: Any, plan: ClassPlan, body: dict[str, Any], members: dict[str, Any]) -> None:
    """Put our methods back: an `__init_subclass__` may have made the class a dataclass of another framework's kind."""
    present = class_dict(cls)
    if present["__dataclass_fields__"] is members["__dataclass_fields__"] and present.get("__init__") is not None:
        # It has not: another `__init__` is one that it has put around ours, to check or to log.
        plan.simple = plan.simple and present["__init__"] is members["__init__"]
        members = {**members, "__init__": present["__init__"]}
    for name in _OURS:
        if name in present and name not in body:
            type.__delattr__(cls, name)
    for name, member in members.items():
        if present.get(name) is not member:
            type.__setattr__(cls, name, member)


def _clearer_error(name: str, bases: tuple[type, ...], others: dict[str, Any], error: TypeError) -> Exception | None:
    text = str(error).replace("lay-out", "layout")
    if others and "__init_subclass__() takes no keyword arguments" in text:
        return unknown_option(name, others)
    if "layout conflict" not in text:
        return None
    strangers = ", ".join(base.__name__ for base in bases if plan_of(base) is None)
    what = f"cannot inherit from {strangers}, whose instances have a layout of their own"
    return DefinitionError(name, what, "hold it in a field")


@dataclass_transform(eq_default=True, frozen_default=True, field_specifiers=(field, static, derived))
class Struct(flat.Flat, metaclass=StructMeta):
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
        replace: ClassVar[ReplaceDescriptor]
        """A copy with some fields changed; see `structkit.replace`."""

        # fmt: off
        def __init_subclass__(cls, *, init: bool = True, repr: bool = True, eq: bool = True, order: bool = False,
                              frozen: bool = True, kw_only: bool = False, match_args: bool = True,
                              **others: Any) -> None: ...
        # fmt: on

    else:

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            """Go on to the next class of the method resolution order, for cooperative `super().__init__` calls."""
            if type(self) is Struct:
                raise BaseInstantiationError
            super().__init__(*args, **kwargs)

        replace = replace.replace_method
        __replace__ = replace
        __setattr__ = attributes.guarded_setattr
        __delattr__ = attributes.guarded_delattr
        __eq__ = compare.equal
        __ne__ = compare.not_equal
        __hash__ = compare.hash_struct
        __repr__ = pretty.struct_repr
        __name__ = property(attributes.function_name, doc="What JAX calls a struct with `__call__` in its programs.")
        _repr_pretty_ = pretty.ipython_pretty
        __dict__ = property(attributes.Vars, attributes.set_vars, doc="A new dict of the fields: `vars(struct)`.")

    def __dir__(self) -> list[str]:
        """The names that can be read: without fields that are not set yet."""
        plan: ClassPlan = vars(type(self))["__struct__"]
        hidden = {"__cached__", *plan.fields} - flat.field_values(self).keys()
        return [name for name in super().__dir__() if name not in hidden and (plan.callable or name != "__name__")]

    def __pdoc__(self, **options: Any) -> Any:
        """The document of `wadler_lindig` for this object; a class's own `__repr__` is heeded."""
        return pretty.struct_doc(self, **options) if type(self).__repr__ is Struct.__repr__ else pretty.text(repr(self))

    def __rich_repr__(self) -> Any:
        """The fields that rich shows; None leaves it to a class's own `__repr__`."""
        return pretty.rich_repr(self) if type(self).__repr__ is Struct.__repr__ else None

    def __treescope_repr__(self, path: Any, subtree_renderer: Any) -> Any:
        """Nothing of our own: treescope knows dataclasses. Without it `_repr_pretty_` would keep its view away."""
        return NotImplemented

    def __copy__(self) -> Self:
        made: Self = flat.new(type(self))
        if hasattr(self, "__flat__"):
            flat.store(made, flat.snapshot(self))
        return made

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        # Statics are immutable; copies of those that compare by identity would change the tree structure.
        made: Self = flat.new(type(self))
        memo[id(self)] = made
        if not hasattr(self, "__flat__"):
            return made
        children, aux = flat.snapshot(self)
        copied: list[Any] = []
        # A loop here costs depth less than a copy of a list would.
        for child in flat.items(children):
            copied.append(child if type(child) in SCALARS else copy.deepcopy(child, memo))
        flat.store(made, (type(children)(copied), aux))
        return made

    def __reduce_ex__(self, protocol: Any) -> Any:
        # Older protocols leave out a state without items, which an empty struct has.
        return super().__reduce_ex__(max(protocol, 2))

    def __getstate__(self) -> dict[str, Any] | None:
        """The fields by name, so that a pickle outlives a new order of the fields and new fields with defaults."""
        if not hasattr(self, "__flat__"):
            # So that it comes back bare.
            return None
        state = flat.field_values(self)
        return state if len(state) == len(self.__struct__.fields) else flat.raw_values(self)

    def __setstate__(self: Any, state: dict[str, Any]) -> None:
        plan: ClassPlan = self.__struct__
        if type(state) is not dict or state.keys() != plan.fields.keys():
            # Fields came or went since the pickle was made.
            state = replace.completed(plan.name, plan.fields, dict(**state), f"unpickling {plan.name}")
        children, aux = flat.by_names(plan, state)
        if hasattr(self, "__flat__"):
            held = type(self.__flat__[0])
            if issubclass(held, flat.Draft):
                # A user's own, which calls this one, may go on to assign.
                children = children if held is lifecycle.Open else held(flat.items(children))
            elif compare.equal(flat.with_flat(self, children, aux), self, by_contents=True) is not True:
                # The same values are what a `__new__` of the user's has filled in already.
                raise FrozenInstanceError(type(self).__name__, "__setstate__", "assign to", False)
        flat.store(self, (children, aux))


if not TYPE_CHECKING:
    type.__setattr__(Struct, "__struct__", make_plan("Struct", (object,), {}, {}))
    type.__setattr__(Struct, "__dataclass_fields__", {})
    type.__setattr__(Struct, "__dataclass_params__", _Params(**_PARAMS))
    Struct.__struct__.finished = True
    # Empty, and found by `help`, from Python 3.14 on, of a class whose own annotations do not resolve.
    for _class in (Struct, flat.Flat):
        if "__annotations__" in class_dict(_class):
            type.__delattr__(_class, "__annotations__")
    for _name, _method in class_dict(Struct).items():
        if isinstance(_method, types.FunctionType) and _name != "__replace__":
            # Written in other modules, under names that say what they do; from here, what pickles by name finds them.
            _method.__module__, _method.__name__, _method.__qualname__ = __name__, _name, f"Struct.{_name}"
    serve_pprint(class_dict(Struct)["__repr__"], pretty.pprint_struct)


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
    cls = value if isinstance(value, type) else type(value)
    return isinstance(cls, StructMeta) or node_of(cls) is not None


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
    cls = struct if isinstance(struct, type) else type(struct)
    known = node_of(cls) or plan_of(cls) or replace.known_plan("fields", struct)
    return tuple(known.fields.values())
