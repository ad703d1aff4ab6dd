"""Converters: what a constructor takes is wider than what the field holds."""

import jax
import jax.numpy as jnp

from structkit import FrozenDict, Struct, field, freeze, static


def to_array(value: float | list[float] | jax.Array) -> jax.Array:
    return jnp.asarray(value)


class Point(Struct):
    x: jax.Array = field(converter=to_array)
    y: jax.Array = field(converter=to_array, default=0.0)
    z: jax.Array = field(converter=to_array, default_factory=float)
    sizes: tuple[int, ...] = static(converter=tuple[int, ...], default=())


array = jnp.ones(3)
Point(array)
Point(array, array)
Point(x=array, y=array, z=array, sizes=(1, 2))
Point()  # error: missing
Point("x")  # error: wrong-type
Point(array, y="y")  # error: wrong-type-by-name
Point(1.0)  # fine: float
Point([1.0, 2.0])  # fine: list
Point(x=2)  # fine: int
x: jax.Array = Point(array).x
n: int = Point(array).x  # error: field-type


class Wrong(Struct):
    a: int = field(converter=to_array)  # error: converter-type
    b: str = static(converter=int)  # error: static-converter-type


frozen: FrozenDict = freeze({"a": [1]})
numbers: tuple[int, ...] = freeze([1, 2])
names: frozenset[str] = freeze({"a"})
text: tuple[str, ...] = freeze([1, 2])  # error: freeze-type
