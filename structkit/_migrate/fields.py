"""The fields of a class: `static`, `field` and `derived` in the place of what other libraries write."""

from __future__ import annotations

from typing import NamedTuple

import libcst as cst

from structkit._migrate.edits import Span, ours
from structkit._migrate.project import Class, Project
from structkit._migrate.sources import ABSTRACT, FIELDS, STATIC_ANNOTATION, STRUCT_STATIC, UNHASHABLE


class Field(NamedTuple):
    """An annotated name in a class body.

    Attributes:
        function: the dotted name of the field function that its value calls, or None.
        options: the arguments of that call, by name.
        static: whether it is static: True, False, or None where nothing is said here.
    """

    node: cst.AnnAssign
    name: str
    function: str | None
    options: dict[str, cst.Arg]
    static: bool | None


def own_fields(project: Project, cls: Class) -> list[Field]:
    """The annotated names in the body of a class, without those of the class itself."""
    found = []
    for name, node in cls.annotated().items():
        function = project.called(cls.code, node.value) if node.value is not None else None
        function = function if function in FIELDS or function in STRUCT_STATIC else None
        options = _options(node.value, function) if function and isinstance(node.value, cst.Call) else {}
        static = _is_static(project, cls, node, function, options)
        found.append(Field(node, name, function, options, static))
    return found


def _options(call: cst.Call, function: str) -> dict[str, cst.Arg]:
    spec = FIELDS.get(function)
    first = spec.static if spec is not None and spec.negated else None
    return {
        arg.keyword.value
        if arg.keyword is not None
        else (arg.star or (first if i == 0 else None) or f"argument {i}"): arg
        for i, arg in enumerate(call.args)
    }


def _is_static(
    project: Project, cls: Class, node: cst.AnnAssign, function: str | None, options: dict[str, cst.Arg]
) -> bool | None:
    annotation = node.annotation.annotation
    if project.resolve(cls.code, annotation) in (STATIC_ANNOTATION, "structkit.Static") or function in STRUCT_STATIC:
        return True
    spec = FIELDS.get(function or "")
    if spec is None:
        return None
    if spec.always or _metadata_static(options):
        return True
    given = options.get(spec.static or "")
    said = _literal(given)
    return None if said is None else said is not spec.negated


def _literal(arg: cst.Arg | None) -> bool | None:
    value = arg.value if arg is not None else None
    return {"True": True, "False": False}.get(value.value) if isinstance(value, cst.Name) else None


def _metadata_static(options: dict[str, cst.Arg]) -> int | None:
    """How many entries the metadata of a field has when one of them is that it is static; None otherwise."""
    value = options["metadata"].value if "metadata" in options else None
    entries: dict[str, cst.BaseExpression] = {}
    if isinstance(value, cst.Dict):
        for element in value.elements:
            if isinstance(element, cst.DictElement) and isinstance(element.key, cst.SimpleString):
                entries[str(element.key.evaluated_value)] = element.value
    elif isinstance(value, cst.Call) and isinstance(value.func, cst.Name) and value.func.value == "dict":
        entries = {arg.keyword.value: arg.value for arg in value.args if arg.keyword is not None}
    static, node = entries.get("static"), entries.get("pytree_node")
    said = (isinstance(static, cst.Name) and static.value == "True") or (
        isinstance(node, cst.Name) and node.value == "False"
    )
    return len(entries) if said else None


def check_fields(project: Project, cls: Class) -> None:
    """List what keeps a class as it is, or must be looked at, in its fields; nothing is rewritten yet."""
    for f in own_fields(project, cls):
        annotation = f.node.annotation.annotation
        cls.statics[f.name] = bool(f.static)
        for abstract in _abstract(project, cls, f.node):
            kind = abstract.removeprefix("equinox.")
            cls.leave(f.node, f"{f.name} is an {kind}; write {ABSTRACT[abstract]}")
        if isinstance(annotation, cst.SimpleString) and "Static[" in annotation.value:
            cls.leave(f.node, f"the annotation of {f.name} is a string with Static in it; write it without quotes")
        if f.function is not None and f.function in FIELDS and ("*" in f.options or "**" in f.options):
            if f.function != "dataclasses.field":
                cls.leave(f.node, f"the options of {f.name} are given with *; write them out")
    _check_shadowed(project, cls)


def _abstract(project: Project, cls: Class, node: cst.AnnAssign) -> set[str]:
    """The kinds of abstract fields that an annotation may be."""
    return {str(each) for each in project.candidates(cls.code, node.annotation.annotation)} & set(ABSTRACT)


def _check_shadowed(project: Project, cls: Class) -> None:
    """Leave a class whose body has something else under the name of a field of its ancestors."""
    bases = [base for base in reversed(cls.ancestors()) if base.source is not None]
    inherited = {
        name: base for base in bases for name, node in base.annotated().items() if not _abstract(project, base, node)
    }
    for name, node in cls.bound().items():
        if name in inherited and not isinstance(node, cst.AnnAssign):
            base = inherited[name].node.name.value
            cls.leave(node, f"{name} is a field of {base} and no field here; annotate it, or rename one of the two")


def rewrite_fields(project: Project, cls: Class, static: frozenset[str]) -> None:
    """Rewrite the fields of a class.

    Args:
        static: the names of those that its registration says to be static.
    """
    for f in own_fields(project, cls):
        inherited = any(base.statics.get(f.name) for base in cls.ancestors()) and not cls.undecorated
        leaf = inherited and f.static is not True and f.name not in static
        if project.resolve(cls.code, f.node.annotation.annotation) == STATIC_ANNOTATION:
            _rename_static(cls, f)
        if f.function is not None and f.function in FIELDS:
            _rewrite_call(project, cls, f, f.name in static, leaf)
        elif f.function is None and (f.name in static or leaf):
            _mark(cls, f, "static" if f.name in static else "field", "" if f.name in static else "static=False")
        if f.static or f.name in static:
            _check_hashable(project, cls, f)


def _rename_static(cls: Class, f: Field) -> None:
    annotation = f.node.annotation.annotation
    head = cls.code.span(annotation.value if isinstance(annotation, cst.Subscript) else annotation)
    cls.code.edits.replace(head, ours("Static"))
    cls.code.edits.consumed.append(head)


def _mark(cls: Class, f: Field, name: str, option: str) -> None:
    """Write a field function around the default of a field, or where it has none."""
    code = cls.code
    if f.node.value is None:
        end = code.outer(f.node.annotation.annotation).end
        code.edits.insert(end, f" = {ours(name)}({option})")
    else:
        value = code.outer(f.node.value)
        code.edits.replace(value, f"{ours(name)}({option}{', ' if option else ''}default=", value, ")")


def _rewrite_call(project: Project, cls: Class, f: Field, registered: bool, leaf: bool) -> None:
    """Rewrite `struct.field(pytree_node=False, ...)` and the like."""
    code, call, spec = cls.code, f.node.value, FIELDS[f.function or ""]
    if not isinstance(call, cst.Call) or "**" in f.options:
        return
    static = f.static is True or registered
    dropped, added = set(), []
    if static and _metadata_static(f.options) == 1:
        dropped.add("metadata")
    if spec.static in f.options and (f.static is True or (f.static is False and spec.negated)):
        dropped.add(spec.static)
    elif spec.static in f.options and spec.negated:
        # Neither True nor False is written there.
        dropped.add(spec.static)
        added.append(f"static=not ({code.source(f.options[spec.static].value)})")
    if leaf and not added and not (f.static is False and not spec.negated):
        added.append("static=False")
    name = "static" if static else "field"
    if _literal(f.options.get("init")) is False and not {"default_factory", "kw_only"} & set(f.options):
        name = "derived"
        dropped.add("init")
        added += ["static=True"] if static else []
    function = code.outer(call.func)
    code.edits.replace(function, ours(name))
    code.edits.consumed.append(function)
    names = list(f.options)
    inside = Span(code.text.index("(", function.end) + 1, code.span(call).end - 1)
    kept = [each for each in names if each not in dropped]
    if dropped:
        code.edits.drop([code.span(arg) for arg in call.args], lambda i: names[i] in dropped, inside)
    if added:
        at = inside.start if not kept else code.span(f.options[kept[0]]).start
        code.edits.insert(at, ", ".join(added) + (", " if kept else ""))


def _check_hashable(project: Project, cls: Class, f: Field) -> None:
    """Say where a static field holds what has no hash."""
    annotation: cst.BaseExpression = f.node.annotation.annotation
    if project.resolve(cls.code, annotation) == STATIC_ANNOTATION and isinstance(annotation, cst.Subscript):
        inner = annotation.slice[0].slice
        annotation = inner.value if isinstance(inner, cst.Index) else annotation
    factory = f.options["default_factory"].value if "default_factory" in f.options else None
    for node in (annotation, factory):
        held = project.resolve(cls.code, node) if node is not None else None
        if held in UNHASHABLE:
            kind = str(held).removeprefix("builtins.")
            cls.code.remark(
                f.node,
                f"{f.name} of {cls.node.name.value} is static and a {kind}, which has no hash, and "
                "structs refuse that: make it a tuple, or a data field, or add converter=structkit.freeze",
            )
            return
