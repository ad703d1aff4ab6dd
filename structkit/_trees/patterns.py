"""Paths with wildcards: which places of a tree match one, and what becomes of them.

A path is an automaton: a state is the set of segments that a node's children may match next, and each state keeps
what it leads to for the classes that it has met, since all objects of a class have the same fields.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax

from structkit._trees.nodes import ABSENT, DATACLASS, LEAF, Kind, fields_of, kind_of
from structkit._trees.paths import STARS, Segment, described, find, names, parse, resolve, root
from structkit.errors import PlaceError, nearest

_MOST_NODES = 10_000


class State:
    """What may match below a node.

    Attributes:
        segments: those of the path.
        positions: the segments that may match next; `len(segments)` where the node itself matches.
        matches: whether the node itself is a match.
        leaves: whether the leaves under the node are, as after a last `**`.
        below: the state of what may match below, the node itself left out; None where nothing may.
    """

    __slots__ = ("_by_kind", "_made", "below", "leaves", "matches", "positions", "segments")

    def __init__(self, segments: tuple[Segment, ...], positions: frozenset[int], made: dict[frozenset[int], State]):
        self.segments, self.positions, self._made = segments, positions, made
        self._by_kind: dict[Kind, tuple[_Steps, _Steps]] = {}
        made[positions] = self
        end = len(segments)
        self.matches = end in positions
        self.leaves = end - 1 in positions and segments[-1].many and segments[-1].name == STARS
        rest = positions - {end}
        self.below: State | None = self if rest == positions else (self._of(rest) if rest else None)

    def steps(self, node: Any, kind: Kind) -> tuple[Iterable[tuple[Any, State]], _Steps]:
        """The keys of the children on a way to a match, each with its state; and those of static fields."""
        if kind.has_fields:
            return self._by_kind.get(kind) or self._fields(node, kind)
        return ([] if kind is LEAF else self._looked_up(node, kind)), []

    def _fields(self, node: Any, kind: Kind) -> tuple[_Steps, _Steps]:
        data: _Steps = []
        statics: _Steps = []
        keys = {*kind.keys(node)}
        for name in fields_of(type(node)):
            key = kind.attribute(node, name)
            hit = frozenset(i for i in self.positions if i < len(self.segments) and self.segments[i].text == f".{name}")
            after = self._after(key in keys, hit)
            if after is not _NOWHERE:
                (data if key in keys else statics).append((key, after))
        if kind is not DATACLASS:
            self._by_kind[kind] = data, statics
        return data, statics

    def _looked_up(self, node: Any, kind: Kind) -> Iterable[tuple[Any, State]]:
        """The same for nodes whose keys are found at each object."""
        hits: dict[Any, set[int]] = {}
        for i in self.positions:
            if i < len(self.segments):
                for key in _hits(node, self.segments[i]):
                    hits.setdefault(key, set()).add(i)
        others = self._after(True, frozenset())
        if not hits:
            return () if others is _NOWHERE else zip(kind.keys(node), itertools.repeat(others))
        found = [(key, self._after(True, frozenset(hits[key])) if key in hits else others) for key in kind.keys(node)]
        return [(key, after) for key, after in found if after is not _NOWHERE]

    def _after(self, data: bool, hit: frozenset[int]) -> State:
        """The state after a step to a child: data or static, which the segments `hit` match by name."""
        positions = {i + 1 for i in hit}
        for i in self.positions if data else ():
            if i < len(self.segments) and self.segments[i].many and self.segments[i].slice is None:
                positions.add(i if self.segments[i].name == STARS else i + 1)
        return self._of(_closed(self.segments, positions)) if positions else _NOWHERE

    def _of(self, positions: frozenset[int]) -> State:
        return self._made.get(positions) or State(self.segments, positions, self._made)


_Steps = list[tuple[Any, State]]
_NOWHERE: Any = State((), frozenset(), {})


def _closed(segments: tuple[Segment, ...], positions: set[int]) -> frozenset[int]:
    """With what follows a `**` that matches no step at all; not after a last one, which means the leaves."""
    found = set(positions)
    for i in sorted(positions):
        while i < len(segments) - 1 and segments[i].many and segments[i].name == STARS:
            i += 1
            found.add(i)
    return frozenset(found)


def _hits(node: Any, segment: Segment) -> Iterator[Any]:
    if segment.slice is not None:
        if isinstance(node, (list, tuple)):
            yield from range(*segment.slice.indices(len(node)))
    elif not segment.many:
        key = find(root(node), segment)
        if key is not ABSENT:
            yield key


@functools.lru_cache(maxsize=4096)
def pattern(path: str) -> State:
    """The state at the root for a path with wildcards."""
    segments = parse(path).segments
    return State(segments, _closed(segments, {0}), {})


REFUSE, ALL = "refuse", "all"
"""What to do with a match inside a match: refuse it, or visit it too."""


def visit(tree: Any, path: str, change: Callable[..., Any], *, with_path: bool, nested: str, start: str = "") -> Any:
    """A copy of the tree with `change` of each match in its place, in the order of the tree.

    A node under which nothing changes is kept as it is.

    Args:
        tree: any pytree.
        path: with wildcards.
        change: takes what is at a place, or its path and what is there; what it returns takes its place.
        with_path: whether it takes the path.
        nested: what to do with a match inside a match.
        start: the path of the tree itself, where it is a part of another.

    Raises:
        PlaceError: nothing matches, or a match is inside another where that is refused.
    """
    walk = _Walk(change, with_path, nested)
    try:
        changed = walk.at(tree, pattern(path), start)
    except _Nested as error:
        if not error.args:
            # Once more, for the paths.
            return visit(tree, path, lambda _, node: node, with_path=True, nested=nested, start=start)
        inner, what = error.args
        raise PlaceError(inner, what, "write a path of which no match is inside another") from None
    except Exception as error:
        add_place(error, start + "".join(reversed(walk.way)))
        raise
    if not walk.found:
        raise _no_match(tree, path)
    return changed


def add_place(error: Exception, path: str) -> None:
    """Have the error of a function of the user's say where it was raised."""
    if not isinstance(error, RecursionError):  # The path would be as deep.
        error.add_note(f"at(tree, where): this was raised for tree{path}")


class _Nested(Exception):
    """A match inside a match, with the paths of both where they are known."""


class _Walk:
    """One walk over a tree; `way` is the path, from its end on, to where an exception was raised."""

    def __init__(self, change: Callable[..., Any], with_path: bool, nested: str):
        self.change, self.with_path, self.nested, self.found = change, with_path, nested, False
        self.way: list[str] = []

    def at(self, node: Any, state: State, path: str) -> Any:
        """What becomes of a node in this state."""
        matches = state.matches or (state.leaves and kind_of(node) is LEAF)
        changed = self._match(node, state, path) if matches else node
        if state.below is not None and (self.nested == ALL or not matches):
            changed = self._under(changed, state.below, path)
        return changed

    def _match(self, node: Any, state: State, path: str) -> Any:
        """What becomes of a match, before what is under it."""
        self.found = True
        if self.nested == REFUSE and state.below is not None:
            _Walk(functools.partial(self._refuse, path), True, ALL)._under(node, state.below, path)
        return self.change(path, node) if self.with_path else self.change(node)

    def _refuse(self, path: str, below: str, _: Any) -> Any:
        raise _Nested(f"tree{below}", f"is inside tree{path}, which matches too") if self.with_path else _Nested

    def _under(self, node: Any, state: State, path: str) -> Any:
        kind, change, with_path = kind_of(node), self.change, self.with_path
        steps, statics = state.steps(node, kind)
        parts, edited, below = kind.parts(node), None, ""
        key: Any = None
        try:
            for key, after in steps:
                child = parts[key]
                if with_path:
                    below = path + kind.text(node, key)
                leaf = kind_of(child) is LEAF
                if (after.matches and (leaf or after.below is None)) or (leaf and after.leaves):
                    self.found = True
                    changed = change(below, child) if with_path else change(child)
                elif leaf:
                    continue
                else:
                    # As `at`, which would take another frame for each level of a deep tree.
                    changed = self._match(child, after, below) if after.matches else child
                    if after.below is not None and (self.nested == ALL or not after.matches):
                        changed = self._under(changed, after.below, below)
                if changed is not child:
                    if edited is None:
                        edited = {**parts} if type(parts) is dict else [*parts]
                    edited[key] = changed
        except Exception:
            self.way.append(kind.text(node, key))
            raise
        made = node if edited is None else kind.made(node, edited)
        return self._in_statics(made, kind, statics, path) if statics else made

    def _in_statics(self, node: Any, kind: Kind, statics: _Steps, path: str) -> Any:
        for key, after in statics:
            child = kind.child(node, key)
            try:
                changed = self.at(child, after, path + kind.text(node, key))
                if changed is not child:
                    node = kind.changed(node, key, kind.admitted(node, key, changed) if after.matches else changed)
            except Exception:
                self.way.append(kind.text(node, key))
                raise
        return node


def _no_match(tree: Any, path: str) -> PlaceError:
    segments, many = parse(path)
    if not many:
        place = resolve(root(tree), segments)  # Which says where it is not.
        return PlaceError(described(place), "is static: no leaves are there", "name a place that holds data")
    known = [*itertools.islice(_all_names(tree), _MOST_NODES)]
    near = ""
    for segment in segments:
        if not segment.many and not segment.bracket and segment.name not in known:
            near = near or nearest(segment.name, known)
    return PlaceError(f"path {path!r}", f"matches nothing{near}", "`*` is one step through data, `**` any number")


def _all_names(tree: Any) -> Iterator[str]:
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        kind = kind_of(node)
        yield from names(node)
        waiting.extend(kind.child(node, key) for key in kind.keys(node))


def leaf_mask(tree: Any, path: str) -> list[bool]:
    """For each leaf in JAX's order, whether it is at or under a place that matches.

    Args:
        tree: any pytree.
        path: with or without wildcards.

    Raises:
        PlaceError: nothing matches.
    """
    mask: list[bool] = []
    if not _mark(tree, pattern(path), mask):
        raise _no_match(tree, path)
    return mask


def _mark(node: Any, state: State, mask: list[bool]) -> bool:
    """Add what `leaf_mask` says of each leaf under a node in this state; whether anything matched, a leaf or not."""
    kind = kind_of(node)
    if kind is LEAF or state.matches:
        found = state.matches or state.leaves
        _mark_all(node, found, mask)
        return found
    found, parts, steps = False, kind.parts(node), dict(state.steps(node, kind)[0])
    for key in kind.keys(node):
        child, after = parts[key], steps.get(key)
        if kind_of(child) is LEAF:
            # As `_mark`, whose call takes a third of the time.
            mask.append(after is not None and (after.matches or after.leaves))
            found = found or mask[-1]
        elif after is None:
            _mark_all(child, False, mask)
        elif _mark(child, after, mask):
            found = True
    return found


def _mark_all(node: Any, said: bool, mask: list[bool]) -> None:
    mask.extend([said] * jax.tree.structure(node).num_leaves)
