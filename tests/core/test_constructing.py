"""The generated constructor, converters, and `construct`, which runs none of them."""

import copy
import dataclasses
import functools
import inspect
import pickle
import types
from dataclasses import KW_ONLY, InitVar
from typing import Any

import jax
import numpy as np
import pytest

from structkit import Static, Struct, construct, derived, errors, field, static


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


class Converted(Struct):
    x: int = field(converter=lambda value: 2 * value)

    def __post_init__(self):
        object.__setattr__(self, "x", self.x + 1)


@pytest.mark.parametrize(
    "make",
    [
        lambda a: jax.tree.map(lambda leaf: leaf, a),
        lambda a: jax.jit(lambda tree: tree)(a),
        lambda a: pickle.loads(pickle.dumps(a)),
        copy.copy,
        copy.deepcopy,
    ],
    ids=["map", "jit", "pickle", "copy", "deepcopy"],
)
def test_converters_and_post_inits_run_for_no_tree_and_no_copy(make):
    assert make(Converted(1)).x == 6


def test_converters_that_are_methods_and_classes_work():
    class A(Struct):
        x: float = field(converter=float)
        y: Any = field(converter=functools.partial(np.asarray, dtype=np.float32))
        z: tuple = static(converter=tuple)

    a = A("1.5", [1, 2], [3])
    assert (a.x, a.y.dtype, a.z) == (1.5, np.float32, (3,))


# construct


def fail(*_, **__):
    raise AssertionError("ran")


def test_construct_runs_no_code_of_the_class():
    class A(Struct):
        x: int = field(converter=fail)
        n: Static[int] = static(converter=fail)
        y: int = derived()
        __new__ = __init__ = __post_init__ = __check_init__ = __setattr__ = fail

    a = construct(A, x=1, n=2, y=3)
    assert vars(a) == {"x": 1, "n": 2, "y": 3}
    assert jax.tree.map(lambda leaf: leaf + 1, a) == construct(A, x=2, n=2, y=4)


def test_construct_fills_defaults_takes_anything_as_data_and_checks_names_and_statics():
    class A(Struct):
        x: Any
        scale: InitVar[int] = 1
        y: int = 2
        z: list = field(default_factory=list)
        n: Static[Any] = 4

    for value in (1, None, object()):
        assert vars(construct(A, x=value)) == {"x": value, "y": 2, "z": [], "n": 4}
    assert construct(A, x=1).z is not construct(A, x=1).z
    with pytest.raises(errors.StaticValueError):
        construct(A, x=1, n=[1])
    with pytest.raises(errors.UnknownFieldError, match="A has no field 'scale'"):
        construct(A, x=1, scale=2)
