"""What goes into a file comes out of it, bit for bit, and safetensors can read it too."""

import collections
import os
import stat
import sys

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import SingleDeviceSharding

from structkit import Struct, state
from structkit.errors import StateError
from tests.models import Coordinates, Ring, run_python, shown
from tests.state.trees import DTYPES, JAX_DTYPES, Dropped, Layer, Loose, bits, net, same


@pytest.fixture
def file(tmp_path):
    return tmp_path / "tree.safetensors"


def there_and_back(file, tree, like=None):
    assert state.save(file, tree) == ()
    return state.load(file, tree if like is None else like)


def test_the_data_begins_where_an_array_of_any_dtype_may_lie(file):
    for size in range(8):
        state.save(file, {"x" * size: 1})
        assert (int.from_bytes(file.read_bytes()[:8], "little") + 8) % 64 == 0


def test_a_large_array_in_an_order_of_its_own_comes_back(file):
    # Each row is more than is written at a time, and ends in a piece that is small.
    array = np.arange(3 * 2_150_000, dtype="f4").reshape(-1, 3).T
    assert np.array_equal(there_and_back(file, [array])[0], array)


@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (5, 7)], ids=shown)
@pytest.mark.parametrize("dtype", DTYPES, ids=shown)
def test_every_dtype_comes_back_with_its_bits(file, dtype, shape):
    array = bits(dtype, shape)
    tree = {"numpy": array, "scalar": array[()] if not shape else 0}
    if dtype in JAX_DTYPES:
        with jax.enable_x64(True):
            tree["jax"] = jnp.asarray(array)
        assert tree["jax"].dtype == dtype
    for like in (tree, dict):
        assert same(there_and_back(file, tree, like), tree)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=">i4").reshape(2, 3),
        np.array(["a", "bcd"]),
        np.array([""]),
        np.array("bcd"),
        np.array("bcd", ">U4"),
        np.array([b"a", b"bcd"]),
        np.array(["2026-01-01", "NaT"], "M8[s]"),
        np.arange(3, dtype=np.longdouble),
        np.zeros((2, 3), jax.dtypes.float0),
        np.arange(24).reshape(2, 3, 4).transpose(2, 0, 1),
        np.arange(10)[::-2],
        np.broadcast_to(np.arange(3.0), (4, 3)),
    ],
    ids=lambda array: f"{array.dtype}{array.strides}",
)
def test_what_numpy_has_beyond_jax_comes_back(file, array):
    assert same(there_and_back(file, [array]), [array.copy()])
    assert there_and_back(file, [array])[0].dtype == array.dtype


def test_the_gradient_of_an_int_comes_back_as_an_array_of_numpy(file):
    gradient = jax.grad(lambda tree: tree["x"], allow_int=True)({"x": 1.0, "n": jnp.arange(3)})
    for like in (gradient, jax.eval_shape(lambda: gradient), dict):
        assert same(there_and_back(file, gradient, like)["n"], np.zeros(3, jax.dtypes.float0))


@pytest.mark.parametrize(
    "leaf",
    [True, 0, -1, 2**63 - 1, -(2**63), 2**63, -(2**70), 1.5, -0.0, float("inf"), 1 - 2j, "", "é\ud800\0", b"", b"\xff"],
    ids=shown,
)
def test_numbers_and_texts_of_python_come_back(file, leaf):
    for tree in (leaf, [leaf, leaf]):
        assert same(there_and_back(file, tree), tree)
    assert same(state.load(file, list), [leaf, leaf])


@pytest.mark.parametrize(
    "tree",
    [
        None,
        (),
        [],
        {},
        (None, [], {}, ((),)),
        [(1, 2), [1, 2]],
        {"a.b": 1, "": 2, "é": 3, "['x']": 4},
        {1: 1, -5: 2},
        {(1, "a"): 1, (2, "b"): 2},
        {True: 1, False: 2},
        Coordinates(1.0, (2, None)),
        jnp.ones(3),
        np.float32(1),
        jax.random.key(0),
        [jax.random.split(jax.random.key(0, impl="rbg"), (2, 3))],
        net(),
        Loose([1, jnp.ones(2)], 4),
        Dropped(Dropped(jnp.ones(2), n=5)),
        Struct,
    ],
    ids=shown,
)
def test_every_structure_comes_back(file, tree):
    if tree is Struct:
        tree = type("Empty", (Struct,), {})()
    assert same(there_and_back(file, tree), tree)


def test_what_a_file_can_say_is_made_of_a_class_too(file):
    for tree in (net(), Loose([1, (), None], 4), Dropped(jnp.ones(2), n=5), Coordinates(1, 2), {"a": (1, [])}):
        assert same(there_and_back(file, tree, type(tree)), tree)
    made = state.load(file, dict)
    assert type(made["a"]) is tuple


def test_nodes_of_other_libraries_come_back_in_the_target(file):
    tree = [Ring(jnp.ones(3), 4), collections.OrderedDict(b=1, a=2), collections.defaultdict(int, a=3)]
    found = there_and_back(file, tree)
    assert type(found[0]) is Ring
    assert found[0].size == 4
    assert same(found[0].x, jnp.ones(3))
    assert found[1:] == tree[1:]


def test_weak_types_of_numbers_are_kept(file):
    weak, strong = jnp.asarray(2.5), jnp.float32(2.5)
    assert weak.weak_type and not strong.weak_type
    tree = {"weak": weak, "strong": strong, "int": jnp.asarray(3), "complex": jnp.asarray(1j)}
    with jax.enable_x64(True):
        tree["wide"] = jnp.asarray(2.5)
    assert same(there_and_back(file, tree), tree)
    assert same(there_and_back(file, tree, jax.eval_shape(lambda: tree)), tree)
    place = SingleDeviceSharding(jax.devices()[0])
    laid = jax.tree.map(lambda x: jax.ShapeDtypeStruct((), x.dtype, sharding=place), tree)
    assert same(there_and_back(file, tree, laid), tree)


def leaves():
    shapes = st.lists(st.integers(0, 4), max_size=3).map(tuple)
    arrays = st.builds(bits, st.sampled_from(DTYPES), shapes, st.integers(0, 9))
    on_device = st.builds(bits, st.sampled_from([d for d in JAX_DTYPES if d.itemsize <= 4]), shapes).map(jnp.asarray)
    return st.one_of(arrays, on_device, st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.none())


def nodes(inner):
    keys = st.one_of(st.dictionaries(st.text(), inner, max_size=3), st.dictionaries(st.integers(), inner, max_size=3))
    statics = st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.text(), st.floats(allow_nan=False), st.binary()),
        lambda static: st.lists(static, max_size=3).map(tuple),
        max_leaves=4,
    )
    return st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        keys,
        st.builds(Coordinates, inner, inner),
        st.builds(Layer, inner, inner, activation=statics),
        st.builds(Loose, inner, st.integers()),
        st.builds(Dropped, inner, n=st.integers()),
    )


@hypothesis.settings(max_examples=150, deadline=None, derandomize=True, database=None)
@hypothesis.given(tree=st.recursive(leaves(), nodes, max_leaves=12))
def test_any_tree_comes_back(tmp_path_factory, tree):
    file = tmp_path_factory.getbasetemp() / "any.safetensors"
    assert same(there_and_back(file, tree), tree)
    names = [jax.tree_util.keystr(path) or "root" for path, _ in jax.tree_util.tree_leaves_with_path(tree)]
    assert [entry.path for entry in state.inspect(file).entries] == names
    if isinstance(tree, (list, tuple, dict, Layer, Loose, Dropped)):
        assert same(state.load(file, type(tree)), tree)


def test_safetensors_reads_the_file(file):
    safetensors = pytest.importorskip("safetensors.numpy")
    native = {name: bits(np.dtype(name), (2, 3)) for name in ("bool", "int8", "uint16", "int64", "float32", "float64")}
    native["bfloat16"] = jnp.ones((2, 3), jnp.bfloat16)
    foreign = [jnp.ones((2, 3), jnp.float8_e4m3fn), jnp.ones((2, 3), jnp.int4), np.ones((2, 3), np.complex128)]
    state.save(file, (native, foreign, 7, {"__metadata__": 1.5, 'a"\\\né': jnp.zeros((0, 2))}))
    found = safetensors.load_file(file)
    for name, array in native.items():
        assert same(found[f"[0][{name!r}]"], np.asarray(array))
    assert [found[f"[1][{i}]"].shape for i in range(3)] == [(2, 3), (3,), (2, 3, 16)]
    assert all(found[f"[1][{i}]"].dtype == np.uint8 for i in range(3))
    assert found["[2]"] == 7 and found["[3]['__metadata__']"] == 1.5
    assert found["""[3]['a"\\\\\\né']"""].shape == (0, 2)
    state.save(file, jnp.ones(3))
    assert [*safetensors.load_file(file)] == ["root"]


def test_large_leaves_come_back_from_every_kind_of_memory(file):
    n = 300_000
    tree = {
        "jax": jnp.arange(n, dtype=jnp.float32),
        "numpy": np.arange(n),
        "transposed": np.arange(n).reshape(3, -1).T,
        "four bits": jnp.arange(n, dtype=jnp.int32).astype(jnp.int4),
        "four bits in rows": np.arange(2 * n).reshape(-1, 3).astype(jnp.int4),
        "keys": jax.random.split(jax.random.key(0), 20_000),
        "text": "é" * n,
        "bytes": bytes(n),
        "number": 7**4000,
        "complex": np.ones(n, np.complex128),
    }
    assert same(there_and_back(file, tree), tree)


def test_a_loaded_array_can_be_donated_and_a_numpy_array_written_to(file):
    tree = {"jax": jnp.ones(100_000), "numpy": np.ones(100_000), "small": np.ones(3)}
    found = there_and_back(file, tree)
    jax.jit(lambda x: x + 1, donate_argnums=0)(found["jax"]).block_until_ready()
    assert found["jax"].is_deleted()
    found["numpy"] += 1
    found["small"] += 1
    assert same(state.load(file, tree), tree)


def test_many_small_arrays_of_one_kind_come_back(file):
    count = 5000
    tree = [jnp.asarray(row) for row in np.arange(count * 2, dtype=np.float32).reshape(count, 2).view(np.int32)]
    assert same(there_and_back(file, tree), tree)


@pytest.mark.parametrize("option", [jax.debug_nans, jax.debug_infs, jax.disable_jit])
def test_options_for_debugging_do_not_get_in_the_way(file, option):
    number = float("inf") if option is jax.debug_infs else float("nan")
    tree = [jnp.asarray(number), jnp.full(100_000, np.float32(number)), *[jnp.full(2, np.float32(number))] * 5000]
    with option(True):
        found = there_and_back(file, tree)
    assert same(found, tree)


def test_the_mode_is_that_of_the_umask_and_nothing_is_left_beside_the_file(file):
    before = os.umask(0o027)
    try:
        state.save(file, 1)
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert os.listdir(file.parent) == [file.name]


def test_progress_is_told_to_the_end(file):
    tree = [np.zeros(3_000_000), jnp.ones(3)]
    seen = {"save": [], "load": []}
    state.save(file, tree, progress=lambda *told: seen["save"].append(told))
    state.load(file, tree, progress=lambda *told: seen["load"].append(told))
    for told in seen.values():
        assert len(told) > 2
        assert told == sorted(told)
        assert told[-1] == (24_000_012, 24_000_012)
    state.save(file, None, progress=lambda *told: seen["save"].append(told))
    assert seen["save"][-1] == (0, 0)


def test_a_deep_tree_comes_back_or_is_refused_in_words(file):
    tree = jnp.ones(3)
    for _ in range(300):
        tree = Layer([tree])
    assert same(there_and_back(file, tree), tree)
    for _ in range(3000):
        tree = [tree]
    with pytest.raises(StateError, match="is nested too deeply"):
        state.save(file, tree)


def test_shards_are_written_in_the_order_of_the_whole_and_read_to_their_devices():
    run_python(
        """
        import tempfile, jax, jax.numpy as jnp, numpy as np
        from jax.sharding import NamedSharding, PartitionSpec as P
        from structkit import state
        jax.config.update("jax_num_cpu_devices", 8)
        mesh = jax.make_mesh((2, 4), ("x", "y"))
        file = tempfile.mkdtemp() + "/sharded"
        whole = np.arange(8 * 12 * 4096, dtype=np.float32).reshape(8, 12, 4096)
        specs = [P(), P("x"), P("y"), P(None, "y"), P("y", "x"), P(("x", "y")), P("x", None, "y")]
        tree = [jax.device_put(whole, NamedSharding(mesh, spec)) for spec in specs]
        others = (whole[:, 0, :2], jax.random.split(jax.random.key(0), 8))
        tree += [jax.device_put(leaf, NamedSharding(mesh, P("x"))) for leaf in others]
        state.save(file, tree)
        hosts = state.load(file, [np.empty(leaf.shape, leaf.dtype) for leaf in tree[:-1]] + tree[-1:])
        assert all(np.array_equal(host, whole) for host in hosts[:7])
        abstract = [jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding) for leaf in tree]
        for like in (tree, abstract):
            found = state.load(file, like)
            assert [leaf.sharding for leaf in found] == [leaf.sharding for leaf in tree]
            assert all(np.array_equal(leaf, whole) for leaf in found[:7])
            assert np.array_equal(found[7], whole[:, 0, :2])
            assert np.array_equal(*map(jax.random.key_data, (found[8], tree[8])))
        """,
    )


@pytest.mark.parametrize("there", [True, False])
def test_checksums_are_xxh3_where_its_package_is_there_and_its_absence_is_told(file, monkeypatch, there):
    if there:
        pytest.importorskip("xxhash")
    else:
        monkeypatch.setitem(sys.modules, "xxhash", None)
    tree = [1, np.zeros(100_000)]
    assert same(there_and_back(file, tree), tree)
    assert state.inspect(file).checksum == ("xxh3" if there else "crc32")
    monkeypatch.setitem(sys.modules, "xxhash", None)
    if not there:
        assert same(state.load(file, tree), tree)
        return
    with pytest.raises(StateError) as caught:
        state.load(file, tree)
    assert str(caught.value) == (
        f"{file}: has checksums by xxh3, whose package xxhash is not here; pip install 'structkit-jax[state]'"
    )
