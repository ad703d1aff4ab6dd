"""`at`: typed places inside trees, one or several, by functions and by paths; `editing`."""

import jax
import jax.numpy as jnp
from typing_extensions import assert_type

from structkit import Ref, Refs, Struct, at, editing, static


class Linear(Struct):
    weight: jax.Array
    bias: jax.Array | None = None
    name: str = static(default="linear")


class Model(Struct):
    layers: list[Linear]
    pair: tuple[Linear, int]
    table: dict[str, Linear]
    head: Linear | None = None
    step: int = 0


w = jnp.ones((2, 3))
layer = Linear(w)
model = Model([layer, layer], (layer, 1), {"a": layer})

one: Model = at(model, lambda m: m.step).set(1)
two: Model = at(model, lambda m: m.layers[0].weight).set(w)
three: Model = at(model, lambda m: m.pair[0].name).set("other")
four: Model = at(model, lambda m: m.pair[1]).set(2)
five: Model = at(model, lambda m: m.table["a"]).set(layer)
six: Model = at(model, lambda m: m.table["a"].weight).apply(jnp.sin)
seven: Model = at(model, lambda m: m.head).set(None)
eight: Model = at(model, lambda m: m.layers[0].bias).set(w)
nine: Model = at(model, lambda m: m.layers).apply(lambda layers: layers[:1])
ten: Model = at(model, lambda m: m.layers[0]).at(lambda x: x.weight).set(w)
eleven: dict[str, Linear] = at({"a": layer}, lambda d: d["a"].weight).set(w)
twelve: list[Linear] = at([layer], lambda xs: xs[0].name).set("b")
place: Ref[Model, int] = at(model, lambda m: m.step)
step: int = place.get()
weight: jax.Array = at(model, lambda m: m.table["a"].weight).get()

at(model, lambda m: m.layers[0].wieght)  # error: unknown-in-list
at(model, lambda m: m.table["a"].wieght)  # error: unknown-in-dict
at(model, lambda m: m.pair[0].wieght)  # error: unknown-in-tuple
at(model, lambda m: m.pair[2])  # error: tuple-index
at(model, lambda m: m.head.weight)  # error: optional
at(model, lambda m: m.table[0])  # error: dict-key
at(model, lambda m: m.layers["a"])  # error: list-index
at(model, lambda m: m.layers[0].weight).set("w")  # error: value-in-list
at(model, lambda m: m.pair[1]).set("1")  # error: value-in-tuple
at(model, lambda m: m.head).set(3)  # error: value-optional
at(model, lambda m: m.pair[0].name).set(1)  # error: value-static
at(model, lambda m: m.step).apply(str)  # error: function-result
at(model, lambda m: m.layers[0].weight).apply(lambda x: "w")  # error: lambda-result
at(model, lambda m: m.layers[0]).at(lambda x: x.wieght)  # error: chain-unknown
at(model, lambda m: m.layers[0]).at(lambda x: x.weight).set(1)  # error: chain-value
at(model, 3)  # error: no-function

by_path: Model = at(model, "layers.*.weight").set(w)
at_path: Model = at(model, "layers[0].weight").apply(jnp.sin)
with_path: Model = at(model, "**").apply(lambda path, leaf: leaf if "weight" in path else 0, with_path=True)
paths: list[str] = at(model, "layers.*").at("weight").paths()

together: Model = at(model, lambda m: (m.step, m.layers[0].weight)).set((1, w))
values: tuple[int, jax.Array] = at(model, lambda m: (m.step, m.layers[0].weight)).get()

several = at(model, lambda m: m.step, lambda m: m.layers[0].name)
assert_type(several, Refs[Model, tuple[int, str], int | str])
set_both: Model = several.set((1, "a"))
got: tuple[int, str] = several.get()
applied: Model = several.apply(lambda value: value)
of_three: tuple[int, str, jax.Array] = at(
    model, lambda m: m.step, lambda m: m.layers[0].name, lambda m: m.layers[0].weight
).get()
some: Model = at(model, "step", "head").set((1, None))
texts: list[str] = place.paths()

with editing(model) as m:
    m.layers[0].weight = 3
    m.step = m.layers[0].weight + 1

at(model, lambda m: (m.stpe, m.head))  # error: unknown-of-several
at(model, lambda m: m.step, lambda m: m.haed)  # error: unknown-in-second
at(model, lambda m: (m.step, m.layers[0].weight)).set((1, "w"))  # error: value-of-several
at(model, lambda m: (m.step, m.layers[0].weight)).set(1)  # error: no-tuple
several.set((1, 2))  # error: value-of-second
several.set((1,))  # error: too-few
several.apply(lambda value: None)  # error: result-of-apply
wrong_get: tuple[str, str] = several.get()  # error: get
wrong_tree: Linear = at(model, "layers[0]").set(w)  # error: tree
