"""Structs under every transformation of JAX: what goes in as a struct comes out as one."""

import functools
import pickle
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from jax.sharding import Mesh, NamedSharding, PartitionSpec, SingleDeviceSharding

from structkit import Struct, construct, static, struct
from tests.models import (
    Custom,
    Everything,
    Function,
    Layer,
    Left,
    Loud,
    LoudCustom,
    Pair,
    Right,
    Scaled,
    Skipping,
    Squared,
    counting_jit,
    names_places,
)

f32 = functools.partial(jnp.asarray, dtype=jnp.float32)
DEVICE = jax.devices()[0]
EVERYWHERE = SingleDeviceSharding(DEVICE)
MESH = Mesh(np.array([DEVICE]), ("batch",))


class Model(Struct):
    first: Layer
    second: Layer | None
    scale: Any = 1.0
    name: str = static(default="model")

    def __call__(self, x: jax.Array) -> jax.Array:
        x = self.first(x)
        return (x if self.second is None else self.second(x)) * self.scale


def linear(n_in: int = 2, n_out: int = 3, **options: Any) -> Layer:
    return Layer(f32(np.arange(n_in * n_out).reshape(n_in, n_out) / 10), f32(np.ones(n_out)), **options)


def model() -> Model:
    return Model(linear(), linear(3, 1), f32(2))


def pair(x: Any = 1.0, y: Any = 2.0, **options: Any) -> Pair:
    return Pair(f32(x), f32(y), **options)


def inputs() -> jax.Array:
    return f32(np.ones((4, 2)))


def loss(m: Model, x: jax.Array) -> jax.Array:
    return jnp.sum(jax.vmap(m)(x) ** 2)


def doubled(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf * 2, tree)


def assert_same(tree: Any, other: Any) -> None:
    assert jax.tree.structure(tree) == jax.tree.structure(other)
    for leaf, wanted in zip(jax.tree.leaves(tree), jax.tree.leaves(other), strict=True):
        if isinstance(leaf, str | jax.ShapeDtypeStruct):
            assert leaf == wanted
        else:
            assert jnp.shape(leaf) == jnp.shape(wanted)
            assert np.allclose(leaf, wanted, rtol=1e-5)


@struct.dataclass
class Decorated:
    """A class of the drop-in, whose hook must not run either."""

    x: Any
    y: Any
    activation: Any = struct.field(pytree_node=False, default=jnp.tanh)

    def __post_init__(self):
        Loud.mark("post_init")


# Every transformation does with a struct what it does with a named tuple, and runs no hook (traps 2 and 3)


class Reference(NamedTuple):
    x: Any
    y: Any


def as_struct(tree: Any, like: Any) -> Any:
    """The tree with a struct in the place of each named tuple."""

    def converted(node: Any) -> Any:
        return remade(like, *(as_struct(child, like) for child in node)) if isinstance(node, Reference) else node

    return jax.tree.map(converted, tree, is_leaf=lambda node: isinstance(node, Reference))


def remade(like: Any, x: Any, y: Any) -> Any:
    """Another object of the class, made without its constructor."""
    return jax.tree.structure(like).unflatten([x, y])


def step(s: Any) -> Any:
    return remade(s, s.x * s.y, s.x + s.y)


def total(s: Any) -> jax.Array:
    return jnp.sum(s.x**2 * s.y)


def with_custom_vjp(s: Any) -> Any:
    @jax.custom_vjp
    def function(s):
        return step(s)

    function.defvjp(lambda s: (step(s), s), lambda s, g: (remade(s, 10 * g.x * s.y, 10 * g.y * s.x),))
    return jax.vjp(function, s)[1](s)


def with_custom_jvp(s: Any) -> Any:
    @jax.custom_jvp
    def function(s):
        return step(s)

    function.defjvp(lambda s, t: (step(s[0]), remade(s[0], 10 * s[0].x * t[0].y, t[0].x)))
    return jax.jvp(function, (s,), (s,))


def on_shards(s: Any) -> Any:
    specs = remade(s, PartitionSpec("batch"), PartitionSpec())
    shardings = jax.tree.map(lambda spec: NamedSharding(MESH, spec), specs)
    placed = jax.device_put(s, shardings)
    assert placed.x.sharding == shardings.x
    constrained = jax.jit(lambda s: jax.lax.with_sharding_constraint(step(s), shardings))(placed)
    mapped = jax.shard_map(doubled, mesh=MESH, in_specs=(specs,), out_specs=specs)
    return jax.jit(step, in_shardings=(shardings,), out_shardings=shardings)(placed), constrained, mapped(placed)


def through_a_callback(s: Any) -> Any:
    def on_host(given: Any) -> Any:
        assert type(given) is type(s)
        return jax.tree.map(lambda x: np.asarray(x) * np.float32(3), given)

    return jax.jit(lambda s: jax.pure_callback(on_host, jax.eval_shape(step, s), s))(s)


def raveled(s: Any) -> Any:
    flat, unravel = ravel_pytree(s)
    return flat, unravel(flat)


def solved(s: Any) -> Any:
    return jax.scipy.sparse.linalg.cg(lambda s: remade(s, 2 * s.x, 4 * s.y), s)[0]


TRANSFORMATIONS: dict[str, Callable[[Any], Any]] = {
    "tree.map": doubled,
    "tree_map_with_path": lambda s: jax.tree_util.tree_map_with_path(lambda _, leaf: leaf, s),
    "jit": lambda s: jax.jit(step)(s),
    "a compiled function": lambda s: jax.jit(step).lower(s).compile()(s),
    "an exported function": lambda s: jax.export.export(jax.jit(step))(s).call(s),
    "eval_shape": lambda s: jax.eval_shape(step, s),
    "make_jaxpr": lambda s: str(jax.make_jaxpr(step)(s)),
    "grad": lambda s: jax.grad(total)(s),
    "value_and_grad": lambda s: jax.value_and_grad(lambda s: (total(s), step(s)), has_aux=True)(s),
    "grad by two": lambda s: jax.grad(lambda a, b: total(a) * total(b), argnums=(0, 1))(s, doubled(s)),
    "stop_gradient": lambda s: jax.grad(lambda s: total(s) * total(jax.lax.stop_gradient(s)))(s),
    "jvp": lambda s: jax.jvp(step, (s,), (doubled(s),)),
    "vjp": lambda s: jax.vjp(step, s)[1](doubled(s)),
    "linearize": lambda s: jax.linearize(step, s)[1](doubled(s)),
    "linear_transpose": lambda s: jax.linear_transpose(lambda s: s.x + 2 * s.y, s)(s.x),
    "jacfwd": lambda s: jax.jacfwd(step)(s),
    "jacrev": lambda s: jax.jacrev(step)(s),
    "hessian": lambda s: jax.hessian(total)(s),
    "vmap": lambda s: jax.vmap(step)(s),
    "vmap with axes": lambda s: jax.vmap(doubled, in_axes=(remade(s, 0, None),), out_axes=remade(s, 0, None))(s),
    "vmap of grad": lambda s: jax.vmap(jax.grad(total))(s),
    "scan": lambda s: jax.lax.scan(lambda carry, row: (step(carry), (row, carry)), s, s),
    "map": lambda s: jax.lax.map(step, s),
    "associative_scan": lambda s: jax.lax.associative_scan(lambda a, b: jax.tree.map(jnp.add, a, b), s),
    "cond": lambda s: [jax.jit(lambda c, s: jax.lax.cond(c, step, doubled, s))(c, s) for c in (True, False)],
    "switch": lambda s: jax.lax.switch(1, [step, doubled], s),
    "while_loop": lambda s: jax.lax.while_loop(lambda s: jnp.sum(s.x) < 50, step, s),
    "fori_loop": lambda s: jax.lax.fori_loop(0, 3, lambda _, s: step(s), s),
    "checkpoint": lambda s: (jax.checkpoint(step)(s), jax.grad(jax.checkpoint(total))(s)),
    "custom_vjp": with_custom_vjp,
    "custom_jvp": with_custom_jvp,
    "pure_callback": through_a_callback,
    "device_put and device_get": lambda s: jax.device_get(jax.block_until_ready(jax.device_put(s, DEVICE))),
    "a prefix of shardings": lambda s: jax.jit(step, in_shardings=(remade(s, EVERYWHERE, None),))(s),
    "shards": on_shards,
    "ravel_pytree": raveled,
    "conjugate gradients": solved,
}


@functools.cache
def expected(name: str) -> Any:
    return TRANSFORMATIONS[name](Reference(f32([1, 2]), f32([3, 4])))


@pytest.mark.parametrize("name", TRANSFORMATIONS)
@pytest.mark.parametrize("cls", [Pair, Loud, LoudCustom, Decorated])
def test_a_transformation_does_with_a_struct_what_it_does_with_a_named_tuple_and_runs_no_hook(cls, name):
    derived = {"twice": None} if cls is Loud else {}
    made = construct(cls, x=f32([1, 2]), y=f32([3, 4]), **derived)
    Loud.marks.clear()
    LoudCustom.marks.clear()
    result = TRANSFORMATIONS[name](made)
    assert Loud.marks == LoudCustom.marks == []
    assert_same(result, as_struct(expected(name), made))


def test_a_constructor_runs_once_inside_a_trace_and_never_afterwards():
    made = jax.jit(lambda x: (Everything(x, 2.0), Custom(x, x), Squared(x), Scaled(x), Scaled(x + 1, 3.0)))(f32(3.0))
    assert_same(
        made,
        (
            construct(Everything, value=6.0, doubled=12.0, label="times 2.0"),
            construct(Custom, total=6.0, count=2),
            construct(Squared, side=3.0, area=9.0),
            construct(Scaled, value=6.0),
            construct(Scaled, value=12.0),
        ),
    )
    for through in (jax.jit(lambda s: s), lambda s: jax.tree.map(lambda leaf: leaf, s)):
        assert_same(through(made), made)


# What is refused, and how it is named


def first_with_cotangent(other):
    @jax.custom_vjp
    def first(s):
        return s.x

    first.defvjp(lambda s: (s.x, s), lambda s, _: (other(s),))
    return jax.grad(first)


# Each takes a struct where it or the result should have another structure.
MISMATCHES = {
    "cond": (TypeError, lambda s, other: jax.lax.cond(True, lambda s: s, other, s)),
    "switch": (TypeError, lambda s, other: jax.lax.switch(1, [lambda s: s, other, lambda s: s], s)),
    "scan": (TypeError, lambda s, other: jax.lax.scan(lambda s, _: (other(s), None), s, length=2)),
    "while_loop": (TypeError, lambda s, other: jax.lax.while_loop(lambda s: s.x < 3, other, s)),
    "fori_loop": (TypeError, lambda s, other: jax.lax.fori_loop(0, 3, lambda _, s: other(s), s)),
    "compiled": (TypeError, lambda s, other: jax.jit(doubled).lower(s).compile()(other(s))),
    "jvp": (TypeError, lambda s, other: jax.jvp(lambda s: s.x, (s,), (other(s),))),
    "custom_vjp": (TypeError, lambda s, other: first_with_cotangent(other)(s)),
    "in_axes": (ValueError, lambda s, other: jax.vmap(doubled, in_axes=(other(s.replace(x=0, y=0)),))(s)),
    "in_shardings": (
        ValueError,
        lambda s, other: jax.jit(doubled, in_shardings=(other(s.replace(x=EVERYWHERE, y=EVERYWHERE)),))(s),
    ),
}


class Child(Pair):
    pass


@pytest.mark.parametrize(("error", "misuse"), MISMATCHES.values(), ids=MISMATCHES)
@pytest.mark.parametrize(
    "other",
    [
        # Trap 1: two classes with as many fields.
        pytest.param(lambda s: Skipping(s.x, s.y), id="another class"),
        pytest.param(lambda s: Child(s.x, s.y), id="a subclass"),
        pytest.param(lambda s: s.replace(name="other"), id="another static"),
        pytest.param(lambda s: s.replace(y={}), id="another child"),
    ],
)
def test_another_structure_is_refused(other, error, misuse):
    with pytest.raises(error, match=r"Skipping|Child|other|prefix|structure|args.0..y"):
        misuse(pair(), other)


NAMED = {
    "an argument of jit": (r"s\.y", lambda s: jax.jit(lambda s: s)(s.replace(y="text"))),
    "a result of jit": pytest.param(r"\.y", lambda s: jax.jit(lambda s: s.replace(y="text"))(s), marks=names_places),
    "two sizes in vmap": (r"(?s)s\.x.*s\.y", lambda s: jax.vmap(lambda s: s)(pair([1, 2], [1, 2, 3]))),
    "in_axes": (r"in_axes\[0\]\.y", lambda s: jax.vmap(lambda s: s, in_axes=(Pair(0, (0, 0)),))(s)),
    "nested in_axes": (
        r"in_axes\[0\]\.first\.bias",
        lambda s: jax.vmap(lambda m: m, in_axes=(Model(Layer(0, [0, 0]), 0, 0),))(model()),
    ),
    "in_shardings": (r"\.y", lambda s: jax.jit(doubled, in_shardings=(Pair(EVERYWHERE, (EVERYWHERE, EVERYWHERE)),))(s)),
    "scan": (r"\.x", lambda s: jax.lax.scan(lambda s, _: (s.replace(x=f32([1, 2])), None), s, length=2)),
    "cond": ("y", lambda s: jax.lax.cond(True, lambda s: s, lambda s: s.replace(y=jnp.int32(1)), s)),
    "compiled": (r"\.y", lambda s: jax.jit(doubled).lower(s).compile()(pair(1.0, [1.0, 2.0]))),
}


@pytest.mark.parametrize(("pattern", "misuse"), NAMED.values(), ids=NAMED)
def test_the_errors_of_jax_name_the_field(pattern, misuse):
    with pytest.raises((TypeError, ValueError), match=pattern):
        misuse(pair())


# jit


def test_jit_traces_once_for_equal_structures_and_again_for_another_static_or_class():
    jitted, traces = counting_jit(lambda s: jax.tree.leaves(s)[0] + len(getattr(s, "name", "")))
    same = (pair(), pair(5.0), pair().replace(x=f32(7.0)), pickle.loads(pickle.dumps(pair())))
    assert [float(jitted(s)) for s in same] == [5, 9, 11, 5]
    assert len(traces) == 1
    assert jitted(pair(name="ab")) == jitted(pair().replace(name="a" + "b")) == 3
    assert len(traces) == 2
    assert jitted(Left(1.0, 2.0)) == jitted(Right(1.0, 2.0)) == jitted(Left(1.0, 4.0)) == 1
    assert len(traces) == 4


def test_jit_takes_a_struct_of_hashable_values_as_a_static_argument_and_refuses_one_of_arrays():
    jitted, traces = counting_jit(lambda config, x: config.x * x, static_argnums=0)
    assert jitted(Pair(2, ("a",)), 0.5) == 1 and jitted(Pair(2, ("a",)), 0.25) == 0.5
    assert len(traces) == 1
    for other in (Pair(3, ("a",)), Pair(2, ("b",)), Pair(2, ("a",), name="other")):
        assert jitted(other, 0.5) == other.x / 2
    assert len(traces) == 4
    assert jax.jit(lambda function, x: function.x[0] * x, static_argnums=0)(Function((2, "callable")), 0.5) == 1
    with pytest.raises(ValueError, match="hashable"):
        jitted(pair(), 1.0)


def test_a_callable_struct_its_methods_and_its_class_are_jitted():
    layer, x = linear(), f32([1, 1])
    whole = functools.partial(jax.jit(Layer.__call__), layer)
    partial = functools.partial(jax.jit(lambda f, x: f(x)), jax.tree_util.Partial(Layer.__call__, layer))
    for jitted in (jax.jit(layer), jax.jit(layer.__call__), whole, partial, layer.jitted):
        assert np.allclose(jitted(x), layer(x))
        assert np.allclose(jitted(2 * x), layer(2 * x))
    other = layer.replace(bias=f32([0, 0, 0]))
    assert np.allclose(other.jitted(x), other(x))
    assert np.allclose(jax.jit(model())(x), model()(x))


def test_other_transformations_take_a_callable_struct_with_array_fields():
    layer, x = Function(f32(3.0)), f32([0.0, 1.0])
    for result in (jax.vmap(layer)(x), jax.checkpoint(layer)(x), jax.jvp(layer, (x,), (x,))[1], jax.lax.map(layer, x)):
        assert result.tolist() == [0.0, 3.0]
    assert jax.grad(layer)(2.0) == 3
    assert jax.eval_shape(layer, x).shape == (2,)
    assert "mul" in str(jax.make_jaxpr(layer)(x))


# Layers and prefixes


def test_a_whole_subtree_takes_one_axis_or_one_sharding():
    x = f32([1, 1])
    m = jax.tree.map(lambda leaf: jnp.stack([leaf, 2 * leaf]), model())
    wanted = jnp.stack([model()(x), doubled(model())(x)])
    assert np.allclose(jax.vmap(lambda m: m(x), in_axes=(Model(0, 0, 0),))(m), wanted)
    mixed = Model(linear().replace(weight=m.first.weight), linear(3, 1), f32(1.0))
    assert jax.vmap(lambda m: m(x), in_axes=(Model(Layer(0, None), None, None),))(mixed).shape == (2, 1)
    prefix = Model(EVERYWHERE, EVERYWHERE, EVERYWHERE)
    assert_same(jax.jit(doubled, in_shardings=(prefix,), out_shardings=prefix)(model()), doubled(model()))


# Shapes, jaxprs, compilation


def test_a_lowered_or_exported_function_knows_the_structs_it_takes_and_gives():
    trees = jax.tree.structure(((model(),), {})), jax.tree.structure(model())
    lowered, exported = jax.jit(doubled).lower(model()), jax.export.export(jax.jit(doubled))(model())
    assert type(lowered.out_info) is type(lowered.args_info[0][0]) is Model and "Model" in repr(lowered.args_info)
    assert (lowered.in_tree, lowered.out_tree) == (exported.in_tree, exported.out_tree) == trees
    for_shapes = jax.jit(loss).lower(jax.eval_shape(model), jax.eval_shape(inputs)).compile()
    assert np.allclose(for_shapes(model(), inputs()), loss(model(), inputs()))


# Leaves and modes


def test_integer_leaves_random_keys_none_and_empty_containers_survive():
    gradient = jax.grad(lambda s: s.x**2, allow_int=True)(Pair(f32(2.0), jnp.int32(3)))
    assert gradient.x == 4 and gradient.y.dtype == jax.dtypes.float0
    s = Pair(jax.random.key(0), ((), {}, None, []))
    result = jax.jit(lambda *, s: s)(s=s)
    assert result == s and result.y == ((), {}, None, [])
    many = s.replace(x=jax.random.split(s.x, 3))
    assert jax.vmap(lambda s: jax.random.uniform(s.x), in_axes=(Pair(0, None),))(many).shape == (3,)


def test_no_tracer_leaks_from_structs():
    with jax.checking_leaks():
        jax.jit(lambda s: doubled(s.replace(x=s.y)))(pair())
        jax.grad(loss)(model(), inputs())
        jax.jit(lambda x: Squared(x).area)(1.0)


def test_comparisons_and_maps_promote_nothing():
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        assert bool(jax.jit(lambda s, t: s == t)(pair(), pair()))
        assert (pair() == Pair(jnp.int32(1), jnp.int32(2))) is False
        assert (pair() == pair([1.0, 1.0])) is False
        assert bool(jax.jit(lambda s: s != s.replace(x=jnp.int32(1)))(pair()))
        assert_same(jax.jit(doubled)(model()), doubled(model()))
