"""The functions of structkit on decorated classes and on `PyTreeNode`s."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from structkit import Struct, at, construct, fields, is_struct, pformat, replace, struct, summary
from structkit.errors import MissingFieldError, NotAStructError, PlaceError, UnknownFieldError


@struct.dataclass
class Point:
    x: Any
    y: Any = 0
    name: str = struct.field(pytree_node=False, default="p", doc="what it is called")

    def __post_init__(self):
        if self.x == "refused":
            raise ValueError


class Node(struct.PyTreeNode):
    child: Any
    items: list = dataclasses.field(default_factory=list)
    size: int = struct.field(pytree_node=False, default=1)


class Holder(Struct):
    node: Any


@struct.dataclass(slots=True)
class Slotted:
    x: Any
    name: str = struct.field(pytree_node=False, default="s")


def test_is_struct_and_fields_know_classes_and_objects_which_are_no_instances_of_struct():
    class Undecorated(Point):
        pass

    for value in (Point, Point(1), Node, Node(1), Slotted(1)):
        assert is_struct(value) and not isinstance(value, Struct)
    assert not is_struct(Undecorated) and not is_struct(Undecorated(1)) and not is_struct(struct.PyTreeNode)
    for given in (Point, Point(1)):
        found = [("x", False, None), ("y", False, None), ("name", True, "what it is called")]
        assert [(f.name, f.static, f.doc) for f in fields(given)] == found
    assert fields(Node)[1].default_factory is list
    with pytest.raises(NotAStructError):
        fields(struct.PyTreeNode)
    told = "fields takes a Struct, not the class Undecorated; decorate Undecorated with struct.dataclass, too"
    with pytest.raises(NotAStructError, match=told):
        fields(Undecorated)


def test_replace_and_construct():
    assert replace(Point(1), x=3, name="q") == Point(3, name="q")
    with pytest.raises(TypeError, match="z"):
        replace(Point(1), z=3)
    assert construct(Point, x="refused").x == "refused" and construct(Node, child=1) == Node(1)
    assert construct(Node, child=1).items is not construct(Node, child=1).items
    with pytest.raises(UnknownFieldError, match="did you mean 'name'"):
        construct(Point, x=1, nmae="q")
    with pytest.raises(MissingFieldError, match="'x'"):
        construct(Point)


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (lambda t: t.node.child.x, Holder(Node(Point(7, 2), [Slotted(3)]))),
        (lambda t: t.node.child.name, Holder(Node(Point(1, 2, name=7), [Slotted(3)]))),
        (lambda t: t.node.items[0].name, Holder(Node(Point(1, 2), [Slotted(3, name=7)]))),
        (lambda t: t.node.items[0].x, Holder(Node(Point(1, 2), [Slotted(7)]))),
        (lambda t: t.node.size, Holder(Node(Point(1, 2), [Slotted(3)], size=7))),
        (lambda t: t.node.child, Holder(Node(7, [Slotted(3)]))),
    ],
)
def test_at_reaches_data_and_static_places(where, expected):
    tree = Holder(Node(Point(1, 2), [Slotted(3)]))
    assert at(tree, where).set(7) == expected and at(tree, where).get() == where(tree)


def test_at_runs_no_code_of_the_class_and_checks_nothing():
    @struct.dataclass
    class A(dict):
        x: Any
        name: str = struct.field(pytree_node=False, default="a")

        def __post_init__(self):
            self["x"] = self.x

    assert at(A(1), lambda a: a.x).set(3)["x"] == 3 and at(A(1), lambda a: a.name).set("b").name == "b"
    assert at(Point(1), lambda p: p.x).set("refused").x == "refused"
    assert at(Point(1), lambda p: p.name).set([1]).name == [1]
    with pytest.raises(PlaceError, match=r"tree.nam is no field of Point \(did you mean 'name'\?\)"):
        at(Point(1), lambda p: p.nam)


def test_printing_and_summing_up():
    tree = Holder(Node(Point(jnp.ones(2, jnp.float32)), [Slotted(1)]))
    inner = "Node(child=Point(x=f32[2], y=0, name='p'), items=[Slotted(x=1, name='s')], size=1)"
    assert pformat(tree.node, width=120) == inner and pformat(tree, width=120) == f"Holder(node={inner})"
    assert summary(tree).splitlines()[2].split() == [".node.child.x", "Point", "(2,)", "float32", "2", "8"]
    assert len(jax.tree.leaves(tree)) == 3


def test_an_own_repr_is_what_is_printed():
    @struct.dataclass
    class Own:
        x: Any

        def __repr__(self):
            return f"mine of {len(self.x)}"

    assert pformat(Own(jnp.ones(2))) == "mine of 2" and repr(Holder([Own([1])])) == "Holder(node=[mine of 1])"
    assert pformat([Own(1)]) == "[<Own whose repr raises TypeError>]"
