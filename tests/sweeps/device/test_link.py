"""Switching curves: their window, their middle, and how far they are apart."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from spinneurons.device.link import LINKS, half, predictor, probability, scale, window_factor, z_of

links = pytest.mark.parametrize("link", LINKS)


def test_the_window_of_the_logistic_is_16_117_scale_currents():
    # ln(.999/.001) - ln(1e-4/(1 - 1e-4)) = 6.906755 + 9.210240
    assert window_factor("logistic") == pytest.approx(16.116995, abs=1e-6)


def test_the_window_of_the_cloglog_follows_from_its_quantiles():
    # eta = ln(-ln(1 - p)): ln(ln 1000) + 9.210290 in eta, times 2 ln 2 in z
    width = math.log(math.log(1000)) - math.log(-math.log(0.9999))
    assert window_factor("cloglog") == pytest.approx(2 * math.log(2) * width)


@links
@given(z=st.floats(-40, 40))
def test_a_probability_is_between_0_and_1_and_rises(link, z):
    p, above = probability([z, z + 0.01], link)
    assert 0 <= p <= above <= 1


@links
@given(p=st.floats(1e-6, 1 - 1e-6))
def test_z_of_a_probability_is_the_inverse(link, p):
    assert probability(z_of(p, link), link) == pytest.approx(p, rel=1e-9)


@links
def test_at_i_bias_the_probability_is_one_half_and_the_slope_a_quarter(link):
    step = 1e-5
    low, middle, high = probability([-step, 0, step], link)
    assert middle == pytest.approx(0.5, abs=1e-15)
    assert (high - low) / (2 * step) == pytest.approx(0.25, rel=1e-9)


@links
def test_far_currents_give_certainty_without_overflow(link):
    with np.errstate(all="raise", under="ignore"):
        assert probability([-1e6, 1e6], link).tolist() == [0, 1]


def test_a_logistic_of_best_fit_stays_within_0_05_of_a_cloglog():
    z = np.linspace(-15, 10, 2001)
    curve = probability(z, "cloglog")
    gap = minimize(lambda b: np.abs(probability(b[0] + b[1] * z) - curve).max(), [0.0, 1.0], method="Nelder-Mead").fun
    assert 0.03 < gap < 0.05


def test_an_unknown_link_is_refused_by_name():
    for call in (half, scale, lambda link: probability(0.0, link), lambda link: predictor(0.1, link)):
        with pytest.raises(ValueError, match=r"is unknown; it is one of logistic, cloglog"):
            call("probit")
