"""Calls on trees: `eqx.tree_at` with a plain function, `jdc.replace`, `jdc.copy_and_mutate`."""

from __future__ import annotations

import itertools

import libcst as cst

from structkit._migrate.code import Code
from structkit._migrate.edits import Span, ours
from structkit._migrate.project import Project
from structkit._migrate.sources import EDITING, REPLACE, TREE_AT

_PARAMETERS = ("where", "pytree", "replace", "replace_fn", "is_leaf")


def rewrite_calls(project: Project, code: Code) -> None:
    """Rewrite the calls of one file."""
    for node in code.nodes:
        name = project.called(code, node)
        if not isinstance(node, cst.Call) or name is None:
            continue
        if name == TREE_AT:
            _rewrite_tree_at(code, node)
        elif name == REPLACE:
            _rename(code, node.func, "replace")
        elif name == EDITING:
            _rewrite_editing(code, node)


def _rename(code: Code, node: cst.BaseExpression, name: str) -> None:
    code.edits.replace(code.span(node), ours(name))
    code.edits.consumed.append(code.span(node))


def _rewrite_tree_at(code: Code, call: cst.Call) -> None:
    """`tree_at(where, tree, value)` as `at(tree, where).set(value)`, where it only follows attributes and items."""
    given: dict[str, cst.BaseExpression] = {}
    for i, arg in enumerate(call.args):
        if arg.star or i >= len(_PARAMETERS):
            return
        given[arg.keyword.value if arg.keyword is not None else _PARAMETERS[i]] = arg.value
    where, tree = given.get("where"), given.get("pytree")
    value, function = given.get("replace"), given.get("replace_fn")
    if where is None or tree is None or (value is None) == (function is None) or not _is_plain(where):
        return
    if "is_leaf" in given and not _is_none_test(given["is_leaf"]):
        return
    if value is not None and _is_many(where) and not isinstance(value, (cst.Tuple, cst.List)):
        return
    new, method = (value, "set") if value is not None else (function, "apply")
    spans = [code.outer(arg.value) for arg in call.args]
    gaps = [code.text[one.end : other.start] for one, other in itertools.pairwise(spans)]
    if new is None or any("#" in gap for gap in gaps[1:]) or {call.args[0].value, call.args[1].value} != {where, tree}:
        return
    opening = Span(code.span(call.func).end, code.span(call.args[0]).start)
    comma = Span(spans[0].end, code.span(call.args[1]).start)
    closing = Span(spans[-1].end, code.span(call).end)
    parts = (
        ours("at"),
        opening,
        code.outer(tree),
        comma,
        code.outer(where),
        closing,
        f".{method}(",
        code.outer(new),
        ")",
    )
    code.edits.replace(code.span(call), *parts)
    code.edits.consumed.append(code.span(call.func))


def _is_plain(where: cst.BaseExpression) -> bool:
    """Whether a function is a lambda of one parameter that gives a place in it, or a tuple or list of places."""
    if not isinstance(where, cst.Lambda) or len(where.params.params) != 1 or where.params.params[0].default is not None:
        return False
    body = where.body
    places = [each.value for each in body.elements] if isinstance(body, (cst.Tuple, cst.List)) else [body]
    return bool(places) and all(_is_place(place, where.params.params[0].name.value) for place in places)


def _is_many(where: cst.BaseExpression) -> bool:
    return isinstance(where, cst.Lambda) and isinstance(where.body, (cst.Tuple, cst.List))


def _is_place(node: cst.BaseExpression, root: str) -> bool:
    steps = 0
    while isinstance(node, (cst.Attribute, cst.Subscript)):
        if isinstance(node, cst.Subscript):
            index = node.slice[0].slice
            if len(node.slice) != 1 or not isinstance(index, cst.Index) or not _is_key(index.value):
                return False
        node, steps = node.value, steps + 1
    return isinstance(node, cst.Name) and node.value == root and steps > 0


def _is_key(node: cst.BaseExpression) -> bool:
    if isinstance(node, cst.UnaryOperation) and isinstance(node.operator, cst.Minus):
        node = node.expression
    return isinstance(node, (cst.Integer, cst.SimpleString, cst.Name))


def _is_none_test(node: cst.BaseExpression) -> bool:
    """Whether a function is `lambda x: x is None`, which places of structkit's need not."""
    if not isinstance(node, cst.Lambda) or len(node.params.params) != 1 or not isinstance(node.body, cst.Comparison):
        return False
    left, comparisons = node.body.left, node.body.comparisons
    right = comparisons[0].comparator
    return (
        isinstance(left, cst.Name)
        and left.value == node.params.params[0].name.value
        and len(comparisons) == 1
        and isinstance(comparisons[0].operator, cst.Is)
        and isinstance(right, cst.Name)
        and right.value == "None"
    )


def _rewrite_editing(code: Code, call: cst.Call) -> None:
    """`with copy_and_mutate(tree) as t:` as `with editing(tree) as t:`."""
    first = call.args[0] if call.args else None
    if first is None or first.star or first.keyword is not None:
        return
    more = [arg for arg in call.args[1:] if code.source(arg.value) != "False"]
    if more or len(call.args) == 1:
        code.remark(call, "editing lets leaves change their shape and dtype, which copy_and_mutate refused")
    _rename(code, call.func, "editing")
    if len(call.args) > 1:
        code.edits.replace(Span(code.outer(first.value).end, code.span(call).end - 1))
