"""What may stand behind the bases of a class statement: options, keywords for hooks, and other ways to make a class."""

import dataclasses
import inspect
import types
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import pytest

from structkit import Static, Struct, StructMeta, field
from tests.models import Pair, Point, Standard, Tagged, assert_frozen, names, static_names

# Options


def test_init_false_leaves_every_field_to_its_default_or_to_the_init_of_the_parent():
    class A(Struct, init=False):
        x: int = 1
        y: list = field(default_factory=list)

    class B(Pair, init=False):
        z: float = 3.0

    assert vars(A()) == {"x": 1, "y": []} and str(inspect.signature(A)) == "()"
    assert vars(B(1.0, 2.0)) == {"x": 1.0, "y": 2.0, "name": "pair", "z": 3.0}
    assert list(inspect.signature(B).parameters) == ["x", "y", "name"]


def test_match_args_are_what_the_user_says():
    class A(Pair):
        __match_args__ = ("y",)

    match A(1, 3):
        case A(found):
            assert found == 3
    assert Pair.__match_args__ == ("x", "y", "name")


class Written:
    def __eq__(self, other):
        return "written"

    def __hash__(self):
        return 5

    def __repr__(self):
        return "written"


class OnlyEqual:
    __eq__ = Written.__eq__


class WrittenParent(Struct):
    x: Any
    __eq__, __hash__, __repr__ = Written.__eq__, Written.__hash__, Written.__repr__


class EqualParent(Struct):
    x: Any
    __eq__ = Written.__eq__


class Quiet(Point, eq=False, repr=False):
    pass


class Called(Struct, eq=False, repr=False):
    x: Any

    def __call__(self): ...


BY_IDENTITY = (object.__eq__, object.__hash__, object.__repr__)
WRITTEN = (Written.__eq__, Written.__hash__, Written.__repr__)
UNHASHABLE = (Written.__eq__, None, object.__repr__)


@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize(
    ("bases", "expected"),
    [
        ((Struct,), BY_IDENTITY),
        ((Point,), BY_IDENTITY),
        ((Quiet,), BY_IDENTITY),
        ((Called,), BY_IDENTITY),
        ((Standard, Struct), BY_IDENTITY),
        ((Written, Struct), WRITTEN),
        ((Struct, Written), WRITTEN),
        ((Written, Called), WRITTEN),
        ((WrittenParent,), WRITTEN),
        ((Point, WrittenParent), WRITTEN),
        ((OnlyEqual, Struct), UNHASHABLE),
        ((EqualParent,), UNHASHABLE),
    ],
)
def test_eq_false_and_repr_false_inherit_what_user_code_wrote_and_otherwise_what_object_has(bases, expected, frozen):
    if not frozen and any(getattr(base, "__dataclass_fields__", None) for base in bases):
        pytest.skip("a mutable struct inherits no frozen fields")
    options = {"eq": False, "repr": False, "frozen": frozen}
    made = types.new_class("A", bases, options, lambda namespace: namespace.update(__annotations__={"y": int}))
    assert (made.__eq__, made.__hash__, made.__repr__) == expected
    kept = types.new_class("B", (made,), {"frozen": frozen})
    assert (kept.__eq__, kept.__hash__, kept.__repr__) == expected
    # A child that asks for what is generated gets it.
    anew = types.new_class("D", (made,), {"frozen": frozen, "eq": True, "repr": True})
    values = range(len(names(anew)))
    assert (anew(*values) == anew(*values), repr(anew(*values))[:2]) == (True, "D(")
    assert not frozen or hash(anew(*values)) == hash(anew(*values))


def test_eq_false_and_repr_false_leave_what_the_body_has():
    def body(namespace):
        namespace.update(__annotations__={"x": int}, __eq__=Written.__eq__, __repr__=Written.__repr__)

    made = types.new_class("A", (Struct,), {"eq": False, "repr": False}, body)
    assert (made.__eq__, made.__hash__, made.__repr__) == (Written.__eq__, None, Written.__repr__)


@pytest.mark.parametrize(
    ("options", "falsy"),
    [({"eq": 1, "repr": "yes", "frozen": [0], "order": 2.0}, ()), ({"kw_only": "", "match_args": None}, "match_args")],
)
def test_an_option_is_taken_by_its_truth(options, falsy):
    cls = types.new_class("A", (Struct,), options, lambda namespace: namespace.update(__annotations__={"x": int}))
    assert cls(1) == cls(1)
    assert_frozen(cls(1))
    assert hasattr(cls, "__match_args__") is not bool(falsy)
    assert not falsy or {getattr(cls.__dataclass_params__, name) for name in options} == {False}
    assert falsy or cls(1) < cls(2)


def test_a_mutable_struct_may_inherit_from_mutable_ones_and_from_frozen_ones_without_fields():
    class Behaviour(Struct):
        def double(self):
            return 2 * self.x

    class A(Behaviour, frozen=False):
        x: int

    class B(A, frozen=False):
        y: int = 2

    b = B(1)
    b.x = 5
    assert jax.tree.leaves(b) == [5, 2]
    assert b.double() == 10


# Keywords and hooks for subclasses (trap 8)


def test_other_keywords_reach_the_init_subclass_of_a_mixin_on_either_side():
    class A(Tagged, Struct, tag="a", frozen=True):
        x: int

    class B(Struct, Tagged, tag="b"):
        x: int

    class C(A, tag="c", kw_only=True):
        y: int = 2

    for cls, tag in ((A, "a"), (B, "b"), (C, "c")):
        assert (cls.tag, jax.tree.leaves(cls(1))[0]) == (tag, 1)
        assert_frozen(cls(1))
    assert C(1) == C(1, y=2)


def test_an_init_subclass_of_a_struct_gets_the_other_keywords_and_a_class_that_works():
    seen = []

    class Base(Struct):
        def __init_subclass__(cls, *, tag, **keywords):
            super().__init_subclass__(**keywords)
            made = cls(1)
            seen.append((tag, names(cls), made.x, repr(made)))

    class A(Base, tag="a", order=True):
        x: int
        y: int = 2

    assert seen == [("a", ["x", "y"], 1, "A(x=1, y=2)")]
    assert A(1) < A(2)
    assert jax.tree.leaves(A(3)) == [3, 2]


def test_an_init_subclass_that_makes_a_dataclass_of_the_class_leaves_a_struct():
    class Decorates:
        __slots__ = ()

        def __init_subclass__(cls, **keywords):
            super().__init_subclass__(**keywords)
            dataclasses.dataclass(frozen=True)(cls)

    A = type(Struct)("A", (Decorates, Struct), {"__annotations__": {"x": Any}})
    assert (A(jnp.ones(2, jnp.float32)) == A(jnp.ones(2, jnp.float32))) is True
    assert repr(A(jnp.ones(2, jnp.float32))) == "A(x=f32[2])"
    assert jax.tree.map(lambda x: x + 1, A(1)) == A(2)
    assert_frozen(A(1))


# Other ways to make a class


def test_a_metaclass_of_the_user_may_derive_from_ours_and_classes_may_be_made_by_calls():
    class Meta(StructMeta):
        kinds: ClassVar[list[str]] = []

        def shout(cls):
            return cls.__name__.upper()

    namespace = {"__annotations__": {"x": int, "n": Static[int]}, "n": 2}
    for A in (
        types.new_class("A", (Struct,), {"kw_only": True, "metaclass": Meta}, lambda body: body.update(namespace)),
        Meta("A", (Struct,), {**namespace}, kw_only=True),
        types.new_class("A", (Meta("Base", (Struct,), {}),), {"kw_only": True}, lambda body: body.update(namespace)),
    ):
        assert A.shout() == "A" and static_names(A) == ["n"]
        assert A(x=1) == A(x=1, n=2) and jax.tree.leaves(A(x=1)) == [1]
