"""Every exception of structkit, each with the data that its message is made of.

An error says where (the class and the field), what, and the cure. The kinds follow the standard library's
dataclasses where there is a counterpart, so `except` clauses written for dataclasses keep working.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any


class StructError(Exception):
    """Base of all of structkit's exceptions: `except StructError` catches each of them.

    Subclasses keep the constructor's arguments in `args`, so that every error can be pickled and copied, and
    make their text from them in `__str__`.
    """


class FrozenInstanceError(StructError, dataclasses.FrozenInstanceError):
    """Raised on assigning to or deleting from a finished struct; an `AttributeError`.

    Attributes:
        struct: the name of the class.
        field: the name that was written.
        action: `"assign to"` or `"delete"`.
    """

    struct: str
    field: str
    action: str
    known: bool
    cure: str

    def __init__(self, struct: str, field: str, action: str = "assign to", known: bool = True, cure: str = ""):
        self.struct, self.field, self.action, self.known, self.cure = struct, field, action, known, cure

    def __str__(self) -> str:
        if not self.known:
            frozen = "" if self.action == "delete" else "is frozen and "
            why = f"{self.struct} {frozen}has no field of this name{self.cure}"
        elif self.action == "delete":
            why = f"{self.struct} keeps all of its fields; make a changed copy with .replace({self.field}=...)"
        else:
            cure = self.cure or f"make a changed copy with .replace({self.field}=...)"
            why = f"{self.struct} is frozen; {cure}"
        return f"cannot {self.action} field {self.field!r}: {why}"


class UnknownAttributeError(StructError, AttributeError):
    """Raised on assigning to a name that is no field, in a mutable struct or during construction."""

    args: tuple[Any, ...]
    struct: str
    attribute: str
    fields: tuple[str, ...]

    def __init__(self, struct: str, attribute: str, fields: Iterable[str]):
        self.struct, self.attribute, self.fields = struct, attribute, tuple(fields)
        # Names alone, so that the error pickles whatever the fields of the class hold.
        self.args = (struct, attribute, self.fields)

    def __str__(self) -> str:
        return (
            f"{self.struct} has no field {self.attribute!r}{nearest(self.attribute, self.fields)}; "
            f"declare it in the class body: {self.attribute}: <type>"
        )


class UnsetFieldError(StructError, AttributeError):
    """Raised on reading a field before it is set."""

    struct: str
    field: str

    def __init__(self, struct: str, field: str):
        self.struct, self.field = struct, field

    def __str__(self) -> str:
        return f"{self.struct}.{self.field} is read before it is set; assign self.{self.field} first"


class MissingFieldError(StructError, TypeError):
    """Raised when a struct is finished with fields unset."""

    struct: str
    fields: tuple[str, ...]
    where: str

    def __init__(self, struct: str, fields: Iterable[str], where: str):
        self.struct, self.fields, self.where = struct, tuple(fields), where

    def __str__(self) -> str:
        names = ", ".join(map(repr, self.fields))
        plural = "field" if len(self.fields) == 1 else "fields"
        return f"{self.where} left {plural} {names} of {self.struct} unset; set each one or declare a default"


class UnknownFieldError(StructError, TypeError):
    """Raised when a call names a field that the class does not have."""

    args: tuple[Any, ...]
    struct: str
    field: str
    fields: tuple[str, ...]
    call: str

    def __init__(self, struct: str, field: str, fields: Iterable[str], call: str):
        self.struct, self.field, self.fields, self.call = struct, field, tuple(fields), call
        self.args = (struct, field, self.fields, call)

    def __str__(self) -> str:
        known = ", ".join(self.fields) or "none"
        near = nearest(self.field, self.fields)
        return f"{self.call}: {self.struct} has no field {self.field!r}{near} (fields: {known})"


class NotReplaceableError(StructError, TypeError):
    """Raised by `replace` for a field that the constructor does not take, or an `InitVar` that it needs."""

    struct: str
    field: str
    why: str

    def __init__(self, struct: str, field: str, why: str):
        self.struct, self.field, self.why = struct, field, why

    def __str__(self) -> str:
        return f"replace: field {self.field!r} of {self.struct} {self.why}"


class StaticValueError(StructError, TypeError):
    """Raised when a value cannot be part of the tree structure: unhashable, an array, or not equal to itself."""

    struct: str
    field: str
    what: str
    cure: str

    def __init__(self, struct: str, field: str, what: str, cure: str):
        self.struct, self.field, self.what, self.cure = struct, field, what, cure

    def __str__(self) -> str:
        return f"static field {self.struct}.{self.field} cannot hold {self.what}: {self.cure}"


class UnhashableFieldError(StructError, TypeError):
    """Raised by `hash` when a field's value has no hash."""

    struct: str
    field: str
    type_name: str
    too_deep: bool

    def __init__(self, struct: str, field: str, type_name: str, too_deep: bool = False):
        self.struct, self.field, self.type_name, self.too_deep = struct, field, type_name, too_deep

    def __str__(self) -> str:
        why = "is nested too deeply to hash" if self.too_deep else "has no hash"
        return (
            f"unhashable field {self.field!r} of {self.struct}: {self.type_name} {why}; "
            f"pass it as an ordinary argument where JAX wanted a static one, declare the field with field(hash=False), "
            f"or hash the fields you need"
        )


class FreezeError(StructError, TypeError):
    """Raised by `freeze` for a value that has no hashable form."""

    entry: Any
    what: str
    cure: str

    def __init__(self, entry: Any, what: str, cure: str):
        self.entry, self.what, self.cure = entry, what, cure

    def __str__(self) -> str:
        where = "" if self.entry is None else f" (at key {self.entry!r})"
        return f"freeze: cannot freeze {self.what}{where}: {self.cure}"


class NotAStructError(StructError, TypeError):
    """Raised when a function of structkit is given something that is no struct."""

    call: str
    what: str

    def __init__(self, call: str, what: str):
        self.call, self.what = call, what

    def __str__(self) -> str:
        return f"{self.call} takes a Struct, not {self.what}; inherit from structkit.Struct to make one"


class BaseInstantiationError(StructError, TypeError):
    """Raised by `Struct()`: the base class has no fields."""

    def __str__(self) -> str:
        return "Struct is a base class and has no instances; inherit from it: class Model(Struct): x: jax.Array"


class DefinitionError(StructError, TypeError):
    """Raised when a class body cannot become a struct."""

    struct: str
    what: str
    cure: str

    def __init__(self, struct: str, what: str, cure: str):
        self.struct, self.what, self.cure = struct, what, cure

    def __str__(self) -> str:
        return f"{self.struct}: {self.what}; {self.cure}"


class MutableDefaultError(StructError, ValueError):
    """Raised at class creation for a default that all instances would share and could change."""

    struct: str
    field: str
    type_name: str
    cure: str

    def __init__(self, struct: str, field: str, type_name: str, cure: str):
        self.struct, self.field, self.type_name, self.cure = struct, field, type_name, cure

    def __str__(self) -> str:
        return (
            f"mutable default {self.type_name} for field {self.field!r} of {self.struct} is not allowed: "
            f"use {self.cure}"
        )


class PlaceError(StructError, KeyError, IndexError, AttributeError):
    """Raised when something that is no place in a tree is pointed at, as by `at`.

    Whatever a missing item or attribute raises, so that code which expects that works in a function given to `at`:
    `hasattr`, `getattr` with a default, `except KeyError`, a loop that ends with an `IndexError`.
    """

    path: str
    what: str
    cure: str
    call: str

    def __init__(self, path: str, what: str, cure: str, call: str = "at"):
        self.path, self.what, self.cure, self.call = path, what, cure, call

    def __str__(self) -> str:
        return f"{self.call}(tree, where): {self.path} {self.what}; {self.cure}"


class TreeError(StructError, TypeError):
    """Raised when a function of trees is given trees, leaves or options that it has no result for."""

    call: str
    what: str
    cure: str

    def __init__(self, call: str, what: str, cure: str):
        self.call, self.what, self.cure = call, what, cure

    def __str__(self) -> str:
        return f"{self.call}: {self.what}; {self.cure}"


class MergeError(StructError, ValueError):
    """Raised by `merge` for a place that has a value in two trees."""

    path: str
    first: str
    second: str

    def __init__(self, path: str, first: str, second: str):
        self.path, self.first, self.second = path, first, second

    def __str__(self) -> str:
        return f"merge: {self.path} has two values, {self.first} and {self.second}; all trees but one have None there"


class TreesDifferError(StructError, AssertionError):
    """Raised by `assert_same_structure` and `assert_close` for trees that differ.

    Attributes:
        call: what was asserted.
        report: each difference in a line, with its path.
        differences: the differences themselves; empty in a copy that was pickled.
    """

    args: tuple[Any, ...]
    call: str
    report: str
    differences: Sequence[Any]

    def __init__(self, call: str, report: str, differences: Sequence[Any] = ()):
        self.call, self.report, self.differences = call, report, differences
        self.args = (call, report)

    def __reduce__(self) -> Any:
        # Texts alone, so that the error pickles whatever the trees hold.
        return type(self), (self.call, self.report)

    def __str__(self) -> str:
        return f"{self.call}: {self.report}"


class BatchError(StructError, ValueError):
    """Raised by `structkit.batch` for trees that are no batch, do not fit together, or do not fit an axis or a mask.

    Attributes:
        call: the function, such as `"stack"`.
        path: the place: `"trees[1].layers[0].bias"`.
        what: what is wrong there.
        cure: what to do instead.
    """

    call: str
    path: str
    what: str
    cure: str

    def __init__(self, call: str, path: str, what: str, cure: str):
        self.call, self.path, self.what, self.cure = call, path, what, cure

    def __str__(self) -> str:
        return f"batch.{self.call}: {self.path} {self.what}; {self.cure}"


class BatchIndexError(BatchError, IndexError):
    """Raised by `structkit.batch` for an index that is out of range, or that is no index."""


class UnbatchedError(BatchError, TypeError):
    """Raised by `structkit.batch` for a tree or a leaf with too few leading axes; a `TypeError`, as `len` raises it."""


class UnknownRankError(StructError, AttributeError):
    """Raised where the leading axes of an object are asked for and no annotation of its class tells them."""

    args: tuple[Any, ...]
    struct: str
    unresolved: tuple[str, ...]

    def __init__(self, struct: str, unresolved: Iterable[str] = ()):
        self.struct, self.unresolved = struct, tuple(unresolved)
        self.args = (struct, self.unresolved)

    def __str__(self) -> str:
        open_ = f" (not resolved: {', '.join(self.unresolved)})" if self.unresolved else ""
        return (
            f"{self.struct} does not tell its leading axes: no field that holds an array has a known rank{open_}; "
            f'annotate the fields with jaxtyping, as in position: Float[Array, "3"]'
        )


class SpecError(StructError, ValueError):
    """Raised when a leaf cannot be laid out on a mesh as its partition spec says."""

    path: str
    what: str
    cure: str

    def __init__(self, path: str, what: str, cure: str):
        self.path, self.what, self.cure = path, what, cure

    def __str__(self) -> str:
        return f"sharding of {self.path or 'the tree, which is one leaf'}: {self.what}; {self.cure}"


class NoMeshError(StructError, ValueError):
    """Raised by `sharding.constrain` without a mesh."""

    def __str__(self) -> str:
        return "constrain: no mesh is given and none is in use; pass one, or enter jax.set_mesh(mesh)"


class UnlikeProcessesError(StructError, AssertionError):
    """Raised in all processes when the static parts of a tree are not alike in all of them."""

    differences: tuple[str, ...]

    def __init__(self, differences: Iterable[str]):
        self.differences = tuple(differences)

    def __str__(self) -> str:
        lines = "".join(f"\n  {line}" for line in self.differences)
        return f"the processes have unlike trees, and would compute something wrong together:{lines}"


class StateError(StructError, ValueError):
    """Raised by `structkit.state` for every fault: of a file, of what it holds, and of what is to be put in it.

    Attributes:
        where: the file's name, or the name of the function where there is no file.
        what: what is wrong.
        cure: what to do.
        differences: where a target and what was saved do not fit, all of them.
    """

    args: tuple[Any, ...]
    where: str
    what: str
    cure: str
    differences: tuple[Any, ...]

    def __init__(self, where: str, what: str, cure: str, differences: Iterable[Any] = ()):
        self.where, self.what, self.cure, self.differences = where, what, cure, tuple(differences)
        self.args = (where, what, cure, self.differences)

    def __str__(self) -> str:
        shown = [f"\n  {difference}" for difference in self.differences[:_MOST_DIFFERENCES]]
        if len(self.differences) > len(shown):
            shown.append(f"\n  and {len(self.differences) - len(shown)} more, in .differences")
        return f"{self.where}: {self.what}{':' if shown else ';'}{''.join(shown)}{chr(10) if shown else ' '}{self.cure}"


_MOST_DIFFERENCES = 50


def nearest(name: str, known: Iterable[str], written: Callable[[str], str] = repr) -> str:
    """The words `" (did you mean 'weight'?)"` for a misspelt name, or `""` when nothing is close."""
    # Not at `import structkit`: only an error needs it.
    import difflib

    close = difflib.get_close_matches(str(name), list(known), n=1)
    return f" (did you mean {written(close[0])}?)" if close else ""
