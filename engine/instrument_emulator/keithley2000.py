"""A Keithley 2000 multimeter as a voltmeter for direct voltage.

Reply format and overflow mark: Keithley 2000 manual p. 5-28; error -230 and fresh readings: p. 5-41 and 2182A manual
appendix H, the same command family.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator
from typing import Any

from instrument_emulator.circuit import Circuit
from instrument_emulator.faults import METER
from instrument_emulator.instrument import Instrument, ScpiSetting
from instrument_emulator.scpi import Command, ScpiError
from instrument_emulator.values import Boolean, Choice, Integer, Real, up_to

RANGES = (0.1, 1.0, 10.0, 100.0, 1000.0)
OVERRANGE = 1.2
OVERFLOW = "+9.9E37"
BUFFER_FULL, READING_AVAILABLE = 9, 5
"""Bits of the measurement register."""

_VOLT = "[SENSe[1]:]VOLTage[:DC]"


class EmulatedKeithley2000(Instrument):
    """The voltmeter.

    Not modelled: other functions than direct voltage; triggers by line or key (with ``TRIG:SOUR`` other than IMM or
    TIM, ``READ?`` gives -214, and with EXT or MAN no reading ever comes); the drift without autozero.
    """

    identity = "KEITHLEY INSTRUMENTS INC.,MODEL 2000,{serial},A08  /A02"
    settings = (
        ScpiSetting("[SENSe[1]:]FUNCtion", "function", Choice("VOLTage:DC", quoted=True), "VOLT:DC"),
        ScpiSetting(f"{_VOLT}:RANGe[:UPPer]", "range", Real(0.0, 1010.0), 1000.0),
        ScpiSetting(f"{_VOLT}:RANGe:AUTO", "autorange", Boolean(), True),
        ScpiSetting(f"{_VOLT}:NPLCycles", "nplc", Real(0.01, 10.0), 1.0),
        ScpiSetting(f"{_VOLT}:DIGits", "digits", Integer(4, 7), 7),
        ScpiSetting(f"{_VOLT}:AVERage:STATe", "average", Boolean(), False),
        ScpiSetting(f"{_VOLT}:AVERage:COUNt", "average_count", Integer(1, 100), 10),
        ScpiSetting("SYSTem:AZERo:STATe", "autozero", Boolean(), True),
        ScpiSetting("TRIGger:SOURce", "trigger", Choice("IMMediate", "TIMer", "MANual", "BUS", "EXTernal"), "IMM"),
        ScpiSetting("TRIGger:COUNt", "trigger_count", Real(1, 9999, infinite=True), 1.0),
        ScpiSetting("TRIGger:DELay", "trigger_delay", Real(0.0, 999999.999), 0.0),
        ScpiSetting("TRIGger:TIMer", "trigger_timer", Real(0.001, 999999.999), 0.1),
        ScpiSetting("SAMPle:COUNt", "samples", Integer(1, 1024), 1),
        ScpiSetting("INITiate:CONTinuous", "continuous", Boolean(), False),
        ScpiSetting("TRACe:POINts", "buffer_size", Integer(2, 1024), 100),
        ScpiSetting("TRACe:FEED", "buffer_feed", Choice("SENSe[1]", "CALCulate[1]", "NONE"), "CALC"),
        ScpiSetting("TRACe:FEED:CONTrol", "buffer_control", Choice("NEXT", "NEVer"), "NEV"),
    )

    def __init__(self, role: str, serial: str, circuit: Circuit) -> None:
        self._latest: list[float] = []
        self._fresh = False
        self._buffer: list[float] = []
        self._elements: tuple[str, ...] = ("READ", "CHAN", "UNIT")
        super().__init__(role, serial, circuit)

    def commands(self) -> Iterator[Command]:
        yield from super().commands()
        yield Command("FORMat:ELEMents", self._set_elements, up_to(Choice("READing", "CHANnel", "UNITs"), 3))
        yield Command("FORMat:ELEMents?", lambda: ",".join(self._elements))
        yield Command("INITiate[:IMMediate]", self._initiate)
        yield Command("ABORt", lambda: None)
        yield Command("CONFigure[:VOLTage][:DC]", self._configure)
        yield Command("CONFigure?", lambda: '"VOLT:DC"')
        yield Command("READ?", self._read)
        yield Command("FETCh?", self._fetch)
        yield Command("[SENSe[1]:]DATA[:LATest]?", self._fetch)
        yield Command("[SENSe[1]:]DATA:FRESh?", self._fresh_reading)
        yield Command("*TRG", self._bus_trigger)
        yield Command("TRACe:DATA?", self._buffer_data)
        yield Command("TRACe:CLEar", self._clear_buffer)

    def reset(self) -> None:
        super().reset()
        self._latest, self._fresh, self._buffer = [], False, []

    def state(self) -> dict[str, Any]:
        return {"range": self.values["range"], "nplc": self.values["nplc"]}

    def power_cycle(self) -> None:
        super().power_cycle()
        self._elements = ("READ", "CHAN", "UNIT")

    def changed(self, setting: ScpiSetting) -> None:
        if setting.name == "range":
            self.values.update(range=_range(self.values["range"]), autorange=False)

    def _set_elements(self, *elements: str) -> None:
        self._elements = tuple(e for e in ("READ", "CHAN", "UNIT") if e in elements)

    def _configure(self) -> None:
        """One reading of a direct voltage whenever it is asked for."""
        self.values.update(continuous=False, trigger="IMM", trigger_count=1.0, trigger_delay=0.0, samples=1)
        self._latest, self._fresh = [], False

    def _initiate(self) -> None:
        if self.values["continuous"]:
            raise ScpiError(-213)
        self._latest, self._fresh = [], False
        if self.values["trigger"] in ("IMM", "TIM"):
            self._take()

    def _bus_trigger(self) -> None:
        if self.values["trigger"] != "BUS":
            raise ScpiError(-211)
        self._take()

    def _read(self) -> str:
        if self.values["trigger"] not in ("IMM", "TIM"):
            raise ScpiError(-214)
        if self.circuit.faults.take("stale", METER, devices=self.circuit.currents) is not None:
            return self._fetch()
        self._initiate()
        return self._fetch()

    def _fetch(self) -> str:
        if self.values["continuous"]:
            self._take()
        if not self._latest:
            raise ScpiError(-230)
        self._fresh = False
        self.status.measurement.put(READING_AVAILABLE, on=False)
        return ",".join(self._shown(reading) for reading in self._latest)

    def _fresh_reading(self) -> str:
        if not (self._fresh or self.values["continuous"]):
            raise ScpiError(-230)
        return self._fetch()

    def _take(self) -> None:
        """As many readings as triggers and samples say; each takes its time."""
        values = self.values
        readings = []
        for _ in range(int(min(values["trigger_count"], 1024))):
            if values["trigger_delay"]:
                self.circuit.wait(values["trigger_delay"])
            for _ in range(values["samples"]):
                readings.append(self._one())
            if values["trigger"] == "TIM":
                self.circuit.wait(max(0.0, values["trigger_timer"] - values["samples"] * self._aperture()))
        self._latest, self._fresh = readings, True
        self.status.measurement.put(READING_AVAILABLE, on=True)
        self._store(readings)

    def _aperture(self) -> float:
        return float(self.values["nplc"] * self._conversions() / self.circuit.mains)

    def _conversions(self) -> int:
        return int(self.values["average_count"]) if self.values["average"] else 1

    def _one(self) -> float:
        """One reading, V; infinite where it is beyond the range."""
        count = self._conversions()
        voltage = math.fsum(self.circuit.measure(self.values["nplc"]) for _ in range(count)) / count
        if self.values["autorange"]:
            self.values["range"] = _range(min(abs(voltage), RANGES[-1]))
        overflow = abs(voltage) > OVERRANGE * self.values["range"]
        self.status.measurement.put(0, on=overflow)
        return math.inf if overflow else voltage

    def _shown(self, reading: float) -> str:
        faults, devices = self.circuit.faults, self.circuit.currents
        elements = self._elements
        if faults.take("overflow", METER, devices=devices) is not None:
            reading = math.inf
        if faults.take("nan", METER, devices=devices) is not None:
            return "NAN"
        if faults.take("units", METER, devices=devices) is not None:
            elements = ("READ", "UNIT")
        units = "UNIT" in elements
        shown = []
        if "READ" in elements:
            shown.append(OVERFLOW if math.isinf(reading) else f"{reading:+.8E}" + ("VDC" if units else ""))
        if "CHAN" in elements:
            shown.append(" 0INTCHAN" if units else " 0")
        return ",".join(shown)

    def _store(self, readings: list[float]) -> None:
        if self.values["buffer_control"] != "NEXT" or self.values["buffer_feed"] == "NONE":
            return
        self._buffer += readings[: self.values["buffer_size"] - len(self._buffer)]
        if len(self._buffer) >= self.values["buffer_size"]:
            self.values["buffer_control"] = "NEV"
            self.status.measurement.put(BUFFER_FULL, on=True)

    def _buffer_data(self) -> str:
        if not self._buffer:
            raise ScpiError(-230)
        return ",".join(self._shown(reading) for reading in self._buffer)

    def _clear_buffer(self) -> None:
        self._buffer = []
        self.status.measurement.put(BUFFER_FULL, on=False)


def _range(voltage: Any) -> float:
    """The least range that covers a voltage, V."""
    return RANGES[min(bisect_left(RANGES, abs(voltage) * (1 - 1e-9)), len(RANGES) - 1)]
