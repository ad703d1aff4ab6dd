"""Runs the code of a page of the documentation, and compares what it prints with what the page shows."""

import contextlib
import doctest
import io
import pathlib
import re
import sys
import textwrap
import types
import unittest

import pytest
from sybil import Example
from sybil.document import Document
from sybil.parsers.markdown import CodeBlockParser, SkipParser

from tests.models import defaults_of_jax

# What `make test` does without; pages that import it run in `make coverage` and `make docs`.
PEERS = ("chex", "equinox", "flax", "jaxtyping", "orbax")


def run_page(page: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the blocks of a page one after the other, as one module.

    Raises:
        SybilFailure: what a block prints is not what the block of the language `text` after it shows.
    """
    module = types.ModuleType(f"page_{re.sub(r'[^a-z]', '_', page.stem)}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    blocks = Blocks()
    parsers = (SkipParser(), CodeBlockParser("python", blocks.run), CodeBlockParser("text", blocks.compare))
    document = Document.parse(str(page), *parsers)
    document.namespace = vars(module)
    with defaults_of_jax():
        for example in document.examples():
            # A block under `<!-- skip: next "why" -->` is skipped, and the page goes on.
            with contextlib.suppress(unittest.SkipTest):
                example.evaluate()
        blocks.settle()


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
        if self.printed:
            raise AssertionError(f"the page does not show what the code before prints:\n{self.printed}")


def error_text(error: Exception) -> str:
    """The last line of a traceback, in lines that fit on a page."""
    lines = f"{type(error).__name__}: {error}".splitlines()
    return "\n".join(textwrap.fill(line, 90, subsequent_indent="    ", break_long_words=False) for line in lines)


def matches(shown: str, printed: str) -> bool:
    """Whether a text is the one that is shown, in which `...` stands for anything."""
    return doctest.OutputChecker().check_output(shown, printed, doctest.ELLIPSIS)
