"""Orbax: sharded structs by its two interfaces, on one device here, and on eight in a process of its own."""

import jax
import jax.numpy as jnp
import optax
import orbax.checkpoint as ocp
import pytest
from orbax.checkpoint import v1

from structkit import Struct, sharding
from tests.ecosystem.sharded import SIZES, Dense, dense, laid, lie_alike, two_meshes
from tests.models import run_on_eight_devices


@pytest.fixture
def meshes():
    return two_meshes()


class Train(Struct):
    model: Dense
    opt_state: optax.OptState
    key: jax.Array
    step: jax.Array
    nothing: None = None


def created():
    return Train(dense(), optax.adam(1e-3).init(dense()), jax.random.key(3), jnp.array(7))


def classic_save(path, tree):
    with ocp.AsyncCheckpointer(ocp.StandardCheckpointHandler()) as checkpointer:
        checkpointer.save(path, args=ocp.args.StandardSave(tree))


def classic_restore(path, target):
    with ocp.AsyncCheckpointer(ocp.StandardCheckpointHandler()) as checkpointer:
        return checkpointer.restore(path, args=ocp.args.StandardRestore(target))


def v1_save(path, tree):
    v1.save_async(path, tree).result()


# The classic interface does not find what v1 saved.
INTERFACES = {
    "classic": (classic_save, classic_restore),
    "v1": (v1_save, v1.load),
    "classic to v1": (classic_save, v1.load),
}


@pytest.mark.skipif(jax.device_count() != 1, reason="this is the process with eight devices, or a machine of its own")
def test_all_of_this_holds_on_eight_devices():
    run_on_eight_devices(__file__)


@pytest.fixture(params=INTERFACES.values(), ids=[*INTERFACES])
def interface(request):
    return request.param


def test_what_one_mesh_saved_is_restored_to_the_shardings_of_another(interface, meshes, tmp_path):
    save, load = interface
    state, target = laid(created(), meshes[0]), laid(jax.eval_shape(created), meshes[1])
    save(tmp_path / "state", state)
    restored = load(tmp_path / "state", target)
    assert restored == state and lie_alike(restored, target)
    assert restored.model.weight.addressable_shards[0].data.shape == (8 // SIZES[0], 4 // SIZES[1])
    assert type(restored.opt_state[0].mu) is Dense and restored.nothing is None


def test_statics_are_the_targets_and_are_not_compared(interface, tmp_path):
    save, load = interface
    save(tmp_path / "state", created())
    target = jax.eval_shape(created)
    renamed = target.replace(model=target.model.replace(name="other"))
    restored = load(tmp_path / "state", renamed)
    assert restored.model.name == "other" and restored.step == 7


def test_another_dtype_is_cast_in_silence(interface, tmp_path):
    save, load = interface
    save(tmp_path / "dense", created().model)
    target = jax.eval_shape(created).model
    cast = load(tmp_path / "dense", target.replace(weight=target.weight.update(dtype=jnp.float16)))
    assert cast.weight.dtype == jnp.float16


def test_a_checkpointer_keeps_the_newest_steps_with_their_metadata(meshes, tmp_path):
    mesh, rules = meshes[1]
    state = sharding.shard(created(), mesh, rules=rules)
    with v1.training.Checkpointer(
        tmp_path / "run",
        save_decision_policy=v1.training.save_decision_policies.FixedIntervalPolicy(2),
        preservation_policy=v1.training.preservation_policies.LatestN(2),
    ) as checkpointer:
        for step in range(1, 9):
            state = state.replace(step=state.step + 1)
            checkpointer.save_async(step, state, custom_metadata={"name": state.model.name})
        checkpointer.wait()
        assert [one.step for one in checkpointer.checkpoints] == [6, 8]
        assert checkpointer.metadata(8).custom_metadata == {"name": "dense"}
        target = sharding.shard(jax.eval_shape(created), mesh, rules=rules)
        assert [int(checkpointer.load(step, target).step) for step in (6, 8)] == [13, 15]
