"""The program `structkit-migrate`: reads files, rewrites them together, prints a diff and what a person must decide."""

from __future__ import annotations

import argparse
import difflib
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from structkit._migrate.code import Code, Remark

NOTHING_TO_DECIDE, TO_DECIDE, UNREADABLE = 0, 1, 2
EXIT_CODES = (
    "exit codes: 0 where nothing is left to a person, 1 where something is, 2 where a path could not be read "
    "or written, or the command was called wrongly"
)


class Result(NamedTuple):
    """What came of one file: its text before and after, and the remarks with the lines of `before`."""

    path: Path
    before: str
    after: str
    remarks: list[Remark]
    code: Code


def migrate(paths: Iterable[Path]) -> tuple[list[Result], list[tuple[Path, str]]]:
    """What comes of files and folders: a result for each file, and the files that could not be read, and why.

    Nothing is written.
    """
    from structkit._migrate.code import Code, NotPython
    from structkit._migrate.rewrite import rewrite

    codes, unreadable = [], []
    for path in paths:
        try:
            codes.append(Code(path))
        except NotPython as error:
            unreadable.append((path, f"not read: {error}"))
    texts = rewrite(codes)
    return [Result(code.path, code.text, text, code.remarks, code) for code, text in zip(codes, texts)], unreadable


def python_files(paths: Iterable[Path]) -> Iterator[Path]:
    """The files given, and those in the folders given whose names end with `.py`, each once."""
    seen = set()
    for path in paths:
        found = sorted(_below(path)) if path.is_dir() else [path]
        for each in found:
            if (real := each.resolve()) not in seen:
                seen.add(real)
                yield each


def _below(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not _is_skipped(Path(root, name))]
        yield from (Path(root, name) for name in names if name.endswith(".py"))


def _is_skipped(folder: Path) -> bool:
    return folder.name.startswith(".") or folder.name == "__pycache__" or (folder / "pyvenv.cfg").exists()


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code of the program, after it ran."""
    parser = argparse.ArgumentParser(
        prog="structkit-migrate",
        description="Rewrite classes of flax.struct, equinox, chex, jax_dataclasses and registered dataclasses to "
        "structkit's Struct. Prints a diff to stdout, and to stderr what a person must decide or look at.",
        epilog=EXIT_CODES,
    )
    parser.add_argument(
        "paths", nargs="+", type=Path, metavar="PATH", help="a file, or a folder with all .py files in it"
    )
    parser.add_argument("--write", action="store_true", help="write the files in the place of printing the diff")
    options = parser.parse_args(arguments)
    try:
        import libcst  # noqa: F401
    except ImportError:
        print("structkit-migrate needs libcst: pip install 'structkit-jax[migrate]'", file=sys.stderr)
        return UNREADABLE
    results, unreadable = migrate(python_files(options.paths))
    changed = [result for result in results if result.after != result.before]
    for result in changed:
        if not options.write:
            sys.stdout.write(diff(result))
            continue
        try:
            write(result)
        except OSError as error:
            unreadable.append((result.path, f"not written: {error.strerror or error}"))
    sys.stdout.flush()
    _print_remarks(results, unreadable, options.write)
    if unreadable:
        return UNREADABLE
    return TO_DECIDE if any(result.remarks for result in results) else NOTHING_TO_DECIDE


def _print_remarks(results: list[Result], unreadable: list[tuple[Path, str]], written: bool) -> None:
    for path, reason in unreadable:
        print(f"{path}: {reason}", file=sys.stderr)
    for result in results:
        for remark in sorted(set(result.remarks)):
            line, kind = remark.after if written else remark.line, "left" if remark.left else "look"
            print(f"{result.path}:{line}: {kind}: {remark.text}", file=sys.stderr)
    changed = sum(result.after != result.before for result in results)
    left = sum(len(set(result.remarks)) for result in results)
    verb = "rewritten" if written else "to rewrite"
    print(f"{changed} of {len(results)} files {verb}, {left} places for you", file=sys.stderr)


def diff(result: Result) -> str:
    """The unified diff of one file, as `git apply` reads it."""
    name = result.path.as_posix().lstrip("/")
    lines = difflib.unified_diff(
        result.before.splitlines(keepends=True), result.after.splitlines(keepends=True), f"a/{name}", f"b/{name}"
    )
    return "".join(line if line.endswith("\n") else line + "\n\\ No newline at end of file\n" for line in lines)


def write(result: Result) -> None:
    """Put the new text in the place of the file, whole or not at all."""
    path = result.path.resolve()
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".structkit-migrate-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(result.after.encode(result.code.module.encoding))
        os.chmod(name, path.stat().st_mode & 0o7777)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
