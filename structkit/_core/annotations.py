"""What the annotations of a class body say: which names are fields, which are static, which are neither.

An annotation may be a value, a string, a forward reference, an alias, or an `Optional[...]` of one of these. Only the
outer names of a string are resolved (`Static` in `"Static[Undefined]"`), so forward references never get in the way.
"""

from __future__ import annotations

import ast
import builtins
import collections
import dataclasses
import sys
import types
import typing
from typing import Annotated, Any, ClassVar, TypeVar, Union

from structkit._bridges import GENERIC_ALIASES, alias_value, lazy_annotations, namespace_texts

_T = TypeVar("_T")


class StaticMarker:
    """The metadata that `Static[T]` puts into `Annotated`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "static"


Static = Annotated[_T, StaticMarker()]
"""`Static[T]` annotates a field of type `T` that is kept in the tree structure, like `static()`."""

# What `jax_dataclasses.Static[T]` puts there.
_JAX_DATACLASSES = sys.intern("__jax_dataclasses_static_field__")

FIELD, STATIC, CLASSVAR, INITVAR, KW_ONLY = "field", "static", "classvar", "initvar", "kw_only"

_UNRESOLVED = object()


def annotation_kinds(namespace: dict[str, Any]) -> dict[str, tuple[Any, str]]:
    """The annotations of what a class body left behind: name -> (annotation, kind), in order."""
    # Eager annotations are a dict in the namespace; lazy ones (Python 3.14) have to be asked for.
    annotations: dict[str, Any] | None = namespace.get("__annotations__")
    if annotations is None:
        annotations = lazy_annotations(namespace)
    scope = _Scope(namespace)
    kinds = {name: (annotation, _kind(annotation, scope)) for name, annotation in annotations.items()}
    if any(isinstance(annotation, typing.ForwardRef) for annotation in annotations.values()):
        # A name in it is not defined yet (Python 3.14): what is defined is told by its text.
        for name, text in namespace_texts(namespace).items():
            if isinstance(annotations[name], typing.ForwardRef):
                kinds[name] = annotations[name], _kind_of_text(text, scope)
    return kinds


def names_around(cls: type[Any]) -> typing.Mapping[str, Any]:
    """The names that the body of a class sees, for as long as the functions around it run."""
    scope = _Scope({"__qualname__": cls.__qualname__, "__module__": cls.__module__})
    return collections.ChainMap(*[dict(names) for names in scope._scopes()])


class _Scope:
    """Names as the class body saw them: the body, the functions around it, the module, the builtins."""

    def __init__(self, namespace: dict[str, Any]):
        self.namespace = namespace
        # The qualified names of the functions around the class, innermost first.
        parts = namespace.get("__qualname__", "").split(".<locals>.")
        self.functions = [".<locals>.".join(parts[:i]) for i in range(len(parts) - 1, 0, -1)]
        self.module_name: str = namespace.get("__module__", "builtins")

    def resolve(self, dotted: str) -> Any:
        head, *attributes = dotted.strip().split(".")
        found = self._lookup(head)
        for attribute in attributes:
            found = getattr(found, attribute, _UNRESOLVED)
        return found

    def _lookup(self, name: str) -> Any:
        if name in self.namespace:
            return self.namespace[name]
        return next((names[name] for names in self._scopes() if name in names), _UNRESOLVED)

    def _scopes(self) -> list[typing.Mapping[str, Any]]:
        """The local names of the functions that are defining the class, innermost first; the module; the builtins."""
        # A list, not a generator: a generator that is left half-way would keep the frame, and the frame all it holds.
        scopes: list[typing.Mapping[str, Any]] = []
        frame: types.FrameType | None = sys._getframe(1)
        module = vars(sys.modules[self.module_name]) if self.module_name in sys.modules else None
        while frame is not None and (self.functions or module is None):
            if frame.f_globals.get("__name__") == self.module_name:
                # Code that `exec` runs has a module in its frame only.
                module = module or frame.f_globals
                if frame.f_code.co_qualname in self.functions:
                    scopes.append(frame.f_locals)
            frame = frame.f_back
        return [*scopes, module or {}, vars(builtins)]


def _kind(annotation: Any, scope: _Scope) -> str:
    if annotation is dataclasses.InitVar or isinstance(annotation, dataclasses.InitVar):
        return INITVAR
    if isinstance(annotation, type):
        return FIELD
    if isinstance(annotation, str):
        return _kind_of_text(annotation, scope)
    if isinstance(annotation, typing.ForwardRef):
        return _kind_of_text(annotation.__forward_arg__, scope)
    if annotation is dataclasses.KW_ONLY:
        return KW_ONLY
    origin = typing.get_origin(annotation)
    if annotation is ClassVar or origin is ClassVar:
        return CLASSVAR
    for alias in (annotation, origin):
        if isinstance(alias, GENERIC_ALIASES):
            try:
                return _kind(alias_value(alias), scope)
            except NameError:
                # Before 3.14, `type Size = Static[Later]` cannot be looked into before `Later` exists.
                return FIELD
    if origin is Annotated:
        if any(isinstance(note, StaticMarker) or note is _JAX_DATACLASSES for note in annotation.__metadata__):
            return STATIC
        return _kind(annotation.__origin__, scope)
    if origin is Union or origin is types.UnionType:
        return _kind_of_any(_kind(part, scope) for part in typing.get_args(annotation))
    return FIELD


def _kind_of_any(kinds: typing.Iterable[str]) -> str:
    return next((kind for kind in kinds if kind != FIELD), FIELD)


def _kind_of_text(text: str, scope: _Scope) -> str:
    head, bracket, _ = text.partition("[")
    if "|" not in text and head.strip().replace(".", "").isidentifier():
        found = scope.resolve(head)
        kind = FIELD if found is _UNRESOLVED else _kind(found, scope)
        # Most strings end here: parsing costs more than the rest of a class's creation.
        if kind != FIELD or not bracket or not _is_container(found):
            return kind
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        return FIELD
    return _kind_of_any(_kind_of_text(part, scope) for part in _parts(tree, scope))


def _parts(tree: ast.expr, scope: _Scope) -> list[str]:
    """The texts of which one may say what the whole is: the members of a union, the name before a bracket."""
    if isinstance(tree, ast.Constant) and isinstance(tree.value, str):
        return [tree.value]
    if isinstance(tree, ast.BinOp):
        # Member by member: the left part of a long union is a long union again.
        members: list[str] = []
        while isinstance(tree, ast.BinOp):
            members.append(ast.unparse(tree.right))
            tree = tree.left
        return [ast.unparse(tree), *members[::-1]]
    if not isinstance(tree, ast.Subscript):
        return []
    head = ast.unparse(tree.value)
    found = scope.resolve(head)
    if not _is_container(found):
        return [head]
    parts = tree.slice.elts if isinstance(tree.slice, ast.Tuple) else [tree.slice]
    # The others are notes, which say nothing here.
    return [ast.unparse(part) for part in (parts[:1] if found is Annotated else parts)]


def _is_container(found: Any) -> bool:
    # By identity: what a name resolves to may be an array, whose == is no bool.
    return any(found is container for container in (Union, typing.Optional, Annotated))
