"""All files of a run together: classes, then calls, then imports; what is left is told."""

from __future__ import annotations

from collections.abc import Sequence

import libcst as cst

from structkit._migrate.classes import left_spans, rewrite_classes
from structkit._migrate.code import Code, Remark
from structkit._migrate.edits import Span
from structkit._migrate.imports import rewrite_imports
from structkit._migrate.places import rewrite_calls
from structkit._migrate.project import Project
from structkit._migrate.sources import WATCHED


def rewrite(codes: Sequence[Code]) -> list[str]:
    """The new texts of files that belong together; their remarks are filled in."""
    project = Project(codes)
    rewrite_classes(project)
    left = left_spans(project)
    texts = []
    for code in codes:
        rewrite_calls(project, code)
        _remark_others(project, code, left.get(code, []))
        spell = rewrite_imports(project, code) if code.edits else str
        lines = code.edits.moved({remark.line for remark in code.remarks}, spell)
        code.remarks[:] = [remark._replace(after=lines[remark.line]) for remark in code.remarks]
        text = code.edits.applied(spell)
        texts.append(text if _is_python(text, code) else code.text)
    return texts


def _is_python(text: str, code: Code) -> bool:
    """Whether a new text can be parsed; one that cannot is a fault of ours, and must not reach the file."""
    try:
        cst.parse_module(text, code.module.config_for_parsing)
    except cst.ParserSyntaxError:
        code.remarks[:] = [
            Remark(1, True, "the file stays as it is: structkit-migrate made no Python of it; report this")
        ]
        return False
    return True


def _remark_others(project: Project, code: Code, left: list[Span]) -> None:
    """List the uses of the other libraries' names that nothing rewrites, outside of classes that stay as they are."""
    for node in code.nodes:
        if isinstance(node, (cst.Import, cst.ImportFrom)):
            _remark_star(code, node)
        if not isinstance(node, (cst.Name, cst.Attribute)) or _is_part(code, node):
            continue
        span = code.span(node)
        if code.edits.is_consumed(span) or any(each.has(span) for each in left):
            continue
        names = {found for found in project.candidates(code, node) if isinstance(found, str)} & WATCHED
        for name in sorted(names):
            code.remark(node, f"{name} stays as it is: {_why(code, node)}", left=True)


def _why(code: Code, node: cst.CSTNode) -> str:
    """Why a name stays: for a field of a class whose bases are not in these files, that."""
    above = [node]
    while not isinstance(above[-1], (cst.Module, cst.FunctionDef, cst.ClassDef)):
        above.append(code.parent(above[-1]))
    cls = above[-1]
    is_field = any(isinstance(each, cst.AnnAssign) for each in above)
    if not isinstance(cls, cst.ClassDef) or not cls.bases or not is_field:
        return "it is used in a way that is not rewritten"
    bases = ", ".join(code.source(base.value) for base in cls.bases)
    return f"class {cls.name.value} inherits from {bases}, which is not rewritten"


def _remark_star(code: Code, node: cst.Import | cst.ImportFrom) -> None:
    if isinstance(node, cst.ImportFrom) and isinstance(node.names, cst.ImportStar) and node.module is not None:
        module = code.source(node.module)
        if any(name.rpartition(".")[0] == module for name in WATCHED):
            code.remark(
                node, f"{module} is imported with *, so its names are not known; import them by name", left=True
            )


def _is_part(code: Code, node: cst.CSTNode) -> bool:
    """Whether a name is a part of a longer one, or of an import, or is bound there."""
    parent = code.parent(node)
    return isinstance(parent, (cst.Attribute, cst.ImportAlias, cst.ImportFrom, cst.AsName, cst.AssignTarget)) or (
        isinstance(parent, (cst.Arg, cst.Param)) and node is getattr(parent, "keyword", getattr(parent, "name", None))
    )
