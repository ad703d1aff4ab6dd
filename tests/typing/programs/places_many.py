"""`at` with paths, tuples and several functions; `editing`."""

import jax
import jax.numpy as jnp
from typing_extensions import assert_type

from structkit import Ref, Refs, Struct, at, editing, static


class Linear(Struct):
    weight: jax.Array
    name: str = static(default="linear")


class Model(Struct):
    layers: list[Linear]
    head: Linear | None = None
    step: int = 0


w = jnp.ones((2, 3))
model = Model([Linear(w)])

by_path: Model = at(model, "layers.*.weight").set(w)
at_path: Model = at(model, "layers[0].weight").apply(jnp.sin)
with_path: Model = at(model, "**").apply(lambda path, leaf: leaf if "weight" in path else 0, with_path=True)
paths: list[str] = at(model, "layers.*").at("weight").paths()

together: Model = at(model, lambda m: (m.step, m.layers[0].weight)).set((1, w))
values: tuple[int, jax.Array] = at(model, lambda m: (m.step, m.layers[0].weight)).get()

several = at(model, lambda m: m.step, lambda m: m.layers[0].name)
assert_type(several, Refs[Model, tuple[int, str], int | str])
one: Model = several.set((1, "a"))
two: tuple[int, str] = several.get()
three: Model = several.apply(lambda value: value)
four: tuple[int, str, jax.Array] = at(
    model, lambda m: m.step, lambda m: m.layers[0].name, lambda m: m.layers[0].weight
).get()
some: Model = at(model, "step", "head").set((1, None))
place: Ref[Model, int] = at(model, lambda m: m.step)
texts: list[str] = place.paths()

with editing(model) as m:
    m.layers[0].weight = 3
    m.step = m.layers[0].weight + 1

at(model, lambda m: (m.stpe, m.head))  # error: unknown-in-tuple
at(model, lambda m: m.step, lambda m: m.haed)  # error: unknown-in-second
at(model, lambda m: (m.step, m.layers[0].weight)).set((1, "w"))  # error: value-in-tuple
at(model, lambda m: (m.step, m.layers[0].weight)).set(1)  # error: no-tuple
several.set((1, 2))  # error: value-of-second
several.set((1,))  # error: too-few
several.apply(lambda value: None)  # error: result-of-apply
wrong_get: tuple[str, str] = several.get()  # error: get
wrong_tree: Linear = at(model, "layers[0]").set(w)  # error: tree
