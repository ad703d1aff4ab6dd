"""What `assert_same_static` compares, and what it says in two processes."""

import collections
import functools
import json
import os
import pickle
import re
import socket
import subprocess
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, Mesh

from structkit import Struct, errors, freeze, sharding, static, struct
from structkit._trees.processes import differences, static_texts
from tests.models import DEFAULTS, Box, Colour, Linear, Pair, Point, Ring, Standard, run_python


class Config(Struct):
    rate: Any = static(default=0.1)
    inner: Any = None


@struct.dataclass
class DropIn:
    x: Any
    size: int = struct.field(pytree_node=False, default=3)


def text_of(value):
    return static_texts(Config(value))[".rate"]


def test_one_process_is_like_itself():
    assert sharding.assert_same_static(Config(lambda: 1)) is None


def test_each_node_leaf_and_static_field_has_a_text_by_its_path():
    tree = {"a": [Linear(jnp.ones(3), activation=max), None], "b": DropIn(1.0), "c": Ring(2.0, 5)}
    assert static_texts(tree) == {
        "": "builtins.dict",
        "['a']": "builtins.list",
        "['a'][0]": "tests.models.Linear",
        "['a'][0].activation": "builtins.max",
        "['a'][0].weight": "a leaf",
        "['a'][0].bias": "None",
        "['a'][1]": "None",
        "['b']": "tests.sharding.test_processes.DropIn",
        "['b'].size": "3",
        "['b'].x": "a leaf",
        "['c']": "tests.models.Ring with 5",
        "['c'][<flat index 0>]": "a leaf",
    }


def with_rate(rate):
    def schedule(step, scale=2):
        return rate * step * scale

    return schedule


class Schedule:
    """An object without a repr, whose attributes say what it computes."""

    def __init__(self, rate, **more):
        self.rate = rate
        self.__dict__.update(more)

    @functools.cached_property
    def table(self):
        return [self.rate]


class Slotted:
    __slots__ = ("rate",)

    def __init__(self, rate):
        self.rate = rate


def late():
    def outer():
        return inner

    text = text_of(outer)
    inner = outer
    return text, text_of(outer)


def test_the_texts_of_static_values_have_no_addresses_and_say_what_differs():
    line = with_rate.__code__.co_firstlineno + 1
    name = f"tests.sharding.test_processes.with_rate.<locals>.schedule of line {line}"
    assert re.fullmatch(rf"{re.escape(name)}, code [0-9a-f]{{8}} with 0=2, rate=0.5", text_of(with_rate(0.5)))
    assert text_of(functools.partial(with_rate, rate=3)) == "partial(tests.sharding.test_processes.with_rate, rate=3)"
    assert text_of(Config) == "tests.sharding.test_processes.Config"
    assert text_of(Colour.RED) == "tests.models.Colour.RED"
    assert text_of(Standard((1, "x"))) == "tests.models.Standard(x=(1, 'x'))"
    assert text_of(object()) == "<object object>"
    assert text_of(Schedule(0.5, steps=2)) == "tests.sharding.test_processes.Schedule(rate=0.5, steps=2)"
    assert text_of(Point(1.0)) == "tests.models.Point(x=1.0)"
    assert text_of((1, True, 1.0, "1", None)) == "(1, True, 1.0, '1', None)"
    assert text_of(freeze({"b": [1], "a": {2, 1}})) == "{a={1, 2}, b=(1)}"
    assert text_of(freeze(np.arange(3.0))) == "freeze(array([0., 1., 2.])), with the CRC-32 34d9082a"
    assert text_of(with_rate(np.arange(3.0))).endswith("rate=array([0., 1., 2.]), with the CRC-32 34d9082a")
    assert text_of(with_rate(jnp.ones((2, 3), jnp.float32))).endswith("rate=float32[2, 3], with the CRC-32 29dd1225")
    assert text_of(Shown("A(x={('b', {2, 1}), '}{,', (3, 1)}, y=[2, 1])")) == (
        "A(x={'}{,', ('b', {1, 2}), (3, 1)}, y=[2, 1])"
    )
    assert text_of(np.dtype("float32")) == "dtype('float32')"
    assert text_of(Standard(1).__eq__) == "tests.models.Standard(x=1).__eq__"


class Shown:
    """An object with a repr of its own."""

    def __init__(self, text):
        self.text = text

    def __repr__(self):
        return self.text


A, B = Schedule(0.1), Schedule(0.2)
DEVICES = np.array(jax.devices()[:1])


def test_values_that_compute_different_things_have_different_texts():
    pairs = [
        (optax.adam(0.1), optax.adam(0.2)),
        (with_rate(0.1), with_rate(0.2)),
        (lambda x: x, lambda x: 2 * x),
        (lambda x: x + 1, lambda x: x - 1),
        (lambda x: jnp.sin(x), lambda x: jnp.cos(x)),
        (lambda x: [2 * y for y in x], lambda x: [3 * y for y in x]),
        (jax.nn.relu, jax.nn.gelu),
        (1, True),
        (freeze(np.zeros(2000)), freeze(np.eye(2000)[5])),
        (functools.partial(with_rate, 1), functools.partial(with_rate, 2)),
        *[(made_by(with_rate(0.1)), made_by(with_rate(0.2))) for made_by in (jax.jit, jax.custom_jvp, functools.cache)],
        (with_rate(jnp.ones(2)), with_rate(jnp.zeros(2))),
        (with_rate(jax.random.key(0)), with_rate(jax.random.key(1))),
        (Schedule(0.1), Schedule(0.2)),
        (Slotted(0.1), Slotted(0.2)),
        (functools.wraps(max)(Schedule(0.1)), functools.wraps(max)(Schedule(0.2))),
        (Schedule([Schedule(0.1)]).__init__, Schedule([Schedule(0.2)]).__init__),
        (Schedule((A, B, A)), Schedule((A, B, B))),
        (Mesh(DEVICES, "x"), Mesh(DEVICES, "y")),
        (Mesh(DEVICES, "x", axis_types=(AxisType.Auto,)), Mesh(DEVICES, "x", axis_types=(AxisType.Explicit,))),
        (Shown("{(1, 2, 3, 4)}"), Shown("{(1, 3, 2, 4)}")),
        ("a  b", "a b"),
        ("x at 0x1", "x at 0x2"),
        (b"x at 0x1", b"x at 0x2"),
    ]
    for one, other in pairs:
        assert text_of(one) != text_of(other)
        assert text_of(one) == text_of(one)


def test_nodes_of_other_libraries_that_compute_different_things_have_different_texts():
    for made_by in (jax.tree_util.Partial, lambda schedule: Ring(1.0, schedule)):
        one, other = [static_texts(made_by(with_rate(rate))) for rate in (0.1, 0.2)]
        assert one != other
    assert static_texts(collections.OrderedDict(a=1))[""] == "collections.OrderedDict with ('a')"


def test_functions_that_hold_themselves_and_values_without_a_repr_have_texts():
    unfilled, filled = late()
    assert re.search(r"outer of line \d+, code [0-9a-f]+$", unfilled)
    assert filled.endswith("with inner=...")

    class Mute:
        def __repr__(self):
            raise ValueError("no")

    assert text_of(Mute()).endswith("Mute, which has no repr")
    nested: Any = ()
    for _ in range(100):
        nested = (nested, 1)
    assert "..." in text_of(nested)


def test_texts_are_the_same_whatever_the_seed_of_hashes():
    source = """
        import enum, json, optax, jax, types
        from structkit import Struct, static, freeze
        from structkit._trees.processes import static_texts

        class Config(Struct):
            x: object = static()

        class Groups(enum.Enum):
            NORMS = frozenset(["scale", "bias", "offset"])

        class Schedule:
            def __init__(self, *parts):
                self.parts = {*parts}

            def __hash__(self):
                return hash("schedule" * len(self.parts))

        class Held:
            def __init__(self, value):
                self.value = value

        names, inner = frozenset("abcdef"), Schedule()
        values = [names, freeze({"a": {"x", "y"}}), optax.adamw(0.1), jax.nn.gelu, lambda: {1}, object(), Groups.NORMS]
        shown = types.SimpleNamespace(a=1, b=[names, {names: (names, frozenset([names]))}])
        keyed = {names: 1, max: inner, Schedule(inner): 2, Groups.NORMS: 3}
        values += [Held(shown), Schedule(Schedule(inner, 1), Schedule(inner, 2)), Held(keyed)]
        print(json.dumps(static_texts([Config(value) for value in values])))
        """
    one, other = [run_python(source, PYTHONHASHSEED=seed) for seed in ("1", "2")]
    assert json.loads(one) == json.loads(other)


def test_what_one_process_has_looked_up_in_an_object_makes_no_difference():
    used = Schedule(0.1)
    assert used.table == [0.1]
    assert text_of(used) == text_of(Schedule(0.1))


def test_objects_that_hold_each_other_have_texts():
    one = Schedule(1)
    one.rate = (one, other := Schedule(one), other)
    name = "tests.sharding.test_processes.Schedule"
    assert text_of(one) == f"{name}(rate=(..., {name}(rate=...), {name} number 1))"
    many = [Schedule(i) for i in range(100)]
    for schedule in many:
        schedule.rate = many
    assert len(text_of(many[0])) < 100_000


def test_differences_say_the_path_the_values_and_whose_they_are():
    texts = [static_texts(tree) for tree in (Box([Config(0.1)]), Box([Config(0.2)]), Box([Config(0.2, Pair(1))]))]
    assert differences(texts, [[0, 3], [1], [2]]) == [
        ".item[0].rate: 0.1 in processes 0, 3, 0.2 in processes 1, 2",
        ".item[0].inner: None in processes 0, 1, 3, tests.models.Pair in process 2",
        ".item[0].inner.name: nothing in processes 0, 1, 3, 'pair' in process 2",
        ".item[0].inner.x: nothing in processes 0, 1, 3, a leaf in process 2",
        ".item[0].inner.y: nothing in processes 0, 1, 3, None in process 2",
    ]


def test_many_differences_and_many_processes_are_cut_short():
    texts = [static_texts([Config(i + j) for j in range(12)]) for i in range(2)]
    lines = differences(texts, [[*range(20)], [20]])
    assert lines[0] == "[0].rate: 0 in processes 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ..., 1 in process 20"
    assert len(lines) == 11
    assert lines[-1] == "and 2 more"
    assert differences([{"": "a leaf"}, {"": "None"}], [[0], [1]]) == [
        "the tree: a leaf in process 0, None in process 1"
    ]


def test_long_values_are_cut_to_where_they_begin_to_differ():
    texts = [static_texts(Config(optax.adam(rate))) for rate in (0.1, 0.2)]
    (line,) = differences(texts, [[0], [1]])
    assert len(line) < 300
    assert re.match(
        r"\.rate: \.\.\.\S.*step_size=-0\.1.* in process 0, \.\.\.\S.*step_size=-0\.2.* in process 1$", line
    )
    texts = [static_texts(Config(letter * 200)) for letter in "ab"]
    assert differences(texts, [[0], [1]]) == [f".rate: '{'a' * 119}... in process 0, '{'b' * 119}... in process 1"]


START = """
import sys, tempfile
import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec as P

jax.config.update("jax_num_cpu_devices", 2)
port, process = sys.argv[1:]
jax.distributed.initialize(f"127.0.0.1:{port}", 2, int(process), initialization_timeout=60)
from structkit import Struct, errors, field, sharding, state, static
"""

UNLIKE = """
class Config(Struct):
    x: jax.Array
    rate: float = static(default=0.1)

class Model(Struct):
    layers: list

alike = Model([Config(1.0), Config(None)])
sharding.assert_same_static(alike)
try:
    sharding.assert_same_static(Model([Config(1.0, 0.1 + int(process))]))
except errors.UnlikeProcessesError as error:
    print(error)
sharding.assert_same_static(alike)
mesh = jax.sharding.Mesh(jax.devices()[:: 1 - 2 * int(process)], "data")
for placed in (mesh, jax.NamedSharding(mesh, P("data"))):
    try:
        sharding.assert_same_static(Config(1.0, placed))
        print("alike")
    except errors.UnlikeProcessesError:
        print("unlike")
jax.distributed.shutdown()
"""

KEYS = """
class Train(Struct):
    weight: jax.Array = field(spec=P("data"))
    keys: jax.Array = field(spec=P("data"))
    key: jax.Array

mesh = jax.make_mesh((4,), ("data",))
train = Train(jnp.arange(8.0), jax.random.split(jax.random.key(1), (4, 3)), jax.random.key(0, impl="rbg"))
file = tempfile.mkdtemp() + "/train"
state.save(file, train)
whole, laid = sharding.shard(train, mesh, rules={"data": None}), sharding.shard(train, mesh)
for found in (laid, sharding.shard(laid, mesh), sharding.shard(whole, mesh), state.load(file, laid)):
    for leaf, whole in zip(jax.tree.leaves(found), jax.tree.leaves(train)):
        place = jax.NamedSharding(mesh, P("data") if leaf.ndim else P())
        assert leaf.sharding.is_equivalent_to(place, leaf.ndim)
        parts = leaf.addressable_shards
        assert len(parts) == 2 and all((part.data == whole[part.index[: leaf.ndim]]).all() for part in parts)
jax.distributed.shutdown()
"""


def in_two_processes(program):
    """What they print, when both have ended well."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    command = [sys.executable, "-c", START + program, str(port)]
    options = {"env": os.environ | DEFAULTS, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    running = [subprocess.Popen([*command, str(process)], text=True, **options) for process in range(2)]
    try:
        results = [process.communicate(timeout=120) for process in running]
    finally:
        for process in running:
            process.kill()
    for process, (_, said) in zip(running, results, strict=True):
        assert process.returncode == 0, said
    return [shown for shown, _ in results]


def test_two_processes_are_told_where_they_differ_and_go_on():
    for shown in in_two_processes(UNLIKE):
        # Below what gloo says.
        assert shown.endswith(
            "the processes have unlike trees, and would compute something wrong together:\n"
            "  .layers[0].rate: 0.1 in process 0, 1.1 in process 1\n"
            "unlike\nunlike\n"
        )


def test_random_keys_are_laid_on_the_devices_of_several_processes():
    in_two_processes(KEYS)


def test_the_error_is_an_assertion_that_can_be_pickled():
    error = errors.UnlikeProcessesError(["a: 1 in process 0, 2 in process 1"])
    assert isinstance(error, AssertionError)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    with pytest.raises(errors.StructError):
        raise error
