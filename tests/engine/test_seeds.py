"""Random streams by address."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from spinsweep.seeds import address, generator


def test_the_stream_of_an_address_is_this_one_for_ever() -> None:
    # golden: Philox 4x64 keyed by BLAKE2b-128 of the address; first 64-bit words, made with NumPy 2.4.6
    assert (
        address(7, "grid", "own", {"width": 0.3, "seed": 2})
        == '[7, "grid", "own", [["seed", "2"], ["width", "0.3"]]]'
    )
    words = generator(7, "grid", "own", {"seed": 2, "width": 0.3}).bit_generator.random_raw(2)
    assert words.tolist() == GOLDEN


GOLDEN = [12647445593888363373, 504247692931758671]


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from("ab"), st.integers(0, 3)), min_size=2, unique=True))
def test_different_addresses_give_different_streams(points: list[tuple[int, str, int]]) -> None:
    draws = [generator(root, "s", stream, {"seed": seed}).random() for root, stream, seed in points]

    assert len(set(draws)) == len(draws)


def test_neighbouring_streams_are_not_correlated() -> None:
    draws = np.array([generator(0, "s", "", {"seed": i}).random(200) for i in range(200)])
    correlation = np.corrcoef(draws)[np.triu_indices(200, 1)]

    assert abs(correlation.mean()) < 4 / np.sqrt(200 * 19_900)
    assert np.abs(correlation).max() < 6 / np.sqrt(200)
