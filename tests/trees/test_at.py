"""Places inside trees: what `at` reaches, changes, keeps and refuses."""

import dataclasses
import operator
from collections import OrderedDict, defaultdict
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from structkit import Ref, Struct, StructError, at, errors, static
from tests.models import Coordinates, Loud, LoudCustom, Mutable, Pair


class Model(Struct):
    layers: Any
    sizes: Any = static(default=(1, 2))
    extra: Any = None


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class Registered:
    a: Any
    b: Any = dataclasses.field(default="static", metadata={"static": True})


@jax.tree_util.register_pytree_node_class
class Ring:
    def __init__(self, items):
        self.items = items

    def __getitem__(self, index):
        return self.items[index]

    def tree_flatten(self):
        return tuple(self.items), None

    @classmethod
    def tree_unflatten(cls, _, items):
        return cls(list(items))


class Marker:
    """Hashable, so that it fits static places too, and equal to itself alone."""


def a_tree():
    extra = {
        "corner": Coordinates(1, [2, Coordinates(3, (4, 5))]),
        "numbers": {5: (6, 7), -1: 8},
        "none": None,
        "registered": Registered(9),
        "ordered": OrderedDict(b=10),
        "ring": Ring([11, Pair(12)]),
        "mutable": Mutable([16]),
    }
    return Model([Pair(jnp.ones(2)), Pair("p", "q")], (13, Coordinates(14, 15)), extra)


WHERES = {
    "layers": (lambda m: m.layers, ...),
    "item": (lambda m: m.layers[1], Pair("p", "q")),
    "negative item": (lambda m: m.layers[-1], Pair("p", "q")),
    "the first item from the end": (lambda m: m.layers[-2].name, "pair"),
    "attribute": (lambda m: m.layers[1].x, "p"),
    "None": (lambda m: m.layers[0].y, None),
    "static": (lambda m: m.layers[0].name, "pair"),
    "static tuple": (lambda m: m.sizes, (13, Coordinates(14, 15))),
    "item of a static": (lambda m: m.sizes[0], 13),
    "attribute of a named tuple in a static": (lambda m: m.sizes[1].y, 15),
    "negative item of a named tuple in a static": (lambda m: m.sizes[-1][-2], 14),
    "dict key": (lambda m: m.extra["corner"], ...),
    "named tuple attribute": (lambda m: m.extra["corner"].x, 1),
    "named tuple item": (lambda m: m.extra["corner"][0], 1),
    "negative named tuple items": (lambda m: m.extra["corner"][-1][-1][-2], 3),
    "list in a named tuple": (lambda m: m.extra["corner"].y[0], 2),
    "tuple in a named tuple": (lambda m: m.extra["corner"].y[1].y[-1], 5),
    "int key": (lambda m: m.extra["numbers"][5], (6, 7)),
    "negative int key": (lambda m: m.extra["numbers"][-1], 8),
    "None in a dict": (lambda m: m.extra["none"], None),
    "registered dataclass": (lambda m: m.extra["registered"].a, 9),
    "ordered dict": (lambda m: m.extra["ordered"]["b"], 10),
    "custom node": (lambda m: m.extra["ring"][1].x, 12),
    "item in a mutable struct": (lambda m: m.extra["mutable"].x[0], 16),
    "a length": (lambda m: m.layers[len(m.layers) - 1].x, "p"),
    "iteration": (lambda m: next(layer for i, layer in enumerate(m.layers) if i == 1).x, "p"),
    "the tree itself": (lambda m: m, ...),
}


def plain(value):
    """`value` as nested lists and dicts that keep the types of the nodes, to compare trees with odd leaves."""
    if isinstance(value, Struct | Registered | Ring):
        return [type(value), {name: plain(inner) for name, inner in vars(value).items()}]
    if isinstance(value, dict):
        return [type(value), {key: plain(inner) for key, inner in value.items()}]
    if isinstance(value, list | tuple):
        return [type(value), *map(plain, value)]
    return value.tolist() if isinstance(value, jax.Array) else value


@pytest.mark.parametrize("name", WHERES)
def test_a_place_is_read_set_and_changed(name):
    where, expected = WHERES[name]
    tree = a_tree()
    before = plain(tree)
    ref = at(tree, where)
    assert isinstance(ref, Ref) and ref.get() is where(tree)
    assert expected is ... or ref.get() == expected
    marker, seen = Marker(), []
    after = ref.set(marker)
    assert plain(tree) == before != plain(after)
    assert (after if where(tree) is tree else where(after)) is marker
    applied = ref.apply(lambda value: seen.append(value) or marker)
    assert len(seen) == 1 and seen[0] is where(tree)
    assert plain(applied) == plain(after)
    if after is not marker:
        back = at(after, where).set(where(tree))
        assert plain(back) == before and jax.tree.structure(back) == jax.tree.structure(tree)


def test_what_is_off_the_way_is_shared():
    tree = a_tree()
    after = at(tree, lambda m: m.layers[1].x).set(0)
    assert after.layers[0] is tree.layers[0] and after.extra is tree.extra


def test_dict_subclasses_and_their_order_are_kept():
    after = at(defaultdict(int, {"b": 1, "a": 2}), lambda t: t["a"]).set(5)
    assert after == {"b": 1, "a": 5} and after.default_factory is int
    ordered = at(OrderedDict(b=1, a=2), lambda t: t["b"]).set(3)
    assert list(ordered.items()) == [("b", 3), ("a", 2)]


def test_places_and_updates_are_chained():
    tree = a_tree()
    ref = at(tree, lambda m: m.layers).at(lambda layers: layers[1]).at(lambda layer: layer.x)
    assert ref.get() == "p"
    assert plain(ref.set(5)) == plain(at(tree, lambda m: m.layers[1].x).set(5))
    assert ref.apply(lambda value: value * 2).layers[1].x == "pp"
    assert at(tree, lambda m: m.layers[0]).at(lambda layer: layer.name).set("n").layers[0].name == "n"
    assert at(at(Pair(1, 2), lambda p: p.x).set(3), lambda p: p.y).apply(lambda y: y + 1) == Pair(3, 3)


def test_the_path_is_shown():
    assert repr(at(a_tree(), lambda m: m.layers[-1].x)) == "at(<Model>.layers[-1].x)"
    assert repr(at({"a": 1}, lambda t: t["a"])) == "at(<dict>['a'])"


def test_a_tree_needs_no_struct():
    assert at([1, (2, [3])], lambda t: t[1][1][0]).set(4) == [1, (2, [4])]
    assert at({True: "a"}, lambda t: t[True]).set("b") == {True: "b"}


def test_no_code_of_the_classes_runs_and_derived_fields_are_places():
    made = [Loud(1), LoudCustom(1)]
    Loud.marks.clear()
    LoudCustom.marks.clear()
    after = at(at(at(made, lambda t: t[0].x).set(-5), lambda t: t[1].y).set(-6), lambda t: t[0].twice).set(9)
    assert Loud.marks == LoudCustom.marks == []
    assert vars(after[0]) == {"x": -5, "y": 0, "twice": 9, "label": "a"}
    assert vars(after[1]) == {"x": 1, "y": -6, "n": 1}


def test_a_static_place_takes_what_a_constructor_would():
    assert at(Pair(1), lambda p: p.name).set("n") == Pair(1, None, "n")
    with pytest.raises(TypeError, match=r"static field Pair\.name cannot hold a list"):
        at(Pair(1), lambda p: p.name).set(["n"])
    assert jax.tree.structure(at(Pair(1, None, 1), lambda p: p.name).set(True)) != jax.tree.structure(Pair(1, None, 1))


def test_places_work_under_jit_and_grad():
    tree = Model([Pair(jnp.ones(2)), Pair(jnp.ones(2))])
    after = jax.jit(lambda m: at(m, lambda t: t.layers[0].x).apply(lambda x: x * 2))(tree)
    assert after.layers[0].x.tolist() == [2.0, 2.0]
    grads = jax.grad(lambda x: at(tree, lambda t: t.layers[-1].x).set(x).layers[1].x.sum())(jnp.ones(2))
    assert grads.tolist() == [1.0, 1.0]


CURE = "point at the leaf and use .apply(lambda leaf: ...)"
FOLLOW = "follow attributes and items only"
ONE_PLACE = "return one place: lambda t: t.weight"

REFUSED = [
    (
        Model([Pair(1)]),
        lambda m: m.layers[0].nmae,
        "tree.layers[0].nmae is no field of Pair (did you mean 'name'?); fields: x, y, name",
    ),
    ([1, 2], lambda t: t[2], "tree[2] is no child of the list; children: [0], [1]"),
    ([1, 2], lambda t: t[-3], "tree[-3] is no child of the list; children: [0], [1]"),
    ([1], lambda t: t[0:1], f"tree[{slice(0, 1)}] is no child of the list; children: [0]"),
    ((1, 2), lambda t: t[-3], "tree[-3] is no child of the tuple; children: [0], [1]"),
    ({"a": 1}, lambda t: t["b"], "tree['b'] is no child of the dict; children: ['a']"),
    ({"a": 1}, lambda t: t.a, "tree.a is no child of the dict; children: ['a']"),
    ({1: 1}, lambda t: t[True], "tree[True] is no child of the dict; children: [1]"),
    ({1: 1}, lambda t: t[-1], "tree[-1] is no child of the dict; children: [1]"),
    (Coordinates(1, 2), lambda t: t.z, "tree.z is no child of the Coordinates; children: .x, .y"),
    (Coordinates(1, 2), lambda t: t[2], "tree[2] is no child of the Coordinates; children: .x, .y"),
    (Coordinates(1, 2), lambda t: t[-3], "tree[-3] is no child of the Coordinates; children: .x, .y"),
    (Coordinates(1, 2), lambda t: t["x"], "tree['x'] is no child of the Coordinates; children: .x, .y"),
    ([], lambda t: t[0], "tree[0] is no child of the list; children: none"),
    ((), lambda t: t[-1], "tree[-1] is no child of the tuple; children: none"),
    ({}, lambda t: t["a"], "tree['a'] is no child of the dict; children: none"),
    (Pair(jnp.ones(3)), lambda p: p.x[0], f"tree.x[0] goes into a leaf of type ArrayImpl; {CURE}"),
    (Pair(1), lambda p: p.y.x, f"tree.y.x goes into a leaf of type NoneType; {CURE}"),
    (Pair(1), lambda p: p.name.upper, f"tree.name.upper goes into a leaf of type str; {CURE}"),
    (Pair(1), lambda p: 3, f"where returned a int, not a place; {ONE_PLACE}"),
    (Pair(1), lambda p: (p.x, p.y), f"where returned a tuple, not a place; {ONE_PLACE}"),
    (Pair(1), lambda p: None, f"where returned a NoneType, not a place; {ONE_PLACE}"),
    (Pair(1), 3, "where is a int; pass a function: lambda t: t.layers[0].weight"),
    ({"a": 1}, lambda t: next(iter(t)), "tree is a dict and is iterated over; use an index or key"),
    (Pair(1), lambda p: next(iter(p)), "tree is a Pair and is iterated over; use an index or key"),
    (Pair(1), lambda p: len(p), f"tree is used in an operation (len); {FOLLOW}"),
    (Pair(1), lambda p: p.x + 1, f"tree.x is used in an operation (add); {FOLLOW}"),
    (Pair(1), lambda p: -p.x, f"tree.x is used in an operation (neg); {FOLLOW}"),
    (Pair(1), lambda p: p.x * p.y, f"tree.x is used in an operation (mul); {FOLLOW}"),
    (Pair(1), lambda p: abs(p.x), f"tree.x is used in an operation (abs); {FOLLOW}"),
    (Pair(1), lambda p: p.x if p.x > 0 else p.y, f"tree.x is used in an operation (gt); {FOLLOW}"),
    (Pair(1), lambda p: p.x or p.y, f"tree.x is used in an operation (bool); {FOLLOW}"),
    (Pair(1), lambda p: p.x(2), f"tree.x is used in a call; {FOLLOW}"),
]


@pytest.mark.parametrize(("tree", "where", "text"), REFUSED, ids=[text for *_, text in REFUSED])
def test_what_is_no_place_is_refused_with_the_path_and_a_cure(tree, where, text):
    with pytest.raises(errors.PlaceError) as caught:
        at(tree, where)
    assert str(caught.value) == f"at(tree, where): {text}"
    assert isinstance(caught.value, LookupError) and isinstance(caught.value, StructError)


@pytest.mark.parametrize(
    ("tree", "where"), [(Pair(1), lambda t: setattr(t, "x", 3)), ([1], lambda t: operator.setitem(t, 0, 3))]
)
def test_where_cannot_assign(tree, where):
    with pytest.raises((AttributeError, TypeError)):
        at(tree, where)


def test_a_place_further_down_must_be_one_too():
    ref = at(Pair([1]), lambda p: p.x)
    with pytest.raises(errors.PlaceError, match=r"tree\.x\[1\] is no child of the list"):
        ref.at(lambda x: x[1])
