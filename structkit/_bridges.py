"""Bridges over the versions of Python and JAX: every `sys.version_info` and private name is here, and only here."""

from __future__ import annotations

import dataclasses
import inspect
import itertools
import operator
import pprint
import sys
import types
import typing
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import typing_extensions

ProtocolMeta: Any = type(typing_extensions.Protocol)
"""The metaclass of `Protocol`: `StructMeta` derives from it, and `class A(Struct, SomeProtocol)` has no conflict."""


# `dataclasses.fields` and `dataclasses.replace` tell fields from pseudo-fields by the identity of these markers.
# A probe finds them without naming the private constants.
_MADE: Any = dataclasses.field(default_factory=int)
_PROBE: Any = dataclasses.make_dataclass(
    "_Probe", [("field", int), ("initvar", dataclasses.InitVar[int]), ("made", int, _MADE)]
)
FIELD_MARKER: Any = _PROBE.__dataclass_fields__["field"]._field_type
INITVAR_MARKER: Any = _PROBE.__dataclass_fields__["initvar"]._field_type
FACTORY: Any = _PROBE.__init__.__defaults__[0]
"""The default of a parameter whose real default is made anew for each object."""

GENERIC_ALIASES: tuple[type, ...] = (
    typing_extensions.TypeAliasType,
    getattr(typing, "TypeAliasType", typing_extensions.TypeAliasType),
)
"""What a `type` statement makes, and what stands for it before Python 3.12."""

if TYPE_CHECKING:
    from typing import ParamSpec, Protocol, Self, TypeVar, overload

    _P = ParamSpec("_P")
    _R_co = TypeVar("_R_co", covariant=True)
    _T = TypeVar("_T")

    class _SupportsReplace(Protocol[_P, _R_co]):
        def __replace__(self, *args: _P.args, **kwargs: _P.kwargs) -> _R_co: ...

    class _UncheckedReplace(Protocol[_R_co]):
        def __call__(self, /, **changes: Any) -> _R_co: ...

    class ReplaceDescriptor:
        """`replace` with the keywords of `__replace__`, which most checkers make for dataclasses on 3.13 and later.

        For older targets the names and types of changes stay unchecked, but the result is known.
        """

        @overload
        def __get__(self, obj: None, owner: type[Any], /) -> Self: ...
        @overload
        def __get__(self, obj: _SupportsReplace[_P, Any], owner: type[_T], /) -> Callable[_P, _T]: ...
        @overload
        def __get__(self, obj: object, owner: type[_T], /) -> _UncheckedReplace[_T]: ...
        def __get__(self, obj: Any, owner: type[Any], /) -> Any: ...


try:
    # There is no public name for it.
    from jax._src.core import trace_state_clean
except ImportError:

    def trace_state_clean() -> bool:
        return False


def untraced() -> bool:
    """Whether the program is known to be outside of all traces."""
    return trace_state_clean()


# JAX leaves the type of key path entries open; in these signatures it is `Any`.
_tree_util: Any = jax.tree_util
keystr: Callable[[tuple[Any, ...]], str] = _tree_util.keystr
register_pytree_with_keys: Callable[[type[Any], Any, Any, Any], None] = _tree_util.register_pytree_with_keys
tree_flatten_with_path: Callable[..., tuple[list[tuple[tuple[Any, ...], Any]], Any]] = _tree_util.tree_flatten_with_path


def spec_axes(spec: Any) -> tuple[Any, ...]:
    """The entries of a partition spec, one for each axis."""
    # JAX 0.10.0 has no public name for them; later versions do not iterate over a spec with unreduced axes.
    return spec.partitions if hasattr(spec, "partitions") else tuple(spec)


def without_columns(code: types.CodeType) -> types.CodeType:
    """The code with the same lines and no columns, which would be wrong where its names are replaced by others.

    The table is in the format of CPython's Objects/locations.md: for each line a byte 1kkkknnn (kind 13, length - 1)
    and the step to the line as a signed varint; kind 15 is for code without a line. A Python that reads it otherwise
    gets the code as it is. To compile a syntax tree without columns gives the same, and takes twice as long.
    """
    table, previous, runs = bytearray(), code.co_firstlineno, _runs(code)
    for (start, line), (end, _) in itertools.pairwise(runs):
        units, step = (end - start) // 2, 0 if line is None else line - previous
        previous += step
        # An entry is for at most eight code units.
        for size in [8] * (units // 8) + [units % 8] * (units % 8 > 0):
            table.append(0x80 | (15 if line is None else 13) << 3 | size - 1)
            if line is not None:
                varint = abs(step) << 1 | (step < 0)
                while varint > 63:
                    table.append(0x40 | varint & 63)
                    varint >>= 6
                table.append(varint)
            step = 0
    found = code.replace(co_linetable=bytes(table))
    return found if _runs(found) == runs else code


def _runs(code: types.CodeType) -> list[tuple[int, int | None]]:
    """Where the code of each line begins, with the line, and where all of it ends."""
    runs: list[tuple[int, int | None]] = []
    for start, _, line in code.co_lines():
        # Before 3.12, there are several for a line.
        if not runs or line != runs[-1][1]:
            runs.append((start, line))
    return [*runs, (len(code.co_code), None)]


def serve_pprint(repr_: Any, printer: Callable[..., None]) -> None:
    """Have `pprint` call `printer` for objects with this `__repr__` that are too long for a line, where it can."""
    getattr(pprint.PrettyPrinter, "_dispatch", {})[repr_] = printer


if sys.version_info >= (3, 14):
    import annotationlib

    def _annotations(namespace: Any, format: Any, owner: Any = None) -> Any:
        annotate: Any = annotationlib.get_annotate_from_class_namespace(namespace)
        return None if annotate is None else annotationlib.call_annotate_function(annotate, format, owner=owner)

    def lazy_annotations(namespace: dict[str, Any]) -> dict[str, Any]:
        """The annotations of what a class body left behind: values where they resolve, forward references where not."""
        try:
            return _annotations(namespace, annotationlib.Format.VALUE) or {}
        except Exception:
            # A name that is not defined yet, an attribute of a module that is half imported: as in dataclasses.
            return _annotations(namespace, annotationlib.Format.FORWARDREF)

    def namespace_texts(namespace: dict[str, Any]) -> dict[str, str]:
        """The annotations of what a class body left behind, as they were written."""
        return _annotations(namespace, annotationlib.Format.STRING) or {}

    def alias_value(alias: Any) -> Any:
        """What a `type` statement stands for, with forward references for names that do not exist yet."""
        try:
            return alias.__value__
        except NameError:
            return annotationlib.call_evaluate_function(alias.evaluate_value, annotationlib.Format.FORWARDREF)

    def set_annotations(
        function: Any, compute: Callable[[dict[str, Any]], dict[str, Any]], owner: Callable[[], Any]
    ) -> None:
        """Give `function` annotations, computed from those of a class when they are asked for.

        Before Python 3.14 they are computed at once, from nothing. `owner` gives the class, None until there is one.
        """

        def __annotate__(format: Any, /) -> dict[str, Any]:
            # With fake globals Python asks only for functions that it has compiled.
            if format == annotationlib.Format.VALUE_WITH_FAKE_GLOBALS:
                raise NotImplementedError(format)
            declared: dict[str, Any] = {}
            for base in reversed(getattr(owner(), "__mro__", ())):
                # `get_annotations` would keep lazy ones in the class's dict, which a decorator may be going through.
                found = _annotations(base.__dict__, format, base)
                declared.update(annotationlib.get_annotations(base, format=format) if found is None else found)
            return compute(declared)

        function.__annotate__ = __annotate__

    def signature(function: Any) -> inspect.Signature:
        """The signature, with annotations as they were written."""
        return inspect.signature(function, annotation_format=annotationlib.Format.STRING)

    def signature_text(call: inspect.Signature) -> str:
        """The text of a signature with annotations as they were written."""
        return call.format(quote_annotation_strings=False)

else:
    # No annotation is lazy: those of a class body are in its namespace.

    def lazy_annotations(namespace: dict[str, Any]) -> dict[str, Any]:
        return {}

    def set_annotations(
        function: Any, compute: Callable[[dict[str, Any]], dict[str, Any]], owner: Callable[[], Any]
    ) -> None:
        function.__annotations__ = compute({})

    namespace_texts = lazy_annotations
    alias_value: Callable[[Any], Any] = operator.attrgetter("__value__")
    signature, signature_text = inspect.signature, str
