"""Every number has an address, and its distribution is what is stated."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from spinneurons.codesign.draws import CHUNK, LEVELS, Draws, input_limits, neuron_thresholds
from spinneurons.neurons.laws import CLOGLOG, LOGISTIC, BinomialLaw

addresses = st.tuples(st.integers(0, 2**40), st.integers(0, 2**30))


@given(address=addresses, steps=st.integers(1, CHUNK), each=st.integers(1, 500))
def test_fewer_steps_give_the_first_rows(address: tuple[int, int], steps: int, each: int) -> None:
    long = Draws((1, 2)).draw_chunk(*address, CHUNK, each)
    np.testing.assert_array_equal(Draws((1, 2)).draw_chunk(*address, steps, each), long[:steps])


@given(one=addresses, other=addresses)
def test_a_stretch_does_not_depend_on_what_was_drawn_before(one: tuple[int, int], other: tuple[int, int]) -> None:
    fresh, used = Draws((1, 2)), Draws((1, 2))
    used.draw_chunk(*other, 3, 7)
    np.testing.assert_array_equal(fresh.draw_chunk(*one, 5, 9), used.draw_chunk(*one, 5, 9))
    if one != other:
        assert not np.array_equal(fresh.draw_chunk(*one, 5, 9), fresh.draw_chunk(*other, 5, 9))


def test_another_key_gives_other_numbers() -> None:
    seen = {Draws(key).draw_chunk(0, 0, 4, 4).tobytes() for key in ((0, 0), (0, 1), (1, 0), (1, 1))}
    assert len(seen) == 4


def test_the_key_is_the_next_words_of_a_stream() -> None:
    assert Draws.of(np.random.default_rng(1)).key == Draws.of(np.random.default_rng(1)).key
    assert Draws.of(np.random.default_rng(1)).key != Draws.of(np.random.default_rng(2)).key


@pytest.mark.parametrize("chunk", [0, 1])
def test_numbers_are_uniform_and_independent_from_step_to_step(chunk: int) -> None:
    u = np.concatenate([Draws((3, 4)).draw_chunk(i, chunk, CHUNK, 100) for i in range(200)])
    counts = np.bincount(u.ravel() >> 8, minlength=256)
    assert stats.chisquare(counts).pvalue > 1e-4
    assert abs(np.corrcoef(u[:-1].ravel(), u[1:].ravel())[0, 1]) < 5 / np.sqrt(u.size)


def test_a_pixel_spikes_with_its_intensity_over_255_within_the_stated_bias() -> None:
    p = (input_limits()[1:].astype(np.int64) + 1) / LEVELS
    np.testing.assert_allclose(p, np.arange(1, 256) / 255, atol=2.0**-17)
    assert p[-1] == 1.0


@pytest.mark.parametrize("law", [LOGISTIC, CLOGLOG])
def test_a_neuron_fires_with_its_law_within_the_stated_bias(law: BinomialLaw) -> None:
    z = np.linspace(-15, 15, 2001)
    p = np.searchsorted(neuron_thresholds(law), z) / LEVELS
    np.testing.assert_allclose(p, law.probability(z), atol=1.01 * 2.0**-17)
    noisy = np.searchsorted(neuron_thresholds(law, 1e-3), z) / LEVELS
    np.testing.assert_allclose(noisy, law.probability(z), atol=1e-4)


@pytest.mark.parametrize("noise", [0.1, 1.0, 5.0])
def test_read_noise_broadens_the_curve_as_a_normal_added_to_the_input(noise: float) -> None:
    rng = np.random.default_rng(7)
    fired = np.sort(rng.logistic(size=400_000) - rng.normal(0, noise, 400_000))
    z = np.linspace(-8, 8, 33)
    p = np.searchsorted(neuron_thresholds(read_noise=noise), z) / LEVELS
    expected = np.searchsorted(fired, z) / fired.size
    np.testing.assert_allclose(p, expected, atol=5 * 0.5 / np.sqrt(fired.size))
