"""The generated constructor, its converters, and `construct`."""

import copy
import dataclasses
import inspect
import types
from dataclasses import KW_ONLY, InitVar
from typing import Any

import pytest

from structkit import Static, Struct, construct, derived, field, static
from tests.models import Loud


class Recorder:
    """A converter that doubles, and writes down what it was given."""

    def __init__(self, name, log):
        self.name, self.log = name, log

    def __call__(self, value):
        self.log.append((self.name, value))
        return value * 2


# The generated constructor


def test_arguments_come_in_the_order_of_the_body_and_then_by_keyword():
    class A(Struct):
        a: int
        scale: InitVar[int]
        b: int = derived()
        _: KW_ONLY
        c: int
        d: int = 4

        def __post_init__(self, scale):
            self.b = self.a * scale

    class B(A):
        e: int
        f: int = field(default=6, kw_only=True)

    assert list(inspect.signature(B).parameters) == ["a", "scale", "e", "c", "d", "f"]
    assert vars(A(2, 3, c=3)) == {"a": 2, "b": 6, "c": 3, "d": 4}
    assert vars(B(2, 3, 5, c=3)) == {"a": 2, "b": 6, "c": 3, "d": 4, "e": 5, "f": 6}
    assert A(scale=3, c=3, a=2) == A(2, 3, c=3)
    with pytest.raises(TypeError):
        A(1, 2, 3)


@pytest.mark.parametrize(
    ("args", "kwargs"), [((1,), {}), ((1, 2), {"z": 1}), ((), {}), ((1, 2, 3), {}), ((1,), {"x": 1}), ((1,), {"q": 1})]
)
def test_a_frozen_dataclass_of_the_same_shape_fails_and_works_alike(args, kwargs):
    body = {"__annotations__": {"x": int, "y": int, "_": KW_ONLY, "z": int}, "y": 2, "z": 3}
    outcomes = []
    for decorator, bases in ((dataclasses.dataclass(frozen=True), ()), (lambda cls: cls, (Struct,))):
        cls = decorator(types.new_class("A", bases, {}, lambda namespace: namespace.update(body)))
        try:
            outcomes.append(dataclasses.astuple(cls(*args, **kwargs)))
        except TypeError as error:
            outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]


def test_a_default_factory_makes_a_new_value_for_each_object_and_only_where_none_is_given():
    made = []

    class A(Struct):
        x: Any = field(default_factory=lambda: made.append(1) or [])
        n: Static[tuple] = field(default_factory=tuple)

    assert (A(None).x, A(()).x, A([1], (1,)).n) == (None, (), (1,))
    assert made == []
    first, second = A(), A()
    assert vars(first) == vars(second) == {"x": [], "n": ()}
    assert first.x is not second.x
    assert made == [1, 1]


# Converters


def test_converters_run_once_on_arguments_defaults_and_factories():
    log = []

    class A(Struct):
        a: int = field(converter=Recorder("a", log))
        b: int = field(default=2, converter=Recorder("b", log))
        c: int = field(default_factory=lambda: 3, converter=Recorder("c", log))
        d: int = static(default=4, converter=Recorder("d", log))
        e: int = field(default=5, converter=Recorder("e", log), init=False)

    assert vars(A(1)) == {"a": 2, "b": 4, "c": 6, "d": 8, "e": 10}
    assert log == [("a", 1), ("b", 2), ("c", 3), ("d", 4), ("e", 5)]


@pytest.mark.parametrize("kind", ["post_init", "custom", "inherited", "child"])
def test_converters_run_once_on_assignments_in_hooks_and_on_the_defaults_that_they_leave(kind):
    log = []

    class A(Struct):
        a: int = field(converter=Recorder("a", log))
        b: int = field(default=2, converter=Recorder("b", log))
        c: int = derived(converter=Recorder("c", log))

        def __post_init__(self):
            self.c = self.a

        if kind in ("custom", "inherited"):

            def __init__(self, a):
                self.a = a
                self.c = self.a

    class B(A):
        if kind == "child":

            def __init__(self, a):
                super().__init__(a)

    assert vars((A if kind in ("post_init", "custom") else B)(1)) == {"a": 2, "b": 4, "c": 4}
    assert sorted(log) == [("a", 1), ("b", 2), ("c", 2)]


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
def test_copies_run_no_hook(duplicate):
    made = Loud(1)
    Loud.marks.clear()
    assert vars(duplicate(made)) == {"x": 1, "y": 0, "twice": 2, "label": "a"}
    assert Loud.marks == []


def test_construct_fills_defaults_and_takes_anything_as_data():
    class A(Struct):
        x: Any
        scale: InitVar[int] = 1
        y: int = 2
        z: list = field(default_factory=list)
        n: Static[Any] = 4

    for value in (1, None, object()):
        assert vars(construct(A, x=value)) == {"x": value, "y": 2, "z": [], "n": 4}
    assert construct(A, x=1).z is not construct(A, x=1).z
