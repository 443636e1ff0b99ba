"""Values that scatter by their own errors and by a spread of the devices, and what is fitted through them."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t
from statsmodels.stats.meta_analysis import combine_effects

from spinneurons.analysis.fits import fit_line
from spinneurons.analysis.lines import straight_line
from spinneurons.analysis.scatter import WeightedFit, weighted_fit

WIDTH = np.repeat([5.0, 2.5, 2.0, 1.5, 1.0, 0.9, 0.7, 0.5, 0.3], 4)
LINE = np.stack([np.ones_like(WIDTH), WIDTH], axis=1)


def devices(seed: int, spread: float = 0.06, error: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    """Values of 36 devices and their standard errors."""
    rng, mean = np.random.default_rng(seed), 8.5 + 17.9 * WIDTH
    errors = error * mean * rng.uniform(0.5, 1.5, WIDTH.size)
    return mean * (1 + spread * rng.standard_normal(WIDTH.size)) + errors * rng.standard_normal(WIDTH.size), errors


def test_values_that_scatter_alike_are_fitted_as_by_ordinary_least_squares() -> None:
    y, _ = devices(0)
    found, expected = weighted_fit(LINE, y), sm.OLS(y, LINE).fit()
    np.testing.assert_allclose(found.coefficients, expected.params)
    np.testing.assert_allclose(found.covariance, expected.cov_params())
    assert found.spread == pytest.approx(np.sqrt(expected.scale))
    np.testing.assert_allclose(straight_line(WIDTH, y).slope_interval(), expected.conf_int()[1])


@pytest.mark.filterwarnings("ignore:The Identity link function")
def test_a_proportional_spread_alone_is_a_gamma_model_with_the_identity_for_link() -> None:
    y, _ = devices(1)
    found = weighted_fit(LINE, y, proportional=True)
    gamma = sm.families.Gamma(sm.families.links.Identity())
    expected = sm.GLM(y, LINE, family=gamma).fit(scale="X2", tol=1e-14, maxiter=200)
    np.testing.assert_allclose(found.coefficients, expected.params, rtol=1e-7)
    np.testing.assert_allclose(found.covariance, expected.cov_params(), rtol=1e-6)
    assert found.spread == pytest.approx(np.sqrt(expected.scale))


@pytest.mark.parametrize("seed", range(4))
def test_a_mean_of_devices_with_errors_is_that_of_paule_mandel_knapp_and_hartung(seed: int) -> None:
    rng = np.random.default_rng(seed)
    errors = rng.uniform(0.5, 2, 12)
    y = 10 + 2 * rng.standard_normal(12) + errors * rng.standard_normal(12)
    found = weighted_fit(np.ones((12, 1)), y, errors)
    expected = combine_effects(y, errors**2, method_re="iterated", use_t=True)
    assert expected.tau2 > 0
    assert found.coefficients[0] == pytest.approx(expected.mean_effect_re)
    assert found.spread == pytest.approx(np.sqrt(expected.tau2))
    assert np.sqrt(found.covariance[0, 0]) == pytest.approx(np.sqrt(expected.var_hksj_re))


def test_the_proportional_fit_satisfies_its_own_equations() -> None:
    y, errors = devices(2)
    found = weighted_fit(LINE, y, errors, proportional=True)
    mean = LINE @ found.coefficients
    variance = (found.spread * mean) ** 2 + (errors * mean / y) ** 2
    assert ((y - mean) ** 2 / variance).sum() == pytest.approx(found.dof)
    np.testing.assert_allclose(LINE.T @ ((y - mean) / variance), 0, atol=1e-7)
    np.testing.assert_allclose(found.covariance, np.linalg.inv(LINE.T @ (LINE / variance[:, None])))


def test_errors_that_explain_all_of_the_scatter_leave_no_spread_and_keep_their_size() -> None:
    y, errors = devices(3, spread=0.0)
    found = weighted_fit(LINE, y, 2 * errors, proportional=True)
    mean = LINE @ found.coefficients
    variance = (2 * errors * mean / y) ** 2
    assert found.spread == 0
    np.testing.assert_allclose(found.covariance, np.linalg.inv(LINE.T @ (LINE / variance[:, None])))


def test_a_device_that_is_hardly_known_hardly_counts() -> None:
    y, errors = devices(4)
    far, unsure = y.copy(), errors.copy()
    far[1], unsure[1] = 2 * y[1], 50 * y[1]
    without = np.arange(y.size) != 1
    found = straight_line(WIDTH, far, unsure, proportional=True)
    expected = straight_line(WIDTH[without], y[without], errors[without], proportional=True)
    assert found.slope == pytest.approx(expected.slope, rel=2e-3)
    assert straight_line(WIDTH, far).slope != pytest.approx(expected.slope, rel=2e-2)


@given(unit=st.floats(1e-9, 1e9), seed=st.integers(0, 20), length=st.floats(1e-3, 1e3))
def test_the_fit_does_not_depend_on_units_or_on_the_order(unit: float, seed: int, length: float) -> None:
    y, errors = devices(seed)
    order = np.random.default_rng(seed).permutation(y.size)
    found = straight_line(length * WIDTH[order], unit * y[order], unit * errors[order], proportional=True)
    expected = straight_line(WIDTH, y, errors, proportional=True)
    np.testing.assert_allclose(found.intercept, unit * expected.intercept, rtol=1e-6)
    np.testing.assert_allclose(found.slope_stderr, unit / length * expected.slope_stderr, rtol=1e-6)
    np.testing.assert_allclose(found.spread, expected.spread, rtol=1e-6, atol=1e-9)


@given(intercept=st.floats(0.1, 10), slope=st.floats(0, 10), sign=st.sampled_from([-1, 1]))
def test_points_on_a_line_of_one_sign_have_no_spread_and_no_error(intercept: float, slope: float, sign: int) -> None:
    line = straight_line(WIDTH, sign * (intercept + slope * WIDTH), proportional=True)
    np.testing.assert_allclose([line.intercept, line.slope], [sign * intercept, sign * slope], atol=1e-9)
    np.testing.assert_allclose([line.spread, line.slope_stderr], 0, atol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_the_ends_of_a_ratio_are_where_its_denominator_times_it_is_t_errors_from_the_numerator(seed: int) -> None:
    fit = weighted_fit(LINE, *devices(seed), proportional=True)
    a, b = np.array([1, 5.0]), np.array([1, 0.3])
    value, *ends = fit.ratio(a, b)
    assert value == pytest.approx((a @ fit.coefficients) / (b @ fit.coefficients))
    for end in ends:
        w = a - end * b
        distance = abs(w @ fit.coefficients) / np.sqrt(w @ fit.covariance @ w)
        assert distance == pytest.approx(t.ppf(0.975, fit.dof))
    assert ends[0] < value < ends[1]


def test_a_ratio_to_what_may_be_0_is_not_given() -> None:
    fit = WeightedFit(np.array([1.0, 0.1]), np.diag([0.01, 0.01]), 10, 0.0)
    assert np.isnan(fit.ratio([1, 0], [0, 1])).all()


def test_a_share_of_a_mean_that_is_0_somewhere_is_no_scatter() -> None:
    rng = np.random.default_rng(0)
    y = WIDTH - 2 + rng.normal(0, 0.1, WIDTH.size)
    assert np.isnan(straight_line(WIDTH, y, proportional=True).slope)
    assert np.isfinite(straight_line(WIDTH, y).slope)


def test_few_devices_have_a_line_and_an_interval_only_from_three_on() -> None:
    for count, interval in ((1, False), (2, False), (3, True), (4, True)):
        line = straight_line(
            [1.0, 2.0, 3.0, 4.0][:count], [1.0, 2.2, 2.9, 4.1][:count], [0.1] * count, proportional=True
        )
        assert np.isfinite(line.slope) == (count > 1)
        assert np.isfinite(line.slope_interval()).all() == interval


def test_one_width_has_no_line() -> None:
    assert np.isnan(straight_line([1.0] * 4, [1.0, 1.1, 0.9, 1.0], [0.1] * 4, proportional=True)).all()


def test_devices_without_a_value_or_an_error_are_left_out_and_counted() -> None:
    y, errors = (a.reshape(9, 4).copy() for a in devices(5))
    y[0, 1], errors[3, 2] = np.nan, np.nan
    widths = {"width": WIDTH[::4]}
    values, error = (xr.DataArray(a, widths, ("width", "device")) for a in (y, errors))
    found = fit_line(values, "width", "device", error=error.transpose(), proportional=True)
    good = np.isfinite(y + errors).ravel()
    expected = straight_line(WIDTH[good], y.ravel()[good], errors.ravel()[good], proportional=True)
    assert (int(found["points"]), int(found["left_out"])) == (34, 2)
    assert float(found["slope"]) == pytest.approx(expected.slope)
    assert float(found["spread"]) == pytest.approx(expected.spread)


def test_errors_below_0_or_in_other_units_are_refused_in_one_line() -> None:
    values = xr.DataArray([1.0, 2.0, 3.0], {"width": [1.0, 2.0, 3.0]}, ("width",), attrs={"units": "A"})
    with pytest.raises(ValueError, match=r"^a standard error is -1; it must be 0 or more$"):
        fit_line(values, error=xr.full_like(values, -1.0))
    with pytest.raises(ValueError, match=r"^the errors are in 'mA' and the values in 'A'; convert one$"):
        fit_line(values, error=xr.full_like(values, 0.1).assign_attrs(units="mA"))
