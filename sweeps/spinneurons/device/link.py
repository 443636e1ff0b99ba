"""Switching curves: the probability against ``z = (I - I_bias)/i0``, for two links.

``logistic``  p = 1/(1 + exp(-z)), the paper's sigmoid. ``cloglog``   p = 1 - exp(-exp(eta)), complementary
log-log: one thermally activated barrier that falls linearly
              with the current (Neel-Brown).  A logistic of best fit stays within 0.05 of it.

``I_bias`` is the current of p = 1/2 and ``i0`` the scale whose slope there is dp/dI = 1/(4 i0), *for both
links*; for the logistic that is its own scale current.  Written with the linear predictor eta = half + scale
* z:

    logistic  half = 0           scale = 1
    cloglog   half = ln(ln 2)    scale = 1/(2 ln 2)     (from dp/d eta = (ln 2)/2 at p = 1/2)
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.special import expit

Floats = npt.NDArray[np.float64]

LINKS = ("logistic", "cloglog")

P_LOW, P_HIGH = 1e-4, 0.999
"""Ends of the stochastic window, 0.01 % and 99.9 % (paper, Fig. 3b)."""

_HALF = {"logistic": 0.0, "cloglog": math.log(math.log(2))}
_SCALE = {"logistic": 1.0, "cloglog": 1 / (2 * math.log(2))}


def predictor(p: float, link: str) -> float:
    """Linear predictor ``eta`` of the probability ``p``, 0 < p < 1: logit, or log(-log(1 - p))."""
    _known(link)
    return math.log(p / (1 - p)) if link == "logistic" else math.log(-math.log1p(-p))


def half(link: str) -> float:
    """Linear predictor of p = 1/2."""
    _known(link)
    return _HALF[link]


def scale(link: str) -> float:
    """d eta/d z, which makes ``i0`` mean the same slope at p = 1/2 for every link."""
    _known(link)
    return _SCALE[link]


def z_of(p: float, link: str = "logistic") -> float:
    """Reduced current ``z`` at which the probability is ``p``."""
    return (predictor(p, link) - half(link)) / scale(link)


def probability(z: npt.ArrayLike, link: str = "logistic") -> Floats:
    """Switching probability at the reduced current ``z = (I - I_bias)/i0``.

    Parameters
    ----------
    z : array of any shape, dimensionless
    link : "logistic" or "cloglog"

    Returns
    -------
    float64 array of the shape of ``z``, 0 to 1

    Source: logistic, the sigmoid of the paper; cloglog, Neel-Brown switching of one barrier.
    """
    _known(link)
    eta = _HALF[link] + _SCALE[link] * np.asarray(z, dtype=np.float64)
    if link == "logistic":
        return np.asarray(expit(eta))
    return np.asarray(-np.expm1(-np.exp(np.minimum(eta, 700.0))))  # exp(700) is the last before overflow


def window_factor(link: str = "logistic") -> float:
    """Width in ``i0`` of the window from 0.01 % to 99.9 %: 16.117 for the logistic, 15.447 for cloglog."""
    return z_of(P_HIGH, link) - z_of(P_LOW, link)


def _known(link: str) -> None:
    if link not in LINKS:
        raise ValueError(f"link {link!r} is unknown; it is one of {', '.join(LINKS)}")
