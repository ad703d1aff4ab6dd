"""Objects made from field values: changed copies (`replace`), and objects without a constructor (`construct`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from structkit._core.fields import MISSING, Field, default_value
from structkit._core.flat import Flat, by_names, new, store, with_flat
from structkit._core.plan import GENERATED, ClassPlan, plan_of
from structkit._core.registry import node_of
from structkit.errors import (
    BaseInstantiationError,
    MissingFieldError,
    NotAStructError,
    NotReplaceableError,
    StaticValueError,
    UnknownFieldError,
)

_S = TypeVar("_S")


def known_plan(call: str, cls: Any) -> ClassPlan:
    """The plan of a struct class."""
    plan = plan_of(cls) if isinstance(cls, type) else None
    if plan is None:
        raise _no_struct(call, cls)
    return plan


def _no_struct(call: str, value: Any) -> NotAStructError:
    cls = value if isinstance(value, type) else type(value)
    what = f"the class {cls.__name__}" if cls is value else cls.__name__
    # Of `structkit.struct`, where a subclass is none by itself.
    cures = [f"decorate {cls.__name__} with struct.dataclass, too"] if hasattr(cls, "__node__") else []
    return NotAStructError(call, what, *cures)


def construct(cls: type[_S], /, **values: Any) -> _S:
    """An object of `cls` with these field values, made without running any user code.

    No `__init__`, converter, `__post_init__` or check runs. Useful in the class's own constructors and for values
    that have been checked before.

    Args:
        cls: a struct class.
        **values: the fields by name; one that is left out takes its default.

    Raises:
        UnknownFieldError: a name is no field.
        MissingFieldError: a field without a default is left out.
        StaticValueError: a value cannot be static.

    Example:
        >>> from structkit import Struct, construct
        >>> class Positive(Struct):
        ...     x: float
        ...     def __check_init__(self):
        ...         if self.x <= 0: raise ValueError("x must be positive")
        >>> construct(Positive, x=-1.0)
        Positive(x=-1.0)
    """
    node = node_of(cls)
    if node is not None:
        return node.build(completed(cls.__name__, node.fields, values, f"construct({cls.__name__}, ...)"))  # type: ignore[no-any-return]
    plan = known_plan("construct", cls)
    if plan.mro == [object]:
        raise BaseInstantiationError
    made: _S = new(cls)
    whole = completed(plan.name, plan.fields, values, f"construct({plan.name}, ...)")
    try:
        store(made, by_names(plan, whole))
    except StaticValueError as error:
        convert = plan.fields[error.field].converter if error.field in plan.fields else None
        if convert is None:
            raise
        # A cure that says to use a converter would be no help.
        cure = f"construct runs no converter: pass what {getattr(convert, '__name__', convert)} gives"
        raise StaticValueError(error.struct, error.field, error.what, cure) from None
    return made


def replace(struct: _S, /, **changes: Any) -> _S:
    """A copy of `struct` with some fields changed.

    Goes through the constructor, as `dataclasses.replace` does: converters, `__post_init__` and checks run. For a
    class with a custom `__init__` the fields are put in place directly, and then `__check_init__` runs.

    Args:
        struct: a struct.
        **changes: the new values by name.

    Raises:
        UnknownFieldError: a name is no field.
        NotReplaceableError: a field is not an `__init__` parameter, or an `InitVar` without a default is left out.

    Example:
        >>> from structkit import Struct, replace
        >>> class Point(Struct):
        ...     x: float
        ...     y: float
        >>> replace(Point(1.0, 2.0), y=3.0)
        Point(x=1.0, y=3.0)
    """
    if isinstance(struct, Flat):
        return replace_method(struct, **changes)  # type: ignore[no-any-return]
    if node_of(type(struct)) is None:
        raise _no_struct("replace", struct)
    standard: Any = struct
    return dataclasses.replace(standard, **changes)  # type: ignore[no-any-return]


def replace_method(self: Any, /, **changes: Any) -> Any:
    """A copy with some fields changed; see `structkit.replace`."""
    plan: ClassPlan = self.__struct__
    if not plan.simple:
        return _reconstructed(self, plan, changes)
    children, aux = self.__flat__
    edited, index = [*children], plan.index
    for name, value in changes.items():
        if name not in index or plan.fields[name].static:
            return put_fields(self, changes)
        edited[index[name]] = value
    # Spelt out, since a call of `with_flat` would take a quarter of the time.
    made = new(type(self))
    store(made, (tuple(edited) if plan.frozen else edited, aux))
    return made


def put_fields(self: Any, changes: Mapping[str, Any]) -> Any:
    """A copy with changes put straight into the flat form; no user code runs."""
    plan: ClassPlan = self.__struct__
    _refuse_unknown(plan, changes)
    children, aux = self.__flat__
    children = [changes.get(name, value) for name, value in zip(plan.data_names, children)]
    if any(plan.fields[name].static for name in changes):
        aux = plan.pack(tuple([changes.get(name, value) for name, value in zip(plan.static_names, aux[1:])]))
    return with_flat(self, children, aux)


def _reconstructed(self: Any, plan: ClassPlan, changes: dict[str, Any]) -> Any:
    """The copy for a class with hooks: through the generated constructor, or directly for a custom one."""
    if plan.init != GENERATED:
        made = put_fields(self, changes)
        for check in plan.checks:
            check(made)
        return made
    _refuse_unknown(plan, changes)
    arguments: dict[str, Any] = {}
    for name, f in plan.arguments.items():
        given = name in changes
        if f.init and (given or not f.is_initvar):
            arguments[name] = changes[name] if given else getattr(self, name)
        elif given:
            what = "is not an __init__ parameter; change what it is computed from, or use at(...).set(...)"
            raise NotReplaceableError(plan.name, name, what)
        elif f.init and f.default is MISSING:
            raise NotReplaceableError(plan.name, name, "is an InitVar, which is not kept; pass it again")
    return type(self)(**arguments)


def completed(struct: str, fields: dict[str, Field], values: dict[str, Any], call: str) -> dict[str, Any]:
    """The field values with the defaults of those that are left out."""
    for name in values:
        if name not in fields:
            raise UnknownFieldError(struct, name, fields, call.partition("(")[0])
    defaults = {name: default_value(f) for name, f in fields.items() if name not in values}
    unset = [name for name, default in defaults.items() if default is MISSING]
    if unset:
        raise MissingFieldError(struct, unset, call)
    return {**values, **defaults}


def _refuse_unknown(plan: ClassPlan, values: Mapping[str, Any]) -> None:
    for name in values:
        if name not in plan.arguments:
            raise UnknownFieldError(plan.name, name, plan.fields, "replace")
