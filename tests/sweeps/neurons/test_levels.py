"""The pulse protocol: fast equals slow, and readings decide by their own levels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spinneurons.neurons import card as cards
from spinneurons.neurons import hall_bar, hall_bar_reference, levels
from spinneurons.neurons.hall_bar import HallBar
from spinneurons.neurons.laws import LOGISTIC
from spinneurons.neurons.levels import decide, find_levels, intermediate_share, is_unchanged, level_means

CARD = cards.default()
BIAS, SCALE = 4.0e-4, 1.4e-5
CURRENTS = np.linspace(BIAS - 6 * SCALE, BIAS + 6 * SCALE, 8)


def readings(card=CARD, cycles=50, seed=0, currents=CURRENTS, law=LOGISTIC):
    return HallBar(card).measure(BIAS, SCALE, currents, cycles, np.random.default_rng(seed), law)


def truth(cycles=50, seed=0, currents=CURRENTS):
    """Which cycles switched, straight from the random numbers."""
    uniform = np.random.default_rng(seed).random((currents.size, cycles))
    return uniform < LOGISTIC.probability((currents - BIAS) / SCALE)[:, None]


@given(
    seed=st.integers(0, 2**32), law=st.sampled_from(HallBar.laws), sign=st.sampled_from([-1, 1]),
    currents=st.lists(st.floats(1e-6, 1e-3), min_size=1, max_size=5), cycles=st.integers(1, 8), rule=st.booleans(),
)  # fmt: skip
def test_the_fast_protocol_equals_the_slow_one_bit_by_bit(seed, law, sign, currents, cycles, rule):
    card = cards.default()
    card["hall"]["reset_state"]["value"] = sign
    card["read"]["never_switches"]["value"] = rule
    fast = HallBar(card).measure(BIAS, SCALE, currents, cycles, np.random.default_rng(seed), law)
    slow = hall_bar_reference.measure(card, BIAS, SCALE, currents, cycles, np.random.default_rng(seed), law.name)
    for a, b in zip(fast, slow, strict=True):
        assert a.dtype == b.dtype == np.float32
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("law", HallBar.laws)
def test_a_whole_characterization_equals_the_slow_one_bit_by_bit(law):
    bias, scale = HallBar(CARD).individual(5.0, 3)
    currents = HallBar(CARD).write_currents(5.0, 28)
    fast = HallBar(CARD).measure(bias, scale, currents, 100, np.random.default_rng(7), law)
    slow = hall_bar_reference.measure(CARD, bias, scale, currents, 100, np.random.default_rng(7), law.name)
    assert all(np.array_equal(a, b) for a, b in zip(fast, slow, strict=True))


def test_the_draws_fill_their_arrays_and_differ():
    draws = hall_bar.draw(np.random.default_rng(0), 3, 5, correlated=True)
    assert all(a.shape == (3, 5) for a in draws)
    assert len(np.unique(draws)) == 60
    assert 0 <= draws.uniform.min() < draws.uniform.max() < 1
    plain = hall_bar.draw(np.random.default_rng(0), 3, 5)
    assert plain[3] is None
    for a, b in zip(plain[:3], draws[:3], strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("sign", [-1, 1])
def test_readings_give_back_what_switched_for_either_reset_state(sign):
    card = cards.default()
    card["hall"]["reset_state"]["value"] = sign
    found = decide(*readings(card), reset_state=sign)
    assert found.reason == ""
    assert found.valid.all()
    np.testing.assert_array_equal(found.switched, truth())
    assert found.levels.threshold == pytest.approx(0.9, abs=0.02)  # the offset, not 0


def test_the_threshold_follows_the_device_s_own_levels():
    r_reset, r_write = readings()
    shifted = decide(r_reset + 50, r_write + 50)
    scaled = decide(0.01 * r_reset - 7, 0.01 * r_write - 7)
    for found in (shifted, scaled):
        np.testing.assert_array_equal(found.switched, truth())


def test_a_lost_sample_is_invalid_and_costs_no_other():
    r_reset, r_write = (r.copy() for r in readings())
    r_reset[0, 3], r_write[4, 7], r_write[5, 2] = np.nan, np.inf, 9.9e37  # 9.9e37: SCPI's overflow mark
    found = decide(r_reset, r_write)
    expected = np.ones_like(found.valid)
    expected[0, 3] = expected[4, 7] = expected[5, 2] = False
    np.testing.assert_array_equal(found.valid, expected)
    np.testing.assert_array_equal(found.switched, truth() & expected)


def test_a_failed_reset_is_invalid_and_not_counted_as_switched():
    r_reset, r_write = (r.copy() for r in readings())
    r_reset[6, :5] = r_write[7, 0] = r_write.max()
    found = decide(r_reset, r_write)
    assert not found.valid[6, :5].any()
    assert not found.switched[6, :5].any()
    assert found.valid.sum() == found.valid.size - 5


def test_a_few_glitches_do_not_move_the_threshold_and_are_invalid():
    r_reset, r_write = (r.copy() for r in readings())
    r_write[2, 5], r_reset[3, 1] = 400.0, -350.0
    found = decide(r_reset, r_write)
    assert found.levels.threshold == pytest.approx(0.9, abs=0.02)
    assert not found.valid[2, 5]
    assert not found.valid[3, 1]
    assert found.valid.sum() == found.valid.size - 2


def test_a_device_that_never_switches_is_measured_and_shows_one_level():
    r_reset, r_write = (r.copy() for r in readings(currents=np.full(8, 6e-5)))
    r_write[2, 3] = np.nan
    found = decide(r_reset, r_write)
    assert found.reason == ""
    assert not found.switched.any()
    assert (~found.valid).sum() == 1
    assert found.levels.reason.startswith("one resistance level only: the two best classes are 0.0")
    assert np.isnan(found.levels.threshold)


def test_a_dead_device_whose_reading_is_one_number_never_switched():
    found = decide(np.full((5, 10), -1.8), np.full((5, 10), -1.8))
    assert found.valid.all()
    assert not found.switched.any()


@pytest.mark.parametrize("swing", [1.0, 1.9, 3.0, 5.0])
def test_a_switch_that_hides_in_the_noise_is_no_proof_that_there_was_none(swing):
    rng = np.random.default_rng(5)
    p = np.linspace(0, 1, 11)[:, None]
    r_reset, r_write = rng.normal(size=(2, 11, 40))
    r_write += np.where(rng.random((11, 40)) < p, swing, 0)
    assert not is_unchanged(r_reset, r_write)
    assert not decide(r_reset, r_write).valid.any()


@pytest.mark.parametrize("cycles", [3, 10, 30, 100])
def test_a_device_that_rests_is_told_whatever_the_number_of_cycles(cycles):
    rng = np.random.default_rng(cycles)
    assert sum(is_unchanged(*rng.normal(size=(2, 28, cycles))) for _ in range(200)) >= 195


def test_four_pairs_are_no_proof_that_a_device_never_switched():
    r_reset, r_write = np.random.default_rng(0).normal(size=(2, 2, 2))
    assert not is_unchanged(r_reset, r_write)
    assert decide(r_reset, r_write).reason


def test_heating_that_shifts_a_written_reading_a_little_is_no_switch():
    r_reset, r_write = np.random.default_rng(0).normal(size=(2, 11, 60))
    assert is_unchanged(r_reset, r_write + 0.2)


def test_a_drifting_offset_is_named_where_the_pairs_show_two_levels():
    r_reset, r_write = (r + np.linspace(0, 20, r.shape[1]) for r in readings())
    found = decide(r_reset, r_write)
    assert not found.valid.any()
    assert "differences of the pairs have two levels" in found.reason
    assert "an offset drifts" in found.reason


@given(
    levels_=st.lists(st.floats(-10, 10), min_size=1, max_size=4),
    shares=st.lists(st.floats(0.05, 1), min_size=4, max_size=4),
    seed=st.integers(0, 2**32),
)
@settings(deadline=None)
def test_the_levels_of_a_mixture_are_counted(levels_, shares, seed):
    means = np.unique(np.round(levels_))  # 1 ohm apart and more, 20 standard deviations
    rng = np.random.default_rng(seed)
    weights = np.array(shares[: means.size]) / sum(shares[: means.size])
    drawn = rng.permutation(np.repeat(means, np.maximum(np.round(600 * weights), 20).astype(int)))
    found = level_means(drawn + rng.normal(0, 0.05, drawn.size))
    assert found.size == means.size
    np.testing.assert_allclose(found, means, atol=0.06)


def test_glitches_are_no_level():
    r_reset, r_write = (r.copy() for r in readings())
    r_write[2, 5], r_reset[3, 1] = 400.0, -350.0
    np.testing.assert_allclose(level_means(np.stack([r_reset, r_write])), [-1.8, 3.6], atol=0.05)


def test_a_device_that_switches_a_few_times_has_two_levels():
    r_reset, r_write = readings(currents=np.full(8, 6e-5))
    r_write[3, 3:6] = 3.6
    np.testing.assert_allclose(level_means(np.stack([r_reset, r_write])), [-1.8, 3.6], atol=0.05)


def test_a_device_that_stops_half_way_has_three_levels_and_a_share_between():
    r_reset, r_write = (r.copy() for r in readings())
    half_way = truth() & (np.random.default_rng(9).random(r_write.shape) < 0.4)
    r_write[half_way] = 0.6
    np.testing.assert_allclose(level_means(np.stack([r_reset, r_write])), [-1.8, 0.6, 3.6], atol=0.05)
    assert intermediate_share(r_reset, r_write) == pytest.approx(half_way.mean())
    assert intermediate_share(*readings()) == 0.0


def test_a_wall_that_stops_anywhere_gives_no_levels_and_a_share_between():
    r_reset, r_write = (r.copy() for r in readings())
    r_write += np.where(truth(), np.random.default_rng(9).uniform(-5.4, 0, r_write.shape), 0)
    assert intermediate_share(r_reset, r_write) > 0.3
    assert not decide(r_reset, r_write).valid.any()


def test_a_device_that_switches_once_is_seen():
    r_reset, r_write = readings(currents=np.full(8, 6e-5))
    r_write[3, 3] = 3.6
    found = decide(r_reset, r_write)
    assert found.switched.sum() == 1
    assert found.valid.all()


def test_a_device_that_always_switches_is_valid():
    found = decide(*readings(currents=np.full(4, 9e-4)))
    assert found.switched.all()
    assert found.valid.all()


def test_levels_that_drown_in_noise_decide_nothing():
    card = cards.default()
    card["read"]["noise"]["value"] = 150e-6  # 0.01 power line cycles: half the swing is 0.9 standard deviations
    found = decide(*readings(card, cycles=200))
    assert not found.valid.any()
    assert "one resistance level only" in found.reason


def test_readings_without_noise_are_decided():
    card = cards.default()
    card["read"]["noise"]["value"] = 0.0
    np.testing.assert_array_equal(decide(*readings(card)).switched, truth())


def test_the_wrong_reset_state_is_noticed():
    found = decide(*readings(), reset_state=1)
    assert not found.valid.any()
    assert found.reason == "0% of the reset readings are at the high level; check the reset pulse and the reset state"


def test_no_reading_at_all_has_a_reason():
    empty = np.full((3, 4), np.nan)
    found = decide(empty, empty)
    assert found.reason == "0 usable readings; two levels need at least 2"
    assert found.valid.shape == (3, 4)


def test_known_levels_decide_a_recording_too_short_to_show_both():
    levels = find_levels(np.stack(readings()))
    one = decide([-1.8], [-1.79], levels=levels)
    assert one.valid.tolist() == [True]
    assert one.switched.tolist() == [False]
    assert decide([-1.8], [3.61], levels=levels).switched.tolist() == [True]


def test_mismatched_readings_and_unknown_reset_states_are_refused():
    with pytest.raises(ValueError, match="they are pairs of readings"):
        decide([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match=r"reset state 0; it is -1"):
        decide([1.0], [1.0], reset_state=0)


@settings(deadline=None)
@given(values=st.lists(st.floats(-100, 100), min_size=2, max_size=12, unique=True))
def test_the_cut_is_the_best_of_all_cuts(values):
    ordered = np.sort(np.array(values))
    (low, high, noise, _), cut = levels._cut(ordered)

    def within(c):
        return np.sum((ordered[:c] - ordered[:c].mean()) ** 2) + np.sum((ordered[c:] - ordered[c:].mean()) ** 2)

    best = min(within(c) for c in range(1, ordered.size))
    assert within(cut) <= best + 1e-9 * np.sum(ordered**2)
    assert noise == pytest.approx(np.sqrt(within(cut) / ordered.size), abs=1e-9)
    assert low < high


@given(n=st.integers(20, 400), seed=st.integers(0, 2**32))
def test_one_level_of_normal_noise_is_never_taken_for_two(n, seed):
    assert find_levels(np.random.default_rng(seed).normal(2.0, 0.03, n)).reason
