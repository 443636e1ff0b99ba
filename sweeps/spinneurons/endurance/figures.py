"""Figure of the endurance: Fig. S5 of the paper.  Cells that are not done are left out."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spinneurons.device import style

Floats = npt.NDArray[np.float64]

SPANS = (100, 1000)
"""Cycles of the two moving averages."""


def moving_average(switched: npt.ArrayLike, span: int) -> Floats:
    """Mean of each ``span`` successive entries, (m - span + 1,) float64; empty if there are fewer."""
    total = np.concatenate([[0.0], np.cumsum(np.asarray(switched, dtype=np.float64))])
    return np.asarray((total[span:] - total[:-span]) / span) if total.size > span else np.empty(0)


def moving_averages(cube: xr.Dataset, ax: Axes, width: float | None = None, device: int | None = None) -> Axes:
    """Moving averages of one device over its valid cycles, with the 95 % bands of a fair coin about 50 %.

    The device is the one of that ``width`` (um) and label, or the first with valid cycles.
    """
    cube = style.mask_unfinished(cube, zeros=True)
    for w, d in np.ndindex(cube.sizes["width"], cube.sizes["device"]):
        one = cube.isel(width=w, device=d)
        asked = (width is None or np.isclose(float(one["width"]), width)) and device in (
            None,
            int(one["device"]),
        )
        if asked and one["valid"].any():
            break
    else:
        return style.note(ax, "no device with valid cycles")
    valid = one["valid"].values
    switched, cycle = one["switched"].values[valid], one["cycle"].values[valid]
    for span, colour, lw in zip(SPANS, (style.SKY, style.BLUE), (0.4, 1.0), strict=True):
        average = moving_average(switched, span)
        if average.size:
            ax.plot(cycle[span - 1 :], average, color=colour, lw=lw, label=f"mean of {span} cycles")
            half = 1.96 * np.sqrt(0.25 / span)
            ax.axhspan(0.5 - half, 0.5 + half, color="#EEEEEE" if span == SPANS[0] else "#DCDCDC", lw=0, zorder=0)
    ax.axhline(0.5, color="black", ls="--", lw=0.7)
    p, error = 100 * float(one["p"]), 100 * float(one["p_stderr"])
    where = f"{style.width_text(float(one['width']))}, device {int(one['device'])}"
    current = style.current_text(float(one["i_write"]))
    ax.set_title(f"{where}, {current}: {int(switched.sum())} of {switched.size}, {p:.1f} ± {error:.1f} %")
    ax.set_xlim(cycle.min(), cycle.max() + 1)
    ax.set_ylim(0.25, 0.8)
    ax.set_yticks([0.3, 0.4, 0.5, 0.6, 0.7])
    ax.set_xlabel("Cycle")
    ax.set_ylabel("Switching probability")
    if switched.size >= min(SPANS):
        ax.legend(loc="upper right", ncols=2, title="bands: 95 % of a fair coin")
    return ax


def all_devices(cube: xr.Dataset, ax: Axes) -> Axes:
    """Switching probability of each device over all its cycles with its standard error, and the expected
    band."""
    cube = style.mask_unfinished(cube, zeros=True)
    widths = cube["width"].values
    count = cube.sizes["device"]
    for index, device in enumerate(cube["device"].values):
        x = np.arange(widths.size) + 0.16 * (index - (count - 1) / 2)
        p, error = (cube[name].isel(device=index).values for name in ("p", "p_stderr"))
        ax.errorbar(
            x,
            p,
            error,
            ls="none",
            elinewidth=0.6,
            ms=2.4,
            mew=0,
            label=f"device {device}",
            **style.device_look(int(device)),
        )
    cycles = cube["valid"].sum("cycle").max()
    half = 1.96 * np.sqrt(0.25 / max(float(cycles), 1.0))
    ax.axhspan(0.5 - half, 0.5 + half, color="#EEEEEE", lw=0, zorder=0)
    ax.axhline(0.5, color="black", ls="--", lw=0.7)
    reach = max(3 * half, 1.15 * float(np.nanmax(np.abs(cube["p"] - 0.5) + cube["p_stderr"])))
    ax.set_ylim(0.5 - reach, 0.5 + 1.5 * reach)
    ax.set_xlim(-0.6, widths.size - 0.4)
    ax.set_xticks(range(widths.size), [f"{w:g}" for w in widths])
    ax.tick_params(axis="x", length=0)
    ax.set_xlabel("Bar width (µm)")
    ax.set_ylabel("Switching probability")
    ax.legend(loc="upper center", ncols=2, columnspacing=1.2, handletextpad=0.2)
    return ax


def s5_endurance(cube: xr.Dataset) -> Figure:
    """Moving averages of one device beside the overall probability of all devices."""
    figure = style.new_figure(style.PAGE, 65 * style.MM)
    left, right = figure.subplots(1, 2, width_ratios=[1.25, 1])
    if style.mask_unfinished(cube, zeros=True).sizes["width"] == 0:
        style.note(left, "no cell is done yet")
        right.set_axis_off()
        return figure
    moving_averages(cube, left)
    all_devices(cube, right)
    return figure


FIGURES: dict[str, style.Builder] = {"s5_endurance": style.styled(s5_endurance)}
