"""Straight lines through the values along any axis, and how far the values bend from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import statsmodels.api as sm
import xarray as xr

from spinneurons.analysis.intervals import check_level
from spinneurons.analysis.lines import straight_line

Floats = npt.NDArray[np.float64]

_ROUNDING = 1e-9
"""Rise of a chord over the range of its values that may be rounding alone."""

_LINE = ("intercept", "slope", "slope_low", "slope_high", "r_squared", "bend", "bend_low", "bend_high")


def fit_line(
    values: xr.DataArray, dim: str = "width", pool: str | Sequence[str] = (), level: float = 0.95
) -> xr.Dataset:
    """Least squares of ``values`` on ``dim``, and how far they bend from the line.

    Parameters
    ----------
    values : (..., dim, *pool), any unit; NaN is left out
    dim : has a coordinate of finite numbers; or the name of such a coordinate along another dim, as the ``width`` of
        each ``device`` is in an imported cube: the devices are then the points of the line
    pool : further dims, such as the devices of each width, whose values are all points of one line; one or several
    level : confidence of the intervals (Student's t)

    Returns
    -------
    Dataset over the remaining dims: ``intercept``; ``slope`` with ``slope_low`` and ``slope_high``; ``r_squared``;
    ``bend``, the largest distance of the least-squares parabola from its chord over what the chord rises, with
    ``bend_low`` and ``bend_high``: 0 for a straight line, 0.18 for a square root from zero on.  NaN where the points
    are too few: a line needs two different coordinates, a bend three, and their intervals one more point.
    ``r_squared`` is NaN where the values do not vary, and the bend where the chord cannot be told from level: its
    rise is at most 1e-9 of the range of the values, or its own interval at ``level`` holds 0.  ``units`` are those
    of ``values``, and of a slope theirs over those of ``dim``, where both are said

    Raises
    ------
    ValueError
        A dim is not there or named twice, ``dim`` has no finite number for each value, or ``level`` is not between 0
        and 1.
    """
    check_level(level)
    pool = (pool,) if isinstance(pool, str) else tuple(pool)
    if dim not in values.dims and dim in values.coords and values[dim].ndim == 1:
        along = str(values[dim].dims[0])  # each device has a width of its own
        values, pool = values.swap_dims({along: dim}), tuple(name for name in pool if name != along)
    _check_dims(values, dim, pool)
    quantities = xr.apply_ufunc(
        lambda y, x: _line(y, x, level),
        values.compute(),
        values[dim],
        input_core_dims=[[dim, *pool], [dim]],
        output_core_dims=[[]] * len(_LINE),
        vectorize=True,
        keep_attrs=False,
    )
    units = _line_units(values.attrs.get("units"), values[dim].attrs.get("units"))
    return xr.Dataset({n: q.assign_attrs(units.get(n, {})) for n, q in zip(_LINE, quantities, strict=True)})


def _line_units(y: str | None, x: str | None) -> dict[str, dict[str, str]]:
    """Attributes of those quantities of a line whose units follow from the units of its values and coordinates."""
    units = {"r_squared": "1", "bend": "1", "bend_low": "1", "bend_high": "1"}
    if y is not None:
        units["intercept"] = y
    if y is not None and x is not None:
        denominator = x if x.isalpha() else f"({x})"
        units |= dict.fromkeys(("slope", "slope_low", "slope_high"), y if x == "1" else f"{y}/{denominator}")
    return {name: {"units": unit} for name, unit in units.items()}


def _check_dims(values: xr.DataArray, dim: str, pool: Sequence[str]) -> None:
    have = f"the values have {', '.join(map(str, values.dims)) or 'none'}"
    for name in (dim, *pool):
        if name not in values.dims:
            raise ValueError(f"no dim {name!r} to fit along or pool; {have}")
    if len({dim, *pool}) <= len(pool):
        raise ValueError(f"dim {dim!r} and pool {', '.join(pool)} name a dim twice; name each once")
    if dim not in values.coords:
        raise ValueError(f"dim {dim!r} has no coordinate to fit on; assign_coords gives it one")
    if values[dim].dtype.kind not in "iuf" or not np.isfinite(values[dim].values).all():
        raise ValueError(f"coordinate {dim!r} is not a finite number everywhere; keep what is one with dropna or sel")


def _line(y: Floats, x: Floats, level: float) -> tuple[float, ...]:
    """Numbers of ``_LINE`` for (n, ...) values at the coordinates (n,)."""
    points = np.broadcast_to(x.reshape(-1, *(1,) * (y.ndim - 1)), y.shape)
    good = np.isfinite(y)
    points, y = points[good], y[good]
    line = straight_line(points, y)
    return (line.intercept, line.slope, *line.slope_interval(level), line.r_squared, *_bend(points, y, level))


def _bend(x: Floats, y: Floats, level: float) -> tuple[float, float, float]:
    if np.unique(x).size < 3 or y.size < 4 or not np.ptp(y) > 0:
        return np.nan, np.nan, np.nan
    # On [0, 1] a parabola with the square term a is a/4 away from its chord in the middle.
    unit = (x - x.min()) / np.ptp(x)
    square, low, high = _interval(np.vander(unit, 3), y, level, 0)
    # The same parabola with its chord's rise as a coefficient of its own, so that the rise has an interval too.
    parabola = np.stack([unit**2 - unit, unit, np.ones_like(unit)], axis=1)
    rise, *ends = _interval(parabola, y, level, 1)
    if abs(rise) <= _ROUNDING * np.ptp(y) or min(ends) <= 0 <= max(ends):
        return np.nan, np.nan, np.nan
    first, last = sorted((-low / rise / 4, -high / rise / 4))
    return -square / rise / 4, first, last


def _interval(columns: Floats, y: Floats, level: float, column: int) -> tuple[float, float, float]:
    """(estimate, low, high) of the coefficient of one column, by ordinary least squares."""
    result: Any = sm.OLS(y, columns).fit()
    low, high = result.conf_int(1 - level)[column]
    return float(result.params[column]), float(low), float(high)
