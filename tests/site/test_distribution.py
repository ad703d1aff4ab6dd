"""What an index is given: its page renders, no link there leads nowhere, and the sources hold tests that can be run."""

import contextlib
import email
import pathlib
import re
import subprocess
import sys
import tarfile

import pytest
from hatchling.build import build_sdist
from readme_renderer import markdown

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """The source distribution, unpacked."""
    folder = tmp_path_factory.mktemp("dist")
    with contextlib.chdir(ROOT):
        name = build_sdist(str(folder))
    with tarfile.open(folder / name) as archive:
        archive.extractall(folder, filter="data")
    return folder / name.removesuffix(".tar.gz")


def test_the_page_on_an_index_renders_and_its_links_lead_somewhere(sources):
    metadata = email.message_from_string((sources / "PKG-INFO").read_text(encoding="utf-8"))
    assert metadata["Description-Content-Type"] == "text/markdown"
    page = markdown.render(metadata.get_payload())
    assert "<table>" in page and "█" in page and "How it works" in page
    links = re.findall(r'(?:href|src)="([^"]*)"', page)
    assert [link for link in links if not link.startswith(("https://", "#"))] == []


def test_the_sources_hold_what_their_tests_need(sources):
    for name in ("benchmarks", "docs", "examples", "structkit", "tests", "typings"):
        tracked = subprocess.check_output(["git", "ls-files", "-z", name], cwd=ROOT, text=True).rstrip("\0").split("\0")
        assert [path for path in tracked if not (sources / path).exists()] == []
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=sources, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
