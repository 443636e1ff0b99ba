"""Where a curve has settled."""

from __future__ import annotations

import xarray as xr


def steps_to_converge(curve: xr.DataArray, dim: str = "timestep", within: float = 0.005) -> xr.DataArray:
    """First value of ``dim`` from which the curve stays within ``within`` of its last value.

    Parameters
    ----------
    curve : (..., dim); ``dim`` has whole numbers that rise by one
    within : in the unit of the curve

    Returns
    -------
    (...) float64; NaN where the curve has no last value
    """
    last = curve.isel({dim: -1})
    far = (abs(curve - last) > within) | curve.isnull()
    steps = curve[dim]
    return ((far * (steps - steps[0] + 1)).max(dim) + steps[0]).where(last.notnull()).astype(float)
