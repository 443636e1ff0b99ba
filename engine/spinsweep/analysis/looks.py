"""Intervals of a mean that is looked at again and again while replicates are added.

An interval at a fixed level that is looked at until it is narrow undercovers: one stops early where the spread is
underestimated (Y. S. Chow and H. Robbins, Ann. Math. Stat. 36, 457 (1965), have the asymptotic theory). Here the
looks are planned: of the 5 % by which all intervals together may miss, each look spends a part in proportion to the
replicates that it adds (K. K. G. Lan and D. L. DeMets, Biometrika 70, 659 (1983); K. Kim and D. L. DeMets, Biometrika
74, 149 (1987), with power 1). The levels of the looks follow from the normal law of the partial sums, by the
recursion of P. Armitage, C. K. McPherson and B. C. Rowe, J. R. Stat. Soc. A 132, 235 (1969). At that level, the
interval of a look is Student's t, or Wilson's of a share. So the intervals hold at all looks at once ("repeated
confidence intervals": C. Jennison and B. W. Turnbull, J. R. Stat. Soc. B 51, 305 (1989)), and one may stop, go on and
leave looks out for any reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import optimize, stats

from spinsweep.analysis.intervals import wilson

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

LEVEL = 0.95
"""Of all looks together."""
GROWTH = 1.2
"""Replicates at a look over those at the look before, about."""
_NODES = 48  # of the quadrature over a partial sum


@dataclass(frozen=True)
class Looks:
    """The looks at one mean."""

    counts: tuple[int, ...]
    """Replicates at each, ascending."""
    levels: tuple[float, ...]
    """Of the interval at each."""

    @classmethod
    def plan(cls, first: int, most: int, level: float = LEVEL) -> Looks:
        """From ``first`` to ``most`` replicates, with intervals that hold at all looks at once."""
        counts = [first]
        while (following := max(counts[-1] + 1, round(counts[-1] * GROWTH))) * GROWTH**0.5 <= most:
            counts.append(following)
        if counts[-1] < most:
            counts.append(most)
        return cls(tuple(counts), _levels(tuple(counts), level))


@lru_cache
def _levels(counts: tuple[int, ...], level: float) -> tuple[float, ...]:
    """Level of each look, so that the looks spend ``1 - level`` in proportion to the replicates."""
    spent = [(1 - level) * n / counts[-1] for n in counts]
    limits = [float(stats.norm.isf(spent[0] / 2))]
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    # density of the partial sum of standard normal numbers where no interval has missed yet, at the nodes
    edge = limits[0] * counts[0] ** 0.5
    sums, density = edge * nodes, edge * weights * stats.norm.pdf(edge * nodes, scale=counts[0] ** 0.5)
    for before, now, loss in zip(counts, counts[1:], np.diff(spent), strict=False):
        step = float(now - before) ** 0.5

        def missed(limit: float, now: int = now, step: float = step, loss: float = loss) -> float:
            beyond = limit * now**0.5
            tails = stats.norm.sf((beyond - sums) / step) + stats.norm.cdf((-beyond - sums) / step)  # noqa: B023
            return float(density @ tails) - loss  # noqa: B023

        limit = optimize.brentq(missed, 0.1, 40.0)
        limits.append(limit)
        edge = limit * now**0.5
        further = edge * nodes
        density = edge * weights * (stats.norm.pdf((further[:, None] - sums) / step) / step @ density)
        sums = further
    return tuple(float(1 - 2 * stats.norm.sf(limit)) for limit in limits)


def half_width(mean: Floats, spread: Floats, count: Ints, level: float, *, is_share: bool) -> Floats:
    """Half the width of the interval of a mean.

    Parameters
    ----------
    mean, spread : standard deviation of the values with ``n - 1``; of a share, it does not count
    count : values without NaN
    level : of the interval

    Returns
    -------
    of their shape and the unit of ``mean``; NaN where fewer than two values are
    """
    if is_share:
        _, low, high = wilson(mean * count, count, level)
        half = (high - low) / 2
    else:
        half = stats.t.isf((1 - level) / 2, np.maximum(count - 1, 1)) * spread / np.sqrt(np.maximum(count, 1))
    return np.where(count > 1, half, np.nan)


def moments(values: Floats, *, is_share: bool) -> tuple[Floats, Floats, Ints]:
    """Mean, standard deviation and number of the values that are not NaN, over the last dimension."""
    good = np.isfinite(values)
    count = good.sum(-1)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        mean = np.where(good, values, 0.0).sum(-1) / count
        squares = np.where(good, values - mean[..., None], 0.0) ** 2
        spread = np.zeros_like(mean) if is_share else np.sqrt(squares.sum(-1) / np.maximum(count - 1, 1))
    return mean, spread, count
