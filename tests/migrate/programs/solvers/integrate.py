"""The loop."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .controllers import AbstractController
from .solvers import AbstractSolver
from .terms import AbstractTerm


class State(eqx.Module):
    t: jax.Array
    dt: jax.Array
    y: Any


class Solution(eqx.Module):
    ts: jax.Array
    ys: Any
    steps: int = eqx.field(static=True)
    stats: dict[str, jax.Array] | None = None

    def evaluate(self, t):
        return jnp.interp(t, self.ts, self.ys[:, 0])


@eqx.filter_jit
def solve(term: AbstractTerm, solver: AbstractSolver, controller: AbstractController, y0, steps: int) -> Solution:
    def step(state, _):
        y = solver.step(term, state.t, state.dt, state.y)
        error = jnp.mean(jnp.abs(y - state.y))
        state = State(state.t + state.dt, controller.adapt(state.dt, error), y)
        return state, state

    first = State(jnp.asarray(0.0), jnp.asarray(controller.dt0), y0)
    last, states = jax.lax.scan(step, first, None, length=steps)
    solution = Solution(states.t, states.y, steps)
    return eqx.tree_at(lambda s: s.stats, solution, {"dt": last.dt}, is_leaf=lambda x: x is None)
