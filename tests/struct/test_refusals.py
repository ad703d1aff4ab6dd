"""What is refused, and with what words."""

import dataclasses
import enum
from typing import Any, NamedTuple

import jax
import pytest

import structkit
from structkit import Struct, struct as ours
from structkit.errors import DefinitionError


class Colour(enum.Enum):
    RED = 1


class Pair(NamedTuple):
    x: int


@dataclasses.dataclass(frozen=True)
class Frozen:
    x: int


class Already(Struct):
    x: int


class Converted:
    x: Any = structkit.field(converter=int)


class ConvertedElsewhere:
    x: Any = dataclasses.field(metadata={"converter": int})


Converted.__annotations__ = ConvertedElsewhere.__annotations__ = {"x": Any}


@pytest.mark.parametrize(
    ("cls", "cure"),
    [
        (Colour, "drop the decorator"),
        (Pair, "drop the decorator"),
        (Frozen, "drop dataclasses.dataclass"),
        (Already, "drop the decorator"),
        (Converted, "inherit from Struct"),
        (ConvertedElsewhere, "inherit from Struct"),
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
    ("options", "error"),
    [
        ({"order": True, "eq": False}, ValueError),
        ({"weakref_slot": True}, TypeError),
        ({"no_such_option": True}, TypeError),
    ],
)
def test_options_are_refused_that_the_standard_library_refuses(struct, options, error):
    with pytest.raises(error):

        @struct.dataclass(**options)
        class A:
            x: int


@pytest.mark.parametrize(
    ("options", "name"), [({"order": True}, "__lt__"), ({}, "__setattr__"), ({"unsafe_hash": True}, "__hash__")]
)
def test_methods_are_refused_that_an_option_would_overwrite(struct, options, name):
    body = {"__annotations__": {"x": int}, "__module__": __name__, name: lambda self, *others: 0}
    with pytest.raises(TypeError, match=f"Cannot overwrite attribute {name} in class A"):
        struct.dataclass(type("A", (), body), **options)


def test_slots_are_not_named_twice(struct):
    with pytest.raises(TypeError, match="A already specifies __slots__"):

        @struct.dataclass(slots=True)
        class A:
            __slots__ = ("x",)
            x: int


@pytest.mark.parametrize("default", [[], {}, set(), bytearray()])
def test_mutable_defaults_are_refused(struct, default):
    with pytest.raises(ValueError, match="mutable default"):

        @struct.dataclass
        class A:
            x: Any = default


def test_fields_refuse_unknown_options_and_two_defaults(struct):
    for unknown in ("no_such_option", "converter"):
        with pytest.raises(TypeError, match=rf"field\(\) got an unexpected keyword argument '{unknown}'"):
            struct.field(**{unknown: int})
    with pytest.raises(ValueError, match="cannot specify both default and default_factory"):
        struct.field(default=1, default_factory=int)


def test_required_after_default_is_refused(struct):
    with pytest.raises(TypeError, match="non-default argument 'y' follows default argument"):

        @struct.dataclass
        class A:
            x: int = 1
            y: int


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


def test_a_frozen_object_refuses_writes_with_the_words_of_the_standard_library(struct):
    @struct.dataclass
    class A:
        x: int

    for write in (lambda a: setattr(a, "x", 1), lambda a: delattr(a, "x"), lambda a: setattr(a, "other", 1)):
        with pytest.raises(dataclasses.FrozenInstanceError, match=r"^cannot (assign to|delete) field '(x|other)'$"):
            write(A(1))
        with pytest.raises(dataclasses.FrozenInstanceError):
            write(jax.tree.map(lambda leaf: leaf, A(1)))
