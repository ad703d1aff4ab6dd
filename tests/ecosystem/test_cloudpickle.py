"""cloudpickle: a class that travels by value is still itself at home; `test_dill.py` has the way to another process."""

import pickle

import cloudpickle
import jax

from structkit import Struct, struct


def test_a_class_by_value_is_the_same_class_in_this_process():
    class Local(Struct):
        x: int

    @struct.dataclass
    class Decorated:
        x: int

    for cls in (Local, Decorated):
        made = pickle.loads(cloudpickle.dumps(cls(1)))
        assert type(made) is cls and jax.tree.leaves(made) == [1]
