"""One straight line through points: least squares, with the error of its slope."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from spinneurons.analysis.scatter import weighted_fit

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
    spread: float
    """Standard deviation of the points about the line beyond their own errors: a share of the line where it is
    proportional, in the unit of the points otherwise; NaN with fewer than three points."""

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


class Points(NamedTuple):
    """Those that a fit takes."""

    x: Floats
    y: Floats
    error: Floats | None
    left_out: int
    """Points without a value or without an error."""


def finite_points(x: npt.ArrayLike, y: npt.ArrayLike, error: npt.ArrayLike | None = None) -> Points:
    """The points, flat, without those that have a NaN.

    Parameters
    ----------
    x, y, error : arrays that broadcast together

    Raises
    ------
    ValueError
        An error is below 0.
    """
    parts = np.broadcast_arrays(*(np.asarray(a, float) for a in (x, y, *(() if error is None else (error,)))))
    rows = np.stack([part.ravel() for part in parts])
    good = np.isfinite(rows).all(axis=0)
    if error is not None and (rows[2] < 0).any():
        raise ValueError(f"a standard error is {np.nanmin(rows[2]):g}; it must be 0 or more")
    kept = rows[:, good]
    return Points(kept[0], kept[1], None if error is None else kept[2], int((~good).sum()))


def straight_line(
    x: npt.ArrayLike, y: npt.ArrayLike, error: npt.ArrayLike | None = None, *, proportional: bool = False
) -> FittedLine:
    """Least squares of ``y`` on ``x``; points with a NaN are left out.

    With neither ``error`` nor ``proportional`` all points weigh the same.  Otherwise each is weighed by its error and
    by the spread that the points show, see :mod:`spinneurons.analysis.scatter`.

    Parameters
    ----------
    x, y : arrays that broadcast together, in any units
    error : standard errors of ``y`` that broadcast with them, in its unit
    proportional : devices deviate from the line by a share of it, as Hall bars do, and not by a current

    Returns
    -------
    FittedLine; all NaN with fewer than two different ``x``, or where ``weighted_fit`` of that module has no fit.
    ``r_squared`` is NaN if the values do not vary, and ``slope_stderr`` with fewer than three points.
    """
    points, values, errors, _ = finite_points(x, y, error)
    if np.unique(points).size < 2:
        return FittedLine(*(np.nan,) * 6)
    middle, dof = points.mean(), values.size - 2
    if errors is None and not proportional:
        height, slope, stderr, spread = _alike(points - middle, values)
    else:
        columns = np.stack([np.ones_like(points), points - middle], axis=1)
        fit = weighted_fit(columns, values, errors, proportional=proportional)
        height, slope = fit.coefficients.tolist()
        stderr, spread = float(np.sqrt(fit.covariance[1, 1])), fit.spread
    residual, dy = values - height - slope * (points - middle), values - values.mean()
    unexplained, total = float(residual @ residual), float(dy @ dy)
    # the mean of equal values may differ from them by rounding: only their range says that they do not vary
    r_squared = 1 - unexplained / total if total > 0 and np.ptp(values) > 0 else np.nan
    return FittedLine(float(height - slope * middle), slope, r_squared, stderr, float(dof), spread)


def _alike(dx: Floats, y: Floats) -> tuple[float, float, float, float]:
    """Height at the middle, slope, its standard error and the spread of points that weigh the same."""
    height = float(y.mean())
    dy, squares, dof = y - height, float(dx @ dx), y.size - 2
    slope = float(dx @ dy / squares)
    residual = dy - slope * dx
    spread = float(np.sqrt(residual @ residual / dof)) if dof else np.nan
    return height, slope, spread / float(np.sqrt(squares)), spread
