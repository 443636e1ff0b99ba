"""Every figure is drawn from the cube alone, whole or not."""

from __future__ import annotations

import json
import sys
from io import BytesIO

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from spinneurons.codesign.figures import FIGURES, FIGURES_CROSSBAR
from spinneurons.codesign.network import Network
from spinneurons.codesign.sweep import CROSSBAR, SWEEP
from spinsweep.evaluate import evaluate
from spinsweep.spec import Sweep


def dataset(sweep: Sweep) -> xr.Dataset:
    """The sweep's results as the cube shows them."""
    coords = {a.name: np.asarray(a.values) for a in sweep.axes}
    found = evaluate(sweep, {a.name: a.values for a in sweep.axes})
    assert not found.errors
    arrays = {o.name: ((*sweep.axis_names, *o.dims), found.values[o.name]) for o in sweep.outputs}
    state = (sweep.axis_names, np.ones(sweep.shape, np.uint8))
    steps = {"timestep": np.arange(sweep.params["steps"]) + 1}
    attrs = {"parameters": json.dumps(sweep.params)}
    return xr.Dataset({**arrays, "cell_state": state}, {**coords, **steps}, attrs)


@pytest.fixture(scope="module")
def cube(trained: Network) -> xr.Dataset:
    return dataset(SWEEP.with_values(images=40, steps=12, epochs=1, seed=(0, 1)))


@pytest.fixture(scope="module")
def calibrated_cube(trained: Network) -> xr.Dataset:
    axes = {"width": (5.0, 0.3), "variation": (0.0, 0.25), "seed": (0, 1), "calibration_cycles": ("0", "28", "exact")}
    return dataset(SWEEP.with_values(images=20, steps=4, epochs=1, i0_variation=(0.1, 0.0), training=(0, 1), **axes))


@pytest.fixture(scope="module")
def crossbar_cube(trained: Network) -> xr.Dataset:
    return dataset(CROSSBAR.with_values(images=16, steps=5, epochs=1, seed=(0, 1), width=(5.0,), read_noise=(0.0,)))


def size(figure: Figure) -> int:
    file = BytesIO()
    figure.savefig(file, format="png")
    return file.tell()


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_of_the_whole_grid(cube: xr.Dataset, name: str) -> None:
    assert size(FIGURES[name](cube)) > 5000


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("done", ["one seed", "one cell", "nothing"])
def test_a_figure_of_an_unfinished_grid(cube: xr.Dataset, name: str, done: str) -> None:
    state = xr.zeros_like(cube["cell_state"])
    if done == "one seed":
        state[:, :, 0] = 1
    elif done == "one cell":
        state[2, 3, 1] = 1
    assert size(FIGURES[name](cube.assign(cell_state=state))) > 1000


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_of_calibrated_chips(calibrated_cube: xr.Dataset, name: str) -> None:
    assert size(FIGURES[name](calibrated_cube)) > 5000
    assert ("i0 varies by 10 %" in FIGURES[name].caption(calibrated_cube)) == (name != "s10_crossbar")


def test_accuracy_has_a_panel_for_each_number_of_pulses(calibrated_cube: xr.Dataset) -> None:
    panels = [ax for ax in FIGURES["fig3c_accuracy"](calibrated_cube).axes if ax.get_title("left")]
    titles = [ax.get_title("left").split(maxsplit=1)[1] for ax in panels]
    assert titles == ["no calibration", "28 pulses", "exact calibration", "variation 25 %"]
    shown = calibrated_cube["accuracy"].isel(timestep=-1, i0_variation=0).sel(width=5.0, calibration_cycles="28")
    shown = shown.mean("training")
    lines = [np.asarray(line.get_ydata(), float) for line in panels[1].lines]
    assert any(len(y) == 2 and np.allclose(y, 100 * shown.mean("seed"), rtol=1e-5) for y in lines)


@pytest.mark.parametrize("name", FIGURES_CROSSBAR)
def test_a_figure_of_crossbars(crossbar_cube: xr.Dataset, name: str) -> None:
    assert size(FIGURES_CROSSBAR[name](crossbar_cube)) > 5000


def test_accuracy_is_shown_in_percent_against_variation_in_percent(cube: xr.Dataset) -> None:
    (ax,) = FIGURES["fig3c_accuracy"](cube).axes
    line = ax.lines[0]
    np.testing.assert_allclose(line.get_xdata(), [0, 5, 10, 15, 20, 25])
    np.testing.assert_allclose(
        line.get_ydata(), 100 * cube["accuracy"].sel(width=5.0).isel(timestep=-1).mean("seed"), rtol=1e-5
    )


def drawn_accuracies(cube: xr.Dataset, seeds: int) -> tuple[list[float], list[np.ndarray]]:
    """Of a grid whose chips get 99 % right and 25 % by turns: points of chips, and ends of the bars."""
    many = cube.isel(seed=np.zeros(seeds, int)).assign_coords(seed=np.arange(seeds))
    by_turns = xr.DataArray(np.where(np.arange(seeds) % 2, 0.25, 0.99), {"seed": many["seed"]})
    many = many.assign(accuracy=xr.zeros_like(many["accuracy"]) + by_turns)
    (ax,) = FIGURES["fig3c_accuracy"](many).axes
    bars = [c.lines[2][0].get_segments() for c in ax.containers]  # type: ignore[attr-defined]
    ends = [segment[:, 1] for segments in bars for segment in segments if np.size(segment)]
    points = [y for line in ax.lines if line.get_linestyle() == "None" and line.get_marker() != "_"
              for y in np.asarray(line.get_ydata(), float)]  # fmt: skip
    return points, ends


@pytest.mark.parametrize("seeds", [1, 2, 4])
def test_chips_are_points_where_they_are_fewer_than_five(cube: xr.Dataset, seeds: int) -> None:
    points, ends = drawn_accuracies(cube, seeds)
    assert len(points) == seeds * cube.sizes["width"] * cube.sizes["variation"]
    assert set(np.round(points, 3)) == {99.0, 25.0} if seeds > 1 else {99.0}
    assert not ends


def test_from_five_chips_on_there_are_bars_that_stay_from_0_to_100_percent(cube: xr.Dataset) -> None:
    points, ends = drawn_accuracies(cube, 5)
    assert not points
    assert len(ends) == cube.sizes["width"] * cube.sizes["variation"]
    assert np.max(ends) == 100  # 69.4 % and a half-width of 50 points
    assert 0 < np.min(ends) < 25


def test_energy_is_relative_to_the_widest_bar(cube: xr.Dataset) -> None:
    (ax,) = FIGURES["fig3d_energy"](cube).axes
    assert ax.lines[0].get_ydata()[[0, -1]] == pytest.approx([0.02, 1], rel=1e-6)  # type: ignore[index]


def test_no_window_is_needed() -> None:
    assert "matplotlib.pyplot" not in sys.modules
