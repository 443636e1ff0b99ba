"""Whether the anisotropy field depends on the width of the bar."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr
from scipy.stats import linregress


class Trend(NamedTuple):
    """Mean of all devices, and the straight line of H_an against the width."""

    mean: float
    """A/m."""
    mean_stderr: float
    slope: float
    """A/m per um."""
    slope_stderr: float
    p_value: float
    """Of a slope as large as this, were there none (two-sided t test)."""


def trend(cube: xr.Dataset) -> Trend:
    """Of the fitted devices in ``cube``; NaN with fewer than three of them or one width."""
    h_an = cube["h_an"].transpose("width", "device").values
    width = np.broadcast_to(cube["width"].values[:, None], h_an.shape)
    good = np.isfinite(h_an)
    x, y = width[good], h_an[good]
    if y.size < 3:
        return Trend(*(np.nan,) * 5)
    mean, error = float(y.mean()), float(y.std(ddof=1) / np.sqrt(y.size))
    if np.unique(x).size < 2:
        return Trend(mean, error, np.nan, np.nan, np.nan)
    line = linregress(x, y)
    return Trend(mean, error, float(line.slope), float(line.stderr), float(line.pvalue))
