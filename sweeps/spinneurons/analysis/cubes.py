"""What every reader of a cube does first: blank the cells that are not done, and read its parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from spinsweep.reading import CubeView


def mask_unfinished(cube: xr.Dataset, *, zeros: bool = False) -> xr.Dataset:
    """The cube with cells that are not done as NaN, and without empty widths, or devices if those have the widths.

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
    elif "width" in cube.coords and cube["width"].dims == ("device",):
        cube = cube.isel(device=np.flatnonzero(done.any([d for d in done.dims if d != "device"]).values))
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


class DeviceLabel(int):
    """The number of a device, printed by its name."""

    name: str

    def __new__(cls, number: int, name: str) -> DeviceLabel:
        label = super().__new__(cls, number)
        label.name = name
        return label

    def __str__(self) -> str:
        return self.name

    def __format__(self, spec: str) -> str:
        return format(self.name, spec)


def by_width(cube: xr.Dataset) -> xr.Dataset:
    """An imported cube in the form of a simulated one, over ``width`` and ``device``: for figures and cards.

    Parameters
    ----------
    cube : any. One that was not imported comes back as it is. An imported one may have ``width`` as a coordinate of
        ``device``, further axes (``polarity``, a temperature), names of devices, and counts instead of cycles

    Returns
    -------
    Dataset in which each bar, at each value of the further axes, is a device of its width.  Widths fall.  Where all
    widths have the same devices, their names stay (:class:`DeviceLabel`); else devices of a width are counted from 0.
    The coordinate ``name`` (width, device) holds each one's own name. Counts are ``switched`` and ``valid`` along a
    ``cycle`` of two groups: those that switched, and those that did not
    """
    if "imported_from" not in cube.attrs or "device" not in cube.dims or "name" in cube.coords:
        return cube
    cube = _as_groups(cube)
    if not cube["width"].size:
        return cube if "width" in cube.dims else cube.drop_vars("width").expand_dims({"width": np.zeros(0)})
    axes = [str(d) for d in CubeView(cube).states.dims] or ["width", "device"]
    further = [d for d in axes if d not in ("width", "device") and d in cube.dims]
    if "width" in cube.dims and not further and cube["device"].dtype.kind in "iu":
        return cube
    inner = [d for d in ("width", "device", *further) if d in cube.dims]
    index = np.indices([cube.sizes[d] for d in inner]).reshape(len(inner), -1)
    width = cube["width"].values[index[0 if inner[0] == "width" else inner.index("device")]]
    names = [
        _name(cube, dict(zip(inner, index_of, strict=True)), further).removeprefix(f"{w:g}um/")
        for index_of, w in zip(index.T.tolist(), width, strict=True)
    ]
    widths = np.unique(width)[::-1]
    members = [np.flatnonzero(width == w) for w in widths]
    place = np.full((widths.size, max(m.size for m in members)), -1)
    for row, member in zip(place, members, strict=True):
        row[: member.size] = member
    picked = {
        d: xr.DataArray(along[place.clip(0)], dims=("width", "device")) for d, along in zip(inner, index, strict=True)
    }
    present = xr.DataArray(place >= 0, dims=("width", "device"))
    arranged = cube.reset_coords(drop=True).drop_vars([d for d in inner if d in cube.coords]).isel(picked)
    arranged = arranged.map(
        lambda a: _blank(a, present) if {"width", "device"} <= set(a.dims) else a, keep_attrs=True
    )
    named = np.array([[names[i] if i >= 0 else "" for i in row] for row in place], object)
    alike = all(len(set(column)) == 1 for column in named.T)
    labels = [DeviceLabel(i, named[0, i] if alike else str(i)) for i in range(place.shape[1])]
    return arranged.assign_coords(
        width=("width", widths, cube["width"].attrs),
        device=("device", np.array(labels, object), cube["device"].attrs),
        name=(("width", "device"), named),
    )


def _as_groups(cube: xr.Dataset) -> xr.Dataset:
    """Counts as the members of two groups along ``cycle``."""
    if "n_switched" not in cube or "cycle" in cube.dims:
        return cube
    switched, valid = cube["n_switched"], cube["n_valid"]
    zero = xr.zeros_like(switched)
    return cube.assign(
        switched=xr.concat([switched, zero], "cycle"), valid=xr.concat([switched, valid - switched], "cycle")
    ).assign_coords(cycle=[0, 1])


def _name(cube: xr.Dataset, index_of: dict[str, int], further: list[str]) -> str:
    parts = [str(cube["device"].values[index_of["device"]])]
    for dim in further:
        value, unit = cube[dim].values[index_of[dim]], str(cube[dim].attrs.get("units", "1"))
        if dim == "polarity":
            parts[0] += "+" if value > 0 else "−"
        else:
            parts.append(f"{dim} {value:g}{'' if unit == '1' else f' {unit}'}")
    return ", ".join(parts)


def _blank(array: xr.DataArray, present: xr.DataArray) -> xr.DataArray:
    if array.dtype.kind in "biu":
        return array.where(present, array.dtype.type(0))
    return array.where(present, "") if array.dtype.kind in "OUST" else array.where(present)
