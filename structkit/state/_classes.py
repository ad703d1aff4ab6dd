"""The classes of a tree: those of its nodes, and those that the annotations of their fields name."""

from __future__ import annotations

import sys
import typing
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from structkit._bridges import GENERIC_ALIASES, alias_value, lazy_annotations
from structkit._core.plan import class_dict, class_mro
from structkit._trees.nodes import DEEPEST, LEAF, children, fields_of, kind_of, too_deep
from structkit._trees.specs import shape_of
from structkit.errors import NotAStructError, StateError, a_type
from structkit.state import _names


def classes_in(tree: Any, call: str) -> list[type]:
    """The classes of the structs and named tuples in a tree, and those to which the annotations of their fields lead.

    Args:
        tree: any pytree. Classes may stand in the place of leaves.
        call: the function that asks, for errors.

    Raises:
        NotAStructError: a class in the place of a leaf is no struct and no named tuple.
        StateError: it is no tree, such as a text or a function.
    """
    found: dict[type, None] = {}
    waiting: list[tuple[Any, int]] = [(tree, 0)]
    while waiting:
        node, depth = waiting.pop()
        if depth > DEEPEST:
            raise too_deep(call)
        if kind_of(node) is not LEAF:
            _collect(type(node), found)
            _, below = children(node) or ((), ())
            waiting.extend([(child, depth + 1) for child in below])
        elif isinstance(node, type) and not _is_node_class(node):
            raise NotAStructError(call, f"the class {node.__qualname__}")
        else:
            for cls in _named_in(node, None):
                _collect(cls, found)
            if node is tree and not found and shape_of(node) is None:
                cure = "give a class, an object of it, or a tree of such"
                raise StateError(call, f"{a_type(node)} is given, which is neither a class nor a tree", cure)
    return [*found]


def _is_node_class(cls: Any) -> bool:
    return _names.is_struct_class(cls) or _names.is_named_tuple(cls)


def _collect(cls: Any, found: dict[type, None]) -> None:
    """Add a class, and all that the annotations of its fields lead to."""
    waiting = [cls]
    while waiting:
        cls = waiting.pop()
        if cls in found or not _is_node_class(cls):
            continue
        found[cls] = None
        named: Any = cls._fields if _names.is_named_tuple(cls) else ()
        data = {*named} | {name for name, f in fields_of(cls).items() if not f.static}
        for base in class_mro(cls):
            body = class_dict(base)
            annotations = body.get("__annotations__")
            for name, annotation in (lazy_annotations(dict(body)) if annotations is None else annotations).items():
                if name in data:
                    waiting.extend(_named_in(annotation, base))


def _named_in(annotation: Any, home: type | None) -> Iterator[type]:
    """The classes that an annotation names, as far as its names are known.

    Args:
        annotation: the annotation; texts are evaluated.
        home: the class in whose body it stands.
    """
    waiting: list[Any] = [annotation]
    seen: list[Any] = []
    while waiting:
        part = waiting.pop()
        if isinstance(part, typing.ForwardRef):
            part = part.__forward_arg__
        origin = typing.get_origin(part)
        if isinstance(part, (str, *GENERIC_ALIASES)):
            # It may name itself.
            if not any([part is one for one in seen]):
                seen.append(part)
                waiting.append(_meant(part, home))
        elif origin is Annotated:
            waiting.append(typing.get_args(part)[0])
        elif origin is not None and origin is not Literal:
            waiting.extend([origin, *typing.get_args(part)])
        elif isinstance(part, type):
            yield part


def _meant(name: Any, home: type | None) -> Any:
    """What a text or an alias stands for; None where that is not known, and for a text of no class, which is data."""
    try:
        if not isinstance(name, str):
            return alias_value(name)
        module: Any = sys.modules.get(home.__module__) if home else None
        return eval(name, vars(module), {home.__name__: home}) if home and module else None
    except Exception:
        # A name of a function, or one that exists for type checkers only.
        return None
