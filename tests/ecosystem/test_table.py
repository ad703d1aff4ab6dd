"""The table of the ecosystem names every test in this folder, and no other."""

import pathlib
import re

FOLDER = pathlib.Path(__file__).parent
TABLE = (FOLDER.parents[1] / "docs" / "ecosystem.md").read_text(encoding="utf-8")


def test_the_table_and_the_folder_agree():
    named = set(re.findall(r"`((?:\.\./)?test_\w+\.py)`", TABLE))
    assert all((FOLDER / name).exists() for name in named)
    assert {path.name for path in FOLDER.glob("test_*.py")} <= {*named, pathlib.Path(__file__).name}
