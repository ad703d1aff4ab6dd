"""Paths with wildcards: which places match, what they give, and what becomes of the tree."""

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from structkit import Struct, at, errors, static
from structkit._trees import nodes
from structkit._trees.patterns import leaf_mask
from tests.models import Coordinates, Pair
from tests.trees.test_paths import Old, deterministic


class Layer(Struct):
    weight: Any
    bias: Any = None
    k: Any = static(default="k")


class Model(Struct):
    layers: Any
    head: Any = None
    depth: int = static(default=2)


def a_model():
    return Model([Layer(1, 2), Layer(3, None, "m"), {"weight": 5, "other": 6}], (Layer(7, Layer(8, 9)), Old(10)))


MATCHES = {
    "layers.*.weight": {".layers[0].weight": 1, ".layers[1].weight": 3, ".layers[2]['weight']": 5},
    "layers.*.bias": {".layers[0].bias": 2, ".layers[1].bias": None},
    "layers.*.k": {".layers[0].k": "k", ".layers[1].k": "m"},
    "layers[0:2].weight": {".layers[0].weight": 1, ".layers[1].weight": 3},
    "layers[:].weight": {".layers[0].weight": 1, ".layers[1].weight": 3, ".layers[2]['weight']": 5},
    "layers[::-2].weight": {".layers[0].weight": 1, ".layers[2]['weight']": 5},
    "layers[-1:].*": {".layers[2]['other']": 6, ".layers[2]['weight']": 5},
    "head[1:].w": {".head[1].w": 10},
    "head.*.n": {".head[1].n": 3},
    "**.k": {".layers[0].k": "k", ".layers[1].k": "m", ".head[0].bias.k": "k", ".head[0].k": "k"},
    "**.depth": {".depth": 2},
    "head.**.weight": {".head[0].weight": 7, ".head[0].bias.weight": 8},
    "**.bias.weight": {".head[0].bias.weight": 8},
    "head.**": {".head[0].weight": 7, ".head[0].bias.weight": 8, ".head[0].bias.bias": 9, ".head[1].w": 10},
    "head.0.**": {".head[0].weight": 7, ".head[0].bias.weight": 8, ".head[0].bias.bias": 9},
    "layers.0.weight.**": {".layers[0].weight": 1},
    "**.0.weight": {".layers[0].weight": 1, ".head[0].weight": 7},
    "*.*.w": {".head[1].w": 10},
    "**.**.w": {".head[1].w": 10},
    "**['weight']": {".layers[2]['weight']": 5},
}


@pytest.mark.parametrize("path", MATCHES)
def test_the_places_that_match_are_read_set_and_changed(path):
    tree, found = a_model(), MATCHES[path]
    ref = at(tree, path)
    assert ref.get() == found and list(ref.get()) == ref.paths() == list(found)
    for after in (ref.set("new"), ref.apply(lambda _: "new"), ref.set(dict.fromkeys(found, "new"))):
        assert at(after, path).get() == dict.fromkeys(found, "new")
        rest = [key for key in at(tree, "**").paths() if key not in found]
        assert [at(after, key).get() for key in rest] == [at(tree, key).get() for key in rest]
    seen = []
    named = ref.apply(lambda key, value: seen.append((key, value)) or key, with_path=True)
    assert dict(seen) == found and at(named, path).get() == {key: key for key in found}
    below = at([tree], lambda t: t[0]).at(path)
    assert below.get() == {"[0]" + key: value for key, value in found.items()}
    assert below.set("new") == [ref.set("new")] and tree == a_model()


def test_a_dict_by_path_gives_each_place_its_value_and_another_dict_is_one_value():
    tree = a_model()
    values = {".layers[0].weight": 10, ".layers[1].weight": 30, ".layers[2]['weight']": 50}
    assert at(at(tree, "layers.*.weight").set(values), "layers.*.weight").get() == values
    others = {"layers.0.weight": 10, "layers[-2].weight": 30, "layers[2]['weight']": 50}
    assert at(tree, "layers.*.weight").set(others) == at(tree, "layers.*.weight").set(values)
    assert at({"a": 1, "b": 2}, "*").set({"b": 3, "['a']": 4}) == {"a": 4, "b": 3}
    assert at([tree], lambda t: t[0]).at("layers.*.weight").set(
        {"[0]" + key: value for key, value in values.items()}
    ) == [at(tree, "layers.*.weight").set(values)]
    assert at(tree, "layers[:2].weight").set({"a": 1}).layers[1].weight == {"a": 1}
    for value in ({}, {("a",): 1, 2: 3, None: 4}, {"*": 1}, {"": 2}, {"layers": 1}):
        assert at(tree, "layers[:2].weight").set(value).layers[1].weight == value
    assert at(1, "**").set({"": 2}) == 2


def test_what_does_not_change_is_kept():
    tree = a_model()
    after = at(tree, "layers.*.bias").apply(lambda bias: bias)
    assert after is tree
    assert at(tree, "layers[0:1].bias").set(0).head is tree.head


def test_wildcards_go_on_from_wildcards():
    tree = a_model()
    assert at(tree, "layers.*").at("weight").get() == at(tree, "layers.*.weight").get()
    assert at(tree, "**").at("").paths() == at(tree, "**").paths()
    first = at(tree, "layers[:2]").at(lambda layer: layer.weight)
    assert first.get() == (1, 3) and first.set((2, 4)).layers[1] == Layer(4, None, "m")
    assert at(tree, "layers[:2]").at("[0:0]").paths is not None
    assert at(tree, lambda t: t.layers).at("*.weight").paths() == at(tree, "layers.*.weight").paths()
    assert at([tree, tree], "0", "1").at("layers[:2].bias").get() == (2, None, 2, None)


def test_wildcards_work_in_jit_and_grad():
    model = Model([Layer(jnp.ones(2), jnp.zeros(2)) for _ in range(2)])
    doubled = jax.jit(lambda m: at(m, "layers.*.weight").apply(lambda w: w * 2))(model)
    assert [w.tolist() for w in at(doubled, "**.weight").get().values()] == [[2.0, 2.0]] * 2
    grads = jax.grad(lambda w: sum(jax.tree.leaves(at(model, "**.weight").set(w))).sum())(jnp.ones(2))
    assert grads.tolist() == [2.0, 2.0]


def test_static_fields_take_what_a_constructor_would():
    class Counted(Struct):
        n: int = static(converter=int)

    assert at([Counted(1), Counted(2)], "*.n").set("7") == [Counted(7), Counted(7)]
    with pytest.raises(errors.StaticValueError, match=r"static field Layer\.k cannot hold a list"):
        at(a_model(), "**.k").set([])


NOTHING = "`*` is one step through data, `**` any number"
REFUSED = [
    ("layrs.*.weight", f"path 'layrs.*.weight' matches nothing (did you mean 'layers'?); {NOTHING}"),
    ("layers.*.wieght", f"path 'layers.*.wieght' matches nothing (did you mean 'weight'?); {NOTHING}"),
    ("depth.*", f"path 'depth.*' matches nothing; {NOTHING}"),
    ("layers[7:].weight", f"path 'layers[7:].weight' matches nothing; {NOTHING}"),
    ("**.nothing", f"path '**.nothing' matches nothing; {NOTHING}"),
]


@pytest.mark.parametrize(("path", "text"), REFUSED)
@pytest.mark.parametrize("use", ["get", "paths", "set", "apply"])
def test_a_path_that_matches_nothing_is_refused_with_the_nearest_name(path, text, use):
    arguments = {"get": (), "paths": (), "set": (0,), "apply": (lambda leaf: leaf,)}[use]
    with pytest.raises(errors.PlaceError) as caught:
        getattr(at(a_model(), path), use)(*arguments)
    assert str(caught.value) == f"at(tree, where): {text}"


@pytest.mark.parametrize("change", [lambda ref: ref.set(0), lambda ref: ref.apply(lambda x: x)])
def test_a_match_inside_a_match_can_be_read_and_not_changed(change):
    ref = at(a_model(), "head.**.bias")
    assert ref.paths() == [".head[0].bias", ".head[0].bias.bias"]
    with pytest.raises(errors.PlaceError) as caught:
        change(ref)
    what = "tree.head[0].bias.bias is inside tree.head[0].bias, which matches too"
    assert str(caught.value) == f"at(tree, where): {what}; write a path of which no match is inside another"
    with pytest.raises(errors.PlaceError, match=r"tree\[0\]\.head\[0\]\.bias\.bias is inside tree\[0\]\.head"):
        change(at([a_model()], lambda t: t[0]).at("head.**.bias"))


VALUES = [
    (
        {".layers[0].weight": 1},
        "tree.layers[1].weight has no value; give all 2 places one, or one to all",
    ),
    (
        {".layers[0].weight": 1, ".layers[1].wieght": 2},
        "path 'layers[:2].weight' does not match '.layers[1].wieght' (did you mean '.layers[1].weight'?); "
        "it matches .layers[0].weight, .layers[1].weight",
    ),
    (
        {"layers[0].weight": 1, ".layers[0].weight": 2},
        "tree.layers[0].weight is named twice; name each place once",
    ),
    ({"layers.0.weight": 1}, "tree.layers[1].weight has no value; give all 2 places one, or one to all"),
]


@pytest.mark.parametrize(("values", "text"), VALUES)
def test_a_dict_by_path_has_each_path_and_no_other(values, text):
    with pytest.raises(errors.PlaceError) as caught:
        at(a_model(), "layers[:2].weight").set(values)
    assert str(caught.value) == f"at(tree, where): {text}"


def refusing(value):
    if value == 7:
        raise ValueError("no sevens")
    return value


@pytest.mark.parametrize(
    ("ref", "path"),
    [
        (lambda tree: at(tree, "**.weight"), ".head[0].weight"),
        (lambda tree: at(tree, "**"), ".head[0].weight"),
        (lambda tree: at(tree, lambda t: t.head).at("*.weight"), ".head[0].weight"),
        (lambda tree: at(tree, lambda t: t.head[0].weight), ".head[0].weight"),
        (lambda tree: at(tree, lambda t: (t.depth, t.head[0].weight)), ".head[0].weight"),
        (lambda tree: at(Model(0, depth=7), "**.depth"), ".depth"),
        (lambda tree: at(7, "**"), ""),
    ],
)
def test_what_the_function_raises_says_where(ref, path):
    tree = Model([Layer(1)], (Layer(7), Layer(3)))
    with pytest.raises(ValueError, match="no sevens") as caught:
        ref(tree).apply(refusing)
    assert caught.value.__notes__ == [f"at(tree, where): this was raised for tree{path}"]
    assert tree == Model([Layer(1)], (Layer(7), Layer(3)))


def test_a_static_value_that_is_refused_says_where():
    with pytest.raises(errors.StaticValueError) as caught:
        at([a_model()], lambda t: t[0]).at("layers[1:].k").set([])
    assert caught.value.__notes__ == ["at(tree, where): this was raised for tree[0].layers[1].k"]


def test_no_array_or_number_is_flattened_to_learn_that_it_is_a_leaf(monkeypatch):
    numbers = [1, 2.0, True, 1j, "text", np.float32(1), np.int8(1), np.bool_(True), jnp.bfloat16(1)]
    arrays = [np.ones(2), jnp.ones(2), jax.random.key(0), jax.ShapeDtypeStruct((2,), jnp.float32)]
    monkeypatch.setattr(nodes, "one_level", None)
    assert at([*numbers, *arrays], "**").set(0) == [0] * 13
    jax.jit(lambda tree: at(tree, "**").set(0))(Layer(1.0, jnp.ones(2)))


def test_matches_inside_matches_are_read_in_a_deep_tree():
    tree: Any = 0
    for _ in range(900):
        tree = Layer(tree)
    assert len(at(tree, "**.weight").get()) == 900
    assert at(tree, "**.bias").set(1).weight.weight.bias == 1


def test_not_all_of_many_paths_are_in_an_error():
    with pytest.raises(errors.PlaceError) as caught:
        at(list(range(99)), "*").set({"[99]": 0})
    shown = ", ".join(f"[{i}]" for i in range(10))
    what = "path '*' does not match '[99]' (did you mean '[9]'?)"
    assert str(caught.value) == f"at(tree, where): {what}; it matches {shown}, ..."
    with pytest.raises(errors.PlaceError) as caught:
        at(list(range(99)), lambda t: [*t]).set(0)
    shown = ", ".join(f"tree[{i}]" for i in range(10))
    assert str(caught.value) == f"at(tree, where): {shown}, ... are 99 places, and set is given an int; pass a tuple"


def test_a_dict_by_path_is_looked_into_once_for_each_place():
    class Text(str):
        compared = 0

        def __eq__(self, other):
            Text.compared += 1
            return super().__eq__(other)

        __hash__ = str.__hash__

    tree = list(range(1000))
    values = {Text(path): 0 for path in at(tree, "*").paths()}
    assert at(tree, "*").set(values) == [0] * 1000 and Text.compared < 10_000


def test_leaves_under_matches_are_marked():
    tree = Model([Layer(1, (2, 3)), Layer(4, None)], {"b": 5})
    assert jax.tree.leaves(tree) == [1, 2, 3, 4, 5]
    assert leaf_mask(tree, "layers.*.bias") == [False, True, True, False, False]
    assert leaf_mask(tree, "**") == leaf_mask(tree, "") == [True] * 5
    assert leaf_mask(tree, "layers[1]") == [False, False, False, True, False]
    with pytest.raises(errors.PlaceError, match=r"path '\*\*\.k' matches nothing"):
        leaf_mask(tree, "**.k")  # No leaf is there.


# Against plain Python: a path with wildcards as a regular expression over the texts of all paths.
STEP = r"(?:\.\w+|\[(?:'[^']*'|-?\d+)\])"
PIECES = st.sampled_from(["*", "**", "x", "y", "0", "1", "w"])


def expression(path):
    """The regular expression for a path whose last segment is not `**`."""
    parts = []
    for piece in path:
        if piece == "*":
            parts.append(STEP)
        elif piece == "**":
            parts.append(f"{STEP}*")
        else:
            parts.append(rf"(?:\.{piece}|\['{piece}'\]|\[{piece}\])")
    return re.compile("".join(parts))


def every_place(tree, path=""):
    """Each place below the root that data lead to: path -> what is there."""
    found = {}
    if isinstance(tree, Struct | Old):
        children = [(f".{name}", getattr(tree, name)) for name in (("w",) if isinstance(tree, Old) else ("x", "y"))]
    elif isinstance(tree, Coordinates):
        children = [(".x", tree.x), (".y", tree.y)]
    elif isinstance(tree, list | tuple):
        children = [(f"[{i}]", item) for i, item in enumerate(tree)]
    elif isinstance(tree, dict):
        children = [(f"[{key!r}]", tree[key]) for key in sorted(tree)]
    else:
        children = []
    for text, child in children:
        found |= {path + text: child} | every_place(child, path + text)
    return found


SIMPLE = st.recursive(
    st.integers(0, 9) | st.none(),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.lists(inner, max_size=2).map(tuple),
        st.dictionaries(st.sampled_from(["x", "w", "0"]), inner, max_size=3),
        st.builds(Pair, inner, inner),
        st.builds(Old, inner),
    ),
    max_leaves=10,
)


@settings(deterministic, max_examples=300)
@given(SIMPLE, st.lists(PIECES, min_size=1, max_size=4).filter(lambda path: "*" in path or "**" in path))
def test_what_matches_is_what_a_regular_expression_over_all_paths_finds(tree, path):
    places = every_place(tree)
    if path[-1] == "**":
        pattern = expression(path)
        leaves = {jax.tree_util.keystr(way): leaf for way, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]}
        expected = {key: leaf for key, leaf in leaves.items() if pattern.fullmatch(key)}
    else:
        pattern = expression(path)
        expected = {key: value for key, value in places.items() if pattern.fullmatch(key)}
    try:
        found = at(tree, ".".join(path)).get()
    except errors.PlaceError as error:
        assert "matches nothing" in str(error) and expected == {}
    else:
        assert found == expected and list(found) == list(expected)


@settings(max_examples=200)
@given(SIMPLE, st.lists(PIECES, min_size=1, max_size=4))
def test_the_mask_of_a_path_has_the_leaves_at_and_under_its_matches(tree, path):
    text = ".".join(path)
    try:
        places = at(tree, text).paths()
    except errors.PlaceError:
        with pytest.raises(errors.PlaceError):
            leaf_mask(tree, text)
        return
    leaves = [jax.tree_util.keystr(way) for way, _ in jax.tree_util.tree_flatten_with_path(tree)[0]]
    under = [any(leaf == place or leaf.startswith((place + ".", place + "[")) for place in places) for leaf in leaves]
    assert leaf_mask(tree, text) == under
