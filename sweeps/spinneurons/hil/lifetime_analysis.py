"""How long a network lasts, and what it takes to hold its accuracy."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr

from spinneurons.hil.analysis import done
from spinsweep.analysis.intervals import MeanInterval, paired_difference

POINT = 0.01
"""Loss of accuracy after which a network is calibrated or trained again."""
DAYS = 7


class Upkeep(NamedTuple):
    """What holds a network within a point of its accuracy in week 0."""

    weeks: float
    """After which the mean of the chips has lost a point; infinite: not in the weeks of the cube."""
    earliest: float
    latest: float
    """The same of the ends of the 95 % interval of the loss."""
    pulses: int
    """Of each device, each time."""

    @property
    def pulses_a_day(self) -> float:
        """Of each device, on average."""
        return self.pulses / (DAYS * self.weeks) if self.weeks else float("inf")


def accuracy(cube: xr.Dataset) -> xr.DataArray:
    """(method, week, ..., seed) accuracy; NaN where a cell is not done."""
    return cube["accuracy"].where(done(cube))


def loss(cube: xr.Dataset) -> MeanInterval:
    """(method, week, ...) accuracy in week 0 less that of the week, chip by chip, with its 95 % interval."""
    every = accuracy(cube.sortby("week"))
    return paired_difference(every.isel(week=0, drop=True) * xr.ones_like(every), every)


def upkeep(cube: xr.Dataset, method: str, point: float = POINT) -> Upkeep:
    """Of a method, at one variation and ratio.

    Parameters
    ----------
    cube : of one point
    point : loss after which the network is calibrated or trained again
    """
    part = cube.sel({"method": [method]}).sortby("week")
    weeks, lost = part["week"].values.astype(float), loss(part)
    mean, half = (v.isel(method=0).values for v in lost)
    middle, earliest, latest = (_first_above(weeks, curve, point) for curve in (mean, mean + half, mean - half))
    return Upkeep(middle, earliest, latest, int(part["pulses_used"].where(done(part)).max()))


def _first_above(weeks: np.ndarray, lost: np.ndarray, point: float) -> float:
    """Week in which the loss first is above the point, on straight lines between the weeks of the cube."""
    above = np.flatnonzero(lost > point)
    if not above.size:
        return float("inf")
    k = int(above[0])
    if k == 0:
        return float(weeks[0])
    share = (point - lost[k - 1]) / (lost[k] - lost[k - 1])
    return float(weeks[k - 1] + share * (weeks[k] - weeks[k - 1]))
