"""How objects come to be: generated and custom constructors, hooks, converters, `construct`, and failures."""

import copy
import dataclasses
import functools
import gc
import inspect
import pickle
import weakref
from dataclasses import KW_ONLY, InitVar
from typing import Any, Generic, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import structkit
from structkit import Static, Struct, construct, derived, errors, field, replace, static

T = TypeVar("T")


class Recorder:
    def __init__(self, name, log):
        self.name, self.log = name, log

    def __call__(self, value):
        self.log.append((self.name, value))
        return value * 2


# The generated constructor


def test_arguments_come_in_the_order_of_the_fields_and_then_by_keyword():
    class A(Struct):
        a: int
        b: int
        _: KW_ONLY
        c: int
        d: int = 4

    class B(A):
        e: int
        f: int = field(default=6, kw_only=True)

    assert vars(A(1, 2, c=3)) == {"a": 1, "b": 2, "c": 3, "d": 4}
    assert vars(B(1, 2, 5, c=3)) == {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5, "f": 6}
    assert A(b=2, c=3, a=1) == A(1, 2, c=3)
    with pytest.raises(TypeError):
        A(1, 2, 3)


def test_parameters_of_fields_and_init_vars_keep_the_order_of_the_body():
    class A(Struct):
        a: int
        scale: InitVar[int]
        b: int = derived()
        c: int = 3

        def __post_init__(self, scale):
            self.b = self.a * scale

    assert list(inspect.signature(A).parameters) == ["a", "scale", "c"]
    assert vars(A(2, 5)) == {"a": 2, "b": 10, "c": 3}


def test_a_default_factory_makes_a_new_value_for_each_object():
    class A(Struct):
        x: list = field(default_factory=list)
        n: Static[tuple] = field(default_factory=tuple)

    assert A().x == []
    assert A().x is not A().x
    assert A([1]).x == [1]
    assert A(n=(1,)).n == (1,)


def test_the_default_of_a_factory_is_not_mistaken_for_a_value():
    made = []

    class A(Struct):
        x: Any = field(default_factory=lambda: made.append(1) or "made")

    assert A(None).x is None
    assert A(()).x == ()
    assert made == []
    assert A().x == "made"
    assert made == [1]


def test_converters_run_once_on_arguments_defaults_and_factories():
    log = []

    class A(Struct):
        a: int = field(converter=Recorder("a", log))
        b: int = field(default=2, converter=Recorder("b", log))
        c: int = field(default_factory=lambda: 3, converter=Recorder("c", log))
        d: int = static(default=4, converter=Recorder("d", log))
        e: int = field(default=5, converter=Recorder("e", log), init=False)

    assert vars(A(1)) == {"a": 2, "b": 4, "c": 6, "d": 8, "e": 10}
    assert log == [("a", 1), ("b", 2), ("c", 3), ("d", 4), ("e", 5)]


def test_converters_run_once_around_a_post_init_and_on_assignments_in_it():
    log = []

    class A(Struct):
        a: int = field(converter=Recorder("a", log))
        b: int = field(default=2, converter=Recorder("b", log))
        c: int = derived(converter=Recorder("c", log))

        def __post_init__(self):
            self.c = self.a

    assert vars(A(1)) == {"a": 2, "b": 4, "c": 4}
    assert log == [("a", 1), ("b", 2), ("c", 2)]


def test_converters_run_on_assignments_in_a_custom_init_and_on_defaults_it_leaves():
    log = []

    class A(Struct):
        a: int = field(converter=Recorder("a", log))
        b: int = field(default=2, converter=Recorder("b", log))
        c: int = static(default_factory=lambda: 3, converter=Recorder("c", log))

        def __init__(self, a):
            self.a = a

    assert vars(A(1)) == {"a": 2, "b": 4, "c": 6}
    assert log == [("a", 1), ("b", 2), ("c", 3)]


def test_converters_run_once_through_a_chain_of_inits():
    log = []

    class A(Struct):
        a: int = field(converter=Recorder("a", log))
        b: int = field(default=2, converter=Recorder("b", log))

    class B(A):
        c: int = field(default=3, converter=Recorder("c", log))

        def __init__(self, a):
            super().__init__(a)

    assert vars(B(1)) == {"a": 2, "b": 4, "c": 6}
    assert log == [("a", 1), ("b", 2), ("c", 3)]


def test_converters_do_not_run_when_trees_are_mapped_copied_or_pickled():
    leaves = jax.tree.map(lambda leaf: leaf, Converted(1))
    assert leaves == Converted(1)
    assert Converted(1).x == 2
    assert pickle.loads(pickle.dumps(Converted(1))).x == 2
    assert copy.deepcopy(Converted(1)).x == copy.copy(Converted(1)).x == 2


class Converted(Struct):
    x: int = field(converter=lambda value: 2 * value)


def test_converters_that_are_methods_and_classes_work():
    class A(Struct):
        x: float = field(converter=float)
        y: Any = field(converter=functools.partial(np.asarray, dtype=np.float32))
        z: tuple = static(converter=tuple)

    a = A("1.5", [1, 2], [3])
    assert (a.x, a.y.dtype, a.z) == (1.5, np.float32, (3,))


def test_post_init_may_assign_every_field_and_gets_the_init_vars():
    class A(Struct):
        x: int
        shift: InitVar[int]
        n: Static[int] = 1
        y: int = derived()
        m: int = derived(static=True)
        scale: InitVar[int] = 10

        def __post_init__(self, shift, scale):
            self.x = self.x * scale + shift
            self.x = self.x + 1
            self.n = self.n + 1
            self.y = self.x + 1
            self.m = self.n

    assert vars(A(2, 3)) == {"x": 24, "n": 2, "y": 25, "m": 2}
    assert vars(A(2, 3, 5, scale=1)) == {"x": 6, "n": 6, "y": 7, "m": 6}


def test_post_init_calls_the_one_of_the_parent_only_when_asked():
    calls = []

    class A(Struct):
        x: int

        def __post_init__(self):
            calls.append("A")

    class B(A):
        y: int = 2

        def __post_init__(self):
            super().__post_init__()
            calls.append("B")

    class C(A):
        def __post_init__(self):
            calls.append("C")

    class D(A):
        z: int = 1

    B(1), C(1), D(1)
    assert calls == ["A", "B", "C", "A"]


def test_post_init_of_a_plain_mixin_runs():
    class Mixin:
        def __post_init__(self):
            self.y = self.x + 1

    class A(Mixin, Struct):
        x: int
        y: int = derived()

    assert A(1).y == 2


def test_post_init_scales_its_input_once_whatever_happens_to_the_tree():
    a = Scaled(jnp.ones(2))
    assert a.x.tolist() == [2, 2]
    assert jax.tree.map(lambda leaf: leaf, a).x.tolist() == [2, 2]
    assert jax.jit(lambda a: a)(a).x.tolist() == [2, 2]
    assert pickle.loads(pickle.dumps(a)).x.tolist() == [2, 2]


class Scaled(Struct):
    x: Any

    def __post_init__(self):
        self.x = self.x * 2


def test_a_derived_field_with_a_default_need_not_be_set():
    class A(Struct):
        x: int
        y: int = derived(default=5)
        z: list = derived(default_factory=list)

    assert vars(A(1)) == {"x": 1, "y": 5, "z": []}

    class B(A):
        def __post_init__(self):
            assert (self.y, self.z) == (5, [])
            self.y = 6

    assert B(1).y == 6


def test_check_init_runs_for_every_class_of_the_method_resolution_order():
    calls = []

    class Mixin:
        def __check_init__(self):
            calls.append("Mixin")

    class A(Struct):
        x: int

        def __check_init__(self):
            calls.append("A")

    class B(A):
        y: int = 2

    class C(Mixin, B):
        def __check_init__(self):
            calls.append("C")

    C(1)
    assert sorted(calls) == ["A", "C", "Mixin"]
    assert calls == ["C", "Mixin", "A"]
    calls.clear()
    B(1)
    assert calls == ["A"]


@pytest.mark.parametrize("kind", ["generated", "post_init", "custom", "inherited"])
def test_check_init_sees_the_finished_object_and_may_not_assign(kind):
    class A(Struct):
        x: int
        y: int = field(default_factory=lambda: 5)

        if kind == "post_init":

            def __post_init__(self):
                self.x = self.x

        if kind in ("custom", "inherited"):

            def __init__(self, x):
                self.x = x

        def __check_init__(self):
            assert vars(self) == {"x": 1, "y": 5}
            assert jax.tree.leaves(self) == [1, 5]
            self.x = 2

    B = type(A)("B", (A,), {}) if kind == "inherited" else A
    with pytest.raises(errors.FrozenInstanceError) as error:
        B(1)
    assert str(error.value) == (
        f"cannot assign to field 'x': {B.__name__} is frozen; make a changed copy with .replace(x=...)"
    )


def test_check_init_runs_once_after_the_outermost_init():
    calls = []

    class A(Struct):
        x: int

        def __init__(self, x):
            self.x = x

        def __check_init__(self):
            calls.append(self.y)

    class B(A):
        y: int

        def __init__(self, x, y):
            super().__init__(x)
            self.y = y

    B(1, 2)
    assert calls == [2]


def test_check_init_runs_in_replace_and_not_in_construct_or_for_trees():
    calls = []

    class A(Struct):
        x: int

        def __check_init__(self):
            calls.append(self.x)

    a = A(1)
    replace(a, x=2)
    jax.tree.map(lambda leaf: leaf + 1, a)
    construct(A, x=3)
    copy.copy(a)
    assert calls == [1, 2]


# Custom constructors


def test_a_custom_init_may_assign_reassign_read_and_call_methods():
    class A(Struct):
        x: int
        n: Static[str]
        y: int = 7

        def __init__(self, x):
            self.x = x
            self.x = self.x + 1
            self.n = "a"
            self.n = self.n + "b"
            self.set_y()
            self.x += self.total()

        def set_y(self):
            self.y = self.y + 1

        def total(self):
            return self.x + self.y

    assert vars(A(1)) == {"x": 12, "n": "ab", "y": 8}


def test_a_custom_init_may_use_object_setattr_and_setattr():
    class A(Struct):
        x: int
        n: Static[int]

        def __init__(self, **values):
            object.__setattr__(self, "x", 1)
            for name, value in values.items():
                setattr(self, name, value)
            super().__setattr__("x", self.x + 1)

    assert vars(A(n=5)) == {"x": 2, "n": 5}


def test_a_custom_init_may_read_defaults_before_it_assigns():
    class A(Struct):
        x: int = 3
        n: Static[int] = 4
        made: list = field(default_factory=list)

        def __init__(self):
            self.x = self.x * self.n

    assert vars(A()) == {"x": 12, "n": 4, "made": []}


def test_a_custom_init_may_use_the_unfinished_object_in_jax():
    class A(Struct):
        x: jax.Array
        y: jax.Array

        def __init__(self, x):
            self.x, self.y = x, 2 * x
            self.y = jax.jit(lambda tree: sum(jax.tree.leaves(tree)))(self)

    assert A(jnp.ones(2)).y.tolist() == [3, 3]


def test_what_a_tree_map_in_an_init_gives_is_finished():
    class A(Struct):
        x: int

        def __init__(self, x):
            self.x = x
            made.append(jax.tree.map(lambda leaf: leaf + 1, self))
            self.x = 100

    made: list[Any] = []
    assert A(1).x == 100
    assert made[0].x == 2
    with pytest.raises(errors.FrozenInstanceError):
        made[0].x = 3


def test_a_custom_init_may_construct_other_objects_of_its_class():
    class A(Struct):
        depth: Static[int]
        child: Any

        def __init__(self, depth):
            self.child = A(depth - 1) if depth else None
            self.depth = depth

    a = A(3)
    assert [a.depth, a.child.depth, a.child.child.depth, a.child.child.child.depth] == [3, 2, 1, 0]


def test_a_field_that_a_custom_init_leaves_unset_is_named():
    class A(Struct):
        x: int
        n: Static[int]
        y: int

        def __init__(self):
            self.y = 1

    with pytest.raises(errors.MissingFieldError) as error:
        A()
    assert str(error.value) == "A.__init__ left fields 'x', 'n' of A unset; set each one or declare a default"


def test_defaults_fill_what_a_custom_init_leaves():
    class A(Struct):
        x: int = 1
        n: Static[int] = 2
        y: list = field(default_factory=list)
        m: Static[tuple] = field(default_factory=tuple)

        def __init__(self):
            pass

    assert vars(A()) == {"x": 1, "n": 2, "y": [], "m": ()}
    assert A().y is not A().y


class Generated(Struct):
    x: int
    n: Static[int] = 1


class Custom(Struct):
    x: int
    n: Static[int] = 1

    def __init__(self, x):
        self.x = 10 * x


class GeneratedOfGenerated(Generated):
    y: int = 5


class CustomOfGenerated(Generated):
    y: int = 5

    def __init__(self, x, y):
        super().__init__(x, n=2)
        self.y = y + self.x


class GeneratedOfCustom(Custom):
    y: int = 5


class CustomOfCustom(Custom):
    y: int = 5

    def __init__(self, x, y):
        super().__init__(x)
        self.y = y + self.x
        self.x = self.x + 1


class CustomOfCustomOfGenerated(CustomOfGenerated):
    z: int

    def __init__(self, z):
        self.z = z
        super().__init__(z, z)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (lambda: GeneratedOfGenerated(1), {"x": 1, "n": 1, "y": 5}),
        (lambda: CustomOfGenerated(1, 2), {"x": 1, "n": 2, "y": 3}),
        (lambda: GeneratedOfCustom(1), {"x": 1, "n": 1, "y": 5}),
        (lambda: CustomOfCustom(1, 2), {"x": 11, "n": 1, "y": 12}),
        (lambda: CustomOfCustomOfGenerated(4), {"x": 4, "n": 2, "y": 8, "z": 4}),
    ],
    ids=["generated of generated", "custom of generated", "generated of custom", "custom of custom", "three levels"],
)
def test_super_init_chains_over_generated_and_custom_inits(made, expected):
    assert vars(made()) == expected
    with pytest.raises(errors.FrozenInstanceError):
        made().x = 1
    assert jax.tree.map(lambda leaf: leaf, made()) == made()
    assert pickle.loads(pickle.dumps(made())) == made()
    assert type(made().replace(x=1)) is type(made())


def test_a_subclass_without_fields_and_init_inherits_the_custom_init():
    class A(Custom):
        def double(self):
            return 2 * self.x

    class B(A):
        limit = 3

    assert B(1).double() == 20
    assert inspect.signature(B) == inspect.signature(Custom)


def test_a_struct_without_fields_in_front_does_not_hide_a_custom_init():
    class Behaviour(Struct):
        def double(self):
            return 2 * self.x

    class A(Behaviour, Custom):
        pass

    class B(Custom, Behaviour):
        pass

    assert A(1).x == B(1).x == 10
    assert A(1).double() == 20


def test_a_generic_subclass_inherits_the_custom_init():
    class Base(Struct, Generic[T]):
        x: T

        def __init__(self, x):
            self.x = [x]

    class A(Base[int]):
        pass

    assert A(1).x == Base[int](1).x == Base(1).x == [1]


def test_a_custom_init_over_a_parent_with_a_post_init_runs_it_through_super():
    class A(Struct):
        x: int
        scale: InitVar[int]
        y: int = derived()

        def __post_init__(self, scale):
            self.y = self.x * scale

    class B(A):
        z: int

        def __init__(self, z):
            super().__init__(2, scale=z)
            self.z = self.y + 1

    assert vars(B(3)) == {"x": 2, "y": 6, "z": 7}


def test_two_parents_are_initialised_by_hand():
    class A(Struct):
        a: int

    class B(Struct):
        b: int

        def __init__(self, b):
            self.b = b

    class C(A, B):
        def __init__(self, a, b):
            A.__init__(self, a)
            B.__init__(self, b)
            A.__init__(self, self.a + 1)

    assert vars(C(1, 2)) == {"b": 2, "a": 2}


def test_a_child_that_makes_a_field_static_may_call_the_init_of_its_parent():
    class A(Struct):
        n: int
        x: int

    class B(A):
        n: Static[int]

        def __init__(self, n):
            super().__init__(n, x=5)

    b = B(3)
    assert (b.n, b.x, jax.tree.leaves(b)) == (3, 5, [5])


def test_an_init_that_returns_something_is_refused_as_everywhere():
    class A(Struct):
        x: int = 1

        def __init__(self):
            return 5

    with pytest.raises(TypeError, match=r"__init__\(\) should return None, not 'int'"):
        A()


def test_a_decorated_init_works():
    calls = []

    def traced(init):
        @functools.wraps(init)
        def wrapper(self, *args, **kwargs):
            calls.append(args)
            return init(self, *args, **kwargs)

        return wrapper

    class A(Struct):
        x: int

        @traced
        def __init__(self, x: int):
            self.x = x

    assert A(1).x == 1
    assert calls == [(1,)]
    assert str(inspect.signature(A)) == "(x: int)"


@pytest.mark.parametrize("written", [True, False])
def test_what_new_leaves_on_an_object_does_not_pass_for_its_fields(written):
    class Note:
        pass

    class A(Note, Struct):
        x: int

        @functools.cached_property
        def computed(self):
            return [1]

        def __new__(cls, *args):
            made = super().__new__(cls)
            assert made.computed == [1]
            object.__setattr__(made, "note", [2])
            return made

        if written:

            def __init__(self, x):
                self.x = x

        else:

            def __post_init__(self):
                self.x = self.x

    assert (A(3).x, A(3).computed, A(3).note) == (3, [1], [2])
    with pytest.raises(errors.FrozenInstanceError):
        A(3).x = 4


def test_a_custom_new_works_and_no_other_code_calls_it():
    calls = []

    class A(Struct):
        x: int

        def __new__(cls, *args, **kwargs):
            calls.append(args)
            return super().__new__(cls)

    assert A(1).x == 1
    assert jax.tree.map(lambda leaf: leaf, A(1)) == A(x=1)
    assert len(calls) == 3


def test_init_vars_reach_a_custom_init_as_it_likes():
    class A(Struct):
        x: int
        scale: InitVar[int] = 2

        def __init__(self, x, scale=3):
            self.x = x * scale

    assert A(1).x == 3
    assert vars(A(1, 5)) == {"x": 5}


def test_methods_may_read_the_fields_of_an_object_under_construction():
    class A(Struct):
        x: int
        y: int

        def __init__(self):
            self.x = 1
            assert vars(self) == {"x": 1}
            assert not hasattr(self, "y")
            assert repr(self) == "A(x=1, y=<unset>)"
            self.y = 2
            assert vars(self) == {"x": 1, "y": 2}

    assert A().y == 2


def test_a_custom_init_with_a_parameter_named_self_like_a_field_works():
    class A(Struct):
        self: int

        def __init__(this, /, self):
            this.self = self

    assert A(self=3).self == 3


# Failures


class Failing(Struct):
    x: Any
    y: Any = 2

    def __init__(self, x, log):
        self.x = x
        log.append(weakref.ref(self))
        raise ValueError("no")


class FailingPostInit(Struct):
    x: Any
    log: InitVar[Any]

    def __post_init__(self, log):
        log.append(weakref.ref(self))
        raise ValueError("no")


class FailingCheck(Struct):
    x: Any
    log: Any

    def __check_init__(self):
        self.log.append(weakref.ref(self))
        raise ValueError("no")


class FailingChild(Failing):
    z: Any

    def __init__(self, x, log):
        self.z = 3
        super().__init__(x, log)


def fail(log):
    raise ValueError("no")


class FailingFactory(Struct):
    x: Any
    y: Any = field(default_factory=lambda: fail(None))

    def __init__(self, x, log):
        self.x = x
        log.append(weakref.ref(self))


class FailingConverter(Struct):
    x: Any
    y: Any = field(default=1, converter=fail)

    def __init__(self, x, log):
        self.x = x
        log.append(weakref.ref(self))


class FailingStatic(Struct):
    x: Any
    n: Static[Any]

    def __init__(self, x, log):
        self.x = x
        log.append(weakref.ref(self))
        self.n = [1]


class FailingUnset(Struct):
    x: Any
    y: Any

    def __init__(self, x, log):
        self.x = x
        log.append(weakref.ref(self))


FAILING = [
    Failing,
    FailingPostInit,
    FailingCheck,
    FailingChild,
    FailingFactory,
    FailingConverter,
    FailingStatic,
    FailingUnset,
]


class Payload:
    pass


@pytest.mark.parametrize("cls", FAILING)
def test_a_failed_init_keeps_nothing_alive(cls):
    payload, log = Payload(), []
    kept = weakref.ref(payload)
    try:
        cls(payload, log)
    except (ValueError, TypeError):
        pass
    else:
        raise AssertionError("the constructor should have failed")
    del payload
    gc.collect()
    assert len(log) == 1
    assert log[0]() is None
    assert kept() is None


@pytest.mark.parametrize("cls", FAILING)
def test_a_successful_init_after_a_failed_one_is_unaffected(cls):
    with pytest.raises((ValueError, TypeError)):
        cls(1, [])
    assert vars(Generated(1)) == {"x": 1, "n": 1}
    assert vars(CustomOfCustom(1, 2)) == {"x": 11, "n": 1, "y": 12}


def test_a_failed_parent_init_may_be_caught_and_repaired():
    class A(Struct):
        x: int

        def __init__(self, x):
            if x < 0:
                raise ValueError("negative")
            self.x = x

    class B(A):
        def __init__(self, x):
            try:
                super().__init__(x)
            except ValueError:
                self.x = 0

    assert (B(3).x, B(-3).x) == (3, 0)


def test_a_failed_converter_leaves_the_old_value():
    class A(Struct):
        x: int = field(converter=int)

        def __init__(self):
            self.x = 1
            with pytest.raises(ValueError):
                self.x = "no number"

    assert A().x == 1


def test_a_failed_static_leaves_the_old_value():
    class A(Struct):
        n: Static[Any]
        m: Static[Any]

        def __init__(self):
            self.n = 1
            self.m = 2
            with pytest.raises(errors.StaticValueError):
                self.n = [1]
            with pytest.raises(errors.StaticValueError):
                self.m = jnp.ones(3)

    assert (A().n, A().m) == (1, 2)


def test_a_keyboard_interrupt_in_an_init_seals_the_object_too():
    leaked = []

    class A(Struct):
        x: int

        def __init__(self):
            leaked.append(self)
            self.x = 1
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        A()
    with pytest.raises(errors.FrozenInstanceError):
        leaked[0].x = 2
    assert leaked[0].x == 1


def test_the_traceback_of_a_failed_init_ends_in_the_users_code():
    class A(Struct):
        x: int

        def __init__(self):
            raise ValueError("no")

    with pytest.raises(ValueError) as error:
        A()
    assert error.traceback[-1].name == "__init__"
    assert str(error.traceback[-1].path) == __file__
    assert error.value.__cause__ is None
    assert error.value.__context__ is None


# construct


def test_construct_runs_no_code_of_the_class():
    class A(Struct):
        x: int = field(converter=fail)
        n: Static[int] = static(converter=fail)
        y: int = derived()

        def __new__(cls, *args, **kwargs):
            raise AssertionError("ran")

        def __init__(self):
            raise AssertionError("ran")

        def __post_init__(self):
            raise AssertionError("ran")

        def __check_init__(self):
            raise AssertionError("ran")

        def __setattr__(self, name, value):
            raise AssertionError("ran")

    a = construct(A, x=1, n=2, y=3)
    assert vars(a) == {"x": 1, "n": 2, "y": 3}
    assert jax.tree.map(lambda leaf: leaf + 1, a) == construct(A, x=2, n=2, y=4)


def test_construct_fills_defaults_and_factories():
    class A(Struct):
        x: int
        y: int = 2
        z: list = field(default_factory=list)
        n: Static[int] = 4

    assert vars(construct(A, x=1)) == {"x": 1, "y": 2, "z": [], "n": 4}
    assert construct(A, x=1).z is not construct(A, x=1).z


def test_construct_knows_fields_only_and_names_the_nearest():
    class A(Struct):
        weight: int
        scale: InitVar[int] = 1

    with pytest.raises(errors.UnknownFieldError) as error:
        construct(A, weigth=1)
    assert str(error.value) == ("construct: A has no field 'weigth' (did you mean 'weight'?) (fields: weight)")
    with pytest.raises(errors.UnknownFieldError):
        construct(A, weight=1, scale=2)


def test_construct_names_what_is_missing():
    class A(Struct):
        x: int
        n: Static[int]

    with pytest.raises(errors.MissingFieldError) as error:
        construct(A)
    assert str(error.value) == ("construct(A, ...) left fields 'x', 'n' of A unset; set each one or declare a default")


def test_construct_checks_statics():
    with pytest.raises(errors.StaticValueError):
        construct(Generated, x=1, n=[1])


def test_construct_takes_fields_of_any_name():
    class A(Struct):
        cls: int
        values: int
        self: int

    assert vars(construct(A, cls=1, values=2, self=3)) == {"cls": 1, "values": 2, "self": 3}


def test_construct_takes_anything_as_data():
    marker = object()
    assert construct(Generated, x=marker).x is marker
    assert construct(Generated, x=None).x is None


# The rest


def test_a_dataclass_of_the_same_shape_fails_and_works_alike():
    @dataclasses.dataclass(frozen=True)
    class Standard:
        x: int
        y: int = 2
        _: KW_ONLY
        z: int = 3

    class Ours(Struct):
        x: int
        y: int = 2
        _: KW_ONLY
        z: int = 3

    for args, kwargs in [((1,), {}), ((1, 2), {"z": 1}), ((), {}), ((1, 2, 3), {}), ((1,), {"x": 1}), ((1,), {"q": 1})]:
        outcomes = []
        for cls in (Standard, Ours):
            try:
                outcomes.append(dataclasses.astuple(cls(*args, **kwargs)))
            except TypeError as error:
                outcomes.append(str(error).replace("Standard", "Ours"))
        assert outcomes[0] == outcomes[1]


def test_wide_structs_take_more_than_255_arguments():
    A = type(Generated)("Wide", (Struct,), {"__annotations__": {f"x{i}": int for i in range(500)}})
    a = A(*range(500))
    assert jax.tree.leaves(a) == list(range(500))
    assert a.x499 == 499
    assert A(**{f"x{i}": i for i in range(500)}) == a


def test_structs_of_statics_alone_and_of_nothing_work():
    class A(Struct):
        n: Static[int]
        m: Static[str] = "m"

    class B(Struct):
        pass

    assert jax.tree.leaves(A(1)) == jax.tree.leaves(B()) == []
    assert jax.tree.unflatten(jax.tree.structure(A(1)), []) == A(1)
    assert A(1) != A(2)
    assert B() == B()
    assert hash(A(1)) == hash(A(1))


def test_arguments_may_be_traced_and_the_constructor_called_inside_jit():
    @jax.jit
    def make(x):
        return CustomOfCustom(x, 2 * x)

    made = make(1)
    assert (int(made.x), int(made.y)) == (11, 12)


# Objects under construction


class Watched(Struct):
    x: Any
    y: Any
    s: str = static(default="s")

    watcher = None

    def __post_init__(self):
        Watched.watch(self)

    @classmethod
    def watch(cls, obj):
        watcher, cls.watcher = cls.watcher, None
        if watcher is not None:
            watcher(obj)


class WatchedCustom(Struct):
    x: Any
    y: Any
    s: str = static(default="s")

    def __init__(self, x, y, s="s"):
        self.x, self.y, self.s = x, y, s
        Watched.watch(self)


class WatchedDerived(Struct):
    x: Any
    y: Any = derived()
    s: str = derived(static=True)

    def __init__(self, x, y, s="s"):
        self.x, self.y, self.s = x, y, s
        Watched.watch(self)


OPERATIONS = {
    "vars": vars,
    "repr": repr,
    "dir": dir,
    "hash": hash,
    "==": lambda obj: (obj == construct(type(obj), **vars(obj)), construct(type(obj), **vars(obj)) == obj, obj != obj),
    "replace": lambda obj: replace(obj, y=5.0),
    "asdict": dataclasses.asdict,
    "astuple": dataclasses.astuple,
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda obj: pickle.loads(pickle.dumps(obj)),
    "leaves": lambda obj: jax.tree_util.tree_leaves_with_path(obj),
    "structure": jax.tree.structure,
    "map": lambda obj: jax.tree.map(lambda leaf: leaf + 1, obj),
    "jit": lambda obj: jax.jit(lambda other: other.x)(obj),
    "at": lambda obj: structkit.at(obj, lambda other: other.x).set(7.0),
    "summary": structkit.summary,
}


@pytest.mark.parametrize("cls", [Watched, WatchedCustom, WatchedDerived])
@pytest.mark.parametrize("name", OPERATIONS)
def test_an_object_whose_fields_are_set_is_like_a_finished_one_in_its_own_constructor(cls, name):
    seen = []
    Watched.watcher = lambda obj: seen.append(OPERATIONS[name](obj))
    finished = cls(1.0, 2.0)
    assert seen == [OPERATIONS[name](finished)]
