"""`sharding`: trees keep their types, and specs at fields leave those of the fields alone."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, PartitionSpec

from structkit import Struct, derived, field, sharding, static

# JAX's own has no types.
P: Any = PartitionSpec


class Dense(Struct):
    weight: jax.Array = field(spec=P("embed", ("mlp", "heads")))
    bias: jax.Array | None = field(default=None, spec=P("mlp"))
    total: jax.Array = derived(spec=P())

    def __post_init__(self) -> None:
        pass


class Model(Struct):
    layers: Dense = field(spec=P("layers", ...))
    stages: tuple[Dense, ...] = field(default=(), spec=P(None, ...))


class Wrong(Struct):
    size: int = static(spec=P())  # error: static-spec


mesh = Mesh([*jnp.ones(3).devices()], ("data",))
rules: dict[str, str | tuple[str, ...] | None] = {"embed": "data", "mlp": None, "heads": ("data",)}
plain: dict[str, str] = {"embed": "data"}
model = {"a": jnp.ones(3)}

shard_one: dict[str, jax.Array] = sharding.shard(model, mesh)
shard_two: dict[str, jax.Array] = sharding.shard(model, mesh, rules=rules, params=None)
constrained: dict[str, jax.Array] = sharding.constrain(model, mesh, rules=plain)
in_context: jax.Array = sharding.constrain(jnp.ones(3), mesh)
where = sharding.shardings(model, mesh, rules=rules, params=model)
said = sharding.specs(model, rules={"embed": "data"}, params=model)
sharding.assert_same_static(model)

wrong_tree: list[jax.Array] = sharding.shard(model, mesh)  # error: other-tree
sharding.shard(model)  # error: no-mesh
sharding.shardings(model, mesh, rules)  # error: rules-by-position
sharding.shardings(model, mesh, rules={"embed": 3})  # error: rule-value
sharding.constrain(model, mesh="data")  # error: mesh-type
sharding.shard(model, mesh, spec=P())  # error: unknown-option
sharding.shrad(model, mesh)  # error: misspelt


def step(model: Model) -> Model:
    model = sharding.constrain(model, rules=rules)
    return model.replace(layers=sharding.constrain(model.layers))
