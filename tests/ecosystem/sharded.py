"""A struct with specs, two meshes on which Orbax saves and restores it, and what is asked of what comes back."""

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec as P

from structkit import Struct, field, sharding, static

SIZES = (2, 4) if jax.device_count() == 8 else (1, 1)


class Dense(Struct):
    weight: jax.Array = field(spec=P("embed", "mlp"))
    bias: jax.Array = field(spec=P("mlp"))
    name: str = static(default="dense")


def dense():
    return Dense(jnp.arange(32.0).reshape(8, 4), jnp.ones(4, jnp.bfloat16))


def two_meshes():
    """By rows over all devices, and by rows and columns."""
    rows = jax.make_mesh((SIZES[0] * SIZES[1],), ("data",)), {"embed": "data", "mlp": None}
    both = jax.make_mesh(SIZES, ("data", "model")), {"embed": "data", "mlp": "model"}
    return rows, both


def laid(tree, mesh):
    return sharding.shard(tree, mesh[0], rules=mesh[1])


def lie_alike(tree, like):
    leaves = zip(jax.tree.leaves(tree), jax.tree.leaves(like), strict=True)
    return all(leaf.sharding.is_equivalent_to(place.sharding, leaf.ndim) for leaf, place in leaves)
