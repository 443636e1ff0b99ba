"""The link to one instrument over VISA; the only file that knows pyvisa.

A link is trusted as long as every message gets exactly the replies that it asks for, in time.  After anything else
(silence, a broken line, a line too many, bytes that are no text) nobody can tell which question the next reply
answers, so the session is *poisoned*: it is closed and refuses everything until it is opened again.

pyvisa-py's raw sockets need care (measured with 0.8.1): a port that nobody serves opens without an error; a peer that
closes makes a read spin until its timeout; a late reply answers the next question; Nagle's algorithm costs 44 ms when
a message has two parts, and its VISA attribute cannot be set.  So for them the socket itself is watched, and VISA
reads only what has arrived.
"""

from __future__ import annotations

import re
import select
import socket
import threading
import time
from collections.abc import Callable

import pyvisa
from pyvisa.constants import BufferOperation, InterfaceType
from pyvisa.resources import MessageBasedResource

from spinsweep.bench.errors import BenchError, ConnectionLost, InstrumentFault
from spinsweep.bench.section import InstrumentSection
from spinsweep.bench.settings import POWER_ON

CONNECT_TIMEOUT_S = 90.0
"""s.  A Keithley 6221 refuses new connections for 30 to 60 s after its client died (seen by one laboratory)."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 2.0
"""Between attempts to connect, doubling from the first."""
_CHUNK_BYTES = 4096
_SEPARATOR = re.compile(r';(?=(?:[^"]*"[^"]*")*[^"]*$)')


class _SocketLink:
    """A raw socket of pyvisa-py: the end of the line and unexpected bytes are seen at the socket."""

    def __init__(self, resource: MessageBasedResource, link: socket.socket) -> None:
        self._resource = resource
        self._socket = link
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def check_silence(self) -> None:
        """``ValueError`` unless the receive buffer is empty: it must be before a query."""
        if select.select([self._socket], [], [], 0)[0]:
            raise ValueError(f"{self._peek()!r} came without a question")

    def line(self, timeout: float) -> bytes:
        """One line, complete within ``timeout`` s and with nothing behind it."""
        end = time.monotonic() + timeout
        line = b""
        while not line.endswith(b"\n"):
            left = end - time.monotonic()
            if left <= 0 or not select.select([self._socket], [], [], left)[0]:
                came = f"only {line!r} came" if line else "nothing came"
                raise TimeoutError(f"no complete reply within {timeout:g} s: {came}")
            waiting = self._peek()
            if 0 <= waiting.find(b"\n") < len(waiting) - 1:
                raise ValueError(f"more than one line came: {waiting!r}")
            line += self._resource.read_bytes(len(waiting))
        return line

    def _peek(self) -> bytes:
        waiting = self._socket.recv(_CHUNK_BYTES, socket.MSG_PEEK)
        if not waiting:
            raise ConnectionError("the instrument closed the connection")
        return waiting


class _VisaLink:
    """Any other link, through VISA alone."""

    def __init__(self, resource: MessageBasedResource) -> None:
        self._resource = resource
        # On GPIB, USB and VXI-11 the instrument itself drops an old reply when it is asked anew (IEEE 488.2, 6.3).
        self._bare = resource.interface_type == InterfaceType.asrl or resource.resource_class == "SOCKET"
        if resource.interface_type == InterfaceType.asrl:
            resource.flush(BufferOperation.discard_read_buffer)
        elif not self._bare:
            resource.clear()

    def check_silence(self) -> None:
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

    def line(self, timeout: float) -> bytes:
        """One line within ``timeout`` s."""
        self._resource.timeout = 1000 * timeout
        return bytes(self._resource.read_raw())


class Session:
    """The link to one instrument; one question at a time, from whichever thread.

    ``backend`` is pyvisa's (``@py``, ``@ivi`` or a path).  The session begins closed.
    """

    def __init__(self, instrument: InstrumentSection, backend: str) -> None:
        self.instrument = instrument
        self.backend = backend
        self.poisoned = "the session is not open"
        """Reason the session is unusable; empty when it is healthy."""
        self.power_was_lost = False
        """A reply has said so, and :meth:`powered_on` has not been asked since."""
        self._lock = threading.RLock()
        self._resource: MessageBasedResource | None = None
        self._link: _SocketLink | _VisaLink | None = None

    @property
    def name(self) -> str:
        """What the instrument is called in messages."""
        return f"{self.instrument.model} at {self.instrument.resource}"

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

    def ask(self, message: str, answers: int, wait: float = 0.0) -> list[str]:
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

        Returns
        -------
        The replies, without blanks around them; a ``;`` inside a quoted text does not divide.

        Raises
        ------
        ConnectionLost
            The session was poisoned before, or is now.
        """
        with self._lock:
            if self._resource is None or self._link is None:
                raise ConnectionLost(f"{self.name}: {self.poisoned}; open it again, with the whole handshake")
            try:
                self._link.check_silence()
                self._resource.write(message)
                line = self._link.line(self.instrument.timeout + wait).decode("ascii").strip()
                replies = [reply.strip() for reply in (_SEPARATOR.split(line) if '"' in line else line.split(";"))]
                if len(replies) != answers:
                    raise ValueError(f"{len(replies)} replies instead of {answers}: {line!r}")
            except (OSError, ValueError, pyvisa.errors.Error) as error:
                raise self.distrust(_one_line(error)) from error
            except BaseException:
                self.distrust("a question was interrupted")
                raise
            return replies

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
        milliseconds = int(1000 * self.instrument.timeout)
        try:
            pyvisa.rname.ResourceName.from_string(self.instrument.resource)
        except pyvisa.rname.InvalidResourceName:
            raise BenchError(f"{self.name}: this is not a VISA resource name, such as GPIB0::16::INSTR") from None
        try:
            # The manager is shared by the whole process and closes all sessions with it: it stays open.
            manager = pyvisa.ResourceManager(self.backend)
            resource = manager.open_resource(
                self.instrument.resource,
                open_timeout=milliseconds,
                timeout=milliseconds,
                read_termination="\n",
                write_termination="\n",
            )
        except (ValueError, pyvisa.errors.LibraryError) as error:
            raise BenchError(f"{self.name}: backend {self.backend!r} cannot open it: {_one_line(error)}") from error
        except Exception as error:  # pyvisa-py 0.8 raises Exception itself when it cannot connect
            raise self.distrust(_one_line(error)) from error
        if not isinstance(resource, MessageBasedResource):
            resource.close()
            raise BenchError(f"{self.name}: takes no messages; give an INSTR or SOCKET resource")
        self._resource = resource
        try:
            raw = _raw_socket(resource)
            self._link = _VisaLink(resource) if raw is None else _SocketLink(resource, raw)
        except (OSError, pyvisa.errors.Error) as error:
            raise self.distrust(_one_line(error)) from error
        self.poisoned = ""

    def _identify(self, identity: str) -> None:
        """Compare a reply such as ``KEITHLEY INSTRUMENTS INC.,MODEL 6221,4559777,D04`` with the bench file."""
        fields = [field.strip() for field in identity.split(",")]
        expected = self.instrument
        if expected.identified(fields) != (expected.model, expected.serial):
            self._shut("another instrument answered")
            raise InstrumentFault(
                f"{expected.resource}: {identity!r} answered; the bench file says model {expected.model}, "
                f"serial {expected.serial}"
            )

    def _shut(self, reason: str) -> None:
        resource, self._resource, self._link = self._resource, None, None
        self.poisoned = reason
        if resource is not None:
            try:
                resource.close()
            except (OSError, pyvisa.errors.Error):  # it is gone already
                return


def _raw_socket(resource: MessageBasedResource) -> socket.socket | None:
    """The socket under a resource, where the backend is pyvisa-py and the resource is one."""
    sessions = getattr(resource.visalib, "sessions", None)
    interface = getattr(sessions.get(resource.session), "interface", None) if isinstance(sessions, dict) else None
    return interface if isinstance(interface, socket.socket) else None


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
