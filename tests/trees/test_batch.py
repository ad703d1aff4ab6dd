"""Batches: every function beside the `jax.tree.map` that it stands for, with all kinds of leaves, inside jit too."""

import operator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import structkit
from structkit import Struct, batch, struct
from tests.models import Coordinates, Empty, Mutable, Pair, Point, Ring, run_python

MANY = 230
"""More than are stacked, joined or taken apart at once."""


@struct.dataclass
class DropIn:
    x: Any


def assert_same(found: Any, expected: Any) -> None:
    """The same structure, and in each place the same values, dtype and weak type, as a JAX array."""
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected)):
        assert isinstance(one, jax.Array)
        # Keys have no weak type.
        weak, expected_weak = [getattr(leaf, "weak_type", None) for leaf in (one, other)]
        assert (one.shape, one.dtype, weak) == (other.shape, other.dtype, expected_weak)
        if jnp.issubdtype(one.dtype, jax.dtypes.prng_key):
            one, other = jax.random.key_data(one), jax.random.key_data(other)
        assert one.tolist() == other.tolist()


def an_item(i: int = 0) -> Any:
    """A tree with leaves of many kinds, in nodes of many kinds."""
    return Pair(
        {"weights": jnp.full(2, i, jnp.bfloat16), "none": None},
        [Coordinates(i, np.int16(i)), (Ring(i % 2 == 0, 7),), DropIn(jax.random.key(i)), Empty()],
    )


def several(count: int, start: int = 0) -> list[Any]:
    return [an_item(i) for i in range(start, start + count)]


def by_hand(function: Any, *trees: Any) -> Any:
    return jax.tree.map(function, *trees)


def stacked_by_hand(trees: list[Any], axis: int = 0) -> Any:
    return by_hand(lambda *leaves: jnp.stack([jnp.asarray(leaf) for leaf in leaves], axis), *trees)


def few(count: int, start: int = 0) -> Any:
    """A batch of items with few leaves: each shape and dtype is compiled for."""
    numbers = range(start, start + count)
    return Pair(jnp.array([[i, -i] for i in numbers], jnp.bfloat16), [jax.vmap(jax.random.key)(jnp.array(numbers))])


FIVE = few(5)
GRID = jax.tree.map(lambda leaf: leaf.reshape((2, 3, *leaf.shape[1:])), few(6))
"""Two times three items."""


# What the functions give


@pytest.mark.parametrize("count", [1, 2])
def test_trees_are_stacked_along_a_new_axis_and_taken_apart_again(count):
    found = batch.stack(several(count))
    assert_same(found, stacked_by_hand(several(count)))
    assert batch.size(found) == count
    apart = batch.unstack(found)
    assert type(apart) is list and len(apart) == count
    for i, one in enumerate(apart):
        assert_same(one, by_hand(operator.itemgetter(i), found))


def test_an_axis_can_go_behind_others():
    found = batch.stack([GRID, GRID], axis=2)
    assert batch.shape(found, ndim=3) == (2, 3, 2)
    assert_same(found, stacked_by_hand([GRID, GRID], 2))
    assert_same(batch.unstack(found, axis=2)[-1], GRID)
    joined = batch.concatenate([GRID, GRID], axis=1)
    assert_same(joined, by_hand(lambda leaf: jnp.concatenate([leaf, leaf], 1), GRID))


def test_batches_are_joined_end_to_end():
    parts = [FIVE, few(2, 7), FIVE]
    assert_same(batch.concatenate(parts), by_hand(lambda *leaves: jnp.concatenate(leaves), *parts))


@pytest.mark.parametrize("axis", [0, 1])
def test_many_are_stacked_joined_and_taken_apart_as_few_are(axis):
    numbers = np.arange(2 * MANY, dtype=np.int32).reshape(MANY, 2)
    keys = jax.random.split(jax.random.key(0), MANY)
    assert_same(batch.stack(batch.unstack(Point(keys))), Point(keys))
    rows = [Point(row) for row in numbers[:, None]]
    assert batch.stack(rows, axis=axis).x.tolist() == np.stack(numbers[:, None], axis).tolist()
    assert batch.concatenate(rows, axis=0).x.tolist() == numbers.tolist()
    turned = Point(np.moveaxis(numbers, 0, axis))
    assert [row.x.tolist() for row in batch.unstack(turned, axis=axis)] == numbers.tolist()


def test_an_iterator_of_trees_will_do():
    assert_same(batch.stack(iter(several(3))), stacked_by_hand(several(3)))
    assert_same(batch.concatenate(FIVE for _ in range(2)), batch.concatenate([FIVE, FIVE]))


INDICES = {
    "int": 3,
    "negative int": -2,
    "int of numpy": np.int8(4),
    "array without axes": jnp.array(1),
    "array": jnp.array([3, 0, 3]),
    "array of numpy": np.array([-1, 2], np.int16),
    "unsigned": np.array([4, 2], np.uint8),
    "matrix": jnp.array([[0, 1], [2, -3]]),
    "empty array": np.zeros(0, int),
    "slice": slice(1, 4),
    "slice with a step": slice(4, None, -2),
    "slice that goes too far": slice(3, 100),
    "slice of nothing": slice(4, 1),
    "all": slice(None),
    "mask": np.array([True, False, True, True, False]),
    "mask of JAX": jnp.array([False, False, True, False, False]),
}
LISTS = {"list": [3, -1], "empty list": [], "list of bools": [True, False, False, False, True]}


@pytest.mark.parametrize("index", INDICES.values(), ids=INDICES)
def test_items_are_taken_as_from_one_array(index):
    assert_same(batch.take(FIVE, index), by_hand(lambda leaf: leaf[index], FIVE))


@pytest.mark.parametrize("index", LISTS.values(), ids=LISTS)
def test_a_list_is_an_array(index):
    as_array = np.array(index, None if index else int)
    assert_same(batch.take(FIVE, index), by_hand(lambda leaf: leaf[as_array], FIVE))


PAIRS = {
    "two ints": (1, -1),
    "a slice first": (slice(None), 2),
    "arrays": (jnp.array([0, 1]), np.array([2, 0])),
    "an array and a slice": (jnp.array([1, 1, 0]), slice(0, 2)),
    "a mask of both": np.array([[True, False, False], [False, True, True]]),
    "one of two": (1,),
    "none of two": (),
}


@pytest.mark.parametrize("index", PAIRS.values(), ids=PAIRS)
def test_a_tuple_indexes_several_leading_axes(index):
    assert_same(batch.take(GRID, index), by_hand(lambda leaf: leaf[index], GRID))


PUT_IN_FIVE = ("int", "array without axes", "array of numpy", "matrix", "empty array", "slice", "mask")
PUT_IN_GRID = ("two ints", "an array and a slice", "a mask of both", "none of two")


@pytest.mark.parametrize(
    ("tree", "index"),
    [*[(FIVE, INDICES[name]) for name in PUT_IN_FIVE], *[(GRID, PAIRS[name]) for name in PUT_IN_GRID]],
    ids=[*PUT_IN_FIVE, *PUT_IN_GRID],
)
def test_items_are_put_where_they_would_be_taken_from(tree, index):
    old = batch.take(tree, index)
    new = by_hand(lambda leaf: leaf if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf + leaf, old)
    found = batch.put(tree, index, new)
    assert_same(found, by_hand(lambda leaf, value: leaf.at[index].set(value), tree, new))
    assert_same(batch.put(tree, index, old), tree)


def test_one_item_is_put_at_every_place():
    one = batch.take(FIVE, 4)
    found = batch.put(FIVE, [0, 2], one)
    assert_same(batch.take(found, [0, 1, 2]), batch.stack([one, batch.take(FIVE, 1), one]))


@pytest.mark.parametrize("mask", [[True, False, True, False, False], [False] * 5])
@pytest.mark.parametrize("kind", [jnp.array, np.array, list])
def test_items_are_chosen_by_a_mask_of_the_leading_axes(mask, kind):
    other = few(5, 10)
    expected = batch.stack([batch.take(one, i) for i, one in enumerate(FIVE if chosen else other for chosen in mask)])
    assert_same(batch.where(kind(mask), FIVE, other), expected)


def test_a_mask_without_axes_chooses_a_whole_tree_and_one_of_two_axes_an_item_of_a_grid():
    other = batch.reshape(few(6, 10), (2, 3))
    assert_same(batch.where(True, GRID, other), GRID)
    assert_same(batch.where(jnp.array(False), GRID, other), other)
    chosen = batch.where(np.eye(2, 3, dtype=bool), GRID, other)
    assert_same(batch.take(chosen, (1, 1)), batch.take(GRID, (1, 1)))
    assert_same(batch.take(chosen, (1, 2)), batch.take(other, (1, 2)))


RESHAPED = {
    "all": (lambda: batch.reshape(FIVE, 5), FIVE),
    "to two axes": (lambda: batch.reshape(batch.reshape(GRID, 6, ndim=2), (2, 3)), GRID),
    "what is left": (lambda: batch.reshape(batch.reshape(GRID, -1, ndim=2), (-1, 3)), GRID),
    "one of two axes": (lambda: batch.take(batch.reshape(GRID, (2, 1), ndim=1), (slice(None), 0)), GRID),
    "axes of numpy": (lambda: batch.reshape(FIVE, [np.int64(5)]), FIVE),
    "twice swapped": (lambda: batch.swapaxes(batch.swapaxes(GRID)), GRID),
    "swapped with itself": (lambda: batch.swapaxes(GRID, 1, 1), GRID),
    "expanded in front": (lambda: batch.squeeze(batch.expand(GRID)), GRID),
    "expanded behind": (lambda: batch.squeeze(batch.expand(GRID, 2), 2), GRID),
    "broadcast to none": (lambda: batch.broadcast(GRID, ()), GRID),
    "one of many": (lambda: batch.take(batch.broadcast(FIVE, (4, 2)), (3, 1)), FIVE),
}


@pytest.mark.parametrize(("found", "expected"), RESHAPED.values(), ids=RESHAPED)
def test_leading_axes_are_reshaped_and_back(found, expected):
    assert_same(found(), expected)


def test_leading_axes_come_in_front_of_what_each_leaf_has():
    tree = {"x": jnp.zeros((4, 2, 3)), "y": jnp.zeros((4, 2))}
    assert jax.tree.map(jnp.shape, batch.swapaxes(tree)) == {"x": (2, 4, 3), "y": (2, 4)}
    assert jax.tree.map(jnp.shape, batch.reshape(tree, -1, ndim=2)) == {"x": (8, 3), "y": (8,)}
    assert jax.tree.map(jnp.shape, batch.expand(tree, 1)) == {"x": (4, 1, 2, 3), "y": (4, 1, 2)}
    assert jax.tree.map(jnp.shape, batch.broadcast(tree, 5)) == {"x": (5, 4, 2, 3), "y": (5, 4, 2)}
    assert (batch.shape(tree), batch.shape(tree, ndim=2), batch.size(tree)) == ((4,), (4, 2), 4)


# Leaves and nodes of all kinds


def test_numpy_and_numbers_become_arrays_of_jax_and_python_numbers_stay_weakly_typed():
    found = batch.stack([Pair(np.float64(1), 1), Pair(np.float64(2), 2)])
    assert_same(found, Pair(jnp.array([1.0, 2.0]), jnp.stack([1, 2])))
    assert found.y.weak_type and not found.x.weak_type


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.complex64])
def test_what_is_weakly_typed_takes_the_dtype_of_what_it_is_put_together_with(dtype):
    number, weak, array = Point(1.5), Point(jnp.asarray(1)), Point(jnp.zeros((), dtype))
    with jax.numpy_dtype_promotion("strict"):
        stacked = batch.stack([number, array, weak])
        assert_same(stacked, Point(jnp.array([1.5, 0, 1], dtype)))
        assert_same(batch.put(stacked, 0, weak), Point(jnp.array([1, 0, 1], dtype)))
        assert_same(batch.where(True, number, array), Point(jnp.array(1.5, dtype)))


def test_what_holds_no_array_stays():
    tree = [None, Empty(), {}, ()]
    index = np.array([7])
    for found in (
        batch.stack([tree, tree]),
        batch.concatenate([tree]),
        batch.take(tree, index),
        batch.put(tree, 3, tree),
        batch.where(jnp.ones(3, bool), tree, tree),
        batch.reshape(tree, (3, 4)),
        batch.swapaxes(tree),
        batch.expand(tree),
        batch.squeeze(tree),
        batch.broadcast(tree, 3),
    ):
        assert found == tree


def test_a_tree_may_be_one_array():
    assert batch.stack([jnp.zeros(3), jnp.ones(3)]).shape == (2, 3)
    assert batch.take(jnp.arange(3), 1) == 1
    assert batch.size(np.zeros((4, 2))) == 4


def test_no_tree_changes_and_mutable_structs_come_out_as_new_ones():
    trees = [Mutable(jnp.zeros(2), n=1), Mutable(jnp.ones(2), n=1)]
    found = batch.stack(trees)
    assert type(found) is Mutable and found.x.shape == (2, 2) and found.n == 1
    changed = batch.put(found, 0, trees[1])
    changed.x = None
    assert found.x.tolist() == [[0, 0], [1, 1]] and trees[0].x.shape == (2,)


def test_statics_stay():
    pairs = batch.stack([Pair(1, name="a"), Pair(2, name="a")])
    for made in (pairs, batch.take(pairs, 0), batch.unstack(pairs)[1], batch.where(True, pairs, pairs)):
        assert made.name == "a"


def test_sizes_are_known_of_abstract_arrays_too():
    tree = jax.eval_shape(lambda: FIVE)
    assert batch.shape(tree) == (5,)
    assert jax.eval_shape(lambda tree: batch.take(tree, [0, 1]), tree).x.shape == (2, 2)


# Inside of transformations


def test_every_function_works_inside_jit():
    def everything(trees: Any, index: Any, mask: Any) -> Any:
        found = batch.stack(trees)
        found = batch.put(found, index, batch.take(found, -1))
        found = batch.concatenate([found, found])
        found = batch.where(mask, found, batch.take(found, jnp.arange(2 * len(trees))[::-1]))
        found = batch.swapaxes(batch.reshape(found, (2, -1)))
        found = batch.squeeze(batch.expand(found, 1), 1)
        return batch.unstack(batch.broadcast(found, 2))[1], batch.take(found, (slice(1, 3), index))

    trees, mask = [Pair(i, jnp.full(2, i)) for i in range(4)], jnp.arange(8) > 2
    for result, expected in zip(jax.jit(everything)(trees, 1, mask), everything(trees, 1, mask)):
        assert_same(result, expected)


def test_many_trees_are_stacked_and_taken_apart_inside_jit():
    found = jax.jit(lambda x: batch.unstack(batch.stack([Point(x + i) for i in range(MANY)]))[-1])(0)
    assert found.x == MANY - 1


def test_environments_are_reset_inside_vmap_and_scan():
    def step(state: Any, action: Any) -> Any:
        state = state.replace(x=state.x + action)
        done = state.x > 2
        return batch.where(done, Pair(jnp.zeros(()), jnp.zeros((), int)), state.replace(y=state.y + 1)), done

    states = batch.broadcast(Pair(jnp.zeros(()), jnp.zeros((), int)), 3)
    actions = jnp.array([[0.0, 1.0, 2.0]] * 3)
    ends, dones = jax.lax.scan(jax.vmap(step), states, actions)
    assert ends.x.tolist() == [0.0, 0.0, 2.0] and ends.y.tolist() == [3, 0, 1]
    assert dones.sum() == 2


def test_a_replay_buffer_goes_round_in_a_scan():
    empty = batch.broadcast(Pair(jnp.zeros(2), jnp.zeros((), int)), 3)

    def add(buffer: Any, i: Any) -> Any:
        return batch.put(buffer, i % 3, Pair(jnp.full(2, i, float), i)), batch.take(buffer, i % 3).y

    buffer, seen = jax.lax.scan(add, empty, jnp.arange(5))
    assert buffer.y.tolist() == [3, 4, 2] and buffer.x[:, 0].tolist() == [3.0, 4.0, 2.0]
    assert seen.tolist() == [0, 0, 0, 0, 1]


def test_gradients_flow_through():
    def loss(tree: Any) -> Any:
        both = batch.concatenate([batch.stack([tree] * 10), batch.expand(tree)])
        last, middle = batch.take(both, -1), batch.unstack(both)[7]
        return (batch.where(True, last, middle).x * 2 + batch.put(both, 0, middle).x.sum(0)).sum()

    assert jax.grad(loss)(Point(jnp.ones(2))).x.tolist() == [13] * 2


def test_a_program_reads_as_the_one_written_by_hand():
    tree, index = Point(jnp.zeros((5, 3))), 1

    def text(function: Any) -> str:
        return str(jax.make_jaxpr(function)(tree, index))

    assert text(batch.take) == text(lambda tree, i: by_hand(lambda leaf: leaf[i], tree))


def test_a_list_of_traced_numbers_is_an_index():
    assert jax.jit(lambda i: batch.take(jnp.arange(5) * 2, [i, 0]))(3).tolist() == [6, 0]


def test_an_index_of_unknown_size_is_left_to_jax():
    x = jnp.arange(3)
    assert jax.jit(lambda tree, i: batch.take(tree, i))(Point(x), 7).x == x[7] == 2
    assert jax.jit(lambda tree, i: batch.put(tree, i, Point(9)))(Point(x), 7).x.tolist() == [0, 1, 2]
    from jax import export

    (size,) = export.symbolic_shape("n")
    tree = Point(jax.ShapeDtypeStruct((size, 3), jnp.float32))
    for function, shape in (
        (lambda tree: batch.take(tree, 0), "3"),
        (lambda tree: batch.put(tree, 0, Point(jnp.ones(3, jnp.float32))), "n, 3"),
        (lambda tree: batch.reshape(tree, (1, -1)), "1, n, 3"),
        (lambda tree: batch.broadcast(tree, batch.shape(tree)), "n, n, 3"),
    ):
        assert str(export.export(jax.jit(function))(tree).out_avals[0].shape).strip("(),") == shape


# Beside plain code, with whatever trees there are


DTYPES = st.sampled_from([np.int32, np.bool_])


@st.composite
def batches(draw: Any) -> tuple[Any, tuple[int, ...]]:
    """A tree, and its leading axes: one or two of them, over leaves that have none to two of their own."""
    # Few sizes, since each shape is compiled for.
    lead = draw(st.sampled_from([(1,), (3,), (2, 3)]))
    count = iter(range(1, 1000))

    def leaf(own: list[int], dtype: Any, wrapped: bool) -> Any:
        shape = (*lead, *own)
        array = ((np.arange(np.prod(shape)) + next(count)) % 100).reshape(shape).astype(dtype)
        return jnp.asarray(array) if wrapped else array

    leaves = st.builds(leaf, st.sampled_from([[], [2]]), DTYPES, st.booleans())
    nodes = st.recursive(
        leaves | st.none(),
        lambda inner: (
            st.builds(Pair, inner, inner)
            | st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from("abc"), inner, max_size=2)
            | st.builds(Coordinates, inner, inner)
        ),
        max_leaves=4,
    )
    return [leaf([], np.int32, True), draw(nodes)], lead


@settings(deadline=None, max_examples=10, derandomize=True)
@given(batches(), st.data())
def test_all_agrees_with_plain_code(tree_and_lead, data):
    tree, lead = tree_and_lead
    # The plain code is numpy's, which compiles nothing.
    arrays = jax.tree.map(np.asarray, tree)

    def assert_found(found, expected):
        assert_same(found, jax.tree.map(jnp.asarray, expected))

    assert batch.shape(tree, ndim=len(lead)) == lead
    axis = data.draw(st.integers(0, len(lead) - 1))
    moved = jax.tree.map(lambda leaf: np.moveaxis(leaf, axis, 0), arrays)
    rows = [jax.tree.map(lambda leaf, i=i: leaf[i, ...], moved) for i in range(lead[axis])]
    for found, expected in zip(batch.unstack(tree, axis=axis), rows):
        assert_found(found, expected)
    assert_found(batch.stack(rows, axis=axis), arrays)
    assert_found(batch.concatenate([batch.expand(row, axis) for row in rows], axis=axis), arrays)
    index = tuple([data.draw(st.sampled_from([-1, 0, slice(size - 1), slice(None, None, -1)])) for size in lead])
    index = index[0] if data.draw(st.booleans()) else index
    taken = jax.tree.map(lambda leaf: np.asarray(leaf[index]), arrays)
    assert_found(batch.take(tree, index), taken)
    emptied = jax.tree.map(np.copy, arrays)
    for leaf in jax.tree.leaves(emptied):
        leaf[index] = 0
    assert_found(batch.put(tree, index, jax.tree.map(np.zeros_like, taken)), emptied)
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=lead[0], max_size=lead[0])))
    flipped = jax.tree.map(lambda leaf: leaf[::-1], arrays)
    chosen = jax.tree.map(
        lambda one, other: np.stack([[other, one][int(first)][i] for i, first in enumerate(mask)]), arrays, flipped
    )
    assert_found(batch.where(mask, tree, flipped), chosen)
    flat = jax.tree.map(lambda leaf: leaf.reshape((-1, *leaf.shape[len(lead) :])), arrays)
    assert_found(batch.reshape(tree, -1, ndim=len(lead)), flat)
    assert_found(batch.reshape(flat, lead), arrays)


# The module


def test_the_module_is_loaded_when_it_is_used_and_leaves_jaxtyping_alone():
    shown = run_python(
        """
        import sys
        import structkit
        assert "structkit.batch" not in sys.modules
        from structkit import batch
        assert batch is structkit.batch is sys.modules["structkit.batch"]
        import numpy
        batch.take(numpy.zeros(3), 0)
        print("jaxtyping" in sys.modules)
        """
    )
    assert shown == "False\n"


def test_all_functions_of_the_module_say_what_they_give_and_show_it():
    assert structkit.batch.__all__ == sorted(batch.__all__)
    public = {name for name, value in vars(batch).items() if getattr(value, "__module__", "") == batch.__name__}
    assert {name for name in public if not name.startswith("_")} | {"Index"} == set(batch.__all__)
    for name in set(batch.__all__) - {"Index"}:
        assert "Example:" in getattr(batch, name).__doc__


def test_a_class_without_annotated_ranks_is_no_batch_of_its_own_and_always_true():
    class Own(Struct, batch.Batched):
        x: jax.Array
        y: Any = None

    own = Own(jnp.zeros((0, 3)))
    assert bool(own)
    assert not hasattr(own, "shape")
    assert own.dtype == jnp.zeros(0).dtype
    assert Own(jnp.zeros(3), jnp.arange(3)).dtype == np.dtype(object)
    for use in (len, iter, list, lambda own: own[0], operator.attrgetter("shape")):
        with pytest.raises(AttributeError, match=r"^Own does not tell its leading axes: no field"):
            use(own)
    # The functions go by the shapes.
    assert batch.size(Own(jnp.zeros((5, 3)))) == 5
