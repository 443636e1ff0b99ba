"""Figure of the endurance: Fig. S5 of the paper.  Cells that are not done are left out."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xarray as xr
from matplotlib.axes import Axes

from spinneurons import style
from spinneurons.analysis.cubes import first_device
from spinneurons.analysis.intervals import share, wilson

Floats = npt.NDArray[np.float64]

SPANS = (100, 1000)
"""Cycles of the two moving averages."""


def moving_average(switched: npt.ArrayLike, span: int) -> Floats:
    """Mean of each ``span`` successive entries, (m - span + 1,) float64; empty if there are fewer."""
    total = np.concatenate([[0.0], np.cumsum(np.asarray(switched, dtype=np.float64))])
    return np.asarray((total[span:] - total[:-span]) / span) if total.size > span else np.empty(0)


def moving_averages(cube: xr.Dataset, ax: Axes, width: float | None = None, device: int | None = None) -> Axes:
    """Moving averages of one device, the first with valid cycles, over these, and 95 % bands of a fair coin.

    Parameters
    ----------
    width, device : take that width (um) and label instead
    """
    labels = first_device(cube["valid"].any("cycle"), width, device)
    if labels is None:
        return style.note(ax, "no device with valid cycles")
    chosen = cube.sel(labels)
    valid = chosen["valid"].values
    switched, cycle = chosen["switched"].values[valid], chosen["cycle"].values[valid]
    for span, colour, lw in zip(SPANS, (style.SKY, style.BLUE), (0.4, 1.0), strict=True):
        average = moving_average(switched, span)
        if average.size:
            ax.plot(cycle[span - 1 :], average, color=colour, lw=lw, label=f"mean of {span} cycles")
            half = 1.96 * np.sqrt(0.25 / span)
            ax.axhspan(0.5 - half, 0.5 + half, color="#EEEEEE" if span == SPANS[0] else "#DCDCDC", lw=0, zorder=0)
    ax.axhline(0.5, color="black", ls="--", lw=0.7)
    p, low, high = (100 * float(v) for v in wilson(switched.sum(), switched.size))
    current = style.si_text(float(chosen["i_write"]), "A", style.current_power(cube))
    counts = f"{int(switched.sum())} of {switched.size}, {p:.1f} % ({low:.1f} to {high:.1f})"
    ax.set(title=f"{style.device_text(chosen)}, {current}: {counts}", xlim=(cycle.min(), cycle.max() + 1))
    averages = np.concatenate([line.get_ydata() for line in ax.lines])
    ax.set_ylim(min(0.25, averages.min() - 0.05), max(0.75, averages.max() + 0.05))
    ax.set(xlabel="Cycle", ylabel="Switching probability")
    if switched.size >= min(SPANS):
        style.legend(ax, title="bands: 95 % of a fair coin")
    return ax


def all_devices(cube: xr.Dataset, ax: Axes) -> Axes:
    """Switching probability of each device over all its cycles.

    Bars are Wilson's 95 % intervals; the band holds 95 % of fair coins.
    """
    valid = cube["valid"].sum("cycle")
    p = share((cube["switched"] & cube["valid"]).sum("cycle"), valid)
    bars = xr.concat([p["share"] - p["low"], p["high"] - p["share"]], "end")
    style.devices_by_width(cube, ax, p["share"], bars)
    half = 1.96 * np.sqrt(0.25 / max(float(valid.max()), 1.0))
    ax.axhspan(0.5 - half, 0.5 + half, color="#EEEEEE", lw=0, zorder=0)
    ax.axhline(0.5, color="black", ls="--", lw=0.7)
    margin = max(3 * half, 1.15 * float(abs(p[["low", "high"]].to_dataarray() - 0.5).max()))
    ax.set(ylim=(0.5 - margin, 0.5 + margin), ylabel="Switching probability")
    style.legend(ax)
    return ax


FIGURES: dict[str, style.Builder] = {
    "s5_endurance": style.figure(moving_averages, all_devices, width=style.PAGE, ratios=(1.25, 1), zeros=True)
}
"""Moving averages of one device beside the overall probability of all devices."""
