"""What figures say of devices without a fit, and of those whose fit is bad."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from spinneurons import style
from spinneurons.characterization.fit_table import CharacterizedDevice, goodness_of
from spinneurons.characterization.goodness import BAD_FIT

NAMED = 6
"""Devices that a note names; of more, the number is said. The caption names all."""
IN_PANEL = 4
"""The same in a panel, which is narrow."""


def recorded(cube: xr.Dataset) -> list[tuple[int, int, CharacterizedDevice]]:
    """Position and device of all that are done in a cube that is blank elsewhere, in the order of the cube."""
    seen = (cube["fit_status"] != 0) | cube["valid"].any(["current", "cycle"])
    devices = []
    for w, d in np.argwhere(seen.transpose("width", "device").values).tolist():
        one = cube.isel(width=w, device=d)
        devices.append((w, d, CharacterizedDevice.of(one)))
    return devices


def mark(cube: xr.Dataset, device: CharacterizedDevice) -> str:
    """Words for a panel: why a device has no curve, or that its curve is a bad fit; "" for a good one."""
    if device.status != "fitted":
        return device.status_text
    quality = goodness_of(cube, device)
    return f"bad fit, p = {quality.p_value:.1g}" if quality and quality.is_bad else ""


def note_devices(cube: xr.Dataset, ax: Axes, values: xr.DataArray | None = None) -> None:
    """Say above the axes which devices have no fit or a bad one, and cross out the ``values`` of the latter.

    Nothing is said where all fits are good.
    """
    without: list[str] = []
    bad: list[str] = []
    for w, d, device in recorded(cube):
        words = mark(cube, device)
        if not words:
            continue
        (bad if device.status == "fitted" else without).append(style.device_text(device.data))
        if device.status == "fitted" and values is not None:
            y = float(values.transpose("width", "device")[w, d])
            label = None if len(bad) > 1 else f"bad fit, p < {BAD_FIT:g}"
            ax.plot(
                style.device_position(cube, w, d), y, ls="none", marker="x", ms=6, mew=0.8, color="black", label=label
            )
    lines = [ax.get_title()] if ax.get_title() else []
    for what, names in (("without a fit", without), ("bad fit", bad)):
        if names:
            lines.append(f"{what}: {shortened(names, NAMED)}")
    ax.set_title("\n".join(lines))


def nothing_fitted(cube: xr.Dataset) -> str:
    """Why a figure of fits cannot be drawn; "" if a device has a fit."""
    if (reason := style.nothing_done(cube)) or bool(np.isfinite(cube["i_bias"]).any()):
        return reason
    devices = [f"{style.device_text(d.data)}: {mark(cube, d)}" for _, _, d in recorded(cube)]
    return f"no device has a fit ({shortened(devices, NAMED)})"


def remarks(cube: xr.Dataset) -> Iterator[str]:
    """Paragraphs of a caption: every device without a fit, and every bad fit."""
    marked = [(style.device_text(d.data), d.status == "fitted", mark(cube, d)) for _, _, d in recorded(cube)]
    for what, is_fitted in (("Without a fit", False), ("Bad fits", True)):
        if named := [f"{name} ({words})" for name, fitted, words in marked if words and fitted is is_fitted]:
            yield f"{what}, {len(named)} of {len(marked)} devices: {'; '.join(named)}."


def shortened(names: list[str], most: int, between: str = "; ") -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return between.join(names[:most]) + more
