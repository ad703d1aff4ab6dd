"""Trap 16: deep nesting and wide structs work, or fail with a clear error."""

import copy
import pickle
import types
from typing import Any

import jax
import pytest

from structkit import Static, Struct, field, fields, static
from tests.models import Node, key_paths, recursion_limit, run_python


def nested(depth: int) -> Any:
    struct: Any = 1.0
    for _ in range(depth):
        struct = Node(struct)
    return struct


def test_structs_nested_a_thousand_levels_deep_flatten_unflatten_and_jit():
    with recursion_limit(10_000):
        leaves, treedef = jax.tree.flatten(nested(1000))
        assert leaves == [1.0]
        again = treedef.unflatten(leaves)
        assert float(jax.jit(lambda s: jax.tree.leaves(s)[0] + 1)(again)) == 2.0
        assert jax.tree.structure(jax.tree.map(lambda leaf: leaf + 1, again)) == treedef
        depth = 0
        while isinstance(again, Node):
            again, depth = again.inner, depth + 1
        assert depth == 1000


def test_the_default_limit_is_enough_for_hundreds_of_levels():
    deep, same = nested(300), nested(300)
    assert deep == same and hash(deep) == hash(same) and repr(deep) == repr(same)
    assert copy.copy(deep) == copy.deepcopy(deep) == pickle.loads(pickle.dumps(deep)) == deep
    assert repr(nested(1000)).startswith("Node(")


def test_structs_nested_too_deep_for_the_interpreter_fail_with_a_recursion_error():
    output = run_python(
        """
        import copy, pickle
        from structkit import Struct

        class Node(Struct):
            inner: object

        def nested(depth):
            struct = 1.0
            for _ in range(depth):
                struct = Node(struct)
            return struct

        one, other = nested(5000), nested(5000)
        for work in (lambda: one == other, lambda: hash(one), lambda: copy.deepcopy(one), lambda: pickle.dumps(one)):
            try:
                work()
            except RecursionError:
                pass
        print(repr(one)[:5])
        """
    )
    assert output == "Node(\n"


def wide(count: int, annotation: Any = Any, options: dict[str, Any] | None = None, **body: Any) -> Any:
    annotations = {f"f{i}": annotation for i in range(count)}
    namespace = {"__annotations__": annotations, "__module__": __name__, **body}
    return types.new_class("Wide", (Struct,), options or {}, lambda ns: ns.update(namespace))


@pytest.mark.parametrize("count", [255, 256, 500])
def test_a_struct_of_many_fields_works(count):
    cls = wide(count)
    struct = cls(*range(count))
    assert jax.tree.leaves(struct) == [getattr(struct, f"f{i}") for i in range(count)] == list(range(count))
    assert cls(**{f"f{i}": i for i in range(count)}) == struct and hash(struct) == hash(cls(*range(count)))
    assert struct.replace(f254=-1).f254 == -1
    assert jax.tree.map(lambda x: x + 1, struct) == cls(*range(1, count + 1))
    assert repr(struct).endswith(f"f{count - 1}={count - 1}\n)")
    assert len(jax.jit(lambda s: jax.tree.leaves(s))(struct)) == count
    assert key_paths(struct)[-1] == f".f{count - 1}"


def test_a_wide_struct_with_statics_defaults_and_keywords_works():
    defaults = {f"f{i}": static(default=i) if i % 5 == 4 else field(default=i) for i in range(0, 500, 2)}
    cls = wide(500, options={"kw_only": True}, **defaults)
    struct = cls(**{f"f{i}": i for i in range(1, 500, 2)})
    assert vars(struct) == pickle.loads(pickle.dumps(vars(struct))) == {f"f{i}": i for i in range(500)}
    assert sum(f.static for f in fields(cls)) == 50 and len(jax.tree.leaves(struct)) == 450
    with pytest.raises(TypeError, match="Wide"):
        cls()


def test_a_wide_struct_with_a_custom_init_works():
    def __init__(self, values):
        for i, value in enumerate(values):
            setattr(self, f"f{i}", value)

    cls = wide(300, __init__=__init__)
    assert jax.tree.leaves(cls(range(300))) == list(range(300))
    with pytest.raises(TypeError, match="f299"):
        cls(range(299))


def test_a_struct_of_many_statics_tells_look_alikes_apart_in_the_last_one():
    cls, ones = wide(300, Static[Any]), [1] * 299
    assert jax.tree.structure(cls(*ones, 1)) == jax.tree.structure(cls(*ones, 1))
    assert jax.tree.structure(cls(*ones, 1)) != jax.tree.structure(cls(*ones, True))
