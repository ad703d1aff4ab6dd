"""What a class tells about itself: signature, documentation, source, tracebacks, qualified names, and its parts."""

import dataclasses
import functools
import inspect
import linecache
import pydoc
import re
import types
import typing
from typing import Any, Optional

import jax
import jax.numpy as jnp
import pytest

import structkit
from structkit import Static, Struct, StructMeta, derived, field, static
from tests.models import Box, Checked, Custom, Drafted, Empty, Lazy, Linear, Mutable, Pair, Point, Squared


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


# Sources


@pytest.mark.parametrize("cls", [Drafted, Checked, Point, Linear])
def test_the_source_of_a_generated_init_reads_as_if_it_were_written(cls):
    source = inspect.getsource(cls.__init__)
    assert source.startswith("def __init__(self, ")
    compile(source, "<test>", "exec")
    assert cls.__init__.__doc__.startswith(f"Make a {cls.__name__} from its fields")
    assert cls.__init__.__doc__ in source
    assert not any(line != line.rstrip() or len(line) > 120 or "\t" in line for line in source.splitlines())
    assert "\n\n" not in source


def test_the_source_of_the_class_and_of_its_own_functions_is_the_users():
    assert inspect.getsource(Custom).startswith("class Custom(Struct):\n    total: Any\n")
    assert inspect.getsource(Custom.__init__).startswith("    def __init__(self, *values):\n        self.total = sum")


def test_tracebacks_show_lines_of_generated_code():
    with pytest.raises(ValueError) as error:
        Checked(None)
    (generated,) = [entry for entry in error.traceback if entry.frame.code.raw is Checked.__init__.__code__]
    line = linecache.getline(generated.frame.code.raw.co_filename, generated.lineno + 1)
    assert line.strip()
    assert line in inspect.getsource(Checked.__init__)


# Documentation


def test_the_doc_of_a_class_is_its_signature_and_where_that_tells_not_all_its_fields():
    class A(Struct):
        x: int = field(doc="metres east")
        y: int = 1

    class B(A):
        z: int = 2

    class Plain(Struct):
        x: int
        scale: Any = jnp.ones(3, jnp.float32)
        activation: Any = static(default=jax.nn.relu)

    for cls, doc in (
        (A, "A(x: int, y: int = 1)\n\nFields:\n    x (int): metres east\n    y (int)"),
        (B, "B(x: int, y: int = 1, z: int = 2)\n\nFields:\n    x (int): metres east\n    y (int)\n    z (int)"),
        (Plain, "Plain(x: int, scale: Any = f32[3], activation: Any = relu)"),
        (Squared, "Squared(side: Any)\n\nFields:\n    side (Any)\n    area (Any)"),
        (Custom, "Custom(*values)\n\nFields:\n    total (Any)\n    count (int, static)"),
    ):
        assert cls.__doc__ == doc


@pytest.mark.parametrize("cls", [Point, Linear, Struct])
def test_help_and_introspection_of_a_class_never_fail(cls):
    assert cls.__name__ in pydoc.render_doc(cls)
    assert dict(inspect.getmembers(cls))["__class__"] is StructMeta
    assert inspect.classify_class_attrs(cls)
    assert "replace" in dir(cls)


def test_all_methods_that_a_class_gets_have_its_qualified_names():
    class A(Struct, order=True):
        x: int

        def __check_init__(self): ...

    class B(Struct):
        pass

    assert A.__qualname__ == "test_all_methods_that_a_class_gets_have_its_qualified_names.<locals>.A"
    assert A.__module__ == A.__init__.__module__ == __name__
    for cls in (A, B):
        for name, value in vars(cls).items():
            function = getattr(value, "fget", value)
            if isinstance(function, types.FunctionType) and "annotate" not in name:
                assert function.__qualname__ == f"{cls.__qualname__}.{name}"
    for name, value in vars(Struct).items():
        if isinstance(value, types.FunctionType) and name != "__replace__":
            assert (value.__qualname__, value.__module__) == (f"Struct.{name}", Struct.__module__)


# Trap 24: notebooks, dill and documentation tools read whatever is listed.
@pytest.mark.parametrize(
    "made", [Point(1), Linear(1), Drafted(), Checked(1), Lazy(1), Empty(), Mutable(1), Box[int](1)]
)
def test_all_names_that_a_class_and_its_objects_list_can_be_read(made):
    for listing in ({*dir(type(made)), *vars(type(made))}, {*vars(Struct), *dir(Struct)}):
        assert [name for name in listing if not hasattr(type(made), name)] == []
    assert [name for name in dir(made) if not hasattr(made, name)] == []
    assert {*vars(made)} <= {*dir(made)} & {*dir(type(made))}


CONVERTERS = """
from __future__ import annotations
import functools
from typing import TYPE_CHECKING, Any
if TYPE_CHECKING:
    from nowhere import Missing

def untyped(value): return value
def missing(value: Missing): return value
def many(*values: float): return values

class Maker:
    def __init__(self, value: bytes): ...

class Caller:
    def __call__(self, value: list[int]): return value

    @classmethod
    def make(cls, value: dict[str, int]): return value
"""


def test_an_argument_has_the_annotation_of_its_field_or_of_what_its_converter_takes(module):
    tools = module(CONVERTERS)
    made = module(
        """
        from __future__ import annotations
        from dataclasses import InitVar
        from typing import Any, Optional
        from structkit import Static, Struct, field, static
        tools = None

        def define(converters):
            class A(Struct):
                plain: Optional[A]
                constant: Static[int]
                typed: int = field(converter=converters[0])
                named: str = static(converter=converters[1], default="")
                scale: InitVar[float] = 1.0

                def __post_init__(self, scale): ...
            return A
        Missing = bytes
        """
    )
    for converter, taken in [
        (tools.untyped, Any),
        (tools.missing, Any),
        (tools.many, float),
        (tools.Maker, bytes),
        (tools.Caller(), list[int]),
        (tools.Caller.make, dict[str, int]),
        (functools.partial(tools.many), float),
        (int, Any),
        (jnp.asarray, None),
        (lambda value: value, Any),
    ]:
        made.A = made.define([tools.Maker, converter])
        hints = typing.get_type_hints(made.A.__init__)
        parameters = inspect.signature(made.A, eval_str=True).parameters
        assert hints["plain"] == parameters["plain"].annotation == Optional[made.A]
        assert parameters["constant"].annotation == Static[int] and parameters["scale"].annotation.type is float
        assert hints["typed"] is bytes and (taken is None or hints["named"] == parameters["named"].annotation == taken)
        assert made.A.__init__.__globals__ is vars(made) and hints["return"] is type(None)


@pytest.mark.parametrize(("specifier", "fixed"), [(field, ""), (static, "static spec"), (derived, "init kw_only")])
def test_the_signature_of_a_specifier_lists_its_options(specifier, fixed):
    options = {*inspect.signature(structkit.Field).parameters} - {*fixed.split()}
    assert {*inspect.signature(specifier).parameters} == options >= {"default", "converter", "doc", "metadata"}


def test_a_field_prints_with_what_was_said_of_it():
    class A(Struct):
        x: float
        n: int = static(default=1, converter=int, doc="how many")

    assert [repr(f) for f in structkit.fields(A)] == [
        "Field(name='x', type=<class 'float'>, static=False, init=True, kw_only=False)",
        "Field(name='n', type=<class 'int'>, static=True, default=1, converter=<class 'int'>, init=True, kw_only=False,"
        " doc='how many')",
    ]


def test_is_struct_tells_structs_and_their_classes_from_everything_else():
    for struct in (Point, Point(1.0), Struct):
        assert structkit.is_struct(struct)
    for other in (3, int, None, types.new_class("A")):
        assert not structkit.is_struct(other)


def test_help_shows_the_call_the_fields_and_what_they_are_for_or_what_was_written():
    class Layer(Struct):
        weight: int = field(doc="one row for each input")
        name: str = static(default="layer")

    class Written(Layer):
        """A layer."""

    text = pydoc.render_doc(Layer, renderer=pydoc.plaintext)
    assert pydoc.getdoc(Layer) == inspect.getdoc(Layer) == Layer(1).__doc__ == Layer.__doc__
    assert "Layer(weight: int, name: str = 'layer')" in text and "weight (int): one row for each input" in text
    assert "Make a Layer from its fields." in text
    assert re.search(r"Data descriptors defined here:.*\|  weight\n \|      one row for each input", text, re.DOTALL)
    assert pydoc.getdoc(Written) == inspect.getdoc(Written) == Written(1).__doc__ == "A layer."
    Written.__doc__ = "Another."
    assert pydoc.getdoc(Written) == Written(1).__doc__ == "Another."
    assert pydoc.getdoc(StructMeta).startswith("The metaclass of `Struct`")


# What the standard library takes apart


def test_the_functions_of_dataclasses_reach_structs_inside_structs():
    made = Pair(Point(1), [Point(2)], name="a")
    assert dataclasses.is_dataclass(made) and dataclasses.is_dataclass(Pair)
    assert dataclasses.asdict(made) == {"x": {"x": 1}, "y": [{"x": 2}], "name": "a"}
    assert dataclasses.astuple(made) == ((1,), [(2,)], "a")
    assert dataclasses.asdict(Point(jnp.ones(3)))["x"].shape == (3,)
