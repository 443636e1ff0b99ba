"""What the bench needs of its instruments: a driver that has the methods of a role can play it.

A driver is a class that an entry point of the group ``spinsweep.instruments`` names. It says which ``roles`` it can
play, which ``Section`` the bench file has for it, and is made of the session, that section, and the bench around it.
All methods raise :class:`~spinsweep.bench.errors.ConnectionLost` when the link is not to be trusted any more, and
:class:`~spinsweep.bench.errors.InstrumentFault` when the instrument reports an error, reads back something else than
was sent, or lost its power.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Protocol

from spinsweep.bench.clock import Clock
from spinsweep.bench.section import InstrumentSection

if TYPE_CHECKING:  # who reads a bench file loads no VISA
    from spinsweep.bench.visa import Session

SOURCE, METER, SWITCH, AUXILIARY = "source", "meter", "switch", "auxiliary"
"""Roles: sections of the bench file. There may be any number of auxiliary instruments, each with a name."""


class Surroundings(NamedTuple):
    """What a driver knows of the bench around its instrument."""

    clock: Clock
    mains: float
    """Frequency of the mains, Hz."""
    channels: tuple[str, ...]
    """Relays (``card!channel``) that lead to devices."""


class Envelope(NamedTuple):
    """What may never be exceeded at the device that is connected now."""

    max_pulse: float
    """Either sign, A."""
    max_read: float
    """Either sign, A."""
    min_width: float
    """s."""
    max_width: float
    """s."""
    max_compliance: float
    """V."""


class Pulse(NamedTuple):
    """What became of a pulse that was fired."""

    compliance: bool
    """The voltage limit was hit: less current flowed than was asked for."""


class Reading(NamedTuple):
    """One reading of the voltage."""

    volts: float
    """V; NaN if it is not valid."""
    valid: bool
    reason: str
    """Why it is not valid; empty if it is."""


class Driver(Protocol):
    """What every driver has."""

    Section: ClassVar[type[InstrumentSection]]
    """Its section of the bench file."""
    roles: ClassVar[tuple[str, ...]]
    """Roles that it can play.

    One whose instrument can play several at once has besides ``sections``, the section of each role, and
    ``sharing(role, section, surroundings)``, which makes the player of another role on the same session.  One whose
    instrument relays to another at its serial port has ``relay``, a :class:`~spinsweep.bench.relay.Relay`.  A meter
    whose readings the source has to take part in has ``around(source)``: the source that the bench uses then.
    """

    def __init__(self, session: Session, section: InstrumentSection, surroundings: Surroundings) -> None: ...


class PulseSource(Protocol):
    """Drives the current through the device that is connected."""

    least_current: float
    """Smallest current that it can drive, A."""
    on_fire: Callable[[], None] | None
    """Called when all of a pulse has been read back, immediately before the message that fires it."""

    def safe(self) -> None:
        """0 A, output off, in whatever state the source is; first of all on every connection."""

    def start(self, compliance: float) -> None:
        """Bring the source from any state to a known one, output off, with a voltage limit of ``compliance`` V."""

    def limit(self, envelope: Envelope, range: float) -> None:
        """Say what may flow from now on, and fix the range, A; until then nothing may.

        Raises
        ------
        LimitError
            The source cannot keep to it; nothing was sent, and nothing may flow.
        """

    def pulse(self, current: float, width: float) -> Pulse:
        """Fire one rectangular pulse of ``current`` A and ``width`` s, and wait for its end.

        Raises
        ------
        LimitError
            Beyond the envelope; nothing was sent.
        """

    def read_on(self, current: float) -> None:
        """Let a direct current of ``current`` A flow until :meth:`read_off`; ``LimitError`` beyond the envelope."""

    def read_off(self) -> bool:
        """Switch the direct current off; whether the voltage limit was hit while it flowed."""


class VoltageReader(Protocol):
    """Reads the voltage of the device that is connected."""

    reading_time: float
    """How long one reading takes, s."""

    def start(self) -> None:
        """Bring the meter from any state to the settings of its section, and find its zero."""

    def rezero(self) -> None:
        """Measure the zero anew; between trains, while no current flows."""

    def read(self) -> Reading:
        """Take one new reading."""


class Router(Protocol):
    """Connects one device at a time.  The source must be off at every call."""

    def connect(self, channels: Sequence[str]) -> None:
        """Open all relays, then close these and no other; verified."""

    def open_all(self) -> None:
        """Open all relays, in whatever state the switch is; verified."""

    def verify(self, channels: Sequence[str]) -> None:
        """``InstrumentFault`` unless these relays are closed and no other; moves none.  At the start of a train."""


class Auxiliary(Protocol):
    """Any other instrument: a field supply, a thermometer, a temperature controller.

    The bench starts it after the source and the meter, looks at it before each pulse, records its columns with each
    train, and makes it safe after source and relays; an experiment that knows it calls its further methods.  A
    driver that inherits from this class need not have the last two.
    """

    def safe(self) -> None:
        """The state in which it may be left alone; on every connection, and at every end."""

    def start(self) -> None:
        """Bring it from any state to the settings of its section, and wait until it is there.

        ``InterlockOpen`` if a person has to act first: the bench waits, with the source off, and starts it again.
        """

    def verify(self) -> None:
        """Immediately before each pulse: nothing is fired if it raises.

        ``InterlockOpen`` is waited for; after any other ``InstrumentFault`` the bench is made safe and the work ends.
        """
        return None

    def measured(self) -> Mapping[str, float]:
        """What it records at the begin and the end of each train: a value for each of its section's ``columns``."""
        return {}
