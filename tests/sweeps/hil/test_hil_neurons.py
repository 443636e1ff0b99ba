"""The device model as neurons, how z drives it, and what its readings decide."""

from __future__ import annotations

import numpy as np
import pytest
from bars import CARD, I0, I_BIAS, bars, hardware
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from spinneurons.hil.curves import characterize
from spinneurons.hil.neurons import drive
from spinneurons.hil.states import States
from spinneurons.neurons import card as cards
from spinneurons.neurons.family import Readings
from spinneurons.neurons.hall_bar import HallBar
from spinneurons.neurons.laws import LOGISTIC

LOW, HIGH = (float(HallBar(CARD).resistance(s)) for s in (-1, 1))


def test_a_key_always_means_the_same_train_whatever_was_read_before() -> None:
    neurons, other = bars(), bars()
    current = np.full((50, 4), I_BIAS)
    first = neurons.read("epoch 1/image 0/layer 1", (0, 1, 2, 3), current)
    neurons.read("epoch 1/image 1/layer 1", (0, 1, 2, 3), current)
    again = neurons.read("epoch 1/image 0/layer 1", (0, 1, 2, 3), current)
    np.testing.assert_array_equal(first, again)
    different = other.read("epoch 1/image 1/layer 1", (0, 1, 2, 3), current)
    assert not np.array_equal(first[1], different[1])
    assert first[1].shape == (50, 4)
    assert first[1].dtype == np.float32


def test_a_device_switches_with_its_own_probability_as_any_of_its_neurons() -> None:
    neurons = bars((1.5, -2.0))
    i_write = np.full((20_000, 3), I_BIAS)
    done = States(HallBar(CARD)).decide((1, 0, 1), neurons.read("x", (1, 0, 1), i_write))
    assert done.valid.all()
    np.testing.assert_allclose(done.switched.mean(axis=0), expit([2.0, -1.5, 2.0]), atol=0.015)
    np.testing.assert_allclose(neurons.probability((1, 0, 1), i_write)[0], expit([2.0, -1.5, 2.0]), rtol=1e-9)
    assert not np.array_equal(done.switched[:, 0], done.switched[:, 2])


@given(z=st.floats(-1e6, 1e6))
def test_write_currents_follow_z_between_the_read_current_and_the_limit(z: float) -> None:
    found = hardware(bars()).drive.i_write(np.full((1, 4), z))
    low, high = cards.value(CARD, "read.current"), I_BIAS + 12 * I0
    assert low <= found[0, 0] <= high
    if low < I_BIAS + z * I0 < high:
        assert found[0, 0] == pytest.approx(I_BIAS + z * I0)


@pytest.mark.parametrize("bias", [4e-5, float("nan"), -1.0])
def test_a_bias_at_which_no_pulse_could_be_made_is_refused_in_one_line(bias: float) -> None:
    with pytest.raises(ValueError, match=r"device 7: bias current .* above the read current 5e-05 A") as error:
        drive(HallBar(CARD), (3, 7), [I_BIAS, bias], I0, 12.0)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("z", "rate"), [(-30.0, 0.0), (12.0, 1.0)])
def test_a_first_train_that_shows_one_level_only_is_decided_by_the_card_s(z: float, rate: float) -> None:
    some = hardware(bars())
    current = some.drive.i_write(np.full((100, 4), z))
    done = some.states.decide((0, 1, 2, 3), some.neurons.read("x", (0, 1, 2, 3), current))
    assert done.valid.all()
    np.testing.assert_allclose(done.switched.mean(axis=0), rate, atol=0.02)


def readings(reset: float, written: list[float]) -> Readings:
    """One neuron's train with a little noise."""
    noise = np.random.default_rng(0).normal(0, 0.03, (2, len(written), 1))
    return (reset + noise[0]).astype(np.float32), (np.array(written)[:, None] + noise[1]).astype(np.float32)


def test_a_device_s_own_levels_take_the_place_of_the_card_s_once_both_are_seen() -> None:
    states = States(HallBar(CARD))
    before = states.levels(5)
    assert (before.low, before.high) == pytest.approx((LOW, HIGH))
    states.decide((5,), readings(-1.2, [-1.2] * 50))
    assert states.levels(5) == before
    states.decide((5,), readings(-1.2, [1.0] * 20 + [-1.2] * 30))
    assert (states.levels(5).low, states.levels(5).high) == pytest.approx((-1.2, 1.0), abs=0.03)
    assert states.levels(6) == before
    # now a train at one level is judged by them: 0.2 ohm would be the low level of the card
    assert states.decide((5,), readings(-1.2, [1.0] * 10)).switched.all()


def test_a_glitch_is_no_level() -> None:
    states = States(HallBar(CARD))
    done = states.decide((0,), readings(LOW, [LOW] * 99 + [60.0]))
    assert states.levels(0).high == pytest.approx(HIGH)
    assert done.valid[:, 0].tolist() == [True] * 99 + [False]
    assert not done.switched.any()


@pytest.mark.parametrize(("reset", "written"), [(HIGH, HIGH), (np.nan, np.nan), (60.0, 60.0)])
def test_a_device_that_does_not_reset_or_gives_no_reading_has_no_valid_sample(reset: float, written: float) -> None:
    assert not States(HallBar(CARD)).decide((0,), readings(reset, [written] * 100)).valid.any()


def test_the_high_level_may_be_the_reset_state() -> None:
    done = States(HallBar(CARD).with_reset_state(1)).decide((0,), readings(HIGH, [LOW] * 30 + [HIGH] * 70))
    assert done.valid.all()
    assert done.switched.mean() == 0.3


def test_curves_are_those_of_the_devices_each_measured_once() -> None:
    neurons, states = bars((1.5, -2.0)), States(HallBar(CARD))
    i_write = np.linspace(I_BIAS - 7 * I0, I_BIAS + 7 * I0, 14)
    curves = characterize(neurons, states, (1, 0, 1), i_write, 400, LOGISTIC)
    assert list(curves) == [1, 0]
    for device, shift in ((0, 1.5), (1, -2.0)):
        assert (curves[device].trials == 400).all()
        assert curves[device].fit.i_bias == pytest.approx(I_BIAS + shift * I0, abs=0.25 * I0)
        assert curves[device].fit.i0 == pytest.approx(I0, rel=0.12)
        assert states.levels(device).high == pytest.approx(HIGH, abs=0.01)
