"""A scoped mutable copy of a tree: `with editing(model) as m` writes to it as a constructor does."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from structkit._core.flat import Draft, items, new, sealed, store
from structkit._trees.nodes import LEAF, StructKind, kind_of


@contextlib.contextmanager
def editing(tree: Any, /) -> Iterator[Any]:
    """A copy of `tree` whose structs take assignments until the `with` block ends.

    In the block a frozen struct of the copy is as in its own constructor: `m.layers[0].weight = w` runs the field's
    converter, and a static field checks its value. Lists and dicts are copies too, so `m.blocks.append(block)` works;
    NumPy arrays are copied, all other leaves are shared. An object at two places becomes two. What is put in from
    outside stays as it is, and stays frozen. At the end of the block, an exception's too, every struct of the copy is
    frozen again; then the `__check_init__` of those that were written to run. `tree` never changes.

    Objects of other libraries, and dataclasses of `structkit.struct`, are copied and refuse assignments as ever.

    Args:
        tree: any pytree.

    Example:
        >>> from structkit import Struct, editing
        >>> class Layer(Struct):
        ...     weight: float
        >>> class Model(Struct):
        ...     layers: list[Layer]
        >>> model = Model([Layer(1.0)])
        >>> with editing(model) as m:
        ...     m.layers[0].weight = 2.0
        ...     m.layers.append(Layer(3.0))
        >>> m
        Model(layers=[Layer(weight=2.0), Layer(weight=3.0)])
        >>> model
        Model(layers=[Layer(weight=1.0)])
    """
    drafts: list[tuple[Any, Any]] = []
    copied = _copy(tree, drafts)
    try:
        yield copied
    finally:
        written = [draft for draft, before in drafts if _close(draft, before)]
    for draft in written:
        for check in draft.__struct__.checks:
            check(draft)


def _copy(node: Any, drafts: list[tuple[Any, Any]]) -> Any:
    kind = kind_of(node)
    if kind is LEAF:
        return node.copy() if isinstance(node, np.ndarray) else node
    parts = kind.parts(node)
    copied: Any = {**parts} if isinstance(parts, dict) else [*items(parts)]
    for key in kind.keys(node):
        copied[key] = _copy(copied[key], drafts)
    if not isinstance(kind, StructKind):
        return kind.made(node, copied)
    made, aux = new(type(node)), node.__flat__[1]
    store(made, (Draft(copied), aux))
    drafts.append((made, (copied, aux)))
    return made


def _close(draft: Any, before: Any) -> bool:
    """End the writing to a struct; whether there was any."""
    children, aux = draft.__flat__
    kept = items(children)
    store(draft, (sealed(kept) if draft.__struct__.frozen else [*kept], aux))
    return aux is not before[1] or any(one is not other for one, other in zip(kept, before[0]))
