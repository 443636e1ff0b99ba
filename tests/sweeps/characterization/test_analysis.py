"""Readings of one device to its curve."""

import numpy as np
import pytest

from spinneurons.characterization.analysis import FIT_STATUS, NUMBERS, analyse
from spinneurons.neurons import card as cards
from spinneurons.neurons.fit import REASONS, fit
from spinneurons.neurons.hall_bar import HallBar

BARS = HallBar(cards.default())


@pytest.mark.parametrize("law", HallBar.laws)
def test_the_analysis_is_the_fit_of_the_counts(law):
    bias, scale = BARS.individual(0.5, 0)
    plan = BARS.write_currents(0.5, 20)
    readings = BARS.measure(bias, scale, plan, 60, np.random.default_rng(0), law)
    values, reason = analyse(BARS, plan, readings, law, np.random.default_rng(1), resamples=200)
    assert reason == ""
    assert set(values) == {*NUMBERS, "switched", "valid", "dof", "fit_status"}
    one = fit(values["switched"].sum(1), np.full(20, 60), plan, law)
    assert (values["i_bias"], values["i0"], values["deviance"]) == (one.i_bias, one.i0, one.deviance)
    assert values["window"] == pytest.approx(law.window * one.i0)
    assert values["i0_low"] < values["i0"] < values["i0_high"]


def test_a_dead_device_has_a_reason_and_no_numbers():
    dead = np.full((5, 10), -1.8)
    values, reason = analyse(BARS, np.linspace(1e-4, 2e-4, 5), (dead, dead), BARS.laws[0], np.random.default_rng(0))
    assert reason.startswith("one resistance level only")
    assert FIT_STATUS[values["fit_status"]] == "levels_not_distinct"
    assert all(np.isnan(values[name]) for name in NUMBERS)


def test_every_reason_of_the_fit_has_a_status():
    assert [r.split(":")[0].replace(" ", "_") for r in REASONS[1:4]] == list(FIT_STATUS[1:4])
    assert len(FIT_STATUS) == len(REASONS) + 1
