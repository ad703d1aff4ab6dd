"""How the attributes of a struct are read and guarded: the fields' properties, `vars(x)`, cached properties."""

from __future__ import annotations

import functools
import linecache
import threading
import types
from collections.abc import Callable, MutableMapping
from typing import Any

from structkit._core.flat import Draft, Flat, field_values, frozen_error
from structkit._core.lifecycle import Open, assign
from structkit._core.plan import GENERATED, ClassPlan, class_dict, class_mro, plan_of
from structkit.errors import UnknownAttributeError, UnsetFieldError


def guarded_setattr(self: Any, name: str, value: Any) -> None:
    """Assign a field under construction or in a mutable struct; refuse everything else, with the cure."""
    plan: ClassPlan = self.__struct__
    children: Any = None
    try:
        children = self.__flat__[0]
        if type(children) is Draft or type(children) is list:
            children[plan.direct[name]] = value
            return None
    except (AttributeError, KeyError):
        # A bare object, or not a field that takes any value as it is.
        pass
    # Not into an object that is filled from outside, for which only `object.__setattr__` will do.
    if plan.frozen and (not isinstance(children, list) or type(children) is Open):
        raise frozen_error(plan, name)
    if name in plan.fields:
        return assign(name, self, value)
    if not hasattr(_class_attribute(type(self), name), "__set__") or name in Flat.__slots__:
        raise UnknownAttributeError(plan.name, name, plan.fields, plan.frozen and plan.init == GENERATED)
    object.__setattr__(self, name, value)


def guarded_delattr(self: Any, name: str) -> None:
    """Have a mutable struct compute a cached property again; refuse to delete anything else."""
    found = _class_attribute(type(self), name)
    if self.__struct__.frozen or not isinstance(found, CachedProperty):
        raise frozen_error(self.__struct__, name, "delete")
    found.forget(self)


def guard_getattr(getattr_: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
    """A user's `__getattr__`, kept away from the slots: `return getattr(self.inner, name)` must not recurse."""

    @functools.wraps(getattr_)
    def __getattr__(self: Any, name: str) -> Any:
        if name in Flat.__slots__:
            raise AttributeError(name)
        return getattr_(self, name)

    return __getattr__


def function_name(self: Any) -> str:
    """The `__name__` of a struct that can be called: that of its class."""
    if not self.__struct__.callable:
        raise AttributeError(f"{type(self).__name__!r} object has no attribute '__name__'")
    return type(self).__name__


def _class_attribute(cls: Any, name: str) -> Any:
    return next((class_dict(base)[name] for base in class_mro(cls) if name in class_dict(base)), None)


def field_properties(plan: ClassPlan, qualname: str) -> dict[str, property]:
    """The properties that read and guard the fields of a class."""
    properties: dict[str, property] = {}
    for name, f in plan.fields.items():
        # The place is a constant, so a subclass has getters of its own; for `super().x`, which reads through the one of
        # the base, see `correct_getters`. Code objects of their own give the getters inline caches of their own.
        code = _getter_code(f.static, plan.index[name]).replace(co_name=name, co_qualname=f"{qualname}.{name}")
        properties[name] = _property(name, types.FunctionType(code, _GETTER_GLOBALS, name), f.doc)
    return properties


def _property(name: str, getter: Callable[[Any], Any], doc: str | None) -> property:
    # Partials, not closures: fewer objects for the garbage collector, which class creation wakes often.
    return property(getter, functools.partial(assign, name), functools.partial(_delete, name), doc)


def _delete(name: str, self: Any) -> None:
    guarded_delattr(self, name)


# Compiled once for all classes, since only the place tells one getter from another.
@functools.cache
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
    return next(part for part in compile(source, filename, "exec").co_consts if isinstance(part, types.CodeType))


def _unset(self: Any, half: int, i: int, error: AttributeError) -> AttributeError:
    # Without an UnsetFieldError from a draft, the object is bare: `cls.__new__(cls)` made it.
    if isinstance(error, UnsetFieldError):
        return error
    plan: ClassPlan = self.__struct__
    return UnsetFieldError(plan.name, (plan.static_names[i - 1] if half else plan.data_names[i]))


_GETTER_GLOBALS = {"unset": _unset, "AttributeError": AttributeError}


def correct_getters(plan: ClassPlan) -> None:
    """Mend the getters of bases whose layout differs from the class's: `super().x` reads through the base's property.

    Only multiple inheritance, or a field that turns static, moves a field. From then on the base looks its place up.
    """
    fields, index = plan.fields, plan.index
    for base in plan.mro:
        known = plan_of(base)
        if known is None:
            continue
        places = known.index.items()
        moved = [name for name, i in places if index[name] != i or fields[name].static != known.fields[name].static]
        for name in moved:
            getter = _searching_getter(f"{base.__qualname__}.{name}", name)
            type.__setattr__(base, name, _property(name, getter, known.fields[name].doc))
        if not moved and not plan.new_bases:
            # The one parent has the same layout, and has mended its own bases.
            return


def _searching_getter(qualname: str, name: str) -> Callable[[Any], Any]:
    def getter(self: Any) -> Any:
        plan: ClassPlan = self.__struct__
        half, i = int(plan.fields[name].static), plan.index[name]
        try:
            return self.__flat__[half][i]
        except AttributeError as error:
            raise _unset(self, half, i, error) from None

    getter.__name__, getter.__qualname__ = name, qualname
    return getter


# Captured, so that a class attribute of a user's with the slot's name is no part of it.
_cached: Callable[[Any], dict[Any, Any]] = vars(Flat)["__cached__"].__get__
_store_cached: Callable[[Any, Any], None] = vars(Flat)["__cached__"].__set__
_CACHE_LOCK = threading.Lock()


class CachedProperty(functools.cached_property[Any]):
    """A `functools.cached_property` that keeps its value beside the tree, one for all threads."""

    def __init__(self, standard: functools.cached_property[Any], name: str):
        # All but the lock that it has before 3.12, which does not pickle by value.
        vars(self).update({key: value for key, value in vars(standard).items() if key != "lock"}, attrname=name)

    def forget(self, instance: Any) -> None:
        """Let the next reading compute the value again."""
        with _CACHE_LOCK:
            try:
                del _cached(instance)[self]
            except (AttributeError, KeyError):
                raise AttributeError(self.attrname) from None

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        try:
            # By property, not by name: an overriding one may read the overridden one through `super()`.
            return _cached(instance)[self]
        except (AttributeError, KeyError):
            pass
        value = self.func(instance)
        held = type(getattr(instance, "__flat__", (None,))[0])
        if held is Draft or (held is list and instance.__struct__.frozen):
            # What it is computed from may still be assigned.
            return value
        with _CACHE_LOCK:
            try:
                cache = _cached(instance)
            except AttributeError:
                cache = {}
                _store_cached(instance, cache)
            # Two threads may both compute; the first value stored is the one that all of them return.
            return cache.setdefault(self, value)


def own_cached_properties(plan: ClassPlan, namespace: dict[str, Any]) -> dict[str, CachedProperty]:
    """Replacements for the `functools.cached_property` objects that a class would get from its body or a mixin."""
    bodies = [*map(class_dict, reversed(plan.new_bases)), namespace]
    found = {name: value for body in bodies for name, value in body.items()}
    own = {name: value for name, value in found.items() if type(value) is functools.cached_property}
    # A field hides a mixin's, as it does in a dataclass.
    return {name: CachedProperty(value, name) for name, value in own.items() if name not in plan.fields}


class Vars(dict[str, Any], MutableMapping[str, Any]):
    """The fields of a struct as `vars` gives them: a new dict each time, so writing to it is writing to the struct.

    Code that writes to `self.__dict__` in a constructor works; elsewhere it fails as an assignment does, where a
    plain dict would lose the value in silence.
    """

    __slots__ = ("_struct",)

    def __init__(self, struct: Any):
        super().__init__(field_values(struct))
        self._struct = struct

    def __setitem__(self, name: str, value: Any) -> None:
        if name in self._struct.__struct__.fields:
            # Past a `__setattr__` of the user's, as in any `__dict__`.
            object.__setattr__(self._struct, name, value)
        elif not hasattr(_class_attribute(type(self._struct), name), "__get__"):
            setattr(self._struct, name, value)
        # Else a property that caches, of a kind that we do not know: it computes its value again.

    def __delitem__(self, name: str) -> None:
        guarded_delattr(self._struct, name)

    # All that changes a dict, in terms of these two.
    update: Any = MutableMapping.update
    setdefault: Any = MutableMapping.setdefault
    pop: Any = MutableMapping.pop
    popitem: Any = MutableMapping.popitem
    clear: Any = MutableMapping.clear

    def __ior__(self, other: Any) -> Any:  # type: ignore[misc]  # `|` makes a plain dict, as it should
        self.update(other)
        return self

    def __reduce__(self) -> Any:
        return dict, (dict(self),)


def set_vars(self: Any, values: dict[str, Any]) -> None:
    """Fill a bare object, as a package does that sets `__dict__` as a whole (pydantic)."""
    plan: ClassPlan = self.__struct__
    if hasattr(self, "__flat__") and not isinstance(self.__flat__[0], list):
        raise frozen_error(plan, "__dict__")
    for name, value in values.items():
        if name not in plan.fields:
            raise UnknownAttributeError(plan.name, name, plan.fields)
        object.__setattr__(self, name, value)
