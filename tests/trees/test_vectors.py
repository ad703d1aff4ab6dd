"""Arithmetic of structs, leaf by leaf."""

import operator
from typing import Any, Generic, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from structkit import Struct, StructError, VectorSpace, errors, static, struct
from tests.models import Coordinates, Pair, Ring

deterministic = settings(derandomize=True, database=None, deadline=None, max_examples=40)
T = TypeVar("T")


class Force(Struct, VectorSpace):
    linear: Any
    torque: Any = None
    unit: str = static(default="N")


class MixinFirst(VectorSpace, Struct):
    linear: Any
    torque: Any = None


class Changeable(Struct, VectorSpace, frozen=False):
    linear: Any
    torque: Any = None


class Typed(Struct, VectorSpace, Generic[T]):
    linear: T
    torque: Any = None


class Child(Force):
    more: Any = None


@struct.dataclass
class Decorated(VectorSpace):
    linear: Any
    torque: Any = None
    unit: str = struct.field(pytree_node=False, default="N")


class Node(struct.PyTreeNode, VectorSpace):
    linear: Any
    torque: Any = None


KINDS = (Force, MixinFirst, Changeable, Typed, Child, Decorated, Node)

# Small numbers: their sums and products are exact, whatever the order.
ARRAYS = st.builds(
    lambda seed, shape, dtype: np.random.default_rng(seed).integers(-4, 4, shape).astype(dtype),
    st.integers(0, 1000),
    st.sampled_from([(), (2,), (2, 3), (0,)]),
    st.sampled_from(["float32", "int32", "complex64"]),
)
# Few of JAX's own: each operation is compiled for each shape and dtype.
OF_JAX = st.sampled_from([jnp.array([1, -2], jnp.float32), jnp.array(3, jnp.int32), jnp.zeros(0, jnp.complex64)])
LEAVES = st.one_of(ARRAYS, OF_JAX, st.integers(-4, 4), st.integers(-4, 4).map(float))
TREES = st.recursive(
    st.one_of(LEAVES, st.none()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
        st.builds(Coordinates, inner, inner),
        st.builds(Ring, inner, st.just(1)),
        st.builds(Pair, inner, inner),
    ),
    max_leaves=6,
)
VECTORS = st.builds(lambda kind, one, other: kind(one, other), st.sampled_from(KINDS), TREES, TREES)
SCALARS = st.sampled_from([2, 0.5, True, 1j, np.float32(2), np.array(2.0), jnp.float32(0.5), jnp.array(3, jnp.int32)])


def same(one, other):
    """Whether two trees have one structure and equal leaves of one type and dtype."""
    (leaves, treedef), (others, structure) = jax.tree.flatten(one), jax.tree.flatten(other)
    kinds = [[(type(leaf), getattr(leaf, "dtype", None)) for leaf in found] for found in (leaves, others)]
    return treedef == structure and kinds[0] == kinds[1] and all(map(np.array_equal, leaves, others))


@deterministic
@given(VECTORS, st.integers(-3, 3), SCALARS)
def test_operations_are_those_of_tree_map(vector, factor, scalar):
    other = jax.tree.map(lambda leaf: leaf * factor + 1, vector)
    assert same(vector + other, jax.tree.map(operator.add, vector, other))
    assert same(vector - other, jax.tree.map(operator.sub, vector, other))
    assert same(-vector, jax.tree.map(operator.neg, vector))
    times = jax.tree.map(lambda leaf: leaf * scalar, vector)
    assert same(vector * scalar, times) and same(scalar * vector, times)
    assert same(vector / scalar, jax.tree.map(lambda leaf: leaf / scalar, vector))
    assert same(vector.zeros_like(), jax.tree.map(jnp.zeros_like, vector))
    assert same(sum([vector, other, vector]), jax.tree.map(lambda a, b: a + b + a, vector, other))


@deterministic
@given(VECTORS, st.integers(-3, 3))
def test_the_dot_product_and_the_norm_are_sums_over_all_leaves(vector, factor):
    other = jax.tree.map(lambda leaf: leaf * factor + 1, vector)
    pairs = [*zip(map(np.ravel, jax.tree.leaves(vector)), map(np.ravel, jax.tree.leaves(other)))]
    assert vector @ other == sum(np.vdot(one, another) for one, another in pairs)
    squares = sum(float(np.sum(np.abs(one.astype(complex)) ** 2)) for one, _ in pairs)
    np.testing.assert_allclose(vector.norm(), squares**0.5, rtol=1e-6)
    assert isinstance(vector.norm(), jax.Array) and jnp.issubdtype(vector.norm().dtype, jnp.floating)


def test_the_left_of_a_dot_product_is_conjugated():
    left, right = Force(jnp.array([1j])), Force(jnp.array([1 + 0j]))
    assert (complex(left @ right), complex(right @ left)) == (-1j, 1j)


def test_a_vector_without_leaves_has_the_norm_0():
    assert Force(None) @ Force(None) == 0 and Force(()).norm() == 0
    assert Force(None) + Force(None) == Force(None)


def test_a_sum_starts_with_0_and_copies_nothing_for_it():
    force = Force(jnp.ones(2), 3.0)
    assert 0 + force is force is sum([force])
    assert sum([force, force], start=force).torque == 9.0


@pytest.mark.parametrize("kind", KINDS)
def test_layout_and_class_stay(kind):
    vector = kind(jnp.ones(2), 1.0) + kind(jnp.ones(2), 2.0)
    assert type(vector) is kind and vector.torque == 3.0
    assert VectorSpace.__slots__ == ()
    if issubclass(kind, Struct):
        assert kind.__slots__ == () and "__dict__" not in dir(VectorSpace)


def test_arithmetic_is_traced_mapped_and_differentiated():
    start, pull = Force(jnp.array([1.0, 2.0]), jnp.array(3.0)), Force(jnp.array([0.5, 0.0]), jnp.array(1.0))

    def body(force, dt):
        force = force + dt * pull - force / 2
        return force, force.norm()

    end, norms = jax.jit(lambda force: jax.lax.scan(body, force, jnp.array([1.0, 2.0])))(start)
    step = [start / 2 + pull]
    step.append(step[0] / 2 + 2 * pull)
    assert end == step[1] and norms.tolist() == pytest.approx([float(force.norm()) for force in step])
    assert jax.grad(lambda force: force @ force)(start) == 2 * start
    slopes = jax.grad(Force.norm)(start)
    np.testing.assert_allclose(slopes.linear, (start / start.norm()).linear, rtol=1e-6)
    many = jax.tree.map(lambda leaf: jnp.stack([leaf, 2 * leaf]), start)
    assert jax.vmap(operator.matmul)(many, many).tolist() == [14.0, 56.0]
    scaled = jax.vmap(operator.mul)(many, jnp.array([2.0, 1.0]))
    assert scaled == jax.tree.map(lambda leaf: jnp.stack([2 * leaf, 2 * leaf]), start)


def test_dtypes_follow_the_rules_of_jax():
    half = Force(jnp.ones(2, jnp.bfloat16))
    assert (half * 2.0).linear.dtype == (half + half).linear.dtype == (half @ half).dtype == jnp.bfloat16
    assert (Force(jnp.arange(2, dtype=jnp.int32)) / 2).linear.dtype == jnp.float32
    with pytest.raises(ValueError, match="strict") as caught, jax.numpy_dtype_promotion("strict"):
        half + Force(jnp.ones(2, jnp.float32))
    assert caught.value.__notes__[-1] == "This is about tree.linear, where tree is a Force."


def test_shapes_broadcast_in_sums_and_not_in_products():
    assert (Force(jnp.ones((2, 3))) + Force(jnp.ones(3))).linear.shape == (2, 3)
    with pytest.raises(errors.TreeError) as caught:
        Force(1.0, jnp.ones((2, 3))) @ Force(1.0, jnp.ones((3, 2)))
    assert str(caught.value) == "@: shapes (2, 3) and (3, 2) have no dot product; give arrays of one shape"
    assert caught.value.__notes__ == ["This is about tree.torque, where tree is a Force."]


ONE_CLASS = "both have to be of one class; for another sum of the leaves, write jax.tree.map"
FACTOR = "a factor is a number or an array without axes; @ is the dot product; for others write jax.tree.map"
DIVISOR = "a divisor is a number or an array without axes; for other quotients write jax.tree.map"
NO_NODE = "the class is no pytree node; inherit from Struct, or decorate it as its parent is"
FORCE = Force(jnp.ones(2, jnp.float32), 1.0)


class Undecorated(Decorated):
    pass


REFUSED = {
    "Force + 1": (lambda: FORCE + 1, ONE_CLASS),
    "Force - 0": (lambda: FORCE - 0, ONE_CLASS),
    "1 + Force": (lambda: 1 + FORCE, ONE_CLASS),
    "0.0 + Force": (lambda: 0.0 + FORCE, ONE_CLASS),
    "False + Force": (lambda: False + FORCE, ONE_CLASS),
    "f32(0.0) + Force": (lambda: jnp.zeros((), jnp.float32) + FORCE, ONE_CLASS),
    "f32[2](numpy) + Force": (lambda: np.ones(2, np.float32) + FORCE, ONE_CLASS),
    "Force + Child": (lambda: FORCE + Child(1.0), ONE_CLASS),
    "Child - Force": (lambda: Child(1.0) - FORCE, ONE_CLASS),
    "Force @ Decorated": (
        lambda: FORCE @ Decorated(1.0),
        "both have to be of one class; multiply by a scalar with *",
    ),
    "Force * Force": (lambda: FORCE * FORCE, FACTOR),
    "Force * f32[2]": (lambda: jnp.ones(2, jnp.float32) * FORCE, FACTOR),
    "Force * f32[1](numpy)": (lambda: np.ones(1, np.float32) * FORCE, FACTOR),
    "Force / Force": (lambda: FORCE / FORCE, DIVISOR),
    "Force + Force": (
        lambda: FORCE + Force(jnp.ones(2), 1.0, "kN"),
        "tree.unit is 'N' in the first tree and 'kN' in the second; give two of one structure",
    ),
    "Force - Force": (
        lambda: Force([FORCE]) - Force([Force(FORCE.linear)]),
        "tree.linear[0].torque is 1.0 in the first tree and None in the second; give two of one structure",
    ),
    "Force @ Force": (
        lambda: Force({"a": 1.0}) @ Force({"b": 1.0}),
        "tree.linear is a dict with ['a'] in the first tree and one with ['b'] in the second; "
        "give two of one structure",
    ),
    "Undecorated": (lambda: -Undecorated(1.0), NO_NODE),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_result_is_refused_with_the_place(name):
    operation, text = REFUSED[name]
    with pytest.raises(errors.TreeError) as caught:
        operation()
    assert str(caught.value) == f"{name}: {text}"
    assert isinstance(caught.value, TypeError) and isinstance(caught.value, StructError)


class Wrapper:
    """Knows how to go on with anything on its left."""

    def __radd__(self, other):
        return "added"

    __rmul__ = __rtruediv__ = __rmatmul__ = __rsub__ = __radd__


@pytest.mark.parametrize("operation", [operator.add, operator.sub, operator.mul, operator.truediv, operator.matmul])
def test_a_stranger_on_the_right_may_know_how_to_go_on(operation):
    assert operation(FORCE, Wrapper()) == "added"
    for other in ("text", None, [1.0]):
        with pytest.raises(TypeError, match=r"unsupported operand|can't multiply"):
            operation(FORCE, other)


@pytest.mark.parametrize("number", [np.float32(2), np.float64(2), np.int8(2), np.array(2.0), jnp.float32(2)])
def test_numpy_and_jax_on_the_left_leave_it_to_the_vector(number):
    found = number * FORCE
    assert type(found) is Force and found.torque == 2.0 and found.linear.tolist() == [2.0, 2.0]


def test_what_a_leaf_refuses_is_told_where():
    with pytest.raises(TypeError, match="unsupported operand") as caught:
        Force([1.0, "text"]) - Force([1.0, "text"])
    assert caught.value.__notes__ == ["This is about tree.linear[1], where tree is a Force."]
