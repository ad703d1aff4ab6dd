"""`structkit.batch`: functions on batches, and classes that are batches of their own."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import structkit
from structkit import Struct, batch, static


class Particle(Struct):
    position: jax.Array
    mass: jax.Array
    name: str = static(default="particle")


class Cloud(Struct, batch.Batched):
    points: jax.Array


one = Particle(jnp.zeros(3), jnp.ones(()))
particles: Particle = batch.stack([one, one])
by_axis: Particle = batch.stack((one for _ in range(2)), axis=0)
apart: list[Particle] = batch.unstack(particles)
joined: Particle = batch.concatenate([particles, particles])
item: Particle = batch.take(particles, 1)
from_end: Particle = batch.take(particles, np.int64(-1))
some: Particle = batch.take(particles, slice(0, 1))
listed: Particle = batch.take(particles, [0, 1])
at_places: Particle = batch.take(particles, jnp.array([0, 0]))
masked: Particle = batch.take(particles, np.array([True, False]))
changed: Particle = batch.put(particles, 0, one)
chosen: Particle = batch.where(jnp.array([True, False]), particles, particles)
chosen_whole: Particle = batch.where(True, particles, particles)
length: int = batch.size(particles)
sizes: tuple[int, ...] = batch.shape(particles, ndim=1)
reshaped: Particle = batch.reshape(particles, (2, -1))
swapped: Particle = batch.swapaxes(reshaped)
grown: Particle = batch.expand(one)
shrunk: Particle = batch.squeeze(grown)
many: Particle = batch.broadcast(one, 5)
grid: Particle = batch.broadcast(one, (5, 2))
corner: Particle = batch.take(grid, (0, slice(None)))
of_dict: dict[str, jax.Array] = batch.stack([{"x": jnp.zeros(3)}, {"x": jnp.ones(3)}])
of_array: jax.Array = structkit.batch.take(jnp.zeros(3), 0)


def index_of(clouds: Cloud, index: batch.Index) -> Cloud:
    return clouds[index]


def own_batch(clouds: Cloud) -> tuple[Cloud, Cloud, int, list[Cloud], tuple[int, ...], bool]:
    rows: Iterator[Cloud] = iter(clouds)
    return clouds[0], clouds[1:, 0], len(clouds), [row for row in rows], clouds.shape, bool(clouds)


def dtype_of(clouds: Cloud) -> Any:
    return clouds.dtype


def checked(clouds: dict[str, Cloud]) -> dict[str, Cloud]:
    return batch.check(clouds, "n")


def wrong(clouds: Cloud) -> None:
    clouds["a"]  # error: own-index
    clouds[0].nothing  # error: own-item
    clouds.shape = (1,)  # error: own-shape-write
    text: str = clouds[0]  # error: own-item-type


batch.stack(one)  # error: no-list
batch.stack([one], 0)  # error: axis-by-place
batch.stack([one], axis="x")  # error: axis-type
batch.unstack([one]).position  # error: list-of-trees
batch.take(particles, "x")  # error: index-text
batch.take(particles, 1.5)  # error: index-float
batch.take(particles, None)  # error: index-none
batch.take(particles)  # error: no-index
batch.take(particles, 0).speed  # error: unknown-field
batch.put(particles, 0)  # error: no-values
batch.where("x", particles, particles)  # error: mask-type
batch.where(jnp.ones(2, bool), particles)  # error: one-tree
batch.shape(particles, ndim="x")  # error: ndim-type
batch.reshape(particles, "x")  # error: shape-text
batch.broadcast(one, 1.5)  # error: shape-float
batch.swapaxes(particles, "x")  # error: swapped-axis-type
batch.check(particles, 1)  # error: dims-type
batch.split(particles)  # error: unknown-function
wrong_stack: list[Particle] = batch.stack([one])  # error: stacked
wrong_apart: Particle = batch.unstack(particles)  # error: apart
wrong_size: str = batch.size(particles)  # error: size
wrong_where: Particle = batch.where(True, particles, 3)  # error: unlike-trees
wrong_put: int = batch.put(particles, 0, one)  # error: put-result
