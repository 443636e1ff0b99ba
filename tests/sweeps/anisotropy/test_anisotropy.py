"""Anisotropy field: the model is the energy's minimum, the fit recovers H_an with its error, no trend with width."""

import json

import numpy as np
import pytest
import xarray as xr
from scipy.optimize import minimize_scalar
from scipy.stats import kstest

from spinneurons.anisotropy import figures, model
from spinneurons.anisotropy.analysis import width_dependence
from spinneurons.anisotropy.sweep import SWEEP
from spinneurons.neurons import card as cards
from spinsweep.evaluate import evaluate

WIDTHS, DEVICES = tuple(SWEEP.axis("width").values), (0, 1, 2, 3)


def run(**values):
    sweep = SWEEP.with_values(**values)
    found = evaluate(sweep, {"width": WIDTHS, "device": DEVICES})
    assert not found.errors
    return found.values


def dataset(values):
    data = {o.name: (("width", "device", *o.dims), values[o.name].copy()) for o in SWEEP.outputs}
    data["cell_state"] = (("width", "device"), np.ones((len(WIDTHS), 4), np.uint8))
    coords = {"width": np.array(WIDTHS), "device": np.array(DEVICES), "state": [1, -1]}
    return xr.Dataset(data, coords, {"parameters": json.dumps(SWEEP.params)})


@pytest.fixture(scope="module")
def result():
    return run()


@pytest.fixture
def cube(result):
    return dataset(result)


@pytest.mark.parametrize("h", [0.0, 0.0274, 0.4, 0.9, 0.99, 1.5])
def test_the_perpendicular_part_is_where_the_energy_is_least(h):
    # E/(mu0 Ms Han) = -cos^2(t)/2 - h sin(t)
    found = minimize_scalar(
        lambda t: -(np.cos(t) ** 2) / 2 - h * np.sin(t),
        bounds=(0, np.pi / 2),
        method="bounded",
        options={"xatol": 1e-10},
    )
    assert model.perpendicular(h * 5.8e5, 5.8e5) == pytest.approx(np.cos(found.x), abs=1e-4)


def test_200_oe_tilt_the_moment_by_the_card_s_amount():
    mz = model.perpendicular(200 * 1e3 / (4 * np.pi), 5.8e5)
    assert 1 - mz == pytest.approx(3.8e-4, rel=0.02)
    assert mz == pytest.approx(np.sqrt(1 - cards.value(cards.default(), "hall.tilt") ** 2), abs=2e-6)


def test_readings_without_noise_give_the_model_s_numbers_back():
    card = cards.default()
    card["read"]["noise"]["value"] = 0.0
    field = np.linspace(-4e5, 4e5, 21)
    found = model.fit(field, model.readings(card, field, 6.1e5, np.random.default_rng(0)))
    assert found.h_an == pytest.approx(6.1e5, rel=1e-6)
    assert found.amplitude == pytest.approx(2.7, rel=1e-6)
    assert found.offset == pytest.approx(0.9, rel=1e-6)


def test_the_bar_of_700_nm_shows_its_anisotropy_field_within_the_error(result):
    at = WIDTHS.index(0.7)
    h_an, error = result["h_an"][at, 0], result["h_an_stderr"][at, 0]
    assert abs(h_an - 5.8e5) < 3 * error
    assert error < 0.01 * 5.8e5


def test_errors_of_the_fit_are_honest():
    card, field, rng = cards.default(), np.linspace(-4e5, 4e5, 41), np.random.default_rng(8)
    fits = [model.fit(field, model.readings(card, field, 5.8e5, rng)) for _ in range(300)]
    for name, truth in (("h_an", 5.8e5), ("amplitude", 2.7), ("offset", 0.9)):
        pulls = [(getattr(f, name) - truth) / getattr(f, f"{name}_stderr") for f in fits]
        assert kstest(pulls, "norm").pvalue > 1e-3
    assert np.mean([f.residual for f in fits]) == pytest.approx(1.5e-6 / 50e-6, rel=0.05)


def test_there_is_no_trend_with_the_width(cube):
    found = width_dependence(cube)
    assert abs(found.line.slope) < 4 * found.line.slope_stderr
    assert abs(found.mean - 5.8e5) < 4 * found.mean_stderr
    assert found.line.p_value > 1e-4


def test_a_trend_that_is_there_is_found(cube):
    cube["h_an"].values[:] += 3e3 * np.array(WIDTHS)[:, None]
    found = width_dependence(cube).line
    assert abs(found.slope - 3e3) < 4 * found.slope_stderr
    assert found.p_value < 1e-4


def test_devices_differ_by_the_spread_and_are_recovered(result):
    spread = run(spread=0.05)
    truth = spread["h_an_model"]
    assert np.unique(truth).size == 36
    assert (np.abs(truth / 5.8e5 - 1) <= 0.05).all()
    assert np.abs((spread["h_an"] - truth) / spread["h_an_stderr"]).max() < 4.5
    assert (result["h_an_model"] == 5.8e5).all()


def test_readings_that_say_nothing_have_no_fit():
    field = np.linspace(-4e5, 4e5, 9)
    for x, r in ((field * 0, np.ones((2, 9))), (field[:1], np.array([[1.0], [-1.0]]))):
        assert np.isnan(model.fit(x, r)).all()
    straight = np.stack([np.ones(9), -np.ones(9)])
    assert np.isnan(model.fit(field, straight).h_an)  # no curvature at all


@pytest.mark.parametrize("widths", [[0, 1, 2], [4]])
def test_the_figure_of_any_widths_is_drawn(cube, widths, tmp_path):
    figures.FIGURES["s1_anisotropy"](cube.isel(width=widths)).savefig(tmp_path / "s1.png")
    assert (tmp_path / "s1.png").stat().st_size > 10_000


def test_the_figure_shows_the_bar_of_700_nm_and_its_error(cube):
    left, right = figures.FIGURES["s1_anisotropy"](cube).axes
    assert left.get_title(loc="left").startswith("(a)  0.7 µm, device 0: $H_\\mathrm{an}$ = 5")
    assert "slope" in right.get_title(loc="left")


def test_what_is_not_done_is_left_out(cube):
    cube["cell_state"].values[WIDTHS.index(0.7), 0] = 2
    assert figures.FIGURES["s1_anisotropy"](cube).axes[0].get_title(loc="left").startswith("(a)  0.7 µm, device 1")
    cube["cell_state"].values[:] = 0
    texts = [t.get_text() for ax in figures.FIGURES["s1_anisotropy"](cube).axes for t in ax.texts]
    assert texts == ["no cell is done yet"]
