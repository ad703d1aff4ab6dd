"""Controllers of the size of a step."""

from __future__ import annotations

import jax
from equinox import Module, field


class AbstractController(Module):
    dt0: float

    def adapt(self, dt: jax.Array, error: jax.Array) -> jax.Array:
        return dt


class Constant(AbstractController):
    pass


class PID(AbstractController):
    pcoeff: float = field(static=True, kw_only=True)  # no leaf
    limit: float = 0.3

    def adapt(self, dt, error):
        return jax.numpy.clip(dt * (1 + self.pcoeff * error), 0.01, self.limit)
