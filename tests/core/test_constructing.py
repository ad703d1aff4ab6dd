"""The generated constructor, its converters, and `construct`."""

from dataclasses import InitVar
from typing import Any

import pytest

from structkit import Static, Struct, construct, derived, errors, field, static


class Recorder:
    """A converter that doubles, and writes down what it was given."""

    def __init__(self, name, log):
        self.name, self.log = name, log

    def __call__(self, value):
        self.log.append((self.name, value))
        return value * 2


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
