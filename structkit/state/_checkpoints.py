"""Trees that another library writes, such as Orbax: a schema beside them says what they were, and is compared."""

from __future__ import annotations

import ast
import json
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, Generic, TypeVar, overload

import jax
import jax.numpy as jnp
import numpy as np

from structkit.errors import StateError, StructError, a_type
from structkit.state import _dtypes, _leaves
from structkit.state._arrays import placed
from structkit.state._header import FORMAT, FaultError
from structkit.state._matching import Difference, Slot
from structkit.state._reading import Plan, misfit, planned, source_of
from structkit.state._schema import KEY, PYTHON, WEAK, RefusedAt, Schema, describe, read_schema
from structkit.state._sources import LEAF_NODE, FileSource

_T = TypeVar("_T")

_NAME = "structkit"
_LEFT_OUT: Any = ...
"""What stands in a target for a leaf that is not read; Orbax's `PLACEHOLDER`."""


def schema(tree: Any) -> dict[str, Any]:
    """What `match` has to know of a tree, as JSON: fields, shapes, dtypes and static values, and no data.

    It goes beside the tree into a checkpoint that another library writes: `custom_metadata=state.schema(tree)` in both
    interfaces of Orbax, alone or merged with what else is kept there. Of arrays over many processes each process makes
    the same. Static values that have no name, such as a lambda, are not in it, and are not compared.

    Args:
        tree: any pytree that `save` takes: of arrays, or what `jax.eval_shape` gives.

    Raises:
        StateError: it holds what no schema can tell.

    Example:
        >>> import jax.numpy as jnp
        >>> from structkit import Struct, state, static
        >>> class Linear(Struct):
        ...     weight: jnp.ndarray
        ...     unit: str = static(default="m")
        >>> state.schema(Linear(jnp.ones(3)))["structkit"]["leaves"]
        [['jax', 'float32', [3]]]
    """
    try:
        described = describe(tree).schema
    except RefusedAt as refused:
        raise StateError("schema", f"{refused.path or 'the root'} {refused.what}", refused.cure) from None
    return {_NAME: {"format": FORMAT, **described._asdict()}}


# Lists, too: to a type checker the metadata of Orbax are any JSON.
@overload
def match(schema: Mapping[str, Any] | list[Any] | None, like: type[_T], strict: bool = True) -> Match[_T]: ...
@overload
def match(schema: Mapping[str, Any] | list[Any] | None, like: _T, strict: bool = True) -> Match[_T]: ...
def match(schema: Mapping[str, Any] | list[Any] | None, like: Any, strict: bool = True) -> Any:
    """How a tree that another library saved fits `like`: the target to restore, and what makes of it a tree as `like`.

    All is compared before anything is read, as by `load`: fields that were added, renamed or removed, shapes, dtypes
    and static values.

    Args:
        schema: what `schema` gave for the tree that was saved, with whatever else was kept with it.
        like: as for `load`. An array goes straight to where it says; where it says nothing, each process reads the
            whole array.
        strict: whether a difference is an error. If not, what fits is taken, and the rest is as in `like`.

    Raises:
        StateError: it does not fit `like`, or there is no schema.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from structkit import Struct, field, state
        >>> class Old(Struct):
        ...     weight: jnp.ndarray
        >>> class New(Struct):
        ...     kernel: jnp.ndarray = field(aliases=("weight",))
        ...     rate: float = 0.1
        >>> found = state.match(state.schema(Old(jnp.zeros(3))), New)
        >>> found.fill({"weight": jnp.ones(3)})
        New(kernel=f32[3], rate=0.1)
    """
    saved = _read(schema, like)
    try:
        plan = planned(saved, like)
        if plan.differences and (strict or plan.lacking):
            raise misfit("match", plan)
        return Match(saved, plan)
    except FaultError as fault:
        raise StateError("match", f"the schema {fault.what}", fault.cure) from None
    except RecursionError:
        raise StateError("match", "the tree is nested too deeply", "flatten it") from None
    except StateError:
        raise
    except StructError as error:
        raise StateError("match", f"the schema has what no struct can hold: {error}", _GIVE) from error


_GIVE = "give what state.schema gave"


def _read(held: Any, like: Any) -> Schema:
    found = _of_name(held)
    if not isinstance(found, Mapping):
        what = "the tree was saved without a schema"
        cure = "save with custom_metadata=state.schema(tree), and for this one give the schema of a tree like it"
        if _has_schema(like):
            what, cure = "the schema is given second", "give it first, as in state.match(schema, like)"
        elif hasattr(held, "custom_metadata"):
            what, cure = f"{a_type(held)} is given, and no schema", "pass the .custom_metadata of the checkpoint"
        raise StateError("match", what, cure)
    if found.get("format") != FORMAT:
        what = f"the schema has format {found.get('format')!r}, which this version does not know"
        raise StateError("match", what, "install a newer structkit")
    try:
        saved = read_schema(json.dumps({name: part for name, part in found.items() if name != "format"}))
        saved.ends()
    except Exception as error:
        # Pure reading of what may be anything; whatever it ends with, the schema is at fault.
        what = f"the schema makes no sense ({type(error).__name__}: {error})"
        raise StateError("match", what, _GIVE) from None
    return saved


def _of_name(held: Any) -> Any:
    return held.get(_NAME) if isinstance(held, Mapping) else None


def _has_schema(given: Any) -> bool:
    """Whether it is a schema, or what Orbax gives that has one."""
    return isinstance(_of_name(getattr(given, "custom_metadata", given)), Mapping)


class Match(Generic[_T]):
    """How a tree that was saved fits another one; made by `match`.

    Attributes:
        target: what to give to Orbax for restoring: the tree as it was saved, with a dict in the place of each struct
            and named tuple, and with shapes, dtypes and shardings in the place of arrays. `...` stands for a leaf that
            is not wanted, as there is only where `strict=False` left something out; of the classic interface
            `PyTreeRestore` knows it.
        differences: what does not fit, with `strict=False`.

    Example:
        >>> import jax.numpy as jnp
        >>> from structkit import state
        >>> found = state.match(state.schema({"w": jnp.zeros(3), "b": 1}), {"w": jnp.zeros(4), "b": 0}, strict=False)
        >>> print(*found.differences, found.target)
        ['w']: shape: float32[3] was saved, the target has float32[4] {'b': 0, 'w': Ellipsis}
    """

    target: Any
    differences: tuple[Difference, ...]

    def __init__(self, saved: Schema, plan: Plan):
        self._saved, self._plan = saved, plan
        self.differences = tuple(plan.differences)
        self._numbers, self._treedef = jax.tree.flatten(_nested(source_of(saved)))
        self._kinds = [saved.leaves[-1 - code] for code in saved.tree if code < 0]
        wanted = {slot.number: self._wanted(slot) for slot in plan.slots.values()}
        self.target = self._treedef.unflatten([wanted.get(number, _LEFT_OUT) for number in self._numbers])

    def _wanted(self, slot: Slot) -> Any:
        try:
            return _abstract(self._kinds[slot.number], slot.target)
        except ValueError as error:
            what = f"has a leaf that cannot be made, {self._saved.leaf_paths()[slot.number]} ({error})"
            raise FaultError(what, "restore it with a JAX that knows it") from None

    def fill(self, restored: Any) -> _T:
        """The tree as `like`, with what was restored into `target`; no code of its classes runs.

        Raises:
            StateError: what was restored is not what the schema says: Orbax casts in silence to a dtype that it is
                given.

        Example:
            >>> import jax.numpy as jnp
            >>> from structkit import Struct, state
            >>> class Linear(Struct):
            ...     weight: jnp.ndarray
            >>> state.match(state.schema(Linear(jnp.zeros(3))), Linear).fill({"weight": jnp.ones(3)})
            Linear(weight=f32[3])
        """
        try:
            leaves = self._treedef.flatten_up_to(restored)
        except ValueError as error:
            # JAX prints the whole of what it did not expect.
            short = textwrap.shorten(str(error), 120, placeholder="...")
            what = f"what was restored has another structure than .target ({short})"
            raise StateError("match", what, "restore with .target") from None
        found = {number: _ordered(leaf, self._kinds[number]) for number, leaf in zip(self._numbers, leaves)}
        wrong = tuple(self._unlike(found))
        if wrong:
            count = "" if len(wrong) == 1 else f" in {len(wrong)} places"
            raise StateError("match", f"what was restored is not what was saved{count}", "restore with .target", wrong)
        filled = [*self._plan.leaves]
        with jax.transfer_guard("allow"):
            for place, slot in self._plan.slots.items():
                try:
                    filled[place] = _given(found[slot.number], self._kinds[slot.number], slot.target)
                except FaultError as fault:
                    raise StateError("match", f"what was restored {fault.what}", fault.cure) from None
                except ValueError as error:
                    what = f"has a leaf that cannot be made, {self._saved.leaf_paths()[slot.number]} ({error})"
                    raise StateError("match", what, "match it with a target of numpy arrays") from None
        tree: _T = jax.tree.unflatten(self._plan.treedef, filled)
        return tree

    def _unlike(self, found: dict[int, Any]) -> Iterator[Difference]:
        paths = self._saved.leaf_paths()
        for number in sorted({slot.number for slot in self._plan.slots.values()}):
            saved, leaf = _leaves.of_entry(self._kinds[number]), _leaves.of_value(found[number])
            kind = _leaves.difference(saved, leaf) if leaf is not None else "dtype"
            if leaf is not None and leaf.abstract:
                yield Difference(paths[number], "missing", f"{saved} was saved, and what was restored has no values")
            elif kind:
                name = leaf or f"a leaf of the type {type(found[number]).__qualname__}"
                yield Difference(paths[number], kind, f"{saved} was saved, {name} was restored")


def _nested(source: FileSource) -> Any:
    """The numbers of the leaves, nested as Orbax nests what it saves: by the kinds of the key path's entries."""
    kind = source.kind
    if kind == LEAF_NODE:
        return source.number
    if kind == "none":
        return None
    parts = {key: _nested(part) for key, part in source.parts(kind).items()}
    if kind == "tuple":
        return tuple(parts.values())
    if kind == "list" or (kind == "other" and parts and all(map(_is_place, parts, range(len(parts))))):
        return [*parts.values()]
    if kind == "dict":
        return {key: part for (_, key), part in parts.items()}
    return {_name(key): part for key, part in parts.items()} if kind == "other" else parts


def _is_place(text: str, place: int) -> bool:
    return text in (f"[{place}]", f"[<flat index {place}>]")


def _name(text: str) -> Any:
    """What a key path entry of another library's node is about."""
    try:
        return text[1:] if text.startswith(".") else ast.literal_eval(text[1:-1])
    except (ValueError, SyntaxError):
        return text


# For a number or text any of its type.
_EMPTY = {"bool": False, "int": 0, "float": 0.0, "complex": 0j, "str": "", "bytes": b""}


def _abstract(kind: Any, target: Any) -> Any:
    """A leaf of this kind without its values, as Orbax wants to be told of it."""
    origin, name, shape = kind[:3]
    if origin == PYTHON:
        return _EMPTY[name]
    sharding = _leaves.sharding_of(target)
    of: Any = jax.ShapeDtypeStruct
    if origin == KEY:
        dtype = jax.eval_shape(lambda: jax.random.key(0, impl=kind[3])).dtype
        here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
        return of(tuple(shape[:-1]), dtype, sharding=sharding or here)
    dtype = _dtypes.dtype_of(name)
    if sharding is None or jax.dtypes.canonicalize_dtype(dtype) != dtype:
        # Of numpy: without a sharding the two interfaces do not agree, and without x64 64 bits would become 32.
        return np.broadcast_to(np.zeros((), dtype), shape)
    return of(tuple(shape), dtype, sharding=sharding)


def _ordered(leaf: Any, kind: Any) -> Any:
    """An array of numpy with its bytes in the order that was saved, which Orbax does not keep."""
    if isinstance(leaf, np.ndarray) and kind[1][:1] in _dtypes.ORDERS:
        dtype = _dtypes.dtype_of(kind[1])
        return leaf.astype(dtype) if leaf.dtype == dtype.newbyteorder("=") else leaf
    return leaf


def _given(leaf: Any, kind: Any, target: Any) -> Any:
    """What was restored, as `load` gives it."""
    sharding = _leaves.sharding_of(target)
    if kind[0] == KEY and sharding is None:
        # On no device in particular.
        return jax.random.wrap_key_data(jnp.asarray(np.asarray(jax.random.key_data(leaf))), impl=kind[3])
    if kind[0] != PYTHON and not hasattr(leaf, "dtype"):
        # So the classic interface restores what has no axes.
        leaf = np.asarray(leaf, _dtypes.dtype_of(kind[1]))
    if kind[0] == WEAK and isinstance(leaf, jax.Array) and leaf.is_fully_addressable:
        leaf = np.asarray(leaf)
    if isinstance(leaf, np.ndarray | np.generic):
        return placed(np.asarray(leaf), kind[0], target)
    if isinstance(leaf, jax.Array) and leaf.is_fully_addressable and sharding is not None:
        # `PyTreeRestore` heeds shardings in its `restore_args` alone.
        return leaf if leaf.sharding == sharding else _leaves.put(leaf, sharding)
    return leaf
