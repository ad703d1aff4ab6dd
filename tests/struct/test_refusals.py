"""What is refused, and with what words."""

import dataclasses
import enum
from typing import Any, NamedTuple

import jax
import pytest

import structkit
from structkit import Struct, struct as ours
from structkit.errors import DefinitionError


class Frozen:
    x: int


class Already(Struct):
    x: int


def with_x(name, default):
    return type(name, (), {"__annotations__": {"x": Any}, "__module__": __name__, "x": default})


@jax.tree_util.register_pytree_node_class
class Registered:
    x: int

    def tree_flatten(self):
        return (), None

    @classmethod
    def tree_unflatten(cls, aux, children):
        return cls()


@pytest.mark.parametrize(
    ("cls", "cure"),
    [
        (enum.Enum("Colour", ["RED"]), "drop the decorator"),
        (NamedTuple("Pair", [("x", int)]), "drop the decorator"),
        (
            type("Number", (int,), {"__annotations__": {"unit": str}}),
            "whose own value is .* lost; hold the int in a field",
        ),
        (dataclasses.dataclass(frozen=True)(Frozen), "drop dataclasses.dataclass"),
        (Already, "drop the decorator"),
        (Registered, "is a pytree node already, with functions of its own; drop what else registers it"),
        (with_x("Converted", structkit.field(converter=int)), "inherit from Struct"),
        (with_x("Elsewhere", dataclasses.field(metadata={"converter": int})), "inherit from Struct"),
    ],
)
def test_what_cannot_become_a_dataclass_is_refused_with_its_name_and_the_cure(cls, cure):
    with pytest.raises(DefinitionError, match=cure) as info:
        ours.dataclass(cls)
    assert str(info.value).startswith(f"{cls.__name__}: ")


def test_a_base_class_cannot_give_slots():
    with pytest.raises(DefinitionError, match=r"^A: slots=True .* write @struct.dataclass\(slots=True\)"):

        class A(ours.PyTreeNode, slots=True):
            x: int


def test_a_value_that_is_no_class_is_refused():
    with pytest.raises(TypeError, match="decorates a class, not int"):
        ours.dataclass(3)


@pytest.mark.parametrize(
    ("options", "body", "error", "words"),
    [
        ({"order": True, "eq": False}, {}, ValueError, "eq must be true if order is true"),
        ({"weakref_slot": True}, {}, TypeError, "weakref_slot is True but slots is False"),
        ({"no_such_option": True}, {}, TypeError, "unexpected keyword argument 'no_such_option'"),
        ({"order": True}, {"__lt__": None}, TypeError, "Cannot overwrite attribute __lt__ in class A"),
        ({}, {"__setattr__": None}, TypeError, "Cannot overwrite attribute __setattr__ in class A"),
        ({"unsafe_hash": True}, {"__hash__": hash}, TypeError, "Cannot overwrite attribute __hash__ in class A"),
        ({"slots": True}, {"__slots__": ("x",)}, TypeError, "A already specifies __slots__"),
        *(({}, {"x": default}, ValueError, "mutable default") for default in ([], {}, set(), bytearray())),
        ({}, {"__annotations__": {"x": int, "y": int}, "x": 1}, TypeError, "argument 'y' follows default argument"),
    ],
)
def test_what_the_standard_library_refuses_is_refused(struct, options, body, error, words):
    body = {"__annotations__": {"x": int}, "__module__": __name__, **body}
    with pytest.raises(error, match=words):
        struct.dataclass(type("A", (), body), **options)


def test_fields_refuse_unknown_options_and_two_defaults(struct):
    for unknown in ("no_such_option", "converter"):
        with pytest.raises(TypeError, match=rf"field\(\) got an unexpected keyword argument '{unknown}'"):
            struct.field(**{unknown: int})
    with pytest.raises(ValueError, match="cannot specify both default and default_factory"):
        struct.field(default=1, default_factory=int)


@pytest.mark.parametrize("frozen", [True, False])
def test_frozen_and_mutable_do_not_mix(struct, frozen):
    @struct.dataclass(frozen=not frozen)
    class A:
        x: int = 1

    with pytest.raises(TypeError, match="frozen"):

        @struct.dataclass(frozen=frozen)
        class B(A):
            y: int = 2


def test_a_mutable_standard_dataclass_below_does_what_it_does_with_flax(struct):
    @struct.dataclass(frozen=False)
    @dataclasses.dataclass
    class A:
        x: int
        y: Any = 2

    @struct.dataclass
    @dataclasses.dataclass
    class B:
        x: int

    assert jax.tree.map(lambda leaf: leaf + 1, A(1)) == A(2, 3)
    with pytest.raises(dataclasses.FrozenInstanceError):
        B(1)


def test_an_unset_field_is_a_missing_attribute():
    @ours.dataclass
    class A:
        x: int
        y: int = ours.field(init=False)

    a = A(1)
    assert not hasattr(a, "y") and "y=" in structkit.pformat(a)
    with pytest.raises(AttributeError, match="'A' object has no attribute 'y'"):
        jax.tree.leaves(a)
    object.__setattr__(a, "y", 2)
    assert jax.tree.leaves(a) == [1, 2]
