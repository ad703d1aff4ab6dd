"""From the plan of a class to its `__init__`: source text, compiled once for each shape of class, shown in tracebacks.

Only the `__init__` is generated. Flatten, unflatten, `replace`, `==` and `repr` depend on the flat form alone and are
shared by all classes.
"""

from __future__ import annotations

import functools
import keyword
import linecache
import types
from collections.abc import Callable, Container, Iterable
from typing import Any

from structkit import _storage
from structkit._fields import MISSING, Field
from structkit._spec import ClassSpec
from structkit._statics import PLAIN, pack_statics
from structkit._typing import any_tuple, class_annotations, set_lazy_annotations, without_columns


class Factory:
    """The default of a parameter whose real default is made anew for each object."""

    def __repr__(self) -> str:
        return "<factory>"


FACTORY = Factory()

# What a generated `__init__` refers to, next to the class, its defaults, converters and factories.
HELPERS: dict[str, Any] = {
    "__builtins__": {},
    "__name__": "structkit",
    "BaseException": BaseException,
    "abandon": _storage.abandon,
    "assign_fields": _storage.assign_fields,
    "draft": _storage.Draft,
    "factory": FACTORY,
    "finish": _storage.finish,
    "incomplete": _storage.Incomplete,
    "init_part": _storage.init_part,
    "pack_statics": pack_statics,
    "plain": PLAIN,
    "store": _storage.store,
    "tuple": tuple,
    "type": type,
}

# Every word of the templates below that a field may have for its name: it then gets another one.
_RESERVED = frozenset({*HELPERS, "check", "checks", "children", "names", "self", "statics"})

# For a class whose construction runs no `__post_init__`: one store of two tuples.
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
        {packed} = {plain_statics}
    else:
        {packed} = {pack_statics}({{_name!r}}, {static_names}, {static_values})
"""

CHECK = """\
    for {check} in {checks}:
        {check}({self})
"""

# For a class whose `__post_init__` may assign: the children are a list until it has returned.
DRAFTED = '''\
def __init__({parameters}):
    """Make a {{_name}} from its fields, then run its __post_init__."""
{prepare}\
    if {type}({self}) is not {{_class}}:
        return {init_part}({self}, {names}, {values}{initvars})
{pack}\
    {store}({self}, ({data}, {packed}))
{post_init}\
{close}'''

POST_INIT = """\
    try:
        {self}.__post_init__({given})
    except {BaseException}:
        {abandon}({self})
        raise
"""

CLOSE = """\
    {children}, {statics} = {self}.__flat__
    {store}({self}, ({tuple}({children}), {statics}))
{run_checks}"""

# Where fields are unset when `__post_init__` starts, it has to be seen whether they are set when it ends.
FINISH = """\
    {finish}({self})
"""

# For a class whose objects can be written to at any time: no draft is needed around `__post_init__`.
OPEN = '''\
def __init__({parameters}):
    """Make a {{_name}} from its fields."""
{prepare}\
    if {type}({self}) is {{_class}}:
        {store}({self}, ({data}, {packed}))
    else:
        {assign_fields}({self}, {names}, {values})
{post_init}\
{run_checks}'''


class Argument:
    """What decides the code of an `__init__` about one of the arguments: all but its name and values."""

    def __init__(
        self, initvar: bool, static: bool, init: bool, keyword: bool, default: bool, factory: bool, converter: bool
    ):
        self.initvar, self.static, self.init, self.keyword = initvar, static, init, keyword
        self.default, self.factory, self.converter = default, factory, converter
        # Whether the field is set when `__post_init__` starts.
        self.has_value = init or default or factory


def generate_init(spec: ClassSpec, module: str, qualname: str) -> tuple[Callable[..., None], Callable[[type], None]]:
    """The `__init__` of the class, and a function to call with the class once it exists.

    That tells the `__init__` which class it constructs, and `inspect.getsource` and tracebacks its source: a class
    body that is refused leaves nothing behind.

    Args:
        spec: the plan of the class.
        module: the class's module, for the function and the name of its source.
        qualname: the class's qualified name.
    """
    renamed = () if _RESERVED.isdisjoint(spec.arguments) else _renamed_words(spec)
    arguments = tuple([_argument(f) for f in spec.arguments.values()])
    text, code, given = template(spec.dialect.seals, spec.post_init, bool(spec.checks), renamed, arguments)
    names = _Names(spec, dict(renamed), given)
    source = text.format_map(names.words)
    filename = _filename(f"{module}.{qualname}.__init__", source)
    own_code = _clone(code, names.words, filename, f"{qualname}.__init__")
    init = types.FunctionType(own_code, names.scope, "__init__", tuple(names.defaults))
    init.__kwdefaults__ = names.keyword_defaults
    init.__module__ = module
    set_lazy_annotations(init, lambda format: _annotations(spec, format))

    def publish(cls: type) -> None:
        names.scope[names.words["_class"]] = cls
        linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)

    return init, publish


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


def _renamed_words(spec: ClassSpec) -> tuple[tuple[str, str], ...]:
    return tuple([(word, _free(word, spec.arguments)) for word in sorted(_RESERVED) if word in spec.arguments])


def _free(word: str, *taken: Container[str]) -> str:
    while any([word in names for names in taken]):
        word += "_"
    return word


@functools.cache
def _places(count: int) -> tuple[str, ...]:
    return tuple([f"_{i}" for i in range(count)])


class _Names:
    """What the placeholders of a template stand for in one class, and the globals in which its names mean something.

    Attributes:
        words: placeholder -> name.
        scope: name -> value.
        defaults: of the last positional parameters.
        keyword_defaults: of those by keyword only.
    """

    def __init__(self, spec: ClassSpec, renamed: dict[str, str], given: tuple[str, ...]):
        self.arguments = spec.arguments
        places = _places(len(spec.arguments))
        self.words = dict(zip(places, spec.arguments))
        self.words["_name"] = spec.name
        self.scope = HELPERS.copy()
        for word, other in renamed.items():
            if word in HELPERS:
                self.scope[other] = self.scope.pop(word)
        # None while hooks (`__init_subclass__`) run: `init_part` then does the work, more slowly.
        usual = spec.name.isidentifier() and not keyword.iskeyword(spec.name) and spec.name not in _RESERVED
        self.bind("_class", spec.name if usual else "cls", None)
        self.scope[renamed.get("names", "names")] = tuple([self.words[place] for place in given])
        if spec.checks:
            self.scope[renamed.get("checks", "checks")] = spec.checks
        self.defaults: list[Any] = []
        self.keyword_defaults: dict[str, Any] = {}
        for place, f in zip(places, spec.arguments.values()):
            self._bind_values(place, f, spec)

    def bind(self, placeholder: str, name: str, value: Any) -> None:
        name = _free(name, self.arguments, self.scope)
        self.words[placeholder] = name
        self.scope[name] = value

    def _bind_values(self, place: str, f: Field, spec: ClassSpec) -> None:
        default = f.default
        if f.default_factory is not MISSING:
            self.bind(f"_make{place}", f"make_{f.name}", f.default_factory)
            default = FACTORY
        if f.converter is not None:
            self.bind(f"_convert{place}", f"convert_{f.name}", f.converter)
        if default is MISSING:
            if not f.init:
                self.bind(f"_unset{place}", f"unset_{f.name}", _storage.Unset(spec.name, f.name))
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
    seals: bool,
    post_init: bool,
    checks: bool,
    renamed: tuple[tuple[str, str], ...],
    arguments: tuple[tuple[bool, ...], ...],
) -> tuple[str, types.CodeType, tuple[str, ...]]:
    """The `__init__` of all classes of one shape, which is all that decides its code apart from names and values.

    As source with placeholders (`{_0}`) for `str.format`, and as code in which each placeholder is a name (`_0`). With
    them, the placeholders of the fields that it sets, data first.

    Args:
        seals: whether finished objects refuse every way to write to them.
        post_init: whether `__post_init__` runs.
        checks: whether `__check_init__` does.
        renamed: the reserved words that are names of fields, with what stands for them.
        arguments: for each argument, those of `Argument`.
    """
    kinds = {f"{{_{i}}}": Argument(*items) for i, items in enumerate(arguments)}
    fields = [name for name, a in kinds.items() if not a.initvar]
    set_here = [name for name in sorted(fields, key=lambda name: kinds[name].static) if kinds[name].has_value]
    text = _text(kinds, set_here, dict(renamed), seals=seals, post_init=post_init, checks=checks)
    # Braces mean nothing else in it, so without them each placeholder is a name.
    source = text.replace("{_name!r}", "'_name'").replace("{", "").replace("}", "")
    # Not without docstrings (`python -OO`): they are in the constants.
    module = compile(source, "<structkit>", "exec", dont_inherit=True, optimize=0)
    code = next(part for part in module.co_consts if isinstance(part, types.CodeType))
    return text, without_columns(code), tuple([name.strip("{}") for name in set_here])


def _clone(code: types.CodeType, words: dict[str, str], filename: str, qualname: str) -> types.CodeType:
    """The code with names in the place of placeholders."""
    name = words.get
    constants: list[Any] = [
        tuple([name(item, item) for item in part]) if type(part) is any_tuple else name(part, part)
        for part in code.co_consts
    ]
    constants[0] = code.co_consts[0].replace("_name", words["_name"])
    return code.replace(
        co_consts=tuple(constants),
        co_names=tuple([name(word, word) for word in code.co_names]),
        co_varnames=tuple([name(word, word) for word in code.co_varnames]),
        co_filename=filename,
        co_qualname=qualname,
    )


def _text(
    arguments: dict[str, Argument],
    set_here: list[str],
    renamed: dict[str, str],
    *,
    seals: bool,
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
        "given": ", ".join(initvars),
        "run_checks": CHECK.format_map(words) if checks else "",
    }
    if not seals:
        words["data"] = _half(arguments, data, words["incomplete"])
        words["packed"] = _half(arguments, statics, words["incomplete"], "None") if statics else "()"
        words["post_init"] = "    {self}.__post_init__({given})\n".format_map(words) if post_init else ""
        return OPEN.format_map(words)
    words |= _pack(arguments, statics, words)
    if post_init or len(set_here) < len(fields):
        words["data"] = _draft(arguments, data, words["draft"])
        words["initvars"] = f", {_tuple(initvars)}" if post_init else ""
        words["post_init"] = POST_INIT.format_map(words) if post_init else ""
        words["close"] = (CLOSE if len(set_here) == len(fields) else FINISH).format_map(words)
        return DRAFTED.format_map(words)
    words["data"] = _tuple(data)
    words["values"] = f"(*{words['children']}, {', '.join(statics)})" if statics else words["children"]
    return DIRECT.format_map(words)


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
    """Code that checks the statics, and what is their half of the flat form after it."""
    if not statics:
        return {"pack": "", "packed": "()"}
    if not all(arguments[name].has_value for name in statics):
        # They are checked when the last one is set.
        return {"pack": "", "packed": _half(arguments, statics, words["incomplete"], "None")}
    pack = PACK.format(
        packed=words["statics"],
        plain_statics=_tuple(["None", *statics]),
        static_values=_tuple(statics),
        all_plain=" and ".join(f"{words['type']}({name}) in {words['plain']}" for name in statics),
        pack_statics=words["pack_statics"],
        static_names=_tuple(map(_quoted, statics)),
    )
    return {"pack": pack, "packed": words["statics"]}


def _half(arguments: dict[str, Argument], fields: list[str], incomplete: str, *tags: str) -> str:
    """One half of the flat form, as it is when `__post_init__` may yet set some of the fields."""
    values = _tuple([*tags, *_started(arguments, fields)])
    return values if all(arguments[name].has_value for name in fields) else f"{incomplete}({values})"


def _draft(arguments: dict[str, Argument], fields: list[str], draft: str) -> str:
    """The children while `__post_init__` runs."""
    values = f"[{', '.join(_started(arguments, fields))}]"
    return values if all(arguments[name].has_value for name in fields) else f"{draft}({values})"


def _started(arguments: dict[str, Argument], fields: list[str]) -> list[str]:
    return [name if arguments[name].has_value else _own("unset", name) for name in fields]


def _quoted(name: str) -> str:
    return f"'{name}'"


def _tuple(items: Iterable[str]) -> str:
    items = tuple(items)
    return f"({items[0]},)" if len(items) == 1 else f"({', '.join(items)})"


def _filename(title: str, source: str) -> str:
    """A file name under which `linecache` may show `source`; the same source keeps the same name."""
    cache: dict[str, Any] = linecache.cache
    filename, count = f"<structkit: {title}>", 1
    while filename in cache and "".join(cache[filename][2]) != source:
        count += 1
        filename = f"<structkit: {title} ({count})>"
    return filename


def _annotations(spec: ClassSpec, format: Any) -> dict[str, Any]:
    if format is None or spec.cls is None:
        found = {name: f.type for name, f in spec.arguments.items() if f.init}
    else:
        declared: dict[str, Any] = {}
        for base in reversed(spec.cls.__mro__):
            declared.update(class_annotations(base, format))
        found = {name: declared.get(name, f.type) for name, f in spec.arguments.items() if f.init}
    found["return"] = None
    return found
