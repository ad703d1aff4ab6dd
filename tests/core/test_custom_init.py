"""Constructors that users write: what they may do, chains of them, unfinished objects."""

import copy
import dataclasses
import functools
import inspect
import pickle
from dataclasses import InitVar
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import pytest

import structkit
from structkit import Static, Struct, construct, derived, errors, field, replace, static
from tests.models import Pair, Point, Scaled, assert_frozen

# What an `__init__` may do


def test_a_custom_init_may_assign_reassign_read_and_call_methods():
    class A(Struct):
        x: int
        n: Static[str]
        y: int = 7
        z: int = 3

        def __init__(self, x, **values):
            self.x = x
            self.x = self.x + self.z
            self.n = "a"
            self.n = self.n + "b"
            self.total_y = 16
            self.x += self.total()
            object.__setattr__(self, "x", self.x + 1)
            super().__setattr__("x", self.x + 1)
            for name, value in values.items():
                setattr(self, name, value)

        def total(self):
            return self.x + self.y

        @property
        def total_y(self):
            return 2 * self.y

        @total_y.setter
        def total_y(self, value):
            self.y = value // 2

    assert vars(A(1)) == {"x": 18, "n": "ab", "y": 8, "z": 3}
    assert vars(A(1, n="c", z=5)) == {"x": 18, "n": "c", "y": 8, "z": 5}
    with pytest.raises(errors.FrozenInstanceError):
        A(1).total_y = 2


def test_what_a_custom_init_leaves_is_filled_with_defaults_or_named():
    class A(Struct):
        x: int
        n: Static[int]
        y: int = 1
        z: list = field(default_factory=list)
        m: Static[tuple] = field(default_factory=tuple)

        def __init__(self, **values):
            for name, value in values.items():
                setattr(self, name, value)

    assert vars(A(x=5, n=6)) == {"x": 5, "n": 6, "y": 1, "z": [], "m": ()}
    assert A(x=5, n=6).z is not A(x=5, n=6).z
    with pytest.raises(errors.MissingFieldError, match="left fields 'x', 'n' of A unset"):
        A(y=1)


def test_a_decorated_init_with_any_parameters_works():
    def traced(init):
        @functools.wraps(init)
        def wrapper(*args, **kwargs):
            return init(*args, **kwargs)

        return wrapper

    class A(Struct):
        self: int
        scale: InitVar[int] = 2

        @traced
        def __init__(this, /, self: int, scale: int = 3):
            this.self = self * scale

    assert (A(self=3).self, A(1, 5).self) == (9, 5)
    assert str(inspect.signature(A)) == "(self: int, scale: int = 3)"


def test_an_init_that_returns_something_is_refused_and_one_that_fails_ends_the_traceback():
    class A(Struct):
        def __init__(self, value):
            if value is None:
                raise ValueError("no")
            return value

    with pytest.raises(TypeError, match=r"__init__\(\) should return None, not 'int'"):
        A(5)
    with pytest.raises(ValueError) as error:
        A(None)
    assert (error.traceback[-1].name, str(error.traceback[-1].path)) == ("__init__", __file__)
    assert error.value.__cause__ is error.value.__context__ is None


def test_a_custom_new_works_keeps_what_it_leaves_and_is_called_by_no_other_code():
    calls = []

    class Note:
        computed = functools.cached_property(lambda self: [1])

    class A(Note, Struct):
        x: int

        def __new__(cls, *args, **kwargs):
            calls.append(args)
            made = super().__new__(cls)
            assert made.computed == [1]
            object.__setattr__(made, "note", [2])
            return made

        def __post_init__(self):
            self.x = self.x

    class B(A):
        def __init__(self, x):
            self.x = x

    for cls in (A, B):
        a = cls(3)
        assert (a.x, a.computed, a.note) == (3, [1], [2])
        assert jax.tree.map(lambda leaf: leaf, a) == cls(x=3)
        assert_frozen(a)
    assert calls == [(3,), (), (3,), ()]


# Chains of `__init__`, generated and custom


class Generated(Struct):
    x: int
    n: Static[int] = 1


class Custom(Struct):
    x: int
    n: Static[int] = 1

    def __init__(self, x):
        self.x = 10 * x


class GeneratedOfCustom(Custom):
    y: int = 5


class CustomOfGenerated(Generated):
    y: int = 5

    def __init__(self, x, y):
        super().__init__(x, n=2)
        self.y = y + self.x


class CustomOfCustom(Custom):
    y: int = 5

    def __init__(self, x, y):
        self.y = y
        super().__init__(x)
        self.y = self.y + self.x
        self.x = self.x + 1


class CustomOfCustomOfGenerated(CustomOfGenerated):
    z: int

    def __init__(self, z):
        self.z = z
        super().__init__(z, z)


class CustomOfPostInit(Scaled):
    z: int

    def __init__(self, z):
        super().__init__(2, factor=z)
        self.z = self.value + 1


class CustomOfTwo(Point, GeneratedOfCustom):
    def __init__(self, x, y):
        GeneratedOfCustom.__init__(self, 0, y=y)
        Custom.__init__(self, x)
        Point.__init__(self, self.x + 1)


class StaticOfGenerated(Pair):
    x: Static[int]

    def __init__(self, x):
        super().__init__(x, y=5)


class CustomOfFailing(Custom):
    def __init__(self, x):
        try:
            super().__init__(None)
        except TypeError:
            self.x = x


class Doubling:
    def __init__(self, x, **keywords):
        super().__init__(2 * x, **keywords)


class DoublingGenerated(Doubling, Generated):
    pass


class Behaviour(Struct):
    limit = 3


class BehaviourCustom(Behaviour, Custom):
    pass


@pytest.mark.parametrize(
    ("cls", "args", "expected"),
    [
        (GeneratedOfCustom, (1,), {"x": 1, "n": 1, "y": 5}),
        (CustomOfGenerated, (1, 2), {"x": 1, "n": 2, "y": 3}),
        (CustomOfCustom, (1, 2), {"x": 11, "n": 1, "y": 12}),
        (CustomOfCustomOfGenerated, (4,), {"x": 4, "n": 2, "y": 8, "z": 4}),
        (CustomOfPostInit, (3,), {"value": 6, "z": 7}),
        (CustomOfTwo, (1, 5), {"x": 11, "n": 1, "y": 5}),
        (StaticOfGenerated, (3,), {"x": 3, "y": 5, "name": "pair"}),
        (CustomOfFailing, (3,), {"x": 3, "n": 1}),
        (DoublingGenerated, (1,), {"x": 2, "n": 1}),
        (BehaviourCustom, (1,), {"x": 10, "n": 1}),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_super_init_chains_over_generated_and_custom_inits(cls, args, expected):
    made = cls(*args)
    assert vars(made) == expected
    assert jax.tree.map(lambda leaf: leaf, made) == pickle.loads(pickle.dumps(made)) == made
    name, value = next(iter(expected.items()))
    assert vars(made.replace(**{name: value})).keys() == expected.keys()
    assert_frozen(made, name)


@pytest.mark.parametrize("parent", [Generated, Custom])
def test_an_init_that_is_called_for_an_object_of_a_subclass_finishes_it(parent):
    made = object.__new__(type(parent)("Child", (parent,), {}))
    parent.__init__(made, 1)
    assert made == type(made)(1)
    assert_frozen(made)


def test_cooperative_inits_run_along_the_method_resolution_order_and_reach_a_plain_class_behind():
    calls = []

    def cooperating(name):
        def __init__(self, **keywords):
            calls.append(name)
            value = keywords.pop(name)
            super(cls, self).__init__(**keywords)
            setattr(self, name, value)

        cls = type(Struct)(name, (Struct,), {"__annotations__": {name: Any}, "__init__": __init__})
        return cls

    class Plain:
        def __init__(self, note=None, **keywords):
            calls.append(note)
            super().__init__(**keywords)

    class Both(cooperating("a"), cooperating("b"), Plain):
        name: str = static(default="both")

        def __init__(self, **keywords):
            super().__init__(**keywords)

    assert vars(Both(a=1, b=2, note="hello")) == {"b": 2, "a": 1, "name": "both"}
    assert calls == ["a", "b", "hello"]
    with pytest.raises(TypeError):
        Both(a=1, b=2, typo=4)


def test_a_failed_converter_or_static_leaves_the_old_value():
    class A(Struct):
        x: int = field(converter=int)
        n: Static[Any] = 1

        def __init__(self):
            self.x = 1
            with pytest.raises(ValueError):
                self.x = "no number"
            for value in ([1], jnp.ones(3)):
                with pytest.raises(errors.StaticValueError):
                    self.n = value

    assert vars(A()) == {"x": 1, "n": 1}


# Objects under construction


class Watched(Struct):
    x: Any
    y: Any
    s: str = static(default="s")
    watchers: ClassVar[list] = []

    def __post_init__(self):
        if self.watchers:
            self.watchers.pop()(self)


class WatchedInit(Watched):
    def __init__(self, x, y, s="s"):
        self.x, self.y, self.s = x, y, s
        self.__post_init__()


class WatchedDerived(WatchedInit):
    y: Any = derived()
    s: str = derived()

    def __init__(self, x, y, s="s"):
        super().__init__(x, y, s)


OPERATIONS = {
    "vars": vars,
    "repr": repr,
    "dir": dir,
    "hash": hash,
    "==": lambda obj: (obj == construct(type(obj), **vars(obj)), construct(type(obj), **vars(obj)) == obj, obj != obj),
    "replace": lambda obj: replace(obj, y=5.0),
    "asdict": dataclasses.asdict,
    "astuple": dataclasses.astuple,
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda obj: pickle.loads(pickle.dumps(obj)),
    "leaves": jax.tree.leaves_with_path,
    "structure": jax.tree.structure,
    "map": lambda obj: jax.tree.map(lambda leaf: leaf + 1, obj),
    "jit": lambda obj: jax.jit(lambda other: other.x)(obj),
    "at": lambda obj: structkit.at(obj, lambda other: other.x).set(7.0),
    "summary": structkit.summary,
}


@pytest.mark.parametrize("cls", [Watched, WatchedInit, WatchedDerived])
@pytest.mark.parametrize("name", OPERATIONS)
def test_an_object_whose_fields_are_set_is_like_a_finished_one_in_its_own_constructor(cls, name):
    seen = []
    Watched.watchers.append(lambda obj: seen.append(OPERATIONS[name](obj)))
    finished = cls(1.0, 2.0)
    assert seen == [OPERATIONS[name](finished)]


class Shape(Struct):
    x: Any
    y: Any = 0

    def __init__(self, x):
        self.__class__ = Square
        self.x = x


class Square(Shape):
    pass


def test_a_constructor_may_choose_another_class_with_the_same_fields_and_go_on():
    shape = Shape(1)
    assert type(shape) is Square and shape.x == 1 and shape.y == 0
    assert_frozen(shape, "x")
