"""Packages built on `flax.struct` give the same bits with `structkit.struct` in its place.

Each program runs in processes of its own: with flax's module, with ours put there after flax is imported (`late`), and
with ours put there before (`early`), so that flax's own classes are ours too. The processes share what XLA compiled,
which makes the second one several times as fast where both trace to the same program. Run with `-s` to see the times.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

import pytest

PROGRAMS = pathlib.Path(__file__).parent / "programs"
ROOT = PROGRAMS.parents[2]
STEPPED = ["xminigrid", "navix", "pgx", "flashbax", "craftax", "jaxmarl", "mujoco_mjx"]


def run(program, how, *arguments, compiled):
    """What the program reports, with flax's module or with ours in its place; `compiled` is the cache of XLA."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "JAX_COMPILATION_CACHE_DIR": compiled,
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", PROGRAMS / f"{program}.py", how, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


def compare(program, *arguments, ways=("late", "early")):
    """Runs the program in all ways, compares the bits, prints the times; returns the reports."""
    with tempfile.TemporaryDirectory() as compiled:
        theirs = run(program, "flax", *arguments, compiled=compiled)
        reports = {way: run(program, way, *arguments, compiled=compiled) for way in ways}
    assert theirs["leaves"] > 0
    for way, report in reports.items():
        for name, seconds in theirs["seconds"].items():
            ratio = report["seconds"][name] / seconds
            print(f"{program} {' '.join(arguments)} {way}: {name}: {ratio:.2f} of flax's {1000 * seconds:.2f} ms")
        assert (report["digest"], report["leaves"]) == (theirs["digest"], theirs["leaves"])
        assert report.get("classes", "structkit.struct").startswith("structkit")
    return theirs, reports


def test_gymnax_takes_the_same_steps_in_every_environment():
    theirs, reports = compare("gymnax_all", ways=("late",))
    assert theirs["ran"] and reports["late"]["ran"] == theirs["ran"] and reports["late"]["failed"] == theirs["failed"]


@pytest.mark.parametrize(
    "program", ["brax_ant positional", "brax_ant generalized", *(f"others {package}" for package in STEPPED)]
)
def test_packages_step_to_the_same_bits(program):
    compare(*program.split(), ways=("late",))


@pytest.mark.parametrize("program", ["evosax_sphere", "others clu", "others transformers"])
def test_packages_whose_classes_flax_has_a_part_in_give_the_same_either_way(program):
    compare(*program.split())


def test_flax_trains_a_linen_model_to_the_same_bits():
    _, reports = compare("flax_itself")
    assert "structkit.struct" in reports["early"]["partitioned"]
