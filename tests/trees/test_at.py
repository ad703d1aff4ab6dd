"""Places inside trees: what `at` reaches, changes, keeps and refuses."""

import dataclasses
import enum
import functools
import operator
from collections import OrderedDict, defaultdict
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from structkit import Ref, Refs, Struct, StructError, at, errors, static
from tests.models import Coordinates, Level, Loud, LoudCustom, Mutable, Pair


class Model(Struct):
    layers: Any
    sizes: Any = static(default=(1, 2))
    extra: Any = None

    @property
    def first(self):
        return self.layers[0]

    def layer(self, i):
        return self.layers[i]

    @functools.cached_property
    def last(self):
        return self.layers[-1]

    @property
    def total(self):
        # What `jnp` compiles takes no stand-in.
        return jnp.sum(self.layers[0].x)

    def times(self, x, *, bias):
        return jnp.sum(self.layers[0].x) * x + len(bias)

    def __getattr__(self, name):
        return getattr(self.layers[1], name)

    def __getitem__(self, index):
        return self.layers[index]


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

    @property
    def second(self):
        return self[1]

    def tree_flatten(self):
        return tuple(self.items), None

    @classmethod
    def tree_unflatten(cls, _, items):
        return cls(list(items))


class Name(enum.StrEnum):
    ORDERED = "ordered"
    B = "b"


class Attributes(Struct):
    data: Any

    def __getattr__(self, name):
        if name in self.data:
            return self.data[name]
        raise AttributeError(name)


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
    return Model([Pair(jnp.ones(2)), Pair("p", ("n", 5))], (13, Coordinates(14, 15)), extra)


WHERES = {
    "layers": (lambda m: m.layers, ...),
    "item": (lambda m: m.layers[1], Pair("p", ("n", 5))),
    "negative item": (lambda m: m.layers[-1], Pair("p", ("n", 5))),
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
    assert repr(at(a_tree(), lambda m: m.layers[-1].x)) == "at(<Model>.layers[1].x)"
    assert repr(at({"a": 1}, lambda t: t["a"])) == "at(<dict>['a'])"
    assert repr(at(Pair(1, 2), lambda p: (p.y, p.x))) == "at(<Pair>.y, .x)"
    assert at(Pair(1, 2), lambda p: p.y).paths() == [".y"]


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


def without_a_key(m):
    try:
        return m.extra["nothing"]
    except KeyError:
        return m.layers


# What `where` asks for is there; what it returns are places. Each with the paths that it has to point at.
ASKING = {
    "arithmetic": (lambda m: m.layers[m.sizes[0] - 13].x, [".layers[0].x"]),
    "reflected arithmetic": (lambda m: m.layers[14 - m.sizes[0]].x, [".layers[1].x"]),
    "a length": (lambda m: m.layers[len(m.layers) - 1].x, [".layers[1].x"]),
    "isinstance": (lambda m: [v for v in m.extra.values() if isinstance(v, Coordinates)], [".extra['corner']"]),
    "a comparison": (lambda m: next(v for v in m.sizes if v == 13), [".sizes[0]"]),
    "an order": (lambda m: m.sizes[0] if m.sizes[0] > 12 else m.layers, [".sizes[0]"]),
    "truth": (lambda m: m.layers[0] if m.layers else m.extra, [".layers[0]"]),
    "a comprehension": (lambda m: [layer.x for layer in m.layers], [".layers[0].x", ".layers[1].x"]),
    "a slice": (lambda m: m.layers[:1], [".layers[0]"]),
    "a slice from the end": (lambda m: m.layers[-1:], [".layers[1]"]),
    "reversed": (lambda m: next(reversed(m.layers)).y, [".layers[1].y"]),
    "items": (lambda m: [v for k, v in m.extra.items() if k == "none"], [".extra['none']"]),
    "items of a subclass of dict": (lambda m: [v for _, v in m.extra["ordered"].items()], [".extra['ordered']['b']"]),
    "get": (lambda m: m.extra.get("none"), [".extra['none']"]),
    "get, in vain": (lambda m: m.extra.get("nothing", m.layers), [".layers"]),
    "keys": (lambda m: m.extra[sorted(m.extra)[0]].x, [".extra['corner'].x"]),
    "iteration over a dict": (lambda m: m.extra[min(m.extra)].x, [".extra['corner'].x"]),
    "in": (lambda m: m.layers if "none" in m.extra else m.extra, [".layers"]),
    "an f-string": (lambda m: m.extra[f"{m.layers[1].y[0]}one"], [".extra['none']"]),
    "a value as key": (lambda m: m.extra["numbers"][m.layers[1].y[1]], [".extra['numbers'][5]"]),
    "hasattr": (lambda m: m.layers if hasattr(m, "layers") else m.extra, [".layers"]),
    "except": (without_a_key, [".layers"]),
    "getattr": (lambda m: getattr(m, "nothing", m.sizes), [".sizes"]),
    "None by ==": (lambda m: m.layers if m.extra["none"] == None else m.extra, [".layers"]),  # noqa: E711
    "a shape": (lambda m: m.layers[m.layers[0].x.shape[0] - 1].x, [".layers[1].x"]),
    "jnp": (lambda m: m.layers[0].x if jnp.all(m.layers[0].x > 0) else m.layers, [".layers[0].x"]),
    "int": (lambda m: m.layers[int(m.layers[0].x[0])].x, [".layers[1].x"]),
    "an int in a dict that has it": (lambda m: m.extra["numbers"][-1], [".extra['numbers'][-1]"]),
    "an index of numpy's": (lambda m: m.layers[np.argmax([0, 1])].x, [".layers[1].x"]),
    "an index of JAX's": (lambda m: m.layers[jnp.argmax(jnp.array([0, 1]))].x, [".layers[1].x"]),
    "an index that is an enum": (lambda m: m.layers[Level.ONE].x, [".layers[1].x"]),
    "a key of numpy's": (
        lambda m: [m.extra[np.str_("none")], m.extra["numbers"][np.int64(5)]],
        [".extra['none']", ".extra['numbers'][5]"],
    ),
    "a key that is an enum": (lambda m: m.extra[Name.ORDERED][Name.B], [".extra['ordered']['b']"]),
    "a property": (lambda m: m.first.x, [".layers[0].x"]),
    "a method": (lambda m: m.layer(-1).x, [".layers[1].x"]),
    "a cached property": (lambda m: m.last.x, [".layers[1].x"]),
    "a property that computes": (lambda m: m.layers if m.total == 2 else m.extra, [".layers"]),
    "a method that computes": (lambda m: m.layers[int(m.times(m.sizes[0], bias=m.layers)) - 27], [".layers[1]"]),
    "an attribute by `__getattr__`": (lambda m: m.y[1], [".layers[1].y[1]"]),
    "iteration by `__getitem__`": (lambda m: [layer.y for layer in m], [".layers[0].y", ".layers[1].y"]),
    "a method of another library's node": (lambda m: m.extra["ring"].second, [".extra['ring'][<flat index 1>]"]),
    "unpacking": (lambda m: (*m.layers, m.sizes), [".layers[0]", ".layers[1]", ".sizes"]),
}


@pytest.mark.parametrize("name", ASKING)
def test_where_sees_values_where_it_asks_for_them(name):
    where, paths = ASKING[name]
    tree = a_tree()
    assert at(tree, where).paths() == paths
    assert at(tree, lambda m: m).at(where).paths() == paths
    assert plain(at([tree], lambda t: t[0]).at(where).apply(lambda _: 0)) == plain([at(tree, where).apply(lambda _: 0)])


class Branching(Struct):
    a: Any
    b: Any = None
    c: Any = None
    n: Any = static(default=None)


ELSEWHERE = "is where `where` leads on a stand-in for the tree, and on the tree itself it leads elsewhere"
INSTEAD = "write == None for `is None` and isinstance(x, C) for `type(x) is C`, or a path"


@pytest.mark.parametrize(
    ("tree", "where", "path"),
    [
        (Branching(1, None, 2), lambda t: t.a if t.b is None else t.c, ".c"),
        (Branching(jnp.ones(1), None, jnp.ones(1)), lambda t: t.a if t.b is None else t.c, ".c"),
        (Branching(None, None, None), lambda t: t.a if t.b is None else t.c, ".c"),
        (Branching(1, None, 1), lambda t: t.a if t.b is None else t.c, ".c"),
        (Branching((), None, ()), lambda t: t.a if t.b is None else t.c, ".c"),
        (Branching(True, None, True), lambda t: t.a if t.b is None else t.c, ".c"),
        (Branching(None, n=None), lambda t: t.a if t.b is None else t.n, ".n"),
        (Branching([1], None, [1]), lambda t: t.a if t.b is None else t.c, ".c"),
        (Branching(Pair(1), 2), lambda t: t.a if type(t.a) is Pair else t.b, ".b"),
        (Branching(None, None, None), lambda t: [t.a, t.b] if t.n is None else [t.a, t.c], ".c"),
        (Branching(1, 2, None), lambda t: [t.a, t.b] if t.c is None else [t.a], ".a"),
        ([[], [1.0]], jax.tree.leaves, ""),
        ([Branching(None)], lambda t: t[0].a if t[0].b is None else t[0].c, "[0].c"),
    ],
)
def test_what_a_stand_in_cannot_show_is_noticed(tree, where, path):
    with pytest.raises(errors.PlaceError) as caught:
        at(tree, where)
    assert str(caught.value) == f"at(tree, where): tree{path} {ELSEWHERE}; {INSTEAD}"


def test_where_may_fail_on_a_stand_in_alone_and_that_is_said():
    def where(t):
        return t.a if jnp.sum(t.a) > 0 else t.b

    with pytest.raises(errors.PlaceError) as caught:
        at(Branching(jnp.ones(2)), where)
    assert str(caught.value) == (
        "at(tree, where): where raised ValueError on a stand-in for the tree, and not on the tree itself; "
        "use methods, t.weight.sum() in the place of jnp.sum(t.weight), or a path"
    )
    assert "__jax_array__" in str(caught.value.__cause__)


def test_where_that_fails_on_the_tree_too_fails_in_its_own_words():
    with pytest.raises(ZeroDivisionError) as caught:
        at(Branching(1), lambda t: t.a if 1 / 0 else t.b)
    assert caught.value.__suppress_context__


def test_a_test_of_identity_that_leads_to_the_same_place_is_fine():
    assert at(Branching(1), lambda t: t.a if t.a is not None else t.b).set(2).a == 2
    assert at(Branching(3), lambda t: t.a if t.a > 2 else t.b).set(2).a == 2
    for value in (None, 3, True, 0.5, "text", ()):
        assert at(Branching(value, 1), lambda t, value=value: t.a if t.a == value else t.b).set(2).a == 2
        assert at(Branching(n=value, a=1), lambda t, value=value: t.n if t.n == value else t.a).set(2).n == 2
    assert at(Branching(True, 1), lambda t: t.a if t.a else t.b).set(2).a == 2
    assert at([1, 2], lambda t: t[t.count(2)]).set(3) == [1, 3]
    assert at({"a": Branching(None)}, lambda t: t["a"].b).set(2)["a"].b == 2


def test_several_places_are_read_set_and_changed_together():
    tree = Branching(1, Pair(2, 3), [4], n="n")
    ref = at(tree, lambda t: (t.a, t.b.y, t.n))
    assert isinstance(ref, Refs) and ref.get() == (1, 3, "n")
    assert ref.set((5, 6, "m")) == ref.set([5, 6, "m"]) == Branching(5, Pair(2, 6), [4], n="m")
    assert ref.apply(lambda value: value * 2) == Branching(2, Pair(2, 6), [4], n="nn")
    assert ref.apply(lambda path, value: path, with_path=True) == Branching(".a", Pair(2, ".b.y"), [4], n=".n")
    assert at(tree, lambda t: [t.b.x]).get() == (2,)
    several = at(tree, lambda t: t.c[0], lambda t: t.a, "b.x")
    assert several.get() == (4, 1, 2) and several.paths() == [".c[0]", ".a", ".b.x"]
    assert several.set((0, 0, 0)) == Branching(0, Pair(0, 3), [0], n="n")
    pairs = at([Pair(1), Pair(2)], lambda t: (t[0], t[1])).at(lambda pair: pair.x)
    assert pairs.paths() == ["[0].x", "[1].x"] and pairs.set((3, 4)) == [Pair(3), Pair(4)]
    assert at([Pair(1), Pair(2)], lambda t: t[0], lambda t: t[1]).at("x").get() == (1, 2)
    assert tree == Branching(1, Pair(2, 3), [4], n="n")


def test_static_places_are_set_together_with_data():
    class Counted(Struct):
        n: int = static(converter=int)
        x: Any = None

    assert at(Counted(1), lambda t: t.n, lambda t: t.x).set(("7", "7")) == Counted(7, "7")
    with pytest.raises(errors.StaticValueError, match=r"static field Pair\.name cannot hold a list"):
        at(Pair(1), lambda p: p.x, lambda p: p.name).set((2, []))


CURE = "point at the leaf and use .apply(lambda leaf: ...)"
ONE_PLACE = "return one place, or a tuple of places: lambda t: t.weight"
CHANGES = "changes the tree, which stays as it is; use .set(...), .apply(...) or editing"

FIRST = [[i] for i in range(10)]

REFUSED = [
    (
        Model([Pair(1)]),
        lambda m: m.layers[0].nmae,
        "tree.layers[0].nmae is no field of Pair (did you mean 'name'?); fields: x, y, name",
    ),
    ([1, 2], lambda t: t[2], "tree[2] is no child of the list; children: [0], [1]"),
    ([1, 2], lambda t: t[-3], "tree[-3] is no child of the list; children: [0], [1]"),
    ([1], lambda t: t[0:0], f"where returned a list with no place; {ONE_PLACE}"),
    ((1, 2), lambda t: t[-3], "tree[-3] is no child of the tuple; children: [0], [1]"),
    ([0] * 99, lambda t: t[99], f"tree[99] is no child of the list; children: {', '.join(map(str, FIRST))}, ..."),
    ({"a": 1}, lambda t: t["b"], "tree['b'] is no child of the dict; children: ['a']"),
    (
        {"alpha": 1},
        lambda t: t["alhpa"],
        "tree['alhpa'] is no child of the dict (did you mean ['alpha']?); children: ['alpha']",
    ),
    ({"a": 1}, lambda t: t.a, "tree.a is no child of the dict (did you mean ['a']?); children: ['a']"),
    ({1: 1}, lambda t: t[True], "tree[True] is no child of the dict; children: [1]"),
    ({1: 1}, lambda t: t[-1], "tree[-1] is no child of the dict; children: [1]"),
    ({1: 1}, lambda t: t[[]], "tree[[]] is no child of the dict; children: [1]"),
    (Coordinates(1, 2), lambda t: t.z, "tree.z is no child of the Coordinates; children: .x, .y"),
    (Coordinates(1, 2), lambda t: t[2], "tree[2] is no child of the Coordinates; children: .x, .y"),
    (
        Coordinates(1, 2),
        lambda t: t["x"],
        "tree['x'] is no child of the Coordinates (did you mean 'x'?); children: .x, .y",
    ),
    ([], lambda t: t[0], "tree[0] is no child of the list; children: none"),
    ({}, lambda t: t["a"], "tree['a'] is no child of the dict; children: none"),
    (Registered(1), lambda t: t.c, "tree.c is no child of the Registered; children: .a"),
    (Pair(jnp.ones(3)), lambda p: p.x[0], f"tree.x[0] is a value, not a place: where returned an ArrayImpl; {CURE}"),
    (Pair(jnp.ones(3)), lambda p: p.x.T, f"tree.x.T is a value, not a place: where returned an ArrayImpl; {CURE}"),
    (Pair(2), lambda p: p.x + 1, f"tree.x is a value, not a place: where returned an int; {CURE}"),
    (Pair(2), lambda p: 1 - p.x, f"tree.x is a value, not a place: where returned an int; {CURE}"),
    (Pair(2), lambda p: -p.x, f"tree.x is a value, not a place: where returned an int; {CURE}"),
    (Pair(2), lambda p: abs(p.x), f"tree.x is a value, not a place: where returned an int; {CURE}"),
    (Pair(2), lambda p: f"{p.x}", f"tree.x is a value, not a place: where returned a str; {CURE}"),
    (Pair(1), lambda p: p.y.x, f"tree.y.x goes into a leaf of type NoneType; {CURE}"),
    (Pair(1), lambda p: p.x.nothing, f"tree.x.nothing goes into a leaf of type int; {CURE}"),
    (Pair(1), lambda p: p.x[0], f"tree.x[0] goes into a leaf of type int; {CURE}"),
    (Registered(1), lambda t: t.b, f"tree.b is a value, not a place: where returned a str; {CURE}"),
    (Pair([1]), lambda p: p.x.append(2), f"tree.x.append(...) {CHANGES}"),
    ({"a": {}}, lambda t: t["a"].setdefault("b"), f"tree['a'].setdefault(...) {CHANGES}"),
    (Pair(1), lambda p: setattr(p, "x", 3), f"tree.x = ... {CHANGES}"),
    (Pair([1]), lambda p: delattr(p, "x"), f"del tree.x {CHANGES}"),
    (Pair([1]), lambda p: operator.setitem(p.x, 0, 3), f"tree.x[0] = ... {CHANGES}"),
    (Pair([1]), lambda p: operator.delitem(p.x, 0), f"del tree.x[0] {CHANGES}"),
    (Ring([1]), lambda t: t[5], "tree[5] is no child of the Ring; children: [<flat index 0>]"),
    (Attributes({"a": 1}), lambda t: t.b, "tree.b is no field of Attributes; fields: data"),
    (Pair(1), lambda p: 3, f"where returned an int, not a place; {ONE_PLACE}"),
    (Pair(1), lambda p: (p.x, 3), f"where returned a tuple with an int; {ONE_PLACE}"),
    (Pair(1), lambda p: (), f"where returned a tuple with no place; {ONE_PLACE}"),
    (Pair(1), lambda p: {"x": p.x}, f"where returned a dict, not a place; {ONE_PLACE}"),
    (Pair(1), lambda p: None, f"where returned a NoneType, not a place; {ONE_PLACE}"),
    (Pair(1), 3, "where is an int; pass a function or a path: lambda t: t.weight"),
]


@pytest.mark.parametrize(("tree", "where", "text"), REFUSED, ids=[text for *_, text in REFUSED])
def test_what_is_no_place_is_refused_with_the_path_and_a_cure(tree, where, text):
    with pytest.raises(errors.PlaceError) as caught:
        at(tree, where)
    assert str(caught.value) == f"at(tree, where): {text}"
    assert isinstance(caught.value, LookupError) and isinstance(caught.value, StructError)


TOGETHER = [
    (lambda p: (p.x, p.x), (1, 2), "tree.x is named twice; name each place once"),
    (lambda p: (p, p), (1, 2), "tree is named twice; name each place once"),
    (lambda p: (p.x, p.x[0]), (1, 2), "tree.x[0] is inside another place of this call; name one of them"),
    (lambda p: (p.x[0], p.x), (1, 2), "tree.x holds another place of this call; name one of them"),
    (lambda p: (p, p.x), (1, 2), "tree.x is inside another place of this call; name one of them"),
    (lambda p: (p.x, p.y), (1,), "tree.x, tree.y are 2 places, and set is given 1 values; pass a tuple"),
    (lambda p: (p.x, p.y), 1, "tree.x, tree.y are 2 places, and set is given an int; pass a tuple"),
]


@pytest.mark.parametrize(("where", "values", "text"), TOGETHER, ids=[text for *_, text in TOGETHER])
def test_places_that_cannot_be_set_together_are_refused(where, values, text):
    with pytest.raises(errors.PlaceError) as caught:
        at(Pair([1]), where).set(values)
    assert str(caught.value) == f"at(tree, where): {text}"


def test_one_of_several_functions_gives_one_place():
    with pytest.raises(errors.PlaceError) as caught:
        at(Pair(1), lambda p: p.x, lambda p: (p.x, p.y))
    text = "where is one of several and gives 2 places; let each of them give one"
    assert str(caught.value) == f"at(tree, where): {text}"
    with pytest.raises(errors.PlaceError, match=r"path '\*' is one of several and gives 2 places; let each"):
        at([1, 2], "0", "*")
    with pytest.raises(errors.PlaceError, match="where is missing"):
        at(Pair(1))


def test_a_place_further_down_must_be_one_too():
    ref = at(Pair([1]), lambda p: p.x)
    with pytest.raises(errors.PlaceError, match=r"tree\.x\[1\] is no child of the list"):
        ref.at(lambda x: x[1])
