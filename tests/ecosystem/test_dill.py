"""dill and cloudpickle by value: classes of `__main__` and of functions travel with their objects."""

import subprocess
import sys

import pytest

SOURCE = """
import functools, sys, jax, LIBRARY
from dataclasses import InitVar
from typing import Any, ClassVar
from structkit import Static, Struct, derived, field, static, struct

class Base(Struct):
    x: Any
    name: Static[str] = static(default="n", converter=lambda name: name + "!")
    items: list = field(default_factory=lambda: [1])

    def double(self):
        return self.replace(x=2 * self.x)

class Child(Base):
    scale: InitVar[int] = 1
    y: Any = derived()
    kinds: ClassVar[dict] = {}

    def __post_init__(self, scale):
        self.y = scale * self.x + 1

    def __check_init__(self):
        assert self.y

    @functools.cached_property
    def half(self):
        return self.x / 2

class Custom(Child):
    def __init__(self, x):
        super().__init__(x, scale=3)

class Mutable(Struct, frozen=False):
    x: Any

class MutableChild(Mutable, frozen=False):
    y: Any = 2

def local(n):
    class Local(Struct):
        x: Any = 3

        def __call__(self, y):
            return self.x * y + n
    return Local(2)

class Node(struct.PyTreeNode):
    x: Any

class Plain(Node):
    def twice(self):
        return self.replace(x=2 * self.x)

@struct.dataclass
class Leaf(Plain):
    y: Any = 2
    tags: list = struct.field(pytree_node=False, default=None)

objects = [Base(1), Child(2), Custom(3), Mutable(4), MutableChild(5), local(5), Node(6), Plain(7), Leaf(8, tags=["t"])]
assert objects[1].half == 1.0
sys.stdout.buffer.write(LIBRARY.dumps((objects, jax.tree.structure(objects))))
"""

USE = """
import copy, dataclasses, sys, jax, LIBRARY
objects, treedef = LIBRARY.loads(sys.stdin.buffer.read())
base, child, custom, mutable, mutable_child, local, node, plain, leaf = objects
assert [o.x for o in objects] == [1, 2, 3, 4, 5, 2, 6, 7, 8] and type(child).__mro__[1] is type(base)
assert [type(o)(7).x for o in objects] == [7] * 9 and base.double().name == "n!!" and child.half == 1.0
assert [f.name for f in dataclasses.fields(child)] == ["x", "name", "items", "y"] and custom.y == 10
assert child.replace(x=5, scale=2).y == 11 and type(child)(4).y == 5 and local(3) == jax.jit(local)(3) == 11
assert leaf.twice().x == 16 and leaf.tags == ["t"] and jax.tree.leaves(leaf) == [8, 2]
assert jax.tree.structure(objects) == treedef
for o in objects:
    made = jax.tree.map(lambda leaf: leaf, o)
    assert made == o == copy.deepcopy(o) and type(made) is type(o)
    for one in (o, made, type(o)(1), copy.copy(o)):
        if o in (mutable, mutable_child):
            leaves, structure = jax.tree.flatten(one)
            one.x = "new"
            assert jax.tree.leaves(one)[0] == "new" and structure.unflatten(leaves).x != "new"
            continue
        # A class of the drop-in is frozen for assignments alone, as any dataclass is.
        for write in (setattr,) if isinstance(o, type(node)) else (setattr, object.__setattr__):
            try: write(one, "x", 1)
            except dataclasses.FrozenInstanceError: pass
            else: raise AssertionError(o)
"""


@pytest.mark.parametrize("library", ["dill", "cloudpickle"])
def test_classes_and_objects_of_main_and_of_functions_travel_to_another_process(library):
    sent = subprocess.run([sys.executable, "-c", SOURCE.replace("LIBRARY", library)], capture_output=True)
    assert sent.returncode == 0, sent.stderr.decode()
    use = USE.replace("LIBRARY", library)
    done = subprocess.run([sys.executable, "-c", use], input=sent.stdout, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
