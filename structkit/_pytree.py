"""The only caller of JAX's registry: how a struct becomes a pytree node, and how one level of a tree is read."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from structkit._storage import new, store
from structkit._typing import register_pytree_with_keys

# No Python frame runs when JAX flattens: the flat form is already there.
flatten: Callable[[Any], Any] = operator.attrgetter("__flat__")


def flatten_with_keys(struct: Any) -> tuple[Any, Any]:
    """The children with their key path entries, and the statics.

    Args:
        struct: any struct. Its class is looked up at each call, since cloudpickle fills classes in after registration.
    """
    children, statics = struct.__flat__
    return tuple(zip(struct.__struct__.keys, children)), statics


def make_unflatten(cls: type) -> Callable[[Any, Any], Any]:
    """The function that puts children of any kind into an object of `cls`; no code of the user's runs in it.

    Args:
        cls: the class to make objects of.
    """

    def unflatten(statics: Any, children: Any) -> Any:
        struct = new(cls)
        store(struct, (children, statics))
        return struct

    return unflatten


observers: list[Callable[[type], None]] = []
"""Called with each struct class that is made: how other registries than JAX's hear of it."""


def register(cls: type) -> None:
    """Make `cls` a pytree node, unless code of a base's `__init_subclass__` has already made it one.

    Args:
        cls: a struct class.
    """
    for tell in observers:
        tell(cls)
    try:
        register_pytree_with_keys(cls, flatten_with_keys, make_unflatten(cls), flatten)
    except ValueError as error:
        if "Duplicate" not in str(error):
            raise
