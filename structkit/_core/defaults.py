"""Whether a field has the value that its default gives it."""

from __future__ import annotations

from typing import Any

import jax
import jax.core
import numpy as np

from structkit._core.fields import MISSING
from structkit._core.statics import SCALARS

# A factory may count, or draw random numbers; these make the same each time.
_FACTORIES = (list, dict, set, frozenset, tuple)


def is_default(field: Any, value: Any) -> bool:
    """Whether `value` is what the field's default is, or what its converter makes of that; False where it is not known.

    Args:
        field: a field of a struct or of a dataclass.
        value: what an object has there. Arrays are compared by their bits; a traced value is no default.
    """
    try:
        default = field.default_factory() if field.default_factory in _FACTORIES else field.default
        if default is MISSING:
            return False
        if _alike(value, default):
            return True
        converter: Any = getattr(field, "converter", None)
        return converter is not None and _alike(value, converter(default))
    except Exception:
        # Code of the user's, contents that are elsewhere or gone: nothing may keep an object from being shown.
        return False


def _alike(a: Any, b: Any) -> bool:
    (leaves, treedef), (others, other) = jax.tree.flatten(a), jax.tree.flatten(b)
    return bool(treedef == other) and all(map(_alike_leaves, leaves, others))


def _alike_leaves(a: Any, b: Any) -> bool:
    if type(a) is not type(b) or isinstance(a, jax.core.Tracer):
        return False
    if type(a) in SCALARS:
        # Tells 0.0 from -0.0, and NaN from nothing.
        return repr(a) == repr(b)
    if not isinstance(a, jax.Array | np.ndarray):
        return a is b or (a == b) is True
    forms = [(x.shape, x.dtype, getattr(x, "weak_type", None)) for x in (a, b)]
    return forms[0] == forms[1] and _bits(a) == _bits(b)


def _bits(array: Any) -> bytes:
    if jax.numpy.issubdtype(array.dtype, jax.dtypes.prng_key):
        array = jax.random.key_data(array)
    return np.asarray(array).tobytes()
