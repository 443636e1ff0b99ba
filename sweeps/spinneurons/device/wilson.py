"""Interval of a binomial proportion, for error bars of counts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def wilson(k: npt.ArrayLike, n: npt.ArrayLike, z: float = 1.959963984540054) -> tuple[Floats, Floats, Floats]:
    """Proportion k/n with Wilson's score interval, which has a width at 0 and n successes as well.

    Parameters
    ----------
    k, n : arrays that broadcast together, successes and trials
    z : normal quantile; the default gives 95 %

    Returns
    -------
    (p, low, high) float64; NaN where n = 0

    Source: E. B. Wilson, J. Am. Stat. Assoc. 22, 209 (1927).
    """
    successes, trials = np.asarray(k, dtype=np.float64), np.asarray(n, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = successes / trials
        centre = (p + z**2 / (2 * trials)) / (1 + z**2 / trials)
        half = z / (1 + z**2 / trials) * np.sqrt(p * (1 - p) / trials + z**2 / (4 * trials**2))
    # rounding apart, the interval holds p and lies within 0 and 1
    return p, np.clip(centre - half, 0.0, p), np.clip(centre + half, p, 1.0)
