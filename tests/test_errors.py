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
from tests.models import Empty


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


class DataSide(Struct):
    x: int


class StaticSide(Struct):
    x: Static[int]


class DataChild(DataSide):
    a: int


class StaticChild(StaticSide):
    b: int


class InitVarSide(Struct):
    y: Any = derived()
    x: InitVar[int] = 1

    def __post_init__(self, x):
        self.y = x


@dataclasses.dataclass(frozen=True)
class StandardStaticSide:
    x: int = dataclasses.field(metadata={"static": True})


@dataclasses.dataclass
class MutableStandard:
    x: int


class Tagged:
    def __init_subclass__(cls, tag=None, **keywords):
        super().__init_subclass__(**keywords)


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
        ([1, 2], "list", "default_factory=lambda: [1, 2]"),
        ({}, "dict", "default_factory=dict"),
        (set(), "set", "default_factory=set"),
        (bytearray(), "bytearray", "default_factory=bytearray"),
        (np.zeros(3), "ndarray", "default_factory=lambda: np.array(...), or a jax.Array"),
        (WithoutHash(), "WithoutHash", "default_factory=lambda: ..."),
        (Mutable(), "Mutable", "default_factory=lambda: ..."),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize(
    "write",
    [lambda value: value, lambda value: field(default=value), lambda value: static(default=value)],
    ids=["plain", "field", "static"],
)
def test_a_mutable_default_is_refused(value, type_name, cure, write):
    text = text_of(errors.MutableDefaultError, lambda: define({"x": Any}, x=write(value)))
    assert text == f"mutable default {type_name} for field 'x' of A is not allowed: use {cure}"


OPTIONS = (
    "the options are init, repr, eq, order, frozen, kw_only, match_args; "
    "others need a base with __init_subclass__({}=...)"
)
CURE_OF_KINDS = "declare it in A with field(static=True) or field(static=False)"

DEFINITIONS = {
    "a required field after one with a default": (
        lambda: define({"x": int, "y": int, "z": int}, x=1, y=2),
        "non-default argument 'z' follows default argument 'y'; "
        "reorder the fields, give 'z' a default, or set kw_only=True",
    ),
    "a required field after an inherited default": (
        lambda: define({"scale": int}, (Linear,)),
        "non-default argument 'scale' follows default argument 'activation'; "
        "reorder the fields, give 'scale' a default, or set kw_only=True",
    ),
    "an unknown option with a near one": (
        lambda: define({"x": int}, options={"frozn": True}),
        f"unknown class option 'frozn' (did you mean 'frozen'?); {OPTIONS.format('frozn')}",
    ),
    "an unknown option without a near one": (
        lambda: define({"x": int}, options={"zzz": True}),
        f"unknown class option 'zzz'; {OPTIONS.format('zzz')}",
    ),
    "an unknown option next to one that a base takes": (
        lambda: define({"x": int}, (Tagged, Struct), options={"tag": 1, "frozn": True}),
        f"unknown class option 'frozn' (did you mean 'frozen'?); {OPTIONS.format('frozn')}",
    ),
    "an option that is no bool": (
        lambda: define({"x": int}, options={"frozen": "no"}),
        "class option frozen='no' is not a bool; use True or False",
    ),
    "order without eq": (
        lambda: define({"x": int}, options={"order": True, "eq": False}),
        "order=True needs ==; drop eq=False",
    ),
    "order over a comparison of the user": (
        lambda: define({"x": int}, options={"order": True}, __lt__=lambda self, other: True),
        "order=True would overwrite its __lt__; drop one of the two",
    ),
    "a child of a mutable struct that does not say so": (
        lambda: define({"x": int}, (Mutable,), x=1),
        "a frozen struct cannot inherit from Mutable, which is mutable; write class A(Mutable, frozen=False)",
    ),
    "a mutable child of a frozen struct with fields": (
        lambda: define({"x": int}, (Linear,), options={"frozen": False}, x=1),
        "a mutable struct cannot inherit fields from Linear, which is frozen; "
        "drop frozen=False, or make Linear mutable too",
    ),
    "a mutable dataclass as a base": (
        lambda: define({"y": int}, (MutableStandard, Struct)),
        "a frozen struct cannot inherit from MutableStandard, which is a mutable dataclass; "
        "make MutableStandard a frozen dataclass or a Struct",
    ),
    "a dataclass decorator": (
        lambda: dataclasses.dataclass(frozen=True)(define({"x": int})),
        "is a dataclass already, made by Struct; drop the dataclass decorator",
    ),
    "a field without an annotation": (
        lambda: define({"x": int}, y=field(default=1)),
        "'y' is a field but has no type annotation; write y: <type> = field(...)",
    ),
    "a field of dataclasses without an annotation": (
        lambda: define({"x": int}, y=dataclasses.field(default=1)),
        "'y' is a field but has no type annotation; write y: <type> = field(...)",
    ),
    "a class variable with a field": (
        lambda: define({"x": ClassVar[int]}, x=field(default=1)),
        "ClassVar 'x' has a field(...); give it a plain value",
    ),
    "a second KW_ONLY": (
        lambda: define({"a": int, "_": dataclasses.KW_ONLY, "b": int, "__": dataclasses.KW_ONLY}),
        "'__' is a second KW_ONLY; keep the first one",
    ),
    "an InitVar with a default factory": (
        lambda: define({"x": InitVar[int]}, x=field(default_factory=list)),
        "InitVar 'x' cannot be static or have a default_factory; use a default",
    ),
    "a static InitVar": (
        lambda: define({"x": InitVar[int]}, x=static(default=1)),
        "InitVar 'x' cannot be static or have a default_factory; use a default",
    ),
    "a keyword as a name": (lambda: define({"class": int}), "'class' cannot be a field's name; choose another name"),
    "the name of a slot": (
        lambda: define({"__flat__": int}),
        "'__flat__' cannot be a field's name; choose another name",
    ),
    "slots that are no fields": (
        lambda: define({"x": int}, __slots__=("x", "y")),
        "__slots__ names 'y', which is no field; annotate it: y: ...",
    ),
    "data in the first base and static in the second": (
        lambda: define({}, (DataSide, StaticSide)),
        f"field 'x' is a data field in DataSide and static in StaticSide; {CURE_OF_KINDS}",
    ),
    "static in the first base and data in the second": (
        lambda: define({}, (StaticSide, DataSide)),
        f"field 'x' is a data field in DataSide and static in StaticSide; {CURE_OF_KINDS}",
    ),
    "data and static deeper in the bases": (
        lambda: define({}, (DataChild, StaticChild)),
        f"field 'x' is a data field in DataChild and static in StaticChild; {CURE_OF_KINDS}",
    ),
    "static in a dataclass and data in a struct": (
        lambda: define({}, (StandardStaticSide, DataSide)),
        f"field 'x' is a data field in DataSide and static in StandardStaticSide; {CURE_OF_KINDS}",
    ),
}


@pytest.mark.parametrize(("misuse", "text"), DEFINITIONS.values(), ids=DEFINITIONS.keys())
def test_a_class_that_cannot_be_a_struct_is_refused(misuse, text):
    assert text_of(errors.DefinitionError, misuse) == f"A: {text}"


def test_a_field_of_different_kinds_in_two_bases_is_accepted_once_the_class_decides():
    for decided in (True, False):
        A = define({"x": int}, (DataSide, StaticSide), x=field(static=decided))
        assert [f.static for f in fields(A)] == [decided]
        assert A(1).x == 1


@pytest.mark.parametrize(
    ("misuse", "words"),
    [
        (lambda: define({}, (DataSide, InitVarSide)), ("DataSide", "InitVarSide")),
        (lambda: define({}, (InitVarSide, DataSide)), ("DataSide", "InitVarSide")),
        (lambda: define({"x": InitVar[int]}, (DataSide,)), ()),
        (lambda: define({"x": ClassVar[int]}, (DataSide,)), ("ClassVar",)),
        (lambda: define({"x": ClassVar[int]}, (DataSide,), x=3), ("ClassVar",)),
    ],
)
def test_a_name_that_is_a_field_in_one_class_and_something_else_in_another_is_refused(misuse, words):
    text = text_of(errors.DefinitionError, misuse)
    assert text.startswith("A: ")
    assert all(word in text for word in ("'x'", *words))


# Objects


UPDATES = {
    "method": lambda obj, **changes: obj.replace(**changes),
    "function": replace,
    "__replace__": lambda obj, **changes: obj.__replace__(**changes),
    **({"copy.replace": copy.replace} if sys.version_info >= (3, 13) else {}),
}
FIELDS_OF_LINEAR = "Linear has no field 'weigth' (did you mean 'weight'?) (fields: weight, bias, activation)"
UNSET = "unset; set each one or declare a default"
BASE = "Struct is a base class and has no instances; inherit from it: class Model(Struct): x: jax.Array"
NOT_A_STRUCT = "inherit from structkit.Struct to make one"

MISUSES = [
    (
        errors.DefinitionError,
        lambda: setattr(Linear, "bias", 3),
        "Linear: 'bias' is a field and cannot be set on the class; change the default in the body",
    ),
    (
        ValueError,
        lambda: field(default=1, default_factory=int),
        "cannot specify both default and default_factory; keep the one that is meant",
    ),
    (TypeError, lambda: Linear(), "Linear.__init__() missing 1 required positional argument: 'weight'"),
    (
        TypeError,
        lambda: Linear(1, 2, 3, 4),
        "Linear.__init__() takes from 2 to 4 positional arguments but 5 were given",
    ),
    (TypeError, lambda: Empty(1), "Empty.__init__() takes 1 positional argument but 2 were given"),
    (
        errors.MissingFieldError,
        lambda: Forgetful(["weight"]),
        f"Forgetful.__init__ left field 'bias' of Forgetful {UNSET}",
    ),
    (
        errors.MissingFieldError,
        lambda: Forgetful(),
        f"Forgetful.__init__ left fields 'weight', 'bias' of Forgetful {UNSET}",
    ),
    (
        errors.MissingFieldError,
        lambda: ForgetfulHook(1),
        f"ForgetfulHook.__post_init__ left field 'norm' of ForgetfulHook {UNSET}",
    ),
    (
        errors.MissingFieldError,
        lambda: ForgetfulChild(["weight"]),
        f"ForgetfulChild.__init__ left field 'bias' of ForgetfulChild {UNSET}",
    ),
    (errors.MissingFieldError, lambda: Nameless(1), f"Nameless.__init__ left field 'norm' of Nameless {UNSET}"),
    (
        errors.MissingFieldError,
        lambda: construct(Linear),
        f"construct(Linear, ...) left field 'weight' of Linear {UNSET}",
    ),
    (errors.UnsetFieldError, lambda: Hasty(), "Hasty.bias is read before it is set; assign self.bias first"),
    *((errors.BaseInstantiationError, misuse, BASE) for misuse in (Struct, lambda: Struct(1), lambda: Struct(x=1))),
    (errors.BaseInstantiationError, lambda: construct(Struct), BASE),
    (
        errors.FrozenInstanceError,
        lambda: setattr(Linear(1), "bias", 2),
        "cannot assign to field 'bias': Linear is frozen; make a changed copy with .replace(bias=...)",
    ),
    (
        errors.FrozenInstanceError,
        lambda: setattr(Linear(1), "baias", 2),
        "cannot assign to field 'baias': Linear is frozen and has no field of this name",
    ),
    (
        errors.FrozenInstanceError,
        lambda: delattr(Linear(1), "bias"),
        "cannot delete field 'bias': Linear keeps all of its fields",
    ),
    (
        errors.FrozenInstanceError,
        lambda: delattr(Linear(1), "zzz"),
        "cannot delete field 'zzz': Linear has no field of this name",
    ),
    (
        errors.UnknownAttributeError,
        lambda: setattr(Mutable(), "weigth", 2),
        "Mutable has no field 'weigth' (did you mean 'weight'?); declare it in the class body: weigth: <type>",
    ),
    (
        errors.UnknownAttributeError,
        lambda: Forgetful(["zzz"]),
        "Forgetful has no field 'zzz'; declare it in the class body: zzz: <type>",
    ),
    (AttributeError, lambda: Linear(1).zzz, "'Linear' object has no attribute 'zzz'"),
    (
        AttributeError,
        lambda: Linear.weight,
        "type object 'Linear' has no attribute 'weight': the field has no default",
    ),
    *(
        (errors.UnknownFieldError, lambda update=update: update(Linear(1), weigth=2), f"replace: {FIELDS_OF_LINEAR}")
        for update in UPDATES.values()
    ),
    (
        errors.UnknownFieldError,
        lambda: Scaled(1, 2).replace(qqq=2),
        "replace: Scaled has no field 'qqq' (fields: x, scaled)",
    ),
    (
        errors.UnknownFieldError,
        lambda: WithInit(1).replace(qqq=2),
        "replace: WithInit has no field 'qqq' (fields: weight, size)",
    ),
    (errors.UnknownFieldError, lambda: Empty().replace(x=1), "replace: Empty has no field 'x' (fields: none)"),
    (errors.UnknownFieldError, lambda: construct(Linear, weigth=2), f"construct: {FIELDS_OF_LINEAR}"),
    (
        errors.NotReplaceableError,
        lambda: Scaled(1, 2).replace(scaled=3, factor=1),
        "replace: field 'scaled' of Scaled is not an __init__ parameter; "
        "change what it is computed from, or use at(...).set(...)",
    ),
    (
        errors.NotReplaceableError,
        lambda: Scaled(1, 2).replace(x=3),
        "replace: field 'factor' of Scaled is an InitVar, which is not kept; pass it again",
    ),
    (errors.NotAStructError, lambda: replace(3), f"replace takes a Struct, not int; {NOT_A_STRUCT}"),
    (errors.NotAStructError, lambda: replace({"a": 1}, a=2), f"replace takes a Struct, not dict; {NOT_A_STRUCT}"),
    (errors.NotAStructError, lambda: fields(3), f"fields takes a Struct, not int; {NOT_A_STRUCT}"),
    (errors.NotAStructError, lambda: fields([Linear]), f"fields takes a Struct, not list; {NOT_A_STRUCT}"),
    (errors.NotAStructError, lambda: fields(int), f"fields takes a Struct, not the class int; {NOT_A_STRUCT}"),
    (errors.NotAStructError, lambda: construct(int), f"construct takes a Struct, not the class int; {NOT_A_STRUCT}"),
    (errors.NotAStructError, lambda: construct(3), f"construct takes a Struct, not int; {NOT_A_STRUCT}"),
    (
        errors.StaticValueError,
        lambda: Holder([1]),
        "static field Holder.n cannot hold a list: use a data field, a tuple, or static(converter=freeze)",
    ),
    (
        errors.UnhashableFieldError,
        lambda: hash(Linear(1, jnp.ones(3))),
        "unhashable field 'bias' of Linear: ArrayImpl has no hash; "
        "declare it with field(hash=False), or hash the fields you need",
    ),
]


@pytest.mark.parametrize(("kind", "misuse", "text"), MISUSES, ids=[text[:60] for *_, text in MISUSES])
def test_a_misuse_is_refused_with_a_text_that_names_the_cure(kind, misuse, text):
    assert text_of(kind, misuse) == text


def test_an_unknown_argument_is_refused_with_the_name_of_the_class():
    for misuse in (lambda: Linear(1, weigth=2), lambda: dataclasses.replace(Linear(1), weigth=2)):
        # Python adds the nearest name from some version on.
        text = text_of(TypeError, misuse)
        assert text.startswith("Linear.__init__() got an unexpected keyword argument 'weigth'")


def test_an_abstract_struct_has_no_objects():
    # The text is Python's own, and it changed once.
    if sys.version_info >= (3, 12):
        expected = "Can't instantiate abstract class Shape without an implementation for abstract method 'area'"
    else:
        expected = "Can't instantiate abstract class Shape with abstract method area"
    assert text_of(TypeError, lambda: Shape(1)) == expected


def test_construct_refuses_an_object_in_the_place_of_a_class():
    with pytest.raises(errors.NotAStructError):
        construct(Linear(1), weight=2)


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

KINDS = {
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
}


def raised(misuse):
    try:
        misuse()
    except errors.StructError as error:
        return error
    raise AssertionError("the misuse should have raised")


def test_every_error_is_raised_here_and_is_of_the_kind_of_the_standard_library():
    found = {
        name for name, kind in vars(errors).items() if isinstance(kind, type) and kind.__module__ == errors.__name__
    }
    assert found - {"StructError"} == KINDS.keys() == {type(raised(misuse)).__name__ for misuse in RAISED.values()}
    for name, kind in KINDS.items():
        assert issubclass(getattr(errors, name), kind)
        assert issubclass(getattr(errors, name), errors.StructError)
        assert inspect.getdoc(getattr(errors, name))
    assert structkit.StructError is errors.StructError


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
def test_every_error_carries_plain_data_fits_on_one_line_and_is_not_chained_to_machinery(misuse):
    error = raised(misuse)
    plain = (str, bool, int, type(None))
    for value in (*vars(error).values(), *error.args):
        assert isinstance(value, plain) or (type(value) in (tuple, list) and all(isinstance(v, plain) for v in value))
    assert "\n" not in str(error)
    assert len(str(error)) < 250
    assert isinstance(error, errors.StructError)
    assert error.__cause__ is None
    assert error.__context__ is None or error.__suppress_context__


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
    assert [name for name in added if "left_behind_" in str(linecache.cache[name])] == []


def test_a_class_can_be_defined_after_it_was_refused():
    with pytest.raises(errors.DefinitionError):
        define({"x": int, "y": int}, x=1)
    A = define({"x": int, "y": int}, y=1)
    assert jax.tree.leaves(A(5)) == [5, 1]
    assert "def __init__(self, x" in inspect.getsource(A.__init__)


def test_a_refused_class_leaves_its_parent_alone():
    with pytest.raises(errors.DefinitionError):
        define({"scale": int}, (Linear,))
    assert [f.name for f in fields(Linear)] == ["weight", "bias", "activation"]
    assert jax.tree.leaves(Linear(1, 2)) == [1, 2]
    assert Linear.__subclasses__() == []


@pytest.mark.parametrize(
    ("make", "misuse"),
    [
        (lambda: Linear(1, 2), lambda obj: obj.replace(weight=5, weigth=6)),
        (lambda: Linear(1, 2), lambda obj: obj.replace(weight=5, activation=[1])),
        (lambda: Scaled(1, factor=2), lambda obj: obj.replace(x=5, scaled=6, factor=1)),
        (lambda: WithInit(1), lambda obj: obj.replace(weight=5, size=[1])),
        (lambda: WithInit(1), lambda obj: obj.replace(weight=5, zzz=1)),
        (lambda: Mutable(1), lambda obj: obj.replace(weight=5, zzz=1)),
        (lambda: Linear(1, 2), lambda obj: setattr(obj, "weight", 5)),
        (lambda: Linear(1, 2), lambda obj: setattr(obj, "zzz", 5)),
        (lambda: Linear(1, 2), lambda obj: delattr(obj, "weight")),
        (lambda: Linear(1, 2), lambda obj: delattr(obj, "zzz")),
    ],
)
def test_a_refused_change_leaves_the_original_alone(make, misuse):
    obj = make()
    with pytest.raises(errors.StructError):
        misuse(obj)
    assert vars(obj) == vars(make())
    assert jax.tree.leaves(obj) == jax.tree.leaves(make())
    assert jax.tree.structure(obj) == jax.tree.structure(make())


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


def test_an_error_inside_jit_leaves_the_function_usable():
    @jax.jit
    def run(x, good):
        return Linear(x).replace(**({"bias": 1.0} if good.shape == (1,) else {"zzz": 1.0})).bias

    with pytest.raises(errors.UnknownFieldError):
        run(1.0, jnp.ones(2))
    assert run(1.0, jnp.ones(1)) == 1.0
