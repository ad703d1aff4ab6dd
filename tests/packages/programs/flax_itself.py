"""Trains a linen model with flax's own train state, which is a `PyTreeNode`, and uses flax's own struct classes."""

from _swap import Report, maker, swap

swap()

import flax  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import optax  # noqa: E402
from flax import linen as nn, serialization  # noqa: E402
from flax.core import freeze, meta  # noqa: E402
from flax.training.train_state import TrainState  # noqa: E402


class Network(nn.Module):
    @nn.compact
    def __call__(self, x, train=False):
        x = nn.Dense(16, kernel_init=nn.with_partitioning(nn.initializers.lecun_normal(), ("in", "out")))(x)
        x = nn.BatchNorm(use_running_average=not train)(x)
        return nn.Dense(1)(nn.relu(x))


class State(TrainState):
    batch_stats: dict


report = Report()
x = jnp.linspace(-1, 1, 64).reshape(32, 2)
y = jnp.sin(3 * x[:, :1])
network = Network()
variables = network.init(jax.random.PRNGKey(0), x)
boxed = variables["params"]["Dense_0"]["kernel"]
assert isinstance(boxed, meta.Partitioned) and boxed.names == ("in", "out")
state = State.create(
    apply_fn=network.apply,
    params=variables["params"],
    tx=optax.adam(1e-2),
    batch_stats=freeze(variables["batch_stats"]),
)


@jax.jit
def step(state):
    def loss(params):
        out, updates = state.apply_fn(
            {"params": params, "batch_stats": state.batch_stats}, x, train=True, mutable=["batch_stats"]
        )
        return jnp.mean((out - y) ** 2), updates

    (value, updates), grads = jax.value_and_grad(loss, has_aux=True)(state.params)
    return state.apply_gradients(grads=grads, batch_stats=freeze(updates["batch_stats"])), value


def train():
    trained = state
    for _ in range(30):
        trained, value = step(trained)
    return trained, value


trained, value = report.time("30 steps", train)
first = step(state)[1]
assert value < first / 2
report.add((trained, value))
restored = serialization.from_bytes(state, serialization.to_bytes(trained))
report.add(restored)
report.add(meta.unbox(restored.params))
assert int(restored.step) == 30 and jax.tree.structure(restored) == jax.tree.structure(trained)
report.print(
    classes=maker(State),
    partitioned=sorted({base.__module__ for base in meta.Partitioned.__mro__}),
    version=flax.__version__,
)
