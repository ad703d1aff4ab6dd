"""Objects that are not finished yet, or never will be: copied and pickled they stay what they are."""

import copy
import pickle
from typing import Any

import cloudpickle
import pytest

from structkit import Struct, errors, static


def construct(self, see, stop=False):
    self.a = [1]
    see(self)
    if stop:
        raise ValueError
    self.b, self.n = 2, "n"


class Frozen(Struct):
    a: Any
    b: Any
    n: Any = static()
    d: Any = 3
    __init__ = construct


class Mutable(Struct, frozen=False):
    a: Any
    b: Any
    n: Any = static()
    d: Any = 3
    __init__ = construct


def draft(cls, use):
    cls(use)


def filled(cls, use):
    made = cls.__new__(cls)
    object.__setattr__(made, "a", [1])
    use(made)


def abandoned(cls, use):
    kept = []
    with pytest.raises(ValueError):
        cls(kept.append, stop=True)
    use(kept[0])


COPIES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "cloudpickle": lambda made: pickle.loads(cloudpickle.dumps(made)),
    **{
        f"pickle {protocol}": lambda made, protocol=protocol: pickle.loads(pickle.dumps(made, protocol))
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    },
}


@pytest.mark.parametrize("duplicate", COPIES.values(), ids=COPIES.keys())
@pytest.mark.parametrize("half_built", [draft, filled, abandoned])
@pytest.mark.parametrize("cls", [Frozen, Mutable])
def test_a_half_built_object_is_copied_and_pickled_as_it_is(cls, half_built, duplicate):
    def use(made):
        copied = duplicate(made)
        assert type(copied) is cls and vars(copied) == vars(made) == {"a": [1], "d": 3}
        assert repr(copied) == f"{cls.__name__}(a=[1], b=<unset>, n=<unset>, d=3)"
        assert (copied.a is made.a) is (duplicate is copy.copy)
        for name in ("b", "n"):
            with pytest.raises(errors.UnsetFieldError, match=name):
                getattr(copied, name)
        if cls is Mutable:
            copied.b = 5
            assert copied.b == 5 and not hasattr(made, "b")
        else:
            with pytest.raises(errors.FrozenInstanceError):
                object.__setattr__(copied, "b", 5)

    half_built(cls, use)
