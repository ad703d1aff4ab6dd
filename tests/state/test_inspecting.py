"""What is in a file, without its data."""

import functools
import os
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest

import structkit
from structkit import state
from structkit.errors import StateError
from structkit.state import _codec
from structkit.state.__main__ import main
from tests.models import shown
from tests.state.trees import Layer, net


@pytest.fixture
def file(tmp_path):
    return tmp_path / "tree"


def test_a_static_value_that_is_nested_without_end_has_words_too():
    code = functools.reduce(lambda inner, _: {"tuple": [inner]}, range(10_000), 1)
    assert _codec.described(code) == "a value that is nested too deeply"


def test_the_table_has_every_leaf_and_static(file):
    state.save(file, net())
    versions = ", ".join(f"{name} {version}" for name, version in state.inspect(file).versions.items())
    assert str(state.inspect(file)).splitlines() == [
        f"{file}: tests.state.trees:Net, 6 leaves, 104 bytes",
        f"written by {versions}; checksums {state.inspect(file).checksum}",
        "",
        "path                dtype                    shape   bytes  origin",
        ".layers[0][0].w     float32                  (3, 4)  48     jax",
        ".layers[0][1].w     bfloat16                 (2,)    4      jax",
        ".layers[0][1].b[0]  int32                    ()      4      weak",
        ".layers[1].x        int64                    (4,)    32     numpy",
        ".layers[1].y        key<fry> (threefry2x32)  ()      8      key",
        ".step               Python int               ()      8      python",
        "",
        "static                    value",
        ".name                     'net'",
        ".layers[0][0].activation  jax.nn:relu",
        ".layers[0][1].activation  jax.nn:relu",
    ]


def test_what_commands_a_terminal_is_shown_and_not_printed(file):
    state.save(file, {"\x1b[2J": 1, "é": Layer(2, activation="\x1b[31m")})
    shown = str(state.inspect(file))
    assert "\x1b" not in shown
    assert "['é'].activation" in shown


def test_the_contents_as_data(file):
    state.save(file, Layer(jnp.ones((2, 3)), np.float64(1), activation=lambda x: x))
    found = state.inspect(file)
    assert found.entries == (
        state.Entry(".w", "jax", "float32", (2, 3), 24),
        state.Entry(".b", "scalar", "float64", (), 8),
    )
    assert found.statics == {".activation": "<function, not written>"}
    assert found.opaque == (".activation",)
    assert found.nbytes == 32
    assert set(found.versions) == {"structkit", "jax", "numpy", "python"}
    assert found.versions["structkit"] == structkit.__version__


@pytest.mark.parametrize("tree", [1, None, (), {"a": {}}, [1, 2]], ids=shown)
def test_trees_without_much_have_a_table_too(file, tree):
    state.save(file, tree)
    kind = "leaf" if tree == 1 else "none" if tree is None else type(tree).__name__
    assert str(state.inspect(file)).startswith(f"{file}: {kind}, ")


def test_a_large_int_takes_the_bytes_that_it_needs(file):
    state.save(file, [2**63 - 1, -(2**63), 2**63, 2**71 - 1, 2**71])
    assert [entry.nbytes for entry in state.inspect(file).entries] == [8, 8, 9, 9, 10]


def test_the_data_is_not_read(file):
    state.save(file, [np.zeros(1000)])
    whole = file.read_bytes()
    file.write_bytes(whole[:-1000] + bytes([1] * 1000))
    assert state.inspect(file).entries[0].shape == (1000,)
    with pytest.raises(StateError, match=r"has damaged data in \[0\]; restore the file from a copy"):
        state.load(file, list)


def test_the_command_prints_tables_and_errors(file, capsys):
    state.save(file, [1])
    assert main([str(file)]) == 0
    assert capsys.readouterr().out == f"{state.inspect(file)}\n"
    assert main([str(file), str(file) + "x"]) == 1
    assert capsys.readouterr().err == f"{file}x: cannot be read: No such file or directory; check the name\n"
    for arguments in ([], ["--help"]):
        assert main(arguments) == 2
        assert capsys.readouterr().err == "usage: python -m structkit.state FILE ...\n"


def test_python_m_prints_the_table_in_the_letters_that_its_terminal_has(file):
    state.save(file, {"é": 1})
    command = [sys.executable, "-m", "structkit.state", file]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
    for encoding, name in (("utf-8", "é"), ("ascii", "\\xe9")):
        environment["PYTHONIOENCODING"] = encoding
        done = subprocess.run(command, env=environment, capture_output=True, encoding=encoding, check=True)
        assert done.stdout == f"{state.inspect(file)}\n".replace("é", name)
