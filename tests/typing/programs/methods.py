# pyright: standard
# JAX leaves what `jit` and `grad` return open, which strict mode reports at each use.
"""Methods, properties, cached properties, and methods under JAX's transformations."""

from functools import cached_property, partial

import jax
import jax.numpy as jnp
from typing_extensions import Self

from structkit import Struct, static


class Model(Struct):
    weight: jax.Array
    power: int = static(default=1)

    @classmethod
    def create(cls, size: int) -> Self:
        return cls(jnp.ones(size))

    @staticmethod
    def default_size() -> int:
        return 3

    @property
    def size(self) -> int:
        return self.weight.size

    @cached_property
    def norm(self) -> jax.Array:
        return self.weight * 2

    @jax.jit
    def __call__(self, x: jax.Array) -> jax.Array:
        return x @ self.weight**self.power

    @jax.jit
    def fitted(self, x: jax.Array) -> Self:
        return self.replace(weight=x)

    @partial(jax.jit, static_argnames="n")
    def repeated(self, x: jax.Array, n: int = 1) -> jax.Array:
        return jnp.tile(self.weight * x, n)

    def __add__(self, other: "Model") -> "Model":
        return self.replace(weight=self.weight + other.weight)


@jax.jit
def loss(model: Model, x: jax.Array) -> jax.Array:
    return jnp.mean(model(x))


model = Model.create(3)
x = jnp.ones(3)
y: jax.Array = model(x)
size: int = model.size + Model.default_size()
norm: jax.Array = model.norm
total: Model = model + model
value: jax.Array = loss(model, x)
gradient: Model = jax.grad(loss)(model, x)
doubled: Model = jax.tree.map(lambda leaf: 2 * leaf, model)

wrong_size: str = model.size  # error: property-type
wrong_norm: str = model.norm  # error: cached-property-type
model.size = 3  # error: property-write
model.norm = x  # error: cached-property-write
model + 3  # error: operator
Model.create("3")  # error: classmethod-argument
