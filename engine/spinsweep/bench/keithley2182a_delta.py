"""Keithley 2182A at the serial port of a 6221, read in the delta mode of the two.

Here a read current alternates in sign, and three voltages in a row make one reading, in which thermal voltages and
their drift cancel (6220/6221 reference manual, section 5).  The 6221 has the readings (p. 5-15); the 2182A is set up
through its serial port before.  Both have to be joined by the trigger link as well.  Arming takes some 3 s (seen in
public scripts), in every read.

The limits hold for both signs: a current of either is within ``max_read``.  A reading is that of the current that was
asked for, also a negative one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from spinsweep.bench.capabilities import METER, Envelope, Pulse, PulseSource, Reading, Surroundings, VoltageReader
from spinsweep.bench.errors import InstrumentFault, LimitError
from spinsweep.bench.keithley2182a import MOST_CYCLES, OVERFLOW, OVERRANGE, RANGES, RESET_TIME_S, Keithley2182ASection
from spinsweep.bench.parts import Timing
from spinsweep.bench.section import Wired
from spinsweep.bench.settings import ERRORS, Setting, apply, compare, number, refuse_errors, refuse_events

if TYPE_CHECKING:  # who reads a bench file loads no VISA
    from spinsweep.bench.visa import Session

VOLTAGES = 3
"""That a reading is made of."""
ARM_TIME_S = 15.0
SOURCE_OVERRANGE = 1.05
NO_READING = ("-230", "-221")
"""Errors of a question for a reading that is not there yet (p. 5-15), or never will be: no mode runs."""
_HIT_COMPLIANCE = 8  # STAT:MEAS
_CHANGED = "another program, or somebody at its keys, has changed it"


class Keithley2182ADeltaSection(Keithley2182ASection):
    """``[meter]`` with ``driver = "keithley-2182a-delta"`` and ``behind = "source"``."""

    reading_keys: ClassVar[tuple[str, ...]] = ("driver", "range", "nplc", "delay")

    delay: Annotated[float, Field(ge=1e-3, le=10)] = 2e-3
    """Wait after each change of the current's sign, s."""

    def problems(self, timing: Timing, wired: Sequence[Wired]) -> Iterator[str]:
        """A range that it does not have, readings that take too long, and a meter that is behind nothing."""
        if not self.behind:
            yield 'meter: in delta mode the 2182A hangs at the serial port of the 6221; write behind = "source"'
        if self.range not in RANGES:
            yield f"meter.range: {self.range:g} V; it is one of {', '.join(map(str, RANGES))}"
        if self.nplc > MOST_CYCLES[timing.mains]:
            yield f"meter.nplc: {self.nplc:g}; at {timing.mains} Hz it is {MOST_CYCLES[timing.mains]:g} at most"
        time = reading_time(self, timing.mains)
        if time > timing.read_time:
            yield f"meter.nplc: a reading takes {time:g} s, longer than timing.read_time {timing.read_time:g} s"


def reading_time(section: Keithley2182ADeltaSection, mains: float) -> float:
    """How long the voltages of one reading take, s."""
    return VOLTAGES * (section.delay + section.nplc / mains)


class Keithley2182ADelta(VoltageReader):
    """The nanovoltmeter behind ``session``'s carrier, which has its readings.

    All methods raise ``ConnectionLost`` when a link is not to be trusted any more, and ``InstrumentFault`` when an
    instrument reports an error, reads back something else than was sent, or lost its power.
    """

    Section = Keithley2182ADeltaSection
    roles = (METER,)

    def __init__(self, session: Session, section: Keithley2182ADeltaSection, surroundings: Surroundings) -> None:
        self.session = session
        self.section = section
        self.clock = surroundings.clock
        self.reading_time = reading_time(section, surroundings.mains)
        self.sign = 1.0
        """Of the current that was asked for."""
        self.hit_compliance = False
        """A reading said so since the current was switched on."""
        self._held = [
            Setting("SENS:VOLT:CHAN1:RANG", float(section.range), 1e-3 * section.range),
            Setting("SENS:VOLT:NPLC", float(section.nplc), 0.01 * section.nplc),
            Setting("SENS:VOLT:CHAN1:LPAS", 0.0),
            Setting("SENS:VOLT:CHAN1:DFIL", 0.0),
        ]
        """Settings that a reading rests on, of those that the 6221 leaves alone."""

    @property
    def carrier(self) -> Session:
        """The link to the 6221."""
        if self.session.carrier is None:
            raise InstrumentFault(f"{self.session.name}: it is behind no 6221")
        return self.session.carrier[0]

    def around(self, source: PulseSource) -> DeltaSource:
        """The source whose read current alternates, made of the bench's own."""
        return DeltaSource(source, self)

    def start(self) -> None:
        """Bring the meter from any state to the settings of its section; the source has been started."""
        self.session.ask("*RST;*CLS;*OPC?", 1, RESET_TIME_S)
        apply(self.session, [Setting("INIT:CONT", 0.0), Setting("SENS:FUNC", "'VOLT:DC'"), Setting("SENS:CHAN", 1.0)])
        apply(self.session, [*self._held, Setting("SYST:FAZ", 0.0)])
        (present,) = self.carrier.ask(":SOUR:DELT:NVPR?", 1)
        if number(self.carrier, present) != 1:
            raise InstrumentFault(
                f"{self.carrier.name}: it sees no 2182A at its serial port; check its cable and baud"
            )

    def rezero(self) -> None:
        """Nothing: offsets cancel in every reading."""

    def verify(self) -> None:
        """``InstrumentFault`` unless the meter is set as it was started; while the source's mode is idle."""
        message = ";".join([*(s.query for s in self._held), "*ESR?", ERRORS])
        *settings, events, error = self.session.ask(message, len(self._held) + 2)
        refuse_events(self.session, events)
        refuse_errors(self.session, error, "its settings were looked at")
        compare(self.session, self._held, settings, _CHANGED)

    def read(self) -> Reading:
        """The next reading of the mode.

        Raises
        ------
        InstrumentFault
            None comes, or the source reports an error.
        """
        message = f":SENS:DATA:FRES?;:SOUR:DELT:ARM?;*ESR?;{ERRORS}"
        until = self.clock.now() + 10 * self.reading_time + self.carrier.instrument.timeout
        while True:
            replies = self.carrier.ask(message, 4, 4 * self.reading_time, lacking=1)
            *text, armed, events, error = replies
            refuse_events(self.carrier, events)
            if text:
                refuse_errors(self.carrier, error, "it was read")
                return self._reading(text[0])
            if error.partition(",")[0] not in NO_READING:
                refuse_errors(self.carrier, error, "it was read")
            if number(self.carrier, armed) == 0:
                self.hit_compliance = True
                return Reading(math.nan, False, "the source ended the delta mode at its voltage limit")
            if self.clock.now() > until:
                raise InstrumentFault(
                    f"{self.carrier.name}: no reading of its delta mode comes; check the trigger link"
                )
            self.clock.sleep(self.reading_time / VOLTAGES)

    def _reading(self, text: str) -> Reading:
        volts_text, _, compliance = text.partition(",")
        volts = number(self.carrier, volts_text)
        if compliance.strip() not in ("T", "F"):
            raise self.carrier.distrust(f"{text!r} came instead of a voltage and its compliance")
        if compliance.strip() == "T":
            self.hit_compliance = True
            return Reading(math.nan, False, "the source was at its voltage limit")
        if math.isfinite(volts) and abs(volts) <= OVERRANGE * self.section.range:
            return Reading(self.sign * volts, True, "")
        reason = (
            "overflow" if abs(volts) >= OVERFLOW else f"{text} is not within the range of {self.section.range:g} V"
        )
        return Reading(math.nan, False, reason)


class DeltaSource(PulseSource):
    """A 6221 whose read current alternates between both signs; its pulses are ``source``'s own."""

    def __init__(self, source: PulseSource, meter: Keithley2182ADelta) -> None:
        self.source = source
        self.meter = meter
        self.least_current = source.least_current
        self._compliance = self._range = math.nan
        self._envelope: Envelope | None = None

    @property
    def on_fire(self) -> Callable[[], None] | None:
        """The source's."""
        return self.source.on_fire

    @on_fire.setter
    def on_fire(self, call: Callable[[], None] | None) -> None:
        self.source.on_fire = call

    def safe(self) -> None:
        """No delta mode, 0 A, output off, in whatever state the source is."""
        self.meter.carrier.ask(":SOUR:SWE:ABOR;*OPC?", 1)
        self.source.safe()

    def start(self, compliance: float) -> None:
        """As the source's."""
        self._envelope = None
        self.safe()
        self.source.start(compliance)
        self._compliance = float(compliance)

    def limit(self, envelope: Envelope, range: float) -> None:
        """As the source's."""
        self._envelope = None
        self.source.limit(envelope, range)
        self._envelope, self._range = envelope, float(range)

    def pulse(self, current: float, width: float) -> Pulse:
        """As the source's."""
        return self.source.pulse(current, width)

    def read_on(self, current: float) -> None:
        """Let a current of either sign of ``current`` A flow in turn until :meth:`read_off`.

        Raises
        ------
        LimitError
            Beyond the envelope; nothing was sent.
        """
        current = float(current)
        if self._envelope is None:
            raise LimitError(
                "6221: no current is allowed before the limits of a device have been set; nothing was sent"
            )
        most = min(self._envelope.max_read, SOURCE_OVERRANGE * self._range)
        if not 0 < abs(current) <= most:
            raise LimitError(
                f"6221: a read current of either sign of {current!r} A is refused, up to {most:g} A are allowed; "
                "nothing was sent"
            )
        self.meter.sign, self.meter.hit_compliance = math.copysign(1.0, current), False
        self.meter.verify()
        settings = self._settings(abs(current))
        message = [":SOUR:WAVE:ABOR;:SOUR:SWE:ABOR", *(s.command for s in settings), *(s.query for s in settings)]
        replies = self._ask(";".join([*message, "*ESR?", ":OUTP?", ERRORS]), len(settings) + 3)
        *read_back, events, output, error = replies
        refuse_events(self.meter.carrier, events)
        refuse_errors(self.meter.carrier, error, "the delta mode was set")
        compare(self.meter.carrier, settings, read_back)
        if number(self.meter.carrier, output) != 0:
            raise InstrumentFault(f"{self.meter.carrier.name}: its output is on before the delta mode was armed")
        try:
            self._arm(settings)
        except InstrumentFault:
            self.safe()
            raise

    def read_off(self) -> bool:
        """End the mode; whether the voltage limit was hit while the current flowed."""
        message = f":STAT:MEAS:EVEN?;:SOUR:SWE:ABOR;:SOUR:CLE;:OUTP?;*ESR?;{ERRORS}"
        event, output, events, error = self._ask(message, 4)
        carrier = self.meter.carrier
        refuse_events(carrier, events)
        refuse_errors(carrier, error, "the delta mode was ended")
        if number(carrier, output) != 0:
            raise InstrumentFault(f"{carrier.name}: its output reads {output} after the delta mode was ended")
        self.meter.verify()
        return self.meter.hit_compliance or bool(int(number(carrier, event)) & _HIT_COMPLIANCE)

    def _settings(self, current: float) -> list[Setting]:
        return [
            Setting("FORM:ELEM", "READ,COMP"),
            Setting("SOUR:CURR:COMP", self._compliance, 5e-3),
            Setting("SOUR:CURR:RANG", self._range, (SOURCE_OVERRANGE - 1) * self._range),
            Setting("SOUR:DELT:HIGH", current, 1e-4 * current),
            Setting("SOUR:DELT:LOW", -current, 1e-4 * current),
            Setting("SOUR:DELT:DEL", float(self.meter.section.delay), 1e-4),
            Setting("SOUR:DELT:CAB", 1.0),
        ]

    def _arm(self, settings: Sequence[Setting]) -> None:
        """Set the mode again, arm it and let it begin in one message: nobody can write between check and use."""
        message = [*(s.command for s in settings), *(s.query for s in settings)]
        begin = [":SOUR:DELT:ARM", ":SOUR:DELT:ARM?", ":INIT", ":STAT:MEAS:EVEN?", ERRORS]
        *read_back, armed, _, error = self._ask(";".join([*message, *begin]), len(settings) + 3, ARM_TIME_S)
        refuse_errors(self.meter.carrier, error, "the delta mode was armed")
        compare(self.meter.carrier, settings, read_back, _CHANGED)
        if number(self.meter.carrier, armed) != 1:
            raise InstrumentFault(f"{self.meter.carrier.name}: its delta mode is not armed; check cables and baud")

    def _ask(self, message: str, answers: int, wait: float = 0.0) -> list[str]:
        return self.meter.carrier.ask(message, answers, wait)
