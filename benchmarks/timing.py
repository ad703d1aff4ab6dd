"""Times of code snippets that take turns, so that a busy machine disturbs all of them alike."""

from __future__ import annotations

import random
import statistics
import time
import timeit
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

_Key = TypeVar("_Key")


@dataclass(frozen=True)
class Snippet:
    """Code to time, with the names that it uses.

    Attributes:
        code: one statement.
        names: its globals.
        setup: a statement that runs untimed before each batch.
        calls: how often a batch runs the statement; None to choose by the clock.
        copies: how often the statement is written into the loop's body; many for statements of nanoseconds.
    """

    code: str
    names: dict[str, Any] = field(repr=False)
    setup: str = "pass"
    calls: int | None = None
    copies: int = 1


@dataclass(frozen=True)
class Timing:
    """Seconds per execution of a snippet: of the fastest round, of the median round, and the number of rounds."""

    best: float
    median: float
    rounds: int

    @classmethod
    def of(cls, samples: Sequence[float]) -> Timing:
        """The timing with these samples, one for each round."""
        return cls(min(samples), statistics.median(samples), len(samples))

    @classmethod
    def merged(cls, timings: Sequence[Timing]) -> Timing:
        """The timing of several races together; the median is that of their medians."""
        median = statistics.median(timing.median for timing in timings)
        return cls(min(timing.best for timing in timings), median, sum(timing.rounds for timing in timings))


@dataclass(frozen=True)
class Effort:
    """How long to measure one row: rounds until `seconds` have gone by, but `least` and at `most` so many."""

    seconds: float
    least: int = 15
    most: int = 2000
    batch: float = 1e-4

    def scaled(self, factor: float) -> Effort:
        """The same with `factor` times the time."""
        return Effort(self.seconds * factor, max(2, round(self.least * min(1.0, factor))), self.most, self.batch)


class Racer:
    """A snippet that is compiled, warm, and knows how many calls make a batch of so many seconds.

    Attributes:
        seconds: what one execution took at last.
    """

    def __init__(self, snippet: Snippet, batch: float, clock: Callable[[], float] = time.perf_counter):
        statement = "\n".join([snippet.code] * snippet.copies)
        self._timer = timeit.Timer(statement, snippet.setup, clock, snippet.names)
        self._calls, self._copies = snippet.calls or 1, snippet.copies
        self.seconds = self.sample()
        if snippet.calls is None:
            while self.sample() * self._calls * self._copies < batch:
                self._calls *= 2

    def sample(self) -> float:
        """The seconds of one execution, from one batch. `timeit` switches the garbage collector off meanwhile."""
        self.seconds = self._timer.timeit(self._calls) / (self._calls * self._copies)
        return self.seconds


def race(racers: Mapping[_Key, Racer], effort: Effort) -> dict[_Key, Timing]:
    """The timing of each racer, by its key. They take turns, in another order in each round.

    Not in one order: what ran before leaves its mark on the caches and the allocator.
    """
    samples: dict[_Key, list[float]] = {key: [] for key in racers}
    order, shuffle = list(racers), random.Random(0).shuffle
    rounds, end = 0, time.perf_counter() + effort.seconds
    while rounds < effort.least or (rounds < effort.most and time.perf_counter() < end):
        shuffle(order)
        for key in order:
            samples[key].append(racers[key].sample())
        rounds += 1
    return {key: Timing.of(times) for key, times in samples.items()}
