"""Train a small transformer, byte by byte, on the sources of Python's standard library.

    python examples/transformer.py [--plot transformer.png] [--steps STEPS] [--small] [--file FILE] [--resume]

Parameters, optimizer and step are one `Struct`, which `state.save` writes to one file, every 50 steps and at the end;
`--resume` goes on from there, with the losses of an unbroken run. Exits with an error if the loss on held-out text is
more than 2.4 nats for a byte.
"""

import argparse
import sys
import sysconfig
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Self

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import PartitionSpec as P
from matplotlib.figure import Figure
from tqdm import tqdm

from structkit import Struct, count, field, state, static

BYTES = 256
CONTEXT, BATCH = 128, 16
TARGET_LOSS = 2.4
SAVE_EVERY = 50

# Fan-in: the variance of what comes out is that of what goes in.
normal = jax.nn.initializers.variance_scaling(1.0, "fan_in", "normal")


class Norm(Struct):
    scale: jax.Array

    def __call__(self, x: jax.Array) -> jax.Array:
        """Root mean square normalisation (Zhang and Sennrich, 2019)."""
        return x * jax.lax.rsqrt(jnp.mean(x**2, -1, keepdims=True) + 1e-6) * self.scale


class Attention(Struct):
    """Causal self-attention; the heads are split over the axis `model` of a mesh."""

    qkv: jax.Array = field(spec=P("embed", None, "heads"))  # [width, 3, heads * size]
    out: jax.Array = field(spec=P("heads", "embed"))
    heads: int = static()

    @classmethod
    def create(cls, key: jax.Array, width: int, heads: int) -> Self:
        one, two = jax.random.split(key)
        return cls(normal(one, (width, 3 * width)).reshape(width, 3, width), normal(two, (width, width)), heads)

    def __call__(self, x: jax.Array) -> jax.Array:
        q, k, v = jnp.moveaxis(jnp.einsum("btd,dne->bnte", x, self.qkv), 1, 0)
        split = [part.reshape(*part.shape[:-1], self.heads, -1) for part in (q, k, v)]
        mixed: jax.Array = jax.nn.dot_product_attention(*split, is_causal=True)
        return mixed.reshape(x.shape) @ self.out


class MLP(Struct):
    up: jax.Array = field(spec=P("embed", "hidden"))
    down: jax.Array = field(spec=P("hidden", "embed"))

    @classmethod
    def create(cls, key: jax.Array, width: int) -> Self:
        one, two = jax.random.split(key)
        return cls(normal(one, (width, 4 * width)), normal(two, (4 * width, width)))

    def __call__(self, x: jax.Array) -> jax.Array:
        return jax.nn.gelu(x @ self.up) @ self.down


class Block(Struct):
    norm1: Norm
    attention: Attention
    norm2: Norm
    mlp: MLP

    @classmethod
    def create(cls, key: jax.Array, width: int, heads: int) -> Self:
        one, two = jax.random.split(key)
        attention, mlp = Attention.create(one, width, heads), MLP.create(two, width)
        return cls(Norm(jnp.ones(width)), attention, Norm(jnp.ones(width)), mlp)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Transformer(Struct):
    embedding: jax.Array = field(spec=P("vocabulary", "embed"))
    positions: jax.Array = field(spec=P(None, "embed"))
    blocks: Block = field(spec=P("layers", ...))  # stacked: compiled once, whatever their number
    norm: Norm = field()

    @classmethod
    def create(cls, key: jax.Array, width: int = 128, depth: int = 4, heads: int = 4) -> Self:
        embed_key, position_key, block_key = jax.random.split(key, 3)
        blocks = jax.lax.map(lambda key: Block.create(key, width, heads), jax.random.split(block_key, depth))
        # The output is normalised, and the embedding read the other way round: the logits begin with a variance of 1.
        embedding, positions = [
            jax.random.normal(key, (size, width)) * width**-0.5
            for key, size in ((embed_key, BYTES), (position_key, CONTEXT))
        ]
        return cls(embedding, positions, blocks, Norm(jnp.ones(width)))

    def __call__(self, text: jax.Array) -> jax.Array:
        """The logits of the byte after each one: [batch, time, 256] from [batch, time]."""
        x = self.embedding[text] + self.positions[: text.shape[1]]
        x, _ = jax.lax.scan(lambda x, block: (block(x), None), x, self.blocks)
        return self.norm(x) @ self.embedding.T


class TrainState(Struct):
    model: Transformer
    opt_state: optax.OptState
    step: jax.Array
    optimizer: optax.GradientTransformation = static()

    @classmethod
    def create(cls, key: jax.Array, optimizer: optax.GradientTransformation) -> Self:
        model = Transformer.create(key)
        return cls(model, optimizer.init(model), jnp.zeros((), int), optimizer)


def make_optimizer(steps: int) -> optax.GradientTransformation:
    schedule = optax.warmup_cosine_decay_schedule(0.0, 3e-3, min(20, steps // 4), steps, 1e-4)
    return optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, weight_decay=0.01))


def loss_fn(model: Transformer, text: jax.Array) -> jax.Array:
    """Nats for a byte of text: [batch, time + 1]."""
    return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(model(text[:, :-1]), text[:, 1:]))


def train_step(
    train: TrainState, text: jax.Array, loss_fn: Callable[[Transformer, jax.Array], jax.Array] = loss_fn
) -> tuple[TrainState, jax.Array]:
    loss, grads = jax.value_and_grad(loss_fn)(train.model, text)
    updates, opt_state = train.optimizer.update(grads, train.opt_state, train.model)
    model = optax.apply_updates(train.model, updates)
    return train.replace(model=model, opt_state=opt_state, step=train.step + 1), loss


def corpus() -> np.ndarray:
    """The sources of the standard library as one array of bytes, in the order of the file names."""
    folder = Path(sysconfig.get_path("stdlib"))
    return np.frombuffer(b"\n".join(path.read_bytes() for path in sorted(folder.glob("*.py"))), np.uint8)


def batch_of(text: np.ndarray, step: int) -> np.ndarray:
    """The text of a step: a function of its number, so that a run which is resumed sees what an unbroken one sees."""
    starts = np.random.default_rng(step).integers(0, len(text) - CONTEXT - 1, BATCH)
    return np.stack([text[start : start + CONTEXT + 1] for start in starts]).astype(np.int32)


@partial(jax.jit, static_argnames="length")
def sample(model: Transformer, key: jax.Array, prompt: jax.Array, length: int) -> jax.Array:
    """So many bytes after a prompt, drawn one after the other at temperature 0.7."""

    def grow(text: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        drawn = jax.random.categorical(key, model(text[None])[0, -1] / 0.7)
        return jnp.append(text[1:], drawn), drawn

    start = jnp.pad(prompt, (CONTEXT - len(prompt), 0), constant_values=10)
    return jax.lax.scan(grow, start, jax.random.split(key, length))[1]


def draw(path: Path, losses: dict[int, float], held_out: dict[int, float]) -> None:
    """Write a PNG: the loss of each step, and that on held-out text."""
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot([*losses], [*losses.values()], alpha=0.4, label="each step")
    axes.plot([*held_out], [*held_out.values()], "o-", label="held-out text")
    axes.set(title="Loss on the sources of the standard library", xlabel="step", ylabel="nats for a byte")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)


def bytes_bar(what: str) -> Callable[[int, int], None]:
    """Shows how many bytes of how many are written or read."""
    bar = tqdm(desc=what, unit="B", unit_scale=True, leave=False)

    def show(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)
        if done == total:
            bar.close()

    return show


def main() -> None:
    parser = argparse.ArgumentParser(description="Train a small transformer on Python's standard library.")
    parser.add_argument("--steps", type=int, help="steps of the optimizer (400; with --small 60)")
    parser.add_argument("--small", action="store_true", help="few steps, to see that it runs")
    parser.add_argument("--resume", action="store_true", help="go on from the file")
    parser.add_argument("--plot", type=Path, default=Path("transformer.png"), help="the picture (%(default)s)")
    parser.add_argument("--file", type=Path, help="the state (the name of the picture, with .safetensors)")
    args = parser.parse_args()
    file = args.file or args.plot.with_suffix(".safetensors")
    if args.resume and not file.exists():
        parser.error(f"there is no {file} to go on from: leave --resume out")
    steps, target = (60, 3.1) if args.small else (400, TARGET_LOSS)
    steps = args.steps or steps

    text = corpus()
    training, held_out = text[: -len(text) // 20], text[-len(text) // 20 :]
    test = jnp.asarray(batch_of(held_out, 0))
    train = TrainState.create(jax.random.key(0), make_optimizer(steps))
    if args.resume:
        train = state.load(file, train, progress=bytes_bar("load"))
        print(f"{file} has {int(train.step)} steps")
    print(f"{count(train.model).elements:,} parameters, {len(training):,} bytes of text")

    one_step, test_loss = jax.jit(train_step, donate_argnums=0), jax.jit(loss_fn)
    losses: dict[int, float] = {}
    tested: dict[int, float] = {}
    start, first = time.perf_counter(), int(train.step)
    for step in (progress := tqdm(range(first, steps), unit="step")):
        train, loss = one_step(train, jnp.asarray(batch_of(training, step)))
        losses[step + 1] = float(loss)
        speed = (step + 1 - first) * BATCH * CONTEXT / (time.perf_counter() - start)
        progress.set_postfix(loss=f"{losses[step + 1]:.3f}", tokens=f"{speed:,.0f}/s")
        if (step + 1) % SAVE_EVERY == 0 or step + 1 == steps:
            state.save(file, train, progress=bytes_bar("save"))
            tested[step + 1] = float(test_loss(train.model, test))

    draw(args.plot, losses, tested)
    prompt = "def main("
    written = sample(train.model, jax.random.key(1), jnp.frombuffer(prompt.encode(), np.uint8).astype(int), 200)
    print(prompt + bytes(np.asarray(written, np.uint8)).decode(errors="replace"))
    final = float(test_loss(train.model, test))
    print(f"{final:.3f} nats for a byte of held-out text; state in {file}, picture in {args.plot}")
    if final > target:
        sys.exit(f"more than {target}")


if __name__ == "__main__":
    main()
