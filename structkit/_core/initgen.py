"""From the plan of a class to its `__init__`: source text, compiled once for each shape of class, shown in tracebacks.

Only the `__init__` is generated. Flatten, unflatten, `replace`, `==` and `repr` depend on the flat form alone and are
shared by all classes.
"""

from __future__ import annotations

import functools
import inspect
import keyword
import linecache
import re
import sys
import types
from collections.abc import Callable, Container, Iterable
from typing import Any

from structkit._bridges import LAZY_ANNOTATIONS, class_annotations, set_lazy_annotations, without_columns
from structkit._core.fields import MISSING, Field
from structkit._core.flat import Draft, Incomplete, Unset, store
from structkit._core.lifecycle import abandon, as_function, finish, init_part
from structkit._core.plan import ClassPlan
from structkit._core.statics import PLAIN, pack_statics


class Factory:
    """The default of a parameter whose real default is made anew for each object."""

    def __repr__(self) -> str:
        return "<factory>"


FACTORY = Factory()

# What a generated `__init__` refers to, next to the class, its defaults, converters and factories. They are cells of a
# closure, so that its globals are those of the class's module: there its annotations have their meaning.
HELPERS: dict[str, types.CellType] = {
    word: types.CellType(value)
    for word, value in {
        "BaseException": BaseException,
        "abandon": abandon,
        "draft": Draft,
        "factory": FACTORY,
        "finish": finish,
        "incomplete": Incomplete,
        "init_part": init_part,
        "pack_statics": pack_statics,
        "plain": PLAIN,
        "store": store,
        "tuple": tuple,
        "type": type,
    }.items()
}

# Every word of the templates below that a field may have for its name: it then gets another one.
_RESERVED = frozenset(
    {*HELPERS, "aux", "check", "checks", "children", "names", "post_init", "self", "static_names", "struct"}
)

# For a class whose construction runs no `__post_init__`: one store of two halves.
DIRECT = '''\
def __init__({parameters}):
    """Make a {{_name}} from its fields."""
{prepare}\
    {children} = {data}
    if {type}({self}) is not {{_class}}:
        return {init_part}({self}, {names}, {values})
{pack}\
    {store}({self}, ({children}, {packed}))
{run_checks}'''

PACK = """\
    if {all_plain}:
        {aux} = {plain_aux}
    else:
        {aux} = {pack_statics}({struct}, {static_names}, {static_values})
"""

CHECK = """\
    for {check} in {checks}:
        {check}({self})
"""

# For a class whose `__post_init__` may assign, or whose fields are not all set: the children are a draft until then.
# All of it stands in the `try`, since an interrupt may come between any two steps.
DRAFTED = '''\
def __init__({parameters}):
    """Make a {{_name}} from its fields{doc}."""
{prepare}\
    if {type}({self}) is not {{_class}}:
        return {init_part}({self}, {names}, {values}{initvars})
{pack}\
    try:
        {store}({self}, ({data}, {packed}))
{run_post_init}\
{close}\
    except {BaseException}:
        {abandon}({self})
        raise
{run_checks}'''

POST_INIT = "        {post_init}({given})\n"

CLOSE = """\
        {children}, {aux} = {self}.__flat__
        {store}({self}, ({tuple}({children}), {aux}))
"""

# Where fields are unset when `__post_init__` starts, it has to be seen whether they are set when it ends.
FINISH = "        {finish}({self})\n"


class Argument:
    """What decides the code of an `__init__` about one of the arguments: all but its name and values."""

    def __init__(
        self, initvar: bool, static: bool, init: bool, keyword: bool, default: bool, factory: bool, converter: bool
    ):
        self.initvar, self.static, self.init, self.keyword = initvar, static, init, keyword
        self.default, self.factory, self.converter = default, factory, converter
        # Whether the field is set when `__post_init__` starts.
        self.has_value = init or default or factory


def generate_init(plan: ClassPlan, module: str, qualname: str) -> tuple[Callable[..., None], Callable[[type], None]]:
    """The `__init__` of the class, and a function to call with the class once it exists.

    That tells the `__init__` which class it constructs, and `inspect.getsource` and tracebacks its source: a class
    body that is refused leaves nothing behind.
    """
    renamed = () if _RESERVED.isdisjoint(plan.arguments) else _renamed_words(plan)
    arguments = tuple([_argument(f) for f in plan.arguments.values()])
    text, code, given = template(plan.frozen, plan.post_init is not None, bool(plan.checks), renamed, arguments)
    names = _Names(plan, dict(renamed), given)
    source = text.format_map(names.words)
    filename = _filename(f"{module}.{qualname}.__init__", source)
    own_code = _clone(code, names.words, filename, f"{qualname}.__init__")
    closure = tuple([names.cell(name) for name in own_code.co_freevars])
    init = types.FunctionType(own_code, _globals(module), "__init__", tuple(names.defaults), closure)
    init.__kwdefaults__ = names.keyword_defaults
    init.__module__ = module
    class_cell = closure[own_code.co_freevars.index(names.words["_class"])]
    if LAZY_ANNOTATIONS:
        set_lazy_annotations(init, lambda format: _annotations(plan, class_cell.cell_contents, format))
    else:
        init.__annotations__ = _annotations(plan, None, None)

    def publish(cls: type) -> None:
        class_cell.cell_contents = cls
        linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)

    return init, publish


def is_generated(init: Any) -> bool:
    """Whether a function is an `__init__` that was made here."""
    code = getattr(init, "__code__", None)
    return code is not None and code.co_filename.startswith("<structkit: ")


def rebind_post_init(init: Any, post_init: Any) -> None:
    """Make a generated `__init__` call another `__post_init__`, which was put in the place of the class's own."""
    init = inspect.unwrap(init, stop=is_generated)
    if is_generated(init):
        for name, cell in zip(init.__code__.co_freevars, init.__closure__):
            if name.rstrip("_") == "post_init":
                cell.cell_contents = as_function(post_init)


def _globals(module: str) -> dict[str, Any]:
    # Code that `exec` runs may have a module of its own in name only.
    return vars(sys.modules[module]) if module in sys.modules else {"__name__": module}


def _argument(f: Field) -> tuple[bool, ...]:
    return (
        f.is_initvar,
        f.static,
        f.init,
        f.kw_only,
        f.default is not MISSING,
        f.default_factory is not MISSING,
        f.converter is not None,
    )


def _renamed_words(plan: ClassPlan) -> tuple[tuple[str, str], ...]:
    return tuple([(word, _free(word, plan.arguments)) for word in sorted(_RESERVED) if word in plan.arguments])


def _free(word: str, *taken: Container[str]) -> str:
    while any([word in names for names in taken]):
        word += "_"
    return word


@functools.cache
def _places(count: int) -> tuple[str, ...]:
    return tuple([f"_{i}" for i in range(count)])


class _Names:
    """What the placeholders of a template stand for in one class, and what its names mean.

    Attributes:
        words: placeholder -> name.
        helpers: name -> cell, the same for all classes.
        scope: name -> value, the class's own.
        defaults: of the last positional parameters.
        keyword_defaults: of those by keyword only.
    """

    def __init__(self, plan: ClassPlan, renamed: dict[str, str], given: tuple[str, ...]):
        self.arguments = plan.arguments
        places = _places(len(plan.arguments))
        self.words = dict(zip(places, plan.arguments))
        self.words["_name"] = plan.name
        self.helpers = HELPERS
        if renamed:
            self.helpers = {renamed.get(word, word): cell for word, cell in HELPERS.items()}
        own: dict[str, Any] = {
            "checks": plan.checks,
            "names": tuple([self.words[place] for place in given]),
            "post_init": None if plan.post_init is None else as_function(plan.post_init),
            "static_names": plan.static_names,
            "struct": plan.name,
        }
        self.scope = {renamed.get(word, word): value for word, value in own.items()}
        # None while hooks (`__init_subclass__`) run: `init_part` then does the work, more slowly.
        usual = plan.name.isidentifier() and not keyword.iskeyword(plan.name) and plan.name not in _RESERVED
        self.bind("_class", plan.name if usual else "cls", None)
        self.defaults: list[Any] = []
        self.keyword_defaults: dict[str, Any] = {}
        for place, f in zip(places, plan.arguments.values()):
            self._bind_values(place, f, plan)

    def cell(self, name: str) -> types.CellType:
        return self.helpers.get(name) or types.CellType(self.scope[name])

    def bind(self, placeholder: str, name: str, value: Any) -> None:
        name = _free(name, self.arguments, self.helpers, self.scope)
        self.words[placeholder] = name
        self.scope[name] = value

    def _bind_values(self, place: str, f: Field, plan: ClassPlan) -> None:
        default = f.default
        if f.default_factory is not MISSING:
            self.bind(f"_make{place}", f"make_{f.name}", f.default_factory)
            default = FACTORY
        if f.converter is not None:
            self.bind(f"_convert{place}", f"convert_{f.name}", f.converter)
        if default is MISSING:
            if not f.init:
                self.bind(f"_unset{place}", f"unset_{f.name}", Unset(plan.name, f.name))
            return
        if default is not FACTORY:
            self.bind(f"_default{place}", f"default_{f.name}", default)
        if f.init and f.kw_only:
            self.keyword_defaults[f.name] = default
        elif f.init:
            self.defaults.append(default)


# Compiling was a third of what a class costs, and the code of an `__init__` depends on names only through its tables
# of names. So it is compiled once for each shape, and each class gets a clone with its own names.
@functools.lru_cache(maxsize=1024)
def template(
    frozen: bool,
    post_init: bool,
    checks: bool,
    renamed: tuple[tuple[str, str], ...],
    arguments: tuple[tuple[bool, ...], ...],
) -> tuple[str, types.CodeType, tuple[str, ...]]:
    """The `__init__` of all classes of one shape, which is all that decides its code apart from names and values.

    As source with placeholders (`{_0}`) for `str.format`, and as code in which each placeholder is a name (`_0`). With
    them, the placeholders of the fields that it sets, data first.

    Args:
        frozen: whether finished objects refuse assignment.
        post_init: whether `__post_init__` runs.
        checks: whether `__check_init__` does.
        renamed: the reserved words that are names of fields, with what stands for them.
        arguments: for each argument, those of `Argument`.
    """
    kinds = {f"{{_{i}}}": Argument(*items) for i, items in enumerate(arguments)}
    fields = [name for name, a in kinds.items() if not a.initvar]
    set_here = [name for name in sorted(fields, key=lambda name: kinds[name].static) if kinds[name].has_value]
    text = _text(kinds, set_here, dict(renamed), frozen=frozen, post_init=post_init, checks=checks)
    # Braces mean nothing else in it, so without them each placeholder is a name.
    code = _compile(text.replace("{", "").replace("}", ""))
    return text, code, tuple([name.strip("{}") for name in set_here])


def _compile(source: str) -> types.CodeType:
    """The code of a function all of whose names, but for its own variables, are cells."""
    # Its own variables are among the words too, and the words of its docstring, which does no harm.
    words = sorted({*_WORD.findall(source)}.difference(keyword.kwlist))
    text = f"def make({', '.join(words)}):\n " + source.replace("\n", "\n ")
    # Not without docstrings (`python -OO`): they are in the constants.
    code = compile(text, "<structkit>", "exec", dont_inherit=True, optimize=0)
    for _ in ("make", "__init__"):
        code = next(part for part in code.co_consts if isinstance(part, types.CodeType))
    return without_columns(code).replace(co_firstlineno=1)


_WORD = re.compile(r"[^\W\d]\w*")


def _clone(code: types.CodeType, words: dict[str, str], filename: str, qualname: str) -> types.CodeType:
    """The code with names in the place of placeholders."""
    name = words.get
    return code.replace(
        co_consts=(code.co_consts[0].replace("_name", words["_name"]), *code.co_consts[1:]),
        co_varnames=tuple([name(word, word) for word in code.co_varnames]),
        co_freevars=tuple([name(word, word) for word in code.co_freevars]),
        co_filename=filename,
        co_qualname=qualname,
    )


def _text(
    arguments: dict[str, Argument],
    set_here: list[str],
    renamed: dict[str, str],
    *,
    frozen: bool,
    post_init: bool,
    checks: bool,
) -> str:
    fields = {name: a for name, a in arguments.items() if not a.initvar}
    data = [name for name, a in fields.items() if not a.static]
    statics = [name for name, a in fields.items() if a.static]
    initvars = [name for name, a in arguments.items() if a.initvar]
    words = {word: word for word in _RESERVED} | renamed
    words |= {
        "parameters": ", ".join(_parameters(arguments, words)),
        "prepare": "".join(_prepare(name, a, words) for name, a in arguments.items()),
        "values": _tuple(set_here),
        "given": ", ".join([words["self"], *initvars]),
        "run_checks": CHECK.format_map(words) if checks else "",
    }
    words |= _pack(arguments, statics, words)
    complete = len(set_here) == len(fields)
    if not post_init and complete:
        words["data"] = _tuple(data) if frozen else f"[{', '.join(data)}]"
        words["values"] = f"(*{words['children']}, {', '.join(statics)})" if statics else words["children"]
        return DIRECT.format_map(words)
    words["data"] = _draft(arguments, data, words["draft"])
    words["doc"] = ", then run its __post_init__" if post_init else ""
    words["initvars"] = f", {_tuple(initvars)}" if post_init else ""
    words["run_post_init"] = POST_INIT.format_map(words) if post_init else ""
    words["close"] = (FINISH if not complete else CLOSE if frozen else "").format_map(words)
    if not complete:
        # `finish` runs them.
        words["run_checks"] = ""
    return DRAFTED.format_map(words)


def _parameters(arguments: dict[str, Argument], words: dict[str, str]) -> list[str]:
    taken = {name: a for name, a in arguments.items() if a.init}
    positional = [_parameter(name, a, words) for name, a in taken.items() if not a.keyword]
    keywords = [_parameter(name, a, words) for name, a in taken.items() if a.keyword]
    return [words["self"], *positional, *(["*", *keywords] if keywords else [])]


def _parameter(name: str, a: Argument, words: dict[str, str]) -> str:
    if a.factory:
        return f"{name}={words['factory']}"
    return f"{name}={_own('default', name)}" if a.default else name


def _own(kind: str, name: str) -> str:
    """The placeholder of what one argument has for itself: `{_make_0}` for `{_0}`."""
    return f"{{_{kind}{name[1:]}"


def _prepare(name: str, a: Argument, words: dict[str, str]) -> str:
    lines = ""
    if a.factory:
        make = f"{name} = {_own('make', name)}()"
        lines += f"    if {name} is {words['factory']}:\n        {make}\n" if a.init else f"    {make}\n"
    elif not a.init and a.default:
        lines += f"    {name} = {_own('default', name)}\n"
    if a.converter and a.has_value:
        lines += f"    {name} = {_own('convert', name)}({name})\n"
    return lines


def _pack(arguments: dict[str, Argument], statics: list[str], words: dict[str, str]) -> dict[str, str]:
    """Code that checks the statics, and what is aux after it."""
    if not statics:
        return {"pack": "", "packed": "()"}
    if not all(arguments[name].has_value for name in statics):
        # They are checked when the last one is set.
        values = _tuple([words["static_names"], *_started(arguments, statics)])
        return {"pack": "", "packed": f"{words['incomplete']}({values})"}
    own = {
        "plain_aux": _tuple([words["static_names"], *statics]),
        "static_values": _tuple(statics),
        "all_plain": " and ".join(f"{words['type']}({name}) in {words['plain']}" for name in statics),
    }
    return {"pack": PACK.format_map(words | own), "packed": words["aux"]}


def _draft(arguments: dict[str, Argument], data: list[str], draft: str) -> str:
    """The children while `__post_init__` runs."""
    values = f"[{', '.join(_started(arguments, data))}]"
    return values if all(arguments[name].has_value for name in data) else f"{draft}({values})"


def _started(arguments: dict[str, Argument], names: list[str]) -> list[str]:
    return [name if arguments[name].has_value else _own("unset", name) for name in names]


def _tuple(parts: Iterable[str]) -> str:
    parts = tuple(parts)
    return f"({parts[0]},)" if len(parts) == 1 else f"({', '.join(parts)})"


def _filename(title: str, source: str) -> str:
    """A file name under which `linecache` may show `source`; a source that comes again keeps its name."""
    cache: dict[str, Any] = linecache.cache
    count = _filenames.get(title, 1)
    filename = f"<structkit: {title}>" if count == 1 else f"<structkit: {title} ({count})>"
    if filename in cache and "".join(cache[filename][2]) != source:
        _filenames[title] = count + 1
        return f"<structkit: {title} ({count + 1})>"
    return filename


# Title -> how many sources it has had. To look for a free name from the first one on would be quadratic.
_filenames: dict[str, int] = {}


def _annotations(plan: ClassPlan, cls: Any, format: Any) -> dict[str, Any]:
    declared: dict[str, Any] = {}
    if format is not None and cls is not None:
        for base in reversed(cls.__mro__):
            declared.update(class_annotations(base, format))
    found = {
        name: declared.get(name, f.type) if f.converter is None else _argument_type(f.converter)
        for name, f in plan.arguments.items()
        if f.init
    }
    found["return"] = None
    return found


def _argument_type(converter: Callable[..., Any]) -> Any:
    """What a converter says that it takes: the annotation of its first parameter, `Any` without one."""
    for resolve in (True, False):
        try:
            parameters = inspect.signature(converter, eval_str=resolve).parameters.values()
        except Exception:
            continue
        annotation = next((parameter.annotation for parameter in parameters), inspect.Parameter.empty)
        # A text is one that does not resolve where the converter is written; in the module of the class it may mean
        # something else.
        return Any if annotation is inspect.Parameter.empty or isinstance(annotation, str) else annotation
    return Any
