"""Paths that drive a term."""

import equinox as eqx
import jax.numpy as jnp


class AbstractPath(eqx.Module):
    t0: eqx.AbstractVar[float]

    def evaluate(self, t):
        raise NotImplementedError


class Sine(AbstractPath):
    t0: float = 0.0

    def evaluate(self, t):
        return jnp.sin(t - self.t0)
