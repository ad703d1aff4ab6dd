"""What a file says about a tree: its nodes in preorder, each kind of node and of leaf once.

`tree` has an int for each node: which of `nodes` it is, or `-1 - i` for a leaf of the kind `leaves[i]`. So a hundred
thousand leaves take no objects of their own, and no depth is too deep.

    ["none"]  ["list", n]  ["tuple", n]  ["dict", keys] or ["dict", keys, texts]  ["other", class, texts]
    ["named", class, names]  ["struct", class, names of data, {name: static}]
    [origin, dtype, shape] and for random keys the name of their implementation

An origin is `jax`, `weak` (of JAX, with a weak type), `numpy` (an array), `scalar` (one of numpy), `key`, `python`.
"""

from __future__ import annotations

import functools
import json
import math
import operator
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import jax
import jax.core
import numpy as np

from structkit._core.registry import node_of
from structkit._trees.nodes import DATACLASS, DICT, LEAF, NAMED_TUPLE, SEQUENCE, StructKind, flattened, kind_of
from structkit._trees.values import is_key
from structkit.state import _codec, _dtypes, _names
from structkit.state._dtypes import Storage

JAX, WEAK, NUMPY, SCALAR, KEY, PYTHON = "jax", "weak", "numpy", "scalar", "key", "python"
ROOT = "root"
"""The name of a leaf that is the whole tree."""

_LARGEST = 2**63


class Refused(Exception):
    """A node or leaf that no file can hold; what it is, and the cure."""

    def __init__(self, what: str, cure: str):
        self.what, self.cure = what, cure


class Schema(NamedTuple):
    """The structure of a tree, without what its leaves hold.

    Attributes:
        nodes: the kinds of nodes.
        leaves: the kinds of leaves.
        tree: the nodes in preorder.
    """

    nodes: list[Any]
    leaves: list[Any]
    tree: list[int]

    def text(self) -> str:
        """The schema as JSON."""
        return json.dumps(self._asdict(), separators=(",", ":"))

    def walk(self, limit: float = math.inf) -> Iterator[tuple[int, str]]:
        """Each node's int in `tree` with its path, in preorder, as `jax.tree_util.keystr` writes it.

        Raises:
            ValueError: the paths have more than `limit` letters, as only those of a damaged file have.
        """
        texts = [_texts(entry) for entry in self.nodes]
        prefix, parts, letters = "", iter([""]), 0
        above: list[tuple[str, Iterator[str]]] = []
        for code in self.tree:
            while (part := next(parts, None)) is None:
                prefix, parts = above.pop()
            letters += len(prefix) + len(part)
            if letters > limit:
                raise ValueError("the paths are longer than the file")
            path = prefix + part
            yield code, path
            if code >= 0:
                above.append((prefix, parts))
                prefix, parts = path, iter(texts[code]())

    def leaf_paths(self, limit: float = math.inf) -> list[str]:
        """The path of each leaf."""
        if self.tree and self.tree[0] < 0:
            return [ROOT]
        return [path for code, path in self.walk(limit) if code < 0]

    def statics(self) -> Iterator[tuple[str, Any]]:
        """The path and the code of each static value."""
        held = [entry[3] if entry[0] == "struct" else {} for entry in self.nodes]
        if any(held):
            for code, path in self.walk():
                if code >= 0:
                    for name, static in held[code].items():
                        yield f"{path}.{name}", static

    def storages(self) -> list[Storage]:
        """How each kind of leaf is kept."""
        return [storage(leaf) for leaf in self.leaves]

    def ends(self) -> list[int]:
        """For each node in preorder the place after the last one below it.

        Raises:
            ValueError: the tree is no tree.
        """
        tree, counts = self.tree, [count(entry) for entry in self.nodes]
        ends = [0] * len(tree)
        for i in range(len(tree) - 1, -1, -1):
            end = i + 1
            if tree[i] >= 0:
                for _ in range(counts[tree[i]]):
                    # Past the end this is an IndexError, however many children are claimed.
                    end = ends[end]
            ends[i] = end
        if not tree or ends[0] != len(tree):
            raise ValueError("the tree has nodes that belong to nothing")
        return ends


def _texts(entry: Any) -> Callable[[], Iterable[str]]:
    """What makes the key paths of the children."""
    kind = entry[0]
    if kind in ("list", "tuple"):
        return lambda: map("[{}]".format, range(entry[1]))
    if kind == "dict":
        texts = entry[2] if len(entry) > 2 else [f"[{_codec.decoded(key)!r}]" for key in entry[1]]
    elif kind in ("named", "struct"):
        texts = [f".{name}" for name in entry[2]]
    else:
        texts = entry[2] if kind == "other" else []
    return lambda: texts


def count(entry: Any) -> int:
    """How many children a node has."""
    kind = entry[0]
    if kind in ("list", "tuple"):
        return operator.index(entry[1])
    return len(entry[1]) if kind == "dict" else 0 if kind == "none" else len(entry[2])


def storage(leaf: Any) -> Storage:
    """How a leaf of this kind is kept."""
    origin, dtype, shape = leaf[:3]
    if origin == KEY:
        return _dtypes.storage("uint32", tuple(shape))
    if origin != PYTHON:
        return _dtypes.storage(dtype, tuple(shape))
    if shape or dtype in ("str", "bytes"):
        return _dtypes.storage("uint8", tuple(shape))
    return _dtypes.storage(_NUMBERS[dtype], ())


# What a number of Python is kept as.
_NUMBERS = {"bool": "bool", "int": "int64", "float": "float64", "complex": "complex128"}


class Described(NamedTuple):
    """A tree as its schema and its leaves."""

    schema: Schema
    leaves: list[Any]


def describe(tree: Any) -> Described:
    """The schema of a tree, and its leaves.

    Raises:
        RefusedAt: there is something that no file can hold.
    """
    walk = _Walk()
    try:
        walk.visit(tree)
    except Refused as refused:
        raise RefusedAt(walk.path(), refused.what, refused.cure) from None
    except RecursionError:
        raise RefusedAt(walk.path()[:200], "is nested too deeply", "flatten the tree") from None
    return Described(Schema(walk.nodes, walk.leaves, walk.tree), walk.found)


class RefusedAt(Exception):
    """The same with the path of the place."""

    def __init__(self, path: str, what: str, cure: str):
        self.path, self.what, self.cure = path, what, cure


class _Walk:
    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.leaves: list[Any] = []
        self.tree: list[int] = []
        self.found: list[Any] = []
        self._ids: dict[Any, int] = {}
        self._texts: dict[str, int] = {}

    def visit(self, node: Any) -> None:
        """Append a node and all below it."""
        key_of = _KEYS.get(type(node), _UNKNOWN)
        if key_of is _UNKNOWN:
            key_of = _leaf_key(node)
        if key_of is not None:
            key = key_of(node)
            i = self._ids.get(key)
            if i is None:
                # Not before: a leaf that is refused has no number, and its path is found by its place.
                i = self._ids[key] = self._leaf(_leaf_entry(key, node))
            self.tree.append(-1 - i)
            self.found.append(node)
            return
        i, children = self._node(node)
        self.tree.append(i)
        for child in children:
            self.visit(child)

    def path(self) -> str:
        """The path of the node that comes next, which was refused."""
        return [path for _, path in Schema(self.nodes, self.leaves, [*self.tree, -1]).walk()][-1]

    def _leaf(self, entry: Any) -> int:
        self.leaves.append(entry)
        return len(self.leaves) - 1

    def _node(self, node: Any) -> tuple[int, Iterable[Any]]:
        key, entry, children = _node_parts(node)
        i = self._ids.get(key) if key is not None else None
        if i is None:
            made = entry()
            # By what is written: equal ones are written once, here and in the file that this is compared with.
            i = self._texts.setdefault(json.dumps(made), len(self.nodes))
            if i == len(self.nodes):
                self.nodes.append(made)
            if key is not None:
                self._ids[key] = i
        return i, children


def _node_parts(node: Any) -> tuple[Any, Callable[[], Any], Iterable[Any]]:
    """What tells the kind of a node, what makes its entry, and its children."""
    kind = kind_of(node)
    if isinstance(kind, StructKind):
        children, aux = node.__flat__
        return _hashable((type(node), aux)), lambda: _struct_entry(node, kind.plan), tuple(children)
    if kind is SEQUENCE:
        name = "list" if type(node) is list else "tuple"
        return (name, len(node)), lambda: [name, len(node)], node
    if kind is DICT:
        try:
            keys = kind.keys(node)
        except (TypeError, ValueError):
            raise Refused("is a dict whose keys have no order", "let all keys be texts, or all numbers") from None
        return None, lambda: _dict_entry(keys), [node[key] for key in keys]
    if node is None:
        return "none", lambda: ["none"], ()
    if kind is DATACLASS:
        record: Any = node_of(type(node))
        return None, lambda: _struct_entry(node, record), [getattr(node, name) for name in record.data_names]
    if kind is NAMED_TUPLE:
        cls: Any = type(node)
        return cls, lambda: ["named", _names.recorded(cls), [*cls._fields]], tuple(node)
    keys, others, _ = flattened(node)
    return None, lambda: ["other", _names.recorded(type(node)), [*map(str, keys)]], others


def _hashable(key: Any) -> Any:
    try:
        hash(key)
    except TypeError:
        return None
    return key


def _struct_entry(node: Any, record: Any) -> list[Any]:
    statics = {name: _codec.encoded(getattr(node, name)) for name in record.static_names}
    return ["struct", _names.recorded(type(node)), [*record.data_names], statics]


def _dict_entry(keys: list[Any]) -> list[Any]:
    for key in keys:
        if not _is_plain(key):
            cure = "let the keys be texts, numbers or tuples of them"
            raise Refused(f"is a dict with a key of the type {type(key).__qualname__}", cure)
    texts = [f"[{key!r}]" for key in keys]
    codes = [*map(_codec.encoded, keys)]
    # Which letters a repr escapes depends on the version of Python.
    return ["dict", codes] if all([text.isascii() for text in texts]) else ["dict", codes, texts]


def _is_plain(key: Any) -> bool:
    return all(map(_is_plain, key)) if type(key) is tuple else type(key) in _PLAIN_KEYS


_PLAIN_KEYS = frozenset({str, int, bool, float, bytes, type(None)})


def _array_key(leaf: Any) -> Any:
    shape = leaf.shape
    # Of arrays with axes it says nothing that one could keep.
    return leaf.dtype, shape, not shape and leaf.weak_type


_UNKNOWN: Any = object()

# By the class of a leaf: what tells its kind. None for the classes of nodes.
_KEYS: dict[type, Callable[[Any], Any] | None] = {
    **dict.fromkeys([list, tuple, dict, type(None)]),
    bool: lambda leaf: bool,
    float: lambda leaf: float,
    complex: lambda leaf: complex,
    int: lambda leaf: (int, 0 if -_LARGEST <= leaf < _LARGEST else leaf.bit_length() // 8 + 1),
    str: lambda leaf: (str, len(text_bytes(leaf))),
    bytes: lambda leaf: (bytes, len(leaf)),
    np.ndarray: lambda leaf: (np.ndarray, leaf.dtype, leaf.shape),
    np.memmap: lambda leaf: (np.ndarray, leaf.dtype, leaf.shape),
    jax.ShapeDtypeStruct: _array_key,
}


def text_bytes(text: str) -> bytes:
    """The bytes of a text, also of one with half of a surrogate pair in it."""
    return text.encode("utf-8", "surrogatepass")


def _leaf_key(node: Any) -> Callable[[Any], Any] | None:
    """What tells the kind of a leaf of a class that was not met before; None for a node.

    Raises:
        Refused: it is a leaf that no file can hold.
    """
    if isinstance(node, jax.core.Tracer):
        raise Refused("is a tracer, which has no value yet", "save outside of jit")
    if isinstance(node, jax.Array):
        if is_key(node.dtype):
            return _key_key
        return _KEYS.setdefault(type(node), _array_key)
    if isinstance(node, np.generic):
        return _scalar_key
    if isinstance(node, np.ndarray) and node.dtype == jax.dtypes.float0:
        # The gradient of an int has a class of JAX's own.
        return _KEYS[np.ndarray]
    kind = kind_of(node)
    if kind is not LEAF:
        return _KEYS.setdefault(type(node), None) if isinstance(kind, StructKind) else None
    what = f"is a leaf of the type {type(node).__qualname__}, which no file can hold"
    raise Refused(what, "make it an array or a number, or a static field")


def _key_key(leaf: Any) -> Any:
    return leaf.dtype, leaf.shape, KEY


def _scalar_key(leaf: Any) -> Any:
    return np.generic, leaf.dtype, ()


def _leaf_entry(key: Any, leaf: Any) -> list[Any]:
    cls = type(leaf)
    if cls in _PYTHON_NAMES:
        return [PYTHON, _PYTHON_NAMES[cls], [key[1]] if type(key) is tuple and (key[1] or cls is not int) else []]
    if is_key(leaf.dtype):
        return _key_entry(leaf)
    name = _dtypes.name_of(_dtypes.dtype_in_file(leaf))
    if name is None:
        raise Refused(f"is an array of {leaf.dtype}, which no file can hold", "make it an array of numbers")
    origin = {np.ndarray: NUMPY, np.generic: SCALAR}.get(key[0], WEAK if key[2] is True else JAX)
    return [origin, name, [*map(operator.index, leaf.shape)]]


_PYTHON_NAMES: dict[type, str] = {cls: cls.__name__ for cls in (bool, int, float, complex, str, bytes)}


def _key_entry(leaf: Any) -> list[Any]:
    implementation, words = _key_parts(leaf.dtype, tuple(leaf.shape))
    if type(implementation) is not str:
        raise Refused("is a random key of an own implementation", "save its jax.random.key_data")
    return [KEY, str(leaf.dtype), [*map(operator.index, words)], implementation]


@functools.lru_cache(maxsize=64)
def _key_parts(dtype: Any, shape: tuple[int, ...]) -> tuple[Any, tuple[int, ...]]:
    """The implementation of random keys, and the shape of their words."""
    found: list[Any] = []

    def words(keys: Any) -> Any:
        found.append(jax.random.key_impl(keys))
        return jax.random.key_data(keys)

    of: Any = jax.ShapeDtypeStruct
    # Traced: of abstract keys nothing else tells it.
    data = jax.eval_shape(words, of(shape, dtype))
    return found[0], data.shape


def read_schema(text: str) -> Schema:
    """The schema that a file has.

    Raises:
        ValueError: it is none. (Other errors too: whatever reading what is no schema ends with.)
    """
    found = _parsed(text)
    schema = Schema(found["nodes"], found["leaves"], found["tree"])
    if found.keys() != {*Schema._fields}:
        raise ValueError("the schema has other parts")
    for entry in schema.nodes:
        _check_node(entry)
    for leaf in schema.leaves:
        _check_leaf(leaf)
    if not all([type(code) is int for code in schema.tree]) or (
        schema.tree and not -len(schema.leaves) <= min(schema.tree) <= max(schema.tree) < len(schema.nodes)
    ):
        raise ValueError("the tree names kinds that are not there")
    return schema


def read_node(text: str) -> Any:
    """The entry of one kind of node.

    Raises:
        ValueError: it is none. (Other errors too.)
    """
    entry = _parsed(text)
    _check_node(entry)
    return entry


def _parsed(text: str) -> Any:
    return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_distinct)


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in the schema")
    return found


def _check_node(entry: Any) -> None:
    lengths = {"none": (1,), "list": (2,), "tuple": (2,), "dict": (2, 3), "named": (3,), "other": (3,), "struct": (4,)}
    kind = entry[0]
    fits = type(entry) is list and len(entry) in lengths[kind]
    if kind in ("list", "tuple"):
        fits = fits and _is_size(entry[1])
    elif kind == "dict":
        fits = fits and type(entry[1]) is list and (len(entry) == 2 or _are_texts(entry[2], len(entry[1])))
        keys = [_codec.decoded(key) for key in entry[1]]
        # JAX sorts them, which raises where they have no order.
        fits = fits and all(map(_is_plain, keys)) and len(sorted(keys)) == len({*keys})
    elif kind != "none":
        fits = fits and type(entry[1]) is str and _are_texts(entry[2], len(entry[2]))
    if kind == "struct":
        fits = fits and type(entry[3]) is dict
    if not fits:
        raise ValueError("a kind of node is damaged")


def _are_texts(items: Any, size: int) -> bool:
    return type(items) is list and len(items) == size and all([type(item) is str for item in items])


def _is_size(number: Any) -> bool:
    return type(number) is int and number >= 0


def _check_leaf(leaf: Any) -> None:
    origin, dtype, shape = leaf[:3]
    fits = type(leaf) is list and type(dtype) is str and type(shape) is list and all(map(_is_size, shape))
    fits = fits and origin in (JAX, WEAK, NUMPY, SCALAR, KEY, PYTHON)
    if origin == KEY:
        fits = fits and len(leaf) == 4 and type(leaf[3]) is str
    elif origin == PYTHON:
        numbers = dtype in _NUMBERS and (not shape or dtype == "int") and len(shape) <= 1
        fits = fits and len(leaf) == 3 and (numbers or (dtype in ("str", "bytes") and len(shape) == 1))
    else:
        fits = fits and len(leaf) == 3 and (not shape or origin not in (WEAK, SCALAR))
        fits = fits and (origin not in (JAX, WEAK) or dtype[:1] not in _dtypes.ORDERS)
    if not fits:
        raise ValueError("a kind of leaf is damaged")
    storage(leaf)
