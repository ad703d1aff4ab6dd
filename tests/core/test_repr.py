"""`repr` is the class's name with short values, and never fails."""

import dataclasses
import enum
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from structkit import Struct, derived, field, static
from tests.models import Box, Coordinates, Empty, Linear, Mutable, Pair, Point, Skipping


class Colour(enum.Enum):
    RED = 1


@dataclasses.dataclass
class Plain:
    a: int = 1
    b: int = 2


class Secret(Struct):
    x: Any
    key: Any = field(default=0, repr=False)
    tag: Any = static(default=0, repr=False)


class Loud(Struct):
    x: Any

    def __repr__(self):
        return f"<LOUD {self.x}>"


class Lines(Struct):
    x: Any

    def __repr__(self):
        return f"first\nsecond {self.x}"


class Broken(Struct):
    x: Any

    def __repr__(self):
        raise ValueError("no")


class Silent(Struct, repr=False):
    x: Any


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (Point(1), "Point(x=1)"),
        (Point("a'b\n"), 'Point(x="a\'b\\n")'),
        (Point(None), "Point(x=None)"),
        (Point(1.5), "Point(x=1.5)"),
        (Point((1,)), "Point(x=(1,))"),
        (Point([1, (2, 3), {"a": {4}}]), "Point(x=[1, (2, 3), {'a': {4}}])"),
        (Point(Pair(1, 2, 3)), "Point(x=Pair(x=1, y=2, name=3))"),
        (Point(jnp.ones((784, 128), jnp.float32)), "Point(x=f32[784,128])"),
        (Point(jnp.int32(1)), "Point(x=i32(1))"),
        (Point(jnp.ones(2, jnp.bfloat16)), "Point(x=bf16[2])"),
        (Point(jnp.ones(2, bool)), "Point(x=bool[2])"),
        (Point(jnp.ones(2, jnp.uint8)), "Point(x=u8[2])"),
        (Point(np.ones((2, 3))), "Point(x=f64[2,3](numpy))"),
        (Point(jax.random.key(0)), "Point(x=key<fry>[])"),
        (Point(jax.nn.relu), "Point(x=relu)"),
        (Point(jnp.sin), "Point(x=sin)"),
        (Point(np.sin), "Point(x=sin)"),
        (Point(len), "Point(x=len)"),
        (Point(Pair), "Point(x=Pair)"),
        (Point(int), "Point(x=int)"),
        (Point(functools.partial(max, 1)), "Point(x=partial(max, 1))"),
        (Point(Colour.RED), "Point(x=<Colour.RED: 1>)"),
        (Point(Coordinates(1, 2)), "Point(x=Coordinates(x=1, y=2))"),
        (Point(...), "Point(x=...)"),
        (Point(Plain(b=3)), "Point(x=Plain(a=1, b=3))"),
        (Skipping(1), "Skipping(x=1, note='', tag='')"),
        (Secret(1), "Secret(x=1)"),
        (Empty(), "Empty()"),
        (Box[int](1), "Box(item=1)"),
        (Loud(1), "<LOUD 1>"),
        (Point([Loud(1), {"a": Loud(2)}]), "Point(x=[<LOUD 1>, {'a': <LOUD 2>}])"),
        (Point(Lines(1)), "Point(x=first\n        second 1)"),
    ],
)
def test_repr_is_the_name_with_short_values(made, expected):
    assert repr(made) == expected
    assert str(made) == expected
    assert f"{made}" == expected


def test_a_long_repr_is_wrapped_with_indentation():
    layer = Linear(jnp.ones((784, 128), jnp.float32), jnp.ones(128, jnp.float32))
    assert repr(layer) == "Linear(weight=f32[784,128], bias=f32[128], activation=relu)"
    assert repr(Pair([layer, layer], {"name": "a" * 30})) == (
        "Pair(\n"
        "  x=[\n"
        "    Linear(weight=f32[784,128], bias=f32[128], activation=relu),\n"
        "    Linear(weight=f32[784,128], bias=f32[128], activation=relu)\n"
        "  ],\n"
        "  y={'name': 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'},\n"
        "  name='pair'\n"
        ")"
    )


def test_a_repr_of_exactly_the_line_length_stays_on_one_line():
    assert repr(Point("a" * 77)) == f"Point(x='{'a' * 77}')"
    assert len(repr(Point("a" * 77))) == 88
    assert repr(Point("a" * 78)) == f"Point(\n  x='{'a' * 78}'\n)"


def test_repr_ends_at_a_cycle_and_shows_an_object_that_is_held_twice_twice():
    layers: list[Any] = []
    made = Point(layers)
    layers.append(made)
    assert repr(made) == "Point(x=[<recursive>])"
    holder: dict[str, Any] = {}
    inner = Pair(holder, holder)
    holder["up"] = inner
    assert repr(inner) == "Pair(x={'up': <recursive>}, y={'up': <recursive>}, name='pair')"
    changing = Mutable(None)
    changing.x = changing
    assert repr(changing) == "Mutable(x=<recursive>, n=0)"
    shared = Point(1)
    assert repr(Pair(shared, [shared])) == "Pair(x=Point(x=1), y=[Point(x=1)], name='pair')"


def test_repr_shows_tracers_and_abstract_values_as_what_they_stand_for():
    seen = []

    @jax.jit
    def show(p):
        seen.append(repr(p))
        return p

    show(Pair(jnp.ones(3, jnp.float32), [jnp.ones((2, 2), jnp.int32)]))
    jax.vmap(show)(Pair(jnp.ones((5, 3), jnp.float32)))
    jax.grad(lambda p: show(p).x)(Pair(jnp.float32(1)))
    assert seen == [
        "Pair(x=f32[3], y=[i32[2,2]], name='pair')",
        "Pair(x=f32[3], y=None, name='pair')",
        "Pair(x=f32[], y=None, name='pair')",
    ]
    shape, spec = jax.ShapeDtypeStruct((3,), jnp.float32), jax.sharding.PartitionSpec("x")
    for placeholder, text in ((shape, "f32[3](abstract)"), (spec, repr(spec))):
        assert repr(jax.tree.structure(Point(1)).unflatten([placeholder])) == f"Point(x={text})"


def test_repr_says_that_an_array_is_deleted():
    made = Point(jnp.ones(3, jnp.float32))
    made.x.delete()
    assert repr(made) == "Point(x=f32[3](deleted))"


def test_repr_shows_unset_fields_during_construction():
    class Half(Struct):
        x: Any
        y: Any = derived()
        n: Any = static(default=1)
        seen = []

        def __post_init__(self):
            self.seen.append(repr(self))
            self.y = 2
            self.seen.append(repr(self))

    Half(1)
    assert Half.seen == ["Half(x=1, y=<unset>, n=1)", "Half(x=1, y=2, n=1)"]


def test_a_repr_of_the_users_that_raises_does_not_hide_the_rest():
    with pytest.raises(ValueError, match="no"):
        repr(Broken(1))
    assert repr(Pair(Broken(1), 2)) == "Pair(x=<Broken whose repr raises ValueError>, y=2, name='pair')"
    assert repr(Pair([1, Broken(1)], 2)).endswith("y=2, name='pair')")


def test_repr_false_leaves_the_one_of_object():
    assert repr(Silent(1)).startswith("<") and "Silent object at" in repr(Silent(1))
    assert "Silent object at" in repr(Point(Silent(1)))


def test_repr_never_fails_on_deep_nesting():
    made: Any = 1
    for _ in range(2000):
        made = Point(made)
    assert repr(made).startswith("Point(")
