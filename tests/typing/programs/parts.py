"""`partition`, `merge`, `cast` and `count`."""

import jax
import jax.numpy as jnp

from structkit import Struct, cast, count, field, merge, partition


class Linear(Struct):
    weight: jax.Array
    bias: jax.Array = field(metadata={"trainable": False})


model = Linear(jnp.ones((2, 3)), jnp.ones(3))


def is_matrix(leaf: jax.Array) -> bool:
    return leaf.ndim == 2


def is_bias(path: str, leaf: object) -> bool:
    return path.endswith(".bias")


parts: tuple[Linear, Linear] = partition(model, is_matrix)
by_lambda: tuple[Linear, Linear] = partition(model, lambda leaf: isinstance(leaf, jax.Array))
by_path: tuple[Linear, Linear] = partition(model, is_bias, with_path=True)
by_path_lambda: tuple[Linear, Linear] = partition(model, lambda path, leaf: path == ".bias", with_path=True)
by_pattern: tuple[Linear, Linear] = partition(model, "**.bias")
by_metadata: tuple[Linear, Linear] = partition(model, metadata="trainable")
by_default: tuple[Linear, Linear] = partition(model, metadata="trainable", default=False)
of_dict: tuple[dict[str, Linear], dict[str, Linear]] = partition({"a": model}, is_matrix)
trained, frozen = by_metadata
whole: Linear = merge(trained, frozen)
of_three: dict[str, int | None] = merge({"a": 1, "b": None}, {"a": None, "b": 2}, {"a": None, "b": None})
half: Linear = cast(model, jnp.bfloat16)
by_name: list[Linear] = cast([model], "float32")
elements: int = count(model).elements
size, total = count([model])
total_bytes: int = total

partition(model, 3)  # error: no-predicate
partition(model, lambda path, leaf: True)  # error: two-arguments-without-path
partition(model, is_bias)  # error: path-and-leaf-without-path
partition(model, is_matrix, with_path=True)  # error: leaf-alone-with-path
partition(model, lambda leaf: "yes")  # error: no-bool
partition(model, metadata=3)  # error: metadata-type
partition(model, is_matrix, metadata="trainable")  # error: both
partition(model)  # error: neither
partition(model, "**.bias", with_path=True)  # error: pattern-with-path
partition(model, "**.bias", metadata="trainable")  # error: pattern-and-metadata
wrong_parts: tuple[int, int] = partition(model, is_matrix)  # error: parts
wrong_merge: int = merge(trained, frozen)  # error: merged
wrong_cast: int = cast(model, jnp.float32)  # error: cast-result
cast(model)  # error: no-dtype
wrong_count: str = count(model).bytes  # error: count-result
count(model).size  # error: unknown-count
