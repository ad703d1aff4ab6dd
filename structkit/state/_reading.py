"""Reading a file into a target: nothing is unpickled, nothing is mapped, nothing is larger than what is in the file."""

from __future__ import annotations

import io
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar, overload

import jax

from structkit.errors import StateError, StructError
from structkit.state import _codec, _header, _leaves
from structkit.state._arrays import Reader
from structkit.state._collector import collector_off
from structkit.state._header import RESTORE, FaultError, Header
from structkit.state._matching import Difference, Matcher, Slot
from structkit.state._schema import RefusedAt, Schema, describe
from structkit.state._sources import FileSource
from structkit.state._writing import Progress, file_of

_T = TypeVar("_T")


@overload
def load(path: Any, like: type[_T], strict: Literal[True] = True, *, progress: Progress | None = None) -> _T: ...
@overload
def load(path: Any, like: _T, strict: Literal[True] = True, *, progress: Progress | None = None) -> _T: ...
@overload
def load(
    path: Any, like: type[_T], strict: Literal[False], *, progress: Progress | None = None
) -> tuple[_T, tuple[Difference, ...]]: ...
@overload
def load(
    path: Any, like: _T, strict: Literal[False], *, progress: Progress | None = None
) -> tuple[_T, tuple[Difference, ...]]: ...
def load(path: Any, like: Any, strict: bool = True, *, progress: Progress | None = None) -> Any:
    """The tree that is in a file, in the form of `like`.

    What the file holds comes back: arrays of JAX and of numpy, numbers of Python, random keys. A field that was added
    since takes the default of its class, one that was renamed is found by its aliases. A 0-d array and a number of
    Python of one kind fit each other.

    Args:
        path: the file's name.
        like: a tree with the same structure: of arrays, also deleted ones, or what `jax.eval_shape` gives. Where its
            arrays say how they are sharded, so is what comes back, and where they are numpy's. Or a class: then the
            file decides statics, shapes and lengths, and classes of structs are found by name among the loaded ones.
        strict: whether a difference is an error. If not, what fits is taken, the rest is as in `like`, and the
            differences are given back too.
        progress: called now and then with the bytes that are read, and with all that will be.

    Returns:
        The tree; with `strict=False` the tree and a tuple of the differences.

    Raises:
        StateError: the file cannot be read or is damaged, or it does not fit `like`.

    Example:
        >>> import tempfile, pathlib, jax, jax.numpy as jnp
        >>> from structkit import Struct, field, state
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "model.safetensors"
        >>> state.save(file, {"w": jnp.ones(3), "step": 7})
        ()
        >>> state.load(file, {"w": jax.ShapeDtypeStruct((3,), jnp.float32), "step": 0})["step"]
        7
        >>> tree, differences = state.load(file, {"w": jnp.ones(4), "step": 0}, strict=False)
        >>> print(*differences)
        ['w']: shape: float32[3] was saved, the target has float32[4]
    """
    with collector_off(), opened(path) as (file, raw, size):
        header = read_header(raw, size)
        plan = planned(header.schema, like)
        if plan.differences and (strict or plan.lacking):
            raise misfit(file, plan)
        # In a trace what is read is a constant; and whoever loads means the transfers to the device.
        with jax.ensure_compile_time_eval(), jax.transfer_guard("allow"):
            values = Reader(raw, header, progress).read(plan.slots)
        for place, value in values.items():
            plan.leaves[place] = value
        tree = jax.tree.unflatten(plan.treedef, plan.leaves)
    return tree if strict else (tree, tuple(plan.differences))


def misfit(where: Any, found: Plan | Matcher) -> StateError:
    """The error for differences."""
    differences = found.differences
    cure = "change the target" if found.lacking else "change the target, or take what fits with strict=False"
    if found.cure:
        cure = found.cure
    elif any(one.kind == "missing" and re.search(r"\.\w+$", one.path) for one in differences):
        cure += "; a field that was renamed says aliases=('old_name',), an added one has a default"
    count = "" if len(differences) == 1 else f" in {len(differences)} places"
    return StateError(str(where), f"does not fit the target{count}", cure, tuple(differences))


@contextmanager
def opened(path: Any) -> Iterator[tuple[Path, Any, int]]:
    """A file to read, with its size; every fault in it becomes the error of this library, with its name."""
    file = file_of(path)
    try:
        # A pipe would be waited for.
        descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with io.FileIO(descriptor) as raw:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise FaultError("is no ordinary file", "name a file that state.save has written")
            yield file, raw, found.st_size
    except FaultError as fault:
        raise fault.at(file) from None
    except OSError as error:
        if isinstance(error, IsADirectoryError):
            raise StateError(str(file), "is a folder", "name a file that state.save has written") from None
        cure = "check the name" if isinstance(error, FileNotFoundError) else "see to the disk and to its rights"
        raise StateError(str(file), f"cannot be read: {error.strerror or error}", cure) from error
    except StateError:
        raise
    except StructError as error:
        raise StateError(str(file), f"holds what no struct can: {error}", RESTORE) from error


def read_header(raw: Any, size: int) -> Header:
    """The header of an open file.

    Raises:
        FaultError: it is none, or damaged.
    """
    length = int.from_bytes(_exactly(raw, 8, size), "little")
    if not 2 <= length <= _header.MOST or 8 + length > size:
        raise FaultError("is no file of structkit.state, or is cut off", RESTORE)
    raw.seek(0)
    return _header.read(_exactly(raw, 8 + length, size), size)


def _exactly(raw: Any, count: int, size: int) -> bytes:
    if count > size:
        raise FaultError("is no file of structkit.state, or is cut off", RESTORE)
    data = bytearray(count)
    view = memoryview(data)
    while view:
        got = raw.readinto(view)
        if not got:
            raise FaultError("is cut off", RESTORE)
        view = view[got:]
    return bytes(data)


class Plan(NamedTuple):
    """What is to be read, and where it goes.

    Attributes:
        slots: place among the leaves -> what is to be read.
        leaves: of the tree that is made.
        treedef: its structure.
        differences: what does not fit.
        lacking: whether nothing can be made of it.
        cure: of a `Matcher`.
    """

    slots: dict[int, Slot]
    leaves: list[Any]
    treedef: Any
    differences: list[Difference]
    lacking: bool
    cure: str = ""


def planned(saved: Schema, like: Any) -> Plan:
    """What of a tree that was saved goes where in a target.

    Raises:
        FaultError: it is nested too deeply.
    """
    return _quick(saved, like) or _compared(saved, like)


def _quick(saved: Schema, like: Any) -> Plan | None:
    """The plan for a target of the very structure of the file, which is compared kind by kind; None for any other."""
    try:
        described = describe(like)
    except RefusedAt:
        return None
    mine = described.schema
    if len(mine.nodes) != len(saved.nodes) or not all(map(_same_node, saved.nodes, mine.nodes)):
        return None
    if [max(code, -1) for code in mine.tree] != [max(code, -1) for code in saved.tree]:
        return None
    pairs = {*zip([c for c in saved.tree if c < 0], [c for c in mine.tree if c < 0])}
    if any(_misfits(saved.leaves[-1 - one], mine.leaves[-1 - other]) for one, other in pairs):
        return None
    leaves, treedef = jax.tree.flatten(like)
    return Plan({i: Slot(i, leaf) for i, leaf in enumerate(leaves)}, leaves, treedef, [], False)


def _same_node(saved: Any, mine: Any) -> bool:
    kind = saved[0]
    if kind not in ("struct", "named", "other"):
        return bool(saved == mine) and str(saved) == str(mine)
    if kind != mine[0] or saved[2] != mine[2]:
        return False
    if kind != "struct":
        return True
    statics, others = saved[3], mine[3]
    return statics.keys() == others.keys() and all(
        [_codec.is_opaque(code) or _codec.alike(code, others[name]) for name, code in statics.items()]
    )


def _misfits(saved: Any, mine: Any) -> str:
    return _leaves.difference(_leaves.of_entry(saved), _leaves.of_entry(mine))


def _compared(saved: Schema, like: Any) -> Plan:
    """The plan for any target, from a comparison of node by node."""
    matcher = Matcher()
    try:
        template = matcher.fit(like, source_of(saved), "")
    except RecursionError:
        raise FaultError("is nested too deeply to be compared", "load it with a target of the same structure") from None
    leaves, treedef = jax.tree.flatten(template)
    slots = {i: leaf for i, leaf in enumerate(leaves) if type(leaf) is Slot}
    return Plan(slots, leaves, treedef, matcher.differences, matcher.lacking, matcher.cure)


def source_of(schema: Schema) -> FileSource:
    """The root of the tree that a schema describes."""
    numbers, count = [], 0
    for code in schema.tree:
        numbers.append(count)
        count += code < 0
    return FileSource(schema, schema.ends(), numbers)
