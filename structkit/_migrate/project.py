"""The files of one run, and what a name in one of them is: a class of another, or something from outside."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import libcst as cst

from structkit._migrate.code import Code, Meaning, Remark
from structkit._migrate.sources import BASES, BY_HAND, DATACLASS, DECORATORS, PARTIAL, REGISTERED, STRUCT, Source

_CLASS_VAR = re.compile(r""":?\s*["']?(\w+\.)*ClassVar\b""")


class Maker(NamedTuple):
    """A decorator, or a statement, that makes a class a tree or a dataclass.

    Attributes:
        node: the decorator, or the statement after the class.
        name: what is called, in full.
        arguments: what it is called with, without the class.
    """

    node: cst.CSTNode
    name: str
    arguments: tuple[cst.Arg, ...] = ()


class Class:
    """A class statement.

    Attributes:
        bases: for each positional base its node and what it is: a class of the project, a dotted name, or None.
        makers: its decorators, and statements below it, that make it a tree or a dataclass.
        source: what makes it a tree, None for other classes.
        undecorated: whether it is no tree, and becomes one with its base.
        left: why it stays as it is.
        statics: its own fields, by name: whether they are static.
    """

    def __init__(self, code: Code, node: cst.ClassDef, name: str):
        self.code, self.node, self.name = code, node, name
        self.bases: list[tuple[cst.Arg, Class | str | None]] = []
        self.makers: list[Maker] = []
        self.source: Source | None = None
        self.undecorated = False
        self.left: list[Remark] = []
        self.statics: dict[str, bool] = {}

    @property
    def where(self) -> str:
        """The file and line, for messages about other classes."""
        return f"{self.code.path}:{self.code.line(self.node.name)}"

    def bound(self) -> dict[str, cst.CSTNode]:
        """The names that its body binds, in its `if`s too, each with the last statement or target that does so."""
        found: dict[str, cst.CSTNode] = {}
        waiting: list[cst.CSTNode] = [self.node.body]
        while waiting:
            node = waiting.pop()
            if isinstance(node, (cst.FunctionDef, cst.ClassDef)):
                found[node.name.value] = node
            elif isinstance(node, (cst.AnnAssign, cst.AssignTarget)) and isinstance(node.target, cst.Name):
                found[node.target.value] = node
            else:
                waiting.extend(reversed(node.children))
        return found

    def annotated(self) -> dict[str, cst.AnnAssign]:
        """The names that its body annotates, but for those of the class itself."""
        found = {name: node for name, node in self.bound().items() if isinstance(node, cst.AnnAssign)}
        return {name: node for name, node in found.items() if not _CLASS_VAR.match(self.code.source(node.annotation))}

    def leave(self, node: cst.CSTNode, text: str) -> None:
        """Keep the class as it is, for a reason that stands at a node."""
        self.left.append(Remark(self.code.line(node), True, f"{self.node.name.value} stays as it is: {text}"))

    def parents(self) -> list[Class]:
        """The bases that are classes of the project."""
        return [base for _, base in self.bases if isinstance(base, Class)]

    def ancestors(self) -> list[Class]:
        """The classes of the project that it inherits from, nearest first."""
        found: dict[Class, None] = {}
        waiting = self.parents()
        while waiting:
            base = waiting.pop(0)
            if base not in found:
                found[base] = None
                waiting.extend(base.parents())
        return list(found)

    def outside(self) -> list[tuple[Class, str | None]]:
        """The bases that are no classes of the project, its own and those of its ancestors, with who has them."""
        owners = [self, *self.ancestors()]
        return [(owner, base) for owner in owners for _, base in owner.bases if not isinstance(base, Class)]

    def is_struct(self) -> bool:
        """Whether it inherits from `Struct` already."""
        return any(base == STRUCT for _, base in self.outside())

    def frozen(self) -> bool:
        """Whether its objects refuse assignment; an option that is no literal counts as the default."""
        arguments = [*self.options(), *self.node.keywords]
        given = {key.value: self.code.source(arg.value) for arg in arguments if (key := arg.keyword) is not None}
        default = self.source is None or self.source.frozen
        return {"True": True, "False": False}.get(given.get("frozen", ""), default)

    def options(self) -> list[cst.Arg]:
        """The arguments of its decorators that say what kind of dataclass it is."""
        return [arg for m in self.makers if DECORATORS.get(m.name) not in (REGISTERED, BY_HAND) for arg in m.arguments]


class Project:
    """The files that are rewritten together."""

    def __init__(self, codes: Iterable[Code]):
        self.codes = list(codes)
        self._files: dict[str, list[tuple[tuple[str, ...], int, Code]]] = defaultdict(list)
        self._classes: dict[tuple[Code, str], list[Class]] = defaultdict(list)
        for code in self.codes:
            parts, shortest = _module_name(code.path)
            self._files[parts[-1]].append((parts, shortest, code))
            for node in code.nodes:
                if isinstance(node, cst.ClassDef):
                    for meaning in code.meanings(node.name) or {Meaning(node.name.value, False)}:
                        self._classes[code, meaning.dotted].append(Class(code, node, meaning.dotted))
        self.classes = [cls for found in self._classes.values() for cls in found]
        for cls in self.classes:
            cls.bases = [(arg, self.resolve(cls.code, arg.value)) for arg in cls.node.bases]
            cls.makers = [maker for each in cls.node.decorators if (maker := self._maker(cls.code, each)) is not None]
        for code in self.codes:
            self._find_registrations(code)

    def resolve(self, code: Code, node: cst.CSTNode) -> Class | str | None:
        """What a name in a file is: a class of the project, the dotted name of something outside, or None."""
        found = {self._meant(code, meaning, ()) for meaning in code.meanings(node)}
        return found.pop() if len(found) == 1 else None

    def candidates(self, code: Code, node: cst.CSTNode) -> set[Class | str | None]:
        """All that a name may be, where its assignments differ."""
        return {self._meant(code, meaning, ()) for meaning in code.meanings(node)}

    def called(self, code: Code, node: cst.CSTNode) -> str | None:
        """The dotted name of what a call calls, None for other nodes and for functions of the project."""
        found = self.resolve(code, node.func) if isinstance(node, cst.Call) else None
        return found if isinstance(found, str) else None

    def imported_file(self, code: Code, node: cst.ImportFrom) -> Code | None:
        """The file of the project that an import in another one reads from."""
        folder = _absolute(code.path).parents[len(node.relative) - 1] if node.relative else None
        name = code.source(node.module) if node.module is not None else ""
        return self._file(code, tuple(name.split(".")) if name else (), folder)

    def _meant(self, code: Code, meaning: Meaning, seen: tuple[object, ...]) -> Class | str | None:
        if (code, meaning) in seen:
            return None
        seen = (*seen, (code, meaning))
        if not meaning.imported:
            return self._in_file(code, meaning.dotted)
        if meaning.dotted.startswith("builtins."):
            return meaning.dotted
        dotted, folder = meaning.dotted.lstrip("."), None
        if level := len(meaning.dotted) - len(dotted):
            folder = _absolute(code.path).parents[level - 1]
        parts = tuple(dotted.split(".")) if dotted else ()
        for length in range(len(parts), -1 if folder else 0, -1):
            file = self._file(code, parts[:length], folder)
            if file is not None and length < len(parts):
                return self._in_module(file, parts[length:], seen)
        return dotted if folder is None else None

    def _in_file(self, code: Code, name: str) -> Class | None:
        found = self._classes.get((code, name), [])
        return found[0] if len(found) == 1 else None

    def _in_module(self, code: Code, parts: tuple[str, ...], seen: tuple[object, ...]) -> Class | str | None:
        """What a dotted name is that another file reads from this one."""
        name = ".".join(parts)
        found = {self._meant(code, meaning, seen) for meaning in code.member(name)}
        if not found:
            for node in code.nodes:
                if isinstance(node, cst.ImportFrom) and isinstance(node.names, cst.ImportStar):
                    origin = "." * len(node.relative) + (code.source(node.module) if node.module else "")
                    joined = origin + ("" if origin.endswith(".") else ".") + name
                    found.add(self._meant(code, Meaning(joined, True), seen))
        found.discard(None)
        return found.pop() if len(found) == 1 else None

    def _file(self, code: Code, parts: tuple[str, ...], folder: Path | None) -> Code | None:
        """The file of a module: by its path from a folder, or by its absolute name."""
        if folder is not None:
            parts = (*folder.parts[1:], *parts)
        if not parts:
            return None
        found = [
            (path, other)
            for path, shortest, other in self._files[parts[-1]]
            if (path == parts if folder is not None else len(parts) >= shortest and path[-len(parts) :] == parts)
        ]
        if len(found) > 1:
            own = _absolute(code.path).parts[1:]
            found = [(path, other) for path, other in found if own[: len(path) - len(parts)] == path[: -len(parts)]]
        return found[0][1] if len(found) == 1 else None

    def _maker(self, code: Code, decorator: cst.Decorator) -> Maker | None:
        """What a decorator does, if that makes a class a tree or a dataclass."""
        call = decorator.decorator
        arguments = tuple(call.args) if isinstance(call, cst.Call) else ()
        name = self.resolve(code, call.func if isinstance(call, cst.Call) else call)
        if name == PARTIAL and arguments:
            name, arguments = self.resolve(code, arguments[0].value), arguments[1:]
        if isinstance(name, str) and (name in DECORATORS or name == DATACLASS):
            return Maker(decorator, name, arguments)
        return None

    def _find_registrations(self, code: Code) -> None:
        """Find `register_dataclass(A, ...)` and the like as statements beside their classes."""
        for node in code.nodes:
            if not isinstance(node, cst.Expr) or not isinstance(node.value, cst.Call) or not node.value.args:
                continue
            name = self.called(code, node.value)
            if name is None or DECORATORS.get(name) not in (REGISTERED, BY_HAND):
                continue
            cls = self.resolve(code, node.value.args[0].value)
            line = code.parent(node)
            if isinstance(cls, Class) and cls.code is code and code.parent(line) is code.parent(cls.node):
                if code.edits.alone(code.span(line)):
                    cls.makers.append(Maker(line, name, tuple(node.value.args[1:])))

    def find_sources(self) -> None:
        """Say for each class what makes it a tree."""
        for cls in self.classes:
            made = [DECORATORS[maker.name] for maker in cls.makers if maker.name in DECORATORS]
            based = [BASES[base] for _, base in cls.outside() if base in BASES]
            cls.source = next(iter([*made, *based]), None)
        for cls in self.classes:
            decorated = [base.source for base in cls.ancestors() if base.source is not None]
            if cls.source is None and decorated and not cls.is_struct():
                cls.source, cls.undecorated = decorated[0], True


def _absolute(path: Path) -> Path:
    return path.absolute()


def _module_name(path: Path) -> tuple[tuple[str, ...], int]:
    """The parts of a file's path as a dotted name has them, and how many the shortest name of the module has."""
    path = _absolute(path)
    folder, shortest = path.parent, 1
    if path.stem == "__init__":
        path, folder, shortest = path.parent, path.parent.parent, 1
    parts = path.with_suffix("").parts[1:] if path.suffix == ".py" else path.parts[1:]
    while (folder / "__init__.py").is_file():
        folder, shortest = folder.parent, shortest + 1
    return parts, shortest
