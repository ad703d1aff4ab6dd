"""State dicts: nested dicts by field name, and back."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from structkit import Struct, state, static
from structkit.errors import StateError
from tests.models import Coordinates, Mixed, Ring, recursion_limit, shown
from tests.state.trees import Dropped, Layer, Loose, Net, Renamed, net, same


def test_structs_become_dicts_of_their_data_and_with_statics_on_demand():
    tree = Net([Layer(1, Coordinates(2, None)), (Dropped(3), Ring(4, 1)), {"a": Loose(())}], "n", 5)
    data = {
        "layers": [
            {"w": 1, "b": {"x": 2, "y": None}},
            ({"x": 3}, {0: 4}),
            {"a": {"x": ()}},
        ],
        "step": 5,
    }
    assert state.to_state_dict(tree) == data
    relu = jax.nn.relu
    assert state.to_state_dict(tree, include_static=True) == {
        "layers": [
            {"w": 1, "b": {"x": 2, "y": None}, "activation": relu},
            ({"x": 3, "n": 3}, {0: 4}),
            {"a": {"x": (), "n": 0}},
        ],
        "name": "n",
        "step": 5,
    }


@pytest.mark.parametrize("include_static", [False, True])
def test_a_state_dict_comes_back(include_static):
    tree = net()
    made = state.to_state_dict(tree, include_static=include_static)
    blank = jax.tree.map(lambda leaf: leaf, tree)
    for like in (tree, blank):
        assert same(state.from_state_dict(like, made), tree)
    leaf = state.from_state_dict(jax.eval_shape(lambda: tree), made).layers[0][0].w
    assert leaf is tree.layers[0][0].w


@pytest.mark.parametrize(("saved", "mine"), [(1, True), ((1,), (True,)), ((1.0,), (1,)), (0.0, -0.0)])
def test_equal_statics_of_other_types_or_signs_do_not_fit(saved, mine):
    made = state.to_state_dict(Mixed(1, saved), include_static=True)
    with pytest.raises(StateError) as caught:
        state.from_state_dict(Mixed(1, mine), made)
    assert f"static: {saved} was saved, the target has {mine}" in str(caught.value)
    assert state.from_state_dict(Mixed(2, saved), made) == Mixed(1, saved)


def test_statics_that_are_not_in_the_state_are_those_of_the_target():
    for like in (Layer(0, activation=max), Dropped(0, 5), [Loose(0, 7)]):
        assert state.from_state_dict(like, state.to_state_dict(like)) == like
    required = type("Required", (Struct,), {"__annotations__": {"w": Any, "n": int}, "n": static()})
    assert state.from_state_dict(required(0, 1), {"w": 2}) == required(2, 1)


def test_an_array_in_the_place_of_a_static_is_told(tmp_path):
    with pytest.raises(StateError) as caught:
        state.from_state_dict(Layer(1, activation=(1, 2)), {"w": 2, "activation": (1, np.ones(2))})
    assert "\n  .activation: static: (1, array([1., 1.])) was saved, the target has (1, 2)\n" in str(caught.value)


def test_containers_are_copied_and_leaves_are_not():
    tree = {"a": [jnp.ones(3)], "b": np.ones(2)}
    made = state.to_state_dict(tree)
    assert made["a"] is not tree["a"] and made["a"][0] is tree["a"][0]
    made["a"].append(1)
    assert len(tree["a"]) == 1


def test_fields_that_were_renamed_or_added_are_found():
    assert same(state.from_state_dict(Renamed(0, 0, 5.0), {"kernel": 1, "b": 2}), Renamed(1, 2))


CASES = [
    (Layer(1), {"b": None}, [(".w", "missing")]),
    (Layer(1, 1), {"w": 1, "b": 1, "c": 2, "d": {"e": 3}}, [(".c", "unknown"), (".d", "unknown")]),
    (Layer(jnp.ones(3), 1), {"w": jnp.ones(4), "b": 1.0}, [(".w", "shape"), (".b", "dtype")]),
    (Layer(1, 1), {"w": 1, "b": 1, "activation": jax.nn.gelu}, [(".activation", "static")]),
    ([Layer(1)], [1], [("[0]", "structure")]),
    ([1, 2], (1, 2), [("", "structure")]),
    ([1, 2], [1], [("[1]", "missing")]),
    ({"a": {1: 1}}, {"a": {"1": 1}}, [("['a'][1]", "missing"), ("['a']['1']", "unknown")]),
    (Ring(1, 2), {1: 1}, [("[<flat index 0>]", "missing"), ("1", "unknown")]),
    (Coordinates(1, 2), {"x": 1, "z": 1}, [(".y", "missing"), (".z", "unknown")]),
    (Layer(1, None), {"w": 1, "b": 1}, [(".b", "unknown")]),
    (Layer(1, 1), {"w": 1, "b": None}, [(".b", "missing")]),
]


@pytest.mark.parametrize(("like", "saved", "found"), CASES, ids=shown)
def test_every_difference_is_told_with_its_path(like, saved, found):
    with pytest.raises(StateError) as caught:
        state.from_state_dict(like, saved)
    assert [(difference.path, difference.kind) for difference in caught.value.differences] == found
    tree, differences = state.from_state_dict(like, saved, strict=False)
    assert differences == caught.value.differences
    assert type(tree) is type(like)


@pytest.mark.parametrize(("tree", "kind"), [(Layer(1), "a struct"), (Coordinates(1, 2), "a named tuple")])
def test_a_tree_in_the_place_of_its_state_dict_is_told(tree, kind):
    _, differences = state.from_state_dict([tree], [tree], strict=False)
    assert [*map(str, differences)] == [f"[0]: structure: {kind} is given, and no state dict: see to_state_dict"]


def test_the_whole_text_of_the_error():
    with pytest.raises(StateError) as caught:
        state.from_state_dict(Layer(jnp.ones(3), 1), {"w": jnp.ones(4), "b": 1})
    assert str(caught.value) == (
        "from_state_dict: does not fit the target:\n"
        "  .w: shape: float32[4] was saved, the target has float32[3]\n"
        "change the target, or take what fits with strict=False"
    )


def test_no_code_of_the_class_runs():
    class Hooked(Struct):
        x: Any

        def __post_init__(self):
            assert self.x >= 0

    assert state.from_state_dict(Hooked(1), {"x": -1}).x == -1


def test_tracers_pass():
    @jax.jit
    def double(tree):
        made = state.to_state_dict(tree)
        return state.from_state_dict(tree, {"w": made["w"] * 2, "b": made["b"]})

    assert same(double(Layer(jnp.ones(3), jnp.ones(1))), Layer(2 * jnp.ones(3), jnp.ones(1)))


def test_a_deep_tree_is_refused_in_words():
    tree = 1
    for _ in range(200):
        tree = [tree]
    made = state.to_state_dict(tree)
    assert state.from_state_dict(tree, made) == tree
    with recursion_limit(150):
        with pytest.raises(StateError, match="nested too deeply"):
            state.to_state_dict(tree)
        with pytest.raises(StateError, match="nested too deeply"):
            state.from_state_dict(tree, made)
