"""Changed copies in their four forms."""

import copy
import dataclasses

import jax
import jax.numpy as jnp
from typing_extensions import Self

from structkit import Struct, field, replace, static


class Layer(Struct):
    weight: jax.Array
    bias: jax.Array | None = None
    name: str = static(default="layer")
    step: int = field(default=0, kw_only=True)

    def next(self) -> Self:
        return self.replace(step=self.step + 1)

    def without_bias(self) -> "Layer":
        return replace(self, bias=None)


class Wide(Layer):
    width: int = 1

    def wider(self) -> Self:
        return self.replace(width=self.width + 1).next()


def renamed(layer: Layer, name: str) -> Layer:
    return layer.replace(name=name)


layer, wide = Layer(jnp.ones(3)), Wide(jnp.ones(3))
layer.replace()
layer.replace(weight=jnp.ones(4), bias=None, name="a", step=2)
layer.replace(step=1).replace(step=2).next().replace(name="b")
kept: Layer = layer.replace(step=1)
widened: Wide = wide.replace(width=3, weight=jnp.ones(3))
widest: Wide = wide.wider().next()
wrong_next: Wide = layer.next()  # error: self-result

function: Layer = replace(layer, step=1)
wrong_function: Wide = replace(layer, step=1)  # error: function-result

standard: Layer = dataclasses.replace(layer, step=1)
wrong_standard: Wide = dataclasses.replace(layer, step=1)  # error: standard-result

copied: Layer = copy.copy(layer)
deep: Layer = copy.deepcopy(layer)


class Sealed(Struct):
    value: int

    def __init__(self, text: str) -> None:
        object.__setattr__(self, "value", len(text))


def one_more(sealed: Sealed) -> Sealed:
    return sealed.replace(value=sealed.value + 1)


def relabelled(layers: list[Layer | Wide]) -> list[Layer]:
    return [layer.replace(name="x") for layer in layers]


def optional(layer: Layer | None) -> Layer | None:
    return None if layer is None else layer.replace(step=3)


one_more(Sealed("abc"))
