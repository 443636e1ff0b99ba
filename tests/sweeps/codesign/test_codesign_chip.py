"""Deviations are those of equation 3, and sums of the weights are exact."""

from __future__ import annotations

import numpy as np
import pytest
from chips_and_digits import make_chip
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from spinneurons.codesign import chip as chips
from spinneurons.codesign.network import Network

matrices = hnp.arrays(
    np.float32, st.tuples(st.integers(1, 60), st.integers(1, 4)), elements=st.floats(-3, 3, width=32)
)


@given(w=matrices, seed=st.integers(0, 100))
def test_each_sum_of_weights_is_exact_in_any_order(w: np.ndarray, seed: int) -> None:
    rng = np.random.default_rng(seed)
    grid = chips.on_grid(w)
    rows = rng.permutation(len(w))[: rng.integers(0, len(w) + 1)]
    exact = grid[rows].sum(axis=0, dtype=np.float64)
    total = np.zeros(w.shape[1], np.float32)
    for row in rows:
        total += grid[row]
    np.testing.assert_array_equal(total, exact)


@given(w=matrices)
def test_the_grid_moves_a_weight_by_no_more_than_the_rounding_of_the_largest_sum(w: np.ndarray) -> None:
    largest = np.maximum(np.maximum(w, 0).sum(axis=0), np.maximum(-w, 0).sum(axis=0)).max()
    assert np.abs(chips.on_grid(w) - w).max() <= max(2 * largest, 1e-30) * 2.0**-24


def test_x_and_xi_are_uniform_between_minus_one_and_one(trained: Network) -> None:
    chip = make_chip(trained)
    xi = (chip.d[0] / np.where(chip.w[0] == 0, np.inf, chip.w[0])).ravel()
    assert np.abs(chip.x1).max() < 1
    assert np.abs(xi[np.abs(chip.w[0]).ravel() > 0.01]).max() < 1.01
    assert np.std(chip.x1) == pytest.approx(1 / np.sqrt(3), rel=0.1)
    assert np.std(xi) == pytest.approx(1 / np.sqrt(3), rel=0.02)
    assert np.mean(chip.x1) == pytest.approx(0, abs=0.12)


def test_the_normal_distribution_has_a_standard_deviation_of_one(trained: Network) -> None:
    chip = make_chip(trained, distribution="normal")
    assert np.std(chip.x1) == pytest.approx(1, rel=0.15)
    assert np.abs(chip.x1).max() > 1.5


def test_only_what_varies_deviates_and_it_deviates_alike(trained: Network) -> None:
    both, neurons, weights = (make_chip(trained, vary) for vary in chips.VARY)
    assert not neurons.d[0].any()
    assert not neurons.d[1].any()
    assert not weights.x.any()
    np.testing.assert_array_equal(both.x1, neurons.x1)
    np.testing.assert_array_equal(both.d[0], weights.d[0])
    np.testing.assert_array_equal(both.d[1], weights.d[1])


def test_another_seed_is_another_chip(trained: Network) -> None:
    one, other = make_chip(trained, seed=1), make_chip(trained, seed=2)
    assert abs(np.corrcoef(one.x1, other.x1)[0, 1]) < 0.25
    np.testing.assert_array_equal(one.w[0], other.w[0])
