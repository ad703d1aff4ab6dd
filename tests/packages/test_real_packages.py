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


@pytest.mark.parametrize("backend", ["positional", "generalized"])
def test_brax_steps_an_ant_to_the_same_bits(backend):
    compare("brax_ant", backend, ways=("late",))


def test_evosax_evolves_the_same_populations():
    compare("evosax_sphere")


def test_flax_trains_a_linen_model_to_the_same_bits():
    _, reports = compare("flax_itself")
    assert "structkit.struct" in reports["early"]["partitioned"]


@pytest.mark.parametrize("package", ["xminigrid", "navix", "pgx", "flashbax", "craftax", "jaxmarl"])
def test_other_packages_step_to_the_same_bits(package):
    compare("others", package, ways=("late",))


def test_clu_collects_the_same_metrics():
    compare("others", "clu")


def test_transformers_gives_the_same_outputs_by_field_key_and_index():
    compare("others", "transformers")


def test_mujoco_mjx_steps_to_the_same_bits():
    compare("others", "mujoco_mjx", ways=("late",))
