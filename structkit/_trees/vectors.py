"""Arithmetic of structs, leaf by leaf: the mixin `VectorSpace`."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from structkit._core.pretty import pformat
from structkit._trees.nodes import leaf_path
from structkit._trees.unlike import leaves_like
from structkit.errors import TreeError, a_type


class VectorSpace:
    """A mixin with leafwise `+`, `-`, `*` and `/` by scalars, `@` (the dot product), `norm` and `zeros_like`.

    Two operands are of one class and one structure, static fields too. What is done to their leaves is Python's own
    operation, so shapes may broadcast (but for `@`) and dtypes are promoted as JAX or numpy does it. A scalar is a
    number or an array without axes. `sum(forces)` works, since 0 may stand on the left of a `+`.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from structkit import Struct, VectorSpace
        >>> class Force(Struct, VectorSpace):
        ...     linear: jax.Array
        ...     torque: float
        >>> gravity = Force(jnp.array([0.0, -9.81]), 0.0)
        >>> push = Force(jnp.array([3.0, 0.0]), 4.0)
        >>> (2 * push - push / 2).torque
        6.0
        >>> sum([gravity, push, push]).linear
        Array([ 6.  , -9.81], dtype=float32)
        >>> push @ push, push.norm()
        (Array(25., dtype=float32), Array(5., dtype=float32))
    """

    __slots__ = ()

    # Numpy's arrays and numbers leave it to these methods when they stand on the left.
    __array_ufunc__: ClassVar[None] = None

    def __add__(self, other: Self) -> Self:
        return _of_two("+", operator.add, self, other)  # type: ignore[no-any-return]

    def __radd__(self, other: int) -> Self:
        # What `sum` starts with.
        return self if type(other) is int and other == 0 else _refused("+", other, self)

    def __sub__(self, other: Self) -> Self:
        return _of_two("-", operator.sub, self, other)  # type: ignore[no-any-return]

    def __neg__(self) -> Self:
        return _of_one(operator.neg, self)  # type: ignore[no-any-return]

    def __mul__(self, scalar: ArrayLike) -> Self:
        return _by_scalar("*", operator.mul, self, scalar)  # type: ignore[no-any-return]

    def __rmul__(self, scalar: ArrayLike) -> Self:
        return _by_scalar("*", operator.mul, self, scalar)  # type: ignore[no-any-return]

    def __truediv__(self, scalar: ArrayLike) -> Self:
        return _by_scalar("/", operator.truediv, self, scalar)  # type: ignore[no-any-return]

    def __matmul__(self, other: Self) -> jax.Array:
        """The dot product: the sum of `jnp.vdot` over all leaves, which takes the conjugate of the left."""
        if type(other) is not type(self):
            return _refused("@", self, other)  # type: ignore[no-any-return]
        leaves, others, _ = _leaves_of_both("@", self, other)
        return functools.reduce(operator.add, _each(self, _dot, leaves, others) or [jnp.zeros(())])  # type: ignore[no-any-return]

    def norm(self) -> jax.Array:
        """The square root of the dot product with itself, a real number. As `jnp.linalg.norm`, it has no slope at 0."""
        return jnp.sqrt(jnp.real(self @ self))

    def zeros_like(self) -> Self:
        """The zero of the space, with the same shapes and dtypes: `jnp.zeros_like` of each leaf."""
        return _of_one(jnp.zeros_like, self)  # type: ignore[no-any-return]


def _of_one(function: Callable[[Any], Any], vector: Any) -> Any:
    """The vector of what a function of each leaf gives."""
    leaves, treedef = _flattened(vector)
    return treedef.unflatten(_each(vector, function, leaves))


def _of_two(sign: str, function: Callable[[Any, Any], Any], one: Any, other: Any) -> Any:
    """The vector of what a function of the leaves of two gives."""
    if type(other) is not type(one):
        return _refused(sign, one, other)
    leaves, others, treedef = _leaves_of_both(sign, one, other)
    return treedef.unflatten(_each(one, function, leaves, others))


def _leaves_of_both(sign: str, one: Any, other: Any) -> tuple[list[Any], list[Any], Any]:
    """The leaves of two objects of one class, and their structure."""
    leaves, treedef = _flattened(one)
    others = leaves_like(one, treedef, other, _written(sign, one, other), "give two of one structure")
    return leaves, others, treedef


def _by_scalar(sign: str, function: Callable[[Any, Any], Any], vector: Any, scalar: Any) -> Any:
    """The vector of what a function of each leaf and a scalar gives."""
    if not isinstance(scalar, _NUMBERS) or np.ndim(scalar) > 0:
        return _refused(sign, vector, scalar)
    return _of_one(lambda leaf: function(leaf, scalar), vector)


_NUMBERS = (bool, int, float, complex, jax.Array, np.ndarray, np.generic)


def _dot(one: Any, other: Any) -> jax.Array:
    if jnp.shape(one) != jnp.shape(other):
        what = f"shapes {jnp.shape(one)} and {jnp.shape(other)} have no dot product"
        raise TreeError("@", what, "give arrays of one shape")
    return jnp.vdot(one, other)


def _flattened(vector: Any) -> tuple[list[Any], Any]:
    leaves, treedef = jax.tree.flatten(vector)
    if len(leaves) == 1 and leaves[0] is vector:
        name = type(vector).__name__
        raise TreeError(name, "the class is no pytree node", "inherit from Struct, or decorate it as its parent is")
    return leaves, treedef


def _each(vector: Any, function: Callable[..., Any], *columns: list[Any]) -> list[Any]:
    """What the function gives for each leaf; what it raises is told where."""
    found: list[Any] = []
    try:
        for values in zip(*columns):
            found.append(function(*values))
    except Exception as error:
        error.add_note(f"This is about tree{leaf_path(vector, len(found))}, where tree is {a_type(vector)}.")
        raise
    return found


def _refused(sign: str, one: Any, other: Any) -> Any:
    """`NotImplemented` for a stranger, who may know how to go on; an error for what never will."""
    if not all([isinstance(operand, (VectorSpace, *_NUMBERS)) for operand in (one, other)]):
        return NotImplemented
    raise TreeError(_written(sign, one, other), *_WHY[sign])


_OF_ONE_CLASS = "both have to be of one class", "for another sum of the leaves, write jax.tree.map"
_WHY = {
    "+": _OF_ONE_CLASS,
    "-": _OF_ONE_CLASS,
    "@": ("both have to be of one class", "multiply by a scalar with *"),
    "*": ("a factor is a number or an array without axes", "@ is the dot product; for others write jax.tree.map"),
    "/": ("a divisor is a number or an array without axes", "for other quotients write jax.tree.map"),
}


def _written(sign: str, one: Any, other: Any) -> str:
    names = [type(value).__name__ if isinstance(value, VectorSpace) else pformat(value) for value in (one, other)]
    return f"{names[0]} {sign} {names[1]}"
