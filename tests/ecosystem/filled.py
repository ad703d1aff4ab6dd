"""Structs that packages fill without their constructor, and what becomes of the values that they are given."""

import jax
import pytest

from structkit import Static, Struct, errors, field, static


class Plain(Struct):
    a: int
    b: float = 5.0
    items: list[int] = field(default_factory=list)


class Checked(Struct):
    a: int

    def __check_init__(self):
        if self.a < 0:
            raise ValueError("a is negative")


class Hooked(Checked):
    label: Static[str] = "l"

    def __post_init__(self):
        self.label = self.label * 2


class Converted(Struct):
    a: int = field(converter=lambda value: value * 10)
    shape: tuple[int, ...] = static(default=(1,))


class Mutable(Struct, frozen=False):
    a: int
    b: int = 2


class Nothing(Struct):
    pass


# A class, what a package is given for it, and the fields that the struct has then.
FILLED = [
    (Plain, {"a": 1}, {"a": 1, "b": 5.0, "items": []}),
    (Plain, {"items": [1], "b": 2, "a": 1}, {"a": 1, "b": 2.0, "items": [1]}),
    (Hooked, {"a": 3}, {"a": 3, "label": "ll"}),
    (Checked, {"a": 3}, {"a": 3}),
    # What the package has validated is taken as it is.
    (Converted, {"a": 1, "shape": [2, 3]}, {"a": 1, "shape": (2, 3)}),
    (Mutable, {"a": 1}, {"a": 1, "b": 2}),
    (Nothing, {}, {}),
]


def assert_filled(made, expected, given):
    """A struct with these fields, a tree as any other, and frozen if its class is in those that were given."""
    assert vars(made) == expected
    assert vars(jax.tree.map(lambda leaf: leaf, made)) == expected
    if isinstance(made, Mutable):
        made.a = 4
        assert made.a == 4
    else:
        for name in given:
            with pytest.raises(errors.FrozenInstanceError):
                object.__setattr__(made, name, 1)
