"""msgspec: decodes into structs, which it fills field by field, and encodes them."""

from typing import Optional

import msgspec
import pytest

from structkit import Struct
from tests.ecosystem.filled import FILLED, Checked, Hooked, Plain, assert_filled


class Nested(Struct):
    inner: Plain
    next: Optional["Nested"] = None


class Message(msgspec.Struct):
    plain: Plain
    many: list[Hooked] = []


@pytest.mark.parametrize(("kind", "given", "expected"), FILLED)
def test_a_dict_becomes_a_struct(kind, given, expected):
    made = msgspec.convert(given, kind)
    assert msgspec.json.decode(msgspec.json.encode(given), type=kind) == made
    assert msgspec.to_builtins(made, builtin_types=(tuple,)) == expected
    assert_filled(made, expected, given)


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
