"""Runs `docs/notebook.ipynb` in a kernel, and makes the page `docs/notebook.md` of what its cells show.

    python -m tests.notebook                   # the page
    python -m tests.notebook mermaid.min.js    # and its pictures: needs Chromium, and mermaid's file from npm

The notebook is stored without outputs. Those of treescope are new in every run, and the page has the others.
"""

from __future__ import annotations

import io
import json
import os
import pathlib
import sys

import nbclient
import nbformat

from tests import pictures
from tests.models import DEFAULTS

DOCS = pictures.ROOT / "docs"
NOTEBOOK, PAGE = DOCS / "notebook.ipynb", DOCS / "notebook.md"
HEAD = "<!-- Made of notebook.ipynb by `python -m tests.notebook`. -->\n"


def executed(path: pathlib.Path = NOTEBOOK) -> nbformat.NotebookNode:
    """A notebook with the outputs of its cells, which a kernel of this Python has run one after the other.

    Raises:
        CellExecutionError: a cell raised.
    """
    notebook = nbformat.read(path, as_version=4)
    # JAX as it comes, and without words about an accelerator that it could have used.
    settings = {"PYTHONPATH": os.pathsep.join(sys.path), **DEFAULTS}
    client = nbclient.NotebookClient(notebook, timeout=300, startup_timeout=300, kernel_name="python3")
    client.execute(env=os.environ | settings)
    return notebook


def page(notebook: nbformat.NotebookNode) -> str:
    """The notebook as Markdown: code in blocks of Python, what it printed or gave in blocks of text."""
    parts = [HEAD]
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            parts.append(f"{cell.source}\n")
            continue
        parts.append(f"```python\n{cell.source}\n```\n")
        if is_drawn(cell):
            parts.append(f"![{cell.metadata.alt}](assets/{picture(cell).name})\n")
        elif cell.outputs:
            text = "\n".join(shown(output).rstrip("\n") for output in cell.outputs)
            parts.append(f"```text\n{text}\n```\n")
    return "\n".join(parts)


def is_drawn(cell: nbformat.NotebookNode) -> bool:
    """Whether a notebook shows more of the outputs than text."""
    return any({"text/html", "text/markdown"} & {*output.get("data", ())} for output in cell.outputs)


def picture(cell: nbformat.NotebookNode) -> pathlib.Path:
    return pictures.ASSETS / f"notebook-{cell.id}.png"


def shown(output: nbformat.NotebookNode) -> str:
    """An output as text."""
    if output.output_type == "stream":
        return output.text
    return output.data.get("text/markdown") or output.data["text/plain"]


def stored(notebook: nbformat.NotebookNode) -> str:
    """A notebook as it is stored: without outputs and counts, keys sorted, so that one notebook is one text."""
    clean = json.loads(nbformat.writes(notebook))
    for cell in clean["cells"]:
        if cell["cell_type"] == "code":
            cell.update(outputs=[], execution_count=None)
        cell["metadata"] = {key: value for key, value in cell["metadata"].items() if key == "alt"}
    clean["metadata"] = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return json.dumps(clean, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def draw(cells: list[nbformat.NotebookNode], mermaid: str) -> None:
    """Write the pictures of cells, as a browser shows them."""
    from PIL import Image
    from playwright.sync_api import sync_playwright

    from tests.site.test_browser import CHROMIUM

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for cell in cells:
            window = browser.new_page(viewport={"width": 760, "height": 900}, device_scale_factor=2)
            window.set_content(f"<body style='display: inline-block; margin: 8px'>{html(cell)}</body>")
            if "mermaid" in html(cell):
                window.add_script_tag(path=mermaid)
                window.evaluate("mermaid.run()")
            window.wait_for_timeout(2000)  # treescope unfolds by and by
            image = Image.open(io.BytesIO(window.locator("body").screenshot()))
            pictures.save(image, picture(cell), shown(cell.outputs[-1]))
        browser.close()


def html(cell: nbformat.NotebookNode) -> str:
    """The outputs of a cell as a notebook shows them, which draws the diagrams in Markdown."""
    data = [output.data for output in cell.outputs if "data" in output]
    if "text/markdown" in data[-1]:
        diagram = data[-1]["text/markdown"].removeprefix("```mermaid\n").removesuffix("\n```")
        return f"<pre class='mermaid'>{diagram.replace('&', '&amp;').replace('<', '&lt;')}</pre>"
    return "".join(one.get("text/html", "") for one in data)


def main() -> None:
    notebook = executed()
    PAGE.write_text(page(notebook), encoding="utf-8")
    NOTEBOOK.write_text(stored(notebook), encoding="utf-8")
    for mermaid in sys.argv[1:]:
        draw([cell for cell in notebook.cells if cell.cell_type == "code" and is_drawn(cell)], mermaid)


if __name__ == "__main__":
    main()
