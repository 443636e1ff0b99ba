"""How much the bias current drifts from the first day to the last."""

from __future__ import annotations

import numpy as np
import xarray as xr


def drift_percent(cube: xr.Dataset) -> tuple[xr.DataArray, xr.DataArray]:
    """Change of the bias current from the first to the last day and its standard error, both in per cent."""
    first, last = cube.isel(day=0), cube.isel(day=-1)
    ratio = last["i_bias"] / first["i_bias"]
    relative = [day["i_bias_stderr"] / day["i_bias"] for day in (first, last)]
    return 100 * (ratio - 1), 100 * ratio * np.sqrt(relative[0] ** 2 + relative[1] ** 2)
