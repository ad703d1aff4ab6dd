"""The exact texts of `pformat`, which are those of `repr`."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import wadler_lindig

from structkit import Struct, field, pformat, summary
from tests.models import Linear, Model, Pair, Point


class Corner(NamedTuple):
    x: Any
    y: Any


@dataclasses.dataclass
class Plain:
    a: Any = 1


class Shout(Struct):
    x: Any

    def __repr__(self):
        return f"SHOUT {self.x}"


class Broken:
    def __repr__(self):
        raise RuntimeError("no text")


class Huge(Struct):
    x: Any
    hidden: Any = field(default=0, repr=False)


def ones(*shape, dtype=jnp.float32):
    return jnp.ones(shape, dtype)


def cyclic():
    tree: list[Any] = [1]
    tree.append(Model(tree))
    return tree


SHARED = Point(1)

TEXTS = [
    (1, "1"),
    ("a", "'a'"),
    (None, "None"),
    ([], "[]"),
    ((1,), "(1,)"),
    ({"a": [1, 2]}, "{'a': [1, 2]}"),
    (ones(2, 3), "f32[2,3]"),
    (np.ones((2, 3), np.int8), "i8[2,3](numpy)"),
    ([ones(), jax.random.key(0)], "[f32(1.0), key<fry>[]]"),
    (jax.nn.relu, "relu"),
    (jnp.float32, "float32"),
    (Linear, "Linear"),
    (Corner(ones(1), None), "Corner(x=f32[1], y=None)"),
    (Plain(), "Plain(a=1)"),
    (Linear(ones(784, 128)), "Linear(weight=f32[784,128], bias=None, activation=relu)"),
    ({"model": Model([Shout(1)])}, "{'model': Model(layers=[SHOUT 1], name='model')}"),
    (Huge(1, 2), "Huge(x=1)"),
    (cyclic(), "[1, Model(layers=<recursive>, name='model')]"),
    ((SHARED, SHARED), "(Point(x=1), Point(x=1))"),
    (Point(Broken()), "Point(x=<Broken whose repr raises RuntimeError>)"),
    # Python refuses to write more than some thousands of digits.
    (Point(10**5000), "Point(x=<int whose repr raises ValueError>)"),
    (Point.__new__(Point), "Point(x=<unset>)"),
]


@pytest.mark.parametrize(("tree", "expected"), TEXTS, ids=[text for _, text in TEXTS])
def test_pformat_gives_short_text_and_repr_of_a_struct_is_the_same(tree, expected):
    assert pformat(tree) == expected
    if isinstance(tree, Struct):
        assert repr(tree) == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"width": 200}, "Model(layers=[Linear(weight=f32[2,3], bias=f32[3], activation=relu), None], name='name')"),
        (
            {"width": 60},
            """\
Model(
  layers=[
    Linear(weight=f32[2,3], bias=f32[3], activation=relu),
    None
  ],
  name='name'
)""",
        ),
        (
            {"width": 30, "indent": 4},
            """\
Model(
    layers=[
        Linear(
            weight=f32[2,3],
            bias=f32[3],
            activation=relu
        ),
        None
    ],
    name='name'
)""",
        ),
    ],
    ids=str,
)
def test_pformat_wraps_at_the_width_and_indents(options, expected):
    assert pformat(Model([Linear(ones(2, 3), ones(3)), None], "name"), **options) == expected


def test_a_custom_document_of_the_callers_is_asked_for_numbers_too():
    def custom(value):
        return wadler_lindig.TextDoc("N") if isinstance(value, int) else None

    assert wadler_lindig.pformat(Pair(1, [2], "a"), custom=custom) == "Pair(x=N, y=[N], name='a')"


def test_tracers_are_shown_as_arrays():
    seen = []
    jax.jit(lambda pair: seen.append(pformat({"pair": pair})))(Pair(ones(3)))
    assert seen == ["{'pair': Pair(x=f32[3], y=None, name='pair')}"]


# Trap 13: donation.


def test_a_donated_struct_prints_compares_and_is_summarized():
    struct, kept = Pair(ones(3), ones(2)), Pair(ones(3), ones(2))
    with jax.debug_nans(False):  # which keeps what is donated
        result = jax.jit(lambda s: jax.tree.map(lambda x: x + 1, s), donate_argnums=0)(struct)
    assert struct.x.is_deleted() and struct.y.is_deleted()
    assert repr(result) == "Pair(x=f32[3], y=f32[2], name='pair')"
    assert repr(struct) == "Pair(x=f32[3](deleted), y=f32[2](deleted), name='pair')"
    assert pformat([struct.x, {"a": struct}]) == f"[f32[3](deleted), {{'a': {struct!r}}}]"
    assert summary(struct) == summary(kept)
    for other in (kept, result):
        assert isinstance(struct == other, bool)
        assert (struct != other) is not (struct == other)
