"""Calling the constructor: names, order, types, defaults, factories, keyword-only fields."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from structkit import Struct, construct, field, static


class Linear(Struct):
    weight: jax.Array
    bias: jax.Array
    activation: Callable[[jax.Array], jax.Array] = static(default=jax.nn.relu)


class Options(Struct):
    depth: int = static(default=2)
    rate: float = 0.1
    tags: list[str] = field(default_factory=list[str])
    table: dict[str, jax.Array] = field(default_factory=dict[str, jax.Array])
    title: str | None = None
    scale: jax.Array = jnp.ones(3)
    doc: int = field(default=1, doc="one line", repr=False, compare=False, hash=False, metadata={"unit": "m"})
    spec: int = field(default=1, spec=None)


class KeywordOnly(Struct, kw_only=True):
    seed: int
    name: str = "key"
    _: dataclasses.KW_ONLY


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

Linear(w, b)
Linear(w, b, jnp.tanh)
Linear(bias=b, weight=w, activation=lambda x: x)
Linear(w)  # error: missing
Linear(weight=w)  # error: missing-by-name
Linear()  # error: missing-all
Linear("w", b)  # error: wrong-type
Linear(w, bias="b")  # error: wrong-type-by-name
Linear(w, b, bais=b)  # error: unknown-name
Linear(w, b, jnp.tanh, 1)  # error: too-many
Linear(w, b, weight=w)  # error: twice
Linear(jnp.tanh, w, b)  # error: order
Linear(w, b, "relu")  # error: static-type
Linear(w, b, activation=len)  # error: static-callable

Options()
Options(3, 0.2, ["a"], {"w": w}, "title", b)
Options(depth=3, title=None)
Options(depth="3")  # error: static-default-type
Options(rate="fast")  # error: default-type
Options(tags=[1])  # error: factory-type
Options(table={"w": "w"})  # error: factory-dict-type
Options(title=3)  # error: optional-type
Options(scale="big")  # error: array-default-type
Options(doc="x")  # error: field-options-type

KeywordOnly(seed=1)
KeywordOnly(seed=1, name="a")
KeywordOnly(1)  # error: kw-only-positional
KeywordOnly(name="a")  # error: kw-only-missing
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

made: Linear = construct(Linear, weight=w, bias=b)
unmade: Options = construct(Linear, weight=w, bias=b)  # error: construct-result


class WrongDefaults(Struct):
    a: int = "1"  # error: plain-default
    b: int = static(default="1")  # error: static-default
    c: int = field(default="1")  # error: field-default
    d: list[int] = field(default_factory=dict)  # error: field-factory
    e: list[int] = static(default_factory=set)  # error: static-factory


class WrongOptions(Struct):
    a: int = field(default=1, default_factory=int)  # error: two-defaults
    b: int = field(defualt=1)  # error: misspelt-option
    c: int = field(default=1, kw_only="yes")  # error: option-type
    d: int = static(1)  # error: positional-default


class WrongOrder(Struct):
    a: int = 1
    b: int  # error: required-after-default


class WrongOrderField(Struct):
    a: int = field(default=1)
    b: int = field()  # error: required-field-after-default
