"""The dtypes of leaves by name, and how safetensors holds each of them."""

from __future__ import annotations

import functools
import math
import re
import sys
from typing import Any, NamedTuple

import jax
import ml_dtypes
import numpy as np

_CODES = {
    "bool": "BOOL",
    "int8": "I8",
    "int16": "I16",
    "int32": "I32",
    "int64": "I64",
    "uint8": "U8",
    "uint16": "U16",
    "uint32": "U32",
    "uint64": "U64",
    "float16": "F16",
    "bfloat16": "BF16",
    "float32": "F32",
    "float64": "F64",
    "complex64": "C64",
}
"""What the numpy reader of safetensors gives back as it is. Everything else is kept as bytes."""

_BITS = {"int4": 4, "uint4": 4, "float4_e2m1fn": 4, "int2": 2, "uint2": 2, "int1": 1, "uint1": 1}
"""Several of these share a byte, the first one in its lowest bits."""

FLOAT0 = "float0"

_STANDARD: tuple[str, ...] = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
_STANDARD += ("float16", "float32", "float64", "complex64", "complex128")
_OTHERS = [name for name in dir(ml_dtypes) if re.fullmatch(r"(b?float|b?complex|u?int)\d\w*", name)]
_DTYPES: dict[str, np.dtype[Any]] = {name: np.dtype(name) for name in _STANDARD}
_DTYPES |= {name: np.dtype(getattr(ml_dtypes, name)) for name in _OTHERS}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()} | {jax.dtypes.float0: FLOAT0}

ORDERS = ("<", ">", "|")
"""What begins the name of a dtype that only numpy has."""

# What numpy has beyond: other byte orders, long doubles, texts, times.
_SPELLED = re.compile(r"[<>|][iufcSUmM][1-9]\d{0,8}(\[\d*[a-zA-Zμ]{1,7}\])?")


class Storage(NamedTuple):
    """How a leaf is kept.

    Attributes:
        code: the dtype as safetensors says it.
        shape: of the tensor.
        nbytes: its size.
        bits: of one element where several share a byte, else 0.
    """

    code: str
    shape: tuple[int, ...]
    nbytes: int
    bits: int


def dtype_in_file(leaf: Any) -> Any:
    """The dtype of a leaf: of an empty text of numpy, which has no width, that of an array with it."""
    return np.asarray(leaf).dtype if isinstance(leaf, np.generic) else leaf.dtype


def name_of(dtype: Any) -> str | None:
    """The name of a dtype in a file; None for one that no file can hold."""
    name = _NAMES.get(dtype)
    if name is None and isinstance(dtype, np.dtype) and _SPELLED.fullmatch(dtype.str):
        name = dtype.str
    return name


def dtype_of(name: str) -> np.dtype[Any]:
    """The dtype with this name.

    Raises:
        ValueError: there is none here.
    """
    if name == FLOAT0:
        return jax.dtypes.float0
    found = _DTYPES.get(name)
    if found is not None:
        return found
    if not _SPELLED.fullmatch(name):
        raise ValueError(f"the dtype {name!r} is not known here")
    return np.dtype(name)


@functools.lru_cache(maxsize=4096)
def storage(name: str, shape: tuple[int, ...]) -> Storage:
    """How an array of this dtype and shape is kept.

    Raises:
        ValueError: there is no such dtype here.
    """
    size = math.prod(shape)
    if name == FLOAT0:
        return Storage("U8", (0,), 0, 0)
    width = dtype_of(name).itemsize
    if name in _CODES:
        return Storage(_CODES[name], shape, size * width, 0)
    bits = _BITS.get(name, 0)
    if bits:
        nbytes = (size * bits + 7) // 8
        return Storage("U8", (nbytes,), nbytes, bits)
    return Storage("U8", shape if width == 1 else (*shape, width), size * width, 0)


def check_letters(data: np.ndarray[Any, Any], dtype: np.dtype[Any]) -> None:
    """Refuse the bytes of texts of numpy that no text of Python can be.

    Raises:
        ValueError: there is such a one.
    """
    if dtype.kind == "U" and data.size and data.view(f"{dtype.str[0]}u4").max() > sys.maxunicode:
        raise ValueError("a letter that there is not")


def bits_of(name: str) -> int:
    """How many bits an element has where several share a byte, else 0."""
    return _BITS.get(name, 0)


def pack(array: np.ndarray[Any, Any], bits: int) -> np.ndarray[Any, Any]:
    """The elements of one byte each, several in a byte."""
    each = 8 // bits
    flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8) & (2**bits - 1)
    padded = np.zeros((-(-flat.size // each), each), np.uint8)
    padded.reshape(-1)[: flat.size] = flat
    packed = np.zeros(len(padded), np.uint8)
    for i in range(each):
        packed |= padded[:, i] << (i * bits)
    return packed


def unpack(packed: np.ndarray[Any, Any], name: str, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """The array that was packed."""
    bits = _BITS[name]
    each, size = 8 // bits, math.prod(shape)
    shifts = np.arange(each, dtype=np.uint8) * bits
    flat = ((packed[:, None] >> shifts) & (2**bits - 1)).reshape(-1)[:size]
    if name.startswith("int"):
        sign = 2 ** (bits - 1)
        flat = (flat ^ sign).astype(np.int8) - np.int8(sign)
    # What stands in the other bits of a byte is for ml_dtypes to say.
    whole: np.ndarray[Any, Any] = flat.view(dtype_of(name)) if name.startswith("float") else flat.astype(dtype_of(name))
    return whole.reshape(shape)
