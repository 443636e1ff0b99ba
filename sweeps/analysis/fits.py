"""Straight lines and switching curves through the values along any axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import statsmodels.api as sm
import xarray as xr

from sweeps.device.fit import fit
from sweeps.device.linear import straight_line

Floats = npt.NDArray[np.float64]

_LINE = ("intercept", "slope", "slope_low", "slope_high", "r_squared", "bend", "bend_low", "bend_high")
_CURVE = ("i_bias", "i_bias_stderr", "i0", "i0_stderr", "deviance", "dof")


def fit_line(values: xr.DataArray, dim: str = "width", pool: Sequence[str] = (), level: float = 0.95) -> xr.Dataset:
    """Least squares of ``values`` on ``dim``, and how far they bend from the line.

    Parameters
    ----------
    values : (..., dim, *pool), any unit; NaN is left out
    pool : further dims, such as the devices of each width, whose values are all points of one line
    level : confidence of the intervals (Student's t)

    Returns
    -------
    Dataset over the remaining dims: ``intercept``; ``slope`` with ``slope_low`` and ``slope_high``; ``r_squared``;
    ``bend``, the largest distance of the least-squares parabola from its chord over what the chord rises, with
    ``bend_low`` and ``bend_high``: 0 for a straight line, 0.18 for a square root from zero on.  NaN where the points
    are too few: a line needs two different places, a bend three, and their intervals one more point
    """
    found = xr.apply_ufunc(
        lambda y, x: _line(y, x, level),
        values.compute(),
        values[dim],
        input_core_dims=[[dim, *pool], [dim]],
        output_core_dims=[["quantity"]],
        vectorize=True,
    )
    return _named(found, _LINE)


def fit_switching(
    switched: xr.DataArray, trials: xr.DataArray, i_write: xr.DataArray, link: str = "logistic"
) -> xr.Dataset:
    """Switching curve along ``current`` by binomial maximum likelihood.

    Parameters
    ----------
    switched, trials : (..., current) counts; sum over cycles, and over whatever else is to share one curve
    i_write : (..., current) A
    link : "logistic" or "cloglog"

    Returns
    -------
    Dataset over the remaining dims: ``i_bias``, ``i0`` and their ``_stderr`` (A), ``deviance`` and ``dof``; NaN where
    the counts have no finite curve

    Source: sigmoid fits of Fig. 2(c-k).
    """
    found = xr.apply_ufunc(
        lambda k, n, current: np.array([getattr(fit(k, n, current, link), name) for name in _CURVE], np.float64),
        switched.compute(),
        trials.compute(),
        i_write.compute(),
        input_core_dims=[["current"]] * 3,
        output_core_dims=[["quantity"]],
        vectorize=True,
    )
    named = _named(found, _CURVE)
    for name in _CURVE[:4]:
        named[name].attrs["units"] = "A"
    return named


def _named(found: xr.DataArray, names: Sequence[str]) -> xr.Dataset:
    return found.assign_coords(quantity=list(names)).to_dataset("quantity")


def _line(y: Floats, x: Floats, level: float) -> Floats:
    """Numbers of ``_LINE`` for (n, ...) values at (n,) places."""
    places = np.broadcast_to(x.reshape(-1, *(1,) * (y.ndim - 1)), y.shape)
    good = np.isfinite(y)
    places, y = places[good], y[good]
    line = straight_line(places, y)
    return np.array([line.intercept, line.slope, *_slope(places, y, level), line.r_squared, *_bend(places, y, level)])


def _slope(x: Floats, y: Floats, level: float) -> tuple[float, float]:
    if np.unique(x).size < 2 or y.size < 3:
        return np.nan, np.nan
    return _interval(np.vander(x, 2), y, level, 0)[1:]


def _bend(x: Floats, y: Floats, level: float) -> tuple[float, float, float]:
    if np.unique(x).size < 3 or y.size < 4:
        return np.nan, np.nan, np.nan
    unit = (x - x.min()) / np.ptp(x)
    square, low, high = _interval(np.vander(unit, 3), y, level, 0)
    rise = square + _interval(np.vander(unit, 3), y, level, 1)[0]
    first, last = sorted((-low / rise / 4, -high / rise / 4))
    return -square / rise / 4, first, last


def _interval(columns: Floats, y: Floats, level: float, which: int) -> tuple[float, float, float]:
    """(estimate, low, high) of one coefficient, by ordinary least squares."""
    found: Any = sm.OLS(y, columns).fit()
    low, high = found.conf_int(1 - level)[which]
    return float(found.params[which]), float(low), float(high)
