"""The five type checkers: which versions are wanted, how each is run, and what it reports, in one form."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
STUBS = ROOT / "typings"
PACKAGE = ROOT / "structkit"
CHECKERS = ("mypy", "pyright", "basedpyright", "pyrefly", "ty")
TARGETS = ("3.11", "3.13")

_SCRIPTS = Path(sysconfig.get_path("scripts"))


class Report(NamedTuple):
    """One error that a checker reports."""

    file: Path
    line: int
    text: str


_Runner = Callable[[str, Sequence[Path], Path, bool], list[Report]]


class CheckerError(Exception):
    """Raised when a checker is missing, has another version, or does not run as it should."""


def wanted_versions() -> dict[str, str]:
    """The pinned version of each checker, from the extras of `pyproject.toml`."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    pins = dict(_pins([*extras["lint"], *extras["types"]]))
    missing = [checker for checker in CHECKERS if checker not in pins]
    if missing:
        raise CheckerError(f"pyproject.toml pins no version of {', '.join(missing)}")
    return {checker: pins[checker] for checker in CHECKERS}


def _pins(requirements: Sequence[str]) -> Iterator[tuple[str, str]]:
    for requirement in requirements:
        name, _, version = requirement.partition("==")
        yield re.sub(r"\[.*\]", "", name), version


def verify_versions() -> None:
    """Nothing, when all five checkers are there in the pinned versions.

    Raises:
        CheckerError: one is missing or another version; the text says which and how to install it.
    """
    wrong: list[str] = []
    for checker, wanted in wanted_versions().items():
        program = _SCRIPTS / checker
        if not program.exists():
            wrong.append(f"{checker} is missing (wanted {wanted})")
            continue
        done = subprocess.run([program, "--version"], capture_output=True, text=True, env=_environment())
        found = re.search(r"\d+\.\d+(\.\d+)*", done.stdout)
        if found is None:
            wrong.append(f"{checker} does not start: {(done.stderr or done.stdout).strip()[-500:]}")
        elif found[0] != wanted:
            wrong.append(f"{checker} is {found[0]}, wanted {wanted}")
    if wrong:
        raise CheckerError("; ".join(wrong) + "\ninstall the pinned versions: pip install -e '.[types]'")


def check(checker: str, target: str, files: Sequence[Path], strict: bool = True) -> list[Report]:
    """What `checker` reports as errors in `files`, when told that they are for Python `target`.

    Args:
        checker: one of `CHECKERS`.
        target: a Python version such as `"3.13"`.
        files: the programs; what they import is followed, but not reported.
        strict: whether mypy and pyright are in strict mode and the local stubs are seen; False gives what a user gets
            who configures nothing.

    Raises:
        CheckerError: the checker failed, or its output is not understood.
    """
    with tempfile.TemporaryDirectory() as folder:
        reports = _RUNNERS[checker](target, [file.resolve() for file in files], Path(folder).resolve(), strict)
    wanted = {file.resolve() for file in files}
    return [report for report in reports if report.file in wanted]


def _environment(**changes: str) -> dict[str, str]:
    # The checkers look at the environment of the interpreter that runs this, whatever is activated.
    paths = os.pathsep.join([str(_SCRIPTS), os.environ.get("PATH", "")])
    return {**os.environ, "PATH": paths, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1", "NO_COLOR": "1", **changes}


def _run(command: Sequence[str | Path], folder: Path, codes: Sequence[int], **changes: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=_environment(**changes))
    if done.returncode not in codes:
        text = (done.stderr + done.stdout).strip()[-2000:]
        raise CheckerError(f"{Path(command[0]).name} ended with exit code {done.returncode}:\n{text}")
    return done.stdout


def _mypy(target: str, files: Sequence[Path], folder: Path, strict: bool) -> list[Report]:
    settings = folder / "mypy.ini"
    settings.write_text(f"[mypy]\nstrict = {strict}\n")
    command: list[str | Path] = [_SCRIPTS / "mypy", "--config-file", settings, "--python-version", target]
    command += ["--cache-dir", ROOT / ".mypy_cache" / f"typing-{strict}", "--python-executable", sys.executable]
    command += ["--no-error-summary", "--show-absolute-path", "--no-pretty", "--output", "json", *files]
    output = _run(command, folder, (0, 1), MYPYPATH=str(STUBS) if strict else "")
    found = [json.loads(line) for line in output.splitlines()]
    return [
        Report(Path(item["file"]).resolve(), item["line"], f"{item['message']} [{item['code']}]")
        for item in found
        if item["severity"] == "error"
    ]


def _pyright_like(checker: str, mode: str, strict_programs: bool = False) -> _Runner:
    def run(target: str, files: Sequence[Path], folder: Path, strict: bool) -> list[Report]:
        programs = strict and strict_programs
        settings = {
            "include": [os.path.relpath(file, folder) for file in files],
            "stubPath": os.path.relpath(STUBS, folder) if strict else "none",
            "typeCheckingMode": mode,
            # What user code sees has to be right in strict mode; structkit's own modules work on values of any type.
            "strict": [os.path.relpath(file, folder) for file in files if programs and PACKAGE not in file.parents],
            "pythonVersion": target,
            # The modules of structkit share their private names.
            "reportPrivateUsage": False,
        }
        (folder / "pyrightconfig.json").write_text(json.dumps(settings))
        command: list[str | Path] = [_SCRIPTS / checker, "-p", folder, "--pythonpath", sys.executable, "--outputjson"]
        output = json.loads(_run(command, folder, (0, 1)))
        if output["summary"]["filesAnalyzed"] < len(files):
            raise CheckerError(f"{checker} looked at {output['summary']['filesAnalyzed']} of {len(files)} files")
        return [
            Report(Path(item["file"]).resolve(), item["range"]["start"]["line"] + 1, _line(item))
            for item in output["generalDiagnostics"]
            if item["severity"] == "error"
        ]

    return run


def _line(item: dict[str, Any]) -> str:
    return f"{item['message'].splitlines()[0]} [{item.get('rule', 'syntax')}]"


def _pyrefly(target: str, files: Sequence[Path], folder: Path, strict: bool) -> list[Report]:
    # Without a preset a project that has no configuration file gets the few checks of "basic".
    command: list[str | Path] = [_SCRIPTS / "pyrefly", "check", "--preset", "default", "--python-version", target]
    command += ["--python-interpreter-path", sys.executable, "--output-format", "json"]
    command += ["--search-path", STUBS] if strict else []
    output = json.loads(_run([*command, *files], folder, (0, 1)))
    return [
        Report(
            (folder / item["path"]).resolve(), item["line"], f"{item['description'].splitlines()[0]} [{item['name']}]"
        )
        for item in output["errors"]
        if item["severity"] == "error"
    ]


def _ty(target: str, files: Sequence[Path], folder: Path, strict: bool) -> list[Report]:
    command: list[str | Path] = [_SCRIPTS / "ty", "check", "--python-version", target, "--python", sys.executable]
    command += ["--output-format", "gitlab", "--exit-zero"]
    command += ["--extra-search-path", STUBS] if strict else []
    return [
        Report((folder / item["location"]["path"]).resolve(), _begin(item["location"]), item["description"])
        for item in json.loads(_run([*command, *files], folder, (0,)))
        if item["severity"] in ("major", "blocker", "critical")
    ]


def _begin(location: dict[str, Any]) -> int:
    line: int = location["positions"]["begin"]["line"]
    return line


_RUNNERS: dict[str, _Runner] = {
    "mypy": _mypy,
    # Programs are strict, so that a user of strict mode gets no false alarm either.
    "pyright": _pyright_like("pyright", "standard", strict_programs=True),
    # The mode that basedpyright has when nothing is configured; its warnings are not counted.
    "basedpyright": _pyright_like("basedpyright", "recommended"),
    "pyrefly": _pyrefly,
    "ty": _ty,
}
