"""`__post_init__`, which may still assign, `InitVar`s, derived fields; `__check_init__`, which may not."""

from dataclasses import InitVar
from typing import Any

import jax
import pytest

from structkit import Static, Struct, derived, errors, field
from tests.models import Pair, Point, assert_frozen


def test_post_init_may_assign_every_field_and_gets_the_converted_init_vars():
    class A(Struct):
        x: int
        shift: InitVar[int]
        n: Static[int] = 1
        y: int = derived()
        m: int = derived(static=True)
        scale: InitVar[int] = field(default="10", converter=int)

        def __post_init__(self, shift, scale):
            self.x = self.x * scale + shift
            self.x = self.x + 1
            self.n = self.n + 1
            self.y = self.x + 1
            self.m = self.n

    assert vars(A(2, 3)) == {"x": 24, "n": 2, "y": 25, "m": 2}
    assert vars(A(2, 3, 5, scale="1")) == {"x": 6, "n": 6, "y": 7, "m": 6}


def test_post_init_calls_the_one_of_a_base_only_when_asked():
    calls = []

    class Mixin:
        def __post_init__(self):
            calls.append(f"Mixin {self.x}")

    class A(Struct):
        x: int

        def __post_init__(self):
            calls.append("A")

    class B(A):
        y: int = 2

        def __post_init__(self):
            super().__post_init__()
            calls.append("B")

    class C(A):
        z: int = 1

    class D(Mixin, A):
        pass

    B(1), C(1), D(1)
    assert calls == ["A", "B", "A", "Mixin 1"]


def test_replace_asks_for_an_init_var_also_where_nothing_uses_it():
    class A(Point):
        scale: InitVar[int]

    with pytest.raises(TypeError, match="'scale'"):
        A(1, 2).replace(x=3)
    assert A(1, 2).replace(x=3, scale=4) == A(3, 2)


def test_a_derived_field_with_a_default_need_not_be_set():
    class A(Struct):
        x: int
        y: int = derived(default=5)
        z: list = derived(default_factory=list)

    class B(A):
        def __post_init__(self):
            self.y = (self.y, self.z)

    assert (vars(A(1)), vars(B(1))) == ({"x": 1, "y": 5, "z": []}, {"x": 1, "y": (5, []), "z": []})


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

    class Mixin:
        def __check_init__(self):
            finished.append(("Mixin", vars(self)))

    class A(Struct):
        a: Any

        def __check_init__(self):
            finished.append(("A", vars(self)))

    class B(A):
        b: Any

        def __init__(self, a, b):
            super().__init__(a)
            self.b = b

    class C(Mixin, B):
        c: Any

        def __init__(self, a):
            super().__init__(a, 2 * a)
            assert not finished
            self.c = self.a + self.b

        def __check_init__(self):
            finished.append(("C", vars(self)))

    C(1)
    assert finished == [(name, {"a": 1, "b": 2, "c": 3}) for name in ("C", "Mixin", "A")]
    B(1, 2)
    assert finished[3:] == [("A", {"a": 1, "b": 2})]
