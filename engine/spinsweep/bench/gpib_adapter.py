"""The GPIB bus behind a Prologix controller, or one that speaks as it does (AR488): one link for all its instruments.

Commands that begin with ``++`` are the adapter's own, everything else goes to the instrument that ``++addr`` names.
CR, LF, ESC and ``+`` in a message are escaped.  With ``++auto 0`` the adapter makes an instrument talk only when it
is told to, and gives up when nothing comes for ``++read_tmo_ms``, at most 3 s; it is told again until time is over.
(Prologix GPIB-ETHERNET controller, user manual 1.6.6.0, sections 8 and 9; AR488 manual, "Command reference".)
"""

from __future__ import annotations

import re
import threading
import time
from typing import Protocol

READ_TIMEOUT_MS = 3000
"""The longest that the adapter takes (``++read_tmo_ms``)."""
PATIENCE_S = READ_TIMEOUT_MS / 1000 + 0.5
"""After which an adapter that was told to read has given up, s."""
BOOT_TIME_S = 2.5
SETTINGS = {
    "++mode": "1",  # controller of its bus
    "++auto": "0",  # reads only when told to
    "++eoi": "1",  # a message to an instrument ends with EOI
    "++eos": "3",  # and with nothing that the adapter adds
    "++eot_enable": "0",  # nothing is added to what instruments say
    "++read_tmo_ms": str(READ_TIMEOUT_MS),
}
_ESCAPED = re.compile(rb"([\r\n\x1b+])")
_UNKNOWN = b"unrecognized command"


class AdapterLine(Protocol):
    """The line to the adapter."""

    def exchange(self, message: str, timeout: float, end: bytes) -> bytes: ...

    def send(self, message: bytes) -> None: ...

    def close(self) -> None: ...


class Bus:
    """One adapter, set up; raises ``ValueError`` if what answers is none, and ``OSError`` if nothing does."""

    def __init__(self, line: AdapterLine, timeout: float) -> None:
        self.lock = threading.RLock()
        self.closed = False
        self._line = line
        self._address = -1
        self._users = 0
        try:
            self.identity = self._identity(timeout)
            if not re.search(r"prologix|ar488|gpib", self.identity, re.IGNORECASE):
                raise ValueError(f"{self.identity!r} answered ++ver, which is no Prologix or AR488 adapter")
            if "prologix" in self.identity.lower():  # where the memory of settings wears out; an AR488 would now save
                line.send(b"++savecfg 0\n")
            for command, value in SETTINGS.items():
                line.send(f"{command} {value}\n".encode())
                if (reply := self._own(command, timeout)) != value:
                    raise ValueError(f"the adapter's {command} reads {reply!r} where {value} was sent")
        except BaseException:
            self.close()
            raise

    def exchange(self, address: int, message: str, timeout: float, end: bytes) -> bytes:
        """Send a message to the instrument at an address; its reply.  After any trouble the bus is closed."""
        with self.lock:
            if self.closed:
                raise ConnectionError("the link to the adapter was lost in a question to another instrument")
            try:
                return self._exchange(address, message, timeout, end)
            except BaseException:  # nobody knows what is on the bus
                self.close()
                raise

    def join(self) -> None:
        """One more instrument uses the bus."""
        self._users += 1

    def leave(self) -> None:
        """One less; the last closes the link."""
        self._users -= 1
        if self._users <= 0:
            self.close()

    def close(self) -> None:
        """Close the link; what it was is not to be trusted any more."""
        self.closed = True
        self._line.close()

    def _exchange(self, address: int, message: str, timeout: float, end: bytes) -> bytes:
        head = b"" if address == self._address else f"++addr {address}\n".encode()
        self._address = address
        self._line.send(head + _ESCAPED.sub(b"\x1b\\1", message.encode()) + b"\n")
        until = time.monotonic() + timeout
        while True:
            left = until - time.monotonic()
            try:
                reply = self._line.exchange("++read eoi", min(max(left, 0.0), PATIENCE_S), end)
            except TimeoutError as error:
                if until - time.monotonic() > 0 and str(error).endswith("nothing came"):
                    continue
                raise TimeoutError(f"no complete reply within {timeout:g} s at GPIB address {address}") from None
            if reply.strip().lower().startswith(_UNKNOWN):
                raise ValueError(f"the adapter, not the instrument, replied {reply.decode('ascii', 'replace')!r}")
            return reply

    def _identity(self, timeout: float) -> str:
        """What the adapter says it is; some start anew when their port is opened, and hear nothing for 2 s."""
        try:
            return self._own("++ver", BOOT_TIME_S)
        except TimeoutError:
            return self._own("++ver", timeout)

    def _own(self, command: str, timeout: float) -> str:
        """What the adapter itself replies."""
        return self._line.exchange(command, timeout, b"\n").decode("ascii", "replace").strip()


class BusLink:
    """The link to one instrument of a bus."""

    def __init__(self, bus: Bus, address: int) -> None:
        self._bus = bus
        self._address = address
        bus.join()

    def exchange(self, message: str, timeout: float, end: bytes) -> bytes:
        """Send a message; its reply, which ``end`` ends within ``timeout`` s."""
        return self._bus.exchange(self._address, message, timeout, end)

    def send(self, message: bytes) -> None:
        """Messages without a reply do not go over a bus."""
        raise NotImplementedError

    def close(self) -> None:
        """Leave the bus to the others."""
        self._bus.leave()
