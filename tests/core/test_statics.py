"""What a static field may hold, which values share a trace, and `freeze`."""

import collections
import copy
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import itertools
import math
import operator
import pickle
import re
import types
import typing
from typing import Any, NamedTuple

import cloudpickle
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec, SingleDeviceSharding

from structkit import FrozenArray, FrozenDict, Static, Struct, construct, errors, field, freeze, replace, static


class Holder(Struct):
    n: Static[Any]
    x: Any = 1.0


class Named(str):
    pass


class Color(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    ONE = 1
    TWO = 2


class Mode(enum.StrEnum):
    ONE = "one"


class Flag(enum.Flag):
    A = 1
    B = 2


class Pair(NamedTuple):
    a: Any
    b: Any


@dataclasses.dataclass(frozen=True)
class Config:
    a: Any
    b: Any = None


class Inner(Struct):
    a: Any
    n: Static[Any] = 1


class Callable:
    def method(self):
        return 1

    def __call__(self):
        return 2


def function(x):
    return x


def traces(*objects):
    """How many programs a jitted function of these objects needs."""
    traced = []

    @jax.jit
    def run(obj):
        traced.append(obj)
        return obj.x

    for obj in objects:
        run(obj)
    return len(traced)


instance = Callable()
partial = functools.partial(function, 1)
jitted = jax.jit(function)
mesh = Mesh(np.array(jax.devices()[:1]), ("x",))

GOOD = {
    "None": None,
    "int": 3,
    "large int": 10**30,
    "bool": True,
    "float": 1.5,
    "infinity": math.inf,
    "negative zero": -0.0,
    "complex": 1 + 2j,
    "str": "text",
    "bytes": b"bytes",
    "ellipsis": ...,
    "range": range(3),
    "nested tuple": (1, (2.0, (True, "x"))),
    "empty tuple": (),
    "frozenset": frozenset({1, "a"}),
    "named tuple": Pair(1, (2,)),
    "str subclass": Named("text"),
    "enum": Color.RED,
    "int enum": Level.ONE,
    "str enum": Mode.ONE,
    "flag": Flag.A | Flag.B,
    "class": int,
    "enum class": Color,
    "struct class": Inner,
    "generic alias": list[int],
    "union": int | None,
    "annotation": typing.Optional[str],
    "module": math,
    "function": function,
    "lambda": lambda x: x,
    "builtin": len,
    "operator": operator.add,
    "partial": partial,
    "bound method": instance.method,
    "class method": dict.fromkeys,
    "method of a value": "a".join,
    "slot wrapper": int.__add__,
    "ufunc": np.add,
    "relu": jax.nn.relu,
    "jnp function": jnp.add,
    "jitted": jitted,
    "callable object": instance,
    "numpy dtype": np.dtype("float32"),
    "jnp dtype": jnp.float32,
    "bfloat16": jnp.bfloat16,
    "numpy scalar type": np.float32,
    "numpy float": np.float64(1.5),
    "numpy int": np.int32(3),
    "numpy bool": np.bool_(True),
    "numpy str": np.str_("a"),
    "datetime64": np.datetime64("2020-01-01"),
    "decimal": decimal.Decimal("1.5"),
    "fraction": fractions.Fraction(1, 2),
    "date": datetime.date(2020, 1, 1),
    "pattern": re.compile("a+"),
    "frozen dataclass": Config(1, (2,)),
    "struct": Inner(1),
    "struct in tuples": (Inner(1), (Inner((2, 3)),)),
    "struct of arrays as defaults": Inner(None, n=(1, 2)),
    "partition spec": PartitionSpec("x", None),
    "mesh": mesh,
    "named sharding": NamedSharding(mesh, PartitionSpec("x")),
    "single device": SingleDeviceSharding(jax.devices()[0]),
    "device": jax.devices()[0],
    "tree structure": jax.tree.structure({"a": [1, 2]}),
    "shape dtype struct": jax.ShapeDtypeStruct((2, 3), jnp.float32),
    "frozen dict": freeze({"a": [1, {2}]}),
    "frozen array": freeze(np.ones(3)),
    "frozen NaN": freeze(np.array([math.nan])),
    "object": object(),
    "type variable": typing.TypeVar("T"),
}


@pytest.mark.parametrize("value", GOOD.values(), ids=GOOD.keys())
def test_a_hashable_value_is_kept_as_it_is(value):
    holder = Holder(value)
    assert holder.n is value
    assert jax.tree.leaves(holder) == [1.0]
    mapped = jax.tree.map(lambda leaf: leaf, holder)
    assert mapped.n is value
    assert mapped == holder == Holder(value)
    assert hash(mapped) == hash(holder)
    assert jax.tree.structure(holder) == jax.tree.structure(Holder(value))
    assert holder.replace(x=2.0).n is value
    assert replace(Holder(0), n=value) == holder
    assert construct(Holder, n=value) == holder
    assert copy.deepcopy(holder) == holder
    assert repr(holder)
    assert vars(holder)["n"] is value


@pytest.mark.parametrize("value", GOOD.values(), ids=GOOD.keys())
def test_equal_statics_are_traced_once(value):
    assert traces(Holder(value), Holder(value), jax.tree.map(lambda leaf: leaf, Holder(value))) == 1


EQUAL_COPIES = [
    lambda: 10**30,
    (lambda: "te" + "xt".lower()),
    (lambda: float("1.5")),
    (lambda: -float("0.0")),
    (lambda: (1, (True, 1.0, [].count(1)), "a".upper())),
    (lambda: frozenset([1, 2.0, (True,)])),
    (lambda: Pair(1, (True,))),
    (lambda: Named("x")),
    (lambda: Config(1, (2,))),
    (lambda: Inner(1, n=(1, 2))),
    (lambda: (Inner(2.0), Config("a"))),
    (lambda: np.float32(1.5)),
    (lambda: np.dtype("float32")),
    (lambda: Callable().__class__),
    (lambda: instance.method),
    (lambda: PartitionSpec("x", None)),
    (lambda: NamedSharding(mesh, PartitionSpec("x"))),
    (lambda: jax.ShapeDtypeStruct((2,), jnp.float32)),
    (lambda: freeze({"a": [1, {2}], "b": np.arange(3)})),
    (lambda: freeze(np.array([math.nan, -0.0]))),
    (lambda: list[int]),
    (lambda: decimal.Decimal("1.5")),
    (lambda: datetime.date(2020, 1, 1)),
    (lambda: range(int("3"))),
    (lambda: 1 + complex("2j")),
]


@pytest.mark.parametrize("make", EQUAL_COPIES, ids=map(str, range(len(EQUAL_COPIES))))
def test_equal_values_made_anew_share_a_trace_and_a_structure(make):
    assert Holder(make()) == Holder(make())
    assert hash(Holder(make())) == hash(Holder(make()))
    assert jax.tree.structure(Holder(make())) == jax.tree.structure(Holder(make()))
    assert hash(jax.tree.structure(Holder(make()))) == hash(jax.tree.structure(Holder(make())))
    assert traces(Holder(make()), Holder(make())) == 1


LOOKALIKES = [
    (1, True, 1.0, 1 + 0j, Level.ONE, np.int32(1), np.int64(1), np.float32(1), np.bool_(True), np.float64(1)),
    (0, False, 0.0, -0.0, 0j, complex(0.0, -0.0), complex(-0.0, 0.0)),
    (decimal.Decimal(1), fractions.Fraction(1), 1),
    ("one", Mode.ONE, Named("one"), np.str_("one")),
    (np.float64(0.0), np.float64(-0.0), 0.0, -0.0),
    (np.float32(0.0), np.float32(-0.0)),
    (np.complex64(0.0), np.complex64(complex(0.0, -0.0))),
    ((1,), (True,), (1.0,)),
    ((1, 2), Pair(1, 2), Pair(1, 2.0), Pair(True, 2)),
    ((), freeze({}), frozenset()),
    ((0.0,), (-0.0,), (0,)),
    (((1,),), ((True,),), ((1.0,),), (((1,),),)),
    (("one",), (Mode.ONE,), (Named("one"),)),
    (frozenset({1}), frozenset({True}), frozenset({1.0})),
    (frozenset({(1,)}), frozenset({(True,)})),
    (np.dtype("float32"), np.float32, jnp.float32, "float32"),
    (jnp.float32, jnp.int32, jnp.bfloat16, jnp.float16),
    (freeze({"a": 1}), freeze({"a": True}), freeze({"a": 1.0}), freeze({"b": 1})),
    (freeze({1: "a"}), freeze({True: "a"}), freeze({1.0: "a"})),
    (freeze({"a": [1]}), freeze({"a": [True]}), freeze({"a": {1}})),
    (freeze({"a": 0.0}), freeze({"a": -0.0})),
    (
        freeze(np.array([1])),
        freeze(np.array([1.0])),
        freeze(np.array([True])),
        freeze(np.array(1)),
        freeze(np.array([[1]])),
    ),
    (freeze(np.array([0.0])), freeze(np.array([-0.0]))),
    (freeze(np.array([1], "<i4")), freeze(np.array([1], ">i4"))),
    (Inner(1), Inner(True), Inner(1.0), Inner(1, n=True), Inner(1, n=1.0)),
    (Inner((1,)), Inner((True,))),
    (Inner(1, n=(0.0,)), Inner(1, n=(-0.0,))),
    (PartitionSpec("x"), ("x",), PartitionSpec(("x",), None)),
    (Color.RED, Level.ONE),
    (Flag.A, 1),
    (int, "int"),
    (None, 0, False, ()),
    (range(1), range(2)),
    (b"a", "a"),
    (list[int], list[bool]),
    (typing.Literal[1], typing.Literal[True]),
    (function, functools.partial(function)),
    (Callable().method, Callable().method),
]


@pytest.mark.parametrize("values", LOOKALIKES, ids=map(str, range(len(LOOKALIKES))))
def test_values_that_only_look_alike_never_share_a_trace(values):
    holders = [Holder(value) for value in values]
    for a, b in itertools.combinations(holders, 2):
        assert jax.tree.structure(a) != jax.tree.structure(b), (a.n, b.n)
        assert a != b, (a.n, b.n)
    assert traces(*holders) == len(values)
    assert traces(*holders, *holders) == len(values)


def test_look_alikes_in_different_fields_are_told_apart():
    class A(Struct):
        a: Static[Any]
        b: Static[Any]
        x: Any = 1.0

    holders = [A(a, b) for a in (1, True, 1.0) for b in (1, True, 1.0)]
    assert len({jax.tree.structure(holder) for holder in holders}) == 9
    assert traces(*holders) == 9


def test_a_static_decides_the_dtype_of_what_is_traced():
    full = jax.jit(lambda holder: jnp.full((), holder.n))
    assert [full(Holder(n)).dtype.kind for n in (1, True, 1.0, 1j)] == ["i", "b", "f", "c"]


def test_the_sign_of_a_static_zero_reaches_the_program():
    divide = jax.jit(lambda holder: holder.x / jnp.float32(holder.n))
    assert divide(Holder(0.0)) == math.inf
    assert divide(Holder(-0.0)) == -math.inf
    assert divide(Holder(np.float64(0.0))) == math.inf
    assert divide(Holder(np.float64(-0.0))) == -math.inf


def test_zeros_of_either_sign_in_a_static_struct_never_share_a_trace():
    assert traces(Holder(Inner(0.0)), Holder(Inner(-0.0)), Holder(Inner(np.float32(0)))) == 3


def test_structures_with_statics_of_any_two_types_can_be_compared():
    for a, b in itertools.permutations(GOOD.values(), 2):
        assert jax.tree.structure(Holder(a)) != jax.tree.structure(Holder(b)), (a, b)
        assert (Holder(a) == Holder(b)) is False, (a, b)


def test_statics_in_dicts_of_structs_do_not_retrace():
    traced = []

    @jax.jit
    def run(tree):
        traced.append(1)
        return tree["a"].x

    for _ in range(3):
        run({"a": Holder(freeze({"sizes": [1, 2]})), "b": Holder((1, "b"))})
    assert traced == [1]


def test_a_lambda_made_anew_is_another_static():
    def make():
        return lambda x: x

    assert traces(Holder(make()), Holder(make())) == 2


# Refused


class NoHash:
    __hash__ = None


class ArrayLike:
    def __eq__(self, other):
        return np.array([True, False])

    def __hash__(self):
        return 1


class Raising:
    def __eq__(self, other):
        raise RuntimeError("no")

    def __hash__(self):
        return 1


class NeverEqual:
    def __eq__(self, other):
        return False

    def __hash__(self):
        return 1


FREEZE = "use a data field, {}or static(converter=freeze)"
NAN = "it equals nothing, so every call would be traced anew; use a data field or None"
NOT_ITSELF = "every call would be traced anew; use a data field"

BAD = {
    "list": ([1], "a list: " + FREEZE.format("a tuple, ")),
    "dict": ({}, "a dict: " + FREEZE.format("")),
    "set": ({1}, "a set: " + FREEZE.format("a frozenset, ")),
    "bytearray": (bytearray(b"a"), "a bytearray: use a data field or bytes"),
    "numpy array": (np.ones(3), "a numpy array: " + FREEZE.format("")),
    "numpy scalar array": (np.array(1), "a numpy array: " + FREEZE.format("")),
    "jax array": (jnp.ones(3), "a jax array: arrays belong in a data field: drop static"),
    "jax scalar": (jnp.asarray(1), "a jax array: arrays belong in a data field: drop static"),
    "jax key": (jax.random.key(0), "a jax array: arrays belong in a data field: drop static"),
    "list in a tuple": ((1, [2]), "a tuple with a list in it: " + FREEZE.format("a tuple, ")),
    "array deep in tuples": (
        (1, (2, (jnp.ones(1),))),
        "a tuple with a jax array in it: arrays belong in a data field: drop static",
    ),
    "list in a named tuple": (Pair(1, [2]), None),
    "NaN": (math.nan, "NaN: " + NAN),
    "numpy NaN": (np.float32("nan"), "a float32 that is not equal to itself: " + NOT_ITSELF),
    "NaN in a tuple": ((1, math.nan), "a tuple with NaN in it: " + NAN),
    "NaN in a frozenset": (frozenset({math.nan}), "a frozenset with NaN in it: " + NAN),
    "complex NaN": (complex(0, math.nan), "a complex with NaN in it: " + NAN),
    "not a time": (np.datetime64("NaT", "D"), "a datetime64 that is not equal to itself: " + NOT_ITSELF),
    "NaN in a named tuple": (Pair(math.nan, 1), None),
    "struct with NaN": (Inner(math.nan), "a Inner that is not equal to itself: " + NOT_ITSELF),
    "struct with an array": (
        Inner(jnp.ones(3)),
        "an unhashable Inner: use a data field, or give its class __hash__ and __eq__",
    ),
    "dataclass with a list": (
        Config([1]),
        "an unhashable Config: use a data field, or give its class __hash__ and __eq__",
    ),
    "object without a hash": (
        NoHash(),
        "an unhashable NoHash: use a data field, or give its class __hash__ and __eq__",
    ),
    "object compared to an array": (ArrayLike(), "a ArrayLike whose == gives a ndarray, not a bool: use a data field"),
    "object whose == raises": (Raising(), "a Raising whose == raises RuntimeError: use a data field"),
    "object never equal": (NeverEqual(), "a NeverEqual that is not equal to itself: " + NOT_ITSELF),
    "simple namespace": (
        types.SimpleNamespace(a=1),
        "an unhashable SimpleNamespace: use a data field, or give its class __hash__ and __eq__",
    ),
}


class WithInit(Struct):
    n: Static[Any]
    x: Any = 1.0

    def __init__(self, n):
        self.n = n


class WithPostInit(Struct):
    given: Any
    n: Static[Any] = field(init=False)

    def __post_init__(self):
        self.n = self.given


@pytest.mark.parametrize(("value", "text"), BAD.values(), ids=BAD.keys())
@pytest.mark.parametrize(
    "make",
    [
        Holder,
        WithInit,
        WithPostInit,
        lambda value: construct(Holder, n=value),
        lambda value: replace(Holder(1), n=value),
        lambda value: WithInit(1).replace(n=value),
    ],
    ids=["generated", "custom", "post init", "construct", "replace", "replace of custom"],
)
def test_a_value_that_is_no_static_is_refused_where_it_is_stored(make, value, text):
    with pytest.raises(TypeError) as error:
        make(value)
    assert isinstance(error.value, errors.StaticValueError)
    assert error.value.field == "n"
    assert str(error.value).startswith(f"static field {error.value.struct}.n cannot hold ")
    if text is not None:
        assert str(error.value) == f"static field {error.value.struct}.n cannot hold {text}"


@pytest.mark.parametrize(("value", "text"), BAD.values(), ids=BAD.keys())
def test_a_default_that_is_no_static_is_refused_at_the_latest_when_it_is_used(value, text):
    with pytest.raises((TypeError, ValueError)) as error:

        class A(Struct):
            n: Any = static(default=value)

        A()

    assert isinstance(error.value, errors.StructError)
    assert "'n'" in str(error.value) or "A.n" in str(error.value)


@pytest.mark.parametrize("transform", [jax.jit, jax.grad, jax.vmap, jax.eval_shape], ids=lambda f: f.__name__)
@pytest.mark.parametrize("kind", ["bare", "tuple", "custom"])
def test_a_tracer_is_refused_inside_every_transformation(transform, kind):
    def run(x):
        value = (1, x) if kind == "tuple" else x
        (WithInit if kind == "custom" else Holder)(value)
        return x

    struct = "WithInit" if kind == "custom" else "Holder"
    what = "a tuple with a tracer in it" if kind == "tuple" else "a tracer"
    with pytest.raises(TypeError) as error:
        if transform is jax.eval_shape:
            transform(run, 1.0)
        else:
            transform(run)(jnp.ones(3) if transform is jax.vmap else 1.0)
    assert str(error.value) == (
        f"static field {struct}.n cannot hold {what}: values that depend on traced arrays belong in a data field"
    )


def test_a_refused_static_leaves_no_object_behind():
    leaked = []

    class A(Struct):
        n: Static[Any]

        def __init__(self, n):
            leaked.append(self)
            self.n = n

    with pytest.raises(errors.StaticValueError):
        A([1])
    with pytest.raises(errors.UnsetFieldError):
        leaked[0].n


def test_a_struct_of_equal_statics_is_a_dict_key():
    table = {Inner(1): "a", Inner(True): "b", Inner(1.0): "c"}
    assert table[Inner(1)] == "a"
    assert {Holder((1, 2)): 1}[Holder((1, 2))] == 1


def test_static_fields_survive_pickling_of_structure_and_object():
    for value in (1, True, -0.0, (1, (True,)), Level.ONE, Inner(1), freeze({"a": [np.ones(2)]}), Named("a"), function):
        holder = Holder(value)
        assert pickle.loads(pickle.dumps(holder)) == holder
        assert pickle.loads(cloudpickle.dumps(holder)) == holder
        treedef = jax.tree.structure(holder)
        assert pickle.loads(pickle.dumps(treedef)) == treedef
        assert traces(holder, pickle.loads(pickle.dumps(holder))) == 1


def test_a_static_converter_runs_before_the_check():
    class A(Struct):
        n: Any = static(converter=freeze)
        m: Any = static(default=(), converter=tuple)

    a = A({"a": [1]}, [2])
    assert (a.n, a.m) == (freeze({"a": [1]}), (2,))
    assert a.replace(m=[3]).m == (3,)


def test_a_check_that_raises_keeps_its_cause():
    with pytest.raises(errors.StaticValueError) as error:
        Holder(Raising())
    assert error.value.__suppress_context__


# freeze


def test_freeze_makes_tuples_sets_dicts_and_arrays_hashable_at_every_depth():
    frozen = freeze([1, [2, (3, [4])], {5}, {"a": [6, {"b": {7}}]}, np.arange(2), frozenset({8})])
    hash(frozen)
    assert frozen[:3] == (1, (2, (3, (4,))), frozenset({5}))
    assert type(frozen) is tuple
    assert type(frozen[2]) is frozenset
    assert type(frozen[3]) is FrozenDict
    assert frozen[3]["a"] == (6, freeze({"b": {7}}))
    assert frozen[3]["a"][1]["b"] == frozenset({7})
    assert type(frozen[4]) is FrozenArray
    assert frozen[5] == frozenset({8})
    assert Holder(frozen) == Holder(freeze([1, [2, (3, [4])], {5}, {"a": [6, {"b": {7}}]}, np.arange(2), {8}]))


def test_freeze_leaves_everything_else_as_it_is():
    for value in (1, "text", None, function, Color.RED, jnp.float32, Inner(1), PartitionSpec("x"), np.float32(1), b"a"):
        assert freeze(value) is value
    array = jnp.ones(2)
    assert freeze(array) is array
    once = freeze({"a": [1], "b": np.ones(2)})
    assert freeze(once) is once or freeze(once) == once


def test_freeze_keeps_the_class_of_named_tuples():
    assert freeze(Pair([1], {"a": 2})) == Pair((1,), freeze({"a": 2}))
    assert type(freeze(Pair([1], 2))) is Pair


def test_freeze_does_not_change_its_argument():
    value = {"a": [1, {2}], "b": np.arange(3)}
    frozen = freeze(value)
    value["a"].append(3)
    value["b"][0] = 9
    value["c"] = 1
    assert frozen == freeze({"a": [1, {2}], "b": np.arange(3)})


def test_a_frozen_dict_is_a_mapping_without_writes():
    frozen = freeze({"b": 1, "a": 2})
    assert dict(frozen) == {"a": 2, "b": 1}
    assert list(frozen) == ["a", "b"]
    assert (frozen["a"], frozen.get("z"), "a" in frozen, len(frozen)) == (2, None, True, 2)
    assert repr(frozen) == "freeze({'a': 2, 'b': 1})"
    with pytest.raises(TypeError):
        frozen["a"] = 1
    with pytest.raises(TypeError):
        del frozen["a"]
    with pytest.raises(AttributeError):
        frozen.update({})
    with pytest.raises(AttributeError):
        frozen.other = 1


def test_frozen_dicts_compare_by_content_whatever_the_order():
    for a, b in [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({1: "x", "a": 2.0, None: True}, {None: True, "a": 2.0, 1: "x"}),
        ({(1, 2): 1, (0,): 2}, {(0,): 2, (1, 2): 1}),
        ({frozenset({1}): 1, frozenset({2}): 2.0}, {frozenset({2}): 2.0, frozenset({1}): 1}),
        ({Color.RED: 1, Level.ONE: 2.0}, {Level.ONE: 2.0, Color.RED: 1}),
        ({int: 1, float: 2.0}, {float: 2.0, int: 1}),
    ]:
        assert freeze(a) == freeze(b)
        assert hash(freeze(a)) == hash(freeze(b))
        assert list(freeze(a)) == list(freeze(b))
        assert traces(Holder(freeze(a)), Holder(freeze(b))) == 1


def test_frozen_dicts_and_arrays_tell_types_apart():
    for a, b in [
        ({"a": 1}, {"a": True}),
        ({"a": 1}, {"a": 1.0}),
        ({1: 1}, {1.0: 1}),
        ({"a": (1,)}, {"a": (True,)}),
        ({"a": 0.0}, {"a": -0.0}),
        (np.ones(2), np.ones(2, np.float32)),
        (np.ones(2), np.ones((2, 1))),
        (np.zeros(1), -np.zeros(1)),
    ]:
        assert freeze(a) != freeze(b)
        assert freeze(a) == freeze(copy.deepcopy(a))
    assert freeze({"a": 1}) != {"a": 1}
    assert freeze(np.ones(2)) != (1.0, 1.0)


def test_a_frozen_array_is_read_only_and_works_in_jax():
    source = np.arange(6.0).reshape(2, 3)
    frozen = freeze(source.T)
    source[:] = 0
    np.testing.assert_array_equal(frozen.array, np.arange(6.0).reshape(2, 3).T)
    np.testing.assert_array_equal(np.asarray(frozen), frozen.array)
    np.testing.assert_array_equal(jnp.asarray(frozen), frozen.array)
    assert np.asarray(frozen, dtype=np.float32).dtype == np.float32
    with pytest.raises(ValueError):
        frozen.array[0, 0] = 5
    with pytest.raises(ValueError):
        np.asarray(frozen)[0, 0] = 5
    copied = np.array(frozen)
    copied[0, 0] = 5
    assert frozen.array[0, 0] == 0


def test_a_frozen_array_cannot_be_given_another_array():
    frozen = freeze(np.zeros(2))
    with pytest.raises(AttributeError):
        frozen.array = np.ones(2)
    with pytest.raises(AttributeError):
        del frozen.array
    assert frozen == freeze(np.zeros(2))


def test_frozen_values_copy_and_pickle():
    for value in ({"a": [1], 2: {"b": -0.0}}, np.array([math.nan, 1]), [np.ones(2), {"a": {1}}]):
        frozen = freeze(value)
        for made in (
            copy.copy(frozen),
            copy.deepcopy(frozen),
            pickle.loads(pickle.dumps(frozen)),
            pickle.loads(cloudpickle.dumps(frozen)),
        ):
            assert made == frozen
            assert hash(made) == hash(frozen)
            assert repr(made) == repr(frozen)
    with pytest.raises(ValueError):
        pickle.loads(pickle.dumps(freeze(np.ones(2)))).array[0] = 5


def test_a_frozen_dict_of_what_has_no_frozen_form_says_which_entry():
    with pytest.raises(errors.FreezeError) as error:
        freeze({"a": {"b": jnp.ones(3)}})
    assert (
        str(error.value) == "freeze: cannot freeze a jax array (at key 'b'): arrays belong in a data field: drop static"
    )


def test_a_frozen_array_of_objects_is_refused():
    with pytest.raises(errors.FreezeError) as error:
        freeze(np.array([object()], dtype=object))
    assert str(error.value) == "freeze: cannot freeze an array of objects: use a tuple"


def test_frozen_dicts_of_special_dicts_are_the_same():
    plain = freeze({"a": 1, "b": (2,)})
    assert freeze(collections.OrderedDict(b=[2], a=1)) == plain
    assert freeze(collections.defaultdict(list, a=1, b=[2])) == plain


def test_a_frozen_dict_with_keys_in_another_order_traces_the_same_program():
    def total(holder):
        result = jnp.float32(0)
        for i, key in enumerate(holder.n):
            result = result * 10 + holder.n[key] * (i + 1)
        return result

    a = jax.jit(total).lower(Holder(freeze({"a": 1, "b": 2}))).as_text()
    b = jax.jit(total).lower(Holder(freeze({"b": 2, "a": 1}))).as_text()
    assert a == b


def test_freeze_as_a_converter_accepts_what_json_gives():
    class Model(Struct):
        config: Any = static(converter=freeze)
        x: Any = 1.0

    made = [Model({"sizes": [64, 64], "act": "relu", "opt": {"lr": 0.1, "on": True, "none": None}}) for _ in range(2)]
    assert made[0].config["sizes"] == (64, 64)
    assert made[0].config["opt"]["lr"] == 0.1
    assert traces(*made) == 1
    assert traces(made[0], Model({**made[0].config, "act": "tanh"})) == 2
