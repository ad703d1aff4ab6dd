"""The pages of the documentation: their code runs, and prints what they say it prints."""

import contextlib
import doctest
import io
import pathlib
import re
import sys
import textwrap
import types
import unittest

import jax
import pytest

pytest.importorskip("sybil", reason="sybil is not installed: it finds the code in the pages")

from sybil import Example
from sybil.document import Document
from sybil.parsers.markdown import CodeBlockParser, SkipParser

DOCS = pathlib.Path(__file__).parents[1] / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
# What `make test` does without; pages that import it run in `make coverage` and `make docs`.
PEERS = ("chex", "equinox", "flax")


class Blocks:
    """Runs blocks of Python. What one prints has to be in a block of the language `text` after it.

    An error that a block raises is printed, as the last line of a traceback.
    """

    def __init__(self):
        self.printed, self.error = "", None

    def run(self, example: Example) -> None:
        self.settle()
        line = example.line + example.parsed.line_offset
        code = compile("\n" * line + example.parsed, example.path, "exec", dont_inherit=True)
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            try:
                exec(code, example.namespace)
            except ModuleNotFoundError as error:
                if error.name in PEERS:
                    pytest.skip(f"{error.name} is not installed")
                raise
            except Exception as error:
                self.error = error
                print(error_text(error))
        self.printed = out.getvalue()

    def compare(self, example: Example) -> str | None:
        printed, self.printed, self.error = self.printed, "", None
        if matches(example.parsed, printed):
            return None
        return f"the page shows\n{example.parsed}and the code before it prints\n{printed}"

    def settle(self) -> None:
        """Nothing where the page has shown all that was printed."""
        if self.error is not None:
            raise self.error
        assert not self.printed, f"the page does not show what the code before prints:\n{self.printed}"


def error_text(error: Exception) -> str:
    """The last line of a traceback, in lines that fit on a page."""
    lines = f"{type(error).__name__}: {error}".splitlines()
    return "\n".join(textwrap.fill(line, 90, subsequent_indent="    ", break_long_words=False) for line in lines)


def matches(shown: str, printed: str) -> bool:
    """Whether a text is the one that is shown, in which `...` stands for anything."""
    return doctest.OutputChecker().check_output(shown, printed, doctest.ELLIPSIS)


def parsed(page: pathlib.Path, blocks: Blocks) -> Document:
    parsers = (SkipParser(), CodeBlockParser("python", blocks.run), CodeBlockParser("text", blocks.compare))
    return Document.parse(str(page), *parsers)


@pytest.mark.parametrize("page", PAGES, ids=[page.relative_to(DOCS).as_posix() for page in PAGES])
def test_the_code_of_a_page_runs_and_prints_what_the_page_shows(page, monkeypatch):
    # One test for a page: a name of one block is known in those after it.
    module = types.ModuleType(f"page_{re.sub(r'[^a-z]', '_', page.stem)}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    blocks = Blocks()
    document = parsed(page, blocks)
    document.namespace = vars(module)
    with jax.enable_x64(False):
        for example in document.examples():
            # A block under `<!-- skip: next "why" -->` is skipped, and the page goes on.
            with contextlib.suppress(unittest.SkipTest):
                example.evaluate()
        blocks.settle()


def test_every_page_is_in_the_navigation():
    config = (DOCS.parent / "mkdocs.yml").read_text(encoding="utf-8")
    named = re.findall(r"^ +- [^:]+: (\S+\.md)$", config, re.MULTILINE)
    assert sorted(named) == [page.relative_to(DOCS).as_posix() for page in PAGES]


def test_no_line_of_code_is_longer_than_a_page_is_wide():
    for page in PAGES:
        for block in re.findall(r"^```\w*\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
            assert [line for line in block.splitlines() if len(line) > 100] == [], page.name
