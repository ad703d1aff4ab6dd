"""How what was saved fits a target: a tree to fill, and every difference by its path."""

from __future__ import annotations

import typing
from collections.abc import Iterable
from typing import Any, NamedTuple

import jax
import numpy as np

from structkit._core.fields import MISSING, Field, default_value
from structkit._core.flat import by_names, new, store
from structkit._core.plan import plan_of
from structkit._core.registry import node_of
from structkit._trees.nodes import fields_of, flattened
from structkit._trees.processes import cut_alike
from structkit.errors import a_type, nearest
from structkit.state import _leaves, _names
from structkit.state._codec import OpaqueError
from structkit.state._header import RESTORE, FaultError
from structkit.state._sources import FileSource, key_of, kind_name


class Difference(NamedTuple):
    """One place where what was saved and its target differ.

    Attributes:
        path: of the place, as `jax.tree_util.keystr` writes it.
        kind: `"missing"` (only the target has it), `"unknown"` (only what was saved has it), `"shape"`, `"dtype"`,
            `"static"` or `"structure"`.
        what: the difference in words.

    Example:
        >>> from structkit import state
        >>> print(state.Difference(".w", "shape", "f32[3] was saved, the target has f32[4]"))
        .w: shape: f32[3] was saved, the target has f32[4]
    """

    path: str
    kind: str
    what: str

    def __str__(self) -> str:
        return f"{self.path or 'the root'}: {self.kind}: {self.what}"


class Slot:
    """Stands in a tree for a leaf that is to be read.

    Attributes:
        number: of the leaf in the file.
        target: what the target has there; `ANY` where the file decides.
    """

    __slots__ = ("number", "target")

    def __init__(self, number: int, target: Any):
        self.number, self.target = number, target


_PLACES = (jax.sharding.Sharding, jax.sharding.PartitionSpec)
_SHAPES = "give the shapes together with their places, as sharding.shard(shapes, mesh) does"

ANY: Any = object()
"""A target that takes what there is."""


class Matcher:
    """One comparison.

    Attributes:
        differences: what does not fit.
        lacking: whether there is a place that can be given nothing: where the file decides and does not know.
        cure: for a target that holds something else than arrays, which nothing fits; else nothing.
    """

    def __init__(self) -> None:
        self.differences: list[Difference] = []
        self.lacking = False
        self.cure = ""

    def fit(self, target: Any, source: Any, path: str) -> Any:
        """The target with what was saved in the places that fit, and what it has itself in the others."""
        # `Box[int]` is `Box` to a file.
        cls = target if isinstance(target, type) else typing.get_origin(target)
        if isinstance(cls, type):
            return self._of_class(cls, source, path)
        kind = source.kind if target is ANY else kind_name(target)
        if not source.as_kind(kind):
            return self._other_structure(target, source, kind, path)
        if kind == "none":
            return None
        return getattr(self, f"_{kind}")(target, source, path)

    def _tell(self, path: str, kind: str, what: str) -> None:
        self.differences.append(Difference(path, kind, what))

    def _kept(self, target: Any) -> Any:
        """What stands where nothing fits."""
        if target is ANY:
            self.lacking = True
            return None
        return target

    def _other_structure(self, target: Any, source: Any, kind: str, path: str) -> Any:
        has = _article(kind)
        if kind == "leaf" and callable(target):
            has, self.cure = a_type(target), "give what jax.eval_shape gives of it, or a class"
        elif kind == "leaf" and isinstance(target, _PLACES):
            has, self.cure = a_type(target), _SHAPES
        if source.kind == "none":
            self._tell(path, "missing", f"None was saved, the target has {has}")
        elif kind == "none":
            self._tell(path, "unknown", f"{_article(source.kind)} was saved, the target has None")
        elif source.kind == kind:
            self._tell(path, "structure", f"{_article(kind)} is given, and no state dict: see to_state_dict")
        else:
            self._tell(path, "structure", f"{_article(source.kind)} was saved, the target has {has}")
        return self._kept(target)

    def _leaf(self, target: Any, source: Any, path: str) -> Any:
        from_file = isinstance(source, FileSource)
        saved = _leaves.of_entry(source.entry) if from_file else _leaves.of_value(source.held)
        if target is not ANY:
            known = _leaves.of_value(target)
            if saved is None or known is None:
                if from_file or type(source.held) is not type(target):
                    what = "a leaf" if saved is None else str(saved)
                    self.cure = _SHAPES if isinstance(target, _PLACES) else self.cure
                    self._tell(path, "dtype", f"{what} was saved, the target has {a_type(target)}")
                    return target
            elif kind := _leaves.difference(saved, known):
                self._tell(path, kind, f"{saved} was saved, the target has {known}")
                return target
        return Slot(source.number, target) if from_file else source.held

    def _list(self, target: Any, source: Any, path: str) -> Any:
        parts = source.parts("list")
        if target is ANY:
            return [self.fit(ANY, part, f"{path}[{i}]") for i, part in parts.items()]
        found = [
            self.fit(item, parts.pop(i), f"{path}[{i}]") if i in parts else self._missing(f"{path}[{i}]", item)
            for i, item in enumerate(target)
        ]
        self._unknown([f"{path}[{i}]" for i in parts])
        return found

    def _tuple(self, target: Any, source: Any, path: str) -> Any:
        return tuple(self._list(target, source, path))

    def _dict(self, target: Any, source: Any, path: str) -> Any:
        parts = source.parts("dict")
        if target is ANY:
            return {key: self.fit(ANY, part, f"{path}[{key!r}]") for (_, key), part in parts.items()}
        found = {}
        for key, item in target.items():
            here, part = f"{path}[{key!r}]", parts.pop(key_of(key), None)
            found[key] = self._missing(here, item) if part is None else self.fit(item, part, here)
        self._unknown([f"{path}[{key!r}]" for _, key in parts], [repr(key) for key in target])
        return found

    def _named(self, target: Any, source: Any, path: str) -> Any:
        cls: Any = self._class_of(source, path) if target is ANY else type(target)
        names = getattr(cls, "_fields", None)
        if names is None or not issubclass(cls, tuple):
            return self._no_class(source, path)
        parts, defaults, found = source.parts("named"), getattr(cls, "_field_defaults", {}), []
        items = [ANY] * len(names) if target is ANY else tuple(target)
        for name, item in zip(names, items):
            here, part = f"{path}.{name}", parts.pop(name, None)
            if part is not None:
                found.append(self.fit(item, part, here))
            else:
                found.append(self._default(defaults.get(name, MISSING), item, here))
        self._unknown([f"{path}.{name}" for name in parts])
        return tuple.__new__(cls, found)

    def _other(self, target: Any, source: Any, path: str) -> Any:
        if target is ANY:
            self._tell(path, "structure", f"a {source.entry[1]} is not made from a file alone: give an instance")
            return self._kept(target)
        keys, children, treedef = flattened(target)
        parts, found = source.parts("other"), []
        for key, item in zip(keys, children):
            part, here = parts.pop(source.other_key(key), None), f"{path}{key}"
            found.append(self._missing(here, item) if part is None else self.fit(item, part, here))
        self._unknown([f"{path}{key}" for key in parts])
        return treedef.unflatten(found)

    def _struct(self, target: Any, source: Any, path: str) -> Any:
        cls = self._class_of(source, path) if target is ANY else type(target)
        if not _names.is_struct_class(cls):
            return self._no_class(source, path)
        return self._fields(cls, target, source, path)

    def _of_class(self, cls: Any, source: Any, path: str) -> Any:
        if source.as_kind("struct") and _names.is_struct_class(cls) and isinstance(source, FileSource):
            return self._fields(cls, ANY, source, path)
        builtin = {list: "list", tuple: "tuple", dict: "dict"}.get(cls, "named" if hasattr(cls, "_fields") else "")
        if source.kind == builtin and isinstance(source, FileSource):
            return self.fit(ANY, source, path)
        self._tell(path, "structure", f"{_article(source.kind)} was saved, the target is the class {cls.__qualname__}")
        return self._kept(ANY)

    def _class_of(self, source: Any, path: str) -> Any:
        try:
            return _names.resolve_class(source.entry[1])
        except _names.UnknownNameError:
            return None

    def _no_class(self, source: Any, path: str) -> Any:
        self._tell(path, "structure", f"the class {source.entry[1]} is not loaded: import it, or give an instance")
        return self._kept(ANY)

    def _fields(self, cls: Any, target: Any, source: Any, path: str) -> Any:
        """An object of a struct class with the saved values of its fields."""
        fields = fields_of(cls)
        statics = source.statics([name for name, f in fields.items() if f.static for name in (name, *f.aliases)])
        data = {name: part for name, part in source.parts("struct").items() if name not in statics}
        names = {name: _saved_as(name, f, (data, statics)) for name, f in fields.items()}
        values = {}
        for name, f in fields.items():
            mine = ANY if target is ANY else getattr(target, name)
            if f.static and names[name] is None and not isinstance(source, FileSource):
                # A state dict need not have them.
                values[name] = mine
                continue
            given = (data, statics) if not f.static else (statics, data)
            values[name] = self._field(f, mine, names[name], given, f"{path}.{name}")
        left = [name for name in (*data, *statics) if name not in names.values()]
        self._unknown([f"{path}.{name}" for name in left], list(fields))
        return built(cls, values)

    def _field(self, f: Field, mine: Any, saved_as: str | None, given: Any, path: str) -> Any:
        right, wrong = given
        if saved_as is None:
            # The order of things: what the class says, also where the target has something else.
            try:
                default = default_value(f)
                if default is not MISSING and f.converter is not None:
                    default = f.converter(default)
            except Exception as error:
                error.add_note(f"This came of the default of {path}, which was not saved.")
                raise
            return default if f.static and default is not MISSING else self._default(default, mine, path)
        if saved_as in wrong:
            kinds = ("data", "static") if f.static else ("static", "data")
            self._tell(path, "static", f"it was saved as {kinds[0]}, and is {kinds[1]} in the target")
            return self._kept(mine)
        if not f.static:
            return self.fit(mine, right[saved_as], path)
        return self._static(right[saved_as], mine, path)

    def _static(self, saved: Any, mine: Any, path: str) -> Any:
        if mine is ANY:
            try:
                return saved.value()
            except OpaqueError as error:
                # For an instance, only a value that was not written is not compared.
                cure = "that has it" if saved.stands_for(ANY) else "and strict=False, which takes its value"
                self._tell(path, "static", f"{error}: give an instance {cure}")
                return self._kept(ANY)
            except ValueError as error:
                raise FaultError(f"has a static value that makes no sense, {path} ({error})", RESTORE) from None
        if not saved.stands_for(mine):
            held, given = cut_alike([str(saved), saved.beside(mine)])
            self._tell(path, "static", f"{held} was saved, the target has {given}")
        return mine

    def _default(self, default: Any, mine: Any, path: str) -> Any:
        """What a field has that was not saved: its default, the arrays where the target has those of their form."""
        if default is MISSING:
            return self._missing(path, mine)
        places, other = jax.tree_util.tree_flatten_with_path(None if mine is ANY else mine)
        leaves, treedef = jax.tree.flatten(default)
        if treedef != other:
            return default
        for leaf, (keys, place) in zip(leaves, places):
            own, known = map(_leaves.of_value, (leaf, place))
            if own and known and not (own.python and known.python) and (kind := _leaves.difference(own, known)):
                # As the layers of a scan have one more axis: of another form it would fit nothing else in the target.
                what = f"it was not saved and has {own} by default, the target has {known}"
                self._tell(f"{path}{jax.tree_util.keystr(keys)}", kind, what)
                return mine
        return treedef.unflatten([_laid(leaf, place) for leaf, (_, place) in zip(leaves, places)])

    def _missing(self, path: str, item: Any) -> Any:
        self._tell(path, "missing", "the target has it, and it was not saved")
        return self._kept(item)

    def _unknown(self, paths: Iterable[str], known: Any = ()) -> None:
        for path in paths:
            near = nearest(path.rpartition(".")[2], known) if known else ""
            self._tell(path, "unknown", f"it was saved, and the target does not have it{near}")


def _saved_as(name: str, f: Field, held: tuple[Any, Any]) -> str | None:
    """The name under which a field was saved: its own, else the first of its aliases that is there."""
    return next((one for one in (name, *f.aliases) if one in held[0] or one in held[1]), None)


def _laid(leaf: Any, place: Any) -> Any:
    """A leaf of a default, on the devices where the target has it."""
    sharding = _leaves.sharding_of(place)
    if sharding is None or not isinstance(leaf, (jax.Array, np.ndarray)):
        return leaf
    return _leaves.put(leaf if isinstance(leaf, jax.Array) else _leaves.in_width(leaf, place.dtype), sharding)


def built(cls: Any, values: dict[str, Any]) -> Any:
    """An object with these field values; no code of its class runs."""
    plan = plan_of(cls)
    if plan is None:
        record: Any = node_of(cls)
        return record.build(values)
    made = new(cls)
    store(made, by_names(plan, values))
    return made


def _article(kind: str) -> str:
    return _ARTICLES.get(kind, f"a {kind}")


_ARTICLES = {"none": "None", "other": "a node of another library", "named": "a named tuple"}
