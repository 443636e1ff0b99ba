"""One straight line through points: least squares, with the error of its slope."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


class FittedLine(NamedTuple):
    """``intercept + slope * x``, in the units of the points."""

    intercept: float
    slope: float
    r_squared: float
    """Share of the variance that the line explains."""
    slope_stderr: float
    dof: float
    """Degrees of freedom of the residuals: the number of points less two."""

    def predict(self, x: npt.ArrayLike) -> Floats:
        """Value of the line at ``x``."""
        return self.intercept + self.slope * np.asarray(x, dtype=np.float64)

    def slope_interval(self, level: float = 0.95) -> tuple[float, float]:
        """Student's t interval of the slope; NaN where there are fewer than three points."""
        from scipy.stats import t  # slow to import, and most callers draw the line alone

        half = float(t.ppf((1 + level) / 2, self.dof)) * self.slope_stderr
        return self.slope - half, self.slope + half

    @property
    def p_value(self) -> float:
        """Probability of a slope at least as large as this if there were none, by a two-sided t test."""
        from scipy.stats import t

        return float(2 * t.sf(abs(self.slope / self.slope_stderr), self.dof)) if self.slope_stderr else np.nan


def straight_line(x: npt.ArrayLike, y: npt.ArrayLike) -> FittedLine:
    """Ordinary least squares of ``y`` on ``x``; pairs with a NaN are left out.

    Parameters
    ----------
    x, y : arrays that broadcast together, in any units

    Returns
    -------
    FittedLine; all NaN with fewer than two different ``x``.  ``r_squared`` is NaN if the values do not vary, and
    ``slope_stderr`` with fewer than three points.
    """
    points, values = (a.ravel() for a in np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float)))
    good = np.isfinite(points) & np.isfinite(values)
    points, values = points[good], values[good]
    if np.unique(points).size < 2:
        return FittedLine(*(np.nan,) * 5)
    dx, dy = points - points.mean(), values - values.mean()
    spread = float(dx @ dx)
    slope = float(dx @ dy / spread)
    residual = dy - slope * dx
    unexplained, total, dof = float(residual @ residual), float(dy @ dy), values.size - 2
    # the mean of equal values may differ from them by rounding: only their range says that they do not vary
    r_squared = 1 - unexplained / total if total > 0 and np.ptp(values) > 0 else np.nan
    stderr = float(np.sqrt(unexplained / dof / spread)) if dof else np.nan
    return FittedLine(float(values.mean() - slope * points.mean()), slope, r_squared, stderr, float(dof))
