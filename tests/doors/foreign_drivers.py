"""Instruments with drivers in the style of public ones: a property is a message of its own, and some clip."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from spinsweep.bench.adapter import (
    AdaptedAuxiliary,
    AdaptedMeter,
    AdaptedMeterSection,
    AdaptedSection,
    AdaptedSource,
    Line,
)
from spinsweep.bench.section import SourceSection


def control(get: str, put: str, kind: type = float) -> Any:
    """A property that asks and sets."""
    return property(
        lambda self: kind(self.line.query(get).strip('"')), lambda self, value: self.line.write(put.format(value))
    )


class Foreign2000:
    """A voltmeter."""

    voltage_range = control(":SENS:VOLT:DC:RANG?", ":SENS:VOLT:DC:RANG {:g}")
    nplc = control(":SENS:VOLT:DC:NPLC?", ":SENS:VOLT:DC:NPLC {:g}")

    def __init__(self, line: Line) -> None:
        self.line = line
        line.write(":FORM:ELEM READ")

    @property
    def voltage(self) -> Any:
        reply = self.line.query(":READ?")
        try:
            return float(reply)
        except ValueError:
            return reply  # as some do


class MeterSection(AdaptedMeterSection):
    model = "2000"


class ForeignMeter(AdaptedMeter):
    Section = MeterSection

    def connect(self, line: Line) -> Foreign2000:
        return Foreign2000(line)

    def settings(self) -> Mapping[str, Any]:
        return {"voltage_range": self.section.range, "nplc": self.section.nplc}

    def measure(self, foreign: Foreign2000) -> Any:
        return foreign.voltage


class Foreign6221:
    """A current source that clips what it is told, as a public one does."""

    level = control(":SOUR:CURR?", ":SOUR:CURR {:g}")
    compliance = control(":SOUR:CURR:COMP?", ":SOUR:CURR:COMP {:g}")
    amplitude = control(":SOUR:WAVE:AMPL?", ":SOUR:WAVE:AMPL {:g}")
    frequency = control(":SOUR:WAVE:FREQ?", ":SOUR:WAVE:FREQ {:g}")
    cycles = control(":SOUR:WAVE:DUR:CYCL?", ":SOUR:WAVE:DUR:CYCL {:g}")
    function = control(":SOUR:WAVE:FUNC?", ":SOUR:WAVE:FUNC {}", str)
    ranging = control(":SOUR:WAVE:RANG?", ":SOUR:WAVE:RANG {}", str)

    def __init__(self, line: Line) -> None:
        self.line = line

    @property
    def source_range(self) -> float:
        return float(self.line.query(":SOUR:CURR:RANG?"))

    @source_range.setter
    def source_range(self, value: float) -> None:
        self.line.write(f":SOUR:CURR:RANG {min(value, 0.1):g}")

    @property
    def points(self) -> str:
        return ",".join(f"{float(p):g}" for p in self.line.query(":SOUR:WAVE:ARB:DATA?").split(","))

    @points.setter
    def points(self, value: str) -> None:
        self.line.write(f":SOUR:WAVE:ARB:DATA {value}")


class ForeignSourceSection(SourceSection):
    model = "6221"
    reading_keys = ("driver", "range", "compliance")

    arm_settle: float = Field(0.1, ge=0)


class ForeignSource(AdaptedSource):
    Section = ForeignSourceSection
    least_current = 2e-12
    least_width = 5e-6
    safe_message = ":SOUR:WAVE:ABOR;:SOUR:CLE;:OUTP?"

    def connect(self, line: Line) -> Foreign6221:
        return Foreign6221(line)

    def held(self, compliance: float, range: float) -> Mapping[str, Any]:
        return {"source_range": range, "compliance": compliance, "function": "ARB0", "ranging": "FIX", "cycles": 1.0}

    def pulsed(self, current: float, width: float) -> Mapping[str, Any]:
        sign = 1 if current > 0 else -1
        return {"points": f"{sign},0", "amplitude": abs(current), "frequency": 1 / (2 * width)}

    def fire(self, foreign: Foreign6221, width: float) -> bool:
        foreign.line.write(":SOUR:WAVE:ARM")
        foreign.line.write(":SOUR:WAVE:INIT")
        while foreign.line.query(":OUTP?") == "1":
            pass
        return bool(int(foreign.line.query(":STAT:MEAS:EVEN?")) & 8)

    def read_level(self, current: float) -> Mapping[str, Any]:
        return {"level": current}

    def switch_on(self, foreign: Foreign6221) -> None:
        foreign.line.write(":OUTP 1")
        foreign.line.query(":STAT:MEAS:EVEN?")

    def switch_off(self, foreign: Foreign6221) -> bool:
        return bool(int(foreign.line.query(":STAT:MEAS:COND?")) & 8)


class MagnetSection(AdaptedSection):
    model = "7001"


class ForeignAuxiliary(AdaptedAuxiliary):
    Section = MagnetSection
    safe_message = ":ROUT:OPEN ALL;*OPC?"

    def connect(self, line: Line) -> Any:
        return line
