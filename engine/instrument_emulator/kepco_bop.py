"""A Kepco BOP 20-20 with a BIT 4886 card; sources as in the driver of the same name."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from instrument_emulator.circuit import Circuit
from instrument_emulator.instrument import Instrument, ScpiSetting
from instrument_emulator.magnet import MagnetOutput
from instrument_emulator.scpi import Command
from instrument_emulator.values import Boolean, Choice, Integer, Real

VOLTS, AMPERES = 20.0, 20.0
COIL = 2.0
"""Resistance of the emulated magnet, ohm."""
CURRENT_ERROR = 1
"""Bit of the questionable register."""
_CURR, _VOLT = "[SOURce:]CURRent", "[SOURce:]VOLTage"


class EmulatedKepcoBOP(Instrument):
    """The supply; its output goes on whatever becomes of a connection, and has no ramp of its own.

    Not modelled: lists, transients, the spikes of an automatic range, the 320 ms of its readings.
    """

    identity = "KEPCO,BIT 4886 20-20 10/13/2011,{serial},3.3-3.3"
    settings = (
        ScpiSetting(f"{_CURR}[:LEVel][:IMMediate][:AMPlitude]", "current", Real(-AMPERES, AMPERES), 0.0),
        ScpiSetting(f"{_VOLT}[:LEVel][:IMMediate][:AMPlitude]", "voltage", Real(-VOLTS, VOLTS), 0.0),
        ScpiSetting(f"{_CURR}:RANGe", "current_range", Integer(1, 4), 4),
        ScpiSetting("OUTPut[:STATe]", "output", Boolean(), False),
        ScpiSetting("FUNCtion:MODE", "mode", Choice("VOLTage", "CURRent"), "VOLT"),
    )

    def __init__(self, role: str, serial: str, circuit: Circuit) -> None:
        self.output = MagnetOutput(self, circuit)
        super().__init__(role, serial, circuit)

    def commands(self) -> Iterator[Command]:
        yield Command("FUNCtion:MODE?", lambda: str(int(self.values["mode"] == "CURR")))  # not the word that was sent
        yield from super().commands()
        yield Command("MEASure[:SCALar]:CURRent[:DC]?", lambda: f"{self.output.measured():.4E}")
        yield Command("MEASure[:SCALar]:VOLTage[:DC]?", lambda: f"{COIL * self.output.current():.4E}")

    def reset(self) -> None:
        """``*RST``: the output off, at once."""
        super().reset()
        self._follow()

    def faults_changed(self) -> None:
        quench = self.circuit.faults.lasting("quench", self.role) is not None
        self.status.questionable.put(CURRENT_ERROR, on=quench)

    def changed(self, setting: ScpiSetting) -> None:
        if setting.name == "mode":
            self.values["current_range"] = 4
        self._follow()

    def state(self) -> dict[str, Any]:
        return {**self.output.state(), "output": self.values["output"]}

    def _follow(self) -> None:
        """The current is there at once: what is set, within the limit of the other channel."""
        current, voltage = self.values["current"], self.values["voltage"]
        most = abs(voltage) / COIL
        if self.values["mode"] == "VOLT":
            current, most = voltage / COIL, abs(current)
        flowing = math.copysign(min(abs(current), most), current) if self.values["output"] else 0.0
        self.output.jump(flowing)
