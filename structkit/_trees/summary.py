"""A table of a tree: one row for each leaf, with path, type, shape, dtype, parameters and bytes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from structkit._bridges import keystr
from structkit._trees.nodes import children


class Row(NamedTuple):
    """One leaf of a tree in `summary`."""

    path: str
    type: str
    shape: str
    dtype: str
    parameters: int
    bytes: int


_HEAD = ("path", "type", "shape", "dtype", "parameters", "bytes")
_TO_THE_RIGHT = 4
_DEEPEST = 2000


def summary(tree: Any) -> str:
    """A table of the leaves of `tree`: path, type of the node that holds it, shape, dtype, parameters, bytes.

    The last row has the totals. Parameters are the elements of inexact (floating or complex) leaves. Bytes count
    each element at its dtype's size; a Python number has the size of the array that JAX makes of it.

    Args:
        tree: any pytree of arrays, `ShapeDtypeStruct`s and numbers. Other leaves are listed without sizes.

    Example:
        >>> import jax.numpy as jnp
        >>> from structkit import Struct, summary
        >>> class Linear(Struct):
        ...     weight: jnp.ndarray
        ...     bias: jnp.ndarray
        >>> print(summary(Linear(jnp.ones((2, 3)), jnp.zeros(3))))
        path     type    shape   dtype    parameters  bytes
        ---------------------------------------------------
        .weight  Linear  (2, 3)  float32           6     24
        .bias    Linear  (3,)    float32           3     12
        ---------------------------------------------------
        total                                      9     36
    """
    rows = [*_rows(tree)]
    total = Row("total", "", "", "", sum(row.parameters for row in rows), sum(row.bytes for row in rows))
    cells = [_cells(row) for row in (*rows, total)]
    widths = [max(map(len, column)) for column in zip(_HEAD, *cells)]
    *body, last = [_line(row, widths) for row in cells]
    rule = "-" * (sum(widths) + 2 * len(widths) - 2)
    return "\n".join([_line(_HEAD, widths), rule, *body, rule, last])


def _rows(tree: Any) -> Iterator[Row]:
    """A row for each leaf, in the order of the tree, in one walk."""
    waiting: list[tuple[tuple[Any, ...], Any, Any]] = [((), tree, tree)]
    while waiting:
        path, holder, node = waiting.pop()
        if len(path) > _DEEPEST:
            raise RecursionError(f"summary: the tree is more than {_DEEPEST} levels deep, or holds itself")
        level = children(node)
        if level is None:
            yield _row(keystr(path), type(holder).__name__, node)
        else:
            waiting.extend([((*path, key), node, child) for key, child in zip(*level)][::-1])


def _row(where: str, holder: str, leaf: Any) -> Row:
    if isinstance(leaf, bool | int | float | complex):
        leaf = jax.ShapeDtypeStruct((), jax.numpy.result_type(leaf))  # type: ignore[no-untyped-call]  # JAX's
    shape: tuple[Any, ...] | None = getattr(leaf, "shape", None)
    dtype = getattr(leaf, "dtype", None)
    if not isinstance(shape, tuple) or dtype is None:
        return Row(where, holder, type(leaf).__name__, "", 0, 0)
    size = math.prod(shape)
    counted = size if jax.numpy.issubdtype(dtype, np.inexact) else 0
    return Row(where, holder, str(shape), str(dtype), counted, size * dtype.itemsize)


def _cells(row: Row) -> tuple[str, ...]:
    return (row.path, row.type, row.shape, row.dtype, f"{row.parameters:,}", f"{row.bytes:,}")


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    left = [cell.ljust(width) for cell, width in zip(cells[:_TO_THE_RIGHT], widths)]
    right = [cell.rjust(width) for cell, width in zip(cells[_TO_THE_RIGHT:], widths[_TO_THE_RIGHT:])]
    return "  ".join([*left, *right]).rstrip()
