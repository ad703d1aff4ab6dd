"""Takes 100 random steps in every environment that gymnax registers."""

from _swap import Report, maker, swap

swap()

import gymnax  # noqa: E402
import jax  # noqa: E402

report = Report()
ran, failed = [], {}
for name in gymnax.registered_envs:
    try:
        env, params = gymnax.make(name)
        reset, step = jax.jit(env.reset), jax.jit(env.step)
        actions = [env.action_space(params).sample(jax.random.PRNGKey(i)) for i in range(100)]

        def rollout(reset=reset, step=step, params=params, actions=actions):
            key = jax.random.PRNGKey(0)
            obs, state = reset(key, params)
            outputs = [obs]
            for i, action in enumerate(actions):
                obs, state, *rest = step(jax.random.fold_in(key, i), state, action, params)
                outputs.append((obs, rest))
            return outputs, state

        report.add(report.time(name, rollout, rounds=10))
        ran.append(name)
    except Exception as error:
        # An environment that a new JAX has broken must be broken in the same way with either module.
        failed[name] = f"{type(error).__name__}: {str(error)[:200]}"
report.print(ran=ran, failed=failed, classes=maker(type(params)))
