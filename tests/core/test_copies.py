"""`copy`, `deepcopy`, `pickle` and `cloudpickle` give finished structs, and nothing is kept alive."""

import copy
import dataclasses
import functools
import pickle
import weakref
from dataclasses import InitVar
from typing import Any

import cloudpickle
import jax
import jax.numpy as jnp
import pytest

from structkit import Static, Struct, construct, derived, field, replace, static
from tests.models import (
    Box,
    Checked,
    Custom,
    Empty,
    Everything,
    Lazy,
    Mutable,
    Pair,
    Point,
    Scaled,
    Squared,
    assert_frozen,
    collected,
    run_python,
)


class Mixin:
    tag = "mixin"


class Mixed(Mixin, Struct):
    x: Any
    n: int = static(default=1)


@dataclasses.dataclass(frozen=True)
class Standard:
    x: Any


class OfStandard(Standard, Struct):
    n: int = static(default=1)


class Child(Custom):
    more: Any

    def __init__(self, *values):
        super().__init__(*values)
        self.more = "more"


class Inheriting(Custom):
    pass


class Delegating(Struct):
    inner: Any

    def __getattr__(self, name):
        return getattr(self.inner, name)


MADE = [
    Point(1),
    Pair([1], 2, "name"),
    Box[int](2),
    Squared(3),
    Scaled(4),
    Custom(5, 6),
    Child(5, 6),
    Inheriting(5, 6),
    Everything(7, 2.0),
    Lazy(8),
    Checked(9),
    Mixed([1], 3),
    OfStandard(1, 3),
    Delegating(Point(1)),
    Empty(),
]
DUPLICATES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "cloudpickle": lambda made: pickle.loads(cloudpickle.dumps(made)),
    **{
        f"pickle of protocol {protocol}": lambda made, protocol=protocol: pickle.loads(pickle.dumps(made, protocol))
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    },
    "construct": lambda made: construct(type(made), **vars(made)),
    "tree map": lambda made: jax.tree.map(lambda leaf: leaf, made),
    "unflatten": lambda made: jax.tree.unflatten(*reversed(jax.tree.flatten(made))),
}


@pytest.mark.parametrize("duplicate", DUPLICATES.values(), ids=DUPLICATES.keys())
@pytest.mark.parametrize("made", [*MADE, Mutable([1], 2)], ids=repr)
def test_a_duplicate_has_the_values_and_the_structure_and_is_frozen_as_the_original(made, duplicate):
    # Everything and Scaled would multiply again if their hooks ran.
    copied = duplicate(made)
    assert copied is not made
    assert type(copied) is type(made)
    assert vars(copied) == vars(made)
    assert copied == made
    assert jax.tree.structure(copied) == jax.tree.structure(made)
    if not isinstance(made, Mutable):
        for name in vars(made):
            assert_frozen(made, name)
            assert_frozen(copied, name)


@pytest.mark.parametrize("duplicate", DUPLICATES.values(), ids=DUPLICATES.keys())
def test_a_duplicate_delegates_attributes_as_the_original(duplicate):
    assert duplicate(Delegating(Point(1))).x == 1


def test_a_changed_copy_is_frozen():
    for made, expected in (
        (replace(Pair(1), x=2), {"x": 2, "y": None, "name": "pair"}),
        (Squared(2).replace(side=3), {"side": 3, "area": 9}),
        (dataclasses.replace(Scaled(1), value=2), {"value": 4}),
        (Custom(1).replace(count=5), {"total": 1, "count": 5}),
    ):
        assert vars(made) == expected
        assert_frozen(made, next(iter(expected)))


def test_a_copy_shares_its_leaves_and_a_deep_copy_does_not():
    point = Point([1, jnp.ones(2)])
    assert copy.copy(point).x is point.x
    deep = copy.deepcopy(point)
    assert deep.x is not point.x
    assert deep == point


def test_a_duplicate_keeps_one_shared_object_shared():
    shared = Point([1])
    for duplicate in (copy.deepcopy, lambda made: pickle.loads(pickle.dumps(made))):
        one, other = duplicate([shared, shared])
        assert one is other
        assert one.x is not shared.x
        pair = duplicate(Pair(shared, shared))
        assert pair.x is pair.y


def test_a_struct_with_a_cycle_through_a_list_prints_copies_pickles_and_is_collected():
    items: list[Any] = []
    struct = Point(items)
    items.append(struct)
    assert repr(struct) == "Point(x=[<recursive>])"
    for made in (pickle.loads(pickle.dumps(struct)), copy.deepcopy(struct)):
        assert made.x[0] is made
        assert made is not struct
    references = [weakref.ref(struct), weakref.ref(made)]
    del struct, items, made
    assert collected(references)


def test_a_finished_struct_is_not_kept_alive():
    references = []
    for make in (Point, Checked, Squared, Scaled, Custom, Lazy, Mutable, Box[float]):
        struct = make(1.0)
        references.append(weakref.ref(struct))
        references.append(weakref.ref(jax.tree.map(lambda x: x, struct)))
        references.append(weakref.ref(copy.copy(struct)))
    del struct
    assert collected(references)


def test_a_struct_pickles_by_field_name():
    for made in MADE:
        assert made.__getstate__() == vars(made)


def local_classes():
    class Base(Struct):
        x: Any
        scale: InitVar[int] = 2
        n: Static[str] = static(default="n", converter=lambda value: value + "!")
        y: Any = derived()
        made: list = field(default_factory=lambda: [1])

        def __post_init__(self, scale):
            self.y = self.x * scale

        @functools.cached_property
        def double(self):
            return 2 * self.x

        def __call__(self):
            return self.x + 1

    class WithInit(Base):
        z: int

        def __init__(self, z):
            super().__init__(z, scale=3)
            self.z = z

    return Base, WithInit


def test_classes_pickled_by_value_work_and_are_frozen_in_another_process(tmp_path):
    Base, WithInit = local_classes()
    objects = Base(1), WithInit(2)
    pickled = tmp_path / "classes.pickle"
    pickled.write_bytes(cloudpickle.dumps((Base, WithInit, *objects, jax.tree.structure(objects))))
    printed = run_python(
        """
        import copy, dataclasses, os, pickle
        import jax

        with open(os.environ["PICKLED"], "rb") as file:
            Base, WithInit, base, other, treedef = pickle.load(file)
        print(type(base) is Base, type(other) is WithInit, jax.tree.structure((base, other)) == treedef)
        print(base, other, [f.name for f in dataclasses.fields(Base)])
        print(base.double, WithInit(5).double, WithInit(5).y, base(), jax.jit(lambda m: m)(base).n)
        print(jax.tree.map(lambda leaf: leaf, base) == base == Base(1) == copy.deepcopy(base))
        print(base.replace(x=4, scale=2).y)
        refused = 0
        for made in (base, other, Base(1), WithInit(1), copy.copy(base), jax.tree.map(lambda leaf: leaf, other)):
            for write in (setattr, object.__setattr__):
                for name in ("x", "n"):
                    try:
                        write(made, name, 5)
                    except dataclasses.FrozenInstanceError as error:
                        refused += str(error).startswith(f"cannot assign to field {name!r}")
        print(refused)
        """,
        PICKLED=str(pickled),
    )
    assert printed.splitlines() == [
        "True True True",
        "Base(x=1, n='n!', y=2, made=[1]) WithInit(x=2, n='n!', y=6, made=[1], z=2) ['x', 'n', 'y', 'made']",
        "2 10 15 2 n!",
        "True",
        "8",
        "24",
    ]
