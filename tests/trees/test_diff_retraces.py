"""`diff(before, after).retraces` names what makes `jax.jit` trace again between two calls."""

import collections
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from structkit import diff
from tests.models import Coordinates, Left, Level, Linear, Mutable, Pair, Point, Right, Ring

VALUES = [
    1, 2, True, 1.0, 1j, Level.ONE, np.int32(1), np.int64(1), np.float64(1), np.float32(1), np.bool_(True),
    jnp.asarray(1), jnp.array(1, jnp.int32), jnp.asarray(1.0), jnp.array(1.0, jnp.float32), jnp.array(True),
    np.ones(3), np.ones(3, np.float32), np.ones(3, np.float16), np.ones(4), np.ones((3, 1)), jnp.zeros(3), jnp.ones(3),
    jnp.ones(3, jnp.bfloat16), jnp.ones(4), jax.random.key(0), jax.random.key(1), jax.random.key(0, impl="rbg"),
    jax.random.split(jax.random.key(0), 3), jnp.ones((0,)), np.array([2**40]), np.array([1], np.uint64),
    jnp.array([1], jnp.uint32), np.int64(2**20),
    None, (), [], [1], [1, 2], (1,), {"a": 1}, {"b": 1}, {"a": 1, "b": 2}, collections.OrderedDict(a=1, b=2),
    collections.OrderedDict(b=2, a=1), Coordinates(1, 2), Left(1, 2), Right(1, 2), Left(1, None), Point(1), Point(2),
    Mutable(1), Mutable(1, 2), Mutable(1, True), Pair(1), Pair(1, name="b"), Pair(1, name=1), Pair(1, name=True),
    Pair(1, name=0.0), Pair(1, name=-0.0), Linear(1), Linear(1, activation=jnp.tanh), Ring(1, 2), Ring(1, 3),
]  # fmt: skip


@pytest.mark.parametrize("x64", [False, True])
def test_jit_traces_again_exactly_where_it_is_said(x64):
    traces = itertools.count()
    # The result tells by which trace it was made.
    function = jax.jit(lambda value: next(traces))
    with jax.enable_x64(x64):
        found = [int(function(value)) for value in VALUES]
        for (one, trace), (other, other_trace) in itertools.combinations_with_replacement(zip(VALUES, found), 2):
            assert bool(diff(one, other).retraces) == (trace != other_trace), (one, other)


def test_the_arguments_of_two_calls_are_a_tree_of_which_the_static_and_the_shape_are_named():
    before = (Pair(jnp.ones(3), name="a"), 1), {"rate": 0.1}
    after = (Pair(jnp.zeros(4), name="b"), 2), {"rate": 0.2}
    assert str(diff(before, after).retraces) == (
        "2 differences:\n[0][0].name: static: 'a' against 'b'\n[0][0].x: shape: (3,) against (4,)"
    )
    assert not diff(before, ((Pair(jnp.zeros(3), name="a"), 2), {"rate": 0.2})).retraces


def test_what_jit_takes_as_a_static_argument_only_makes_it_trace_again():
    assert [one.path for one in diff(("train", len, 1), ("test", max, 2)).retraces] == ["[0]", "[1]"]
