"""Lifetime: what a card says of use changes devices as it says, weeks do not depend on others, upkeep is right."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import cache
from io import BytesIO
from typing import Any

import numpy as np
import pytest
import xarray as xr
from bars import CARD, I0, I_BIAS, some, streams
from hypothesis import given
from hypothesis import strategies as st

from spinneurons.hil import images
from spinneurons.hil import lifetime_analysis as analysis
from spinneurons.hil.accuracy import NetworkOnDevices, accuracy, counts, exact
from spinneurons.hil.frontier import chip_of, schedule_of
from spinneurons.hil.lifetime import SWEEP, factors_of
from spinneurons.hil.lifetime_figures import FIGURES
from spinneurons.hil.methods import METHODS
from spinneurons.hil.neurons import ModelNeurons, drive
from spinneurons.hil.streams import Streams
from spinneurons.mnist import data
from spinneurons.neurons import card as cards
from spinneurons.neurons import hall_bar_reference
from spinneurons.neurons.base import with_luck_of_before
from spinneurons.neurons.hall_bar import HallBar
from spinneurons.neurons.laws import LOGISTIC
from spinsweep.evaluate import Cells, evaluate

SMALL = SWEEP.with_values(
    week=(0, 10, 300), variation=(0.25,), ratio=(35.0,), seed=(0, 1), epochs=2, steps=10, images=8, test_images=130,
    pulses=160,
)  # fmt: skip


def used(**entries: float) -> dict[str, Any]:
    """The default card with a section ``use``."""
    units = {"temperature_coefficient": "1/K", "temperature_sd": "K", "pulse_correlation": "1"}
    card = copy.deepcopy(CARD)
    card["use"] = {
        name: {"value": entries.get(name, 0.0), "unit": unit, "provenance": "assumed", "source": "a test"}
        for name, unit in units.items()
    }
    return cards.validate(card)


def test_a_card_that_says_nothing_of_use_is_the_same_as_one_that_says_zero() -> None:
    nothing = used()
    for sweep in (SWEEP, SMALL):
        assert sweep.with_values(card=nothing, ratio=(35.0,), variation=(0.25,), i0_variation=(0.0,)).digest == (
            sweep.with_values(card=CARD, ratio=(35.0,), variation=(0.25,), i0_variation=(0.0,)).digest
        )
    one, other = (HallBar(c).measure(I_BIAS, I0, [I_BIAS], 50, np.random.default_rng(0)) for c in (nothing, CARD))
    np.testing.assert_array_equal(one.r_write, other.r_write)


@pytest.mark.parametrize("entry", ["temperature_coefficient", "temperature_sd", "pulse_correlation"])
def test_what_cannot_be_is_refused(entry: str) -> None:
    card = used()
    card["use"][entry]["value"] = {"pulse_correlation": 1.0, "temperature_sd": -1.0}.get(entry, float("nan"))
    with pytest.raises(cards.CardError, match=f"use.{entry}: value"):
        cards.validate(card)


# Correlation of pulses


@given(seed=st.integers(0, 1000), rho=st.floats(0, 0.99))
def test_kept_luck_is_that_of_the_step_before(seed: int, rho: float) -> None:
    rng = np.random.default_rng(seed)
    luck, kept = rng.random((3, 20)), rng.random((3, 20)) < rho
    found = with_luck_of_before(luck, kept)
    for row in range(3):
        for t in range(20):
            assert found[row, t] == (found[row, t - 1] if t and kept[row, t] else luck[row, t])


@pytest.mark.parametrize("rho", [0.3, 0.8])
def test_outcomes_have_the_correlation_of_the_card_and_the_same_probability(rho: float) -> None:
    family = HallBar(used(pulse_correlation=rho))
    read = family.measure(I_BIAS, I0, [I_BIAS + 0.5 * I0], 40_000, np.random.default_rng(1))
    switched = (read.r_write[0] > float(family.resistance(0))).astype(float)
    inflated = (1 + rho) / (1 - rho)
    p = float(LOGISTIC.probability(0.5))
    assert switched.mean() == pytest.approx(p, abs=5 * np.sqrt(p * (1 - p) * inflated / 40_000))
    assert np.corrcoef(switched[:-1], switched[1:])[0, 1] == pytest.approx(rho, abs=0.03)
    runs = switched.reshape(400, 100).mean(axis=1)
    assert runs.var() == pytest.approx(p * (1 - p) * inflated / 100, rel=0.3)


def test_correlated_pulses_are_those_of_the_reference() -> None:
    card = used(pulse_correlation=0.7)
    currents = I_BIAS + I0 * np.array([-1.0, 0.0, 2.0])
    fast = HallBar(card).measure(I_BIAS, I0, currents, 30, np.random.default_rng(2))
    slow = hall_bar_reference.measure(card, I_BIAS, I0, currents, 30, np.random.default_rng(2))
    np.testing.assert_array_equal(fast.r_write, slow.r_write)
    np.testing.assert_array_equal(fast.r_reset, slow.r_reset)


def test_correlated_pulses_make_the_counts_of_a_test_wider_and_leave_their_mean() -> None:
    weights = exact(np.zeros((784, 4)))
    found = []
    for rho in (0.0, 0.6):
        family = HallBar(used(pulse_correlation=rho))
        neurons = ModelNeurons(family, {d: (I_BIAS, I0) for d in range(4)}, LOGISTIC, streams(0))
        one = NetworkOnDevices(weights, neurons, drive(family, range(4), I_BIAS, I0, 12.0))
        found.append(counts([one], some(400, "test"), streams(3), 50)[0].astype(float))
    for sums, inflated in zip(found, (1.0, 4.0), strict=True):
        assert sums.mean() == pytest.approx(25, abs=5 * np.sqrt(12.5 * inflated / sums.size))
        assert sums.var() == pytest.approx(12.5 * inflated, rel=0.25)


# Drift and weather


def test_factors_are_the_card_s_drift_and_the_temperature_of_the_week() -> None:
    card = used(temperature_coefficient=-2e-3, temperature_sd=5.0)
    bench = HallBar(card)
    many = factors_of(bench, list(range(300)), np.random.default_rng(0), np.random.default_rng(1), 4)
    np.testing.assert_array_equal(many[0], 1.0)
    alone = factors_of(bench, [7], np.random.default_rng(0), np.random.default_rng(1), 4)
    np.testing.assert_array_equal(alone[0], many[7])
    plain = factors_of(HallBar(CARD), list(range(300)), np.random.default_rng(0), np.random.default_rng(1), 4)
    warmer = (many / plain - 1)[1:]
    np.testing.assert_allclose(warmer, warmer[:, :1] * np.ones(4), rtol=1e-6)  # one temperature for all devices
    assert np.std(warmer[:, 0]) == pytest.approx(2e-3 * 5, rel=0.2)
    steps = np.diff(np.log(plain), axis=0)
    assert steps.std() == pytest.approx(HallBar(CARD).drift_deviation(7), rel=0.1)


@cache
def numbers() -> dict[str, Any]:
    found = evaluate(SMALL, {a.name: a.values for a in SMALL.axes})
    assert not found.errors
    return found.values


def test_any_box_of_the_lifetime_has_the_same_numbers() -> None:
    for places in ([[1], [0, 2], [0], [0], [1]], [[2, 0], [1], [0], [0], [0, 1]]):
        box = {a.name: tuple(a.values[i] for i in p) for a, p in zip(SMALL.axes, places, strict=True)}
        found = evaluate(SMALL, box)
        assert not found.errors
        for name in numbers():
            np.testing.assert_array_equal(found.values[name], numbers()[name][np.ix_(*places)], name)


def test_in_week_0_a_network_is_what_its_method_comes_to_and_later_its_devices_have_drifted() -> None:
    cells = Cells(SMALL, {a.name: a.values for a in SMALL.axes})
    tested = images.every(data.checked("test", **cells.params["data"]), [0, 2, 4, 6], 130)
    for s in range(2):
        one, plan = chip_of(cells, s, 0.25, 35.0, 0.0), schedule_of(cells, s)
        fresh = METHODS["calibrated"](one, plan, [140])[0].network
        for w, week in enumerate(SMALL.axis("week").values):
            path = HallBar(CARD).drift([7 * int(week)], cells.rng("drift", seed=s).standard_normal((2100, 4)).T)
            devices = {d: (i_bias * float(path[d, 0]), i0) for d, (i_bias, i0) in fresh.neurons.devices.items()}
            now = replace(fresh, neurons=replace(fresh.neurons, devices=devices))
            sums = counts([now], tested, Streams(cells.rng("test", seed=s)), 10)
            assert numbers()["accuracy"][1, w, 0, 0, s] == accuracy(sums, tested.targets)[0]
    assert (numbers()["pulses_used"][:, 0, 0, 0, 0] == [0, 140, 160]).all()


# Upkeep


def cube(lost: dict[str, list[float]]) -> xr.Dataset:
    """Six chips that lose so much in weeks 0, 10, 20."""
    right = 0.8 - np.array(list(lost.values()))[:, :, None] + np.array([-2, -1, 0, 0, 1, 2]) / 100
    used_ = np.zeros(right.shape, np.int64) + np.array([0, 140])[: len(lost), None, None]
    dims, coords = ("method", "week", "seed"), {"method": list(lost), "week": [0, 10, 20], "seed": range(6)}
    state = np.ones(right.shape, np.uint8)
    data = {"accuracy": right, "pulses_used": used_, "cell_state": state}
    whole = xr.Dataset({n: (dims, v) for n, v in data.items()}, coords)
    return whole.expand_dims(variation=[0.25], ratio=[35.0])


def test_upkeep_is_the_week_in_which_the_mean_has_lost_a_point() -> None:
    found = cube({"none": [0.0, 0.0, 0.0], "calibrated": [0.0, 0.005, 0.025]}).isel(variation=0, ratio=0)
    kept = analysis.upkeep(found, "calibrated")
    assert kept.weeks == pytest.approx(12.5)
    assert kept.earliest == kept.latest == pytest.approx(12.5)
    assert kept.pulses == 140
    assert kept.pulses_a_day == pytest.approx(140 / (7 * 12.5))
    never = analysis.upkeep(found, "none")
    assert never.weeks == float("inf")
    assert never.pulses_a_day == 0


def test_the_figure_says_when_a_point_is_lost_and_is_drawn_of_nothing() -> None:
    whole = cube({"none": [0.0, 0.0, 0.0], "calibrated": [0.0, 0.005, 0.025]})
    (ax,) = FIGURES["lifetime"](whole).axes
    assert "a point lost after 12 weeks (calibrated)" in " ".join(ax.get_title().split())
    file = BytesIO()
    FIGURES["lifetime"](whole.assign(cell_state=xr.zeros_like(whole["cell_state"]))).savefig(file, format="png")
    assert file.tell() > 1000
