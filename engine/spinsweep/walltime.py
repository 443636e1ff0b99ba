"""The job of a batch system in which this process computes, and how much of its time is left.

Job scripts set two variables (:mod:`spinsweep.deployment.job_script`); without them there is no such job.
"""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass
from functools import cache

ENDS = "SPINSWEEP_JOB_ENDS"
"""Variable with the Unix time at which the batch system ends the job."""
LASTS = "SPINSWEEP_JOB_LASTS"
"""Variable with the walltime, s."""
LONGEST_MARGIN_S = 15.0  # between the end of computing and that of the job, in which the worker writes and leaves


@dataclass
class JobTime:
    """The time of one job."""

    ends: float
    """Unix time at which cells are given up, a little before the batch system ends the job."""
    lasts: float
    """The job's walltime, s."""
    told_to_end: bool = False
    """Whether the batch system wants the job to end now, as when it is cancelled."""

    @property
    def left(self) -> float:
        """Seconds in which cells may still be computed."""
        return 0.0 if self.told_to_end else self.ends - time.time()

    @property
    def margin(self) -> float:
        """Seconds between ``ends`` and the job's end."""
        return margin_of(self.lasts)


def margin_of(lasts: float) -> float:
    """Seconds before a job's end at which its worker stops computing."""
    return min(LONGEST_MARGIN_S, lasts / 10)


@cache
def job_time() -> JobTime | None:
    """That of the job in which this process runs; None: it runs in none, or in one whose end is not known."""
    try:
        ends, lasts = float(os.environ[ENDS]), float(os.environ[LASTS])
    except (KeyError, ValueError):
        return None
    if not (0 < lasts < math.inf and math.isfinite(ends)):
        return None
    return JobTime(ends - margin_of(lasts), lasts)


def seconds_of(walltime: str, *, pairs_are_hours: bool = False) -> int:
    """Seconds of a walltime such as ``1-12:00:00``, ``12:00:00`` or ``30:00``.

    Parameters
    ----------
    pairs_are_hours : whether ``30:00`` means hours and minutes, as LSF has it, not minutes and seconds
    """
    days, _, clock = walltime.rpartition("-")
    parts = [int(part) for part in clock.split(":")]
    if len(parts) == 2:
        parts = [*parts, 0] if pairs_are_hours or days else [0, *parts]
    hours, minutes, seconds = parts
    return ((int(days or 0) * 24 + hours) * 60 + minutes) * 60 + seconds
