"""Measure everything, print the tables, write `results.json` and the picture of it: `python -m benchmarks`.

On a machine with an accelerator, only what calls it: states and compiled functions on them. With `--docs` nothing is
measured: the figures in `docs/performance.md` are written anew from the results files.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
from tqdm import tqdm

from benchmarks import batches, chart, creation, docs, growth, report, saving, sharding, states, structs, trees
from benchmarks.peers import Workshop
from benchmarks.results import Results, environment
from benchmarks.rows import Row

IMPORT_ROUNDS = 4
RESULTS = docs.FOLDER / "results.json"


def main() -> None:
    """Run what the command line asks for."""
    options = _options()
    if options.docs:
        print("Wrote", *docs.write())
        return
    results = measure(options.effort)
    print(report.text(results))
    results.save(options.output)
    picture = docs.PICTURE if options.output == RESULTS else options.output.with_suffix(".png")
    chart.draw(results, picture)
    print(f"\nWrote {options.output} and {picture}")


def measure(effort: float) -> Results:
    """The results of a run, measured for `effort` times the usual time."""
    start = time.perf_counter()
    workshop = Workshop()
    for name, reason in workshop.missing.items():
        print(f"{name} is not here ({reason}); going on with the others")
    rounds = max(1, round(IMPORT_ROUNDS * min(1.0, effort)))
    on_cpu = jax.default_backend() == "cpu"
    # States first, in a process that holds little else, as a training loop does: a heap full of a thousand classes and
    # their leftovers tells on what allocates most.
    modules = (states, trees, batches, sharding, structs, creation) if on_cpu else (states,)
    workloads = [one for module in modules for one in module.workloads(workshop)]
    steps: list[tuple[str, Callable[[], Any]]] = [
        (f"{one.group}: {one.name}", partial(one.measure, effort)) for one in workloads
    ]
    if on_cpu:
        steps += [
            ("memory", partial(creation.memory, workshop)),
            ("imports", partial(creation.imports, workshop, rounds)),
            ("growth of memory", partial(growth.memory, workshop)),
            *((f"{one.group}: {one.name}", partial(one.measure, effort)) for one in saving.workloads()),
            ("memory of states in files", partial(saving.memory, effort)),
            *((f"growth in {one.group}: {one.name}", partial(one.measure, effort)) for one in growth.series(workshop)),
        ]
    found: list[Any] = []
    with tqdm(steps, unit="row", leave=False, disable=None) as progress:
        for name, measure in progress:
            progress.set_description(name)
            result = measure()
            found.extend(result if isinstance(result, list) else [result])
    rows = [one for one in found if isinstance(one, Row)]
    growths = [one for one in found if isinstance(one, growth.Growth)]
    return Results(environment(workshop), workshop.missing, time.perf_counter() - start, rows, growths)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--output", type=Path, default=RESULTS, help="where the results go")
    parser.add_argument("--effort", type=float, default=1.0, help="what to multiply the measuring time with")
    parser.add_argument("--docs", action="store_true", help="write the figures of the pages and the README anew")
    return parser.parse_args()


if __name__ == "__main__":
    main()
