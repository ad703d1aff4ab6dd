"""How well the tests protect the package: they run on mutants of it, copies with one small mistake each.

    python tests/mutate.py                          # a sample of 200; fails where less than 95 % of them die
    python tests/mutate.py --count 40 --seed 3      # another, smaller sample
    python tests/mutate.py --only 'update.*:Ref'    # every mutant whose `module:function` matches

First each test file runs once under coverage, which says which tests run which lines. Then each mutant meets the
tests that run its line, those first that run little else, until one fails. A mutant that survives either shows what
no test checks, or behaves as the original does: then `mutants.toml` says why, and the score leaves it out.

Everything runs in copies of the checkout, which is never written to. Needs `coverage`.
"""

from __future__ import annotations

import argparse
import ast
import collections
import contextlib
import copy
import hashlib
import itertools
import json
import os
import queue
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "structkit"
FLOOR = 95.0
JOBS = len(os.sched_getaffinity(0))

# Each operator with what may be written in its place.
OPERATORS = """
Eq NotEq; NotEq Eq; Lt LtE GtE; LtE Lt Gt; Gt GtE LtE; GtE Gt Lt; Is IsNot; IsNot Is; In NotIn; NotIn In
And Or; Or And; Add Sub; Sub Add; Mult Add; Div Mult; FloorDiv Mult; Mod Mult; BitOr BitAnd; BitAnd BitOr
"""
SWAPS = {
    getattr(ast, name): [getattr(ast, other) for other in others]
    for name, *others in map(str.split, re.split("[;\n]", OPERATORS.strip()))
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
        case ast.Call(keywords=given):
            yield from (changed(node, keywords=[*given[:i], *given[i + 1 :]]) for i, k in enumerate(given) if k.arg)
        case ast.Subscript(slice=ast.Slice() as cut):
            yield from (changed(node, slice=changed(cut, **{end: None})) for end in ("lower", "upper"))
        # Without an assignment to a name, the name would be missing, which is no subtle mistake.
        case (
            ast.Return(value=ast.expr())
            | ast.Assign(targets=[ast.Name()])
            | ast.AnnAssign(target=ast.Name(), value=ast.expr())
        ):
            yield changed(node, value=NONE)
        case ast.Assign() | ast.AugAssign() | ast.Raise() | ast.Delete() | ast.Expr(value=ast.Call()):
            yield ast.Pass()
        case ast.Break():
            yield ast.Continue()
        case ast.Continue():
            yield ast.Break()


def sites(node: Any, parent: Any, statement: Any, path: tuple[str, ...] = (), message: bool = False) -> Iterator[tuple]:
    """The places for mistakes in a node, without type checking, annotations, docstrings and the texts of errors.

    Each is a node with its parent, its statement, and the names of the functions and classes around; `message` is
    whether strings are for people.
    """
    match node:
        case ast.If() if "TYPE_CHECKING" in ast.unparse(node.test):
            for child in node.body if isinstance(node.test, ast.UnaryOp) else node.orelse:
                yield from sites(child, parent, statement, path, message)
            return
        case ast.FunctionDef() | ast.ClassDef():
            if "overload" in map(ast.unparse, node.decorator_list):
                return
            path, message = (*path, node.name), node.name.endswith("Error")
        case ast.Assign(targets=[ast.Name(id="__all__")]) | ast.Expr(value=ast.Constant()) | ast.JoinedStr():
            # The parts of an f-string have no positions of their own before Python 3.12.
            return
        case ast.Assign(value=ast.Call(func=called)) | ast.Call(func=called) if ast.unparse(called) in TYPING:
            return
        case ast.Call(func=called):
            message = message or ast.unparse(called).endswith(("warn", "Error"))
        case ast.Raise():
            message = True
        case ast.Constant(value=str()) if message:
            return
    if isinstance(node, ast.stmt | ast.ExceptHandler):
        statement = node
    yield node, parent, statement, path
    for name, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and name not in UNREAD:
                yield from sites(child, node, statement, path, message)


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
    """One mistake: in a statement, without what is indented under it, of a function or class, empty at the top."""

    module: str
    function: str
    before: str
    after: str
    # A test has to run one of these to see it.
    lines: range
    # Where the changed part stands in the file, as two byte offsets, and what stands there instead.
    span: tuple[int, int]
    text: str

    @property
    def key(self) -> tuple[str, str, str]:
        """How `mutants.toml` knows it: without line or module, since code moves."""
        return self.function, self.before, self.after

    def source(self) -> bytes:
        source = (ROOT / PACKAGE / self.module).read_bytes()
        return source[: self.span[0]] + self.text.encode() + source[self.span[1] :]

    def compiles(self) -> bool:
        with contextlib.suppress(SyntaxError):
            return bool(compile(self.source(), self.module, "exec", dont_inherit=True))
        return False

    def __str__(self) -> str:
        """The change of lines, of which long ones are cut to what is near the change."""
        pairs = zip(self.before, self.after)
        same = len([*itertools.takewhile(lambda pair: pair[0] == pair[1], pairs)])
        cut = slice(max(0, same - 100), same + 100)
        before, after = (text[cut].replace("\n", "\n  ") for text in (self.before, self.after))
        return f"{PACKAGE}/{self.module}:{self.lines.start} {self.function}\n- {before}\n+ {after}"

    def entry(self) -> str:
        """What `mutants.toml` says of it."""
        items = zip(("function", "before", "after", "reason"), (*self.key, ""))
        return "\n".join(["[[equivalent]]", *(f"{key} = {json.dumps(value)}" for key, value in items)])


def mutants_of(module: str, source: bytes) -> Iterator[Mutant]:
    """Every mutant of one file."""
    starts = [0, *itertools.accumulate(map(len, source.splitlines(keepends=True)))]
    tree = ast.parse(source)
    for node, parent, statement, path in sites(tree, None, tree):
        if not hasattr(node, "lineno"):
            continue
        span = starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset
        first = [child.lineno for name in BLOCKS for child in getattr(statement, name, [])[:1]]
        lines = range(statement.lineno, min(first, default=statement.end_lineno + 1))
        if isinstance(statement, ast.FunctionDef):
            # Defaults and decorators show where the function runs.
            lines = range(statement.body[0].lineno, statement.end_lineno + 1)
        before = ast.unparse(substituted(statement, tree, tree))
        for other in replacements(node, parent):
            after = ast.unparse(substituted(statement, node, other))
            text = f"({ast.unparse(other)})" if isinstance(other, ast.expr) else ast.unparse(other)
            if after != before:
                yield Mutant(module, ".".join(path), before, after, lines, span, text)


def all_mutants(seed: int) -> list[Mutant]:
    """Every mutant, in an order that a small change of the package leaves nearly as it is."""
    found = {}
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        for mutant in mutants_of(path.relative_to(ROOT / PACKAGE).as_posix(), path.read_bytes()):
            found.setdefault((mutant.module, *mutant.key), mutant)
    return sorted(found.values(), key=lambda mutant: hashlib.sha256(repr((seed, *mutant.key)).encode()).digest())


PYTEST = ["-m", "pytest", "-q", "--tb=no", "-p", "no:cacheprovider", "-p", "no:xdist"]
# A mistake may make a loop endless.
UNTIL_ONE_FAILS = [*PYTEST, "-x", "-o", "faulthandler_timeout=120", "-o", "faulthandler_exit_on_timeout=true"]


def run(folder: Path, arguments: list[str], **environment: str) -> tuple[int, str]:
    """Run Python in a copy of the checkout: its exit code, and what it prints."""
    found = os.pathsep.join([str(folder), environment.pop("PYTHONPATH", ""), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", **environment, "PYTHONPATH": found}
    with tempfile.TemporaryFile("w+") as output:
        streams = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": subprocess.STDOUT}
        process = subprocess.Popen(
            [sys.executable, *arguments], cwd=folder, env=environment, start_new_session=True, **streams
        )
        try:
            code = process.wait()
        finally:
            # What it started ends with it.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        output.seek(0)
        return code, output.read()


def killer(folder: Path, tests: list[str]) -> str:
    """The first of the tests that fails; empty if none does."""
    code, output = run(folder, [*UNTIL_ONE_FAILS, *tests], PYTHONDONTWRITEBYTECODE="1")
    failed = re.findall("^(?:FAILED|ERROR) .*", output, re.MULTILINE)
    return (failed or ["The run breaks off."])[0] if code else ""


class Map:
    """Which tests run which lines; a line is a module with a number.

    Attributes:
        contexts: by line, the node ids of the functions that run it, and the files that do while they are collected.
        breadth: by node id, how many lines it runs.
    """

    def __init__(self, folder: Path, results: Path):
        from coverage import Coverage

        # pytest tells the interpreters that a test starts which one it is.
        (results / "coverage.ini").write_text(
            f"[run]\nsource = {folder / PACKAGE}\ndata_file = {results / '.coverage'}\nparallel = true\n"
            "context = ${PYTEST_CURRENT_TEST}\ndynamic_context = test_function\n"
        )
        (results / "sitecustomize.py").write_text("import coverage\n\ncoverage.process_startup()\n")
        environment = {
            "COVERAGE_CORE": "ctrace",
            "COVERAGE_PROCESS_START": str(results / "coverage.ini"),
            "PYTHONPATH": str(results),
        }

        def measure(file: str) -> None:
            code, output = run(folder, [*PYTEST, file], PYTEST_CURRENT_TEST=file, **environment)
            # A test may fail under coverage (1).
            if code not in (0, 1, 5):
                raise RuntimeError(f"{file} cannot be run under coverage:\n{output}")
            print(f"{file}: {output.splitlines()[-1]}", flush=True)

        # The long ones first, so that the processes end together.
        paths = sorted((folder / "tests").rglob("test_*.py"), key=lambda path: path.stat().st_size, reverse=True)
        # These want environments of their own.
        apart = ("packages", "site")
        files = [path.relative_to(folder).as_posix() for path in paths if path.parent.name not in apart]
        with ThreadPoolExecutor(JOBS) as pool:
            list(pool.map(measure, files))
        combined = Coverage(config_file=str(results / "coverage.ini"))
        combined.combine([str(results)])
        data = combined.get_data()
        self.contexts = {
            (Path(path).relative_to(folder / PACKAGE).as_posix(), line): {*map(self._node_id, contexts)}
            for path in data.measured_files()
            for line, contexts in data.contexts_by_lineno(path).items()
        }
        self.breadth = collections.Counter(itertools.chain(*self.contexts.values()))

    @staticmethod
    def _node_id(context: str) -> str:
        """The test function or file of `file|module.function` and of `node id (phase)`."""
        test, _, function = context.partition("|")
        if function and "::" not in test:
            test += "::" + function.split(f"{Path(test).stem}.")[-1].replace(".", "::")
        return test.split("[")[0].split(" ")[0]

    def candidates(self, mutant: Mutant) -> list[list[str]]:
        """The tests that may see a mistake: a few functions that run little else, then all files that run its line."""
        lines = {(mutant.module, line) for line in mutant.lines}
        found = set().union(*(self.contexts[line] for line in lines & self.contexts.keys()))
        functions = sorted([name for name in found if "::" in name], key=lambda name: (self.breadth[name], name))
        files = collections.Counter(name.split("::")[0] for name in found)
        return [tests for tests in (functions[:20], [file for file, _ in files.most_common()]) if tests]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200, help="how many mutants (200)")
    parser.add_argument("--seed", type=int, default=0, help="which sample (0)")
    parser.add_argument("--only", metavar="REGEX", help="every mutant whose `module:function` matches, no sample")
    options = parser.parse_args()

    # The folder of this file has a package named `struct`, as the standard library has a module.
    sys.path[:] = [path for path in sys.path if path != str(Path(__file__).parent)]
    listed = tomllib.loads(Path(__file__).with_name("mutants.toml").read_text("utf-8"))["equivalent"]
    judged = {(item["function"], item["before"], item["after"]) for item in listed}
    mutants = all_mutants(options.seed)
    for key in judged - {mutant.key for mutant in mutants}:
        print(f"mutants.toml has an entry that fits no mutant: {key}")
    if options.only:
        mutants = [m for m in mutants if re.search(options.only, f"{m.module.removesuffix('.py')}:{m.function}")]
    sample = [*itertools.islice(filter(Mutant.compiles, mutants), None if options.only else options.count)]
    others = [mutant for mutant in sample if mutant.key not in judged]
    print(f"{len(sample)} mutants, {len(sample) - len(others)} of them judged equivalent", flush=True)

    # A mistake may fill the memory.
    resource.setrlimit(resource.RLIMIT_DATA, (2**33, 2**33))
    with tempfile.TemporaryDirectory(prefix="mutants-") as scratch, ThreadPoolExecutor(JOBS) as pool:
        results, *folders = (Path(scratch, name) for name in ("results", *map(str, range(JOBS))))
        results.mkdir()
        shutil.copytree(ROOT, folders[0], ignore=shutil.ignore_patterns(".*", "build", "dist", "__pycache__"))
        known = Map(folders[0], results)
        if failed := killer(folders[0], [*known.breadth]):
            sys.exit(f"The tests have to pass on the package itself: {failed}")
        for folder in folders[1:]:
            shutil.copytree(folders[0], folder)
        idle = queue.SimpleQueue[Path]()
        for folder in folders:
            idle.put(folder)

        def judge(mutant: Mutant) -> str:
            """What kills a mutant; empty if it survives."""
            folder = idle.get()
            (folder / PACKAGE / mutant.module).write_bytes(mutant.source())
            try:
                return next(filter(None, (killer(folder, tests) for tests in known.candidates(mutant))), "")
            finally:
                shutil.copy2(ROOT / PACKAGE / mutant.module, folder / PACKAGE / mutant.module)
                idle.put(folder)

        survivors = []
        for i, (mutant, found) in enumerate(zip(others, pool.map(judge, others)), 1):
            print(
                f"\n{i}. {mutant}\n{found or 'SURVIVES' if known.candidates(mutant) else 'NO TEST RUNS IT'}", flush=True
            )
            if not found:
                survivors.append(mutant)
    if survivors:
        print("\nSurvivors: write tests that see them, or say why nobody can.")
    for mutant in survivors:
        print(f"\n{mutant}\n{mutant.entry()}")
    score = 100 - 100 * len(survivors) / max(1, len(others))
    print(f"\n{len(others) - len(survivors)} of {len(others)} mutants die: {score:.1f} %")
    return int(score < FLOOR)


if __name__ == "__main__":
    sys.exit(main())
