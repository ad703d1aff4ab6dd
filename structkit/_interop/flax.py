"""`flax.serialization` for every struct, whichever of flax and structkit is imported first.

Flax looks up the exact type of a value in its registry. So each class that is a pytree node by structkit is put there:
when the class is made, if flax is loaded by then, and otherwise at the moment when flax is. Flax itself is never
imported here, and where it is not installed nothing waits for it.
"""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import types
from collections.abc import Mapping, Sequence
from typing import Any

from structkit._core import registry
from structkit._core.flat import with_flat
from structkit._core.plan import ClassPlan

MODULE = "flax.serialization"


def to_state_dict(struct: Any) -> dict[str, Any]:
    """The data fields by name, each as flax's own state dict of it. Static fields are no state."""
    flax: Any = sys.modules[MODULE]
    return {name: flax.to_state_dict(child) for name, child in _data(struct).items()}


def from_state_dict(target: Any, state: Mapping[str, Any]) -> Any:
    """A struct like `target` with the data of `state`; like unflattening, it runs no user code."""
    flax: Any = sys.modules[MODULE]
    name_of_class, data = type(target).__name__, _data(target)
    restored: dict[str, Any] = {}
    for name, child in data.items():
        if name not in state:
            raise ValueError(
                f"Missing field {name} in state dict while restoring an instance of {name_of_class}, "
                f"at path {flax.current_path()}"
            )
        restored[name] = flax.from_state_dict(child, state[name], name=name)
    unknown = ",".join(name for name in state if name not in data)
    if unknown:
        raise ValueError(
            f'Unknown field(s) "{unknown}" in state dict while restoring an instance of {name_of_class} '
            f"at path {flax.current_path()}"
        )
    node = registry.node_of(type(target))
    if node is not None:
        return node.changed(target, restored)
    return with_flat(target, restored.values(), target.__flat__[1])


def _data(struct: Any) -> dict[str, Any]:
    node = registry.node_of(type(struct))
    if node is not None:
        return {name: getattr(struct, name) for name in node.data_names}
    plan: ClassPlan = struct.__struct__
    return dict(zip(plan.data_names, struct.__flat__[0]))


def _announce(cls: type) -> None:
    # Another thread may announce the same class.
    sys.modules[MODULE].register_serialization_state(cls, to_state_dict, from_state_dict, override=True)


def _announce_all() -> None:
    # In this order: a class that is made meanwhile is in the list, or meets the observer.
    registry.observers.append(_announce)
    for cls in [*registry.classes]:
        _announce(cls)


class _Watcher(importlib.abc.MetaPathFinder):
    """Waits on `sys.meta_path` for flax's module, and tells it about all classes once it is loaded."""

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
                _announce_all()

        # The loader stays the one that `inspect` and `importlib.resources` know; only this call of it is followed.
        loader.exec_module = exec_module


def _on_first_class(cls: type) -> None:
    try:
        registry.observers.remove(_on_first_class)
    except ValueError:
        # Another thread was first.
        return
    if "flax" in sys.modules:
        # Another thread may be in the middle of importing it, too late for the watcher: this waits for the end.
        with contextlib.suppress(ImportError):
            importlib.import_module(MODULE)
    if hasattr(sys.modules.get(MODULE), "register_serialization_state"):
        _announce_all()
    elif "flax" in sys.modules or importlib.util.find_spec("flax") is not None:
        sys.meta_path.insert(0, _Watcher())


registry.observers.append(_on_first_class)
