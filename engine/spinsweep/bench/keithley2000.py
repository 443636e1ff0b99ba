"""Keithley 2000, the voltmeter.

Only ``READ?`` is used, which always takes a new reading; ``FETC?`` would repeat the last one.  The zero is measured
between blocks (:meth:`Keithley2000.rezero`), not with every reading: without autozero the meter drifts by 2 ppm of
its range + 5 uV in 10 min within 1 degree (Keithley 2000 data sheet, p. 3), and reads twice as fast.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from spinsweep.bench.capabilities import METER, Reading, Surroundings, VoltageReader
from spinsweep.bench.errors import InstrumentFault
from spinsweep.bench.parts import Timing
from spinsweep.bench.section import InstrumentSection, Wired
from spinsweep.bench.settings import ERRORS, Setting, apply, compare, number, refuse_errors, refuse_events

if TYPE_CHECKING:  # who reads a bench file loads no VISA
    from spinsweep.bench.visa import Session

RANGES = (0.1, 1.0, 10.0, 100.0, 1000.0)  # V, direct voltage
OVERRANGE = 1.2
"""A range reads so much more than its name."""
OVERFLOW = 9e37
"""V; an overflow is reported as 9.9E37 (2000 manual, p. 5-28)."""
RESET_TIME_S = 10.0
DIGITS = 7
_CHANGED = "another program, or somebody at its keys, has changed it: the reading is not used"
UNIT = "VDC"
"""What stands behind a voltage in every reply until ``FORM:ELEM READ`` is set."""


class Keithley2000Section(InstrumentSection):
    """``[meter]`` with ``driver = "keithley-2000"``."""

    model: ClassVar[str] = "2000"
    reading_keys: ClassVar[tuple[str, ...]] = ("range", "nplc")  # as before there were other drivers

    range: Annotated[float, Field(ge=RANGES[0], le=RANGES[-1])] = 0.1
    """Fixed range, V: 0.1, 1, 10, 100 or 1000."""
    nplc: Annotated[float, Field(ge=0.01, le=10)] = 10.0
    """Integration time in cycles of the mains."""

    def problems(self, timing: Timing, wired: Sequence[Wired]) -> Iterator[str]:
        """A range that it does not have, and readings that take longer than the read current flows."""
        if self.range not in RANGES:
            yield f"meter.range: {self.range:g} V; it is one of {', '.join(map(str, RANGES))}"
        if self.nplc / timing.mains > timing.read_time:
            yield (
                f"meter.nplc: {self.nplc:g} takes {self.nplc / timing.mains:g} s, "
                f"longer than timing.read_time {timing.read_time:g} s"
            )


class Keithley2000(VoltageReader):
    """The voltmeter at the other end of ``session``.

    All methods raise ``ConnectionLost`` when the link is not to be trusted any more, and ``InstrumentFault`` when the
    meter reports an error, reads back something else than was sent, or lost its power.
    """

    Section = Keithley2000Section
    roles = (METER,)

    def __init__(self, session: Session, section: Keithley2000Section, surroundings: Surroundings) -> None:
        self.session = session
        self.range = section.range
        self.nplc = section.nplc
        self.reading_time = section.nplc / surroundings.mains
        self._held = [
            Setting("SENS:FUNC", "'VOLT:DC'"),
            Setting("SENS:VOLT:DC:RANG", float(self.range), 1e-3 * self.range),
            Setting("SENS:VOLT:DC:NPLC", float(self.nplc), 0.01 * float(self.nplc)),
            Setting("SENS:VOLT:DC:AVER:STAT", 0.0),
            Setting("SYST:AZER:STAT", 0.0),
            Setting("FORM:ELEM", "READ"),
        ]
        """Settings that a reading rests on; read back with every one."""

    def start(self) -> None:
        """Bring the meter from any state to fixed settings: direct voltage, one range, no averaging, no autozero."""
        self.session.ask("*RST;*CLS;*OPC?", 1, RESET_TIME_S)
        once = [
            Setting("INIT:CONT", 0.0),
            Setting("SENS:VOLT:DC:DIG", float(DIGITS)),
            Setting("TRIG:SOUR", "IMM"),
            Setting("TRIG:COUN", 1.0),
            Setting("SAMP:COUN", 1.0),
        ]
        apply(self.session, [*self._held, *once])
        self.rezero()

    def rezero(self) -> None:
        """Measure the zero anew; between blocks, while no current flows."""
        message = f":SYST:AZER:STAT 1;:READ?;:SYST:AZER:STAT 0;:SYST:AZER:STAT?;*ESR?;{ERRORS}"
        _, autozero, events, error = self.session.ask(message, 4, self._longest_time())
        refuse_events(self.session, events)
        refuse_errors(self.session, error, "its zero was measured")
        if number(self.session, autozero) != 0:
            raise InstrumentFault(f"{self.session.name}: autozero is still on ({autozero}); start it again")

    def read(self) -> Reading:
        """Take one new reading, and look at the settings with which it was taken.

        Raises
        ------
        InstrumentFault
            Also if a setting is no longer what it was started with: the reading is not to be used.
        """
        queries = [setting.query for setting in self._held]
        message = ";".join([":READ?", *queries, "*ESR?", ERRORS])
        text, *settings, events, error = self.session.ask(message, len(queries) + 3, self._longest_time())
        refuse_events(self.session, events)
        refuse_errors(self.session, error, "it was read")
        compare(self.session, self._held, settings, _CHANGED)
        if UNIT in text.upper():
            raise InstrumentFault(
                f"{self.session.name}: reads {text!r}, with units: its format was lost; start it again"
            )
        volts = number(self.session, text)
        if math.isfinite(volts) and abs(volts) <= OVERRANGE * self.range:
            return Reading(volts, True, "")
        reason = "overflow" if abs(volts) >= OVERFLOW else f"{text} is not within the range of {self.range:g} V"
        return Reading(math.nan, False, reason)

    def _longest_time(self) -> float:
        """Longest time of a reading with its zero, s."""
        return 4 * self.reading_time
