"""The waves of a 6221 as segments of constant current."""

from __future__ import annotations

import cmath
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from instrument_emulator.circuit import Circuit
from instrument_emulator.scpi import ScpiError

SEGMENTS_PER_CYCLE = 64
"""Of a sine or ramp."""
MAX_SEGMENTS = 100_000
"""Segments of a whole wave that all reach the devices."""
SEGMENTS_AT_ONCE = 1024
"""Of a longer wave, such as an endless sine, no more reach the devices after a while in which nobody talked to the
source; the cycles before those are counted and measured, but not felt."""


class Segment(NamedTuple):
    """A constant current (A) for some time (s), up to a voltage (V; 0: the compliance that is set)."""

    current: float
    width: float
    compliance: float = 0.0


class Wave:
    """A cycle, how often it comes, and what follows after the last whole one.

    Parameters
    ----------
    cycle : segments of one cycle
    cycles : whole ones; infinite without end
    rest : segments after these
    """

    def __init__(self, cycle: Sequence[Segment], cycles: float, rest: Sequence[Segment] = ()) -> None:
        self.cycle, self.cycles, self.rest = cycle, cycles, rest
        self.period = math.fsum(segment.width for segment in cycle)
        """Of a cycle, s."""
        self.is_long = cycles * len(cycle) > MAX_SEGMENTS
        """Whether cycles may be passed over."""

    def segment_at(self, position: int) -> Segment | None:
        """The segment at that place, counted from 0; None before it and after the end."""
        if position < 0:
            return None
        length = len(self.cycle)
        if position < self.cycles * length:
            return self.cycle[position % length]
        after = position - int(self.cycles) * length
        return self.rest[after] if after < len(self.rest) else None

    def first_harmonic(self) -> complex:
        """Of one cycle, A peak, as :class:`instrument_emulator.circuit.Periodic` has it."""
        turn, begin, total = -2j * math.pi / self.period, 0.0, 0j
        for current, width, _ in self.cycle:
            total += current * (cmath.exp(turn * (begin + width)) - cmath.exp(turn * begin))
            begin += width
        return total * 2 / (turn * self.period)

    def passed_over(self, position: int, due: float) -> int:
        """How many whole cycles are passed over at the beginning of one, when ``due`` seconds have passed since."""
        length = len(self.cycle)
        if position % length:
            return 0
        left = min(due // self.period, self.cycles - position // length)
        return max(0, int(left) - max(1, SEGMENTS_AT_ONCE // length))


def wave(values: Mapping[str, Any], points: Sequence[float]) -> Wave:
    """The wave that is set.

    Parameters
    ----------
    values : settings of the source: function, frequency, amplitude, offset, duty, duration_time, duration_cycles
    points : the arbitrary wave that the function names, -1 to 1; not used by the others

    Raises
    ------
    ScpiError
        -221: fewer than two points.
    """
    period = 1 / values["frequency"]
    shape = _cycle(str(values["function"]), values["duty"] / 100, points)
    cycle = [Segment(level * values["amplitude"] + values["offset"], share * period) for level, share in shape]
    cycles = min(values["duration_cycles"], values["duration_time"] / period)
    if cycles > 1e30:  # of one that is infinite
        return Wave(cycle, math.inf)
    whole = math.floor(cycles + 1e-9)
    left = (cycles - whole) * period
    rest = []
    for current, width, _ in cycle:
        if left <= 1e-9 * period:
            break
        rest.append(Segment(current, min(width, left)))
        left -= width
    return Wave(cycle, whole, rest)


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


def peak(values: Mapping[str, Any], played: Wave) -> float:
    """Largest current that the wave or its idle level can give, A."""
    return max(abs(idle(values)), *(abs(s.current) for s in (*played.cycle, *played.rest)))


def idle(values: Mapping[str, Any]) -> float:
    """Current between arming and the start of the wave, A.

    No manual page says what flows there when an offset is set; the offset is taken to flow already.
    """
    return float(values["idle"] * values["amplitude"] + values["offset"])


class Player:
    """Plays a wave, or a sweep, on the wires as bench time passes."""

    def __init__(self, circuit: Circuit) -> None:
        self._circuit = circuit
        self._wave = Wave((), 0)
        self._position = 0
        self._is_pulse = True
        self.is_playing = False
        self.edge = 0.0
        """Bench time at which the present segment ends, s."""

    def start(self, played: Wave, now: float, *, pulse: bool, periodic: bool) -> None:
        """Begin at bench time ``now``.

        ``pulse``: its segments count as pulses, which those of an endless wave do not; ``periodic``: it is a wave,
        which other instruments can see as one.
        """
        self._wave, self._position, self._is_pulse = played, -1, pulse
        self.edge = now
        self.is_playing = True
        self._circuit.wave, self._circuit.wave_since = (played if periodic else None), now

    def stop(self) -> None:
        """Go no further; what flows goes on flowing."""
        self.is_playing = False
        self._circuit.wave = None

    def advance(self, now: float, compliance: float) -> float | None:
        """Begin the segment that is due; None, or how long the last one has lasted if there is no other (s).

        ``compliance`` (V) is that of segments that have none of their own.
        """
        played, edge = self._wave, self.edge
        ended = played.segment_at(self._position)
        lasted = ended.width if ended else None
        self._position += 1
        if played.is_long and (times := played.passed_over(self._position, now - edge)):
            cycle = [(s.current, s.width) for s in played.cycle]
            self._circuit.repeat(cycle, times, compliance, edge, lasted, pulse=self._is_pulse)
            edge += played.period * times
            self._position += len(played.cycle) * times
            lasted = None
        segment = played.segment_at(self._position)
        if segment is None:
            self.stop()
            return lasted or 0.0
        self.edge = edge + segment.width
        limit = segment.compliance or compliance
        self._circuit.drive(segment.current, limit, edge, pulse=self._is_pulse, ended=lasted)
        return None
