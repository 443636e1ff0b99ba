"""A Keithley 2000 with pymeasure's driver, as a meter of the bench."""

from typing import Any

from pymeasure.instruments.keithley import Keithley2000

from spinsweep.bench.adapter import AdaptedMeter, AdaptedMeterSection, Line


class Section(AdaptedMeterSection):
    model = "2000"


class PymeasureMeter(AdaptedMeter):
    Section = Section

    def connect(self, line: Line) -> Any:
        line.write(":FORM:ELEM READ")
        return Keithley2000(line)

    def settings(self) -> dict[str, Any]:
        return {"mode": "voltage", "voltage_range": self.section.range, "voltage_nplc": self.section.nplc}

    def measure(self, foreign: Any) -> Any:
        return foreign.voltage
