"""The names and the behaviour of `flax.struct`: `dataclass`, `field` and `PyTreeNode`.

`from structkit import struct` in the place of `from flax import struct` is all that a code base needs. The classes are
structs: `structkit.at`, `summary` and the others work on them. They follow the standard library's dataclasses,
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

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, overload

from typing_extensions import dataclass_transform

from structkit._fields import Field
from structkit._node import ALWAYS_DECORATED, BODY, MARKER, ROOTS, FlaxDialect, Node, NodeMeta, check_options
from structkit._remake import remade
from structkit._struct import StructMeta, plan_again
from structkit.errors import DefinitionError

__all__ = ["PyTreeNode", "dataclass", "field"]

_T = TypeVar("_T")
_C = TypeVar("_C", bound=type[Any])


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


@dataclass_transform(frozen_default=True, field_specifiers=(field, dataclasses.field))
class PyTreeNode(Node):
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
            late = {key: keywords.pop(key) for key in FlaxDialect.options if key in keywords}
            if late:
                type.__setattr__(cls, "__late_options__", late)
            super().__init_subclass__(**keywords)

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            if type(self) is PyTreeNode:
                raise NotImplementedError("PyTreeNode is a base class: inherit from it and declare fields")
            super().__init__(*args, **kwargs)


ROOTS.add(PyTreeNode)
for _root in (Node, PyTreeNode):
    # Classes with `match_args=False` must not find one here.
    type.__delattr__(_root, "__match_args__")
ALWAYS_DECORATED.append(PyTreeNode)


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
    unknown = next((key for key in options if key not in FlaxDialect.options), None)
    if unknown is not None:
        raise TypeError(f"dataclass() got an unexpected keyword argument {unknown!r}")
    if clz is None:
        return functools.partial(dataclass, **options)
    if not isinstance(clz, type):
        raise TypeError(f"dataclass() decorates a class, not {type(clz).__name__}")
    if MARKER in clz.__dict__:
        return clz
    if isinstance(clz, NodeMeta):
        return _decorated(clz, options)
    if isinstance(clz, StructMeta):
        raise DefinitionError(clz.__name__, "is a Struct already", "drop the decorator; options are class keywords")
    return remade(clz, options)


def _decorated(cls: Any, options: dict[str, Any]) -> Any:
    """The same class, planned again: its class statement made it a node already, without the decorator's options."""
    namespace = {**cls.__dict__[BODY], MARKER: True}
    check_options(cls.__name__, options, namespace)
    plan_again(cls, namespace, options)
    type.__setattr__(cls, MARKER, True)
    type.__delattr__(cls, BODY)
    return cls
