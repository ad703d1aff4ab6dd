"""Structs as pytree nodes: children, key paths, structures, `tree.map`, unflatten."""

import pickle
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from structkit import Struct, derived, static
from tests.models import Box, Empty, Left, Linear, Loud, LoudCustom, Model, Pair, Point, Right, key_paths, names_places


class Child(Left):
    pass


class OnlyStatics(Struct):
    a: int = static(default=1)
    b: str = static(default="b")


# Mapping


def test_maps_give_leaves_of_any_type_and_see_structs_paths_and_none():
    assert jax.tree.map(lambda a, b: (a + b,), Pair(1, 2), Pair(10, 20)) == Pair((11,), (22,))
    assert jax.tree.map(lambda leaf: None, Pair(1)) == Pair(None, None)
    model = Model([Point(1), Point(2)])
    named = jax.tree_util.tree_map_with_path(lambda path, leaf: jax.tree_util.keystr(path), model)
    assert named == Model([Point(".layers[0].x"), Point(".layers[1].x")])
    seen = []
    jax.tree.leaves(model, is_leaf=lambda node: seen.append(type(node)) or False)
    assert seen == [Model, list, Point, int, Point, int]
    flags = jax.tree.map(lambda leaf: leaf is None, Pair(1), is_leaf=lambda leaf: leaf is None)
    assert flags == Pair(False, True)
    many = [Pair(i, 10 * i) for i in range(3)]
    transposed = jax.tree.transpose(jax.tree.structure([0, 0, 0]), jax.tree.structure(many[0]), many)
    assert transposed == Pair([0, 1, 2], [0, 10, 20])


# Structures (trap 1: two classes with as many fields)


def test_structures_of_two_classes_are_never_equal_and_those_of_equal_statics_are():
    again, other_again = (type(Struct)("Again", (Point,), {}) for _ in range(2))
    different = [
        *(Left(1, 2), Right(1, 2), Child(1, 2), again(1), other_again(1), Point(1), Box(1), Model(1)),
        *(Empty(), OnlyStatics(), (1, 2), None, {"x": 1}),
        *(Pair(1), Pair(1, 2), Pair(1, ()), Pair(1, []), Pair(1, {}), Pair(1, Empty()), Pair(1, name="other")),
        *(OnlyStatics(2), OnlyStatics(True)),
    ]
    structures = [jax.tree.structure(tree) for tree in different]
    for i, a in enumerate(structures):
        for j, b in enumerate(structures):
            assert (a == b) is (i == j), (different[i], different[j])
            assert (a != b) is (i != j), (different[i], different[j])
    for one, same in ((Pair(1, name="a" + "b"), Pair(2, name="ab")), (Box[int](1), Box(2))):
        assert jax.tree.structure(one) == jax.tree.structure(same)
        assert hash(jax.tree.structure(one)) == hash(jax.tree.structure(same))


@names_places
def test_map_names_the_field_where_the_trees_differ():
    with pytest.raises(ValueError, match=r"\.x\.y"):
        jax.tree.map(lambda a, b: a, Pair(Pair(1, (2, 3)), 4), Pair(Pair(1, (2, 3, 4)), 4))


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_treedef_pickles_and_compares_equal_afterwards(protocol):
    custom = Linear(1, activation=abs)
    for tree in (custom, Model([Pair(1), {"a": Pair(2, 3, "b")}]), Empty(), OnlyStatics(True), Box[int](1), Loud(1)):
        treedef = jax.tree.structure(tree)
        back = pickle.loads(pickle.dumps(treedef, protocol))
        assert back == treedef and hash(back) == hash(treedef)
        assert back.unflatten(jax.tree.leaves(tree)) == tree


# Unflatten (trap 2: it runs no user code and takes anything)


def placeholders():
    mesh = jax.make_mesh((1,), ("x",), devices=jax.devices()[:1])
    spec = PartitionSpec("x")
    arrays = [np.ones(3), jnp.ones(3), jax.ShapeDtypeStruct((3,), jnp.float32), float("nan")]
    return [None, 0, object(), "text", ..., [], (), {}, spec, NamedSharding(mesh, spec), Pair, Pair(1), *arrays]


@pytest.mark.parametrize("child", placeholders(), ids=lambda child: type(child).__name__)
def test_unflatten_accepts_anything_and_runs_no_user_code(child):
    plain = jax.tree.structure(Pair(1)).unflatten([child])
    assert plain.x is child and plain.y is None and plain.name == "pair"
    assert isinstance(repr(plain), str)
    loud, custom = jax.tree.structure(Loud(1)), jax.tree.structure(LoudCustom(1))
    Loud.marks.clear()
    LoudCustom.marks.clear()
    made = loud.unflatten([child, 2, child])
    assert made.x is child and made.twice is child and (made.y, made.label) == (2, "a")
    made = custom.unflatten([child, child])
    assert made.x is child and made.y is child
    assert Loud.marks == LoudCustom.marks == []


# Flattening an object that is being constructed


def test_an_object_flattens_during_its_construction_and_what_jax_holds_changes_no_more():
    class FlattensItself(Struct):
        x: Any
        y: Any = derived()
        n: int = derived(static=True)

        def __post_init__(self):
            for flatten in (jax.tree.leaves, jax.tree_util.tree_leaves_with_path):
                with pytest.raises(AttributeError, match=r"FlattensItself\.y"):
                    flatten(self)
            self.y = self.n = 2
            seen.extend([*jax.tree.flatten(self), key_paths(self), jax.tree.map(lambda leaf: leaf + 10, self)])
            self.y, self.n = 5, 6

    seen = []
    made = FlattensItself(1)
    leaves, structure, paths, mapped = seen
    assert vars(made) == {"x": 1, "y": 5, "n": 6}
    assert leaves == [1, 2] and paths == [".x", ".y"]
    assert vars(structure.unflatten([3, 4])) == {"x": 3, "y": 4, "n": 2}
    assert structure == jax.tree.structure(mapped) != jax.tree.structure(made)
    assert vars(mapped) == {"x": 11, "y": 12, "n": 2}


@pytest.mark.parametrize(
    "mismatch",
    [
        lambda a, b: jax.tree.map(lambda x, y: x, a, b),
        lambda a, b: jax.lax.cond(True, lambda: a, lambda: b),
        lambda a, b: jax.lax.scan(lambda carry, _: (b, None), a, None, length=2),
        lambda a, b: jax.vmap(lambda x: x, in_axes=(b.replace(x=0),))(a.replace(x=jnp.ones(2))),
    ],
)
def test_a_message_of_jax_about_statics_that_differ_names_their_fields(mismatch):
    class A(Struct):
        x: Any
        style: str = static(default="rock")
        size: Any = static(default=1)

    for other in (A(1.0, "pop"), A(1.0, "rock", 1.0)):
        with pytest.raises((TypeError, ValueError)) as error:
            mismatch(A(1.0), other)
        # One that needs a tag, to be told from an equal value of another type, has them behind the names.
        names = "(('style', 'size'), (None, 'float'))" if other.style == "rock" else "('style', 'size')"
        assert f"({names}, {other.style!r}, {other.size!r})" in str(error.value)
        assert "(('style', 'size'), 'rock', 1)" in str(error.value)
