"""`structkit.struct`: the decorator and the base class that take the place of flax's."""

import dataclasses
from typing import Any, Generic, TypeVar

import jax
import jax.numpy as jnp

from structkit import at, struct

T = TypeVar("T")


@struct.dataclass
class State:
    params: dict[str, jax.Array]
    step: int = 0
    name: str = struct.field(pytree_node=False, default="state")
    tags: list[str] = struct.field(default_factory=list[str])


@struct.dataclass
class Child(State):
    rate: float = 0.1


@struct.dataclass(kw_only=True)
class KeywordOnly:
    seed: int


@struct.dataclass(frozen=False)
class Mutable:
    count: int


@struct.dataclass
class Box(Generic[T]):
    value: T


class Node(struct.PyTreeNode):
    weight: jax.Array
    step: int = 0
    name: str = struct.field(pytree_node=False, default="node")

    def next(self) -> "Node":
        return self.replace(step=self.step + 1)


class Wide(Node, kw_only=True):
    width: int


class MutableNode(struct.PyTreeNode, frozen=False):
    count: int


w = jnp.ones(3)
state = State({"w": w})
State({"w": w}, 1, "name", ["a"])
State()  # error: missing
State({"w": w}, "1")  # error: type
State({"w": w}, stpe=1)  # error: unknown
State({"w": w}, 1, "name", ["a"], 2)  # error: too-many
State({"w": w}, name=3)  # error: static-type
State({"w": w}, tags=[1])  # error: factory-type
Child({"w": w}, rate=0.2)
Child({"w": w}, rate="fast")  # error: child-type
KeywordOnly(seed=1)
KeywordOnly(1)  # error: kw-only
state.step = 3  # error: write
state.stpe  # error: unknown-read
Mutable(1).count = 2
Mutable(1).count = "2"  # error: mutable-type
number: int = Box(1).value
text: str = Box(1).value  # error: generic
as_dict: dict[str, Any] = dataclasses.asdict(state)
moved: State = dataclasses.replace(state, step=2)
placed: State = at(state, lambda s: s.step).set(2)
at(state, lambda s: s.stpe)  # error: place

node = Node(w)
Node(w, 1, "name")
Node()  # error: node-missing
Node(w, "1")  # error: node-type
Node(w, stpe=1)  # error: node-unknown
Wide(w, width=3)
Wide(w, 1, "name", 3)  # error: node-kw-only
node.step = 3  # error: node-write
MutableNode(1).count = 2
changed: Node = node.replace(step=2).next()
widened: Wide = Wide(w, width=1).replace(width=3)
wrong: Wide = node.replace(step=2)  # error: node-replace-result
node.replace(w)  # error: node-replace-positional


class WrongDefault(struct.PyTreeNode):
    a: int = struct.field(default="1")  # error: node-default


@struct.dataclass
class WrongOrder:
    a: int = 1
    b: int  # error: required-after-default


class WrongOption(struct.PyTreeNode, kw_only="yes"):  # error: node-option
    a: int
state.replace(step=2)  # fine: decorated-replace
