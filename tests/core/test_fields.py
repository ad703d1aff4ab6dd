"""What a class body declares: fields with their options and defaults, what is static, and what is no field."""

import dataclasses
import inspect
import itertools
from dataclasses import KW_ONLY, InitVar
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from structkit import Field, Static, Struct, derived, errors, field, fields, freeze, static
from tests.models import Empty, Linear, Point, names, static_names

# Declaring


def test_annotated_names_are_fields_in_the_order_of_the_body_and_others_are_not():
    class A(Struct):
        limit, scale, table = 5, np.float32(2), [3]
        declared: ClassVar[int]
        x: float
        n: Static[int]
        y: Any = static(default=3)

        def method(self): ...

    assert [(f.name, f.type) for f in fields(A)] == [("x", float), ("n", Static[int]), ("y", Any)]
    assert static_names(A) == ["n", "y"]
    assert jax.tree.leaves(A(1.0, 2)) == [1.0]
    assert (A.limit, A(1.0, 2).limit, A(1.0, 2).scale, A.table is A(1.0, 2).table) == (5, 5, 2, True)
    assert fields(Empty) == ()


@pytest.mark.parametrize(
    ("declared", "is_static"),
    [
        *((1, False), (field(default=1), False), (static(default=1), True), (derived(default=1, static=True), True)),
        *((field(default=1, static=is_static), is_static) for is_static in (False, True)),
        *([(jax.tree.static(default=1), True)] if hasattr(jax.tree, "static") else []),
        *(
            (make(default=1, metadata={name: value}), (name, value) in (("static", True), ("pytree_node", False)))
            for make in (field, dataclasses.field)
            for name, value in itertools.product(("static", "pytree_node", "unit"), (True, False))
        ),
    ],
)
def test_a_field_and_the_metadata_of_other_libraries_say_what_is_static(declared, is_static):
    class A(Struct):
        x: int = declared

    assert static_names(A) == ["x"] * is_static
    assert jax.tree.leaves(A()) == [1] * (not is_static)
    assert dict(fields(A)[0].metadata) == dict(getattr(declared, "metadata", {}))


def test_fields_are_dataclass_fields_with_all_that_field_was_given():
    given = {"default": 1, "converter": lambda value: 2 * value, "init": True, "repr": False, "compare": False}
    given |= {"hash": False, "kw_only": True, "static": False, "spec": PartitionSpec("batch"), "doc": "the x"}

    class A(Struct):
        x: int = field(**given, metadata={"unit": "m"})

    (f,) = fields(A)
    assert isinstance(f, Field) and isinstance(f, dataclasses.Field)
    assert (f.name, f.type, dict(f.metadata)) == ("x", int, {"unit": "m"})
    assert {name: getattr(f, name) for name in given} == given
    assert dataclasses.fields(A) == fields(A)
    assert (repr(A()), A(x=5).x, A.__dict__["x"].__doc__) == ("A()", 10, "the x")


def test_a_field_without_options_has_in_every_slot_what_field_puts_there():
    class A(Struct):
        x: int
        y: int = field()
        a: int = 1
        b: int = field(default=1)

    x, y, a, b = fields(A)
    for first, second in ((x, y), (a, b)):
        for slot in {*dataclasses.Field.__slots__, *Field.__slots__} - {"name"}:
            assert getattr(first, slot) == getattr(second, slot), slot


def test_dataclasses_field_works_with_all_of_its_options():
    class A(Struct):
        x: int = dataclasses.field(default=1, repr=False)
        y: list = dataclasses.field(default_factory=list, compare=False)
        z: int = dataclasses.field(default=3, kw_only=True)
        w: int = dataclasses.field(default=4, init=False)

    assert vars(A()) == {"x": 1, "y": [], "z": 3, "w": 4}
    assert repr(A()) == "A(y=[], z=3, w=4)"
    assert A(1, [1]) == A(1, [2])
    assert str(inspect.signature(A)) == "(x: int = 1, y: list = <factory>, *, z: int = 3) -> None"


def test_a_field_object_that_two_classes_share_keeps_no_name():
    common = field(default=1, doc="shared")

    class A(Struct):
        a: int = common

    class B(Struct):
        b: str = common
        c: Static[int] = common

    assert names(A) == ["a"]
    assert [(f.name, f.type) for f in fields(B)] == [("b", str), ("c", Static[int])]
    assert (static_names(A), static_names(B)) == ([], ["c"])


def test_kw_only_splits_the_parameters_of_one_class():
    class A(Struct):
        a: int
        _: KW_ONLY
        b: int = 2
        c: int
        d: int = field(default=4, kw_only=False)

    class B(A):
        e: int = 5

    assert str(inspect.signature(A)) == "(a: int, d: int = 4, *, b: int = 2, c: int) -> None"
    assert str(inspect.signature(B)) == "(a: int, d: int = 4, e: int = 5, *, b: int = 2, c: int) -> None"
    assert names(A) == ["a", "b", "c", "d"]
    assert A.__match_args__ == ("a", "d")
    assert jax.tree.leaves(A(1, c=3)) == [1, 2, 3, 4]


# What is no field


@pytest.mark.parametrize("make", [field, dataclasses.field])
def test_init_vars_are_parameters_and_no_fields(make):
    class A(Struct):
        x: int
        scale: InitVar[int]
        told: InitVar[int] = make()
        shift: InitVar[int] = 1
        turn: InitVar[int] = make(default=2)
        nothing: InitVar[Any] = make(default=None)

        def __post_init__(self, *given):
            self.x = (self.x, *given)

    assert names(A) == ["x"]
    assert A(7, 8, 9).x == (7, 8, 9, 1, 2, None)
    assert A(7, 8, 9, 10, turn=11, nothing=12).x == (7, 8, 9, 10, 11, 12)
    assert A.__match_args__ == ("x", "scale", "told", "shift", "turn", "nothing")
    assert jax.tree.leaves(A(7, 8, 9)) == [7, 8, 9, 1, 2]
    # As in dataclasses, a default stays readable.
    assert (A.shift, A.turn, A.nothing) == (A(7, 8, 9).shift, A(7, 8, 9).turn, A(7, 8, 9).nothing) == (1, 2, None)
    assert not hasattr(A, "scale")
    assert not hasattr(A, "told")


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        *((make(default=10), 10) for make in (dataclasses.field, field, static)),
        *((derived(default=None), None), (dataclasses.field(), None), ([1], [1]), (jnp.ones(2), [1.0, 1.0])),
    ],
)
def test_a_class_var_is_no_field_and_reads_as_its_default(declared, expected):
    class A(Struct):
        x: int
        constant: ClassVar[Any] = declared

    assert names(A) == ["x"] and jax.tree.leaves(A(1)) == [1]
    for found in (getattr(A, "constant", None), getattr(A(1), "constant", None)):
        assert (found.tolist() if isinstance(found, jax.Array) else found) == expected


# Defaults


def test_a_default_is_read_from_the_class():
    class A(Struct):
        x: int
        y: int = 1
        f: Any = static(default=jax.nn.relu)
        w: list = field(default_factory=list)
        v: float = field(default=3, converter=float)

    class B(A):
        u: int = A.y + 1
        size = property(lambda self: self.u)

    assert (A.y, A.f, A.v, B.y, B.u) == (1, jax.nn.relu, 3, 1, 2)
    # As a member of a dataclass with slots does.
    assert type(A.x) is type(A.w) is type(B.size) is property
    # A field stays on its class, to which other names may be added.
    with pytest.raises((errors.StructError, AttributeError)):
        del A.y
    A.helper = lambda self: self.y + 1
    assert (A(1).helper(), A(1).y, A.y) == (2, 1, 1)


@pytest.mark.parametrize(
    "value",
    [
        *(jnp.zeros(3), np.float32(1.0), Point(1.0), Linear(jnp.ones(3), jnp.zeros(3)), (), (1, (2,)), frozenset({1})),
        *(None, "text", jax.nn.relu, Point, freeze({"a": [1]})),
    ],
    ids=lambda value: type(value).__name__,
)
def test_any_immutable_value_is_a_default(value):
    class A(Struct):
        x: Any = value
        y: Any = field(default=value)

    assert A().x is A.x is A().y is A.y is value
    assert A(5).x == dataclasses.replace(A(), x=5).x == 5 and A(5).y is value
    assert jax.tree.structure(jax.tree.map(lambda leaf: leaf, A())) == jax.tree.structure(A())


def test_an_array_is_the_default_of_a_keyword_only_a_converted_and_an_init_var_argument():
    class Shifted(Struct, kw_only=True):
        x: jax.Array = jnp.zeros(3)
        y: jax.Array = field(default=jnp.ones(2), converter=lambda value: value * 2)
        shift: InitVar[jax.Array] = jnp.ones(3)

        def __post_init__(self, shift):
            self.x = self.x + shift

    assert (Shifted().x.tolist(), Shifted().y.tolist()) == ([1.0, 1.0, 1.0], [2.0, 2.0])
