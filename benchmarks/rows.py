"""What is measured, as rows: one workload, and what it costs each peer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from benchmarks.peers import OURS
from benchmarks.timing import Effort, Racer, Snippet, Timing, race


@dataclass(frozen=True)
class Row:
    """The measurements of one workload.

    Attributes:
        group: on what it ran, such as `6 fields`.
        name: what was done, such as `unflatten`.
        best: peer -> seconds of the fastest round, or bytes.
        unit: `s` or `bytes`.
        rounds: how many rounds there were.
        spread: how far structkit's median round lies above its fastest, as a fraction of the fastest.
    """

    group: str
    name: str
    best: dict[str, float]
    unit: str = "s"
    rounds: int = 1
    spread: float = 0.0

    @classmethod
    def of(cls, group: str, name: str, times: Mapping[str, Timing]) -> Row:
        """The row with these timings, by peer."""
        ours = times[OURS]
        best = {peer: timing.best for peer, timing in times.items()}
        return cls(group, name, best, "s", ours.rounds, ours.median / ours.best - 1)

    def over(self, peer: str, ours: str = OURS) -> float | None:
        """The time of `ours` over the peer's, or None where one of them was not measured."""
        one, other = self.best.get(ours), self.best.get(peer)
        return one / other if one is not None and other is not None else None


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
    effort: Effort
    settings: int = 1

    def measure(self, factor: float) -> Row:
        """The row, measured for `factor` times the time."""
        effort = self.effort.scaled(factor / self.settings)
        races = [self._race(effort) for _ in range(self.settings)]
        return Row.of(self.group, self.name, {peer: Timing.merged([one[peer] for one in races]) for peer in races[0]})

    def _race(self, effort: Effort) -> dict[str, Timing]:
        return race({peer: Racer(snippet, effort.batch) for peer, snippet in self.snippets().items()}, effort)


def by_key(rows: Iterable[Row]) -> dict[tuple[str, str], Row]:
    """The rows by group and name."""
    return {(row.group, row.name): row for row in rows}
