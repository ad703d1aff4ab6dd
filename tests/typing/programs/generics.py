"""Generic structs with `TypeVar`."""

from collections.abc import Callable
from typing import Generic, TypeVar

import jax
import jax.numpy as jnp

from structkit import Struct, at, field, static

T = TypeVar("T")
U = TypeVar("U", bound=Struct)
K = TypeVar("K")


class Box(Struct, Generic[T]):
    value: T
    label: str = static(default="box")

    def get(self) -> T:
        return self.value

    def map(self, function: Callable[[T], K]) -> "Box[K]":
        return Box(function(self.value))


class Pair(Struct, Generic[T, K]):
    first: T
    second: K
    rest: list[T] = field(default_factory=list[T])


class IntBox(Box[int]):
    extra: int = 0


class Holder(Struct, Generic[U]):
    inner: U


number: Box[int] = Box(1)
text: str = Box("a").get()
mapped: Box[str] = Box(1).map(str)
pair: Pair[int, str] = Pair(1, "a", [2])
first: int = pair.first
array: jax.Array = Box(jnp.ones(3)).value
child: int = IntBox(1).get()
held: Box[int] = Holder(Box(1)).inner
changed: Box[int] = number.replace(label="b")
placed: Box[int] = at(number, lambda b: b.value).set(2)

wrong_box: Box[str] = Box(1).map(float)  # error: map
Pair[int, str](1, 2)  # error: second
IntBox("x")  # error: bound-in-child
Holder(3)  # error: bound
at(number, lambda b: b.value).set("2")  # error: place
number.get().upper()  # error: attribute-of-value
