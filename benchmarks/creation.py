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
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import structs
from benchmarks.peers import OURS, Peer, Shape, Workshop
from benchmarks.rows import Row, Workload
from benchmarks.timing import Effort, Snippet, Timing
from structkit._core.initgen import template

CLASSES, IMPORTS, MEMORY = "class creation", "import", "bytes of an object"
IMPORT_ROW = "import, over import jax"
PLAIN, INHERITED, NEW_SHAPE = "", ", half of them inherited", ", of a shape not seen before"
CLASS_ROWS = tuple((size, kind) for size in (6, 48) for kind in (PLAIN, INHERITED, NEW_SHAPE))
MEMORY_SIZES = (3, 6, 48)
BATCH = 8
"""How many classes are created in a row, as a module does."""
_EFFORT = Effort(2.0, least=10, most=200)

_serials = itertools.count()


def workloads(workshop: Workshop) -> Iterator[Workload]:
    """The workloads that create classes."""
    for size, kind in CLASS_ROWS:
        yield Workload(CLASSES, class_row(size, kind), partial(creating, workshop, size, kind), _EFFORT)


def class_row(size: int, kind: str) -> str:
    """What tables call the row of classes with so many fields; one of `PLAIN`, `INHERITED`, `NEW_SHAPE`."""
    return f"{size} fields{kind}"


def creating(
    workshop: Workshop, size: int, kind: str = PLAIN, peers: Container[str] | None = None
) -> dict[str, Snippet]:
    """The snippets that create a class whose field names were never seen before.

    structkit compiles once for each *shape* of class (how many fields, which are static, ...), and most classes of a
    program have a shape that another one has. `NEW_SHAPE` has it forget all shapes before each class.

    Args:
        workshop: the peers.
        size: the number of fields.
        kind: `PLAIN`, `INHERITED` for a class with half of its fields from a base, or `NEW_SHAPE`.
        peers: whose class; None for all.
    """
    own = size // 2 if kind == INHERITED else size
    found = {}
    for peer in workshop.peers.values():
        if peer.is_class and (peers is None or peer.name in peers):
            scope, base = workshop.scope(peer), None
            if own < size:
                parent = Shape.of(size - own).renamed(next(_serials))
                workshop.scope(peer, parent)
                base = parent.name
            # The class bodies are compiled beforehand, as those of a module that has been imported before.
            codes = _new_classes(peer, Shape.of(own), base)
            found[peer.name] = Snippet(
                "forget(); exec(next(ready), scope)" if kind == NEW_SHAPE else "exec(next(ready), scope)",
                {"codes": codes, "scope": scope, "islice": itertools.islice, "forget": template.cache_clear},
                setup=f"ready = iter([*islice(codes, {BATCH})])",
                calls=BATCH,
            )
    return found


def of_one_name(peer: Peer, count: int) -> list[types.CodeType]:
    """So many class statements, compiled, of one name that no class had before, and of different fields."""
    name = f"Same{next(_serials)}"
    return [_compiled(peer, replace(Shape.of(3).renamed(next(_serials)), name=name)) for _ in range(count)]


def _new_classes(peer: Peer, shape: Shape, base: str | None) -> Iterator[types.CodeType]:
    for serial in _serials:
        yield _compiled(peer, shape.renamed(serial, base))


def _compiled(peer: Peer, shape: Shape) -> types.CodeType:
    return compile(peer.source(shape), "<benchmark>", "exec")


_IMPORT = """
import jax, sys, time
start = time.perf_counter()
for module in sys.argv[1:]:
    __import__(module)
print(time.perf_counter() - start)
"""


def imports(workshop: Workshop, rounds: int) -> Row:
    """The row of import times over `import jax`, in so many new interpreters each; a third of them for the peers."""
    samples: dict[str, list[float]] = {}
    for i in range(rounds):
        for peer in workshop.peers.values():
            if peer.package is not None and (peer.name == OURS or i % 3 == 0):
                samples.setdefault(peer.name, []).append(_import_seconds(peer.modules))
    return Row.of(IMPORTS, IMPORT_ROW, {name: Timing.of(found) for name, found in samples.items()})


def _import_seconds(modules: tuple[str, ...]) -> float:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[1]), environment.get("PYTHONPATH", "")])
    command = [sys.executable, "-c", _IMPORT, *modules]
    return float(subprocess.run(command, env=environment, capture_output=True, check=True, text=True).stdout)


def memory(workshop: Workshop) -> list[Row]:
    """The rows of bytes per object. What the fields hold is shared and not counted."""
    found = []
    for size in MEMORY_SIZES:
        bytes_ = {peer.name: bytes_per_object(workshop, peer, size) for peer in workshop.peers.values()}
        found.append(Row(MEMORY, structs.group(size), bytes_, "bytes"))
    return found


_ALLOCATE = """
def allocate(kept):
    for i in range(len(kept)):
        kept[i] = {construct}
"""


def bytes_per_object(workshop: Workshop, peer: Peer, size: int) -> float:
    """The bytes that an object with so many fields takes, as `tracemalloc` counts them."""
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
