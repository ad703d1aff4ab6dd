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
from typing import Annotated, Any, ClassVar, Final, TypeVar, Union

from structkit._bridges import GENERIC_ALIASES, alias_value, lazy_annotations, namespace_texts

_T = TypeVar("_T")
_Names = typing.Mapping[str, Any]


class StaticMarker:
    """The metadata that `Static[T]` puts into `Annotated`."""

    def __repr__(self) -> str:
        return "static"


Static = Annotated[_T, StaticMarker()]
"""`Static[T]` annotates a field of type `T` that is kept in the tree structure, like `static()`."""

# What `jax_dataclasses.Static[T]` puts there.
_JAX_DATACLASSES = sys.intern("__jax_dataclasses_static_field__")

FIELD, STATIC, CLASSVAR, INITVAR, KW_ONLY = "field", "static", "classvar", "initvar", "kw_only"


def annotation_kinds(namespace: dict[str, Any]) -> dict[str, tuple[Any, str]]:
    """The annotations of what a class body left behind: name -> (annotation, kind), in order."""
    # Eager annotations are a dict in the namespace; lazy ones (Python 3.14) have to be asked for.
    annotations: dict[str, Any] = namespace.get("__annotations__") or lazy_annotations(namespace)
    # A name in a forward reference is not defined yet (Python 3.14): what is defined is told by its text.
    forward = {name for name, annotation in annotations.items() if isinstance(annotation, typing.ForwardRef)}
    texts = namespace_texts(namespace) if forward else {}
    known = {**annotations, **{name: texts[name] for name in forward & texts.keys()}}
    return {name: (annotation, _kind(known[name], namespace)) for name, annotation in annotations.items()}


def names_around(cls: type[Any]) -> typing.Mapping[str, Any]:
    """The names that the body of a class sees, for as long as the functions around it run."""
    body = {"__qualname__": cls.__qualname__, "__module__": cls.__module__}
    return collections.ChainMap(*[dict(names) for names in _scopes(body)])


def _scopes(body: _Names) -> list[_Names]:
    """The names in the functions that are defining a class, innermost first; those of its module; the builtins."""
    # A list, not a generator: a generator that is left half-way would keep the frame, and the frame all it holds.
    scopes: list[_Names] = []
    qualname, module_name = body.get("__qualname__", ""), body.get("__module__", "builtins")
    module = vars(sys.modules[module_name]) if module_name in sys.modules else None
    frame: types.FrameType | None = sys._getframe(1)
    while frame is not None and (".<locals>." in qualname or module is None):
        if frame.f_globals.get("__name__") == module_name:
            # Code that `exec` runs has a module in its frame only.
            module = module or frame.f_globals
            if qualname.startswith(f"{frame.f_code.co_qualname}.<locals>."):
                scopes.append(frame.f_locals)
        frame = frame.f_back
    return [*scopes, module or {}, vars(builtins)]


def _resolve(dotted: str, body: _Names) -> Any:
    """What a name, or an attribute of one, is in a class body; None where it is not known."""
    head, *attributes = dotted.strip().split(".")
    found = next((names[head] for names in (body, *_scopes(body)) if head in names), None)
    for attribute in attributes:
        found = getattr(found, attribute, None)
    return found


def _kind(annotation: Any, body: _Names) -> str:
    if annotation is dataclasses.InitVar or isinstance(annotation, dataclasses.InitVar):
        return INITVAR
    if isinstance(annotation, type):
        return FIELD
    if isinstance(annotation, str):
        return _kind_of_text(annotation, body)
    if isinstance(annotation, typing.ForwardRef):
        return _kind_of_text(annotation.__forward_arg__, body)
    if annotation is dataclasses.KW_ONLY:
        return KW_ONLY
    origin = typing.get_origin(annotation)
    if annotation is ClassVar or origin is ClassVar:
        return CLASSVAR
    for alias in (annotation, origin):
        if isinstance(alias, GENERIC_ALIASES):
            try:
                return _kind(alias_value(alias), body)
            except NameError:
                # Before 3.14, `type Size = Static[Later]` cannot be looked into before `Later` exists.
                return FIELD
    if origin is Annotated:
        if any(isinstance(note, StaticMarker) or note is _JAX_DATACLASSES for note in annotation.__metadata__):
            return STATIC
        return _kind(annotation.__origin__, body)
    if origin in (Union, types.UnionType, Final):
        return _kind_of_any(_kind(part, body) for part in typing.get_args(annotation))
    return FIELD


def _kind_of_any(kinds: typing.Iterable[str]) -> str:
    return next((kind for kind in kinds if kind != FIELD), FIELD)


def _kind_of_text(text: str, body: _Names) -> str:
    head, bracket, _ = text.partition("[")
    if "|" not in text and head.strip().replace(".", "").isidentifier():
        found = _resolve(head, body)
        # A name may stand for a text, but not for one with itself in it.
        kind = _kind(found, {**body, head.strip(): None} if isinstance(found, str) else body)
        # Most strings end here: parsing costs more than the rest of a class's creation.
        if kind != FIELD or not bracket or id(found) not in _CONTAINERS:
            return kind
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        return FIELD
    return _kind_of_any(_kind_of_text(part, body) for part in _parts(tree, body))


def _parts(tree: ast.expr, body: _Names) -> list[str]:
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
    found = _resolve(head, body)
    if id(found) not in _CONTAINERS:
        return [head]
    parts = tree.slice.elts if isinstance(tree.slice, ast.Tuple) else [tree.slice]
    # The others are notes, which say nothing here.
    return [ast.unparse(part) for part in (parts[:1] if found is Annotated else parts)]


# By identity: what a name resolves to may be an array, whose == is no bool.
_CONTAINERS = {id(container) for container in (Union, typing.Optional, Annotated, Final)}
