"""`hash`: statics and hashable data."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from structkit import Struct, errors, field, static
from tests.models import Coordinates, Function, Pair, Point, Ring, Skipping, Standard

FLOAT, INT = np.dtype(jnp.result_type(float)).type, np.dtype(jnp.result_type(int)).type


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (jnp.ones(3), "'y' of Pair: ArrayImpl"),
        (np.ones(3), "'y' of Pair: ndarray"),
        ([1], "'y' of Pair: list"),
        ({"a": 1}, "'y' of Pair: dict"),
        ((1, [2]), "'y' of Pair: tuple"),
        (Ring(jnp.ones(3), 2), "'y' of Pair: Ring"),
        (Point([1]), "'x' of Point: list"),
        (Pair(1, Point([1])), "'x' of Point: list"),
        (Pair(Point((1,)), Point([1])), "'x' of Point: list"),
        ((1, (Point([1]),)), "'x' of Point: list"),
    ],
)
def test_the_innermost_unhashable_field_is_named(value, named):
    with pytest.raises(errors.UnhashableFieldError, match=f"^unhashable field {named} has no hash; "):
        hash(Pair(1, value))


def test_fields_can_be_left_out_and_taken_in_one_by_one():
    class Chosen(Struct):
        x: Any = field(hash=False)
        y: Any = field(default=0, hash=True, compare=False)
        z: Any = static(default=1, hash=False)

    assert hash(Chosen(jnp.ones(3))) == hash(Chosen([1], z=2))
    assert hash(Chosen(1, 2)) != hash(Chosen(1, 3))
    assert hash(Skipping(1, [])) == hash(Skipping(1, jnp.ones(3), "tag"))


def test_a_struct_under_construction_has_the_hash_of_its_values_so_far():
    hashes = []

    class Hashing(Struct):
        x: Any

        def __post_init__(self):
            hashes.append(hash(self))
            self.x += 1
            hashes.append(hash(self))

    assert hash(Hashing(1)) == hashes[1] != hashes[0]


def test_a_class_with_an_equality_or_a_hash_of_its_own_is_hashable():
    Equal = type(Struct)("Equal", (Point,), {"__eq__": lambda self, other: True})
    Hashed = type(Struct)("Hashed", (Point,), {"__hash__": lambda self: 42})
    assert isinstance(hash(Equal(1.1)), int)
    assert hash(Hashed(jnp.ones(3))) == 42
    assert Hashed(jnp.ones(3)) == Hashed(jnp.ones(3))


HASHABLE = [
    (1, INT(1)),
    (FLOAT(1), 1.0),
    (np.bool_(True), True),
    (0.0, -0.0),
    ((1, (2,)), (1, (2,))),
    (Skipping(1, "a"), Skipping(1, "b")),
    (Skipping(1, "", "a"), Skipping(1, "", "b")),
    (Ring(1, 2), Ring(1, 2)),
    (Coordinates(1, None), Coordinates(1, None)),
    (Pair(Point(1), Point(2)), Pair(Point(1), Point(2))),
    (jax.nn.relu, jax.nn.relu),
]


@pytest.mark.parametrize(("a", "b"), HASHABLE)
def test_equal_structs_have_equal_hashes(a, b):
    assert Point(a) == Point(b)
    assert hash(Point(a)) == hash(Point(b))
    assert hash(Pair(Point((a, 1)))) == hash(Pair(Point((b, 1))))


def test_jax_says_what_to_do_with_a_static_argument_that_has_no_hash():
    for static_argument in ({"static_argnums": 0}, {"static_argnames": "struct"}):
        with pytest.raises(ValueError, match="field 'x' of Point: ArrayImpl has no hash; pass it as an ordinary arg"):
            jax.jit(lambda struct: 1, **static_argument)(struct=Point(jnp.ones(3)))


def test_neither_depth_nor_a_loop_is_too_much():
    def deep(nest, levels):
        return functools.reduce(lambda inner, _: nest(inner), range(levels), 1)

    assert hash(deep(Point, 20_000)) == hash(deep(Point, 20_000))
    assert hash(deep(lambda x: Pair(1, x, name=Point(1)), 2000)) != hash(deep(Point, 2000))
    for nest in (lambda x: (x,), lambda x: (Point(x),), lambda x: Ring(x, 1)):
        for holder in (Point, Function):
            assert hash(holder(deep(nest, 5000))) == hash(holder(deep(nest, 5000)))
    # A callable has a hash with every content.
    for nest in (Point, Function, lambda x: {"a": [x]}):
        assert hash(Function(deep(nest, 5000))) == hash(Function(deep(nest, 5000)))
    loops: list[Any] = [[1], [1]]
    for loop in loops:
        loop.append(loop)
    assert hash(Function(loops[0])) == hash(Function(loops[1]))
    with pytest.raises(errors.UnhashableFieldError, match="field 'x' of Point: Standard is nested too deeply to hash"):
        hash(Point(deep(Standard, 5000)))
