"""Pairs of conductances stand for the weights; levels and stuck cells do what they say, and by default nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from spinneurons.codesign.crossbar import Tiles, pairs, program

layers = hnp.arrays(np.float32, st.tuples(st.integers(1, 12), st.integers(1, 6)), elements=st.floats(-2, 2, width=32))


def rng() -> np.random.Generator:
    return np.random.default_rng(9)


@given(w=layers)
def test_a_pair_has_one_cell_in_use_and_gives_its_weight_back(w: np.ndarray) -> None:
    g, largest = pairs(w)
    assert g.min() >= 0
    assert g.max() <= 1
    assert not np.any((g[0] > 0) & (g[1] > 0))
    np.testing.assert_allclose((g[0] - g[1]) * largest, w, rtol=1e-6, atol=1e-30)


@given(w=layers)
def test_the_default_crossbar_is_ideal(w: np.ndarray) -> None:
    found = program(w, rng())
    np.testing.assert_array_equal(found.w, w)
    np.testing.assert_array_equal(found.varying, w)


@given(w=layers, levels=st.integers(2, 64))
def test_levels_round_to_the_nearest_conductance(w: np.ndarray, levels: int) -> None:
    found = program(w, rng(), levels)
    largest = np.abs(w).max() or 1.0
    step = largest / (levels - 1)
    assert np.abs(found.w - w).max() <= 0.5001 * step + 1e-30
    assert len(np.unique(np.abs(found.w))) <= levels
    finest = np.finfo(np.float32).smallest_subnormal  # of weights so small that they are multiples of it
    np.testing.assert_allclose(np.rint(found.w / step) * step, found.w, atol=1e-5 * largest + finest)


def test_the_shares_of_stuck_cells_are_those_asked_for() -> None:
    w = np.full((400, 50), 0.5, np.float32)
    w[0, 0] = 1.0
    off = program(w, rng(), stuck_off=0.2)
    assert np.mean(off.w == 0) == pytest.approx(0.2, abs=0.01)
    on = program(w, rng(), stuck_on=0.1)
    assert np.mean(on.w == 1.0) == pytest.approx(0.1 * 0.9, abs=0.01)  # the positive cell on, the negative one not
    assert np.mean(on.w == -0.5) == pytest.approx(0.1 * 0.9, abs=0.01)
    assert np.mean(on.w == 0) == pytest.approx(0.01, abs=0.004)


def test_what_is_stuck_does_not_vary() -> None:
    w = np.random.default_rng(1).normal(size=(60, 40)).astype(np.float32)
    found = program(w, rng(), stuck_off=0.3, stuck_on=0.1)
    changed = (found.w != w) | (np.abs(w) == np.abs(w).max())  # stuck on, the largest one keeps its value
    assert 0.2 < changed.mean() < 0.7
    np.testing.assert_allclose(found.varying[~changed], w[~changed], rtol=1e-5)
    assert np.all((found.varying == 0) | np.isclose(found.varying, w, rtol=1e-5))


def test_more_stuck_cells_include_the_fewer() -> None:
    w = np.ones((50, 50), np.float32)
    few, many = (program(w, rng(), stuck_off=share).w == 0 for share in (0.1, 0.3))
    assert np.all(many[few])


def test_one_level_is_refused() -> None:
    with pytest.raises(ValueError, match="2 conductance levels"):
        program(np.ones((2, 2), np.float32), rng(), levels=1)


def test_the_network_takes_49_and_4_tiles_of_128() -> None:
    first, second = Tiles(784, 400), Tiles(400, 10)
    assert (first.down, first.across, first.count) == (7, 7, 49)
    assert (second.down, second.across, second.count) == (4, 1, 4)
    assert first.used == pytest.approx(2 * 784 * 400 / (49 * 128 * 128))


@given(inputs=st.integers(1, 2000), outputs=st.integers(1, 600), rows=st.integers(1, 300), half=st.integers(1, 150))
def test_tiles_hold_all_weights_and_no_tile_is_empty(inputs: int, outputs: int, rows: int, half: int) -> None:
    tiles = Tiles(inputs, outputs, rows, 2 * half)
    assert tiles.down * rows >= inputs > (tiles.down - 1) * rows
    assert tiles.across * half >= outputs > (tiles.across - 1) * half
    assert 0 < tiles.used <= 1
