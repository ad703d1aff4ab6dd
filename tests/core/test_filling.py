"""Trap 22: objects that are filled without their constructor, by packages, by `__setstate__`, by `__new__`."""

import copy
import copyreg
import pickle
from typing import Any

import cloudpickle
import jax
import pytest

from structkit import Struct, derived, errors, field, static
from tests.models import Checked, Drafted, Empty, Loud, Mutable, Pair, Point, Squared, assert_frozen


def one_by_one(cls, values):
    """As msgspec does."""
    made = cls.__new__(cls)
    for name, value in values.items():
        object.__setattr__(made, name, value)
    return made


def as_a_whole(cls, values):
    """As pydantic does."""
    made = cls.__new__(cls)
    object.__setattr__(made, "__dict__", dict(values))
    return made


FILL = pytest.mark.parametrize("fill", [one_by_one, as_a_whole])


class Converted(Struct):
    x: Any = field(converter=lambda value: value * 10)
    n: Any = static(default=1, converter=lambda value: value * 10)


class Positive(Struct):
    x: Any
    y: Any = 2
    label: str = static(default="a")

    def __post_init__(self):
        self.y = self.y * 2
        self.label += "!"

    def __check_init__(self):
        if self.x < 0:
            raise ValueError("x is negative")


@FILL
@pytest.mark.parametrize(
    ("cls", "values"),
    [
        (Point, {"x": 1}),
        (Pair, {"x": 1, "y": [2], "name": "b"}),
        (Pair, {"name": "b", "x": 1, "y": 2}),
        (Pair, {"x": 1}),
        (Pair, {"name": "b", "x": 1}),
        (Converted, {"x": 3, "n": 4}),
        (Loud, {"x": -1, "y": 0, "twice": 5, "label": "a"}),
        (Squared, {"side": 3, "area": 5}),
    ],
)
def test_an_object_is_full_and_frozen_once_it_has_all_that_has_no_default_and_no_hook_runs(fill, cls, values):
    Loud.marks.clear()
    made = fill(cls, values)
    expected = {**vars(made), **values}
    assert vars(made) == expected and list(vars(made)) == [*cls.__dataclass_fields__]
    for copied in (made, copy.copy(made), copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert vars(copied) == expected
        for name in values:
            assert_frozen(copied, name)
    assert vars(jax.tree.map(lambda leaf: leaf, made)) == vars(jax.jit(lambda m: m)(made)) == expected
    assert Loud.marks == []
    assert made == made.replace() if cls is Pair else made == copy.copy(made)


def test_what_is_bare_is_empty_and_takes_no_assignment():
    bare = Pair.__new__(Pair)
    for name in ("x", "name", "other"):
        with pytest.raises(errors.FrozenInstanceError):
            setattr(bare, name, 1)
    assert vars(bare) == {}


@FILL
def test_a_field_is_filled_once_by_object_setattr_alone_and_a_static_one_is_checked(fill):
    made = fill(Pair, {"y": 2})
    assert (made.y, made.name, repr(made)) == (2, "pair", "Pair(x=<unset>, y=2, name='pair')")
    with pytest.raises(errors.UnsetFieldError, match=r"^Pair\.x is read before it is set"):
        made.x
    for write in (setattr, type(made).__setattr__):
        with pytest.raises(errors.FrozenInstanceError):
            write(made, "x", 1)
    with pytest.raises(errors.StaticValueError, match=r"Pair\.name"):
        object.__setattr__(made, "name", [])
    with pytest.raises(AttributeError, match="typo"):
        object.__setattr__(made, "typo", 1)
    with pytest.raises(errors.UnknownAttributeError, match="did you mean 'name'"):
        object.__setattr__(made, "__dict__", {"nmae": 1})
    object.__setattr__(made, "x", 1)
    assert vars(made) == {"x": 1, "y": 2, "name": "pair"}
    assert_frozen(made)


@FILL
def test_a_post_init_may_write_once_more_and_the_checks_run_after_it(fill):
    made = fill(Positive, {"x": 1, "y": 3})
    assert made.y == 3
    assert made.__post_init__() is None
    assert vars(made) == {"x": 1, "y": 6, "label": "a!"} == vars(Positive(1, 3))
    with pytest.raises(errors.FrozenInstanceError):
        made.__post_init__()
    assert_frozen(made)
    wrong = fill(Positive, {"x": -1})
    with pytest.raises(ValueError, match="x is negative"):
        wrong.__post_init__()
    assert_frozen(wrong)


@FILL
def test_checks_without_a_post_init_and_a_struct_without_fields_have_one_for_packages(fill):
    with pytest.raises(ValueError, match="x is None"):
        fill(Checked, {"x": None}).__post_init__()
    nothing = fill(Empty, {})
    nothing.__post_init__()
    assert nothing == Empty() == jax.tree.map(lambda leaf: leaf, nothing)


@FILL
def test_a_post_init_completes_what_it_derives(fill):
    made = fill(Squared, {"side": 3})
    made.__post_init__()
    assert vars(made) == {"side": 3, "area": 9}
    drafted = fill(Drafted, {"x": "1", "n": 2, "w": [3]})
    drafted.__post_init__(4)
    # No converter runs.
    assert vars(drafted) == {"x": "1", "n": 2, "y": 4, "w": [3]}


@pytest.mark.parametrize("first", [Checked, Empty])
def test_a_post_init_of_a_mixin_is_reached_past_a_struct_that_has_none(first):
    seen = []
    Mixin = type("Mixin", (), {"__post_init__": lambda self: seen.append("mixin")})

    class Inheriting(first, Mixin):
        x: Any = 1

    class Calling(first, Mixin):
        x: Any = 1

        def __post_init__(self):
            super().__post_init__()

    for cls in (Inheriting, Calling):
        cls()
        one_by_one(cls, {"x": 2}).__post_init__()
    assert seen == ["mixin"] * 4


@FILL
def test_a_mutable_struct_that_is_full_takes_assignments(fill):
    made = fill(Mutable, {"x": 1})
    assert made == Mutable(1)
    made.x = 2
    made.n = 3
    made.x += 1
    assert made == Mutable(3, 3)


# A user's own `__setstate__` and friends


class ByObjectSetattr(Converted):
    def __setstate__(self, state):
        for name, value in state.items():
            object.__setattr__(self, name, value)


class ByAssignment(Converted):
    def __setstate__(self, state):
        self.n = state["n"]
        self.x = 0
        self.x = state["x"]


class ByDict(Converted):
    def __setstate__(self, state):
        self.__dict__ = state


class BySuper(ByAssignment):
    y: Any = 5

    def __setstate__(self, state):
        Struct.__setstate__(self, {**state, "x": 0})
        super().__setstate__(state)


class ByConstructor(Converted):
    def __setstate__(self, state):
        self.__init__(state["x"] // 10, state["n"] // 10)


class ByOwnConstructor(Converted):
    def __init__(self, x, n):
        self.x, self.n = x, n

    __setstate__ = ByConstructor.__setstate__


class ByTuple(Struct):
    x: Any
    n: Any = static(default=1)

    def __getstate__(self):
        return self.x, self.n

    def __setstate__(self, state):
        self.x, self.n = state


class Restores:
    def __setstate__(self, state):
        vars(self).update(state)


class ByMixin(Restores, Converted):
    pass


class Recomputing(Struct):
    x: Any
    n: Any = derived()

    def __post_init__(self):
        self.n = self.x + 1

    def __getstate__(self):
        return {"x": self.x}

    def __setstate__(self, state):
        object.__setattr__(self, "x", state["x"])
        self.__post_init__()


class Reduced(Pair):
    def __reduce__(self):
        return type(self), (self.x, self.y, self.name)


class ReducedToNewObject(Pair):
    def __reduce__(self):
        return copyreg.__newobj__, (type(self),), vars(self)


class NewArguments(Struct):
    x: Any
    y: Any = 2

    def __new__(cls, x, y=2):
        return super().__new__(cls)

    def __getnewargs__(self):
        return (self.x,)


class NewKeywords(Struct):
    x: Any

    def __new__(cls, *, x):
        return super().__new__(cls)

    def __getnewargs_ex__(self):
        return (), {"x": self.x}


class NewFills(Struct):
    x: Any

    def __new__(cls, x):
        made = super().__new__(cls)
        object.__setattr__(made, "x", x)
        return made

    def __init__(self, x):
        assert self.x is x

    __getnewargs__ = NewArguments.__getnewargs__


@pytest.mark.parametrize(
    "make",
    [
        *(lambda cls=cls: cls(1, 2) for cls in (ByObjectSetattr, ByAssignment, ByDict, BySuper, ByConstructor)),
        *(lambda cls=cls: cls(1, 2) for cls in (ByOwnConstructor, ByTuple, ByMixin, Reduced, ReducedToNewObject)),
        *(lambda cls=cls: cls(x=1) for cls in (Recomputing, NewArguments, NewKeywords, NewFills)),
    ],
    ids=lambda make: make.__defaults__[0].__name__,
)
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_the_hooks_of_pickle_that_user_code_wrote_give_an_equal_and_frozen_struct(make, protocol):
    struct = make()
    for library in (pickle, cloudpickle):
        made = pickle.loads(library.dumps(struct, protocol))
        assert type(made) is type(struct) and made == struct and vars(made) == vars(struct)
        assert jax.tree.structure(made) == jax.tree.structure(struct)
        for name in vars(made):
            assert_frozen(made, name)
    assert copy.copy(struct) == copy.deepcopy(struct) == struct


@pytest.mark.parametrize(
    ("base", "name", "kind", "text"),
    [(Pair, "y", TypeError, "^A.__setstate__ left field 'x'"), (Checked, "x", ValueError, "x is None")],
)
def test_a_set_state_that_leaves_a_field_unset_or_fails_a_check_is_an_error_and_leaves_the_object_frozen(
    base, name, kind, text
):
    A = type(Struct)("A", (base,), {"__setstate__": lambda self, state: setattr(self, name, None)})
    made = A.__new__(A)
    with pytest.raises(kind, match=text):
        made.__setstate__({"x": 1})
    with pytest.raises(errors.FrozenInstanceError):
        object.__setattr__(made, "x", 2)


def test_a_set_state_of_a_finished_struct_may_say_what_it_holds_and_nothing_else():
    made = Pair([1], 2)
    made.__setstate__({"x": [1], "y": 2, "name": "pair"})
    with pytest.raises(errors.FrozenInstanceError):
        made.__setstate__({"x": [1], "y": 2, "name": "other"})
    assert vars(made) == {"x": [1], "y": 2, "name": "pair"}


class Tagged(Struct):
    tags: Any = field(converter=set)

    def __call__(self):
        return self.tags

    def __reduce__(self):
        return type(self), (self.tags,), {"tags": self.tags}


def test_a_state_with_the_contents_that_a_callable_has_already_is_no_change():
    tagged = pickle.loads(pickle.dumps(Tagged({1, 2})))
    assert tagged.tags == {1, 2}
