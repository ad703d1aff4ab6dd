"""Fields: what a class body can say about one name, and the object that keeps it."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from structkit._typing import FIELD_HAS_DOC, FIELD_MARKER, INITVAR_MARKER

_T = TypeVar("_T")

MISSING: Any = dataclasses.MISSING


if TYPE_CHECKING:
    # What the parameters of `Field` leave open is `Any` here, so the attributes that come from them are known.
    _StandardField = dataclasses.Field[Any]
else:
    _StandardField = dataclasses.Field


class Field(_StandardField):
    """One field of a struct: a `dataclasses.Field`, so that `dataclasses.fields` and friends work.

    Attributes:
        name: the field's name.
        type: its annotation, as written (a string where annotations are strings).
        default: the default, or `dataclasses.MISSING`.
        default_factory: makes the default, or `dataclasses.MISSING`.
        converter: called on each value that enters the field, or None.
        static: whether the field is part of the tree structure.
        spec: a partition spec for `structkit.sharding`, or None.
        doc: one line of documentation, or None.
        metadata: a read-only mapping for users.
    """

    if TYPE_CHECKING:
        type: Any
        default: Any
        default_factory: Any
        kw_only: Any
        _field_type: Any
        doc: str | None
        converter: Callable[[Any], Any] | None
        explicit_static: bool | None
        spec: Any
        static: bool

    # 3.14 has a slot for `doc`; the `Any` base keeps one spelling for all versions.
    __slots__ = ("converter", "explicit_static", "spec", "static") + (() if FIELD_HAS_DOC else ("doc",))

    def __init__(
        self,
        *,
        default: Any = MISSING,
        default_factory: Any = MISSING,
        converter: Callable[[Any], Any] | None = None,
        init: bool = True,
        repr: bool = True,
        compare: bool = True,
        hash: bool | None = None,
        kw_only: Any = MISSING,
        static: bool | None = None,
        spec: Any = None,
        doc: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ):
        if default is not MISSING and default_factory is not MISSING:
            raise ValueError("cannot specify both default and default_factory; keep the one that is meant")
        extra = (doc,) if FIELD_HAS_DOC else ()
        initialize: Any = super().__init__
        initialize(default, default_factory, init, repr, hash, compare, metadata, kw_only, *extra)
        self.doc = doc
        self.converter = converter
        self.spec = spec
        self.explicit_static = _static_by_metadata(self.metadata) if static is None else static
        self.static = bool(self.explicit_static)

    @property
    def is_initvar(self) -> bool:
        """Whether this is an `InitVar`: an argument of `__init__`, but no field."""
        return self._field_type is INITVAR_MARKER

    def __reduce__(self) -> Any:
        # The sentinels of dataclasses do not survive pickling by value (cloudpickle), so they are left out.
        options = {name: getattr(self, name) for name in OPTIONS if getattr(self, name) is not MISSING}
        options["metadata"] = dict(self.metadata)
        return _restore_field, (options, self.name, self.type, self.static, self.is_initvar)


def plain_field(default: Any) -> Field:
    """What `field(default=...)` makes, several times faster: most fields are an annotation and nothing else.

    Args:
        default: the default, or `dataclasses.MISSING`.
    """
    made: Any = Field.__new__(Field)
    made.default = default
    made.default_factory = made.kw_only = MISSING
    made.init = made.repr = made.compare = True
    made.hash = made.converter = made.doc = made.spec = made.explicit_static = None
    made.name = made.type = made._field_type = None
    made.metadata = _NO_METADATA
    made.static = False
    return made  # type: ignore[no-any-return]


_NO_METADATA: Mapping[str, Any] = types.MappingProxyType({})


def _static_by_metadata(metadata: Mapping[Any, Any]) -> bool | None:
    """What JAX's mark (`{"static": True}`) or flax's (`{"pytree_node": False}`) says; None without one."""
    if "static" in metadata:
        return bool(metadata["static"])
    return not metadata["pytree_node"] if "pytree_node" in metadata else None


OPTIONS = ("default", "default_factory", "converter", "init", "repr", "compare", "hash", "kw_only", "spec", "doc")


def _restore_field(options: dict[str, Any], name: str, type_: Any, static: bool, initvar: bool) -> Field:
    restored = Field(static=static, **options)
    restored.name, restored.type = name, type_
    restored._field_type = INITVAR_MARKER if initvar else FIELD_MARKER
    return restored


def adopt(stranger: Any) -> Field:
    """A new `Field` with what another field says; the metadata of a standard one may make it static.

    Args:
        stranger: a `Field`, or what `dataclasses.field` or `jax.tree.static` made.
    """
    options: dict[str, Any] = {name: getattr(stranger, name, None) for name in OPTIONS}
    return Field(metadata=stranger.metadata, static=getattr(stranger, "explicit_static", None), **options)


@overload
def field(
    *,
    default: _T,
    init: bool = True,
    repr: bool = ...,
    compare: bool = ...,
    hash: bool | None = ...,
    kw_only: bool = ...,
    static: bool | None = ...,
    spec: Any = ...,
    doc: str | None = ...,
    metadata: Mapping[str, Any] | None = ...,
) -> _T: ...
@overload
def field(
    *,
    default_factory: Callable[[], _T],
    init: bool = True,
    repr: bool = ...,
    compare: bool = ...,
    hash: bool | None = ...,
    kw_only: bool = ...,
    static: bool | None = ...,
    spec: Any = ...,
    doc: str | None = ...,
    metadata: Mapping[str, Any] | None = ...,
) -> _T: ...
@overload
def field(
    *,
    converter: Callable[[Any], _T],
    default: Any,
    init: bool = True,
    repr: bool = ...,
    compare: bool = ...,
    hash: bool | None = ...,
    kw_only: bool = ...,
    static: bool | None = ...,
    spec: Any = ...,
    doc: str | None = ...,
    metadata: Mapping[str, Any] | None = ...,
) -> _T: ...
@overload
def field(
    *,
    converter: Callable[[Any], _T],
    default_factory: Callable[[], Any],
    init: bool = True,
    repr: bool = ...,
    compare: bool = ...,
    hash: bool | None = ...,
    kw_only: bool = ...,
    static: bool | None = ...,
    spec: Any = ...,
    doc: str | None = ...,
    metadata: Mapping[str, Any] | None = ...,
) -> _T: ...
@overload
def field(
    *,
    converter: Callable[[Any], _T],
    init: bool = True,
    repr: bool = ...,
    compare: bool = ...,
    hash: bool | None = ...,
    kw_only: bool = ...,
    static: bool | None = ...,
    spec: Any = ...,
    doc: str | None = ...,
    metadata: Mapping[str, Any] | None = ...,
) -> _T: ...
@overload
def field(
    *,
    init: bool = True,
    repr: bool = ...,
    compare: bool = ...,
    hash: bool | None = ...,
    kw_only: bool = ...,
    static: bool | None = ...,
    spec: Any = ...,
    doc: str | None = ...,
    metadata: Mapping[str, Any] | None = ...,
) -> Any: ...
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
        spec: a partition spec, for sharding.
        doc: one line of documentation.
        metadata: a mapping for your own use, readable at `fields(cls)[i].metadata`.

    Raises:
        ValueError: both `default` and `default_factory` are given.

    Example:
        >>> from structkit import Struct, field
        >>> class Point(Struct):
        ...     x: float = field(default=0, converter=float, doc="metres east")
        >>> Point()
        Point(x=0.0)
    """
    return Field(**options)


@overload
def static(
    *,
    default: _T,
    init: bool = True,
    repr: bool = ...,
    compare: bool = ...,
    hash: bool | None = ...,
    kw_only: bool = ...,
    doc: str | None = ...,
    metadata: Mapping[str, Any] | None = ...,
) -> _T: ...
@overload
def static(
    *,
    default_factory: Callable[[], _T],
    init: bool = True,
    repr: bool = ...,
    compare: bool = ...,
    hash: bool | None = ...,
    kw_only: bool = ...,
    doc: str | None = ...,
    metadata: Mapping[str, Any] | None = ...,
) -> _T: ...
@overload
def static(
    *,
    converter: Callable[[Any], _T],
    default: Any,
    init: bool = True,
    repr: bool = ...,
    compare: bool = ...,
    hash: bool | None = ...,
    kw_only: bool = ...,
    doc: str | None = ...,
    metadata: Mapping[str, Any] | None = ...,
) -> _T: ...
@overload
def static(
    *,
    converter: Callable[[Any], _T],
    default_factory: Callable[[], Any],
    init: bool = True,
    repr: bool = ...,
    compare: bool = ...,
    hash: bool | None = ...,
    kw_only: bool = ...,
    doc: str | None = ...,
    metadata: Mapping[str, Any] | None = ...,
) -> _T: ...
@overload
def static(
    *,
    converter: Callable[[Any], _T],
    init: bool = True,
    repr: bool = ...,
    compare: bool = ...,
    hash: bool | None = ...,
    kw_only: bool = ...,
    doc: str | None = ...,
    metadata: Mapping[str, Any] | None = ...,
) -> _T: ...
@overload
def static(
    *,
    init: bool = True,
    repr: bool = ...,
    compare: bool = ...,
    hash: bool | None = ...,
    kw_only: bool = ...,
    doc: str | None = ...,
    metadata: Mapping[str, Any] | None = ...,
) -> Any: ...
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
    return Field(static=True, **options)


@overload
def derived(
    *,
    default: _T,
    init: Literal[False] = False,
    converter: Callable[[Any], Any] | None = ...,
    repr: bool = ...,
    compare: bool = ...,
    hash: bool | None = ...,
    static: bool | None = ...,
    spec: Any = ...,
    doc: str | None = ...,
    metadata: Mapping[str, Any] | None = ...,
) -> _T: ...
@overload
def derived(
    *,
    init: Literal[False] = False,
    converter: Callable[[Any], Any] | None = ...,
    repr: bool = ...,
    compare: bool = ...,
    hash: bool | None = ...,
    static: bool | None = ...,
    spec: Any = ...,
    doc: str | None = ...,
    metadata: Mapping[str, Any] | None = ...,
) -> Any: ...
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
    return Field(init=False, **options)
