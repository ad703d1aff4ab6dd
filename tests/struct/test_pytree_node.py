"""`PyTreeNode`: the base class."""

import abc
import dataclasses
import functools
import inspect
import sys
import types
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import jax
import pytest

from structkit import Struct, derived, fields, is_struct, struct as ours

T = TypeVar("T")


def test_every_subclass_is_a_dataclass_with_the_keywords_of_its_class_statement(struct):
    class A(struct.PyTreeNode, frozen=False, kw_only=True):
        x: int

    class B(struct.PyTreeNode, order=True, eq=True):
        x: int

    class C(B):
        y: int = 2

    a = A(x=1)
    a.x = 2
    assert a.x == 2 and B(1) < B(2)
    assert jax.tree.leaves(C(1)) == [1, 2] and C.__dict__["_flax_dataclass"] and isinstance(C(1), struct.PyTreeNode)
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

    C = struct.dataclass(types.new_class("C", (Generic[T],), {}, lambda ns: ns.update(__annotations__={"x": T})))
    D = struct.dataclass(types.new_class("D", (C[int],), {}, lambda ns: ns.update(__annotations__={"y": int})))
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


@pytest.mark.parametrize("decorated", [True, False])
def test_abstract_classes_and_protocols_as_bases(struct, decorated):
    class Sized(Protocol):
        x: int

        def size(self) -> int: ...

    made = struct.dataclass if decorated else lambda cls: cls

    @made
    class Abstract(*[Sized] if decorated else [struct.PyTreeNode], abc.ABC):
        x: int

        @abc.abstractmethod
        def size(self): ...

    @made
    class A(Abstract):
        def size(self):
            return self.x

    with pytest.raises(TypeError, match="abstract"):
        Abstract(1)
    assert A(3).size() == 3 and jax.tree.leaves(A(3)) == [3] and isinstance(A(3), Abstract)


def test_hooks_of_mixins_see_each_class_once_and_keep_what_its_statement_told_them(struct):
    class Tagged:
        known: ClassVar[dict] = {}

        def __init_subclass__(cls, *, tag, **options):
            super().__init_subclass__(**options)
            Tagged.known[tag] = cls

    @struct.dataclass
    class A(Tagged, tag="a"):
        x: int

        def f(self):
            return super().__repr__()

    class B(Tagged, struct.PyTreeNode, tag="b"):
        x: int

    made = [A, B]
    if struct is ours:
        # Options are told apart from what other bases take.
        class C(struct.PyTreeNode, Tagged, tag="c", kw_only=True):
            x: int

        class D(Tagged, struct.PyTreeNode, tag="d", frozen=False):
            x: int

        made += [C, D]
        with pytest.raises(TypeError, match="takes no keyword arguments"):
            type("E", (struct.PyTreeNode,), {}, no_such_option=True)
    assert Tagged.known == dict(zip("abcd", made)) and Tagged.__subclasses__() == made
    assert A.__mro__[1] is Tagged and jax.tree.leaves([cls(x=1) for cls in made]) == [1] * len(made)


def test_a_decorated_child_and_a_decorated_parent_work(struct):
    class A(struct.PyTreeNode):
        x: int

    @struct.dataclass
    class B(A):
        y: int

    class C(B, struct.PyTreeNode, kw_only=True):
        z: int

    assert jax.tree.map(lambda leaf: leaf + 1, [B(1, 2), C(3, 4, z=5)]) == [B(2, 3), C(4, 5, z=6)]


@pytest.mark.parametrize("decorated", [False, True])
@pytest.mark.parametrize("order", [1, -1])
def test_a_struct_may_have_frozen_classes_among_its_bases(decorated, order):
    class Node(*[] if decorated else [ours.PyTreeNode]):
        x: Any = 0
        name: str = ours.field(pytree_node=False, default="n")

    class Other(Struct):
        y: Any = 0

    bases = (ours.dataclass(Node), Other)[::order]
    made = type(Struct)("Made", bases, {"__annotations__": {"z": Any}, "__module__": __name__, "z": 9})
    one = made(x=1, y=2)
    assert isinstance(one, Struct) and isinstance(one, Node) and is_struct(made)
    assert sorted(jax.tree.leaves(one)) == [1, 2, 9] and jax.tree.map(lambda leaf: leaf, one) == one
    assert one.replace(x=5, z=6).x == 5 and {f.name for f in fields(made) if f.static} == {"name"}
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.x = 2


@pytest.mark.parametrize("keywords", [{}, {"eq": False, "repr": False}], ids=str)
def test_a_struct_inherits_what_user_code_wrote_in_a_decorated_base(keywords):
    @ours.dataclass(eq=False, repr=False)
    class A:
        x: int = 1

        def replace(self, **changes):
            return changes

        def __eq__(self, other):
            return "equal"

        def __hash__(self):
            return 7

        def __repr__(self):
            return "mine"

    class B(A, Struct, **keywords):
        pass

    assert (B() == B(), hash(B()), repr(B()), B().replace(x=2)) == ("equal", 7, "mine", {"x": 2})


@pytest.mark.parametrize("decorate", [ours.dataclass, dataclasses.dataclass(frozen=True)])
def test_a_struct_takes_the_place_of_what_guards_and_copies_a_dataclass(decorate):
    base = decorate(type("Base", (), {"__annotations__": {"x": int}}))

    class Custom(base, Struct):
        z: int = 1

        def __init__(self, both):
            self.x = self.z = both

    class Late(base, Struct):
        z: int = derived()

        def __post_init__(self):
            self.z = self.x + 1

    made = Custom(3)
    assert [made.replace(x=4).x, made.__replace__(x=4).x, Late(3).z] == [4, 4, 4]


def test_a_method_that_user_code_wraps_is_the_users():
    @ours.dataclass
    class A:
        x: int

    written = A.replace
    A.replace = functools.wraps(written)(lambda self, **changes: (written(self, **changes), "logged"))

    @ours.dataclass
    class B(A):
        pass

    assert B(1).replace(x=2) == (B(2), "logged")


def test_an_abstract_replace_is_no_users(struct):
    class Interface(abc.ABC):
        @abc.abstractmethod
        def replace(self, **changes): ...

    class A(Interface, struct.PyTreeNode):
        x: int = 1

    assert A().replace(x=2) == A(2)
    if struct is ours:
        assert ours.dataclass(type("B", (Interface,), {"x": 1}))().replace() is not None
