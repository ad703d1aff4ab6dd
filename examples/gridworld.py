"""Learn to walk to a goal in 512 grid worlds at once: environments, policy and experience are `Struct`s.

    python examples/gridworld.py [--plot gridworld.png] [--updates 300] [--small]

Each world is a grid of 7 x 7 fields with walls, a walker and a goal. All worlds are one struct with a leading axis;
those that are done start anew through `batch.where`. The policy learns by advantage actor-critic. Exits with an error
if the walkers do not reach their goals in at most 1.2 times the shortest way on average.
"""

import argparse
import sys
import time
from functools import partial
from pathlib import Path
from typing import Self

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray
from matplotlib.figure import Figure
from tqdm import tqdm

from structkit import Struct, batch, static

WALLS = np.array(
    [
        [0, 0, 0, 0, 0, 0, 0],
        [0, 1, 1, 1, 0, 1, 0],
        [0, 0, 0, 1, 0, 1, 0],
        [0, 1, 0, 0, 0, 1, 0],
        [0, 1, 0, 1, 1, 1, 0],
        [0, 1, 0, 0, 0, 0, 0],
        [0, 0, 0, 1, 0, 1, 0],
    ],
    bool,
)
FREE = np.argwhere(~WALLS)
MOVES = jnp.array([[-1, 0], [0, 1], [1, 0], [0, -1]])
STEPS = 40
DISCOUNT = 0.97
WORLDS, UNROLL = 512, 16
TARGET_DETOUR = 1.2


class World(Struct):
    """One world; with leading axes, as many worlds."""

    walker: Int[Array, "2"]
    goal: Int[Array, "2"]
    steps: Int[Array, ""]

    @classmethod
    def create(cls, key: PRNGKeyArray) -> Self:
        walker, goal = jax.random.choice(key, jnp.asarray(FREE), (2,), replace=False)
        return cls(walker, goal, jnp.zeros((), int))

    def step(self, action: Int[Array, ""]) -> tuple[Self, Float[Array, ""], Bool[Array, ""]]:
        """The world after a move, the reward, and whether it is done."""
        there = jnp.clip(self.walker + MOVES[action], 0, len(WALLS) - 1)
        walker = jnp.where(jnp.asarray(WALLS)[tuple(there)], self.walker, there)
        reached = jnp.all(walker == self.goal)
        after = self.replace(walker=walker, steps=self.steps + 1)
        return after, reached.astype(float), reached | (after.steps == STEPS)

    def observed(self) -> Float[Array, " features"]:
        grid = len(WALLS)
        places = [place[0] * grid + place[1] for place in (self.walker, self.goal)]
        return jnp.concatenate([jax.nn.one_hot(place, grid * grid) for place in places])


class Policy(Struct):
    layers: tuple[tuple[Array, Array], ...]
    actor: Array
    critic: Array

    @classmethod
    def create(cls, key: PRNGKeyArray, features: int, width: int = 128) -> Self:
        keys = jax.random.split(key, 4)
        init = jax.nn.initializers.he_normal()
        layers = tuple((init(k, (n, width)), jnp.zeros(width)) for k, n in zip(keys, (features, width)))
        return cls(layers, 0.01 * init(keys[2], (width, len(MOVES))), 0.01 * init(keys[3], (width, 1)))

    def __call__(self, x: Float[Array, " features"]) -> tuple[Float[Array, " actions"], Float[Array, ""]]:
        """The logits of the actions, and the value."""
        for weight, bias in self.layers:
            x = jax.nn.relu(x @ weight + bias)
        return x @ self.actor, (x @ self.critic)[0]


class Step(Struct):
    """What one step gave to learn from."""

    observed: Float[Array, " features"]
    action: Int[Array, ""]
    reward: Float[Array, ""]
    done: Bool[Array, ""]
    steps: Int[Array, ""]


class Learner(Struct):
    policy: Policy
    opt_state: optax.OptState
    worlds: World
    key: PRNGKeyArray
    optimizer: optax.GradientTransformation = static()


def walk(policy: Policy, worlds: World, key: PRNGKeyArray) -> tuple[World, Step]:
    """The worlds after one step of each; those that are done are new ones."""
    act_key, new_key = jax.random.split(key)
    observed = jax.vmap(World.observed)(worlds)
    logits, _ = jax.vmap(policy)(observed)
    actions = jax.random.categorical(act_key, logits)
    after, rewards, done = jax.vmap(World.step)(worlds, actions)
    fresh = jax.vmap(World.create)(jax.random.split(new_key, batch.size(worlds)))
    return batch.where(done, fresh, after), Step(observed, actions, rewards, done, after.steps)


def loss_fn(policy: Policy, steps: Step, last: World) -> jax.Array:
    """The loss of advantage actor-critic over an unrolled walk (Mnih et al., 2016)."""
    logits, values = jax.vmap(jax.vmap(policy))(steps.observed)
    _, after = jax.vmap(policy)(jax.vmap(World.observed)(last))

    def discounted(later: jax.Array, step: Step) -> tuple[jax.Array, jax.Array]:
        now = step.reward + DISCOUNT * jnp.where(step.done, 0.0, later)
        return now, now

    _, returns = jax.lax.scan(discounted, jax.lax.stop_gradient(after), steps, reverse=True)
    advantages = returns - values
    chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), steps.action[..., None], -1)[..., 0]
    entropy = -jnp.sum(jax.nn.softmax(logits) * jax.nn.log_softmax(logits), -1)
    actor = -jnp.mean(jax.lax.stop_gradient(advantages) * chosen)
    return actor + 0.5 * jnp.mean(advantages**2) - 0.01 * jnp.mean(entropy)


@partial(jax.jit, donate_argnames="learner")
def update(learner: Learner) -> tuple[Learner, Step]:
    """The learner after one unrolled walk and one step of the optimizer, and the steps of the walk."""
    key, *keys = jax.random.split(learner.key, UNROLL + 1)
    worlds, steps = jax.lax.scan(partial(walk, learner.policy), learner.worlds, jnp.stack(keys))
    grads = jax.grad(loss_fn)(learner.policy, steps, worlds)
    updates, opt_state = learner.optimizer.update(grads, learner.opt_state, learner.policy)
    policy = optax.apply_updates(learner.policy, updates)
    return learner.replace(policy=policy, opt_state=opt_state, worlds=worlds, key=key), steps


def shortest() -> np.ndarray:
    """The length of the shortest way between each two free fields, by breadth-first search."""
    number = {tuple(place): i for i, place in enumerate(FREE.tolist())}
    found = np.full((len(FREE), len(FREE)), np.inf)
    for start in range(len(FREE)):
        found[start, start], border = 0, [start]
        while border:
            place = border.pop(0)
            for move in np.asarray(MOVES):
                there = number.get(tuple((FREE[place] + move).tolist()))
                if there is not None and np.isinf(found[start, there]):
                    found[start, there] = found[start, place] + 1
                    border.append(there)
    return found


@jax.jit
def walked(policy: Policy) -> jax.Array:
    """How many steps the greedy policy takes between each two free fields, at most `STEPS`."""
    n = len(FREE)
    starts, goals = jnp.repeat(jnp.asarray(FREE), n, axis=0), jnp.tile(jnp.asarray(FREE), (n, 1))
    worlds = World(starts, goals, jnp.zeros(n * n, int))

    def step(carry: tuple[World, jax.Array], _: None) -> tuple[tuple[World, jax.Array], None]:
        worlds, done = carry
        logits, _values = jax.vmap(policy)(jax.vmap(World.observed)(worlds))
        after, _rewards, ended = jax.vmap(World.step)(worlds, jnp.argmax(logits, -1))
        return (batch.where(done, worlds, after), done | ended), None

    (worlds, _), _ = jax.lax.scan(step, (worlds, jnp.all(starts == goals, -1)), None, length=STEPS)
    return worlds.steps.reshape(n, n)


def draw(path: Path, rewards: np.ndarray, lengths: np.ndarray, shortest_way: float, policy: Policy) -> None:
    """Write a PNG: rewards and lengths while learning, and where the policy goes towards one goal."""
    figure = Figure(figsize=(12, 4), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    left.plot(rewards)
    left.set(title="Goals reached per step and world", xlabel="update", ylabel="goals", ylim=(0, None))
    middle.plot(lengths, label="taken")
    middle.axhline(shortest_way, color="gray", linestyle="--", label="shortest way, on average")
    middle.set(title="Steps of a finished walk", xlabel="update", ylabel="steps", ylim=(0, STEPS))
    middle.legend()
    for axes in (left, middle):
        axes.grid(alpha=0.3)
    goal = np.array([2, 2])
    worlds = World(jnp.asarray(FREE), jnp.tile(jnp.asarray(goal), (len(FREE), 1)), jnp.zeros(len(FREE), int))
    logits, values = jax.vmap(policy)(jax.vmap(World.observed)(worlds))
    grid = np.full(WALLS.shape, np.nan)
    grid[tuple(FREE.T)] = np.asarray(values)
    figure.colorbar(right.imshow(grid, cmap="viridis"), label="value")
    moves = np.asarray(MOVES)[np.argmax(np.asarray(logits), -1)]
    away = np.any(goal != FREE, axis=1)
    right.quiver(*FREE[away, ::-1].T, *moves[away, ::-1].T, angles="xy", color="white")
    right.plot(goal[1], goal[0], "*", color="red", markersize=16)
    right.set(title="Value and move towards the star", xticks=[], yticks=[])
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description="Learn to walk to a goal in many grid worlds at once.")
    parser.add_argument("--plot", type=Path, default=Path("gridworld.png"), help="the picture to write (%(default)s)")
    parser.add_argument("--updates", type=int, default=300, help="steps of the optimizer (%(default)s)")
    parser.add_argument("--small", action="store_true", help="200 updates, to see that it learns")
    args = parser.parse_args()
    count = 200 if args.small else args.updates

    worlds_key, policy_key, key = jax.random.split(jax.random.key(0), 3)
    worlds = batch.stack([World.create(k) for k in jax.random.split(worlds_key, WORLDS)])
    policy = Policy.create(policy_key, 2 * WALLS.size)
    optimizer = optax.adam(optax.cosine_decay_schedule(3e-3, count))
    learner = Learner(policy, optimizer.init(policy), worlds, key, optimizer)

    start = time.perf_counter()
    rewards, lengths = [], []
    for _ in (progress := tqdm(range(count), unit="update")):
        learner, steps = update(learner)
        rewards.append(float(steps.reward.mean()))
        lengths.append(float(jnp.sum(steps.steps * steps.done) / jnp.maximum(1, jnp.sum(steps.done))))
        progress.set_postfix(goals=f"{rewards[-1]:.3f}", steps=f"{lengths[-1]:.1f}")
    seconds = time.perf_counter() - start

    ways, found = shortest(), np.asarray(walked(learner.policy))
    draw(args.plot, np.array(rewards), np.array(lengths), float(ways[ways > 0].mean()), learner.policy)
    detour = float(found.sum() / ways.sum())
    frames = count * UNROLL * WORLDS
    print(f"{frames:,} steps in {seconds:.1f} s, picture in {args.plot}")
    print(f"the walkers take {detour:.2f} times the shortest way; {(found >= STEPS).mean():.1%} do not arrive")
    if detour > TARGET_DETOUR:
        sys.exit(f"more than {TARGET_DETOUR} times")


if __name__ == "__main__":
    main()
