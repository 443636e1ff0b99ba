"""Figures of the anisotropy field: Fig. S1 of the paper.  Cells that are not done are left out."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from spinneurons import style
from spinneurons.anisotropy.analysis import as_printed, width_dependence
from spinneurons.anisotropy.model import perpendicular

WIDTH = 0.7
"""Width of the bar that the paper shows, um."""


def scan(device: xr.Dataset, ax: Axes) -> Axes:
    """Readings of one device in both states, with the fit if there is one; ``device`` has no such dims.

    Dashed: the parabola that equation S2 is in the paper's print, fitted below half of the field.
    """
    field, h_an = device["h_x"].values, float(device["h_an"])
    is_fitted = bool(np.isfinite(h_an))
    for index, (state, colour) in enumerate(((1, style.VERMILION), (-1, style.BLUE))):
        text = "up" if state > 0 else "down"
        ax.plot(field, device["r"].values[index], ls="none", marker="o", ms=1.8, mew=0, color=colour, label=text)
        if not is_fitted:
            continue
        fitted = float(device["offset"]) + state * float(device["amplitude"]) * perpendicular(field, h_an)
        ax.plot(field, fitted, color="black", lw=0.7, label="fit, square root" if index == 0 else None)
    if is_fitted and (parabola := as_printed(device)) is not None:
        for state in (1, -1):
            drawn = parabola.offset + state * parabola.amplitude * (1 - (field / parabola.h_an) ** 2 / 2)
            inside = np.abs(field) < parabola.h_an
            label = f"parabola, $H_\\mathrm{{an}}$ = {parabola.h_an / 1e3:.0f} kA/m" if state > 0 else None
            ax.plot(field[inside], drawn[inside], color=style.GREEN, lw=0.7, ls="--", label=label)
    error = float(device["h_an_stderr"])
    result = f"$H_\\mathrm{{an}}$ = {h_an / 1e3:.1f} ± {error / 1e3:.1f} kA/m" if is_fitted else "no fit"
    ax.set_title(f"{style.device_text(device)}: {result}")
    style.label_axis(ax.xaxis, "In-plane field", "A/m", power=3)
    ax.set_ylabel("Hall resistance (Ω)")
    style.legend(ax)
    return ax


def scan_of_one(cube: xr.Dataset, ax: Axes) -> Axes:
    """Hall resistance in both states against the in-plane field, with its fit, and the standard error of this.

    The device is the first with a fit of the width closest to 0.7 µm; if none has a fit, the first with readings.
    """
    row = cube.isel(width=int(np.argmin(np.abs(cube["width"].values - WIDTH))))
    fitted, read = (
        np.isfinite(row["h_an"].values),
        row["r"].notnull().any([d for d in row["r"].dims if d != "device"]),
    )
    return scan(row.isel(device=int(np.argmax(fitted if fitted.any() else read.values))), ax)


def against_width(cube: xr.Dataset, ax: Axes) -> Axes:
    """Anisotropy field of every device against the width, and the mean of all; bars are 95 % intervals."""
    style.devices_against_width(
        cube, ax, cube["h_an"], 1.96 * cube["h_an_stderr"].transpose("width", "device").values
    )
    all_devices = width_dependence(cube)
    if np.isfinite(all_devices.mean):
        text = f"mean, {all_devices.mean / 1e3:.1f} ± {all_devices.mean_stderr / 1e3:.1f} kA/m"
        ax.axhline(all_devices.mean, color="black", lw=0.8, label=text)
    line = all_devices.line
    if np.isfinite(line.slope):
        slope, slope_error = line.slope / 1e3, line.slope_stderr / 1e3
        ax.set_title(f"slope {slope:.2f} ± {slope_error:.2f} kA/m per µm, p = {line.p_value:.2f}")
    style.label_axis(ax.yaxis, "Anisotropy field", "A/m", power=3)
    style.legend(ax)
    return ax


FIGURES: dict[str, style.Builder] = {"s1_anisotropy": style.figure(scan_of_one, against_width, width=style.PAGE)}
"""A device of the width closest to 0.7 um beside all of them."""
