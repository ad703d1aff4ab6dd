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

_CONTAINERS = (Union, typing.Optional, Annotated)
_UNRESOLVED = object()


def annotation_kinds(namespace: dict[str, Any]) -> dict[str, tuple[Any, str]]:
    """The annotations of a class body: name -> (annotation, kind), in order.

    Args:
        namespace: what the class body left behind. Kinds are `"field"`, `"static"`, `"classvar"`, `"initvar"` and
            `"kw_only"`.
    """
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
    if isinstance(annotation, type):
        return INITVAR if annotation is dataclasses.InitVar else FIELD
    if isinstance(annotation, str):
        return _kind_of_text(annotation, scope)
    if isinstance(annotation, typing.ForwardRef):
        return _kind_of_text(annotation.__forward_arg__, scope)
    if isinstance(annotation, dataclasses.InitVar):
        return INITVAR
    if isinstance(annotation, GENERIC_ALIASES):
        return _kind_of_alias(annotation, scope)
    if annotation is ClassVar:
        return CLASSVAR
    if annotation is dataclasses.KW_ONLY:
        return KW_ONLY
    origin = typing.get_origin(annotation)
    if origin is None:
        return FIELD
    if origin is ClassVar:
        return CLASSVAR
    if isinstance(origin, GENERIC_ALIASES):
        return _kind_of_alias(origin, scope)
    if origin is Annotated:
        if any(isinstance(note, StaticMarker) or note is _JAX_DATACLASSES for note in annotation.__metadata__):
            return STATIC
        return _kind(annotation.__origin__, scope)
    if origin is Union or origin is types.UnionType:
        return _kind_of_any(_kind(part, scope) for part in typing.get_args(annotation))
    return FIELD


def _kind_of_alias(alias: Any, scope: _Scope) -> str:
    try:
        value = alias_value(alias)
    except NameError:
        # Before 3.14, `type Size = Static[Later]` cannot be looked into before `Later` exists.
        return FIELD
    return _kind(value, scope)


def _is_container(found: Any) -> bool:
    # By identity: what a name resolves to may be an array, whose == is no bool.
    return any(found is container for container in _CONTAINERS)


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
    return _kind_of_tree(tree, scope)


def _kind_of_tree(tree: ast.expr, scope: _Scope) -> str:
    if isinstance(tree, ast.BinOp):
        return _kind_of_any((_kind_of_tree(tree.left, scope), _kind_of_tree(tree.right, scope)))
    if isinstance(tree, ast.Constant) and isinstance(tree.value, str):
        return _kind_of_text(tree.value, scope)
    if isinstance(tree, ast.Subscript):
        head = _kind_of_tree(tree.value, scope)
        if head != FIELD or not _is_container(scope.resolve(ast.unparse(tree.value))):
            return head
        parts = tree.slice.elts if isinstance(tree.slice, ast.Tuple) else [tree.slice]
        if scope.resolve(ast.unparse(tree.value)) is Annotated:
            # The others are notes, which say nothing here.
            parts = parts[:1]
        return _kind_of_any(_kind_of_tree(part, scope) for part in parts)
    if isinstance(tree, ast.Name | ast.Attribute):
        found = scope.resolve(ast.unparse(tree))
        return FIELD if found is _UNRESOLVED else _kind(found, scope)
    return FIELD
