"""Bridges over the versions of Python and JAX: every `sys.version_info` and private name is here, and only here."""

from __future__ import annotations

import dataclasses
import inspect
import sys
import types
import typing
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import typing_extensions

ProtocolMeta: Any = type(typing_extensions.Protocol)
"""The metaclass of `Protocol`: `StructMeta` derives from it, and `class A(Struct, SomeProtocol)` has no conflict."""


@dataclasses.dataclass(init=False, repr=False, eq=False)
class _Probe:
    field: int
    initvar: dataclasses.InitVar[int]


# `dataclasses.fields` and `dataclasses.replace` tell fields from pseudo-fields by the identity of these markers.
# A probe finds them without naming the private constants.
_PROBE_FIELDS: dict[str, Any] = vars(_Probe)["__dataclass_fields__"]
FIELD_MARKER: Any = _PROBE_FIELDS["field"]._field_type
INITVAR_MARKER: Any = _PROBE_FIELDS["initvar"]._field_type

PROTOCOL_INITS: tuple[Any, ...] = tuple(
    vars(protocol)["__init__"]
    for protocol in (typing.SupportsInt, typing_extensions.SupportsIndex, typing_extensions.SupportsInt)
    if "__init__" in vars(protocol)
)
"""The `__init__` that typing puts into protocol classes: no code of the user's."""

FIELD_HAS_DOC = sys.version_info >= (3, 14)
"""Whether `dataclasses.Field` takes `doc`."""

if sys.version_info >= (3, 12):
    GENERIC_ALIASES: tuple[type, ...] = (typing_extensions.TypeAliasType, typing.TypeAliasType)
else:
    GENERIC_ALIASES: tuple[type, ...] = (typing_extensions.TypeAliasType,)

# `isinstance` with these leaves the items `Any` for type checkers; with the bare types the items would be unknown.
any_list: type[Any] = list
any_tuple: type[Any] = tuple
# `type`, for values of which nothing is known.
class_of: Callable[[Any], type[Any]] = type

if TYPE_CHECKING:
    # JAX leaves the type of key path entries open; in these signatures it is `Any`.
    def keystr(keys: tuple[Any, ...]) -> str: ...
    def register_pytree_with_keys(
        cls: type[Any], flatten_with_keys: Any, unflatten: Any, flatten: Any = None
    ) -> None: ...
    def tree_flatten_with_path(
        tree: Any, is_leaf: Callable[[Any], bool] | None = None
    ) -> tuple[list[tuple[tuple[Any, ...], Any]], Any]: ...

else:
    from jax.tree_util import (
        keystr as keystr,
        register_pytree_with_keys as register_pytree_with_keys,
        tree_flatten_with_path as tree_flatten_with_path,
    )


def without_columns(code: types.CodeType) -> types.CodeType:
    """The code with the same lines and no columns, which would be wrong where its names are replaced by others.

    The table is in the format of CPython's Objects/locations.md: for each line a byte 1kkkknnn (kind, length - 1) and
    the step to the line as a signed varint. A Python that reads it otherwise gets the code as it is.

    Args:
        code: the code of a function.
    """
    table, previous, runs = bytearray(), code.co_firstlineno, line_runs(code)
    for line, units in runs:
        head = 0x80 | (_NO_LOCATION if line is None else _NO_COLUMNS) << 3
        step = 0 if line is None else line - previous
        previous += step
        # An entry is for at most eight code units.
        for size in [8] * (units // 8) + [units % 8] * (units % 8 > 0):
            table.append(head | size - 1)
            if line is not None:
                table += _signed_varint(step)
            step = 0
    found = code.replace(co_linetable=bytes(table))
    return found if line_runs(found) == runs else code


_NO_COLUMNS, _NO_LOCATION = 13, 15


def _signed_varint(value: int) -> bytes:
    value = -value << 1 | 1 if value < 0 else value << 1
    found = bytearray()
    while value > 63:
        found.append(0x40 | value & 63)
        value >>= 6
    found.append(value)
    return bytes(found)


def line_runs(code: types.CodeType) -> list[tuple[int | None, int]]:
    """The lines of a code object in order, each with the number of code units that it has in a row.

    Args:
        code: the code.
    """
    runs: list[tuple[int | None, int]] = []
    current: int | None = code.co_firstlineno
    units = 0
    for start, end, line in code.co_lines():
        if line != current and units:
            runs.append((current, units))
            units = 0
        current = line
        units += (end - start) // 2
    return [*runs, (current, units)]


def namespace_annotations(namespace: dict[str, Any]) -> dict[str, Any]:
    """The annotations of a class body, in order: values where they resolve, forward references where not.

    Args:
        namespace: what the class body left behind, as a metaclass's `__new__` receives it.
    """
    annotations = namespace.get("__annotations__")
    if annotations is not None:
        return dict(annotations)
    annotate = _annotate_function(namespace)
    return {} if annotate is None else _evaluate(annotate)


if sys.version_info >= (3, 14):
    import annotationlib

    def _annotate_function(namespace: dict[str, Any]) -> Callable[..., dict[str, Any]] | None:
        return annotationlib.get_annotate_from_class_namespace(namespace)

    def _evaluate(annotate: Any) -> dict[str, Any]:
        try:
            return annotationlib.call_annotate_function(annotate, annotationlib.Format.VALUE)
        except NameError:
            return annotationlib.call_annotate_function(annotate, annotationlib.Format.FORWARDREF)

    def namespace_texts(namespace: dict[str, Any]) -> dict[str, str]:
        """The annotations of a class body as they were written.

        Args:
            namespace: what the class body left behind.
        """
        annotate = _annotate_function(namespace)
        return {} if annotate is None else annotationlib.call_annotate_function(annotate, annotationlib.Format.STRING)

    def alias_value(alias: Any) -> Any:
        """What a `type` statement stands for, with forward references for names that do not exist yet.

        Args:
            alias: a `TypeAliasType`.
        """
        try:
            return alias.__value__
        except NameError:
            return annotationlib.call_evaluate_function(alias.evaluate_value, annotationlib.Format.FORWARDREF)

    def set_lazy_annotations(function: Any, compute: Callable[[Any], dict[str, Any]]) -> None:
        """Give `function` annotations that are computed on first use.

        Args:
            function: the function to annotate.
            compute: called with a `Format`, gives the annotations.
        """

        def __annotate__(format: Any, /) -> dict[str, Any]:
            if format not in (annotationlib.Format.VALUE, annotationlib.Format.FORWARDREF):
                raise NotImplementedError(format)
            return compute(format)

        function.__annotate__ = __annotate__

    def class_annotations(cls: type, format: Any) -> dict[str, Any]:
        """The annotations that `cls` itself declares, in the given `annotationlib.Format`."""
        return annotationlib.get_annotations(cls, format=format)

    def signature(function: Any) -> inspect.Signature:
        """The signature, with forward references where an annotation does not resolve."""
        return inspect.signature(function, annotation_format=annotationlib.Format.FORWARDREF)

else:

    def _annotate_function(namespace: dict[str, Any]) -> Callable[..., dict[str, Any]] | None:
        return None

    def _evaluate(annotate: Any) -> dict[str, Any]:
        raise NotImplementedError

    def namespace_texts(namespace: dict[str, Any]) -> dict[str, str]:
        """Nothing: before Python 3.14 a class body has no lazy annotations.

        Args:
            namespace: what the class body left behind.
        """
        return {}

    def alias_value(alias: Any) -> Any:
        """What a `type` statement stands for.

        Args:
            alias: a `TypeAliasType`.

        Raises:
            NameError: a name in it does not exist yet.
        """
        return alias.__value__

    def set_lazy_annotations(function: Any, compute: Callable[[Any], dict[str, Any]]) -> None:
        """Give `function` its annotations; before Python 3.14 there are no lazy ones.

        Args:
            function: the function to annotate.
            compute: called with None, gives the annotations.
        """
        function.__annotations__ = compute(None)

    def class_annotations(cls: type, format: Any) -> dict[str, Any]:
        """The annotations that `cls` itself declares."""
        return dict(vars(cls).get("__annotations__", {}))

    def signature(function: Any) -> inspect.Signature:
        """The signature, with annotations as they were written."""
        return inspect.signature(function)
