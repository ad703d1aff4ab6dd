"""Abstract classes, abstract properties, protocols and `Self`."""

from abc import ABC, abstractmethod
from typing import Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from typing_extensions import Self

from structkit import Struct, static


class Layer(Struct, ABC):
    name: str = static()

    @abstractmethod
    def __call__(self, x: jax.Array) -> jax.Array: ...

    @classmethod
    def named(cls, name: str) -> Self:
        return cls(name)


class Scale(Layer):
    factor: float = 1.0

    def __call__(self, x: jax.Array) -> jax.Array:
        return x * self.factor


class Incomplete(Layer, ABC):
    factor: float = 1.0


class HasSize(Struct, ABC):
    @property
    @abstractmethod
    def size(self) -> int: ...


class Sized(HasSize):
    length: int

    @property
    def size(self) -> int:
        return self.length


@runtime_checkable
class Scorer(Protocol):
    def score(self, x: jax.Array) -> float: ...


class Good(Struct, Scorer):
    bias: float = 0.0

    def score(self, x: jax.Array) -> float:
        return float(x.sum()) + self.bias


class Structural(Struct):
    def score(self, x: jax.Array) -> float:
        return 1.0


class Named(Protocol):
    @property
    def name(self) -> str: ...


def best(scorer: Scorer) -> float:
    return scorer.score(jnp.ones(3))


x = jnp.ones(3)
scale: Scale = Scale.named("a")
y: jax.Array = Scale("a", 2.0)(x)
size: int = Sized(3).size
best(Good())
best(Structural())
named: Named = Scale("a")

Incomplete("a", 2.0)  # error: abstract-child
HasSize()  # error: abstract-property
unnamed: Named = Sized(3)  # error: protocol-attribute
Sized(3).size = 4  # error: property-write
Sized(size=3)  # error: property-argument
