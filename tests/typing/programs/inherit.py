"""Inheritance: order of fields, overrides, several bases, mixins."""

import dataclasses

import jax
import jax.numpy as jnp

from structkit import Struct, field, static


class Base(Struct):
    a: int
    b: str = static(default="b")


class Child(Base):
    c: float = 1.0


class Override(Base):
    b: str = static(default="other")
    a: int = 3


class Mixin:
    def describe(self) -> str:
        return "mixin"


class Mixed(Mixin, Base):
    d: int = 4


class Left(Struct):
    left: int = 1


class Right(Struct):
    right: str = "r"


class Both(Left, Right):
    both: float = 1.0


@dataclasses.dataclass(frozen=True)
class Standard:
    s: int


class OfStandard(Struct, Standard):
    t: int = field(default=2)


class Required(Base, kw_only=True):
    needed: jax.Array


Child(1)
Child(1, "b", 2.0)
Child(1, "b", "2.0")  # error: own-type
Child(1, "b", 2.0, 3)  # error: too-many
Override()
Override(1, "c")
Override("1")  # error: override-type
mixed: str = Mixed(1, "b", 2).describe()
Mixed(1, "b", "2")  # error: mixin-type
Both(right="a", left=2, both=1.0)
Both(rihgt="a")  # error: two-bases-unknown
Both(left="a")  # error: two-bases-type
OfStandard(1)
OfStandard("1")  # error: standard-base-type
Required(1, needed=jnp.ones(3))
Required(1, "b", jnp.ones(3))  # error: kw-only-child
Required(1)  # error: kw-only-child-missing
base: Base = Child(1)
child: Child = Base(1)  # error: base-for-child
Child(1).d  # error: unknown-read


class WrongMethod(Mixed):
    def describe(self) -> int:  # error: override-method
        return 1


class WrongOrder(Base):
    c: int  # error: required-after-inherited-default
