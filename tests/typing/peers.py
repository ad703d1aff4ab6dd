"""Who catches what: one program with planted errors, written for structkit and for each of its peers.

    python tests/typing/peers.py [--markdown]

The checkers are as they come, with nothing configured. An error counts as caught when its line is reported with a text
that the checker does not give for a right line of the same program too: "has no attribute 'replace'" says nothing
about a misspelt field where every `replace` gets it. An error that cannot be written with a peer is not in its program.

Exits with an error when structkit falls behind a peer or below what `MUST_REACH` says.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from check import marked
from checkers import CHECKERS, TARGETS, CheckerError, Report, check, verify_versions

PROGRAMS = Path(__file__).resolve().parent / "peers"
OURS = "structkit"
NAMES = {
    OURS: "structkit",
    "dataclasses": "dataclass + `register_dataclass`",
    "flax_dataclass": "`flax.struct.dataclass`",
    "flax_node": "`flax.struct.PyTreeNode`",
    "equinox": "equinox",
    "chex": "chex",
    "jax_dataclasses": "jax_dataclasses",
    "msgspec": "msgspec",
}
MUST_REACH = {
    "3.13": {"mypy": 94, "pyright": 100, "basedpyright": 100, "pyrefly": 94, "ty": 94},
    "3.11": dict.fromkeys(CHECKERS, 88),
}


class Score(NamedTuple):
    """What one checker makes of one program.

    Attributes:
        planted: how many errors are in the program.
        missed: the names of those that are not caught.
        alarms: how many right lines are reported.
    """

    planted: int
    missed: tuple[str, ...]
    alarms: int

    @property
    def caught(self) -> int:
        """How many errors are caught."""
        return self.planted - len(self.missed)

    @property
    def percent(self) -> float:
        """How many of a hundred planted errors are caught."""
        return 100 * self.caught / self.planted

    def __str__(self) -> str:
        return f"{self.caught}/{self.planted}" + (f", {self.alarms} false" if self.alarms else "")


def score(file: Path, reports: Sequence[Report]) -> Score:
    """The score of a checker on a program."""
    marks = marked(file)
    own = [report for report in reports if report.file == file]
    alarms = [report for report in own if report.line not in marks]
    empty = {report.text for report in alarms}
    told = {report.line for report in own if report.text not in empty}
    missed = tuple(name for line, (_, name) in marks.items() if line not in told)
    return Score(len(marks), missed, len({report.line for report in alarms}))


def table(scores: dict[tuple[str, str], Score]) -> str:
    """The scores of one target, by program and checker, in Markdown, a row for each program."""
    rows = ["| | " + " | ".join(CHECKERS) + " |", "|---" * (len(CHECKERS) + 1) + "|"]
    for program, title in NAMES.items():
        cells = [str(scores[program, checker]) for checker in CHECKERS]
        rows.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def shortfalls(target: str, scores: dict[tuple[str, str], Score]) -> list[str]:
    """Where structkit does not reach what it must."""
    found: list[str] = []
    for checker in CHECKERS:
        ours = scores[OURS, checker]
        if ours.percent < MUST_REACH[target][checker]:
            found.append(f"{checker} {target}: {ours.percent:.0f} % of {MUST_REACH[target][checker]} %")
        if ours.alarms:
            found.append(f"{checker} {target}: {ours.alarms} false alarms")
        for peer in NAMES:
            if peer != OURS and scores[peer, checker].caught >= ours.caught:
                found.append(f"{checker} {target}: no more than {peer} ({scores[peer, checker]}, structkit {ours})")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare structkit with its peers under the five type checkers.")
    parser.add_argument("--markdown", action="store_true", help="print only the tables, for docs/typing.md")
    arguments = parser.parse_args()

    start = time.monotonic()
    verify_versions()
    files = {program: PROGRAMS / f"user_{program}.py" for program in NAMES}
    pairs = [(checker, target) for target in TARGETS for checker in CHECKERS]

    def work(pair: tuple[str, str]) -> list[Report]:
        return check(*pair, list(files.values()), strict=False)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = dict(zip(pairs, pool.map(work, pairs), strict=True))

    complaints: list[str] = []
    for target in reversed(TARGETS):
        scores = {(p, c): score(files[p], results[c, target]) for p in NAMES for c in CHECKERS}
        print(f"Python {target}, caught of planted errors:\n\n{table(scores)}\n")
        if not arguments.markdown:
            for (program, checker), result in scores.items():
                print(
                    f"{program:16} {checker:13} {result.percent:4.0f} %  missed: {', '.join(result.missed) or 'none'}"
                )
            print()
        complaints += shortfalls(target, scores)
    for complaint in complaints:
        print(complaint)
    if not arguments.markdown:
        print(f"{'FAILED' if complaints else 'passed'}: {len(files)} programs, {time.monotonic() - start:.0f} s")
    return bool(complaints)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except CheckerError as error:
        sys.exit(f"type checkers: {error}")
