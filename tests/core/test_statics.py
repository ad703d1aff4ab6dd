"""What a static field may hold, which values share a trace, and what is refused where it is stored."""

import copy
import dataclasses
import decimal
import enum
import fractions
import functools
import itertools
import math
import pickle
import re
import sys
import types
import typing
from typing import Any

import cloudpickle
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from structkit import Static, Struct, at, construct, errors, field, freeze, replace, static
from tests.models import Angle, Colour, Coordinates, Holder, Level, Mutable, Skipping, T, counting_jit


class Members(frozenset):
    pass


class Named(str):
    pass


class Mode(enum.StrEnum):
    ONE = "one"


class Flag(enum.Flag):
    A = 1
    B = 2


@dataclasses.dataclass(frozen=True)
class Config:
    a: Any
    b: Any = None
    note: Any = dataclasses.field(default=None, compare=False)


class Inner(Struct):
    a: Any
    n: Static[Any] = 1


class Callable:
    def method(self):
        return 1

    def __call__(self):
        return 2


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


def function(x):
    return x


def traces(*objects):
    """How many programs a jitted function of these objects needs."""
    run, traces = counting_jit(lambda obj: obj.x)
    for obj in objects:
        run(obj)
    return len(traces)


instance = Callable()
partial = functools.partial(function, 1)
mesh = Mesh(np.array(jax.devices()[:1]), ("x",))

# Made anew in each call where that can be: equal values have to share a trace.
GOOD = {
    "None": lambda: None,
    "int": lambda: int("3"),
    "large int": lambda: 10**30,
    "bool": lambda: True,
    "float": lambda: float("1.5"),
    "negative zero": lambda: -float("0.0"),
    "complex": lambda: 1 + complex("2j"),
    "str": lambda: "te" + "xt".lower(),
    "bytes": lambda: bytes([1, 2]),
    "ellipsis": lambda: ...,
    "range": lambda: range(int("3")),
    "nested tuple": lambda: (1, (True, 1.0, [].count(1)), "a".upper()),
    "empty tuple": lambda: (),
    "frozenset": lambda: frozenset([1, 2.0, (True,), "a"]),
    "named tuple": lambda: Coordinates(1, (True,)),
    "str subclass": lambda: Named("text"),
    "enum": lambda: Colour.RED,
    "int enum": lambda: Level.ONE,
    "str enum": lambda: Mode.ONE,
    "flag": lambda: Flag.A | Flag.B,
    "class": lambda: int,
    "struct class": lambda: Inner,
    "generic alias": lambda: list[int],
    "union": lambda: int | None,
    "type variable": lambda: T,
    "module": lambda: math,
    "function": lambda: function,
    "builtin": lambda: len,
    "jnp function": lambda: jnp.add,
    "jitted": lambda: jax.nn.relu,
    "partial": lambda: partial,
    "bound method": lambda: instance.method,
    "callable object": lambda: instance,
    "numpy dtype": lambda: np.dtype("float32"),
    "jnp dtype": lambda: jnp.float32,
    "numpy scalar type": lambda: np.float32,
    "numpy float": lambda: np.float64(1.5),
    "numpy int": lambda: np.int32(3),
    "numpy bool": lambda: np.bool_(True),
    "datetime64": lambda: np.datetime64("2020-01-01"),
    "decimal": lambda: decimal.Decimal("1.25"),
    "fraction": lambda: fractions.Fraction(1, 2),
    "pattern": lambda: re.compile("a+"),
    "frozen dataclass": lambda: Config(1, (2,)),
    "struct": lambda: Inner(1, n=(1, 2)),
    "structs in tuples": lambda: (Inner(2.0), (Config("a"), Inner((2, 3)))),
    "partition spec": lambda: PartitionSpec("x", None),
    "mesh": lambda: mesh,
    "named sharding": lambda: NamedSharding(mesh, PartitionSpec("x")),
    "device": lambda: jax.devices()[0],
    "tree structure": lambda: jax.tree.structure({"a": [1, 2]}),
    "shape dtype struct": lambda: jax.ShapeDtypeStruct((2, 3), jnp.float32),
    "frozen dict": lambda: freeze({"a": [1, {2}], "b": np.arange(3)}),
    "frozen array": lambda: freeze(np.array([math.nan, -0.0])),
}


@pytest.mark.parametrize("make", GOOD.values(), ids=GOOD.keys())
def test_a_hashable_value_is_kept_as_it_is_and_equal_ones_share_a_trace(make):
    value = make()
    holder, other = Holder(value), Holder(make())
    assert holder.n is value
    assert jax.tree.leaves(holder) == [1.0]
    mapped = jax.tree.map(lambda leaf: leaf, holder)
    assert mapped.n is value
    assert mapped == holder == other
    assert hash(mapped) == hash(holder) == hash(other)
    assert jax.tree.structure(holder) == jax.tree.structure(other)
    assert hash(jax.tree.structure(holder)) == hash(jax.tree.structure(other))
    assert holder.replace(x=2.0).n is value
    assert replace(Holder(0), n=value) == construct(Holder, n=value) == copy.deepcopy(holder) == holder
    assert repr(holder)
    assert traces(holder, other, mapped) == 1


def test_statics_of_any_two_types_can_be_compared_and_never_share_a_trace():
    holders = [Holder(make()) for make in GOOD.values()]
    for a, b in itertools.permutations(holders, 2):
        assert jax.tree.structure(a) != jax.tree.structure(b), (a, b)
        assert (a == b) is False, (a, b)
    assert traces(*holders, *holders) == len(holders)


LOOKALIKES = [
    (1, True, 1.0, 1 + 0j, Level.ONE, np.int32(1), np.int64(1), np.float32(1), np.bool_(True), np.float64(1)),
    (0, False, 0.0, -0.0, 0j, complex(0.0, -0.0), complex(-0.0, 0.0)),
    (decimal.Decimal(1), fractions.Fraction(1), 1),
    ("one", Mode.ONE, Named("one"), np.str_("one")),
    (np.float64(0.0), np.float64(-0.0), 0.0, -0.0),
    (np.float32(0.0), np.float32(-0.0)),
    (Angle(0.0), Angle(-0.0), 0.0, Members({1}), Members({True}), frozenset({1})),
    (np.complex64(0.0), np.complex64(complex(0.0, -0.0))),
    ((1, 2), Coordinates(1, 2), Coordinates(1, 2.0), Coordinates(True, 2)),
    ((), freeze({}), frozenset(), (((1,),),), freeze({"a": [1]}), freeze({"b": [1]}), freeze({"a": {1}})),
    (np.dtype("float32"), np.float32, jnp.float32, "float32"),
    (jnp.float32, jnp.int32, jnp.bfloat16, jnp.float16),
    tuple(freeze(np.array(value)) for value in ([1], [1.0], [True], 1, [[1]], [0.0], [-0.0])),
    # The contents are the same bytes, but for the order.
    tuple(freeze(np.zeros(1, dtype)) for dtype in ("<i4", ">i4", "<f4", "<u4", "<M8[s]")),
    *(
        tuple(nest(value) for value in (0.0, -0.0, 0, 1, True, 1.0, (1,), (True,), "one", Mode.ONE))
        for nest in [
            lambda value: (value,),
            lambda value: ((value,),),
            lambda value: frozenset({value}),
            lambda value: freeze({"a": value}),
            lambda value: freeze({value: "a"}),
            Inner,
            lambda value: Inner(1, n=value),
            Config,
            lambda value: Config(0, value),
            lambda value: Config(0, note=value),
            lambda value: (Config(0, (value,)),),
            lambda value: frozenset({Config(value)}),
            lambda value: freeze({"a": [Config(value)]}),
            lambda value: Coordinates(0, Config(value)),
            lambda value: Skipping(0, value),
            lambda value: Skipping(0, 0, tag=value),
            lambda value: Inner(Skipping(0, value)),
            lambda value: Config(Inner(0, n=Skipping(0, value))),
            lambda value: freeze(Inner([Skipping(0, {"a": value})])),
        ]
    ),
    (Inner(0.0), Inner(-0.0), Inner(np.float32(0))),
    (PartitionSpec("x"), ("x",), PartitionSpec(("x",), None)),
    (Colour.RED, Level.ONE),
    (Flag.A, 1),
    (int, "int"),
    (None, 0, False, ()),
    (range(1), range(2)),
    (range(0), range(5, 5), range(0, 0, 2)),
    *([(slice(0, 1), slice(0, True), slice(0, 1.0), slice(False, 1))] if sys.version_info >= (3, 12) else []),
    (b"a", "a"),
    (list[int], list[bool]),
    (typing.Literal[1], typing.Literal[True]),
    (function, functools.partial(function)),
    (Callable().method, Callable().method),
    (np.int64(0), (0, 1), (1, (2,))),
    # As numpy compares a scalar and a tuple, they are an array of bools.
    tuple(freeze({"a": {"b": value}}) for value in (np.float32(0), [np.ones(2)], (1.0, 2.0), ((0.0, 1.0),))),
    (lambda x: x, lambda x: x),
]


@pytest.mark.parametrize("values", LOOKALIKES, ids=map(str, range(len(LOOKALIKES))))
def test_values_that_only_look_alike_never_share_a_trace(values):
    holders = [Holder(value) for value in values]
    for a, b in itertools.permutations(holders, 2):
        assert jax.tree.structure(a) != jax.tree.structure(b), (a.n, b.n)
        assert a != b, (a.n, b.n)
    assert traces(*holders) == len(values)
    assert traces(*holders, *holders) == len(values)


# Refused


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


FREEZE = "use a data field, or static(converter=freeze)"
TUPLE = "use a data field, a tuple, or static(converter=freeze)"
ARRAY = "a jax array: arrays belong in a data field: drop static"
NAN = "it equals nothing, so every call would be traced anew; use a data field or None"
NOT_ITSELF = "that is not equal to itself: every call would be traced anew; use a data field"
NO_HASH = "use a data field, or give its class __hash__ and __eq__"

BAD = [
    ([1], f"a list: {TUPLE}"),
    ({}, f"a dict: {FREEZE}"),
    ({1}, "a set: use a data field, a frozenset, or static(converter=freeze)"),
    (bytearray(b"a"), "a bytearray: use a data field or bytes"),
    (np.ones(3), f"a numpy array: {FREEZE}"),
    (np.array(1), f"a numpy array: {FREEZE}"),
    (jnp.ones(3), ARRAY),
    (jnp.asarray(1), ARRAY),
    (jax.random.key(0), ARRAY),
    ((1, [2]), f"a tuple with a list in it: {TUPLE}"),
    ((1, (2, (jnp.ones(1),))), "a tuple with a jax array in it: arrays belong in a data field: drop static"),
    (Coordinates(1, [2]), f"a Coordinates with a list in it: {TUPLE}"),
    (math.nan, f"NaN: {NAN}"),
    (np.float32("nan"), f"a float32 {NOT_ITSELF}"),
    ((1, math.nan), f"a tuple with NaN in it: {NAN}"),
    (frozenset({math.nan}), f"a frozenset with NaN in it: {NAN}"),
    (complex(0, math.nan), f"a complex with NaN in it: {NAN}"),
    (np.datetime64("NaT", "D"), f"a datetime64 {NOT_ITSELF}"),
    (Coordinates(math.nan, 1), f"a Coordinates with NaN in it: {NAN}"),
    (Inner(math.nan), f"an Inner {NOT_ITSELF}"),
    (Inner(jnp.ones(3)), "an Inner, whose field 'a' has no hash: use a data field, or static(converter=freeze)"),
    (Config([1]), f"an unhashable Config: {NO_HASH}"),
    (types.SimpleNamespace(a=1), f"an unhashable SimpleNamespace: {NO_HASH}"),
    (ArrayLike(), "an ArrayLike whose == gives a ndarray, not a bool: use a data field"),
    (Raising(), "a Raising whose == raises RuntimeError: use a data field"),
    (NeverEqual(), f"a NeverEqual {NOT_ITSELF}"),
    (Skipping(1, jnp.ones(3)), "a Skipping with a jax array in it: arrays belong in a data field: drop static"),
    (functools.reduce(lambda inner, _: (inner,), [0] * 5000), "a tuple that is nested too deeply: use a data field"),
    # Of one like `slice(3)` Python 3.11 has no hash either.
    (slice(0, []), "an unhashable slice: use a tuple of its start, stop and step"),
]

STORES = {
    "generated": Holder,
    "custom": WithInit,
    "post init": WithPostInit,
    "construct": lambda value: construct(Holder, n=value),
    "replace": lambda value: replace(Holder(1), n=value),
    "replace of custom": lambda value: WithInit(1).replace(n=value),
    "at": lambda value: at(Holder(1), lambda holder: holder.n).set(value),
    "assignment": lambda value: setattr(Mutable(1), "n", value),
}


@pytest.mark.parametrize(("value", "text"), BAD, ids=[text.partition(":")[0] for _, text in BAD])
@pytest.mark.parametrize("store", STORES.values(), ids=STORES.keys())
def test_a_value_that_is_no_static_is_refused_where_it_is_stored(store, value, text):
    with pytest.raises(errors.StaticValueError) as error:
        store(value)
    assert error.value.field == "n"
    assert str(error.value) == f"static field {error.value.struct}.n cannot hold {text}"


@pytest.mark.parametrize(("value", "text"), BAD, ids=[text.partition(":")[0] for _, text in BAD])
def test_a_default_that_is_no_static_is_refused_at_the_latest_when_it_is_used(value, text):
    with pytest.raises(errors.StructError, match=r"'n'|A\.n"):

        class A(Struct):
            n: Any = static(default=value)

        A()


@pytest.mark.parametrize("transform", [jax.jit, jax.grad, jax.vmap], ids=lambda f: f.__name__)
@pytest.mark.parametrize("store", STORES.values(), ids=STORES.keys())
def test_a_tracer_is_refused_where_it_is_stored_inside_every_transformation(transform, store):
    def run(x):
        for value, what in ((x, "a tracer"), ((1, x), "a tuple with a tracer in it")):
            with pytest.raises(errors.StaticValueError) as error:
                store(value)
            assert str(error.value) == (
                f"static field {error.value.struct}.n cannot hold {what}: "
                "values that depend on traced arrays belong in a data field"
            )
        return x

    transform(run)(jnp.ones(3) if transform is jax.vmap else 1.0)


class Model(Struct):
    w: Any
    f: Any = static(default=None)

    def loss(self, x=1.0):
        return x * self.w

    __call__ = loss

    @classmethod
    def make(cls):
        return cls(1.0)

    @staticmethod
    def double(x):
        return 2 * x


class Settings(Struct):
    n: Static[int] = 3
    f: Any = static(init=False, default=None)

    def __post_init__(self):
        if self.n == 0:
            self.f = self.power
        if self.n < 0:
            self.f = (self,)

    def power(self, x):
        return x**self.n


model = Model(jnp.ones(3))
METHOD = "Model.loss, a method of an object that holds data"
HIDING = {
    "method": (model.loss, METHOD),
    "method of numbers": (Model(2.0).loss, METHOD),
    "call": (model.__call__, METHOD),
    "in a tuple": ((1, model.loss), f"a tuple with {METHOD} in it"),
    "in a dataclass": (Config(model.loss), f"a Config with {METHOD} in it"),
    "partial of a method": (functools.partial(model.loss, 2.0), METHOD),
    "partial of partials": (functools.partial(functools.partial(model.loss, 2.0)), METHOD),
    "method in a partial": (functools.partial(map, model.loss), METHOD),
    **{
        f"{wrap.__name__} of a method": (wrap(model.loss), METHOD)
        for wrap in (jax.jit, jax.vmap, jax.grad, jax.checkpoint, jax.custom_jvp, functools.lru_cache)
    },
    "jit of vmap": (jax.jit(jax.vmap(model.loss)), METHOD),
    "jit of an object": (jax.jit(model), "a function around data, a Model"),
    "partial of a function": (functools.partial(Model.loss, model), "a function around data, a Model"),
    "keyword of a partial": (functools.partial(Model.double, x=jnp.ones(3)), "a function around data, an ArrayImpl"),
    "container in a partial": (functools.partial(len, [jnp.ones(3)]), "a function around data, a list"),
    "partial of JAX": (jax.tree_util.Partial(Model.double, jnp.ones(3)), "a function around data, an ArrayImpl"),
    "method of an array": (jnp.ones(3).sum, "ArrayImpl._sum, a method of an object that holds data"),
    "method of a dict": ({"w": jnp.ones(3)}.get, "dict.get, a method of an object that holds data"),
    "slot of a list": ([jnp.ones(3)].__len__, "list.__len__, a method of an object that holds data"),
    "method of a mutable struct": (Mutable(1).__repr__, "Mutable.__repr__, a method of an object that holds data"),
}


@pytest.mark.parametrize(("function", "what"), HIDING.values(), ids=HIDING.keys())
def test_a_function_that_hides_data_from_jax_is_refused(function, what):
    for store in (Holder, WithInit, lambda function: replace(Holder(1), n=function)):
        with pytest.raises(
            errors.StaticValueError, match=r"in it; keep the function alone, or call the method"
        ) as error:
            store(function)
        assert f".n cannot hold {what}: JAX would not see the data" in str(error.value)


class Answering:
    """It has whatever a search for hidden data asks for, and so on without end."""

    def __getattr__(self, name):
        return Answering()


def test_methods_and_functions_that_hide_nothing_are_kept():
    for function in (
        Answering(),
        Settings().power,
        Model.make,
        Model.double,
        Model.loss,
        functools.partial(Model.loss, x=(1, [2.0])),
        jax.jit(jax.vmap(Model.double)),
        functools.partial(Settings.power, Settings()),
    ):
        assert Holder(function).n is function
    assert jax.grad(lambda model: model.loss(2.0))(Model(3.0)).w == 2
    assert jax.grad(Model(3.0).loss)(5.0) == jax.jit(Model(3.0).loss)(1.0) == 3


def test_an_object_under_construction_is_no_static_and_neither_are_its_methods():
    for n, what in ((0, "Settings.power, a method"), (-1, "a tuple with a Settings under construction in it")):
        with pytest.raises(errors.StaticValueError, match=rf"^static field Settings\.f cannot hold {what}"):
            Settings(n)


def test_a_traced_value_is_refused_in_a_field_that_does_not_compare_and_in_a_function():
    def run(x):
        for value in (Skipping(1, x), functools.partial(len, x), x.sum, Model(x).loss):
            with pytest.raises(errors.StaticValueError):
                Holder(value)
        return x

    jax.jit(run)(1.0)


def test_static_fields_survive_pickling_of_structure_and_object():
    for value in (1, True, -0.0, (1, (True,)), Level.ONE, Inner(1), freeze({"a": [np.ones(2)]}), Named("a"), function):
        holder = Holder(value)
        assert pickle.loads(pickle.dumps(holder)) == holder
        assert pickle.loads(cloudpickle.dumps(holder)) == holder
        treedef = jax.tree.structure(holder)
        assert pickle.loads(pickle.dumps(treedef)) == treedef
        assert traces(holder, pickle.loads(pickle.dumps(holder))) == 1
