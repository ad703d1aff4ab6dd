"""Typed places inside a pytree: `at(tree, where)` reads, sets and maps what `where` points at."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, Generic, Literal, TypeVar, overload

import jax

from structkit._trees.nodes import LEAF, kind_of
from structkit._trees.paths import (
    Place,
    described,
    listed,
    node_at,
    parse,
    put,
    put_all,
    resolve,
    root,
    written,
)
from structkit._trees.patterns import ALL, REFUSE, add_place, visit
from structkit._trees.standins import StandIn, last_asked, place_of, watched
from structkit.errors import PlaceError, a_type, nearest

_S = TypeVar("_S")
_V = TypeVar("_V")
_W = TypeVar("_W")
_T = TypeVar("_T")
_A = TypeVar("_A")
_B = TypeVar("_B")
_C = TypeVar("_C")
_D = TypeVar("_D")


class Ref(Generic[_S, _V]):
    """A place in a tree, made by `at`. Its methods give changed copies of the tree; the tree itself never changes.

    For a path with wildcards it is all the places that match: `get` gives a dict by path, `set` takes one value for
    all or such a dict, and `apply` is called for each.
    """

    __slots__ = ("_place", "_tree")

    def __init__(self, tree: _S, place: Place):
        self._tree, self._place = tree, place

    def get(self) -> _V:
        """The value at the place."""
        return node_at(self._place)  # type: ignore[no-any-return]

    def set(self, value: _V) -> _S:
        """The tree with `value` at the place.

        Args:
            value: anything; a static field takes what a constructor would.

        Raises:
            StaticValueError: the place is a static field, and the value cannot be static.
        """
        return put(self._place, value)  # type: ignore[no-any-return]

    @overload
    def apply(self, function: Callable[[_V], _V]) -> _S: ...
    @overload
    def apply(self, function: Callable[[str, Any], Any], *, with_path: Literal[True]) -> _S: ...
    def apply(self, function: Callable[..., Any], *, with_path: bool = False) -> Any:
        """The tree with `function` of the value at the place.

        Args:
            function: takes the value, returns the new one.
            with_path: whether it takes the path before the value, as `jax.tree_util.keystr` writes it.
        """
        return put(self._place, _applied(function, self._place, with_path))

    @overload
    def at(self, where: str, /) -> Ref[_S, Any]: ...
    @overload
    def at(self, where: Callable[[_V], _W], /) -> Ref[_S, _W]: ...
    def at(self, where: Any, /) -> Any:
        """A place further down.

        Args:
            where: as in `structkit.at`, from the value at this place on.
        """
        return _ref(self._tree, self._place, where)

    def paths(self) -> list[str]:
        """The path of each place, as `jax.tree_util.keystr` writes it."""
        return [written(self._place)]

    def __repr__(self) -> str:
        return f"at(<{type(self._tree).__name__}>{', '.join(self.paths())})"


class Refs(Generic[_S, _T, _V]):
    """Several places in a tree, made by `at`, in the order in which they were named.

    `get` gives a tuple and `set` takes one; `apply` is called for each.
    """

    __slots__ = ("_places", "_tree")

    def __init__(self, tree: _S, places: Sequence[Place]):
        self._tree, self._places = tree, places

    def get(self) -> _T:
        """The values at the places, a tuple."""
        values: Any = tuple([node_at(place) for place in self._places])
        return values  # type: ignore[no-any-return]

    def set(self, values: _T) -> _S:
        """The tree with each of the values at its place.

        Args:
            values: a tuple or list, as long as there are places.

        Raises:
            PlaceError: the number of values is another, a place is named twice, or one is inside another.
        """
        if not isinstance(values, (tuple, list)) or len(values) != len(self._places):
            count = f"{len(values)} values" if isinstance(values, (tuple, list)) else a_type(values)
            where = listed(map(described, self._places))
            raise PlaceError(where, f"are {len(self._places)} places, and set is given {count}", "pass a tuple")
        return put_all(self._tree, self._places, values)  # type: ignore[no-any-return]

    @overload
    def apply(self, function: Callable[[_V], _V]) -> _S: ...
    @overload
    def apply(self, function: Callable[[str, Any], Any], *, with_path: Literal[True]) -> _S: ...
    def apply(self, function: Callable[..., Any], *, with_path: bool = False) -> Any:
        """The tree with `function` of the value at each place.

        Args:
            function: takes a value, returns the new one.
            with_path: whether it takes the path before the value, as `jax.tree_util.keystr` writes it.
        """
        values = [_applied(function, place, with_path) for place in self._places]
        return put_all(self._tree, self._places, values)

    def at(self, where: str | Callable[[_V], Any], /) -> Refs[_S, tuple[Any, ...], Any]:
        """The places further down from each of these.

        Args:
            where: as in `structkit.at`, from the value at each place on.
        """
        return Refs(self._tree, [found for place in self._places for found in _places(place, where)])

    def paths(self) -> list[str]:
        """The path of each place, as `jax.tree_util.keystr` writes it."""
        return [written(place) for place in self._places]

    def __repr__(self) -> str:
        return f"at(<{type(self._tree).__name__}>{', '.join(self.paths())})"


class _Matches(Ref[_S, Any]):
    """The places that match a path with wildcards, from one place on."""

    __slots__ = ("_path",)

    def __init__(self, tree: _S, place: Place, path: str):
        super().__init__(tree, place)
        self._path = path

    def get(self) -> dict[str, Any]:
        return _matched(self._place, self._path, written(self._place))

    def set(self, value: Any) -> _S:
        values = self._by_path(value) if type(value) is dict else {}
        if not values:
            return self.apply(lambda _: value)  # type: ignore[no-any-return]
        return self.apply(lambda path, _: values[path], with_path=True)  # type: ignore[no-any-return]

    def _by_path(self, given: dict[Any, Any]) -> dict[str, Any]:
        """The values of a dict by path, for each place; none where it is no such dict, but one value for all."""
        paths = dict.fromkeys(self.paths())
        values: dict[Any, Any] = {}
        for key, value in given.items():
            path = self._written(key, paths) if isinstance(key, str) and key not in paths else key
            if path in values:
                raise PlaceError(f"tree{path}", "is named twice", "name each place once")
            values[path] = value
        if not any(path in paths or _is_path(path) for path in values):
            return {}
        for path in values:
            if path not in paths:
                what = f"does not match {path!r}{nearest(path, paths)}"
                raise PlaceError(f"path {self._path!r}", what, f"it matches {listed(paths)}")
        for path in paths:
            if path not in values:
                raise PlaceError(f"tree{path}", "has no value", f"give all {len(paths)} places one, or one to all")
        return values

    def _written(self, key: str, paths: dict[str, Any]) -> str:
        """One of the paths in the place of the same one in another form; any other key as it is."""
        try:
            path = parse(key)
            found = key if path.many else written(resolve(root(self._tree), path.segments))
        except PlaceError:
            return key
        return found if found in paths else key

    def apply(self, function: Callable[..., Any], *, with_path: bool = False) -> Any:
        start, tree = written(self._place), node_at(self._place)
        return put(self._place, visit(tree, self._path, function, with_path=with_path, nested=REFUSE, start=start))

    def at(self, where: Any, /) -> Any:
        if isinstance(where, str):
            return _ref(self._tree, self._place, _joined(self._path, where))
        return Refs(
            self._tree, [found for place in _matches(self._place, self._path) for found in _places(place, where)]
        )

    def paths(self) -> list[str]:
        return [*self.get()]


def _matched(place: Place, path: str, start: str = "") -> dict[str, Any]:
    """What matches a path from a place on, by the path from there, or by what `start` and this path are."""
    found: dict[str, Any] = {}

    def keep(path: str, value: Any) -> Any:
        found[path] = value
        return value

    visit(node_at(place), path, keep, with_path=True, nested=ALL, start=start)
    return found


def _matches(place: Place, path: str) -> list[Place]:
    return [resolve(place, parse(below).segments) for below in _matched(place, path)]


def _is_path(key: Any) -> bool:
    return isinstance(key, str) and key[:1] in (".", "[")


def _joined(path: str, further: str) -> str:
    return path + further if not further or further[0] in ".[" else f"{path}.{further}"


def _applied(function: Callable[..., Any], place: Place, with_path: bool) -> Any:
    try:
        return function(written(place), node_at(place)) if with_path else function(node_at(place))
    except Exception as error:
        add_place(error, written(place))
        raise


@overload
def at(tree: _S, where: str, /) -> Ref[_S, Any]: ...
@overload
def at(tree: _S, where: Callable[[_S], _V], /) -> Ref[_S, _V]: ...
@overload
def at(tree: _S, one: Callable[[_S], _A], two: Callable[[_S], _B], /) -> Refs[_S, tuple[_A, _B], _A | _B]: ...
@overload
def at(
    tree: _S, one: Callable[[_S], _A], two: Callable[[_S], _B], three: Callable[[_S], _C], /
) -> Refs[_S, tuple[_A, _B, _C], _A | _B | _C]: ...
@overload
def at(
    tree: _S, one: Callable[[_S], _A], two: Callable[[_S], _B], three: Callable[[_S], _C], four: Callable[[_S], _D], /
) -> Refs[_S, tuple[_A, _B, _C, _D], _A | _B | _C | _D]: ...
@overload
def at(
    tree: _S,
    one: Callable[[_S], Any],
    two: Callable[[_S], Any],
    three: Callable[[_S], Any],
    four: Callable[[_S], Any],
    five: Callable[[_S], Any],
    /,
    *more: Callable[[_S], Any],
) -> Refs[_S, tuple[Any, ...], Any]: ...
@overload
def at(tree: _S, one: str, two: str, /, *more: str) -> Refs[_S, tuple[Any, ...], Any]: ...
def at(tree: Any, /, *where: Any) -> Any:
    """A place inside `tree`, or several, of which `.get()`, `.set(v)` and `.apply(f)` make use; `.at(...)` goes on.

    Static fields and places that hold None can be pointed at too. No code of a class in the tree runs, but for the
    converter of a static field that is set: fields that `__post_init__` computes stay as they are, and no check
    runs. Where they have to, use `.replace`. What it costs grows with the length of the path, not with the tree.

    Args:
        tree: any pytree.
        *where: a function of the tree that returns the place, such as `lambda t: t.layers[0].weight`, or a tuple
            or list of places; a path, such as `"layers[0].weight"` or `"layers.0.weight"`; or several functions, or
            several paths. In a path `*` is one step through data, `**` any number of them (at the end: the leaves),
            and `[0:2]` a slice; then the places are all that match.

    Raises:
        PlaceError: there is no such place, or `where` returns something that is no place of the tree.

    Example:
        >>> from structkit import Struct, at
        >>> class Layer(Struct):
        ...     weight: float
        >>> class Model(Struct):
        ...     layers: list[Layer]
        >>> model = Model([Layer(1.0), Layer(2.0)])
        >>> at(model, lambda m: m.layers[1].weight).set(0.0)
        Model(layers=[Layer(weight=1.0), Layer(weight=0.0)])
        >>> at(model, "layers.*.weight").get()
        {'.layers[0].weight': 1.0, '.layers[1].weight': 2.0}
    """
    if isinstance(tree, type):
        raise PlaceError("tree", f"is the class {tree.__name__}, and has no places", "pass an object of it")
    start = watched(tree)
    if len(where) == 1:
        return _ref(tree, start, where[0])
    if not where:
        raise PlaceError("where", "is missing", "pass a function or a path: at(tree, lambda t: t.weight)")
    return Refs(tree, [_one(start, one) for one in where])


def _ref(tree: Any, start: Place, where: Any) -> Any:
    if isinstance(where, str):
        path = parse(where)
        return _Matches(tree, start, where) if path.many else Ref(tree, resolve(start, path.segments))
    places, several = _pointed(start, where)
    return Refs(tree, places) if several else Ref(tree, places[0])


def _one(start: Place, where: Any) -> Place:
    places = _places(start, where)
    if len(places) != 1:
        name = f"path {where!r}" if isinstance(where, str) else "where"
        raise PlaceError(name, f"is one of several and gives {len(places)} places", "let each of them give one")
    return places[0]


def _places(start: Place, where: Any) -> list[Place]:
    if isinstance(where, str):
        path = parse(where)
        return _matches(start, where) if path.many else [resolve(start, path.segments)]
    return _pointed(start, where)[0]


def _pointed(start: Place, where: Any) -> tuple[list[Place], bool]:
    """The places that a function points at, and whether it returns several together.

    Raises:
        PlaceError: it returns something else, or another place on the tree itself than on stand-ins.
    """
    if not callable(where):
        raise PlaceError("where", f"is {a_type(where)}", "pass a function or a path: lambda t: t.weight")
    tree = node_at(start)
    try:
        found: Any = where(StandIn(start))
    except PlaceError:
        raise
    except Exception as error:
        raise _raised(error, tree, where) from error
    if type(found) is StandIn:
        place, value = place_of(found), where(tree)
        # An array is hardly ever at two places.
        if value is not node_at(place) or not hasattr(value, "dtype"):
            _check(start, [place], [value], lambda tree: [where(tree)])
        return [place], False
    if type(found) not in (tuple, list) or not found or any(type(one) is not StandIn for one in found):
        raise _no_places(start, found)
    places = [place_of(one) for one in found]
    _check(start, places, where(tree), where)
    return places, True


def _raised(error: Exception, tree: Any, where: Callable[[Any], Any]) -> PlaceError:
    """The error where `where` raises on a stand-in alone; user code that fails on the tree too fails in its words."""
    try:
        where(tree)
    except Exception:
        raise error from None
    what = f"raised {type(error).__name__} on a stand-in for the tree, and not on the tree itself"
    return PlaceError("where", what, "use methods, t.weight.sum() in the place of jnp.sum(t.weight), or a path")


def _check(start: Place, places: Sequence[Place], values: Any, where: Callable[[Any], Any]) -> None:
    """Refuse places to which `where` does not lead on the tree itself.

    A stand-in cannot show `is None` or `type(x) is C`. Where another place may hold the very object, as with None and
    numbers, `where` runs once more on a tree with objects of their own in these places, which answer as the values do.
    """
    if not isinstance(values, (tuple, list)) or len(values) != len(places):
        raise _another(places[0])
    for place, value in zip(places, values):
        if value is not node_at(place) and not _same_leaves(value, node_at(place)):
            raise _another(place)
    shared = {i: node_at(place) for i, place in enumerate(places) if place is not start}
    marks = {i: StandIn(root(value)) for i, value in shared.items() if _is_shared(value)}
    if not marks:
        return
    try:
        again = where(put_all(node_at(start), [places[i] for i in marks], marks.values(), top=start, admit=False))
        differing = [i for i, mark in marks.items() if again[i] is not mark]
    except Exception:  # User code that looks at the value, and finds it odd; or a place that is named twice.
        return
    if differing:
        raise _another(places[differing[0]])


def _same_leaves(value: Any, held: Any) -> bool:
    """Whether two nodes of another library, which makes one at each access, hold the same things."""
    if type(value) in (list, tuple, dict) or kind_of(held) is LEAF or kind_of(value) is LEAF:
        return False
    ours, theirs = jax.tree.leaves(held), jax.tree.leaves(value)
    return len(ours) == len(theirs) and all(map(operator.is_, ours, theirs))


def _is_shared(held: Any) -> bool:
    """Whether another place may hold the very object."""
    if held is None or (type(held) is tuple and not held):
        return True
    return kind_of(held) is LEAF and not hasattr(held, "dtype")


def _another(place: Place) -> PlaceError:
    what = "is where `where` leads on a stand-in for the tree, and on the tree itself it leads elsewhere"
    cure = "write == None for `is None` and isinstance(x, C) for `type(x) is C`, or a path"
    return PlaceError(described(place), what, cure)


def _no_places(start: Place, found: Any) -> PlaceError:
    cure = "return one place, or a tuple of places: lambda t: t.weight"
    if type(found) in (tuple, list):
        odd = next((a_type(one) for one in found if type(one) is not StandIn), "no place")
        return PlaceError("where", f"returned {a_type(found)} with {odd}", cure)
    asked = last_asked(start)
    if asked is None or found is None or callable(found):
        return PlaceError("where", f"returned {a_type(found)}, not a place", cure)
    what = f"is a value, not a place: where returned {a_type(found)}"
    return PlaceError(asked, what, "point at the leaf and use .apply(lambda leaf: ...)")
