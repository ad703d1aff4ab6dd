"""What is easily given by mistake to the functions of sharding is refused in words, with the cure."""

import functools
import pickle

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import AbstractMesh, NamedSharding, PartitionSpec as P

from structkit import Struct, errors, field, sharding
from tests.models import Box

MESH = AbstractMesh((2, 4), ("data", "model"))
RULES = {"embed": "data", "mlp": "model"}
CALLS = {
    "specs": sharding.specs,
    "shardings": lambda tree, **options: sharding.shardings(tree, MESH, **options),
    "shard": lambda tree, **options: sharding.shard(tree, MESH, **options),
    "constrain": lambda tree, **options: sharding.constrain(tree, MESH, **options),
}


class Made(Struct):
    weight: jax.Array

    @classmethod
    def make(cls):
        return cls(jnp.ones(4))


MAKERS = {
    "class": (Made, {}, "the tree: it is the class Made"),
    "class with parameters": (Box[int], {}, "the tree: it is a _GenericAlias"),
    "method": (Made.make, {}, "the tree: it is a method"),
    "function": (lambda: Made.make(), {}, "the tree: it is a function"),
    "partial": (functools.partial(Made.make), {}, "the tree: it is a partial"),
    "class in a tree": ([jnp.ones(4), {"model": Made}], {}, "[1]['model']: it is the class Made"),
    "params": ([jnp.ones(4)], {"params": Made}, "params: it is the class Made"),
    "method for params": ([jnp.ones(4)], {"params": Made.make}, "params: it is a method"),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("name", MAKERS)
def test_a_class_or_a_function_is_not_taken_for_what_it_makes(call, name):
    tree, options, text = MAKERS[name]
    with pytest.raises(errors.SpecError) as caught:
        CALLS[call](tree, **options)
    assert str(caught.value) == (
        f"sharding of {text}, and no tree of arrays; "
        "give an object, or the shapes that jax.eval_shape gives of what makes it"
    )


def test_a_dtype_or_a_function_beside_the_arrays_stays():
    tree = [jnp.ones(4), jnp.float32, jax.numpy.dtype("int8").type, jnp.tanh]
    assert sharding.specs(tree) == [P(), P(), P(), P()]


def test_of_what_jax_takes_not_the_message_shows_the_beginning():
    for call in ("shard", "constrain"):
        with pytest.raises(errors.SpecError) as caught:
            CALLS[call]({"a": "word " * 10_000})
        assert str(caught.value).startswith("sharding of ['a']: JAX takes no str like it as an array (")
        assert str(caught.value).endswith(" word...); make it a static field, or leave it out")
        assert len(str(caught.value)) < 350


@pytest.mark.parametrize("call", ["shardings", "shard", "constrain"])
@pytest.mark.parametrize("mesh", [MESH, jax.make_mesh((1,), ("data",))], ids=["abstract", "devices"])
def test_a_mesh_in_the_place_of_the_tree_is_told(call, mesh):
    with pytest.raises(errors.NoMeshError) as caught:
        getattr(sharding, call)(mesh, Made.make())
    text = "a mesh is needed, and Made is given; the tree comes first, and the mesh after it"
    assert str(caught.value) == str(pickle.loads(pickle.dumps(caught.value))) == text


@pytest.mark.parametrize(
    ("spec", "cure"),
    [(P("data", None, ("a", "b")), "'data', None, ('a', 'b')"), (P(), "")],
    ids=["axes", "none"],
)
def test_of_a_sharding_in_the_place_of_a_spec_the_cure_is_its_spec(spec, cure):
    mesh = AbstractMesh((2, 2, 2), ("data", "a", "b"))
    with pytest.raises(errors.DefinitionError) as caught:

        class Sharded(Struct):
            x: jax.Array = field(spec=NamedSharding(mesh, spec))

    assert str(caught.value) == (
        "Sharded: the spec of 'x' is a NamedSharding, which is of one mesh; "
        f"write its spec alone, spec=PartitionSpec({cure})"
    )
