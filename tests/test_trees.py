"""Structs as pytree nodes: children, key paths, structures, unflatten, copies, pickles, references."""

import collections
import copy
import dataclasses
import functools
import gc
import os
import pickle
import subprocess
import sys
import textwrap
import types
import weakref
from typing import Any, Generic, TypeVar

import cloudpickle
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from structkit import Struct, derived, field, static

T = TypeVar("T")
PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


class Linear(Struct):
    weight: Any
    name: str = static(default="linear")
    bias: Any = None


class Twin(Struct):
    weight: Any
    name: str = static(default="linear")
    bias: Any = None


class Child(Linear):
    pass


class Model(Struct):
    layers: Any
    depth: int = static(default=0)


class Empty(Struct):
    pass


class OnlyStatics(Struct):
    a: int = static(default=1)
    b: str = static(default="b")


class Wrapped(Struct, Generic[T]):
    value: T


class Mutable(Struct, frozen=False):
    x: Any
    n: int = static(default=0)


class Loud(Struct):
    """Every hook of the user's leaves a mark when it runs."""

    x: Any = field(converter=lambda value: Loud.mark("converter", value))
    y: Any = field(default_factory=lambda: Loud.mark("factory", 0), kw_only=True)
    z: Any = derived()
    label: str = static(default="a", converter=lambda value: Loud.mark("static converter", value))

    marks = []

    @staticmethod
    def mark(what: str, value: Any = None) -> Any:
        Loud.marks.append(what)
        return value

    def __post_init__(self):
        self.z = Loud.mark("post_init", 1)

    def __check_init__(self):
        Loud.mark("check")


class Custom(Struct):
    x: Any
    y: Any
    calls = []

    def __new__(cls, *args, **kwargs):
        Custom.calls.append("new")
        return super().__new__(cls)

    def __init__(self, both):
        Custom.calls.append("init")
        self.x = self.y = both

    def __setattr__(self, name, value):
        Custom.calls.append("setattr")
        super().__setattr__(name, value)

    def __getattr__(self, name):
        Custom.calls.append("getattr")
        raise AttributeError(name)


def struct_keys(tree):
    return [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(tree)]


def test_children_are_the_data_fields_in_declaration_order():
    linear = Linear(weight=1, bias=2, name="n")
    assert jax.tree.leaves(linear) == [1, 2]
    assert struct_keys(linear) == [".weight", ".bias"]


def test_inherited_fields_come_first_and_keep_their_place_when_declared_anew():
    class Wider(Linear):
        scale: Any = 4
        weight: Any = 5

    assert jax.tree.leaves(Wider(bias=2)) == [5, 2, 4]
    assert struct_keys(Wider(bias=2)) == [".weight", ".bias", ".scale"]


def test_key_paths_are_attribute_keys_at_every_depth():
    model = Model([{"a": Linear(1, bias=2)}, (Linear(3, bias=4),)])
    paths = [path for path, _ in jax.tree_util.tree_leaves_with_path(model)]
    assert paths[0] == (
        jax.tree_util.GetAttrKey("layers"),
        jax.tree_util.SequenceKey(0),
        jax.tree_util.DictKey("a"),
        jax.tree_util.GetAttrKey("weight"),
    )
    assert struct_keys(model) == [
        ".layers[0]['a'].weight",
        ".layers[0]['a'].bias",
        ".layers[1][0].weight",
        ".layers[1][0].bias",
    ]


def test_key_paths_reach_the_errors_of_jax():
    with pytest.raises(ValueError, match=r"x\.layers\[0\]\.weight"):
        jax.vmap(lambda x: x)(Model([Linear(jnp.ones(3), bias=jnp.ones(2))]))
    with pytest.raises(TypeError, match=r"model\.layers\[0\]\.weight"):
        jax.jit(lambda model: model)(Model([Linear("text")]))


def test_flattening_one_level_gives_the_children_themselves():
    inner = Linear(1)
    keys, children = zip(*jax.tree_util.default_registry.flatten_one_level_with_keys(Model(inner))[0], strict=True)
    assert keys == (jax.tree_util.GetAttrKey("layers"),)
    assert children[0] is inner


def test_map_with_path_and_is_leaf_see_structs():
    model = Model([Linear(1), Linear(2)])
    named = jax.tree_util.tree_map_with_path(lambda path, leaf: jax.tree_util.keystr(path), model)
    assert named == Model([Linear(".layers[0].weight"), Linear(".layers[1].weight")])
    counted = jax.tree.map(lambda node: "linear", model, is_leaf=lambda node: isinstance(node, Linear))
    assert counted == Model(["linear", "linear"])


def test_structures_of_different_classes_are_never_equal():
    trees = [Linear(1), Twin(1), Child(1), Model(1), Wrapped(1), Empty(), OnlyStatics(), (1,), None, {"weight": 1}]
    structures = [jax.tree.structure(tree) for tree in trees]
    for i, a in enumerate(structures):
        for j, b in enumerate(structures):
            assert (a == b) is (i == j), (trees[i], trees[j])
            assert (a != b) is (i != j)


def test_a_class_defined_again_has_another_structure():
    def define():
        class Again(Struct):
            x: Any

        return Again

    first, second = define(), define()
    assert jax.tree.structure(first(1)) != jax.tree.structure(second(1))
    with pytest.raises(ValueError, match="Again"):
        jax.tree.map(lambda a, b: a, first(1), second(1))


def test_branches_of_cond_that_return_two_classes_are_refused():
    with pytest.raises(TypeError):
        jax.lax.cond(True, lambda x: Linear(x), lambda x: Twin(x), 1.0)


def test_a_parametrized_class_has_the_structure_of_the_bare_one():
    assert jax.tree.structure(Wrapped[int](1)) == jax.tree.structure(Wrapped(1))


def test_statics_are_part_of_the_structure():
    assert jax.tree.structure(Linear(1, "a")) == jax.tree.structure(Linear(2, "a"))
    assert jax.tree.structure(Linear(1, "a")) != jax.tree.structure(Linear(1, "b"))
    assert hash(jax.tree.structure(Linear(1, "a"))) == hash(jax.tree.structure(Linear(2, "a")))
    assert jax.tree.structure(OnlyStatics(1)) != jax.tree.structure(OnlyStatics(True))


def test_unflatten_runs_no_code_of_the_class():
    loud = Loud(1)
    treedef = jax.tree.structure(loud)
    Loud.marks.clear()
    back = jax.tree.unflatten(treedef, [7, 8, 9])
    jax.tree.map(lambda leaf: leaf, loud)
    jax.tree_util.tree_map_with_path(lambda path, leaf: leaf, loud)
    jax.jit(lambda tree: tree)(loud)
    jax.eval_shape(lambda tree: tree, loud)
    jax.vmap(lambda tree: tree)(jax.tree.map(lambda leaf: jnp.ones(2), loud))
    copy.copy(loud), copy.deepcopy(loud)
    assert Loud.marks == []
    assert (back.x, back.y, back.z, back.label) == (7, 8, 9, "a")


def test_unflatten_runs_no_custom_constructor_and_no_attribute_hook():
    custom = Custom(1)
    treedef = jax.tree.structure(custom)
    Custom.calls.clear()
    back = jax.tree.unflatten(treedef, [2, 3])
    assert Custom.calls == []
    assert (back.x, back.y) == (2, 3)
    assert Custom.calls == []


def placeholders():
    mesh = jax.make_mesh((1,), ("x",), devices=jax.devices()[:1])
    return [
        None,
        0,
        object(),
        "text",
        ...,
        [],
        (),
        {},
        jax.ShapeDtypeStruct((3,), jnp.float32),
        PartitionSpec("x"),
        NamedSharding(mesh, PartitionSpec("x")),
        jax.devices()[0],
        np.ones(3),
        jnp.ones(3),
        Linear,
        Linear(1),
        float("nan"),
    ]


@pytest.mark.parametrize("i", range(len(placeholders())))
def test_unflatten_accepts_anything(i):
    child = placeholders()[i]
    made = jax.tree.unflatten(jax.tree.structure(Linear(1)), [child])
    assert made.weight is child
    assert made.bias is None and made.name == "linear"
    assert isinstance(repr(made), str)
    custom = jax.tree.unflatten(jax.tree.structure(Custom(1)), [child, child])
    assert custom.x is child and custom.y is child


def test_unflatten_accepts_tracers():
    @jax.jit
    def through(x):
        made = jax.tree.unflatten(jax.tree.structure(Linear(1)), [x])
        assert made.weight is x and isinstance(made.weight, jax.core.Tracer)
        return made

    assert through(jnp.ones(2)) == Linear(jnp.ones(2))


def test_unflatten_checks_the_number_of_children():
    with pytest.raises(ValueError):
        jax.tree.unflatten(jax.tree.structure(Linear(1)), [1, 2])


def test_none_and_empty_containers_survive_the_round_trip():
    for value in (None, (), [], {}, Empty(), (None, ()), {"a": None}):
        linear = Linear(1, bias=value)
        leaves, treedef = jax.tree.flatten(linear)
        assert leaves == [1]
        back = jax.tree.unflatten(treedef, leaves)
        assert back == linear and type(back.bias) is type(value)
        assert jax.jit(lambda tree: tree)(linear).bias == value
    structures = {jax.tree.structure(Linear(1, bias=value)) for value in (None, (), [], {}, Empty())}
    assert len(structures) == 5


def test_a_none_field_is_not_the_structure_of_a_set_one():
    assert jax.tree.structure(Linear(1)) != jax.tree.structure(Linear(1, bias=2))


def test_structs_without_data_or_without_fields_are_nodes():
    for tree in (Empty(), OnlyStatics(), OnlyStatics(2, "c")):
        leaves, treedef = jax.tree.flatten(tree)
        assert leaves == []
        assert jax.tree.unflatten(treedef, []) == tree
        assert jax.jit(lambda x: x)(tree) == tree


def test_prefixes_broadcast_into_structs():
    model = Model([Linear(jnp.ones((2, 3)), bias=jnp.ones(2))])
    out = jax.vmap(lambda m: m.layers[0].weight.sum() + m.layers[0].bias, in_axes=(Model(0),))(model)
    assert out.shape == (2,)
    out = jax.vmap(lambda m: m.layers[0].weight.sum(), in_axes=(Model([Linear(0, bias=None)]),))(model)
    assert out.shape == (2,)
    with pytest.raises(ValueError):
        jax.vmap(lambda m: m, in_axes=(Twin(0),))(model)


def test_a_treedef_pickles_and_compares_equal_afterwards():
    for tree in (Linear(1), Model([Linear(1), Linear(2, "b", 3)]), Empty(), OnlyStatics(True, "c"), Wrapped[int](1)):
        treedef = jax.tree.structure(tree)
        for protocol in PROTOCOLS[2:]:
            back = pickle.loads(pickle.dumps(treedef, protocol))
            assert back == treedef and hash(back) == hash(treedef)
            assert back.unflatten(jax.tree.leaves(tree)) == tree


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_instances_pickle_with_every_protocol(protocol):
    for tree in (
        Linear(1),
        Model([Linear(np.ones(3)), Linear(2, "b", None)], depth=2),
        Empty(),
        OnlyStatics(True, "c"),
        Wrapped[int](1),
        Loud(1),
        Custom(1),
        Mutable(1, 2),
    ):
        back = pickle.loads(pickle.dumps(tree, protocol))
        assert type(back) is type(tree)
        assert back == tree and vars(back) == vars(tree)
        assert jax.tree.structure(back) == jax.tree.structure(tree)


def test_instances_with_jax_arrays_pickle():
    linear = Linear(jnp.arange(3.0), bias=jnp.ones((), jnp.bfloat16))
    back = pickle.loads(pickle.dumps(linear))
    assert back == linear and isinstance(back.weight, jax.Array)


def test_copies_share_leaves_and_deep_copies_do_not():
    array = np.ones(3)
    model = Model([Linear(array)])
    shallow, deep = copy.copy(model), copy.deepcopy(model)
    assert shallow is not model and shallow.layers is model.layers
    assert deep.layers is not model.layers and deep.layers[0].weight is not array
    assert shallow == model and deep == model


def test_deep_copies_keep_statics_and_shared_references():
    function = functools.partial(max, 1)
    shared = [1]
    model = Model([shared, shared], depth=function)
    deep = copy.deepcopy(model)
    assert deep.depth is function
    assert deep.layers[0] is deep.layers[1] and deep.layers[0] is not shared
    assert jax.tree.structure(deep) == jax.tree.structure(model)
    same = Linear(1)
    pair = copy.deepcopy([same, same])
    assert pair[0] is pair[1]


def test_every_kind_of_copy_is_frozen():
    for original in (Linear(1), Custom(1), Loud(1)):
        name = next(iter(vars(original)))
        copies = [original, copy.copy(original), copy.deepcopy(original), original.replace()]
        copies += [pickle.loads(pickle.dumps(original)), cloudpickle.loads(cloudpickle.dumps(original))]
        copies += [jax.tree.map(lambda x: x, original)]
        for made in copies:
            with pytest.raises(dataclasses.FrozenInstanceError, match=f"^cannot assign to field '{name}'"):
                setattr(made, name, 2)
            with pytest.raises(dataclasses.FrozenInstanceError, match=f"^cannot assign to field '{name}'"):
                object.__setattr__(made, name, 2)
            with pytest.raises(dataclasses.FrozenInstanceError, match=r"^cannot assign to field 'stranger'"):
                made.stranger = 2
            with pytest.raises(dataclasses.FrozenInstanceError, match=r"^cannot delete"):
                delattr(made, name)


def test_the_state_of_a_finished_struct_cannot_be_set_again():
    linear = Linear(1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        linear.__setstate__({"weight": 2, "name": "b", "bias": 3})
    assert linear == Linear(1)


def test_copies_of_a_mutable_struct_are_independent():
    original = Mutable([1], 2)
    for made in (copy.copy(original), pickle.loads(pickle.dumps(original)), jax.tree.map(lambda x: x, original)):
        made.x = 5
        made.n = 6
        assert (original.x, original.n) == ([1], 2)
        assert (made.x, made.n) == (5, 6)


def test_a_treedef_of_a_mutable_struct_does_not_change_with_it():
    made = Mutable(1, 2)
    before = jax.tree.structure(made)
    leaves = jax.tree.leaves(made)
    made.n = 3
    made.x = 9
    assert before.unflatten(leaves).n == 2 and before.unflatten(leaves).x == 1
    assert before != jax.tree.structure(made)
    assert before == jax.tree.structure(Mutable(5, 2))


def evolving(**fields):
    """The class `Evolving` in a module of its own, as one release of a library has it after another."""
    module = sys.modules.setdefault("evolving_module", types.ModuleType("evolving_module"))

    def body(namespace):
        namespace["__module__"] = "evolving_module"
        namespace["__annotations__"] = dict.fromkeys(fields, Any)
        namespace.update({name: value for name, value in fields.items() if value is not dataclasses.MISSING})

    module.Evolving = types.new_class("Evolving", (Struct,), exec_body=body)
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
        ({"weight": 1, "name": [], "bias": 2}, "Linear.name cannot hold a list"),
        ({"weight": 1, "name": "a", "bais": 2}, "'bais'.*'bias'"),
        ({"weight": 1, "name": "a", "bias": 2, "more": 3}, "'more'"),
        ({"name": "a", "bias": 2}, "'weight' of Linear"),
        ({"weight": 1, "name": "a", 3: 2}, "keywords must be strings"),
        (["weight", "name", "bias"], "must be a mapping"),
    ],
)
def test_a_state_that_does_not_fit_the_class_is_refused_and_leaves_no_struct(state, message):
    made = object.__new__(Linear)
    with pytest.raises(TypeError, match=message):
        made.__setstate__(state)
    assert repr(made) == repr(object.__new__(Linear))


def test_a_state_may_name_the_fields_in_any_order_and_be_any_mapping():
    values = {"bias": 3, "name": "b", "weight": 2}
    for state in (values, types.MappingProxyType(values), collections.OrderedDict(values)):
        made = object.__new__(Linear)
        made.__setstate__(state)
        assert made == Linear(2, "b", 3) and vars(made) == values
        assert jax.tree.structure(made) == jax.tree.structure(Linear(2, "b", 3))


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
    assert [list(state.items()) for state in states] == [
        [("s", 1.0), ("x", 2), ("t", True), ("y", 0)],
        [("s", 1.0), ("x", 2), ("t", True), ("y", 0), ("z", 1)],
    ]
    assert list(made.__getstate__().items()) == list(states[1].items()) == list(vars(made).items())
    assert object.__new__(Mixed).__getstate__() == {}
    made.__getstate__()["x"] = 5
    assert made.x == 2


def test_loading_a_pickle_runs_no_constructor():
    data = pickle.dumps(Loud(1))
    Loud.marks.clear()
    back = pickle.loads(data)
    assert Loud.marks == [] and back.x == 1
    data = pickle.dumps(Custom(1))
    Custom.calls.clear()
    back = pickle.loads(data)
    assert "init" not in Custom.calls and "setattr" not in Custom.calls and back.x == 1


def run_python(code: str, *arguments: str, folder: Any = None) -> str:
    """What a new interpreter prints that runs `code` and sees what this one can import."""
    path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
    found = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code), *arguments],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        cwd=folder,
    )
    assert found.returncode == 0, found.stderr
    return found.stdout.strip()


DEFINE = """
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
"""


def test_cloudpickle_carries_classes_of_the_main_module_to_another_process(tmp_path):
    target = str(tmp_path / "objects.pkl")
    run_python(
        DEFINE
        + """
import sys, cloudpickle, jax
objects = [Local(2, "l"), Base("x"), Custom(Local(1)), Changing(1)]
cloudpickle.dump((objects, [jax.tree.structure(o) for o in objects], Local), open(sys.argv[1], "wb"))
        """,
        target,
        folder=tmp_path,
    )
    shown = run_python(
        """
import sys, cloudpickle, copy, dataclasses, inspect, jax, pickle
objects, structures, Local = cloudpickle.load(open(sys.argv[1], "rb"))
assert [repr(o) for o in objects] == [
    "Local(x=2, label='l', y=3, z=5)", "Base(x='x', label='label')",
    "Custom(a=Local(x=1, label='label', y=3, z=3))", "Changing(a=1)"], objects
for o, structure in zip(objects, structures):
    assert jax.tree.structure(o) == structure
    assert jax.tree.map(lambda leaf: leaf, o) == o
    assert o.replace() == o and copy.deepcopy(o) == o
    assert structure.unflatten(jax.tree.leaves(o)) == o
assert objects[0] == Local(2, "l") and isinstance(objects[0], Local)
assert objects[0].replace(x=3) == Local(3, "l")
assert [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(objects[0])] == [".x", ".y", ".z"]
assert Local.y == 3 and dataclasses.fields(Local)[2].metadata["unit"] == "m"
assert str(inspect.signature(Local)) == "(x: ~T, label: str = 'label', y: Any = 3) -> None", inspect.signature(Local)
for o in objects[:3]:
    try:
        setattr(o, next(iter(vars(o))), 0)
    except dataclasses.FrozenInstanceError:
        continue
    raise SystemExit("not frozen")
objects[3].a = 2
assert jax.tree.leaves(objects[3]) == [2]
try:
    Local()
except TypeError as error:
    assert "Local.__init__() missing 1 required positional argument: 'x'" in str(error), error
print("loaded")
        """,
        target,
        folder=tmp_path,
    )
    assert shown == "loaded"


def test_cloudpickle_carries_a_class_defined_in_a_function_within_one_process():
    def define():
        class Inner(Struct):
            x: Any
            n: int = static(default=1)

            def __check_init__(self):
                assert self.n > 0

        return Inner

    made = define()(1)
    back = cloudpickle.loads(cloudpickle.dumps(made))
    assert repr(back) == "Inner(x=1, n=1)"
    assert jax.tree.leaves(back) == [1]
    with pytest.raises(dataclasses.FrozenInstanceError):
        back.x = 2


def test_weak_references_follow_the_life_of_a_struct():
    for make in (Linear, Custom, Loud, Mutable, lambda x: copy.copy(Linear(x)), lambda x: jax.tree.map(abs, Linear(x))):
        made = make(1)
        reference = weakref.ref(made)
        assert reference() is made
        del made
        gc.collect()
        assert reference() is None


def test_structs_are_keys_of_weak_dictionaries():
    linear = Linear(1)
    names = weakref.WeakKeyDictionary({linear: "one"})
    assert names[Linear(1)] == "one"


def cyclic() -> Model:
    layers: list[Any] = []
    model = Model(layers)
    layers.append(model)
    return model


def test_a_struct_in_a_reference_cycle_is_collected():
    model = cyclic()
    reference = weakref.ref(model)
    del model
    gc.collect()
    assert reference() is None


def test_a_deep_copy_of_a_cycle_is_one_cycle():
    model = cyclic()
    deep = copy.deepcopy(model)
    assert deep is not model and deep.layers is not model.layers
    assert deep.layers[0] is deep


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_pickle_of_a_cycle_is_one_cycle(protocol):
    back = pickle.loads(pickle.dumps(cyclic(), protocol))
    assert type(back) is Model and back.layers[0] is back


class FlattensItself(Struct):
    x: Any
    y: Any = derived()
    n: int = static(default=3)

    def __post_init__(self):
        with pytest.raises(AttributeError, match=r"FlattensItself\.y"):
            jax.tree.leaves(self)
        with pytest.raises(AttributeError, match=r"FlattensItself\.y"):
            jax.tree_util.tree_leaves_with_path(self)
        self.y = 2
        leaves, self.seen.structure = jax.tree.flatten(self)
        self.seen.leaves = leaves
        self.seen.paths = struct_keys(self)
        self.seen.mapped = jax.tree.map(lambda leaf: leaf + 10, self)
        self.y = 5

    seen = types.SimpleNamespace()


def test_an_object_flattens_during_its_construction_once_its_fields_are_set():
    made = FlattensItself(1)
    seen = FlattensItself.seen
    assert seen.leaves == [1, 2] and seen.paths == [".x", ".y"]
    assert jax.tree.leaves(made) == [1, 5]
    assert seen.structure == jax.tree.structure(made)
    assert seen.structure.unflatten([3, 4]).y == 4
    assert (seen.mapped.x, seen.mapped.y, seen.mapped.n) == (11, 12, 3)
    with pytest.raises(dataclasses.FrozenInstanceError):
        seen.mapped.x = 0


class StaticLater(Struct):
    x: Any
    n: int = static()
    seen = []

    def __init__(self, n):
        self.x = 1
        with pytest.raises(AttributeError, match=r"StaticLater\.n"):
            self.n
        self.n = n
        self.seen.append(jax.tree.structure(self))
        self.n = n + 1


def test_a_structure_taken_during_construction_does_not_change_with_later_statics():
    StaticLater.seen.clear()
    made = StaticLater(1)
    (early,) = StaticLater.seen
    assert early.unflatten([1]).n == 1 and made.n == 2
    assert early != jax.tree.structure(made)
    assert early == jax.tree.structure(made.replace(n=1))


class CopiesItself(Struct):
    x: Any
    y: Any
    made = []

    def __init__(self, x):
        self.x, self.y = x, 0
        CopiesItself.made = [copy.copy(self), copy.deepcopy(self), self.replace(y=0), pickle.loads(pickle.dumps(self))]
        self.x = x + 1


def test_copies_taken_during_construction_are_finished_objects_of_their_own():
    original = CopiesItself(1)
    assert (original.x, original.y) == (2, 0)
    for made in CopiesItself.made:
        assert (made.x, made.y) == (1, 0)
        with pytest.raises(dataclasses.FrozenInstanceError):
            made.x = 3
        assert made.x == 1 and original.x == 2


class Delegating(Struct):
    """Every unknown attribute is looked up in `inner`, the usual wrapper."""

    inner: Any

    def __getattr__(self, name):
        return getattr(self.inner, name)


class DelegatingWithHooks(Struct):
    inner: Any

    def __post_init__(self):
        self.inner = [self.inner]

    def __getattr__(self, name):
        return getattr(self.inner, name)


class DelegatingCustom(Struct):
    inner: Any

    def __init__(self, inner):
        self.inner = inner

    def __getattr__(self, name):
        return getattr(self.inner, name)


@pytest.mark.parametrize("cls", [Delegating, DelegatingWithHooks, DelegatingCustom])
def test_a_class_with_getattr_is_constructed_flattened_copied_and_pickled(cls):
    made = cls("text")
    assert made.count is not None
    for back in (jax.tree.map(lambda x: x, made), copy.copy(made), copy.deepcopy(made), made.replace()):
        assert type(back) is cls and (cls is DelegatingWithHooks or back == made)
    for protocol in PROTOCOLS:
        assert pickle.loads(pickle.dumps(made, protocol)) == made
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.inner = 1


def test_reading_a_field_of_an_object_that_nothing_constructed_names_the_field():
    bare = Linear.__new__(Linear)
    with pytest.raises(AttributeError, match=r"Linear\.weight is read before it is set"):
        bare.weight
    assert repr(bare) == "Linear(weight=<unset>, name=<unset>, bias=<unset>)"


def test_a_struct_with_call_and_arrays_can_be_jitted_itself_and_by_method():
    class Scale(Struct):
        factor: jax.Array

        def __call__(self, x):
            return self.factor * x

        def twice(self, x):
            return self(self(x))

    scale = Scale(jnp.full(2, 3.0))
    assert jax.jit(scale)(2.0).tolist() == [6.0, 6.0]
    assert jax.jit(scale.twice)(2.0).tolist() == [18.0, 18.0]
    assert jax.jit(Scale.__call__)(scale, 2.0).tolist() == [6.0, 6.0]


def test_a_tree_of_two_hundred_levels_flattens_and_maps():
    tree: Any = 1.0
    for _ in range(200):
        tree = Wrapped(tree)
    assert jax.tree.leaves(tree) == [1.0]
    mapped = jax.tree.map(lambda leaf: leaf + 1, tree)
    assert jax.tree.structure(mapped) == jax.tree.structure(tree)
    assert jax.tree.leaves(mapped) == [2.0]


def test_a_struct_of_five_hundred_fields_is_a_node():
    names = [f"f{i}" for i in range(500)]

    def body(namespace):
        namespace["__module__"] = __name__
        namespace["__annotations__"] = dict.fromkeys(names, int)

    wide = types.new_class("Wide", (Struct,), exec_body=body)
    made = wide(*range(500))
    assert jax.tree.leaves(made) == list(range(500))
    assert jax.tree.map(lambda x: x, made) == made
    assert made.f499 == 499 and made.replace(f250=0).f250 == 0
    assert struct_keys(made)[-1] == ".f499"


class Mixin:
    def hello(self):
        return self.x


@pytest.mark.parametrize("bases", [(Mixin, Struct), (Struct, Mixin)], ids=["before", "after"])
def test_a_mixin_without_slots_may_stand_before_or_after_struct(bases):
    def body(namespace):
        namespace["__module__"] = __name__
        namespace["__annotations__"] = {"x": Any}

    made = types.new_class("Mixed", bases, exec_body=body)(1)
    assert made.hello() == 1 and made.__dict__ == vars(made) == {"x": 1}
    assert jax.tree.leaves(made) == [1] and made == copy.deepcopy(made) == jax.tree.map(lambda x: x, made)
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.x = 2
