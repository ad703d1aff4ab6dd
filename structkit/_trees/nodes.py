"""The nodes of a pytree one by one: what is under a node, with its key path entries, and how the node is made anew."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import jax
import numpy as np
from jax.tree_util import DictKey, SequenceKey

from structkit._bridges import tree_flatten_with_path
from structkit._core.fields import Field
from structkit._core.plan import plan_of
from structkit._core.registry import node_of

# To flatten an array in order to learn that it is a leaf takes fifty times as long. Nobody can make these nodes.
_LEAVES = {bool, int, float, complex, str, bytes, np.ndarray, np.bool_, np.float32, np.float64, np.int32, np.int64}
_LEAVES |= {jax.ShapeDtypeStruct}


def is_known_leaf(node: Any) -> bool:
    """Whether `node` is of a type that no pytree registry can hold: an array, a tracer, a number, a string."""
    return type(node) in _LEAVES or isinstance(node, jax.Array)


def fields_of(node: Any) -> dict[str, Field] | None:
    """The fields of a struct or of an object of `structkit.struct`, static ones too; None for anything else."""
    known: Any = plan_of(type(node)) or node_of(type(node))
    return None if known is None else known.fields


def children(node: Any) -> tuple[Iterable[Any], Iterable[Any]] | None:
    """The key path entries and the children of a pytree node, in JAX's order; None for a leaf.

    None is a node without children, as it is for JAX.
    """
    cls = type(node)
    if is_known_leaf(node):
        return None
    if cls is list or cls is tuple:
        return map(SequenceKey, range(len(node))), node
    if cls is dict:
        try:
            keys = sorted(node)
        except TypeError:
            return _flattened(node)  # JAX has its own error for keys without an order.
        return map(DictKey, keys), map(node.__getitem__, keys)
    plan = plan_of(cls)
    if plan is not None:
        return plan.keys, node.__flat__[0]
    return _flattened(node)


def _flattened(node: Any) -> tuple[list[Any], list[Any]] | None:
    found = one_level(node)
    return None if found is None else found[:2]


def one_level(node: Any) -> tuple[list[Any], list[Any], Any] | None:
    """The keys and children of any pytree node, and the treedef of this level alone; None for a leaf."""
    pairs, treedef = tree_flatten_with_path(node, is_leaf=lambda inner: inner is not node)
    if len(pairs) == 1 and not pairs[0][0]:
        return None
    return [key_path[0] for key_path, _ in pairs], [child for _, child in pairs], treedef
