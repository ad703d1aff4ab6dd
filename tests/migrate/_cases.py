"""Reads the tables of cases: what a person wrote, what comes of it, and what is left to them."""

import pathlib
import re
from typing import NamedTuple

from structkit._migrate.command import migrate, python_files

FOLDER = pathlib.Path(__file__).parent / "cases"


class Case(NamedTuple):
    """Files before and after, by name, and the remarks as they are printed."""

    theme: str
    name: str
    before: dict[str, str]
    after: dict[str, str]
    remarks: list[str]

    def __str__(self):
        return f"{self.theme}: {self.name}"


def read_cases():
    """The cases of all files: blocks that begin with `===`; `---` begins the files after, and again the remarks."""
    return [
        _case(path.stem, block)
        for path in sorted(FOLDER.glob("*.txt"))
        for block in re.split(r"^=== ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    ]


def _case(theme, block):
    name, _, text = block.partition("\n")
    before, *rest = re.split(r"^---\n", text, flags=re.MULTILINE)
    after, remarks = (*rest, "", "")[:2]
    after = _files(before) | (_files(after) if after.strip() else {})
    return Case(theme, name, _files(before), after, remarks.splitlines())


def _files(text):
    """`@@ name` begins a file; a text without it is `a.py`."""
    if not text.startswith("@@ "):
        return {"a.py": text}
    parts = re.split(r"^@@ (.*)\n", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2]))


def write_files(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(text.encode())


def run_migrate(folder):
    """The texts after, by name, and the remarks, sorted, as the command prints them."""
    results, unreadable = migrate(python_files([folder]))
    assert unreadable == []
    texts = {result.path.relative_to(folder).as_posix(): result.after for result in results}
    remarks = [
        f"{result.path.relative_to(folder).as_posix()}:{r.line}: {'left' if r.left else 'look'}: {r.text}"
        for result in results
        for r in sorted(set(result.remarks))
    ]
    return texts, [remark.replace(f"{folder}/", "") for remark in remarks]
