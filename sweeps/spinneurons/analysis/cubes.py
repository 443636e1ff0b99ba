"""What every reader of a cube does first: blank the cells that are not done, and read its parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from spinsweep.reading import CubeView


def mask_unfinished(cube: xr.Dataset, *, zeros: bool = False) -> xr.Dataset:
    """The cube with cells that are not done as NaN, and without empty widths.

    Parameters
    ----------
    cube : of any axes, those of its ``cell_state``; one with a ``width`` loses the widths of which no cell is done
    zeros : see :meth:`spinsweep.CubeView.finished`

    Returns
    -------
    Dataset; what :meth:`spinsweep.CubeView.finished` gives of the widths that are left
    """
    done = CubeView(cube).done
    if "width" in done.dims:
        cube = cube.isel(width=np.flatnonzero(done.any([d for d in done.dims if d != "width"]).values))
    return CubeView(cube).finished(zeros=zeros)


def parameters(cube: xr.Dataset) -> dict[str, Any]:
    """The sweep's parameters."""
    return CubeView(cube).parameters


def first_device(
    good: xr.DataArray, width: float | None = None, device: int | None = None
) -> dict[str, float | int] | None:
    """Labels of the first device that is ``good``, in the order of the array; None if there is no such device.

    Parameters
    ----------
    good : (width, device) bool
    width, device : take that width (um) or device only
    """
    good = good.transpose("width", "device")
    for w, d in np.argwhere(good.values):
        labels = {"width": float(good["width"][w]), "device": int(good["device"][d])}
        if (width is None or np.isclose(labels["width"], width)) and device in (None, labels["device"]):
            return labels
    return None
