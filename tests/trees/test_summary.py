"""The exact tables of `summary`."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from structkit import summary
from tests.models import Linear, Pair


class Corner(NamedTuple):
    x: object
    y: object


def zeros(*shape, dtype=jnp.float32):
    return jnp.zeros(shape, dtype)


def rows(tree):
    return [line.split() for line in summary(tree).splitlines()[2:-2]]


def test_a_table_has_the_leaves_with_totals():
    assert summary([Linear(zeros(784, 128), zeros(128)), Linear(zeros(128, 10, dtype=jnp.bfloat16))]) == (
        "path        type    shape       dtype     parameters    bytes\n"
        "-------------------------------------------------------------\n"
        "[0].weight  Linear  (784, 128)  float32      100,352  401,408\n"
        "[0].bias    Linear  (128,)      float32          128      512\n"
        "[1].weight  Linear  (128, 10)   bfloat16       1,280    2,560\n"
        "-------------------------------------------------------------\n"
        "total                                        101,760  404,480"
    )


def test_leaves_that_are_no_arrays_are_listed_without_sizes():
    assert summary(Linear("text", object)) == (
        "path     type    shape  dtype  parameters  bytes\n"
        "------------------------------------------------\n"
        ".weight  Linear  str                    0      0\n"
        ".bias    Linear  type                   0      0\n"
        "------------------------------------------------\n"
        "total                                   0      0"
    )


@pytest.mark.parametrize("tree", [Linear(None), None, []])
def test_a_tree_without_leaves_has_a_total_of_zero(tree):
    assert summary(tree) == (
        "path   type  shape  dtype  parameters  bytes\n"
        "--------------------------------------------\n"
        "--------------------------------------------\n"
        "total                               0      0"
    )


def test_inexact_leaves_count_as_parameters_and_all_leaves_as_bytes():
    tree = {
        "complex": zeros(2, dtype=jnp.complex64),
        "count": jnp.int32(3),
        "flags": zeros(5, dtype=bool),
        "host": np.ones(2, np.float64),
        "key": jax.random.key(0),
        "yes": True,
    }
    assert [(row[0], *row[-3:]) for row in rows(tree)] == [
        ("['complex']", "complex64", "2", "16"),
        ("['count']", "int32", "0", "4"),
        ("['flags']", "bool", "0", "5"),
        ("['host']", "float64", "2", "16"),
        ("['key']", "key<fry>", "0", "8"),
        ("['yes']", "bool", "0", "1"),
    ]
    assert summary(tree).splitlines()[-1].split() == ["total", "4", "50"]


def test_a_python_number_has_the_size_of_the_array_that_jax_makes_of_it():
    for number, parameters in ((1.5, "1"), (1j, "1"), (7, "0")):
        array = jnp.asarray(number)
        assert rows([number]) == [["[0]", "list", "()", str(array.dtype), parameters, str(array.nbytes)]]


def test_shapes_tracers_and_deleted_arrays_count_as_arrays():
    pair = Pair(zeros(3, 4), zeros(4))
    expected, seen = summary(pair), []
    jax.jit(lambda p: seen.append(summary(p)))(pair)
    assert summary(jax.eval_shape(lambda: pair)) == seen[0] == expected
    pair.x.delete()
    assert summary(pair) == expected


def test_a_row_names_the_node_that_holds_the_leaf():
    tree = [Corner(zeros(1), Pair({"a": zeros(1)})), (zeros(1),)]
    held = [["[0].x", "Corner"], ["[0].y.x['a']", "dict"], ["[1][0]", "tuple"]]
    assert [row[:2] for row in rows(tree)] == held
    assert rows(zeros(3)) == [["ArrayImpl", "(3,)", "float32", "3", "12"]]
