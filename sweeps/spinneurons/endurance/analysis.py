"""Long records of pulses at one current: their share, whether it drifts, and whether pulses know of each other."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import xarray as xr

from spinsweep.analysis.intervals import wilson

LONG = 1000
"""Valid cycles at one current from which on a record is a long one: the longer moving average needs as many."""
BLOCKS = 30
"""Into which a record is cut for the test of its drift: enough for its t, and long against what pulses remember."""


class LongRecord(NamedTuple):
    """What the pulses of one device at one current say; shares are from 0 to 1."""

    switched: int
    cycles: int
    share: float
    low: float
    high: float
    """Wilson's 95 % interval, which takes the pulses to be independent."""
    change: float
    """From the start to the end of the record: slope of the share, times its length."""
    change_low: float
    change_high: float
    change_p_value: float
    """Of no change; 1 where all pulses are alike."""
    correlation: float
    """Of each pulse and the next; of independent ones about 1/sqrt(cycles). NaN where all are alike."""


def long_record(switched: npt.ArrayLike) -> LongRecord:
    """A record of successive pulses.

    The change is the slope of a straight line through the shares of ``BLOCKS`` blocks, with Student's t from the
    scatter of the blocks themselves: pulses that depend on the few before widen the interval and do not fake a drift.

    Parameters
    ----------
    switched : (n,) bool, the valid cycles in their order, n >= ``LONG``
    """
    from scipy.stats import linregress, t  # slow to import

    pulses = np.asarray(switched, dtype=np.float64)
    share, low, high = (float(v) for v in wilson(pulses.sum(), pulses.size))
    ends = np.linspace(0, pulses.size, BLOCKS + 1).astype(np.int64)
    blocks = np.add.reduceat(pulses, ends[:-1]) / np.diff(ends)
    line = linregress((ends[:-1] + ends[1:]) / (2 * pulses.size), blocks)
    half = float(t.ppf(0.975, BLOCKS - 2) * line.stderr)
    deviation = pulses - share
    variance = float(deviation @ deviation)
    return LongRecord(
        int(pulses.sum()), pulses.size, share, low, high,
        float(line.slope), float(line.slope) - half, float(line.slope) + half,
        float(line.pvalue) if variance else 1.0,
        float(deviation[1:] @ deviation[:-1]) / variance if variance else math.nan,
    )  # fmt: skip


def long_records(cube: xr.Dataset) -> xr.Dataset:
    """Each device of a characterization at the current with most cycles, where these are ``LONG`` or more.

    Parameters
    ----------
    cube : ``switched`` and ``valid`` (..., current, cycle) bool, and ``i_write`` (..., current)

    Returns
    -------
    Dataset of ``i_write`` (...) A, ``switched`` and ``valid`` (..., cycle), as a cube of the endurance has them: NaN
    and False where no current has so many; without cycles that no such device has.  No device is left of a log of
    counts, which has no order.
    """
    counts = cube["valid"].sum("cycle")
    if "n_valid" in cube:
        counts = 0 * counts
    best, most = counts.argmax("current").compute(), counts.max("current")
    long = most >= LONG
    chosen = cube[["i_write", "switched", "valid"]].isel(current=best).drop_vars("current", errors="ignore")
    chosen = chosen.assign(valid=chosen["valid"] & long, i_write=chosen["i_write"].where(long))
    return chosen.isel(cycle=np.flatnonzero(chosen["valid"].any([d for d in long.dims]).values))
