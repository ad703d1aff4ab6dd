"""What most users write. `peers.py` says it in the words of other libraries and compares what checkers see."""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import jax
import jax.numpy as jnp
from typing_extensions import Self

from structkit import Struct, at, derived, field, static

T = TypeVar("T")


class Linear(Struct):
    weight: jax.Array
    bias: jax.Array
    activation: Callable[[jax.Array], jax.Array] = static(default=jax.nn.relu)

    @classmethod
    def create(cls, n_in: int, n_out: int) -> Self:
        return cls(jnp.zeros((n_in, n_out)), jnp.zeros(n_out))

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.activation(x @ self.weight + self.bias)

    def reset(self) -> None:
        self.bias = jnp.zeros(3)  # error: frozen-self


class Config(Struct):
    depth: int = static(default=2)
    rate: float = 0.1
    names: list[str] = field(default_factory=list[str])


class Model(Struct):
    layers: list[Linear]
    head: Linear
    config: Config = field(default_factory=Config)
    step: int = field(default=0, kw_only=True)
    table: dict[str, jax.Array] = field(default_factory=dict[str, jax.Array])
    extra: Linear | None = None

    def params(self) -> int:
        return sum(layer.weight.size for layer in self.layers)


class Key(Struct, kw_only=True):
    seed: int
    name: str = static(default="key")


class Square(Struct):
    side: float
    scale: dataclasses.InitVar[float]
    area: float = derived()

    def __post_init__(self, scale: float) -> None:
        object.__setattr__(self, "area", self.side**2 * scale)


class Base(Struct):
    a: int
    b: str = "b"


class Child(Base):
    c: float = 1.0


class Box(Struct, Generic[T]):
    value: T

    def get(self) -> T:
        return self.value


class Shape(Struct, ABC):
    name: str = static()

    @abstractmethod
    def size(self) -> float: ...


class Circle(Shape):
    radius: float

    def size(self) -> float:
        return self.radius


class Sized(Protocol):
    def size(self) -> float: ...


class Version(Struct, order=True):
    major: int
    minor: int


class Counter(Struct, frozen=False):
    count: int


w, b = jnp.ones((2, 3)), jnp.ones(3)
layer = Linear.create(2, 3)
model = Model([layer], layer, step=1)

# Construction.
Linear(w, b)
Linear(w, bias=b, activation=jnp.tanh)
Linear(w)  # error: missing-argument
Linear()  # error: missing-all
Linear("w", b)  # error: wrong-type
Linear(w, bias=3)  # error: wrong-keyword-type
Linear(w, b, bais=b)  # error: unknown-keyword
Linear(w, b, jnp.tanh, 4)  # error: too-many
Linear(jnp.tanh, w, b)  # error: wrong-order
Linear(w, b, activation="relu")  # error: wrong-static-type
Config(3, 0.5, ["a"])
Config(depth="3")  # error: wrong-default-type
Config(names=[1, 2])  # error: wrong-factory-type
Key(seed=1)
Key(1)  # error: kw-only-positional
Key(name="k")  # error: kw-only-missing
Model([layer], layer, Config(), 3)  # error: kw-only-field-positional
Square(2.0, 3.0)
Square(2.0, 3.0, 4.0)  # error: derived-argument
Square(2.0, "3")  # error: initvar-type
Square(2.0)  # error: initvar-missing
Child(1, "b", 2.0)
Child(b="b")  # error: inherited-missing
Child(1.5, "b", 2.0)  # error: inherited-type
Child(1, 2.0)  # error: inherited-order
Box(1)
Box[int]("x")  # error: generic-argument

# Attributes.
size: int = layer.weight.size
layer.wieght  # error: unknown-attribute
count: str = model.step  # error: attribute-type
layer(3)  # error: call-type
text: str = model.params()  # error: method-type
number: str = Box(1).get()  # error: generic-result
wrong: Model = Linear.create(2, 3)  # error: self-type

# Frozen.
layer.bias = b  # error: frozen-write
model.step += 1  # error: frozen-augmented
del layer.bias  # error: frozen-delete
layer.new = 1  # error: unknown-write
counter = Counter(1)
counter.count = 2
counter.count = "2"  # error: mutable-type
newer: bool = Version(1, 2) < Version(1, 3)
older: bool = Config() < Config()  # error: order-missing


# Declarations.
class BadDefault(Struct):
    n: int = "3"  # error: default-value


class BadStatic(Struct):
    n: int = static(default="3")  # error: static-default-value


class BadConverter(Struct):
    n: int = field(converter=jnp.asarray)  # error: converter-value


class BadSpelling(Struct):
    n: int = field(sttaic=True)  # error: misspelt-static


class BadFactory(Struct):
    n: list[int] = field(default_factory=dict)  # error: factory-value


class BadOrder(Struct):
    a: int = 1
    b: int  # error: required-after-default


class BadOverride(Base):
    a: str  # error: override-type


class BadOption(Struct, frozen="no"):  # error: option-type
    n: int


# Abstract classes and protocols.
Circle("c", 1.0).size()
Shape("s")  # error: abstract
shape: Sized = Circle("c", 1.0)
sized: Sized = Config()  # error: protocol


# Matching.
def matched(value: Linear | Config) -> jax.Array:
    match value:
        case Linear(weight, bias):
            return weight + bias
        case Config(depth=depth):
            return jnp.ones(depth)


def mismatched(value: Linear) -> jax.Array:
    match value:
        case Linear(_, _, _, _):  # error: match-too-many
            return value.bias
        case _:
            return value.weight


# Changed copies.
layer.replace(bias=b).replace(weight=w)
changed: Linear = layer.replace(weight=w)
layer.replace(wieght=w)  # error: replace-unknown
layer.replace(weight="w")  # error: replace-type
layer.replace(w)  # error: replace-positional
other: Config = layer.replace(bias=b)  # error: replace-result
dataclasses.replace(layer, bias=b)
dataclasses.asdict(layer)
dataclasses.asdict(3)  # error: asdict-type

# Places.
at(model, lambda m: m.head.bias).set(b)
at(model, lambda m: m.layers[0].weight).apply(jnp.sin)
at(model, lambda m: m.head.bais)  # error: place-unknown
at(model, lambda m: m.head.bias).set("b")  # error: place-value
at(model, lambda m: m.layers[0].weight).apply(len)  # error: place-function
at(model, lambda m: m.table["w"]).set(3)  # error: place-dict
place: int = at(model, lambda m: m.config.rate).get()  # error: place-result
done: Config = at(model, lambda m: m.step).set(2)  # error: place-tree
