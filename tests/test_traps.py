"""The traps that struct libraries for JAX fall into, by their numbers on the design page."""

import abc
import builtins
import contextlib
import copy
import dataclasses
import enum
import functools
import gc
import importlib
import inspect
import linecache
import pickle
import subprocess
import sys
import textwrap
import threading
import types
import typing
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import InitVar
from datetime import date
from pathlib import Path
from typing import Any, ClassVar, Generic, Optional, TypeVar, Union

import cloudpickle
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

import structkit
from structkit import Static, Struct, at, construct, derived, field, fields, freeze, is_struct, static

T = TypeVar("T")
ROOT = Path(structkit.__file__).parents[1]
StaticInt = Static[int]
StaticAlias = typing.Annotated[T, "a note", *Static[T].__metadata__]


class Left(Struct):
    a: jax.Array
    b: jax.Array


class Right(Struct):
    a: jax.Array
    b: jax.Array


class Point(Struct):
    x: Any


class Pair(Struct):
    x: Any
    y: Any = None
    name: str = static(default="pair")


class Box(Struct, Generic[T]):
    item: T


class Squared(Struct):
    side: Any
    area: Any = derived()

    def __post_init__(self):
        self.area = self.side * self.side


class Scaled(Struct):
    value: Any
    factor: InitVar[float] = 2.0

    def __post_init__(self, factor):
        self.value = self.value * factor


class Custom(Struct):
    total: Any
    count: int = static()

    def __init__(self, *values):
        self.total = sum(values)
        self.count = len(values)


class Everything(Struct):
    value: Any
    factor: InitVar[float]
    doubled: Any = derived()
    label: str = derived(static=True)

    def __post_init__(self, factor):
        self.value = self.value * factor
        self.doubled = self.value * 2
        self.label = f"times {factor}"


class Lazy(Struct):
    x: Any

    @functools.cached_property
    def total(self):
        return jnp.sum(self.x)


class Checked(Struct):
    x: Any

    def __check_init__(self):
        if self.x is None:
            raise ValueError("x is None")


class Mutable(Struct, frozen=False):
    x: Any
    n: int = static(default=0)


class Empty(Struct):
    pass


class Node(Struct):
    inner: Any


def traced_dtype(value: Any) -> Any:
    class Holder(Struct):
        n: Any = static()

    return jax.jit(lambda holder: jnp.full((), holder.n))(Holder(value)).dtype


def assert_frozen(struct: Any, name: str = "x") -> None:
    before = dict(vars(struct))
    for write in (setattr, object.__setattr__):
        with pytest.raises(dataclasses.FrozenInstanceError, match=f"^cannot assign to field '{name}'"):
            write(struct, name, 1)
    for delete in (delattr, object.__delattr__):
        with pytest.raises(dataclasses.FrozenInstanceError, match=f"^cannot delete field '{name}'"):
            delete(struct, name)
    after = vars(struct)
    assert list(before) == list(after)
    assert all(before[key] is after[key] for key in before)


def collected(references: list[Any]) -> bool:
    gc.collect()
    return all(reference() is None for reference in references)


@contextlib.contextmanager
def recursion_limit(limit: int) -> Iterator[None]:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(limit)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def run_python(source: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(source), *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def module_of(tmp_path, monkeypatch) -> Iterator[Callable[[str], types.ModuleType]]:
    monkeypatch.syspath_prepend(tmp_path)
    made = []

    def load(source: str) -> types.ModuleType:
        name = f"trap_module_{len(made)}_{tmp_path.name}"
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(source), encoding="utf-8")
        importlib.invalidate_caches()
        made.append(name)
        return importlib.import_module(name)

    yield load
    for name in made:
        sys.modules.pop(name, None)


# Trap 4: statics.


class AnyStatic(Struct):
    n: Any = static()


class EqualToAll:
    def __eq__(self, other):
        return jnp.ones(2) == 1

    def __hash__(self):
        return 0


class Colour(enum.IntEnum):
    RED = 1


@pytest.mark.parametrize("value", [[1], {"a": 1}, {1}, bytearray(b"a"), np.ones(2), np.array(1), jnp.ones(2)])
def test_an_unhashable_or_array_static_is_refused_with_class_and_field(value):
    with pytest.raises(TypeError, match=r"AnyStatic\.n"):
        AnyStatic(value)


@pytest.mark.parametrize("value", [([1],), (1, (np.ones(2),)), (jnp.ones(2),), (1, {})])
def test_an_unfit_value_inside_a_static_tuple_is_refused(value):
    with pytest.raises(TypeError, match=r"AnyStatic\.n"):
        AnyStatic(value)


@pytest.mark.parametrize("value", [float("nan"), np.float32("nan"), complex("nan"), (1, float("nan")), jnp.nan])
def test_a_static_that_is_not_equal_to_itself_is_refused(value):
    with pytest.raises(TypeError, match=r"AnyStatic\.n"):
        AnyStatic(value)


def test_a_static_whose_equality_is_no_boolean_is_refused():
    with pytest.raises(TypeError, match=r"AnyStatic\.n"):
        AnyStatic(EqualToAll())


def test_a_tracer_in_a_static_is_refused_where_it_is_stored():
    @jax.jit
    def f(x):
        try:
            AnyStatic(x)
        except TypeError as error:
            assert "AnyStatic.n" in str(error)
            assert "data field" in str(error)
            return x
        raise AssertionError("the tracer was stored")

    f(1.0)
    with pytest.raises(TypeError, match=r"AnyStatic\.n"):
        jax.vmap(AnyStatic)(jnp.ones(2))


def test_a_tracer_in_a_static_is_refused_by_custom_init_post_init_replace_and_at():
    class ByInit(Struct):
        n: Any = static()

        def __init__(self, n):
            self.n = n

    class ByPost(Struct):
        x: Any
        n: Any = derived(static=True)

        def __post_init__(self):
            self.n = self.x

    def refused(make):
        with pytest.raises(TypeError, match="static field"):
            jax.jit(make)(1.0)

    refused(ByInit)
    refused(ByPost)
    refused(lambda x: AnyStatic(1).replace(n=x))
    refused(lambda x: at(AnyStatic(1), lambda s: s.n).set(x))
    refused(lambda x: construct(AnyStatic, n=x))
    refused(lambda x: setattr(Mutable(1), "n", x))


def test_the_static_values_1_true_and_1_0_give_three_dtypes():
    expected = {value_type: jnp.full((), value_type(1)).dtype for value_type in (int, bool, float)}
    assert len(set(expected.values())) == 3
    function = jax.jit(lambda o: jnp.full((), o.n))
    for order in ((1, True, 1.0), (1.0, 1, True), (True, 1.0, 1)):
        for value in order:
            assert function(AnyStatic(value)).dtype == expected[type(value)]
    assert [traced_dtype(value) for value in (1, True, 1.0)] == [expected[t] for t in (int, bool, float)]


LOOK_ALIKES = [
    (1, True),
    (1, 1.0),
    (True, 1.0),
    (0.0, -0.0),
    (1.0, 1 + 0j),
    (1, np.int32(1)),
    (np.int32(1), np.int64(1)),
    (1.0, np.float32(1)),
    (True, np.True_),
    (1, Colour.RED),
    ((1,), (True,)),
    ((1, (2.0,)), (1, (2,))),
    (frozenset({1}), frozenset({True})),
    (freeze({"a": 1}), freeze({"a": True})),
    (freeze({1: "a"}), freeze({True: "a"})),
    (freeze([1, [2]]), freeze([1, [2.0]])),
    (freeze(np.ones(2, np.float32)), freeze(np.ones(2, np.float64))),
    (freeze(np.ones(2)), freeze(np.ones((1, 2)))),
]


@pytest.mark.parametrize(("one", "other"), LOOK_ALIKES)
def test_equal_static_values_of_different_types_never_share_a_trace(one, other):
    class Holder(Struct):
        n: Any = static()

    seen = []

    @jax.jit
    def f(o):
        seen.append(o.n)
        return 0

    f(Holder(one)), f(Holder(other)), f(Holder(one)), f(Holder(other))
    assert len(seen) == 2
    assert Holder(one) != Holder(other)
    assert jax.tree.structure(Holder(one)) != jax.tree.structure(Holder(other))


def test_a_numpy_scalar_and_a_tuple_in_one_static_field_trace_apart():
    class Reduction(Struct):
        axis: Any = static()

    seen = []

    @jax.jit
    def f(o):
        seen.append(o.axis)
        return 0

    for axis in (np.int64(0), (0, 1), np.int64(0), (1, (2,)), (0, 1)):
        f(Reduction(axis))
    assert seen == [0, (0, 1), (1, (2,))]


def test_static_values_of_every_kind_in_one_field_trace_apart():
    class Holder(Struct):
        n: Any = static()

    makers: list[Callable[[], Any]] = [
        *(lambda v=v: v for v in (1, True, 1.0, "1", b"1", None, (1,), (1, 2), (1, (2,)), frozenset({1}), 1j, ...)),
        *(lambda v=v: v for v in (np.int32(1), np.float32(1), np.True_, np.float64(1), np.str_("1"))),
        *(lambda v=v: v for v in ("float32", np.dtype("float32"), np.float32, jnp.float32, np.dtype("int32"))),
        *(lambda v=v: v for v in (jax.nn.relu, jnp.tanh, len, int, Colour.RED, range(1), date(2020, 1, 1))),
        lambda: freeze(np.ones(2)),
        lambda: freeze(np.ones(2, np.int32)),
        lambda: freeze({"a": 1}),
        lambda: freeze([1, [2]]),
        lambda: PartitionSpec("a", None),
        lambda: jax.ShapeDtypeStruct((2,), jnp.float32),
        lambda: Point((1, 2)),
    ]
    seen = []

    @jax.jit
    def f(o):
        seen.append(o.n)
        return 0

    for _ in range(2):
        for make in makers:
            f(Holder(make()))
    equal_pairs = 1  # freeze([1, [2]]) is (1, (2,))
    assert len(seen) == len(makers) - equal_pairs


def test_a_mutable_struct_never_changes_a_structure_that_jax_holds():
    struct = Mutable(1.0, n=1)
    leaves, treedef = jax.tree.flatten(struct)
    before = hash(treedef), str(treedef)
    struct.n, struct.x = 2, 3.0
    assert (hash(treedef), str(treedef)) == before
    assert leaves == [1.0]
    assert treedef.unflatten(leaves).n == 1
    assert jax.tree.structure(struct) != treedef


def test_static_look_alikes_stay_apart_in_every_field_position():
    class Many(Struct):
        a: Any = static()
        x: Any
        b: Any = static()
        c: Any = static(default=None)

    structures = {jax.tree.structure(Many(a, 1.0, b, c)) for a in (1, True) for b in (1, 1.0) for c in (0, False)}
    assert len(structures) == 8


def test_statics_in_dict_values_that_compare_equal_do_not_retrace():
    traces = []

    @jax.jit
    def f(tree):
        traces.append(tree)
        return tree["b"].x

    for _ in range(3):
        f({"a": Pair(1.0, name="n" + str(1)), "b": Pair(2.0, name="n" + str(2))})
        f({"b": Pair(2.0, name="n2"), "a": Pair(1.0, name="n1")})
    assert len(traces) == 1


@pytest.mark.parametrize("make", [lambda: (1, ("a", 2.5)), lambda: freeze({"k": [1, {2}]}), lambda: freeze(np.eye(2))])
def test_equal_statics_that_are_different_objects_do_not_retrace(make):
    traces = []

    @jax.jit
    def f(o):
        traces.append(o)
        return 0

    for _ in range(3):
        f(AnyStatic(make()))
    assert len(traces) == 1


def test_frozen_dicts_of_another_insertion_order_do_not_retrace():
    assert jax.tree.structure(AnyStatic(freeze({"a": 1, "b": 2}))) == jax.tree.structure(
        AnyStatic(freeze({"b": 2, "a": 1}))
    )


def test_a_static_struct_inside_a_struct_is_kept_apart_by_its_values():
    one, other = AnyStatic(AnyStatic(1)), AnyStatic(AnyStatic(True))
    assert jax.tree.structure(one) != jax.tree.structure(other)
    assert jax.tree.structure(AnyStatic(Point(1))) != jax.tree.structure(AnyStatic(Point(True)))
    assert jax.tree.structure(AnyStatic(Point(1))) == jax.tree.structure(AnyStatic(Point(1)))


def test_a_static_struct_that_holds_an_array_is_refused():
    with pytest.raises(TypeError, match=r"AnyStatic\.n"):
        AnyStatic(Point(jnp.ones(2)))


def test_a_refused_static_leaves_the_object_of_a_custom_init_frozen():
    leaked = []

    class Leaky(Struct):
        n: Any = static()

        def __init__(self, n):
            leaked.append(self)
            self.n = n

    with pytest.raises(TypeError, match=r"Leaky\.n"):
        Leaky([1])
    with pytest.raises(dataclasses.FrozenInstanceError):
        leaked[0].n = 1


# Trap 5: equality.


def test_equality_of_structs_with_equal_arrays_is_the_bool_true():
    assert (Point(jnp.ones(3)) == Point(jnp.ones(3))) is True
    assert (Point(jnp.ones(3)) != Point(jnp.ones(3))) is False


@pytest.mark.parametrize(
    "other",
    [
        jnp.zeros(3),
        jnp.ones(2),
        jnp.ones((1, 3)),
        jnp.ones((3, 1)),
        jnp.ones(()),
        jnp.ones(3, jnp.int32),
        jnp.ones(3, jnp.bfloat16),
        1.0,
        None,
        [1.0, 1.0, 1.0],
        "text",
    ],
)
def test_equality_of_structs_with_different_leaves_is_the_bool_false(other):
    assert (Point(jnp.ones(3)) == Point(other)) is False
    assert (Point(other) == Point(jnp.ones(3))) is False
    assert (Point(jnp.ones(3)) != Point(other)) is True


def test_equality_and_its_negation_trace_under_jit():
    def both(p, q):
        assert isinstance(p == q, jax.core.Tracer)
        assert isinstance(p != q, jax.core.Tracer)
        return p == q, p != q

    for other, expected in ((jnp.ones(3), True), (jnp.array([1.0, 1.0, 0.0]), False)):
        same, different = jax.jit(both)(Pair(jnp.ones(3), 1), Pair(other, 1))
        assert same.shape == different.shape == ()
        assert same.dtype == different.dtype == bool
        assert (bool(same), bool(different)) == (expected, not expected)


def test_equality_under_vmap_is_per_example():
    batch = Point(jnp.arange(3.0))
    assert jax.vmap(lambda p: p == Point(jnp.float32(1.0)))(batch).tolist() == [False, True, False]
    assert jax.vmap(lambda p: p != Point(jnp.float32(1.0)))(batch).tolist() == [True, False, True]


def test_equality_under_jit_of_different_shapes_dtypes_or_statics_is_false_and_never_raises():
    def check(p, q):
        return jnp.logical_not(jnp.asarray(p == q)), jnp.asarray(p != q)

    pairs = [
        (Pair(jnp.ones(3)), Pair(jnp.ones(2))),
        (Pair(jnp.ones(3)), Pair(jnp.ones(3, jnp.int32))),
        (Pair(jnp.ones(3), name="a"), Pair(jnp.ones(3), name="b")),
        (Pair(jnp.ones(3), None), Pair(jnp.ones(3), 1.0)),
        (Pair(jnp.ones(3), (1.0, 2.0)), Pair(jnp.ones(3), (1.0,))),
    ]
    for p, q in pairs:
        assert all(map(bool, jax.jit(check)(p, q)))
        assert (p == q) is False


def test_the_negation_of_a_traced_equality_can_be_written_as_inversion():
    function = jax.jit(lambda p, q: ~(p == q))
    assert bool(function(Point(jnp.ones(3)), Point(jnp.ones(2)))) is True
    assert bool(function(Point(jnp.ones(3)), Point(jnp.ones(3)))) is False


def test_structs_of_two_classes_are_unequal_and_so_are_other_objects():
    assert (Left(1, 2) == Right(1, 2)) is False
    assert (Left(1, 2) != Right(1, 2)) is True
    assert (Point(jnp.ones(2)) == jnp.ones(2).shape) is False
    assert Point(1) != 1
    assert (Box[int](1) == Box[str](1)) is True


def test_equality_looks_into_nested_containers():
    one, same = (Point({"a": [jnp.ones(2), Point(np.ones(2))], "b": None}) for _ in range(2))
    assert (one == same) is True
    assert (one == Point({"a": [jnp.ones(2), Point(np.zeros(2))], "b": None})) is False
    assert (one == Point({"a": [jnp.ones(2)], "b": None})) is False


def test_equality_of_random_keys_deleted_and_abstract_leaves_never_raises():
    assert (Point(jax.random.key(0)) == Point(jax.random.key(0))) is True
    assert (Point(jax.random.key(0)) == Point(jax.random.key(1))) is False
    deleted = jnp.ones(2)
    deleted.delete()
    assert isinstance(Point(deleted) == Point(jnp.ones(2)), bool)
    abstract = jax.ShapeDtypeStruct((2,), jnp.float32)
    assert (Point(abstract) == Point(jax.ShapeDtypeStruct((2,), jnp.float32))) is True
    assert (Point(PartitionSpec("a")) == Point(PartitionSpec("b"))) is False
    equal_keys = jax.jit(lambda p, q: p == q)(Point(jax.random.key(0)), Point(jax.random.key(0)))
    assert bool(equal_keys) is True


def test_an_array_field_makes_hash_a_type_error_that_names_the_field():
    with pytest.raises(TypeError, match="'x'"):
        hash(Point(jnp.ones(3)))
    assert hash(Pair(1, 2.0)) == hash(Pair(1, 2.0))
    assert {Point("a"): 1}[Point("a")] == 1




class PlainMixin:
    def double(self):
        return jax.tree.map(lambda x: 2 * x, self)


# Trap 9: frozen after copies; nothing kept alive.


def test_a_copy_a_deepcopy_and_a_pickle_of_a_struct_are_frozen():
    for struct in (Point(1), Checked(1), Lazy(1), Box(1).replace(item=2)):
        name = fields(struct)[0].name
        for other in (struct, copy.copy(struct), copy.deepcopy(struct), pickle.loads(pickle.dumps(struct))):
            assert_frozen(other, name)
        assert_frozen(cloudpickle.loads(cloudpickle.dumps(struct)), name)


def test_a_generic_alias_call_gives_a_frozen_struct():
    assert_frozen(Box[int](1), "item")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_struct_without_fields_pickles(protocol):
    loaded = pickle.loads(pickle.dumps(Empty(), protocol=protocol))
    assert loaded == Empty()
    assert jax.tree.leaves(loaded) == []
    assert jax.tree.structure(loaded) == jax.tree.structure(Empty())


def test_an_unpickled_struct_cannot_be_changed_by_setstate():
    struct = pickle.loads(pickle.dumps(Point(1)))
    with pytest.raises(dataclasses.FrozenInstanceError):
        struct.__setstate__({"x": 2})
    assert struct.x == 1


def test_a_class_defined_in_a_function_survives_cloudpickle():
    def make():
        class Local(Struct):
            x: Any
            n: int = static(default=3)

            def __post_init__(self):
                self.x = self.x * 2

        return Local

    struct = make()(1.0)
    loaded = cloudpickle.loads(cloudpickle.dumps(struct))
    assert vars(loaded) == {"x": 2.0, "n": 3}
    assert jax.tree.leaves(jax.tree.map(lambda x: x + 1, loaded)) == [3.0]
    assert_frozen(loaded)


def test_a_class_of_the_main_module_survives_cloudpickle_into_another_process(tmp_path):
    path = tmp_path / "struct.pickle"
    run_python(
        """
        import sys, cloudpickle, jax
        from structkit import Struct, derived, static

        class Model(Struct):
            x: float
            n: int = static(default=3)
            double: float = derived()

            def __post_init__(self):
                self.double = self.x * 2

            def __call__(self):
                return self.x + self.n

        model = Model(1.0)
        with open(sys.argv[1], "wb") as file:
            cloudpickle.dump((Model, model, jax.tree.structure(model)), file)
        """,
        str(path),
    )
    output = run_python(
        """
        import sys, pickle, dataclasses, jax
        with open(sys.argv[1], "rb") as file:
            Model, model, treedef = pickle.load(file)
        assert type(model) is Model
        assert model() == 4.0 and model.double == 2.0
        assert jax.tree.leaves(model) == [1.0, 2.0]
        assert jax.tree.structure(model) == treedef
        assert jax.jit(lambda m: m)(model).n == 3
        assert Model(5.0).double == 10.0
        try:
            model.x = 2
        except dataclasses.FrozenInstanceError:
            print("frozen")
        """,
        str(path),
    )
    assert output == "frozen\n"


def test_a_failed_init_leaves_a_frozen_object():
    leaked = []

    class Failing(Struct):
        x: Any
        y: Any

        def __init__(self):
            leaked.append(self)
            self.x = 1
            raise ValueError("no")

    with pytest.raises(ValueError, match=r"^no$"):
        Failing()
    with pytest.raises(dataclasses.FrozenInstanceError):
        leaked[0].x = 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        leaked[0].y = 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        object.__setattr__(leaked[0], "x", 2)
    assert leaked[0].x == 1
    with pytest.raises(AttributeError, match="y"):
        leaked[0].y
    assert "Failing(" in repr(leaked[0])


def failing_hooks() -> Iterator[tuple[str, Any, list[Any]]]:
    def explode(*_):
        raise ValueError("no")

    leaked: list[Any] = []

    class PostInit(Struct):
        x: Any

        def __post_init__(self):
            leaked.append(self)
            explode()

    class Check(Struct):
        x: Any

        def __check_init__(self):
            leaked.append(self)
            explode()

    class CheckAfterInit(Struct):
        x: Any

        def __init__(self, x):
            self.x = x

        def __check_init__(self):
            leaked.append(self)
            explode()

    class Factory(Struct):
        x: Any
        y: Any = field(default_factory=explode)

        def __init__(self, x):
            leaked.append(self)
            self.x = x

    class DefaultConverter(Struct):
        x: Any
        y: Any = field(default=1, converter=explode)

        def __init__(self, x):
            leaked.append(self)
            self.x = x

    class StaticDefault(Struct):
        x: Any
        y: Any = static(default_factory=lambda: explode() or [])

        def __init__(self, x):
            leaked.append(self)
            self.x = x

    class AssignedConverter(Struct):
        x: Any = field(converter=explode)

        def __init__(self, x):
            leaked.append(self)
            self.x = x

    class CustomParent(PostInit):
        def __init__(self, x):
            super().__init__(x)

    for cls in (
        PostInit,
        Check,
        CheckAfterInit,
        Factory,
        DefaultConverter,
        StaticDefault,
        AssignedConverter,
        CustomParent,
    ):
        yield cls.__name__, cls, leaked


@pytest.mark.parametrize("index", range(8))
def test_whatever_fails_during_construction_the_object_is_frozen_afterwards(index):
    _, cls, leaked = list(failing_hooks())[index]
    with pytest.raises(ValueError, match=r"^no$"):
        cls(1)
    assert len(leaked) == 1
    for name in ("x", "no_field"):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(leaked[0], name, 2)
    assert cls.__name__ in repr(leaked[0])


def test_a_field_left_unset_leaves_a_frozen_object():
    leaked = []

    class Forgets(Struct):
        x: Any
        y: Any

        def __init__(self):
            leaked.append(self)
            self.x = 1

    with pytest.raises(TypeError, match="'y'"):
        Forgets()
    with pytest.raises(dataclasses.FrozenInstanceError):
        leaked[0].y = 2


@pytest.mark.parametrize("copier", [copy.copy, copy.deepcopy, lambda s: jax.tree.map(lambda x: x, s)])
def test_a_copy_made_during_construction_is_frozen_and_independent(copier):
    copies = []

    class Copies(Struct):
        x: Any

        def __init__(self, x):
            self.x = x
            copies.append(copier(self))
            self.x = x + 1

    struct = Copies(1)
    assert struct.x == 2
    assert copies[0].x == 1
    assert_frozen(copies[0])
    assert_frozen(struct)


def test_a_pickle_made_during_construction_is_frozen():
    pickles = []

    class Pickles(Struct):
        x: Any

        def __post_init__(self):
            pickles.append(cloudpickle.dumps(self))
            self.x += 1

    assert Pickles(1).x == 2
    loaded = cloudpickle.loads(pickles[0])
    assert loaded.x == 1
    assert_frozen(loaded)


def test_a_flattened_draft_is_not_changed_by_later_assignments():
    flat = []

    class Flattens(Struct):
        x: Any
        n: int = static(default=1)

        def __post_init__(self):
            flat.append(jax.tree.flatten(self))
            self.x = self.x + 1
            self.n = 2

    struct = Flattens(1)
    leaves, treedef = flat[0]
    assert leaves == [1]
    assert treedef.unflatten(leaves).n == 1
    assert_frozen(treedef.unflatten(leaves))
    assert treedef != jax.tree.structure(struct)


def test_a_finished_struct_is_not_kept_alive():
    references = []
    for make in (Point, Checked, Squared, Scaled, Custom, Lazy, Mutable, Box[float]):
        struct = make(1.0)
        references.append(weakref.ref(struct))
        references.append(weakref.ref(jax.tree.map(lambda x: x, struct)))
        references.append(weakref.ref(copy.copy(struct)))
    del struct
    assert collected(references)


def test_an_object_whose_init_failed_is_not_kept_alive():
    references = []
    for _, cls, leaked in failing_hooks():
        with contextlib.suppress(ValueError):
            cls(1)
        references.append(weakref.ref(leaked.pop()))
        assert not leaked
    assert len(references) == 8
    assert collected(references)


def test_a_struct_with_a_cycle_through_a_list_is_collected():
    items: list[Any] = []
    struct = Point(items)
    items.append(struct)
    reference = weakref.ref(struct)
    del struct, items
    assert collected([reference])


def test_a_struct_with_a_cycle_through_a_list_prints_copies_and_pickles():
    items: list[Any] = []
    struct = Point(items)
    items.append(struct)
    assert repr(struct).startswith("Point(x=[")
    loaded = pickle.loads(pickle.dumps(struct))
    assert loaded.x[0] is loaded
    deep = copy.deepcopy(struct)
    assert deep.x[0] is deep
    assert deep is not struct


def test_a_deepcopy_keeps_one_shared_object_shared():
    shared = Point([1])
    one, other = copy.deepcopy([shared, shared])
    assert one is other
    assert one.x is not shared.x
    pair = copy.deepcopy(Pair(shared, shared))
    assert pair.x is pair.y


def test_a_struct_is_frozen_for_names_that_are_no_fields():
    struct = Point(1)
    for name in ("typo", "__class__", "__dict__", "__flat__", "__cache__", "__weakref__", "replace"):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(struct, name, Pair)
    assert type(struct) is Point
    assert vars(struct) == {"x": 1}


def test_the_dict_of_a_struct_takes_no_value_that_would_be_lost():
    struct = Point(1)
    for name in ("x", "y"):
        with pytest.raises(dataclasses.FrozenInstanceError):
            vars(struct)[name] = 2
    assert vars(struct) == {"x": 1}
    assert Point(**struct.__dict__) == struct


# Trap 10: cached properties and generic aliases.


def test_a_computed_cached_property_leaves_structure_equality_hash_and_repr_alone():
    computed, fresh = Lazy(2.0), Lazy(2.0)
    before = repr(fresh), jax.tree.structure(fresh), hash(fresh)
    assert computed.total == 2.0
    assert computed.total is computed.total
    assert (repr(computed), jax.tree.structure(computed), hash(computed)) == before
    assert (computed == fresh) is True
    assert vars(computed) == {"x": 2.0}
    assert pickle.dumps(computed) == pickle.dumps(fresh)


def test_a_computed_cached_property_never_reaches_a_changed_copy():
    struct = Lazy(jnp.ones(3))
    assert struct.total == 3
    assert struct.replace(x=jnp.ones(4)).total == 4
    assert dataclasses.replace(struct, x=jnp.ones(5)).total == 5
    assert jax.tree.map(lambda x: 2 * x, struct).total == 6
    assert at(struct, lambda s: s.x).set(jnp.ones(7)).total == 7
    assert jax.jit(lambda s: jax.tree.map(lambda x: 3 * x, s))(struct).total == 9
    assert struct.total == 3


def test_a_computed_cached_property_does_not_retrace_or_leak_tracers():
    traces = []

    @jax.jit
    def f(s):
        traces.append(1)
        return s.total

    struct = Lazy(jnp.ones(3))
    with jax.checking_leaks():
        assert f(struct) == 3
    struct.total
    assert f(struct) == 3
    assert len(traces) == 1
    assert not isinstance(struct.total, jax.core.Tracer)


def test_a_cached_property_is_computed_once_in_a_subclass_a_mixin_and_a_mutable_struct():
    calls = []

    class Mixin:
        @functools.cached_property
        def answer(self):
            calls.append(type(self).__name__)
            return self.x + 41

    class First(Struct, Mixin):
        x: Any

    class Second(First):
        pass

    class Third(Mixin, Struct, frozen=False):
        x: Any

    for struct in (First(1), Second(1), Third(1)):
        assert struct.answer == struct.answer == 42
    assert calls == ["First", "Second", "Third"]


def test_a_cached_property_cannot_be_assigned_or_deleted():
    struct = Lazy(1.0)
    struct.total
    with pytest.raises(dataclasses.FrozenInstanceError):
        struct.total = 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        del struct.total
    assert struct.total == 1.0


def test_a_parametrized_generic_has_the_structure_of_the_plain_class():
    plain, parametrized = Box(1), Box[int](1)
    assert type(parametrized) is Box
    assert jax.tree.structure(plain) == jax.tree.structure(parametrized)
    assert jax.tree.structure(Box[str](1)) == jax.tree.structure(Box[Box[int]](1))
    assert vars(plain) == vars(parametrized)
    assert plain == parametrized


def test_a_parametrized_generic_subclass_has_the_structure_of_the_plain_class():
    class Child(Box[T]):
        other: T

        def __init__(self, item, other):
            self.item, self.other = item, other

    class Mixed(Child[int], PlainMixin):
        pass

    assert jax.tree.structure(Child[int](1, 2)) == jax.tree.structure(Child(1, 2))
    assert jax.tree.structure(Mixed(1, 2)) == jax.tree.structure(Mixed(3, 4))
    assert jax.tree.leaves(Child[int](1, 2)) == [1, 2]


def test_a_parametrized_mutable_generic_has_the_structure_of_the_plain_class():
    class Cell(Struct, Generic[T], frozen=False):
        item: T

    assert jax.tree.structure(Cell[int](1)) == jax.tree.structure(Cell(1))




# Trap 15: threads.


def test_threads_that_construct_structs_do_not_disturb_each_other():
    class Slow(Struct):
        a: Any
        b: Any
        n: Any = static()
        total: Any = derived()

        def __init__(self, base):
            self.a = base
            barrier.wait(timeout=30)
            self.b = self.a + 1
            self.n = ("n", base)
            barrier.wait(timeout=30)
            self.total = self.a + self.b

    barrier = threading.Barrier(4)
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda base: [Slow(base + 10 * i) for i in range(50)], range(4)))
    for base, structs in enumerate(made):
        for i, struct in enumerate(structs):
            start = base + 10 * i
            assert (struct.a, struct.b, struct.n, struct.total) == (start, start + 1, ("n", start), 2 * start + 1)
            assert_frozen(struct, "a")


def test_threads_that_define_structs_do_not_disturb_each_other():
    barrier = threading.Barrier(4)

    def define(k):
        barrier.wait(timeout=30)
        out = []
        for i in range(20):

            class Local(Struct):
                x: Any
                y: Any = (k, i)
                n: "Static[int]" = k

                def __post_init__(self):
                    self.x = self.x + 1

            struct = jax.tree.map(lambda leaf: leaf, Local(i))
            out.append((struct.x, struct.y, struct.n, len(jax.tree.leaves(struct))))
        return out

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(define, range(4)))
    assert results == [[(i + 1, (k, i), k, 3) for i in range(20)] for k in range(4)]


def test_one_failing_thread_leaves_the_others_alone():
    class Sometimes(Struct):
        x: Any

        def __init__(self, x):
            self.x = x
            if x % 2:
                raise ValueError(x)

    def attempt(x):
        try:
            return Sometimes(x).x
        except ValueError:
            return None

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(attempt, range(400)))
    assert results == [None if x % 2 else x for x in range(400)]


def test_threads_that_read_a_cached_property_get_one_value():
    barrier = threading.Barrier(4)

    class Shared(Struct):
        x: Any

        @functools.cached_property
        def token(self):
            barrier.wait(timeout=30)
            return object()

    struct = Shared(1)
    with ThreadPoolExecutor(4) as pool:
        tokens = list(pool.map(lambda _: struct.token, range(4)))
    assert all(token is tokens[0] for token in tokens)
    assert struct.token is tokens[0]


def test_a_constructor_that_builds_other_structs_of_its_class_keeps_them_apart():
    class Tree(Struct):
        value: Any
        children: tuple[Any, ...]

        def __init__(self, depth):
            self.value = -1
            self.children = tuple(Tree(depth - 1) for _ in range(2)) if depth else ()
            self.value = depth

    tree = Tree(4)
    assert sorted(jax.tree.leaves(tree)) == sorted([4] + [3] * 2 + [2] * 4 + [1] * 8 + [0] * 16)
    assert_frozen(tree.children[0], "value")


def test_structs_of_many_threads_flatten_and_compare_alike():
    struct = Pair(jnp.arange(3.0), {"a": Point(1)}, name="shared")

    def work(_):
        for _ in range(50):
            leaves, treedef = jax.tree.flatten(struct)
            assert treedef.unflatten(leaves) == struct
        return treedef

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(work, range(4)))) == 1


