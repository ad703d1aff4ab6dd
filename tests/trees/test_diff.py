"""`diff` of structures, classes, statics, shapes and dtypes: each difference with its path, its kind and its text."""

import collections
import dataclasses
import functools
import pickle
from dataclasses import MISSING
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, strategies as st

import structkit
from structkit import Differences, Struct, assert_same_structure, diff, static
from structkit.errors import TreesDifferError
from tests.models import Coordinates, Left, Level, Linear, Model, Mutable, Pair, Point, Right, Ring, run_python, shown


class Sizes(Struct):
    x: Any
    n: Any = static(default=1)
    m: Any = static(default=2)


@structkit.struct.dataclass
class Cell:
    x: Any
    n: Any = structkit.struct.field(pytree_node=False, default=1)


@functools.partial(jax.tree_util.register_dataclass, data_fields=["x"], meta_fields=["n"])
@dataclasses.dataclass
class Registered:
    x: Any
    n: Any


class Color(NamedTuple):
    red: Any
    x: Any


def lines(a, b):
    return [str(difference) for difference in diff(a, b)]


def redefined():
    class Point(Struct):
        x: Any

    return Point


STRUCTURES = [
    (None, 1, ["the tree: structure: None against 1"]),
    (Point(None), Point(jnp.ones(3)), [".x: structure: None against f32[3]"]),
    (Point(Point(1)), Point(1), [".x: structure: Point(x=1) against 1"]),
    (None, [], ["the tree: structure: None against []"]),
    ([1, 2, 3], [1], ["[1]: structure: only in a: 2", "[2]: structure: only in a: 3"]),
    ([], [Point(1)], ["[0]: structure: only in b: Point(x=1)"]),
    (
        {"a": 1, "b": 2},
        {"b": 3, "c": 4},
        [
            "['a']: structure: only in a: 1",
            "['b']: value: 2 against 3 (by 1, relative: 0.3333)",
            "['c']: structure: only in b: 4",
        ],
    ),
    ({"a": [{"b": 1}]}, {"a": [{}]}, ["['a'][0]['b']: structure: only in a: 1"]),
    ({1: 2, "a": 3}, {1: 2, "a": 4}, ["['a']: value: 3 against 4 (by 1, relative: 0.25)"]),
    ([1], (1,), ["the tree: class: list against tuple"]),
    (Left(1, 2), Right(1, 2), ["the tree: class: Left against Right"]),
    (Coordinates(1, 2), Color(1, 2), ["the tree: class: Coordinates against Color"]),
    (
        Point(1),
        redefined()(1),
        ["the tree: class: tests.models.Point against tests.trees.test_diff.redefined.<locals>.Point"],
    ),
    (
        redefined()(1),
        redefined()(1),
        [
            "the tree: class: tests.trees.test_diff.redefined.<locals>.Point "
            "against another tests.trees.test_diff.redefined.<locals>.Point"
        ],
    ),
    ("a", 1, ["the tree: class: str against int"]),
    (jnp.ones(2), "a", ["the tree: class: ArrayImpl against str"]),
    ("a", "b", ["the tree: value: 'a' against 'b'"]),
    (Point(jax.nn.relu), Point(jnp.tanh), [".x: value: relu against tanh"]),
]


@pytest.mark.parametrize("a, b, expected", STRUCTURES, ids=shown)
def test_unlike_nodes_and_items_are_named(a, b, expected):
    assert lines(a, b) == expected


STATICS = [
    (Sizes(1), Sizes(1, 3, 4), [".n: static: 1 against 3", ".m: static: 2 against 4"]),
    (Sizes(1, 1), Sizes(1, True), [".n: static: 1 against True"]),
    (Sizes(1, 1), Sizes(1, 1.0), [".n: static: 1 against 1.0"]),
    (Sizes(1, 0.0), Sizes(1, -0.0), [".n: static: 0.0 against -0.0"]),
    (Sizes(1, m=(1, 2.0)), Sizes(1, m=(1, 2)), [".m: static: (1, 2.0) against (1, 2)"]),
    (Sizes(1, 1), Sizes(1, Level.ONE), [".n: static: 1 against <Level.ONE: 1>"]),
    (Sizes(1, jax.nn.relu), Sizes(1, jax.nn.gelu), [".n: static: relu against gelu"]),
    (
        Model([Linear(1)], "a"),
        Model([Linear(1, activation=jnp.tanh)], "b"),
        [".name: static: 'a' against 'b'", ".layers[0].activation: static: relu against tanh"],
    ),
    (Mutable(1, 2), Mutable(1, 3), [".n: static: 2 against 3"]),
    (Cell(1, "a"), Cell(1, "b"), [".n: static: 'a' against 'b'"]),
    # As JAX compares them, to which the aux of this class is a plain tuple.
    (Cell(1, 1), Cell(1, True), []),
    (
        Registered(1, "a"),
        Registered(2, "b"),
        [".n: static: 'a' against 'b'", ".x: value: 1 against 2 (by 1, relative: 0.5)"],
    ),
    (Point(Ring(1, 2)), Point(Ring(1, 3)), [".x: static: 2 against 3"]),
    (jax.tree_util.Partial(min, 1), jax.tree_util.Partial(max, 1), ["the tree: static: min against max"]),
    (
        collections.defaultdict(int, a=1),
        collections.defaultdict(list, a=1),
        ["the tree: static: (int, ('a',)) against (list, ('a',))"],
    ),
    (
        collections.OrderedDict(a=1, b=2),
        collections.OrderedDict(b=2, a=1),
        ["the tree: static: ('a', 'b') against ('b', 'a')"],
    ),
    (
        collections.OrderedDict(a=1, b=2),
        collections.OrderedDict(b=2),
        ["['a']: structure: only in a: 1"],
    ),
]


@pytest.mark.parametrize("a, b, expected", STATICS, ids=shown)
def test_statics_are_named_that_jit_tells_apart(a, b, expected):
    assert lines(a, b) == expected


def test_statics_that_print_alike_are_told_apart_by_their_types_or_said_to_be_different():
    class Same:
        def __repr__(self):
            return "same"

    class Other(Same):
        pass

    assert lines(Sizes(1, Same()), Sizes(1, Other())) == [
        f".n: static: same ({__name__}.{Same.__qualname__}) against same ({__name__}.{Other.__qualname__})"
    ]
    name = f"same ({__name__}.{Same.__qualname__})"
    assert lines(Sizes(1, Same()), Sizes(1, Same())) == [f".n: static: {name} against another {name}"]


def test_statics_whose_comparison_or_repr_raises_differ():
    class Raising:
        def __eq__(self, other):
            raise ValueError

        __hash__ = object.__hash__

        def __repr__(self):
            raise ValueError

    (found,) = diff(Cell(1, Raising()), Cell(1, Raising()))
    assert found.kind == "static"
    assert "Raising" in str(found)


FORMS = [
    (jnp.ones(3), jnp.ones(4), ["shape: (3,) against (4,)"]),
    (jnp.ones((2, 2)), jnp.ones(4, jnp.int32), ["shape: (2, 2) against (4,)", "dtype: float32 against int32"]),
    (jnp.ones(3, jnp.float32), jnp.ones(3, jnp.bfloat16), ["dtype: float32 against bfloat16"]),
    (np.ones(3), np.ones(3, np.float32), ["dtype: float64 against float32"]),
    (1, 1.0, ["dtype: int32 against float32"]),
    (1, True, ["dtype: int32 against bool", "weak type: True against False"]),
    (jnp.asarray(1.0), jnp.array(1.0, jnp.float32), ["weak type: True against False"]),
    (1.0, jnp.array(1.0, jnp.float32), ["weak type: True against False"]),
    (1.0, jnp.asarray(1.0), []),
    (True, np.bool_(True), []),
    (jnp.ones(3, jnp.float32), np.ones(3, np.float32), []),
    (np.int32(1), jnp.int32(1), []),
    (jax.random.key(0), jax.random.key(0, impl="rbg"), ["dtype: key<fry> against key<rbg>"]),
    (jax.random.key(0), jnp.uint32(0), ["dtype: key<fry> against uint32"]),
    (jax.ShapeDtypeStruct((3,), jnp.float32), jnp.ones(3), []),
    (jax.ShapeDtypeStruct((3,), jnp.float32), jnp.ones(4), ["shape: (3,) against (4,)"]),
    (jnp.ones((0, 3)), jnp.ones((0, 4)), ["shape: (0, 3) against (0, 4)"]),
]


@pytest.mark.parametrize("a, b, expected", FORMS, ids=shown)
def test_leaves_differ_in_shape_dtype_and_weak_type(a, b, expected):
    assert lines(Point(a), Point(b)) == [f".x: {line}" for line in expected]


def test_shardings_differ_unless_jax_takes_them_to_be_one():
    shown = run_python(
        """
        import jax, jax.numpy as jnp, numpy as np
        from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec as P
        from structkit import diff, shared_buffers

        mesh = jax.make_mesh((2,), ("x",), axis_types=(AxisType.Auto,))
        x = jnp.arange(8.0).reshape(4, 2)

        def put(*spec, value=x):
            return jax.device_put(value, NamedSharding(mesh, P(*spec)))

        print(*[f"{d.path}{d.kind} {d.retraces}" for d in diff(put("x"), put())])
        print(diff(put("x"), put("x", None)))
        print(*[d.kind for d in diff(x, jax.device_put(x, NamedSharding(Mesh(jax.devices()[:1], ("x",)), P())))])
        print(diff(put("x"), x)[0].kind, len(diff(put("x"), np.asarray(x))))
        print(diff(put("x"), put("x", value=x + 1)))
        print(*diff(jax.ShapeDtypeStruct((4, 2), jnp.float32, sharding=put("x").sharding), put()))
        halves = put("x")
        print(shared_buffers((halves, put("x"), halves)))
        print(shared_buffers((x, put())))
        """,
        XLA_FLAGS="--xla_force_host_platform_device_count=2",
    )
    assert shown.splitlines() == [
        "sharding True",
        "no differences",
        "sharding",
        "sharding 0",
        "1 difference:",
        "the tree: value: 8 of 8 elements differ, by 1 at most (relative: 1)",
        "the tree: sharding: P('x',) on {'x': 2} against P() on {'x': 2}",
        "[0] and [2] hold one buffer of 16 bytes",
        "[0] and [1] hold one buffer of 32 bytes",
    ]


def test_a_difference_has_its_path_kind_and_both_sides():
    before = {"m": Sizes([jnp.zeros(2), None], n="a")}
    after = {"m": Sizes([jnp.zeros(3), 1, 2], n="b")}
    found = diff(before, after)
    assert [(one.path, one.kind, one.a, one.b) for one in found] == [
        ("['m'].n", "static", "a", "b"),
        ("['m'].x[0]", "shape", (2,), (3,)),
        ("['m'].x[1]", "structure", None, 1),
        ("['m'].x[2]", "structure", MISSING, 2),
    ]
    assert diff(Left(1, 2), Right(1, 2))[0].a is Left
    assert repr(found[0]) == "<Difference ['m'].n: static: 'a' against 'b'>"
    with pytest.raises(dataclasses.FrozenInstanceError):
        found[0].path = ""


def test_paths_are_those_of_jax():
    tree = {"a": [Sizes(Coordinates(1, {"b.c": 2})), Cell(3), Ring(4, 5)], "d": Registered(6, 7)}
    expected = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(tree)]
    assert [one.path for one in diff(tree, jax.tree.map(lambda x: x + 1, tree))] == expected


def test_the_report_has_a_line_for_each_and_is_cut():
    assert str(diff([1], [1])) == "no differences"
    assert repr(diff([1], [1])) == "<Differences: no differences>"
    assert str(diff([1], [2])) == "1 difference:\n[0]: value: 1 against 2 (by 1, relative: 0.5)"
    report = str(diff([*range(1234)], [*range(1, 1235)])).splitlines()
    assert (report[0], len(report), report[-1]) == ("1,234 differences:", 102, "... and 1,134 more")
    (long,) = lines("a" * 200, None)
    assert len(long) < 120 and "..." in long


def test_differences_are_a_sequence_that_is_false_where_there_are_none_and_pickles():
    found = diff(Point(1), Point(2))
    assert isinstance(found, Differences) and found and len(found) == 1 and not diff(1, 1)
    assert [str(one) for one in pickle.loads(pickle.dumps(found))] == [str(one) for one in found]


def test_identical_objects_do_not_differ_whatever_they_are():
    deleted, raising = jnp.ones(3), np.array([object()])
    deleted.delete()
    for value in (deleted, raising, object(), jnp.nan, Mutable([deleted, float("nan")])):
        assert not diff(Point(value), Point(value))


def test_inside_a_trace_all_but_the_values_is_compared_and_the_report_says_so():
    found = []

    def step(x, y):
        found.append(diff(Pair(x, x), Pair(y, 1.0, name="b")))
        return x

    jax.jit(step)(jnp.ones(3), jnp.zeros(3))
    jax.vmap(step)(jnp.ones(3), jnp.zeros(3))
    jax.grad(lambda x: step(x, x))(jnp.asarray(1.0))
    assert [str(report) for report in found] == [
        "3 differences (1 leaf without values to compare: tracers or ShapeDtypeStructs):\n"
        ".name: static: 'pair' against 'b'\n"
        ".y: shape: (3,) against ()\n"
        ".y: weak type: False against True",
        "2 differences (2 leaves without values to compare: tracers or ShapeDtypeStructs):\n"
        ".name: static: 'pair' against 'b'\n"
        ".y: weak type: False against True",
        "1 difference (1 leaf without values to compare: tracers or ShapeDtypeStructs):\n"
        ".name: static: 'pair' against 'b'",
    ]
    assert [report.uncompared for report in found] == [1, 2, 1]
    same = diff(jax.eval_shape(lambda: Point(jnp.ones(3))), Point(jnp.ones(3)))
    assert not same
    assert str(same) == "no differences (1 leaf without values to compare: tracers or ShapeDtypeStructs)"


def nested(depth, leaf):
    return functools.reduce(lambda tree, _: Point(tree), range(depth), leaf)


def test_deep_trees_are_compared_and_those_that_hold_themselves_are_refused():
    (found,) = diff(nested(1900, 1), nested(1900, 2))
    assert found.path == ".x" * 1900
    one, other = Mutable(1), Mutable(1)
    one.x, other.x = one, other
    with pytest.raises(RecursionError) as caught:
        diff(one, other)
    assert str(caught.value) == "diff: the tree is more than 2,000 levels deep, or holds itself"
    assert nested(10, 1) == nested(10, 1)


def test_a_shared_subtree_is_named_at_each_of_its_places():
    shared, other = Point([1]), Point([2])
    assert [one.path for one in diff([shared, shared], [other, other])] == ["[0].x[0]", "[1].x[0]"]


def test_an_error_of_a_node_of_another_library_is_not_hidden():
    class Failing(Ring):
        def tree_flatten(self):
            raise ValueError("of the node")

    jax.tree_util.register_pytree_node_class(Failing)
    with pytest.raises(ValueError, match=r"^of the node$"):
        diff(Point(Failing(1, 2)), Point(Failing(1, 2)))


LEAVES = st.sampled_from([1, 2.5, True, "a"])
STATIC = st.sampled_from([1, True, 1.0, 0.0, -0.0, "a", (1, 2), (1.0, 2)])
TREES = st.recursive(
    LEAVES | st.none(),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
        st.dictionaries(st.sampled_from("abc"), inner, max_size=3).map(collections.OrderedDict),
        st.builds(Coordinates, inner, inner),
        st.builds(Sizes, inner, STATIC, STATIC),
        st.builds(Cell, inner, STATIC),
        st.builds(Registered, inner, STATIC),
        st.builds(Ring, inner, STATIC),
    ),
    max_leaves=8,
)


@given(TREES, TREES)
def test_the_structures_are_the_same_exactly_where_jax_has_equal_treedefs(a, b):
    same = jax.tree.structure(a) == jax.tree.structure(b)
    kinds = {one.kind for one in diff(a, b)}
    assert same or kinds & {"structure", "class", "static"}
    if same:
        assert assert_same_structure(a, b) is None
        assert not any(one.kind in ("structure", "static") for one in diff(a, b))
    else:
        with pytest.raises(TreesDifferError):
            assert_same_structure(a, b)
    assert sorted(one.path for one in diff(a, b)) == sorted(one.path for one in diff(b, a))


@given(TREES, st.data())
def test_a_copy_does_not_differ_and_with_one_leaf_changed_in_that_leaf_alone(tree, data):
    leaves, treedef = jax.tree.flatten(tree)
    assert not diff(tree, treedef.unflatten(leaves))
    if leaves:
        i = data.draw(st.integers(0, len(leaves) - 1))
        changed = treedef.unflatten([object() if j == i else leaf for j, leaf in enumerate(leaves)])
        (found,) = diff(tree, changed)
        path, _ = jax.tree_util.tree_leaves_with_path(tree)[i]
        assert found.path == jax.tree_util.keystr(path)
