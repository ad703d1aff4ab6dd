"""optree: structs are leaves to it until they are registered there, and then trees with the same paths."""

import jax
import optree
from _trees import make

from structkit import Struct, construct, static


class Pair(Struct):
    a: object
    b: object
    unit: str = static(default="m")


def test_a_struct_is_a_leaf_to_optree():
    model = make()
    assert optree.tree_leaves({"model": model}) == [model]


def test_a_struct_can_be_registered_with_optree():
    optree.register_pytree_node(
        Pair,
        lambda pair: ((pair.a, pair.b), pair.unit, ("a", "b")),
        lambda unit, children: construct(Pair, a=children[0], b=children[1], unit=unit),
        namespace="structkit-test",
    )
    pair = Pair(1, {"k": 2}, unit="s")
    doubled = optree.tree_map(lambda leaf: 2 * leaf, pair, namespace="structkit-test")
    assert doubled == Pair(2, {"k": 4}, unit="s") == jax.tree.map(lambda leaf: 2 * leaf, pair)
    assert optree.tree_paths(pair, namespace="structkit-test") == [("a",), ("b", "k")]
