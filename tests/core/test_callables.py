"""Structs with `__call__` are functions to JAX: as good as closures, and no two that differ share a program."""

import collections
import itertools
import types
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from structkit import Struct, field
from tests.models import (
    Angle,
    Coordinates,
    Decorated,
    Function,
    Holder,
    Level,
    Point,
    Ring,
    Skipping,
    Standard,
    counting_jit,
)


def scan(function):
    return lambda y: jax.lax.scan(lambda carry, _: (carry, function(carry)), y, None, length=2)[1][0]


INSIDE = [
    jax.checkpoint,
    scan,
    lambda function: lambda y: jax.lax.cond(jnp.sum(y) > 0, function, function, y),
    lambda function: lambda y: jax.vmap(function)(y[None])[0],
    lambda function: scan(jax.jit(function)),
]


def divide(x, y):
    return y / x


def full(x, y):
    return jnp.full((), x.x if hasattr(x, "x") else next(iter(x)), None) + 0 * y.astype(bool)


def digits(x, y):
    for value in x.values():
        y = 10 * y + value
    return y


def shape(x, y):
    return y * len(x) + isinstance(x, list)


one = jnp.ones((), jnp.float32)
weak = jax.lax.full((), 2.0) * 1
zeros = np.zeros(2, np.float32)

# Each function with values between which it computes different things.
DIFFERENT = {
    "signs of zero": (divide, 0.0, -0.0),
    "signs of complex zeros": (lambda x, y: 1 / jnp.real(x) + y, complex(0.0, 0), complex(-0.0, 0)),
    "signs in arrays": (divide, jnp.asarray(zeros), -jnp.asarray(zeros), zeros + 1),
    "signs in numpy": (divide, zeros, -zeros, np.float32(0.0), np.float32(-0.0)),
    "signs of numbers of a subclass": (divide, Angle(0.0), Angle(-0.0), 0.0),
    "types of numbers": (lambda x, y: y.astype(bool) * x, 1, True, 1.0, 1j, Level.TWO, np.float16(1), np.int8(1)),
    "dtypes": (lambda x, y: y * x, *(jnp.ones((), dtype) for dtype in (jnp.float32, jnp.float16, jnp.int32))),
    "weak types": (lambda x, y: y.astype(jnp.bfloat16) * x, weak, jnp.array(2.0, jnp.float32), 2.0, np.float32(2)),
    "shapes": (lambda x, y: y * x, jnp.ones(1), jnp.ones((1, 1)), jnp.ones(2)),
    "lists of them": (lambda x, y: divide(x[0], y), [0.0], [-0.0], (0.0,), (-0.0,)),
    "kinds of containers": (shape, [1, 2], (1, 2), (1, 2, 3), Coordinates(1, 2)),
    "orders of keys": (digits, {"a": 1, "b": 2}, {"b": 2, "a": 1}),
    "orders of ordered keys": (digits, collections.OrderedDict(a=1, b=2), collections.OrderedDict(b=2, a=1)),
    "types of keys": (full, {1: 0}, {True: 0}, {1.0: 0}, collections.defaultdict(int, {1: 0})),
    "keys that do not sort": (digits, {1: 1, "a": 2}, {"a": 2, 1: 1}, {1: 1, "a": 3}),
    "frozen dataclasses": (full, Standard(1), Standard(True), Standard(1.0)),
    "unhashable ones": (lambda x, y: y * x.x[0], Standard([1]), Standard([2])),
    "sets": (full, {1}, {True}, {1.0}, frozenset({1}), frozenset({True})),
    "nodes of the drop-in": (full, Decorated(1), Decorated(True), Decorated(1.0)),
    "statics of the drop-in": (lambda x, y: full([x.size], y), Decorated(0, 1), Decorated(0, True), Decorated(0, 1.0)),
    "other nodes": (lambda x, y: divide(x.x, y), Ring(0.0, 1), Ring(-0.0, 1)),
    "aux of other nodes": (lambda x, y: full([x.size], y), Ring(0, 1), Ring(0, True)),
    "inner structs": (lambda x, y: divide(x.x, y), Point(0.0), Point(-0.0), Point(zeros), Point(-zeros)),
    "fields that do not compare": (lambda x, y: y * x.note, Skipping(1, 2.0), Skipping(1, 3.0), Skipping(1, one)),
    "statics that do not compare": (lambda x, y: y * x.tag, Skipping(1, 0, 2.0), Skipping(1, 0, 3.0)),
}


@pytest.fixture
def standard_promotion():
    """The subject are dtypes that follow from the operands, which strict promotion forbids."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.mark.usefixtures("standard_promotion")
@pytest.mark.parametrize("case", DIFFERENT.values(), ids=DIFFERENT.keys())
def test_every_callable_computes_what_is_its_own_outside_and_inside_a_trace(case):
    compute, *values = case
    # All of them live at once: JAX looks for a program of an equal function.
    kept = [Function(value, compute) for value in values]
    inside = jax.jit(lambda y: [[transform(function)(y) for transform in INSIDE] for function in kept])(one)
    for function, results in zip(kept, inside):
        expected = compute(function.x, one)
        for made in (jax.jit(function)(one), *results):
            np.testing.assert_array_equal(made, expected)
            np.testing.assert_array_equal(np.signbit(made.real), np.signbit(expected.real))
            assert (made.dtype, made.shape) == (expected.dtype, expected.shape)
    for a, b in itertools.permutations(kept, 2):
        assert (a == b) is False
        assert (a != b) is True


def test_a_field_counts_that_neither_compares_nor_hashes():
    class Hidden(Function):
        x: Any = field(compare=False, hash=False)

    kept = [Hidden(x) for x in (2.0, 3.0, 2 * one, 3 * one)]
    for transform in (jax.jit, scan):
        assert [transform(function)(one) for function in kept] == [2, 3, 2, 3]


NUMBERS = {
    "numbers": lambda: (1, 2.5, -0.0, True, 1j, "text", None),
    "containers": lambda: {"a": [1, (2.0,)], 3: Coordinates(1, {"b": ()})},
    "structs": lambda: Point(Skipping(1.0, 2, "tag")),
    "nodes": lambda: (Ring([1.0], 3), Decorated(1.0, "size")),
    "opaque values": lambda: (Standard((1, 2.0)), frozenset({1}), len, Level.ONE, jnp.float32),
    "callables": lambda: Function(Function(2.0)),
}
ARRAYS = {
    "arrays": lambda: [jnp.arange(3.0), np.arange(3), jax.random.key(0), np.float32(1)],
    "weak arrays": lambda: jnp.asarray(2.0),
    "arrays in structs": lambda: Point(Skipping(jnp.ones(2), jnp.zeros(1), "tag")),
    "arrays in nodes": lambda: Ring(Decorated(jnp.ones(2)), 3),
}


@pytest.mark.parametrize("make", [*NUMBERS.values(), *ARRAYS.values()], ids=[*NUMBERS, *ARRAYS])
def test_callables_of_equal_content_are_equal_and_those_without_arrays_share_a_program(make):
    traced = []

    def compute(x, y):
        traced.append(x)
        return y

    a, b = Function(make(), compute), Function(make(), compute)
    assert (a == b) is (b == a) is (a == a) is True
    assert (a != b) is (b != a) is False
    if make in NUMBERS.values():
        assert hash(a) == hash(b)
        jax.jit(a)(one), jax.jit(b)(one)
        assert len(traced) == 1
    # As a field of another struct, by content.
    assert Point(a) == Point(b)


def test_an_array_of_numpy_may_change_between_two_callables_that_hold_it():
    held, kept = np.ones(2, np.float32), []
    for expected in (1, 2, 3):
        kept.append(Function(held))
        assert kept[-1] == kept[-1]
        assert jax.jit(kept[-1])(one)[0] == jax.jit(kept[-1])(one)[1] == expected
        assert jax.lax.cond(True, kept[-1], kept[-1], one)[0] == expected
        held += 1


def test_a_call_that_is_put_in_place_later_counts_also_in_children():
    class Late(Struct):
        x: Any

    class Child(Late):
        pass

    class Hooked:
        def __init_subclass__(cls):
            cls.__call__ = cls.forward

    class ByHook(Hooked, Struct):
        x: Any

        def forward(self, y):
            return y / self.x

    Late.__call__ = ByHook.forward
    for cls in (Late, Child, ByHook):
        one, other = cls(0.0), cls(-0.0)
        assert jax.jit(one)(1.0) == -jax.jit(other)(1.0) == jnp.inf
        assert jax.jit(cls(jnp.ones(2)))(3.0).tolist() == [3, 3]


def test_a_program_has_the_name_of_the_class_and_a_method_is_a_function_too():
    assert jax.jit(Function(1.0)).lower(1.0).as_text().startswith("module @jit_Function ")
    assert Function(1).__name__ == "Function" and not hasattr(Point(1), "__name__")
    assert jax.grad(lambda x: jax.jit(Function(x).__call__)(one))(2.0) == 1


def test_the_hash_looks_at_no_array():
    class Unlooked(np.ndarray):
        def tobytes(self, *args):
            raise AssertionError("the contents are on the host only for ==")

    assert isinstance(hash(Function([zeros.view(Unlooked), jnp.ones(3)])), int)
    assert hash(Function(zeros)) == hash(Function(zeros))


def test_a_stack_of_callables_runs_inside_one_trace():
    def stacked(a, b, x):
        assert (a == b) is False and (a == a) is True
        assert isinstance(hash(a), int)
        return jax.jit(b)(jax.checkpoint(a)(jax.jit(a)(x)))

    blocks = [Function(k * one) for k in (2, 3)]
    assert jax.jit(stacked)(*blocks, one) == 12
    assert jax.jit(stacked)(blocks[0], blocks[0].replace(x=3 * one), one) == 12
    assert [gradient.x for gradient in jax.grad(stacked, (0, 1))(*blocks, one)] == [12, 4]

    def loop(blocks, x):
        for block in blocks:
            x = jax.checkpoint(block)(x)
        return jax.lax.scan(lambda carry, _: (jax.lax.cond(carry > 0, *blocks, carry), None), x, None, length=2)[0]

    assert jax.jit(loop)(blocks, one) == 24
    assert [gradient.x for gradient in jax.grad(loop)(blocks, one)] == [36, 8]
    assert jax.vmap(lambda x: jax.jit(Function(x))(one))(jnp.arange(3.0)).tolist() == [0, 1, 2]


def test_a_callable_of_numbers_in_a_static_field_does_not_retrace():
    run, traces = counting_jit(lambda holder: holder.n(holder.x))
    # Where leaks are looked for, JAX traces every call.
    with jax.check_tracer_leaks(False):
        for x, programs in ((2.0, 1), (2.0, 1), (2, 2), (2.0, 2), (0.0, 3), (-0.0, 4), (0.0, 4)):
            run(Holder(Function(x)))
            assert len(traces) == programs
    assert 1 / run(Holder(Function(-0.0))) == -jnp.inf


# What a class says


def test_an_equality_of_the_users_decides_and_a_hash_of_the_users_is_kept():
    class Rounded(Function):
        def __eq__(self, other):
            return type(self) is type(other) and np.round(self.x).tolist() == np.round(other.x).tolist()

    class RoundedChild(Rounded):
        y: Any = 1

    class Hashed(Function):
        def __hash__(self):
            return 42

    class HashedChild(Hashed):
        y: Any = 1

    OwnHash = type(Struct)("OwnHash", (Point,), {"__hash__": lambda self: 42})
    for cls, scale in itertools.product((Rounded, RoundedChild), (1, jnp.ones(3))):
        high, low = cls(1.1 * scale), cls(0.9 * scale)
        assert high == low and hash(high) == hash(low)
        assert Function(high) == Function(low) and hash(Function(high)) == hash(Function(low))
    assert Function(OwnHash(1.0)) == Function(OwnHash(1.0)) and Function(OwnHash(0.0)) != Function(OwnHash(-0.0))
    for cls in (Hashed, HashedChild):
        assert hash(cls(zeros)) == 42
        assert cls(0.0) != cls(-0.0)
        assert jax.jit(cls(2 * one))(one) == 2


@pytest.mark.parametrize("base", [Struct, Function])
def test_a_hash_may_call_the_one_that_it_overrides(base):
    class Calling(base):
        x: Any

        def __call__(self, y):
            return y * self.x

        def __hash__(self):
            return super().__hash__()

    assert jax.jit(Calling(jnp.ones(3)))(one).tolist() == [1, 1, 1]
    assert hash(Calling(1.0)) == hash(Calling(1.0))


def test_class_options_mean_for_callables_what_they_mean_for_others():
    def made(*bases, **options):
        body = {"__annotations__": {"x": Any}, "__call__": Function.__call__, "compute": lambda self, x, y: y * x}
        return types.new_class("Made", bases or (Struct,), options, lambda namespace: namespace.update(body))

    ByIdentity, Ordered, Mutable = made(eq=False), made(order=True), made(frozen=False)
    ByValue = made(ByIdentity, eq=True)
    assert ByIdentity(1) != ByIdentity(1)
    assert ByValue(1) == ByValue(1) and ByValue(0.0) != ByValue(-0.0)
    assert Ordered(1) < Ordered(2) and Ordered(1) == Ordered(1)
    assert Mutable(zeros) == Mutable(zeros + 0)
    with pytest.raises(TypeError, match="unhashable type: 'Made'"):
        jax.jit(Mutable(1))(one)
