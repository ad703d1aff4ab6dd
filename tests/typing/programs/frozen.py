"""Writing to structs: frozen ones refuse, mutable ones check the type."""

import jax
import jax.numpy as jnp

from structkit import Struct, derived, static


class Layer(Struct):
    weight: jax.Array
    rate: float = 0.1
    name: str = static(default="layer")
    size: int = derived(default=0)

    def double(self) -> "Layer":
        return self.replace(rate=2 * self.rate)


class Stack(Struct):
    first: Layer
    layers: list[Layer]


class Wide(Layer):
    width: int = 1


class Counter(Struct, frozen=False):
    count: int = 0
    names: tuple[str, ...] = ()

    def increase(self) -> None:
        self.count += 1


layer = Layer(jnp.ones(3))
stack = Stack(layer, [layer])
wide = Wide(jnp.ones(3))
counter = Counter()

layer.name = "other"  # error: static-write
layer.size = 3  # error: derived-write
stack.first.rate = 1.0  # error: nested-write
stack.layers[0].rate = 1.0  # error: item-write
wide.rate = 1.0  # error: inherited-write
wide.width = 2  # error: child-write
layer.rate, other = 1.0, 2.0  # error: tuple-write
layer.replace = None  # error: method-write
counter.count = 3
counter.count += 1
counter.increase()
counter.coutn = 3  # error: mutable-unknown
counter.names = (1,)  # error: mutable-tuple-type

weight: jax.Array = layer.weight
rate: float = stack.layers[0].rate
stack.first.wieght  # error: nested-unknown-read
layer.double().triple()  # error: unknown-method
