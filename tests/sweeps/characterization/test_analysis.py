"""Readings of one device to its curve."""

import numpy as np
import pytest

from spinneurons.characterization.analysis import FIT_STATUS, NUMBERS, analyse
from spinneurons.device import card as cards
from spinneurons.device import model
from spinneurons.device.fit import REASONS, fit
from spinneurons.device.link import LINKS, window_factor
from spinneurons.device.protocol import measure

CARD = cards.default()


@pytest.mark.parametrize("link", LINKS)
def test_the_analysis_is_the_fit_of_the_counts(link):
    bias, scale = model.device_parameters(CARD, 0.5, 0)
    plan = model.write_currents(CARD, 0.5, 20)
    readings = measure(CARD, bias, scale, plan, 60, np.random.default_rng(0), link)
    values, reason = analyse(plan, *readings, link, np.random.default_rng(1), resamples=200)
    assert reason == ""
    assert set(values) == {*NUMBERS, "switched", "valid", "dof", "fit_status"}
    one = fit(values["switched"].sum(1), np.full(20, 60), plan, link)
    assert (values["i_bias"], values["i0"], values["deviance"]) == (one.i_bias, one.i0, one.deviance)
    assert values["window"] == pytest.approx(window_factor(link) * one.i0)
    assert values["i0_low"] < values["i0"] < values["i0_high"]


def test_a_dead_device_has_a_reason_and_no_numbers():
    dead = np.full((5, 10), -1.8)
    values, reason = analyse(np.linspace(1e-4, 2e-4, 5), dead, dead, "logistic", np.random.default_rng(0))
    assert reason.startswith("one resistance level only")
    assert FIT_STATUS[values["fit_status"]] == "levels_not_distinct"
    assert all(np.isnan(values[name]) for name in NUMBERS)


def test_every_reason_of_the_fit_has_a_status():
    assert [r.split(":")[0].replace(" ", "_") for r in REASONS[1:4]] == list(FIT_STATUS[1:4])
    assert len(FIT_STATUS) == len(REASONS) + 1
