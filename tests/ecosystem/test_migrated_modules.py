"""A library of equinox modules computes the same bits after `structkit-migrate`, with the classes that it leaves."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import structkit
from tests.migrate._cases import run_migrate, write_files

PROGRAMS = pathlib.Path(__file__).parents[1] / "migrate" / "programs"
LEFT = [
    "paths.py:8: left: AbstractPath stays as it is: t0 is an AbstractVar; write an abstract property",
    "paths.py:14: left: Sine stays as it is: AbstractPath (paths.py:7) does, a base of it",
]


def run(folder):
    path = os.pathsep.join([str(folder), str(pathlib.Path(structkit.__file__).parents[1])])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", folder / "run_solvers.py"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def test_solvers_of_the_kind_of_diffrax_give_the_same_bits(tmp_path):
    shutil.copytree(PROGRAMS, tmp_path, dirs_exist_ok=True)
    theirs = run(tmp_path)
    texts, remarks = run_migrate(tmp_path / "solvers")
    assert remarks == LEFT
    write_files(tmp_path / "solvers", texts)
    ours = run(tmp_path)
    assert theirs.pop("structs") == []
    assert len(ours.pop("structs")) == 11
    assert ours == theirs
    assert theirs["leaves"] == 79 and theirs["refused"] == "ValueError"
    assert run_migrate(tmp_path / "solvers") == (texts, LEFT)
