"""Edits of a text: spans in spans, lists with commas, whole lines."""

import pytest

from structkit._migrate.edits import Edits, Span, ours


def test_an_edit_keeps_the_edits_in_the_spans_that_it_moves():
    edits = Edits("f(a, g(b, c))")
    edits.replace(Span(0, 13), ours("at"), "(", Span(5, 12), ", ", Span(2, 3), ")")
    edits.replace(Span(5, 12), "[", Span(10, 11), Span(7, 8), "]")
    edits.replace(Span(7, 8), "B")
    edits.insert(2, "+")
    assert edits.used() == {"at"}
    assert edits.applied(str.upper) == "AT([cB], +a)"


@pytest.mark.parametrize(
    "dropped, left",
    [
        ({0}, "(b=2, c=3,)"),
        ({1}, "(a=1, c=3,)"),
        ({2}, "(a=1, b=2,)"),
        ({0, 1}, "(c=3,)"),
        ({1, 2}, "(a=1,)"),
        ({0, 2}, "(b=2,)"),
        ({0, 1, 2}, "()"),
    ],
)
def test_items_of_a_list_go_with_their_commas(dropped, left):
    edits = Edits("(a=1, b=2, c=3,)")
    edits.drop([Span(1, 4), Span(6, 9), Span(11, 14)], dropped.__contains__, Span(1, 15))
    assert edits.applied(str) == left


@pytest.mark.parametrize(
    "before, after",
    [
        ("a\nX\nb\n", "a\nb\n"),
        ("a\n\nX\n\nb\n", "a\n\nb\n"),
        ("a\n\nX\n\n\nb\n", "a\n\n\nb\n"),
        ("a\n\n\nX\n\n\nb\n", "a\n\n\nb\n"),
        ("X\n\nb\n", "b\n"),
        ("a\n\n\nX\n", "a\n"),
        ("a\n\n\nX", "a"),
        ("if a:\n    X\n\n    b\n", "if a:\n    b\n"),
        ("X\n", "\n"),
    ],
)
def test_deleted_lines_leave_no_more_blank_lines_than_stood_above(before, after):
    edits = Edits(before)
    edits.delete_lines(Span(before.index("X"), before.index("X") + 1))
    assert edits.applied(str) == after


def test_lines_are_followed_to_where_they_went():
    edits = Edits("@a\nb\n\nc(\n  d,\n  e)\nf\n")
    edits.delete_lines(Span(0, 2))
    edits.insert(3, f"{ours('new')}\n")
    edits.replace(Span(6, 18), "g(", Span(16, 17), ")\n")
    edits.replace(Span(19, 20), "F")
    assert edits.applied(str) == "new\nb\n\ng(e)\n\nF\n"
    assert edits.moved(range(1, 8), str) == {1: 1, 2: 2, 3: 3, 4: 4, 5: 4, 6: 4, 7: 6}
