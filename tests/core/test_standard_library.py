"""The functions of `dataclasses` and match statements take structs."""

import dataclasses

import jax.numpy as jnp

from tests.models import Pair, Point


class Sub(Point):
    pass


def test_the_functions_of_dataclasses_reach_structs_inside_structs():
    made = Pair(Point(1), [Point(2)], name="a")
    assert dataclasses.is_dataclass(made) and dataclasses.is_dataclass(Pair)
    assert dataclasses.asdict(made) == {"x": {"x": 1}, "y": [{"x": 2}], "name": "a"}
    assert dataclasses.astuple(made) == ((1,), [(2,)], "a")
    assert dataclasses.asdict(Point(jnp.ones(3)))["x"].shape == (3,)


def test_match_statements_take_structs_apart():
    def describe(value):
        match value:
            case Pair(Point(x), None):
                return "nested", x
            case Pair(x, y, name="named"):
                return "named", x, y
            case Pair(x=x, y=y):
                return x, y
            case Sub(x):
                return "sub", x
            case Point(x):
                return x
        return None

    assert describe(Pair(Point(1))) == ("nested", 1)
    assert describe(Pair(1, 2, "named")) == ("named", 1, 2)
    assert describe(Pair(1, 2)) == (1, 2)
    assert describe(Sub(3)) == ("sub", 3)
    assert describe(Point(4)) == 4
    assert describe((5,)) is None
