"""Places in a pytree: how one is found by its path, how it is written, and how a copy with other values is made."""

from __future__ import annotations

import ast
import builtins
import functools
import itertools
import operator
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from structkit._trees.nodes import ABSENT, DICT, LEAF, SEQUENCE, Kind, StructKind, fields_of, kind_of
from structkit.errors import PlaceError, nearest

_MOST_CHILDREN = 10


# A place with the way from the root to it: the place of the node that holds it (None for the root), the key by which
# that node finds it, what is there, and the kind of this node. A plain tuple: a class would take three times as long
# to make, and `at` makes one at each step.
Place = tuple[Any, Any, Any, Kind]

key_of: Callable[[Place], Any] = operator.itemgetter(1)
node_at: Callable[[Place], Any] = operator.itemgetter(2)
kind_at: Callable[[Place], Kind] = operator.itemgetter(3)


def root(tree: Any, key: Any = None) -> Place:
    """The place of the tree itself; its key is for whoever asks."""
    return (None, key, tree, kind_of(tree))


def written(place: Place) -> str:
    """The path of a place as `jax.tree_util.keystr` writes it."""
    parts = []
    while (above := place[0]) is not None:
        parts.append(kind_at(above).text(node_at(above), key_of(place)))
        place = above
    return "".join(parts[::-1])


def put(place: Place, value: Any) -> Any:
    """A copy of the tree with another value at a place; the nodes on the way are copied, the others shared."""
    above, key, _, _ = place
    if above is not None:
        value = kind_at(above).admitted(node_at(above), key, value)
    while above is not None:
        over, key_above, node, kind = above
        value = kind.changed(node, key, value)
        above, key = over, key_above
    return value


def put_all(
    tree: Any, places: Sequence[Place], values: Iterable[Any], *, top: Place | None = None, admit: bool = True
) -> Any:
    """A copy of the tree with other values at several places.

    Args:
        tree: what is at `top`.
        places: each of them once.
        values: as many.
        top: the place from which on the copy is made; None for the root.
        admit: whether static fields take their values as in a constructor; else as they are.

    Raises:
        PlaceError: a place comes twice, or one is inside another.
    """
    changes: dict[Any, Any] = {}
    for place, value in zip(places, values):
        _enter(changes, place, top, value)
    return _changed(None, _ROOT, tree, changes[_ROOT], admit)


class _New(NamedTuple):
    """A value to put, which is told from the changes further down."""

    value: Any


_ROOT: Any = object()


def _enter(changes: dict[Any, Any], place: Place, top: Place | None, value: Any) -> None:
    *way, last = _way(place, top)
    here: Any = changes
    for key in way:
        here = here.setdefault(key, {})
        if type(here) is _New:
            raise PlaceError(described(place), "is inside another place of this call", "name one of them")
    if type(here.get(last)) is _New:
        raise PlaceError(described(place), "is named twice", "name each place once")
    if last in here:
        raise PlaceError(described(place), "holds another place of this call", "name one of them")
    here[last] = _New(value)


def _way(place: Place, top: Place | None) -> list[Any]:
    keys = []
    while place is not top and (above := place[0]) is not None:
        keys.append(key_of(place))
        place = above
    return [_ROOT, *reversed(keys)]


def _changed(above: Any, key: Any, node: Any, changes: Any, admit: bool) -> Any:
    if type(changes) is _New:
        as_it_is = key is _ROOT or not admit
        return changes.value if as_it_is else kind_of(above).admitted(above, key, changes.value)
    kind = kind_of(node)
    return _rebuilt(node, kind, {k: _changed(node, k, kind.child(node, k), c, admit) for k, c in changes.items()})


def _rebuilt(node: Any, kind: Kind, changes: dict[Any, Any]) -> Any:
    """A copy of the node with other children, by key."""
    statics = [key for key in changes if type(key) is str and isinstance(kind, StructKind)]
    for key in statics:
        node = kind.changed(node, key, changes.pop(key))
    if not changes:
        return node
    parts = kind.parts(node)
    parts = {**parts} if isinstance(parts, dict) else [*parts]
    for key, value in changes.items():
        parts[key] = value
    return kind.made(node, parts)


class Segment(NamedTuple):
    """One step of a path as it was written.

    Attributes:
        text: with its dot or its brackets.
        name: what stands behind a dot, or between the brackets.
        bracket: whether it stands between brackets.
        literal: the number or text that `name` is in Python; `ABSENT` where it is none.
        slice: for `[0:2]`, which leads to many places as `*` and `**` do.
    """

    text: str
    name: str
    bracket: bool
    literal: Any = ABSENT
    slice: builtins.slice | None = None

    @property
    def many(self) -> bool:
        """Whether it leads to many places."""
        return self.slice is not None or (self.name in (STAR, STARS) and not self.bracket)


STAR, STARS = "*", "**"
_SLICE = re.compile(r"(-?\d*):(-?\d*)(?::(-?\d*))?")
_INDEX = re.compile(r"-?\d+")


class Path(NamedTuple):
    """A path that was read.

    Attributes:
        segments: none for the root.
        many: whether one of them leads to many places.
    """

    segments: tuple[Segment, ...]
    many: bool


@functools.lru_cache(maxsize=4096)
def parse(path: str) -> Path:
    """The path that a text says.

    Raises:
        PlaceError: it is no path.
    """
    found: list[Segment] = []
    i = 0
    while i < len(path):
        if path[i] == "[":
            end = _closing(path, i)
            found.append(_bracketed(path, path[i + 1 : end]))
            i = end + 1
        else:
            start = i + (path[i] == ".")
            stop = min(k for k in (path.find(".", start), path.find("[", start), len(path)) if k >= 0)
            found.append(_dotted(path, path[start:stop]))
            i = stop
    return Path(tuple(found), any(segment.many for segment in found))


def _closing(path: str, start: int) -> int:
    """Where the bracket ends that opens at `start`; in a key, written as Python writes it, there may be others."""
    quote, depth = "", 0
    ends = [k for k in range(start, len(path)) if path[k] == "]" and path[k + 1 : k + 2] in ("", ".", "[")]
    i = start
    while i < len(path):
        if quote:
            i += path[i] == "\\"
            quote = "" if path[i : i + 1] == quote else quote
        elif path[i] in "'\"":
            quote = path[i]
        else:
            depth += {"[": 1, "]": -1}.get(path[i], 0)
            if depth <= 0 and i in ends:
                return i
        i += 1
    if not ends and "]" in path[start:]:
        raise PlaceError(f"path {path!r}", "has a name right behind a bracket", "write a dot: layers[0].weight")
    if not ends:
        raise PlaceError(f"path {path!r}", "has a bracket that does not close", "write [0] or ['key']")
    return ends[0]  # The text of a key whose quotes or brackets do not pair off.


def _bracketed(path: str, name: str) -> Segment:
    if name in (STAR, STARS):
        raise PlaceError(f"path {path!r}", f"has {name} in brackets", f"write .{name}")
    text = f"[{name}]"
    parts = _SLICE.fullmatch(name)
    if parts is not None:
        start, stop, step = (int(part) if part else None for part in parts.groups())
        if step == 0:
            raise PlaceError(f"path {path!r}", "has a slice with step 0", "leave the step out")
        return Segment(text, name, True, slice=builtins.slice(start, stop, step))
    try:
        return Segment(text, name, True, ast.literal_eval(name))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return Segment(text, name, True)


def _dotted(path: str, name: str) -> Segment:
    if not name:
        raise PlaceError(f"path {path!r}", "has an empty name", "write one between dots; an empty key is ['']")
    if "*" in name and name not in (STAR, STARS):
        raise PlaceError(f"path {path!r}", f"has {name!r}", "a * stands alone between dots: layers.*.bias")
    return Segment(f".{name}", name, False, int(name) if _INDEX.fullmatch(name) else ABSENT)


def find(place: Place, segment: Segment) -> Any:
    """The key that a segment without wildcard means in the node of a place; `ABSENT` where there is none.

    Raises:
        PlaceError: a dict has both the text and the number as keys.
    """
    _, _, node, kind = place
    if not segment.bracket:
        found = kind.attribute(node, segment.name)
        if found is not ABSENT:
            return found
    index = ABSENT if segment.literal is ABSENT else kind.item(node, segment.literal)
    text = ABSENT if segment.bracket else kind.item(node, segment.name)
    if text is not ABSENT and index is not ABSENT:
        keys = f"[{segment.name!r}] and [{segment.name}]"
        raise PlaceError(described(place) + segment.text, f"is both {keys}", "write one of them in brackets")
    if text is not ABSENT or index is not ABSENT:
        return index if text is ABSENT else text
    if kind is SEQUENCE or kind.has_fields:
        return ABSENT
    # Keys of other forms: a number that is no literal, the index in a flattened node, a plain text.
    texts = {segment.text} if segment.bracket else {segment.name, segment.text}
    return next((key for key in kind.keys(node) if kind.text(node, key) in texts), ABSENT)


def resolve(place: Place, segments: tuple[Segment, ...]) -> Place:
    """The place that a path without wildcards leads to from another place.

    Raises:
        PlaceError: there is none.
    """
    for segment in segments:
        _, _, node, kind = place
        key = kind.attribute(node, segment.name) if kind.has_fields else find(place, segment)
        if key is ABSENT:
            raise no_place(place, segment.text, segment.literal if isinstance(segment.literal, str) else segment.name)
        child = kind.child(node, key)
        place = (place, key, child, kind_of(child))
    return place


def described(place: Place) -> str:
    """The place as messages call it."""
    return "tree" + written(place)


def listed(texts: Iterable[str]) -> str:
    """The texts as messages list them: no more than the first ones."""
    first = [*itertools.islice(texts, _MOST_CHILDREN + 1)]
    return ", ".join(first[:_MOST_CHILDREN] + ["..."] * (len(first) > _MOST_CHILDREN)) or "none"


def no_place(place: Place, text: str, wanted: Any) -> PlaceError:
    """The error for a step from a place that leads nowhere, with the nearest names and what there is.

    Args:
        place: from where.
        text: the step as it is written.
        wanted: the name or key that is not there.
    """
    node = node_at(place)
    where, kind, cls = described(place) + text, kind_of(node), type(node).__name__
    if kind is LEAF or node is None:
        cure = "point at the leaf and use .apply(lambda leaf: ...)"
        return PlaceError(where, f"goes into a leaf of type {cls}", cure)
    known = names(node)
    near = nearest(str(wanted), known, "[{!r}]".format if kind is DICT else repr)
    if kind.has_fields:
        return PlaceError(where, f"is no field of {cls}{near}", f"fields: {', '.join(known)}")
    texts = (kind.text(node, key) for key in kind.keys(node))
    return PlaceError(where, f"is no child of the {cls}{near}", f"children: {listed(texts)}")


def names(node: Any) -> list[str]:
    """The names by which the children of a node can be misspelt: fields, and keys that are text."""
    kind = kind_of(node)
    if kind.has_fields:
        return [*fields_of(type(node))]
    if kind is DICT:
        return [key for key in node if isinstance(key, str)]
    texts = [] if kind is SEQUENCE else [kind.text(node, key) for key in kind.keys(node)]
    return [text.removeprefix(".") for text in texts]
