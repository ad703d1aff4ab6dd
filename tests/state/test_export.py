"""Structs in functions that `jax.export` serializes, in this process and in others."""

import ast
import importlib
import sys
import types
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from typing_extensions import TypeAliasType

from structkit import Static, Struct, construct, freeze, state, static, struct
from structkit.errors import NotAStructError, StateError
from structkit.state import _names
from tests.models import Box, Coordinates, Mutable, run_python
from tests.state.test_statics import WRITTEN, Holder
from tests.state.trees import Config, Dropped, Layer, Loose, Net, same

CURE = (
    "let the exported function close over it and leave it out of what is exported, or let it be a plain value, "
    "a frozen dataclass or struct of such, or what is found by its name in a module"
)


itself = "itself"


class Served(Struct):
    layers: tuple[Layer, ...]
    scale: float = static(default=2.0)

    def __call__(self, x: Any) -> Any:
        for layer in self.layers:
            x = layer.activation(x @ layer.w) * self.scale
        return x


class Scale(Struct):
    w: Any

    def __call__(self, x: Any) -> Any:
        return self.w @ x


class Logits(NamedTuple):
    values: Any
    model: Any


class Trained(Struct):
    model: Served
    optimizer: Any
    step: Any


def served() -> Served:
    return Served((Layer(jnp.arange(6.0).reshape(3, 2) / 9), Layer(jnp.ones((2, 2)), activation=jnp.tanh)))


def batch_of(*sizes: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((*jax.export.symbolic_shape("batch"), *sizes), jnp.float32)


def serialized(function: Any, *arguments: Any, **options: Any) -> bytes:
    return bytes(jax.export.export(jax.jit(function))(*arguments).serialize(**options))


def identity(tree: Any) -> Any:
    return tree


def copied(tree: Any) -> Any:
    """A tree after a function that was serialized and read again has returned it."""
    return jax.export.deserialize(serialized(identity, tree)).call(tree)


def apply(model: Served, x: Any) -> Logits:
    return Logits(model(x), model)


optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(0.1))


def train(trained: Trained, x: Any) -> Trained:
    gradients = jax.grad(lambda model: model(x).sum())(trained.model)
    updates, state = optimizer.update(gradients, trained.optimizer)
    return Trained(optax.apply_updates(trained.model, updates), state, trained.step + 1)


def test_a_step_of_training_is_read_again_and_takes_batches_of_any_size():
    start = Trained(served(), optimizer.init(served()), jnp.asarray(0))
    assert state.register_export(start) is start
    step = jax.export.deserialize(serialized(train, start, batch_of(3)))
    for size in (1, 5):
        x = jnp.linspace(0.0, 1.0, 3 * size).reshape(size, 3)
        found, expected = step.call(start, x), jax.jit(train)(start, x)
        assert jax.tree.structure(found) == jax.tree.structure(expected)
        jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-6), found, expected)
    with pytest.raises(ValueError, match="same pytree structure as when the function 'train' was exported"):
        step.call(start.replace(model=start.model.replace(scale=3.0)), x)


def test_every_kind_of_node_is_read_again():
    nodes = [
        Box(Layer(())),
        Dropped(jnp.ones(2), n=(1, 2)),
        Loose(jnp.ones(1), n=4),
        Coordinates(jnp.ones(3), (None, ())),
        None,
    ]
    tree = state.register_export({"nodes": nodes, "keys": jax.random.key(0), "mutable": Mutable([jnp.ones(2)])})
    found = copied(tree)
    assert same(found, jax.jit(identity)(tree))
    found["mutable"].x = 3
    with pytest.raises(AttributeError, match="cannot assign to field 'w'"):
        found["nodes"][0].item.w = 3


def test_static_values_are_those_that_files_hold():
    tree = state.register_export([Holder(value) for value in WRITTEN])
    exported = jax.export.deserialize(serialized(lambda tree: jnp.zeros(()), tree))
    assert exported.in_tree == jax.tree.structure(((tree,), {}))
    for value, node in zip(WRITTEN, exported.in_tree.children()[0].children()[0].children()):
        assert type(node.unflatten([]).value) is type(value)


def test_structs_that_are_functions_and_gradients_of_them_are_serialized():
    model, x = state.register_export(Scale(jnp.arange(3.0))), jnp.ones(3)
    assert jax.export.deserialize(serialized(model, x)).call(x) == 3.0
    exported = jax.export.deserialize(serialized(lambda model, x: model(x), model, x, vjp_order=1))
    assert jax.grad(exported.call)(model, x) == Scale(x)


def test_a_new_process_reads_it_and_main_stands_for_any_module(tmp_path):
    model = served()
    state.register_export([model, Logits])
    (tmp_path / "from_module").write_bytes(serialized(apply, model, batch_of(3)))
    printed = run_python(
        f"""
        import pathlib, sys
        from typing import Annotated, Any, ClassVar, Literal, NamedTuple
        import jax, jax.numpy as jnp
        from structkit import Struct, state, static
        from tests.state.trees import Layer

        class Served(Struct):
            layers: tuple[Layer, ...]
            scale: float = static(default=2.0)

        class Logits(NamedTuple):
            values: Any
            model: Any

        state.register_export([Served, Logits])
        folder = pathlib.Path({str(tmp_path)!r})
        apply = jax.export.deserialize((folder / "from_module").read_bytes())
        model = Served((Layer(jnp.arange(6.0).reshape(3, 2) / 9), Layer(jnp.ones((2, 2)), activation=jnp.tanh)))
        for size in (1, 4):
            found = apply.call(model, jnp.ones((size, 3)))
            assert type(found) is Logits and found.model == model
            print(found.values.tolist())
        assert "tests.state.test_export" not in sys.modules

        exported = jax.export.export(jax.jit(lambda model: Logits(model.layers[0].w * model.scale, model)))(model)
        (folder / "from_main").write_bytes(exported.serialize())
        """
    )
    (row,) = jax.jit(apply)(model, jnp.ones((1, 3))).values.tolist()
    for line, size in zip(printed.splitlines(), (1, 4), strict=True):
        np.testing.assert_allclose(ast.literal_eval(line), [row] * size, rtol=1e-6)
    found = jax.export.deserialize((tmp_path / "from_main").read_bytes()).call(model)
    assert type(found) is Logits
    assert found.model == model


def local_class(*fields: str, name: str = "Local", module: str = __name__, **statics: Any) -> Any:
    """A class that its module does not have under its name."""
    annotations = dict.fromkeys([*fields, *statics], Any)
    held = {key: static(default=value) for key, value in statics.items()}
    return type(Struct)(name, (Struct,), {"__annotations__": annotations, "__module__": module, **held})


def is_registered(cls: Any) -> bool:
    try:
        return bool(serialized(identity, cls(1.0)))
    except ValueError as error:
        assert "unregistered type" in str(error)
        return False


# An annotation that has a class in it -> whether it is registered with the class that has the annotation.
ANNOTATIONS = {
    "the class": (lambda cls: cls, True),
    "in containers": (lambda cls: dict[str, list[tuple[cls, ...]]], True),
    "one of two": (lambda cls: cls | None, True),
    "an argument of a struct": (lambda cls: Box[cls], True),
    "a field of a named tuple": (lambda cls: NamedTuple("Two", [("x", int), ("y", cls)]), True),
    "with metadata": (lambda cls: Annotated[cls, "Any, not evaluated ("], True),
    "an alias": (lambda cls: TypeAliasType("Alias", list[cls]), True),
    "a text": (lambda cls: "list[Later] | None", True),
    "a text in a list": (lambda cls: list["Later"], True),  # noqa: F821
    "a text with the class itself": (lambda cls: "Holder | Later", True),
    "a text with an unknown name": (lambda cls: "Nowhere | Later", False),
    "a text that names itself": (lambda cls: list["itself"], False),
    "text values": (lambda cls: Literal["Later"], False),
    "static": (lambda cls: Static[cls], False),
    "no field": (lambda cls: ClassVar[cls], False),
}


@pytest.mark.parametrize(("annotation", "expected"), ANNOTATIONS.values(), ids=ANNOTATIONS)
def test_a_class_brings_those_that_annotations_of_its_data_fields_name(annotation, expected, monkeypatch):
    cls = local_class("x", name="Later")
    monkeypatch.setattr(sys.modules[__name__], "Later", cls, raising=False)
    body = {"__annotations__": {"held": annotation(cls)}, "__module__": __name__}
    holder = type(Struct)("Holder", (Struct,), body)
    assert not is_registered(cls)
    assert state.register_export(holder) is holder
    assert is_registered(cls) is expected


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the type statement came with Python 3.12")
def test_aliases_that_name_themselves_or_nothing_are_followed_as_far_as_they_go():
    cls = local_class("x")
    names: dict[str, Any] = {"Local": cls}
    exec("type Tree = Unknown | list[Tree] | Local\ntype Unknown = Nowhere", names)
    tree = names["Tree"]
    state.register_export(dict[str, tree])
    assert is_registered(cls)


@pytest.mark.parametrize("wrong", [int, dict, struct.PyTreeNode, Config], ids=lambda cls: cls.__name__)
def test_a_class_that_is_no_struct_is_refused_and_nothing_is_registered(wrong):
    cls = local_class("x")
    with pytest.raises(NotAStructError) as error:
        state.register_export([cls, wrong])
    assert str(error.value) == (
        f"register_export takes a Struct, not the class {wrong.__name__}; inherit from structkit.Struct to make one"
    )
    assert not is_registered(cls)


def test_texts_in_a_tree_are_no_annotations():
    tree = state.register_export(["exit('it was evaluated')", b"exit()", 1.0, None, jnp.ones(1), identity])
    assert len(tree) == 6


def test_a_tree_that_holds_itself_is_refused():
    tree: list[Any] = [1.0]
    tree.append(tree)
    with pytest.raises(RecursionError, match="register_export: the tree is more than 2,000 levels deep"):
        state.register_export(tree)


def test_without_flatbuffers_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "flatbuffers", None)
    with pytest.raises(StateError) as error:
        state.register_export(Served)
    assert str(error.value) == (
        "register_export: the package flatbuffers is not here, which jax.export serializes with; "
        "pip install 'structkit-jax[state]'"
    )


def test_what_others_have_registered_stays():
    cls = local_class("x", name="Handled")
    jax.export.register_pytree_node_serialization(
        cls,
        serialized_name="test_export:own",
        serialize_auxdata=lambda aux: b"own",
        deserialize_auxdata=lambda data: (),
    )
    for _ in range(2):
        state.register_export(cls)
    assert b"test_export:own" in serialized(identity, cls(1.0))
    assert copied(cls(1.0)) == cls(jnp.asarray(1.0))


class TestClassesOfOneName:
    def test_in_two_modules_each_is_found(self, monkeypatch):
        classes = []
        for i in range(2):
            module = types.ModuleType(f"one_name_{i}")
            monkeypatch.setitem(sys.modules, module.__name__, module)
            module.State = local_class("x", name="State", module=module.__name__)
            classes.append(module.State)
        tree = state.register_export([cls(jnp.ones(i)) for i, cls in enumerate(classes)])
        assert [*map(type, copied(tree))] == classes

    def test_of_classes_in_functions_the_last_one_is_found(self):
        old, new = local_class("x"), local_class("x")
        state.register_export(new)
        blob = serialized(identity, state.register_export(old(1.0)))
        assert jax.export.deserialize(blob).call(new(1.0)) == new(jnp.asarray(1.0))
        with pytest.raises(ValueError, match="their Python types differ"):
            jax.export.deserialize(blob).call(old(1.0))

    def test_named_tuples_in_functions_are_found_when_they_are_registered(self):
        def define():
            class Inner(NamedTuple):
                x: Any

            return Inner

        for cls in (define(), define()):
            assert type(copied(state.register_export(cls(1.0)))) is cls

    def test_a_reload_of_the_module_takes_the_place_of_the_old_class(self, tmp_path, monkeypatch):
        source = "import typing\nimport structkit\n\nclass Again(structkit.Struct):\n    x: typing.Any\n"
        (tmp_path / "reloaded_for_export.py").write_text(source)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "reloaded_for_export", raising=False)
        module = importlib.import_module("reloaded_for_export")
        blob = serialized(identity, state.register_export(module.Again(1.0)))
        old = module.Again
        assert importlib.reload(module).Again is not old
        for found in (blob, serialized(identity, state.register_export(module.Again(1.0)))):
            assert type(jax.export.deserialize(found).call(module.Again(1.0))) is module.Again


def lost(name: str) -> Any:
    return types.FunctionType(identity.__code__, {}, name)


# Where the value is in the field -> a value that no file can hold there, and its type.
OPAQUE = {
    "": (lambda x: x, "function"),
    ".init": (optax.adam(0.1), "function"),
    "[1][0]": ((1, (lost("inner"),)), "function"),
    ".names[0]": (Config(1, (object(),)), "object"),
    ".activation": (Layer(1, activation=jax.jit(identity)), "PjitFunction"),
    "['a'].note": (freeze({"a": Config(1, note=lost("note"))}), "function"),
}


@pytest.mark.parametrize(("place", "found"), OPAQUE.items())
def test_a_static_value_that_cannot_be_written_is_named(place, found):
    value, kind = found
    exported = jax.export.export(jax.jit(identity))(state.register_export(Net(1.0, name=value)))
    with pytest.raises(StateError) as error:
        exported.serialize()
    assert str(error.value) == (
        f"jax.export: static field Net.name{place} holds a value of the type {kind}, which cannot be written; {CURE}"
    )


def test_a_class_that_other_code_made_a_node_is_left_to_it():
    class Registers:
        def __init_subclass__(cls):
            def made(aux, children):
                return construct(cls, x=children[0], n=aux)

            jax.tree_util.register_pytree_node(cls, lambda node: ((node.x,), node.n), made)

    class Foreign(Registers, Struct):
        x: Any
        n: int = static(default=0)

    class Half(NamedTuple):
        x: Any
        n: int

    jax.tree_util.register_pytree_node(Half, lambda node: ((node.x,), node.n), lambda n, children: Half(*children, n))
    for node in state.register_export([Foreign(1.0), Half(1.0, 2)]):
        with pytest.raises(StateError) as error:
            serialized(lambda node: node.x, node)
        assert str(error.value) == (
            f"jax.export: {type(node).__qualname__} was made a pytree node by other code, which alone knows how it is "
            f"written; give it to jax.export.register_pytree_node_serialization before register_export"
        )


class TestReadingWhatIsNotThere:
    def read(self, blob: bytes, written: str = "", instead: str = "") -> str:
        """The error for a blob with another text in it, of the same length."""
        assert len(written) == len(instead)
        assert written.encode() in blob
        with pytest.raises(StateError) as error:
            jax.export.deserialize(blob.replace(written.encode(), instead.encode()))
        return str(error.value)

    def test_a_class_that_is_not_registered_is_named_by_jax_with_the_function_to_call(self):
        blob = serialized(identity, state.register_export(Box(1.0)))
        with pytest.raises(ValueError, match=r"unregistered type `structkit\.state\.register_export:Cox`"):
            jax.export.deserialize(blob.replace(b"export:Box", b"export:Cox"))

    def test_a_class_that_is_not_loaded(self):
        blob = serialized(identity, state.register_export(Box(1.0)))
        assert self.read(blob, "tests.models:Box", "tests.hotels:Box") == (
            "jax.export: tests.hotels:Box is not among the classes that are loaded; "
            "import the module that has it before deserialize"
        )

    def test_a_class_that_is_something_else_now(self):
        blob = serialized(identity, state.register_export([Box(1.0), Coordinates(1.0, 2.0)]))
        cure = "when the function was exported; export the function again"
        assert self.read(blob, "models:Box", "models:Any") == f"jax.export: tests.models:Any was a struct {cure}"
        assert self.read(blob, "models:Coordinates", "models:run_python ").startswith(
            "jax.export: tests.models:run_python  is not among the classes that are loaded"
        )
        assert self.read(blob, '["named","tests.models:Coordinates"', '["named","tests.models:Linear"     ') == (
            f"jax.export: tests.models:Linear was a named tuple {cure}"
        )

    def test_a_class_that_has_changed(self):
        old = local_class("x", "y", name="Changing", n=1)
        blob = serialized(identity, state.register_export(old(1.0, 2.0)))
        cure = "export the function again"
        then = "x, y, n (static)"
        for fields, statics, now in [
            (("x", "y", "z"), {"n": 1}, "x, y, z, n (static)"),
            (("y", "x"), {"n": 1}, "y, x, n (static)"),
            (("x", "y", "n"), {}, "x, y, n"),
            (("x", "y"), {"n": 1, "a": 2}, "x, y, a (static), n (static)"),
            ((), {}, "none"),
        ]:
            local_class(*fields, name="Changing", **statics)
            assert self.read(blob) == (
                f"jax.export: Changing has other fields than when the function was exported: {now}, not {then}; {cure}"
            )
        # Statics have no order.
        local_class("x", "y", name="Changing", n=1)
        assert jax.export.deserialize(blob).in_tree.num_leaves == 2

    def test_a_static_value_that_is_not_loaded(self):
        blob = serialized(identity, state.register_export(Layer(1.0)))
        assert self.read(blob, "jax.nn:relu", "jax.nn:nope") == (
            "jax.export: static field Layer.activation cannot be made here: jax.nn:nope is not among the loaded "
            "modules; import what it comes from, as it was when the function was exported"
        )

    @pytest.mark.parametrize(
        ("instead", "why"),
        [
            ('"n":[3]', "ValueError: [3] is no code of a value"),
            ('"n":{ }', "ValueError: {} is no code of a value"),
            ('"n":NaN', "ValueError: NaN is no JSON"),
            ('"n" 333', "JSONDecodeError: Expecting ':' delimiter: line 1 column"),
        ],
    )
    def test_damaged_data(self, instead, why):
        blob = serialized(identity, state.register_export(Dropped(1.0, n=123)))
        text = self.read(blob, '"n":123', instead)
        assert text.startswith(f"jax.export: what was written of a class is damaged ({why}")
        assert text.endswith("); export the function again, or restore its file from a copy")

    def test_damaged_data_of_which_the_parts_do_not_fit(self):
        node = state.register_export(local_class("abcde", name="One")(Loose(1.0, n="0.12345678901")))
        local_class("a", "b", name="Two")
        blob = serialized(identity, node)
        entry = '["struct","tests.state.trees:Loose",["x"],{"n":"0.12345678901"}]'
        for written, instead, why in [
            ('One",["abcde"]', 'Two",["a","b"]', "ValueError: Two with 1 children"),
            (entry, '["list",1]'.ljust(len(entry)), "ValueError: not enough values to unpack"),
            (entry, '["other","a:b",[]]'.ljust(len(entry)), "ValueError: 'other' is written of no class"),
            ('"0.12345678901"', '{"float":"nan"}', "StaticValueError: static field Loose.n cannot hold NaN"),
        ]:
            assert f"what was written of a class is damaged ({why}" in self.read(blob, written, instead)

    def test_whatever_bytes_are_damaged_nothing_else_is_raised(self):
        blob = serialized(identity, state.register_export(Layer(1.0, activation=(1, 2.5, Config(3), jnp.tanh))))
        start = blob.index(b'["struct"')
        end = blob.index(b"]", blob.index(b"tanh"))
        random, refused = np.random.default_rng(0), 0
        for letters in 150 * [b'[]{}",:019eE.-null ', bytes(range(256))]:
            damaged = bytearray(blob)
            for place in random.integers(start, end, size=3):
                damaged[place] = random.choice([*letters])
            try:
                jax.export.deserialize(bytes(damaged))
            except StateError:
                refused += 1
        assert refused > 250


def test_a_class_of_the_main_module_that_several_modules_have_is_told_apart_from_one_that_none_has():
    body = {"__annotations__": {"x": Any}, "__qualname__": "Twin"}
    twins = [type(Struct)("Twin", (Struct,), {**body, "__module__": f"tests.{name}"}) for name in ("one", "two")]
    with pytest.raises(_names.UnknownNameError) as caught:
        _names.resolve_class("__main__:Twin")
    assert str(caught.value) == "__main__:Twin may be that of several modules: tests.one, tests.two"
    assert _names.resolve_class("tests.two:Twin") is twins[1]
    with pytest.raises(_names.UnknownNameError, match="is not among the classes that are loaded"):
        _names.resolve_class("__main__:Triplet")
