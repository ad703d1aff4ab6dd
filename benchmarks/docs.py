"""The tables of `docs/performance.md`, from the results files: nothing in them is written by hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.chart import PANELS
from benchmarks.peers import OURS, PEERS

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
BEGIN, END = "<!-- begin: {} (python -m benchmarks --docs) -->", "<!-- end: {} -->"


def write(folder: Path) -> Path:
    """The page, whose marked sections are written anew.

    Args:
        folder: where the results files are, `results*.json`: one for each interpreter.
    """
    runs = sorted((report.load(path) for path in folder.glob("results*.json")), key=_version)
    text = PAGE.read_text(encoding="utf-8")
    for name, lines in (("limits", _limits(runs)), ("times", _times(runs)), ("runs", _runs(runs))):
        before, rest = text.split(BEGIN.format(name))
        _, after = rest.split(END.format(name))
        text = "\n".join([before + BEGIN.format(name), *lines, END.format(name) + after])
    PAGE.write_text(text, encoding="utf-8")
    return PAGE


def _version(run: dict[str, Any]) -> tuple[int, ...]:
    return tuple(int(part) for part in run["environment"]["python"].split(".")[:2])


def _title(run: dict[str, Any]) -> str:
    known = run["environment"]
    return f"{known['python']}, JAX {known['jax']}"


def _runs(runs: Sequence[dict[str, Any]]) -> Iterator[str]:
    for run in runs:
        known = run["environment"]
        versions = ", ".join(f"{peer.name} {known[peer.name]}" for peer in PEERS if peer.name in known)
        yield f"- Python {known['python']} ({known['build']} build), JAX {known['jax']}, {versions};"
        yield f"  {known['processor']}, {known['cores']} cores, {known['system']}; {run['seconds']:.0f} s."


def _limits(runs: Sequence[dict[str, Any]]) -> Iterator[str]:
    """What must be reached, a column for each interpreter; what is not reached in bold."""
    yield from _head(["", "against", "at most", *map(_title, runs)], left=2)
    values = [{(one["name"], one["against"]): one for one in run["targets"]} for run in runs]
    for key in dict.fromkeys(key for found in values for key in found):
        limit = {f"{found[key]['limit']:g}" for found in values if key in found}
        yield _line([*key, " / ".join(sorted(limit)), *(_judged(found.get(key)) for found in values)])


def _judged(target: dict[str, Any] | None) -> str:
    if target is None or target["value"] is None:
        return ""
    text = report.ratio_text(target["value"])
    return text if target["verdict"] == "reached" else f"**{text}**"


def _times(runs: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The times behind the chart, of every peer, on each interpreter."""
    for run in runs:
        rows = {(row["group"], row["name"]): row["times"] for row in run["rows"]}
        peers = [peer.name for peer in PEERS if any(peer.name in times for times in rows.values())]
        yield ""
        yield f"Python {_title(run)}:"
        yield ""
        yield from _head(["", *(f"**{peer}**" if peer == OURS else peer for peer in peers)], left=1)
        for title, group, name in PANELS:
            times = rows.get((group, name), {})
            cells = [report.time_text(times[peer]["best"]) if peer in times else "" for peer in peers]
            yield _line([title, *(f"**{cell}**" if peer == OURS else cell for peer, cell in zip(peers, cells))])
    yield ""


def _head(titles: Sequence[str], left: int) -> Iterator[str]:
    yield _line(titles)
    yield _line(["---"] * left + ["--:"] * (len(titles) - left))


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |".replace("|  |", "| |")
