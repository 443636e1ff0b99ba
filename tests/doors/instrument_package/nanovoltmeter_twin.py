"""An emulated Keithley 2182A: channel 1, direct voltage, readings on demand."""

from __future__ import annotations

from collections.abc import Iterator

from instrument_emulator.instrument import Instrument, ScpiSetting
from instrument_emulator.scpi import Command, ScpiError
from instrument_emulator.values import Boolean, Choice, Integer, Real

RANGES = (0.01, 0.1, 1.0, 10.0, 100.0)
OVERRANGE = 1.2


class Keithley2182A(Instrument):
    """The nanovoltmeter."""

    identity = "KEITHLEY INSTRUMENTS INC.,MODEL 2182A,{serial},C02  /A02"
    settings = (
        ScpiSetting("[SENSe[1]:]FUNCtion", "function", Choice("VOLTage:DC", "TEMPerature", quoted=True), "VOLT:DC"),
        ScpiSetting("[SENSe[1]:]CHANnel", "channel", Integer(0, 2), 1),
        ScpiSetting("[SENSe[1]:]VOLTage[:DC][:CHANnel1]:RANGe[:UPPer]", "range", Real(0.0, 120.0), 100.0),
        ScpiSetting("[SENSe[1]:]VOLTage[:DC][:CHANnel1]:LPASs[:STATe]", "analog_filter", Boolean(), False),
        ScpiSetting("[SENSe[1]:]VOLTage[:DC][:CHANnel1]:DFILter[:STATe]", "digital_filter", Boolean(), True),
        ScpiSetting("[SENSe[1]:]VOLTage[:DC]:NPLCycles", "nplc", Real(0.01, 60.0), 5.0),
        ScpiSetting("SYSTem:AZERo[:STATe]", "autozero", Boolean(), True),
        ScpiSetting("FORMat:ELEMents", "elements", Choice("READing", "CHANnel", "UNITs"), "READ"),
        ScpiSetting("TRIGger:SOURce", "trigger", Choice("IMMediate", "TIMer", "MANual", "BUS", "EXTernal"), "IMM"),
        ScpiSetting("SAMPle:COUNt", "samples", Integer(1, 1024), 1),
        ScpiSetting("INITiate:CONTinuous", "continuous", Boolean(), False),
    )

    def commands(self) -> Iterator[Command]:
        yield from super().commands()
        yield Command("READ?", self._read)

    def changed(self, setting: ScpiSetting) -> None:
        if setting.name == "range":
            self.values["range"] = next((r for r in RANGES if self.values["range"] <= r), RANGES[-1])

    def _read(self) -> str:
        if self.values["trigger"] not in ("IMM", "TIM"):
            raise ScpiError(-214)
        if self.circuit.faults.take("overflow", self.role, devices=self.circuit.currents) is not None:
            return "+9.9E37"
        voltage = self.circuit.measure(self.values["nplc"])
        return "+9.9E37" if abs(voltage) > OVERRANGE * self.values["range"] else f"{voltage:+.8E}"
