"""The names and the behaviour of `flax.struct`: `dataclass`, `field` and `PyTreeNode`.

`from structkit import struct` in the place of `from flax import struct` is all that a code base needs. The standard
library makes the dataclass, in place, and this module adds what flax adds, `replace` and a mark, and a pytree node
whose functions are written for the class. So whatever holds for a dataclass holds for these classes; they are no
`Struct`s, but `structkit.at`, `fields`, `replace`, `construct` and the others work on them.

Example:
    >>> import jax
    >>> from structkit import struct
    >>> @struct.dataclass
    ... class Particle:
    ...     position: float
    ...     name: str = struct.field(pytree_node=False, default="electron")
    >>> jax.tree.map(lambda leaf: leaf + 1, Particle(1.0))
    Particle(position=2.0, name='electron')
"""

from __future__ import annotations

import abc
import contextlib
import dataclasses
import enum
import functools
import inspect
import itertools
import linecache
import types
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, overload

import jax
import numpy as np
from jax.tree_util import GetAttrKey
from typing_extensions import dataclass_transform

from structkit._core.annotations import FIELD, STATIC, annotation_kinds
from structkit._core.compare import equal_values, not_equal
from structkit._core.fields import MISSING, Field, adopt, check_aliases
from structkit._core.plan import DATACLASS_TITLE, class_dict, class_mro, is_of_dataclass
from structkit._core.registry import FUNCTIONS, DataclassNode, register_dataclass_node
from structkit._core.struct import StructMeta
from structkit.errors import DefinitionError

if TYPE_CHECKING:
    from structkit._bridges import ReplaceDescriptor

__all__ = ["PyTreeNode", "dataclass", "field"]

_T = TypeVar("_T")
_C = TypeVar("_C", bound=type[Any])

# Set on each decorated class, as flax does it: code that looks for it finds it.
_MARKER = "_flax_dataclass"

_OPTIONS = frozenset(inspect.signature(dataclasses.dataclass).parameters)


# fmt: off
@overload
def field(pytree_node: bool = True, *, default: _T, init: bool = True, repr: bool = ..., hash: bool | None = ...,
          compare: bool = ..., kw_only: bool = ..., doc: str | None = ...,
          metadata: Mapping[str, Any] | None = ...) -> _T: ...
@overload
def field(pytree_node: bool = True, *, default_factory: Callable[[], _T], init: bool = True, repr: bool = ...,
          hash: bool | None = ..., compare: bool = ..., kw_only: bool = ..., doc: str | None = ...,
          metadata: Mapping[str, Any] | None = ...) -> _T: ...
@overload
def field(pytree_node: bool = True, *, init: bool = True, repr: bool = ..., hash: bool | None = ...,
          compare: bool = ..., kw_only: bool = ..., doc: str | None = ...,
          metadata: Mapping[str, Any] | None = ...) -> Any: ...
# fmt: on
def field(
    pytree_node: bool = True, *, metadata: Mapping[str, Any] | None = None, doc: str | None = None, **options: Any
) -> Any:
    """A field with options, to be written as the default in a class body.

    Args:
        pytree_node: False keeps the value in the tree structure, unchecked, instead of among the children.
        metadata: a mapping for your own use; `pytree_node` is added to it.
        doc: one line of documentation.
        **options: those of `dataclasses.field`.

    Example:
        >>> from structkit import struct
        >>> @struct.dataclass
        ... class Model:
        ...     weight: float
        ...     name: str = struct.field(pytree_node=False, default="linear")
        >>> Model(1.0)
        Model(weight=1.0, name='linear')
    """
    made = adopt(dataclasses.field(metadata={**(metadata or {}), "pytree_node": pytree_node}, **options))
    made.doc = doc
    return made


# fmt: off
@overload
def dataclass(clz: _C) -> _C: ...
@overload
def dataclass(clz: None = None, *, init: bool = True, repr: bool = True, eq: bool = True, order: bool = False,
              unsafe_hash: bool = False, frozen: bool = True, match_args: bool = True, kw_only: bool = False,
              slots: bool = False, weakref_slot: bool = False) -> Callable[[_C], _C]: ...
# fmt: on
@dataclass_transform(frozen_default=True, field_specifiers=(field, dataclasses.field))
def dataclass(clz: Any = None, **options: Any) -> Any:
    """The class as a frozen dataclass and a pytree node; with options only, a decorator that makes it one.

    It stays the same class, as with `dataclasses.dataclass` (with `slots=True` that makes a new one). A class that is
    decorated already is returned as it is.

    Args:
        clz: the class to decorate.
        **options: those of `dataclasses.dataclass`; `frozen` is True by default.

    Raises:
        DefinitionError: the class cannot become a dataclass of this kind; the message says why and what to do.

    Example:
        >>> import jax
        >>> from structkit import struct
        >>> @struct.dataclass
        ... class State:
        ...     position: float
        ...     steps: int = struct.field(pytree_node=False, default=0)
        >>> jax.tree.map(lambda leaf: leaf + 1, State(1.0))
        State(position=2.0, steps=0)
    """
    if clz is None:
        return functools.partial(dataclass, **options)
    if not isinstance(clz, type):
        raise TypeError(f"dataclass() decorates a class, not {type(clz).__name__}")
    body = dict(class_dict(clz))
    if _MARKER in body:
        return clz
    _refuse_unfit(clz)
    kinds = {name: kind for name, (_, kind) in annotation_kinds(body).items()}
    declared = [name for name, kind in kinds.items() if kind in (FIELD, STATIC)]
    cls = _standard_dataclass(clz, declared, {"frozen": True, **options})
    fields = {f.name: _adopted(cls, f, kinds.get(f.name) == STATIC) for f in dataclasses.fields(cls)}
    check_aliases(cls.__name__, fields)
    methods, cls.__node__ = _generate(cls, fields, _descriptors(cls, fields))
    made = class_dict(cls).keys() - body.keys()
    if "__eq__" in made:
        cls.__eq__ = methods["__eq__"]
        if not isinstance(cls.__ne__, types.FunctionType):
            cls.__ne__ = not_equal
    if "__setstate__" in made:
        cls.__setstate__ = _set_slots
    if "replace" not in fields and _wants_replace(cls):
        cls.replace = methods["replace"]
        abc.update_abstractmethods(cls)
    setattr(cls, _MARKER, True)
    register_dataclass_node(cls.__node__, late=not kinds)
    return cls


@dataclass_transform(frozen_default=True, field_specifiers=(field, dataclasses.field))
class PyTreeNode:
    """A base class that makes each of its subclasses a frozen dataclass and a pytree node, like `dataclass`.

    The options of `dataclasses.dataclass` are class keywords.

    Example:
        >>> import jax
        >>> from structkit import struct
        >>> class Model(struct.PyTreeNode):
        ...     weight: float
        ...     name: str = struct.field(pytree_node=False, default="linear")
        >>> jax.tree.leaves(Model(1.0).replace(weight=2.0))
        [2.0]
    """

    if TYPE_CHECKING:
        __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]
        replace: ClassVar[ReplaceDescriptor]
        """A copy with some fields changed, made by the constructor, as `dataclasses.replace` does it."""

        # fmt: off
        def __init_subclass__(
            cls, *, init: bool = True, repr: bool = True, eq: bool = True, order: bool = False,
            unsafe_hash: bool = False, frozen: bool = True, match_args: bool = True, kw_only: bool = False,
            slots: bool = False, weakref_slot: bool = False, **others: Any) -> None: ...
        # fmt: on

    else:

        def replace(self, /, **changes: Any) -> Any:
            """A copy with some fields changed: for `super().replace(...)`, since each subclass has one of its own."""
            return dataclasses.replace(self, **changes)

        def __init_subclass__(cls, **keywords: Any) -> None:
            if isinstance(cls, StructMeta):
                # A `Struct` that inherits from a node stays one: JAX keeps the first registration of a class.
                return super().__init_subclass__(**keywords)
            options = {key: keywords.pop(key) for key in _OPTIONS.intersection(keywords)}
            super().__init_subclass__(**keywords)
            if options.get("slots"):
                what = "slots=True needs a new class, which a base class cannot make"
                cure = "write @struct.dataclass(slots=True) instead of inheriting from PyTreeNode"
                raise DefinitionError(cls.__name__, what, cure)
            dataclass(cls, **options)

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            if type(self) is PyTreeNode:
                raise NotImplementedError("PyTreeNode is a base class: inherit from it and declare fields")
            super().__init__(*args, **kwargs)


def _refuse_unfit(cls: type[Any]) -> None:
    name, parameters = cls.__name__, class_dict(cls).get("__dataclass_params__")
    if isinstance(cls, StructMeta):
        raise DefinitionError(name, "is a Struct already", "drop the decorator; options are class keywords")
    if issubclass(cls, enum.Enum):
        raise DefinitionError(name, "is an Enum, whose members are constants", "drop the decorator: it can be static")
    if hasattr(cls, "_fields") and issubclass(cls, tuple):
        raise DefinitionError(name, "is a tuple, which JAX knows already", "drop the decorator, or NamedTuple")
    value: Any = next((kind for kind in _VALUES if issubclass(cls, kind)), None)
    if value is not None and cls.__new__ is value.__new__:
        what = f"is a subclass of {value.__name__}, whose own value is in no field and would be lost"
        raise DefinitionError(name, what, f"hold the {value.__name__} in a field")
    if parameters is not None and parameters.frozen:
        raise DefinitionError(name, "is a frozen dataclass already", "drop dataclasses.dataclass, or this decorator")


# An object of them has its value from the start: unless a user's `__new__` knows better, from the first argument.
_VALUES = (bool, int, float, complex, str, bytes, tuple, frozenset)


def _standard_dataclass(cls: type[Any], names: Iterable[str], options: dict[str, Any]) -> Any:
    """The class as a dataclass of the standard library, arrays among the defaults of these names included.

    The standard library takes what has no hash for mutable. So it is shown a factory for each array, and what it has
    made says afterwards that the array is the default.
    """
    arrays: dict[str, Any] = {}
    for name in names:
        value = getattr(cls, name, MISSING)
        f = value if isinstance(value, dataclasses.Field) else dataclasses.field(default=value)
        if isinstance(f.default, jax.Array | np.ndarray):
            arrays[name] = f.default
            f.default = MISSING
            if f.init or options.get("slots"):
                # Else the class alone has it.
                f.default_factory = functools.partial(arrays.get, name)
            setattr(cls, name, f)
    written = class_dict(cls).get("__init__")
    made: Any = dataclasses.dataclass(**options)(cls)
    for name, array in arrays.items():
        f = made.__dataclass_fields__[name]
        f.default, f.default_factory = array, MISSING
        if name not in class_dict(made):
            setattr(made, name, array)
    init: Any = class_dict(made).get("__init__")
    if arrays and init is not written:
        defaults, keywords = init.__defaults__ or (), init.__kwdefaults__ or {}
        positional = init.__code__.co_varnames[init.__code__.co_argcount - len(defaults) :]
        init.__defaults__ = tuple([arrays.get(name, default) for name, default in zip(positional, defaults)])
        init.__kwdefaults__ = {name: arrays.get(name, default) for name, default in keywords.items()}
    return made


def _adopted(cls: type[Any], f: Any, annotated: bool) -> Field:
    """What a field of the standard library says, as a `Field`; `annotated` with `Static[...]`, it is static."""
    made = adopt(f)
    if made.converter is not None:
        what = f"field {f.name!r} has a converter, which a dataclass does not call"
        raise DefinitionError(cls.__name__, what, "inherit from Struct")
    if annotated and made.explicit_static is None:
        # Where subclasses, and other libraries, find it.
        f.metadata = types.MappingProxyType({**f.metadata, "pytree_node": False})
        made = adopt(f)
    return made.named(f.name, f.type, is_initvar=False)


def _descriptors(cls: type[Any], names: Iterable[str]) -> tuple[str, ...]:
    """The fields whose values are not in the object's `__dict__`: slots, and defaults that are descriptors."""
    bodies = [class_dict(base) for base in class_mro(cls)]
    found = {name: next((body[name] for body in bodies if name in body), None) for name in names}
    return tuple([name for name, value in found.items() if hasattr(type(value), "__set__")])


_CONTAINERS = (dict, list, set, bytearray)
_count = itertools.count(1)

_TEMPLATE = """\
def flatten(self):
    return {children}, {aux}


def flatten_with_keys(self):
    return {pairs}, {aux}


def unflatten(aux, children, cls=cls, new=new, set_field=set_field):
    {unflatten}
    return self


def __eq__(self, other):
    if self.__class__ is not other.__class__:
        return NotImplemented
    return equal_values({mine}, {others})


def replace(self, /, **changes):
    if "__node__" in type(self).__dict__ and len(self.__dataclass_fields__) == {count}:
        try:
            values = {values}
        except AttributeError:
            # A field that is not set is told below, if it is needed.
            pass
        else:
            return type(self)(**values)
    # The constructor takes other fields.
    return dataclasses.replace(self, **changes)
"""


def _generate(cls: Any, fields: dict[str, Field], descriptors: tuple[str, ...]) -> tuple[dict[str, Any], DataclassNode]:
    """The functions that are written for a class, in one piece of source, and its record."""
    node = DataclassNode(cls, fields, (_remade, (lambda: cls, fields, descriptors)))
    compared = [name for name, f in fields.items() if f.compare]
    arguments = [name for name, f in fields.items() if f.init]
    known = [*getattr(cls, "__dataclass_fields__", ())]
    source = _TEMPLATE.format(
        children=_tuple("self.{0}", node.data_names),
        aux=_tuple("self.{0}", node.static_names),
        pairs=_tuple("(key_{0}, self.{0})", node.data_names),
        unflatten="\n    ".join(_unflatten(node, descriptors)),
        mine=_tuple("self.{0}", compared),
        others=_tuple("other.{0}", compared),
        # No object has so few: the constructor may take others, and the standard library knows what to do.
        count=len(known) if arguments == known else -1,
        values=f"{{{''.join([f'{name!r}: self.{name}, ' for name in arguments])}**changes}}",
    )
    filename = f"{DATACLASS_TITLE}{cls.__module__}.{cls.__qualname__} {next(_count)}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
    news = [class_dict(base).get("__new__") for base in class_mro(cls)]
    new = next(new for new in news if isinstance(new, types.BuiltinFunctionType))
    made: dict[str, Any] = {"cls": cls, "new": new, "set_field": object.__setattr__}
    # Without the class: where it is carried by value, it must not be met again inside its methods.
    scope = {"__name__": cls.__module__, "dataclasses": dataclasses, "equal_values": equal_values}
    scope |= {f"key_{name}": GetAttrKey(name) for name in node.data_names}
    exec(compile(source, filename, "exec"), scope, made)
    for name in ("__eq__", "replace"):
        made[name].__qualname__ = f"{cls.__qualname__}.{name}"
    made["replace"].__doc__ = "A copy with some fields changed, made by the constructor as by `dataclasses.replace`."
    for name in FUNCTIONS:
        setattr(node, name, made[name])
    return made, node


def _unflatten(node: DataclassNode, descriptors: Iterable[str]) -> list[str]:
    """The lines of `unflatten` that make an object of `children` and `aux`."""
    halves = ((node.data_names, "children"), (node.static_names, "aux"))
    values = [f"{_tuple('values[{0!r}]', names)} = {half}" for names, half in halves if names]
    if issubclass(node.cls, _CONTAINERS):
        # What it holds besides its fields only the constructor knows: the outputs of transformers' models are such.
        taken = [f"{name!r}: values[{name!r}]" for name, f in node.fields.items() if f.init]
        later = [f"set_field(self, {name!r}, values[{name!r}])" for name, f in node.fields.items() if not f.init]
        return ["values = {}", *values, f"self = cls(**{{{', '.join(taken)}}})", *later]
    place = "self.__dict__" if node.cls.__dictoffset__ else "{}"
    slots = [f"set_field(self, {name!r}, values.pop({name!r}))" for name in descriptors]
    return ["self = new(cls)", f"values = {place}", *values, *slots]


def _tuple(form: str, names: Iterable[str]) -> str:
    items = [form.format(name) for name in names]
    return f"({items[0]},)" if len(items) == 1 else f"({', '.join(items)})"


def _remade(given: Callable[[], Any], fields: dict[str, Field], descriptors: tuple[str, ...]) -> DataclassNode:
    """The record of a class that was carried by value, and is now registered here; `given` gives the class."""
    cls = given()
    if not isinstance(cls, type):
        # With dill it is made later, with all that its body holds, and then tells the record.
        return DataclassNode(cls, fields, (_remade, (given, fields, descriptors)))
    _, node = _generate(cls, fields, descriptors)
    # A subclass of `PyTreeNode` is registered already, and then looks its record up.
    with contextlib.suppress(DefinitionError):
        register_dataclass_node(node, late=False)
    return node


def _wants_replace(cls: type[Any]) -> bool:
    """Whether the class needs a `replace` of ours: no user's class has one."""
    body = next((body for body in map(class_dict, class_mro(cls)) if "replace" in body), None)
    if body is None or "replace" in class_dict(cls):
        return body is None
    found, is_foreign_dataclass = body["replace"], "__dataclass_fields__" in body and _MARKER not in body
    is_ours = is_of_dataclass(found) or found is PyTreeNode.replace
    # The method of a built-in class, such as str.
    is_no_users = isinstance(found, types.MethodDescriptorType) or getattr(found, "__isabstractmethod__", False)
    return is_ours or is_foreign_dataclass or is_no_users


def _set_slots(self: Any, state: Any) -> None:
    """The `__setstate__` of a frozen dataclass with slots, for pickles with the fields by name, too (up to 0.1.0)."""
    names = [f.name for f in dataclasses.fields(self)]
    for name, value in state.items() if isinstance(state, dict) else zip(names, state):
        object.__setattr__(self, name, value)
