"""Chex: its assertions see the leaves, the structure and the paths of structs."""

import chex
import jax
import jax.numpy as jnp
import pytest
from _trees import KINDS, Params, make


@pytest.mark.parametrize("kind", KINDS)
def test_assertions_accept_equal_structs_and_name_the_field_of_unequal_ones_and_tell_classes_apart(kind):
    model = make(kind)
    chex.assert_trees_all_equal(model, model)
    chex.assert_trees_all_close(model, jax.tree.map(lambda leaf: leaf + 1e-9, model), atol=1e-6)
    chex.assert_trees_all_equal_shapes_and_dtypes(model, jax.tree.map(jnp.zeros_like, model))
    chex.assert_tree_all_finite(model)
    chex.assert_shape(jax.tree.leaves(model.layers[0]), [(3, 4), (4,)])
    with pytest.raises(AssertionError, match="bias"):
        chex.assert_trees_all_equal(model, jax.tree.map(lambda leaf: leaf + (leaf.shape == (4,)), model))
    with pytest.raises(AssertionError):
        chex.assert_trees_all_equal_structs(model, make(Params))


def test_a_struct_is_a_field_of_a_chex_dataclass_and_the_reverse():
    @chex.dataclass
    class Holder:
        model: KINDS[0]

    holder = Holder(model=make())
    doubled = jax.tree.map(lambda leaf: 2 * leaf, holder)
    assert doubled.model.scale == 2
    assert jax.tree.leaves(make().replace(scale=holder))[-1].shape == ()
