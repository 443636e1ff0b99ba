"""Figures of the frontier: accuracy against the pulses that a method takes of each device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from spinneurons import style
from spinneurons.hil import frontier_analysis as analysis
from spinneurons.hil.analysis import done

LOOKS: dict[str, dict[str, Any]] = {
    "none": {"color": style.GREY, "label": "software alone"},
    "variation-aware": {"color": "black", "label": "variation-aware software"},
    "calibrated": {"color": style.BLUE, "marker": "o", "label": "calibrated"},
    "calibrated-i0": {"color": style.SKY, "marker": "s", "ls": "--", "label": "calibrated, and $i_0$"},
    "output-trim": {"color": style.PURPLE, "marker": "D", "label": "offsets in the loop"},
    "software-then-loop": {"color": style.ORANGE, "marker": "^", "label": "software, then in the loop"},
    "in-the-loop": {"color": style.VERMILION, "marker": "v", "label": "in the loop"},
    "in-the-loop-calibrated": {"color": style.GREEN, "marker": "P", "label": "in the loop, calibrated"},
}
FREE = ("none", "variation-aware")
"""Methods that take no pulses."""


def chips_of(cube: xr.Dataset) -> Iterator[tuple[str, xr.Dataset]]:
    """The cube at each point of its chips, with a title."""
    names = [name for name in analysis.POINT if name in cube.dims]
    for values in product(*(cube[name].values.tolist() for name in names)):
        point = dict(zip(names, values, strict=True))
        yield _title(point), cube.sel(point)


def _title(point: Mapping[str, Any]) -> str:
    parts = [str(point["layers"])] if "layers" in point else []
    parts += [style.width_text(point["width"])] if "width" in point else []
    parts += [f"{style.RATIO} = {point['ratio']:g}"] if "ratio" in point else []
    parts += [f"±{100 * point['variation']:g} %"]
    parts += [f"{style.I_0} ±{100 * point['i0_variation']:g} %"] if point.get("i0_variation") else []
    return ", ".join(parts)


def accuracy_against_pulses(cube: xr.Dataset, ax: Axes, looks: Mapping[str, dict[str, Any]] = LOOKS) -> Axes:
    """Accuracy of each method against the pulses that it takes of each device, over chips.

    Parameters
    ----------
    cube : of one point
    looks : of the methods to show, in their order
    """
    right, spent = analysis.accuracy(cube), analysis.used(cube)
    names = [name for name in looks if name in cube["method"].values]
    for place, name in enumerate(names):
        shares = right.sel({"method": name})
        if name in FREE:
            style.share_curve(ax, cube["pulses"].values, shares, looks[name]["color"], looks[name]["label"])
            continue
        x, first = np.unique(spent.sel({"method": name}).values, return_index=True)
        places = x * 1.02 ** (place - len(names) / 2)  # bars of one budget do not hide each other
        style.shares_against(ax, places, shares.isel(pulses=first), **looks[name])
    ax.set_xscale("symlog", linthresh=20, linscale=0.4)
    ax.set_xlim(-4, 1.4 * float(cube["pulses"].max()) + 20)
    ticks = [t for t in (0, 100, 1000, 10_000, 100_000, 1_000_000) if t <= cube["pulses"].max()]
    ax.set_xticks(ticks, [f"{t:,}" for t in ticks])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set(xlabel="Pulses of each device", ylabel="Accuracy (%)")
    return ax


def frontier(cube: xr.Dataset, figure: Figure) -> None:
    """Accuracy of each method against the write pulses that calibration and training take of each device.

    Points and lines are means over chips, which are the same for all methods; bars and bands are 95 % intervals, and
    fewer than five chips are points.
    """
    parts = list(chips_of(cube))
    axes = style.panels(figure, len(parts), narrowest=80 * style.MM, sharey=True)
    for ax, (title, part) in zip(axes, parts, strict=True):
        accuracy_against_pulses(part, ax)
        ax.set_title(title)
        ax.label_outer()
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4)


def no_chip(cube: xr.Dataset) -> str:
    """Why nothing can be drawn; empty where something can."""
    return "" if bool(done(cube).any()) else "no chip is done yet"


FIGURES: dict[str, style.Builder] = {
    "frontier": style.canvas(frontier, style.PAGE, 62 * style.MM, no_chip, zeros=True),
}
