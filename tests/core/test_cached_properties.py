"""Cached properties are kept beside the tree, and a generic alias makes objects of the plain class."""

import dataclasses
import functools
import pickle
from typing import Any, Generic

import jax
import jax.numpy as jnp
import pytest

from structkit import Struct, at, construct, errors, static
from tests.models import COPIES, Box, Point, T, counting_jit

calls: list[Any] = []


@pytest.fixture(autouse=True)
def no_calls():
    calls.clear()


class Cached(Struct):
    x: Any
    n: int = static(default=1)

    @functools.cached_property
    def triple(self):
        """Three times x."""
        calls.append("triple")
        return 3 * self.x


class logged_property(functools.cached_property):
    pass


class Logged(Struct):
    x: Any
    triple = logged_property(Cached.triple.func)


class Tripling:
    @functools.cached_property
    def triple(self):
        calls.append("triple")
        return 3 * self.x


class Before(Tripling, Point):
    pass


class After(Point, Tripling):
    pass


class Child(After):
    pass


class Changeable(Tripling, Struct, frozen=False):
    x: Any


CLASSES = [Cached, Logged, Before, After, Child, Changeable]


@pytest.mark.parametrize("cls", CLASSES)
def test_a_cached_property_is_computed_once_for_each_object_and_leaves_all_else_alone(cls):
    fresh, computed = cls(1), cls(1)
    assert (computed.triple, computed.triple, cls(3).triple) == (3, 3, 9)
    # A subclass of `cached_property` may have reasons to look anew.
    assert cls is Logged or calls == ["triple", "triple"]
    assert jax.tree.structure(computed) == jax.tree.structure(fresh)
    assert jax.tree.leaves(computed) == jax.tree.leaves(fresh) == [1]
    assert (computed == fresh) is True
    assert cls is Changeable or hash(computed) == hash(fresh)
    assert (repr(computed), vars(computed), dir(computed)) == (repr(fresh), vars(fresh), dir(fresh))
    assert "triple" in dir(fresh)
    assert pickle.dumps(computed) == pickle.dumps(fresh)
    assert [duplicate(computed).triple for duplicate in COPIES.values()] == [3] * len(COPIES)
    with pytest.raises(AttributeError if cls is Changeable else errors.FrozenInstanceError):
        computed.triple = 3
    assert computed.triple == 3 and Cached.triple.__doc__ == "Three times x."


@pytest.mark.parametrize(
    "change",
    [
        lambda cached: cached.replace(x=5),
        lambda cached: dataclasses.replace(cached, x=5),
        lambda cached: at(cached, lambda c: c.x).set(5),
        lambda cached: jax.tree.map(lambda leaf: leaf + 4, cached),
        lambda cached: jax.jit(lambda c: jax.tree.map(lambda leaf: leaf + 4, c))(cached),
        lambda cached: construct(Cached, **{**vars(cached), "x": 5}),
    ],
)
def test_a_changed_copy_computes_its_own_value(change):
    cached = Cached(1)
    assert (cached.triple, change(cached).triple, cached.triple) == (3, 15, 3)


def test_a_cached_property_neither_retraces_nor_leaks_tracers():
    traced, traces = counting_jit(lambda cached: cached.triple + cached.triple)
    cached = Cached(jnp.ones(()))
    with jax.checking_leaks():
        assert traced(cached) == 6
    assert cached.triple == 3
    assert traced(cached) == 6
    assert len(traces) == 1
    assert not isinstance(cached.triple, jax.core.Tracer)


def test_a_cached_property_is_inherited_overridden_and_reached_through_super():
    class A(Cached):
        y: int = 2

    class B(A):
        @functools.cached_property
        def triple(self):
            return super().triple + 1

    b = B(1)
    assert (A(1).triple, b.triple, b.triple) == (3, 4, 4)


def test_a_cached_property_of_an_object_that_delegates_attributes_is_its_own():
    class Outer(Struct):
        inner: Any
        x: int

        def __getattr__(self, name):
            return getattr(self.inner, name)

        triple = functools.cached_property(Cached.triple.func)

    outer = Outer(Cached(1), 10)
    assert (outer.inner.triple, outer.triple, outer.inner.triple) == (3, 30, 3)


def test_a_value_that_is_read_under_construction_is_computed_again_when_it_is_finished():
    class Hooked(Struct):
        x: Any

        @functools.cached_property
        def double(self):
            return 2 * self.x

        def __post_init__(self):
            self.x = self.double

    assert (Hooked(1).x, Hooked(1).double) == (2, 4)


def test_a_mutable_struct_computes_again_what_was_deleted():
    made = Changeable(1)
    assert made.triple == 3
    made.x = 2
    del made.triple
    assert made.triple == 6
    with pytest.raises(AttributeError, match="triple"):
        del made.triple, made.triple
    with pytest.raises(errors.FrozenInstanceError, match="cannot delete field 'x'"):
        del made.x
    with pytest.raises(errors.FrozenInstanceError, match="cannot delete field 'triple'"):
        del After(1).triple


# Generic aliases


class Pair(Box[T]):
    other: T

    def __init__(self, item, other):
        self.item, self.other = item, other


class Narrowed(Pair[int], Tripling):
    pass


class Cell(Struct, Generic[T], frozen=False):
    item: T


@pytest.mark.parametrize(
    ("alias", "cls", "arguments"),
    [
        (Box[int], Box, (1,)),
        (Box[Box[int]], Box, (1,)),
        (Pair[int], Pair, (1, 2)),
        (Narrowed, Narrowed, (1, 2)),
        (Cell[int], Cell, (1,)),
    ],
)
def test_a_parametrized_generic_makes_objects_of_the_plain_class(alias, cls, arguments):
    plain, parametrized = cls(*arguments), alias(*arguments)
    assert type(parametrized) is cls
    assert jax.tree.structure(plain) == jax.tree.structure(parametrized)
    assert jax.tree.leaves(parametrized) == [*arguments]
    assert vars(plain) == vars(parametrized)
    assert plain == parametrized
    assert repr(parametrized) == repr(plain)
