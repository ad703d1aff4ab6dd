"""Equinox: its filters see a struct's leaves, and structs and modules nest in each other."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest
from _trees import KINDS, loss, make

from structkit import Struct, at, static
from tests.models import Layer


class Tagged(Struct):
    model: Any
    tag: Any = "a string among the leaves"
    unit: str = static(default="m")


@pytest.mark.parametrize("kind", KINDS)
def test_filter_jit_and_filter_grad_see_the_arrays_of_a_struct(kind):
    tagged = Tagged(make(kind))

    @eqx.filter_jit
    def value(tagged):
        return loss(tagged.model)

    grads = eqx.filter_grad(value)(tagged)
    assert type(grads.model) is kind and grads.tag is None
    assert jnp.allclose(grads.model.scale, jax.grad(loss)(tagged.model).scale)


def test_partition_combine_and_tree_at_give_the_struct_back():
    tagged = Tagged(make())
    arrays, rest = eqx.partition(tagged, eqx.is_array)
    assert rest.tag == tagged.tag and eqx.combine(arrays, rest) == tagged
    where = lambda t: t.model.layers[1].bias  # noqa: E731
    assert eqx.tree_at(where, tagged, jnp.ones(2)) == at(tagged, where).set(jnp.ones(2))


def test_a_struct_inside_a_module_and_a_module_inside_a_struct():
    class Outer(eqx.Module):
        inner: Layer
        depth: int = eqx.field(static=True)

        def __call__(self, x):
            return self.inner(x)

    outer = Outer(make().layers[0], 2)
    struct = Tagged(eqx.nn.Linear(3, 2, key=jax.random.key(0)), tag=None)
    assert jax.tree.leaves(outer)[0].shape == (3, 4) and eqx.filter_jit(outer)(jnp.ones(3)).shape == (4,)
    assert eqx.filter_jit(lambda s, x: s.model(x))(struct, jnp.ones(3)).shape == (2,)
    assert at(struct, lambda s: s.model.bias).set(jnp.zeros(2)).model.bias.sum() == 0
    assert eqx.tree_at(lambda o: o.inner.bias, outer, jnp.ones(4)).inner.bias.sum() == 4


def test_leaves_are_serialised_and_compared(tmp_path):
    model = make()
    eqx.tree_serialise_leaves(tmp_path / "model.eqx", model)
    restored = eqx.tree_deserialise_leaves(tmp_path / "model.eqx", jax.tree.map(jnp.zeros_like, model))
    assert restored == model and eqx.tree_equal(restored, model)


def test_eqx_vmap_and_scan_take_structs():
    stacked = jax.tree.map(lambda leaf: jnp.stack([leaf] * 3), make())
    out = eqx.filter_vmap(lambda m: loss(m))(stacked)
    assert out.shape == (3,) and jnp.allclose(out, loss(make()))
