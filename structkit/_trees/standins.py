"""What `where` is given in the place of a tree: objects that answer as its nodes do, and know where they are."""

from __future__ import annotations

import operator
import types
from collections.abc import Callable
from typing import Any

import jax

from structkit._trees.nodes import ABSENT, DICT, LEAF, flattened, kind_of
from structkit._trees.paths import Place, above_of, described, key_of, kind_at, no_place, node_at
from structkit.errors import PlaceError


class StandIn(Place):
    """A place that answers as what is there: its children are places too, all else is as it is in the tree."""

    __slots__ = ()

    def __getattribute__(self, name: str) -> Any:
        node, kind = node_at(self), kind_at(self)
        key = kind.attribute(node, name)
        return _other(self, node, name) if key is ABSENT else _below(self, key, kind.child(node, key))

    def __getitem__(self, index: Any) -> Any:
        node, kind, index = node_at(self), kind_at(self), real(index)
        key = kind.item(node, index)
        if key is not ABSENT:
            return _below(self, key, kind.child(node, key))
        if isinstance(index, slice) and isinstance(node, (list, tuple)) and kind is not LEAF:
            return [*self][index]
        method = _method(node, "__getitem__")
        if method is not None:
            return method(self, index)
        if kind is LEAF and hasattr(type(node), "__getitem__"):
            return _computed(self, node[index], f"[{index!r}]")
        raise no_place(self, f"[{index!r}]", index)

    def __iter__(self) -> Any:
        node = node_at(self)
        if kind_at(self) is not LEAF and isinstance(node, (list, tuple)):
            return iter([_below(self, i, item) for i, item in enumerate(tuple(node))])
        method = _method(node, "__iter__")
        return iter(node) if method is None else method(self)

    def __reversed__(self) -> Any:
        return reversed([*self])


def stand_in(place: Place) -> StandIn:
    """What `where` is given for the tree, or for the node from which it goes on."""
    if type(place) is StandIn:
        return place
    return StandIn(above_of(place), key_of(place), node_at(place), kind_at(place))


def _below(place: Place, key: Any, node: Any) -> StandIn:
    return StandIn(place, key, node, kind_of(node))


def real(value: Any) -> Any:
    """What is at a place; any other value as it is."""
    return _computed(value, node_at(value)) if type(value) is StandIn else value


def last_value_of(place: Any) -> str | None:
    """The path of what a value, not a place, was last asked for; None without any."""
    asked = key_of(_root(place))
    return None if asked is None else described(asked[0]) + asked[1]


_set_key: Any = vars(Place)["key"].__set__


def _root(place: Any) -> Any:
    while (above := above_of(place)) is not None:
        place = above
    return place


def _computed(place: Any, value: Any, text: str = "") -> Any:
    """The value; the root remembers of what it was asked, and nobody else reads a root's key."""
    _set_key(_root(place), (place, text))
    return value


def _method(node: Any, name: str) -> Any:
    """A method written in Python, which runs on a stand-in as it does on the node."""
    found = getattr(type(node), name, None)
    return found if isinstance(found, types.FunctionType) and kind_of(node) is not LEAF else None


def _other(place: StandIn, node: Any, name: str) -> Any:
    """An attribute that is no child."""
    kind = kind_at(place)
    if name == "__class__":
        return type(node)
    if isinstance(node, dict) and name in _OF_DICTS and kind is not LEAF:
        return types.MethodType(_OF_DICTS[name], place)
    if kind is LEAF:
        return _of_a_leaf(place, node, name)
    if name in _CHANGES and isinstance(node, (list, dict)):
        what = "changes the tree, which stays as it is"
        raise PlaceError(f"{described(place)}.{name}(...)", what, "use .set(...), .apply(...) or editing")
    found = next((vars(cls)[name] for cls in type(node).__mro__ if name in vars(cls)), ABSENT)
    if isinstance(found, property) and found.fget is not None:
        return found.fget(place)
    if isinstance(found, types.FunctionType):
        return types.MethodType(found, place)
    try:
        return _computed(place, getattr(node, name), f".{name}")
    except AttributeError:
        raise no_place(place, f".{name}", name) from None


def _of_a_leaf(place: StandIn, node: Any, name: str) -> Any:
    if name == "__jax_array__" and isinstance(node, jax.Array):
        return lambda: _computed(place, node)
    try:
        return _computed(place, getattr(node, name), f".{name}")
    except AttributeError:
        if name.startswith("__"):
            raise
        raise no_place(place, f".{name}", name) from None


def _items(place: Any) -> list[tuple[Any, Any]]:
    node = node_at(place)
    # A subclass of dict is a node whose keys are places among its children; JAX tells which.
    keys = (
        node if kind_at(place) is DICT else {getattr(key, "key", None): i for i, key in enumerate(flattened(node)[0])}
    )
    return [(key, _below(place, key if keys is node else keys[key], value)) for key, value in node.items()]


def _get(place: Any, key: Any, default: Any = None) -> Any:
    key = real(key)
    return place[key] if key in node_at(place) else default


_CHANGES = {
    *("append", "clear", "extend", "insert", "pop", "popitem", "remove", "reverse", "setdefault", "sort", "update")
}

_OF_DICTS: dict[str, Callable[..., Any]] = {
    "items": _items,
    "values": lambda place: [value for _, value in _items(place)],
    "get": _get,
}


def _asked(function: Callable[..., Any]) -> Callable[..., Any]:
    def ask(place: Any, /, *others: Any, **options: Any) -> Any:
        return function(real(place), *map(real, others), **options)

    return ask


def _reflected(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda place, other: function(other, real(place))


# Python looks these up on the class, so `__getattribute__` does not see them. Each asks for a value.
_BINARY = ("add", "sub", "mul", "matmul", "truediv", "floordiv", "mod", "pow", "lshift", "rshift", "and", "or", "xor")
_ANSWERS: dict[str, Callable[..., Any]] = {
    "abs": abs,
    "bool": bool,
    "bytes": bytes,
    "complex": complex,
    "divmod": divmod,
    "float": float,
    "format": format,
    "hash": hash,
    "int": int,
    "len": len,
    "repr": repr,
    "round": round,
    "str": str,
    "call": lambda node, *args, **options: node(*args, **options),
    **{name: getattr(operator, f"__{name}__") for name in ("contains", "index", "invert", "neg", "pos")},
    **{name: getattr(operator, f"__{name}__") for name in ("eq", "ne", "lt", "le", "gt", "ge", *_BINARY)},
}
for _name, _function in _ANSWERS.items():
    type.__setattr__(StandIn, f"__{_name}__", _asked(_function))
for _name in _BINARY:
    type.__setattr__(StandIn, f"__r{_name}__", _reflected(_ANSWERS[_name]))
