"""Aliases of fields: what a class may say."""

import copy
import dataclasses
import pickle
from typing import Any

import pytest

from structkit import Struct, derived, field, fields, static, struct
from structkit.errors import DefinitionError


class Aliased(Struct):
    a: Any = field(aliases=("x", "y"))
    b: Any = static(default=1, aliases=("z",))
    c: Any = derived(default=1, aliases=("w",))


def test_fields_have_their_aliases_in_subclasses_and_copies_too():
    class Child(Aliased):
        pass

    for cls in (Aliased, Child):
        assert [f.aliases for f in fields(cls)] == [("x", "y"), ("z",), ("w",)]
    assert [f.aliases for f in dataclasses.fields(Child)] == [("x", "y"), ("z",), ("w",)]
    for remade in (copy.copy, lambda f: pickle.loads(pickle.dumps(f))):
        assert remade(fields(Aliased)[0]).aliases == ("x", "y")
    assert "aliases=('x', 'y')" in repr(fields(Aliased)[0])


def test_a_field_says_nothing_of_aliases_without_any():
    class Plain(Struct):
        a: Any
        b: Any = field()

    assert [f.aliases for f in fields(Plain)] == [(), ()]
    assert "aliases" not in repr(fields(Plain))


BAD = {
    "'a' is a field and an alias of 'b'; rename the field, or drop the alias": {"a": Any, "b": ("a",)},
    "'b' is a field and an alias of 'b'; rename the field, or drop the alias": {"b": ("b",)},
    "'x' is an alias of 'a' and of 'b'; leave it to one of them": {"a": ("x",), "b": ("x",)},
    "the aliases of 'a' are no tuple of names; write aliases=(\"old_name\",)": {"a": "old"},
    "the aliases of 'b' are no tuple of names; write aliases=(\"old_name\",)": {"b": (1,)},
}


@pytest.mark.parametrize("text", BAD)
def test_aliases_that_leave_open_which_field_is_meant_are_refused(text):
    body = {"__annotations__": dict.fromkeys(BAD[text], Any)}
    body |= {name: field(aliases=aliases) for name, aliases in BAD[text].items() if aliases is not Any}
    with pytest.raises(DefinitionError) as caught:
        type("Bad", (Struct,), body)
    assert str(caught.value) == f"Bad: {text}"
    with pytest.raises(DefinitionError, match="alias"):
        struct.dataclass(type("Bad", (), body))


def test_a_field_of_a_parent_counts():
    with pytest.raises(DefinitionError, match="'a' is a field and an alias of 'd'"):
        type("Child", (Aliased,), {"__annotations__": {"d": Any}, "d": field(default=1, aliases=("a",))})
