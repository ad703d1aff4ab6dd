"""Arithmetic of structs with `VectorSpace`."""

import jax
import jax.numpy as jnp

from structkit import Struct, VectorSpace, static, struct


class Force(Struct, VectorSpace):
    linear: jax.Array
    unit: str = static(default="N")


class Velocity(Struct, VectorSpace):
    linear: jax.Array


class Strong(Force):
    limit: float = 1.0


@struct.dataclass
class Decorated(VectorSpace):
    linear: jax.Array


force = Force(jnp.ones(3))
velocity = Velocity(jnp.ones(3))
decorated = Decorated(jnp.ones(3))
scalar = jnp.float32(0.5)

added: Force = force + force
subtracted: Force = force - force
negated: Force = -force
scaled: Force = force * 2 / 3.0
from_left: Force = 2.0 * force
by_array: Force = force * scalar / scalar
mixed: Force = 2 * (force - force / 2) + -force
product: jax.Array = force @ force
norm: jax.Array = force.norm()
zero: Force = force.zeros_like()
strong: Strong = 2 * Strong(jnp.ones(3)) + Strong(jnp.ones(3)).zeros_like()
of_dataclass: Decorated = decorated + 2 * decorated
total: Force = sum([force, force], start=force.zeros_like())
total_or_0: Force | int = sum([force, force])
force += force
unit: str = (force + force).unit

force + velocity  # error: other-class
force - velocity  # error: other-class-subtracted
force @ velocity  # error: other-class-product
force + 1  # error: number
force - 0  # error: zero
force * force  # error: factor
force / force  # error: divisor
force * "2"  # error: text
1 / force  # error: number-by-vector
1 - force  # error: number-minus-vector
force**2  # error: power
wrong_sum: Velocity = force + force  # error: sum-type
wrong_product: Force = force @ force  # error: product-type
wrong_norm: str = force.norm()  # error: norm-type
wrong_zero: Velocity = force.zeros_like()  # error: zero-type
(force + force).unti  # error: unknown
