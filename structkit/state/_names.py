"""Functions and classes by name: `module:qualname`, found among the modules that are loaded, never by importing.

Names are looked up in the dicts of modules and classes, so that no code of theirs runs.
"""

from __future__ import annotations

import sys
import types
from typing import Any

from structkit._core import registry
from structkit._core.plan import class_dict, class_mro, plan_of

MAIN = "__main__"
_ABSENT: Any = object()


class UnknownNameError(Exception):
    """No loaded module has this name; or several might be meant."""


def name_of(value: Any) -> str | None:
    """The `module:qualname` under which a function or class is found; None where none leads to this very object."""
    try:
        module, qualname = value.__module__, value.__qualname__
    except Exception:
        # Code of the value's class may raise anything.
        return None
    if type(module) is not str or type(qualname) is not str:
        return None
    if _is_private(module):
        public = _public_modules(value, module, qualname)
        if public:
            return f"{min(public, key=lambda name: (name.count('.'), name))}:{qualname}"
    return f"{module}:{qualname}" if _found(module, qualname) is value else None


def _is_private(module: str) -> bool:
    return module != MAIN and any([part.startswith("_") for part in module.split(".")])


def _public_modules(value: Any, module: str, qualname: str) -> list[str]:
    root = module.split(".")[0]
    near = [name for name in [*sys.modules] if name == root or name.startswith(f"{root}.")]
    return [name for name in near if not _is_private(name) and _found(name, qualname) is value]


def recorded(cls: type) -> str:
    """The name of a class, whether or not it leads to it."""
    return name_of(cls) or f"{cls.__module__}:{cls.__qualname__}"


def _found(module: str, qualname: str) -> Any:
    """What the loaded module has under this name; `_ABSENT` without one."""
    owner = sys.modules.get(module)
    if not isinstance(owner, types.ModuleType):
        return _ABSENT
    first, *rest = qualname.split(".")
    # Past a lazy module's `__getattribute__`, which would load it.
    found = object.__getattribute__(owner, "__dict__").get(first, _ABSENT)
    for part in rest:
        if not isinstance(found, type):
            return _ABSENT
        found = next((class_dict(base)[part] for base in class_mro(found) if part in class_dict(base)), _ABSENT)
        if isinstance(found, staticmethod):
            found = found.__func__
    return found


def resolve(name: str) -> Any:
    """The object with this name; `__main__` stands for any module, and is stood for by any.

    Raises:
        UnknownNameError: it is not among the loaded modules.
    """
    module, _, qualname = name.partition(":")
    found = _found(module, qualname)
    if found is _ABSENT and module != MAIN:
        found = _found(MAIN, qualname)
    elif found is _ABSENT:
        # Where it was defined, not where it was imported.
        others = {other: _found(other, qualname) for other in [*sys.modules]}
        defined = [one for other, one in others.items() if _module_of(one) == other]
        found = defined[0] if len(defined) == 1 else _ABSENT
    if found is _ABSENT:
        raise UnknownNameError(f"{name} is not among the loaded modules")
    return found


def _module_of(value: Any) -> Any:
    # Of functions and classes alone: other objects may run code when they are asked.
    return value.__module__ if isinstance(value, (type, types.FunctionType)) else None


def resolve_class(name: str) -> type:
    """The class with this name: of the structs those that were defined last, also in functions.

    Raises:
        UnknownNameError: there is no such class.
    """
    module, _, qualname = name.partition(":")
    try:
        found = resolve(name)
    except UnknownNameError:
        found = _ABSENT
    if isinstance(found, type):
        return found
    named = [cls for cls in [*registry.classes] if cls.__qualname__ == qualname]
    exact = [cls for cls in named if cls.__module__ == module]
    loose = [cls for cls in named if MAIN in (module, cls.__module__)]
    chosen = exact or loose
    modules = {cls.__module__ for cls in chosen}
    if len(modules) > 1:
        raise UnknownNameError(f"{name} may be that of several modules: {', '.join(sorted(modules))}")
    if not chosen:
        raise UnknownNameError(f"{name} is not among the classes that are loaded")
    return chosen[-1]


def same_name(one: str, other: str) -> bool:
    """Whether two names are of one thing: `__main__` equals any module."""
    if one == other:
        return True
    (module, _, qualname), (module2, _, qualname2) = one.partition(":"), other.partition(":")
    return qualname == qualname2 and MAIN in (module, module2)


def is_struct_class(cls: Any) -> bool:
    """Whether it is a struct class, or one of `structkit.struct`."""
    return isinstance(cls, type) and (plan_of(cls) is not None or registry.node_of(cls) is not None)


def is_named_tuple(cls: Any) -> bool:
    """Whether it is a class of named tuples."""
    return isinstance(cls, type) and issubclass(cls, tuple) and hasattr(cls, "_fields")
