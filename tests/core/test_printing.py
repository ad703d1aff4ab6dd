"""The exact texts of `repr` and `pformat`, which are one: short values behind the names, and no failure, ever."""

import collections
import dataclasses
import functools
import pprint
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import wadler_lindig

from structkit import Struct, field, pformat, static, struct, summary
from tests.models import (
    Box,
    Broken,
    Colour,
    Coordinates,
    Empty,
    Linear,
    Model,
    Mutable,
    Pair,
    Point,
    Silent,
    Skipping,
    Spoken,
)


@dataclasses.dataclass
class Plain:
    a: Any = 1


class Lines(Struct):
    x: Any

    def __repr__(self):
        return f"first\nsecond {self.x}"


class Failing(Struct):
    x: Any

    def __repr__(self):
        raise ValueError("no")


class Secret(Struct):
    x: Any
    hidden: Any = field(default=0, repr=False)
    tag: Any = static(default=0, repr=False)


def ones(*shape, dtype=jnp.float32):
    return jnp.ones(shape, dtype)


SHARED = Point(1)


class RaisingMeta(type):
    def __getattribute__(cls, name):
        raise RuntimeError(name)

    def __repr__(cls):
        raise RuntimeError("repr")


class RaisingClass(metaclass=RaisingMeta):
    pass


class RaisingInstanceCheck(type):
    def __instancecheck__(cls, instance):
        raise RuntimeError("instancecheck")


class WithoutClass:
    @property
    def __class__(self):
        raise RuntimeError("class")


class NoText:
    def __repr__(self):
        return 3


def closed(items, *more):
    """A struct around a list or dict that holds it, too."""
    made = Pair(items, items) if isinstance(items, dict) else Point(items)
    items.update(up=made) if isinstance(items, dict) else items.extend([made, *more])
    return made


def holding_itself():
    made = Mutable(None)
    made.x = made
    return made


TEXTS = [
    # What stands alone.
    (1, "1"),
    ("a", "'a'"),
    (None, "None"),
    ([], "[]"),
    ({"a": [1, 2]}, "{'a': [1, 2]}"),
    (Linear, "Linear"),
    (Plain(), "Plain(a=1)"),
    ([1, Spoken(1)], "[1, SPOKEN 1]"),
    (jax.ShapeDtypeStruct((), jnp.float32), "f32[](abstract)"),
    # What a struct holds.
    *(
        (Point(value), f"Point(x={text})")
        for value, text in [
            ("a'b\n", '"a\'b\\n"'),
            (1.5, "1.5"),
            ((1,), "(1,)"),
            ([1, (2, 3), {"a": {4}}], "[1, (2, 3), {'a': {4}}]"),
            (..., "..."),
            (ones(2, 3), "f32[2,3]"),
            (ones(2, dtype=jnp.bfloat16), "bf16[2]"),
            (ones(2, dtype=bool), "bool[2]"),
            (np.ones((2, 3), np.int8), "i8[2,3](numpy)"),
            (jax.random.key(0), "key<fry>[]"),
            (jnp.float32(0.25), "f32(0.25)"),
            (jnp.asarray(0.5, jnp.bfloat16), "bf16(0.5)"),
            # As few digits as the dtype needs.
            (jnp.float32(0.1), "f32(0.1)"),
            (jnp.float16(0.1), "f16(0.1)"),
            (jnp.complex64(0.1), "c64((0.1+0j))"),
            (np.array(0.1, np.float32), "f32(0.1)(numpy)"),
            (jnp.uint8(3), "u8(3)"),
            (jnp.asarray(True), "bool(True)"),
            (jnp.asarray(1 + 2j, jnp.complex64), "c64((1+2j))"),
            (jax.device_put(np.float32("nan")), "f32(nan)"),
            (np.asarray(0.1), "f64(0.1)(numpy)"),
            (np.asarray("text"), "<U4[](numpy)"),
            (np.zeros((), jax.dtypes.float0), "[('f0', 'V')][](numpy)"),
            (jax.ShapeDtypeStruct((3,), jnp.float32), "f32[3](abstract)"),
            (jax.sharding.PartitionSpec("x"), repr(jax.sharding.PartitionSpec("x"))),
            (jax.nn.relu, "relu"),
            (jnp.sin, "sin"),
            (np.sin, "sin"),
            (len, "len"),
            (jnp.float32, "float32"),
            (int, "int"),
            (functools.partial(max, 1), "partial(max, 1)"),
            (Colour.RED, "<Colour.RED: 1>"),
            (Coordinates(ones(1), None), "Coordinates(x=f32[1], y=None)"),
            (Plain(3), "Plain(a=3)"),
            (Pair(1, 2, 3), "Pair(x=1, y=2, name=3)"),
            ([Spoken(1), {"a": Spoken(2)}], "[SPOKEN 1, {'a': SPOKEN 2}]"),
            (Lines(1), "first\n        second 1"),
            # Python refuses to write more than some thousands of digits.
            (10**5000, "<int whose repr raises ValueError>"),
            (Broken(), "<Broken whose repr raises RuntimeError>"),
            (RaisingClass(), "<RaisingClass whose repr raises RuntimeError>"),
            (RaisingClass, "<RaisingMeta whose repr raises RuntimeError>"),
            (RaisingInstanceCheck("A", (), {}), "A"),
            (WithoutClass(), "<WithoutClass whose repr raises RuntimeError>"),
            (NoText(), "<NoText whose repr raises TypeError>"),
        ]
    ),
    (Pair(Failing(1), 2), "Pair(x=<Failing whose repr raises ValueError>, y=2, name='pair')"),
    (Pair([1, Failing(1)], 2), "Pair(x=<list whose repr raises ValueError>, y=2, name='pair')"),
    (Linear(ones(784, 128)), "Linear(weight=f32[784,128], bias=None, activation=relu)"),
    (Skipping(1), "Skipping(x=1, note='', tag='')"),
    (Secret(1, 2), "Secret(x=1)"),
    (Empty(), "Empty()"),
    (Box[int](1), "Box(item=1)"),
    (Point.__new__(Point), "Point(x=<unset>)"),
    # Cycles end, and what is held twice is shown twice.
    (closed([]), "Point(x=[<recursive>])"),
    (closed({}), "Pair(x={'up': <recursive>}, y={'up': <recursive>}, name='pair')"),
    (holding_itself(), "Mutable(x=<recursive>, n=0)"),
    (Pair(SHARED, [SHARED]), "Pair(x=Point(x=1), y=[Point(x=1)], name='pair')"),
]


@pytest.mark.parametrize(("tree", "expected"), TEXTS, ids=[text for _, text in TEXTS])
def test_pformat_gives_short_text_and_repr_of_a_struct_is_the_same(tree, expected):
    assert pformat(tree) == expected
    if isinstance(tree, Struct):
        assert repr(tree) == str(tree) == f"{tree}" == expected


def test_the_repr_of_the_user_raises_what_it_raises_and_without_one_it_is_that_of_object():
    with pytest.raises(ValueError, match="no"):
        repr(Failing(1))
    assert "Silent object at" in repr(Silent(1)) and "Silent object at" in repr(Point(Silent(1)))


def test_a_repr_of_exactly_the_line_length_stays_on_one_line():
    assert repr(Point("a" * 77)) == f"Point(x='{'a' * 77}')"
    assert len(repr(Point("a" * 77))) == 88
    assert repr(Point("a" * 78)) == f"Point(\n  x='{'a' * 78}'\n)"


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


@pytest.mark.parametrize(
    ("make", "count", "end"),
    [
        (list, 1_234_567, "\n] + [1,233,567 more]"),
        (tuple, 2000, "\n) + (1,000 more)"),
        (dict.fromkeys, 1001, "\n} + {1 more}"),
        (collections.OrderedDict.fromkeys, 1001, "\n} + {1 more}"),
        (set, 1001, "\n} + {1 more}"),
        (frozenset, 1001, "\n}) + {1 more}"),
    ],
)
def test_a_container_of_more_than_a_thousand_items_is_cut_with_a_count(make, count, end):
    text = pformat(make(range(count)))
    assert text.endswith(end) and text.count("\n") == 1001
    assert repr(Point(make(range(count)))) == f"Point(\n  x={text.replace(chr(10), chr(10) + '  ')}\n)"
    assert "more" not in pformat(make(range(1000)))


def test_a_cut_container_ends_a_cycle_and_keeps_the_options_of_the_caller():
    text = repr(closed([], *[0] * 1500))
    assert text.startswith("Point(\n  x=[\n    <recursive>,\n    0,") and text.endswith("0\n  ] + [501 more]\n)")
    shown = wadler_lindig.pformat(Point([ones(2)] * 1001), short_arrays=False)
    assert shown.count("Array([1., 1.], dtype=float32)") == 1000
    shown = wadler_lindig.pformat(
        Point([2] * 1001), custom=lambda value: wadler_lindig.TextDoc("N") if value == 2 else None
    )
    assert shown.count("N") == 1000


@pytest.mark.parametrize("width", [20, 40, 80])
def test_pprint_lays_structs_out_in_its_width(width):
    tree = {"k": Pair([Point(1), Point(2)], Spoken(1)), "n": None}
    text = pprint.pformat(tree, width=width)
    assert "".join(text.split()) == "{'k':Pair(x=[Point(x=1),Point(x=2)],y=SPOKEN1,name='pair'),'n':None}"
    assert max(map(len, text.splitlines())) <= width
    assert (text.count("\n") == 0) is (width == 80)


def test_debug_print_shows_the_values_of_scalars(capfd):
    jax.jit(lambda pair: jax.debug.print("{}", pair))(Pair(jnp.float32(0.25), ones(2)))
    jax.effects_barrier()
    assert capfd.readouterr().out == "Pair(x=f32(0.25), y=f32[2], name='pair')\n"


def test_a_custom_document_of_the_callers_is_asked_for_numbers_too():
    def custom(value):
        return wadler_lindig.TextDoc("N") if isinstance(value, int) else None

    assert wadler_lindig.pformat(Pair(1, [2], "a"), custom=custom) == "Pair(x=N, y=[N], name='a')"


def test_tracers_are_shown_as_arrays():
    seen = []

    def show(pair):
        seen.append(pformat({"pair": pair}))
        return pair.x

    jax.jit(show)(Pair(ones(3), [ones(2, 2, dtype=jnp.int32)]))
    jax.vmap(show)(Pair(ones(5, 3)))
    jax.grad(show)(Pair(ones()))
    assert seen == [
        "{'pair': Pair(x=f32[3], y=[i32[2,2]], name='pair')}",
        "{'pair': Pair(x=f32[3], y=None, name='pair')}",
        "{'pair': Pair(x=f32[], y=None, name='pair')}",
    ]


class Options(Struct):
    """A default of every kind."""

    rate: Any = 0.0
    scale: Any = ones(2)
    inner: Any = Pair(ones(1))
    converted: Any = field(default=1, converter=jnp.float32)
    made: Any = field(default_factory=list)
    counted: Any = field(default_factory=iter(range(1000)).__next__, repr=False)
    activation: Any = static(default=jax.nn.relu)
    key: Any = jax.random.key(0)


@struct.dataclass
class Decorated:
    rate: Any = 0.0
    scale: Any = ones(2)
    made: Any = dataclasses.field(default_factory=dict)


class Wary(Struct):
    x: Any = field(default=1, converter=lambda value: 1 / (value - 1))
    y: Any = Broken()


def hidden(tree, **options):
    return pformat(tree, hide_defaults=True, **options)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "Options()"),
        ({"rate": -0.0}, "Options(rate=-0.0)"),
        ({"rate": 0}, "Options(rate=0)"),
        ({"rate": jnp.float32(0)}, "Options(rate=f32(0.0))"),
        ({"scale": ones(2) + 0}, "Options()"),
        ({"scale": np.ones(2, np.float32)}, "Options(scale=f32[2](numpy))"),
        ({"scale": ones(2) * 2}, "Options(scale=f32[2])"),
        ({"scale": ones(2, dtype=jnp.int32)}, "Options(scale=i32[2])"),
        ({"inner": Pair(ones(1) + 0)}, "Options()"),
        ({"inner": Pair(ones(1), 1)}, "Options(inner=Pair(x=f32[1], y=1))"),
        ({"converted": jnp.asarray(1.0, jnp.float32)}, "Options()"),
        ({"converted": 2}, "Options(converted=f32(2.0))"),
        ({"made": [1]}, "Options(made=[1])"),
        ({"activation": jnp.tanh}, "Options(activation=tanh)"),
        ({"key": jax.random.key(0)}, "Options()"),
        ({"key": jax.random.key(1)}, "Options(key=key<fry>[])"),
        ({"key": {1: 2, "a": 3}}, "Options(key={1: 2, 'a': 3})"),
    ],
)
def test_fields_with_their_defaults_are_left_out_where_that_is_asked_for(changes, expected):
    assert hidden(Options(**changes)) == expected
    assert hidden([{"a": Options(**changes)}]) == f"[{{'a': {expected}}}]"
    assert repr(Options(**changes)).count("=") >= 7


def test_defaults_of_dataclasses_are_left_out_too():
    assert hidden([Plain(), Plain([Plain(2)])]) == "[Plain(), Plain(a=[Plain(a=2)])]"
    assert hidden(Decorated(scale=ones(2) + 0)) == "Decorated()"
    assert hidden(Decorated(1, ones(3), {1: Decorated()})) == "Decorated(rate=1, scale=f32[3], made={1: Decorated()})"


def test_traced_values_are_shown_beside_hidden_defaults():
    seen = []
    with jax.enable_x64(False):
        jax.jit(lambda o: seen.append(hidden(o)))(Point(Decorated(made=2)))
        jax.vmap(lambda scale: seen.append(hidden(Decorated(scale=scale))))(ones(3, 2))
    assert seen == ["Point(x=Decorated(rate=f32[], scale=f32[2], made=i32[]))", "Decorated(scale=f32[2])"]


def test_nothing_that_a_default_or_a_converter_does_keeps_an_object_from_being_shown():
    made = jax.tree.unflatten(jax.tree.structure(Wary(3)), [2, Broken()])
    assert hidden(made) == "Wary(x=2, y=<Broken whose repr raises RuntimeError>)"
    assert hidden(Options.__new__(Options)).count("<unset>") == 7
    lost = Decorated(scale=ones(2) + 0)
    lost.scale.delete()
    assert hidden(lost) == "Decorated(scale=f32[2](deleted))"


def test_no_factory_of_the_users_is_called_to_hide_a_default():
    before = Options().counted
    hidden(Options.__new__(Options))
    hidden(dataclasses.replace(Options()))
    assert Options().counted == before + 2


def test_arrays_are_whole_where_that_is_asked_for():
    tree = [Pair(ones(2), {1: Point(ones())}), Spoken(ones(1))]
    for function in (pformat, wadler_lindig.pformat):
        assert function(tree, short_arrays=False, width=200) == (
            "[Pair(x=Array([1., 1.], dtype=float32), y={1: Point(x=Array(1., dtype=float32))}, name='pair'), "
            "SPOKEN [1.]]"
        )
    assert pformat(jax.ShapeDtypeStruct((2,), jnp.float32), short_arrays=False) == "f32[2](abstract)"
    assert pformat(Pair(np.eye(2)), short_arrays=False, hide_defaults=True) == (
        "Pair(x=array([[1., 0.],\n              [0., 1.]]))"
    )
    deleted = ones(2) + 0
    deleted.delete()
    assert pformat([deleted], short_arrays=False) == "[f32[2](deleted)]"


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
