"""jaxtyping with beartype: constructors are checked, and unflattening raises no false alarms."""

import importlib
import sys
import textwrap

import beartype
import jax
import jax.numpy as jnp
import jaxtyping
import pytest
from beartype.roar import BeartypeCallHintViolation
from jaxtyping import Array, Float, jaxtyped

from structkit import Struct, field, static, struct
from tests.models import REPLACERS


def parse(text: str | int) -> int:
    return int(text)


@beartype.beartype
class Plain(Struct):
    count: int
    label: "str" = static(default="a")
    size: int = field(default=1, converter=lambda value: int(value))
    digits: int = field(default=1, converter=parse)

    def __post_init__(self): ...

    def double(self, by: int = 2) -> int:
        return self.count * by


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
def test_a_checked_class_refuses_wrong_shapes_and_checks_nothing_when_it_unflattens(kind):
    value = kind(jnp.ones(3), jnp.ones(3))
    with pytest.raises(jaxtyping.TypeCheckError):
        kind(jnp.ones(3), jnp.ones(4))
    assert jax.tree.map(lambda leaf: None, value).x is None
    axes = jax.tree.map(lambda leaf: 0, value)
    assert jax.vmap(lambda v: v.x * 2, in_axes=(axes,))(value).shape == (3,)
    assert jax.jit(lambda v: v)(value) == value
    assert jax.eval_shape(lambda v: v, value).x.shape == (3,)
    assert jax.grad(lambda v: (v.x * v.y).sum())(value).x.shape == (3,)


@pytest.mark.parametrize("change", REPLACERS.values(), ids=REPLACERS)
def test_changed_copies_are_checked_too(change):
    value = Checked(jnp.ones(3), jnp.ones(3))
    assert change(value, x=jnp.zeros(3)).x.sum() == 0
    with pytest.raises(jaxtyping.TypeCheckError):
        change(value, y=jnp.ones(5))
    assert change(Plain(1), count=2).count == 2
    for changes in ({"count": "x"}, {"label": 3}, {"digits": 1.5}):
        with pytest.raises(BeartypeCallHintViolation):
            change(Plain(1), **changes)


def test_a_decorated_class_takes_what_its_converters_take_and_is_a_pytree():
    assert vars(Plain(1, size="2", digits="3")) == {"count": 1, "label": "a", "size": 2, "digits": 3}
    for wrong in (lambda: Plain("x"), lambda: Plain(1, 2), lambda: Plain(1, digits=None), lambda: Plain(1).double("x")):
        with pytest.raises(BeartypeCallHintViolation):
            wrong()
    assert jax.tree.map(lambda leaf: None, Plain(1)).count is None
    assert jax.jit(lambda plain: plain)(Plain(1)).count == 1


@pytest.fixture
def imported(tmp_path, monkeypatch):
    """Import a module of this name and source from a file."""
    monkeypatch.syspath_prepend(tmp_path)

    def imported(name, source):
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(source))
        module = importlib.import_module(name)
        del sys.modules[name]
        return module

    return imported


@pytest.mark.parametrize("checker", ["jaxtyped(typechecker=beartype.beartype)", "beartype.beartype"])
def test_a_module_with_postponed_annotations_is_checked(imported, checker):
    source = f"""
        from __future__ import annotations
        import beartype
        from jaxtyping import Array, Float, jaxtyped
        from typing import Any
        from structkit import Struct, derived, static

        @{checker}
        class Layer(Struct):
            weight: Float[Array, "i o"]
            name: str = static(default="layer")
            inner: Layer | None = None
            total: Any = derived()

            def __post_init__(self):
                self.total = self.weight.sum()
    """
    Layer = imported("postponed_structs", source).Layer
    layer = Layer(jnp.ones((2, 3)), inner=Layer(jnp.ones((1, 1))))
    assert layer.replace(weight=jnp.zeros((4, 4))).total == 0
    for changes in ({"name": 3}, {"weight": jnp.ones(2)}):
        with pytest.raises((jaxtyping.TypeCheckError, BeartypeCallHintViolation)):
            layer.replace(**changes)
        with pytest.raises((jaxtyping.TypeCheckError, BeartypeCallHintViolation)):
            Layer(**{"weight": layer.weight, **changes})


def test_the_import_hook_checks_methods_and_leaves_trees_alone(imported):
    source = """
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
    with jaxtyping.install_import_hook("hooked_structs", "beartype.beartype"):
        module = imported("hooked_structs", source)
    linear = module.Linear(jnp.ones((3, 2)), jnp.ones(2))
    assert linear(jnp.ones(3)).shape == (2,)
    for misuse in (lambda: linear(jnp.ones((2, 3))), lambda: linear.replace(bias=jnp.ones(5))):
        with pytest.raises(jaxtyping.TypeCheckError):
            misuse()
    assert linear.replace(bias=jnp.zeros(2)).bias.sum() == 0
    assert jax.tree.map(lambda leaf: leaf.shape, linear).bias == (2,)
    assert jax.vmap(lambda s: s.x, in_axes=0)(module.State(jnp.ones((2,)))).shape == (2,)
    assert jax.tree.map(lambda leaf: None, module.State(jnp.ones(2))).x is None
