"""A tree in two parts and back; other dtypes for its floating arrays; how much is in it."""

import collections
import dataclasses
import operator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from structkit import Struct, StructError, cast, count, errors, field, merge, partition, static, struct
from tests.models import Coordinates, Empty, Linear, Loud, Mutable, Pair, Ring, shown

deterministic = settings(derandomize=True, database=None, deadline=None, max_examples=150)


class Layer(Struct):
    weight: Any
    scale: Any = field(default=None, metadata={"trainable": False})
    name: str = static(default="layer", metadata={"trainable": True})


@struct.dataclass
class Decorated:
    weight: Any = None
    scale: Any = struct.field(default=None, metadata={"trainable": False})
    note: Any = struct.field(default="note", pytree_node=False)


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class Standard:
    weight: Any = None
    scale: Any = dataclasses.field(default=None, metadata={"trainable": False})


class Changeable(Struct, frozen=False):
    weight: Any
    scale: Any = field(default=None, metadata={"trainable": False})


class Model(Struct):
    layers: Any = None
    backbone: Any = field(default=None, metadata={"trainable": False})
    head: Any = field(default=None, metadata={"trainable": True})


LEAVES = st.one_of(
    st.integers(), st.floats(), st.text(max_size=2), st.sampled_from([jnp.ones(2), np.ones(2), jnp.array(1), object()])
)
# With fields that are trained, that are not, and that say nothing.
NODES = (Layer, Decorated, Standard, Changeable, Model, Pair, Coordinates)
TREES = st.recursive(
    st.one_of(LEAVES, st.none(), st.just(Empty())),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.sampled_from("cab"), inner, max_size=3),
        st.dictionaries(st.sampled_from("cab"), inner, max_size=3).map(collections.OrderedDict),
        st.builds(lambda kind, x, y: kind(x, y), st.sampled_from(NODES), inner, inner),
        st.builds(Ring, inner, st.integers(0, 3)),
    ),
    max_leaves=20,
)


def alike(one, other):
    """Whether two trees have one structure, None as a place, and the very same leaves."""
    (leaves, treedef), (others, structure) = [jax.tree.flatten(tree, lambda x: x is None) for tree in (one, other)]
    return treedef == structure and len(leaves) == len(others) and all(map(operator.is_, leaves, others))


def in_plain_code(tree, chosen):
    """The two parts, by a list that says for each leaf whether it is in the first one."""
    masks = iter(chosen), iter(chosen)
    first = jax.tree.map(lambda leaf: leaf if next(masks[0]) else None, tree)
    return first, jax.tree.map(lambda leaf: None if next(masks[1]) else leaf, tree)


@deterministic
@given(TREES, st.data())
def test_the_parts_are_those_of_tree_map_and_together_they_are_the_tree(tree, data):
    number = len(jax.tree.leaves(tree))
    chosen = data.draw(st.lists(st.booleans(), min_size=number, max_size=number))
    answers, more = iter(chosen), iter(chosen)
    first, second = partition(tree, lambda leaf: next(answers))
    assert all(map(alike, (first, second), in_plain_code(tree, chosen)))
    assert all(map(alike, partition(tree, lambda path, leaf: next(more), with_path=True), (first, second)))
    assert alike(merge(first, second), tree) and alike(merge(second, first), tree)
    third, fourth = partition(second, lambda leaf: isinstance(leaf, str | int))
    assert alike(merge(third, first, fourth), tree)


def said(tree, path, default):
    """What the metadata on the way to a leaf say, one key after the other."""
    found = []
    for key in path:
        if isinstance(key, jax.tree_util.GetAttrKey):
            if dataclasses.is_dataclass(tree):
                found += [f.metadata.get("trainable") for f in dataclasses.fields(tree) if f.name == key.name]
            tree = getattr(tree, key.name)
        elif isinstance(key, jax.tree_util.FlattenedIndexKey):
            tree = tree.x
        else:
            tree = tree[key.key if isinstance(key, jax.tree_util.DictKey) else key.idx]
    return False if False in found else True if True in found else default


@deterministic
@given(TREES, st.booleans())
def test_metadata_count_on_the_whole_way_to_a_leaf(tree, default):
    chosen = [said(tree, path, default) for path, _ in jax.tree_util.tree_leaves_with_path(tree)]
    parts = partition(tree, metadata="trainable", default=default)
    assert all(map(alike, parts, in_plain_code(tree, chosen)))


def test_a_frozen_submodel_is_frozen_whole():
    model = Model([Layer(1, 2)], backbone=Model(Layer(3, 4), head=[5]), head=(6, {"a": Layer(7, 8)}))
    assert jax.tree.leaves(partition(model, metadata="trainable")[0]) == [1, 6, 7]
    assert jax.tree.leaves(partition(model, metadata="trainable", default=False)[0]) == [6, 7]
    assert jax.tree.leaves(partition(model, metadata="other")[0]) == jax.tree.leaves(model)


def is_attribute(key, name):
    return isinstance(key, jax.tree_util.GetAttrKey) and key.name == name


# Whether the keys on the way to a leaf lead through a place that matches.
PATTERNS = {
    "**": lambda path: True,
    "**.weight": lambda path: any([is_attribute(key, "weight") for key in path]),
    "*.scale": lambda path: is_attribute((*path, None, None)[1], "scale"),
    "head.**": lambda path: is_attribute((*path, None)[0], "head"),
    "[0:2]": lambda path: path[:1] in [(jax.tree_util.SequenceKey(i),) for i in (0, 1)],
    "**['a']": lambda path: jax.tree_util.DictKey("a") in path,
}


@deterministic
@given(TREES, st.sampled_from(sorted(PATTERNS)))
def test_a_path_chooses_the_leaves_at_and_under_the_places_that_match(tree, pattern):
    chosen = [PATTERNS[pattern](path) for path, _ in jax.tree_util.tree_leaves_with_path(tree)]
    try:
        parts = partition(tree, pattern)
    except errors.PlaceError:
        assert not any(chosen)
    else:
        assert all(map(alike, parts, in_plain_code(tree, chosen)))


def test_a_path_may_be_one_place_or_the_root_and_is_read_while_jax_traces():
    model = Model([Layer(1.0, 2.0), Layer(3.0)], head={"a.b": 4.0})
    assert jax.tree.leaves(partition(model, "layers[-1]")[0]) == [3.0]
    assert jax.tree.leaves(partition(model, "head['a.b']")[1]) == [1.0, 2.0, 3.0]
    assert alike(partition(model, "")[0], model) and partition(model, "layers[1].scale")[0] == partition(model, "")[1]
    trained = jax.jit(lambda model: partition(model, "layers.*.weight")[0])(model)
    assert jax.tree.leaves(trained) == [1.0, 3.0] and trained.layers[0].scale is None


STARS = "`*` is one step through data, `**` any number"
NO_PLACES = [
    ("layers.*.wieght", "path 'layers.*.wieght' matches nothing (did you mean 'weight'?); " + STARS),
    ("**.name", "path '**.name' matches nothing; " + STARS),
    (
        "layers[0].wieght",
        "tree.layers[0].wieght is no field of Layer (did you mean 'weight'?); fields: weight, scale, name",
    ),
    ("layers[7]", "tree.layers[7] is no child of the list; children: [0]"),
    ("layers[0].name", "tree.layers[0].name is static: no leaves are there; name a place that holds data"),
    ("layers[", "path 'layers[' has a bracket that does not close; write [0] or ['key']"),
]


@pytest.mark.parametrize(("pattern", "text"), NO_PLACES)
def test_a_path_that_matches_no_data_is_refused(pattern, text):
    with pytest.raises(errors.PlaceError) as caught:
        partition(Model([Layer(1)]), pattern)
    assert str(caught.value) == f"partition(tree, where): {text}"


def test_paths_are_written_as_keystr_writes_them():
    seen = []
    partition(
        Model({"a.b": [Layer(1, None)]}, Ring(2, 0)), lambda path, leaf: seen.append(path) or True, with_path=True
    )
    assert seen == [".layers['a.b'][0].weight", ".backbone[<flat index 0>]"]


def test_a_tree_may_be_one_leaf_or_none():
    assert partition(3, lambda leaf: True) == (3, None)
    assert partition(None, lambda leaf: True) == (None, None) and partition((), metadata="trainable") == ((), ())
    assert (merge(3), merge(None, 3, None), merge(None, None), merge((), ())) == (3, 3, None, ())


def test_numpy_booleans_are_booleans():
    assert partition([1.0, 2.0], lambda leaf: np.float64(leaf) > 1) == ([None, 2.0], [1.0, None])


def test_no_code_of_the_classes_runs():
    tree = [Loud(1), Mutable(2)]
    Loud.marks.clear()
    parts = partition(tree, lambda leaf: leaf == 1)
    assert vars(parts[0][0]) == {"x": 1, "y": None, "twice": None, "label": "a"} and parts[1][1].x == 2
    assert alike(merge(*parts), tree) and Loud.marks == []


def loss(model, x):
    for layer in model.layers:
        x = jnp.tanh(layer.scale * (x @ layer.weight))
    return jnp.sum(x**2)


def test_a_part_is_trained_and_the_rest_stays():
    model = Model([Layer(jnp.full((2, 2), 0.5), jnp.ones(2)), Layer(jnp.full((2, 2), 0.25), jnp.ones(2))])
    trained, frozen = partition(model, metadata="trainable")
    x = jnp.ones(2)

    @jax.jit
    def step(trained, frozen):
        slopes = jax.grad(lambda part: loss(merge(part, frozen), x))(trained)
        return jax.tree.map(lambda leaf, slope: leaf - 0.1 * slope, trained, slopes)

    after = merge(step(trained, frozen), frozen)
    slopes = jax.grad(loss)(model, x)
    for layer, old, slope in zip(after.layers, model.layers, slopes.layers):
        assert layer.scale is old.scale
        np.testing.assert_allclose(layer.weight, old.weight - 0.1 * slope.weight, rtol=1e-6)


def test_parts_are_made_and_merged_inside_jit_vmap_and_scan():
    def body(carry, _):
        floats, rest = partition(carry, lambda leaf: jnp.issubdtype(leaf.dtype, jnp.floating))
        return merge(rest, jax.tree.map(lambda leaf: leaf * 2, floats)), rest.y

    start = Pair(jnp.ones(3), jnp.arange(3))
    step = jax.jit(jax.vmap(lambda pair: jax.lax.scan(body, pair, None, length=2)))
    end, seen = step(start)
    assert end.x.tolist() == [4.0, 4.0, 4.0] and end.y.tolist() == [0, 1, 2] and seen.shape == (3, 2)


HOW = "give trees of one structure, with None for leaves only, such as the two that partition gives"
UNLIKE = {
    "class": (Pair(1), Coordinates(1, 2), "tree is a Pair in the first tree and a Coordinates in the second"),
    "class of the same name": (
        Pair(1),
        type("Pair", (Pair,), {})(1),
        "tree is a Pair in the first tree and another Pair in the second",
    ),
    "container": ([1], (None,), "tree is a list in the first tree and a tuple in the second"),
    "length": ([1, 2], [None], "tree is a list of 2 in the first tree and one of 1 in the second"),
    "keys": ({"a": 1}, {"b": 1}, "tree is a dict with ['a'] in the first tree and one with ['b'] in the second"),
    "no keys": ({"a": 1}, {}, "tree is a dict with ['a'] in the first tree and one with no items in the second"),
    "static": ([Pair(1)], [Pair(None, None, "other")], "tree[0].name is 'pair' in the first tree and 'other' in the"),
    "kind of static": (Pair(1, None, 1), Pair(None, None, True), "tree.name is 1 in the first tree and True in the"),
    "unchecked static": (Decorated(note=[1]), Decorated(note=[2]), "tree.note is [1] in the first tree and [2] in the"),
    "function": (Linear(1), Linear(1, None, jax.nn.tanh), "tree.activation is relu in the first tree and tanh in the"),
    "leaf and node": (Pair(1), Pair(Pair(1)), "tree.x is 1 in the first tree and a Pair in the second"),
    "node and leaf": (
        Pair(Pair(1)),
        Pair(jnp.arange(2) > 0),
        "tree.x is a Pair in the first tree and bool[2] in the second",
    ),
    "node and None": (Pair(Pair(1)), Pair(None), "tree.x is a Pair in the first tree and None in the second"),
    "None and node": (Pair(None), Pair((1,)), "tree.x is None in the first tree and a tuple in the second"),
    "aux of a stranger": (
        Ring(1, 2),
        Ring(None, 3),
        "tree is PyTreeDef(CustomNode(Ring[2], [*])) in the first tree and",
    ),
    "None and tree": (None, [1], "tree is None in the first tree and a list in the second"),
}


@pytest.mark.parametrize("name", UNLIKE)
def test_trees_of_other_structures_are_not_merged(name):
    one, other, text = UNLIKE[name]
    with pytest.raises(errors.TreeError) as caught:
        merge(one, other)
    shown = str(caught.value)
    assert shown.startswith(f"merge: {text}") and shown.endswith(f" in the second; {HOW}")
    assert isinstance(caught.value, TypeError) and isinstance(caught.value, StructError)


def test_long_texts_of_what_differs_are_cut():
    with pytest.raises(errors.TreeError) as caught:
        merge(Pair(1, None, "x" * 500), Pair(1, None, "y" * 500))
    assert str(caught.value).count("...") == 2 and len(str(caught.value)) < 400


def test_functions_of_one_name_are_told_apart():
    one, other = [Linear(1, None, lambda x: x) for _ in range(2)]
    with pytest.raises(errors.TreeError, match=r"tree\.activation is <function .* at 0x\w+> in the first tree and <f"):
        merge(one, other)


def test_a_place_with_two_values_is_refused():
    one = Model([Layer(None, jnp.ones(2, jnp.float32))])
    with pytest.raises(errors.MergeError) as caught:
        merge(one, Model([Layer(3, None)]), Model([Layer(None, 1.5)]))
    text = "merge: tree.layers[0].scale has two values, f32[2] and 1.5; all trees but one have None there"
    assert str(caught.value) == text
    assert isinstance(caught.value, ValueError) and isinstance(caught.value, StructError)


@struct.dataclass
class Misspelt:
    weight: Any = struct.field(metadata={"trainable": "no"})


@jax.tree_util.register_pytree_node_class
@dataclasses.dataclass
class Nameless:
    weight: Any = dataclasses.field(metadata={"trainable": False})

    def tree_flatten(self):
        return (self.weight,), None

    @classmethod
    def tree_unflatten(cls, _, children):
        return cls(*children)


WHAT_DECIDES = "pass a function of a leaf, a path, or metadata=..."
BOTH = "takes `where` or `metadata`, not both; drop one of the two"
UNDECIDED = [
    (lambda t: partition(t, lambda leaf: 1), "`where` gave 1 for tree[0].x; return True or False"),
    (lambda t: partition(t, lambda leaf: None), "`where` gave None for tree[0].x; return True or False"),
    (
        lambda t: partition(t, lambda path, leaf: path != "[1]" or jnp.array(True), with_path=True),
        "`where` gave bool(True) for tree[1]; return a Python bool: bool(...)",
    ),
    (lambda t: partition(t, lambda leaf: np.array(True)), None),
    (lambda t: partition(t), f"`where` is None; {WHAT_DECIDES}"),
    (lambda t: partition(t, 3), f"`where` is 3; {WHAT_DECIDES}"),
    (lambda t: partition(t, with_path=True), f"`where` is None and `with_path` is given; {WHAT_DECIDES}"),
    (lambda t: partition(t, "**", with_path=True), f"`where` is '**' and `with_path` is given; {WHAT_DECIDES}"),
    (lambda t: partition(t, "**", metadata="trainable"), BOTH),
    (lambda t: partition(t, lambda leaf: True, metadata="trainable"), BOTH),
    (lambda t: partition(t, metadata="trainable", with_path=True), BOTH),
    (
        lambda t: partition(t, lambda leaf: True, default=False),
        "`default` goes with `metadata`; have `where` decide about every leaf",
    ),
    (
        lambda t: partition(Layer(1), Layer(True)),
        f"`where` is a Layer, as the tree is, and decides about no leaf; {WHAT_DECIDES}",
    ),
    (
        lambda t: partition([Misspelt(1)], metadata="trainable"),
        "the metadata of Misspelt.weight have 'no' under 'trainable'; write True or False",
    ),
    (
        lambda t: partition(Nameless(1), metadata="trainable"),
        "Nameless has metadata, but its library gives JAX no names of its fields; choose by a function of the leaf",
    ),
]


@pytest.mark.parametrize(("call", "text"), UNDECIDED, ids=map(str, range(len(UNDECIDED))))
def test_what_does_not_decide_is_refused(call, text):
    with pytest.raises(errors.TreeError) as caught:
        call([Pair(1), 2.5])
    assert text is None or str(caught.value) == f"partition: {text}"


def test_a_traced_answer_is_refused_with_the_cure():
    with pytest.raises(errors.TreeError) as caught:
        jax.jit(lambda pair: partition(pair, lambda leaf: leaf > 0))(Pair(1.0))
    text = "`where` gave bool[] for tree.x; a value is not known while JAX traces: choose by path, type, shape or dtype"
    assert str(caught.value) == f"partition: {text}"


def test_what_where_raises_is_told_where():
    with pytest.raises(AttributeError) as caught:
        partition([jnp.ones(2), Pair(1)], lambda leaf: leaf.ndim > 0)
    assert caught.value.__notes__ == ["partition: this is what `where` raised for tree[1].x"]


KEY = jax.random.key(0)
KINDS = {
    "JAX": (jnp.ones(2, jnp.float32), jnp.bfloat16),
    "numpy": (np.ones(2, np.float64), jnp.bfloat16),
    "numpy number": (np.float32(2), jnp.bfloat16),
    "shape": (jax.ShapeDtypeStruct((3,), jnp.float16), jnp.bfloat16),
    "float8": (jnp.ones(2, jnp.float8_e4m3fn), jnp.bfloat16),
    "integers": (jnp.arange(2), None),
    "numpy integers": (np.arange(2), None),
    "booleans": (jnp.array([True]), None),
    "complex": (jnp.ones(2, jnp.complex64), None),
    "shape of integers": (jax.ShapeDtypeStruct((3,), jnp.int32), None),
    "random key": (KEY, None),
    "Python number": (2.5, None),
    "text": ("text", None),
    "there already": (jnp.ones(2, jnp.bfloat16), None),
}


@pytest.mark.parametrize("name", KINDS)
def test_floating_arrays_are_cast_and_the_rest_is_the_same_object(name):
    leaf, dtype = KINDS[name]
    found = cast(Pair([leaf]), jnp.bfloat16).x[0]
    if dtype is None:
        assert found is leaf
    else:
        # A number of numpy's becomes one of ml_dtypes.
        assert found.dtype == dtype and found.shape == leaf.shape
        assert type(found) is type(leaf) or isinstance(leaf, np.generic)


@pytest.mark.parametrize("dtype", ["float32", np.dtype("float32"), jnp.float32, np.float32])
def test_a_dtype_is_given_as_everywhere(dtype):
    assert cast(jnp.ones(2, jnp.float16), dtype).dtype == jnp.float32


def test_the_default_and_what_jax_has_not():
    with jax.enable_x64(False):
        assert {leaf.dtype for leaf in cast([np.ones(2), jnp.ones(2, jnp.float16)], float)} == {np.dtype("float32")}
        with pytest.warns(UserWarning, match="float64 .* truncated to dtype float32"):
            assert cast([np.ones(2), jnp.ones(2, jnp.float16)], "float64")[0].dtype == jnp.float32
    with jax.enable_x64(True):
        assert {leaf.dtype for leaf in cast([np.ones(2), jnp.ones(2, jnp.float16)], float)} == {np.dtype("float64")}


def test_a_cast_is_strong_traced_and_has_a_slope():
    assert jnp.asarray(1.0, jnp.float32).weak_type is cast(jnp.asarray(1.0), jnp.float32).weak_type is False
    found = jax.jit(lambda pair: cast(pair, jnp.float16))(Pair(jnp.ones(2), jnp.arange(2)))
    assert (found.x.dtype, found.y.dtype) == (jnp.float16, jnp.arange(2).dtype)
    slopes = jax.grad(lambda pair: cast(pair, jnp.float16).x.sum().astype(jnp.float32))(Pair(jnp.ones(2, jnp.float32)))
    assert slopes.x.dtype == jnp.float32


NO_DTYPES = ["flaot32", int, complex, None, bool, KEY.dtype, jnp.ones(2), np.float32(1), 3, jnp.floating]


@pytest.mark.parametrize("dtype", NO_DTYPES, ids=shown)
def test_another_dtype_is_refused(dtype):
    with pytest.raises(errors.TreeError) as caught:
        cast(Pair(jnp.ones(2)), dtype)
    assert str(caught.value) == f"cast: {dtype!r} is no floating dtype; give one, such as jnp.float32 or jnp.bfloat16"


SIZES = {
    "arrays": ([jnp.ones((2, 3), jnp.float32), np.ones(4, np.float64), np.int8(1)], (11, 57)),
    "empty array": (jnp.ones((0, 3), jnp.float32), (0, 0)),
    "shapes": (jax.ShapeDtypeStruct((5, 2), jnp.bfloat16), (10, 20)),
    "int4": (jnp.ones(5, jnp.int4), (5, 5)),
    "random keys": (jax.random.split(KEY, 3), (3, 24)),
    "boolean": (True, (1, 1)),
    "others": (["text", object(), None, Pair(None), {}], (0, 0)),
}


@pytest.mark.parametrize("name", SIZES)
def test_elements_and_bytes_are_counted(name):
    tree, expected = SIZES[name]
    assert count(tree) == expected == tuple(count([tree, Pair(tree)])[i] // 2 for i in range(2))


def test_python_numbers_count_as_the_arrays_that_jax_makes_of_them():
    for x64, expected in ((False, (4, 20)), (True, (4, 40))):
        with jax.enable_x64(x64):
            assert count(Pair([1, 2**70], {"a": 1.5, "b": 1j})) == expected


def test_a_trace_counts_what_eval_shape_does():
    model = Pair(jnp.ones((2, 3), jnp.float32), {"a": jnp.ones((), bool)})
    traced = []
    jax.jit(lambda tree: traced.append(count(tree)))(model)
    assert traced == [count(model)] == [count(jax.eval_shape(lambda: model))] == [(7, 25)]
    assert (count(model).elements, count(model).bytes) == (7, 25)
