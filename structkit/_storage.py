"""The flat form: a struct holds one slot, `__flat__ = (children, statics)`, and everything reads it.

JAX is given this pair as it is when it flattens, and `__flat__` is all that unflatten stores. A field is a `property`
that indexes the pair. Both halves of a finished struct are tuples: nothing can be written to them.

While code of the user's constructs an object, the children are a list, a `Draft` if some of them may be unset;
assignments write into it. Who opened the draft (the outermost `__init__`) closes it: the state is in the object alone,
with no registry and no flag. Statics are replaced as a whole, so that JAX never holds a tuple that changes later.
"""

from __future__ import annotations

import functools
import gc
import linecache
import types
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from structkit._fields import MISSING, Field
from structkit._spec import GENERATED, ClassSpec, class_dict, class_mro, spec_of
from structkit._statics import pack_statics
from structkit._typing import any_list, any_tuple
from structkit.errors import FrozenInstanceError, MissingFieldError, UnknownAttributeError, UnsetFieldError


class Flat:
    """The layout of every struct. All structs have the same one, so multiple inheritance has nothing to conflict about.

    Slots: `__flat__`, the pair; `__cache__`, a dict for `cached_property` once one is computed.
    """

    __slots__ = ("__cache__", "__flat__", "__weakref__")

    if TYPE_CHECKING:
        # Not at run time, where `typing.get_type_hints` of every struct would list them.
        __flat__: Any
        __cache__: dict[Any, Any]


# Captured before any guard exists; calling them is the one way past the guard, and this module's privilege.
new: Callable[[Any], Any] = object.__new__
store: Callable[[Any, Any], None] = vars(Flat)["__flat__"].__set__
_store_cache: Callable[[Any, Any], None] = vars(Flat)["__cache__"].__set__


class Unset:
    """Stands in the place of a field that is not set yet."""

    __slots__ = ("field", "struct")

    def __init__(self, struct: str, field: str):
        self.struct, self.field = struct, field

    def __reduce__(self) -> Any:
        return Unset, (self.struct, self.field)

    def __repr__(self) -> str:
        return "<unset>"


def _set(value: Any) -> Any:
    if type(value) is Unset:
        raise UnsetFieldError(value.struct, value.field)
    return value


class Draft(list[Any]):
    """The children of a struct under construction. Reading an unset one raises, with its name."""

    __slots__ = ()

    def __getitem__(self, i: Any) -> Any:
        return _set(any_list.__getitem__(self, i))

    def __iter__(self) -> Iterator[Any]:
        return map(_set, any_list.__iter__(self))


class Incomplete(tuple[Any, ...]):
    """Half of a flat form with unset items, when nothing may be written: statics, or what a failed `__init__` left."""

    __slots__ = ()

    def __getitem__(self, i: Any) -> Any:
        return _set(any_tuple.__getitem__(self, i))

    def __iter__(self) -> Iterator[Any]:
        return map(_set, any_tuple.__iter__(self))


def start(spec: ClassSpec) -> tuple[list[Any], tuple[Any, ...], tuple[Any, ...]]:
    """What the construction of an object starts with: defaults, and `Unset` where there is none.

    The children, as a list and as half of a flat form, and the statics.

    Args:
        spec: the plan of the class.
    """
    if spec.start is None:
        children = [_first(spec, name) for name in spec.data]
        spec.start = children, half(children), _statics(spec, tuple([_first(spec, name) for name in spec.statics]))
    return spec.start


def _first(spec: ClassSpec, name: str) -> Any:
    # A default that must be made anew or converted waits for the end of construction.
    f = spec.fields[name]
    return Unset(spec.name, name) if f.default is MISSING or f.converter is not None else f.default


def check_static_defaults(spec: ClassSpec) -> None:
    """Refuse a default that cannot be static with the class, not with its first object.

    Args:
        spec: the plan of the class.

    Raises:
        StaticValueError: there is one.
    """
    kept = {name: value for name in spec.statics if type(value := _first(spec, name)) is not Unset}
    pack_statics(spec.name, tuple(kept), tuple(kept.values()))


def _statics(spec: ClassSpec, values: tuple[Any, ...]) -> tuple[Any, ...]:
    if any(type(value) is Unset for value in values):
        return Incomplete((None, *values))
    return spec.pack(values)


def half(values: Iterable[Any]) -> tuple[Any, ...]:
    """The values as a tuple, which raises on reading those that are unset.

    Args:
        values: values and `Unset`s.
    """
    kept = tuple(values)
    return Incomplete(kept) if any(type(value) is Unset for value in kept) else kept


def snapshot(self: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The flat form of `self` as it is now, for a copy that later assignments in a constructor do not reach.

    Args:
        self: a struct in any state.
    """
    children, statics = self.__flat__
    return (half(any_list.__iter__(children)) if isinstance(children, any_list) else children), statics


def is_bare(self: Any) -> bool:
    """Whether an object has no flat form yet: its construction has not begun.

    Args:
        self: an object of a struct class.
    """
    # An unset slot answers with an exception; to see that the object refers to its class only takes a third of that.
    return len(gc.get_referents(self)) < 2 or getattr(self, "__flat__", None) is None


def begin(self: Any) -> bool:
    """Open a draft for `self`; False when one is open already, or the object is finished.

    Args:
        self: the object whose `__init__` starts.
    """
    if not is_bare(self):
        return False
    spec: ClassSpec = self.__struct__
    children, _, statics = spec.start or start(spec)
    store(self, (Draft(children), statics))
    return True


def finish(self: Any) -> None:
    """Close the draft of `self`: fill what has a default, refuse what is unset, freeze, run the checks.

    Args:
        self: the object whose outermost `__init__` returns.

    Raises:
        MissingFieldError: fields are unset.
    """
    spec: ClassSpec = self.__struct__
    draft, statics = self.__flat__
    children = tuple(any_list.copy(draft)) if isinstance(draft, any_list) else draft
    unset = type(statics) is Incomplete
    # A loop, not `Unset in map(type, children)`: faster for the few fields that most classes have.
    for child in children:
        if type(child) is Unset:
            unset = True
            break
    if unset:
        try:
            children, statics = _filled(self, spec)
        except BaseException:
            abandon(self)
            raise
    store(self, (children, statics))
    for check in spec.checks:
        check(self)


def _filled(self: Any, spec: ClassSpec) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The flat form without unset items: defaults that are made anew or converted are put in."""
    unset: list[str] = []
    for name, value in _raw(self, spec).items():
        if type(value) is not Unset:
            continue
        default = _default(spec.fields[name])
        if default is MISSING:
            unset.append(name)
        else:
            assign(self, name, default)
    if unset:
        where = "__post_init__" if spec.init == GENERATED and spec.post_init else "__init__"
        raise MissingFieldError(spec.name, unset, f"{spec.name}.{where}")
    return snapshot(self)


def _default(f: Field) -> Any:
    """The default of a field for one object; `dataclasses.MISSING` without one."""
    return f.default if f.default_factory is MISSING else f.default_factory()


def abandon(self: Any) -> None:
    """Freeze what a failed `__init__` leaves: it keeps its values for a debugger, and nothing can be assigned.

    Args:
        self: the object whose `__init__` raised.
    """
    store(self, snapshot(self))


def assign(self: Any, name: str, value: Any) -> None:
    """Set a field of an object that is under construction or mutable; the converter runs.

    Args:
        self: the object.
        name: the field's name.
        value: any value, before conversion.

    Raises:
        FrozenInstanceError: the object is finished.
        StaticValueError: the field is static and the value cannot be.
    """
    spec: ClassSpec = self.__struct__
    flat = getattr(self, "__flat__", None)
    if spec.sealed and (flat is None or not isinstance(flat[0], list)):
        raise FrozenInstanceError(spec.name, name)
    if flat is None:
        store(self, start(spec)[1:])
    f = spec.fields[name]
    put(self, spec, name, value if f.converter is None else f.converter(value))


def put(self: Any, spec: ClassSpec, name: str, value: Any) -> None:
    """Write a converted value into the flat form of an object that may be written to.

    Args:
        self: the object.
        spec: its plan.
        name: the field's name.
        value: the value to keep.
    """
    children, statics = self.__flat__
    i = spec.index[name]
    if spec.fields[name].static:
        kept = [*any_tuple.__iter__(statics)]
        kept[i] = value
        store(self, (children, _statics(spec, tuple(kept[1:]))))
    elif isinstance(children, any_list):
        children[i] = value
    else:
        kept = [*any_tuple.__iter__(children)]
        kept[i] = value
        store(self, (half(kept), statics))


def assign_fields(self: Any, names: tuple[str, ...], values: tuple[Any, ...]) -> None:
    """Write what a generated `__init__` was given into the draft that is open.

    Args:
        self: an object under construction, of the `__init__`'s class or a subclass.
        names: the fields to set.
        values: their values, converted.

    Raises:
        FrozenInstanceError: the object is finished.
    """
    spec: ClassSpec = self.__struct__
    if spec.sealed and not isinstance(self.__flat__[0], list):
        raise FrozenInstanceError(spec.name, next(iter(names), "__init__"))
    if not spec.sealed and is_bare(self):
        store(self, start(spec)[1:])
    children, statics = self.__flat__
    given: dict[str, Any] = {}
    for name, value in zip(names, values):
        if spec.fields[name].static:
            given[name] = value
        elif isinstance(children, any_list):
            children[spec.index[name]] = value
        else:
            put(self, spec, name, value)
    if given:
        # All at once: each change of the statics checks them and makes them anew.
        kept = any_tuple.__iter__(statics)
        merged = [given.get(name, value) for name, value in zip(("", *spec.statics), kept)]
        store(self, (self.__flat__[0], _statics(spec, tuple(merged[1:]))))


def init_part(
    self: Any, names: tuple[str, ...], values: tuple[Any, ...], initvars: tuple[Any, ...] | None = None
) -> None:
    """Do the work of a generated `__init__` that was called for an object of a subclass.

    Args:
        self: an object whose own `__init__` calls this one through `super()`; or, rarely, one without an open draft.
        names: the fields to set.
        values: their values, converted.
        initvars: the arguments of `__post_init__`; None when the `__init__` runs none.
    """
    outermost = begin(self)
    try:
        assign_fields(self, names, values)
        if initvars is not None:
            self.__post_init__(*initvars)
    except BaseException:
        if outermost:
            abandon(self)
        raise
    if outermost:
        finish(self)


def constructs(init: Callable[..., Any]) -> Callable[..., None]:
    """A user's `__init__`, with a draft open around it; the outermost one finishes the object.

    Args:
        init: the function from the class body.
    """

    @functools.wraps(init)
    def __init__(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        if not begin(self):
            return init(self, *args, **kwargs)
        try:
            result: Any = init(self, *args, **kwargs)
        except BaseException:
            abandon(self)
            raise
        finish(self)
        # Not None is a mistake of the user's, of which Python speaks.
        return result

    return __init__


def opens(init: Callable[..., Any]) -> Callable[..., Any]:
    """A user's `__init__` for a class whose objects can be written to at any time: it starts with the defaults.

    Args:
        init: the function from the class body.
    """

    @functools.wraps(init)
    def __init__(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        if is_bare(self):
            store(self, start(self.__struct__)[1:])
        return init(self, *args, **kwargs)

    return __init__


def delegates(getattr_: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
    """A user's `__getattr__`, kept away from the slots: `return getattr(self.inner, name)` must not recurse.

    Args:
        getattr_: the function from the class body or a mixin.
    """

    @functools.wraps(getattr_)
    def __getattr__(self: Any, name: str) -> Any:
        if name in Flat.__slots__:
            raise AttributeError(name)
        return getattr_(self, name)

    return __getattr__


def guarded_setattr(self: Any, name: str, value: Any) -> None:
    """Assign a field under construction or in a mutable struct; refuse everything else, with the cure.

    Args:
        self: a struct.
        name: any attribute name.
        value: any value.

    Raises:
        FrozenInstanceError: the object is finished.
        UnknownAttributeError: the name is no field.
    """
    spec: ClassSpec = self.__struct__
    try:
        children = self.__flat__[0]
        if type(children) is Draft or type(children) is list:
            children[spec.direct[name]] = value
            return None
    except (AttributeError, KeyError):
        # Before construction, or not a field that takes any value as it is.
        pass
    return _assign_with_care(self, spec, name, value)


def _assign_with_care(self: Any, spec: ClassSpec, name: str, value: Any) -> None:
    flat = getattr(self, "__flat__", None)
    if name in spec.fields:
        return assign(self, name, value)
    if flat is None or (spec.frozen and not isinstance(flat[0], list)):
        raise FrozenInstanceError(spec.name, name, known=False)
    if not hasattr(_class_attribute(type(self), name), "__set__") or name in Flat.__slots__:
        raise UnknownAttributeError(spec.name, name, spec.fields)
    object.__setattr__(self, name, value)


def guarded_delattr(self: Any, name: str) -> None:
    """Refuse to delete an attribute.

    Args:
        self: a struct.
        name: any attribute name.

    Raises:
        FrozenInstanceError: always.
    """
    spec: ClassSpec = self.__struct__
    raise FrozenInstanceError(spec.name, name, "delete", known=name in spec.fields)


def _class_attribute(cls: Any, name: str) -> Any:
    return next((class_dict(base)[name] for base in class_mro(cls) if name in class_dict(base)), None)


def field_properties(spec: ClassSpec) -> dict[str, property]:
    """The properties that read and guard the fields of a class.

    Args:
        spec: the plan of the class.
    """
    index = spec.index
    found: dict[str, property] = {}
    for name, f in spec.fields.items():
        # Objects that can be written to at any time are, in each `__post_init__`.
        quick = not spec.dialect.seals and f.converter is None and not f.static
        setter = _quick_setter(name, index[name]) if quick else _setter(name)
        found[name] = _property(name, _getter(name, f.static, index[name]), setter, f.doc)
    return found


def _property(name: str, getter: Callable[[Any], Any], setter: Callable[[Any, Any], None], doc: str | None) -> property:
    return property(getter, setter, functools.partial(_delete, name), doc)


def _setter(name: str) -> Callable[[Any, Any], None]:
    # A partial, not a closure: fewer objects for the garbage collector, which class creation wakes often.
    return functools.partial(_assign, name)


def _assign(name: str, self: Any, value: Any) -> None:
    assign(self, name, value)


def _delete(name: str, self: Any) -> None:
    guarded_delattr(self, name)


def _quick_setter(name: str, i: int) -> Callable[[Any, Any], None]:
    def setter(self: Any, value: Any) -> None:
        children, statics = getattr(self, "__flat__", None) or ((), ())
        if type(children) is not tuple or not children:
            return assign(self, name, value)
        store(self, ((*children[:i], value, *children[i + 1 :]), statics))

    return setter


def _getter(name: str, static: bool, i: int) -> Callable[[Any], Any]:
    template = _getters.get((static, i)) or _getter_code(static, i)
    # A code object of its own gives the getters of each class inline caches of their own.
    return types.FunctionType(template.replace(co_name=name), _GETTER_GLOBALS, name)


def _getter_code(static: bool, i: int) -> types.CodeType:
    half = int(static)
    source = (
        "def getter(self):\n"
        "    try:\n"
        f"        return self.__flat__[{half}][{i}]\n"
        "    except AttributeError as error:\n"
        f"        raise unset(self, {half}, {i}, error) from None\n"
    )
    filename = f"<structkit: getter of {('child', 'static')[half]} {i}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
    scope: dict[str, Any] = {}
    exec(compile(source, filename, "exec"), scope)
    code: types.CodeType = scope["getter"].__code__
    return _getters.setdefault((static, i), code)


# (static, index) -> code. Compiled once for all classes, since only the place tells one getter from another.
_getters: dict[tuple[bool, int], types.CodeType] = {}


def _unset(self: Any, half: int, i: int, error: AttributeError) -> AttributeError:
    # Without an UnsetFieldError from a draft, the object has no flat form: `cls.__new__(cls)` made it.
    if isinstance(error, UnsetFieldError):
        return error
    spec: ClassSpec = self.__struct__
    name = next(name for name, f in spec.fields.items() if (f.static, spec.index[name]) == (half, i))
    return UnsetFieldError(spec.name, name)


_GETTER_GLOBALS = {"unset": _unset, "AttributeError": AttributeError}


def correct_getters(spec: ClassSpec) -> None:
    """Mend the getters of bases whose layout differs from the class's: `super().x` reads through the base's property.

    Only multiple inheritance, or a field that turns static, moves a field to another place. From then on the base
    looks the place up, which is slower than the constant index that it had.

    Args:
        spec: the plan of a finished class.
    """
    for base in spec.mro:
        base_spec = spec_of(base)
        moved = [] if base_spec is None else _moved(base_spec, spec)
        for name in moved:
            type.__setattr__(base, name, _property(name, _searching_getter(name), _setter(name), spec.fields[name].doc))
        if not moved and not spec.new_bases:
            # The one parent has the same layout, and has mended its own bases.
            return


def _moved(base: ClassSpec, spec: ClassSpec) -> list[str]:
    """The fields of a base that a class keeps in another place."""
    places = {name: (f.static, spec.index[name]) for name, f in spec.fields.items()}
    return [name for name, f in base.fields.items() if places[name] != (f.static, base.index[name])]


def _searching_getter(name: str) -> Callable[[Any], Any]:
    def getter(self: Any) -> Any:
        spec: ClassSpec = self.__struct__
        return self.__flat__[spec.fields[name].static][spec.index[name]]

    return getter


class CachedProperty(functools.cached_property[Any]):
    """A `functools.cached_property` that keeps its value in the struct's `__cache__`, beside the tree."""

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        cache: dict[Any, Any] | None = getattr(instance, "__cache__", None)
        if cache is None:
            cache = {}
            _store_cache(instance, cache)
        # By property, not by name: an overriding one may read the overridden one through `super()`.
        if self not in cache:
            # Two threads may both compute; the first value stored is the one that all of them return.
            cache.setdefault(self, self.func(instance))
        return cache[self]

    def __reduce__(self) -> Any:
        # Before 3.12 there is a lock in it, which does not pickle by value.
        return _named_cached_property, (self.func, self.attrname)


def _named_cached_property(function: Callable[[Any], Any], name: str) -> CachedProperty:
    restored = CachedProperty(function)
    restored.__set_name__(object, name)
    return restored


def own_cached_properties(spec: ClassSpec, namespace: dict[str, Any]) -> dict[str, CachedProperty]:
    """Replacements for the `functools.cached_property` objects that a class would get from its body or a mixin.

    Args:
        spec: the plan of the class.
        namespace: the class body.
    """
    found: dict[str, CachedProperty] = {}
    seen: set[str] = set()
    for body in (namespace, *map(class_dict, spec.new_bases)):
        for name, value in body.items():
            if type(value) is functools.cached_property and name not in seen:
                found[name] = _named_cached_property(value.func, name)
            seen.add(name)
    return found


class Vars(dict[str, Any]):
    """The fields of a struct as `vars` gives them: a new dict each time, so writing to it is writing to the struct.

    Code that writes to `self.__dict__` in a constructor works; elsewhere it fails as an assignment does, where a
    plain dict would lose the value in silence.
    """

    __slots__ = ("_struct",)

    def __init__(self, struct: Any):
        super().__init__(field_values(struct))
        self._struct = struct

    def __setitem__(self, name: str, value: Any) -> None:
        known = name in self._struct.__struct__.fields
        if known or not hasattr(_class_attribute(type(self._struct), name), "__get__"):
            setattr(self._struct, name, value)
        # Else a property that caches, of a kind that we do not know: it computes its value again.

    def update(self, *others: Any, **values: Any) -> None:
        for name, value in dict(*others, **values).items():
            self[name] = value

    def __ior__(self, other: Any) -> Any:  # type: ignore[misc]  # `|` makes a plain dict, as it should
        self.update(other)
        return self

    def setdefault(self, name: str, default: Any = None) -> Any:
        if name not in self:
            self[name] = default
        return self.get(name, default)

    def __delitem__(self, name: str) -> None:
        guarded_delattr(self._struct, name)

    def pop(self, name: Any, default: Any = None, /) -> Any:
        guarded_delattr(self._struct, name)

    def popitem(self) -> Any:
        guarded_delattr(self._struct, next(iter(self), "__dict__"))

    def clear(self) -> None:
        self.popitem()

    def __reduce__(self) -> Any:
        return dict, (dict(self),)


def field_values(self: Any) -> dict[str, Any]:
    """The set fields of a struct: name -> value, in order.

    Args:
        self: a struct, possibly under construction.
    """
    spec: ClassSpec = self.__struct__
    children, statics = getattr(self, "__flat__", None) or ((), ())
    if not type(children) is type(statics) is any_tuple:
        return {name: value for name, value in _raw(self, spec).items() if type(value) is not Unset}
    if not statics:
        return dict(zip(spec.data, children))
    # The keys first, for their order.
    values = dict.fromkeys(spec.fields)
    values.update(zip(spec.data, children))
    values.update(zip(spec.statics, statics[1:]))
    return values


def _raw(self: Any, spec: ClassSpec) -> dict[str, Any]:
    """The fields in order, unset ones included, without the error for reading them."""
    halves = [(any_list if isinstance(half, any_list) else any_tuple).__iter__(half) for half in self.__flat__]
    children, statics = map(tuple, halves)
    return {name: (statics if f.static else children)[spec.index[name]] for name, f in spec.fields.items()}


def build(cls: Any, values: dict[str, Any]) -> Any:
    """A struct of `cls` with these field values, made without running any code of the user's.

    Args:
        cls: a struct class.
        values: name -> value. Each must be a field; one that is left out takes its default.

    Raises:
        MissingFieldError: a field without a default is left out.
        StaticValueError: a static value cannot be one.
    """
    spec: ClassSpec = type.__getattribute__(cls, "__struct__")
    missing = [name for name in spec.fields if name not in values]
    if missing:
        defaults = {name: _default(spec.fields[name]) for name in missing}
        unset = [name for name, default in defaults.items() if default is MISSING]
        if unset:
            raise MissingFieldError(spec.name, unset, f"construct({spec.name}, ...)")
        values = {**values, **defaults}
    made = new(cls)
    store(made, flat_form(spec, values))
    return made


def flat_form(spec: ClassSpec, values: dict[str, Any]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The flat form of a finished object with these field values.

    Args:
        spec: the plan of the class.
        values: name -> value, for every field.

    Raises:
        KeyError: a field has no value.
        StaticValueError: a static value cannot be one.
    """
    children = tuple([values[name] for name in spec.data])
    return children, spec.pack(tuple([values[name] for name in spec.statics])) if spec.statics else ()
