"""How well the tests protect the package: they run on mutants of it, copies with one small mistake each.

    python tests/mutate.py                          # a sample of 200; fails where less than 95 % of them die
    python tests/mutate.py --count 40 --seed 3      # another, smaller sample
    python tests/mutate.py --only 'update.*:Ref'    # every mutant whose `module:function` matches

First each test file runs once under coverage, which says which tests run which lines. Then each mutant meets the
tests that run its line, those first that run little else, until one fails. A mutant that survives either shows what
no test checks, or behaves as the original does: then `mutants.toml` says why, and the score leaves it out.

One process imports jax and forks a child for each mutant, which imports the package from a copy of the checkout and
runs pytest there. The checkout is never written to. Needs `coverage`, and a system that can fork.
"""

from __future__ import annotations

import argparse
import ast
import collections
import contextlib
import copy
import hashlib
import importlib
import itertools
import json
import os
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import tomllib
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "structkit"
JUDGED = Path(__file__).with_name("mutants.toml")
LEFT_OUT = shutil.ignore_patterns(".*", "build", "dist", "__pycache__", "*.egg-info")

SWAPS: dict[type[ast.AST], tuple[type[ast.AST], ...]] = {
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.And: (ast.Or,),
    ast.Or: (ast.And,),
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Add,),
    ast.Div: (ast.Mult,),
    ast.FloorDiv: (ast.Mult,),
    ast.Mod: (ast.Mult,),
    ast.BitOr: (ast.BitAnd,),
    ast.BitAnd: (ast.BitOr,),
}
TRUE, FALSE, NONE = (ast.Constant(value) for value in (True, False, None))
BLOCKS = {"body", "orelse", "finalbody", "handlers", "cases"}
# Nothing in these is a decision of the code.
UNREAD = {"annotation", "returns", "type_params"}
TYPING = {"TypeVar", "ParamSpec", "TypeVarTuple", "NewType", "cast"}


def changed(node: Any, **values: Any) -> Any:
    """A shallow copy with other values."""
    made = copy.copy(node)
    vars(made).update(values)
    return made


def replacements(node: ast.AST, parent: Any) -> Iterator[ast.AST]:
    """What may stand in the place of `node`, one mistake each."""
    if node is getattr(parent, "test", None) or node in getattr(parent, "ifs", ()):
        yield from (TRUE, FALSE)
    match node:
        case ast.Compare(ops=ops):
            for i, op in enumerate(ops):
                yield from (changed(node, ops=[*ops[:i], other(), *ops[i + 1 :]]) for other in SWAPS[type(op)])
        case ast.BoolOp(op=op, values=values):
            yield changed(node, op=SWAPS[type(op)][0]())
            for i in range(len(values)):
                rest = values[:i] + values[i + 1 :]
                yield rest[0] if len(rest) == 1 else changed(node, values=rest)
        case ast.BinOp(op=op) if type(op) in SWAPS:
            yield changed(node, op=SWAPS[type(op)][0]())
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield operand
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value)):
            yield ast.Constant(value + 1)
        case ast.Constant(value=str(value)):
            yield ast.Constant("XX" + value)
            lines = value.splitlines(keepends=True)
            yield from (ast.Constant("".join(lines[:i] + lines[i + 1 :])) for i in range(len(lines)) if len(lines) > 1)
        case ast.Constant(value=None):
            yield TRUE
        case ast.Call(keywords=keywords):
            yield from (
                changed(node, keywords=[*keywords[:i], *keywords[i + 1 :]]) for i, k in enumerate(keywords) if k.arg
            )
        case ast.Subscript(slice=ast.Slice() as cut):
            yield from (changed(node, slice=changed(cut, **{end: None})) for end in ("lower", "upper"))
        case ast.Return(value=ast.expr()):
            yield changed(node, value=NONE)
        case ast.Assign(targets=[ast.Name()]) | ast.AnnAssign(target=ast.Name(), value=ast.expr()):
            # Without the statement the name would be missing, which is no subtle mistake.
            yield changed(node, value=NONE)
        case ast.Assign() | ast.AugAssign() | ast.Raise() | ast.Delete() | ast.Expr(value=ast.Call()):
            yield ast.Pass()
        case ast.Break():
            yield ast.Continue()
        case ast.Continue():
            yield ast.Break()


class Site(NamedTuple):
    """Where a node stands: its parent, the statement it belongs to, and the names of the functions and classes around.

    `runs_on_import` is whether no function is around it, `is_message` whether strings in it are messages for people.
    """

    node: Any
    parent: Any
    statement: Any
    path: tuple[str, ...] = ()
    runs_on_import: bool = True
    is_message: bool = False


def sites(site: Site) -> Iterator[Site]:
    """The places for mistakes in a node, without type checking, annotations, docstrings and the texts of errors."""
    node, parent, statement, path, runs_on_import, is_message = site
    match node:
        case ast.If() if "TYPE_CHECKING" in ast.unparse(node.test):
            for child in node.body if isinstance(node.test, ast.UnaryOp) else node.orelse:
                yield from sites(site._replace(node=child))
            return
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            if any(["overload" in ast.unparse(decorator) for decorator in node.decorator_list]):
                return
            path = (*path, node.name)
            runs_on_import = runs_on_import and isinstance(node, ast.ClassDef)
            is_message = node.name.endswith("Error")
        case ast.Assign(value=ast.Call(func=ast.Name(id=called))) if called in TYPING:
            return
        case ast.Assign(targets=[ast.Name(id="__all__")]) | ast.Expr(value=ast.Constant()) | ast.JoinedStr():
            # The parts of an f-string have no positions of their own before Python 3.12.
            return
        case ast.Call():
            called = ast.unparse(node.func).split(".")[-1]
            if called in TYPING:
                return
            is_message = is_message or called == "warn" or called.endswith("Error")
        case ast.Raise():
            is_message = True
        case ast.Constant(value=str()) if is_message:
            return
    if isinstance(node, ast.stmt | ast.ExceptHandler):
        statement = node
    yield Site(node, parent, statement, path, runs_on_import, is_message)
    for name, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and name not in UNREAD:
                yield from sites(Site(child, node, statement, path, runs_on_import, is_message))


def substituted(tree: Any, old: ast.AST, new: ast.AST) -> Any:
    """A statement with one node replaced, and without the blocks that are indented under it."""
    if tree is old:
        return new
    if isinstance(tree, list):
        return [substituted(item, old, new) for item in tree]
    if not isinstance(tree, ast.AST):
        return tree
    nested = isinstance(tree, ast.stmt | ast.ExceptHandler)
    parts = ast.iter_fields(tree)
    return changed(tree, **{k: [] if nested and k in BLOCKS else substituted(v, old, new) for k, v in parts})


class Mutant(NamedTuple):
    """One mistake.

    Attributes:
        module: the file, from the package's folder on.
        function: the dotted name of the function or class around it; empty at the top.
        before: the statement, without what is indented under it.
        after: the same with the mistake.
        lines: the lines of the file that a test has to run to see it.
        names: what a statement binds that runs on import.
        span: where the changed part stands in the file, as two byte offsets.
        text: what stands there instead.
    """

    module: str
    function: str
    before: str
    after: str
    lines: range
    names: tuple[str, ...]
    span: tuple[int, int]
    text: str

    @property
    def key(self) -> tuple[str, str, str]:
        """How `mutants.toml` knows it: without line or module, since code moves."""
        return self.function, self.before, self.after

    def apply(self, source: bytes) -> bytes:
        """The mutated source."""
        return source[: self.span[0]] + self.text.encode() + source[self.span[1] :]


def mutants_of(module: str, source: bytes) -> Iterator[Mutant]:
    """Every mutant of one file."""
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    tree = ast.parse(source)
    for node, parent, statement, path, runs_on_import, _ in sites(Site(tree, None, tree)):
        if not hasattr(node, "lineno"):
            continue
        span = starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset
        first = [child.lineno for name in BLOCKS for child in getattr(statement, name, [])[:1]]
        lines = range(statement.lineno, min(first, default=statement.end_lineno + 1))
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            # Defaults and decorators show where the function runs.
            lines = range(statement.body[0].lineno, statement.end_lineno + 1)
        targets = getattr(statement, "targets", [getattr(statement, "target", None)]) if runs_on_import else []
        names = tuple([target.id for target in targets if isinstance(target, ast.Name)])
        before = ast.unparse(substituted(statement, tree, tree))
        for other in replacements(node, parent):
            after = ast.unparse(substituted(statement, node, other))
            text = f"({ast.unparse(other)})" if isinstance(other, ast.expr) else ast.unparse(other)
            if after != before:
                yield Mutant(module, ".".join(path), before, after, lines, names, span, text)


class Test(NamedTuple):
    """What the run under coverage says of a test: how many seconds it takes, and how many lines of the package."""

    seconds: float
    breadth: int


class Map:
    """Which tests run which lines; a line is a module with a number.

    Attributes:
        tests: by file, then by node id.
        overhead: by file, the seconds until its first test starts.
        contexts: by line, the node ids of the tests that run it, and the files that do while they are collected; empty
            for one that runs on import only.
        readers: by name, the lines of the functions that read it.
    """

    def __init__(self, folder: Path, results: Path, files: Iterable[str]):
        from coverage import Coverage

        combined = Coverage(config_file=str(results / "coverage.ini"))
        combined.combine([str(results)])
        data = combined.get_data()
        self.contexts: dict[tuple[str, int], set[str]] = {}
        self.readers = collections.defaultdict[str, set[tuple[str, int]]](set)
        for path in data.measured_files():
            module = Path(path).relative_to(folder / PACKAGE).as_posix()
            for line, contexts in data.contexts_by_lineno(path).items():
                self.contexts[module, line] = {*contexts} - {"import", ""}
            self._note_readers(module, Path(path).read_bytes())
        breadth = collections.Counter(context for contexts in self.contexts.values() for context in contexts)
        self.overhead: dict[str, float] = {}
        self.tests: dict[str, dict[str, Test]] = {}
        for file in files:
            said = read(results, file)
            self.overhead[file] = said["overhead"]
            self.tests[file] = {test: Test(seconds, breadth[test]) for test, seconds in said["seconds"].items()}

    def _note_readers(self, module: str, source: bytes) -> None:
        for function in ast.walk(ast.parse(source)):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = {(module, line) for line in range(function.body[0].lineno, function.end_lineno + 1)}
                for node in ast.walk(function):
                    self.readers[getattr(node, "id", getattr(node, "attr", ""))] |= lines

    def candidates(self, mutant: Mutant) -> list[tuple[str, dict[str, Test]]]:
        """The tests that may see a mistake, by file, the most promising files first."""
        lines = [(mutant.module, line) for line in mutant.lines]
        found = self._contexts_of(lines)
        if not found and not self.contexts.keys().isdisjoint(lines):
            # It runs on import only: take the tests that use what it binds, or else all of them.
            found = self._contexts_of(line for name in mutant.names for line in self.readers[name]) or {*self.tests}
        chosen = [
            (file, {name: test for name, test in tests.items() if file in found or name in found})
            for file, tests in self.tests.items()
        ]
        return sorted([item for item in chosen if item[1]], key=self._worth, reverse=True)

    def _contexts_of(self, lines: Iterable[tuple[str, int]]) -> set[str]:
        return set().union(*(self.contexts.get(line, ()) for line in lines))

    def _worth(self, item: tuple[str, dict[str, Test]]) -> float:
        file, tests = item
        # A test that runs few lines looks at each of them more closely.
        closeness = sum([1 / (1 + test.breadth) for test in tests.values()])
        return closeness / (0.1 + self.overhead[file] + sum([test.seconds for test in tests.values()]))


# What follows runs in the children, each of which leaves one file of JSON.


def result_file(results: Path, name: str) -> Path:
    return results / f"{hashlib.sha256(name.encode()).hexdigest()}.json"


def read(results: Path, name: str) -> Any:
    file = result_file(results, name)
    return json.loads(file.read_text("utf-8")) if file.exists() else None


def write(results: Path, name: str, value: Any) -> None:
    result_file(results, name).write_text(json.dumps(value), "utf-8")


def run_pytest(file: str, plugin: object) -> int:
    """Run one test file in the current folder; pytest's exit code."""
    import pytest

    # A second run in one process finds the plugins imported.
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
    return int(pytest.main([*options, file], plugins=[plugin]))


class Measuring:
    """A plugin of pytest: tells coverage which test runs, and notes which fail and how long each takes."""

    def __init__(self, file: str, coverage: Any):
        self.file, self.coverage = file, coverage
        self.start, self.overhead = time.perf_counter(), 0.0
        self.seconds: dict[str, float] = {}
        self.failed: list[str] = []

    def enter(self, context: str) -> None:
        """Book under this name what runs from now on, in the interpreters that a test starts too."""
        os.environ["MUTATE_CONTEXT"] = context
        self.coverage.switch_context(context)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.overhead = self.overhead or time.perf_counter() - self.start
        # What one test has cached would hide which lines the next one depends on.
        for name in [name for name in sys.modules if name.split(".")[0] == PACKAGE]:
            for value in vars(sys.modules[name]).values():
                if hasattr(type(value), "cache_clear"):
                    value.cache_clear()
        self.enter(nodeid)
        self.seconds[nodeid] = -time.perf_counter()

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self.seconds[nodeid] += time.perf_counter()
        self.enter(self.file)

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            self.failed.append(report.nodeid)

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            self.failed.append(report.nodeid)


def measure(file: str, results: Path) -> None:
    """Run a test file under coverage."""
    from coverage import Coverage

    os.environ["COVERAGE_CORE"] = "ctrace"
    coverage = Coverage(config_file=str(results / "coverage.ini"))
    # The interpreters that a test starts find the `sitecustomize` there.
    os.environ["COVERAGE_PROCESS_START"] = str(results / "coverage.ini")
    os.environ["PYTHONPATH"] += os.pathsep + str(results)
    sys.path.append(str(results))
    plugin = Measuring(file, coverage)
    coverage.start()
    plugin.enter("import")
    importlib.import_module(PACKAGE)
    # What test files share runs in every one of them, and says nothing about this one.
    for name in re.findall(r"^(?:from|import) (tests\.[\w.]+)", Path(file).read_text("utf-8"), re.MULTILINE):
        importlib.import_module(name)
    plugin.start = time.perf_counter()
    plugin.enter(file)
    run_pytest(file, plugin)
    coverage.stop()
    coverage.save()
    write(results, file, {"overhead": plugin.overhead, "seconds": plugin.seconds, "failed": plugin.failed})


class Judging:
    """A plugin of pytest: runs chosen tests only, until one fails, and ends the process where one takes too long."""

    def __init__(self, tests: dict[str, Test], note: Callable[[str], None]):
        self.tests, self.note = tests, note

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        items[:] = [item for item in items if item.nodeid in self.tests]

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.note(f"{nodeid} does not end")
        signal.alarm(30 + int(20 * self.tests[nodeid].seconds))

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            self.note(report.nodeid)
            os._exit(1)


def judge(name: str, candidates: list[tuple[str, dict[str, Test]]], results: Path) -> None:
    """Run tests until one fails: then the exit code is not 0, and the file says which test it was."""
    for file, tests in candidates:
        write(results, name, f"{file} cannot be collected")
        signal.alarm(60)
        code = run_pytest(file, Judging(tests, lambda killer: write(results, name, killer)))
        # Without tests (5), their names depend on what was mutated.
        if code not in (0, 5):
            sys.exit(code)


# What follows runs in the parent.


class Task(NamedTuple):
    """What a child does: a function and its arguments, and a mutant to do it on."""

    name: str
    call: Callable[..., None]
    arguments: tuple[Any, ...]
    mutant: Mutant | None = None


def run_all(tasks: list[Task], folders: list[Path]) -> Iterator[tuple[Task, int, float]]:
    """Each task with its exit status and seconds, as they end: as many at once as there are copies of the checkout."""
    waiting, idle = collections.deque(tasks), [*folders]
    running: dict[int, tuple[Task, Path, float]] = {}
    try:
        while waiting or running:
            while waiting and idle:
                task, folder = waiting.popleft(), idle.pop()
                set_source(folder, task.mutant)
                running[start(task, folder)] = task, folder, time.perf_counter()
            pid, status = os.wait()
            task, folder, begun = running.pop(pid)
            end(pid)
            set_source(folder, task.mutant, back=True)
            idle.append(folder)
            yield task, status, time.perf_counter() - begun
    finally:
        for pid in running:
            end(pid)


def set_source(folder: Path, mutant: Mutant | None, back: bool = False) -> None:
    if mutant is not None:
        file = folder / PACKAGE / mutant.module
        original = (ROOT / PACKAGE / mutant.module).read_bytes()
        file.write_bytes(original if back else mutant.apply(original))


def start(task: Task, folder: Path) -> int:
    """Fork a child that does the task in a folder; its process id."""
    pid = os.fork()
    if pid:
        return pid
    status, stderr = 1, os.dup(2)
    try:
        # What it starts ends with it.
        os.setsid()
        for stream in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
        # A mistake may fill the memory.
        resource.setrlimit(resource.RLIMIT_DATA, (2**33, 2**33))
        os.chdir(folder)
        sys.path.insert(0, str(folder))
        os.environ["PYTHONPATH"] = str(folder)
        task.call(*task.arguments)
        status = 0
    except Exception:
        os.write(stderr, traceback.format_exc().encode())
    finally:
        os._exit(status)


def end(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def known_tests(root: Path, results: Path, jobs: int) -> Map:
    """Run every test file once under coverage; the tests that fail there have to pass without it."""
    (results / "coverage.ini").write_text(
        f"[run]\nsource = {root / PACKAGE}\ndata_file = {results / '.coverage'}\nparallel = true\n"
        "context = ${MUTATE_CONTEXT-}\n"
    )
    (results / "sitecustomize.py").write_text("import coverage\n\ncoverage.process_startup()\n")
    files = [path.relative_to(root).as_posix() for path in (root / "tests").rglob("test_*.py")]
    # The long ones first, so that the processes end together.
    files.sort(key=lambda file: (root / file).stat().st_size, reverse=True)
    again = []
    # Nothing is mutated yet, so one folder does for all.
    for task, status, seconds in run_all([Task(file, measure, (file, results)) for file in files], [root] * jobs):
        if status:
            sys.exit(f"{task.name} cannot be run under coverage")
        said = read(results, task.name)
        print(f"{task.name}: {len(said['seconds'])} tests in {seconds:.0f} s", flush=True)
        if said["failed"]:
            name, chosen = f"{task.name} again", {name: Test(60, 0) for name in said["failed"]}
            again.append(Task(name, judge, (name, [(task.name, chosen)], results)))
    for task, status, _ in run_all(again, [root] * jobs):
        if status:
            sys.exit(f"The tests have to pass on the package itself: {read(results, task.name)}")
    return Map(root, results, files)


def all_mutants(seed: int) -> list[Mutant]:
    """Every mutant, in an order that a small change of the package leaves nearly as it is."""
    found = {}
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        for mutant in mutants_of(path.relative_to(ROOT / PACKAGE).as_posix(), path.read_bytes()):
            found.setdefault((mutant.module, *mutant.key), mutant)
    return sorted(found.values(), key=lambda mutant: hashlib.sha256(repr((seed, *mutant.key)).encode()).digest())


def compiles(mutant: Mutant) -> bool:
    """Whether Python takes the mutated file."""
    try:
        compile(mutant.apply((ROOT / PACKAGE / mutant.module).read_bytes()), mutant.module, "exec", dont_inherit=True)
    except SyntaxError:
        return False
    return True


def text_of(mutant: Mutant) -> str:
    """A mutant as a change of lines, of which long ones are cut to what is near the change."""
    before, after = mutant.before, mutant.after
    same = len([*itertools.takewhile(lambda pair: pair[0] == pair[1], zip(before, after))])
    start = max(0, same - 100)
    cut = [text[start : same + 100].replace("\n", "\n  ") for text in (before, after)]
    return f"{PACKAGE}/{mutant.module}:{mutant.lines.start} {mutant.function}\n- {cut[0]}\n+ {cut[1]}"


def entry_of(mutant: Mutant) -> str:
    """A mutant as an entry of `mutants.toml`."""
    items = {"function": mutant.function, "before": mutant.before, "after": mutant.after, "reason": ""}
    return "\n".join(["[[equivalent]]", *(f"{key} = {json.dumps(value)}" for key, value in items.items())])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200, help="how many mutants (200)")
    parser.add_argument("--seed", type=int, default=0, help="which sample (0)")
    parser.add_argument("--only", metavar="REGEX", help="every mutant whose `module:function` matches, no sample")
    parser.add_argument("--jobs", type=int, default=2, help="how many at once (2)")
    parser.add_argument("--floor", type=float, default=95.0, help="the percentage that has to die (95)")
    options = parser.parse_args()

    judged = {
        (item["function"], item["before"], item["after"]): item["reason"]
        for item in tomllib.loads(JUDGED.read_text("utf-8")).get("equivalent", [])
    }
    mutants = all_mutants(options.seed)
    for key in judged.keys() - {mutant.key for mutant in mutants}:
        print(f"{JUDGED.name} has an entry that fits no mutant: {key}")
    if options.only is not None:
        mutants = [m for m in mutants if re.search(options.only, f"{m.module.removesuffix('.py')}:{m.function}")]
    sample = [*itertools.islice(filter(compiles, mutants), None if options.only else options.count)]
    others = [mutant for mutant in sample if mutant.key not in judged]
    print(f"{len(sample)} mutants, {len(sample) - len(others)} of them judged equivalent", flush=True)

    # The package comes from the copies, and so does `tests`.
    sys.path[:] = [path for path in sys.path if Path(path or ".").resolve() not in (ROOT, ROOT / "tests")]
    os.environ["JAX_PLATFORMS"] = "cpu"
    for name in ("jax", "jax.numpy", "pytest", "hypothesis"):
        importlib.import_module(name)
    # No backend is up yet, and no thread of JAX runs.
    warnings.filterwarnings("ignore", message=r".*fork\(\)")
    with tempfile.TemporaryDirectory(prefix="mutants-") as scratch:
        results, *folders = (Path(scratch, name) for name in ("results", *map(str, range(options.jobs))))
        results.mkdir()
        shutil.copytree(ROOT, folders[0], ignore=LEFT_OUT)
        tests = known_tests(folders[0], results, options.jobs)
        # The copies keep the compiled tests, and never get a compiled mutant.
        sys.dont_write_bytecode = True
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        for folder in folders[1:]:
            shutil.copytree(folders[0], folder)
        tasks = [Task(str(i), judge, (str(i), tests.candidates(m), results), m) for i, m in enumerate(others)]
        survivors = []
        for i, (task, status, seconds) in enumerate(run_all(tasks, folders), 1):
            assert task.mutant is not None
            killer = read(results, task.name) if status else "SURVIVES" if task.arguments[1] else "NO TEST RUNS IT"
            print(f"\n{i}. {text_of(task.mutant)}\n{seconds:.1f} s: {killer}", flush=True)
            if not status:
                survivors.append(task.mutant)
    if survivors:
        print("\nSurvivors: write tests that see them, or say why nobody can.")
    for mutant in survivors:
        print(f"\n{text_of(mutant)}\n{entry_of(mutant)}")
    score = 100 - 100 * len(survivors) / max(1, len(others))
    print(f"\n{len(others) - len(survivors)} of {len(others)} mutants die: {score:.1f} %")
    return int(score < options.floor)


if __name__ == "__main__":
    sys.exit(main())
