"""Trap 11: `__slots__` in a class body, `__weakref__`, a real `__dict__`: no value is lost in silence."""

import copy
import dataclasses
import pickle
import types
import weakref
from typing import Any

import cloudpickle
import jax
import pytest

from structkit import Struct
from tests.models import assert_frozen

SLOTS = ["x", (), ("x", "y"), ("__weakref__",), ["x", "__weakref__"], ("__dict__",), {"x": "the x"}]


@pytest.mark.parametrize("slots", SLOTS, ids=str)
def test_slots_in_the_class_body_that_repeat_the_fields_or_what_every_struct_has_are_harmless(slots):
    class Slotted(Struct):
        __slots__ = slots
        x: Any
        y: Any = 3

    struct = Slotted(1)
    assert jax.tree.leaves(struct) == [1, 3] and vars(struct) == {"x": 1, "y": 3}
    assert Slotted.y == 3
    assert jax.tree.map(lambda x: x + 1, struct) == Slotted(2, 4)
    assert weakref.ref(struct)() is struct
    assert_frozen(struct)


def test_a_slot_that_is_no_field_and_a_mixin_with_slots_of_its_own_are_refused_by_name():
    class Slotted:
        __slots__ = ("hidden",)

    with pytest.raises(TypeError, match="_hidden"):

        class Bad(Struct):
            __slots__ = ("_hidden", "x")
            x: Any

    with pytest.raises(TypeError, match="Slotted"):

        class AlsoBad(Struct, Slotted):
            x: Any


class Remembers:
    def remember(self, value):
        self.memory = value


class Dynamic:
    __slots__ = ("__dict__",)

    remember = Remembers.remember


def custom_init(self, x):
    self.x = x
    with pytest.raises(AttributeError, match="memory"):
        self.remember(1)


@pytest.mark.parametrize("bases", [(Remembers, Struct), (Struct, Remembers), (Dynamic, Struct), (Struct, Dynamic)])
@pytest.mark.parametrize("init", [{}, {"__init__": custom_init}], ids=["generated init", "custom init"])
def test_a_value_that_a_mixin_keeps_beside_the_fields_is_refused_loudly(bases, init):
    body = {"__annotations__": {"x": Any}, "__module__": __name__, **init}
    struct = types.new_class("Mixed", bases, exec_body=lambda namespace: namespace.update(body))(1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        struct.remember(2)
    copies = [copy.copy(struct), copy.deepcopy(struct), pickle.loads(cloudpickle.dumps(struct)), struct.replace(x=1)]
    for made in (struct, *copies, jax.tree.map(lambda leaf: leaf, struct)):
        assert made == struct and vars(made) == made.__dict__ == {"x": 1}
        assert jax.tree.leaves(made) == [1]
        assert_frozen(made)
