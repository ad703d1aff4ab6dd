"""Finished structs refuse writes in every state, mutable ones take their fields only, caches stay beside the tree."""

import copy
import dataclasses
import functools
import os
import pickle
import subprocess
import sys
import textwrap
import weakref
from typing import Any, Generic, TypeVar

import cloudpickle
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from structkit import Static, Struct, construct, derived, errors, field, replace, static

T = TypeVar("T")


class Point(Struct):
    x: Any
    n: Static[int] = 1


class Custom(Struct):
    x: Any
    n: Static[int] = 1

    def __init__(self, x, n=1):
        self.x, self.n = x, n


class Drafted(Struct):
    x: Any
    n: Static[int] = 1
    y: Any = derived()

    def __post_init__(self):
        self.y = self.x


class Checked(Struct):
    x: Any
    n: Static[int] = 1

    def __check_init__(self):
        pass


class Child(Custom):
    z: int = 3

    def __init__(self, x, n=1, z=3):
        super().__init__(x, n)
        self.z = z


class Inheriting(Custom):
    pass


class Box(Struct, Generic[T]):
    x: T
    n: Static[int] = 1


class Mixin:
    tag = "mixin"


class Mixed(Mixin, Struct):
    x: Any
    n: Static[int] = 1


@dataclasses.dataclass(frozen=True)
class Standard:
    x: Any


class OfStandard(Standard, Struct):
    n: Static[int] = 1


CLASSES = [Point, Custom, Drafted, Checked, Child, Inheriting, Box, Mixed, OfStandard]

STATES = {
    "new": lambda cls: cls(1),
    "copy": lambda cls: copy.copy(cls(1)),
    "deepcopy": lambda cls: copy.deepcopy(cls(1)),
    "pickle": lambda cls: pickle.loads(pickle.dumps(cls(1))),
    "pickle of protocol 2": lambda cls: pickle.loads(pickle.dumps(cls(1), 2)),
    "cloudpickle": lambda cls: pickle.loads(cloudpickle.dumps(cls(1))),
    "replace": lambda cls: replace(cls(2), x=1),
    "dataclasses.replace": lambda cls: dataclasses.replace(cls(2), x=1),
    "construct": lambda cls: construct(cls, **vars(cls(1))),
    "tree map": lambda cls: jax.tree.map(lambda leaf: leaf, cls(1)),
    "unflatten": lambda cls: jax.tree.unflatten(jax.tree.structure(cls(1)), jax.tree.leaves(cls(1))),
}


def assert_frozen(obj, name="x"):
    before = vars(obj)
    cls = type(obj).__name__
    attempts = {
        f"cannot assign to field {name!r}: {cls} is frozen; make a changed copy with .replace({name}=...)": [
            lambda: setattr(obj, name, 5),
            lambda: object.__setattr__(obj, name, 5),
            lambda: type(obj).__setattr__(obj, name, 5),
            lambda: type(obj).__dict__[name].__set__(obj, 5),
        ],
        f"cannot delete field {name!r}: {cls} keeps all of its fields": [
            lambda: delattr(obj, name),
            lambda: object.__delattr__(obj, name),
            lambda: type(obj).__dict__[name].__delete__(obj),
        ],
    }
    for text, writes in attempts.items():
        for write in writes:
            with pytest.raises(dataclasses.FrozenInstanceError) as error:
                write()
            assert str(error.value) == text
            assert isinstance(error.value, AttributeError)
    assert vars(obj) == before


@pytest.mark.parametrize("name", ["x", "n"])
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("cls", CLASSES)
def test_a_finished_struct_is_frozen_in_every_state(cls, state, name):
    obj = STATES[state](cls)
    assert type(obj) is cls
    assert obj.x == 1
    assert_frozen(obj, name)


def test_the_text_starts_as_the_one_of_the_standard_library():
    @dataclasses.dataclass(frozen=True)
    class A:
        x: int

    with pytest.raises(dataclasses.FrozenInstanceError) as standard:
        A(1).x = 2
    with pytest.raises(dataclasses.FrozenInstanceError) as ours:
        Point(1).x = 2
    assert str(ours.value).startswith(str(standard.value))
    with pytest.raises(dataclasses.FrozenInstanceError) as standard:
        del A(1).x
    with pytest.raises(dataclasses.FrozenInstanceError) as ours:
        del Point(1).x
    assert str(ours.value).startswith(str(standard.value))


def test_a_subscripted_class_makes_frozen_objects_of_the_plain_class():
    box = Box[int](1)
    assert_frozen(box)
    assert not hasattr(box, "__orig_class__")
    assert box == Box(1)


def test_augmented_assignment_is_refused_and_changes_nothing():
    array = np.zeros(2)
    point = Point(array[0].item())
    with pytest.raises(errors.FrozenInstanceError):
        point.x += 1
    assert point.x == 0


def test_names_that_are_no_fields_are_refused_too():
    point = Point(1)
    for write in (
        lambda: setattr(point, "other", 1),
        lambda: setattr(point, "__class__", Custom),
        lambda: setattr(point, "__dict__", {}),
        lambda: setattr(point, "replace", None),
        lambda: setattr(point, "__flat__", ((2,), (2,))),
    ):
        with pytest.raises(errors.FrozenInstanceError):
            write()
    with pytest.raises(AttributeError):
        object.__setattr__(point, "other", 1)
    with pytest.raises(AttributeError):
        object.__setattr__(point, "__dict__", {})
    assert vars(point) == {"x": 1, "n": 1}
    assert type(point) is Point


def test_a_mixed_in_dict_is_no_way_round():
    mixed = Mixed(1)
    for name in ("x", "other"):
        with pytest.raises(errors.FrozenInstanceError):
            vars(mixed)[name] = 2
    with pytest.raises(errors.FrozenInstanceError):
        mixed.other = 3
    with pytest.raises(errors.FrozenInstanceError):
        mixed.tag = 3
    assert (mixed.x, mixed.tag, vars(mixed)) == (1, "mixin", {"x": 1, "n": 1})


def test_vars_is_a_new_dict_of_the_fields_in_order():
    class A(Struct):
        b: int
        n: Static[int]
        a: int

    a = A(1, 2, 3)
    assert list(vars(a).items()) == [("b", 1), ("n", 2), ("a", 3)]
    assert a.__dict__ == vars(a)
    assert vars(a) is not vars(a)
    assert A(**a.__dict__) == a


def test_writing_to_vars_is_writing_to_the_struct():
    class Idiom(Struct):
        x: int
        y: int = 0

        def __init__(self, **values):
            self.__dict__.update(values)
            self.__dict__["y"] = 5

    made = Idiom(x=1)
    assert vars(made) == {"x": 1, "y": 5}
    with pytest.raises(errors.UnknownAttributeError):
        Idiom(x=1, z=2)
    writes = (
        lambda found: found.update(x=3),
        lambda found: found.__ior__({"x": 3}),
        lambda found: found.setdefault("z", 3),
        lambda found: found.pop("x"),
        lambda found: found.popitem(),
        lambda found: found.clear(),
        lambda found: found.__delitem__("x"),
    )
    for write in writes:
        with pytest.raises(errors.FrozenInstanceError):
            write(vars(made))
    assert vars(made) == {"x": 1, "y": 5}


def test_vars_of_a_mutable_struct_are_written_to_the_struct():
    class Mutable(Struct, frozen=False):
        x: int

    box = Mutable(1)
    vars(box)["x"] = 4
    assert box.x == 4


def test_vars_copies_and_pickles_as_a_plain_dict():
    for copied in (
        copy.copy(vars(Point(1))),
        copy.deepcopy(vars(Point(1))),
        pickle.loads(pickle.dumps(vars(Point(1)))),
    ):
        assert type(copied) is dict
        assert copied == vars(Point(1))


def test_the_flat_form_is_made_of_tuples():
    for cls in CLASSES:
        leaves, treedef = jax.tree.flatten(cls(1))
        children, aux = cls(1).__flat__
        assert type(children) is tuple
        assert type(aux) is tuple
        assert jax.tree.unflatten(treedef, leaves) == cls(1)


def test_calling_a_custom_init_again_is_refused():
    for obj in (Custom(1), Child(1), Inheriting(1)):
        with pytest.raises(errors.FrozenInstanceError):
            obj.__init__(2)
        assert obj.x == 1


def test_setstate_on_a_finished_struct_is_refused():
    point = Point(1)
    with pytest.raises(errors.FrozenInstanceError):
        point.__setstate__({"x": 2})
    assert point.x == 1


# Under construction


@pytest.mark.parametrize("hook", ["__init__", "__post_init__"])
def test_object_setattr_works_while_user_code_constructs_and_is_refused_afterwards(hook):
    def construct_it(self, x=1):
        object.__setattr__(self, "x", x)
        object.__setattr__(self, "n", 5)
        assert (self.x, self.n) == (x, 5)

    fields = {"x": derived(), "n": derived(static=True)} if hook == "__post_init__" else {}
    A = type(Struct)("A", (Struct,), {"__annotations__": {"x": int, "n": Static[int]}, hook: construct_it, **fields})
    a = A()
    assert vars(a) == {"x": 1, "n": 5}
    assert_frozen(a, "x")
    assert_frozen(a, "n")


def test_an_unknown_name_is_refused_under_construction_with_the_nearest_field():
    class A(Struct):
        weight: int = 1

        def __init__(self):
            self.weigth = 5

    with pytest.raises(errors.UnknownAttributeError) as error:
        A()
    assert error.value.attribute == "weigth"
    assert "'weight'" in str(error.value)


def test_nothing_can_be_deleted_under_construction():
    class A(Struct):
        x: int

        def __init__(self):
            self.x = 1
            del self.x

    with pytest.raises(errors.FrozenInstanceError):
        A()


def test_an_object_that_leaks_from_its_init_is_sealed_when_the_init_returns():
    leaked = []

    class A(Struct):
        x: int

        def __init__(self, x):
            leaked.append(self)
            self.x = x
            self.x = self.x + 1

    made = A(1)
    assert leaked[0] is made
    assert_frozen(leaked[0])


def leak_and_fail(log, self):
    log.append(self)
    raise ValueError("no")


def fail(*_):
    raise ValueError("no")


class FailsInInit(Struct):
    x: Any
    y: Any = 2

    def __init__(self, log):
        self.x = 1
        leak_and_fail(log, self)


class FailsInPostInit(Struct):
    log: Any
    x: Any = derived()
    y: Any = derived(default=2)

    def __post_init__(self):
        self.x = 1
        leak_and_fail(self.log, self)


class FailsInParent(FailsInInit):
    def __init__(self, log):
        self.y = 3
        super().__init__(log)


class FailsInCheck(Struct):
    log: Any
    x: Any = 1
    y: Any = 2

    def __check_init__(self):
        leak_and_fail(self.log, self)


class FailsInFactory(Struct):
    x: Any
    y: Any = field(default_factory=fail)

    def __init__(self, log):
        self.x = 1
        log.append(self)


class FailsInConverter(Struct):
    x: Any
    y: Any = field(default=2, converter=fail)

    def __init__(self, log):
        self.x = 1
        log.append(self)


class FailsInStatic(Struct):
    x: Any
    y: Static[Any] = field(default_factory=list)

    def __init__(self, log):
        self.x = 1
        log.append(self)


class FailsUnset(Struct):
    x: Any
    y: Any

    def __init__(self, log):
        self.x = 1
        log.append(self)


FAILING = [
    FailsInInit,
    FailsInPostInit,
    FailsInParent,
    FailsInCheck,
    FailsInFactory,
    FailsInConverter,
    FailsInStatic,
    FailsUnset,
]


def failed(cls):
    log = []
    with pytest.raises((ValueError, TypeError)):
        cls(log)
    return log[0]


@pytest.mark.parametrize("cls", FAILING)
def test_what_a_failed_init_leaves_is_frozen(cls):
    assert_frozen(failed(cls))


@pytest.mark.parametrize("cls", FAILING)
def test_what_a_failed_init_leaves_prints_and_shows_its_values(cls):
    obj = failed(cls)
    assert obj.x == 1
    assert "x=1" in repr(obj)
    assert vars(obj)["x"] == 1


@pytest.mark.parametrize("cls", [FailsInInit, FailsInParent, FailsInFactory, FailsUnset])
def test_a_copy_of_what_a_failed_init_leaves_is_frozen_too(cls):
    for copied in (copy.copy(failed(cls)), copy.deepcopy(failed(cls))):
        assert copied.x == 1
        assert_frozen(copied)


def test_reading_what_a_failed_init_left_unset_names_the_field():
    with pytest.raises(errors.UnsetFieldError) as error:
        failed(FailsUnset).y
    assert str(error.value) == "FailsUnset.y is read before it is set; assign self.y first"


def test_an_object_that_was_never_initialised_is_frozen():
    obj = Custom.__new__(Custom)
    for name in ("x", "n", "other"):
        with pytest.raises(errors.FrozenInstanceError):
            setattr(obj, name, 1)
    with pytest.raises(errors.UnsetFieldError) as error:
        obj.x
    assert str(error.value) == "Custom.x is read before it is set; assign self.x first"
    assert vars(obj) == {}
    assert repr(obj) == "Custom(x=<unset>, n=<unset>)"


@pytest.mark.parametrize(
    "make", [copy.copy, copy.deepcopy, lambda obj: obj.replace(x=5), lambda obj: jax.tree.map(abs, obj)]
)
def test_a_copy_made_under_construction_is_finished_and_separate(make):
    copies = []

    class A(Struct):
        x: int
        n: Static[int]

        def __init__(self):
            self.x, self.n = 1, 2
            copies.append(make(self))
            self.x = 7

    assert A().x == 7
    assert copies[0].x in (1, 5)
    assert copies[0].n == 2
    assert_frozen(copies[0])


def test_a_struct_is_frozen_inside_jit_too():
    @jax.jit
    def step(point):
        with pytest.raises(errors.FrozenInstanceError):
            point.x = 2
        return point

    assert step(Point(1.0)).x == 1


# Pickles


def test_copies_share_leaves_and_deep_copies_do_not():
    point = Point([1, jnp.ones(2)])
    assert copy.copy(point).x is point.x
    deep = copy.deepcopy(point)
    assert deep.x is not point.x
    assert deep == point
    assert_frozen(copy.copy(deep), "n")


def test_a_deep_copy_keeps_the_tree_structure():
    point = Custom([1], n=5)
    assert jax.tree.structure(copy.deepcopy(point)) == jax.tree.structure(point)


def test_a_mixin_before_struct_pickles_by_field_name():
    mixed = pickle.loads(pickle.dumps(Mixed([1], 3)))
    assert vars(mixed) == {"x": [1], "n": 3}
    assert mixed.__getstate__() == {"x": [1], "n": 3}


def test_a_class_pickled_by_value_is_frozen_in_another_process(tmp_path):
    def local_classes():
        class Base(Struct):
            x: Any
            scale: dataclasses.InitVar[int] = 2
            n: Static[str] = static(default="n", converter=lambda value: value + "!")
            y: Any = derived()
            made: list = field(default_factory=lambda: [1])

            def __post_init__(self, scale):
                self.y = self.x * scale

            @functools.cached_property
            def double(self):
                return 2 * self.x

        class WithInit(Base):
            z: int

            def __init__(self, z):
                super().__init__(z, scale=3)
                self.z = z

        return Base(1), WithInit(2), Base, WithInit

    (tmp_path / "classes.pickle").write_bytes(cloudpickle.dumps(local_classes()))
    program = textwrap.dedent(
        """
        import copy, dataclasses, pickle, sys
        import jax
        with open(sys.argv[1], "rb") as file:
            base, other, Base, WithInit = pickle.load(file)
        assert type(base) is Base and type(other) is WithInit, (type(base), type(other))
        assert vars(base) == {"x": 1, "n": "n!", "y": 2, "made": [1]}, vars(base)
        assert vars(other) == {"x": 2, "n": "n!", "y": 6, "made": [1], "z": 2}, vars(other)
        assert [f.name for f in dataclasses.fields(Base)] == ["x", "n", "y", "made"], dataclasses.fields(Base)
        assert (base.double, WithInit(5).double, WithInit(5).y) == (2, 10, 15)
        assert jax.tree.map(lambda leaf: leaf, base) == base == Base(1) == copy.deepcopy(base)
        assert base.replace(x=4, scale=2).y == 8
        for obj in (base, other, Base(1), WithInit(1), copy.copy(base), jax.tree.map(lambda leaf: leaf, other)):
            for name in ("x", "n", "unknown"):
                try:
                    setattr(obj, name, 5)
                except dataclasses.FrozenInstanceError as error:
                    assert str(error).startswith("cannot assign to field " + repr(name))
                else:
                    raise AssertionError(f"{name} of {obj} was assigned")
        try:
            object.__setattr__(base, "x", 5)
        except dataclasses.FrozenInstanceError:
            print("frozen")
        """
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", program, str(tmp_path / "classes.pickle")]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert (result.stdout, result.returncode) == ("frozen\n", 0), result.stderr


# Mutable structs


class Mutable(Struct, frozen=False):
    weight: Any
    n: Static[int] = 1
    scale: float = field(default=1, converter=float)


def test_a_mutable_struct_takes_assignments_to_its_fields_in_every_state():
    for make in (
        lambda: Mutable(0),
        lambda: copy.copy(Mutable(0)),
        lambda: copy.deepcopy(Mutable(0)),
        lambda: pickle.loads(pickle.dumps(Mutable(0))),
        lambda: pickle.loads(cloudpickle.dumps(Mutable(0))),
        lambda: replace(Mutable(0), n=3),
        lambda: construct(Mutable, weight=0),
        lambda: jax.tree.map(lambda leaf: leaf, Mutable(0)),
    ):
        obj = make()
        obj.weight = 5
        obj.n = 7
        obj.scale = "2.5"
        object.__setattr__(obj, "weight", obj.weight + 1)
        assert vars(obj) == {"weight": 6, "n": 7, "scale": 2.5}
        assert jax.tree.leaves(obj) == [6, 2.5]


def test_a_mutable_struct_refuses_an_unknown_name_with_the_nearest_field():
    obj = Mutable(0)
    with pytest.raises(AttributeError) as error:
        obj.weigth = 1
    assert isinstance(error.value, errors.UnknownAttributeError)
    assert error.value.fields == ("weight", "n", "scale")
    assert "'weight'" in str(error.value)
    with pytest.raises(AttributeError):
        object.__setattr__(obj, "weigth", 1)
    with pytest.raises(AttributeError):
        obj.replace = 1
    assert vars(obj) == {"weight": 0, "n": 1, "scale": 1.0}


def test_a_mutable_struct_keeps_its_fields():
    obj = Mutable(0)
    for delete in (lambda: delattr(obj, "weight"), lambda: object.__delattr__(obj, "n")):
        with pytest.raises(AttributeError):
            delete()
    assert vars(obj) == {"weight": 0, "n": 1, "scale": 1.0}


def test_a_mutable_struct_checks_statics_and_keeps_the_old_value():
    obj = Mutable(0)
    with pytest.raises(errors.StaticValueError):
        obj.n = [1]
    assert obj.n == 1


def test_an_assignment_never_changes_a_tree_structure_or_leaves_that_jax_holds():
    obj = Mutable(0)
    leaves, treedef = jax.tree.flatten(obj)
    mapped = jax.tree.map(lambda leaf: leaf, obj)
    copied = copy.copy(obj)
    obj.weight, obj.n = 5, 6
    assert leaves == [0, 1.0]
    assert jax.tree.unflatten(treedef, leaves).n == mapped.n == copied.n == 1
    assert mapped.weight == copied.weight == 0
    assert treedef != jax.tree.structure(obj)


def test_a_mutable_struct_is_traced_again_for_a_new_static_only():
    traced = []

    @jax.jit
    def run(obj):
        traced.append(obj.n)
        return obj.weight * obj.n

    obj = Mutable(jnp.asarray(2.0))
    assert run(obj) == 2
    obj.weight = jnp.asarray(3.0)
    assert run(obj) == 3
    obj.n = 5
    assert run(obj) == 15
    obj.n = 1
    assert run(obj) == 3
    assert traced == [1, 5]


def test_a_mutable_struct_is_unhashable_and_compares_by_content():
    with pytest.raises(TypeError):
        hash(Mutable(0))
    assert Mutable(0) == Mutable(0)
    assert Mutable(0) != Mutable(1)


def test_a_failed_init_of_a_mutable_struct_never_hands_out_a_marker():
    leaked = []

    class A(Struct, frozen=False):
        x: Any
        y: Any
        n: Static[Any]
        m: Static[Any]

        def __init__(self):
            leaked.append(self)
            raise ValueError("no")

    with pytest.raises(ValueError):
        A()
    obj = leaked[0]
    obj.x = 1
    obj.n = 2
    assert (obj.x, obj.n) == (1, 2)
    for name in ("y", "m"):
        with pytest.raises(errors.UnsetFieldError) as error:
            getattr(obj, name)
        assert str(error.value) == f"A.{name} is read before it is set; assign self.{name} first"


def test_a_mutable_struct_with_a_custom_init_and_checks_stays_mutable():
    checked = []

    class A(Struct, frozen=False):
        x: int

        def __init__(self, x):
            self.x = x

        def __check_init__(self):
            checked.append(self.x)

    a = A(1)
    a.x = 2
    assert a.x == 2
    assert checked == [1]


def test_a_property_with_a_setter_works_on_a_mutable_struct():
    class A(Struct, frozen=False):
        x: int

        @property
        def double(self):
            return 2 * self.x

        @double.setter
        def double(self, value):
            self.x = value // 2

    a = A(1)
    a.double = 8
    assert a.x == 4


# Cached properties


class Cached(Struct):
    x: Any
    n: Static[int] = 1

    @functools.cached_property
    def double(self):
        """Twice x."""
        calls.append(self.x)
        return 2 * self.x


calls: list[Any] = []


@pytest.fixture(autouse=True)
def no_calls():
    calls.clear()


def test_a_cached_property_is_computed_once_for_each_object():
    cached = Cached(1)
    assert (cached.double, cached.double) == (2, 2)
    assert Cached(3).double == 6
    assert calls == [1, 3]
    assert Cached.double.__doc__ == "Twice x."


def test_a_computed_cached_property_leaves_tree_equality_hash_repr_and_vars_alone():
    fresh, computed = Cached(1), Cached(1)
    assert computed.double == 2
    assert jax.tree.structure(computed) == jax.tree.structure(fresh)
    assert jax.tree.leaves(computed) == jax.tree.leaves(fresh) == [1]
    assert computed == fresh
    assert hash(computed) == hash(fresh)
    assert repr(computed) == repr(fresh) == "Cached(x=1, n=1)"
    assert vars(computed) == vars(fresh) == {"x": 1, "n": 1}
    assert pickle.dumps(computed) == pickle.dumps(fresh)


@pytest.mark.parametrize(
    "change",
    [
        lambda cached: cached.replace(x=5),
        lambda cached: dataclasses.replace(cached, x=5),
        lambda cached: jax.tree.map(lambda leaf: leaf + 4, cached),
        lambda cached: construct(Cached, **{**vars(cached), "x": 5}),
    ],
)
def test_a_changed_copy_computes_its_own_value(change):
    cached = Cached(1)
    assert cached.double == 2
    assert change(cached).double == 10
    assert cached.double == 2


def test_a_cached_property_works_after_copies_and_pickles():
    cached = Cached(1)
    assert cached.double == 2
    for made in (copy.copy(cached), copy.deepcopy(cached), pickle.loads(pickle.dumps(cached))):
        assert made.double == 2


def test_dir_lists_what_can_be_read_with_or_without_a_computed_cached_property():
    class Late(Struct):
        x: int
        y: int = derived()

        @functools.cached_property
        def twice(self):
            return 2 * self.x

        def __post_init__(self):
            assert "x" in dir(self) and "y" not in dir(self)
            self.y = 1

    late = Late(1)
    for _ in range(2):
        assert {"x", "y", "twice"} <= {*dir(late)} and all(hasattr(late, name) for name in dir(late))
        assert late.twice == 2
    assert "x" not in dir(Late) and all(hasattr(Late, name) for name in dir(Late) if name != "__abstractmethods__")


def test_a_cached_property_cannot_be_assigned_or_deleted():
    cached = Cached(1)
    cached.double
    with pytest.raises(errors.FrozenInstanceError):
        cached.double = 3
    with pytest.raises(errors.FrozenInstanceError):
        del cached.double
    assert cached.double == 2


def test_a_cached_property_that_fails_is_computed_again():
    attempts = []

    class A(Struct):
        x: int

        @functools.cached_property
        def sometimes(self):
            attempts.append(1)
            if len(attempts) == 1:
                raise ValueError("not yet")
            return self.x

    a = A(1)
    with pytest.raises(ValueError):
        a.sometimes
    assert a.sometimes == 1


def test_a_cached_property_is_inherited_overridden_and_reached_through_super():
    class A(Cached):
        y: int = 2

    class B(A):
        @functools.cached_property
        def double(self):
            return super().double + 1

    assert A(1).double == 2
    b = B(1)
    assert (b.double, b.double) == (3, 3)


def test_a_cached_property_of_a_mixin_on_either_side_works():
    class CachedMixin:
        @functools.cached_property
        def triple(self):
            calls.append("triple")
            return 3 * self.x

    class A(CachedMixin, Point):
        pass

    class B(Point, CachedMixin):
        pass

    for cls in (A, B):
        obj = cls(1)
        assert (obj.triple, obj.triple) == (3, 3)
        assert vars(obj) == {"x": 1, "n": 1}
    assert calls == ["triple", "triple"]


def test_a_cached_property_of_a_subclass_of_cached_property_works():
    class logged_property(functools.cached_property):
        pass

    class A(Struct):
        x: int

        @logged_property
        def double(self):
            return 2 * self.x

    a = A(1)
    assert (a.double, a.double) == (2, 2)
    assert vars(a) == {"x": 1}
    assert a == A(1)


def test_a_cached_property_of_an_object_that_delegates_attributes_is_its_own():
    class Outer(Struct):
        inner: Any
        x: int

        def __getattr__(self, name):
            return getattr(self.inner, name)

        @functools.cached_property
        def double(self):
            return 2 * self.x

    outer = Outer(Cached(1), 10)
    assert outer.inner.double == 2
    assert outer.double == 20
    assert outer.inner.double == 2


def test_a_delegating_getattr_survives_copies_and_pickles():
    outer = Delegating(Point(1))
    for made in (copy.copy(outer), copy.deepcopy(outer), pickle.loads(pickle.dumps(outer))):
        assert made.x == 1
        assert_frozen(made, "inner")


class Delegating(Struct):
    inner: Any

    def __getattr__(self, name):
        return getattr(self.inner, name)


def test_a_cached_property_works_on_mutable_structs_and_inside_jit():
    class A(Struct, frozen=False):
        x: Any

        @functools.cached_property
        def double(self):
            return 2 * self.x

    assert A(1).double == 2
    assert jax.jit(lambda cached: cached.double + cached.double)(Cached(jnp.ones(()))) == 4


def test_weak_references_to_every_kind_of_struct_work():
    for cls in CLASSES:
        obj = cls(1)
        reference = weakref.ref(obj)
        assert reference() is obj
        del obj
        assert reference() is None
