"""A Keithley 2400 SourceMeter as a current source that measures the voltage: both ends of a bench in one instrument.

A *source-delay-measure cycle* sets the source, waits for ``SOUR:DEL``, and measures; with ``SOUR:CLE:AUTO 1`` the
output is on during the cycle alone, which makes a pulse.  How long it is on: 2400 Series user's manual (2400S-900-01
rev. K), p. A-3 to A-6, cases I and III.  Commands and their errors: section 18, p. B-6 and B-7; ranges: table 3-1;
status: p. 15-14 and 18-50.

The voltage limit acts on the path of the current; with two-wire sensing so does the end of the measuring range, as
real and range compliance do.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Any

from instrument_emulator.circuit import Circuit
from instrument_emulator.faults import METER, SOURCE
from instrument_emulator.instrument import Instrument, ScpiSetting
from instrument_emulator.scpi import Command, ScpiError
from instrument_emulator.values import Boolean, Choice, Integer, Real, up_to

CURRENT_RANGES = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0)
VOLTAGE_RANGES = (0.2, 2.0, 20.0, 200.0)
OVERRANGE = 1.05
MEASURED_OVERRANGE = 1.055
HIGH_CURRENT, HIGH_CURRENT_VOLTAGE = 0.105, 21.0
"""Above that current (A), no voltage above that (V): 22 W."""
CONFIGURATION_S, CONVERSION_S = 50e-6, 185e-6
OVERHEAD_S = {False: 640e-6, True: 2.15e-3}
"""Of the firmware, by autozero, for a current source."""
PHASES = {False: 1, True: 3}
"""Conversions of a reading, by autozero."""
NOT_A_NUMBER, OVERFLOW = "+9.910000E+37", "+9.900000E+37"
READING_AVAILABLE, READING_OVERFLOW, COMPLIANCE = 6, 7, 14
"""Bits of the measurement register."""
WORD_OVERFLOW, WORD_COMPLIANCE, WORD_VOLTS, WORD_CURRENT_SOURCE = 1, 1 << 3, 1 << 11, 1 << 15
WORD_RANGE_COMPLIANCE, WORD_REMOTE_SENSE = 1 << 16, 1 << 22
"""Bits of a reading's status word."""
ELEMENTS = ("VOLT", "CURR", "RES", "TIME", "STAT")
MOST_TRIGGERS = 2500

_CURR, _VOLT = "SOURce[1]:CURRent", "SOURce[1]:VOLTage"
_SENSE = "[SENSe[1]:]"


class Autozero(Boolean):
    """On or off; ONCE measures the zero now, and is off afterwards."""

    def read(self, text: str) -> bool:
        return text.upper() != "ONCE" and super().read(text)


class EmulatedKeithley2400(Instrument):
    """The source and its meter; the output stays as it is whatever becomes of a connection.

    Not modelled: the voltage source (its output drives nothing), ohms, linear and logarithmic sweeps, the buffer,
    limits, mathematics, triggers by line, the digital port, contact check, output-off states other than no current.
    """

    identity = "KEITHLEY INSTRUMENTS INC.,MODEL 2400,{serial},C30   Mar 17 2006 09:29:29/A02  /K/J"
    settings = (
        ScpiSetting("SOURce[1]:FUNCtion[:MODE]", "source", Choice("VOLTage", "CURRent", "MEMory"), "VOLT"),
        ScpiSetting(f"{_CURR}:MODE", "mode", Choice("FIXed", "SWEep", "LIST"), "FIX"),
        ScpiSetting(f"{_CURR}:RANGe", "range", Real(-1.05, 1.05), 1e-4),
        ScpiSetting(f"{_CURR}:RANGe:AUTO", "autorange", Boolean(), True),
        ScpiSetting(f"{_CURR}[:LEVel][:IMMediate][:AMPLitude]", "level", Real(-1.05, 1.05), 0.0),
        ScpiSetting(f"{_VOLT}[:LEVel][:IMMediate][:AMPLitude]", "volts", Real(-210.0, 210.0), 0.0),
        ScpiSetting("SOURce[1]:DELay", "delay", Real(0.0, 999.9999, step=1e-4), 0.001),
        ScpiSetting("SOURce[1]:DELay:AUTO", "delay_auto", Boolean(), True),
        ScpiSetting("SOURce[1]:CLEar:AUTO", "auto_off", Boolean(), False),
        ScpiSetting(f"{_SENSE}FUNCtion:CONCurrent", "concurrent", Boolean(), True),
        ScpiSetting(f"{_SENSE}VOLTage[:DC]:PROTection[:LEVel]", "protection", Real(-210.0, 210.0), 21.0),
        ScpiSetting(f"{_SENSE}CURRent[:DC]:PROTection[:LEVel]", "current_protection", Real(-1.05, 1.05), 1.05e-4),
        ScpiSetting(f"{_SENSE}VOLTage[:DC]:RANGe[:UPPer]", "sense_range", Real(-210.0, 210.0), 20.0),
        ScpiSetting(f"{_SENSE}VOLTage[:DC]:RANGe:AUTO", "sense_auto", Boolean(), True),
        ScpiSetting(f"{_SENSE}VOLTage[:DC]:NPLCycles", "nplc", Real(0.01, 10.0, step=0.01), 1.0),
        ScpiSetting(f"{_SENSE}CURRent[:DC]:NPLCycles", "nplc", Real(0.01, 10.0, step=0.01), 1.0),
        ScpiSetting(f"{_SENSE}AVERage[:STATe]", "average", Boolean(), False),
        ScpiSetting(f"{_SENSE}AVERage:COUNt", "average_count", Integer(1, 100), 10),
        ScpiSetting("SYSTem:RSENse", "remote_sense", Boolean(), False),
        ScpiSetting("SYSTem:AZERo[:STATe]", "autozero", Autozero(), True),
        ScpiSetting("TRIGger:COUNt", "triggers", Integer(1, MOST_TRIGGERS), 1),
        ScpiSetting("TRIGger:DELay", "trigger_delay", Real(0.0, 999.9999), 0.0),
        ScpiSetting("TRIGger:SOURce", "trigger_source", Choice("IMMediate", "TLINk"), "IMM"),
        ScpiSetting("ARM:COUNt", "arms", Integer(1, MOST_TRIGGERS), 1),
        ScpiSetting("ARM:SOURce", "arm_source", Choice("IMMediate", "TIMer", "MANual", "BUS", "TLINk"), "IMM"),
        ScpiSetting("OUTPut[1]:SMODe", "off_state", Choice("HIMPedance", "NORMal", "ZERO", "GUARd"), "NORM"),
        ScpiSetting("OUTPut[1][:STATe]", "output", Boolean(), False),
        ScpiSetting("ROUTe:TERMinals", "terminals", Choice("FRONt", "REAR"), "FRON"),
    )

    def __init__(self, role: str, serial: str, circuit: Circuit) -> None:
        self._list: tuple[float, ...] = ()
        self._functions: tuple[str, ...] = ("CURR:DC",)
        self._elements: tuple[str, ...] = ELEMENTS
        self._latest: list[str] = []
        super().__init__(role, serial, circuit)
        circuit.compliance_changed = lambda on: self.status.measurement.put(COMPLIANCE, on=on)

    def commands(self) -> Iterator[Command]:
        yield from super().commands()
        yield Command("SOURce[1]:CLEar[:IMMediate]", self._switch_off)
        yield Command("SOURce[1]:LIST:CURRent", self._set_list, up_to(Real(-1.05, 1.05), 100))
        yield Command("SOURce[1]:LIST:CURRent?", lambda: ",".join(f"{i:+.6E}" for i in self._list))
        yield Command("SOURce[1]:LIST:CURRent:POINts?", lambda: str(len(self._list)))
        functions = Choice("VOLTage:DC", "VOLTage", "CURRent:DC", "CURRent", quoted=True)
        yield Command(f"{_SENSE}FUNCtion[:ON]", self._set_functions, up_to(functions, 3))
        yield Command(f"{_SENSE}FUNCtion[:ON]?", lambda: ",".join(f'"{f}"' for f in self._functions))
        yield Command(f"{_SENSE}FUNCtion:OFF:ALL", lambda: self._set_functions())
        yield Command(f"{_SENSE}VOLTage[:DC]:PROTection:TRIPped?", lambda: str(int(self.circuit.in_compliance)))
        yield Command(f"{_SENSE}CURRent[:DC]:PROTection:TRIPped?", lambda: "0")
        elements = Choice("VOLTage", "CURRent", "RESistance", "TIME", "STATus")
        yield Command("FORMat:ELEMents[:SENSe[1]]", self._set_elements, up_to(elements, len(ELEMENTS)))
        yield Command("FORMat:ELEMents[:SENSe[1]]?", lambda: ",".join(self._elements))
        yield Command("INITiate[:IMMediate]", self._initiate)
        yield Command("ABORt", lambda: None)
        yield Command("READ?", self._read)
        yield Command("FETCh?", self._fetch)

    def reset(self) -> None:
        """``*RST``: output off."""
        if self.values.get("output"):
            self._switch_off()
        super().reset()
        self._list, self._functions, self._elements, self._latest = (), ("CURR:DC",), ELEMENTS, []

    def state(self) -> dict[str, Any]:
        return {
            "output": self.values["output"],
            "level": self.values["level"],
            "current": math.fsum(self.circuit.currents.values()),
            "compliance": self.values["protection"],
            "in_compliance": self.circuit.in_compliance,
        }

    def faults_changed(self) -> None:
        """The output-enable line may have opened; it takes the output off."""
        if self._blocked() and self.values["output"]:
            self._switch_off()

    def check(self, setting: ScpiSetting, value: Any) -> None:
        values = self.values
        if setting.name == "level" and not values["autorange"]:
            self._check_level(value)
        if setting.name == "sense_range" and _covering(value) > _covering(values["protection"]):
            raise ScpiError(824)
        if setting.name == "protection":
            if abs(value) < 1e-3 * values["sense_range"]:
                raise ScpiError(822)
            if abs(value) > HIGH_CURRENT_VOLTAGE and values["range"] > HIGH_CURRENT:
                raise ScpiError(826)
        if setting.name == "range":
            if _range(value) > HIGH_CURRENT and abs(values["protection"]) > HIGH_CURRENT_VOLTAGE:
                raise ScpiError(826)
            if abs(values["level"]) > OVERRANGE * _range(value):
                raise ScpiError(-221)
        if setting.name == "output" and value and self._blocked():
            raise ScpiError(802)

    def changed(self, setting: ScpiSetting) -> None:
        values = self.values
        if setting.name == "range":
            values.update(range=_range(values["range"]), autorange=False)
        elif setting.name in ("level", "autorange") and values["autorange"]:
            values["range"] = _range(values["level"])
        elif setting.name == "sense_range":
            values.update(sense_range=_covering(values["sense_range"]), sense_auto=False)
        elif setting.name == "protection":
            values["protection"] = abs(values["protection"])
            values["sense_range"] = min(values["sense_range"], _covering(values["protection"]))
        elif setting.name == "delay":
            values["delay_auto"] = False
        elif setting.name == "source" and values["output"]:
            self._switch_off()
        if setting.name == "output" and not values["output"]:
            self._switch_off()
        elif values["output"] and setting.name in ("level", "output", "protection", "sense_range", "remote_sense"):
            self._drive(values["level"])

    def _check_level(self, level: float) -> None:
        if abs(level) > OVERRANGE * self.values["range"]:
            raise ScpiError(-222)

    def _blocked(self) -> bool:
        return self.circuit.faults.lasting("interlock", SOURCE) is not None

    def _limit(self) -> float:
        """The voltage at which the current is limited, V."""
        values = self.values
        if values["remote_sense"] or values["sense_auto"]:
            return float(values["protection"])
        return float(min(values["protection"], MEASURED_OVERRANGE * values["sense_range"]))

    def _drive(self, current: float, *, pulse: bool = False) -> float:
        """From now on drive a current, A; the bench time."""
        now = self.circuit.catch_up()
        self.circuit.drive(current if self.values["source"] == "CURR" else 0.0, self._limit(), now, pulse=pulse)
        return now

    def _switch_off(self) -> None:
        self.values["output"] = False
        self.circuit.drive(0.0, self._limit(), self.circuit.clock.now())

    def _set_list(self, *currents: float) -> None:
        self._list = currents

    def _set_functions(self, *functions: str) -> None:
        whole = tuple(f if ":" in f else f"{f}:DC" for f in functions)
        kept = self._functions if self.values["concurrent"] and whole else ()
        chosen = {*kept, *whole} if self.values["concurrent"] else set(whole[-1:])
        self._functions = tuple(f for f in ("VOLT:DC", "CURR:DC") if f in chosen)

    def _set_elements(self, *elements: str) -> None:
        self._elements = tuple(e for e in ELEMENTS if e in elements)

    def _initiate(self) -> None:
        """As many source-delay-measure cycles as the counts say."""
        values = self.values
        if values["trigger_source"] != "IMM" or values["arm_source"] != "IMM":
            raise ScpiError(-214)
        if not (values["output"] or values["auto_off"]):
            raise ScpiError(803)
        if self._blocked():
            raise ScpiError(802)
        levels: Sequence[float] = (values["level"],)
        if values["mode"] == "LIST":
            if not self._list:
                raise ScpiError(-221)
            levels = self._list
        self._latest = []
        for number in range(values["arms"] * values["triggers"]):
            level = levels[number % len(levels)]
            if not values["autorange"]:
                self._check_level(level)
            self._latest.append(self._cycle(level))
        self.status.measurement.put(READING_AVAILABLE, on=True)

    def _cycle(self, level: float) -> str:
        """Source, delay, measure; with auto output-off, off again."""
        values, circuit = self.values, self.circuit
        if values["trigger_delay"]:
            circuit.wait(values["trigger_delay"])
        pulse = values["auto_off"]
        values["output"] = True
        began = self._drive(level, pulse=pulse)
        delay = CONFIGURATION_S + values["delay"] + (1e-4 if values["delay_auto"] else 0.0)
        if pulse or values["mode"] == "LIST":  # a source that stays as it is needs no delay (p. A-8)
            circuit.wait(delay)
        zeroed = bool(values["autozero"])
        reading = self._measured(PHASES[zeroed])
        if pulse:
            conversion = values["nplc"] / circuit.mains + CONVERSION_S
            lasted = delay + PHASES[zeroed] * conversion * self._conversions() + OVERHEAD_S[zeroed]
            circuit.wait(began + lasted - circuit.clock.now())
            values["output"] = False
            circuit.drive(0.0, self._limit(), began + lasted, ended=lasted)
        return reading

    def _conversions(self) -> int:
        return int(self.values["average_count"]) if self.values["average"] else 1

    def _measured(self, phases: int) -> str:
        """One reading with its status, as the elements say."""
        values, circuit = self.values, self.circuit
        count = self._conversions()
        voltages = []
        for _ in range(count):
            at_meter = circuit.measure(values["nplc"])
            voltages.append(at_meter if values["remote_sense"] else circuit.path_voltage())
            for _ in range(phases - 1):
                circuit.wait(values["nplc"] / circuit.mains)
        voltage = math.fsum(voltages) / count
        if values["sense_auto"]:
            values["sense_range"] = min(_covering(min(abs(voltage), 210.0)), _covering(values["protection"]))
        overflow = abs(voltage) > MEASURED_OVERRANGE * values["sense_range"]
        self.status.measurement.put(READING_OVERFLOW, on=overflow)
        return self._shown(voltage, overflow=overflow)

    def _shown(self, voltage: float, *, overflow: bool) -> str:
        values, faults, devices = self.values, self.circuit.faults, self.circuit.currents
        overflow |= faults.take("overflow", METER, devices=devices) is not None
        volts = f"{voltage:+.6E}"
        if "VOLT:DC" not in self._functions or faults.take("nan", METER, devices=devices) is not None:
            volts = NOT_A_NUMBER
        elif overflow:
            volts = OVERFLOW
        is_current = values["source"] == "CURR"
        word = WORD_OVERFLOW * overflow | WORD_REMOTE_SENSE * values["remote_sense"]
        word |= WORD_VOLTS * ("VOLT:DC" in self._functions) | WORD_CURRENT_SOURCE * is_current
        if self.circuit.in_compliance:
            word |= WORD_COMPLIANCE if self._limit() == values["protection"] else WORD_RANGE_COMPLIANCE
        current = math.fsum(devices.values()) if "CURR:DC" in self._functions else values["level"]
        shown = {
            "VOLT": volts,
            "CURR": f"{current:+.6E}" if is_current or "CURR:DC" in self._functions else NOT_A_NUMBER,
            "RES": NOT_A_NUMBER,
            "TIME": f"{self.circuit.clock.now() % 1e5:+.6E}",
            "STAT": f"{word:+.6E}",
        }
        return ",".join(shown[e] for e in self._elements)

    def _read(self) -> str:
        if self.circuit.faults.take("stale", METER, devices=self.circuit.currents) is None:
            self._initiate()
        return self._fetch()

    def _fetch(self) -> str:
        if not self._latest:
            raise ScpiError(-230)
        self.status.measurement.put(READING_AVAILABLE, on=False)
        return ",".join(self._latest)


def _range(current: float) -> float:
    """The least source range that covers a current, A."""
    return CURRENT_RANGES[
        min(bisect_left(CURRENT_RANGES, abs(current) / OVERRANGE * (1 - 1e-9)), len(CURRENT_RANGES) - 1)
    ]


def _covering(voltage: float) -> float:
    """The least measuring range that covers a voltage, V."""
    return VOLTAGE_RANGES[
        min(bisect_left(VOLTAGE_RANGES, abs(voltage) / OVERRANGE * (1 - 1e-9)), len(VOLTAGE_RANGES) - 1)
    ]
