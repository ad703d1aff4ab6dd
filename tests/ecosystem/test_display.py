"""Treescope and wadler-lindig show structs by their fields."""

import pytest
import treescope
import wadler_lindig
from _trees import KINDS, make


@pytest.mark.parametrize("kind", KINDS)
def test_treescope_shows_the_class_and_the_fields(kind):
    text = treescope.render_to_text(make(kind))
    assert text.startswith(f"{kind.__name__}(") and "layers=" in text and "weight=" in text and "name=" in text


@pytest.mark.parametrize("kind", KINDS)
def test_wadler_lindig_shows_the_class_and_the_fields(kind):
    text = wadler_lindig.pformat(make(kind), width=60)
    assert f"{kind.__name__}(" in text and "weight=" in text and all(len(line) <= 60 for line in text.splitlines())
