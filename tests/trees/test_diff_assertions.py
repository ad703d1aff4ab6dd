"""`assert_same_structure` and `assert_close`: what passes, and the whole text of what does not."""

import copy
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from structkit import StructError, assert_close, assert_same_structure
from structkit.errors import TreesDifferError
from tests.models import Linear, Pair, Point, shown


def failure(assertion, *arguments, **options):
    with pytest.raises(TreesDifferError) as caught:
        assertion(*arguments, **options)
    return str(caught.value)


def test_equal_structures_pass_whatever_the_leaves_are():
    assert_same_structure([Pair(1, 2), None], [Pair(jnp.ones(3), "text"), None])


def test_every_place_is_named_where_structures_differ_and_no_leaf():
    a = [Pair(1.0, [1, 2]), Linear(None)]
    b = [Pair(2.0, [1], name="b"), Linear(3)]
    assert failure(assert_same_structure, a, b) == (
        "assert_same_structure(a, b): 3 differences:\n"
        "[0].name: static: 'pair' against 'b'\n"
        "[0].y[1]: structure: only in a: 2\n"
        "[1].weight: structure: None against 3"
    )


CLOSE = [
    (1.0, 1.000001),
    (jnp.ones(3), jnp.ones(3) + 1e-6),
    (jnp.ones(3), np.ones(3)),
    (jnp.array(2.0, jnp.float32), 2.0),
    (jnp.array([1, jnp.nan, jnp.inf]), np.array([1, np.nan, np.inf])),
    (np.array([1 + 1e-6j]), np.array([1 + 0j])),
    (jnp.ones(2, jnp.bfloat16), jnp.ones(2, jnp.bfloat16)),
    (np.int64(3), jnp.int32(3)),
    ("a", "a"),
    (jax.random.key(0), jax.random.key(0)),
]


@pytest.mark.parametrize("a, b", CLOSE, ids=shown)
def test_close_trees_pass(a, b):
    assert_close(Point(a), Point(b))


FAR = [
    (1.0, 1.001, "value: 1.0 against 1.001 (by 0.001, relative: 0.000999)"),
    (1.0, np.inf, "value: 1.0 against inf (by inf, relative: inf)"),
    (jnp.ones(2), jnp.array([1, jnp.inf]), "value: 1 of 2 elements differ, by inf at most (relative: inf)"),
    (np.nan, 1.0, "value: nan against 1.0"),
    (jnp.ones(2), jnp.array([1, jnp.nan]), "value: 1 of 2 elements differ, 1 of them NaN in one only"),
    (10**6, 10**6 + 1, "value: 1000000 against 1000001 (by 1, relative: 1e-06)"),
    (np.array([10**6]), np.array([10**6 + 1]), "value: 1 of 1 elements differ, by 1 at most (relative: 1e-06)"),
    (jnp.ones(2), jnp.ones(2, jnp.bfloat16), "dtype: float32 against bfloat16"),
    (1, 1.0, "dtype: int32 against float32"),
    (jnp.ones(2), jnp.ones((2, 1)), "shape: (2,) against (2, 1)"),
    (None, 1.0, "structure: None against 1.0"),
    (jnp.ones(2), jax.ShapeDtypeStruct((2,), jnp.float32), "value: not compared: a ShapeDtypeStruct has no value"),
]


@pytest.mark.parametrize("a, b, expected", FAR, ids=shown)
def test_far_trees_fail_with_the_path(a, b, expected):
    shown = failure(assert_close, Point(a), Point(b))
    assert shown == f"assert_close(a, b, rtol=1e-05, atol=1e-08): 1 difference:\n.x: {expected}"


def test_the_tolerances_are_those_of_numpy_and_elements_within_them_do_not_count():
    a, b = jnp.array([1.0, 2.0, 3.0]), jnp.array([1.0, 2.2, 4.0])
    assert_close(a, b, rtol=0.25)
    assert_close(a, b, atol=1.0)
    assert_close(1.0, 0.0, atol=1.0)
    assert_close(a, a + 0.5, rtol=0.0, atol=0.5)
    assert failure(assert_close, a, b, rtol=0.1, atol=0.0) == (
        "assert_close(a, b, rtol=0.1, atol=0.0): 1 difference:\n"
        "the tree: value: 1 of 3 elements differ, by 1 at most (relative: 0.25)"
    )


def test_inside_a_trace_nothing_is_close():
    def step(x):
        with pytest.raises(TreesDifferError, match=r"\n\.x: value: not compared: a tracer has no value$"):
            assert_close(Point(x), Point(x + 1))
        assert_same_structure(Point(x), Point(1))
        return x

    jax.jit(step)(jnp.ones(3))


def test_the_error_is_an_assertion_error_with_the_differences_and_travels():
    with pytest.raises(AssertionError) as caught:
        assert_close([1.0], [2.0])
    error = caught.value
    assert isinstance(error, StructError)
    assert [one.path for one in error.differences] == ["[0]"]
    for made in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert (str(made), made.call) == (str(error), error.call)
    unpicklable = [lambda: 1]
    with pytest.raises(AssertionError) as caught:
        assert_close([1.0, *unpicklable], [1.0, 2])
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_very_many_differences_are_cut_with_their_number():
    shown = failure(assert_close, [*range(1000)], [None] * 1000).splitlines()
    assert shown[0] == "assert_close(a, b, rtol=1e-05, atol=1e-08): 1,000 differences:"
    assert (len(shown), shown[-1]) == (102, "... and 900 more")
