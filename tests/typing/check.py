"""Compares what five type checkers report on the programs beside this file with what the programs say, line by line.

    python tests/typing/check.py [--targets 3.11,3.13] [--checkers mypy,ty]

A line of a program that must be reported ends with a comment `# error: name`; every other line must be clean, and the
clean ones must run. `known.toml` lists what a checker is known to get wrong, with the reason; an entry that no longer
happens fails the run until it is struck. The modules of `structkit` are checked as programs without any error.
A program whose name ends with `_312` is for Python 3.12 and newer targets.
"""

from __future__ import annotations
import __future__

import argparse
import ast
import itertools
import os
import re
import subprocess
import sys
import time
import tomllib
import types
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from checkers import CHECKERS, ROOT, TARGETS, CheckerError, Report, check, verify_versions

HERE = Path(__file__).resolve().parent
PROGRAMS = HERE / "programs"
MARKER = re.compile(r"# (error|fine): ([\w-]+)$")

MISSED, FALSE_ALARM = "missed", "false alarm"


class Failure(NamedTuple):
    """One line that a checker gets wrong: `what` is missed or a false alarm, `where` a line's name."""

    checker: str
    target: str
    what: str
    where: str


def marked(file: Path) -> dict[int, tuple[str, str]]:
    """The marked lines of a program: line number -> (`"error"` or `"fine"`, name).

    Args:
        file: the program. A name that stands twice in it is an error of ours.
    """
    found: dict[int, tuple[str, str]] = {}
    for number, line in enumerate(file.read_text().splitlines(), 1):
        marker = MARKER.search(line)
        if marker is not None:
            if marker[2] in (name for _, name in found.values()):
                raise ValueError(f"{file.name}:{number}: the name {marker[2]!r} stands twice")
            found[number] = marker[1], marker[2]
    return found


def minimum(file: Path) -> tuple[int, int]:
    """The oldest Python that a program is for, from its name."""
    suffix = re.search(r"_3(\d+)$", file.stem)
    return (3, int(suffix[1])) if suffix else (3, 11)


def version(target: str) -> tuple[int, int]:
    """`(3, 13)` for `"3.13"`."""
    major, minor = target.split(".")
    return int(major), int(minor)


def compare(checker: str, target: str, file: Path, reports: Sequence[Report]) -> Iterator[tuple[Failure, str]]:
    """The lines that the checker gets wrong, each with the text to show for it."""
    lines = file.read_text().splitlines()
    marks = marked(file)
    reported: dict[int, str] = {}
    for report in reports:
        if report.file == file:
            reported.setdefault(report.line, report.text)
    for number, (kind, name) in marks.items():
        if kind == "error" and number not in reported:
            text = f"{file.name}:{number}: not reported: {lines[number - 1].strip()}"
            yield Failure(checker, target, MISSED, f"{file.name}: {name}"), text
    for number, text in sorted(reported.items()):
        kind, name = marks.get(number, ("", f"line {number}"))
        if kind != "error":
            yield Failure(checker, target, FALSE_ALARM, f"{file.name}: {name}"), f"{file.name}:{number}: {text}"


def known_failures(file: Path) -> dict[Failure, str]:
    """The entries of the allow-list, one for each checker, target and line, with their reasons.

    Args:
        file: a TOML file of `[[known]]` tables with `checkers`, `targets`, `what`, `lines`, `reason` and `upstream`.
    """
    found: dict[Failure, str] = {}
    for entry in tomllib.loads(file.read_text())["known"]:
        if not (entry["reason"] and entry["upstream"] and entry["what"] in (MISSED, FALSE_ALARM)):
            raise ValueError(f"{file.name}: an entry lacks its reason, its upstream or a right `what`: {entry}")
        for checker, target, line in itertools.product(entry["checkers"], entry["targets"], entry["lines"]):
            found[Failure(checker, target, entry["what"], line)] = entry["reason"]
    return found


def run_clean_lines(file: Path) -> Iterator[str]:
    """What goes wrong when the unmarked statements of a program run.

    Args:
        file: the program. A statement with a marked error in it is left to fail.
    """
    text = file.read_text()
    lines = text.splitlines()
    flags = __future__.annotations.compiler_flag if "\nfrom __future__ import annotations\n" in text else 0
    module = types.ModuleType(file.stem)
    sys.modules[file.stem] = module
    for statement in ast.parse(text).body:
        source = lines[statement.lineno - 1 : statement.end_lineno]
        code = compile(ast.Module([statement], []), str(file), "exec", flags=flags, dont_inherit=True)
        try:
            exec(code, vars(module))
        except Exception as error:
            if not any("# error: " in line for line in source):
                yield f"{file.name}:{statement.lineno}: raises {type(error).__name__}: {error}"


def sources(checker: str, target: str) -> list[Path]:
    """The modules of structkit, for the checkers that must find nothing in them."""
    # The mode that basedpyright starts in asks for a style of its own. For old targets pyright cannot read
    # the newest stubs of numpy, and takes what they define to be unknown.
    if checker == "basedpyright" or (checker == "pyright" and target != TARGETS[-1]):
        return []
    return sorted((ROOT / "structkit").rglob("*.py"))


def completeness() -> list[str]:
    """What `pyright --verifytypes` says when a public type is not known completely; nothing when all are."""
    pyright = Path(sys.executable).parent / "pyright"
    command: list[str | Path] = [
        pyright,
        "--verifytypes",
        "structkit",
        "--ignoreexternal",
        "--pythonpath",
        sys.executable,
    ]
    environment = {**os.environ, "PATH": f"{pyright.parent}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    score = re.search(r"Type completeness score: ([\d.]+)%", done.stdout)
    if score is None or score[1] != "100":
        return [*done.stdout.splitlines(), *done.stderr.splitlines()]
    return []


def main() -> int:
    parser = argparse.ArgumentParser(description="Check the programs with the five type checkers.")
    parser.add_argument("--targets", default=",".join(TARGETS), help="Python versions (%(default)s)")
    parser.add_argument("--checkers", default=",".join(CHECKERS), help="which of the five (%(default)s)")
    arguments = parser.parse_args()
    pairs = [(c, t) for t in arguments.targets.split(",") for c in arguments.checkers.split(",")]

    start = time.monotonic()
    verify_versions()
    programs = sorted(PROGRAMS.glob("*.py"))
    known = known_failures(HERE / "known.toml")
    complaints: list[str] = []

    def work(pair: tuple[str, str]) -> tuple[list[Path], list[Report]]:
        checker, target = pair
        files = [file for file in programs if minimum(file) <= version(target)]
        return files, check(checker, target, [*files, *sources(checker, target)])

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        waiting = pool.submit(completeness)
        results = dict(zip(pairs, pool.map(work, pairs), strict=True))
        complaints += waiting.result()

    happened: set[Failure] = set()
    for (checker, target), (files, reports) in results.items():
        failures = dict(pair for file in files for pair in compare(checker, target, file, reports))
        planted = sum(kind == "error" for file in files for kind, _ in marked(file).values())
        missed = sum(failure.what == MISSED for failure in failures)
        alarms = len(failures) - missed
        print(f"{checker:13} {target}: {planted - missed} of {planted} errors found, {alarms} false alarms")
        happened |= failures.keys()
        complaints += [f"{checker} {target}: {failures[f]} ({f.what})" for f in failures if f not in known]
        own = [report for report in reports if report.file not in files]
        complaints += [f"{checker} {target}: {_relative(r.file)}:{r.line}: {r.text}" for r in own]
    complaints += struck(known, happened, pairs)
    for file in programs:
        if minimum(file) <= sys.version_info[:2]:
            complaints += run_clean_lines(file)

    for complaint in complaints:
        print(complaint)
    state = "FAILED" if complaints else "passed"
    print(f"{state}: {len(programs)} programs, {len(known)} known failures, {time.monotonic() - start:.0f} s")
    return bool(complaints)


def struck(known: Mapping[Failure, str], happened: set[Failure], pairs: Sequence[tuple[str, str]]) -> list[str]:
    """The allowed failures that did not happen, as complaints."""
    gone = [f for f in known if (f.checker, f.target) in pairs and f not in happened]
    return [f"{f.checker} {f.target}: {f.where} is right now; strike it from known.toml ({f.what})" for f in gone]


def _relative(file: Path) -> Path:
    return file.relative_to(ROOT)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except CheckerError as error:
        sys.exit(f"type checkers: {error}")
