"""How much the switching curves of devices change from the first day to the last, one by one and on average.

Every number of a drift comes from here: those of the command ``drift``, of the figure and of the paper's claim.

The two fits of a device are independent.  The change of a current is the ratio of the two, whose logarithm has the
standard error sqrt((error_1/value_1)^2 + (error_2/value_2)^2); the interval is normal on the logarithm, since a scale
current known to 15 % cannot have an error symmetric about itself.  The errors are those of the likelihood, which take
the pulses to be independent and the curve to be right.  Of 80,000 simulated pairs with 11 to 28 currents and 20 to
100 cycles at each, the 95 % intervals hold the true change in 94.6 to 95.2 % (I_bias) and 95.0 to 95.2 % (i0).
Whether bias and scale current changed at all is one test, the likelihood ratio of a curve for each day to one curve
for both: it needs no correlation of the two estimates.

The mean over devices weighs each by its error and by the scatter between devices; see
:mod:`spinneurons.analysis.scatter`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import xarray as xr

from spinneurons.analysis.scatter import spread_interval, weighted_fit
from spinneurons.neurons.checked_fit import deviance
from spinneurons.neurons.cubes import law
from spinneurons.neurons.family import Law
from spinneurons.neurons.fit import Fit, fit

TIMES = ("hour", "day", "week", "month", "year")
"""Names of an axis along which devices may have drifted, also in the plural."""


class MeanDrift(NamedTuple):
    """The change of one current over all devices, %."""

    mean: float
    low: float
    high: float
    """95 % interval (Student's t); NaN with one device."""
    scatter: float
    """Standard deviation of the devices' changes beyond the errors of their fits."""
    scatter_low: float
    scatter_high: float
    """95 % interval; NaN with one device."""
    devices: int


def time_axis(cube: xr.Dataset) -> str:
    """The axis along which devices were measured again: one of ``TIMES``; "" if there is none."""
    named = (str(d) for d in cube.dims if str(d).lower().removesuffix("s") in TIMES)
    return next(named, "")


def first_and_last(cube: xr.Dataset) -> xr.Dataset:
    """The cube at its first and its last day; days with names instead of numbers are in order already."""
    days = cube["day"].values
    order = np.argsort(days, kind="stable") if days.dtype.kind in "iuf" else np.arange(days.size)
    return cube.isel(day=[int(order[0]), int(order[-1])])


def change(cube: xr.Dataset, name: str) -> xr.Dataset:
    """Change of a current from the first to the last entry along ``day``.

    Parameters
    ----------
    cube : ``name`` and its standard error ``name_stderr``, (..., day) A
    name : ``i_bias`` or ``i0``

    Returns
    -------
    Dataset of (...) float64, all in %: ``change``, its standard error ``stderr``, and its 95 % interval ``low`` to
    ``high``; NaN where a day has no fit
    """
    value, error = cube[name], cube[f"{name}_stderr"]
    relative = error / value
    ratio = value.isel(day=-1, drop=True) / value.isel(day=0, drop=True)
    stderr = np.hypot(relative.isel(day=0, drop=True), relative.isel(day=-1, drop=True))
    z = 1.959964
    ends = {"low": ratio * np.exp(-z * stderr), "high": ratio * np.exp(z * stderr)}
    percent = {"change": ratio, **ends}
    return xr.Dataset({**{n: 100 * (v - 1) for n, v in percent.items()}, "stderr": 100 * ratio * stderr})


def joint_p_value(cube: xr.Dataset) -> xr.DataArray:
    """p-value of no change of bias and scale current from the first to the last entry along ``day``.

    Twice the log-likelihood of a curve for each day over that of one curve for both, against chi-square with two
    degrees of freedom.

    Parameters
    ----------
    cube : ``i_write`` (A), ``switches`` and ``trials``, (..., day, current); ``i_bias`` (..., day), NaN without a fit

    Returns
    -------
    (...) float64; NaN where a day has no fit
    """
    curve = law(cube)
    arrays = [cube[n].isel(day=[0, -1]) for n in ("switches", "trials", "i_write", "i_bias")]
    p_value: xr.DataArray = xr.apply_ufunc(
        lambda k, n, current, bias: _p_value(k, n, current, curve) if np.isfinite(bias).all() else math.nan,
        *arrays,
        input_core_dims=[["day", "current"]] * 3 + [["day"]],
        vectorize=True,
    )
    return p_value


def _p_value(k: npt.ArrayLike, n: npt.ArrayLike, i_write: npt.ArrayLike, curve: Law) -> float:
    """Of one device, (2, currents) each."""
    from scipy.stats import chi2

    counts, trials, current = (np.asarray(a, dtype=np.float64) for a in (k, n, i_write))
    days = [fit(*day, curve).deviance for day in zip(counts, trials, current, strict=True)]
    pooled = counts.ravel(), trials.ravel(), current.ravel()
    common = fit(*pooled, curve)
    return float(chi2.sf(max(_deviance(common, *pooled) - sum(days), 0.0), 2))


def _deviance(common: Fit, counts: npt.NDArray[np.float64], *of: npt.NDArray[np.float64]) -> float:
    """Of the common curve; where the counts of both days together fall with the current, of its limit, a constant."""
    if common.status != "falling":
        return common.deviance
    trials = of[0]
    seen = trials > 0
    constant = np.full(int(seen.sum()), counts[seen].sum() / trials[seen].sum())
    return float(deviance(counts[seen], trials[seen], constant))


def mean_drift(changes: xr.Dataset) -> MeanDrift:
    """Mean change over all devices and the scatter between them.

    Parameters
    ----------
    changes : as :func:`change` gives it; devices without a number are left out
    """
    from scipy.stats import t

    ratio = 1 + changes["change"].values.ravel() / 100
    error = changes["stderr"].values.ravel() / 100 / ratio
    known = np.isfinite(ratio) & np.isfinite(error)
    logs, errors = np.log(ratio[known]), error[known]
    line = weighted_fit(np.ones((logs.size, 1)), logs, errors)
    mean, half = float(line.coefficients[0]), math.nan
    scatter = (line.spread, math.nan, math.nan)
    if line.dof:
        half = float(t.ppf(0.975, line.dof) * math.sqrt(line.covariance[0, 0]))
        scatter = (line.spread, *spread_interval(logs, errors))
    value, low, high = (100 * math.expm1(v) for v in (mean, mean - half, mean + half))
    spread, least, most = (100 * v for v in scatter)
    return MeanDrift(value, low, high, spread, least, most, logs.size)
