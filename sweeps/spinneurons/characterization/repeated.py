"""Fig. S4 and S5 of the paper from a characterization: where it has a second day, and long records."""

from __future__ import annotations

import xarray as xr
from matplotlib.figure import Figure

from spinneurons.analysis.cubes import by_width, mask_unfinished
from spinneurons.endurance import figures as endurance
from spinneurons.endurance.analysis import LONG, long_records
from spinneurons.persistence import figures as persistence
from spinneurons.persistence.analysis import TIMES, time_axis
from spinneurons.persistence.pairs import of_days
from spinsweep.errors import NotDrawn


def s4_persistence(cube: xr.Dataset) -> Figure:
    """Curves of one device on the first and the last day, and the drift of all, of a log with an axis of days."""
    axis = time_axis(cube)
    if not axis or cube.sizes[axis] < 2:
        raise NotDrawn(f"the cube has one day alone: no axis {', '.join(TIMES)} with two values")
    return persistence.FIGURES["s4_persistence"](of_days(cube))


def s5_endurance(cube: xr.Dataset) -> Figure:
    """Moving averages of the longest record, and the share of each device that has one."""
    records = long_records(by_width(mask_unfinished(cube, zeros=True)))
    if not records.sizes["cycle"]:
        raise NotDrawn(f"no device has {LONG} cycles at one current, cycle by cycle")
    return endurance.MEASURED(records)
