"""The only caller of JAX's registry: how a struct, or a dataclass of `structkit.struct`, becomes a pytree node."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

from structkit._bridges import register_pytree_with_keys
from structkit._core.fields import Field
from structkit._core.flat import new, store
from structkit._core.plan import class_dict
from structkit._core.statics import one_level
from structkit.errors import DefinitionError

# No Python frame runs when JAX flattens: the flat form is already there.
flatten: Callable[[Any], Any] = operator.attrgetter("__flat__")


def flatten_mutable(struct: Any) -> Any:
    """The flat form of a mutable struct, with a snapshot of the children: JAX may keep what it is given."""
    children, aux = struct.__flat__
    return tuple(children), aux


def flatten_with_keys(struct: Any) -> tuple[Any, Any]:
    """The children with their key path entries, and aux."""
    children, aux = struct.__flat__
    # The plan is looked up at each call, since cloudpickle fills classes in after registration.
    return tuple(zip(struct.__struct__.keys, children)), aux


classes: list[type] = []  # Every class that was registered. JAX keeps them all alive, too.
observers: list[Callable[[type], None]] = []  # Called with each: how other registries than JAX's hear of it.


def register(cls: type, frozen: bool) -> None:
    """Make a struct class a pytree node; `frozen` is False, too, where it is not known yet whether its objects are.

    Unflatten puts children of any kind into an object, and runs no user code.
    """

    def unflatten(aux: Any, children: Any) -> Any:
        struct = new(cls)
        store(struct, (children, aux))
        return struct

    def unflatten_mutable(aux: Any, children: Any) -> Any:
        struct = new(cls)
        store(struct, (tuple(children) if struct.__struct__.frozen else [*children], aux))
        return struct

    try:
        if frozen:
            register_node(cls, flatten_with_keys, unflatten, flatten)
        else:
            register_node(cls, flatten_with_keys, unflatten_mutable, flatten_mutable)
    except DefinitionError:
        # A hook of a mixin (`__init_subclass__`) may have registered it, and means it.
        _check_statics(cls)
    _tell(cls)


def _check_statics(cls: Any) -> None:
    """Refuse a class of which somebody else has told JAX that a static field is a leaf, as flax's `PyTreeNode` does."""
    names = cls.__struct__.static_names
    if not names:
        return
    statics = tuple([object() for _ in names])
    struct = new(cls)
    store(struct, (tuple([None for _ in cls.__struct__.data_names]), (names, *statics)))
    try:
        children, _ = one_level(struct) or ([], None)
    except Exception:
        # What it calls needs other values.
        return
    for name, value in zip(names, statics):
        if any([child is value for child in children]):
            what = (
                f"static field {name!r} would be a leaf: a base has registered the class with JAX, all fields as data"
            )
            raise DefinitionError(cls.__name__, what, "inherit from Struct without that base")


# The functions that JAX has of a class, in the order in which it takes them.
FUNCTIONS = ("flatten_with_keys", "unflatten", "flatten")


class DataclassNode:
    """How an ordinary dataclass is a pytree node: what `cls.__dict__["__node__"]` holds, and `node_of` finds."""

    # Written for the class.
    flatten_with_keys: Callable[[Any], Any]
    unflatten: Callable[[Any, Any], Any]
    flatten: Callable[[Any], Any]

    def __init__(self, cls: Any, fields: dict[str, Field], remade: tuple[Any, ...]):
        # `remade` gives the record again, from any process; see `__reduce__`.
        self.cls, self.fields, self.remade = cls, fields, remade
        self.data_names = tuple([name for name, f in fields.items() if not f.static])
        self.static_names = tuple([name for name, f in fields.items() if f.static])

    def build(self, values: dict[str, Any]) -> Any:
        """An object with these field values, made as JAX makes one."""
        statics, data = [[values[name] for name in names] for names in (self.static_names, self.data_names)]
        return self.unflatten(tuple(statics), data)

    def changed(self, instance: Any, changes: Mapping[str, Any]) -> Any:
        """A copy of an object with other values in some fields, made as JAX makes one."""
        return self.build({name: getattr(instance, name) for name in self.fields} | {**changes})

    def __set_name__(self, owner: type[Any], name: str) -> None:
        if not isinstance(self.cls, type):
            # In a body that dill has unpickled: only from now on there is a class.
            remade, (_, *others) = self.remade
            setattr(owner, name, remade(lambda: owner, *others))

    def __reduce__(self) -> Any:
        # Where a class travels by value (cloudpickle), its record is made anew, and the class registered, on arrival.
        return self.remade


def node_of(cls: Any) -> DataclassNode | None:
    """The record of a dataclass that `structkit.struct` made a pytree node; a subclass has its own, or none."""
    found = class_dict(cls).get("__node__") if isinstance(cls, type) else None
    return found if isinstance(found, DataclassNode) else None


def register_dataclass_node(node: DataclassNode, late: bool) -> None:
    """Make the class of `node` a pytree node; `late` looks the record up at each call.

    That is for a class whose body declares nothing, which cloudpickle may be about to fill in.
    """
    functions = [getattr(node, name) for name in FUNCTIONS]
    if late:
        functions = [lambda *given, name=name: getattr(node_of(node.cls), name)(*given) for name in FUNCTIONS]
    register_node(node.cls, *functions)
    _tell(node.cls)


def register_node(cls: type, flatten_with_keys: Any, unflatten: Any, flatten: Any) -> None:
    """Make `cls` a pytree node with these functions.

    Raises:
        DefinitionError: it is one.
    """
    try:
        register_pytree_with_keys(cls, flatten_with_keys, unflatten, flatten)
    except ValueError as error:
        if "Duplicate" not in str(error):
            raise
        what, cure = "is a pytree node already, with functions of its own", "drop what else registers it"
        raise DefinitionError(cls.__name__, what, cure) from None


def _tell(cls: type) -> None:
    """Have the other registries hear of a class, whoever has registered it with JAX."""
    classes.append(cls)
    for tell in [*observers]:
        tell(cls)
