"""Figures of the hysteresis loops: Fig. 1(d) and 2(b) of the paper.  Cells that are not done are left out."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spinneurons import style
from spinneurons.analysis.lines import straight_line
from spinneurons.hysteresis.analysis import half_width


def loop(device: xr.Dataset, drive: str, resistance: str, ax: Axes) -> Axes:
    """Loops of one device: the first by its points, the mean of all as a line."""
    x, r = device[drive].values, device[resistance].transpose("branch", "step", "cycle").values
    for branch, (colour, text) in enumerate(((style.VERMILION, "rising"), (style.BLUE, "falling"))):
        ax.plot(x[branch], r[branch, :, 0], ls="none", marker="o", ms=1.6, mew=0, color=colour, label=text)
        ax.plot(x[branch], r[branch].mean(axis=-1), color=colour, lw=0.8, label=f"{text}, mean")
    ax.set_ylabel("Hall resistance (Ω)")
    return ax


def half_width_against_width(cube: xr.Dataset, ax: Axes) -> Axes:
    """Half-width of the current loops of every device against the width, with the straight line; no error bars."""
    half = half_width(cube, "i_switch")
    style.devices_against_width(cube, ax, half)
    line = straight_line(cube["width"].values[:, None], half.values, proportional=True)
    if np.isfinite(line.slope):
        style.line_against_width(ax, line, half.size)
    ax.set_ylim(0)
    style.label_axis(ax.yaxis, "Half-width of the loop", "A", style.current_power(cube))
    style.legend(ax)
    return ax


def field_loop(cube: xr.Dataset, ax: Axes) -> Axes:
    """Hall resistance against the perpendicular field: the first device of the narrowest width.

    Points are one loop, lines the mean of all; the reversal is given with its standard deviation over loops.
    """
    device = _first_with_loop(cube.sortby("width").isel(width=0))
    loop(device, "h_z", "r_field", ax)
    style.label_axis(ax.xaxis, "Perpendicular field", "A/m", power=3)
    field = np.abs(device["h_switch"].values) / 1e3
    reversal = f"{np.nanmean(field):.3g} ± {np.nanstd(field):.2g} kA/m (s.d.)"
    ax.set_title(f"{style.device_text(device)}: reversal at {reversal}")
    style.legend(ax)
    return ax


def current_loops(cube: xr.Dataset, figure: Figure, *, normalised: bool = False) -> None:
    """Hall resistance after each write pulse: a panel for each width, its first device.

    Points are one loop, lines the mean of all.  Where a page has no room for all widths, some are left out, evenly.
    """
    panels = style.panels_of_widths(cube, figure, 38 * style.MM, sharex=True, sharey=True)
    limit, power = float(np.nanmax(np.abs(cube["i_write"]))), style.current_power(cube)
    for ax, leftmost, lowest, widths, _ in panels:
        device = _first_with_loop(cube.isel(width=widths[0]))
        loop(_normalised(device) if normalised else device, "i_write", "r_current", ax)
        if normalised:
            ax.set_ylabel("Hall resistance (normalised)")
        ax.set_title(style.device_text(device), loc="left", pad=3)
        ax.set_xlim(-1.02 * limit, 1.02 * limit)
        style.label_axis(ax.xaxis, "Write current", "A", power)
        if not leftmost:
            ax.set_ylabel("")
        if lowest:
            ax.tick_params(labelbottom=True)
        else:
            ax.set_xlabel("")
    figure.legend(*panels[0].ax.get_legend_handles_labels(), loc="outside upper center", ncols=4)


def normalised_current_loops(cube: xr.Dataset, figure: Figure) -> None:
    """The same loops from -1 to 1: less the mean of the device's two levels, over half their distance.

    The levels are the medians of the readings above and below the middle of all.  Points are one loop, lines the mean
    of all.
    """
    current_loops(cube, figure, normalised=True)


def _normalised(device: xr.Dataset) -> xr.Dataset:
    r = device["r_current"]
    middle = (float(r.max()) + float(r.min())) / 2
    low, high = float(r.where(r < middle).median()), float(r.where(r >= middle).median())
    return device.assign(r_current=(r - (high + low) / 2) / ((high - low) / 2 or 1.0))


def _first_with_loop(device: xr.Dataset) -> xr.Dataset:
    """The first device of a width with a loop."""
    seen = device["i_write"].notnull().all(["branch", "step"]).values
    return device.isel(device=int(np.argmax(seen)))


FIGURES: dict[str, style.Builder] = {
    "fig1d_field_loop": style.figure(field_loop),
    "fig2b_current_loops": style.canvas(current_loops),
    "fig2b_normalised": style.canvas(normalised_current_loops),
    "fig2b_width": style.figure(half_width_against_width),
}
