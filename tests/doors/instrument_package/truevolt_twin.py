"""An emulated Keysight 34461A: direct voltage, readings on demand, errors in SCPI's own queue alone."""

from __future__ import annotations

from collections.abc import Iterator

from instrument_emulator.instrument import Instrument, ScpiSetting
from instrument_emulator.scpi import Command, ScpiError
from instrument_emulator.values import Boolean, Choice, Integer, Real

RANGES = (0.1, 1.0, 10.0, 100.0, 1000.0)
OVERRANGE = 1.2


class Autozero(Boolean):
    """On, off, or once, which is off afterwards."""

    def read(self, text: str) -> bool:
        return text.upper() != "ONCE" and super().read(text)


class Keysight34461A(Instrument):
    """The multimeter."""

    identity = "Keysight Technologies,34461A,{serial},A.02.08-02.40-02.08-00.49-01-01"
    settings = (
        ScpiSetting("[SENSe:]FUNCtion[:ON]", "function", Choice("VOLTage:DC", "CURRent:DC", quoted=True), "VOLT:DC"),
        ScpiSetting("[SENSe:]VOLTage[:DC]:RANGe[:UPPer]", "range", Real(0.0, 1000.0), 10.0),
        ScpiSetting("[SENSe:]VOLTage[:DC]:NPLCycles", "nplc", Real(0.02, 100.0), 10.0),
        ScpiSetting("[SENSe:]VOLTage[:DC]:ZERO:AUTO", "autozero", Autozero(), True),
        ScpiSetting("TRIGger:SOURce", "trigger", Choice("IMMediate", "BUS", "EXTernal", "INTernal"), "IMM"),
        ScpiSetting("SAMPle:COUNt", "samples", Integer(1, 10000), 1),
    )

    def commands(self) -> Iterator[Command]:
        yield from (c for c in super().commands() if not c.pattern.startswith("STATus:QUEue"))
        yield Command("READ?", self._read)

    def changed(self, setting: ScpiSetting) -> None:
        if setting.name == "range":
            self.values["range"] = next((r for r in RANGES if self.values["range"] <= r), RANGES[-1])

    def _read(self) -> str:
        if self.values["trigger"] != "IMM":
            raise ScpiError(-214)
        if self.circuit.faults.take("overflow", self.role, devices=self.circuit.currents) is not None:
            return "+9.90000000E+37"
        voltage = self.circuit.measure(self.values["nplc"])
        return "+9.90000000E+37" if abs(voltage) > OVERRANGE * self.values["range"] else f"{voltage:+.8E}"
