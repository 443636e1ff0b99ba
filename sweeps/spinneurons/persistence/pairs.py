"""Two characterizations of the same bars in the form of a persistence cube: counts and fits, day by day.

It takes two cubes, or one whose log had an axis of days.  Bars are the same if width and name are.  A bar that was
characterized on one of the two days alone is there, with ``measured`` False on the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from spinneurons.analysis.cubes import by_width, mask_unfinished
from spinneurons.persistence.analysis import time_axis
from spinsweep.reading import CubeView

FITS = ("i_bias", "i_bias_stderr", "i0", "i0_stderr", "fit_status")
NOTHING = {"switches": 0, "trials": 0, "fit_status": 0, "measured": False}
"""What a bar has on a day on which it was not characterized; of other outputs, NaN."""


def of_days(cube: xr.Dataset) -> xr.Dataset:
    """The first and the last day of a characterization with an axis of days; see :func:`paired`.

    ``day`` holds the numbers of the log, its ``long_name`` what they count.
    """
    axis = time_axis(cube)
    days = np.sort(cube[axis].values)[[0, -1]]
    first, last = (cube.sel({axis: day}, drop=True) for day in days)
    pair = paired(first, last, days.tolist())
    pair["day"].attrs["long_name"] = axis
    return pair


def paired(first: xr.Dataset, last: xr.Dataset, days: Sequence[Any]) -> xr.Dataset:
    """Two characterizations as one Dataset, with the parameters of the first.

    Parameters
    ----------
    first, last : over any axes of devices; cells that are not done are left out
    days : what tells the two apart: numbers, or names

    Returns
    -------
    Dataset over ``day`` (2), ``width`` and ``device``: ``i_write`` (A), ``switches``, ``trials`` (..., current);
    ``i_bias``, ``i0`` and their ``_stderr`` (A); ``fit_status``; ``measured``, whether the bar has been characterized
    on that day.  Coordinates as :func:`spinneurons.analysis.cubes.by_width` gives them.
    """
    both = [_bars(cube) for cube in (first, last)]
    bars = list(dict.fromkeys(label for cube in both for label in cube["device"].values.tolist()))
    currents = range(max(cube.sizes["current"] for cube in both))
    wide = [cube.reindex(device=bars, current=currents, fill_value=NOTHING) for cube in both]
    pair = xr.concat(wide, xr.DataArray(np.array(days), dims="day", name="day"), join="exact")
    width = [float(bar.partition("um/")[0]) for bar in bars]
    pair = pair.assign_coords(width=("device", width, first["width"].attrs))
    return by_width(pair.assign_attrs({"imported_from": "", **first.attrs}))


def _bars(cube: xr.Dataset) -> xr.Dataset:
    """The bars that are done, along ``device``, whose labels are width and name."""
    needed = ("i_write", "switched", "valid", "n_switched", "n_valid", "cell_state", *FITS)
    cube = by_width(mask_unfinished(cube[[name for name in needed if name in cube]].load(), zeros=True))
    done = CubeView(cube).done.broadcast_like(cube["i_bias"]).transpose("width", "device").values
    w, d = (xr.DataArray(index, dims="bar") for index in np.nonzero(done))
    bars = cube[["i_write", "switched", "valid", *FITS]].isel(width=w, device=d)
    names = bars["name"].values if "name" in bars.coords else bars["device"].values
    labels = [f"{width:.12g}um/{name}" for width, name in zip(bars["width"].values, names, strict=True)]
    bars = bars.assign(
        switches=(bars["switched"] & bars["valid"]).sum("cycle"),
        trials=bars["valid"].sum("cycle"),
        measured=xr.ones_like(bars["i_bias"], bool),
    )
    bars = bars.drop_vars(["switched", "valid"]).reset_coords(drop=True).drop_dims("cycle")
    return bars.rename(bar="device").assign_coords(device=np.array(labels, object))
