"""Figure of the persistence: Fig. S4 of the paper.  Devices without both days done are left out."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from spinneurons import style
from spinneurons.analysis.cubes import first_device, parameters
from spinneurons.analysis.intervals import wilson
from spinneurons.neurons.cubes import law
from spinneurons.neurons.registry import family_of
from spinneurons.persistence.analysis import drift_percent


def curves(cube: xr.Dataset, ax: Axes, width: float | None = None, device: int | None = None) -> Axes:
    """Switching curves of one device on its first and last day, with their fits.

    Points are shares of valid cycles, and bars Wilson's 95 % intervals.  The device is the first of the narrowest
    width with a fit on both days, or, if none has, with counts on both.

    Parameters
    ----------
    width, device : take that width (um) and label instead
    """
    cube = _first_and_last_day(cube)
    counted = (cube["trials"].sum("current") > 0).all("day").sortby("width")
    fitted = cube["i_bias"].notnull().all("day").sortby("width")
    labels = first_device(fitted, width, device) or first_device(counted, width, device)
    if labels is None:
        return style.note(ax, "no device measured on both days")
    chosen = cube.sel(labels)
    for index, (colour, marker) in enumerate(zip(style.COLOURS[:2], style.MARKERS[:2], strict=True)):
        row = chosen.isel(day=index)
        current, n = row["i_write"].values, row["trials"].values
        seen = np.isfinite(current) & (n > 0)
        p, low, high = wilson(row["switches"].values[seen], n[seen])
        look: dict[str, Any] = {"color": colour, "marker": marker, "mfc": "none" if index else colour}
        look["label"] = f"day {int(row['day'])}"
        ax.errorbar(current[seen], p, (p - low, high - p), ls="none", ms=2.6, mew=0.6, elinewidth=0.5, **look)
        fine = np.linspace(current[seen].min(), current[seen].max(), 300)
        if np.isfinite(float(row["i_bias"]) * float(row["i0"])):
            p_fit = law(chosen).probability((fine - float(row["i_bias"])) / float(row["i0"]))
            ax.plot(fine, p_fit, color=colour, ls="--" if index else "-")
    change, error = (float(v) for v in drift_percent(chosen))
    result = f"{change:+.2f} ± {error:.2f} %".replace("-", "−") if np.isfinite(change) else "no fit on both days"
    ax.set_title(f"{style.device_text(chosen)}: {result}")
    style.switching_axis(ax)
    style.label_axis(ax.xaxis, "Write current", "A", style.current_power(cube))
    ax.set_ylabel("Switching probability")
    style.legend(ax)
    return ax


def drifts(cube: xr.Dataset, ax: Axes) -> Axes:
    """Change of the bias current of each device; bars are one standard error of the fits.

    Dotted lines are one standard deviation of the card's drift.  Where the bars are as long as the points are far
    from zero, the fit's own error explains the change.
    """
    cube = _first_and_last_day(cube)
    days = cube["day"].values
    change, error = drift_percent(cube)
    style.devices_by_width(cube, ax, change, error)
    ax.axhline(0, color="black", lw=0.6)
    card = parameters(cube).get("card")
    if card is not None:
        sd = 100 * family_of(card).drift_deviation(float(days[-1] - days[0]))
        for sign, label in ((-1, None), (1, f"± drift s.d., {sd:.2g} %")):
            ax.axhline(sign * sd, color=style.GREY, ls=":", lw=0.8, label=label)
    with np.errstate(invalid="ignore"):
        beyond = int(np.sum(np.abs(change.values) > 2 * error.values))
    title = f"{beyond} of {int(np.isfinite(change.values).sum())} devices beyond two standard errors"
    measured = (cube["trials"].sum("current") > 0).all("day")
    if missing := int((measured & change.isnull()).sum()):
        title += f"; {missing} without a fit on both days"
    ax.set_title(title)
    margin = 1.1 * float(np.nanmax(np.abs(change.values) + error.values, initial=0.1))
    ax.set(ylim=(-margin, margin), ylabel=f"Change of bias current in {days[-1] - days[0]} days (%)")
    style.legend(ax, by_label=True)  # devices first
    return ax


def _first_and_last_day(cube: xr.Dataset) -> xr.Dataset:
    order = np.argsort(cube["day"].values, kind="stable")
    return cube.isel(day=[int(order[0]), int(order[-1])])


def _not_two_days(cube: xr.Dataset) -> str:
    two = cube.sizes["width"] and cube.sizes["day"] > 1
    counted = two and (_first_and_last_day(cube)["trials"].sum("current") > 0).all("day").any()
    return "" if counted else "no device is done on two days yet"


FIGURES: dict[str, style.Builder] = {
    "s4_persistence": style.figure(curves, drifts, width=style.PAGE, ratios=(1, 1.25), empty=_not_two_days)
}
"""Curves of one device on both days beside the drift of all devices."""
