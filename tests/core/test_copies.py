"""`copy`, `deepcopy`, `pickle` and `cloudpickle` give what they were given, and nothing is kept alive."""

import copy
import functools
import pickle
import threading
import types
import weakref
from dataclasses import InitVar
from typing import Any

import cloudpickle
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from structkit import Static, Struct, construct, derived, errors, static, struct
from tests.core.test_custom_init import CustomOfCustom
from tests.models import (
    COPIES,
    Box,
    Checked,
    Custom,
    Delegating,
    DelegatingCustom,
    DelegatingWithHooks,
    Empty,
    Everything,
    Lazy,
    Loud,
    LoudCustom,
    Mixed,
    Model,
    Mutable,
    Pair,
    Point,
    Scaled,
    Squared,
    Standard,
    assert_frozen,
    collected,
    run_python,
)


class OfStandard(Standard, Struct):
    n: int = static(default=1)


class Inheriting(Custom):
    pass


MADE = [
    *(Point(1), Pair([1], 2, "name"), Box[int](2), Squared(3), Scaled(4)),
    *(Custom(5, 6), CustomOfCustom(5, 6), Inheriting(5, 6)),
    *(Everything(7, 2.0), Lazy(8), Checked(9), Mixed([1], 3), OfStandard(1, 3), Empty(), Loud(1), LoudCustom(1)),
    *(Delegating(Point(1)), DelegatingCustom(Point(1)), DelegatingWithHooks(Point(1))),
    Model([Pair(np.ones(3)), Pair(2, (), "b"), {"a": None}], name="nested"),
    Pair(Point(jnp.arange(3.0)), Pair(jnp.ones((), jnp.bfloat16))),
]
DUPLICATES = {
    **COPIES,
    "construct": lambda made: construct(type(made), **vars(made)),
    "tree map": lambda made: jax.tree.map(lambda leaf: leaf, made),
    "unflatten": lambda made: jax.tree.unflatten(*reversed(jax.tree.flatten(made))),
}


@pytest.mark.parametrize("duplicate", DUPLICATES.values(), ids=DUPLICATES)
@pytest.mark.parametrize("made", [*MADE, Mutable([1], 2)], ids=repr)
def test_a_duplicate_has_the_values_and_the_structure_is_frozen_as_the_original_and_runs_no_hook(made, duplicate):
    Loud.marks.clear()
    LoudCustom.marks.clear()
    copied = duplicate(made)
    assert Loud.marks == [] and {"init", "setattr", "check", "converter"}.isdisjoint(LoudCustom.marks)
    assert copied is not made and type(copied) is type(made)
    assert copied == made
    assert vars(copied).keys() == vars(made).keys() and construct(type(made), **vars(copied)) == made
    assert jax.tree.structure(copied) == jax.tree.structure(made)
    assert not isinstance(made, Delegating) or copied.x == 1
    for name in vars(made) if not isinstance(made, Mutable) else ():
        assert_frozen(made, name)
        assert_frozen(copied, name)


def test_a_duplicate_keeps_one_shared_object_shared():
    shared = Point([1])
    assert copy.copy(shared).x is shared.x
    for duplicate in (copy.deepcopy, lambda made: pickle.loads(pickle.dumps(made))):
        one, other = duplicate([shared, shared])
        assert one is other
        assert one.x is not shared.x
        pair = duplicate(Pair(shared, shared))
        assert pair.x is pair.y


def test_a_struct_with_a_cycle_through_a_list_copies_pickles_and_is_collected():
    items: list[Any] = []
    struct = Point(items)
    items.append(struct)
    for made in (pickle.loads(pickle.dumps(struct)), copy.deepcopy(struct)):
        assert made.x[0] is made
        assert made is not struct
    references = [weakref.ref(struct), weakref.ref(made)]
    del struct, items, made
    assert collected(references)


def test_classes_pickled_by_value_work_and_are_frozen_in_another_process():
    class Base(Struct):
        x: Any
        scale: InitVar[int] = 2
        n: Static[str] = static(default="n", converter=lambda value: value + "!")
        y: Any = derived()

        def __post_init__(self, scale):
            self.y = self.x * scale

        @functools.cached_property
        def double(self):
            return 2 * self.x

    class WithInit(Base):
        def __init__(self, x):
            super().__init__(x, scale=3)

    class Leaf(struct.PyTreeNode):
        x: Any
        tags: Any = struct.field(pytree_node=False, default=None)

    objects = Base(1), WithInit(2), Leaf(3, ["t"])
    data = cloudpickle.dumps((*objects, jax.tree.structure(objects)))
    shown = run_python(
        f"""
        import dataclasses, pickle
        import jax

        base, other, leaf, treedef = pickle.loads({data!r})
        print(base, other, type(other)(1), base.replace(x=4), jax.tree.structure((base, other, leaf)) == treedef)
        print(leaf.replace(x=5), jax.tree.leaves(leaf), base.double, type(other)(5).double)
        for made in (base, other, type(other)(1), jax.tree.map(lambda leaf: leaf, other)):
            try:
                object.__setattr__(made, "x", 1)
            except dataclasses.FrozenInstanceError as error:
                print(str(error)[:29])
        """
    )
    assert shown.splitlines() == [
        "Base(x=1, n='n!', y=2) WithInit(x=2, n='n!', y=6) WithInit(x=1, n='n!', y=3) Base(x=4, n='n!!', y=8) True",
        "Leaf(x=5, tags=['t']) [3] 2 10",
        *["cannot assign to field 'x': B", *["cannot assign to field 'x': W"] * 3],
    ]


# Objects that are not finished yet, or never will be


def set_in_steps(self, see, stop=False):
    self.a = [1]
    see(self)
    if stop:
        raise ValueError
    self.b, self.n = 2, "n"


def half_built(name, **options):
    """A class whose constructor sets `b` and `n` after it has shown the object."""
    body = {"__annotations__": dict.fromkeys("abnd", Any), "n": static(), "d": 3, "__init__": set_in_steps}
    return types.new_class(name, (Struct,), options, lambda space: space.update(body, __module__=__name__))


HalfFrozen, HalfMutable = half_built("HalfFrozen"), half_built("HalfMutable", frozen=False)


def draft(cls, use):
    cls(use)


def filled(cls, use):
    made = cls.__new__(cls)
    object.__setattr__(made, "a", [1])
    use(made)


class Locked(Struct):
    x: Any
    lock: Any = static(default=None)

    def __getstate__(self):
        return self.x

    def __setstate__(self, x):
        self.x, self.lock = x, threading.Lock()


class LockedChild(Locked):
    y: Any = 0


@pytest.mark.parametrize("cls", [Locked, LockedChild])
def test_copies_are_made_as_the_pickling_of_user_code_says(cls):
    made = cls([1], threading.Lock())
    for duplicate, shared in ((copy.copy, True), (copy.deepcopy, False)):
        copied = duplicate(made)
        assert type(copied) is cls and copied.x == [1] and (copied.x is made.x) is shared
        assert type(copied.lock) is type(made.lock) and copied.lock is not made.lock


def abandoned(cls, use):
    kept = []
    with pytest.raises(ValueError):
        cls(kept.append, stop=True)
    use(kept[0])


@pytest.mark.parametrize("duplicate", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize("come_by", [draft, filled, abandoned])
@pytest.mark.parametrize("cls", [HalfFrozen, HalfMutable])
def test_a_half_built_object_shows_what_is_set_names_what_is_not_and_is_copied_as_it_is(cls, come_by, duplicate):
    def use(made):
        copied = duplicate(made)
        assert type(copied) is cls and vars(copied) == vars(made) == {"a": [1], "d": 3}
        assert (copied.a is made.a) is (duplicate is copy.copy)
        for half in (copied, made):
            assert repr(half) == f"{cls.__name__}(a=[1], b=<unset>, n=<unset>, d=3)"
            assert {"a", "d"} <= {*dir(half)} and {"b", "n"}.isdisjoint(dir(half))
            for name in ("b", "n"):
                assert not hasattr(half, name)
                with pytest.raises(errors.UnsetFieldError, match=rf"^{cls.__name__}\.{name} is read before it is set"):
                    getattr(half, name)
        if cls is HalfMutable:
            copied.a, copied.b, copied.n = 4, 5, 6
            assert vars(copied) == {"a": 4, "b": 5, "n": 6, "d": 3} and not hasattr(made, "b")
            made.a, made.b, made.n = 7, 8, 9
            assert vars(made) == {"a": 7, "b": 8, "n": 9, "d": 3}
        else:
            with pytest.raises(errors.FrozenInstanceError):
                object.__setattr__(copied, "b", 5)

    come_by(cls, use)


@pytest.mark.parametrize("protocol", [0, 2, pickle.HIGHEST_PROTOCOL])
@pytest.mark.parametrize("cls", [Pair, Mutable, Empty])
def test_a_bare_object_comes_back_bare(cls, protocol):
    bare = cls.__new__(cls)
    for made in (pickle.loads(pickle.dumps(bare, protocol)), copy.copy(bare), copy.deepcopy(bare)):
        assert type(made) is cls and not hasattr(made, "__flat__")
