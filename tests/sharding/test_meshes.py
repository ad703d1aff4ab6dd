"""Trees on the devices of meshes with axes of each kind: on one device here, and on eight in a process of its own."""

import functools
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec as P

from structkit import Struct, errors, field, sharding, state, static
from tests.models import Box, Dense, Tower, run_on_eight_devices

ON_EIGHT = jax.device_count() == 8
SIZES = (2, 4) if ON_EIGHT else (1, 1)
NAMES = ("data", "model")
RULES = {"embed": "data", "mlp": "model", "layers": None}
EXPLICIT, AUTO = AxisType.Explicit, AxisType.Auto
# Each kind of axis first and last; the same twice shows nothing more on one device.
KINDS = [(EXPLICIT, AUTO), (AUTO, EXPLICIT), *([(EXPLICIT, EXPLICIT), (AUTO, AUTO)] if ON_EIGHT else [])]


@pytest.fixture(params=KINDS, ids=lambda kinds: "-".join(kind.name for kind in kinds))
def mesh(request):
    return jax.make_mesh(SIZES, NAMES, axis_types=request.param)


def dense(offset=0.0):
    return Dense(jnp.arange(32.0).reshape(8, 4) + offset, jnp.arange(4.0), jnp.float32(1))


def assert_laid(x, mesh, *axes):
    assert x.sharding.is_equivalent_to(NamedSharding(mesh, P(*axes)), x.ndim), x.sharding


def assert_placed(tree, mesh):
    assert_laid(tree.weight, mesh, "data", "model")
    assert_laid(tree.bias, mesh, "model")
    assert_laid(tree.scale, mesh)


@pytest.mark.skipif(jax.device_count() != 1, reason="this is the process with eight devices, or a machine of its own")
def test_all_of_this_holds_on_eight_devices():
    run_on_eight_devices(__file__)


# Placing


def test_shard_puts_each_leaf_where_its_spec_says(mesh):
    placed = sharding.shard(dense(), mesh, rules=RULES)
    assert_placed(placed, mesh)
    assert placed == dense()
    again = sharding.shard(placed, mesh, rules=RULES | {"mlp": None})
    assert_laid(again.weight, mesh, "data")
    assert again == dense()


def test_shard_takes_leaves_of_every_kind(mesh):
    keys = jax.random.split(jax.random.key(0), 8)
    tree = Box({"host": np.ones((8, 4)), "keys": keys, "n": 3, "none": None, "empty": (), "shape": None, "flag": True})
    tree.item["shape"] = jax.ShapeDtypeStruct((8,), jnp.int8)

    class Data(Struct):
        item: Any = field(spec=P("data"))

    whole = sharding.shard(tree, mesh)
    assert whole.item["shape"].sharding == NamedSharding(mesh, P())
    assert (whole.item["n"].item(), whole.item["n"].weak_type) == (3, True)
    assert whole.item["empty"] == () and whole.item["none"] is None
    rows = sharding.shard(Data([keys, np.ones((8, 4)), tree.item["shape"]]), mesh).item
    assert [row.sharding.spec for row in rows] == [P("data")] * 3
    assert jax.random.key_data(rows[0]).tolist() == jax.random.key_data(keys).tolist()


def test_shardings_go_as_they_are_into_jit_and_device_put(mesh):
    where = sharding.shardings(jax.eval_shape(dense), mesh, rules=RULES)
    assert_placed(jax.jit(dense, out_shardings=where)(), mesh)
    assert_placed(jax.device_put(dense(), where), mesh)
    doubled = jax.jit(lambda tree: jax.tree.map(lambda x: 2 * x, tree), in_shardings=(where,), out_shardings=where)
    assert_placed(doubled(jax.device_put(dense(), where)), mesh)
    empty = sharding.shardings((None, Dense(jnp.ones((8, 4)))), mesh, rules=RULES)
    assert jax.jit(lambda tree: tree, in_shardings=(empty,))(jax.device_put((None, Dense(jnp.ones((8, 4)))), empty))


def test_specs_go_as_they_are_into_shard_map(mesh):
    specs = sharding.specs(jax.eval_shape(dense), rules=RULES)
    placed = sharding.shard(dense(), mesh, rules=RULES)
    seen = []

    def part(tree):
        seen.append(tree.weight.shape)
        return jax.tree.map(lambda x: 2 * x, tree)

    doubled = jax.jit(jax.shard_map(part, mesh=mesh, in_specs=(specs,), out_specs=specs))(placed)
    assert doubled == jax.tree.map(lambda x: 2 * x, dense())
    assert seen[0] == (8 // SIZES[0], 4 // SIZES[1])


def test_a_tree_that_is_traced_is_not_placed(mesh):
    with pytest.raises(errors.SpecError) as caught:
        jax.jit(lambda tree: sharding.shard(tree, mesh, rules=RULES))(dense())
    assert str(caught.value) == (
        "sharding of .weight: it is traced, and has no devices; use sharding.constrain inside jit"
    )


# Constraining


def constrained(tree, mesh=None):
    return sharding.constrain(jax.tree.map(lambda x: x + 0, tree), mesh, rules=RULES)


def test_constrain_lays_a_tree_out_inside_jit(mesh):
    with jax.set_mesh(mesh):
        for given in (None, mesh):
            step = jax.jit(functools.partial(constrained, mesh=given))
            for tree in (dense(), sharding.shard(dense(), mesh, rules={"embed": "model", "mlp": None})):
                assert_placed(step(tree), mesh)
                assert step(tree) == dense()


def test_constrain_lays_out_a_tree_that_is_on_the_mesh_without_a_context(mesh):
    elsewhere = sharding.shard(dense(), mesh, rules={"embed": "model", "mlp": None})
    assert_placed(jax.jit(functools.partial(constrained, mesh=mesh))(elsewhere), mesh)


def test_constrain_places_a_tree_outside_of_jit_too(mesh):
    host = Dense(np.ones((8, 4), np.float32), np.ones(4, np.float32), 1.0)
    for tree in (dense(), host, sharding.shard(dense(), mesh, rules={"embed": "model", "mlp": None})):
        assert_placed(sharding.constrain(tree, mesh, rules=RULES), mesh)
        with jax.set_mesh(mesh):
            assert_placed(sharding.constrain(tree, rules=RULES), mesh)


def test_constrain_lays_several_mesh_axes_on_one_axis_of_an_array(mesh):
    tree = Box(Dense(jnp.ones((8, 4))))
    with jax.set_mesh(mesh):
        laid = jax.jit(lambda tree: sharding.constrain(tree, rules={"embed": ("data", "model"), "mlp": None}))(tree)
    assert laid.item.weight.addressable_shards[0].data.shape == (8 // SIZES[0] // SIZES[1], 4)


def test_constrain_leaves_to_the_compiler_what_a_spec_leaves_to_it(mesh):
    class Free(Struct):
        x: Any = field(spec=P(P.UNCONSTRAINED, "model"))

    with jax.set_mesh(mesh):
        x = jax.jit(sharding.constrain)(Free(jnp.ones((8, 4)))).x
    assert x.addressable_shards[0].data.shape[1] == 4 // SIZES[1]


def test_constrain_works_under_the_transformations(mesh):
    with jax.set_mesh(mesh):
        tree = sharding.shard(dense(), mesh, rules=RULES)

        def loss(tree):
            return sum(jnp.sum(x**2) for x in jax.tree.leaves(constrained(tree)))

        assert_placed(jax.jit(lambda tree: constrained(jax.grad(loss)(tree)))(tree), mesh)
        assert jax.jit(jax.grad(loss))(tree) == jax.tree.map(lambda x: 2 * x, dense())
        one = jax.tree.map(jnp.ones_like, tree)
        for slope in jax.jvp(constrained, (dense(),), (one,)):
            assert_placed(slope, mesh)
        end, _ = jax.jit(lambda tree: jax.lax.scan(lambda t, _: (constrained(t), None), tree, length=3))(tree)
        assert_placed(end, mesh)
        many = jax.tree.map(lambda x: jnp.stack([x, x]), dense())
        assert_laid(jax.jit(jax.vmap(constrained))(many).weight, mesh, None, "data", "model")
        assert_placed(jax.jit(jax.checkpoint(constrained))(tree), mesh)


def test_nothing_happens_inside_a_shard_map_over_all_axes(mesh):
    specs, same = sharding.specs(dense(), rules=RULES), []

    def part(tree):
        same.append(sharding.constrain(tree, rules=RULES) is tree is sharding.constrain(tree, mesh))
        return tree

    placed = sharding.shard(dense(), mesh, rules=RULES)
    jax.jit(jax.shard_map(part, mesh=mesh, in_specs=(specs,), out_specs=specs))(placed)
    assert same[0]


@pytest.mark.parametrize("manual", NAMES)
def test_the_axes_of_a_shard_map_are_left_out(mesh, manual):
    spec, (other,) = P("data") if manual == "data" else P(None, "model"), {*NAMES} - {manual}
    tree, seen = jax.device_put(Dense(jnp.ones((8, 4))), NamedSharding(mesh, spec)), []

    def part(tree, given):
        laid = constrained(tree, given)
        seen.append(jax.typeof(laid.weight).sharding.spec)
        return laid

    for given in (None, mesh):
        mapped = jax.shard_map(
            functools.partial(part, given=given), mesh=mesh, in_specs=(spec,), out_specs=spec, axis_names={manual}
        )
        laid = jax.jit(mapped)(tree)
        if dict(zip(NAMES, mesh.axis_types))[other] == EXPLICIT:
            # JAX 0.10 forgets it again at the end of a shard_map over an Auto axis.
            assert seen[-1] == (P("data", None) if other == "data" else P(None, "model"))
        else:
            assert_laid(laid.weight, mesh, "data", "model")


def test_sizes_that_a_shard_map_has_divided_need_not_divide_again(mesh):
    tree = sharding.shard(Dense(jnp.ones((SIZES[0], 4))), mesh, rules=RULES | {"mlp": None})

    def part(tree):
        assert tree.weight.shape == (1, 4)
        return constrained(tree)

    mapped = jax.shard_map(part, mesh=mesh, in_specs=(P("data"),), out_specs=P("data"), axis_names={"data"})
    assert jax.jit(mapped)(tree) == Dense(jnp.ones((SIZES[0], 4)))


def test_a_mesh_that_is_not_the_one_in_use_counts(mesh):
    other = jax.make_mesh(SIZES[::-1], ("x", "y"), axis_types=(AUTO, AUTO))
    tree = sharding.shard(dense(), mesh, rules=RULES)
    with jax.set_mesh(other):
        assert_laid(sharding.constrain(dense(), rules={"embed": "x", "mlp": "y"}).weight, other, "x", "y")
    assert_placed(sharding.constrain(tree, mesh, rules=RULES), mesh)


@pytest.mark.skipif(not ON_EIGHT, reason="one device has no other order")
@pytest.mark.parametrize("axis_types", KINDS)
def test_devices_that_are_not_those_of_the_mesh_in_use_are_refused(mesh, axis_types):
    other = Mesh(mesh.devices[::-1], NAMES, axis_types=axis_types)
    with jax.set_mesh(mesh):
        calls = [constrained, jax.jit(constrained, static_argnums=1)]
        # JAX takes all meshes of one shape for the same where it traces a reshard.
        for call in calls if AUTO in mesh.axis_types else calls[:1]:
            with pytest.raises(ValueError, match=r"^Received incompatible devices for jitted computation"):
                call(dense(), other)
            assert_placed(call(dense(), Mesh(mesh.devices, NAMES, axis_types=axis_types)), mesh)


MESHLESS = {
    "None": lambda: jax.jit(constrained)(dense()),
    "NoneType": lambda: sharding.shardings(dense(), None),
    "str": lambda: sharding.constrain(dense(), "model"),
    "dict": lambda: sharding.shard(dense(), {"model": 1}),
    "AbstractMesh": lambda: sharding.shard(dense(), jax.sharding.AbstractMesh(SIZES, ("data", "model")), rules=RULES),
}


@pytest.mark.parametrize("given", MESHLESS)
def test_a_mesh_is_needed(given):
    with pytest.raises(errors.NoMeshError) as caught:
        MESHLESS[given]()
    assert str(caught.value) == (
        f"a mesh is needed, and {given.removesuffix('Type')} is given; pass what jax.make_mesh gives, "
        "or call sharding.constrain under jax.set_mesh(mesh)"
    )


def test_errors_inside_jit_have_the_path(mesh):
    with (
        jax.set_mesh(mesh),
        pytest.raises(errors.SpecError, match=r"^sharding of \[0\]\.weight: 'embed' of P\('embed'"),
    ):
        jax.jit(sharding.constrain)([dense()])


# A model with its optimizer


class Net(Struct):
    layers: Any = field(spec=P("layers", ...))
    head: Any
    width: int = static(default=4)

    @classmethod
    def make(cls):
        layers = Dense(jnp.sin(jnp.arange(192.0)).reshape(3, 8, 8), jnp.zeros((3, 8)))
        return cls(layers, Dense(jnp.sin(jnp.arange(32.0)).reshape(8, 4), jnp.zeros(4)))

    def __call__(self, x):
        def layer(x, dense):
            return jnp.tanh(x @ dense.weight + dense.bias), None

        x, _ = jax.lax.scan(layer, x, self.layers)
        return x @ self.head.weight + self.head.bias


def train(optimizer, place):
    """The losses of three steps from parameters and a state that `place` has put somewhere."""
    params = Net.make()
    params, state = place(params, None), place(jax.jit(optimizer.init)(params), params)
    x = jnp.ones((8, 8))

    @jax.jit
    def step(params, state):
        loss, grads = jax.value_and_grad(lambda params: jnp.mean(params(x) ** 2))(params)
        updates, state = optimizer.update(grads, state, params)
        return optax.apply_updates(params, updates), state, loss

    losses = []
    for _ in range(3):
        params, state, loss = step(params, state)
        losses.append(loss.item())
    return params, losses


@pytest.mark.skipif(jax.device_count() == 1, reason="there is nothing to compare with")
def test_a_sharded_model_learns_what_one_on_a_single_device_does():
    optimizer = optax.adam(0.01)
    mesh = jax.make_mesh(SIZES, NAMES, axis_types=(AUTO, AUTO))

    def place(tree, params):
        return sharding.shard(tree, mesh, rules=RULES, params=params)

    params, losses = train(optimizer, place)
    assert params.layers.weight.sharding.is_equivalent_to(NamedSharding(mesh, P(None, "data", "model")), 3)
    _, expected = train(optimizer, lambda tree, _: tree)
    assert losses == pytest.approx(expected, rel=1e-4)
    assert losses[2] < losses[0]


def test_a_state_is_made_in_its_place(mesh):
    optimizer = optax.adafactor(0.1, min_dim_size_to_factor=4)
    params = sharding.shard(Tower(Dense(jnp.ones((3, 8, 4))), Dense(jnp.ones((8, 4)))), mesh, rules=RULES)
    where = sharding.shardings(jax.eval_shape(optimizer.init, params), mesh, rules=RULES, params=params)
    state = jax.jit(optimizer.init, out_shardings=where)(params)
    for leaf, place in zip(jax.tree.leaves(state), jax.tree.leaves(where), strict=True):
        assert leaf.sharding.is_equivalent_to(place, leaf.ndim)


@pytest.mark.skipif(not ON_EIGHT, reason="one device divides every shape")
def test_a_target_whose_sharding_does_not_divide_is_told(tmp_path):
    state.save(tmp_path / "file", jnp.ones(6))
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AUTO,))
    with pytest.raises(errors.StateError) as error:
        state.load(tmp_path / "file", jax.ShapeDtypeStruct((6,), jnp.float32, sharding=NamedSharding(mesh, P("data"))))
    assert "file: cannot go where the target has it (" in str(error.value)
    assert str(error.value).endswith("; give a target with a sharding that divides its shape")


@pytest.mark.skipif(not ON_EIGHT, reason="the page is for eight devices")
def test_the_programs_of_the_page_run_and_print_what_they_say(monkeypatch):
    run_page = pytest.importorskip("tests.pages", reason="sybil is not installed").run_page
    run_page(pathlib.Path(__file__).parents[2] / "docs" / "scaling.md", monkeypatch)
