"""The differences of two trees as objects, and the text of each."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import MISSING
from typing import Any, Literal

import jax
import numpy as np

from structkit._core.pretty import pformat

Kind = Literal["structure", "class", "static", "shape", "dtype", "weak type", "sharding", "value"]

_MOST_LINES = 100


@dataclasses.dataclass(frozen=True, eq=False, repr=False, slots=True)
class Difference:
    """One difference of two trees, at one place.

    Attributes:
        path: the place, as `jax.tree_util.keystr` writes it; that of a static field likewise.
        kind: what differs: `"structure"`, an item that only one tree has, or a leaf (or None) where the other has a
            node; `"class"`, of two nodes, or of an array or number and another leaf; `"static"`, a static
            field, or what else a node has besides its children; of two arrays or numbers the `"shape"`, `"dtype"`,
            `"weak type"` or `"sharding"`; of two leaves the `"value"`.
        a: what the first tree has there: the shape, the class, the static value; for `"value"` the leaf itself,
            and `dataclasses.MISSING` for an item that it has not.
        b: the same of the second tree.
        retraces: whether `jax.jit` traces (or compiles) again when it is called with the second in place of the first.
        unequal: for `"value"`, how many elements differ.
        size: of how many.
        absolute: the largest absolute difference of two numbers, or None.
        relative: the largest difference relative to the number in the second tree, or None.
        nans: how many elements are NaN in one tree only.
        why: for `"value"`, why two leaves cannot be compared, or `""`.

    Example:
        >>> import numpy as np
        >>> from structkit import diff
        >>> (found,) = diff({"w": np.array([1.0, 2.0])}, {"w": np.array([1.0, 4.0])})
        >>> found.path, found.kind, found.unequal, found.size, found.absolute, found.relative
        ("['w']", 'value', 1, 2, 2.0, 0.5)
    """

    path: str
    kind: Kind
    a: Any
    b: Any
    retraces: bool = True
    unequal: int = 0
    size: int = 0
    absolute: float | None = None
    relative: float | None = None
    nans: int = 0
    why: str = ""

    def __str__(self) -> str:
        return f"{self.path or 'the tree'}: {self.kind}: {_text_of(self)}"

    def __repr__(self) -> str:
        return f"<Difference {self}>"


class Differences(tuple[Difference, ...]):
    """What `diff` gives: the differences of two trees in the order of the tree; empty, and false, where there are none.

    `str` of it is a report with a line for each, cut after the first 100.

    Attributes:
        uncompared: how many leaves have no values to compare: tracers and `ShapeDtypeStruct`s.

    Example:
        >>> from structkit import diff
        >>> bool(diff({"a": 1}, {"a": 1})), len(diff({"a": 1}, {"a": 2, "b": 3}))
        (False, 2)
    """

    uncompared: int = 0

    @property
    def retraces(self) -> Differences:
        """Those for which `jax.jit` traces or compiles again."""
        return Differences(difference for difference in self if difference.retraces)

    def __str__(self) -> str:
        return "\n".join(_report(self))

    def __repr__(self) -> str:
        return f"<Differences: {self}>"


def _report(differences: Differences) -> Iterator[str]:
    count, without = len(differences), differences.uncompared
    leaves = "1 leaf" if without == 1 else f"{without:,} leaves"
    more = f" ({leaves} without values to compare: tracers or ShapeDtypeStructs)" if without else ""
    if not differences:
        yield f"no differences{more}"
        return
    yield f"{count:,} {'difference' if count == 1 else 'differences'}{more}:"
    yield from map(str, differences[:_MOST_LINES])
    if count > _MOST_LINES:
        yield f"... and {count - _MOST_LINES:,} more"


def _text_of(difference: Difference) -> str:
    a, b = difference.a, difference.b
    if a is MISSING or b is MISSING:
        return f"only in b: {_short(b)}" if a is MISSING else f"only in a: {_short(a)}"
    if difference.why:
        return f"not compared: {difference.why}"
    if difference.absolute is not None:
        return _text_of_numbers(difference)
    if difference.kind == "value" and isinstance(a, jax.Array | np.ndarray):
        return f"{difference.unequal:,} of {difference.size:,} elements differ"
    return " against ".join(_told_apart(a, b))


def _text_of_numbers(difference: Difference) -> str:
    a, b, unequal, nans = difference.a, difference.b, difference.unequal, difference.nans
    distance = f"by {_number(difference.absolute)}", f"relative: {_number(difference.relative)}"
    if not np.ndim(a):
        return f"{_scalar(a)} against {_scalar(b)}" + (f" ({', '.join(distance)})" if not nans else "")
    text = f"{unequal:,} of {difference.size:,} elements differ"
    if nans:
        text += f", {nans:,} of them NaN in one only"
    return text if nans == unequal else f"{text}, {distance[0]} at most ({distance[1]})"


def _number(value: Any) -> str:
    try:
        return f"{value:.4g}"
    except OverflowError:
        return _short(value)


def _scalar(leaf: Any) -> str:
    return _cut(str, leaf if isinstance(leaf, bool | int | float | complex) else np.asarray(leaf)[()])


_LONGEST, _LONGEST_ALIKE = 60, 300


def _short(value: Any) -> str:
    """A value in one short line."""
    if isinstance(value, np.dtype):
        return str(value)
    if isinstance(value, jax.sharding.NamedSharding):
        return f"{value.spec} on {dict(value.mesh.shape)}"
    return _cut(pformat, value)


def _cut(show: Any, value: Any, longest: int = _LONGEST) -> str:
    try:
        text = " ".join(str(show(value)).split())
    except Exception:
        text = f"<{type(value).__name__}>"
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def _told_apart(a: Any, b: Any) -> tuple[str, str]:
    """Two values in texts that differ, if there are such."""
    for show in (_short, _long, _with_type):
        texts = show(a), show(b)
        if texts[0] != texts[1]:
            return texts
    return texts[0], f"another {texts[1]}"


def _long(value: Any) -> str:
    return f"{value.__module__}.{value.__qualname__}" if isinstance(value, type) else _cut(repr, value, _LONGEST_ALIKE)


def _with_type(value: Any) -> str:
    return _long(value) if isinstance(value, type) else f"{_cut(repr, value)} ({_long(type(value))})"
