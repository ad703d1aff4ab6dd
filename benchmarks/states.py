"""Workloads on whole states: many small nested structs, one wide struct, a transformer; compiled functions; tracing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks import structs
from benchmarks.peers import Peer, Shape, Workshop
from benchmarks.rows import Workload
from benchmarks.timing import Effort, Snippet

NESTED, FLAT, TRANSFORMER, TRACING = "nested state", "flat state", "transformer", "tracing"

LEAVES = 400
"""Enough for each of the states."""

# Compiled functions on the nested state are compared by small differences: they get the most rounds, and several calls
# in a row, as in a loop that trains.
_TREE, _COMPILED, _DIFFERENCE = Effort(0.4), Effort(0.4), Effort(10.0, batch=3e-3)

TWO_WAY, ONE_WAY = "jitted state -> state", "jitted state -> scalar"

SETTINGS = 4
"""How many times the states are made anew for these."""

# (class's shape, values of its data fields) -> object. A state is built with it, and of leaves that `leaf()` gives.
_Make = Callable[..., Any]


def workloads(workshop: Workshop) -> Iterator[Workload]:
    """The workloads on states."""
    nested = _States(workshop, nested_state)
    flat = _States(workshop, flat_state)
    transformer = _States(workshop, transformer_state)
    for group, states in ((NESTED, nested), (FLAT, flat), (TRANSFORMER, transformer)):
        for name in ("flatten", "flatten with path", "unflatten", "tree.map"):
            yield Workload(group, name, partial(states.snippets, structs.CODES[name]), _TREE)
        effort, settings = (_DIFFERENCE, SETTINGS) if group == NESTED else (_COMPILED, 1)
        yield Workload(group, TWO_WAY, partial(states.compiled, _same), effort, settings)
        yield Workload(group, ONE_WAY, partial(states.compiled, _scalar), effort, settings)
    yield Workload(NESTED, "value_and_grad step", nested.steps, _COMPILED)
    yield Workload(NESTED, structs.UPDATE, nested.updates, _TREE)
    yield Workload(TRACING, TRACE, partial(tracing, workshop), Effort(1.5))


def nested_state(make: _Make, leaf: Callable[[], Any]) -> Any:
    """A training state of 151 structs with 247 scalar leaves: parameters and two moments of 16 blocks of two layers."""

    def linear() -> Any:
        return make(Shape("Linear", ("weight", "bias"), ("activation",)), leaf(), leaf())

    def parameters() -> Any:
        blocks = (make(Shape("Block", ("one", "two", "scale")), linear(), linear(), leaf()) for _ in range(16))
        return make(Shape("Model", ("blocks", "head")), tuple(blocks), linear())

    return make(Shape("State", ("params", "mu", "nu", "step")), parameters(), parameters(), parameters(), leaf())


def flat_state(make: _Make, leaf: Callable[[], Any]) -> Any:
    """One struct of 300 scalar leaves."""
    return make(Shape.of(300), *[leaf() for _ in range(300)])


def transformer_state(make: _Make, leaf: Callable[[], Any]) -> Any:
    """A tree of 162 structs in the shape of a transformer's parameters, with 32 blocks and 388 leaves."""

    def norm() -> Any:
        return make(Shape("Norm", ("scale", "bias"), ("epsilon",)), leaf(), leaf())

    def block() -> Any:
        attention = make(Shape("Attention", ("q", "k", "v", "o"), ("heads",)), *[leaf() for _ in range(4)])
        mlp = make(Shape("MLP", ("w1", "b1", "w2", "b2"), ("activation",)), *[leaf() for _ in range(4)])
        return make(Shape("TransformerBlock", ("attention", "mlp", "norm1", "norm2")), attention, mlp, norm(), norm())

    blocks = tuple(block() for _ in range(32))
    shape = Shape("Transformer", ("embedding", "positions", "blocks", "norm"))
    return make(shape, leaf(), leaf(), blocks, norm())


class _States:
    """One state for each peer, made when it is first needed."""

    def __init__(self, workshop: Workshop, build: Callable[[_Make, Callable[[], Any]], Any]):
        self._workshop, self._build = workshop, build
        self._states: dict[str, Any] = {}

    def states(self) -> Mapping[str, Any]:
        """Peer -> state."""
        if not self._states:
            self._states = self._new_states()
        return self._states

    def _new_states(self) -> dict[str, Any]:
        trees = [peer for peer in self._workshop.peers.values() if peer.is_pytree]
        # All hold the same arrays: where in memory a state's own ones lie would count for more than its structs.
        arrays = [jnp.asarray(i, jnp.float32) for i in range(LEAVES)]
        return {peer.name: self._build(partial(self._make, peer), partial(next, iter(arrays))) for peer in trees}

    def _make(self, peer: Peer, shape: Shape, *values: object) -> Any:
        if not peer.supports(shape):
            shape = Shape(shape.name, shape.data)
        return self._workshop.maker(peer, shape)(*values)

    def snippets(self, code: str) -> dict[str, Snippet]:
        """The snippets that run `code` on each state `x`."""
        found = {}
        for name, x in self.states().items():
            leaves, treedef = jax.tree.flatten(x)
            names = {"jax": jax, "x": x, "leaves": leaves, "treedef": treedef, "identity": lambda leaf: leaf}
            found[name] = Snippet(code, names)
        return found

    def compiled(self, function: Callable[[Any], Any]) -> dict[str, Snippet]:
        """The snippets that call `function`, compiled, on each state; states of their own each time."""
        return {name: Snippet("f(x)", {"f": _compiled(function), "x": x}) for name, x in self._new_states().items()}

    def steps(self) -> dict[str, Snippet]:
        """The snippets that take a step of gradient descent on each state and wait for it."""
        code = "f(x)[1].block_until_ready()"
        return {name: Snippet(code, {"f": _compiled(_step), "x": x}) for name, x in self.states().items()}

    def updates(self) -> dict[str, Snippet]:
        """The snippets that change one place in the depth of the nested state."""
        found = {}
        for name, x in self.states().items():
            peer = self._workshop.peers[name]
            if peer.updated is not None:
                code = peer.updated.format(field="params.blocks[7].one.weight")
                found[name] = Snippet(code, {**self._workshop.scope(peer), "x": x, "v": 0.5})
        return found


def _compiled(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The function compiled, as one of its own: else a call would look for its tree among those of all peers."""
    return jax.jit(lambda state: function(state))


def _same(state: Any) -> Any:
    return state


def _scalar(state: Any) -> Any:
    return jax.tree.leaves(state)[0]


def _step(state: Any) -> tuple[Any, jax.Array]:
    def loss(state: Any) -> jax.Array:
        # Not of a stack of them, which takes XLA ten times as long to compile.
        return sum((leaf**2 for leaf in jax.tree.leaves(state)), jnp.zeros(()))

    value, gradient = jax.value_and_grad(loss)(state)
    return jax.tree.map(lambda leaf, slope: leaf - 0.1 * slope, state, gradient), value


TRACED = 10_000
TRACE = f"trace a function that builds {TRACED:,} structs"
_BUILD = """
def fresh():
    def build(leaf):
        for _ in range({count}):
            x = {construct}
            leaf = {read}
        return leaf
    return build
"""


def tracing(workshop: Workshop) -> dict[str, Snippet]:
    """The snippets that trace a function that builds many structs of three fields and reads one field of each."""
    shape = Shape.of(3)
    found = {}
    for peer in workshop.peers.values():
        if peer.is_pytree:
            construct, read = peer.construct(shape, ["leaf"] * 3), peer.read.format(field="f1", i=1)
            names = {**workshop.scope(peer, shape), "jax": jax, "zero": jnp.zeros(())}
            exec(_BUILD.format(count=TRACED, construct=construct, read=read), names)
            # A new function each time, since JAX remembers what it has traced.
            found[peer.name] = Snippet("jax.eval_shape(build, zero)", names, setup="build = fresh()", calls=1)
    return found
