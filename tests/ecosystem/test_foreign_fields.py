"""What the `field`s of other libraries say is honoured in a struct, or refused; nothing is dropped in silence."""

import dataclasses
from typing import Any

import pytest

from structkit import Static, Struct, errors, fields, partition

# Package, what a body says, whether the field is static, and what the values 1 and "2" become.
HONOURED = [
    ("equinox", "x: Any = package.field()", False, [1, "2"]),
    ("equinox", "x: Any = package.field(converter=float)", False, [1.0, 2.0]),
    ("equinox", "x: Any = package.field(converter=float, static=True)", True, [1.0, 2.0]),
    ("equinox", "x: Any = package.field(converter=float, default=3)", False, [1.0, 2.0]),
    ("jax_dataclasses", "x: Any = package.static_field()", True, [1, "2"]),
    ("jax_dataclasses", "x: package.Static[Any]", True, [1, "2"]),
    ("flax.struct", "x: Any = package.field(pytree_node=False)", True, [1, "2"]),
    ("flax.struct", "x: Any = package.field(pytree_node=True)", False, [1, "2"]),
    ("jax", "x: Any = package.tree.static()", True, [1, "2"]),
    ("dataclasses", "x: Any = package.field(metadata={'converter': float})", False, [1.0, 2.0]),
    ("dataclasses", "x: Any = package.field(metadata={'converter': 'a remark', 'static': ()})", False, [1, "2"]),
]
REFUSED = [
    ("attr", "attr.ib()", "a field of attr._make"),
    ("attrs", "attrs.field(converter=float)", "a field of attr._make"),
    ("attrs", "attrs.Factory(list)", "a field of attr._make"),
    ("msgspec", "msgspec.field(default=1)", "a field of msgspec._core"),
    ("pydantic", "pydantic.Field(ge=0)", "a field of pydantic.fields"),
    ("pydantic", "pydantic.Field(default=1)", "a field of pydantic.fields"),
]


def define(package: str, body: str) -> Any:
    module = pytest.importorskip(package, reason=f"{package} is not installed")
    names = {"Any": Any, "Struct": Struct, "package": module, package: module}
    exec(f"class A(Struct):\n    {body}", names)
    return names["A"]


@pytest.mark.parametrize(("package", "body", "is_static", "values"), HONOURED)
def test_what_another_field_says_is_honoured(package, body, is_static, values):
    A = define(package, body)
    assert [f.static for f in fields(A)] == [is_static]
    made = [A(1), A("2")]
    assert [struct.x for struct in made] == values
    assert [type(struct.replace(x=1).x) for struct in made] == [type(values[0])] * 2


@pytest.mark.parametrize(("package", "default", "what"), REFUSED)
def test_a_field_that_is_not_understood_is_refused(package, default, what):
    with pytest.raises(errors.DefinitionError, match=rf"^A: 'x' has {what}, which is not understood; use structkit"):
        define(package, f"x: Any = {default}")


@pytest.mark.parametrize("maker", ["define", "frozen"])
def test_attrs_makes_no_class_of_a_struct(maker):
    attrs = pytest.importorskip("attrs", reason="attrs is not installed")

    class A(Struct):
        x: Any

    with pytest.raises(errors.DefinitionError) as error:
        getattr(attrs, maker)(A)
    assert str(error.value) == "A: is a dataclass already, made by Struct; drop the decorator of attrs"
    assert A(1).x == 1


def test_the_converter_of_a_dataclass_base_is_honoured():
    equinox = pytest.importorskip("equinox", reason="equinox is not installed")

    @dataclasses.dataclass(frozen=True)
    class Base:
        x: Any = equinox.field(converter=float)

    class A(Base, Struct):
        y: Static[Any] = equinox.field(converter=str, default=2)

    assert vars(A(1)) == {"x": 1.0, "y": "2"}
    assert vars(A(1).replace(x="3", y=4)) == {"x": 3.0, "y": "4"}


# Package, the head of a class, and what makes a field.
DATACLASSES = [
    ("flax.struct", "@package.dataclass\nclass A:", "package.field"),
    ("chex", "@package.dataclass\nclass A:", "dataclasses.field"),
    ("equinox", "class A(package.Module):", "package.field"),
    ("jax_dataclasses", "@package.pytree_dataclass\nclass A:", "dataclasses.field"),
]


@pytest.mark.parametrize(("package", "head", "maker"), DATACLASSES)
def test_partition_heeds_the_metadata_of_other_dataclasses_or_says_why_not(package, head, maker):
    module = pytest.importorskip(package, reason=f"{package} is not installed")
    names = {"Any": Any, "dataclasses": dataclasses, "package": module}
    exec(f"{head}\n    x: Any\n    y: Any = {maker}(metadata={{'trainable': False}})", names)
    tree = [names["A"](x=1, y=[2])]
    if package == "jax_dataclasses":
        with pytest.raises(errors.TreeError, match="gives JAX no names of its fields"):
            partition(tree, metadata="trainable")
    else:
        trained, frozen = partition(tree, metadata="trainable")
        assert (trained[0].x, trained[0].y, frozen[0].x, frozen[0].y) == (1, [None], None, [2])
