"""Train the model of transformer.py in two processes, kill them, start them again, and compare with an unbroken run.

    python examples/multihost.py [--plot multihost.png] [--steps 60] [--small]

`jax.distributed` joins two processes with four CPU devices each. The specs of the model's fields lay it out on a mesh
of 2 x 4 devices, and Orbax writes checkpoints to which each process gives its shards, with a schema beside them: a
model that was made with other static fields since is an error. One process is killed between two checkpoints, and one
in the middle of a checkpoint; the other then ends by itself, and both are started again. Exits with an error if one
loss differs in one bit from that of a run in which nobody was killed.

On a cluster, start all processes with a folder that they see: under Slurm one for each GPU, on TPUs one for each host.

    srun --ntasks-per-node=8 python examples/multihost.py --train gs://bucket/run --steps 10000 --every 500
"""

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
from jax.sharding import AxisType, NamedSharding, PartitionSpec as P
from matplotlib.figure import Figure
from orbax.checkpoint import v1 as ocp
from transformer import TrainState, Transformer, batch_of, corpus, loss_fn, make_optimizer, train_step

from structkit import sharding, state

PROCESSES, DEVICES = 2, 4
MODEL_AXIS = 4
# Heads and hidden units are cut along `model`; what remains is cut along `data`, as are the batches.
RULES = {"embed": "data", "heads": "model", "hidden": "model", "vocabulary": "model", "layers": None}
GATHERED = RULES | {"embed": None}
PATIENCE = 900.0  # seconds for all steps


def train(folder: str, steps: int, every: int) -> None:
    """One process of a run: go on from the newest checkpoint in the folder, and print the loss of each step."""
    mesh = jax.make_mesh(
        (jax.device_count() // MODEL_AXIS, MODEL_AXIS), ("data", "model"), axis_types=(AxisType.Auto, AxisType.Auto)
    )
    create = partial(TrainState.create, optimizer=make_optimizer(steps))
    shapes = sharding.shard(jax.eval_shape(create, jax.random.key(0)), mesh, rules=RULES)
    sharding.assert_same_static(shapes)
    places, schema = jax.tree.map(lambda shape: shape.sharding, shapes), state.schema(shapes)
    rows, whole = NamedSharding(mesh, P("data")), NamedSharding(mesh, P())

    def gathered_loss(model: Transformer, text: jax.Array) -> jax.Array:
        return loss_fn(sharding.constrain(model, mesh, rules=GATHERED), text)

    # With the places said, a step compiles to one program, whatever came before it.
    one_step = jax.jit(partial(train_step, loss_fn=gathered_loss), donate_argnums=0, out_shardings=(places, whole))

    text = corpus()
    with ocp.training.Checkpointer(
        folder,
        save_decision_policy=ocp.training.save_decision_policies.FixedIntervalPolicy(every),
        preservation_policy=ocp.training.preservation_policies.LatestN(2),
        cleanup_tmp_directories=True,
    ) as checkpointer:
        if checkpointer.latest is None:
            current = jax.jit(create, out_shardings=places)(jax.random.key(0))
        else:
            match = state.match(checkpointer.metadata(checkpointer.latest).custom_metadata, shapes)
            current = match.fill(checkpointer.load(checkpointer.latest, match.target))
        print("start", int(current.step), flush=True)
        for step in range(int(current.step), steps):
            batch = batch_of(text, step)
            current, loss = one_step(current, jax.make_array_from_callback(batch.shape, rows, batch.__getitem__))
            print("step", step + 1, float(loss).hex(), flush=True)
            checkpointer.save_async(step + 1, current, custom_metadata=schema)


class Kill(NamedTuple):
    process: int
    step: int
    while_saving: bool


class Start(NamedTuple):
    """What became of one start of all processes: where it began, the loss of each step, and how it ended."""

    first: int
    losses: dict[int, float]
    codes: list[int]
    killed: Kill | None
    alone: float  # seconds from the kill to the end of the others


@contextmanager
def started(folder: Path, steps: int, every: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """The processes of a run, on a port of their own; each writes to its log."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [sys.executable, __file__, "--train", str(folder / "checkpoints")]
    command += ["--steps", str(steps), "--every", str(every), "--address", address]
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": str(DEVICES), "XLA_FLAGS": ""}
    processes = []
    for i in range(PROCESSES):
        with log_of(folder, i).open("wb") as log:
            numbered = [*command, "--process", str(i)]
            processes.append(subprocess.Popen(numbered, env=environment, stdout=log, stderr=subprocess.STDOUT))
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


def log_of(folder: Path, process: int) -> Path:
    return folder / f"process-{process}.log"


def told(folder: Path, process: int) -> tuple[int, dict[int, float]]:
    """The step at which a process began, and its losses, from the whole lines of its log."""
    lines = [line.split() for line in log_of(folder, process).read_text().split("\n")[:-1]]
    first = [int(line[1]) for line in lines if line[:1] == ["start"]]
    return (first or [0])[0], {int(line[1]): float.fromhex(line[2]) for line in lines if line[:1] == ["step"]}


def is_time(folder: Path, kill: Kill) -> bool:
    if not kill.while_saving:
        return kill.step in told(folder, kill.process)[1]
    return any((folder / "checkpoints").glob(f"{kill.step}.orbax-checkpoint-tmp*"))


def run_once(folder: Path, steps: int, every: int, kill: Kill | None) -> Start:
    """Start all processes and wait for their end, which for one of them may be a kill."""
    deadline, due, killed = time.monotonic() + PATIENCE, kill, 0.0
    with started(folder, steps, every) as processes:
        while any(process.poll() is None for process in processes) and time.monotonic() < deadline:
            if due and is_time(folder, due):
                processes[due.process].send_signal(signal.SIGKILL)
                due, killed = None, time.monotonic()
            time.sleep(0.002)
        alone = time.monotonic() - killed
    codes = [process.returncode for process in processes]
    seen = [told(folder, process) for process in range(PROCESSES)]
    if due or time.monotonic() > deadline or (kill is None and any(codes)):
        logs = [log_of(folder, process).read_text()[-2000:] for process in range(PROCESSES)]
        sys.exit("\n".join([f"not as planned, exit codes {codes}", *logs]))
    return Start(seen[0][0], seen[0][1] | seen[1][1], codes, kill, alone)


def run(folder: Path, steps: int, every: int, kills: list[Kill]) -> list[Start]:
    """All starts of a run of so many steps."""
    starts = []
    for kill in (*kills, None):
        before = time.perf_counter()
        start = run_once(folder, steps, every, kill)
        starts.append(start)
        text = f"  steps {start.first + 1} to {max(start.losses)} in {time.perf_counter() - before:.0f} s"
        if kill:
            moment = f"while step {kill.step} was saved" if kill.while_saving else f"after step {kill.step}"
            text += f"; process {kill.process} killed {moment}, the other ended {start.alone:.0f} s later"
            text += f", exit codes {start.codes}"
        print(text, flush=True)
    kept = sorted(int(path.name) for path in (folder / "checkpoints").iterdir() if path.name.isdigit())
    print(f"  checkpoints left: {kept}")
    return starts


def draw(path: Path, unbroken: dict[int, float], starts: list[Start]) -> None:
    """Write a PNG: the losses of both runs over each other, and the kills."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot([*unbroken], [*unbroken.values()], color="black", linewidth=10, alpha=0.2, label="nobody killed")
    for i, start in enumerate(starts):
        label = f"start {i + 1}, from step {start.first + 1}"
        width = 2 + len(starts) - i  # what is computed twice stays visible
        axes.plot([*start.losses], [*start.losses.values()], color=f"C{i}", linewidth=width, label=label)
        if start.killed:
            last, what = max(start.losses), "saving" if start.killed.while_saving else "computing"
            axes.axvline(last, color=f"C{i}", linestyle=":")
            text = f"process {start.killed.process} killed, {what} "
            axes.text(last, max(unbroken.values()), text, color=f"C{i}", rotation=90, ha="right", va="top", fontsize=8)
    axes.set(title="Loss, eight devices in two processes", xlabel="step", ylabel="nats for a byte")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train a transformer in two processes, and kill them.")
    parser.add_argument("--steps", type=int, default=60, help="steps of the optimizer (%(default)s)")
    parser.add_argument("--every", type=int, default=10, help="steps from checkpoint to checkpoint (%(default)s)")
    parser.add_argument("--small", action="store_true", help="6 steps and one kill, to see that it runs")
    parser.add_argument("--plot", type=Path, default=Path("multihost.png"), help="the picture (%(default)s)")
    parser.add_argument("--train", metavar="FOLDER", help="be one process of a run, with its checkpoints there")
    parser.add_argument("--address", help="host and port of process 0; without it, the cluster says so")
    parser.add_argument("--process", type=int, help="the number of this process, with --address")
    args = parser.parse_args()
    if args.train:
        if args.address is None:
            jax.distributed.initialize()
        else:
            jax.distributed.initialize(args.address, PROCESSES, args.process, heartbeat_timeout_seconds=10)
        train(args.train, args.steps, args.every)
        return

    steps, every = (6, 2) if args.small else (args.steps, args.every)
    if not args.small and steps < 4 * every:
        parser.error("the kills need four checkpoints: --steps of four times --every or more")
    saving = Kill(0, steps // every * 3 // 4 * every, while_saving=True)
    kills = [saving] if args.small else [Kill(1, steps // 3 + every // 2, while_saving=False), saving]
    folder = Path(tempfile.mkdtemp())
    try:
        both = {}
        for name, planned in (("unbroken", []), ("broken", kills)):
            (folder / name).mkdir()
            print(f"{name} run of {steps} steps, a checkpoint every {every}", flush=True)
            both[name] = run(folder / name, steps, every, planned)
    finally:
        shutil.rmtree(folder)

    unbroken = both["unbroken"][0].losses
    draw(args.plot, unbroken, both["broken"])
    compared = [(step, loss) for start in both["broken"] for step, loss in start.losses.items()]
    wrong = [step for step, loss in compared if loss != unbroken[step]]
    again = len(compared) - len(unbroken)
    print(f"{len(compared)} losses compared, of which {again} computed twice; picture in {args.plot}")
    if wrong or {step for step, _ in compared} != {*unbroken}:
        sys.exit(f"the losses of the broken run differ at steps {wrong}")
    print("all are equal bit for bit")


if __name__ == "__main__":
    main()
