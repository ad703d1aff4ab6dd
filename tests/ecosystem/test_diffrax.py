"""Diffrax: the state of a differential equation is a struct."""

import diffrax
import jax
import jax.numpy as jnp
import pytest
from _trees import STATES


@pytest.mark.parametrize("kind", STATES)
def test_a_struct_is_the_state_of_an_equation(kind):
    def field(t, state, gravity):
        return kind(state.y, -gravity * jnp.sin(state.x))

    @jax.jit
    def solve(state, gravity):
        return diffrax.diffeqsolve(
            diffrax.ODETerm(field),
            diffrax.Tsit5(),
            t0=0.0,
            t1=1.0,
            dt0=0.01,
            y0=state,
            args=gravity,
            saveat=diffrax.SaveAt(ts=jnp.linspace(0, 1, 5)),
            stepsize_controller=diffrax.PIDController(rtol=1e-5, atol=1e-5),
        ).ys

    start = kind(jnp.array(0.1), jnp.array(0.0))
    states = solve(start, 9.81)
    assert type(states) is kind and states.x.shape == (5,)
    assert jnp.allclose(states.x[-1], 0.1 * jnp.cos(jnp.sqrt(9.81)), atol=1e-3)
    gradient = jax.grad(lambda state: solve(state, 9.81).x[-1])(start)
    assert type(gradient) is kind and jnp.isfinite(gradient.x)
