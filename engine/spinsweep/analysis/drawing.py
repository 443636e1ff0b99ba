"""The four kinds of panels that show one output: lines with bands, a heat map, points with intervals, replicates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh

from spinsweep.analysis.design import Design, FigureLayout, is_numeric, text_of
from spinsweep.analysis.look import COLOURS, GREY, MARKERS, shades
from spinsweep.analysis.scales import AxisLabel, axis_of, is_even, set_scale, title_of

HOLLOW: dict[str, Any] = {"mfc": "white"}
"""Of a point that lacks some of its replicates."""
MOST_DOTS = 40
"""Replicates that are drawn as dots behind their mean."""
TICKS = 6
"""Names along one side of a panel at most."""


@dataclass(frozen=True)
class OutputPanels:
    """What all panels of one figure have in common."""

    values: xr.DataArray
    """(*axes, *inner dims), NaN where there is no number."""
    estimates: xr.Dataset
    design: Design
    layout: FigureLayout
    quantity: AxisLabel
    limits: tuple[float, float]
    """Smallest and largest of what is drawn, in the output's unit."""
    over_zero: bool
    """Whether the output lies on both sides of zero."""

    @property
    def series(self) -> list[int]:
        """Indices along the dim of colours; one where there is none."""
        return list(range(self.values.sizes[self.layout.colour])) if self.layout.colour else [0]

    def look(self, index: int) -> dict[str, Any]:
        """Colour, marker and label of one series."""
        dim = self.layout.colour
        if not dim:
            return {"color": COLOURS[0], "marker": MARKERS[0]}
        texts = self.values[dim].values
        ordered = is_numeric(self.values, dim)
        colour = shades(len(texts))[int(np.argsort(np.argsort(texts))[index])] if ordered else COLOURS[index]
        return {"color": colour, "marker": MARKERS[index % len(MARKERS)], "label": text_of(texts[index])}

    def one(self, index: int) -> dict[Any, int]:
        """Selector of one series."""
        return {self.layout.colour: index} if self.layout.colour else {}


def lines(ax: Axes, shown: OutputPanels, panel: dict[Any, int]) -> None:
    """A line of means with the band of their intervals for each series; crosses below where nothing is done."""
    quantity, positions = axis_of(shown.values, shown.layout.x)
    order = np.argsort(positions)
    for index in shown.series:
        here = shown.estimates.isel({**panel, **shown.one(index)}).transpose(shown.layout.x)
        x = positions[order]
        mean, low, high = (here[n].values[order] / shown.quantity.factor for n in ("mean", "low", "high"))
        partly, look = here["missing"].values[order] > 0, shown.look(index)
        ax.fill_between(x, low, high, color=look["color"], alpha=0.22, lw=0, zorder=1)
        every = {**look, "marker": look["marker"] if x.size <= 60 else ""}
        ax.plot(x, mean, **every, mew=0.7, zorder=3)
        if partly.any() and x.size <= 60:
            ax.plot(x[partly], mean[partly], ls="none", **{**look, "label": None}, **HOLLOW, mew=0.7, zorder=4)
        nothing = ~np.isfinite(mean)
        if nothing.any():
            below: dict[str, Any] = {"transform": ax.get_xaxis_transform(), "clip_on": False, "zorder": 5}
            height = 0.03 + 0.035 * index
            ax.plot(x[nothing], np.full(nothing.sum(), height), "x", color=look["color"], ms=2.6, mew=0.7, **below)
    if shown.over_zero:
        ax.axhline(0, color=GREY, lw=0.5, zorder=0)
    set_scale(ax, positions)
    ax.set_xlabel(quantity.label)
    _limit(ax.set_ylim, shown)


def replicates(ax: Axes, shown: OutputPanels, panel: dict[Any, int]) -> None:
    """Each replicate as a dot, and their mean with the band of its interval."""
    inner = [d for d in shown.design.replicates if d != shown.layout.x]
    here = shown.values.isel(panel).mean(inner) if inner else shown.values.isel(panel)
    here = here.transpose(shown.layout.x) / shown.quantity.factor
    place = np.arange(here.size)
    mean, low, high = (float(shown.estimates.isel(panel)[n]) / shown.quantity.factor for n in ("mean", "low", "high"))
    ax.axhspan(low, high, color=COLOURS[0], alpha=0.22, lw=0)
    ax.axhline(mean, color=COLOURS[0])
    ax.plot(place, here.values, ls="none", marker="o", color=COLOURS[0], alpha=0.7, mew=0)
    nothing = ~np.isfinite(here.values)
    ax.plot(place[nothing], np.full(nothing.sum(), 0.04), "x", color=GREY, ms=3, transform=ax.get_xaxis_transform())
    _names(ax.set_xticks, shown.values[shown.layout.x].values)
    ax.set_xlabel(title_of(shown.values, shown.layout.x))


def points(ax: Axes, shown: OutputPanels, panel: dict[Any, int]) -> None:
    """A mean with its interval beside each name, and the replicates as dots behind it."""
    rows, count = np.arange(shown.values.sizes[shown.layout.x]), len(shown.series)
    apart = 0.0 if count == 1 else min(0.18, 0.7 / count)
    for index in shown.series:
        one_series = {**panel, **shown.one(index)}
        here = shown.estimates.isel(one_series).transpose(shown.layout.x)
        mean, low, high = (here[n].values / shown.quantity.factor for n in ("mean", "low", "high"))
        y, look = rows + apart * (index - (count - 1) / 2), shown.look(index)
        if not shown.values.attrs["is_share"]:
            dots = shown.values.isel(one_series).transpose(shown.layout.x, ...).values.reshape(rows.size, -1)
            if 1 < dots.shape[1] <= MOST_DOTS:
                places = np.broadcast_to(y[:, None], dots.shape)
                ax.plot(dots / shown.quantity.factor, places, ls="none", marker=".", color=look["color"], ms=4,
                        mew=0, alpha=0.35)  # fmt: skip
        arms = np.nan_to_num(np.stack([mean - low, high - mean]))
        ax.errorbar(mean, y, xerr=arms, ls="none", elinewidth=0.9, capsize=1.6, mew=0.7, ms=3.6, **look)
        partly = here["missing"].values > 0
        ax.plot(mean[partly], y[partly], ls="none", **{**look, "label": None}, **HOLLOW, mew=0.7, ms=3.6, zorder=4)
        nothing = ~np.isfinite(mean)
        ax.plot(np.full(nothing.sum(), 0.02), y[nothing], "x", color=look["color"], ms=2.6, mew=0.7,
                transform=ax.get_yaxis_transform())  # fmt: skip
    names = [text_of(v) for v in shown.values[shown.layout.x].values]
    ax.set_yticks(rows, [n if len(n) <= 24 else f"{n[:23]}…" for n in names])
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(rows.size - 0.5, -0.5)
    ax.set_ylabel(title_of(shown.values, shown.layout.x))
    ax.grid(axis="x", lw=0.3, color="0.85")
    ax.set_axisbelow(True)
    if shown.over_zero:
        ax.axvline(0, color=GREY, lw=0.5, zorder=0)
    _limit(ax.set_xlim, shown)


def heat_map(ax: Axes, shown: OutputPanels, panel: dict[Any, int]) -> QuadMesh:
    """The mean as a colour; hatched where nothing is done, with a dot where some replicates are missing."""
    x, y = shown.layout.x, shown.layout.y
    here = shown.estimates.isel(panel).transpose(y, x)
    orders = [np.argsort(shown.values[d].values) for d in (y, x)]
    mean, missing, count = (here[n].values[np.ix_(*orders)] for n in ("mean", "missing", "count"))
    low, high = (limit / shown.quantity.factor for limit in shown.limits)
    if shown.over_zero:
        low, high = -max(-low, high), max(-low, high)
    ax.patch.set(facecolor="0.93", hatch="//////", edgecolor="0.72", linewidth=0)
    colours = "RdBu_r" if shown.over_zero else "viridis"
    mesh = ax.pcolormesh(np.ma.masked_invalid(mean / shown.quantity.factor), cmap=colours, vmin=low, vmax=high,
                         rasterized=mean.size > 2500)  # fmt: skip
    rows, columns = np.nonzero((missing > 0) & (count > 0))
    ax.plot(columns + 0.5, rows + 0.5, ls="none", marker="o", ms=2, mfc="white", mec="black", mew=0.4)
    sides = (x, orders[1], ax.set_xticks, ax.set_xlabel), (y, orders[0], ax.set_yticks, ax.set_ylabel)
    for dim, order, ticks, label in sides:
        quantity, numbers = axis_of(shown.values, dim)
        label(quantity.label if is_even(numbers) else f"{quantity.label}, not to scale")
        _names(ticks, numbers[order], 0.5)
    ax.tick_params(length=0)
    return mesh


def _names(set_ticks: Any, values: npt.NDArray[Any], shift: float = 0.0) -> None:
    """Ticks with values of a dim at 0, 1, ..., as many as have room."""
    places = np.arange(0, values.size, -(-values.size // TICKS))
    set_ticks(places + shift, [text_of(values[p]) for p in places])


def _limit(set_limits: Any, shown: OutputPanels) -> None:
    """Limits that hold what is drawn in all panels; of a share no more than 0 to 1 has."""
    low, high = (limit / shown.quantity.factor for limit in shown.limits)
    room = 0.06 * (high - low) or 0.1 * abs(high) or 1.0
    if shown.values.attrs["is_share"]:
        set_limits(max(low - room, -0.03), min(high + room, 1.03))
    else:
        set_limits(low - room, high + room)


def extremes(*arrays: npt.ArrayLike) -> tuple[float, float]:
    """Smallest and largest finite number of some arrays; (0, 1) if there is none."""
    every = np.concatenate([np.ravel(np.asarray(a, np.float64)) for a in arrays])
    finite = every[np.isfinite(every)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
