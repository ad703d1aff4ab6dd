"""Static values in files: what is written and how it is found again, without anything being imported or called."""

import dataclasses
import functools
import math
import sys
import types
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import optax
import pytest

from structkit import Struct, freeze, state, static
from structkit.errors import StateError
from tests.models import Coordinates, Level, Point, run_python, shown
from tests.state import trees
from tests.state.trees import Access, Colour, Config, Dropped, Layer, Slotted, module_function


class Holder(Struct):
    value: Any = static()


@pytest.fixture
def file(tmp_path):
    return tmp_path / "tree"


WRITTEN = [
    None,
    True,
    0,
    -(2**80),
    10**5000,
    1.5,
    -0.0,
    float("-inf"),
    1 - 2j,
    "é\ud800",
    b"\0\xff",
    ...,
    range(1, 9, 2),
    (),
    (1, (2.0, "a", None)),
    frozenset({1, "a", (2,)}),
    Coordinates(1, (2,)),
    Colour.BLUE,
    Level.TWO,
    Access.READ,
    Access.READ | Access.RUN,
    Access(0),
    np.dtype("float32"),
    np.dtype(ml_dtypes.bfloat16),
    np.float32,
    jnp.float32,
    jnp.bfloat16,
    int,
    Config,
    np.float16(1.5),
    np.int64(3),
    Config(3, ("a", Slotted(1)), "note"),
    Slotted(4),
    Point((1, 2)),
    Layer(1, activation=jax.nn.gelu),
    Dropped(1, n=(2,)),
    freeze({"a": [1, 2], 3: {"b": {4}}}),
    freeze(np.arange(6.0).reshape(2, 3)),
    freeze(np.ones(2, ml_dtypes.bfloat16)),
    freeze(np.array("text")),
    freeze(np.zeros((0, 3))),
    jax.nn.relu,
    jax.nn.gelu,
    jnp.sin,
    jnp.tanh,
    np.sin,
    len,
    math.sin,
    module_function,
    optax.sgd,
    jax.nn.initializers.zeros,
]


@pytest.mark.parametrize("value", WRITTEN, ids=shown)
def test_a_value_that_is_written_comes_back_and_is_told_from_others(file, value):
    tree = Holder(value)
    assert state.save(file, tree) == ()
    found = state.load(file, Holder)
    assert type(found.value) is type(value)
    assert found == tree
    assert jax.tree.structure(found) == jax.tree.structure(tree)
    assert state.load(file, tree).value is value
    for other in ["other", 1, 1.0, 0.0, (), (1,), Colour.RED, jax.nn.silu, Config(3), Point(1)]:
        if jax.tree.structure(Holder(other)) != jax.tree.structure(tree):
            with pytest.raises(StateError, match=r"\.value: static: .* was saved, the target has"):
                state.load(file, Holder(other))


OPAQUE = {
    "a lambda": lambda x: x,
    "a local function": (lambda: lambda x: x)(),
    "an optax transformation": optax.adam(1e-3),
    "what vmap gives, which claims to be another": jax.vmap(jnp.sin),
    "what jit gives": jax.jit(module_function),
    "a partial function": functools.partial(module_function, 1),
    "a mesh": jax.make_mesh((1,), ("x",)),
    "an initializer": jax.nn.initializers.normal(),
    "an object": object(),
    "a method": "a".join,
    "in a tuple": (1, lambda x: x),
    "a function whose name leads to another": types.FunctionType(module_function.__code__, {}, "module_function"),
    "a class in a function": type("Local", (), {}),
}


@pytest.mark.parametrize("value", OPAQUE.values(), ids=OPAQUE)
def test_what_cannot_be_written_is_named_and_the_value_of_the_target_stands(file, value):
    tree = {"a": [Holder(value), Holder(1)]}
    assert state.save(file, tree) == ("['a'][0].value",)
    assert state.inspect(file).opaque == ("['a'][0].value",)
    assert state.load(file, tree)["a"][0].value is value
    other = {"a": [Holder("other"), Holder(1)]}
    assert state.load(file, other)["a"][0].value == "other"
    with pytest.raises(StateError, match="was not written: give an instance that has it"):
        state.load(file, dict)


def test_a_value_whose_class_has_changed_is_that_of_an_instance_with_strict_false(file, monkeypatch):
    state.save(file, Holder(Config(1, ("a",))))
    grown = dataclasses.make_dataclass("Config", [("n", int), ("names", tuple), ("more", int, 0)], frozen=True)
    grown.__module__ = Config.__module__
    monkeypatch.setattr(sys.modules[Config.__module__], "Config", grown)
    with pytest.raises(StateError) as error:
        state.load(file, Holder)
    assert "has other fields than names, note, width: give an instance and strict=False, which takes its value" in str(
        error.value
    )
    mine = grown(2, ("b",))
    assert state.load(file, Holder(mine), strict=False)[0].value is mine


def test_a_written_value_is_not_one_that_cannot_be_written(file):
    state.save(file, Holder(jax.nn.relu))
    with pytest.raises(StateError, match=r"static: jax\.nn:relu was saved"):
        state.load(file, Holder(lambda x: x))


@pytest.mark.parametrize(
    "pair", [(1, True), (1, 1.0), (0.0, -0.0), (True, 1), ("1", 1), ((1,), (1.0,)), (b"a", "a")], ids=shown
)
def test_equal_values_that_trace_to_other_programs_are_other_values(file, pair):
    state.save(file, Holder(pair[0]))
    with pytest.raises(StateError):
        state.load(file, Holder(pair[1]))


def test_functions_are_written_by_their_public_module(file):
    state.save(file, [*map(Holder, (jax.nn.relu, jnp.sin, np.sin, len, optax.sgd))])
    names = ["jax.nn:relu", "jax.numpy:sin", "numpy:sin", "builtins:len", "optax:sgd"]
    assert [*state.inspect(file).statics.values()] == names


def test_nothing_is_imported_or_called_for_a_name(file, monkeypatch):
    state.save(file, Holder(trees.module_function))
    monkeypatch.delitem(sys.modules, "tests.state.trees")
    events = []
    monkeypatch.setattr("builtins.__import__", lambda name, *rest: events.append(name) or importing(name, *rest))
    with pytest.raises(StateError, match=r"tests\.state\.trees:module_function is not among the loaded modules"):
        state.load(file, Holder)
    assert "tests.state.trees" not in events


importing = __import__


def test_a_module_that_loads_late_is_left_alone(file, monkeypatch):
    """A name is looked up in the dict of its module: neither its `__getattr__` nor that of a class runs."""

    class Loud(type):
        def __getattr__(cls, name):
            raise AssertionError

    module = types.ModuleType("loud")
    module.__getattr__ = lambda name: 1 / 0
    module.Loud = Loud("Loud", (), {"__module__": "loud"})
    monkeypatch.setitem(sys.modules, "loud", module)
    state.save(file, Holder(module.Loud))
    assert state.load(file, Holder).value is module.Loud
    del module.Loud
    with pytest.raises(StateError, match="loud:Loud is not among the loaded modules"):
        state.load(file, Holder)


SCRIPT = """
import dataclasses, sys
from typing import Any
from structkit import Struct, state, static

@dataclasses.dataclass(frozen=True)
class Options:
    n: int

def act(x):
    return x

class Model(Struct):
    w: Any
    act: Any = static(default=act)
    options: Any = static(default=Options(3))
"""


CHECK = """
for like in (Model(2.0), Model):
    found = state.load(FILE, like)
    assert found == Model(1.0) and found.act is act and type(found.options) is Options
assert state.load(FILE + "s", list) == [Model(1.0)]
"""


def test_main_equals_any_module(tmp_path):
    (tmp_path / "train.py").write_text(SCRIPT)
    start = f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\nFILE = {str(tmp_path / 'tree')!r}\n"
    save = "state.save(FILE, Model(1.0)), state.save(FILE + 's', [Model(1.0)])\n"
    load_module = "from train import Model, Options, act, state\n"
    for writing, reading in ((SCRIPT, load_module), (load_module, SCRIPT)):
        run_python(start + writing + save)
        run_python(start + reading + CHECK)


def test_one_function_under_two_names_is_one_function(file, monkeypatch):
    """Which public module has it depends on what is loaded."""
    for name in ("pack_of_tests", "pack_of_tests.api", "pack_of_tests._code"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    exec("def act(x): return x", vars(sys.modules["pack_of_tests._code"]))
    act = sys.modules["pack_of_tests.api"].act = sys.modules["pack_of_tests._code"].act
    state.save(file, Holder(act))
    assert state.inspect(file).statics == {".value": "pack_of_tests.api:act"}
    sys.modules["pack_of_tests"].act = act
    for like in (Holder(act), Holder):
        assert state.load(file, like).value is act


def test_the_class_of_a_struct_is_recorded_and_not_compared(file):
    state.save(file, Holder(Layer(1, 2)))
    assert state.load(file, Holder(type("Other", (Layer,), {})(1, 2)))
    assert state.inspect(file).root == "tests.state.test_statics:Holder"
    with pytest.raises(StateError):
        state.load(file, Holder(Layer(1, 3)))


def test_a_dataclass_that_keeps_more_than_its_fields_is_not_written(file):
    config = Config(1)
    object.__setattr__(config, "more", 2)
    assert state.save(file, Holder(config)) == (".value",)
