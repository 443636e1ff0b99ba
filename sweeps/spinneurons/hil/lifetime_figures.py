"""Figures of the lifetime: accuracy against weeks of use."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from spinneurons import style
from spinneurons.hil import lifetime_analysis as analysis
from spinneurons.hil.frontier_figures import LOOKS, chips_of, no_chip


def accuracy_against_weeks(cube: xr.Dataset, ax: Axes) -> Axes:
    """Accuracy of each method against the weeks since its only calibration or training, over chips.

    Parameters
    ----------
    cube : of one point
    """
    right = analysis.accuracy(cube.sortby("week"))
    weeks = right["week"].values.astype(float)
    names = [name for name in LOOKS if name in cube["method"].values]
    for place, name in enumerate(names):
        x = weeks * 1.03 ** (place - len(names) / 2)  # bars of one week do not hide each other
        style.shares_against(ax, x, right.sel({"method": name}), **LOOKS[name])
    ax.set_xscale("symlog", linthresh=1, linscale=0.4)
    ax.set_xlim(-0.3, 1.4 * weeks.max() + 1)
    ax.set_xticks(weeks, [f"{w:g}" for w in weeks])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set(xlabel="Weeks of use", ylabel="Accuracy (%)")
    return ax


def lifetime(cube: xr.Dataset, figure: Figure) -> None:
    """Accuracy against the weeks since the only calibration or training, while the devices drift.

    Points and lines are means over chips, which are the same for all methods; bars are 95 % intervals, and fewer than
    five chips are points.  A title says after how many weeks the mean has lost a point.
    """
    parts = list(chips_of(cube))
    axes = style.panels(figure, len(parts), narrowest=80 * style.MM, sharey=True)
    for ax, (title, part) in zip(axes, parts, strict=True):
        accuracy_against_weeks(part, ax)
        ax.set_title(f"{title}; {_lasts(part)}")
        ax.label_outer()
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4)


def _lasts(part: xr.Dataset) -> str:
    weeks = {name: analysis.upkeep(part, name).weeks for name in part["method"].values.tolist() if name != "none"}
    words = {name: f"{w:.0f}" if np.isfinite(w) else f"over {int(part['week'].max())}" for name, w in weeks.items()}
    return "a point lost after " + ", ".join(f"{text} weeks ({name})" for name, text in words.items())


FIGURES: dict[str, style.Builder] = {
    "lifetime": style.canvas(lifetime, style.PAGE, 62 * style.MM, no_chip, zeros=True),
}
