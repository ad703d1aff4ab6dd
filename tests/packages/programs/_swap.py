"""Puts `structkit.struct` in the place of `flax.struct`, and says what came out of a run."""

import hashlib
import json
import sys
import time

import jax
import numpy as np


def swap():
    """Do it when the first argument of the program says so; must run before the package under test is imported.

    `early` swaps before flax itself is imported, so that flax's own classes are made by structkit too.
    """
    how = sys.argv[1]
    if how == "flax":
        return
    from structkit import struct

    sys.modules["flax.struct"] = struct
    if how == "late":
        # Flax is imported with its own module first.
        del sys.modules["flax.struct"]
    import flax

    sys.modules["flax.struct"] = struct
    flax.struct = struct


def maker(cls):
    """The module that made a class a pytree."""
    structkit = sys.modules.get("structkit")
    return "structkit.struct" if structkit is not None and structkit.is_struct(cls) else "flax.struct"


class Report:
    """Collects results and times, and prints them as one line of JSON."""

    def __init__(self):
        self.digest = hashlib.sha256()
        self.leaves = 0
        self.seconds = {}

    def add(self, tree):
        """Take in every leaf of `tree`, bit for bit, with its dtype and shape."""
        for leaf in jax.tree.leaves(tree):
            if isinstance(leaf, jax.Array) and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
                leaf = jax.random.key_data(leaf)
            array = np.asarray(leaf)
            self.digest.update(f"{array.dtype}{array.shape}".encode() + array.tobytes())
            self.leaves += 1

    def time(self, name, function, rounds=100):
        """The result of `function()`, which is called once to warm up, and then timed: the least of several rounds."""
        result = jax.block_until_ready(function())
        times = []
        for _ in range(rounds):
            start = time.perf_counter()
            result = jax.block_until_ready(function())
            times.append(time.perf_counter() - start)
        self.seconds[name] = min(times)
        return result

    def print(self, **more):
        print(json.dumps({"digest": self.digest.hexdigest(), "leaves": self.leaves, "seconds": self.seconds, **more}))
