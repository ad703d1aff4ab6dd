"""Writing a file so that, whatever happens, its name leads to the old one or to the new one, whole."""

from __future__ import annotations

import contextlib
import errno
import importlib
import importlib.util
import os
import re
import secrets
import stat
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax

from structkit.errors import StateError, a_type
from structkit.state import _checksums, _codec, _hosts
from structkit.state._collector import collector_off
from structkit.state._header import MOST, Layout, versions
from structkit.state._schema import Described, Refused, RefusedAt, Schema, describe
from structkit.state._threads import started, submitted

# Where there is none (Windows) nothing tells who still writes, and nothing is swept.
fcntl: Any = importlib.import_module("fcntl") if importlib.util.find_spec("fcntl") is not None else None

Progress = Callable[[int, int], object]

_BATCH = 1 << 20
# Below this the disk is done before a thread has started.
_EARLY = 32 << 20
_WORTH_A_THREAD = 1 << 20
_SUFFIX = ".structkit-part"


def save(path: Any, tree: Any, *, progress: Progress | None = None) -> tuple[str, ...]:
    """The paths of the static values that could not be written; the tree is in the file.

    The file is one of safetensors, with a tensor for each leaf under its key path and all else that makes the tree in
    its metadata. It takes the place of an old one at once, when it is on the disk: whatever happens, `path` leads to
    the old file or to the new one, whole. On loading, the value of the instance stands for a static that was not
    written.

    Args:
        path: the file's name.
        tree: any pytree: structs, dicts, lists, tuples, named tuples, nodes of other libraries; leaves of JAX and
            numpy, random keys, numbers and texts.
        progress: called now and then with the bytes that are written, and with all that will be.

    Raises:
        StateError: it cannot be written. The old file is then as it was.

    Example:
        >>> import tempfile, pathlib, jax.numpy as jnp
        >>> from structkit import Struct, state
        >>> class Linear(Struct):
        ...     weight: jnp.ndarray
        ...     steps: int = 0
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "linear.safetensors"
        >>> state.save(file, Linear(jnp.ones(3)))
        ()
        >>> state.load(file, Linear)
        Linear(weight=f32[3], steps=0)
    """
    file = file_of(path)
    # In a trace, too, what is written is there; and whoever saves means the transfers from the device.
    with collector_off(), jax.ensure_compile_time_eval(), jax.transfer_guard("allow"):
        described = _described(file, tree)
        paths = described.schema.leaf_paths()
        _check_names(file, described.schema, paths)
        checksum = _checksums.best()
        layout = Layout(described.schema, paths, checksum, versions())
        if layout.size - 8 > MOST:
            what = f"would need a header of {layout.size - 8:,} bytes, and safetensors reads {MOST:,}"
            raise StateError(str(file), what, "save fewer leaves in one file, or stack those of one shape")
        data = _Data(described, checksum)
        _replace(file, lambda descriptor: _write(descriptor, layout, data, progress))
    return tuple([static for static, code in described.schema.statics() if _codec.is_opaque(code)])


def file_of(path: Any) -> Path:
    """The path of a file.

    Raises:
        StateError: no file can have this name.
    """
    try:
        file = Path(os.fsdecode(path))
    except TypeError:
        what = f"is {a_type(path)}, and no name of a file"
        raise StateError("the path", what, "pass the path first, as in state.save(path, tree)") from None
    try:
        known = b"\0" not in os.fsencode(file)
    except UnicodeEncodeError:
        known = False
    if not known:
        raise StateError(ascii(str(file)), "is no name of a file: no file system takes it", "choose another name")
    return file


def _described(file: Path, tree: Any) -> Described:
    try:
        described = describe(tree)
        for i, leaf in enumerate(described.leaves):
            try:
                _hosts.check(leaf)
            except Refused as refused:
                # Only now are the paths needed.
                places = [path for code, path in described.schema.walk() if code < 0]
                raise RefusedAt(places[i], refused.what, refused.cure) from None
    except RefusedAt as refused:
        raise StateError(str(file), f"{refused.path or 'the root'} {refused.what}", refused.cure) from None
    return described


def _check_names(file: Path, schema: Schema, paths: list[str]) -> None:
    """Refuse two leaves of one path, which only nodes of other libraries have."""
    if any(entry[0] == "other" for entry in schema.nodes) and len({*paths, "__metadata__"}) <= len(paths):
        seen: set[str] = {"__metadata__"}
        twice = next(path for path in paths if path in seen or seen.add(path))  # type: ignore[func-returns-value]
        cure = "give the children of its node keys that differ"
        raise StateError(str(file), f"{twice} is the path of two leaves, or taken by safetensors", cure)


class _Data:
    """What is written after the header.

    Attributes:
        sums: the checksums of the leaves so far.
    """

    def __init__(self, described: Described, checksum: _checksums.Checksum):
        self._described, self._checksum = described, checksum
        self._pool = ThreadPoolExecutor(1, "structkit.state")
        self.sums: list[str] = []

    def __enter__(self) -> _Data:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown()

    def buffers(self, sizes: list[int]) -> Iterator[Any]:
        """All bytes in order, in buffers of about a megabyte and more."""
        kinds = self._described.schema.leaves
        codes = [-1 - code for code in self._described.schema.tree if code < 0]
        of, sums = self._checksum.of, self.sums
        batch: list[bytes] = []
        waiting = 0
        for leaf, code, size in zip(self._described.leaves, codes, sizes):
            if size <= _hosts.SMALL:
                small = _hosts.small_bytes(leaf, kinds[code])
                batch.append(small)
                sums.append(of(small))
                waiting += size
            if waiting > _BATCH or (batch and size > _hosts.SMALL):
                yield b"".join(batch)
                batch.clear()
                waiting = 0
            if size > _hosts.SMALL:
                yield from self._large(leaf, kinds[code])
        if batch:
            yield b"".join(batch)

    def _large(self, leaf: Any, kind: Any) -> Iterator[Any]:
        stream = self._checksum.stream()
        for piece in _hosts.pieces(leaf, kind):
            if len(piece) < _WORTH_A_THREAD:
                stream.update(piece)
                yield piece
                continue
            # While it is written.
            summing = submitted(self._pool, stream.update, piece)
            yield piece
            summing.result()
        self.sums.append(stream.hexdigest())


def _write(descriptor: int, layout: Layout, data: _Data, progress: Progress | None) -> None:
    total = layout.starts[-1]
    # The checksums are known at the end: one pass over the data does.
    _write_all(descriptor, bytes(layout.size))
    done = 0
    sizes = [stored.nbytes for stored in layout.storages]
    with data, _early_sync(descriptor, total):
        for buffer in data.buffers(sizes):
            _write_all(descriptor, buffer)
            done += len(buffer)
            if progress is not None and done < total:
                progress(done, total)
    os.lseek(descriptor, 0, os.SEEK_SET)
    _write_all(descriptor, layout.rendered("".join(data.sums)))
    os.fsync(descriptor)
    if progress is not None:
        progress(total, total)


def _write_all(descriptor: int, data: Any) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


@contextlib.contextmanager
def _early_sync(descriptor: int, size: int) -> Iterator[None]:
    """Have a thread bring to the disk what is written, while the rest is."""
    if size < _EARLY or not hasattr(os, "fdatasync"):
        yield
        return
    done, failed = threading.Event(), []

    def work() -> None:
        try:
            while not done.wait(0.02):
                os.fdatasync(descriptor)
        except OSError as error:
            # It is told once for each descriptor: the last fsync may know nothing of it.
            failed.append(error)

    thread = started(work)
    try:
        yield
    finally:
        done.set()
        if thread is not None:
            thread.join()
    if failed:
        raise failed[0]


def _replace(file: Path, write: Callable[[int], None]) -> None:
    """Put a new file in the place of an old one."""
    try:
        folder, name = file.parent, file.name
        _check_place(file)
        _sweep(folder, name)
        descriptor, part = _new_part(folder, name)
        try:
            try:
                # What may fail comes before: from then on the new file is there.
                with _let_go_later(file), _synced(folder):
                    write(descriptor)
                    os.replace(part, file)
            finally:
                os.close(descriptor)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(part)
            raise
    except OSError as error:
        raise StateError(str(file), *_told(error)) from error


@contextlib.contextmanager
def _let_go_later(file: Path) -> Iterator[None]:
    """Have a thread give the room of a large old file back to the disk, which takes a third of the time of a save.

    What memory holds of it goes at once, for the new file to take: where a machine is virtual, memory that nobody has
    touched for a while costs several times as much.
    """
    old = None
    with contextlib.suppress(OSError):
        if os.stat(file).st_size >= _EARLY:
            old = os.open(file, os.O_RDONLY)
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(old, 0, 0, os.POSIX_FADV_DONTNEED)
    try:
        yield
    finally:
        if old is not None and started(lambda: os.close(old)) is None:
            os.close(old)


def _told(error: OSError) -> tuple[str, str]:
    """What went wrong with the file system, and the cure."""
    why = error.strerror or str(error)
    return f"cannot be written: {why}", _CURES.get(error.errno or 0, "see to the disk and the folder, and save again")


_CURES = {
    errno.ENOSPC: "make room on the disk, and save again",
    errno.EFBIG: "raise the limit for the size of files (ulimit -f), and save again",
    errno.EACCES: "ask for the rights to read its folder and to write to it",
    errno.EPERM: "ask for the rights to read its folder and to write to it",
    errno.EROFS: "choose a folder that can be written to",
    errno.ENOENT: "make its folder first",
    errno.ENOTDIR: "what is named as its folder is none; choose another",
    errno.ENAMETOOLONG: "choose a shorter name",
}


def _check_place(file: Path) -> None:
    if file.is_symlink():
        cure = f"save to where it leads, {os.path.realpath(file)}, or remove it"
        raise StateError(str(file), "is a symbolic link, which saving would replace by a file", cure)
    mode = os.stat(file).st_mode if os.path.lexists(file) else stat.S_IFREG
    if stat.S_ISDIR(mode) or not file.name:
        raise StateError(str(file), "is a folder", "name a file in it")
    if not stat.S_ISREG(mode):
        raise StateError(str(file), "is no ordinary file", "choose another name")


def _new_part(folder: Path, name: str) -> tuple[int, Path]:
    """A new file beside the one that it will replace, locked while it is written."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    while True:
        part = folder / f"{_part_prefix(name)}{secrets.token_hex(8)}{_SUFFIX}"
        descriptor = os.open(part, flags, 0o666)
        try:
            _lock(descriptor)
            # Another saver may have swept it before it was locked.
            if fcntl is None or os.path.exists(part):
                return descriptor, part
        except BaseException:
            os.close(descriptor)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(part)
            raise
        os.close(descriptor)


def _part_prefix(name: str) -> str:
    # Names of files have at most 255 bytes.
    return f".{os.fsencode(name)[:180].decode(errors='ignore')}."


def _lock(descriptor: int) -> None:
    if fcntl is not None:
        with contextlib.suppress(OSError):  # A file system without locks.
            fcntl.flock(descriptor, fcntl.LOCK_EX)


def _sweep(folder: Path, name: str) -> None:
    """Remove what savers of this file left that did not live to remove it themselves."""
    if fcntl is None:
        return
    stale = re.compile(re.escape(_part_prefix(name)) + "[0-9a-f]{16}" + re.escape(_SUFFIX))
    for entry in os.listdir(folder):
        if stale.fullmatch(entry):
            _remove_unless_locked(folder / entry)


def _remove_unless_locked(part: Path) -> None:
    try:
        descriptor = os.open(part, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(part)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _synced(folder: Path) -> Iterator[None]:
    """Bring to the disk what happens to the names in a folder."""
    if not hasattr(os, "O_DIRECTORY"):
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
