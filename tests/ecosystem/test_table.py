"""The table of the ecosystem names every test in this folder, and no other; what the tests need is all there."""

import pathlib
import re
import tomllib
from importlib import metadata

from packaging.requirements import Requirement

FOLDER = pathlib.Path(__file__).parent
ROOT = FOLDER.parents[1]
TABLE = (ROOT / "docs" / "ecosystem.md").read_text(encoding="utf-8")
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]


def test_the_table_and_the_folder_agree():
    named = set(re.findall(r"`((?:\.\./)?(?:\w+/)?test_\w+\.py)`", TABLE))
    assert all((FOLDER / name).exists() for name in named)
    assert {path.name for path in FOLDER.glob("test_*.py")} <= {*named, pathlib.Path(__file__).name}


def test_all_that_the_extra_names_is_installed_so_that_no_test_of_the_suite_is_skipped_for_want_of_it():
    """The tests of the drop-in are skipped without flax, which must not happen where CI means to run them."""
    for requirement in map(Requirement, EXTRAS["ecosystem"]):
        if requirement.name != "structkit-jax":
            assert metadata.version(requirement.name) in requirement.specifier
