"""The only caller of JAX's registry: how a struct becomes a pytree node, and how one level of a tree is read."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from jax.tree_util import GetAttrKey

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
"""Called with each class that is registered: how other registries than JAX's hear of it."""


def register(cls: type) -> None:
    """Make `cls` a pytree node, unless code of a base's `__init_subclass__` has already made it one.

    Args:
        cls: a struct class.
    """
    _register(cls, flatten_with_keys, make_unflatten(cls), flatten)


def make_node(cls: type[Any], data: tuple[str, ...], statics: tuple[str, ...], later: tuple[str, ...]) -> None:
    """Make a dataclass that is no struct a pytree node. Unflattening calls its constructor.

    Args:
        cls: the class.
        data: the names of the fields that are children.
        statics: the names of the fields that are part of the structure.
        later: the fields that the constructor does not take, and that are set when it has returned.
    """
    keys = tuple(GetAttrKey(name) for name in data)

    def flatten(instance: Any) -> Any:
        return tuple([getattr(instance, name) for name in data]), tuple([getattr(instance, name) for name in statics])

    def flatten_with_keys(instance: Any) -> Any:
        children, aux = flatten(instance)
        return tuple(zip(keys, children)), aux

    def unflatten(aux: Any, children: Any) -> Any:
        values = dict(zip((*data, *statics), (*children, *aux)))
        set_later = {name: values.pop(name) for name in later}
        made = cls(**values)
        for name, value in set_later.items():
            object.__setattr__(made, name, value)
        return made

    _register(cls, flatten_with_keys, unflatten, flatten)


def _register(cls: type, flatten_with_keys: Any, unflatten: Any, flatten: Any) -> None:
    for tell in observers:
        tell(cls)
    try:
        register_pytree_with_keys(cls, flatten_with_keys, unflatten, flatten)
    except ValueError as error:
        if "Duplicate" not in str(error):
            raise
