"""Steps one environment of each further package that is built on `flax.struct`, or runs its main part."""

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


def jaxmarl():
    import jaxmarl

    env = jaxmarl.make("MPE_simple_spread_v3")
    reset, step = jax.jit(jax.vmap(env.reset)), jax.jit(jax.vmap(env.step))

    def run():
        keys = jax.random.split(jax.random.PRNGKey(0), 4)
        result = reset(keys)
        for i in range(10):
            result = step(keys, result[1], {agent: jnp.full(4, i % 5) for agent in env.agents})
        return result

    return run


def clu():
    import flax
    from clu import metrics

    @flax.struct.dataclass
    class Metrics(metrics.Collection):
        accuracy: metrics.Accuracy
        loss: metrics.Average.from_output("loss")
        last: metrics.LastValue.from_output("loss")
        doubled: metrics.Average.from_fun(lambda loss, **_: 2 * loss)

    inline = metrics.Collection.create(loss=metrics.Average.from_output("loss"))
    logits = jax.random.normal(jax.random.PRNGKey(0), (5, 8, 3))
    outputs = {"logits": logits, "labels": jnp.arange(40).reshape(5, 8) % 3, "loss": logits.mean(axis=2)}

    def run():
        results = []
        for collection in (Metrics, inline):
            merge = jax.jit(lambda total, batch, cls=collection: total.merge(cls.single_from_model_output(**batch)))
            total = collection.empty()
            for i in range(5):
                total = merge(total, jax.tree.map(lambda values, i=i: values[i], outputs))
            gather = jax.vmap(
                lambda outputs, cls=collection: cls.gather_from_model_output(**outputs), axis_name="batch"
            )
            results.append((total, total.compute(), gather(outputs)))
        return results

    return run


def transformers():
    from transformers import BertConfig, FlaxBertModel

    config = BertConfig(vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)
    model = FlaxBertModel(config, seed=0)
    words = jnp.arange(10).reshape(2, 5)

    def run():
        output = model(words, output_hidden_states=True)
        mapped = jax.jit(lambda tree: jax.tree.map(lambda leaf: 2 * leaf, tree))(output)
        changed = mapped.replace(pooler_output=jnp.zeros(3))
        return output, output["pooler_output"], output[0], dict(mapped), mapped.to_tuple(), changed.to_tuple()

    return run


name = sys.argv[2]
report.add(report.time(name, globals()[name](), rounds=10))
report.print()
