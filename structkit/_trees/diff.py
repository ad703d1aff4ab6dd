"""`diff`: what differs between two trees, place by place; and the assertions that are made of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import MISSING
from typing import Any

import jax
import jax.core
import numpy as np
from jax.tree_util import DictKey, GetAttrKey

from structkit._bridges import keystr
from structkit._core.plan import plan_of
from structkit._core.statics import unpack_statics
from structkit._trees.differences import Difference, Differences
from structkit._trees.nodes import DEEPEST, children, flattened, too_deep
from structkit._trees.values import Tolerance, is_key, on_host, unequal
from structkit.errors import TreesDifferError


def diff(a: Any, b: Any) -> Differences:
    """Every difference of two trees, each with its path and its kind; an empty sequence where there is none.

    Trees of any nodes are compared: by class, static fields and keys, and leaves by shape, dtype, weak type, sharding
    and value. Statics differ where `jax.jit` tells them apart: `1`, `True` and `1.0` do, and so do `0.0` and `-0.0`. As
    values of leaves, NaN is equal to NaN, and 0.0 to -0.0. Python numbers and numpy's arrays are compared with jax
    arrays as what JAX makes of them, but for their dtypes. Shardings differ where they are not equal, unless they are
    on one mesh and place the data alike; what has none differs from none. All fields count, also those that `==` of
    their class leaves out.

    The values of tracers and of `jax.ShapeDtypeStruct`s are not compared: inside `jit` this is about all else, and the
    report says so. A deleted (donated) array differs from everything but itself. Where a part of an array is on
    other processes, the part on this one is compared.

    **What made `jit` trace again?** Keep the arguments of two calls: `diff(before, after).retraces` has the statics,
    shapes, dtypes, weak types and shardings that did. (Some shardings only make it compile again. A number that is a
    static argument of `jit` counts as any other number here.)

    Args:
        a: a tree.
        b: another.

    Raises:
        RecursionError: a tree is more than 2,000 levels deep, or holds itself.

    Example:
        >>> import jax.numpy as jnp
        >>> from structkit import Struct, diff, static
        >>> class Layer(Struct):
        ...     weight: jnp.ndarray
        ...     name: str = static(default="layer")
        >>> before = [Layer(jnp.zeros(3)), Layer(jnp.zeros(2))]
        >>> after = [Layer(jnp.array([0.0, 0.5, 0.0])), Layer(jnp.zeros(4), name="head")]
        >>> print(diff(before, after))
        3 differences:
        [0].weight: value: 1 of 3 elements differ, by 0.5 at most (relative: 1)
        [1].name: static: 'layer' against 'head'
        [1].weight: shape: (2,) against (4,)
        >>> print(diff(before, after).retraces)
        2 differences:
        [1].name: static: 'layer' against 'head'
        [1].weight: shape: (2,) against (4,)
    """
    return _differences(a, b, Tolerance())


def assert_same_structure(a: Any, b: Any) -> None:
    """Nothing where `jax.tree.structure` of both is equal, and otherwise an error that names every place where not.

    Shapes, dtypes and values of leaves are not looked at.

    Args:
        a: a tree.
        b: another.

    Raises:
        TreesDifferError: the structures differ; an `AssertionError`.

    Example:
        >>> from structkit import assert_same_structure
        >>> assert_same_structure({"a": 1, "b": [2]}, {"a": 3.0, "b": [None]})
        Traceback (most recent call last):
        ...
        structkit.errors.TreesDifferError: assert_same_structure(a, b): 1 difference:
        ['b'][0]: structure: 2 against None
    """
    __tracebackhide__ = True
    found = Differences(entry for entry in _entries(a, b) if isinstance(entry, Difference))
    if found:
        raise TreesDifferError("assert_same_structure(a, b)", str(found), found)


def assert_close(a: Any, b: Any, *, rtol: float = 1e-5, atol: float = 1e-8) -> None:
    """Nothing where two trees are equal but for small differences of numbers, otherwise an error that lists all others.

    Floating and complex numbers may differ by `atol + rtol * abs(b)`, as in `numpy.allclose`; NaN is close to NaN.
    Integers, booleans, random keys and everything else must be equal, so must structures, statics, shapes, and
    dtypes as JAX takes them (a float64 array of numpy is a float32 array, without `jax_enable_x64`). Weak types and
    shardings may differ. What has no values is not close: a tracer, a `ShapeDtypeStruct`, a deleted array.

    Args:
        a: a tree.
        b: another, the one that is right.
        rtol: the relative tolerance.
        atol: the absolute tolerance.

    Raises:
        TreesDifferError: the trees differ; an `AssertionError`.

    Example:
        >>> import jax.numpy as jnp
        >>> from structkit import assert_close
        >>> assert_close({"loss": jnp.array(0.5), "step": 3}, {"loss": 0.5000001, "step": 3})
        >>> assert_close({"loss": jnp.array(0.5)}, {"loss": 0.25}, rtol=0.1)
        Traceback (most recent call last):
        ...
        structkit.errors.TreesDifferError: assert_close(a, b, rtol=0.1, atol=1e-08): 1 difference:
        ['loss']: value: 0.5 against 0.25 (by 0.25, relative: 1)
    """
    __tracebackhide__ = True
    found = _differences(a, b, Tolerance(rtol, atol), strict=True)
    apart = Differences(difference for difference in found if _matters(difference))
    if apart:
        raise TreesDifferError(f"assert_close(a, b, rtol={rtol}, atol={atol})", str(apart), apart)


def _matters(difference: Difference) -> bool:
    """Whether a difference keeps two trees from being close."""
    if difference.kind == "dtype":
        return difference.retraces
    return difference.kind not in ("weak type", "sharding")


# The structures: all places where the trees have different nodes, and the pairs of leaves where they have not.

_Path = tuple[Any, ...]
_Pair = tuple[_Path, Any, Any]


def _entries(a: Any, b: Any) -> Iterator[Difference | _Pair]:
    """The differences of the structures, and the pairs of leaves that are not one object, in the order of the tree.

    A walk of its own, not JAX's: that one does not tell where structures differ, and a struct that holds itself leaves
    the interpreter without recursion.
    """
    waiting: list[_Pair] = [((), a, b)]
    while waiting:
        path, x, y = waiting.pop()
        if x is y:
            continue
        if len(path) > DEEPEST:
            raise too_deep("diff")
        if x is MISSING or y is MISSING:
            yield Difference(keystr(path), "structure", x, y)
            continue
        over, under = _level(x), _level(y)
        if over is None and under is None:
            yield path, x, y
        elif over is None or under is None or x is None or y is None:
            yield Difference(keystr(path), "structure", x, y)
        elif type(x) is not type(y):
            yield Difference(keystr(path), "class", type(x), type(y))
        else:
            matched = _matched(path, over, under)
            alike = not any(inner is MISSING or other is MISSING for _, inner, other in matched)
            yield from _static_differences(path, x, y, alike)
            waiting.extend(matched[::-1])


_Level = tuple[Iterable[Any], Iterable[Any]]


def _level(node: Any) -> _Level | None:
    """The keys and children of a node; of a dict whose keys have no order, which JAX refuses, in the dict's own."""
    try:
        return children(node)
    except ValueError:
        if type(node) is dict:
            return map(DictKey, node), node.values()
        raise


def _matched(path: _Path, over: _Level, under: _Level) -> list[_Pair]:
    """The children of two nodes of one class that have the same key, and those that only one of them has."""
    keys, others = [*over[0]], [*under[0]]
    if keys == others:
        return [((*path, key), inner, other) for key, inner, other in zip(keys, over[1], under[1])]
    first, second = dict(zip(keys, over[1])), dict(zip(others, under[1]))
    return [((*path, key), first.get(key, MISSING), second.get(key, MISSING)) for key in {**first, **second}]


def _static_differences(path: _Path, x: Any, y: Any, alike: bool) -> Iterator[Difference]:
    """The differences of two nodes of one class in what is no child: fields by name, other aux as a whole.

    Args:
        path: their place.
        x: a node.
        y: another.
        alike: whether both have the same keys. If not, the aux of many nodes differs for that alone.
    """
    plan = plan_of(type(x))
    if plan is not None:
        statics, others = x.__flat__[1], y.__flat__[1]
        if not _same(statics, others):
            for name, (tag, value), (other_tag, other) in zip(
                plan.static_names, unpack_statics(statics), unpack_statics(others)
            ):
                if not _same((tag, value), (other_tag, other)):
                    yield Difference(keystr((*path, GetAttrKey(name))), "static", value, other)
        return
    if type(x) in (list, tuple, dict, type(None)) or hasattr(x, "_fields"):
        return
    (keys, _, treedef), (_, _, other_treedef) = flattened(x), flattened(y)
    aux, other_aux = treedef.node_data()[1], other_treedef.node_data()[1]
    if _same(aux, other_aux):
        return
    named = [
        Difference(keystr((*path, GetAttrKey(name))), "static", value, other)
        for name, value, other in _other_fields(keys, x, y)
        if not _same(value, other)
    ]
    yield from named
    if not named and alike:
        yield Difference(keystr(path), "static", aux, other_aux)


def _other_fields(keys: list[Any], x: Any, y: Any) -> Iterator[tuple[str, Any, Any]]:
    """The fields of two dataclasses that are no children, in whatever library's way."""
    if dataclasses.is_dataclass(x):
        data = {getattr(key, "name", None) for key in keys}
        for f in dataclasses.fields(x):
            if f.name not in data:
                yield f.name, getattr(x, f.name, MISSING), getattr(y, f.name, MISSING)


def _same(x: Any, y: Any) -> bool:
    """Whether JAX takes two statics to be equal; identical ones are, and False where that raises."""
    try:
        return bool((x,) == (y,))
    except Exception:
        return False


# The leaves.


def _differences(a: Any, b: Any, tolerance: Tolerance, strict: bool = False) -> Differences:
    """All differences; `strict` counts a leaf without a value as one."""
    found: list[list[Difference]] = []
    compared: list[tuple[int, _Pair, int]] = []
    uncompared = 0
    for entry in _entries(a, b):
        if isinstance(entry, Difference):
            found.append([entry])
            continue
        path, x, y = entry
        form, other = _form(x), _form(y)
        if form is None or other is None:
            found.append([] if _same(x, y) else [_opaque_difference(path, x, y, form is other)])
            continue
        found.append([] if form == other else _form_differences(path, form, other))
        if form[0] != other[0]:
            continue
        if not isinstance(x, _WITHOUT_VALUES) and not isinstance(y, _WITHOUT_VALUES):
            if form[1] == other[1] or not (is_key(form[1]) or is_key(other[1])):
                compared.append((len(found) - 1, entry, len(form[0])))
        elif strict:
            found[-1].append(Difference(keystr(path), "value", x, y, retraces=False, why=_why(x, y)))
        else:
            uncompared += 1
    host = on_host([leaf for _, (_, x, y), _ in compared for leaf in (x, y)])
    for (place, (path, x, y), axes), p, q in zip(compared, host[::2], host[1::2]):
        values = unequal(p, q, tolerance, axes)
        if values is not None:
            found[place].append(Difference(keystr(path), "value", x, y, retraces=False, **values._asdict()))
    differences = Differences(difference for here in found for difference in here)
    differences.uncompared = uncompared
    return differences


_WITHOUT_VALUES: tuple[type[Any], ...] = (jax.core.Tracer, jax.ShapeDtypeStruct)
_ARRAYS: tuple[type[Any], ...] = (np.ndarray, np.generic)


def _why(*leaves: Any) -> str:
    traced = any(isinstance(leaf, jax.core.Tracer) for leaf in leaves)
    return "a tracer has no value" if traced else "a ShapeDtypeStruct has no value"


def _form(leaf: Any) -> tuple[Any, Any, bool, Any] | None:
    """Shape, dtype, weak type and sharding of an array or number; None for anything else."""
    if isinstance(leaf, jax.Array):
        sharding = None if isinstance(leaf, jax.core.Tracer) else leaf.sharding
        return leaf.shape, leaf.dtype, getattr(leaf, "weak_type", False), sharding
    if isinstance(leaf, _ARRAYS):
        return leaf.shape, leaf.dtype, False, None
    if isinstance(leaf, jax.ShapeDtypeStruct):
        return leaf.shape, leaf.dtype, bool(leaf.weak_type), leaf.sharding
    for kind in (bool, int, float, complex):
        if isinstance(leaf, kind):
            return (), jax.dtypes.canonicalize_dtype(kind), kind is not bool, None
    return None


def _form_differences(path: _Path, form: tuple[Any, ...], other: tuple[Any, ...]) -> list[Difference]:
    where = keystr(path)
    found: list[Difference] = []
    shape, dtype, weak, sharding = zip(form, other)
    if shape[0] != shape[1]:
        found.append(Difference(where, "shape", *shape))
    if dtype[0] != dtype[1]:
        found.append(Difference(where, "dtype", *dtype, retraces=_canonical(dtype[0]) != _canonical(dtype[1])))
    if weak[0] != weak[1]:
        found.append(Difference(where, "weak type", *weak))
    if not _same_sharding(*sharding, len(shape[0])):
        found.append(Difference(where, "sharding", *sharding))
    return found


def _canonical(dtype: Any) -> Any:
    return jax.dtypes.canonicalize_dtype(dtype) if isinstance(dtype, np.dtype) and dtype.kind in "biufc" else dtype


def _same_sharding(x: Any, y: Any, axes: int) -> bool:
    if x is None or y is None or x == y:
        return True
    # `P("x")` and `P("x", None)` are one thing to JAX, but not on two meshes, nor a mesh of one device and that device.
    meshes = getattr(x, "mesh", None), getattr(y, "mesh", None)
    return meshes[0] is not None and meshes[0] == meshes[1] and bool(x.is_equivalent_to(y, axes))


def _opaque_difference(path: _Path, x: Any, y: Any, alike: bool) -> Difference:
    """The difference of two leaves, `alike` if none is an array or number. `jit` takes those as static arguments."""
    if alike:
        return Difference(keystr(path), "value", x, y, unequal=1, size=1)
    return Difference(keystr(path), "class", type(x), type(y))
