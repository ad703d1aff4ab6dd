"""Every exception of structkit, each with the data that its message is made of.

An error says where (the class and the field), what, and the cure. The kinds follow the standard library's
dataclasses where there is a counterpart, so `except` clauses written for dataclasses keep working.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

from typing_extensions import dataclass_transform


@dataclass_transform(eq_default=False)
class StructError(Exception):
    """Base of all of structkit's exceptions: `except StructError` catches each of them.

    A subclass annotates what its constructor takes, and `_text` puts that into words. The values stay in `args`, so
    that every error can be pickled and copied.
    """

    args: tuple[Any, ...]
    _text: ClassVar[str] = ""
    # Name -> annotation, in the order of the constructor's arguments.
    _data: ClassVar[dict[str, str]] = {}

    def __init_subclass__(cls) -> None:
        cls._data = {**cls._data, **cls.__annotations__}

    def __init__(self, *args: Any):
        # Names without what they belong to, so that the error pickles whatever the fields of a class hold.
        kept = [tuple(value) if "Iterable" in kind else value for value, kind in zip(args, self._data.values())]
        vars(self).update(zip(self._data, kept))
        self.args = (*kept, *args[len(kept) :])

    def __str__(self) -> str:
        return self._text.format(error=self) if self._text else super().__str__()


class FrozenInstanceError(StructError, dataclasses.FrozenInstanceError):
    """Raised on assigning to or deleting from a finished struct; an `AttributeError`."""

    struct: str
    field: str
    action: str = "assign to"  # Or "delete".
    known: bool = True
    cure: str = ""

    def __str__(self) -> str:
        if self.known:
            why = "keeps all of its fields" if self.action == "delete" else "is frozen"
            why += f"; {self.cure or f'make a changed copy with .replace({self.field}=...)'}"
        else:
            why = f"{'' if self.action == 'delete' else 'is frozen and '}has no field of this name{self.cure}"
        return f"cannot {self.action} field {self.field!r}: {self.struct} {why}"


class UnknownAttributeError(StructError, AttributeError):
    """Raised on assigning to a name that is no field, in a mutable struct or during construction."""

    struct: str
    attribute: str
    fields: Iterable[str]
    in_post_init: bool = False  # Where a field that `__init__` takes would be no cure.

    def __str__(self) -> str:
        what = f"{self.struct} has no field {self.attribute!r}{nearest(self.attribute, self.fields)}"
        default = " = derived()" if self.in_post_init else ""
        return f"{what}; declare it in the class body: {self.attribute}: <type>{default}"


class UnsetFieldError(StructError, AttributeError):
    """Raised on reading a field before it is set."""

    _text = "{error.struct}.{error.field} is read before it is set; assign self.{error.field} first"
    struct: str
    field: str


class MissingFieldError(StructError, TypeError):
    """Raised when a struct is finished with fields unset."""

    struct: str
    fields: Iterable[str]
    where: str

    def __str__(self) -> str:
        names = [repr(name) for name in self.fields]
        text = f"{'field' if len(names) == 1 else 'fields'} {', '.join(names)} of {self.struct}"
        return f"{self.where} left {text} unset; set each one or declare a default"


class UnknownFieldError(StructError, TypeError):
    """Raised when a call names a field that the class does not have."""

    struct: str
    field: str
    fields: Iterable[str]
    call: str

    def __str__(self) -> str:
        known = ", ".join(self.fields) or "none"
        near = nearest(self.field, self.fields)
        return f"{self.call}: {self.struct} has no field {self.field!r}{near} (fields: {known})"


class NotReplaceableError(StructError, TypeError):
    """Raised by `replace` for a field that the constructor does not take, or an `InitVar` that it needs."""

    _text = "replace: field {error.field!r} of {error.struct} {error.why}"
    struct: str
    field: str
    why: str


class StaticValueError(StructError, TypeError):
    """Raised when a value cannot be part of the tree structure: unhashable, an array, or not equal to itself."""

    _text = "static field {error.struct}.{error.field} cannot hold {error.what}: {error.cure}"
    struct: str
    field: str
    what: str
    cure: str


class UnhashableFieldError(StructError, TypeError):
    """Raised by `hash` when a field's value has no hash."""

    struct: str
    field: str
    type_name: str
    too_deep: bool = False

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

    def __str__(self) -> str:
        where = "" if self.entry is None else f" (at key {self.entry!r})"
        return f"freeze: cannot freeze {self.what}{where}: {self.cure}"


class NotAStructError(StructError, TypeError):
    """Raised when a function of structkit is given something that is no struct."""

    _text = "{error.call} takes a Struct, not {error.what}; {error.cure}"
    call: str
    what: str
    cure: str = "inherit from structkit.Struct to make one"


class BaseInstantiationError(StructError, TypeError):
    """Raised by `Struct()`: the base class has no fields."""

    _text = "Struct is a base class and has no instances; inherit from it: class Model(Struct): x: jax.Array"


class DefinitionError(StructError, TypeError):
    """Raised when a class body cannot become a struct."""

    _text = "{error.struct}: {error.what}; {error.cure}"
    struct: str
    what: str
    cure: str


class MutableDefaultError(StructError, ValueError):
    """Raised at class creation for a default that all instances would share and could change."""

    _text = (
        "mutable default {error.type_name} for field {error.field!r} of {error.struct} is not allowed: use {error.cure}"
    )
    struct: str
    field: str
    type_name: str
    cure: str


class PlaceError(StructError, KeyError, IndexError, AttributeError):
    """Raised when something that is no place in a tree is pointed at, as by `at`.

    Whatever a missing item or attribute raises, so that code which expects that works in a function given to `at`:
    `hasattr`, `getattr` with a default, `except KeyError`, a loop that ends with an `IndexError`.
    """

    _text = "{error.call}(tree, where): {error.path} {error.what}; {error.cure}"
    path: str
    what: str
    cure: str
    call: str = "at"


class TreeError(StructError, TypeError):
    """Raised when a function of trees is given trees, leaves or options that it has no result for."""

    _text = "{error.call}: {error.what}; {error.cure}"
    call: str
    what: str
    cure: str


class MergeError(StructError, ValueError):
    """Raised by `merge` for a place that has a value in two trees."""

    _text = "merge: {error.path} has two values, {error.first} and {error.second}; all trees but one have None there"
    path: str
    first: str
    second: str


class TreesDifferError(StructError, AssertionError):
    """Raised by `assert_same_structure` and `assert_close` for trees that differ."""

    _text = "{error.call}: {error.report}"
    call: str
    report: str  # Each difference in a line, with its path.
    differences: tuple[Any, ...] = ()  # Empty in a copy that was pickled.

    def __reduce__(self) -> Any:
        # Texts alone, so that the error pickles whatever the trees hold.
        return type(self), (self.call, self.report)


class BatchError(StructError, ValueError):
    """Raised by `structkit.batch` for trees that are no batch, do not fit together, or do not fit an axis or a mask."""

    _text = "batch.{error.call}: {error.path} {error.what}; {error.cure}"
    call: str  # The function, such as "stack".
    path: str  # The place: "trees[1].layers[0].bias".
    what: str
    cure: str


class BatchIndexError(BatchError, IndexError):
    """Raised by `structkit.batch` for an index that is out of range, or that is no index."""


class UnbatchedError(BatchError, TypeError):
    """Raised by `structkit.batch` for a tree or a leaf with too few leading axes; a `TypeError`, as `len` raises it."""


class UnknownRankError(StructError, AttributeError):
    """Raised where the leading axes of an object are asked for and no annotation of its class tells them."""

    struct: str
    unresolved: Iterable[str] = ()

    def __str__(self) -> str:
        names = f" (not resolved: {', '.join(self.unresolved)})" if self.unresolved else ""
        what = f"{self.struct} does not tell its leading axes: no field that holds an array has a known rank{names}"
        return f'{what}; annotate the fields with jaxtyping, as in position: Float[Array, "3"]'


class SpecError(StructError, ValueError):
    """Raised when a leaf cannot be laid out on a mesh as its partition spec says."""

    path: str
    what: str
    cure: str

    def __str__(self) -> str:
        return f"sharding of {self.path or 'the tree, which is one leaf'}: {self.what}; {self.cure}"


class NoMeshError(StructError, ValueError):
    """Raised by the functions of `sharding` without a mesh."""

    _text = "a mesh is needed, and {error.given} is given; {error.cure}"
    given: str
    cure: str = "pass what jax.make_mesh gives, or call sharding.constrain under jax.set_mesh(mesh)"


class UnlikeProcessesError(StructError, AssertionError):
    """Raised in all processes when the static parts of a tree are not alike in all of them."""

    differences: Sequence[str]

    def __str__(self) -> str:
        lines = "".join(f"\n  {line}" for line in self.differences)
        return f"the processes have unlike trees, and would compute something wrong together:{lines}"


class StateError(StructError, ValueError):
    """Raised by `structkit.state` for every fault: of a file, of what it holds, and of what is to be put in it."""

    where: str  # The file's name, or the name of the function where there is no file.
    what: str
    cure: str
    differences: tuple[Any, ...] = ()  # Where a target and what was saved do not fit, all of them.

    def __str__(self) -> str:
        shown = [f"\n  {difference}" for difference in self.differences[:50]]
        if len(self.differences) > len(shown):
            shown.append(f"\n  and {len(self.differences) - len(shown)} more, in .differences")
        return f"{self.where}: {self.what}{':' if shown else ';'}{''.join(shown)}{chr(10) if shown else ' '}{self.cure}"


def nearest(name: str, known: Iterable[str], written: Callable[[str], str] = repr) -> str:
    """The words `" (did you mean 'weight'?)"` for a misspelt name, or `""` when nothing is close."""
    # Not at `import structkit`: only an error needs it.
    import difflib

    close = difflib.get_close_matches(str(name), list(known), n=1)
    return f" (did you mean {written(close[0])}?)" if close else ""


def a_type(value: Any) -> str:
    """The name of the type of a value, with its article."""
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeioAEIO' else 'a'} {name}"
