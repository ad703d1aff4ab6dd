"""Changed copies: `replace` in its three forms, and places inside trees with `at`."""

import copy
import dataclasses
import sys
from collections import OrderedDict, defaultdict
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from structkit import Ref, Struct, StructError, at, construct, derived, errors, field, replace, static


class Linear(Struct):
    weight: Any
    bias: Any = None
    name: str = static(default="linear")


class Model(Struct):
    layers: Any
    sizes: tuple[int, ...] = static(default=(1, 2))
    extra: Any = None


class Checked(Struct):
    """A generated constructor with every hook."""

    x: Any = field(converter=lambda value: Checked.mark("converter", value))
    twice: Any = derived()
    n: int = static(default=1)

    marks = []

    @staticmethod
    def mark(what, value=None):
        Checked.marks.append(what)
        return value

    def __post_init__(self):
        Checked.mark("post_init")
        self.twice = 2 * self.x

    def __check_init__(self):
        Checked.mark("check")
        if self.x < 0:
            raise ValueError("x must not be negative")


class Custom(Struct):
    x: Any = field(converter=float)
    y: Any
    n: int = static(default=1)
    marks = []

    def __init__(self, both):
        Custom.marks.append("init")
        self.x = self.y = both

    def __check_init__(self):
        Custom.marks.append("check")
        if self.y < 0:
            raise ValueError("y must not be negative")


class CustomChild(Custom):
    pass


class Given(Struct):
    x: Any
    scale: dataclasses.InitVar[float]
    y: Any = derived()

    def __post_init__(self, scale):
        self.y = self.x * scale


class GivenByDefault(Struct):
    x: Any
    scale: dataclasses.InitVar[float] = 2.0
    y: Any = derived()

    def __post_init__(self, scale):
        self.y = self.x * scale


class Mutable(Struct, frozen=False):
    x: Any
    n: int = static(default=0)


class Point(NamedTuple):
    x: Any
    y: Any


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class Registered:
    a: Any
    b: Any = dataclasses.field(default="static", metadata={"static": True})


@jax.tree_util.register_pytree_node_class
class Ring:
    def __init__(self, items):
        self.items = items

    def tree_flatten(self):
        return tuple(self.items), None

    @classmethod
    def tree_unflatten(cls, _, items):
        return cls(list(items))


def replacers():
    found = [lambda s, **c: s.replace(**c), lambda s, **c: replace(s, **c), lambda s, **c: s.__replace__(**c)]
    return [*found, copy.replace] if sys.version_info >= (3, 13) else found


@pytest.fixture(params=range(len(replacers())))
def changed(request):
    """One of the spellings of `replace`."""
    return replacers()[request.param]


def test_replace_gives_a_changed_copy_of_the_same_class(changed):
    before = Linear(1, 2, "a")
    assert changed(before, weight=3) == Linear(3, 2, "a")
    assert changed(before, name="b") == Linear(1, 2, "b")
    assert changed(before, weight=3, bias=None, name="b") == Linear(3, None, "b")
    assert before == Linear(1, 2, "a")
    same = changed(before)
    assert same == before and same is not before and type(same) is Linear


def test_replace_keeps_the_other_values_themselves(changed):
    weight = np.ones(3)
    assert changed(Linear(weight), bias=1).weight is weight


def test_replace_gives_a_finished_struct(changed):
    for made in (changed(Linear(1), bias=2), changed(Checked(1)), changed(Custom(1), y=3)):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(made, next(iter(vars(made))), 0)


def test_replace_works_inside_jit_and_on_tracers(changed):
    doubled = jax.jit(lambda s: changed(s, weight=s.weight * 2))(Linear(jnp.ones(2), jnp.zeros(1), "n"))
    assert doubled == Linear(jnp.full(2, 2.0), jnp.zeros(1), "n")


def test_replace_refuses_an_unknown_name_with_the_nearest_field(changed):
    with pytest.raises(TypeError) as caught:
        changed(Linear(1), wieght=2)
    assert str(caught.value) == (
        "replace: Linear has no field 'wieght' (did you mean 'weight'?) (fields: weight, bias, name)"
    )
    assert isinstance(caught.value, StructError)
    for made in (Checked(1), Custom(1), CustomChild(1), Mutable(1)):
        with pytest.raises(TypeError, match=f"{type(made).__name__} has no field 'unknown'"):
            changed(made, unknown=1)
    with pytest.raises(TypeError, match="'wieght'"):
        changed(Linear(1), weight=1, wieght=2)


def test_replace_checks_statics(changed):
    with pytest.raises(TypeError, match=r"static field Linear\.name cannot hold a list"):
        changed(Linear(1), name=["a"])
    with pytest.raises(TypeError, match=r"static field Custom\.n cannot hold a jax array"):
        changed(Custom(1), n=jnp.ones(3))
    assert jax.tree.structure(changed(Linear(1), name=True)) != jax.tree.structure(changed(Linear(1), name=1))


def test_replace_of_a_generated_constructor_runs_every_hook_once(changed):
    before = Checked(1)
    Checked.marks.clear()
    after = changed(before, x=3)
    assert Checked.marks == ["converter", "post_init", "check"]
    assert (after.x, after.twice, after.n) == (3, 6, 1)
    with pytest.raises(ValueError, match="x must not be negative"):
        changed(before, x=-1)


def test_replace_refuses_a_derived_field_by_name(changed):
    with pytest.raises((TypeError, ValueError), match="field 'twice' of Checked is not an __init__ parameter"):
        changed(Checked(1), twice=3)


def test_replace_of_a_custom_constructor_puts_fields_in_place_and_runs_the_checks(changed):
    for cls in (Custom, CustomChild):
        before = cls(1)
        Custom.marks.clear()
        after = changed(before, y=5)
        assert type(after) is cls and (after.x, after.y) == (1.0, 5)
        assert Custom.marks == ["check"]
        with pytest.raises(ValueError, match="y must not be negative"):
            changed(before, y=-1)


def test_replace_asks_for_an_initvar_without_a_default(changed):
    before = Given(2, 3)
    assert before.y == 6
    assert vars(changed(before, scale=4)) == {"x": 2, "y": 8}
    with pytest.raises((TypeError, ValueError), match="'scale' of Given is an InitVar"):
        changed(before, x=3)
    assert vars(changed(GivenByDefault(2, 3), x=5)) == {"x": 5, "y": 10.0}


def test_replace_of_a_mutable_struct_leaves_the_original(changed):
    before = Mutable(1, 2)
    after = changed(before, x=3, n=4)
    after.x = 5
    assert (before.x, before.n, after.x, after.n) == (1, 2, 5, 4)


def test_replace_takes_fields_with_any_name(changed):
    class Odd(Struct):
        self: Any
        cls: Any = 1
        changes: Any = 2
        struct: Any = 3
        values: Any = 4

    made = Odd(0)
    assert vars(made.replace(self=5, cls=6, changes=7)) == {"self": 5, "cls": 6, "changes": 7, "struct": 3, "values": 4}
    assert replace(made, struct=8, self=9).struct == 8
    assert construct(Odd, self=1, cls=2).cls == 2


def test_replace_takes_structs_only():
    with pytest.raises(TypeError, match=r"^replace takes a Struct, not dict; inherit from"):
        replace({"x": 1}, x=2)
    with pytest.raises(TypeError, match=r"^replace takes a Struct, not"):
        replace(Linear, weight=2)


def test_replace_agrees_between_plain_and_hooked_fields_after_inheritance(changed):
    class Child(Checked):
        z: Any = 0

    after = changed(Child(1), z=4)
    assert vars(after) == {"x": 1, "twice": 2, "n": 1, "z": 4}
    after = changed(changed(Child(1), x=2), z=4)
    assert vars(after) == {"x": 2, "twice": 4, "n": 1, "z": 4}


def test_construct_runs_no_hooks_and_takes_derived_fields():
    Checked.marks.clear()
    made = construct(Checked, x=-1, twice=0)
    assert Checked.marks == [] and vars(made) == {"x": -1, "twice": 0, "n": 1}
    Custom.marks.clear()
    made = construct(Custom, x=1, y=-2)
    assert Custom.marks == [] and vars(made) == {"x": 1, "y": -2, "n": 1}
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.x = 2
    assert vars(construct(Given, x=1, y=2)) == {"x": 1, "y": 2}


def test_construct_refuses_what_is_missing_unknown_or_no_class():
    with pytest.raises(TypeError, match=r"construct\(Linear, \.\.\.\) left field 'weight' of Linear unset"):
        construct(Linear)
    with pytest.raises(TypeError, match=r"^construct: Linear has no field 'wieght' \(did you mean 'weight'"):
        construct(Linear, weight=1, wieght=2)
    with pytest.raises(TypeError, match="no field 'scale'"):
        construct(Given, x=1, y=2, scale=3)
    with pytest.raises(TypeError, match=r"^construct takes a Struct, not"):
        construct(dict, x=1)
    with pytest.raises(TypeError, match="a list"):
        construct(Linear, weight=1, name=[])


def tree():
    return Model(
        [Linear(jnp.ones(2)), Linear(1, 2)],
        (3, 4),
        {"point": Point(1, [2]), "numbers": {5: (6, 7)}, "none": None, "registered": Registered(8)},
    )


WHERES = {
    "layers": lambda m: m.layers,
    "item": lambda m: m.layers[1],
    "negative item": lambda m: m.layers[-1],
    "attribute": lambda m: m.layers[1].weight,
    "another attribute": lambda m: m.layers[1].bias,
    "None": lambda m: m.layers[0].bias,
    "static": lambda m: m.layers[0].name,
    "static tuple": lambda m: m.sizes,
    "item of a static": lambda m: m.sizes[0],
    "negative item of a static": lambda m: m.sizes[-1],
    "dict key": lambda m: m.extra["point"],
    "namedtuple attribute": lambda m: m.extra["point"].x,
    "namedtuple item": lambda m: m.extra["point"][0],
    "negative namedtuple item": lambda m: m.extra["point"][-1],
    "list in a namedtuple": lambda m: m.extra["point"].y[0],
    "int key": lambda m: m.extra["numbers"][5],
    "tuple item": lambda m: m.extra["numbers"][5][1],
    "negative tuple item": lambda m: m.extra["numbers"][5][-2],
    "None in a dict": lambda m: m.extra["none"],
    "registered dataclass": lambda m: m.extra["registered"].a,
    "the tree itself": lambda m: m,
}


class Marker:
    """Hashable, so that it fits static places too, and equal to itself alone."""


def plain(value):
    """`value` with structs, tuples and the rest as nested lists and dicts, to compare trees with odd leaves."""
    if isinstance(value, Struct):
        return {name: plain(inner) for name, inner in vars(value).items()}
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, Registered):
        return {"a": plain(value.a), "b": value.b}
    return value.tolist() if isinstance(value, jax.Array) else value


@pytest.mark.parametrize("where", WHERES.values(), ids=WHERES)
def test_a_place_is_read_set_and_changed(where):
    made = tree()
    before = plain(made)
    ref = at(made, where)
    assert isinstance(ref, Ref)
    assert ref.get() is where(made)
    marker = Marker()
    after = ref.set(marker)
    assert after is marker if where(made) is made else where(after) is marker
    assert plain(made) == before
    seen = []
    applied = ref.apply(lambda value: seen.append(value) or marker)
    assert len(seen) == 1 and seen[0] is where(made)
    assert plain(applied) == plain(after)
    if where(made) is not made:
        back = at(after, where).set(where(made))
        assert plain(back) == before and jax.tree.structure(back) == jax.tree.structure(made)


def test_types_of_all_nodes_on_the_way_are_kept():
    made = at({"a": [Model((Point(OrderedDict(b=1), 2),))]}, lambda t: t["a"][0].layers[0].x["b"]).set(3)
    assert type(made) is dict and type(made["a"]) is list and type(made["a"][0]) is Model
    assert type(made["a"][0].layers) is tuple and type(made["a"][0].layers[0]) is Point
    assert made["a"][0].layers[0].x == OrderedDict(b=3) and type(made["a"][0].layers[0].x) is OrderedDict


def test_what_is_off_the_way_is_shared():
    made = tree().replace(extra=None)
    after = at(made, lambda m: m.layers[1].weight).set(0)
    assert after.layers[0] is made.layers[0]
    assert after.layers is not made.layers


def test_dict_subclasses_and_their_order_are_kept():
    counts = defaultdict(int, {"b": 1, "a": 2})
    after = at(counts, lambda t: t["a"]).set(5)
    assert after == {"b": 1, "a": 5} and after.default_factory is int
    ordered = at(OrderedDict(b=1, a=2), lambda t: t["b"]).set(3)
    assert list(ordered.items()) == [("b", 3), ("a", 2)]


def test_places_are_chained():
    made = tree().replace(extra=None)
    ref = at(made, lambda m: m.layers).at(lambda layers: layers[1]).at(lambda layer: layer.weight)
    assert ref.get() == 1
    assert ref.set(5) == at(made, lambda m: m.layers[1].weight).set(5)
    assert ref.apply(lambda w: w + 1).layers[1].weight == 2
    assert at(made, lambda m: m.layers[0]).at(lambda layer: layer.name).set("n").layers[0].name == "n"


def test_updates_are_chained_through_their_results():
    made = Linear(1, 2)
    made = at(at(made, lambda m: m.weight).set(3), lambda m: m.bias).apply(lambda b: b + 1)
    assert made == Linear(3, 3)


def test_the_path_is_shown():
    ref = at(tree(), lambda m: m.layers[0].weight)
    assert repr(ref) == "at(<Model>.layers[0].weight)"
    assert repr(at({"a": 1}, lambda t: t["a"])) == "at(<dict>['a'])"


def test_a_path_of_items_alone_goes_through_lists_and_tuples():
    assert at([1, (2, [3])], lambda t: t[1][1][0]).set(4) == [1, (2, [4])]
    assert at([1, 2], lambda t: t[-1]).set(3) == [1, 3]


def test_a_key_is_told_from_an_equal_key_of_another_type():
    assert at({1: "a"}, lambda t: t[1]).set("b") == {1: "b"}
    assert at({True: "a"}, lambda t: t[True]).set("b") == {True: "b"}


def test_where_may_look_at_lengths_and_iterate_over_sequences():
    made = tree().replace(extra=None)
    assert at(made, lambda m: m.layers[len(m.layers) - 1].weight).get() == 1
    assert at(made, lambda m: next(layer for i, layer in enumerate(m.layers) if i == 1).weight).get() == 1
    assert at(made, lambda m: next(iter(m.layers)).name).get() == "linear"


def test_custom_nodes_are_reached_by_index():
    ring = Ring([1, Linear(2)])
    after = at(ring, lambda r: r[1].weight).set(5)
    assert type(after) is Ring and after.items[0] == 1 and after.items[1] == Linear(5)


def test_optimizer_states_of_optax_are_reached():
    params = Linear(jnp.ones(2), jnp.zeros(1))
    state = optax.chain(optax.clip(1.0), optax.adam(1e-3)).init(params)
    assert at(state, lambda s: s[1][0].count).get() == 0
    after = at(state, lambda s: s[1][0].mu.weight).set(jnp.full(2, 7.0))
    assert after[1][0].mu.weight.tolist() == [7.0, 7.0]
    assert jax.tree.structure(after) == jax.tree.structure(state)
    assert type(after[1][0]) is type(state[1][0])


def test_no_code_of_the_classes_runs():
    made = [Checked(1), Custom(1)]
    Checked.marks.clear()
    Custom.marks.clear()
    after = at(at(made, lambda t: t[0].x).set(-5), lambda t: t[1].y).set(-6)
    assert Checked.marks == [] and Custom.marks == []
    assert vars(after[0]) == {"x": -5, "twice": 2, "n": 1}
    assert vars(after[1]) == {"x": 1.0, "y": -6, "n": 1}


def test_derived_fields_are_places_too():
    assert at(Checked(1), lambda c: c.twice).set(9).twice == 9


def test_a_static_place_takes_what_a_constructor_would():
    assert at(Linear(1), lambda m: m.name).set("n") == Linear(1, None, "n")
    with pytest.raises(TypeError, match=r"static field Linear\.name cannot hold a list"):
        at(Linear(1), lambda m: m.name).set(["n"])
    after = at(Linear(1, None, 1), lambda m: m.name).set(True)
    assert jax.tree.structure(after) != jax.tree.structure(Linear(1, None, 1))


def test_a_place_can_become_none_and_back():
    made = Linear(1, 2)
    gone = at(made, lambda m: m.bias).set(None)
    assert gone == Linear(1) and at(gone, lambda m: m.bias).set(2) == made


def test_places_work_under_jit_and_grad():
    made = Model([Linear(jnp.ones(2)), Linear(jnp.ones(2))])
    after = jax.jit(lambda m: at(m, lambda t: t.layers[0].weight).apply(lambda w: w * 2))(made)
    assert after.layers[0].weight.tolist() == [2.0, 2.0]
    grads = jax.grad(lambda w: at(made, lambda t: t.layers[1].weight).set(w).layers[1].weight.sum())(jnp.ones(2))
    assert grads.tolist() == [1.0, 1.0]


def test_places_of_a_mutable_struct_leave_the_original():
    made = Mutable([1, 2])
    after = at(made, lambda m: m.x[0]).set(5)
    assert made.x == [1, 2] and after.x == [5, 2]


def test_fields_named_like_the_machinery_are_places():
    class Odd(Struct):
        at: Any
        get: Any = 1
        _node: Any = 2
        _steps: Any = 3
        keys: Any = 4

    made = Odd(0)
    assert at(made, lambda t: t.at).set(9).at == 9
    assert at(made, lambda t: t._node).set(9)._node == 9
    assert at(made, lambda t: t._steps).set(9)._steps == 9
    assert at(made, lambda t: t.get).set(9).get == 9
    assert at(made, lambda t: t.keys).get() == 4


def text(tree, where, *more):
    with pytest.raises(errors.PlaceError) as caught:
        at(tree, where, *more)
    assert isinstance(caught.value, LookupError) and isinstance(caught.value, StructError)
    return str(caught.value)


def test_an_unknown_field_is_refused_with_the_nearest():
    assert text(Model([Linear(1)]), lambda m: m.layers[0].wieght) == (
        "at(tree, where): tree.layers[0].wieght is no field of Linear (did you mean 'weight'?); "
        "fields: weight, bias, name"
    )


def test_a_missing_item_or_key_is_refused_with_the_children():
    assert text([1, 2], lambda t: t[2]) == "at(tree, where): tree[2] is no child of the list; children: [0], [1]"
    assert text([1, 2], lambda t: t[-3]) == "at(tree, where): tree[-3] is no child of the list; children: [0], [1]"
    assert text({"a": 1}, lambda t: t["b"]) == "at(tree, where): tree['b'] is no child of the dict; children: ['a']"
    assert text({"a": 1}, lambda t: t.a) == "at(tree, where): tree.a is no child of the dict; children: ['a']"
    assert text({1: 1}, lambda t: t[True]) == "at(tree, where): tree[True] is no child of the dict; children: [1]"
    assert text(Point(1, 2), lambda t: t.z) == "at(tree, where): tree.z is no child of the Point; children: .x, .y"
    assert text([1], lambda t: t[0:1]).endswith("is no child of the list; children: [0]")


def test_an_empty_container_is_no_leaf_and_has_no_children():
    assert text([], lambda t: t[0]) == "at(tree, where): tree[0] is no child of the list; children: none"
    assert text((), lambda t: t[0]) == "at(tree, where): tree[0] is no child of the tuple; children: none"
    assert text({}, lambda t: t["a"]) == "at(tree, where): tree['a'] is no child of the dict; children: none"


def test_going_into_a_leaf_or_none_is_refused_with_the_cure():
    assert text(Linear(jnp.ones(3)), lambda m: m.weight[0]) == (
        "at(tree, where): tree.weight[0] goes into a leaf of type ArrayImpl; "
        "point at the leaf and use .apply(lambda leaf: ...)"
    )
    assert text(Linear(1), lambda m: m.bias.x) == (
        "at(tree, where): tree.bias.x goes into a leaf of type NoneType; "
        "point at the leaf and use .apply(lambda leaf: ...)"
    )
    assert "tree.name.upper goes into a leaf of type str" in text(Linear(1), lambda m: m.name.upper)


def test_where_must_return_a_place():
    assert text(Linear(1), lambda m: 3) == (
        "at(tree, where): where returned a int, not a place; return one place: lambda t: t.weight"
    )
    assert "where returned a tuple" in text(Linear(1), lambda m: (m.weight, m.bias))
    assert "where returned a NoneType" in text(Linear(1), lambda m: None)


def test_where_must_be_a_function():
    assert text(Linear(1), 3) == "at(tree, where): where is a int; pass a function: lambda t: t.layers[0].weight"


@pytest.mark.parametrize(
    "where",
    [
        lambda m: m.weight + 1,
        lambda m: -m.weight,
        lambda m: m.weight(2),
        lambda m: m.weight * m.bias,
        lambda m: m.weight if m.weight > 0 else m.bias,
        lambda m: abs(m.weight),
        lambda m: m.weight or m.bias,
    ],
)
def test_where_may_only_follow_attributes_and_items(where):
    with pytest.raises(errors.PlaceError):
        at(Linear(1, 2), where)


def test_where_cannot_iterate_over_a_dict_or_a_struct():
    assert text({"a": 1}, lambda t: next(iter(t))) == (
        "at(tree, where): tree is a dict and is iterated over; use an index or key"
    )
    assert "tree is a Linear and is iterated over" in text(Linear(1), lambda t: next(iter(t)))


def test_where_cannot_assign():
    def assign(m):
        m.weight = 3
        return m.weight

    def assign_item(m):
        m[0] = 3
        return m[0]

    with pytest.raises((AttributeError, TypeError, LookupError)):
        at(Linear(1), assign)
    with pytest.raises((AttributeError, TypeError, LookupError)):
        at([1], assign_item)


def test_a_place_further_down_must_be_one_too():
    ref = at(Linear([1]), lambda m: m.weight)
    assert ref.at(lambda w: w[0]).get() == 1
    with pytest.raises(errors.PlaceError, match=r"tree\.weight\[1\] is no child of the list"):
        ref.at(lambda w: w[1])
