"""What is easily given by mistake to the functions of state is refused in words, with the cure."""

import functools
import types
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AbstractMesh, NamedSharding, PartitionSpec as P

from structkit import Struct, field, sharding, state
from structkit.errors import StateError
from tests.models import shown
from tests.state.trees import Layer

LAYER = Layer(jnp.ones(3), 1)
SCHEMA = state.schema(LAYER)
MESH = jax.make_mesh((1,), ("data",))


class Noted(Struct):
    """A tree with a field of the name that Orbax has."""

    custom_metadata: Any


MATCHES = {
    "metadata": (
        (types.SimpleNamespace(custom_metadata=SCHEMA), LAYER),
        "a SimpleNamespace is given, and no schema; pass the .custom_metadata of the checkpoint",
    ),
    "metadata without a schema": (
        (types.SimpleNamespace(custom_metadata=None), LAYER),
        "a SimpleNamespace is given, and no schema; pass the .custom_metadata of the checkpoint",
    ),
    "swapped": ((LAYER, SCHEMA), "the schema is given second; give it first, as in state.match(schema, like)"),
    "swapped with metadata": (
        (LAYER, types.SimpleNamespace(custom_metadata=SCHEMA)),
        "the schema is given second; give it first, as in state.match(schema, like)",
    ),
    "swapped beside more": (
        (Noted(1), {"loss": 0.5, **SCHEMA}),
        "the schema is given second; give it first, as in state.match(schema, like)",
    ),
}


@pytest.mark.parametrize("name", MATCHES)
def test_what_is_not_the_schema_is_told_from_a_tree_that_was_saved_without_one(name):
    arguments, text = MATCHES[name]
    with pytest.raises(StateError) as caught:
        state.match(*arguments)
    assert str(caught.value) == f"match: {text}"


@pytest.mark.parametrize(
    ("restored", "shown"),
    [
        (Layer(jnp.ones(3), "b" * 1000), "Expected dict, got Layer( w=f32[3],..."),
        (
            {"w": jnp.ones(3), "b": [7] * 1000},
            "Expected tuple, got [7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, "
            "7, 7, 7, 7, 7, 7, 7, 7, 7,...",
        ),
        ({"w": jnp.ones(3)}, "Dict key mismatch; expected keys: ['b', 'w']; present keys: ['w']."),
    ],
    ids=["struct", "list", "keys"],
)
def test_of_what_was_restored_the_message_shows_the_beginning(restored, shown):
    tree = Layer(jnp.ones(3), (1, 2))
    with pytest.raises(StateError) as caught:
        state.match(state.schema(tree), tree).fill(restored)
    assert str(caught.value) == (
        f"match: what was restored has another structure than .target ({shown}); restore with .target"
    )


def test_of_long_static_values_the_message_shows_where_they_begin_to_differ(tmp_path):
    saved, target = [Layer(1, activation=("a" * 200, number, "b" * 200)) for number in (1, 2)]
    state.save(tmp_path / "file", saved)
    shown = [f"...{'a' * 37}', {number}, '{'b' * 76}..." for number in (1, 2)]
    expected = (
        f"does not fit the target:\n  .activation: static: {shown[0]} was saved, the target has {shown[1]}\n"
        "change the target, or take what fits with strict=False"
    )
    for name, call in {
        str(tmp_path / "file"): lambda: state.load(tmp_path / "file", target),
        "match": lambda: state.match(state.schema(saved), target),
        "from_state_dict": lambda: state.from_state_dict(target, state.to_state_dict(saved, include_static=True)),
    }.items():
        with pytest.raises(StateError) as caught:
            call()
        assert str(caught.value) == f"{name}: {expected}"


SHAPES = "give the shapes together with their places, as sharding.shard(shapes, mesh) does"
MADE = "give what jax.eval_shape gives of it, or a class"


def made():
    return LAYER


TARGETS = {
    "shardings": (
        sharding.shardings(LAYER, MESH),
        " in 2 places:\n  .w: dtype: float32[3] was saved, the target has a NamedSharding\n"
        f"  .b: dtype: a Python int was saved, the target has a NamedSharding\n{SHAPES}",
    ),
    "specs": (
        sharding.specs(LAYER),
        f" in 2 places:\n  .w: dtype: float32[3] was saved, the target has a {P.__name__}\n"
        f"  .b: dtype: a Python int was saved, the target has a {P.__name__}\n{SHAPES}",
    ),
    "one sharding": (
        sharding.shardings(1, MESH),
        f":\n  the root: structure: a struct was saved, the target has a NamedSharding\n{SHAPES}",
    ),
    "function": (made, f":\n  the root: structure: a struct was saved, the target has a function\n{MADE}"),
    "method": (
        "".join,
        f":\n  the root: structure: a struct was saved, the target has a builtin_function_or_method\n{MADE}",
    ),
    "partial": (
        functools.partial(made),
        f":\n  the root: structure: a struct was saved, the target has a partial\n{MADE}",
    ),
}


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_that_holds_no_arrays_has_a_cure_of_its_own(tmp_path, name):
    target, text = TARGETS[name]
    file = tmp_path / "file"
    state.save(file, LAYER)
    for where, call in {
        str(file): lambda: state.load(file, target),
        "match": lambda: state.match(SCHEMA, target),
    }.items():
        with pytest.raises(StateError) as caught:
            call()
        assert str(caught.value) == f"{where}: does not fit the target{text}"


class Grown(Struct):
    """A `Layer` of later, with an array more."""

    w: Any
    gain: Any = field(default_factory=lambda: jnp.ones(4))


NOWHERE = NamedSharding(AbstractMesh((2,), ("data",)), P("data"))
NO_DEVICES = (
    "cannot go where the target has it, on an abstract mesh, which has no devices; "
    "give a target on a mesh of devices, as sharding.shard(shapes, mesh) makes it"
)
KEYS = jax.random.split(jax.random.key(0), 4)
SAVED = {"small": jnp.ones(4), "large": jnp.ones(100_000), "numpy": np.ones(4), "keys": KEYS}


@pytest.mark.parametrize("name", SAVED)
def test_a_target_on_a_mesh_without_devices_is_told_and_the_file_is_not_blamed(tmp_path, name):
    file, saved = tmp_path / "file", SAVED[name]
    state.save(file, [saved])
    target = [jax.ShapeDtypeStruct(saved.shape, jnp.asarray(saved).dtype, sharding=NOWHERE)]
    for where, call in {
        f"{file}:": lambda: state.load(file, target),
        "match: what was restored": lambda: state.match(state.schema([saved]), target).fill([saved]),
    }.items():
        with pytest.raises(StateError) as caught:
            call()
        assert str(caught.value) == f"{where} {NO_DEVICES}"


def test_a_default_for_a_mesh_without_devices_is_told_too(tmp_path):
    file = tmp_path / "file"
    state.save(file, Layer(1.0, None))
    target = Grown(1.0, jax.ShapeDtypeStruct((4,), jnp.float32, sharding=NOWHERE))
    for where, call in {
        f"{file}:": lambda: state.load(file, target, strict=False),
        "match: the schema": lambda: state.match(state.schema(Layer(1.0)), target, strict=False),
        "from_state_dict: a default": lambda: state.from_state_dict(target, {"w": 1.0}),
    }.items():
        with pytest.raises(StateError) as caught:
            call()
        assert str(caught.value) == f"{where} {NO_DEVICES}"


NO_TREES = {
    "a str": "Layer",
    "a bytes": b"Layer",
    "a function": made,
    "a partial": functools.partial(made),
    "an object": object(),
    "a module": types,
}


@pytest.mark.parametrize("given", NO_TREES)
def test_what_is_neither_a_class_nor_a_tree_is_not_registered_in_silence(given):
    with pytest.raises(StateError) as caught:
        state.register_export(NO_TREES[given])
    assert str(caught.value) == (
        f"register_export: {given} is given, which is neither a class nor a tree; "
        "give a class, an object of it, or a tree of such"
    )


@pytest.mark.parametrize("tree", [None, (), [], {"a": 1}, 1.0, np.ones(2)], ids=shown)
def test_a_tree_without_structs_may_be_registered(tree):
    assert state.register_export(tree) is tree
