"""Damaged files: each one is an error of this library, none a crash, and none takes memory beyond its size."""

import json
import random
import struct
import tracemalloc

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from structkit import state
from structkit.errors import StateError
from structkit.state import _checksums
from structkit.state._header import FORMAT, Layout
from structkit.state._schema import Schema
from tests.models import shown
from tests.state.trees import Layer, net

TREE = {"net": net(), "more": [np.arange(1000), 7, "text", None, jnp.ones((2, 0)), jnp.ones(5, "int4")], 3.5: 1}
TREE = {key: leaf for key, leaf in TREE.items() if type(key) is str}
SEEDS = range(300)
SHARDING = jax.sharding.SingleDeviceSharding(jax.devices()[0])


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    file = tmp_path_factory.mktemp("whole") / "tree"
    state.save(file, TREE)
    return file.read_bytes()


def parts(data: bytes) -> tuple[bytes, bytes]:
    """The header and what follows it."""
    (length,) = struct.unpack("<Q", data[:8])
    return data[8 : 8 + length], data[8 + length :]


def sealed(header: bytes, data: bytes) -> bytes:
    """A file with this header, its checksum made right, so that what reads it is reached."""
    checksum = _checksums.best()
    begin = header.find(b'"header":"') + len(b'"header":"')
    length = struct.pack("<Q", len(header))
    zeroed = header[:begin] + b"0" * checksum.width + header[begin + checksum.width :]
    right = checksum.of(length + zeroed).encode()
    return length + header[:begin] + right + header[begin + checksum.width :] + data


def flipped(data: bytes, random: random.Random, low: int = 0, high: int | None = None) -> bytes:
    found = bytearray(data)
    for _ in range(random.choice([1, 1, 2, 8])):
        found[random.randrange(low, high or len(data))] ^= 1 << random.randrange(8)
    return bytes(found)


def flip_header(data, random):
    return flipped(data, random, 0, 8 + len(parts(data)[0]))


def flip_data(data, random):
    return flipped(data, random, 8 + len(parts(data)[0]))


def flip_sealed_header(data, random):
    header, rest = parts(data)
    return sealed(flipped(header, random), rest)


def cut(data, random):
    return data[: random.randrange(len(data))]


def cut_and_sealed(data, random):
    header, rest = parts(data)
    return sealed(header, rest[: random.randrange(len(rest))])


def longer(data, random):
    return data + random.randbytes(random.randrange(1, 200))


def wrong_length(data, random):
    length = random.choice([0, 1, 2, 3, 2**63 - 1, 2**64 - 1, 10**8, 10**8 + 1, len(data), len(data) - 8])
    return struct.pack("<Q", length) + data[8:]


def noise(data, random):
    return random.randbytes(random.randrange(200))


def edited(edit):
    """Damage to the schema and the entries, in a header that is well-formed and sealed."""

    def damage(data, random):
        header, rest = parts(data)
        found = json.loads(header)
        schema = json.loads(found["__metadata__"]["schema"])
        edit(found, schema, random)
        found["__metadata__"]["schema"] = json.dumps(schema, separators=(",", ":"))
        return sealed(json.dumps(found, separators=(",", ":")).encode(), rest)

    return damage


HUGE = [-1, 2**31, 2**63, 2**64, 10**30, 1.5, None, "3", [], True]


def entry(found, random):
    return found[random.choice([name for name in found if name != "__metadata__"])]


def edit_offsets(found, schema, random):
    place = entry(found, random)["data_offsets"]
    place[random.randrange(2)] = random.choice([*HUGE, 0, 8])


def edit_shape(found, schema, random):
    leaf = random.choice(schema["leaves"])
    leaf[2] = [random.choice(HUGE) for _ in range(random.randrange(4))] or [2**40, 2**40]


def edit_leaf(found, schema, random):
    leaf = random.choice(schema["leaves"])
    values = [*HUGE, "jax", "key", "numpy", "python", "O", "object", "V8", "float0", "M8", "<U99999999999", "int", "x"]
    leaf[random.randrange(len(leaf))] = random.choice(values)


def edit_node(found, schema, random):
    node = random.choice(schema["nodes"])
    values = [*HUGE, "list", "dict", "none", "other", ["a"], {"a": 1}, "../../etc/passwd", "os:system"]
    node[random.randrange(len(node))] = random.choice(values)


def edit_tree(found, schema, random):
    tree = schema["tree"]
    place = random.randrange(len(tree))
    change = random.choice(["value", "less", "more", "all"])
    if change == "value":
        tree[place] = random.choice([*HUGE, 0, 1, 2, -2, 10**6])
    elif change == "less":
        del tree[place]
    else:
        tree[place : place + (change == "all") * len(tree)] = [random.choice([0, 1, 2, -1])] * random.choice([1, 5000])


def edit_static(found, schema, random):
    node = random.choice([node for node in schema["nodes"] if node[0] == "struct"])
    code = random.choice(
        [
            {"name": "os:system"},
            {"int": "9" * 5000},
            {"frozenset": [[]]},
            {"array": ["float64", [10**9], ""]},
            {"array": ["O", [1], "AAAAAAAAAAA="]},
            {"dataclass": ["builtins:int", []]},
            {"enum": ["builtins:int", ["real"]]},
            {"struct": ["os:system", [["a", 1]]]},
            {"named": ["builtins:tuple", [], []]},
            {"dtype": "O"},
            {"range": [0, 10**30, "a"]},
            {"tuple": 3},
            {"a": 1, "b": 2},
            [1],
            {"scalar": ["float64", "zz"]},
            {"float": "x"},
            {"unknown": 1},
        ]
    )
    node[3] = random.choice([3, [], {"name": code, "activation": code}])


def edit_keys(found, schema, random):
    names = [name for name in found if name != "__metadata__"]
    if random.random() < 0.5:
        found["../../" + random.choice(names)] = found.pop(random.choice(names))
    else:
        del found[random.choice(names)]


def edit_metadata(found, schema, random):
    name = random.choice(["tensors", "structkit", "versions", "checksum"])
    found["__metadata__"][name] = random.choice(["", "9", "[]", "1" * 4000, "{" * 50_000, "é", '{"a":NaN}'])


def text_edit(*pairs):
    def damage(data, random):
        header, rest = parts(data)
        old, new = random.choice(pairs)
        assert old in header
        return sealed(header.replace(old, new, 1), rest)

    return damage


DAMAGES = {
    "bits of the header": flip_header,
    "bits of the data": flip_data,
    "bits of the header, sealed": flip_sealed_header,
    "cut": cut,
    "cut, sealed": cut_and_sealed,
    "longer": longer,
    "length": wrong_length,
    "noise": noise,
    "offsets": edited(edit_offsets),
    "shape": edited(edit_shape),
    "leaf": edited(edit_leaf),
    "node": edited(edit_node),
    "tree": edited(edit_tree),
    "static": edited(edit_static),
    "keys": edited(edit_keys),
    "metadata": edited(edit_metadata),
    "doubled keys": text_edit(
        (b',"[', b',"[\'more\'][1]":{"dtype":"I64","shape":[],"data_offsets":[0,8]},"['),
        (b'"dtype":', b'"dtype":"I64","dtype":'),
        (rb"{\"nodes\":", rb"{\"nodes\":[],\"nodes\":"),
        (b'"schema":', b'"schema":"","schema":'),
    ),
    "deep or odd JSON": text_edit(
        (rb"\"tree\":[", rb"\"tree\":" + b"[" * 5000),
        (rb"\"tree\":[", rb"\"tree\":[" + b"1" * 5000 + b","),
        (rb"\"tree\":[", rb"\"tree\":[NaN,"),
        (rb"\"tree\":[", rb"\"tree\":[Infinity,"),
        (b'"shape":[', b'"shape":[' + b"[" * 5000),
    ),
}


def error_of(file, target) -> StateError | None:
    try:
        state.load(file, target)
    except StateError as error:
        return error
    return None


@pytest.mark.parametrize("seed", SEEDS)
def test_a_damaged_file_is_an_error_of_this_library(whole, tmp_path, seed):
    seeded = random.Random(seed)
    name = [*DAMAGES][seed % len(DAMAGES)]
    data = DAMAGES[name](whole, seeded)
    if data == whole:
        return
    file = tmp_path / "damaged"
    file.write_bytes(data)
    target = [TREE, dict, {"net": TREE["net"]}][seeded.randrange(3)]
    tracemalloc.start()
    try:
        error = error_of(file, target)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # Flipped and sealed, the name of a version or of a class is another, and as good.
    assert error is not None or name == "bits of the header, sealed"
    assert error is None or str(error).startswith(f"{file}: ")
    # What is read is turned into objects of Python, which are larger than their text.
    assert most < 40 * len(data) + 2_000_000
    if name not in ("bits of the data", "static", "bits of the header, sealed"):
        with pytest.raises(StateError):
            state.inspect(file)


def test_a_file_of_safetensors_itself_is_told_from_a_damaged_one(tmp_path):
    numpy = pytest.importorskip("safetensors.numpy")
    numpy.save_file({"a": np.ones(3)}, tmp_path / "foreign")
    with pytest.raises(StateError) as caught:
        state.load(tmp_path / "foreign", {"a": np.ones(3)})
    assert str(caught.value) == (f"{tmp_path / 'foreign'}: is no file of structkit.state; read it with what wrote it")


def written(schema: Schema) -> bytes:
    """A file with this schema, whose checksums are right."""
    checksum = _checksums.best()
    layout = Layout(schema, schema.leaf_paths(), checksum, {})
    parts = [b"\xff" * stored.nbytes for stored in layout.storages]
    return layout.rendered("".join(map(checksum.of, parts))) + b"".join(parts)


IMPOSSIBLE = [
    ["jax", "<U1", [3]],
    ["jax", "<M8[s]", [2]],
    ["jax", "float0", [2**70]],
    ["jax", "float32", [0, 2**70]],
    ["weak", "<U1", []],
    ["numpy", "<U1", [3]],
    ["numpy", ">U1", [3]],
    ["key", "key<fry>", [3], "threefry2x32"],
    ["key", "key<fry>", [2], "no_such_thing"],
    ["python", "str", [2]],
]


@pytest.mark.parametrize(
    "leaf",
    [
        *(["jax", "|S3", []], ["weak", "<U3", []], ["jax", ">i4", [3]], ["jax", "float32", [], 1]),
        *(["jax", "float32", {}], ["scalar", "float32", [3]], ["python", "int", [], 1], ["key", "key<fry>", [2]]),
    ],
    ids=shown,
)
def test_a_kind_of_leaf_that_is_none_is_an_error(leaf):
    schema = {"structkit": {"format": FORMAT, "nodes": [], "leaves": [leaf], "tree": [-1]}}
    with pytest.raises(StateError, match=r"the schema makes no sense \(ValueError: a kind of leaf is damaged\)"):
        state.match(schema, 1)


@pytest.mark.parametrize("leaf", IMPOSSIBLE, ids=shown)
@pytest.mark.parametrize(
    "target", [list, [jax.ShapeDtypeStruct((3,), "float32", sharding=SHARDING)]], ids=["class", "sds"]
)
def test_a_leaf_that_cannot_be_made_is_an_error(tmp_path, leaf, target):
    file = tmp_path / "tree"
    file.write_bytes(written(Schema([["list", 1]], [leaf], [0, -1])))
    with pytest.raises(StateError, match=r"(cannot be made|does not fit|makes no sense)"):
        state.load(file, target)


# Instead of the static value of a `Layer`.
NO_VALUES = [
    [1],
    {},
    {"a": 1, "b": 2},
    {"unknown": 1},
    {"int": 3},
    {"float": "x"},
    {"complex": 3},
    {"bytes": "!"},
    {"range": [0, 1, 0]},
    {"tuple": 3},
    {"frozenset": [[]]},
    {"dict": [[1]]},
    {"array": ["float64", [10**9], ""]},
    {"array": ["<U1", [1], "/////w=="]},
    {"scalar": ["<U1", "ffffffff"]},
    {"scalar": ["float64", "zz"]},
    {"dtype": "<M8[99999999999999999999s]"},
    {"enum": ["tests.state.trees:Colour", 3]},
    {"named": ["tests.models:Coordinates", [1], [1]]},
    {"struct": ["tests.state.trees:Layer", [["w", []], ["b", 1], ["activation", 1]]]},
]


def static_schema(code) -> Schema:
    nodes = [["struct", "tests.state.trees:Layer", ["w", "b"], {"activation": code}], ["none"]]
    return Schema(nodes, [["python", "int", []]], [0, -1, 1])


@pytest.mark.parametrize("code", NO_VALUES, ids=shown)
def test_a_static_value_that_makes_no_sense_is_an_error(tmp_path, code):
    schema, file = static_schema(code), tmp_path / "tree"
    file.write_bytes(written(schema))
    for call in (lambda: state.load(file, Layer), lambda: matched(schema)):
        with pytest.raises(StateError, match=r"has a static value that makes no sense, \.activation \("):
            call()
    with pytest.raises(StateError, match=r"\.activation: static: .* was saved, the target has jax\.nn:relu"):
        state.load(file, Layer(1))
    assert str(state.inspect(file))


def matched(schema: Schema):
    return state.match({"structkit": {"format": 1, **schema._asdict()}}, Layer)


def test_a_static_value_that_no_struct_can_hold_is_an_error(tmp_path):
    schema, file = static_schema({"float": "nan"}), tmp_path / "tree"
    file.write_bytes(written(schema))
    told = "what no struct can( hold)?: static field Layer.activation cannot hold NaN"
    with pytest.raises(StateError, match=f"^{file}: holds {told}"):
        state.load(file, Layer)
    with pytest.raises(StateError, match=f"^match: the schema has {told}"):
        matched(schema)


@pytest.mark.parametrize("keys", [["a", 1], [None, 1], ["a", "a"]], ids=shown)
def test_keys_of_a_dict_that_have_no_order_or_stand_twice_are_an_error(tmp_path, keys):
    schema, file = Schema([["dict", keys]], [["python", "int", []]], [0, -1, -1]), tmp_path / "tree"
    file.write_bytes(written(schema))
    with pytest.raises(StateError, match="has a header that makes no sense"):
        state.load(file, dict)
    with pytest.raises(StateError, match="the schema makes no sense"):
        matched(schema)


def test_a_small_file_cannot_name_paths_without_end(whole, tmp_path):
    """Long keys, nested and repeated, would have paths of gigabytes."""

    def edit(found, schema, random):
        schema["nodes"] = [["other", "a:b", ["x" * 10_000]], ["other", "a:b", [""]], ["list", 100_000]]
        schema["tree"] = [0] * 1000 + [1] * 100_000 + [-1]

    file = tmp_path / "bomb"
    file.write_bytes(edited(edit)(whole, None))
    with pytest.raises(StateError, match="makes no sense"):
        state.load(file, dict)
