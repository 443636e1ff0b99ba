"""Persistence: one path of drift for each device, and a figure that shows it beside the fit's error."""

import json

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from spinneurons.analysis.cubes import mask_unfinished
from spinneurons.neurons import card as cards
from spinneurons.persistence import figures
from spinneurons.persistence.analysis import change
from spinneurons.persistence.sweep import SWEEP
from spinsweep.evaluate import evaluate

WIDTHS, DEVICES, DAYS = (5.0, 0.3), (0, 1, 2, 3), (0, 7)
COORDS = {"width": WIDTHS, "device": DEVICES, "day": DAYS}


def values(sweep=SWEEP, coords=COORDS):
    found = evaluate(sweep, coords)
    assert not found.errors
    return found.values


@pytest.fixture(scope="module")
def result():
    return values()


@pytest.fixture
def cube(result):
    data = {o.name: (("width", "device", "day", *o.dims), result[o.name].copy()) for o in SWEEP.outputs}
    data["cell_state"] = (("width", "device", "day"), np.ones((2, 4, 2), np.uint8))
    coords = {k: np.array(v) for k, v in COORDS.items()}
    return xr.Dataset(data, coords, {"parameters": json.dumps(SWEEP.params)})


def quiet_card():
    """Much drift, and so little noise in the fit that the drift is what is seen."""
    card = cards.default()
    card["drift"]["sd"]["value"] = 0.05
    return card


def test_the_days_of_a_device_lie_on_one_path_whichever_are_asked_for():
    sweep = SWEEP.with_values(card=quiet_card(), cycles=2000)
    both = values(sweep, {"width": (0.3,), "device": (1,), "day": (0, 3, 7)})["i_bias"]
    alone = values(sweep, {"width": (0.3,), "device": (1,), "day": (3,)})["i_bias"]
    assert alone[0, 0, 0] == both[0, 0, 1]


@pytest.mark.slow
def test_drift_has_the_card_s_size_and_day_3_is_on_the_way_to_day_7():
    sweep = SWEEP.with_values(card=quiet_card(), cycles=400, currents=14)
    bias = values(sweep, {"width": (0.3,), "device": tuple(range(120)), "day": (0, 3, 7)})["i_bias"][0]
    walk = np.log(bias / bias[:, :1])
    assert walk[:, 2].std() == pytest.approx(0.05, rel=0.25)
    # correlation of a random walk at two times is sqrt(3/7)
    assert np.corrcoef(walk[:, 1], walk[:, 2])[0, 1] == pytest.approx(np.sqrt(3 / 7), abs=0.2)


def test_day_zero_is_the_device_of_the_card_and_the_week_s_change_is_about_the_fit_s_error(result):
    change = result["i_bias"][..., 1] / result["i_bias"][..., 0] - 1
    error = np.hypot(*np.moveaxis(result["i_bias_stderr"] / result["i_bias"], -1, 0))
    assert np.all(np.abs(change) < 4 * np.hypot(error, 0.005))
    assert 0.002 < np.median(error) < 0.02


def test_counts_are_of_the_trials(result):
    assert result["trials"].dtype == np.int64
    assert np.all(result["trials"] == 100)
    assert np.all((result["switches"] >= 0) & (result["switches"] <= 100))


@pytest.mark.parametrize("widths", [[0, 1], [0]])
def test_the_figure_is_drawn(cube, widths, tmp_path):
    figures.FIGURES["s4_persistence"](cube.isel(width=widths)).savefig(tmp_path / "s4.png")
    assert (tmp_path / "s4.png").stat().st_size > 10_000


def test_the_drift_s_error_is_that_of_both_fits(cube):
    first = change(cube, "i_bias").isel(width=0, device=0)
    a, b = cube["i_bias"].values[0, 0]
    sa, sb = cube["i_bias_stderr"].values[0, 0]
    assert float(first["change"]) == pytest.approx(100 * (b / a - 1))
    assert float(first["stderr"]) == pytest.approx(100 * np.sqrt((sb / a) ** 2 + (b * sa / a**2) ** 2))


def test_the_panel_of_drifts_has_each_device_and_the_card_s_deviation(cube):
    ax = figures.drifts(cube, Figure().add_subplot())
    assert sum(len(c.lines[0].get_ydata()) for c in ax.containers) == 8
    assert "± drift s.d., 0.5 %" in [t.get_text() for t in ax.get_legend().get_texts()]
    assert "of 8 devices changed (95 %); mean" in ax.get_title()


def test_a_device_with_one_day_only_is_left_out(cube):
    cube["cell_state"].values[1, 0, 1] = 2
    cube = mask_unfinished(cube)
    assert "of 7 devices" in figures.drifts(cube, Figure().add_subplot()).get_title()
    assert "device 1" in figures.curves(cube, Figure().add_subplot()).get_title()
    assert figures.curves(cube, Figure().add_subplot(), width=5.0, device=2).get_title().startswith("5 µm, device 2")


def test_days_in_any_order_are_compared_first_to_last(cube):
    turned = figures.drifts(cube.isel(day=[1, 0]), Figure().add_subplot())
    straight = figures.drifts(cube, Figure().add_subplot())
    np.testing.assert_array_equal(
        turned.containers[0].lines[0].get_ydata(), straight.containers[0].lines[0].get_ydata()
    )


def test_one_day_or_nothing_done_is_said(cube):
    for part in (cube.isel(day=[0]), cube.assign(cell_state=0 * cube["cell_state"])):
        figure = figures.FIGURES["s4_persistence"](part)
        assert "no device is done on two days yet" in [t.get_text() for t in figure.axes[0].texts]


def test_devices_without_a_fit_on_both_days_are_counted_in_the_figure(cube):
    axes = figures.FIGURES["s4_persistence"](cube).axes
    assert "without a fit" not in axes[1].get_title(loc="left")
    for name in ("i_bias", "i_bias_stderr"):
        cube[name].values[1, 2, 1] = np.nan
    axes = figures.FIGURES["s4_persistence"](cube).axes
    title = axes[1].get_title(loc="left").replace("\n", " ")
    assert "of 7 devices changed (95 %)" in title
    assert title.endswith("1 without a fit on both days")
