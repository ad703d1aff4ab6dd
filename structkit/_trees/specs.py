"""The partition spec of each leaf: what the fields above it say, and what that comes to on a mesh."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import jax
from jax.sharding import PartitionSpec

from structkit._bridges import spec_axes, tree_flatten_with_path
from structkit._trees.nodes import LEAF, children, fields_of, kind_of, leaf_path
from structkit.errors import SpecError, a_type, nearest

Axes = tuple[Any, ...]
"""Entries of a spec, one for each axis of an array."""

Rules = Mapping[str, str | tuple[str, ...] | None]
"""Logical name -> the mesh axes that it stands for; None for none."""

_spec: Any = PartitionSpec
WHOLE: PartitionSpec = _spec()


def said_specs(tree: Any) -> list[PartitionSpec]:
    """The spec of each leaf as the fields say it, in JAX's order of the leaves.

    Args:
        tree: any pytree. A spec in the place of a leaf is that leaf's own.
    """
    found: list[PartitionSpec] = []
    known: dict[Any, list[tuple[PartitionSpec, Axes]] | None] = {}
    waiting: list[tuple[Any, PartitionSpec, Axes]] = [(tree, WHOLE, ())]
    while waiting:
        node, spec, before = waiting.pop()
        if kind_of(node) is LEAF:
            found.append(node if type(node) is PartitionSpec else spec)
            continue
        cls = type(node)
        state = (cls, spec, before)
        if state not in known:
            known[state] = _below(cls, spec, before)
        each, (_, nodes) = known[state], children(node) or ((), ())
        if each is None:
            waiting.extend([(child, spec, before) for child in nodes][::-1])
        else:
            waiting.extend([(child, *below) for child, below in zip(nodes, each)][::-1])
    return found


def _below(cls: type, spec: PartitionSpec, before: Axes) -> list[tuple[PartitionSpec, Axes]] | None:
    """For each data field of a class what reaches the leaves below; None where the class says nothing about any.

    That is the spec of those without one of their own, and the axes that come before the specs said further down.
    """
    said = [f.spec for f in fields_of(cls).values() if not f.static]
    if said.count(None) == len(said):
        return None
    return [(spec, before) if one is None else _joined(before, one) for one in said]


def _joined(before: Axes, spec: PartitionSpec) -> tuple[PartitionSpec, Axes]:
    axes = spec_axes(spec)
    if axes and axes[-1] is ...:
        before = (*before, *axes[:-1])
        return with_axes(spec, before), before
    return (with_axes(spec, (*before, *axes)) if before else spec), before


def with_axes(spec: Any, axes: Iterable[Any]) -> PartitionSpec:
    """The spec with other entries for the axes of the array."""
    made: PartitionSpec = spec.update(partitions=tuple(axes))
    return made


def specs_by_parameter(tree: Any, params: Any, own: Iterable[PartitionSpec]) -> Iterator[PartitionSpec]:
    """The spec of each leaf of an optimizer's state: of its shape's parameter, else of none.

    The path of a leaf ends with that of its parameter, or goes on below it, where an optimizer keeps several arrays
    for one parameter. A leaf that belongs to none keeps its own spec.

    Args:
        tree: the state.
        params: the parameters.
        own: what `said_specs` finds in the state.
    """
    pairs, _ = tree_flatten_with_path(params)
    known = {path: (shape_of(leaf), spec) for (path, leaf), spec in zip(pairs, said_specs(params))}
    for (path, leaf), spec in zip(tree_flatten_with_path(tree)[0], own):
        yield _by_parameter(path, (shape_of(leaf), spec), known)


def _by_parameter(path: Axes, mine: tuple[Any, PartitionSpec], known: Mapping[Any, Any]) -> PartitionSpec:
    shape, own = mine
    found = [known[path[i:]] for i in range(len(path) + 1) if path[i:] in known]
    if found:
        # One path may end with those of several parameters: of the one that said the same, else of the longest path.
        its_shape, spec = mine if mine in found else found[0]
        return spec if its_shape == shape else WHOLE
    above = [known[path[i:j]] for i, j in itertools.combinations(range(len(path)), 2) if path[i:j] in known]
    # What a struct in the state says of its own fields is not its parameter's.
    return own if mine in above or own not in [spec for _, spec in above] else WHOLE


def shape_of(leaf: Any) -> tuple[Any, ...] | None:
    """The shape of a leaf; None for what has none."""
    if isinstance(leaf, bool | int | float | complex):
        return ()
    shape = getattr(leaf, "shape", None)
    return shape if isinstance(shape, tuple) else None


def fitted_specs(
    tree: Any, rules: Rules | None, params: Any = None, sizes: Mapping[str, int] | None = None
) -> tuple[list[Any], list[PartitionSpec], Any]:
    """The leaves of a tree, the spec of each one in terms of the mesh, and the treedef.

    Args:
        tree: any pytree.
        rules: what logical names stand for.
        params: the parameters, if the tree is an optimizer's state.
        sizes: mesh axis -> its size. None leaves names alone that have no rule.

    Raises:
        SpecError: a leaf cannot be laid out so.
    """
    given: Any = rules
    if not isinstance(given, Mapping | None):
        what = f"rules is {a_type(given)}, and no mapping"
        raise SpecError("the tree", what, "give a dict, as in rules={'embed': 'model', 'layers': None}")
    _refuse_maker(params, "params")
    leaves, treedef = jax.tree.flatten(tree)
    said: Iterable[PartitionSpec] = said_specs(tree)
    if params is not None:
        said = specs_by_parameter(tree, params, said)
    known: dict[Any, PartitionSpec] = {}
    found = []
    for i, (leaf, spec) in enumerate(zip(leaves, said)):
        shape = shape_of(leaf)
        if shape is None and (leaf is tree or (isinstance(leaf, type) and fields_of(leaf))):
            _refuse_maker(leaf, leaf_path(tree, i) or "the tree")
        if (spec, shape) not in known:
            known[spec, shape] = _Fit(spec, shape, rules or {}, sizes, partial(leaf_path, tree, i)).checked()
        found.append(known[spec, shape])
    return leaves, found, treedef


def _refuse_maker(leaf: Any, where: str) -> None:
    """Refuse a class or a function in the place of what it makes: as one leaf it would be replicated in silence."""
    if kind_of(leaf) is LEAF and callable(leaf):
        what = f"the class {leaf.__qualname__}" if isinstance(leaf, type) else a_type(leaf)
        cure = "give an object, or the shapes that jax.eval_shape gives of what makes it"
        raise SpecError(where, f"it is {what}, and no tree of arrays", cure)


class _Fit:
    """One spec on an array of one shape."""

    def __init__(
        self,
        spec: PartitionSpec,
        shape: tuple[Any, ...] | None,
        rules: Rules,
        sizes: Mapping[str, int] | None,
        where: Callable[[], str],
    ):
        self.spec, self.shape, self.rules, self.sizes, self.where = spec, shape, rules, sizes, where

    def error(self, what: str, cure: str) -> SpecError:
        return SpecError(self.where(), what, cure)

    def checked(self) -> PartitionSpec:
        axes = spec_axes(self.spec)
        if self.shape is not None and len(axes) > len(self.shape):
            count = f"{len(axes)} axes" if len(axes) > 1 else "an axis"
            raise self.error(
                f"{self.spec!r} is for {count} and the shape is {self.shape}",
                "shorten it if it is the field's own, else give the field one, field(spec=...), "
                "or params= where it is part of an optimizer's state",
            )
        mapped = [self.mapped(entry) for entry in axes]
        if self.sizes is not None:
            self.check_sizes(mapped, self.sizes)
        return self.spec if mapped == [*axes] else with_axes(self.spec, mapped)

    def mapped(self, entry: Any) -> Any:
        """An entry of the spec with mesh axes in the place of logical names."""
        if isinstance(entry, str):
            return self.axes_of(entry)
        if not isinstance(entry, tuple):
            return entry
        found: list[str] = []
        for name in entry:
            axes = self.axes_of(name)
            found.extend((axes,) if isinstance(axes, str) else axes or ())
        return tuple(found) or None

    def axes_of(self, name: str) -> Any:
        """What one name stands for."""
        mesh = ", ".join(map(repr, self.sizes or ()))
        if name not in self.rules:
            if self.lacks(name):
                raise self.error(
                    f"{name!r} of {self.spec!r} is neither in rules nor an axis of the mesh ({mesh})"
                    f"{nearest(name, [*self.rules, *(self.sizes or ())])}",
                    f"say what it stands for, as in rules={{{name!r}: {next(iter(self.sizes or ()), None)!r}}}, "
                    f"or None for nothing",
                )
            return name
        axes: Any = self.rules[name]
        if not (axes is None or isinstance(axes, str | tuple | list)):
            what = f"rules[{name!r}] is {axes!r}, which names no axes"
            raise self.error(what, "give it the name of an axis, a tuple of names, or None for none")
        for axis in (axes,) if isinstance(axes, str) else axes or ():
            if not isinstance(axis, str) or self.lacks(axis):
                raise self.error(
                    f"rules[{name!r}] is {axes!r}, and {axis!r} is no axis of the mesh ({mesh})"
                    f"{nearest(axis, self.sizes or ())}",
                    "name axes of the mesh, or None for none",
                )
        return axes if axes is None or isinstance(axes, str) else tuple(axes)

    def lacks(self, axis: str) -> bool:
        """Whether there is a mesh without this axis."""
        return self.sizes is not None and axis not in self.sizes

    def check_sizes(self, mapped: list[Any], sizes: Mapping[str, int]) -> None:
        used: list[str] = []
        for i, entry in enumerate(mapped):
            names = (entry,) if isinstance(entry, str) else entry if isinstance(entry, tuple) else ()
            twice = next((name for name in names if name in used or names.count(name) > 1), None)
            if twice is not None:
                raise self.error(
                    f"{self.spec!r} lays more than one axis on {twice!r}", "lay it on one, and None in the other place"
                )
            used.extend(names)
            parts = math.prod([sizes[name] for name in names])
            if self.shape is not None and isinstance(self.shape[i], int) and self.shape[i] % parts:
                axes = " × ".join(map(repr, names))
                cure = "pad it, or lay it on none: None in its spec or in rules"
                if len(mapped) < len(self.shape):
                    cure += (
                        "; if it is one of stacked layers, say the axis before it in the field above: P('layers', ...)"
                    )
                raise self.error(
                    f"axis {i} of shape {self.shape} does not divide by {parts}, the size of {axes} in the mesh", cure
                )
