"""The fit: the fast kernel equals statsmodels, errors and intervals mean what they say, and no data can break it."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spinneurons.analysis.lines import straight_line
from spinneurons.neurons import card as cards
from spinneurons.neurons import fit as fits
from spinneurons.neurons.fit import bootstrap, fit, fit_many
from spinneurons.neurons.hall_bar import HallBar
from spinneurons.neurons.laws import LOGISTIC

CARD = cards.default()
WIDTHS = cards.value(CARD, "devices.widths")
laws = pytest.mark.parametrize("law", HallBar.laws)


def counts(rng, bias, scale, currents, cycles=100, size=None, law=LOGISTIC):
    """Binomial counts of switched cycles, as a characterization gives them."""
    p = law.probability((currents - bias) / scale)
    return rng.binomial(cycles, p, size=None if size is None else (size, currents.size))


def device(width=1.0, index=0, currents=28, cycles=100, law=LOGISTIC):
    bias, scale = HallBar(CARD).individual(width, index)
    plan = HallBar(CARD).write_currents(width, currents)
    k = counts(np.random.default_rng([int(width * 10), index]), bias, scale, plan, cycles, law=law)
    return k, np.full(currents, cycles), plan


@laws
@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32), m=st.integers(2, 30), n=st.integers(1, 300), centre=st.floats(-3, 3))
def test_the_kernel_equals_statsmodels_or_gives_the_same_reason(law, seed, m, n, centre):
    rng = np.random.default_rng(seed)
    currents = np.sort(rng.uniform(2e-4, 6e-4, m))
    bias = 4e-4 + centre * 5e-5
    k = counts(rng, bias, 4e-5, currents, n, law=law)
    one, many = fit(k, np.full(m, n), currents, law), fit_many(k[None, :], np.full(m, n), currents, law)
    assert one.reason == fits.REASONS[many.status[0]]
    if not one.reason:
        assert abs(many.i0[0] - one.i0) < 1e-5 * one.i0_stderr
        assert abs(many.i_bias[0] - one.i_bias) < 1e-5 * one.i_bias_stderr


@laws
def test_the_kernel_equals_statsmodels_on_each_of_the_36_devices(law):
    for width in WIDTHS:
        for index in range(4):
            k, n, currents = device(width, index, law=law)
            one, many = fit(k, n, currents, law), fit_many(k[None, :], n, currents, law)
            np.testing.assert_allclose([many.i_bias[0], many.i0[0]], [one.i_bias, one.i0], rtol=1e-9)


@laws
def test_the_errors_of_many_curves_are_those_of_statsmodels(law):
    for width in (5.0, 0.3):
        for index in range(4):
            k, n, currents = device(width, index, law=law)
            one, many = fit(k, n, currents, law), fit_many(np.stack([k, 0 * k]), n, currents, law)
            bias, scale = fits.standard_errors(many, n, currents, law)
            np.testing.assert_allclose([bias[0], scale[0]], [one.i_bias_stderr, one.i0_stderr], rtol=1e-6)
            assert np.isnan([bias[1], scale[1]]).all()
            unused = fits.standard_errors(many, np.append(n, 0), np.append(currents, np.nan), law)
            np.testing.assert_array_equal(unused, (bias, scale))


@laws
def test_many_vectors_at_once_are_the_same_as_one_by_one(law):
    k, n, currents = device(law=law)
    drawn = np.random.default_rng(2).binomial(n, k / n, size=(40, n.size))
    drawn[3], drawn[7] = 0, np.where(currents > currents[10], n, 0)  # among them two without a fit
    shared_axes = fit_many(drawn, n, currents, law)
    alone = [fit_many(row[None, :], n, currents, law) for row in drawn]
    np.testing.assert_allclose(shared_axes.i_bias, [a.i_bias[0] for a in alone], rtol=1e-12)
    np.testing.assert_allclose(shared_axes.i0, [a.i0[0] for a in alone], rtol=1e-12)
    assert shared_axes.status.tolist() == [a.status[0] for a in alone]
    assert shared_axes.status[3] == shared_axes.status[7] == fits.SEPARATED


@pytest.mark.parametrize(
    ("k", "n", "x"),
    [
        ([0, 0, 0, 0, 236], [0, 21, 1, 0, 236], [0.0, -0.0625, 1.0, 0.0, 0.0]),
        ([0, 32, 1, 12, 2], [0, 39, 174, 134, 119], [1.0, 0.5, 0.75, 0.0, 0.0]),
        ([0, 0, 1, 0, 300, 300], [300] * 6, [-3.0, 1.0, 1.1, 1.2, 1.25, 9.0]),
    ],
)
@laws
def test_counts_on_which_full_steps_run_away_have_the_fit_of_statsmodels(law, k, n, x):
    one, many = fit(k, n, x, law), fit_many([k], n, x, law)
    assert one.reason == fits.REASONS[many.status[0]]
    np.testing.assert_allclose([many.i_bias[0], many.i0[0]], [one.i_bias, one.i0], rtol=1e-6)


@laws
def test_exact_proportions_give_the_curve_back(law):
    currents = np.linspace(3e-4, 5e-4, 21)
    n = np.full(21, 10**9)
    k = np.round(n * law.probability((currents - 4e-4) / 2e-5))
    found = fit(k, n, currents, law)
    assert found.i_bias == pytest.approx(4e-4, rel=1e-7)
    assert found.i0 == pytest.approx(2e-5, rel=1e-6)
    assert found.dof == 19
    assert found.deviance < 0.1  # of rounding to whole counts in the tails


def test_two_currents_are_solved_by_hand_without_a_warning():
    # logit(0.2) = -ln 4, logit(0.8) = ln 4: i_bias midway, i0 = 1e-4 / (2 ln 4); perfect prediction, dof 0
    found = fit([20, 80], [100, 100], [3e-4, 4e-4])
    assert found.i_bias == pytest.approx(3.5e-4, rel=1e-12)
    assert found.i0 == pytest.approx(1e-4 / (2 * np.log(4)), rel=1e-9)
    assert found.dof == 0
    assert found.deviance == pytest.approx(0, abs=1e-9)
    # var(b1) = 2/(n p q) per (1e-4 A)^2, var(i0) = i0^4 var(b1)
    assert found.i0_stderr == pytest.approx(found.i0**2 * np.sqrt(2 / (100 * 0.16)) / 1e-4, rel=1e-6)


@laws
def test_the_unit_of_the_current_does_not_matter(law):
    k, n, currents = device(law=law)
    ampere, shifted = fit(k, n, currents, law), fit(k, n, 1e6 * currents - 250, law)
    np.testing.assert_allclose(shifted.i0, 1e6 * ampere.i0, rtol=1e-8)
    np.testing.assert_allclose(shifted.i_bias_stderr, 1e6 * ampere.i_bias_stderr, rtol=1e-8)
    np.testing.assert_allclose(shifted.deviance, ampere.deviance, rtol=1e-8)


def test_unrecorded_currents_are_left_out():
    k, n, currents = device()
    padded = fit(np.append(k, [0, 0]), np.append(n, [0, 100]), np.append(currents, [5e-3, np.nan]))
    assert padded == fit(k, n, currents)


@laws
@pytest.mark.parametrize(
    ("k", "n", "reason"),
    [
        ([0, 0, 9, 9], [9, 9, 9, 9], "separated"),
        ([0, 4, 9, 9], [9, 9, 9, 9], "separated"),  # one current with both: the slope is unbounded still
        ([0, 0, 0, 0], [9, 9, 9, 9], "separated"),
        ([9, 9, 9, 9], [9, 9, 9, 9], "separated"),
        ([9, 9, 0, 0], [9, 9, 9, 9], "separated"),
        ([9, 6, 3, 1], [9, 9, 9, 9], "falling"),
        ([0, 0, 0, 0], [0, 0, 0, 0], "no data"),
        ([0, 3, 0, 0], [0, 9, 0, 0], "no data"),
    ],
)
def test_counts_without_a_curve_give_nan_and_a_reason(k, n, reason, law):
    found = fit(k, n, [3e-4, 4e-4, 5e-4, 6e-4], law)
    assert np.isnan(found[:5]).all()
    assert found.reason.startswith(reason)
    interval = bootstrap(k, n, [3e-4, 4e-4, 5e-4, 6e-4], law, np.random.default_rng(0), 20)
    assert np.isnan(interval[:6]).all()
    assert interval.reason == found.reason


@laws
@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_no_counts_raise_or_warn(law, data):
    m = data.draw(st.integers(0, 8))
    n = np.array(data.draw(st.lists(st.integers(0, 1000), min_size=m, max_size=m)), dtype=int)
    k = np.array([data.draw(st.integers(0, int(top))) for top in n], dtype=int)
    currents = np.array(data.draw(st.lists(st.floats(-1, 1, width=16), min_size=m, max_size=m)))
    found = fit(k, n, currents, law)
    assert bool(found.reason) == bool(np.isnan(found.i_bias))
    interval = bootstrap(k, n, currents, law, np.random.default_rng(0), 30)
    assert np.isnan(interval.i_bias_low) or interval.i_bias_low <= interval.i_bias_high
    assert np.isnan(interval.i0_low) or 0 <= interval.i0_low <= interval.i0_high


def test_impossible_counts_are_the_caller_s_mistake():
    with pytest.raises(ValueError, match="a count k is below 0 or above"):
        fit([5, 1], [4, 4], [1e-4, 2e-4])
    with pytest.raises(ValueError, match="all end in the currents"):
        fit([5, 1], [4, 4, 4], [1e-4, 2e-4])


def test_fourteen_currents_of_100_trials_give_the_known_errors():
    # Monte-Carlo of the maximum-likelihood fit over +-6 i0: sd(i_bias) = 0.097 i0, sd(i0) = 5.3 %
    currents = np.linspace(-6, 6, 14)
    k = counts(np.random.default_rng(11), 0.0, 1.0, currents, size=4000)
    found = fit_many(k, np.full(14, 100), currents)
    assert np.all(found.status == fits.CONVERGED)
    assert found.i_bias.std() == pytest.approx(0.097, abs=0.005)
    assert found.i0.std() == pytest.approx(0.053, abs=0.003)
    assert abs(found.i_bias.mean()) < 4 * 0.097 / np.sqrt(4000)
    one = fit(k[0], np.full(14, 100), currents)
    assert one.i_bias_stderr == pytest.approx(0.097, rel=0.15)
    assert one.i0_stderr == pytest.approx(0.053, rel=0.15)


@laws
def test_standard_errors_are_the_scatter_of_repeated_fits(law):
    currents = np.linspace(-7, 7, 28)
    k = counts(np.random.default_rng(12), 0.0, 1.0, currents, size=3000, law=law)
    scatter = fit_many(k, np.full(28, 100), currents, law)
    stderr = np.median([fit(row, np.full(28, 100), currents, law)[1:4:2] for row in k[:60]], axis=0)
    np.testing.assert_allclose(stderr, [scatter.i_bias.std(), scatter.i0.std()], rtol=0.08)


@laws
def test_the_deviance_is_chi_squared_when_the_curve_is_right(law):
    currents = np.linspace(-3, 3, 12)
    k = counts(np.random.default_rng(13), 0.0, 1.0, currents, size=300, law=law)
    deviance = [fit(row, np.full(12, 100), currents, law).deviance for row in k]
    assert np.mean(deviance) == pytest.approx(10, abs=4 * np.sqrt(20 / 300) + 0.6)


def test_each_device_s_bias_current_is_found_within_four_standard_errors():
    for width in WIDTHS:
        for index in range(4):
            bias, scale = HallBar(CARD).individual(width, index)
            found = fit(*device(width, index))
            assert abs(found.i_bias - bias) < 4 * found.i_bias_stderr
            assert abs(found.i0 - scale) < 4 * found.i0_stderr


def test_36_fitted_devices_lie_on_a_line():
    found = np.array([[fit(*device(w, d)).i_bias for d in range(4)] for w in WIDTHS])
    assert straight_line(np.array(WIDTHS)[:, None], found).r_squared > 0.85


@pytest.mark.slow
@laws
def test_in_fifty_repeats_no_device_is_off_by_five_standard_errors_and_few_by_three(law):
    z = []
    for width in WIDTHS:
        for index in range(4):
            bias, scale = HallBar(CARD).individual(width, index)
            plan = HallBar(CARD).write_currents(width, 28)
            rng = np.random.default_rng([int(width * 10), index, 99])
            for k in counts(rng, bias, scale, plan, size=50, law=law):
                found = fit(k, np.full(28, 100), plan, law)
                z.append((found.i_bias - bias) / found.i_bias_stderr)
    assert np.abs(z).max() < 5
    assert np.mean(np.abs(z) > 3) < 0.01
    assert np.std(z) == pytest.approx(1, abs=0.06)


def test_a_bootstrap_interval_is_about_two_standard_errors_wide_on_either_side():
    k, n, currents = device()
    found, interval = fit(k, n, currents), bootstrap(k, n, currents, LOGISTIC, np.random.default_rng(0), 4000)
    assert interval.i_bias_low < found.i_bias < interval.i_bias_high
    assert (interval.i_bias_high - interval.i_bias_low) / 3.92 == pytest.approx(found.i_bias_stderr, rel=0.1)
    assert (interval.i0_high - interval.i0_low) / 3.92 == pytest.approx(found.i0_stderr, rel=0.1)
    assert interval.window_low == pytest.approx(LOGISTIC.window * interval.i0_low)
    assert (interval.separated, interval.dropped, interval.reason) == (0, 0, "")


def test_drawing_counts_is_drawing_cycles():
    k = device(currents=6, cycles=20)[0]
    rng = np.random.default_rng(0)
    cycles = np.arange(20) < k[:, None]  # the recorded cycles: k switched of 20
    drawn = np.array([[rng.choice(row, 20).sum() for row in cycles] for _ in range(2000)])
    np.testing.assert_allclose(drawn.mean(0), k, atol=0.25)
    np.testing.assert_allclose(drawn.var(0), k * (1 - k / 20), atol=0.6)  # of Binomial(20, k/20)


def test_resamples_without_a_slope_are_counted_and_lower_the_interval_to_zero():
    k, n, currents = [0, 1, 9, 10], [10, 10, 10, 10], [3e-4, 4e-4, 5e-4, 6e-4]
    interval = bootstrap(k, n, currents, LOGISTIC, np.random.default_rng(0), 2000)
    # separated if neither or only one of the two partial currents stays partial
    stay = 1 - 0.9**10
    assert interval.separated / 2000 == pytest.approx(1 - stay**2, abs=0.03)
    assert interval.i0_low == 0
    assert 4e-4 <= interval.i_bias_low <= 4.5e-4 <= interval.i_bias_high <= 5e-4


def test_a_bootstrap_is_its_stream_s():
    k, n, currents = device()
    one, same, other = (bootstrap(k, n, currents, LOGISTIC, np.random.default_rng(s), 200) for s in (1, 1, 2))
    assert one == same != other


def test_a_bootstrap_of_one_device_takes_well_below_100_ms():
    k, n, currents = device()
    took = []
    for seed in range(5):
        began = time.perf_counter()
        bootstrap(k, n, currents, LOGISTIC, np.random.default_rng(seed), 1000)
        took.append(time.perf_counter() - began)
    assert min(took) < 0.1  # the goal; the best of five, for other processes run beside


def coverage(law, repeats, width=0.3):
    bias, scale = HallBar(CARD).individual(width, 0)
    plan = HallBar(CARD).write_currents(width, 28)
    rng = np.random.default_rng(2024)
    inside = []
    for k in counts(rng, bias, scale, plan, size=repeats, law=law):
        found = bootstrap(k, np.full(28, 100), plan, law, rng, 1000)
        inside.append((found.i_bias_low <= bias <= found.i_bias_high, found.i0_low <= scale <= found.i0_high))
    return np.mean(inside, axis=0)


@pytest.mark.slow
@pytest.mark.parametrize("width", [5.0, 0.3])
@laws
def test_95_per_cent_intervals_hold_the_truth_in_90_to_98_per_cent_of_200_characterizations(law, width):
    shares = coverage(law, 200, width)
    assert np.all((shares >= 0.90) & (shares <= 0.98)), shares


def test_95_per_cent_intervals_hold_the_truth_in_most_of_40_characterizations():
    # 40 draws: fewer than 33 inside has a chance of 0.3 % at 95 %
    assert np.all(coverage(LOGISTIC, 40) * 40 >= 33)
