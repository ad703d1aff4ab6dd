"""Workloads on one struct: what costs how much with 1 to 200 fields, with and without statics."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from typing import Any

import jax

from benchmarks.peers import Peer, Shape, Workshop
from benchmarks.rows import Workload
from benchmarks.timing import Effort, Snippet

SIZES = (1, 3, 6, 12, 24, 48, 200)
STATICS = 2
READ_IN_LOOP = "attribute read, one to a loop's turn"
# The rows with a limit to reach get more rounds.
LIMITED = {
    READ_IN_LOOP,
    "unflatten",
    "construct",
    "attribute read",
    "replace",
    "construct, custom __init__",
    "construct, __post_init__",
}


def group(size: int, statics: int = 0) -> str:
    """What tables call a struct of this size.

    Args:
        size: the number of data fields.
        statics: the number of static fields.
    """
    return f"{size} field{'s' if size > 1 else ''}" + (f" + {statics} statics" if statics else "")


def workloads(workshop: Workshop) -> Iterator[Workload]:
    """The workloads on one struct.

    Args:
        workshop: the peers.
    """
    for statics in (0, STATICS):
        for size in SIZES:
            yield from of_size(workshop, size, statics)
    for size in (10, 50):
        yield workload(workshop, "replace", size, 0, REPLACE)
    yield workload(workshop, "construct, custom __init__", 3, 0, construct_custom)
    yield workload(workshop, "construct, __post_init__", 3, 0, constructing(post_init=True))
    yield workload(workshop, READ_IN_LOOP, 6, 0, on_object("{read}", only_trees=False))


def of_size(workshop: Workshop, size: int, statics: int) -> Iterator[Workload]:
    """Every operation on a struct of one size.

    Args:
        workshop: the peers.
        size: the number of data fields.
        statics: the number of static fields.
    """
    for name, recipe in OPERATIONS.items():
        yield workload(workshop, name, size, statics, recipe)


# (workshop, peer, shape) -> snippet, or None where the peer has no such thing.
Recipe = Callable[[Workshop, Peer, Shape], Snippet | None]


def workload(workshop: Workshop, name: str, size: int, statics: int, recipe: Recipe) -> Workload:
    """One operation on a struct of one size.

    Args:
        workshop: the peers.
        name: what tables call the operation.
        size: the number of data fields.
        statics: the number of static fields.
        recipe: makes a peer's snippet.
    """
    shape = Shape.of(size, statics)

    def snippets() -> dict[str, Snippet]:
        found = {peer.name: recipe(workshop, peer, shape) for peer in workshop.peers.values() if peer.supports(shape)}
        return {name: snippet for name, snippet in found.items() if snippet is not None}

    effort = Effort(0.4) if name in LIMITED and not statics else Effort(0.06)
    return Workload(group(size, statics), name, snippets, effort)


def on_object(code: str, *, nested: int = 0, only_trees: bool = True, copies: int = 1) -> Recipe:
    """A recipe whose code may name the object `x`, its equal `same`, its `leaves`, its `treedef`, and a value `v`.

    Args:
        code: an expression; the peer's templates that it names in brackets are put in, for the field in the middle.
        nested: how many structs of three fields the first field holds; 0 for a number in each field.
        only_trees: whether to leave out what is no pytree.
        copies: how often the loop's body has the code.
    """

    def recipe(workshop: Workshop, peer: Peer, shape: Shape) -> Snippet | None:
        if only_trees and not peer.is_pytree:
            return None
        x, same = [_filled(workshop, peer, shape, nested) for _ in range(2)]
        i = len(shape.data) // 2
        statement = code.format(read=peer.read, replaced=peer.replaced).format(field=f"f{i}", i=i, after=i + 1)
        leaves, treedef = jax.tree.flatten(x)
        names = {**workshop.scope(peer), "jax": jax, "dumps": pickle.dumps, "loads": pickle.loads}
        names.update(x=x, same=same, leaves=leaves, treedef=treedef, v=0.5, identity=lambda leaf: leaf)
        return Snippet(statement, names, copies=copies)

    return recipe


def _filled(workshop: Workshop, peer: Peer, shape: Shape, nested: int) -> Any:
    if nested:
        inner = Shape.of(3)
        return workshop.make(peer, shape, [tuple(_filled(workshop, peer, inner, 0) for _ in range(nested))])
    return workshop.make(peer, shape, [float(i) for i in range(len(shape.data))])


def constructing(
    *,
    keyword: bool = False,
    defaults: bool = False,
    custom: bool = False,
    post_init: bool = False,
    unpacked: bool = False,
) -> Recipe:
    """A recipe that makes an object.

    Args:
        keyword: whether to pass the values by name.
        defaults: whether to pass none.
        custom: whether the class writes its own `__init__`.
        post_init: whether the class has a `__post_init__`, which does nothing.
        unpacked: whether to pass `*values`: without the time to load each of them.
    """

    def recipe(workshop: Workshop, peer: Peer, shape: Shape) -> Snippet | None:
        if not peer.is_class and (keyword or defaults or custom or post_init):
            return None
        made = Shape.of(len(shape.data), len(shape.statics), defaults=defaults, custom_init=custom, post_init=post_init)
        values = {f"v{i}": float(i) for i in range(len(shape.data))}
        if defaults:
            code = f"{made.name}()"
        elif unpacked:
            code = peer.construct(made, ["*values"])
        else:
            code = peer.construct(made, list(values), keyword=keyword)
        return Snippet(code, {**workshop.scope(peer, made), **values, "values": [*values.values()]})

    return recipe


REPLACE = on_object("{replaced}")
construct_custom = constructing(custom=True)

OPERATIONS: dict[str, Recipe] = {
    "flatten": on_object("jax.tree.flatten(x)"),
    "flatten with path": on_object("jax.tree_util.tree_flatten_with_path(x)"),
    "unflatten": on_object("treedef.unflatten(leaves)"),
    "tree.map": on_object("jax.tree.map(identity, x)"),
    "construct": constructing(),
    "construct by keyword": constructing(keyword=True),
    "construct from defaults": constructing(defaults=True),
    # Many to a loop's turn, which itself takes as long as a read.
    "attribute read": on_object("{read}", only_trees=False, copies=50),
    "replace": REPLACE,
    "==": on_object("x == same"),
    "hash": on_object("hash(x)"),
    "repr": on_object("repr(x)"),
    "pickle": on_object("loads(dumps(x))"),
}
