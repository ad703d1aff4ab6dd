"""Printing: structs as documents of `wadler_lindig`, which lays them out."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import itertools
import types
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.core
import numpy as np

from structkit._bridges import signature_text
from structkit._core.compare import is_default
from structkit._core.flat import Flat, Unset, field_values
from structkit._core.plan import GENERATED, ClassPlan, class_dict, is_of_dataclass
from structkit._core.statics import SCALARS

WIDTH, INDENT = 88, 2

# Past a metaclass, whose code may fail.
_type_name: Callable[[type], str] = vars(type)["__name__"].__get__


def _wl() -> Any:
    """The printer: imported where it is used, since printing must not cost anything at `import structkit`."""
    import wadler_lindig

    return wadler_lindig


def pformat(
    tree: Any, *, width: int = WIDTH, indent: int = INDENT, short_arrays: bool = True, hide_defaults: bool = False
) -> str:
    """Any tree as text: arrays as dtype and shape, wrapped with indentation where a line would be too long.

    Args:
        tree: anything.
        width: the longest line, in characters.
        indent: of nested lines, in characters.
        short_arrays: whether arrays are shown by dtype and shape; False shows their items.
        hide_defaults: leave out the fields of structs and dataclasses that have their default, arrays with the same
            items too. Traced values are shown; no `default_factory` is called, but for `list`, `dict`, `set`.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from structkit import pformat
        >>> print(pformat({"weight": jnp.ones((2, 3)), "activation": jax.nn.relu}))
        {'weight': f32[2,3], 'activation': relu}
        >>> from structkit import Struct
        >>> class Options(Struct):
        ...     rate: float = 0.1
        ...     momentum: float = 0.9
        >>> print(pformat(Options(0.2), hide_defaults=True))
        Options(rate=0.2)
    """
    options = {"indent": indent, "short_arrays": short_arrays, "seen_ids": set()}
    return _wl().pformat(tree, width=width, **_Printer(options, hide_defaults).options)  # type: ignore[no-any-return]


def struct_repr(struct: Any) -> str:
    """`Linear(weight=f32[784,128], activation=relu)`, on several lines when long; never fails."""
    try:
        line = _one_line(struct)
    except Exception:
        # A field that cannot be printed, which the layout shows as such.
        line = None
    return line or _wl().pformat(struct_doc(struct, seen_ids={id(struct)}), width=WIDTH)


def _one_line(struct: Any) -> str | None:
    """The `repr` of a struct of few numbers and arrays, without a layout: most objects of long lists are such."""
    plan: ClassPlan = struct.__struct__
    values, parts = field_values(struct), list[str]()
    for name, value in values.items():
        shown = repr(value) if type(value) in SCALARS else _leaf_text(value)
        if shown is None:
            return None
        if plan.fields[name].repr:
            parts.append(f"{name}={shown}")
    line = f"{type(struct).__name__}({', '.join(parts)})"
    return line if len(values) == len(plan.fields) and len(line) <= WIDTH and "\n" not in line else None


def class_text(cls: Any, call: inspect.Signature | None) -> str:
    """The `__doc__` of a class that has none: how it is called, and its fields where that does not say it all."""
    plan: ClassPlan = cls.__struct__
    fields = plan.fields.values()
    lines = [f"{cls.__name__}{'(...)' if call is None else _call_text(call)}"]
    if fields and (plan.init != GENERATED or any(f.doc or not f.init for f in fields)):
        types = [f.type if isinstance(f.type, str) else inspect.formatannotation(f.type) for f in fields]
        kinds = [kind + (", static" if f.static else "") for f, kind in zip(fields, types)]
        lines += ["", "Fields:"]
        lines += [f"    {f.name} ({kind})" + (f": {f.doc}" if f.doc else "") for f, kind in zip(fields, kinds)]
    return "\n".join(lines)


def _call_text(call: inspect.Signature) -> str:
    parameters = [
        p if p.default is p.empty else p.replace(default=_Printed(p.default)) for p in call.parameters.values()
    ]
    return signature_text(call.replace(parameters=parameters, return_annotation=call.empty))


class _Printed:
    """Prints a value as `pformat` does."""

    def __init__(self, value: Any):
        self.value = value

    def __repr__(self) -> str:
        return _shown_by(pformat, self.value)


def _shown_by(show: Callable[[Any], str], value: Any) -> str:
    try:
        return show(value)
    except Exception as error:
        return _repr_raises(value, error)


def _repr_raises(value: Any, error: Exception) -> str:
    return f"<{_type_name(type(value))} whose repr raises {type(error).__name__}>"


def struct_doc(struct: Any, **options: Any) -> Any:
    """The document of a struct: its name and the fields that are shown."""
    custom = options.get("custom")
    printer = custom if type(custom) is _Printer else _Printer(options)
    return printer.fields_doc(struct, struct.__struct__.fields, _shown_fields(struct))


def _shown_fields(struct: Any) -> list[tuple[str, Any]]:
    plan: ClassPlan = struct.__struct__
    values = field_values(struct)
    return [(name, values.get(name, Unset(plan.name, name))) for name, f in plan.fields.items() if f.repr]


def text(shown: str) -> Any:
    """The document of a text, to be shown as it is."""
    return _wl().TextDoc(shown)


class _Printer:
    """What `wadler_lindig` asks first about each value: the caller's own `custom`, then ours, with its options.

    Arrays are short, functions and classes go by name, and long containers are cut.
    """

    def __init__(self, options: dict[str, Any], hide_defaults: bool = False):
        self.callers: Callable[[Any], Any] | None = options.get("custom")
        self.hide_defaults = hide_defaults
        # Not with the `hide_defaults` of `wadler_lindig`, which is True unless somebody says otherwise, and compares
        # by identity.
        self.options = {"indent": INDENT, "short_arrays": True, **options, "hide_defaults": False, "custom": self}

    def __call__(self, value: Any) -> Any:
        doc = None if self.callers is None else self.callers(value)
        if doc is not None:
            return doc
        if not self.options["short_arrays"] and isinstance(value, _ARRAYS) and not _is_deleted(value):
            return None
        cls, is_container = type(value), isinstance(value, _CONTAINERS)
        if "__node__" in class_dict(cls) and isinstance(cls.__repr__, types.FunctionType):
            if not is_of_dataclass(cls.__repr__):
                # Of a dataclass of `structkit.struct`: the user's own.
                return text(_shown_by(repr, value))
        if is_container and len(value) > _MOST_ITEMS and not hasattr(value, "_fields"):
            return self._cut(value)
        if self.hide_defaults and dataclasses.is_dataclass(cls) and not is_container and not hasattr(cls, "__pdoc__"):
            fields = {f.name: f for f in dataclasses.fields(value) if f.repr}
            held = [(name, getattr(value, name, Unset(cls.__name__, name))) for name in fields]
            return self.fields_doc(value, fields, held)
        shown = _leaf_text(value)
        return None if shown is None else text(shown)

    def fields_doc(self, value: Any, fields: Mapping[str, Any], shown: list[tuple[str, Any]]) -> Any:
        """The document of an object of a struct or dataclass with these fields."""
        if self.hide_defaults:
            shown = [(name, item) for name, item in shown if not is_default(fields[name], item)]
        return _wl().bracketed(
            begin=text(f"{type(value).__name__}("),
            docs=[self._field_doc(name, item) for name, item in shown],
            sep=_wl().comma,
            end=text(")"),
            indent=self.options["indent"],
        )

    def _field_doc(self, name: str, value: Any) -> Any:
        try:
            if self.callers is None and type(value) in SCALARS:
                # What `pdoc` comes to in the end, as one piece of text.
                return text(f"{name}={value!r}")
            doc = _wl().pdoc(value, **self.options)
        except RecursionError:
            doc = text(f"<{_type_name(type(value))} nested too deeply to show>")
        except Exception as error:
            doc = text(_repr_raises(value, error))
        return text(f"{name}=") + doc

    def _cut(self, value: Any) -> Any:
        """The first items of a long container, and how many more there are."""
        kind = next(kind for kind in _CONTAINERS if isinstance(value, kind))
        first = kind(itertools.islice(value.items() if kind is dict else value, _MOST_ITEMS))
        opening, closing = tuple(_BRACKETS[kind])
        return _wl().pdoc(first, **self.options) + text(f" + {opening}{len(value) - _MOST_ITEMS:,} more{closing}")


# Typed so that the items of a numpy array need no type of their own.
_ARRAYS: tuple[type[Any], ...] = (jax.Array, np.ndarray)
_MOST_ITEMS = 1000
_BRACKETS: dict[type[Any], str] = {list: "[]", tuple: "()", dict: "{}", set: "{}", frozenset: "{}"}
_CONTAINERS: tuple[type[Any], ...] = tuple(_BRACKETS)


def _leaf_text(value: Any) -> str | None:
    """Arrays as `f32[3]`, functions and classes by name; None leaves the value to `wadler_lindig`."""
    if isinstance(value, _ARRAYS):
        return _array_text(value)
    if type(value) is jax.ShapeDtypeStruct:
        return short_form(value, "abstract")
    if isinstance(value, type):
        return _type_name(value)
    if callable(value) and isinstance(value, _FUNCTIONS):
        return str(getattr(value, "__name__", repr(value)))
    return None


_JITTED: type = type(jax.jit(lambda: None))  # pyright: ignore[reportUnknownMemberType]  # JAX's signature is partly open
_FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType, np.ufunc, jax.custom_jvp, jax.custom_vjp, _JITTED)


def _array_text(value: Any) -> str:
    deleted = _is_deleted(value)
    form = short_form(value, "numpy" if isinstance(value, np.ndarray) else "deleted" if deleted else None)
    # Of the others some are records, such as the tangents of integers, and some are no dtypes of numpy's.
    is_number = isinstance(value.dtype, np.dtype) and (
        jax.numpy.issubdtype(value.dtype, np.number) or value.dtype == np.bool_
    )
    if value.ndim == 0 and is_number and not deleted and not isinstance(value, jax.core.Tracer):
        # People print states to read them: a loss, a step. Not all of an array may be on this process.
        with contextlib.suppress(Exception):
            form = form.replace("[]", f"({np.asarray(value)[()]!s})", 1)
    return form


def short_form(value: Any, note: str | None) -> str:
    """The dtype and shape of an array, `f32[3]`, with a note in brackets."""
    return _wl().array_summary(value.shape, str(value.dtype), note).text  # type: ignore[no-any-return]


def _is_deleted(value: Any) -> bool:
    return not isinstance(value, np.ndarray | jax.core.Tracer) and bool(value.is_deleted())


def ipython_pretty(self: Any, printer: Any, cycle: bool) -> None:
    """What IPython shows, in the width that it has."""
    room = max(printer.max_width - printer.output_width, 1)
    text = f"{type(self).__name__}(...)" if cycle else pformat(self, width=room)
    for i, line in enumerate(text.splitlines()):
        if i:
            printer.break_()
        printer.text(line)


def pprint_struct(printer: Any, struct: Any, stream: Any, indent: int, allowance: int, *_: Any) -> None:
    """What `pprint` writes where one line is too short, in the width that it has."""
    text = pformat(struct, width=max(printer._width - indent - allowance, 1))
    stream.write(text.replace("\n", "\n" + " " * indent))


def rich_repr(self: Any) -> Any:
    """The fields with their values for rich, which lays them out; arrays are shown as everywhere."""
    for name, value in _shown_fields(self):
        with contextlib.suppress(Exception):
            # It may be no tree, such as a dict whose keys do not sort. A struct tells rich its fields itself.
            leaves, treedef = jax.tree.flatten(value, is_leaf=lambda inner: isinstance(inner, Flat))
            value = treedef.unflatten([leaf if isinstance(leaf, Flat) else _Printed(leaf) for leaf in leaves])
        yield name, value
