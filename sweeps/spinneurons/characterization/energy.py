"""Synaptic energy against the width from fitted scale currents: Fig. 3(d) as measured, with its error."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from spinneurons.analysis.lines import straight_line


class Energy(NamedTuple):
    """Energy relative to the widest bar, E/E_max = (i0/i0_max)^2 (equations 4 and 5), on the line through i0."""

    width: npt.NDArray[np.float64]
    """(w,) um, from narrow to wide."""
    relative: npt.NDArray[np.float64]
    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    """(w,) each; 95 % bounds from resampling the devices of every width."""


def relative_energy(
    width: npt.ArrayLike, i0: npt.ArrayLike, rng: np.random.Generator, resamples: int = 2000
) -> Energy:
    """From the fitted i0 of the devices of each width.

    Parameters
    ----------
    width : (w,) um
    i0 : (w, devices) A; NaN where a device has no fit
    rng : of the resampling
    """
    x, y = np.asarray(width, float), np.asarray(i0, float)
    order = np.argsort(x)
    x, y = x[order], y[order]
    kept = np.isfinite(y).any(axis=1)
    x, y = x[kept], y[kept]
    devices = [row[np.isfinite(row)] for row in y]
    drawn = np.empty((resamples, len(x)))
    for sample in drawn:
        means = [rng.choice(row, size=row.size).mean() for row in devices]
        sample[:] = _relative(x, np.array(means))
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    return Energy(x, _relative(x, np.array([row.mean() for row in devices])), low, high)


def _relative(width: npt.NDArray[np.float64], i0: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    line = straight_line(width, i0).predict(width)
    return np.asarray((line / line[-1]) ** 2)
