"""Where a curve has settled."""

from __future__ import annotations

import numpy as np
import xarray as xr


def steps_to_converge(curve: xr.DataArray, dim: str = "timestep", within: float = 0.005) -> xr.DataArray:
    """First value of ``dim`` from which the curve stays within ``within`` of its last value.

    The last value is always near itself: the last value of ``dim`` is what a curve gives that still moves there, such
    as a ramp, as well as one that settles at the end.  Settled is a curve that gives less.

    Parameters
    ----------
    curve : (..., dim); the values of ``dim`` rise, in steps of any size; without a coordinate they are 0, 1, ...
    within : above 0, in the unit of the curve

    Returns
    -------
    (...) float64; NaN where the curve has no last value

    Raises
    ------
    ValueError
        The curve has no ``dim`` or nothing along it, its values do not rise, or ``within`` is not above 0.
    """
    if dim not in curve.dims:
        raise ValueError(f"the curve has no {dim!r}; its dims are {', '.join(map(str, curve.dims)) or 'none'}")
    steps = curve[dim]
    if not within > 0:
        raise ValueError(f"within is {within}; it must be above 0, in the unit of the curve")
    if not steps.size:
        raise ValueError(f"the curve has no value along {dim!r}; it needs at least one")
    if steps.dtype.kind not in "iuf" or not np.isfinite(steps.values).all() or not (np.diff(steps.values) > 0).all():
        raise ValueError(f"{dim!r} does not rise from value to value; sort the curve by it, each value once")
    far = (abs(curve - curve.isel({dim: -1})) > within) | curve.isnull()
    last_far = steps.where(far).max(dim).fillna(-np.inf)
    return steps.where(steps > last_far).min(dim).rename(None)
