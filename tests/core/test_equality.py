"""`==` and order: a bool outside a trace, a traced boolean inside one, and what a class may say about them."""

import functools
from collections import OrderedDict, defaultdict
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from structkit import Struct, errors, field, static
from structkit._core import compare
from tests.models import Box, Coordinates, Decorated, Function, Lazy, Mutable, Pair, Point, Ring, Skipping


class Sub(Point):
    pass


class ByIdentity(Struct, eq=False):
    x: Any


class ByIdentityChild(ByIdentity):
    y: Any = 0


class ByValueChild(ByIdentity, eq=True):
    y: Any = 0


class Rounded(Struct):
    x: float

    def __eq__(self, other):
        return isinstance(other, Rounded | int | float) and round(self.x) == round(getattr(other, "x", other))


class RoundedChild(Rounded):
    y: int = 0


class Version(Struct, order=True):
    major: int
    minor: int = 0
    note: str = static(default="", compare=False)


@jax.tree_util.register_pytree_node_class
class Fresh:
    """A node whose children are made when it is flattened."""

    def __init__(self, x):
        self.x = x

    def tree_flatten(self):
        return ([[self.x]],), None

    @classmethod
    def tree_unflatten(cls, aux, children):
        return cls(children[0][0][0])


class Raising:
    def __eq__(self, other):
        raise RuntimeError("no comparison")

    __hash__ = object.__hash__

    @property
    def dtype(self):
        raise RuntimeError("no dtype")


class Number(int):
    """What only looks like an array."""

    dtype = "x"


def ones(*shape, dtype=jnp.float32):
    return jnp.ones(shape, dtype)


def abstract(*shape):
    return jax.ShapeDtypeStruct(shape, jnp.float32)


EQUAL = [
    (ones(3), ones(3)),
    (ones(3), np.ones(3, np.float32)),
    (np.ones(3), np.ones(3)),
    (ones(0, 2), ones(0, 2)),
    (ones(dtype=jnp.bfloat16), ones(dtype=jnp.bfloat16)),
    (np.float32(1), ones()),
    ([ones(3), {"a": ones(2)}], [ones(3), {"a": ones(2)}]),
    ((ones(3), None), (ones(3), None)),
    ({"b": 1, "a": ones(2)}, {"a": ones(2), "b": 1}),
    (Coordinates(ones(3), 1), Coordinates(ones(3), 1)),
    (Point(ones(3)), Point(ones(3))),
    (Box[int](1), Box[str](1)),
    (abstract(3), abstract(3)),
    (None, None),
    ((), ()),
    ("text", "text"),
    (Number(1), Number(1)),
    (jnp.float32, jnp.float32),
    (jax.random.key(0), jax.random.key(0)),
    (jax.random.split(jax.random.key(0)), jax.random.split(jax.random.key(0))),
    (-0.0, 0.0),
    (-0.0 * ones(), 0.0 * ones()),
    (np.array([{"a"}, None], object), np.array([{"a"}, None], object)),
    (np.array(["a", "b"]), np.array(["a", "b"])),
    # JAX flattens no dict whose keys do not sort.
    ({1: ones(2), "a": 2, None: 3}, {None: 3, "a": 2, 1: ones(2)}),
    (defaultdict(int, {1: 1, "a": ones(2)}), defaultdict(int, {"a": ones(2), 1: 1})),
    (OrderedDict({1: 1, "a": ones(2)}), OrderedDict({1: 1, "a": ones(2)})),
    (Decorated({1: 1, "a": ones(2)}), Decorated({"a": ones(2), 1: 1})),
    ({"a": Decorated(ones(2))}, {"a": Decorated(ones(2))}),
]
UNEQUAL = [
    *((ones(3), other) for other in (0 * ones(3), ones(4), ones(3, 1), ones(1, 3), ones(1), ones())),
    *((ones(3), ones(3, dtype=dtype)) for dtype in (jnp.bfloat16, jnp.int32)),
    *((ones(3), stranger) for stranger in (1.0, [1.0, 1.0, 1.0], None, "text", object(), Point(ones(3)))),
    (ones(0), ones(0, 1)),
    (ones(0), ones(0, dtype=jnp.int32)),
    (np.ones(3), np.ones(3, np.float32)),
    (ones(2), jax.device_put(np.array([1, np.nan], np.float32))),
    (Point(1), np.ones(3)),
    (Point(1), Lazy(1)),
    (Point(1), Sub(1)),
    (Point(1), {"x": 1}),
    ([1, 2], (1, 2)),
    ([1, 2], [1, 2, 3]),
    ({"a": 1}, {"b": 1}),
    *(({1: 1, "a": 2, "b": ones(2)}, other) for other in ({1: 1, "a": 3, "b": ones(2)}, {1: 1, "a": 2, 3: ones(2)})),
    (defaultdict(int, {1: 1, "a": 2}), defaultdict(int, {1: 1, "a": 3})),
    (OrderedDict({1: 1, "a": 2}), OrderedDict({"a": 2, 1: 1})),
    (Decorated({1: 1, "a": 2}), Decorated({1: 1, "a": 3})),
    ([Fresh(float(i)) for i in range(20)], [Fresh(float(i)) for i in (*range(19), 0)]),
    ({"a": [ones(2), Point(ones(2))]}, {"a": [ones(2), Point(0 * ones(2))]}),
    (np.ones(2), Coordinates(ones(2), 1)),
    (Decorated(ones(2)), Decorated(0 * ones(2))),
    (Decorated(1), Point(1)),
    (Ring(1, 2), Ring(1, 3)),
    (None, 0),
    (None, ()),
    (0, ""),
    (abstract(3), abstract(4)),
    (jax.sharding.PartitionSpec("a"), jax.sharding.PartitionSpec("b")),
    (jax.random.key(0), jax.random.key(1)),
    (jax.random.key(0), jax.random.key(0, impl="rbg")),
    (jax.random.key(0), jax.random.key_data(jax.random.key(0))),
    (Number(1), Number(2)),
    *((Box(nan), Box(nan)) for nan in (float("nan"), complex(0, np.nan), np.float32("nan"), np.array([1, np.nan]))),
]


# The drop-in leaves these to Python, which says the opposite.
EQUAL_IN_STRUCTS = [
    (Ring(ones(3), 2), Ring(ones(3), 2)),
    ([Fresh(float(i)) for i in range(20)], [Fresh(float(i)) for i in range(20)]),
]
UNEQUAL_IN_STRUCTS = [
    (defaultdict(int, {1: 1}), defaultdict(list, {1: 1})),
    (Coordinates(1, 2), (1, 2)),
    (0, False),
    (1, 1.0),
]
# And of these it raises what their own `==` raises.
UNEQUAL_BUT_RAISING = [(Raising(), 1)]
EQUAL_IN_DROP_IN, UNEQUAL_IN_DROP_IN = EQUAL + UNEQUAL_IN_STRUCTS, UNEQUAL + EQUAL_IN_STRUCTS
HOLDERS = [
    (Point, EQUAL + EQUAL_IN_STRUCTS, UNEQUAL + UNEQUAL_IN_STRUCTS + UNEQUAL_BUT_RAISING),
    (Decorated, EQUAL_IN_DROP_IN, UNEQUAL_IN_DROP_IN),
    # As a static value.
    (lambda value: Decorated(0, value), EQUAL_IN_DROP_IN, UNEQUAL_IN_DROP_IN),
]


@pytest.mark.parametrize(("hold", "a", "b"), [(hold, *pair) for hold, equal, _ in HOLDERS for pair in equal])
def test_equal_contents_are_equal_as_a_python_bool(hold, a, b):
    for left, right in ((hold(a), hold(b)), (hold(b), hold(a)), (hold([a]), hold([b])), (hold(a), hold(a))):
        assert (left == right) is True
        assert (left != right) is False


@pytest.mark.parametrize(("hold", "a", "b"), [(hold, *pair) for hold, _, unequal in HOLDERS for pair in unequal])
def test_different_contents_are_unequal_as_a_python_bool(hold, a, b):
    for left, right in ((hold(a), hold(b)), (hold(b), hold(a)), (hold([a]), hold([b])), (hold([b]), hold([a]))):
        assert (left == right) is False
        assert (left != right) is True


@pytest.mark.parametrize("answer", ["", (), None, 0, np.False_])
def test_what_is_unequal_is_the_negation_of_what_a_users_equality_says(answer):
    cls = type(Struct)("A", (Point,), {"__eq__": lambda self, other: answer})
    assert (cls(1) != cls(1)) is True


def test_structs_differ_from_everything_else():
    for stranger in (1, None, "Point(x=1)", (1,), {"x": 1}, Lazy(1), Sub(1), Point, object(), ones(3)):
        assert (Point(1) == stranger) is False, stranger
        assert (Point(1) != stranger) is True, stranger
        assert (stranger == Point(1)) is False, stranger


class Wide(Struct):
    a: Any = 0
    b: Any = 0.5
    c: Any = True
    d: Any = "d"
    e: Any = None
    f: Any = 1j
    g: Any = b"g"
    n: Any = static(default=0)


@pytest.mark.parametrize("name", list("abcdefg"))
def test_one_field_decides_wherever_it_stands_among_numbers(name):
    wide, same = Wide(), Wide(b=float("0.5"), d="".join(["d"]), f=complex("1j"))
    assert (wide == same) is True and hash(wide) == hash(same)
    pairs = ((1, True), (1, 1.0), (1.0, 1 + 0j), (0, False), (0, None), ("", b""), (1, 2), (1, [1]), (0, Point(0)))
    for one, other in pairs:
        a, b = wide.replace(**{name: one}), wide.replace(**{name: other})
        assert (a == b) is (b == a) is False
        assert (a != b) is (b != a) is True
        assert (a == wide.replace(**{name: one})) is True
    assert (wide.replace(**{name: -0.0}) == wide.replace(**{name: 0.0})) is True
    nan = float("nan")
    for value in (nan, complex(0, nan), np.float64(nan), [nan], Point(nan)):
        made = wide.replace(**{name: value})
        assert (made == made) is False
        assert (made != made) is True
        assert (made == made.replace(n=1)) is False


def test_an_unfinished_struct_is_compared_field_by_field_up_to_the_unset_one():
    class Hasty(Struct):
        x: Any
        y: Any = field(init=False)

        def __post_init__(self):
            seen.extend([self == other for other in finished])
            self.y = 0
            seen.extend([self == other for other in finished])

    finished, seen = [], []
    finished.append(Hasty(1))
    Hasty(2)
    assert seen == [False, False]
    with pytest.raises(errors.UnsetFieldError):
        Hasty(1)


def test_deleted_arrays_are_equal_to_themselves_alone_and_raise_nothing():
    gone, other = Point(ones(3)), Point(ones(3))
    gone.x.delete()
    assert (gone == gone) is True
    assert (gone == other) is (other == gone) is False
    assert (gone != other) is True


class Loop(Struct, frozen=False):
    x: Any
    inner: Any


@pytest.mark.parametrize(
    ("make", "close"),
    [
        (Mutable, lambda struct: setattr(struct, "x", [struct, struct.x])),
        (lambda value: Loop(value, None), lambda struct: setattr(struct, "inner", struct)),
        (lambda value: [value], lambda values: values.append(values)),
        (lambda value: {"a": value}, lambda values: values.update(b=values)),
    ],
)
@pytest.mark.parametrize("holder", [Point, Function])
def test_what_holds_itself_is_compared_once(holder, make, close):
    loops = [make(value) for value in (1, 1, 2)]
    for loop in loops:
        close(loop)
    one, same, other = map(holder, loops)
    assert (one == same) is True and (one != same) is False
    assert (one == other) is False and (one != other) is True


@pytest.mark.parametrize("holder", [Point, Function])
def test_depth_is_no_limit(holder):
    for nest in (Point, Function, Mutable, lambda x: [x], lambda x: (1, x), lambda x: {"a": x}, lambda x: [Point(x)]):
        one, same, other = (functools.reduce(lambda inner, _: nest(inner), range(5000), x) for x in (1, 1, 2))
        assert (holder(one) == holder(same)) is True
        assert (holder(one) == holder(other)) is False


# Inside a trace


def both(a, b):
    same, different = a == b, a != b
    for result in (same, different):
        assert isinstance(result, jax.core.Tracer)
        assert (result.shape, result.dtype) == ((), bool)
    return same, different


SIDES = {
    "both traced": lambda a, b: jax.jit(both)(a, b),
    "the first traced": lambda a, b: jax.jit(lambda traced: both(traced, b))(a),
    "the second traced": lambda a, b: jax.jit(lambda traced: both(a, traced))(b),
}


@pytest.mark.parametrize("compare", SIDES.values(), ids=SIDES.keys())
@pytest.mark.parametrize(
    ("make", "value", "other"),
    [
        (Point, ones(3), jnp.array([1, 1, 0], jnp.float32)),
        (Point, np.ones(3, np.float32), np.zeros(3, np.float32)),
        (Point, 1.0, 2.0),
        (Point, 1, 2),
        (Point, jax.random.key(0), jax.random.key(1)),
        (lambda x: Pair(Point(x), 1), ones(2), 0 * ones(2)),
        (lambda x: Point([1.0, {"a": x, "b": ones(2)}]), ones(2), 0 * ones(2)),
        (lambda x: Point([Pair(1, x)]), ones(2), 0 * ones(2)),
        (Decorated, ones(3), 0 * ones(3)),
        (lambda x: Decorated([Decorated(x)]), ones(3), 0 * ones(3)),
    ],
)
def test_equality_is_a_traced_boolean_also_where_one_side_is_concrete(make, value, other, compare):
    assert tuple(map(bool, compare(make(value), make(value)))) == (True, False)
    assert tuple(map(bool, compare(make(value), make(other)))) == (False, True)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda x: Pair(x, name="a"), lambda x: Pair(x, name="b")),
        (Point, lambda x: Point(x[:2])),
        (lambda x: Pair(x, {1: 1, "a": 2}), lambda x: Pair(x, {1: 1, "a": 3})),
        (lambda x: Pair({1: x, "a": 2}, 1), lambda x: Pair({1: x, "a": 2}, 2)),
        (Point, lambda x: Point(x.astype(jnp.int32))),
        (lambda x: Pair(x, 1), lambda x: Pair(x, "a")),
        (lambda x: Pair(x, None), lambda x: Pair(x, 1.0)),
        (lambda x: Pair(x, []), lambda x: Pair(x, ())),
        (lambda x: Point([x, x]), lambda x: Point([x])),
        (lambda x: Point(Point(x)), lambda x: Point(Lazy(x))),
        (lambda x: Pair(1, x), lambda x: Pair(1, [x])),
        (lambda x: Pair(1, [x]), lambda x: Pair(1, [[x]])),
        (lambda x: Pair(1, Point(x)), lambda x: Pair(1, Point([x]))),
        (lambda x: Point([Pair(1, x)]), lambda x: Point([Pair(1, [x])])),
        (Decorated, lambda x: Decorated(x[:2])),
        (Decorated, lambda x: Decorated(1)),
        (lambda x: Decorated(x, "a"), lambda x: Decorated(x, "b")),
    ],
)
def test_an_answer_known_inside_a_trace_is_an_array_that_can_be_negated(one, other):
    def compare(x):
        a, b = one(x), other(x)
        return ~(a == b), jnp.logical_or(a == b, False), a != b, ~(a == one(x))

    assert [*map(bool, jax.jit(compare)(ones(3)))] == [True, False, True, False]
    # The same pair outside a trace.
    assert (one(ones(3)) == other(ones(3))) is False


def test_equality_traces_under_grad_vmap_and_scan():
    stacked, one = Point(jnp.array([1.0, 2.0], jnp.float32)), Point(jnp.float32(1))
    assert jax.vmap(lambda a: a == one)(stacked).tolist() == [True, False]
    assert jax.vmap(lambda a: a != one)(stacked).tolist() == [False, True]
    scanned = jax.lax.scan(lambda carry, item: (carry, jnp.where(item == carry, 1, 0)), one, stacked)
    assert scanned[1].tolist() == [1, 0]
    assert jax.grad(lambda a: jnp.where(a == Point(3.0), a.x**2, 0.0))(Point(3.0)).x == 6


def test_what_is_concrete_stays_so_inside_a_trace():
    key = jax.random.key(0)
    assert bool(jax.jit(lambda x: (Point(key) == Point(key)) & (Pair(x, key) == Pair(x, key)))(1))
    assert bool(jax.jit(lambda a, b: a == b)(Point(ones(0, 2)), Point(ones(0, 2))))


# What a class says


def test_fields_that_do_not_compare_are_left_out():
    assert (Skipping(1, "a", "b") == Skipping(1, "c", "d")) is True
    assert (Skipping(1, ones(3)) == Skipping(1, 0 * ones(3))) is True
    assert (Skipping(1, "a") != Skipping(2, "a")) is True
    assert Point(Skipping(1, "a")) == Point(Skipping(1, "b"))
    assert Point([Skipping(1, "a")]) == Point([Skipping(1, "b")])
    assert jax.tree.structure(Skipping(1, "", "a")) != jax.tree.structure(Skipping(1, "", "b"))


def test_an_equality_of_the_users_is_used_also_for_unequal_inside_trees_and_subclasses():
    for a, b in (
        (Rounded(1.1), Rounded(0.9)),
        (Rounded(1.1), RoundedChild(0.9)),
        (RoundedChild(1.1, 1), RoundedChild(0.9, 2)),
        (Rounded(1.1), 1),
        (1, Rounded(1.1)),
        (Point(Rounded(1.1)), Point(Rounded(0.9))),
        (Point([Rounded(1.1)]), Point([Rounded(0.9)])),
    ):
        assert a == b
        assert (a != b) is False
    assert Rounded(1.1) != Rounded(2.0)


def test_without_eq_objects_are_compared_and_hashed_by_identity():
    a = ByIdentity(ones(3))
    assert a == a and a != ByIdentity(a.x)
    assert hash(a) == object.__hash__(a)
    assert len({a, ByIdentity(a.x)}) == 2
    child = ByIdentityChild(1)
    assert child != ByIdentityChild(1) and hash(child) == object.__hash__(child)
    assert ByValueChild(1) == ByValueChild(1) and hash(ByValueChild(1)) == hash(ByValueChild(1))


def test_mutable_structs_compare_by_value_and_have_no_hash():
    assert Mutable(1) == Mutable(1) and Mutable(1) != Mutable(2)
    with pytest.raises(TypeError, match="unhashable type: 'Mutable'"):
        hash(Mutable(1))


def test_order_compares_the_fields_as_tuples_do():
    versions = [Version(2), Version(1, 5), Version(1, 2)]
    assert sorted(versions) == [Version(1, 2), Version(1, 5), Version(2)]
    assert Version(1) < Version(1, 1) <= Version(1, 1) < Version(2)
    assert Version(2) > Version(1, 9) >= Version(1, 9)
    assert Version(1, note="a") <= Version(1, note="b") <= Version(1, note="a")
    assert not Version(1) < Version(1)
    with pytest.raises(TypeError, match="'<' not supported between instances of 'Version' and 'Point'"):
        Version(1) < Point(1)
    with pytest.raises(TypeError, match="'<' not supported between instances of 'Point' and 'Point'"):
        Point(1) < Point(2)


class Always(Struct):
    x: Any

    def __eq__(self, other):
        return True


@pytest.mark.parametrize(
    ("make", "equal"),
    [
        (lambda x: Point(ByIdentity(x)), False),
        (lambda x: Decorated(Always(x)), True),
        (lambda x: Decorated((ByIdentity(x),)), False),
    ],
)
def test_an_answer_inside_a_trace_is_traced_whatever_inner_classes_say_of_equality(make, equal):
    def negated(x):
        return ~(make(x) == make(x))

    assert bool(jax.jit(negated)(1.0)) is not equal


class Careless(Struct):
    x: Any

    def __eq__(self, other):
        raise KeyError("mine")


@pytest.mark.parametrize("make", [Point, lambda x: Point([x]), lambda x: Point({"a": (x,)})])
def test_what_the_equality_of_an_inner_class_raises_is_seen(make):
    with pytest.raises(KeyError, match="mine"):
        make(Careless(1)) == make(Careless(1))
    with pytest.raises(RuntimeError, match="no comparison"):
        make(Raising()) == make(Raising())


def test_an_undecorated_child_of_a_decorated_class_is_compared_inside_a_trace_too():
    class Child(Decorated):
        pass

    assert bool(jax.jit(lambda x, y: Point(Child(x)) == Point(Child(y)))(1.0, 1.0))


@pytest.mark.parametrize("hold", [Point, Decorated])
def test_where_jax_does_not_say_whether_it_traces_tracers_are_looked_for(hold, monkeypatch):
    monkeypatch.setattr(compare, "untraced", lambda: False)
    assert (hold([1, ones(2)]) == hold([2, ones(2)])) is False
    assert bool(jax.jit(lambda x: ~(hold([1, x]) == hold([2, x])))(ones(2)))
