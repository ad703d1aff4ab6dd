"""What a class body declares: fields with their options and defaults, what is static, and what is no field."""

import dataclasses
import inspect
from dataclasses import KW_ONLY, InitVar
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from structkit import Field, Static, Struct, derived, errors, field, fields, freeze, static
from tests.models import Empty, Linear, Point, Squared, names, static_names

# Declaring


def test_annotated_names_are_fields_in_the_order_of_the_body_and_others_are_not():
    class A(Struct):
        limit = 5
        declared: ClassVar[int]
        x: float
        n: Static[int]
        y: Any = static(default=3)

        def method(self): ...

    assert [(f.name, f.type) for f in fields(A)] == [("x", float), ("n", Static[int]), ("y", Any)]
    assert static_names(A) == ["n", "y"]
    assert jax.tree.leaves(A(1.0, 2)) == [1.0]
    assert A.limit == A(1.0, 2).limit == 5
    assert fields(Empty) == ()


@pytest.mark.parametrize(
    ("declared", "is_static"),
    [
        (1, False),
        (field(default=1), False),
        (field(default=1, static=False), False),
        (field(default=1, static=True), True),
        (static(default=1), True),
        (derived(default=1, static=True), True),
        *([(jax.tree.static(default=1), True)] if hasattr(jax.tree, "static") else []),
        *(
            (make(default=1, metadata=metadata), is_static)
            for make in (field, dataclasses.field)
            for metadata, is_static in [
                ({"static": True}, True),
                ({"static": False}, False),
                ({"pytree_node": False}, True),
                ({"pytree_node": True}, False),
                ({"unit": "m"}, False),
            ]
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
    def double(value):
        return 2 * value

    class A(Struct):
        x: int = field(
            default=1,
            converter=double,
            init=True,
            repr=False,
            compare=False,
            hash=False,
            kw_only=True,
            static=False,
            spec=PartitionSpec("batch"),
            doc="the x",
            metadata={"unit": "m"},
        )

    (f,) = fields(A)
    assert isinstance(f, Field)
    assert isinstance(f, dataclasses.Field)
    assert (f.name, f.type, f.default, f.converter, f.spec, f.doc) == (
        "x",
        int,
        1,
        double,
        PartitionSpec("batch"),
        "the x",
    )
    assert (f.init, f.repr, f.compare, f.hash, f.kw_only, f.static) == (True, False, False, False, True, False)
    assert dict(f.metadata) == {"unit": "m"}
    assert dataclasses.fields(A) == fields(A)
    assert dataclasses.is_dataclass(A)
    assert repr(A()) == "A()"
    assert A(x=5).x == 10
    assert A.__dict__["x"].__doc__ == "the x"


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


def test_derived_is_no_parameter_of_init():
    assert list(inspect.signature(Squared).parameters) == ["side"]
    assert Squared.__match_args__ == ("side",)
    assert vars(Squared(3)) == {"side": 3, "area": 9}


def test_derived_refuses_to_be_a_parameter():
    with pytest.raises(ValueError) as error:
        derived(init=True)
    assert str(error.value) == "derived() is a field that __init__ does not take; use field() for one that it takes"


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
        (dataclasses.field(default=10), 10),
        (field(default=10), 10),
        (static(default=10), 10),
        (derived(default=None), None),
        (dataclasses.field(), None),
        ([1], [1]),
        (jnp.ones(2), [1.0, 1.0]),
    ],
)
def test_a_class_var_is_no_field_and_reads_as_its_default(declared, expected):
    class A(Struct):
        x: int
        constant: ClassVar[Any] = declared

    assert names(A) == ["x"] and jax.tree.leaves(A(1)) == [1]
    for found in (getattr(A, "constant", None), getattr(A(1), "constant", None)):
        assert (found.tolist() if isinstance(found, jax.Array) else found) == expected


@pytest.mark.parametrize(
    "array", [jnp.ones(2), np.ones(2), jnp.float32(1), np.zeros(()), np.ma.ones(2), jax.random.key(0)], ids=type
)
def test_an_array_without_an_annotation_is_refused_also_while_tracing(array):
    def define(value):
        class A(Struct):
            weight = value

    for attempt in (lambda: define(array), lambda: jax.jit(define)(1.0)):
        with pytest.raises(errors.DefinitionError, match="'weight' is an array without a type annotation") as error:
            attempt()
        assert "weight: jax.Array = ..." in str(error.value) and "weight: ClassVar" in str(error.value)

    class Child(Point):
        y: Any = array if isinstance(array, jax.Array) else None

    assert len(jax.tree.leaves(Child(1))) == 1 + isinstance(array, jax.Array)


# Defaults


def test_a_default_is_read_from_the_class():
    array = jnp.zeros(3)

    class A(Struct):
        x: int
        y: int = 1
        z: Any = array
        f: Any = static(default=jax.nn.relu)
        w: list = field(default_factory=list)
        v: float = field(default=3, converter=float)

    assert (A.y, A.f, A.v) == (1, jax.nn.relu, 3)
    assert A.z is array
    # As a member of a dataclass with slots does.
    assert type(A.x) is type(A.w) is property

    class B(A):
        u: int = A.y + 1

        @property
        def size(self):
            return self.u

    assert (B.y, B.u) == (1, 2)
    assert type(B.size) is property


@pytest.mark.parametrize(
    "value",
    [
        jnp.zeros(3),
        np.float32(1.0),
        Point(1.0),
        Linear(jnp.ones(3), jnp.zeros(3)),
        (),
        (1, (2,)),
        frozenset({1}),
        None,
        "text",
        jax.nn.relu,
        Point,
        freeze({"a": [1]}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_any_immutable_value_is_a_default(value):
    class A(Struct):
        x: Any = value

    assert A().x is value
    assert A.x is value


def test_a_field_stays_on_its_class():
    class A(Struct):
        x: int = 1

    A.helper = lambda self: self.x + 1
    assert A().helper() == 2
    with pytest.raises(errors.DefinitionError):
        A.x = 5
    with pytest.raises((errors.StructError, AttributeError)):
        del A.x
    assert A().x == A.x == 1
