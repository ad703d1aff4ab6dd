"""The nodes of a pytree, kind by kind: the children of a node, their keys, and how a copy with others is made."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import numpy as np
from jax.tree_util import DictKey, SequenceKey

from structkit._bridges import keystr, tree_flatten_with_path
from structkit._core.fields import Field
from structkit._core.flat import new, store, with_flat
from structkit._core.plan import ClassPlan, plan_of
from structkit._core.registry import node_of
from structkit._core.replace import put_fields

ABSENT: Any = object()
"""No key: None may be one."""

DEEPEST = 2000
"""Levels of a tree. One that has more holds itself, most likely."""


class Kind:
    """Nodes of one kind. A key is what this kind finds a child by: an index, a key of a dict, a field's name."""

    has_fields = False
    """Whether its children have names, and there are static fields beside them."""

    def attribute(self, node: Any, name: str) -> Any:
        """The key of the child that is read as `node.name`; `ABSENT` without one."""
        return ABSENT

    def item(self, node: Any, index: Any) -> Any:
        """The key of the child that is read as `node[index]`; `ABSENT` without one."""
        return ABSENT

    def parts(self, node: Any) -> Any:
        """The children by their keys, in a list, tuple or dict that is not to be written to."""
        return ()

    def made(self, node: Any, parts: Any) -> Any:
        """A node as `node` with the children in `parts`, a list or dict that nobody else holds. No user code runs."""
        raise NotImplementedError

    def keys(self, node: Any) -> Any:
        """The keys of the children, which are data, in JAX's order."""
        return range(len(self.parts(node)))

    def text(self, node: Any, key: Any) -> str:
        """The key as `jax.tree_util.keystr` writes it."""
        raise NotImplementedError

    def child(self, node: Any, key: Any) -> Any:
        """The child with this key."""
        return self.parts(node)[key]

    def changed(self, node: Any, key: Any, value: Any) -> Any:
        """A copy of the node with another child."""
        parts = [*self.parts(node)]
        parts[key] = value
        return self.made(node, parts)

    def admitted(self, node: Any, key: Any, value: Any) -> Any:
        """The value as the node takes it in this place."""
        return value


class _Leaf(Kind):
    """What is no node."""


class StructKind(Kind):
    """The objects of one struct class. The keys of data fields are their places, those of static ones their names."""

    has_fields = True

    def __init__(self, plan: ClassPlan):
        self.plan, self._frozen = plan, plan.frozen
        self._keys: dict[str, Any] = {name: name for name in plan.fields}
        self._keys |= {name: plan.index[name] for name in plan.data_names}
        self._texts = {key: f".{name}" for name, key in self._keys.items()}

    def attribute(self, node: Any, name: str) -> Any:
        return self._keys.get(name, ABSENT)

    def parts(self, node: Any) -> Any:
        return node.__flat__[0]

    def made(self, node: Any, parts: Any) -> Any:
        return with_flat(node, parts, node.__flat__[1])

    def text(self, node: Any, key: Any) -> str:
        return self._texts[key]

    def child(self, node: Any, key: Any) -> Any:
        return getattr(node, key) if type(key) is str else node.__flat__[0][key]

    def changed(self, node: Any, key: Any, value: Any) -> Any:
        if type(key) is str:
            return put_fields(node, {key: value})
        # `with_flat`, spelt out: a call takes a quarter of the time.
        children, aux = node.__flat__
        parts = [*children]
        parts[key] = value
        made = new(type(node))
        store(made, (tuple(parts) if self._frozen else parts, aux))
        return made

    def admitted(self, node: Any, key: Any, value: Any) -> Any:
        # Data takes what it is given.
        convert = self.plan.fields[key].converter if type(key) is str else None
        return value if convert is None else convert(value)


class _Dataclass(Kind):
    """The objects of a dataclass of `structkit.struct`. Its record is asked each time: a reload may put in another."""

    has_fields = True

    def attribute(self, node: Any, name: str) -> Any:
        return name if name in _record(node).fields else ABSENT

    def parts(self, node: Any) -> Any:
        return {name: getattr(node, name) for name in _record(node).fields}

    def made(self, node: Any, parts: Any) -> Any:
        return _record(node).build(parts)

    def keys(self, node: Any) -> Any:
        return _record(node).data_names

    def text(self, node: Any, key: Any) -> str:
        return f".{key}"

    def child(self, node: Any, key: Any) -> Any:
        return getattr(node, key)

    def changed(self, node: Any, key: Any, value: Any) -> Any:
        return _record(node).changed(node, {key: value})


def _record(node: Any) -> Any:
    return node_of(type(node))


class _Sequence(Kind):
    """Lists and tuples."""

    def item(self, node: Any, index: Any) -> Any:
        if type(index) is not int:
            try:
                index = ABSENT if isinstance(index, bool) else operator.index(index)
            except TypeError:  # No number, or one that is not known while JAX traces.
                index = ABSENT
        if index is ABSENT or not -len(node) <= index < len(node):
            return ABSENT
        return index + len(node) if index < 0 else index

    def parts(self, node: Any) -> Any:
        return node

    def made(self, node: Any, parts: Any) -> Any:
        return parts if type(node) is list else tuple.__new__(type(node), parts)

    def text(self, node: Any, key: Any) -> str:
        return f"[{key}]"


class _NamedTuple(_Sequence):
    def attribute(self, node: Any, name: str) -> Any:
        return node._fields.index(name) if name in node._fields else ABSENT

    def parts(self, node: Any) -> Any:
        return tuple(node)

    def text(self, node: Any, key: Any) -> str:
        return f".{node._fields[key]}"


def _reads(index: Any, key: Any) -> bool:
    """Whether an index means a key: by its type, as an enum of texts or a number of numpy's; True does not mean 1."""
    if isinstance(index, np.generic) and type(index) is not type(key):
        index = index.item()
    kin = type(index) is type(key) or (isinstance(index, type(key)) and type(index) is not bool)
    return kin and bool(key == index)


class _Dict(Kind):
    def item(self, node: Any, index: Any) -> Any:
        try:
            if index not in node:
                return ABSENT
        except TypeError:  # A key without a hash.
            return ABSENT
        if type(index) is str or (type(index) is int and index not in (0, 1)):
            return index
        return next((key for key in node if _reads(index, key)), ABSENT)

    def parts(self, node: Any) -> Any:
        return node

    def made(self, node: Any, parts: Any) -> Any:
        return parts

    def keys(self, node: Any) -> Any:
        try:
            return sorted(node)
        except TypeError:
            # In JAX's words: there is no order in these keys.
            return [key.key for key in flattened(node)[0]]

    def text(self, node: Any, key: Any) -> str:
        return f"[{key!r}]"

    def changed(self, node: Any, key: Any, value: Any) -> Any:
        return {**node, key: value}


class _Other(Kind):
    """Nodes of other libraries, which JAX has to flatten. A key is the place among the children."""

    def attribute(self, node: Any, name: str) -> Any:
        return next((i for i, key in enumerate(flattened(node)[0]) if getattr(key, "name", None) == name), ABSENT)

    def item(self, node: Any, index: Any) -> Any:
        keys = flattened(node)[0]
        if type(index) is int and index < 0 and all(type(key) is SequenceKey for key in keys):
            index += len(keys)
        for i, key in enumerate(keys):
            if _reads(index, getattr(key, "key", getattr(key, "idx", ABSENT))):
                return i
        return ABSENT

    def parts(self, node: Any) -> Any:
        return flattened(node)[1]

    def made(self, node: Any, parts: Any) -> Any:
        return flattened(node)[2].unflatten(parts)

    def text(self, node: Any, key: Any) -> str:
        return str(flattened(node)[0][key])


LEAF, SEQUENCE, NAMED_TUPLE, DICT = _Leaf(), _Sequence(), _NamedTuple(), _Dict()
DATACLASS, OTHER = _Dataclass(), _Other()

# The kinds of classes that stay what they are: those of Python here, arrays and structs when they are met.
KNOWN: dict[type, Kind] = {list: SEQUENCE, tuple: SEQUENCE, dict: DICT, type(None): OTHER}
KNOWN |= dict.fromkeys([bool, int, float, complex, str, bytes, np.ndarray, jax.ShapeDtypeStruct], LEAF)


def kind_of(node: Any) -> Kind:
    """The kind of a node: `LEAF` for what is none."""
    return KNOWN.get(type(node)) or _looked_up(node)


def _looked_up(node: Any) -> Kind:
    cls = type(node)
    if isinstance(node, jax.Array | np.generic):
        return KNOWN.setdefault(cls, LEAF)
    plan = plan_of(cls)
    if plan is not None:
        # JAX keeps these classes alive in any case.
        return KNOWN.setdefault(cls, StructKind(plan))
    if node_of(cls) is not None:
        return DATACLASS
    if one_level(node) is None:
        return LEAF
    return NAMED_TUPLE if isinstance(node, tuple) and hasattr(cls, "_fields") else OTHER


def fields_of(cls: type) -> dict[str, Field]:
    """The fields of a struct class or a class of `structkit.struct`, static ones too; none for any other."""
    known: Any = plan_of(cls) or node_of(cls)
    return {} if known is None else known.fields


def children(node: Any) -> tuple[Iterable[Any], Iterable[Any]] | None:
    """The key path entries and the children of a pytree node, in JAX's order; None for a leaf.

    None is a node without children, as it is for JAX.
    """
    kind = kind_of(node)
    if kind is LEAF:
        return None
    if kind is SEQUENCE:
        return map(SequenceKey, range(len(node))), node
    if kind is DICT:
        keys = kind.keys(node)
        return map(DictKey, keys), map(node.__getitem__, keys)
    if isinstance(kind, StructKind):
        return kind.plan.keys, node.__flat__[0]
    if kind is DATACLASS:
        # Not through JAX, which asks a Python function of each child whether it is a leaf.
        pairs = _record(node).flatten_with_keys(node)[0]
        return [key for key, _ in pairs], [child for _, child in pairs]
    return flattened(node)[:2]


def flattened(node: Any) -> tuple[list[Any], list[Any], Any]:
    """The keys and children of a node, and the treedef of this level alone."""
    found = one_level(node)
    return ([], [], None) if found is None else found


def leaf_path(tree: Any, i: int, is_leaf: Callable[[Any], bool] | None = None) -> str:
    """The path of the leaf with this number, as `jax.tree_util.keystr` writes it."""
    return keystr(tree_flatten_with_path(tree, is_leaf)[0][i][0])


def one_level(node: Any) -> tuple[list[Any], list[Any], Any] | None:
    """The keys and children of any pytree node, and the treedef of this level alone; None for a leaf."""
    pairs, treedef = tree_flatten_with_path(node, is_leaf=lambda inner: inner is not node)
    if len(pairs) == 1 and not pairs[0][0]:
        return None
    return [key_path[0] for key_path, _ in pairs], [child for _, child in pairs], treedef


def leaves(tree: Any, call: str) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """The leaves of a tree with their key paths, in JAX's order.

    Args:
        tree: any pytree.
        call: the function that asks, for the error.

    Raises:
        RecursionError: the tree is too deep. (JAX's own walk of a struct that holds itself leaves the interpreter
            without recursion.)
    """
    waiting: list[tuple[tuple[Any, ...], Any]] = [((), tree)]
    while waiting:
        path, node = waiting.pop()
        if len(path) > DEEPEST:
            raise too_deep(call)
        level = children(node)
        if level is None:
            yield path, node
        else:
            waiting.extend([((*path, key), child) for key, child in zip(*level)][::-1])


def too_deep(call: str) -> RecursionError:
    """The error for a tree that is deeper than `DEEPEST`."""
    return RecursionError(f"{call}: the tree is more than {DEEPEST:,} levels deep, or holds itself")
