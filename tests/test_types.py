"""The comparison of type checkers' reports with the programs in `tests/typing`; `make types` runs the checkers."""

import ast
import importlib
import re
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent / "typing"


@pytest.fixture(scope="module")
def tools():
    """The modules `check` and `checkers`, which import each other as scripts do."""
    sys.path.insert(0, str(HERE))
    try:
        yield importlib.import_module("check"), importlib.import_module("checkers")
    finally:
        sys.path.remove(str(HERE))


@pytest.fixture
def program(tmp_path):
    file = tmp_path / "program.py"
    file.write_text("x: int = 1\ny: int = 'a'  # error: wrong\nz: str = f(x)  # fine: call\n")
    return file


@pytest.mark.parametrize(
    ("reported", "wrong"),
    [
        pytest.param([2], [], id="the marked line alone is right"),
        pytest.param([], [("missed", "wrong")], id="a marked line that is not reported is missed"),
        pytest.param([1, 2], [("false alarm", "line 1")], id="a line without a mark is a false alarm"),
        pytest.param([2, 3], [("false alarm", "call")], id="a line that is fine is a false alarm"),
    ],
)
def test_what_is_reported_is_compared_with_the_marks(tools, program, reported, wrong):
    check, checkers = tools
    reports = [checkers.Report(program, line, "text") for line in reported]
    found = [(failure.what, failure.where) for failure, _ in check.compare("mypy", "3.13", program, reports)]
    assert found == [(what, f"program.py: {line}") for what, line in wrong]


def test_reports_in_other_files_do_not_count(tools, program, tmp_path):
    check, checkers = tools
    reports = [checkers.Report(tmp_path / "other.py", 2, "text")]
    assert [failure.what for failure, _ in check.compare("ty", "3.11", program, reports)] == ["missed"]


def test_a_name_that_stands_twice_is_refused(tools, program):
    program.write_text("a  # error: same\nb  # error: same\n")
    with pytest.raises(ValueError, match=r"program\.py:2: the name 'same' stands twice"):
        tools[0].marked(program)


def test_a_known_failure_that_went_away_is_a_complaint(tools):
    check, _ = tools
    failure = check.Failure("mypy", "3.13", check.MISSED, "program.py: wrong")
    assert check.struck({failure: "why"}, {failure}, [("mypy", "3.13")]) == []
    assert check.struck({failure: "why"}, set(), [("ty", "3.13")]) == []
    (complaint,) = check.struck({failure: "why"}, set(), [("mypy", "3.13")])
    assert complaint == "mypy 3.13: program.py: wrong is right now; strike it from known.toml (missed)"


def test_the_allow_list_has_a_reason_for_each_entry_and_names_lines_that_exist(tools):
    check, checkers = tools
    known = check.known_failures(HERE / "known.toml")
    assert known and all(known.values())
    marks = {f"{file.name}: {name}" for file in check.PROGRAMS.glob("*.py") for _, name in check.marked(file).values()}
    assert {failure.where for failure in known} <= marks
    assert {failure.checker for failure in known} <= set(checkers.CHECKERS)
    assert {failure.target for failure in known} <= set(checkers.TARGETS)


def test_an_entry_without_a_reason_is_refused(tools, tmp_path):
    file = tmp_path / "known.toml"
    file.write_text(
        '[[known]]\ncheckers = ["ty"]\ntargets = ["3.13"]\nwhat = "missed"\nlines = []\nreason = ""\nupstream = "u"\n'
    )
    with pytest.raises(ValueError, match="lacks its reason"):
        tools[0].known_failures(file)


def test_every_checker_is_pinned(tools):
    _, checkers = tools
    assert tuple(checkers.wanted_versions()) == checkers.CHECKERS


def test_missing_checkers_are_an_error_that_names_them(tools, monkeypatch, tmp_path):
    _, checkers = tools
    monkeypatch.setattr(checkers, "_SCRIPTS", tmp_path)
    with pytest.raises(checkers.CheckerError) as caught:
        checkers.verify_versions()
    for checker, version in checkers.wanted_versions().items():
        assert f"{checker} is missing (wanted {version})" in str(caught.value)
    assert "pip install" in str(caught.value)


def test_a_checker_of_another_version_is_an_error(tools, monkeypatch, tmp_path):
    _, checkers = tools
    monkeypatch.setattr(checkers, "_SCRIPTS", tmp_path)
    for checker in checkers.CHECKERS:
        (tmp_path / checker).write_text("#!/bin/sh\necho some text 0.0.1\n")
        (tmp_path / checker).chmod(0o755)
    with pytest.raises(checkers.CheckerError, match=r"mypy is 0\.0\.1, wanted \d+\.\d+"):
        checkers.verify_versions()


def test_the_programs_of_peers_are_python_with_no_word_of_structkit(tools):
    peers = importlib.import_module("peers")
    for peer in peers.PEERS:
        text = peers.in_words_of(peer)
        ast.parse(text)
        assert re.findall(r"structkit|(?<!msgspec\.)\bStruct\b|(?<![.\w])(?:static|derived|at)\(", text) == []


@pytest.mark.parametrize("file", sorted((HERE / "programs").glob("*.py")), ids=lambda file: file.stem)
def test_the_right_lines_of_the_programs_run(tools, file):
    check, _ = tools
    if check.minimum(file) > sys.version_info[:2]:
        pytest.skip(f"for Python {check.minimum(file)}")
    assert list(check.run_clean_lines(file)) == []
