"""What the methods of a class do that a struct does otherwise: a reason to leave it, or told to a person."""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from structkit._migrate.code import walked
from structkit._migrate.project import Class, Project
from structkit._migrate.sources import EQUINOX

CONSTRUCTORS = frozenset(("__init__", "__post_init__", "__new__", "__setstate__"))


def check_constructors(cls: Class) -> None:
    """Leave a class whose constructor sets an attribute that is no field: a struct has only fields."""
    known = {name for each in (cls, *cls.ancestors()) for name in each.bound()}
    for method in _methods(cls):
        if method.name.value in CONSTRUCTORS:
            for node, name, _ in _written(method):
                if name not in known:
                    cls.leave(
                        node, f"{method.name.value} sets {name}, which is no field; annotate it in the class body"
                    )


def check_methods(project: Project, cls: Class) -> None:
    """List what a person must look at in the methods of a class that becomes a struct."""
    name, remark = cls.node.name.value, cls.code.remark
    for method in _methods(cls):
        if cls.source is not EQUINOX and not cls.undecorated:
            if method.name.value == "replace" and not _is_empty(method) and not _passes_on(project, cls, method):
                remark(method.name, f"{name} has a method replace, which was put aside before and which a struct keeps")
            if method.name.value == "__init__":
                remark(method.name, f"replace of {name} sets fields in place and does not call this __init__")
        if method.name.value == "__post_init__" and cls.source is not None and cls.source.rebuilds:
            remark(method.name, f"JAX rebuilds {name} without this __post_init__ now")
        if method.name.value not in CONSTRUCTORS:
            for node, field, forced in _written(method):
                if forced:
                    remark(node, f"{field} of a finished {name} is written to, which structs refuse")


def delete_stubs(cls: Class) -> None:
    """Delete an empty method `replace`, which a decorator put aside: it was there for type checkers."""
    for method in _methods(cls):
        if method.name.value == "replace" and _is_empty(method) and cls.source is not EQUINOX and not cls.undecorated:
            cls.code.edits.delete_lines(cls.code.whole(method))


def _is_empty(method: cst.FunctionDef) -> bool:
    """Whether a body is nothing but `...`, `pass`, a docstring, or an error that it is not written."""
    lines: list[cst.CSTNode] = [each for line in method.body.body for each in getattr(line, "body", [line])]
    return all(
        isinstance(each, cst.Pass)
        or (isinstance(each, cst.Expr) and isinstance(each.value, (cst.Ellipsis, cst.SimpleString)))
        or (isinstance(each, cst.Raise) and "NotImplementedError" in cst.Module([]).code_for_node(each))
        for each in lines
    )


def _passes_on(project: Project, cls: Class, method: cst.FunctionDef) -> bool:
    """Whether a method only calls `dataclasses.replace` with what it is given, as the one in its place does."""
    call, parameters = returned(method), method.params
    if not isinstance(call, cst.Call) or project.called(cls.code, call) != "dataclasses.replace":
        return False
    given = [arg.star + cls.code.source(arg.value) for arg in call.args]
    return parameters.star_kwarg is not None and given == [
        parameters.params[0].name.value,
        f"**{parameters.star_kwarg.name.value}",
    ]


def returned(method: cst.FunctionDef) -> cst.BaseExpression | None:
    """What a method returns that does nothing else."""
    lines = [line for line in method.body.body if method.get_docstring() is None or line is not method.body.body[0]]
    statement = lines[0] if len(lines) == 1 else None
    small = (
        statement.body[0] if isinstance(statement, cst.SimpleStatementLine) and len(statement.body) == 1 else statement
    )
    return small.value if isinstance(small, cst.Return) else None


def _methods(cls: Class) -> Iterator[cst.FunctionDef]:
    body = cls.node.body.body
    return (node for node in body if isinstance(node, cst.FunctionDef))


def _written(method: cst.FunctionDef) -> Iterator[tuple[cst.CSTNode, str, bool]]:
    """The attributes of its first parameter that a method sets: where, the name, whether by `object.__setattr__`."""
    if not method.params.params:
        return
    own = method.params.params[0].name.value
    for node in walked(method.body):
        if isinstance(node, (cst.AssignTarget, cst.AnnAssign, cst.AugAssign)):
            many = node.target.elements if isinstance(node.target, (cst.Tuple, cst.List)) else ()
            for each in [element.value for element in many] or [node.target]:
                if isinstance(each, cst.Attribute) and isinstance(each.value, cst.Name) and each.value.value == own:
                    yield each, each.attr.value, False
        elif isinstance(node, cst.Call) and len(node.args) == 3:
            function, target, name = node.func, node.args[0].value, node.args[1].value
            forced = isinstance(function, cst.Attribute) and function.attr.value == "__setattr__"
            if forced and isinstance(target, cst.Name) and target.value == own and isinstance(name, cst.SimpleString):
                yield node, str(name.evaluated_value), True
