"""What becomes of classes of other libraries, text by text: the tables are in `cases`, a file for each library."""

import pytest

from tests.migrate._cases import read_cases, run_migrate, write_files

CASES = read_cases()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_text_and_the_remarks_are_as_the_table_says_and_a_second_run_changes_nothing(case, tmp_path):
    write_files(tmp_path, case.before)
    texts, remarks = run_migrate(tmp_path)
    assert texts == case.after
    assert remarks == case.remarks

    write_files(tmp_path, texts)
    again, remain = run_migrate(tmp_path)
    assert again == texts
    said = [remark.partition(": ")[2] for remark in remarks]
    assert [remark for remark in remain if _without_places(remark) not in map(_without_places, said)] == []


@pytest.mark.parametrize("case", [case for case in CASES if case.theme != "files"], ids=str)
def test_line_ends_of_windows_are_kept(case, tmp_path):
    write_files(tmp_path, {"a.py": case.before["a.py"].replace("\n", "\r\n")})
    texts, remarks = run_migrate(tmp_path)
    assert texts["a.py"] == case.after["a.py"].replace("\n", "\r\n")
    assert remarks == case.remarks


def _without_places(remark):
    """The words of a remark, without the lines in it, which move."""
    text = remark.partition(": left: ")[2] or remark.removeprefix("left: ").removeprefix("look: ")
    return "".join(letter for letter in text if not letter.isdigit())
