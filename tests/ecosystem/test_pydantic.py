"""pydantic: validates into structs, which it makes without their constructor, and structs into its models."""

from typing import Any, Generic, Optional, TypeVar

import jax
import pydantic
import pytest

from structkit import Static, Struct, derived, errors, field, fields
from tests.ecosystem.filled import Checked, Converted, Mutable, Nothing

T = TypeVar("T")


class Plain(Struct):
    a: int
    b: float = 5.0


class Hooked(Struct):
    a: int
    doubled: int = derived()
    label: Static[str] = "l"

    def __post_init__(self):
        self.doubled = 2 * self.a

    __check_init__ = Checked.__check_init__


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
        (Plain, {"a": 1}, {"a": 1, "b": 5.0}),
        (Plain, {"a": "1", "b": 2}, {"a": 1, "b": 2.0}),
        (Hooked, {"a": 3}, {"a": 3, "doubled": 6, "label": "l"}),
        (Checked, {"a": 3}, {"a": 3}),
        # What pydantic has validated is taken as it is.
        (Converted, {"a": 1, "shape": [2, 3]}, {"a": 1, "shape": (2, 3)}),
        (Holder[int], {"item": "3"}, {"item": 3}),
        (Mutable, {"a": 1}, {"a": 1, "b": 2}),
        (Nothing, {}, {}),
    ],
)
def test_a_dict_becomes_a_struct(kind, given, expected):
    adapter = pydantic.TypeAdapter(kind)
    made = adapter.validate_python(given)
    assert vars(made) == expected
    assert vars(jax.tree.map(lambda leaf: leaf, made)) == expected
    assert adapter.validate_python(made) is made
    assert adapter.dump_python(made) == {f.name: expected[f.name] for f in fields(made) if f.init}
    if kind is Mutable:
        made.a = 4
        assert made.a == 4
    for name in vars(made) if kind is not Mutable else ():
        with pytest.raises(errors.FrozenInstanceError):
            object.__setattr__(made, name, 1)


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
