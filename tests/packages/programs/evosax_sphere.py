"""Runs three evolution strategies on a sphere for 20 generations."""

from _swap import Report, maker, swap

swap()

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
from evosax.algorithms import CMA_ES, SNES, Open_ES  # noqa: E402

report = Report()
for algorithm in (CMA_ES, Open_ES, SNES):
    strategy = algorithm(population_size=16, solution=jnp.zeros(8))
    params = strategy.default_params
    ask, tell = jax.jit(strategy.ask), jax.jit(strategy.tell)

    def run(strategy=strategy, params=params, ask=ask, tell=tell):
        key = jax.random.key(0)
        state = strategy.init(key, jnp.ones(8), params)
        for i in range(20):
            population, state = ask(jax.random.fold_in(key, i), state, params)
            fitness = jnp.sum(population**2, axis=1)
            state, metrics = tell(jax.random.fold_in(key, 100 + i), population, fitness, state, params)
        return state, fitness, metrics

    report.add(report.time(algorithm.__name__, run))
report.print(classes=maker(type(params)))
