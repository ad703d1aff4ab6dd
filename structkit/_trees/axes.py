"""The leading axes of a tree where annotations tell them: what jaxtyping's ranks leave of the shapes.

`Float[Array, "3"]` describes one axis, and whatever stands before it in a shape leads. A rank is never guessed from the
shapes: two vectors of three numbers are no batch of three.
"""

from __future__ import annotations

import collections.abc
import itertools
import sys
import types
import typing
import weakref
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, NamedTuple

import jax
import numpy as np

from structkit._bridges import GENERIC_ALIASES, alias_value, keystr, lazy_annotations
from structkit._core.plan import class_dict, class_mro
from structkit._trees.nodes import LEAF, children, kind_of
from structkit.errors import BatchError

# What an annotation says about the value of a field. None is nothing; a `str` (`_NODE`) leaves it to the value, whose
# class or whose items may have annotations of their own.
_NODE = "node"


class _Rank(NamedTuple):
    """An array, or a struct, with so many axes behind the leading ones."""

    axes: int


class _Each(NamedTuple):
    """A container whose items are all of one kind; `deep` for all leaves further down."""

    item: Any
    deep: bool = False


class _InTurn(NamedTuple):
    """A tuple with a kind for each item."""

    items: tuple[Any, ...]


class Ranks(NamedTuple):
    """What the annotations of a class say.

    Attributes:
        fields: name -> what is known, for the fields of which something is.
        unresolved: name -> annotation, for strings with names that do not exist (yet).
    """

    fields: dict[str, Any]
    unresolved: dict[str, str]


def leading_axes(tree: Any, call: str, name: str = "tree") -> tuple[int, ...] | None:
    """The sizes of the leading axes, from the fields whose rank is known; None where there is no such field.

    Args:
        tree: any pytree. In containers, the structs among the items tell.
        call: the function that asks, for messages.
        name: how messages call the tree.

    Raises:
        BatchError: two fields lead with unlike sizes, or one has fewer axes than its annotation.
    """
    first: _Vote | None = None
    for vote in _votes(tree, call, name):
        if vote.sizes is None:
            raise BatchError(
                call,
                name + keystr(vote.path),
                f"has shape {vote.shape}, fewer axes than its annotation ({vote.rank})",
                "set the field to an array of its rank, with or without leading axes",
            )
        if first is None:
            first = vote
        elif vote.sizes != first.sizes:
            raise BatchError(
                call,
                name + keystr(vote.path),
                f"leads with the axes {vote.sizes}, {name}{keystr(first.path)} with {first.sizes}",
                "give all fields the same leading axes; annotate one that has more of its own with their names",
            )
    return None if first is None else first.sizes


def ranks_of(cls: type[Any], names: Mapping[str, Any] | None = None) -> Ranks:
    """What the annotations of a class and its bases say of the ranks of its fields.

    Args:
        cls: any class. What is found is kept; what could not be resolved is tried again.
        names: what names in annotations stand for, where the module of the class does not have them.
    """
    found = _KEPT.get(cls)
    if found is None or found.unresolved:
        before = {} if found is None else found.fields
        fields, unresolved = _read(cls, names or {})
        unresolved = {name: text for name, text in unresolved.items() if name not in before}
        found = _KEPT[cls] = Ranks({**before, **fields}, unresolved)
    return found


_KEPT: weakref.WeakKeyDictionary[type[Any], Ranks] = weakref.WeakKeyDictionary()


class _Vote(NamedTuple):
    """The leading axes of one field; `sizes` is None where it has too few axes."""

    path: tuple[Any, ...]
    shape: tuple[int, ...]
    rank: int
    sizes: tuple[int, ...] | None


def _votes(tree: Any, call: str, name: str) -> Iterator[_Vote]:
    """What each array under a field of known rank says, in the order of the leaves."""
    waiting: list[tuple[tuple[Any, ...], Any, Any]] = [((), tree, _NODE)]
    while waiting:
        path, value, known = waiting.pop()
        if type(known) is not _Rank:
            waiting.extend([((*path, key), *inner) for key, *inner in _under(value, known)][::-1])
            continue
        shape = _shape_of(value, call, name + keystr(path))
        if shape is not None:
            enough = len(shape) >= known.axes
            yield _Vote(path, shape, known.axes, shape[: len(shape) - known.axes] if enough else None)


def _under(value: Any, known: Any) -> list[tuple[Any, Any, Any]]:
    """The children of which something is known, each with its key and what that is."""
    fields: dict[str, Any] = {}
    if known is _NODE and type(value) not in _CONTAINERS:
        fields = {} if kind_of(value) is LEAF else ranks_of(type(value)).fields
        if not fields:
            return []
    level = children(value)
    if level is None:
        return []
    keys, items = [*level[0]], level[1]
    inner: Iterable[Any]
    if type(known) is _InTurn:
        inner = known.items
    elif type(known) is _Each:
        inner = itertools.repeat(known if known.deep else known.item)
    elif fields:
        inner = [fields.get(getattr(key, "name", "")) for key in keys]
    else:
        inner = itertools.repeat(_NODE)
    return [(key, item, _settled(item, one)) for key, item, one in zip(keys, items, inner) if one is not None]


def _settled(value: Any, known: Any) -> Any:
    """What is known of a leaf, where something is known of all leaves of a field."""
    deep = type(known) is _Each and known.deep
    return known.item if deep and kind_of(value) is LEAF else known


def _shape_of(value: Any, call: str, name: str) -> tuple[int, ...] | None:
    """The shape of an array or a number, the leading axes of a struct; None for anything else."""
    if isinstance(value, _NUMBERS):
        return ()
    if kind_of(value) is LEAF:
        shape: Any = getattr(value, "shape", None)
        return shape if isinstance(shape, tuple) else None
    return leading_axes(value, call, name)


_NUMBERS = (bool, int, float, complex, np.generic)
_CONTAINERS = (list, tuple, dict)
# Beside a type that has a rank, they stand for a value without axes, or for none.
_WITHOUT_AXES: tuple[Any, ...] = (type(None), bool, int, float, complex, np.bool_, np.number, np.generic)
# They say nothing of a rank.
_SILENT = (*_WITHOUT_AXES, Any, object, str, bytes, jax.Array, np.ndarray)


def _read(cls: type[Any], names: Mapping[str, Any]) -> Ranks:
    fields: dict[str, Any] = {}
    unresolved: dict[str, str] = {}
    for base in reversed(class_mro(cls)):
        body = class_dict(base)
        annotations = body.get("__annotations__")
        for name, annotation in (lazy_annotations(dict(body)) if annotations is None else annotations).items():
            fields.pop(name, None)
            unresolved.pop(name, None)
            try:
                known = _known(annotation, _Body(base, names))
            except _Unresolved as error:
                unresolved[name] = str(error)
                continue
            except RecursionError:
                # An alias that names itself.
                continue
            if known is not None:
                fields[name] = known
    return Ranks(fields, unresolved)


class _Unresolved(Exception):
    pass


class _Body(NamedTuple):
    """Where an annotation stands, for what the names in it mean."""

    cls: type[Any]
    names: Mapping[str, Any]

    def evaluated(self, text: str) -> Any:
        module: Any = sys.modules.get(self.cls.__module__)
        try:
            return eval(text, vars(module) if module else {}, {**self.names, self.cls.__name__: self.cls})
        except Exception as error:
            raise _Unresolved(text) from error


def _known(annotation: Any, body: _Body) -> Any:
    """What an annotation in the body of a class says."""
    if isinstance(annotation, typing.ForwardRef):
        annotation = annotation.__forward_arg__
    if isinstance(annotation, str):
        return _known(body.evaluated(annotation), body)
    if _is_among(_SILENT, annotation):
        return None
    if isinstance(annotation, type) and typing.get_origin(annotation) is None:
        return _of_class(annotation, body)
    if isinstance(annotation, GENERIC_ALIASES):
        return _known(_alias(annotation), body)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if isinstance(origin, GENERIC_ALIASES):
        return _known(_alias(origin), body)
    if origin is Annotated:
        return _known(arguments[0], body)
    if origin is typing.Union or origin is types.UnionType:
        kinds = [_known(part, body) for part in arguments if not _is_among(_WITHOUT_AXES, part)]
        return kinds[0] if kinds and all(kind == kinds[0] for kind in kinds) else None
    if origin is tuple and arguments[-1:] != (...,):
        return _InTurn(tuple([_known(part, body) for part in arguments]))
    if origin is tuple:
        return _Each(_known(arguments[0], body))
    if isinstance(origin, type) and issubclass(origin, collections.abc.Sequence | collections.abc.Mapping):
        # Of a mapping the values.
        return _Each(_known(arguments[-1], body))
    return _NODE if isinstance(origin, type) else None


def _is_among(known: tuple[Any, ...], annotation: Any) -> bool:
    # By identity: not everything in an annotation has a hash, or an `==` that is a bool.
    return any([annotation is one for one in known])


def _of_class(annotation: Any, body: _Body) -> Any:
    jaxtyping: Any = sys.modules.get("jaxtyping")
    if jaxtyping is None:
        return _NODE
    if issubclass(annotation, jaxtyping.AbstractArray):
        # A variadic axis in front is the leading axes themselves; anywhere else it leaves their number open.
        variadic = annotation.index_variadic
        return _Rank(len(annotation.dims) - (variadic is not None)) if variadic in (None, 0) else None
    if isinstance(annotation, type(jaxtyping.PyTree)):
        leaf = _known(getattr(annotation, "leaftype", Any), body)
        return None if leaf is None else _Each(leaf, deep=True)
    return _NODE


def _alias(alias: Any) -> Any:
    try:
        return alias_value(alias)
    except NameError as error:
        raise _Unresolved(alias.__name__) from error
