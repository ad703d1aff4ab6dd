"""How the package is built: floors of modules, one caller of JAX's registry, docstrings, frames, compilations."""

import ast
import doctest
import functools
import importlib
import inspect
import itertools
import os
import pathlib
import subprocess
import sys
import textwrap
import types
from typing import Any

import jax
import pytest

import structkit
from structkit import Struct, static

FOLDER = pathlib.Path(structkit.__file__).parent
FLOORS = {
    "errors": 0,
    "_bridges": 0,
    "_core": 0,
    "_core.annotations": 1,
    "_core.statics": 1,
    "_core.fields": 2,
    "_core.specifiers": 3,
    "_core.plan": 3,
    "_core.flat": 4,
    "_core.lifecycle": 5,
    "_core.registry": 5,
    "_core.compare": 5,
    "_core.pretty": 5,
    "_core.attributes": 6,
    "_core.initgen": 6,
    "_core.reload": 6,
    "_core.replace": 6,
    "_core.struct": 7,
    "_trees": 0,
    "_trees.paths": 8,
    "_trees.at": 9,
    "_trees.summary": 9,
    "_interop": 0,
    "_interop.flax": 8,
    "struct": 10,
    "__init__": 11,
}
WINGS = {"_core", "_trees", "_interop"}


def module_name(path: pathlib.Path) -> str:
    """`_core.flat` for the file of that module, `_core` for the `__init__.py` of that folder."""
    *folders, stem = path.relative_to(FOLDER).with_suffix("").parts
    return ".".join([*folders, stem] if stem != "__init__" or not folders else folders)


FILES = {module_name(path): path for path in FOLDER.rglob("*.py")}
MODULES = sorted(FILES)
# Made by a function or a class statement, and explained there; `Static` is an alias, which has no docstring.
WITHOUT_EXAMPLE = ("Field", "FrozenArray", "FrozenDict", "Ref", "Static", "StructError", "StructMeta", "errors")


def parsed(module: str) -> ast.Module:
    return ast.parse(FILES[module].read_text(encoding="utf-8"))


def imports(module: str) -> set[str]:
    """The structkit modules that a module imports, anywhere in it."""
    found = set()
    for node in ast.walk(parsed(module)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    names = {name.removeprefix("structkit.") for name in found if name and name.startswith("structkit.")}
    return names & set(MODULES) - WINGS


def test_every_module_has_a_floor():
    assert set(MODULES) == set(FLOORS)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_from_lower_floors_only(module):
    for imported in imports(module):
        assert FLOORS[imported] < FLOORS[module], f"{module} imports {imported}"


@pytest.mark.parametrize("wing", sorted(WINGS))
def test_a_wing_says_in_few_lines_what_lives_there_and_names_its_modules(wing):
    tree = parsed(wing)
    assert len(tree.body) == 1, "nothing but a docstring: a wing is imported from module by module"
    text = ast.get_docstring(tree)
    assert len(text.splitlines()) <= 8
    named = {module.split(".")[1] for module in MODULES if module.startswith(f"{wing}.")}
    assert {name for name in named if f"`{name}.py`" not in text} <= {"statics", "specifiers"}


def attributes(module: str) -> set[str]:
    """Every dotted attribute that a module reads, and every name that it imports."""
    found = set()
    for node in ast.walk(parsed(module)):
        if isinstance(node, ast.Attribute):
            found.add(ast.unparse(node))
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("module", MODULES)
def test_only_the_bridge_looks_at_the_version_of_python(module):
    looks = {name for name in attributes(module) if name in ("sys.version_info", "sys.hexversion", "sys.version")}
    assert not looks or module == "_bridges"


NO_REGISTRY_OF_JAX = {"register_serialization_state", "register_dataclass_node"}


@pytest.mark.parametrize("module", MODULES)
def test_only_one_module_calls_the_registry_of_jax(module):
    called = {ast.unparse(node.func).split(".")[-1] for node in ast.walk(parsed(module)) if isinstance(node, ast.Call)}
    registers = {name for name in called if name.startswith("register_")} - NO_REGISTRY_OF_JAX
    assert (registers != set()) == (module == "_core.registry")
    assert not any("default_registry" in name for name in attributes(module)) or module == "_core.registry"


@pytest.mark.parametrize("module", MODULES)
def test_no_module_uses_assert_for_mistakes_of_users(module):
    assert not any(isinstance(node, ast.Assert) for node in ast.walk(parsed(module)))


@pytest.mark.parametrize("module", MODULES)
def test_every_module_function_and_class_has_a_docstring(module):
    tree = parsed(module)
    assert ast.get_docstring(tree)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            overload = any(ast.unparse(decorator) == "overload" for decorator in node.decorator_list)
            assert overload or ast.get_docstring(node), node.name


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_in_docstrings_hold(module):
    found = importlib.import_module("structkit" if module == "__init__" else f"structkit.{module}")
    result = doctest.testmod(found, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0


def test_all_names_exist_are_sorted_and_are_all_that_the_package_shows():
    assert structkit.__all__ == sorted(structkit.__all__)
    shown = {
        name
        for name, value in vars(structkit).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    assert shown <= set(structkit.__all__)
    for name in structkit.__all__:
        assert hasattr(structkit, name)


@pytest.mark.parametrize("name", structkit.__all__)
def test_every_public_name_has_a_docstring_that_begins_with_a_sentence(name):
    if name == "Static":
        return
    text = inspect.getdoc(getattr(structkit, name))
    assert text and text.splitlines()[0].endswith((".", ":"))
    assert text[0].isupper() or text[0] == "`"


@pytest.mark.parametrize("name", sorted(set(structkit.__all__) - set(WITHOUT_EXAMPLE)))
def test_every_public_function_has_an_example(name):
    assert ">>>" in inspect.getdoc(getattr(structkit, name))


class Linear(Struct):
    weight: Any
    bias: Any
    scale: Any = 1
    name: str = static(default="linear")


class Unnamed(Struct):
    weight: Any
    bias: Any


def frames(call: functools.partial) -> list[str]:
    """The names of the Python functions that run in a call of a function without a frame of its own."""
    seen: list[types.CodeType] = []

    def tracer(frame: types.FrameType, event: str, argument: Any) -> None:
        seen.append(frame.f_code)

    previous = sys.gettrace()
    sys.settrace(tracer)
    try:
        call()
    finally:
        sys.settrace(previous)
    jax_folder = str(pathlib.Path(jax.__file__).parent)
    return [code.co_name for code in seen if not code.co_filename.startswith(jax_folder)]


def test_flattening_runs_no_python_frame():
    tree = [Linear(1, 2), {"a": Linear(3, Unnamed(4, 5))}]
    assert frames(functools.partial(jax.tree.flatten, tree)) == []
    assert frames(functools.partial(jax.tree.leaves, tree)) == []
    assert frames(functools.partial(jax.tree.structure, tree)) == []


def test_unflattening_runs_one_python_frame_for_each_struct():
    tree = [Linear(1, 2), {"a": Linear(3, Unnamed(4, 5))}]
    leaves, treedef = jax.tree.flatten(tree)
    assert frames(functools.partial(treedef.unflatten, leaves)) == ["unflatten"] * 3


def test_comparing_structures_and_calling_a_compiled_function_runs_no_frame_of_statics():
    a, b = jax.tree.structure(Linear(1, 2)), jax.tree.structure(Linear(3, 4))
    assert frames(functools.partial(a.__eq__, b)) == []
    compiled = jax.jit(lambda tree: tree.weight)
    compiled(Linear(1, 2))
    assert frames(functools.partial(compiled, Linear(3, 4))) == []


def test_a_generated_constructor_runs_one_python_frame():
    assert frames(functools.partial(Unnamed, 1, 2)) == ["__init__"]
    assert frames(functools.partial(Unnamed, weight=1, bias=2)) == ["__init__"]
    assert frames(functools.partial(Linear, 1, 2)) == ["__init__"]
    assert frames(functools.partial(Linear, 1, bias=2, scale=3, name="n")) == ["__init__"]


def test_replacing_data_runs_one_python_frame():
    assert frames(functools.partial(Linear(1, 2).replace, weight=3)) == ["replace_method"]


def test_reading_a_field_runs_at_most_the_getter():
    assert frames(functools.partial(getattr, Linear(1, 2), "weight")) == ["weight"]
    assert frames(functools.partial(getattr, Linear(1, 2), "name")) == ["name"]


def test_methods_are_found_and_instances_checked_without_attribute_hooks():
    assert "__getattribute__" not in Struct.__dict__ and "__getattr__" not in Struct.__dict__
    assert frames(functools.partial(getattr, Linear(1, 2), "replace")) == []
    assert frames(functools.partial(isinstance, Linear(1, 2), Linear)) == []


def run_python(code: str, *flags: str) -> str:
    """What a new interpreter prints that runs `code` and sees what this one can import."""
    path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
    found = subprocess.run(
        [sys.executable, "-W", "error", *flags, "-c", textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


def test_importing_the_package_leaves_the_printer_and_heavy_modules_alone():
    shown = run_python(
        """
        import sys, jax, typing_extensions, numpy
        before = set(sys.modules)
        import structkit
        print(*sorted({name.split(".")[0] for name in set(sys.modules) - before}))
        assert "wadler_lindig" not in sys.modules
        assert "structkit.struct" not in sys.modules
        assert structkit.struct.dataclass is sys.modules["structkit.struct"].dataclass
        class P(structkit.Struct):
            x: int
        P(1).replace(x=2) == P(2)
        assert "wadler_lindig" not in sys.modules
        assert repr(P(1)) == "P(x=1)"
        assert "wadler_lindig" in sys.modules
        """
    )
    assert set(shown.split()) == {"structkit"}


@pytest.mark.parametrize("flag", ["-O", "-OO", "-Xno_debug_ranges"])
def test_classes_are_made_without_assertions_docstrings_and_columns_too(flag):
    shown = run_python(
        """
        from structkit import Struct, derived, static, struct

        class A(Struct):
            x: int
            s: str = static(default="s")

        class B(A):
            y: int = derived()

            def __post_init__(self):
                self.y = self.x

        @struct.dataclass
        class C:
            x: int
            y: B

        print(A(1), B(2).replace(x=3), C(1, B(2)), A.__init__.__doc__)
        """,
        flag,
    )
    assert shown == "A(x=1, s='s') B(x=3, s='s', y=3) C(x=1, y=B(x=2, s='s', y=2)) Make a A from its fields.\n"


def test_the_first_class_of_a_shape_compiles_once_and_others_nothing():
    shown = run_python(
        """
        import sys
        import jax
        from structkit import Struct, field, static

        class First(Struct):
            a: int
            b: int
            c: int = static(default=1)

        compiled, watching = [], False

        def hook(event, arguments):
            # Parsing is told of, too.
            if watching and event == "compile" and not isinstance(arguments[0], str | bytes):
                compiled.append("code")

        sys.addaudithook(hook)
        watching = True

        class New(Struct):
            x: int
            y: jax.Array = field(default=1, converter=int)
            z: str = static(default="z", kw_only=True)

            def __check_init__(self):
                pass

        print(compiled)

        class SameAsFirst(Struct):
            name: str
            children: int
            _0: str = static(default="x")

        class SameAsNew(New):
            y: int = field(default=2, converter=float)

            def __check_init__(self):
                raise SystemExit

        print(compiled)
        """
    )
    assert shown.splitlines() == ["['code']", "['code', 'code']"]


def test_the_generated_constructor_can_be_read_and_carries_a_docstring():
    source = inspect.getsource(Linear.__init__)
    assert source.startswith("def __init__(self, weight, bias, scale=")
    assert inspect.getdoc(Linear.__init__) == "Make a Linear from its fields."
    assert Linear.__init__.__qualname__ == "Linear.__init__" and Linear.__init__.__module__ == __name__
    ast.parse(source)


def test_a_class_statement_passes_few_files():
    folder, trail = str(FOLDER), []

    def profiler(frame: types.FrameType, event: str, argument: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(folder):
            trail.append(frame.f_code.co_filename)

    previous = sys.getprofile()
    sys.setprofile(profiler)
    try:

        class Layer(Struct):
            weight: Any
            bias: Any
            activation: Any = static(default=jax.nn.relu)

            def __call__(self, x):
                return self.activation(x @ self.weight + self.bias)

    finally:
        sys.setprofile(previous)
    # `static(...)` in the body is `specifiers.py`, and lazy annotations are asked of `_bridges.py`.
    assert len({*trail} - {f"{folder}/_core/specifiers.py", f"{folder}/_bridges.py"}) <= 8
    assert sum(a != b for a, b in itertools.pairwise(trail)) <= 20
