"""Orbax: a struct is saved and restored, with a target as a struct and without one as nested dicts."""

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest
from _trees import KINDS, make


@pytest.mark.parametrize("kind", KINDS)
def test_a_struct_is_restored_into_a_target_and_without_one_as_dicts_by_field_name(kind, tmp_path):
    model = make(kind)
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "model", model)
        checkpointer.wait_until_finished()
        target = jax.tree.map(ocp.utils.to_shape_dtype_struct, model)
        restored = checkpointer.restore(tmp_path / "model", target)
        dicts = checkpointer.restore(tmp_path / "model")
    assert type(restored) is kind and restored == model
    assert set(dicts) >= {"layers", "scale"}
    np.testing.assert_array_equal(dicts["layers"][0]["weight"], model.layers[0].weight)


def test_a_manager_keeps_the_newest_steps(tmp_path):
    with ocp.CheckpointManager(tmp_path / "run", options=ocp.CheckpointManagerOptions(max_to_keep=2)) as manager:
        for step in range(3):
            model = jax.tree.map(lambda leaf, step=step: jnp.full_like(leaf, step), make())
            manager.save(step, args=ocp.args.StandardSave(model))
        manager.wait_until_finished()
        restored = manager.restore(2, args=ocp.args.StandardRestore(make()))
        assert manager.all_steps() == [1, 2] and restored == model
