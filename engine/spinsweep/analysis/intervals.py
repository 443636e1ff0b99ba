"""Means, differences and shares over any axis, with their intervals."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy import special

from spinsweep.errors import SpecError

Floats = npt.NDArray[np.float64]


class MeanInterval(NamedTuple):
    """A mean and the half-width of its interval; unpacks as (mean, half)."""

    mean: xr.DataArray
    half: xr.DataArray

    @property
    def low(self) -> xr.DataArray:
        """Lower bound."""
        return self.mean - self.half

    @property
    def high(self) -> xr.DataArray:
        """Upper bound."""
        return self.mean + self.half

    def within(self, lowest: float = 0.0, highest: float = 1.0) -> tuple[xr.DataArray, xr.DataArray]:
        """Bounds (low, high) cut where no mean can be: that of shares is from 0 to 1."""
        return self.low.clip(lowest, highest), self.high.clip(lowest, highest)


def check_level(level: float) -> None:
    """Refuse a confidence that is not between 0 and 1, such as 95, with SpecError."""
    if not 0 < level < 1:
        raise SpecError(f"level is {level:g}; it must be between 0 and 1, such as 0.95")


def mean_interval(values: xr.DataArray, dim: str = "seed", level: float = 0.95) -> MeanInterval:
    """Mean over ``dim`` of the values that are not NaN, with Student's t interval.

    Parameters
    ----------
    values : (..., dim), any unit
    level : confidence of the interval

    Returns
    -------
    MeanInterval, each (...) in the unit of ``values``; ``half`` is NaN where fewer than two values are

    Raises
    ------
    SpecError
        ``level`` is not between 0 and 1.
    """
    check_level(level)
    values = values.compute()
    count = values.notnull().sum(dim)
    spread = values.std(dim, ddof=1) / np.sqrt(count)
    # Student's quantile as scipy.stats has it, which takes seconds to import
    quantile = xr.apply_ufunc(lambda n: special.stdtrit(np.maximum(n - 1, 1), (1 + level) / 2), count)
    return MeanInterval(values.mean(dim), (quantile * spread).where(count > 1))


def paired_difference(
    first: xr.DataArray, second: xr.DataArray, dim: str = "seed", level: float = 0.95
) -> MeanInterval:
    """``first - second`` over the values of ``dim`` that both have, compared one by one.

    What the members of a pair have in common (the chip, the images, the luck of the pulses) cancels.

    Parameters
    ----------
    first, second : (..., dim); matched by their coordinates
    """
    return mean_interval(first - second, dim, level)


def wilson(successes: npt.ArrayLike, trials: npt.ArrayLike, level: float = 0.95) -> tuple[Floats, Floats, Floats]:
    """Share of successes with Wilson's score interval, which has a width at no and at all successes as well.

    Parameters
    ----------
    successes, trials : counts that broadcast together
    level : confidence of the interval

    Returns
    -------
    (share, low, high), each float64 of the common shape; NaN where there is no trial

    Source: E. B. Wilson, J. Am. Stat. Assoc. 22, 209 (1927).
    """
    from statsmodels.stats.proportion import proportion_confint  # slow to import, and only error bars need it

    k, n = np.broadcast_arrays(np.asarray(successes, np.float64), np.asarray(trials, np.float64))
    with np.errstate(divide="ignore", invalid="ignore"):
        p = np.asarray(k / n)
        low, high = proportion_confint(k, n, alpha=round(1 - level, 12), method="wilson")
    return p, np.clip(low, 0.0, p), np.clip(high, p, 1.0)  # rounding apart, the interval holds p


def share(successes: xr.DataArray, trials: xr.DataArray | int) -> xr.Dataset:
    """``successes`` of ``trials`` as ``share`` with Wilson's 95 % interval ``low`` to ``high``.

    Parameters
    ----------
    successes : (...) counts; sum over the axes that are pooled first
    trials : counts that broadcast with them

    Raises
    ------
    ValueError
        Successes are below 0 or above their trials.
    """
    k, n = xr.broadcast(successes, xr.DataArray(trials))
    k, n = k.compute(), n.compute()
    wrong = np.flatnonzero((k.values < 0) | (k.values > n.values))
    if wrong.size:
        first, total = (counts.values.ravel()[wrong[0]] for counts in (k, n))
        raise ValueError(f"{first:g} successes of {total:g} trials; successes must be from 0 to the number of trials")
    interval = zip(("share", "low", "high"), wilson(k.values, n.values), strict=True)
    return xr.Dataset({name: (k.dims, values) for name, values in interval}, k.coords)
