"""Instruments whose driver somebody else has written (pymeasure, qcodes), in a role of the bench.

The foreign driver is given a :class:`Line` for its connection: all that it says goes through our session, so that the
identity, the lease, the timeouts and the distrust of a link that answered out of step hold as for our own drivers.
What is set through its properties is read back through them, before and after every reading and every pulse.

What is lost: a property is a message of its own, so that nothing is set and fired in one message, and a change by
another program between the last check and its use is detected afterwards, not prevented.  Digits are those that the
foreign driver sends.  Limits that it has of its own may clip: what it clipped reads back otherwise, and is refused.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from spinsweep.bench.capabilities import (
    AUXILIARY,
    METER,
    SOURCE,
    Auxiliary,
    Envelope,
    Pulse,
    PulseSource,
    Reading,
    Surroundings,
    VoltageReader,
)
from spinsweep.bench.errors import BenchError, InstrumentFault, LimitError
from spinsweep.bench.parts import Timing
from spinsweep.bench.section import InstrumentSection, Wired
from spinsweep.bench.settings import SYSTEM_ERRORS, number, refuse_errors, refuse_events

if TYPE_CHECKING:  # who reads a bench file loads no VISA
    from spinsweep.bench.visa import Session

RESET_TIME_S = 10.0
TOLERANCE = 1e-5
"""How far a number may read back off, relative: foreign drivers send six digits."""
_CHANGED = "its driver, or another program, has changed it"


class Line:
    """What a foreign driver takes for its connection: an adapter of pymeasure's, or a pyvisa resource.

    Every command is followed by ``*OPC?`` and the question for an error, so that none is lost unseen; the instrument
    keeps to IEEE 488.2.  Binary values and service requests do not go over it.
    """

    def __init__(self, session: Session, errors: str = SYSTEM_ERRORS) -> None:
        self.session = session
        self.errors = errors
        self.resource_name = session.instrument.resource
        self.wait = RESET_TIME_S
        """That an action may take beyond the instrument's timeout, s."""
        self._question = ""

    def write(self, command: str, **options: Any) -> None:
        """Send a command, or keep a question until :meth:`read`."""
        if self._question:
            raise InstrumentFault(
                f"{self.session.name}: its driver asks {command!r} before it has read {self._question!r}"
            )
        command = command.strip()
        if "?" in command:
            self._question = command
            return
        _, error = self.session.ask(f"{command};*OPC?;{self.errors}", 2, self.wait)
        refuse_errors(self.session, error, f"its driver sent {command}", self.errors)

    def read(self, *options: Any, **named: Any) -> str:
        """The reply to the question."""
        if not self._question:
            raise InstrumentFault(f"{self.session.name}: its driver reads before it has asked")
        question, self._question = self._question, ""
        return self.session.exchange(question, self.wait)

    def query(self, question: str, *options: Any, **named: Any) -> str:
        """Ask, and read the reply."""
        self.write(question)
        return self.read()

    ask = query

    def close(self) -> None:
        """The session stays open; it is the bench's."""

    clear = flush_read_buffer = close


class AdaptedSection(InstrumentSection):
    """The section of an instrument with a foreign driver; a subclass says its ``model``."""

    reading_keys: ClassVar[tuple[str, ...]] = ("driver",)


class AdaptedMeterSection(AdaptedSection):
    """``[meter]`` with a foreign driver."""

    reading_keys: ClassVar[tuple[str, ...]] = ("driver", "range", "nplc")

    range: Annotated[float, Field(gt=0)] = 0.1
    """Fixed range, V."""
    nplc: Annotated[float, Field(gt=0)] = 1.0
    """Integration time in cycles of the mains."""

    def problems(self, timing: Timing, wired: Sequence[Wired]) -> Iterator[str]:
        """Readings that take longer than the read current flows."""
        if self.nplc / timing.mains > timing.read_time:
            yield f"meter.nplc: {self.nplc:g} takes longer than timing.read_time {timing.read_time:g} s"


class _Adapted:
    """A foreign driver's object at the other end of a session."""

    errors: ClassVar[str] = SYSTEM_ERRORS
    """Query for the oldest error."""

    def __init__(self, session: Session, section: Any, surroundings: Surroundings) -> None:
        self.session = session
        self.section = section
        self.surroundings = surroundings
        self.foreign: Any = None

    @abstractmethod
    def connect(self, line: Line) -> Any:
        """The foreign driver's object, made with ``line`` for its connection."""

    def settings(self) -> Mapping[str, Any]:
        """Properties of the foreign object by name, in the order in which they are set, with their values."""
        return {}

    def start(self) -> None:
        """Reset the instrument, make the foreign object, and set its properties, each read back."""
        self.session.ask("*RST;*CLS;*OPC?", 1, RESET_TIME_S)
        with self._guarded("it was set up"):
            self.foreign = self.connect(Line(self.session, self.errors))
        self.put(self.settings())

    def put(self, settings: Mapping[str, Any]) -> None:
        """Set properties of the foreign object, and read them back."""
        with self._guarded("settings were sent"):
            for name, value in settings.items():
                setattr(self.foreign, name, value)
        self.read_back(settings)

    def read_back(self, settings: Mapping[str, Any], after: str = "start the instrument again") -> None:
        """``InstrumentFault`` unless every property reads what was set, and no event or error is there."""
        for name, value in settings.items():
            with self._guarded("settings were read back"):
                read_back = getattr(self.foreign, name)
            if not _same(read_back, value):
                raise InstrumentFault(
                    f"{self.session.name}: {name} reads {read_back} where {value} was sent; {after}"
                )
        events, error = self.session.ask(f"*ESR?;{self.errors}", 2)
        refuse_events(self.session, events)
        refuse_errors(self.session, error, "its driver was used", self.errors)

    @contextmanager
    def _guarded(self, when: str) -> Iterator[None]:
        """Makes a foreign error one of ours."""
        try:
            yield
        except (BenchError, KeyboardInterrupt):
            raise
        except Exception as error:
            said = " ".join(str(error).split())
            raise InstrumentFault(
                f"{self.session.name}: its driver says {said or type(error).__name__} when {when}"
            ) from error


class AdaptedMeter(_Adapted, VoltageReader):
    """A voltmeter; a subclass has ``Section``, :meth:`connect`, :meth:`settings` and :meth:`measure`."""

    Section: ClassVar[type[InstrumentSection]] = AdaptedMeterSection
    roles: ClassVar[tuple[str, ...]] = (METER,)
    overrange: ClassVar[float] = 1.2
    """A range reads so much more than its name."""

    def __init__(self, session: Session, section: AdaptedMeterSection, surroundings: Surroundings) -> None:
        super().__init__(session, section, surroundings)
        self.reading_time = section.nplc / surroundings.mains

    @abstractmethod
    def measure(self, foreign: Any) -> Any:
        """A new reading, V."""

    def rezero(self) -> None:
        """Measure the zero anew; nothing where the meter does with every reading."""

    def read(self) -> Reading:
        """Take one new reading, and look at the settings with which it was taken.

        Raises
        ------
        InstrumentFault
            A setting is no longer what it was started with, or what came is no number.
        """
        with self._guarded("it was read"):
            volts = self.measure(self.foreign)
        self.read_back(self.settings(), f"{_CHANGED}: the reading is not used")
        if isinstance(volts, bool) or not isinstance(volts, int | float):
            raise InstrumentFault(f"{self.session.name}: its driver gives {volts!r} instead of a voltage")
        if math.isfinite(volts) and abs(volts) <= self.overrange * self.section.range:
            return Reading(float(volts), True, "")
        return Reading(math.nan, False, f"{volts} is not within the range of {self.section.range:g} V")


class AdaptedSource(_Adapted, PulseSource):
    """A pulse source; a subclass has ``Section``, a safe state, and what a pulse and a read current are made of.

    Every current and width is checked against the envelope before the foreign driver hears of it.
    """

    Section: ClassVar[type[InstrumentSection]]
    roles: ClassVar[tuple[str, ...]] = (SOURCE,)
    least_current: float = 0.0
    least_width: ClassVar[float] = 0.0
    """Shortest pulse that the instrument makes, s."""
    safe_message: ClassVar[str]
    """Message that brings it to 0 A, output off, and ends in the query of its output: it asks no foreign driver."""

    def __init__(self, session: Session, section: Any, surroundings: Surroundings) -> None:
        super().__init__(session, section, surroundings)
        self.on_fire: Callable[[], None] | None = None
        self._envelope: Envelope | None = None
        self._range = math.nan
        self._compliance = math.nan

    @abstractmethod
    def held(self, compliance: float, range: float) -> Mapping[str, Any]:
        """Properties that bound every current: voltage limit (V) and fixed range (A)."""

    @abstractmethod
    def pulsed(self, current: float, width: float) -> Mapping[str, Any]:
        """Properties of one pulse."""

    @abstractmethod
    def fire(self, foreign: Any, width: float) -> bool:
        """Fire the pulse that is set, and wait for its end; whether the voltage limit was hit."""

    @abstractmethod
    def read_level(self, current: float) -> Mapping[str, Any]:
        """Properties of a direct current."""

    @abstractmethod
    def switch_on(self, foreign: Any) -> None:
        """Let the direct current flow that is set."""

    @abstractmethod
    def switch_off(self, foreign: Any) -> bool:
        """Switch it off; whether the voltage limit was hit while it flowed."""

    def safe(self) -> None:
        """0 A, output off, in whatever state the source is; first of all on every connection."""
        output = self.session.ask(self.safe_message, 1)[0]
        if number(self.session, output) != 0:
            raise InstrumentFault(
                f"{self.session.name}: its output is still on ({output}); switch the source off by hand"
            )

    def start(self, compliance: float = math.nan) -> None:
        """Bring the source from any state to a known one, output off, with a voltage limit of ``compliance`` V."""
        self._envelope = None
        self.safe()
        super().start()
        self._compliance = float(compliance)
        self._range = math.nan
        self.safe()

    def limit(self, envelope: Envelope, range: float) -> None:
        """Say what may flow from now on, and fix the range, A; ``LimitError`` if the source cannot keep to it."""
        self._envelope = None
        if not all(math.isfinite(value) and value > 0 for value in envelope):
            raise LimitError(f"{self.section.model}: {envelope} is not an envelope; all values must be above 0")
        if not 0 < self._compliance <= envelope.max_compliance:
            raise LimitError(
                f"{self.section.model}: a compliance of {self._compliance} V is refused, "
                f"{envelope.max_compliance:g} V at most; nothing was sent"
            )
        self._range = float(range)
        self.put(self._held())
        self._envelope = envelope

    def pulse(self, current: float, width: float) -> Pulse:
        """Fire a pulse of ``current`` A and ``width`` s, and wait for its end; ``LimitError`` beyond the envelope."""
        current, width = float(current), float(width)
        allowed = self._allowed()
        self._refuse("a pulse of either sign of", abs(current), "A", self.least_current, allowed.max_pulse)
        least = max(allowed.min_width, self.least_width)
        self._refuse("a pulse of", width, "s", least, allowed.max_width)
        settings = {**self._held(), **self.pulsed(current, width)}
        self.put(settings)
        if self.on_fire is not None:
            self.on_fire()
        try:
            with self._guarded("a pulse was fired"):
                hit = self.fire(self.foreign, width)
            self.read_back(settings, f"a pulse was fired with it: {_CHANGED}")
        finally:
            self.safe()
        return Pulse(bool(hit))

    def read_on(self, current: float) -> None:
        """Let a direct current of ``current`` A flow until :meth:`read_off`; ``LimitError`` beyond the envelope."""
        current = float(current)
        self._refuse("a read current of either sign of", abs(current), "A", 0.0, self._allowed().max_read)
        self.put({**self._held(), **self.read_level(current)})
        try:
            with self._guarded("the output was switched on"):
                self.switch_on(self.foreign)
            self.read_back({**self._held(), **self.read_level(current)}, _CHANGED)
        except BaseException:
            self.safe()
            raise

    def read_off(self) -> bool:
        """Switch the direct current off; whether the voltage limit was hit while it flowed."""
        try:
            with self._guarded("the output was switched off"):
                return bool(self.switch_off(self.foreign))
        finally:
            self.safe()

    def _held(self) -> Mapping[str, Any]:
        return {**self.settings(), **self.held(self._compliance, self._range)}

    def _allowed(self) -> Envelope:
        if self._envelope is None:
            raise LimitError(
                f"{self.section.model}: no current is allowed before the limits of a device have been set; "
                "nothing was sent"
            )
        return self._envelope

    def _refuse(self, what: str, value: float, unit: str, least: float, most: float) -> None:
        """``LimitError`` unless ``least <= value <= most``; a NaN is within nothing."""
        if not least <= value <= most:
            allowed = f"{least:g} to {most:g} {unit} are allowed"
            raise LimitError(f"{self.section.model}: {what} {value!r} {unit} is refused, {allowed}; nothing was sent")


class AdaptedAuxiliary(_Adapted, Auxiliary):
    """Any other instrument; a subclass has ``Section``, a safe state, :meth:`connect` and :meth:`settings`."""

    Section: ClassVar[type[InstrumentSection]] = AdaptedSection
    roles: ClassVar[tuple[str, ...]] = (AUXILIARY,)
    safe_message: ClassVar[str] = "*OPC?"
    """Message that brings it to the state in which it may be left alone, with one reply."""

    def safe(self) -> None:
        """The state in which it may be left alone; on every connection, and at every end."""
        self.session.ask(self.safe_message, 1)


def _same(read_back: Any, value: Any) -> bool:
    """Whether a property reads what was set: numbers within six digits, everything else alike."""
    if isinstance(value, bool) or isinstance(read_back, bool) or not isinstance(value, int | float):
        return bool(read_back == value)
    return isinstance(read_back, int | float) and math.isclose(read_back, value, rel_tol=TOLERANCE, abs_tol=1e-15)
