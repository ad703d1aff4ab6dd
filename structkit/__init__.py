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
from structkit.errors import StructError

if typing.TYPE_CHECKING:
    from structkit import batch, sharding, state, struct
    from structkit._trees.at import Ref, Refs, at
    from structkit._trees.buffers import SharedBuffer, shared_buffers
    from structkit._trees.diagram import diagram
    from structkit._trees.diff import assert_close, assert_same_structure, diff
    from structkit._trees.differences import Difference, Differences
    from structkit._trees.editing import editing
    from structkit._trees.partition import cast, count, merge, partition
    from structkit._trees.summary import summary
    from structkit._trees.vectors import VectorSpace

__version__ = "0.1.0"

# fmt: off
__all__ = [
    "Difference", "Differences", "Field", "FrozenArray", "FrozenDict", "Ref", "Refs", "SharedBuffer", "Static",
    "Struct", "StructError", "StructMeta", "VectorSpace", "assert_close", "assert_same_structure", "at", "batch",
    "cast", "construct", "count", "derived", "diagram", "diff", "editing", "errors", "field", "fields", "freeze",
    "is_struct", "merge", "partition", "pformat", "replace", "sharding", "shared_buffers", "state", "static", "struct",
    "summary",
]
# fmt: on

# What `import structkit` leaves out until it is used: modules, and the names that each module of `_trees` has.
_MODULES = ("batch", "sharding", "state", "struct")
_LATER = {
    "at": ("Ref", "Refs", "at"),
    "buffers": ("SharedBuffer", "shared_buffers"),
    "diagram": ("diagram",),
    "diff": ("assert_close", "assert_same_structure", "diff"),
    "differences": ("Difference", "Differences"),
    "editing": ("editing",),
    "partition": ("cast", "count", "merge", "partition"),
    "summary": ("summary",),
    "vectors": ("VectorSpace",),
}


def __getattr__(name: str) -> typing.Any:
    import importlib

    if name in _MODULES:
        return importlib.import_module(f"structkit.{name}")
    for module, names in _LATER.items():
        if name in names:
            globals()[name] = getattr(importlib.import_module(f"structkit._trees.{module}"), name)
            return globals()[name]
    raise AttributeError(f"module 'structkit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
