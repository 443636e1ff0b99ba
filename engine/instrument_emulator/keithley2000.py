"""A Keithley 2000 multimeter; its wires lead to the devices, its current terminals nowhere.

Reply format and overflow mark: Keithley 2000 manual p. 5-28; error -230 and fresh readings: p. 5-41 and 2182A manual
appendix H, the same command family.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from instrument_emulator.circuit import Circuit
from instrument_emulator.faults import METER
from instrument_emulator.functions2000 import BY_NAME, COUNTED, FUNCTIONS, OVERRANGE, PLAIN, Function, defaults
from instrument_emulator.instrument import Instrument, ScpiSetting
from instrument_emulator.scpi import Command, ScpiError, refuse
from instrument_emulator.settings2000 import ELEMENTS, SETTINGS, SOURCES
from instrument_emulator.values import Choice, tone, up_to

OVERFLOW = "+9.9E37"
READING_AVAILABLE, BUFFER_AVAILABLE, BUFFER_HALF_FULL, BUFFER_FULL = 5, 7, 8, 9
"""Bits of the measurement register (2000 manual p. 5-53)."""
DIODE_NPLC = 0.1
"""Of diode test and continuity, which have none to set."""


class EmulatedKeithley2000(Instrument):
    """The voltmeter.

    It sees the voltage at the devices' outer contacts: direct, alternating, and its frequency.  Nothing flows through
    its current terminals (readings of 0 A), and what it would need a test current or a thermocouple for reads
    overflow, as with open leads.  Not modelled: triggers by line or key (with ``TRIG:SOUR`` other than IMM or TIM,
    ``READ?`` gives -214, and with EXT or MAN no reading ever comes); the drift without autozero; a scanner card.
    """

    identity = "KEITHLEY INSTRUMENTS INC.,MODEL 2000,{serial},A08  /A02"
    settings = SETTINGS
    sources = SOURCES

    def __init__(self, role: str, serial: str, circuit: Circuit) -> None:
        self._latest: list[float] = []
        self._fresh = False
        self._buffer: list[float] = []
        self._statistic: float | None = None
        super().__init__(role, serial, circuit)
        self.values["elements"] = ELEMENTS

    def commands(self) -> Iterator[Command]:
        yield from super().commands()
        elements = up_to(Choice("READing", "CHANnel", "UNITs"), 3)
        yield Command("FORMat:ELEMents", self._set_elements, elements, does="what a reply carries: READ, CHAN, UNIT")
        yield Command("FORMat:ELEMents?", lambda: ",".join(self.values["elements"]))
        yield Command("INITiate[:IMMediate]", self._initiate, does="takes readings; the old ones are gone")
        yield Command("ABORt", lambda: None, does="nothing: a reading that has begun comes to its end")
        yield Command("CONFigure?", lambda: f'"{self.values["function"]}"')
        yield Command("READ?", self._read, does="always new readings")
        yield Command("FETCh?", self._fetch, does="the last readings again, -230 without")
        yield Command("[SENSe[1]:]DATA[:LATest]?", self._fetch, does="as FETCh?")
        yield Command("[SENSe[1]:]DATA:FRESh?", self._fresh_reading, does="each reading once, -230 without")
        yield Command("*TRG", self._bus_trigger, does="takes readings with TRIG:SOUR BUS, else -211")
        for function in FUNCTIONS:
            yield from self._function_commands(function)
        yield from self._buffer_commands()
        yield from self._math_commands()
        yield from self._system_commands()

    def reset(self) -> None:
        """``*RST``: replies carry the reading alone; all elements after power-on and preset (2001 manual p. 4-88)."""
        super().reset()
        self.values["elements"] = ("READ",)
        self._latest, self._fresh, self._buffer = [], False, []
        self._statistic = None

    def state(self) -> dict[str, Any]:
        return {"function": self._function.name, "range": self._of("range"), "nplc": self._of("nplc")}

    def power_cycle(self) -> None:
        super().power_cycle()
        self.values["elements"] = ELEMENTS

    def changed(self, setting: ScpiSetting) -> None:
        if setting.name.endswith("_range"):
            key = setting.name.removesuffix("_range")
            function = next(f for f in FUNCTIONS if f.key == key)
            self.values.update({setting.name: function.range(self.values[setting.name]), f"{key}_autorange": False})
        elif setting.name == "function":
            self._latest, self._fresh = [], False

    @property
    def _function(self) -> Function:
        return BY_NAME[self.values["function"]]

    def _of(self, name: str, otherwise: Any = None) -> Any:
        """A setting of the function that is measured."""
        return self.values.get(f"{self._function.key}_{name}", otherwise)

    def _function_commands(self, function: Function) -> Iterator[Command]:
        def configure() -> None:
            self._configure(function)

        def measure() -> str:
            self._configure(function)
            return self._read()

        def acquire() -> None:
            self.values[f"{function.key}_reference"] = self._raw_reading(function)

        yield Command(f"CONFigure:{function.pattern}", configure, does="the function at its defaults, one reading")
        yield Command(f"MEASure:{function.pattern}?", measure, does="CONFigure and READ?")
        if function.kind != PLAIN:
            does = "the reference becomes the last reading"
            yield Command(f"[SENSe[1]:]{function.pattern}:REFerence:ACQuire", acquire, does=does)

    def _buffer_commands(self) -> Iterator[Command]:
        yield Command("TRACe:DATA?", self._buffer_data, does="the readings in the buffer, -230 without")
        yield Command("TRACe:CLEar", self._clear_buffer, does="empties the buffer")
        yield Command("TRACe:FREE?", self._buffer_free)
        yield Command(
            "CALCulate2:IMMediate", self._take_statistic, does="of the readings in the buffer, -230 without"
        )
        yield Command("CALCulate2:IMMediate?", self._fresh_statistic)
        yield Command("CALCulate2:DATA?", self._show_statistic)

    def _math_commands(self) -> Iterator[Command]:
        yield Command("CALCulate[1]:DATA?", self._calculated, does="the last reading after the calculation")
        yield Command("CALCulate3:LIMit[1]:FAIL?", self._limit_failed, does="1: the last reading is outside")

    def _system_commands(self) -> Iterator[Command]:
        yield Command("SYSTem:LFRequency?", lambda: f"{self.circuit.mains:.0f}")
        yield Command("SYSTem:BEEPer[:IMMediate]", lambda *_: None, tone, does="nothing to hear")
        for name in ("LOCal", "REMote", "RWLock"):
            yield Command(f"SYSTem:{name}", lambda: None, does="nothing: there is no front panel")
        no_card = "-241: no scanner card"
        for pattern in ("ROUTe:CLOSe", "ROUTe:OPEN", "ROUTe:SCAN[:INTernal]"):
            yield Command(pattern, refuse(-241), tuple, does=no_card)
        yield Command("ROUTe:OPEN:ALL", refuse(-241), does=no_card)
        yield Command("ROUTe:CLOSe:STATe?", refuse(-241), does=no_card)

    def _preset(self) -> None:
        super()._preset()
        self.values["elements"] = ELEMENTS

    def _set_elements(self, *elements: str) -> None:
        self.values["elements"] = tuple(e for e in ELEMENTS if e in elements)

    def _configure(self, function: Function) -> None:
        """One reading of that function whenever it is asked for."""
        self.values.update(defaults(function))
        self.values.update(function=function.name, continuous=False, trigger="IMM", trigger_count=1.0,
                           trigger_delay=0.0, samples=1, math_on=False)  # fmt: skip
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
        """Time of one reading, s."""
        if self._function.kind == COUNTED:
            return float(self._of("aperture"))
        return float(self._of("nplc", DIODE_NPLC) * self._conversions() / self.circuit.mains)

    def _conversions(self) -> int:
        return int(self._of("average_count")) if self._of("average") else 1

    def _one(self) -> float:
        """One reading; infinite where it is beyond the range."""
        function, values = self._function, self.values
        count = self._conversions()
        reading = math.fsum(self._convert(function) for _ in range(count)) / count
        overflow = math.isinf(reading)
        if function.ranges:
            if self._of("autorange"):
                values[f"{function.key}_range"] = function.range(min(abs(reading), function.ranges[-1]))
            overflow = abs(reading) > OVERRANGE * self._of("range")
        self.status.measurement.put(0, on=overflow)
        if overflow:
            return math.inf
        return reading - self._of("reference") if self._of("reference_on") else reading

    def _convert(self, function: Function) -> float:
        """What one conversion sees; infinite with open leads."""
        nplc = self._of("nplc", DIODE_NPLC)
        if function.name == "VOLT:DC":
            return self.circuit.measure(nplc)
        if function.name == "VOLT:AC":
            return self.circuit.measure_alternating(max(nplc / self.circuit.mains, 1 / self._of("bandwidth")), nplc)
        self.circuit.wait(self._aperture() / self._conversions())
        if function.kind == COUNTED:
            hertz = self.circuit.frequency if self.circuit.currents else 0.0
            return hertz if function.name == "FREQ" or not hertz else 1 / hertz
        return 0.0 if function.name.startswith("CURR") else math.inf

    def _raw_reading(self, function: Function) -> float:
        """The last reading without its reference; -230 if there is none of that function."""
        if function is not self._function or not self._latest or math.isinf(self._latest[-1]):
            raise ScpiError(-230)
        return self._latest[-1] + (self._of("reference") if self._of("reference_on") else 0.0)

    def _shown(self, reading: float) -> str:
        faults, devices = self.circuit.faults, self.circuit.currents
        elements: tuple[str, ...] = self.values["elements"]
        if faults.take("overflow", METER, devices=devices) is not None:
            reading = math.inf
        if faults.take("nan", METER, devices=devices) is not None:
            return "NAN"
        if faults.take("units", METER, devices=devices) is not None:
            elements = ("READ", "UNIT")
        units = "UNIT" in elements
        shown = []
        if "READ" in elements:
            unit = self._function.unit if units else ""
            shown.append(OVERFLOW if math.isinf(reading) else f"{reading:+.8E}{unit}")
        if "CHAN" in elements:
            shown.append(" 0INTCHAN" if units else " 0")
        return ",".join(shown)

    def _store(self, readings: Sequence[float]) -> None:
        if self.values["buffer_control"] != "NEXT" or self.values["buffer_feed"] == "NONE":
            return
        size, put = self.values["buffer_size"], self.status.measurement.put
        kept = map(self._math, readings) if self.values["buffer_feed"] == "CALC" else readings
        self._buffer += list(kept)[: size - len(self._buffer)]
        put(BUFFER_AVAILABLE, on=len(self._buffer) >= 2)
        put(BUFFER_HALF_FULL, on=2 * len(self._buffer) >= size)
        if len(self._buffer) >= size:
            self.values["buffer_control"] = "NEV"
            put(BUFFER_FULL, on=True)

    def _buffer_data(self) -> str:
        if not self._buffer:
            raise ScpiError(-230)
        return ",".join(self._shown(reading) for reading in self._buffer)

    def _buffer_free(self) -> str:
        used = 16 * len(self._buffer)
        return f"{16 * self.values['buffer_size'] - used},{used}"

    def _clear_buffer(self) -> None:
        self._buffer = []
        for bit in (BUFFER_AVAILABLE, BUFFER_HALF_FULL, BUFFER_FULL):
            self.status.measurement.put(bit, on=False)

    def _math(self, reading: float) -> float:
        """A reading after ``CALCulate1``."""
        values = self.values
        if not values["math_on"] or math.isinf(reading):
            return reading
        if values["math"] == "MXB":
            return float(values["math_m"] * reading + values["math_b"])
        if values["math"] == "PERC" and values["math_percent"]:
            return float(100 * (reading - values["math_percent"]) / values["math_percent"])
        return reading

    def _calculated(self) -> str:
        if not self._latest:
            raise ScpiError(-230)
        return _number(self._math(self._latest[-1]))

    def _limit_failed(self) -> str:
        if not self._latest:
            raise ScpiError(-230)
        return str(int(not self.values["limit_low"] <= self._latest[-1] <= self.values["limit_high"]))

    def _take_statistic(self) -> None:
        which: dict[str, Callable[[Sequence[float]], float]] = {
            "MEAN": statistics.fmean, "SDEV": _deviation, "MAX": max, "MIN": min}  # fmt: skip
        finite = [reading for reading in self._buffer if math.isfinite(reading)]
        if not finite or self.values["statistics"] not in which:
            raise ScpiError(-230)
        self._statistic = which[self.values["statistics"]](finite)

    def _fresh_statistic(self) -> str:
        self._take_statistic()
        return self._show_statistic()

    def _show_statistic(self) -> str:
        if self._statistic is None:
            raise ScpiError(-230)
        return _number(self._statistic)


def _number(value: float) -> str:
    return OVERFLOW if math.isinf(value) else f"{value:+.8E}"


def _deviation(readings: Sequence[float]) -> float:
    return statistics.stdev(readings) if len(readings) > 1 else 0.0
