"""The switching curve of the device in hand while it is measured, as the reports of the bench draw it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spinneurons.device.pulse_cycle import PulseTrains, VoltageLevels
from spinneurons.neurons.family import Law
from spinneurons.neurons.fit import CONVERGED, fit_many
from spinsweep.messages import Series

Floats = npt.NDArray[np.float64]

LEAST_FITTED = 4  # currents with cycles from which a curve is drawn through them
DRAWN = 60  # points of the fitted curve


def train_name(number: int) -> str:
    """Of the train at a write current, by its number."""
    return f"current {number}"


class SwitchingCurve:
    """Called once a second at most: the fraction switched at each current so far, and the curve through it.

    It is for the eye: states are told by the middle of the device's two levels, and the cell's own decision and fit
    come at its end.

    Parameters
    ----------
    i_write : (n,) A, of the trains called :func:`train_name`
    """

    def __init__(self, trains: PulseTrains, device: str, i_write: Floats, law: Law) -> None:
        self._trains = trains
        self._device = device
        self._i_write = i_write
        self._law = law
        self._counts: dict[int, tuple[int, int]] = {}
        """Of the trains that have ended, by number: cycles that switched, and valid ones."""

    def __call__(self) -> list[Series]:
        """The curve so far; none before the levels are known."""
        levels = self._trains.levels.get(self._device)
        if levels is None:
            return []
        counts = np.array([self._count(number, levels) for number in range(self._i_write.size)], float)
        k, n = counts.T
        measured = n > 0
        labels = {"x_label": "write current", "x_unit": "A", "y_label": "fraction switched"}
        ranges = {"x_range": (float(self._i_write.min()), float(self._i_write.max())), "y_range": (0.0, 1.0)}
        points = Series.of(self._device, self._i_write[measured], k[measured] / n[measured], **labels, **ranges)
        return [points, *self._fitted(k, n, labels, ranges)]

    def _fitted(
        self, k: Floats, n: Floats, labels: dict[str, str], ranges: dict[str, tuple[float, float]]
    ) -> list[Series]:
        if (n > 0).sum() < LEAST_FITTED:
            return []
        estimates = fit_many(k, n, self._i_write, self._law)
        if estimates.status[0] != CONVERGED:
            return []
        i = np.linspace(*ranges["x_range"], DRAWN)
        p = self._law.probability((i - estimates.i_bias[0]) / estimates.i0[0])
        return [Series.of(f"{self._law.name} fit", i, p, line=True, **labels, **ranges)]

    def _count(self, number: int, levels: VoltageLevels) -> tuple[int, int]:
        record = self._trains.journal.trains.get(train_name(number))
        if number in self._counts or record is None or not record.results:
            return self._counts.get(number, (0, 0))
        volts = np.array(list(record.results.values()))
        is_high = volts > (levels.low + levels.high) / 2
        reset_is_high = self._trains.bench.polarity.reset_state > 0
        valid = is_high[:, 0] == reset_is_high
        counted = int((valid & (is_high[:, 1] != reset_is_high)).sum()), int(valid.sum())
        if record.ended:
            self._counts[number] = counted
        return counted
