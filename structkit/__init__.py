"""Structs for JAX: inherit from `Struct`, annotate fields, and get a typed, frozen, fast pytree class."""

import typing

from structkit import _flax as _flax, errors
from structkit._annotations import Static
from structkit._fields import Field, derived, field, static
from structkit._statics import FrozenArray, FrozenDict, freeze
from structkit._struct import Struct, StructMeta, fields, is_struct
from structkit.errors import StructError
from structkit.pretty import pformat
from structkit.summary import summary
from structkit.update import Ref, at, construct, replace

if typing.TYPE_CHECKING:
    from structkit import struct

__version__ = "0.1.0"

__all__ = [
    "Field",
    "FrozenArray",
    "FrozenDict",
    "Ref",
    "Static",
    "Struct",
    "StructError",
    "StructMeta",
    "at",
    "construct",
    "derived",
    "errors",
    "field",
    "fields",
    "freeze",
    "is_struct",
    "pformat",
    "replace",
    "static",
    "struct",
    "summary",
]


def __getattr__(name: str) -> typing.Any:
    # `structkit.struct` needs no import of its own, and costs nothing before it is used: a seventh of the import.
    if name == "struct":
        import structkit.struct

        return structkit.struct
    raise AttributeError(f"module 'structkit' has no attribute {name!r}")
