"""Shares of several chips or seeds: a mean with its interval, or each by itself where there are few."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from matplotlib.axes import Axes

from spinsweep.analysis.intervals import mean_interval

FEW = 5
"""Shares of which each is drawn where there are fewer."""


def shares_against(ax: Axes, x: npt.ArrayLike, shares: xr.DataArray, dim: str = "seed", **look: Any) -> None:
    """Mean of shares over ``dim``, in percent, at each ``x``; a look is that of ``Axes.errorbar``.

    Bars are 95 % intervals, within 0 to 100 %.  Where there are fewer than ``FEW`` shares, each is a point instead:
    an interval of so few is mostly the doubt about their spread.

    Parameters
    ----------
    shares : (n, dim) from 0 to 1; NaN is left out
    """
    places, percent = np.asarray(x, float), 100 * shares.transpose(..., dim)
    interval = mean_interval(percent, dim)
    mean, ends = interval.mean.values, interval.within(0, 100)
    few = percent.notnull().sum(dim).values < FEW
    bars = np.where(few, np.nan, np.stack([mean - ends[0].values, ends[1].values - mean]))
    ax.errorbar(
        places, mean, bars, **{"capsize": 1.5, "elinewidth": 0.6} | look, markevery=np.flatnonzero(~few).tolist()
    )
    points = {k: v for k, v in look.items() if k in ("color", "marker", "ms")}
    alone = np.broadcast_to(places[:, None], percent.shape)[few].ravel()
    ax.plot(alone, percent.values[few].ravel(), ls="none", mfc="none", mew=0.6, **points)


def share_curve(ax: Axes, x: npt.ArrayLike, shares: xr.DataArray, colour: Any, label: str = "") -> None:
    """Mean curve of shares over seeds, in percent, with its 95 % band; fewer than ``FEW`` curves each by itself.

    Parameters
    ----------
    shares : (n, seed) from 0 to 1; NaN is left out
    """
    percent = 100 * shares.transpose(..., "seed").dropna("seed", how="all")
    interval = mean_interval(percent)
    ax.plot(x, interval.mean, color=colour, label=label)
    if percent.sizes["seed"] < FEW:
        ax.plot(x, percent.values, color=colour, alpha=0.5, lw=0.4)
    else:
        ax.fill_between(x, *interval.within(0, 100), color=colour, alpha=0.2, lw=0)
