"""jaxtyping with beartype: constructors are checked, and unflattening raises no false alarms."""

import importlib
import sys
import textwrap

import beartype
import jax
import jax.numpy as jnp
import jaxtyping
import pytest
from jaxtyping import Array, Float, jaxtyped

from structkit import Struct, static, struct


@jaxtyped(typechecker=beartype.beartype)
class Checked(Struct):
    x: Float[Array, " n"]
    y: Float[Array, " n"]
    name: str = static(default="a")


@jaxtyped(typechecker=beartype.beartype)
@struct.dataclass
class Decorated:
    x: Float[Array, " n"]
    y: Float[Array, " n"]
    name: str = struct.field(pytree_node=False, default="a")


@pytest.mark.parametrize("kind", [Checked, Decorated])
def test_a_checked_class_refuses_wrong_shapes_and_accepts_right_ones(kind):
    assert kind(jnp.ones(3), jnp.ones(3)).x.shape == (3,)
    with pytest.raises(jaxtyping.TypeCheckError):
        kind(jnp.ones(3), jnp.ones(4))


@pytest.mark.parametrize("kind", [Checked, Decorated])
def test_unflattening_is_never_checked(kind):
    value = kind(jnp.ones(3), jnp.ones(3))
    assert jax.tree.map(lambda leaf: None, value).x is None
    axes = jax.tree.map(lambda leaf: 0, value)
    assert jax.vmap(lambda v: v.x * 2, in_axes=(axes,))(value).shape == (3,)
    assert jax.jit(lambda v: v)(value) == value
    assert jax.eval_shape(lambda v: v, value).x.shape == (3,)
    assert jax.grad(lambda v: (v.x * v.y).sum())(value).x.shape == (3,)


def test_the_import_hook_checks_methods_and_leaves_trees_alone(tmp_path, monkeypatch):
    (tmp_path / "hooked_structs.py").write_text(
        textwrap.dedent(
            """
            import jax
            from jaxtyping import Array, Float
            from structkit import Struct, static, struct

            class Linear(Struct):
                weight: Float[Array, "i o"]
                bias: Float[Array, "o"]
                name: str = static(default="linear")

                def __call__(self, x: Float[Array, "i"]) -> Float[Array, "o"]:
                    return x @ self.weight + self.bias

            @struct.dataclass
            class State:
                x: Float[Array, " n"]
            """
        )
    )
    monkeypatch.syspath_prepend(tmp_path)
    with jaxtyping.install_import_hook("hooked_structs", "beartype.beartype"):
        module = importlib.import_module("hooked_structs")
    sys.modules.pop("hooked_structs")
    linear = module.Linear(jnp.ones((3, 2)), jnp.ones(2))
    assert linear(jnp.ones(3)).shape == (2,)
    with pytest.raises(jaxtyping.TypeCheckError):
        linear(jnp.ones((2, 3)))
    assert jax.tree.map(lambda leaf: leaf.shape, linear).bias == (2,)
    assert jax.vmap(lambda s: s.x, in_axes=0)(module.State(jnp.ones((2,)))).shape == (2,)
    assert jax.tree.map(lambda leaf: None, module.State(jnp.ones(2))).x is None
