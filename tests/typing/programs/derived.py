"""Fields that `__init__` does not take, `InitVar`s and `__post_init__`."""

import dataclasses

import jax
import jax.numpy as jnp

from structkit import Struct, derived, field


class Square(Struct):
    side: float
    scale: dataclasses.InitVar[float]
    area: float = derived()
    count: int = derived(default=0, doc="how many")
    hidden: int = field(init=False, default=1)

    def __post_init__(self, scale: float) -> None:
        # Checkers refuse `self.area = ...` in a frozen class; this is how dataclasses write it.
        object.__setattr__(self, "area", self.side**2 * scale)


class Labelled(Struct):
    name: str
    unit: dataclasses.InitVar[str] = "m"
    label: str = derived(static=True)
    values: jax.Array = derived(default=jnp.zeros(3))

    def __post_init__(self, unit: str) -> None:
        object.__setattr__(self, "label", f"{self.name} [{unit}]")


Square(2.0, 3.0)
Square(side=2.0, scale=3.0)
Square(2.0, 3.0, area=4.0)  # error: derived-by-name
Square(2.0, 3.0, count=1)  # error: derived-default-by-name
Square(2.0, 3.0, hidden=1)  # error: init-false-by-name
area: float = Square(2.0, 3.0).area
name: str = Square(2.0, 3.0).area  # error: derived-type
Labelled("a")
Labelled("a", "km")
Labelled("a", unit=3)  # error: initvar-default-type
Labelled("a", label="b")  # error: derived-static-by-name


class Wrong(Struct):
    a: str = derived(default=1)  # error: derived-default
