"""`PyTreeNode`: the base class."""

import abc
import dataclasses
import inspect
import sys
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import jax
import pytest

from structkit import Struct, fields, is_struct, struct as ours

T = TypeVar("T")


def test_every_subclass_is_a_dataclass(struct):
    class A(struct.PyTreeNode):
        x: int

    class B(A):
        y: int = 2

    assert jax.tree.leaves(B(1)) == [1, 2] and B.__dict__["_flax_dataclass"]
    assert isinstance(B(1), struct.PyTreeNode)


def test_takes_class_keywords(struct):
    class A(struct.PyTreeNode, frozen=False, kw_only=True):
        x: int

    a = A(x=1)
    a.x = 2
    assert a.x == 2

    class B(struct.PyTreeNode, order=True, eq=True):
        x: int

    assert B(1) < B(2)


def test_cannot_be_made_itself(struct):
    with pytest.raises(NotImplementedError):
        struct.PyTreeNode()


def test_hooks_may_pass_options_on(struct):
    class Base(struct.PyTreeNode):
        def __init_subclass__(cls, **options):
            super().__init_subclass__(kw_only=True, **options)

    class A(Base):
        x: int

    assert A(x=1).x == 1
    with pytest.raises(TypeError):
        A(1)


def test_generic_in_either_order(struct):
    class A(struct.PyTreeNode, Generic[T]):
        x: T

    class B(Generic[T], struct.PyTreeNode):
        x: T

    @struct.dataclass
    class C(Generic[T]):
        x: T

    @struct.dataclass
    class D(C[int]):
        y: int

    for made in (A[int](1), B[int](1), C[int](1)):
        assert jax.tree.leaves(made) == [1]
        assert jax.tree.structure(made) == jax.tree.structure(type(made)(2))
    assert jax.tree.leaves(D(1, 2)) == [1, 2]
    assert D.__orig_bases__ == (C[int],)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="type parameters are syntax of Python 3.12")
def test_type_parameters(struct):
    scope = {"struct": struct}
    source = """
        @struct.dataclass
        class A[T]:
            x: T
            def me(self):
                return __class__

        class B[T](struct.PyTreeNode):
            x: T

        @struct.dataclass
        class C[T](A[T]):
            y: T
    """
    exec(inspect.cleandoc(source), scope)
    assert jax.tree.leaves([scope["A"][int](1), scope["B"](2), scope["C"](3, 4)]) == [1, 2, 3, 4]
    assert scope["A"](1).me() is scope["A"] and scope["A"].__type_params__


def test_abstract_classes(struct):
    @struct.dataclass
    class A(abc.ABC):
        x: int

        @abc.abstractmethod
        def f(self): ...

    class N(struct.PyTreeNode, abc.ABC):
        x: int

        @abc.abstractmethod
        def f(self): ...

    @struct.dataclass
    class B(A):
        def f(self):
            return self.x

    class M(N):
        def f(self):
            return self.x

    for abstract in (A, N):
        with pytest.raises(TypeError, match="abstract"):
            abstract(1)
    assert B(1).f() == M(1).f() == 1 and isinstance(B(1), A)


def test_protocols_as_bases(struct):
    class Sized(Protocol):
        x: int

        def size(self) -> int: ...

    @struct.dataclass
    class A(Sized):
        x: int

        def size(self):
            return self.x

    assert A(3).size() == 3 and jax.tree.leaves(A(3)) == [3]


def test_mixins_with_an_init_subclass_hook(struct):
    class Registry:
        known: ClassVar[dict] = {}

        def __init_subclass__(cls, **options):
            super().__init_subclass__(**options)
            Registry.known[cls.__name__] = cls

    @struct.dataclass
    class A(Registry):
        x: int

    class B(struct.PyTreeNode, Registry):
        x: int

    class C(Registry, struct.PyTreeNode):
        x: int

    assert Registry.known == {"A": A, "B": B, "C": C}
    assert [cls for cls in Registry.__subclasses__() if cls.__name__ == "A"] == [A]


def test_keywords_of_hooks_and_options_are_told_apart():
    class Tagged:
        def __init_subclass__(cls, tag="none", **options):
            super().__init_subclass__(**options)
            cls.tag = tag

    class A(ours.PyTreeNode, Tagged, tag="a", kw_only=True):
        x: int

    class B(Tagged, ours.PyTreeNode, tag="b", frozen=False):
        x: int

    assert (A.tag, B.tag) == ("a", "b") and jax.tree.leaves([A(x=1), B(2)]) == [1, 2]
    with pytest.raises(TypeError, match="takes no keyword arguments"):

        class C(ours.PyTreeNode, no_such_option=True):
            x: int


def test_a_decorated_child_and_a_decorated_parent_work(struct):
    class A(struct.PyTreeNode):
        x: int

    @struct.dataclass
    class B(A):
        y: int

    @struct.dataclass
    class C:
        x: int

    class D(C, struct.PyTreeNode, kw_only=True):
        y: int

    assert jax.tree.map(lambda leaf: leaf + 1, [B(1, 2), D(3, y=4)]) == [B(2, 3), D(4, y=5)]


class TestStructsThatInherit:
    """A `Struct` may have decorated classes among its bases when they are frozen."""

    def test_from_either_kind_in_either_order(self):
        class Node(ours.PyTreeNode):
            x: Any = 0
            name: str = ours.field(pytree_node=False, default="n")

        @ours.dataclass
        class Decorated:
            x: Any = 0
            name: str = ours.field(pytree_node=False, default="n")

        class Other(Struct):
            y: Any = 0

        for bases in ((Node, Other), (Other, Node), (Decorated, Other), (Other, Decorated), (Struct, Node)):
            made = type(Struct)("Made", bases, {"__annotations__": {"z": Any}, "__module__": __name__, "z": 9})
            values = {"y": 2} if Other in bases else {}
            one = made(x=1, **values) if bases[0] is Struct else made(**values, x=1)
            assert isinstance(one, Struct) and isinstance(one, bases) and is_struct(made)
            assert sorted(jax.tree.leaves(one)) == sorted([1, 9, *values.values()])
            assert jax.tree.map(lambda leaf: leaf, one) == one and one.replace(x=5, z=6).x == 5
            assert {f.name for f in fields(made) if f.static} == {"name"}
            with pytest.raises(dataclasses.FrozenInstanceError):
                one.x = 2
