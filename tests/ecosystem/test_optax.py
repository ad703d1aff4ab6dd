"""Optax: optimizer states are trees of the same structs as the parameters."""

import jax
import jax.numpy as jnp
import optax
import pytest
from _trees import KINDS, Model, Params, loss, make

from structkit import merge, partition
from tests.models import Layer


@pytest.mark.parametrize("kind", KINDS)
def test_adam_trains_a_struct_and_its_state_is_made_of_structs(kind):
    model = make(kind)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-1))
    state = optimizer.init(model)

    @jax.jit
    def step(model, state):
        value, grads = jax.value_and_grad(loss)(model)
        updates, state = optimizer.update(grads, state, model)
        return optax.apply_updates(model, updates), state, value

    first = loss(model)
    for _ in range(20):
        model, state, value = step(model, state)
    assert value < first / 2 and type(model) is kind
    assert type(optax.tree_utils.tree_get(state, "mu")) is kind


@pytest.mark.parametrize("kind", KINDS)
def test_a_part_of_a_struct_is_trained_and_the_rest_stays(kind):
    model = make(kind)
    trained, frozen = partition(model, lambda path, leaf: path.endswith(".weight"), with_path=True)
    optimizer = optax.adamw(1e-1)
    state = optimizer.init(trained)

    @jax.jit
    def step(trained, state):
        slopes = jax.grad(lambda part: loss(merge(part, frozen)))(trained)
        updates, state = optimizer.update(slopes, state, trained)
        return optax.apply_updates(trained, updates), state

    for _ in range(20):
        trained, state = step(trained, state)
    after = merge(trained, frozen)
    assert loss(after) < loss(model) / 2 and type(after) is kind
    assert [layer.bias for layer in after.layers] == [layer.bias for layer in frozen.layers]
    assert len(jax.tree.leaves(optax.tree_utils.tree_get(state, "mu"))) == len(model.layers)


def test_masked_takes_a_struct_of_booleans_and_a_prefix_with_structs():
    model = make()
    ones = jax.tree.map(jnp.ones_like, model)
    for mask, expected in (
        (jax.tree.map(lambda leaf: leaf.ndim > 1, model), [0, 1, 0, 1, 1]),
        (Model([Layer(True, False), False], scale=True), [0, 1, 1, 1, 0]),
    ):
        optimizer = optax.masked(optax.set_to_zero(), mask)
        updates, _ = optimizer.update(ones, optimizer.init(model), model)
        assert [float(jnp.max(leaf)) for leaf in jax.tree.leaves(updates)] == expected


def test_multi_transform_takes_a_struct_of_labels():
    model = make(Params)
    labels = jax.tree.map(lambda leaf: "fast" if leaf.ndim > 1 else "slow", model)
    optimizer = optax.multi_transform({"fast": optax.sgd(1.0), "slow": optax.sgd(0.1)}, labels)
    grads = jax.tree.map(jnp.ones_like, model)
    updates, _ = jax.jit(optimizer.update)(grads, optimizer.init(model), model)
    assert float(updates.layers[1].weight[0, 0]) == -1 and float(updates.scale) == pytest.approx(-0.1)


def test_tree_utilities_work_on_structs():
    model = make()
    doubled = optax.tree_utils.tree_add(model, model)
    assert doubled == jax.tree.map(lambda leaf: 2 * leaf, model)
    assert float(optax.global_norm(jax.tree.map(jnp.zeros_like, model))) == 0
