"""The exact texts of `diagram`, which Mermaid 10 and 11 parse and show with the names as they are here."""

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, strategies as st

from structkit import Struct, diagram, field, static, struct
from tests.models import Broken, Coordinates, Custom, Empty, Linear, Model, Mutable, Node, Pair, Point, Ring


class Secret(Struct):
    x: Any
    password: str = static(default="hidden", repr=False)
    seed: Any = field(default=0, repr=False)


@struct.dataclass
class Decorated:
    name: str = struct.field(pytree_node=False)
    x: Any


def zeros(*shape, dtype=jnp.float32):
    # Nothing is compiled for these.
    return jax.ShapeDtypeStruct(shape, dtype)


def lines(tree):
    return [line.strip() for line in diagram(tree).splitlines()[1:]]


def layer(*shape):
    return Linear(zeros(*shape), zeros(shape[-1]))


def test_a_box_has_the_fields_of_a_class_and_a_line_leads_to_each_subtree():
    assert diagram(Model({"encoder": layer(3, 4), "head": [layer(4, 2), None, 1.5]}, name="small")) == (
        "classDiagram\n"
        '    class n0["Model"] {\n'
        "        name = #39;small#39;\n"
        "    }\n"
        '    class n1["dict"] {\n'
        "        head[1] None\n"
        "        head[2] float\n"
        "    }\n"
        '    class n2["Linear"] {\n'
        "        weight f32[3,4]\n"
        "        bias f32[4]\n"
        "        activation = relu\n"
        "    }\n"
        '    class n3["Linear"] {\n'
        "        weight f32[4,2]\n"
        "        bias f32[2]\n"
        "        activation = relu\n"
        "    }\n"
        "    n0 *-- n1 : layers\n"
        "    n1 *-- n2 : encoder\n"
        "    n1 *-- n3 : head[0]"
    )


def test_subtrees_that_look_alike_are_one_box_with_their_number_and_places():
    blocks = [layer(3, 3) for _ in range(12)]
    model = Pair([*blocks, layer(3, 1), blocks[0]], {"q": layer(3, 3), "k": layer(3, 3)})
    assert lines(model)[-4:] == [
        'n0 *-- "13" n1 : layers[0#58;12], layers[13]'.replace("layers", "x"),
        "n0 *-- n2 : x[12]",
        "n0 *-- n3 : y",
        'n3 *-- "2" n1 : k, q',
    ]
    assert sum(line.startswith("class") for line in lines(model)) == 4


def test_many_places_of_one_box_are_counted():
    tree = {f"block_{i}": Point(zeros(3)) for i in range(1200)}
    assert lines(tree)[-1] == 'n0 *-- "1,200" n1 : block_0, block_1, block_10, and 1,197 more'


def test_what_differs_in_a_shape_a_dtype_a_static_value_or_the_class_is_another_box():
    same = Linear(zeros(3))
    others = [Linear(zeros(4)), Linear(zeros(3, dtype=jnp.bfloat16)), Linear(zeros(3), activation=jnp.tanh)]
    for other in [*others, Pair(zeros(3))]:
        assert sum(line.startswith("class") for line in lines([same, other])) == 3
    assert sum(line.startswith("class") for line in lines([same, Linear(jnp.ones(3, jnp.float32))])) == 2


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        (jnp.zeros((2, 3), jnp.float32), ['class n0["f32[2,3]"]']),
        (1, ['class n0["int"]']),
        (None, ['class n0["NoneType"]']),
        ({}, ['class n0["dict"]']),
        (Empty(), ['class n0["Empty"]']),
        ([Empty()], ['class n0["list"]', 'class n1["Empty"]', "n0 *-- n1 : [0]"]),
        ((1, [2, 3], []), ['class n0["tuple"] {', "[0] int", "[1][0#58;2] int", "[2] []", "}"]),
        ([[zeros(2), "a"]] * 3, ['class n0["list"] {', "[0#58;3][0] f32[2]", "[0#58;3][1] str", "}"]),
        (Coordinates(1, None), ['class n0["Coordinates"] {', "x int", "y None", "}"]),
        (Ring(zeros(2), 7), ['class n0["Ring"] {', "[#60;flat index 0#62;] f32[2]", "}"]),
        (Mutable(zeros(1), 2), ['class n0["Mutable"] {', "x f32[1]", "n = 2", "}"]),
        (Custom(1, 2), ['class n0["Custom"] {', "total int", "count = 2", "}"]),
        (Decorated("a", zeros(1)), ['class n0["Decorated"] {', "name = #39;a#39;", "x f32[1]", "}"]),
        (Secret(1), ['class n0["Secret"] {', "x int", "seed int", "}"]),
        (Point(jax.nn.relu), ['class n0["Point"] {', "x relu", "}"]),
        (Point(np.ones(2, np.int8)), ['class n0["Point"] {', "x i8[2]", "}"]),
        (Point(jax.random.key(0)), ['class n0["Point"] {', "x key#60;fry#62;[]", "}"]),
        (Pair(1, name=Broken()), ['class n0["Pair"] {', "x int", "y None", "name = #60;Broken#62;", "}"]),
    ],
    # Not the whole tree, whose text may have an address in it.
    ids=lambda value: type(value).__name__,
)
def test_every_kind_of_node_and_leaf_is_shown(tree, expected):
    assert lines(tree) == expected


def test_shapes_and_tracers_are_drawn_as_arrays():
    model, seen = Model([Linear(jnp.zeros((2, 3))), Linear(jnp.zeros(3), 1)], name="m"), []
    jax.jit(lambda m: seen.append(diagram(m)))(model)
    abstract = jax.eval_shape(lambda: model)
    assert diagram(abstract) == seen[0] == diagram(jax.tree.map(jnp.asarray, model)) != diagram(model)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("snake_case_2", "snake_case_2"),
        ("_private_", "#95;private#95;"),
        ("__init__", "#95;#95;init#95;#95;"),
        ("a.b[0]-c", "a.b[0]-c"),
        ("-minus", "#45;minus"),
        ("1. item", "#49;. item"),
        ('say "hi"', "say #34;hi#34;"),
        ("{x}|y;z:w#", "#123;x#125;#124;y#59;z#58;w#35;"),
        ("<b>~T~*`%%\\", "#60;b#62;#126;T#126;#42;#96;#37;#37;#92;"),
        ("größe 日本", "größe 日本"),
        ("😀", "#128512;"),
        ("", "#39;#39;"),
        (" ", "#39; #39;"),
        ("two\nlines", "#39;two#92;nlines#39;"),
    ],
)
def test_what_means_something_to_mermaid_is_escaped(key, expected):
    assert lines({key: Point(1)})[-1] == f"n0 *-- n1 : {expected}"
    assert lines({key: 1})[1] == f"{expected} int"


def test_keys_that_are_no_text_are_shown_as_python_writes_them():
    assert lines({3: 1, 20: 2})[1:3] == ["#51; int", "#50;0 int"]


TEXT = r"[\w .,=\[\]#;-]+"
LINE = re.compile(
    rf'    class n\d+\["{TEXT}"\]( \{{)?|        {TEXT}|    \}}|    n\d+ \*-- ("[\d,]+" )?n\d+ : {TEXT}|classDiagram'
)


@given(st.dictionaries(st.text(max_size=6), st.sampled_from([1, [1, 1], {"x": 1}, [Point(1)] * 2]), max_size=5))
def test_every_line_is_one_that_mermaid_knows_whatever_the_names_are(tree):
    for line in diagram(Pair(tree, name="".join(tree))).splitlines():
        assert LINE.fullmatch(line), line
        assert re.sub(r"#\d+;", "", line).count("#") == 0


def test_a_wide_node_shows_its_first_fields_and_how_many_more_there_are():
    shown = lines({f"k{i:04}": zeros(i) for i in range(2000)})
    assert shown[1:3] == ["k0000 f32[0]", "k0001 f32[1]"]
    assert shown[16:] == ["k0015 f32[15]", "and 1,984 more", "}"]


def test_a_long_name_is_cut_and_its_shape_is_not():
    assert lines({"a" * 50: zeros(3)})[1] == "a" * 37 + "... f32[3]"
    assert lines(Pair(1, name="b" * 50))[3] == "name = #39;" + "b" * 36 + "..."


def test_the_subtrees_next_to_the_root_are_drawn_and_the_others_counted():
    shown = lines([Pair(zeros(i), [Point(zeros(i, 2)), Point(zeros(i, 3))]) for i in range(60)])
    assert sum(line.startswith("class") for line in shown) == 50
    assert shown[:3] == ['class n0["list"] {', "and 11 more below", "}"]
    assert shown[3:8] == ['class n1["Pair"] {', "x f32[0]", "name = #39;pair#39;", "and 2 more below", "}"]
    tree: Any = 1
    for _ in range(1000):
        tree = Node(tree)
    shown = lines(tree)
    assert shown[0] == 'class n0["Node"]' and shown[49:52] == ['class n49["Node"] {', "and 1 more below", "}"]
    assert shown[-1] == "n48 *-- n49 : inner"


def test_the_text_stays_below_what_mermaid_takes():
    tree = {f"{i:03}" * 10: {f"{j:03}" * 10: zeros(i, j) for j in range(50)} for i in range(100)}
    assert 20_000 < len(diagram(tree)) < 50_000


@pytest.mark.parametrize("holder", [list, Point])
def test_a_tree_that_holds_itself_is_refused(holder):
    tree: list[Any] = []
    tree.append(tree if holder is list else holder(tree))
    with pytest.raises(RecursionError) as caught:
        diagram(tree)
    assert str(caught.value) == "diagram: the tree is more than 2,000 levels deep, or holds itself"
