"""Results as text and as JSON: the tables on the terminal, `results.json`, and the section of the documentation."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import re
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax

from benchmarks import structs
from benchmarks.growth import SIZES, Growth
from benchmarks.peers import OURS, PEERS, TUPLES, Workshop
from benchmarks.rows import Row, Rows
from benchmarks.states import NESTED
from benchmarks.targets import Target, near_constant, over_tuples, targets


@dataclass(frozen=True)
class Results:
    """All that one run measured.

    Attributes:
        environment: what it ran on.
        missing: peer -> why it could not be imported.
        rows: the rows of all workloads.
        growths: the fitted exponents.
        seconds: how long the run took.
    """

    environment: dict[str, str]
    missing: dict[str, str]
    rows: list[Row]
    growths: list[Growth]
    seconds: float
    targets: list[Target] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "targets", targets(Rows(self.rows), self.growths))

    def save(self, path: Path) -> None:
        """Write the results as JSON.

        Args:
            path: the file.
        """
        content = dataclasses.asdict(self)
        content["targets"] = [{**dataclasses.asdict(one), "verdict": one.verdict} for one in self.targets]
        path.write_text(json.dumps(_rounded(content), indent=1) + "\n", encoding="utf-8")


def load(path: Path) -> dict[str, Any]:
    """What `Results.save` wrote.

    Args:
        path: the file.
    """
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return value


def environment(workshop: Workshop) -> dict[str, str]:
    """What the measurements ran on: Python and how it was built, JAX, the peers' versions, the machine.

    Args:
        workshop: the peers.
    """
    arguments = sysconfig.get_config_var("CONFIG_ARGS") or ""
    # Debian guides the compiler by a profile through its own makefile; the second argument tells its builds.
    optimised = any(sign in arguments for sign in ("--enable-optimizations", "/usr/share/python-wheels"))
    return {
        "python": platform.python_version(),
        "build": "optimised" if optimised else "not optimised",
        "jax": jax.__version__,
        **workshop.versions,
        "system": platform.platform(),
        "processor": _processor(),
        "cores": str(os.cpu_count()),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


def text(results: Results) -> str:
    """The report for the terminal.

    Args:
        results: what was measured.
    """
    return "\n".join(
        [
            *_heading(results),
            *_struct_tables(results.rows),
            *_other_tables(results.rows),
            *_growth_table(results.growths),
            *_target_table(results.targets),
        ]
    )


def _heading(results: Results) -> Iterator[str]:
    known = results.environment
    yield f"Python {known['python']} ({known['build']} build), JAX {known['jax']}, {known['processor']}"
    yield "Ratios are structkit / peer: below 1, structkit is faster. A time is that of the fastest of interleaved"
    yield "rounds; the spread says how far structkit's median round lies above its fastest."
    yield f"The run took {results.seconds:.0f} s."
    for name, reason in results.missing.items():
        yield f"Left out: {name} is not here ({reason})."


def _struct_tables(rows: list[Row]) -> Iterator[str]:
    """For each operation a table: peers down, sizes across."""
    groups = [structs.group(size, statics) for statics in (0, structs.STATICS) for size in structs.SIZES]
    by_key = {(row.group, row.name): row for row in rows}
    for name in structs.OPERATIONS:
        found = [by_key[group, name] for group in groups if (group, name) in by_key]
        yield ""
        sizes = [re.sub("[ a-z]", "", row.group) for row in found]
        cells = [[time_text(row.times[OURS].best) for row in found]]
        peers = _peers(found)
        cells += [[_ratio(row, peer) for row in found] for peer in peers]
        cells += [[str(row.times[OURS].rounds) for row in found], [f"{row.times[OURS].spread:.0%}" for row in found]]
        labels = ["structkit takes", *(f"/ {peer}" for peer in peers), "rounds", "spread"]
        yield from _table(f"{name}: fields + statics", sizes, labels, cells)


def _other_tables(rows: list[Row]) -> Iterator[str]:
    """For each group a table: workloads down, peers across."""
    sized = {structs.group(size, statics) for statics in (0, structs.STATICS) for size in structs.SIZES}
    others = [row for row in rows if row.group not in sized or row.name not in structs.OPERATIONS]
    for group in dict.fromkeys(row.group for row in others):
        found = [row for row in others if row.group == group]
        peers = _peers(found)
        yield ""
        titles = ["structkit takes", *(f"/ {peer}" for peer in peers), "rounds", "spread"]
        cells = [
            [
                time_text(row.times[OURS].best) if row.unit == "s" else f"{row.times[OURS].best:.0f} B",
                *(_ratio(row, peer) for peer in peers),
                str(row.times[OURS].rounds),
                f"{row.times[OURS].spread:.0%}",
            ]
            for row in found
        ]
        yield from _table(group, titles, [row.name for row in found], cells)
    state = Rows(rows)
    shares = {
        peer.name: over_tuples(state, NESTED, "jitted state -> state", peer.name)
        for peer in PEERS
        if peer.is_pytree and peer.name not in (OURS, TUPLES)
    }
    known = {f"/ {peer}": f"{share:.2f}" for peer, share in shares.items() if share is not None}
    yield ""
    yield from _table("time over raw tuples'", list(known), ["jitted state -> state"], [list(known.values())])
    grown = [f"{key} {value:.2f}" for key, value in near_constant(state).items()]
    yield ""
    yield f"48 fields cost as many times as much as 6: {'; '.join(grown)}"


def _growth_table(growths: list[Growth]) -> Iterator[str]:
    peers = list(dict.fromkeys(peer for growth in growths for peer in growth.exponents))
    for group in dict.fromkeys(growth.group for growth in growths):
        found = [growth for growth in growths if growth.group == group]
        cells = [
            [f"{growth.exponents[peer]:.2f}" if peer in growth.exponents else "" for peer in peers] for growth in found
        ]
        yield ""
        title = f"exponent in {group} ({', '.join(map(str, SIZES))})"
        yield from _table(title, peers, [growth.name for growth in found], cells)


def _target_table(found: list[Target]) -> Iterator[str]:
    cells = [[one.against, f"{one.limit:g}", ratio_text(one.value), one.verdict] for one in found]
    yield ""
    yield from _table("must reach", ["against", "at most", "is", ""], [one.name for one in found], cells)


def _peers(rows: Iterable[Row]) -> list[str]:
    measured = {peer for row in rows for peer in row.times}
    return [peer.name for peer in PEERS if peer.name in measured and peer.name != OURS]


def _ratio(row: Row, peer: str) -> str:
    theirs = row.times[peer].best if peer in row.times else 0.0
    return ratio_text(row.times[OURS].best / theirs) if theirs else ""


def ratio_text(value: float | None) -> str:
    """The ratio with three digits; nothing for None.

    Args:
        value: a ratio.
    """
    if value is None:
        return ""
    return f"{value:.3f}" if value < 0.995 else f"{value:.2f}"


def time_text(seconds: float) -> str:
    """The time in a unit that suits it.

    Args:
        seconds: a time.
    """
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def _table(title: str, columns: Sequence[str], labels: Sequence[str], cells: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines of a table, the first column to the left and the others to the right."""
    first = max(len(title), *map(len, labels))
    widths = [max(len(column), *(len(line[i]) for line in cells)) for i, column in enumerate(columns)]
    yield "  ".join([title.ljust(first), *(column.rjust(width) for column, width in zip(columns, widths))]).rstrip()
    for label, line in zip(labels, cells):
        yield "  ".join([label.ljust(first), *(cell.rjust(width) for cell, width in zip(line, widths))]).rstrip()
