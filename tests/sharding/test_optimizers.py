"""The partition specs of an optimizer's state: those of the parameters, as far as the shapes are theirs."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import optax
import pytest
from jax.sharding import AbstractMesh, PartitionSpec as P

from structkit import Struct, errors, field, sharding
from tests.models import Box, Dense, Tower

MESH = AbstractMesh((2, 4), ("data", "model"))
RULES = {"embed": "data", "mlp": "model", "layers": None}
ones = functools.partial(jax.ShapeDtypeStruct, dtype=jnp.float32)
PARAMS = {"body": Tower(Dense(jnp.ones((3, 256, 128)), jnp.ones((3, 64)))), "head": Dense(jnp.ones((256, 128)))}
OF_PARAMS = {P("layers", "embed", "mlp"), P("layers", "mlp"), P("embed", "mlp")}


def specs_of(tree, **options):
    return jax.tree.leaves(sharding.specs(tree, **options))


def labels(params):
    return {name: name for name in params}


OPTIMIZERS: dict[str, Any] = {
    "adam": optax.adam(1e-3),
    "chain": optax.chain(optax.clip(1.0), optax.adamw(1e-3), optax.ema(0.9)),
    "masked": optax.masked(optax.adam(1e-3), {"body": True, "head": False}),
    "multi_transform": optax.multi_transform({"body": optax.adam(1e-3), "head": optax.sgd(0.1, 0.9)}, labels),
    "lbfgs": optax.scale_by_lbfgs(2),
}


@pytest.mark.parametrize("name", sorted(set(OPTIMIZERS) - {"lbfgs"}))
def test_structs_in_the_state_of_an_optimizer_carry_their_specs(name):
    state = jax.eval_shape(OPTIMIZERS[name].init, PARAMS)
    found = sharding.specs(state)
    assert found == sharding.specs(state, params=PARAMS)
    for (path, leaf), spec in zip(jax.tree_util.tree_leaves_with_path(state), jax.tree.leaves(found)):
        assert (spec in OF_PARAMS) == (leaf.ndim > 0), path
        assert len(spec) == leaf.ndim, path


def test_params_give_a_leaf_of_another_shape_than_its_parameter_no_spec():
    state = jax.eval_shape(optax.adafactor(1e-3, momentum=0.9).init, PARAMS)
    with pytest.raises(errors.SpecError, match=r"params= where it is part of an optimizer's state$"):
        sharding.specs(state)
    found = sharding.specs(state, params=jax.eval_shape(lambda: PARAMS))
    shapes = {leaf.shape: spec for leaf, spec in zip(jax.tree.leaves(PARAMS), specs_of(PARAMS))}
    expected = [shapes.get(leaf.shape, P()) for leaf in jax.tree.leaves(state)]
    assert jax.tree.leaves(found) == expected
    assert {*expected} == OF_PARAMS | {P()}
    placed = sharding.shardings(state, MESH, rules=RULES, params=PARAMS)
    assert [one.spec for one in jax.tree.leaves(placed)] == specs_of(state, params=PARAMS, rules=RULES)


def test_params_know_a_history_of_parameters_by_its_shape():
    state = jax.eval_shape(OPTIMIZERS["lbfgs"].init, PARAMS)
    found = sharding.specs(state, params=PARAMS)
    assert {*jax.tree.leaves(found.diff_params_memory)} == {P()}
    assert found.params == sharding.specs(PARAMS)


def test_a_leaf_of_the_state_that_belongs_to_no_parameter_keeps_its_own_spec():
    class Average(Struct):
        mean: Any
        rows: Any = field(spec=P("data"))

    state = Average({"w": ones((8, 4)), "b": ones((2,))}, ones((6,)))
    found = sharding.specs(state, params={"w": P("data"), "b": P("model")})
    assert found == Average({"w": P(), "b": P()}, P("data"))
    params = Box(Dense(ones((8, 4))))
    assert sharding.specs((params, ones((8, 4)), 3), params=params) == (Box(Dense(P("embed", "mlp"))), P(), P())


def test_a_leaf_whose_path_ends_with_those_of_several_parameters_is_of_the_one_that_said_its_spec():
    class Encoder(Struct):
        weight: Any = field(spec=P("heads"))
        mu: Any = None

    for shape in ((4, 2), (8, 4)):
        params = Encoder(ones((8, 4)), Dense(ones(shape)))
        state = jax.eval_shape(optax.scale_by_adam().init, params)
        assert sharding.specs(state, params=params).mu == Encoder(P("heads"), Dense(P("embed", "mlp")))


def test_a_leaf_of_another_shape_has_no_spec_of_a_parameter_whose_shorter_path_its_path_ends_with():
    class Inner(Struct):
        w: Any = field(spec=P("a", "b"))

    class Outer(Struct):
        inner: Inner
        w: Any = field(spec=P("b"))

    params = Outer(Inner(ones((16, 8))), ones((8,)))
    (state, *_) = jax.eval_shape(optax.adafactor(0.1, min_dim_size_to_factor=4).init, params)
    found = sharding.specs(state, params=params)
    assert (state.v_row.inner.w.shape, state.v_col.inner.w.shape) == ((8,), (16,))
    assert found.v_row == found.v_col == Outer(Inner(P()), P())
    assert found.v == Outer(Inner(P()), P("b"))


def test_arrays_that_are_kept_below_the_place_of_their_parameter_do_not_have_its_spec():
    class Preconditioner(Struct):
        left: Any
        right: Any = field(spec=P("rows"))

    state = jax.eval_shape(optax.sm3(1e-3).init, PARAMS)
    assert {*specs_of(state[0].mu, params=PARAMS)} == {P()}
    assert specs_of(state[0].nu, params=PARAMS) == specs_of(PARAMS)
    kept = Dense(Preconditioner((ones((8, 8)), ones((8, 4))), ones((4,))))
    found = sharding.specs(kept, params=Dense(ones((8, 4))))
    assert found == Dense(Preconditioner((P(), P("embed", "mlp")), P("rows")))


def test_params_that_are_one_array_match_every_leaf_of_their_shape():
    state = jax.eval_shape(optax.adam(1e-3).init, jnp.ones(3))
    assert {*specs_of(state, params=jnp.ones(3))} == {P()}
