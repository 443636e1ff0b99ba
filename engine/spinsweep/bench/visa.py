"""The link to one instrument over VISA; the only file that knows pyvisa.

A link is trusted as long as every message gets exactly the replies that it asks for, in time.  After anything else
(silence, a broken line, a line too many, bytes that are no text) nobody can tell which question the next reply
answers, so the session is *poisoned*: it is closed and refuses everything until it is opened again.

pyvisa-py's raw sockets need care (measured with 0.8.1): a port that nobody serves opens without an error; a peer that
closes makes a read spin until its timeout; a late reply answers the next question; Nagle's algorithm costs 44 ms when
a message has two parts, and its VISA attribute cannot be set.  So for them VISA opens and closes, and the lines go
through the socket itself, which also costs half the time; so are serial ports read.

An instrument may also stand behind another link: on the bus of an adapter (:mod:`.gpib_adapter`), or at the serial
port of another instrument (:mod:`.relay`).
"""

from __future__ import annotations

import re
import select
import socket
import threading
import time
from collections.abc import Callable, MutableMapping
from typing import Any, Protocol

import pyvisa
from pyvisa.constants import BufferOperation, ControlFlow, InterfaceType
from pyvisa.resources import MessageBasedResource, SerialInstrument

from spinsweep.bench.errors import BenchError, ConnectionLost, InstrumentFault
from spinsweep.bench.gpib_adapter import Bus, BusLink
from spinsweep.bench.relay import Relay, RelayLink
from spinsweep.bench.section import REMOTE, TERMINATORS, InstrumentSection
from spinsweep.bench.settings import POWER_ON, Setting

CONNECT_TIMEOUT_S = 90.0
"""s.  A Keithley 6221 refuses new connections for 30 to 60 s after its client died (seen by one laboratory)."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 2.0
"""Between attempts to connect, doubling from the first."""
_CHUNK_BYTES = 4096
_CLOSED = "the instrument closed the connection"
_SEPARATOR = re.compile(r';(?=(?:[^"]*"[^"]*")*[^"]*$)')


_FLOW = {
    "none": ControlFlow.none,
    "xon-xoff": ControlFlow.xon_xoff,
    "rts-cts": ControlFlow.rts_cts,
    "dtr-dsr": ControlFlow.dtr_dsr,
}


class Link(Protocol):
    """How questions reach an instrument; raises ``OSError``, ``ValueError`` or a VISA error, and is closed then."""

    def exchange(self, message: str, timeout: float, end: bytes) -> bytes:
        """Send a message; its reply, which ``end`` ends within ``timeout`` s."""

    def send(self, message: bytes) -> None:
        """Send bytes that have no reply."""

    def close(self) -> None:
        """Leave the instrument as it is."""


class _StreamLink:
    """Bytes one after the other: their end, and whatever comes without a question, is seen where they arrive."""

    def __init__(self, resource: MessageBasedResource, stream: Any, terminator: str) -> None:
        self._resource = resource
        self._stream = stream
        self._terminator = terminator.encode()

    def exchange(self, message: str, timeout: float, end: bytes) -> bytes:
        if self._arrived(0):
            raise ValueError(f"{self._take()!r} came without a question")
        self.send(message.encode() + self._terminator)
        until = time.monotonic() + timeout
        reply = b""
        while not reply.endswith(end):
            left = until - time.monotonic()
            if left <= 0 or not self._arrived(left):
                came = f"only {reply!r} came" if reply else "nothing came"
                raise TimeoutError(f"no complete reply within {timeout:g} s: {came}")
            reply += self._take()
            if 0 <= reply.find(end) < len(reply) - len(end):
                raise ValueError(f"more than one line came: {reply!r}")
        return reply

    def send(self, message: bytes) -> None:
        self._resource.write_raw(message)

    def close(self) -> None:
        self._resource.close()

    def _arrived(self, timeout: float) -> bool:
        """Whether bytes have come, or the end of the line, after ``timeout`` s at most."""
        return bool(select.select([self._stream], [], [], timeout)[0])

    def _take(self) -> bytes:
        """Bytes that have come; ``ConnectionError`` at the end of the line."""
        raise NotImplementedError


class _SocketLink(_StreamLink):
    """A raw socket of pyvisa-py."""

    def __init__(self, resource: MessageBasedResource, stream: socket.socket, terminator: str) -> None:
        super().__init__(resource, stream, terminator)
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def send(self, message: bytes) -> None:
        try:
            self._stream.sendall(message)
        except (ConnectionResetError, BrokenPipeError) as error:
            raise ConnectionError(_CLOSED) from error

    def _take(self) -> bytes:
        try:
            came: bytes = self._stream.recv(_CHUNK_BYTES)
        except ConnectionResetError as error:  # closed with bytes unread at the other end: TCP resets it then
            raise ConnectionError(_CLOSED) from error
        if not came:
            raise ConnectionError(_CLOSED)
        return came


class _SerialLink(_StreamLink):
    """A serial port of pyvisa-py, which is one of pyserial."""

    def __init__(self, resource: MessageBasedResource, stream: Any, terminator: str) -> None:
        super().__init__(resource, stream, terminator)
        stream.reset_input_buffer()

    def _take(self) -> bytes:
        came = bytes(self._stream.read(max(1, self._stream.in_waiting)))
        if not came:
            raise ConnectionError("the serial line was closed")
        return came


class _VisaLink:
    """Any other link, through VISA alone."""

    def __init__(self, resource: MessageBasedResource, terminator: str) -> None:
        self._resource = resource
        self._terminator = terminator.encode()
        # On GPIB, USB and VXI-11 the instrument itself drops an old reply when it is asked anew (IEEE 488.2, 6.3).
        self._bare = resource.interface_type == InterfaceType.asrl or resource.resource_class == "SOCKET"
        if resource.interface_type == InterfaceType.asrl:
            resource.flush(BufferOperation.discard_read_buffer)
        elif not self._bare:
            _lock(resource)
            resource.clear()
        if self._bare:  # elsewhere the message itself has an end
            resource.read_termination = terminator[-1]

    def exchange(self, message: str, timeout: float, end: bytes) -> bytes:
        self._check_silence()
        self.send(message.encode() + self._terminator)
        until = time.monotonic() + timeout
        reply = b""
        while not reply.endswith(end):
            self._resource.timeout = max(1, 1000 * (until - time.monotonic()))
            reply += bytes(self._resource.read_raw())
            if not self._bare and not reply.endswith(end):
                return reply  # the interface says that this is all
        return reply

    def send(self, message: bytes) -> None:
        self._resource.write_raw(message)

    def close(self) -> None:
        self._resource.close()

    def _check_silence(self) -> None:
        """``ValueError`` unless the receive buffer is empty: it must be before a query."""
        if not self._bare:
            return
        self._resource.timeout = 0
        try:
            waiting = self._resource.read_bytes(1)
        except pyvisa.errors.VisaIOError as error:
            if error.error_code != pyvisa.constants.StatusCode.error_timeout:
                raise
        else:
            raise ValueError(f"{waiting!r} came without a question")


class Session:
    """The link to one instrument; one question at a time, from whichever thread.

    The session begins closed.

    Parameters
    ----------
    instrument
        Which instrument it has to be, and where it is reached.
    backend
        pyvisa's: ``@py``, ``@ivi`` or a path.
    buses
        The buses behind adapters that are in use, by adapter; sessions of one bench have them in common.
    carrier
        The session of the instrument that relays to this one, and how it does, where the section says ``behind``.
    """

    def __init__(
        self,
        instrument: InstrumentSection,
        backend: str,
        buses: MutableMapping[str, Bus] | None = None,
        carrier: tuple[Session, Relay] | None = None,
    ) -> None:
        self.instrument = instrument
        self.backend = backend
        self.buses = {} if buses is None else buses
        self.carrier = carrier
        self.poisoned = "the session is not open"
        """Reason the session is unusable; empty when it is healthy."""
        self.power_was_lost = False
        """A reply has said so, and :meth:`powered_on` has not been asked since."""
        self.agreed: dict[tuple[str, ...], list[Setting]] = {}
        """Replies to questions for settings, and settings that they have agreed with; see ``settings.compare``."""
        self._lock = threading.RLock()
        self._link: Link | None = None

    @property
    def name(self) -> str:
        """What the instrument is called in messages."""
        return f"{self.instrument.model} {self.instrument.place}"

    def open(self, timeout_s: float = CONNECT_TIMEOUT_S, check: Callable[[], None] = lambda: None) -> None:
        """Connect and ask for the identity; an open session is opened anew.

        Parameters
        ----------
        timeout_s
            How long to try again when the connection is refused, dropped or silent, s.
        check
            Called between attempts; ends them by raising.

        Raises
        ------
        ConnectionLost
            No connection within ``timeout_s``.
        InstrumentFault
            Model or serial number are not those of the bench file.
        BenchError
            The backend cannot be loaded, or knows no such resource.
        """
        with self._lock:
            end = time.monotonic() + timeout_s
            pause = FIRST_PAUSE_S
            while True:
                try:
                    self._connect()
                    identity = self.ask("*IDN?", 1)[0]
                    break
                except ConnectionLost:
                    left = end - time.monotonic()
                    if left <= 0:
                        raise ConnectionLost(
                            f"{self.name}: {self.poisoned}; tried for {timeout_s:g} s "
                            "(a 6221 on Ethernet refuses for up to a minute after its client died)"
                        ) from None
                    check()
                    time.sleep(min(pause, left))
                    pause = min(2 * pause, LONGEST_PAUSE_S)
            self._identify(identity)

    def ask(self, message: str, answers: int, wait: float = 0.0, lacking: int = 0) -> list[str]:
        """Send one message and get its replies.

        A message that only sets would leave it open whether it was processed; each one ends in a query.

        Parameters
        ----------
        message
            Commands joined by ``;``, of which ``answers`` are queries.
        answers
            How many replies the one line must hold, at least 1.
        wait
            Time that the action itself may take, beyond the instrument's timeout, s.
        lacking
            How many replies may be missing, because the instrument may refuse a query and then says nothing to it.

        Returns
        -------
        The replies, without blanks around them; a ``;`` inside a quoted text does not divide.

        Raises
        ------
        ConnectionLost
            The session was poisoned before, or is now.
        """
        with self._lock:
            line = self.exchange(message, wait)
            replies = _divided(line)
            if "; " in line or " ;" in line:
                replies = [reply.strip() for reply in replies]
            if not answers - lacking <= len(replies) <= answers:
                raise self.distrust(f"{len(replies)} replies instead of {answers}: {line!r}")
            return replies

    def exchange(self, message: str, wait: float = 0.0, end: str = "") -> str:
        """As :meth:`ask`, for a reply of which nothing is known: its text, without blanks around it.

        Parameters
        ----------
        end
            What ends the reply, before the end of its line; with it, the reply may have line ends inside.
        """
        with self._lock:
            if self._link is None:
                raise ConnectionLost(f"{self.name}: {self.poisoned}; open it again, with the whole handshake")
            until = (end + TERMINATORS[self.instrument.terminator][-1]).encode()
            try:
                reply = self._link.exchange(message, self.instrument.timeout + wait, until)
                return reply.decode("ascii").strip()
            except (OSError, ValueError, pyvisa.errors.Error) as error:
                raise self.distrust(_one_line(error)) from error
            except BaseException:
                self.distrust("a question was interrupted")
                raise

    def powered_on(self) -> bool:
        """Whether the instrument was switched on since this was asked last; it forgets its settings then."""
        with self._lock:
            (events,) = self.ask("*ESR?", 1)
            try:
                self.power_was_lost |= bool(int(events) & POWER_ON)
            except ValueError:
                raise self.distrust(f"{events!r} came as the reply to *ESR?") from None
            was_lost, self.power_was_lost = self.power_was_lost, False
            return was_lost

    def distrust(self, reason: str) -> ConnectionLost:
        """Poison the session; the error to raise, which says why."""
        with self._lock:
            self._shut(reason)
        return ConnectionLost(f"{self.name}: {reason}; nothing on this link is to be trusted, open it again")

    def close(self) -> None:
        """Close the link; the instrument stays as it was set."""
        with self._lock:
            self._shut("the session is closed")

    def _connect(self) -> None:
        self._shut("the session is not open")
        try:
            self._link = self._linked()
        except (OSError, ValueError, pyvisa.errors.Error) as error:
            raise self.distrust(_one_line(error)) from error
        self.poisoned = ""

    def _linked(self) -> Link:
        section = self.instrument
        if self.carrier is not None:
            carrier, relay = self.carrier
            return RelayLink(carrier, relay)
        if not section.adapter:
            return self._opened(section.resource, section.terminator)
        bus = self.buses.get(section.adapter)
        if bus is None or bus.closed:
            bus = self.buses[section.adapter] = Bus(self._opened(section.adapter, "LF"), section.timeout)
        return BusLink(bus, section.gpib_address)

    def _opened(self, name: str, terminator: str) -> Link:
        """The link to a VISA resource."""
        milliseconds = int(1000 * self.instrument.timeout)
        remote = name.upper().startswith(REMOTE)
        if remote and self.backend.endswith("@py"):
            raise BenchError(f"{self.name}: a VISA server is reached by the vendor's library: backend = '@ivi'")
        try:
            pyvisa.rname.ResourceName.from_string(name[len(REMOTE) :].partition("/")[2] if remote else name)
        except pyvisa.rname.InvalidResourceName:
            which = "this" if name == self.instrument.resource else f"adapter {name}"
            raise BenchError(f"{self.name}: {which} is not a VISA resource name, such as GPIB0::16::INSTR") from None
        try:
            # The manager is shared by the whole process and closes all sessions with it: it stays open.
            manager = pyvisa.ResourceManager(self.backend)
            resource = manager.open_resource(name, open_timeout=milliseconds, timeout=milliseconds)
        except (ValueError, pyvisa.errors.LibraryError) as error:
            raise BenchError(f"{self.name}: backend {self.backend!r} cannot open it: {_one_line(error)}") from error
        except Exception as error:  # pyvisa-py 0.8 raises Exception itself when it cannot connect
            raise self.distrust(_one_line(error)) from error
        if not isinstance(resource, MessageBasedResource):
            resource.close()
            raise BenchError(f"{self.name}: takes no messages; give an INSTR or SOCKET resource")
        try:
            if isinstance(resource, SerialInstrument):
                resource.baud_rate = self.instrument.baud
                resource.flow_control = _FLOW[self.instrument.flow]
            return _link(resource, TERMINATORS[terminator])
        except BaseException:
            resource.close()
            raise

    def _identify(self, identity: str) -> None:
        """Compare a reply such as ``KEITHLEY INSTRUMENTS INC.,MODEL 6221,4559777,D04`` with the bench file."""
        fields = [field.strip() for field in identity.split(",")]
        expected = self.instrument
        if expected.identified(fields) != (expected.model, expected.serial):
            self._shut("another instrument answered")
            where = expected.place.removeprefix("at ")
            raise InstrumentFault(
                f"{where}: {identity!r} answered; the bench file says model {expected.model}, "
                f"serial {expected.serial}"
            )

    def _shut(self, reason: str) -> None:
        link, self._link = self._link, None
        self.poisoned = reason
        if link is not None:
            try:
                link.close()
            except (OSError, pyvisa.errors.Error):  # it is gone already
                return


def _lock(resource: MessageBasedResource) -> None:
    """Take the instrument's own lock, where its interface has one: VXI-11, and others by a vendor's library.

    It keeps programs of other machines out, whatever they are, and ends with the connection.

    Raises
    ------
    ConnectionError
        Another program has it.
    """
    try:
        resource.lock_excl(timeout=0)
    except pyvisa.errors.VisaIOError as error:
        if error.error_code == pyvisa.constants.StatusCode.error_resource_locked:
            raise ConnectionError("another program has locked the instrument; end it, and try again") from None
    except NotImplementedError:
        return  # none on this interface


def _divided(line: str) -> list[str]:
    """The replies in a line; most end in ``0,"No error"``, and have no other text in quotation marks."""
    replies = line.split(";")
    quoted = line.count('"')
    return replies if quoted == 0 or quoted == replies[-1].count('"') == 2 else _SEPARATOR.split(line)


def _link(resource: MessageBasedResource, terminator: str) -> Link:
    stream = _stream(resource)
    if isinstance(stream, socket.socket):
        return _SocketLink(resource, stream, terminator)
    if stream is not None:
        return _SerialLink(resource, stream, terminator)
    return _VisaLink(resource, terminator)


def _stream(resource: MessageBasedResource) -> Any:
    """The socket or serial port under a resource, where the backend is pyvisa-py and the resource is one."""
    sessions = getattr(resource.visalib, "sessions", None)
    interface = getattr(sessions.get(resource.session), "interface", None) if isinstance(sessions, dict) else None
    return interface if isinstance(interface, socket.socket) or hasattr(interface, "in_waiting") else None


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
