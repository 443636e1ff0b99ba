"""Keysight 34461A, a multimeter as a voltmeter for direct voltage.

Its error queue is SCPI's own (``SYST:ERR?``), and its zero is measured by ``ZERO:AUTO ONCE``: Keysight Truevolt
series operating and service guide, SCPI reference.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from spinsweep.bench.capabilities import METER, Reading, Surroundings, VoltageReader
from spinsweep.bench.parts import Timing
from spinsweep.bench.section import InstrumentSection, Wired
from spinsweep.bench.settings import SYSTEM_ERRORS, Setting, apply, compare, number, refuse_errors, refuse_events

if TYPE_CHECKING:  # who reads a bench file loads no VISA
    from spinsweep.bench.visa import Session

RANGES = (0.1, 1.0, 10.0, 100.0, 1000.0)  # V
APERTURES = (0.02, 0.2, 1.0, 10.0, 100.0)
OVERRANGE = 1.2
RESET_TIME_S = 10.0


class Keysight34461ASection(InstrumentSection):
    """``[meter]`` with ``driver = "keysight-34461a"``."""

    model: ClassVar[str] = "34461A"
    reading_keys: ClassVar[tuple[str, ...]] = ("driver", "range", "nplc")

    range: Annotated[float, Field(ge=RANGES[0], le=RANGES[-1])] = 0.1
    """Fixed range, V."""
    nplc: Annotated[float, Field(ge=0.02, le=100)] = 10.0
    """Integration time in cycles of the mains."""

    def problems(self, timing: Timing, wired: Sequence[Wired]) -> Iterator[str]:
        if self.range not in RANGES:
            yield f"meter.range: {self.range:g} V; it is one of {', '.join(map(str, RANGES))}"
        if self.nplc not in APERTURES:
            yield f"meter.nplc: {self.nplc:g}; it is one of {', '.join(map(str, APERTURES))}"
        if self.nplc / timing.mains > timing.read_time:
            yield f"meter.nplc: {self.nplc:g} takes longer than timing.read_time {timing.read_time:g} s"


class Keysight34461A(VoltageReader):
    """The multimeter at the other end of ``session``."""

    Section = Keysight34461ASection
    roles = (METER,)

    def __init__(self, session: Session, section: Keysight34461ASection, surroundings: Surroundings) -> None:
        self.session = session
        self.range = section.range
        self.reading_time = section.nplc / surroundings.mains
        self.held = [
            Setting("SENS:VOLT:DC:RANG", float(section.range), 1e-3 * section.range),
            Setting("SENS:VOLT:DC:NPLC", float(section.nplc), 1e-3 * section.nplc),
            Setting("SENS:VOLT:DC:ZERO:AUTO", 0.0),
        ]

    def start(self) -> None:
        self.session.ask('*RST;*CLS;:SENS:FUNC "VOLT:DC";*OPC?', 1, RESET_TIME_S)
        once = [Setting("TRIG:SOUR", "IMM"), Setting("SAMP:COUN", 1.0)]
        apply(self.session, [*self.held, *once], SYSTEM_ERRORS)
        self.rezero()

    def rezero(self) -> None:
        message = f":SENS:VOLT:DC:ZERO:AUTO ONCE;*OPC?;*ESR?;{SYSTEM_ERRORS}"
        _, events, error = self.session.ask(message, 3, 4 * self.reading_time)
        refuse_events(self.session, events)
        refuse_errors(self.session, error, "its zero was measured", SYSTEM_ERRORS)

    def read(self) -> Reading:
        queries = [setting.query for setting in self.held]
        message = ";".join([":READ?", *queries, "*ESR?", SYSTEM_ERRORS])
        text, *settings, events, error = self.session.ask(message, len(queries) + 3, 4 * self.reading_time)
        refuse_events(self.session, events)
        refuse_errors(self.session, error, "it was read", SYSTEM_ERRORS)
        compare(self.session, self.held, settings)
        volts = number(self.session, text)
        if math.isfinite(volts) and abs(volts) <= OVERRANGE * self.range:
            return Reading(volts, True, "")
        return Reading(math.nan, False, f"{text} is not within the range of {self.range:g} V")
