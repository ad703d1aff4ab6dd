"""What is measured, as rows: one workload, and what it costs each peer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from benchmarks.timing import Effort, Snippet, Timing, race


@dataclass(frozen=True)
class Row:
    """The measurements of one workload.

    Attributes:
        group: on what it ran, such as `6 fields`.
        name: what was done, such as `unflatten`.
        times: peer -> timing. Bytes are kept as if they were seconds.
        unit: `s` or `bytes`.
    """

    group: str
    name: str
    times: dict[str, Timing]
    unit: str = "s"


@dataclass(frozen=True)
class Workload:
    """A row to be: how to make the snippets when its turn comes, and how long to measure them.

    Attributes:
        group: on what it runs.
        name: what is done.
        snippets: makes peer -> snippet; late, since compiled functions and states cost time and memory.
        effort: how long to measure.
        settings: how often to make the snippets anew, each for its part of the time: where objects come to lie in
            memory can count for more than what is measured, and all should have their luck.
    """

    group: str
    name: str
    snippets: Callable[[], dict[str, Snippet]] = field(repr=False)
    effort: Effort = field(default_factory=lambda: Effort(0.08))
    settings: int = 1

    def measure(self, factor: float) -> Row:
        """The row.

        Args:
            factor: what to multiply the measuring time with.
        """
        effort = self.effort.scaled(factor / self.settings)
        races = [race(self.snippets(), effort) for _ in range(self.settings)]
        return Row(self.group, self.name, {peer: Timing.merged([one[peer] for one in races]) for peer in races[0]})


class Rows:
    """Rows by group and name."""

    def __init__(self, rows: Iterable[Row]):
        self.all = list(rows)
        self._by_key = {(row.group, row.name): row for row in self.all}

    def best(self, group: str, name: str, peer: str) -> float | None:
        """The seconds of the fastest round, or None where the peer has none.

        Args:
            group: on what the workload ran.
            name: what was done.
            peer: whose time.
        """
        row = self._by_key.get((group, name))
        timing = row.times.get(peer) if row is not None else None
        return timing.best if timing is not None else None
