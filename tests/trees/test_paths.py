"""Paths as text: what each form leads to, that every path of JAX's is one, and what is refused."""

from collections import OrderedDict
from typing import Any

import jax
import pytest
from hypothesis import given, settings, strategies as st

from structkit import Ref, Struct, at, errors, static, struct
from tests.models import Colour, Coordinates, Mutable, Pair

deterministic = settings(derandomize=True, database=None, deadline=None)


class Model(Struct):
    layers: Any
    by: Any = None
    depth: int = static(default=2)


@struct.dataclass
class Old:
    w: Any
    n: Any = struct.field(pytree_node=False, default=3)


class Key:
    """A key whose text is no Python."""

    def __repr__(self):
        return "it's ] a key"

    def __lt__(self, other):
        return False

    def __hash__(self):
        return 7

    def __eq__(self, other):
        return type(other) is Key


KEYS = {
    "a.b": 1,
    "": 2,
    "'": 3,
    'it\'s "both"': 4,
    "a]b": 5,
    "[0]": 6,
    "0": 7,
    "*": 8,
    "a\\'b": 9,
    "\n": 10,
    "ü": 11,
    "0:2": 12,
}
TREE = Model(
    [Pair(1, (2, [3])), Coordinates(4, Old(5)), Mutable({7: "seven", -1: "minus"})],
    {"keys": KEYS, "odd": {Key(): Pair(20)}, "tuples": {(1, "a]"): 30, (2, "b"): 31}, "ordered": OrderedDict(z=40)},
)


def mixed(value):
    """A tree that has the dict key 0 beside the text '0' is none of JAX's, and is one of these functions'."""
    return {0: value, "0": value}


@pytest.mark.parametrize(
    "path",
    [
        *(jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_flatten_with_path(TREE)[0]),
        *(jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_flatten_with_path({Colour.RED: 1})[0]),
    ],
)
def test_every_path_that_jax_writes_is_one(path):
    tree = {Colour.RED: 1} if "Colour" in path else TREE
    named = {jax.tree_util.keystr(way): leaf for way, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]}
    assert at(tree, path).get() is named[path] and at(tree, path).paths() == [path]
    changed = at(tree, path).set("new")
    for other, leaf in jax.tree_util.tree_flatten_with_path(changed)[0]:
        text = jax.tree_util.keystr(other)
        assert leaf == ("new" if text == path else named[text])


PLACES = {
    "": TREE,
    "layers": TREE.layers,
    ".layers[0].x": 1,
    "layers[0].x": 1,
    "layers.0.x": 1,
    "layers.-3.x": 1,
    "layers[-3].x": 1,
    "layers[0].y[1][0]": 3,
    "layers.0.y.1.0": 3,
    "layers[0].name": "pair",
    "layers[1].x": 4,
    "layers[1][0]": 4,
    "layers.1.0": 4,
    "layers[1].y.w": 5,
    "layers[1].y.n": 3,
    "layers[2].x[7]": "seven",
    "layers[2].x.7": "seven",
    "layers[2].x.-1": "minus",
    "depth": 2,
    "by.keys": KEYS,
    "by['keys']['a.b']": 1,
    'by["keys"]["a.b"]': 1,
    "by.keys['']": 2,
    "by.keys.0": 7,
    "by.keys['0']": 7,
    "by.keys.'": 3,
    "by.keys['*']": 8,
    "by.tuples[(1, 'a]')]": 30,
    "by.tuples[(2,'b')]": 31,
    "by.ordered.z": 40,
    "by.ordered['z']": 40,
}


@pytest.mark.parametrize("path", PLACES)
def test_a_path_leads_to_one_place(path):
    ref = at(TREE, path)
    assert isinstance(ref, Ref) and type(ref) is Ref
    assert ref.get() == PLACES[path]
    assert at(ref.set(0), path).get() == 0
    assert at([TREE], lambda t: t[0]).at(path).get() == PLACES[path]
    assert at([TREE], lambda t: t[0]).at(path).paths() == ["[0]" + ref.paths()[0]]


def test_a_number_is_whichever_of_the_keys_there_is():
    assert at({0: "int"}, "0").get() == "int" and at({"0": "text"}, "0").get() == "text"
    assert at(mixed(1), "['0']").set(2) == {0: 1, "0": 2} and at(mixed(1), "[0]").set(2) == {0: 2, "0": 1}


CURE = "point at the leaf and use .apply(lambda leaf: ...)"
REFUSED = [
    (TREE, "layrs", "tree.layrs is no field of Model (did you mean 'layers'?); fields: layers, by, depth"),
    (TREE, "layers[0].z", "tree.layers[0].z is no field of Pair; fields: x, y, name"),
    (TREE, "layers[0]['x']", "tree.layers[0]['x'] is no field of Pair (did you mean 'x'?); fields: x, y, name"),
    (TREE, "layers[9].x", "tree.layers[9] is no child of the list; children: [0], [1], [2]"),
    (TREE, "layers.9.x", "tree.layers.9 is no child of the list; children: [0], [1], [2]"),
    (TREE, "layers.x", "tree.layers.x is no child of the list; children: [0], [1], [2]"),
    (TREE, "by.ordered.y", "tree.by['ordered'].y is no child of the OrderedDict; children: ['z']"),
    (TREE, "layers[0].x.y", f"tree.layers[0].x.y goes into a leaf of type int; {CURE}"),
    (Pair(1), "y.z", f"tree.y.z goes into a leaf of type NoneType; {CURE}"),
    (mixed(1), "0", "tree.0 is both ['0'] and [0]; write one of them in brackets"),
    (TREE, "layers[0", "path 'layers[0' has a bracket that does not close; write [0] or ['key']"),
    (TREE, "layers[0]x", "path 'layers[0]x' has a name right behind a bracket; write a dot: layers[0].weight"),
    (TREE, "layers..x", "path 'layers..x' has an empty name; write one between dots; an empty key is ['']"),
    (TREE, "layers.", "path 'layers.' has an empty name; write one between dots; an empty key is ['']"),
    (TREE, ".", "path '.' has an empty name; write one between dots; an empty key is ['']"),
    (TREE, "layers.[0]", "path 'layers.[0]' has an empty name; write one between dots; an empty key is ['']"),
    (TREE, "lay*.x", "path 'lay*.x' has 'lay*'; a * stands alone between dots: layers.*.bias"),
    (TREE, "***", "path '***' has '***'; a * stands alone between dots: layers.*.bias"),
    (TREE, "layers[*]", "path 'layers[*]' has * in brackets; write .*"),
    (TREE, "layers[::0]", "path 'layers[::0]' has a slice with step 0; leave the step out"),
]


@pytest.mark.parametrize(("tree", "path", "text"), REFUSED, ids=[path for _, path, _ in REFUSED])
def test_a_path_that_leads_nowhere_is_refused_with_the_nearest_names(tree, path, text):
    with pytest.raises(errors.PlaceError) as caught:
        at(tree, path)
    assert str(caught.value) == f"at(tree, where): {text}"


KEY = st.one_of(st.text(max_size=4), st.sampled_from(["*", "**", "0", "[", "]", "'", '"', "\\", ".", "a.b", "0:1"]))
LEAVES = st.integers(0, 9) | st.none()
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(KEY, inner, max_size=3),
        st.dictionaries(st.integers(-3, 12), inner, max_size=3),
        st.builds(Pair, inner, inner),
        st.builds(Coordinates, inner, inner),
        st.builds(Old, inner),
        st.builds(Mutable, inner),
        st.dictionaries(KEY, inner, max_size=3).map(OrderedDict),
    ),
    max_leaves=12,
)


@settings(deterministic, max_examples=200)
@given(TREES)
def test_the_paths_of_any_tree_lead_to_its_leaves(tree):
    ways = jax.tree_util.tree_flatten_with_path(tree)[0]
    for i, (way, leaf) in enumerate(ways):
        ref = at(tree, jax.tree_util.keystr(way))
        assert ref.get() is leaf and ref.paths() == [jax.tree_util.keystr(way)]
        leaves, treedef = jax.tree.flatten(tree)
        leaves[i] = -1
        assert jax.tree.leaves(ref.set(-1)) == leaves and jax.tree.structure(ref.set(-1)) == treedef
