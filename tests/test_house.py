"""How the package is built: floors of modules, one caller of JAX's registry, docstrings, imports, compilations."""

import ast
import doctest
import importlib
import inspect
import pathlib
import types

import pytest

import structkit
from tests.models import defaults_of_jax, run_python

FOLDER = pathlib.Path(structkit.__file__).parent
FLOORS = [
    ["errors", "_bridges", "_core", "_trees", "_interop"],
    ["_core.annotations", "_core.statics"],
    ["_core.fields"],
    ["_core.specifiers", "_core.plan"],
    ["_core.flat"],
    ["_core.lifecycle", "_core.registry", "_core.compare"],
    ["_core.attributes", "_core.initgen", "_core.pretty", "_core.reload", "_core.replace"],
    ["_core.struct"],
    ["_trees.nodes", "_trees.arrays", "_trees.differences", "_trees.indexing", "_trees.values", "_interop.flax"],
    [
        *("_trees.paths", "_trees.buffers", "_trees.diagram", "_trees.diff", "_trees.editing", "_trees.summary"),
        *("_trees.unlike", "_trees.axes", "_trees.specs", "_trees.processes"),
    ],
    ["_trees.patterns", "_trees.standins", "_trees.vectors"],
    ["_trees.at", "_trees.batches", "_trees.partition"],
    ["batch", "sharding", "struct"],
    ["state._checksums", "state._collector", "state._dtypes", "state._names", "state._threads"],
    ["state._classes", "state._codec"],
    ["state._schema"],
    ["state._header", "state._hosts", "state._sources"],
    ["state._leaves"],
    ["state._matching", "state._writing"],
    ["state._arrays"],
    ["state._reading"],
    ["state._checkpoints", "state._dicts", "state._export", "state._inspecting"],
    ["state"],
    ["state.__main__"],
    ["_migrate", "_migrate.edits", "_migrate.sources"],
    ["_migrate.code"],
    ["_migrate.project"],
    ["_migrate.checks", "_migrate.fields", "_migrate.imports", "_migrate.places"],
    ["_migrate.pytrees"],
    ["_migrate.classes"],
    ["_migrate.rewrite"],
    ["_migrate.command"],
    ["__init__"],
]
FLOOR = {module: floor for floor, modules in enumerate(FLOORS) for module in modules}
WINGS = {"_core", "_trees", "_interop", "_migrate"}


def module_name(path: pathlib.Path) -> str:
    """`_core.flat` for the file of that module, `_core` for the `__init__.py` of that folder."""
    *folders, stem = path.relative_to(FOLDER).with_suffix("").parts
    return ".".join([*folders, stem] if stem != "__init__" or not folders else folders)


FILES = {module_name(path): path for path in FOLDER.rglob("*.py")}
MODULES = sorted(FILES)
OTHER_REGISTRIES = {"register_serialization_state", "register_dataclass_node", "register_pytree_node_serialization"}
# Made by a function or a class statement, and explained there; `Static` is an alias, which has no docstring.
WITHOUT_EXAMPLE = ("Field", "FrozenArray", "FrozenDict", "Ref", "Refs", "StructError", "StructMeta", "errors")


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
    # `from structkit.state import _codec` in a module of that package names the package too.
    return names & set(MODULES) - WINGS - {module.split(".")[0]}


def test_a_module_imports_from_lower_floors_only_and_every_module_has_one():
    assert set(MODULES) == set(FLOOR)
    for module in MODULES:
        assert [imported for imported in imports(module) if FLOOR[imported] >= FLOOR[module]] == [], module


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
def test_only_the_bridge_looks_at_the_version_of_python_and_only_one_module_at_the_registry_of_jax(module):
    versions = {name for name in attributes(module) if name in ("sys.version_info", "sys.hexversion", "sys.version")}
    assert not versions or module == "_bridges"
    called = {ast.unparse(node.func).split(".")[-1] for node in ast.walk(parsed(module)) if isinstance(node, ast.Call)}
    registers = {name for name in called if name.startswith("register_")} - OTHER_REGISTRIES
    assert (registers != set()) == (module == "_core.registry")
    assert not any("default_registry" in name for name in attributes(module)) or module == "_core.registry"


@pytest.mark.parametrize("module", MODULES)
def test_every_module_function_and_class_has_a_docstring_and_no_assert_is_for_mistakes_of_users(module):
    tree = parsed(module)
    assert not any(isinstance(node, ast.Assert) for node in ast.walk(tree))
    assert ast.get_docstring(tree)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            overload = any(ast.unparse(decorator) == "overload" for decorator in node.decorator_list)
            assert overload or ast.get_docstring(node), node.name


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_in_docstrings_hold(module):
    found = importlib.import_module("structkit" if module == "__init__" else f"structkit.{module}")
    with defaults_of_jax():
        result = doctest.testmod(found, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0


def test_all_names_exist_are_sorted_and_are_all_that_the_package_shows():
    assert structkit.__all__ == sorted(structkit.__all__)
    shown = {name for name, value in vars(structkit).items() if not isinstance(value, types.ModuleType)}
    assert {name for name in shown if not name.startswith("_")} <= set(structkit.__all__)
    assert all(hasattr(structkit, name) for name in structkit.__all__)


@pytest.mark.parametrize("name", sorted(set(structkit.__all__) - {"Static"}))
def test_every_public_name_has_a_docstring_that_begins_with_a_sentence_and_an_example(name):
    text = inspect.getdoc(getattr(structkit, name))
    assert text.splitlines()[0].endswith((".", ":"))
    assert text[0].isupper() or text[0] == "`"
    assert (">>>" in text) or name in WITHOUT_EXAMPLE


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
        assert "wadler_lindig" not in sys.modules
        assert repr(P([1])) == "P(x=[1])"
        assert "wadler_lindig" in sys.modules
        """
    )
    assert set(shown.split()) == {"structkit"}


def test_classes_are_made_without_assertions_docstrings_and_columns_too():
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
        "-OO",
        "-Xno_debug_ranges",
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
            if watching and event == "compile" and arguments[1] == "<structkit>":
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
    assert shown.splitlines() == ["['code']", "['code']"]
