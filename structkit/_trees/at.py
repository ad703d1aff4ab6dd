"""Typed places inside a pytree: `at(tree, where)` reads, sets and maps what `where` points at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from structkit._trees.paths import ATTRIBUTE, ITEM, Path, Step, child, described, read, write, written
from structkit.errors import PlaceError

_S = TypeVar("_S")
_V = TypeVar("_V")
_W = TypeVar("_W")


class Ref(Generic[_S, _V]):
    """A place in a tree, made by `at`. Its methods give changed copies of the tree; the tree itself never changes."""

    __slots__ = ("_path", "_tree")

    def __init__(self, tree: _S, path: Path):
        self._tree, self._path = tree, path

    def get(self) -> _V:
        """The value at the place."""
        return read(self._tree, self._path)  # type: ignore[no-any-return]

    def set(self, value: _V) -> _S:
        """The tree with `value` at the place.

        Args:
            value: anything; a static field takes what a constructor would.
        """
        return write(self._tree, self._path, value)  # type: ignore[no-any-return]

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
        return f"at(<{type(self._tree).__name__}>{written(self._path)})"


def at(tree: _S, where: Callable[[_S], _V], /) -> Ref[_S, _V]:
    """A place inside `tree`, of which `.set(v)`, `.apply(f)` and `.get()` make use; `.at(...)` goes further down.

    Static fields and places that hold None can be pointed at too. No code of a class in the tree runs, but for the
    converter of a static field that is set: fields that `__post_init__` computes stay as they are, and no check
    runs. Where they have to, use `.replace`.

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

    def __init__(self, node: Any, steps: Path):
        object.__setattr__(self, "_node", node)
        object.__setattr__(self, "_steps", steps)

    def __getattribute__(self, name: str) -> Any:
        return _recorded(self, (ATTRIBUTE, name))

    def __getitem__(self, key: Any) -> Any:
        return _recorded(self, (ITEM, key))

    def __len__(self) -> int:
        node = object.__getattribute__(self, "_node")
        if not isinstance(node, (list, tuple, dict)):
            _refusal("an operation (len)")(self)
        return len(node)

    def __iter__(self) -> Any:
        node = object.__getattribute__(self, "_node")
        if not isinstance(node, (list, tuple)):
            steps = object.__getattribute__(self, "_steps")
            raise PlaceError(
                described(steps), f"is a {type(node).__name__} and is iterated over", "use an index or key"
            )
        return iter([self[i] for i in range(len(node))])


def _refusal(operation: str) -> Callable[..., Any]:
    def refuse(recorder: Any, *others: Any) -> Any:
        steps = object.__getattribute__(recorder, "_steps")
        raise PlaceError(described(steps), f"is used in {operation}", "follow attributes and items only")

    return refuse


# Python looks these up on the class, so `__getattribute__` does not see them.
_OPERATIONS = (
    *("abs", "add", "floordiv", "matmul", "mod", "mul", "neg", "pos", "pow", "radd", "rmul", "rsub", "sub", "truediv"),
    *("and", "bool", "eq", "ge", "gt", "le", "lt", "ne", "or"),
)
for _operation in _OPERATIONS:
    setattr(_Recorder, f"__{_operation}__", _refusal(f"an operation ({_operation})"))
type.__setattr__(_Recorder, "__call__", _refusal("a call"))


def _recorded(recorder: Any, step: Step) -> _Recorder:
    steps = (*object.__getattribute__(recorder, "_steps"), step)
    return _Recorder(child(object.__getattribute__(recorder, "_node"), step, steps), steps)


def _path(tree: Any, where: Callable[[Any], Any], prefix: Path) -> Path:
    if not callable(where):
        raise PlaceError("where", f"is a {type(where).__name__}", "pass a function: lambda t: t.layers[0].weight")
    found = where(_Recorder(tree, prefix))
    if type(found) is not _Recorder:
        raise PlaceError(
            "where", f"returned a {type(found).__name__}, not a place", "return one place: lambda t: t.weight"
        )
    steps: Path = object.__getattribute__(found, "_steps")
    return steps[len(prefix) :]
