"""Hysteresis loops: reversal by thermal activation, loops that shrink with the bar, and their figures."""

import json

import numpy as np
import pytest
import xarray as xr
from scipy.optimize import brentq
from scipy.stats import binom

from spinneurons.hysteresis import figures, model
from spinneurons.hysteresis.analysis import half_width
from spinneurons.hysteresis.sweep import SWEEP
from spinneurons.neurons import card as cards
from spinneurons.neurons.hall_bar import HallBar
from spinneurons.neurons.laws import LOGISTIC
from spinsweep.evaluate import evaluate

WIDTHS, DEVICES = (5.0, 1.0, 0.3), (0, 1)
BARRIER = (60.0, 2e4, 0.1, 1e9)


def run(**values):
    sweep = SWEEP.with_values(width=WIDTHS, device=DEVICES, **values)
    found = evaluate(sweep, {"width": WIDTHS, "device": DEVICES})
    assert not found.errors
    return sweep, found.values


def expected_reversal(drive, p):
    """Mean and standard deviation of the drive at which a branch reverses, given that it does."""
    first = p * np.cumprod(np.append(1.0, 1 - p[:-1]))
    first /= first.sum()
    mean = first @ drive
    return mean, np.sqrt(first @ (drive - mean) ** 2)


@pytest.fixture(scope="module")
def result():
    return run()[1]


@pytest.fixture
def cube(result):
    data = {o.name: (("width", "device", *o.dims), result[o.name].copy()) for o in SWEEP.outputs}
    data["cell_state"] = (("width", "device"), np.ones((3, 2), np.uint8))
    coords = {"width": np.array(WIDTHS), "device": np.array(DEVICES), "branch": [1, -1], "step": np.arange(121)}
    return xr.Dataset(data, coords, {"parameters": json.dumps(SWEEP.params)})


def test_a_loop_goes_up_and_back():
    loop = model.triangle(2.0, 5)
    np.testing.assert_array_equal(loop, [[-2, -1, 0, 1, 2], [2, 1, 0, -1, -2]])


def test_the_field_of_half_reversal_is_where_the_barrier_allows_one_attempt():
    # Delta (1 - H/H0)^2 = ln(f0 t/ln 2)
    field = 2e4 * (1 - np.sqrt(np.log(1e8 / np.log(2)) / 60))
    assert model.field_probability(field, *BARRIER) == pytest.approx(0.5)
    assert model.field_probability(3e4, *BARRIER) == 1
    assert model.field_probability(-3e4, *BARRIER) < 1e-90


def test_states_turn_as_often_as_the_probabilities_say():
    p_up, p_down = np.array([[0.0, 0.3], [1.0, 0.0]]), np.array([[1.0, 0.0], [0.0, 0.25]])
    found = model.states(p_up, p_down, 20_000, np.random.default_rng(1))
    assert (found[0, 0] == -1).all()  # nothing turns up
    assert (found[1, 0] == 1).all()  # whatever was down turned up
    for share, p in (((found[0, 1] == 1).sum(), 0.3), ((found[1, 1] == -1).sum(), 0.25)):
        assert binom.ppf(1e-5, 20_000, p) <= share <= binom.ppf(1 - 1e-5, 20_000, p)


def test_the_reversal_is_the_first_step_with_the_other_state():
    drive = model.triangle(1.0, 3)
    states = np.array([[[-1, -1], [-1, -1], [1, -1]], [[1, -1], [-1, -1], [-1, -1]]], np.int8)
    np.testing.assert_array_equal(model.reversal(drive, states), [[1.0, np.nan], [0.0, np.nan]])


def test_coercive_fields_are_distributed_as_expected(result):
    field = result["h_z"][0, 0]
    mean, spread = expected_reversal(field[0], model.field_probability(field[0], *BARRIER))
    found = np.concatenate([result["h_switch"][..., 0, :].ravel(), -result["h_switch"][..., 1, :].ravel()])
    assert np.isfinite(found).all()
    assert found.mean() == pytest.approx(mean, abs=4 * spread / np.sqrt(found.size))
    assert found.std() == pytest.approx(spread, rel=0.15)


def test_a_slower_sweep_reverses_at_a_smaller_field():
    fast, slow = (np.nanmean(run(dwell=dwell)[1]["h_switch"][..., 0, :]) for dwell in (1e-3, 10.0))
    expected = 2e4 * (np.sqrt(np.log(1e10) / 60) - np.sqrt(np.log(1e6) / 60))
    assert fast - slow == pytest.approx(expected, rel=0.2)


def test_the_current_s_reversal_follows_from_the_device_s_own_curve(result):
    card = cards.default()
    for w, d in np.ndindex(3, 2):
        i_bias, i0 = HallBar(card).individual(WIDTHS[w], DEVICES[d])
        current = result["i_write"][w, d, 0]
        mean, spread = expected_reversal(current, HallBar(card).probability(current, i_bias, i0, LOGISTIC))
        found = result["i_switch"][w, d, 0]
        assert found.mean() == pytest.approx(mean, abs=4.5 * spread / np.sqrt(found.size))
        assert mean < i_bias  # each step is a further chance


def test_loops_shrink_with_the_width(cube):
    found = half_width(cube, "i_switch").mean("device").values
    assert found[0] > 1.5 * found[1] > 1.5 * 1.1 * found[2]


def test_the_in_plane_field_s_sign_is_the_loop_s_sense(result):
    turned = run(in_plane=-1)[1]
    for found, first, second in ((result, -1, 1), (turned, 1, -1)):
        r = found["r_current"].mean(axis=(0, 1, 4))
        offset = cards.value(cards.default(), "hall.offset")
        assert np.sign(r[0, 0] - offset) == first
        assert np.sign(r[0, -1] - offset) == second


def test_no_current_up_to_the_read_current_switches(result):
    reversed_at = np.abs(result["i_switch"])
    assert np.nanmin(reversed_at) > 50e-6


def test_resistances_are_the_card_s_two_levels_and_noise(result):
    card = cards.default()
    levels = HallBar(card).resistance(np.array([-1, 1]))
    for name in ("r_field", "r_current"):
        off = np.abs(result[name][..., None] - levels).min(axis=-1)
        assert off.std() < 0.03
        assert off.max() < 6 * 0.03


def test_the_loop_is_closed_when_the_sweep_reaches_far(result):
    assert np.isfinite(result["i_switch"]).mean() > 0.99
    far = brentq(lambda h: float(model.field_probability(h, *BARRIER)) - 0.999999, 0, 2e4)
    assert far < result["h_z"].max()


@pytest.mark.parametrize("name", figures.FIGURES)
@pytest.mark.parametrize("widths", [[0, 1, 2], [1]])
def test_a_figure_of_any_widths_is_drawn(cube, name, widths, tmp_path):
    figures.FIGURES[name](cube.isel(width=widths)).savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 5_000


@pytest.mark.parametrize("name", figures.FIGURES)
def test_a_cube_with_nothing_done_says_so(cube, name):
    cube["cell_state"].values[:] = 0
    texts = [t.get_text() for ax in figures.FIGURES[name](cube).axes for t in ax.texts]
    assert "no cell is done yet" in texts


def test_a_device_that_is_not_done_is_passed_over(cube):
    cube["cell_state"].values[2, 0] = 2
    cube["i_write"].values[2, 0] = np.nan
    assert figures.FIGURES["fig1d_field_loop"](cube).axes[0].get_title().startswith("0.3 µm, device 1")
    assert figures.FIGURES["fig2b_current_loops"](cube).axes[2].get_title(loc="left") == "(c)  0.3 µm, device 1"
