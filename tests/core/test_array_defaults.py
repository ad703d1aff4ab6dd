"""Trap 6: `x: jax.Array = jnp.zeros(3)` is a default like any other immutable value."""

import collections
import dataclasses
from dataclasses import InitVar
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from structkit import Struct, field
from tests.models import Mutable, Point


class WithArrays(Struct):
    x: jax.Array = jnp.zeros(3)
    y: jax.Array = field(default=jnp.ones(2))
    inner: Point = Point(jnp.ones(2))


def test_an_array_and_a_struct_of_arrays_are_defaults():
    made = WithArrays()
    assert made.x is WithArrays().x is WithArrays.x and made.y is WithArrays.y and made.inner is WithArrays.inner
    assert WithArrays(x=jnp.ones(1)).x.tolist() == [1.0]
    assert dataclasses.replace(made, y=jnp.zeros(2)).y.tolist() == [0.0, 0.0]
    doubled = jax.tree.map(lambda leaf: leaf * 2 + 1, made)
    assert doubled.x.tolist() == [1.0, 1.0, 1.0] and made.x.tolist() == [0.0, 0.0, 0.0]
    assert jax.jit(lambda w: w.x.sum() + w.y.sum() + w.inner.x.sum())(made) == 4.0


def test_an_array_is_the_default_of_a_keyword_only_a_converted_and_an_init_var_argument():
    class Shifted(Struct, kw_only=True):
        x: jax.Array = jnp.zeros(3)
        y: jax.Array = field(default=jnp.ones(2), converter=lambda value: value * 2)
        shift: InitVar[jax.Array] = jnp.ones(3)

        def __post_init__(self, shift):
            self.x = self.x + shift

    assert Shifted().x.tolist() == [1.0, 1.0, 1.0]
    assert Shifted().y.tolist() == [2.0, 2.0]


@pytest.mark.parametrize("value", [[], {}, set(), np.zeros(2), bytearray(), collections.OrderedDict(), Mutable(1)])
def test_a_mutable_default_is_refused_and_the_error_names_default_factory(value):
    with pytest.raises(ValueError, match="default_factory"):

        class Bad(Struct):
            x: Any = value
