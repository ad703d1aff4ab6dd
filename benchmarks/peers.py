"""The libraries that are compared, each as a recipe: how its code declares a class, and how it uses an object.

Classes come from source text made by the recipes, so that every peer gets the same class, written the way its own
documentation writes it.
"""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from typing import Any

MODULE = "benchmarks.generated"
"""The module in which the classes are made: pickle finds them there, and chex registers nothing in `__main__`."""

STATIC_VALUES = ("'relu'", "2")
"""The values of the static fields, as source text."""

PLAIN, DEFAULTS, CUSTOM, HOOK, DERIVED = "", "_defaults", "_custom", "_hook", "_derived"


@dataclass(frozen=True)
class Shape:
    """What a class has: fields called `f0`, `f1`, ..., static ones called `s0`, `s1`, and what a row needs besides.

    Attributes:
        name: the class's name.
        data: the names of its data fields.
        statics: the names of its static fields.
        kind: what is special: `DEFAULTS` for all fields, its own `__init__` (`CUSTOM`), a `__post_init__` that does
            nothing (`HOOK`) or sets the last data field, which the constructor does not take (`DERIVED`).
        base: the class's base, or None.
    """

    name: str
    data: tuple[str, ...]
    statics: tuple[str, ...] = ()
    kind: str = PLAIN
    base: str | None = None

    @classmethod
    def of(cls, data: int, statics: int = 0, kind: str = PLAIN) -> Shape:
        """The shape with so many fields, at most two of them static."""
        fields = tuple(f"f{i}" for i in range(data))
        return cls(f"C{data}_{statics}{kind}", fields, tuple(f"s{i}" for i in range(statics)), kind)

    @property
    def given(self) -> tuple[str, ...]:
        """The data fields that the constructor takes."""
        return self.data[:-1] if self.kind == DERIVED else self.data

    def renamed(self, serial: int, base: str | None = None) -> Shape:
        """The shape under names that no class had before, where `serial` is a number that none had."""
        data, statics = (tuple(f"w{serial}_{field}" for field in fields) for fields in (self.data, self.statics))
        return replace(self, name=f"New{serial}", data=data, statics=statics, base=base)


@dataclass(frozen=True)
class Peer:
    """A library's recipe. The templates are filled with `str.format`.

    Attributes:
        name: what tables call it.
        package: the distribution, for its version; None for what comes with another one, with Python or JAX.
        modules: the modules that its code names.
        header: the beginning of a class statement: {name}, {base}.
        registration: a decorator that makes JAX know the class. It takes no fields that the constructor does not.
        root: the base of a class that has no other.
        data_field: the declaration of a data field: {field}, {assigned} (` = 0.0` or nothing).
        static_field: of a static one: {field}, {default} (`default='relu'` or nothing), {assigned}; None if the library
            has no static fields.
        derived_field: of a data field that the constructor does not take: {field}; None if it has none.
        assign: how a custom `__init__` sets a field: {field}, {value}.
        replaced: a copy of `x` with one field changed to `v`: {field}, {i}, {after}.
        updated: a copy of `x` with a place at any depth changed to `v`: {field}; None if the library has no such thing.
        read: a field of `x`: {field}, {i}.
        constructed: an object: {name}, {positional} (the values, each with a comma).
        is_pytree: whether JAX knows its objects.
        is_class: whether there is a class at all.
    """

    name: str
    package: str | None
    modules: tuple[str, ...]
    header: str
    registration: str = ""
    root: str = "object"
    data_field: str = "{field}: float{assigned}"
    static_field: str | None = None
    derived_field: str | None = None
    assign: str = "self.{field} = {value}"
    replaced: str = "x.replace({field}=v)"
    updated: str | None = None
    read: str = "x.{field}"
    constructed: str = "{name}({positional})"
    is_pytree: bool = True
    is_class: bool = True

    def source(self, shape: Shape) -> str:
        """The class statement, as source text."""
        registration = self.registration if shape.kind != DERIVED else ""
        lines = [registration + self.header.format(name=shape.name, base=shape.base or self.root)]
        has_defaults = shape.kind == DEFAULTS
        for field in shape.given:
            lines.append(self.data_field.format(field=field, assigned=" = 0.0" * has_defaults))
        for field, value in zip(shape.statics, STATIC_VALUES):
            default, assigned = (f"default={value}", f" = {value}") if has_defaults else ("", "")
            lines.append(str(self.static_field).format(field=field, default=default, assigned=assigned))
        if shape.kind == CUSTOM:
            lines.append(f"def __init__(self, {', '.join(shape.data)}):")
            lines.extend("    " + self.assign.format(field=field, value=field) for field in shape.data)
        elif shape.kind == HOOK:
            lines.append("def __post_init__(self): pass")
        elif shape.kind == DERIVED:
            lines.append(str(self.derived_field).format(field=shape.data[-1]))
            lines.append(f"def __post_init__(self): {self.assign.format(field=shape.data[-1], value='0.0')}")
        return "\n    ".join(lines) + "\n"

    def construct(self, shape: Shape, values: Sequence[str], *, keyword: bool = False) -> str:
        """An expression that makes an object of `values`, one expression for each data field; by name if `keyword`."""
        kept = [*values, *(STATIC_VALUES[: len(shape.statics)] if self.takes_statics else ())]
        if keyword:
            kept = [f"{field}={value}" for field, value in zip((*shape.data, *shape.statics), kept)]
        return self.constructed.format(name=shape.name, positional="".join(f"{value}, " for value in kept))

    @property
    def takes_statics(self) -> bool:
        """Whether a constructor is given the values of the static fields."""
        return self.static_field is not None

    @property
    def is_ours(self) -> bool:
        """Whether structkit's functions know its objects."""
        return self.name in (OURS, DROP_IN)

    def supports(self, shape: Shape) -> bool:
        """Whether the library can make such a class. A tuple stands in where nothing but the statics is special."""
        if shape.kind == DERIVED and self.derived_field is None:
            return False
        if not self.is_class:
            return shape.kind == PLAIN
        return not shape.statics or self.takes_statics


@dataclass(frozen=True)
class Slotted(Peer):
    """A plain class with slots, unknown to JAX: how fast a Python object can be made and read."""

    @property
    def takes_statics(self) -> bool:
        """Whether a constructor is given the values of the static fields."""
        return True

    def source(self, shape: Shape) -> str:
        """The class statement, as source text."""
        fields = (*shape.data, *shape.statics)
        values = ["0.0"] * len(shape.data) + list(STATIC_VALUES[: len(shape.statics)])
        parameters = [f"{f}={value}" for f, value in zip(fields, values)] if shape.kind == DEFAULTS else fields
        lines = [self.header.format(name=shape.name, base=shape.base or self.root), f"    __slots__ = {fields!r}"]
        lines.append(f"    def __init__(self, {', '.join(parameters)}):")
        lines.extend(f"        self.{field} = {field}" for field in fields)
        return "\n".join(lines) + "\n"


OURS, DROP_IN = "structkit", "structkit.struct"
FLAX, EQUINOX, STANDARD, TUPLES, SLOTS = "flax.struct", "equinox", "stdlib dataclass", "raw tuples", "plain slots"

_FROZEN_ASSIGN = "object.__setattr__(self, '{field}', {value})"
_STANDARD_REPLACE = "dataclasses.replace(x, {field}=v)"

_AT = "structkit.at(x, lambda t: t.{field}).set(v)"

PEERS: tuple[Peer, ...] = (
    Peer(
        name=OURS,
        package="structkit",
        modules=("structkit",),
        header="class {name}({base}):",
        root="structkit.Struct",
        static_field="{field}: object = structkit.static({default})",
        derived_field="{field}: float = structkit.derived()",
        updated=_AT,
    ),
    Peer(
        name=DROP_IN,
        package=None,
        modules=("structkit.struct",),
        header="@structkit.struct.dataclass\nclass {name}({base}):",
        static_field="{field}: object = structkit.struct.field(pytree_node=False, {default})",
        assign=_FROZEN_ASSIGN,
        updated=_AT,
    ),
    Peer(
        name=FLAX,
        package="flax",
        modules=("flax.struct",),
        header="@flax.struct.dataclass\nclass {name}({base}):",
        static_field="{field}: object = flax.struct.field(pytree_node=False, {default})",
        assign=_FROZEN_ASSIGN,
    ),
    Peer(
        name=EQUINOX,
        package="equinox",
        modules=("equinox", "dataclasses"),
        header="class {name}({base}):",
        root="equinox.Module",
        static_field="{field}: object = equinox.field(static=True, {default})",
        replaced=_STANDARD_REPLACE,
        updated="equinox.tree_at(lambda t: t.{field}, x, v)",
    ),
    Peer(
        name="chex",
        package="chex",
        modules=("chex",),
        # Not as a mapping, which is slower and takes no positional arguments.
        header="@chex.dataclass(frozen=True, mappable_dataclass=False)\nclass {name}({base}):",
        assign=_FROZEN_ASSIGN,
    ),
    Peer(
        name="jax_dataclasses",
        package="jax_dataclasses",
        modules=("jax_dataclasses", "dataclasses"),
        header="@jax_dataclasses.pytree_dataclass\nclass {name}({base}):",
        static_field="{field}: jax_dataclasses.Static[object]{assigned}",
        assign=_FROZEN_ASSIGN,
        replaced=_STANDARD_REPLACE,
    ),
    Peer(
        name=STANDARD,
        package=None,
        modules=("dataclasses", "jax"),
        registration="@jax.tree_util.register_dataclass\n",
        header="@dataclasses.dataclass(frozen=True)\nclass {name}({base}):",
        static_field="{field}: object = dataclasses.field(metadata={{'static': True}}, {default})",
        derived_field="{field}: float = dataclasses.field(init=False)",
        assign=_FROZEN_ASSIGN,
        replaced=_STANDARD_REPLACE,
    ),
    Peer(
        name=TUPLES,
        package=None,
        modules=(),
        header="",
        replaced="(*x[:{i}], v, *x[{after}:])",
        read="x[{i}]",
        constructed="({positional})",
        is_class=False,
    ),
    Slotted(name=SLOTS, package=None, modules=(), header="class {name}({base}):", is_pytree=False),
)


class Workshop:
    """The peers that are here, and the classes made of them.

    Attributes:
        peers: name -> recipe, of those that can be imported.
        missing: name -> why not, of the others.
        versions: name -> version, of those that have one.
    """

    def __init__(self) -> None:
        self.peers: dict[str, Peer] = {}
        self.missing: dict[str, str] = {}
        self.versions: dict[str, str] = {}
        self._scopes: dict[str, dict[str, Any]] = {}
        self._makers: dict[tuple[str, Shape], Callable[..., Any]] = {}
        for peer in PEERS:
            try:
                scope = {name.partition(".")[0]: _top_level(name) for name in peer.modules}
            except ImportError as error:
                self.missing[peer.name] = str(error)
                continue
            module = types.ModuleType(f"{MODULE}.{peer.name.replace('.', '_').replace(' ', '_')}")
            sys.modules[module.__name__] = module
            self.peers[peer.name], self._scopes[peer.name] = peer, vars(module)
            self._scopes[peer.name].update(scope)
            if peer.package is not None:
                self.versions[peer.name] = _version(peer.package, scope)

    def scope(self, peer: Peer, *shapes: Shape) -> dict[str, Any]:
        """The globals of the peer's code, with the classes of these shapes in them. A class is made only once."""
        scope = self._scopes[peer.name]
        for shape in shapes:
            if peer.is_class and shape.name not in scope:
                exec(peer.source(shape), scope)
        return scope

    def maker(self, peer: Peer, shape: Shape) -> Callable[..., Any]:
        """A function that makes an object of the peer's class from the values of its data fields."""
        key = peer.name, shape
        if key not in self._makers:
            words = [f"values[{i}]" for i in range(len(shape.data))]
            self._makers[key] = eval(f"lambda *values: {peer.construct(shape, words)}", self.scope(peer, shape))
        return self._makers[key]


def _top_level(name: str) -> types.ModuleType:
    importlib.import_module(name)
    return sys.modules[name.partition(".")[0]]


def _version(package: str, scope: dict[str, Any]) -> str:
    # structkit's from the checkout that is measured, which may not be the one that is installed.
    module = scope.get(package)
    return str(getattr(module, "__version__", None) or metadata.version(package))
