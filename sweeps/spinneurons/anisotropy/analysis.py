"""Whether the anisotropy field depends on the width of the bar."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr

from spinneurons.analysis.lines import FittedLine, straight_line


class WidthDependence(NamedTuple):
    """Mean of all devices, and the straight line of H_an against the width."""

    mean: float
    """A/m."""
    mean_stderr: float
    line: FittedLine
    """Slope in A/m per um."""


def width_dependence(cube: xr.Dataset) -> WidthDependence:
    """Mean and line of the fitted devices in ``cube``; NaN with fewer than three of them or one width."""
    width, h_an, stderr = xr.broadcast(cube["width"], cube["h_an"], cube["h_an_stderr"])
    fitted = h_an.values[np.isfinite(h_an.values)]
    if fitted.size < 3:
        return WidthDependence(np.nan, np.nan, straight_line([], []))
    error = float(fitted.std(ddof=1) / np.sqrt(fitted.size))
    line = straight_line(width.values, h_an.values, stderr.values, proportional=True)
    return WidthDependence(float(fitted.mean()), error, line)
