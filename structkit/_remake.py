"""A class made anew: the decorator's way from a plain class to a struct, without a trace of the old one."""

from __future__ import annotations

import dataclasses
import enum
import functools
import inspect
import types
import weakref
from typing import Any

from structkit import _dataclass
from structkit._node import ANEW, MARKER, Node, NodeMeta
from structkit._struct import is_layout_conflict
from structkit._typing import PROTOCOL_INITS, class_of, namespace_annotations
from structkit.errors import DefinitionError, StructError

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


def remade(old: Any, options: dict[str, Any]) -> Any:
    """A node class with the body of `old`, which takes its place; `old` itself where it cannot be a struct.

    Args:
        old: a class without a struct among its bases.
        options: those of the decorator.

    Raises:
        DefinitionError: the class cannot become a node.
    """
    _refuse_unfit(old)
    body = {key: value for key, value in old.__dict__.items() if key not in _MADE_BY_PYTHON}
    body.update(__qualname__=old.__qualname__, **{MARKER: True, ANEW: True})
    for name in _slot_names(old):
        body.pop(name, None)
    if body.get("__doc__") is None:
        body.pop("__doc__", None)
    if body.get("__init__") in PROTOCOL_INITS:
        body.pop("__init__")
    _undo_dataclass(old, body)
    bases = (*(base for base in old.__bases__ if base is not object), Node)
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
    if issubclass(NodeMeta, theirs):
        return NodeMeta
    if theirs not in _metaclasses:
        _metaclasses[theirs] = types.new_class(f"_Node{theirs.__name__}", (NodeMeta, theirs))
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
        if type(old) is not type and not issubclass(NodeMeta, type(old)):
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
