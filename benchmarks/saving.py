"""States in files: how long saving and loading take beside other libraries, and how much memory they need.

Each save ends with the file on the disk, and each load with arrays of JAX. At a lower effort the states are smaller.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.peers import EQUINOX, OURS
from benchmarks.rows import Row
from benchmarks.timing import Timing
from structkit import Struct, state

SAFETENSORS, MSGPACK, ORBAX, DATA = "safetensors", "flax.serialization", "orbax", "the data"
GROUP = "states in files"
LARGE, MANY, FEW = "1 GB in 200 leaves", "100,000 small leaves", "20 small leaves"
MEMORY = "anonymous memory on top"


class Layer(Struct):
    """Two leaves."""

    weight: Any
    bias: Any


class Model(Struct):
    """Many layers."""

    layers: list[Layer]


# In each round: what it takes to touch new memory differs tenfold on a virtual machine, and comes to an end.
_LOADS = 4


@dataclass(frozen=True)
class Saver:
    """How a library saves a tree to a path, and loads it again into the form of a tree.

    Attributes:
        package: what has to be installed.
        save: from a path and a tree.
        load: from a path and a tree to a tree.
    """

    package: str
    save: Callable[[Path, Any], object]
    load: Callable[[Path, Any], Any]


# They have no types, and not all of them are there.
_module: Callable[[str], Any] = importlib.import_module
_ready: Any = jax.block_until_ready


def _synced(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def _names(tree: Any) -> dict[str, Any]:
    return {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def _save_safetensors(path: Path, tree: Any) -> None:
    _module("safetensors.flax").save_file(_names(tree), str(path))
    _synced(path)


def _load_safetensors(path: Path, like: Any) -> Any:
    found = _module("safetensors.flax").load_file(str(path))
    return jax.tree.unflatten(jax.tree.structure(like), [found[name] for name in _names(like)])


def _save_equinox(path: Path, tree: Any) -> None:
    _module("equinox").tree_serialise_leaves(path.with_suffix(".eqx"), tree)
    _synced(path.with_suffix(".eqx"))


def _load_equinox(path: Path, like: Any) -> Any:
    return _module("equinox").tree_deserialise_leaves(path.with_suffix(".eqx"), like)


def _save_msgpack(path: Path, tree: Any) -> None:
    path.write_bytes(_module("flax.serialization").to_bytes(tree))
    _synced(path)


def _load_msgpack(path: Path, like: Any) -> Any:
    return jax.tree.map(jnp.asarray, _module("flax.serialization").from_bytes(like, path.read_bytes()))


def _save_orbax(path: Path, tree: Any) -> None:
    _module("orbax.checkpoint").v1.save(path, tree, overwrite=True)


def _load_orbax(path: Path, like: Any) -> Any:
    return _module("orbax.checkpoint").v1.load(path, jax.eval_shape(lambda: like))


SAVERS = {
    OURS: Saver("jax", state.save, state.load),
    SAFETENSORS: Saver("safetensors", _save_safetensors, _load_safetensors),
    EQUINOX: Saver("equinox", _save_equinox, _load_equinox),
    MSGPACK: Saver("flax", _save_msgpack, _load_msgpack),
    ORBAX: Saver("orbax-checkpoint", _save_orbax, _load_orbax),
}


def _is_here(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


@dataclass(frozen=True)
class Saving:
    """Two rows to be: to save a state and to load it.

    Attributes:
        name: of the state.
        leaves: how many it has.
        size: of one leaf, in numbers of 32 bits.
        rounds: how often.
        scaled: which of the two a lower effort makes smaller, `"leaves"` or `"size"`; nothing for neither.
        without: the libraries that take minutes for it.
    """

    name: str
    leaves: int
    size: int
    rounds: int
    scaled: str = ""
    without: tuple[str, ...] = ()
    group: str = field(default=GROUP, init=False)

    def measure(self, factor: float) -> list[Row]:
        """The rows, measured for `factor` times the time."""
        part = min(1.0, factor)
        leaves = max(20, round(self.leaves * part)) if self.scaled == "leaves" else self.leaves
        size = max(8, round(self.size * part)) if self.scaled == "size" else self.size
        savers = {name: one for name, one in SAVERS.items() if name not in self.without and _is_here(one.package)}
        with tempfile.TemporaryDirectory() as folder:
            times = _race(savers, _state(leaves, size), max(2, round(self.rounds * part)), Path(folder))
        return [
            Row.of(GROUP, row_name(what, self.name), {name: Timing.of(samples) for name, samples in found.items()})
            for what, found in times.items()
        ]


def row_name(what: str, name: str) -> str:
    """The name of the row for `"save"` or `"load"`."""
    return f"{what} {name}"


def _state(leaves: int, size: int) -> Model:
    values = np.random.default_rng(0).standard_normal(size, np.float32)
    layers = [Layer(jnp.asarray(values + i), jnp.asarray(values - i)) for i in range(leaves // 2)]
    ready: Model = _ready(Model(layers))
    return ready


def _race(savers: dict[str, Saver], tree: Any, rounds: int, folder: Path) -> dict[str, dict[str, list[float]]]:
    times: dict[str, dict[str, list[float]]] = {what: {name: [] for name in savers} for what in ("save", "load")}
    order, shuffle = list(savers), random.Random(0).shuffle
    for _ in range(rounds):
        shuffle(order)
        for name in order:
            path = folder / name
            # Arrays of their own: JAX keeps what numpy was given of an array.
            fresh = _ready(jax.tree.map(jnp.copy, tree))
            # What the others have left to the disk is not to be waited for.
            os.sync()
            times["save"][name].append(_seconds(savers[name].save, path, fresh))
            del fresh
            times["load"][name].extend([_seconds(savers[name].load, path, tree) for _ in range(_LOADS)])
    return times


def _seconds(work: Callable[..., Any], *arguments: Any) -> float:
    start = time.perf_counter()
    _ready(work(*arguments))
    return time.perf_counter() - start


def workloads() -> Iterator[Saving]:
    """What is measured."""
    yield Saving(FEW, 20, 100, 40)
    yield Saving(LARGE, 200, 1_250_000, 6, "size")
    yield Saving(MANY, 100_000, 8, 3, "leaves", without=(ORBAX,))


_MEMORY_SCRIPT = """
import json, sys, tempfile, threading, time
import jax, jax.numpy as jnp, numpy as np
from structkit import state

size, folder = int(sys.argv[1]), sys.argv[2]


def anonymous():
    with open("/proc/self/smaps_rollup") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Anonymous:"))


def most(work):
    base, done, seen = anonymous(), threading.Event(), []

    def watch():
        while not done.wait(0.002):
            seen.append(anonymous())

    thread = threading.Thread(target=watch)
    thread.start()
    result = jax.block_until_ready(work())
    seen.append(anonymous())
    done.set()
    thread.join()
    return max(seen) - base, result


tree = jax.block_until_ready([jnp.full(size, i, jnp.float32) for i in range(200)])
state.save(folder + "/warm", tree[:2])
state.load(folder + "/warm", tree[:2])
saved, _ = most(lambda: state.save(folder + "/tree", tree))
loaded, _ = most(lambda: state.load(folder + "/tree", tree))
print(json.dumps([saved, loaded, size * 4 * 200]))
"""


def memory(factor: float) -> list[Row]:
    """The anonymous memory that saving and loading take on top, in a process of its own; nothing without `/proc`."""
    if not Path("/proc/self/smaps_rollup").exists():
        return []
    size = max(20_000, round(1_250_000 * min(1.0, factor)))
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", _MEMORY_SCRIPT, str(size), folder]
        environment = {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": os.pathsep.join(sys.path)}
        shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    saved, loaded, data = json.loads(shown)
    rows = {}
    for what, took in (("save", saved), ("load", loaded)):
        rows[what] = {OURS: float(max(1, took)), DATA: float(data)}
    return [Row(GROUP, row_name(what, MEMORY), best, "bytes") for what, best in rows.items()]
