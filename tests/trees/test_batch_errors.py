"""Mistakes with batches: the whole text, with the first place that is wrong and what is there."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from structkit import Struct, batch, errors, static
from tests.models import Coordinates, Empty, Pair, Point, Ring

FIVE = Pair(jnp.zeros((5, 3)), jnp.arange(5))
ONE = Pair(jnp.zeros(3), jnp.zeros((), int))


class Tagged(Struct):
    x: Any
    tag: Any = static(default=None)
    other: Any = static(default=None)


STRUCTURE = "give all of them one structure with equal static fields"
CAST = "cast the one to the dtype of the other"
BATCH_IT = "stack several trees, or give this one a leading axis with batch.expand or batch.broadcast"
SAME_AXES = "give all leaves the same leading axes"
NO_LEAF = "batches are made of arrays and numbers: make it a static field, or None"
INDEX = "index with ints, slices, arrays of ints, masks, or a tuple of these"
FRONT = "count the leading axes from the front, from 0 on"
MASK = "give the mask the shape of leading axes"
TAKE = "give values the shapes of batch.take(tree, index), or those of one item"
ONLY_ARRAYS = "only arrays tell how many items there are"

UNLIKE = [
    # The first and the last of several trees, where they are unlike, and what each has there.
    (Point(1), Pair(1), "", "a Point", "a Pair"),
    ([1], (1,), "", "a list", "a tuple"),
    ((1, 2), Coordinates(1, 2), "", "a tuple", "a Coordinates"),
    ([1, 2], [1], "", "a list of 2", "one of 1"),
    ({"a": 1}, {"a": 1, "b": 2}, "", "a dict with ['a']", "one with ['a'], ['b']"),
    (Pair(1, [2]), Pair(1, [None]), ".y[0]", "2", "None"),
    (Pair(1, None), Pair(1, jnp.zeros(3, jnp.int8)), ".y", "None", "i8[3]"),
    (Point(Point(1)), Point("a" * 99), ".x", "a Point", f"'{'a' * 49}...{'a' * 24}'"),
    ([Tagged(1, "a")], [Tagged(1, "b")], "[0].tag", "'a'", "'b'"),
    (Tagged(1, 1, 2), Tagged(1, True, 3), ".tag", "1", "True"),
    (Tagged(1, 1, 2), Tagged(1, 1, 2.0), ".other", "2", "2.0"),
    (Tagged(1, 0.0), Tagged(1, -0.0), ".tag", "0.0", "-0.0"),
    (Point(Ring(1, 2)), Point(Ring(1, 3)), ".x", *[f"PyTreeDef(CustomNode(Ring[{size}], [*]))" for size in (2, 3)]),
]


@pytest.mark.parametrize(("first", "last", "path", "one", "other"), UNLIKE, ids=[repr(row[1])[:30] for row in UNLIKE])
def test_unlike_structures_are_refused_with_the_first_place_and_what_both_have(first, last, path, one, other):
    for call, function, names in (
        ("stack", lambda: batch.stack([first, first, last]), ("trees[0]", "trees[2]")),
        ("where", lambda: batch.where(True, first, last), ("a", "b")),
        ("put", lambda: batch.put(first, 0, last), ("tree", "values")),
    ):
        with pytest.raises(errors.BatchError) as caught:
            function()
        what = f"{names[0]}{path} is {one}, {names[1]}{path} is {other}"
        assert str(caught.value) == f"batch.{call}: {what}; {STRUCTURE}"


F32, I32 = jnp.zeros(0).dtype, jnp.zeros(0, int).dtype

REFUSED = {
    # What takes several trees
    "stack(())": (lambda: batch.stack(()), "trees is empty; give at least one tree: there is no structure without"),
    "concatenate([])": (
        lambda: batch.concatenate([]),
        "trees is empty; give at least one tree: there is no structure without",
    ),
    "stack(struct)": (lambda: batch.stack(ONE), "trees is a Pair; give a list of trees"),
    "stack of dtypes": (
        lambda: batch.stack([Pair(1, {"a": 2}), Pair(1, {"a": 2.5})]),
        f"trees[1].y['a'] has dtype {F32}, trees[0].y['a'] has {I32}; {CAST}",
    ),
    "stack of narrow floats": (
        lambda: batch.stack([Point(jnp.zeros(3)), Point(jnp.zeros(3, jnp.bfloat16))]),
        f"trees[1].x has dtype bfloat16, trees[0].x has {F32}; {CAST}",
    ),
    "stack of a key": (
        lambda: batch.stack([Point(jnp.zeros((), jnp.uint32)), Point(jax.random.key(0))]),
        f"trees[1].x has dtype key<fry>, trees[0].x has uint32; {CAST}",
    ),
    "stack of a number and a key": (
        lambda: batch.stack([Point(jax.random.key(0)), Point(1)]),
        f"trees[1].x has dtype {I32}, trees[0].x has key<fry>; {CAST}",
    ),
    "stack of shapes": (
        lambda: batch.stack([ONE, ONE, ONE.replace(x=jnp.zeros(4))]),
        "trees[2].x has shape (4,), trees[0].x has (3,); give all trees the same shapes",
    ),
    "stack of many shapes": (
        lambda: batch.stack([Point(np.zeros(3))] * 150 + [Point(np.zeros((1, 3)))]),
        "trees[150].x has shape (1, 3), trees[0].x has (3,); give all trees the same shapes",
    ),
    "stack of texts": (lambda: batch.stack([Pair("a"), Pair("b")]), f"trees[0].x is a str and no array; {NO_LEAF}"),
    "stack(dict)": (lambda: batch.stack({"a": 1}), f"trees[0] is a str and no array; {NO_LEAF}"),
    "stack, axis too large": (
        lambda: batch.stack([ONE, ONE], axis=1),
        f"trees[0].y has shape () and no axis 0 to lead with; {BATCH_IT}",
    ),
    "stack, axis from the end": (lambda: batch.stack([ONE], axis=-1), f"axis is -1; {FRONT}"),
    "stack, no axis": (lambda: batch.stack([ONE], axis="x"), f"axis is 'x'; {FRONT}"),
    "concatenate items": (
        lambda: batch.concatenate([FIVE, ONE]),
        f"trees[1].y has shape () and no axis 0 to lead with; {BATCH_IT}",
    ),
    "concatenate shapes": (
        lambda: batch.concatenate([FIVE, Pair(jnp.zeros((2, 4)), jnp.arange(2))]),
        "trees[1].x has shape (2, 4), trees[0].x has (5, 3); give all trees the same shapes but for axis 0",
    ),
    "concatenate no batch": (
        lambda: batch.concatenate([FIVE, Pair(jnp.zeros((2, 3)), jnp.arange(4))]),
        f"trees[1].y leads with the axes (4,), trees[1].x with (2,); {SAME_AXES}",
    ),
    "concatenate dtypes": (
        lambda: batch.concatenate([FIVE, FIVE.replace(y=jnp.zeros(5))]),
        f"trees[1].y has dtype {F32}, trees[0].y has {I32}; {CAST}",
    ),
    # Indices
    "take too far": (
        lambda: batch.take(FIVE, 5),
        "index 5 is out of range for axis 0 of size 5; indices go from -5 to 4",
    ),
    "take too far back": (
        lambda: batch.take(FIVE, np.int64(-6)),
        "index -6 is out of range for axis 0 of size 5; indices go from -5 to 4",
    ),
    "take an array too far": (
        lambda: batch.take(FIVE, jnp.array([[0, 7], [9, 1]])),
        "index 7 is out of range for axis 0 of size 5; indices go from -5 to 4",
    ),
    "take too far along an axis": (
        lambda: batch.take(jnp.zeros((2, 3)), (slice(None), 3)),
        "index 3 is out of range for axis 1 of size 3; indices go from -3 to 2",
    ),
    "take of nothing": (
        lambda: batch.take(jnp.zeros((0, 3)), 0),
        "index 0 is out of range for axis 0 of size 0; the axis has no item",
    ),
    "take with True": (lambda: batch.take(FIVE, True), f"index has a bool in it; {INDEX}"),
    "take with a text": (lambda: batch.take(FIVE, "a"), f"index has a str in it; {INDEX}"),
    "take with None": (lambda: batch.take(FIVE, None), f"index has a NoneType in it; {INDEX}"),
    "take with ...": (lambda: batch.take(FIVE, (..., 0)), f"index has an ellipsis in it; {INDEX}"),
    "take with floats": (
        lambda: batch.take(FIVE, np.ones(2)),
        f"index is an array of dtype float64 and shape (2,); {INDEX}",
    ),
    "take with a key": (
        lambda: batch.take(FIVE, jax.random.key(0)),
        f"index is an array of dtype key<fry> and shape (); {INDEX}",
    ),
    "take with a mask without axes": (
        lambda: batch.take(FIVE, np.array(True)),
        f"index is an array of dtype bool and shape (); {INDEX}",
    ),
    "take with a mask that is too short": (
        lambda: batch.take(FIVE, jnp.ones(4, bool)),
        f"index is a mask of shape (4,), the axes from 0 on have the sizes (5,); {MASK}",
    ),
    "take with a mask inside jit": (
        lambda: jax.jit(lambda mask: batch.take(FIVE, mask))(jnp.ones(5, bool)),
        "index is a mask inside a transformation, where it is not known how many items it selects; "
        "use batch.where, or the indices from jnp.nonzero(mask, size=n)",
    ),
    "take of what is no batch": (
        lambda: batch.take(ONE, 0),
        f"tree.y has shape () and no axis 0 to lead with; {BATCH_IT}",
    ),
    "take along axes that are not there": (
        lambda: batch.take(FIVE, (0, 0)),
        f"tree.y has shape (5,) and no axis 1 to lead with; {BATCH_IT}",
    ),
    "take of unlike sizes": (
        lambda: batch.take(Pair(jnp.zeros((5, 3)), [jnp.zeros(4)]), 0),
        f"tree.y[0] leads with the axes (4,), tree.x with (5,); {SAME_AXES}",
    ),
    "put too far": (
        lambda: batch.put(FIVE, [0, 5], ONE),
        "index 5 is out of range for axis 0 of size 5; indices go from -5 to 4",
    ),
    "put of other shapes": (
        lambda: batch.put(FIVE, [1, 2], Pair(jnp.zeros((2, 3)), jnp.arange(3))),
        f"values.y has shape (3,), where tree.y of shape (5,) takes (2,); {TAKE}",
    ),
    "put of a broader item": (
        lambda: batch.put(FIVE, 0, Pair(jnp.zeros(1), jnp.zeros((), int))),
        f"values.x has shape (1,), where tree.x of shape (5, 3) takes (3,); {TAKE}",
    ),
    "put of a float among weak ints": (
        lambda: batch.put([jnp.stack([1, 2])], 0, [jnp.float32(2.5)]),
        f"values[0] has dtype float32, tree[0] has {I32}; {CAST}",
    ),
    "put of a list that is no array": (
        lambda: batch.put(FIVE, [[0, 1], [2]], ONE),
        "index has a list in it that is no array; give a list of ints, or lists of one length",
    ),
    "put of other dtypes": (
        lambda: batch.put(FIVE, 0, Pair(jnp.zeros(3), 0.5)),
        f"values.y has dtype {F32}, tree.y has {I32}; {CAST}",
    ),
    "put with arrays of unlike shapes": (
        lambda: batch.put(jnp.zeros((5, 5)), ([0, 1], [0, 1, 2]), 0.0),
        "index does not fit: shape mismatch: indexing arrays could not be broadcast together with shapes (2,) (3,) ; "
        "see numpy's rules of indexing",
    ),
    # Masks
    "where of numbers": (
        lambda: batch.where(jnp.ones(5), FIVE, FIVE),
        f"mask has dtype {F32}; compare with something: mask != 0",
    ),
    "where of None": (lambda: batch.where(None, FIVE, FIVE), "mask is a NoneType; give an array of bools"),
    "where, bools and a number": (
        lambda: batch.where(True, [jnp.asarray(True)], [1]),
        f"b[0] has dtype {I32}, a[0] has bool; {CAST}",
    ),
    "where, an array of other numbers": (
        lambda: batch.where(True, [1.5], [jnp.zeros((), jnp.int16)]),
        f"a[0] has dtype {F32}, b[0] has int16; {CAST}",
    ),
    "where, too short": (
        lambda: batch.where(jnp.ones(4, bool), FIVE, FIVE),
        f"mask has shape (4,), the leading axes of a have the sizes (5,); {MASK}",
    ),
    "where, too many axes": (
        lambda: batch.where(jnp.ones((5, 3), bool), FIVE, FIVE),
        f"a.y has shape (5,) and no axis 1 to lead with; {BATCH_IT}",
    ),
    "where of one item": (
        lambda: batch.where(jnp.ones(5, bool), FIVE, ONE),
        "b.x has shape (3,), a.x has (5, 3); give both the same shapes; batch.broadcast repeats one item",
    ),
    # Sizes
    "size of unlike sizes": (
        lambda: batch.size(Pair(jnp.zeros(5), jnp.zeros(4))),
        f"tree.y leads with the axes (4,), tree.x with (5,); {SAME_AXES}",
    ),
    "size of a number": (
        lambda: batch.size([jnp.zeros(5), 1]),
        f"tree[1] has shape () and no axis 0 to lead with; {BATCH_IT}",
    ),
    "size of a text": (lambda: batch.size([jnp.zeros(5), "a"]), f"tree[1] is a str and no array; {NO_LEAF}"),
    "size of nothing": (lambda: batch.size([None, Empty()]), f"tree holds no array; {ONLY_ARRAYS}"),
    "shape of nothing": (lambda: batch.shape({}), f"tree holds no array; {ONLY_ARRAYS}"),
    "shape of too few": (
        lambda: batch.shape(FIVE, ndim=2),
        f"tree.y has shape (5,) and no axis 1 to lead with; {BATCH_IT}",
    ),
    "shape, ndim": (lambda: batch.shape(FIVE, ndim=-1), f"ndim is -1; {FRONT}"),
    "unstack of nothing": (lambda: batch.unstack(Empty()), f"tree holds no array; {ONLY_ARRAYS}"),
    "unstack of an item": (
        lambda: batch.unstack(jnp.zeros(())),
        f"tree has shape () and no axis 0 to lead with; {BATCH_IT}",
    ),
    "reshape to other sizes": (
        lambda: batch.reshape(FIVE, (2, 2)),
        "tree has the leading axes (5,), 5 items that do not make (2, 2); give sizes with this product",
    ),
    "reshape with a rest": (
        lambda: batch.reshape(FIVE, (2, -1)),
        "tree has the leading axes (5,), 5 items that do not make (2, -1); give sizes with this product",
    ),
    "reshape, two left open": (
        lambda: batch.reshape(FIVE, (-1, -1)),
        "tree has the leading axes (5,), 5 items that do not make (-1, -1); give sizes with this product",
    ),
    "reshape, negative": (
        lambda: batch.reshape(FIVE, (-5, -1, 1)),
        "tree has the leading axes (5,), 5 items that do not make (-5, -1, 1); give sizes with this product",
    ),
    "reshape to a text": (lambda: batch.reshape(FIVE, "5"), "shape is '5'; give an int or a tuple of ints"),
    "swapaxes of one": (
        lambda: batch.swapaxes(FIVE),
        f"tree.y has shape (5,) and no axis 1 to lead with; {BATCH_IT}",
    ),
    "expand too far": (
        lambda: batch.expand(FIVE, 2),
        f"tree.y has shape (5,) and no axis 1 to lead with; {BATCH_IT}",
    ),
    "expand from the end": (lambda: batch.expand(FIVE, -1), f"axis is -1; {FRONT}"),
    "squeeze of five": (
        lambda: batch.squeeze(FIVE),
        "tree has size 5 along axis 0, not 1; take one item with batch.take",
    ),
    "broadcast to less than nothing": (
        lambda: batch.broadcast(FIVE, (2, -1)),
        "shape is (2, -1); say how many items there are to be",
    ),
    "broadcast of a text": (lambda: batch.broadcast(Point("a"), 3), f"tree.x is a str and no array; {NO_LEAF}"),
}


@pytest.mark.parametrize(("mistake", "text"), REFUSED.values(), ids=REFUSED)
def test_a_mistake_is_refused_with_the_place_and_the_cure(mistake, text, request):
    with pytest.raises(errors.BatchError) as caught:
        mistake()
    assert str(caught.value).partition(": ")[2] == text
    call = request.node.callspec.id.partition(" ")[0].partition("(")[0].rstrip(",")
    assert caught.value.call == call


@pytest.mark.parametrize("name", [name for name, (_, text) in REFUSED.items() if text.startswith("index ")])
def test_a_wrong_index_is_an_index_error(name):
    with pytest.raises(IndexError):
        REFUSED[name][0]()


def test_what_jax_refuses_gets_a_note_with_the_place():
    deleted = jnp.zeros(3)
    deleted.delete()
    for function in (batch.expand, lambda tree: batch.stack([tree, tree])):
        with pytest.raises(RuntimeError, match="deleted") as caught:
            function(Pair(1, [deleted]))
        assert any(note.startswith("This is batch.") and ".y[0]" in note for note in caught.value.__notes__)
    with pytest.raises(TypeError, match="not a valid JAX type") as caught:
        batch.take(Pair(jax.ShapeDtypeStruct((3,), np.float32)), 0)
    assert "This is batch.take at tree.x." in caught.value.__notes__


def test_what_jax_cannot_stack_or_join_is_its_own_error():
    texts = [Point(np.array(["a"]))] * 2
    for function in (batch.stack, batch.concatenate):
        with pytest.raises(TypeError) as caught:
            function(texts)
        assert not isinstance(caught.value, errors.BatchError)
        assert f"This is batch.{function.__name__} at trees[0].x." in caught.value.__notes__


def test_thousands_of_levels_are_compared_without_recursion():
    deep, other = Point(1), Point(None)
    for _ in range(900):
        deep, other = Point(deep), Point(other)
    with pytest.raises(errors.BatchError, match="is 1, trees"):
        batch.stack([deep, other])
