"""Static fields in every spelling: for a checker they have the type that is written."""

from collections.abc import Callable
from typing import ClassVar, Optional

import jax
import jax.numpy as jnp

from structkit import Static, Struct, field, static

Name = Static[str]
Size = Static[int]


class Model(Struct):
    weight: jax.Array
    width: Static[int]
    name: Name = "model"
    size: "Static[int]" = 3
    depth: Size = static(default=4)
    note: Optional[Static[str]] = None
    activation: Static[Callable[[jax.Array], jax.Array]] = jax.nn.relu
    shape: tuple[int, ...] = field(static=True, default=())
    version: ClassVar[int] = 1

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.activation(x) * self.width


w = jnp.ones(3)
model = Model(w, 3)
Model(w, 3, "name", 4, 5, "note", jnp.tanh, (1, 2))
Model(w, "3")  # error: annotated-type
Model(w)  # error: annotated-missing
Model(w, 3, name=4)  # error: alias-type
Model(w, 3, size="4")  # error: quoted-type
Model(w, 3, depth="5")  # error: alias-default-type
Model(w, 3, note=4)  # error: optional-type
Model(w, 3, activation=3)  # error: callable-type
Model(w, 3, shape="ab")  # error: field-static-type
Model(w, 3, version=2)  # error: classvar-argument
width: int = model.width
name: str = model.name
note: str | None = model.note
wrong: str = model.width  # error: read-type
model.width = 4  # error: write
default: str = Model.name
version: int = Model.version
