"""Finished structs refuse writes in every state, mutable ones take their fields alone."""

import copy
import itertools
import weakref
from typing import Any, ClassVar

import jax
import pytest

from structkit import Static, Struct, construct, derived, errors, field, fields, replace, static
from tests.models import COPIES, Custom, Linear, Mixed, Pair, Point, assert_frozen, collected

# Pickles need a class that can be imported.
COPIED_ANYWHERE = [copy.copy, copy.deepcopy, COPIES["cloudpickle"], lambda made: jax.tree.map(abs, made)]


def test_nothing_that_python_offers_is_a_way_round():
    point, mixed, custom = Point(1), Mixed(1), Custom(1)
    for write in (
        lambda: Point.__setattr__(point, "x", 5),
        lambda: Point.__delattr__(point, "x"),
        lambda: vars(Point)["x"].__set__(point, 5),
        lambda: vars(Point)["x"].__delete__(point),
        lambda: setattr(point, "x", point.x + 1),
        lambda: point.__setstate__({"x": 2}),
        lambda: custom.__init__(2),
        lambda: vars(mixed).update(x=2),
        lambda: vars(mixed).update(other=2),
        lambda: vars(mixed).update(tag=2),
        lambda: setattr(mixed, "other", 2),
        lambda: setattr(mixed, "tag", 2),
    ):
        with pytest.raises(errors.FrozenInstanceError):
            write()
    assert vars(point) == {"x": 1}
    assert mixed.tag == "mixin"
    assert vars(mixed) == {"x": 1, "n": 1}
    assert vars(custom) == {"total": 1, "count": 1}


def test_names_that_are_no_fields_are_refused_too():
    point = Point(1)
    slots = {name for cls in Point.__mro__ for name in vars(cls).get("__slots__", ())}
    for name in ("typo", "__class__", "__dict__", "replace", *slots):
        for write in (lambda name: setattr(point, name, Pair), lambda name: delattr(point, name)):
            with pytest.raises(errors.FrozenInstanceError):
                write(name)
    for name in ("typo", "__dict__"):
        with pytest.raises(AttributeError):
            object.__setattr__(point, name, {})
    assert type(point) is Point
    assert vars(point) == {"x": 1}


# `vars`


def test_vars_is_a_new_dict_of_the_fields_in_order():
    made = Linear(1, 2, abs)
    assert list(vars(made).items()) == [("weight", 1), ("bias", 2), ("activation", abs)]
    assert made.__dict__ == vars(made)
    assert vars(made) is not vars(made)
    assert vars(made) | {"bias": 5} == {"weight": 1, "bias": 5, "activation": abs}
    assert Linear(**made.__dict__) == made
    for duplicate in COPIES.values():
        assert type(duplicate(vars(made))) is dict and duplicate(vars(made)) == vars(made)


def test_vars_can_be_written_in_a_constructor_and_loses_no_value_in_silence():
    class Idiom(Struct):
        x: int
        y: int = 0

        def __init__(self, **values):
            self.__dict__.update(values)
            self.__dict__["y"] = 5
            assert self.__dict__.setdefault("y", 6) == 5

    made = Idiom(x=1)
    assert vars(made) == {"x": 1, "y": 5}
    with pytest.raises(errors.UnknownAttributeError):
        Idiom(x=1, z=2)
    writes = {
        "__setitem__": ("x", 3),
        "update": ({"x": 3},),
        "__ior__": ({"x": 3},),
        "setdefault": ("z", 3),
        "pop": ("x", 2),
    }
    for name, arguments in (writes | {"popitem": (), "clear": (), "__delitem__": ("x",)}).items():
        with pytest.raises(errors.FrozenInstanceError):
            getattr(vars(made), name)(*arguments)
    assert vars(made) == {"x": 1, "y": 5} and vars(made).pop("z", 6) == 6
    with pytest.raises(KeyError):
        vars(made).pop("z")


# Under construction


def constructing(hook, construct_it):
    """A struct class of x and the static n, both set by `construct_it`."""
    annotations = {"x": int, "n": Static[int]}
    fields = {"x": derived(), "n": derived(static=True)} if hook == "__post_init__" else {}
    return type(Struct)("A", (Struct,), {"__annotations__": annotations, hook: construct_it, **fields})


@pytest.mark.parametrize(
    ("misuse", "kind"),
    [
        (lambda obj: setattr(obj, "xx", 5), errors.UnknownAttributeError),
        (lambda obj: vars(obj).update(xx=5), errors.UnknownAttributeError),
        (lambda obj: delattr(obj, "x"), errors.FrozenInstanceError),
        (lambda obj: vars(obj).pop("x"), errors.FrozenInstanceError),
    ],
)
@pytest.mark.parametrize("hook", ["__init__", "__post_init__"])
def test_other_names_and_deletions_are_refused_under_construction_too(hook, misuse, kind):
    def construct_it(self):
        self.x, self.n = 1, 2
        misuse(self)

    with pytest.raises(kind):
        constructing(hook, construct_it)()


@pytest.mark.parametrize(
    ("hook", "make"),
    # In a `__post_init__`, `replace` would run it again.
    [
        ("__init__", lambda obj: obj.replace(n=2)),
        *itertools.product(["__init__", "__post_init__"], COPIED_ANYWHERE),
    ],
)
def test_a_copy_made_under_construction_is_finished_and_separate(hook, make):
    copies = []

    def construct_it(self):
        self.x = 1
        object.__setattr__(self, "n", 2)
        copies.extend([make(self), self])
        self.x, self.n = 7, 8

    made = constructing(hook, construct_it)()
    assert copies.pop() is made
    assert vars(made) == {"x": 7, "n": 8}
    assert vars(copies[0]) == {"x": 1, "n": 2}
    for struct in (made, copies[0]):
        assert_frozen(struct)
        assert_frozen(struct, "n")
    assert jax.tree.structure(copies[0]) != jax.tree.structure(made)


# Constructors that fail. Each hands its object out and sets x to 1 before.


def explode(*_):
    raise ValueError("no")


def leak(self, log):
    log.append(self)
    self.x = 1


def failing(**body):
    """A class whose `__init__` is `leak`, if `body` has no other, and whose field y is that of the body."""
    annotations = {"x": Any} | ({"y": Any} if "y" in body else {})
    return type(Struct)("Failing", (Struct,), {"__annotations__": annotations, "__init__": leak, **body})


def leak_and_explode(self, log):
    leak(self, log)
    explode()


def leak_and_interrupt(self, log):
    leak(self, log)
    raise KeyboardInterrupt


def leak_and_set(self, log):
    leak(self, log)
    self.y = [2]


FailsInInit = failing(y=2, __init__=leak_and_explode)


class FailsInParent(FailsInInit):
    def __init__(self, log):
        self.y = 3
        super().__init__(log)


class FailsInPostInit(Struct):
    log: Any
    x: Any = derived()
    y: Any = derived(default=2)

    def __post_init__(self):
        leak(self, self.log)
        explode()


class FailsInPostInitOfParent(FailsInPostInit):
    def __init__(self, log):
        super().__init__(log)


class FailsInCheck(Struct):
    log: Any
    x: Any = 1

    def __check_init__(self):
        self.log.append(self)
        explode()


FAILING = {
    "init": FailsInInit,
    "init of the parent": FailsInParent,
    "interrupt": failing(__init__=leak_and_interrupt),
    "post init": FailsInPostInit,
    "post init of the parent": FailsInPostInitOfParent,
    "check": FailsInCheck,
    "check after an init": failing(__check_init__=explode),
    "factory": failing(y=field(default_factory=explode)),
    "converter": failing(y=field(converter=explode), __init__=leak_and_set),
    "converter of a default": failing(y=field(default=2, converter=explode)),
    "static": failing(y=static(), __init__=leak_and_set),
    "static of a factory": failing(y=static(default_factory=list)),
    "unset": failing(y=field()),
}


def failed(cls):
    log = []
    with pytest.raises((ValueError, TypeError, KeyboardInterrupt)):
        cls(log)
    assert len(log) == 1
    return log.pop()


@pytest.mark.parametrize("cls", FAILING.values(), ids=FAILING.keys())
def test_what_a_failed_constructor_leaves_is_frozen_and_shows_its_values(cls):
    left = failed(cls)
    assert left.x == 1
    assert vars(left)["x"] == 1
    assert repr(left).startswith(f"{cls.__name__}(") and "x=1" in repr(left)
    if cls in (FAILING["static"], FAILING["unset"]):
        with pytest.raises(errors.UnsetFieldError, match=r"^Failing\.y is read before it is set"):
            left.y
    for made in (left, copy.copy(left), copy.deepcopy(left)):
        assert made.x == 1
        for f in fields(cls):
            assert_frozen(made, f.name)
        with pytest.raises(errors.FrozenInstanceError):
            made.no_field = 1


def test_what_failed_constructors_leave_is_not_kept_alive():
    assert collected([weakref.ref(failed(cls)) for cls in FAILING.values()])


# Mutable structs


class Mutable(Struct, frozen=False):
    weight: Any
    n: Static[int] = 1
    scale: float = field(default=1, converter=float)


@pytest.mark.parametrize(
    "make",
    [
        Mutable,
        *(lambda weight, duplicate=duplicate: duplicate(Mutable(weight)) for duplicate in COPIES.values()),
        lambda weight: replace(Mutable(weight), n=3),
        lambda weight: construct(Mutable, weight=weight),
        lambda weight: jax.tree.map(lambda leaf: leaf, Mutable(weight)),
    ],
)
def test_a_mutable_struct_takes_assignments_to_its_fields_in_every_state(make):
    obj = make(0)
    obj.weight = 5
    obj.n = 7
    obj.scale = "2.5"
    object.__setattr__(obj, "weight", obj.weight + 1)
    assert vars(obj) == {"weight": 6, "n": 7, "scale": 2.5}
    assert jax.tree.leaves(obj) == [6, 2.5]
    vars(obj)["weight"] = 4
    assert obj.weight == 4


def test_a_mutable_struct_takes_its_fields_alone_and_keeps_them():
    obj = Mutable(0)
    with pytest.raises(errors.UnknownAttributeError, match="'weight'") as error:
        obj.weigth = 1
    assert error.value.fields == ("weight", "n", "scale")
    # The slots hold the fields and the cached values: nobody may put others in their place.
    slots = {name for cls in Mutable.__mro__ for name in vars(cls).get("__slots__", ())}
    assert slots
    for name in ("replace", *slots):
        with pytest.raises(errors.UnknownAttributeError):
            setattr(obj, name, {})
    with pytest.raises(AttributeError):
        object.__setattr__(obj, "weigth", 1)
    for delete in (delattr, object.__delattr__):
        for name in ("weight", "n"):
            with pytest.raises(AttributeError):
                delete(obj, name)
    with pytest.raises(errors.StaticValueError):
        obj.n = [1]
    assert vars(obj) == {"weight": 0, "n": 1, "scale": 1.0}


def test_an_assignment_never_changes_a_tree_structure_or_leaves_that_jax_holds():
    obj = Mutable(0)
    leaves, treedef = jax.tree.flatten(obj)
    before = hash(treedef), str(treedef)
    copies = jax.tree.map(lambda leaf: leaf, obj), copy.copy(obj)
    obj.weight, obj.n = 5, 6
    for kept in (jax.tree.unflatten(treedef, leaves), *copies):
        assert vars(kept) == {"weight": 0, "n": 1, "scale": 1.0}
    assert (hash(treedef), str(treedef)) == before
    assert treedef == jax.tree.structure(Mutable(7)) != jax.tree.structure(obj)
    traced = []
    run = jax.jit(lambda obj: traced.append(obj.n) or obj.weight * obj.n)
    for obj.weight, obj.n in ((2.0, 1), (3.0, 1), (3.0, 5), (3.0, 1)):
        assert run(obj) == obj.weight * obj.n
    assert traced == [1, 5]


def test_a_mutable_struct_with_a_custom_init_is_checked_once_and_its_properties_are_set():
    class A(Struct, frozen=False):
        x: int
        checks: ClassVar[int] = []

        def __init__(self, x):
            self.x = x

        def __check_init__(self):
            self.checks.append(self.x)

        double = property(lambda self: 2 * self.x, lambda self, value: setattr(self, "x", value // 2))

    a = A(1)
    a.double = 8
    assert (a.x, a.double, A.checks) == (4, 8, [1])
