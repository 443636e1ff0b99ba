"""Laws: the probability of firing against the reduced drive z = (I - i_bias)/i0.

======== =========================================== =============== ===================
law      p                                           half            scale
======== =========================================== =============== ===================
logistic 1/(1 + exp(-eta)), the paper's sigmoid      0               1
cloglog  1 - exp(-exp(eta)), one thermally activated ln(ln 2)        1/(2 ln 2)
         barrier that falls linearly with current
======== =========================================== =============== ===================

eta = half + scale z is the linear predictor of a fit.  ``half`` makes z = 0 the point of p = 1/2, and ``scale`` makes
its slope dp/dz = 1/4 for every law; for the logistic i0 is then its own scale current.  A logistic of best fit stays
within 0.05 of a cloglog.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

P_LOW, P_HIGH = 1e-4, 0.999
"""Ends of the stochastic window, 0.01 % and 99.9 % (paper, Fig. 3b)."""


@dataclass(frozen=True)
class BinomialLaw:
    """What follows from a predictor, its inverse and its slope; a law of your own gives these three and the link."""

    name: str
    half: float
    """Predictor of p = 1/2."""
    scale: float
    """d eta/d z, so that dp/dz = 1/4 at p = 1/2."""

    def predictor(self, p: npt.ArrayLike) -> Floats:
        """eta of the probability ``p``, 0 < p < 1."""
        raise NotImplementedError

    def inverse(self, eta: Floats) -> Floats:
        """p of the linear predictor."""
        raise NotImplementedError

    def slope(self, eta: Floats) -> Floats:
        """dp/d eta."""
        raise NotImplementedError

    def statsmodels_link(self) -> Any:
        """The link of a statsmodels GLM."""
        raise NotImplementedError

    def probability(self, z: npt.ArrayLike) -> Floats:
        """Probability at the reduced drive ``z``, any shape; 0 to 1."""
        return self.inverse(self.half + self.scale * np.asarray(z, dtype=np.float64))

    def derivative(self, z: npt.ArrayLike) -> Floats:
        """dp/dz, shape of ``z``."""
        return self.scale * self.slope(self.half + self.scale * np.asarray(z, dtype=np.float64))

    def quantile(self, p: npt.ArrayLike) -> Floats:
        """Reduced drive at which the probability is ``p``."""
        return np.asarray((self.predictor(p) - self.half) / self.scale)

    @cached_property
    def window(self) -> float:
        """Width in z from p = 0.01 % to 99.9 %: 16.117 for the logistic, 15.447 for cloglog.  Source: Fig. 3(b)."""
        return float(self.quantile(P_HIGH) - self.quantile(P_LOW))

    def score(self, k: Floats, n: Floats, eta: Floats) -> tuple[Floats, Floats, Floats]:
        """Log-likelihood (B,), and its derivative in eta and the expected information of each current, (B, m).

        Source: P. McCullagh, J. A. Nelder, Generalized Linear Models, 2nd ed. (1989), section 2.5.
        """
        from scipy.special import xlogy  # late, here and below: a look at the sweeps does not need it

        p = np.clip(self.inverse(eta), 1e-300, 1 - 2.0**-53)
        per_variance = self.slope(eta) / (p * (1 - p))
        likelihood = (xlogy(k, p) + xlogy(n - k, 1 - p)).sum(axis=1)
        return likelihood, (k - n * p) * per_variance, n * self.slope(eta) * per_variance


@dataclass(frozen=True)
class Logistic(BinomialLaw):
    """p = 1/(1 + exp(-eta)).  Source: the sigmoid of the paper."""

    name: str = "logistic"
    half: float = 0.0
    scale: float = 1.0

    def predictor(self, p: Any) -> Floats:
        """The logit."""
        if np.ndim(p) == 0:  # rounds alike on every processor: a bench's journal holds reset currents
            return np.asarray(math.log(p / (1 - p)))
        q = np.asarray(p, dtype=np.float64)
        return np.asarray(np.log(q / (1 - q)))

    def inverse(self, eta: Floats) -> Floats:
        """The logistic function."""
        from scipy.special import expit

        return np.asarray(expit(eta))

    def slope(self, eta: Floats) -> Floats:
        """p (1 - p)."""
        from scipy.special import expit

        p = expit(eta)
        return np.asarray(p * (1 - p))

    def statsmodels_link(self) -> Any:
        """Logit."""
        from statsmodels.genmod.families.links import Logit

        return Logit()

    def score(self, k: Floats, n: Floats, eta: Floats) -> tuple[Floats, Floats, Floats]:
        """k eta - n log(1 + e^eta),  k - n p,  n p q: observed and expected information are the same."""
        from scipy.special import expit

        p = expit(eta)
        return (k * eta - n * np.logaddexp(0, eta)).sum(axis=1), k - n * p, n * p * (1 - p)


@dataclass(frozen=True)
class Cloglog(BinomialLaw):
    """p = 1 - exp(-exp(eta)).  Source: Neel-Brown switching over one barrier that falls linearly with the current."""

    name: str = "cloglog"
    half: float = math.log(math.log(2))
    scale: float = 1 / (2 * math.log(2))

    def predictor(self, p: Any) -> Floats:
        """log(-log(1 - p))."""
        if np.ndim(p) == 0:
            return np.asarray(math.log(-math.log1p(-p)))
        return np.asarray(np.log(-np.log1p(-np.asarray(p, dtype=np.float64))))

    def inverse(self, eta: Floats) -> Floats:
        """1 - exp(-exp(eta))."""
        return np.asarray(-np.expm1(-np.exp(np.minimum(eta, 700.0))))  # exp(700) is the last before overflow

    def slope(self, eta: Floats) -> Floats:
        """exp(eta - exp(eta))."""
        eta = np.minimum(eta, 700.0)
        return np.asarray(np.exp(eta - np.exp(eta)))

    def statsmodels_link(self) -> Any:
        """Complementary log-log."""
        from statsmodels.genmod.families.links import CLogLog

        return CLogLog()

    def score(self, k: Floats, n: Floats, eta: Floats) -> tuple[Floats, Floats, Floats]:
        """k log p - (n - k) r,  (k - n p) r/p,  (n - k) r + k (r q/p) (r/p - 1),  r = e^eta: observed information."""
        from scipy.special import xlogy

        rate = np.exp(np.clip(eta, -700, 700))
        p, q = -np.expm1(-rate), np.exp(-rate)
        per_p = rate / p
        curvature = (n - k) * rate + k * q * per_p * (per_p - 1)
        return (xlogy(k, p) - (n - k) * rate).sum(axis=1), (k - n * p) * per_p, curvature


LOGISTIC, CLOGLOG = Logistic(), Cloglog()
LAWS = {law.name: law for law in (LOGISTIC, CLOGLOG)}
