"""Straight lines and switching curves through the values along any axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import statsmodels.api as sm
import xarray as xr

from spinneurons.analysis.intervals import check_level
from spinneurons.linear import straight_line
from spinneurons.neurons.family import Law
from spinneurons.neurons.fit import fit
from spinneurons.neurons.laws import LOGISTIC

Floats = npt.NDArray[np.float64]

_ROUNDING = 1e-9
"""Rise of a chord over the range of its values that may be rounding alone."""

_LINE = ("intercept", "slope", "slope_low", "slope_high", "r_squared", "bend", "bend_low", "bend_high")
_CURVE = ("i_bias", "i_bias_stderr", "i0", "i0_stderr", "deviance", "dof")


def fit_line(
    values: xr.DataArray, dim: str = "width", pool: str | Sequence[str] = (), level: float = 0.95
) -> xr.Dataset:
    """Least squares of ``values`` on ``dim``, and how far they bend from the line.

    Parameters
    ----------
    values : (..., dim, *pool), any unit; NaN is left out
    dim : has a coordinate of finite numbers
    pool : further dims, such as the devices of each width, whose values are all points of one line; one or several
    level : confidence of the intervals (Student's t)

    Returns
    -------
    Dataset over the remaining dims: ``intercept``; ``slope`` with ``slope_low`` and ``slope_high``; ``r_squared``;
    ``bend``, the largest distance of the least-squares parabola from its chord over what the chord rises, with
    ``bend_low`` and ``bend_high``: 0 for a straight line, 0.18 for a square root from zero on.  NaN where the points
    are too few: a line needs two different places, a bend three, and their intervals one more point.  ``r_squared``
    is NaN where the values do not vary, and the bend where the chord cannot be told from level: its rise is at most
    1e-9 of the range of the values, or its own interval at ``level`` holds 0.  ``units`` are those of ``values``,
    and of a slope theirs over those of ``dim``, where both are said

    Raises
    ------
    ValueError
        A dim is not there or named twice, ``dim`` has no finite number for each value, or ``level`` is not between 0
        and 1.
    """
    check_level(level)
    pool = (pool,) if isinstance(pool, str) else tuple(pool)
    _check_dims(values, dim, pool)
    found = xr.apply_ufunc(
        lambda y, x: _line(y, x, level),
        values.compute(),
        values[dim],
        input_core_dims=[[dim, *pool], [dim]],
        output_core_dims=[["quantity"]],
        vectorize=True,
        keep_attrs=False,
    )
    return _named(found, _LINE, _line_units(values.attrs.get("units"), values[dim].attrs.get("units")))


def fit_switching(
    switched: xr.DataArray, trials: xr.DataArray, i_write: xr.DataArray, law: Law = LOGISTIC
) -> xr.Dataset:
    """Switching curve along ``current`` by binomial maximum likelihood.

    Parameters
    ----------
    switched, trials : (..., current) counts; sum over cycles, and over whatever else is to share one curve
    i_write : (..., current), in the unit of its ``units``, A without
    law : of the curve

    Returns
    -------
    Dataset over the remaining dims: ``i_bias``, ``i0`` and their ``_stderr`` (in the unit of ``i_write``),
    ``deviance`` and ``dof``; NaN where the counts have no finite curve

    Source: sigmoid fits of Fig. 2(c-k).
    """
    found = xr.apply_ufunc(
        lambda k, n, current: np.array([getattr(fit(k, n, current, law), name) for name in _CURVE], np.float64),
        switched.compute(),
        trials.compute(),
        i_write.compute(),
        input_core_dims=[["current"]] * 3,
        output_core_dims=[["quantity"]],
        vectorize=True,
        keep_attrs=False,
    )
    return _named(found, _CURVE, dict.fromkeys(_CURVE[:4], i_write.attrs.get("units", "A")))


def _named(found: xr.DataArray, names: Sequence[str], units: Mapping[str, str]) -> xr.Dataset:
    named = found.assign_coords(quantity=list(names)).to_dataset("quantity")
    for name, unit in units.items():
        named[name].attrs["units"] = unit
    return named


def _line_units(y: str | None, x: str | None) -> dict[str, str]:
    """Units of a line's quantities, for those that follow from the units of its values and places."""
    found = {"r_squared": "1", "bend": "1", "bend_low": "1", "bend_high": "1"}
    if y is not None:
        found["intercept"] = y
    if y is not None and x is not None:
        below = x if x.isalpha() else f"({x})"
        found |= dict.fromkeys(("slope", "slope_low", "slope_high"), y if x == "1" else f"{y}/{below}")
    return found


def _check_dims(values: xr.DataArray, dim: str, pool: Sequence[str]) -> None:
    have = f"the values have {', '.join(map(str, values.dims)) or 'none'}"
    for name in (dim, *pool):
        if name not in values.dims:
            raise ValueError(f"no dim {name!r} to fit along or pool; {have}")
    if len({dim, *pool}) <= len(pool):
        raise ValueError(f"dim {dim!r} and pool {', '.join(pool)} name a dim twice; each once")
    if dim not in values.coords:
        raise ValueError(f"dim {dim!r} has no coordinate to fit on; assign_coords gives it one")
    if values[dim].dtype.kind not in "iuf" or not np.isfinite(values[dim].values).all():
        raise ValueError(f"coordinate {dim!r} is not a finite number everywhere; dropna or sel what is one")


def _line(y: Floats, x: Floats, level: float) -> Floats:
    """Numbers of ``_LINE`` for (n, ...) values at (n,) places."""
    places = np.broadcast_to(x.reshape(-1, *(1,) * (y.ndim - 1)), y.shape)
    good = np.isfinite(y)
    places, y = places[good], y[good]
    line = straight_line(places, y)
    r_squared = line.r_squared if y.size and np.ptp(y) > 0 else np.nan
    return np.array([line.intercept, line.slope, *_slope(places, y, level), r_squared, *_bend(places, y, level)])


def _slope(x: Floats, y: Floats, level: float) -> tuple[float, float]:
    if np.unique(x).size < 2 or y.size < 3:
        return np.nan, np.nan
    return _interval(np.vander(x, 2), y, level, 0)[1:]


def _bend(x: Floats, y: Floats, level: float) -> tuple[float, float, float]:
    if np.unique(x).size < 3 or y.size < 4 or not np.ptp(y) > 0:
        return np.nan, np.nan, np.nan
    unit = (x - x.min()) / np.ptp(x)
    square, low, high = _interval(np.vander(unit, 3), y, level, 0)
    parabola = np.stack([unit**2 - unit, unit, np.ones_like(unit)], axis=1)  # its second coefficient is the rise
    rise, *ends = _interval(parabola, y, level, 1)
    if abs(rise) <= _ROUNDING * np.ptp(y) or min(ends) <= 0 <= max(ends):
        return np.nan, np.nan, np.nan
    first, last = sorted((-low / rise / 4, -high / rise / 4))
    return -square / rise / 4, first, last


def _interval(columns: Floats, y: Floats, level: float, which: int) -> tuple[float, float, float]:
    """(estimate, low, high) of one coefficient, by ordinary least squares."""
    found: Any = sm.OLS(y, columns).fit()
    low, high = found.conf_int(1 - level)[which]
    return float(found.params[which]), float(low), float(high)
