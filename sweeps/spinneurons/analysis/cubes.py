"""What every reader of a cube does first: blank the cells that are not done, and read its parameters."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import xarray as xr


def mask_unfinished(cube: xr.Dataset, *, zeros: bool = False) -> xr.Dataset:
    """The cube with cells that are not done (``cell_state`` other than 1) as NaN, and without empty widths.

    Parameters
    ----------
    cube : of any axes, those of its ``cell_state``; one with a ``width`` loses the widths of which no cell is done
    zeros : leave booleans and integers in their own types, False and 0 where cells are not done: for code that
        counts or selects by them.  Means over them then take such cells for zeros

    Returns
    -------
    Dataset; variables over all axes of the cells are blanked, texts with "".  Booleans and integers become float64
    if any cell that is left is not done.  Other variables and the ledger (``cell_...``) are as they were, and so is
    a recording without ``cell_state``
    """
    if "cell_state" not in cube:
        return cube
    if "width" in cube["cell_state"].dims:
        some = (cube["cell_state"] == 1).any([d for d in cube["cell_state"].dims if d != "width"])
        cube = cube.isel(width=np.flatnonzero(some.values))
    done = (cube["cell_state"] == 1).compute()
    if bool(done.all()):
        return cube
    spanning = [n for n, array in cube.data_vars.items() if set(done.dims) <= set(array.dims)]
    return cube.assign({n: _blanked(cube[n], done, zeros=zeros) for n in spanning if not str(n).startswith("cell_")})


def _blanked(array: xr.DataArray, done: xr.DataArray, *, zeros: bool) -> xr.DataArray:
    """The array with nothing where ``done`` is False: NaN, "" for texts, or zero for ``zeros``."""
    if array.dtype.kind in "OUST":
        return array.where(done, "")
    if array.dtype.kind not in "biu":
        return array.where(done)
    return array.where(done, array.dtype.type(0)) if zeros else array.astype(np.float64).where(done)


def parameters(cube: xr.Dataset) -> dict[str, Any]:
    """The sweep's parameters, which the cube holds as JSON text."""
    values: dict[str, Any] = json.loads(cube.attrs.get("parameters", "{}"))
    return values


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
