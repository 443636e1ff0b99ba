"""The bootstrap over replicates: which of them each resample holds, the same in every process."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import stats

Floats = npt.NDArray[np.float64]


def weights(replicates: int, resamples: int) -> Floats:
    """How often each replicate is in each resample, (resamples, replicates) float64; always the same."""
    generator = np.random.Generator(np.random.Philox(replicates))
    return generator.multinomial(replicates, np.full(replicates, 1 / replicates), size=resamples).astype(np.float64)


def means(values: Floats, weight: Floats) -> Floats:
    """Weighted means without NaN: values (replicates, ...), weights (resamples, replicates) -> (resamples, ...)."""
    flat = values.reshape(values.shape[0], -1)
    total = weight @ np.nan_to_num(flat)
    with np.errstate(invalid="ignore"):
        mean = total / (weight @ np.isfinite(flat).astype(np.float64))
    return np.asarray(mean.reshape(weight.shape[0], *values.shape[1:]))


def expanded_tail(replicates: int, level: float) -> float:
    """The tail of the bootstrap's percentiles that holds ``level`` also with few replicates.

    Source: T. C. Hesterberg, Am. Stat. 69, 371 (2015), the expanded percentile interval.
    """
    quantile = stats.t.ppf((1 + level) / 2, replicates - 1)
    return float(stats.norm.cdf(-np.sqrt(replicates / (replicates - 1)) * quantile))
