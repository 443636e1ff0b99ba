"""The waves of a 6221 as segments of constant current."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from instrument_emulator.scpi import ScpiError
from instrument_emulator.values import INFINITE

SEGMENTS_PER_CYCLE = 64
"""Of a sine or ramp."""
MAX_SEGMENTS = 100_000
"""Segments of a whole wave; the emulator refuses to arm a longer one, such as an endless ramp."""


class Segment(NamedTuple):
    """A constant current (A) for some time (s)."""

    current: float
    width: float


def segments(values: Mapping[str, Any], points: Sequence[float]) -> list[Segment]:
    """All segments of the wave that is set; an endless sine is one of its peak, without an end.

    Parameters
    ----------
    values : settings of the source: function, frequency, amplitude, offset, duty, duration_time, duration_cycles
    points : the arbitrary wave that the function names, -1 to 1; not used by the others

    Raises
    ------
    ScpiError
        -221: fewer than two points, or more segments than ``MAX_SEGMENTS``.
    """
    if values["function"] == "SIN" and min(values["duration_cycles"], values["duration_time"]) >= INFINITE:
        return [Segment(values["amplitude"] + abs(values["offset"]), math.inf)]
    period = 1 / values["frequency"]
    cycle = _cycle(str(values["function"]), values["duty"] / 100, points)
    cycles = min(values["duration_cycles"], values["duration_time"] / period)
    if cycles * len(cycle) > MAX_SEGMENTS:
        raise ScpiError(-221)
    whole = math.floor(cycles + 1e-9)
    parts = [(level, share * period) for level, share in cycle] * whole
    left = (cycles - whole) * period
    for level, share in cycle:
        if left <= 1e-9 * period:
            break
        parts.append((level, min(share * period, left)))
        left -= share * period
    return [Segment(level * values["amplitude"] + values["offset"], width) for level, width in parts]


def _cycle(function: str, duty: float, points: Sequence[float]) -> list[tuple[float, float]]:
    """One cycle: levels from -1 to 1, and their shares of the period."""
    if function == "SQU":
        return [(level, share) for level, share in ((1.0, duty), (-1.0, 1 - duty)) if share]
    if function.startswith("ARB"):
        if len(points) < 2:
            raise ScpiError(-221)
        return [(point, 1 / len(points)) for point in points]
    phases = [(i + 0.5) / SEGMENTS_PER_CYCLE for i in range(SEGMENTS_PER_CYCLE)]
    if function == "SIN":
        return [(math.sin(2 * math.pi * x), 1 / SEGMENTS_PER_CYCLE) for x in phases]
    rising = [x / duty if x < duty else (1 - x) / (1 - duty) for x in phases]  # RAMP: up for the duty, then down
    return [(2 * x - 1, 1 / SEGMENTS_PER_CYCLE) for x in rising]


def peak(values: Mapping[str, Any], whole: Sequence[Segment]) -> float:
    """Largest current that the wave or its idle level can give, A."""
    return max(abs(idle(values)), *(abs(s.current) for s in whole))


def idle(values: Mapping[str, Any]) -> float:
    """Current between arming and the start of the wave, A.

    No manual page says what flows there when an offset is set; the offset is taken to flow already.
    """
    return float(values["idle"] * values["amplitude"] + values["offset"])
