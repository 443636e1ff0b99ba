"""Stanford Research SR830, a lock-in amplifier as the meter: X at the frequency of the read current.

The source drives a sine (:mod:`~spinsweep.bench.keithley6221_sine`), and its phase marker is the external reference.
X is read in V rms; a reading is given as the *peak* of the in-phase voltage, sqrt(2) X, because a read current is the
peak of its sine: their ratio is the resistance.

A reading is valid if from the moment the filter began to settle until it was read no stage was overloaded and the
reference stayed locked (LIA status byte), and the reference has the source's frequency.  Settings that it rests on
are read back with every one.  Between reads the reference is off, so that "unlocked" is forgotten first.

Commands: *SR830 manual*, revision 2.5, by the pages of its contents; p. 5-2, 5-15 and 5-23 were read.  The answers to
several queries in one message come one by one, each with a terminator (p. 5-2), so each message here has one query.

============================  ==============================================================  ========
command                       meaning                                                         page
============================  ==============================================================  ========
``FMOD 0``                    external reference                                              5-4
``RSLP 0|1|2``                sine, rising, falling edge of the reference                     5-4
``HARM n``, ``PHAS x``        harmonic; phase in degrees                                      5-4
``FREQ?``                     of the reference, Hz                                            5-4
``ISRC 0|1``                  input A, A-B                                                    5-5
``IGND``, ``ICPL``, ``ILIN``  floating shield, AC coupling, no line filters                   5-5
``SENS i``, ``RMOD i``        sensitivity 2 nV to 1 V; reserve                                5-6
``OFLT i``, ``OFSL i``        time constant 10 us to 30 ks; 6 to 24 dB/octave                 5-6
``SYNC 0``                    no synchronous filter                                           5-6
``OEXP 1,0,0``                X without offset and expand                                     5-8
``SNAP? 1,2,9``               X (V), Y (V), frequency (Hz) of one instant                     5-15
``*IDN?``                     ``Stanford_Research_Systems,SR830,s/n00111,ver1.000``           5-19
``*ESR?``                     bits 2, 4, 5 errors, 6 a key was pressed, 7 power on            5-22
``LIAS?``                     bits 0 input, 1 filter, 2 output overload, 3 unlocked, 4 range,  5-23
                              5 time constant changed; kept until read
============================  ==============================================================  ========

That 99 % of a step have come after 5, 7, 9 and 10 time constants follows from one to four equal poles.  The time to
lock, two periods and 5 ms, at least 40 ms, is assumed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from spinsweep.bench.capabilities import METER, Reading, Surroundings, VoltageReader
from spinsweep.bench.errors import InstrumentFault
from spinsweep.bench.ieee488 import numbers, refuse_command_errors
from spinsweep.bench.parts import Timing
from spinsweep.bench.section import InstrumentSection, Wired

if TYPE_CHECKING:  # who reads a bench file loads no VISA
    from spinsweep.bench.visa import Session

_STEPS = (1, 2, 5)
SENSITIVITIES = tuple(float(f"{_STEPS[(i + 1) % 3]}e{(i + 1) // 3 - 9}") for i in range(27))
"""V rms, by the number in ``SENS``: 2 nV to 1 V."""
TIME_CONSTANTS = tuple(float(f"{(1, 3)[i % 2]}e{i // 2 - 5}") for i in range(20))
"""s, by the number in ``OFLT``: 10 us to 30 ks."""
SLOPES = (6, 12, 18, 24)
"""dB/octave, by the number in ``OFSL``."""
SETTLE = {6: 5.0, 12: 7.0, 18: 9.0, 24: 10.0}
"""Time constants until 99 % of a step has come, by the slope."""
HIGHEST_FREQUENCY = 102e3  # Hz, of the harmonic
FREQUENCY_ERROR = 1e-3
"""How far the reference may be off the source's frequency, relative."""
RESET_TIME_S = 10.0
RESOLUTION = 0.02
"""Of the phase, degrees; the other settings are whole numbers."""
EDGES = {"sine": 0, "rising": 1, "falling": 2}
RESERVES = {"high": 0, "normal": 1, "low": 2}
INPUTS = {"A": 0, "A-B": 1}
LOCK_PERIODS, LOCK_S, LEAST_LOCK_S = 2, 5e-3, 40e-3
INVALID = {1: "input overload", 2: "filter overload", 4: "output overload", 8: "the reference is not locked"}
"""Bits of ``LIAS?`` with which a reading is not valid."""
OTHER_FILTER = 16 | 32
"""The frequency changed its range, or the time constant was changed."""


class SR830Section(InstrumentSection):
    """``[meter]`` with ``driver = "sr830"``."""

    model: ClassVar[str] = "SR830"
    reading_keys: ClassVar[tuple[str, ...]] = (
        "driver", "frequency", "harmonic", "phase", "sensitivity", "time_constant", "slope", "settle", "reserve",
        "input", "reference_edge",
    )  # fmt: skip

    frequency: Annotated[float, Field(ge=1e-3, le=HIGHEST_FREQUENCY)]
    """Of the read current, Hz: ``source.read_frequency``."""
    harmonic: Annotated[int, Field(ge=1, le=19999)] = 1
    """Which harmonic of it is read."""
    phase: Annotated[float, Field(ge=-180, le=180)] = 0.0
    """Of the reference, degrees; such that Y is 0 at a resistor."""
    sensitivity: float
    """Full scale, V rms: 2e-9, 5e-9, 10e-9 ... 1."""
    time_constant: float = 0.03
    """s: 10e-6, 30e-6, 100e-6 ... 30e3."""
    slope: Literal[6, 12, 18, 24] = 24
    """Of the filter, dB/octave."""
    settle: Annotated[float, Field(gt=0, le=100)] | None = None
    """Time constants before a reading; at least, and where it is left out, as many as give 99 %."""
    reserve: Literal["high", "normal", "low"] = "normal"
    """Dynamic reserve, as the instrument names it."""
    input: Literal["A", "A-B"] = "A-B"
    """Which input: single-ended A, or the difference A-B."""
    reference_edge: Literal["sine", "rising", "falling"] = "falling"
    """What of the reference signal it locks to."""

    @property
    def read_frequency_hz(self) -> float:
        """Hz."""
        return self.frequency

    @property
    def settle_time(self) -> float:
        """How long the filter settles before a reading, s."""
        return self.time_constant * (self.settle or SETTLE[self.slope])

    @property
    def lock_time(self) -> float:
        """How long the reference may take to lock, s."""
        return max(LEAST_LOCK_S, LOCK_PERIODS / self.frequency + LOCK_S)

    def problems(self, timing: Timing, wired: Sequence[Wired]) -> Iterator[str]:
        """Values that it does not have, and reads that are too short to lock and to settle."""
        for key, value, values in (
            ("sensitivity", self.sensitivity, SENSITIVITIES),
            ("time_constant", self.time_constant, TIME_CONSTANTS),
        ):
            if _place(value, values) is None:
                nearest = min(values, key=lambda have, value=value: abs(have - value))  # type: ignore[misc]
                yield f"meter.{key}: {value:g}; the nearest that it has is {nearest:g}"
        if self.harmonic * self.frequency > HIGHEST_FREQUENCY:
            yield f"meter.harmonic: {self.harmonic * self.frequency:g} Hz; it reads up to {HIGHEST_FREQUENCY:g} Hz"
        if self.settle is not None and self.settle < SETTLE[self.slope]:
            yield f"meter.settle: {self.settle:g} time constants; {SETTLE[self.slope]:g} give 99 % at {self.slope} dB"
        if (needed := self.settle_time + self.lock_time) > timing.read_time:
            yield (
                f"meter.time_constant: locking and settling take {needed:.3g} s, "
                f"longer than timing.read_time {timing.read_time:g} s"
            )


class SR830(VoltageReader):
    """The lock-in at the other end of ``session``."""

    Section = SR830Section
    roles = (METER,)

    def __init__(self, session: Session, section: SR830Section, surroundings: Surroundings) -> None:
        self.session = session
        self.section = section
        self.clock = surroundings.clock
        self.reading_time = section.settle_time
        self._held: dict[str, tuple[float, ...]] = {
            "FMOD": (0,),
            "RSLP": (EDGES[section.reference_edge],),
            "HARM": (section.harmonic,),
            "PHAS": (section.phase,),
            "ISRC": (INPUTS[section.input],),
            "IGND": (0,),
            "ICPL": (0,),
            "ILIN": (0,),
            "SENS": (SENSITIVITIES.index(section.sensitivity),),
            "RMOD": (RESERVES[section.reserve],),
            "OFLT": (TIME_CONSTANTS.index(section.time_constant),),
            "OFSL": (SLOPES.index(section.slope),),
            "SYNC": (0,),
        }
        """Settings that a reading rests on."""

    def start(self) -> None:
        """Bring the lock-in from any state to the settings of its section, read back."""
        self.session.ask("*RST;*CLS;SENS?", 1, RESET_TIME_S)
        for header, values in self._held.items():
            self._ask(f"{header} {','.join(f'{value:g}' for value in values)};{header}?")
        self._ask("OEXP 1,0,0;OEXP? 1")
        self._refuse_changed("it was started")

    def rezero(self) -> None:
        """A lock-in has no zero that drifts."""

    def read(self) -> Reading:
        """Let the filter settle on what the read current gives, and read X.

        Raises
        ------
        InstrumentFault
            Also if a setting is no longer what it was started with: the reading is not to be used.
        """
        self._ask("LIAS?")  # what was before this read current
        self.clock.sleep(self.section.settle_time)
        snapshot, status = self._ask("SNAP? 1,2,9"), self._ask("LIAS?")
        self._refuse_changed("it was read")
        x, _, frequency = numbers(self.session, snapshot, 3)
        (state,) = numbers(self.session, status, 1)
        if int(state) & OTHER_FILTER:
            return Reading(math.nan, False, "its time constant or frequency range changed")
        if reasons := [reason for bit, reason in INVALID.items() if int(state) & bit]:
            return Reading(math.nan, False, ", ".join(reasons))
        if abs(frequency - self.section.frequency) > FREQUENCY_ERROR * self.section.frequency:
            return Reading(math.nan, False, f"its reference has {frequency:g} Hz, not {self.section.frequency:g} Hz")
        if not math.isfinite(x):
            return Reading(math.nan, False, f"X is {x}")
        return Reading(math.sqrt(2) * x, True, "")

    def _ask(self, message: str) -> str:
        return self.session.ask(message, 1)[0]

    def _refuse_changed(self, when: str) -> None:
        """``InstrumentFault`` if it reports an error, a key was pressed, or a setting reads otherwise."""
        refuse_command_errors(self.session, self._ask("*ESR?"), when)
        for header, values in (*self._held.items(), ("OEXP? 1", (0.0, 0.0))):
            query = header if "?" in header else f"{header}?"
            reply = self._ask(query)
            read = numbers(self.session, reply, len(values))
            if any(abs(a - b) > RESOLUTION for a, b in zip(read, values, strict=True)):
                sent = ",".join(f"{value:g}" for value in values)
                raise InstrumentFault(
                    f"{self.session.name}: {query} gives {reply} where {sent} was sent; another program, or "
                    "somebody at its keys, has changed it: the reading is not used"
                )


def _place(value: float, values: Sequence[float]) -> int | None:
    return values.index(value) if value in values else None
