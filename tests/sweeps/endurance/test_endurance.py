"""Endurance: honest coin flips at the bias current, and their figure."""

import json

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from scipy.stats import binom

from spinneurons.endurance import figures
from spinneurons.endurance.sweep import SWEEP
from spinneurons.neurons import card as cards
from spinneurons.neurons.hall_bar import HallBar
from spinsweep.evaluate import evaluate

WIDTHS, DEVICES = (5.0, 0.3), (0, 1)


@pytest.fixture(scope="module")
def result():
    found = evaluate(SWEEP.with_values(width=WIDTHS, device=DEVICES), {"width": WIDTHS, "device": DEVICES})
    assert not found.errors
    return found.values


@pytest.fixture
def cube(result):
    data = {o.name: (("width", "device", *o.dims), result[o.name].copy()) for o in SWEEP.outputs}
    data["cell_state"] = (("width", "device"), np.ones((2, 2), np.uint8))
    coords = {"width": np.array(WIDTHS), "device": np.array(DEVICES), "cycle": np.arange(10_000)}
    return xr.Dataset(data, coords, {"parameters": json.dumps(SWEEP.params)})


def test_10_000_cycles_at_the_bias_current_are_a_fair_coin(result):
    assert result["switched"].shape == (2, 2, 10_000)
    assert result["valid"].all()
    low, high = binom.ppf([5e-5, 1 - 5e-5], 10_000, 0.5)
    counts = result["switched"].sum(axis=-1)
    assert np.all((counts >= low) & (counts <= high))
    np.testing.assert_allclose(result["p"], counts / 10_000)
    np.testing.assert_allclose(result["p_stderr"], 0.005, rtol=1e-3)


def test_the_count_of_the_paper_is_within_its_own_error():
    # 5,061 of 10,000: z = 1.22, two-sided p = 0.22
    z = (5061 - 5000) / np.sqrt(10_000 * 0.25)
    assert z == pytest.approx(1.22)
    assert 2 * binom.sf(5060, 10_000, 0.5) == pytest.approx(0.22, abs=0.01)


def test_each_device_is_written_with_its_own_bias_current(result):
    assert result["i_write"][1, 0] == HallBar(cards.default()).individual(0.3, 0)[0]
    assert np.unique(result["i_write"]).size == 4


def test_successive_cycles_are_independent(result):
    flips = result["switched"].reshape(4, -1).astype(float)
    lag_one = [np.corrcoef(f[1:], f[:-1])[0, 1] for f in flips]
    assert np.abs(lag_one).max() < 4 / np.sqrt(10_000)


@given(st.lists(st.booleans(), max_size=30), st.integers(1, 12))
def test_a_moving_average_is_the_mean_of_each_span(flips, span):
    expected = [np.mean(flips[i : i + span]) for i in range(len(flips) - span + 1)]
    np.testing.assert_allclose(figures.moving_average(flips, span), expected, atol=1e-12)


@pytest.mark.parametrize("widths", [[0, 1], [1]])
def test_the_figure_is_drawn(cube, widths, tmp_path):
    figures.FIGURES["s5_endurance"](cube.isel(width=widths)).savefig(tmp_path / "s5.png")
    assert (tmp_path / "s5.png").stat().st_size > 10_000


def test_moving_averages_skip_invalid_cycles(cube):
    cube["valid"].values[1, 0, ::2] = False
    ax = figures.moving_averages(cube, Figure().add_subplot(), width=0.3, device=0)
    thousand = next(line for line in ax.lines if line.get_label() == "mean of 1000 cycles")
    expected = figures.moving_average(cube["switched"].values[1, 0, 1::2], 1000)
    np.testing.assert_allclose(thousand.get_ydata(), expected)
    assert thousand.get_xdata()[0] == 1999  # the thousandth valid cycle
    assert " of 5000" in ax.get_title()


def test_the_band_of_all_devices_is_the_binomial_s(cube):
    ax = figures.all_devices(cube, Figure().add_subplot())
    band = ax.patches[0].get_extents().transformed(ax.transData.inverted())
    np.testing.assert_allclose([band.y0, band.y1], [0.5 - 0.0098, 0.5 + 0.0098], atol=1e-6)


def test_the_bars_of_devices_that_always_or_never_switch_stay_from_0_to_1(cube):
    cube["switched"].values[0, 0], cube["switched"].values[0, 1] = True, False
    ax = figures.all_devices(cube, Figure().add_subplot())
    ends = np.array([segment[:, 1] for c in ax.containers for segment in c.lines[2][0].get_segments()])
    assert 0 <= ends.min() < 1e-3
    assert 1 - 1e-3 < ends.max() <= 1
    assert (ends[:, 0] < ends[:, 1]).all()


def test_few_cycles_and_nothing_done_are_drawn_too(cube, tmp_path):
    figures.FIGURES["s5_endurance"](cube.isel(cycle=slice(50))).savefig(tmp_path / "short.png")
    cube["cell_state"].values[:] = 0
    figure = figures.FIGURES["s5_endurance"](cube)
    assert figure.axes[0].texts[0].get_text() == "no cell is done yet"
