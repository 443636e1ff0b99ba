"""Wilson's interval."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from spinsweep.analysis.intervals import wilson


@given(n=st.integers(1, 10_000), data=st.data())
def test_the_interval_is_the_one_of_statsmodels_and_holds_the_proportion(n, data):
    k = data.draw(st.integers(0, n))
    p, low, high = wilson(k, n)
    assert 0 <= low <= p == k / n <= high <= 1
    np.testing.assert_allclose((low, high), proportion_confint(k, n, method="wilson"), atol=1e-12)


def test_no_trial_has_no_proportion():
    assert np.isnan(wilson([0], [0])).all()


def test_no_success_in_a_hundred_leaves_room_up_to_3_7_per_cent():
    # z^2/(n + z^2) with z = 1.96
    assert wilson(0, 100)[2] == pytest.approx(3.8415 / 103.8415, rel=1e-4)
