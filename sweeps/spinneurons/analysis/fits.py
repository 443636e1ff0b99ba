"""Straight lines through the values along any axis, and how far the values bend from them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import xarray as xr

from spinneurons.analysis.lines import finite_points, straight_line
from spinneurons.analysis.scatter import weighted_fit
from spinsweep.analysis.intervals import check_level

Floats = npt.NDArray[np.float64]

_ROUNDING = 1e-9
"""Rise of a chord over the range of its values that may be rounding alone."""

_LINE = ("intercept", "slope", "slope_low", "slope_high", "r_squared", "spread", "bend", "bend_low", "bend_high",
         "points", "left_out")  # fmt: skip


def fit_line(
    values: xr.DataArray,
    dim: str = "width",
    pool: str | Sequence[str] = (),
    level: float = 0.95,
    error: xr.DataArray | None = None,
    *,
    proportional: bool = False,
) -> xr.Dataset:
    """Least squares of ``values`` on ``dim``, and how far they bend from the line.

    Parameters
    ----------
    values : (..., dim, *pool), any unit; NaN is left out
    dim : has a coordinate of finite numbers; or the name of such a coordinate along another dim, as the ``width`` of
        each ``device`` is in an imported cube: the devices are then the points of the line
    pool : further dims, such as the devices of each width, whose values are all points of one line; one or several
    level : confidence of the intervals (Student's t; Fieller's of the bend)
    error : standard errors of the values, over dims of theirs and in their unit; a value without one is left out
    proportional : values deviate from the line by a share of it, as devices do; see
        :mod:`spinneurons.analysis.scatter` for the weights

    Returns
    -------
    Dataset over the remaining dims: ``intercept``; ``slope`` with ``slope_low`` and ``slope_high``; ``r_squared``;
    ``spread``, the standard deviation about the line beyond the errors, a share of the line if ``proportional``;
    ``bend``, the largest distance of the least-squares parabola from its chord over what the chord rises, with
    ``bend_low`` and ``bend_high``: 0 for a straight line, 0.18 for a square root from zero on; ``points`` that were
    taken and ``left_out``.  NaN where the points are too few: a line needs two different coordinates, a bend three,
    and their intervals one more point.  ``r_squared`` is NaN where the values do not vary, and the bend where the
    chord cannot be told from level: its rise is at most 1e-9 of the range of the values, or its own interval at
    ``level`` holds 0.  With ``proportional`` all are NaN where the line changes its sign.  ``units``
    are those of ``values``, and of a slope theirs over those of ``dim``, where both are said

    Raises
    ------
    ValueError
        A dim is not there or named twice, ``dim`` has no finite number for each value, ``level`` is not between 0
        and 1, or an error is below 0 or has other units than the values.
    """
    check_level(level)
    pool = (pool,) if isinstance(pool, str) else tuple(pool)
    if dim not in values.dims and dim in values.coords and values[dim].ndim == 1:
        along = str(values[dim].dims[0])  # each device has a width of its own
        values, pool = values.swap_dims({along: dim}), tuple(name for name in pool if name != along)
        error = None if error is None else error.swap_dims({along: dim})
    _check_dims(values, dim, pool)
    unit = values.attrs.get("units")
    arrays = [values.compute()]
    if error is not None:
        other = error.attrs.get("units", unit)
        if unit is not None and other != unit:
            raise ValueError(f"the errors are in {other!r} and the values in {unit!r}; convert one")
        arrays = [a.transpose(*values.dims) for a in xr.broadcast(arrays[0], error.compute())]
    quantities = xr.apply_ufunc(
        lambda x, y, e=None: _line(x, y, e, level, proportional=proportional),
        values[dim],
        *arrays,
        input_core_dims=[[dim], *([dim, *pool] for _ in arrays)],
        output_core_dims=[[]] * len(_LINE),
        vectorize=True,
        keep_attrs=False,
    )
    units = _line_units(unit, values[dim].attrs.get("units"), proportional=proportional)
    return xr.Dataset({n: q.assign_attrs(units.get(n, {})) for n, q in zip(_LINE, quantities, strict=True)})


def _line_units(y: str | None, x: str | None, *, proportional: bool) -> dict[str, dict[str, str]]:
    """Attributes of those quantities of a line whose units follow from the units of its values and coordinates."""
    units = dict.fromkeys(("r_squared", "bend", "bend_low", "bend_high", "points", "left_out"), "1")
    if y is not None:
        units["intercept"] = y
    if proportional or y is not None:
        units["spread"] = "1" if proportional else str(y)
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


def _line(x: Floats, y: Floats, error: Floats | None, level: float, *, proportional: bool) -> tuple[float, ...]:
    """Numbers of ``_LINE`` for values and errors (n, ...) at the coordinates (n,)."""
    points = finite_points(x.reshape(-1, *(1,) * (y.ndim - 1)), y, error)
    line = straight_line(points.x, points.y, points.error, proportional=proportional)
    slope = line.intercept, line.slope, *line.slope_interval(level)
    bend = _bend(points.x, points.y, points.error, level, proportional=proportional)
    return (*slope, line.r_squared, line.spread, *bend, float(points.x.size), float(points.left_out))


def _bend(
    x: Floats, y: Floats, error: Floats | None, level: float, *, proportional: bool
) -> tuple[float, float, float]:
    if np.unique(x).size < 3 or y.size < 4 or not np.ptp(y) > 0:
        return np.nan, np.nan, np.nan
    # On [0, 1] a parabola is its chord plus the square term a (u^2 - u), which is a/4 below it in the middle.
    unit = (x - x.min()) / np.ptp(x)
    columns = np.stack([unit**2 - unit, unit, np.ones_like(unit)], axis=1)
    fit = weighted_fit(columns, y, error, proportional=proportional)
    if not abs(fit.coefficients[1]) > _ROUNDING * np.ptp(y):
        return np.nan, np.nan, np.nan
    return fit.ratio([-0.25, 0, 0], [0, 1, 0], level)
