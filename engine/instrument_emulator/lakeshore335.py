"""A Lake Shore 335 or 336 as a thermometer; sources as in the driver of the same name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from instrument_emulator.plain import PlainInstrument, each_of
from instrument_emulator.scpi import Command
from instrument_emulator.values import Choice

ROOM = 295.0  # K
SENSOR_OVER_RANGE = 128
"""Bit of ``RDGST?``: an open sensor."""


class EmulatedLakeShore335(PlainInstrument):
    """The thermometer, at 295 K unless the fault ``temperature`` says otherwise.  Not modelled: heaters."""

    identity = "LSCI,MODEL335,{serial},1.0"
    inputs = "AB"

    def commands(self) -> Iterator[Command]:
        yield from super().commands()
        sensor = each_of(Choice(*self.inputs))
        yield Command("KRDG?", lambda _: f"{0.0 if self._is_open() else self._temperature():+.3f}", sensor)
        yield Command("RDGST?", lambda _: f"{SENSOR_OVER_RANGE if self._is_open() else 0:03d}", sensor)

    def state(self) -> dict[str, Any]:
        return {"temperature": self._temperature()}

    def _temperature(self) -> float:
        other = self.circuit.faults.lasting("temperature", self.role)
        return float(other["kelvin"]) if other else ROOM

    def _is_open(self) -> bool:
        return self.circuit.faults.lasting("sensor", self.role) is not None


class EmulatedLakeShore336(EmulatedLakeShore335):
    """The same with four sensors."""

    identity = "LSCI,MODEL336,{serial},2.0"
    inputs = "ABCD"
