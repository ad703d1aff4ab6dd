"""The results as text for the terminal: for each group a table with workloads down and peers across."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from benchmarks.growth import SIZES, Growth
from benchmarks.peers import OURS, PEERS
from benchmarks.results import Results
from benchmarks.rows import Row
from benchmarks.targets import Target, exponents

_Item = TypeVar("_Item", Row, Growth)


def text(results: Results) -> str:
    """The report."""
    targets = [*results.limits(), *exponents(results.growths)]
    parts = (_heading(results), _rows(results.rows), _growths(results.growths), _targets(targets))
    return "\n".join(line for lines in parts for line in lines)


def _heading(results: Results) -> Iterator[str]:
    known = results.environment
    yield f"Python {known['python']} ({known['build']} build), JAX {known['jax']}, {known['processor']}"
    yield "Ratios are structkit / peer: below 1, structkit is faster. A time is that of the fastest of interleaved"
    yield "rounds; the spread says how far structkit's median round lies above its fastest."
    yield f"The run took {results.seconds:.0f} s."
    for name, reason in results.missing.items():
        yield f"Left out: {name} is not here ({reason})."


def _rows(rows: Iterable[Row]) -> Iterator[str]:
    for group, found in _grouped(rows):
        peers = [peer for peer in measured(found) if peer != OURS]
        titles = ["structkit takes", *(f"/ {peer}" for peer in peers), "rounds", "spread"]
        cells = [
            [
                value_text(row.best[OURS], row.unit),
                *(ratio_text(row.over(peer)) for peer in peers),
                str(row.rounds),
                f"{row.spread:.0%}",
            ]
            for row in found
        ]
        yield from _table(group, titles, [row.name for row in found], cells)


def _growths(growths: Iterable[Growth]) -> Iterator[str]:
    peers = list(dict.fromkeys(peer for growth in growths for peer in growth.exponents))
    for group, found in _grouped(growths):
        cells = [[*(ratio_text(growth.exponents.get(peer)) for peer in peers), str(growth.largest)] for growth in found]
        title = f"exponent in {group} ({', '.join(map(str, SIZES[group]))})"
        yield from _table(title, [*peers, "up to"], [growth.name for growth in found], cells)


def _targets(found: Sequence[Target]) -> Iterator[str]:
    cells = [[one.against, f"{one.limit:.3g}", ratio_text(one.value), one.verdict] for one in found]
    yield from _table("must reach", ["against", "at most", "is", ""], [one.name for one in found], cells)


def _grouped(items: Iterable[_Item]) -> Iterator[tuple[str, list[_Item]]]:
    groups: dict[str, list[_Item]] = {}
    for item in items:
        groups.setdefault(item.group, []).append(item)
    yield from groups.items()


def measured(rows: Iterable[Row]) -> list[str]:
    """The peers that have a time in one of the rows, then what else stands beside structkit there."""
    names = dict.fromkeys(peer for row in rows for peer in row.best)
    peers = [peer.name for peer in PEERS if peer.name in names]
    return [*peers, *(name for name in names if name not in peers)]


def ratio_text(value: float | None) -> str:
    """The ratio with three digits; nothing for None."""
    if value is None:
        return ""
    return f"{value:.3f}" if value < 0.995 else f"{value:.2f}" if value < 9.95 else f"{value:.1f}"


def value_text(value: float, unit: str = "s") -> str:
    """The time in a unit that suits it, or the bytes."""
    if unit == "bytes":
        return f"{value:.0f} B"
    scale, suited = unit_of(value)
    return f"{value / scale:.3g} {suited}"


def unit_of(seconds: float) -> tuple[float, str]:
    """The unit that suits a time: how many seconds it has, and its name."""
    return next((pair for pair in _UNITS if seconds >= pair[0]), _UNITS[-1])


_UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))


def _table(title: str, columns: Sequence[str], labels: Sequence[str], cells: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines of a table after an empty one, the first column to the left and the others to the right."""
    lines = [[title, *columns], *([label, *line] for label, line in zip(labels, cells))]
    widths = [max(map(len, column)) for column in zip(*lines)]
    yield ""
    for first, *others in lines:
        yield "  ".join([first.ljust(widths[0]), *(c.rjust(width) for c, width in zip(others, widths[1:]))]).rstrip()
