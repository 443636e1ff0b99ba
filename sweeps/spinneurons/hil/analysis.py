"""What the trainings say: images right, and what hardware in the loop gains, seed by seed."""

from __future__ import annotations

import numpy as np
import xarray as xr

from spinneurons.analysis.intervals import mean_interval, wilson
from spinsweep.reading import CubeView


def done(cube: xr.Dataset) -> xr.DataArray:
    """Cells that are done; all of them in a recording without ``cell_state``."""
    if "cell_state" in cube:
        return CubeView(cube).done
    return xr.ones_like(cube["loss"].isel(epoch=0, drop=True), dtype=bool)


def right(cube: xr.Dataset) -> xr.DataArray:
    """(mode, seed) test images whose most confident class is their own; NaN where the cell is not done."""
    return (cube["predicted"] == cube["test_label"]).sum("test_image").astype(np.float64).where(done(cube))


def shown_seed(cube: xr.Dataset) -> int | None:
    """The seed that figures of one run show: the first that is done in most modes; None where nothing is."""
    modes = done(cube).sum("mode").values
    return int(cube["seed"].values[modes.argmax()]) if modes.max() else None


def gain(cube: xr.Dataset) -> xr.DataArray:
    """(..., seed) accuracy with hardware in the loop less that in software; NaN unless both are done."""
    accuracy = cube["accuracy"].where(done(cube))
    return accuracy.sel(mode="hil", drop=True) - accuracy.sel(mode="software", drop=True)


def advantage(cube: xr.Dataset) -> xr.Dataset:
    """The gain over seeds, which are compared in pairs.

    Returns
    -------
    Dataset over ``variation`` and ``ratio``: ``mean`` and ``half`` of the 95 % interval; ``wins``, the share of seeds
    in which hardware in the loop is better, a draw counting half, with ``low`` and ``high`` of Wilson's interval
    """
    each = gain(cube)
    mean, half = mean_interval(each)
    pairs = each.notnull().sum("seed")
    won = (each > 0).sum("seed") + 0.5 * (each == 0).sum("seed")
    share, low, high = (xr.DataArray(a, won.coords, won.dims) for a in wilson(won, pairs))
    return xr.Dataset({"mean": mean, "half": half, "wins": share, "low": low, "high": high})
