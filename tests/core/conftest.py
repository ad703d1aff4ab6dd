"""What several of these tests need around them."""

import itertools
import sys
import textwrap
import types
from collections.abc import Callable

import pytest

_numbers = itertools.count()


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], types.ModuleType]:
    """Make a module of a source; it is importable until the test ends."""

    def make(source: str) -> types.ModuleType:
        made = types.ModuleType(f"written_in_a_test_{next(_numbers)}")
        monkeypatch.setitem(sys.modules, made.__name__, made)
        exec(compile(textwrap.dedent(source), "<test>", "exec", dont_inherit=True), vars(made))
        return made

    return make
