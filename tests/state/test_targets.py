"""What a file is loaded into: trees, abstract trees, classes and those that changed since; and what does not fit."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import SingleDeviceSharding

from structkit import Struct, derived, field, state, static, struct
from structkit.errors import StateError
from tests.models import Box, Coordinates, Ring, shown
from tests.state.trees import Config, Layer, Loose, Net, Renamed, net, same


@pytest.fixture
def file(tmp_path):
    return tmp_path / "tree"


def loaded(file, tree, like, strict=True):
    state.save(file, tree)
    return state.load(file, like, strict)


def differences(file, tree, like):
    """The differences as (path, kind), which an error has and `strict=False` gives back."""
    state.save(file, tree)
    with pytest.raises(StateError) as caught:
        state.load(file, like)
    found = caught.value.differences
    assert state.load(file, like, strict=False)[1] == found
    assert all(str(difference) in str(caught.value) for difference in found)
    assert str(caught.value).startswith(f"{file}: does not fit the target")
    return [(difference.path, difference.kind) for difference in found]


def test_the_result_of_eval_shape_is_filled(file):
    # Of the array of numpy with 64 bits JAX tells the dtype that it would have in JAX.
    tree = net()
    assert same(loaded(file, tree, jax.eval_shape(lambda: tree)), tree)
    assert differences(file, [np.ones(3)], [jnp.ones(3)]) == [("[0]", "dtype")]


def test_arrays_that_were_donated_are_filled_again(file):
    like = {"x": jnp.ones(3)}
    state.save(file, like)
    like["x"].delete()
    assert same(state.load(file, like), {"x": jnp.ones(3)})


@pytest.mark.parametrize("shape", [(3,), (100_000,)])
def test_a_sharding_of_the_target_is_obeyed_and_without_one_an_array_is_not_committed(file, shape):
    device = jax.devices()[-1]
    sharding = SingleDeviceSharding(device)
    tree = [jnp.ones(shape), jax.random.key(0), np.ones(shape)]
    state.save(file, tree)
    abstract = [jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding) for leaf in tree]
    for like in (abstract, jax.device_put(tree[:2], device) + abstract[2:]):
        found = state.load(file, like)
        assert all(leaf.committed and leaf.sharding == sharding for leaf in found)
    assert not any(leaf.committed for leaf in state.load(file, tree[:2] + tree[2:])[:2])


def test_an_array_of_numpy_has_on_devices_the_dtype_of_the_target(file):
    sharding = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    state.save(file, [np.arange(4.0)])
    (found,) = state.load(file, [jax.ShapeDtypeStruct((4,), jnp.float32, sharding=sharding)])
    assert (found.dtype, found.sharding) == (jnp.float32, sharding)


def test_transfers_are_meant_where_others_are_forbidden(file):
    tree = [jnp.asarray(1.5), jax.random.key(1), jnp.ones(9, jnp.int4), [jnp.ones(2) for _ in range(5000)]]
    with jax.transfer_guard("disallow"):
        state.save(file, tree)
        found = state.load(file, tree)
    assert same(found, tree)


def test_numpy_stays_numpy_where_the_target_or_the_file_says_so(file):
    array, scalar, on_device, number = np.ones(3), np.float64(2), jnp.ones(3, "float32"), jnp.float32(2)
    abstract = jax.ShapeDtypeStruct((3,), np.float64)
    found = loaded(file, [array, scalar, scalar, array], [abstract, 0.0, np.zeros(()), abstract])
    assert [type(leaf) for leaf in found] == [np.ndarray, np.float64, np.ndarray, np.ndarray]
    found = loaded(file, [on_device, number, number], [array.astype("f4"), np.float32(0), np.zeros((), "f4")])
    assert [type(leaf) for leaf in found] == [np.ndarray, np.float32, np.ndarray]


@pytest.mark.parametrize(
    ("saved", "target"),
    [
        (7, jnp.int32(0)),
        (7, jnp.uint8(0)),
        (jnp.int32(7), 0),
        (np.int64(7), 0),
        (7, np.zeros((), int)),
        (2.5, jnp.bfloat16(0)),
        (jnp.float32(2.5), 0.0),
        (True, jnp.bool_(False)),
        (1j, jnp.complex64(0)),
        (jnp.asarray(2.5), jnp.float32(0)),
        (7, 10**30),
    ],
    ids=shown,
)
def test_a_number_and_an_array_without_axes_of_one_kind_fit_and_what_was_saved_comes_back(file, saved, target):
    for like in ([target], jax.eval_shape(lambda: [target]) if type(target) is not int else [target]):
        assert same(loaded(file, [saved], like), [saved])


@pytest.mark.parametrize(
    ("saved", "target", "kind"),
    [
        (7, jnp.float32(0), "dtype"),
        (7, True, "dtype"),
        (7, 7.0, "dtype"),
        (True, 1, "dtype"),
        (2.5, jnp.complex64(0), "dtype"),
        ("a", b"a", "dtype"),
        ("1", 1, "dtype"),
        (7, jnp.zeros(1, int), "shape"),
        (jnp.zeros((1, 1)), 0.0, "shape"),
        (jnp.zeros(3), jnp.zeros(4), "shape"),
        (jnp.zeros(3), jnp.zeros((3, 1)), "shape"),
        (jnp.zeros(3), jnp.zeros(3, int), "dtype"),
        (jnp.zeros(3), np.zeros(3), "dtype"),
        (jnp.zeros(2, "uint32"), jax.random.key(0), "dtype"),
        (jax.random.key(0), jax.random.key(0, impl="rbg"), "dtype"),
        (jax.random.key(0), jax.random.split(jax.random.key(0)), "shape"),
        (jax.random.key(0), 0, "dtype"),
        (jnp.zeros(3), object(), "dtype"),
        (jnp.zeros(3), [jnp.zeros(3)], "structure"),
        ([1], (1,), "structure"),
        ({"a": 1}, [1], "structure"),
        (Coordinates(1, 2), (1, 2), "structure"),
        (Loose(1), {"x": 1}, "structure"),
        (Ring(1, 2), {"x": 1}, "structure"),
        (None, 1, "missing"),
        (1, None, "unknown"),
        ((), None, "unknown"),
        (None, (), "missing"),
    ],
    ids=shown,
)
def test_what_does_not_fit_is_told_and_the_target_keeps_its_own(file, saved, target, kind):
    assert differences(file, [saved, 1], [target, 2]) == [("[0]", kind)]
    (kept, other), _ = state.load(file, [target, 2], strict=False)
    assert kept is target or same(kept, target)
    assert other == 1
    assert differences(file, saved, target) == [("", kind)]


def test_all_differences_are_told_at_once_with_their_paths(file):
    saved = {"a": Layer(jnp.ones(3), 1), "b": [1, 2, 3], "c": 1, "1": 0}
    target = {"a": Layer(jnp.ones(4), 1, activation=jax.nn.gelu), "b": [1], "d": 1, "1": 0.0}
    found = [
        ("['a'].w", "shape"),
        ("['a'].activation", "static"),
        ("['b'][1]", "unknown"),
        ("['b'][2]", "unknown"),
        ("['d']", "missing"),
        ("['1']", "dtype"),
        ("['c']", "unknown"),
    ]
    assert differences(file, saved, target) == found
    tree, _ = state.load(file, target, strict=False)
    assert same(tree, {**target, "b": [1]})
    with pytest.raises(StateError) as caught:
        state.load(file, target)
    assert str(caught.value) == (
        f"{file}: does not fit the target in 7 places:\n"
        "  ['a'].w: shape: float32[3] was saved, the target has float32[4]\n"
        "  ['a'].activation: static: jax.nn:relu was saved, the target has jax.nn:gelu\n"
        "  ['b'][1]: unknown: it was saved, and the target does not have it\n"
        "  ['b'][2]: unknown: it was saved, and the target does not have it\n"
        "  ['d']: missing: the target has it, and it was not saved\n"
        "  ['1']: dtype: a Python int was saved, the target has a Python float\n"
        "  ['c']: unknown: it was saved, and the target does not have it\n"
        "change the target, or take what fits with strict=False"
    )


def test_the_cure_for_a_field_that_is_missing_says_how_fields_may_change(file):
    class Kernel(Struct):
        kernel: Any
        b: Any = None
        activation: Any = static(default=jax.nn.relu)

    state.save(file, Layer(jnp.ones(3)))
    with pytest.raises(StateError) as caught:
        state.load(file, Kernel(jnp.ones(3)))
    assert str(caught.value) == (
        f"{file}: does not fit the target in 2 places:\n"
        "  .kernel: missing: the target has it, and it was not saved\n"
        "  .w: unknown: it was saved, and the target does not have it\n"
        "change the target, or take what fits with strict=False; a field that was renamed says "
        "aliases=('old_name',), an added one has a default"
    )


def test_a_tree_in_the_place_of_the_path_is_told():
    for call in (lambda: state.save(Layer(1), "file"), lambda: state.load(Layer(1), "file")):
        with pytest.raises(StateError) as caught:
            call()
        text = "the path: is a Layer, and no name of a file; pass the path first, as in state.save(path, tree)"
        assert str(caught.value) == text


def test_of_very_many_differences_the_first_are_shown_and_all_are_kept(file):
    state.save(file, [1] * 200)
    with pytest.raises(StateError, match=r"in 200 places:\n(.*\n){50}  and 150 more, in .differences\n") as caught:
        state.load(file, [1.0] * 200)
    assert len(caught.value.differences) == 200


def test_a_name_that_is_close_is_told(file):
    state.save(file, {"weights": 1, "b": 2})
    with pytest.raises(StateError, match=r"does not have it \(did you mean \"\['weight'\]\"\?\)|did you mean"):
        state.load(file, {"weight": 1, "b": 2})


def test_keys_of_another_type_are_other_keys(file):
    assert differences(file, {1: 0}, {"1": 0}) == [("['1']", "missing"), ("[1]", "unknown")]
    assert differences(file, {1: 0}, {True: 0}) == [("[True]", "missing"), ("[1]", "unknown")]


# Classes that changed


class Old(Struct):
    w: Any
    n: int = static(default=1)


def changed(body: dict, **annotations: Any) -> type:
    return type("New", (Struct,), {"__annotations__": annotations, **body})


@pytest.mark.parametrize("abstract", [False, True])
def test_a_renamed_field_is_found_and_an_added_one_takes_the_default_of_its_class(file, abstract):
    like = Renamed(jnp.zeros(3), scale=5.0)
    saved = Layer(jnp.ones(3), 1)
    like = jax.eval_shape(lambda: like.replace(b=0)) if abstract else like.replace(b=0)
    for target in (like, Renamed):
        assert same(loaded(file, saved, target), Renamed(jnp.ones(3), 1))


def test_a_field_is_read_by_its_own_name_before_its_aliases_and_by_the_first_alias_that_is_there(file):
    three = changed({"w": field(aliases=("x", "y"))}, w=Any)
    for names, left in (({"w": 1}, []), ({"y": 1}, []), ({"w": 1, "y": 2}, [".y"]), ({"y": 2, "x": 1}, [".y"])):
        saved = changed({}, **dict.fromkeys(names, Any))(**names)
        state.save(file, saved)
        tree, found = state.load(file, three(0), strict=False)
        assert tree.w == 1
        assert [difference.path for difference in found] == left


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"b": field(default=2)}, 2),
        ({"b": None}, None),
        ({"b": field(default_factory=lambda: [1, 2])}, [1, 2]),
        ({"b": field(default="3", converter=int)}, 3),
        ({"b": static(default="s")}, "s"),
        ({"b": static(default=(1, 2))}, (1, 2)),
        ({"b": derived(default=4)}, 4),
    ],
    ids=shown,
)
def test_an_added_field_takes_its_default_whatever_the_target_has(file, body, expected):
    cls = changed({"n": static(), **body}, w=Any, n=int, b=Any)
    like = state.load(file, cls) if state.save(file, Old(1)) else cls(0, 1)
    assert state.load(file, like).b == expected
    assert state.load(file, cls).b == expected


# A default, what the target has, and where and how they differ.
OTHER_FORMS = [
    (1.0, jnp.full(3, 2.0), ".b: shape: {} a Python float by default, the target has float32[3]"),
    (jnp.ones(()), jnp.ones(3), ".b: shape: {} float32[] by default, the target has float32[3]"),
    (jnp.ones(2), np.ones(2, "i4"), ".b: dtype: {} float32[2] by default, the target has int32[2]"),
    ((0, jnp.ones(2)), (1, jnp.ones(4)), ".b[1]: shape: {} float32[2] by default, the target has float32[4]"),
    (1.0, jnp.ones(()), ""),
    (1, 2.5, ""),
    (None, jnp.ones(3), ""),
]


@pytest.mark.parametrize(("default", "mine", "told"), OTHER_FORMS, ids=shown)
def test_a_default_of_another_form_than_the_arrays_of_the_target_is_told(file, default, mine, told):
    like = changed({"n": static(default=1), "b": field(default=default)}, w=Any, n=int, b=Any)(0, b=mine)
    state.save(file, Old(1))
    tree, found = state.load(file, like, strict=False)
    assert "".join(map(str, found)) == told.format("it was not saved and has")
    assert same(tree.b, mine if told else default) and tree.w == 1


@pytest.mark.parametrize("option", [{"default": "no", "converter": int}, {"default_factory": lambda: int("no")}])
def test_a_default_that_raises_is_told_with_its_path(file, option):
    state.save(file, [Old(1)])
    with pytest.raises(ValueError, match="invalid literal") as caught:
        state.load(file, [changed({"b": field(**option)}, w=Any, b=Any)(1, b="3")])
    assert caught.value.__notes__ == ["This came of the default of [0].b, which was not saved."]


def test_an_added_field_without_a_default_is_missing_and_a_removed_one_is_unknown(file):
    added = changed({"n": static(default=1), "b": field(kw_only=True)}, w=Any, n=int, b=Any)(0, 1, b=5)
    assert differences(file, Old(1), added) == [(".b", "missing")]
    assert state.load(file, added, strict=False)[0].b == 5
    assert differences(file, Old(1), changed({"n": static(default=1)}, n=int)()) == [(".w", "unknown")]
    assert differences(file, Old(1), changed({}, w=Any)(0)) == [(".n", "unknown")]
    moved = changed({"w": static()}, w=Any, n=Any)(w=0, n=1)
    assert differences(file, Old(1), moved) == [(".w", "static"), (".n", "static")]


def test_the_same_holds_for_classes_of_the_drop_in_and_for_mutable_structs(file):
    @struct.dataclass
    class Grown:
        y: Any = struct.field(metadata={"aliases": ("x",)})
        more: Any = 3
        n: int = struct.field(default=0, pytree_node=False)

    class GrownLoose(Struct, frozen=False):
        y: Any = field(aliases=("x",))
        n: int = static(default=0)
        more: Any = 3

    for like in (Grown(jnp.zeros(2)), GrownLoose(jnp.zeros(2))):
        for target in (like, type(like)):
            assert same(loaded(file, Loose(jnp.ones(2), 0), target), type(like)(jnp.ones(2)))


def test_the_order_of_fields_and_the_name_of_the_class_do_not_count(file):
    turned = type("T", (Struct,), {"__annotations__": {"n": int, "w": Any}, "n": static(default=1), "w": None})
    assert same(loaded(file, Old(1), turned(w=0)), turned(w=1))


def test_hooks_do_not_run(file):
    class Hooked(Struct):
        x: Any
        y: Any = derived()

        def __post_init__(self):
            self.y = self.x + 1

        def __check_init__(self):
            assert self.x >= 0

    state.save(file, state.from_state_dict(Hooked(1), {"x": -1, "y": 5}))
    for like in (Hooked(1), Hooked):
        found = state.load(file, like)
        assert (found.x, found.y) == (-1, 5)


# A class as target


def test_of_a_class_the_file_decides_statics_shapes_and_lengths(file):
    tree = Net([Layer(jnp.ones(2), activation=Config(1, ("a",))), {"k": (1, None)}], "other", 3)
    assert same(loaded(file, tree, Net), tree)
    assert same(loaded(file, [tree, 1], [Net, 2]), [tree, 1])


def test_a_class_within_a_target_stands_for_what_was_saved(file):
    assert same(loaded(file, {"net": net(), "step": 1}, {"net": Net, "step": 0}), {"net": net(), "step": 1})


@pytest.mark.parametrize(
    ("saved", "cls", "found"),
    [
        ([1], dict, [("", "structure", "a list was saved, the target is the class dict")]),
        (Loose(1), dict, [("", "structure", "a struct was saved, the target is the class dict")]),
        (1, Layer, [("", "structure", "a leaf was saved, the target is the class Layer")]),
        (
            [Ring(1, 2)],
            list,
            [("[0]", "structure", "a tests.models:Ring is not made from a file alone: give an instance")],
        ),
        (
            Layer(1, activation=lambda x: x),
            Layer,
            [(".activation", "static", "a value of the type function was not written: give an instance that has it")],
        ),
        (Loose(1), Old, [(".w", "missing", "the target has it, and it was not saved")]),
    ],
    ids=shown,
)
def test_what_no_class_alone_can_be_made_of_is_an_error_also_where_others_are_not(file, saved, cls, found):
    state.save(file, saved)
    for strict in (True, False):
        with pytest.raises(StateError) as caught:
            state.load(file, cls, strict)
        assert [*map(tuple, caught.value.differences)][: len(found)] == found


def test_a_class_with_its_parameters_is_the_class(file):
    assert loaded(file, Box([1]), Box[list]) == Box([1])


def test_what_is_loaded_and_saved_in_a_trace_is_a_constant(file):
    tree = [jnp.ones(3), jax.random.key(0), jnp.asarray(2.5), 7]
    state.save(file, tree)

    @jax.jit
    def function(x):
        made = state.load(file, [x, jax.random.key(1), 0.0, 0])
        state.save(file.with_suffix(".again"), made)
        return made[0] + x

    assert same(function(jnp.ones(3)), 2 * jnp.ones(3))
    assert same(state.load(file.with_suffix(".again"), list), tree)


def test_a_class_that_is_not_loaded_is_named(file):
    class Gone(Struct):
        x: Any

    state.save(file, [Gone(1)])
    Gone.__qualname__ = "Other"
    with pytest.raises(StateError, match=r"Gone is not loaded: import it, or give an instance"):
        state.load(file, list)


def test_a_leaf_that_no_file_can_hold_fits_nothing(file):
    like = [object(), 1]
    assert loaded(file, [1, 1], like, strict=False)[0][0] is like[0]
