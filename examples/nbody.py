"""Three bodies on the orbit of an eight, and many copies that were pushed: batched structs with `vmap` and `scan`.

    python examples/nbody.py [--plot nbody.png] [--systems 256] [--periods 10] [--small]

The undisturbed orbit is that of Chenciner and Montgomery (2000), where three equal masses chase each other. Exits with
an error if it does not close.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from tqdm import tqdm

from structkit import Struct, VectorSpace, batch, summary

PERIOD = 6.32591398
FRAMES, STEPS = 200, 10  # of one period, and of one frame
FARTHEST_APART = 0.01


class Phase(Struct, VectorSpace):
    """Where bodies are and how they move; its change in time has the same form: a velocity and an acceleration."""

    position: jax.Array  # [bodies, 2]
    velocity: jax.Array  # [bodies, 2]


class System(Struct):
    phase: Phase
    mass: jax.Array  # [bodies]

    @classmethod
    def eight(cls) -> Self:
        """Three equal masses on one orbit, a third of a period apart; the constant of gravity is 1."""
        place, speed = jnp.array([0.97000436, -0.24308753]), jnp.array([0.93240737, 0.86473146])
        positions, velocities = jnp.stack([place, -place, 0 * place]), jnp.stack([speed / 2, speed / 2, -speed])
        return cls(Phase(positions, velocities), jnp.ones(3))

    def pushed(self, key: jax.Array, strength: jax.Array) -> Self:
        """The same with other velocities, whose sum is as it was."""
        pushes = strength * jax.random.normal(key, self.phase.velocity.shape)
        velocity = self.phase.velocity + pushes - pushes.mean(axis=0)
        return self.replace(phase=self.phase.replace(velocity=velocity))

    def slope(self, phase: Phase) -> Phase:
        """How the phase changes: by the velocities, and the accelerations of Newton's law."""
        gaps, distances = between(phase.position)
        return Phase(phase.velocity, jnp.einsum("j,ijk,ij->ik", self.mass, gaps, distances**-3))

    def energy(self) -> jax.Array:
        _, distances = between(self.phase.position)
        kinetic = jnp.sum(self.mass * jnp.sum(self.phase.velocity**2, axis=-1)) / 2
        return kinetic - jnp.sum(jnp.outer(self.mass, self.mass) / distances) / 2


def between(positions: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The ways [from, to, 2] between bodies, and how long they are; infinite to itself, so that none pulls itself."""
    gaps = positions[None] - positions[:, None]
    return gaps, jnp.sqrt(jnp.sum(gaps**2, axis=-1) + jnp.diag(jnp.full(len(positions), jnp.inf)))


def runge_kutta(slope: Callable[[Phase], Phase], phase: Phase, dt: float) -> Phase:
    """One step of the classical method of fourth order."""
    k1 = slope(phase)
    k2 = slope(phase + dt / 2 * k1)
    k3 = slope(phase + dt / 2 * k2)
    k4 = slope(phase + dt * k3)
    return phase + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


def next_frame(system: System, _: None) -> tuple[System, System]:
    def step(_: int, phase: Phase) -> Phase:
        return runge_kutta(system.slope, phase, PERIOD / (FRAMES * STEPS))

    system = system.replace(phase=jax.lax.fori_loop(0, STEPS, step, system.phase))
    return system, system


@jax.jit
def one_period(systems: System) -> tuple[System, System]:
    """The systems [systems] after one period, and all of its frames [systems, frames]."""
    return jax.vmap(lambda system: jax.lax.scan(next_frame, system, length=FRAMES))(systems)


def draw(path: Path, strengths: np.ndarray, history: System, apart: np.ndarray, energy: np.ndarray) -> None:
    """Write a PNG: the orbits of some systems, and how fast all of them leave the undisturbed one."""
    figure = Figure(figsize=(13, 6), layout="constrained")
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=(8, 5)).flat
    left.suptitle("Orbits, with a dot at the end where it is in the frame")
    chosen = np.linspace(0, len(strengths) - 1, 6).astype(int)
    orbits = np.asarray(history.phase.position)[chosen]
    for axes, strength, places in zip(left.subplots(2, 3).flat, strengths[chosen], orbits):
        for body in range(places.shape[1]):
            axes.plot(*places[:, body].T, color=f"C{body}", linewidth=0.5, alpha=0.7)
            axes.plot(*places[-1, body], "o", color=f"C{body}")
        title = f"pushed by {strength:.1g}" if strength else "not pushed"
        axes.set(xlim=(-2, 2), ylim=(-2, 2), xticks=[], yticks=[], aspect="equal", title=title)

    above, below = right.subplots(2, 1, sharex=True)
    periods = np.arange(1, apart.shape[1] + 1) / FRAMES
    some = slice(1, None, max(1, len(apart) // 64))  # lines that can be told apart
    lines = LineCollection([np.column_stack([periods, row]) for row in apart[some]], cmap="viridis", linewidth=0.6)
    lines.set_array(np.log10(strengths[some]))
    above.add_collection(lines)
    above.set(yscale="log", ylim=(1e-4, 1e2), ylabel="distance", title="Distance from the undisturbed orbit")
    right.colorbar(lines, ax=above, label="log10 of the push")
    below.plot(periods, energy[0] / energy[0, 0] - 1)
    below.set(xlabel="period", ylabel="relative change", title="Energy of the undisturbed orbit")
    for axes in (above, below):
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=90)


def main() -> None:
    parser = argparse.ArgumentParser(description="Push three bodies off the orbit of an eight.")
    parser.add_argument("--plot", type=Path, default=Path("nbody.png"), help="the picture to write (%(default)s)")
    parser.add_argument("--systems", type=int, default=256, help="how many copies (%(default)s)")
    parser.add_argument("--periods", type=int, default=10, help="how long (%(default)s)")
    parser.add_argument("--small", action="store_true", help="16 copies for 2 periods, to see that it runs")
    args = parser.parse_args()
    count, periods = (16, 2) if args.small else (args.systems, args.periods)

    # The first one is not pushed.
    strengths = jnp.concatenate([jnp.zeros(1), jnp.geomspace(1e-4, 0.3, count - 1)])
    keys = jax.random.split(jax.random.key(0), count)
    systems = jax.vmap(System.eight().pushed)(keys, strengths)
    print(summary(systems))

    start = time.perf_counter()
    frames = []
    for _ in (progress := tqdm(range(periods), unit="period")):
        systems, of_period = one_period(systems)
        frames.append(of_period)
        distance = jnp.linalg.norm(systems.phase.position - systems.phase.position[0], axis=-1).max(axis=-1)
        progress.set_postfix(lost=f"{float(jnp.mean(distance > 1)):.0%}")
    seconds = time.perf_counter() - start

    history = batch.concatenate(frames, axis=1)  # [systems, frames]
    energy = np.asarray(jax.vmap(jax.vmap(System.energy))(history))
    places = history.phase.position
    apart = np.asarray(jnp.linalg.norm(places - places[0], axis=-1).max(axis=-1))
    draw(args.plot, np.asarray(strengths), history, apart, energy)
    steps = count * periods * FRAMES * STEPS
    print(f"{steps:,} steps in {seconds:.1f} s on {jax.devices()[0].device_kind}, picture in {args.plot}")
    gap = float(jnp.max(jnp.abs(systems.phase.position[0] - System.eight().phase.position)))
    print(f"the undisturbed orbit closes to {gap:.1e} after {periods} periods")
    if not gap < FARTHEST_APART:
        sys.exit(f"farther apart than the {FARTHEST_APART} it should be")


if __name__ == "__main__":
    main()
