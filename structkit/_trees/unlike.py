"""Two trees of one structure, and the words for those that are not: the first path where they differ."""

from __future__ import annotations

from typing import Any

import jax

from structkit._core.plan import plan_of
from structkit._core.pretty import pformat
from structkit._core.statics import pack_statics
from structkit._trees.nodes import children, fields_of, one_level
from structkit.errors import TreeError, a_type

# The end too: it tells functions of one name apart.
_LONGEST, _HEAD, _TAIL = 80, 50, 25


def leaves_like(tree: Any, treedef: Any, other: Any, call: str, cure: str, *, holes: bool = False) -> list[Any]:
    """The leaves of another tree of one structure with `tree`.

    Args:
        tree: a pytree.
        treedef: its structure.
        other: another pytree.
        call: what asks, for messages.
        cure: what to do where the structures are not one.
        holes: whether None stands for any leaf in both, and is among the leaves.

    Raises:
        TreeError: the structures are not one.
    """
    try:
        # Half the time of another flatten and `==` of the structures.
        found: list[Any] = treedef.flatten_up_to(other)
    except ValueError as error:
        raise TreeError(call, first_difference(tree, other, holes=holes) or str(error), cure) from None
    if not jax.tree_util.all_leaves([leaf for leaf in found if leaf is not None] if holes else found):
        raise TreeError(call, str(first_difference(tree, other, holes=holes)), cure)
    return found


def first_difference(a: Any, b: Any, *, holes: bool = False) -> str | None:
    """What is first unlike in the structures of two trees, from its path on; None for trees of one structure.

    Args:
        a: a pytree.
        b: another one.
        holes: whether None stands for any leaf, and not for a node without children.
    """
    found = first_unlike(a, b, holes=holes)
    return found and f"tree{found[0]} is {found[1]} in the first tree and {found[2]} in the second"


def first_unlike(a: Any, b: Any, *, holes: bool = False) -> tuple[str, str, str] | None:
    """The first path where the structures of two trees are unlike, and what each has there, as `first_difference`."""
    waiting = [("", a, b)]
    while waiting:
        path, one, other = waiting.pop()
        level, other_level = [None if holes and node is None else children(node) for node in (one, other)]
        if level is None and other_level is None:
            continue
        if level is None or other_level is None or type(one) is not type(other):
            first, second = _cut(_kind(one, level is None)), _cut(_kind(other, other_level is None))
            return path, first, second if first != second else f"another {type(other).__name__}"
        # They may be iterators, which can be read once.
        (keys, below), (other_keys, others) = [[[*half] for half in found] for found in (level, other_level)]
        unlike = _unlike_nodes(one, other, keys, other_keys)
        if unlike is not None:
            return path + unlike[0], _cut(unlike[1]), _cut(unlike[2])
        waiting.extend([(f"{path}{key}", *pair) for key, *pair in zip(keys, below, others)][::-1])
    return None


def _unlike_nodes(one: Any, other: Any, keys: list[Any], others: list[Any]) -> tuple[str, str, str] | None:
    """What differs in two nodes of a type with these keys: a static field or nothing, and what each of them has."""
    if len(keys) != len(others) and isinstance(one, list | tuple):
        return "", f"{a_type(one)} of {len(keys)}", f"one of {len(others)}"
    if keys != others:
        first, second = [", ".join(map(str, names)) or "no items" for names in (keys, others)]
        return "", f"{a_type(one)} with {first}", f"one with {second}"
    for name, f in fields_of(type(one)).items():
        values = [getattr(node, name) for node in (one, other)] if f.static else [None, None]
        # As JAX meets them: those of a struct with what tells 1 from True.
        met = [pack_statics("", (name,), (value,)) if plan_of(type(one)) else (value,) for value in values]
        if met[0] != met[1]:
            return f".{name}", *_told_apart(*values)
    return _unlike_treedef(one, other)


def _unlike_treedef(one: Any, other: Any) -> tuple[str, str, str] | None:
    found, others = one_level(one), one_level(other)
    if found is None or others is None or found[2] == others[2]:
        return None
    return "", str(found[2]), str(others[2])


def _kind(node: Any, is_leaf: bool) -> str:
    return pformat(node) if is_leaf or node is None else a_type(node)


def _told_apart(one: Any, other: Any) -> tuple[str, str]:
    """The texts of two values; of two functions of one name with their addresses."""
    first, second = pformat(one), pformat(other)
    return (first, second) if first != second else (repr(one), repr(other))


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[:_HEAD]}...{text[-_TAIL:]}"
