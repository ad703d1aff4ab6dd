"""Changes of a text, each of which replaces a span: what no edit touches stays as it is, character by character."""

from __future__ import annotations

import bisect
import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

NEWLINE = re.compile(r"\r\n?|\n")
# Comments for tools, about the line that they stand on: they go with it.
_FOR_TOOLS = re.compile(r"#\s*(type:|noqa|pylint|pyright|pytype|pragma|fmt:|isort:|ruff:)")


class Span(NamedTuple):
    """A piece of the text, from `start` to before `end`."""

    start: int
    end: int

    def has(self, other: Span) -> bool:
        """Whether `other` lies in this span."""
        return self.start <= other.start and other.end <= self.end


class Edit(NamedTuple):
    """What stands in the place of a span: strings, and spans of the old text with their own edits made."""

    span: Span
    parts: tuple[str | Span, ...]


def ours(name: str) -> str:
    """A name of structkit's in the text of an edit, spelled when all edits are known; no source has the character."""
    return f"\0{name}\0"


class Edits:
    """The edits of one text.

    Attributes:
        text: as it was.
        consumed: the spans whose names are not read any more when the edits are made.
    """

    def __init__(self, text: str):
        self.text = text
        self.consumed: list[Span] = []
        self._edits: list[Edit] = []
        self._starts = [0, *(match.end() for match in NEWLINE.finditer(text))]

    def __bool__(self) -> bool:
        return bool(self._edits)

    def offset(self, line: int, column: int) -> int:
        """The place in the text of a line, counted from 1, and a column, counted from 0."""
        return self._starts[line - 1] + column

    def replace(self, span: Span, *parts: str | Span) -> None:
        """Put `parts` in the place of a span."""
        self._edits.append(Edit(span, parts))

    def insert(self, at: int, text: str) -> None:
        """Put a text before what stands at a place."""
        self.replace(Span(at, at), text)

    def lines(self, span: Span) -> Span:
        """The whole lines that a span touches, with their line ends."""
        first = self._starts[bisect.bisect_right(self._starts, span.start) - 1]
        after = bisect.bisect_left(self._starts, span.end + 1)
        return Span(first, self._starts[after] if after < len(self._starts) else len(self.text))

    def alone(self, span: Span) -> bool:
        """Whether nothing but a comment shares the lines of a span."""
        lines = self.lines(span)
        rest = self.text[span.end : lines.end].strip()
        return not self.text[lines.start : span.start].strip() and (not rest or rest.startswith("#"))

    def delete_lines(self, span: Span, comments: Sequence[str] = ()) -> None:
        """Delete the lines of a span, and of the blank lines that would meet as many as stand above.

        Args:
            comments: those in the span and behind it, which stay, each on a line of its own, unless they are for tools.
        """
        lines = self.lines(span)
        self.consumed.append(span)
        indent, ending = self.text[lines.start : span.start], self.ending(lines)
        kept = "".join(f"{indent}{comment}{ending}" for comment in comments if not _FOR_TOOLS.match(comment))
        if not kept:
            lines = Span(lines.start, self._after_blank(lines))
        self.replace(lines, kept)

    def _after_blank(self, lines: Span) -> int:
        """The end of the blank lines below some lines that would be too many beside those above."""
        above, end = NEWLINE.split(self.text[: lines.start])[:-1], lines.end
        while end < len(self.text) and not (below := self.text[slice(*self.lines(Span(end, end)))]).strip():
            if above and above[-1].strip() and not above[-1].rstrip().endswith(":"):
                break
            above, end = above[:-1] if above and not above[-1].strip() else above, end + len(below)
        return end

    def ending(self, lines: Span) -> str:
        """The line end of the last of these lines."""
        found = NEWLINE.search(self.text[lines.start : lines.end], max(0, lines.end - lines.start - 2))
        return found[0] if found else ""

    def drop(self, items: Sequence[Span], dropped: Callable[[int], bool], inside: Span) -> None:
        """Delete some items of a list with commas, which lies between two brackets."""
        kept = [i for i in range(len(items)) if not dropped(i)]
        if not kept:
            self.replace(inside)
            self.consumed.append(inside)
            return
        for i, item in enumerate(items):
            if dropped(i):
                self.consumed.append(item)
                if i < kept[-1]:
                    gap = self.text[item.end : items[i + 1].start]
                    before_comment = item.end + gap.find("#") if "#" in gap else items[i + 1].start
                    self.replace(Span(item.start, before_comment))
        if kept[-1] < len(items) - 1:
            self.replace(Span(items[kept[-1]].end, items[-1].end))

    def is_consumed(self, span: Span) -> bool:
        """Whether a name at this place is not read any more."""
        return any(consumed.has(span) for consumed in self.consumed)

    def applied(self, spell: Callable[[str], str]) -> str:
        """The text with all edits made.

        Args:
            spell: gives the spelling of a name that was written with `ours`.
        """
        order = sorted(
            self._edits, key=lambda edit: (edit.span.start, edit.span != (edit.span.start,) * 2, -edit.span.end)
        )
        made = re.sub("\0(.*?)\0", lambda match: spell(match[1]), self._made(Span(0, len(self.text)), order))
        # What was deleted at either end leaves no blank lines there.
        if not self.text.startswith(("\r", "\n")):
            made = made.lstrip("\r\n")
        rest = self.text[len(self.text.rstrip("\r\n")) :]
        return made if len(NEWLINE.findall(rest)) > 1 else made.rstrip("\r\n") + rest

    def used(self) -> set[str]:
        """The names of structkit's that the edits use."""
        return set(re.findall("\0(.*?)\0", self.applied("\0{}\0".format)))

    def moved(self, lines: Iterable[int], spell: Callable[[str], str]) -> dict[int, int]:
        """Where each of these lines went in the text with all edits made; one that is gone, where its edit stands."""
        starts = {line: self._starts[line - 1] for line in lines}
        found = self._marked(starts, spell)
        outer = {
            line: [edit.span.start for edit in self._edits if edit.span.start < at < edit.span.end]
            for line, at in starts.items()
            if line not in found
        }
        return found | self._marked({line: min(around) for line, around in outer.items()}, spell)

    def _marked(self, places: dict[int, int], spell: Callable[[str], str]) -> dict[int, int]:
        if not places:
            return {}
        marked = Edits(self.text)
        marked._edits = [*self._edits, *[Edit(Span(at, at), (ours(f"{line}"),)) for line, at in places.items()]]
        text = marked.applied(lambda name: ours(name) if name.isdigit() else spell(name))
        found, line = {}, 1
        for piece in re.finditer("\0(.*?)\0|\r\n?|\n", text):
            if piece[1] is None:
                line += 1
            else:
                found[int(piece[1])] = line
        return found

    def _made(self, span: Span, edits: list[Edit]) -> str:
        pieces, at = [], span.start
        while edits:
            edit, *edits = edits
            inner = [other for other in edits if edit.span.has(other.span) and other.span.start < edit.span.end]
            edits = [other for other in edits if other not in inner]
            pieces.append(self.text[at : edit.span.start])
            for part in edit.parts:
                if isinstance(part, Span):
                    pieces.append(self._made(part, [other for other in inner if part.has(other.span)]))
                else:
                    pieces.append(part)
            at = edit.span.end
        return "".join([*pieces, self.text[at : span.end]])
