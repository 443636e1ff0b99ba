"""Keithley 2182A, a nanovoltmeter: channel 1, direct voltage.

Commands and ranges: Keithley 2182/2182A user's manual, sections 3 (range), 5 (rate) and 14 (SCPI).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from spinsweep.bench.capabilities import METER, Reading, Surroundings, VoltageReader
from spinsweep.bench.parts import Timing
from spinsweep.bench.section import InstrumentSection, Wired
from spinsweep.bench.settings import ERRORS, Setting, apply, number, refuse_errors, refuse_events

if TYPE_CHECKING:  # who reads a bench file loads no VISA
    from spinsweep.bench.visa import Session

RANGES = (0.01, 0.1, 1.0, 10.0, 100.0)  # V
OVERRANGE = 1.2
RESET_TIME_S = 10.0


class Keithley2182ASection(InstrumentSection):
    """``[meter]`` with ``driver = "keithley-2182a"``."""

    model: ClassVar[str] = "2182A"
    reading_keys: ClassVar[tuple[str, ...]] = ("driver", "range", "nplc")

    range: Annotated[float, Field(ge=RANGES[0], le=RANGES[-1])] = 0.01
    """Fixed range, V."""
    nplc: Annotated[float, Field(ge=0.01, le=50)] = 5.0
    """Integration time in cycles of the mains."""

    def problems(self, timing: Timing, wired: Sequence[Wired]) -> Iterator[str]:
        if self.range not in RANGES:
            yield f"meter.range: {self.range:g} V; it is one of {', '.join(map(str, RANGES))}"
        if self.nplc / timing.mains > timing.read_time:
            yield f"meter.nplc: {self.nplc:g} takes longer than timing.read_time {timing.read_time:g} s"


class Keithley2182A(VoltageReader):
    """The nanovoltmeter at the other end of ``session``."""

    Section = Keithley2182ASection
    roles = (METER,)

    def __init__(self, session: Session, section: Keithley2182ASection, surroundings: Surroundings) -> None:
        self.session = session
        self.section = section
        self.reading_time = section.nplc / surroundings.mains

    def start(self) -> None:
        self.session.ask("*RST;*CLS;*OPC?", 1, RESET_TIME_S)
        apply(
            self.session,
            [
                Setting("INIT:CONT", 0.0),
                Setting("SENS:FUNC", "'VOLT:DC'"),
                Setting("SENS:CHAN", 1.0),
                Setting("SENS:VOLT:CHAN1:RANG", float(self.section.range), 1e-3 * self.section.range),
                Setting("SENS:VOLT:CHAN1:LPAS", 0.0),
                Setting("SENS:VOLT:CHAN1:DFIL", 0.0),
                Setting("SENS:VOLT:NPLC", float(self.section.nplc), 0.01),
                Setting("SYST:AZER", 0.0),
                Setting("FORM:ELEM", "READ"),
                Setting("TRIG:SOUR", "IMM"),
                Setting("SAMP:COUN", 1.0),
            ],
        )
        self.rezero()

    def rezero(self) -> None:
        message = f":SYST:AZER 1;:READ?;:SYST:AZER 0;*ESR?;{ERRORS}"
        _, events, error = self.session.ask(message, 3, 4 * self.reading_time)
        refuse_events(self.session, events)
        refuse_errors(self.session, error, "its zero was measured")

    def read(self) -> Reading:
        text, events, error = self.session.ask(f":READ?;*ESR?;{ERRORS}", 3, 4 * self.reading_time)
        refuse_events(self.session, events)
        refuse_errors(self.session, error, "it was read")
        volts = number(self.session, text)
        if math.isfinite(volts) and abs(volts) <= OVERRANGE * self.section.range:
            return Reading(volts, True, "")
        return Reading(math.nan, False, f"{text} is not within the range of {self.section.range:g} V")
