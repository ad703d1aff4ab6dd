"""The whole text of every error, its data, and that a refused call leaves nothing behind."""

import copy
import dataclasses
import gc
import inspect
import linecache
import pickle
import sys
import types
import weakref
from abc import abstractmethod
from dataclasses import InitVar
from typing import Any, ClassVar

import cloudpickle
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import structkit
from structkit import Static, Struct, at, construct, derived, errors, field, fields, freeze, replace, static


class Linear(Struct):
    weight: Any
    bias: Any = 0.0
    activation: Any = static(default=jax.nn.relu)


class Forgetful(Struct):
    weight: Any
    bias: Any

    def __init__(self, given=()):
        for name in given:
            setattr(self, name, 1)


class ForgetfulHook(Struct):
    weight: Any
    norm: Any = derived()

    def __post_init__(self):
        pass


class ForgetfulChild(Forgetful):
    pass


class Nameless(Struct):
    weight: Any
    norm: Any = derived()


class Hasty(Struct):
    weight: Any
    bias: Any

    def __init__(self):
        self.weight = self.bias + 1


class Scaled(Struct):
    x: Any
    factor: InitVar[Any]
    scaled: Any = derived()

    def __post_init__(self, factor):
        self.scaled = self.x * factor


class Shape(Struct):
    side: Any

    @abstractmethod
    def area(self): ...


class Mutable(Struct, frozen=False):
    weight: Any = 1


class WithInit(Struct):
    weight: Any
    size: Static[Any] = 3

    def __init__(self, weight):
        self.weight = weight


class WithoutHash:
    __hash__ = None


class Holder(Struct):
    n: Static[Any]


def text_of(kind, misuse):
    with pytest.raises(kind) as error:
        misuse()
    assert type(error.value) is kind
    return str(error.value)


def define(annotations, bases=(Struct,), /, *, options=(), **values):
    body = {"__annotations__": annotations, "__module__": __name__, "__qualname__": "A", **values}
    return types.new_class("A", bases, dict(options), lambda namespace: namespace.update(body))


# Class definitions


@pytest.mark.parametrize(
    ("value", "type_name", "cure"),
    [
        ([], "list", "default_factory=list"),
        ({}, "dict", "default_factory=dict"),
        (set(), "set", "default_factory=set"),
        (bytearray(), "bytearray", "default_factory=bytearray"),
        (np.zeros(3), "ndarray", "default_factory=lambda: np.array(...), or a jax.Array"),
        (WithoutHash(), "WithoutHash", "default_factory=lambda: ..."),
        (Mutable(), "Mutable", "default_factory=lambda: ..."),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("write", [lambda value: value, lambda value: field(default=value)], ids=["plain", "field"])
def test_a_mutable_default_is_refused(value, type_name, cure, write):
    text = text_of(errors.MutableDefaultError, lambda: define({"x": Any}, x=write(value)))
    assert text == f"mutable default {type_name} for field 'x' of A is not allowed: use {cure}"


def test_a_mutable_default_that_holds_something_is_refused_with_a_cure_that_keeps_it():
    text = text_of(errors.MutableDefaultError, lambda: define({"x": Any}, x=[1, 2]))
    assert text == "mutable default list for field 'x' of A is not allowed: use default_factory=lambda: [1, 2]"


def test_a_mutable_default_of_a_static_field_is_refused():
    text = text_of(errors.MutableDefaultError, lambda: define({"x": Any}, x=static(default=[])))
    assert text == "mutable default list for field 'x' of A is not allowed: use default_factory=list"


def test_a_required_field_after_one_with_a_default_is_refused():
    text = text_of(errors.DefinitionError, lambda: define({"x": int, "y": int, "z": int}, x=1, y=2))
    assert text == (
        "A: non-default argument 'z' follows default argument 'y'; "
        "reorder the fields, give 'z' a default, or set kw_only=True"
    )


def test_a_required_field_after_an_inherited_default_is_refused():
    text = text_of(errors.DefinitionError, lambda: define({"scale": int}, (Linear,)))
    assert text == (
        "A: non-default argument 'scale' follows default argument 'activation'; "
        "reorder the fields, give 'scale' a default, or set kw_only=True"
    )


def test_an_unknown_class_option_is_refused_with_the_nearest_one():
    text = text_of(errors.DefinitionError, lambda: define({"x": int}, options={"frozn": True}))
    assert text == (
        "A: unknown class option 'frozn' (did you mean 'frozen'?); "
        "the options are init, repr, eq, order, frozen, kw_only, match_args; "
        "others need a base with __init_subclass__(frozn=...)"
    )


def test_an_unknown_class_option_without_a_near_one_is_refused():
    text = text_of(errors.DefinitionError, lambda: define({"x": int}, options={"zzz": True}))
    assert text == (
        "A: unknown class option 'zzz'; "
        "the options are init, repr, eq, order, frozen, kw_only, match_args; "
        "others need a base with __init_subclass__(zzz=...)"
    )


def test_an_unknown_class_option_is_named_next_to_one_that_a_base_takes():
    class Tagged:
        def __init_subclass__(cls, tag=None, **keywords):
            super().__init_subclass__(**keywords)

    options = {"tag": 1, "frozn": True}
    text = text_of(errors.DefinitionError, lambda: define({"x": int}, (Tagged, Struct), options=options))
    assert text == (
        "A: unknown class option 'frozn' (did you mean 'frozen'?); "
        "the options are init, repr, eq, order, frozen, kw_only, match_args; "
        "others need a base with __init_subclass__(frozn=...)"
    )


def test_a_class_option_that_is_no_bool_is_refused():
    text = text_of(errors.DefinitionError, lambda: define({"x": int}, options={"frozen": "no"}))
    assert text == "A: class option frozen='no' is not a bool; use True or False"


def test_order_without_eq_is_refused():
    text = text_of(errors.DefinitionError, lambda: define({"x": int}, options={"order": True, "eq": False}))
    assert text == "A: order=True needs ==; drop eq=False"


def test_order_over_a_comparison_of_the_user_is_refused():
    text = text_of(
        errors.DefinitionError, lambda: define({"x": int}, options={"order": True}, __lt__=lambda self, other: True)
    )
    assert text == "A: order=True would overwrite its __lt__; drop one of the two"


def test_a_child_of_a_mutable_struct_has_to_say_that_it_is_mutable():
    text = text_of(errors.DefinitionError, lambda: define({"x": int}, (Mutable,), x=1))
    assert text == (
        "A: a frozen struct cannot inherit from Mutable, which is mutable; write class A(Mutable, frozen=False)"
    )


def test_a_mutable_child_of_a_frozen_struct_with_fields_is_refused():
    text = text_of(errors.DefinitionError, lambda: define({"x": int}, (Linear,), options={"frozen": False}, x=1))
    assert text == (
        "A: a mutable struct cannot inherit fields from Linear, which is frozen; "
        "drop frozen=False, or make Linear mutable too"
    )


def test_a_mutable_dataclass_as_a_base_of_a_frozen_struct_is_refused():
    @dataclasses.dataclass
    class Standard:
        x: int

    text = text_of(errors.DefinitionError, lambda: define({"y": int}, (Standard, Struct)))
    assert text == (
        "A: a frozen struct cannot inherit from Standard, which is a mutable dataclass; "
        "make Standard a frozen dataclass or a Struct"
    )


def test_a_dataclass_decorator_on_a_struct_is_refused():
    text = text_of(errors.DefinitionError, lambda: dataclasses.dataclass(frozen=True)(define({"x": int})))
    assert text == "A: is a dataclass already, made by Struct; drop the dataclass decorator"


def test_a_field_without_an_annotation_is_refused():
    text = text_of(errors.DefinitionError, lambda: define({"x": int}, y=field(default=1)))
    assert text == "A: 'y' is a field but has no type annotation; write y: <type> = field(...)"
    text = text_of(errors.DefinitionError, lambda: define({"x": int}, y=dataclasses.field(default=1)))
    assert text == "A: 'y' is a field but has no type annotation; write y: <type> = field(...)"


def test_a_class_var_with_a_field_is_refused():
    text = text_of(errors.DefinitionError, lambda: define({"x": ClassVar[int]}, x=field(default=1)))
    assert text == "A: ClassVar 'x' has a field(...); give it a plain value"


def test_a_second_kw_only_is_refused():
    kw_only = dataclasses.KW_ONLY
    text = text_of(errors.DefinitionError, lambda: define({"a": int, "_": kw_only, "b": int, "__": kw_only}))
    assert text == "A: '__' is a second KW_ONLY; keep the first one"


def test_an_init_var_with_a_default_factory_or_static_is_refused():
    expected = "A: InitVar 'x' cannot be static or have a default_factory; use a default"
    for value in (field(default_factory=list), static(default=1)):
        assert text_of(errors.DefinitionError, lambda value=value: define({"x": InitVar[int]}, x=value)) == expected


def test_a_name_that_cannot_be_a_field_is_refused():
    for name in ("class", "__flat__"):
        text = text_of(errors.DefinitionError, lambda name=name: define({name: int}))
        assert text == f"A: {name!r} cannot be a field's name; choose another name"


def test_both_a_default_and_a_factory_are_refused():
    text = text_of(ValueError, lambda: field(default=1, default_factory=int))
    assert text == "cannot specify both default and default_factory; keep the one that is meant"


def test_slots_that_are_no_fields_are_refused():
    text = text_of(errors.DefinitionError, lambda: define({"x": int}, __slots__=("x", "y")))
    assert text == "A: __slots__ names 'y', which is no field; annotate it: y: ..."


class DataSide(Struct):
    x: int


class StaticSide(Struct):
    x: Static[int]


class InitVarSide(Struct):
    y: Any = derived()
    x: InitVar[int] = 1

    def __post_init__(self, x):
        self.y = x


@dataclasses.dataclass(frozen=True)
class StandardStaticSide:
    x: int = dataclasses.field(metadata={"static": True})


@pytest.mark.parametrize("bases", [(DataSide, StaticSide), (StaticSide, DataSide)])
def test_a_field_of_different_kinds_in_two_bases_is_refused(bases):
    text = text_of(errors.DefinitionError, lambda: define({}, bases))
    assert text == (
        "A: field 'x' is a data field in DataSide and static in StaticSide; "
        "declare it in A with field(static=True) or field(static=False)"
    )


def test_a_field_that_is_static_in_a_dataclass_and_data_in_a_struct_is_refused():
    text = text_of(errors.DefinitionError, lambda: define({}, (StandardStaticSide, DataSide)))
    assert text == (
        "A: field 'x' is a data field in DataSide and static in StandardStaticSide; "
        "declare it in A with field(static=True) or field(static=False)"
    )


def test_a_field_of_different_kinds_deeper_in_two_bases_is_refused():
    left, right = define({"a": int}, (DataSide,)), define({"b": int}, (StaticSide,))
    left.__name__, right.__name__ = "Left", "Right"
    text = text_of(errors.DefinitionError, lambda: define({}, (left, right)))
    assert text == (
        "A: field 'x' is a data field in Left and static in Right; "
        "declare it in A with field(static=True) or field(static=False)"
    )


def test_a_field_of_different_kinds_in_two_bases_is_accepted_once_the_class_decides():
    for decided in (True, False):
        A = define({"x": int}, (DataSide, StaticSide), x=field(static=decided))
        assert [f.static for f in fields(A)] == [decided]
        assert A(1).x == 1


@pytest.mark.parametrize("bases", [(DataSide, InitVarSide), (InitVarSide, DataSide)])
def test_a_name_that_is_a_field_in_one_base_and_an_init_var_in_another_is_refused(bases):
    text = text_of(errors.DefinitionError, lambda: define({}, bases))
    assert "'x'" in text
    assert "DataSide" in text
    assert "InitVarSide" in text


def test_an_init_var_in_the_place_of_a_field_of_a_parent_is_refused():
    text = text_of(errors.DefinitionError, lambda: define({"x": InitVar[int]}, (DataSide,)))
    assert "'x'" in text
    assert text.startswith("A: ")


def test_a_class_var_in_the_place_of_a_field_of_a_parent_is_refused():
    for values in ({}, {"x": 3}):
        text = text_of(
            errors.DefinitionError, lambda values=values: define({"x": ClassVar[int]}, (DataSide,), **values)
        )
        assert "'x'" in text
        assert "ClassVar" in text


def test_a_field_set_on_the_class_is_refused():
    text = text_of(errors.DefinitionError, lambda: setattr(Linear, "bias", 3))
    assert text == "Linear: 'bias' is a field and cannot be set on the class; change the default in the body"


# Constructing


def test_a_missing_argument_is_refused_with_the_name_of_the_class():
    text = text_of(TypeError, lambda: Linear())
    assert text == "Linear.__init__() missing 1 required positional argument: 'weight'"


def test_an_unknown_argument_is_refused_with_the_name_of_the_class():
    text = text_of(TypeError, lambda: Linear(1, wieght=2))
    # Python adds the nearest name from some version on.
    assert text.startswith("Linear.__init__() got an unexpected keyword argument 'wieght'")


def test_too_many_arguments_are_refused_with_the_name_of_the_class():
    text = text_of(TypeError, lambda: Linear(1, 2, 3, 4))
    assert text == "Linear.__init__() takes from 2 to 4 positional arguments but 5 were given"


def test_arguments_of_a_struct_without_fields_are_refused_with_its_name():
    text = text_of(TypeError, lambda: Empty(1))
    assert text == "Empty.__init__() takes 1 positional argument but 2 were given"


class Empty(Struct):
    pass


def test_a_field_that_a_custom_init_leaves_unset_is_refused():
    expected = "Forgetful.__init__ left field 'bias' of Forgetful unset; set each one or declare a default"
    assert text_of(errors.MissingFieldError, lambda: Forgetful(["weight"])) == expected


def test_fields_that_a_custom_init_leaves_unset_are_refused():
    expected = "Forgetful.__init__ left fields 'weight', 'bias' of Forgetful unset; set each one or declare a default"
    assert text_of(errors.MissingFieldError, lambda: Forgetful()) == expected


def test_a_field_that_a_post_init_leaves_unset_is_refused():
    expected = "ForgetfulHook.__post_init__ left field 'norm' of ForgetfulHook unset; set each one or declare a default"
    assert text_of(errors.MissingFieldError, lambda: ForgetfulHook(1)) == expected


def test_a_field_that_an_inherited_init_leaves_unset_is_refused():
    expected = "ForgetfulChild.__init__ left field 'bias' of ForgetfulChild unset; set each one or declare a default"
    assert text_of(errors.MissingFieldError, lambda: ForgetfulChild(["weight"])) == expected


def test_a_derived_field_that_nothing_sets_is_refused():
    expected = "Nameless.__init__ left field 'norm' of Nameless unset; set each one or declare a default"
    assert text_of(errors.MissingFieldError, lambda: Nameless(1)) == expected


def test_reading_a_field_before_it_is_set_names_it():
    expected = "Hasty.bias is read before it is set; assign self.bias first"
    assert text_of(errors.UnsetFieldError, lambda: Hasty()) == expected


def test_an_abstract_struct_has_no_objects():
    with pytest.raises(TypeError) as error:
        Shape(1)
    # The text is Python's own, and it changed once.
    if sys.version_info >= (3, 12):
        expected = "Can't instantiate abstract class Shape without an implementation for abstract method 'area'"
    else:
        expected = "Can't instantiate abstract class Shape with abstract method area"
    assert str(error.value) == expected


def test_struct_itself_has_no_objects():
    expected = "Struct is a base class and has no instances; inherit from it: class Model(Struct): x: jax.Array"
    for misuse in (lambda: Struct(), lambda: Struct(1), lambda: Struct(x=1)):
        assert text_of(errors.BaseInstantiationError, misuse) == expected


def test_construct_makes_no_object_of_struct_itself_either():
    expected = "Struct is a base class and has no instances; inherit from it: class Model(Struct): x: jax.Array"
    assert text_of(errors.BaseInstantiationError, lambda: construct(Struct)) == expected


# Assigning


def test_assignment_is_refused():
    expected = "cannot assign to field 'bias': Linear is frozen; make a changed copy with .replace(bias=...)"
    assert text_of(errors.FrozenInstanceError, lambda: setattr(Linear(1), "bias", 2)) == expected


def test_assignment_to_an_unknown_name_is_refused():
    expected = "cannot assign to field 'baias': Linear is frozen and has no field of this name"
    assert text_of(errors.FrozenInstanceError, lambda: setattr(Linear(1), "baias", 2)) == expected


def test_deletion_is_refused():
    expected = "cannot delete field 'bias': Linear keeps all of its fields"
    assert text_of(errors.FrozenInstanceError, lambda: delattr(Linear(1), "bias")) == expected


def test_assignment_of_an_unknown_name_to_a_mutable_struct_is_refused():
    text = text_of(errors.UnknownAttributeError, lambda: setattr(Mutable(), "weigth", 2))
    assert text == (
        "Mutable has no field 'weigth' (did you mean 'weight'?); declare it in the class body: weigth: <type>"
    )


def test_assignment_of_an_unknown_name_in_an_init_is_refused():
    text = text_of(errors.UnknownAttributeError, lambda: Forgetful(["zzz"]))
    assert text == "Forgetful has no field 'zzz'; declare it in the class body: zzz: <type>"


def test_reading_an_unknown_attribute_is_pythons_own_error():
    assert text_of(AttributeError, lambda: Linear(1).zzz) == "'Linear' object has no attribute 'zzz'"


def test_reading_a_field_without_a_default_from_the_class_says_so():
    text = text_of(AttributeError, lambda: Linear.weight)
    assert text == "type object 'Linear' has no attribute 'weight': the field has no default"


# Updating


@pytest.mark.parametrize(
    "update",
    [lambda obj, **changes: obj.replace(**changes), replace, lambda obj, **changes: obj.__replace__(**changes)],
    ids=["method", "function", "__replace__"],
)
def test_an_unknown_field_in_replace_is_refused(update):
    text = text_of(errors.UnknownFieldError, lambda: update(Linear(1), weigth=2))
    assert text == "replace: Linear has no field 'weigth' (did you mean 'weight'?) (fields: weight, bias, activation)"


@pytest.mark.skipif(sys.version_info < (3, 13), reason="copy.replace came with Python 3.13")
def test_an_unknown_field_in_copy_replace_is_refused():
    text = text_of(errors.UnknownFieldError, lambda: copy.replace(Linear(1), weigth=2))
    assert text == "replace: Linear has no field 'weigth' (did you mean 'weight'?) (fields: weight, bias, activation)"


def test_an_unknown_field_in_dataclasses_replace_is_refused_by_the_constructor():
    text = text_of(TypeError, lambda: dataclasses.replace(Linear(1), weigth=2))
    assert text.startswith("Linear.__init__() got an unexpected keyword argument 'weigth'")


@pytest.mark.parametrize("obj", [Scaled(1, 2), WithInit(1)], ids=["post init", "custom init"])
def test_an_unknown_field_in_replace_is_refused_for_classes_with_hooks(obj):
    known = ", ".join(f.name for f in fields(obj))
    text = text_of(errors.UnknownFieldError, lambda: obj.replace(qqq=2))
    assert text == f"replace: {type(obj).__name__} has no field 'qqq' (fields: {known})"


def test_a_field_that_replace_cannot_change_says_what_can_be_done():
    text = text_of(errors.NotReplaceableError, lambda: Scaled(1, 2).replace(scaled=3, factor=1))
    assert text == (
        "replace: field 'scaled' of Scaled is not an __init__ parameter; "
        "change what it is computed from, or use at(...).set(...)"
    )


def test_an_init_var_that_replace_needs_is_named():
    text = text_of(errors.NotReplaceableError, lambda: Scaled(1, 2).replace(x=3))
    assert text == "replace: field 'factor' of Scaled is an InitVar, which is not kept; pass it again"


def test_an_unknown_field_in_construct_is_refused():
    text = text_of(errors.UnknownFieldError, lambda: construct(Linear, weigth=2))
    assert text == (
        "construct: Linear has no field 'weigth' (did you mean 'weight'?) (fields: weight, bias, activation)"
    )


def test_an_unknown_field_of_a_struct_without_fields_is_refused():
    assert text_of(errors.UnknownFieldError, lambda: Empty().replace(x=1)) == (
        "replace: Empty has no field 'x' (fields: none)"
    )


def test_a_missing_field_in_construct_is_refused():
    text = text_of(errors.MissingFieldError, lambda: construct(Linear))
    assert text == "construct(Linear, ...) left field 'weight' of Linear unset; set each one or declare a default"


@pytest.mark.parametrize(
    ("misuse", "text"),
    [
        (lambda: replace(3), "replace takes a Struct, not int"),
        (lambda: replace({"a": 1}, a=2), "replace takes a Struct, not dict"),
        (lambda: fields(3), "fields takes a Struct, not int"),
        (lambda: fields([Linear]), "fields takes a Struct, not list"),
        (lambda: fields(int), "fields takes a Struct, not the class int"),
        (lambda: construct(int), "construct takes a Struct, not the class int"),
        (lambda: construct(3), "construct takes a Struct, not int"),
    ],
)
def test_what_is_no_struct_is_refused(misuse, text):
    assert text_of(errors.NotAStructError, misuse) == f"{text}; inherit from structkit.Struct to make one"


def test_construct_refuses_an_object_in_the_place_of_a_class():
    with pytest.raises(errors.NotAStructError):
        construct(Linear(1), weight=2)


# Statics


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (jnp.ones(3), "a jax array: arrays belong in a data field: drop static"),
        (np.ones(3), "a numpy array: use a data field, or static(converter=freeze)"),
        ([1], "a list: use a data field, a tuple, or static(converter=freeze)"),
        ({}, "a dict: use a data field, or static(converter=freeze)"),
        (set(), "a set: use a data field, a frozenset, or static(converter=freeze)"),
        (WithoutHash(), "an unhashable WithoutHash: use a data field, or give its class __hash__ and __eq__"),
        (float("nan"), "NaN: it equals nothing, so every call would be traced anew; use a data field or None"),
    ],
    ids=["jax array", "numpy array", "list", "dict", "set", "unhashable", "NaN"],
)
def test_what_cannot_be_static_is_refused(value, text):
    expected = f"static field Holder.n cannot hold {text}"
    assert text_of(errors.StaticValueError, lambda: Holder(value)) == expected


def test_a_tracer_cannot_be_static():
    text = text_of(errors.StaticValueError, lambda: jax.jit(Holder)(1))
    assert text == (
        "static field Holder.n cannot hold a tracer: values that depend on traced arrays belong in a data field"
    )


def test_hashing_an_array_names_the_field():
    text = text_of(errors.UnhashableFieldError, lambda: hash(Linear(1, jnp.ones(3))))
    assert text == (
        "unhashable field 'bias' of Linear: ArrayImpl has no hash; "
        "declare it with field(hash=False), or hash the fields you need"
    )


# The errors themselves


RAISED = {
    "FrozenInstanceError": lambda: setattr(Linear(1), "bias", 2),
    "FrozenInstanceError of an unknown name": lambda: setattr(Linear(1), "zzz", 2),
    "FrozenInstanceError of a deletion": lambda: delattr(Linear(1), "bias"),
    "UnknownAttributeError": lambda: setattr(Mutable(), "weigth", 2),
    "UnsetFieldError": lambda: Hasty(),
    "MissingFieldError": lambda: Forgetful(),
    "UnknownFieldError": lambda: Linear(1).replace(weigth=1),
    "NotReplaceableError": lambda: Scaled(1, 2).replace(x=3),
    "StaticValueError": lambda: Holder([1]),
    "UnhashableFieldError": lambda: hash(Linear(jnp.ones(3))),
    "NotAStructError": lambda: replace(3),
    "BaseInstantiationError": lambda: Struct(),
    "DefinitionError": lambda: define({"x": int, "y": int}, x=1),
    "MutableDefaultError": lambda: define({"x": int}, x=[]),
    "FreezeError": lambda: freeze({"a": jnp.ones(3)}),
    "PlaceError": lambda: at(Linear(1), lambda tree: tree.zzz),
}


def raised(misuse):
    try:
        misuse()
    except errors.StructError as error:
        return error
    raise AssertionError("the misuse should have raised")


def test_every_error_of_the_module_is_raised_here():
    kinds = {
        name for name, kind in vars(errors).items() if isinstance(kind, type) and kind.__module__ == errors.__name__
    }
    assert kinds - {"StructError"} == {type(raised(misuse)).__name__ for misuse in RAISED.values()}


@pytest.mark.parametrize("misuse", RAISED.values(), ids=RAISED.keys())
@pytest.mark.parametrize(
    "duplicate",
    [
        copy.copy,
        copy.deepcopy,
        *(lambda error, protocol=protocol: pickle.loads(pickle.dumps(error, protocol)) for protocol in (2, 4, 5)),
        lambda error: pickle.loads(cloudpickle.dumps(error)),
    ],
    ids=["copy", "deepcopy", "pickle 2", "pickle 4", "pickle 5", "cloudpickle"],
)
def test_every_error_copies_and_pickles_with_its_data(misuse, duplicate):
    error = raised(misuse)
    made = duplicate(error)
    assert type(made) is type(error)
    assert str(made) == str(error)
    assert vars(made) == vars(error)


@pytest.mark.parametrize("misuse", RAISED.values(), ids=RAISED.keys())
def test_every_error_carries_plain_data_and_fits_on_one_line(misuse):
    error = raised(misuse)
    plain = (str, bool, int, type(None))
    for value in vars(error).values():
        assert isinstance(value, plain) or (type(value) is tuple and all(isinstance(item, plain) for item in value))
    for value in error.args:
        assert isinstance(value, plain) or (type(value) in (tuple, list) and all(isinstance(v, plain) for v in value))
    assert "\n" not in str(error)
    assert len(str(error)) < 250
    assert isinstance(error, errors.StructError)


def test_an_error_about_a_class_with_lambdas_pickles():
    class Local(Struct):
        weight: Any = field(default_factory=lambda: 1, converter=lambda value: value)

    class LocalMutable(Struct, frozen=False):
        weight: Any = static(default=lambda: 1)

    for misuse in (
        lambda: Local().replace(weigth=1),
        lambda: construct(Local, weigth=1),
        lambda: setattr(LocalMutable(), "weigth", 1),
    ):
        error = raised(misuse)
        assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_the_kinds_follow_the_standard_library():
    for name, kind in {
        "FrozenInstanceError": dataclasses.FrozenInstanceError,
        "UnknownAttributeError": AttributeError,
        "UnsetFieldError": AttributeError,
        "MissingFieldError": TypeError,
        "UnknownFieldError": TypeError,
        "NotReplaceableError": TypeError,
        "StaticValueError": TypeError,
        "UnhashableFieldError": TypeError,
        "NotAStructError": TypeError,
        "BaseInstantiationError": TypeError,
        "DefinitionError": TypeError,
        "MutableDefaultError": ValueError,
        "FreezeError": TypeError,
        "PlaceError": LookupError,
    }.items():
        assert issubclass(getattr(errors, name), kind)
        assert issubclass(getattr(errors, name), errors.StructError)
        assert inspect.getdoc(getattr(errors, name))
    assert structkit.StructError is errors.StructError


def test_no_error_is_chained_to_machinery():
    for misuse in RAISED.values():
        error = raised(misuse)
        assert error.__cause__ is None
        assert error.__context__ is None or error.__suppress_context__


# Nothing is left behind


class Refusing(Struct):
    def __init_subclass__(cls, **keywords):
        raise TypeError("refused")


REFUSED_CLASSES = (
    lambda name: define({"x": int, name: int}, x=[]),
    lambda name: define({"x": int, name: int}, x=1),
    lambda name: define({name: int}, options={"frozn": True}),
    lambda name: define({name: int}, __slots__=("other",)),
    lambda name: define({name: int}, options={"order": True}, __lt__=lambda self, other: True),
    lambda name: define({name: int}, (Struct, int)),
    lambda name: define({name: int}, (DataSide, StaticSide)),
    lambda name: define({name: int}, **{name: static(default=jnp.ones(3))}),
    lambda name: define({name: int}, (Refusing,)),
)


def test_a_refused_class_leaves_no_subclass_and_no_source_behind():
    gc.collect()
    before, sources = set(Struct.__subclasses__()), set(linecache.cache)
    for i, misuse in enumerate(REFUSED_CLASSES):
        with pytest.raises((TypeError, ValueError)):
            misuse(f"left_behind_{i}")
    gc.collect()
    assert set(Struct.__subclasses__()) <= before
    added = set(linecache.cache) - sources
    left = {
        i for i in range(len(REFUSED_CLASSES)) for name in added if f"left_behind_{i}" in str(linecache.cache[name])
    }
    assert left == set()


def test_a_class_can_be_defined_after_it_was_refused():
    with pytest.raises(errors.DefinitionError):
        define({"x": int, "y": int}, x=1)
    A = define({"x": int, "y": int}, y=1)
    assert jax.tree.leaves(A(5)) == [5, 1]
    assert "children = (x, y)" in inspect.getsource(A.__init__)


def test_a_refused_class_leaves_its_parent_alone():
    with pytest.raises(errors.DefinitionError):
        define({"scale": int}, (Linear,))
    assert [f.name for f in fields(Linear)] == ["weight", "bias", "activation"]
    assert jax.tree.leaves(Linear(1, 2)) == [1, 2]
    assert Linear.__subclasses__() == []


def test_a_refused_replace_leaves_the_original_alone():
    for obj, changes in [
        (Linear(1, 2), {"weight": 5, "weigth": 6}),
        (Linear(1, 2), {"weight": 5, "activation": [1]}),
        (Scaled(1, factor=2), {"x": 5, "scaled": 6, "factor": 1}),
        (WithInit(1), {"weight": 5, "size": [1]}),
        (WithInit(1), {"weight": 5, "zzz": 1}),
        (Mutable(1), {"weight": 5, "zzz": 1}),
    ]:
        before, leaves, structure = vars(obj), jax.tree.leaves(obj), jax.tree.structure(obj)
        with pytest.raises(errors.StructError):
            obj.replace(**changes)
        assert vars(obj) == before
        assert jax.tree.leaves(obj) == leaves
        assert jax.tree.structure(obj) == structure


def test_a_refused_assignment_leaves_the_object_alone():
    obj = Linear(1, 2)
    for misuse in (
        lambda: setattr(obj, "weight", 5),
        lambda: setattr(obj, "zzz", 5),
        lambda: delattr(obj, "weight"),
        lambda: delattr(obj, "zzz"),
    ):
        with pytest.raises(errors.FrozenInstanceError):
            misuse()
    assert vars(obj) == {"weight": 1, "bias": 2, "activation": jax.nn.relu}
    assert obj == Linear(1, 2)


def test_a_refused_object_is_collected():
    class Payload:
        pass

    payload = Payload()
    reference = weakref.ref(payload)
    for misuse in (
        lambda payload: Forgetful([payload]),
        lambda payload: Holder([payload]),
        lambda payload: Linear(payload).replace(zzz=payload),
        lambda payload: construct(Linear, weight=payload, zzz=payload),
        lambda payload: setattr(Linear(payload), "weight", payload),
    ):
        with pytest.raises((errors.StructError, TypeError)):
            misuse(payload)
    del payload
    gc.collect()
    assert reference() is None


def test_a_refused_freeze_leaves_its_argument_alone():
    value = {"a": [1], "b": jnp.ones(3)}
    with pytest.raises(errors.FreezeError):
        freeze(value)
    assert list(value) == ["a", "b"]
    assert value["a"] == [1]


def test_an_error_inside_jit_leaves_the_function_usable():
    @jax.jit
    def run(x, good):
        return Linear(x).replace(**({"bias": 1.0} if good.shape == (1,) else {"zzz": 1.0})).bias

    with pytest.raises(errors.UnknownFieldError):
        run(1.0, jnp.ones(2))
    assert run(1.0, jnp.ones(1)) == 1.0
