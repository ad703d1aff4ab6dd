"""Structs for JAX: inherit from `Struct`, annotate fields, and get a typed, frozen, fast pytree class."""

import typing

from structkit import errors
from structkit._core.annotations import Static
from structkit._core.fields import Field
from structkit._core.pretty import pformat
from structkit._core.replace import construct, replace
from structkit._core.specifiers import derived, field, static
from structkit._core.statics import FrozenArray, FrozenDict, freeze
from structkit._core.struct import Struct, StructMeta, fields, is_struct
from structkit._interop import flax as _flax  # noqa: F401  # it hears of each class
from structkit._trees.at import Ref, at
from structkit._trees.summary import summary
from structkit.errors import StructError

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
