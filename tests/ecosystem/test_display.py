"""Treescope and wadler-lindig show structs by their fields, and notebooks show treescope's view where it is set up."""

import jax
import jax.numpy as jnp
import pytest
import treescope
import wadler_lindig
from _trees import KINDS, Model, make
from IPython.core.interactiveshell import InteractiveShell

from tests.models import Layer, Mutable, Spoken


@pytest.mark.parametrize("kind", KINDS)
def test_treescope_and_wadler_lindig_show_the_class_and_the_fields(kind):
    wide, narrow = treescope.render_to_text(make(kind)), wadler_lindig.pformat(make(kind), width=60)
    assert wide.startswith(f"{kind.__name__}(") and "layers=" in wide and "weight=" in wide and "name=" in wide
    assert f"{kind.__name__}(" in narrow and "weight=" in narrow
    assert all(len(line) <= 60 for line in narrow.splitlines())


@pytest.fixture
def notebook():
    """What IPython makes of an object: kind of text -> text."""
    shell = InteractiveShell.instance()
    yield lambda value: shell.display_formatter.format(value)[0]
    shell.display_formatter.formatters["text/html"].type_printers.clear()
    InteractiveShell.clear_instance()


@pytest.mark.parametrize("made", [make(), make(KINDS[1]), Spoken(1), Mutable(1)], ids=lambda made: type(made).__name__)
def test_a_notebook_shows_the_view_of_treescope_once_that_is_set_up(notebook, made):
    assert notebook(made).keys() == {"text/plain"}
    treescope.register_as_default(streaming=False, compress_html=False)
    shown = notebook(made)
    assert shown["text/plain"] == repr(made)
    assert type(made).__name__ in shown["text/html"] and "treescope-container" in shown["text/html"]


def test_treescope_shows_tracers_deleted_arrays_and_cycles():
    seen = []
    jax.jit(lambda layer: seen.append(treescope.render_to_text(layer)))(make().layers[0])
    assert seen[0].startswith("Layer(") and "weight=JitTracer(float32[3,4])" in seen[0]
    lost, cycle = Layer(jnp.ones(3), None), Mutable(1)
    lost.weight.delete()
    cycle.x = [cycle]
    assert "weight=<jax.Array float32(3,) - deleted!>" in treescope.render_to_text(lost)
    assert "x=[<cyclic reference to Mutable" in treescope.render_to_text(cycle)
    assert treescope.render_to_text(Model([], None)) == "Model(layers=[], scale=None, name='model')"
