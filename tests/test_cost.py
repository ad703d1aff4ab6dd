"""What things cost, without a clock: frames, calls, instructions, memory blocks, and how they grow with the fields."""

import copy
import dataclasses
import dis
import functools
import gc
import itertools
import linecache
import pickle
import sys
from pathlib import Path
from types import CodeType
from typing import Any

import jax
import jax.numpy as jnp
import pytest

import structkit
from structkit import Struct, at, batch, diagram, editing, freeze, static, summary
from tests.models import Node, Pair

FEW, MANY = 3, 200
# What JAX is given for one node: the children, and what it keeps in the treedef.
flat = jax.tree_util.default_registry.flatten_one_level


def wide(size: int) -> type[Any]:
    return type(Struct)("Wide", (Struct,), {"__annotations__": {f"f{i}": Any for i in range(size)}})


CLASSES = {size: wide(size) for size in (1, FEW, MANY // 2, MANY)}


def filled(size: int) -> Any:
    return CLASSES[size](*range(size))


def calls(function: Any, *arguments: Any, **keywords: Any) -> int:
    """How many functions run in a call, those of C included."""
    count = 0

    def profiler(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    previous = sys.getprofile()
    sys.setprofile(profiler)
    try:
        function(*arguments, **keywords)
    finally:
        sys.setprofile(previous)
    # The call of `sys.setprofile` that ends the count.
    return count - 1


def frames(function: Any, *arguments: Any) -> list[CodeType]:
    """The code of each Python function outside JAX that runs in a call, that of `function` itself included."""
    codes: list[CodeType] = []
    previous = sys.gettrace()
    # What a tracer returns would trace lines; None leaves it at calls.
    sys.settrace(lambda frame, event, argument: codes.append(frame.f_code))
    try:
        function(*arguments)
    finally:
        sys.settrace(previous)
    folder = str(Path(jax.__file__).parent)
    return [code for code in codes if not code.co_filename.startswith(folder)]


def blocks(make: Any, count: int = 3000) -> float:
    """How many blocks of memory an object takes that `make()` makes."""
    # What Python keeps for new tuples is handed back by a collection.
    kept: list[Any] = [make() for _ in range(count)]
    kept = [None] * count
    gc.collect()
    before = sys.getallocatedblocks()
    for i in range(count):
        kept[i] = make()
    return (sys.getallocatedblocks() - before) / count


class Watched:
    """A static value that counts how often it is compared and hashed."""

    looks = 0

    def __eq__(self, other: object) -> bool:
        Watched.looks += 1
        return type(other) is Watched

    def __hash__(self) -> int:
        Watched.looks += 1
        return 1


class Configured(Struct):
    weight: Any
    inner: Any = None
    config: Any = static(default=None)


PAIR = Pair(1, 2)
TREE = [PAIR, {"a": Pair(3, Node(4))}]
LEAVES, TREEDEF = jax.tree.flatten(TREE)


@pytest.mark.parametrize(
    ("function", "arguments", "names"),
    [
        (jax.tree.flatten, [TREE], []),
        (jax.tree.leaves, [TREE], []),
        (jax.tree.structure, [TREE], []),
        (TREEDEF.unflatten, [LEAVES], ["unflatten"] * 3),
        (jax.tree.structure(PAIR).__eq__, [jax.tree.structure(Pair(3, 4))], []),
        (Node, [1], ["__init__"]),
        (functools.partial(Node, inner=1), [], ["__init__"]),
        (Pair, [1, 2], ["__init__"]),
        (functools.partial(Pair, 1, y=2, name="n"), [], ["__init__"]),
        (functools.partial(PAIR.replace, x=3), [], ["replace_method"]),
        (getattr, [Configured(1), "weight"], ["weight"]),
        (getattr, [Configured(1), "config"], ["config"]),
        (getattr, [PAIR, "replace"], []),
        (isinstance, [PAIR, Pair], []),
    ],
)
def test_flattening_runs_no_python_frame_and_others_run_one(function, arguments, names):
    assert [code.co_name for code in frames(function, *arguments)] == names
    assert "__getattribute__" not in vars(Struct) and "__getattr__" not in vars(Struct)


def unflattened(size: int) -> int:
    leaves, treedef = jax.tree.flatten(filled(size))
    return calls(treedef.unflatten, leaves)


@pytest.mark.parametrize(
    ("cost", "limit"),
    [
        pytest.param(lambda size: calls(filled, size), 10, id="constructing"),
        pytest.param(unflattened, 10, id="unflattening"),
        pytest.param(lambda size: calls(filled(size).replace, f1=0.5), 6, id="replacing"),
    ],
)
def test_as_many_functions_are_called_for_many_fields_as_for_few(cost, limit):
    assert cost(FEW) == cost(MANY) <= limit


def test_hashing_and_comparing_numbers_calls_no_more_than_a_few_functions_for_each_field():
    for operation in (lambda x: hash(x), lambda x: x == x.replace(f0=0)):
        assert calls(operation, filled(MANY)) - calls(operation, filled(FEW)) <= 6 * (MANY - FEW)


def test_comparing_nested_structs_flattens_a_node_as_often_at_any_depth():
    flattened: list[Any] = []

    class Foreign:
        pass

    def flatten(node: Any) -> tuple[tuple[Any, ...], None]:
        flattened.append(node)
        return (), None

    jax.tree_util.register_pytree_node(Foreign, flatten, lambda _, __: Foreign())

    def cost(depth: int, end: Any) -> int:
        one, other = Node([Foreign(), 1]), Node([Foreign(), end])
        for _ in range(depth):
            one, other = Node(one), Node(other)
        flattened.clear()
        assert (one == other) is (end == 1)
        return len(flattened)

    assert cost(0, 1) == cost(40, 1) <= 2
    assert cost(0, 2) == cost(40, 2) <= 4


def test_an_assignment_in_a_constructor_runs_at_most_three_frames():
    class Custom(Struct):
        a: Any
        b: Any
        c: Any

        def __init__(self, count: int):
            self.a = self.b = self.c = 0
            for _ in range(count):
                self.a = 1

    few, many = (len(frames(Custom, count)) for count in (10, 20))
    assert many - few <= 3 * 10


def test_flattening_gives_what_the_struct_holds_and_allocates_nothing():
    x = filled(MANY)
    assert all(one is other for one, other in zip(flat(x), flat(x)))
    before = sys.getallocatedblocks()
    for _ in range(1000):
        flat(x)
    assert sys.getallocatedblocks() - before < 100


def test_all_classes_share_the_code_of_unflatten():
    flattened = [jax.tree.flatten(filled(size)) for size in (FEW, MANY)]
    assert len({code for leaves, treedef in flattened for code in frames(treedef.unflatten, leaves)}) == 1


def test_the_instructions_of_a_generated_constructor_grow_by_a_few_for_each_field():
    def instructions(size: int) -> int:
        return len(list(dis.get_instructions(CLASSES[size].__init__)))

    assert instructions(1) < 40
    # Compiling them is most of the time that creating a class takes. An argument beyond a byte is one more of them.
    assert instructions(MANY) - instructions(MANY // 2) <= 7 * MANY // 2


@pytest.mark.skipif(not hasattr(sys, "getallocatedblocks"), reason="counts CPython's blocks of memory")
def test_an_object_takes_three_blocks_of_memory_however_many_fields_it_has():
    # The object, the pair and the children; the statics of a class without any are one tuple for all.
    for size in (1, FEW, MANY):
        values = tuple(range(size))
        assert round(blocks(lambda size=size, values=values: CLASSES[size](*values)), 1) == 3
        leaves, treedef = jax.tree.flatten(CLASSES[size](*values))
        assert round(blocks(lambda leaves=leaves, treedef=treedef: treedef.unflatten(leaves)), 1) == 3
    assert not any(type(referent) is dict for referent in gc.get_referents(filled(FEW)))
    assert sys.getsizeof(filled(FEW)) <= sys.getsizeof(object()) + 16 + 4 * 8


def test_objects_leave_no_garbage_for_the_collector():
    x = filled(FEW)
    leaves, treedef = jax.tree.flatten(x)
    gc.collect()
    gc.disable()
    try:
        for _ in range(100):
            treedef.unflatten(leaves)
            x.replace(f0=1)
            filled(FEW)
            hash(x)
            x == x.replace(f0=2)
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_neither_a_compiled_call_nor_a_change_of_data_looks_at_statics_that_stay():
    config = Watched()
    model = Configured(jnp.arange(2), Configured(jnp.arange(2), config=config), config=config)
    step = jax.jit(lambda model: jax.tree.map(lambda leaf: leaf + 1, model))
    weight = jax.jit(lambda model: model.weight)
    for _ in range(3):
        model = step(model)
        weight(model)
    assert frames(weight, model) == []
    Watched.looks = 0
    for _ in range(3):
        model = step(model)
    changed = model.replace(weight=2)
    leaves, treedef = jax.tree.flatten(model)
    assert flat(changed)[1] is flat(treedef.unflatten(leaves))[1] is flat(model)[1]
    assert Watched.looks == 0
    assert model.inner.config is config


def test_a_static_value_is_looked_at_as_often_however_deep_in_static_fields_it_stands():
    def looks(depth: int) -> int:
        model = Configured(1, config=Watched())
        for _ in range(depth):
            model = Configured(1, config=model)
        Watched.looks = 0
        Configured(1, config=model)
        return Watched.looks

    assert looks(2) == looks(20) <= 3


def test_a_class_leaves_one_source_behind():
    wide(FEW)
    before = set(linecache.cache)
    namespace = {"__annotations__": {"left": Any, "right": Any}, "__qualname__": "Fresh", "__module__": __name__}
    type(Struct)("Fresh", (Struct,), namespace)
    assert set(linecache.cache) - before == {f"<structkit: {__name__}.Fresh.__init__>"}


def test_a_class_statement_passes_few_files():
    def define() -> None:
        class Layer(Struct):
            weight: Any
            bias: Any
            activation: Any = static(default=jax.nn.relu)

            def __call__(self, x):
                return self.activation(x @ self.weight + self.bias)

    define()  # The first class of a shape compiles, too.
    folder = str(Path(structkit.__file__).parent)
    trail = [code.co_filename for code in frames(define) if code.co_filename.startswith(folder)]
    # Where flax is loaded, it is told.
    trail = [name for name in trail if not name.endswith("_interop/flax.py")]
    # `static(...)` in the body is `specifiers.py`, and lazy annotations are asked of `_bridges.py`.
    assert len({*trail} - {f"{folder}/_core/specifiers.py", f"{folder}/_bridges.py"}) <= 8
    assert sum(a != b for a, b in itertools.pairwise(trail)) <= 20


# Trap 27: a list of many structs is nothing special.
def one_place(tree):
    return at(tree, lambda t: t.inner[-1].f0).set(0)


OF_A_LIST = {
    "summary": summary,
    "summary, folded": lambda tree: summary(tree, depth=1),
    "diagram": diagram,
    "batch.stack": lambda tree: batch.stack(tree.inner * 5),  # In chunks of 100.
    "batch.expand": batch.expand,
    "repr": repr,
    "==": lambda tree: tree == copy.copy(tree),
    "hash": lambda tree: hash(Node(tuple(tree.inner))),
    "deepcopy": copy.deepcopy,
    "pickle": lambda tree: pickle.dumps([Pair(layer.f0) for layer in tree.inner]),
    "asdict": dataclasses.asdict,
    "freeze": lambda tree: freeze(jax.tree.leaves(tree)),
    "at, through a list": lambda tree: at(tree, lambda t: list(t.inner)[-1].f0).set(0),
    "at, by its last index": one_place,
    "at, by a path with wildcards": lambda tree: at(tree, "inner.*.f0").set(0),
    "at, many places": lambda tree: at(tree, lambda t: [layer.f1 for layer in t.inner]).apply(lambda leaf: 0),
    "editing": lambda tree: edited(tree),
    "at, in a loop": lambda tree: at(tree, lambda t: [layer.f1 for layer in t.inner][-1]).get(),
    "class creation": lambda tree: [wide(2) for _ in tree.inner],
}


def edited(tree):
    with editing(tree) as edited:
        edited.inner[0].f0 = 1
    return edited


@pytest.mark.parametrize("operation", OF_A_LIST.values(), ids=OF_A_LIST)
def test_what_is_done_to_a_list_of_structs_calls_as_many_functions_for_each_of_them(operation):
    trees = [Node([filled(FEW) for _ in range(size)]) for size in (100, 200, 400)]
    for tree in trees:
        operation(tree)  # What is imported and compiled at first counts for none.
    few, more, many = (calls(operation, tree) for tree in trees)
    # A step of quadratic growth would be 4.
    assert many - more <= 2.1 * (more - few)
    # Where the key is known, the list may be of any length.
    assert operation is not one_place or few == many
