"""Leading axes from jaxtyping's annotations: `Batched`, `Shaped[...]` under beartype and in jit, and `batch.check`."""

import inspect
import sys
import textwrap
import types
from collections.abc import Sequence
from typing import Annotated, Any, Generic, Optional, TypeVar

import beartype
import equinox
import flax.struct
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from jaxtyping import Array, Bool, Float, Int, Key, PyTree, Shaped, jaxtyped
from typing_extensions import TypeAliasType

from structkit import Struct, at, batch, errors, static, struct

T = TypeVar("T")
Nested = TypeAliasType("Nested", "list[Nested] | Array")
Vector = TypeAliasType("Vector", Float[Array, "3"])
Later = TypeAliasType("Later", "list[NeverDefined]")
checked = jaxtyped(typechecker=beartype.beartype)


class Particle(Struct, batch.Batched):
    position: Float[Array, "3"]
    mass: Float[Array, ""]
    key: Key[Array, ""] | None = None
    note: Any = None
    name: str = static(default="particle")


ONE = Particle(jnp.zeros(3), jnp.ones(()), jax.random.key(0))
FIVE = batch.stack([ONE] * 5)
GRID = batch.stack([FIVE] * 2)


# Batches of their own


def test_a_batch_is_indexed_counted_and_iterated_over_as_an_array_is():
    assert (FIVE.shape, GRID.shape, ONE.shape) == ((5,), (2, 5), ())
    assert (len(FIVE), len(GRID)) == (5, 2)
    shapes = [
        GRID[0],
        FIVE[-1],
        FIVE[1:3],
        GRID[1, :2],
        GRID[:, jnp.array([0, 0])],
        FIVE[[4, 0]],
        FIVE[np.eye(5)[0] > 0],
    ]
    assert [found.shape for found in shapes] == [(5,), (), (2,), (2,), (2, 2), (2,), (1,)]
    assert [one.shape for one in GRID] == [(5,)] * 2
    assert [one.shape for one in reversed(FIVE)] == [()] * 5
    assert FIVE[2].name == "particle" and type(FIVE[2]) is Particle


def test_what_has_no_leading_axes_refuses_length_and_items_and_is_true():
    cure = "has no leading axes; stack several of them"
    for use, call in ((len, "len"), (iter, "iter")):
        with pytest.raises(TypeError) as caught:
            use(ONE)
        assert str(caught.value) == f"batch.{call}: Particle {cure}"
    with pytest.raises(IndexError) as caught:
        ONE[0]
    assert str(caught.value) == "batch.take: Particle has no leading axes to index; stack several of them"
    with pytest.raises(errors.UnbatchedError):
        FIVE[0, 0]
    assert ONE and FIVE[:0]


def test_the_dtype_is_that_of_all_arrays_or_of_objects():
    assert ONE.dtype == np.dtype(object)
    assert ONE.replace(key=None).dtype == np.float32
    assert jax.tree.map(lambda _: "spec", ONE).dtype == np.dtype(object)


@pytest.mark.parametrize(
    ("dims", "matching"),
    [
        ("", [ONE]),
        ("n", [FIVE]),
        ("5", [FIVE]),
        ("n m", [GRID]),
        ("2 5", [GRID]),
        ("4", []),
        ("...", [ONE, FIVE, GRID]),
    ],
)
def test_shaped_is_true_of_the_stacks_of_its_rank(dims, matching):
    assert [one for one in (ONE, FIVE, GRID) if isinstance(one, Shaped[Particle, dims])] == matching
    assert not isinstance(jnp.zeros((2, 5)), Shaped[Particle, "..."])


def test_a_dtype_in_the_place_of_shaped_is_true_where_all_arrays_have_it():
    assert isinstance(FIVE.replace(key=None), Float[Particle, "n"])
    assert not isinstance(FIVE, Float[Particle, "n"])
    assert not isinstance(FIVE.replace(key=None), Int[Particle, "n"])


def test_the_functions_go_by_the_ranks_and_not_by_the_shapes():
    # Three numbers are no batch of three.
    for call in (batch.size, batch.unstack, lambda tree: batch.take(tree, 0), lambda tree: batch.squeeze(tree)):
        with pytest.raises(errors.UnbatchedError, match=r"tree has the leading axes \(\), and 1 is needed"):
            call(ONE)
    assert batch.shape(ONE) == () and batch.shape(GRID) == (2, 5) and batch.shape(GRID, ndim=1) == (2,)
    assert batch.reshape(GRID, -1).shape == (10,)
    assert batch.reshape(GRID, (1, 2), ndim=1).shape == (1, 2, 5)
    assert batch.expand(ONE).shape == (1,) and batch.broadcast(FIVE, 3).shape == (3, 5)
    with pytest.raises(errors.UnbatchedError, match=r"trees\[0\] has the leading axes \(5,\), and 2 are needed"):
        batch.stack([FIVE], axis=2)
    with pytest.raises(errors.UnbatchedError):
        batch.where(jnp.ones((5, 3), bool), FIVE, FIVE)


def test_batches_work_inside_transformations():
    assert jax.jit(lambda p: p[1].shape + p[:2].shape + (len(p),))(FIVE) == (2, 5)
    assert jax.vmap(lambda p: p.mass + len(p))(GRID).shape == (2, 5)
    assert jax.vmap(lambda p: jnp.asarray(p.shape == ()))(FIVE).all()
    totals = jax.lax.scan(lambda total, p: (total + p.mass, p.shape == ()), 0.0, FIVE)
    assert totals[0] == 5 and totals[1].all()


# Types


@checked
def energy(particles: Shaped[Particle, "n"], weights: Float[Array, " n"]) -> Float[Array, " n"]:
    return particles.mass * weights


@checked
def first(particles: Shaped[Particle, "n *more"]) -> Shaped[Particle, "*more"]:
    return particles[0]


@checked
class Cloud(Struct):
    particles: Shaped[Particle, "n"]
    charges: Float[Array, " n"]


def test_a_stack_is_a_type_under_beartype_and_in_transformations():
    weights = jnp.ones(5)
    assert energy(FIVE, weights).shape == (5,)
    assert jax.jit(energy)(FIVE, weights).shape == (5,)
    assert jax.vmap(energy)(GRID, jnp.ones((2, 5))).shape == (2, 5)
    assert jax.grad(lambda p: energy(p, weights).sum())(FIVE.replace(key=None)).mass.sum() == 5
    assert first(GRID).shape == (5,) and first(FIVE).shape == ()
    for wrong in (lambda: energy(ONE, weights), lambda: energy(GRID, weights), lambda: energy(FIVE[:4], weights)):
        with pytest.raises(jaxtyping.TypeCheckError):
            wrong()


def test_a_stack_is_the_type_of_a_field():
    cloud = Cloud(FIVE, jnp.ones(5))
    assert jax.tree.map(lambda leaf: leaf, cloud).particles.shape == (5,)
    for wrong in (
        lambda: Cloud(FIVE, jnp.ones(4)),
        lambda: cloud.replace(particles=ONE),
        lambda: Cloud(GRID, jnp.ones(5)),
    ):
        with pytest.raises(jaxtyping.TypeCheckError):
            wrong()


def test_the_class_may_be_checked_itself():
    @checked
    class Point(Struct, batch.Batched):
        x: Float[Array, "*batch 2"]
        y: Float[Array, "*batch"]

    point = batch.stack([Point(jnp.zeros(2), jnp.zeros(()))] * 3)
    assert point.shape == (3,) and isinstance(point, Shaped[Point, "3"])
    with pytest.raises(jaxtyping.TypeCheckError):
        Point(jnp.zeros((3, 2)), jnp.zeros(4))


# Ranks


class Layer(Struct):
    weight: Float[Array, "2 3"]


class Wide(Struct, batch.Batched):
    """An annotation of every kind, with a leaf under each."""

    array: Float[Array, "3"]
    optional: Float[Array, "3"] | None
    older: Optional[Float[Array, "3"]]
    either: Float[Array | np.ndarray, "3"] | float
    noted: Annotated[Float[Array, "3"], "a note"]
    text: "Float[Array, '3']"
    text_inside: Optional["Float[Array, '3']"]
    extended: Shaped[Float[Array, "2"], "4"]
    variadic: Float[Array, "*b 3"]
    dots: Bool[Array, "... 3"]
    key: Key[Array, ""]
    layer: Layer
    layers: list[Layer]
    either_node: Layer | Particle
    pair: tuple[Layer, Float[Array, "3"]]
    row: tuple[Float[Array, "3"], ...]
    sequence: Sequence[Vector]
    nobody: PyTree
    plain: list
    table: dict[str, Float[Array, "3"]]
    tree: PyTree[Float[Array, "3"]]
    leaf: PyTree[Float[Array, "3"]]
    more: Shaped[Particle, "4"]
    itself: "Wide | None" = None


def wide(*lead: int) -> Wide:
    three, layer = jnp.zeros((*lead, 3)), Layer(jnp.zeros((*lead, 2, 3)))
    return Wide(
        **dict.fromkeys(["array", "optional", "older", "either", "noted", "text", "text_inside", "leaf"], three),
        extended=jnp.zeros((*lead, 4, 2)),
        variadic=three,
        dots=three > 0,
        key=jax.random.split(jax.random.key(0), lead) if lead else jax.random.key(0),
        **dict.fromkeys(["layer", "either_node"], layer),
        layers=[layer, layer],
        pair=(layer, three),
        row=(three, three),
        sequence=[three],
        nobody=None,
        plain=[layer, None],
        table={"a": three, "b": three},
        tree={"a": [three]},
        more=Particle(jnp.zeros((*lead, 4, 3)), jnp.zeros((*lead, 4))),
    )


@pytest.mark.parametrize("lead", [(), (5,), (5, 2)])
def test_the_leading_axes_are_what_the_ranks_leave(lead):
    assert wide(*lead).shape == lead
    assert wide(*lead).replace(itself=wide(*lead)).shape == lead
    # A container is as long as its items are.
    assert batch.shape([wide(*lead), {"a": wide(*lead)}]) == lead


PLACES = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(wide(5))][1:]


@pytest.mark.parametrize("place", PLACES)
def test_each_leaf_under_a_rank_has_a_say(place):
    found = []
    leaves, treedef = jax.tree.flatten(wide(5))
    i = PLACES.index(place) + 1
    leaves[i] = leaves[i][:4]
    with pytest.raises(errors.BatchError) as caught:
        found.append(treedef.unflatten(leaves).shape)
    says = f"batch.shape: Wide{place} leads with the axes (4,), Wide.array with (5,); "
    if place.startswith(".more"):
        says = "batch.shape: Wide.more.mass leads with the axes "
    assert str(caught.value).startswith(says)


class Unknown(Struct, batch.Batched):
    """Fields of unknown rank, around one of known rank."""

    known: Float[Array, "3"]
    anything: Any = 1
    array: Array | None = None
    not_in_front: Float[Array, "n *b"] | None = None
    several: Float[Array, "3"] | Float[Array, "3 3"] | None = None
    any_array: Float[Array, "3"] | Array | None = None
    number: float = 1.0
    nested: Nested = None
    nested_later: Later = None
    nowhere: "list[Float[Array, '3'] | int]" = None
    later: "Float[NotDefined, '3']" = None
    fixed: Float[Array, "7"] = static(default=None)


def test_fields_of_unknown_rank_have_no_say():
    nine = jnp.zeros((9, 9, 9))
    assert Unknown(jnp.zeros((5, 3)), *[nine] * 7).shape == (5,)
    assert Unknown(jnp.zeros((5, 3))).shape == (5,)
    # A stack where there should be a list.
    assert wide(5).replace(layers=nine).shape == (5,)
    # They take part all the same.
    with pytest.raises(errors.BatchError, match=r"tree.array leads with the axes \(9,\), tree.known with \(5,\)"):
        batch.take(Unknown(jnp.zeros((5, 3)), jnp.zeros(5), nine, number=jnp.zeros(5)), 0)


class Heavier(Particle):
    spin: Float[Array, "2"] = None
    mass: Float[Array, "4"]  # Has four of them.


def test_ranks_are_inherited_and_overridden():
    assert Heavier(jnp.zeros((5, 3)), jnp.zeros((5, 4)), spin=jnp.zeros((5, 2))).shape == (5,)
    with pytest.raises(errors.BatchError, match=r"Heavier.spin leads with the axes \(\), Heavier.position with \(5,\)"):
        Heavier(jnp.zeros((5, 3)), jnp.zeros((5, 4)), spin=jnp.zeros(2)).shape


def test_too_few_axes_are_refused_with_the_field():
    with pytest.raises(errors.BatchError) as caught:
        at(wide(), lambda w: w.layers[1].weight).set(jnp.zeros(3)).shape
    text = "batch.shape: Wide.layers[1].weight has shape (3,), fewer axes than its annotation (2); "
    assert str(caught.value).startswith(text)
    # A number has no axis.
    with pytest.raises(errors.BatchError, match=r"has shape \(\), fewer axes"):
        Particle(1.0, 2.0).shape


def test_where_no_field_tells_it_the_attribute_is_missing_with_the_cure():
    for tree in (jax.tree.map(lambda _: None, FIVE), jax.tree.map(lambda _: "spec", FIVE)):
        assert not hasattr(tree, "shape")
        with pytest.raises(AttributeError, match=r"Particle does not tell its leading axes: .*annotate the fields"):
            len(tree)
    with pytest.raises(errors.UnknownRankError, match=r"not resolved: list\[NeverDefined\], Float\[NotDefined, '3'\]"):
        Unknown(None).shape
    assert jax.eval_shape(lambda: FIVE).shape == (5,)


POSTPONED = """
    from __future__ import annotations
    from jax import Array
    from jaxtyping import Float
    from structkit import Struct, batch

    class Tree(Struct, batch.Batched):
        value: Float[Array, "3"]
        children: list[Tree | Leaf]

    class Leaf(Struct):
        value: Float[Array, ""]
"""


def test_postponed_annotations_are_resolved_when_they_can_be(monkeypatch):
    module = types.ModuleType("postponed_batches")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(textwrap.dedent(POSTPONED), "<test>", "exec", dont_inherit=True), vars(module))
    inner = module.Tree(jnp.zeros((5, 3)), [module.Leaf(jnp.zeros(5))])
    assert module.Tree(jnp.zeros((5, 3)), [inner, inner]).shape == (5,)
    with pytest.raises(errors.BatchError, match=r"Tree.children\[0\].value leads with"):
        inner.replace(value=jnp.zeros((4, 3))).shape


def test_strings_in_a_function_are_resolved_with_its_names():
    Short = Float

    class Local(Struct, batch.Batched):
        x: "Short[Array, '3']"
        y: "Local | None" = None
        z: "NeverDefined | None" = None

    assert Local(jnp.zeros((5, 3)), Local(jnp.zeros((5, 3)))).shape == (5,)


class Generically(Struct, batch.Batched, Generic[T]):
    item: T
    known: Float[Array, "3"]


class Mutable(Struct, batch.Batched, frozen=False):
    x: Float[Array, "3"]


class Module(equinox.Module, batch.Batched):
    x: Float[Array, "3"]
    size: int = equinox.field(static=True, default=3)


@flax.struct.dataclass
class FlaxStruct(batch.Batched):
    x: Float[Array, "3"]


@struct.dataclass
class DropIn(batch.Batched):
    x: Float[Array, "3"]


@pytest.mark.parametrize("cls", [Mutable, Module, FlaxStruct, DropIn])
def test_classes_of_all_kinds_are_batches(cls):
    made = batch.stack([cls(jnp.zeros(3))] * 5)
    assert (made.shape, len(made), made[1].shape) == ((5,), 5, ())
    assert isinstance(made, Shaped[cls, "5"]) and not isinstance(made[0], Shaped[cls, "5"])
    with pytest.raises(TypeError):
        iter(cls(jnp.zeros(3)))


def test_a_type_variable_says_nothing():
    assert Generically[int](jnp.zeros(9), jnp.zeros((5, 3))).shape == (5,)


# Trees that are no such class


def test_check_gives_the_tree_or_says_what_leads():
    tree = {"a": jnp.zeros((4, 3)), "b": [jnp.zeros((4, 3, 2))]}
    for dims in ("n", "4", "n m", "4 3", "_", "n 3"):
        assert batch.check(tree, dims) is tree
    for dims, text in {
        "5": "has the leading axes (4,), not '5'; the dimension size 4 does not equal 5 as expected by the type hint",
        "n n": "has the leading axes (4, 3), not 'n n'; "
        "the size of dimension n is 3 which does not equal the existing value of 4",
        "*n": "does not tell how many axes lead, and '*n' leaves it open; "
        "name each axis, or annotate the fields with their ranks",
    }.items():
        with pytest.raises(errors.BatchError) as caught:
            batch.check(tree, dims)
        assert str(caught.value) == f"batch.check: tree {text}"
    with pytest.raises(errors.UnbatchedError, match=r"tree\['a'\] has shape \(4, 3\) and no axis 2"):
        batch.check(tree, "n m k")
    with pytest.raises(errors.BatchError, match="holds no array"):
        batch.check({}, "n")


def test_check_goes_by_the_ranks_where_they_are_known():
    assert batch.check(GRID, "2 n") is GRID
    assert batch.check(GRID, "*n") is GRID
    with pytest.raises(errors.BatchError, match="this array has 2 dimensions, not the 1"):
        batch.check(GRID, "n")


def test_names_mean_in_check_what_they_mean_in_the_function_around_it():
    @checked
    def step(state: dict[str, Array], actions: Float[Array, "env 2"]) -> dict[str, Array]:
        return batch.check(state, "env time")

    assert step({"a": jnp.zeros((3, 7))}, jnp.zeros((3, 2)))["a"].shape == (3, 7)
    assert jax.jit(step)({"a": jnp.zeros((3, 7))}, jnp.zeros((3, 2)))["a"].shape == (3, 7)
    with pytest.raises(errors.BatchError, match="dimension env is 4 which does not equal the existing value of 3"):
        step({"a": jnp.zeros((4, 7))}, jnp.zeros((3, 2)))


@pytest.mark.parametrize("name", ["Batched", "check"])
def test_the_examples_in_docstrings_hold(name):
    text = inspect.getdoc(getattr(batch, name)).partition("Example:\n")[2]
    names = {**globals(), "__name__": "example"}
    exec(textwrap.dedent(text), names)
    if name == "check":
        assert names["step"]({"x": jnp.zeros(3)}, jnp.zeros((3, 2)))["x"].shape == (3,)
    else:
        assert names["energy"](names["particles"]).shape == (5,)
