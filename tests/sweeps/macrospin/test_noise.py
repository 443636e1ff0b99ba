"""Noise of the macrospin: the generator's words, the normal deviates, and their independence."""

import numpy as np
import pytest
from scipy.stats import kstest, norm

from spinneurons.macrospin.noise import draw_seeds, next_word, normals


def xoshiro128pp(state):
    """Words of xoshiro128++ in plain Python, as its authors define it."""
    s, mask = list(state), 2**32 - 1

    def rotl(x, k):
        return (x << k | x >> (32 - k)) & mask

    while True:
        yield (rotl((s[0] + s[3]) & mask, 7) + s[0]) & mask
        t = s[1] << 9 & mask
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= t
        s[3] = rotl(s[3], 11)


def words(seed, count):
    found, state = [], tuple(np.uint32(s) for s in seed)
    for _ in range(count):
        word, *state = next_word(*state)
        found.append(int(word))
    return found


@pytest.mark.parametrize("seed", [(1, 2, 3, 4), (2**32 - 1, 0, 5, 2**31), (0xDEADBEEF, 7, 0, 0)])
def test_words_are_those_of_xoshiro128pp(seed):
    plain = xoshiro128pp(seed)
    assert words(seed, 200) == [next(plain) for _ in range(200)]


def test_the_first_words_are_the_published_ones():
    # test vector of the crate rand_xoshiro for the seed 1, 2, 3, 4
    assert words((1, 2, 3, 4), 5) == [641, 1573767, 3222811527, 3517856514, 836907274]


def test_deviates_are_box_and_muller_s_of_those_words():
    seeds = draw_seeds(np.random.default_rng(3), 50)
    found = normals(seeds, 40)
    for i in range(50):
        plain = xoshiro128pp([int(s) for s in seeds[:, i]])
        four = np.array([[next(plain) for _ in range(4)] for _ in range(40)])
        radius = np.sqrt(-2 * np.log((four[:, ::2] // 256 + 0.5) / 2**24))
        quadrant, rest = np.divmod(four[:, 1::2], 2**30)
        rest = (rest + 2**29) % 2**30 - 2**29  # the two top bits turn, the others are a signed angle
        angle = (rest // 64) * np.pi / 4 / 2**23 - quadrant * np.pi / 2
        expected = np.stack([radius[:, 0] * np.cos(angle[:, 0]), radius[:, 0] * np.sin(angle[:, 0])])
        np.testing.assert_allclose(np.sort(np.abs(found[:, :2, i])), np.sort(np.abs(expected.T)), atol=3e-6)


@pytest.fixture(scope="module")
def many():
    return normals(draw_seeds(np.random.default_rng(5), 5000), 200).astype(np.float64)


def test_deviates_are_standard_normal(many):
    flat = many.reshape(-1)
    for power, moment in ((1, 0), (2, 1), (3, 0), (4, 3), (6, 15)):
        spread = np.sqrt((norm.moment(2 * power) - moment**2) / flat.size)
        assert abs((flat**power).mean() - moment) < 4 * spread
    for axis in range(3):
        assert kstest(many[:, axis].ravel(), "norm").pvalue > 1e-4


def test_deviates_of_components_steps_and_trajectories_are_independent(many):
    bound = 5 / np.sqrt(many[:, 0].size)
    for f in (lambda x: x, lambda x: x**2 - 1):
        x = f(many)
        scale = np.mean(x**2)
        pairs = [(x[:, 0], x[:, 1]), (x[:, 1], x[:, 2]), (x[:, 0], x[:, 2])]
        pairs += [(x[1:], x[:-1]), (x[2:], x[:-2]), (x[..., 1:], x[..., :-1])]
        for a, b in pairs:
            assert abs(np.mean(a * b)) / scale < bound


def test_tails_are_there(many):
    beyond = np.mean(np.abs(many) > 4)
    expected = 2 * norm.sf(4)
    assert abs(beyond - expected) < 5 * np.sqrt(expected / many.size)


def test_seeds_depend_on_the_stream_alone():
    one, two = (draw_seeds(np.random.default_rng(1), 10) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert one.dtype == np.uint32
    assert np.unique(one).size == 40
