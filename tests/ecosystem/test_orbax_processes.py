"""Orbax: two processes write and read the shards of a struct; one is killed in a save, and both go on bit for bit."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

pytest.importorskip("orbax.checkpoint")

# How each of the programs begins; `number` is its own.
START = """
import sys

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec as P
from orbax.checkpoint import v1 as ocp

from structkit import Struct, field, sharding, state, static

folder, port, process, number = sys.argv[1], *map(int, sys.argv[2:])
jax.distributed.initialize(f"127.0.0.1:{port}", 2, process, heartbeat_timeout_seconds=10)
"""

TRAINING = """
import numpy as np
import optax

steps = number


class Layer(Struct):
    weight: jax.Array = field(spec=P("inputs", "outputs"))
    bias: jax.Array = field(spec=P("outputs"))


class Train(Struct):
    layers: tuple[Layer, ...]
    moments: optax.OptState
    step: jax.Array
    optimizer: optax.GradientTransformation = static()


def created(key):
    keys = jax.random.split(key)
    layers = tuple(Layer(jax.random.normal(key, (64, 64)) / 8, jnp.zeros(64)) for key in keys)
    return Train(layers, optimizer.init(layers), jnp.zeros((), int), optimizer)


def loss_fn(layers, x):
    y = x
    for layer in layers:
        y = jnp.tanh(y @ layer.weight + layer.bias)
    return jnp.mean((y - x[:, ::-1]) ** 2)


def after(train, x):
    loss, grads = jax.value_and_grad(loss_fn)(train.layers, x)
    updates, moments = train.optimizer.update(grads, train.moments)
    layers = optax.apply_updates(train.layers, updates)
    return train.replace(layers=layers, moments=moments, step=train.step + 1), loss


optimizer = optax.adam(1e-2)
mesh = jax.make_mesh((2, 2), ("data", "model"), axis_types=(jax.sharding.AxisType.Auto,) * 2)
rules = {"inputs": "data", "outputs": "model"}
shapes = sharding.shard(jax.eval_shape(created, jax.random.key(0)), mesh, rules=rules)
sharding.assert_same_static(shapes)
places = jax.tree.map(lambda leaf: leaf.sharding, shapes)
schema = state.schema(shapes)
one_step = jax.jit(after, out_shardings=(places, NamedSharding(mesh, P())), donate_argnums=0)
policies = ocp.training.save_decision_policies, ocp.training.preservation_policies
with ocp.training.Checkpointer(
    folder, save_decision_policy=policies[0].FixedIntervalPolicy(2), preservation_policy=policies[1].LatestN(2),
    cleanup_tmp_directories=True,
) as checkpointer:
    if checkpointer.latest is None:
        train = jax.jit(created, out_shardings=places)(jax.random.key(0))
    else:
        match = state.match(checkpointer.metadata(checkpointer.latest).custom_metadata, shapes)
        train = match.fill(checkpointer.load(checkpointer.latest, match.target))
    assert jax.tree.map(lambda leaf: leaf.sharding, train) == places
    assert not train.layers[0].weight.is_fully_addressable
    for step in range(int(train.step), steps):
        batch = np.random.default_rng(step).normal(size=(32, 64)).astype(np.float32)
        x = jax.make_array_from_callback(batch.shape, NamedSharding(mesh, P("data")), batch.__getitem__)
        train, loss = one_step(train, x)
        print("step", step + 1, float(loss).hex(), flush=True)
        checkpointer.save_async(step + 1, train, custom_metadata=schema)
"""

CHANGED = """
import tensorstore
from structkit.errors import StateError

size = number


class Layer(Struct):
    weight: jax.Array = field(spec=P("inputs", "outputs"))
    bias: jax.Array = field(spec=P("outputs"))
    unit: str = static(default="m")


class Scaled(Struct):
    kernel: jax.Array = field(spec=P("inputs", "outputs"), aliases=("weight",))
    bias: jax.Array = field(spec=P("outputs"))
    scale: jax.Array = field(default_factory=lambda: jnp.ones(size), spec=P("outputs"))
    step: jax.Array = field(default_factory=lambda: jnp.asarray(7))
    unit: str = static(default="m")


def bytes_read():
    name = "/tensorstore/kvstore/file/bytes_read"
    return sum(one["values"][0]["value"] for one in tensorstore.experimental_collect_matching_metrics(name))


def laid(make):
    return sharding.shard(jax.eval_shape(make), mesh)


def layer():
    return Layer(jax.random.normal(jax.random.key(0), (size, size)), jnp.arange(1.0 * size))


def scaled():
    return Scaled(layer().weight, layer().bias)


mesh = jax.make_mesh((2, 2), ("inputs", "outputs"), axis_types=(jax.sharding.AxisType.Auto,) * 2)
saved = jax.jit(layer, out_shardings=jax.tree.map(lambda leaf: leaf.sharding, laid(layer)))()
ocp.save(folder, saved, custom_metadata=state.schema(saved))
metadata = ocp.metadata(folder).custom_metadata
try:
    state.match(metadata, laid(scaled).replace(unit="cm"))
except StateError as error:
    print("told", repr(str(error)))

match = state.match(metadata, laid(scaled))
before = bytes_read()
found = match.fill(ocp.load(folder, match.target))
print("read", (bytes_read() - before) / saved.weight.nbytes)
expected = laid(scaled)
for name in ("kernel", "bias", "scale"):
    leaf = getattr(found, name)
    assert leaf.sharding == getattr(expected, name).sharding and not leaf.is_fully_addressable, name
assert found.kernel.addressable_shards[0].data.shape == (size // 2, size // 2)
assert found.step.sharding == expected.step.sharding
same = jax.jit(lambda one, other: (one.kernel == other.weight).all() & (one.bias == other.bias).all())
print("same", same(found, saved), found.scale.addressable_data(0).sum(), found.step)
"""


def run(program, folder, number, killed_in=None):
    """The exit codes and the output of each process; the first is killed while this step is saved."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
    environment = os.environ | {"PYTHONPATH": path, "JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": "2", "XLA_FLAGS": ""}
    processes = []
    for i in range(2):
        command = [sys.executable, "-c", START + program, str(folder / "steps"), str(port), str(i), str(number)]
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
    return codes, logs


def train(folder, steps, killed_in=None):
    """The exit codes, and the losses that each process has printed."""
    codes, logs = run(TRAINING, folder, steps, killed_in)
    return codes, [dict(line.split()[1:] for line in log.splitlines() if line.startswith("step ")) for log in logs]


def test_a_run_killed_in_a_save_goes_on_from_the_step_before_bit_for_bit(tmp_path):
    broken, unbroken = tmp_path / "broken", tmp_path / "unbroken"
    broken.mkdir(), unbroken.mkdir()
    _, (expected, same) = train(unbroken, 8)
    assert [*expected] == [str(step) for step in range(1, 9)] and expected == same

    codes, (before, _) = train(broken, 8, killed_in=4)
    assert codes[0] == -signal.SIGKILL and codes[1] != 0
    assert before.items() <= expected.items() and "4" in before

    _, (after, same) = train(broken, 8)
    assert after == same and after.items() <= expected.items()
    # The save was whole, if the kill came late.
    assert min(after) in ("3", "5") and max(after) == "8"
    assert sorted(path.name for path in (broken / "steps").iterdir()) == ["6", "8"]


def test_each_process_reads_its_shards_of_a_struct_whose_class_has_changed(tmp_path):
    _, logs = run(CHANGED, tmp_path, 512)
    text = (
        "match: does not fit the target:\n  .unit: static: 'm' was saved, the target has 'cm'\n"
        "change the target, or take what fits with strict=False"
    )
    for log in logs:
        lines = dict(line.split(" ", 1) for line in log.splitlines() if line.split(" ")[0] in ("told", "read", "same"))
        assert lines["told"] == repr(text)
        # Compressed, half of an array and the bias.
        assert 0.3 < float(lines["read"]) < 0.6
        assert lines["same"] == "True 256.0 7"
