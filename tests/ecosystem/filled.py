"""Structs that packages fill without their constructor."""

from structkit import Struct, field, static


class Checked(Struct):
    a: int

    def __check_init__(self):
        if self.a < 0:
            raise ValueError("a is negative")


class Converted(Struct):
    a: int = field(converter=lambda value: value * 10)
    shape: tuple[int, ...] = static(default=(1,))


class Mutable(Struct, frozen=False):
    a: int
    b: int = 2


class Nothing(Struct):
    pass
