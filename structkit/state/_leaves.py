"""Leaves without their values: what is known of one before it is read, and which fits which."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from typing import Any, NamedTuple

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jax.sharding import AbstractMesh, NamedSharding

from structkit._trees.processes import over_processes
from structkit._trees.values import is_key
from structkit.state import _dtypes
from structkit.state._header import FaultError
from structkit.state._schema import KEY, NUMPY, PYTHON, SCALAR


class Leaf(NamedTuple):
    """What is known of a leaf.

    Attributes:
        python: whether it is a number or text of Python.
        dtype: its name.
        shape: of an array.
        numpy: whether it is numpy's.
        key: whether it holds random keys.
        implementation: of random keys; nothing where it is not known.
        abstract: whether it has no values, as from `jax.eval_shape`.
    """

    python: bool
    dtype: str
    shape: tuple[int, ...]
    numpy: bool = False
    key: bool = False
    implementation: str = ""
    abstract: bool = False

    def __str__(self) -> str:
        return f"a Python {self.dtype}" if self.python else f"{self.dtype}[{','.join(map(str, self.shape))}]"


def of_entry(entry: Any) -> Leaf:
    """What a schema says of a leaf."""
    origin, dtype, shape = entry[:3]
    if origin == KEY:
        # The last axis is that of the words of one key.
        return Leaf(False, dtype, tuple(shape[:-1]), key=True, implementation=entry[3])
    python = origin == PYTHON
    return Leaf(python, dtype, () if python else tuple(shape), origin in (NUMPY, SCALAR))


_PYTHON = {bool: "bool", int: "int", float: "float", complex: "complex", str: "str", bytes: "bytes"}


def of_value(leaf: Any) -> Leaf | None:
    """What is known of a leaf of a tree, also of an abstract or a deleted one; None for what no file can hold."""
    name = _PYTHON.get(type(leaf))
    if name is not None:
        return Leaf(True, name, ())
    if not isinstance(leaf, (np.ndarray, np.generic, jax.Array, jax.ShapeDtypeStruct)):
        return None
    dtype = _dtypes.dtype_in_file(leaf)
    abstract = isinstance(leaf, jax.ShapeDtypeStruct)
    if is_key(dtype):
        implementation = jax.random.key_impl(leaf) if isinstance(leaf, jax.Array) else ""
        return Leaf(False, str(dtype), tuple(leaf.shape), False, True, str(implementation), abstract)
    return Leaf(
        False,
        _dtypes.name_of(dtype) or str(dtype),
        tuple(leaf.shape),
        numpy=isinstance(leaf, (np.ndarray, np.generic)),
        abstract=abstract,
    )


def difference(saved: Leaf, target: Leaf) -> str:
    """`"shape"` or `"dtype"` where the saved leaf does not fit the target; else nothing."""
    if saved.python is not target.python:
        number, array = (saved, target) if saved.python else (target, saved)
        if array.key or _kind(array.dtype) != number.dtype:
            return "dtype"
        return "shape" if array.shape else ""
    if saved.dtype != target.dtype and not (saved.numpy and target.abstract and _in_jax(saved.dtype) == target.dtype):
        return "dtype"
    known = saved.implementation and target.implementation
    if known and saved.implementation != target.implementation:
        return "dtype"
    return "shape" if saved.shape != target.shape else ""


def _in_jax(dtype: str) -> str | None:
    """The dtype of an array of numpy where JAX has taken it, with 64 bits or without."""
    found = _dtypes.dtype_of(dtype)
    return _dtypes.name_of(jax.dtypes.canonicalize_dtype(found)) if found.kind in "biufcV" else None


def _kind(dtype: str) -> str:
    """The type of Python whose numbers are of the kind of this dtype."""
    found = _dtypes.dtype_of(dtype) if dtype != _dtypes.FLOAT0 else None
    if found is None:
        return ""
    kinds = ((np.bool_, "bool"), (np.integer, "int"), (np.floating, "float"), (np.complexfloating, "complex"))
    return next((name for kind, name in kinds if jnp.issubdtype(found, kind)), "")


def sharding_of(target: Any) -> Any:
    """How a leaf of a target says that an array is sharded; None where it does not say it."""
    if isinstance(target, jax.ShapeDtypeStruct):
        return _with_devices(target.sharding)
    if isinstance(target, jax.core.Tracer):
        return None
    if isinstance(target, jax.Array) and (target.committed or len(target.sharding.device_set) > 1):
        return target.sharding
    return None


def _with_devices(sharding: Any) -> Any:
    """A sharding on an abstract mesh, which `jax.eval_shape` gives under `jax.set_mesh`, on the devices of that mesh.

    Without that mesh, None where it says no more than that each device has the whole.
    """
    if not isinstance(getattr(sharding, "mesh", None), AbstractMesh):
        return sharding
    # In a trace only the abstract one is known.
    with suppress(ValueError):
        mesh: Any = jax.sharding.get_mesh()
        if mesh.abstract_mesh == sharding.mesh:
            return NamedSharding(mesh, sharding.spec, memory_kind=sharding.memory_kind)
    return None if sharding.is_fully_replicated else sharding


def in_width(array: np.ndarray[Any, Any], dtype: Any) -> np.ndarray[Any, Any]:
    """Numbers of numpy as JAX takes them to devices, with 64 bits or without.

    Raises:
        ValueError: one is too large for that.
    """
    with np.errstate(over="ignore"):
        found = array.astype(dtype, copy=False)
    whole = found.dtype.kind in "biu"
    if found is not array and not (found == array if whole else np.isfinite(found) == np.isfinite(array)).all():
        raise ValueError(f"JAX takes its numbers as {found.dtype} to devices, which are too large for that")
    return found


def widths(dtype: np.dtype[Any]) -> Any:
    """The context in which JAX makes an array of this dtype: without 64 bits it would make one of 32 without a word."""
    wide = dtype.name in ("int64", "uint64", "float64", "complex128")
    return jax.enable_x64(True) if wide else nullcontext()


def put(array: Any, sharding: Any) -> Any:
    """The array on the devices of a sharding; on the default device without one.

    Raises:
        FaultError: the sharding has no devices, or does not divide the array.
    """
    if isinstance(getattr(sharding, "mesh", None), AbstractMesh):
        what = "cannot go where the target has it, on an abstract mesh, which has no devices"
        raise FaultError(what, "give a target on a mesh of devices, as sharding.shard(shapes, mesh) makes it")
    try:
        if sharding is not None:
            sharding.shard_shape(array.shape)
    except ValueError as error:
        cure = "give a target with a sharding that divides its shape"
        raise FaultError(f"cannot go where the target has it ({error})", cure) from None
    with widths(array.dtype):
        if sharding is not None and not sharding.is_fully_addressable:
            # Not by `device_put`, for which all processes would have to wait for each other.
            return over_processes(array, sharding)
        return jax.device_put(array, sharding)
