"""cloudpickle: objects and classes travel by value, also classes defined in functions."""

import pickle
import subprocess
import sys

import cloudpickle
import jax
import jax.numpy as jnp

from structkit import Struct, static, struct


def test_local_classes_travel_to_another_process():
    class Local(Struct):
        x: jax.Array
        name: str = static(default="a")

        def double(self):
            return self.replace(x=self.x * 2)

    @struct.dataclass
    class Decorated:
        x: jax.Array
        tags: list = struct.field(pytree_node=False, default=None)

    class Node(struct.PyTreeNode):
        x: jax.Array

    data = cloudpickle.dumps([Local(jnp.ones(2), "b"), Decorated(jnp.ones(2), ["t"]), Node(jnp.ones(2))])
    code = (
        "import sys, pickle, jax\n"
        "a, b, c = pickle.loads(sys.stdin.buffer.read())\n"
        "assert a.double().x.sum() == 4 and b.replace(x=1).x == c.replace(x=1).x == 1\n"
        "assert (a.name, b.tags) == ('b', ['t'])\n"
        "assert len(jax.tree.leaves([a, b, c])) == 3\n"
        "for v in (a, b, c):\n"
        "    try: v.x = 1\n"
        "    except AttributeError: pass\n"
        "    else: raise AssertionError\n"
    )
    done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


def test_mutable_local_classes_and_their_children_stay_mutable_in_another_process():
    class Local(Struct, frozen=False):
        x: int

    class Child(Local, frozen=False):
        y: int = 2

    data = cloudpickle.dumps([Local(1), Child(1)])
    code = (
        "import sys, pickle, jax\n"
        "for value in pickle.loads(sys.stdin.buffer.read()):\n"
        "    for made in (value, jax.tree.map(lambda leaf: leaf, value), type(value)(1)):\n"
        "        leaves, treedef = jax.tree.flatten(made)\n"
        "        made.x = 5\n"
        "        assert jax.tree.leaves(made)[0] == 5 and treedef.unflatten(leaves).x == 1\n"
    )
    done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


def test_a_class_by_value_is_the_same_class_in_this_process():
    class Local(Struct):
        x: int

    @struct.dataclass
    class Decorated:
        x: int

    for cls in (Local, Decorated):
        made = pickle.loads(cloudpickle.dumps(cls(1)))
        assert type(made) is cls and jax.tree.leaves(made) == [1]
