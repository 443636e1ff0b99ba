"""A Keithley 2182A nanovoltmeter: direct voltage of channel 1, readings on demand.

Filters, rate and range: Keithley 2182/2182A user's manual (2182A-900-01 rev. B), section 3; status and identity
p. 12-6 and 12-7; commands section 14; readings and errors appendix H.
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

RANGES = (0.01, 0.1, 1.0, 10.0, 100.0)  # V, channel 1
OVERRANGE = 1.2
OVERFLOW = "+9.9E37"
READING_OVERFLOW, READING_AVAILABLE = 0, 5
"""Bits of the measurement register."""
ANALOG_FILTER_TIME_S = 0.125
"""That the analogue filter adds to each conversion (p. 3-8)."""
ELEMENTS = ("READ", "CHAN", "RNUM", "UNIT", "TST")

_VOLT = "[SENSe[1]:]VOLTage[:DC]"
_CHANNEL = f"{_VOLT}[:CHANnel1]"


class EmulatedKeithley2182A(Instrument):
    """The nanovoltmeter.

    Not modelled: channel 2 and temperatures (they read 0: nothing hangs there), the window and the moving type of the
    digital filter, ratio, delta, limits, relative, the buffer, triggers by line or key, the drift without autozero.
    """

    identity = "KEITHLEY INSTRUMENTS INC.,MODEL 2182A,{serial},C02  /A02"
    settings = (
        ScpiSetting("[SENSe[1]:]FUNCtion", "function", Choice("VOLTage:DC", "TEMPerature", quoted=True), "VOLT:DC"),
        ScpiSetting("[SENSe[1]:]CHANnel", "channel", Integer(0, 2), 1),
        ScpiSetting(f"{_CHANNEL}:RANGe[:UPPer]", "range", Real(0.0, 120.0), 120.0),
        ScpiSetting(f"{_CHANNEL}:RANGe:AUTO", "autorange", Boolean(), True),
        ScpiSetting(f"{_CHANNEL}:LPASs[:STATe]", "analog_filter", Boolean(), False),
        ScpiSetting(f"{_CHANNEL}:DFILter[:STATe]", "digital_filter", Boolean(), True),
        ScpiSetting(f"{_CHANNEL}:DFILter:COUNt", "filter_count", Integer(1, 100), 10),
        ScpiSetting(f"{_VOLT}:NPLCycles", "nplc", Real(0.01, 60.0), 5.0),
        ScpiSetting(f"{_VOLT}:DIGits", "digits", Real(3.5, 7.5), 7.5),
        ScpiSetting("SYSTem:AZERo[:STATe]", "autozero", Boolean(), True),
        ScpiSetting("SYSTem:FAZero[:STATe]", "front_autozero", Boolean(), True),
        ScpiSetting("SYSTem:LSYNc[:STATe]", "line_synchronised", Boolean(), False),
        ScpiSetting("TRIGger:SOURce", "trigger", Choice("IMMediate", "TIMer", "MANual", "BUS", "EXTernal"), "IMM"),
        ScpiSetting("TRIGger:COUNt", "trigger_count", Real(1, 9999, infinite=True), 1.0),
        ScpiSetting("TRIGger:DELay", "trigger_delay", Real(0.0, 999999.999), 0.0),
        ScpiSetting("SAMPle:COUNt", "samples", Integer(1, 1024), 1),
        ScpiSetting("INITiate:CONTinuous", "continuous", Boolean(), False),
    )

    def __init__(self, role: str, serial: str, circuit: Circuit) -> None:
        self._latest: list[float] = []
        self._fresh = False
        self._elements: tuple[str, ...] = ("READ",)
        super().__init__(role, serial, circuit)

    def commands(self) -> Iterator[Command]:
        yield from super().commands()
        kinds = Choice("READing", "CHANnel", "RNUMber", "UNITs", "TSTamp")
        yield Command("FORMat:ELEMents", self._set_elements, up_to(kinds, len(ELEMENTS)))
        yield Command("FORMat:ELEMents?", lambda: ",".join(self._elements))
        yield Command("INITiate[:IMMediate]", self._initiate)
        yield Command("ABORt", lambda: None)
        yield Command("READ?", self._read)
        yield Command("FETCh?", self._fetch)
        yield Command("[SENSe[1]:]DATA[:LATest]?", self._fetch)
        yield Command("[SENSe[1]:]DATA:FRESh?", self._fresh_reading)
        yield Command("*TRG", self._bus_trigger)

    def reset(self) -> None:
        super().reset()
        self._latest, self._fresh = [], False

    def power_cycle(self) -> None:
        super().power_cycle()
        self._elements = ("READ",)

    def state(self) -> dict[str, Any]:
        return {"range": self.values["range"], "nplc": self.values["nplc"]}

    def changed(self, setting: ScpiSetting) -> None:
        if setting.name == "range":
            self.values.update(range=_range(self.values["range"]), autorange=False)

    def _set_elements(self, *elements: str) -> None:
        self._elements = tuple(e for e in ELEMENTS if e in elements)

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
            readings += [self._one() for _ in range(values["samples"])]
        self._latest, self._fresh = readings, True
        self.status.measurement.put(READING_AVAILABLE, on=True)

    def _one(self) -> float:
        """One reading, V; infinite where it is beyond the range."""
        values = self.values
        count = values["filter_count"] if values["digital_filter"] else 1
        conversions = []
        for _ in range(count):
            if values["analog_filter"]:
                self.circuit.wait(ANALOG_FILTER_TIME_S)
            conversions.append(self.circuit.measure(values["nplc"]))
            if values["front_autozero"]:
                self.circuit.wait(values["nplc"] / self.circuit.mains)  # its own zero, before it looks again
        wired = values["channel"] == 1 and values["function"] == "VOLT:DC"
        voltage = math.fsum(conversions) / count if wired else 0.0
        if values["autorange"]:
            values["range"] = _range(min(abs(voltage), RANGES[-1]))
        overflow = abs(voltage) > OVERRANGE * values["range"]
        self.status.measurement.put(READING_OVERFLOW, on=overflow)
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
        unit = "VDC" if "UNIT" in elements else ""
        shown = {
            "READ": OVERFLOW if math.isinf(reading) else f"{reading:+.8E}{unit}",
            "CHAN": str(self.values["channel"]),
            "RNUM": "+00000",
            "TST": f"{self.circuit.clock.now():+.6E}",
        }
        return ",".join(shown[e] for e in elements if e in shown)


def _range(voltage: Any) -> float:
    """The least range that covers a voltage, V."""
    return RANGES[min(bisect_left(RANGES, abs(voltage) * (1 - 1e-9)), len(RANGES) - 1)]
