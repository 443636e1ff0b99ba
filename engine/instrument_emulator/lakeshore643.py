"""A Lake Shore 643 supply of an electromagnet; sources as in the driver of the same name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from instrument_emulator.circuit import Circuit
from instrument_emulator.instrument import ScpiSetting
from instrument_emulator.magnet import MagnetOutput
from instrument_emulator.plain import PlainInstrument, each_of
from instrument_emulator.scpi import Command, ScpiError
from instrument_emulator.values import Integer, Real

MAX_CURRENT, MAX_RATE = 70.1, 50.0  # A, A/s
RAMP_DONE, COMPLIANCE = 2, 1
"""Bits of ``OPST?``."""
FLOW_SWITCH, OVER_VOLTAGE = 32, 8
"""Bits of the operational and the hardware errors."""


class EmulatedLakeShore643(PlainInstrument):
    """The supply; the output goes on whatever becomes of a connection.

    Not modelled: compliance and power limits, ramp segments, external programming, the water valves.
    """

    identity = "LSCI,MODEL643,{serial},1.1/1.0"
    settings = (
        ScpiSetting("XPGM", "external", Integer(0, 2), 0),
        ScpiSetting("RSEG", "segments", Integer(0, 1), 0),
    )

    def __init__(self, role: str, serial: str, circuit: Circuit) -> None:
        self.output = MagnetOutput(self, circuit)
        super().__init__(role, serial, circuit)

    def commands(self) -> Iterator[Command]:
        yield from super().commands()
        current, rate = Real(-MAX_CURRENT, MAX_CURRENT), Real(1e-4, MAX_RATE)
        yield Command("LIMIT", self._limit, each_of(Real(0.0, MAX_CURRENT), rate))
        yield Command("LIMIT?", lambda: f"+{self.values['most']:.4f},+{self.values['fastest']:.4f}")
        yield Command("RATE", self._set_rate, each_of(rate))
        yield Command("RATE?", lambda: f"+{self.values['rate']:.4f}")
        yield Command("SETI", self._set_current, each_of(current))
        yield Command("SETI?", lambda: f"{self.values['current']:+.4f}")
        yield Command("RDGI?", lambda: f"{self.output.measured():+.4f}")
        yield Command("STOP", lambda: self.output.ramp(self.output.current(), self.values["rate"]))
        yield Command("OPST?", lambda: f"{0 if self.output.is_ramping else RAMP_DONE:03d}")
        yield Command("ERST?", self._errors)

    def reset(self) -> None:
        """Power-up settings: 0 A at once."""
        super().reset()
        self.values.update(most=MAX_CURRENT, fastest=MAX_RATE, rate=0.1, current=0.0)
        self.output.jump(0.0)

    def faults_changed(self) -> None:
        """An open flow switch takes the current away."""
        if self._is_open() and self.output.current():
            self.values["current"] = 0.0
            self.output.jump(0.0)

    def state(self) -> dict[str, Any]:
        return {**self.output.state(), "output": True, "rate": self.values["rate"]}

    def _limit(self, current: float, rate: float) -> None:
        self.values.update(most=current, fastest=rate)

    def _set_rate(self, rate: float) -> None:
        if rate > self.values["fastest"] + 1e-9:
            raise ScpiError(-222)
        self.values["rate"] = rate

    def _set_current(self, current: float) -> None:
        if abs(current) > self.values["most"] + 1e-9 or (self._is_open() and current):
            raise ScpiError(-222)
        self.values["current"] = current
        self.output.ramp(current, self.values["rate"])

    def _is_open(self) -> bool:
        return self.circuit.faults.lasting("flow_switch", self.role) is not None

    def _errors(self) -> str:
        quench = self.circuit.faults.lasting("quench", self.role) is not None
        return f"{OVER_VOLTAGE if quench else 0:03d},{FLOW_SWITCH if self._is_open() else 0:03d}"
