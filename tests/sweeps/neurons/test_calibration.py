"""Calibration by a few pulses: what any budget gives, against the posterior as it is written down."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import binom

from spinneurons.neurons.calibration import calibrate, pulses_at
from spinneurons.neurons.laws import CLOGLOG, LOGISTIC
from spinneurons.neurons.laws import BinomialLaw as Law

Z = np.linspace(-10, 10, 14)


def posterior(law: Law, k: np.ndarray, n: np.ndarray, shift_sd: float, gain_sd: float, at: np.ndarray) -> float:
    """Minus the logarithm of it, up to a constant; ``at``: shift, and log g if there is a second number."""
    shift, log_gain = at[0], at[1] if at.size > 1 else 0.0
    p = np.clip(law.probability((Z - shift) / np.exp(log_gain)), 1e-300, 1 - 1e-16)
    prior = (shift / shift_sd) ** 2 / 2 + ((log_gain / gain_sd) ** 2 / 2 if gain_sd else 0.0)
    return prior - float(binom.logpmf(k, n, p).sum())


@given(budget=st.integers(0, 200), m=st.integers(1, 30))
def test_a_budget_is_spent_to_the_last_pulse_and_evenly(budget: int, m: int) -> None:
    pulses = pulses_at(budget, np.linspace(-3, 5, m))
    assert pulses.sum() == budget
    assert np.ptp(pulses) <= 1


def test_pulses_that_are_left_over_go_to_the_middle() -> None:
    assert pulses_at(3, [-2.0, -1.0, 0.1, 1.0, 2.0]).tolist() == [0, 1, 1, 1, 0]


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), each=st.integers(0, 30), law=st.sampled_from([LOGISTIC, CLOGLOG]))
def test_the_estimate_is_the_largest_posterior(seed: int, each: int, law: Law) -> None:
    rng = np.random.default_rng(seed)
    n = np.full(Z.size, each)
    k = rng.binomial(n, law.probability((Z - rng.normal(0, 4)) / np.exp(rng.normal(0, 0.2))))
    for gain_sd in (0.0, 0.2):
        one = calibrate(k, n, Z, law, 4.0, gain_sd)
        ours = np.array([one.shift[0], np.log(one.gain[0])][: 2 if gain_sd else 1])
        best = minimize(lambda at, sd=gain_sd: posterior(law, k, n, 4.0, sd, at), ours, method="Nelder-Mead",
                        options={"xatol": 1e-8, "fatol": 1e-12})  # fmt: skip
        assert posterior(law, k, n, 4.0, gain_sd, ours) <= best.fun + 1e-7
        np.testing.assert_allclose(ours, best.x, atol=2e-3)


def test_no_pulses_say_that_a_device_is_nominal_and_equal_devices_that_nothing_can_be_learned() -> None:
    none = np.zeros((3, Z.size))
    assert calibrate(none, none, Z, LOGISTIC, 4.0, 0.2).shift == pytest.approx(np.zeros(3), abs=1e-9)
    assert calibrate(none, none, Z, LOGISTIC, 4.0, 0.2).gain == pytest.approx(np.ones(3), abs=1e-6)
    assert calibrate(none + 5, none + 10, Z, LOGISTIC, 0.0).shift.tolist() == [0.0] * 3


def test_devices_do_not_depend_on_those_beside_them() -> None:
    rng = np.random.default_rng(3)
    n = np.full((20, Z.size), 2)
    k = rng.binomial(n, LOGISTIC.probability(Z - rng.normal(0, 4, (20, 1))))
    together = calibrate(k, n, Z, LOGISTIC, 4.0, 0.2)
    for j in (0, 7, 19):
        alone = calibrate(k[j], n[j], Z, LOGISTIC, 4.0, 0.2)
        assert alone.shift[0] == together.shift[j]
        assert alone.gain[0] == together.gain[j]


@pytest.mark.parametrize("law", [LOGISTIC, CLOGLOG])
@pytest.mark.parametrize("pulses", [28, 140, 1400])
def test_the_error_is_that_of_the_information_in_the_pulses(law: Law, pulses: int) -> None:
    """Prior and Fisher information together bound the mean square error (van Trees' inequality is close here)."""
    rng = np.random.default_rng(pulses)
    shift = rng.normal(0, 3, 4000)
    n = np.broadcast_to(pulses_at(pulses, Z), (shift.size, Z.size))
    k = rng.binomial(n, law.probability(Z - shift[:, None]))
    error = calibrate(k, n, Z, law, 3.0).shift - shift
    p, slope = law.probability(Z - shift[:, None]), law.derivative(Z - shift[:, None])
    information = (n * slope**2 / np.maximum(p * (1 - p), 1e-12)).sum(axis=1)
    expected = np.sqrt(np.mean(1 / (information + 1 / 9)))
    assert np.sqrt(np.mean(error**2)) == pytest.approx(expected, rel=0.1)


def test_a_negative_deviation_is_refused() -> None:
    with pytest.raises(ValueError, match="neither is below 0"):
        calibrate([0], [1], [0.0], LOGISTIC, -1.0)


def test_the_gain_alone_is_estimated_where_the_shift_is_known() -> None:
    rng, n = np.random.default_rng(1), np.full(Z.size, 400)
    gains = np.array([0.7, 1.0, 1.4])
    k = rng.binomial(n, LOGISTIC.probability(Z / gains[:, None]))
    found = calibrate(k, n, Z, LOGISTIC, 0.0, 0.3)
    np.testing.assert_array_equal(found.shift, 0.0)
    for row, gain in zip(k, found.gain, strict=True):
        best = minimize(
            lambda at, k=row: posterior(LOGISTIC, k, n, 1.0, 0.3, np.array([0.0, at[0]])), [0.0], method="Nelder-Mead"
        )
        assert np.log(gain) == pytest.approx(best.x[0], abs=1e-3)
    np.testing.assert_allclose(found.gain, gains, rtol=0.15)
