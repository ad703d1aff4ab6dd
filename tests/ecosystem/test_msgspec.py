"""msgspec: decodes into structs, which it fills field by field, and encodes them."""

from typing import Optional

import jax
import msgspec
import pytest

from structkit import Static, Struct, errors, field
from tests.ecosystem.filled import Checked, Converted, Mutable, Nothing


class Plain(Struct):
    a: int
    b: float = 5.0
    items: list[int] = field(default_factory=list)


class Hooked(Struct):
    a: int
    label: Static[str] = "l"

    def __post_init__(self):
        self.label = self.label * 2

    __check_init__ = Checked.__check_init__


class Nested(Struct):
    inner: Plain
    next: Optional["Nested"] = None


class Message(msgspec.Struct):
    plain: Plain
    many: list[Hooked] = []


@pytest.mark.parametrize(
    ("kind", "given", "expected"),
    [
        (Plain, {"a": 1}, {"a": 1, "b": 5.0, "items": []}),
        (Plain, {"items": [1], "b": 2, "a": 1}, {"a": 1, "b": 2.0, "items": [1]}),
        (Hooked, {"a": 3}, {"a": 3, "label": "ll"}),
        (Checked, {"a": 3}, {"a": 3}),
        # What msgspec has validated is taken as it is.
        (Converted, {"a": 1, "shape": [2, 3]}, {"a": 1, "shape": (2, 3)}),
        (Mutable, {"a": 1}, {"a": 1, "b": 2}),
        (Nothing, {}, {}),
    ],
)
def test_a_dict_becomes_a_struct(kind, given, expected):
    made = msgspec.convert(given, kind)
    assert vars(made) == expected
    assert vars(jax.tree.map(lambda leaf: leaf, made)) == expected
    assert msgspec.json.decode(msgspec.json.encode(given), type=kind) == made
    assert msgspec.to_builtins(made, builtin_types=(tuple,)) == expected
    if kind is Mutable:
        made.a = 4
        assert made.a == 4
    for name in given if kind is not Mutable else ():
        with pytest.raises(errors.FrozenInstanceError):
            object.__setattr__(made, name, 1)


@pytest.mark.parametrize("library", ["json", "msgpack"])
def test_nested_structs_and_structs_in_messages_travel(library):
    codec = getattr(msgspec, library)
    nested = Nested(Plain(1), Nested(Plain(2, 3.0, [4])))
    assert codec.decode(codec.encode(nested), type=Nested) == nested
    message = Message(Plain(1), [Hooked(2)])
    assert codec.decode(codec.encode({"plain": {"a": 1}, "many": [{"a": 2}]}), type=Message) == message
    assert codec.decode(codec.encode(message))["plain"] == {"a": 1, "b": 5.0, "items": []}


@pytest.mark.parametrize(
    ("kind", "given", "text"),
    [
        (Plain, {"a": "one"}, r"Expected `int`, got `str` - at `\$.a`"),
        (Plain, {}, "missing required field `a`"),
        (Hooked, {"a": -1}, "a is negative"),
        (Checked, {"a": -1}, "a is negative"),
        (Message, {"plain": {"a": 1}, "many": [{"a": -1}]}, r"a is negative - at `\$.many\[0\]`"),
    ],
)
def test_a_wrong_value_is_an_error_of_msgspecs(kind, given, text):
    with pytest.raises(msgspec.ValidationError, match=text):
        msgspec.convert(given, kind)
