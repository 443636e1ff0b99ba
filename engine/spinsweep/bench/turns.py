"""How devices take turns: which may act in each other's rests, what that saves, and what it costs the relays.

Numbers only; :mod:`spinsweep.bench.trains` fires.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol, TypeVar

from spinsweep.bench.bench_file import Bench
from spinsweep.bench.parts import Timing

ACTION_OVERHEAD = 0.1
"""Bench time that a pulse or read takes beyond its own, s: relays, arming and settling of a 6221 on our emulator."""

T = TypeVar("T")

TrainPlan = tuple[int, Mapping[str, int]]
"""So many trains, and the cycles of each device in one of them, by name."""


class CycleTimes(Protocol):
    """What a plan asks of a cycle, see :class:`spinsweep.bench.cycles.Cycle`."""

    pulses: int

    def time(self, timing: Timing) -> float:
        """Time of a cycle, bench s."""

    def busy_time(self, timing: Timing) -> float:
        """Of it, how long the source is used, bench s."""


class Course(NamedTuple):
    """How long trains take, and how often relays move for them."""

    seconds: float
    """Bench s."""
    movements: int
    """Of all relays, each opening and each closing."""
    closings: int
    """Of the relay that is closed most often."""


def turns_of(bench: Bench) -> int:
    """How many devices of a train take turns; 1: each has all of its cycles before the next begins.

    With ``timing.interleave = "auto"`` as many as act one after the other while one of them rests, so that no rest
    becomes longer than ``timing.gap``.
    """
    if bench.switch is None or bench.timing.interleave is False:
        return 1
    return len(bench.device) if bench.timing.interleave is True else _within_rests(bench)


def alternative(bench: Bench) -> int:
    """How many would take turns where none do: those that the rests allow, or else all."""
    within = _within_rests(bench)
    return within if within > 1 else len(bench.device)


def _within_rests(bench: Bench) -> int:
    action = max(bench.timing.read_time, bench.timing.pulse_width) + ACTION_OVERHEAD
    return min(len(bench.device), 1 + math.floor(bench.timing.gap / action))


def groups(devices: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Devices that take turns, in their order, as evenly as they can be divided into groups of ``size`` at most."""
    number = -(-len(devices) // size)
    return (devices[i * len(devices) // number : (i + 1) * len(devices) // number] for i in range(number))


def course(bench: Bench, plan: Sequence[TrainPlan], cycle: CycleTimes, size: int) -> Course:
    """How long trains take at least where ``size`` devices take turns, and how often relays move for them.

    Each action of a device that takes turns connects it anew: its relays close, those of the one before open.
    """
    seconds, connected = 0.0, ""
    times_connected: Counter[str] = Counter()
    timing, actions = bench.timing, getattr(cycle, "actions", 2 * cycle.pulses)
    for number, cycles in plan:
        for group in groups([*cycles], size) if cycles else ():
            total = sum(cycles[name] for name in group)
            longest = max(cycles[name] for name in group)
            seconds += number * max(longest * cycle.time(timing), total * cycle.busy_time(timing))
            if len(group) > 1:
                times_connected.update({name: number * cycles[name] * actions for name in group})
            else:  # once, unless it is so from the train before
                times_connected[group[0]] += number if len(cycles) > 1 else int(connected != group[0])
            connected = group[-1]
    movements = sum(2 * len(bench.named(name).channels) * times for name, times in times_connected.items())
    return Course(seconds, movements, max(times_connected.values(), default=0))


def mode(bench: Bench, plan: Sequence[TrainPlan]) -> tuple[int, str]:
    """How many devices take turns in the trains of a plan, and why, in words."""
    size, most = turns_of(bench), max((len(cycles) for _, cycles in plan), default=1)
    setting = f"timing.interleave = {str(bench.timing.interleave).lower()}"
    if most < 2:
        return 1, "one device in each train: there is nobody to take turns with"
    if bench.switch is None:
        return 1, "the bench has no switch"
    if bench.timing.interleave is not True and size == 1:
        rests = "" if bench.timing.interleave is False else f": no action fits into a rest of {bench.timing.gap:g} s"
        return 1, setting + rests
    return min(size, most), f"{setting}: {min(size, most)} devices take turns"
