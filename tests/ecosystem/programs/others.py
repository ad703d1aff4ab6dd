"""Steps one environment of each further package that is built on `flax.struct`."""

import sys

from _swap import Report, swap

swap()

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402

report = Report()


def xminigrid():
    import xminigrid

    env, params = xminigrid.make("MiniGrid-Empty-5x5")
    reset, step = jax.jit(env.reset), jax.jit(env.step)

    def run():
        timestep = reset(params, jax.random.key(0))
        for i in range(20):
            timestep = step(params, timestep, jnp.asarray(i % 4))
        return timestep

    return run


def navix():
    import navix

    env = navix.make("Navix-Empty-5x5-v0")
    reset, step = jax.jit(env.reset), jax.jit(env.step)

    def run():
        timestep = reset(jax.random.PRNGKey(0))
        for i in range(20):
            timestep = step(timestep, jnp.asarray(i % 4))
        return timestep

    return run


def pgx():
    import pgx

    env = pgx.make("tic_tac_toe")
    init, step = jax.jit(jax.vmap(env.init)), jax.jit(jax.vmap(env.step))

    def run():
        state = init(jax.random.split(jax.random.PRNGKey(0), 4))
        for i in range(9):
            state = step(state, jnp.full(4, i))
        return state

    return run


def flashbax():
    import flashbax

    buffer = flashbax.make_item_buffer(max_length=32, min_length=2, sample_batch_size=4)
    add, sample = jax.jit(buffer.add), jax.jit(buffer.sample)

    def run():
        state = buffer.init({"x": jnp.zeros(3)})
        for i in range(10):
            state = add(state, {"x": jnp.full(3, float(i))})
        return state, sample(state, jax.random.PRNGKey(0))

    return run


def craftax():
    from craftax.craftax_env import make_craftax_env_from_name

    env = make_craftax_env_from_name("Craftax-Classic-Symbolic-v1", auto_reset=False)
    params = env.default_params
    reset, step = jax.jit(env.reset), jax.jit(env.step)

    def run():
        key = jax.random.PRNGKey(0)
        obs, state = reset(key, params)
        for i in range(10):
            obs, state, *rest = step(key, state, jnp.asarray(i), params)
        return obs, state, rest

    return run


def mujoco_mjx():
    import mujoco
    from mujoco import mjx

    model = mujoco.MjModel.from_xml_string(
        '<mujoco><worldbody><body><freejoint/><geom size="1"/></body></worldbody></mujoco>'
    )
    device_model = mjx.put_model(model)
    step = jax.jit(mjx.step)

    def run():
        data = mjx.make_data(device_model)
        for _ in range(5):
            data = step(device_model, data)
        return data.qpos, data.qvel

    return run


name = sys.argv[2]
report.add(report.time(name, globals()[name](), rounds=10))
report.print()
