"""Users choose the names of fields and classes: every name works in every kind of class, or is refused."""

import ast
import builtins
import copy
import dataclasses
import inspect
import pickle
import types
from typing import Any

import jax
import pytest

from structkit import Static, Struct, at, construct, derived, errors, field, replace, static
from tests.models import Checked, Drafted, Everything, Linear, assert_frozen, names


class Mangled(Struct):
    __x: Any
    __y: Any = static(default=2)

    def total(self):
        return self.__x + self.__y

    def doubled(self):
        return self.replace(_Mangled__x=2 * self.__x)


# Names that the generated code of some class uses itself.
MACHINERY = {
    name
    for cls in (Mangled, Linear, Checked, Everything, Drafted)
    for node in ast.walk(ast.parse(inspect.getsource(cls.__init__)))
    for name in ([node.id] if isinstance(node, ast.Name) else [node.arg] if isinstance(node, ast.arg) else [])
    if not name.startswith("_Mangled")
}
BUILTINS = {name for name in dir(builtins) if name.isidentifier() and name.islower() and not name.startswith("_")}
METHODS = {name for name in dir(Struct) if not name.startswith("_")}
AWKWARD = """
    self cls self_ cls_ values keys items default field type at children aux match case args kwargs struct other changes
    memo tree name spec shape dtype T get set apply copy count index statics begin begin_ finish default_x Awkward
    Struct BaseException x_ _ _x _0 _class _private _node _steps __x __name__x größe naïve θ π_2 实例 été
"""
NAMES = sorted({*AWKWARD.split(), *MACHINERY, *BUILTINS, *METHODS} - {"x"})


def awkward_class(name, kind):
    """A class `Awkward` with the fields `x` and one of the name."""
    values = {
        "static": static(kw_only=True),
        "default": 1,
        "factory": field(default_factory=lambda: 1),
        "converted": field(converter=lambda value: value, default=1),
        "derived": derived(),
    }
    body = {
        "__annotations__": {"x": object, name: object},
        "x": field(default_factory=lambda: 1, converter=int),
        name: values.get(kind, field(kw_only=True)),
    }

    def __init__(self, /, x=1, **given):
        self.x = x
        setattr(self, name, given[name])

    def __post_init__(self):
        setattr(self, name, 1 if kind == "derived" else getattr(self, name))

    def __check_init__(self):
        getattr(self, name)

    if kind == "custom":
        body["__init__"] = __init__
    if kind in ("post_init", "derived"):
        body["__post_init__"] = __post_init__
    if kind == "checked":
        body["__check_init__"] = __check_init__
    return types.new_class("Awkward", (Struct,), {}, lambda namespace: namespace.update(body))


def check_name(name, kind):
    A = awkward_class(name, kind)
    a = A() if kind in ("default", "factory", "converted", "derived") else A(**{name: 1})
    same = jax.tree.map(lambda leaf: leaf, a)
    assert vars(a) == {"x": 1, name: 1}
    assert getattr(a, name) == 1
    assert repr(a) == f"Awkward(x=1, {name}=1)"
    assert a == same == copy.deepcopy(a)
    assert hash(a) == hash(same)
    assert vars(construct(A, **{"x": 2, name: 3})) == {"x": 2, name: 3}
    place = at(a, lambda tree: getattr(tree, name))
    assert (place.get(), vars(place.set(4))) == (1, {"x": 1, name: 4})
    if kind != "derived":
        assert vars(A(**{name: 5})) == {"x": 1, name: 5}
        assert vars(replace(a, **{name: 6})) == {"x": 1, name: 6}
        assert name == "replace" or vars(a.replace(**{name: 6})) == {"x": 1, name: 6}
        if kind != "custom":
            assert vars(dataclasses.replace(a, **{name: 7})) == {"x": 1, name: 7}
    assert_frozen(a, name)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_users_choose_is_a_field_in_every_kind_of_class(name):
    for kind in ("data", "static", "default", "factory", "converted", "derived", "post_init", "checked", "custom"):
        check_name(name, kind)


def test_all_awkward_names_live_in_one_class():
    annotations = dict.fromkeys(NAMES, int)
    A = types.new_class("Awkward", (Struct,), {}, lambda ns: ns.update(__annotations__=annotations))
    a = A(*range(len(NAMES)))
    assert vars(a) == {name: i for i, name in enumerate(NAMES)}
    assert a == A(**vars(a))


@pytest.mark.parametrize("name", ["__dunder__", "__flat__", "__init__", "__class__", "class", "None", "not a name", ""])
def test_a_name_with_a_meaning_to_python_or_none_at_all_is_refused_as_a_field(name):
    with pytest.raises(errors.DefinitionError) as error:
        types.new_class("A", (Struct,), {}, lambda namespace: namespace.update(__annotations__={name: int}))
    assert str(error.value) == f"A: {name!r} cannot be a field's name; choose another name"


def test_a_method_with_the_name_of_a_field_of_the_same_body_is_refused():
    with pytest.raises(errors.DefinitionError, match=r"^A: 'x' is a field and a method of the same body; rename one "):

        class A(Struct):
            x: int

            @property
            def x(self):
                return 1


@pytest.mark.parametrize(
    "name", ["class", "None", "not a name", "self", "x", "n", "type", "Struct", *sorted(MACHINERY)]
)
def test_a_class_may_have_any_name(name):
    body = {"__annotations__": {"x": int, "n": Static[int]}}
    A = types.new_class(name, (Struct,), {}, lambda namespace: namespace.update(body))
    assert vars(A(1, 2.5)) == {"x": 1, "n": 2.5}
    assert repr(A(1, 2.5)) == f"{name}(x=1, n=2.5)"


# Names with two leading underscores are mangled, as everywhere.


def test_mangled_fields_work_and_those_of_parent_and_child_do_not_meet():
    class _Child(Mangled):
        __x: Any = 10

        def __init__(self, x):
            super().__init__(x)
            self.__x = self.__x + 1

        def own(self):
            return self.__x

    a, child = Mangled(1), _Child(1)
    assert names(_Child) == [*names(Mangled), "_Child__x"] == ["_Mangled__x", "_Mangled__y", "_Child__x"]
    assert str(inspect.signature(Mangled)).startswith("(_Mangled__x: Any, _Mangled__y")
    assert (a.total(), a.doubled().total(), child.own(), child.total()) == (3, 4, 11, 3)
    assert repr(a) == "Mangled(_Mangled__x=1, _Mangled__y=2)"
    assert pickle.loads(pickle.dumps(a)) == a
    assert jax.tree.leaves(child) == [1, 11]
    assert_frozen(a, "_Mangled__x")
