"""Training is a function of readings, bit for bit; even bars are the ideal sigmoid; faults stay local."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from bars import CLASSES, Faulty, Kept, bars, hardware, some, streams, trained
from hypothesis import given, settings
from hypothesis import strategies as st

from spinneurons.hil import training
from spinneurons.hil.neurons import Neurons
from spinneurons.hil.rules import PRESENTATIONS, RULES
from spinneurons.neurons.family import Readings

SHIFTS = (2.0, -1.5, 0.5, -3.0)
TRAINS = 2 * 8
"""Of a short training."""


@pytest.fixture(scope="module")
def uninterrupted() -> list[list[np.ndarray]]:
    return trained(hardware(bars(SHIFTS))).weights


def assert_equal(found: list[list[np.ndarray]], wanted: list[list[np.ndarray]]) -> None:
    for one, other in zip(found, wanted, strict=True):
        for w, v in zip(one, other, strict=True):
            assert w.tobytes() == v.tobytes()


@settings(max_examples=12)
@given(cuts=st.lists(st.integers(0, TRAINS - 1), min_size=1, max_size=4))
def test_a_training_cut_off_anywhere_ends_with_the_same_weights_bit_for_bit(
    uninterrupted: list[list[np.ndarray]], cuts: list[int]
) -> None:
    journal: dict[str, Readings] = {}
    for trains in cuts:
        if len(journal) + trains < TRAINS:
            with pytest.raises(ConnectionError):
                trained(hardware(Kept(bars(SHIFTS), journal, trains)))
    known = len(journal)
    last = Kept(bars(SHIFTS), journal)
    assert_equal(trained(hardware(last)).weights, uninterrupted)
    assert len(journal) == TRAINS
    assert known < TRAINS


def test_weights_do_not_depend_on_the_threads_of_torch(uninterrupted: list[list[np.ndarray]]) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert_equal(trained(hardware(bars(SHIFTS))).weights, uninterrupted)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_every_train_has_a_key_of_its_own() -> None:
    journal: dict[str, Readings] = {}
    trained(hardware(Kept(bars(), journal)), hidden=())
    assert list(journal)[:2] == ["epoch 1/image 0/layer 1", "epoch 1/image 1/layer 1"]
    assert list(journal)[-1] == "epoch 2/image 7/layer 1"
    assert len(journal) == TRAINS


@pytest.mark.parametrize("hidden", [(), (3,)])
def test_without_variation_and_with_many_steps_both_modes_are_one(hidden: tuple[int, ...]) -> None:
    """What differs is the noise of the switches alone, which falls with the square root of the steps."""
    apart = []
    for steps in (200, 12_800):
        numbers = range(4 + sum(hidden))
        loop = trained(hardware(bars([0.0] * len(numbers)), numbers), 4, steps, 1, hidden)
        software = trained(None, 4, steps, 1, hidden)
        apart.append(max(np.abs(w - v).max() for w, v in zip(loop.weights[0], software.weights[0], strict=True)))
        np.testing.assert_allclose(loop.shown.activation, software.shown.activation, atol=4 / np.sqrt(steps))
    # spikes of a hidden neuron add noise to the layer after it, which does not average out: the sigmoid is curved
    assert apart[1] < (apart[0] / 3 if not hidden else 0.03)


def test_software_training_takes_no_notice_of_devices_and_needs_none() -> None:
    found = trained(None)
    assert found.shown.readings == ()
    assert np.isfinite(found.shown.activation).all()
    assert found.loss[1] < found.loss[0]


def test_in_the_loop_the_loss_falls_with_devices_far_off_their_mean() -> None:
    found = trained(hardware(bars((5.0, -5.0, 4.0, -4.0))), steps=100, epochs=12)
    assert found.loss[0] > 0.4
    assert found.loss[-1] < 0.02


def test_a_faulty_neuron_keeps_its_weights_and_poisons_no_other() -> None:
    found = trained(hardware(Faulty(bars(), [2], good_trains=3)))
    whole = trained(hardware(bars()))
    assert found.shown.trials.reshape(-1, 4)[3:, 2].tolist() == [0] * 13
    assert np.isnan(found.shown.activation.reshape(-1, 4)[3:, 2]).all()
    assert np.isfinite(found.loss).all()
    np.testing.assert_array_equal(found.weights[0][0][:, 2], found.weights[1][0][:, 2])
    for j in (0, 1, 3):
        np.testing.assert_array_equal(found.weights[1][0][:, j], whole.weights[1][0][:, j])


def test_a_faulty_hidden_neuron_is_as_if_it_were_not_there() -> None:
    numbers = range(7)
    found = trained(hardware(Faulty(bars([0.0] * 7), [1]), numbers), hidden=(3,))
    first, second = found.weights[-1]
    before = trained(hardware(Faulty(bars([0.0] * 7), [1]), numbers), epochs=1, hidden=(3,)).weights[0]
    np.testing.assert_array_equal(first[:, 1], before[0][:, 1])
    np.testing.assert_array_equal(second[1], before[1][1])
    assert not np.array_equal(first[:, 0], before[0][:, 0])
    assert np.isfinite(found.loss).all()


def test_no_device_that_answers_leaves_all_weights_as_they_are() -> None:
    found = trained(hardware(Faulty(bars(), [0, 1, 2, 3])))
    assert_equal([found.weights[0]], [found.weights[1]])
    assert found.loss.tolist() == [0.0, 0.0]


def lossy(neurons: Neurons) -> Kept:
    """A journal in which every seventh sample of each neuron was lost."""

    class Lossy:
        def read(self, key: str, neuron_device: tuple[int, ...], i_write: np.ndarray) -> Readings:
            readings = neurons.read(key, neuron_device, i_write)
            readings[1][::7] = np.nan
            return readings

    return Kept(Lossy(), {})


def test_lost_samples_only_make_the_activation_coarser() -> None:
    found = trained(hardware(lossy(bars(SHIFTS))), steps=70)
    assert (found.shown.trials == 60).all()
    np.testing.assert_allclose(found.shown.activation * 60, np.rint(found.shown.activation * 60), atol=1e-9)


def test_hidden_neurons_come_before_the_outputs_and_are_read_first() -> None:
    journal: dict[str, Readings] = {}
    found = trained(hardware(Kept(bars([0.0] * 7), journal), range(7)), hidden=(3,))
    assert list(journal)[:2] == ["epoch 1/image 0/layer 1", "epoch 1/image 0/layer 2"]
    assert [w.shape for w in found.weights[0]] == [(784, 3), (3, 4)]
    assert found.shown.readings[1].shape == (2, 8, 20, 7)
    np.testing.assert_array_equal(found.shown.readings[1][0, 0, :, :3], journal["epoch 1/image 0/layer 1"][1])
    np.testing.assert_array_equal(found.shown.readings[1][0, 0, :, 3:], journal["epoch 1/image 0/layer 2"][1])


def test_the_test_shows_each_image_once_and_changes_no_weight() -> None:
    weights = trained(None).weights[-1]
    before = weights[0].copy()
    tested = some(8, "test")
    shown, inputs = training.test(weights, tested, streams(9), 30, hardware(bars()))
    assert inputs.shape == (8, 30, len(CLASSES))
    assert shown.activation.shape == (8, len(CLASSES))
    assert shown.readings[0].shape == (8, 30, 4)
    assert (shown.trials == 30).all()
    np.testing.assert_array_equal(weights[0], before)


def test_confidence_is_the_share_of_the_activations() -> None:
    found = training.confidence(np.array([[0.2, 0.6, 0.0, 0.0], [0.0] * 4, [0.5, np.nan, 0.25, 0.25]]))
    np.testing.assert_allclose(found, [[0.25, 0.75, 0, 0], [0] * 4, [0.5, np.nan, 0.25, 0.25]])
    assert training.most_confident(found).tolist() == [1, -1, 0]


def test_a_draw_is_no_answer() -> None:
    confidence = np.array([[0.5, 0.5, 0.0], [0.2, 0.4, 0.4], [0.1, 0.45, 0.45 + 1e-9], [np.nan] * 3])
    assert training.most_confident(confidence).tolist() == [-1, -1, 2, -1]


@pytest.mark.parametrize("hidden", [(), (3,)])
@pytest.mark.parametrize("rule", [name for name in RULES if name != "gradient"])
def test_a_rule_on_devices_comes_to_the_same_weights_from_what_a_journal_kept(
    rule: str, hidden: tuple[int, ...]
) -> None:
    journal: dict[str, Readings] = {}
    numbers = range(4 + sum(hidden))
    with pytest.raises(ConnectionError):
        trained(hardware(Kept(bars([0.0] * 7), journal, trains=11), numbers), hidden=hidden, rule=rule)
    found = trained(hardware(Kept(bars([0.0] * 7), journal), numbers), hidden=hidden, rule=rule)
    whole = trained(hardware(bars([0.0] * 7), numbers), hidden=hidden, rule=rule)
    assert_equal(found.weights, whole.weights)
    assert any(not np.array_equal(a, b) for a, b in zip(found.weights[0], found.weights[1], strict=True))
    again = [key for key in journal if "again" in key]
    assert len(again) == (PRESENTATIONS[rule] - 1) * 16 * (1 + len(hidden))
    assert "epoch 1/image 0/layer 1" in journal
    last = journal[f"epoch 1/image 0/layer {1 + len(hidden)}"]
    np.testing.assert_array_equal(found.shown.readings[1][0, 0, :, -4:], last[1])


@pytest.mark.parametrize("rule", RULES)
def test_lost_and_faulty_samples_keep_a_rule_s_weights_finite(rule: str) -> None:
    found = trained(hardware(Faulty(lossy(bars()), [2], good_trains=3)), rule=rule)
    assert np.isfinite(found.loss).all()
    assert all(np.isfinite(w).all() for epoch in found.weights for w in epoch)
    assert np.isnan(found.shown.activation.reshape(-1, 4)[3:, 2]).all()


@pytest.mark.slow
def test_devices_far_off_their_mean_learn_by_their_own_noise() -> None:
    found = trained(hardware(bars((1.0, -1.0, 0.5, -0.5))), steps=100, epochs=60, rule="noise-based")
    assert found.loss[-10:].mean() < 0.75 * found.loss[:3].mean()
