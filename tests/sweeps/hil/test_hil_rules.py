"""Rules of learning: each is what its equation says, and those without a model agree with the gradient on average."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from spinneurons.hil import network, rules, rules_reference
from spinneurons.hil.network import Switches
from spinneurons.hil.rules import PRESENTATIONS, RULES, Floats, Layer, Show

SIZES = (9, 6, 4, 3)


def start(seed: int = 0, dtype: type = np.float64, size: float = 0.8) -> list[Floats]:
    return [w.astype(dtype) for w in network.start(np.random.default_rng(seed), SIZES, size)]


def spikes(steps: int = 12, seed: int = 1, dtype: type = np.float64) -> Floats:
    return (np.random.default_rng(seed).random((steps, SIZES[0])) < 0.5).astype(dtype)


def stochastic(train: Floats, seed: int, shift: Sequence[float] = (0.7, -0.4, 0.2), lost: float = 0.0) -> Show:
    """Neurons whose bias is off by the shift of their layer; some samples are lost."""

    def show(time: int, weights: Sequence[Floats], offsets: Sequence[Floats] | None = None) -> list[Layer]:
        rng = np.random.default_rng([seed, time])

        def respond(layer: int, z: Floats) -> Switches:
            valid = rng.random(z.shape) >= lost
            return Switches((rng.random(z.shape) < expit(z - shift[layer])) & valid, valid)

        return rules.forward(weights, train, respond, offsets)

    return show


@pytest.mark.parametrize("lost", [0.0, 0.3])
@pytest.mark.parametrize("rule", RULES)
def test_a_rule_is_the_sum_over_steps_inputs_and_neurons(rule: str, lost: float) -> None:
    weights = start(dtype=np.float32)
    show = stochastic(spikes(dtype=np.float32), 3, lost=lost)
    fast = RULES[rule](show, weights, 1, np.random.default_rng(5), 0.3)
    slow = rules_reference.step(rule, show, weights, 1, np.random.default_rng(5), 0.3)
    assert fast.loss == pytest.approx(slow.loss, rel=1e-6)
    for one, other in zip(fast.gradient, slow.gradient, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-4, atol=1e-7)
    assert any(np.abs(g).max() > 0 for g in fast.gradient)


@pytest.mark.parametrize("lost", [0.0, 0.3, 1.0])
def test_the_gradient_is_that_of_automatic_differentiation(lost: float) -> None:
    weights, show = start(), stochastic(spikes(), 3, lost=lost)
    by_rule = rules.gradient(show, weights, 2, np.random.default_rng(0))
    kept = {layer: one.done for layer, one in enumerate(show(0, weights))}
    tensors = network.tensors(weights)
    response = network.present(tensors, spikes(), lambda layer, z: kept[layer])
    loss = network.loss_of(response.activation[-1], 2)
    assert by_rule.loss == pytest.approx(loss.item(), abs=1e-12)
    if not loss.requires_grad or lost == 1.0:
        assert all((g == 0).all() for g in by_rule.gradient)
        return
    for one, other in zip(by_rule.gradient, torch.autograd.grad(loss, tensors), strict=True):
        np.testing.assert_allclose(one, other.numpy(), rtol=1e-3, atol=1e-7)


@given(shift=st.floats(-10, 10), spread=st.floats(0.01, 8), seed=st.integers(0, 100), lost=st.floats(0, 0.9))
def test_the_shift_behind_switches_is_the_one_that_halving_finds(
    shift: float, spread: float, seed: int, lost: float
) -> None:
    rng = np.random.default_rng(seed)
    z = rng.normal(0, spread, (40, 3)) + shift
    valid = rng.random(z.shape) >= lost
    done = Switches((rng.random(z.shape) < expit(z)) & valid, valid)
    # ours counts a neuron's valid steps, so that of lost ones no z bounds the bracket
    found = rules.matching_shift(Layer(np.zeros((40, 1)), z, done))
    np.testing.assert_allclose(found, network.matching_shift(z, done), atol=1e-3)


def probability(weights: Sequence[Floats], outcome: Sequence[np.ndarray], offsets: Sequence[Floats] | None) -> float:
    """Of what the layers do, (steps, neurons) each, where all inputs spike in each step."""
    inputs, p = np.ones((len(outcome[0]), len(weights[0]))), 1.0
    for number, (w, done) in enumerate(zip(weights, outcome, strict=True)):
        each = expit(inputs @ w + (0 if offsets is None else offsets[number]) - 0.3)
        p *= float(np.prod(np.where(done, each, 1 - each)))
        inputs = done.astype(float)
    return p


def outcomes(sizes: Sequence[int], steps: int) -> list[list[np.ndarray]]:
    """All that the layers can do."""
    ends = np.cumsum([steps * n for n in sizes])
    bits = product([False, True], repeat=int(ends[-1]))
    return [[part.reshape(steps, -1) for part in np.split(np.array(b), ends[:-1])] for b in bits]


class AllSigns(np.random.Generator):
    """Gives one after the other all bits that a rule may ask for."""

    def __init__(self, bits: int) -> None:
        super().__init__(np.random.PCG64(0))
        self.left = bits

    def bytes(self, length: int) -> bytes:
        self.left, taken = divmod(self.left, 256)
        assert length == 1
        return bytes([taken])


@pytest.mark.parametrize(
    ("rule", "size", "sizes", "steps"),
    [
        ("noise-based", 0.0, (2,), 2),
        ("noise-based", 0.0, (2, 2), 1),
        ("node-perturbation", 0.05, (2,), 2),
        ("node-perturbation", 0.05, (2, 2), 1),
        ("weight-perturbation", 0.05, (2,), 2),
    ],
)
def test_rules_without_a_model_find_on_average_how_the_mean_loss_depends_on_a_weight(
    rule: str, size: float, sizes: tuple[int, ...], steps: int
) -> None:
    """The mean over all that can happen, each as often as it does: no sampling error."""
    weights = [
        w[: sizes[k - 1] if k else 2] for k, w in enumerate([np.array([[0.5, -0.8], [0.3, 0.9]])] * len(sizes))
    ]
    every, target = outcomes(sizes, steps), 1

    def mean_loss(w: Sequence[Floats]) -> float:
        errors = [o[-1].mean(axis=0) - np.eye(2)[target] for o in every]
        return sum(probability(w, o, None) * float(e @ e) / 2 for o, e in zip(every, errors, strict=True))

    bits = {"noise-based": 0, "node-perturbation": sum(sizes), "weight-perturbation": 4}[rule]
    found, total = np.zeros((2, 2)), 0.0
    for signs in range(1 << bits):
        packed = sum(((signs >> k & 3) << 6) << 8 * n for n, k in enumerate(range(0, bits, 2)))  # a byte a layer
        if rule == "weight-perturbation":
            packed = (signs & 15) << 4
        for pair in product(every, every):
            weight = [1.0]

            def show(
                time: int, w: Sequence[Floats], offsets: Sequence[Floats] | None = None,
                pair: tuple[list[np.ndarray], list[np.ndarray]] = pair, weight: list[float] = weight,
            ) -> list[Layer]:  # fmt: skip
                weight[0] *= probability(w, pair[time], offsets)
                done = iter(pair[time])

                def respond(layer: int, z: Floats) -> Switches:
                    switched = next(done)
                    return Switches(switched, np.ones_like(switched))

                return rules.forward(w, np.ones((steps, 2)), respond, offsets)

            gradient = RULES[rule](show, weights, target, AllSigns(packed), size).gradient[0]
            found, total = found + weight[0] * gradient, total + weight[0]
    assert total == pytest.approx(1 << bits)
    expected = np.empty((2, 2))
    for at in np.ndindex(2, 2):
        nudged = [[w.copy() for w in weights] for _ in range(2)]
        nudged[0][0][at] += 1e-4
        nudged[1][0][at] -= 1e-4
        expected[at] = (mean_loss(nudged[0]) - mean_loss(nudged[1])) / 2e-4
    np.testing.assert_allclose(found / total, expected, rtol=1e-6 if rule == "noise-based" else 5e-3, atol=1e-5)
    assert np.abs(expected).max() > 0.005


def test_the_devices_luck_alone_teaches_a_neuron_to_switch_and_not_to() -> None:
    """One layer, two inputs that never spike together: each class learns its own input."""
    weights, rng = [np.zeros((2, 2))], np.random.default_rng(0)
    for k in range(4000):
        target = int(rng.integers(2))
        train = np.zeros((20, 2))
        train[:, target] = 1
        weights[0] -= 0.2 * rules.noise_based(stochastic(train, k, (0.5,)), weights, target, rng).gradient[0]
    assert (weights[0].diagonal() > 1).all()
    assert (weights[0][~np.eye(2, dtype=bool)] < -1).all()


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_says_how_often_it_shows_an_image(rule: str) -> None:
    times: list[int] = []

    def counting(time: int, weights: Sequence[Floats], offsets: Sequence[Floats] | None = None) -> list[Layer]:
        times.append(time)
        return stochastic(spikes(), 0)(time, weights, offsets)

    RULES[rule](counting, start(), 0, np.random.default_rng(0), 0.1)
    assert times == list(range(PRESENTATIONS[rule]))
