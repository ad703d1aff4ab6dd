"""What a class body writes as a field's default: `field`, `static` and `derived`, with their types for checkers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar, overload

from structkit._core.fields import Field
from structkit.errors import DefinitionError, nearest

_T = TypeVar("_T")


# `kw_only` has no real default: that would override the class's option in four of five checkers. The overloads of one
# function differ in their first words; an `Unpack`ed TypedDict for the rest is not understood by all five.
# fmt: off
@overload
def field(*, default: _T, init: bool = True, repr: bool = ..., compare: bool = ..., hash: bool | None = ...,
          kw_only: bool = ..., static: bool | None = ..., spec: Any = ..., doc: str | None = ...,
          aliases: tuple[str, ...] = ..., metadata: Mapping[str, Any] | None = ...) -> _T: ...
@overload
def field(*, default_factory: Callable[[], _T], init: bool = True, repr: bool = ..., compare: bool = ...,
          hash: bool | None = ..., kw_only: bool = ..., static: bool | None = ..., spec: Any = ...,
          doc: str | None = ..., aliases: tuple[str, ...] = ..., metadata: Mapping[str, Any] | None = ...) -> _T: ...
@overload
def field(*, converter: Callable[[Any], _T], default: Any = ..., default_factory: Callable[[], Any] = ...,
          init: bool = True, repr: bool = ..., compare: bool = ..., hash: bool | None = ..., kw_only: bool = ...,
          static: bool | None = ..., spec: Any = ..., doc: str | None = ..., aliases: tuple[str, ...] = ...,
          metadata: Mapping[str, Any] | None = ...) -> _T: ...
@overload
def field(*, init: bool = True, repr: bool = ..., compare: bool = ..., hash: bool | None = ..., kw_only: bool = ...,
          static: bool | None = ..., spec: Any = ..., doc: str | None = ..., aliases: tuple[str, ...] = ...,
          metadata: Mapping[str, Any] | None = ...) -> Any: ...
# fmt: on
def field(**options: Any) -> Any:
    """A field with options, to be written as the default in a class body.

    Args:
        default: any immutable value; a `jax.Array` and a frozen struct too.
        default_factory: called without arguments for each new object that is not given a value.
        converter: called on each value that enters the field: constructor arguments, defaults, and assignments in a
            constructor.
        init: whether the generated `__init__` takes the field.
        repr: whether `repr` shows it.
        compare: whether `==` (and hashing) looks at it.
        hash: whether `hash` looks at it; None follows `compare`.
        kw_only: whether `__init__` takes it by keyword only; the class option is the default.
        static: True keeps the field in the tree structure (no leaf). None keeps what a parent class or the annotation
            `Static[T]` says.
        spec: a `jax.sharding.PartitionSpec`, of mesh axes or logical names, for each leaf below that has none of its
            own: see `structkit.sharding`. With `...` at its end, the axes that come before those that the fields
            below name, as in stacked layers.
        doc: one line of documentation.
        aliases: names that the field had before, under which `structkit.state` finds it in saved state.
        metadata: a mapping for your own use, readable at `fields(cls)[i].metadata`.

    Raises:
        ValueError: both `default` and `default_factory` are given.
        DefinitionError: an option is unknown.

    Example:
        >>> from structkit import Struct, field
        >>> class Point(Struct):
        ...     x: float = field(default=0, converter=float, doc="metres east")
        >>> Point()
        Point(x=0.0)
    """
    return _made(field, options)


# fmt: off
@overload
def static(*, default: _T, init: bool = True, repr: bool = ..., compare: bool = ..., hash: bool | None = ...,
           kw_only: bool = ..., doc: str | None = ..., aliases: tuple[str, ...] = ...,
           metadata: Mapping[str, Any] | None = ...) -> _T: ...
@overload
def static(*, default_factory: Callable[[], _T], init: bool = True, repr: bool = ..., compare: bool = ...,
           hash: bool | None = ..., kw_only: bool = ..., doc: str | None = ..., aliases: tuple[str, ...] = ...,
           metadata: Mapping[str, Any] | None = ...) -> _T: ...
@overload
def static(*, converter: Callable[[Any], _T], default: Any = ..., default_factory: Callable[[], Any] = ...,
           init: bool = True, repr: bool = ..., compare: bool = ..., hash: bool | None = ..., kw_only: bool = ...,
           doc: str | None = ..., aliases: tuple[str, ...] = ..., metadata: Mapping[str, Any] | None = ...) -> _T: ...
@overload
def static(*, init: bool = True, repr: bool = ..., compare: bool = ..., hash: bool | None = ..., kw_only: bool = ...,
           doc: str | None = ..., aliases: tuple[str, ...] = ..., metadata: Mapping[str, Any] | None = ...) -> Any: ...
# fmt: on
def static(**options: Any) -> Any:
    """A field that is kept in the tree structure: no leaf, hashable, compared by `==`.

    A jitted function is traced once for each value. Takes the options of `field`.

    Example:
        >>> from structkit import Struct, static
        >>> import jax
        >>> class Scale(Struct):
        ...     factor: float
        ...     unit: str = static(default="m")
        >>> jax.tree.leaves(Scale(2.0))
        [2.0]
    """
    return _made(static, options, static=True)


# fmt: off
@overload
def derived(*, default: _T, init: Literal[False] = False, converter: Callable[[Any], Any] | None = ...,
            repr: bool = ..., compare: bool = ..., hash: bool | None = ..., static: bool | None = ..., spec: Any = ...,
            doc: str | None = ..., aliases: tuple[str, ...] = ..., metadata: Mapping[str, Any] | None = ...) -> _T: ...
@overload
def derived(*, init: Literal[False] = False, converter: Callable[[Any], Any] | None = ..., repr: bool = ...,
            compare: bool = ..., hash: bool | None = ..., static: bool | None = ..., spec: Any = ...,
            doc: str | None = ..., aliases: tuple[str, ...] = ..., metadata: Mapping[str, Any] | None = ...) -> Any: ...
# fmt: on
def derived(*, init: bool = False, **options: Any) -> Any:
    """A field that `__init__` does not take: `__post_init__` or a custom `__init__` sets it.

    Takes the options of `field`, except `init`, which is False.

    Raises:
        ValueError: `init=True`; use `field` for that.

    Example:
        >>> from structkit import Struct, derived
        >>> class Square(Struct):
        ...     side: float
        ...     area: float = derived()
        ...     def __post_init__(self):
        ...         self.area = self.side**2
        >>> Square(3.0)
        Square(side=3.0, area=9.0)
    """
    if init:
        raise ValueError("derived() is a field that __init__ does not take; use field() for one that it takes")
    return _made(derived, options, init=False)


# What each takes, for `help` and completion: the overloads above are for static checkers.
_PARAMETERS = inspect.signature(Field).parameters
_FIXED: dict[Any, tuple[str, ...]] = {field: (), static: ("static", "spec"), derived: ("init", "kw_only")}
for _specifier, _fixed in _FIXED.items():
    _specifier.__signature__ = inspect.Signature([_PARAMETERS[name] for name in _PARAMETERS if name not in _fixed])


def _made(specifier: Any, options: dict[str, Any], **fixed: Any) -> Field:
    known = specifier.__signature__.parameters
    unknown = [name for name in options if name not in known]
    if unknown:
        what, cure = f"unknown option {unknown[0]!r}{nearest(unknown[0], known)}", f"the options are {', '.join(known)}"
        if "pytree_node" in unknown:
            what, cure = "unknown option 'pytree_node', which is flax's", "use static()"
        raise DefinitionError(f"{specifier.__name__}(...)", what, cure)
    return Field(**options, **fixed)
