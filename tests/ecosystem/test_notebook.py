"""The notebook runs in a kernel, and its page and the pictures there show what its cells show."""

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError

from tests import notebook, pictures


def test_the_page_and_its_pictures_show_what_the_cells_show():
    run = notebook.executed()
    # Where they differ: python -m tests.notebook
    assert notebook.page(run) == notebook.PAGE.read_text(encoding="utf-8")
    drawn = {cell.id: cell for cell in run.cells if cell.cell_type == "code" and notebook.is_drawn(cell)}
    assert drawn.keys() == {"diagram", "treescope"}
    for cell in drawn.values():
        assert pictures.shown_in(notebook.picture(cell)) == notebook.shown(cell.outputs[-1])
    assert any("treescope-container" in output.data["text/html"] for output in drawn["treescope"].outputs)


def test_the_notebook_is_stored_without_outputs():
    text = notebook.NOTEBOOK.read_text(encoding="utf-8")
    assert notebook.stored(nbformat.reads(text, as_version=4)) == text


def test_a_cell_that_raises_is_an_error(tmp_path):
    cells = [nbformat.v4.new_code_cell("1 / 0")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "wrong.ipynb")
    with pytest.raises(CellExecutionError, match="division by zero"):
        notebook.executed(tmp_path / "wrong.ipynb")
