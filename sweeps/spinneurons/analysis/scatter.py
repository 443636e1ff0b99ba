"""Least squares through values that scatter for two reasons: devices differ, and each has the error of its own fit.

    y_i = m_i + e_i + u_i,     m = columns @ coefficients,     sd(e_i) = error_i,     sd(u_i) = spread * size_i

``size`` is the mean m_i itself where the spread is proportional to it, and 1 where all values scatter alike.  The
errors are known from the fits.  Of a proportional spread they are taken as shares of the value, error_i m_i/y_i: the
error of a fitted scale grows with the scale, and a weight that rose as the value falls would pull the curve down.
The spread is not known: it is the one with which the weighted squares of the residuals are
as large as they should be (Paule and Mandel's), and the weights 1/(spread^2 size_i^2 + error_i^2) follow from it and
from the mean, again and again until they stay.  Intervals are Student's t with the degrees of freedom of the
residuals, those of a ratio Fieller's.  How often they hold the true value is in ``sweeps/ANALYSIS.md``.

Sources: R. C. Paule, J. Mandel, J. Res. Natl. Bur. Stand. 87, 377 (1982); G. Knapp, J. Hartung, Stat. Med. 22, 2693
(2003), for t; R. J. Carroll, D. Ruppert, Transformation and Weighting in Regression (1988), for weights that follow
the mean; E. C. Fieller, J. R. Stat. Soc. B 16, 175 (1954).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_ROUNDS = 200
_SETTLED = 1e-10


class WeightedFit(NamedTuple):
    """Coefficients of some columns; all NaN where there is no fit."""

    coefficients: Floats
    """(p,)."""
    covariance: Floats
    """(p, p); NaN where there are no more values than coefficients."""
    dof: int
    """Values less coefficients."""
    spread: float
    """Standard deviation of the devices beyond their errors: a share of the mean where it is proportional to it, and
    in the unit of the values otherwise."""

    def ratio(
        self, numerator: npt.ArrayLike, denominator: npt.ArrayLike, level: float = 0.95
    ) -> tuple[float, float, float]:
        """(value, low, high) of one sum of coefficients over another, with Fieller's interval; weights are (p,).

        All NaN where the denominator's own interval holds 0: the ratio may then be any number.  Without degrees of
        freedom there is no interval.
        """
        a, b = (np.asarray(weights, dtype=np.float64) for weights in (numerator, denominator))
        above, below = float(a @ self.coefficients), float(b @ self.coefficients)
        if not self.dof:
            return above / below, np.nan, np.nan
        squared = self._quantile(level) ** 2
        # The ratios r for which above - r below is within t standard errors of 0:
        # leading r^2 - 2 mixed r + constant <= 0.
        mixed = above * below - squared * float(a @ self.covariance @ b)
        leading = below**2 - squared * float(b @ self.covariance @ b)
        constant = above**2 - squared * float(a @ self.covariance @ a)
        if not leading > 0:
            return np.nan, np.nan, np.nan
        half = np.sqrt(max(mixed**2 - leading * constant, 0.0)) / leading
        return above / below, mixed / leading - half, mixed / leading + half

    def _quantile(self, level: float) -> float:
        from scipy.stats import t  # slow to import, and most callers draw the line alone

        return float(t.ppf((1 + level) / 2, self.dof)) if self.dof else np.nan


def weighted_fit(
    columns: Floats, y: Floats, error: Floats | None = None, *, proportional: bool = False
) -> WeightedFit:
    """Weighted least squares of ``y`` on ``columns``, with a spread of the devices beside their errors.

    Parameters
    ----------
    columns : (n, p) of full rank, finite
    y : (n,) finite
    error : (n,) standard errors, from 0, in the unit of ``y``; None: all 0, the spread alone makes the scatter
    proportional : the spread is a share of the mean

    Returns
    -------
    WeightedFit; all NaN where there are fewer values than coefficients.  With ``proportional`` also where the fitted
    mean changes its sign, because a share of 0 is no scatter; or where the weights do not settle.
    """
    n, p = columns.shape
    none = WeightedFit(np.full(p, np.nan), np.full((p, p), np.nan), max(n - p, 0), np.nan)
    if n < p:
        return none
    errors = np.zeros(n) if error is None else error
    size = _mean_of_each_point(columns, y) if proportional else np.ones(n)
    variance = size**2
    for _ in range(_ROUNDS):
        if not variance.all():  # a share of 0
            return none
        mean = columns @ _least_squares(columns, y, variance)[0]
        if proportional and not (np.all(mean > 0) or np.all(mean < 0)):
            return none
        before, size = (variance, size), mean if proportional else size
        known = np.square(errors * _growth(mean, y) if proportional else errors)
        spread = _spread_squared((y - mean) ** 2, size**2, known, n - p)
        variance = _shape(spread, size, known)
        if all(_settled(now, last) for now, last in zip((variance, size), before, strict=True)):
            break
    else:
        return none
    coefficients, covariance = _least_squares(columns, y, variance)
    if n == p:
        return WeightedFit(coefficients, none.covariance, 0, np.nan)
    scattered = bool(spread) or bool(errors.any())
    return WeightedFit(coefficients, covariance if scattered else 0 * covariance, n - p, float(np.sqrt(spread)))


def spread_interval(y: Floats, error: Floats, level: float = 0.95) -> tuple[float, float]:
    """Interval (low, high) of the spread of values about their mean, beyond their errors.

    The spreads with which the weighted squares about the mean are a quantile of chi-square with n - 1 degrees of
    freedom; 0 where even without a spread they are smaller.

    Parameters
    ----------
    y : (n,) finite, n > 1
    error : (n,) standard errors above 0, in the unit of ``y``

    Source: W. Viechtbauer, Stat. Med. 26, 37 (2007) (Q-profile).
    """
    from scipy.optimize import brentq  # slow to import
    from scipy.stats import chi2

    def excess(spread: float, quantile: float) -> float:
        variance = spread**2 + error**2
        mean = np.average(y, weights=1 / variance)
        return float(((y - mean) ** 2 / variance).sum() - quantile)

    ends = []
    for share in ((1 + level) / 2, (1 - level) / 2):
        quantile = float(chi2.ppf(share, y.size - 1))
        most = float(np.ptp(y) * np.sqrt(y.size / quantile)) + float(error.max())  # a spread that is too large
        ends.append(float(brentq(excess, 0.0, most, (quantile,))) if excess(0.0, quantile) > 0 else 0.0)
    return ends[0], ends[1]


def _growth(mean: Floats, y: Floats) -> Floats:
    """Factor from the error of each value to that at the mean; bounded, for a value may be 0."""
    return np.asarray(np.abs(mean) / np.maximum(np.abs(y), 0.1 * np.abs(mean)))


def _shape(spread: float, size: Floats, known: Floats) -> Floats:
    """Variance of each value; without any scatter that of a spread of 1, since all give the same weights."""
    variance = np.asarray(spread * size**2 + known)
    largest = variance.max()
    return np.maximum(variance, 1e-20 * largest) if largest > 0 else size**2


def _settled(now: Floats, last: Floats) -> bool:
    """Whether the two are the same but for a common factor."""
    return bool(np.allclose(now / np.abs(now).max(), last / np.abs(last).max(), rtol=_SETTLED, atol=0))


def _least_squares(columns: Floats, y: Floats, variance: Floats) -> tuple[Floats, Floats]:
    """Coefficients, and their covariance where ``variance`` is that of the values."""
    sd = np.sqrt(variance)
    q, r = np.linalg.qr(columns / sd[:, None])
    inverse = np.linalg.inv(r)
    return inverse @ (q.T @ (y / sd)), inverse @ inverse.T


def _mean_of_each_point(columns: Floats, y: Floats) -> Floats:
    """(n,) mean of the values that have the same columns: what the weights start from."""
    _, place = np.unique(columns, axis=0, return_inverse=True)
    return np.asarray((np.bincount(place, y) / np.bincount(place))[place])


def _spread_squared(squares: Floats, size_squared: Floats, known: Floats, dof: int) -> float:
    """Square of the spread with which the weighted squares of the residuals are ``dof``; 0 if they are fewer."""
    if not dof:
        return 0.0
    most = float((squares / size_squared).sum()) / dof  # as if there were no errors
    if not known.any() or not most:
        return most
    from scipy.optimize import brentq  # slow to import

    def excess(share: float) -> float:
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(np.nansum(squares / (share * most * size_squared + known))) - dof

    if excess(0.0) <= 0:
        return 0.0
    lowest = 0.0 if known.all() else 1e-15  # an error of 0 would leave an infinity there
    if excess(lowest) <= 0:
        return lowest * most
    return most * float(brentq(excess, lowest, 1.0, xtol=1e-15))
