"""tyro: a command line from a struct of settings."""

import dataclasses
from typing import Literal

import tyro

from structkit import Struct, field, static, struct


class Optimizer(Struct):
    rate: float = 1e-3
    name: Literal["adam", "sgd"] = static(default="adam")


class Settings(Struct):
    """Settings of a run."""

    steps: int
    optimizer: Optimizer = Optimizer()
    sizes: tuple[int, ...] = static(default=(4, 2))
    verbose: bool = False
    seed: int = field(default=0, doc="of the random numbers")


@struct.dataclass
class Decorated:
    steps: int
    sizes: tuple[int, ...] = struct.field(pytree_node=False, default=(4, 2))
    options: dict = dataclasses.field(default_factory=dict)


def test_a_struct_and_a_decorated_class_are_read_from_a_command_line():
    arguments = ["--steps", "3", "--optimizer.rate", "0.5", "--optimizer.name", "sgd", "--sizes", "1", "2", "3"]
    settings = tyro.cli(Settings, args=[*arguments, "--verbose"])
    assert settings == Settings(3, Optimizer(0.5, "sgd"), (1, 2, 3), True)
    assert tyro.cli(Settings, default=Settings(5), args=["--seed", "9"]) == Settings(5, seed=9)
    assert tyro.cli(Decorated, args=["--steps", "3", "--sizes", "7"]) == Decorated(3, (7,))
