"""The fast kernel equals the reference spike by spike, whatever it is asked to compute together."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys

import numpy as np
import pytest
from chips_and_digits import compare_spikes, make_chip
from hypothesis import given, settings
from hypothesis import strategies as st

from spinneurons.codesign import chip as chips
from spinneurons.codesign import model, reference
from spinneurons.codesign.chip import Chip, Programmed
from spinneurons.codesign.draws import Batch, Draws, neuron_thresholds
from spinneurons.codesign.model import CellGrid, Plane, plane
from spinneurons.codesign.network import Network
from spinneurons.neurons.laws import LOGISTIC

ETAS = (0.0, 0.05, 0.15, 0.25)
RATIOS = (10.0, 18.9, 30.0)
FIELDS = [field.name for field in dataclasses.fields(Plane)]


def assert_equal(one: Plane, other: Plane) -> None:
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def part(whole: Plane, etas: list[int], ratios: list[int], steps: int | None = None) -> Plane:
    return Plane(*(getattr(whole, name)[np.ix_(etas, ratios)][:, :, :steps] for name in FIELDS))


@pytest.mark.parametrize("distribution", chips.DISTRIBUTIONS)
@pytest.mark.parametrize("vary", chips.VARY)
def test_all_spikes_equal_the_reference_but_for_rounding_at_a_threshold(
    trained: Network, digits: Batch, draws: Draws, vary: str, distribution: str
) -> None:
    chip, grid = make_chip(trained, vary, distribution), CellGrid(ETAS, RATIOS, 53)
    cells = ((0, 0), (1, 2), (2, 1), (3, 0), (3, 2))
    compared, different = compare_spikes(chip, digits[:16], draws, grid, cells)
    assert compared > 1_500_000
    assert different <= 2e-6 * compared


def test_a_spike_that_differs_would_be_within_float_rounding_of_its_threshold(
    trained: Network, digits: Batch
) -> None:
    """The largest error of what is compared, from the same float32 operations on sums known exactly."""
    chip, eps = make_chip(trained), 2.0**-24
    rng = np.random.default_rng(0)
    a, b = rng.uniform(-20, 20, (2, 100_000)).astype(np.float32)
    x = rng.choice(chip.x1, a.size)
    eta, ratio = 0.15, 18.9
    fast = (a * (1 / x).astype(np.float32)) * np.float32(1 / eta) + b * (1 / x).astype(np.float32)
    exact = a.astype(np.float64) + eta * b.astype(np.float64)
    error = np.abs(fast.astype(np.float64) * eta * x - exact)
    bound = 8 * eps * (np.abs(a) + eta * np.abs(b) + eta * ratio * np.abs(x))
    assert (error <= bound).all()
    density = 0.25  # of a logistic threshold at most
    assert 2 * bound.max() * density < 1e-5


@pytest.mark.parametrize("ties", ["fraction", "random"])
@pytest.mark.parametrize("vary", chips.VARY)
def test_a_plane_gives_the_reference_cells(
    trained: Network, digits: Batch, draws: Draws, vary: str, ties: str
) -> None:
    chip, batch, steps = make_chip(trained, vary), digits[:30], 60
    fast = plane(chip, batch, draws, CellGrid(ETAS, RATIOS, steps, ties))
    for e, r in ((0, 1), (1, 0), (3, 2)):
        slow = reference.run(chip, batch, draws, ETAS[e], RATIOS[r], steps, ties)
        np.testing.assert_allclose(fast.accuracy[e, r], slow.accuracy, atol=1e-12)
        np.testing.assert_allclose(fast.spikes_hidden[e, r], slow.spikes_hidden, rtol=1e-5)
        np.testing.assert_allclose(fast.spikes_output[e, r], slow.spikes_output, rtol=1e-5)
        np.testing.assert_allclose(fast.weight_read[e, r], slow.weight_read, rtol=3e-5)


def test_read_noise_and_raw_weights_give_the_reference_too(trained: Network, digits: Batch, draws: Draws) -> None:
    chip = chips.make([Programmed.ideal(w) for w in trained.w], np.random.default_rng(1), np.random.default_rng(2))
    fast = plane(chip, digits[:30], draws, CellGrid([0.2], [25.0], 30, thresholds=neuron_thresholds(LOGISTIC, 1.5)))
    slow = reference.run(
        chip, digits[:30], draws, 0.2, 25.0, 30, neurons=reference.CellNeurons(neuron_thresholds(LOGISTIC, 1.5))
    )
    np.testing.assert_allclose(fast.accuracy[0, 0], slow.accuracy, atol=1e-12)
    np.testing.assert_allclose(fast.spikes_output[0, 0], slow.spikes_output, rtol=1e-5)


@pytest.fixture(scope="module")
def whole(chip: Chip, digits: Batch) -> Plane:
    return plane(chip, digits[:33], Draws((11, 12)), CellGrid(ETAS, RATIOS, 60))


@settings(max_examples=15)
@given(
    etas=st.lists(st.integers(0, 3), min_size=1, max_size=4, unique=True),
    ratios=st.lists(st.integers(0, 2), min_size=1, max_size=3, unique=True),
    steps=st.integers(1, 60),
    threads=st.integers(1, 3),
)
def test_any_part_of_the_plane_in_any_order_has_the_same_numbers(
    chip: Chip, digits: Batch, whole: Plane, etas: list[int], ratios: list[int], steps: int, threads: int
) -> None:
    chosen = [ETAS[e] for e in etas], [RATIOS[r] for r in ratios]
    found = plane(chip, digits[:33], Draws((11, 12)), CellGrid(*chosen, steps), threads=threads)
    assert_equal(found, part(whole, etas, ratios, steps))


@settings(max_examples=15)
@given(cut=st.integers(1, 32))
def test_images_have_the_same_spikes_in_any_batch(chip: Chip, digits: Batch, whole: Plane, cut: int) -> None:
    first, second = digits[:cut], digits[cut:33]
    parts = [plane(chip, b, Draws((11, 12)), CellGrid(ETAS, RATIOS, 60)) for b in (first, second)]
    for name in FIELDS:
        mean = (cut * getattr(parts[0], name) + (33 - cut) * getattr(parts[1], name)) / 33
        np.testing.assert_allclose(mean, getattr(whole, name), rtol=1e-13, atol=1e-13)


def test_images_may_come_in_any_order(chip: Chip, digits: Batch, whole: Plane) -> None:
    order = np.random.default_rng(0).permutation(33)
    shuffled = Batch(digits.images[order], digits.labels[order], digits.numbers[order])
    assert_equal(plane(chip, shuffled, Draws((11, 12)), CellGrid(ETAS, RATIOS, 60)), whole)


@pytest.mark.parametrize("ties", ["fraction", "random"])
def test_the_code_for_other_devices_gives_the_same_numbers(
    chip: Chip, digits: Batch, draws: Draws, ties: str
) -> None:
    host = plane(chip, digits[:21], draws, CellGrid(ETAS, RATIOS, 55, ties), device="cpu")
    other = plane(
        chip, digits[:21], draws, CellGrid(ETAS, RATIOS, 55, ties), device="cpu:0"
    )  # runs as on a CUDA device
    assert_equal(host, other)


def test_lower_precision_that_a_user_allows_torch_changes_nothing(chip: Chip, digits: Batch, whole: Plane) -> None:
    import torch

    torch.set_float32_matmul_precision("medium")
    try:
        assert_equal(plane(chip, digits[:33], Draws((11, 12)), CellGrid(ETAS, RATIOS, 60)), whole)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")


def test_another_seed_has_other_spikes(chip: Chip, digits: Batch, whole: Plane) -> None:
    other = plane(chip, digits[:33], Draws((11, 13)), CellGrid(ETAS, RATIOS, 60))
    assert not np.array_equal(other.spikes_hidden, whole.spikes_hidden)
    np.testing.assert_allclose(other.spikes_hidden[..., -1], whole.spikes_hidden[..., -1], rtol=0.01)


def test_the_width_makes_no_difference_without_shifted_neurons(trained: Network, digits: Batch, draws: Draws) -> None:
    still = plane(make_chip(trained, "weights"), digits[:16], draws, CellGrid(ETAS, RATIOS, 20))
    shifted = plane(make_chip(trained, "both"), digits[:16], draws, CellGrid(ETAS, RATIOS, 20))
    for r in range(1, len(RATIOS)):
        assert_equal(part(still, [0, 1, 2, 3], [r]), part(still, [0, 1, 2, 3], [0]))
        assert_equal(part(shifted, [0], [r]), part(shifted, [0], [0]))
        assert not np.array_equal(shifted.spikes_hidden[1:, r], shifted.spikes_hidden[1:, 0])


def test_a_neuron_without_deviation_is_not_shifted(trained: Network, digits: Batch, draws: Draws) -> None:
    chip, steps = make_chip(trained), 160
    chip.x1[:200] = 0.0
    fast = plane(
        chip, digits[:3], draws, CellGrid([0.0, 0.2], [20.0], steps)
    )  # less than a tile, for several stretches
    slow = reference.run(chip, digits[:3], draws, 0.2, 20.0, steps)
    np.testing.assert_array_equal(fast.spikes_hidden[1, 0], slow.spikes_hidden)


def test_ties_broken_at_random_are_worth_their_fraction_on_average(trained: Network, digits: Batch) -> None:
    chip = make_chip(trained)
    differences = []
    for key in range(10):
        fraction, drawn = (
            plane(chip, digits[:200], Draws((key, 5)), CellGrid([0.0], [10.0], 3, ties))
            for ties in ("fraction", "random")
        )
        differences.append(200 * (drawn.accuracy - fraction.accuracy)[0, 0])
        shares = fraction.accuracy * 200 * model.SHARES
        np.testing.assert_allclose(shares, np.rint(shares), atol=1e-6)
    total = np.sum(differences, axis=0)
    assert np.any(total != 0)
    assert np.all(np.abs(total) < 4 * np.sqrt(2000 * 0.25))


def test_credit_of_known_counts() -> None:
    counts = np.array([[3, 1, 0], [2, 2, 1], [1, 2, 2], [0, 0, 0]])
    labels, u = np.array([0, 0, 0, 2]), np.array([0, 32767, 0, 21846])
    assert reference.credit(counts, labels, u, "fraction").tolist() == [1, 0.5, 0, 1 / 3]
    assert reference.credit(counts, labels, u, "random").tolist() == [1, 1, 0, 0]
    assert reference.credit(counts, labels, u + 1, "random").tolist() == [1, 0, 0, 0]


def test_small_bars_lose_more_to_variation(chip: Chip, digits: Batch, draws: Draws) -> None:
    found = plane(chip, digits, draws, CellGrid([0.0, 0.25], [10.0, 18.9, 30.0], 25)).accuracy[..., -1]
    assert found[0, 0] > 0.88
    assert found[1, 0] > found[1, 1] > found[1, 2]
    assert found[0, 0] - found[1, 2] > 0.15


def test_accuracy_without_variation_is_that_of_the_plain_loop(chip: Chip, digits: Batch, draws: Draws) -> None:
    fast = plane(chip, digits, draws, CellGrid([0.0], [10.0], 20)).accuracy[0, 0, -1]
    loops = [reference.plain_loop(chip, digits.images, digits.labels, 0.0, 10.0, 20) for _ in range(4)]
    # each image is right with a probability of its own, so that this is more than the sampling error
    sampling = np.sqrt(fast * (1 - fast) / len(digits))
    assert abs(fast - np.mean(loops)) < 4 * sampling * np.sqrt(1 + 1 / 4)


def test_varied_accuracy_is_that_of_the_plain_loop(chip: Chip, digits: Batch, draws: Draws) -> None:
    fast = plane(chip, digits, draws, CellGrid([0.25], [30.0], 20)).accuracy[0, 0, -1]
    loops = [reference.plain_loop(chip, digits.images, digits.labels, 0.25, 30.0, 20) for _ in range(4)]
    sampling = np.sqrt(fast * (1 - fast) / len(digits))
    assert abs(fast - np.mean(loops)) < 4 * sampling * np.sqrt(1 + 1 / 4)


def test_a_neuron_that_noise_cannot_reach_fires_with_the_table_of_thresholds() -> None:
    assert neuron_thresholds()[0] < -11
    assert neuron_thresholds()[-1] > 11


MEMORY = """
import sys
from pathlib import Path
import numpy as np
from spinneurons.codesign import chip as chips, model
from spinneurons.codesign.chip import Programmed
from spinneurons.codesign.draws import Batch, Draws
from spinneurons.mnist import data
test = data.load("test")
rng = np.random.default_rng(0)
w1, w2 = (Programmed.ideal(rng.normal(0, 0.2, shape).astype(np.float32)) for shape in ((784, 400), (400, 10)))
chip = chips.make([w1, w2], rng, rng)
images, steps = int(sys.argv[1]), int(sys.argv[2])
batch = Batch.first(test.images, test.labels, images)
grid = model.CellGrid([0, .05, .1, .15, .2, .25], np.linspace(10, 30, 9).tolist(), steps)
model.plane(chip, batch, Draws((1, 2)), grid, threads=2)
status = Path("/proc/self/status").read_text()  # getrusage would count the process that started this one
print(int(status.split("VmHWM:")[1].split()[0]) * 1024)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("images", "steps"),
    [pytest.param(64, 50, marks=pytest.mark.slow), (8, 5000), pytest.param(10_000, 50, marks=pytest.mark.slow)],
)
def test_the_peak_of_memory_stays_below_one_and_a_half_gigabytes(images: int, steps: int) -> None:
    command = [sys.executable, "-c", MEMORY, str(images), str(steps)]
    found = subprocess.run(command, env=dict(os.environ), capture_output=True, text=True, check=True, timeout=280)
    assert int(found.stdout) < 1.5e9
