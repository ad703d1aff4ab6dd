"""The reload of a module in a notebook, which copies the members of each new class into the old one.

The old class stays as it is, for its subclasses in other modules and for what JAX has flattened: where a field moved,
a getter of the new class would read another one's value. A call of it makes an object of the new class, and so does
the assignment of `__class__` by which the reload takes old objects along (`flat.py`).
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from typing import Any

from structkit._core.plan import ClassPlan, class_dict, plan_of
from structkit._core.registry import classes


def supersede(cls: Any, plan: ClassPlan) -> None:
    """Let the class with another plan stand in for a finished one; one that has none is filled in by cloudpickle."""
    own: ClassPlan = class_dict(cls)["__struct__"]
    successor = next((known for known in reversed(classes) if plan_of(known) is plan), None)
    if successor is None:
        return type.__setattr__(cls, "__struct__", plan)
    if own.successor is None:
        _shield(cls, own)
        type.__setattr__(cls, "__new__", _new_of_successor(cls, own, cls.__new__))
    own.successor = successor


def _shield(cls: Any, plan: ClassPlan) -> None:
    """Hide what is generated, to which the reload would give the code of the new functions."""
    for name, value in [*class_dict(cls).items()]:
        if name in plan.fields:
            value = property(functools.partial(value.fget), value.fset, value.fdel, value.__doc__)
        elif isinstance(value, types.FunctionType) and (
            name == "__init__" or str(value.__module__).startswith("structkit.")
        ):
            value = _Kept(value)
        else:
            continue
        type.__setattr__(cls, name, value)


class _Kept:
    """A method that is no function to those who look at the class."""

    def __init__(self, function: Callable[..., Any]):
        self.function = function

    def __get__(self, instance: Any, owner: Any) -> Any:
        return self if instance is None else types.MethodType(self.function, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)


def _new_of_successor(cls: Any, plan: ClassPlan, new: Callable[..., Any]) -> Any:
    def __new__(owner: Any, *args: Any, **kwargs: Any) -> Any:
        if owner is cls:
            return plan.successor(*args, **kwargs)
        return new(owner) if new is object.__new__ else new(owner, *args, **kwargs)

    return staticmethod(__new__)
