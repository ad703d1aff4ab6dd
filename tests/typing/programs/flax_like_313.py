"""`structkit.struct` on Python 3.13 and later, where checkers know what `replace` takes."""

import jax
import jax.numpy as jnp

from structkit import struct


class Node(struct.PyTreeNode):
    weight: jax.Array
    step: int = 0
    name: str = struct.field(pytree_node=False, default="node")


node = Node(jnp.ones(3))
node.replace(stpe=2)  # error: unknown
node.replace(step="2")  # error: type
node.replace(name=2)  # error: static-type
