"""The whole text of every error, its data, and that a refused call leaves nothing behind."""

import dataclasses
import gc
import inspect
import linecache
import pickle
import sys
import weakref
from abc import abstractmethod
from dataclasses import InitVar
from typing import Any, ClassVar

import jax
import numpy as np
import pytest

import structkit
from structkit import Static, Struct, batch, construct, derived, errors, field, fields, freeze, static
from tests import models
from tests.models import COPIES, Holder, Linear


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


class Descriptor:
    def __get__(self, instance, owner):
        return 1

    def __set__(self, instance, value):
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


class Shape(Struct):
    side: Any

    @abstractmethod
    def area(self): ...


class Mutable(Struct, frozen=False):
    weight: Any = field(default=1, converter=lambda value: value)


class WithoutHash:
    __hash__ = None


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


class Unranked(Struct, batch.Batched):
    x: jax.Array


class Refusing(Struct):
    def __init_subclass__(cls, **keywords):
        raise TypeError("refused")


NAMES = {
    **{name: getattr(structkit, name) for name in structkit.__all__},
    **vars(models),
    "ClassVar": ClassVar,
    "np": np,
}


def run(source):
    """The names after running `source`, which sees structkit's names, the shared classes and this module."""
    names = {**NAMES, **globals()}
    exec(source, names)
    return names


def raised(source):
    """The error that `source` ends in."""
    try:
        run(source)
    except Exception as error:
        return error
    raise AssertionError("the misuse should have raised")


# A misuse in one line, and below it what Python prints of the error; continued lines are indented.
CATALOGUE = """
>>> Linear()
TypeError: Linear.__init__() missing 1 required positional argument: 'weight'
>>> Linear(1, 2, 3, 4)
TypeError: Linear.__init__() takes from 2 to 4 positional arguments but 5 were given
>>> Empty(1)
TypeError: Empty.__init__() takes 1 positional argument but 2 were given
>>> Struct()
BaseInstantiationError: Struct is a base class and has no instances; inherit from it: class Model(Struct): x:
    jax.Array
>>> construct(Struct)
BaseInstantiationError: Struct is a base class and has no instances; inherit from it: class Model(Struct): x:
    jax.Array
>>> Forgetful(["weight"])
MissingFieldError: Forgetful.__init__ left field 'bias' of Forgetful unset; set each one or declare a default
>>> Forgetful()
MissingFieldError: Forgetful.__init__ left fields 'weight', 'bias' of Forgetful unset; set each one or declare a
    default
>>> ForgetfulChild(["weight"])
MissingFieldError: ForgetfulChild.__init__ left field 'bias' of ForgetfulChild unset; set each one or declare a
    default
>>> Nameless(1)
MissingFieldError: Nameless.__init__ left field 'norm' of Nameless unset; set each one or declare a default
>>> ForgetfulHook(1)
MissingFieldError: ForgetfulHook.__post_init__ left field 'norm' of ForgetfulHook unset; set each one or declare a
    default
>>> construct(Linear)
MissingFieldError: construct(Linear, ...) left field 'weight' of Linear unset; set each one or declare a default
>>> Hasty()
UnsetFieldError: Hasty.bias is read before it is set; assign self.bias first
>>> Linear(1).bias = 2
FrozenInstanceError: cannot assign to field 'bias': Linear is frozen; make a changed copy with .replace(bias=...)
>>> Linear(1).baias = 2
FrozenInstanceError: cannot assign to field 'baias': Linear is frozen and has no field of this name (did you mean
    'bias'?)
>>> del Linear(1).bias
FrozenInstanceError: cannot delete field 'bias': Linear keeps all of its fields; make a changed copy with
    .replace(bias=...)
>>> del Everything(1, 2).doubled
FrozenInstanceError: cannot delete field 'doubled': Everything keeps all of its fields; it is computed: change what it
    comes from with .replace(...)
>>> del Linear(1).zzz
FrozenInstanceError: cannot delete field 'zzz': Linear has no field of this name
>>> Mutable().weigth = 2
UnknownAttributeError: Mutable has no field 'weigth' (did you mean 'weight'?); declare it in the class body: weigth:
    <type>
>>> Mutable().zzz = 2
UnknownAttributeError: Mutable has no field 'zzz'; declare it in the class body: zzz: <type>
>>> Forgetful(["zzz"])
UnknownAttributeError: Forgetful has no field 'zzz'; declare it in the class body: zzz: <type>
>>> type(Struct)("A", (Struct,), {"__post_init__": lambda self: setattr(self, "y", 3)})()
UnknownAttributeError: A has no field 'y'; declare it in the class body: y: <type> = derived()
>>> Linear(1).zzz
AttributeError: 'Linear' object has no attribute 'zzz'
>>> Linear.bias = 3
DefinitionError: Linear: 'bias' is a field and cannot be set on the class; change the default in the body
>>> Linear(1).replace(weigth=2)
UnknownFieldError: replace: Linear has no field 'weigth' (did you mean 'weight'?) (fields: weight, bias, activation)
>>> replace(Linear(1), weigth=2)
UnknownFieldError: replace: Linear has no field 'weigth' (did you mean 'weight'?) (fields: weight, bias, activation)
>>> construct(Linear, weigth=2)
UnknownFieldError: construct: Linear has no field 'weigth' (did you mean 'weight'?) (fields: weight, bias,
    activation)
>>> Everything(1, 2).replace(qqq=2)
UnknownFieldError: replace: Everything has no field 'qqq' (fields: value, doubled, label)
>>> Empty().replace(x=1)
UnknownFieldError: replace: Empty has no field 'x' (fields: none)
>>> Everything(1, 2).replace(doubled=3, factor=1)
NotReplaceableError: replace: field 'doubled' of Everything is not an __init__ parameter;
    change what it is computed from, or use at(...).set(...)
>>> Everything(1, 2).replace(value=3)
NotReplaceableError: replace: field 'factor' of Everything is an InitVar, which is not kept; pass it again
>>> replace(3)
NotAStructError: replace takes a Struct, not int; inherit from structkit.Struct to make one
>>> replace(Linear)
NotAStructError: replace takes a Struct, not the class Linear; inherit from structkit.Struct to make one
>>> fields(3)
NotAStructError: fields takes a Struct, not int; inherit from structkit.Struct to make one
>>> fields(int)
NotAStructError: fields takes a Struct, not the class int; inherit from structkit.Struct to make one
>>> construct(int)
NotAStructError: construct takes a Struct, not the class int; inherit from structkit.Struct to make one
>>> construct(3)
NotAStructError: construct takes a Struct, not int; inherit from structkit.Struct to make one
>>> Holder([1])
StaticValueError: static field Holder.n cannot hold a list: use a data field, a tuple, or static(converter=freeze)
>>> hash(Linear(1, jnp.ones(3)))
UnhashableFieldError: unhashable field 'bias' of Linear: ArrayImpl has no hash; pass it as an ordinary argument
    where JAX wanted a static one, declare the field with field(hash=False), or hash the fields you need
>>> freeze({"a": [jax.random.key(0)]})
FreezeError: freeze: cannot freeze a random key (at key 'a'): use its jax.random.key_data, or a data field
>>> at(Linear(1), lambda tree: tree.zzz)
PlaceError: at(tree, where): tree.zzz is no field of Linear; fields: weight, bias, activation
>>> at(Linear, "weight")
PlaceError: at(tree, where): tree is the class Linear, and has no places; pass an object of it
>>> summary(Linear)
TreeError: summary: the tree is the class Linear; give an object of it, or what jax.eval_shape gives
>>> merge(Linear(1), Linear(2))
MergeError: merge: tree.weight has two values, 1 and 2; all trees but one have None there
>>> cast(Linear(1), int)
TreeError: cast: <class 'int'> is no floating dtype; give one, such as jnp.float32 or jnp.bfloat16
>>> structkit.state.save("/", 1)
StateError: /: is a folder; name a file in it
>>> field(default=1, default_factory=int)
ValueError: cannot specify both default and default_factory; keep the one that is meant
>>> class A(Struct): x: list = field(default_factory=[])
DefinitionError: A: 'x' has a list for its default_factory, which cannot be called;
    give it a function: default_factory=list, or a lambda
>>> static(spec=1)
DefinitionError: static(...): unknown option 'spec'; the options are default, default_factory, converter, init, repr,
    compare, hash, kw_only, doc, aliases, metadata
>>> derived(kw_onyl=True)
DefinitionError: derived(...): unknown option 'kw_onyl'; the options are default, default_factory, converter, repr,
    compare, hash, static, spec, doc, aliases, metadata
>>> derived(init=True)
ValueError: derived() is a field that __init__ does not take; use field() for one that it takes
>>> class A(Struct): x: int = []
MutableDefaultError: mutable default list for field 'x' of A is not allowed: use default_factory=list
>>> class A(Struct): x: int = 1; y: int = 2; z: int
DefinitionError: A: non-default argument 'z' follows default argument 'y'; reorder the fields, give 'z' a default,
    or set kw_only=True
>>> class A(Linear): scale: int
DefinitionError: A: non-default argument 'scale' follows default argument 'activation'; reorder the fields, give
    'scale' a default, or set kw_only=True
>>> class A(Struct, frozn=True): x: int
DefinitionError: A: unknown class option 'frozn' (did you mean 'frozen'?); the options are init, repr, eq, order,
    frozen, kw_only, match_args; others need a base with __init_subclass__(frozn=...)
>>> class A(Struct, zzz=True): x: int
DefinitionError: A: unknown class option 'zzz'; the options are init, repr, eq, order, frozen, kw_only, match_args;
    others need a base with __init_subclass__(zzz=...)
>>> class A(Tagged, Struct, tag=1, frozn=True): x: int
DefinitionError: A: unknown class option 'frozn' (did you mean 'frozen'?); the options are init, repr, eq, order,
    frozen, kw_only, match_args; others need a base with __init_subclass__(frozn=...)
>>> class A(Struct, order=True, eq=False): x: int
DefinitionError: A: order=True needs ==; drop eq=False
>>> class A(Struct, order=True): x: int; __lt__ = lambda self, other: True
DefinitionError: A: order=True would overwrite its __lt__; drop one of the two
>>> class A(Mutable): x: int = 1
DefinitionError: A: a frozen struct cannot inherit from Mutable, which is mutable; write class A(Mutable,
    frozen=False)
>>> class A(Linear, frozen=False): x: int = 1
DefinitionError: A: a mutable struct cannot inherit fields from Linear, which is frozen; drop frozen=False, or make
    Linear mutable too
>>> class A(MutableStandard, Struct): y: int
DefinitionError: A: a frozen struct cannot inherit from MutableStandard, which is a mutable dataclass; make
    MutableStandard a frozen dataclass or a Struct
>>> dataclasses.dataclass(frozen=True)(Linear)
DefinitionError: Linear: is a dataclass already, made by Struct; drop the dataclass decorator
>>> class A(Struct): x: int; y = field(default=1)
DefinitionError: A: 'y' is a field but has no type annotation; write y: <type> = field(...)
>>> class A(Struct): x: int; y = dataclasses.field(default=1)
DefinitionError: A: 'y' is a field but has no type annotation; write y: <type> = field(...)
>>> class A(Struct): x: InitVar[int] = static(default=1)
DefinitionError: A: InitVar 'x' cannot be static or have a default_factory; use a default
>>> class A(Struct): x: ClassVar[list] = field(default_factory=list)
DefinitionError: A: ClassVar 'x' has a default_factory; give it a plain value
>>> class A(Linear): bias = lambda self: 1
DefinitionError: A: 'bias' is a field of a parent class and is overridden without an annotation; write bias: <type>
    = ... to change its default, or choose another name
>>> class A(Struct): x = jnp.ones(3)
DefinitionError: A: 'x' is an array without a type annotation, so it would be no leaf; write x: jax.Array = ... for a
    field, x: ClassVar[jax.Array] = ... for a constant of the class
>>> class A(Struct): x: int = Descriptor()
DefinitionError: A: 'x' has a descriptor for its default, which a struct does not call; use a converter, or give the
    default itself
>>> class A(Struct): x: int = field(default=Descriptor())
DefinitionError: A: 'x' has a descriptor for its default, which a struct does not call; use a converter, or give the
    default itself
>>> class A(Struct): x: int = functools.cached_property(len)
DefinitionError: A: 'x' has a descriptor for its default, which a struct does not call; use a converter, or give the
    default itself
>>> class A(Struct): __flat__ = 1
DefinitionError: A: '__flat__' is what structs keep their fields in; rename it
>>> field(defualt=1)
DefinitionError: field(...): unknown option 'defualt' (did you mean 'default'?); the options are default,
    default_factory, converter, init, repr, compare, hash, kw_only, static, spec, doc, aliases,
    metadata
>>> class A(Struct): x: int = static
DefinitionError: A: 'x' has static itself for its default; write x: <type> = static(...)
>>> class A(Struct): x: int = models.Point((1, [2]))
MutableDefaultError: mutable default list for field 'x' of A is not allowed: use default_factory=lambda: ...
>>> Linear(1, activation=models.Point(jnp.ones(3)))
StaticValueError: static field Linear.activation cannot hold a Point, whose field 'x' has no hash: use a data field, or
    static(converter=freeze)
>>> static(pytree_node=False)
DefinitionError: static(...): unknown option 'pytree_node', which is flax's; use static()
>>> class A(Struct): a: int; _: dataclasses.KW_ONLY; b: int; __: dataclasses.KW_ONLY
DefinitionError: A: '__' is a second KW_ONLY; keep the first one
>>> class A(Struct): x: InitVar[int] = field(init=False)
DefinitionError: A: InitVar 'x' has init=False, and is nothing but an argument of the constructor; drop init=False
>>> class A(Struct): x: InitVar[int] = field(default_factory=list)
DefinitionError: A: InitVar 'x' cannot be static or have a default_factory; use a default
>>> class A(Struct): __dict__: int
DefinitionError: A: '__dict__' cannot be a field's name; choose another name
>>> class A(Struct): x: int; __slots__ = ("x", "y")
DefinitionError: A: __slots__ names 'y', which is no field; annotate it: y: ...
>>> class A(DataSide, StaticSide): pass
DefinitionError: A: field 'x' is a data field in DataSide and static in StaticSide; declare it in A with
    field(static=True) or field(static=False)
>>> class A(StandardStaticSide, DataSide): pass
DefinitionError: A: field 'x' is a data field in DataSide and static in StandardStaticSide; declare it in A with
    field(static=True) or field(static=False)
>>> class A(DataSide, InitVarSide): pass
DefinitionError: A: field 'x' is a data field in DataSide and an InitVar in InitVarSide; declare it in A with
    field(static=True) or field(static=False)
>>> class A(InitVarSide, DataSide): x: InitVar[int] = field(static=False)
DefinitionError: A: field 'x' is a data field in DataSide and an InitVar in InitVarSide; declare it in A with
    field(static=True) or field(static=False)
>>> class A(DataSide): x: InitVar[int]
DefinitionError: A: 'x' is a field of a parent class, not an InitVar; rename it
>>> class A(DataSide): x: ClassVar[int]
DefinitionError: A: 'x' is a field of a parent class, not a ClassVar; rename it
>>> batch.stack([Point(1), Point(1.0)])
BatchError: batch.stack: trees[1].x has dtype float32, trees[0].x has int32; cast the one to the dtype of the other
>>> batch.size(Point(1))
UnbatchedError: batch.size: tree.x has shape () and no axis 0 to lead with; stack several trees, or give this one a
    leading axis with batch.expand or batch.broadcast
>>> batch.take(Point(np.ones(3)), 3)
BatchIndexError: batch.take: index 3 is out of range for axis 0 of size 3; indices go from -3 to 2
>>> len(Unranked(np.ones(3)))
UnknownRankError: Unranked does not tell its leading axes: no field that holds an array has a known rank; annotate the
    fields with jaxtyping, as in position: Float[Array, "3"]
>>> structkit.sharding.specs(models.Dense(1))
SpecError: sharding of .weight: P('embed', 'mlp') is for 2 axes and the shape is (); shorten it if it is the field's
    own, else give the field one, field(spec=...), or params= where it is part of an optimizer's state
>>> structkit.sharding.constrain(Linear(1))
NoMeshError: a mesh is needed, and None is given; pass what jax.make_mesh gives, or call sharding.constrain under
    jax.set_mesh(mesh)
"""

ERRORS = {
    misuse: " ".join(map(str.strip, lines))
    for misuse, *lines in (entry.splitlines() for entry in CATALOGUE.strip().removeprefix(">>> ").split("\n>>> "))
}
OURS = [misuse for misuse, text in ERRORS.items() if hasattr(errors, text.partition(":")[0])]

# What each error of the module is for code that knows the standard library.
KINDS = {
    **dict.fromkeys(["UnknownAttributeError", "UnsetFieldError"], AttributeError),
    **dict.fromkeys(["MissingFieldError", "UnknownFieldError", "NotReplaceableError", "NotAStructError"], TypeError),
    **dict.fromkeys(["StaticValueError", "UnhashableFieldError", "FreezeError"], TypeError),
    **dict.fromkeys(["BaseInstantiationError", "DefinitionError", "TreeError"], TypeError),
    "FrozenInstanceError": dataclasses.FrozenInstanceError,
    **dict.fromkeys(["MutableDefaultError", "MergeError", "SpecError", "NoMeshError", "StateError"], ValueError),
    "PlaceError": LookupError,
    "BatchError": ValueError,
    "BatchIndexError": IndexError,
    "UnbatchedError": TypeError,
    "UnknownRankError": AttributeError,
    **dict.fromkeys(["TreesDifferError", "UnlikeProcessesError"], AssertionError),
}
# They list all differences, one to a line: tests/trees/test_diff_assertions.py, tests/sharding/test_processes.py.
ELSEWHERE = {"TreesDifferError", "UnlikeProcessesError"}


@pytest.mark.parametrize(("misuse", "text"), ERRORS.items(), ids=ERRORS.keys())
def test_a_misuse_is_refused_with_a_text_that_names_the_cure(misuse, text):
    error = raised(misuse)
    assert f"{type(error).__name__}: {error}" == text


@pytest.mark.parametrize(
    ("value", "type_name", "cure"),
    [
        ("[]", "list", "default_factory=list"),
        ("[1, 2]", "list", "default_factory=lambda: [1, 2]"),
        ("{}", "dict", "default_factory=dict"),
        ("set()", "set", "default_factory=set"),
        ("bytearray()", "bytearray", "default_factory=bytearray"),
        ("np.zeros(3)", "ndarray", "default_factory=lambda: np.array(...), or a jax.Array"),
        ("WithoutHash()", "WithoutHash", "default_factory=lambda: ..."),
        ("Mutable()", "Mutable", "default_factory=lambda: ..."),
    ],
)
@pytest.mark.parametrize("default", ["{}", "field(default={})", "static(default={}, converter=tuple)"])
def test_a_mutable_default_is_refused_with_a_cure_that_keeps_its_contents(value, type_name, cure, default):
    error = raised(f"class A(Struct): x: Any = {default.format(value)}")
    assert type(error) is errors.MutableDefaultError
    assert str(error) == f"mutable default {type_name} for field 'x' of A is not allowed: use {cure}"


@pytest.mark.parametrize(
    ("value", "type_name", "cure"),
    [
        ("[1, 2]", "list", "default=freeze([1, 2])"),
        ("{}", "dict", "default=freeze({})"),
        ("set()", "set", "default=freeze(set())"),
        ("np.zeros(3)", "ndarray", "default=freeze(np.array(...))"),
        ("bytearray()", "bytearray", "a value that has a hash"),
        ("WithoutHash()", "WithoutHash", "a value that has a hash"),
    ],
)
def test_a_mutable_default_of_a_static_field_is_refused_with_a_cure_that_the_field_takes(value, type_name, cure):
    error = raised(f"class A(Struct): x: Any = static(default={value})")
    assert str(error) == f"mutable default {type_name} for field 'x' of A is not allowed: use {cure}"


def test_the_texts_of_python_for_an_unknown_argument_and_an_abstract_class_name_the_class():
    # Python itself adds the nearest one.
    nearest = ". Did you mean 'weight'?" if sys.version_info >= (3, 13) else ""
    for misuse in ("Linear(1, weigth=2)", "dataclasses.replace(Linear(1), weigth=2)"):
        assert str(raised(misuse)) == f"Linear.__init__() got an unexpected keyword argument 'weigth'{nearest}"
    newer = sys.version_info >= (3, 12)
    area = "without an implementation for abstract method 'area'" if newer else "with abstract method area"
    assert str(raised("Shape(1)")) == f"Can't instantiate abstract class Shape {area}"


@pytest.mark.parametrize("bases", ["StaticSide, DataSide", "DataChild, StaticChild", "InitVarSide, DataSide"])
def test_a_field_of_different_kinds_in_two_bases_is_refused_in_every_order_until_the_class_decides(bases):
    assert "; declare it in A with field(static=True) or field(static=False)" in str(raised(f"class A({bases}): pass"))
    for decided in (True, False):
        A = run(f"class A({bases}): x: int = field(static={decided})")["A"]
        assert [f.static for f in fields(A) if f.name == "x"] == [decided]


# The errors themselves


def test_every_error_is_raised_here_and_is_of_the_kind_of_the_standard_library():
    classes = [kind for kind in vars(errors).values() if isinstance(kind, type) and kind.__module__ == errors.__name__]
    assert {kind.__name__ for kind in classes} == {"StructError", *KINDS}
    assert {type(raised(misuse)).__name__ for misuse in OURS} == KINDS.keys() - ELSEWHERE
    for name, kind in KINDS.items():
        assert issubclass(getattr(errors, name), kind)
        assert issubclass(getattr(errors, name), errors.StructError)
        assert inspect.getdoc(getattr(errors, name))
    assert structkit.StructError is errors.StructError


@pytest.mark.parametrize("misuse", OURS)
def test_every_error_fits_on_a_line_travels_with_its_data_and_is_not_chained_to_machinery(misuse):
    error = raised(misuse)
    plain = (str, bool, int, type(None))
    for value in (*vars(error).values(), *error.args):
        assert isinstance(value, plain) or (type(value) in (tuple, list) and all(isinstance(v, plain) for v in value))
    for duplicate in COPIES.values():
        assert type(made := duplicate(error)) is type(error)
        assert (str(made), vars(made)) == (str(error), vars(error))
    assert "\n" not in str(error) and len(str(error)) < 250
    # The hook that refused the keyword is the user's, and may say more.
    assert error.__cause__ is None or "unknown class option" in str(error)
    assert error.__context__ is None or error.__suppress_context__


# Nothing is left behind


REFUSED_CLASSES = (
    "class A(Struct): x: int = []; {}: int",
    "class A(Struct): x: int = 1; {}: int",
    "class A(Linear): {}: int",
    "class A(Struct, frozn=True): {}: int",
    "class A(Struct): {}: int; __slots__ = ('other',)",
    "class A(Struct, order=True): {}: int; __lt__ = lambda self, other: True",
    "class A(Struct, int): {}: int",
    "class A(DataSide, StaticSide): {}: int",
    "class A(Struct): {}: int = static(default=jnp.ones(3))",
    "class A(Refusing): {}: int",
)


def test_a_refused_class_leaves_no_subclass_no_source_its_name_and_its_parent_alone():
    gc.collect()
    before, sources = set(Struct.__subclasses__()), set(linecache.cache)
    for source in REFUSED_CLASSES:
        with pytest.raises((TypeError, ValueError)):
            run(source.format("left_behind"))
    gc.collect()
    assert set(Struct.__subclasses__()) <= before
    added = set(linecache.cache) - sources
    assert [name for name in added if "left_behind" in str(linecache.cache[name])] == []
    assert jax.tree.leaves(Linear(1, 2)) == [1, 2]
    assert "A" not in [child.__name__ for child in Linear.__subclasses__()]
    A = run("class A(Struct): x: int; y: int = 1")["A"]
    assert jax.tree.leaves(A(5)) == [5, 1]
    assert "def __init__(self, x" in inspect.getsource(A.__init__)


@pytest.mark.parametrize(
    ("made", "misuse"),
    [
        ("Linear(1, 2)", "obj.replace(weight=5, weigth=6)"),
        ("Linear(1, 2)", "obj.replace(weight=5, activation=[1])"),
        ("Everything(1, 2)", "obj.replace(value=5, doubled=6, factor=1)"),
        ("Custom(1)", "obj.replace(total=5, count=[1])"),
        ("Custom(1)", "obj.replace(total=5, zzz=1)"),
        ("Mutable(1)", "obj.replace(x=5, zzz=1)"),
    ],
)
def test_a_refused_change_leaves_the_original_alone(made, misuse):
    obj, same = eval(made, NAMES), eval(made, NAMES)
    with pytest.raises(errors.StructError):
        exec(misuse, {"obj": obj})
    assert vars(obj) == vars(same)
    assert jax.tree.leaves(obj) == jax.tree.leaves(same)
    assert jax.tree.structure(obj) == jax.tree.structure(same)


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


class OfAUser(errors.StructError, ValueError):
    pass


def test_an_error_of_the_users_own_says_what_it_is_given():
    for cls in (errors.StructError, OfAUser):
        assert str(cls("text")) == "text" and cls("text", 1).args == ("text", 1)
    assert str(pickle.loads(pickle.dumps(OfAUser("text")))) == "text"


def test_construct_of_a_static_field_with_a_converter_asks_for_what_it_gives():
    class A(Struct):
        x: Any = static(converter=freeze)

    with pytest.raises(errors.StaticValueError) as caught:
        construct(A, x=[1])
    assert (
        str(caught.value) == "static field A.x cannot hold a list: construct runs no converter: pass what freeze gives"
    )
