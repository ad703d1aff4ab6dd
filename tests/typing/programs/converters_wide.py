"""Converters again: values that the converter takes and the field's type does not."""

import jax
import jax.numpy as jnp

from structkit import Struct, field


def to_array(value: float | list[float] | jax.Array) -> jax.Array:
    return jnp.asarray(value)


class Point(Struct):
    x: jax.Array = field(converter=to_array)


Point(1.0)  # fine: float
Point([1.0, 2.0])  # fine: list
Point(x=2)  # fine: int
