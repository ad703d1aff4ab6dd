"""From the plan of a class to its `__init__`: source text, compiled once, readable in tracebacks.

Only what depends on names is generated, because compiling is most of the time that creating a class takes. Flatten,
unflatten, `replace`, `==` and `repr` depend on the flat form alone and are shared by all classes.
"""

from __future__ import annotations

import keyword
import linecache
from collections.abc import Callable, Iterable
from typing import Any

from structkit import _storage
from structkit._fields import MISSING, Field
from structkit._spec import ClassSpec
from structkit._statics import PLAIN, pack_statics
from structkit._typing import class_annotations, set_lazy_annotations


class Factory:
    """The default of a parameter whose real default is made anew for each object."""

    def __repr__(self) -> str:
        return "<factory>"


FACTORY = Factory()

# What a generated `__init__` refers to, next to the class, its defaults, converters and factories.
HELPERS: dict[str, Any] = {
    "BaseException": BaseException,
    "abandon": _storage.abandon,
    "assign_fields": _storage.assign_fields,
    "begin": _storage.begin,
    "factory": FACTORY,
    "finish": _storage.finish,
    "incomplete": _storage.Incomplete,
    "init_part": _storage.init_part,
    "pack_statics": pack_statics,
    "plain": PLAIN,
    "store": _storage.store,
    "type": type,
}

_OWN_NAMES = {helper: helper for helper in HELPERS}

# For a class whose construction runs no `__post_init__`: one store of two tuples.
DIRECT = '''\
def __init__({parameters}):
    """Make a {name} from its fields."""
{prepare}\
    if {type}({self}) is not {cls}:
        return {init_part}({self}, {values})
{pack}\
    {store}({self}, ({children}, {statics}))
{check}'''

PACK = """\
    if {all_plain}:
        {packed} = {plain_statics}
    else:
        {packed} = {pack_statics}({struct}, {names}, {values})
"""

CHECK = """\
    for {check_name} in {checks}:
        {check_name}({instance})
"""

# For a class whose `__post_init__` may assign: a draft is open around it.
DRAFTED = '''\
def __init__({parameters}):
    """Make a {name} from its fields, then run its __post_init__."""
{prepare}\
    {outermost} = {begin}({self})
    try:
        {assign_fields}({self}, {values})
{post_init}\
    except {BaseException}:
        if {outermost}:
            {abandon}({self})
        raise
    if {outermost}:
        {finish}({self})
'''

# For a class whose objects can be written to at any time: no draft is needed around `__post_init__`.
OPEN = '''\
def __init__({parameters}):
    """Make a {name} from its fields."""
{prepare}\
    if {type}({self}) is {cls}:
        {store}({self}, ({children}, {statics}))
    else:
        {assign_fields}({self}, {values})
{post_init}\
{check}'''


def generate_init(spec: ClassSpec, module: str, qualname: str) -> tuple[Callable[..., None], Callable[[type], None]]:
    """The `__init__` of the class, and a function to call with the class once it exists.

    That tells the `__init__` which class it constructs, and `inspect.getsource` and tracebacks its source: a class
    body that is refused leaves nothing behind.

    Args:
        spec: the plan of the class.
        module: the class's module, for the function and the name of its source.
        qualname: the class's qualified name.
    """
    names = _Names(spec)
    source = _source(spec, names)
    filename = _filename(f"{module}.{qualname}.__init__", source)
    exec(compile(source, filename, "exec"), names.scope)
    init = names.scope.pop("__init__")
    init.__qualname__ = f"{qualname}.__init__"
    init.__module__ = module
    set_lazy_annotations(init, lambda format: _annotations(spec, format))

    def publish(cls: type) -> None:
        names.scope[names.helpers["cls"]] = cls
        linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)

    return init, publish


class _Names:
    """Names for the generated code that no field has, and the globals in which they mean something."""

    def __init__(self, spec: ClassSpec):
        self.taken: set[str] = set(spec.arguments)
        self.scope: dict[str, Any] = {"__builtins__": {}, "__name__": "structkit"}
        if self.taken.isdisjoint(HELPERS):
            self.taken |= HELPERS.keys()
            self.scope |= HELPERS
            self.helpers = dict(_OWN_NAMES)
        else:
            self.helpers = {helper: self.bind(helper, value) for helper, value in HELPERS.items()}
        self.helpers["self"] = self.free("self")
        # None while hooks (`__init_subclass__`) run: `init_part` then does the work, more slowly.
        self.helpers["cls"] = self.bind(spec.name if _is_name(spec.name) else "cls", None)

    def free(self, name: str) -> str:
        while name in self.taken:
            name += "_"
        self.taken.add(name)
        return name

    def bind(self, name: str, value: Any) -> str:
        name = self.free(name)
        self.scope[name] = value
        return name


def _is_name(text: str) -> bool:
    return text.isidentifier() and not keyword.iskeyword(text)


def _source(spec: ClassSpec, names: _Names) -> str:
    parameters = _parameters(spec, names)
    prepare = "".join(_prepare(names, f) for f in spec.arguments.values())
    set_here = [name for name, f in spec.fields.items() if _has_value(f)]
    words = dict(
        names.helpers,
        name=spec.name,
        parameters=", ".join(parameters),
        prepare=prepare,
        values="{" + ", ".join(f"{name!r}: {name}" for name in set_here) + "}",
    )
    call = f"{words['self']}.__post_init__({', '.join(spec.initvars)})\n" if spec.post_init else ""
    if not spec.dialect.seals:
        return OPEN.format(
            **words,
            children=_half(spec, names, spec.data),
            statics=_half(spec, names, spec.statics, ["None"] if spec.statics else []),
            post_init=call and f"    {call}",
            check=_check(spec, names, words["self"]),
        )
    if call or len(set_here) < len(spec.fields):
        return DRAFTED.format(**words, post_init=call and f"        {call}", outermost=names.free("outermost"))
    return DIRECT.format(
        **words, **_statics(spec, names), children=_tuple(spec.data), check=_check(spec, names, words["self"])
    )


def _has_value(f: Field) -> bool:
    return f.init or f.default is not MISSING or f.default_factory is not MISSING


def _parameters(spec: ClassSpec, names: _Names) -> list[str]:
    taken = [f for f in spec.arguments.values() if f.init]
    positional = [_parameter(names, f) for f in taken if not f.kw_only]
    keyword = [_parameter(names, f) for f in taken if f.kw_only]
    return [names.helpers["self"], *positional, *(["*", *keyword] if keyword else [])]


def _parameter(names: _Names, f: Field) -> str:
    if f.default_factory is not MISSING:
        return f"{f.name}={names.helpers['factory']}"
    if f.default is not MISSING:
        return f"{f.name}={names.bind(f'default_{f.name}', f.default)}"
    return f.name


def _prepare(names: _Names, f: Field) -> str:
    lines = ""
    if f.default_factory is not MISSING:
        make = f"{f.name} = {names.bind(f'make_{f.name}', f.default_factory)}()"
        lines += f"    if {f.name} is {names.helpers['factory']}:\n        {make}\n" if f.init else f"    {make}\n"
    elif not f.init and f.default is not MISSING:
        lines += f"    {f.name} = {names.bind(f'default_{f.name}', f.default)}\n"
    if f.converter is not None and _has_value(f):
        lines += f"    {f.name} = {names.bind(f'convert_{f.name}', f.converter)}({f.name})\n"
    return lines


def _statics(spec: ClassSpec, names: _Names) -> dict[str, str]:
    if not spec.statics:
        return {"pack": "", "statics": "()"}
    packed, helpers = names.free("statics"), names.helpers
    pack = PACK.format(
        packed=packed,
        plain_statics=_tuple(["None", *spec.statics]),
        values=_tuple(spec.statics),
        all_plain=" and ".join(f"{helpers['type']}({name}) in {helpers['plain']}" for name in spec.statics),
        pack_statics=helpers["pack_statics"],
        struct=repr(spec.name),
        names=_tuple(map(repr, spec.statics)),
    )
    return {"pack": pack, "statics": packed}


def _half(spec: ClassSpec, names: _Names, fields: Iterable[str], tags: Iterable[str] = ()) -> str:
    """One half of the flat form, as it is when `__post_init__` may yet set some of the fields."""
    unset = [name for name in fields if not _has_value(spec.fields[name])]
    stand_ins = {name: names.bind(f"unset_{name}", _storage.Unset(spec.name, name)) for name in unset}
    values = _tuple([*tags, *(stand_ins.get(name, name) for name in fields)])
    return f"{names.helpers['incomplete']}({values})" if unset else values


def _check(spec: ClassSpec, names: _Names, self_name: str) -> str:
    if not spec.checks:
        return ""
    return CHECK.format(check_name=names.free("check"), checks=names.bind("checks", spec.checks), instance=self_name)


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
