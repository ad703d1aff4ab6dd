"""The life of an object: who may write to it, and when.

| state     | `__flat__` holds        | read            | written by                       | leads to              |
|-----------|-------------------------|-----------------|----------------------------------|-----------------------|
| bare      | nothing                 | nothing         | nobody                           | draft, open, finished |
| draft     | a list or `Draft`       | what is set     | user code that constructs        | finished, abandoned   |
| open      | an `Open`               | what is set, or | `object.__setattr__`: packages   | finished, with its    |
|           |                         | its default     | that fill objects                | last field            |
| finished  | a tuple (a list where   | everything      | nobody (anybody where            |                       |
|           | `frozen=False`)         |                 | `frozen=False`)                  |                       |
| abandoned | a tuple or `Incomplete` | what is set     | nobody                           |                       |

The outermost constructor begins a draft and finishes or abandons it. The state is in the object alone: there is no
registry, no flag and no thread state, and a constructor that fails leaves nothing behind. `Filled` is finished too, but
for a `__post_init__` that the package which filled the object may call, once.
"""

from __future__ import annotations

import functools
import gc
import threading
import types
from collections.abc import Callable
from typing import Any

from structkit._core.fields import MISSING, default_value
from structkit._core.flat import Draft, Incomplete, Unset, frozen_error, items, packed, raw_values, snapshot, store
from structkit._core.plan import GENERATED, ClassPlan, plan_of
from structkit.errors import MissingFieldError


class Restored(Draft):
    """The children of an object while a user's `__setstate__` runs: what they take has been converted before."""

    __slots__ = ()


class Open(Draft):
    """The children of an object that is filled from outside, with the names of the fields that are still to come."""

    __slots__ = ("missing",)

    missing: set[str]


class Filled(tuple[Any, ...]):
    """The children of an object that was filled from outside, until its `__post_init__` has run."""

    __slots__ = ()


# Two threads that write two static fields of one object would each make aux anew from the old one. The `==` of a static
# value, which is asked there, may construct others.
_AUX_LOCK = threading.RLock()


def start(plan: ClassPlan) -> tuple[list[Any], tuple[Any, ...]]:
    """What construction starts with: the children and aux, with defaults, and `Unset` where there is none."""
    if plan.start is None:
        # A default that must be made anew or converted waits for the end of construction.
        values = {
            name: Unset(plan.name, name) if f.default is MISSING or f.converter is not None else f.default
            for name, f in plan.fields.items()
        }
        aux = packed(plan, tuple([values[name] for name in plan.static_names]))
        plan.start = [values[name] for name in plan.data_names], aux
    return plan.start


def finish(self: Any) -> None:
    """Close a draft: fill in what has a default, refuse what is unset, freeze, run the checks."""
    plan: ClassPlan = self.__struct__
    children, aux = self.__flat__
    # Spelt out, since a call of `items` would take a tenth of a constructor's time.
    kept = tuple(list.copy(children)) if isinstance(children, list) else children
    unset = type(aux) is Incomplete
    # A loop, not `Unset in map(type, kept)`: faster for the few fields that most classes have.
    for child in kept:
        if type(child) is Unset:
            unset = True
    if unset:
        _fill_defaults(self, plan)
        children, aux = self.__flat__
        kept = items(children)
    store(self, (kept if plan.frozen else list(kept), aux))
    for check in plan.checks:
        check(self)


def _fill_defaults(self: Any, plan: ClassPlan) -> None:
    """Put in the defaults that are made anew or converted."""
    unset: list[str] = []
    for name in [name for name, value in raw_values(self).items() if type(value) is Unset]:
        default = default_value(plan.fields[name])
        if default is MISSING:
            unset.append(name)
        else:
            _put(self, plan, name, default)
    if unset:
        where = "__post_init__" if plan.init == GENERATED and plan.post_init is not None else "__init__"
        where = "__setstate__" if type(self.__flat__[0]) is Restored else where
        raise MissingFieldError(plan.name, unset, f"{plan.name}.{where}")


def abandon(self: Any) -> None:
    """Freeze what a failed `__init__` leaves: it keeps its values for a debugger, and nothing can be assigned."""
    if hasattr(self, "__flat__"):
        store(self, snapshot(self))


def assign(name: str, self: Any, value: Any) -> None:
    """Set a field of an object that may be written to. The converter runs, unless the object is filled from outside."""
    plan: ClassPlan = self.__struct__
    if not hasattr(self, "__flat__"):
        children, aux = start(plan)
        opened = Open(children)
        opened.missing = set(plan.fields)
        store(self, (opened, aux))
    children, aux = self.__flat__
    if not isinstance(children, list):
        raise frozen_error(plan, name)
    if type(children) is not Open:
        return _put(self, plan, name, value, convert=type(children) is not Restored)
    if name not in children.missing and Unset not in map(type, items(children)) and type(aux) is not Incomplete:
        # All that has no default is set: what is still to come are fields that read as their defaults until then.
        if plan.frozen:
            raise frozen_error(plan, name)
        store(self, (list(items(children)), aux))
        return assign(name, self, value)
    _put(self, plan, name, value, convert=False)
    children.missing.discard(name)
    if not children.missing:
        kind: type[Any] = Filled if plan.post_init is not None or plan.checks else tuple
        store(self, ((kind if plan.frozen else list)(items(children)), self.__flat__[1]))


def _put(self: Any, plan: ClassPlan, name: str, value: Any, convert: bool = True) -> None:
    """Write a value into an object that may be written to."""
    f, i = plan.fields[name], plan.index[name]
    if convert and f.converter is not None:
        value = f.converter(value)
    if not f.static:
        self.__flat__[0][i] = value
        return
    with _AUX_LOCK:
        children, aux = self.__flat__
        kept = [*items(aux)]
        kept[i] = value
        store(self, (children, packed(plan, tuple(kept[1:]))))


def within_draft(
    method: Callable[..., Any], kind: type[Draft] = Draft, filled: tuple[type, ...] = ()
) -> Callable[..., Any]:
    """A method that constructs, with a draft around it: finished at its end, or abandoned.

    That is where the object is bare, or its children are of a kind in `filled`; else somebody around it constructs.
    """

    @functools.wraps(method)
    def drafted(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        # An empty slot answers with an exception; to see that the object refers to its class alone takes a third of it.
        is_bare = len(gc.get_referents(self)) < 2 or not hasattr(self, "__flat__")
        held = None if is_bare else type(self.__flat__[0])
        if held is not None and held not in filled:
            if held is Restored and not filled:
                # From here on it is constructed, if this is an `__init__`.
                store(self, (kind(items(self.__flat__[0])), self.__flat__[1]))
            return method(self, *args, **kwargs)
        # All of it inside: an interrupt may come between any two steps.
        try:
            plan: ClassPlan = self.__struct__
            children, aux = (plan.start or start(plan)) if held is None else self.__flat__
            store(self, (kind(children if held is None else items(children)), aux))
            # Not None is a mistake in a user's `__init__`, of which Python speaks.
            result = method(self, *args, **kwargs)
            finish(self)
        except BaseException:
            abandon(self)
            raise
        return result

    return drafted


def init_part(
    self: Any, names: tuple[str, ...], values: tuple[Any, ...], initvars: tuple[Any, ...] | None = None
) -> None:
    """Do the work of a generated `__init__` that an `__init__` of a subclass calls through `super()`.

    The values are converted. `initvars` are the arguments of `__post_init__`; None when the `__init__` runs none.
    """
    if not hasattr(self, "__flat__"):
        return within_draft(init_part)(self, names, values, initvars)  # type: ignore[no-any-return]
    plan: ClassPlan = self.__struct__
    children, aux = self.__flat__
    if not isinstance(children, list):
        raise frozen_error(plan, next(iter(names), "__init__"))
    statics: dict[str, Any] = {}
    for name, value in zip(names, values):
        if plan.fields[name].static:
            statics[name] = value
        else:
            children[plan.index[name]] = value
    if statics:
        # All at once: each change of aux checks the statics and makes it anew.
        merged = [statics.get(name, value) for name, value in zip(plan.static_names, items(aux)[1:])]
        store(self, (children, packed(plan, tuple(merged))))
    if initvars is not None:
        self.__post_init__(*initvars)


def no_post_init(plan: ClassPlan, qualname: str) -> Callable[..., None]:
    """The `__post_init__` of a class without one, for packages that fill objects: it leads to a mixin's, if any."""

    def __post_init__(self: Any, *args: Any, **kwargs: Any) -> None:
        owner: Any = next(cls for cls in type(self).__mro__ if plan_of(cls) is plan)
        following: Any = getattr(super(owner, self), "__post_init__", None)
        if following is not None:
            following(*args, **kwargs)

    __post_init__.__qualname__ = f"{qualname}.__post_init__"
    return wrap_post_init(__post_init__)


def wrap_post_init(post_init: Callable[..., Any]) -> Callable[..., Any]:
    """A user's `__post_init__`, which may write once more to an object that another package has filled."""
    return within_draft(as_function(post_init), filled=(Filled, Open))


def as_function(method: Any) -> Callable[..., Any]:
    """What can be called with an object first, from whatever stands in a class body under a method's name."""
    if isinstance(method, types.FunctionType):
        return method
    return lambda self, *args: method.__get__(self, type(self))(*args)
