"""`at`: typed places inside trees."""

import jax
import jax.numpy as jnp

from structkit import Ref, Struct, at, static


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
