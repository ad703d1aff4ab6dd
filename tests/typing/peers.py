"""Who catches what: one program with planted errors, in the words of structkit and of each of its peers.

    python tests/typing/peers.py [--markdown]

The checkers are as they come, with nothing configured. An error counts as caught when its line is reported with a text
that the checker does not give for a right line of the same program too: "has no attribute 'replace'" says nothing
about a misspelt field where every `replace` gets it. An error that cannot be written with a peer is not in its program.
`programs/everyday.py` is the one for structkit, from which the others are made.

Exits with an error when structkit falls behind a peer or below what `MUST_REACH` says.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from check import marked
from checkers import CHECKERS, TARGETS, CheckerError, Report, check, verify_versions

PROGRAM = Path(__file__).resolve().parent / "programs" / "everyday.py"
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


# What a peer's program says in place of structkit's: patterns, and what takes their places one after the other.
Rewrites = list[tuple[str, str]]


def imports(line: str) -> Rewrites:
    """The imports of a peer."""
    return [(r"^from structkit import .*", line)]


def without(*names: str) -> Rewrites:
    """Leaves out what a peer has no words for: classes, statements and, by their names, errors."""
    return [
        (rf"^class {name}\b.*\n(?:    .*\n|\n(?=    ))+\n\n|^{name}.*\n|^.*# error: {name}\n", "") for name in names
    ]


def decorated(line: str, mutable: str = "@dataclasses.dataclass") -> Rewrites:
    """Classes under a decorator; `OPTIONS` in it stands for those of the class."""
    return [
        (r"^(class \w+)\(Struct, frozen=False\):", rf"{mutable}\n\1:"),
        (r"^(class \w+)\(Struct, (\w+=.*?)\):(.*)", line.replace("OPTIONS", r"\2") + r"\3\n\1:"),
        (r"^(class \w+)\(Struct(?:, (\w+.*))?\):", re.sub(r"\(OPTIONS\)|OPTIONS, ", "", line) + r"\n\1(\2):"),
        (r"^(class \w+)\((Base|Shape)\):", re.sub(r"\(OPTIONS\)|OPTIONS, ", "", line) + r"\n\1(\2):"),
        (r"^(class \w+)\(\):", r"\1:"),
    ]


def fields(field: str, static: str) -> Rewrites:
    """The specifiers; `static` begins the call that makes a static field."""
    return [
        (r"(?<!\.)\bfield\(", field),
        (r"\bderived\(\)", f"{field}init=False)"),
        (r"(?<!\.)\bstatic\(\)", static.removesuffix(", ") + ")"),
        (r"(?<!\.)\bstatic\(", static),
    ]


def replaced(function: str) -> Rewrites:
    """Changed copies by a function."""
    return [
        (r"layer\.replace\(bias=b\)\.replace\(", f"{function}({function}(layer, bias=b), "),
        (r"\b((?:layer|model)(?:\.(?!replace)\w+|\[0\])*)\.replace\(", rf"{function}(\1, "),
    ]


NO_DERIVED = [(r"^    area: (?:.*\n){4}", ""), *without("derived-argument")]
NO_CONVERTER = without("BadConverter")
# Changed copies of a tree, where a library has no words for a place in it.
NO_PLACES = [
    (r"at\(model, lambda m: m\.head\.(\w+)\)\.set\((.*?)\)", r"model.replace(head=model.head.replace(\1=\2))"),
    (r"at\(model, lambda m: m\.head\.bais\)", "model.replace(head=model.head.replace(bais=b))"),
    (
        r"at\(model, lambda m: m\.layers\[0\]\.weight\)\.apply\((.*?)\)",
        r"model.replace(layers=[model.layers[0].replace(weight=\1(model.layers[0].weight))])",
    ),
    (r"weight=len\(.*?\)", "weight=len(w)"),
    (r"at\(model, lambda m: m\.table\[\"w\"\]\)\.set\(3\)", r'model.replace(table={"w": 3})'),
    (r"at\(model, lambda m: m\.config\.rate\)\.get\(\)", "model.config.rate"),
    (r"at\(model, lambda m: m\.step\)\.set\(2\)", "model.replace(step=2)"),
]
FLAX = [
    *imports("from flax import struct"),
    *(NO_DERIVED + NO_CONVERTER + NO_PLACES),
    (r"sttaic=True", "pytre_node=False"),
    *fields("struct.field(", "struct.field(pytree_node=False, "),
]
PEERS: dict[str, Rewrites] = {
    "dataclasses": [
        *imports("from dataclasses import dataclass, field"),
        *(NO_DERIVED + NO_CONVERTER + NO_PLACES),
        *replaced("dataclasses.replace"),
        (r"sttaic=True", 'metadata={"sttaic": True}'),
        *fields("field(", "jax.tree.static("),
        *decorated("@jax.tree_util.register_dataclass\n@dataclass(OPTIONS, frozen=True)"),
        (r'"no", frozen=True', '"no"'),
    ],
    "flax_dataclass": [*FLAX, *decorated("@struct.dataclass(OPTIONS)")],
    "flax_node": [*FLAX, (r"\(Struct\b", "(struct.PyTreeNode")],
    "equinox": [
        *imports("import equinox as eqx"),
        *without("Version", "Counter", "counter", "newer"),
        (r"\(Struct, kw_only=True\):", "(Struct):\n    _: dataclasses.KW_ONLY"),
        (r'frozen="no"', 'strict="no"'),
        *replaced("dataclasses.replace"),
        (r"at\(model, (lambda m: .*?)\)\.set\((.*?)\)", r"eqx.tree_at(\1, model, \2)"),
        (r"at\(model, (lambda m: .*?)\)\.apply\((.*?)\)", r"eqx.tree_at(\1, model, replace_fn=\2)"),
        (r"at\(model, (lambda m: m\.head\.bais)\)", r"eqx.tree_at(\1, model, b)"),
        (r"at\(model, lambda m: m\.config\.rate\)\.get\(\)", "model.config.rate"),
        *fields("eqx.field(", "eqx.field(static=True, "),
        (r"\(Struct\b", "(eqx.Module"),
    ],
    "chex": [
        *imports("import chex"),
        *(NO_CONVERTER + NO_PLACES),
        (r"sttaic=True", 'metadata={"sttaic": True}'),
        (r'static\(default="3"\)', 'field(default="3")'),
        (r" = static\((?:default=(.*))?\)", r" = \1"),
        (r": str = $", ": str"),
        *fields("dataclasses.field(", ""),
        *decorated(
            "@chex.dataclass(OPTIONS, frozen=True, mappable_dataclass=False)",
            "@chex.dataclass(mappable_dataclass=False)",
        ),
        (r'"no", frozen=True', '"no"'),
    ],
    "jax_dataclasses": [
        *imports("import jax_dataclasses as jdc"),
        *(NO_CONVERTER + NO_PLACES),
        *replaced("jdc.replace"),
        (r": int = field\(sttaic=True\)", ": jdc.Sttaic[int]"),
        (r": (\S.*) = static\(default=(.*)\)", r": jdc.Static[\1] = \2"),
        (r": (\S.*) = static\(\)", r": jdc.Static[\1]"),
        *fields("dataclasses.field(", ""),
        *decorated("@jdc.pytree_dataclass(OPTIONS)"),
    ],
    "msgspec": [
        *imports("import msgspec\nfrom msgspec import structs"),
        *(NO_CONVERTER + NO_PLACES),
        *without("Square", "BadSpelling", "kw-only-field-positional", "abstract", r"dataclasses\.replace"),
        *replaced("structs.replace"),
        (r"dataclasses\.asdict", "structs.asdict"),
        (r"field\(default=0, kw_only=True\)", "0"),
        (r" = static\(\)", ""),
        (r", ABC\b", ""),
        (r"    @abstractmethod\n(.*) \.\.\.", r"\1\n        return 0.0"),
        *fields("msgspec.field(", "msgspec.field("),
        (r"^(class \w+)\((Struct|Base|Shape)\b((?!.*frozen).*)\):", r"\1(\2\3, frozen=True):"),
        (r"\(Struct\b", "(msgspec.Struct"),
    ],
}


def in_words_of(peer: str) -> str:
    """The program in the words of a peer, or of structkit."""
    text = PROGRAM.read_text()
    for pattern, words in PEERS.get(peer, []):
        text = re.sub(pattern, words, text, flags=re.MULTILINE)
    return text


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
    pairs = [(checker, target) for target in TARGETS for checker in CHECKERS]

    with TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        files = {peer: Path(folder).resolve() / f"user_{peer}.py" for peer in NAMES}
        for peer, file in files.items():
            file.write_text(in_words_of(peer))

        def work(pair: tuple[str, str]) -> dict[str, Score]:
            reports = check(*pair, list(files.values()), strict=False)
            return {peer: score(file, reports) for peer, file in files.items()}

        results = dict(zip(pairs, pool.map(work, pairs), strict=True))

    complaints: list[str] = []
    for target in reversed(TARGETS):
        scores = {(p, c): results[c, target][p] for p in NAMES for c in CHECKERS}
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
        print(f"{'FAILED' if complaints else 'passed'}: {len(NAMES)} programs, {time.monotonic() - start:.0f} s")
    return bool(complaints)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except CheckerError as error:
        sys.exit(f"type checkers: {error}")
