"""The trees of the ecosystem's tests: one of plain structs, one of the drop-in's classes."""

from typing import Any

import jax
import jax.numpy as jnp

from structkit import Struct, static, struct
from tests.models import Layer


class Model(Struct):
    layers: list[Layer]
    scale: jax.Array
    name: str = static(default="model")

    def __call__(self, x):
        for layer in self.layers:
            x = layer(x)
        return self.scale * x


@struct.dataclass
class Decorated:
    layers: Any
    scale: Any
    name: str = struct.field(pytree_node=False, default="decorated")

    __call__ = Model.__call__


class Node(struct.PyTreeNode):
    layers: Any
    scale: Any
    name: str = struct.field(pytree_node=False, default="node")

    __call__ = Model.__call__


class Params(Struct):
    """A struct that cannot be called: some packages call what can be."""

    layers: list[Layer]
    scale: jax.Array


class State(Struct):
    x: jax.Array
    y: jax.Array
    name: str = static(default="state")


@struct.dataclass
class DecoratedState:
    x: jax.Array
    y: jax.Array
    name: str = struct.field(pytree_node=False, default="state")


KINDS = (Model, Decorated, Node)
STATES = (State, DecoratedState)


def make(kind=Model):
    """A model of two layers with 3 inputs and 2 outputs."""
    keys = jax.random.split(jax.random.key(0), 2)
    layers = [
        Layer(jax.random.normal(keys[0], (3, 4)), jnp.zeros(4)),
        Layer(jax.random.normal(keys[1], (4, 2)), jnp.zeros(2)),
    ]
    return kind(layers, jnp.ones(()))


def loss(model):
    """A number that training makes smaller."""
    x = jnp.linspace(-1, 1, 15).reshape(5, 3)
    return jnp.mean((jax.vmap(model)(x) - 0.5) ** 2)
