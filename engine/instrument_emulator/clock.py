"""Time on the bench: the real one, faster by a factor."""

from __future__ import annotations

import time


class EmulatedClock:
    """Seconds since the start; ``speed`` bench seconds pass in each real one."""

    def __init__(self, speed: float = 1.0) -> None:
        self.speed = speed
        self._start = time.monotonic()
        self._ahead = 0.0

    def now(self) -> float:
        """Bench time, s."""
        return (time.monotonic() - self._start) * self.speed + self._ahead

    def advance(self, seconds: float) -> None:
        """Go forward by that much bench time at once."""
        self._ahead += seconds
