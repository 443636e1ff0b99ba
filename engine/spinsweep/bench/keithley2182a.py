"""Keithley 2182A, the nanovoltmeter: direct voltage of channel 1.

It may have an address of its own, or hang at the serial port of a Keithley 6221 (``behind = "source"``), as for the
6221's delta mode; there set both ports to 19.2 kBd without flow control.  Only ``READ?`` is used, which always takes
a new reading (2182/2182A user's manual, 2182A-900-01 rev. B, p. H-2).  Both filters are off: the digital one averages
over readings before, the analogue one needs 125 ms to settle (p. 3-8).  The zero of the whole meter is measured
between trains (:meth:`Keithley2182A.rezero`), that of its front end with every reading (section 2).
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

RANGES = (0.01, 0.1, 1.0, 10.0, 100.0)  # V, channel 1 (section 3, "Range")
OVERRANGE = 1.2
"""A range reads so much more than its name."""
OVERFLOW = 9e37
"""V; an overflow is reported as 9.9E37."""
MOST_CYCLES = {50: 50.0, 60: 60.0}
"""Frequency of the mains (Hz): longest integration, in its cycles: 1 s (section 3, "Rate")."""
CONVERSIONS = 2
"""Of the input and of the front end's zero, in one reading."""
RESET_TIME_S = 10.0
UNIT = "VDC"
_CHANGED = "another program, or somebody at its keys, has changed it: the reading is not used"


class Keithley2182ASection(InstrumentSection):
    """``[meter]`` with ``driver = "keithley-2182a"``."""

    model: ClassVar[str] = "2182A"
    reading_keys: ClassVar[tuple[str, ...]] = ("driver", "range", "nplc")

    range: Annotated[float, Field(ge=RANGES[0], le=RANGES[-1])] = 0.01
    """Fixed range, V: 0.01, 0.1, 1, 10 or 100."""
    nplc: Annotated[float, Field(ge=0.01, le=60)] = 5.0
    """Integration time in cycles of the mains."""

    def problems(self, timing: Timing, wired: Sequence[Wired]) -> Iterator[str]:
        """A range that it does not have, and readings that take longer than the read current flows."""
        if self.range not in RANGES:
            yield f"meter.range: {self.range:g} V; it is one of {', '.join(map(str, RANGES))}"
        if self.nplc > MOST_CYCLES[timing.mains]:
            yield f"meter.nplc: {self.nplc:g}; at {timing.mains} Hz it is {MOST_CYCLES[timing.mains]:g} at most"
        time = CONVERSIONS * self.nplc / timing.mains
        if time > timing.read_time:
            yield (
                f"meter.nplc: {self.nplc:g} takes {time:g} s with the front end's zero, "
                f"longer than timing.read_time {timing.read_time:g} s"
            )


class Keithley2182A(VoltageReader):
    """The nanovoltmeter at the other end of ``session``.

    All methods raise ``ConnectionLost`` when the link is not to be trusted any more, and ``InstrumentFault`` when the
    meter reports an error, reads back something else than was sent, or lost its power.
    """

    Section = Keithley2182ASection
    roles = (METER,)

    def __init__(self, session: Session, section: Keithley2182ASection, surroundings: Surroundings) -> None:
        self.session = session
        self.range = section.range
        self.reading_time = CONVERSIONS * section.nplc / surroundings.mains
        self._held = [
            Setting("SENS:FUNC", "'VOLT:DC'"),
            Setting("SENS:CHAN", 1.0),
            Setting("SENS:VOLT:CHAN1:RANG", float(section.range), 1e-3 * section.range),
            Setting("SENS:VOLT:NPLC", float(section.nplc), 0.01 * section.nplc),
            Setting("SENS:VOLT:CHAN1:LPAS", 0.0),
            Setting("SENS:VOLT:CHAN1:DFIL", 0.0),
            Setting("SYST:AZER", 0.0),
            Setting("SYST:FAZ", 1.0),
            Setting("FORM:ELEM", "READ"),
        ]
        """Settings that a reading rests on; read back with every one."""

    def start(self) -> None:
        """Bring the meter from any state to fixed settings: one channel, one range, no filter."""
        self.session.ask("*RST;*CLS;*OPC?", 1, RESET_TIME_S)
        once = [
            Setting("INIT:CONT", 0.0),
            Setting("TRIG:SOUR", "IMM"),
            Setting("TRIG:COUN", 1.0),
            Setting("TRIG:DEL", 0.0),
            Setting("SAMP:COUN", 1.0),
        ]
        apply(self.session, once)
        apply(self.session, self._held)
        self.rezero()

    def rezero(self) -> None:
        """Measure the zero anew; between trains, while no current flows."""
        message = f":SYST:AZER 1;:READ?;:SYST:AZER 0;:SYST:AZER?;*ESR?;{ERRORS}"
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
