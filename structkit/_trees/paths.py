"""Places in a pytree: one step after the other, how a place is read, and how a copy with another value is made."""

from __future__ import annotations

from typing import Any

from structkit._bridges import tree_flatten_with_path
from structkit._core.flat import Flat
from structkit._core.plan import ClassPlan
from structkit._core.replace import put_fields
from structkit.errors import PlaceError, nearest

# One step on the way to a place: how it is written, and the key under which JAX or a static field has it.
Step = tuple[str, Any]
Path = tuple[Step, ...]
ATTRIBUTE, ITEM = "attribute", "item"


def read(tree: Any, path: Path) -> Any:
    """The value at a place.

    Args:
        tree: any pytree.
        path: the steps from its root.

    Raises:
        PlaceError: there is no such place.
    """
    node = tree
    for i, step in enumerate(path):
        node = child(node, step, path[: i + 1])
    return node


def write(tree: Any, path: Path, value: Any) -> Any:
    """A copy of the tree with another value at a place.

    Args:
        tree: any pytree.
        path: the steps from its root.
        value: anything; a static field takes what a constructor would.

    Raises:
        PlaceError: there is no such place.
    """
    return _with(tree, path, value, ())


def written(path: Path) -> str:
    return "".join(f".{key}" if kind == ATTRIBUTE else f"[{key!r}]" for kind, key in path)


def described(path: Path) -> str:
    return "tree" + written(path)


def child(node: Any, step: Step, path: Path) -> Any:
    if isinstance(node, Flat):
        _struct_place(node, step, path)
        return getattr(node, step[1])
    keys, children, _ = _one_level(node, path)
    return children[_find(node, keys, step, path)]


def _with(node: Any, path: Path, value: Any, done: Path) -> Any:
    if not path:
        return value
    step, rest = path[0], path[1:]
    here = (*done, step)
    if isinstance(node, Flat):
        _struct_place(node, step, here)
        return put_fields(node, {step[1]: _with(getattr(node, step[1]), rest, value, here)})
    keys, children, treedef = _one_level(node, here)
    i = _find(node, keys, step, here)
    children[i] = _with(children[i], rest, value, here)
    return treedef.unflatten(children)


def _struct_place(node: Any, step: Step, path: Path) -> None:
    plan: ClassPlan = node.__struct__
    if step[0] != ATTRIBUTE or step[1] not in plan.fields:
        near = nearest(str(step[1]), plan.fields)
        raise PlaceError(described(path), f"is no field of {plan.name}{near}", f"fields: {', '.join(plan.fields)}")


def _one_level(node: Any, path: Path) -> tuple[list[Any], list[Any], Any]:
    """The keys and children of any pytree node, and the treedef of this level alone."""
    pairs, treedef = tree_flatten_with_path(node, is_leaf=lambda inner: inner is not node)
    if node is None or (len(pairs) == 1 and not pairs[0][0]):
        raise PlaceError(
            described(path),
            f"goes into a leaf of type {type(node).__name__}",
            "point at the leaf and use .apply(lambda leaf: ...)",
        )
    return [key_path[0] for key_path, _ in pairs], [child for _, child in pairs], treedef


def _find(node: Any, keys: list[Any], step: Step, path: Path) -> int:
    kind, wanted = step
    if kind == ITEM and isinstance(node, (list, tuple)) and isinstance(wanted, int) and wanted < 0:
        wanted += len(keys)
    for i, key in enumerate(keys):
        name = getattr(key, "name", None) if kind == ATTRIBUTE else getattr(key, "key", getattr(key, "idx", None))
        if name == wanted and type(name) is type(wanted):
            return i
    if kind == ITEM and isinstance(node, tuple) and hasattr(node, "_fields") and isinstance(wanted, int):
        if 0 <= wanted < len(keys):
            return wanted
    known = ", ".join(str(key) for key in keys)
    raise PlaceError(described(path), f"is no child of the {type(node).__name__}", f"children: {known or 'none'}")
