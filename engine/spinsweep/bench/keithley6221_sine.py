"""Keithley 6221 that reads with a sine instead of a direct current, for a lock-in amplifier.

Pulses are those of :mod:`~spinsweep.bench.keithley6221`.  A read is an endless sine whose *peak* is the read current,
so that ``max_read`` holds for the peak; the phase marker, a pulse on a line of the trigger link once a period, is the
lock-in's reference.  After each read the source has the settings of a pulse again.

Commands: 6221 reference manual, section 7 (waves; note 12 on p. 7-30: what is wrong is found when the wave is armed)
and public drivers, which agree on ``DUR:TIME INF``, ``PMAR:STAT``, ``PMAR`` (degrees) and ``PMAR:OLIN`` (line 1 to
6).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from spinsweep.bench.capabilities import Surroundings
from spinsweep.bench.errors import InstrumentFault, LimitError
from spinsweep.bench.keithley6221 import (
    ARM_TIME_S,
    FREQUENCY_ERROR,
    LEAST_AMPLITUDE,
    RESOLUTION,
    Keithley6221,
    Keithley6221Section,
)
from spinsweep.bench.parts import Timing
from spinsweep.bench.section import Wired
from spinsweep.bench.settings import ERRORS, Setting, apply, compare, number, refuse_errors, refuse_events

if TYPE_CHECKING:  # who reads a bench file loads no VISA
    from spinsweep.bench.visa import Session

ENDLESS = 9e37
"""Durations from this on are infinite (SCPI-1999 volume 1, 7.2.1.4)."""
FREQUENCIES = (1e-3, 1e5)  # Hz
LEAST_PERIODS = 5
"""Of the sine in ``timing.read_time``: fewer can be averaged to no reading."""
_CHANGED = "another program may have written to it: the reading is not used"


class Keithley6221SineSection(Keithley6221Section):
    """``[source]`` with ``driver = "keithley-6221-sine"``."""

    reading_keys: ClassVar[tuple[str, ...]] = ("driver", "range", "compliance", "read_frequency")

    read_frequency: Annotated[float, Field(ge=FREQUENCIES[0], le=FREQUENCIES[1])]
    """Of the sine with which devices are read, Hz."""
    marker_line: Annotated[int, Field(ge=1, le=6)] = 3
    """Line of the trigger link on which the phase marker comes."""
    marker_phase: Annotated[float, Field(ge=0, le=360)] = 0.0
    """Phase of the sine at which it comes, degrees."""

    @property
    def read_frequency_hz(self) -> float:
        """Hz."""
        return self.read_frequency

    def problems(self, timing: Timing, wired: Sequence[Wired]) -> Iterator[str]:
        """Also a read that is too short for its sine."""
        yield from super().problems(timing, wired)
        if (periods := self.read_frequency * timing.read_time) < LEAST_PERIODS:
            yield (
                f"source.read_frequency: {self.read_frequency:g} Hz has {periods:.2g} periods in timing.read_time "
                f"{timing.read_time:g} s; {LEAST_PERIODS} are the least"
            )


class Keithley6221Sine(Keithley6221):
    """The source at the other end of ``session``; ``read_on`` takes the peak of the sine."""

    Section: type[Keithley6221Section] = Keithley6221SineSection

    def __init__(self, session: Session, section: Keithley6221SineSection, surroundings: Surroundings) -> None:
        super().__init__(session, section, surroundings)
        frequency = float(section.read_frequency)
        self._sine = [
            Setting("SOUR:WAVE:FUNC", "SIN"),
            Setting("SOUR:WAVE:FREQ", frequency, FREQUENCY_ERROR * frequency),
            Setting("SOUR:WAVE:OFFS", 0.0),
            Setting("SOUR:WAVE:PMAR:STAT", 1.0),
            Setting("SOUR:WAVE:PMAR", float(section.marker_phase), 1.0),
            Setting("SOUR:WAVE:PMAR:OLIN", float(section.marker_line)),
        ]

    def read_on(self, current: float) -> None:
        """Let a sine of the peak ``current`` A flow until :meth:`read_off`.

        Raises
        ------
        LimitError
            Beyond the envelope, or no sine at all; nothing was sent.
        """
        current = float(current)
        self._refuse_read(current)
        if not current >= LEAST_AMPLITUDE:
            raise LimitError(
                f"6221: a sine of {current!r} A is refused: its peak is at least {LEAST_AMPLITUDE:g} A, and has no "
                "sign; nothing was sent"
            )
        amplitude = Setting("SOUR:WAVE:AMPL", current, RESOLUTION[self._range])
        replaced = {"SOUR:WAVE:DUR:CYCL", *(setting.header for setting in self._sine)}
        settings = [amplitude, *self._sine, *(held for held in self._held if held.header not in replaced)]
        commands = [*(setting.command for setting in settings), ":SOUR:WAVE:DUR:TIME INF"]
        queries = [*(setting.query for setting in settings), ":SOUR:WAVE:DUR:TIME?"]
        self._sent.clear()  # of the next pulse, all is sent
        message = [":SOUR:WAVE:ABOR", *commands, *queries, ":OUTP:INT:TRIP?", ":OUTP?", "*ESR?", ERRORS]
        *read_back, interlock, output, events, error = self.session.ask(";".join(message), len(queries) + 4)
        refuse_events(self.session, events)
        refuse_errors(self.session, error, "a sine was set")
        self._refuse_other_sine(settings, read_back)
        self._refuse_open_interlock(interlock)
        self._refuse_output(output, 0)
        try:
            self._begin(settings, commands, queries)
        except InstrumentFault:
            self.safe()
            raise

    def read_off(self) -> bool:
        """Switch the sine off; whether the voltage limit was hit while it flowed."""
        hit = super().read_off()
        apply(self.session, [Setting("SOUR:WAVE:PMAR:STAT", 0.0), *self._held])
        return hit

    def _begin(self, settings: Sequence[Setting], commands: Sequence[str], queries: Sequence[str]) -> None:
        """Set the sine again and start it in one message, as a pulse: nobody can write between check and use."""
        started = [*queries, ":SOUR:WAVE:ARM", ":SOUR:WAVE:INIT", "*OPC?", *queries]
        # The event of the current's first rise is read away: compliance at a peak comes again.
        message = [*commands, *started, ":OUTP?", ":STAT:MEAS:EVEN?", ERRORS]
        replies = self.session.ask(";".join(message), 2 * len(queries) + 4, ARM_TIME_S)
        before, after = replies[: len(queries)], replies[len(queries) + 1 : 2 * len(queries) + 1]
        output, _, error = replies[2 * len(queries) + 1 :]
        refuse_errors(self.session, error, "a sine was started")
        for read_back in (before, after):
            self._refuse_other_sine(settings, read_back)
        self._refuse_output(output, 1)

    def _refuse_other_sine(self, settings: Sequence[Setting], read_back: Sequence[str]) -> None:
        *others, duration = read_back
        compare(self.session, settings, others, _CHANGED)
        if number(self.session, duration) < ENDLESS:
            raise InstrumentFault(
                f"{self.session.name}: SOUR:WAVE:DUR:TIME reads {duration} where INF was sent; {_CHANGED}"
            )
