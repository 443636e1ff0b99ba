"""Figures of the anisotropy field: Fig. S1 of the paper.  Cells that are not done are left out."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spinneurons.anisotropy.analysis import trend
from spinneurons.anisotropy.model import perpendicular
from spinneurons.device import style

WIDTH = 0.7
"""Width of the bar that the paper shows, um."""


def scan(one: xr.Dataset, ax: Axes) -> Axes:
    """Readings of one device in both states, with the fit; ``one`` has no width and device."""
    field, h_an = one["h_x"].values, float(one["h_an"])
    for index, (state, colour) in enumerate(((1, style.VERMILION), (-1, style.BLUE))):
        text = "up" if state > 0 else "down"
        ax.plot(field, one["r"].values[index], ls="none", marker="o", ms=1.8, mew=0, color=colour, label=text)
        fitted = float(one["offset"]) + state * float(one["amplitude"]) * perpendicular(field, h_an)
        ax.plot(field, fitted, color="black", lw=0.7, label="fit" if index == 0 else None)
    where = f"{style.width_text(float(one['width']))}, device {int(one['device'])}"
    error = float(one["h_an_stderr"])
    ax.set_title(f"{where}: $H_\\mathrm{{an}}$ = {h_an / 1e3:.1f} ± {error / 1e3:.1f} kA/m")
    style.label_axis(ax.xaxis, "In-plane field", "A/m", power=3)
    ax.set_ylabel("Hall resistance (Ω)")
    ax.legend(loc="center right")
    return ax


def against_width(cube: xr.Dataset, ax: Axes) -> Axes:
    """H_an of every device with its 95 % interval against the width, and the mean of all."""
    for index, device in enumerate(cube["device"].values):
        column = cube.isel(device=index)
        look = style.device_look(int(device))
        error = 1.96 * column["h_an_stderr"].values
        bars: dict[str, Any] = {"ls": "none", "mfc": "none", "elinewidth": 0.6, "capsize": 1.2, "capthick": 0.6}
        ax.errorbar(cube["width"].values, column["h_an"].values, error, **bars, **look, label=f"device {device}")
    found = trend(cube)
    if np.isfinite(found.mean):
        ax.axhline(
            found.mean,
            color="black",
            lw=0.8,
            label=f"mean, {found.mean / 1e3:.1f} ± {found.mean_stderr / 1e3:.1f} kA/m",
        )
    if np.isfinite(found.slope):
        slope, slope_error = found.slope / 1e3, found.slope_stderr / 1e3
        ax.set_title(f"slope {slope:.2f} ± {slope_error:.2f} kA/m per µm, p = {found.p_value:.2f}")
    low, high = ax.get_ylim()
    ax.set_ylim(low - 0.1 * (high - low), high + 0.5 * (high - low))
    ax.set_xlim(0, 1.06 * cube["width"].values.max())
    style.label_axis(ax.yaxis, "Anisotropy field", "A/m", power=3)
    ax.set_xlabel("Bar width (µm)")
    ax.legend(loc="upper center", ncols=3, columnspacing=1.0, handletextpad=0.4)
    return ax


def s1_anisotropy(cube: xr.Dataset) -> Figure:
    """A device of the width closest to 0.7 um beside all of them."""
    cube = style.mask_unfinished(cube)
    figure = style.new_figure(style.PAGE, 65 * style.MM)
    left, right = figure.subplots(1, 2)
    if not cube.sizes["width"]:
        style.note(left, "no cell is done yet")
        right.set_axis_off()
        return figure
    row = cube.isel(width=int(np.argmin(np.abs(cube["width"].values - WIDTH))))
    fitted = np.isfinite(row["h_an"].values)
    if fitted.any():
        scan(row.isel(device=int(np.argmax(fitted))), left)
    else:
        style.note(left, "no device of this width has a fit")
    against_width(cube, right)
    return figure


FIGURES: dict[str, style.Builder] = {"s1_anisotropy": style.styled(s1_anisotropy)}
