"""What an annotation says of a field, the same as a value, a string, a lazy or a postponed one; and how it is kept."""

import inspect
import pydoc
import sys
import textwrap
import typing
from typing import Optional, TypeVar

import jax
import pytest
import typing_extensions

from structkit import Static, Struct, fields
from tests.models import names, static_names

T = TypeVar("T")

IS_LAZY = sys.version_info >= (3, 14)
if IS_LAZY:
    import annotationlib
needs_lazy_annotations = pytest.mark.skipif(not IS_LAZY, reason="annotations are lazy from Python 3.14 on")
needs_type_statement = pytest.mark.skipif(sys.version_info < (3, 12), reason="the type statement came with Python 3.12")

# `Missing` is defined nowhere, as a name that only type checkers import.
HEAD = """
import dataclasses
import dataclasses as dc
import typing
import typing as t
from collections.abc import Callable
from dataclasses import KW_ONLY, InitVar
from typing import Annotated, ClassVar, Final, Optional, TypeVar, Union

import numpy
import structkit
import structkit as sk
from structkit import Static, Struct, static

T = TypeVar("T")
S = Static
StaticInt = Static[int]
MaybeStatic = Optional[Static[int]]
StaticList = Static[list[T]]
Noted = Annotated[T, "a note", *Static[T].__metadata__]
Constant = ClassVar
Size = int
Number = Union[int, float]
Text, Itself, One, Two = "Static[tuple]", "Itself", "Two", "One"
array = numpy.zeros(2)
"""

STATIC = [
    *("Static", "Static[int]", "sk.Static[int]", "structkit.Static[int]", "S[int]", "'Static[int]'"),
    *("Static['Missing']", "StaticInt", "MaybeStatic", "StaticList[int]", "Noted[int]"),
    *("Annotated[Static[int], 'note']", "Annotated[StaticInt, 'note']", "Annotated[None | Static[int], 'note']"),
    *("Static[Optional[int]]", "Optional[Static[int]]", "Optional[StaticInt]", "Optional['Static[int]']"),
    *("t.Optional[sk.Static[int]]", "Union[Static[int], None]", "Union[None, Static[int]]"),
    *("Static[int] | None", "None | Static[int]", "None | StaticInt", "int | Static[int]", "T | Static[int]"),
    *("list[int] | Static[int]", "Callable[[int], int] | Static[int]", "Annotated[int, 'note'] | Static[int]"),
    *("Optional['Missing'] | Static[int]", "Union['Missing', Static[int]]"),
    *("Final[Static[int]]", "Final['Static[int]']", "typing.Final[Static[int] | None]"),
]
DATA = [
    *("int", "Size", "Number", "None", "T", "Optional[int]", "int | None", "None | int", "Annotated[int, 'note']"),
    "Annotated[int, 'Static[int]']",
    *("list[Static[int]]", "dict[str, Static]", "dict[str, 'Static[int]']", "Callable[[Static[int]], int]"),
    *("'A'", "Optional['A']"),
]
CLASS_VARIABLES = ["ClassVar", "ClassVar[int]", "typing.ClassVar", "Constant[int]", "Annotated[ClassVar[int], 'note']"]
INIT_VARS = ["InitVar", "InitVar[int]", "dataclasses.InitVar[int]"]
# Annotations with names that are not there are no values before Python 3.14.
STATIC_WITH_MISSING = [
    *("Static[Missing]", "sk.Static[Missing]", "Static[list[Missing]]", "Static[Callable[[Missing], int]]"),
    *("t.Optional[Static[Missing]]", "Union[Missing, Static[int]]", "Static[Missing] | None"),
    *("None | Static[Missing]", "Missing | Static[int]", "Missing[int] | Static[int]"),
]
DATA_WITH_MISSING = [
    *("Missing", "Missing | None", "A | None", "list[Missing]"),
    *("StaticMissing", "Missing[Static[int]]", "Missing.Static[int]"),
]
# Texts that are no annotations outside a string.
STATIC_TEXTS = ["Text", " Static[int] ", "(Static[int])", "(None) | (Static[int])", "Optional[\nStatic[int]\n]"]
DATA_TEXTS = [
    *("", "a sentence, not an annotation", "a sentence [with brackets", "lambda: Static", "3 | 4", "3[Static]"),
    *("sk.nothing_there", "array[Static]", "array[Static] | None", "Itself", "One | None"),
]


def written(values: list[str], with_missing: list[str], texts: list[str]) -> list[tuple[str, str]]:
    return [
        *[("value", annotation) for annotation in (values + with_missing if IS_LAZY else values)],
        *[("postponed", annotation) for annotation in values + with_missing],
        *[("quoted", annotation) for annotation in values + with_missing + texts],
    ]


def define(module, style, annotation, rest="", name="n"):
    """The struct `A` of a new module; its second field has the annotation."""
    future = "from __future__ import annotations\n" * (style == "postponed")
    text = repr(annotation) if style == "quoted" else annotation
    body = f"x: float\n{name}: {text}\n{rest}"
    return module(f"{future}{HEAD}\nclass A(Struct):\n{textwrap.indent(body, '    ')}").A


@pytest.mark.parametrize(
    ("is_static", "style", "annotation"),
    [
        *((True, *each) for each in written(STATIC, STATIC_WITH_MISSING, STATIC_TEXTS)),
        *((False, *each) for each in written(DATA, DATA_WITH_MISSING, DATA_TEXTS)),
    ],
)
def test_static_is_found_in_every_annotation_that_means_it_and_in_no_other(module, is_static, style, annotation):
    A = define(module, style, annotation)
    assert [(f.name, f.static) for f in fields(A)] == [("x", False), ("n", is_static)]
    assert jax.tree.leaves(A(1.0, 2)) == ([1.0] if is_static else [1.0, 2])


@pytest.mark.parametrize(("style", "annotation"), written(CLASS_VARIABLES, ["t.ClassVar[Missing]"], []))
def test_class_variables_are_found_in_every_annotation_that_means_one(module, style, annotation):
    A = define(module, style, f"{annotation}", "n = 3")
    assert names(A) == ["x"]
    assert A.n == A(1.0).n == 3


@pytest.mark.parametrize(("style", "annotation"), written(INIT_VARS, ["dc.InitVar[Missing]"], []))
def test_init_vars_are_found_in_every_annotation_that_means_one(module, style, annotation):
    A = define(module, style, annotation, "def __post_init__(self, n):\n    self.x = self.x * n")
    assert names(A) == ["x"]
    assert A(2, 3).x == 6


@pytest.mark.parametrize(("style", "annotation"), written(["KW_ONLY", "dataclasses.KW_ONLY", "dc.KW_ONLY"], [], []))
def test_the_keyword_only_marker_is_found_in_every_annotation_that_means_it(module, style, annotation):
    A = define(module, style, annotation, "y: int", name="_")
    assert names(A) == ["x", "y"]
    assert A(1, y=2).y == 2
    with pytest.raises(TypeError):
        A(1, 2)


# Where names are looked up


SCOPES = {
    "in the function around the class, before the module": """
    Size = Constant = int
    def make():
        from typing import ClassVar as Constant
        Size = Static[int]
        class A(Struct):
            a: Size
            b: Optional[A]
            c: Constant[int] = 3
        return A
    A = make()
    """,
    "not in a caller": """
    Size = Static[int]
    def make():
        class A(Struct):
            a: Size
        return A
    def caller():
        Size = int
        return make()
    A = caller()
    """,
    "in the class body": """
    Size = int
    class A(Struct):
        Size = Static[int]
        a: Size
    """,
    "in what the module imports": """
    from types import SimpleNamespace
    other = SimpleNamespace(Fixed=Static[int])
    class A(Struct):
        a: other.Fixed
        b: other.Missing
    """,
}


@pytest.mark.parametrize("source", SCOPES.values(), ids=SCOPES)
@pytest.mark.parametrize("importable", [True, False])
def test_names_in_postponed_annotations_are_looked_up_where_the_class_body_would(module, source, importable):
    head = f"from __future__ import annotations\n{HEAD}\n{textwrap.dedent(source)}"
    if importable:
        scope = vars(module(head))
    else:
        scope = {"__name__": "nowhere_to_be_imported"}
        exec(compile(head, "<test>", "exec", dont_inherit=True), scope)
    assert static_names(scope["A"]) == ["a"]
    assert "c" not in names(scope["A"])


@pytest.mark.parametrize("future", ["", "from __future__ import annotations\n"])
@needs_type_statement
def test_static_is_found_through_type_statements_and_in_classes_with_type_parameters(module, future):
    made = module(
        future
        + textwrap.dedent("""
        from typing import Optional
        from structkit import Static, Struct
        type Size = Static[int]
        type Maybe = Optional[Static[int]]
        type Deep = Size
        type Of[T] = Static[list[T]]
        type Plain = int
        type Nested = list[Nested] | int
        type Unknown = list[Undefined]

        class A[U](Struct):
            a: Size
            b: Maybe
            c: Deep
            d: Of[int]
            e: "Size"
            f: Optional[Size]
            g: "Optional[Of[int]]"
            h: Size | None
            i: "Of[Undefined]"
            j: Static[U]
            k: Static[U] | None
            v: U
            w: Plain
            x: Nested
            y: list[Size]
            z: Unknown

        def make[T](t: T):
            type Inner = Static[T]

            class B[U](Struct):
                a: Inner
                b: U
                c: T
            return B
        """)
    )
    assert static_names(made.A) == list("abcdefghijk")
    assert static_names(made.make(1)) == ["a"]
    values = range(len(fields(made.A)))
    assert jax.tree.structure(made.A[int](*values)) == jax.tree.structure(made.A(*values))


def test_the_alias_type_of_typing_extensions_is_looked_through():
    Size = typing_extensions.TypeAliasType("Size", Static[int])
    Of = typing_extensions.TypeAliasType("Of", Static[list[T]], type_params=(T,))

    class A(Struct):
        a: Size
        b: Of[int]
        c: Optional[Size]

    assert static_names(A) == ["a", "b", "c"]


@needs_lazy_annotations
def test_lazy_annotations_may_name_what_is_defined_later(module):
    made = module(
        """
        from dataclasses import InitVar
        from typing import ClassVar, Optional
        from structkit import Static, Struct
        type Size = Static[Later]

        class A(Struct):
            a: Static[Later]
            b: Optional[Static[Later]]
            c: Static[int] | Later
            d: Later | None
            e: list[Later]
            f: ClassVar[Later]
            g: InitVar[Later]
            h: Size
            i: Later | Static[int] = 9

            def __post_init__(self, g):
                self.d = g

        class Later(Struct):
            pass
        """
    )
    assert names(made.A) == ["a", "b", "c", "d", "e", "h", "i"]
    assert static_names(made.A) == ["a", "b", "c", "h", "i"]
    assert made.A(1, 2, 3, 4, 5, 6, 7).d == 6
    assert made.A.__annotations__["d"] == made.Later | None
    assert typing.get_type_hints(made.A)["e"] == list[made.Later]
    assert inspect.signature(made.A).parameters["d"].annotation == made.Later | None


@needs_lazy_annotations
def test_an_annotation_that_cannot_be_evaluated_yet_refuses_no_class(module):
    """An attribute of a module that is half imported, as in a circular import."""
    made = module(
        """
        import types
        from dataclasses import InitVar
        from typing import ClassVar
        from structkit import Static, Struct
        half = types.ModuleType("half")

        class A(Struct):
            a: half.Later
            b: Static[half.Later] | None = None
            c: ClassVar[half.Later] = 3
            d: InitVar[half.Later] = 4

            def __post_init__(self, d): ...
        """
    )
    assert names(made.A) == ["a", "b"] and static_names(made.A) == ["b"] and made.A.c == 3
    made.half.Later = int
    assert typing.get_type_hints(made.A)["a"] is int is made.A.__init__.__annotations__["a"]
    assert inspect.signature(made.A).parameters["a"].annotation is int


@needs_lazy_annotations
def test_a_class_whose_annotations_only_type_checkers_know_can_be_looked_at(module):
    made = module(
        """
        from typing import TYPE_CHECKING
        from structkit import Static, Struct, field
        if TYPE_CHECKING:
            from nowhere import Later

        def convert(value: Later):
            return value

        class A(Struct):
            a: Later
            b: list[Later] = field(default_factory=list, doc="many")
            c: int = field(default=1, converter=convert)
            d: Static[Later] = 1

        class B(A):
            pass
        """
    )
    written = "(a: Later, b: list[Later] = <factory>, c: Any = 1, d: Static[Later] = 1)"
    for cls in (made.A, made.B):
        call = inspect.signature(cls, annotation_format=annotationlib.Format.STRING)
        assert call.replace(return_annotation=call.empty).format(quote_annotation_strings=False) == written
        assert cls.__doc__.startswith(f"{cls.__name__}{written}\n")
        assert written in pydoc.render_doc(cls, renderer=pydoc.plaintext)
        forward = inspect.signature(cls, annotation_format=annotationlib.Format.FORWARDREF)
        assert forward.parameters["a"].annotation.__forward_arg__ == "Later"
        assert all(hasattr(cls, name) for name in {*dir(cls), *vars(cls)})
        with pytest.raises(NameError, match="Later"):
            inspect.signature(cls)


# How annotations are kept


def test_the_annotations_of_a_class_are_its_own():
    class A(Struct):
        x: int
        y: Static[str] = "y"

    class B(A):
        z: float = 1.0

    class C(A):
        pass

    assert (A.__annotations__, B.__annotations__) == ({"x": int, "y": Static[str]}, {"z": float})
    assert inspect.get_annotations(C) == {}
    assert "Annotated[str, static]" in str(inspect.signature(A))
    assert typing.get_type_hints(C) == {"x": int, "y": str}
    assert typing.get_type_hints(C.__init__) == {"x": int, "y": str, "return": type(None)}


def test_postponed_annotations_are_kept_as_written_and_resolve_later(module):
    A = define(module, "postponed", "Static[Later]", "m: Optional[A] = None\nk: Later = static(default=1)\n")
    assert [f.type for f in fields(A)] == ["float", "Static[Later]", "Optional[A]", "Later"]
    assert str(inspect.signature(A)) == (
        "(x: 'float', n: 'Static[Later]', m: 'Optional[A]' = None, k: 'Later' = 1) -> None"
    )
    sys.modules[A.__module__].Later = int
    assert typing.get_type_hints(A) == {"x": float, "n": int, "m": Optional[A], "k": int}


@pytest.mark.parametrize("future", [True, False])
def test_a_field_named_as_its_type_is_resolved_to_the_type_and_may_have_a_default_where_that_is_no_value(
    module, future
):
    made = module(
        "from __future__ import annotations\n" * future
        + textwrap.dedent("""
        from datetime import date, time
        from structkit import Static, Struct, field

        class A(Struct):
            date: date
            float: float

        class B(A):
            int: int
            date: date

        class C(Struct):
            date: 'date' = date(2020, 1, 1)
            time: 'Static[time] | None' = field(default=None)
            more: 'list[date]' = ()
        """).replace("'", "" if future else "'")
    )
    if not future:
        assert typing.get_type_hints(made.A) == {"date": made.date, "float": float}
        assert [f.type for f in fields(made.B)] == [made.date, float, int]
        assert inspect.get_annotations(made.B) == {"int": int, "date": made.date}
        assert inspect.signature(made.B).parameters["int"].annotation is int
    day = made.date(2020, 1, 1)
    assert made.A(day, 1.5).replace(float=2.5) == made.A(day, 2.5)
    assert vars(made.C()) == {"date": day, "time": None, "more": ()} and static_names(made.C) == ["time"]


def test_a_long_union_in_text_is_read_member_by_member():
    namespace = {"__annotations__": {"x": " | ".join(["int"] * 800 + ["Static[int]"])}, "Static": Static}
    made = type(Struct)("A", (Struct,), {**namespace, "__qualname__": "A", "__module__": __name__})
    assert static_names(made) == ["x"]
