"""A scoped mutable copy: what it takes, what it refuses, and that nothing else changes."""

import copy
import functools
from collections import OrderedDict
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from structkit import Struct, at, editing, errors, static, struct
from tests.models import Coordinates, Mutable, Pair


class Layer(Struct):
    weight: Any
    size: int = static(default=1, converter=int)


class Model(Struct):
    layers: Any
    extra: Any = None

    @functools.cached_property
    def total(self):
        return sum(layer.weight for layer in self.layers)


class Positive(Struct):
    x: Any

    def __check_init__(self):
        if self.x <= 0:
            raise ValueError("x must be positive")


def assert_frozen(struct, name="weight"):
    with pytest.raises(errors.FrozenInstanceError):
        setattr(struct, name, 0)


def test_a_copy_takes_assignments_and_is_frozen_afterwards():
    model = Model([Layer(1), Layer(2)], {"a": (Layer(3), Coordinates(Layer(4), 5))})
    before = copy.deepcopy(model)
    with editing(model) as m:
        m.layers[0].weight = 10
        m.layers.append(Layer(6))
        del m.layers[1]
        m.extra["a"][0].weight = 30
        m.extra["a"][1].x.weight = 40
        m.extra["b"] = 7
    assert m == Model([Layer(10), Layer(6)], {"a": (Layer(30), Coordinates(Layer(40), 5)), "b": 7})
    assert model == before
    for part in (m.layers[0], m.layers[1], m.extra["a"][0], m.extra["a"][1].x):
        assert_frozen(part)
    assert_frozen(m, "layers")
    assert type(m) is Model and jax.tree.map(lambda x: x, m) == m


def test_assignments_are_as_in_a_constructor():
    with editing(Layer(1)) as layer:
        layer.size = "7"
        with pytest.raises(errors.UnknownAttributeError):
            layer.wieght = 2
    assert layer == Layer(1, 7) and type(layer.size) is int
    with editing(Pair(1)) as pair, pytest.raises(errors.StaticValueError):
        pair.name = []
    assert pair == Pair(1)


def test_it_is_frozen_also_when_the_block_raises():
    model = Model([Layer(1)])
    with pytest.raises(KeyError), editing(model) as m:
        m.layers[0].weight = 2
        raise KeyError
    assert m == Model([Layer(2)]) and model == Model([Layer(1)])
    assert_frozen(m.layers[0])


def test_what_was_taken_out_is_frozen_too_and_what_comes_from_outside_stays_as_it_is():
    outside = Layer(9)
    with editing(Model([Layer(1)])) as m:
        taken = m.layers.pop()
        m.layers.append(outside)
        assert_frozen(outside)
        taken.weight = 2
    assert m.layers[0] is outside and taken == Layer(2)
    assert_frozen(taken)


def test_one_object_at_two_places_becomes_two():
    layer = Layer(1)
    with editing([layer, layer]) as layers:
        layers[0].weight = 2
    assert layers == [Layer(2), Layer(1)] and layer == Layer(1)


def test_numpy_arrays_are_copied_and_other_leaves_shared():
    host, device = np.zeros(2), jnp.zeros(2)
    with editing(Pair(host, device)) as pair:
        pair.x[0] = 5
    assert host.tolist() == [0, 0] and pair.x.tolist() == [5, 0] and pair.y is device


def test_checks_run_at_the_end_for_what_was_written_to():
    with pytest.raises(ValueError, match="x must be positive"), editing([Positive(1)]) as edited:
        edited[0].x = -1
    assert_frozen(edited[0], "x")
    odd = jax.tree.map(lambda _: -1, [Positive(1), Layer(2)])
    with editing(odd) as edited:
        edited[1].weight = 3
    assert edited[0].x == -1


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.layers.append(Layer(3)),
        lambda m: m.layers.pop(),
        lambda m: setattr(m, "layers", []),
        lambda m: m.by.update(a=Layer(1)),
        lambda m: m.by.pop("b"),
        lambda m: setattr(m.layers[0], "weight", 9),
        lambda m: setattr(m.pair[0], "weight", 9),
        lambda m: m.ordered.update(c=Layer(1)),
        lambda m: m.ordered.pop("a"),
    ],
    ids=["append", "pop", "replace", "add-key", "remove-key", "deep", "in-tuple", "ordered", "less"],
)
def test_a_struct_is_checked_again_when_something_in_it_was_changed(change):
    checked = []

    class Checked(Struct):
        layers: list[Layer]
        by: dict[str, Layer]
        pair: tuple[Layer, ...]
        ordered: Any

        def __check_init__(self):
            checked.append(self)

    class Root(Struct):
        one: Checked
        two: Checked

    tree = Root(
        *[Checked([Layer(1), Layer(2)], {"b": Layer(3)}, (Layer(4),), OrderedDict(a=Layer(5))) for _ in range(2)]
    )
    checked.clear()
    with editing(tree) as edited:
        change(edited.two)
        assert checked == []
    assert [one is edited.two for one in checked] == [True]


def test_cached_properties_are_computed_anew():
    model = Model([Layer(1), Layer(2)])
    assert model.total == 3
    with editing(model) as m:
        assert m.total == 3
        m.layers[0].weight = 5
        assert m.total == 7
    assert m.total == 7 and model.total == 3 and "total" in dir(m)


def test_mutable_structs_stay_mutable_and_the_original_does_not_change():
    tree = [Mutable(Layer(1))]
    with editing(tree) as edited:
        edited[0].x.weight = 2
        edited[0].n = 3
    edited[0].n = 4
    assert edited == [Mutable(Layer(2), 4)] and tree == [Mutable(Layer(1))]
    assert_frozen(edited[0].x)


def test_objects_of_other_libraries_are_copied_and_refuse_as_ever():
    @struct.dataclass
    class Old:
        inner: Any
        n: Any = struct.field(pytree_node=False, default=Pair(1))

    tree = Old(Layer(1))
    with editing(tree) as edited:
        edited.inner.weight = 2
        with pytest.raises(AttributeError):
            edited.inner = 3
        assert_frozen(edited.n, "x")
    assert edited.inner == Layer(2) and tree.inner == Layer(1) and edited.n is tree.n


def test_structs_in_static_fields_are_not_copied():
    with editing(Pair(1, 2, Pair(3))) as edited:
        assert_frozen(edited.name, "x")
        edited.name = at(edited.name, "x").set(4)
    assert edited == Pair(1, 2, Pair(4))


def test_it_works_in_jit_and_grad():
    def loss(w):
        with editing(Model([Layer(jnp.ones(2))])) as m:
            m.layers[0].weight = m.layers[0].weight * w
        return m.layers[0].weight.sum()

    assert jax.jit(jax.grad(loss))(2.0) == 2.0


def test_any_tree_can_be_edited():
    with editing({"a": [1, None, ()]}) as edited:
        edited["a"][0] = 2
    assert edited == {"a": [2, None, ()]}
    with editing(3) as edited:
        pass
    assert edited == 3
