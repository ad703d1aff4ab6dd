"""IPython: its printer gives structs their width, and `%autoreload` takes old objects along to the new class."""

import importlib
import sys
import textwrap
from typing import Any

import jax
import pytest
from IPython.extensions import autoreload
from IPython.lib import pretty

from structkit import Struct, errors
from tests.models import Box, Point, Spoken


def test_the_printer_lays_structs_out_in_its_width():
    tree = {"k": Point([Box(1), Spoken(2)])}
    assert pretty.pretty(tree, max_width=80) == "{'k': Point(x=[Box(item=1), SPOKEN 2])}"
    assert pretty.pretty(tree, max_width=24) == "{'k': Point(\n   x=[\n     Box(item=1),\n     SPOKEN 2\n   ]\n )}"
    cycle: list[Any] = []
    cycle.append(Point(cycle))
    assert pretty.pretty(cycle) == "[Point(x=[<recursive>])]"


HEAD = "import jax\nfrom typing import Any\nfrom structkit import Struct, derived, field, static\n"
BEFORE = """
class Model(Struct):
    x: Any
    y: Any = 2

    def read(self):
        return self.x, self.y

class Custom(Struct):
    a: Any

    def __init__(self, a):
        self.a = a

class Hooked(Struct):
    a: Any

    def __post_init__(self):
        self.a = self.a + 1

class Compared(Struct):
    a: Any

    def __eq__(self, other):
        return self.a == other.a

class Called(Struct):
    a: Any

    def __call__(self, v):
        return self.a * v

class Ordered(Struct, order=True):
    a: Any

class Mutable(Struct, frozen=False):
    a: Any
    b: Any = 1

class Inheriting(Custom):
    pass

class Same(Struct):
    a: Any
    default: Any = jax.numpy.ones(2)

class Thawing(Struct):
    a: Any

class Freezing(Struct, frozen=False):
    a: Any
"""
AFTER = """
class Model(Struct):
    z: Any = 10
    y: Any = 2
    kind: str = static(default="k")
    x: Any = 1

    def read(self):
        return self.x, self.y, self.z

class Custom(Struct):
    a: Any
    b: Any = 5

class Hooked(Struct):
    b: Any = derived(default=7)
    a: Any = 0

    def __post_init__(self):
        self.b = self.a

class Compared(Struct):
    a: Any

    def __hash__(self):
        return 99

class Called(Struct):
    a: Any

    def __eq__(self, other):
        return True

class Ordered(Struct):
    a: Any

    def __lt__(self, other):
        return "less"

class Mutable(Struct, frozen=False):
    b: Any
    a: Any
    c: Any

class Inheriting(Custom):
    def __init__(self, a):
        super().__init__(a, 6)

class Same(Struct):
    a: Any
    default: Any = jax.numpy.ones(2)

class Thawing(Struct, frozen=False):
    a: Any

class Freezing(Struct):
    a: Any
    b: list = field(default_factory=list)
"""


@pytest.fixture
def reloading(tmp_path, monkeypatch):
    """A module of the first text, and a function that reloads it, as `%autoreload` does, with the second."""
    path = tmp_path / "reloaded_structs.py"
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    monkeypatch.syspath_prepend(tmp_path)
    path.write_text(HEAD + BEFORE)
    module, seen = importlib.import_module(path.stem), {}

    def reload(text=AFTER):
        path.write_text(HEAD + textwrap.dedent(text))
        importlib.invalidate_caches()
        autoreload.superreload(module, old_objects=seen)

    yield module, reload
    del sys.modules[path.stem]


def test_old_objects_get_the_new_class_by_the_names_of_the_fields(reloading):
    module, reload = reloading
    model, custom, hooked = module.Model(3), module.Custom(4), module.Hooked(5)
    mutable, inheriting, same = module.Mutable(6, 7), module.Inheriting(8), module.Same(9)
    for _ in range(2):
        reload()
        assert type(model) is module.Model and vars(model) == {"z": 10, "y": 2, "kind": "k", "x": 3}
        assert model.read() == (3, 2, 10) and jax.tree.leaves(model) == [10, 2, 3]
        assert model == module.Model(x=3) == jax.tree.map(lambda leaf: leaf, model) and model.replace(x=4).x == 4
        assert vars(custom) == {"a": 4, "b": 5} == vars(module.Custom(4)) and vars(hooked) == {"b": 7, "a": 6}
        assert vars(inheriting) == {"a": 8, "b": 5} and vars(module.Inheriting(1)) == {"a": 1, "b": 6}
        assert type(same) is module.Same and same == module.Same(9)
        mutable.a = 5
        assert (mutable.a, mutable.b) == (5, 7)
        with pytest.raises(errors.UnsetFieldError, match="Mutable"):
            mutable.c
    reload(AFTER.replace("z: Any = 10", "q: Any = 1\n    z: Any = 10"))
    assert vars(model) == {"q": 1, "z": 10, "y": 2, "kind": "k", "x": 3}
    # What was written by hand is generated again, and the other way round.
    reload(BEFORE)
    assert vars(model) == {"x": 3, "y": 2} and module.Ordered(1) < module.Ordered(2)


def test_old_objects_may_be_written_to_where_those_of_the_new_class_may(reloading):
    module, reload = reloading
    thawing, freezing = module.Thawing(1), module.Freezing(1)
    reload()
    thawing.a = 2
    assert thawing.a == 2 and vars(freezing) == {"a": 1, "b": []}
    with pytest.raises(errors.FrozenInstanceError):
        freezing.a = 2


def test_what_knows_the_old_class_alone_never_reads_another_field(reloading):
    module, reload = reloading
    old = module.Model

    class Child(old):
        w: Any = 7

    child, (leaves, treedef) = Child(1, 2), jax.tree.flatten(old(3, 4))
    reload()
    assert type(old(x=5)) is module.Model and old(x=5).read() == (5, 2, 10)
    assert vars(child) == {"x": 1, "y": 2, "w": 7} == vars(Child(1, 2)) and not hasattr(child, "z")
    with pytest.raises(AttributeError, match="z"):
        child.read()
    assert vars(jax.tree.map(lambda leaf: -leaf, child)) == {"x": -1, "y": -2, "w": -7}
    restored = treedef.unflatten(leaves)
    assert (restored.x, restored.y) == (3, 4) and vars(restored) == {"x": 3, "y": 4}


def test_children_elsewhere_keep_the_constructor_and_the_fields_and_get_the_methods(reloading):
    module, reload = reloading
    before = "class Base(Struct):\n    x: Any\n    y: Any = 2\n    def __call__(self, v):\n        return v\n"
    reload(BEFORE + before)
    base = module.Base

    class Child(base):
        def __init__(self, x):
            base.__init__(self, x)

    child = Child(1)
    reload(AFTER + before.replace("x: Any", "z: Any = 0\n    x: Any = 1").replace("return v", "return -v"))
    assert vars(child) == {"x": 1, "y": 2} == vars(Child(1)) and vars(base.replace(child, x=3)) == {"x": 3, "y": 2}
    assert base.x.fget(child) == 1 and child(5) == Child(1)(5) == base(1)(5) == -5
    assert isinstance(base(1), base) and isinstance(child, base)


def test_a_reload_changes_no_other_class(reloading):
    module, reload = reloading
    objects = [module.Compared(1), module.Called(1), module.Ordered(1)]
    reload()
    assert hash(objects[0]) == 99 and objects[1] == module.Called(2) and (objects[2] < objects[2]) == "less"

    class Compared(Struct):
        a: Any

        def __eq__(self, other):
            return True

    class Called(Struct):
        a: Any

        def __call__(self): ...

    assert hash(Compared(1)) != 99 and hash(Compared(1)) == hash(Compared(1))
    assert Called(1) != Called(2) and Called(1) == Called(1) and hash(Called(1)) == hash(Called(1))
    assert Point(1) != Point(2) and hash(Point(1)) == hash(Point(1))
