"""Static values as JSON and back, without pickle: nothing is imported or called that a file names.

A value that JSON has is itself; any other is an object of one entry, the kind and what it is made of.
"""

from __future__ import annotations

import base64
import dataclasses
import enum
import functools
import json
import math
import operator
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from structkit._core.flat import by_names, field_values, new, store
from structkit._core.plan import plan_of
from structkit._core.registry import node_of
from structkit._core.statics import FrozenArray, FrozenDict
from structkit.state import _dtypes, _names
from structkit.state._names import UnknownNameError

OPAQUE = "opaque"


class OpaqueError(Exception):
    """A value that cannot be written, or cannot be made again."""


def encoded(value: Any) -> Any:
    """The value as JSON; `{"opaque": type}` for one that cannot be written."""
    try:
        return _encoded(value)
    except (OpaqueError, RecursionError):
        return {OPAQUE: type(value).__qualname__}


def is_opaque(code: Any) -> bool:
    """Whether this stands for a value that could not be written."""
    return type(code) is dict and OPAQUE in code


def is_name(code: Any) -> bool:
    """Whether this stands for a function or class, by its name."""
    return type(code) is dict and "name" in code


def decoded(code: Any) -> Any:
    """The value that was encoded.

    Raises:
        OpaqueError: it was not written, or it cannot be made in this process.
        ValueError: it is no code.
    """
    try:
        return _decoded(code)
    except (OpaqueError, ValueError):
        raise
    except Exception as error:
        # Pure reading of what may be anything; whatever it ends with, the code is at fault.
        raise ValueError(f"{type(error).__name__}: {error}") from None


def _decoded(code: Any) -> Any:
    if type(code) in _THEMSELVES:
        return code
    if type(code) is not dict or len(code) != 1:
        raise ValueError(f"{code!r} is no code of a value")
    ((kind, content),) = code.items()
    if kind == OPAQUE:
        raise OpaqueError(f"a value of the type {content} was not written")
    if kind not in _DECODERS:
        raise ValueError(f"{kind!r} is no kind of value")
    return _DECODERS[kind](content)


def alike(code: Any, other: Any) -> bool:
    """Whether two codes are of one value: classes of structs do not count, and `__main__` equals any module."""
    if type(code) is not type(other):
        return False
    if type(code) is list:
        return len(code) == len(other) and all(map(alike, code, other))
    if type(code) is not dict:
        # Not by `==` alone: -0.0 is another value.
        return bool(code == other) and (type(code) is not float or math.copysign(1, code) == math.copysign(1, other))
    if code.keys() != other.keys():
        return False
    for kind, content in code.items():
        rival = other[kind]
        if kind in _NAMED and type(content) is type(rival) is list and content and rival:
            if kind != "struct" and not _same_class(content[0], rival[0]):
                return False
            content, rival = content[1:], rival[1:]
        elif kind == "name" and type(content) is type(rival) is str:
            if _names.same_name(content, rival):
                continue
        if not alike(content, rival):
            return False
    return True


def _same_class(name: Any, other: Any) -> bool:
    return type(name) is type(other) is str and _names.same_name(name, other)


def stands_for(code: Any, value: Any) -> bool:
    """Whether a code is that of this value; one that was not written is that of any."""
    if is_opaque(code):
        return True
    mine = encoded(value)
    if alike(code, mine):
        return True
    # One object may be found by several names, and which of them depends on what is loaded.
    try:
        return not is_opaque(mine) and alike(encoded(decoded(code)), mine)
    except (OpaqueError, ValueError):
        return False


def described(code: Any) -> str:
    """The code in few words, for messages and tables."""
    try:
        return _described(code)
    except RecursionError:
        return "a value that is nested too deeply"


def _described(code: Any) -> str:
    if type(code) is not dict or len(code) != 1:
        return repr(code) if type(code) in _THEMSELVES else "?"
    ((kind, content),) = code.items()
    if kind == OPAQUE:
        return f"<{content}, not written>"
    if kind == "tuple" and type(content) is list:
        return f"({', '.join(map(_described, content))}{',' * (len(content) == 1)})"
    if kind in ("name", "dtype", "int", "float"):
        return str(content)
    text = json.dumps(content)
    return f"{kind} {text if len(text) <= 60 else text[:57] + '...'}"


_THEMSELVES = frozenset({type(None), bool, int, float, str})
_LARGE = 2**63


def _encoded(value: Any) -> Any:
    encode = _ENCODERS.get(type(value))
    return _encoded_otherwise(value) if encode is None else encode(value)


def _encoded_otherwise(value: Any) -> Any:
    cls = type(value)
    if isinstance(value, enum.Enum):
        return {"enum": [_class_name(cls), _member_names(value)]}
    if isinstance(value, np.dtype):
        return {"dtype": _dtype_name(value)}
    if isinstance(value, np.generic):
        return {"scalar": [_dtype_name(_dtypes.dtype_in_file(value)), np.asarray(value).tobytes().hex()]}
    if isinstance(value, tuple) and hasattr(cls, "_fields"):
        return {"named": [_class_name(cls), [*cls._fields], [*map(_encoded, tuple(value))]]}
    if _names.is_struct_class(cls):
        return {"struct": [_names.recorded(cls), _encoded_fields(_struct_values(value))]}
    if dataclasses.is_dataclass(cls) and not isinstance(value, type):
        return _encoded_dataclass(value)
    name = None if isinstance(value, jax.Array) else _names.name_of(value)
    if name is None:
        raise OpaqueError
    return {"name": name}


def _class_name(cls: type) -> str:
    name = _names.name_of(cls)
    if name is None:
        raise OpaqueError
    return name


def _dtype_name(dtype: Any) -> str:
    name = _dtypes.name_of(dtype)
    if name is None:
        raise OpaqueError
    return name


def _member_names(value: Any) -> list[str]:
    members = type(value)._member_map_
    if members.get(value._name_) is value:
        return [value._name_]
    parts = [name for name, member in members.items() if member.value and member.value & value.value == member.value]
    if not isinstance(value, enum.Flag) or _combined(type(value), parts) is not value:
        raise OpaqueError
    return parts


def _combined(cls: Any, names: list[str]) -> Any:
    if not names:
        first = next(iter(cls._member_map_.values()), None)
        return None if first is None else enum.Flag.__xor__(first, first)
    return functools.reduce(enum.Flag.__or__, [cls._member_map_[name] for name in names])


def _struct_values(value: Any) -> dict[str, Any]:
    node = node_of(type(value))
    return field_values(value) if node is None else {name: getattr(value, name) for name in node.fields}


def _encoded_dataclass(value: Any) -> Any:
    cls: Any = type(value)
    if not cls.__dataclass_params__.frozen:
        raise OpaqueError
    names = [f.name for f in dataclasses.fields(cls)]
    beside = getattr(value, "__dict__", {}).keys() - {*names}
    if not all([isinstance(getattr(cls, name, None), functools.cached_property) for name in beside]):
        # What its own constructor keeps beside its fields would be lost.
        raise OpaqueError
    try:
        held = {name: getattr(value, name) for name in names}
    except AttributeError:
        raise OpaqueError from None
    return {"dataclass": [_class_name(cls), _encoded_fields(held)]}


def _encoded_fields(held: dict[str, Any]) -> list[Any]:
    # Pairs, so that every object is a code; by name, for their order is not compared.
    return [[name, _encoded(held[name])] for name in sorted(held)]


def _decoded_fields(pairs: Any, name: str, expected: Any) -> dict[str, Any]:
    held = {key: _decoded(code) for key, code in pairs}
    if held.keys() != {*expected} or len(held) != len(pairs):
        raise OpaqueError(f"{name} has other fields than {', '.join(held)}")
    return held


def _encoded_frozenset(value: frozenset[Any]) -> Any:
    return {"frozenset": sorted(map(_encoded, value), key=json.dumps)}


def _encoded_array(value: FrozenArray) -> Any:
    array = value.array
    return {"array": [_dtype_name(array.dtype), [*array.shape], _text_of(array.tobytes())]}


def _text_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


_ENCODERS: dict[type, Callable[[Any], Any]] = {
    type(None): lambda value: None,
    bool: lambda value: value,
    int: lambda value: value if -_LARGE <= value < _LARGE else {"int": hex(value)},
    str: lambda value: value,
    float: lambda value: value if math.isfinite(value) else {"float": repr(value)},
    complex: lambda value: {"complex": [repr(value.real), repr(value.imag)]},
    bytes: lambda value: {"bytes": _text_of(value)},
    type(...): lambda value: {"ellipsis": True},
    range: lambda value: {"range": [value.start, value.stop, value.step]},
    tuple: lambda value: {"tuple": [*map(_encoded, value)]},
    frozenset: _encoded_frozenset,
    FrozenDict: lambda value: {"dict": [[_encoded(key), _encoded(item)] for key, item in value.items()]},
    FrozenArray: _encoded_array,
}

# The first item of what these are made of is a class.
_NAMED = ("struct", "dataclass", "enum", "named")


def _resolved(name: Any) -> Any:
    try:
        return _names.resolve(str(name))
    except UnknownNameError as error:
        raise OpaqueError(str(error)) from None


def _resolved_class(name: Any) -> Any:
    try:
        return _names.resolve_class(str(name))
    except UnknownNameError as error:
        raise OpaqueError(str(error)) from None


def _decoded_enum(content: Any) -> Any:
    name, members = content
    cls = _resolved_class(name)
    if not isinstance(cls, enum.EnumType) or not all([member in cls._member_map_ for member in members]):
        raise OpaqueError(f"{name} has no member {' | '.join(members)}")
    return cls._member_map_[members[0]] if len(members) == 1 else _combined(cls, members)


def _decoded_named(content: Any) -> Any:
    name, fields, items = content
    cls = _resolved_class(name)
    if not issubclass(cls, tuple) or [*getattr(cls, "_fields", ())] != fields or len(items) != len(fields):
        raise OpaqueError(f"{name} is no named tuple of {', '.join(fields)}")
    return tuple.__new__(cls, map(_decoded, items))


def _decoded_dataclass(content: Any) -> Any:
    name, pairs = content
    cls = _resolved_class(name)
    known = getattr(cls, "__dataclass_fields__", None)
    if known is None or _names.is_struct_class(cls) or not cls.__dataclass_params__.frozen:
        raise OpaqueError(f"{name} is no frozen dataclass")
    made = object.__new__(cls)
    for key, value in _decoded_fields(pairs, name, [f.name for f in dataclasses.fields(cls)]).items():
        object.__setattr__(made, key, value)
    return made


def _decoded_struct(content: Any) -> Any:
    name, pairs = content
    cls = _resolved_class(name)
    plan, node = plan_of(cls), node_of(cls)
    if node is not None:
        return node.build(_decoded_fields(pairs, name, node.fields))
    if plan is None:
        raise OpaqueError(f"{name} is no struct class")
    made = new(cls)
    store(made, by_names(plan, _decoded_fields(pairs, name, plan.fields)))
    return made


def _decoded_array(content: Any) -> Any:
    name, shape, text = content
    data, dtype = np.frombuffer(base64.b64decode(text, validate=True), np.uint8), _dtypes.dtype_of(name)
    _dtypes.check_letters(data, dtype)
    return FrozenArray(data.view(dtype).reshape([operator.index(size) for size in shape]))


def _decoded_scalar(content: Any) -> Any:
    name, text = content
    (found,) = np.frombuffer(bytes.fromhex(text), _dtypes.dtype_of(name))
    return found


_DECODERS: dict[str, Callable[[Any], Any]] = {
    "int": lambda text: int(text, 16),
    "float": float,
    "complex": lambda parts: complex(*map(float, parts)),
    "bytes": lambda text: base64.b64decode(text, validate=True),
    "ellipsis": lambda content: ...,
    "range": lambda parts: range(*map(operator.index, parts)),
    "tuple": lambda items: (*map(_decoded, items),),
    "frozenset": lambda items: frozenset(map(_decoded, items)),
    "dict": lambda items: FrozenDict({_decoded(key): _decoded(item) for key, item in items}),
    "array": _decoded_array,
    "scalar": _decoded_scalar,
    "dtype": _dtypes.dtype_of,
    "enum": _decoded_enum,
    "named": _decoded_named,
    "dataclass": _decoded_dataclass,
    "struct": _decoded_struct,
    "name": _resolved,
}
