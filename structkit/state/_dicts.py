"""State dicts: a tree as nested dicts by field name, and back."""

from __future__ import annotations

from typing import Any, Literal, TypeVar, overload

from structkit._core.plan import plan_of
from structkit._core.registry import node_of
from structkit._trees.nodes import LEAF, flattened, kind_of
from structkit.errors import StateError
from structkit.state._header import FaultError
from structkit.state._matching import Difference, Matcher
from structkit.state._reading import misfit
from structkit.state._sources import DictSource, kind_name, natural_key

_T = TypeVar("_T")


def to_state_dict(tree: Any, *, include_static: bool = False) -> Any:
    """The tree with a dict in the place of each struct, by field names.

    Named tuples and nodes of other libraries become dicts too; dicts, lists and tuples are copied, leaves are not.

    Args:
        tree: any pytree.
        include_static: whether the static fields are in it, beside the data.

    Example:
        >>> from structkit import Struct, state, static
        >>> class Linear(Struct):
        ...     weight: list
        ...     unit: str = static(default="m")
        >>> state.to_state_dict(Linear([1.0, 2.0]))
        {'weight': [1.0, 2.0]}
        >>> state.to_state_dict(Linear([1.0, 2.0]), include_static=True)
        {'weight': [1.0, 2.0], 'unit': 'm'}
    """
    try:
        return _as_dict(tree, include_static)
    except RecursionError:
        raise StateError("to_state_dict", "the tree is nested too deeply", "flatten it") from None


def _as_dict(node: Any, include_static: bool) -> Any:
    if kind_of(node) is LEAF or node is None:
        return node
    kind = kind_name(node)
    if kind in ("list", "tuple"):
        items = [_as_dict(item, include_static) for item in node]
        return items if kind == "list" else tuple(items)
    if kind == "dict":
        return {key: _as_dict(item, include_static) for key, item in node.items()}
    if kind == "named":
        return {name: _as_dict(item, include_static) for name, item in zip(node._fields, tuple(node))}
    if kind == "other":
        keys, children, _ = flattened(node)
        return {natural_key(key): _as_dict(child, include_static) for key, child in zip(keys, children)}
    record: Any = plan_of(type(node)) or node_of(type(node))
    found = {}
    for name, f in record.fields.items():
        if f.static and include_static:
            found[name] = getattr(node, name)
        elif not f.static:
            found[name] = _as_dict(getattr(node, name), include_static)
    return found


@overload
def from_state_dict(like: _T, state: Any, strict: Literal[True] = True) -> _T: ...
@overload
def from_state_dict(like: _T, state: Any, strict: Literal[False]) -> tuple[_T, tuple[Difference, ...]]: ...
def from_state_dict(like: Any, state: Any, strict: bool = True) -> Any:
    """A tree as `like` with the data of a state dict; no code of its classes runs.

    A field that the state lacks takes the default of its class, one that was renamed is found by its aliases. Static
    fields are as in `like`; those that are in the state are compared.

    Args:
        like: a tree of arrays, or what `jax.eval_shape` gives.
        state: what `to_state_dict` gave.
        strict: whether a difference is an error. If not, what fits is taken, the rest is as in `like`, and the
            differences are given back too.

    Raises:
        StateError: state is missing or unknown, or has another shape, dtype or static value; all places are named.

    Example:
        >>> from structkit import Struct, state
        >>> class Point(Struct):
        ...     x: float
        ...     y: float = 0.0
        >>> state.from_state_dict(Point(1.0, 2.0), {"x": 3.0})
        Point(x=3.0, y=0.0)
    """
    matcher = Matcher()
    try:
        tree = matcher.fit(like, DictSource(state), "")
    except RecursionError:
        raise StateError("from_state_dict", "the tree is nested too deeply", "flatten it") from None
    except FaultError as fault:
        raise StateError("from_state_dict", f"a default {fault.what}", fault.cure) from None
    if matcher.differences and (strict or matcher.lacking):
        raise misfit("from_state_dict", matcher)
    return tree if strict else (tree, tuple(matcher.differences))
