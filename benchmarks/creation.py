"""Workloads on classes and modules: creating a class, importing a library, and the bytes of an object."""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
import subprocess
import sys
import tracemalloc
import types
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.peers import OURS, Peer, Shape, Workshop, renamed
from benchmarks.rows import Row, Workload
from benchmarks.timing import Effort, Snippet, Timing
from structkit import _codegen

CLASSES, IMPORTS, MEMORY = "class creation", "import", "bytes of an object"
IMPORT_ROW = "import, over import jax"
PLAIN, INHERITED, NEW_SHAPE = "", ", half of them inherited", ", of a shape not seen before"
CLASS_ROWS = tuple((size, kind) for size in (6, 48) for kind in (PLAIN, INHERITED, NEW_SHAPE))
MEMORY_SIZES = (3, 6, 48)
BATCH = 8
"""How many classes are created in a row, as a module does."""
_EFFORT = Effort(3.0, least=10, most=200)

_serials = itertools.count()


def workloads(workshop: Workshop) -> Iterator[Workload]:
    """The workloads that create classes.

    Args:
        workshop: the peers.
    """
    for size, kind in CLASS_ROWS:
        yield Workload(CLASSES, class_row(size, kind), partial(creating, workshop, size, kind), _EFFORT)


def class_row(size: int, kind: str) -> str:
    """What tables call the row.

    Args:
        size: the number of fields.
        kind: one of `PLAIN`, `INHERITED`, `NEW_SHAPE`.
    """
    return f"{size} fields{kind}"


def creating(workshop: Workshop, size: int, kind: str = PLAIN) -> dict[str, Snippet]:
    """The snippets that create a class whose field names were never seen before.

    structkit compiles once for each *shape* of class (how many fields, which are static, ...), and most classes of a
    program have a shape that another one has. `NEW_SHAPE` has it forget all shapes before each class.

    Args:
        workshop: the peers.
        size: the number of fields.
        kind: `PLAIN`, `INHERITED` for a class with half of its fields from a base, or `NEW_SHAPE`.
    """
    inherited = kind == INHERITED
    forget = "forget(); " if kind == NEW_SHAPE else ""
    found = {}
    for peer in workshop.peers.values():
        if peer.is_class:
            scope = workshop.scope(peer)
            own = size // 2 if inherited else size
            base = renamed(Shape.of(size - own), next(_serials)) if inherited else None
            if base is not None:
                workshop.scope(peer, base)
            codes = _codes(peer, Shape.of(own), base.name if base is not None else None)
            # The class bodies are compiled beforehand, as those of a module that has been imported before.
            found[peer.name] = Snippet(
                f"{forget}exec(next(ready), scope)",
                {"codes": codes, "scope": scope, "islice": itertools.islice, "forget": _codegen.template.cache_clear},
                setup=f"ready = iter([*islice(codes, {BATCH})])",
                calls=BATCH,
            )
    return found


def _codes(peer: Peer, shape: Shape, base: str | None) -> Iterator[types.CodeType]:
    for serial in _serials:
        yield compile(peer.source(renamed(shape, serial, base)), "<benchmark>", "exec")


_IMPORT = """
import jax, sys, time
start = time.perf_counter()
for module in sys.argv[1:]:
    __import__(module)
print(time.perf_counter() - start)
"""


def imports(workshop: Workshop, rounds: int) -> Row:
    """The row of import times over `import jax`, each in a new interpreter; the peers get a third of the rounds.

    Args:
        workshop: the peers.
        rounds: how many interpreters to start for structkit.
    """
    samples: dict[str, list[float]] = {}
    for i in range(rounds):
        for peer in workshop.peers.values():
            if peer.package is not None and (peer.name == OURS or i % 3 == 0):
                samples.setdefault(peer.name, []).append(_import_seconds(peer.modules))
    times = {name: Timing.of(found) for name, found in samples.items()}
    return Row(IMPORTS, IMPORT_ROW, times)


def _import_seconds(modules: tuple[str, ...]) -> float:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[1]), environment.get("PYTHONPATH", "")])
    command = [sys.executable, "-c", _IMPORT, *modules]
    return float(subprocess.run(command, env=environment, capture_output=True, check=True, text=True).stdout)


def memory(workshop: Workshop) -> Iterator[Row]:
    """The rows of bytes per object. What the fields hold is shared and not counted.

    Args:
        workshop: the peers.
    """
    for size in MEMORY_SIZES:
        bytes_ = {peer.name: bytes_per_object(workshop, peer, size) for peer in workshop.peers.values()}
        times = {name: Timing.of([value]) for name, value in bytes_.items()}
        yield Row(MEMORY, f"{size} fields", times, unit="bytes")


_ALLOCATE = """
def allocate(kept):
    for i in range(len(kept)):
        kept[i] = {construct}
"""


def bytes_per_object(workshop: Workshop, peer: Peer, size: int) -> float:
    """The bytes that an object takes, as `tracemalloc` counts them.

    Args:
        workshop: the peers.
        peer: whose object.
        size: the number of fields.
    """
    shape = Shape.of(size)
    names: dict[str, Any] = {**workshop.scope(peer, shape), **_values(size)}
    exec(_ALLOCATE.format(construct=peer.construct(shape, list(_values(size)))), names)
    count = max(10, 2000 // size)
    # The first round also pays for what is made once; and another thread may allocate in any of them.
    return min(_bytes_allocated(names["allocate"], count) for _ in range(4)) / count


def _bytes_allocated(allocate: Callable[[list[Any]], None], count: int) -> int:
    kept: list[Any] = [None] * count
    # Hands back the memory that Python keeps for new tuples, which would not be counted.
    with _frozen_heap():
        gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        allocate(kept)
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()


@contextlib.contextmanager
def _frozen_heap() -> Iterator[None]:
    """Makes collections short: what is alive now is not looked at."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _values(size: int) -> Mapping[str, float]:
    return {f"v{i}": float(i) for i in range(size)}
