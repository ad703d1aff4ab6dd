"""The classes and comparisons that these tests share."""

import dataclasses
import enum
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np

from structkit import Struct, field, static, struct
from tests.models import Coordinates


class Layer(Struct):
    w: Any
    b: Any = None
    activation: Any = static(default=jax.nn.relu)


class Net(Struct):
    layers: Any
    name: str = static(default="net")
    step: Any = 0


class Loose(Struct, frozen=False):
    x: Any
    n: int = static(default=0)


@struct.dataclass
class Dropped:
    x: Any
    n: int = struct.field(default=3, pytree_node=False)


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Access(enum.Flag):
    READ = 1
    WRITE = 2
    RUN = 4


@dataclasses.dataclass(frozen=True)
class Config:
    width: int
    names: tuple = ()
    note: str = dataclasses.field(default="", compare=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    width: int


class Renamed(Struct):
    """`Layer` with a field that was renamed and one that was added."""

    weight: Any = field(aliases=("w", "kernel"))
    b: Any = None
    scale: Any = 2.0
    activation: Any = static(default=jax.nn.relu)


def module_function(x):
    return x


def net(size: int = 3) -> Net:
    layers = [Layer(jnp.arange(12.0).reshape(size, -1)), Layer(jnp.ones(2, jnp.bfloat16), (jnp.asarray(1), None))]
    return Net((layers, Coordinates(np.arange(4), jax.random.key(1))), step=7)


STANDARD = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
STANDARD += ["float16", "float32", "float64", "complex64", "complex128"]
OTHERS = [name for name in dir(ml_dtypes) if name[:3] in ("bco", "bfl", "com", "flo", "int", "uin")]
DTYPES = [np.dtype(getattr(ml_dtypes, name, name)) for name in STANDARD + OTHERS]
# XLA has no arrays of six bits and of one.
JAX_DTYPES = [d for d in DTYPES if hasattr(jnp, d.name) and d.name not in ("int1", "uint1") and d.name[:6] != "float6"]


def bits(dtype: np.dtype, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """An array of any bits that this dtype has."""
    random = np.random.default_rng(seed)
    size = int(np.prod(shape))
    if dtype == np.dtype(bool):
        return random.integers(0, 2, shape).astype(bool)
    if dtype.itemsize == 1 and dtype.kind == "V":
        # Not all bytes are numbers of less than eight bits.
        return random.integers(0, 2, shape).astype(np.float32).astype(dtype)
    return np.frombuffer(random.bytes(size * dtype.itemsize), dtype).reshape(shape).copy()


def same(one: Any, other: Any) -> bool:
    """Whether two trees have one structure, and each leaf has one type, dtype, weak type and the same bits."""
    leaves, treedef = jax.tree.flatten(one)
    others, other_treedef = jax.tree.flatten(other)
    return treedef == other_treedef and all(map(same_leaf, leaves, others))


def same_leaf(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if not hasattr(one, "dtype"):
        return repr(one) == repr(other)
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    if jnp.issubdtype(one.dtype, jax.dtypes.prng_key):
        one, other = jax.random.key_data(one), jax.random.key_data(other)
    if getattr(one, "weak_type", False) != getattr(other, "weak_type", False):
        return False
    return np.asarray(one).tobytes() == np.asarray(other).tobytes()
