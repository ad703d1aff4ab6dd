"""What a class tells about itself: its signature, documentation, source, tracebacks and qualified names."""

import dataclasses
import inspect
import linecache
import pydoc
import re
import types
from dataclasses import KW_ONLY
from typing import Any

import jax
import jax.numpy as jnp
import pytest

import structkit
from structkit import Struct, StructMeta, derived, field, static
from tests.models import Checked, Drafted, Linear, Point


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
    class A(Struct):
        x: int

        def __init__(self, x):
            self.x = x

    assert inspect.getsource(A).lstrip().startswith("class A(Struct):")
    assert inspect.getsource(A.__init__).lstrip() == "def __init__(self, x):\n            self.x = x\n"
    assert inspect.getsource(Point).startswith("class Point(Struct):")


def test_tracebacks_show_lines_of_generated_code():
    with pytest.raises(ValueError) as error:
        Checked(None)
    (generated,) = [entry for entry in error.traceback if entry.frame.code.raw is Checked.__init__.__code__]
    line = linecache.getline(generated.frame.code.raw.co_filename, generated.lineno + 1)
    assert line.strip()
    assert line in inspect.getsource(Checked.__init__)


# Documentation


def test_the_doc_of_a_class_is_its_signature_and_the_docs_of_its_fields():
    class A(Struct):
        x: int = field(doc="metres east")
        y: int = 1

    class B(A):
        z: int = 2

    assert A.__doc__ == "A(x: int, y: int = 1)\n\nFields:\n    x (int): metres east\n    y (int)"
    assert B.__doc__ == (
        "B(x: int, y: int = 1, z: int = 2)\n\nFields:\n    x (int): metres east\n    y (int)\n    z (int)"
    )
    assert A(1).__doc__ == inspect.getdoc(A) == A.__doc__


def test_the_doc_of_a_class_whose_signature_tells_all_is_its_signature():
    class A(Struct):
        x: int
        scale: Any = jnp.ones(3, jnp.float32)
        activation: Any = static(default=jax.nn.relu)

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

    assert A.__doc__ == A(1).__doc__ == "Mine."


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


def test_is_struct_tells_structs_and_their_classes_from_everything_else():
    for struct in (Point, Point(1.0), Struct):
        assert structkit.is_struct(struct)
    for other in (3, int, None, types.new_class("A")):
        assert not structkit.is_struct(other)


def test_help_shows_the_call_the_fields_and_what_they_are_for():
    class Layer(Struct):
        weight: int = field(doc="one row for each input")
        name: str = static(default="layer")

    text = pydoc.render_doc(Layer, renderer=pydoc.plaintext)
    assert pydoc.getdoc(Layer) == Layer.__doc__ == Layer(1).__doc__
    assert "Layer(weight: int, name: str = 'layer')" in text and "weight (int): one row for each input" in text
    assert "Make a Layer from its fields." in text
    assert re.search(r"Data descriptors defined here:.*\|  weight\n \|      one row for each input", text, re.DOTALL)


def test_a_written_doc_is_kept_and_can_be_set():
    class Layer(Struct):
        """A layer."""

        weight: int

    assert pydoc.getdoc(Layer) == inspect.getdoc(Layer) == Layer(1).__doc__ == "A layer."
    Layer.__doc__ = "Another."
    assert pydoc.getdoc(Layer) == Layer(1).__doc__ == "Another."
    assert pydoc.getdoc(StructMeta).startswith("The metaclass of `Struct`")
