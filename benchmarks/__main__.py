"""Measure everything, print the tables, write `results.json` and `results.png`: `python -m benchmarks`.

With `--docs` nothing is measured: the tables in `docs/performance.md` are written anew from the results files.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from tqdm import tqdm

from benchmarks import chart, creation, docs, growth, report, states, structs
from benchmarks.peers import Workshop

FOLDER = Path(__file__).parent
IMPORT_ROUNDS = 6


def main() -> None:
    """Run what the command line asks for."""
    options = _options()
    if options.docs:
        print(f"Wrote {docs.write(FOLDER)}")
        return
    results = measure(options.effort)
    print(report.text(results))
    results.save(options.output)
    picture = options.output.with_suffix(".png")
    chart.draw(report.load(options.output), picture)
    print(f"\nWrote {options.output} and {picture}")


def measure(effort: float) -> report.Results:
    """The results of a run.

    Args:
        effort: what to multiply the measuring time with.
    """
    start = time.perf_counter()
    workshop = Workshop()
    for name, reason in workshop.missing.items():
        print(f"{name} is not here ({reason}); going on with the others")
    # States first, in a process that holds little else, as a training loop does: a heap full of a thousand classes and
    # their leftovers tells on what allocates most.
    workloads = [*states.workloads(workshop), *structs.workloads(workshop), *creation.workloads(workshop)]
    series = [*growth.series(workshop)]
    rows, growths = [], []
    with tqdm(total=len(workloads) + len(series) + 2, unit="row", leave=False, disable=None) as progress:
        for workload in workloads:
            progress.set_description(f"{workload.group}: {workload.name}")
            rows.append(workload.measure(effort))
            progress.update()
        for one in series:
            progress.set_description(f"growth in {one.group}: {one.name}")
            growths.append(one.measure(effort))
            progress.update()
        progress.set_description("memory")
        rows.extend(creation.memory(workshop))
        growths.append(growth.memory(workshop))
        progress.update()
        progress.set_description("imports")
        rows.append(creation.imports(workshop, max(1, round(IMPORT_ROUNDS * min(1.0, effort)))))
        progress.update()
    seconds = time.perf_counter() - start
    return report.Results(report.environment(workshop), workshop.missing, rows, growths, seconds)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--output", type=Path, default=FOLDER / "results.json", help="where the results go")
    parser.add_argument("--effort", type=float, default=1.0, help="what to multiply the measuring time with")
    parser.add_argument("--docs", action="store_true", help="write the tables in docs/performance.md anew")
    return parser.parse_args()


if __name__ == "__main__":
    main()
