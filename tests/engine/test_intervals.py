"""Means, paired differences and shares, beside SciPy's and statsmodels' own."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from spinsweep.analysis.intervals import mean_interval, paired_difference, share


def test_an_interval_is_that_of_student_over_the_seeds_that_are_there() -> None:
    values = xr.DataArray([[1.0, 2.0, 4.0, np.nan], [5.0, np.nan, np.nan, np.nan]], dims=("width", "seed"))
    mean, half = mean_interval(values)
    expected = stats.ttest_1samp([1.0, 2.0, 4.0], 0.0).confidence_interval(0.95)
    assert mean.values.tolist() == pytest.approx([7 / 3, 5.0])
    assert (mean - half).values[0] == pytest.approx(expected.low)
    assert np.isnan(half.values[1])


def test_an_interval_is_taken_over_any_axis_and_at_any_level() -> None:
    values = xr.DataArray(np.random.default_rng(1).normal(size=(3, 8)), dims=("device", "day"))
    found = mean_interval(values, "day", level=0.99)
    expected = stats.ttest_1samp(values.values, 0.0, axis=1).confidence_interval(0.99)
    np.testing.assert_allclose(found.low, expected.low)
    np.testing.assert_allclose(found.high, expected.high)


def test_a_difference_is_paired_by_coordinate_so_that_what_pairs_share_cancels() -> None:
    common = np.array([0.9, 0.5, 0.7])
    first = xr.DataArray(common + 0.1, {"seed": [0, 1, 2]}, ("seed",))
    second = xr.DataArray(common[::-1], {"seed": [2, 1, 0]}, ("seed",))
    found = paired_difference(first, second)
    assert float(found.mean) == pytest.approx(0.1)
    assert float(found.half) == pytest.approx(0, abs=1e-12)


def test_a_share_has_wilsons_interval_and_keeps_its_coordinates() -> None:
    switched = xr.DataArray([0, 50, 100], {"width": [5.0, 1.0, 0.3]}, ("width",))
    found = share(switched, 100)
    low, high = proportion_confint(switched.values, 100, method="wilson")
    np.testing.assert_allclose(found["low"], np.clip(low, 0, 1), atol=1e-12)
    np.testing.assert_allclose(found["high"], np.clip(high, 0, 1), atol=1e-12)
    assert float(found["share"].sel(width=1.0)) == 0.5


@pytest.mark.parametrize("level", [95, 1.0, 0.0, -0.5, np.nan])
def test_a_level_that_is_no_share_is_refused(level: float) -> None:
    values = xr.DataArray([1.0, 2.0, 4.0], dims=("seed",))
    with pytest.raises(ValueError, match=f"^level is {level:g}; it must be between 0 and 1"):
        mean_interval(values, level=level)
    with pytest.raises(ValueError, match=f"^level is {level:g}; it must be between 0 and 1"):
        paired_difference(values, values, level=level)


@pytest.mark.parametrize(("successes", "says"), [(5, "5 successes of 3 trials"), (-1, "-1 successes of 3 trials")])
def test_more_successes_than_trials_are_refused(successes: int, says: str) -> None:
    with pytest.raises(ValueError, match=f"^{says}; successes must be from 0 to the number of trials$"):
        share(xr.DataArray([1, successes]), 3)


def test_no_trials_have_no_share() -> None:
    assert np.isnan(float(share(xr.DataArray(0), 0)["share"]))


@given(st.lists(st.floats(0, 1), min_size=2, max_size=6))
def test_an_interval_of_shares_stays_from_0_to_1_and_holds_their_mean(shares: list[float]) -> None:
    found = mean_interval(xr.DataArray(shares, dims="seed"))
    low, high = (float(end) for end in found.within())
    assert 0 <= low <= high <= 1
    assert low - 1e-12 <= float(found.mean) <= high + 1e-12
