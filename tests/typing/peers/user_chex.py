"""A program with planted errors, for chex: `# error` lines are wrong, all others right."""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import chex
import jax
import jax.numpy as jnp
from typing_extensions import Self

T = TypeVar("T")


@chex.dataclass(frozen=True, mappable_dataclass=False)
class Linear:
    weight: jax.Array
    bias: jax.Array
    activation: Callable[[jax.Array], jax.Array] = jax.nn.relu

    @classmethod
    def create(cls, n_in: int, n_out: int) -> Self:
        return cls(jnp.zeros((n_in, n_out)), jnp.zeros(n_out))

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.activation(x @ self.weight + self.bias)

    def reset(self) -> None:
        self.bias = jnp.zeros(3)  # error: frozen-self


@chex.dataclass(frozen=True, mappable_dataclass=False)
class Config:
    depth: int = 2
    rate: float = 0.1
    names: list[str] = dataclasses.field(default_factory=list)


@chex.dataclass(frozen=True, mappable_dataclass=False)
class Model:
    layers: list[Linear]
    head: Linear
    config: Config = dataclasses.field(default_factory=Config)
    step: int = dataclasses.field(default=0, kw_only=True)
    table: dict[str, jax.Array] = dataclasses.field(default_factory=dict)
    extra: Linear | None = None

    def params(self) -> int:
        return sum(layer.weight.size for layer in self.layers)


@chex.dataclass(frozen=True, kw_only=True, mappable_dataclass=False)
class Key:
    seed: int
    name: str = "key"


@chex.dataclass(frozen=True, mappable_dataclass=False)
class Square:
    side: float
    scale: dataclasses.InitVar[float]
    area: float = dataclasses.field(init=False)

    def __post_init__(self, scale: float) -> None:
        object.__setattr__(self, "area", self.side**2 * scale)


@chex.dataclass(frozen=True, mappable_dataclass=False)
class Base:
    a: int
    b: str = "b"


@chex.dataclass(frozen=True, mappable_dataclass=False)
class Child(Base):
    c: float = 1.0


@chex.dataclass(frozen=True, mappable_dataclass=False)
class Box(Generic[T]):
    value: T

    def get(self) -> T:
        return self.value


@chex.dataclass(frozen=True, mappable_dataclass=False)
class Shape(ABC):
    name: str

    @abstractmethod
    def size(self) -> float: ...


@chex.dataclass(frozen=True, mappable_dataclass=False)
class Circle(Shape):
    radius: float

    def size(self) -> float:
        return self.radius


class Sized(Protocol):
    def size(self) -> float: ...


@chex.dataclass(frozen=True, order=True, mappable_dataclass=False)
class Version:
    major: int
    minor: int


@chex.dataclass(mappable_dataclass=False)
class Counter:
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
@chex.dataclass(frozen=True, mappable_dataclass=False)
class BadDefault:
    n: int = "3"  # error: default-value


@chex.dataclass(frozen=True, mappable_dataclass=False)
class BadStatic:
    n: int = dataclasses.field(default="3")  # error: static-default-value


@chex.dataclass(frozen=True, mappable_dataclass=False)
class BadSpelling:
    n: int = dataclasses.field(metadata={"sttaic": True})  # error: misspelt-static


@chex.dataclass(frozen=True, mappable_dataclass=False)
class BadFactory:
    n: list[int] = dataclasses.field(default_factory=dict)  # error: factory-value


@chex.dataclass(frozen=True, mappable_dataclass=False)
class BadOrder:
    a: int = 1
    b: int  # error: required-after-default


@chex.dataclass(frozen=True, mappable_dataclass=False)
class BadOverride(Base):
    a: str  # error: override-type


@chex.dataclass(frozen="no", mappable_dataclass=False)  # error: option-type
class BadOption:
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
model.replace(head=model.head.replace(bias=b))
model.replace(layers=[model.layers[0].replace(weight=jnp.sin(model.layers[0].weight))])
model.replace(head=model.head.replace(bais=b))  # error: place-unknown
model.replace(head=model.head.replace(bias="b"))  # error: place-value
model.replace(layers=[model.layers[0].replace(weight=len(w))])  # error: place-function
model.replace(table={"w": 3})  # error: place-dict
place: int = model.config.rate  # error: place-result
done: Config = model.replace(step=2)  # error: place-tree
