"""Changed copies: `replace` in its spellings, and `construct`."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from structkit import Struct, StructError, construct, replace
from tests.models import REPLACERS, Everything, Loud, LoudCustom, Mutable, Pair, Scaled, assert_frozen


# What `dataclasses.replace` refuses, it refuses in its own words.
@pytest.fixture(params=[name for name in REPLACERS if name != "dataclasses"])
def changed(request):
    return REPLACERS[request.param]


class CustomChild(LoudCustom):
    pass


class LoudChild(Loud):
    z: Any = 0


def test_replace_gives_a_changed_copy_of_the_same_class(changed):
    before = Pair(1, 2, "a")
    assert changed(before, x=3) == Pair(3, 2, "a")
    assert changed(before, name="b") == Pair(1, 2, "b")
    assert changed(before, x=3, y=None, name="b") == Pair(3, None, "b")
    assert before == Pair(1, 2, "a")
    same = changed(before)
    assert same == before and same is not before and type(same) is Pair


def test_replace_keeps_the_other_values_themselves_and_gives_a_frozen_struct(changed):
    array = np.ones(3)
    made = changed(Pair(array), y=1)
    assert made.x is array
    for struct in (made, changed(Loud(1)), changed(LoudCustom(1), y=3)):
        assert_frozen(struct)


def test_replace_works_inside_jit_and_on_tracers(changed):
    doubled = jax.jit(lambda s: changed(s, x=s.x * 2))(Pair(jnp.ones(2), jnp.zeros(1), "n"))
    assert doubled == Pair(jnp.ones(2) * 2, jnp.zeros(1), "n")


def test_replace_refuses_an_unknown_name_with_the_nearest_field(changed):
    with pytest.raises(TypeError) as caught:
        changed(Pair(1), nmae=2)
    assert str(caught.value) == "replace: Pair has no field 'nmae' (did you mean 'name'?) (fields: x, y, name)"
    assert isinstance(caught.value, StructError)
    for made in (Pair(1), Loud(1), LoudCustom(1), CustomChild(1), Mutable(1)):
        with pytest.raises(TypeError, match=f"{type(made).__name__} has no field 'unknown'"):
            changed(made, x=1, unknown=1)


def test_replace_checks_statics(changed):
    with pytest.raises(TypeError, match=r"static field Pair\.name cannot hold a list"):
        changed(Pair(1), name=["a"])
    with pytest.raises(TypeError, match=r"static field LoudCustom\.n cannot hold a jax array"):
        changed(LoudCustom(1), n=jnp.ones(3))
    assert jax.tree.structure(changed(Pair(1), name=True)) != jax.tree.structure(changed(Pair(1), name=1))


@pytest.mark.parametrize("cls", [Loud, LoudChild])
def test_replace_of_a_generated_constructor_runs_every_hook_once(changed, cls):
    before = cls(1)
    Loud.marks.clear()
    after = changed(before, x=3)
    assert sorted(Loud.marks) == ["check", "converter", "post_init", "static converter"]
    assert type(after) is cls and (after.x, after.y, after.twice, after.label) == (3, 0, 6, "a")
    with pytest.raises(ValueError, match="x must not be negative"):
        changed(before, x=-1)


def test_replace_of_one_field_after_another_keeps_what_was_changed_before(changed):
    after = changed(changed(LoudChild(1), x=2), z=4)
    assert vars(after) == {"x": 2, "y": 0, "twice": 4, "label": "a", "z": 4}


def test_replace_refuses_a_derived_field_by_name(changed):
    with pytest.raises((TypeError, ValueError), match="field 'twice' of Loud is not an __init__ parameter"):
        changed(Loud(1), twice=3)


@pytest.mark.parametrize("cls", [LoudCustom, CustomChild])
def test_replace_of_a_custom_constructor_puts_fields_in_place_and_runs_the_checks(changed, cls):
    before = cls(1)
    LoudCustom.marks.clear()
    after = changed(before, y=5)
    assert LoudCustom.marks == ["check"]
    assert type(after) is cls and vars(after) == {"x": 1, "y": 5, "n": 1}
    with pytest.raises(ValueError, match="y must not be negative"):
        changed(before, y=-1)


def test_replace_asks_for_an_initvar_without_a_default(changed):
    assert vars(changed(Everything(1, 3), factor=2)) == {"value": 6, "doubled": 12, "label": "times 2"}
    with pytest.raises((TypeError, ValueError), match="'factor' of Everything is an InitVar"):
        changed(Everything(1, 3), value=3)
    assert vars(changed(Scaled(2, 3), value=5)) == {"value": 10.0}


def test_replace_of_a_mutable_struct_leaves_the_original(changed):
    before = Mutable(1, 2)
    after = changed(before, x=3, n=4)
    after.x = 5
    assert (before.x, before.n, after.x, after.n) == (1, 2, 5, 4)


def test_replace_and_construct_take_fields_with_any_name():
    class Odd(Struct):
        self: Any
        cls: Any = 1
        changes: Any = 2
        struct: Any = 3
        values: Any = 4

    made = Odd(0)
    assert vars(made.replace(self=5, cls=6, changes=7)) == {"self": 5, "cls": 6, "changes": 7, "struct": 3, "values": 4}
    assert replace(made, struct=8, self=9).struct == 8
    assert construct(Odd, self=1, cls=2).cls == 2


def test_construct_runs_no_hooks_and_takes_derived_fields():
    Loud.marks.clear()
    LoudCustom.marks.clear()
    made = construct(Loud, x=-1, y=2, twice=0)
    assert vars(made) == {"x": -1, "y": 2, "twice": 0, "label": "a"}
    assert_frozen(made)
    assert vars(construct(LoudCustom, x=1, y=-2)) == {"x": 1, "y": -2, "n": 1}
    assert Loud.marks == LoudCustom.marks == []
    assert vars(construct(Everything, value=1, doubled=2, label="l")) == {"value": 1, "doubled": 2, "label": "l"}
