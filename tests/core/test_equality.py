"""Equality, hash, order and repr of structs, and the functions of the standard library that look at values."""

import copy
import dataclasses
import enum
import functools
import sys
import typing
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from structkit import Struct, derived, field, static


class P(Struct):
    x: Any


class Pair(Struct):
    x: Any
    y: Any = None
    n: Any = static(default=0)


class Other(Struct):
    x: Any


class Sub(P):
    pass


class Skipping(Struct):
    x: Any
    note: Any = field(default="", compare=False)
    tag: Any = static(default="", compare=False)


class ByIdentity(Struct, eq=False):
    x: Any


class ByIdentityChild(ByIdentity):
    y: Any = 0


class ByValueChild(ByIdentity, eq=True):
    y: Any = 0


class Rounded(Struct):
    x: float

    def __eq__(self, other):
        return isinstance(other, Rounded | int | float) and round(self.x) == round(getattr(other, "x", other))


class RoundedChild(Rounded):
    y: int = 0


class Hashed(Struct):
    x: Any

    def __hash__(self):
        return 42


class Version(Struct, order=True):
    major: int
    minor: int = 0
    note: str = static(default="", compare=False)


class Mutable(Struct, frozen=False):
    x: Any


class Colour(enum.Enum):
    RED = 1


class Node(NamedTuple):
    x: Any
    y: Any


@jax.tree_util.register_pytree_node_class
class Ring:
    def __init__(self, x, size):
        self.x, self.size = x, size

    def tree_flatten(self):
        return (self.x,), self.size

    @classmethod
    def tree_unflatten(cls, size, children):
        return cls(*children, size)


class Raising:
    def __eq__(self, other):
        raise RuntimeError("no comparison")

    __hash__ = object.__hash__

    def __repr__(self):
        raise RuntimeError("no text")


EQUAL = [
    (jnp.ones(3), jnp.ones(3)),
    (jnp.ones(3), np.ones(3, np.float32)),
    (np.ones(3), np.ones(3)),
    (jnp.zeros((0, 2)), jnp.zeros((0, 2))),
    (jnp.ones((), jnp.bfloat16), jnp.ones((), jnp.bfloat16)),
    (np.float32(1), jnp.float32(1)),
    ([jnp.ones(3), {"a": jnp.ones(2)}], [jnp.ones(3), {"a": jnp.ones(2)}]),
    ((jnp.ones(3), None), (jnp.ones(3), None)),
    ({"b": 1, "a": jnp.ones(2)}, {"a": jnp.ones(2), "b": 1}),
    (Node(jnp.ones(3), 1), Node(jnp.ones(3), 1)),
    (P(jnp.ones(3)), P(jnp.ones(3))),
    (Ring(jnp.ones(3), 2), Ring(jnp.ones(3), 2)),
    (jax.ShapeDtypeStruct((3,), jnp.float32), jax.ShapeDtypeStruct((3,), jnp.float32)),
    (None, None),
    ((), ()),
    ("text", "text"),
    (jnp.float32, jnp.float32),
    (np.array([{"a"}, None], object), np.array([{"a"}, None], object)),
    (np.array(["a", "b"]), np.array(["a", "b"])),
]
UNEQUAL = [
    (jnp.ones(3), jnp.zeros(3)),
    (jnp.ones(3), jnp.ones(4)),
    (jnp.ones(3), jnp.ones((3, 1))),
    (jnp.ones(3), jnp.ones(1)),
    (jnp.ones(3), jnp.ones(())),
    (jnp.ones(3), jnp.ones(3, jnp.bfloat16)),
    (jnp.ones(3), jnp.ones(3, jnp.int32)),
    (jnp.zeros(0), jnp.zeros((0, 1))),
    (jnp.zeros(0), jnp.zeros(0, jnp.int32)),
    (np.ones(3), np.ones(3, np.float32)),
    (jnp.ones(3), [1.0, 1.0, 1.0]),
    (jnp.ones(3), None),
    (jnp.ones(3), "text"),
    (jnp.ones(3), P(jnp.ones(3))),
    (P(1), jnp.ones(3)),
    (P(1), np.ones(3)),
    (jnp.ones(3), object()),
    ([1, 2], (1, 2)),
    ([1, 2], [1, 2, 3]),
    ({"a": 1}, {"b": 1}),
    (Node(1, 2), (1, 2)),
    (P(1), Other(1)),
    (P(1), Sub(1)),
    (P(1), {"x": 1}),
    (Ring(1, 2), Ring(1, 3)),
    (None, 0),
    (None, ()),
    (0, ""),
    (0, False),
    (1, 1.0),
    (jnp.ones(2), jnp.array([1.0, np.nan])),
    (jax.ShapeDtypeStruct((3,), jnp.float32), jax.ShapeDtypeStruct((4,), jnp.float32)),
    (Raising(), Raising()),
]


@pytest.mark.parametrize("i", range(len(EQUAL)))
def test_equal_contents_are_equal_as_a_python_bool(i):
    a, b = EQUAL[i]
    for left, right in ((P(a), P(b)), (P(b), P(a)), (P([a]), P([b])), (P(a), P(a))):
        assert (left == right) is True
        assert (left != right) is False


@pytest.mark.parametrize("i", range(len(UNEQUAL)))
def test_different_contents_are_unequal_as_a_python_bool(i):
    a, b = UNEQUAL[i]
    for left, right in ((P(a), P(b)), (P(b), P(a)), (P([a]), P([b])), (P([b]), P([a]))):
        assert (left == right) is False
        assert (left != right) is True


def test_structs_differ_from_everything_else():
    for stranger in (1, None, "P(x=1)", (1,), {"x": 1}, Other(1), Sub(1), P, object(), jnp.ones(3)):
        assert (P(1) == stranger) is False, stranger
        assert (P(1) != stranger) is True, stranger
        assert (stranger == P(1)) is False, stranger


def test_statics_are_compared_with_their_types():
    assert Pair(1, n=1) == Pair(1, n=1)
    assert Pair(1, n=1) != Pair(1, n=2)
    for a, b in ((1, True), (1, 1.0), (0, False), (0.0, -0.0), ((1,), (True,)), ((1, (2,)), (1, (2.0,)))):
        assert (Pair(1, n=a) == Pair(1, n=b)) is False
        assert (Pair(1, n=a) != Pair(1, n=b)) is True


def test_nan_is_unequal_to_itself_in_every_kind_of_leaf():
    for nan in (float("nan"), np.float32("nan"), np.array([1, np.nan]), jnp.array([1, jnp.nan])):
        made = P(nan)
        assert (made == made) is False
        assert (made != made) is True
    assert P(-0.0) == P(0.0)
    assert P(jnp.float32(-0.0)) == P(jnp.float32(0.0))


class Wide(Struct):
    a: Any = 0
    b: Any = 0.5
    c: Any = True
    d: Any = "d"
    e: Any = None
    f: Any = 1j
    g: Any = b"g"
    n: Any = static(default=0)


@pytest.mark.parametrize("name", list("abcdefg"))
def test_one_field_decides_wherever_it_stands_among_numbers(name):
    wide, same = Wide(), Wide(b=float("0.5"), d="".join(["d"]), f=complex("1j"))
    assert (wide == same) is True and hash(wide) == hash(same)
    pairs = ((1, True), (1, 1.0), (1.0, 1 + 0j), (0, False), (0, None), ("", b""), (1, 2), (1, [1]), (0, P(0)))
    for one, other in pairs:
        a, b = wide.replace(**{name: one}), wide.replace(**{name: other})
        for left, right in ((a, b), (b, a), (P(a), P(b)), (P([a]), P([b]))):
            assert (left == right) is False
            assert (left != right) is True
        assert (a == wide.replace(**{name: one})) is True
    negative = wide.replace(**{name: -0.0})
    assert (negative == wide.replace(**{name: 0.0})) is True
    nan = float("nan")
    for value in (nan, complex(0, nan), np.float64(nan), [nan], P(nan)):
        made = wide.replace(**{name: value})
        assert (made == made) is False
        assert (made == made.replace(n=1)) is False


def test_an_unfinished_struct_is_compared_field_by_field_up_to_the_unset_one():
    class Hasty(Struct):
        x: Any
        y: Any = field(init=False)

        def __post_init__(self):
            seen.extend([self == other for other in finished])
            self.y = 0
            seen.extend([self == other for other in finished])

    finished, seen = [], []
    finished.append(Hasty(1))
    Hasty(2)
    assert seen == [False, False]
    with pytest.raises(AttributeError, match="is read before it is set"):
        Hasty(1)


def test_random_keys_are_compared_by_their_data():
    key, other = jax.random.key(0), jax.random.key(1)
    assert (P(key) == P(jax.random.key(0))) is True
    assert (P(key) == P(other)) is False
    assert (P(key) != P(other)) is True
    assert (P(jax.random.split(key)) == P(jax.random.split(key))) is True
    assert (P(key) == P(jax.random.key_data(key))) is False
    assert (P(key) == P(jax.random.key(0, impl="rbg"))) is False


def test_deleted_arrays_are_equal_to_themselves_alone_and_raise_nothing():
    gone, other = jnp.ones(3), jnp.ones(3)
    gone.delete()
    assert (P(gone) == P(gone)) is True
    assert (P(gone) == P(other)) is False
    assert (P(other) != P(gone)) is True


def test_donated_structs_compare_without_raising():
    before = P(jnp.ones(3))
    after = jax.jit(lambda p: P(p.x + 1), donate_argnums=0)(before)
    assert before.x.is_deleted()
    assert (before == after) is False and (before == before) is True


@pytest.mark.parametrize("operand", [P(jnp.ones(3)), P([jnp.ones(3), {"a": jnp.zeros(2)}]), Pair(P(jnp.ones(2)), 1)])
def test_inside_a_trace_equality_is_a_traced_boolean(operand):
    seen = []

    @jax.jit
    def compare(a, b):
        seen.extend([a == b, a != b])
        return a == b, a != b

    different = jax.tree.map(lambda leaf: leaf + 1, operand)
    assert tuple(map(bool, compare(operand, operand))) == (True, False)
    assert tuple(map(bool, compare(operand, different))) == (False, True)
    for traced in seen:
        assert isinstance(traced, jax.core.Tracer) and traced.shape == () and traced.dtype == bool


def test_inside_a_trace_a_known_answer_is_still_an_array_that_can_be_negated():
    pairs = [
        (Pair(jnp.ones(3), n=1), Pair(jnp.ones(3), n=2)),
        (Pair(jnp.ones(3)), Pair(jnp.ones(4))),
        (Pair(jnp.ones(3)), Pair(jnp.ones(3, jnp.int32))),
        (Pair(jnp.ones(3), 1), Pair(jnp.ones(3), "a")),
        (Pair(jnp.ones(3), []), Pair(jnp.ones(3), ())),
        (Pair([jnp.ones(3), jnp.ones(2)]), Pair([jnp.ones(3)])),
        (Pair(P(jnp.ones(3))), Pair(Other(jnp.ones(3)))),
    ]
    for a, b in pairs:
        if isinstance(b.y, str):
            compare = jax.jit(lambda x, b=b, a=a: (Pair(x, a.y) == Pair(x, b.y), Pair(x, a.y) != Pair(x, b.y)))
            same, different = compare(a.x)
        else:
            same, different = jax.jit(lambda a, b: (jnp.logical_or(a == b, False), ~(a == b)))(a, b)
        assert (bool(same), bool(different)) == (False, True)


def test_equality_traces_under_grad_vmap_and_scan():
    stacked = P(jnp.array([1.0, 2.0]))
    assert jax.vmap(lambda a: a == P(jnp.float32(1)))(stacked).tolist() == [True, False]
    assert jax.vmap(lambda a: a != P(jnp.float32(1)))(stacked).tolist() == [False, True]

    def step(carry, item):
        return carry, jnp.where(item == carry, 1, 0)

    assert jax.lax.scan(step, P(jnp.float32(2)), stacked)[1].tolist() == [0, 1]
    assert jax.grad(lambda a: jnp.where(a == P(jnp.float32(3)), a.x**2, 0.0))(P(jnp.float32(3))).x == 6


def test_one_traced_side_is_enough():
    outside = P(jnp.ones(3))
    assert bool(jax.jit(lambda a: a == outside)(P(jnp.ones(3))))
    assert bool(jax.jit(lambda a: outside != a)(P(jnp.zeros(3))))
    assert bool(jax.jit(lambda a: a == P(np.ones(3, np.float32)))(P(jnp.ones(3))))
    assert bool(jax.jit(lambda a: a == P(1.0))(P(1.0)))
    assert bool(jax.jit(lambda a: a != P(2))(P(1)))


def test_random_keys_are_compared_inside_a_trace():
    same = jax.jit(lambda a, b: (a == b, a != b))
    assert tuple(map(bool, same(P(jax.random.key(0)), P(jax.random.key(0))))) == (True, False)
    assert tuple(map(bool, same(P(jax.random.key(0)), P(jax.random.key(1))))) == (False, True)


def test_concrete_random_keys_are_equal_to_themselves_inside_a_trace():
    key = jax.random.key(0)
    assert bool(jax.jit(lambda x: (P(key) == P(key)) & (Pair(x, key) == Pair(x, key)))(1))


def test_inside_a_trace_the_answer_is_an_array_wherever_the_tracer_and_the_difference_stand():
    for where in (lambda x: Pair(1, x), lambda x: Pair(1, [x]), lambda x: Pair(1, P(x)), lambda x: P([Pair(1, x)])):
        compare = jax.jit(lambda x, where=where: ~(where(x) == jax.tree.map(lambda leaf: leaf + 1, where(x))))
        assert bool(compare(jnp.ones(3)))
        known = jax.jit(lambda x, where=where: ~(where(x) == where([x])))
        assert bool(known(jnp.ones(3)))


def test_empty_arrays_are_equal_inside_a_trace():
    assert bool(jax.jit(lambda a, b: a == b)(P(jnp.zeros((0, 2))), P(jnp.zeros((0, 2)))))


def test_fields_that_do_not_compare_are_left_out_of_equality_and_hash():
    assert (Skipping(1, "a", "b") == Skipping(1, "c", "d")) is True
    assert (Skipping(1, jnp.ones(3)) == Skipping(1, jnp.zeros(3))) is True
    assert (Skipping(1, "a") != Skipping(2, "a")) is True
    assert hash(Skipping(1, "a", "b")) == hash(Skipping(1, "c", "d"))
    assert hash(Skipping(1, [])) == hash(Skipping(1, jnp.ones(3)))
    assert P(Skipping(1, "a")) == P(Skipping(1, "b"))
    assert P([Skipping(1, "a")]) == P([Skipping(1, "b")])
    assert jax.tree.structure(Skipping(1, "", "a")) != jax.tree.structure(Skipping(1, "", "b"))


def test_an_equality_of_the_users_is_used_also_for_unequal_inside_trees_and_subclasses():
    assert Rounded(1.1) == Rounded(0.9)
    assert (Rounded(1.1) != Rounded(0.9)) is False
    assert Rounded(1.1) != Rounded(2.0)
    assert P(Rounded(1.1)) == P(Rounded(0.9))
    assert P([Rounded(1.1)]) == P([Rounded(0.9)])
    assert RoundedChild(1.1, 1) == RoundedChild(0.9, 2)
    assert (RoundedChild(1.1, 1) != RoundedChild(0.9, 2)) is False


def test_unequal_negates_an_equality_of_the_users_with_other_types():
    assert Rounded(1.1) == 1
    assert (Rounded(1.1) != 1) is False
    assert Rounded(1.1) == RoundedChild(0.9)
    assert (Rounded(1.1) != RoundedChild(0.9)) is False
    assert (1 != Rounded(1.1)) is False  # noqa: SIM300


def test_a_class_with_an_equality_of_its_own_is_still_hashable():
    assert isinstance(hash(Rounded(1.1)), int)
    assert hash(Hashed(jnp.ones(3))) == 42
    assert Hashed(jnp.ones(3)) == Hashed(jnp.ones(3))


def test_without_eq_objects_are_compared_and_hashed_by_identity():
    a = ByIdentity(jnp.ones(3))
    assert a == a and a != ByIdentity(a.x)
    assert hash(a) == object.__hash__(a)
    assert len({a, ByIdentity(a.x)}) == 2
    child = ByIdentityChild(1)
    assert child != ByIdentityChild(1) and hash(child) == object.__hash__(child)
    assert ByValueChild(1) == ByValueChild(1) and hash(ByValueChild(1)) == hash(ByValueChild(1))


def test_order_compares_the_fields_as_tuples_do():
    versions = [Version(2), Version(1, 5), Version(1, 2)]
    assert sorted(versions) == [Version(1, 2), Version(1, 5), Version(2)]
    assert Version(1) < Version(1, 1) <= Version(1, 1) < Version(2)
    assert Version(2) > Version(1, 9) >= Version(1, 9)
    assert Version(1, note="a") <= Version(1, note="b") <= Version(1, note="a")
    assert not Version(1) < Version(1)
    with pytest.raises(TypeError, match="'<' not supported between instances of 'Version' and 'P'"):
        Version(1) < P(1)
    with pytest.raises(TypeError, match="'<' not supported between instances of 'P' and 'P'"):
        P(1) < P(2)


def test_order_needs_equality():
    with pytest.raises(TypeError, match="order=True"):

        class Wrong(Struct, order=True, eq=False):
            x: int


def test_hash_covers_statics_and_data():
    assert hash(Pair(1, (2, 3), n="a")) == hash(Pair(1, (2, 3), n="a"))
    assert len({Pair(1), Pair(1), Pair(2), Pair(1, n=1), Pair(1, n=True), Pair(1, 0)}) == 5
    assert hash(Pair(P(1), P(2))) == hash(Pair(P(1), P(2)))
    assert hash(Pair(1, jax.nn.relu)) == hash(Pair(1, jax.nn.relu))


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (jnp.ones(3), "ArrayImpl"),
        (np.ones(3), "ndarray"),
        ([1], "list"),
        ({"a": 1}, "dict"),
        ((1, [2]), "tuple"),
        (P([1]), "P"),
    ],
)
def test_hash_of_an_unhashable_field_names_it(value, kind):
    with pytest.raises(TypeError, match=f"^unhashable field 'y' of Pair: {kind} has no hash; "):
        hash(Pair(1, value))


def test_hash_can_be_told_field_by_field():
    class Chosen(Struct):
        x: Any = field(hash=False)
        y: Any = field(default=0, hash=True, compare=False)
        z: Any = static(default=1, hash=False)

    assert hash(Chosen(jnp.ones(3))) == hash(Chosen([1], z=2))
    assert hash(Chosen(1, 2)) != hash(Chosen(1, 3))


class Callable(Struct):
    x: Any
    n: Any = static(default=0)

    def __call__(self):
        return self.x


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (jnp.ones(3), jnp.ones(3)),
        (jnp.ones(3), np.ones(3, np.float32)),
        (1, jnp.int32(1)),
        (np.float32(1), 1.0),
        (0.0, -0.0),
        (jnp.float32(0.0), jnp.float32(-0.0)),
        ([jnp.ones(3), {"a": 1}], [jnp.ones(3), {"a": 1}]),
        (jax.random.key(0), jax.random.key(0)),
        (Skipping(1, "a"), Skipping(1, "b")),
        (Skipping(1, "", "a"), Skipping(1, "", "b")),
        ([Skipping(1, "a")], [Skipping(1, "b")]),
        ([jnp.ones(3), 1], [jnp.ones(3), jnp.int32(1)]),
        ([np.float32(1)], [1.0]),
        (Ring(1, 2), Ring(1, 2)),
        (jax.nn.relu, jax.nn.relu),
    ],
)
def test_equal_structs_that_can_be_called_have_equal_hashes(a, b):
    assert Callable(a) == Callable(b)
    assert hash(Callable(a)) == hash(Callable(b))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (1, np.int32(1)),
        (np.float32(1), 1.0),
        (0.0, -0.0),
        ((1, (2,)), (1, (2,))),
        (Skipping(1, "a"), Skipping(1, "b")),
        (Ring(1, 2), Ring(1, 2)),
        (np.bool_(True), True),
        (Node(1, None), Node(1, None)),
    ],
)
def test_equal_structs_with_hashable_data_have_equal_hashes(a, b):
    assert P(a) == P(b)
    assert hash(P(a)) == hash(P(b))


def test_mutable_structs_compare_by_value_and_have_no_hash():
    assert Mutable(1) == Mutable(1)
    with pytest.raises(TypeError, match="unhashable type: 'Mutable'"):
        hash(Mutable(1))


REPRS = [
    (P(1), "P(x=1)"),
    (P("a'b\n"), 'P(x="a\'b\\n")'),
    (P(None), "P(x=None)"),
    (P(1.5), "P(x=1.5)"),
    (P((1,)), "P(x=(1,))"),
    (P([1, (2, 3), {"a": {4}}]), "P(x=[1, (2, 3), {'a': {4}}])"),
    (P(Pair(1, 2, 3)), "P(x=Pair(x=1, y=2, n=3))"),
    (P(jnp.ones((784, 128))), "P(x=f32[784,128])"),
    (P(jnp.int32(1)), "P(x=i32[])"),
    (P(jnp.ones(2, jnp.bfloat16)), "P(x=bf16[2])"),
    (P(jnp.ones(2, bool)), "P(x=bool[2])"),
    (P(jnp.ones(2, jnp.uint8)), "P(x=u8[2])"),
    (P(np.ones((2, 3))), "P(x=f64[2,3](numpy))"),
    (P(jax.random.key(0)), "P(x=key<fry>[])"),
    (P(jax.nn.relu), "P(x=relu)"),
    (P(jnp.sin), "P(x=sin)"),
    (P(np.sin), "P(x=sin)"),
    (P(len), "P(x=len)"),
    (P(Pair), "P(x=Pair)"),
    (P(int), "P(x=int)"),
    (P(functools.partial(max, 1)), "P(x=partial(max, 1))"),
    (P(Colour.RED), "P(x=<Colour.RED: 1>)"),
    (P(Node(1, 2)), "P(x=Node(x=1, y=2))"),
    (P(...), "P(x=...)"),
    (Skipping(1), "Skipping(x=1, note='', tag='')"),
    (Version(1), "Version(major=1, minor=0, note='')"),
]


@pytest.mark.parametrize("i", range(len(REPRS)))
def test_repr_is_the_name_with_short_values(i):
    made, expected = REPRS[i]
    assert repr(made) == expected
    assert str(made) == expected
    assert f"{made}" == expected


def test_repr_of_a_struct_without_fields_is_its_name_and_brackets():
    class Empty(Struct):
        pass

    assert repr(Empty()) == "Empty()"


def test_a_long_repr_is_wrapped_with_indentation():
    class Layer(Struct):
        weight: Any
        bias: Any
        activation: Any = static(default=jax.nn.relu)

    layer = Layer(jnp.ones((784, 128)), jnp.ones(128))
    assert repr(layer) == "Layer(weight=f32[784,128], bias=f32[128], activation=relu)"
    assert repr(Pair([layer, layer], {"name": "a" * 30})) == (
        "Pair(\n"
        "  x=[\n"
        "    Layer(weight=f32[784,128], bias=f32[128], activation=relu),\n"
        "    Layer(weight=f32[784,128], bias=f32[128], activation=relu)\n"
        "  ],\n"
        "  y={'name': 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'},\n"
        "  n=0\n"
        ")"
    )


def test_a_repr_of_exactly_the_line_length_stays_on_one_line():
    assert repr(P("a" * 81)) == f"P(x='{'a' * 81}')"
    assert len(repr(P("a" * 81))) == 88
    assert repr(P("a" * 82)) == f"P(\n  x='{'a' * 82}'\n)"


def test_repr_ends_at_a_cycle():
    layers: list[Any] = []
    made = P(layers)
    layers.append(made)
    assert repr(made) == "P(x=[<recursive>])"
    holder: dict[str, Any] = {}
    inner = Pair(holder, holder)
    holder["up"] = inner
    assert repr(inner) == "Pair(x={'up': <recursive>}, y={'up': <recursive>}, n=0)"
    changing = Mutable(None)
    changing.x = changing
    assert repr(changing) == "Mutable(x=<recursive>)"


def test_repr_shows_an_object_that_is_held_twice_twice():
    shared = P(1)
    assert repr(Pair(shared, shared)) == "Pair(x=P(x=1), y=P(x=1), n=0)"
    assert repr(P([shared, shared])) == "P(x=[P(x=1), P(x=1)])"


def test_repr_shows_tracers_as_arrays():
    seen = []

    @jax.jit
    def show(p):
        seen.append(repr(p))
        return p

    show(Pair(jnp.ones(3), [jnp.ones((2, 2), jnp.int32)]))
    jax.vmap(show)(Pair(jnp.ones((5, 3))))
    jax.grad(lambda p: show(p).x)(Pair(1.0))
    assert seen == [
        "Pair(x=f32[3], y=[i32[2,2]], n=0)",
        "Pair(x=f32[3], y=None, n=0)",
        "Pair(x=f32[], y=None, n=0)",
    ]


def test_repr_says_that_an_array_is_deleted():
    before = P(jnp.ones(3))
    jax.jit(lambda p: P(p.x + 1), donate_argnums=0)(before)
    assert repr(before) == "P(x=f32[3](deleted))"
    key = jax.random.key(0)
    key.delete() if hasattr(key, "delete") else None
    assert repr(P(key)).startswith("P(x=key<fry>[]")


def test_repr_shows_abstract_values_and_placeholders():
    made = jax.eval_shape(lambda: P(jnp.ones(3)))
    assert repr(made) == f"P(x={made.x!r})"
    partition = jax.sharding.PartitionSpec("x")
    assert repr(jax.tree.structure(P(1)).unflatten([partition])) == f"P(x={partition!r})"


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


def test_repr_shows_what_a_failed_constructor_left():
    left = []

    class Failing(Struct):
        x: Any
        n: Any = static()

        def __init__(self):
            left.append(self)
            self.x = 1
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        Failing()
    assert repr(left[0]) == "Failing(x=1, n=<unset>)"
    with pytest.raises(dataclasses.FrozenInstanceError):
        left[0].x = 2


def test_repr_leaves_out_fields_that_say_so():
    class Secret(Struct):
        x: Any
        key: Any = field(default=0, repr=False)
        tag: Any = static(default=0, repr=False)

    assert repr(Secret(1)) == "Secret(x=1)"


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


def test_a_repr_of_the_users_is_used_at_every_depth():
    assert repr(Loud(1)) == "<LOUD 1>"
    assert repr(P(Loud(1))) == "P(x=<LOUD 1>)"
    assert repr(P([Loud(1), {"a": Loud(2)}])) == "P(x=[<LOUD 1>, {'a': <LOUD 2>}])"
    assert repr(P(Lines(1))) == "P(x=first\n    second 1)"


def test_a_repr_of_the_users_that_raises_does_not_hide_the_rest():
    with pytest.raises(ValueError, match="no"):
        repr(Broken(1))
    assert repr(Pair(Broken(1), 2)) == "Pair(x=<Broken whose repr raises ValueError>, y=2, n=0)"
    assert repr(Pair(Raising(), 2)) == "Pair(x=<Raising whose repr raises RuntimeError>, y=2, n=0)"
    assert repr(Pair([1, Broken(1)], 2)).endswith("y=2, n=0)")


def test_repr_false_leaves_the_one_of_object():
    assert repr(Silent(1)).startswith("<") and "Silent object at" in repr(Silent(1))
    assert "Silent object at" in repr(P(Silent(1)))


@dataclasses.dataclass
class Plain:
    a: int = 1
    b: int = 2


def test_a_dataclass_in_a_field_shows_all_of_its_fields():
    assert repr(P(Plain())) == "P(x=Plain(a=1, b=2))"
    assert repr(P(Plain(b=3))) == "P(x=Plain(a=1, b=3))"


def test_a_parametrized_class_prints_as_the_class():
    T = typing.TypeVar("T")

    class Boxed(Struct, typing.Generic[T]):
        x: T

    assert repr(Boxed[int](1)) == "Boxed(x=1)"


def test_repr_never_fails_on_deep_nesting():
    made: Any = 1
    for _ in range(2000):
        made = P(made)
    assert repr(made).startswith("P(")


def test_the_functions_of_dataclasses_take_structs():
    made = Pair(P(1), [P(2)], n="a")
    assert dataclasses.is_dataclass(made) and dataclasses.is_dataclass(Pair)
    assert [f.name for f in dataclasses.fields(made)] == ["x", "y", "n"]
    assert dataclasses.asdict(made) == {"x": {"x": 1}, "y": [{"x": 2}], "n": "a"}
    assert dataclasses.astuple(made) == ((1,), [(2,)], "a")
    assert dataclasses.replace(made, n="b") == Pair(P(1), [P(2)], n="b")
    with pytest.raises(TypeError):
        dataclasses.replace(made, unknown=1)
    assert dataclasses.asdict(P(jnp.ones(3)))["x"].shape == (3,)


@pytest.mark.skipif(sys.version_info < (3, 13), reason="copy.replace is new in Python 3.13")
def test_copy_replace_takes_structs():
    assert copy.replace(Pair(1), y=2) == Pair(1, 2)
    with pytest.raises(TypeError, match="'unknown'"):
        copy.replace(Pair(1), unknown=2)


def test_match_statements_take_structs_apart():
    def describe(value):
        match value:
            case Pair(P(x), None):
                return "nested", x
            case Pair(x, y, n="named"):
                return "named", x, y
            case Pair(x=x, y=y):
                return x, y
            case Sub(x):
                return "sub", x
            case P(x):
                return x
        return None

    assert describe(Pair(P(1))) == ("nested", 1)
    assert describe(Pair(1, 2, "named")) == ("named", 1, 2)
    assert describe(Pair(1, 2)) == (1, 2)
    assert describe(Sub(3)) == ("sub", 3)
    assert describe(P(4)) == 4
    assert describe(Other(5)) is None
    assert Version.__match_args__ == ("major", "minor", "note")


def test_match_args_can_be_left_out_or_written_by_hand():
    class Without(Struct, match_args=False):
        x: int

    class ByHand(Struct):
        x: int
        y: int
        __match_args__ = ("y",)

    assert not hasattr(Without, "__match_args__")
    match ByHand(1, 2):
        case ByHand(found):
            assert found == 2


def test_vars_is_a_new_dict_of_the_fields_each_time():
    made = Pair(1, 2)
    assert vars(made) == {"x": 1, "y": 2, "n": 0} == made.__dict__
    assert vars(made) is not vars(made)
    assert dict(vars(made)) | {"x": 5} == {"x": 5, "y": 2, "n": 0}
    assert made == Pair(1, 2)
    assert Pair(**made.__dict__) == made


def test_a_computed_cached_property_changes_neither_equality_nor_hash_nor_copies():
    class Square(Struct):
        side: int

        @functools.cached_property
        def area(self):
            return self.side**2

    a, b = Square(3), Square(3)
    assert a.area == 9 and a.area is a.area
    assert a == b and hash(a) == hash(b) and repr(a) == repr(b) == "Square(side=3)"
    assert vars(a) == {"side": 3}
    assert jax.tree.structure(a) == jax.tree.structure(b)
    assert a.replace(side=4).area == 16
    assert copy.copy(a).area == 9
