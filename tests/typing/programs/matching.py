"""Match statements: positional and keyword patterns know the fields."""

import jax
from typing_extensions import assert_never

from structkit import Struct, derived, field


class Circle(Struct):
    radius: float
    colour: str = field(default="red", kw_only=True)


class Box(Struct):
    width: float
    height: float
    area: float = derived(default=0.0)


class Opaque(Struct, match_args=False):
    value: jax.Array


def size(shape: Circle | Box) -> float:
    match shape:
        case Circle(radius):
            return radius
        case Box(width, height=height):
            return width * height
        case _:
            assert_never(shape)


def colour(shape: Circle | Box) -> str:
    match shape:
        case Circle(colour=name):
            return name
        case Box(width):
            return width  # error: capture-type


def too_many_derived(shape: Circle | Box) -> float:
    match shape:
        case Box(_, _, _):  # error: derived-positional
            return 1.0
        case _:
            return 2.0


def no_match_args(value: Opaque | Box) -> float:
    match value:
        case Opaque(_):  # error: no-match-args
            return 1.0
        case _:
            return 2.0


def not_exhaustive(shape: Circle | Box) -> float:
    match shape:
        case Circle(radius):
            return radius
        case _:
            assert_never(shape)  # error: not-exhaustive
