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

__all__ = [
    "Difference",
    "Differences",
    "Field",
    "FrozenArray",
    "FrozenDict",
    "Ref",
    "Refs",
    "SharedBuffer",
    "Static",
    "Struct",
    "StructError",
    "StructMeta",
    "VectorSpace",
    "assert_close",
    "assert_same_structure",
    "at",
    "batch",
    "cast",
    "construct",
    "count",
    "derived",
    "diagram",
    "diff",
    "editing",
    "errors",
    "field",
    "fields",
    "freeze",
    "is_struct",
    "merge",
    "partition",
    "pformat",
    "replace",
    "sharding",
    "shared_buffers",
    "state",
    "static",
    "struct",
    "summary",
]


# What `import structkit` leaves out until it is used, and where it is. A module of this name is given as it is.
_LATER = {
    "Difference": "structkit._trees.differences",
    "Differences": "structkit._trees.differences",
    "Ref": "structkit._trees.at",
    "Refs": "structkit._trees.at",
    "SharedBuffer": "structkit._trees.buffers",
    "VectorSpace": "structkit._trees.vectors",
    "assert_close": "structkit._trees.diff",
    "assert_same_structure": "structkit._trees.diff",
    "at": "structkit._trees.at",
    "batch": "structkit.batch",
    "cast": "structkit._trees.partition",
    "count": "structkit._trees.partition",
    "diff": "structkit._trees.diff",
    "diagram": "structkit._trees.diagram",
    "editing": "structkit._trees.editing",
    "merge": "structkit._trees.partition",
    "partition": "structkit._trees.partition",
    "shared_buffers": "structkit._trees.buffers",
    "sharding": "structkit.sharding",
    "state": "structkit.state",
    "struct": "structkit.struct",
    "summary": "structkit._trees.summary",
}


def __getattr__(name: str) -> typing.Any:
    module = _LATER.get(name)
    if module is None:
        raise AttributeError(f"module 'structkit' has no attribute {name!r}")
    import importlib

    found = importlib.import_module(module)
    if module != f"{__name__}.{name}":
        found = getattr(found, name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})
