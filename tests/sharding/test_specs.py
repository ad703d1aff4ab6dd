"""The partition spec of each leaf: what fields say, where it reaches, what it comes to on a mesh, and errors."""

import dataclasses
import functools
import pickle
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from jax.sharding import AbstractMesh, NamedSharding, PartitionSpec as P

from structkit import Static, Struct, derived, errors, field, fields, sharding, static, struct
from tests.models import Box, Coordinates, Dense, Empty, Mutable, Pair, Ring, Tower

MESH = AbstractMesh((2, 4), ("data", "model"))
RULES = {"embed": "data", "mlp": "model", "layers": None}
ones = functools.partial(jax.ShapeDtypeStruct, dtype=jnp.float32)


class Outer(Struct):
    inner: Any = field(spec=P("data"))
    plain: Any = None


class Reset(Struct):
    """A field that says that nothing of what is said above holds below."""

    inner: Any = field(spec=P())


@struct.dataclass
class DropIn:
    weight: Any = dataclasses.field(metadata={"spec": P("model")})
    note: Any = dataclasses.field(default=0.0, metadata={"spec": "a remark"})
    size: int = dataclasses.field(default=0, metadata={"spec": P("model"), "pytree_node": False})


def specs_of(tree, **options):
    return jax.tree.leaves(sharding.specs(tree, **options))


# What fields say


def test_a_leaf_has_the_spec_of_its_field_and_without_one_is_replicated():
    dense = Dense(ones((8, 4)), ones((4,)), ones(()))
    assert sharding.specs(dense) == Dense(P("embed", "mlp"), P("mlp"), P())


def test_a_spec_reaches_each_leaf_below_that_has_none_of_its_own():
    inner = {"dense": Dense(ones((8, 4)), ones((4,)), ones((2,))), "list": [ones((2,)), (ones((2,)), None)]}
    expected = {"dense": Dense(P("embed", "mlp"), P("mlp"), P("data")), "list": [P("data"), (P("data"), None)]}
    assert sharding.specs(Outer(inner, ones((2,)))) == Outer(expected, P())


def test_an_empty_spec_of_a_field_keeps_that_of_a_field_above_from_the_leaves():
    assert sharding.specs(Outer(Reset(Pair(ones((2,)), ones(()))))) == Outer(Reset(Pair(P(), P())))


@pytest.mark.parametrize("tree", [None, (), [], {}, Empty(), Outer(Empty()), Outer(()), Outer(None), Pair(None)])
def test_a_tree_without_leaves_stays_as_it_is(tree):
    assert sharding.specs(tree) == tree
    assert sharding.shardings(tree, MESH) == tree
    assert sharding.shard(tree, MESH) == tree


def test_each_kind_of_leaf_and_node_has_a_spec():
    array = jnp.ones(4)
    tree = {
        "host": Outer(np.ones(2)),
        "key": Outer(jax.random.split(jax.random.key(0), 2)),
        "named": Coordinates(Outer(array), array),
        "node": Ring(Outer(array), 3),
        "numbers": [1, 2.5, True, 1j, np.float32(1)],
        "mutable": Mutable(Outer(array)),
        "drop-in": DropIn(array, 1.0, 3),
        "text": "text",
    }
    found = sharding.specs(tree)
    assert jax.tree.structure(found) == jax.tree.structure(tree)
    expected = {"drop-in": [P("model"), P()], "numbers": [P()] * 5, "text": [P()], "named": [P("data"), P()]}
    for name, node in found.items():
        assert jax.tree.leaves(node) == expected.get(name, [P("data")]), name


def test_metadata_says_a_spec_in_a_dataclass_that_has_no_option_for_it():
    @dataclasses.dataclass(frozen=True)
    class Base:
        x: Any = dataclasses.field(metadata={"spec": P("data")})

    class Derived(Struct, Base):
        y: Any = dataclasses.field(default=None, metadata={"spec": P("model"), "unit": "m"})
        z: Any = field(default=None, metadata={"spec": P("model")}, spec=P("other"))

    assert sharding.specs(Derived(ones((2,)), ones((2,)), ones((2,)))) == Derived(P("data"), P("model"), P("other"))
    assert dict(fields(Derived)[1].metadata) == {"spec": P("model"), "unit": "m"}


def test_specs_survive_inheritance_and_derived_fields_have_them_too():
    class Child(Outer):
        more: Any = derived(spec=P("model"))

        def __post_init__(self):
            self.more = self.inner

    assert sharding.specs(Child(ones((2,)))) == jax.tree.map(lambda _: _, sharding.specs(Child(ones((2,)))))
    assert specs_of(Child(ones((2,)))) == [P("data"), P("model")]


def test_a_field_with_a_spec_can_be_pickled():
    assert [f.spec for f in pickle.loads(pickle.dumps(fields(Tower)))] == [P("layers", ...), None]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: field(spec="data"),
            "the spec of 'x' is 'data', which is no PartitionSpec; write spec=PartitionSpec('data')",
        ),
        (
            lambda: field(spec=("data", None)),
            "the spec of 'x' is ('data', None), which is no PartitionSpec; write spec=PartitionSpec('data', None)",
        ),
        (
            lambda: field(spec=P(..., "data")),
            "the spec of 'x' is P(Ellipsis, 'data'), with '...' before its end; write '...' last: it stands for what "
            "the fields below say",
        ),
        (
            lambda: field(spec=P("data"), static=True),
            "'x' is static and has a spec, which only leaves have; leave the spec out",
        ),
    ],
)
def test_a_spec_that_cannot_be_meant_is_refused_with_the_class(make, message):
    with pytest.raises(errors.DefinitionError) as caught:
        type(Struct)("A", (Struct,), {"__annotations__": {"x": Any}, "x": make(), "__qualname__": "A"})
    assert str(caught.value) == f"A: {message}"


def test_a_spec_is_refused_where_an_annotation_or_a_parent_makes_the_field_static_or_no_field():
    with pytest.raises(errors.DefinitionError, match=r"^A: 'x' is static and has a spec"):

        class A(Struct):
            x: Static[int] = field(spec=P())

    class B(Struct):
        x: int = static()

    with pytest.raises(errors.DefinitionError, match=r"^C: 'x' is static and has a spec"):

        class C(B):
            x: int = field(spec=P())

    with pytest.raises(errors.DefinitionError, match=r"^D: 'x' is an InitVar and has a spec"):

        class D(Struct):
            x: dataclasses.InitVar[int] = field(spec=P())


# Stacked layers


def test_dots_at_the_end_of_a_spec_put_its_axes_before_those_said_below():
    tower = Tower(Dense(ones((3, 8, 4)), ones((3, 4)), ones((3,))), Dense(ones((8, 4))))
    stacked = Dense(P("layers", "embed", "mlp"), P("layers", "mlp"), P("layers"))
    assert sharding.specs(tower) == Tower(stacked, Dense(P("embed", "mlp")))
    assert sharding.specs(tower, rules=RULES).layers == Dense(P(None, "data", "model"), P(None, "model"), P(None))


def test_stacks_of_stacks_have_the_axes_of_all_of_them_in_order():
    class Stages(Struct):
        towers: Any = field(spec=P("stage", None, ...))

    leaf = ones((2, 1, 3, 8, 4))
    assert specs_of(Stages(Tower(Dense(leaf), leaf))) == [P("stage", None, "layers", "embed", "mlp"), P("stage", None)]


def test_a_stack_below_a_spec_begins_anew():
    assert specs_of(Outer(Tower(ones((3, 4)), ones((4,))))) == [P("layers"), P("data")]


def test_dots_alone_say_that_what_is_said_above_ends_here():
    class Plain(Struct):
        inner: Any = field(spec=P(...))

    assert specs_of(Outer(Plain([ones((2,)), Dense(ones((8, 4)))]))) == [P(), P("embed", "mlp")]


def test_a_vmapped_constructor_makes_what_a_stack_is_for():
    def make(key):
        return Dense(jax.random.normal(key, (8, 4)), jnp.zeros(4), jnp.float32(1))

    tower = jax.eval_shape(lambda: Tower(jax.vmap(make)(jax.random.split(jax.random.key(0), 3))))
    assert specs_of(tower) == [P("layers", "embed", "mlp"), P("layers", "mlp"), P("layers")]


# On a mesh


def test_shardings_are_specs_on_the_mesh_of_arrays_and_of_shapes():
    dense = Dense(jnp.ones((8, 4)), jnp.ones(4), 1.0)
    expected = Dense(*[NamedSharding(MESH, spec) for spec in (P("data", "model"), P("model"), P())])
    assert sharding.shardings(dense, MESH, rules=RULES) == expected
    assert sharding.shardings(jax.eval_shape(lambda: dense), MESH, rules=RULES) == expected


def test_leaves_of_one_spec_share_one_sharding():
    found = jax.tree.leaves(sharding.shardings([ones((8,)), ones((4,)), ones(())], MESH))
    assert found[0] is found[1] is found[2]


RULED: list[tuple[Any, Any, Any]] = [
    (P("embed"), {"embed": "model"}, P("model")),
    (P("embed"), {"embed": None}, P(None)),
    (P("embed"), {"embed": ("data", "model")}, P(("data", "model"))),
    (P("embed"), {"embed": ()}, P(None)),
    (P(("batch", "embed")), {"batch": "data", "embed": "model"}, P(("data", "model"))),
    (P(("batch", "embed")), {"batch": None, "embed": None}, P(None)),
    (P(("data", "embed")), {"embed": ("model",)}, P(("data", "model"))),
    (P("data"), {"data": "model"}, P("model")),
    (P("data"), {"data": None, "unused": "nowhere"}, P(None)),
    (P(None, "data"), {}, P(None, "data")),
]


@pytest.mark.parametrize(("spec", "rules", "expected"), RULED)
def test_rules_say_what_names_stand_for_and_other_names_are_axes_of_the_mesh(spec, rules, expected):
    class A(Struct):
        x: Any = field(spec=spec)

    tree = A(ones((8, 8)))
    assert sharding.shardings(tree, MESH, rules=rules).x.spec == expected
    assert sharding.specs(tree, rules=rules).x == expected


def test_an_axis_that_is_left_to_the_compiler_is_in_one_piece_where_there_is_none():
    tree = [P("data", P.UNCONSTRAINED)]
    assert sharding.specs(tree) == tree
    assert sharding.shardings(tree, MESH)[0].spec == P("data", None)


def test_names_without_a_rule_stay_in_specs():
    assert specs_of(Dense(ones((8, 4))), rules={"mlp": "model"}) == [P("embed", "model")]


def test_a_tree_of_specs_has_the_shardings_that_it_says():
    assert sharding.shardings({"a": P("embed"), "b": P()}, MESH, rules=RULES) == {
        "a": NamedSharding(MESH, P("data")),
        "b": NamedSharding(MESH, P()),
    }
    dense = Dense(ones((8, 4)), ones((4,)))
    again = sharding.shardings(sharding.specs(dense), MESH, rules=RULES)
    assert again == sharding.shardings(dense, MESH, rules=RULES)


def test_shapes_take_their_shardings_with_them():
    dense = sharding.shard(jax.eval_shape(lambda: Dense(jnp.ones((8, 4), jnp.float32), None, 1.0)), MESH, rules=RULES)
    assert dense.weight == ones((8, 4), sharding=NamedSharding(MESH, P("data", "model")))
    assert dense.scale.weak_type


ERRORS: list[tuple[Any, Any, str]] = [
    (
        Box([Dense(ones((8, 4)), ones(()))]),
        RULES,
        "sharding of .item[0].bias: P('mlp',) is for an axis and the shape is (); shorten it if it is the "
        "field's own, else give the field one, field(spec=...), or params= where it is part of an optimizer's state",
    ),
    (
        Dense(2.5),
        RULES,
        "sharding of .weight: P('embed', 'mlp') is for 2 axes and the shape is (); shorten it if it is the "
        "field's own, else give the field one, field(spec=...), or params= where it is part of an optimizer's state",
    ),
    (
        Dense(ones((8, 4))),
        {"embedd": None, "mlp": "model"},
        "sharding of .weight: 'embed' of P('embed', 'mlp') is neither in rules nor an axis of the mesh ('data', "
        "'model') (did you mean 'embedd'?); say what it stands for, as in rules={'embed': 'data'}, or None for nothing",
    ),
    (
        Dense(ones((8, 4))),
        {"embed": "modle", "mlp": "model"},
        "sharding of .weight: rules['embed'] is 'modle', and 'modle' is no axis of the mesh ('data', 'model') (did you "
        "mean 'model'?); name axes of the mesh, or None for none",
    ),
    (
        Dense(ones((8, 4))),
        {"embed": ("data", "pod"), "mlp": "model"},
        "sharding of .weight: rules['embed'] is ('data', 'pod'), and 'pod' is no axis of the mesh ('data', 'model'); "
        "name axes of the mesh, or None for none",
    ),
    (
        Dense(ones((8, 4))),
        {"embed": 1, "mlp": "model"},
        "sharding of .weight: rules['embed'] is 1, which names no axes; give it the name of an axis, a tuple of names, "
        "or None for none",
    ),
    (
        Dense(ones((8, 4))),
        {"embed": ("data", None), "mlp": "model"},
        "sharding of .weight: rules['embed'] is ('data', None), and None is no axis of the mesh ('data', 'model'); "
        "name axes of the mesh, or None for none",
    ),
    (
        Dense(ones((8, 4))),
        {"embed": "model", "mlp": "model"},
        "sharding of .weight: P('embed', 'mlp') lays more than one axis on 'model'; lay it on one, and None in the "
        "other place",
    ),
    (
        Dense(ones((8, 6))),
        RULES,
        "sharding of .weight: axis 1 of shape (8, 6) does not divide by 4, the size of 'model' in the mesh; pad it, or "
        "lay it on none: None in its spec or in rules",
    ),
    (
        Dense(None, ones((2, 4))),
        RULES,
        "sharding of .bias: axis 0 of shape (2, 4) does not divide by 4, the size of 'model' in the mesh; pad it, or "
        "lay it on none: None in its spec or in rules; if it is one of stacked layers, say the axis before it in the "
        "field above: P('layers', ...)",
    ),
    (
        Dense(ones((4, 6))),
        {"embed": ("data", "model"), "mlp": None},
        "sharding of .weight: axis 0 of shape (4, 6) does not divide by 8, the size of 'data' × 'model' in the mesh; "
        "pad it, or lay it on none: None in its spec or in rules",
    ),
    (
        Dense(ones((8, 4))),
        [("embed", None), ("mlp", "model")],
        "sharding of the tree: rules is a list, and no mapping; give a dict, as in rules={'embed': 'model', "
        "'layers': None}",
    ),
    (
        P("pod"),
        None,
        "sharding of the tree, which is one leaf: 'pod' of P('pod',) is neither in rules nor an axis of the mesh "
        "('data', 'model'); say what it stands for, as in rules={'pod': 'data'}, or None for nothing",
    ),
]


@pytest.mark.parametrize(("tree", "rules", "message"), ERRORS)
def test_an_error_says_which_leaf_what_is_wrong_and_the_cure(tree, rules, message):
    for call in (sharding.shardings, sharding.shard, sharding.constrain):
        with pytest.raises(errors.SpecError) as caught:
            call(tree, MESH, rules=rules)
        assert str(caught.value) == message
        assert str(pickle.loads(pickle.dumps(caught.value))) == message
        assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    "leaf", ["text", np.array(["text"]), np.array([object()]), 2**70], ids=["text", "texts", "objects", "int"]
)
def test_what_is_no_array_for_jax_is_laid_out_nowhere(leaf):
    for call in (sharding.shard, sharding.constrain):
        with pytest.raises(errors.SpecError) as caught:
            call({"a": ones((8,)), "b": leaf}, MESH)
        with pytest.raises((TypeError, OverflowError)) as of_jax:
            jax.typeof(leaf)
        assert str(caught.value) == (
            f"sharding of ['b']: JAX takes no {type(leaf).__name__} like it as an array ({of_jax.value}); "
            "make it a static field, or leave it out"
        )


def test_too_many_axes_are_told_without_a_mesh_and_sizes_of_none_divide():
    with pytest.raises(errors.SpecError, match=r"^sharding of \[1\].bias: P\('mlp',\) is for an axis"):
        sharding.specs([None, Dense(ones((8, 4)), ones(()))])
    assert sharding.shardings(Dense(ones((0, 4))), MESH, rules=RULES).weight.spec == P("data", "model")


# Beside plain code

NOTHING = P()


@st.composite
def trees(draw, spec=NOTHING, before=(), depth=4):
    """A tree, and the specs of its leaves as its makers know them."""
    kinds = ["leaf", "none"] if depth == 0 else ["leaf", "list", "dict", "outer", "stack", "pair"]
    kind = draw(st.sampled_from(kinds))
    if kind == "leaf":
        return ones((1,) * 9), [spec]
    if kind == "none":
        return None, []
    below = {"outer": P(*before, "data"), "stack": P(*before, "layers")}.get(kind, spec)
    first, found = draw(trees(below, (*before, "layers") if kind == "stack" else before, depth - 1))
    second, more = draw(trees(spec, before, depth - 1))
    made: Any = {
        "list": lambda: [first, second],
        "dict": lambda: {"b": second, "a": first},
        "outer": lambda: Outer(first, second),
        "stack": lambda: Tower(first, second),
        "pair": lambda: Pair(first, second),
    }
    return made[kind](), found + more


@given(trees())
@settings(max_examples=40, deadline=None)
def test_specs_reach_the_leaves_of_any_tree(drawn):
    tree, expected = drawn
    found = sharding.specs(tree)
    assert jax.tree.leaves(found) == expected
    assert jax.tree.structure(found) == jax.tree.structure(tree)
