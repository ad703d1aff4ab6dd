"""dill by value: classes of `__main__` and of functions travel with their objects."""

import subprocess
import sys

SOURCE = """
import functools, sys, dill
from typing import Any, ClassVar
from structkit import Struct, derived, field, static

class Base(Struct):
    x: Any
    name: str = static(default="n", converter=lambda name: name + "!")
    items: list = field(default_factory=lambda: [1])

    def double(self):
        return self.replace(x=2 * self.x)

class Child(Base):
    y: Any = derived()
    kinds: ClassVar[dict] = {}

    def __post_init__(self):
        self.y = self.x + 1

    def __check_init__(self):
        assert self.y

    @functools.cached_property
    def half(self):
        return self.x / 2

class Custom(Struct):
    x: Any

    def __init__(self, x):
        super().__init__()
        self.x = x

class Mutable(Struct, frozen=False):
    x: Any

def local(n):
    class Local(Struct):
        x: Any = 3

        def __call__(self, y):
            return self.x * y + n
    return Local(2)

objects = [Base(1), Child(2), Custom(3), Mutable(4), local(5)]
assert objects[1].half == 1.0
sys.stdout.buffer.write(dill.dumps(objects))
"""

USE = """
import sys, dill, dataclasses, jax
base, child, custom, mutable, local = objects = dill.load(sys.stdin.buffer)
assert [o.x for o in objects] == [1, 2, 3, 4, 2] and type(child).__mro__[1] is type(base)
assert [type(o)(7).x for o in objects] == [7] * 5 and base.double().name == "n!!" and child.half == 1.0
assert child.replace(x=5).y == 6 and type(child)(4).y == 5 and local(3) == jax.jit(local)(3) == 11
mutable.x = 5
for o in objects:
    assert jax.tree.map(lambda leaf: leaf, o) == o and type(jax.tree.map(lambda leaf: leaf, o)) is type(o)
    if o is not mutable:
        for write in (setattr, object.__setattr__):
            try: write(o, "x", 1)
            except dataclasses.FrozenInstanceError: pass
            else: raise AssertionError(o)
"""


def test_classes_and_objects_of_main_and_of_functions_travel_to_another_process():
    sent = subprocess.run([sys.executable, "-c", SOURCE], capture_output=True)
    assert sent.returncode == 0, sent.stderr.decode()
    done = subprocess.run([sys.executable, "-c", USE], input=sent.stdout, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
