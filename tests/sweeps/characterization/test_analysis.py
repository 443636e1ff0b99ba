"""Readings of one device to its curve."""

import numpy as np
import pytest

from spinneurons.characterization.analysis import NUMBERS, analyse
from spinneurons.neurons import card as cards
from spinneurons.neurons.checked_fit import STATUSES
from spinneurons.neurons.fit import fit
from spinneurons.neurons.hall_bar import HallBar

BARS = HallBar(cards.default())


@pytest.mark.parametrize("law", HallBar.laws)
def test_the_analysis_is_the_fit_of_the_counts(law):
    bias, scale = BARS.individual(0.5, 0)
    plan = BARS.write_currents(0.5, 20)
    readings = BARS.measure(bias, scale, plan, 60, np.random.default_rng(0), law)
    decision, mixture = BARS.decide(readings), BARS.level_mixture(readings)
    values, reason = analyse(decision, mixture, plan, law, np.random.default_rng(1), resamples=200)
    assert reason == ""
    assert set(values) == {*NUMBERS, "switched", "valid", "dof", "fit_status", "level_count", "intermediate_share"}
    assert (values["fit_status"], values["level_count"], values["intermediate_share"]) == (0, 2, 0.0)
    one = fit(values["switched"].sum(1), np.full(20, 60), plan, law)
    assert (values["i_bias"], values["i0"], values["deviance"]) == (one.i_bias, one.i0, one.deviance)
    assert values["window"] == pytest.approx(law.window * one.i0)
    assert values["i0_low"] < values["i0"] < values["i0_high"]


def of(r_reset, r_write):
    """The analysis of readings at five currents."""
    decision, mixture = BARS.decide((r_reset, r_write)), BARS.level_mixture((r_reset, r_write))
    return analyse(decision, mixture, np.linspace(1e-4, 2e-4, 5), BARS.laws[0], np.random.default_rng(0), 50)


@pytest.mark.parametrize(
    ("reset", "write", "status", "valid"),
    [
        (-1.8, -1.8, "never_switched", 100),
        (-1.8, 3.6, "always_switched", 100),
        (3.6, -1.8, "resets_failed", 0),
        (np.nan, np.nan, "no_data", 0),
    ],
)
def test_a_device_of_one_kind_of_cycle_has_a_status_and_no_numbers(reset, write, status, valid):
    noise = np.random.default_rng(0).normal(0, 0.05, (2, 5, 20))
    values, reason = of(reset + noise[0], write + noise[1])
    assert STATUSES[values["fit_status"]] == status
    assert values["valid"].sum() == valid
    assert values["switched"].sum() == (100 if status == "always_switched" else 0)
    assert reason
    assert all(np.isnan(values[name]) for name in NUMBERS)
    assert values["dof"] == 0


def test_switches_that_stop_half_way_are_partial_switching():
    rng = np.random.default_rng(0)
    r_reset, r_write = rng.normal(-1.8, 0.05, (2, 5, 40))
    switched = rng.random((5, 40)) < np.linspace(0, 1, 5)[:, None]
    r_write += np.where(switched, np.where(rng.random((5, 40)) < 0.4, 2.4, 5.4), 0)
    values, reason = of(r_reset, r_write)
    assert STATUSES[values["fit_status"]] == "partial_switching"
    assert (values["level_count"], values["valid"].any()) == (3, False)
    assert values["intermediate_share"] == pytest.approx(np.mean(np.abs(r_write - 0.6) < 1))
    assert reason.startswith("partial switching: levels at -1.8, 0.6")


def test_noise_that_hides_the_levels_is_no_measurement_of_never():
    rng = np.random.default_rng(0)
    r_reset, r_write = rng.normal(0, 1, (2, 5, 40))
    values, reason = of(r_reset, r_write + np.where(rng.random((5, 40)) < 0.5, 2.0, 0))
    assert STATUSES[values["fit_status"]] == "levels_not_distinct"
    assert reason.startswith("one resistance level only")


def test_a_probability_of_one_half_at_all_currents_is_no_fit():
    rng = np.random.default_rng(0)
    r_reset, r_write = rng.normal(-1.8, 0.05, (2, 5, 40))
    r_write += np.where(rng.random((5, 40)) < 0.5, 5.4, 0)
    values, reason = of(r_reset, r_write)
    assert STATUSES[values["fit_status"]] == "slope_not_different_from_zero"
    assert values["valid"].all()
    assert all(np.isnan(values[name]) for name in NUMBERS)
    assert reason
