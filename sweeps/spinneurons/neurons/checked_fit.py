"""When a curve through counts is a fit, and what the counts say where it is not.

A likelihood may have a maximum that says nothing: half of the cycles switched at every current, and the curve has a
bias current ten times above all of them.  Such a curve is no fit.  Numbers only.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from spinneurons.neurons.family import Law
from spinneurons.neurons.fit import FALLING, REASONS, STATUS_NAMES, Fit, Interval, fit, without_fit
from spinneurons.neurons.laws import LOGISTIC

Floats = npt.NDArray[np.float64]

LEVEL = 0.05
"""Probability with which counts without any slope are taken for counts with one."""

LEAST_CYCLES = 6
"""Cycles of a fair coin that come out alike in less than 2.5 % of the cases: 1/2^6 = 1.6 %."""

LEAST_RESAMPLES = 20
"""Resamples from which on an interval is held against its estimate: of ten, all may be on one side by chance."""

STATUSES = (
    *STATUS_NAMES,
    "levels_not_distinct",
    "never_switched",
    "always_switched",
    "slope_not_different_from_zero",
    "no_bias_current_in_measured_range",
    "interval_excludes_estimate",
    "partial_switching",
    "resets_failed",
)
"""Meaning of each value of the output ``fit_status``."""


class BiasBounds(NamedTuple):
    """95 % bounds of the current of p = 1/2 that hold for every rising curve, A; infinite where there is none."""

    above: float
    below: float


def checked_fit(k: npt.ArrayLike, n: npt.ArrayLike, i_write: npt.ArrayLike, law: Law = LOGISTIC) -> Fit:
    """The curve of :func:`spinneurons.neurons.fit.fit` where the counts support it, and else why they do not.

    A curve is a fit if some cycle switched and some did not, the slope differs from zero, the probability rises, and
    the bias current is within the measured currents: outside, it is the law that says where p = 1/2 is, and no
    measurement.

    The slope is tested by the likelihood ratio to a constant probability, at 5 %.  Wald's test, slope over standard
    error, is not used: it loses its power where the effect is large (W. W. Hauck, A. Donner, J. Am. Stat. Assoc. 72,
    851 (1977)), as it is for counts that pass from 0 to 1 within a few currents.

    Parameters
    ----------
    k, n, i_write : (m,) counts, counts, A, as for ``fit``
    law : of the curve

    Returns
    -------
    Fit; its numbers are NaN where it has a ``reason``, and ``status`` is one of ``STATUSES``

    Source: P. McCullagh, J. A. Nelder, Generalized Linear Models, 2nd ed. (1989), section 4.4 (likelihood ratio).
    """
    counts, trials, current = _with_data(k, n, i_write)
    cycles = int(trials.sum())
    if cycles and not counts.sum():
        highest = f"{1e3 * current.max():.4g} mA"
        return _rejected("never_switched", f"never switched: none of {cycles} cycles, up to {highest}")
    if cycles and (counts == trials).all():
        lowest = f"{1e3 * current.min():.4g} mA"
        return _rejected("always_switched", f"always switched: all of {cycles} cycles, down to {lowest}")
    curve = fit(counts, trials, current, law)
    if curve.status == "separated" and current[counts > 0].max() <= current[counts < trials].min():
        return without_fit(STATUS_NAMES[FALLING], REASONS[FALLING])
    if curve.status in ("fitted", "falling") and (p := slope_p_value(counts, trials, current, law)) > LEVEL:
        share = counts.sum() / trials.sum()
        return _rejected(
            "slope_not_different_from_zero",
            f"slope not different from zero: {share:.0%} of the cycles switched, at high currents no more than at "
            f"low ones (likelihood ratio, p = {p:.2g})",
        )
    if curve.reason:
        return curve
    if not current.min() <= curve.i_bias <= current.max():
        beyond, end = ("above", current.max()) if curve.i_bias > current.max() else ("below", current.min())
        return _rejected(
            "no_bias_current_in_measured_range",
            f"no bias current in measured range: the curve reaches p = 1/2 {beyond} {1e3 * end:.4g} mA, where "
            "nothing was measured",
        )
    return curve


def slope_p_value(k: npt.ArrayLike, n: npt.ArrayLike, i_write: npt.ArrayLike, law: Law = LOGISTIC) -> float:
    """p-value of the likelihood ratio of the curve, rising or falling, to a constant probability (chi-square, 1).

    1 where the curve is level; NaN where the likelihood has no maximum.
    """
    from scipy.stats import chi2  # slow to import, and a look at the sweeps does not need it

    counts, trials, current = _with_data(k, n, i_write)
    curve = fit(counts, trials, current, law)
    if curve.status == "falling":
        curve = fit(counts, trials, -current, law)  # its likelihood is that of the falling curve
    if curve.reason:
        return 1.0 if curve.status == "falling" else math.nan
    constant = deviance(counts, trials, np.full(trials.shape, counts.sum() / trials.sum()))
    return float(chi2.sf(max(float(constant) - curve.deviance, 0.0), 1))


def with_interval(curve: Fit, interval: Interval) -> Fit:
    """The fit, unless a bootstrap interval of its bias or scale current excludes the estimate itself."""
    for name in ("i_bias", "i0"):
        low, value, high = (getattr(interval, f"{name}_low"), getattr(curve, name), getattr(interval, f"{name}_high"))
        if value < low or value > high:
            return _rejected(
                "interval_excludes_estimate",
                f"interval excludes the estimate: {name} is {1e3 * value:.4g} mA, and its 95 % interval is from "
                f"{1e3 * low:.4g} to {1e3 * high:.4g} mA",
            )
    return curve


def deviance(k: npt.ArrayLike, n: npt.ArrayLike, p: npt.ArrayLike) -> Floats:
    """Twice the log-likelihood ratio of the shares k/n to the probabilities ``p``, summed over the last axis.

    Parameters
    ----------
    k, n, p : (..., m) arrays that broadcast together; a probability of 0 or 1 that the counts contradict gives inf
    """
    from scipy.special import rel_entr  # k log(k/m), with 0 log 0 = 0

    counts, trials, share = (np.asarray(a, dtype=np.float64) for a in (k, n, p))
    terms = rel_entr(counts, trials * share) + rel_entr(trials - counts, trials * (1 - share))
    return np.asarray(2 * terms.sum(axis=-1))


def bias_bounds(k: npt.ArrayLike, n: npt.ArrayLike, i_write: npt.ArrayLike) -> BiasBounds:
    """Between which measured currents p = 1/2 lies, with 95 % confidence, whatever rising curve it is.

    If a current were the bias current, at least half of the cycles there and above would be expected to switch, and
    at most half of those below.  The exact binomial test of that, at 2.5 % on each side, is inverted; it takes the
    cycles of the current itself, and of as many next to it as are needed for six.  So "never switched" is a
    measurement: the bias current is above the largest current.

    Parameters
    ----------
    k, n, i_write : (m,) counts, counts, A; currents that are NaN or have n = 0 are left out

    Returns
    -------
    BiasBounds
    """
    counts, trials, current = _with_data(k, n, i_write)
    order = np.argsort(current)
    counts, trials, current = counts[order], trials[order], current[order]
    above = _lower_bound(counts, trials, current)
    below = -_lower_bound((trials - counts)[::-1], trials[::-1], -current[::-1])
    return BiasBounds(above, below)


def _lower_bound(counts: Floats, trials: Floats, current: Floats) -> float:
    """The current before the first, in rising order, at which the counts may be those of p >= 1/2."""
    from scipy.stats import binom

    lowest = -math.inf
    for first in range(current.size):
        last = first + int(np.searchsorted(np.cumsum(trials[first:]), LEAST_CYCLES)) + 1
        if binom.cdf(counts[first:last].sum(), trials[first:last].sum(), 0.5) > LEVEL / 2:
            break
        lowest = float(current[first])
    return lowest


def _with_data(k: npt.ArrayLike, n: npt.ArrayLike, i_write: npt.ArrayLike) -> tuple[Floats, Floats, Floats]:
    counts, trials, current = (np.asarray(a, dtype=np.float64) for a in (k, n, i_write))
    good = np.isfinite(current) & (trials > 0)
    return counts[good], trials[good], current[good]


def _rejected(status: str, reason: str) -> Fit:
    assert status in STATUSES
    return without_fit(status, reason)
