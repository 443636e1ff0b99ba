"""What the frontier says, of cubes whose numbers are known; and its figure."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
import xarray as xr

from spinneurons.hil import frontier_analysis as analysis
from spinneurons.hil.frontier_figures import FIGURES, LOOKS
from spinneurons.hil.methods import METHODS

BUDGETS = (0, 28, 1400)
MEANS = {
    "none": (0.5, 0.5, 0.5), "calibrated": (0.5, 0.8, 0.85), "variation-aware": (0.6, 0.6, 0.6),
    "output-trim": (0.5, 0.5, 0.845), "in-the-loop": (0.25, 0.25, 0.7),
}  # fmt: skip
USED = {"calibrated": BUDGETS, "output-trim": (0, 0, 1400), "in-the-loop": (0, 0, 1400)}


@pytest.fixture
def cube() -> xr.Dataset:
    """Six chips that differ by the same in all methods, and by +-0.01 in a calibration."""
    right = np.array(list(MEANS.values()))[:, :, None, None, None] + np.array([-2, -1, 0, 0, 1, 2]) / 100
    right[1] += np.array([1, -1, 1, -1, 1, -1]) / 100
    used = np.zeros(right.shape, np.int64) + np.array([USED.get(m, (0, 0, 0)) for m in MEANS])[:, :, None, None, None]
    dims = ("method", "pulses", "variation", "ratio", "seed")
    variables = {"accuracy": right, "pulses_used": used, "hours": used * 5 / 3600, "loss": right}
    coords = {"method": list(MEANS), "pulses": list(BUDGETS), "variation": [0.25], "ratio": [35.0], "seed": range(6)}
    state = np.ones(right.shape, np.uint8)
    return xr.Dataset({n: (dims, v) for n, v in (variables | {"cell_state": state}).items()}, coords)


def test_a_gain_is_compared_chip_by_chip(cube: xr.Dataset) -> None:
    chosen = {"method": "calibrated", "pulses": 28, "variation": 0.25, "ratio": 35.0}
    same = analysis.gain(cube, "in-the-loop")
    mean, half = (float(v.sel(chosen)) for v in same)
    assert mean == pytest.approx(0.55)
    assert half == pytest.approx(2.570582 * np.std([1, -1] * 3, ddof=1) / 100 / np.sqrt(6))
    assert float(analysis.gain(cube, "in-the-loop", 1400).mean.sel(chosen)) == pytest.approx(0.1)
    assert float(same.half.sel(chosen | {"method": "none"})) == pytest.approx(0, abs=1e-12)


def test_the_fewest_pulses_that_are_good_enough_and_the_points_that_no_other_beats(cube: xr.Dataset) -> None:
    needed = analysis.pulses_needed(cube).squeeze().to_series().dropna()
    assert needed.to_dict() == {"calibrated": 1400, "output-trim": 1400}
    wide = analysis.pulses_needed(cube, within=0.06).squeeze().to_series().dropna()
    assert wide.to_dict() == {"calibrated": 28, "output-trim": 1400}
    front = analysis.on_front(cube).squeeze()
    places = {
        (str(m), int(p)) for m in front["method"].values for p in BUDGETS if front.sel({"method": m, "pulses": p})
    }
    assert places == {*(("variation-aware", p) for p in BUDGETS), ("calibrated", 28), ("calibrated", 1400)}


def test_the_table_has_one_row_for_what_was_used_and_none_for_what_was_not(cube: xr.Dataset) -> None:
    rows = analysis.table(cube).set_index(["method", "pulses"])
    assert set(rows.index) == {
        ("none", 0), ("calibrated", 0), ("calibrated", 28), ("calibrated", 1400), ("variation-aware", 0),
        ("output-trim", 0), ("output-trim", 1400), ("in-the-loop", 0), ("in-the-loop", 1400),
    }  # fmt: skip
    row = rows.loc[("calibrated", 1400)]
    assert row["accuracy"] == pytest.approx(85)
    assert row["gain_none"] == pytest.approx(35)
    assert row["gain_loop"] == pytest.approx(15)
    assert row["endurance"] == pytest.approx(0.14)
    assert row["hours"] == pytest.approx(1400 * 5 / 3600)
    cube["cell_state"][1, 2] = 2
    assert ("calibrated", 1400) not in analysis.table(cube).set_index(["method", "pulses"]).index


def size(cube: xr.Dataset) -> int:
    file = BytesIO()
    FIGURES["frontier"](cube).savefig(file, format="png")
    return file.tell()


def test_the_figure_is_drawn_of_the_whole_of_few_chips_and_of_nothing(cube: xr.Dataset) -> None:
    assert set(LOOKS) == set(METHODS)
    assert size(cube) > 10_000
    assert size(cube.isel(seed=[0])) > 10_000
    assert size(cube.isel(method=[1, 4]).expand_dims(i0_variation=[0.0, 0.1])) > 10_000
    assert 1000 < size(cube.assign(cell_state=xr.zeros_like(cube["cell_state"]))) < 10_000


def test_points_are_at_the_means_of_the_chips(cube: xr.Dataset) -> None:
    (ax,) = FIGURES["frontier"](cube).axes
    drawn = {c.get_label(): c.lines[0].get_ydata() for c in ax.containers}
    np.testing.assert_allclose(drawn["calibrated"], [50, 80, 85], atol=1e-9)
    np.testing.assert_allclose(drawn["in the loop"], [25, 70], atol=1e-9)
