"""The exact texts of `pformat` and `summary`."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import wadler_lindig

from structkit import Struct, field, pformat, static, summary


class Linear(Struct):
    weight: Any
    bias: Any = None
    activation: Any = static(default=jax.nn.relu)


class Model(Struct):
    layers: Any
    name: str = static(default="model")


class Point(NamedTuple):
    x: Any
    y: Any


@dataclasses.dataclass
class Plain:
    a: Any = 1


class Shout(Struct):
    x: Any

    def __repr__(self):
        return f"SHOUT {self.x}"


class Broken:
    def __repr__(self):
        raise RuntimeError("no text")


class Huge(Struct):
    x: Any
    hidden: Any = field(default=0, repr=False)


TEXTS = [
    (1, "1"),
    ("a", "'a'"),
    (None, "None"),
    ([], "[]"),
    ((1,), "(1,)"),
    ({"a": [1, 2]}, "{'a': [1, 2]}"),
    (jnp.ones((2, 3)), "f32[2,3]"),
    (np.ones((2, 3), np.int8), "i8[2,3](numpy)"),
    ([jnp.ones(()), jax.random.key(0)], "[f32[], key<fry>[]]"),
    (jax.nn.relu, "relu"),
    (jnp.float32, "float32"),
    (Linear, "Linear"),
    (Point(jnp.ones(1), None), "Point(x=f32[1], y=None)"),
    (Plain(), "Plain(a=1)"),
    (Linear(jnp.ones((784, 128))), "Linear(weight=f32[784,128], bias=None, activation=relu)"),
    ({"model": Model([Shout(1)])}, "{'model': Model(layers=[SHOUT 1], name='model')}"),
    (Huge(1, 2), "Huge(x=1)"),
]


@pytest.mark.parametrize("i", range(len(TEXTS)))
def test_pformat_gives_short_text(i):
    tree, expected = TEXTS[i]
    assert pformat(tree) == expected


def test_pformat_of_a_struct_is_its_repr():
    for tree in (Linear(jnp.ones(3)), Model([Linear(np.ones(3)), Shout(2)] * 5), Huge(1)):
        assert pformat(tree) == repr(tree)


def test_pformat_wraps_at_the_width_and_indents():
    model = Model([Linear(jnp.ones((2, 3)), jnp.ones(3)), None], "name")
    assert pformat(model, width=200) == (
        "Model(layers=[Linear(weight=f32[2,3], bias=f32[3], activation=relu), None], name='name')"
    )
    assert pformat(model, width=60) == (
        "Model(\n"
        "  layers=[\n"
        "    Linear(weight=f32[2,3], bias=f32[3], activation=relu),\n"
        "    None\n"
        "  ],\n"
        "  name='name'\n"
        ")"
    )
    assert pformat(model, width=30, indent=4) == (
        "Model(\n"
        "    layers=[\n"
        "        Linear(\n"
        "            weight=f32[2,3],\n"
        "            bias=f32[3],\n"
        "            activation=relu\n"
        "        ),\n"
        "        None\n"
        "    ],\n"
        "    name='name'\n"
        ")"
    )
    assert pformat([Linear(1), Linear(2)], width=50) == (
        "[\n  Linear(weight=1, bias=None, activation=relu),\n  Linear(weight=2, bias=None, activation=relu)\n]"
    )


def test_pformat_ends_at_cycles_and_shows_shared_objects_each_time():
    tree: list[Any] = [1]
    tree.append(Model(tree))
    assert pformat(tree) == "[1, Model(layers=<recursive>, name='model')]"
    shared = Linear(1, 2, None)
    once = "Linear(weight=1, bias=2, activation=None)"
    assert pformat((shared, shared)) == f"({once}, {once})"


def test_pformat_survives_values_whose_repr_raises_inside_structs():
    assert pformat(Model(Broken())) == "Model(layers=<Broken whose repr raises RuntimeError>, name='model')"


def test_a_number_that_python_does_not_print_is_named_by_its_type():
    # Python refuses to write more than some thousands of digits.
    assert repr(Model(10**5000)) == "Model(layers=<int whose repr raises ValueError>, name='model')"


def test_a_custom_document_of_the_callers_is_asked_for_numbers_too():
    def custom(value):
        return wadler_lindig.TextDoc("N") if isinstance(value, int) else None

    text = wadler_lindig.pformat(Linear(1, [2], "a"), custom=custom)
    assert text == "Linear(weight=N, bias=[N], activation='a')"


def test_pformat_shows_tracers_and_deleted_arrays():
    seen = []
    jax.jit(lambda x: seen.append(pformat({"x": x})))(jnp.ones(3))
    assert seen == ["{'x': f32[3]}"]
    gone = jnp.ones(3)
    gone.delete()
    assert pformat([gone]) == "[f32[3](deleted)]"


def test_summary_is_a_table_of_the_leaves_with_totals():
    model = Model([Linear(jnp.ones((784, 128)), jnp.zeros(128)), Linear(jnp.ones((128, 10), jnp.bfloat16))])
    assert summary(model) == (
        "path               type    shape       dtype     parameters    bytes\n"
        "--------------------------------------------------------------------\n"
        ".layers[0].weight  Linear  (784, 128)  float32      100,352  401,408\n"
        ".layers[0].bias    Linear  (128,)      float32          128      512\n"
        ".layers[1].weight  Linear  (128, 10)   bfloat16       1,280    2,560\n"
        "--------------------------------------------------------------------\n"
        "total                                               101,760  404,480"
    )


def test_summary_counts_inexact_leaves_as_parameters_and_all_leaves_as_bytes():
    tree = {
        "complex": jnp.ones(2, jnp.complex64),
        "count": jnp.int32(3),
        "flags": jnp.ones(5, bool),
        "host": np.ones(2, np.float64),
        "key": jax.random.key(0),
        "number": 1.5,
        "step": 7,
        "yes": True,
    }
    rows = [line.split() for line in summary(tree).splitlines()[2:-2]]
    assert [(row[0], *row[-3:]) for row in rows] == [
        ("['complex']", "complex64", "2", "16"),
        ("['count']", "int32", "0", "4"),
        ("['flags']", "bool", "0", "5"),
        ("['host']", "float64", "2", "16"),
        ("['key']", "key<fry>", "0", "8"),
        ("['number']", "float32", "1", "4"),
        ("['step']", "int32", "0", "4"),
        ("['yes']", "bool", "0", "1"),
    ]
    assert summary(tree).splitlines()[-1].split() == ["total", "5", "58"]


def test_summary_takes_shapes_without_arrays():
    abstract = jax.eval_shape(lambda: Linear(jnp.ones((3, 4)), jnp.zeros(4)))
    assert summary(abstract) == summary(Linear(jnp.ones((3, 4)), jnp.zeros(4)))


def test_summary_works_inside_a_trace():
    seen = []
    model = Linear(jnp.ones((3, 4)), jnp.zeros(4))
    jax.jit(lambda m: seen.append(summary(m)))(model)
    assert seen == [summary(model)]


def test_summary_lists_leaves_that_are_no_arrays():
    assert summary(Linear("text", object)) == (
        "path     type    shape  dtype  parameters  bytes\n"
        "------------------------------------------------\n"
        ".weight  Linear  str                    0      0\n"
        ".bias    Linear  type                   0      0\n"
        "------------------------------------------------\n"
        "total                                   0      0"
    )


def test_summary_of_a_tree_without_leaves_has_a_total_of_zero():
    empty = (
        "path   type  shape  dtype  parameters  bytes\n"
        "--------------------------------------------\n"
        "--------------------------------------------\n"
        "total                               0      0"
    )
    assert summary(Linear(None)) == empty
    assert summary(None) == empty
    assert summary([]) == empty


def test_summary_names_the_node_that_holds_each_leaf():
    tree = [Point(jnp.ones(1), Linear({"a": jnp.ones(1)})), (jnp.ones(1),)]
    rows = [line.split()[:2] for line in summary(tree).splitlines()[2:-2]]
    assert rows == [["[0].x", "Point"], ["[0].y.weight['a']", "dict"], ["[1][0]", "tuple"]]


def test_summary_of_a_single_array_shows_its_own_type():
    assert summary(jnp.ones(3)).splitlines()[2].split() == ["ArrayImpl", "(3,)", "float32", "3", "12"]


def test_summary_of_deleted_arrays_still_counts():
    model = Linear(jnp.ones(3))
    expected = summary(model)
    model.weight.delete()
    assert summary(model) == expected
