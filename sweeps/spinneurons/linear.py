"""A straight line against the bar width, as in Fig. 3(a, b) of the paper."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Line(NamedTuple):
    """``intercept + slope * width`` and the share of the variance it explains."""

    intercept: float
    slope: float
    r_squared: float

    def at(self, width: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Value of the line at ``width``, um."""
        return self.intercept + self.slope * np.asarray(width, dtype=np.float64)


def straight_line(width: npt.ArrayLike, value: npt.ArrayLike) -> Line:
    """Ordinary least squares of ``value`` on ``width``; pairs with a NaN are left out.

    Parameters
    ----------
    width, value : arrays that broadcast together; um, and any unit

    Returns
    -------
    Line; all NaN with fewer than two different widths, ``r_squared`` NaN if the values do not vary.
    """
    x, y = (a.ravel() for a in np.broadcast_arrays(np.asarray(width, float), np.asarray(value, float)))
    good = np.isfinite(x) & np.isfinite(y)
    x, y = x[good], y[good]
    if np.unique(x).size < 2:
        return Line(np.nan, np.nan, np.nan)
    dx, dy = x - x.mean(), y - y.mean()
    slope = float(dx @ dy / (dx @ dx))
    total = float(dy @ dy)
    residual = dy - slope * dx
    r_squared = 1 - float(residual @ residual) / total if total > 0 else np.nan
    return Line(float(y.mean() - slope * x.mean()), slope, r_squared)
