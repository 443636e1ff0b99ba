"""The output of a supply that drives a magnet: a current that ramps, and the field that it makes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from instrument_emulator.circuit import Circuit

if TYPE_CHECKING:
    from instrument_emulator.instrument import Instrument

TESLA_PER_AMPERE = 0.01
"""Of the emulated magnet: 2 A make the 200 Oe of an experiment with Hall bars."""


class MagnetOutput:
    """The current of a supply, by bench time; the magnet follows at once.

    Parameters
    ----------
    owner : the supply, whose faults ``quench`` and ``read_back`` concern it
    circuit : the bench, whose ``field`` (T) this sets
    """

    def __init__(self, owner: Instrument, circuit: Circuit) -> None:
        self._owner, self._circuit = owner, circuit
        self._from = self._to = 0.0
        self._rate, self._since = math.inf, 0.0
        self.largest_step = 0.0
        """Largest jump of the current so far, A: what its inductance would have answered with a voltage."""
        circuit.field = lambda: TESLA_PER_AMPERE * self.current()

    def current(self) -> float:
        """What flows now, A."""
        if self._owner.circuit.faults.lasting("quench", self._owner.role) is not None:
            return 0.0
        passed = self._circuit.clock.now() - self._since
        way = self._to - self._from
        return self._to if passed * self._rate >= abs(way) else self._from + math.copysign(passed * self._rate, way)

    def measured(self) -> float:
        """What the supply reads, A: off by the fault ``read_back``."""
        wrong = self._circuit.faults.lasting("read_back", self._owner.role)
        return self.current() * (1 + wrong["relative"] if wrong else 1.0)

    def jump(self, current: float) -> None:
        """From now on another current flows, A."""
        self.largest_step = max(self.largest_step, abs(current - self.current()))
        self.ramp(current, math.inf)
        self._from = current

    def ramp(self, current: float, rate: float) -> None:
        """The current begins to change to ``current`` at ``rate`` A/s."""
        self._from, self._to, self._rate, self._since = self.current(), current, rate, self._circuit.clock.now()

    @property
    def is_ramping(self) -> bool:
        """Whether it is still on its way."""
        return self.current() != self._to

    def state(self) -> dict[str, Any]:
        """For the control port."""
        return {"current": self.current(), "largest_step": self.largest_step}
