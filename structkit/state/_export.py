"""What `jax.export` writes of structs: the name of the class, its fields, and its statics by the codec of files.

JAX asks once for each class how its part of a treedef is written, and looks up what it reads by a name. There the name
is the qualified one without the module: which class is meant says what is written, as in a file, so that a class of
`__main__` is found in the module that it was moved to, and a class that was defined anew takes the place of the old.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import jax
import jax.export

from structkit._core.plan import plan_of
from structkit._core.registry import node_of
from structkit._core.statics import FrozenDict
from structkit.errors import StateError
from structkit.state import _codec, _names
from structkit.state._classes import classes_in
from structkit.state._matching import built
from structkit.state._schema import read_node

_T = TypeVar("_T")


def register_export(tree: _T) -> _T:
    """The tree, after its classes were made known to `jax.export`.

    Functions that take or give structs can then be serialized, and deserialized where their classes are registered too.
    Registered are the classes of the structs and named tuples in the tree, `structkit.struct` and the states of optax
    included, and the classes that the annotations of their data fields name. To do it again changes nothing.

    Static values are written as in files: nothing is pickled, functions and classes are written by name and found among
    the loaded modules. So a struct is not serialized that holds a value which cannot be written.

    Args:
        tree: any pytree of structs, also what `jax.eval_shape` gives; classes may stand in it, as in
            `register_export([Model, Adam])`; or one class.

    Raises:
        NotAStructError: a class is neither a struct nor a named tuple.
        StateError: it is neither a class nor a tree, such as a text or a function; or the package flatbuffers is not
            there, which JAX serializes with. `serialize` and `deserialize` raise
            it for a static value that cannot be written or found, and for a class that has changed since.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from structkit import Struct, state
        >>> class Linear(Struct):
        ...     weight: jax.Array
        >>> model = state.register_export(Linear(jnp.ones(3)))
        >>> exported = jax.export.export(jax.jit(lambda model, x: model.weight @ x))(model, jnp.ones(3))
        >>> print(jax.export.deserialize(exported.serialize()).call(model, jnp.ones(3)))
        3.0
    """
    if importlib.util.find_spec("flatbuffers") is None:
        what = "the package flatbuffers is not here, which jax.export serializes with"
        raise StateError("register_export", what, "pip install 'structkit-jax[state]'")
    for cls in classes_in(tree, "register_export"):
        _register(cls)
    return tree


_registered: dict[type, str] = {}
_owners: dict[str, type] = {}


def _register(cls: Any) -> None:
    """Make a class known to JAX, unless it is, by this function or by others."""
    if cls in _registered:
        return
    # JAX shows it where a class is not registered.
    name = f"structkit.state.register_export:{cls.__qualname__}"
    if _owners.setdefault(name, cls) is not cls:
        name = _Namesake(name)
    try:
        jax.export.register_pytree_node_serialization(
            cls,
            serialized_name=name,
            serialize_auxdata=functools.partial(_written, cls),
            deserialize_auxdata=_read,
            from_children=_made,
        )
    except ValueError as error:
        if "for type" not in str(error):
            raise
    _registered[cls] = name


class _Namesake(str):
    """A name that is equal to no other: JAX takes each name for one class, and `_read` needs but one of a name."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


def _written(cls: Any, aux: Any) -> bytes:
    """What is written of a class, and of the aux of one of its nodes.

    Raises:
        StateError: a static value cannot be written.
    """
    known: Any = plan_of(cls) or node_of(cls)
    if known is None:
        # JAX gives named tuples no aux.
        _static_values(cls, (), () if aux is None else (aux,))
        entry: list[Any] = ["named", _names.recorded(cls), [*cls._fields]]
    else:
        values = _static_values(cls, known.static_names, aux)
        statics = {name: _code(value, f"{cls.__qualname__}.{name}") for name, value in values.items()}
        entry = ["struct", _names.recorded(cls), [*known.data_names], statics]
    return json.dumps(entry, separators=(",", ":")).encode()


def _static_values(cls: Any, names: tuple[str, ...], aux: Any) -> dict[str, Any]:
    # Before the values of a `Struct` stand their names.
    values = aux[1:] if plan_of(cls) is not None and isinstance(aux, tuple) else aux
    if not isinstance(values, tuple) or len(values) != len(names):
        what = f"{cls.__qualname__} was made a pytree node by other code, which alone knows how it is written"
        cure = "give it to jax.export.register_pytree_node_serialization before register_export"
        raise StateError(_WHERE, what, cure)
    return dict(zip(names, values))


_WHERE = "jax.export"


def _code(value: Any, path: str) -> Any:
    code = _codec.encoded(value)
    if not _codec.is_opaque(code):
        return code
    path, culprit = _culprit(value, path)
    what = f"static field {path} holds a value of the type {type(culprit).__qualname__}, which cannot be written"
    cure = (
        "let the exported function close over it and leave it out of what is exported, or let it be a plain value, "
        "a frozen dataclass or struct of such, or what is found by its name in a module"
    )
    raise StateError(_WHERE, what, cure)


def _culprit(value: Any, path: str) -> tuple[str, Any]:
    """The innermost place in a static value that cannot be written, and what is there."""
    while True:
        unfit = [(part, item) for part, item in _parts(value) if _codec.is_opaque(_codec.encoded(item))]
        if not unfit:
            return path, value
        part, value = unfit[0]
        path += part


def _parts(value: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(value, tuple):
        names = getattr(value, "_fields", None)
        return zip([f".{name}" for name in names] if names else map("[{}]".format, range(len(value))), value)
    if isinstance(value, FrozenDict):
        return [(f"[{key!r}]", item) for key, item in value.items()]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [f.name for f in dataclasses.fields(value)]
        return [(f".{name}", getattr(value, name)) for name in names if hasattr(value, name)]
    return ()


class _Node(NamedTuple):
    """A node without its children.

    Attributes:
        cls: its class.
        names: of the children.
        statics: the values of the static fields.
    """

    cls: Any
    names: list[str]
    statics: dict[str, Any]


def _read(data: bytes) -> _Node:
    """The node of which this was written.

    Raises:
        StateError: its class is not loaded, or has changed; a static value cannot be found; or the data are damaged.
    """
    with _faults():
        kind, name, names, *rest = read_node(data.decode())
        codes: dict[str, Any] = rest[0] if rest else {}
        cls = _class_of(kind, name)
        known: Any = plan_of(cls) or node_of(cls)
        mine, statics = ([*cls._fields], ()) if known is None else ([*known.data_names], known.static_names)
        if names != mine or codes.keys() != {*statics}:
            then, now = _listed(names, codes), _listed(mine, statics)
            what = f"{cls.__qualname__} has other fields than when the function was exported: {now}, not {then}"
            raise StateError(_WHERE, what, "export the function again")
        return _Node(cls, names, {name: _value(codes[name], f"{cls.__qualname__}.{name}") for name in statics})


@contextmanager
def _faults() -> Iterator[None]:
    try:
        yield
    except StateError:
        raise
    except Exception as error:
        # Pure reading of what may be anything; whatever it ends with, the data are at fault.
        what = f"what was written of a class is damaged ({type(error).__name__}: {error})"
        raise StateError(_WHERE, what, "export the function again, or restore its file from a copy") from error


def _class_of(kind: str, name: str) -> Any:
    if kind not in _KINDS:
        raise ValueError(f"{kind!r} is written of no class")
    try:
        cls = _names.resolve_class(name)
    except _names.UnknownNameError as error:
        # Of classes in functions, structs alone are found by name.
        known = [cls for cls in [*_registered] if _names.recorded(cls) == name]
        if not known:
            raise StateError(_WHERE, str(error), "import the module that has it before deserialize") from None
        cls = known[-1]
    is_kind, words = _KINDS[kind]
    if not is_kind(cls):
        raise StateError(_WHERE, f"{name} was {words} when the function was exported", "export the function again")
    return cls


_KINDS = {"struct": (_names.is_struct_class, "a struct"), "named": (_names.is_named_tuple, "a named tuple")}


def _listed(names: Iterable[str], statics: Iterable[str]) -> str:
    return ", ".join([*names, *[f"{name} (static)" for name in sorted(statics)]]) or "none"


def _value(code: Any, path: str) -> Any:
    try:
        return _codec.decoded(code)
    except _codec.OpaqueError as error:
        cure = "import what it comes from, as it was when the function was exported"
        raise StateError(_WHERE, f"static field {path} cannot be made here: {error}", cure) from None


def _made(aux_data: _Node, children: Sequence[Any]) -> Any:
    """The node with these children, whatever they are."""
    cls, names, statics = aux_data
    with _faults():
        if len(children) != len(names):
            raise ValueError(f"{cls.__qualname__} with {len(children)} children")
        if not _names.is_struct_class(cls):
            return tuple.__new__(cls, children)
        return built(cls, {**dict(zip(names, children)), **statics})
