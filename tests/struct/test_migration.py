"""The guide for those who come from flax: its programs run, and give the same."""

import pathlib
import re

import pytest

pytest.importorskip("flax.serialization", reason="flax is not installed: the guide's programs use it")

GUIDE = pathlib.Path(__file__).parents[2] / "docs" / "migrating-from-flax.md"
PROGRAMS = [
    code for code in re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.S) if "result" in code
]


def test_before_after_and_as_plain_structs_the_program_gives_and_saves_the_same():
    outcomes = []
    for i, code in enumerate(PROGRAMS):
        scope = {"__name__": __name__}
        exec(compile(code, f"{GUIDE.name}, program {i + 1}", "exec"), scope)
        outcomes.append((scope["result"], scope["saved"]))
    assert len(outcomes) == 3 and outcomes[0] == outcomes[1] == outcomes[2]
    assert outcomes[0][0] == [0.5, 0.5, 0.5]


def test_before_and_after_differ_in_the_import_alone():
    before, after = (code.splitlines() for code in PROGRAMS[:2])
    assert [line for line in before if "import" not in line] == [line for line in after if "import" not in line]
