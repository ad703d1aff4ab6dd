"""What is in a file, without its data."""

from __future__ import annotations

from typing import Any, NamedTuple

from structkit.state import _codec, _leaves
from structkit.state._reading import opened, read_header
from structkit.state._schema import KEY, PYTHON


class Entry(NamedTuple):
    """One leaf of a file.

    Attributes:
        path: its key path, the name of its tensor.
        origin: `jax`, `weak`, `numpy`, `scalar`, `key` or `python`.
        dtype: the true one, also where it is kept as bytes.
        shape: of the array.
        nbytes: in the file.

    Example:
        >>> from structkit import state
        >>> state.Entry(".w", "jax", "float32", (2, 3), 24).shape
        (2, 3)
    """

    path: str
    origin: str
    dtype: str
    shape: tuple[int, ...]
    nbytes: int


class Contents(NamedTuple):
    """What is in a file. As a text it is a table.

    Attributes:
        file: its name.
        root: the class of the tree, or its kind of node.
        entries: the leaves.
        statics: path -> the static value in words.
        opaque: the paths of those that were not written.
        versions: of what wrote the file.
        checksum: the algorithm.
        nbytes: of all leaves.
    """

    file: str
    root: str
    entries: tuple[Entry, ...]
    statics: dict[str, str]
    opaque: tuple[str, ...]
    versions: dict[str, str]
    checksum: str
    nbytes: int

    def __str__(self) -> str:
        by = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        count = f"{len(self.entries):,} lea{'f' if len(self.entries) == 1 else 'ves'}"
        head = [
            f"{self.file}: {self.root}, {count}, {self.nbytes:,} bytes",
            f"written by {by}; checksums {self.checksum}",
        ]
        rows: list[tuple[str, ...]] = [("path", "dtype", "shape", "bytes", "origin")]
        rows += [(e.path, e.dtype, str(e.shape), f"{e.nbytes:,}", e.origin) for e in self.entries]
        table = _table(rows)
        statics = _table([("static", "value"), *self.statics.items()]) if self.statics else []
        return "\n".join(map(_printable, [*head, "", *table, *([""] if statics else []), *statics]))


def inspect(path: Any) -> Contents:
    """What is in a file: its leaves, statics and versions, without reading its data. Printed, it is a table.

    Args:
        path: the file's name.

    Raises:
        StateError: the file cannot be read, or its header is damaged.

    Example:
        >>> import tempfile, pathlib, jax.numpy as jnp
        >>> from structkit import state
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "w.safetensors"
        >>> state.save(file, {"w": jnp.ones(3)})
        ()
        >>> state.inspect(file).entries
        (Entry(path="['w']", origin='jax', dtype='float32', shape=(3,), nbytes=12),)
    """
    with opened(path) as (file, raw, size):
        header = read_header(raw, size)
    schema = header.schema
    kinds = [schema.leaves[-1 - code] for code in schema.tree if code < 0]
    entries = [
        Entry(path, kind[0], _true_dtype(kind), _leaves.of_entry(kind).shape, stored.nbytes)
        for path, kind, stored in zip(header.paths, kinds, header.storages)
    ]
    statics = dict(schema.statics())
    first = schema.tree[0]
    root = schema.nodes[first] if first >= 0 else ["leaf"]
    return Contents(
        str(file),
        root[1] if root[0] in ("struct", "named", "other") else root[0],
        tuple(entries),
        {path: _codec.described(code) for path, code in statics.items()},
        tuple([path for path, code in statics.items() if _codec.is_opaque(code)]),
        header.versions,
        header.checksum.name,
        sum([entry.nbytes for entry in entries]),
    )


def _printable(line: str) -> str:
    """The line without what commands a terminal, which a file from elsewhere may have in its names."""
    return "".join([letter if letter.isprintable() else ascii(letter)[1:-1] for letter in line])


def _true_dtype(kind: Any) -> str:
    return f"{kind[1]} ({kind[3]})" if kind[0] == KEY else kind[1] if kind[0] != PYTHON else f"Python {kind[1]}"


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows)]
    return ["  ".join([cell.ljust(width) for cell, width in zip(row, widths)]).rstrip() for row in rows]
