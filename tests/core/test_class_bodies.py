"""Names of a class body that are the user's, those that are not, arrays that nobody annotated, and slots."""

import copy
import dataclasses
import pickle
import types
import weakref
from typing import Any, ClassVar

import cloudpickle
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from structkit import Struct, errors, fields
from tests.models import Point, assert_frozen


def define(name, value, *bases):
    return type(Struct)("A", (*bases, Struct), {"__annotations__": {"x": Any}, "__module__": __name__, name: value})


@pytest.mark.parametrize("value", [lambda self: 1, {}, "text", property(lambda self: 1)], ids=["method", *"dsp"])
@pytest.mark.parametrize(
    "name",
    [
        *("__cache__", "__cached__", "_cache", "_flat", "_fields", "flat", "struct", "plan", "children", "aux", "tree"),
        *("__weakref__", "__class__", "__name__", "__node__", "__slot__", "__fields__", "__dataclass_fields__"),
        *("__dataclass_params__", "__match_args__", "__struct_before__", "__pdoc__", "__rich_repr__", "__signature__"),
    ],
)
def test_a_name_of_the_body_is_the_users_and_breaks_no_object(name, value):
    A = define(name, value)
    one, other = A(1), A(5)
    assert (one.x, other.x, A(2).x) == (1, 5, 2)
    assert [f.name for f in fields(A)] == ["x"]
    assert jax.tree.map(lambda x: x + 1, one) == A(2) == one.replace(x=2) != one
    assert copy.copy(other) == copy.deepcopy(other) == other
    assert jax.tree.leaves(other) == [5] and hash(one) == hash(A(1))
    assert_frozen(one)


@pytest.mark.parametrize("name", ["__flat__", "__struct__"])
@pytest.mark.parametrize("value", [lambda self: 1, None, property(lambda self: 1), 5])
def test_the_names_that_structs_live_on_are_refused_in_a_body_and_in_a_mixin(name, value):
    mixin = type("Mixin", (), {name: value})
    for make in (lambda: define(name, value), lambda: define("y", 1, mixin), lambda: define("y", 1, mixin, Point)):
        with pytest.raises(errors.DefinitionError, match=f"^A: '{name}' is what structs keep their fields in; rename"):
            make()


each_array = pytest.mark.parametrize(
    "array",
    [jnp.ones(3), np.ones(3), jnp.float32(1), np.zeros(()), np.ma.ones(2), jax.random.key(0)],
    ids=["jnp", "np", "0", "np0", "masked", "key"],
)


@each_array
def test_arrays_in_a_value_without_an_annotation_are_refused(array):
    for value in ([array], (1, [array]), {1: array, "a": 2}, Point(array), [Point([array])]):
        with pytest.raises(errors.DefinitionError) as caught:
            define("table", value)
        assert str(caught.value) == (
            "A: 'table' is a value with arrays and without a type annotation, so they would be no leaves; write "
            "table: <type> = ... for a field, table: ClassVar[<type>] = ... for a constant of the class"
        )
    for value in ([1], {1: 2, "a": 3}, Point(1), Point, jnp.ones):
        assert define("table", value).table is value


@each_array
def test_an_array_without_an_annotation_is_refused_and_one_of_the_class_is_allowed(array):
    for define_one in (lambda: define("table", array), lambda: jax.jit(lambda x: define("table", x))(1.0)):
        with pytest.raises(errors.DefinitionError, match=r"^A: 'table' is an array without a type annotation, so it"):
            define_one()

    class Parent(Struct):
        x: Any
        table: ClassVar[Any] = array

        @property
        def first(self):
            return self.table

    class Child(Parent):
        table: ClassVar[Any] = 2 * jnp.ones(2)

    assert Parent.table is Parent(1).table is Parent(1).first is array
    assert jax.tree.leaves(Child(1)) == [1] and Child(1).first is Child.table

    class Mixin:
        table = array

    assert type(Struct)("B", (Mixin, Struct), {}).table is array


# What the standard library reads


@pytest.mark.parametrize(
    ("options", "differing"),
    [
        *(({}, {}), ({"repr": 0, "order": 1}, {"repr": False, "order": True})),
        *(({name: False}, {name: False}) for name in ("eq", "repr", "init", "frozen", "match_args")),
        *(({name: True}, {name: True}) for name in ("order", "kw_only")),
        ({"eq": False, "kw_only": True, "frozen": True}, {"eq": False, "kw_only": True}),
    ],
)
def test_dataclass_params_say_what_the_options_are(options, differing):
    class A(Struct, **options):
        x: Any = 1

    class Child(A, frozen=options.get("frozen", True)):
        y: Any = 1

    expected = dict.fromkeys(("init", "repr", "eq", "frozen", "match_args"), True) | {"order": False, "kw_only": False}
    for cls, values in ((A, expected | differing), (Child, expected | {"frozen": options.get("frozen", True)})):
        params = cls.__dataclass_params__
        assert {name: getattr(params, name) for name in values} == values
        assert (params.unsafe_hash, params.slots, params.weakref_slot) == (False, False, False)
    assert {name: getattr(Struct.__dataclass_params__, name) for name in expected} == expected


# JAX's registry


def test_what_the_registry_of_jax_says_is_heard_unless_it_is_of_a_class_that_it_knows():
    class Unhashable(type(Struct)):
        refusing = False

        def __hash__(cls):
            if Unhashable.refusing:
                raise ValueError("no key of a registry")
            return super().__hash__()

    class Registering:
        def __init_subclass__(cls):
            Unhashable.refusing = True

    try:
        with pytest.raises(ValueError, match="no key of a registry"):
            Unhashable("A", (Registering, Struct), {"__annotations__": {"x": Any}})
    finally:
        Unhashable.refusing = False

    class Known:
        def __init_subclass__(cls):
            jax.tree_util.register_pytree_node(
                cls, lambda me: ((me.x, 7), None), lambda aux, children: cls(children[0])
            )

    A = type(Struct)("A", (Known, Struct), {"__annotations__": {"x": Any}})
    assert jax.tree.leaves(A(1)) == [1, 7]


def test_a_constructor_that_a_hook_deletes_is_put_back():
    class Deleting:
        def __init_subclass__(cls):
            del cls.__init__

    class A(Deleting, Struct):
        x: Any

    assert A(1).x == 1


# Trap 11: `__slots__`, `__weakref__`, a real `__dict__`: no value is lost in silence


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
