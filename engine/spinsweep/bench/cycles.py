"""What an experiment does with a device again and again, as far as checking and planning a bench need to know it.

Experiments that measure name theirs under the entry point group ``spinsweep.cycles``.
"""

from __future__ import annotations

from typing import Protocol

from spinsweep.axis import closest
from spinsweep.bench.errors import BenchError
from spinsweep.bench.parts import Check, Device, Timing
from spinsweep.bench.session import BenchSession
from spinsweep.plugins import installed

GROUP = "spinsweep.cycles"


class Cycle(Protocol):
    """One cycle of pulses and reads."""

    pulses: int
    """Of a cycle.  A cycle with other actions than one read after each pulse has their number as ``actions``."""
    trial_cycles: int
    """Cycles with which a device is tried."""
    trial_columns: tuple[str, ...]
    """What :meth:`try_device` tells, by column."""

    def time(self, timing: Timing) -> float:
        """Time of a cycle, bench s."""

    def busy_time(self, timing: Timing) -> float:
        """Of it, how long the source is used: other devices can be used in the rest, bench s."""

    def describe(self, timing: Timing) -> str:
        """What a cycle consists of."""

    def try_device(self, session: BenchSession, device: Device, trial: Check) -> list[str]:
        """Measure a few cycles and say what came out, by column; ``DeviceFault`` if the device is not well."""


def cycle(name: str | None) -> Cycle:
    """The installed cycle of that name, or the only one.

    Raises
    ------
    BenchError
        There is no such cycle, or there are several and none was named.
    """
    points = installed(GROUP)
    if name is None and len(points) == 1:
        (name,) = points
    known = ", ".join(points) or "none"
    if name is None:
        raise BenchError(f"choose a cycle with --cycle (installed: {known})")
    if name not in points:
        raise BenchError(f"no cycle {name!r} is installed{closest(name, points)} (installed: {known})")
    loaded: Cycle = points[name].load()()
    return loaded
