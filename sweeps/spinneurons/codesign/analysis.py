"""What the grid says: loss by variation, the smallest good width, steps to the final accuracy.

The chip seed is the unit of all statistics.  Cells of one seed share their draws: intervals are over seeds, and two
cells are compared seed by seed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from spinneurons.analysis.convergence import steps_to_converge
from spinneurons.codesign.crossbar import SIZES
from spinsweep.analysis.intervals import mean_interval

WITHIN = 0.01
"""Loss of accuracy against the width's own baseline that is still good."""
SETTLED = 0.005
"""Distance from the final accuracy below which a run has settled."""


CALIBRATION = ("calibration_cycles", "i0_variation")
"""Axes of the neurons that a cube may lack."""


def by_network(cube: xr.Dataset) -> xr.Dataset:
    """A cube over several trainings with the networks as its seeds, each the mean of its chips.

    Intervals then hold what differs from training to training as well: chips of one network are not independent.
    Another cube comes back as it is.
    """
    if "training" not in cube.dims:
        return cube
    return cube.drop_vars("cell_state", errors="ignore").mean("seed", keep_attrs=True).rename(training="seed")


def at_first(cube: xr.Dataset, *axes: str) -> xr.Dataset:
    """The cube at the first value of these axes, as far as it has them."""
    return cube.isel({axis: 0 for axis in axes if axis in cube.dims}, drop=True)


def layer_sizes(params: Mapping[str, Any]) -> tuple[int, ...]:
    """Neurons of the network's layers, inputs first; a cube of an older version does not say them."""
    stored = params.get("weights", {}).get("sizes")
    return tuple(stored or map(int, params["layers"].split("-"))) if stored or "layers" in params else SIZES


def final(cube: xr.Dataset, name: str) -> xr.DataArray:
    """A quantity after the last step, in float64."""
    return cube[name].isel(timestep=-1).astype(np.float64)


def loss(cube: xr.Dataset) -> xr.DataArray:
    """Final accuracy lost against variation 0, seed by seed and at the same width."""
    accuracy = final(cube, "accuracy")
    return accuracy.sel(variation=0.0, drop=True) - accuracy


def steps_to_settle(cube: xr.Dataset, within: float = SETTLED) -> xr.DataArray:
    """First number of steps from which the mean accuracy of the seeds stays within ``within`` of its final value."""
    return steps_to_converge(cube["accuracy"].astype(np.float64).mean("seed"), within=within)


def smallest_good_width(cube: xr.Dataset, within: float = WITHIN) -> xr.Dataset:
    """Per variation, the narrowest bar from which on all wider ones too lose less than ``within`` on average.

    Returns
    -------
    Dataset over ``variation``: ``width`` (um), its ``loss`` with the half-width ``loss_half`` of the interval,
    ``accuracy``, ``energy`` (J) and ``steps`` (to settle); NaN where even the widest bar loses more
    """
    cube = cube.sortby("width", ascending=False)
    lost, half = mean_interval(loss(cube))
    good = (lost <= within).cumprod("width").astype(bool)
    narrowest = good.sum("width") - 1  # index of the last good width; -1 where there is none
    at_every_width = xr.Dataset(
        {
            "loss": lost,
            "loss_half": half,
            "accuracy": final(cube, "accuracy").mean("seed"),
            "energy": final(cube, "synaptic_energy").mean("seed"),
            "steps": steps_to_settle(cube),
        }
    )
    return at_every_width.isel(width=narrowest.clip(min=0)).reset_coords("width").where(narrowest >= 0)
