"""What an emulated bench did to its devices: counted at the wires, whatever the drivers say."""

from __future__ import annotations

import math
from typing import Any


class ExposureCounter:
    """Counts and extremes of one device, or of all."""

    def __init__(self) -> None:
        self.positive = self.negative = 0
        self.max_pulse = self.max_steady = self.max_requested = 0.0
        self.min_gap = math.inf
        self.hot_switchings = 0
        self._last_end = -math.inf

    def flow(self, current: float, requested: float, now: float, *, pulse: bool) -> None:
        """A current other than 0 (A) begins to flow at bench time ``now``; ``requested``: before clipping."""
        self.max_requested = max(self.max_requested, abs(requested))
        if pulse:
            self.max_pulse = max(self.max_pulse, abs(current))
            self.min_gap = min(self.min_gap, now - self._last_end)
        else:
            self.max_steady = max(self.max_steady, abs(current))

    def pulse_end(self, current: float, now: float, times: int = 1) -> None:
        """A pulse has passed, or so many alike."""
        if current > 0:
            self.positive += times
        else:
            self.negative += times
        self._last_end = now

    def report(self) -> dict[str, Any]:
        """A JSON value: pulses, currents in A, least gap between pulses in s (null before the second)."""
        return {
            "pulses": self.positive + self.negative,
            "positive_pulses": self.positive,
            "negative_pulses": self.negative,
            "max_pulse": self.max_pulse,
            "max_steady": self.max_steady,
            "max_current": max(self.max_pulse, self.max_steady),
            "max_requested": self.max_requested,
            "min_gap": self.min_gap if math.isfinite(self.min_gap) else None,
            "hot_switchings": self.hot_switchings,
        }


class ExposureLog:
    """The counters of all devices and of the whole bench."""

    def __init__(self, devices: tuple[str, ...]) -> None:
        self.overall = ExposureCounter()
        self.devices = {device: ExposureCounter() for device in devices}
        self.two_connected = 0
        """How often a second device was connected while another one was."""

    def of(self, device: str) -> tuple[ExposureCounter, ExposureCounter]:
        """The two counters that an event at a device goes to."""
        return self.devices[device], self.overall

    def report(self) -> dict[str, Any]:
        """A JSON value: ``overall`` and ``devices`` by name."""
        return {
            "overall": {**self.overall.report(), "two_connected": self.two_connected},
            "devices": {name: counter.report() for name, counter in self.devices.items()},
        }
