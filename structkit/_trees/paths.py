"""Places in a pytree: one step after the other, how a place is read, and how a copy with another value is made."""

from __future__ import annotations

from typing import Any

from structkit._core.registry import node_of
from structkit._core.replace import put_fields
from structkit._trees.nodes import fields_of, one_level
from structkit.errors import PlaceError, nearest

# One step on the way to a place: how it is written, and the key under which JAX or a static field has it.
Step = tuple[str, Any]
Path = tuple[Step, ...]
ATTRIBUTE, ITEM = "attribute", "item"


def read(tree: Any, path: Path) -> Any:
    """The value at a place.

    Raises:
        PlaceError: there is no such place.
    """
    node = tree
    for i, step in enumerate(path):
        node = child(node, step, path[: i + 1])
    return node


def write(tree: Any, path: Path, value: Any) -> Any:
    """A copy of the tree with another value at a place.

    Raises:
        PlaceError: there is no such place.
    """
    return _with(tree, path, value, ())


def written(path: Path) -> str:
    """The path as it stands behind a name in Python: `.layers[0]`."""
    return "".join(f".{key}" if kind == ATTRIBUTE else f"[{key!r}]" for kind, key in path)


def described(path: Path) -> str:
    """The path as messages call the place."""
    return "tree" + written(path)


def child(node: Any, step: Step, path: Path) -> Any:
    """What is one step below a node.

    Raises:
        PlaceError: there is no such child.
    """
    if fields_of(node) is not None:
        _struct_place(node, step, path)
        return getattr(node, step[1])
    if _holds(node, step[0], step[1]):
        return node[step[1]]
    keys, children, _ = _inner_level(node, path)
    return children[_find(node, keys, step, path)]


def _holds(node: Any, kind: str, key: Any) -> bool:
    """Whether a plain container has an item under this key: to read it, or copy the container, no flattening is due."""
    if kind != ITEM or type(key) not in (int, str):
        return False
    return key in node if type(node) is dict else type(node) in (list, tuple) and -len(node) <= key < len(node)


def _with(node: Any, path: Path, value: Any, done: Path) -> Any:
    if not path:
        return value
    step, rest = path[0], path[1:]
    here = (*done, step)
    fields = fields_of(node)
    if fields is not None:
        _struct_place(node, step, here)
        name = step[1]
        value = _with(getattr(node, name), rest, value, here)
        f, record = fields[name], node_of(type(node))
        if record is not None:
            return record.changed(node, {name: value})
        # As in a constructor; data takes what it is given.
        convert = f.converter if f.static and not rest else None
        return put_fields(node, {name: value if convert is None else convert(value)})
    if _holds(node, step[0], step[1]):
        changed: Any = dict(node) if type(node) is dict else [*node]
        changed[step[1]] = _with(changed[step[1]], rest, value, here)
        return type(node)(changed)
    keys, children, treedef = _inner_level(node, here)
    i = _find(node, keys, step, here)
    children[i] = _with(children[i], rest, value, here)
    return treedef.unflatten(children)


def _struct_place(node: Any, step: Step, path: Path) -> None:
    fields, name = fields_of(node) or {}, type(node).__name__
    if step[0] != ATTRIBUTE or step[1] not in fields:
        near = nearest(step[1], fields)
        raise PlaceError(described(path), f"is no field of {name}{near}", f"fields: {', '.join(fields)}")


def _inner_level(node: Any, path: Path) -> tuple[list[Any], list[Any], Any]:
    found = None if node is None else one_level(node)
    if found is None:
        raise PlaceError(
            described(path),
            f"goes into a leaf of type {type(node).__name__}",
            "point at the leaf and use .apply(lambda leaf: ...)",
        )
    return found


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
