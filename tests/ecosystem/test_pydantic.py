"""pydantic: validates into structs, which it makes without their constructor, and structs into its models."""

from typing import Any, Generic, Optional, TypeVar

import pydantic
import pytest

from structkit import Struct, field, fields
from tests.ecosystem.filled import FILLED, Checked, Hooked, Plain, assert_filled
from tests.models import Squared

T = TypeVar("T")


class Nested(Struct):
    inner: Plain
    many: list[Hooked] = field(default_factory=list)
    self: Optional["Nested"] = None


class Holder(Struct, Generic[T]):
    item: T


class Model(pydantic.BaseModel):
    plain: Plain
    hooked: Hooked = Hooked(7)


@pytest.mark.parametrize(
    ("kind", "given", "expected"),
    [
        *FILLED,
        (Plain, {"a": "1", "b": 2}, {"a": 1, "b": 2.0, "items": []}),
        (Squared, {"side": 3}, {"side": 3, "area": 9}),
        (Holder[int], {"item": "3"}, {"item": 3}),
    ],
)
def test_a_dict_becomes_a_struct(kind, given, expected):
    adapter = pydantic.TypeAdapter(kind)
    made = adapter.validate_python(given)
    assert adapter.validate_python(made) is made
    assert adapter.dump_python(made) == {f.name: expected[f.name] for f in fields(made) if f.init}
    assert_filled(made, expected, expected)


def test_nested_structs_travel_through_json():
    adapter = pydantic.TypeAdapter(Nested)
    made = adapter.validate_json('{"inner": {"a": 1}, "many": [{"a": 2}], "self": {"inner": {"a": 3, "b": 4}}}')
    assert made == Nested(Plain(1), [Hooked(2)], Nested(Plain(3, 4.0)))
    assert adapter.validate_json(adapter.dump_json(made, exclude={"many"})) == made.replace(many=[])


@pytest.mark.parametrize(
    ("kind", "given", "text"),
    [
        (Plain, {"a": "one"}, "unable to parse string as an integer"),
        (Plain, {}, "Field required"),
        (Hooked, {"a": -1}, "a is negative"),
        (Checked, {"a": -1}, "a is negative"),
        (Nested, {"inner": {"a": 1}, "many": [{"a": -1}]}, "a is negative"),
        (Model, {"plain": {"a": 1}, "hooked": {"a": "x"}}, "unable to parse string as an integer"),
    ],
)
def test_a_wrong_value_is_an_error_of_pydantics(kind, given, text):
    with pytest.raises(pydantic.ValidationError, match=text):
        pydantic.TypeAdapter(kind).validate_python(given)


def test_models_and_validated_functions_take_structs_and_dicts():
    model = Model(plain={"a": 1})
    assert model == Model(plain=Plain(1)) and model.hooked == Hooked(7)
    assert Model.model_validate_json(model.model_dump_json(exclude={"hooked"})) == model

    @pydantic.validate_call
    def function(plain: Plain, *others: Checked) -> Any:
        return plain, others

    assert function({"a": 1}, Checked(2), {"a": 3}) == (Plain(1), (Checked(2), Checked(3)))
