"""The plan of one class: its fields, options and hooks, collected once from the class body and its bases.

Everything after it (storage, generated code, comparison, updates) reads the plan and never the class body.
"""

from __future__ import annotations

import dataclasses
import keyword
import types
from collections.abc import Callable, Iterable
from typing import Any

import jax
import numpy as np

from structkit._annotations import CLASSVAR, INITVAR, KW_ONLY, STATIC, annotation_kinds
from structkit._fields import MISSING, Field, adopt, plain_field
from structkit._statics import pack_statics
from structkit._typing import FIELD_MARKER, INITVAR_MARKER, PROTOCOL_INITS, class_of
from structkit.errors import DefinitionError, MutableDefaultError, nearest

OPTIONS = ("init", "repr", "eq", "order", "frozen", "kw_only", "match_args")

# How a class gets its `__init__`.
GENERATED, CUSTOM, INHERITED = "generated", "custom", "inherited"


class Dialect:
    """The rules by which the classes of one family become structs: `Struct`'s own. Other families relax them.

    Attributes:
        options: the class keywords that are options; all others are for `__init_subclass__`.
        checks_statics: whether static values are checked and told apart by type; if not, they are kept as they come.
        seals: whether a finished frozen struct refuses `object.__setattr__` too, and a field left unset is an error.
        strict: whether what is ambiguous in a class body is refused: a parent's field without annotation, a field
            that is data in one base and static in another, a numpy array as default; and a field that is annotated
            again stays static.
    """

    options: tuple[str, ...] = OPTIONS
    checks_statics = True
    seals = True
    strict = True

    def plan(self, name: str, bases: tuple[type, ...], namespace: dict[str, Any], options: dict[str, Any]) -> ClassSpec:
        """The plan of one class; see `collect`."""
        return collect(name, bases, namespace, options, self)

    def members(self, spec: ClassSpec, namespace: dict[str, Any]) -> dict[str, Any]:
        """What each class of this family gets in its own body, besides what every struct has.

        Args:
            spec: the plan of the class.
            namespace: the class body.
        """
        return {}


STRUCT_DIALECT = Dialect()


@dataclasses.dataclass(init=False, repr=False, eq=False, slots=True)
class ClassSpec:
    """The plan of one struct class.

    Attributes:
        name: the class's name, for messages.
        mro: its bases in method resolution order.
        new_bases: those of `mro` that no parent has dealt with: none for a class whose one base is a struct.
        dialect: the rules that the class follows.
        cls: the class, once it is finished; None before.
        fields: name -> Field, in the order of `__init__`.
        initvars: name -> Field of the `InitVar`s, in order.
        arguments: name -> Field of what `__init__` takes, fields and `InitVar`s in declaration order.
        data: the names of the data fields: the children, in order.
        statics: the names of the static fields.
        index: name -> its place in the children or in the statics.
        keys: the key path entries of the children.
        frozen: whether finished objects refuse assignment.
        sealed: whether they refuse every other way to write, too.
        init: `"generated"`, `"custom"` (to be wrapped) or `"inherited"`.
        given_init: the user's function, or the one that a base has, unless `init` is `"generated"`.
        post_init: whether `__post_init__` exists.
        checks: the `__check_init__` functions, in method resolution order.
        simple: whether construction runs nothing of the user's, so that `replace` may work on the flat form.
        callable: whether objects can be called, and so be given to `jax.jit` as functions.
        compares_all: whether `==` looks at every field.
        compares_flat: whether it compares the flat forms as they are.
        hashes_all: whether `hash` does.
        direct: name -> its place, for the data fields that take a value as it is.
        start: the children of an object whose construction starts, as a list and as half of a flat form, and its
            statics; None until the first object needs them.
    """

    name: str
    mro: list[type]
    new_bases: list[type]
    dialect: Dialect
    cls: Any
    fields: dict[str, Field]
    initvars: dict[str, Field]
    arguments: dict[str, Field]
    data: tuple[str, ...]
    statics: tuple[str, ...]
    index: dict[str, int]
    direct: dict[str, int]
    keys: tuple[Any, ...]
    options: dict[str, bool]
    frozen: bool
    sealed: bool
    init: str
    given_init: Callable[..., None] | None
    post_init: bool
    checks: tuple[Callable[[Any], None], ...]
    simple: bool
    callable: bool
    compares_all: bool
    compares_flat: bool
    hashes_all: bool
    start: tuple[list[Any], tuple[Any, ...], tuple[Any, ...]] | None

    @property
    def is_root(self) -> bool:
        """Whether this is the plan of `Struct` itself."""
        return self.mro == [object]

    def pack(self, values: tuple[Any, ...]) -> tuple[Any, ...]:
        """The static half of a flat form, from the values of the static fields.

        Raises:
            StaticValueError: a value cannot be static.
        """
        if self.dialect.checks_statics:
            return pack_statics(self.name, self.statics, values)
        return (None, *values) if values else ()

    def __reduce__(self) -> Any:
        return _restore_spec, ({f.name: getattr(self, f.name) for f in dataclasses.fields(self)},)


def _restore_spec(attributes: dict[str, Any]) -> ClassSpec:
    spec = ClassSpec()
    for name, value in attributes.items():
        setattr(spec, name, value)
    return spec


def collect(
    name: str,
    bases: tuple[type, ...],
    namespace: dict[str, Any],
    options: dict[str, Any],
    dialect: Dialect = STRUCT_DIALECT,
) -> ClassSpec:
    """The plan of the class that these arguments of a metaclass describe; `namespace` is left as it is.

    Args:
        name: the class's name.
        bases: its bases.
        namespace: what the class body left behind.
        options: the class options that were given.
        dialect: the rules to follow.

    Raises:
        DefinitionError: the class body cannot become a struct.
        MutableDefaultError: a default is mutable.
    """
    spec = ClassSpec()
    spec.name, spec.options, spec.dialect, spec.cls, spec.start = name, options, dialect, None, None
    spec.mro = linearize(bases)
    spec.new_bases = [] if len(bases) == 1 and spec_of(bases[0]) is not None else spec.mro
    parents = [base for base in spec.mro if "__dataclass_fields__" in class_dict(base)]
    spec.frozen = _frozen(spec, parents, options)
    spec.sealed = spec.frozen and dialect.seals
    inherited = _inherited(parents)
    own = _own(spec, namespace, inherited, options)
    if len(bases) > 1 and dialect.strict:
        _refuse_conflicts(spec, bases, own)
    spec.arguments = {**inherited, **own}
    spec.fields = {key: f for key, f in spec.arguments.items() if not f.is_initvar}
    spec.initvars = {key: f for key, f in spec.arguments.items() if f.is_initvar}
    if dialect.strict:
        _refuse_shadowed(spec, namespace, own)
    spec.data = tuple([key for key, f in spec.fields.items() if not f.static])
    spec.statics = tuple([key for key, f in spec.fields.items() if f.static])
    # The statics begin after their tags; see `_statics`.
    spec.index = {key: i for i, key in enumerate(spec.data)} | {key: i for i, key in enumerate(spec.statics, 1)}
    spec.direct = {key: i for i, key in enumerate(spec.data) if spec.fields[key].converter is None}
    spec.compares_all = all([f.compare for f in spec.fields.values()])
    spec.compares_flat = spec.compares_all and dialect.checks_statics
    spec.hashes_all = all([f.compare if f.hash is None else f.hash for f in spec.fields.values()])
    spec.keys = tuple(map(jax.tree_util.GetAttrKey, spec.data))
    _collect_hooks(spec, namespace, own)
    return spec


# `cls.__dict__` would go through the metaclass, which serves the defaults of fields in Python code.
class_dict: Callable[[Any], Any] = vars(type)["__dict__"].__get__
class_mro: Callable[[Any], tuple[Any, ...]] = vars(type)["__mro__"].__get__


def spec_of(cls: type) -> ClassSpec | None:
    """The plan of `cls`, or None when it is no struct.

    Args:
        cls: any class. (Read past the metaclass, which serves defaults.)
    """
    spec: ClassSpec | None = class_dict(cls).get("__struct__")
    return spec


def linearize(bases: tuple[type, ...]) -> list[type]:
    """The method resolution order of a class with these bases, without the class itself.

    The C3 merge (Barrett et al., 1996) as `type` computes it; needed before the class exists. Where no consistent
    order exists the result is cut short, and `type.__new__` raises Python's own error.
    """
    if len(bases) == 1:
        return list(class_mro(bases[0]))
    sequences = [list(class_mro(base)) for base in bases] + [list(bases)]
    order: list[type] = []
    while sequences := [sequence for sequence in sequences if sequence]:
        tails = {cls for sequence in sequences for cls in sequence[1:]}
        head = next((sequence[0] for sequence in sequences if sequence[0] not in tails), None)
        if head is None:
            break
        order.append(head)
        for sequence in sequences:
            if sequence[0] is head:
                del sequence[0]
    return order


def _frozen(spec: ClassSpec, parents: list[type], options: dict[str, Any]) -> bool:
    frozen = bool(options.get("frozen", True))
    for parent in parents:
        parent_spec = spec_of(parent)
        if parent_spec is None:
            parent_frozen = class_dict(parent)["__dataclass_params__"].frozen
        else:
            parent_frozen = parent_spec.frozen
        if frozen and not parent_frozen:
            kind = "is mutable" if parent_spec is not None else "is a mutable dataclass"
            raise DefinitionError(
                spec.name,
                f"a frozen struct cannot inherit from {parent.__name__}, which {kind}",
                f"write class {spec.name}({parent.__name__}, frozen=False)"
                if parent_spec is not None
                else f"make {parent.__name__} a frozen dataclass or a Struct",
            )
        if not frozen and parent_frozen and class_dict(parent)["__dataclass_fields__"]:
            raise DefinitionError(
                spec.name,
                f"a mutable struct cannot inherit fields from {parent.__name__}, which is frozen",
                f"drop frozen=False, or make {parent.__name__} mutable too",
            )
    return frozen


def _inherited(parents: list[type]) -> dict[str, Field]:
    found: dict[str, Field] = {}
    for parent in reversed(parents):
        found.update(_arguments_of(parent))
    return found


def _arguments_of(base: type) -> dict[str, Field]:
    """The fields and InitVars of a base: of a struct, of a standard dataclass, or none."""
    base_spec = spec_of(base)
    if base_spec is not None:
        return base_spec.arguments
    return _adopted(base) if "__dataclass_fields__" in class_dict(base) else {}


def _adopted(parent: type) -> dict[str, Field]:
    adopted: dict[str, Field] = {}
    for name, stranger in class_dict(parent)["__dataclass_fields__"].items():
        if stranger._field_type not in (FIELD_MARKER, INITVAR_MARKER):
            continue
        adopted[name] = adopt(stranger)
        adopted[name].name, adopted[name].type = name, stranger.type
        adopted[name]._field_type = stranger._field_type
    return adopted


def _own(
    spec: ClassSpec, namespace: dict[str, Any], inherited: dict[str, Field], options: dict[str, Any]
) -> dict[str, Field]:
    """The fields and InitVars that the class body declares."""
    own: dict[str, Field] = {}
    keyword_only = bool(options.get("kw_only", False))
    seen_separator = False
    annotations = annotation_kinds(namespace)
    for name, (annotation, kind) in annotations.items():
        if name in inherited and (kind == CLASSVAR or (kind == INITVAR and not inherited[name].is_initvar)):
            written = "a ClassVar" if kind == CLASSVAR else "an InitVar"
            raise DefinitionError(spec.name, f"{name!r} is a field of a parent class, not {written}", "rename it")
        if kind == CLASSVAR:
            if isinstance(namespace.get(name), dataclasses.Field):
                raise DefinitionError(spec.name, f"ClassVar {name!r} has a field(...)", "give it a plain value")
            continue
        if kind == KW_ONLY:
            if seen_separator:
                raise DefinitionError(spec.name, f"{name!r} is a second KW_ONLY", "keep the first one")
            keyword_only = seen_separator = True
            continue
        own[name] = _declare(spec, name, annotation, kind, namespace.get(name, MISSING), inherited.get(name))
        if own[name].kw_only is MISSING:
            own[name].kw_only = keyword_only
    for name, value in namespace.items():
        if isinstance(value, dataclasses.Field) and name not in annotations:
            raise DefinitionError(
                spec.name, f"{name!r} is a field but has no type annotation", f"write {name}: <type> = field(...)"
            )
    return own


def _declare(spec: ClassSpec, name: str, annotation: Any, kind: str, value: Any, parent: Field | None) -> Field:
    # Names with two underscores on either side have a meaning to Python or to us (`__flat__`).
    if not name.isidentifier() or keyword.iskeyword(name) or (name.startswith("__") and name.endswith("__")):
        raise DefinitionError(spec.name, f"{name!r} cannot be a field's name", "choose another name")
    if value is not MISSING and _defined_in_body(spec, name, value):
        raise DefinitionError(spec.name, f"{name!r} is a field and a method of the same body", "rename one of the two")
    if isinstance(value, dataclasses.Field):
        # A copy, ours too: a field object used in two classes must not carry one's name into the other.
        declared = adopt(value)
    else:
        # As in dataclasses, an annotation alone keeps the default that the name has.
        declared = plain_field(parent.default if value is MISSING and parent is not None else value)
    declared.name, declared.type = name, annotation
    declared._field_type = INITVAR_MARKER if kind == INITVAR else FIELD_MARKER
    if declared.explicit_static is None:
        declared.static = kind == STATIC or (spec.dialect.strict and parent is not None and parent.static)
    if kind == INITVAR and (declared.default_factory is not MISSING or declared.explicit_static):
        raise DefinitionError(
            spec.name, f"InitVar {name!r} cannot be static or have a default_factory", "use a default"
        )
    if declared.default is not MISSING:
        _refuse_mutable(spec, declared)
    return declared


def _defined_in_body(spec: ClassSpec, name: str, value: Any) -> bool:
    """Whether a field's default is a method or property that the body defines under the field's own name."""
    function = getattr(value, "fget", None) or getattr(value, "func", None) or getattr(value, "__func__", value)
    return isinstance(function, types.FunctionType) and function.__qualname__.endswith(f"{spec.name}.{name}")


_BUILTIN_MUTABLES = (list, dict, set, bytearray)


def _refuse_mutable(spec: ClassSpec, declared: Field) -> None:
    default = declared.default
    kind = class_of(default)
    if getattr(kind, "__hash__", None) is not None or isinstance(default, jax.Array):
        return
    if isinstance(default, np.ndarray) and not spec.dialect.strict:
        return
    if kind in _BUILTIN_MUTABLES:
        cure = f"lambda: {default!r}" if default else kind.__name__
    else:
        cure = "lambda: np.array(...), or a jax.Array" if isinstance(default, np.ndarray) else "lambda: ..."
    raise MutableDefaultError(spec.name, declared.name, kind.__name__, f"default_factory={cure}")


def _refuse_conflicts(spec: ClassSpec, bases: tuple[type, ...], own: dict[str, Field]) -> None:
    """Refuse a field that is data in one base and static in an unrelated one, unless the body says which."""
    seen: dict[str, tuple[type, str]] = {}
    for base in bases:
        for name, f in _arguments_of(base).items():
            kind = _described_kind(f)
            other, other_kind = seen.setdefault(name, (base, kind))
            decided = name in own and own[name].explicit_static is not None
            if kind == other_kind or decided or issubclass(other, base):
                continue
            first, second = sorted(((other_kind, other), (kind, base)), key=lambda pair: pair[0])
            raise DefinitionError(
                spec.name,
                f"field {name!r} is {first[0]} in {first[1].__name__} and {second[0]} in {second[1].__name__}",
                f"declare it in {spec.name} with field(static=True) or field(static=False)",
            )


def _described_kind(f: Field) -> str:
    if f.is_initvar:
        return "an InitVar"
    return "static" if f.static else "a data field"


def _refuse_shadowed(spec: ClassSpec, namespace: dict[str, Any], own: Iterable[str]) -> None:
    for name in spec.fields:
        if name in namespace and name not in own:
            raise DefinitionError(
                spec.name,
                f"{name!r} is a field of a parent class and is overridden without an annotation",
                f"write {name}: <type> = ... to change its default, or choose another name",
            )


def _collect_hooks(spec: ClassSpec, namespace: dict[str, Any], own: dict[str, Field]) -> None:
    bodies = [namespace, *map(class_dict, spec.mro)]
    spec.callable = any(["__call__" in body for body in bodies])
    spec.post_init = any(["__post_init__" in body for body in bodies])
    spec.checks = tuple([body["__check_init__"] for body in bodies if "__check_init__" in body])
    spec.init, spec.given_init = _init_kind(spec, namespace, own)
    if spec.init == GENERATED:
        _check_order(spec)
    hooks = spec.post_init or spec.checks or spec.init != GENERATED
    spec.simple = not hooks and all([f.init and f.converter is None for f in spec.arguments.values()])
    spec.simple = spec.simple and not spec.initvars


def _init_kind(
    spec: ClassSpec, namespace: dict[str, Any], own: dict[str, Field]
) -> tuple[str, Callable[..., None] | None]:
    """How the class gets its `__init__`, and the function where it is not generated."""
    if "__init__" in namespace:
        return CUSTOM, namespace["__init__"]
    wanted = spec.options.get("init", True)
    if wanted and (own or "init" in spec.options):
        return GENERATED, None
    for base in spec.mro:
        init = class_dict(base).get("__init__")
        base_spec = spec_of(base)
        if init is None or init in PROTOCOL_INITS or (base_spec is not None and _adds_nothing(base_spec)):
            continue
        if base_spec is not None:
            return (GENERATED, None) if wanted and base_spec.init == GENERATED else (INHERITED, init)
        if base is not object and "__dataclass_fields__" not in class_dict(base):
            return CUSTOM, init
        break
    return (GENERATED, None) if wanted else (CUSTOM, empty_init)


def _adds_nothing(base_spec: ClassSpec) -> bool:
    """Whether a base is a struct with nothing to construct, such as `Struct` itself: it must not hide an `__init__`."""
    return base_spec.init == GENERATED and not base_spec.arguments


def empty_init(self: Any) -> None:
    """Leave every field to its default: what `init=False` without an `__init__` of the user's means."""


# As the signature of a class that takes nothing reads in dataclasses.
empty_init.__annotations__.clear()


def _check_order(spec: ClassSpec) -> None:
    with_default: str | None = None
    for name, f in spec.arguments.items():
        if not f.init or f.kw_only:
            continue
        if f.default is not MISSING or f.default_factory is not MISSING:
            with_default = name
        elif with_default is not None:
            raise DefinitionError(
                spec.name,
                f"non-default argument {name!r} follows default argument {with_default!r}",
                f"reorder the fields, give {name!r} a default, or set kw_only=True",
            )


def split_options(
    name: str, keywords: dict[str, Any], known: tuple[str, ...] = OPTIONS
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The class options among `keywords`, and the others, which are for `__init_subclass__`.

    Args:
        name: the class's name, for messages.
        keywords: the keywords of the class statement.
        known: the names of the options.

    Raises:
        DefinitionError: options that exclude each other.
    """
    options = {key: keywords[key] for key in known if key in keywords}
    others = {key: value for key, value in keywords.items() if key not in known}
    for key, value in options.items():
        if not isinstance(value, bool):
            raise DefinitionError(name, f"class option {key}={value!r} is not a bool", "use True or False")
    if options.get("order") and not options.get("eq", True):
        raise DefinitionError(name, "order=True needs ==", "drop eq=False")
    return options, others


def unknown_option(name: str, keywords: dict[str, Any]) -> DefinitionError:
    """The error for class keywords that neither the options nor an `__init_subclass__` take.

    Args:
        name: the class's name.
        keywords: the keywords that nothing takes.
    """
    unknown = next((keyword for keyword in keywords if nearest(keyword, OPTIONS)), next(iter(keywords)))
    return DefinitionError(
        name,
        f"unknown class option {unknown!r}{nearest(unknown, OPTIONS)}",
        f"the options are {', '.join(OPTIONS)}; others need a base with __init_subclass__({unknown}=...)",
    )
