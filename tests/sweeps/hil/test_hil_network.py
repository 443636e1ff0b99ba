"""The gradient is that of the ideal sigmoid, and the sigmoid behind readings is the one that gave them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from spinneurons.hil import network
from spinneurons.hil.network import Switches


@pytest.mark.parametrize("layers", [(20, 4), (20, 7, 4), (20, 6, 5, 3)])
def test_the_gradient_in_software_is_the_finite_difference_through_the_ideal_sigmoid(layers: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    start = network.start(rng, layers, 0.8)
    train = (rng.random((30, 20)) < 0.4).astype(float)

    def loss(weights: list[np.ndarray]) -> float:
        flow = train
        for w in weights:
            flow = expit(flow @ w)
        return float(0.5 * np.sum((flow.mean(axis=0) - np.eye(layers[-1])[1]) ** 2))

    weights = network.tensors(start)
    response = network.present(weights, train)
    found = network.loss_of(response.activation[-1], 1)
    assert found.item() == pytest.approx(loss(start), rel=1e-12)
    gradients = [g.numpy() for g in torch.autograd.grad(found, weights)]
    for layer, w in enumerate(start):
        for at in ((0, 0), (w.shape[0] - 1, w.shape[1] - 1), (2, 1)):
            nudged = [[v.copy() for v in start] for _ in range(2)]
            nudged[0][layer][at] += 1e-5
            nudged[1][layer][at] -= 1e-5
            slope = (loss(nudged[0]) - loss(nudged[1])) / 2e-5
            assert gradients[layer][at] == pytest.approx(slope, rel=1e-6, abs=1e-10)


def test_a_step_of_descent_is_the_rate_times_the_gradient_against_it() -> None:
    weights = network.tensors([np.array([[0.5, -0.2], [0.1, 0.3]])])
    before = network.arrays(weights)[0]
    train = np.array([[1.0, 0.0], [1.0, 1.0]])
    p = expit(train @ before)
    a = p.mean(axis=0)
    gradient = train.T @ (p * (1 - p)) / 2 * (a - [1, 0])
    network.descend(weights, network.loss_of(network.present(weights, train).activation[0], 0), 0.7)
    np.testing.assert_allclose(network.arrays(weights)[0], before - 0.7 * gradient, rtol=1e-12)


@given(
    shift=st.floats(-10, 10),
    spread=st.floats(0.01, 8),
    seed=st.integers(0, 100),
)
def test_the_shift_behind_readings_is_found_where_they_are_the_sigmoid_s_own(
    shift: float, spread: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    z = rng.normal(0, spread, (4000, 1)) + shift
    done = Switches(rng.random(z.shape) < expit(z - shift), np.ones(z.shape, np.bool_))
    found = network.matching_shift(z, done)
    wanted = (done.switched.sum() + 0.5) / (len(z) + 1)
    assert expit(z - found).mean() == pytest.approx(wanted, abs=1e-9)
    slope = np.mean(expit(z - shift) * (1 - expit(z - shift)))
    assert found[0] == pytest.approx(shift, abs=5 * 0.5 / np.sqrt(len(z)) / slope)


def test_only_valid_steps_count_for_the_shift_and_without_any_it_is_zero() -> None:
    z = np.array([[0.3, 1.0], [-0.5, 2.0], [9.0, 3.0]])
    valid = np.array([[True, False], [True, False], [False, False]])
    done = Switches(np.array([[True, False], [False, False], [False, False]]), valid)
    found = network.matching_shift(z, done)
    assert expit(z[:2, 0] - found[0]).mean() == pytest.approx(0.5)
    assert found[1] == 0


@pytest.mark.parametrize("always", [False, True])
def test_a_neuron_that_never_or_always_switched_still_learns(always: bool) -> None:
    rng = np.random.default_rng(1)
    weights = network.tensors(network.start(rng, (30, 2), 0.5))
    before = network.arrays(weights)[0]
    train = (rng.random((100, 30)) < 0.5).astype(float)
    response = network.present(
        weights, train, lambda _, z: Switches(np.full(z.shape, always), np.ones(z.shape, np.bool_))
    )
    assert response.activation[0].tolist() == [float(always)] * 2
    network.descend(weights, network.loss_of(response.activation[0], 0), 1.0)
    change = network.arrays(weights)[0] - before
    wrong = 1 if always else 0
    assert np.all(change[:, wrong] < 0) if always else np.all(change[:, wrong] > 0)


def test_the_activation_is_the_share_of_valid_steps_that_switched() -> None:
    train = np.ones((4, 3))
    switched = np.array([[1, 0], [1, 0], [0, 0], [0, 0]], np.bool_)
    valid = np.array([[1, 0], [1, 0], [1, 0], [0, 0]], np.bool_)
    response = network.present(network.tensors([np.zeros((3, 2))]), train, lambda *_: Switches(switched, valid))
    np.testing.assert_array_equal(response.activation[0].detach().numpy(), [2 / 3, np.nan])
    np.testing.assert_array_equal(response.trials[0], [3, 0])


def test_a_pixel_spikes_as_often_as_it_is_bright() -> None:
    pixels = np.array([0, 51, 128, 255], np.uint8)
    train = network.poisson_train(np.random.default_rng(0), pixels, 20_000)
    np.testing.assert_allclose(train.mean(axis=0), pixels / 255, atol=0.015)
    assert train[:, 0].sum() == 0
    assert train[:, 3].all()
