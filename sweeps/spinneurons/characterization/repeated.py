"""Fig. S4 and S5 of the paper from a characterization: where it has a second day, and long records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import xarray as xr
from matplotlib.figure import Figure

from spinneurons import style
from spinneurons.analysis.cubes import by_width, mask_unfinished
from spinneurons.endurance import figures as endurance
from spinneurons.endurance.analysis import LONG, long_records
from spinneurons.persistence import figures as persistence
from spinneurons.persistence.analysis import TIMES, time_axis
from spinneurons.persistence.pairs import of_days
from spinsweep.errors import NotDrawn
from spinsweep.figure_options import FigureOptions


@dataclass(frozen=True)
class OfPart:
    """The figure of another sweep, of the part of a characterization that is as its cube."""

    builder: style.Builder
    part: Callable[[xr.Dataset], xr.Dataset]
    """Raises ``NotDrawn`` where the cube has no such part."""

    def __call__(self, cube: xr.Dataset, options: FigureOptions = style.DEFAULTS) -> Figure:
        """The figure of a cube as it is stored."""
        return self.builder(self.part(cube), options)

    def caption(self, cube: xr.Dataset, options: FigureOptions = style.DEFAULTS) -> str:
        """As :meth:`spinneurons.style.Builder.caption`."""
        return self.builder.caption(self.part(cube), options)


def days(cube: xr.Dataset) -> xr.Dataset:
    """A log with an axis of days as a persistence."""
    axis = time_axis(cube)
    if not axis or cube.sizes[axis] < 2:
        raise NotDrawn(f"the cube has one day alone: no axis {', '.join(TIMES)} with two values")
    return of_days(cube)


def records(cube: xr.Dataset) -> xr.Dataset:
    """The longest record of each device as an endurance."""
    long = long_records(by_width(mask_unfinished(cube, zeros=True)))
    if not long.sizes["cycle"]:
        raise NotDrawn(f"no device has {LONG} cycles at one current, cycle by cycle")
    return long


s4_persistence = OfPart(persistence.FIGURES["s4_persistence"], days)
s5_endurance = OfPart(endurance.MEASURED, records)
