"""What the grid says: intervals over chips, the smallest good width, steps to the final accuracy, the Pareto front.

The chip seed is the unit of all statistics.  Cells of one seed share their draws: intervals are over seeds, and two
cells are compared seed by seed.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy import stats

Bools = npt.NDArray[np.bool_]

WITHIN = 0.01
"""Loss of accuracy against the width's own baseline that is still good."""
SETTLED = 0.005
"""Distance from the final accuracy below which a run has settled."""


def interval(values: xr.DataArray, level: float = 0.95) -> tuple[xr.DataArray, xr.DataArray]:
    """(mean, half-width) over the seeds that are not NaN: Student's t interval, NaN for fewer than two."""
    count = values.notnull().sum("seed")
    spread = values.std("seed", ddof=1) / np.sqrt(count)
    quantile = xr.apply_ufunc(lambda n: stats.t.ppf((1 + level) / 2, np.maximum(n - 1, 1)), count)
    return values.mean("seed"), (quantile * spread).where(count > 1)


def final(cube: xr.Dataset, name: str) -> xr.DataArray:
    """A quantity after the last step, in float64."""
    return cube[name].isel(timestep=-1).astype(np.float64)


def loss(cube: xr.Dataset) -> xr.DataArray:
    """Final accuracy lost against variation 0, seed by seed and at the same width."""
    accuracy = final(cube, "accuracy")
    return accuracy.sel(variation=0.0, drop=True) - accuracy


def steps_to_settle(cube: xr.Dataset, within: float = SETTLED) -> xr.DataArray:
    """First number of steps from which the mean accuracy of the seeds stays within ``within`` of its final value."""
    curve = cube["accuracy"].astype(np.float64).mean("seed")
    far = (abs(curve - curve.isel(timestep=-1)) > within) | curve.isnull()
    last_far = (far * far["timestep"]).max("timestep")
    return (last_far + 1).where(curve.isel(timestep=-1).notnull())


def smallest_good_width(cube: xr.Dataset, within: float = WITHIN) -> xr.Dataset:
    """Per variation, the narrowest bar from which on all wider ones too lose less than ``within`` on average.

    Returns
    -------
    Dataset over ``variation``: ``width`` (um), its ``loss`` with the half-width ``loss_half`` of the interval,
    ``accuracy``, ``energy`` (J) and ``steps`` (to settle); NaN where even the widest bar loses more
    """
    cube = cube.sortby("width", ascending=False)
    lost, half = interval(loss(cube))
    good = (lost <= within).cumprod("width").astype(bool)
    place = good.sum("width") - 1
    found = xr.Dataset(
        {
            "loss": lost,
            "loss_half": half,
            "accuracy": final(cube, "accuracy").mean("seed"),
            "energy": final(cube, "synaptic_energy").mean("seed"),
            "steps": steps_to_settle(cube),
        }
    ).isel(width=place.clip(min=0))
    return found.reset_coords("width").where(place >= 0)


def pareto(energy: npt.ArrayLike, accuracy: npt.ArrayLike) -> Bools:
    """Which points no other beats: none has less energy and at least the accuracy, or the same energy and more.

    Parameters
    ----------
    energy, accuracy : arrays of one shape; NaN is never on the front
    """
    e, a = np.asarray(energy, np.float64), np.asarray(accuracy, np.float64)
    order = np.lexsort((-a.ravel(), e.ravel()))
    best, front = -np.inf, np.zeros(a.size, bool)
    for i in order:
        if a.ravel()[i] > best and np.isfinite(e.ravel()[i]):
            best, front[i] = a.ravel()[i], True
    return front.reshape(a.shape)
