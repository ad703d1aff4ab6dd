"""Random shapes of structs and of classes of the drop-in behave as standard dataclasses do, and as pytrees."""

import contextlib
import copy
import dataclasses
import dis
import inspect
import itertools
import math
import pickle
import sys
import textwrap
import types
import weakref
from collections.abc import Iterator
from typing import Any

import jax
import pytest
from hypothesis import given, settings, strategies as st

import structkit
from structkit import Struct, construct, replace, static
from tests.models import COPIES, REPLACERS, assert_frozen, names

# Classes are made and traced in every example, so the time of one example says nothing: no deadline.
deterministic = settings(derandomize=True, database=None, deadline=None, max_examples=60)

DATA, STATIC, DERIVED = "data", "static", "derived"
KINDS = {"d0": DATA, "d1": DATA, "d2": DATA, "d3": DATA, "s0": STATIC, "s1": STATIC, "r0": DERIVED, "r1": DERIVED}
PLAIN, FACTORY, REQUIRED = "plain", "factory", "required"


@dataclasses.dataclass(frozen=True)
class Declared:
    """One field of a random class: what its body says about one name."""

    name: str
    default: str
    value: int
    kw_only: bool | None
    converter: bool
    hidden: bool
    bare: bool

    @property
    def kind(self) -> str:
        return KINDS[self.name]

    def options(self) -> list[str]:
        options = []
        if self.default == PLAIN:
            options.append(f"default={self.value}")
        elif self.default == FACTORY:
            options.append(f"default_factory=lambda: {self.value}")
        if self.kw_only is not None and self.kind != DERIVED:
            options.append(f"kw_only={self.kw_only}")
        if self.hidden:
            options.append("repr=False")
        return options

    def as_struct(self) -> str:
        if self.bare and self.kind == DATA and self.kw_only is None and not self.converter and not self.hidden:
            written = {PLAIN: f" = {self.value}", REQUIRED: "", FACTORY: self._call("field")}
            return f"{self.name}: int{written[self.default]}"
        maker = {DATA: "field", STATIC: "static", DERIVED: "derived"}[self.kind]
        return f"{self.name}: int{self._call(maker, *(['converter=abs'] if self.converter else []))}"

    def as_dataclass(self) -> str:
        # The argument of a converter is what that takes, and the one of these says nothing.
        annotation = "Any" if self.converter else "int"
        more = ["init=False"] if self.kind == DERIVED else []
        more += ["metadata={'pytree_node': False}"] if self.kind == STATIC else []
        return f"{self.name}: {annotation}{self._call('dataclasses.field', *more)}"

    def _call(self, maker: str, *more: str) -> str:
        return f" = {maker}({', '.join([*self.options(), *more])})"


@dataclasses.dataclass(frozen=True)
class Body:
    """One random class: its bases, as indices of earlier classes, its options and fields."""

    bases: tuple[int, ...]
    generic: bool
    kw_only: bool
    fields: tuple[Declared, ...]

    def post_init(self) -> list[str]:
        computed = [f for f in self.fields if f.kind == DERIVED and f.default == REQUIRED]
        if not computed:
            return []
        return [
            "    def __post_init__(self):",
            "        getattr(super(), '__post_init__', int)()",
            *(f"        object.__setattr__(self, {f.name!r}, {f.value})" for f in computed),
        ]

    def source(self, i: int, as_struct: bool) -> str:
        generic = ["Generic[T]"] if self.generic and not self.bases else []
        bases = [f"C{base}" for base in self.bases]
        if as_struct:
            head = [f"class C{i}({', '.join([*(bases or ['Struct']), *generic, f'kw_only={self.kw_only}'])}):"]
        else:
            head = [f"@dataclasses.dataclass(frozen=True, kw_only={self.kw_only})"]
            head.append(f"class C{i}({', '.join([*bases, *generic])}):")
        lines = [f"    {f.as_struct() if as_struct else f.as_dataclass()}" for f in self.fields]
        return "\n".join([*head, *(lines or ["    pass"]), *self.post_init()])


HEAD = """\
import dataclasses
from typing import Any, Generic, TypeVar
from structkit import Struct, derived, field, static
T = TypeVar("T")
"""


def source_of(bodies: tuple[Body, ...], as_struct: bool) -> str:
    return HEAD + "\n".join(body.source(i, as_struct) for i, body in enumerate(bodies))


@st.composite
def shapes(draw: st.DrawFn) -> tuple[Body, ...]:
    """One to four classes, each inheriting from some of those before; the last one is the one to look at."""
    bodies: list[Body] = []
    # A name that is declared anew without a default takes the inherited one; a test of its own looks at that.
    with_default: set[str] = set()
    for i in range(draw(st.integers(1, 4))):
        bases = draw(st.lists(st.integers(0, i - 1), unique=True, max_size=2)) if i else []
        declared = []
        for name in draw(st.lists(st.sampled_from(sorted(KINDS)), unique=True, max_size=5)):
            default = draw(st.sampled_from([REQUIRED, REQUIRED, PLAIN, FACTORY]))
            if default == REQUIRED and name in with_default:
                default = PLAIN
            if default != REQUIRED:
                with_default.add(name)
            declared.append(
                Declared(
                    name=name,
                    default=default,
                    value=draw(st.integers(0, 9)),
                    kw_only=draw(st.sampled_from([None, None, True, False])),
                    converter=draw(st.booleans()),
                    hidden=draw(st.integers(0, 5)) == 0,
                    bare=draw(st.booleans()),
                )
            )
        bodies.append(
            Body(tuple(sorted(bases, reverse=True)), draw(st.booleans()), draw(st.integers(0, 4)) == 0, tuple(declared))
        )
    return tuple(bodies)


numbers = itertools.count()


@contextlib.contextmanager
def in_a_module(source: str) -> Iterator[dict[str, Any]]:
    """The names of a module that can be imported while the block runs."""
    name = f"shape_{next(numbers)}"
    module = sys.modules[name] = types.ModuleType(name)
    try:
        exec(source, vars(module))
        yield vars(module)
    finally:
        del sys.modules[name]


@contextlib.contextmanager
def defined(bodies: tuple[Body, ...], as_struct: bool) -> Iterator[type]:
    """The last class of a shape."""
    with in_a_module(source_of(bodies, as_struct)) as module:
        yield module[f"C{len(bodies) - 1}"]


@contextlib.contextmanager
def decorated(bodies: tuple[Body, ...]) -> Iterator[type]:
    """The class of the drop-in, whose source is that of the dataclass but for the decorator."""
    source = source_of(bodies, as_struct=False).replace("@dataclasses.dataclass(frozen=True, ", "@dataclass(")
    with in_a_module(f"from structkit.struct import dataclass\n{source}") as module:
        yield module[f"C{len(bodies) - 1}"]


@contextlib.contextmanager
def both(bodies: tuple[Body, ...]) -> Iterator[tuple[type, type]]:
    """The struct and the standard dataclass of a shape that has both."""
    with defined(bodies, as_struct=True) as struct, defined(bodies, as_struct=False) as standard:
        yield struct, standard


def refused(bodies: tuple[Body, ...], as_struct: bool) -> bool:
    try:
        with defined(bodies, as_struct):
            return False
    except TypeError:
        return True


valid_shapes = shapes().filter(lambda bodies: not refused(bodies, as_struct=False))
seeds = st.integers(0, 2**16)


def arguments(cls: type, seed: int) -> dict[str, int]:
    """Numbers for the parameters of a class; a seed leaves out some of those that have a default."""
    parameters = inspect.signature(cls).parameters.values()
    return {
        p.name: (seed + 7 * i) % 10
        for i, p in enumerate(parameters)
        if p.default is inspect.Parameter.empty or (seed >> i) & 1
    }


@contextlib.contextmanager
def made(bodies: tuple[Body, ...], seed: int) -> Iterator[tuple[Any, Any]]:
    """The struct and the standard dataclass made from the same arguments."""
    with both(bodies) as (struct, standard):
        values = arguments(standard, seed)
        yield struct(**values), standard(**values)


def values_of(standard: Any) -> dict[str, Any]:
    """The fields of a dataclass; its own `vars` lack the defaults of fields that `__init__` does not take."""
    return {f.name: getattr(standard, f.name) for f in dataclasses.fields(standard)}


def message(cls: type, *args: Any, **kwargs: Any) -> str:
    with pytest.raises(TypeError) as caught:
        cls(*args, **kwargs)
    return str(caught.value)


def lines(code: types.CodeType) -> list[int | None]:
    """The line of each code unit."""
    return [line for start, end, line in code.co_lines() for _ in range(start, end, 2)]


def instructions(code: types.CodeType) -> list[tuple[str, Any]]:
    return [(instruction.opname, instruction.argval) for instruction in dis.get_instructions(code)]


@deterministic
@given(shapes())
def test_a_shape_is_refused_exactly_when_dataclasses_refuse_it(bodies):
    assert refused(bodies, as_struct=True) == refused(bodies, as_struct=False), source_of(bodies, as_struct=True)


@deterministic
@given(valid_shapes)
def test_signature_match_args_fields_and_readable_defaults_are_those_of_a_dataclass(bodies):
    with both(bodies) as (struct, standard):
        assert str(inspect.signature(struct)) == str(inspect.signature(standard))
        assert str(inspect.signature(struct.__init__)) == str(inspect.signature(standard.__init__))
        assert struct.__match_args__ == standard.__match_args__
        fields, expected = dataclasses.fields(struct), dataclasses.fields(standard)
        assert [f.name for f in structkit.fields(struct)] == [f.name for f in expected]
        for attribute in ("name", "kw_only", "init", "default"):
            assert [getattr(f, attribute) for f in fields] == [getattr(f, attribute) for f in expected]
        for f in expected:
            found = getattr(struct, f.name)
            # Not by what the dataclass holds, which keeps a default that a subclass has replaced with a factory.
            assert type(found) is property if f.default is dataclasses.MISSING else found == getattr(standard, f.name)


@deterministic
@given(valid_shapes)
def test_the_code_of_an_init_is_what_its_source_compiles_to(bodies):
    with defined(bodies, as_struct=True) as cls:
        code = cls.__init__.__code__
        # What is not its own it has from a function around it.
        around = f"def make({', '.join(code.co_freevars)}):\n{textwrap.indent(inspect.getsource(cls.__init__), ' ')}"
        expected = compile(around, "<test>", "exec", dont_inherit=True)
        for _ in ("make", "__init__"):
            expected = next(part for part in expected.co_consts if isinstance(part, types.CodeType))
        for part in ("argcount", "posonlyargcount", "kwonlyargcount", "varnames", "names", "consts", "flags"):
            assert getattr(code, f"co_{part}") == getattr(expected, f"co_{part}"), part
        # By name, since Python sorts the cells by theirs.
        assert sorted(code.co_freevars) == sorted(expected.co_freevars)
        assert instructions(code) == instructions(expected)
        assert lines(code) == [line and line - 1 for line in lines(expected)]
        # The names that stand in the columns of a template are other ones.
        assert {place[2:] for place in code.co_positions()} <= {(None, None), (0, 0)}


@deterministic
@given(valid_shapes, seeds)
def test_repr_vars_and_conversions_are_those_of_a_dataclass(bodies, seed):
    with made(bodies, seed) as (struct, standard):
        text = " ".join(map(str.strip, repr(struct).splitlines())).replace("( ", "(").replace(" )", ")")
        assert text == repr(standard)
        assert list(vars(struct).items()) == list(values_of(standard).items())
        assert struct.__dict__ == {**standard.__dict__, **values_of(standard)}
        assert dataclasses.asdict(struct) == dataclasses.asdict(standard)
        assert dataclasses.astuple(struct) == dataclasses.astuple(standard)
        assert values_of(struct) == values_of(standard)


@deterministic
@given(valid_shapes, seeds)
def test_arguments_land_converted_where_a_dataclass_puts_them_and_wrong_ones_give_its_message(bodies, seed):
    with both(bodies) as (struct, standard):
        parameters = inspect.signature(standard).parameters.values()
        positional = [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY]
        named = {name: value for name, value in arguments(standard, -1).items() if name not in positional}
        values = [(seed + i) % 10 for i in range(len(positional))]
        assert vars(struct(*values, **named)) == values_of(standard(*values, **named))
        values = arguments(standard, seed)
        negative = struct(**{name: -1 - value for name, value in values.items()})
        for f in structkit.fields(struct):
            if f.name in values:
                assert getattr(negative, f.name) == (1 + values[f.name] if f.converter else -1 - values[f.name])
        assert message(struct, **values, unknown=1) == message(standard, **values, unknown=1)
        assert message(struct, *range(20)) == message(standard, *range(20))
        for p in parameters:
            if p.default is p.empty:
                rest = {name: value for name, value in values.items() if name != p.name}
                assert message(struct, **rest) == message(standard, **rest)


@deterministic
@given(valid_shapes, seeds)
def test_replace_gives_and_refuses_what_dataclasses_replace_does(bodies, seed):
    with made(bodies, seed) as (struct, standard):
        for changes in ({}, arguments(type(standard), seed + 1)):
            wanted = values_of(dataclasses.replace(standard, **changes))
            for change in REPLACERS.values():
                result = change(struct, **changes)
                assert type(result) is type(struct) and result is not struct and vars(result) == wanted
        assert vars(struct) == values_of(standard)
        for name in ("unknown", *(f.name for f in dataclasses.fields(standard) if not f.init)):
            for change in REPLACERS.values():
                with pytest.raises((TypeError, ValueError), match=rf"\b{name}\b"):
                    change(struct, **{name: 1})


@deterministic
@given(valid_shapes, seeds)
def test_copies_pickles_and_rebuilt_objects_are_equal_and_frozen(bodies, seed):
    with made(bodies, seed) as (struct, _):
        copies = [duplicate(struct) for duplicate in COPIES.values()]
        for other in (*copies, construct(type(struct), **vars(struct)), jax.tree.map(lambda leaf: leaf, struct)):
            assert type(other) is type(struct)
            assert other == struct and hash(other) == hash(struct)
            assert vars(other) == vars(struct) and repr(other) == repr(struct)
            assert jax.tree.structure(other) == jax.tree.structure(struct)
            assert weakref.ref(other)() is other
            for name in vars(struct):
                assert_frozen(other, name)
        with pytest.raises(TypeError, match="'unknown'"):
            construct(type(struct), **vars(struct), unknown=1)
        # Two classes of one shape never have equal structures.
        with defined(bodies, as_struct=True) as other:
            again = construct(other, **vars(struct))
            assert jax.tree.structure(struct) != jax.tree.structure(again)
            assert (struct == again) is False and (struct != again) is True


@deterministic
@given(valid_shapes, seeds)
def test_children_are_the_data_fields_in_declaration_order_and_may_be_anything(bodies, seed):
    with made(bodies, seed) as (struct, standard):
        data = {name: value for name, value in values_of(standard).items() if KINDS[name] != STATIC}
        pairs, treedef = jax.tree_util.tree_flatten_with_path(struct)
        assert pairs == [((jax.tree_util.GetAttrKey(name),), value) for name, value in data.items()]
        assert jax.tree.flatten(struct) == ([*data.values()], treedef)
        assert treedef.node_data()[0] is type(struct)
        strangers = [object() for _ in pairs]
        held = jax.tree.unflatten(treedef, strangers)
        assert all(a is b for a, b in zip(jax.tree.leaves(held), strangers, strict=True))
        assert jax.tree.structure(held) == treedef


@deterministic
@given(valid_shapes, seeds)
def test_a_class_of_the_drop_in_is_the_dataclass_of_its_shape_and_a_pytree_of_its_data(bodies, seed):
    with decorated(bodies) as cls, defined(bodies, as_struct=False) as standard:
        assert str(inspect.signature(cls)) == str(inspect.signature(standard))
        assert [f.name for f in structkit.fields(cls) if f.static] == [n for n in names(cls) if KINDS[n] == STATIC]
        values, changes = arguments(standard, seed), arguments(standard, seed + 1)
        struct, expected = cls(**values), values_of(standard(**values))
        assert (values_of(struct), repr(struct)) == (expected, repr(standard(**values)))
        data = [(name, value) for name, value in expected.items() if KINDS[name] != STATIC]
        pairs, treedef = jax.tree_util.tree_flatten_with_path(struct)
        assert pairs == [((jax.tree_util.GetAttrKey(name),), value) for name, value in data]
        assert jax.tree.flatten(struct) == ([value for _, value in data], treedef)
        mapped = jax.tree.map(lambda leaf: leaf + 1, struct)
        assert values_of(mapped) == expected | {name: value + 1 for name, value in data}
        for other in (
            jax.tree.unflatten(treedef, jax.tree.leaves(struct)),
            *(copy(struct) for copy in COPIES.values()),
        ):
            assert type(other) is cls and other == struct and hash(other) == hash(struct)
            assert values_of(other) == expected and jax.tree.structure(other) == treedef
        wanted = values_of(dataclasses.replace(standard(**values), **changes))
        for change in (replace, dataclasses.replace, cls.replace):
            assert values_of(change(struct, **changes)) == wanted


@deterministic
@given(valid_shapes, seeds, seeds)
def test_equality_and_hash_follow_the_values(bodies, seed, other_seed):
    with both(bodies) as (struct, standard):
        values, others = arguments(standard, seed), arguments(standard, other_seed)
        a, b = struct(**values), struct(**others)
        assert (a == b) is (standard(**values) == standard(**others)) is not (a != b)
        assert a != b or hash(a) == hash(b)
        statics = [[getattr(o, f.name) for f in structkit.fields(struct) if f.static] for o in (a, b)]
        assert (jax.tree.structure(a) == jax.tree.structure(b)) is (statics[0] == statics[1])


class Label(Struct):
    x: Any = static()


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2),
    st.sampled_from([0.0, -0.0, 1.0, 1.5, math.inf, math.nan, 1j, "", "a", b"a", ...]),
)
hashables = st.recursive(
    scalars.filter(lambda value: value == value),
    lambda inner: st.tuples(inner) | st.tuples(inner, inner) | st.frozensets(inner, max_size=2),
    max_leaves=4,
)


@deterministic
@given(hashables, hashables)
def test_statics_are_equal_only_for_equal_values_of_equal_types(x, y):
    a, b = Label(x), Label(y)
    assert (a == b) is (jax.tree.structure(a) == jax.tree.structure(b))
    if a == b:
        assert x == y and type(x) is type(y) and hash(a) == hash(b)
        assert hash(jax.tree.structure(a)) == hash(jax.tree.structure(b))
    if repr(x) == repr(y):
        assert a == b
    assert Label(copy.deepcopy(x)) == a
    assert pickle.loads(pickle.dumps(a)) == a
