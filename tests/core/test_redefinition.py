"""Classes that are defined again, as in a notebook, or in a function: each stands for itself and none piles up."""

import inspect
import linecache
import weakref
from typing import Any

import jax
import jax.numpy as jnp

from structkit import Struct, static
from tests.models import collected


def again():
    class Again(Struct):
        x: Any
        n: int = static(default=1)

    return Again(1)


def define(first="x"):
    """A class `Cell` in a module that is in no `sys.modules`, as notebooks define them."""
    scope: dict[str, Any] = {"__name__": "a_notebook"}
    exec(f"from structkit import Struct\nclass Cell(Struct):\n    {first}: float\n    y: float = 2.0\n", scope)
    return scope["Cell"]


def test_a_class_redefined_in_a_notebook_cell_works_beside_the_old_ones():
    classes = [define() for _ in range(3)]
    for cls in classes:
        assert jax.tree.leaves(jax.jit(lambda struct: struct)(cls(1.0))) == [1.0, 2.0]
        assert type(jax.tree.map(lambda leaf: leaf, cls(1.0))) is cls
    assert len({jax.tree.structure(cls(1.0)) for cls in classes}) == 3
    old, new = classes[0](1.0), classes[1](1.0)
    assert (old == new, old != new) == (False, True)
    assert not isinstance(old, classes[1])


def test_a_redefined_class_shows_the_source_of_its_own_constructor():
    old, new = define("first"), define("second")
    assert "self, first, " in inspect.getsource(old.__init__)
    assert "self, second, " in inspect.getsource(new.__init__)
    assert "first" not in inspect.getsource(new.__init__)


def test_objects_of_a_class_defined_in_a_function_are_collected_and_the_class_can_be_made_again():
    def use():
        struct = define()(jnp.ones(2))
        jax.jit(lambda s: s)(struct)
        return weakref.ref(struct), jax.tree.structure(struct)

    reference, structure = use()
    assert collected([reference])
    assert jax.tree.leaves(define()(2)) == [2, 2.0]
    again()
    before = len(linecache.cache)
    assert len({jax.tree.structure(again()) for _ in range(20)}) == 20 and len(linecache.cache) == before
    assert jax.tree.structure(define()(jnp.ones(2))) != structure
