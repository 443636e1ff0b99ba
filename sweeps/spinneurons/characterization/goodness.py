"""How well a curve fits the counts of one device, which law they favour, and whether its pulses are independent."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from spinneurons.neurons.checked_fit import deviance
from spinneurons.neurons.family import Law
from spinneurons.neurons.fit import SEPARATED, fit, fit_many

Floats = npt.NDArray[np.float64]

BAD_FIT = 0.001
"""p-value below which a fit is called bad: of a thousand right curves, one."""

CLEAR = 2.0
"""Difference of AIC from which one law is called the better one (K. P. Burnham, D. R. Anderson, Model Selection and
Multimodel Inference, 2nd ed. (2002), section 2.6)."""

DATA_SETS = 1999
"""Data sets drawn from a fitted curve, for a p-value down to 1/2000."""

LEAST_OUTCOMES = 5
"""Cycles that switched, and that did not, from which on a current enters the runs test, whose law is asymptotic."""


BOOTSTRAP = "parametric bootstrap"
"""How a p-value was found where expected counts are too small for chi-square."""


class Goodness(NamedTuple):
    """How well a fitted curve describes its counts."""

    deviance: float
    dof: int
    p_value: float
    """Probability of a deviance at least as large if the curve were right."""
    p_method: str
    """``chi-square``, or ``parametric bootstrap`` where expected counts are too small for it."""
    overdispersion: float
    """Pearson's chi-square over the degrees of freedom, 1 for binomial counts."""
    aic: Mapping[str, float]
    """Akaike's information criterion by law; NaN where a law has no fit."""
    detection: float
    """Share of data sets drawn from the fitted curve in which its law is the better one by ``CLEAR``."""

    @property
    def is_bad(self) -> bool:
        """Whether the counts contradict the curve."""
        return self.p_value < BAD_FIT

    @property
    def better_law(self) -> str:
        """Name of the law with the smallest AIC, if it is smaller by ``CLEAR``; "" if the data cannot tell."""
        known = sorted((value, name) for name, value in self.aic.items() if np.isfinite(value))
        return known[0][1] if len(known) > 1 and known[1][0] - known[0][0] >= CLEAR else ""


class RunsTest(NamedTuple):
    """Whether what a pulse does depends on the pulse before."""

    z: float
    """Below 0: outcomes come in longer runs than independent ones; NaN where no current has enough of both."""
    p_value: float
    """Two-sided."""
    currents: int
    """Currents that entered."""


def goodness(
    k: npt.ArrayLike,
    n: npt.ArrayLike,
    i_write: npt.ArrayLike,
    i_bias: float,
    i0: float,
    law: Law,
    others: Sequence[Law] = (),
) -> Goodness:
    """Goodness of the fitted curve of one device.

    The deviance follows chi-square where the expected counts are not small: at least 5 switched and 5 not switched at
    four of five currents, and nowhere less than 1 (W. G. Cochran, Biometrics 10, 417 (1954)).  A switching curve
    mostly has currents where hardly any cycle, or nearly every one, is to switch.  Then the deviance is held against
    those of ``DATA_SETS`` data sets that are drawn from the fitted curve and fitted in turn (A. C. Davison, D. V.
    Hinkley, Bootstrap Methods and their Application (1997), section 4.2).  The draws are the same for every device
    of the same trials, so that no number depends on other devices.

    Parameters
    ----------
    k, n, i_write : (m,) counts, counts, A; currents that are NaN or have n = 0 are left out
    i_bias, i0 : A, of the maximum-likelihood curve
    law : of the curve
    others : laws to compare it with

    Returns
    -------
    Goodness

    Source: P. McCullagh, J. A. Nelder, Generalized Linear Models, 2nd ed. (1989), section 4.5 (overdispersion).
    """
    counts, trials, current = (np.asarray(a, dtype=np.float64) for a in (k, n, i_write))
    good = np.isfinite(current) & (trials > 0)
    counts, trials, current = counts[good], trials[good], current[good]
    dof = counts.size - 2
    p = law.probability((current - i_bias) / i0)
    drawn = np.random.default_rng(0).binomial(trials.astype(np.int64), p, size=(DATA_SETS, p.size)).astype(np.float64)
    observed = float(deviance(counts, trials, p))
    simulated = _deviances(drawn, trials, current, law)
    p_value, method = _p_value(observed, simulated, trials, p, dof)
    with np.errstate(divide="ignore", invalid="ignore"):
        pearson = np.nansum((counts - trials * p) ** 2 / (trials * p * (1 - p)))
    deviances = {law.name: observed} | {other.name: fit(counts, trials, current, other).deviance for other in others}
    return Goodness(
        deviance=observed,
        dof=dof,
        p_value=p_value,
        p_method=method,
        overdispersion=float(pearson / dof) if dof else math.nan,
        aic={name: value + _aic_without_deviance(counts, trials) for name, value in deviances.items()},
        detection=_detection(drawn, simulated, trials, current, others),
    )


NO_RUNS = RunsTest(math.nan, math.nan, 0)
"""Of a device without a current at which both outcomes were seen, or of which only counts are known."""


def runs_test(switched: npt.ArrayLike, valid: npt.ArrayLike) -> RunsTest:
    """Runs test of the valid cycles of each current, in their order, over all currents.

    The z of each current with at least ``LEAST_OUTCOMES`` of both outcomes are added, over the square root of their
    number: the trend with the current does not enter, as it would in one sequence.

    Parameters
    ----------
    switched, valid : (currents, cycles) bool

    Returns
    -------
    RunsTest

    Source: A. Wald, J. Wolfowitz, Ann. Math. Stat. 11, 147 (1940), and Stouffer's sum of z.
    """
    from scipy.stats import norm

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own imports
        from statsmodels.sandbox.stats.runs import runstest_1samp
    z = []
    for outcomes, usable in zip(np.asarray(switched), np.asarray(valid), strict=True):
        sequence = outcomes[usable].astype(np.float64)
        if min(sequence.sum(), sequence.size - sequence.sum()) >= LEAST_OUTCOMES:
            z.append(float(runstest_1samp(sequence, cutoff=0.5, correction=False)[0]))
    if not z:
        return NO_RUNS
    total = sum(z) / math.sqrt(len(z))
    return RunsTest(total, float(2 * norm.sf(abs(total))), len(z))


def _deviances(drawn: Floats, trials: Floats, current: Floats, law: Law) -> Floats:
    """(B,) deviances of refitted data sets: 0 of a separated one, NaN of one without a curve."""
    curves = fit_many(drawn, trials, current, law)
    with np.errstate(invalid="ignore"):
        p = law.probability((current - curves.i_bias[:, None]) / curves.i0[:, None])
        values = np.maximum(deviance(drawn, trials, p), 0.0)
    return np.where(curves.status == SEPARATED, 0.0, values)


def _p_value(observed: float, simulated: Floats, trials: Floats, p: Floats, dof: int) -> tuple[float, str]:
    from scipy.stats import chi2

    expected = np.minimum(trials * p, trials * (1 - p))
    if not dof:
        return math.nan, "none: as many parameters as currents"
    if np.mean(expected >= 5) >= 0.8 and expected.min() >= 1:
        return float(chi2.sf(observed, dof)), "chi-square"
    known = simulated[np.isfinite(simulated)]
    return float((1 + np.sum(known >= observed)) / (1 + known.size)), BOOTSTRAP


def _aic_without_deviance(counts: Floats, trials: Floats) -> float:
    """AIC of two parameters less the deviance: that of the saturated model but for its parameters."""
    from scipy.stats import binom

    return 4.0 - 2 * float(np.sum(binom.logpmf(counts, trials, counts / trials)))


def _detection(drawn: Floats, simulated: Floats, trials: Floats, current: Floats, others: Sequence[Law]) -> float:
    if not others:
        return math.nan
    other = np.min([_deviances(drawn, trials, current, law) for law in others], axis=0)
    known = np.isfinite(simulated) & np.isfinite(other)
    return float(np.mean(other[known] - simulated[known] >= CLEAR)) if known.any() else math.nan
