"""Numbers of the device model against the paper's ratios and the model's own promises."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinneurons.analysis.lines import straight_line
from spinneurons.neurons import card as cards
from spinneurons.neurons.card import CardError
from spinneurons.neurons.hall_bar import LEAST_RATIO, HallBar
from spinneurons.neurons.laws import LOGISTIC

CARD = cards.default()
WIDTHS = np.array(cards.value(CARD, "devices.widths"))

# width um, I_bias mA, i0 uA, I_bias/i0, window mA, E/E(5 um): I_bias = 0.3798 + 0.12005 w with ratios 10 and 30,
# i0 = a (w + 0.474164) with i0(5)/i0(0.3) = sqrt(50), worked out with pencil accuracy
GOLDEN = [
    (5.0, 0.980, 98.0, 10.0, 1.580, 1.0),
    (2.5, 0.680, 53.2, 12.8, 0.858, 0.295),
    (2.0, 0.620, 44.3, 14.0, 0.714, 0.204),
    (1.5, 0.560, 35.3, 15.8, 0.570, 0.130),
    (1.0, 0.500, 26.4, 18.9, 0.425, 0.0725),
    (0.9, 0.488, 24.6, 19.8, 0.397, 0.0630),
    (0.7, 0.464, 21.0, 22.1, 0.339, 0.0460),
    (0.5, 0.440, 17.4, 25.2, 0.281, 0.0317),
    (0.3, 0.416, 13.9, 30.0, 0.223, 0.0200),
]


@pytest.mark.parametrize(("width", "bias_ma", "i0_ua", "ratio", "window_ma", "energy"), GOLDEN)
def test_a_width_has_the_currents_of_the_table(width, bias_ma, i0_ua, ratio, window_ma, energy):
    bias, scale = HallBar(CARD).i_bias(width), HallBar(CARD).i0(width)
    assert bias * 1e3 == pytest.approx(bias_ma, abs=6e-4)
    assert scale * 1e6 == pytest.approx(i0_ua, abs=0.06)
    assert bias / scale == pytest.approx(ratio, abs=0.06)
    assert LOGISTIC.window * scale * 1e3 == pytest.approx(window_ma, abs=6e-4)
    assert HallBar(CARD).relative_energy(width) == pytest.approx(energy, abs=6e-4)


def test_the_scale_currents_of_widest_and_narrowest_bar_are_sqrt_50_apart():
    assert HallBar(CARD).i0(5.0) / HallBar(CARD).i0(0.3) == pytest.approx(np.sqrt(50), rel=1e-9)


def test_the_narrowest_bar_saves_energy_50_fold():
    assert 1 / HallBar(CARD).relative_energy(0.3) == pytest.approx(50, rel=1e-9)


def test_the_ratio_of_bias_and_scale_grows_as_the_bar_narrows_and_leaves_the_edge_positive():
    ratio = HallBar(CARD).i_bias(WIDTHS) / HallBar(CARD).i0(WIDTHS)
    assert np.all(np.diff(ratio) > 0)  # widths fall
    assert ratio.min() >= LEAST_RATIO == pytest.approx(9.2102, abs=1e-4)
    edge = HallBar(CARD).i_bias(WIDTHS) - LEAST_RATIO * HallBar(CARD).i0(WIDTHS)
    assert np.all(edge > 0)
    np.testing.assert_allclose(
        LOGISTIC.probability((edge - HallBar(CARD).i_bias(WIDTHS)) / HallBar(CARD).i0(WIDTHS)), 1e-4
    )


def individuals(card=CARD, devices=range(4)):
    return np.array([[HallBar(card).individual(w, d) for d in devices] for w in WIDTHS])


def test_individuals_deviate_by_the_spread_at_most_and_two_of_them_by_25_per_cent():
    many = individuals(devices=range(200))
    bias = many[..., 0] / HallBar(CARD).i_bias(WIDTHS)[:, None]
    scale = many[..., 1] / HallBar(CARD).i0(WIDTHS)[:, None]
    assert np.abs(bias - 1).max() <= 0.125
    assert np.abs(scale - 1).max() <= 0.10
    assert 0.24 < np.ptp(bias) <= 0.25  # 1,800 draws come near the ends
    assert bias.std() == pytest.approx(0.25 / np.sqrt(12), rel=0.04)  # uniform
    assert abs(np.corrcoef(bias.ravel(), scale.ravel())[0, 1]) < 0.1


def test_an_individual_depends_on_seed_width_and_index_and_nothing_else():
    one = HallBar(CARD).individual(0.3, 1)
    assert one == HallBar(cards.default()).individual(0.1 * 3, np.int64(1))
    other = cards.default()
    other["devices"]["seed"]["value"] += 1
    other["devices"]["widths"]["value"] = [0.3]
    assert HallBar(other).individual(0.3, 1)[0] != one[0]
    assert (
        len({HallBar(CARD).individual(w, d)[0] / float(HallBar(CARD).i_bias(w)) for w in WIDTHS for d in range(4)})
        == 36
    )


def test_the_numbers_of_an_individual_are_these_for_ever():
    # written once from this code: a change of the stream changes every cube
    bias, scale = HallBar(CARD).individual(0.3, 0)
    assert (bias, scale) == (pytest.approx(GOLDEN_DEVICE[0], rel=1e-12), pytest.approx(GOLDEN_DEVICE[1], rel=1e-12))


GOLDEN_DEVICE = (0.00038519826102285286, 1.3309031730235058e-05)


def test_36_individuals_lie_on_a_line_and_their_energy_ratio_is_near_50():
    r_squared, ratios = [], []
    for seed in range(30):
        card = cards.default()
        card["devices"]["seed"]["value"] = seed
        found = individuals(card)
        r_squared.append(straight_line(WIDTHS[:, None], found[..., 0]).r_squared)
        line = straight_line(WIDTHS[:, None], found[..., 1])
        ratios.append(float(line.predict(5.0) / line.predict(0.3)) ** 2)
    assert min(r_squared) > 0.85
    assert np.median(r_squared) == pytest.approx(0.94, abs=0.02)
    assert np.mean((np.array(ratios) > 35) & (np.array(ratios) < 70)) > 0.9
    assert np.median(ratios) == pytest.approx(50, abs=5)


@given(width=st.floats(0.1, 20), n=st.integers(2, 200))
def test_the_plan_rises_covers_each_individual_and_stays_above_the_read_current(width, n):
    plan = HallBar(CARD).write_currents(width, n)
    bias, scale = float(HallBar(CARD).i_bias(width)), float(HallBar(CARD).i0(width))
    assert plan.shape == (n,)
    assert np.all(np.diff(plan) > 0)
    assert plan[0] >= cards.value(CARD, "read.current")
    assert plan[-1] >= bias * 1.125 + 6 * scale - 1e-15
    assert plan[0] == cards.value(CARD, "read.current") or plan[0] <= bias * 0.875 - 6 * scale + 1e-15


def test_the_lower_end_of_each_listed_width_is_free_of_the_floor():
    assert all(HallBar(CARD).write_currents(w, 28)[0] > cards.value(CARD, "read.current") for w in WIDTHS)


def test_a_plan_needs_two_currents_and_a_bias_above_the_read_current():
    with pytest.raises(ValueError, match="1 write currents; a curve needs at least 2"):
        HallBar(CARD).write_currents(5.0, 1)
    card = cards.default()
    card["read"]["current"]["value"] = 5e-4
    with pytest.raises(CardError, match="it has to be above the read current"):
        HallBar(card).write_currents(0.3, 28)


def test_a_reset_pulse_leaves_the_worst_individual_with_the_allowed_failure():
    for width in WIDTHS:
        worst_bias, worst_scale = HallBar(CARD).i_bias(width) * 1.125, HallBar(CARD).i0(width) * 1.1
        p = LOGISTIC.probability((-HallBar(CARD).reset_current(width) - worst_bias) / worst_scale)
        assert 1 - p == pytest.approx(1e-4, rel=1e-6)


def test_no_current_up_to_the_read_current_switches_though_the_curve_has_a_tail():
    read = cards.value(CARD, "read.current")
    tail = LOGISTIC.probability((read - 0.98e-3) / 98e-6)
    assert tail == pytest.approx(7.5e-5, rel=0.02)  # would be a 31 % disturb over a 500 ms read
    assert HallBar(CARD).probability([-read, 0, read], 0.98e-3, 98e-6, LOGISTIC).tolist() == [0, 0, 0]
    assert HallBar(CARD).probability([1.001 * read], 0.98e-3, 98e-6, LOGISTIC)[0] > 7e-5
    lax = cards.default()
    lax["read"]["never_switches"]["value"] = False
    assert HallBar(lax).probability(read, 0.98e-3, 98e-6, LOGISTIC) == tail


def test_the_hall_levels_are_the_card_s_and_a_reading_has_30_milliohm_noise():
    low, high = HallBar(CARD).resistance([-1, 1])
    assert (low + high) / 2 == pytest.approx(0.9)
    assert (high - low) / 2 == pytest.approx(2.7 * (1 - 0.0274**2 / 2), rel=1e-6)
    assert HallBar(CARD).resistance(1, 1.0) - high == pytest.approx(1.5e-6 / 50e-6)


def test_drift_starts_at_one_and_has_half_a_per_cent_after_a_week():
    normals = np.random.default_rng(1).standard_normal((20_000, 14))
    factor = HallBar(CARD).drift([0, 7, 14], normals)
    assert np.all(factor[:, 0] == 1)
    assert np.log(factor[:, 1]).std() == pytest.approx(0.005, rel=0.02)
    assert np.log(factor[:, 2]).std() == pytest.approx(0.005 * np.sqrt(2), rel=0.02)


@given(days=st.lists(st.integers(0, 30), min_size=1, max_size=5))
def test_days_are_points_of_one_path_whichever_are_asked_for(days):
    normals = np.random.default_rng(5).standard_normal(30)
    whole = HallBar(CARD).drift(range(31), normals)
    np.testing.assert_array_equal(HallBar(CARD).drift(days, normals[: max(days)]), whole[days])
    assert float(HallBar(CARD).drift(days[0], normals[: days[0]])) == whole[days[0]]


def test_a_day_without_its_steps_is_refused():
    with pytest.raises(ValueError, match="not whole numbers from 0 to the 3 steps"):
        HallBar(CARD).drift([4], np.zeros(3))
    with pytest.raises(ValueError, match="not whole numbers"):
        HallBar(CARD).drift([0.5], np.zeros(3))
