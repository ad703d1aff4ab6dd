"""`shared_buffers` finds what donation would refuse, and numpy leaves that share memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from structkit import SharedBuffer, shared_buffers
from structkit._trees import buffers
from tests.models import Mutable, Pair, Point, shown


def paths(tree):
    return [shared.paths for shared in shared_buffers(tree)]


def donates(tree):
    """Whether `jit` takes the tree as a donated argument."""
    try:
        jax.jit(lambda tree: jax.tree.map(jnp.copy, tree), donate_argnums=0)(jax.tree.map(lambda x: x, tree))
    except Exception as error:
        assert "donate the same buffer twice" in str(error)
        return False
    return True


def one():
    return jnp.ones(3)


TREES = [
    (lambda x: [x, x], [("[0]", "[1]")]),
    (lambda x: Pair(x, [one(), x]), [(".x", ".y[1]")]),
    (lambda x: [x, one(), one()], []),
    (lambda x: {"a": x, "b": x, "c": Point(x)}, [("['a']", "['b']", "['c'].x")]),
    (lambda x: [x, jax.device_put(x, x.sharding)], [("[0]", "[1]")]),
    (lambda x: (lambda e: [e, e])(jnp.zeros((0, 3))), [("[0]", "[1]")]),
    (lambda x: [jnp.zeros(0), jnp.zeros(0), jnp.zeros((0, 3))], []),
    (lambda x: (lambda k: [k, k])(jax.random.key(0)), [("[0]", "[1]")]),
    (lambda x: [jax.random.key(0), jax.random.key(0)], []),
    (lambda x: (lambda y: [y, x, y, x])(jnp.float32(2)), [("[0]", "[2]"), ("[1]", "[3]")]),
]


@pytest.mark.parametrize("make, expected", TREES)
def test_leaves_that_hold_one_buffer_are_named_and_then_donation_fails(make, expected):
    assert paths(make(one())) == expected
    assert donates(make(one())) == (not expected)


def test_each_has_its_paths_and_bytes_and_the_report_a_line_for_each():
    x, y = jnp.ones(1000), jnp.zeros(0)
    found = shared_buffers(Pair([x, y, x], {"a": y, "b": x}))
    assert tuple(found) == (SharedBuffer((".x[0]", ".x[2]", ".y['b']"), 4000), SharedBuffer((".x[1]", ".y['a']"), 0))
    assert str(found) == (
        ".x[0], .x[2] and .y['b'] hold one buffer of 4,000 bytes\n.x[1] and .y['a'] hold one buffer of 0 bytes"
    )
    assert repr(found) == f"<SharedBuffers: {found}>"
    none = shared_buffers(Point(x))
    assert not none and str(none) == "no shared buffers"


base = np.arange(12.0)
NUMPY = [
    ([base, base], [("[0]", "[1]")]),
    ([base, base[3:5]], [("[0]", "[1]")]),
    ([base[:6], base[6:]], []),
    ([base[:7], base[6:]], [("[0]", "[1]")]),
    # Between each other, but without a common element.
    ([base[::2], base[1::2]], []),
    ([base[::2], base[1::2], base], [("[0]", "[1]", "[2]")]),
    ([base.reshape(3, 4).T, base[::-1]], [("[0]", "[1]")]),
    ([base, base.copy(), base[0]], []),
    ([base[:0], base[:0]], []),
    ([np.broadcast_to(base[:1], 5), base], [("[0]", "[1]")]),
]


@pytest.mark.parametrize("tree, expected", NUMPY, ids=shown)
def test_numpy_leaves_are_named_where_they_share_memory(tree, expected):
    assert paths(tree) == expected


def test_a_jax_array_that_was_made_of_an_array_of_numpy_without_a_copy_shares_its_memory():
    x = jax.device_put(jnp.ones(1000), jax.devices("cpu")[0])
    assert paths([x, np.asarray(x), np.asarray(x)[5:]]) == [("[0]", "[1]", "[2]")]


def test_what_is_hard_to_tell_counts_as_shared():
    # From the documentation of `numpy.shares_memory`: minutes of work.
    x = np.zeros(192_163_377, np.int8)
    one = np.lib.stride_tricks.as_strided(x, (1049, 1049, 1049), (36674, 61119, 85569))
    other = np.lib.stride_tricks.as_strided(x[64_023_025:], (1049, 1049, 1), (12223, 12224, 1))
    assert paths([one, other]) == [("[0]", "[1]")]


def test_windows_on_one_array_are_compared_with_their_neighbours_alone(monkeypatch):
    compared = []
    overlap = buffers._overlap
    monkeypatch.setattr(buffers, "_overlap", lambda *parts: compared.append(parts) or overlap(*parts))
    x = np.arange(1001.0)
    (shared,) = shared_buffers([x[i : i + 2] for i in range(1000)])
    assert len(shared.paths) == 1000 and len(compared) < 4000


def test_what_has_no_buffer_is_passed_over():
    deleted = jnp.ones(3)
    deleted.delete()
    assert not shared_buffers([deleted, deleted, 1, 1, "a", "a", None, np.float64(1), jax.ShapeDtypeStruct((3,), int)])

    def step(x):
        assert not shared_buffers(Pair(x, x))
        return x

    jax.jit(step)(jnp.ones(3))


def test_a_donated_state_shares_nothing():
    state = Point(jnp.ones(3))
    new = jax.jit(lambda state: jax.tree.map(jnp.negative, state), donate_argnums=0)(state)
    assert not shared_buffers([state, state, new])


def test_a_tree_that_holds_itself_is_refused():
    tree = Mutable(1)
    tree.x = tree
    with pytest.raises(
        RecursionError, match=r"^shared_buffers: the tree is more than 2,000 levels deep, or holds itself$"
    ):
        shared_buffers(tree)
