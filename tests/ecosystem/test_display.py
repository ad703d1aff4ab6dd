"""Treescope and wadler-lindig show structs by their fields."""

import pytest
import treescope
import wadler_lindig
from _trees import KINDS, make


@pytest.mark.parametrize("kind", KINDS)
def test_treescope_and_wadler_lindig_show_the_class_and_the_fields(kind):
    wide, narrow = treescope.render_to_text(make(kind)), wadler_lindig.pformat(make(kind), width=60)
    assert wide.startswith(f"{kind.__name__}(") and "layers=" in wide and "weight=" in wide and "name=" in wide
    assert f"{kind.__name__}(" in narrow and "weight=" in narrow
    assert all(len(line) <= 60 for line in narrow.splitlines())
