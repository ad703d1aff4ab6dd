"""rich lays structs out by itself, in its width, with arrays as everywhere."""

from typing import Any

import jax.numpy as jnp
import pytest
from rich import pretty

from structkit import Struct, derived, field
from tests.models import Broken, Silent, Spoken


class Point(Struct):
    x: Any
    y: Any = None
    hidden: Any = field(default=0, repr=False)


class Half(Struct):
    x: Any
    y: Any = derived()

    def __post_init__(self):
        self.y = pretty.pretty_repr(self)


def cycle():
    items = []
    items.append(Point(items))
    return items


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        (Point(jnp.ones((2, 3), jnp.float32), jnp.float32(0.5)), "Point(x=f32[2,3], y=f32(0.5))"),
        (Point({"b": [Point("a")], "c": len}), "Point(x={'b': [Point(x='a', y=None)], 'c': len}, y=None)"),
        (Point({1: 2, "a": 3}), "Point(x={1: 2, 'a': 3}, y=None)"),
        ([Spoken(1), Point(Spoken(1))], "[SPOKEN 1, Point(x=SPOKEN 1, y=None)]"),
        (Half(1).y, "'Half(x=1, y=<unset>)'"),
        (cycle(), "[Point(x=[...], y=None)]"),
        (Point(Broken()), "Point(x=<Broken whose repr raises RuntimeError>, y=None)"),
    ],
)
def test_a_struct_is_shown_by_its_fields(tree, expected):
    assert pretty.pretty_repr(tree, max_width=100) == expected


def test_a_struct_without_a_repr_is_shown_as_an_object():
    assert "Silent object at" in pretty.pretty_repr(Silent(1))


def test_a_struct_is_laid_out_in_the_width_at_every_depth():
    shown = pretty.pretty_repr(Point({"a": Point(Point(1), [2])}), max_width=40)
    assert shown == (
        "Point(\n    x={\n        'a': Point(\n            x=Point(x=1, y=None),\n            y=[2]\n        )\n"
        "    },\n    y=None\n)"
    )
