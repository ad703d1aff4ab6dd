"""What was saved, node by node: a file's schema, or a state dict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from structkit._core.statics import pack_statics
from structkit._trees.nodes import DATACLASS, DICT, LEAF, NAMED_TUPLE, SEQUENCE, StructKind, kind_of
from structkit.errors import StaticValueError
from structkit.state import _codec
from structkit.state._schema import Schema, count

LEAF_NODE = "leaf"


def kind_name(node: Any) -> str:
    """The kind of a node of a tree, in the words of a schema."""
    kind = kind_of(node)
    if kind is SEQUENCE:
        return "list" if type(node) is list else "tuple"
    if isinstance(kind, StructKind) or kind is DATACLASS:
        return "struct"
    named = {id(LEAF): LEAF_NODE, id(DICT): "dict", id(NAMED_TUPLE): "named"}
    return "none" if node is None else named.get(id(kind), "other")


def key_of(key: Any) -> Any:
    """A key of a dict so that 1, True and 1.0 are told apart."""
    return type(key), key


def natural_key(entry: Any) -> Any:
    """What a key path entry of another library's node is about."""
    for attribute in ("key", "name", "idx"):
        if hasattr(entry, attribute):
            return getattr(entry, attribute)
    return str(entry)


class FileSource:
    """A node of a file.

    Attributes:
        place: in the tree of the schema.
    """

    def __init__(self, schema: Schema, ends: list[int], leaf_numbers: list[int], place: int = 0):
        self._schema, self._ends, self._leaf_numbers = schema, ends, leaf_numbers
        self.place = place

    @property
    def entry(self) -> Any:
        """What the schema says of this kind of node or leaf."""
        code = self._schema.tree[self.place]
        return self._schema.nodes[code] if code >= 0 else self._schema.leaves[-1 - code]

    @property
    def kind(self) -> str:
        """The kind of node."""
        return str(self.entry[0]) if self._schema.tree[self.place] >= 0 else LEAF_NODE

    @property
    def number(self) -> int:
        """Of a leaf: which it is."""
        return self._leaf_numbers[self.place]

    def as_kind(self, kind: str) -> bool:
        """Whether it is a node of this kind."""
        return self.kind == kind

    def parts(self, kind: str) -> dict[Any, Any]:
        """The children: by name, index, key (see `key_of`), or what `other_key` gives."""
        entry, children = self.entry, self._children()
        if kind == "dict":
            return {key_of(_codec.decoded(code)): child for code, child in zip(entry[1], children)}
        return dict(zip(entry[2] if kind in ("struct", "named", "other") else range(len(children)), children))

    def _children(self) -> list[FileSource]:
        place, found = self.place + 1, []
        for _ in range(count(self.entry)):
            found.append(FileSource(self._schema, self._ends, self._leaf_numbers, place))
            place = self._ends[place]
        return found

    # Of a node of another library: by what its child is found.
    other_key = staticmethod(str)

    def statics(self, names: Any) -> dict[str, Any]:
        """The static values by name."""
        held: dict[str, Any] = self.entry[3]
        return {name: FileStatic(code) for name, code in held.items()}


class FileStatic:
    """A static value in a file."""

    def __init__(self, code: Any):
        self._code = code

    def stands_for(self, value: Any) -> bool:
        """Whether it is this value, or was not written."""
        return _codec.stands_for(self._code, value)

    def beside(self, value: Any) -> str:
        """Another value, in words as this one's."""
        code = _codec.encoded(value)
        return _codec.described(code) if _codec.is_name(code) else repr(value)

    def value(self) -> Any:
        """The value.

        Raises:
            OpaqueError: it cannot be made here.
            ValueError: it is damaged.
        """
        return _codec.decoded(self._code)

    def __str__(self) -> str:
        return _codec.described(self._code)


class DictSource:
    """A node of a state dict.

    Attributes:
        held: what is there.
    """

    def __init__(self, held: Any):
        self.held = held

    @property
    def kind(self) -> str:
        """The kind of node as far as it can be seen."""
        return kind_name(self.held)

    def as_kind(self, kind: str) -> bool:
        """Whether it can be the state of a node of this kind: structs and their like become dicts."""
        if kind in ("struct", "named", "other"):
            return isinstance(self.held, Mapping)
        return self.kind == kind

    def parts(self, kind: str) -> dict[Any, Any]:
        """The children, as for a file; of a struct its statics are among them."""
        if kind == "dict":
            return {key_of(key): DictSource(item) for key, item in self.held.items()}
        items = self.held.items() if kind in ("struct", "named", "other") else enumerate(self.held)
        return {key: DictSource(item) for key, item in items}

    other_key = staticmethod(natural_key)

    def statics(self, names: Any) -> dict[str, Any]:
        """The values that have these names."""
        return {name: DictStatic(self.held[name]) for name in names if name in self.held}


class DictStatic:
    """A static value in a state dict."""

    def __init__(self, held: Any):
        self._held = held

    def stands_for(self, value: Any) -> bool:
        """Whether it is this value, as the statics of two structs are the same."""
        if self._held is value or type(self._held) is not type(value):
            return self._held is value
        try:
            held, mine = [pack_statics("", ("static",), (one,)) for one in (self._held, value)]
        except StaticValueError:
            held, mine = self._held, value
        try:
            return bool(held == mine)
        except Exception:
            # Arrays, which no static holds, have no truth value.
            return False

    def beside(self, value: Any) -> str:
        """Another value, in words as this one's."""
        return repr(value)

    def __str__(self) -> str:
        return repr(self._held)
