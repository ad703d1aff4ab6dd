"""The figures of `docs/performance.md` and of the README, from the results files: none of them is written by hand.

They stand between two marks, each written by the function of that name; the text around them has none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks import creation, results, states, structs, targets
from benchmarks.growth import SIZES
from benchmarks.peers import DROP_IN, OURS, PEERS, STANDARD, TUPLES
from benchmarks.report import measured, ratio_text, value_text
from benchmarks.results import Results
from benchmarks.rows import by_key

FOLDER = Path(__file__).parent
PAGE = FOLDER.parent / "docs" / "performance.md"
README = FOLDER.parent / "README.md"
PICTURE = FOLDER.parent / "docs" / "assets" / "benchmarks.png"
BEGIN, END = "<!-- begin: {} (python -m benchmarks --docs) -->", "<!-- end: {} -->"
ON_DEVICE = FOLDER / "gpu.json"
"""The results of a machine with a GPU, of compiled functions alone."""

# Title, group and name of the row; in the order of the picture, row by row.
PANELS = (
    ("flatten, nested state", states.NESTED, "flatten"),
    ("unflatten, nested state", states.NESTED, "unflatten"),
    ("tree.map, nested state", states.NESTED, "tree.map"),
    ("jitted state → state", states.NESTED, states.TWO_WAY),
    ("jitted state → scalar", states.NESTED, states.ONE_WAY),
    ("value_and_grad step", states.NESTED, "value_and_grad step"),
    ("unflatten, 6 fields", structs.group(6), "unflatten"),
    ("construct, 6 fields", structs.group(6), "construct"),
    ("replace one of 10 fields", structs.group(10), "replace"),
    ("at(...).set / tree_at, nested state", states.NESTED, structs.UPDATE),
    ("read an attribute", structs.group(6), structs.READ),
    ("==, 6 fields", structs.group(6), "=="),
    ("repr, 6 fields", structs.group(6), "repr"),
    ("create a class, 6 fields", creation.CLASSES, creation.class_row(6, creation.PLAIN)),
    ("trace 10,000 constructions", states.TRACING, states.TRACE),
)
# What is shown of a machine with a GPU.
CALLS = (
    *(
        (f"{name.replace('->', '→')}, {group}", group, name)
        for group in (states.NESTED, states.FLAT, states.TRANSFORMER)
        for name in (states.TWO_WAY, states.ONE_WAY)
    ),
    ("value_and_grad step, nested state", states.NESTED, "value_and_grad step"),
)
# What the README shows of them, and of whom.
CHARTED = ("tree.map, nested state", "jitted state → state", "construct, 6 fields", "read an attribute")
BESIDE = (OURS, "flax.struct", "equinox", "chex", "jax_dataclasses")
BAR = 40
_BY_SIZE = (
    *(structs.group(size) for size in structs.SIZES),
    *(structs.group(size, structs.STATICS) for size in structs.SIZES_WITH_STATICS),
)
# Title, groups and name of the rows.
COSTS = (
    *((f"{name}, 1 to 200 fields", _BY_SIZE, name) for name in ("==", "hash", "repr", "pickle")),
    *((f"{name}, {structs.NESTED}", (structs.NESTED,), name) for name in ("==", "hash", "repr", "pickle")),
    ("construct, with a field that `__post_init__` sets", (structs.group(3),), structs.CONSTRUCT_DERIVED),
    *((f"bytes of an object, {name}", (creation.MEMORY,), name) for name in map(structs.group, creation.MEMORY_SIZES)),
)


def write() -> list[Path]:
    """The pages, whose marked sections are written anew."""
    for page, sections in PAGES.items():
        page.write_text(filled(page.read_text(encoding="utf-8"), runs(), sections), encoding="utf-8")
    return [*PAGES]


def runs() -> list[Results]:
    """What the results files have, `results*.json`: one for each interpreter, the oldest first."""
    return sorted(map(results.load, FOLDER.glob("results*.json")), key=lambda run: run.version)


def filled(text: str, found: Sequence[Results], sections: Sections) -> str:
    """The text, with the lines between each pair of marks made from the results."""
    for name, section in sections.items():
        before, rest = text.split(BEGIN.format(name))
        _, after = rest.split(END.format(name))
        text = "\n".join([before + BEGIN.format(name), *section(found), END.format(name) + after])
    return text


def _environments(found: Sequence[Results]) -> Iterator[str]:
    for run in found:
        known = run.environment
        versions = ", ".join(f"{peer.name} {known[peer.name]}" for peer in PEERS if peer.name in known)
        yield f"- Python {known['python']} ({known['build']} build), JAX {known['jax']}, {versions};"
        yield f"  {known['processor']}, {known['cores']} cores, {known['system']}; {run.seconds:.0f} s."


def _limits(found: Sequence[Results]) -> Iterator[str]:
    """What must be reached, a column for each interpreter; what is not reached in bold."""
    yield from _head(["", "against", "at most", *(run.title for run in found)], left=2)
    values = [{(one.name, one.against): one for one in run.limits()} for run in found]
    for key in dict.fromkeys(key for known in values for key in known):
        limit = {f"{known[key].limit:g}" for known in values if key in known}
        yield _line([*key, " / ".join(sorted(limit)), *(_judged(known.get(key)) for known in values)])


def _judged(target: targets.Target | None) -> str:
    if target is None or target.value is None:
        return ""
    text = ratio_text(target.value)
    return text if target.verdict == "reached" else f"**{text}**"


def _growth(found: Sequence[Results]) -> Iterator[str]:
    """The exponents of `Struct` and of the drop-in, and what the largest size takes on the first interpreter."""
    yield from _head(["", "in", *(f"{run.title}: Struct / drop-in" for run in found), "from", "to", "takes"], left=2)
    known = [{(growth.group, growth.name): growth for growth in run.growths} for run in found]
    for group, name in dict.fromkeys(key for growths in known for key in growths):
        growths = [one.get((group, name)) for one in known]
        cells = [
            " / ".join(
                _judged(targets.exponent(growth, peer))
                for peer in (OURS, DROP_IN)
                if growth is not None and peer in growth.exponents
            )
            for growth in growths
        ]
        first = next(growth for growth in growths if growth is not None)
        sizes = SIZES.get(group, (0,))
        unit = "bytes" if name == "bytes of an object" else "s"
        yield _line([name, group, *cells, str(sizes[0]), f"{first.largest:,}", value_text(first.seconds, unit)])


def _costs(found: Sequence[Results]) -> Iterator[str]:
    """Ratios to a standard dataclass, where it is the faster one or the smaller one."""
    yield from _head(["structkit / stdlib dataclass", *(run.title for run in found)], left=1)
    for title, groups, name in COSTS:
        yield _line([title, *(_range(run, groups, name) for run in found)])


def _range(run: Results, groups: Sequence[str], name: str) -> str:
    rows = by_key(run.rows)
    ratios = [rows[group, name].over(STANDARD) for group in groups if (group, name) in rows]
    known = [ratio for ratio in ratios if ratio is not None]
    return " to ".join(dict.fromkeys([f"{min(known):.1f}", f"{max(known):.1f}"])) if known else ""


def _unflatten(found: Sequence[Results]) -> Iterator[str]:
    """What unflattening takes beyond what it takes for raw tuples, for few fields and for many."""
    sizes = (6, 48)
    yield from _head(["", *(f"{run.title}, {structs.group(size)}" for run in found for size in sizes)], left=1)
    rows = [by_key(run.rows).get((structs.group(size), "unflatten")) for run in found for size in sizes]
    for peer in measured([row for row in rows if row is not None]):
        known = [row.best if row is not None and peer in row.best else None for row in rows]
        takes = [best[peer] - (best[TUPLES] if peer != TUPLES else 0.0) if best else None for best in known]
        title = f"{peer} (all of it)" if peer == TUPLES else peer
        yield _line([title, *("" if value is None else value_text(value) for value in takes)])


def _times(found: Sequence[Results]) -> Iterator[str]:
    """The times behind the chart, of every peer, on each interpreter."""
    for run in found:
        yield from ["", f"Python {run.title}:", ""]
        yield from _table(run, PANELS)
    yield ""


def _on_device(_: Sequence[Results]) -> Iterator[str]:
    """The times of compiled functions on a GPU, of every peer."""
    run = results.load(ON_DEVICE)
    known = run.environment
    yield from ["", f"Python {run.title}, one {known['device']}, {known['processor']}:", ""]
    yield from _table(run, CALLS)
    yield ""


def _table(run: Results, panels: Sequence[tuple[str, str, str]]) -> Iterator[str]:
    rows, peers = by_key(run.rows), measured(run.rows)
    yield from _head(["", f"**{OURS}**", *peers[1:]], left=1)
    for title, group, name in panels:
        best = rows[group, name].best if (group, name) in rows else {}
        first, *cells = [value_text(best[peer]) if peer in best else "" for peer in peers]
        yield _line([title, f"**{first}**" if first else "", *cells])


def _chart(found: Sequence[Results]) -> Iterator[str]:
    """The first interpreter's bars, of characters: they show wherever a README is shown."""
    run = found[0]
    rows = by_key(run.rows)
    yield "```text"
    for title, group, name in PANELS:
        if title in CHARTED:
            best = {peer: rows[group, name].best[peer] for peer in BESIDE}
            yield title
            for peer, value in best.items():
                bar = "█" * max(1, round(BAR * value / max(best.values())))
                yield f"  {peer:<{max(map(len, BESIDE))}}  {bar:<{BAR}} {value_text(value):>8}"
            yield ""
    yield f"Python {run.title}"
    yield "```"


def _head(titles: Sequence[str], left: int) -> Iterator[str]:
    yield _line(titles)
    yield _line(["---"] * left + ["--:"] * (len(titles) - left))


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |".replace("|  |", "| |").replace("|  |", "| |")


Sections = dict[str, Callable[[Sequence[Results]], Iterator[str]]]
SECTIONS: Sections = {
    "limits": _limits,
    "growth": _growth,
    "costs": _costs,
    "unflatten": _unflatten,
    "times": _times,
    "runs": _environments,
    "gpu": _on_device,
}
PAGES: dict[Path, Sections] = {PAGE: SECTIONS, README: {"chart": _chart}}
