"""Teach a classifier of the digits 0 to 4 the digits 5 to 9, with most of it frozen.

    python examples/finetune.py [--plot finetune.png] [--epochs 15] [--small]

A convolutional network (that of digits.py) learns five digits. Then `at` gives it a head for ten, `partition` says by
path which of its layers go on learning, and `diff` shows that the others stayed as they were. Exits with an error if
fewer than 93 % of all held-out digits are recognised then, or a frozen layer changed.
"""

import argparse
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from digits import Batch, Classifier, Linear, load_batches
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from tqdm import tqdm

from structkit import Struct, at, batch, count, diff, merge, partition, static

BATCH_SIZE = 32
OLD, ALL = 5, 10
# Which layers learn the new digits, as paths; all others are frozen.
PLANS = {"the head": ("head",), "the head and the last convolution": ("head", "convs[2]"), "all layers": ("",)}
TARGET_ACCURACY = 0.93


class TrainState(Struct):
    trained: Classifier
    frozen: Classifier
    opt_state: optax.OptState
    optimizer: optax.GradientTransformation = static()

    @property
    def model(self) -> Classifier:
        return merge(self.trained, self.frozen)


def chosen(model: Classifier, paths: tuple[str, ...]) -> tuple[Classifier, Classifier]:
    """The part of the model under these paths, and the rest."""
    places = tuple(place for path in paths for place in at(model, path).paths())
    return partition(model, lambda path, leaf: path.startswith(places), with_path=True)


def loss_fn(trained: Classifier, frozen: Classifier, data: Batch) -> jax.Array:
    logits = merge(trained, frozen)(data.images)
    return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, data.labels))


def train_step(state: TrainState, data: Batch) -> tuple[TrainState, jax.Array]:
    loss, grads = jax.value_and_grad(loss_fn)(state.trained, state.frozen, data)
    updates, opt_state = state.optimizer.update(grads, state.opt_state, state.trained)
    return state.replace(trained=optax.apply_updates(state.trained, updates), opt_state=opt_state), loss


@jax.jit
def train_epoch(state: TrainState, data: Batch, key: jax.Array) -> TrainState:
    """The state after one pass over the shuffled data."""
    steps = batch.size(data) // BATCH_SIZE
    order = jax.random.permutation(key, batch.size(data))[: steps * BATCH_SIZE]
    batches = batch.reshape(batch.take(data, order), (steps, BATCH_SIZE))
    state, _ = jax.lax.scan(train_step, state, batches)
    return state


@jax.jit
def accuracy(model: Classifier, data: Batch) -> jax.Array:
    return jnp.mean(jnp.argmax(model(data.images), axis=-1) == data.labels)


def train(
    model: Classifier, paths: tuple[str, ...], data: Batch, test: Batch, epochs: int
) -> tuple[Classifier, list[float]]:
    """The model after training what is under `paths`, and the accuracy on held-out digits after each epoch."""
    trained, frozen = chosen(model, paths)
    optimizer = optax.adam(3e-3)
    state = TrainState(trained, frozen, optimizer.init(trained), optimizer)
    found = [float(accuracy(model, test))]
    for key in (progress := tqdm(jax.random.split(jax.random.key(1), epochs), unit="epoch")):
        state = train_epoch(state, data, key)
        found.append(float(accuracy(state.model, test)))
        progress.set_postfix(accuracy=f"{found[-1]:.1%}")
    return state.model, found


def draw(path: Path, before: list[float], curves: dict[str, list[float]], changes: dict[str, dict[str, float]]) -> None:
    """Write a PNG: the accuracies while learning, and how far each layer moved under each plan."""
    figure = Figure(figsize=(12, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(before, color="gray", linestyle="--", label="digits 0 to 4, at first")
    for name, curve in curves.items():
        left.plot(curve, label=f"all digits, training {name}")
    # The curves begin far below and differ near the top.
    left.set(title="Held-out digits that are recognised", xlabel="epoch", ylim=(0.8, 1.005))
    left.set_yticks(np.linspace(0.8, 1, 5))
    left.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    left.grid(alpha=0.3)
    left.legend()
    layers = [*next(iter(changes.values()))]
    for i, (name, moved) in enumerate(changes.items()):
        right.bar(np.arange(len(layers)) + 0.25 * (i - 1), [moved[layer] for layer in layers], 0.25, label=name)
    right.set(title="Largest change of a weight in each array (no bar: frozen)", ylabel="absolute change")
    right.set_xticks(range(len(layers)), layers, rotation=30, ha="right")
    right.legend()
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description="Teach a classifier more digits, with most of it frozen.")
    parser.add_argument("--plot", type=Path, default=Path("finetune.png"), help="the picture to write (%(default)s)")
    parser.add_argument("--epochs", type=int, default=15, help="passes over the data, of each training (%(default)s)")
    parser.add_argument("--small", action="store_true", help="6 passes, to see that it runs")
    args = parser.parse_args()
    epochs = 6 if args.small else args.epochs

    data, test = load_batches()
    old_data, old_test = (batch.take(part, np.asarray(part.labels) < OLD) for part in (data, test))

    start = time.perf_counter()
    small = at(Classifier.create(jax.random.key(0)), "head").set(Linear.create(jax.random.key(2), 256, OLD))
    small, before = train(small, ("",), old_data, old_test, epochs)

    # A head for ten digits that starts with what the old one knows of five.
    head = Linear.create(jax.random.key(3), 256, ALL)
    head = head.replace(
        weight=head.weight.at[:, :OLD].set(small.head.weight), bias=head.bias.at[:OLD].set(small.head.bias)
    )
    model = at(small, lambda m: m.head).set(head)

    curves, changes, wrong = {}, {}, []
    for name, paths in PLANS.items():
        trained, frozen = chosen(model, paths)
        tuned, curves[name] = train(model, paths, data, test, epochs)
        moved = {one.path: one.absolute or 0.0 for one in diff(model, tuned)}
        changes[name] = {path: moved.get(path, 0.0) for path in at(model, "**").paths()}
        wrong += [path for path in at(frozen, "**").paths() if path in moved] if jax.tree.leaves(frozen) else []
        print(
            f"training {name}: {count(trained).elements:,} of {count(model).elements:,} parameters, "
            f"{curves[name][-1]:.1%} of all digits"
        )
    draw(args.plot, before, curves, changes)
    print(f"{4 * epochs} epochs in {time.perf_counter() - start:.1f} s, picture in {args.plot}")
    if wrong:
        sys.exit(f"frozen, and changed: {wrong}")
    if curves["the head and the last convolution"][-1] < TARGET_ACCURACY:
        sys.exit(f"below the {TARGET_ACCURACY:.0%} that it should reach")


if __name__ == "__main__":
    main()
