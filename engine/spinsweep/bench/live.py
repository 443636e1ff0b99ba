"""What the work in hand shows of itself while it goes on: curves, the last readings, time left.

Each reading costs an append; all else is made when a report is due, once a second.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from spinsweep.messages import LaneReport, Series

READINGS = 100  # that a report holds
PACES = 60  # reports over which the pace is taken


@dataclass(frozen=True)
class LiveView:
    """What an experiment says of itself when a report is due."""

    series: tuple[Series, ...] = ()
    levels_of: Callable[[str], Mapping[str, float]] = lambda device: {}
    """What the readings of a device are told by, by name, V."""
    cycles_ended: int = 0
    """With a result or lost, by this and earlier lanes."""
    cycles: int = 0
    """Of the whole experiment; 0 if nobody knows."""


class Live:
    """Of one bench session."""

    def __init__(self) -> None:
        self.doing = ""
        """The cell and the train that is fired now, in words."""
        self._view: Callable[[], LiveView] = LiveView
        self._readings: dict[str, deque[tuple[float, float]]] = {}
        self._device = ""  # that was read last
        self._paces: deque[tuple[float, int]] = deque(maxlen=PACES)  # real time, s, and cycles, at each report
        self._cycle_s = 0.0  # real time of a cycle, s; 0 before one has ended

    def begin(self, view: Callable[[], LiveView] = LiveView) -> None:
        """An experiment begins, or the last one has ended: what is asked when a report is due."""
        self._view = view
        self._paces.clear()  # nothing was done between
        self._device = ""

    def read(self, device: str, at_time: float, volts: float) -> None:
        """Note a valid reading, V, and its bench time, s."""
        readings = self._readings.get(device)
        if readings is None:
            readings = self._readings[device] = deque(maxlen=READINGS)
        readings.append((at_time, volts))
        self._device = device

    def completed(self, report: LaneReport) -> LaneReport:
        """A report with all that there is to see; an experiment that cannot draw itself goes on without a curve."""
        cycle_s = self._pace(report.cycles)
        try:
            view = self._view()
            levels = dict(view.levels_of(self._device))
        except Exception as error:  # of an experiment's own code, which must not cost a sample
            view, levels = LiveView(), {}
            reason = f"its curve cannot be drawn: {type(error).__name__}: {error}"
            report = replace(report, train=f"{report.train} ({reason})")
        known = bool(view.cycles and cycle_s)
        return replace(
            report,
            series=view.series,
            readings=self._last_readings(),
            levels=levels,
            seconds_left=max(0, view.cycles - view.cycles_ended) * cycle_s if known else None,
            seconds_whole=view.cycles * cycle_s if known else None,
        )

    def _last_readings(self) -> tuple[Series, ...]:
        if not self._device:
            return ()
        times, volts = zip(*self._readings[self._device], strict=True)
        return (Series.of(self._device, times, volts, x_label="time", x_unit="s", y_label="reading", y_unit="V"),)

    def _pace(self, cycles: int) -> float:
        now = time.monotonic()
        self._paces.append((now, cycles))
        began, before = self._paces[0]
        if cycles > before:
            self._cycle_s = (now - began) / (cycles - before)
        return self._cycle_s
