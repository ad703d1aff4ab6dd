"""Orbax with schemas beside its checkpoints: what it takes in silence is told, and changed classes are restored."""

from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest
from jax.sharding import NamedSharding, PartitionSpec as P
from jax.tree_util import Partial
from orbax.checkpoint import v1

from structkit import Struct, field, state, static
from structkit.errors import StateError
from tests.ecosystem.sharded import SIZES, Dense, dense, laid, lie_alike, two_meshes
from tests.models import Coordinates, Ring, run_on_eight_devices
from tests.state.trees import same


@pytest.fixture
def meshes():
    return two_meshes()


class Train(Struct):
    model: Any
    opt_state: optax.OptState
    key: jax.Array
    step: Any
    nothing: None = None
    optimizer: Any = static(default=optax.adam(1e-3))


class Grown(Struct):
    """`Dense` with a field that was renamed and two that were added."""

    kernel: jax.Array = field(aliases=("weight",), spec=P("embed", "mlp"))
    bias: jax.Array = field(spec=P("mlp"))
    scale: jax.Array = field(default_factory=lambda: jnp.ones(4), spec=P("mlp"))
    rate: float = 0.1
    name: str = static(default="dense")


class Shrunk(Struct):
    """`Dense` without one of its fields."""

    weight: jax.Array = field(spec=P("embed", "mlp"))
    name: str = static(default="dense")


def grown(scale=1.0):
    return Grown(dense().weight, dense().bias, jnp.full(4, scale))


def created():
    return Train(dense(), optax.adam(1e-3).init(dense()), jax.random.key(3), jnp.array(7))


# The two interfaces: what saves, and what gives the metadata and a function from a target to what is restored.


def standard_save(path, tree, **metadata):
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(path, tree, **metadata)


@contextmanager
def standard(path):
    with ocp.StandardCheckpointer() as checkpointer:
        yield checkpointer.metadata(path).custom_metadata, lambda target: checkpointer.restore(path, target)


@contextmanager
def partial(path):
    with ocp.PyTreeCheckpointer() as checkpointer:
        arguments = ocp.checkpoint_utils.construct_restore_args
        restore = lambda target: checkpointer.restore(path, target, restore_args=arguments(target))  # noqa: E731
        yield checkpointer.metadata(path).custom_metadata, restore


def manager_save(path, tree, **metadata):
    with ocp.CheckpointManager(path) as manager:
        manager.save(0, args=ocp.args.StandardSave(tree), **metadata)


@contextmanager
def manager(path):
    with ocp.CheckpointManager(path) as manager:
        restore = lambda target: manager.restore(0, args=ocp.args.StandardRestore(target))  # noqa: E731
        yield manager.metadata(0).custom_metadata, restore


def v1_save(path, tree, **metadata):
    v1.save_async(path, tree, **metadata).result()


@contextmanager
def v1_load(path):
    yield v1.metadata(path).custom_metadata, lambda target: v1.load(path, target)


def steps_save(path, tree, **metadata):
    with v1.training.Checkpointer(path) as checkpointer:
        checkpointer.save_async(0, tree, **metadata)


@contextmanager
def steps(path):
    with v1.training.Checkpointer(path) as checkpointer:
        yield checkpointer.metadata(0).custom_metadata, lambda target: checkpointer.load(0, target)


INTERFACES = {
    "classic": (standard_save, standard),
    "classic, partial": (standard_save, partial),
    "classic, steps": (manager_save, manager),
    "v1": (v1_save, v1_load),
    "v1, steps": (steps_save, steps),
    "classic to v1": (standard_save, v1_load),
}
# Those that know of leaves which are not wanted.
PARTIAL = ["classic, partial", "v1", "v1, steps", "classic to v1"]


def saved(interface, path, tree):
    INTERFACES[interface][0](path, tree, custom_metadata=state.schema(tree))


def restored(interface, path, like, strict=True, schema=None):
    with INTERFACES[interface][1](path) as (metadata, restore):
        match = state.match(schema or metadata, like, strict)
        return match.fill(restore(match.target))


@pytest.fixture(params=INTERFACES)
def interface(request):
    return request.param


@pytest.mark.skipif(jax.device_count() != 1, reason="this is the process with eight devices, or a machine of its own")
def test_all_of_this_holds_on_eight_devices():
    run_on_eight_devices(__file__)


def test_a_state_is_restored_to_the_shardings_of_the_target(interface, meshes, tmp_path):
    tree, target = laid(created(), meshes[0]), laid(jax.eval_shape(created), meshes[1])
    saved(interface, tmp_path / "state", tree)
    found = restored(interface, tmp_path / "state", target)
    assert found == tree and same(found, tree) and lie_alike(found, target)
    assert found.model.weight.addressable_shards[0].data.shape == (8 // SIZES[0], 4 // SIZES[1])


def test_statics_shapes_and_dtypes_that_differ_are_told_together(interface, meshes, tmp_path):
    saved(interface, tmp_path / "state", laid(created(), meshes[0]))
    like = jax.eval_shape(lambda: created().replace(model=grown(), step=jnp.zeros(2, int)))
    bias = like.model.bias.update(dtype=jnp.float32)
    with pytest.raises(StateError) as caught:
        restored(interface, tmp_path / "state", like.replace(model=like.model.replace(name="other", bias=bias)))
    assert str(caught.value) == (
        "match: does not fit the target in 3 places:\n"
        "  .model.bias: dtype: bfloat16[4] was saved, the target has float32[4]\n"
        "  .model.name: static: 'dense' was saved, the target has 'other'\n"
        "  .step: shape: int32[] was saved, the target has int32[2]\n"
        "change the target, or take what fits with strict=False"
    )


def test_a_struct_whose_class_has_changed_is_restored_to_its_shardings(interface, meshes, tmp_path):
    saved(interface, tmp_path / "dense", laid(dense(), meshes[0]))
    target = laid(jax.eval_shape(lambda: grown(2.0)), meshes[1]).replace(rate=0.5)
    found = restored(interface, tmp_path / "dense", target)
    assert found == grown() and found.rate == 0.1
    assert lie_alike((found.kernel, found.bias, found.scale), (target.kernel, target.bias, target.scale))


@pytest.mark.parametrize("interface", PARTIAL)
def test_a_field_that_was_removed_is_told_or_left_out(interface, meshes, tmp_path):
    saved(interface, tmp_path / "dense", laid(dense(), meshes[0]))
    target = laid(jax.eval_shape(lambda: Shrunk(dense().weight, name="other")), meshes[1])
    with pytest.raises(StateError) as caught:
        restored(interface, tmp_path / "dense", target)
    assert str(caught.value) == (
        "match: does not fit the target in 2 places:\n"
        "  .name: static: 'dense' was saved, the target has 'other'\n"
        "  .bias: unknown: it was saved, and the target does not have it\n"
        "change the target, or take what fits with strict=False"
    )
    found = restored(interface, tmp_path / "dense", target, strict=False)
    assert found == Shrunk(dense().weight, name="other") and lie_alike(found, target)


def many_kinds(interface):
    nodes = [Ring(jnp.ones(2), 1), Partial(jnp.sin, jnp.ones(2), b=3), Coordinates(jnp.ones(2), None), {10: 1, 2: ()}]
    keys = [jax.random.key(0), jax.random.split(jax.random.key(1), 3), jax.random.key(2, impl="rbg")]
    leaves = [jnp.asarray(3), jnp.arange(8).astype("int4"), jnp.ones(3, "float8_e5m2"), 2.5, 2**40]
    leaves += [np.arange(3) + 2**40, np.ones((2, 3)).T, np.ones(3, ">f4")]
    # What only one of them saves.
    return [nodes, keys, leaves, "text" if interface.startswith("v1") else np.float32(3)]


def test_what_they_hold_comes_back_as_it_was_also_without_a_sharding(interface, tmp_path):
    tree = many_kinds(interface)
    saved(interface, tmp_path / "tree", tree)
    (ring, *nodes), *others = restored(interface, tmp_path / "tree", tree)
    # A node of an own class is compared by its identity.
    assert same((ring.x, ring.size, nodes, others), (tree[0][0].x, 1, tree[0][1:], tree[1:]))
    assert not any(leaf.committed for leaf in jax.tree.leaves((ring, nodes, others)) if isinstance(leaf, jax.Array))


def test_numbers_of_64_bits_are_restored_to_devices_whole(interface, meshes, tmp_path):
    # Orbax by itself makes 32 bits of them, without a word, where JAX has no others.
    numbers = np.arange(8) + 2**40
    saved(interface, tmp_path / "numbers", [numbers])
    place = NamedSharding(meshes[0][0], P("data"))
    (found,) = restored(interface, tmp_path / "numbers", [jax.ShapeDtypeStruct((8,), np.int64, sharding=place)])
    assert np.asarray(found).tolist() == numbers.tolist() and found.sharding == place


def test_a_checkpoint_without_a_schema_is_told_and_can_be_given_one(interface, meshes, tmp_path):
    INTERFACES[interface][0](tmp_path / "dense", laid(dense(), meshes[0]))
    target = laid(jax.eval_shape(grown), meshes[1])
    with pytest.raises(StateError) as caught:
        restored(interface, tmp_path / "dense", target)
    assert str(caught.value) == (
        "match: the tree was saved without a schema; save with custom_metadata=state.schema(tree), "
        "and for this one give the schema of a tree like it"
    )
    schema = state.schema(jax.eval_shape(dense))
    assert restored(interface, tmp_path / "dense", target, schema=schema) == grown()


def newest_v1(path, models, like):
    """The two newest steps of a run: their numbers, what else was kept with them, and the models."""
    policy = v1.training.preservation_policies.LatestN(2)
    with v1.training.Checkpointer(path, preservation_policy=policy) as checkpointer:
        for step, model in enumerate(models):
            checkpointer.save(step, model, custom_metadata=state.schema(model) | {"loss": 0.5})
        for one in checkpointer.checkpoints:
            metadata = checkpointer.metadata(one).custom_metadata
            match = state.match(metadata, like)
            yield one.step, metadata["loss"], match.fill(checkpointer.load(one, match.target))


def newest_classic(path, models, like):
    save, restore = ocp.args.StandardSave, ocp.args.StandardRestore
    with ocp.CheckpointManager(path, options=ocp.CheckpointManagerOptions(max_to_keep=2)) as manager:
        for step, model in enumerate(models):
            manager.save(step, args=save(model), custom_metadata=state.schema(model) | {"loss": 0.5})
        manager.wait_until_finished()
        for step in manager.all_steps():
            metadata = manager.metadata(step).custom_metadata
            match = state.match(metadata, like)
            yield step, metadata["loss"], match.fill(manager.restore(step, args=restore(match.target)))


@pytest.mark.parametrize("newest", [newest_classic, newest_v1])
def test_each_of_the_newest_steps_has_its_schema(newest, meshes, tmp_path):
    models = [laid(dense().replace(bias=jnp.full(4, step, jnp.bfloat16)), meshes[0]) for step in range(5)]
    like = laid(jax.eval_shape(dense), meshes[1])
    found = [*newest(tmp_path / "run", models, like)]
    assert found == [(3, 0.5, models[3]), (4, 0.5, models[4])]
    assert all(lie_alike(model, like) for _, _, model in found)


def test_a_schema_can_be_an_item_of_its_own(tmp_path):
    args = ocp.args
    with ocp.CheckpointManager(tmp_path / "run") as manager:
        items = args.Composite(state=args.StandardSave(dense()), schema=args.JsonSave(state.schema(dense())))
        manager.save(0, args=items)
        manager.wait_until_finished()
        schema = manager.restore(0, args=args.Composite(schema=args.JsonRestore()))["schema"]
        match = state.match(schema, Dense)
        found = manager.restore(0, args=args.Composite(state=args.StandardRestore(match.target)))["state"]
    assert match.fill(found) == dense()
