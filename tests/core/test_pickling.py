"""Pickles are by field name and run no constructor; weak references follow the life of a struct."""

import collections
import dataclasses
import pickle
import sys
import types
import weakref
from typing import Any

import jax
import pytest

from structkit import Struct, errors, field, static
from tests.models import (
    COPIES,
    Box,
    Checked,
    Custom,
    Lazy,
    Loud,
    LoudCustom,
    Mutable,
    Pair,
    Point,
    Scaled,
    Squared,
    assert_frozen,
    collected,
)

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def evolving(**fields):
    """The class `Evolving` in a module of its own, as one release of a library has it after another."""
    module = sys.modules.setdefault("evolving_module", types.ModuleType("evolving_module"))
    given = {name: value for name, value in fields.items() if value is not dataclasses.MISSING}
    annotations = dict.fromkeys([name for name in fields if not name.startswith("__")], Any)
    namespace = {"__module__": "evolving_module", "__annotations__": annotations, **given}
    module.Evolving = types.new_class("Evolving", (Struct,), exec_body=lambda body: body.update(namespace))
    return module.Evolving


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_pickle_loads_after_fields_were_added_with_defaults_moved_and_made_static(protocol):
    required = dataclasses.MISSING
    data = pickle.dumps(evolving(a=required, b=required, c=static())(1, 2, "c"), protocol)
    late = field(default_factory=list, kw_only=True)
    newer = evolving(a=required, c=required, b=static(), z=field(default=0), y=late)
    back = pickle.loads(data)
    assert type(back) is newer
    assert vars(back) == {"a": 1, "c": "c", "b": 2, "z": 0, "y": []}


def test_a_pickle_with_a_field_that_was_removed_or_renamed_names_it_and_loads_with_a_set_state_of_the_users():
    required = dataclasses.MISSING
    data = pickle.dumps(evolving(old=required, gone=required, s=static())(1, 2, "s"))
    evolving(new=required, s=static())
    with pytest.raises(errors.UnknownFieldError, match="Evolving has no field 'old'"):
        pickle.loads(data)

    def __setstate__(self, state):
        Struct.__setstate__(self, {"new": state["old"], "s": state["s"]})

    newer = evolving(new=required, s=static(), __setstate__=__setstate__)
    assert pickle.loads(data) == newer(1, "s")
    assert_frozen(pickle.loads(data), "new")


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"x": 1, "y": 2, "name": []}, "Pair.name cannot hold a list"),
        ({"x": 1, "nmae": "a", "y": 2}, "'nmae'.*'name'"),
        ({"x": 1, "name": "a", "y": 2, "more": 3}, "'more'"),
        ({"name": "a", "y": 2}, "'x' of Pair"),
        ({"x": 1, "name": "a", 3: 2}, "keywords must be strings"),
        (["x", "y", "name"], "must be a mapping"),
    ],
)
def test_a_state_that_does_not_fit_the_class_is_refused_and_leaves_no_struct(state, message):
    made = object.__new__(Pair)
    with pytest.raises(TypeError, match=message):
        made.__setstate__(state)
    assert repr(made) == repr(object.__new__(Pair)) == "Pair(x=<unset>, y=<unset>, name=<unset>)"
    with pytest.raises(AttributeError, match=r"Pair\.x is read before it is set"):
        made.x


def test_a_state_may_name_the_fields_in_any_order_and_be_any_mapping():
    values = {"name": "b", "y": 3, "x": 2}
    for state in (values, types.MappingProxyType(values), collections.OrderedDict(values)):
        made = object.__new__(Pair)
        made.__setstate__(state)
        assert made == Pair(2, 3, "b") and vars(made) == values
        assert jax.tree.structure(made) == jax.tree.structure(Pair(2, 3, "b"))


def test_the_state_lists_the_fields_in_order_with_a_mark_for_those_that_are_unset():
    class Mixed(Struct):
        s: Any = static()
        x: Any
        t: Any = static(default=True)
        y: Any = field(default=0, init=False)
        z: Any = field(init=False)

        def __post_init__(self):
            states.append(self.__getstate__())
            self.z = 1
            states.append(self.__getstate__())

    states = []
    made = Mixed(1.0, 2)
    early = [("s", 1.0), ("x", 2), ("t", True), ("y", 0)]
    assert [*states[0].items()][:-1] == early and repr(states[0]["z"]) == "<unset>"
    assert [*states[1].items()] == [*early, ("z", 1)]
    assert list(made.__getstate__().items()) == list(states[1].items()) == list(vars(made).items())
    assert object.__new__(Mixed).__getstate__() is None
    made.__getstate__()["x"] = 5
    assert made.x == 2


# References


@pytest.mark.parametrize("make", [Loud, LoudCustom, Point, Mutable, Checked, Squared, Scaled, Custom, Lazy, Box[float]])
def test_weak_references_follow_the_life_of_a_struct_and_of_its_copies(make):
    seen: list[Any] = []
    alive = [make(1.0), jax.tree.map(lambda leaf: leaf, make(1.0)), *(copy(make(1.0)) for copy in COPIES.values())]
    references = [weakref.ref(struct, seen.append) for struct in alive]
    weak = weakref.WeakValueDictionary(enumerate(alive))
    assert all(reference() is struct for reference, struct in zip(references, alive, strict=True))
    alive.clear()
    assert collected(references)
    assert sorted(map(id, seen)) == sorted(map(id, references)) and dict(weak) == {}
    point = Point(1)
    assert weakref.WeakKeyDictionary({point: "one"})[Point(1)] == "one"
