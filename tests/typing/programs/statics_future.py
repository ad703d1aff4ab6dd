"""Static fields where annotations are strings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp

from structkit import Struct, derived, field, static

if TYPE_CHECKING:
    import jax

    from structkit import Static

    Width = Static[int]


class Node(Struct):
    value: jax.Array
    width: Static[int] = 1
    depth: Width = 2
    left: Node | None = None
    right: Node | None = field(default=None)
    name: str = static(default="node")
    count: int = derived(default=0)


leaf = Node(jnp.ones(3))
tree = Node(jnp.ones(3), 2, 3, leaf, right=leaf, name="tree")
Node(jnp.ones(3), "2")  # error: type
Node(jnp.ones(3), depth="2")  # error: alias-type
Node(jnp.ones(3), left=3)  # error: recursive-type
Node(jnp.ones(3), count=3)  # error: derived
if tree.left is not None:
    deep: jax.Array = tree.left.value
tree.left.value  # error: optional-read
