"""Figure of the persistence: Fig. S4 of the paper, of a sweep or of two characterizations.

Devices without both days done are left out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from spinneurons import style
from spinneurons.analysis.cubes import first_device, parameters
from spinneurons.neurons.cubes import law
from spinneurons.neurons.registry import family_of
from spinneurons.persistence.analysis import change, first_and_last, mean_drift
from spinsweep.analysis.intervals import wilson


def curves(cube: xr.Dataset, ax: Axes, width: float | None = None, device: int | None = None) -> Axes:
    """Switching curves of one device on its first and last day, with their fits.

    Points are shares of valid cycles, and bars Wilson's 95 % intervals.  The device is the first of the narrowest
    width with a fit on both days, or, if none has, with counts on both.

    Parameters
    ----------
    width, device : take that width (um) and label instead
    """
    cube = first_and_last(cube)
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
        look["label"] = day_text(row["day"])
        ax.errorbar(current[seen], p, (p - low, high - p), ls="none", ms=2.6, mew=0.6, elinewidth=0.5, **look)
        fine = np.linspace(current[seen].min(), current[seen].max(), 300)
        if np.isfinite(float(row["i_bias"]) * float(row["i0"])):
            p_fit = law(chosen).probability((fine - float(row["i_bias"])) / float(row["i0"]))
            ax.plot(fine, p_fit, color=colour, ls="--" if index else "-")
    changed = [float(change(chosen, "i_bias")[n]) for n in ("change", "low", "high")]
    result = percent_text(*changed) if np.isfinite(changed[0]) else "no fit on both days"
    ax.set_title(f"{style.device_text(chosen)}: {result}")
    style.switching_axis(ax)
    style.label_axis(ax.xaxis, "Write current", "A", style.current_power(cube))
    ax.set_ylabel("Switching probability")
    style.legend(ax)
    return ax


def drifts(cube: xr.Dataset, ax: Axes) -> Axes:
    """Change of the bias current of each device; bars and the band of the mean are 95 % intervals.

    Dotted lines are one standard deviation of the drift on the cube's card, if it has one.  Where the bars are as
    long as the points are far from zero, the fit's own error explains the change.
    """
    cube = first_and_last(cube)
    changes = change(cube, "i_bias")
    bars = xr.concat([changes["change"] - changes["low"], changes["high"] - changes["change"]], "end")
    style.devices_by_width(cube, ax, changes["change"], bars)
    ax.axhline(0, color="black", lw=0.6)
    mean = mean_drift(changes)
    ax.axhspan(mean.low, mean.high, color="#DDDDDD", lw=0, zorder=0, label="mean, 95 %")
    _card_drift(cube, ax)
    with np.errstate(invalid="ignore"):
        moved = int(((changes["low"] > 0) | (changes["high"] < 0)).sum())
    title = f"{moved} of {mean.devices} devices changed (95 %); mean {percent_text(mean.mean, mean.low, mean.high)}"
    measured = (cube["trials"].sum("current") > 0).all("day")
    if missing := int((measured & changes["change"].isnull()).sum()):
        title += f"\n{missing} without a fit on both days"
    ax.set_title(title)
    margin = 1.1 * float(np.nanmax(abs(changes[["low", "high"]].to_dataarray()), initial=0.1))
    ax.set(ylim=(-margin, margin), ylabel=f"Change of bias current{_elapsed(cube)} (%)")
    style.legend(ax, by_label=True)  # devices first
    return ax


def percent_text(value: float, low: float, high: float) -> str:
    """A change and its interval, such as ``+1.9 % (1.6 to 2.2)``; without an interval the change alone."""
    digits = 2 if max(abs(low), abs(high)) < 10 else 1
    interval = f" ({low:.{digits}f} to {high:.{digits}f})" if np.isfinite([low, high]).all() else ""
    return f"{value:+.{digits}f} %{interval}".replace("-", "−")


def day_text(day: xr.DataArray) -> str:
    """A day in words: its number, or the name that it has instead."""
    value = day.item()
    return value if isinstance(value, str) else f"{day.attrs.get('long_name', 'day')} {value:g}"


def _elapsed(cube: xr.Dataset) -> str:
    """How much later the last day is, in words; "" where days have names."""
    days = cube["day"].values
    if days.dtype.kind not in "iuf":
        return ""
    unit = str(cube["day"].attrs.get("long_name", "day")).removesuffix("s")
    count = float(days[-1] - days[0])
    return f" in {count:g} {unit}{'' if count == 1 else 's'}"


def _card_drift(cube: xr.Dataset, ax: Axes) -> None:
    """One standard deviation of the card's drift, where there is a card and days are days."""
    days, card = cube["day"].values, parameters(cube).get("card")
    if card is None or days.dtype.kind not in "iuf" or cube["day"].attrs.get("long_name", "day") != "day":
        return
    sd = 100 * family_of(card).drift_deviation(float(days[-1] - days[0]))
    for sign, label in ((-1, None), (1, f"± drift s.d., {sd:.2g} %")):
        ax.axhline(sign * sd, color=style.GREY, ls=":", lw=0.8, label=label)


def _not_two_days(cube: xr.Dataset) -> str:
    two = cube.sizes["width"] and cube.sizes["day"] > 1
    counted = two and (first_and_last(cube)["trials"].sum("current") > 0).all("day").any()
    return "" if counted else "no device is done on two days yet"


FIGURES: dict[str, style.Builder] = {
    "s4_persistence": style.figure(curves, drifts, width=style.PAGE, ratios=(1, 1.25), empty=_not_two_days)
}
"""Curves of one device on both days beside the drift of all devices."""
