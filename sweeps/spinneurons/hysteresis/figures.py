"""Figures of the hysteresis loops: Fig. 1(d) and 2(b) of the paper.  Cells that are not done are left out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spinneurons.device import style
from spinneurons.linear import straight_line


def loop(one: xr.Dataset, drive: str, resistance: str, ax: Axes) -> Axes:
    """Loops of one device: the first by its points, the mean of all as a line."""
    x, r = one[drive].values, one[resistance].transpose("branch", "step", "cycle").values
    for branch, (colour, text) in enumerate(((style.VERMILION, "rising"), (style.BLUE, "falling"))):
        ax.plot(x[branch], r[branch, :, 0], ls="none", marker="o", ms=1.6, mew=0, color=colour, label=text)
        ax.plot(x[branch], r[branch].mean(axis=-1), color=colour, lw=0.8, label=f"{text}, mean")
    ax.set_ylabel("Hall resistance (Ω)")
    return ax


def half_width(cube: xr.Dataset, name: str) -> xr.DataArray:
    """(width, device) half the distance of the two mean reversals of ``name``; NaN where a branch has none."""
    mean = cube[name].mean("cycle", skipna=True).transpose("width", "device", "branch")
    distance: xr.DataArray = abs(mean.isel(branch=0) - mean.isel(branch=1))
    return distance / 2


def half_width_against_width(cube: xr.Dataset, ax: Axes) -> Axes:
    """Half-width of the current loops against the width of the bar, with the straight line."""
    widths, found = cube["width"].values, half_width(cube, "i_switch").values
    for index, device in enumerate(cube["device"].values):
        look = style.device_look(int(device))
        ax.plot(widths, found[:, index], ls="none", mfc="none", label=f"device {device}", **look)
    line = straight_line(widths[:, None], found)
    if np.isfinite(line.slope):
        fine = np.array([0.0, 1.06 * widths.max()])
        text = f"linear fit, R² = {line.r_squared:.3f}"
        ax.plot(fine, line.at(fine), color="black", lw=0.8, zorder=1, label=text)
    ax.set_xlim(0, 1.06 * widths.max())
    ax.set_ylim(0)
    style.label_axis(ax.yaxis, "Half-width of the loop", "A")
    ax.set_xlabel("Bar width (µm)")
    ax.legend(loc="lower right")
    return ax


def fig1d_field_loop(cube: xr.Dataset) -> Figure:
    """Hall resistance against the perpendicular field: the first device of the narrowest width."""

    def draw(done: xr.Dataset, ax: Axes) -> None:
        one = _device(done.sortby("width").isel(width=0))
        loop(one, "h_z", "r_field", ax)
        style.label_axis(ax.xaxis, "Perpendicular field", "A/m", power=3)
        field = one["h_switch"].values
        where = f"{style.width_text(float(one['width']))}, device {int(one['device'])}"
        centre, spread = np.nanmean(np.abs(field)) / 1e3, np.nanstd(np.abs(field)) / 1e3
        ax.set_title(f"{where}: reversal at {centre:.3g} ± {spread:.2g} kA/m (s.d.)")
        ax.legend(loc="center")

    return _single(cube, draw)


def fig2b_current_loops(cube: xr.Dataset) -> Figure:
    """Hall resistance after each write pulse: a panel for each width, its first device."""
    cube = style.mask_unfinished(cube)
    count = cube.sizes["width"]
    columns = min(3, max(count, 1))
    rows = -(-max(count, 1) // columns)
    figure = style.new_figure(style.PAGE * columns / 3 if columns > 1 else style.COLUMN, (12 + 38 * rows) * style.MM)
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    if not count:
        style.note(panels[0], "no cell is done yet")
    limit = float(np.nanmax(np.abs(cube["i_write"]))) if count else 1.0
    for index, ax in enumerate(panels):
        if index >= count:
            ax.set_axis_off()
            continue
        one = _device(cube.isel(width=index))
        loop(one, "i_write", "r_current", ax)
        ax.set_title(f"{style.width_text(float(one['width']))}, device {int(one['device'])}", loc="left", pad=3)
        ax.set_xlim(-1.02 * limit, 1.02 * limit)
        style.label_axis(ax.xaxis, "Write current", "A", power=-3)
        if index % columns:
            ax.set_ylabel("")
        if index + columns < count:
            ax.set_xlabel("")
        else:
            ax.tick_params(labelbottom=True)
    if count:
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return figure


def fig2b_width(cube: xr.Dataset) -> Figure:
    """Half-width of the current loops against the width of the bar."""
    return _single(cube, half_width_against_width)


def _device(one: xr.Dataset) -> xr.Dataset:
    """The first device of a width with a loop."""
    seen = one["i_write"].notnull().all(["branch", "step"]).values
    return one.isel(device=int(np.argmax(seen)))


def _single(cube: xr.Dataset, draw: Callable[[xr.Dataset, Axes], object]) -> Figure:
    cube = style.mask_unfinished(cube)
    figure = style.new_figure()
    ax = figure.add_subplot()
    if cube.sizes["width"]:
        draw(cube, ax)
    else:
        style.note(ax, "no cell is done yet")
    return figure


FIGURES: dict[str, style.Builder] = {
    "fig1d_field_loop": style.styled(fig1d_field_loop),
    "fig2b_current_loops": style.styled(fig2b_current_loops),
    "fig2b_width": style.styled(fig2b_width),
}
