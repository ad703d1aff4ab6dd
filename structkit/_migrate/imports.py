"""Imports: structkit's names come in, and those of the other library go where nothing reads them any more."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import libcst as cst
from libcst.metadata import ClassScope, GlobalScope, ImportAssignment, Scope

from structkit._migrate.code import Code
from structkit._migrate.edits import Span
from structkit._migrate.project import Project
from structkit._migrate.sources import LIBRARIES

Import = cst.Import | cst.ImportFrom


def rewrite_imports(project: Project, code: Code) -> Callable[[str], str]:
    """Edit the imports of one file for the edits that it has, and return how to spell structkit's names in it."""
    wanted = code.edits.used()
    unread = _unread(project, code)
    touched = [
        each
        for _, each in _assignments(code)
        if any(code.edits.is_consumed(code.span(r.node)) for r in each.references)
    ]
    gone = {(statement, alias) for statement, aliases in unread.items() for alias in aliases}
    spelled = {name: _spelling(code, name, gone) for name in sorted(wanted)}
    line = _import_line(code, spelled, gone)
    statements = _imports(touched)
    anchor = _anchor(code, statements) if line else None
    place = _sorted_place(code, anchor) if anchor is not None else None
    for statement in statements:
        _edit_statement(code, statement, unread.get(statement, []), line if statement is place else "")
    if line and place is None:
        _insert_on_top(code, line)
    elif line and place is not None and place not in statements:
        _insert_after(code, code.parent(place), line)
    return spelled.__getitem__


def _assignments(code: Code) -> list[tuple[Scope, ImportAssignment]]:
    return [(scope, each) for scope in code.scopes for each in scope.assignments if isinstance(each, ImportAssignment)]


def _imports(assignments: Iterable[ImportAssignment]) -> list[Import]:
    return list({each.node: None for each in assignments if isinstance(each.node, Import)})


def _unread(project: Project, code: Code) -> dict[Import, list[cst.ImportAlias]]:
    """The imported names that were read and are not read any more, by their statement."""
    found: dict[Import, list[cst.ImportAlias]] = {}
    read_elsewhere = _read_elsewhere(project, code)
    for scope, each in _assignments(code):
        references = [reference.node for reference in each.references]
        if not references or not all(code.edits.is_consumed(code.span(node)) for node in references):
            continue
        if isinstance(scope, GlobalScope) and each.name in read_elsewhere:
            continue
        alias = _alias(each)
        if alias is not None and isinstance(each.node, Import) and not _is_export(alias):
            if alias not in found.setdefault(each.node, []):
                found[each.node].append(alias)
    return found


def _alias(assignment: ImportAssignment) -> cst.ImportAlias | None:
    node = assignment.node
    if not isinstance(node, Import) or isinstance(node.names, cst.ImportStar):
        return None
    for alias in node.names:
        bound = alias.evaluated_alias or alias.evaluated_name.split(".")[0 if isinstance(node, cst.Import) else -1]
        if bound == assignment.name.split(".")[0]:
            return alias
    return None


def _is_export(alias: cst.ImportAlias) -> bool:
    """Whether it is written `name as name`."""
    return alias.evaluated_alias is not None and alias.evaluated_alias == alias.evaluated_name


def _read_elsewhere(project: Project, code: Code) -> set[str]:
    """The names of a module that another file imports from it, or that it exports in `__all__`."""
    found = set()
    for other in project.codes:
        for node in other.nodes:
            if isinstance(node, cst.ImportFrom) and project.imported_file(other, node) is code:
                names = node.names
                found |= {alias.evaluated_name for alias in names} if not isinstance(names, cst.ImportStar) else {"*"}
    for node in code.nodes:
        if isinstance(node, cst.Assign) and code.source(node.targets[0].target) == "__all__":
            if isinstance(node.value, (cst.List, cst.Tuple)):
                strings = [element.value for element in node.value.elements]
                found |= {str(each.evaluated_value) for each in strings if isinstance(each, cst.SimpleString)}
    return found


def _spelling(code: Code, name: str, gone: set[tuple[Import, cst.ImportAlias]]) -> str:
    """`field`, or `structkit.field` where the file has something else of that name."""
    for scope in code.scopes:
        if isinstance(scope, (GlobalScope, ClassScope)):
            for each in scope[name] if isinstance(scope, GlobalScope) else scope._assignments.get(name, set()):
                if isinstance(each, ImportAssignment):
                    alias = _alias(each)
                    if alias is None or (each.node, alias) in gone or _is_ours(code, each, alias, name):
                        continue
                elif not hasattr(each, "node"):
                    continue
                return f"structkit.{name}"
    return name


def _is_ours(code: Code, assignment: ImportAssignment, alias: cst.ImportAlias, name: str) -> bool:
    node = assignment.node
    module = code.source(node.module) if isinstance(node, cst.ImportFrom) and node.module is not None else ""
    return module == "structkit" and alias.evaluated_name == name and alias.evaluated_alias is None


def _import_line(code: Code, spelled: dict[str, str], gone: set[tuple[Import, cst.ImportAlias]]) -> str:
    """The import of what is missing, or an empty text; an import of names from structkit gets them instead."""
    present, statement = set(), None
    for scope, each in _assignments(code):
        alias = _alias(each)
        if isinstance(scope, GlobalScope) and alias is not None and (each.node, alias) not in gone:
            if _is_ours(code, each, alias, alias.evaluated_name):
                statement = each.node
                present.add(alias.evaluated_name)
            elif alias.evaluated_name == "structkit" and alias.evaluated_alias is None:
                present.add("structkit")
    missing = sorted({text.split(".")[0] for text in spelled.values()} - present, key=_by_case)
    lines = ["import structkit"] if "structkit" in missing else []
    names = ", ".join(name for name in missing if name != "structkit")
    if names and isinstance(statement, cst.ImportFrom) and not isinstance(statement.names, cst.ImportStar):
        code.edits.insert(code.span(statement.names[-1]).end, f", {names}")
    elif names:
        lines.append(f"from structkit import {names}")
    return code.module.default_newline.join(lines)


def _by_case(name: str) -> tuple[bool, str]:
    return name.islower(), name


def _anchor(code: Code, statements: list[Import]) -> Import | None:
    """The import in whose place, or after which, that of structkit goes: the last one of a library."""
    alone = [each for each in statements if isinstance(code.parent(each), cst.SimpleStatementLine)]
    outer = [each for each in alone if isinstance(code.scope(each), GlobalScope)] or alone
    return max(outer, key=lambda each: (_root(code, each) in LIBRARIES, code.line(each)), default=None)


def _sorted_place(code: Code, anchor: Import) -> Import:
    """The import after which that of structkit goes: a later one of its block that the alphabet has before it."""
    siblings = list(code.parent(code.parent(anchor)).children)
    place = anchor
    for line in siblings[siblings.index(code.parent(anchor)) + 1 :]:
        if not isinstance(line, cst.SimpleStatementLine) or line.leading_lines:
            break
        small = line.body[0]
        if not isinstance(small, Import) or not "" < _root(code, small).lower() < "structkit":
            break
        place = small
    return place


def _root(code: Code, statement: Import) -> str:
    if isinstance(statement, cst.Import):
        return statement.names[0].evaluated_name.split(".")[0]
    return (
        code.source(statement.module).split(".")[0] if statement.module is not None and not statement.relative else ""
    )


def _edit_statement(code: Code, statement: Import, gone: list[cst.ImportAlias], line: str) -> None:
    """Delete names of an import, and write `line` in its place or after it."""
    parent = code.parent(statement)
    names = statement.names
    edits, span = code.edits, code.span(statement)
    sole = isinstance(parent, cst.SimpleStatementLine) and len(parent.body) == 1 and edits.alone(span)
    whole = not isinstance(names, cst.ImportStar) and len(gone) == len(names) and sole
    indent = code.text[edits.lines(span).start : span.start] if sole else ""
    if whole and line:
        edits.replace(span, _indented(code, line, indent))
    elif whole:
        suite = code.parent(parent)
        if isinstance(suite, cst.IndentedBlock) and len(suite.body) == 1:
            edits.replace(span, "pass")
        else:
            edits.delete_lines(span)
    else:
        if gone and sole and not isinstance(names, cst.ImportStar):
            aliases = list(names)
            inside = Span(code.span(aliases[0]).start, code.span(aliases[-1]).end)
            edits.drop([code.span(alias) for alias in aliases], lambda i: aliases[i] in gone, inside)
        if line:
            _insert_after(code, parent, line)


def _insert_after(code: Code, statement: cst.CSTNode, line: str) -> None:
    span = code.span(statement)
    lines = code.edits.lines(span)
    start = code.text[lines.start : span.start]
    indent, newline = start[: len(start) - len(start.lstrip())], code.module.default_newline
    text = indent + _indented(code, line, indent)
    code.edits.insert(lines.end, text + newline if code.edits.ending(lines) else newline + text)


def _indented(code: Code, line: str, indent: str) -> str:
    newline = code.module.default_newline
    return line.replace(newline, newline + indent)


def _insert_on_top(code: Code, line: str) -> None:
    """Write an import below the docstring and the imports from `__future__`."""
    at, newline = 0, code.module.default_newline
    for statement in code.module.body:
        first = statement.body[0] if isinstance(statement, cst.SimpleStatementLine) else None
        docstring = isinstance(first, cst.Expr) and isinstance(first.value, (cst.SimpleString, cst.ConcatenatedString))
        future = isinstance(first, cst.ImportFrom) and _root(code, first) == "__future__"
        if not (docstring or future):
            break
        at = code.edits.lines(code.span(statement)).end
    code.edits.insert(at, line + newline)
