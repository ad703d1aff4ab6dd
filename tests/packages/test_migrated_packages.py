"""Packages built on `flax.struct` give the same bits after `structkit-migrate` rewrote their sources to `Struct`."""

import importlib.util
import os
import pathlib
import shutil
import tempfile

import pytest

from structkit._migrate.command import main
from tests.packages.test_real_packages import run

# What the command leaves to a person, by package: gymnax's wrapper around evojax, whose class is of another package.
LEFT = {
    "gymnax": ["wrappers/evojax.py:17: left: GymState stays as it is: its base TaskState is not among the given files"],
    "evosax": [],
}


@pytest.mark.parametrize("package, program", [("gymnax", "gymnax_all"), ("evosax", "evosax_sphere")])
def test_a_migrated_package_gives_the_same_bits(package, program, tmp_path, monkeypatch, capsys):
    source = pathlib.Path(importlib.util.find_spec(package).origin).parent
    copy = tmp_path / package
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
    assert main([str(copy), "--write"]) == (1 if LEFT[package] else 0)
    *remarks, summary = capsys.readouterr().err.splitlines()
    assert [remark.removeprefix(f"{copy}/") for remark in remarks] == LEFT[package]
    assert not summary.startswith("0 of")
    main([str(copy)])
    assert capsys.readouterr().out == ""

    with tempfile.TemporaryDirectory() as compiled:
        theirs = run(program, "flax", compiled=compiled)
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
        ours = run(program, "flax", compiled=compiled)
    assert theirs["leaves"] > 0
    assert (ours["digest"], ours["leaves"]) == (theirs["digest"], theirs["leaves"])
    assert (ours.get("ran"), ours.get("failed")) == (theirs.get("ran"), theirs.get("failed"))
    assert (theirs["classes"], ours["classes"]) == ("flax.struct", "structkit.struct")
