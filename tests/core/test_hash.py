"""`hash`: statics and hashable data; for structs that can be called, arrays too."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from structkit import Struct, errors, field, static
from tests.models import Coordinates, Pair, Point, Ring, Skipping

FLOAT, INT = np.dtype(jnp.result_type(float)).type, np.dtype(jnp.result_type(int)).type


class Callable(Struct):
    x: Any
    n: Any = static(default=0)

    def __call__(self):
        return self.x


def test_statics_and_data_count():
    assert hash(Pair(1, (2, 3), name="a")) == hash(Pair(1, (2, 3), name="a"))
    assert len({Pair(1), Pair(1), Pair(2), Pair(1, name=1), Pair(1, name=True), Pair(1, 0)}) == 5
    assert {Pair(Point(1), "a"): 1}[Pair(Point(1), "a")] == 1


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (jnp.ones(3), "ArrayImpl"),
        (np.ones(3), "ndarray"),
        ([1], "list"),
        ({"a": 1}, "dict"),
        ((1, [2]), "tuple"),
        (Point([1]), "Point"),
    ],
)
def test_an_unhashable_field_is_named(value, kind):
    with pytest.raises(errors.UnhashableFieldError, match=f"^unhashable field 'y' of Pair: {kind} has no hash; "):
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
    class Equal(Struct):
        x: Any

        def __eq__(self, other):
            return True

    class Hashed(Struct):
        x: Any

        def __hash__(self):
            return 42

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
UNHASHABLE = [
    (jnp.ones(3), jnp.ones(3)),
    (jnp.ones(3, jnp.float32), np.ones(3, np.float32)),
    (1, jnp.asarray(1)),
    (jnp.float32(0.0), jnp.float32(-0.0)),
    (jax.random.key(0), jax.random.key(0)),
    ([jnp.ones(3), {"a": 1}], [jnp.ones(3), {"a": 1}]),
    ([jnp.ones(3), 1], [jnp.ones(3), jnp.asarray(1)]),
    ([FLOAT(1)], [1.0]),
    ([Skipping(1, "a")], [Skipping(1, "b")]),
]


@pytest.mark.parametrize(
    ("cls", "a", "b"),
    [*((Point, *pair) for pair in HASHABLE), *((Callable, *pair) for pair in (*HASHABLE, *UNHASHABLE))],
)
def test_equal_structs_have_equal_hashes(cls, a, b):
    assert cls(a) == cls(b)
    assert hash(cls(a)) == hash(cls(b))
