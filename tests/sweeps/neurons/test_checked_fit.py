"""A curve is a fit where the counts bear it, and else they say why they do not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from spinneurons.neurons.checked_fit import LEVEL, STATUSES, bias_bounds, checked_fit, slope_p_value, with_interval
from spinneurons.neurons.fit import Interval, bootstrap, fit
from spinneurons.neurons.laws import CLOGLOG, LAWS, LOGISTIC

CURRENTS = np.linspace(4e-4, 8e-4, 11)
TRIALS = np.full(11, 30)
RISING = [0, 0, 5, 5, 10, 14, 19, 27, 28, 29, 29]

counts = st.lists(st.integers(0, 30), min_size=11, max_size=11)


@pytest.mark.parametrize("law", LAWS.values())
def test_an_honest_fit_is_that_of_the_likelihood(law):
    assert checked_fit(RISING, TRIALS, CURRENTS, law) == fit(RISING, TRIALS, CURRENTS, law)


@pytest.mark.parametrize(
    ("k", "status"),
    [
        ([0] * 11, "never_switched"),
        ([30] * 11, "always_switched"),
        ([15, 12, 12, 10, 16, 14, 13, 18, 8, 17, 11], "slope_not_different_from_zero"),
        ([17, 11, 14, 18, 13, 16, 15, 10, 17, 12, 14], "slope_not_different_from_zero"),  # falls a little
        ([15] * 11, "slope_not_different_from_zero"),
        ([0] * 8 + [1, 3, 6], "no_bias_current_in_measured_range"),
        ([24, 27, 29] + [30] * 8, "no_bias_current_in_measured_range"),
        ([0] * 5 + [30] * 6, "separated"),
        ([30] * 5 + [0] * 6, "falling"),
        ([29, 28, 25, 20, 18, 14, 9, 4, 2, 1, 0], "falling"),
    ],
)
def test_counts_without_a_fit_have_a_status_and_a_reason_and_no_numbers(k, status):
    found = checked_fit(k, TRIALS, CURRENTS)
    assert found.status == status
    assert found.status in STATUSES
    assert found.reason.startswith(status.replace("_", " "))
    assert np.isnan(found[:5]).all()
    assert found.dof == 0


def test_no_trials_are_no_data():
    assert checked_fit([0, 0], [0, 0], [4e-4, 5e-4]).status == "no_data"
    assert checked_fit([3], [9], [4e-4]).status == "no_data"
    assert checked_fit([0, 3], [0, 3], [4e-4, 5e-4]).status == "always_switched"


@given(k=counts, law=st.sampled_from(list(LAWS.values())))
@settings(deadline=None)
def test_a_fit_is_within_the_measured_currents_with_a_slope_or_it_is_none(k, law):
    found = checked_fit(k, TRIALS, CURRENTS, law)
    assert (found.status == "fitted") == (not found.reason) == np.isfinite(found.i_bias)
    if found.status == "fitted":
        assert CURRENTS[0] <= found.i_bias <= CURRENTS[-1]
        assert slope_p_value(k, TRIALS, CURRENTS, law) <= LEVEL
        assert found == fit(k, TRIALS, CURRENTS, law)


@given(k=counts)
@settings(deadline=None)
def test_the_likelihood_ratio_does_not_know_which_way_the_current_runs(k):
    assert slope_p_value(k, TRIALS, CURRENTS) == pytest.approx(
        slope_p_value(k[::-1], TRIALS, CURRENTS), rel=1e-6, nan_ok=True
    )


def test_the_likelihood_ratio_is_that_of_statsmodels():
    import statsmodels.api as sm

    k = np.array([15, 12, 12, 10, 16, 14, 13, 18, 12, 17, 19])
    responses, x = np.column_stack([k, 30 - k]), np.arange(11.0)
    with_slope, constant = (
        sm.GLM(responses, c, family=sm.families.Binomial()).fit() for c in (sm.add_constant(x), np.ones((11, 1)))
    )
    expected = stats.chi2.sf(constant.deviance - with_slope.deviance, 1)
    assert slope_p_value(k, TRIALS, CURRENTS) == pytest.approx(expected, rel=1e-9)


def test_a_device_without_slope_is_taken_for_one_with_slope_in_five_of_a_hundred_cases():
    drawn = np.random.default_rng(1).binomial(30, 0.5, size=(200, 11))
    rejected = sum(slope_p_value(k, TRIALS, CURRENTS) <= LEVEL for k in drawn)
    assert 2 <= rejected <= 21  # 10 +- 3.1


def test_an_interval_that_excludes_its_estimate_takes_the_fit_away():
    curve = fit(RISING, TRIALS, CURRENTS)
    interval = bootstrap(RISING, TRIALS, CURRENTS, LOGISTIC, np.random.default_rng(0), 200)
    assert with_interval(curve, interval) == curve
    for ends in ({"i_bias_low": 6.5e-4, "i_bias_high": 7e-4}, {"i0_high": 1e-5}):
        found = with_interval(curve, interval._replace(**ends))
        assert found.status == "interval_excludes_estimate"
        assert np.isnan(found.i_bias)
    unknown = Interval(*(np.nan,) * 6, 0, 200)
    assert with_interval(curve, unknown) == curve


def test_bounds_of_the_bias_current_of_devices_that_never_or_always_switched():
    assert bias_bounds([0] * 11, TRIALS, CURRENTS) == (CURRENTS[-1], np.inf)
    assert bias_bounds([30] * 11, TRIALS, CURRENTS) == (-np.inf, CURRENTS[0])
    assert bias_bounds([0] * 11, np.full(11, 3), CURRENTS) == (CURRENTS[-2], np.inf)  # six cycles are two currents
    assert bias_bounds([0], [5], [4e-4]) == (-np.inf, np.inf)  # 1/2^5 is 3 %
    assert bias_bounds([15] * 11, TRIALS, CURRENTS) == (-np.inf, np.inf)


def test_bounds_of_separated_counts_are_the_currents_beside_the_gap():
    assert bias_bounds([0] * 5 + [30] * 6, TRIALS, CURRENTS) == (CURRENTS[4], CURRENTS[5])


@given(seed=st.integers(0, 2**32), bias=st.floats(3e-4, 9e-4), scale=st.floats(1e-6, 2e-4))
@settings(deadline=None, max_examples=50)
def test_bounds_hold_for_every_rising_curve(seed, bias, scale):
    p = CLOGLOG.probability((CURRENTS - bias) / scale)
    drawn = np.random.default_rng(seed).binomial(30, p, size=(100, 11))
    bounds = [bias_bounds(k, TRIALS, CURRENTS) for k in drawn]
    wrong = sum(not above <= bias <= below for above, below in bounds)
    assert wrong <= 16  # 5 of 100 at most on average: more than 16 once in 50,000 tests
