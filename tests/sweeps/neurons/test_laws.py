"""Switching curves: their window, their middle, and how far they are apart."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from spinneurons.neurons.card import default
from spinneurons.neurons.hall_bar import HallBar
from spinneurons.neurons.laws import CLOGLOG, LOGISTIC, BinomialLaw

laws = pytest.mark.parametrize("law", HallBar.laws, ids=lambda law: law.name)


def test_the_window_of_the_logistic_is_16_117_scale_currents():
    # ln(.999/.001) - ln(1e-4/(1 - 1e-4)) = 6.906755 + 9.210240
    assert LOGISTIC.window == pytest.approx(16.116995, abs=1e-6)


def test_the_window_of_the_cloglog_follows_from_its_quantiles():
    # eta = ln(-ln(1 - p)): ln(ln 1000) + 9.210290 in eta, times 2 ln 2 in z
    width = math.log(math.log(1000)) - math.log(-math.log(0.9999))
    assert CLOGLOG.window == pytest.approx(2 * math.log(2) * width)


@laws
@given(z=st.floats(-40, 40))
def test_a_probability_is_between_0_and_1_and_rises(law, z):
    p, above = law.probability([z, z + 0.01])
    assert 0 <= p <= above <= 1


@laws
@given(p=st.floats(1e-6, 1 - 1e-6))
def test_z_of_a_probability_is_the_inverse(law, p):
    assert law.probability(law.quantile(p)) == pytest.approx(p, rel=1e-9)


@laws
def test_at_i_bias_the_probability_is_one_half_and_the_slope_a_quarter(law):
    step = 1e-5
    low, middle, high = law.probability([-step, 0, step])
    assert middle == pytest.approx(0.5, abs=1e-15)
    assert (high - low) / (2 * step) == pytest.approx(0.25, rel=1e-9)


@laws
def test_far_currents_give_certainty_without_overflow(law):
    with np.errstate(all="raise", under="ignore"):
        assert law.probability([-1e6, 1e6]).tolist() == [0, 1]


def test_a_logistic_of_best_fit_stays_within_0_05_of_a_cloglog():
    z = np.linspace(-15, 10, 2001)
    curve = CLOGLOG.probability(z)
    gap = minimize(
        lambda b: np.abs(LOGISTIC.probability(b[0] + b[1] * z) - curve).max(), [0.0, 1.0], method="Nelder-Mead"
    ).fun
    assert 0.03 < gap < 0.05


def test_an_unknown_law_is_refused_by_name():
    with pytest.raises(ValueError, match=r"link 'probit' is unknown; it is one of card, logistic, cloglog"):
        HallBar(default()).law("probit")


@laws
def test_the_derivative_is_the_slope_of_the_probability(law):
    z = np.linspace(-6, 6, 200)
    step = 1e-6
    slope = (law.probability(z + step) - law.probability(z - step)) / (2 * step)
    np.testing.assert_allclose(law.derivative(z), slope, atol=1e-9)


@laws
def test_the_score_that_any_law_has_is_that_of_the_laws_that_write_their_own(law):
    k, n, eta = np.array([[3.0, 40.0]]), np.array([50.0, 50.0]), np.array([[-1.0, 0.8]])
    for own, general in zip(law.score(k, n, eta)[:2], BinomialLaw.score(law, k, n, eta)[:2], strict=True):
        np.testing.assert_allclose(general, own, rtol=1e-12)
    expected = BinomialLaw.score(law, n * law.inverse(eta), n, eta)
    np.testing.assert_allclose(expected[2], law.score(n * law.inverse(eta), n, eta)[2], rtol=1e-12)
