"""`diff`, the assertions that are made of it, and `shared_buffers`."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from structkit import (
    Difference,
    Differences,
    SharedBuffer,
    Struct,
    assert_close,
    assert_same_structure,
    diff,
    shared_buffers,
    static,
)
from structkit.errors import TreesDifferError


class Linear(Struct):
    weight: jax.Array
    name: str = static(default="linear")


a = Linear(jnp.ones(3))
b = Linear(jnp.zeros(3), name="head")

found: Differences = diff(a, b)
again: Differences = found.retraces
as_sequence: Sequence[Difference] = found
first: Difference = found[0]
path: str = first.path
unequal: int = first.unequal
absolute: float | None = first.absolute
relative: float | None = first.relative
retraces: bool = first.retraces
uncompared: int = found.uncompared
report: str = str(found)
paths: list[str] = [one.path for one in diff({"a": 1}, [2])]
statics: list[Difference] = [one for one in found if one.kind == "static"]
nothing: bool = not diff(a, a)

if first.kind == "value":
    print(first.absolute)

number: float = first.absolute  # error: no-number
first.path = ""  # error: frozen
first.kinds  # error: no-such-attribute
print(diff(a))  # error: one-tree
print(diff(a, b, c=1))  # error: unknown-keyword

assert_same_structure(a, a)
assert_close(a, a)
assert_close(a, a, rtol=1e-3, atol=0)
assert_close(a, a, 1e-3)  # error: positional-tolerance
assert_close(a, a, rtol="1")  # error: text-tolerance

error: AssertionError = TreesDifferError("call", "report")

shared: Sequence[SharedBuffer] = shared_buffers({"a": a, "b": a})
buffer: SharedBuffer = shared_buffers([a, a])[0]
places: tuple[str, ...] = buffer.paths
size: int = buffer.bytes
buffer.paths = ()  # error: frozen-buffer
