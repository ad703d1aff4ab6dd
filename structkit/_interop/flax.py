"""`flax.serialization` for every struct, whichever of flax and structkit is imported first.

Flax looks up the exact type of a value in its registry. So each class that is a pytree node by structkit is put there:
when the class is made, if flax is loaded by then, and otherwise at the moment when flax is. Flax itself is never
imported here, and where it is not installed nothing waits for it.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import sys
from collections.abc import Callable, Mapping
from typing import Any

from structkit._core import registry
from structkit._core.flat import with_flat
from structkit._core.plan import ClassPlan
from structkit.errors import a_type

MODULE = "flax.serialization"


def to_state_dict(struct: Any) -> dict[str, Any]:
    """The data fields by name, each as flax's own state dict of it. Static fields are no state."""
    flax: Any = sys.modules[MODULE]
    return {name: flax.to_state_dict(child) for name, child in _data(struct).items()}


def from_state_dict(target: Any, state: Mapping[str, Any]) -> Any:
    """A struct like `target` with the data of `state`; like unflattening, it runs no user code."""
    flax: Any = sys.modules[MODULE]
    data, restored = _data(target), dict[str, Any]()
    what, path = f"in state dict while restoring an instance of {type(target).__name__}", flax.current_path()
    if not hasattr(state, "items"):
        raise ValueError(f"{a_type(state)} in the place of the fields {what}, at path {path}")
    for name, child in data.items():
        if name not in state:
            raise ValueError(f"Missing field {name} {what}, at path {path}")
        restored[name] = flax.from_state_dict(child, state[name], name=name)
    unknown = ",".join(name for name in state if name not in data)
    if unknown:
        raise ValueError(f'Unknown field(s) "{unknown}" {what} at path {path}')
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


class _Watcher:
    """Waits on `sys.meta_path` for flax's module, and tells it about all classes once it is loaded."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:
        """None for every module but one; for that one, what the other finders say, with a step after loading."""
        if fullname != MODULE:
            return None
        # Those before it have been asked; and a second copy of the package waits here too, and asks those after itself.
        others = sys.meta_path[sys.meta_path.index(self) + 1 :]
        found = (finder.find_spec(fullname, path, target) for finder in others)
        spec = next((spec for spec in found if spec is not None), None)
        loader: Any = getattr(spec, "loader", None)
        if loader is not None:
            # It stays the one that `inspect` and `importlib.resources` know; only this call of it is followed.
            loader.exec_module = functools.partial(self._load, loader.exec_module)
        return spec

    def _load(self, load: Callable[[Any], None], module: Any) -> None:
        load(module)
        if self in sys.meta_path:
            sys.meta_path.remove(self)
            _announce_all()


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
