"""Class keywords, and what they turn on and off."""

from typing import Any

from structkit import Struct


class Ordered(Struct, order=True):
    major: int
    minor: int = 0


class Plain(Struct, repr=False, eq=False, match_args=False):
    a: int


class Mutable(Struct, frozen=False):
    a: int


class MutableChild(Mutable, frozen=False):
    b: int = 1


class Tagged(Struct):
    a: int

    def __init_subclass__(cls, *, tag: str = "", **options: Any) -> None:
        super().__init_subclass__(**options)


class Leaf(Tagged, tag="leaf"):
    b: int = 1


class NoInit(Struct, init=False):
    a: int = 1


older: bool = Ordered(1) < Ordered(2, 1)
largest: Ordered = max(Ordered(1), Ordered(2))
Ordered(1) < 3  # error: order-other
Leaf(1, 2)
NoInit()
NoInit(1)  # error: no-init
same: bool = Ordered(1) == Ordered(2)
hash(Ordered(1))


class WrongKeyword(Struct, order=1.5):  # error: option-number
    a: int


class FrozenChild(Mutable, frozen=True):  # error: frozen-child-of-mutable
    b: int = 1


class MutableOfFrozen(Ordered, frozen=False):  # error: mutable-child-of-frozen
    b: int = 1


class WrongTag(Tagged, tag=1):  # error: hook-option-type
    b: int = 1
