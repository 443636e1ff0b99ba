"""The frontier: each method is what its equations say, whatever is computed beside it, and any other loop agrees."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bars import CARD, I0, some, streams
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from spinneurons.hil import frontier_reference, network, reference
from spinneurons.hil.accuracy import counts
from spinneurons.hil.chips import Deviations, OutputDevices, Population, population
from spinneurons.hil.frontier import FRONTIER
from spinneurons.hil.methods import METHODS, Schedule
from spinneurons.mnist import data
from spinneurons.neurons import card as cards
from spinneurons.neurons.hall_bar import HallBar
from spinneurons.neurons.laws import LOGISTIC
from spinneurons.neurons.population import card_deviations
from spinsweep.cli import main
from spinsweep.evaluate import evaluate

Floats = np.ndarray[Any, np.dtype[np.float64]]

SMALL = FRONTIER.with_values(
    pulses=(0, 28, 90, 260), variation=(0.0, 0.25), ratio=(35.0,), i0_variation=(0.1,), seed=(0, 1),
    epochs=2, steps=10, images=8, test_images=130, calibration_pulses=28,
)  # fmt: skip


CARD_BARS = Deviations(25.2, 0.25, 0.1)


def devices(seed: int = 5, far: Deviations = CARD_BARS) -> OutputDevices:
    x = Population().draw(np.random.default_rng(seed), 4)
    return OutputDevices(HallBar(CARD), LOGISTIC, I0, x, far, Population(), streams(seed), 12.0)


def schedule(steps: int = 6, epochs: int = 1, images: int = 4) -> Schedule:
    (initial,) = network.start(np.random.default_rng(2), (data.PIXELS, 4), 0.1)
    return Schedule(some(images), initial, streams(4), streams(5), streams(6), steps, epochs, 0.3, 20.0, 14, 10)


@cache
def numbers() -> dict[str, Floats]:
    """All outputs of the small sweep."""
    found = evaluate(SMALL, {a.name: a.values for a in SMALL.axes})
    assert not found.errors
    return found.values


def accuracy_of(name: str) -> Floats:
    """(pulses, variation, seed) accuracy of a method."""
    found: Floats = numbers()["accuracy"][list(METHODS).index(name), :, :, 0, 0]
    return found


@pytest.mark.parametrize("method", METHODS)
def test_a_method_is_the_loop_over_images_steps_and_pixels(method: str) -> None:
    one, plan, tested = devices(), schedule(), some(8, "test")
    budgets = [0, 17, 28, 47]
    fast = METHODS[method](one, plan, budgets)
    for budget, outcome in zip(budgets, fast, strict=True):
        slow = frontier_reference.result(method, one, plan, budget)
        np.testing.assert_allclose(outcome.network.weights, slow.weights, rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(outcome.network.drive.i_bias, slow.drive.i_bias, rtol=1e-9)
        np.testing.assert_array_equal(outcome.network.drive.i0, slow.drive.i0)
        np.testing.assert_array_equal(
            counts([outcome.network], tested, streams(7), 6)[0], reference.counts(slow, tested, streams(7), 6)
        )
        assert outcome.cycles <= budget


def test_no_pulses_change_nothing_and_no_method_uses_more_than_its_budget() -> None:
    for name in ("calibrated", "calibrated-i0", "software-then-loop", "output-trim"):
        np.testing.assert_array_equal(accuracy_of(name)[0], accuracy_of("none")[0], name)
    np.testing.assert_array_equal(accuracy_of("in-the-loop-calibrated")[0], accuracy_of("in-the-loop")[0])
    used = numbers()["pulses_used"]
    assert (used <= np.array([0, 28, 90, 260])[:, None, None, None, None]).all()
    assert (np.diff(used, axis=1) >= 0).all()
    by_method = dict(zip(METHODS, used[:, -1, 0, 0, 0, 0].tolist(), strict=True))
    assert by_method == {
        "none": 0, "calibrated": 260, "calibrated-i0": 260, "variation-aware": 0, "output-trim": 260,
        "software-then-loop": 260, "in-the-loop": 260, "in-the-loop-calibrated": 28 + 230,
    }  # fmt: skip
    np.testing.assert_allclose(numbers()["hours"], used * 5.0002 / 3600)


def test_methods_without_pulses_are_the_same_at_every_budget() -> None:
    for name in ("none", "variation-aware"):
        assert (accuracy_of(name) == accuracy_of(name)[:1]).all()


def test_devices_that_do_not_deviate_in_i0_are_not_calibrated_for_it() -> None:
    one, plan = devices(far=Deviations(35.0, 0.25, 0.0)), schedule()
    plain, both = (METHODS[name](one, plan, [28])[0].network.drive for name in ("calibrated", "calibrated-i0"))
    np.testing.assert_array_equal(plain.i_bias, both.i_bias)
    np.testing.assert_array_equal(plain.i0, both.i0)
    assert len(set(plain.i_bias)) == 4


def test_many_pulses_find_bias_and_scale_current_of_each_device() -> None:
    one = devices()
    i_bias, i0 = np.array(list(one.neurons.devices.values())).T
    found = one.calibrated(200_000, 14, gain=True)
    np.testing.assert_allclose(found.i_bias, i_bias, atol=0.05 * I0)
    np.testing.assert_allclose(found.i0, i0, rtol=0.04)
    assert len(set(i0)) == 4


@pytest.mark.slow
@settings(max_examples=5)
@given(data=st.data())
def test_any_box_of_the_frontier_has_the_same_numbers(data: st.DataObject) -> None:
    places = [data.draw(st.lists(st.integers(0, len(a.values) - 1), min_size=1, unique=True)) for a in SMALL.axes]
    box = {a.name: tuple(a.values[i] for i in p) for a, p in zip(SMALL.axes, places, strict=True)}
    found = evaluate(SMALL, box)
    assert not found.errors
    for name in numbers():
        np.testing.assert_array_equal(found.values[name], numbers()[name][np.ix_(*places)], name)


def listing(*devices: tuple[float, int, float, float]) -> dict[str, Any]:
    """A card that lists devices: width, index, and deviations of I_bias and i0."""
    card, family = copy.deepcopy(CARD), HallBar(CARD)
    card["device"] = [
        {"width_um": w, "index": i, "i_bias": float(family.i_bias(w)) * (1 + a), "i_bias_stderr": 0.0,
         "i0": float(family.i0(w)) * (1 + b), "i0_stderr": 0.0}
        for w, i, a, b in devices
    ]  # fmt: skip
    return cards.validate(card)


def test_chips_of_a_card_are_its_measured_devices_drawn_with_replacement() -> None:
    card = listing((5.0, 0, 0.05, -0.02), (0.5, 1, -0.2, 0.04), (0.5, 3, 0.1, 0.0))
    deviations = card_deviations(HallBar(card))
    np.testing.assert_allclose(deviations, [[0.05, -0.02], [-0.2, 0.04], [0.1, 0.0]], atol=1e-12)
    assert len(card_deviations(HallBar(CARD))) == 36
    drawn = population(HallBar(card), "card").draw(np.random.default_rng(0), 3000) * [[0.2], [0.04]]
    rows, times = np.unique(drawn.T.round(9), axis=0, return_counts=True)
    np.testing.assert_allclose(rows, [[-0.2, 0.04], [0.05, -0.02], [0.1, 0.0]], atol=1e-9)
    assert (np.abs(times - 1000) < 5 * np.sqrt(3000 * 2 / 9)).all()
    chosen = FRONTIER.with_values(card=card, chips="card")
    assert chosen.axis("variation").values == (pytest.approx(0.2),)
    assert chosen.axis("i0_variation").values == (pytest.approx(0.04),)
    assert chosen.axis("ratio").values == (pytest.approx(25.2, abs=0.1),)
    assert replace(chosen, overrides={"card": card}).digest != chosen.digest


def test_images_that_do_not_fit_the_classes_are_refused_before_anything_runs(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "frontier.zarr"
    assert main(["run", "frontier", "--workers", "0", "--set", "images=18", "--store", str(store)]) == 2
    assert "images: 18 images are not the same number of each of 4 classes" in capfd.readouterr().err
    assert not store.exists()


# Another program for the same experiment: its own random numbers, no readings, gradients written out


def independent(method: str, one: OutputDevices, plan: Schedule, cycles: int, seed: int) -> float:
    """Accuracy of the method on test images, with trains and luck of its own."""
    rng, far = np.random.default_rng([seed, 77]), one.far
    own_shift, own_gain = far.ratio * far.bias * one.x[0], 1 + far.scale * one.x[1]
    images, steps = plan.images, plan.steps

    def switches(z: Floats, shift: Floats, gain: Floats) -> Floats:
        """Driven about a bias that is ``shift`` i0 above the nominal, in steps of ``gain`` i0."""
        current = np.maximum(gain * np.minimum(z, 12) + shift, one.family.read_current / one.i0 - far.ratio)
        p = np.where(
            current <= one.family.read_current / one.i0 - far.ratio, 0, expit((current - own_shift) / own_gain)
        )
        return (rng.random(z.shape) < p).astype(float)

    def fitted(total: int, with_gain: bool) -> tuple[Floats, Floats]:
        """Largest posterior on a grid."""
        if not total:
            return np.zeros(4), np.ones(4)
        half, lowest = 6 + far.ratio * far.bias, one.family.read_current / one.i0 - far.ratio
        plan_z = np.linspace(max(-half, lowest), half, plan.currents)
        order = np.argsort(np.abs(plan_z))
        n = np.full(plan.currents, total // plan.currents)
        n[order[: total % plan.currents]] += 1
        k = rng.binomial(n[:, None], expit((plan_z[:, None] - own_shift) / own_gain))
        s = np.linspace(-15, 15, 3001)[:, None, None]
        found = []
        for log_gain in np.linspace(-0.3, 0.3, 61) if with_gain and far.scale else [0.0]:
            p = expit((plan_z[None, :, None] - s) / np.exp(log_gain)).clip(1e-12, 1 - 1e-12)
            value = (k * np.log(p) + (n[:, None] - k) * np.log(1 - p)).sum(axis=1)
            value -= 1.5 * (s[:, 0] / (far.ratio * far.bias)) ** 2
            value -= 1.5 * (log_gain / far.scale) ** 2 if log_gain else 0
            best = value.argmax(axis=0)
            found.append((value[best, range(4)], s[best, 0, 0], np.full(4, np.exp(log_gain))))
        values, shifts, gains = map(np.array, zip(*found, strict=True))
        best = values.argmax(axis=0)
        return shifts[best, range(4)], gains[best, range(4)]

    def trained(weights: Floats, shown: int, model: str, shift: Floats) -> tuple[Floats, Floats]:
        weights, offset = weights.copy(), np.zeros(4)
        for number in range(shown):
            i = number % len(images)
            x = (rng.random((steps, 784)) < images.pixels[i] / 255).astype(float)
            z, s, g = x @ weights, np.zeros(4), np.ones(4)
            if model == "sampled":
                s, g = far.ratio * far.bias * rng.uniform(-1, 1, 4), 1 + far.scale * rng.uniform(-1, 1, 4)
            a = expit((z - s) / g).mean(axis=0)
            if model in ("loop", "trim"):
                a = switches(z, shift + offset, np.ones(4)).mean(axis=0)
                low, high = np.full(4, -500.0), np.full(4, 500.0)
                for _ in range(60):
                    s = (low + high) / 2
                    above = expit(z - s).mean(axis=0) > (a * steps + 0.5) / (steps + 1)
                    low, high = np.where(above, s, low), np.where(above, high, s)
            p = expit((z - s) / g)
            slope = (a - (np.arange(4) == images.targets[i])) * p * (1 - p) / g / steps
            if model == "trim":
                offset -= plan.trim_rate * slope.sum(axis=0)
            else:
                weights -= plan.rate * x.T @ slope
        return weights, offset

    zero, shift, gain, left = np.zeros(4), np.zeros(4), np.ones(4), cycles // steps
    software = plan.epochs * len(images)
    if method == "in-the-loop-calibrated":
        first = min(cycles, plan.calibration)
        (shift, gain), left = fitted(first, False), (cycles - first) // steps
    if method.startswith("in-the-loop"):
        weights, _ = trained(plan.initial, left, "loop", shift)
    else:
        weights, _ = trained(plan.initial, software, "sampled" if method == "variation-aware" else "software", zero)
    if method.startswith("calibrated"):
        shift, gain = fitted(cycles, method == "calibrated-i0")
    if method == "software-then-loop":
        weights, _ = trained(weights, left, "loop", zero)
    if method == "output-trim":
        _, shift = trained(weights, left, "trim", zero)
    tested, right = some(200, "test"), 0.0
    for pixels, target in zip(tested.pixels, tested.targets, strict=True):
        x = (rng.random((steps, 784)) < pixels / 255).astype(float)
        spikes = switches(x @ weights, shift, gain).sum(axis=0)
        right += (spikes[target] == spikes.max()) / (spikes == spikes.max()).sum()
    return right / len(tested)


def agrees(method: str, cycles: int, seeds: int, steps: int, epochs: int) -> None:
    """Paired over chips: ours less the other program's is 0 within 4 standard errors (and a point, of few chips)."""
    from spinneurons.hil.accuracy import accuracy

    differences = []
    for seed in range(seeds):
        one, plan = devices(seed), schedule(steps, epochs, 16)
        (outcome,) = METHODS[method](one, plan, [cycles])
        tested = some(200, "test")
        ours = accuracy(counts([outcome.network], tested, streams(seed), steps)[0], tested.targets)
        differences.append(float(ours) - independent(method, one, plan, cycles, seed))
    error = np.std(differences, ddof=1) / np.sqrt(seeds)
    assert abs(np.mean(differences)) < 4 * error + 0.01, differences


@pytest.mark.parametrize(
    "method",
    [pytest.param(m, marks=pytest.mark.slow if m in ("software-then-loop", "output-trim") else ()) for m in METHODS],
)
def test_another_program_with_its_own_random_numbers_agrees(method: str) -> None:
    agrees(method, 1200, seeds=5, steps=20, epochs=3)


@pytest.mark.slow
@pytest.mark.parametrize("cycles", [28, 1400, 16000])
@pytest.mark.parametrize("method", METHODS)
def test_another_program_agrees_over_many_chips(method: str, cycles: int) -> None:
    agrees(method, cycles, seeds=20, steps=100, epochs=20)
