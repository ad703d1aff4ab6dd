"""Calling the constructor: defaults, factories, keyword-only fields, options of fields."""

import dataclasses

import jax
import jax.numpy as jnp

from structkit import Struct, construct, field, static


class Options(Struct):
    depth: int = static(default=2)
    rate: float = 0.1
    tags: list[str] = field(default_factory=list[str])
    table: dict[str, jax.Array] = field(default_factory=dict[str, jax.Array])
    title: str | None = None
    scale: jax.Array = jnp.ones(3)
    doc: int = field(default=1, doc="one line", repr=False, compare=False, hash=False, metadata={"unit": "m"})
    spec: int = field(default=1, spec=None)


class Mixed(Struct):
    a: int
    b: int = field(kw_only=True)
    c: int = field(kw_only=True, default=2)
    d: int = 3
    e: int = static(kw_only=True, default=4)


class Separated(Struct):
    a: int
    _: dataclasses.KW_ONLY
    b: int
    c: int = 2


class Unshy(Struct, kw_only=True):
    a: int = field(kw_only=False)
    b: int


w, b = jnp.ones((2, 3)), jnp.ones(3)

Options()
Options(3, 0.2, ["a"], {"w": w}, "title", b)
Options(depth=3, title=None)
Options(3, depth=3)  # error: twice
Options(rate="fast")  # error: default-type
Options(table={"w": "w"})  # error: factory-dict-type
Options(title=3)  # error: optional-type
Options(scale="big")  # error: array-default-type
Options(doc="x")  # error: field-options-type

Mixed(1, b=2)
Mixed(1, 3, b=2, c=4, e=5)
Mixed(1)  # error: mixed-missing
Mixed(1, 2, 3)  # error: mixed-positional
Mixed(1, b="2")  # error: mixed-type
Separated(1, b=2)
Separated(1, 2)  # error: separator-positional
Separated(1)  # error: separator-missing
Unshy(1, b=2)
Unshy(1, 2)  # error: kw-only-false

made: Separated = construct(Separated, a=1, b=2)
unmade: Options = construct(Separated, a=1, b=2)  # error: construct-result


class WrongDefaults(Struct):
    c: int = field(default="1")  # error: field-default
    e: list[int] = static(default_factory=set)  # error: static-factory


class WrongOptions(Struct):
    a: int = field(default=1, default_factory=int)  # error: two-defaults
    c: int = field(default=1, kw_only="yes")  # error: option-type
    d: int = static(1)  # error: positional-default


class WrongOrderField(Struct):
    a: int = field(default=1)
    b: int = field()  # error: required-field-after-default
