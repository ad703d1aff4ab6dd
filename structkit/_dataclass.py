"""Dataclasses that are pytree nodes and no structs: what becomes of a class whose objects have a layout of their own.

An object of a subclass of `dict` or `Exception`, or of a class with slots, has no room for the flat form. So the class
becomes what flax makes of it: a dataclass of the standard library, which JAX takes apart by its fields and puts
together with its constructor, because only the constructor knows what else to fill in (the items of a dict).
"""

from __future__ import annotations

import dataclasses
import types
import weakref
from typing import Any

from structkit import _pytree
from structkit._fields import adopt

known: weakref.WeakKeyDictionary[type, tuple[str, ...]] = weakref.WeakKeyDictionary()
"""Every class that was made here, with the names of the fields that are children."""


def make(cls: Any, options: dict[str, Any]) -> Any:
    """The class as a dataclass, frozen unless `options` say otherwise, with `replace`, and a pytree node.

    Args:
        cls: a class with annotated fields; unless it gets slots, it stays the same object.
        options: those of `dataclasses.dataclass`.
    """
    made: Any = dataclasses.dataclass(**{"frozen": True, **options})(cls)
    if not isinstance(getattr(made, "replace", None), types.FunctionType):
        made.replace = replace
    fields = dataclasses.fields(made)
    statics = tuple(f.name for f in fields if adopt(f).static)
    data = tuple(f.name for f in fields if f.name not in statics)
    known[made] = data
    _pytree.make_node(made, data, statics, tuple(f.name for f in fields if not f.init))
    return made


def replace(self: Any, /, **updates: Any) -> Any:
    """A copy with some fields changed, made by the constructor, as `dataclasses.replace` does it."""
    return dataclasses.replace(self, **updates)
