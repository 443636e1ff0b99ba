"""Straight lines against the width."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from spinneurons.analysis.lines import straight_line


@given(intercept=st.floats(-10, 10), slope=st.floats(-10, 10))
def test_points_on_a_line_give_the_line(intercept, slope):
    width = np.array([0.3, 1.0, 2.5, 5.0])
    line = straight_line(width, intercept + slope * width)
    np.testing.assert_allclose([line.intercept, line.slope], [intercept, slope], atol=1e-12)


def test_the_line_is_the_one_of_numpy_and_leaves_nan_out():
    rng = np.random.default_rng(0)
    width = np.repeat([0.3, 0.5, 1.0, 5.0], 4)
    value = 2 + 3 * width + rng.normal(size=width.size)
    slope, intercept = np.polyfit(width, value, 1)
    line = straight_line(np.append(width, 2.0), np.append(value, np.nan))
    np.testing.assert_allclose(line[:2], [intercept, slope])
    np.testing.assert_allclose(line.r_squared, np.corrcoef(width, value)[0, 1] ** 2)


def test_one_width_has_no_line():
    assert np.isnan(straight_line([1.0, 1.0], [1.0, 2.0])).all()
