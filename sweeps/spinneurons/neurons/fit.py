"""Switching curve from counts: binomial maximum likelihood, and bootstrap intervals.

The model is eta = b0 + b1 * I with p = inverse(eta) of a law (see ``spinneurons.neurons.laws``), hence

    i_bias = (half - b0)/b1        i0 = scale/b1        (logistic: -b0/b1 and 1/b1)

:func:`fit` is one curve by statsmodels; :func:`fit_many` solves many count vectors on the same currents at
once. Numbers only.
"""

from __future__ import annotations

import math
import threading
import warnings
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from spinneurons.neurons.family import Law
from spinneurons.neurons.laws import LOGISTIC

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

CONVERGED, NO_DATA, SEPARATED, FALLING, NOT_CONVERGED = range(5)
REASONS = (
    "",
    "no data: fewer than two currents have a valid cycle",
    "separated: some current parts all failures from all successes, so that the curve has no finite slope",
    "falling: the switching probability does not rise with the current",
    "no convergence of the likelihood",
)
"""Reason of each status."""
STATUS_NAMES = ("fitted", "no_data", "separated", "falling", "not_converged")
"""Each status as a word, for ``flag_meanings`` and tables."""

ROUNDING = 1e-12
"""Bound of what another kind of processor changes in a fit, relative: its BLAS and LAPACK kernels sum in another
order. Between OpenBLAS for Nehalem, Haswell and SkylakeX, the largest difference seen was 6e-15."""

_LEAST_SLOPE = 1e-8
"""Of eta against the standardised current; less is rounding about a curve that does not rise."""

_LONGEST_STEP = 10.0  # of the coefficients, whose current is standardised

_WARNINGS = threading.Lock()  # warnings.catch_warnings changes the filters of all threads


class Fit(NamedTuple):
    """A fitted curve; all NaN with a ``reason`` if the likelihood has no maximum."""

    i_bias: float
    """Current of p = 1/2, A."""
    i_bias_stderr: float
    i0: float
    """Scale current, A: dp/dI = 1/(4 i0) at p = 1/2."""
    i0_stderr: float
    deviance: float
    dof: int
    """Currents with data, less two; 0 without a fit."""
    reason: str = ""
    status: str = STATUS_NAMES[CONVERGED]
    """One of ``STATUS_NAMES``, or of those that :mod:`spinneurons.neurons.checked_fit` adds."""


class Estimates(NamedTuple):
    """Many fitted curves, each (B,)."""

    i_bias: Floats
    i0: Floats
    status: npt.NDArray[np.int8]
    """CONVERGED, NO_DATA, SEPARATED, FALLING or NOT_CONVERGED; estimates are NaN but for the first."""


class Interval(NamedTuple):
    """95 % bootstrap intervals, A; all NaN with a ``reason`` if the counts themselves have no fit."""

    i_bias_low: float
    i_bias_high: float
    i0_low: float
    i0_high: float
    window_low: float
    window_high: float
    separated: int
    """Resamples without a finite slope, entered as i0 = 0."""
    dropped: int
    """Resamples without any estimate (falling or not converged), left out."""
    reason: str = ""


def fit(k: npt.ArrayLike, n: npt.ArrayLike, i_write: npt.ArrayLike, law: Law = LOGISTIC) -> Fit:
    """Maximum-likelihood curve through ``k`` switched of ``n`` valid cycles at each current.

    Standard errors come from the expected information (for the logistic it is the observed one as well) by
    the delta method; the deviance is twice the log-likelihood ratio to the saturated model.  The current is
    centred on its median and divided by its spread first, which makes the numbers of order one.

    Parameters
    ----------
    k, n, i_write : (m,) counts, counts, A; currents that are NaN or have n = 0 are left out

    Returns
    -------
    Fit; never raises for data and never warns: separated counts, a falling curve, no data or no convergence
    give NaN and the reason.

    Source: sigmoid fits of Fig. 2(c-k).
    """
    k, n, x, centre, unit = _standardised(k, n, i_write)
    status = int(_status(k[None, :], n, x)[0])
    if status != CONVERGED:
        return _no_fit(status)
    line = _statsmodels(k, n, x, law)
    if line is None:
        return _no_fit(NOT_CONVERGED)
    b0, b1, cov, deviance = line
    if b1 <= _LEAST_SLOPE:
        return _no_fit(FALLING)
    z_bias = (law.half - b0) / b1
    gradient = np.array([-1.0, -z_bias]) / b1
    return Fit(
        i_bias=float(centre + unit * z_bias),
        i_bias_stderr=float(unit * np.sqrt(gradient @ cov @ gradient)),
        i0=float(unit * law.scale / b1),
        i0_stderr=float(unit * law.scale * np.sqrt(cov[1, 1]) / b1**2),
        deviance=deviance,
        dof=x.size - 2,
    )


def _statsmodels(k: Floats, n: Floats, x: Floats, law: Law) -> tuple[float, float, Floats, float] | None:
    """b0, b1, their covariance and the deviance, or None without convergence."""
    import statsmodels.genmod.families as families  # takes a second, which a look at the sweeps does not need
    from statsmodels.genmod.generalized_linear_model import GLM

    family = families.Binomial(law.statsmodels_link())
    glm = GLM(np.column_stack([k, n - k]), np.column_stack([np.ones_like(x), x]), family=family)

    def scoring() -> tuple[Any, bool]:
        result = glm.fit(maxiter=200, tol_criterion="params", atol=1e-11, rtol=1e-11)
        return result, result.converged

    def newton() -> tuple[Any, bool]:  # for the rare counts on which the scoring of cloglog oscillates
        start = _newton(k[None, :], n, x, law)[0][0]
        result = glm.fit(start_params=start, method="newton", maxiter=100, disp=0)
        return result, result.mle_retvals["converged"]

    with _WARNINGS, warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # each outcome is looked at here
        for attempt in (scoring, newton):
            try:
                result, converged = attempt()
                (b0, b1), cov, deviance = result.params, result.cov_params(), float(result.deviance)
            except (ValueError, ArithmeticError, np.linalg.LinAlgError):
                continue
            if converged and np.isfinite([b0, b1, *cov.ravel(), deviance]).all():
                return float(b0), float(b1), np.asarray(cov), deviance
    return None


def fit_many(k: npt.ArrayLike, n: npt.ArrayLike, i_write: npt.ArrayLike, law: Law = LOGISTIC) -> Estimates:
    """Maximum-likelihood curves of many count vectors on the same currents, by damped Newton steps.

    Equal to :func:`fit` in its estimates, without standard errors.  The likelihood is concave: a step that
    lowers it is halved until it does not, and its maximum is the only one.

    Parameters
    ----------
    k : (B, m) counts
    n, i_write : (m,) counts and A; currents that are NaN or have n = 0 are left out

    Returns
    -------
    Estimates of shape (B,)

    Source: P. McCullagh, J. A. Nelder, Generalized Linear Models, 2nd ed. (1989), section 2.5.
    """
    counts, n, x, centre, unit = _standardised(k, n, i_write)
    counts = np.atleast_2d(counts)
    status = _status(counts, n, x)
    slope, offset = (np.full(counts.shape[0], np.nan) for _ in range(2))
    rows = np.flatnonzero(status == CONVERGED)
    if rows.size:
        b, good = _newton(counts[rows], n, x, law)
        status[rows[~good]] = NOT_CONVERGED
        status[rows[good & (b[:, 1] <= _LEAST_SLOPE)]] = FALLING
        offset[rows], slope[rows] = b.T
        slope[status != CONVERGED] = np.nan
    return Estimates(centre + unit * (law.half - offset) / slope, unit * law.scale / slope, status)


def standard_errors(
    curves: Estimates, n: npt.ArrayLike, i_write: npt.ArrayLike, law: Law = LOGISTIC
) -> tuple[Floats, Floats]:
    """Standard errors of i_bias and i0 of many curves, each (B,) in A; NaN where a curve has no fit.

    From the expected information as in :func:`fit`, which gives the same.

    Parameters
    ----------
    curves : of :func:`fit_many`
    n, i_write : (m,) counts and A, those of the fit; currents that are NaN or have n = 0 are left out
    """
    trials, current = (np.asarray(a, dtype=np.float64) for a in (n, i_write))
    good = np.isfinite(current) & (trials > 0)
    z = (current[good] - curves.i_bias[:, None]) / curves.i0[:, None]
    p = np.clip(law.probability(z), 1e-300, 1 - 2.0**-53)
    weight = trials[good] * law.derivative(z) ** 2 / (p * (1 - p))
    s0, s1, s2 = weight.sum(axis=1), (weight * z).sum(axis=1), (weight * z**2).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        per_i0 = np.sqrt(np.stack([s2, s0]) / (s0 * s2 - s1**2))
    return curves.i0 * per_i0[0], curves.i0 * per_i0[1]


def bootstrap(
    k: npt.ArrayLike,
    n: npt.ArrayLike,
    i_write: npt.ArrayLike,
    law: Law,
    rng: np.random.Generator,
    resamples: int = 1000,
) -> Interval:
    """95 % percentile intervals of i_bias, i0 and the window from resampled cycles.

    Drawing n of the n recorded cycles of a current with replacement gives a count that is binomial with n
    trials and probability k/n, exactly; so counts are drawn, not cycles.  A separated resample enters as i0 =
    0 and i_bias = the middle of its gap, the limit that its likelihood approaches: leaving it out would cut
    the interval's lower end off.

    Parameters
    ----------
    k, n, i_write : (m,) counts, counts, A
    rng : stream of the resampling
    resamples : number of resampled count vectors

    Returns
    -------
    Interval
    """
    counts, n, x, centre, unit = _standardised(k, n, i_write)
    status = int(fit_many(counts[None, :], n, x, law).status[0])
    if status != CONVERGED:
        return Interval(*(np.nan,) * 6, 0, 0, REASONS[status])
    drawn = rng.binomial(n.astype(np.int64), counts / n, size=(resamples, n.size)).astype(np.float64)
    curves = fit_many(drawn, n, x, law)
    separated = curves.status == SEPARATED
    i_bias = centre + unit * np.where(separated, _gap_middle(drawn, n, x), curves.i_bias)
    i0 = unit * np.where(separated, 0.0, curves.i0)
    usable = np.isfinite(i_bias)
    if not usable.any():
        return Interval(*(np.nan,) * 6, 0, resamples, "no resample has a fit")
    ends = np.percentile(np.stack([i_bias, i0])[:, usable], [2.5, 97.5], axis=1)
    (bias_low, i0_low), (bias_high, i0_high) = ends.tolist()
    window, left_out = (law.window * i0_low, law.window * i0_high), int((~usable).sum())
    return Interval(bias_low, bias_high, i0_low, i0_high, *window, int(separated.sum()), left_out)


def without_fit(status: str, reason: str) -> Fit:
    """What is said of counts through which there is no curve."""
    return Fit(*(math.nan,) * 5, dof=0, reason=reason, status=status)


def _no_fit(status: int) -> Fit:
    return without_fit(STATUS_NAMES[status], REASONS[status])


def _standardised(
    k: npt.ArrayLike, n: npt.ArrayLike, i_write: npt.ArrayLike
) -> tuple[Floats, Floats, Floats, float, float]:
    """Counts and currents with data, the current as (I - centre)/unit, and centre and unit in A."""
    counts, trials, current = (np.asarray(a, dtype=np.float64) for a in (k, n, i_write))
    if not (trials.ndim == current.ndim == 1 and trials.shape == current.shape == counts.shape[-1:]):
        raise ValueError(
            f"k has shape {counts.shape}, n {trials.shape}, i_write {current.shape}; all end in the currents"
        )
    good = np.isfinite(current) & (trials > 0)
    counts, trials, current = counts[..., good], trials[good], current[good]
    if np.any(counts < 0) or np.any(counts > trials):
        raise ValueError("a count k is below 0 or above its number of trials n")
    if not current.size:
        return counts, trials, current, 0.0, 1.0
    centre = float(np.median(current))
    unit = 1.4826 * float(np.median(np.abs(current - centre))) or float(np.ptp(current)) or 1.0
    return counts, trials, (current - centre) / unit, centre, unit


def _status(k: Floats, n: Floats, x: Floats) -> npt.NDArray[np.int8]:
    """(B,) whether the likelihood has a maximum: its failures and successes have to overlap in current.

    Source: A. Albert, J. A. Anderson, Biometrika 71, 1 (1984).
    """
    if np.unique(x).size < 2:
        return np.full(k.shape[0], NO_DATA, dtype=np.int8)
    first_success, last_success, first_failure, last_failure = _ends(k, n, x)
    apart = (last_failure <= first_success) | (last_success <= first_failure)
    return np.where(apart, SEPARATED, CONVERGED).astype(np.int8)


def _ends(k: Floats, n: Floats, x: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Lowest and highest current with a success, then with a failure; +-inf where there is none."""
    success, failure = k > 0, k < n
    return (
        np.where(success, x, np.inf).min(axis=1),
        np.where(success, x, -np.inf).max(axis=1),
        np.where(failure, x, np.inf).min(axis=1),
        np.where(failure, x, -np.inf).max(axis=1),
    )


def _gap_middle(k: Floats, n: Floats, x: Floats) -> Floats:
    """(B,) middle between the last failure and the first success; NaN for a falling or one-sided row."""
    first_success, _, _, last_failure = _ends(k, n, x)
    inside = (last_failure <= first_success) & np.isfinite(first_success) & np.isfinite(last_failure)
    middle = np.full(k.shape[0], np.nan)
    middle[inside] = (first_success[inside] + last_failure[inside]) / 2
    return middle


def _newton(k: Floats, n: Floats, x: Floats, law: Law) -> tuple[Floats, Bools]:
    """(B, 2) coefficients of maximal likelihood and (B,) whether they converged."""
    p = (k + 0.5) / (n + 1)  # start: weighted least squares through the observed proportions
    eta = law.predictor(p)
    weight = n * p * (1 - p)
    b = _solve(weight, np.stack([(weight * eta).sum(axis=1), (weight * eta * x).sum(axis=1)], axis=1), x)
    step = np.zeros_like(b)
    likelihood = np.full(k.shape[0], -np.inf)
    good = np.zeros(k.shape[0], dtype=np.bool_)
    rows = np.arange(k.shape[0])
    for _ in range(100):
        eta = b[rows, :1] + b[rows, 1:] * x
        now, residual, weight = law.score(k[rows], n, eta)
        worse = ~(now >= likelihood[rows] - 1e-10 * np.abs(now))  # or not a number
        score = np.stack([residual.sum(axis=1), residual @ x], axis=1)
        ahead = np.where(worse[:, None], -step[rows] / 2, _step(weight, score, x))
        likelihood[rows] = np.where(worse, likelihood[rows], now)
        step[rows] = np.where(worse[:, None], step[rows] / 2, ahead)  # the part of the last step that is kept
        b[rows] += ahead
        done = ~worse & (np.abs(ahead).max(axis=1) < 1e-10 * (1 + np.abs(b[rows]).max(axis=1)))
        good[rows[done]] = True
        rows = rows[~done & np.isfinite(b[rows]).all(axis=1)]
        if not rows.size:
            break
    return b, good


def _step(weight: Floats, score: Floats, x: Floats) -> Floats:
    """(B, 2) Newton step, shortened where information is so scarce that it would leap."""
    step = _solve(weight, score, x)
    with np.errstate(invalid="ignore"):  # inf/inf of a row without information: a point that is not kept
        return np.asarray(step / np.maximum(1.0, np.abs(step).max(axis=1, keepdims=True) / _LONGEST_STEP))


def _solve(weight: Floats, right: Floats, x: Floats) -> Floats:
    """(B, 2) solution of the 2 x 2 systems [[S0, S1], [S1, S2]] b = right, S_j = sum of weight * x^j."""
    s0, s1, s2 = weight.sum(axis=1), weight @ x, weight @ x**2
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        determinant = s0 * s2 - s1**2
        solution = np.stack([s2 * right[:, 0] - s1 * right[:, 1], s0 * right[:, 1] - s1 * right[:, 0]], axis=1)
        return np.asarray(solution / determinant[:, None])
