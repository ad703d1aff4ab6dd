"""Classes that say themselves how JAX takes them apart: `register_dataclass`, `tree_flatten` and `tree_unflatten`."""

from __future__ import annotations

import libcst as cst

from structkit._migrate.checks import returned
from structkit._migrate.fields import Field, own_fields
from structkit._migrate.project import Class, Project
from structkit._migrate.sources import BY_HAND, DECORATORS, REGISTERED

_METHODS = ("tree_flatten", "tree_unflatten")


def check_registration(project: Project, cls: Class) -> None:
    """Leave a class whose registration cannot be read, or says what a struct would not do."""
    if cls.source is REGISTERED:
        _check_lists(cls, own_fields(project, cls))
    elif cls.source is BY_HAND and _by_hand(project, cls) is None:
        cls.leave(
            _method(cls, "tree_flatten") or cls.node.name,
            "its tree_flatten and tree_unflatten are not plain; delete them and mark what is not a leaf with static()",
        )


def registered_statics(project: Project, cls: Class) -> frozenset[str]:
    """The names of the fields that the registration of a class keeps in the tree structure."""
    if cls.source is REGISTERED:
        return frozenset(_listed(cls).get("meta_fields") or ())
    return (_by_hand(project, cls) or frozenset()) if cls.source is BY_HAND else frozenset()


def delete_methods(cls: Class) -> None:
    """Delete the methods that take a class apart, which a struct has no use for."""
    if cls.source is BY_HAND:
        for name in _METHODS:
            method = _method(cls, name)
            if method is not None:
                cls.code.edits.delete_lines(cls.code.whole(method))


def _listed(cls: Class) -> dict[str, list[str] | None]:
    """The lists of names that a class is registered with; None for one that is no list of strings."""
    arguments = [arg for maker in cls.makers if DECORATORS.get(maker.name) is REGISTERED for arg in maker.arguments]
    places = ("data_fields", "meta_fields", "drop_fields")
    return {
        arg.keyword.value if arg.keyword is not None else arg.star or places[min(i, 2)]: _strings(arg.value)
        for i, arg in enumerate(arguments)
    }


def _strings(node: cst.CSTNode) -> list[str] | None:
    if not isinstance(node, (cst.List, cst.Tuple)):
        return None
    values = [element.value for element in node.elements]
    return (
        [str(value.evaluated_value) for value in values if isinstance(value, cst.SimpleString)]
        if all(isinstance(value, cst.SimpleString) for value in values)
        else None
    )


def _check_lists(cls: Class, fields: list[Field]) -> None:
    listed = _listed(cls)
    if not listed:
        return
    makers = [maker for maker in cls.makers if DECORATORS.get(maker.name) is REGISTERED]
    if None in listed.values() or "*" in listed or "**" in listed:
        cls.leave(
            makers[0].node, "data_fields and meta_fields are no lists of strings; mark the static ones with static()"
        )
        return
    data, meta = listed.get("data_fields") or [], listed.get("meta_fields") or []
    names = [f.name for f in fields]
    if listed.get("drop_fields") or sorted([*data, *meta]) != sorted(names):
        cls.leave(
            makers[0].node, "data_fields and meta_fields are not just the fields that it annotates; mark them by hand"
        )
    elif data != [name for name in names if name in data]:
        cls.leave(makers[0].node, "data_fields are in another order than its fields, and so would be its leaves")


def _method(cls: Class, name: str) -> cst.FunctionDef | None:
    body = cls.node.body.body
    return next((node for node in body if isinstance(node, cst.FunctionDef) and node.name.value == name), None)


def _by_hand(project: Project, cls: Class) -> frozenset[str] | None:
    """The static fields of a class with plain methods: those take all fields apart, in order, and put them back so."""
    flatten, unflatten = _method(cls, "tree_flatten"), _method(cls, "tree_unflatten")
    names = [f.name for f in own_fields(project, cls)]
    if flatten is None or unflatten is None or cls.parents():
        return None
    pair = returned(flatten)
    if not isinstance(pair, cst.Tuple) or len(pair.elements) != 2:
        return None
    own = flatten.params.params[0].name.value if flatten.params.params else ""
    children = _attributes(pair.elements[0].value, own, one=False)
    aux_node = pair.elements[1].value
    aux = _attributes(aux_node, own, one=True)
    if children is None or aux is None or [*children, *aux] != names or not set(children).isdisjoint(aux):
        return None
    call = returned(unflatten)
    parameters = [each.name.value for each in unflatten.params.params]
    if not isinstance(call, cst.Call) or len(parameters) != 3 or not isinstance(call.func, cst.Name):
        return None
    starred = isinstance(aux_node, cst.Tuple)
    wanted = ["*" + parameters[2]]
    if aux:
        wanted.append(("*" if starred else "") + parameters[1])
    given = [arg.star + arg.value.value if isinstance(arg.value, cst.Name) else "" for arg in call.args]
    plain = given in (wanted, [*wanted, "*" + parameters[1]] if starred else wanted)
    plain = (
        plain and not any(arg.keyword for arg in call.args) and call.func.value in (parameters[0], cls.node.name.value)
    )
    return frozenset(aux) if plain else None


def _attributes(node: cst.BaseExpression, own: str, *, one: bool) -> list[str] | None:
    """The names of the attributes of self in a tuple of them, or of a single one; None for anything else."""
    if isinstance(node, cst.Name) and node.value == "None":
        return [] if one else None
    nodes = (
        [each.value for each in node.elements] if isinstance(node, (cst.Tuple, cst.List)) else [node] if one else [None]
    )
    names = [
        each.attr.value
        for each in nodes
        if isinstance(each, cst.Attribute) and isinstance(each.value, cst.Name) and each.value.value == own
    ]
    return names if len(names) == len(nodes) else None
