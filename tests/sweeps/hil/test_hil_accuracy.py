"""All images at once is each image alone, step by step; and a stack of networks is each network alone."""

from __future__ import annotations

import numpy as np
import pytest
from bars import bars, hardware, some, streams
from hypothesis import given
from hypothesis import strategies as st

from spinneurons.hil import reference
from spinneurons.hil.accuracy import BATCH, NetworkOnDevices, accuracy, counts, exact
from spinneurons.hil.images import Images


def contender(seed: int, shifts: tuple[float, ...] = (1.0, -2.0, 0.0, 3.0)) -> NetworkOnDevices:
    neurons = bars(shifts)
    weights = np.random.default_rng(seed).normal(0, 0.2, (784, 4))
    return NetworkOnDevices(exact(weights), neurons, hardware(neurons).drive)


@pytest.fixture(scope="module")
def images() -> Images:
    return some(BATCH + 8, "test")


def test_all_images_at_once_equal_the_loop_over_images_and_steps(images: Images) -> None:
    one = contender(0)
    fast = counts([one], images, streams(), 6)[0]
    chosen = [0, 1, 17, BATCH - 1, BATCH, BATCH + 7]
    slow = reference.counts(one, images, streams(), 6)
    np.testing.assert_array_equal(fast[chosen], slow[chosen])
    np.testing.assert_array_equal(fast, slow)
    assert 0 < fast.mean() < 6


def test_a_stack_of_networks_is_each_network_alone_and_images_are_the_same_in_any_number(images: Images) -> None:
    many = [contender(seed, shifts) for seed, shifts in enumerate([(0.0,) * 4, (2.0, 2.0, -2.0, -2.0), (9.0,) * 4])]
    shared_axes = counts(many, images, streams(), 30)
    few = Images(images.pixels[:13], images.targets[:13])
    for one, found in zip(many, shared_axes, strict=True):
        np.testing.assert_array_equal(counts([one], images, streams(), 30)[0], found)
        np.testing.assert_array_equal(counts([one], few, streams(), 30)[0], found[:13])


@given(seed=st.integers(0, 1000), scale=st.floats(1e-3, 30))
def test_sums_of_exact_weights_are_the_same_in_any_order(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.normal(0, scale, (784, 2))
    rounded = exact(weights)
    assert np.abs(rounded - weights).max() <= 2.0**-24 * np.abs(weights).sum(axis=0).max() * 2
    for _ in range(3):
        chosen = rounded[rng.permutation(784)[: rng.integers(1, 785)]]
        in_float32 = np.add.accumulate(chosen, axis=0, dtype=np.float32)[-1]
        np.testing.assert_array_equal(in_float32.astype(np.float64), chosen.astype(np.float64).sum(axis=0))


def test_weights_of_nothing_but_zeros_stay_zeros() -> None:
    np.testing.assert_array_equal(exact(np.zeros((5, 2))), np.zeros((5, 2), np.float32))


def test_a_draw_of_classes_is_worth_its_share() -> None:
    found = np.array([[3, 1, 0], [2, 2, 0], [1, 1, 1], [0, 0, 5]])
    assert accuracy(found, np.array([0, 1, 2, 0])) == pytest.approx((1 + 1 / 2 + 1 / 3 + 0) / 4)
