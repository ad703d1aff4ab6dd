"""A picture of a tree: its nodes as boxes of a class diagram, in the language of Mermaid."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from jax.tree_util import DictKey, GetAttrKey

from structkit._core.pretty import pformat, short_form
from structkit._trees.nodes import DEEPEST, children, fields_of, too_deep

# A picture with more could not be read, and Mermaid refuses texts of more than 50,000 characters.
_MOST_BOXES, _MOST_ROWS, _MOST_NAMES, _LONGEST = 50, 16, 3, 40


class _Entry(NamedTuple):
    """What is at some places of a tree: the text of a leaf or the number of a box, and how many times."""

    place: str
    what: str | int
    times: int


class _Box(NamedTuple):
    """A node, as it is drawn: two nodes that are drawn alike are one box."""

    title: str
    rows: tuple[str, ...]
    parts: tuple[_Entry, ...]


def diagram(tree: Any) -> str:
    """The text of a Mermaid class diagram of `tree`: a box for each class and subtree, with the shapes of its leaves.

    GitHub, GitLab, JupyterLab and MkDocs draw it in Markdown, in a code block of the language `mermaid`. Lists and
    tuples get no box: their items are at `layers[0]`. Subtrees that look alike are one box, and the line to it says
    how many there are and where. Static fields have their values. What is too much for a picture is counted.

    Args:
        tree: any pytree; the result of `jax.eval_shape` will do.

    Raises:
        RecursionError: the tree holds itself.

    Example:
        >>> import jax.numpy as jnp
        >>> from structkit import Struct, diagram, static
        >>> class Linear(Struct):
        ...     weight: jnp.ndarray
        ...     bias: jnp.ndarray
        >>> class Model(Struct):
        ...     layers: list[Linear]
        ...     name: str = static()
        >>> print(diagram(Model([Linear(jnp.ones((3, 3)), jnp.ones(3))] * 12, name="m")))
        classDiagram
            class n0["Model"] {
                name = #39;m#39;
            }
            class n1["Linear"] {
                weight f32[3,3]
                bias f32[3]
            }
            n0 *-- "12" n1 : layers[0#58;12]
    """
    boxes, root = _boxes(tree)
    numbers, order = {root: 0}, [root]
    lines, arrows = ["classDiagram"], []
    for box in order:
        left_out = 0
        for part in _merged(boxes[box].parts):
            if part.what not in numbers and len(order) < _MOST_BOXES:
                numbers[part.what] = len(order)
                order.append(part.what)
            if part.what in numbers:
                many = f'"{part.times:,}" ' if part.times > 1 else ""
                arrows.append(f"    n{numbers[box]} *-- {many}n{numbers[part.what]} : {_escaped(part.place)}")
            else:
                left_out += part.times
        lines += _drawn(numbers[box], boxes[box], left_out)
    return "\n".join([*lines, *arrows])


def _drawn(number: int, box: _Box, left_out: int) -> Iterator[str]:
    """The lines of a box, with the number of subtrees that are not drawn."""
    rows = [*box.rows[:_MOST_ROWS]]
    if len(box.rows) > _MOST_ROWS:
        rows.append(f"and {len(box.rows) - _MOST_ROWS:,} more")
    if left_out:
        rows.append(f"and {left_out:,} more below")
    yield f'    class n{number}["{_escaped(box.title)}"]' + (" {" if rows else "")
    yield from [f"        {_escaped(row)}" for row in rows]
    if rows:
        yield "    }"


def _merged(parts: tuple[_Entry, ...]) -> Iterator[Any]:
    """One entry for all the places that have the same box."""
    by_box: dict[Any, list[_Entry]] = {}
    for part in parts:
        by_box.setdefault(part.what, []).append(part)
    for box, same in by_box.items():
        names = [part.place for part in same[:_MOST_NAMES]]
        if len(same) > _MOST_NAMES:
            names.append(f"and {len(same) - _MOST_NAMES:,} more")
        yield _Entry(", ".join(names), box, sum(part.times for part in same))


class _Level:
    """A node whose children are being looked at."""

    def __init__(self, node: Any, below: tuple[Iterable[Any], Iterable[Any]]):
        self.node = node
        self.keys, self.waiting = below[0], iter(below[1])
        self.done: list[tuple[_Entry, ...]] = []


_END = object()


def _boxes(tree: Any) -> tuple[list[_Box], int]:
    """The different boxes of a tree, and the number of the one that stands for all of it, in one walk."""
    numbers: dict[_Box, int] = {}
    below = children(tree)
    if below is None:
        return [_Box(_leaf_text(tree), (), ())], 0
    levels = [_Level(tree, below)]
    while True:
        level = levels[-1]
        child = next(level.waiting, _END)
        if child is _END:
            levels.pop()
            if not levels:
                root = numbers.setdefault(_box(level), len(numbers))
                return [*numbers], root
            levels[-1].done.append(_entries(level, numbers))
        elif (below := children(child)) is None:
            level.done.append((_Entry("", _leaf_text(child), 1),))
        elif len(levels) > DEEPEST:
            raise too_deep("diagram")
        else:
            levels.append(_Level(child, below))


def _entries(level: _Level, numbers: dict[_Box, int]) -> tuple[_Entry, ...]:
    """What the holder of a finished node shows of it."""
    kind = type(level.node)
    if not level.done and kind in (list, tuple, dict, type(None)):
        return (_Entry("", repr(level.node), 1),)
    if kind is list or kind is tuple:
        return tuple(_of_items(level.done))
    return (_Entry("", numbers.setdefault(_box(level), len(numbers)), 1),)


def _of_items(done: list[tuple[_Entry, ...]]) -> Iterator[_Entry]:
    """The entries of the items of a list or a tuple, those that are alike and follow each other as one."""
    start = 0
    for stop in range(1, len(done) + 1):
        if stop == len(done) or done[stop] != done[start]:
            index = f"[{start}]" if stop == start + 1 else f"[{start}:{stop}]"
            for place, what, times in done[start]:
                yield _Entry(index + place, what, times * (stop - start))
            start = stop


def _box(level: _Level) -> _Box:
    """The box of a finished node."""
    rows, parts = [], []
    for name, entries in _named(level):
        if isinstance(entries, str):
            rows.append(f"{_cut(name)} = {_cut(entries)}")
            continue
        for place, what, times in entries:
            if isinstance(what, str):
                rows.append(f"{_cut(name + place)} {_cut(what)}")
            else:
                parts.append(_Entry(_cut(name + place), what, times))
    return _Box(_cut(type(level.node).__name__), tuple(rows), tuple(parts))


def _named(level: _Level) -> Iterator[tuple[str, Any]]:
    """The names of the fields with their entries, or the texts of static ones, in order; the keys of other nodes."""
    fields = fields_of(type(level.node))
    if not fields:
        if type(level.node) in (list, tuple):
            yield from [("", (entry,)) for entry in _of_items(level.done)]
        else:
            yield from zip(map(_key_text, level.keys), level.done)
    done = iter(level.done)
    for name, f in fields.items():
        if not f.static:
            yield name, next(done)
        elif f.repr:
            yield name, _static_text(getattr(level.node, name, None))


def _key_text(key: Any) -> str:
    if isinstance(key, GetAttrKey):
        return str(key.name)
    if isinstance(key, DictKey):
        plain = isinstance(key.key, str) and key.key.isprintable() and key.key.strip() == key.key != ""
        return key.key if plain else repr(key.key)
    return str(key)


def _leaf_text(leaf: Any) -> str:
    if isinstance(getattr(leaf, "shape", None), tuple) and hasattr(leaf, "dtype"):
        return short_form(leaf, None)
    name = getattr(leaf, "__name__", None) if callable(leaf) else None
    return name if isinstance(name, str) else type(leaf).__name__


def _static_text(value: Any) -> str:
    try:
        return " ".join(pformat(value, width=1000).split())
    except Exception:
        return f"<{type(value).__name__}>"


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


# What has a meaning for Mermaid, or for Markdown, which it finds in texts: a sign of visibility or the number of a list
# at the beginning, emphasis at the edge of a word, and most signs anywhere.
_SPECIAL = re.compile(r"^[^\w\[]|^\d|_(?![^\W_])|(?<![^\W_])_|[^\w .,=\[\]-]")


def _escaped(text: str) -> str:
    """The text with what has a meaning for Mermaid as `#34;`."""
    return _SPECIAL.sub(lambda found: f"#{ord(found[0])};", text)
