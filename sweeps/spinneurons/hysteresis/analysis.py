"""How wide the loops are."""

from __future__ import annotations

import xarray as xr


def half_width(cube: xr.Dataset, name: str) -> xr.DataArray:
    """(width, device) half the distance of the two mean reversals of ``name``; NaN where a branch has none."""
    mean = cube[name].mean("cycle", skipna=True).transpose("width", "device", "branch")
    distance: xr.DataArray = abs(mean.isel(branch=0) - mean.isel(branch=1))
    return distance / 2
