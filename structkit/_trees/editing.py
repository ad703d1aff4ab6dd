"""A scoped mutable copy of a tree: `with editing(model) as m` writes to it as a constructor does."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from structkit._core.flat import Draft, items, new, settled, store
from structkit._trees.nodes import LEAF, StructKind, kind_of


@contextlib.contextmanager
def editing(tree: Any, /) -> Iterator[Any]:
    """A copy of `tree` whose structs take assignments until the `with` block ends.

    In the block a frozen struct of the copy is as in its own constructor: `m.layers[0].weight = w` runs the field's
    converter, and a static field checks its value. Lists and dicts are copies too, so `m.blocks.append(block)` works;
    NumPy arrays are copied, all other leaves are shared. An object at two places becomes two. What is put in from
    outside stays as it is, and stays frozen. At the end of the block, an exception's too, every struct of the copy is
    frozen again; then the `__check_init__` of those that were written to run, and of those that hold these: a parent
    sees what was appended to its list. (Writes into NumPy arrays are not noticed.) `tree` never changes.

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
    copies: list[_Copied] = []
    copied = _copy(tree, copies)
    try:
        yield copied
    finally:
        for one in copies:
            one.close()
    changed: set[int] = set()
    for one in copies:
        if one.is_changed(changed):
            changed.add(id(one.node))
    for one in copies:
        if one.aux is not None and id(one.node) in changed:
            for check in one.node.__struct__.checks:
                check(one.node)


class _Copied(NamedTuple):
    """A node of the copy, as it was at first.

    Attributes:
        node: the copy.
        parts: its children by key.
        aux: of a struct; None for any other node.
    """

    node: Any
    parts: dict[Any, Any]
    aux: Any

    def is_changed(self, changed: set[int]) -> bool:
        """Whether it was written to, or a node in it that is among `changed`; those further down are asked first."""
        node, parts = self.node, self.parts
        if self.aux is not None and node.__flat__[1] is not self.aux:
            return True
        now = _by_key(kind_of(node).parts(node))
        return now.keys() != parts.keys() or any(now[k] is not parts[k] or id(now[k]) in changed for k in now)

    def close(self) -> None:
        """End the writing to the node, if it is a struct."""
        if self.aux is not None:
            children, aux = self.node.__flat__
            store(self.node, (settled(self.node.__struct__, children), aux))


def _by_key(parts: Any) -> dict[Any, Any]:
    return {**parts} if isinstance(parts, dict) else dict(enumerate(items(parts)))


def _copy(node: Any, copies: list[_Copied]) -> Any:
    kind = kind_of(node)
    if kind is LEAF:
        return node.copy() if isinstance(node, np.ndarray) else node
    parts = kind.parts(node)
    copied: Any = {**parts} if isinstance(parts, dict) else [*items(parts)]
    for key in kind.keys(node):
        copied[key] = _copy(copied[key], copies)
    if not isinstance(kind, StructKind):
        made, aux = kind.made(node, copied), None
    else:
        made, aux = new(type(node)), node.__flat__[1]
        store(made, (Draft(copied), aux))
    copies.append(_Copied(made, _by_key(kind.parts(made)), aux))
    return made
