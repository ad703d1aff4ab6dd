"""`diff` of values: how many elements differ and by how much, for every kind of leaf."""

import socket
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as arrays

from structkit import diff
from tests.models import Point, run_python, shown

NAN, INF = float("nan"), float("inf")
FLOATS = [
    "float32", "bfloat16", "float16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3b11fnuz", "float4_e2m1fn",
]  # fmt: skip
INTEGERS = ["int8", "uint8", "int16", "uint32", "int4", "uint4"]


def value(a, b):
    """The one difference of two leaves, which is one of values."""
    (found,) = diff(Point(a), Point(b))
    assert (found.path, found.kind, found.retraces) == (".x", "value", False)
    assert found.a is a and found.b is b
    return found


def text(a, b):
    return str(value(a, b)).removeprefix(".x: value: ")


EQUAL = [
    (NAN, float("nan")),
    (jnp.array([1, NAN]), jnp.array([1, NAN])),
    (jnp.array([complex(NAN, 1)]), jnp.array([complex(1, NAN)])),
    (0.0, -0.0),
    (jnp.array([0.0, -0.0]), jnp.array([-0.0, 0.0])),
    (INF, INF),
    (jnp.array([INF, -INF]), jnp.array([INF, -INF])),
    (jnp.zeros((0, 3)), jnp.zeros((0, 3))),
    (2**70, 2**70),
    (np.zeros(3, jax.dtypes.float0), np.zeros(3, jax.dtypes.float0)),
    (np.array(["a", "b"]), np.array(["a", "b"])),
    (np.array(["NaT", "2020"], "M8[Y]"), np.array(["NaT", "2020"], "M8[Y]")),
    (np.array([1, "b", None], object), np.array([1, "b", None], object)),
]


@pytest.mark.parametrize("a, b", EQUAL, ids=shown)
def test_equal_values_do_not_differ_nan_and_zeros_of_both_signs_among_them(a, b):
    assert not diff(a, b)


NUMBERS = [
    (1, 3, "1 against 3 (by 2, relative: 0.6667)"),
    (3.0, 0.0, "3.0 against 0.0 (by 3, relative: inf)"),
    (True, False, "True against False (by 1, relative: inf)"),
    (1j, 2j, "1j against 2j (by 1, relative: 0.5)"),
    (NAN, 1.0, "nan against 1.0"),
    (INF, 1.0, "inf against 1.0 (by inf, relative: inf)"),
    (INF, -INF, "inf against -inf (by inf, relative: inf)"),
    (2**70, 2**70 + 1, "1180591620717411303424 against 1180591620717411303425 (by 1, relative: 8.47e-22)"),
    (0, 10**400, f"0 against 1{'0' * 56}... (by 1{'0' * 56}..., relative: 1)"),
    (jnp.array(0.1), jnp.array(0.2), "0.1 against 0.2 (by 0.1, relative: 0.5)"),
    (jnp.bfloat16(1), jnp.bfloat16(2), "1 against 2 (by 1, relative: 0.5)"),
    (jnp.int32(5), np.int32(6), "5 against 6 (by 1, relative: 0.1667)"),
]


@pytest.mark.parametrize("a, b, expected", NUMBERS, ids=shown)
def test_numbers_are_shown_with_their_distance(a, b, expected):
    assert text(a, b) == expected


ARRAYS = [
    (
        jnp.zeros(4),
        jnp.array([0, 0.5, -2, 0]),
        (2, 4, 2.0, 1.0, 0),
        "2 of 4 elements differ, by 2 at most (relative: 1)",
    ),
    (
        jnp.array([1, NAN, NAN]),
        jnp.array([3, NAN, 2.0]),
        (2, 3, 2.0, 2 / 3, 1),
        "2 of 3 elements differ, 1 of them NaN in one only, by 2 at most (relative: 0.6667)",
    ),
    (jnp.array([1, NAN]), jnp.ones(2), (1, 2, NAN, NAN, 1), "1 of 2 elements differ, 1 of them NaN in one only"),
    (
        jnp.array([INF, -INF, 1]),
        jnp.array([-INF, -INF, 2]),
        (2, 3, INF, INF, 0),
        "2 of 3 elements differ, by inf at most (relative: inf)",
    ),
    (
        jnp.array([1j, 2]),
        jnp.array([1j, 4]),
        (1, 2, 2.0, 0.5, 0),
        "1 of 2 elements differ, by 2 at most (relative: 0.5)",
    ),
    (
        np.array([True, False]),
        np.array([True, True]),
        (1, 2, 1.0, 1.0, 0),
        "1 of 2 elements differ, by 1 at most (relative: 1)",
    ),
    (
        np.array([2**62, 1]),
        np.array([2**62 + 1, 1]),
        (1, 2, 1.0, 2.0**-62, 0),
        "1 of 2 elements differ, by 1 at most (relative: 2.168e-19)",
    ),
    (
        np.array([-(2**63)]),
        np.array([2**63 - 1]),
        (1, 1, 2.0**64, 2.0, 0),
        "1 of 1 elements differ, by 1.845e+19 at most (relative: 2)",
    ),
    (
        np.array([2**63 + 1], np.uint64),
        np.array([2**63], np.uint64),
        (1, 1, 1.0, 2.0**-63, 0),
        "1 of 1 elements differ, by 1 at most (relative: 1.084e-19)",
    ),
    (np.array(["a", "b"]), np.array(["a", "c"]), (1, 2, None, None, 0), "1 of 2 elements differ"),
    (
        np.array([1, "b", np.ones(2)], object),
        np.array([1, "c", np.ones(2)], object),
        (2, 3, None, None, 0),
        "2 of 3 elements differ",
    ),
    (np.array(["2020"], "M8[Y]"), np.array(["2021"], "M8[Y]"), (1, 1, None, None, 0), "1 of 1 elements differ"),
    (
        np.array([(1, 2.0)], "i4,f4"),
        np.array([(1, 3.0)], "i4,f4"),
        (1, 1, None, None, 0),
        "1 of 1 elements differ",
    ),
]


@pytest.mark.parametrize("a, b, numbers, expected", ARRAYS, ids=shown)
def test_arrays_are_told_by_how_many_elements_differ_and_by_how_much(a, b, numbers, expected):
    found = value(a, b)
    shown = found.unequal, found.size, found.absolute, found.relative, found.nans
    # NaN, too.
    assert repr(shown) == repr(numbers)
    assert text(a, b) == expected


@pytest.mark.parametrize("dtype", FLOATS + INTEGERS)
@pytest.mark.parametrize("module", [jnp, np])
def test_dtypes_of_every_kind_have_values_and_distances(dtype, module):
    a, b = [module.asarray(np.array(values), getattr(jnp, dtype)) for values in ([1, 2], [1, 1])]
    found = value(a, b)
    assert (found.unequal, found.size, found.absolute, found.relative) == (1, 2, 1.0, 1.0)
    assert not diff(a, module.asarray(a))


def test_values_of_unlike_dtypes_are_compared_as_numbers():
    a, b = np.array([1.0, 2.0]).astype(jnp.float8_e4m3fn), np.array([1.0, 3.0]).astype(jnp.float8_e5m2)
    kinds = [(found.kind, found.unequal, found.absolute) for found in diff(a, b)]
    assert kinds == [("dtype", 0, None), ("value", 1, 1.0)]
    assert [found.kind for found in diff(np.array([1, 2]), np.array([True, True]))] == ["dtype", "value"]
    assert [found.kind for found in diff(jnp.ones(2), jnp.ones(2, jnp.int32))] == ["dtype"]
    # Too large for a floating number.
    assert [(found.kind, found.absolute) for found in diff(1.5, 10**400)] == [("dtype", None), ("value", INF)]


def test_random_keys_are_compared_by_their_data_and_count_as_one_element_each():
    assert text(jax.random.key(0), jax.random.key(1)) == "1 of 1 elements differ"
    keys = jax.random.split(jax.random.key(0), (2, 3))
    found = value(keys, keys.at[1].set(jax.random.key(7)))
    assert (found.unequal, found.size, found.absolute) == (3, 6, None)
    assert not diff(keys, jax.random.split(jax.random.key(0), (2, 3)))


def test_deleted_arrays_differ_and_keep_their_form():
    deleted, other, key = jnp.ones(3), jnp.ones(3), jax.random.key(0)
    for array in (deleted, other):
        array.delete()
    jax.random.key_data(key).delete()
    for a, b in ((deleted, jnp.ones(3)), (jnp.ones(3), deleted), (deleted, other), (key, jax.random.key(0))):
        assert text(a, b) == "not compared: deleted"
    assert [found.kind for found in diff(deleted, jnp.ones(4))] == ["shape"]


def test_a_donated_state_is_told_from_the_new_one():
    state = Point(jnp.ones(3))
    new = jax.jit(lambda state: jax.tree.map(jnp.negative, state), donate_argnums=0)(state)
    assert [str(found) for found in diff(state, new)] == [".x: value: not compared: deleted"]


FINITE = arrays.arrays(np.float64, 5, elements=st.floats(-1e300, 1e300))


@given(FINITE, FINITE)
def test_the_numbers_are_those_of_numpy(a, b):
    found = diff(a, b)
    if np.array_equal(a, b):
        assert not found
        return
    (one,) = found
    with np.errstate(all="ignore"):
        distance = np.abs(a - b)
        relative = distance[a != b] / np.abs(b[a != b])
    assert (one.unequal, one.size, one.nans) == (np.count_nonzero(a != b), 5, 0)
    assert (one.absolute, one.relative) == (distance.max(), relative.max())


_PROGRAM = """
import jax, numpy as np
jax.config.update("jax_cpu_collectives_implementation", "gloo")
jax.distributed.initialize(ADDRESS, 2, PROCESS)
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P
from structkit import diff

mesh = Mesh(np.array(jax.devices()), ("x",))

def put(values, *spec):
    values = np.asarray(values, np.float32)
    return jax.make_array_from_callback(values.shape, NamedSharding(mesh, P(*spec)), lambda index: values[index])

def keys(seed):
    return jax.jit(lambda: jax.random.split(jax.random.key(seed), 4), out_shardings=NamedSharding(mesh, P("x")))()

split = put([0, 1, 2, 3], "x")
print(*diff(split, put([0, 1, 2, 5], "x")), "|", *diff(put([1]), put([2])), "|", diff(split, put([0, 1, 2, 3], "x")))
print(*[str(found) for found in diff(split, put([0, 1, 2, 3])) if found.kind == "value"])
print(*diff(keys(0), keys(1)), "|", diff(keys(0), keys(0)))
"""


def test_of_arrays_on_several_processes_each_compares_its_own_part():
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"

    def run(i):
        return run_python(f"ADDRESS, PROCESS = {address!r}, {i}\n{_PROGRAM}").splitlines()

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(run, range(2))
    all_differ = "the tree: value: 1 of 1 elements differ, by 1 at most (relative: 0.5)"
    rest = [
        "the tree: value: not compared: on other processes",
        "the tree: value: 2 of 2 elements differ | no differences",
    ]
    assert first == [f"| {all_differ} | no differences", *rest]
    half = "the tree: value: 1 of 2 elements differ, by 2 at most (relative: 0.4)"
    assert second == [f"{half} | {all_differ} | no differences", *rest]
