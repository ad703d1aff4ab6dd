"""Changed copies on Python 3.13 and later, where checkers know the names and types of the fields."""

import copy

import jax
import jax.numpy as jnp

from structkit import Struct, derived, field, static, struct


class Layer(Struct):
    weight: jax.Array
    bias: jax.Array | None = None
    name: str = static(default="layer")
    step: int = field(default=0, kw_only=True)
    size: int = derived(default=0)


class Wide(Layer):
    width: int = 1


class Node(struct.PyTreeNode):
    weight: jax.Array
    step: int = 0
    name: str = struct.field(pytree_node=False, default="node")


layer, wide = Layer(jnp.ones(3)), Wide(jnp.ones(3))
layer.replace(step="1")  # error: kw-only-type
layer.replace(name=1)  # error: static-type
layer.replace(bias=3)  # error: optional-type
layer.replace(size=3)  # error: derived
wide.replace(width="1")  # error: child-type
wide.replace(name=1)  # error: inherited-type
layer.replace(width=1)  # error: field-of-child
layer.replace(step=1).replace(stpe=1)  # error: chained
copied: Layer = copy.replace(layer, step=1)
wrong: Wide = copy.replace(layer, step=1)  # error: copy-result

node = Node(jnp.ones(3))
node.replace(stpe=2)  # error: node-unknown
node.replace(step="2")  # error: node-type
node.replace(name=2)  # error: node-static-type
