"""One file: its syntax tree, the places of its nodes, what its names mean, and the edits that it will get."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import libcst as cst
from libcst.helpers import get_full_name_for_node
from libcst.metadata import (
    GlobalScope,
    MetadataWrapper,
    ParentNodeProvider,
    PositionProvider,
    QualifiedNameSource,
    Scope,
    ScopeProvider,
)

from structkit._migrate.edits import Edits, Span

_DEEPEST = 400


class Meaning(NamedTuple):
    """What a name stands for: a dotted name from an import (with dots in front where relative), or one of this file."""

    dotted: str
    imported: bool


class Remark(NamedTuple):
    """What a person must decide or look at, with its line.

    Attributes:
        left: whether the code stays as it is; otherwise it is rewritten, and what it does may differ.
        after: its line in the new text.
    """

    line: int
    left: bool
    text: str
    after: int = 1


class NotPython(Exception):
    """A file that cannot be read as Python; the text says why."""


class Code:
    """One parsed file."""

    def __init__(self, path: Path):
        self.path = path
        try:
            raw = path.read_bytes()
            _refuse_deep(raw)
            self.module = cst.parse_module(raw)
            if self.module.bytes != raw:
                raise NotPython("it cannot be written back as it was read")
            wrapper = MetadataWrapper(self.module, unsafe_skip_copy=True)
            self.module = wrapper.module
            positions = wrapper.resolve(PositionProvider)
            self._scopes = wrapper.resolve(ScopeProvider)
            self._parents = wrapper.resolve(ParentNodeProvider)
        except NotPython:
            raise
        except cst.ParserSyntaxError as error:
            raise NotPython(f"line {error.raw_line}: {error.message.splitlines()[0]}") from None
        except RecursionError:
            raise NotPython("it is nested too deeply") from None
        except OSError as error:
            raise NotPython(error.strerror or str(error)) from None
        except (UnicodeError, LookupError, SyntaxError, ValueError) as error:
            raise NotPython(str(error).splitlines()[0]) from None
        self.edits = Edits(self.module.code)
        self.remarks: list[Remark] = []
        self._positions = positions
        self.nodes = list(walked(self.module))

    def span(self, node: cst.CSTNode) -> Span:
        """Where a node stands, without its parentheses and the space around it."""
        place = self._positions[node]
        return Span(
            self.edits.offset(place.start.line, place.start.column), self.edits.offset(place.end.line, place.end.column)
        )

    def whole(self, node: cst.FunctionDef | cst.ClassDef) -> Span:
        """Where a definition stands, with its decorators."""
        return Span(min(self.span(each).start for each in (node, *node.decorators)), self.span(node).end)

    def comments(self, node: cst.CSTNode) -> list[str]:
        """The comments in a node, the one behind it too."""
        return [each.value for each in walked(node) if isinstance(each, cst.Comment)]

    def outer(self, node: cst.BaseExpression) -> Span:
        """Where an expression stands, with its own parentheses."""
        span = self.span(node)
        for _ in node.lpar:
            span = Span(self.text.rindex("(", 0, span.start), self.text.index(")", span.end) + 1)
        return span

    def line(self, node: cst.CSTNode) -> int:
        """The line that a node begins on, counted from 1."""
        return self._positions[node].start.line

    @property
    def text(self) -> str:
        """The text as it was read."""
        return self.edits.text

    def source(self, node: cst.CSTNode) -> str:
        """The text of a node."""
        return self.text[slice(*self.span(node))]

    def parent(self, node: cst.CSTNode) -> cst.CSTNode:
        """The node that a node is a part of."""
        return self._parents[node]

    def scope(self, node: cst.CSTNode) -> Scope | None:
        """The scope that a node is in."""
        return self._scopes.get(node)

    @property
    def scopes(self) -> list[Scope]:
        """All scopes, that of the module first."""
        found = dict.fromkeys(scope for scope in self._scopes.values() if scope is not None)
        return sorted(found, key=lambda scope: not isinstance(scope, GlobalScope))

    def meanings(self, node: cst.CSTNode) -> set[Meaning]:
        """What a name, a dotted name, or the name in front of `[...]` stands for, one for each assignment it has."""
        if isinstance(node, cst.Subscript):
            node = node.value
        scope = self.scope(node)
        if scope is None or get_full_name_for_node(node) is None or isinstance(node, cst.Call):
            return set()
        return self._found(scope, node)

    def member(self, name: str) -> set[Meaning]:
        """What a dotted name stands for in the scope of the module."""
        scopes = self.scopes[:1]
        return {found for scope in scopes for found in self._found(scope, name) if found.dotted != f"builtins.{name}"}

    def _found(self, scope: Scope, name: str | cst.CSTNode) -> set[Meaning]:
        found = scope.get_qualified_names_for(name)
        return {Meaning(each.name, each.source is not QualifiedNameSource.LOCAL) for each in found}

    def remark(self, node: cst.CSTNode, text: str, *, left: bool = False) -> None:
        """List something at a node's line."""
        self.remarks.append(Remark(self.line(node), left, text))


def _refuse_deep(raw: bytes) -> None:
    """Refuse more open brackets than Python reads, which overflow the stack of libcst's parser."""
    depth = 0
    for bracket in re.findall(rb"[(\[{}\])]", raw):
        depth = depth + 1 if bracket in b"([{" else max(0, depth - 1)
        if depth > _DEEPEST:
            raise NotPython("it is nested too deeply")


def walked(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """A node and all below it, in the order of the text."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(reversed(node.children))
