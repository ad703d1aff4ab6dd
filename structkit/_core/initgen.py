"""From the plan of a class to its `__init__`: source text, compiled once for each shape of class, shown in tracebacks.

Only the `__init__` is generated. Flatten, unflatten, `replace`, `==` and `repr` depend on the flat form alone and are
shared by all classes.
"""

from __future__ import annotations

import functools
import inspect
import linecache
import re
import sys
import types
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

from structkit._bridges import FACTORY, set_annotations, without_columns
from structkit._core.fields import MISSING, Field
from structkit._core.flat import Draft, Incomplete, Unset, store
from structkit._core.lifecycle import abandon, as_function, finish, init_part
from structkit._core.plan import ClassPlan, is_generated
from structkit._core.statics import PLAIN, pack_statics

# What a generated `__init__` refers to. They are cells of a closure, so that its globals are those of the class's
# module: there its annotations have their meaning.
_HELPERS = {
    word: types.CellType(helper)
    for word, helper in [
        *[(f.__name__, f) for f in (BaseException, abandon, finish, init_part, pack_statics, tuple, type)],
        *[("draft", Draft), ("factory", FACTORY), ("incomplete", Incomplete), ("plain", PLAIN), ("store", store)],
    ]
}
_CELLS = {*_HELPERS, "cls", "names", "plan", "post_init", "static_names"}
# A field may have one of these names: the word then gets another one.
_WORDS = {*_CELLS, "aux", "check", "children", "self"}
# What an argument has for itself.
_OF_ARGUMENT: dict[str, Callable[[ClassPlan, Field], Any]] = {
    "convert": lambda plan, f: f.converter,
    "default": lambda plan, f: f.default,
    "make": lambda plan, f: f.default_factory,
    "unset": lambda plan, f: Unset(plan.name, f.name),
}


def generate_init(plan: ClassPlan, module: str, qualname: str) -> tuple[Callable[..., None], Callable[[type], None]]:
    """The `__init__` of the class, and a function to call with the class once it exists, since not all bodies pass.

    That tells the `__init__` which class it constructs, and `inspect.getsource` and tracebacks its source.
    """
    arguments = [*plan.arguments.values()]
    shape = template(plan.frozen, plan.post_init is not None, bool(plan.checks), tuple(map(_argument, arguments)))
    # Placeholder -> name in this class, and placeholder -> value.
    words = dict(zip(shape.places, plan.arguments), _name=plan.name)
    values: dict[str, Any] = {
        # None while hooks (`__init_subclass__`) run: `init_part` then does the work, more slowly.
        "cls": None,
        "names": tuple([words[place] for place in shape.set_here]),
        "plan": plan,
        "post_init": None if plan.post_init is None else as_function(plan.post_init),
        "static_names": plan.static_names,
    }
    taken = {*plan.arguments}
    for word in _WORDS & taken:
        words[word] = _free(word, taken)
    for kind, i in shape.own:
        words[f"{kind}_{i}"] = _free(f"{kind}_{arguments[i].name}", taken)
        values[f"{kind}_{i}"] = _OF_ARGUMENT[kind](plan, arguments[i])
    pieces = [*shape.pieces]
    pieces[1::2] = map(words.get, pieces[1::2], pieces[1::2])
    source = "".join(pieces)
    filename = _filename(f"{module}.{qualname}.__init__", source)
    code = shape.code.replace(
        co_consts=(shape.code.co_consts[0].replace("_name", plan.name), *shape.code.co_consts[1:]),
        co_varnames=tuple(map(words.get, shape.code.co_varnames, shape.code.co_varnames)),
        co_freevars=tuple(map(words.get, shape.code.co_freevars, shape.code.co_freevars)),
        co_filename=filename,
        co_firstlineno=1,
        co_qualname=f"{qualname}.__init__",
    )
    # Code that `exec` runs may have a module of its own in name only.
    scope = vars(sys.modules[module]) if module in sys.modules else {"__name__": module}
    defaults = [(f, FACTORY if f.default is MISSING else f.default) for f in map(arguments.__getitem__, shape.defaults)]
    positional = tuple([default for f, default in defaults if not f.kw_only])
    cells = {word: _HELPERS.get(word) or types.CellType(values[word]) for word in shape.code.co_freevars}
    init = types.FunctionType(code, scope, "__init__", positional, tuple(cells.values()))
    init.__kwdefaults__ = {f.name: default for f, default in defaults if f.kw_only}
    init.__module__ = module
    set_annotations(init, functools.partial(_annotations, plan), lambda: cells["cls"].cell_contents)

    def publish(cls: type) -> None:
        cells["cls"].cell_contents = cls
        linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)

    return init, publish


def rebind_post_init(init: Any, post_init: Any) -> None:
    """Make a generated `__init__`, decorated or not, call another `__post_init__` than the class's own."""
    init = inspect.unwrap(init)
    if is_generated(init):
        for name, cell in zip(init.__code__.co_freevars, init.__closure__ or ()):
            if name.rstrip("_") == "post_init":
                cell.cell_contents = as_function(post_init)


def _argument(f: Field) -> tuple[bool, ...]:
    """What decides the code of an `__init__` about one of the arguments: all but its name and values."""
    factory, converter = f.default_factory is not MISSING, f.converter is not None
    return f.is_initvar, f.static, f.init, f.kw_only, f.default is not MISSING, factory, converter


def _free(word: str, taken: set[str]) -> str:
    while word in taken:
        word += "_"
    taken.add(word)
    return word


class Template(NamedTuple):
    """The `__init__` of all classes of one shape, with placeholders: `_0` for an argument, `make_0` for its factory."""

    code: types.CodeType
    pieces: list[str]  # The source, in turn what is between two words and a word.
    places: list[str]  # The placeholders of the arguments.
    set_here: list[str]  # Those of the fields that it sets, data first.
    own: list[tuple[str, int]]  # Of each thing that an argument has for itself, the kind and the argument.
    defaults: list[int]  # The parameters with a default.


# Compiling was a third of what a class costs, and the code of an `__init__` depends on names only through its tables
# of names. So it is compiled once for each shape, and each class gets a clone with its own names.
@functools.lru_cache(maxsize=1024)
def template(frozen: bool, post_init: bool, checks: bool, arguments: tuple[tuple[bool, ...], ...]) -> Template:
    """The template of a shape: of all that decides the code apart from names and values; see `_argument`."""
    positional, keywords, own, defaults = ["self"], ["*"], list[tuple[str, int]](), list[int]()
    prepare, data, statics, initvars = list[str](), list[str](), list[str](), list[str]()
    for i, (initvar, static, init, keyword_only, default, factory, converter) in enumerate(arguments):
        value = place = f"_{i}"
        if init:
            given = f"{place}=factory" if factory else f"{place}=default{place}" if default else place
            (keywords if keyword_only else positional).append(given)
            defaults += [i] if factory or default else []
        elif default:
            prepare.append(f"{place} = default{place}")
        elif not factory:
            value = f"unset{place}"
            own.append(("unset", i))
        if default:
            own.append(("default", i))
        if factory:
            make = f"{place} = make{place}()"
            prepare += [f"if {place} is factory:", f"    {make}"] if init else [make]
            own.append(("make", i))
        if converter and value is place:
            prepare.append(f"{place} = convert{place}({place})")
            own.append(("convert", i))
        (initvars if initvar else statics if static else data).append(value)
    set_here = [value for value in data + statics if value[0] == "_"]
    source = "\n    ".join(
        [
            f"def __init__({', '.join(positional + (keywords if len(keywords) > 1 else []))}):",
            f'"""Make a _name from its fields{", then run its __post_init__" if post_init else ""}."""',
            *prepare,
            *_body(frozen, ["self", *initvars] if post_init else [], checks, data, statics, set_here),
        ]
    )
    pieces = _WORD.split(source + "\n")
    cells = [*_CELLS.intersection(pieces), *[f"{kind}_{i}" for kind, i in own]]
    places = [f"_{i}" for i in range(len(arguments))]
    return Template(_compile(source, cells), pieces, places, set_here, own, defaults)


# There are no numbers in the source.
_WORD = re.compile(r"(\w+)", re.ASCII)


def _body(
    frozen: bool, hook: list[str], checks: bool, data: list[str], statics: list[str], set_here: list[str]
) -> list[str]:
    """The lines that store the flat form, once each field has its value or is `unset_0`.

    `hook` has the arguments of `__post_init__`, if there is one.
    """
    complete, listed = set_here == data + statics, f"[{', '.join(data)}]"
    aux, pack = "()", []
    if not {*statics}.issubset(set_here):
        # They are checked when the last one is set.
        aux = f"incomplete({_tuple(['static_names', *statics])})"
    elif statics:
        aux = "aux"
        pack = [
            f"if {' and '.join([f'type({value}) in plain' for value in statics])}:",
            f"    aux = {_tuple(['static_names', *statics])}",
            "else:",
            f"    aux = pack_statics(plan.name, static_names, {_tuple(statics)})",
        ]
    run_checks = ["for check in plan.checks:", "    check(self)"] if checks else []
    if complete and not hook:
        return [
            f"children = {_tuple(data) if frozen else listed}",
            "if type(self) is not cls:",
            f"    return init_part(self, names, {_tuple(['*children', *statics]) if statics else 'children'})",
            *pack,
            f"store(self, (children, {aux}))",
            *run_checks,
        ]
    # Where `__post_init__` may assign, or fields are not set yet, the children are a draft until the end.
    draft = listed if {*data}.issubset(set_here) else f"draft({listed})"
    close = ["children, aux = self.__flat__", "store(self, (tuple(children), aux))"] if frozen else []
    if not complete:
        # It has to be seen whether all are set; and it runs the checks.
        close, run_checks = ["finish(self)"], []
    return [
        "if type(self) is not cls:",
        f"    return init_part(self, names, {_tuple(set_here)}{f', {_tuple(hook[1:])}' if hook else ''})",
        *pack,
        # All of it in the `try`, since an interrupt may come between any two steps.
        "try:",
        f"    store(self, ({draft}, {aux}))",
        *([f"    post_init({', '.join(hook)})"] if hook else []),
        *[f"    {step}" for step in close],
        "except BaseException:",
        "    abandon(self)",
        "    raise",
        *run_checks,
    ]


def _compile(source: str, cells: list[str]) -> types.CodeType:
    """The code of a function to which these names are cells."""
    text = f"def make({', '.join(cells)}):\n " + source.replace("\n", "\n ")
    # Not without docstrings (`python -OO`): they are in the constants.
    code = compile(text, "<structkit>", "exec", dont_inherit=True, optimize=0)
    for _ in ("make", "__init__"):
        code = next(part for part in code.co_consts if isinstance(part, types.CodeType))
    return without_columns(code)


def _tuple(parts: list[str]) -> str:
    return f"({parts[0]},)" if len(parts) == 1 else f"({', '.join(parts)})"


def _filename(title: str, source: str) -> str:
    """A file name under which `linecache` may show `source`; a source that comes again keeps its name."""
    filename = f"<structkit: {title}>"
    if filename not in linecache.cache or "".join(linecache.getlines(filename)) == source:
        return filename
    return f"<structkit: {title} {zlib.crc32(source.encode()):08x}>"


def _annotations(plan: ClassPlan, declared: dict[str, Any]) -> dict[str, Any]:
    found = {
        name: declared.get(name, f.type) if f.converter is None else _argument_type(f.converter)
        for name, f in plan.arguments.items()
        if f.init
    }
    return {**found, "return": None}


def _argument_type(converter: Callable[..., Any]) -> Any:
    """What a converter says that it takes: the annotation of its first parameter, `Any` without one."""
    for resolve in (True, False):
        try:
            parameters = inspect.signature(converter, eval_str=resolve).parameters.values()
        except Exception:
            continue
        annotation = next((parameter.annotation for parameter in parameters), Any)
        # A text does not resolve where the converter is written; in the module of the class it may mean another thing.
        return Any if annotation is inspect.Parameter.empty or isinstance(annotation, str) else annotation
    return Any
