"""What figures say of devices without a fit, and of those whose fit is bad."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from spinneurons import style
from spinneurons.characterization.fit_table import CharacterizedDevice, goodness_of
from spinneurons.characterization.goodness import BAD_FIT

NAMED = 6
"""Devices that a note names; of more, the number is said."""
LINE = 38
"""Characters of a line in a panel, a third of a page wide."""
TITLE = 56
"""Characters of a line above a figure, one column wide."""


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
            ax.plot(device.width, y, ls="none", marker="x", ms=6, mew=0.8, color="black", label=label)
    lines = [ax.get_title()] if ax.get_title() else []
    for what, names in (("without a fit", without), ("bad fit", bad)):
        if names:
            lines += wrap(f"{what}: {_names(names)}", TITLE)
    ax.set_title("\n".join(lines))


def say_in_panel(ax: Axes, words: Sequence[tuple[str, str]]) -> None:
    """Lines of text and their colours, at the upper left, where a rising curve is not."""
    look: dict[str, Any] = {"size": style.SMALL, "va": "top", "transform": ax.transAxes}
    box = {"facecolor": "white", "alpha": 0.6, "edgecolor": "none", "pad": 0.3}
    for number, (text, colour) in enumerate(words):
        ax.text(0.03, 0.84 - 0.08 * number, text, color=colour, bbox=box, **look)


def nothing_fitted(cube: xr.Dataset) -> str:
    """Why a figure of fits cannot be drawn; "" if a device has a fit."""
    if (reason := style.nothing_done(cube)) or bool(np.isfinite(cube["i_bias"]).any()):
        return reason
    devices = [f"{style.device_text(d.data)}: {mark(cube, d)}" for _, _, d in recorded(cube)]
    return "\n".join(wrap(f"no device has a fit ({_names(devices)})", TITLE))


def _names(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return "; ".join(names[:NAMED]) + more
