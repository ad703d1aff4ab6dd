"""Structs inherit: from one or several structs, mixins, abstract and generic classes, protocols, frozen dataclasses."""

import dataclasses
import functools
import inspect
import types
import typing
import weakref
from abc import ABC, abstractmethod
from collections.abc import Hashable
from dataclasses import KW_ONLY, InitVar
from typing import Any, ClassVar, TypeVar

import jax
import pytest
import typing_extensions

from structkit import Static, Struct, construct, errors, field, is_struct, static
from tests.models import (
    Coordinates,
    Delegating,
    DelegatingCustom,
    DelegatingWithHooks,
    Empty,
    Point,
    assert_frozen,
    names,
    static_names,
)

T = TypeVar("T")


def mixed(first, *others, struct_first):
    """The bases of a class, `first` in front or behind."""
    return (*others, first) if struct_first else (first, *others)


either_side = pytest.mark.parametrize("struct_first", [False, True])


# One parent


class ParentStatic(Struct):
    x: Any = 0.0
    n: int = static(default=1)
    m: Static[int] = 2


@pytest.mark.parametrize(
    ("annotation", "value", "default"),
    [
        (int, None, 1),  # as in dataclasses
        (int, 5, 5),
        ("int", 5, 5),
        (int, field(default=5, doc="five"), 5),
        (int, dataclasses.field(default=5), 5),
        (Static[int], 5, 5),
        (int, static(default=5), 5),
    ],
)
@pytest.mark.parametrize("through", ["a parent", "a grandparent", "one parent of two"])
def test_a_field_that_is_annotated_again_keeps_its_place_and_stays_static(annotation, value, default, through):
    class Middle(ParentStatic):
        m: int = 7

    class Other(Struct):
        b: Any = 1.0

    bases = {"a parent": (ParentStatic,), "a grandparent": (Middle,), "one parent of two": (Other, ParentStatic)}
    body = {"__annotations__": {"n": annotation}} | ({} if value is None else {"n": value})
    A = types.new_class("A", bases[through], {}, lambda namespace: namespace.update(body))
    assert names(A) == ["x", "n", "m"] + ["b"] * (through == "one parent of two")
    assert static_names(A) == ["n", "m"]
    assert (A().n, A.n, A().m) == (default, default, 7 if through == "a grandparent" else 2)
    assert jax.tree.leaves(A(0.5))[0] == 0.5


def test_a_field_turns_static_or_data_where_a_subclass_says_so():
    class Child(ParentStatic):
        x: Static[Any] = 0.0
        n: int = field(default=8, static=False)
        m: int = dataclasses.field(default=9, metadata={"static": False})

    class Grandchild(Child):
        n: int = 3

    assert static_names(Child) == static_names(Grandchild) == ["x"]
    assert (jax.tree.leaves(Child()), jax.tree.leaves(Grandchild())) == ([8, 9], [3, 9])
    assert jax.tree.structure(Child(1.0)) != jax.tree.structure(Child(2.0))
    assert jax.tree.leaves(ParentStatic(5.0)) == [5.0]


@either_side
def test_a_field_hides_a_method_a_value_and_a_cached_property_of_a_base(struct_first):
    Base = type("Base", (), {"size": 3, "x": functools.cached_property(lambda self: 42)})
    A = type(Struct)("A", (Struct,), {"area": lambda self: 1})
    annotations = {"area": float, "size": int, "x": int}
    B = type(Struct)("B", mixed(Base, A, struct_first=struct_first), {"__annotations__": annotations})
    assert vars(B(2.0, 5, 6)) == {"area": 2.0, "size": 5, "x": 6} == {n: getattr(B(2.0, 5, 6), n) for n in annotations}
    assert inspect.signature(B).parameters["area"].default is inspect.Parameter.empty
    assert type(Struct)("C", (Base, Point), {})(5).x == 5


def test_methods_of_all_kinds_and_zero_argument_super_work_also_where_a_length_makes_the_struct_false():
    class A(Struct):
        x: int

        def value(self):
            return self.x, __class__.__name__

        @property
        def double(self):
            return 2 * self.x

        @classmethod
        def make(cls):
            return cls(2)

        def __len__(self):
            return 0

    class B(A):
        def value(self):
            return 5, *super().value()

        double = property(lambda self: super(B, self).double + 1)

    b = B.make()
    assert (b.value(), b.double, bool(b)) == ((5, 2, "A"), 5, False)
    assert b == B(2) == b.replace() and jax.tree.leaves([b]) == [2]


# Several parents


class Left(Struct):
    a: int
    n: Static[int]

    def read(self):
        return self.a, self.n


class Right(Struct):
    b: int
    m: Static[str]


class LeftChild(Left):
    pass


@pytest.mark.parametrize(
    "parents",
    [(Left, Right), (Empty, Left, Right), (LeftChild, Right), (LeftChild, Empty, Right), (Left, Right, Empty)],
)
@pytest.mark.parametrize("moved", [False, True])
def test_methods_and_super_read_the_field_itself_also_where_it_has_moved_and_past_parents_without_fields(
    parents, moved
):
    class Both(*parents):
        def through_super(self):
            return super().a, super().n, super().b, super().m

    class Child(Both):
        c: int = 5
        if moved:
            b: Static[int]

        def further(self):
            return super().a, super().n, super().b, super().m

    for both in (Both(1, "m", 2, 3), Child(1, "m", 2, 3)):
        assert both.read() == (2, 3)
        assert both.through_super() == (2, 3, 1, "m")
        assert (Left.__dict__["a"].__get__(both), Right.__dict__["b"].__get__(both)) == (2, 1)
    assert both.further() == (2, 3, 1, "m")
    assert Left(7, 8).read() == LeftChild(7, 8).read() == (7, 8)
    assert vars(Both(1, "m", 2, 3)) == {"b": 1, "m": "m", "a": 2, "n": 3}


def test_super_reads_a_field_that_has_the_same_place_among_the_statics():
    class Base(Struct):
        a: Any
        b: Any

    class Child(Base):
        b: Static[Any]

        def inherited(self):
            return super().a, super().b

    assert Child(1, 2).inherited() == (1, 2)


def test_a_base_reads_as_before_where_a_child_has_moved_its_field():
    class A(Struct):
        x: Any = field(doc="of A")

    class B(Point, A):
        x: Any = field(doc="of B")

    class C(Struct):
        y: Any

    class D(C, A):
        pass

    assert (D(1, 2).y, D(1, 2).x, A(3).x) == (2, 1, 3)
    assert (A.x.__doc__, B.x.__doc__, A.x.fget.__qualname__) == ("of A", "of B", f"{A.__qualname__}.x")
    for bare in (object.__new__(A), object.__new__(D)):
        with pytest.raises(errors.UnsetFieldError, match="x is read before it is set"):
            bare.x


@pytest.mark.parametrize("mixins", [(), (type("Mixin", (), {}),)])
@pytest.mark.parametrize("options", [{}, {"frozen": False}, {"order": True}])
def test_an_inconsistent_order_of_bases_is_pythons_own_error(options, mixins):
    with pytest.raises(TypeError, match="consistent method resolution"):
        types.new_class("A", (*mixins, Struct, Empty), options)


# Mixins


@pytest.mark.parametrize("slots", [(), ("__weakref__",), ("__dict__",), ("__dict__", "__weakref__")])
@either_side
def test_mixins_work_on_either_side(struct_first, slots):
    class Mixin:
        __slots__ = slots
        offset: int = 10

        def shifted(self):
            return jax.tree.map(lambda leaf: leaf + self.offset, self)

    class A(*mixed(Mixin, Point, struct_first=struct_first)):
        y: int = 2

    a = A(1)
    assert a.shifted() == A(11, 12)
    assert vars(a) == {"x": 1, "y": 2}
    assert repr(a) == "A(x=1, y=2)"
    assert weakref.ref(a)() is a
    assert_frozen(a)


class Slotted:
    __slots__ = ("a",)


@either_side
@pytest.mark.parametrize("stranger", [Slotted, Coordinates, int, Exception, dict])
def test_bases_with_a_layout_of_their_own_are_refused(stranger, struct_first):
    with pytest.raises(errors.DefinitionError) as error:
        types.new_class("A", mixed(stranger, Struct, struct_first=struct_first))
    assert str(error.value) == (
        f"A: cannot inherit from {stranger.__name__}, whose instances have a layout of their own; hold it in a field"
    )


# Generic classes


@pytest.mark.skipif(not hasattr(typing, "TypeAliasType"), reason="type parameters came with Python 3.12")
def test_classes_with_type_parameters_work(module):
    made = module(
        """
        from structkit import Static, Struct

        class Box[T](Struct):
            item: T
            n: Static[int] = 1

        class Pair[A, B: int](Box[A]):
            other: B | None = None

        class IntPair(Pair[int, bool]):
            pass
        """
    )
    assert made.Box[int](5) == made.Box(5)
    assert [parameter.__name__ for parameter in made.Pair.__type_params__] == ["A", "B"]
    assert vars(made.Pair[int, bool](1, 2, True)) == {"item": 1, "n": 2, "other": True}
    assert jax.tree.leaves(made.IntPair(1, 2, 3)) == [1, 3]


# Abstract classes and protocols


@pytest.mark.parametrize("bases", [(Struct,), (Struct, ABC), (ABC, Struct)])
def test_abstract_methods_work_with_abc_as_a_base_and_without(bases):
    class Base(*bases):
        x: int

        @abstractmethod
        def area(self): ...

    A = type(Base)("A", (Base,), {"area": lambda self: self.x})
    Stranger = Base.register(type("Stranger", (), {}))
    assert inspect.isabstract(Base)
    for make in (lambda: Base(1), lambda: construct(Base, x=1)):
        with pytest.raises(TypeError, match="area"):
            make()
    assert A(3).area() == 3
    assert [isinstance(value, Base) for value in (A(3), Stranger(), 3)] == [True, True, False]


@either_side
def test_an_abstract_method_of_a_stranger_is_what_the_struct_has(struct_first):
    class Shown(ABC):
        @abstractmethod
        def __repr__(self): ...

    for stranger in (Hashable, Shown):
        cls: Any = type(Struct)("A", mixed(stranger, Point, struct_first=struct_first), {})
        assert hash(cls(1)) == hash(cls(1)) and repr(cls(1)) == "A(x=1)"


@pytest.mark.parametrize("bases", [(Struct,), (ABC, Struct), (ABC,)])
def test_a_field_overrides_an_abstract_property_of_its_own_and_of_another_base(bases):
    Shape = types.new_class(
        "Shape", bases, {}, lambda namespace: namespace.update(x=property(abstractmethod(lambda self: 0)))
    )
    more = () if Struct in bases else (Struct,)
    in_the_body = types.new_class(
        "A", (Shape, *more), {}, lambda ns: ns.update(__annotations__={"x": int, "y": int}, y=1)
    )
    for cls in (in_the_body, types.new_class("B", (Shape, Point))):
        assert cls(2).x == 2
        assert inspect.signature(cls).parameters["x"].default is inspect.Parameter.empty
        assert not inspect.isabstract(cls)


@pytest.mark.parametrize("library", [typing, typing_extensions])
@either_side
def test_protocols_are_bases_on_either_side_and_keep_a_custom_init_that_calls_theirs(library, struct_first):
    @library.runtime_checkable
    class HasSize(library.Protocol[T]):
        size: T

        def area(self) -> T: ...

    class A(*mixed(HasSize[int], Struct, struct_first=struct_first)):
        size: int
        n: Static[int] = 1

        def area(self) -> int:
            return self.size**2

    class B(A):
        def __init__(self, size):
            super().__init__(size)

    class C(*mixed(HasSize, Struct, struct_first=struct_first)):
        size: int
        area = A.area

        def __init__(self, size):
            super().__init__()
            self.size = size

    assert names(A) == list(inspect.signature(A).parameters) == ["size", "n"]
    for cls in (A, B, C):
        assert cls(3).area() == 9
        assert jax.tree.map(lambda leaf: -leaf, cls(3)) == cls(-3)
        assert [isinstance(value, HasSize) for value in (cls(1), Point(1))] == [True, False]
        assert isinstance(cls(1), cls) and not isinstance(3, cls)


# Frozen dataclasses


@dataclasses.dataclass(frozen=True)
class StandardBase:
    a: int
    b: list = dataclasses.field(default_factory=list)
    c: int = dataclasses.field(default=3, metadata={"static": True})
    constant: ClassVar[int] = 7

    def total(self):
        return self.a + self.c


@either_side
def test_a_frozen_dataclass_is_a_base_on_either_side(struct_first):
    class Bare(*mixed(StandardBase, Struct, struct_first=struct_first)):
        pass

    class A(*mixed(StandardBase, Struct, struct_first=struct_first)):
        d: int = 4

    a = A(1)
    assert static_names(A) == static_names(Bare) == ["c"]
    assert vars(a) == {"a": 1, "b": [], "c": 3, "d": 4}
    assert (a.constant, a.total(), Bare(1, [2], 5).total()) == (7, 4, 6)
    assert repr(a) == "A(a=1, b=[], c=3, d=4)"
    assert a == A(1)
    assert jax.tree.leaves(a.replace(b=[5])) == [1, 5, 4]
    assert dataclasses.replace(Bare(1), a=2) == Bare(2)
    assert not is_struct(StandardBase)
    assert_frozen(a, "a")
    assert_frozen(Bare(1), "a")


def test_what_a_frozen_dataclass_hides_of_its_own_bases_stays_hidden():
    class Mixin:
        def __eq__(self, other):
            return "mixin's"

        def __repr__(self):
            return "mixin's"

        def __setattr__(self, name, value):
            raise NotImplementedError

    @dataclasses.dataclass(frozen=True)
    class Base(Mixin):
        x: int

    class A(Base, Struct):
        pass

    assert (A(1) == A(1)) is True and hash(A(1)) == hash(A(1)) and repr(A(1)).endswith("A(x=1)")
    assert_frozen(A(1), "x")


@either_side
def test_a_callable_struct_with_a_frozen_dataclass_as_base_is_a_function_of_all_its_fields(struct_first):
    class A(*mixed(StandardBase, Struct, struct_first=struct_first)):
        def __call__(self, y):
            return y / self.a

    assert [float(jax.jit(A(zero))(1.0)) for zero in (0.0, -0.0)] == [float("inf"), -float("inf")]


def test_hooks_of_a_frozen_dataclass_base_run():
    @dataclasses.dataclass(frozen=True)
    class Base:
        x: int
        scale: InitVar[int]
        _: KW_ONLY
        y: int = dataclasses.field(init=False)

        def __post_init__(self, scale):
            object.__setattr__(self, "y", self.x * scale)

    A = type(Struct)("A", (Base, Struct), {"__annotations__": {"z": int}, "z": 5})
    assert list(inspect.signature(A).parameters) == ["x", "scale", "z"]
    assert vars(A(2, 3)) == {"x": 2, "y": 6, "z": 5}


@pytest.mark.parametrize("cls", [Delegating, DelegatingCustom, DelegatingWithHooks])
def test_a_getattr_that_delegates_to_a_field_never_recurses(cls):
    assert cls(Point(3)).x == 3
    with pytest.raises(AttributeError, match="'Point' object has no attribute 'nothing'"):
        cls(Point(3)).nothing
