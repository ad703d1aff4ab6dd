"""`flax.serialization` works on decorated classes, `PyTreeNode`s and plain structs, in either order of import."""

import textwrap
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from structkit import Struct, static, struct
from structkit.errors import DefinitionError
from tests.models import run_python

serialization = pytest.importorskip("flax.serialization", reason="flax is not installed: nothing to serialize with")
flax_struct = pytest.importorskip("flax.struct")
train_state = pytest.importorskip("flax.training.train_state")


@struct.dataclass
class Inner:
    w: Any
    name: str = struct.field(pytree_node=False, default="inner")


class Node(struct.PyTreeNode):
    inner: Inner
    items: Any = None
    rate: float = struct.field(pytree_node=False, default=0.1)


class Plain(Struct):
    node: Node
    steps: int
    unit: str = static(default="m")


def make(scale=1.0):
    return Plain(Node(Inner(scale * jnp.ones(2)), [Inner(scale), {"k": (scale,)}]), steps=3)


def test_state_dicts_hold_the_data_fields_by_name():
    state = serialization.to_state_dict(make())
    assert list(state) == ["node", "steps"] and list(state["node"]) == ["inner", "items"]
    assert list(state["node"]["inner"]) == ["w"] and state["node"]["items"]["1"] == {"k": {"0": 1.0}}


def test_a_struct_that_a_hook_has_registered_with_jax_is_known_too():
    class Known:
        def __init_subclass__(cls):
            jax.tree_util.register_pytree_node(cls, lambda me: ((me.x,), None), lambda aux, children: cls(*children))

    class A(Known, Struct):
        x: Any

    assert serialization.to_state_dict(A(1)) == {"x": 1}


@pytest.mark.parametrize("bases", [(train_state.TrainState, Struct), (Struct, flax_struct.PyTreeNode)])
def test_a_static_field_beside_a_base_of_flax_that_registers_it_as_a_leaf_is_refused(bases):
    type(Struct)("Kept", bases, {"__annotations__": {"x": Any}})
    with pytest.raises(DefinitionError) as caught:
        type(Struct)("Hidden", bases, {"__annotations__": {"k": int}, "k": static()})
    assert str(caught.value) == (
        "Hidden: static field 'k' would be a leaf: a base has registered the class with JAX, all fields as data; "
        "inherit from Struct without that base"
    )


def test_state_dicts_and_bytes_are_restored_into_the_target_which_gives_the_statics():
    target = Plain(Node(Inner(0.0, name="kept"), [Inner(0.0), {"k": (0.0,)}], rate=0.5), steps=0, unit="km")
    expected = Plain(Node(Inner(2 * jnp.ones(2), "kept"), [Inner(2.0), {"k": (2.0,)}], rate=0.5), 3, "km")
    assert serialization.from_state_dict(target, serialization.to_state_dict(make(2.0))) == expected
    restored = serialization.from_bytes(target, serialization.to_bytes(make(2.0)))
    assert restored == expected and type(restored.node.inner.w) is np.ndarray


def test_a_state_that_is_no_dict_is_refused_with_its_place():
    state = serialization.to_state_dict(make())
    state["node"]["inner"] = None
    with pytest.raises(ValueError) as caught:
        serialization.from_state_dict(make(), state)
    assert str(caught.value) == (
        "a NoneType in the place of the fields in state dict while restoring an instance of Inner, at path ./node/inner"
    )


def test_bytes_are_those_of_flax():
    @flax_struct.dataclass
    class Theirs:
        w: Any
        name: str = flax_struct.field(pytree_node=False, default="inner")

    assert serialization.to_bytes(Theirs(jnp.ones(3))) == serialization.to_bytes(Inner(jnp.ones(3)))


def test_a_dict_with_fields_is_restored_by_its_constructor():
    @struct.dataclass
    class Output(dict):
        w: Any
        name: str = struct.field(pytree_node=False, default="output")

        def __post_init__(self):
            self["twice"] = 2 * self.w

    restored = serialization.from_bytes(Output(0.0, name="kept"), serialization.to_bytes(Output(1.0)))
    assert (restored.w, restored["twice"], restored.name) == (1.0, 2.0, "kept")
    with pytest.raises(ValueError, match=r"^Missing field w in state dict while restoring an instance of Output"):
        serialization.from_state_dict(restored, {})


@pytest.mark.parametrize("change", [lambda node: node.pop("inner"), lambda node: node.update(no=1)])
def test_errors_have_the_words_and_the_path_of_flax(change):
    Theirs = flax_struct.dataclass(type("Node", (), {"__annotations__": {"inner": Any, "items": Any}}))
    state = serialization.to_state_dict([make().node])
    change(state["0"])
    messages = []
    for target in ([make().node], [Theirs(1, None)]):
        with pytest.raises(ValueError) as info:
            serialization.from_state_dict(target, state)
        messages.append(str(info.value))
    assert messages[0] == messages[1] and "at path ./0" in messages[0]


def test_restoring_runs_no_code_of_the_class_and_takes_any_name():
    @struct.dataclass
    class Doubled:
        replace: Any
        self: int = 0

        def __post_init__(self):
            object.__setattr__(self, "replace", 2 * self.replace)

    class Made(Struct):
        x: Any

        def __init__(self, one, two):
            self.x = one + two

    for value in (Doubled(2), Made(1, 3)):
        state = serialization.to_state_dict(value)
        assert next(iter(state.values())) == 4 and serialization.from_state_dict(value, state) == value


def test_classes_can_still_be_registered_by_their_authors():
    class Own(Struct):
        x: int

    assert serialization.is_serializable(Own)
    serialization.register_serialization_state(
        Own, lambda own: {"y": own.x}, lambda own, state: Own(state["y"]), override=True
    )
    assert serialization.to_state_dict(Own(1)) == {"y": 1}


STEPS = {
    "flax": "import flax.serialization",
    "structkit": "import structkit; from structkit import Struct, static, struct",
    "classes": """
        @struct.dataclass
        class A:
            x: int
            s: str = struct.field(pytree_node=False, default="s")

        class B(struct.PyTreeNode):
            a: A

        class C(Struct):
            b: B
    """,
}


@pytest.mark.parametrize(
    "order", [("flax", "structkit", "classes"), ("structkit", "flax", "classes"), ("structkit", "classes", "flax")]
)
def test_any_order_of_import_will_do(order):
    check = """
        from flax import serialization
        state = serialization.to_state_dict(C(B(A(1))))
        assert state == {"b": {"a": {"x": 1}}}, state
        assert serialization.from_bytes(C(B(A(0))), serialization.to_bytes(C(B(A(5))))).b.a.x == 5
        class Late(C): pass
        assert serialization.to_state_dict(Late(B(A(1)))) == state
        import sys, importlib.util, inspect
        assert not any(type(finder).__module__.startswith("structkit") for finder in sys.meta_path)
        assert importlib.util.find_spec("flax.serialization").origin.endswith("serialization.py")
        assert "def to_bytes" in inspect.getsource(serialization)
    """
    run(*(STEPS[step] for step in order), check)


def test_flax_is_never_imported_by_structkit():
    run(STEPS["structkit"], STEPS["classes"], "import sys; assert not any(m.startswith('flax') for m in sys.modules)")


def test_two_copies_of_the_package_in_one_process_both_serialize():
    run(
        STEPS["structkit"],
        """
        import sys
        class First(Struct):
            x: int
        for name in [name for name in sys.modules if name.partition(".")[0] == "structkit"]:
            del sys.modules[name]
        import structkit
        class Second(structkit.Struct):
            x: int
        assert structkit.Struct is not Struct
        from flax import serialization
        assert serialization.to_state_dict(First(1)) == serialization.to_state_dict(Second(1)) == {"x": 1}
        """,
    )


def test_the_first_class_of_a_process_waits_for_a_thread_that_is_importing_flax():
    run(
        """
        import threading
        from structkit import Struct
        started, defined = threading.Event(), threading.Event()
        def pause(frame, event, argument):
            if frame.f_globals.get("__name__") == "flax.serialization" and frame.f_code.co_name == "<module>":
                started.set()
                # In vain, since the first class waits for this module.
                defined.wait(timeout=0.2)
        threading.settrace(pause)
        thread = threading.Thread(target=__import__, args=("flax",))
        thread.start()
        started.wait()
        class First(Struct):
            x: int
        class Second(Struct):
            x: int
        defined.set()
        thread.join()
        from flax import serialization
        assert serialization.to_state_dict(First(1)) == serialization.to_state_dict(Second(1)) == {"x": 1}
        """
    )


def test_classes_that_threads_define_while_flax_is_imported_are_known_to_it():
    run(
        """
        import sys, threading
        from structkit import Struct
        class First(Struct):
            x: int
        sys.setswitchinterval(1e-6)
        made, done = [], threading.Event()
        def define():
            while not done.is_set() and len(made) < 2000:
                made.append(type(Struct)("Late", (Struct,), {"__annotations__": {"x": int}}))
        threads = [threading.Thread(target=define) for _ in range(3)]
        for thread in threads:
            thread.start()
        from flax import serialization
        done.set()
        for thread in threads:
            thread.join()
        assert made and all(serialization.to_state_dict(cls(1)) == {"x": 1} for cls in made)
        """
    )


def test_an_import_of_flax_that_fails_is_tried_again():
    run(
        "import sys; sys.modules['msgpack'] = None",
        STEPS["structkit"],
        STEPS["classes"],
        """
        try:
            import flax.serialization
        except ImportError:
            pass
        else:
            raise AssertionError
        del sys.modules["msgpack"]
        import flax.serialization
        assert flax.serialization.to_state_dict(A(1)) == {"x": 1}
        """,
    )


def run(*parts):
    run_python("\n".join(textwrap.dedent(part) for part in parts))
