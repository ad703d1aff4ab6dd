"""State: what is loaded has the type of its target, and aliases are a tuple of names."""

from typing import Any

import jax
from typing_extensions import assert_type

from structkit import Struct, derived, field, state, static


class Model(Struct):
    weight: jax.Array = field(aliases=("kernel",))
    name: str = static(default="model", aliases=("title",))
    steps: int = field(default=0, aliases=("step", "count"))
    total: int = derived(default=0, aliases=("sum",))


class WrongAliases(Struct):
    weight: jax.Array = field(aliases=1)  # error: aliases-type
    name: str = static(default="", aliases=[2])  # error: static-aliases-type


def progress(done: int, total: int) -> None: ...


def wrong_progress(done: str) -> None: ...


def use(model: Model, metadata: list[int | dict[str, str]] | dict[str, int | str] | None) -> None:
    assert_type(state.save("file", model), tuple[str, ...])
    assert_type(state.load("file", model), Model)
    assert_type(state.load("file", Model), Model)
    assert_type(state.load("file", Model, progress=progress), Model)
    assert_type(state.load("file", model, strict=False), tuple[Model, tuple[state.Difference, ...]])
    assert_type(state.load("file", Model, False), tuple[Model, tuple[state.Difference, ...]])
    assert_type(state.load("file", {"a": model}), dict[str, Model])
    assert_type(state.from_state_dict(model, {}), Model)
    assert_type(state.from_state_dict(model, {}, strict=False), tuple[Model, tuple[state.Difference, ...]])
    assert_type(state.inspect("file").entries[0].shape, tuple[int, ...])
    assert_type(state.schema(model), dict[str, Any])
    assert_type(state.match({}, model), state.Match[Model])
    assert_type(state.match(metadata, Model), state.Match[Model])
    assert_type(state.match({}, model, strict=False).differences, tuple[state.Difference, ...])
    assert_type(state.match({}, Model).fill({"weight": model.weight}), Model)
    assert_type(state.match({}, {"a": model}).fill({}), dict[str, Model])
    assert_type(state.register_export(model), Model)
    assert_type(state.register_export(Model)(model.weight), Model)
    dictionary: dict[str, Any] = state.to_state_dict(model, include_static=True)
    state.save("file", dictionary, progress=progress)
    state.save("file", model, progress=wrong_progress)  # error: progress-type
    state.register_export(Model, model)  # error: one-tree
    state.register_export(Model)(weight=1.0)  # error: class-arguments
    state.load("file")  # error: no-target
    state.load("file", model).unknown  # error: result-attribute
    state.to_state_dict(model, True)  # error: keyword-only
    state.match(model, metadata)  # error: schema-type
    state.match({}, model).fill()  # error: nothing-restored
    state.match({}, Model).fill({}).unknown  # error: filled-attribute
