"""What the frontier says: gains chip by chip, the pulses that are needed, and the methods that no other beats."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from spinneurons.analysis.pareto import pareto
from spinneurons.hil.analysis import done
from spinsweep.analysis.intervals import MeanInterval, mean_interval, paired_difference

if TYPE_CHECKING:  # slow to import, and the table alone needs it
    import pandas as pd

ENDURANCE = 10_000
"""Cycles that each device of Fig. S5 of the paper went through without a change."""
POINT = ("layers", "width", "i0_variation", "variation", "ratio")
"""Dimensions along which chips and networks differ."""
WITHIN = 0.01
"""Of the best accuracy: good enough."""


def accuracy(cube: xr.Dataset) -> xr.DataArray:
    """(method, pulses, ..., seed) accuracy; NaN where a cell is not done."""
    return cube["accuracy"].where(done(cube))


def gain(cube: xr.Dataset, against: str, pulses: int | None = None) -> MeanInterval:
    """Accuracy of every method less that of another on the same chips, with its 95 % interval.

    Parameters
    ----------
    against : the other method
    pulses : budget of the other; None: the same
    """
    every = accuracy(cube)
    other = every.sel({"method": against}, drop=True)
    return paired_difference(every, other if pulses is None else other.sel(pulses=pulses, drop=True))


def used(cube: xr.Dataset) -> xr.DataArray:
    """(method, pulses, ...) pulses that a method uses of each device, the same in all seeds."""
    return cube["pulses_used"].where(done(cube)).max("seed")


def pulses_needed(cube: xr.Dataset, within: float = WITHIN) -> xr.DataArray:
    """(method, ...) fewest pulses with which a method's mean is so close to the best mean of all; NaN: none are."""
    mean = accuracy(cube).mean("seed")
    return used(cube).where(mean >= mean.max(("method", "pulses")) - within).min("pulses")


def on_front(cube: xr.Dataset) -> xr.DataArray:
    """(method, pulses, ...) whether no method has a better mean for as many pulses of a device, or fewer."""
    mean, cost = xr.broadcast(accuracy(cube).mean("seed"), used(cube))
    dims = [["method", "pulses"]]
    front: xr.DataArray = xr.apply_ufunc(
        pareto, cost, mean, input_core_dims=dims * 2, output_core_dims=dims, vectorize=True
    )
    return front.transpose(*mean.dims)


def table(cube: xr.Dataset) -> pd.DataFrame:
    """One row a method and budget, of each variation and ratio: accuracy in %, gains in points, 95 % intervals as ±.

    ``gain_none``: over software weights about the mean bias current; ``gain_loop``: over hardware in the loop with
    its largest budget; ``endurance``: pulses over the 10,000 of Fig. S5.
    """
    most = int(cube["pulses"].max())
    spent = used(cube)
    columns: dict[str, xr.DataArray] = {"used": spent, "hours": cube["hours"].where(done(cube)).max("seed")}
    columns |= {"endurance": spent / ENDURANCE, "front": on_front(cube)}
    intervals = {
        "accuracy": mean_interval(accuracy(cube)),
        "gain_none": gain(cube, "none"),
        "gain_loop": gain(cube, "in-the-loop", most),
    }
    for name, interval in intervals.items():
        columns |= {name: 100 * interval.mean, f"{name}_half": 100 * interval.half}
    first = [d for d in POINT if d in cube.dims]
    frame = xr.Dataset(columns).to_dataframe(dim_order=[*first, "method", "pulses"]).reset_index()
    repeated = frame.duplicated([*first, "method", "used"])  # a larger budget of which no more was used
    rows: pd.DataFrame = frame[~repeated & np.isfinite(frame["accuracy"])].reset_index(drop=True)
    return rows
