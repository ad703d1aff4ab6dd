"""`structkit.struct` behaves as `flax.struct`: where flax is installed, most tests run on both."""

import abc
import copy
import dataclasses
import enum
import functools
import gc
import importlib
import inspect
import pickle
import sys
import typing
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import structkit
from structkit import Struct, at, is_struct, struct as ours
from structkit.errors import DefinitionError

T = TypeVar("T")


@pytest.fixture(params=["structkit", "flax"])
def struct(request):
    """The module under test, and flax's as the measure of what its behaviour is."""
    if request.param == "structkit":
        return ours
    return pytest.importorskip("flax.struct", reason="flax is not installed: there is nothing to compare with")


@ours.dataclass
class Point:
    x: Any
    y: Any = 0
    name: str = ours.field(pytree_node=False, default="p")


class Node(ours.PyTreeNode):
    x: Any
    name: str = ours.field(pytree_node=False, default="n")


class TestDecorator:
    def test_works_with_and_without_arguments(self, struct):
        @struct.dataclass
        class A:
            x: int

        @struct.dataclass()
        class B:
            x: int

        @struct.dataclass(kw_only=True)
        class C:
            x: int

        assert [jax.tree.leaves(v) for v in (A(1), B(2), C(x=3))] == [[1], [2], [3]]
        with pytest.raises(TypeError):
            C(3)

    def test_makes_frozen_classes_unless_told_otherwise(self, struct):
        @struct.dataclass
        class A:
            x: int

        @struct.dataclass(frozen=False)
        class B:
            x: int

        with pytest.raises(dataclasses.FrozenInstanceError, match=r"^cannot assign to field 'x'"):
            A(1).x = 2
        with pytest.raises(dataclasses.FrozenInstanceError, match=r"^cannot delete field 'x'"):
            del A(1).x
        with pytest.raises(dataclasses.FrozenInstanceError, match=r"^cannot assign to field 'other'"):
            A(1).other = 2
        b = B(1)
        b.x = 5
        b.other = 6
        assert jax.tree.leaves(b) == [5] and b.other == 6

    def test_passes_the_keywords_of_the_standard_library_on(self, struct):
        @struct.dataclass(order=True, unsafe_hash=True, repr=False, match_args=False)
        class A:
            x: int

        @struct.dataclass(eq=False)
        class B:
            x: int

        assert (
            A(1) < A(2) and hash(A(1)) == hash(A(1)) and repr(A(1)).startswith("<") and not hasattr(A, "__match_args__")
        )
        assert B(1) != B(1) and hash(B(1)) != hash(B(1))
        assert A.__dataclass_params__.order and not A.__dataclass_params__.repr and not B.__dataclass_params__.eq

    def test_refuses_the_keywords_that_the_standard_library_refuses(self, struct):
        for options, error in (
            ({"order": True, "eq": False}, ValueError),
            ({"weakref_slot": True}, TypeError),
            ({"no_such_option": True}, TypeError),
        ):
            with pytest.raises(error):

                @struct.dataclass(**options)
                class A:
                    x: int

        with pytest.raises(TypeError, match=r"Cannot overwrite|would overwrite"):

            @struct.dataclass(order=True)
            class B:
                x: int

                def __lt__(self, other):
                    return False

        with pytest.raises(TypeError, match=r"Cannot overwrite|would overwrite"):

            @struct.dataclass
            class C:
                x: int

                def __setattr__(self, name, value):
                    pass

    def test_leaves_a_class_alone_that_is_decorated_already(self, struct):
        @struct.dataclass
        class A:
            x: int

        class B(struct.PyTreeNode):
            x: int

        assert struct.dataclass(A) is A and struct.dataclass(kw_only=True)(A) is A
        assert struct.dataclass(B) is B
        assert A._flax_dataclass is True and B._flax_dataclass is True

    def test_a_custom_init_is_kept(self, struct):
        @struct.dataclass
        class A:
            x: int

            def __init__(self, x):
                object.__setattr__(self, "x", x + 1)

        assert A(1).x == 2
        assert A(1).replace(x=5).x == 6  # through the constructor

    def test_init_false_leaves_defaults(self, struct):
        @struct.dataclass(init=False)
        class A:
            x: int = 3

        assert A().x == 3
        with pytest.raises(TypeError):
            A(4)

    def test_a_child_of_a_custom_init_gets_a_generated_one(self, struct):
        @struct.dataclass
        class A:
            x: int

            def __init__(self):
                object.__setattr__(self, "x", 1)

        @struct.dataclass
        class B(A):
            pass

        assert B(7).x == 7

    def test_the_class_statement_of_a_child_waits_for_the_options_of_its_decorator(self, struct):
        @struct.dataclass
        class A:
            x: int = 1

        @struct.dataclass(kw_only=True)
        class B(A):
            y: int

        @struct.dataclass(frozen=False)
        class C:
            x: int = 1

        @struct.dataclass(frozen=False)
        class D(C):
            y: int = 2

        assert B(y=2) == B(1, y=2) and jax.tree.leaves(B(5, y=6)) == [5, 6]
        d = D()
        d.y = 4
        assert (d.x, d.y) == (1, 4)

    def test_mixing_frozen_and_mutable_is_refused(self, struct):
        @struct.dataclass(frozen=False)
        class A:
            x: int = 1

        with pytest.raises(TypeError, match="frozen"):

            @struct.dataclass
            class B(A):
                y: int = 2

    def test_required_after_default_is_refused(self, struct):
        with pytest.raises(TypeError, match="non-default argument 'y' follows default argument"):

            @struct.dataclass
            class A:
                x: int = 1
                y: int


class TestPyTreeNode:
    def test_every_subclass_is_a_dataclass(self, struct):
        class A(struct.PyTreeNode):
            x: int

        class B(A):
            y: int = 2

        assert jax.tree.leaves(B(1)) == [1, 2] and B.__dict__["_flax_dataclass"]
        assert isinstance(B(1), struct.PyTreeNode)

    def test_takes_class_keywords(self, struct):
        class A(struct.PyTreeNode, frozen=False, kw_only=True):
            x: int

        a = A(x=1)
        a.x = 2
        assert a.x == 2

        class B(struct.PyTreeNode, order=True, eq=True):
            x: int

        assert B(1) < B(2)

    def test_cannot_be_made_itself(self, struct):
        with pytest.raises(NotImplementedError):
            struct.PyTreeNode()

    def test_hooks_may_pass_options_on(self, struct):
        class Base(struct.PyTreeNode):
            def __init_subclass__(cls, **options):
                super().__init_subclass__(kw_only=True, **options)

        class A(Base):
            x: int

        assert A(x=1).x == 1
        with pytest.raises(TypeError):
            A(1)


class TestBases:
    def test_generic_in_either_order(self, struct):
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
    def test_type_parameters(self, struct):
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

    def test_abstract_classes(self, struct):
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

    def test_protocols_as_bases(self, struct):
        class Sized(Protocol):
            x: int

            def size(self) -> int: ...

        @struct.dataclass
        class A(Sized):
            x: int

            def size(self):
                return self.x

        assert A(3).size() == 3 and jax.tree.leaves(A(3)) == [3]

    def test_multiple_inheritance_with_fields_on_both_sides(self, struct):
        @struct.dataclass
        class A:
            a: int

        @struct.dataclass
        class B:
            b: int

        @struct.dataclass
        class C(A, B):
            c: int

        assert [f.name for f in dataclasses.fields(C)] == ["b", "a", "c"]
        assert jax.tree.leaves(C(1, 2, 3)) == [1, 2, 3]

    def test_zero_argument_super_and_the_class_cell(self, struct):
        def traced(function):
            @functools.wraps(function)
            def inner(*args):
                return function(*args)

            return inner

        def hidden(function):
            return lambda *args: function(*args)

        @struct.dataclass
        class A:
            x: int

            def f(self):
                return self.x

        class Mixin:
            def f(self):
                return 10

        @struct.dataclass
        class B(Mixin):
            x: int

            def f(self):
                return super().f() + self.x

            @property
            def p(self):
                return super().f(), __class__

            @classmethod
            def c(cls):
                return __class__

            @staticmethod
            def s():
                return __class__

            @traced
            def t(self):
                return super().f()

            @hidden
            def h(self):
                return super().f()

            @functools.partial(jax.jit, static_argnums=0)
            def j(self):
                return super().f()

        @struct.dataclass
        class C(A):
            def f(self):
                return super().f() + 1

        b = B(1)
        assert (b.f(), b.p, b.c(), b.s(), b.t(), b.h(), int(b.j())) == (11, (10, B), B, B, 10, 10, 10)
        assert C(1).f() == 2

    def test_mixins_with_an_init_subclass_hook(self, struct):
        class Registry:
            known: typing.ClassVar[dict] = {}

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

    def test_hooks_keep_what_they_were_told_in_the_class_statement(self, struct):
        class Tagged:
            def __init_subclass__(cls, tag="none", **options):
                super().__init_subclass__(**options)
                cls.tag = tag

        class Needy:
            def __init_subclass__(cls, *, tag, **options):
                super().__init_subclass__(**options)
                cls.tag, cls.me = tag, cls

        @struct.dataclass
        class A(Tagged, tag="a"):
            x: int

        @struct.dataclass
        class B(Needy, tag="b"):
            x: int

            def f(self):
                return super().__repr__()

        class C(Tagged, struct.PyTreeNode, tag="c"):
            x: int

        assert (A.tag, B.tag, C.tag, B.me) == ("a", "b", "c", B)
        assert B.__mro__[1] is Needy and jax.tree.leaves(B(1)) == [1] and isinstance(B(1), Needy)

    def test_methods_of_the_decorator_win_over_those_of_mixins(self, struct):
        class Mixin:
            def __repr__(self):
                return "mixin"

            def __eq__(self, other):
                return True

            __hash__ = None

            def __setattr__(self, name, value):
                raise AssertionError

        @struct.dataclass
        class A(Mixin):
            x: int

        assert repr(A(1)).endswith("A(x=1)") and A(1) != A(2) and isinstance(hash(A(1)), int)

    def test_eq_false_and_repr_false_inherit(self, struct):
        @struct.dataclass
        class A:
            x: int

            def __repr__(self):
                return "a"

            def __eq__(self, other):
                return True

            __hash__ = None

        @struct.dataclass(eq=False, repr=False)
        class B(A):
            y: int

        assert repr(B(1, 2)) == "a" and B(1, 2) == B(3, 4)

    def test_a_users_equality_rules_in_both_directions(self, struct):
        @struct.dataclass
        class A:
            x: int

            def __eq__(self, other):
                return other == self.x

        assert A(1) == 1 and (A(1) != 1) is False and A(1) != 2 and isinstance(hash(A(1)), int)

    def test_a_metaclass_of_the_users(self, struct):
        class Counting(type):
            made = 0

            def __call__(cls, *args, **kwargs):
                Counting.made += 1
                return super().__call__(*args, **kwargs)

        @struct.dataclass
        class A(metaclass=Counting):
            x: int

        assert A(1).x == 1 and Counting.made == 1 and isinstance(A, Counting)

    def test_a_standard_frozen_dataclass_as_base(self, struct):
        @dataclasses.dataclass(frozen=True)
        class A:
            x: int

        @struct.dataclass
        class B(A):
            y: int

        assert jax.tree.leaves(B(1, 2)) == [1, 2] and B(1, 2).replace(x=3).x == 3


def test_a_base_of_another_framework_that_registers_its_subclasses_keeps_doing_so():
    """The pattern of a physics engine's `Contact`, of which other packages derive classes."""

    class Foreign:
        def __init_subclass__(cls, register=True, **options):
            super().__init_subclass__(**options)
            made = dataclasses.dataclass(frozen=True)(cls)
            made.replace = dataclasses.replace
            if register:
                names = [f.name for f in dataclasses.fields(made)]
                jax.tree_util.register_pytree_with_keys(
                    made,
                    lambda x: (tuple((jax.tree_util.GetAttrKey(n), getattr(x, n)) for n in names), ()),
                    lambda aux, children: made(**dict(zip(names, children))),
                )

        def replace(self, **changes):
            raise NotImplementedError

    class Contact(Foreign):
        dist: Any
        pos: Any

    @ours.dataclass
    class Base:
        def scaled(self, factor):
            return jax.tree.map(lambda leaf: leaf * factor, self)

    class Both(Contact, Base):
        link: Any

    contact = Contact(1, 2)
    both = Both(**contact.__dict__, link=3)
    assert vars(both) == {"dist": 1, "pos": 2, "link": 3}
    assert both.scaled(2) == Both(2, 4, 6) and both.replace(pos=7).pos == 7
    assert [str(path[0]) for path, _ in jax.tree.leaves_with_path(both)] == [".dist", ".pos", ".link"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        both.pos = 3


class TestFields:
    def test_keep_user_metadata_and_say_pytree_node(self, struct):
        @struct.dataclass
        class A:
            x: int = struct.field(metadata={"unit": "m"}, default=1)
            y: int = struct.field(pytree_node=False, metadata={"unit": "s"}, default=2)
            z: int = 3

        x, y, z = dataclasses.fields(A)
        assert dict(x.metadata) == {"unit": "m", "pytree_node": True}
        assert dict(y.metadata) == {"unit": "s", "pytree_node": False}
        assert dict(z.metadata) == {} and (x.default, y.default, z.default) == (1, 2, 3)
        assert jax.tree.leaves(A()) == [1, 3]

    def test_take_pytree_node_positionally(self, struct):
        @struct.dataclass
        class A:
            x: int = struct.field(False)

        assert jax.tree.leaves(A(1)) == []

    def test_of_the_standard_library_with_the_metadata_are_static(self, struct):
        @struct.dataclass
        class A:
            x: int = dataclasses.field(metadata={"pytree_node": False})
            y: int = dataclasses.field(default=2)

        assert jax.tree.leaves(A(1)) == [2]

    def test_work_in_standard_dataclasses(self, struct):
        @dataclasses.dataclass
        class A:
            x: int = struct.field(pytree_node=False, default=3)

        assert A().x == 3

    def test_refuse_unknown_options_and_two_defaults(self, struct):
        with pytest.raises(TypeError):
            struct.field(no_such_option=1)
        with pytest.raises(ValueError):
            struct.field(default=1, default_factory=int)

    def test_that_are_declared_again_go_by_the_new_declaration(self, struct):
        @struct.dataclass
        class A:
            x: int = struct.field(pytree_node=False, default=1)

        @struct.dataclass
        class B(A):
            x: int = 2

        assert jax.tree.leaves(B()) == [2]

    def test_init_vars_class_vars_and_keyword_only_markers_work(self, struct):
        @struct.dataclass
        class A:
            x: int
            limit: typing.ClassVar[int] = 7
            scale: dataclasses.InitVar[int] = 2
            _: dataclasses.KW_ONLY
            y: int = 5

            def __post_init__(self, scale):
                object.__setattr__(self, "x", self.x * scale)

        assert jax.tree.leaves(A(1, 3)) == [3, 5] and A.limit == 7 and A(1, y=4).y == 4

    def test_mutable_defaults_are_refused_as_the_standard_library_does(self, struct):
        for default in ([], {}, set()):
            with pytest.raises(ValueError, match="mutable default"):

                @struct.dataclass
                class A:
                    x: Any = default

        class Hashable(list):
            __hash__ = object.__hash__

        kept = Hashable()

        @struct.dataclass
        class B:
            x: Any = struct.field(pytree_node=False, default=kept)

        assert B().x is kept

    def test_static_fields_take_anything(self, struct):
        array = np.arange(3)

        @struct.dataclass
        class A:
            x: int
            s: Any = struct.field(pytree_node=False, default=None)

        for value in ([1, 2], {"a": 1}, array, {1}, float("nan"), object(), jnp.ones(2)):
            a = A(1, value)
            b = jax.tree.map(lambda leaf: leaf + 1, a)
            assert b.x == 2 and b.s is value
            assert a.replace(s=value).s is value
        assert jax.tree.structure(A(1, [1])) == jax.tree.structure(A(1, [1]))
        assert jax.jit(lambda a: a.x + a.s[0])(A(1, [1])) == 2
        assert int(jax.jit(lambda a: a.x + a.s.sum())(A(1, array))) == 4

    def test_static_values_that_are_equal_share_a_trace(self, struct):
        @struct.dataclass
        class A:
            x: int
            s: Any = struct.field(pytree_node=False)

        assert jax.tree.structure(A(1, 1)) == jax.tree.structure(A(1, True)) == jax.tree.structure(A(1, 1.0))


class TestReplacing:
    def test_replace_dataclasses_replace_and_copy_replace_agree(self, struct):
        @struct.dataclass
        class A:
            x: int
            y: int = struct.field(pytree_node=False, default=2)

        a = A(1)
        copies = [a.replace(x=5, y=6), dataclasses.replace(a, x=5, y=6)]
        if sys.version_info >= (3, 13):
            copies.append(copy.replace(a, x=5, y=6))
        assert all(made == A(5, 6) for made in copies) and a == A(1, 2)
        with pytest.raises(TypeError, match="z"):
            a.replace(z=1)

    def test_replace_goes_through_post_init(self, struct):
        @struct.dataclass
        class A:
            x: int
            y: int = struct.field(pytree_node=False, default=0)

            def __post_init__(self):
                object.__setattr__(self, "y", self.x + 1)

        assert A(1).replace(x=4).y == 5

    def test_a_parameter_of_any_name_can_be_replaced(self):
        @ours.dataclass
        class A:
            self: int
            updates: int
            replace: int
            cls: int

        a = A(1, 2, 3, 4)
        assert (a.self, a.updates, a.replace, a.cls) == (1, 2, 3, 4)
        assert dataclasses.replace(a, updates=7).updates == 7
        assert jax.tree.map(lambda leaf: leaf * 2, a).replace == 6

    def test_a_users_own_replace_is_kept(self):
        @ours.dataclass
        class A:
            x: int

            def replace(self, **changes):
                return "mine"

        @ours.dataclass
        class B(A):
            y: int = 1

        class Mixin:
            def replace(self, **changes):
                return "mixed in"

        @ours.dataclass
        class C(Mixin):
            x: int

        class D(ours.PyTreeNode):
            x: int

            def replace(self, **changes):
                return "mine"

        assert (A(1).replace(x=2), B(1).replace(), C(1).replace(), D(1).replace()) == (
            "mine",
            "mine",
            "mixed in",
            "mine",
        )
        assert dataclasses.replace(A(1), x=2).x == 2


class TestTrees:
    def test_leaves_come_in_declaration_order_with_key_paths(self, struct):
        @struct.dataclass
        class A:
            b: int
            a: int
            s: int = struct.field(pytree_node=False, default=0)
            c: Any = None

        leaves = jax.tree_util.tree_leaves_with_path(A(1, {"k": 2}, c=(3,)))
        assert [jax.tree_util.keystr(path) for path, _ in leaves] == [".b", ".a['k']", ".c[0]"]

    def test_prefix_errors_name_the_field(self, struct):
        @struct.dataclass
        class A:
            x: Any
            y: Any

        with pytest.raises(ValueError, match=r"in_axes\[0\]\.y"):
            jax.vmap(lambda a: a.x, in_axes=(A(0, (0, 0)),))(A(jnp.ones(3), (jnp.ones(3),) * 3))

    def test_none_and_empty_containers_survive(self, struct):
        @struct.dataclass
        class A:
            x: Any
            y: Any

        assert jax.tree.map(lambda leaf: leaf, A(None, ())) == A(None, ())

    def test_structs_without_fields_work(self, struct):
        @struct.dataclass
        class A:
            pass

        class B(struct.PyTreeNode):
            pass

        assert jax.tree.leaves([A(), B()]) == [] and A() == A() and A() != B()
        assert repr(A()).endswith("A()") and A().replace() == A()

    def test_transformations_keep_the_class(self, struct):
        @struct.dataclass
        class A:
            x: Any
            f: Any = struct.field(pytree_node=False, default=jnp.sin)

        a = A(jnp.arange(3.0))
        assert isinstance(jax.jit(lambda a: a)(a), A)
        assert jax.vmap(lambda a: a.x * 2)(a).shape == (3,)
        assert jax.grad(lambda a: a.f(a.x).sum())(a).x.shape == (3,)
        carry, _ = jax.lax.scan(lambda a, _: (a.replace(x=a.x + 1), None), a, None, length=2)
        assert carry.f is jnp.sin and float(carry.x[0]) == 2


class TestWhatRealCodeDoes:
    def test_makes_objects_from_the_attributes_of_others(self, struct):
        @struct.dataclass
        class A:
            x: int
            y: int = struct.field(pytree_node=False, default=2)

        @struct.dataclass
        class B(A):
            z: int = 3

        assert vars(A(1)) == A(1).__dict__ == {"x": 1, "y": 2}
        assert B(**A(1).__dict__, z=4) == B(1, 2, 4)

    def test_writes_with_object_setattr_in_post_init(self, struct):
        @struct.dataclass
        class A:
            x: Any
            shape: Any = struct.field(pytree_node=False, default=None)

            def __post_init__(self):
                object.__setattr__(self, "shape", getattr(self.x, "shape", None))
                object.__setattr__(self, "note", "kept beside the fields")

        a = A(jnp.ones(3))
        assert a.shape == (3,) and a.note and vars(a)["note"]
        assert jax.tree.structure(a).num_leaves == 1
        with pytest.raises(AttributeError):
            jax.tree.map(lambda leaf: object(), A(1)).nothing

    def test_writes_with_object_setattr_later(self, struct):
        @struct.dataclass
        class A:
            x: int
            cache: Any = struct.field(pytree_node=False, default=None)

            def cached(self):
                if self.cache is None:
                    object.__setattr__(self, "cache", self.x * 2)
                return self.cache

        a = A(2)
        assert a.cached() == 4 and a.cache == 4 and vars(a)["cache"] == 4
        assert jax.tree.map(lambda leaf: leaf, a).cache == 4

    def test_writes_through_the_attributes_dict(self, struct):
        @struct.dataclass
        class A:
            x: int
            y: int = 1

            def __post_init__(self):
                self.__dict__["y"] = self.x + 1
                vars(self).update(z=9)

        a = A(2)
        assert (a.y, a.z) == (3, 9) and jax.tree.leaves(a) == [2, 3]

    def test_reads_defaults_from_classes_used_as_name_spaces(self, struct):
        @struct.dataclass
        class Tiles:
            EMPTY: int = 0
            WALL: int = struct.field(pytree_node=False, default=1)
            required: int = struct.field(kw_only=True)

        @struct.dataclass
        class More(Tiles):
            LAVA: int = 2
            EMPTY = 9

        assert (Tiles.EMPTY, Tiles.WALL, More.WALL, More.LAVA, More.EMPTY) == (0, 1, 1, 2, 9)
        assert More(required=1).EMPTY == 0
        assert not hasattr(Tiles, "required")
        Tiles.WALL = 5
        assert Tiles.WALL == 5 and Tiles(required=1).WALL == 1

    def test_sets_fields_in_post_init_that_init_does_not_take(self):
        @ours.dataclass
        class A:
            x: int
            double: int = ours.field(init=False)
            label: str = ours.field(pytree_node=False, init=False)
            fixed: int = dataclasses.field(init=False, default=7)

            def __post_init__(self):
                object.__setattr__(self, "double", 2 * self.x)
                object.__setattr__(self, "label", f"<{self.x}>")

        a = A(1)
        assert (a.double, a.label, a.fixed) == (2, "<1>", 7) and jax.tree.leaves(a) == [1, 2, 7]
        assert jax.tree.map(lambda leaf: leaf * 10, a).label == "<1>"
        assert a.replace(x=3).double == 6

    def test_reads_an_unset_field_as_a_missing_attribute(self):
        @ours.dataclass
        class A:
            x: int
            y: int = ours.field(init=False)

        a = A(1)
        assert a.x == 1 and not hasattr(a, "y") and "x=1" in repr(a)
        object.__setattr__(a, "y", 2)
        assert a.y == 2

    def test_nests_classes_in_classes_and_functions(self, struct):
        @struct.dataclass
        class Outer:
            @struct.dataclass
            class Inner:
                x: int

            inner: "Outer.Inner"

        made = Outer(Outer.Inner(1))
        assert jax.tree.leaves(made) == [1]
        assert Outer.Inner.__qualname__.endswith("<locals>.Outer.Inner")
        assert repr(made) == f"{Outer.__qualname__}(inner={Outer.Inner.__qualname__}(x=1))"

    def test_stacks_decorators_above_and_below(self, struct):
        kept = {}

        def register(cls):
            kept[cls.__name__] = cls
            return cls

        def counted(cls):
            init = cls.__init__

            def __init__(self, *args, **kwargs):
                cls.count = getattr(cls, "count", 0) + 1
                init(self, *args, **kwargs)

            cls.__init__ = __init__
            return cls

        @counted
        @struct.dataclass
        @functools.total_ordering
        @register
        class A:
            x: int

            def __lt__(self, other):
                return self.x < other.x

        assert A(1) >= A(0) and A.count == 2
        assert kept["A"](4) == A(4)

    def test_uses_cached_properties(self, struct):
        @struct.dataclass
        class A:
            x: int

            @functools.cached_property
            def double(self):
                return 2 * self.x

        a = A(1)
        assert a.double == 2 and a == A(1) and jax.tree.structure(a) == jax.tree.structure(A(2))
        assert a.replace(x=3).double == 6

    def test_reads_every_name_that_dir_lists(self, struct):
        @struct.dataclass
        class A:
            x: int
            y: int = 2
            late: Any = struct.field(pytree_node=False, default=None)

            @functools.cached_property
            def twice(self):
                return 2 * self.x

        class B(struct.PyTreeNode):
            x: int

        class C(B):
            pass

        for instance in (A(1), B(1), C(1)):
            cls = type(instance)
            assert {"x", "replace"} <= {*dir(instance)} and "replace" in dir(cls)
            assert [name for name in dir(instance) if not hasattr(instance, name)] == []
            assert [name for name in dir(cls) if not hasattr(cls, name) and name != "__abstractmethods__"] == []
        assert "y" in dir(A) and "x" not in dir(A)

    def test_asks_other_objects_for_missing_attributes(self, struct):
        @struct.dataclass
        class A:
            inner: Any

            def __getattr__(self, name):
                if name.startswith("__"):
                    raise AttributeError(name)
                return getattr(self.inner, name)

            def __post_init__(self):
                object.__setattr__(self, "inner", self.inner)

        a = A(Point(1, 2))
        assert (a.x, a.y) == (1, 2) and copy.copy(a).x == 1
        assert jax.tree.map(lambda leaf: leaf + 1, a).x == 2

    def test_calls_the_init_of_a_parent(self, struct):
        @struct.dataclass
        class A:
            x: int

            def __post_init__(self):
                object.__setattr__(self, "x", self.x + 1)

        @struct.dataclass
        class B(A):
            y: int

            def __init__(self, x):
                super().__init__(x)
                object.__setattr__(self, "y", self.x + 1)

        assert (B(1).x, B(1).y) == (2, 3)

    def test_an_undecorated_subclass_can_have_attributes_and_an_init_of_its_own(self, struct):
        @struct.dataclass
        class A:
            x: int

        class B(A):
            registry: dict = {}  # a class attribute for flax, and no error

            def __init__(self, x):
                super().__init__(x)
                self.extra = x + 1

        b = B(1)
        assert (b.x, b.extra) == (1, 2) and B.registry == {}
        with pytest.raises(dataclasses.FrozenInstanceError):
            b.x = 5

    def test_pickles_and_copies(self):
        point = Point(jnp.ones(2), [1], name="q")
        for made in (pickle.loads(pickle.dumps(point)), copy.copy(point), copy.deepcopy(point)):
            assert made == point and type(made) is Point
            with pytest.raises(dataclasses.FrozenInstanceError):
                made.x = 1
        assert copy.deepcopy(point).y is not point.y
        treedef = jax.tree.structure(Point(1))
        assert treedef.unflatten([3, 4]) == Point(3, 4)

    def test_loads_the_pickles_that_flax_made(self):
        flax_struct = pytest.importorskip("flax.struct", reason="flax is not installed")
        module = sys.modules[__name__]
        theirs = flax_struct.dataclass(type("Moved", (), {"__annotations__": {"x": int}, "__module__": __name__}))
        module.Moved = theirs
        try:
            text = pickle.dumps(theirs(3))
            module.Moved = ours.dataclass(
                type("Moved", (), {"__annotations__": {"x": int}, "__module__": __name__, "y": 1})
            )
            assert pickle.loads(text).x == 3
        finally:
            del module.Moved

    def test_shows_the_signature_and_matches_patterns(self, struct):
        @struct.dataclass
        class A:
            x: int
            y: int = 2

        assert str(inspect.signature(A)).startswith("(x: int, y: int = 2)")
        match A(1):
            case A(x, y):
                assert (x, y) == (1, 2)
        assert dataclasses.asdict(A(1)) == {"x": 1, "y": 2} and dataclasses.astuple(A(1)) == (1, 2)
        assert dataclasses.is_dataclass(A)

    def test_prints_as_the_standard_library_does(self, struct):
        @struct.dataclass
        class A:
            x: Any
            hidden: int = struct.field(repr=False, default=1)

        assert repr(A("a")) == f"{A.__qualname__}(x='a')"
        assert "Array([1., 1.]" in repr(A(jnp.ones(2)))
        loop = []
        loop.append(A(loop))
        assert "..." in repr(loop)

    def test_compares_scalars_as_python_does(self, struct):
        @struct.dataclass
        class A:
            x: Any
            noise: int = struct.field(compare=False, default=0)

        assert A(1) == A(1.0) and A(1, 2) == A(1, 3) and A(1) != A(2) and A(1) != 1
        assert A(1) == A(jnp.array(1)) and len({A(1), A(1)}) == 1

    def test_unhashable_when_mutable(self, struct):
        @struct.dataclass(frozen=False)
        class A:
            x: int

        with pytest.raises(TypeError, match="unhashable"):
            hash(A(1))


class Record(dict):
    """A base that keeps the fields among its items, too, as the outputs of some models do."""

    def __post_init__(self):
        for f in dataclasses.fields(self):
            self[f.name] = getattr(self, f.name)


@ours.dataclass
class Output(Record):
    x: Any
    y: Any = 2
    name: str = ours.field(pytree_node=False, default="o")


class TestBasesWithALayoutOfTheirOwn:
    def test_a_dict_has_fields_and_items(self, struct):
        @struct.dataclass
        class A(Record):
            x: Any
            y: Any = 2
            name: str = struct.field(pytree_node=False, default="a")

        @struct.dataclass
        class B(A):
            z: Any = 3

        a = A(1)
        assert isinstance(a, dict) and dict(a) == {"x": 1, "y": 2, "name": "a"} and a == A(1) != A(2)
        assert dict(jax.tree.map(lambda leaf: leaf + 1, a)) == {"x": 2, "y": 3, "name": "a"}
        assert dict(jax.jit(lambda tree: tree)(a.replace(x=5))) == {"x": 5, "y": 2, "name": "a"}
        assert jax.tree.leaves(B(1)) == [1, 2, 3] and isinstance(B(1), A)
        assert [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(a)] == [".x", ".y"]
        assert copy.deepcopy(a)["x"] == 1 and repr(a).endswith("A(x=1, y=2, name='a')")
        with pytest.raises(dataclasses.FrozenInstanceError):
            a.x = 2
        with pytest.raises(TypeError, match="unexpected keyword argument 'no'"):
            a.replace(no=1)

    def test_errors_and_classes_with_slots_work(self, struct):
        class Slotted:
            __slots__ = ("cache",)

        for base in (Exception, Slotted):

            @struct.dataclass
            class A(base):
                x: Any

            assert jax.tree.leaves(jax.tree.map(lambda leaf: leaf + 1, A(3))) == [4] and A(3).replace(x=5).x == 5

    def test_options_reach_the_dataclass(self, struct):
        @struct.dataclass(frozen=False, kw_only=True)
        class A(dict):
            x: Any

        a = A(x=1)
        a.x, a["key"] = 2, 3
        assert jax.tree.leaves(a) == [2] and dict(a) == {"key": 3} and struct.dataclass(A) is A

    def test_a_replace_of_the_users_is_kept_and_one_of_the_c_type_is_not(self):
        @ours.dataclass
        class Text(str):
            length: Any = 0

            def __new__(cls, *args, **kwargs):
                return super().__new__(cls, "text")

        @ours.dataclass
        class Own(dict):
            x: Any = 0

            def replace(self):
                return "mine"

        assert Text().replace(length=3).length == 3 and Own().replace() == "mine"

    def test_the_constructor_fills_in_what_is_no_field(self):
        @ours.dataclass
        class A(Record):
            x: Any
            later: Any = ours.field(init=False, default=0)

        assert jax.tree.leaves(jax.tree.map(lambda leaf: leaf + 1, A(1))) == [2, 1]

    def test_structures_differ_and_objects_are_no_structs(self):
        @ours.dataclass
        class Other(Record):
            x: Any
            y: Any = 2
            name: str = ours.field(pytree_node=False, default="o")

        assert not is_struct(Output(1)) and at(Output(1), lambda tree: tree.x).set(3)["x"] == 3
        assert jax.tree.structure(Output(1)) == jax.tree.structure(Output(2)) != jax.tree.structure(Other(1))
        assert jax.tree.structure(Output(1)) != jax.tree.structure(Output(1, name="b"))
        assert pickle.loads(pickle.dumps(Output(1)))["y"] == 2
        assert pickle.loads(pickle.dumps(jax.tree.structure(Output(1)))) == jax.tree.structure(Output(1))

    def test_such_a_class_cannot_be_a_base_beside_a_node(self):
        with pytest.raises(DefinitionError, match="layout of their own"):

            class A(ours.PyTreeNode, dict):
                x: int


class TestSlots:
    def test_in_every_combination(self):
        @ours.dataclass(slots=True)
        class A:
            x: int
            y: int = 2

            def me(self):
                return __class__, super().__repr__

        @ours.dataclass(slots=True, weakref_slot=True, frozen=False)
        class B:
            x: int = 1

        class C(ours.PyTreeNode, slots=True):
            x: int
            y: int = 3

            def me(self):
                return __class__, super().__repr__

        @ours.dataclass(slots=True, kw_only=True)
        class D(A):
            z: int

        @ours.dataclass(slots=True)
        class E(Generic[T]):
            x: T = dataclasses.field(default_factory=list)

        @ours.dataclass
        class F:
            __slots__ = ("x", "other")
            x: int

        assert (A(1).me()[0], C(1).me()[0]) == (A, C)
        assert jax.tree.leaves([A(1), B(), C(1), D(1, z=4), E(), F(1)]) == [1, 2, 1, 1, 3, 1, 2, 4, 1]
        assert A.__slots__ == ("x", "y") and D.__slots__ == ("z",)
        b = B()
        b.x = 4
        assert pickle.loads(pickle.dumps(Point(1))) == Point(1) and copy.copy(b).x == 4

    def test_are_not_named_twice(self, struct):
        with pytest.raises(TypeError, match="already specifies __slots__"):

            @struct.dataclass(slots=True)
            class A:
                __slots__ = ("x",)
                x: int


class TestBetter:
    def test_distinct_classes_have_distinct_structures(self):
        @ours.dataclass
        class A:
            x: Any

        @ours.dataclass
        class B:
            x: Any

        assert jax.tree.structure(A(1)) != jax.tree.structure(B(1))
        with pytest.raises(TypeError):
            jax.lax.cond(True, lambda: A(1.0), lambda: B(1.0))

    def test_unflatten_runs_no_code_of_the_class(self):
        calls = []

        @ours.dataclass
        class A:
            x: Any

            def __post_init__(self):
                calls.append(self)
                object.__setattr__(self, "x", self.x * 2)

        a = A(1)
        assert jax.tree.map(lambda leaf: leaf, a).x == 2 and len(calls) == 1
        assert jax.tree.map(lambda leaf: None, a).x is None

    def test_arrays_are_welcome_as_defaults(self):
        @ours.dataclass
        class A:
            x: Any = jnp.zeros(3)
            y: Any = np.ones(2)
            p: Any = Point(jnp.ones(1))

        assert A() == A() and A.x.shape == (3,) and A().y is A.y

    def test_equality_of_arrays_is_a_bool(self):
        assert (Point(jnp.ones(3)) == Point(jnp.ones(3))) is True
        assert (Point(jnp.ones(3)) == Point(jnp.ones(4))) is False
        assert (Point(jnp.ones(3)) != Point(jnp.zeros(3))) is True
        assert bool(jax.jit(lambda p: p == p)(Point(jnp.ones(3))))

        @ours.dataclass
        class A:
            s: Any = ours.field(pytree_node=False)

        assert A(np.arange(3)) == A(np.arange(3)) and A([1]) != A([2]) and A(np.arange(3)) != A(np.arange(4))

    def test_an_undecorated_subclass_is_a_pytree(self):
        class Sub(Point):
            z: int = 3

        class Plain(Point):
            pass

        assert jax.tree.leaves(Sub(1, 2)) == [1, 2, 3] and isinstance(jax.tree.map(lambda leaf: leaf, Plain(1)), Plain)
        assert "_flax_dataclass" not in Sub.__dict__

    def test_decorated_classes_are_structs(self):
        assert is_struct(Point) and isinstance(Point(1), Struct) and isinstance(Node(1), Struct)
        assert at(Point(1, Node(2)), lambda p: p.y.x).set(5) == Point(1, Node(5))
        assert [f.static for f in structkit.fields(Point)] == [False, False, True]

    def test_a_struct_and_a_decorated_class_can_inherit_from_each_other(self):
        class A(Struct):
            a: Any = 0

        class B(A, Node):
            b: Any = 2

        @ours.dataclass
        class C(B):
            pass

        assert jax.tree.leaves(B(1, a=3)) == [1, 3, 2] and is_struct(C)

    def test_a_frozen_error_has_the_cure_as_a_note(self):
        with pytest.raises(dataclasses.FrozenInstanceError) as info:
            Point(1).x = 2
        assert info.value.__notes__ == ["Point is frozen: make a changed copy with .replace(x=...)"]

    def test_the_class_that_was_decorated_leaves_nothing_behind(self):
        class Base:
            pass

        @ours.dataclass
        class A(Base):
            x: int

        gc.collect()
        assert Base.__subclasses__() == [A]


class TestEveryPlace:
    def test_postponed_annotations_work(self, struct):
        scope = {"struct": struct, "__name__": __name__}
        source = """
            from __future__ import annotations
            import dataclasses
            import typing

            def make():
                @struct.dataclass
                class A:
                    x: int
                    limit: typing.ClassVar[int] = 3
                    _: dataclasses.KW_ONLY
                    child: A | None = None

                class B(struct.PyTreeNode):
                    a: A
                return A, B
        """
        exec(inspect.cleandoc(source), scope)
        A, B = scope["make"]()
        assert jax.tree.leaves(B(A(1, child=A(2)))) == [1, 2] and A.limit == 3

    def test_partial_application_of_the_decorator_works(self, struct):
        frozen = functools.partial(struct.dataclass, kw_only=True)

        @frozen
        class A:
            x: int

        assert A(x=1).x == 1

    def test_a_field_takes_the_place_of_an_abstract_property(self):
        class Base(abc.ABC):
            @property
            @abc.abstractmethod
            def x(self): ...

        @ours.dataclass
        class A(Base):
            x: int

        class B(ours.PyTreeNode, Base):
            x: int

        assert A(1).x == B(1).x == 1

    def test_the_hook_of_a_decorated_class_runs_for_its_children(self, struct):
        seen = []

        @struct.dataclass
        class A:
            x: int

            def __init_subclass__(cls, **options):
                super().__init_subclass__(**options)
                seen.append(cls)

        @struct.dataclass
        class B(A):
            y: int

        assert seen == [B]

    def test_descriptors_learn_the_name_and_the_class(self, struct):
        class Tagged:
            def __set_name__(self, owner, name):
                self.owner, self.name = owner, name

        @struct.dataclass
        class A:
            x: int
            tag = Tagged()

        assert (A.tag.owner, A.tag.name) == (A, "tag")

    def test_a_mixin_may_guard_the_assignments_to_mutable_objects(self, struct):
        class Loud:
            def __setattr__(self, name, value):
                super().__setattr__(name, value * 10)

        @struct.dataclass(frozen=False)
        class A(Loud):
            x: int

            def set(self, value):
                self.x = value

        a = A(1)
        a.set(2)
        assert a.x == 20

    def test_type_hints_are_those_of_the_fields(self, struct):
        @struct.dataclass
        class A:
            x: int
            y: "str" = "a"

        class B(struct.PyTreeNode):
            x: int

        assert typing.get_type_hints(A) == {"x": int, "y": str} and typing.get_type_hints(B) == {"x": int}

    def test_a_class_can_be_redefined_as_in_a_notebook(self, struct):
        for default in (1, 2):

            @struct.dataclass
            class A:
                x: int = default

            assert jax.tree.leaves(A()) == [default]

    def test_many_fields_work(self, struct):
        names = [f"f{i}" for i in range(300)]
        body = {"__annotations__": dict.fromkeys(names, int), "__module__": __name__}
        wide = struct.dataclass(type("Wide", (), body))
        made = jax.tree.map(lambda leaf: leaf + 1, wide(*range(300)))
        assert made.f299 == 300 and made.replace(f7=0).f7 == 0


class TestBadInput:
    def test_is_refused_with_the_class_and_the_cure(self):
        class Colour(enum.Enum):
            RED = 1

        class Pair(NamedTuple):
            x: int

        @dataclasses.dataclass(frozen=True)
        class Frozen:
            x: int

        class Stubborn(type):
            def __new__(mcs, name, bases, namespace):
                if bases:
                    raise TypeError("no bases, please")
                return super().__new__(mcs, name, bases, namespace)

        class Odd(metaclass=Stubborn):
            x: int

        class Already(Struct):
            x: int

        for cls, cure in (
            (Colour, "static field"),
            (Pair, "drop the decorator"),
            (Frozen, "drop one of the two"),
            (Odd, "drop the metaclass"),
            (Already, "drop the decorator"),
        ):
            with pytest.raises(DefinitionError, match=cure) as info:
                ours.dataclass(cls)
            assert str(info.value).startswith(cls.__name__)

    def test_a_value_that_is_no_class_is_refused(self):
        with pytest.raises(TypeError, match="decorates a class"):
            ours.dataclass(3)

    def test_a_mutable_standard_dataclass_below_is_undone(self):
        @ours.dataclass
        @dataclasses.dataclass
        class A:
            x: int
            y: list = dataclasses.field(default_factory=list)

        assert jax.tree.leaves(A(1, [2])) == [1, 2] and A(1).y == []
        with pytest.raises(dataclasses.FrozenInstanceError):
            A(1).x = 2


def test_the_module_has_the_names_of_flax():
    assert {"dataclass", "field", "PyTreeNode"} <= set(vars(importlib.import_module("structkit.struct")))
