"""How fast cells end, and when the last will: counts and times in, rate and time left out. No clock in here."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

WINDOW_S = 300.0
"""Over which the rate is taken."""
MARKS = 60  # in a window
CONFIDENT = 1.96  # standard deviations: of a normal distribution, 95 % lie within
LEAST_BLOCKS = 4  # of which the spread says something


@dataclass(frozen=True)
class TimeLeft:
    """Seconds until the last cell has ended."""

    seconds: float
    low: float
    """95 % interval from the spread of the times of blocks; equal to ``seconds`` while that is not known."""
    high: float


@dataclass
class Pace:
    """The cells that ended, and when; time without a worker does not count."""

    began: float
    """s of any steady clock, that of all times below."""
    _waits_since: float | None = None
    _waited: float = 0.0
    _cells: int = 0
    _marks: deque[tuple[float, int]] = field(default_factory=deque)
    """Working time and cells ended by then, every few seconds of the window."""
    _blocks: int = 0
    _mean: float = 0.0
    """Seconds of a cell, over blocks."""
    _squares: float = 0.0
    """Sum of squared deviations from it."""

    def __post_init__(self) -> None:
        self._marks.append((0.0, 0))

    def wait(self, now: float, *, waits: bool) -> None:
        """Whether no cell can be computed from now on."""
        if waits and self._waits_since is None:
            self._waits_since = now
        elif not waits and self._waits_since is not None:
            self._waited += now - self._waits_since
            self._waits_since = None

    def note(self, now: float, cells: int, seconds: float) -> None:
        """So many cells have ended, which took so long.

        Parameters
        ----------
        seconds : of the worker, s
        """
        self._cells += cells
        worked = self._worked(now)
        if worked - self._marks[-1][0] >= WINDOW_S / MARKS:
            self._marks.append((worked, self._cells))
        while len(self._marks) > 1 and self._marks[1][0] <= worked - WINDOW_S:
            self._marks.popleft()
        if cells:
            self._blocks += 1
            deviation = seconds / cells - self._mean
            self._mean += deviation / self._blocks
            self._squares += deviation * (seconds / cells - self._mean)

    def rate(self, now: float) -> float:
        """Cells a second of the last minutes in which there were workers; 0 before the first ended."""
        worked, cells = self._marks[0]
        seconds = self._worked(now) - worked
        return (self._cells - cells) / seconds if seconds > 0 else 0.0

    def left(self, now: float, cells: int) -> TimeLeft | None:
        """Time until so many more cells have ended; None while nothing is known."""
        rate = self.rate(now)
        if rate <= 0:
            return None
        seconds = cells / rate
        if self._blocks < LEAST_BLOCKS or not self._mean:
            return TimeLeft(seconds, seconds, seconds)
        spread = math.sqrt(self._squares / (self._blocks - 1)) / self._mean
        blocks_left = max(1.0, cells * self._blocks / self._cells)
        part = CONFIDENT * spread * math.sqrt(1 / self._blocks + 1 / blocks_left)
        return TimeLeft(seconds, max(0.0, seconds * (1 - part)), seconds * (1 + part))

    def _worked(self, now: float) -> float:
        return (now if self._waits_since is None else self._waits_since) - self.began - self._waited


MOST_RATES = 200
"""Points of a history."""


@dataclass
class RateHistory:
    """The rate over all of a run, in as few points as a drawing needs."""

    points: list[tuple[float, float]] = field(default_factory=list)
    """Seconds since the run began, and the rate then; evenly spaced, :data:`MOST_RATES` at most."""
    _every: float = 1.0
    _next: float = 0.0

    def note(self, seconds: float, rate: float) -> None:
        """The rate at a moment; what comes sooner than a point is due is left out.

        Parameters
        ----------
        seconds : since the run began, s
        rate : cells a second
        """
        if seconds < self._next:
            return
        self.points.append((seconds, rate))
        if len(self.points) > MOST_RATES:
            del self.points[1::2]
            self._every *= 2
        self._next = self.points[-1][0] + self._every
