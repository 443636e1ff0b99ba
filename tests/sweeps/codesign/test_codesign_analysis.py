"""Loss, the smallest good width and settling, on cases known by hand."""

from __future__ import annotations

import numpy as np
import xarray as xr

from spinneurons.codesign import analysis
from spinsweep.analysis.intervals import mean_interval


def cube(accuracy: np.ndarray, energy: np.ndarray | None = None) -> xr.Dataset:
    """A cube of these final accuracies (width, variation, seed), reached at once."""
    curve = np.repeat(accuracy[..., None], 4, axis=-1)
    dims = ("width", "variation", "seed", "timestep")
    coords = {
        "width": [5.0, 1.0, 0.3][: accuracy.shape[0]],
        "variation": [0.0, 0.1, 0.2][: accuracy.shape[1]],
        "seed": range(accuracy.shape[2]),
        "timestep": range(1, 5),
    }
    e = np.ones_like(curve) * np.array([50.0, 3.0, 1.0])[: accuracy.shape[0], None, None, None]
    return xr.Dataset({"accuracy": (dims, curve), "synaptic_energy": (dims, e)}, coords=coords)


def test_the_smallest_good_width_is_compared_with_its_own_baseline() -> None:
    accuracy = np.array([[0.97, 0.968, 0.95], [0.95, 0.945, 0.90], [0.97, 0.93, 0.5]])[..., None] + np.zeros(3)
    found = analysis.smallest_good_width(cube(accuracy))
    np.testing.assert_array_equal(found["width"], [0.3, 1.0, np.nan])
    np.testing.assert_array_equal(found["energy"], [1.0, 3.0, np.nan])
    np.testing.assert_allclose(found["loss"], [0.0, 0.005, np.nan])
    np.testing.assert_allclose(found["steps"], [1, 1, np.nan])


def test_the_loss_is_paired_so_that_differences_between_seeds_cancel() -> None:
    seeds = np.array([0.9, 0.95, 0.97])
    accuracy = np.stack([seeds, seeds - 0.005])[None]
    _, half = mean_interval(analysis.loss(cube(accuracy)))
    np.testing.assert_allclose(half, 0, atol=1e-12)


def test_a_run_has_settled_from_the_step_after_the_last_far_one() -> None:
    one = cube(np.full((1, 1, 2), 0.9))
    one["accuracy"][..., 0] = 0.5
    one["accuracy"][..., 2] = 0.8
    assert analysis.steps_to_settle(one).item() == 4


def test_networks_are_the_seeds_of_a_cube_with_several_trainings() -> None:
    one = cube(np.array([[[0.9, 0.8], [0.7, 0.6]]]))
    several = xr.concat([one, one + 0.05], xr.DataArray([0, 1], dims="training", name="training"))
    found = analysis.by_network(several)["accuracy"]
    np.testing.assert_allclose(found.isel(timestep=-1).transpose("width", "variation", "seed")[0],
                               [[0.85, 0.9], [0.65, 0.7]])  # fmt: skip
    assert analysis.by_network(one) is one
