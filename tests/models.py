"""The classes and helpers that the tests share. A test imports from here what more than one file uses."""

import contextlib
import copy
import dataclasses
import enum
import functools
import gc
import os
import pickle
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import InitVar
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import cloudpickle
import jax
import jax.numpy as jnp
import pytest
from jax.sharding import PartitionSpec as P

import structkit
from structkit import Static, Struct, derived, field, static

T = TypeVar("T")

names_places = pytest.mark.skipif(
    jax.__version_info__ < (0, 10, 2), reason="before 0.10.2 JAX named no place there, whatever the kind of tree"
)


class Linear(Struct):
    weight: Any
    bias: Any = None
    activation: Any = static(default=jax.nn.relu)


class Layer(Struct):
    """A layer that can be called, by a jitted method too."""

    weight: jax.Array
    bias: jax.Array
    activation: Any = static(default=jnp.tanh)

    def __call__(self, x):
        return self.activation(x @ self.weight + self.bias)

    @jax.jit
    def jitted(self, x):
        return self(x)


class Model(Struct):
    layers: Any
    name: str = static(default="model")


class Left(Struct):
    a: jax.Array
    b: jax.Array


class Right(Struct):
    a: jax.Array
    b: jax.Array


class Point(Struct):
    x: Any


class Pair(Struct):
    x: Any
    y: Any = None
    name: str = static(default="pair")


class Box(Struct, Generic[T]):
    item: T


class Squared(Struct):
    side: Any
    area: Any = derived()

    def __post_init__(self):
        self.area = self.side * self.side


class Scaled(Struct):
    value: Any
    factor: InitVar[float] = 2.0

    def __post_init__(self, factor):
        self.value = self.value * factor


class Custom(Struct):
    total: Any
    count: int = static()

    def __init__(self, *values):
        self.total = sum(values)
        self.count = len(values)


class Everything(Struct):
    value: Any
    factor: InitVar[float]
    doubled: Any = derived()
    label: str = derived(static=True)

    def __post_init__(self, factor):
        self.value = self.value * factor
        self.doubled = self.value * 2
        self.label = f"times {factor}"


class Lazy(Struct):
    x: Any

    @functools.cached_property
    def total(self):
        return jnp.sum(self.x)


class Function(Struct):
    x: Any
    compute: Any = static(default=lambda x, y: y * x)

    def __call__(self, y):
        return self.compute(self.x, y)


class Checked(Struct):
    x: Any

    def __check_init__(self):
        if self.x is None:
            raise ValueError("x is None")


class Mutable(Struct, frozen=False):
    x: Any
    n: int = static(default=0)


class Empty(Struct):
    pass


class Node(Struct):
    inner: Any


class Mixin:
    tag = "mixin"


class Mixed(Mixin, Struct):
    x: Any
    n: int = static(default=1)


class Delegating(Struct):
    """Every unknown attribute is looked up in `inner`, the usual wrapper."""

    inner: Any

    def __getattr__(self, name):
        return getattr(self.inner, name)


class DelegatingCustom(Delegating):
    label: str = static(default="a")

    def __init__(self, inner):
        self.inner = inner


class DelegatingWithHooks(Delegating):
    def __post_init__(self):
        self.inner = Point(self.inner.x)


def assert_frozen(struct: Any, name: str = "x") -> None:
    before = dict(vars(struct))
    for write in (setattr, object.__setattr__):
        with pytest.raises(dataclasses.FrozenInstanceError, match=f"^cannot assign to field '{name}'"):
            write(struct, name, 1)
    for delete in (delattr, object.__delattr__):
        with pytest.raises(dataclasses.FrozenInstanceError, match=f"^cannot delete field '{name}'"):
            delete(struct, name)
    after = vars(struct)
    assert list(before) == list(after)
    assert all(before[key] is after[key] for key in before)


# What gives another object of the same class and content, pickles of each protocol among them.
COPIES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "cloudpickle": lambda made: pickle.loads(cloudpickle.dumps(made)),
    **{
        f"pickle {protocol}": lambda made, protocol=protocol: pickle.loads(pickle.dumps(made, protocol))
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    },
}


def counting_jit(function: Callable[..., Any], **options: Any) -> tuple[Callable[..., Any], list[int]]:
    """The function under `jax.jit`, and a list that grows with each trace."""
    traces: list[int] = []

    @functools.wraps(function)
    def counted(*args: Any) -> Any:
        traces.append(1)
        return function(*args)

    return jax.jit(counted, **options), traces


def collected(references: list[Any]) -> bool:
    gc.collect()
    return all(reference() is None for reference in references)


@contextlib.contextmanager
def recursion_limit(limit: int) -> Iterator[None]:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(limit)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


DEFAULTS = {
    "JAX_PLATFORMS": "cpu",
    "JAX_ENABLE_X64": "0",
    "JAX_NUMPY_DTYPE_PROMOTION": "standard",
    "JAX_NUMPY_RANK_PROMOTION": "allow",
    "JAX_DEBUG_NANS": "0",
    "PYTHONOPTIMIZE": "",
}
"""The settings for other processes, which show what an ordinary run gives."""


@contextlib.contextmanager
def defaults_of_jax() -> Iterator[None]:
    """JAX's settings as they are where nobody says anything else."""
    promotion = jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow")
    with jax.enable_x64(False), promotion[0], promotion[1], jax.debug_nans(False):
        yield


def run_python(source: str, *flags: str, **environment: str) -> str:
    """What a new interpreter prints that runs `source` with the defaults of JAX and sees what this one can import."""
    path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
    done = subprocess.run(
        [sys.executable, "-W", "error", *flags, "-c", textwrap.dedent(source)],
        env={**os.environ, "PYTHONPATH": path, **DEFAULTS, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        # Not by `assert`, which is none here under PYTHONOPTIMIZE.
        raise AssertionError(done.stderr)
    return done.stdout


def run_on_eight_devices(file: str) -> None:
    """Run the tests of a file once more, in a process whose CPU pretends to be eight devices."""
    run_python(
        f"""
        import sys, pytest
        result = pytest.main(["-q", "-p", "no:cacheprovider", {file!r}])
        sys.exit("failed" if result else 0)
        """,
        JAX_NUM_CPU_DEVICES="8",
        PYTEST_DISABLE_PLUGIN_AUTOLOAD="1",
    )


# A: defining and constructing


class Drafted(Struct):
    """A field of every kind that a generated `__init__` has to do with."""

    x: int = field(default=1, converter=int)
    n: Static[int] = field(default=1, converter=int)
    y: int = derived()
    s: InitVar[int] = 2
    w: list = field(default_factory=list, kw_only=True)

    def __post_init__(self, s):
        self.y = s


def names(cls: Any) -> list[str]:
    return [f.name for f in structkit.fields(cls)]


def static_names(cls: Any) -> list[str]:
    return [f.name for f in structkit.fields(cls) if f.static]


# C: trees, transformations and changed copies

REPLACERS = {
    "method": lambda made, **changes: made.replace(**changes),
    "function": structkit.replace,
    "dataclasses": dataclasses.replace,
    "__replace__": lambda made, **changes: made.__replace__(**changes),
    **({"copy": copy.replace} if hasattr(copy, "replace") else {}),
}


class Loud(Struct):
    """Each hook of a generated constructor leaves a mark when it runs."""

    x: Any = field(converter=lambda value: Loud.mark("converter", value))
    y: Any = field(default_factory=lambda: Loud.mark("factory", 0), kw_only=True)
    twice: Any = derived()
    label: str = static(default="a", converter=lambda value: Loud.mark("static converter", value))

    marks: ClassVar[list[str]] = []

    @staticmethod
    def mark(what: str, value: Any = None) -> Any:
        Loud.marks.append(what)
        return value

    def __post_init__(self):
        Loud.mark("post_init")
        self.twice = 2 * self.x

    def __check_init__(self):
        Loud.mark("check")
        if self.x < 0:
            raise ValueError("x must not be negative")


class LoudCustom(Struct):
    """Each hook of a class with a custom constructor leaves a mark when it runs."""

    x: Any = field(converter=lambda value: LoudCustom.mark("converter", value))
    y: Any
    n: int = static(default=1)

    marks: ClassVar[list[str]] = []

    @staticmethod
    def mark(what: str, value: Any = None) -> Any:
        LoudCustom.marks.append(what)
        return value

    def __new__(cls, *args, **kwargs):
        LoudCustom.mark("new")
        return super().__new__(cls)

    def __init__(self, both):
        LoudCustom.mark("init")
        self.x = self.y = both

    def __setattr__(self, name, value):
        LoudCustom.mark("setattr")
        super().__setattr__(name, value)

    def __getattr__(self, name):
        LoudCustom.mark("getattr")
        raise AttributeError(name)

    def __check_init__(self):
        LoudCustom.mark("check")
        if self.y < 0:
            raise ValueError("y must not be negative")


def key_paths(tree: Any) -> list[str]:
    return [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(tree)]


# D: sharding


class Dense(Struct):
    weight: Any = field(spec=P("embed", "mlp"))
    bias: Any = field(default=None, spec=P("mlp"))
    scale: Any = None


class Tower(Struct):
    layers: Any = field(spec=P("layers", ...))
    head: Any = None


# B: frozen, statics and values


class Skipping(Struct):
    x: Any
    note: Any = field(default="", compare=False)
    tag: Any = static(default="", compare=False)


class Holder(Struct):
    n: Static[Any]
    x: Any = 1.0


class Broken:
    def __repr__(self):
        raise RuntimeError("no text")


class Spoken(Struct):
    x: Any

    def __repr__(self):
        return f"SPOKEN {self.x}"


class Silent(Struct, repr=False):
    x: Any


@structkit.struct.dataclass
class Decorated:
    """A class of the drop-in."""

    x: Any
    size: Any = structkit.struct.field(pytree_node=False, default=0)
    y: Any = 0


@dataclasses.dataclass(frozen=True)
class Standard:
    x: Any


class Tagged:
    __slots__ = ()

    def __init_subclass__(cls, tag=None, **keywords):
        super().__init_subclass__(**keywords)
        cls.tag = tag


class Coordinates(NamedTuple):
    x: Any
    y: Any


@jax.tree_util.register_pytree_node_class
class Ring:
    """A pytree node of no library, compared by identity."""

    def __init__(self, x, size):
        self.x, self.size = x, size

    def tree_flatten(self):
        return (self.x,), self.size

    @classmethod
    def tree_unflatten(cls, size, children):
        return cls(*children, size)


class Angle(float):
    pass


class Colour(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    ONE = 1
    TWO = 2


def shown(value: Any) -> str:
    """The text of a value in the name of a test: the same in every process, so without addresses."""
    # Sets have another order in each process, and an int may be too long to print.
    is_plain = not isinstance(value, set | frozenset) and not (isinstance(value, int) and abs(value) > 2**64)
    text = repr(value) if is_plain else type(value).__name__
    return re.sub(r" at 0x[0-9a-f]+", "", text).encode("ascii", "backslashreplace").decode()[:80]
