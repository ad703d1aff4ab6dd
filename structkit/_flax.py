"""`flax.serialization` for every struct, whichever of flax and structkit is imported first.

Flax looks up the exact type of a value in its registry. So each struct class is put there: when the class is made, if
flax is loaded by then, and otherwise at the moment when flax is. Flax itself is never imported here.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from structkit import _pytree
from structkit._spec import ClassSpec
from structkit._struct import Struct
from structkit.update import with_flat

MODULE = "flax.serialization"


def to_state_dict(struct: Any) -> dict[str, Any]:
    """The data fields by name, each as flax's own state dict of it. Static fields are no state.

    Args:
        struct: any struct.
    """
    flax: Any = sys.modules[MODULE]
    spec: ClassSpec = struct.__struct__
    return {name: flax.to_state_dict(child) for name, child in zip(spec.data, struct.__flat__[0])}


def from_state_dict(target: Any, state: Mapping[str, Any]) -> Any:
    """A struct like `target` with the data of `state`; like unflattening, it runs no code of the class.

    Args:
        target: a struct, which gives the class, the statics and the structure of the data.
        state: what `to_state_dict` returned, or what was read from disk.

    Raises:
        ValueError: a data field is missing in the state, or a name in it is no data field; in flax's words.
    """
    flax: Any = sys.modules[MODULE]
    spec: ClassSpec = target.__struct__
    children, statics = target.__flat__
    restored: list[Any] = []
    for name, child in zip(spec.data, children):
        if name not in state:
            raise ValueError(
                f"Missing field {name} in state dict while restoring an instance of {spec.name}, "
                f"at path {flax.current_path()}"
            )
        restored.append(flax.from_state_dict(child, state[name], name=name))
    unknown = ",".join(name for name in state if name not in spec.data)
    if unknown:
        raise ValueError(
            f'Unknown field(s) "{unknown}" in state dict while restoring an instance of {spec.name} '
            f"at path {flax.current_path()}"
        )
    return with_flat(target, tuple(restored), statics)


def _announce(cls: type) -> None:
    flax: Any = sys.modules.get(MODULE)
    # While flax is still being imported it has no registry yet; `_Watcher` comes back to this class then.
    if hasattr(flax, "register_serialization_state") and not flax.is_serializable(cls):
        flax.register_serialization_state(cls, to_state_dict, from_state_dict)


def _struct_classes(root: type[Any]) -> Iterator[type[Any]]:
    subclasses: list[type[Any]] = type.__subclasses__(root)
    for cls in subclasses:
        yield cls
        yield from _struct_classes(cls)


class _Watcher(importlib.abc.MetaPathFinder):
    """Waits on `sys.meta_path` for flax's module, and tells it about all struct classes once it is loaded."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """None for every module but one; for that one, what the other finders say, with a step after loading."""
        if fullname != MODULE:
            return None
        # Those before it have been asked; and a second copy of the package waits here too, and asks those after itself.
        place = next((i for i, finder in enumerate(sys.meta_path) if finder is self), -1)
        others = sys.meta_path[place + 1 :]
        found = (finder.find_spec(fullname, path, target) for finder in others)
        spec = next((spec for spec in found if spec is not None), None)
        if spec is not None and spec.loader is not None:
            self._follow(spec.loader)
        return spec

    def _follow(self, loader: Any) -> None:
        load = loader.exec_module

        def exec_module(module: types.ModuleType) -> None:
            load(module)
            if self in sys.meta_path:
                sys.meta_path.remove(self)
            for cls in _struct_classes(Struct):
                _announce(cls)

        # The loader stays the one that `inspect` and `importlib.resources` know; only this call of it is followed.
        loader.exec_module = exec_module


_pytree.observers.append(_announce)
if MODULE in sys.modules:
    for _cls in _struct_classes(Struct):
        _announce(_cls)
else:
    sys.meta_path.insert(0, _Watcher())
