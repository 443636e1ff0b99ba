"""Synaptic energy against the width from fitted scale currents: Fig. 3(d) as measured, with its error."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from spinneurons.analysis.lines import finite_points
from spinneurons.analysis.scatter import weighted_fit

Floats = npt.NDArray[np.float64]


class Energy(NamedTuple):
    """Energy relative to the widest bar, E/E_max = (i0/i0_max)^2 (equations 4 and 5), on the line through i0."""

    width: Floats
    """(w,) um, from narrow to wide; those with a device."""
    relative: Floats
    low: Floats
    high: Floats
    """(w,) each; bounds of the 95 % interval (Fieller's, of the two points of the line)."""
    devices: int
    """That the line goes through."""
    left_out: int
    """Without a fit."""


def relative_energy(width: npt.ArrayLike, i0: npt.ArrayLike, error: npt.ArrayLike | None = None) -> Energy:
    """From the fitted i0 of the devices of each width.

    The devices scatter about the line by a share of it and by the errors of their fits, see
    :mod:`spinneurons.analysis.scatter`.

    Parameters
    ----------
    width : (w,) um
    i0 : (w, devices) A; NaN where a device has no fit
    error : (w, devices) A, standard errors of i0; None: not known

    Returns
    -------
    Energy; all NaN where no line can be drawn: with one width, say, or a line that is not above 0 at each
    """
    points = finite_points(np.asarray(width, float)[:, None], i0, error)
    widths = np.unique(points.x)
    if widths.size < 2:
        nothing = np.full(widths.size, np.nan)
        return Energy(widths, nothing, nothing, nothing, points.x.size, points.left_out)
    fit = weighted_fit(_line_at(points.x), points.y, points.error, proportional=True)
    widest = _line_at(widths[-1:])[0]
    ratios = np.array([fit.ratio(row, widest) for row in _line_at(widths)])
    relative, low, high = np.maximum(ratios, 0.0).T ** 2
    return Energy(widths, relative, low, high, points.x.size, points.left_out)


def _line_at(width: Floats) -> Floats:
    """(n, 2) what intercept and slope are multiplied by."""
    return np.stack([np.ones_like(width), width], axis=1)
