"""The exact tables of `summary`."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, strategies as st
from jax import export

from structkit import errors, summary
from tests.models import Level, Linear, Model, Pair, Point, Ring, run_python


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
    for number, parameters in ((1.5, "1"), (1j, "1"), (7, "0"), (Level.TWO, "0")):
        array = jnp.asarray(number)
        assert rows([number]) == [["[0]", "list", "()", str(array.dtype), parameters, str(array.nbytes)]]


def test_a_number_of_numpy_is_listed_as_it_is():
    assert rows([np.float16(1.5), np.int8(2)]) == [
        ["[0]", "list", "()", "float16", "1", "2"],
        ["[1]", "list", "()", "int8", "0", "1"],
    ]


class Foreign:
    """An array of a library that JAX knows nothing of."""

    shape, dtype, sharding = (3,), "foreign.float", "everywhere"


def test_an_array_of_another_library_is_listed_by_its_type():
    assert rows([Foreign()]) == [["[0]", "list", "Foreign", "0", "0"]]


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


def test_a_subtree_at_the_depth_is_one_row_with_its_sums():
    layer = Linear(zeros(2, 3), zeros(3, dtype=jnp.bfloat16))
    tree = Model([layer, layer], name="m")
    state = {"model": tree, "none": Point(None), "ring": Ring(1, 2), "step": jnp.int32(3), "text": ("a", "b")}
    assert summary(state, depth=1) == (
        "path       type   shape     dtype              parameters  bytes\n"
        "----------------------------------------------------------------\n"
        "['model']  Model  4 leaves  float32, bfloat16          18     60\n"
        "['ring']   Ring   1 leaf    int32                       0      4\n"
        "['step']   dict   ()        int32                       0      4\n"
        "['text']   tuple  2 leaves                              0      0\n"
        "----------------------------------------------------------------\n"
        "total                                                  18     68"
    )
    line = summary(state, depth=0).splitlines()[2]
    assert line.strip() == "dict  8 leaves  float32, bfloat16, int32          18     68"
    assert summary(state, depth=9) == summary(state)
    assert summary(zeros(3), depth=0) == summary(zeros(3))


LEAVES = st.sampled_from([1, 2.0, np.zeros((2, 3)), np.int8(1), jax.ShapeDtypeStruct((4,), np.float32)])
TREES = st.recursive(
    st.one_of(LEAVES, st.none()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from("cab"), inner, max_size=3),
        st.builds(Pair, inner, inner),
        st.builds(Ring, inner, st.just(1)),
        st.builds(Corner, inner, inner),
    ),
)


@given(TREES)
def test_the_rows_are_the_leaves_of_jax_and_the_totals_are_theirs_at_every_depth(tree):
    found = jax.tree_util.tree_leaves_with_path(tree)
    table = summary([tree]).splitlines()
    assert [line.split("  ")[0] for line in table[2:-2]] == [f"[0]{jax.tree_util.keystr(path)}" for path, _ in found]
    arrays = [jax.eval_shape(lambda leaf=leaf: leaf) if isinstance(leaf, int | float) else leaf for _, leaf in found]
    size = sum(array.size * np.dtype(array.dtype).itemsize for array in arrays)
    parameters = sum(array.size for array in arrays if np.issubdtype(array.dtype, np.inexact))
    for depth in (None, 0, 1, 2, 5):
        assert summary(tree, depth=depth).splitlines()[-1].split() == ["total", f"{parameters:,}", f"{size:,}"]


def test_a_negative_depth_is_refused():
    with pytest.raises(errors.TreeError) as caught:
        summary([], depth=-1)
    assert str(caught.value) == "summary: `depth` is -1; give 0 or more, or None for every leaf"


def test_sizes_that_are_symbols_are_counted_with_them():
    (size,) = export.symbolic_shape("n")
    tree = [jax.ShapeDtypeStruct((size, 2), np.float32), 1]
    assert rows(tree)[0] == ["[0]", "list", "(n,", "2)", "float32", "2*n", "8*n"]
    assert summary(tree).splitlines()[-1].split() == ["total", "2*n", "8*n", "+", "4"]


@pytest.mark.parametrize("depth", [None, 0, 1])
def test_a_tree_that_holds_itself_is_refused(depth):
    tree = []
    tree.append(Point(tree))
    with pytest.raises(RecursionError) as caught:
        summary(tree, depth=depth)
    assert str(caught.value) == "summary: the tree is more than 2,000 levels deep, or holds itself"


def test_the_sharding_is_shown_where_a_leaf_is_on_more_than_one_device():
    shown = run_python(
        """
        import jax
        import jax.numpy as jnp
        from jax.sharding import NamedSharding, PartitionSpec as P
        from structkit import Struct, summary

        jax.config.update("jax_num_cpu_devices", 4)

        class Layer(Struct):
            weight: jax.Array
            bias: jax.Array
            step: jax.Array

        mesh = jax.make_mesh((2, 2), ("data", "model"), axis_types=(jax.sharding.AxisType.Auto,) * 2)
        def put(shape, *spec):
            return jax.device_put(jnp.zeros(shape), NamedSharding(mesh, P(*spec)))
        one = jax.make_mesh((1,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
        alone = jax.device_put(jnp.zeros(2), NamedSharding(one, P("data")))
        layer = Layer(put((8, 4), "data", "model"), put((4,)), jnp.int32(3))
        print(summary([layer, alone]))
        print(summary([layer, alone], depth=1))
        double = jax.jit(lambda x: [2 * x], out_shardings=NamedSharding(mesh, P("data", None)))
        print(summary(jax.eval_shape(double, layer.weight)))
        print(summary(jax.eval_shape(lambda layer: layer, layer.replace(weight=jnp.ones(2), bias=alone))))
        layer.weight.delete()
        print(summary(layer).splitlines()[2])
        """
    )
    assert shown == (
        "path        type   shape   dtype    sharding            parameters  bytes\n"
        "-------------------------------------------------------------------------\n"
        "[0].weight  Layer  (8, 4)  float32  P('data', 'model')          32    128\n"
        "[0].bias    Layer  (4,)    float32  P()                          4     16\n"
        "[0].step    Layer  ()      int32                                 0      4\n"
        "[1]         list   (2,)    float32                               2      8\n"
        "-------------------------------------------------------------------------\n"
        "total                                                           38    156\n"
        "path   type   shape     dtype           sharding                 parameters  bytes\n"
        "----------------------------------------------------------------------------------\n"
        "[0]    Layer  3 leaves  float32, int32  P('data', 'model'), P()          36    148\n"
        "[1]    list   (2,)      float32                                           2      8\n"
        "----------------------------------------------------------------------------------\n"
        "total                                                                    38    156\n"
        "path   type  shape   dtype    sharding         parameters  bytes\n"
        "----------------------------------------------------------------\n"
        "[0]    list  (8, 4)  float32  P('data', None)          32    128\n"
        "----------------------------------------------------------------\n"
        "total                                                  32    128\n"
        "path     type   shape  dtype    parameters  bytes\n"
        "-------------------------------------------------\n"
        ".weight  Layer  (2,)   float32           2      8\n"
        ".bias    Layer  (2,)   float32           2      8\n"
        ".step    Layer  ()     int32             0      4\n"
        "-------------------------------------------------\n"
        "total                                    4     20\n"
        ".weight  Layer  (8, 4)  float32  P('data', 'model')          32    128\n"
    )
