"""The pages of the documentation: their code runs, and prints what they say it prints."""

import pathlib
import re

import jax
import pytest

pytest.importorskip("sybil", reason="sybil is not installed: it finds the code in the pages")

import structkit
from tests import pictures
from tests.pages import run_page

DOCS = pathlib.Path(__file__).parents[1] / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
# tests/ecosystem/test_notebook.py runs the page that is made of a notebook.
RUN = [page for page in PAGES if page.name != "notebook.md"]
EIGHT = pytest.mark.skipif(
    jax.device_count() != 8, reason="the page is for eight devices; tests/sharding runs it on them"
)


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=EIGHT if page.name == "scaling.md" else ()) for page in RUN],
    ids=[page.relative_to(DOCS).as_posix() for page in RUN],
)
def test_the_code_of_a_page_runs_and_prints_what_the_page_shows(page, monkeypatch):
    # One test for a page: a name of one block is known in those after it.
    run_page(page, monkeypatch)


# What is written in a page -> what is wrong with it; nothing where that is None.
WRITTEN = {
    "```python\nx = 1\n```\n\n```python\nprint(x)\n```\n\n```text\n1\n```\n": None,
    "```python\n1 / 0\n```\n\n```text\nZeroDivisionError: ...\n```\n": None,
    "```python\nprint(1)\n```\n\n```text\n2\n```\n": "the page shows\n2\nand the code before it prints\n1",
    "```python\nprint(1)\n```\n": "the page does not show what the code before prints:\n1",
    "```python\nprint(1)\n```\n\n```python\nx = 1\n```\n": "the page does not show what the code before prints:\n1",
    "```python\n1 / 0\n```\n": "division by zero",
    "```python\nx = 1\n```\n\n```text\n1\n```\n": "the page shows\n1\nand the code before it prints\n",
    "```python\n1 +\n```\n": "invalid syntax",
}


@pytest.mark.parametrize(("text", "wrong"), WRITTEN.items())
def test_a_page_whose_code_does_something_else_is_wrong(tmp_path, monkeypatch, text, wrong):
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    if wrong is None:
        return run_page(page, monkeypatch)
    with pytest.raises(Exception, match=re.escape(wrong)):
        run_page(page, monkeypatch)


def test_every_block_of_a_page_has_a_language():
    for page in PAGES:
        fences = re.findall(r"^```(.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
        known = {"python", "text", "sh", "toml", "diff", "console"}
        assert set(fences[::2]) <= known and set(fences[1::2]) <= {""}, page.name


def test_every_page_is_in_the_navigation():
    config = (DOCS.parent / "mkdocs.yml").read_text(encoding="utf-8")
    named = re.findall(r"^ +- [^:]+: (\S+\.md)$", config, re.MULTILINE)
    assert sorted(named) == [page.relative_to(DOCS).as_posix() for page in PAGES]


def test_the_reference_has_a_page_for_every_public_name():
    pages = "".join(page.read_text(encoding="utf-8") for page in PAGES if page.parent.name == "reference")
    shown = re.findall(r"^::: structkit\.(\w+)$", pages, re.MULTILINE)
    # The module of the errors has this one.
    assert sorted([*shown, "StructError"]) == sorted(structkit.__all__)


def test_no_line_of_code_is_longer_than_a_page_is_wide():
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for block in re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
            assert [line for line in block.splitlines() if len(line) > 100] == [], page.name


def test_every_picture_of_a_page_says_in_words_what_it_shows_and_is_there():
    for page in PAGES:
        for words, file in re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
            assert len(words) > 20 and (page.parent / file).exists(), f"{page.name}: {file}"


@pytest.mark.parametrize("example", pictures.EXAMPLES, ids=lambda example: example.stem)
def test_the_page_of_the_gallery_has_for_every_example_its_command_and_its_picture(example):
    command, picture = f"python examples/{example.name}", pictures.of_example(example.stem)
    sections = (DOCS / "gallery.md").read_text(encoding="utf-8").split("\n## ")
    (section,) = [section for section in sections if f"```sh\n{command}\n```" in section]
    # The picture is small in the page and leads to itself.
    assert re.search(rf"\[!\[[^\]]*\]\(assets/{picture.name}\)\]\(assets/{picture.name}\)\n*$", section)
    assert pictures.shown_in(picture) == command and picture.stat().st_size <= 60_000
