"""A program with planted errors, for msgspec: `# error` lines are wrong, all others right."""

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import jax
import jax.numpy as jnp
import msgspec
from msgspec import structs
from typing_extensions import Self

T = TypeVar("T")


class Linear(msgspec.Struct, frozen=True):
    weight: jax.Array
    bias: jax.Array
    activation: Callable[[jax.Array], jax.Array] = msgspec.field(default=jax.nn.relu)

    @classmethod
    def create(cls, n_in: int, n_out: int) -> Self:
        return cls(jnp.zeros((n_in, n_out)), jnp.zeros(n_out))

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.activation(x @ self.weight + self.bias)

    def reset(self) -> None:
        self.bias = jnp.zeros(3)  # error: frozen-self


class Config(msgspec.Struct, frozen=True):
    depth: int = msgspec.field(default=2)
    rate: float = 0.1
    names: list[str] = msgspec.field(default_factory=list)


class Model(msgspec.Struct, frozen=True):
    layers: list[Linear]
    head: Linear
    config: Config = msgspec.field(default_factory=Config)
    step: int = 0
    table: dict[str, jax.Array] = msgspec.field(default_factory=dict)
    extra: Linear | None = None

    def params(self) -> int:
        return sum(layer.weight.size for layer in self.layers)


class Key(msgspec.Struct, frozen=True, kw_only=True):
    seed: int
    name: str = msgspec.field(default="key")


class Base(msgspec.Struct, frozen=True):
    a: int
    b: str = "b"


class Child(Base, frozen=True):
    c: float = 1.0


class Box(msgspec.Struct, Generic[T], frozen=True):
    value: T

    def get(self) -> T:
        return self.value


class Shape(msgspec.Struct, frozen=True):
    name: str

    def size(self) -> float:
        return 0.0


class Circle(Shape, frozen=True):
    radius: float

    def size(self) -> float:
        return self.radius


class Sized(Protocol):
    def size(self) -> float: ...


class Version(msgspec.Struct, frozen=True, order=True):
    major: int
    minor: int


class Counter(msgspec.Struct, frozen=False):
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
class BadDefault(msgspec.Struct, frozen=True):
    n: int = "3"  # error: default-value


class BadStatic(msgspec.Struct, frozen=True):
    n: int = msgspec.field(default="3")  # error: static-default-value


class BadFactory(msgspec.Struct, frozen=True):
    n: list[int] = msgspec.field(default_factory=dict)  # error: factory-value


class BadOrder(msgspec.Struct, frozen=True):
    a: int = 1
    b: int  # error: required-after-default


class BadOverride(Base, frozen=True):
    a: str  # error: override-type


class BadOption(msgspec.Struct, frozen="no"):  # error: option-type
    n: int


# Abstract classes and protocols.
Circle("c", 1.0).size()
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
structs.replace(structs.replace(layer, bias=b), weight=w)
changed: Linear = structs.replace(layer, weight=w)
structs.replace(layer, wieght=w)  # error: replace-unknown
structs.replace(layer, weight="w")  # error: replace-type
structs.replace(layer, w)  # error: replace-positional
other: Config = structs.replace(layer, bias=b)  # error: replace-result
structs.asdict(layer)
structs.asdict(3)  # error: asdict-type

# Places.
structs.replace(model, head=structs.replace(model.head, bias=b))
structs.replace(model, layers=[structs.replace(model.layers[0], weight=jnp.sin(model.layers[0].weight))])
structs.replace(model, head=structs.replace(model.head, bais=b))  # error: place-unknown
structs.replace(model, head=structs.replace(model.head, bias="b"))  # error: place-value
structs.replace(model, layers=[structs.replace(model.layers[0], weight=len(w))])  # error: place-function
structs.replace(model, table={"w": 3})  # error: place-dict
place: int = model.config.rate  # error: place-result
done: Config = structs.replace(model, step=2)  # error: place-tree
