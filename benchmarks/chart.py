"""The results as a picture: small bar charts, one for each workload, structkit highlighted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from benchmarks.docs import PANELS
from benchmarks.peers import DROP_IN, OURS, PEERS, SLOTS, TUPLES
from benchmarks.report import unit_of
from benchmarks.results import Results
from benchmarks.rows import by_key

_COLUMNS = 3
_OURS, _THEIRS, _LIMIT, _INK, _FAINT = "#d1495b", "#8fa3b8", "#d9dee4", "#22303c", "#7b8894"
_COLOURS = {OURS: _OURS, DROP_IN: "#e8a0ab", TUPLES: _LIMIT, SLOTS: _LIMIT}
# A bar this many times as long as the next one is cut, and says so.
_CUT = 3.0


def draw(results: Results, path: Path) -> None:
    """Write the picture, a PNG file."""
    rows = by_key(results.rows)
    panels = [(title, rows[group, name].best) for title, group, name in PANELS if (group, name) in rows]
    lines = -(-len(panels) // _COLUMNS)
    height = 2.75 * lines + 1.3
    layout = ConstrainedLayoutEngine(w_pad=0.18, h_pad=0.14, rect=(0, 0, 1, 1 - 0.9 / height))
    figure = Figure(figsize=(15, height), layout=layout, facecolor="white")
    figure.text(0.012, 1 - 0.38 / height, "Time of structs in JAX", fontsize=19, weight="bold", color=_INK, va="center")
    known = results.environment
    where = f"Python {known['python']} ({known['build']} build), JAX {known['jax']}, {known['processor']}"
    how = "fastest of many interleaved rounds in one process; shorter is better; raw tuples and plain slots are limits"
    figure.text(0.012, 1 - 0.76 / height, f"{where}: {how}", fontsize=10.5, color=_FAINT, va="center")
    for i, (title, best) in enumerate(panels):
        _panel(figure.add_subplot(lines, _COLUMNS, i + 1), title, best)
    figure.savefig(path, dpi=110)


def _panel(axes: Axes, title: str, best: dict[str, float]) -> None:
    names = [peer.name for peer in PEERS if peer.name in best]
    scale, unit = unit_of(best[OURS])
    values = [best[name] / scale for name in names]
    end = _end(values)
    colours = [_COLOURS.get(name, _THEIRS) for name in names]
    places = range(len(names))
    axes.barh(places, [min(value, end) for value in values], color=colours, height=0.72)
    for place, name, value in zip(places, names, values):
        weight, colour = ("bold", _OURS) if name == OURS else ("normal", _INK)
        text = f"{value:,.3g}" if value < 1000 else f"{value:,.0f}"
        if value > end:
            cut = f"{text}  »"
            axes.text(end * 0.985, place, cut, ha="right", va="center", fontsize=10, color="white", weight="bold")
        else:
            axes.text(value + end * 0.012, place, text, va="center", fontsize=10, color=colour, weight=weight)
    axes.set_xlim(0, end * 1.12)
    axes.set_yticks(places, names, fontsize=10, color=_INK)
    for label, name in zip(axes.get_yticklabels(), names):
        label.set_color(_OURS if name == OURS else _FAINT if name in (TUPLES, SLOTS) else _INK)
        label.set_fontweight("bold" if name == OURS else "normal")
    axes.invert_yaxis()
    axes.set_title(f"{title}  ({unit})", loc="left", fontsize=11.5, weight="bold", color=_INK)
    axes.tick_params(length=0, labelbottom=False)
    axes.spines[:].set_visible(False)


def _end(values: Sequence[float]) -> float:
    """Where the axis ends: one far longer bar would leave nothing to see of the others."""
    ordered = sorted(values)
    for shorter, longer in zip(ordered[len(ordered) // 2 :], ordered[len(ordered) // 2 + 1 :]):
        if longer > _CUT * shorter:
            return shorter * 1.35
    return ordered[-1]
