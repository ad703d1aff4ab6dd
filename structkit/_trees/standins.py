"""What `where` is given in the place of a tree: objects that answer as its nodes do, and know where they are."""

from __future__ import annotations

import functools
import itertools
import operator
import types
from collections.abc import Callable, Iterator
from typing import Any

import jax

from structkit._trees.nodes import ABSENT, DICT, KNOWN, LEAF, flattened, kind_of
from structkit._trees.paths import Place, described, key_of, no_place, node_at, root
from structkit.errors import PlaceError


class StandIn:
    """Answers as what is at a place: its children are places too, all else is as it is in the tree."""

    __slots__ = ("_place",)

    def __init__(self, place: Place):
        _set_place(self, place)

    def __getattribute__(self, name: str) -> Any:
        place: Place = place_of(self)
        _, _, node, kind = place
        key = kind.attribute(node, name)
        if key is ABSENT:
            return _other(self, place, name)
        # `_child`, spelt out here and in `__getitem__`: the calls take a tenth of the time of `at(...).set`.
        child = kind.child(node, key)
        return StandIn((place, key, child, KNOWN.get(type(child)) or kind_of(child)))

    def __setattr__(self, name: str, value: Any) -> None:
        raise _change(f"{described(place_of(self))}.{name} = ...")

    def __delattr__(self, name: str) -> None:
        raise _change(f"del {described(place_of(self))}.{name}")

    def __setitem__(self, index: Any, value: Any) -> None:
        raise _change(f"{described(place_of(self))}[{index!r}] = ...")

    def __delitem__(self, index: Any) -> None:
        raise _change(f"del {described(place_of(self))}[{index!r}]")

    def __getitem__(self, index: Any) -> Any:
        place: Place = place_of(self)
        _, _, node, kind = place
        if type(index) is StandIn:
            index = real(index)
        key = kind.item(node, index)
        if key is not ABSENT:
            child = kind.child(node, key)
            return StandIn((place, key, child, KNOWN.get(type(child)) or kind_of(child)))
        if isinstance(index, slice) and isinstance(node, (list, tuple)) and kind is not LEAF:
            return [*self][index]
        method = _method(place, "__getitem__")
        if method is not None:
            return _item(method, self, index)
        if kind is LEAF and hasattr(type(node), "__getitem__"):
            return _asked_of(place, node[index], f"[{index!r}]")
        raise no_place(place, f"[{index!r}]", index)

    def __iter__(self) -> Any:
        place: Place = place_of(self)
        _, _, node, kind = place
        if kind is not LEAF and isinstance(node, (list, tuple)):
            return iter([_child(place, i) for i in range(len(node))])
        method = _method(place, "__iter__")
        if method is not None:
            return method(self)
        by_index = not hasattr(type(node), "__iter__") and _method(place, "__getitem__") is not None
        return _by_index(self) if by_index else iter(node)

    def __reversed__(self) -> Any:
        return reversed([*self])


place_of: Any = vars(StandIn)["_place"].__get__
_set_place: Any = vars(StandIn)["_place"].__set__


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


def _by_index(stand_in: StandIn) -> Iterator[Any]:
    """The items of a class with `__getitem__` and without `__iter__`, as Python finds them."""
    for i in itertools.count():
        try:
            item = stand_in[i]
        except IndexError:
            return
        yield item


def _item(method: Any, stand_in: StandIn, index: Any) -> Any:
    """The item that a class's own `__getitem__` gives."""
    try:
        return method(stand_in, index)
    except PlaceError:
        raise
    except LookupError as error:
        raise no_place(place_of(stand_in), f"[{index!r}]", index) from error


def _change(code: str) -> PlaceError:
    return PlaceError(code, "changes the tree, which stays as it is", "use .set(...), .apply(...) or editing")


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
        raise _change(f"{described(place)}.{name}(...)")
    found = next((vars(cls)[name] for cls in type(node).__mro__ if name in vars(cls)), ABSENT)
    if isinstance(found, property) and found.fget is not None:
        return _run(found.fget, name, stand_in)
    if isinstance(found, functools.cached_property):
        return _run(found.func, name, stand_in)
    if isinstance(found, types.FunctionType):
        return functools.partial(_run, found, name, stand_in)
    fallback = _method(place, "__getattr__")
    read: Any = getattr if fallback is None else type(node).__getattribute__
    try:
        value = read(node, name)
    except AttributeError:
        value = ABSENT
    if value is not ABSENT:
        return _asked_of(place, value, f".{name}")
    try:
        if fallback is not None:
            return _run(fallback, name, stand_in, name)
    except PlaceError:
        raise
    except AttributeError:
        pass
    raise no_place(place, f".{name}", name)


def _run(function: Any, name: str, stand_in: StandIn, /, *arguments: Any, **options: Any) -> Any:
    """What code of a class gives on a stand-in; or on the node, where it needs more than that, as `jnp.sum` does."""
    try:
        return function(stand_in, *arguments, **options)
    except PlaceError:
        raise
    except Exception:
        place: Place = place_of(stand_in)
        options = {key: real(value) for key, value in options.items()}
        return _asked_of(place, function(node_at(place), *map(real, arguments), **options), f".{name}")


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
