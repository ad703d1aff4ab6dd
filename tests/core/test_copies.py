"""Copies, pickles and references: what is made from a struct without its constructor, and how long it lives."""

import collections
import copy
import dataclasses
import functools
import gc
import os
import pickle
import sys
import types
import weakref
from typing import Any

import cloudpickle
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from structkit import Struct, field, static
from tests.models import (
    Box,
    Custom,
    Empty,
    Everything,
    Loud,
    LoudCustom,
    Model,
    Mutable,
    Pair,
    Point,
    Scaled,
    Squared,
    assert_frozen,
    collected,
    run_python,
)

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


class Delegating(Struct):
    """Every unknown attribute is looked up in `inner`, the usual wrapper."""

    inner: Any

    def __getattr__(self, name):
        return getattr(self.inner, name)


class DelegatingCustom(Delegating):
    label: str = static(default="a")

    def __init__(self, inner):
        self.inner = inner


class DelegatingWithHooks(Delegating):
    def __post_init__(self):
        self.inner = self.inner.upper()


# Trap 3 is among them: an `InitVar`, a custom `__init__` and derived fields survive.
MAKERS = {
    "plain": lambda: Pair(1),
    "nested": lambda: Model([Pair(np.ones(3)), Pair(2, (), "b"), {"a": None}], name="nested"),
    "jax arrays": lambda: Pair(Point(jnp.arange(3.0)), Pair(jnp.ones((), jnp.bfloat16))),
    "no fields": lambda: Empty(),
    "generic": lambda: Box[int](1),
    "hooks": lambda: Loud(1),
    "custom init with hooks": lambda: LoudCustom(1),
    "custom init": lambda: Custom(1, 2, 3),
    "init var, derived data and static": lambda: Everything(4.0, 3.0),
    "derived": lambda: Squared(3.0),
    "init var with a default": lambda: Scaled(1.0, 5.0),
    "delegating": lambda: Delegating("text"),
    "delegating, custom init": lambda: DelegatingCustom("text"),
    "delegating, hooks": lambda: DelegatingWithHooks("text"),
    "mutable": lambda: Mutable(1, 2),
}

COPIERS = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{f"pickle {n}": lambda struct, n=n: pickle.loads(pickle.dumps(struct, n)) for n in PROTOCOLS},
    "cloudpickle": lambda struct: cloudpickle.loads(cloudpickle.dumps(struct)),
    "tree.map": lambda struct: jax.tree.map(lambda leaf: leaf, struct),
}


@pytest.mark.parametrize("copier", COPIERS.values(), ids=COPIERS)
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_a_copy_has_the_class_values_and_structure_and_is_frozen_and_no_constructor_runs(make, copier):
    struct = make()
    Loud.marks.clear()
    LoudCustom.marks.clear()
    made = copier(struct)
    assert Loud.marks == [] and {"init", "setattr", "check", "converter"}.isdisjoint(LoudCustom.marks)
    assert made is not struct and type(made) is type(struct)
    assert made == struct and dict(vars(made)) == dict(vars(struct))
    assert jax.tree.structure(made) == jax.tree.structure(struct)
    if isinstance(struct, Delegating):
        assert made.upper() == "TEXT"
    if isinstance(struct, Mutable):
        made.x, made.n = 5, 6
        assert (vars(struct), vars(made)) == ({"x": 1, "n": 2}, {"x": 5, "n": 6})
    else:
        for name in vars(struct):
            assert_frozen(made, name)
        with pytest.raises(dataclasses.FrozenInstanceError, match=r"^cannot assign to field 'stranger'"):
            made.stranger = 2


def test_a_copy_shares_its_leaves_and_a_deep_copy_does_not():
    shared, function = [np.ones(3)], functools.partial(max, 1)
    model = Model([shared, shared], name=function)
    shallow, deep = copy.copy(model), copy.deepcopy(model)
    assert shallow.layers is model.layers
    assert deep.layers[0] is deep.layers[1] is not shared and deep.layers[0][0] is not shared[0]
    assert deep.name is function
    one, same = copy.deepcopy([model, model])
    assert one is same


class CopiesItself(Struct):
    x: Any
    y: Any
    made = []

    def __init__(self, x):
        self.x, self.y = x, 0
        self.made[:] = [copier(self) for copier in (*COPIERS.values(), lambda struct: struct.replace(y=0))]
        self.x = x + 1


def test_copies_taken_during_construction_are_finished_objects_of_their_own():
    original = CopiesItself(1)
    assert vars(original) == {"x": 2, "y": 0}
    for made in CopiesItself.made:
        assert vars(made) == {"x": 1, "y": 0}
        assert_frozen(made)


# Pickles by field name


def evolving(**fields):
    """The class `Evolving` in a module of its own, as one release of a library has it after another."""
    module = sys.modules.setdefault("evolving_module", types.ModuleType("evolving_module"))
    given = {name: value for name, value in fields.items() if value is not dataclasses.MISSING}
    namespace = {"__module__": "evolving_module", "__annotations__": dict.fromkeys(fields, Any), **given}
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


def test_a_pickle_that_lacks_a_field_without_a_default_is_refused_by_its_name():
    data = pickle.dumps(evolving(a=dataclasses.MISSING)(1))
    evolving(a=dataclasses.MISSING, b=dataclasses.MISSING)
    with pytest.raises(TypeError, match="'b' of Evolving"):
        pickle.loads(data)


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


def test_the_state_lists_the_fields_in_order_and_only_those_that_are_set():
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
    assert [list(state.items()) for state in states] == [early, [*early, ("z", 1)]]
    assert list(made.__getstate__().items()) == list(states[1].items()) == list(vars(made).items())
    assert object.__new__(Mixed).__getstate__() == {}
    made.__getstate__()["x"] = 5
    assert made.x == 2


# Classes that travel with their objects

DEFINE_AND_DUMP = """
import os, cloudpickle, jax
from typing import Any, Generic, TypeVar
from structkit import Struct, derived, field, static
T = TypeVar("T")

class Base(Struct, Generic[T]):
    x: T
    label: str = static(default="label", converter=str)

    def doubled(self):
        return self.x * 2

class Local(Base[int]):
    y: Any = field(default=3, metadata={"unit": "m"})
    z: Any = derived()

    def __post_init__(self):
        self.z = super().doubled() + 1

class Custom(Struct):
    a: Any

    def __init__(self, a):
        self.a = a

class Changing(Struct, frozen=False):
    a: Any

objects = [Local(2, "l"), Base("x"), Custom(Local(1)), Changing(1)]
cloudpickle.dump((objects, [jax.tree.structure(o) for o in objects], Local), open(os.environ["DUMP"], "wb"))
"""

LOAD_AND_USE = """
import copy, dataclasses, inspect, os, jax, pickle, structkit
objects, structures, Local = pickle.load(open(os.environ["DUMP"], "rb"))
print(*objects, sep="; ")
for o, structure in zip(objects, structures):
    assert jax.tree.structure(o) == structure
    assert jax.tree.map(lambda leaf: leaf, o) == o.replace() == copy.deepcopy(o) == o
    assert structure.unflatten(jax.tree.leaves(o)) == o
assert objects[0] == Local(2, "l") and objects[0].replace(x=3) == Local(3, "l")
print([jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(objects[0])])
print(Local.y, dataclasses.fields(Local)[2].metadata["unit"], inspect.signature(Local))
for o in objects[:3]:
    try:
        setattr(o, next(iter(vars(o))), 0)
    except dataclasses.FrozenInstanceError:
        continue
    raise SystemExit("not frozen")
objects[3].a = 2
print(jax.tree.leaves(objects[3]))
try:
    Local()
except TypeError as error:
    print(error)
"""


def test_cloudpickle_carries_classes_of_the_main_module_to_another_process(tmp_path):
    dump = os.fspath(tmp_path / "objects.pkl")
    run_python(DEFINE_AND_DUMP, DUMP=dump)
    assert run_python(LOAD_AND_USE, DUMP=dump).splitlines() == [
        "Local(x=2, label='l', y=3, z=5); Base(x='x', label='label'); "
        "Custom(a=Local(x=1, label='label', y=3, z=3)); Changing(a=1)",
        "['.x', '.y', '.z']",
        "3 m (x: ~T, label: str = 'label', y: Any = 3) -> None",
        "[2]",
        "Local.__init__() missing 1 required positional argument: 'x'",
    ]


# References and cycles


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_weak_references_follow_the_life_of_a_struct_and_of_its_copies(make):
    seen = []
    alive = [copier(make()) for copier in (lambda struct: struct, *COPIERS.values())]
    references = [weakref.ref(struct, seen.append) for struct in alive]
    weak = weakref.WeakValueDictionary(enumerate(alive))
    assert all(reference() is struct for reference, struct in zip(references, alive, strict=True))
    alive.clear()
    assert collected(references)
    assert sorted(map(id, seen)) == sorted(map(id, references)) and dict(weak) == {}


def cyclic() -> Model:
    layers: list[Any] = []
    model = Model(layers)
    layers.append(model)
    return model


def test_a_struct_in_a_reference_cycle_is_collected():
    model = cyclic()
    reference = weakref.ref(model)
    assert gc.is_tracked(model)
    del model
    assert collected([reference])


@pytest.mark.parametrize("copier", [COPIERS[name] for name in COPIERS if name not in ("copy", "tree.map")])
def test_a_deep_copy_or_pickle_of_a_cycle_is_one_cycle(copier):
    model = cyclic()
    made = copier(model)
    assert type(made) is Model and made is not model and made.layers is not model.layers
    assert made.layers[0] is made
