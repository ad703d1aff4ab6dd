"""Trap 21: a constructor or a hook that was put in the place of the class's own after the class was made."""

import copy
import functools
from dataclasses import InitVar
from typing import Any

import jax
import pytest

from structkit import Struct, derived, field, static
from tests.models import REPLACERS, LoudCustom

seen: list[dict[str, Any]] = []


@pytest.fixture(autouse=True)
def nothing_seen():
    seen.clear()


def logged(init):
    @functools.wraps(init)
    def __init__(self, **values):
        seen.append(values)
        init(self, **values)

    return __init__


def logged_without_a_trace(init):
    return lambda self, **values: logged(init)(self, **values)


def plain():
    class A(Struct):
        x: Any
        n: Any = static(default=1)

    return A


def with_hooks():
    class A(Struct):
        x: Any = field(converter=abs)
        s: InitVar[int] = 3
        y: Any = derived()

        def __post_init__(self, s):
            self.y = s

        def __check_init__(self):
            assert self.x is not None

    return A


def mutable():
    class A(Struct, frozen=False, kw_only=True):
        x: Any
        y: Any = field(default_factory=list)

    return A


def child():
    class A(plain()):
        z: Any = 2

    return A


def decorated_in_a_hook():
    class Hook:
        def __init_subclass__(cls, **keywords):
            super().__init_subclass__(**keywords)
            cls.__init__ = logged(cls.__init__)

    class A(Hook, Struct):
        x: Any
        n: Any = static(default=1)

    return A


@pytest.mark.parametrize("wrap", [logged, logged_without_a_trace])
@pytest.mark.parametrize("make", [plain, with_hooks, mutable, child, decorated_in_a_hook])
def test_a_changed_copy_goes_through_the_constructor_that_stands_there_now(make, wrap):
    cls = make()
    if make is not decorated_in_a_hook:
        cls.__init__ = wrap(cls.__init__)
    made = cls(x=1)
    for change in REPLACERS.values():
        seen.clear()
        assert change(made, x=5).x == 5
        (values,) = seen
        assert values["x"] == 5 and values.keys() <= {*cls.__dataclass_fields__}
    seen.clear()
    assert jax.tree.map(lambda leaf: leaf, made) == copy.copy(made) == made and seen == []


def test_a_child_has_a_constructor_of_its_own_and_may_call_the_decorated_one():
    base = plain()
    base.__init__ = logged(base.__init__)

    class Child(base):
        z: Any = 2

    class Calling(base):
        z: Any

        def __init__(self, x):
            super().__init__(x=x)
            self.z = x

    assert vars(Child(1).replace(x=5)) == {"x": 5, "n": 1, "z": 2} and seen == []
    assert vars(Calling(1)) == {"x": 1, "n": 1, "z": 1} and seen == [{"x": 1}]


def test_a_decorated_constructor_of_the_users_is_left_out_of_changed_copies_as_before():
    class A(LoudCustom):
        z: Any = 0

        def __init__(self, both):
            super().__init__(both)

    A.__init__ = logged_without_a_trace(A.__init__)
    made = A(both=1)
    seen.clear()
    assert made.replace(x=5).x == 5 and seen == []


def test_a_post_init_that_is_put_in_place_is_called_also_by_a_decorated_constructor_and_in_later_children():
    class A(Struct):
        x: Any

        def __post_init__(self):
            self.x = "old"

    A.__init__ = logged(A.__init__)
    A.__post_init__ = lambda self: object.__setattr__(self, "x", "new")

    class B(A):
        y: Any = 1

    assert A(x=1).x == A(x=1).replace().x == B(1).x == "new"
