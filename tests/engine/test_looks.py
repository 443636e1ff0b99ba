"""Intervals at planned looks hold at all looks at once; an interval at a fixed level does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from spinsweep.analysis.intervals import mean_interval, wilson
from spinsweep.analysis.looks import LEVEL, Looks, half_width, moments

Draw = Callable[[np.random.Generator, tuple[int, int]], Any]
LOOKS = Looks.plan(10, 200)
NAIVE = (LEVEL,) * len(LOOKS.counts)
MEANS: dict[str, tuple[Draw, float, float]] = {
    "normal": (lambda rng, shape: rng.normal(3.0, 1.0, shape), 3.0, 1.0),
    "lognormal": (
        lambda rng, shape: rng.lognormal(0.0, 0.5, shape),
        float(np.exp(0.125)),
        float(np.sqrt(np.expm1(0.25) * np.exp(0.25))),
    ),
    "counts": (lambda rng, shape: rng.binomial(10, 0.95, shape) / 10, 0.95, float(np.sqrt(0.95 * 0.05 / 10))),
}
"""How values are drawn, their mean and their standard deviation."""
NEEDS = (15, 40, 110)
"""Replicates after which the half width is about the limit, by the normal law."""


def stopped(
    draw: Draw, mean: float, limit: float, levels: tuple[float, ...], *, repeats: int, is_share: bool = False
) -> tuple[float, float]:
    """Part of the intervals at the stop that hold the mean, and the mean number of replicates, by simulation."""
    values = draw(np.random.default_rng(17), (repeats, LOOKS.counts[-1])).astype(np.float64)
    holds, used, still = np.zeros(repeats, bool), np.zeros(repeats, int), np.ones(repeats, bool)
    for count, level in zip(LOOKS.counts, levels, strict=True):
        average, spread, n = moments(values[:, :count], is_share=is_share)
        half = half_width(average, spread, n, level, is_share=is_share)
        if is_share:
            _, low, high = wilson(average * n, n, level)
        else:
            low, high = average - half, average + half
        now = still & ((half < limit) | (count == LOOKS.counts[-1]))
        holds[now], used[now] = ((low <= mean) & (mean <= high))[now], count
        still &= ~now
    return float(holds.mean()), float(used.mean())


@pytest.mark.parametrize("needs", NEEDS)
@pytest.mark.parametrize("name", MEANS)
def test_the_interval_at_the_stop_covers_at_least_as_often_as_it_says(name: str, needs: int) -> None:
    draw, mean, deviation = MEANS[name]
    limit = 1.96 * deviation / needs**0.5
    repeats = 2000
    covered, _ = stopped(draw, mean, limit, LOOKS.levels, repeats=repeats)

    assert covered >= LEVEL - 3 * (LEVEL * (1 - LEVEL) / repeats) ** 0.5


@pytest.mark.slow
@pytest.mark.parametrize("needs", [8, 15, 25, 40, 70, 110, 160])
@pytest.mark.parametrize("name", [*MEANS, "share of 0.3", "share of 0.05"])
def test_the_interval_at_the_stop_covers_as_often_as_it_says_in_many_repeats(name: str, needs: int) -> None:
    share = float(name.rpartition(" ")[2]) if name.startswith("share") else 0.0
    by_share: Draw = lambda rng, shape: rng.random(shape) < share  # noqa: E731
    draw, mean, deviation = MEANS.get(name, (by_share, share, (share * (1 - share)) ** 0.5))
    repeats = 20_000
    limit = 1.96 * deviation / needs**0.5
    covered, used = stopped(draw, mean, limit, LOOKS.levels, repeats=repeats, is_share=bool(share))
    naive, fewer = stopped(draw, mean, limit, NAIVE, repeats=repeats, is_share=bool(share))
    print(f"{name}, {needs} needed: {covered:.3f} with {used:.0f} replicates, naive {naive:.3f} with {fewer:.0f}")

    assert covered >= LEVEL - 3 * (LEVEL * (1 - LEVEL) / repeats) ** 0.5


def test_the_interval_at_a_fixed_level_undercovers_when_one_stops_at_it() -> None:
    """What the planned looks are for: were this not so, they would cost cells for nothing."""
    draw, mean, deviation = MEANS["lognormal"]
    covered, _ = stopped(draw, mean, 1.96 * deviation / 40**0.5, NAIVE, repeats=4000)

    assert covered < 0.93


@given(st.integers(2, 60), st.integers(0, 400))
@settings(max_examples=25, deadline=None)
def test_looks_end_at_the_largest_number_and_miss_less_than_their_level_together(first: int, more: int) -> None:
    looks = Looks.plan(first, first + more)

    assert (looks.counts[0], looks.counts[-1]) == (first, first + more)
    assert list(looks.counts) == sorted(set(looks.counts))
    assert all(LEVEL - 1e-9 <= level < 1 for level in looks.levels)
    missed = 1 - np.array(looks.levels)
    assert missed.max() <= 1 - LEVEL + 1e-9
    assert missed.sum() >= 1 - LEVEL - 1e-9, "looks are correlated: each level needs no more than Bonferroni's"


def test_one_look_is_the_ordinary_interval() -> None:
    assert Looks.plan(20, 20) == Looks((20,), (pytest.approx(LEVEL),))


def test_levels_are_those_that_a_simulation_of_the_partial_sums_gives() -> None:
    looks = Looks.plan(10, 80)
    sums = np.cumsum(np.random.default_rng(3).normal(size=(100_000, 80)), axis=1)[:, np.array(looks.counts) - 1]
    limits = stats.norm.isf((1 - np.array(looks.levels)) / 2) * np.sqrt(looks.counts)
    first_miss = (np.abs(sums) > limits).cumsum(axis=1) > 0

    assert first_miss.mean(axis=0) == pytest.approx((1 - LEVEL) * np.array(looks.counts) / 80, abs=0.0025)


def test_half_width_is_that_of_the_analysis() -> None:
    import xarray as xr

    values = np.random.default_rng(0).normal(size=(3, 12))
    values[1, 4] = np.nan
    values[2, 1:] = np.nan
    array = xr.DataArray(values, dims=("x", "seed"))
    mean, spread, count = moments(values, is_share=False)
    half = half_width(mean, spread, count, 0.9, is_share=False)

    assert list(count) == [12, 11, 1]
    np.testing.assert_allclose(half, mean_interval(array, level=0.9).half.values)
    np.testing.assert_allclose(mean, array.mean("seed").values)
