"""Time on the bench: real time, or faster by a factor where the instruments are emulated."""

from __future__ import annotations

import time
from threading import Event

SPIN = 2e-4
"""Real s before the end of a wait that are spent looking at the clock: a sleeping thread wakes up some 60 us late."""


class Clock:
    """A clock that runs ``speed`` times as fast as real time."""

    def __init__(self, speed: float = 1.0) -> None:
        self.speed = speed

    def now(self) -> float:
        """Bench time, s; only differences mean something."""
        return time.monotonic() * self.speed

    def sleep(self, seconds: float, ended: Event | None = None) -> None:
        """Wait for so many s of bench time, never less unless ``ended`` is set meanwhile."""
        end = time.monotonic() + seconds / self.speed
        while (left := end - time.monotonic()) > 0:
            if left <= SPIN:
                continue
            if ended is None:
                time.sleep(left - SPIN)
            elif ended.wait(left - SPIN):
                return
