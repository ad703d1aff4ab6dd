"""How a class body becomes a struct class: fields, annotations, options, inheritance, names and generated code."""

import abc
import collections
import copy
import dataclasses
import functools
import gc
import inspect
import linecache
import pydoc
import sys
import textwrap
import types
import typing
import weakref
from abc import ABC, abstractmethod
from dataclasses import KW_ONLY, InitVar
from typing import Annotated, Any, ClassVar, Generic, NamedTuple, Optional, Protocol, TypeVar, Union, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import typing_extensions

import structkit
import structkit as sk
from structkit import Field, Static, Struct, StructMeta, derived, errors, field, fields, replace, static

T = TypeVar("T")

StaticInt = Static[int]
MaybeStatic = Optional[Static[int]]
StaticList = Static[list[T]]
DataSize = int
Number = Union[int, float]
Shared = Static[tuple[int, ...]]

needs_type_statement = pytest.mark.skipif(sys.version_info < (3, 12), reason="the type statement came with Python 3.12")
needs_lazy_annotations = pytest.mark.skipif(sys.version_info < (3, 14), reason="lazy annotations came with Python 3.14")


def statics(cls: Any) -> list[str]:
    return [f.name for f in fields(cls) if f.static]


def names(cls: Any) -> list[str]:
    return [f.name for f in fields(cls)]


def run(source: str, **scope: Any) -> types.SimpleNamespace:
    scope = {"__name__": "written_in_a_test", "Struct": Struct, "Static": Static, **scope}
    exec(compile(textwrap.dedent(source), "<test>", "exec", dont_inherit=True), scope)
    return types.SimpleNamespace(**scope)


@pytest.fixture
def module():
    made = []

    def make(source: str) -> types.ModuleType:
        created = types.ModuleType(f"structs_written_in_a_test_{len(made)}")
        sys.modules[created.__name__] = created
        made.append(created.__name__)
        exec(compile(textwrap.dedent(source), "<test>", "exec", dont_inherit=True), vars(created))
        return created

    yield make
    for name in made:
        del sys.modules[name]


class Point(Struct):
    x: float
    y: float = 2.0


class Linear(Struct):
    weight: Any
    bias: Any
    activation: Any = static(default=jax.nn.relu)
    width: Static[int] = 3


# Fields


def test_annotated_names_are_fields_in_the_order_of_the_body():
    assert names(Linear) == ["weight", "bias", "activation", "width"]
    assert [f.type for f in fields(Linear)] == [Any, Any, Any, Static[int]]


def test_a_name_without_an_annotation_is_no_field():
    class A(Struct):
        limit = 5
        x: int

    assert names(A) == ["x"]
    assert A.limit == 5
    assert A(1).limit == 5


def test_static_and_the_annotation_static_mean_the_same():
    assert statics(Linear) == ["activation", "width"]
    assert jax.tree.leaves(Linear(1.0, 2.0)) == [1.0, 2.0]


def test_every_subclass_is_a_pytree_without_a_decorator():
    class A(Point):
        z: float = 3.0

    class B(A):
        pass

    assert jax.tree.leaves(B(1.0)) == [1.0, 2.0, 3.0]
    assert type(jax.tree.map(lambda leaf: -leaf, B(1.0))) is B


def test_a_field_without_options_has_in_every_slot_what_field_puts_there():
    class A(Struct):
        x: int
        y: int = field()
        a: int = 1
        b: int = field(default=1)

    x, y, a, b = fields(A)
    for first, second in ((x, y), (a, b)):
        for slot in {*dataclasses.Field.__slots__, *Field.__slots__} - {"name"}:
            assert getattr(first, slot) == getattr(second, slot), slot


def test_fields_are_dataclass_fields_with_all_that_field_was_given():
    def double(value):
        return 2 * value

    class A(Struct):
        x: int = field(
            default=1,
            converter=double,
            init=True,
            repr=False,
            compare=False,
            hash=False,
            kw_only=True,
            static=False,
            spec="batch",
            doc="the x",
            metadata={"unit": "m"},
        )

    (f,) = fields(A)
    assert isinstance(f, Field)
    assert isinstance(f, dataclasses.Field)
    assert (f.name, f.type, f.default, f.converter, f.spec, f.doc) == ("x", int, 1, double, "batch", "the x")
    assert (f.init, f.repr, f.compare, f.hash, f.kw_only, f.static) == (True, False, False, False, True, False)
    assert dict(f.metadata) == {"unit": "m"}
    assert dataclasses.fields(A) == fields(A)
    assert dataclasses.is_dataclass(A)
    assert repr(A()) == "A()"
    assert A(x=5).x == 10
    assert A.__dict__["x"].__doc__ == "the x"


def test_a_field_object_that_two_classes_share_keeps_no_name():
    common = field(default=1, doc="shared")

    class A(Struct):
        a: int = common

    class B(Struct):
        b: str = common
        c: Static[int] = common

    assert names(A) == ["a"]
    assert names(B) == ["b", "c"]
    assert statics(A) == []
    assert statics(B) == ["c"]
    assert [f.type for f in fields(B)] == [str, Static[int]]


def test_derived_is_no_parameter_of_init():
    class Square(Struct):
        side: float
        area: float = derived()
        kind: str = derived(static=True)

        def __post_init__(self):
            self.area = self.side**2
            self.kind = "square"

    assert list(inspect.signature(Square).parameters) == ["side"]
    assert Square.__match_args__ == ("side",)
    assert statics(Square) == ["kind"]
    assert (Square(3.0).area, Square(3.0).kind) == (9.0, "square")


def test_derived_refuses_to_be_a_parameter():
    with pytest.raises(ValueError) as error:
        derived(init=True)
    assert str(error.value) == "derived() is a field that __init__ does not take; use field() for one that it takes"


def test_dataclasses_field_works_with_all_of_its_options():
    class A(Struct):
        x: int = dataclasses.field(default=1, repr=False)
        y: list = dataclasses.field(default_factory=list, compare=False)
        z: int = dataclasses.field(default=3, kw_only=True)
        w: int = dataclasses.field(default=4, init=False)

    a = A()
    assert (a.x, a.y, a.z, a.w) == (1, [], 3, 4)
    assert repr(a) == "A(y=[], z=3, w=4)"
    assert A(1, [1]) == A(1, [2])
    assert str(inspect.signature(A)) == "(x: int = 1, y: list = <factory>, *, z: int = 3) -> None"


@pytest.mark.parametrize(
    ("metadata", "is_static"),
    [
        ({"static": True}, True),
        ({"static": False}, False),
        ({"pytree_node": False}, True),
        ({"pytree_node": True}, False),
    ],
)
def test_metadata_of_other_libraries_says_what_is_static(metadata, is_static):
    class A(Struct):
        x: int = dataclasses.field(default=1, metadata=metadata)

    assert statics(A) == ["x"] * is_static
    assert dict(fields(A)[0].metadata) == metadata


@pytest.mark.parametrize("metadata", [{"static": True}, {"pytree_node": False}])
def test_metadata_says_what_is_static_in_our_own_field_too(metadata):
    class A(Struct):
        x: int = field(default=1, metadata=metadata)

    assert statics(A) == ["x"]


@pytest.mark.skipif(not hasattr(jax.tree, "static"), reason="this JAX has no jax.tree.static")
def test_jax_tree_static_makes_a_static_field():
    class A(Struct):
        x: int
        y: int = jax.tree.static(default=2)
        z: int = jax.tree.static(default=3, kw_only=True)

    assert statics(A) == ["y", "z"]
    assert jax.tree.leaves(A(1)) == [1]
    assert A(1).y == 2


def test_kw_only_splits_the_parameters():
    class A(Struct):
        a: int
        _: KW_ONLY
        b: int = 2
        c: int
        d: int = field(default=4, kw_only=False)

    assert str(inspect.signature(A)) == "(a: int, d: int = 4, *, b: int = 2, c: int) -> None"
    assert names(A) == ["a", "b", "c", "d"]
    assert A.__match_args__ == ("a", "d")
    assert jax.tree.leaves(A(1, c=3)) == [1, 2, 3, 4]


def test_kw_only_of_a_parent_does_not_reach_the_child():
    class A(Struct, kw_only=True):
        a: int = 1

    class B(A):
        b: int

    assert str(inspect.signature(B)) == "(b: int, *, a: int = 1) -> None"
    assert names(B) == ["a", "b"]


def test_init_vars_are_parameters_and_no_fields():
    class A(Struct):
        x: int
        scale: InitVar[int]
        shift: InitVar[int] = 1

        def __post_init__(self, scale, shift):
            self.x = self.x * scale + shift

    assert names(A) == ["x"]
    assert A(2, 3).x == 7
    assert A.shift == 1
    assert not hasattr(A, "scale")
    assert A.__match_args__ == ("x", "scale", "shift")
    assert jax.tree.leaves(A(2, 3)) == [7]


def test_the_converter_of_an_init_var_runs():
    class A(Struct):
        x: int
        scale: InitVar[int] = field(converter=int)

        def __post_init__(self, scale):
            self.x = self.x * scale

    assert A(2, "3").x == 6


def test_class_vars_are_no_fields():
    class A(Struct):
        limit: ClassVar[int] = 5
        bare: ClassVar = 6
        told: Annotated[ClassVar[int], "note"] = 7
        declared_only: ClassVar[int]
        x: int = 1

    assert names(A) == ["x"]
    assert (A.limit, A.bare, A.told) == (5, 6, 7)


def test_a_default_is_read_from_the_class():
    array = jnp.zeros(3)

    class A(Struct):
        x: int
        y: int = 1
        z: Any = array
        f: Any = static(default=jax.nn.relu)
        w: list = field(default_factory=list)
        v: float = field(default=3, converter=float)

    assert A.y == 1
    assert A.z is array
    assert A.f is jax.nn.relu
    assert A.v == 3
    assert not hasattr(A, "x")
    assert not hasattr(A, "w")

    class B(A):
        u: int = A.y + 1

    assert (B.y, B.u) == (1, 2)


def test_a_field_without_a_default_is_an_attribute_error_on_the_class():
    with pytest.raises(AttributeError) as error:
        Point.x
    assert str(error.value) == "type object 'Point' has no attribute 'x': the field has no default"


def test_reading_a_default_from_the_class_leaves_properties_of_the_user_alone():
    class A(Point):
        @property
        def norm(self):
            return abs(self.x)

    assert type(A.norm) is property
    assert A(-3.0).norm == 3.0


@pytest.mark.parametrize(
    "value",
    [
        jnp.zeros(3),
        np.float32(1.0),
        Point(1.0),
        Linear(jnp.ones(3), jnp.zeros(3)),
        (),
        (1, (2,)),
        frozenset({1}),
        None,
        "text",
        jax.nn.relu,
        Point,
        sk.freeze({"a": [1]}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_any_immutable_value_is_a_default(value):
    class A(Struct):
        x: Any = value

    assert A().x is value
    assert A.x is value


def test_a_default_array_is_a_leaf_of_its_own_struct_only():
    class A(Struct):
        x: jax.Array = jnp.zeros(3)

    doubled = jax.tree.map(lambda leaf: leaf + 1, A())
    np.testing.assert_array_equal(doubled.x, [1, 1, 1])
    np.testing.assert_array_equal(A().x, [0, 0, 0])


# Annotations


def test_static_is_found_through_aliases():
    class A(Struct):
        a: StaticInt
        b: MaybeStatic
        c: StaticList[int]
        d: Annotated[Static[int], "note"]
        e: Annotated[StaticInt, "note"]
        f: Static
        g: DataSize
        h: list[Static[int]]

    assert statics(A) == ["a", "b", "c", "d", "e", "f"]


def test_static_is_found_in_optionals():
    class A(Struct):
        a: Optional[Static[int]]
        b: Static[Optional[int]]
        c: Static[int] | None
        d: None | Static[int]  # noqa: RUF036
        e: Union[Static[int], None]
        f: Optional[StaticInt]
        g: Optional[int]
        h: int | None

    assert statics(A) == ["a", "b", "c", "d", "e", "f"]


def test_static_is_found_in_strings():
    class A(Struct):
        a: "Static[int]"
        b: "StaticInt"
        c: "sk.Static[int]"
        d: "structkit.Static[Undefined]"  # noqa: F821
        e: "Optional[Static[int]]"
        f: "typing.Optional[sk.Static[int]]"
        g: "Static[int] | None"
        h: "None | StaticInt"  # noqa: RUF036
        i: "Union[None, Static[Undefined]]"  # noqa: F821, RUF036
        j: Optional["Static[int]"]
        k: " Static[int] "  # noqa: F722
        l: "Annotated[Static[int], 'note']"  # noqa: E741
        m: "StaticList[int]"
        n: "Optional['Static[int]']"
        o: "(Static[int])"
        p: "Static"
        z: "int"

    assert statics(A) == list("abcdefghijklmnop")


def test_strings_that_mean_nothing_here_are_data_fields():
    class A(Struct):
        a: "Undefined"  # noqa: F821
        b: "Undefined[Static[int]]"  # noqa: F821
        c: "a sentence, not an annotation"  # noqa: F722
        d: "list[Static[int]]"
        e: "sk.nothing_there"
        f: "Undefined.Static[int]"  # noqa: F821
        g: ""  # noqa: F722
        h: "Callable[[Static[int]], int]"  # noqa: F821
        i: "dict[str, 'Static[int]']"
        j: "lambda: Static"
        k: "3 | 4"

    assert statics(A) == []
    assert names(A) == list("abcdefghijk")


def test_the_other_markers_are_found_in_strings():
    class A(Struct):
        a: "ClassVar[int]" = 1
        b: "typing.ClassVar" = 2
        c: "InitVar[int]"
        d: "dataclasses.InitVar[int]"
        e: "int"
        _: "KW_ONLY"
        f: "int" = 6

        def __post_init__(self, c, d):
            self.e = c + d

    assert names(A) == ["e", "f"]
    assert str(inspect.signature(A).replace(return_annotation=None)) == (
        "(c: 'InitVar[int]', d: 'dataclasses.InitVar[int]', e: 'int', *, f: 'int' = 6) -> None"
    )
    assert A(1, 2, 0).e == 3


def test_future_annotations_change_nothing(module):
    made = module(
        """
        from __future__ import annotations
        import dataclasses as dc, typing as t
        from dataclasses import InitVar, KW_ONLY
        from typing import ClassVar, Optional
        import structkit as sk
        from structkit import Static, Struct, static, field
        Size = Static[int]
        Deep = Optional[Size]

        class A(Struct):
            x: int
            a: Static[int]
            b: Size
            c: Deep
            d: Optional[Size]
            e: sk.Static[Undefined]
            f: Later | None
            g: ClassVar[int] = 5
            h: t.ClassVar[Later]
            i: InitVar[int] = 1
            j: dc.InitVar[int] = 2
            _: KW_ONLY
            k: Later = static(default="k")
            l: A | None = None

            def __post_init__(self, i, j):
                self.x = self.x + i + j

        class Later(Struct):
            pass
        """
    )
    assert names(made.A) == ["x", "a", "b", "c", "d", "e", "f", "k", "l"]
    assert statics(made.A) == ["a", "b", "c", "d", "e", "k"]
    a = made.A(1, 2, 3, 4, 5, 6, 7)
    assert (a.x, a.g, a.f) == (4, 5, 7)
    assert typing.get_type_hints(made.Later) == {}


def test_future_annotations_find_names_of_the_function_around_the_class():
    made = run(
        """
        from __future__ import annotations

        def make():
            from structkit import Static as Fixed
            from typing import ClassVar as Constant
            Size = Fixed[int]

            class A(Struct):
                a: Fixed[int]
                b: Size
                c: Constant[int] = 3
                d: int = 4
            return A

        A = make()
        """
    )
    assert names(made.A) == ["a", "b", "d"]
    assert statics(made.A) == ["a", "b"]


def test_a_local_alias_hides_a_global_one_in_future_annotations(module):
    made = module(
        """
        from __future__ import annotations
        from structkit import Static, Struct
        Size = int

        def make():
            Size = Static[int]

            class A(Struct):
                a: Size
            return A

        A = make()
        """
    )
    assert statics(made.A) == ["a"]


def test_a_local_name_of_a_caller_does_not_hide_a_global_one_in_future_annotations(module):
    made = module(
        """
        from __future__ import annotations
        from structkit import Static, Struct
        Size = Static[int]

        def make():
            class A(Struct):
                a: Size
            return A

        def caller():
            Size = int
            return make()

        A = caller()
        """
    )
    assert statics(made.A) == ["a"]


def test_an_alias_in_the_class_body_is_found_in_future_annotations():
    made = run(
        """
        from __future__ import annotations

        class A(Struct):
            Size = Static[int]
            a: Size
        """
    )
    assert statics(made.A) == ["a"]


@needs_type_statement
def test_static_is_found_through_type_statements():
    made = run(
        """
        from typing import Optional
        type Size = Static[int]
        type Maybe = Optional[Static[int]]
        type Deep = Size
        type Of[T] = Static[list[T]]
        type Plain = int
        type Nested = list[Nested] | int
        type Unknown = list[Undefined]

        class A(Struct):
            a: Size
            b: Maybe
            c: Deep
            d: Of[int]
            e: "Size"
            f: Optional[Size]
            g: "Optional[Of[int]]"
            h: Size | None
            w: Plain
            x: Nested
            y: list[Size]
            z: Unknown
        """
    )
    assert statics(made.A) == list("abcdefgh")


@needs_lazy_annotations
def test_a_type_statement_with_a_name_that_is_defined_later_is_still_static():
    made = run(
        """
        type Size = Static[Later]

        class A(Struct):
            a: Size

        class Later:
            pass
        """
    )
    assert statics(made.A) == ["a"]


def test_the_alias_type_of_typing_extensions_is_looked_through():
    Size = typing_extensions.TypeAliasType("Size", Static[int])
    Of = typing_extensions.TypeAliasType("Of", Static[list[T]], type_params=(T,))

    class A(Struct):
        a: Size
        b: Of[int]
        c: Optional[Size]

    assert statics(A) == ["a", "b", "c"]


def test_the_annotations_of_a_class_are_its_own():
    class A(Struct):
        x: int

    class B(A):
        y: float

        def method(self): ...

    class C(A):
        pass

    assert (A.__annotations__, B.__annotations__) == ({"x": int}, {"y": float})
    assert typing.get_type_hints(C) == {"x": int}
    assert inspect.get_annotations(C) == {}


@needs_lazy_annotations
def test_lazy_annotations_may_name_what_is_defined_later():
    made = run(
        """
        from dataclasses import InitVar
        from typing import ClassVar, Optional

        class A(Struct):
            a: Static[Later]
            b: Optional[Static[Later]]
            c: Static[int] | Later
            d: Later | None
            e: list[Later]
            f: ClassVar[Later]
            g: InitVar[Later]
            h: Static[int] = 8
            i: Later | Static[int] = 9

            def __post_init__(self, g):
                self.d = g

        class Later:
            pass
        """
    )
    assert names(made.A) == ["a", "b", "c", "d", "e", "h", "i"]
    assert statics(made.A) == ["a", "b", "c", "h", "i"]
    assert made.A(1, 2, 3, 4, 5, 6).d == 6
    assert made.A.__annotations__["d"] == made.Later | None
    assert inspect.signature(made.A).parameters["d"].annotation == made.Later | None


def test_a_field_named_as_its_type_is_resolved_to_the_type():
    made = run(
        """
        from datetime import date
        from structkit import derived

        class A(Struct):
            date: date
            float: float

        class B(A):
            int: int
            date: date
        """
    )
    assert typing.get_type_hints(made.A) == {"date": made.date, "float": float}
    assert [f.type for f in fields(made.B)] == [made.date, float, int]
    assert inspect.get_annotations(made.B) == {"int": int, "date": made.date}
    assert inspect.signature(made.B).parameters["int"].annotation is int


def test_type_hints_of_the_class_and_of_its_init_are_the_annotations():
    class A(Struct):
        x: int
        y: Static[str] = "y"

    assert typing.get_type_hints(A) == {"x": int, "y": str}
    assert typing.get_type_hints(A.__init__) == {"x": int, "y": str, "return": type(None)}


def test_a_class_without_annotations_has_no_fields():
    class A(Struct):
        def method(self):
            return 1

    assert fields(A) == ()
    assert A().method() == 1
    assert jax.tree.leaves(A()) == []


# Class options


def test_init_false_leaves_every_field_to_its_default():
    class A(Struct, init=False):
        x: int = 1
        y: list = field(default_factory=list)

    assert (A().x, A().y) == (1, [])
    assert str(inspect.signature(A)) == "()"


def test_init_false_in_a_child_keeps_the_init_of_the_parent():
    class A(Point, init=False):
        z: float = 3.0

    assert jax.tree.leaves(A(1.0)) == [1.0, 2.0, 3.0]
    assert list(inspect.signature(A).parameters) == ["x", "y"]


def test_repr_false_gives_the_default_repr():
    class A(Struct, repr=False):
        x: int = 1

    assert ".A object at 0x" in repr(A())


def test_eq_false_compares_and_hashes_by_identity():
    class A(Struct, eq=False):
        x: Any

    a, b = A(jnp.ones(3)), A(jnp.ones(3))
    assert a == a
    assert a != b
    assert len({a, b}) == 2


def test_order_compares_field_by_field():
    class A(Struct, order=True):
        x: int
        y: int = field(default=0, compare=False)

    assert A(1) < A(2)
    assert A(1, 5) <= A(1, 4)
    assert A(3) > A(2)
    assert A(2) >= A(2)
    assert sorted([A(3), A(1), A(2)]) == [A(1), A(2), A(3)]
    with pytest.raises(TypeError):
        A(1) < 2


def test_kw_only_makes_every_parameter_keyword_only():
    class A(Struct, kw_only=True):
        x: int = 1
        y: int

    assert str(inspect.signature(A)) == "(*, x: int = 1, y: int) -> None"
    assert A.__match_args__ == ()


def test_match_args_false_leaves_them_out():
    class A(Struct, match_args=False):
        x: int

    assert not hasattr(A, "__match_args__")


def test_match_args_of_the_user_stay():
    class A(Struct):
        x: int
        y: int
        __match_args__ = ("y",)

    match A(1, 2):
        case A(found):
            assert found == 2


def test_other_keywords_reach_init_subclass_on_either_side():
    class Tagged:
        def __init_subclass__(cls, tag=None, **keywords):
            super().__init_subclass__(**keywords)
            cls.tag = tag

    class A(Tagged, Struct, tag="a", frozen=True):
        x: int

    class B(Struct, Tagged, tag="b"):
        x: int

    class C(A, tag="c", kw_only=True):
        y: int = 2

    assert (A.tag, B.tag, C.tag) == ("a", "b", "c")
    assert C(1) == C(1, y=2)


def test_a_struct_may_define_init_subclass_itself():
    class Base(Struct):
        def __init_subclass__(cls, tag, **keywords):
            super().__init_subclass__(**keywords)
            cls.tag = tag

    class A(Base, tag="a"):
        x: int

    assert A.tag == "a"
    assert A(1).x == 1


def test_init_subclass_sees_the_fields_and_may_construct():
    seen = []

    class Base(Struct):
        def __init_subclass__(cls, **keywords):
            super().__init_subclass__(**keywords)
            seen.append((names(cls), cls(1).x))

    class A(Base):
        x: int
        y: int = 2

    assert seen == [(["x", "y"], 1)]
    assert jax.tree.leaves(A(3)) == [3, 2]


def test_a_child_of_a_mutable_struct_that_says_so_is_mutable():
    class A(Struct, frozen=False):
        x: int

    class B(A, frozen=False):
        y: int = 2

    b = B(1)
    b.x = 5
    assert jax.tree.leaves(b) == [5, 2]


def test_a_mutable_struct_may_inherit_from_frozen_ones_without_fields():
    class Behaviour(Struct):
        def double(self):
            return 2 * self.x

    class A(Behaviour, frozen=False):
        x: int

    a = A(1)
    a.x = 4
    assert a.double() == 8


# Inheritance


def test_fields_of_the_child_follow_those_of_the_parent():
    class A(Point):
        z: float = 3.0

    assert names(A) == ["x", "y", "z"]
    assert A(1.0) == A(1.0, 2.0, 3.0)
    assert isinstance(A(1.0), Point)


def test_a_field_that_is_declared_again_keeps_its_place_and_stays_static():
    class A(Struct):
        x: int
        n: int = static(default=1)
        m: Static[int] = 2

    class B(A):
        n: int = 5
        m: int = field(default=6)

    class C(B):
        m: int = 7

    class D(C):
        n: int = field(default=8, static=False)
        m: int = dataclasses.field(default=9, metadata={"static": False})

    assert names(B) == names(C) == names(D) == ["x", "n", "m"]
    assert statics(B) == statics(C) == ["n", "m"]
    assert statics(D) == []
    assert (B(0).n, C(0).m, D(0).n, D(0).m) == (5, 7, 8, 9)
    assert jax.tree.leaves(D(0)) == [0, 8, 9]


def test_a_data_field_may_become_static_in_a_child():
    class A(Struct):
        x: int
        y: int

    class B(A):
        x: Static[int]

    b = B(1, 2)
    assert jax.tree.leaves(b) == [2]
    assert (b.x, b.y) == (1, 2)
    assert A(1, 2).x == 1


def test_declaring_a_field_again_without_a_value_keeps_the_default_as_in_dataclasses():
    @dataclasses.dataclass(frozen=True)
    class Standard:
        x: int = 1

    @dataclasses.dataclass(frozen=True)
    class StandardChild(Standard):
        x: int

    class A(Struct):
        x: int = 1

    class B(A):
        x: int

    assert inspect.signature(B) == inspect.signature(StandardChild)


def test_multiple_inheritance_takes_the_fields_of_both_sides():
    class Left(Struct):
        a: int
        n: Static[int]

    class Right(Struct):
        b: int
        m: Static[str]

    class Both(Left, Right):
        c: int = field(kw_only=True)

    class Other(Right, Left):
        pass

    assert names(Both) == ["b", "m", "a", "n", "c"]
    both = Both(2, "m", 3, 4, c=5)
    assert (both.a, both.n, both.b, both.m, both.c) == (3, 4, 2, "m", 5)
    assert jax.tree.map(lambda leaf: -leaf, both) == Both(-2, "m", -3, 4, c=-5)
    assert names(Other) == ["a", "n", "b", "m"]
    assert Other(1, 2, 3, "m") == Other(a=1, n=2, b=3, m="m")


def test_required_after_default_across_two_parents_is_refused_with_the_cure():
    class Left(Struct):
        a: int

    class Right(Struct):
        b: int = 2

    with pytest.raises(errors.DefinitionError) as error:

        class Both(Left, Right):
            pass

    assert str(error.value) == (
        "Both: non-default argument 'a' follows default argument 'b'; "
        "reorder the fields, give 'a' a default, or set kw_only=True"
    )


def test_super_reads_the_field_itself_where_the_order_of_the_fields_differs():
    class Left(Struct):
        a: int

        def read(self):
            return self.a

    class Right(Struct):
        b: int

    class Both(Left, Right):
        def read_through_super(self):
            return super().a

    both = Both(b=1, a=2)
    assert both.read() == 2
    assert both.read_through_super() == 2
    assert Left.__dict__["a"].__get__(both) == 2


def test_a_diamond_has_each_field_once():
    class Top(Struct):
        x: int

    class Left(Top):
        a: int = 1

    class Right(Top):
        b: int = 2

    class Bottom(Left, Right):
        pass

    assert sorted(names(Bottom)) == ["a", "b", "x"]
    assert Bottom(0).x == 0


@pytest.mark.parametrize("struct_first", [False, True])
def test_mixins_without_slots_work_on_either_side(struct_first):
    class Mixin:
        offset = 10

        def shifted(self):
            return self.x + self.offset

    class Base(Struct):
        x: int

    class A(*((Base, Mixin) if struct_first else (Mixin, Base))):
        y: int = 2

    a = A(1)
    assert a.shifted() == 11
    assert vars(a) == {"x": 1, "y": 2}
    assert repr(a) == "A(x=1, y=2)"
    assert jax.tree.map(lambda leaf: leaf + 1, a) == A(2, 3)
    assert weakref.ref(a)() is a


def test_a_mixin_may_repeat_the_slots_that_every_struct_has():
    class Mixin:
        __slots__ = ("__weakref__",)

    class A(Mixin, Struct):
        __slots__ = ("x", "__weakref__")
        x: int

    assert A(1).x == 1
    assert weakref.ref(A(1)) is not None


def test_annotations_of_a_plain_mixin_are_no_fields():
    class Mixin:
        ignored: int = 5

    class A(Mixin, Struct):
        x: int

    assert names(A) == ["x"]
    assert A(1).ignored == 5


def test_a_field_hides_a_method_or_value_of_a_base():
    class Base:
        size = 3

    class A(Struct):
        def area(self):
            return 1

    class B(A, Base):
        area: float
        size: int

    b = B(2.0, 5)
    assert (b.area, b.size) == (2.0, 5)
    assert inspect.signature(B).parameters["area"].default is inspect.Parameter.empty


def test_a_subclass_that_overrides_a_field_with_a_method_is_refused():
    with pytest.raises(errors.DefinitionError) as error:

        class A(Point):
            def x(self):
                return 1

    assert str(error.value) == (
        "A: 'x' is a field of a parent class and is overridden without an annotation; "
        "write x: <type> = ... to change its default, or choose another name"
    )


def test_generic_structs_work_with_and_without_parameters():
    class Box(Struct, Generic[T]):
        item: T
        n: Static[int] = 1

    class Named(Box[T], Generic[T]):
        name: Static[str] = "box"

    class IntBox(Named[int]):
        extra: int = 0

    assert Box[int](5) == Box(5)
    assert jax.tree.structure(Box[int](5)) == jax.tree.structure(Box(5))
    assert type(Box[int](5)) is Box
    assert names(IntBox) == ["item", "n", "name", "extra"]
    assert IntBox(1).item == 1
    assert Named[str]("s").name == "box"


@needs_type_statement
def test_classes_with_type_parameters_work():
    made = run(
        """
        class Box[T](Struct):
            item: T
            n: Static[int] = 1

            def first(self) -> T:
                return super().__getattribute__("item")

        class Pair[A, B: int](Box[A]):
            other: B | None = None

        class IntPair(Pair[int, bool]):
            pass
        """
    )
    assert names(made.IntPair) == ["item", "n", "other"]
    assert made.Box[int](5) == made.Box(5)
    assert made.Box(5).first() == 5
    assert made.Pair[int, bool](1, 2, True).other is True
    assert made.IntPair(1).item == 1
    assert statics(made.Pair) == ["n"]
    assert [parameter.__name__ for parameter in made.Pair.__type_params__] == ["A", "B"]
    assert jax.tree.leaves(made.IntPair(1, 2, 3)) == [1, 3]


@needs_type_statement
def test_classes_with_type_parameters_work_under_future_annotations():
    made = run(
        """
        from __future__ import annotations

        class Box[T](Struct):
            item: T
            n: Static[T]
            m: Static[T] | None = None
        """
    )
    assert statics(made.Box) == ["n", "m"]


@pytest.mark.parametrize("abc_first", [False, True])
def test_abstract_methods_and_abc_as_a_base_work(abc_first):
    class Base(*((ABC, Struct) if abc_first else (Struct, ABC))):
        x: int

        @abstractmethod
        def area(self): ...

    class A(Base):
        def area(self):
            return self.x

    assert inspect.isabstract(Base)
    assert A(3).area() == 3
    with pytest.raises(TypeError):
        Base(1)
    with pytest.raises(TypeError):
        structkit.construct(Base, x=1)


def test_abstract_methods_work_without_abc():
    class Base(Struct):
        @abstractmethod
        def area(self): ...

    with pytest.raises(TypeError):
        Base()


def test_virtual_subclasses_of_an_abstract_struct_are_recognised():
    class Base(Struct):
        @abstractmethod
        def area(self): ...

    @Base.register
    class Stranger:
        pass

    assert isinstance(Stranger(), Base)
    assert issubclass(Stranger, Base)
    assert not isinstance(3, Base)


def test_a_field_overrides_an_abstract_property():
    class Shape(Struct):
        @property
        @abstractmethod
        def size(self): ...

        @property
        @abstractmethod
        def kind(self): ...

    class Square(Shape):
        size: int
        kind: Static[str] = "square"

    assert inspect.signature(Square).parameters["size"].default is inspect.Parameter.empty
    assert (Square(2).size, Square(2).kind) == (2, "square")
    assert not inspect.isabstract(Square)


def test_a_field_of_one_base_overrides_the_abstract_property_of_another():
    class Shape(ABC):
        @property
        @abstractmethod
        def size(self): ...

    class Sized(Struct):
        size: int

    class Square(Shape, Sized):
        pass

    assert Square(2).size == 2


@pytest.mark.parametrize("library", [typing, typing_extensions])
@pytest.mark.parametrize("struct_first", [False, True])
def test_protocols_are_bases_on_either_side(library, struct_first):
    @library.runtime_checkable
    class HasSize(library.Protocol):
        size: int

        def area(self) -> int: ...

    class A(*((Struct, HasSize) if struct_first else (HasSize, Struct))):
        size: int
        n: Static[int] = 1

        def area(self) -> int:
            return self.size**2

    class B(A):
        pass

    assert names(A) == ["size", "n"]
    assert B(3).area() == 9
    assert isinstance(A(1), HasSize)
    assert isinstance(A(1), A)
    assert not isinstance(3, A)
    assert jax.tree.map(lambda leaf: -leaf, B(3)) == B(-3)
    assert list(inspect.signature(A).parameters) == ["size", "n"]


@pytest.mark.parametrize("library", [typing, typing_extensions])
def test_a_protocol_keeps_a_custom_init_and_gets_no_say_in_a_generated_one(library):
    class Named(library.Protocol[T]):
        def name(self) -> T: ...

    class A(Named[str], Struct):
        x: int

        def __init__(self, x):
            super().__init__()
            self.x = 2 * x

        def name(self):
            return "a"

    class B(Struct, Named[str]):
        def name(self):
            return "b"

    class C(A):
        pass

    assert A(1).x == C(1).x == 2
    assert B().name() == "b"


@dataclasses.dataclass(frozen=True)
class StandardBase:
    a: int
    b: list = dataclasses.field(default_factory=list)
    c: int = dataclasses.field(default=3, metadata={"static": True})
    constant: ClassVar[int] = 7

    def total(self):
        return self.a + self.c


@pytest.mark.parametrize("struct_first", [False, True])
def test_a_frozen_dataclass_is_a_base_on_either_side(struct_first):
    class A(*((Struct, StandardBase) if struct_first else (StandardBase, Struct))):
        d: int = 4

    a = A(1)
    assert names(A) == ["a", "b", "c", "d"]
    assert statics(A) == ["c"]
    assert (a.a, a.b, a.c, a.d, a.constant, a.total()) == (1, [], 3, 4, 7, 4)
    assert vars(a) == {"a": 1, "b": [], "c": 3, "d": 4}
    assert repr(a) == "A(a=1, b=[], c=3, d=4)"
    assert a == A(1)
    assert jax.tree.leaves(a.replace(b=[5])) == [1, 5, 4]
    with pytest.raises(errors.FrozenInstanceError):
        a.a = 2
    with pytest.raises(errors.FrozenInstanceError):
        object.__setattr__(a, "a", 2)
    with pytest.raises(errors.FrozenInstanceError):
        del a.a


def test_a_frozen_dataclass_is_a_base_of_a_struct_without_fields_of_its_own():
    class A(StandardBase, Struct):
        pass

    assert (A(1).a, A(1, [2], 5).c) == (1, 5)
    assert dataclasses.replace(A(1), a=2).a == 2


def test_hooks_of_a_frozen_dataclass_base_run():
    @dataclasses.dataclass(frozen=True)
    class Base:
        x: int
        scale: InitVar[int]
        _: KW_ONLY
        y: int = dataclasses.field(init=False)

        def __post_init__(self, scale):
            object.__setattr__(self, "y", self.x * scale)

    class A(Base, Struct):
        z: int = 5

    assert list(inspect.signature(A).parameters) == ["x", "scale", "z"]
    assert (A(2, 3).x, A(2, 3).y, A(2, 3).z) == (2, 6, 5)


def test_a_method_that_is_no_struct_base_makes_a_cooperative_init_chain():
    calls = []

    class Plain:
        def __init__(self, **keywords):
            calls.append("Plain")
            super().__init__(**keywords)

    class A(Struct):
        x: int

        def __init__(self, x, **keywords):
            calls.append("A")
            super().__init__(**keywords)
            self.x = x

    class B(A, Plain):
        y: int

        def __init__(self, y, **keywords):
            calls.append("B")
            super().__init__(**keywords)
            self.y = y

    b = B(1, x=2)
    assert calls == ["B", "A", "Plain"]
    assert (b.x, b.y) == (2, 1)


def test_a_plain_mixin_in_front_may_wrap_the_constructor():
    class Doubling:
        def __init__(self, x, **keywords):
            super().__init__(2 * x, **keywords)

    class A(Struct):
        x: int
        y: int = 3

    class B(Doubling, A):
        pass

    assert (B(1).x, B(1, y=4).y) == (2, 4)


def test_zero_argument_super_works_in_methods_and_properties():
    class A(Struct):
        x: int

        def value(self):
            return self.x

        @property
        def double(self):
            return 2 * self.x

        @classmethod
        def make(cls):
            return cls(1)

        def cell(self):
            return __class__

    class B(A):
        def value(self):
            return super().value() + 1

        @property
        def double(self):
            return super().double + 1

        @classmethod
        def make(cls):
            return super().make()

    assert (B(1).value(), B(1).double, B.make(), B(1).cell()) == (2, 3, B(1), A)


def test_a_metaclass_of_the_user_may_derive_from_ours():
    class Meta(StructMeta):
        def shout(cls):
            return cls.__name__.upper()

    class A(Struct, metaclass=Meta):
        x: int

    class B(A):
        pass

    assert B.shout() == "B"
    assert jax.tree.leaves(B(1)) == [1]


@pytest.mark.parametrize("make", [types.new_class, None])
def test_classes_made_by_calls_work(make):
    def body(namespace):
        namespace["__annotations__"] = {"x": int, "n": Static[int]}
        namespace["n"] = 2

    if make is not None:
        A = types.new_class("A", (Struct,), {"kw_only": True}, body)
    else:
        namespace = {}
        body(namespace)
        A = StructMeta("A", (Struct,), namespace, kw_only=True)
    assert statics(A) == ["n"]
    assert A(x=1) == A(x=1, n=2)


@pytest.mark.parametrize("name", ["class", "None", "not a name", "begin", "store", "self", "x", "plain", "type"])
def test_a_class_may_have_any_name(name):
    A = types.new_class(name, (Struct,), {}, lambda ns: ns.update(__annotations__={"x": int}))
    assert A(1).x == 1
    assert repr(A(1)) == f"{name}(x=1)"


def test_a_decorator_that_sets_attributes_works():
    @typing.final
    @functools.total_ordering
    class A(Struct):
        x: int

        def __lt__(self, other):
            return self.x < other.x

    assert A(1) <= A(2)


def test_a_property_with_a_setter_works_while_constructing():
    class A(Struct):
        x: int

        def __init__(self, x):
            self.doubled = x

        @property
        def doubled(self):
            return 2 * self.x

        @doubled.setter
        def doubled(self, value):
            self.x = value // 2

    assert A(8).x == 4
    with pytest.raises(errors.FrozenInstanceError):
        A(8).doubled = 2


def test_an_eq_of_the_user_is_negated_by_ne_for_other_types_too():
    class A(Struct):
        x: int

        def __eq__(self, other):
            return self.x == (other.x if isinstance(other, A) else other)

    assert A(1) == 1
    assert (A(1) != 1) is False
    assert A(1) == A(1)
    assert A(1) != A(2)
    assert hash(A(1)) == hash(A(1))


# Names


AWKWARD = [
    "self",
    "cls",
    "replace",
    "values",
    "keys",
    "items",
    "default",
    "field",
    "type",
    "_private",
    "at",
    "children",
    "aux",
    "store",
    "plain",
    "statics",
    "check",
    "checks",
    "begin",
    "begin_",
    "finish",
    "abandon",
    "factory",
    "outermost",
    "init_part",
    "assign_fields",
    "pack_statics",
    "BaseException",
    "incomplete",
    "__name__x",
    "_name",
    "_class",
    "_0",
    "_1",
    "_default_0",
    "default_x",
    "make_x",
    "convert_x",
    "x_",
    "_",
    "__mangled",
    "match",
    "name",
    "spec",
    "copy",
    "count",
    "index",
    "changes",
    "args",
    "kwargs",
    "Awkward",
    "int",
    "print",
    "größe",
    "naïve",
    "实例",
]


@pytest.mark.parametrize(
    "kind", ["data", "static", "default", "factory", "derived", "post_init", "checked", "converted", "custom"]
)
@pytest.mark.parametrize("name", AWKWARD)
def test_a_name_that_users_choose_is_a_field_in_every_kind_of_class(name, kind):
    def __post_init__(self):
        if kind == "derived":
            setattr(self, name, 1)

    def __init__(self, /, x=1, **given):
        self.x = x
        setattr(self, name, given.get(name, 1))

    seen = []
    value = {
        "static": static(),
        "default": 1,
        "factory": field(default_factory=lambda: 1),
        "derived": derived(),
        "converted": field(converter=lambda value: value, default=1),
    }
    namespace = {"__annotations__": {"x": object, name: object}, "x": field(default_factory=lambda: 1, converter=int)}
    if kind in value:
        namespace[name] = value[kind]
    else:
        namespace[name] = field(kw_only=True)
    if kind in ("derived", "post_init"):
        namespace["__post_init__"] = __post_init__
    if kind == "checked":
        namespace["__check_init__"] = lambda self: seen.append(getattr(self, name))
    if kind == "custom":
        namespace["__init__"] = __init__
    if kind == "static":
        namespace[name] = static(kw_only=True)
    A = types.new_class("Awkward", (Struct,), {}, lambda ns: ns.update(namespace))

    a = A() if kind in ("default", "factory", "derived", "converted") else A(**{name: 1})
    assert getattr(a, name) == 1
    assert vars(a) == {"x": 1, name: 1}
    assert repr(a) == f"Awkward(x=1, {name}=1)"
    assert a == A(**({} if kind == "derived" else {name: 1}))
    assert jax.tree.map(lambda leaf: leaf, a) == a
    assert hash(a) == hash(jax.tree.map(lambda leaf: leaf, a))
    if kind != "derived":
        changed = replace(a, **{name: 2})
        assert (getattr(changed, name), changed.x) == (2, 1)
        assert getattr(structkit.construct(A, **{name: 3}), name) == 3
    with pytest.raises(errors.FrozenInstanceError):
        setattr(a, name, 2)
    if kind == "checked":
        assert seen == [1, 1, 2]


def test_all_awkward_names_live_in_one_class():
    A = types.new_class("Awkward", (Struct,), {}, lambda ns: ns.update(__annotations__=dict.fromkeys(AWKWARD, int)))
    a = A(**{name: i for i, name in enumerate(AWKWARD)})
    assert vars(a) == {name: i for i, name in enumerate(AWKWARD)}
    assert a == A(*range(len(AWKWARD)))


def test_names_with_two_leading_underscores_are_mangled_as_everywhere():
    class A(Struct):
        __x: int
        __n: Static[int] = 2

        def read(self):
            return self.__x + self.__n

    class _B(A):
        __x: int = 5

        def read_mine(self):
            return self.__x

    assert names(A) == ["_A__x", "_A__n"]
    assert A(1).read() == 3
    assert str(inspect.signature(A)).startswith("(_A__x: int, _A__n")
    assert (_B(1).read(), _B(1).read_mine()) == (3, 5)


PYTHONS_OWN = [
    "__dunder__",
    "__class__",
    "__dict__",
    "__doc__",
    "__module__",
    "__init__",
    "__new__",
    "__eq__",
    "__hash__",
    "__repr__",
    "__setattr__",
    "__delattr__",
    "__getattribute__",
    "__getattr__",
    "__slots__",
    "__weakref__",
    "__flat__",
    "__cache__",
    "__struct__",
    "__match_args__",
    "__post_init__",
    "__check_init__",
    "__dataclass_fields__",
    "__dataclass_params__",
    "__replace__",
    "__getstate__",
    "__setstate__",
    "__copy__",
    "__deepcopy__",
    "__reduce__",
    "__reduce_ex__",
    "__pdoc__",
    "__init_subclass__",
]


@pytest.mark.parametrize("name", PYTHONS_OWN)
def test_a_name_with_a_meaning_to_python_is_refused_or_works_as_a_field(name):
    try:
        A = types.new_class("A", (Struct,), {}, lambda ns: ns.update(__annotations__={name: int}))
    except errors.DefinitionError as error:
        assert str(error) == f"A: {name!r} cannot be a field's name; choose another name"
        return
    a = A(1)
    assert (type(a), getattr(a, name), vars(a), repr(a)) == (A, 1, {name: 1}, f"A({name}=1)")
    assert a == A(1)
    assert a != A(2)
    assert hash(a) == hash(A(1))
    assert jax.tree.map(lambda leaf: leaf + 1, a) == A(2)
    assert replace(a, **{name: 2}) == copy.copy(A(2)) == copy.deepcopy(A(2))
    assert types.new_class("B", (A,))(1) is not None
    with pytest.raises(errors.FrozenInstanceError):
        a.other = 2


@pytest.mark.parametrize("name", ["class", "None", "not a name", "1st", ""])
def test_a_name_that_is_no_identifier_is_refused_as_a_field(name):
    with pytest.raises(errors.DefinitionError) as error:
        types.new_class("A", (Struct,), {}, lambda ns: ns.update(__annotations__={name: int}))
    assert str(error.value) == f"A: {name!r} cannot be a field's name; choose another name"


def test_a_method_with_the_name_of_a_field_of_the_same_body_is_refused():
    with pytest.raises(errors.DefinitionError) as error:

        class A(Struct):
            x: int

            @functools.cached_property
            def x(self):
                return 1

    assert "'x'" in str(error.value)


# What the class tells


def test_the_signature_is_the_one_of_a_frozen_dataclass():
    def body(namespace):
        namespace["__annotations__"] = {"a": int, "b": float, "c": list, "_": KW_ONLY, "d": str, "e": int}
        namespace.update(b=1.5, c=dataclasses.field(default_factory=list), e=dataclasses.field(default=4, init=False))

    A = types.new_class("A", (Struct,), {}, body)
    B = dataclasses.dataclass(frozen=True)(types.new_class("A", (), {}, body))
    assert str(inspect.signature(A)) == str(inspect.signature(B))
    assert A.__match_args__ == B.__match_args__


def test_the_signature_of_a_custom_init_is_the_users():
    class A(Struct):
        x: int

        def __init__(self, first: int, *rest: int, scale: float = 1.0, **others: str):
            """Make an A."""
            self.x = first

    class B(A):
        pass

    assert str(inspect.signature(A)) == "(first: int, *rest: int, scale: float = 1.0, **others: str)"
    assert inspect.signature(B) == inspect.signature(A)
    assert A.__init__.__doc__ == "Make an A."


def test_the_source_of_a_generated_init_can_be_read():
    assert inspect.getsource(Point.__init__) == (
        "def __init__(self, x, y=default_y):\n"
        '    """Make a Point from its fields."""\n'
        "    children = (x, y)\n"
        "    if type(self) is not Point:\n"
        "        return init_part(self, names, children)\n"
        "    store(self, (children, ()))\n"
    )


def test_the_source_of_the_class_and_of_its_own_functions_is_the_users():
    class A(Struct):
        x: int

        def __init__(self, x):
            self.x = x

    assert inspect.getsource(A).lstrip().startswith("class A(Struct):")
    assert inspect.getsource(A.__init__).lstrip() == "def __init__(self, x):\n            self.x = x\n"
    assert inspect.getsource(Point).startswith("class Point(Struct):")


def test_generated_source_is_syntax_with_a_docstring_of_one_line_in_every_kind_of_class():
    class Drafted(Struct):
        x: int
        n: Static[int] = field(default=1, converter=int)
        y: int = derived()
        s: InitVar[int] = 2
        w: list = field(default_factory=list, kw_only=True)

        def __post_init__(self, s):
            self.y = s

    class Checked(Struct):
        x: int
        n: Static[int]

        def __check_init__(self):
            pass

    for cls in (Drafted, Checked, Point, Linear):
        source = inspect.getsource(cls.__init__)
        compile(source, "<test>", "exec")
        assert cls.__init__.__doc__
        assert "\n" not in cls.__init__.__doc__
        assert not any(line != line.rstrip() or len(line) > 120 or "\t" in line for line in source.splitlines())
        assert "\n\n" not in source


def test_two_classes_of_one_name_keep_their_own_sources():
    def make(first):
        return types.new_class("Same", (Struct,), {}, lambda ns: ns.update(__annotations__={first: int, "y": int}))

    A, B = make("a"), make("b")
    assert "children = (a, y)" in inspect.getsource(A.__init__)
    assert "children = (b, y)" in inspect.getsource(B.__init__)


def test_the_same_class_made_again_and_again_does_not_fill_the_line_cache():
    def make():
        class Again(Struct):
            x: int

        return Again

    make()
    before = len(linecache.cache)
    for _ in range(5):
        make()
    assert len(linecache.cache) == before


def test_tracebacks_show_lines_of_generated_code():
    class A(Struct):
        x: int

        def __check_init__(self):
            raise ValueError("never")

    with pytest.raises(ValueError) as error:
        A(1)
    lines = [str(entry.statement).strip() for entry in error.traceback]
    assert "check(self)" in lines


def test_the_doc_of_a_class_without_one_is_its_signature_and_the_docs_of_its_fields():
    class A(Struct):
        x: int = field(doc="metres east")
        y: int = 1

    class B(A):
        z: int = 2

    assert A.__doc__ == "A(x: int, y: int = 1)\n\nFields:\n    x (int): metres east\n    y (int)"
    assert B.__doc__.startswith("B(x: int, y: int = 1, z: int = 2)\n\n")
    assert B.__doc__.endswith("\n    x (int): metres east\n    y (int)\n    z (int)")
    assert A(1).__doc__ == A.__doc__
    assert inspect.getdoc(A) == A.__doc__


def test_the_doc_of_a_class_whose_signature_tells_all_is_its_signature():
    class A(Struct):
        x: int
        scale: typing.Any = jnp.ones(3)
        activation: typing.Any = static(default=jax.nn.relu)

    assert A.__doc__ == "A(x: int, scale: Any = f32[3], activation: Any = relu)"
    assert list(inspect.signature(A).parameters) == ["x", "scale", "activation"]


def test_the_doc_of_a_class_lists_fields_that_its_signature_does_not_have():
    class A(Struct):
        x: int
        unit: str = derived(static=True, default="m")

    class B(Struct):
        x: int

        def __init__(self, text: str):
            self.x = len(text)

    assert A.__doc__ == "A(x: int)\n\nFields:\n    x (int)\n    unit (str, static)"
    assert B.__doc__ == "B(text: str)\n\nFields:\n    x (int)"


def test_the_doc_of_the_user_stays():
    class A(Struct):
        """Mine."""

        x: int

    assert A.__doc__ == "Mine."
    assert A(1).__doc__ == "Mine."


@pytest.mark.parametrize("cls", [Point, Linear, Struct])
def test_help_and_introspection_of_a_class_never_fail(cls):
    assert cls.__name__ in pydoc.render_doc(cls)
    assert dict(inspect.getmembers(cls))["__class__"] is StructMeta
    assert inspect.classify_class_attrs(cls)
    assert "replace" in dir(cls)


def test_a_class_in_a_function_has_its_qualified_names():
    class A(Struct):
        x: int

    here = "test_a_class_in_a_function_has_its_qualified_names.<locals>.A"
    assert A.__qualname__ == here
    assert A.__init__.__qualname__ == f"{here}.__init__"
    assert A.__module__ == A.__init__.__module__ == __name__


def test_class_attributes_that_are_no_fields_may_be_set_and_fields_may_not():
    class A(Struct):
        x: int = 1

    A.helper = lambda self: self.x + 1
    assert A().helper() == 2
    with pytest.raises(errors.DefinitionError) as error:
        A.x = 5
    assert str(error.value) == "A: 'x' is a field and cannot be set on the class; change the default in the body"
    assert A().x == 1


def test_a_field_cannot_be_deleted_from_the_class():
    class A(Struct):
        x: int = 1

    with pytest.raises((errors.StructError, AttributeError)):
        del A.x
    assert A().x == 1


def test_structs_refuse_bases_with_a_layout_of_their_own():
    class Slotted:
        __slots__ = ("a",)

    class Pair(NamedTuple):
        a: int

    for stranger in (Slotted, Pair, int, Exception, dict):
        with pytest.raises(errors.DefinitionError) as error:
            types.new_class("A", (stranger, Struct), {}, lambda ns: ns.update(__annotations__={"x": int}))
        assert str(error.value) == (
            f"A: cannot inherit from {stranger.__name__}, whose instances have a layout of their own; "
            "hold it in a field"
        )


def test_an_inconsistent_order_of_bases_is_pythons_own_error():
    with pytest.raises(TypeError, match="consistent method resolution"):
        types.new_class("A", (Struct, Point))


def test_an_error_of_an_init_subclass_passes_through_unchanged():
    class Picky(Struct):
        def __init_subclass__(cls, **keywords):
            raise TypeError("no subclasses please")

    with pytest.raises(TypeError) as error:

        class A(Picky):
            x: int

    assert str(error.value) == "no subclasses please"
    assert error.value.__cause__ is None


def test_a_class_that_nothing_refers_to_any_more_can_still_be_made_again():
    def make():
        class Cell(Struct):
            x: int

        return Cell

    first = make()
    kept = first(1)
    second = make()
    gc.collect()
    assert jax.tree.structure(kept) != jax.tree.structure(second(1))
    assert jax.tree.leaves(second(2)) == [2]


def test_nested_classes_and_all_kinds_of_methods_are_left_alone():
    class A(Struct):
        class Config:
            size = 3

        x: int

        @staticmethod
        def plus(value):
            return value + 1

        @classmethod
        def create(cls):
            return cls(cls.plus(1))

        def __call__(self):
            return self.x

        def __getitem__(self, i):
            return (self.x, self.Config.size)[i]

        def __len__(self):
            return 2

        def __iter__(self):
            return iter((self.x, 3))

        def __bool__(self):
            return False

    a = A.create()
    assert (a(), a[1], len(a), list(a), bool(a)) == (2, 3, 2, [2, 3], False)
    assert a == A(2)
    assert jax.tree.leaves([a]) == [2]


def test_a_getattr_that_delegates_to_a_field_never_recurses():
    class Inner(Struct):
        size: int

    class Custom(Struct):
        inner: Inner

        def __init__(self, size):
            self.inner = Inner(size)

        def __getattr__(self, name):
            return getattr(self.inner, name)

    class PostInit(Struct):
        inner: Inner

        def __post_init__(self):
            pass

        def __getattr__(self, name):
            return getattr(self.inner, name)

    assert Custom(3).size == 3
    assert PostInit(Inner(3)).size == 3
    with pytest.raises(AttributeError) as error:
        Custom(3).nothing
    assert str(error.value) == "'Inner' object has no attribute 'nothing'"


def test_collections_abc_are_bases():
    class Pairs(Struct, collections.abc.Sequence):
        items: tuple

        def __getitem__(self, i):
            return self.items[i]

        def __len__(self):
            return len(self.items)

    pairs = Pairs((1, 2))
    assert list(pairs) == [1, 2]
    assert jax.tree.leaves(pairs) == [1, 2]
    assert isinstance(pairs, collections.abc.Sequence)


def test_a_runtime_checkable_protocol_sees_fields_as_members():
    @runtime_checkable
    class HasX(Protocol):
        x: float

    assert isinstance(Point(1.0), HasX)
    assert not isinstance(Linear(1, 2), HasX)


def test_a_struct_is_an_instance_of_the_metaclass_and_of_abc_meta():
    assert type(Point) is StructMeta
    assert isinstance(Point, abc.ABCMeta)
    assert structkit.is_struct(Point)
    assert structkit.is_struct(Point(1.0))
    assert not structkit.is_struct(StandardBase)
    assert not structkit.is_struct(3)
