"""Fields: the object that keeps what is said about one name, and how a class body comes to its fields."""

from __future__ import annotations

import dataclasses
import functools
import keyword
import types
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from structkit._bridges import FIELD_MARKER, INITVAR_MARKER, spec_axes
from structkit._core.annotations import CLASSVAR, INITVAR, KW_ONLY, STATIC, annotation_kinds
from structkit._core.statics import pack_statics
from structkit.errors import DefinitionError, MutableDefaultError, a_type

MISSING: Any = dataclasses.MISSING


class Field(dataclasses.Field[Any]):
    """One field of a struct: a `dataclasses.Field`, so that `dataclasses.fields` and friends work.

    Attributes:
        name: the field's name.
        type: its annotation, as written (a string where annotations are strings).
        default: the default, or `dataclasses.MISSING`.
        default_factory: makes the default, or `dataclasses.MISSING`.
        converter: called on each value that enters the field, or None.
        static: whether the field is part of the tree structure.
        spec: its `PartitionSpec`, which the metadata may have, too; or None.
        doc: one line of documentation, or None.
        aliases: other names under which saved state may hold the field.
        metadata: a read-only mapping for users.
        is_initvar: whether it is an `InitVar`: an argument of `__init__`, but no field.
    """

    # Python 3.14 has a slot for `doc`.
    __slots__ = ("aliases", "converter", "explicit_static", "is_initvar", "spec", "static") + (
        () if hasattr(dataclasses.Field, "doc") else ("doc",)
    )

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
        aliases: tuple[str, ...] = (),
        metadata: Mapping[str, Any] | None = None,
    ):
        if default is not MISSING and default_factory is not MISSING:
            raise ValueError("cannot specify both default and default_factory; keep the one that is meant")
        # Not by the base class, which takes twice as long: most fields are an annotation and nothing else.
        self.name: str = ""
        self.type: Any = None
        self.is_initvar: bool = False
        self.default: Any = default
        self.default_factory: Any = default_factory
        self.converter: Callable[[Any], Any] | None = converter
        self.init: bool = init
        self.repr: bool = repr
        self.compare: bool = compare
        self.hash: bool | None = hash
        self.kw_only: Any = kw_only
        self.doc: str | None = doc
        self.aliases: tuple[str, ...] = aliases
        self.metadata: Any = _NO_METADATA
        if metadata is not None:
            self.metadata = types.MappingProxyType(metadata)
            if spec is None and isinstance(metadata.get("spec"), PartitionSpec):
                # What is none is somebody's own remark.
                spec = metadata["spec"]
            # A text under such a key is somebody's own remark, too.
            marks = {mark: metadata[mark] for mark in _STATIC_MARKS if not isinstance(metadata.get(mark, ""), str)}
            marked = [bool(value) is _STATIC_MARKS[mark] for mark, value in marks.items()]
            if static is None and marked:
                static = any(marked)
        self.spec: Any = spec
        self.explicit_static: bool | None = static
        self.static: bool = bool(static)

    def named(self, name: str, annotation: Any, is_initvar: bool) -> Field:
        """The same field, once it knows its name, its annotation, and whether it is an `InitVar`."""
        self.name, self.type, self.is_initvar = name, annotation, is_initvar
        self._field_type = INITVAR_MARKER if is_initvar else FIELD_MARKER
        return self

    def __repr__(self) -> str:
        said = [name for name in _SHOWN if not any(getattr(self, name) is unsaid for unsaid in (None, MISSING, (), ""))]
        return f"Field({', '.join([f'{name}={getattr(self, name)!r}' for name in said])})"

    def __reduce__(self) -> Any:
        # The sentinels of dataclasses do not survive pickling by value (cloudpickle), so they are left out.
        options = {name: getattr(self, name) for name in _OPTIONS if getattr(self, name) is not MISSING}
        options["metadata"] = dict(self.metadata)
        return _restore_field, (options, self.name, self.type, self.static, self.is_initvar)


_SAID = ("default", "default_factory", "converter", "init", "kw_only", "spec", "doc", "aliases")
_SHOWN = ("name", "type", "static", *_SAID)
_OPTIONS = (*_SAID, "repr", "compare", "hash")


def _restore_field(options: dict[str, Any], name: str, annotation: Any, static: bool, is_initvar: bool) -> Field:
    return Field(static=static, **options).named(name, annotation, is_initvar)


def default_value(f: Field) -> Any:
    """The default of a field for one object; `dataclasses.MISSING` without one."""
    return f.default if f.default_factory is MISSING else f.default_factory()


# The marks of JAX, flax and jax_dataclasses: key of the metadata -> whether True means static.
_STATIC_MARKS = {"static": True, "pytree_node": False, "__jax_dataclasses_static_field__": True}
_NO_METADATA = types.MappingProxyType[str, Any]({})


def adopt(stranger: Any) -> Field:
    """A new `Field` with what another field says; the metadata of a standard one may make it static."""
    options: dict[str, Any] = {name: getattr(stranger, name, None) for name in _OPTIONS}
    # cloudpickle copies the sentinel of dataclasses with the fields of a class that it carries by value.
    options.update({name: MISSING for name, value in options.items() if isinstance(value, type(MISSING))})
    if not isinstance(stranger, Field):
        # Equinox keeps converters there; what cannot be one is somebody's own remark.
        converter, aliases = map(stranger.metadata.get, ("converter", "aliases"))
        options.update(converter=converter if callable(converter) else None)
        options.update(aliases=aliases if isinstance(aliases, tuple) else ())
    return Field(metadata=stranger.metadata, static=getattr(stranger, "explicit_static", None), **options)


def check_aliases(struct: str, fields: Mapping[str, Field]) -> None:
    """Refuse aliases that leave open which of the fields, inherited ones too, a name in saved state is."""
    owners: dict[str, str] = {}
    declared: dict[str, Any] = {name: f.aliases for name, f in fields.items() if f.aliases}
    for name, aliases in declared.items():
        if not isinstance(aliases, tuple) or not all([isinstance(alias, str) for alias in aliases]):
            what = f"the aliases of {name!r} are no tuple of names"
            raise DefinitionError(struct, what, 'write aliases=("old_name",)')
        for alias in aliases:
            # Where a name is both, old state of two fields that were swapped would load without a word.
            if alias in fields:
                what = f"{alias!r} is a field and an alias of {name!r}"
                raise DefinitionError(struct, what, "rename the field, or drop the alias")
            if owners.setdefault(alias, name) != name:
                what = f"{alias!r} is an alias of {owners[alias]!r} and of {name!r}"
                raise DefinitionError(struct, what, "leave it to one of them")


def adopt_fields(dataclass_fields: Mapping[str, Any]) -> dict[str, Field]:
    """The fields and `InitVar`s of a standard dataclass as ours: name -> Field."""
    return {
        name: adopt(stranger).named(name, stranger.type, stranger._field_type is INITVAR_MARKER)
        for name, stranger in dataclass_fields.items()
        if stranger._field_type in (FIELD_MARKER, INITVAR_MARKER)
    }


def declared_fields(
    struct: str, namespace: dict[str, Any], inherited: dict[str, Field], keyword_only: bool
) -> dict[str, Field]:
    """The fields and `InitVar`s that a class body declares: name -> Field, in order."""
    own: dict[str, Field] = {}
    seen_separator = False
    annotations = annotation_kinds(namespace)
    for name, (annotation, kind) in annotations.items():
        if name in inherited and (kind == CLASSVAR or (kind == INITVAR and not inherited[name].is_initvar)):
            written = "a ClassVar" if kind == CLASSVAR else "an InitVar"
            raise DefinitionError(struct, f"{name!r} is a field of a parent class, not {written}", "rename it")
        if kind == CLASSVAR:
            if getattr(namespace.get(name), "default_factory", MISSING) is not MISSING:
                raise DefinitionError(struct, f"ClassVar {name!r} has a default_factory", "give it a plain value")
        elif kind == KW_ONLY:
            if seen_separator:
                raise DefinitionError(struct, f"{name!r} is a second KW_ONLY", "keep the first one")
            keyword_only = seen_separator = True
        else:
            own[name] = _declare(struct, name, annotation, kind, namespace.get(name, MISSING), inherited.get(name))
            if own[name].kw_only is MISSING:
                own[name].kw_only = keyword_only
    for name, value in namespace.items():
        if name not in annotations and name != "__annotations__":
            _refuse_unannotated(struct, name, value, inherited)
    check_aliases(struct, {**inherited, **own})
    # A default that cannot be static is refused with the class, not with its first object.
    for name, f in own.items():
        if f.static and f.default is not MISSING and f.converter is None:
            pack_statics(struct, (name,), (f.default,))
    return own


# Most of what stands in a body: to look into it takes a tenth of a class's creation.
_WITHOUT_ARRAYS = {str, int, type(None), types.FunctionType, property, classmethod, staticmethod}


def _has_arrays(value: Any) -> bool:
    kind = type(value)
    parts = value.values() if kind is dict else value if kind in (list, tuple) else ()
    if hasattr(kind, "__struct__"):
        parts = value.__flat__[0]
    return isinstance(value, (np.ndarray, jax.Array)) or any(map(_has_arrays, parts))


def _refuse_unannotated(struct: str, name: str, value: Any, inherited: dict[str, Field]) -> None:
    if isinstance(value, dataclasses.Field):
        what, cure = "a field but has no type annotation", f"write {name}: <type> = field(...)"
    elif type(value) not in _WITHOUT_ARRAYS and _has_arrays(value):
        # It would be an attribute of the class, and no leaf, without a word.
        what, kind = "an array without a type annotation, so it would be no leaf", "jax.Array"
        if not isinstance(value, (np.ndarray, jax.Array)):
            what, kind = "a value with arrays and without a type annotation, so they would be no leaves", "<type>"
        constant = f"{name}: ClassVar[{kind}] = ... for a constant of the class"
        cure = f"write {name}: {kind} = ... for a field, {constant}"
    elif name in inherited and not inherited[name].is_initvar:
        what = "a field of a parent class and is overridden without an annotation"
        cure = f"write {name}: <type> = ... to change its default, or choose another name"
    else:
        return
    raise DefinitionError(struct, f"{name!r} is {what}", cure)


def _declare(struct: str, name: str, annotation: Any, kind: str, value: Any, parent: Field | None) -> Field:
    # Names with two underscores on either side have a meaning to Python or to us (`__flat__`).
    if not name.isidentifier() or keyword.iskeyword(name) or (name.startswith("__") and name.endswith("__")):
        raise DefinitionError(struct, f"{name!r} cannot be a field's name", "choose another name")
    if value is not MISSING:
        _refuse_misleading(struct, name, value)
    if isinstance(value, dataclasses.Field):
        # A copy, ours too: a field object used in two classes must not carry one's name into the other.
        declared = adopt(value)
        _refuse_misleading(struct, name, declared.default)
    else:
        # As in dataclasses, an annotation alone keeps the default that the name has.
        declared = Field(default=parent.default if value is MISSING and parent is not None else value)
    declared.named(name, annotation, kind == INITVAR)
    if declared.explicit_static is None:
        declared.static = kind == STATIC or (parent is not None and parent.static)
    if kind == INITVAR and (declared.default_factory is not MISSING or declared.explicit_static):
        raise DefinitionError(struct, f"InitVar {name!r} cannot be static or have a default_factory", "use a default")
    if kind == INITVAR and not declared.init:
        what = f"InitVar {name!r} has init=False, and is nothing but an argument of the constructor"
        raise DefinitionError(struct, what, "drop init=False")
    if declared.default_factory is not MISSING and not callable(declared.default_factory):
        what = f"{name!r} has {a_type(declared.default_factory)} for its default_factory, which cannot be called"
        raise DefinitionError(struct, what, "give it a function: default_factory=list, or a lambda")
    if declared.spec is not None:
        _check_spec(struct, declared)
    if declared.default is not MISSING:
        _refuse_mutable(struct, declared)
    return declared


def _refuse_misleading(struct: str, name: str, value: Any) -> None:
    """Refuse a default that was hardly meant to be one."""
    function = getattr(value, "fget", None) or getattr(value, "func", None) or getattr(value, "__func__", value)
    if isinstance(function, types.FunctionType) and function.__qualname__.endswith(f"{struct}.{name}"):
        raise DefinitionError(struct, f"{name!r} is a field and a method of the same body", "rename one of the two")
    if hasattr(type(value), "__set__") or isinstance(value, functools.cached_property):
        cure = "use a converter, or give the default itself"
        raise DefinitionError(struct, f"{name!r} has a descriptor for its default, which a struct does not call", cure)
    maker = value if isinstance(value, types.FunctionType) else type(value)
    if f"{maker.__module__}.{maker.__name__}" not in _MISLEADING:
        return
    what, cure = f"a field of {maker.__module__}, which is not understood", "use structkit.field"
    if maker is value:
        what, cure = f"{maker.__name__} itself for its default", f"write {name}: <type> = {maker.__name__}(...)"
    raise DefinitionError(struct, f"{name!r} has {what}", cure)


# What other libraries leave in a class body, whose options would be lost; and functions that were not called.
_MISLEADING = {
    *("attr._make._CountingAttr", "attr._make.Factory", "msgspec._core.Field", "pydantic.fields.FieldInfo"),
    *[f"structkit._core.specifiers.{name}" for name in ("field", "static", "derived")],
    *("structkit.struct.field", "dataclasses.field"),
}


def _check_spec(struct: str, declared: Field) -> None:
    name, spec = declared.name, declared.spec
    what = f"the spec of {name!r} is {spec!r}, "
    if isinstance(spec, NamedSharding):
        axes = ", ".join(map(repr, spec_axes(spec.spec)))
        what = f"the spec of {name!r} is a NamedSharding, which is of one mesh"
        raise DefinitionError(struct, what, f"write its spec alone, spec=PartitionSpec({axes})")
    if not isinstance(spec, PartitionSpec):
        axes = ", ".join(map(repr, spec if isinstance(spec, (tuple, list)) else [spec]))
        raise DefinitionError(struct, f"{what}which is no PartitionSpec", f"write spec=PartitionSpec({axes})")
    if ... in spec_axes(spec)[:-1]:
        cure = "write '...' last: it stands for what the fields below say"
        raise DefinitionError(struct, f"{what}with '...' before its end", cure)
    if declared.static or declared.is_initvar:
        kind = "an InitVar" if declared.is_initvar else "static"
        what = f"{name!r} is {kind} and has a spec, which only leaves have"
        raise DefinitionError(struct, what, "leave the spec out")


def _refuse_mutable(struct: str, declared: Field) -> None:
    try:
        part = _mutable_part(declared.default)
    except RecursionError:
        # What is nested too deeply to look into is told where it is used.
        return
    if part is None:
        return
    whole = part is declared.default and type(part) in (list, dict, set, bytearray)
    array = isinstance(part, np.ndarray)
    text = repr(part) if whole else "np.array(...)" if array else "..."
    if declared.static and declared.converter is None:
        # It could not hold what a factory makes either.
        freezes = array or (whole and type(part) is not bytearray)
        cure = f"default=freeze({text})" if freezes else "a value that has a hash"
    elif whole and not part:
        cure = f"default_factory={type(part).__name__}"
    else:
        cure = f"default_factory=lambda: {text}{', or a jax.Array' if array else ''}"
    raise MutableDefaultError(struct, declared.name, type(part).__name__, cure)


def _mutable_part(value: Any) -> Any:
    """The value, or what is in a tuple or a frozen struct, that all objects would share and could change."""
    if type(value).__hash__ is None and not isinstance(value, jax.Array):
        return value
    parts = getattr(value, "__flat__", ((),))[0] if hasattr(type(value), "__struct__") else ()
    parts = value if type(value) is tuple else parts
    return next((found for part in parts if (found := _mutable_part(part)) is not None), None)
