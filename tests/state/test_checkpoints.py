"""What is kept beside a tree that another library writes: a schema, how it fits a target, and what is made of both."""

import json
from collections import OrderedDict
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec as P, SingleDeviceSharding
from jax.tree_util import Partial

from structkit import Struct, field, state, static
from structkit.errors import StateError
from tests.models import Coordinates, Ring, shown
from tests.state.trees import Config, Dropped, Layer, Loose, Net, Renamed, net, same


def beside(tree):
    """The schema as it comes back from a file of JSON, with what else is there."""
    return json.loads(json.dumps(state.schema(tree) | {"loss": 0.5}))


def filled(tree, like, strict=True):
    """What becomes of a tree that a library has restored as nested dicts."""
    return state.match(beside(tree), like, strict).fill(state.to_state_dict(tree))


TREES = {
    "all kinds": net(),
    "numpy": [np.arange(3) + 2**40, np.ones((2, 3)).T, np.float64(2)],
    "in other order": [np.ones(3, ">f4")],
    "weak": [jnp.asarray(3), jnp.asarray(2.5)],
    "few bits": [jnp.arange(8).astype("int4"), jnp.ones(3, "float8_e5m2")],
    "keys": [jax.random.key(0), jax.random.split(jax.random.key(1), 3), jax.random.key(2, impl="rbg")],
    "numbers": [True, 7, 2.5, 1j, "text", b"bytes"],
    "empty": {"a": {}, "b": [(), None], "c": Coordinates(None, ())},
    "the drop-in": Dropped(Dropped(jnp.ones(3)), n=4),
    "dicts": {1: Loose(1), 10: {("a", 1): 2}},
    "one leaf": jnp.ones(3),
}


@pytest.mark.parametrize("tree", TREES.values(), ids=[*TREES])
def test_what_was_restored_becomes_the_tree_again(tree):
    assert same(filled(tree, tree), tree)
    abstract = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype) if isinstance(x, jax.Array) else x, tree)
    assert same(filled(tree, abstract), tree)


def test_a_node_of_another_library_is_a_list_or_a_dict_by_the_kind_of_its_keys():
    tree = [Ring(1, 2), Partial(jnp.sin, 3, b=4), OrderedDict(b=5, a=6)]
    match = state.match(beside(tree), tree)
    assert match.target == [[0], [(0,), {"b": 0}], {"b": 0, "a": 0}]
    ring, partial, ordered = match.fill([[10], [(30,), {"b": 40}], {"a": 60, "b": 50}])
    assert (ring.x, ring.size, partial.args, partial.keywords) == (10, 2, (30,), {"b": 40})
    assert ordered == OrderedDict(b=50, a=60)


def test_of_a_class_the_schema_decides():
    tree = Net([Layer(jnp.ones(2), activation=Config(1, ("a",))), {"k": (1, None)}], "other", jax.random.key(1))
    assert same(filled(tree, Net), tree)


def test_the_schema_of_shapes_is_that_of_their_arrays():
    keys = jax.random.split(jax.random.key(0)), jax.random.key(1, impl="rbg")
    tree = [Layer(jnp.ones((2, 3))), keys, jnp.asarray(2.5), jnp.float32(2.5)]
    assert state.schema(jax.eval_shape(lambda: tree)) == state.schema(tree)


def test_the_target_has_the_names_of_what_was_saved_and_no_values():
    here = SingleDeviceSharding(jax.devices()[0])
    tree = Layer(jnp.ones((2, 3)), (Coordinates(1, jax.random.key(0)), np.ones(3), "text"))
    like = jax.tree.map(lambda x: jax.device_put(x, here) if isinstance(x, jax.Array) else x, tree)
    target = state.match(beside(tree), like).target
    (coordinates, numpy, text), weight = target["b"], target["w"]
    key = jax.ShapeDtypeStruct((), jax.random.key(0).dtype, sharding=here)
    assert weight == jax.ShapeDtypeStruct((2, 3), jnp.float32, sharding=here)
    assert (coordinates, text) == ({"x": 0, "y": key}, "")
    assert type(numpy) is np.ndarray and numpy.shape == (3,) and numpy.strides == (0,)


def test_an_array_of_which_the_target_says_no_place_is_asked_for_as_numpys_and_given_as_it_was():
    tree = [jnp.ones(1000), jnp.asarray(3)]
    match = state.match(beside(tree), tree)
    assert all(type(leaf) is np.ndarray for leaf in match.target)
    assert same(match.fill([*map(np.asarray, tree)]), tree)


def test_bytes_that_were_turned_are_turned_back():
    tree = [np.arange(3.0, dtype=">f4")]
    assert same(state.match(beside(tree), tree).fill([np.arange(3.0, dtype="=f4")]), tree)


def test_arrays_of_64_bits_are_asked_for_as_numpys_where_jax_would_make_32_of_them():
    sharding = SingleDeviceSharding(jax.devices()[0])
    tree = [np.arange(3) + 2**40]
    match = state.match(beside(tree), [jax.ShapeDtypeStruct((3,), np.int64, sharding=sharding)])
    assert type(match.target[0]) is np.ndarray
    (found,) = match.fill(tree)
    assert found.sharding == sharding and np.asarray(found).tolist() == tree[0].tolist()


# What does not fit

ONE, LISTED, RATE = jnp.ones(3), [jnp.ones(3)], Layer(jnp.ones(3), 1.5)


@pytest.mark.parametrize(
    ("tree", "like"),
    [
        (Layer(ONE), Layer(jnp.ones(4))),
        (Layer(ONE), Layer(jnp.ones(3, "bfloat16"))),
        (Layer(ONE), Layer(ONE, activation=jax.nn.gelu)),
        (Layer(ONE), Loose(ONE)),
        (Layer(ONE, 1), Net(1)),
        (LISTED, (ONE,)),
        (LISTED, [*LISTED, ONE]),
        ({"weights": ONE}, {"weight": ONE}),
        ([RATE] * 3, [Layer(jnp.ones(3), 1)] * 3),
        (jax.random.key(0), jax.random.key(0, impl="rbg")),
        (Dropped(1, n=4), Dropped(1)),
    ],
    ids=shown,
)
def test_what_does_not_fit_is_told_as_by_load(tree, like, tmp_path):
    state.save(tmp_path / "file", tree)
    with pytest.raises(StateError) as loading:
        state.load(tmp_path / "file", like)
    with pytest.raises(StateError) as matching:
        state.match(beside(tree), like)
    assert str(matching.value) == str(loading.value).replace(str(tmp_path / "file"), "match")
    loaded, differences = state.load(tmp_path / "file", like, strict=False)
    match = state.match(beside(tree), like, strict=False)
    assert match.differences == differences == matching.value.differences
    assert same(match.fill(state.to_state_dict(tree)), loaded)


def test_the_error_names_all_places():
    like = Net([Layer(jnp.zeros(3, jnp.float16), activation=jax.nn.gelu)], "net", jnp.zeros(2))
    with pytest.raises(StateError) as caught:
        state.match(beside(Net([Layer(jnp.ones(3), 1)], "other", 7)), like)
    assert str(caught.value) == (
        "match: does not fit the target in 5 places:\n"
        "  .layers[0].w: dtype: float32[3] was saved, the target has float16[3]\n"
        "  .layers[0].b: unknown: a leaf was saved, the target has None\n"
        "  .layers[0].activation: static: jax.nn:relu was saved, the target has jax.nn:gelu\n"
        "  .name: static: 'other' was saved, the target has 'net'\n"
        "  .step: dtype: a Python int was saved, the target has float32[2]\n"
        "change the target, or take what fits with strict=False"
    )


def test_what_has_no_values_was_not_restored():
    matched = state.match(state.schema([jax.random.key(1)]), list)
    with pytest.raises(StateError) as caught:
        matched.fill(matched.target)
    assert str(caught.value) == (
        "match: what was restored is not what was saved:\n"
        "  [0]: missing: key<fry>[] was saved, and what was restored has no values\nrestore with .target"
    )


def test_a_renamed_field_is_found_an_added_one_takes_its_default_and_a_removed_one_is_told():
    saved = Layer(jnp.ones(3), 1)
    for like in (Renamed(jnp.zeros(3), 0, 5.0), jax.eval_shape(lambda: Renamed(jnp.zeros(3), 0)), Renamed):
        assert same(filled(saved, like), Renamed(jnp.ones(3), 1))
    with pytest.raises(StateError) as caught:
        state.match(beside(Net([], step=jnp.ones(2))), Removed([]))
    assert str(caught.value) == (
        "match: does not fit the target:\n"
        "  .step: unknown: it was saved, and the target does not have it\n"
        "change the target, or take what fits with strict=False"
    )


class Removed(Struct):
    layers: Any
    name: str = static(default="net")


def test_what_is_left_out_is_not_asked_for():
    saved = {"net": Net([jnp.ones(3), jnp.ones(4)], step=jnp.ones(2)), "more": [jnp.ones(5)]}
    like = {"net": Removed([jnp.zeros(3), jnp.zeros(5)])}
    match = state.match(beside(saved), like, strict=False)
    (taken, left), step = match.target["net"]["layers"], match.target["net"]["step"]
    assert (left, step, match.target["more"]) == (..., ..., [...]) and taken is not ...
    found = match.fill({"net": {"layers": [np.ones(3, "f4"), ...], "step": ...}, "more": [...]})
    assert same(found, {"net": Removed([jnp.ones(3), jnp.zeros(5)])})


def test_a_value_without_a_name_is_not_compared():
    def layer(k):
        return Layer(jnp.ones(3), activation=lambda x: k * x)

    like = layer(2)
    assert filled(layer(1), like).activation is like.activation
    with pytest.raises(StateError, match="a value of the type function was not written: give an instance that has it"):
        state.match(beside(layer(1)), Layer)


# Shardings


@pytest.fixture
def place():
    return NamedSharding(jax.make_mesh((jax.device_count(),), ("data",)), P("data"))


class Grown(Struct):
    w: Any
    scale: Any = field(default_factory=lambda: jnp.ones(8))
    shift: Any = field(default_factory=lambda: np.zeros(8))
    pair: Any = field(default_factory=lambda: Coordinates(jnp.ones(8), 0.5))
    other: Any = None
    activation: Any = static(default=jax.nn.relu)


def test_an_added_field_lies_where_the_target_has_it(place, tmp_path):
    saved = {"w": jnp.ones(8), "activation": jax.nn.relu}
    shape = jax.ShapeDtypeStruct((8,), "f4", sharding=place)
    like = Grown(shape, shape, shape, Coordinates(shape, jax.ShapeDtypeStruct((), "f4")), [shape])
    old = type("Old", (Struct,), {"__annotations__": {"w": Any, "activation": Any}, "activation": static()})(**saved)
    state.save(tmp_path / "file", old)
    matched = state.match(beside(old), like).fill({"w": jax.device_put(jnp.ones(8), place)})
    # A default that is no array is as it is.
    for found in (state.load(tmp_path / "file", like), matched):
        assert same(found, Grown(jnp.ones(8), shift=jnp.zeros(8)))
        laid = [found.w, found.scale, found.shift, found.pair.x]
        assert all(leaf.sharding == place for leaf in laid) and found.pair.y == 0.5 and found.other is None


@pytest.mark.parametrize("number", [np.int64(3e9), np.float64(1e300), np.full(3, 2**40)], ids=shown)
def test_a_number_that_is_too_large_for_the_dtype_on_the_devices_is_told(number, tmp_path):
    dtype = number.dtype.name.replace("64", "32")
    here = SingleDeviceSharding(jax.devices()[0])
    like = {"n": jax.ShapeDtypeStruct(number.shape, dtype, sharding=here)}
    state.save(tmp_path / "file", {"n": number})
    why = f"(JAX takes its numbers as {dtype} to devices, which are too large for that)"
    with pytest.raises(StateError) as loading:
        state.load(tmp_path / "file", like)
    with pytest.raises(StateError) as filling:
        filled({"n": number}, like)
    assert str(loading.value).endswith(
        f"has a leaf that cannot be made, ['n'] or one after it {why}; "
        "load it with a target of numpy arrays, or restore the file from a copy"
    )
    assert str(filling.value) == (
        f"match: has a leaf that cannot be made, ['n'] {why}; match it with a target of numpy arrays"
    )
    assert same(state.load(tmp_path / "file", {"n": number * 0}), {"n": number})


def test_shapes_that_were_made_under_a_mesh_are_a_target_under_it_and_elsewhere_if_they_name_no_axis(place, tmp_path):
    saved = {"w": jnp.ones(8)}
    state.save(tmp_path / "file", saved)
    for spec in (P("data"), P()):
        with jax.set_mesh(place.mesh):
            like = jax.eval_shape(lambda spec=spec: {"w": jax.sharding.reshard(jnp.ones(8), spec)})
            for found in (state.load(tmp_path / "file", like), filled(saved, like)):
                assert found["w"].sharding.is_equivalent_to(NamedSharding(place.mesh, spec), 1)
            assert jax.jit(lambda: state.load(tmp_path / "file", saved)["w"])()[0] == 1
    assert same(state.load(tmp_path / "file", like), saved) and same(filled(saved, like), saved)


def test_what_was_restored_to_another_place_is_moved_to_that_of_the_target(place):
    """`PyTreeRestore` of Orbax puts all on one device, unless its `restore_args` say otherwise."""
    tree = {"w": jnp.arange(8.0), "keys": jax.random.split(jax.random.key(0), 8)}
    like = {name: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place) for name, leaf in tree.items()}
    found = filled(tree, like)
    assert same(found, tree) and all(leaf.sharding == place for leaf in found.values())


def test_numbers_of_python_that_were_restored_are_the_arrays_that_were_saved():
    tree = {"scalar": np.float32(2.5), "array": np.array(3), "jax": jnp.asarray(True), "weak": jnp.asarray(1j)}
    assert same(state.match(beside(tree), tree).fill({"scalar": 2.5, "array": 3, "jax": True, "weak": 1j}), tree)


# What is no schema


@pytest.mark.parametrize("held", [None, {}, {"loss": 0.5}, {"structkit": None}, 3], ids=shown)
def test_without_a_schema_the_cure_is_told_and_holds(held):
    with pytest.raises(StateError) as caught:
        state.match(held, {"w": ONE})
    assert str(caught.value) == (
        "match: the tree was saved without a schema; save with custom_metadata=state.schema(tree), "
        "and for this one give the schema of a tree like it"
    )
    shapes = jax.eval_shape(lambda: Layer(ONE))
    assert same(state.match(state.schema(shapes), Renamed).fill({"w": ONE, "b": None}), Renamed(ONE))


def changed(**parts):
    return {"structkit": {**state.schema([1, 2])["structkit"], **parts}}


@pytest.mark.parametrize(
    ("held", "text"),
    [
        (
            changed(format=2),
            "the schema has format 2, which this version does not know; install a newer structkit",
        ),
        (
            changed(tree=[0, -1]),
            "the schema makes no sense (IndexError: list index out of range); give what state.schema gave",
        ),
        (
            changed(tree=[0, -1, -2]),
            "the schema makes no sense (ValueError: the tree names kinds that are not there); "
            "give what state.schema gave",
        ),
        (
            changed(more=1),
            "the schema makes no sense (ValueError: the schema has other parts); give what state.schema gave",
        ),
        (
            changed(leaves=object),
            "the schema makes no sense (TypeError: Object of type type is not JSON serializable); "
            "give what state.schema gave",
        ),
        ({"structkit": {"format": 1}}, "the schema makes no sense (KeyError: 'nodes'); give what state.schema gave"),
    ],
    ids=["format", "short", "numbers", "more", "no JSON", "nothing"],
)
def test_a_schema_that_makes_no_sense_is_an_error(held, text):
    with pytest.raises(StateError) as caught:
        state.match(held, [1, 2])
    assert str(caught.value) == f"match: {text}"


def test_random_keys_of_which_jax_does_not_know_the_implementation_are_told_with_their_path():
    leaf = ["key", "key<new>", [2], "newer"]
    with pytest.raises(StateError) as caught:
        state.match({"structkit": {"format": 1, "nodes": [["list", 1]], "leaves": [leaf], "tree": [0, -1]}}, list)
    assert str(caught.value).startswith("match: the schema has a leaf that cannot be made, [0] (unrecognized PRNG ")
    assert str(caught.value).endswith("; restore it with a JAX that knows it")


def test_what_no_schema_can_tell_is_refused():
    with pytest.raises(StateError) as caught:
        state.schema({"a": [object()]})
    assert str(caught.value) == (
        "schema: ['a'][0] is a leaf of the type object, which no file can hold; "
        "make it an array or a number, or a static field"
    )
    with pytest.raises(StateError, match=r"^schema: the root is a tracer, which has no value yet; save outside of jit"):
        jax.jit(state.schema)(1.0)


def test_trees_that_are_too_deep_are_an_error():
    tree: Any = 1
    for _ in range(100_000):
        tree = [tree]
    with pytest.raises(StateError, match=r"is nested too deeply"):
        state.schema(tree)
    nodes = {"nodes": [["list", 1]], "leaves": [["python", "int", []]], "tree": [0] * 100_000 + [-1]}
    for like, strict in ((list, True), ([1], False)):
        with pytest.raises(StateError, match=r"^match: .* nested too deeply"):
            state.match({"structkit": {"format": 1, **nodes}}, like, strict)


# What was not restored into the target


@pytest.mark.parametrize(
    ("restored", "text"),
    [
        (
            {"w": jnp.ones(3, "bfloat16"), "b": 1},
            "what was restored is not what was saved:\n"
            "  .w: dtype: float32[3] was saved, bfloat16[3] was restored\nrestore with .target",
        ),
        (
            {"w": ..., "b": 1.0},
            "what was restored is not what was saved in 2 places:\n"
            "  .w: dtype: float32[3] was saved, a leaf of the type ellipsis was restored\n"
            "  .b: dtype: a Python int was saved, a Python float was restored\nrestore with .target",
        ),
        (
            {"w": jnp.ones(4), "b": 1},
            "what was restored is not what was saved:\n"
            "  .w: shape: float32[3] was saved, float32[4] was restored\nrestore with .target",
        ),
    ],
    ids=["dtype", "left out", "shape"],
)
def test_what_was_cast_or_not_restored_is_told(restored, text):
    with pytest.raises(StateError) as caught:
        state.match(beside(Layer(ONE, 1)), Layer(ONE, 1)).fill(restored)
    assert str(caught.value) == f"match: {text}"


@pytest.mark.parametrize("restored", [{"w": ONE}, [ONE, 1], Layer(ONE, 1), None], ids=shown)
def test_what_was_restored_without_the_target_is_told(restored):
    with pytest.raises(StateError, match=r"^match: what was restored has another structure than .target \(.*; restore"):
        state.match(beside(Layer(ONE, 1)), Layer(ONE, 1)).fill(restored)
