"""The intervals of a drift hold the true change as often as they say, one by one and on average."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr
from scipy.stats import binomtest, chi2

from spinneurons.analysis.scatter import spread_interval
from spinneurons.neurons.fit import fit, fit_many, standard_errors
from spinneurons.neurons.laws import LOGISTIC
from spinneurons.persistence.analysis import change, joint_p_value, mean_drift, time_axis

I_BIAS, I0 = 6e-4, 4e-5
CURRENTS = I_BIAS + I0 * np.linspace(-4, 4, 11)


def measured(drift: np.ndarray, i0_ratio: float = 1.1, cycles: int = 30, seed: int = 0) -> xr.Dataset:
    """Counts and fits of devices whose bias current changes by a factor 1 + ``drift``, (devices,)."""
    rng = np.random.default_rng(seed)
    trials = np.full(CURRENTS.size, cycles)
    days = {"i_bias": [], "i_bias_stderr": [], "i0": [], "i0_stderr": [], "switches": []}
    for factor, scale in ((np.ones_like(drift), 1.0), (1 + drift, i0_ratio)):
        p = LOGISTIC.probability((CURRENTS - I_BIAS * factor[:, None]) / (I0 * scale))
        k = rng.binomial(cycles, p)
        curves = fit_many(k, trials, CURRENTS)
        errors = standard_errors(curves, trials, CURRENTS, LOGISTIC)
        for name, values in zip(days, (curves.i_bias, errors[0], curves.i0, errors[1], k), strict=True):
            days[name].append(values)
    data = {name: (("day", "device", "current")[: np.ndim(v)], np.array(v)) for name, v in days.items()}
    data["trials"] = (("day", "device", "current"), np.full_like(data["switches"][1], cycles))
    data["i_write"] = (("day", "device", "current"), np.broadcast_to(CURRENTS, data["switches"][1].shape))
    return xr.Dataset(data, {"day": [0, 7]}, {"parameters": json.dumps({"link": "logistic"})})


def holds(changes: xr.Dataset, percent: float | np.ndarray) -> int:
    return int(((changes["low"] <= percent) & (percent <= changes["high"])).sum())


@pytest.mark.parametrize(
    ("pairs", "cycles"), [(400, 30), *(pytest.param(20_000, n, marks=pytest.mark.slow) for n in (20, 30, 100))]
)
def test_the_interval_of_a_device_s_change_holds_the_true_one_in_95_percent(pairs: int, cycles: int) -> None:
    cube = measured(np.full(pairs, 0.02), cycles=cycles)
    for name, percent in (("i_bias", 2.0), ("i0", 10.0)):
        share = holds(change(cube, name), percent) / pairs
        assert 0.93 <= share <= 0.97, name


def test_the_mean_s_and_the_scatter_s_intervals_hold_the_true_ones_in_95_percent() -> None:
    campaigns, devices, scatter = 400, 10, 0.015
    drift = np.expm1(np.random.default_rng(1).normal(np.log(1.02), scatter, (campaigns, devices)))
    changes = change(measured(drift.ravel(), seed=2), "i_bias")
    means = [mean_drift(changes.isel(device=slice(i * devices, (i + 1) * devices))) for i in range(campaigns)]
    true = {"mean": 2.0, "scatter": 100 * scatter}
    for name, low, high in (("mean", "low", "high"), ("scatter", "scatter_low", "scatter_high")):
        held = sum(getattr(m, low) <= true[name] <= getattr(m, high) for m in means)
        assert 0.93 <= held / campaigns <= 0.97, name


def test_without_drift_one_joint_p_value_in_twenty_is_below_5_percent_and_a_drift_is_seen() -> None:
    p = joint_p_value(measured(np.zeros(120), i0_ratio=1.0, seed=3)).values
    assert binomtest(int((p < 0.05).sum()), p.size, 0.05).pvalue > 0.001
    assert (joint_p_value(measured(np.full(20, 0.2), seed=4)) < 0.001).all()


def test_the_joint_p_value_is_the_likelihood_ratio_of_one_curve_for_both_days() -> None:
    cube = measured(np.array([0.02]), seed=5)
    k, n, i_write = (cube[name].values[:, 0] for name in ("switches", "trials", "i_write"))
    apart = sum(fit(*day).deviance for day in zip(k, n, i_write, strict=True))
    common = fit(k.ravel(), n.ravel(), i_write.ravel()).deviance
    assert float(joint_p_value(cube)[0]) == pytest.approx(chi2.sf(common - apart, 2), rel=1e-12)


def test_a_device_without_a_fit_has_no_drift_and_does_not_enter_the_mean() -> None:
    cube = measured(np.full(5, 0.02))
    before = mean_drift(change(cube.isel(device=slice(4)), "i_bias"))
    for name in ("i_bias", "i_bias_stderr"):
        cube[name].values[1, 4] = np.nan
    assert np.isnan(joint_p_value(cube)).values.tolist() == [False] * 4 + [True]
    assert mean_drift(change(cube, "i_bias")) == before
    assert before.devices == 4


def test_one_device_has_a_mean_and_no_interval_of_it() -> None:
    mean = mean_drift(change(measured(np.array([0.02])), "i_bias"))
    assert mean.devices == 1
    assert np.isfinite(mean.mean)
    assert np.isnan([mean.low, mean.high, mean.scatter_low, mean.scatter_high]).all()


def test_the_interval_of_a_spread_without_errors_is_that_of_a_normal_sample() -> None:
    y = np.random.default_rng(6).normal(0, 2, 20)
    expected = np.sqrt(19 * y.var(ddof=1) / chi2.ppf([0.975, 0.025], 19))
    np.testing.assert_allclose(spread_interval(y, np.full(20, 1e-9)), expected, rtol=1e-6)
    assert spread_interval(y, np.full(20, 1e3)) == (0.0, 0.0)


def test_an_axis_of_time_is_known_by_its_name() -> None:
    for name, expected in (("day", "day"), ("Days", "Days"), ("week", "week"), ("T_K", ""), ("polarity", "")):
        assert time_axis(xr.Dataset(coords={name: [0, 7]})) == expected
