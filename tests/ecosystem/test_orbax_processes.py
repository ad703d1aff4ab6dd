"""Orbax: two processes write the shards of a struct, one is killed in a save, and a new start goes on bit for bit."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

pytest.importorskip("orbax.checkpoint")

PROGRAM = """
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import NamedSharding, PartitionSpec as P
from orbax.checkpoint import v1 as ocp

from structkit import Struct, field, sharding, static

folder, port, process, steps = sys.argv[1], *map(int, sys.argv[2:])
jax.distributed.initialize(f"127.0.0.1:{port}", 2, process, heartbeat_timeout_seconds=10)


class Layer(Struct):
    weight: jax.Array = field(spec=P("inputs", "outputs"))
    bias: jax.Array = field(spec=P("outputs"))


class State(Struct):
    layers: tuple[Layer, ...]
    moments: optax.OptState
    step: jax.Array
    optimizer: optax.GradientTransformation = static()


def created(key):
    keys = jax.random.split(key)
    layers = tuple(Layer(jax.random.normal(key, (64, 64)) / 8, jnp.zeros(64)) for key in keys)
    return State(layers, optimizer.init(layers), jnp.zeros((), int), optimizer)


def loss_fn(layers, x):
    y = x
    for layer in layers:
        y = jnp.tanh(y @ layer.weight + layer.bias)
    return jnp.mean((y - x[:, ::-1]) ** 2)


def after(state, x):
    loss, grads = jax.value_and_grad(loss_fn)(state.layers, x)
    updates, moments = state.optimizer.update(grads, state.moments)
    layers = optax.apply_updates(state.layers, updates)
    return state.replace(layers=layers, moments=moments, step=state.step + 1), loss


optimizer = optax.adam(1e-2)
mesh = jax.make_mesh((2, 2), ("data", "model"), axis_types=(jax.sharding.AxisType.Auto,) * 2)
rules = {"inputs": "data", "outputs": "model"}
target = sharding.shard(jax.eval_shape(created, jax.random.key(0)), mesh, rules=rules)
sharding.assert_same_static(target)
places = jax.tree.map(lambda leaf: leaf.sharding, target)
one_step = jax.jit(after, out_shardings=(places, NamedSharding(mesh, P())), donate_argnums=0)
policies = ocp.training.save_decision_policies, ocp.training.preservation_policies
with ocp.training.Checkpointer(
    folder, save_decision_policy=policies[0].FixedIntervalPolicy(2), preservation_policy=policies[1].LatestN(2),
    cleanup_tmp_directories=True,
) as checkpointer:
    if checkpointer.latest is None:
        state = jax.jit(created, out_shardings=places)(jax.random.key(0))
    else:
        state = checkpointer.load(checkpointer.latest, target)
    assert jax.tree.map(lambda leaf: leaf.sharding, state) == places
    assert not state.layers[0].weight.is_fully_addressable
    for step in range(int(state.step), steps):
        batch = np.random.default_rng(step).normal(size=(32, 64)).astype(np.float32)
        x = jax.make_array_from_callback(batch.shape, NamedSharding(mesh, P("data")), batch.__getitem__)
        state, loss = one_step(state, x)
        print("step", step + 1, float(loss).hex(), flush=True)
        checkpointer.save_async(step + 1, state)
"""


def run(folder, steps, killed_in=None):
    """The exit codes and the losses of each process; the first is killed while this step is saved."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
    environment = os.environ | {"PYTHONPATH": path, "JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": "2", "XLA_FLAGS": ""}
    processes = []
    for i in range(2):
        command = [sys.executable, "-c", PROGRAM, str(folder / "steps"), str(port), str(i), str(steps)]
        with (folder / f"{i}.log").open("w") as log:
            processes.append(subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT))
    try:
        while killed_in and processes[0].poll() is None:
            if any(folder.glob(f"steps/{killed_in}.orbax-checkpoint-tmp*")):
                processes[0].send_signal(signal.SIGKILL)
                break
            time.sleep(0.001)
        codes = [process.wait(timeout=120) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    logs = [(folder / f"{i}.log").read_text() for i in range(2)]
    assert killed_in or codes == [0, 0], "\n".join(logs)
    return codes, [dict(line.split()[1:] for line in log.splitlines() if line.startswith("step ")) for log in logs]


def test_a_run_killed_in_a_save_goes_on_from_the_step_before_bit_for_bit(tmp_path):
    broken, unbroken = tmp_path / "broken", tmp_path / "unbroken"
    broken.mkdir(), unbroken.mkdir()
    _, (expected, same) = run(unbroken, 8)
    assert [*expected] == [str(step) for step in range(1, 9)] and expected == same

    codes, (before, _) = run(broken, 8, killed_in=4)
    assert codes[0] == -signal.SIGKILL and codes[1] != 0
    assert before.items() <= expected.items() and "4" in before

    _, (after, same) = run(broken, 8)
    assert after == same and after.items() <= expected.items()
    # The save was whole, if the kill came late.
    assert min(after) in ("3", "5") and max(after) == "8"
    assert sorted(path.name for path in (broken / "steps").iterdir()) == ["6", "8"]
