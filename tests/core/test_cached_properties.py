"""Cached properties are kept beside the tree, and a generic alias makes objects of the plain class."""

import copy
import dataclasses
import functools
import pickle
from typing import Any, Generic

import jax
import jax.numpy as jnp
import pytest

from structkit import Struct, at, construct, derived, errors, static
from tests.models import Box, Point, T

calls: list[Any] = []


@pytest.fixture(autouse=True)
def no_calls():
    calls.clear()


class Cached(Struct):
    x: Any
    n: int = static(default=1)

    @functools.cached_property
    def double(self):
        """Twice x."""
        calls.append("double")
        return 2 * self.x


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


def test_a_cached_property_is_computed_once_for_each_object():
    cached = Cached(1)
    assert (cached.double, cached.double) == (2, 2)
    assert Cached(3).double == 6
    assert calls == ["double", "double"]
    assert Cached.double.__doc__ == "Twice x."


@pytest.mark.parametrize("cls", [Before, After, Child, Changeable])
def test_a_cached_property_of_a_mixin_or_a_mutable_struct_is_computed_once(cls):
    made = cls(1)
    assert (made.triple, made.triple) == (3, 3)
    assert calls == ["triple"]
    assert vars(made) == {"x": 1}
    assert made == cls(1)


def test_a_cached_property_of_a_subclass_of_cached_property_leaves_the_fields_alone():
    class logged_property(functools.cached_property):
        pass

    class A(Struct):
        x: int

        @logged_property
        def double(self):
            return 2 * self.x

    a = A(1)
    assert (a.double, a.double) == (2, 2)
    assert vars(a) == {"x": 1}
    assert a == A(1)


def test_a_computed_cached_property_leaves_tree_equality_hash_repr_and_vars_alone():
    fresh, computed = Cached(1), Cached(1)
    assert computed.double == 2
    assert jax.tree.structure(computed) == jax.tree.structure(fresh)
    assert jax.tree.leaves(computed) == jax.tree.leaves(fresh) == [1]
    assert (computed == fresh) is True
    assert hash(computed) == hash(fresh)
    assert repr(computed) == repr(fresh) == "Cached(x=1, n=1)"
    assert vars(computed) == vars(fresh) == {"x": 1, "n": 1}
    assert pickle.dumps(computed) == pickle.dumps(fresh)


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
    assert cached.double == 2
    assert change(cached).double == 10
    assert cached.double == 2


def test_a_duplicate_has_the_value_too():
    cached = Cached(1)
    assert cached.double == 2
    for made in (copy.copy(cached), copy.deepcopy(cached), pickle.loads(pickle.dumps(cached))):
        assert made.double == 2


def test_a_cached_property_neither_retraces_nor_leaks_tracers():
    traces = []

    @jax.jit
    def double(cached):
        traces.append(1)
        return cached.double + cached.double

    cached = Cached(jnp.ones(()))
    with jax.checking_leaks():
        assert double(cached) == 4
    assert cached.double == 2
    assert double(cached) == 4
    assert len(traces) == 1
    assert not isinstance(cached.double, jax.core.Tracer)


def test_a_cached_property_cannot_be_assigned_or_deleted():
    cached = Cached(1)
    assert cached.double == 2
    with pytest.raises(errors.FrozenInstanceError):
        cached.double = 3
    with pytest.raises(errors.FrozenInstanceError):
        del cached.double
    assert cached.double == 2


def test_a_cached_property_that_fails_is_computed_again():
    class A(Struct):
        x: int

        @functools.cached_property
        def sometimes(self):
            calls.append(1)
            if len(calls) == 1:
                raise ValueError("not yet")
            return self.x

    a = A(1)
    with pytest.raises(ValueError, match="not yet"):
        a.sometimes
    assert a.sometimes == 1


def test_a_cached_property_is_inherited_overridden_and_reached_through_super():
    class A(Cached):
        y: int = 2

    class B(A):
        @functools.cached_property
        def double(self):
            return super().double + 1

    assert A(1).double == 2
    b = B(1)
    assert (b.double, b.double) == (3, 3)


def test_a_cached_property_of_an_object_that_delegates_attributes_is_its_own():
    class Outer(Struct):
        inner: Any
        x: int

        def __getattr__(self, name):
            return getattr(self.inner, name)

        @functools.cached_property
        def double(self):
            return 2 * self.x

    outer = Outer(Cached(1), 10)
    assert outer.inner.double == 2
    assert outer.double == 20
    assert outer.inner.double == 2


def test_dir_lists_what_can_be_read_with_or_without_a_computed_cached_property():
    class Late(Struct):
        x: int
        y: int = derived()

        @functools.cached_property
        def twice(self):
            return 2 * self.x

        def __post_init__(self):
            assert "x" in dir(self) and "y" not in dir(self)
            self.y = 1

    late = Late(1)
    for _ in range(2):
        assert {"x", "y", "twice"} <= {*dir(late)} and all(hasattr(late, name) for name in dir(late))
        assert late.twice == 2
    assert "x" in dir(Late) and all(hasattr(Late, name) for name in dir(Late) if name != "__abstractmethods__")


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
