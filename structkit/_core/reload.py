"""The reload of a module in a notebook, which copies the members of each new class into the old one.

The old class stays as it is, for its subclasses in other modules and for what JAX has flattened: where a field moved,
a getter of the new class would read another one's value. A call of it makes an object of the new class, and so does
the assignment of `__class__` by which the reload takes old objects along (`flat.py`).
"""

from __future__ import annotations

import functools
import types
from typing import Any

from structkit._core.plan import ClassPlan, class_dict, plan_of
from structkit._core.registry import classes


def supersede(cls: Any, plan: ClassPlan) -> None:
    """Let the class with another plan stand in for a finished one; one that has none is filled in by cloudpickle."""
    own = _plan(cls)
    successor = next((known for known in reversed(classes) if plan_of(known) is plan), None)
    if successor is None:
        return type.__setattr__(cls, "__struct__", plan)
    if own.successor is None:
        vars(object)["__class__"].__set__(cls, types.new_class("Superseded", (_Superseded, type(cls))))
    own.successor = successor


class _Superseded(type):
    """What the metaclass of a class gets when another one stands in for it; its later children have it, too."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        successor = _plan(cls).successor
        return super().__call__(*args, **kwargs) if successor is None else successor(*args, **kwargs)

    def __getattribute__(cls, name: str) -> Any:
        value: Any = super().__getattribute__(name)
        if not _is_generated(cls, name):
            return value
        theirs: Any = getattr(_plan(cls).successor, name, value)
        if isinstance(value, types.FunctionType):
            # To a function that it finds the reload gives the code of the new one, which is for user code alone.
            modules = [str(getattr(f, "__module__", "")) for f in (value, theirs)]
            ours = name == "__init__" or any([module.startswith("structkit.") for module in modules])
            return functools.partial(value) if ours else value
        if isinstance(value, property) and name in _plan(cls).fields:
            getter: Any = value.fget
            return property(functools.partial(getter), value.fset, value.fdel, value.__doc__)
        return theirs

    def __setattr__(cls, name: str, value: Any) -> None:
        if name == "__struct__" or not _is_generated(cls, name):
            super().__setattr__(name, value)


def _plan(cls: type) -> ClassPlan:
    return class_dict(cls)["__struct__"]  # type: ignore[no-any-return]


def _is_generated(cls: type, name: str) -> bool:
    """Whether a superseded class, or the one in its place, has under a name what is made for its fields."""
    plan = _plan(cls)
    if plan.successor is None or name == "__dict__":
        return False
    return name[:2] == "__" or name == "replace" or name in plan.fields | _plan(plan.successor).fields
