"""What `where` is given in the place of a tree: objects that answer as its nodes do, and know where they are."""

from __future__ import annotations

import operator
import types
from collections.abc import Callable
from typing import Any

import jax

from structkit._trees.nodes import ABSENT, DICT, LEAF, flattened, kind_of
from structkit._trees.paths import Place, described, key_of, no_place, node_at, root
from structkit.errors import PlaceError


class StandIn:
    """Answers as what is at a place: its children are places too, all else is as it is in the tree."""

    __slots__ = ("_place",)

    def __init__(self, place: Place):
        self._place = place

    def __getattribute__(self, name: str) -> Any:
        place: Place = place_of(self)
        _, _, node, kind = place
        key = kind.attribute(node, name)
        return _other(self, place, name) if key is ABSENT else _child(place, key)

    def __getitem__(self, index: Any) -> Any:
        place: Place = place_of(self)
        _, _, node, kind = place
        if type(index) is StandIn:
            index = real(index)
        key = kind.item(node, index)
        if key is not ABSENT:
            return _child(place, key)
        if isinstance(index, slice) and isinstance(node, (list, tuple)) and kind is not LEAF:
            return [*self][index]
        method = _method(place, "__getitem__")
        if method is not None:
            return method(self, index)
        if kind is LEAF and hasattr(type(node), "__getitem__"):
            return _asked_of(place, node[index], f"[{index!r}]")
        raise no_place(place, f"[{index!r}]", index)

    def __iter__(self) -> Any:
        place: Place = place_of(self)
        _, _, node, kind = place
        if kind is not LEAF and isinstance(node, (list, tuple)):
            return iter([_child(place, i) for i in range(len(node))])
        method = _method(place, "__iter__")
        return iter(node) if method is None else method(self)

    def __reversed__(self) -> Any:
        return reversed([*self])


place_of: Any = vars(StandIn)["_place"].__get__


def _child(place: Place, key: Any) -> StandIn:
    _, _, node, kind = place
    child = kind.child(node, key)
    return StandIn((place, key, child, kind_of(child)))


def real(value: Any) -> Any:
    """What is at the place of a stand-in; any other value as it is."""
    if type(value) is not StandIn:
        return value
    place: Place = place_of(value)
    return _asked_of(place, node_at(place))


def _asked_of(place: Place, value: Any, text: str = "") -> Any:
    """The value; the root remembers of what it was asked."""
    remembered = key_of(_root(place))
    if isinstance(remembered, list):
        remembered[:] = [described(place) + text]
    return value


def watched(tree: Any) -> Place:
    """The root of a tree, which remembers of what a value was last asked; see `last_asked`."""
    return root(tree, [])


def last_asked(place: Place) -> str | None:
    """The path of what a value, not a place, was last asked for; None without any."""
    return next(iter(key_of(_root(place)) or ()), None)


def _root(place: Place) -> Place:
    while (above := place[0]) is not None:
        place = above
    return place


def _method(place: Place, name: str) -> Any:
    """A method written in Python, which runs on a stand-in as it does on the node."""
    _, _, node, kind = place
    found = getattr(type(node), name, None)
    return found if isinstance(found, types.FunctionType) and kind is not LEAF else None


def _other(stand_in: StandIn, place: Place, name: str) -> Any:
    """An attribute that is no child."""
    _, _, node, kind = place
    if name == "__class__":
        return type(node)
    if kind is LEAF:
        return _of_a_leaf(place, name)
    if isinstance(node, dict) and name in _OF_DICTS:
        return types.MethodType(_OF_DICTS[name], stand_in)
    if name in _CHANGES and isinstance(node, (list, dict)):
        what = "changes the tree, which stays as it is"
        raise PlaceError(f"{described(place)}.{name}(...)", what, "use .set(...), .apply(...) or editing")
    found = next((vars(cls)[name] for cls in type(node).__mro__ if name in vars(cls)), ABSENT)
    if isinstance(found, property) and found.fget is not None:
        return found.fget(stand_in)
    if isinstance(found, types.FunctionType):
        return types.MethodType(found, stand_in)
    try:
        return _asked_of(place, getattr(node, name), f".{name}")
    except AttributeError:
        raise no_place(place, f".{name}", name) from None


def _of_a_leaf(place: Place, name: str) -> Any:
    node = node_at(place)
    if name == "__jax_array__" and isinstance(node, jax.Array):
        return lambda: _asked_of(place, node)
    try:
        return _asked_of(place, getattr(node, name), f".{name}")
    except AttributeError:
        if name.startswith("__"):
            raise
        raise no_place(place, f".{name}", name) from None


def _items(stand_in: StandIn) -> list[tuple[Any, Any]]:
    place: Place = place_of(stand_in)
    _, _, node, kind = place
    if kind is DICT:
        return [(key, _child(place, key)) for key in node]
    # A subclass of dict: its children have places, and JAX tells which.
    places = {getattr(entry, "key", None): i for i, entry in enumerate(flattened(node)[0])}
    return [(key, _child(place, places[key])) for key in node]


def _get(stand_in: StandIn, key: Any, default: Any = None) -> Any:
    key = real(key)
    return stand_in[key] if key in node_at(place_of(stand_in)) else default


_OF_LISTS = ("append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort")
_CHANGES = {*_OF_LISTS, "popitem", "setdefault", "update"}
_OF_DICTS: dict[str, Callable[..., Any]] = {
    "items": _items,
    "values": lambda stand_in: [value for _, value in _items(stand_in)],
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
