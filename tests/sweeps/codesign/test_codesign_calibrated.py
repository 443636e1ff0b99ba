"""Calibrated neurons: the plane equals the reference, and the estimates are those of pulses at every neuron."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from chips_and_digits import compare_spikes, make_chip, reference_neurons
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import expit

from spinneurons.codesign import reference
from spinneurons.codesign.calibrated import Method, NeuronEstimates, estimate
from spinneurons.codesign.chip import Chip
from spinneurons.codesign.draws import Batch, Draws
from spinneurons.codesign.model import CellGrid, plane
from spinneurons.codesign.network import Network
from spinneurons.codesign.sweep import SWEEP
from spinneurons.neurons.laws import CLOGLOG, LOGISTIC
from spinsweep.errors import SpecError
from spinsweep.evaluate import evaluate

ETAS, RATIOS = (0.0, 0.05, 0.25), (10.0, 30.0)
CASES = {"28": (28, False, 0.0), "28 of 10 %": (28, False, 0.1), "both": (28, True, 0.2), "none": (None, False, 0.2)}
"""Pulses, whether i0 is estimated, and the spread of i0."""


def calibrated(chip: Chip, pulses: int | None, gains: bool, zeta: float, steps: int) -> CellGrid:
    grid = CellGrid(ETAS, RATIOS, steps, zeta=zeta)
    if pulses is None:
        return grid
    method = Method(pulses, LOGISTIC, gains)
    estimates = estimate(chip, ETAS, RATIOS, zeta, method, np.random.default_rng(5))
    return CellGrid(ETAS, RATIOS, steps, zeta=zeta, estimates=estimates)


@pytest.mark.parametrize("case", CASES)
def test_all_spikes_of_calibrated_neurons_equal_the_reference(
    trained: Network, digits: Batch, draws: Draws, case: str
) -> None:
    chip = make_chip(trained)
    chip.x1[:10] = 0.0  # neurons without deviation of their own, but with an error of the estimate
    grid = calibrated(chip, *CASES[case], steps=52)
    compared, different = compare_spikes(chip, digits[:5], draws, grid, ((0, 1), (1, 0), (2, 1)))
    assert compared > 300_000
    assert different <= 2e-6 * compared


@pytest.mark.parametrize("device", ["cpu", "cpu:0"])  # the second runs as on a CUDA device
@pytest.mark.parametrize("case", CASES)
def test_a_plane_of_calibrated_neurons_gives_the_reference_cells(
    chip: Chip, digits: Batch, draws: Draws, case: str, device: str
) -> None:
    grid = calibrated(chip, *CASES[case], steps=12)
    fast = plane(chip, digits[:20], draws, grid, device=device)
    slow = reference.run(chip, digits[:20], draws, ETAS[2], RATIOS[1], 12, neurons=reference_neurons(grid, 2, 1))
    np.testing.assert_allclose(fast.accuracy[2, 1], slow.accuracy, atol=1e-12)
    np.testing.assert_allclose(fast.spikes_hidden[2, 1], slow.spikes_hidden, rtol=1e-5)
    np.testing.assert_allclose(fast.spikes_output[2, 1], slow.spikes_output, rtol=1e-5)
    np.testing.assert_allclose(fast.weight_read[2, 1], slow.weight_read, rtol=3e-5)


def test_nothing_to_learn_leaves_nothing_of_the_neurons_deviations(
    trained: Network, digits: Batch, draws: Draws
) -> None:
    chip = make_chip(trained, "neurons")
    exact = plane(chip, digits[:16], draws, calibrated(chip, None, False, 0.0, 10))
    method = Method(None, LOGISTIC, gains=True)
    estimates = estimate(chip, ETAS, RATIOS, 0.2, method, np.random.default_rng(5))
    found = plane(chip, digits[:16], draws, CellGrid(ETAS, RATIOS, 10, zeta=0.2, estimates=estimates))
    for e, r in np.ndindex(3, 2):
        np.testing.assert_allclose(found.spikes_hidden[e, r], exact.spikes_hidden[0, 0], rtol=1e-4)
    assert exact.spikes_hidden[2, 1, -1] != exact.spikes_hidden[0, 0, -1]


def residual(chip: Chip, found: NeuronEstimates, eta: float, ratio: float) -> float:
    """Root mean square error of the shifts."""
    return float(np.sqrt(np.mean((found.shift[0, 0] - chip.shift(eta, ratio)) ** 2)))


def test_the_error_of_the_shift_is_that_of_pulses_drawn_independently(chip: Chip) -> None:
    eta, ratio, each, rng = 0.25, 30.0, 2, np.random.default_rng(3)
    found = estimate(chip, [eta], [ratio], 0.0, Method(14 * each, LOGISTIC), np.random.default_rng(4))
    z, sd = np.linspace(-6 - eta * ratio, 6 + eta * ratio, 14), eta * ratio / np.sqrt(3)
    errors = []
    for s in rng.uniform(-eta * ratio, eta * ratio, 400):
        k = rng.binomial(each, expit(z - s))

        def minus_posterior(at: float, k: np.ndarray = k) -> float:
            return float((each * np.logaddexp(0, z - at) - k * (z - at)).sum() + (at / sd) ** 2 / 2)

        errors.append(minimize_scalar(minus_posterior, bounds=(-30, 30), method="bounded").x - s)
    other = np.sqrt(np.mean(np.square(errors)))
    assert residual(chip, found, eta, ratio) == pytest.approx(other, rel=4 / np.sqrt(2 * 400) * np.sqrt(2))


def test_more_pulses_leave_less_and_none_leave_all(chip: Chip) -> None:
    left = [
        residual(chip, estimate(chip, [0.25], [30.0], 0.0, Method(n, LOGISTIC), np.random.default_rng(4)), 0.25, 30.0)
        for n in (0, 3, 28, 140, 1400, None)
    ]
    assert left == sorted(left, reverse=True)
    assert left[0] == pytest.approx(0.25 * 30 / np.sqrt(3), rel=0.1)
    assert left[-1] == 0.0


@settings(max_examples=10)
@given(
    etas=st.lists(st.sampled_from(ETAS), min_size=1, max_size=3, unique=True),
    ratios=st.lists(st.sampled_from(RATIOS), min_size=1, max_size=2, unique=True),
    pulses=st.integers(0, 60),
    law=st.sampled_from([LOGISTIC, CLOGLOG]),
)
def test_an_estimate_does_not_depend_on_the_cells_computed_with_it(
    chip: Chip, etas: list[float], ratios: list[float], pulses: int, law: Any
) -> None:
    method, small = Method(pulses, law, gains=True), slice(395, 405)
    part = Chip(chip.w, chip.d, chip.x[small], chip.y[small])
    many, one = (
        estimate(part, *cells, 0.1, method, np.random.default_rng(6))
        for cells in ((etas, ratios), (etas[:1], ratios[-1:]))
    )
    np.testing.assert_array_equal(many.shift[:1, -1:], one.shift)
    np.testing.assert_array_equal(many.gain[:1, -1:], one.gain)


@pytest.mark.slow
def test_accuracy_after_a_calibration_is_that_of_a_plain_loop_with_its_own_numbers(
    trained: Network, digits: Batch, draws: Draws
) -> None:
    chip, eta, ratio, zeta = make_chip(trained), 0.25, 30.0, 0.1
    estimates = estimate(chip, [eta], [ratio], zeta, Method(28, LOGISTIC, True), np.random.default_rng(5))
    grid = CellGrid([eta], [ratio], 20, zeta=zeta, estimates=estimates)
    fast = plane(chip, digits, draws, grid).accuracy[0, 0, -1]
    rng, hidden = np.random.default_rng(8), len(chip.x1)
    w1, w2 = (w + eta * d for w, d in zip(chip.w, chip.d, strict=True))
    drive, shift, g = estimates.gain[0, 0], estimates.shift[0, 0], 1 + zeta * chip.y
    own = eta * ratio * chip.x
    loops = []
    for _ in range(4):
        counts = np.zeros((len(digits), 10))
        for _ in range(20):
            x = rng.random(digits.images.shape) < digits.images / 255
            p = expit((drive * np.pad(x @ w1, ((0, 0), (0, 10))) + shift - own) / g)[:, :hidden]
            h = rng.random(p.shape) < p
            p = expit((drive[hidden:] * (h @ w2) + (shift - own)[hidden:]) / g[hidden:])
            counts += rng.random(p.shape) < p
        loops.append(np.mean(counts.argmax(1) == digits.labels))
    assert abs(fast - np.mean(loops)) < 4 * np.sqrt(fast * (1 - fast) / len(digits) * (1 + 1 / 4))


# The sweep

SMALL = SWEEP.with_values(
    images=20, steps=4, epochs=1, seed=(0, 1), width=(5.0, 0.3), variation=(0.0, 0.25),
    calibration_cycles=("0", "28", "exact"), i0_variation=(0.0, 0.2), calibrate="i_bias,i0",
)  # fmt: skip


@pytest.fixture(scope="module")
def whole(trained: Network) -> dict[str, np.ndarray]:
    found = evaluate(SMALL, {a.name: a.values for a in SMALL.axes})
    assert not found.errors
    return found.values


@settings(max_examples=6)
@given(places=st.tuples(*(st.lists(st.integers(0, len(a.values) - 1), min_size=1, unique=True) for a in SMALL.axes)))
def test_any_box_with_calibration_has_the_same_numbers(
    whole: dict[str, np.ndarray], places: tuple[list[int], ...]
) -> None:
    some = {a.name: tuple(a.values[i] for i in chosen) for a, chosen in zip(SMALL.axes, places, strict=True)}
    found = evaluate(SMALL, some).values
    for name, values in found.items():
        np.testing.assert_array_equal(values, whole[name][np.ix_(*places)])


def test_without_calibration_and_spread_the_numbers_are_those_of_the_sweep_without_these_axes(
    whole: dict[str, np.ndarray],
) -> None:
    plain = SWEEP.with_values(images=20, steps=4, epochs=1, seed=(0, 1), width=(5.0, 0.3), variation=(0.0, 0.25))
    found = evaluate(plain, {a.name: a.values for a in plain.axes})
    for name, values in found.values.items():
        np.testing.assert_array_equal(values, whole[name][:, :, :, 0, 0])


def test_a_value_that_is_no_number_of_pulses_is_refused_in_one_line() -> None:
    assert SWEEP.with_text({"calibration_cycles": "0,028,exact"}).axis("calibration_cycles").values == (
        "0",
        "28",
        "exact",
    )
    for bad in ("-1", "2.5", "all", "1000000", "28,28", "10000000000000"):
        with pytest.raises(SpecError, match="calibration_cycles"):
            SWEEP.with_text({"calibration_cycles": bad})
