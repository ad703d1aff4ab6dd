"""Workloads on one struct: what costs how much with 1 to 200 fields, with and without statics."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Container, Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import jax

from benchmarks.peers import CUSTOM, DEFAULTS, DERIVED, HOOK, PLAIN, Peer, Shape, Workshop
from benchmarks.rows import Workload
from benchmarks.timing import Effort, Snippet

SIZES = (1, 3, 6, 12, 24, 48, 200)
STATICS, SIZES_WITH_STATICS = 2, (6, 48)
NESTED_COUNT = 100
NESTED = f"{NESTED_COUNT} structs in a field"
READ, READ_IN_LOOP = "attribute read", "attribute read, one to a loop's turn"
READ_UNFLATTENED = "attribute read of an unflattened object"
UPDATE = "at(...).set / tree_at"
CONSTRUCT_CUSTOM, CONSTRUCT_HOOK = "construct, custom __init__", "construct, __post_init__"
CONSTRUCT_DERIVED = "construct, derived field"
# The rows with a limit to reach get more rounds.
_LIMITED, _OTHERS = Effort(0.4), Effort(0.06)


def group(size: int, statics: int = 0) -> str:
    """What tables call a struct with so many data fields and static fields."""
    return f"{size} field{'s' if size > 1 else ''}" + (f" + {statics} statics" if statics else "")


def workloads(workshop: Workshop) -> Iterator[Workload]:
    """The workloads on one struct."""
    for statics, sizes in ((0, SIZES), (STATICS, SIZES_WITH_STATICS)):
        for size in sizes:
            for name, recipe in OPERATIONS.items():
                effort = _LIMITED if name in _LIMITED_OPERATIONS and not statics else _OTHERS
                yield workload(workshop, name, size, statics, recipe, effort)
    for size in (10, 50):
        yield workload(workshop, "replace", size, 0, OPERATIONS["replace"])
        yield workload(workshop, UPDATE, size, 0, OPERATIONS[UPDATE])
    yield workload(workshop, CONSTRUCT_CUSTOM, 3, 0, constructing(CUSTOM))
    yield workload(workshop, CONSTRUCT_HOOK, 3, 0, constructing(HOOK))
    yield workload(workshop, CONSTRUCT_DERIVED, 3, 0, constructing(DERIVED))
    yield workload(workshop, READ_IN_LOOP, 6, 0, on_object("{read}", of=everyone))
    yield workload(workshop, READ_UNFLATTENED, 6, 0, on_object("{read}", x="unflattened", copies=_READS))
    for name in ("==", "hash", "repr", "pickle"):
        recipe = on_object(CODES[name], nested=NESTED_COUNT)
        yield Workload(NESTED, name, partial(snippets, workshop, recipe, Shape.of(1)), _OTHERS)


# (workshop, peer, shape) -> snippet, or None where the peer has no such thing.
Recipe = Callable[[Workshop, Peer, Shape], Snippet | None]


def snippets(
    workshop: Workshop, recipe: Recipe, shape: Shape, peers: Container[str] | None = None
) -> dict[str, Snippet]:
    """Peer -> snippet, of the `peers` (None for all) that have such a class and the operation."""
    found = {}
    for name, peer in workshop.peers.items():
        if peer.supports(shape) and (peers is None or name in peers):
            snippet = recipe(workshop, peer, shape)
            if snippet is not None:
                found[name] = snippet
    return found


def workload(
    workshop: Workshop, name: str, size: int, statics: int, recipe: Recipe, effort: Effort = _LIMITED
) -> Workload:
    """One operation on a struct with so many data fields and static fields; `name` is what tables call it."""
    shape = Shape.of(size, statics)
    return Workload(group(size, statics), name, partial(snippets, workshop, recipe, shape), effort)


def trees(peer: Peer) -> bool:
    """Whether JAX knows its objects."""
    return peer.is_pytree


def everyone(peer: Peer) -> bool:
    """True."""
    return True


def ours(peer: Peer) -> bool:
    """Whether structkit's functions know its objects."""
    return peer.is_ours


def on_object(
    code: str,
    *,
    of: Callable[[Peer], bool] = trees,
    nested: int = 0,
    copies: int = 1,
    x: str = "x",
    tools: Mapping[str, Any] = MappingProxyType({}),
) -> Recipe:
    """A recipe whose code may name the object `x`, its equal `same`, its `leaves`, its `treedef`, and a value `v`.

    Args:
        code: an expression; the peer's templates that it names in brackets are put in, for the field in the middle.
        of: which peers have the operation.
        nested: how many `structs` of three fields the first field holds; 0 for a number in each field.
        copies: how often the loop's body has the code.
        x: which object `x` is: as constructed, or `unflattened`.
        tools: more names for the code.
    """

    def recipe(workshop: Workshop, peer: Peer, shape: Shape) -> Snippet | None:
        if not of(peer) or ("{updated}" in code and peer.updated is None):
            return None
        # Only `same` is flattened: what has been read may be slower or faster to read again.
        make = workshop.maker(peer, shape)
        values, same = (_values(workshop, peer, shape, nested) for _ in range(2))
        objects = {"x": make(*values), "same": make(*same)}
        leaves, treedef = jax.tree.flatten(objects["same"])
        objects["unflattened"] = jax.tree.unflatten(treedef, leaves)
        names = {**workshop.scope(peer), **_TOOLS, **tools, **objects, "leaves": leaves, "treedef": treedef, "v": 0.5}
        if nested:
            names["structs"] = list(values[0])
        i = len(shape.data) // 2
        statement = code.format(read=peer.read, replaced=peer.replaced, updated=peer.updated, field="{field}")
        statement = statement.format(field=f"f{i}", i=i, after=i + 1)
        return Snippet(statement, {**names, "x": objects[x]}, copies=copies)

    return recipe


_TOOLS = {"jax": jax, "dumps": pickle.dumps, "loads": pickle.loads, "deepcopy": copy.deepcopy, "identity": lambda x: x}


def _values(workshop: Workshop, peer: Peer, shape: Shape, nested: int) -> list[Any]:
    if nested:
        make = workshop.maker(peer, Shape.of(3))
        return [tuple([make(0.0, 1.0, 2.0) for _ in range(nested)])]
    return [float(i) for i in range(len(shape.data))]


def constructing(kind: str = PLAIN, *, keyword: bool = False, unpacked: bool = False) -> Recipe:
    """A recipe that makes an object.

    Args:
        kind: what is special about its class, as in `Shape`; none of the fields is passed where all have defaults.
        keyword: whether to pass the values by name.
        unpacked: whether to pass `*values`: without the time to load each of them.
    """

    def recipe(workshop: Workshop, peer: Peer, shape: Shape) -> Snippet | None:
        made = Shape.of(len(shape.data), len(shape.statics), kind)
        if not peer.supports(made) or (keyword and not peer.is_class):
            return None
        values = {f"v{i}": float(i) for i in range(len(made.given))}
        if kind == DEFAULTS:
            code = f"{made.name}()"
        elif unpacked:
            code = peer.construct(made, ["*values"])
        else:
            code = peer.construct(made, list(values), keyword=keyword)
        return Snippet(code, {**workshop.scope(peer, made), **values, "values": [*values.values()]})

    return recipe


# Many to a loop's turn, which itself takes as long as a read.
_READS = 50
CODES = {
    "flatten": "jax.tree.flatten(x)",
    "flatten with path": "jax.tree_util.tree_flatten_with_path(x)",
    "unflatten": "treedef.unflatten(leaves)",
    "tree.map": "jax.tree.map(identity, x)",
    "replace": "{replaced}",
    UPDATE: "{updated}",
    "==": "x == same",
    "hash": "hash(x)",
    "repr": "repr(x)",
    "pickle": "loads(dumps(x))",
}
OPERATIONS: dict[str, Recipe] = {
    **{name: on_object(code) for name, code in CODES.items()},
    READ: on_object("{read}", of=everyone, copies=_READS),
    "construct": constructing(),
    "construct by keyword": constructing(keyword=True),
    "construct from defaults": constructing(DEFAULTS),
}
_LIMITED_OPERATIONS = {"unflatten", "construct", READ, "replace"}
