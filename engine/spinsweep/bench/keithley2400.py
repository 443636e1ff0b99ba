"""Keithley 2400 SourceMeter: a pulse source, and the voltmeter of what it drives, in one instrument.

In the bench file ``[source]`` has the address and ``[meter]`` says ``shares = "source"``: two roles, one link.

A pulse is one *source-delay-measure cycle* with auto output-off (``SOUR:CLE:AUTO 1``, p. 18-72): the output is on
from the beginning of the cycle to the end of its measurement, and the instrument itself switches it off, whatever
becomes of the link.  It is on for the source's configuration, the delay ``SOUR:DEL``, one conversion and the
firmware's overhead (2400 Series user's manual, 2400S-900-01 rev. K, p. A-3 to A-6, case III: autozero off, one
function): with the shortest conversion and no delay some 1.1 ms.  A shorter pulse is refused, never stretched.  The
delay has steps of 0.1 ms, and the manual gives the other times as typical or largest ones: a width is right within
some 0.1 ms.

Ranges: table 3-1; programming resolution: data sheet SPEC-2400 rev. H, p. 1; commands: section 18; status: p. 15-14
and 18-50; error 802: p. B-6.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from spinsweep.bench.capabilities import (
    METER,
    SOURCE,
    Envelope,
    Pulse,
    PulseSource,
    Reading,
    Surroundings,
    VoltageReader,
)
from spinsweep.bench.errors import InstrumentFault, InterlockOpen, LimitError
from spinsweep.bench.parts import Timing
from spinsweep.bench.section import InstrumentSection, SourceSection, Wired
from spinsweep.bench.settings import ERRORS, Setting, apply, compare, number, refuse_errors, refuse_events

if TYPE_CHECKING:  # who reads a bench file loads no VISA
    from spinsweep.bench.visa import Session

RANGES = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0)  # A
RESOLUTION = dict(zip(RANGES, (5e-11, 5e-10, 5e-9, 5e-8, 5e-7, 5e-6, 5e-5), strict=True))
"""Range (A): programming resolution on it (A)."""
VOLTAGE_RANGES = (0.2, 2.0, 20.0, 200.0)  # V
OVERRANGE = 1.05
MEASURED_OVERRANGE = 1.055
"""Ranges source and measure so much more than their names."""
COMPLIANCE = (0.01, 210.0)  # V
HIGH_CURRENT_RANGE, HIGH_CURRENT_COMPLIANCE = 1.0, 21.0
"""On that range (A) the voltage limit is that (V) at most: 22 W."""
LEAST_NPLC = 0.01
CONFIGURATION_S, CONVERSION_S, OVERHEAD_S = 50e-6, 185e-6, 640e-6
DELAY_STEP_S = 1e-4
RESET_TIME_S = 10.0
OVERFLOW = 9e37
"""V; an overflow is reported as 9.9E37, no measurement as 9.91E37."""

_SAFE = ":ABOR;:OUTP 0;:SOUR:CLE:AUTO 0;:SOUR:CURR 0"
_BLOCKED = ("802", "+802")
_IN_COMPLIANCE = 1 << 14  # STAT:MEAS
_WORD_COMPLIANCE = 1 << 3 | 1 << 16  # of a reading's status: real, and of the measuring range
_CHANGED = "another program, or somebody at its keys, has changed it"


def shortest_pulse(mains: float) -> float:
    """Nominal width of a pulse without delay, s, at that frequency of the mains, Hz (p. A-6)."""
    return CONFIGURATION_S + LEAST_NPLC / mains + CONVERSION_S + OVERHEAD_S


class Keithley2400Section(SourceSection):
    """``[source]`` with ``driver = "keithley-2400"``."""

    model: ClassVar[str] = "2400"
    reading_keys: ClassVar[tuple[str, ...]] = ("driver", "range", "compliance", "four_wire")

    range: Annotated[float, Field(ge=RANGES[0], le=RANGES[-1])]
    compliance: Annotated[float, Field(ge=COMPLIANCE[0], le=COMPLIANCE[1])]
    four_wire: bool = True
    """Measure at the sense terminals, which are wired to the device's voltage contacts; else at the output."""

    def problems(self, timing: Timing, wired: Sequence[Wired]) -> Iterator[str]:
        """Ranges and pulse widths that it does not have, and limits that are beyond what it can do."""
        if self.shares:
            yield 'source.shares: the source has the address; write shares = "source" into [meter]'
        least = shortest_pulse(timing.mains)
        if timing.pulse_width < least:
            yield (
                f"timing.pulse_width {timing.pulse_width:g} s: a {self.model} makes no pulse below {least:.3g} s at "
                f"{timing.mains} Hz; take a longer one, or another source"
            )
        for device, range, limits in wired:
            if range not in RANGES:
                yield f"device {device.name}: range {range:g} A; it is one of {', '.join(f'{r:g}' for r in RANGES)}"
            if limits.max_pulse > OVERRANGE * range:
                yield (
                    f"device {device.name}: max_pulse {limits.max_pulse:g} A is beyond the source's range {range:g} A"
                )
            most = HIGH_CURRENT_COMPLIANCE if range == HIGH_CURRENT_RANGE else COMPLIANCE[1]
            if self.compliance > most:
                yield f"device {device.name}: source.compliance {self.compliance:g} V; {most:g} V at most there"


class Keithley2400MeterSection(InstrumentSection):
    """``[meter]`` with ``driver = "keithley-2400"`` and ``shares = "source"``."""

    model: ClassVar[str] = "2400"
    reading_keys: ClassVar[tuple[str, ...]] = ("driver", "range", "nplc")

    range: Annotated[float, Field(ge=VOLTAGE_RANGES[0], le=VOLTAGE_RANGES[-1])] = 0.2
    """Fixed range, V: 0.2, 2, 20 or 200; not above that of the source's compliance."""
    nplc: Annotated[float, Field(ge=LEAST_NPLC, le=10)] = 1.0
    """Integration time in cycles of the mains."""

    def problems(self, timing: Timing, wired: Sequence[Wired]) -> Iterator[str]:
        """A range that it does not have, readings that take too long, and a meter without its source."""
        if not self.shares:
            yield f'meter: a {self.model} measures what it drives itself; write shares = "source"'
        if self.range not in VOLTAGE_RANGES:
            yield f"meter.range: {self.range:g} V; it is one of {', '.join(map(str, VOLTAGE_RANGES))}"
        if self.nplc / timing.mains > timing.read_time:
            yield (
                f"meter.nplc: {self.nplc:g} takes {self.nplc / timing.mains:g} s, "
                f"longer than timing.read_time {timing.read_time:g} s"
            )


class Keithley2400(PulseSource):
    """The source at the other end of ``session``.

    Until :meth:`limit` has been called, no current at all is allowed.  All methods raise ``ConnectionLost`` when the
    link is not to be trusted any more, and ``InstrumentFault`` when the instrument reports an error, reads back
    something else than was sent, or lost its power.
    """

    Section: ClassVar[type[InstrumentSection]] = Keithley2400Section
    sections: ClassVar[Mapping[str, type[InstrumentSection]]] = {
        SOURCE: Keithley2400Section,
        METER: Keithley2400MeterSection,
    }
    roles = (SOURCE, METER)
    least_current = RESOLUTION[RANGES[0]]

    def __init__(self, session: Session, section: Keithley2400Section, surroundings: Surroundings) -> None:
        self.session = session
        self.mains = surroundings.mains
        self.four_wire = section.four_wire
        self.on_fire: Callable[[], None] | None = None
        self.reading_settings: list[Setting] = []
        """What a meter that shares the instrument reads with."""
        self._envelope: Envelope | None = None
        self._compliance = math.nan
        self._range = math.nan
        self._held: list[Setting] = []
        """Settings that stay as they are while a device is connected; read back with every current."""

    def sharing(self, role: str, section: Keithley2400MeterSection, surroundings: Surroundings) -> Keithley2400Meter:
        """The meter of what this source drives."""
        return Keithley2400Meter(self, section, surroundings)

    def safe(self) -> None:
        """0 A, output off, in whatever state the source is; first of all on every connection."""
        output = self.session.ask(f"{_SAFE};:OUTP?", 1)[0]
        if number(self.session, output) != 0:
            raise InstrumentFault(
                f"{self.session.name}: its output is still on ({output}); switch the source off by hand"
            )

    def start(self, compliance: float) -> None:
        """Bring the source from any state to a known one, output off, with a voltage limit of ``compliance`` V.

        Raises
        ------
        LimitError
            The instrument has no such voltage limit; nothing was sent.
        """
        self._refuse_beyond("a compliance of", compliance, "V", *COMPLIANCE)
        self._envelope = None
        self.safe()
        self.session.ask("*RST;*CLS;*OPC?", 1, RESET_TIME_S)
        self._compliance = float(compliance)
        self._range = math.nan
        apply(self.session, self._steady())

    def limit(self, envelope: Envelope, range: float) -> None:
        """Say what may flow from now on, and fix the range, A.

        Raises
        ------
        LimitError
            The source has no such range, or its voltage limit is above the envelope's; nothing was sent, and
            nothing may flow.
        """
        self._envelope = None
        if range not in RESOLUTION:
            have = ", ".join(f"{r:g}" for r in RESOLUTION)
            raise LimitError(f"2400: no range of {range} A; it has {have}")
        if not all(math.isfinite(value) and value > 0 for value in envelope):
            raise LimitError(f"2400: {envelope} is not an envelope; all values must be finite and above 0")
        most = HIGH_CURRENT_COMPLIANCE if range == HIGH_CURRENT_RANGE else COMPLIANCE[1]
        most = min(envelope.max_compliance, most)
        self._refuse_beyond("a compliance of", self._compliance, "V", COMPLIANCE[0], most)
        self._range = float(range)
        fixed = Setting("SOUR:CURR:RANG", self._range, (OVERRANGE - 1) * self._range)
        apply(self.session, [Setting("SOUR:CURR", 0.0), Setting("SOUR:CURR:RANG:AUTO", 0.0), fixed])
        self._held = [*self._steady(), fixed]
        self._envelope = envelope

    def pulse(self, current: float, width: float) -> Pulse:
        """Fire one rectangular pulse of ``current`` A and ``width`` s, and wait for its end.

        Raises
        ------
        LimitError
            Beyond the envelope, or no pulse that the instrument can make; nothing was sent.
        InstrumentFault
            The message says so if no pulse was fired.  After a fault of the firing itself the source was made safe.
        """
        current, width = float(current), float(width)
        delay = self._delay(current, width)
        settings = [
            *self._held,
            Setting("SENS:VOLT:RANG", _covering(self._compliance), 0.06 * self._compliance),
            Setting("SENS:VOLT:NPLC", LEAST_NPLC, LEAST_NPLC / 10),
            Setting("SOUR:DEL", delay, DELAY_STEP_S / 10),
            Setting("SOUR:CURR", current, RESOLUTION[self._range]),
            Setting("SOUR:CLE:AUTO", 1.0),
        ]
        self._set(":ABOR", settings, "a pulse was prepared; no pulse was fired")
        if self.on_fire is not None:
            self.on_fire()
        try:
            return self._fire(settings, current, width)
        except InstrumentFault:
            self.safe()
            raise

    def read_on(self, current: float) -> None:
        """Let a direct current of ``current`` A flow, either sign, until :meth:`read_off`.

        Raises
        ------
        LimitError
            Beyond the envelope; nothing was sent.
        """
        current = float(current)
        most = min(self._allowed().max_read, OVERRANGE * self._range)
        self._refuse_beyond("a read current of either sign of", abs(current), "A", 0.0, most)
        level = Setting("SOUR:CURR", current, RESOLUTION[self._range])
        self._set(f"{_SAFE}", [*self._held, *self.reading_settings, level], "a read current was set")
        try:
            # The event of the current's first rise is read away: compliance that lasts stays in the condition.
            output, _, error = self.session.ask(f":OUTP 1;:OUTP?;:STAT:MEAS?;{ERRORS}", 3)
            self._refuse_errors(error, "the output was switched on")
            self._refuse_output(output, 1)
        except InstrumentFault:
            self.safe()
            raise

    def read_off(self) -> bool:
        """Switch the direct current off; whether the voltage limit was hit while it flowed."""
        message = f":SENS:VOLT:PROT:TRIP?;:STAT:MEAS?;{_SAFE};:OUTP?;*ESR?;{ERRORS}"
        tripped, event, output, events, error = self.session.ask(message, 5)
        refuse_events(self.session, events)
        self._refuse_errors(error, "the output was switched off")
        self._refuse_output(output, 0)
        return number(self.session, tripped) != 0 or self._has(event, _IN_COMPLIANCE)

    def checked(self, settings: Sequence[Setting], answers: str) -> list[str]:
        """The replies to ``answers``, queries of a reading; every setting that it rests on is looked at.

        Raises
        ------
        InstrumentFault
            A setting is no longer what it was, or the instrument reports an error.
        """
        whole = [*self._held, *settings]
        message = ";".join([answers, *(s.query for s in whole), "*ESR?", ERRORS])
        count = answers.count("?")
        wait = sum(10 * s.value for s in settings if s.header.endswith("NPLC") and isinstance(s.value, float))
        replies = self._asked(message, count + len(whole) + 2, wait / self.mains, "it was read")
        *read_back, events, error = replies[count:]
        refuse_events(self.session, events)
        self._refuse_errors(error, "it was read")
        compare(self.session, whole, read_back, f"{_CHANGED}: the reading is not used")
        return replies[:count]

    def _steady(self) -> list[Setting]:
        """Settings that hold for the whole life of a connection."""
        return [
            Setting("SOUR:FUNC", "CURR"),
            Setting("SOUR:CURR:MODE", "FIX"),
            Setting("SENS:FUNC:CONC", 0.0),
            Setting("SENS:FUNC", "'VOLT:DC'"),
            Setting("SENS:VOLT:PROT", self._compliance, 1e-3 * self._compliance),
            Setting("SENS:AVER", 0.0),
            Setting("SYST:RSEN", float(self.four_wire)),
            Setting("SYST:AZER", 0.0),
            Setting("SOUR:DEL:AUTO", 0.0),
            Setting("TRIG:DEL", 0.0),
            Setting("TRIG:COUN", 1.0),
            Setting("ARM:COUN", 1.0),
            Setting("FORM:ELEM", "VOLT,CURR,STAT"),
        ]

    def _set(self, first: str, settings: Sequence[Setting], when: str) -> None:
        """Set everything with the output off, and read it back."""
        message = [first, *(s.command for s in settings), *(s.query for s in settings), ":STAT:MEAS?", "*ESR?"]
        replies = self.session.ask(";".join([*message, ":OUTP?", ERRORS]), len(settings) + 4)
        *read_back, _, events, output, error = replies
        refuse_events(self.session, events)
        self._refuse_errors(error, when)
        compare(self.session, settings, read_back)
        self._refuse_output(output, 0)

    def _fire(self, settings: Sequence[Setting], current: float, width: float) -> Pulse:
        """Set the pulse again and fire it in one message: nobody can write between the last check and its use.

        What is read back before and after is looked at when the pulse has left: a difference says that the pulse was
        another one.
        """
        queries = [s.query for s in settings]
        message = [*(s.command for s in settings), *queries, ":READ?", *queries, ":STAT:MEAS?", _SAFE]
        count = len(queries)
        whole = ";".join([*message, ":OUTP?", "*ESR?", ERRORS])
        replies = self._asked(whole, 2 * count + 5, width, "a pulse was to be fired; none was")
        before, reading, after = replies[:count], replies[count], replies[count + 1 : 2 * count + 1]
        event, output, events, error = replies[2 * count + 1 :]
        refuse_events(self.session, events)
        self._refuse_errors(error, "a pulse was fired")
        self._refuse_output(output, 0)
        for read_back in (before, after):
            compare(self.session, settings, read_back, f"a pulse was fired with it: {_CHANGED}")
        _, programmed, word = self.elements(reading)
        if abs(programmed - current) > RESOLUTION[self._range]:
            raise InstrumentFault(f"{self.session.name}: {programmed:g} A was fired where {current:g} A was sent")
        return Pulse(bool(int(word) & _WORD_COMPLIANCE) or self._has(event, _IN_COMPLIANCE))

    def _asked(self, message: str, answers: int, wait: float, when: str) -> list[str]:
        """The replies to a message with one reading; where the instrument refused it, why."""
        replies = self.session.ask(message, answers, wait, lacking=1)
        if len(replies) < answers:
            self._refuse_errors(replies[-1], when)
            raise self.session.distrust(f"{len(replies)} replies instead of {answers}, and no error")
        return replies

    def elements(self, reading: str) -> tuple[float, float, float]:
        """Voltage (V), programmed current (A) and status word of a reading."""
        parts = [number(self.session, part) for part in reading.split(",")]
        if len(parts) != 3 or not math.isfinite(parts[2]):
            raise self.session.distrust(f"{reading!r} came instead of a voltage, a current and a status")
        return parts[0], parts[1], parts[2]

    def _has(self, register: str, bits: int) -> bool:
        return bool(int(number(self.session, register)) & bits)

    def _delay(self, current: float, width: float) -> float:
        """The delay that makes a pulse of that width, s; ``LimitError`` if there is none, or it must not flow."""
        envelope = self._allowed()
        most = min(envelope.max_pulse, OVERRANGE * self._range)
        self._refuse_beyond("a pulse of either sign of", abs(current), "A", RESOLUTION[self._range], most)
        least = shortest_pulse(self.mains)
        self._refuse_beyond("a pulse of", width, "s", max(envelope.min_width, least), envelope.max_width)
        delay = round((width - least) / DELAY_STEP_S) * DELAY_STEP_S
        rounded = least + delay
        self._refuse_beyond("in its steps, a pulse of", rounded, "s", envelope.min_width, envelope.max_width)
        return delay

    def _allowed(self) -> Envelope:
        if self._envelope is None:
            raise LimitError(
                "2400: no current is allowed before the limits of a device have been set; nothing was sent"
            )
        return self._envelope

    def _refuse_errors(self, first: str, when: str) -> None:
        if first.partition(",")[0] in _BLOCKED:
            raise InterlockOpen(f"{self.session.name}: its output-enable line is open; close the interlock by hand")
        refuse_errors(self.session, first, when)

    def _refuse_output(self, output: str, expected: int) -> None:
        if number(self.session, output) != expected:
            raise InstrumentFault(f"{self.session.name}: its output reads {output} instead of {expected}")

    @staticmethod
    def _refuse_beyond(what: str, value: float, unit: str, least: float, most: float) -> None:
        """``LimitError`` unless ``least <= value <= most``; a NaN is within nothing."""
        if not least <= value <= most:
            allowed = f"{least:.4g} to {most:.4g} {unit} are allowed"
            raise LimitError(f"2400: {what} {value!r} {unit} is refused, {allowed}; nothing was sent")


class Keithley2400Meter(VoltageReader):
    """The meter of what ``source`` drives, over its session; it reads while the source's read current flows."""

    def __init__(self, source: Keithley2400, section: Keithley2400MeterSection, surroundings: Surroundings) -> None:
        self.source = source
        self.range = section.range
        self.reading_time = section.nplc / surroundings.mains
        self._settings = [
            Setting("SENS:VOLT:RANG", float(section.range), 0.06 * section.range),
            Setting("SENS:VOLT:NPLC", float(section.nplc), 0.005),
            Setting("SOUR:CLE:AUTO", 0.0),
        ]

    def start(self) -> None:
        """Give the source the settings of readings; it has set up the instrument."""
        self.source.reading_settings = self._settings
        apply(self.source.session, self._settings)
        self.rezero()

    def rezero(self) -> None:
        """Measure the zero anew (``SYST:AZER ONCE``); between trains, while no current flows."""
        session = self.source.session
        message = f":SYST:AZER ONCE;:SYST:AZER?;*ESR?;{ERRORS}"
        autozero, events, error = session.ask(message, 3, 4 * self.reading_time)
        refuse_events(session, events)
        refuse_errors(session, error, "its zero was measured")
        if number(session, autozero) != 0:
            raise InstrumentFault(f"{session.name}: autozero is still on ({autozero}); start it again")

    def read(self) -> Reading:
        """Take one new reading, and look at the settings with which it was taken.

        Raises
        ------
        InstrumentFault
            Also if a setting is no longer what it was started with: the reading is not to be used.
        """
        (text,) = self.source.checked(self._settings, ":READ?")
        volts, _, word = self.source.elements(text)
        if int(word) & _WORD_COMPLIANCE:
            return Reading(math.nan, False, "the voltage limit or the end of the measuring range was reached")
        if math.isfinite(volts) and abs(volts) <= MEASURED_OVERRANGE * self.range:
            return Reading(volts, True, "")
        reason = "overflow" if abs(volts) >= OVERFLOW else f"{text} is not within the range of {self.range:g} V"
        return Reading(math.nan, False, reason)


def _covering(voltage: float) -> float:
    """The least measuring range that covers a voltage, V."""
    index = bisect_left(VOLTAGE_RANGES, voltage / OVERRANGE * (1 - 1e-9))
    return VOLTAGE_RANGES[min(index, len(VOLTAGE_RANGES) - 1)]
