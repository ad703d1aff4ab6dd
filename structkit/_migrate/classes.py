"""A class as a whole: whether it becomes a struct, its decorators, its bases and its options."""

from __future__ import annotations

from collections.abc import Sequence

import libcst as cst

from structkit._migrate.checks import check_constructors, check_methods, delete_stubs
from structkit._migrate.edits import Span, ours
from structkit._migrate.fields import check_fields, own_fields, rewrite_fields
from structkit._migrate.project import Class, Project
from structkit._migrate.pytrees import check_registration, delete_methods, registered_statics
from structkit._migrate.sources import (
    BASES,
    BY_HAND,
    CHEX,
    DATACLASS,
    DECORATORS,
    EQUINOX,
    HARMLESS_BASES,
    NEEDLESS,
    OPTIONS,
    REGISTERED,
    STRUCT,
)


def rewrite_classes(project: Project) -> None:
    """Rewrite the classes of all files that can become structs, and list those that cannot, with the reason."""
    project.find_sources()
    for cls in project.classes:
        cls.statics = {f.name: bool(f.static) for f in own_fields(project, cls)}
    for cls in project.classes:
        if cls.source is not None:
            _check_makers(project, cls)
            if not cls.undecorated:
                check_registration(project, cls)
                check_constructors(cls)
            _check_bases(cls)
            check_fields(project, cls)
    _leave_families(project)
    for cls in project.classes:
        if cls.source is not None and not cls.left:
            _rewrite(project, cls)
        cls.code.remarks.extend(cls.left)


def _check_makers(project: Project, cls: Class) -> None:
    """Refuse decorators and options that say more than a struct's do."""
    for arg in cls.options():
        _check_option(cls, arg)
    for arg in cls.node.keywords:
        _check_keyword(project, cls, arg)
    if cls.undecorated:
        return
    names = [maker.name for maker in cls.makers]
    if cls.source in (REGISTERED, BY_HAND) and DATACLASS not in names:
        cls.leave(cls.node.name, "it is registered, and no dataclass; annotate its fields and write Struct as its base")
    strangers = [maker for maker in cls.makers if maker.name == DATACLASS and cls.source not in (REGISTERED, BY_HAND)]
    for maker in strangers:
        if maker.arguments or cls.source is EQUINOX:
            cls.leave(maker.node, "it is made by dataclasses.dataclass too; keep one of the two")
    if len({DECORATORS[name] for name in names if name in DECORATORS}) > 1:
        cls.leave(cls.node.name, "it is registered twice; keep one of the decorators")
    for decorator in cls.node.decorators:
        if "mappable_dataclass" in cls.code.source(decorator.decorator) and not isinstance(
            decorator.decorator, cst.Call
        ):
            cls.leave(decorator, "a struct is no Mapping, and chex.mappable_dataclass makes one")


def _check_option(cls: Class, arg: cst.Arg) -> None:
    value = cls.code.source(arg.value)
    name = arg.keyword.value if arg.keyword is not None else arg.star
    if name in ("", "*", "**"):
        cls.leave(arg, f"its options are given as {name}{value}; write them out as keywords")
    elif name in NEEDLESS:
        if value not in NEEDLESS[name]:
            cls.leave(arg, f"structs have no option {name}={value}; write __hash__ and drop the option")
    elif name not in OPTIONS:
        cls.leave(arg, f"structs have no option {name}")


def _check_keyword(project: Project, cls: Class, arg: cst.Arg) -> None:
    """Look at a class keyword; what is none of the library's reaches `__init_subclass__`, as before."""
    name = arg.keyword.value if arg.keyword is not None else arg.star
    if name == "metaclass":
        if project.resolve(cls.code, arg.value) != "abc.ABCMeta":
            cls.leave(arg, "structs have a metaclass of their own")
    elif _takes_options(cls):
        _check_option(cls, arg)
    elif name == "strict" and cls.source is EQUINOX:
        cls.code.remark(arg, f"{cls.node.name.value} loses strict=True, for which structs have no check")
    elif name in OPTIONS:
        cls.leave(arg, f"its class keyword {name} would be an option of the struct")


def _takes_options(cls: Class) -> bool:
    """Whether its class keywords are the options of a dataclass, as with `PyTreeNode`."""
    return any(BASES[base] is not EQUINOX for _, base in cls.outside() if base in BASES)


def _check_bases(cls: Class) -> None:
    """Refuse bases that are not known to go with a struct."""
    for owner, base in cls.outside():
        if base in HARMLESS_BASES or base == STRUCT or base in BASES:
            continue
        arg = next(arg for arg, target in owner.bases if target == base)
        through = "" if owner is cls else f" of {owner.node.name.value}"
        cls.leave(
            arg if owner is cls else cls.node.name,
            f"its base {owner.code.source(arg.value)}{through} is not among the given files",
        )
    for parent in cls.parents():
        made = [maker for maker in parent.makers if maker.name == DATACLASS]
        if made and parent.source is None and not parent.is_struct():
            if not any(parent.code.source(arg) == "frozen=True" for maker in made for arg in maker.arguments):
                cls.leave(
                    cls.node.name, f"its base {parent.node.name.value} is a mutable dataclass; make that a Struct first"
                )


def _leave_families(project: Project) -> None:
    """Where a class stays, its parents and children stay: half a family would not run."""
    waiting = [cls for cls in project.classes if cls.left]
    relatives: dict[Class, list[Class]] = {cls: [] for cls in project.classes}
    for cls in project.classes:
        for base in cls.ancestors():
            if cls.source is not None and base.source is not None:
                relatives[cls].append(base)
                relatives[base].append(cls)
    while waiting:
        cls = waiting.pop(0)
        for other in relatives[cls]:
            if not other.left and not (cls.undecorated and other in cls.ancestors()):
                tie = "base" if other in cls.ancestors() else "subclass"
                other.leave(
                    other.node.name,
                    f"{cls.node.name.value} ({cls.where}) does, {'a subclass' if tie == 'base' else 'a base'} of it",
                )
                waiting.append(other)


def _rewrite(project: Project, cls: Class) -> None:
    check_methods(project, cls)
    if cls.source is CHEX and not cls.undecorated:
        _remark_chex(cls)
    if cls.undecorated:
        cls.code.remark(
            cls.node.name,
            f"{cls.node.name.value} was one leaf, though a subclass of a tree; as a struct it is a tree with the "
            "fields that it annotates",
        )
    for maker in cls.makers:
        inside = [comment for comment in cls.code.comments(maker.node) if comment not in _above(maker.node)]
        cls.code.edits.delete_lines(cls.code.span(maker.node), inside)
    rewrite_fields(project, cls, registered_statics(project, cls))
    delete_methods(cls)
    delete_stubs(cls)
    _rewrite_header(cls, _options(cls))


def _above(node: cst.CSTNode) -> list[str]:
    """The comments on lines above a statement or a decorator, which stay where they are."""
    lines: Sequence[cst.EmptyLine] = getattr(node, "leading_lines", ())
    return [line.comment.value for line in lines if line.comment is not None]


def _options(cls: Class) -> list[str]:
    """The class options of the struct."""
    given = {}
    makers = [maker for maker in cls.makers if maker.arguments]
    for arg in [arg for maker in makers for arg in maker.arguments]:
        if arg.keyword is not None and arg.keyword.value in OPTIONS:
            given[arg.keyword.value] = cls.code.source(arg.value)
    mutable = not (cls.source is None or cls.source.frozen)
    if cls.undecorated:
        mutable = any(not base.frozen() for base in cls.ancestors() if base.source is not None)
    if mutable and cls.code.source(cls.node).find("frozen=") < 0:
        given.setdefault("frozen", "False")
    if given.get("frozen") == "True":
        del given["frozen"]
    return [f"{name}={value}" for name, value in given.items()]


def _rewrite_header(cls: Class, options: list[str]) -> None:
    """Write the bases and the options into the class statement."""
    code, node = cls.code, cls.node
    for arg, base in cls.bases:
        if base in BASES:
            code.edits.replace(code.span(arg.value), ours("Struct"))
            code.edits.consumed.append(code.span(arg.value))
    needed = not any(base in BASES or base == STRUCT for _, base in cls.outside())
    needed = needed and not any(base.source is not None and not base.left for base in cls.ancestors())
    added = [ours("Struct")] if needed else []
    _drop_keywords(cls)
    arguments = [*node.bases, *node.keywords]
    if not arguments:
        name = code.span(node.type_parameters or node.name)
        opening = (
            code.text.find("(", name.end, code.span(node.body).start)
            if node.lpar is not cst.MaybeSentinel.DEFAULT
            else -1
        )
        inside = ", ".join([*added, *options])
        if opening >= 0:
            code.edits.insert(opening + 1, inside)
        elif inside:
            code.edits.insert(name.end, f"({inside})")
        return
    plain = [arg for arg, base in cls.bases if base == "builtins.object"]
    if added and plain:
        code.edits.replace(code.span(plain[0].value), added[0])
    elif added:
        code.edits.insert(code.span(arguments[0]).start, f"{added[0]}, ")
    if options:
        code.edits.insert(code.span(arguments[-1]).end, "".join(f", {option}" for option in options))


def _drop_keywords(cls: Class) -> None:
    """Delete class keywords that a struct does not take."""
    arguments = [*cls.node.bases, *cls.node.keywords]
    needless = {*NEEDLESS, *(["strict"] if cls.source is EQUINOX else [])}
    dropped = [arg.keyword is not None and arg.keyword.value in needless for arg in arguments]
    if any(dropped):
        spans = [cls.code.span(arg) for arg in arguments]
        cls.code.edits.drop(spans, dropped.__getitem__, Span(spans[0].start, spans[-1].end))


def _remark_chex(cls: Class) -> None:
    """Say what a class loses that was a Mapping, and whose leaves were in the order of their names."""
    given = {arg.keyword.value: cls.code.source(arg.value) for arg in cls.options() if arg.keyword is not None}
    if given.get("mappable_dataclass") != "False":
        cls.code.remark(
            cls.node.name,
            f"{cls.node.name.value} was a Mapping, which is chex's default: obj['name'], keys(), items(), ** and "
            "dm-tree work on it no more; read its attributes",
        )
    names = [name for base in reversed([cls, *cls.ancestors()]) for name in base.statics]
    if names != sorted(names):
        cls.code.remark(
            cls.node.name,
            f"the leaves of {cls.node.name.value} are in the order of its fields now, not in that of their names",
        )


def left_spans(project: Project) -> dict[object, list[Span]]:
    """For each file the spans of the classes in it that stay as they are, with their decorators."""
    found: dict[object, list[Span]] = {}
    for cls in project.classes:
        if cls.left:
            nodes = [cls.code.span(node) for node in (cls.node, *cls.node.decorators, *(m.node for m in cls.makers))]
            start, end = min(span.start for span in nodes), max(span.end for span in nodes)
            found.setdefault(cls.code, []).append(Span(start, end))
    return found
