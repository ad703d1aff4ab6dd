"""The plugin of pytest: what a failing `assert a == b` of structs prints, and that it is silent otherwise."""

import os
import pathlib
import subprocess
import sys
import textwrap
import tomllib
import zipfile

import pytest

from tests.models import DEFAULTS

ROOT = pathlib.Path(__file__).parent.parent
CLASSES = """
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from structkit import Struct, field, static, struct

class Layer(Struct):
    weight: jax.Array
    name: str = static(default="layer")

@struct.dataclass
class State:
    step: int
    mode: str = struct.field(pytree_node=False, default="train")

class Mutable(Struct, frozen=False):
    x: object

ones = jnp.ones(3)
nan = jnp.array([1.0, jnp.nan])
"""


def run(folder, source, *flags):
    """What pytest prints that runs a module with this source."""
    (folder / "test_it.py").write_text(textwrap.dedent(source))
    # A folder without a configuration, so that this project's does not count.
    (folder / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "structkit_pytest", "-q", *flags]
    path = os.pathsep.join([str(ROOT), *map(os.path.abspath, sys.path)])
    # Without the plugins of other packages, which import what they like.
    changes = {"PYTHONPATH": path, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "COLUMNS": "120"}
    environment = {**os.environ, **changes, **DEFAULTS}
    environment.pop("PYTEST_ADDOPTS", None)
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout


def explanations(output):
    """The lines that explain each failed test, by its name."""
    found = {}
    for line in output.splitlines():
        if line.startswith("____"):
            found[name := line.strip("_ ").removeprefix("test_")] = []
        elif line.startswith("E "):
            found[name].append(line.removeprefix("E").strip().removeprefix("AssertionError: "))
    return {name: [line for line in lines if line] for name, lines in found.items()}


def failing(assertions):
    """The source of a module with a test for each assertion."""
    return "\n".join([CLASSES, *[f"def test_{name}():\n    {code}\n" for name, code in assertions.items()]])


FAILING = {
    "structs": (
        'Layer(ones) == Layer(ones * 2, name="head")',
        "Layer == Layer",
        [
            ".name: static: 'layer' against 'head'",
            ".weight: value: 3 of 3 elements differ, by 1 at most (relative: 0.5)",
        ],
    ),
    "dataclasses": (
        'State(1) == State(2, mode="test")',
        "State == State",
        [".mode: static: 'train' against 'test'", ".step: value: 1 against 2 (by 1, relative: 0.5)"],
    ),
    "lists": (
        "[1, Layer(ones)] == [1, Layer(jnp.ones(4)), 2]",
        "list == list",
        ["[1].weight: shape: (3,) against (4,)", "[2]: structure: only in b: 2"],
    ),
    "dicts": (
        '{"a": (State(1),), 2: 3} == {"a": (State(2),)}',
        "dict == dict",
        ["['a'][0].step: value: 1 against 2 (by 1, relative: 0.5)", "[2]: structure: only in a: 3"],
    ),
    "classes": ("Layer(1) == State(1)", "Layer == State", ["the tree: class: Layer against State"]),
    "nan": ("Layer(nan) == Layer(nan)", "Layer == Layer: NaN only, which is equal to nothing", [".weight"]),
    "nan_in_lists": (
        '[Layer({"w": nan, "k": jax.random.key(0)})] == [Layer({"w": nan, "k": jax.random.key(0)})]',
        "list == list: NaN only, which is equal to nothing",
        ["[0].weight['w']"],
    ),
    "nan_and_weak_types": (
        "State([jnp.asarray(1.0), float('nan')]) == State([jnp.array(1.0, jnp.float32), float('nan')])",
        "State == State: NaN only, which is equal to nothing",
        [".step[1]"],
    ),
}


@pytest.fixture(scope="module")
def explained(tmp_path_factory):
    source = failing({name: f"assert {code}" for name, (code, *_) in FAILING.items()})
    return explanations(run(tmp_path_factory.mktemp("failing"), source))


@pytest.mark.parametrize("name", FAILING)
def test_a_failing_comparison_of_structs_prints_the_differences_by_path(explained, name):
    _, summary, lines = FAILING[name]
    assert explained[name] == [f"assert {summary}", *lines]


OTHERS = {
    "numbers": "assert [1, 2] == [1, 3]",
    "texts": "assert {'a': 'x'} == {'a': 'y'}",
    "unequal": "assert Layer(1) != Layer(1)",
    "identity": "assert Layer(1) is Layer(1)",
    "membership": "assert Layer(1) in [Layer(2)]",
    "order": "assert [Layer(1)] > [Layer(1)]",
    "none": "assert Layer(1) == None",
    "one_side": "assert [1] == [Layer(1)]",
    "approximate": "assert [1.0] == pytest.approx([2.0])",
    "arrays": "assert list(np.ones(2)) == list(np.zeros(2))",
    "passes": "assert Layer(1) == Layer(1)",
    "other_errors": "raise ValueError('text')",
    # What this plugin has nothing to say of, or fails at.
    "own_equality": "assert OwnEquality(1) == OwnEquality(1)",
    "itself": "assert itself(1) == itself(2)",
    "raising": "assert Raising(a=Layer(1)) == Raising(a=Layer(2))",
    "deep": "assert deep(1) == deep(2)",
}
SUPPORT = """
class OwnEquality(Struct):
    x: int

    def __eq__(self, other):
        return False

class Raising(dict):
    def values(self):
        raise ValueError

def itself(n):
    tree = Mutable(n)
    tree.x = [n, tree]
    return [tree, n]

def deep(x):
    for _ in range(2500):
        x = Layer(x)
    return x
"""


def test_of_everything_else_the_text_is_that_of_pytest(tmp_path):
    outputs = [run(tmp_path, failing(OTHERS) + SUPPORT, *flags) for flags in ([], ["-p", "no:structkit_pytest"])]
    with_plugin, without = map(explanations, outputs)
    assert with_plugin == without
    assert set(with_plugin) == {*OTHERS} - {"passes"}


def test_the_first_hundred_differences_are_printed_and_the_others_counted(tmp_path):
    many = {
        "values": "State([*range(300)]) == State([i + 1 for i in range(300)])",
        "nans": "State([float('nan') for _ in range(300)]) == State([float('nan') for _ in range(300)])",
    }
    source = failing({name: f"assert {code}" for name, code in many.items()})
    for lines in explanations(run(tmp_path, source, "-vvv")).values():
        assert len(lines) == 102 and lines[100].startswith(".step[99]") and lines[101] == "... and 200 more"


def test_it_works_in_the_processes_of_xdist(tmp_path):
    source = failing({"one": "assert State(1) == State(2)", "two": "assert State(1) == State(1)"})
    output = run(tmp_path, source, "-p", "xdist", "-n", "1")
    assert ".step: value: 1 against 2 (by 1, relative: 0.5)" in output
    assert "1 failed, 1 passed" in output


def test_without_rewritten_assertions_it_is_silent(tmp_path):
    output = run(tmp_path, failing({"one": "assert State(1) == State(2)"}), "--assert=plain")
    assert "1 failed" in output and "against" not in output


def test_it_imports_nothing_before_a_comparison_of_structs_fails(tmp_path):
    output = run(
        tmp_path,
        """
        import sys

        def test_fails():
            assert {"a": [1, 2]} == {"a": [1, 3]}

        def test_after_it():
            assert "structkit_pytest" in sys.modules
            assert not {"structkit", "jax", "jaxlib", "numpy"} & set(sys.modules)
        """,
    )
    assert "1 failed, 1 passed" in output


def test_the_distribution_has_the_module_and_names_it_to_pytest():
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert table["project"]["entry-points"] == {"pytest11": {"structkit_pytest": "structkit_pytest"}}
    assert "structkit_pytest.py" in table["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert (ROOT / "structkit_pytest.py").exists()


def test_a_built_wheel_has_both(tmp_path):
    wheel = pytest.importorskip("hatchling.builders.wheel", reason="hatchling builds the distribution")
    (path,) = wheel.WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with zipfile.ZipFile(path) as archive:
        assert "structkit_pytest.py" in archive.namelist()
        (entry_points,) = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        assert archive.read(entry_points).decode().split() == [
            "[pytest11]",
            "structkit_pytest",
            "=",
            "structkit_pytest",
        ]
