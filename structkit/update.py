"""Changed copies of structs and trees: `replace`, `construct` and `at`. Every update goes through this module."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from structkit._fields import MISSING
from structkit._spec import GENERATED, ClassSpec, spec_of
from structkit._storage import Flat, build, new, store
from structkit._typing import any_list, any_tuple, tree_flatten_with_path
from structkit.errors import (
    BaseInstantiationError,
    NotAStructError,
    NotReplaceableError,
    PlaceError,
    UnknownFieldError,
    nearest,
)

_S = TypeVar("_S")
_V = TypeVar("_V")
_W = TypeVar("_W")


def known_spec(call: str, cls: Any) -> ClassSpec:
    """The plan of a struct class.

    Args:
        call: the name of the function that was called, for the message.
        cls: a class.

    Raises:
        NotAStructError: it is no struct class.
    """
    spec = spec_of(cls) if isinstance(cls, type) else None
    if spec is None:
        raise NotAStructError(call, f"the class {cls.__name__}" if isinstance(cls, type) else type(cls).__name__)
    return spec


def with_flat(struct: _S, children: tuple[Any, ...], statics: tuple[Any, ...]) -> _S:
    """An object of the same class with another flat form; no code of the user's runs.

    Args:
        struct: a struct.
        children: its new children.
        statics: its new statics, as its plan packs them.
    """
    made: _S = new(type(struct))
    store(made, (children, statics))
    return made


def construct(cls: type[_S], /, **values: Any) -> _S:
    """An object of `cls` with these field values, made without running any code of the user's.

    No `__init__`, converter, `__post_init__` or check runs. Useful in the class's own constructors and for values
    that have been checked before.

    Args:
        cls: a struct class.
        **values: the fields by name; one that is left out takes its default.

    Raises:
        UnknownFieldError: a name is no field.
        MissingFieldError: a field without a default is left out.
        StaticValueError: a value cannot be static.

    Example:
        >>> from structkit import Struct, construct
        >>> class Positive(Struct):
        ...     x: float
        ...     def __check_init__(self):
        ...         if self.x <= 0: raise ValueError("x must be positive")
        >>> construct(Positive, x=-1.0)
        Positive(x=-1.0)
    """
    spec = known_spec("construct", cls)
    if spec.is_root:
        raise BaseInstantiationError
    _refuse_unknown(spec, values, "construct")
    return build(cls, values)  # type: ignore[no-any-return]


def replace(struct: _S, /, **changes: Any) -> _S:
    """A copy of `struct` with some fields changed.

    Goes through the constructor, as `dataclasses.replace` does: converters, `__post_init__` and checks run. For a
    class with a custom `__init__` the fields are put in place directly, and then `__check_init__` runs.

    Args:
        struct: a struct.
        **changes: the new values by name.

    Raises:
        UnknownFieldError: a name is no field.
        NotReplaceableError: a field is not an `__init__` parameter, or an `InitVar` without a default is left out.

    Example:
        >>> from structkit import Struct, replace
        >>> class Point(Struct):
        ...     x: float
        ...     y: float
        >>> replace(Point(1.0, 2.0), y=3.0)
        Point(x=1.0, y=3.0)
    """
    if not isinstance(struct, Flat):
        raise NotAStructError("replace", type(struct).__name__)
    return replace_method(struct, **changes)  # type: ignore[no-any-return]


def replace_method(self: Any, /, **changes: Any) -> Any:
    """A copy with some fields changed; see `structkit.replace`."""
    spec: ClassSpec = self.__struct__
    if not spec.simple:
        return _reconstructed(self, spec, changes)
    children, statics = self.__flat__
    edited, index = [*children], spec.index
    for name, value in changes.items():
        if name not in index or spec.fields[name].static:
            return _replaced(self, spec, changes)
        edited[index[name]] = value
    # Spelt out, since a call of `with_flat` would take a quarter of the time.
    made = new(type(self))
    store(made, (tuple(edited), statics))
    return made


def _replaced(self: Any, spec: ClassSpec, changes: Mapping[str, Any]) -> Any:
    """The copy with changes put straight into the flat form."""
    _refuse_unknown(spec, changes, "replace")
    children, statics = self.__flat__
    children = tuple([changes.get(name, value) for name, value in zip(spec.data, children)])
    if any(spec.fields[name].static for name in changes):
        values = tuple([changes.get(name, value) for name, value in zip(spec.statics, statics[1:])])
        statics = spec.pack(values)
    return with_flat(self, children, statics)


def _reconstructed(self: Any, spec: ClassSpec, changes: dict[str, Any]) -> Any:
    """The copy for a class with hooks: through the generated constructor, or directly for a custom one."""
    if spec.init != GENERATED:
        made = _replaced(self, spec, changes)
        for check in spec.checks:
            check(made)
        return made
    _refuse_unknown(spec, changes, "replace")
    arguments = {}
    for name, f in spec.arguments.items():
        if not f.init:
            if name in changes:
                raise NotReplaceableError(
                    spec.name,
                    name,
                    "is not an __init__ parameter; change what it is computed from, or use at(...).set(...)",
                )
        elif name in changes:
            arguments[name] = changes[name]
        elif name not in spec.initvars:
            arguments[name] = getattr(self, name)
        elif f.default is MISSING:
            raise NotReplaceableError(spec.name, name, "is an InitVar, which is not kept; pass it again")
    return type(self)(**arguments)


def _refuse_unknown(spec: ClassSpec, values: Mapping[str, Any], call: str) -> None:
    for name in values:
        if name not in (spec.fields if call == "construct" else spec.arguments):
            raise UnknownFieldError(spec.name, name, spec.fields, call)


# One step on the way to a place: how it is written, and the key under which JAX or a static field has it.
_Step = tuple[str, Any]
_ATTRIBUTE, _ITEM = "attribute", "item"


class Ref(Generic[_S, _V]):
    """A place in a tree, made by `at`. Its methods give changed copies of the tree; the tree itself never changes."""

    __slots__ = ("_path", "_tree")

    def __init__(self, tree: _S, path: tuple[_Step, ...]):
        self._tree, self._path = tree, path

    def get(self) -> _V:
        """The value at the place."""
        node: Any = self._tree
        for i, step in enumerate(self._path):
            node = _child(node, step, self._path[: i + 1])
        return node  # type: ignore[no-any-return]

    def set(self, value: _V) -> _S:
        """The tree with `value` at the place.

        Args:
            value: anything; a static field takes what a constructor would.
        """
        return _with(self._tree, self._path, value, ())  # type: ignore[no-any-return]

    def apply(self, function: Callable[[_V], _V]) -> _S:
        """The tree with `function` of the value at the place.

        Args:
            function: takes the value, returns the new one.
        """
        return self.set(function(self.get()))

    def at(self, where: Callable[[_V], _W], /) -> Ref[_S, _W]:
        """A place further down.

        Args:
            where: as in `structkit.at`, from the value at this place on.
        """
        return Ref(self._tree, (*self._path, *_path(self.get(), where, self._path)))

    def __repr__(self) -> str:
        return f"at(<{type(self._tree).__name__}>{_written(self._path)})"


def at(tree: _S, where: Callable[[_S], _V], /) -> Ref[_S, _V]:
    """A place inside `tree`, of which `.set(v)`, `.apply(f)` and `.get()` make use; `.at(...)` goes further down.

    Static fields and places that hold None can be pointed at too. No code of a class in the tree runs.

    Args:
        tree: any pytree.
        where: a function of the tree that returns the place, by attributes and items only, such as
            `lambda t: t.layers[0].weight`.

    Raises:
        PlaceError: `where` leaves the tree, or does something else than following attributes and items.

    Example:
        >>> from structkit import Struct, at
        >>> class Layer(Struct):
        ...     weight: float
        >>> class Model(Struct):
        ...     layers: list[Layer]
        >>> at(Model([Layer(1.0), Layer(2.0)]), lambda m: m.layers[1].weight).set(0.0)
        Model(layers=[Layer(weight=1.0), Layer(weight=0.0)])
    """
    return Ref(tree, _path(tree, where, ()))


class _Recorder:
    """Stands for a node while `where` runs, and records how it is reached."""

    __slots__ = ("_node", "_steps")

    def __init__(self, node: Any, steps: tuple[_Step, ...]):
        object.__setattr__(self, "_node", node)
        object.__setattr__(self, "_steps", steps)

    def __getattribute__(self, name: str) -> Any:
        return _recorded(self, (_ATTRIBUTE, name))

    def __getitem__(self, key: Any) -> Any:
        return _recorded(self, (_ITEM, key))

    def __len__(self) -> int:
        node = object.__getattribute__(self, "_node")
        if not isinstance(node, (any_list, any_tuple, dict)):
            _refusal("an operation (len)")(self)
        return len(node)

    def __iter__(self) -> Any:
        node = object.__getattribute__(self, "_node")
        if not isinstance(node, (any_list, any_tuple)):
            steps = object.__getattribute__(self, "_steps")
            raise PlaceError(
                _described(steps), f"is a {type(node).__name__} and is iterated over", "use an index or key"
            )
        return iter([self[i] for i in range(len(node))])


def _refusal(operation: str) -> Callable[..., Any]:
    def refuse(recorder: Any, *others: Any) -> Any:
        steps = object.__getattribute__(recorder, "_steps")
        raise PlaceError(_described(steps), f"is used in {operation}", "follow attributes and items only")

    return refuse


# Python looks these up on the class, so `__getattribute__` does not see them.
_OPERATIONS = (
    *("abs", "add", "floordiv", "matmul", "mod", "mul", "neg", "pos", "pow", "radd", "rmul", "rsub", "sub", "truediv"),
    *("and", "bool", "eq", "ge", "gt", "le", "lt", "ne", "or"),
)
for _operation in _OPERATIONS:
    setattr(_Recorder, f"__{_operation}__", _refusal(f"an operation ({_operation})"))
type.__setattr__(_Recorder, "__call__", _refusal("a call"))


def _recorded(recorder: Any, step: _Step) -> _Recorder:
    steps = (*object.__getattribute__(recorder, "_steps"), step)
    return _Recorder(_child(object.__getattribute__(recorder, "_node"), step, steps), steps)


def _path(tree: Any, where: Callable[[Any], Any], prefix: tuple[_Step, ...]) -> tuple[_Step, ...]:
    if not callable(where):
        raise PlaceError("where", f"is a {type(where).__name__}", "pass a function: lambda t: t.layers[0].weight")
    found = where(_Recorder(tree, prefix))
    if type(found) is not _Recorder:
        raise PlaceError(
            "where", f"returned a {type(found).__name__}, not a place", "return one place: lambda t: t.weight"
        )
    steps: tuple[_Step, ...] = object.__getattribute__(found, "_steps")
    return steps[len(prefix) :]


def _written(path: tuple[_Step, ...]) -> str:
    return "".join(f".{key}" if kind == _ATTRIBUTE else f"[{key!r}]" for kind, key in path)


def _described(path: tuple[_Step, ...]) -> str:
    return "tree" + _written(path)


def _child(node: Any, step: _Step, path: tuple[_Step, ...]) -> Any:
    if isinstance(node, Flat):
        _struct_place(node, step, path)
        return getattr(node, step[1])
    keys, children, _ = _one_level(node, path)
    return children[_find(node, keys, step, path)]


def _with(node: Any, path: tuple[_Step, ...], value: Any, done: tuple[_Step, ...]) -> Any:
    if not path:
        return value
    step, rest = path[0], path[1:]
    here = (*done, step)
    if isinstance(node, Flat):
        _struct_place(node, step, here)
        return _replaced(node, node.__struct__, {step[1]: _with(getattr(node, step[1]), rest, value, here)})  # type: ignore[attr-defined]
    keys, children, treedef = _one_level(node, here)
    i = _find(node, keys, step, here)
    children[i] = _with(children[i], rest, value, here)
    return treedef.unflatten(children)


def _struct_place(node: Any, step: _Step, path: tuple[_Step, ...]) -> None:
    spec: ClassSpec = node.__struct__
    if step[0] != _ATTRIBUTE or step[1] not in spec.fields:
        near = nearest(str(step[1]), spec.fields)
        raise PlaceError(_described(path), f"is no field of {spec.name}{near}", f"fields: {', '.join(spec.fields)}")


def _one_level(node: Any, path: tuple[_Step, ...]) -> tuple[list[Any], list[Any], Any]:
    """The keys and children of any pytree node, and the treedef of this level alone."""
    pairs, treedef = tree_flatten_with_path(node, is_leaf=lambda inner: inner is not node)
    if node is None or (len(pairs) == 1 and not pairs[0][0]):
        raise PlaceError(
            _described(path),
            f"goes into a leaf of type {type(node).__name__}",
            "point at the leaf and use .apply(lambda leaf: ...)",
        )
    return [key_path[0] for key_path, _ in pairs], [child for _, child in pairs], treedef


def _find(node: Any, keys: list[Any], step: _Step, path: tuple[_Step, ...]) -> int:
    kind, wanted = step
    if kind == _ITEM and isinstance(node, (any_list, any_tuple)) and isinstance(wanted, int) and wanted < 0:
        wanted += len(keys)
    for i, key in enumerate(keys):
        name = getattr(key, "name", None) if kind == _ATTRIBUTE else getattr(key, "key", getattr(key, "idx", None))
        if name == wanted and type(name) is type(wanted):
            return i
    if kind == _ITEM and isinstance(node, any_tuple) and hasattr(node, "_fields") and isinstance(wanted, int):
        if 0 <= wanted < len(keys):
            return wanted
    known = ", ".join(str(key) for key in keys)
    raise PlaceError(_described(path), f"is no child of the {type(node).__name__}", f"children: {known or 'none'}")
