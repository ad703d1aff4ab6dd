"""Resets and steps brax's ant on one backend, under jit and under vmap."""

import sys

from _swap import Report, maker, swap

swap()

import jax  # noqa: E402
from brax import base, envs  # noqa: E402

backend = sys.argv[2]
env = envs.get_environment("ant", backend=backend)
report = Report()
reset, step = jax.jit(env.reset), jax.jit(env.step)
action = jax.numpy.linspace(-1, 1, env.action_size)


def rollout():
    state = reset(jax.random.PRNGKey(0))
    for _ in range(20):
        state = step(state, action)
    return state


state = report.time("jit: reset and 20 steps", rollout)
report.add((state.obs, state.reward, state))

many_reset, many_step = jax.jit(jax.vmap(env.reset)), jax.jit(jax.vmap(env.step))
keys = jax.random.split(jax.random.PRNGKey(1), 4)


def many():
    state = many_reset(keys)
    for _ in range(10):
        state = many_step(state, jax.numpy.stack([action] * 4))
    return state


state = report.time("vmap: reset and 10 steps", many)
report.add((state.obs, state.reward, state))
report.print(classes=maker(base.Transform))
