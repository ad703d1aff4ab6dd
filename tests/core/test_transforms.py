"""Structs under every transformation of JAX: what goes in as a struct comes out as one."""

import dataclasses
import functools
import pickle
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from jax.sharding import Mesh, NamedSharding, PartitionSpec, SingleDeviceSharding

from structkit import Struct, at, construct, derived, replace, static


class Linear(Struct):
    weight: jax.Array
    bias: jax.Array
    activation: Callable[[jax.Array], jax.Array] = static(default=jnp.tanh)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.activation(x @ self.weight + self.bias)

    def loss(self, x: jax.Array) -> jax.Array:
        return jnp.sum(self(x) ** 2)

    @jax.jit
    def jitted(self, x: jax.Array) -> jax.Array:
        return self(x)


class Model(Struct):
    first: Linear
    second: Linear | None
    scale: Any = 1.0
    name: str = static(default="model")

    def __call__(self, x: jax.Array) -> jax.Array:
        x = self.first(x)
        return (x if self.second is None else self.second(x)) * self.scale


class State(Struct):
    position: Any
    velocity: Any
    label: str = static(default="state")


class Counted(Struct):
    x: Any
    twice: Any = derived()

    def __post_init__(self):
        self.twice = self.x * 2


class Config(Struct):
    width: int
    names: tuple[str, ...] = ()
    activation: Any = static(default=jnp.tanh)

    def __call__(self, x):
        return self.activation(x * self.width)


class Scale(Struct):
    factor: Any

    def __call__(self, x):
        return self.factor * x


def linear(n_in: int = 2, n_out: int = 3, **options: Any) -> Linear:
    weight = jnp.arange(n_in * n_out, dtype=jnp.float32).reshape(n_in, n_out) / 10
    return Linear(weight, jnp.ones(n_out), **options)


def model() -> Model:
    return Model(linear(), linear(3, 1), jnp.float32(2.0))


def state(position: Any = 1.0, velocity: Any = 2.0, **options: Any) -> State:
    return State(jnp.asarray(position, jnp.float32), jnp.asarray(velocity, jnp.float32), **options)


def doubled(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf * 2, tree)


def counting(function: Callable[..., Any]) -> tuple[Callable[..., Any], list[int]]:
    traces: list[int] = []

    @functools.wraps(function)
    def counted(*args, **kwargs):
        traces.append(1)
        return function(*args, **kwargs)

    return counted, traces


def assert_same(tree: Any, other: Any) -> None:
    assert jax.tree.structure(tree) == jax.tree.structure(other)
    for leaf, expected in zip(jax.tree.leaves(tree), jax.tree.leaves(other), strict=True):
        assert jnp.shape(leaf) == jnp.shape(expected)
        assert np.allclose(leaf, expected, rtol=1e-5)


def one_device() -> jax.Device:
    return jax.devices()[0]


def mesh() -> Mesh:
    return Mesh(np.array([one_device()]), ("batch",))


# jit


def test_jit_gives_the_struct_back_with_its_class_and_statics():
    made = jax.jit(doubled)(model())
    assert type(made) is Model
    assert type(made.first) is Linear
    assert made.first.activation is jnp.tanh
    assert made.name == "model"
    assert_same(made, doubled(model()))


def test_jit_traces_once_for_equal_structures_and_again_for_another_static():
    function, traces = counting(lambda s: s.position + len(s.label))
    jitted = jax.jit(function)
    assert jitted(state()) == 6
    assert jitted(state(5.0)) == 10
    assert jitted(state().replace(position=jnp.float32(7.0))) == 12
    assert jitted(pickle.loads(pickle.dumps(state()))) == 6
    assert len(traces) == 1
    assert jitted(state(label="ab")) == 3
    assert jitted(state().replace(label="a" + "b")) == 3
    assert len(traces) == 2


def test_jit_takes_structs_by_keyword_in_containers_and_as_none():
    function = jax.jit(lambda tree, *, s, t=None: (tree["a"][0].position + s.velocity, t))
    total, rest = function({"a": [state()]}, s=state(), t=None)
    assert total == 3
    assert rest is None
    without_second = jax.jit(lambda m: m.replace(scale=m.scale * 2))(Model(linear(), None, jnp.float32(1.0)))
    assert without_second.second is None
    assert without_second.scale == 2


def test_jit_takes_a_struct_of_hashable_values_as_a_static_argument():
    function, traces = counting(lambda config, x: config(x))
    jitted = jax.jit(function, static_argnums=0)
    assert np.allclose(jitted(Config(2, ("a",)), 0.5), jnp.tanh(1.0))
    jitted(Config(2, ("a",)), 0.25)
    assert len(traces) == 1
    jitted(Config(3, ("a",)), 0.5)
    jitted(Config(2, ("b",)), 0.5)
    jitted(Config(2, ("a",), activation=jnp.sin), 0.5)
    assert len(traces) == 4


def test_jit_refuses_a_struct_of_arrays_as_a_static_argument():
    with pytest.raises(ValueError, match="hashable"):
        jax.jit(lambda s, x: x, static_argnums=0)(state(), 1.0)


def test_jit_of_a_callable_struct_works_with_array_fields():
    layer = linear()
    x = jnp.ones(2)
    jitted = jax.jit(layer)
    assert np.allclose(jitted(x), layer(x))
    assert np.allclose(jitted(2 * x), layer(2 * x))
    assert np.allclose(jax.jit(model())(x), model()(x))


def test_jits_of_two_callable_structs_of_one_class_do_not_share_a_program():
    one, other = Scale(jnp.float32(2.0)), Scale(jnp.float32(3.0))
    x = jnp.float32(1.0)
    assert [float(jax.jit(s)(x)) for s in (one, other, one)] == [2.0, 3.0, 2.0]
    assert [float(jax.jit(Scale(factor))(x)) for factor in (2.0, 3.0, 2)] == [2.0, 3.0, 2.0]
    assert float(jax.jit(one.replace(factor=jnp.float32(5.0)))(x)) == 5.0


def test_jit_of_a_method_works_with_array_fields():
    layer = linear()
    x = jnp.ones(2)
    assert np.allclose(jax.jit(layer.loss)(x), layer.loss(x))
    assert np.allclose(jax.jit(layer.__call__)(x), layer(x))
    assert np.allclose(jax.jit(Linear.loss)(layer, x), layer.loss(x))


def test_a_jitted_method_takes_the_struct_as_its_first_argument():
    layer = linear()
    x = jnp.ones(2)
    assert np.allclose(layer.jitted(x), layer(x))
    assert np.allclose(layer.replace(bias=jnp.zeros(3)).jitted(x), layer.replace(bias=jnp.zeros(3))(x))


def test_other_transformations_take_a_callable_struct_with_array_fields():
    layer, x = Scale(jnp.float32(3.0)), jnp.arange(2.0)
    assert jax.vmap(layer)(x).tolist() == [0.0, 3.0]
    assert jax.grad(layer)(2.0) == 3
    assert jax.checkpoint(layer)(x).tolist() == [0.0, 3.0]
    assert jax.jvp(layer, (x,), (x,))[1].tolist() == [0.0, 3.0]
    assert jax.eval_shape(layer, x).shape == (2,)
    assert jax.lax.map(layer, x).tolist() == [0.0, 3.0]
    assert jax.lax.cond(True, layer, layer, x).tolist() == [0.0, 3.0]
    assert "mul" in str(jax.make_jaxpr(layer)(x))


def test_a_struct_built_inside_jit_runs_its_constructor_once_and_comes_out():
    made = jax.jit(lambda x: [Counted(x), Counted(x + 1)])(jnp.float32(3.0))
    assert [float(s.twice) for s in made] == [6.0, 8.0]


def test_a_tracer_field_is_replaced_updated_and_compared_inside_jit():
    @jax.jit
    def f(s):
        s = s.replace(position=s.position + 1)
        s = dataclasses.replace(s, velocity=s.velocity * 2)
        s = at(s, lambda t: t.position).apply(lambda p: p * 10)
        return replace(s, label="done"), s == s

    done, same = f(state())
    assert_same(done, state(20.0, 4.0, label="done"))
    assert bool(same) is True


def test_jit_names_the_field_of_an_argument_that_is_no_array():
    with pytest.raises(TypeError, match=r"s\.velocity"):
        jax.jit(lambda s: s)(State(1.0, "text"))


def test_jit_names_the_field_of_a_result_that_is_no_array():
    with pytest.raises(TypeError, match=r"\.velocity"):
        jax.jit(lambda x: State(x, "text"))(1.0)


# grad and its relatives


def loss(m: Model, x: jax.Array) -> jax.Array:
    return jnp.sum(m(x) ** 2)


def test_grad_gives_a_struct_of_the_same_structure():
    m, x = model(), jnp.ones((4, 2))
    gradient = jax.grad(loss)(m, x)
    assert type(gradient) is Model
    assert jax.tree.structure(gradient) == jax.tree.structure(m)
    flat, treedef = jax.tree.flatten(m)
    expected = jax.grad(lambda leaves: loss(treedef.unflatten(leaves), x))(flat)
    assert_same(jax.tree.leaves(gradient), expected)


def test_value_and_grad_gives_a_value_and_a_struct_and_passes_a_struct_as_auxiliary():
    m, x = model(), jnp.ones((4, 2))
    (value, aux), gradient = jax.jit(jax.value_and_grad(lambda m, x: (loss(m, x), State(x, m.scale)), has_aux=True))(
        m, x
    )
    assert np.allclose(value, loss(m, x))
    assert_same(aux, State(x, m.scale))
    assert_same(gradient, jax.grad(loss)(m, x))


def test_grad_by_several_struct_arguments_gives_a_struct_for_each():
    first, second = jax.grad(lambda a, b: a.position * b.velocity, argnums=(0, 1))(state(2.0, 3.0), state(5.0, 7.0))
    assert_same(first, state(7.0, 0.0))
    assert_same(second, state(0.0, 2.0))


def test_grad_of_a_method_by_the_struct_works():
    layer, x = linear(), jnp.ones(2)
    assert_same(jax.grad(Linear.loss)(layer, x), jax.grad(lambda m: m.loss(x))(layer))


def test_grad_does_not_run_post_init():
    gradient = jax.grad(lambda c: c.x * 3 + c.twice)(Counted(1.0))
    assert (float(gradient.x), float(gradient.twice)) == (3.0, 1.0)


def test_grad_with_integer_leaves_allowed_keeps_the_structure():
    s = State(jnp.float32(2.0), jnp.int32(3))
    gradient = jax.grad(lambda s: s.position**2, allow_int=True)(s)
    assert gradient.position == 4
    assert gradient.velocity.dtype == jax.dtypes.float0


def test_jvp_vjp_and_linearize_take_and_give_structs():
    s, tangent = state(2.0, 3.0), state(1.0, 0.0)

    def f(s):
        return s.replace(position=s.position * s.velocity)

    value, derivative = jax.jvp(f, (s,), (tangent,))
    assert_same(value, state(6.0, 3.0))
    assert_same(derivative, state(3.0, 0.0))
    value, pull_back = jax.vjp(f, s)
    assert_same(pull_back(tangent)[0], state(3.0, 2.0))
    value, push_forward = jax.linearize(f, s)
    assert_same(push_forward(tangent), state(3.0, 0.0))
    transposed = jax.linear_transpose(lambda s: s.position + 2 * s.velocity, s)
    assert_same(transposed(jnp.float32(1.0))[0], state(1.0, 2.0))


def test_jvp_refuses_a_tangent_of_another_struct_class():
    with pytest.raises(TypeError):
        jax.jvp(lambda s: s.position, (state(),), (Counted(1.0),))


@pytest.mark.parametrize("jacobian", [jax.jacfwd, jax.jacrev])
def test_jacobians_are_structs_of_structs(jacobian):
    result = jacobian(lambda s: State(s.position * s.velocity, s.velocity**2))(state([1.0, 2.0], [3.0, 4.0]))
    assert type(result) is State
    assert type(result.position) is State
    assert result.position.position.tolist() == [[3.0, 0.0], [0.0, 4.0]]
    assert result.position.velocity.tolist() == [[1.0, 0.0], [0.0, 2.0]]
    assert result.velocity.position.tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert result.velocity.velocity.tolist() == [[6.0, 0.0], [0.0, 8.0]]


def test_the_hessian_is_a_struct_of_structs():
    result = jax.hessian(lambda s: s.position**2 * s.velocity)(state(2.0, 3.0))
    assert_same(result, State(state(6.0, 4.0), state(4.0, 0.0)))


def test_stop_gradient_takes_a_struct():
    gradient = jax.grad(lambda s: s.position * jax.lax.stop_gradient(s).velocity)(state(2.0, 3.0))
    assert_same(gradient, state(3.0, 0.0))


# vmap


def test_vmap_maps_over_every_leaf_and_stacks_struct_results():
    batch = state(jnp.arange(3.0), jnp.ones(3))
    result = jax.vmap(lambda s: s.replace(position=s.position + s.velocity))(batch)
    assert_same(result, state([1.0, 2.0, 3.0], jnp.ones(3)))


def test_a_struct_works_as_in_axes_and_out_axes():
    s = state(jnp.arange(6.0).reshape(2, 3), 2.0)
    axes = State(1, None)
    result = jax.vmap(doubled, in_axes=(axes,), out_axes=axes)(s)
    assert result.position.shape == (2, 3)
    assert_same(result, doubled(s))


def test_a_struct_with_a_whole_subtree_as_one_axis_works_as_in_axes():
    m = jax.tree.map(lambda leaf: jnp.stack([leaf, 2 * leaf]), model())
    x = jnp.ones(2)
    expected = jnp.stack([model()(x), doubled(model())(x)])
    assert np.allclose(jax.vmap(lambda m: m(x), in_axes=(Model(0, 0, 0),))(m), expected)
    partly = m.replace(scale=jnp.float32(1.0))
    assert jax.vmap(lambda m: m(x), in_axes=(Model(0, 0, None),))(partly).shape == (2, 1)
    layers = Model(Linear(0, None), None, None)
    mixed = Model(linear().replace(weight=m.first.weight), linear(3, 1), jnp.float32(1.0))
    assert jax.vmap(lambda m: m(x), in_axes=(layers,))(mixed).shape == (2, 1)


def test_in_axes_of_another_struct_class_or_static_are_refused():
    with pytest.raises(ValueError, match="prefix"):
        jax.vmap(lambda s: s, in_axes=(construct(Counted, x=0, twice=0),))(state([1.0], [1.0]))
    with pytest.raises(ValueError, match=r"prefix|static|metadata"):
        jax.vmap(lambda s: s, in_axes=(State(0, 0, label="other"),))(state([1.0], [1.0]))


def test_a_wrong_in_axes_prefix_is_refused_with_the_name_of_the_field():
    with pytest.raises(ValueError, match=r"in_axes\[0\]\.velocity"):
        jax.vmap(lambda s: s, in_axes=(State(0, (0, 0)),))(state([1.0], [1.0]))
    with pytest.raises(ValueError, match=r"in_axes\[0\]\.first\.bias"):
        jax.vmap(lambda m: m, in_axes=(Model(Linear(0, [0, 0]), 0, 0),))(model())


def test_vmap_names_the_fields_whose_sizes_differ():
    with pytest.raises(ValueError, match=r"s\.position") as info:
        jax.vmap(lambda s: s)(state(jnp.ones(2), jnp.ones(3)))
    assert "s.velocity" in str(info.value)


def test_vmap_of_a_constructor_stacks_models():
    def make(key):
        return Linear(jax.random.normal(key, (2, 3)), jnp.zeros(3))

    stacked = jax.vmap(make)(jax.random.split(jax.random.key(0), 4))
    assert stacked.weight.shape == (4, 2, 3)
    outputs = jax.vmap(lambda layer, x: layer(x), in_axes=(0, None))(stacked, jnp.ones(2))
    assert outputs.shape == (4, 3)
    assert stacked.activation is jnp.tanh


def test_nested_vmap_and_grad_over_structs_compose():
    batch = state(jnp.arange(4.0).reshape(2, 2), jnp.ones((2, 2)))
    result = jax.vmap(jax.vmap(jax.grad(lambda s: s.position**2 * s.velocity)))(batch)
    assert result.position.tolist() == [[0.0, 2.0], [4.0, 6.0]]


# control flow


def test_scan_carries_maps_over_and_stacks_structs():
    def step(carry, x):
        carry = carry.replace(position=carry.position + x.position * carry.velocity)
        return carry, State(carry.position, x.velocity)

    last, outputs = jax.lax.scan(step, state(0.0, 2.0), state(jnp.arange(3.0), jnp.ones(3)))
    assert_same(last, state(6.0, 2.0))
    assert_same(outputs, state([0.0, 2.0, 6.0], jnp.ones(3)))


def test_scan_over_stacked_layers_applies_them_in_order():
    layers = [linear(3, 3), doubled(linear(3, 3))]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *layers)
    x = jnp.arange(3.0) / 3
    result, _ = jax.lax.scan(lambda x, layer: (layer(x), None), x, stacked)
    assert np.allclose(result, layers[1](layers[0](x)))


def test_scan_names_the_field_whose_type_changes():
    with pytest.raises(TypeError, match=r"\.position"):
        jax.lax.scan(lambda s, _: (s.replace(position=jnp.ones(2)), None), state(), length=2)


def test_scan_refuses_a_carry_whose_static_changes():
    with pytest.raises(TypeError, match="carry"):
        jax.lax.scan(lambda s, _: (s.replace(label=s.label + "!"), None), state(), length=2)


def test_cond_and_switch_take_and_give_structs():
    def forward(s):
        return s.replace(position=s.position + s.velocity)

    def backward(s):
        return s.replace(position=s.position - s.velocity)

    function = jax.jit(lambda flag, s: jax.lax.cond(flag, forward, backward, s))
    assert_same(function(True, state()), state(3.0, 2.0))
    assert_same(function(False, state()), state(-1.0, 2.0))
    choose = jax.jit(lambda i, s: jax.lax.switch(i, [forward, backward, doubled], s))
    assert [float(choose(i, state()).position) for i in range(3)] == [3.0, -1.0, 2.0]


def test_cond_names_the_field_whose_type_differs():
    with pytest.raises(TypeError, match="velocity"):
        jax.lax.cond(True, lambda s: s, lambda s: s.replace(velocity=jnp.int32(1)), state())


def test_cond_refuses_branches_with_two_static_values():
    with pytest.raises(TypeError, match="other"):
        jax.lax.cond(True, lambda s: s, lambda s: s.replace(label="other"), state())


def test_while_loop_and_fori_loop_carry_structs():
    final = jax.lax.while_loop(lambda s: s.position < 10, lambda s: s.replace(position=s.position + 3), state())
    assert_same(final, state(10.0, 2.0))
    final = jax.lax.fori_loop(0, 5, lambda i, s: s.replace(velocity=s.velocity + i), state())
    assert_same(final, state(1.0, 12.0))


def test_associative_scan_map_and_select_take_structs():
    batch = state(jnp.arange(4.0), jnp.ones(4))
    summed = jax.lax.associative_scan(lambda a, b: jax.tree.map(jnp.add, a, b), batch)
    assert_same(summed, state([0.0, 1.0, 3.0, 6.0], [1.0, 2.0, 3.0, 4.0]))
    assert_same(jax.lax.map(doubled, batch), doubled(batch))
    chosen = jax.tree.map(lambda a, b: jnp.where(batch.position > 1, a, b), batch, doubled(batch))
    assert chosen.velocity.tolist() == [2.0, 2.0, 1.0, 1.0]


# custom rules and checkpoint


def test_custom_vjp_takes_structs_as_arguments_residuals_and_cotangents():
    @jax.custom_vjp
    def product(s):
        return s.position * s.velocity

    def forward(s):
        return product(s), s

    def backward(s, cotangent):
        return (s.replace(position=10 * s.velocity * cotangent, velocity=10 * s.position * cotangent),)

    product.defvjp(forward, backward)
    assert product(state(2.0, 3.0)) == 6
    assert_same(jax.grad(product)(state(2.0, 3.0)), state(30.0, 20.0))
    assert_same(jax.jit(jax.grad(product))(state(2.0, 3.0)), state(30.0, 20.0))


def test_custom_vjp_refuses_a_cotangent_of_another_struct_class():
    @jax.custom_vjp
    def first(s):
        return s.position

    first.defvjp(lambda s: (s.position, None), lambda _, g: (construct(Counted, x=g, twice=g),))
    with pytest.raises(TypeError):
        jax.grad(first)(state())


def test_custom_vjp_takes_a_hashable_struct_as_a_nondifferentiable_argument():
    @functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
    def apply(config, x):
        return config.width * x

    apply.defvjp(lambda config, x: (apply(config, x), None), lambda config, _, g: (100 * config.width * g,))
    assert jax.grad(lambda x: apply(Config(3), x))(2.0) == 300


def test_custom_jvp_takes_structs_as_primals_and_tangents():
    @jax.custom_jvp
    def product(s):
        return State(s.position * s.velocity, s.velocity)

    @product.defjvp
    def product_jvp(primals, tangents):
        (s,), (t,) = primals, tangents
        assert type(t) is State
        return product(s), State(10 * (s.velocity * t.position + s.position * t.velocity), t.velocity)

    value, derivative = jax.jvp(product, (state(2.0, 3.0),), (state(1.0, 1.0),))
    assert_same(value, state(6.0, 3.0))
    assert_same(derivative, state(50.0, 1.0))
    assert_same(jax.grad(lambda s: product(s).position)(state(2.0, 3.0)), state(30.0, 20.0))


def test_checkpoint_takes_and_gives_structs():
    m, x = model(), jnp.ones((4, 2))
    assert_same(jax.grad(jax.checkpoint(loss))(m, x), jax.grad(loss)(m, x))
    policy = jax.checkpoint_policies.nothing_saveable
    same = jax.checkpoint(lambda m: doubled(m), policy=policy)(m)
    assert_same(same, doubled(m))
    rematerialized = jax.checkpoint(model().__call__)
    assert np.allclose(rematerialized(x), model()(x))


# shapes, jaxprs, compilation


def test_eval_shape_gives_a_struct_of_shapes():
    shapes = jax.eval_shape(doubled, model())
    assert type(shapes) is Model
    assert shapes.first.weight == jax.ShapeDtypeStruct((2, 3), jnp.float32)
    assert shapes.first.activation is jnp.tanh
    again = jax.eval_shape(doubled, shapes)
    assert jax.tree.leaves(again) == jax.tree.leaves(shapes)
    assert "f32[2,3]" in repr(shapes) or "2, 3" in repr(shapes)


def test_eval_shape_of_a_constructor_gives_the_struct_without_computing():
    shapes = jax.eval_shape(lambda key: Linear(jax.random.normal(key, (1000, 1000)), jnp.zeros(3)), jax.random.key(0))
    assert shapes.weight.shape == (1000, 1000)


def test_make_jaxpr_has_one_input_for_each_leaf_in_order():
    jaxpr, shapes = jax.make_jaxpr(lambda m, x: m.replace(scale=x), return_shape=True)(model(), jnp.ones(7))
    assert [v.aval.shape for v in jaxpr.jaxpr.invars] == [(2, 3), (3,), (3, 1), (1,), (), (7,)]
    assert shapes.scale.shape == (7,)
    assert type(shapes) is Model


def test_a_lowered_and_compiled_function_takes_and_gives_structs():
    lowered = jax.jit(doubled).lower(model())
    assert type(lowered.out_info) is Model
    assert type(lowered.args_info[0][0]) is Model
    assert "Model" in repr(lowered.args_info)
    compiled = lowered.compile()
    assert_same(compiled(model()), doubled(model()))
    assert lowered.in_tree == jax.tree.structure(((model(),), {}))
    assert lowered.out_tree == jax.tree.structure(model())


def test_a_function_is_lowered_for_a_struct_of_shapes():
    shapes = jax.eval_shape(lambda: model())
    compiled = jax.jit(loss).lower(shapes, jax.ShapeDtypeStruct((4, 2), jnp.float32)).compile()
    x = jnp.ones((4, 2))
    assert np.allclose(compiled(model(), x), loss(model(), x))


def test_a_compiled_function_refuses_another_structure():
    compiled = jax.jit(doubled).lower(state()).compile()
    with pytest.raises(TypeError, match="other"):
        compiled(state(label="other"))
    with pytest.raises(TypeError):
        compiled(state().replace(velocity=None))


def test_a_compiled_function_names_the_field_of_another_type():
    compiled = jax.jit(doubled).lower(state()).compile()
    with pytest.raises(TypeError, match=r"\.velocity"):
        compiled(state(1.0, [1.0, 2.0]))


def test_an_exported_function_takes_and_gives_structs():
    exported = jax.export.export(jax.jit(doubled))(state())
    assert_same(exported.call(state()), doubled(state()))
    assert exported.in_tree == jax.tree.structure(((state(),), {}))
    assert exported.out_tree == jax.tree.structure(state())


# donation


def test_a_donated_struct_is_used_up_and_the_result_lives():
    s = state(jnp.ones(4), jnp.zeros(4))
    result = jax.jit(doubled, donate_argnums=0)(s)
    assert s.position.is_deleted() and s.velocity.is_deleted()
    assert_same(result, state(2 * jnp.ones(4), jnp.zeros(4)))
    with pytest.raises(RuntimeError, match="deleted"):
        s.position + 1
    assert isinstance(repr(s), str)


def test_a_training_loop_with_a_donated_state_works():
    @functools.partial(jax.jit, donate_argnames="m")
    def step(m, x):
        value, gradient = jax.value_and_grad(loss)(m, x)
        return jax.tree.map(lambda p, g: p - 0.01 * g, m, gradient), value

    m, x, values = model(), jnp.ones((4, 2)), []
    for _ in range(5):
        m, value = step(m, x)
        values.append(float(value))
    assert values == sorted(values, reverse=True)
    assert step._cache_size() == 1


# sharding and devices


def test_a_struct_of_shardings_works_for_jit_device_put_and_constraints():
    devices = mesh()
    s = state(jnp.arange(4.0), 2.0)
    shardings = State(NamedSharding(devices, PartitionSpec("batch")), NamedSharding(devices, PartitionSpec()))
    placed = jax.device_put(s, shardings)
    assert placed.position.sharding == shardings.position
    result = jax.jit(doubled, in_shardings=(shardings,), out_shardings=shardings)(placed)
    assert result.position.sharding.is_equivalent_to(shardings.position, 1)
    assert_same(result, doubled(s))
    constrained = jax.jit(lambda s: jax.lax.with_sharding_constraint(doubled(s), shardings))(placed)
    assert_same(constrained, doubled(s))


def test_a_struct_with_one_sharding_for_a_whole_subtree_is_a_prefix():
    everywhere = SingleDeviceSharding(one_device())
    prefix = Model(everywhere, everywhere, everywhere)
    result = jax.jit(doubled, in_shardings=(prefix,), out_shardings=prefix)(model())
    assert_same(result, doubled(model()))


def test_a_wrong_sharding_prefix_is_refused_with_the_name_of_the_field():
    everywhere = SingleDeviceSharding(one_device())
    prefix = State(everywhere, (everywhere, everywhere))
    with pytest.raises(ValueError, match=r"\.velocity"):
        jax.jit(doubled, in_shardings=(prefix,))(state())


def test_shard_map_takes_structs_of_specs_and_maps_over_structs():
    s = state(jnp.arange(4.0), 2.0)
    specs = State(PartitionSpec("batch"), PartitionSpec())
    mapped = jax.shard_map(
        lambda s: s.replace(position=s.position * s.velocity), mesh=mesh(), in_specs=(specs,), out_specs=specs
    )
    assert_same(mapped(s), state(2 * jnp.arange(4.0), 2.0))
    assert_same(jax.jit(mapped)(s), state(2 * jnp.arange(4.0), 2.0))


def test_device_put_device_get_and_block_until_ready_give_structs():
    s = jax.device_put(state([1.0, 2.0]), one_device())
    assert type(jax.block_until_ready(s)) is State
    on_host = jax.device_get(s)
    assert type(on_host) is State
    assert isinstance(on_host.position, np.ndarray)
    assert_same(on_host, s)


def test_a_pure_callback_takes_and_gives_structs():
    def on_host(s):
        assert type(s) is State
        return jax.tree.map(lambda x: np.asarray(x) * 3, s)

    shapes = jax.eval_shape(lambda: state())
    result = jax.jit(lambda s: jax.pure_callback(on_host, shapes, s))(state())
    assert_same(result, state(3.0, 6.0))


# trees


def test_tree_map_with_is_leaf_sees_whole_structs():
    tree = {"a": state(), "b": [state(3.0), None]}
    result = jax.tree.map(lambda s: s.position, tree, is_leaf=lambda node: isinstance(node, State))
    assert result == {"a": 1.0, "b": [3.0, None]}
    seen = []
    jax.tree.leaves(model(), is_leaf=lambda node: seen.append(type(node)) or False)
    assert seen[:2] == [Model, Linear]


def test_tree_map_over_none_fields_and_with_is_leaf_keeps_none():
    m = Model(linear(), None)
    assert doubled(m).second is None
    flags = jax.tree.map(lambda leaf: leaf is None, m, is_leaf=lambda leaf: leaf is None)
    assert flags == Model(Linear(False, False), True, False)


def test_tree_map_over_several_structs_and_to_other_types_works():
    total = jax.tree.map(lambda a, b: a + b, state(), state(10.0, 20.0))
    assert_same(total, state(11.0, 22.0))
    texts = jax.tree.map(lambda leaf: f"{leaf}", state())
    assert texts.position == "1.0"
    assert jax.tree.map(lambda leaf: None, state()).position is None


def test_tree_map_with_path_gives_attribute_keys():
    paths = jax.tree_util.tree_map_with_path(lambda path, leaf: jax.tree_util.keystr(path), model())
    assert paths.first.weight == ".first.weight"
    assert paths.scale == ".scale"
    assert [path for path, _ in jax.tree_util.tree_leaves_with_path({"k": [state()]})] == [
        (jax.tree_util.DictKey("k"), jax.tree_util.SequenceKey(0), jax.tree_util.GetAttrKey("position")),
        (jax.tree_util.DictKey("k"), jax.tree_util.SequenceKey(0), jax.tree_util.GetAttrKey("velocity")),
    ]


def test_tree_map_names_the_field_where_the_trees_differ():
    with pytest.raises(ValueError, match=r"\.first\.bias"):
        jax.tree.map(lambda a, b: a, Model(Linear(1, (2, 3)), 4), Model(Linear(1, (2, 3, 4)), 4))


def test_flattening_with_and_without_paths_agrees():
    leaves, treedef = jax.tree.flatten(model())
    with_paths, same = jax.tree_util.tree_flatten_with_path(model())
    assert treedef == same
    assert all(np.array_equal(a, b) for (_, a), b in zip(with_paths, leaves, strict=True))


def test_a_treedef_of_module_level_structs_pickles_and_compares_equal():
    plain = Model(linear(activation=abs), None)
    for tree in (plain, state(), Counted(1.0), Config(2, activation=len), {"a": [plain, None]}):
        treedef = jax.tree.structure(tree)
        loaded = pickle.loads(pickle.dumps(treedef))
        assert loaded == treedef
        assert hash(loaded) == hash(treedef)
        assert jax.tree.structure(loaded.unflatten(range(loaded.num_leaves))) == treedef


def test_a_treedef_holds_the_struct_class_and_builds_equal_structs():
    leaves, treedef = jax.tree.flatten(state())
    assert treedef.node_data()[0] is State
    assert jax.tree.unflatten(treedef, leaves) == state()
    assert "State" in str(treedef)
    assert [str(child) for child in treedef.children()] == ["PyTreeDef(*)"] * 2


def test_transpose_reduce_and_all_work_on_structs():
    many = [state(float(i), float(i)) for i in range(3)]
    outer = jax.tree.structure([0, 0, 0])
    transposed = jax.tree.transpose(outer, jax.tree.structure(state()), many)
    assert type(transposed) is State
    assert transposed.position == [0.0, 1.0, 2.0]
    assert jax.tree.reduce(lambda a, b: a + b, many) == 6
    assert jax.tree.all(State(True, True)) and not jax.tree.all(State(True, False))


def test_ravel_pytree_takes_a_struct_apart_and_together():
    flat, unravel = ravel_pytree(model())
    assert flat.shape == (14,)
    assert_same(unravel(flat), model())
    assert_same(unravel(2 * flat), doubled(model()))


def test_a_struct_is_the_unknown_of_a_linear_solver():
    def operator(s):
        return State(2 * s.position, 4 * s.velocity)

    solution, _ = jax.scipy.sparse.linalg.cg(operator, state([2.0, 4.0], [8.0]))
    assert_same(solution, state([1.0, 2.0], [2.0]))


def test_a_partial_of_a_struct_method_is_a_pytree():
    partial = jax.tree_util.Partial(Linear.__call__, linear())
    result = jax.jit(lambda f, x: f(x))(partial, jnp.ones(2))
    assert np.allclose(result, linear()(jnp.ones(2)))


def test_random_keys_and_empty_containers_survive_every_transformation():
    s = State(jax.random.key(0), ((), {}, None, []))
    result = jax.jit(lambda s: s)(s)
    assert result == s
    assert result.velocity == ((), {}, None, [])
    split = jax.vmap(lambda s: jax.random.uniform(s.position), in_axes=(State(0, None),))(
        s.replace(position=jax.random.split(s.position, 3))
    )
    assert split.shape == (3,)


def test_no_tracer_leaks_from_structs():
    with jax.checking_leaks():
        jax.jit(lambda s: doubled(s.replace(position=s.velocity)))(state())
        jax.grad(loss)(model(), jnp.ones((1, 2)))
        jax.jit(lambda x: Counted(x).twice)(1.0)


def test_structs_work_with_strict_promotion_and_double_precision():
    with jax.numpy_dtype_promotion("strict"):
        assert bool(jax.jit(lambda s, t: s == t)(state(), state()))
        assert (state() == State(jnp.int32(1), jnp.int32(2))) is False
        assert bool(jax.jit(lambda s: s != s.replace(position=jnp.int32(1)))(state()))
        assert_same(jax.jit(doubled)(model()), doubled(model()))
