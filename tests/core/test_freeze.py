"""`freeze`: hashable values with the content of lists, dicts, sets and arrays, in trees of any kind."""

import ast
import collections
import copy
import math
import pickle
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from structkit import FrozenArray, FrozenDict, Struct, errors, freeze, static
from tests.models import COPIES, Coordinates, Decorated, Holder, Lazy, Level, Pair, Point, Ring


class Config(Struct):
    config: Any = static(converter=freeze)
    sizes: Any = static(default=(), converter=tuple)


def test_lists_sets_dicts_and_arrays_become_hashable_at_every_depth():
    def value():
        return [1, [2, (3, [4])], {5}, {"a": [6, {"b": {7}}]}, np.arange(2), frozenset({8}), Coordinates([9], {"a": 2})]

    frozen = freeze(value())
    assert hash(frozen) == hash(freeze(value()))
    assert frozen == freeze(value()) == freeze(frozen)
    assert [*map(type, frozen)] == [int, tuple, frozenset, FrozenDict, FrozenArray, frozenset, Coordinates]
    assert frozen[:3] == (1, (2, (3, (4,))), frozenset({5}))
    assert frozen[3]["a"] == (6, freeze({"b": {7}}))
    assert frozen[3]["a"][1]["b"] == frozenset({7})
    assert frozen[5:] == (frozenset({8}), Coordinates((9,), freeze({"a": 2})))


@pytest.mark.parametrize(
    ("make", "find"),
    [
        (lambda array: array, lambda frozen: frozen),
        (lambda array: [array], lambda frozen: frozen[0]),
        (lambda array: (1, (array,)), lambda frozen: frozen[1][0]),
        (lambda array: {"a": [{"b": array}]}, lambda frozen: frozen["a"][0]["b"]),
        (lambda array: Coordinates(array, 1), lambda frozen: frozen.x),
        (lambda array: collections.OrderedDict(a=array), lambda frozen: frozen["a"]),
        (lambda array: Point([array]), lambda frozen: frozen.x[0]),
        (lambda array: Pair(Point({"a": array}), name="n"), lambda frozen: frozen.x.x["a"]),
        (lambda array: {"a": Point(array)}, lambda frozen: frozen["a"].x),
        (lambda array: Decorated(array), lambda frozen: frozen.x),
        (lambda array: Ring([array], 1), lambda frozen: frozen.x[0]),
        (lambda array: Lazy(array), lambda frozen: frozen.x),
    ],
)
@pytest.mark.parametrize(
    "array",
    [jnp.arange(3.0), np.arange(3.0), jnp.float32(2), jnp.ones(2, jnp.bfloat16), np.zeros((0, 2)), jnp.asarray(1)],
    ids=str,
)
def test_arrays_of_jax_and_numpy_become_frozen_arrays_at_every_depth(array, make, find):
    frozen = freeze(make(array))
    found = find(frozen)
    assert type(found) is FrozenArray and found.array.dtype == array.dtype
    np.testing.assert_array_equal(found.array, array)
    assert (found == freeze(np.asarray(array))) is True
    assert (found != freeze(np.asarray(array) + 1)) is (array.size > 0)
    if not isinstance(frozen, Ring):
        assert hash(frozen) == hash(freeze(make(array))) and frozen == freeze(make(array)) == freeze(frozen)
        assert Holder(frozen) == Holder(freeze(make(array)))


def test_a_struct_is_frozen_without_its_constructor_and_keeps_its_class_and_statics():
    class Counted(Struct):
        x: Any
        n: Any = static(default=(1,))

        def __post_init__(self):
            made.append(self)

    made = []
    frozen = freeze(Counted([jnp.ones(2, jnp.float32)]))
    assert type(frozen) is Counted and len(made) == 1
    assert frozen.n == (1,) and jax.tree.leaves(frozen) == [freeze(np.ones(2, np.float32))]
    run = jax.jit(lambda holder: made.append(1) or jnp.asarray(holder.n.x[0]).sum())
    assert [run(Holder(freeze(Counted([jnp.ones(2) * k])))) for k in (1, 1, 2)] == [2, 2, 4]
    assert made.count(1) == 2


def test_everything_else_is_left_as_it_is():
    for value in (1, "text", None, len, Level.ONE, jnp.float32, PartitionSpec("x"), np.float32(1), ast.Pass()):
        assert freeze(value) is value
    assert freeze(Point(1)) == Point(1)
    assert freeze({"a": 1}) != {"a": 1} and freeze(np.ones(2)) != (1.0, 1.0)


def test_the_argument_and_what_it_holds_may_change_later():
    value = {"a": [1, {2}], "b": np.arange(3)}
    frozen = freeze(value)
    value["a"].append(3)
    value["b"][0] = 9
    value["c"] = 1
    assert frozen == freeze({"a": [1, {2}], "b": np.arange(3)})


def test_a_frozen_dict_is_a_mapping_without_writes():
    frozen = freeze({"b": 1, "a": 2})
    assert dict(frozen) == {"a": 2, "b": 1}
    assert list(frozen) == ["a", "b"]
    assert (frozen["a"], frozen.get("z"), "a" in frozen, len(frozen)) == (2, None, True, 2)
    assert repr(frozen) == "freeze({'a': 2, 'b': 1})"
    with pytest.raises(TypeError):
        frozen["a"] = 1
    with pytest.raises(TypeError):
        del frozen["a"]
    with pytest.raises(AttributeError):
        frozen.update({})
    with pytest.raises(AttributeError):
        frozen.other = 1


def test_dicts_of_every_kind_and_order_are_compared_by_content():
    for a, b in [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({1: "x", "a": 2.0, None: True}, {None: True, "a": 2.0, 1: "x"}),
        ({(1, 2): 1, (0,): 2}, {(0,): 2, (1, 2): 1}),
        ({frozenset({1}): 1, frozenset({2}): 2.0}, {frozenset({2}): 2.0, frozenset({1}): 1}),
        ({Level.TWO: 1, Level.ONE: 2.0}, {Level.ONE: 2.0, Level.TWO: 1}),
        ({int: 1, float: 2.0}, {float: 2.0, int: 1}),
        ({"a": 1, "b": (2,)}, collections.OrderedDict(b=[2], a=1)),
        ({"a": 1, "b": (2,)}, collections.defaultdict(list, a=1, b=[2])),
    ]:
        assert freeze(a) == freeze(b)
        assert hash(freeze(a)) == hash(freeze(b))
        assert list(freeze(a)) == list(freeze(b))
        assert jax.tree.structure(Holder(freeze(a))) == jax.tree.structure(Holder(freeze(b)))


def test_a_frozen_array_is_read_only_and_works_in_jax():
    source = np.arange(6, dtype=np.float32).reshape(2, 3)
    frozen = freeze(source.T)
    expected = source.T.copy()
    source[:] = 0
    for made in (frozen.array, np.asarray(frozen), np.array(frozen), jnp.asarray(frozen)):
        np.testing.assert_array_equal(made, expected)
    assert np.asarray(frozen, dtype=np.float16).dtype == np.float16
    for array in (frozen.array, np.asarray(frozen), pickle.loads(pickle.dumps(frozen)).array):
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0] = 5
    np.array(frozen)[0, 0] = 5
    with pytest.raises(AttributeError):
        frozen.array = expected
    with pytest.raises(AttributeError):
        del frozen.array
    assert frozen == freeze(expected)


@pytest.mark.parametrize("value", [{"a": [1], 2: {"b": -0.0}}, np.array([math.nan, 1]), [np.ones(2), {"a": {1}}]])
def test_frozen_values_copy_and_pickle(value):
    frozen = freeze(value)
    for made in (duplicate(frozen) for duplicate in COPIES.values()):
        assert made == frozen
        assert hash(made) == hash(frozen)
        assert repr(made) == repr(frozen)


def test_what_has_no_frozen_form_is_refused_with_its_entry_and_left_alone():
    value = {"a": [1], "b": {"c": jax.random.key(0)}}
    loop = [1]
    loop.append(loop)
    for misuse, text in [
        (value, "a random key (at key 'c'): use its jax.random.key_data, or a data field"),
        (np.array([object()], dtype=object), "an array of objects: use a tuple"),
        (np.ma.masked_array([1], [0]), "a masked array: freeze its data and its mask"),
        (loop, "a list that is nested too deeply: use a data field"),
        (Point([loop]), "a Point that is nested too deeply: use a data field"),
    ]:
        with pytest.raises(errors.FreezeError) as error:
            freeze(misuse)
        assert str(error.value) == f"freeze: cannot freeze {text}"
    assert (list(value), value["a"]) == (["a", "b"], [1])


def test_a_tracer_is_refused_at_every_depth():
    def run(x):
        for value in (x, [x], {"a": (x,)}, Point(x), Point([{"a": Point(x)}]), Decorated(x), Coordinates(1, x)):
            with pytest.raises(errors.FreezeError, match=r"cannot freeze a tracer.*: it has no value yet; freeze out"):
                freeze(value)
        # What is concrete inside a trace has a value.
        return x + jnp.asarray(freeze([np.ones(())])[0])

    assert jax.jit(run)(1.0) == jax.grad(lambda x: 2 * run(x) - x)(1.0) + 1 == 2


def test_as_a_converter_it_runs_before_the_check_and_accepts_what_json_gives():
    json = {"sizes": [64, 64], "act": "relu", "opt": {"lr": 0.1, "on": True, "none": None}}
    made = Config(json, [2])
    assert (made.config["sizes"], made.config["opt"]["lr"], made.sizes) == ((64, 64), 0.1, (2,))
    assert made.replace(sizes=[3]).sizes == (3,)
    assert jax.tree.structure(made) == jax.tree.structure(Config(copy.deepcopy(json), (2,)))
    assert jax.tree.structure(made) != jax.tree.structure(Config({**made.config, "act": "tanh"}, (2,)))
