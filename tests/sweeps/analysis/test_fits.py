"""Lines, bends and switching curves through made-up values."""

from __future__ import annotations

import numpy as np
import pint
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import linregress, t

from spinneurons.analysis.fits import fit_line
from spinneurons.neurons.cubes import fit_switching
from spinneurons.neurons.fit import fit
from spinneurons.neurons.laws import CLOGLOG, LOGISTIC, BinomialLaw

WIDTH = np.array([5.0, 2.5, 2.0, 1.5, 1.0, 0.9, 0.7, 0.5, 0.3])


def on_width(values: np.ndarray, **coords: list[int]) -> xr.DataArray:
    return xr.DataArray(values, {"width": WIDTH, **coords}, ("width", *coords))


def test_a_line_agrees_with_scipy() -> None:
    y = 1.0 + 0.2 * WIDTH + np.random.default_rng(0).normal(0, 0.05, WIDTH.size)
    found, expected = fit_line(on_width(y)), linregress(WIDTH, y)
    half = t.ppf(0.975, WIDTH.size - 2) * expected.stderr
    assert float(found["slope"]) == pytest.approx(expected.slope)
    assert float(found["slope_low"]) == pytest.approx(expected.slope - half)
    assert float(found["slope_high"]) == pytest.approx(expected.slope + half)
    assert float(found["r_squared"]) == pytest.approx(expected.rvalue**2)


def test_a_line_is_straight_and_a_square_root_bends_by_what_the_page_says() -> None:
    places = np.linspace(0, 1, 2001)
    root = xr.DataArray(np.sqrt(places), {"width": places}, ("width",))
    assert float(fit_line(on_width(3.0 - 2.0 * WIDTH))["bend"]) == pytest.approx(0, abs=1e-12)
    assert float(fit_line(root)["bend"]) == pytest.approx(0.18, abs=0.005)
    assert float(fit_line(1 - root)["bend"]) == pytest.approx(0.18, abs=0.005)


def test_the_interval_of_the_bend_holds_the_true_one_as_often_as_it_says() -> None:
    rng, true = np.random.default_rng(5), 0.05
    unit = (WIDTH - 0.3) / 4.7
    y = 1 + unit - 4 * true * (unit**2 - unit)
    many = on_width(y[:, None, None] + rng.normal(0, 0.05, (9, 4, 400)), device=[0, 1, 2, 3], run=list(range(400)))
    found = fit_line(many, "width", pool=["device"])
    inside = ((found["bend_low"] <= true) & (true <= found["bend_high"])).mean()
    assert 0.92 <= float(inside) <= 0.98


def test_devices_are_pooled_or_kept_as_asked_and_lost_ones_left_out() -> None:
    y = np.stack([WIDTH, 2 * WIDTH, np.full(9, np.nan)], axis=1)
    by_device = fit_line(on_width(y, device=[0, 1, 2]))
    pooled = fit_line(on_width(y, device=[0, 1, 2]), pool=["device"])
    np.testing.assert_allclose(by_device["slope"], [1.0, 2.0, np.nan])
    assert float(pooled["slope"]) == pytest.approx(1.5)
    assert pooled["slope"].dims == ()


def test_too_few_points_give_no_interval_and_no_exception() -> None:
    two = xr.DataArray([1.0, 2.0], {"width": [1.0, 2.0]}, ("width",))
    found = fit_line(two)
    assert float(found["slope"]) == 1.0
    assert np.isnan([float(found[n]) for n in ("slope_low", "slope_high", "bend", "bend_low")]).all()


@pytest.mark.parametrize("law", [LOGISTIC, CLOGLOG])
def test_curves_are_fitted_along_the_currents_of_every_device(law: BinomialLaw) -> None:
    rng = np.random.default_rng(2)
    current = np.linspace(1e-4, 9e-4, 15)
    counts = rng.binomial(100, law.probability((current[:, None] - 5e-4) / 8e-5), (15, 3))
    switched = xr.DataArray(counts.T, {"device": [4, 5, 6]}, ("device", "current"))
    i_write = xr.DataArray(current, dims=("current",))
    found = fit_switching(switched, xr.full_like(switched, 100), i_write, law)
    expected = [fit(counts[:, i], np.full(15, 100), current, law) for i in range(3)]
    np.testing.assert_array_equal(found["i_bias"], [one.i_bias for one in expected])
    np.testing.assert_array_equal(found["dof"], [one.dof for one in expected])
    assert found["i0"].attrs["units"] == "A"
    pooled = fit_switching(switched.sum("device"), xr.full_like(switched, 100).sum("device"), i_write, law)
    assert float(pooled["i_bias_stderr"]) < float(found["i_bias_stderr"].mean())


def test_counts_without_a_finite_curve_are_nan() -> None:
    switched = xr.DataArray([0, 0, 100, 100], dims=("current",))
    current = xr.DataArray([1e-4, 2e-4, 3e-4, 4e-4], dims=("current",))
    assert np.isnan(float(fit_switching(switched, xr.full_like(switched, 100), current)["i_bias"]))


@pytest.mark.parametrize("constant", [0.0, 0.1, 7e-4, -3.0])
def test_values_that_do_not_vary_have_a_level_line_and_no_r_squared_or_bend(constant: float) -> None:
    found = fit_line(on_width(np.full(9, constant)))
    assert float(found["slope"]) == pytest.approx(0, abs=1e-15)
    assert np.isnan([float(found[n]) for n in ("r_squared", "bend", "bend_low", "bend_high")]).all()


def test_a_chord_that_does_not_rise_has_no_bend() -> None:
    hollow = xr.DataArray([1.0, 0.0, 0.0, 1.0], {"width": [0.0, 1.0, 2.0, 3.0]}, ("width",))
    assert np.isnan([float(fit_line(hollow)[n]) for n in ("bend", "bend_low", "bend_high")]).all()
    noise = on_width(np.random.default_rng(3).normal(0, 1, 9))
    assert np.isnan(float(fit_line(noise)["bend"]))
    assert np.isfinite(float(fit_line(noise + 10 * WIDTH)["bend"]))


@given(offset=st.floats(-1, 1), factor=st.floats(1e-6, 1e6), bend=st.floats(-0.2, 0.2))
def test_the_bend_of_a_parabola_is_exact_whatever_the_unit(offset: float, factor: float, bend: float) -> None:
    unit = (WIDTH - 0.3) / 4.7
    found = fit_line(on_width(factor * (offset + unit - 4 * bend * (unit**2 - unit))))
    assert float(found["bend"]) == pytest.approx(bend, abs=1e-9)


@pytest.mark.parametrize(
    ("y", "x", "slope"),
    [("A", "um", "A/um"), ("kA/m", "um", "kA/m/um"), ("V", "A/m", "V/(A/m)"), ("A", "1", "A"), ("1", "um", "1/um")],
)
def test_a_line_has_units_that_pint_reads(y: str, x: str, slope: str) -> None:
    values = on_width(2 * WIDTH).assign_attrs(units=y)
    values["width"].attrs["units"] = x
    found = fit_line(values)
    assert {found[n].attrs["units"] for n in ("slope", "slope_low", "slope_high")} == {slope}
    assert found["intercept"].attrs["units"] == y
    assert found["bend"].attrs["units"] == found["r_squared"].attrs["units"] == "1"
    read = pint.UnitRegistry()
    assert read.Unit(slope) == read.Unit(y) / read.Unit(x)


def test_a_line_through_values_of_no_unit_says_none() -> None:
    assert "units" not in fit_line(on_width(WIDTH))["slope"].attrs


def test_one_dim_is_pooled_by_its_name_alone() -> None:
    y = on_width(np.stack([WIDTH, 2 * WIDTH], axis=1), device=[0, 1])
    assert fit_line(y, pool="device").identical(fit_line(y, pool=["device"]))


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"dim": "with"}, "no dim 'with' to fit along or pool; the values have width, device"),
        ({"pool": "devices"}, "no dim 'devices' to fit along or pool; the values have width, device"),
        ({"pool": "width"}, "dim 'width' and pool width name a dim twice"),
        ({"dim": "device", "pool": "width"}, "dim 'device' has no coordinate to fit on"),
        ({"level": 95}, "level is 95; it must be between 0 and 1"),
    ],
)
def test_a_line_that_cannot_be_meant_is_refused_in_one_line(asked: dict, says: str) -> None:
    values = xr.DataArray(np.ones((9, 2)), {"width": WIDTH}, ("width", "device"))
    with pytest.raises(ValueError, match=says) as error:
        fit_line(values, **asked)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("places", [[1.0, np.nan, 3.0], [1.0, 2.0, np.inf], ["a", "b", "c"]])
def test_places_that_are_no_numbers_are_refused(places: list) -> None:
    values = xr.DataArray([1.0, 2.0, 3.0], {"width": places}, ("width",))
    with pytest.raises(ValueError, match=r"^coordinate 'width' is not a finite number everywhere"):
        fit_line(values)


def test_a_switching_curve_is_in_the_unit_of_its_currents() -> None:
    current = xr.DataArray(np.linspace(100.0, 900.0, 15), dims=("current",), attrs={"units": "uA"})
    switched = xr.DataArray(np.random.default_rng(2).binomial(100, LOGISTIC.probability((current - 500) / 80)))
    switched = switched.rename(dim_0="current")
    found = fit_switching(switched, xr.full_like(switched, 100), current)
    assert float(found["i_bias"]) == pytest.approx(500, rel=0.1)
    assert {found[n].attrs["units"] for n in ("i_bias", "i_bias_stderr", "i0", "i0_stderr")} == {"uA"}
