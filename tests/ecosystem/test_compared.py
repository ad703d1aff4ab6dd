"""The table of the README that compares libraries: what it says of each is what a class of that library does here."""

import dataclasses
import pathlib

import jax
import jax.numpy as jnp
import pytest

from structkit import Struct, static

chex = pytest.importorskip("chex")
equinox = pytest.importorskip("equinox")
flax_struct = pytest.importorskip("flax.struct")
jax_dataclasses = pytest.importorskip("jax_dataclasses")

README = (pathlib.Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def of_structkit():
    class A(Struct):
        x: object
        n: object = static(default=1)

    return A


def of_flax():
    @flax_struct.dataclass
    class A:
        x: object
        n: object = flax_struct.field(pytree_node=False, default=1)

    return A


def of_equinox():
    class A(equinox.Module):
        x: object
        n: object = equinox.field(static=True, default=1)

    return A


def of_chex():
    @chex.dataclass(frozen=True, mappable_dataclass=False)
    class A:
        x: object
        n: object = dataclasses.field(default=1, metadata={"static": True})

    return A


def of_jax_dataclasses():
    @jax_dataclasses.pytree_dataclass
    class A:
        x: object
        n: jax_dataclasses.Static[object] = 1

    return A


def of_jax():
    @jax.tree_util.register_dataclass
    @dataclasses.dataclass(frozen=True)
    class A:
        x: object
        n: object = dataclasses.field(default=1, metadata={"static": True})

    return A


LIBRARIES = {
    "structkit": of_structkit,
    "flax.struct": of_flax,
    "Equinox": of_equinox,
    "chex": of_chex,
    "jax_dataclasses": of_jax_dataclasses,
    "`register_dataclass`": of_jax,
}


def subclass_is_a_tree(make):
    class B(make()):
        pass

    return len(jax.tree.leaves(B(x=(1, 2)))) >= 2


def fields_are_frozen(make):
    a = make()(x=1)
    try:
        a.x = 2
    except (AttributeError, dataclasses.FrozenInstanceError):
        return True
    return False


def equal_arrays_are_equal(make):
    cls = make()
    return (cls(x=jnp.ones(3)) == cls(x=jnp.ones(3))) is True


def has_static_fields(make):
    return jax.tree.leaves(make()(x=1, n=2)) == [1]


def static_list_is_refused(make):
    cls = make()
    try:
        cls(x=1, n=[1])
    except (TypeError, ValueError):
        return True
    return False


def one_and_true_compile_apart(make):
    cls = make()
    dtype = jax.jit(lambda a: jnp.full((), a.n))
    return has_static_fields(make) and dtype(cls(x=1.0, n=1)).dtype != dtype(cls(x=1.0, n=True)).dtype


def classes_have_structures_of_their_own(make):
    return jax.tree.structure(make()(x=1)) != jax.tree.structure(make()(x=1))


ROWS = {
    "a subclass is a pytree without a decorator": subclass_is_a_tree,
    "fields cannot be assigned": fields_are_frozen,
    "`==` of equal arrays is `True`": equal_arrays_are_equal,
    "static fields": has_static_fields,
    "a list in a static field is refused": static_list_is_refused,
    "`1` and `True` in a static field are compiled apart": one_and_true_compile_apart,
    "two classes have different structures": classes_have_structures_of_their_own,
}


def does(row, library):
    try:
        return bool(ROWS[row](LIBRARIES[library]))
    except (TypeError, ValueError):  # Such as `==` of flax, which asks for the truth of an array.
        return False


@pytest.mark.parametrize("row", ROWS)
def test_the_readme_says_of_each_library_what_it_does(row):
    (line,) = [line for line in README.splitlines() if line.startswith(f"| {row} |")]
    cells = [cell.strip() for cell in line.strip("|").split("|")[1:]]
    assert cells[: len(LIBRARIES)] == ["yes" if does(row, library) else "" for library in LIBRARIES]
