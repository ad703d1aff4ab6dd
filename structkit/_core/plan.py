"""The plan of one class: its fields, options and hooks, collected once from the class body and its bases.

Everything after it (flat form, generated code, comparison, updates) reads the plan and never the class body.
"""

from __future__ import annotations

import dataclasses
import itertools
import reprlib
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax

from structkit._core.fields import MISSING, Field, adopt_fields, declared_fields
from structkit._core.statics import pack_statics
from structkit.errors import DefinitionError, nearest

OPTIONS = ("init", "repr", "eq", "order", "frozen", "kw_only", "match_args")

# How a class gets its `__init__`.
GENERATED, CUSTOM, INHERITED = "generated", "custom", "inherited"


@dataclasses.dataclass(init=False, repr=False, eq=False, slots=True)
class ClassPlan:
    """The plan of one struct class."""

    name: str  # The class's name, for messages.
    mro: list[type]  # Its bases in method resolution order.
    new_bases: list[type]  # Those that no parent has dealt with: none for a class whose one base is a struct.
    options: Mapping[str, bool]  # The class options that were given.
    finished: bool  # Whether the class is made and registered; until then hooks of bases may set what they like on it.
    fields: dict[str, Field]  # By name, in the order of `__init__`.
    arguments: dict[str, Field]  # What `__init__` takes: fields and `InitVar`s in declaration order.
    data_names: tuple[str, ...]  # The data fields: the children, in order.
    static_names: tuple[str, ...]
    index: dict[str, int]  # Name -> its place in the children or in aux.
    keys: tuple[Any, ...]  # The key path entries of the children.
    frozen: bool  # Whether finished objects refuse assignment.
    init: str  # `"generated"`, `"custom"` (to be wrapped) or `"inherited"`.
    given_init: Callable[..., None] | None  # The user's, or what a base has, unless one is to be generated.
    post_init: Any  # What user code wrote as `__post_init__`, None without one.
    checks: tuple[Callable[[Any], None], ...]  # The `__check_init__` functions, in method resolution order.
    hooks: list[str]  # Which of the two a generated `__init__` runs: others may come in their places later.
    simple: bool  # Whether construction runs no user code, so that `replace` may work on the flat form.
    callable: bool  # Whether objects can be called, and so be given to `jax.jit` as functions.
    compares_all: bool  # Whether `==` looks at every field.
    hashes_all: bool  # Whether `hash` does.
    direct: dict[str, int]  # Name -> its place, for the data fields that take a value as it is.
    start: tuple[list[Any], tuple[Any, ...]] | None  # The flat form that construction starts with, once it was needed.
    filled_later: bool  # Whether the class is about to get another plan, with what else it has.
    successor: Any  # The class that a reload has put in the place of this one, or None.

    def pack(self, values: tuple[Any, ...]) -> tuple[Any, ...]:
        """The aux half of a flat form, from the values of the static fields."""
        return pack_statics(self.name, self.static_names, values)


def make_plan(name: str, bases: tuple[type, ...], namespace: dict[str, Any], options: dict[str, bool]) -> ClassPlan:
    """The plan of the class that these arguments of a metaclass describe; `namespace` is left as it is."""
    plan = ClassPlan()
    plan.name, plan.options, plan.finished, plan.start, plan.successor = name, options, False, None, None
    plan.mro = [*class_mro(bases[0])] if len(bases) == 1 else linearize(bases)
    plan.new_bases = [] if len(bases) == 1 and plan_of(bases[0]) is not None else plan.mro
    _refuse_reserved(plan, namespace)
    parents = [base for base in plan.mro if "__dataclass_fields__" in class_dict(base)]
    # A class statement leaves a qualified name: what has neither that nor fields is an empty shell of cloudpickle's.
    plan.filled_later = "__qualname__" not in namespace and "__annotations__" not in namespace and not options
    plan.frozen = _frozen(plan, parents)
    inherited = {key: f for parent in reversed(parents) for key, f in _arguments_of(parent).items()}
    own = declared_fields(name, namespace, inherited, options.get("kw_only", False))
    if len(bases) > 1:
        _refuse_conflicts(plan, bases, own)
    plan.arguments = {**inherited, **own}
    plan.fields = {key: f for key, f in plan.arguments.items() if not f.is_initvar}
    _lay_out(plan)
    _collect_hooks(plan, namespace, own)
    return plan


# `cls.__dict__` would go through the metaclass, which serves the defaults of fields in Python code.
class_dict: Callable[[Any], Any] = vars(type)["__dict__"].__get__
class_mro: Callable[[Any], tuple[Any, ...]] = vars(type)["__mro__"].__get__


def plan_of(cls: type) -> ClassPlan | None:
    """The plan of `cls`, or None when it is no struct class."""
    return class_dict(cls).get("__struct__")  # type: ignore[no-any-return]


def linearize(bases: tuple[type, ...]) -> list[type]:
    """The method resolution order of a class with these bases, without the class itself.

    The C3 merge (Barrett et al., 1996) as `type` computes it; needed before the class exists. Where no consistent
    order exists, the error is Python's, too.
    """
    sequences = [*map(class_mro, bases), bases]
    order: list[type] = []
    while sequences := [sequence for sequence in sequences if sequence]:
        tails = {cls for sequence in sequences for cls in sequence[1:]}
        head = next((sequence[0] for sequence in sequences if sequence[0] not in tails), None)
        if head is None:
            names = ", ".join([base.__name__ for base in bases])
            raise TypeError(f"Cannot create a consistent method resolution order (MRO) for bases {names}")
        order.append(head)
        sequences = [sequence[1:] if sequence[0] is head else sequence for sequence in sequences]
    return order


def _refuse_reserved(plan: ClassPlan, namespace: dict[str, Any]) -> None:
    for body in (namespace, *map(class_dict, plan.new_bases)):
        for name in ("__flat__", "__struct__"):
            # A struct among the bases has its own plan and its own slot.
            if name in body and not isinstance(body[name], (ClassPlan, types.MemberDescriptorType)):
                raise DefinitionError(plan.name, f"{name!r} is what structs keep their fields in", "rename it")


def _frozen(plan: ClassPlan, parents: list[type]) -> bool:
    frozen = plan.options.get("frozen", True)
    for parent in () if plan.filled_later else parents:
        parent_frozen = class_dict(parent)["__dataclass_params__"].frozen
        if frozen and not parent_frozen:
            kind, cure = "mutable", f"write class {plan.name}({parent.__name__}, frozen=False)"
            if plan_of(parent) is None:
                kind, cure = "a mutable dataclass", f"make {parent.__name__} a frozen dataclass or a Struct"
            what = f"a frozen struct cannot inherit from {parent.__name__}, which is {kind}"
            raise DefinitionError(plan.name, what, cure)
        if not frozen and parent_frozen and class_dict(parent)["__dataclass_fields__"]:
            what = f"a mutable struct cannot inherit fields from {parent.__name__}, which is frozen"
            raise DefinitionError(plan.name, what, f"drop frozen=False, or make {parent.__name__} mutable too")
    return frozen


def _arguments_of(base: type) -> dict[str, Field]:
    """The fields and `InitVar`s of a base: of a struct, of a standard dataclass, or none."""
    plan = plan_of(base)
    return plan.arguments if plan else adopt_fields(class_dict(base).get("__dataclass_fields__", {}))


def _refuse_conflicts(plan: ClassPlan, bases: tuple[type, ...], own: dict[str, Field]) -> None:
    """Refuse a field that is data in one base and static in an unrelated one, unless the body says which."""
    seen: dict[str, tuple[type, str]] = {}
    for base in bases:
        for name, f in _arguments_of(base).items():
            kind = "an InitVar" if f.is_initvar else "static" if f.static else "a data field"
            other, other_kind = seen.setdefault(name, (base, kind))
            chosen = name in own and own[name].explicit_static is not None and not own[name].is_initvar
            if kind == other_kind or issubclass(other, base) or chosen:
                continue
            told = sorted([f"{other_kind} in {other.__name__}", f"{kind} in {base.__name__}"])
            cure = f"declare it in {plan.name} with field(static=True) or field(static=False)"
            raise DefinitionError(plan.name, f"field {name!r} is {' and '.join(told)}", cure)


def _lay_out(plan: ClassPlan) -> None:
    """Where each field is in the flat form, and what follows for the methods that read it."""
    fields = plan.fields
    plan.static_names = tuple([key for key, f in fields.items() if f.static])
    plan.data_names = tuple([key for key, f in fields.items() if not f.static])
    plan.index = dict(zip(plan.data_names, itertools.count()))
    plan.direct = {key: i for key, i in plan.index.items() if fields[key].converter is None}
    # The values in aux begin after the names; see `statics.py`.
    plan.index.update(zip(plan.static_names, itertools.count(1)))
    plan.compares_all = all([f.compare for f in fields.values()])
    plan.hashes_all = all([f.compare if f.hash is None else f.hash for f in fields.values()])
    plan.keys = tuple(map(jax.tree_util.GetAttrKey, plan.data_names))


def _collect_hooks(plan: ClassPlan, namespace: dict[str, Any], own: dict[str, Field]) -> None:
    bodies = [namespace, *map(class_dict, plan.mro)]
    plan.callable = any(["__call__" in body for body in bodies])
    plan.post_init = written_post_init(bodies)
    plan.checks = written_checks(bodies)
    plan.hooks = ["__post_init__"] * (plan.post_init is not None) + ["__check_init__"] * bool(plan.checks)
    plan.init, plan.given_init = _init_kind(plan, namespace, own)
    if plan.init == GENERATED:
        _check_order(plan)
    # The last of the bases is `object`.
    own_new = any(["__new__" in body for body in bodies[:-1]])
    plain = not own_new and all([f.init and f.converter is None and not f.is_initvar for f in plan.arguments.values()])
    generated = plan.init == GENERATED and plan.given_init is None
    plan.simple = plain and generated and plan.post_init is None and not plan.checks


def written_post_init(bodies: Iterable[Any]) -> Any:
    """What user code wrote as `__post_init__` in the first of these bodies that has one, None without one."""
    holders = [body for body in bodies if "__post_init__" in body]
    # A struct has a wrapper around what was written, or one around nothing.
    written = [body["__struct__"].post_init if "__struct__" in body else body["__post_init__"] for body in holders]
    return next((method for method in written if method is not None), None)


def written_checks(bodies: Iterable[Any]) -> tuple[Callable[[Any], None], ...]:
    """What user code wrote as `__check_init__` in these bodies."""
    return tuple([body["__check_init__"] for body in bodies if "__check_init__" in body])


def _init_kind(plan: ClassPlan, namespace: dict[str, Any], own: dict[str, Field]) -> tuple[str, Any]:
    """How the class gets its `__init__`, and the function where it is not generated."""
    if "__init__" in namespace:
        return CUSTOM, namespace["__init__"]
    wanted = plan.options.get("init", True)
    if wanted and (own or "init" in plan.options):
        return GENERATED, None
    for base in plan.mro:
        init = class_dict(base).get("__init__")
        base_plan = plan_of(base)
        # What typing puts into protocol classes is no user code, and a struct with nothing to construct, such as
        # `Struct` itself, must not hide an `__init__`.
        of_typing = getattr(init, "__module__", "") in ("typing", "typing_extensions")
        if init is None or of_typing or (base_plan and base_plan.init == GENERATED and not base_plan.arguments):
            continue
        if base_plan is not None:
            if not wanted or base_plan.init != GENERATED:
                return INHERITED, init
            # What somebody has put around a generated one is inherited, but knows no hook of this class.
            return GENERATED, None if is_generated(init) or "__post_init__" in namespace else init
        if base is not object and "__dataclass_fields__" not in class_dict(base):
            return CUSTOM, init
        break
    return (GENERATED, None) if wanted else (CUSTOM, _empty_init)


def is_generated(init: Any) -> bool:
    """Whether something is an `__init__` that `initgen.py` has made."""
    return isinstance(init, types.FunctionType) and init.__code__.co_filename.startswith("<structkit: ")


def is_of_dataclass(method: Any) -> bool:
    """Whether `dataclasses` or `structkit.struct` has written a method, as opposed to user code."""
    if not isinstance(method, types.FunctionType):
        return False
    code, wrapped = method.__code__, getattr(method, "__wrapped__", None)
    if wrapped is not None and code.co_filename in _LIBRARIES:
        # What keeps a `__repr__` from recursion.
        return is_of_dataclass(wrapped)
    return code.co_qualname.startswith("__create_fn__.") or code.co_filename.startswith(DATACLASS_TITLE)


# How the names begin that stand for files where `structkit.struct` writes code.
DATACLASS_TITLE = "<structkit.struct "
_LIBRARIES = [library.__code__.co_filename for library in (dataclasses.dataclass, reprlib.recursive_repr)]


def _empty_init(self: Any) -> None:
    """Leave every field to its default: what `init=False` without an `__init__` in user code means."""


# As the signature of a class that takes nothing reads in dataclasses.
_empty_init.__annotations__.clear()
# In the error for an argument.
_empty_init.__qualname__ = "__init__"


def _check_order(plan: ClassPlan) -> None:
    defaulted = ""
    for name, f in plan.arguments.items():
        if not f.init or f.kw_only:
            continue
        if f.default is not MISSING or f.default_factory is not MISSING:
            defaulted = name
        elif defaulted:
            what = f"non-default argument {name!r} follows default argument {defaulted!r}"
            cure = f"reorder the fields, give {name!r} a default, or set kw_only=True"
            raise DefinitionError(plan.name, what, cure)


def split_options(name: str, keywords: dict[str, Any]) -> tuple[dict[str, bool], dict[str, Any]]:
    """The class options among `keywords`, and the others, which are for `__init_subclass__`."""
    options = {key: bool(keywords.pop(key)) for key in OPTIONS if key in keywords}
    if options.get("order") and not options.get("eq", True):
        raise DefinitionError(name, "order=True needs ==", "drop eq=False")
    return options, keywords


def unknown_option(name: str, keywords: dict[str, Any]) -> DefinitionError:
    """The error for class keywords that neither the options nor an `__init_subclass__` take."""
    unknown = next((keyword for keyword in keywords if nearest(keyword, OPTIONS)), next(iter(keywords)))
    what = f"unknown class option {unknown!r}{nearest(unknown, OPTIONS)}"
    cure = f"the options are {', '.join(OPTIONS)}; others need a base with __init_subclass__({unknown}=...)"
    return DefinitionError(name, what, cure)
