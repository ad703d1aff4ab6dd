"""A table of a tree: one row for each leaf, with path, type, shape, dtype, parameters and bytes."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from structkit._bridges import keystr
from structkit._trees.nodes import DEEPEST, children, too_deep
from structkit.errors import TreeError


class Row(NamedTuple):
    """One leaf of a tree in `summary`, or the leaves of one subtree."""

    path: str
    type: str
    shape: str
    dtype: str
    sharding: str
    parameters: int
    bytes: int


_TO_THE_RIGHT = ("parameters", "bytes")


def summary(tree: Any, *, depth: int | None = None) -> str:
    """A table of the leaves of `tree`: path, type of the node that holds it, shape, dtype, parameters, bytes.

    The last row has the totals. Parameters are the elements of inexact (floating or complex) leaves. Bytes count
    each element at its dtype's size, however many devices hold a copy; a Python number has the size of the array that
    JAX makes of it. Where a leaf is on more than one device, or is to be, a column has its sharding.

    Args:
        tree: any pytree of arrays, `ShapeDtypeStruct`s and numbers. Other leaves are listed without sizes.
        depth: how many levels are shown: a subtree below is one row, with its own type, the number of its leaves,
            their dtypes and the sums. None shows every leaf.

    Raises:
        TreeError: `depth` is negative.
        RecursionError: the tree holds itself.

    Example:
        >>> import jax.numpy as jnp
        >>> from structkit import Struct, summary
        >>> class Linear(Struct):
        ...     weight: jnp.ndarray
        ...     bias: jnp.ndarray
        >>> layer = Linear(jnp.ones((2, 3)), jnp.zeros(3))
        >>> print(summary(layer))
        path     type    shape   dtype    parameters  bytes
        ---------------------------------------------------
        .weight  Linear  (2, 3)  float32           6     24
        .bias    Linear  (3,)    float32           3     12
        ---------------------------------------------------
        total                                      9     36
        >>> print(summary({"layers": [layer, layer], "step": 3}, depth=1))
        path        type  shape     dtype    parameters  bytes
        ------------------------------------------------------
        ['layers']  list  4 leaves  float32          18     72
        ['step']    dict  ()        int32             0      4
        ------------------------------------------------------
        total                                        18     76
    """
    if isinstance(tree, type):
        what, cure = f"the tree is the class {tree.__name__}", "give an object of it, or what jax.eval_shape gives"
        raise TreeError("summary", what, cure)
    if depth is not None and depth < 0:
        raise TreeError("summary", f"`depth` is {depth}", "give 0 or more, or None for every leaf")
    # Asked once: JAX takes as long to answer as the rest of a row.
    numbers: dict[type, Any] = {kind: jax.numpy.result_type(kind) for kind in (bool, int, float, complex)}
    rows = [*_rows(tree, depth, numbers)]
    rows.append(Row("total", "", "", "", "", *_sums(rows)))
    shown = [name for name in Row._fields if name != "sharding" or any(row.sharding for row in rows)]
    columns = [_column(name, [getattr(row, name) for row in rows]) for name in shown]
    head, *body, last = ["  ".join(cells).rstrip() for cells in zip(*columns)]
    rule = "-" * (sum(len(column[0]) for column in columns) + 2 * len(columns) - 2)
    return "\n".join([head, rule, *body, rule, last])


def _column(name: str, values: list[Any]) -> list[str]:
    """The cells of one column with its head, all of one width."""
    if name not in _TO_THE_RIGHT:
        width = max(map(len, [name, *values]))
        return [text.ljust(width) for text in (name, *values)]
    texts = [f"{value:,}" if isinstance(value, int) else str(value) for value in values]
    width = max(map(len, [name, *texts]))
    return [text.rjust(width) for text in (name, *texts)]


def _rows(tree: Any, depth: int | None, numbers: dict[type, Any]) -> Iterator[Row]:
    """A row for each leaf, and for each subtree at `depth`, in the order of the tree, in one walk.

    Args:
        tree: the tree, or a subtree.
        depth: how many levels are shown; None shows all.
        numbers: what JAX makes of Python's numbers: type -> dtype.
    """
    waiting: list[tuple[str, int, Any, Any]] = [("", 0, tree, tree)]
    while waiting:
        path, level, holder, node = waiting.pop()
        if level > DEEPEST:
            raise too_deep("summary")
        below = children(node)
        if below is None:
            yield _row(path, type(holder).__name__, node, numbers)
        elif level == depth:
            yield from _folded(path, node, numbers)
        else:
            entered = [(path + keystr((key,)), level + 1, node, child) for key, child in zip(*below)]
            waiting.extend(reversed(entered))


def _row(path: str, holder: str, leaf: Any, numbers: dict[type, Any]) -> Row:
    shape: Any = getattr(leaf, "shape", None)
    dtype: Any = getattr(leaf, "dtype", None)
    if dtype is None:
        shape, dtype = (), next((known for kind, known in numbers.items() if isinstance(leaf, kind)), None)
    facts = _of_dtype(dtype) if isinstance(shape, tuple) else None
    if facts is None:
        return Row(path, holder, type(leaf).__name__, "", "", 0, 0)
    text, is_inexact, itemsize = facts
    size = math.prod(shape)
    return Row(path, holder, str(shape), text, _sharding(leaf), size if is_inexact else 0, size * itemsize)


@functools.cache
def _of_dtype(dtype: Any) -> tuple[str, bool, int] | None:
    """The name, whether it is inexact, and the bytes of an element; None for what is no dtype of JAX's or numpy's."""
    try:
        return str(dtype), jax.numpy.issubdtype(dtype, np.inexact), dtype.itemsize
    except (AttributeError, TypeError):
        return None


def _sharding(leaf: Any) -> str:
    """How a leaf is laid out over several devices; nothing for one device, and where it is not known."""
    sharding = getattr(leaf, "sharding", None)
    devices = getattr(sharding, "num_devices", 1)
    if devices == 1:
        return ""
    spec = getattr(sharding, "spec", None)
    return f"{type(sharding).__name__} of {devices}" if spec is None else str(spec)


def _folded(path: str, node: Any, numbers: dict[type, Any]) -> Iterator[Row]:
    """One row for all leaves of a subtree; none where it has none."""
    rows = [*_rows(node, None, numbers)]
    if rows:
        leaves = "1 leaf" if len(rows) == 1 else f"{len(rows):,} leaves"
        dtypes, shardings = (_distinct(texts) for texts in zip(*[(row.dtype, row.sharding) for row in rows]))
        yield Row(path, type(node).__name__, leaves, dtypes, shardings, *_sums(rows))


def _distinct(texts: Iterable[str]) -> str:
    return ", ".join(filter(None, dict.fromkeys(texts)))


def _sums(rows: list[Row]) -> tuple[int, int]:
    return sum(row.parameters for row in rows), sum(row.bytes for row in rows)
