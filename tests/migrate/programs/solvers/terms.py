"""Terms: right-hand sides of differential equations."""

import abc
from collections.abc import Callable
from typing import Generic, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp

from .paths import AbstractPath

Y = TypeVar("Y")


class AbstractTerm(eqx.Module, Generic[Y]):
    """A right-hand side."""

    @abc.abstractmethod
    def vf(self, t, y: Y) -> Y:
        """The vector field."""

    def prod(self, dt, vf: Y) -> Y:
        return jax.tree.map(lambda leaf: dt * leaf, vf)


class ODE(AbstractTerm[Y]):
    # The field is a function, so it is no leaf.
    function: Callable = eqx.field(static=True)
    rate: jax.Array = eqx.field(converter=jnp.asarray, default=1.0)

    def vf(self, t, y):
        return jax.tree.map(lambda leaf: self.rate * self.function(t, leaf), y)


class Forced(ODE):
    path: AbstractPath | None = None

    def vf(self, t, y):
        return super().vf(t, y) + self.path.evaluate(t)


class Neural(AbstractTerm):
    """A term with parameters, made by a constructor of its own."""

    layers: list
    size: int = eqx.field(static=True)
    norm: jax.Array = eqx.field(init=False)

    def __init__(self, size: int, *, key):
        keys = jax.random.split(key, 2)
        self.layers = [eqx.nn.Linear(size, size, key=each) for each in keys]
        self.size = size
        self.norm = sum(jnp.sum(layer.weight**2) for layer in self.layers)

    def __check_init__(self):
        if self.size < 1:
            raise ValueError("size must be positive")

    @eqx.filter_jit
    def vf(self, t, y):
        for layer in self.layers:
            y = jnp.tanh(layer(y))
        return y * jnp.cos(t) / self.norm

    def rescaled(self, factor):
        return eqx.tree_at(
            lambda term: (term.layers[0].weight, term.norm),  # of the first layer only
            self,
            (self.layers[0].weight * factor, self.norm * factor),
        )
