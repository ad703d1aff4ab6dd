"""The flat form: a struct holds one slot, `__flat__ = (children, aux)`, and everything reads it.

JAX is given this pair as it is when it flattens, and `__flat__` is all that unflatten stores. The children of a
finished frozen struct and every aux are tuples: nothing can be written to them. The children of an object that may be
written to are a list. Aux is replaced as a whole, so that JAX never holds a tuple that changes later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from structkit._core.fields import MISSING, default_value
from structkit._core.plan import ClassPlan
from structkit.errors import FrozenInstanceError, UnsetFieldError, nearest


def _become(self: Any, cls: Any) -> None:
    """Give a struct another class, whose fields take what those of the same name held, or their defaults.

    A reload in a notebook takes old objects along so; in the place of a field there must not be another one's value.
    """
    before: ClassPlan = self.__struct__
    plan: ClassPlan = cls.__struct__
    # With the same fields a constructor that does so goes on.
    if hasattr(self, "__flat__") and any(getattr(before, name) != getattr(plan, name) for name in _LAYOUT):
        values = raw_values(self)
        for name in [name for name in plan.fields if name not in values]:
            default = default_value(plan.fields[name])
            values[name] = Unset(plan.name, name) if default is MISSING else default
        store(self, by_names(plan, values))
    _set_class(self, cls)


_LAYOUT = ("data_names", "static_names", "frozen")
_set_class: Callable[[Any, Any], None] = vars(object)["__class__"].__set__


class Flat:
    """The layout of every struct. All structs have the same one, so multiple inheritance has nothing to conflict about.

    Slots: `__flat__`, the pair; `__cached__`, a dict for `cached_property` once one is computed.
    """

    __slots__ = ("__cached__", "__flat__", "__weakref__")

    if TYPE_CHECKING:
        # Not at run time, where `typing.get_type_hints` of every struct would list it.
        __flat__: Any
        __struct__: ClassPlan
    else:
        __class__ = property(type, _become)


# Captured before any guard exists; calling it is the one way past the guards, and the privilege of this package.
store: Callable[[Any, Any], None] = vars(Flat)["__flat__"].__set__
new: Callable[[Any], Any] = object.__new__


class Unset:
    """Stands in the place of a field that is not set yet."""

    __slots__ = ("field", "struct")

    def __init__(self, struct: str, field: str):
        self.struct, self.field = struct, field

    def __reduce__(self) -> Any:
        return Unset, (self.struct, self.field)

    def __repr__(self) -> str:
        return "<unset>"


def _read(value: Any) -> Any:
    if type(value) is Unset:
        raise UnsetFieldError(value.struct, value.field)
    return value


class Draft(list[Any]):
    """The children of a struct under construction. Reading an unset one raises, with its name."""

    __slots__ = ()

    def __getitem__(self, i: Any) -> Any:
        return _read(list.__getitem__(self, i))

    def __iter__(self) -> Iterator[Any]:
        return map(_read, list.__iter__(self))


class Incomplete(tuple[Any, ...]):
    """Half of a flat form with unset items, when nothing may be written: aux, or what a failed `__init__` left."""

    __slots__ = ()

    def __getitem__(self, i: Any) -> Any:
        return _read(tuple.__getitem__(self, i))

    def __iter__(self) -> Iterator[Any]:
        return map(_read, tuple.__iter__(self))


def items(half: Any) -> tuple[Any, ...]:
    """The items of half of a flat form, unset ones included, without the error for reading them."""
    if type(half) is tuple:
        return half
    return tuple(list.copy(half) if isinstance(half, list) else tuple.__iter__(half))


def settled(plan: ClassPlan, children: Any) -> Any:
    """The children of an object that nobody constructs any more: to be written to where it is mutable alone."""
    kept = items(children)
    if Unset in map(type, kept):
        return Incomplete(kept) if plan.frozen else Draft(kept)
    return kept if plan.frozen else [*kept]


def packed(plan: ClassPlan, statics: tuple[Any, ...]) -> tuple[Any, ...]:
    """Aux, checked once all statics are set; until then some of them are `Unset`."""
    return Incomplete((plan.static_names, *statics)) if Unset in map(type, statics) else plan.pack(statics)


def by_names(plan: ClassPlan, values: dict[str, Any]) -> tuple[Any, tuple[Any, ...]]:
    """The flat form of a finished object with these field values; of an abandoned one where some are `Unset`."""
    children = tuple([values[name] for name in plan.data_names])
    return settled(plan, children), packed(plan, tuple([values[name] for name in plan.static_names]))


def snapshot(self: Any) -> tuple[Any, tuple[Any, ...]]:
    """The flat form of `self` as it is now, for a copy that later assignments do not reach."""
    children, aux = self.__flat__
    return (settled(self.__struct__, children), aux) if isinstance(children, list) else (children, aux)


def with_flat(struct: Any, children: Iterable[Any], aux: tuple[Any, ...]) -> Any:
    """A finished object of the same class with another flat form; no user code runs."""
    made = new(type(struct))
    store(made, (tuple(children) if struct.__struct__.frozen else list(children), aux))
    return made


def frozen_error(plan: ClassPlan, name: str, action: str = "assign to") -> FrozenInstanceError:
    """The error for a write to a finished struct, with the cure that this name has."""
    f = plan.fields.get(name)
    if f is None:
        return FrozenInstanceError(plan.name, name, action, False, nearest(name, plan.fields))
    cure = "" if f.init else "it is computed: change what it comes from with .replace(...)"
    return FrozenInstanceError(plan.name, name, action, True, cure)


def field_values(self: Any) -> dict[str, Any]:
    """The set fields of a struct: name -> value, in order."""
    plan: ClassPlan = self.__struct__
    children, aux = getattr(self, "__flat__", None) or ((), ())
    if not type(children) is type(aux) is tuple:
        return {name: value for name, value in raw_values(self).items() if type(value) is not Unset}
    if not aux:
        return dict(zip(plan.data_names, children))
    # The keys first, for their order.
    values = dict.fromkeys(plan.fields)
    values.update(zip(plan.data_names, children))
    values.update(zip(plan.static_names, aux[1:]))
    return values


def raw_values(self: Any) -> dict[str, Any]:
    """All fields of a struct in order, unset ones included, without the error for reading them."""
    plan: ClassPlan = self.__struct__
    children, aux = map(items, self.__flat__)
    return {name: (aux if f.static else children)[plan.index[name]] for name, f in plan.fields.items()}
