"""The generated constructor: `__post_init__`, which may assign, `__check_init__`, which may not, and converters."""

from dataclasses import InitVar
from typing import Any

import jax
import pytest

from structkit import Static, Struct, derived, errors, field, static
from tests.models import Pair, assert_frozen


def test_post_init_may_assign_every_field_and_gets_the_converted_init_vars():
    class A(Struct):
        x: int
        shift: InitVar[int]
        n: Static[int] = 1
        y: int = derived()
        m: int = derived(static=True)
        scale: InitVar[int] = field(default="10", converter=int)
        left: int = derived(default=5)
        made: list = derived(default_factory=list)

        def __post_init__(self, shift, scale):
            self.x = self.x * scale + shift
            self.x = self.x + 1
            self.n = self.n + 1
            self.y = self.x + 1
            self.m = self.n
            self.made = [*self.made, self.left]

    assert vars(A(2, 3)) == {"x": 24, "n": 2, "y": 25, "m": 2, "left": 5, "made": [5]}
    assert vars(A(2, 3, 5, scale="1")) == {"x": 6, "n": 6, "y": 7, "m": 6, "left": 5, "made": [5]}


class CustomPair(Pair):
    def __init__(self, x, y=None, name="custom"):
        self.x, self.y, self.name = x, y, name


@pytest.mark.parametrize("parent", [Pair, CustomPair])
def test_post_init_may_call_the_init_of_the_parent(parent):
    class A(parent):
        x: Any = derived()
        y: Any = derived()
        name: Any = derived()
        z: Any

        def __post_init__(self):
            super().__init__(self.z * 2, name="from post_init")

    a = A(z=4)
    assert vars(a) == {"x": 8, "y": None, "name": "from post_init", "z": 4}
    assert jax.tree.leaves(a) == [8, 4]
    assert_frozen(a)


# __check_init__


@pytest.mark.parametrize("kind", ["generated", "post_init", "custom", "inherited"])
def test_check_init_sees_the_finished_object_and_may_not_assign(kind):
    class A(Struct):
        x: int
        y: int = field(default_factory=lambda: 5)

        if kind == "post_init":

            def __post_init__(self):
                self.x = self.x

        if kind in ("custom", "inherited"):

            def __init__(self, x):
                self.x = x

        def __check_init__(self):
            assert vars(self) == {"x": 1, "y": 5}
            assert jax.tree.leaves(self) == [1, 5]
            self.x = 2

    B = type(A)("B", (A,), {}) if kind == "inherited" else A
    with pytest.raises(errors.FrozenInstanceError, match=f"^cannot assign to field 'x': {B.__name__} is frozen"):
        B(1)


def test_every_check_init_of_the_method_resolution_order_runs_once_after_the_outermost_init():
    finished = []

    def checking(name):
        return {"__check_init__": lambda self: finished.append((name, vars(self)))}

    def b_init(self, a, b):
        super(B, self).__init__(a)
        self.b = b

    def c_init(self, a):
        super(C, self).__init__(a, 2 * a)
        assert not finished
        self.c = self.a + self.b

    A = type(Struct)("A", (Struct,), {"__annotations__": {"a": Any}, **checking("A")})
    B = type(Struct)("B", (A,), {"__annotations__": {"b": Any}, "__init__": b_init})
    Mixin = type("Mixin", (), checking("Mixin"))
    C = type(Struct)("C", (Mixin, B), {"__annotations__": {"c": Any}, "__init__": c_init, **checking("C")})
    C(1)
    assert finished == [(name, {"a": 1, "b": 2, "c": 3}) for name in ("C", "Mixin", "A")]
    B(1, 2)
    assert finished[3:] == [("A", {"a": 1, "b": 2})]


# Factories and converters


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


@pytest.mark.parametrize("kind", ["generated", "post_init", "custom", "inherited", "child"])
def test_converters_run_once_on_arguments_assignments_defaults_and_factories(kind):
    log = []

    class A(Struct):
        a: int = field(converter=Recorder("a", log))
        b: int = field(default=2, converter=Recorder("b", log))
        c: int = field(default_factory=lambda: 3, converter=Recorder("c", log))
        d: int = static(default=4, converter=Recorder("d", log))
        e: int = field(default=5, converter=Recorder("e", log), init=False)
        f: int = derived(converter=Recorder("f", log), **({"default": 2} if kind == "generated" else {}))

        if kind != "generated":

            def __post_init__(self):
                self.f = self.a

        if kind in ("custom", "inherited"):

            def __init__(self, a):
                self.a = a
                self.f = self.a

    class B(A):
        if kind == "child":

            def __init__(self, a):
                super().__init__(a)

    made = (B if kind in ("inherited", "child") else A)(1)
    assert vars(made) == {"a": 2, "b": 4, "c": 6, "d": 8, "e": 10, "f": 4}
    assert sorted(log) == [("a", 1), ("b", 2), ("c", 3), ("d", 4), ("e", 5), ("f", 2)]
    assert kind not in ("generated", "post_init") or log == sorted(log)
