"""A plugin of pytest: a failing `assert a == b` of structs prints what differs, by path.

pytest loads it in every run, in projects without a struct too. So it imports nothing of structkit, nor JAX, before a
comparison of structs has failed, and whatever goes wrong here leaves pytest's own text. It is beside the package, not
in it, since importing a module of the package would import the package.
"""

from __future__ import annotations

import sys
from typing import Any

_MOST_ITEMS, _MOST_LINES = 1000, 100


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """The lines for `assert left == right` of trees with structs in them; None for everything else."""
    # Where there are structs, somebody has imported it.
    if op != "==" or "structkit" not in sys.modules:
        return None
    try:
        return _explanation(left, right) if _has_struct(left) and _has_struct(right) else None
    except Exception:
        return None


def _has_struct(value: Any) -> bool:
    """Whether it is a struct, or there is one among the first items of plain containers."""
    from structkit._trees.nodes import fields_of

    waiting = [value]
    for _ in range(_MOST_ITEMS):
        if not waiting:
            break
        found = waiting.pop()
        if fields_of(type(found)):
            return True
        if isinstance(found, list | tuple):
            waiting.extend(found[:_MOST_ITEMS][::-1])
        elif isinstance(found, dict):
            waiting.extend([*found.values()][:_MOST_ITEMS][::-1])
    return False


def _explanation(left: Any, right: Any) -> list[str] | None:
    from structkit import diff

    # `==` does not look at these.
    found = [difference for difference in diff(left, right) if difference.kind not in ("weak type", "sharding")]
    if found:
        return [_summary(left, right), "", *_first(found)]
    places = _places_of_nan(left)
    return [f"{_summary(left, right)}: NaN only, which is equal to nothing", "", *_first(places)] if places else None


def _first(entries: list[Any]) -> list[str]:
    """A line for each, but no more than a log can take."""
    more = [f"... and {len(entries) - _MOST_LINES:,} more"] * (len(entries) > _MOST_LINES)
    return [*map(str, entries[:_MOST_LINES]), *more]


def _summary(left: Any, right: Any) -> str:
    return f"{type(left).__name__} == {type(right).__name__}"


def _places_of_nan(tree: Any) -> list[str]:
    import jax
    import numpy as np

    from structkit._trees.nodes import leaves

    places = []
    for path, leaf in leaves(tree, "assert"):
        # The dtypes of random keys are JAX's own.
        if isinstance(getattr(leaf, "dtype", np.dtype(object)), np.dtype):
            values = np.asarray(leaf)
            if np.any(values != values):
                places.append(jax.tree_util.keystr(path))
    return places
