"""Whether the static parts of a tree are alike in all processes that compute with it."""

from __future__ import annotations

import dataclasses
import enum
import functools
import hashlib
import json
import operator
import re
import sys
import types
import zlib
from collections.abc import Iterator, Mapping, Sequence
from inspect import getattr_static
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding

from structkit._bridges import keystr
from structkit._core.statics import FrozenArray
from structkit._trees.nodes import OTHER, children, fields_of, flattened, kind_of
from structkit._trees.values import is_key
from structkit.errors import UnlikeProcessesError

_DEEPEST = 20
_MOST = 10
_LONGEST = 120


def assert_same_static(tree: Any) -> None:
    """Nothing, if the static fields and the structure of `tree` are alike in all processes.

    Processes with unlike ones compute one wrong answer together, or wait for each other forever. All have to call
    this at the same point; while they agree, it costs 40 bytes for each process. Values are compared by name
    and `repr`, or by their attributes where they have no `repr` of their own; functions by name, code and what their
    closures hold; meshes also by their devices. Leaves are not compared.

    Raises:
        UnlikeProcessesError: in all processes, with the paths, the values, and whose they are.

    Example:
        >>> from structkit import Struct, sharding, static
        >>> class Config(Struct):
        ...     rate: float = static(default=0.1)
        >>> sharding.assert_same_static(Config())
    """
    if jax.process_count() == 1:
        return
    from jax.experimental import multihost_utils

    text = json.dumps(static_texts(tree)).encode()
    head = hashlib.sha256(text).digest() + len(text).to_bytes(8, "big")
    heads = np.asarray(multihost_utils.process_allgather(np.frombuffer(head, np.uint8)))
    groups: dict[bytes, list[int]] = {}
    for process, found in enumerate(heads):
        groups.setdefault(found.tobytes(), []).append(process)
    if len(groups) == 1:
        return
    longest = max(int.from_bytes(found[-8:], "big") for found in groups)
    padded = np.frombuffer(text.ljust(longest), np.uint8)
    texts = []
    shown = [*groups.values()][:_MOST]
    for processes in shown:
        # From one process to all: what thousands of processes have to say never meets in one.
        told = multihost_utils.broadcast_one_to_all(padded, is_source=jax.process_index() == processes[0])
        texts.append(json.loads(np.asarray(told).tobytes()))
    raise UnlikeProcessesError(differences(texts, shown))


def differences(texts: Sequence[Mapping[str, str]], processes: Sequence[list[int]]) -> list[str]:
    """A line for each path where the texts of groups of processes differ, and one for those beyond the first ten."""
    lines = []
    for path in dict.fromkeys(path for one in texts for path in one):
        said: dict[str, list[int]] = {}
        for one, who in zip(texts, processes):
            said.setdefault(one.get(path, "nothing"), []).extend(who)
        if len(said) > 1:
            values = ", ".join(f"{value} in {_named(who)}" for value, who in zip(cut_alike([*said]), said.values()))
            lines.append(f"{path or 'the tree'}: {values}")
    more = len(lines) - _MOST
    return lines if more <= 0 else [*lines[:_MOST], f"and {more} more"]


def cut_alike(texts: list[str]) -> list[str]:
    """The texts, cut to where they begin to differ if they are long."""
    if max(map(len, texts)) <= _LONGEST:
        return texts
    alike = next((i for i, letters in enumerate(zip(*texts)) if len({*letters}) > 1), min(map(len, texts)))
    start = max(0, alike - _LONGEST // 3)
    end = start + _LONGEST
    return ["..." * (start > 0) + text[start:end] + "..." * (len(text) > end) for text in texts]


def _named(processes: list[int]) -> str:
    shown = ", ".join(map(str, sorted(processes)[:_MOST])) + ", ..." * (len(processes) > _MOST)
    return f"process{'es' * (len(processes) > 1)} {shown}"


def static_texts(tree: Any) -> dict[str, str]:
    """Path -> text, for each node, leaf and static field of a tree: the same text in processes with the same trees."""
    return {keystr(path): text for path, text in _texts(tree)}


def _texts(tree: Any) -> Iterator[tuple[tuple[Any, ...], str]]:
    waiting: list[tuple[tuple[Any, ...], Any]] = [((), tree)]
    while waiting:
        path, node = waiting.pop()
        level = children(node)
        if level is None:
            yield path, "a leaf"
            continue
        kind = kind_of(node)
        yield path, "None" if node is None else _other_text(node) if kind is OTHER else _name(type(node))
        for name, f in fields_of(type(node)).items():
            if f.static:
                yield (*path, jax.tree_util.GetAttrKey(name)), value_text(getattr(node, name))
        waiting.extend([((*path, key), child) for key, child in zip(*level)][::-1])


def _other_text(node: Any) -> str:
    """The text of a node of another library, whose treedef has its static parts."""
    aux = flattened(node)[2].node_data()[1]
    return _name(type(node)) + ("" if aux is None else f" with {value_text(aux)}")


def value_text(value: Any, inside: tuple[int, ...] = (), met: dict[int, Any] | None = None) -> str:
    """A text of a static value that is the same in each process, whatever its hashes and addresses are.

    Args:
        value: any value.
        inside: the ids of the values around it.
        met: id -> number and object, of the objects whose attributes stand in the text already.
    """
    if len(inside) > _DEEPEST or id(value) in inside:
        return "..."
    met = {} if met is None else met

    def items(values: Any, met: dict[int, Any] = met) -> list[str]:
        return [value_text(item, (*inside, id(value)), met) for item in values]

    if isinstance(value, enum.Enum):
        return f"{_name(type(value))}.{value.name}"
    if isinstance(value, str | bytes):
        # As it is, whatever looks like an address in it.
        return repr(value)
    if _is_named(value):
        return _name(value)
    if isinstance(value, types.FunctionType):
        return _function_text(value, items)
    if isinstance(value, functools.partial):
        return f"partial({', '.join([*items((value.func, *value.args)), *_pairs(value.keywords, items)])})"
    if isinstance(value, types.MethodType):
        return f"{items([value.__self__])[0]}.{value.__func__.__name__}"
    if attributes := _unshown(value):
        if id(value) in met:
            return f"{_name(type(value))} number {met[id(value)][0]}"
        met[id(value)] = (len(met), value)
        return f"{_name(type(value))}({', '.join(_pairs(attributes, items))})"
    if callable(wrapped := _wrapped(value)):
        # What `jax.jit`, `jax.custom_jvp` and `functools.cache` give.
        return f"{_name(type(value))} of {items([wrapped])[0]}"
    if isinstance(value, FrozenArray | np.ndarray):
        return f"{_shown(value)}, with the CRC-32 {_checksum(np.asarray(value).tobytes())}"
    if isinstance(value, jax.Array):
        return f"{value.dtype}{[*value.shape]}{_contents_text(value)}"
    if isinstance(value, Mesh):
        # Its repr says nothing of which devices, and in which order.
        return f"{_shown(value)} of devices {[device.id for device in value.devices.flat]}"
    if isinstance(value, NamedSharding):
        return f"NamedSharding({', '.join(items((value.mesh, value.spec, value.memory_kind)))})"
    if dataclasses.is_dataclass(value):
        named = {f.name: getattr(value, f.name, None) for f in dataclasses.fields(value)}
        return f"{_name(type(value))}({', '.join(_pairs(named, items))})"
    if isinstance(value, tuple | list):
        return f"{'' if type(value) in (tuple, list) else _name(type(value))}({', '.join(items(value))})"
    if isinstance(value, frozenset | set):
        # Each as if it were the first: their order depends on the hashes.
        return f"{{{', '.join(sorted(items([item], {**met})[0] for item in value))}}}"
    if isinstance(value, Mapping):
        keys = [key if isinstance(key, str) else items([key], {**met})[0] for key in value]
        pairs = dict(sorted(zip(keys, value.values()), key=operator.itemgetter(0)))
        return f"{{{', '.join(_pairs(pairs, items))}}}"
    return _shown(value)


def _unshown(value: Any) -> dict[str, Any]:
    """The attributes of an object whose repr is the one that every object has, and says nothing of them."""
    cls: Any = type(value)
    # JAX's own have caches, and what is of one process.
    if cls.__repr__ is not object.__repr__ or dataclasses.is_dataclass(cls) or cls.__module__.split(".")[0] == "jax":
        return {}
    held: dict[str, Any] = {}
    try:
        state: Any = object.__getstate__(value)
        for part in state if isinstance(state, tuple) else (state,):
            held.update(part or {})
    except Exception:
        # All other processes wait for this one.
        return {}
    # What one process has asked for already makes no difference.
    kept = functools.cached_property
    return {name: held[name] for name in sorted(held) if not isinstance(getattr_static(cls, name, None), kept)}


def _contents_text(array: jax.Array) -> str:
    try:
        local = jax.random.key_data(array) if is_key(array.dtype) else array
        # Of others, parts are with other processes.
        if local.is_fully_addressable:
            return f", with the CRC-32 {_checksum(np.asarray(local).tobytes())}"
    except Exception:
        # A tracer, or deleted; and all other processes wait for this one.
        pass
    return ""


def _pairs(values: Mapping[Any, Any], items: Any) -> list[str]:
    return [f"{key}={text}" for key, text in zip(values, items(values.values()))]


def _function_text(function: types.FunctionType, items: Any) -> str:
    """Its name, its line, its code and what it holds: closures of one source differ in what they hold alone."""
    code = function.__code__
    cells = dict(zip(code.co_freevars, function.__closure__ or ()))
    held: dict[Any, Any] = {**dict(enumerate(function.__defaults__ or ())), **(function.__kwdefaults__ or {})}
    for name, cell in cells.items():
        try:
            held[name] = cell.cell_contents
        except ValueError:
            # Not filled yet.
            continue
    shown = f" with {', '.join(_pairs(held, items))}" if held else ""
    return f"{_name(function)} of line {code.co_firstlineno}, code {_code_checksum(code, items)}{shown}"


def _code_checksum(code: types.CodeType, items: Any) -> str:
    parts = [_code_checksum(one, items) for one in code.co_consts if isinstance(one, types.CodeType)]
    parts += [*code.co_names, *items([one for one in code.co_consts if not isinstance(one, types.CodeType)])]
    return _checksum(code.co_code + " ".join(parts).encode())


def _wrapped(value: Any) -> Any:
    """The function that another one was made of."""
    try:
        return value.__wrapped__
    except Exception:
        # All other processes wait for this one.
        return None


def _is_named(value: Any) -> bool:
    """Whether a function, a class or the like is what its module has under its name."""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str):
        return False
    try:
        return operator.attrgetter(name)(sys.modules[module]) is value
    except (KeyError, AttributeError):
        return isinstance(value, type)


def _name(value: Any) -> str:
    return f"{value.__module__}.{value.__qualname__}"


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except Exception:
        # All other processes wait for this one.
        return f"{_name(type(value))}, which has no repr"
    text = re.sub(r" at 0x[0-9a-fA-F]+", "", " ".join(text.split()))
    return _with_sorted_sets(text) if "{" in text else text


_MARKS = "{}[](),"
_HIDDEN = "".join(map(chr, range(0xE000, 0xE000 + len(_MARKS))))
_hide, _show = str.maketrans(_MARKS, _HIDDEN), str.maketrans(_HIDDEN, _MARKS)


def _with_sorted_sets(text: str) -> str:
    """A repr with what stands in braces in order: of a set it depends on the hashes."""

    def settled(found: re.Match[str]) -> str:
        inner = found[0][1:-1]
        if found[0][0] == "{":
            inner = ", ".join(sorted(inner.split(", ")))
        return f"{found[0][0]}{inner}{found[0][-1]}".translate(_hide)

    # From the inside out: what is settled, as strings are, has no brackets and no commas any more.
    text = re.sub(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""", lambda found: found[0].translate(_hide), text)
    count = 1
    while count:
        text, count = re.subn(r"\{[^][(){}]*\}|\[[^][(){}]*\]|\([^][(){}]*\)", settled, text)
    return text.translate(_show)


def _checksum(data: bytes) -> str:
    return f"{zlib.crc32(data):08x}"


def over_processes(array: Any, sharding: Any) -> Any:
    """An array that this process has whole, on the devices of several processes: each puts its own part there."""

    def part(index: Any) -> Any:
        # Of random keys JAX asks by the axes of their words, too.
        return array[index[: array.ndim]]

    return jax.make_array_from_callback(array.shape, sharding, part)
