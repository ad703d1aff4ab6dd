"""Changed copies: `replace` in its spellings, and `construct`."""

import copy
import functools
import types
from dataclasses import InitVar
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from structkit import Struct, StructMeta, construct, derived, field, static
from structkit.errors import DefinitionError, UnknownFieldError
from tests.models import (
    REPLACERS,
    Drafted,
    Everything,
    Loud,
    LoudCustom,
    Mutable,
    Pair,
    Point,
    Scaled,
    Squared,
    assert_frozen,
)


# What `dataclasses.replace` refuses, it refuses in its own words.
@pytest.fixture(params=[name for name in REPLACERS if name != "dataclasses"])
def changed(request):
    return REPLACERS[request.param]


class CustomChild(LoudCustom):
    pass


class LoudChild(Loud):
    z: Any = 0


def test_replace_keeps_the_other_values_themselves_and_gives_a_frozen_struct_also_of_tracers(changed):
    array = np.ones(3)
    made = changed(Pair(array), y=1)
    assert made.x is array
    for struct in (made, changed(Loud(1)), changed(LoudCustom(1), y=3), changed(Squared(2), side=3)):
        assert_frozen(struct, next(iter(vars(struct))))
    after = changed(changed(LoudChild(1), x=2), z=4)
    assert vars(after) == {"x": 2, "y": 0, "twice": 4, "label": "a", "z": 4}
    doubled = jax.jit(lambda s: changed(s, x=s.x * 2))(Pair(jnp.ones(2), jnp.zeros(1), "n"))
    assert doubled == Pair(jnp.ones(2) * 2, jnp.zeros(1), "n")


def test_replace_refuses_an_unknown_name(changed):
    for made in (Pair(1), Loud(1), LoudCustom(1), CustomChild(1), Mutable(1)):
        with pytest.raises(UnknownFieldError, match=f"^replace: {type(made).__name__} has no field 'unknown' "):
            changed(made, x=1, unknown=1)


def test_replace_checks_statics(changed):
    with pytest.raises(TypeError, match=r"static field Pair\.name cannot hold a list"):
        changed(Pair(1), name=["a"])
    with pytest.raises(TypeError, match=r"static field LoudCustom\.n cannot hold a jax array"):
        changed(LoudCustom(1), n=jnp.ones(3))
    assert jax.tree.structure(changed(Pair(1), name=True)) != jax.tree.structure(changed(Pair(1), name=1))


@pytest.mark.parametrize("cls", [Loud, LoudChild])
def test_replace_of_a_generated_constructor_runs_every_hook_once(changed, cls):
    before = cls(1)
    Loud.marks.clear()
    after = changed(before, x=3)
    assert sorted(Loud.marks) == ["check", "converter", "post_init", "static converter"]
    assert type(after) is cls and (after.x, after.y, after.twice, after.label) == (3, 0, 6, "a")
    with pytest.raises(ValueError, match="x must not be negative"):
        changed(before, x=-1)
    with pytest.raises(TypeError, match=rf"^replace: field 'twice' of {cls.__name__} is not an __init__ parameter; "):
        changed(before, twice=3)


@pytest.mark.parametrize("cls", [LoudCustom, CustomChild])
def test_replace_of_a_custom_constructor_puts_fields_in_place_and_runs_the_checks(changed, cls):
    before = cls(1)
    LoudCustom.marks.clear()
    after = changed(before, y=5)
    assert LoudCustom.marks == ["check"]
    assert type(after) is cls and vars(after) == {"x": 1, "y": 5, "n": 1}
    with pytest.raises(ValueError, match="y must not be negative"):
        changed(before, y=-1)


def test_replace_asks_for_an_initvar_without_a_default(changed):
    assert vars(changed(Everything(1, 3), factor=2)) == {"value": 6, "doubled": 12, "label": "times 2"}
    with pytest.raises((TypeError, ValueError), match="'factor' of Everything is an InitVar"):
        changed(Everything(1, 3), value=3)
    # Also where no hook uses it.
    unused = types.new_class("Unused", (Point,), {}, lambda body: body.update(__annotations__={"scale": InitVar[int]}))
    with pytest.raises(TypeError, match="'scale'"):
        changed(unused(1, 2), x=3)
    assert changed(unused(1, 2), x=3, scale=4) == unused(3, 2)
    assert vars(changed(Scaled(2, 3), value=5)) == {"value": 10.0}


def test_replace_of_a_mutable_struct_leaves_the_original(changed):
    before = Mutable(1, 2)
    after = changed(before, x=3, n=4)
    after.x = 5
    assert (before.x, before.n, after.x, after.n) == (1, 2, 5, 4)


def test_construct_fills_defaults_takes_anything_as_data_and_derived_fields_too_and_runs_no_hooks():
    Loud.marks.clear()
    LoudCustom.marks.clear()
    made = construct(Loud, x=-1, y=2, twice=0)
    assert vars(made) == {"x": -1, "y": 2, "twice": 0, "label": "a"}
    assert_frozen(made)
    assert vars(construct(LoudCustom, x=1, y=-2)) == {"x": 1, "y": -2, "n": 1}
    assert Loud.marks == LoudCustom.marks == []
    assert vars(construct(Everything, value=1, doubled=2, label="l")) == {"value": 1, "doubled": 2, "label": "l"}
    for value in (1, None, object()):
        assert vars(construct(Drafted, x=value, y=0)) == {"x": value, "n": 1, "y": 0, "w": []}
    assert construct(Drafted, y=0).w is not construct(Drafted, y=0).w
    with pytest.raises(UnknownFieldError, match="Drafted has no field 's'"):
        construct(Drafted, y=0, s=2)


# Trap 21: a constructor or a hook that was put in the place of the class's own after the class was made


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


def test_a_changed_copy_goes_through_a_new_of_the_users():
    class Positive(Struct):
        x: int

        def __new__(cls, x):
            if x < 0:
                raise ValueError("negative")
            return super().__new__(cls)

    class Child(Positive):
        pass

    for cls in (Positive, Child):
        assert cls(1).replace(x=2) == cls(2)
        with pytest.raises(ValueError, match="negative"):
            cls(1).replace(x=-1)


def test_a_decorated_constructor_is_that_of_children_without_fields_and_hooks_and_others_may_call_it():
    base = plain()
    base.__init__ = logged(base.__init__)

    class Bare(base):
        pass

    class Hooked(base):
        def __post_init__(self):
            self.x = 10

    class WithField(base):
        z: Any = 2

    class Calling(base):
        z: Any

        def __init__(self, x):
            super().__init__(x=x)
            self.z = x

    assert Hooked(1).x == 10
    assert vars(WithField(1).replace(x=5)) == {"x": 5, "n": 1, "z": 2} and seen == []
    assert vars(Calling(1)) == {"x": 1, "n": 1, "z": 1} and seen.pop() == {"x": 1}
    assert Bare(x=1).replace(x=5) == Bare(x=5) and seen == [{"x": 1}, {"x": 5, "n": 1}, {"x": 5}]


def test_a_new_that_is_put_in_place_is_called_for_changed_copies_too():
    class A(Struct):
        x: Any

    class B(A):
        y: Any = 0

    made = []

    def logging_new(cls, *args, **kwargs):
        made.append(cls)
        return object.__new__(cls)

    A.__new__ = logging_new
    assert (A(1).replace(x=2), B(1).replace(x=2)) == (A(2), B(2)) and made == [A, A, B, B, A, B]


def test_a_decorated_constructor_of_the_users_is_left_out_of_changed_copies_as_before():
    class A(LoudCustom):
        z: Any = 0

        def __init__(self, both):
            super().__init__(both)

    A.__init__ = logged_without_a_trace(A.__init__)
    made = A(both=1)
    seen.clear()
    assert made.replace(x=5).x == 5 and seen == []


def test_a_metaclass_that_makes_objects_makes_changed_copies_too():
    made = []

    class Counting(StructMeta):
        def __call__(cls, *args, **kwargs):
            made.append(super().__call__(*args, **kwargs))
            return made[-1]

    class A(Struct, metaclass=Counting):
        x: int

    assert A(1).replace(x=2) is made[1]


def check_positive(self):
    assert self.x > 0


def test_a_check_that_is_put_in_place_or_deleted_is_that_of_the_children_too():
    class A(Struct):
        x: int
        __check_init__ = check_positive

    class B(A):
        pass

    with mock.patch.object(A, "__check_init__", lambda self: None):
        assert (A(-1).x, B(-1).x) == (-1, -1)
    for cls in (A, B):
        with pytest.raises(AssertionError):
            cls(-1)
    del A.__check_init__
    assert (A(-1).x, B(1).replace(x=-1).x) == (-1, -1)
    A.__check_init__ = check_positive
    with pytest.raises(AssertionError):
        B(-1)


@pytest.mark.parametrize("wrap", [lambda init: init, logged])
def test_a_post_init_that_is_put_in_place_or_deleted_is_that_of_the_children_too(wrap):
    class A(Struct):
        x: int

        def __post_init__(self):
            self.x += 1

    class B(A):
        y: int = 0

    A.__init__ = wrap(A.__init__)
    with mock.patch.object(B, "__post_init__", lambda self: None):
        assert (A(x=1).x, B(1).x) == (2, 1)
    assert (A(x=1).x, B(1).x) == (2, 2)

    def tenfold(self):
        self.x *= 10

    A.__post_init__ = tenfold

    class Later(A):
        y: int = 0

    assert (A(x=1).x, A(x=1).replace().x, B(1).x, Later(1).x) == (10, 100, 10, 10)
    del A.__post_init__
    assert (A(x=1).x, B(1).x, B(1).replace(x=5).x, Later(1).x) == (1, 1, 5, 1)
    A.__post_init__ = tenfold
    assert (A(x=1).x, B(1).x, Later(1).x) == (10, 10, 10)


@pytest.mark.parametrize("hook", ["__post_init__", "__check_init__"])
def test_a_hook_that_the_constructor_was_made_without_is_refused_but_where_user_code_constructs(hook):
    class Custom(Struct):
        x: int

        def __init__(self, x):
            self.x = x

    setattr(Custom, hook, check_positive)
    with pytest.raises(DefinitionError) as error:
        setattr(Point, hook, lambda self: None)
    told = f"Point: was made without {hook!r}, which its constructor does not run; write it in the body"
    assert str(error.value) == told
    if hook == "__check_init__":
        with pytest.raises(AssertionError):
            Custom(-1)
