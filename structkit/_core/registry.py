"""The only caller of JAX's registry: how a class becomes a pytree node."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from structkit._bridges import register_pytree_with_keys
from structkit._core.flat import new, store

# No Python frame runs when JAX flattens: the flat form is already there.
flatten: Callable[[Any], Any] = operator.attrgetter("__flat__")


def flatten_mutable(struct: Any) -> Any:
    """The flat form of a mutable struct, with a snapshot of the children: JAX may keep what it is given."""
    children, aux = struct.__flat__
    return tuple(children), aux


def flatten_with_keys(struct: Any) -> tuple[Any, Any]:
    """The children with their key path entries, and aux.

    Args:
        struct: any struct. Its class is looked up at each call, since cloudpickle fills classes in after registration.
    """
    children, aux = struct.__flat__
    return tuple(zip(struct.__struct__.keys, children)), aux


def make_unflatten(cls: type) -> Callable[[Any, Any], Any]:
    """The function that puts children of any kind into an object of `cls`; no user code runs in it."""

    def unflatten(aux: Any, children: Any) -> Any:
        struct = new(cls)
        store(struct, (children, aux))
        return struct

    return unflatten


def make_unflatten_mutable(cls: type) -> Callable[[Any, Any], Any]:
    """The same for a mutable struct, whose children are a list."""

    def unflatten(aux: Any, children: Any) -> Any:
        struct = new(cls)
        store(struct, ([*children], aux))
        return struct

    return unflatten


classes: list[type] = []
"""Every class that was registered. JAX keeps them all alive, too."""

observers: list[Callable[[type], None]] = []
"""Called with each class that is registered: how other registries than JAX's hear of it."""


def register(cls: type, frozen: bool) -> None:
    """Make a struct class a pytree node, unless code of a base's `__init_subclass__` has already made it one."""
    if frozen:
        register_node(cls, flatten_with_keys, make_unflatten(cls), flatten)
    else:
        register_node(cls, flatten_with_keys, make_unflatten_mutable(cls), flatten_mutable)


def register_node(cls: type, flatten_with_keys: Any, unflatten: Any, flatten: Any) -> None:
    """Make `cls` a pytree node with these functions, unless it is one."""
    classes.append(cls)
    for tell in [*observers]:
        tell(cls)
    try:
        register_pytree_with_keys(cls, flatten_with_keys, unflatten, flatten)
    except ValueError as error:
        if "Duplicate" not in str(error):
            raise
