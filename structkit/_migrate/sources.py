"""What each library calls things: a table for each, and what becomes of its decorators, bases, options and fields."""

from __future__ import annotations

from typing import NamedTuple


class Source(NamedTuple):
    """One way to make a class a tree.

    Attributes:
        decorators: what makes the class below it a tree.
        bases: what makes every subclass one.
        frozen: whether its objects refuse assignment unless an option says otherwise.
        rebuilds: whether JAX runs the constructor when it rebuilds an object.
    """

    decorators: tuple[str, ...] = ()
    bases: tuple[str, ...] = ()
    frozen: bool = True
    rebuilds: bool = True


FLAX = Source(("flax.struct.dataclass",), ("flax.struct.PyTreeNode",))
DROP_IN = Source(("structkit.struct.dataclass",), ("structkit.struct.PyTreeNode",), rebuilds=False)
EQUINOX = Source(bases=("equinox.Module",), rebuilds=False)
CHEX = Source(("chex.dataclass",), frozen=False)
JDC = Source(("jax_dataclasses.pytree_dataclass",))
REGISTERED = Source(("jax.tree_util.register_dataclass",), frozen=False)
BY_HAND = Source(("jax.tree_util.register_pytree_node_class",), frozen=False)

SOURCES = (FLAX, DROP_IN, EQUINOX, CHEX, JDC, REGISTERED, BY_HAND)
DECORATORS = {name: source for source in SOURCES for name in source.decorators}
BASES = {name: source for source in SOURCES for name in source.bases}

STRUCT = "structkit.Struct"
DATACLASS = "dataclasses.dataclass"
PARTIAL = "functools.partial"

# Bases from outside of the given files that a struct may have beside `Struct`.
HARMLESS_BASES = frozenset(
    f"{module}.{name}"
    for name, modules in {
        "ABC": ("abc",),
        "Generic": ("typing", "typing_extensions"),
        "Protocol": ("typing", "typing_extensions"),
        "object": ("builtins",),
    }.items()
    for module in modules
)

# Options of decorators that are class options of a struct; others that a struct does without, with their values.
OPTIONS = frozenset(("init", "repr", "eq", "order", "frozen", "kw_only", "match_args"))
NEEDLESS: dict[str, tuple[str, ...]] = {
    "slots": ("True", "False"),
    "weakref_slot": ("True", "False"),
    "unsafe_hash": ("False",),
    "mappable_dataclass": ("True", "False"),
}


class FieldFunction(NamedTuple):
    """A function that is written as a field's default.

    Attributes:
        static: the keyword that says whether the field is static; None where the function itself says it.
        negated: whether that keyword says the opposite: a leaf.
        always: whether every field that it makes is static.
    """

    static: str | None = None
    negated: bool = False
    always: bool = False


FIELDS = {
    "flax.struct.field": FieldFunction("pytree_node", negated=True),
    "structkit.struct.field": FieldFunction("pytree_node", negated=True),
    "equinox.field": FieldFunction("static"),
    "equinox.static_field": FieldFunction(always=True),
    "jax_dataclasses.field": FieldFunction(),
    "jax_dataclasses.static_field": FieldFunction(always=True),
    "dataclasses.field": FieldFunction(),
    "jax.tree.static": FieldFunction(always=True),
}

STATIC_ANNOTATION = "jax_dataclasses.Static"
STRUCT_STATIC = frozenset(("structkit.static", "structkit.Static"))

# Annotations of fields that a subclass must have, and what a struct has for them.
ABSTRACT = {
    "equinox.AbstractVar": "an abstract property",
    "equinox.AbstractClassVar": "a ClassVar without a value",
}

# What cannot be hashed, as the head of an annotation or as a default factory.
UNHASHABLE = frozenset(
    (
        *("builtins.list", "builtins.dict", "builtins.set", "builtins.bytearray"),
        *("typing.List", "typing.Dict", "typing.Set", "typing.MutableMapping"),
        *("collections.defaultdict", "collections.OrderedDict", "collections.deque"),
        *("numpy.ndarray", "jax.Array", "jax.numpy.ndarray", "chex.Array", "chex.ArrayDevice", "chex.ArrayNumpy"),
    )
)

TREE_AT = "equinox.tree_at"
REPLACE = "jax_dataclasses.replace"
EDITING = "jax_dataclasses.copy_and_mutate"

# A use of these that nothing here rewrites is told.
WATCHED = frozenset((*DECORATORS, *BASES, *FIELDS, "chex.mappable_dataclass", REPLACE, EDITING)) - {
    "dataclasses.field",
    "jax.tree.static",
    "jax_dataclasses.field",
}
LIBRARIES = ("flax", "equinox", "chex", "jax_dataclasses", "structkit", "jax")
