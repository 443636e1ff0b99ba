"""Keithley 6221, the pulse source.

A pulse is one period of a two-point arbitrary wave, ``1,0`` or ``-1,0``: the sign lies in the data, the amplitude is
never negative, and the idle level is zero in every state.  What may flow is bounded by an :class:`Envelope`; whatever
is beyond it is refused before anything is sent, never clipped.

Ranges, resolution and the least pulse width: Keithley 6221 data sheet (User's Manual, rev. B, p. 148).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from spinsweep.bench.capabilities import SOURCE, Envelope, Pulse, PulseSource, Surroundings
from spinsweep.bench.errors import InstrumentFault, InterlockOpen, LimitError
from spinsweep.bench.parts import Timing
from spinsweep.bench.relay import Relay
from spinsweep.bench.section import SourceSection, Wired
from spinsweep.bench.settings import (
    ERRORS,
    Setting,
    apply,
    commands,
    compare,
    number,
    queries,
    refuse_errors,
    refuse_events,
)

if TYPE_CHECKING:  # who reads a bench file loads no VISA
    from spinsweep.bench.visa import Session

RANGES = (2e-9, 2e-8, 2e-7, 2e-6, 2e-5, 2e-4, 2e-3, 2e-2, 0.1)  # A
OVERRANGE = 1.05
"""A range delivers so much more than its name (data sheet: 5 % over-range)."""
RESOLUTION = dict(zip(RANGES, (1e-13, 1e-12, 1e-11, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5), strict=True))
"""Range (A): programming resolution on it (A)."""
LEAST_AMPLITUDE = 2e-12  # A
LEAST_WIDTH = 5e-6  # s
COMPLIANCE = (0.1, 105.0)  # V
COMPLIANCE_STEP = 0.01  # V
FREQUENCY_ERROR = 1e-4
"""How far the frequency may read back off, relative: a pulse width within 0.01 %."""
RESET_TIME_S = 10.0
"""Laboratories wait 1.5 to 4 s after ``*RST``."""
ARM_TIME_S = 10.0
"""Arming took more than 1 s, for delta up to 3 s."""
POLL_S = 1e-3
"""Real time between looks at a wave that should have ended."""

_SAFE = ":SOUR:WAVE:ABOR;:SOUR:CLE"
_CHANGED = "another program has changed it; give the instrument to one program alone"
_TWO_POINTS = Setting("SOUR:WAVE:ARB:POIN", 2.0)
_HIT_COMPLIANCE = 8  # STAT:MEAS
_WAVE_STARTED = 16  # STAT:OPER
_WAVE_STOPPED = 128  # STAT:OPER
_PROGRESS = f":STAT:OPER:EVEN?;:OUTP?;:STAT:MEAS:EVEN?;:STAT:MEAS:COND?;{ERRORS}"


class Keithley6221Section(SourceSection):
    """``[source]`` with ``driver = "keithley-6221"``."""

    model: ClassVar[str] = "6221"
    reading_keys: ClassVar[tuple[str, ...]] = ("range", "compliance")  # as before there were other drivers

    range: Annotated[float, Field(ge=RANGES[0], le=RANGES[-1])]
    compliance: Annotated[float, Field(ge=COMPLIANCE[0], le=COMPLIANCE[1])]
    arm_settle: Annotated[float, Field(ge=0, le=10)] = 0.1
    """Wait between the settings of a pulse and arming it, s."""
    arm_wait: Annotated[float, Field(ge=0, le=10)] = 0.0
    """Wait between arming a pulse and starting it, s; some laboratories wait 2 s.  Without a wait nothing can come
    between the last check and the start; with one a change is found and stops the pulse, unless it comes in the very
    last moment, between the question and the start."""

    def problems(self, timing: Timing, wired: Sequence[Wired]) -> Iterator[str]:
        """Ranges that it does not have, and limits that are beyond what it can do."""
        for device, range, limits in wired:
            if range not in RANGES:
                yield f"device {device.name}: range {range:g} A; it is one of {', '.join(map(str, RANGES))}"
            if limits.max_pulse > OVERRANGE * range:
                yield (
                    f"device {device.name}: max_pulse {limits.max_pulse:g} A is beyond the source's range {range:g} A"
                )
            if limits.max_compliance > COMPLIANCE[1]:
                yield (
                    f"device {device.name}: max_compliance {limits.max_compliance:g} V is beyond the source's "
                    f"{COMPLIANCE[1]:g} V"
                )


class Keithley6221(PulseSource):
    """The source at the other end of ``session``.

    Until :meth:`limit` has been called, no current at all is allowed.  All methods raise ``ConnectionLost`` when the
    link is not to be trusted any more, and ``InstrumentFault`` when the source reports an error, reads back something
    else than was sent, or lost its power.
    """

    Section = Keithley6221Section
    roles = (SOURCE,)
    relay = Relay(':SYST:COMM:SER:SEND "{}"', ":SYST:COMM:SER:ENT?", ERRORS)
    least_current = LEAST_AMPLITUDE

    def __init__(self, session: Session, section: Keithley6221Section, surroundings: Surroundings) -> None:
        self.session = session
        self.clock = surroundings.clock
        self.arm_settle = section.arm_settle
        self.arm_wait = section.arm_wait
        self.on_fire: Callable[[], None] | None = None
        self._envelope: Envelope | None = None
        self._compliance = math.nan
        self._range = math.nan
        self._held: list[Setting] = []
        """Settings that stay as they are while a device is connected; read back before every current."""
        self._held_text = ("", "")
        """What sets them, and what reads them back."""
        self._sent: dict[str, Setting] = {}
        """Settings of the last pulse."""

    def safe(self) -> None:
        """No wave, 0 A, output off, in whatever state the source is; first of all on every connection."""
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
        InstrumentFault
            Also when the interlock is open.
        """
        _refuse_beyond("a compliance of", compliance, "V", *COMPLIANCE)
        self._envelope = None
        self._sent.clear()
        self.safe()
        self.session.ask("*RST;*CLS;:SOUR:WAVE:ARB:DATA 1,0;*OPC?", 1, RESET_TIME_S)
        self._compliance = float(compliance)
        self._range = math.nan
        apply(self.session, [*self._steady(), Setting("ARM:SOUR", "IMM"), Setting("TRIG:SOUR", "IMM")])
        self._refuse_open_interlock(self.session.ask(":OUTP:INT:TRIP?", 1)[0])

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
            raise LimitError(f"6221: no range of {range} A; it has {have}")
        if not all(math.isfinite(value) and value > 0 for value in envelope):
            raise LimitError(f"6221: {envelope} is not an envelope; all values must be finite and above 0")
        _refuse_beyond("a compliance of", self._compliance, "V", COMPLIANCE[0], envelope.max_compliance)
        self._range = float(range)
        fixed = Setting("SOUR:CURR:RANG", self._range, (OVERRANGE - 1) * self._range)
        apply(self.session, [Setting("SOUR:CURR:RANG:AUTO", 0.0), fixed])
        self._held = [*self._steady(), fixed]
        self._held_text = (commands(self._held), queries(self._held))
        self._envelope = envelope

    def pulse(self, current: float, width: float) -> Pulse:
        """Fire one rectangular pulse of ``current`` A and ``width`` s, and wait for its end.

        Raises
        ------
        LimitError
            Beyond the envelope, or no pulse at all; nothing was sent.
        InstrumentFault
            The message says so if no pulse was fired.  After a fault of the firing itself the source was made safe.
        """
        current, width = float(current), float(width)
        self._refuse_pulse(current, width)
        wave = [
            Setting("SOUR:WAVE:AMPL", abs(current), RESOLUTION[self._range]),
            Setting("SOUR:WAVE:FREQ", 1 / (2 * width), FREQUENCY_ERROR / (2 * width)),
        ]
        sign = 1 if current > 0 else -1
        self._prepare(f":SOUR:WAVE:ARB:DATA {sign},0", wave)
        self.clock.sleep(self.arm_settle)
        try:
            if self.arm_wait:
                self._arm(sign, wave)
                self.clock.sleep(self.arm_wait)
            if self.on_fire is not None:
                self.on_fire()
            return self._fire(width, sign, wave)
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
        self._refuse_read(current)
        level = Setting("SOUR:CURR", current, RESOLUTION[self._range])
        settings = [level, *self._held]
        message = f":SOUR:WAVE:ABOR;{level.command};{level.query};{self._held_text[1]};*ESR?;:OUTP?;{ERRORS}"
        *read_back, events, output, error = self.session.ask(message, len(settings) + 3)
        refuse_events(self.session, events)
        refuse_errors(self.session, error, "a read current was set")
        compare(self.session, settings, read_back)
        self._refuse_output(output, 0)
        try:
            # The event of the current's first rise is read away: compliance that lasts stays in the condition.
            switch_on = f":OUTP 1;:OUTP:INT:TRIP?;:OUTP?;:STAT:MEAS:EVEN?;{ERRORS}"
            interlock, output, _, error = self.session.ask(switch_on, 4)
            self._refuse_open_interlock(interlock)
            refuse_errors(self.session, error, "the output was switched on")
            self._refuse_output(output, 1)
        except InstrumentFault:
            self.safe()
            raise

    def read_off(self) -> bool:
        """Switch the direct current off; whether the voltage limit was hit while it flowed."""
        message = f":STAT:MEAS:COND?;:STAT:MEAS:EVEN?;{_SAFE};:OUTP?;*ESR?;{ERRORS}"
        condition, event, output, events, error = self.session.ask(message, 5)
        refuse_events(self.session, events)
        refuse_errors(self.session, error, "the output was switched off")
        self._refuse_output(output, 0)
        return self._compliant(condition, event)

    def _steady(self) -> list[Setting]:
        """Settings that hold for the whole life of a connection."""
        return [
            Setting("OUTP:RESP", "FAST"),
            Setting("SOUR:CURR:FILT", 0.0),
            Setting("SOUR:CURR:COMP", self._compliance, COMPLIANCE_STEP / 2),
            Setting("SOUR:WAVE:FUNC", "ARB0"),
            Setting("SOUR:WAVE:RANG", "FIX"),
            Setting("SOUR:WAVE:OFFS", 0.0),
            Setting("SOUR:WAVE:DUR:CYCL", 1.0),
            Setting("SOUR:WAVE:EXTR", 0.0),
            Setting("SOUR:WAVE:EXTR:IVAL", 0.0),
        ]

    def _prepare(self, data: str, wave: list[Setting]) -> None:
        """Send of a pulse's settings what is new, and read all of them back."""
        new = [s.command for s in wave if self._sent.get(s.header) != s]
        settings = [*wave, *self._held, _TWO_POINTS]
        queried = f"{queries(wave)};{self._held_text[1]};{_TWO_POINTS.query};:OUTP:INT:TRIP?;:OUTP?;*ESR?"
        # Reading the events of earlier waves clears them.
        message = [":SOUR:WAVE:ABOR", data, *new, queried, ":STAT:OPER:EVEN?", ":STAT:MEAS:EVEN?", ERRORS]
        replies = self.session.ask(";".join(message), len(settings) + 6)
        *read_back, interlock, output, events, _, _, error = replies
        refuse_events(self.session, events)
        refuse_errors(self.session, error, "a pulse was prepared; no pulse was fired")
        compare(self.session, settings, read_back)
        self._refuse_open_interlock(interlock)
        self._refuse_output(output, 0)
        self._sent = {s.header: s for s in wave}

    def _arm(self, sign: int, wave: list[Setting]) -> None:
        """Set the pulse again, read it back, and arm it; a difference is found before it is started."""
        settings, set_again, queried = self._bounds(wave)
        message = f"{set_again};:SOUR:WAVE:ARM;*OPC?;{queried};{ERRORS}"
        _, *read_back, error = self.session.ask(message, len(settings) + 3, ARM_TIME_S)
        refuse_errors(self.session, error, "a wave was armed; no pulse was fired")
        self._refuse_changed(settings, read_back, sign, "no pulse was fired")

    def _bounds(self, wave: list[Setting]) -> tuple[list[Setting], str, str]:
        """All that bounds a pulse, what sets it, and what asks for it; the points of the wave come last."""
        set_held, ask_held = self._held_text
        queried = f"{queries(wave)};{ask_held};:SOUR:WAVE:ARB:DATA?"
        return [*wave, *self._held], f"{commands(wave)};{set_held}", queried

    def _fire(self, width: float, sign: int, wave: list[Setting]) -> Pulse:
        """Set the pulse again and fire it in one message: nobody can write between the last check and its use.

        The points of the wave alone are not sent again: a source that has lost its power has none, and arms nothing.
        What is read back before arming and after the start is looked at when the pulse has left: a difference says
        that the pulse was another one.  One that is armed already takes no settings any more: it is only started.
        """
        settings, set_again, queried = self._bounds(wave)
        if self.arm_wait:
            message = f"{queried};:SOUR:WAVE:INIT"
        else:
            message = f"{set_again};{queried};:SOUR:WAVE:ARM;:SOUR:WAVE:INIT"
        count = len(settings) + 1
        replies = self.session.ask(f"{message};*OPC?;{queried};{_PROGRESS}", 2 * count + 6, ARM_TIME_S)
        before, after, progress = replies[:count], replies[count + 1 : 2 * count + 1], replies[2 * count + 1 :]
        began = time.monotonic()
        wait = partial(self.clock.sleep, 2 * width)
        seen = 0
        compliance = False
        while True:
            operation, output, event, condition, error = progress
            seen |= int(number(self.session, operation))
            unseen = "" if seen & (_WAVE_STARTED | _WAVE_STOPPED) else "; no pulse was fired"
            refuse_errors(self.session, error, f"a wave was armed{unseen}")
            compliance |= self._compliant(condition, event)
            if seen & _WAVE_STOPPED and number(self.session, output) == 0:
                for read_back in (before, after):
                    self._refuse_changed(settings, read_back, sign, "a pulse was fired with it")
                return Pulse(compliance)
            if time.monotonic() - began > width + self.session.instrument.timeout:
                what = f"its wave was not seen{unseen}" if unseen else f"its wave of {width:g} s does not end"
                raise InstrumentFault(f"{self.session.name}: {what}")
            wait()
            wait = partial(time.sleep, POLL_S)
            progress = self.session.ask(_PROGRESS, 5)

    def _refuse_changed(self, settings: list[Setting], read_back: list[str], sign: int, fired: str) -> None:
        *values, points = read_back
        compare(self.session, settings, values, f"{fired}: {_CHANGED}")
        if [number(self.session, point) for point in points.split(",")] != [float(sign), 0.0]:
            raise InstrumentFault(
                f"{self.session.name}: SOUR:WAVE:ARB:DATA reads {points} where {sign},0 was sent; {fired}: {_CHANGED}"
            )

    def _compliant(self, *registers: str) -> bool:
        return any(int(number(self.session, r)) & _HIT_COMPLIANCE for r in registers)

    def _refuse_pulse(self, current: float, width: float) -> None:
        envelope = self._allowed()
        most = min(envelope.max_pulse, OVERRANGE * self._range)
        _refuse_beyond("a pulse of either sign of", abs(current), "A", LEAST_AMPLITUDE, most)
        _refuse_beyond("a pulse of", width, "s", max(envelope.min_width, LEAST_WIDTH), envelope.max_width)

    def _refuse_read(self, current: float) -> None:
        most = min(self._allowed().max_read, OVERRANGE * self._range)
        _refuse_beyond("a read current of either sign of", abs(current), "A", 0.0, most)

    def _allowed(self) -> Envelope:
        if self._envelope is None:
            raise LimitError(
                "6221: no current is allowed before the limits of a device have been set; nothing was sent"
            )
        return self._envelope

    def _refuse_open_interlock(self, closed: str) -> None:
        if number(self.session, closed) != 1:
            raise InterlockOpen(f"{self.session.name}: the interlock is open; close it by hand")

    def _refuse_output(self, output: str, expected: int) -> None:
        if number(self.session, output) != expected:
            raise InstrumentFault(f"{self.session.name}: its output reads {output} instead of {expected}")


def _refuse_beyond(what: str, value: float, unit: str, least: float, most: float) -> None:
    """``LimitError`` unless ``least <= value <= most``; a NaN is within nothing."""
    if not least <= value <= most:
        allowed = f"{least:g} to {most:g} {unit} are allowed"
        raise LimitError(f"6221: {what} {value!r} {unit} is refused, {allowed}; nothing was sent")
