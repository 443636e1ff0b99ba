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


class Parabola(NamedTuple):
    """R = offset + state * amplitude (1 - (Hx/H_an)^2/2), which the square root is near zero field."""

    h_an: float
    """A/m."""
    amplitude: float
    """Ohm."""
    offset: float


def as_printed(device: xr.Dataset) -> Parabola | None:
    """Least-squares parabola through the readings below half of the fitted field; None where there is none.

    Parameters
    ----------
    device : one device's cell, with ``r`` (2, fields): from the up state, then from the down state
    """
    field, r = device["h_x"].values, device["r"].values
    inside = np.isfinite(field) & (np.abs(field) < float(device["h_an"]) / 2) & np.isfinite(r).all(axis=0)
    if inside.sum() < 3:
        return None
    mean, half = (r[0] + r[1])[inside] / 2, (r[0] - r[1])[inside] / 2
    slope, amplitude = np.polyfit(field[inside] ** 2, half, 1)
    if slope * amplitude >= 0:
        return None
    return Parabola(float(np.sqrt(-amplitude / (2 * slope))), float(amplitude), float(mean.mean()))
