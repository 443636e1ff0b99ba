"""A Prologix GPIB-ETHERNET controller with the emulated instruments on its bus, as one TCP port.

Its own commands begin with ``++``; other lines go to the instrument that ``++addr`` names, with CR, LF, ESC and ``+``
escaped by ESC.  (Prologix GPIB-ETHERNET controller, user manual 1.6.6.0, sections 8 and 9.)

Not modelled: device mode, service requests, triggers, secondary addresses, ``++eos`` other than 3.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping

from instrument_emulator.circuit import Circuit
from instrument_emulator.instrument import Instrument
from instrument_emulator.link import Port

VERSION = "Prologix GPIB-ETHERNET Controller version 01.06.06.00"
UNKNOWN = "Unrecognized command"
DEFAULTS = {"++mode": 1, "++auto": 1, "++eoi": 1, "++eos": 0, "++eot_enable": 0, "++eot_char": 0,
            "++read_tmo_ms": 200, "++savecfg": 1, "++lon": 0}  # fmt: skip
ESCAPE = 0x1B


class AdapterPort(Port):
    """Where the adapter is reached, by one client at a time.

    Parameters
    ----------
    roles : the instruments on the bus by their addresses
    """

    def __init__(
        self,
        roles: Mapping[int, str],
        address: tuple[str, int],
        instruments: Mapping[str, Instrument],
        circuit: Circuit,
        refresh: Callable[[], None],
    ) -> None:
        self.roles = roles
        self.settings = dict(DEFAULTS)
        self.addressed = next(iter(roles))
        self._outputs: dict[int, bytes] = {}
        """Replies that no controller has read yet, by address."""
        self._took = 0.0
        """Real time that the last message has kept its instrument from replying, s."""
        super().__init__(roles[self.addressed], address, instruments, circuit, refresh)
        self._single = True

    def _talk(self, connection: socket.socket) -> None:
        data = b""
        while more := connection.recv(65536):
            data += more
            while (cut := _line(data)) is not None:
                line, for_adapter, data = cut
                reply = self._do(line) if for_adapter else self._forward(connection, line)
                if reply:
                    connection.sendall(reply)

    def _forward(self, connection: socket.socket, line: bytes) -> bytes:
        """Give a message to the addressed instrument; what the adapter says by itself."""
        role = self.roles.get(self.addressed)
        if role is None or not line:
            return b""
        self.role = role
        if self._outputs.pop(self.addressed, b""):  # asked anew before the reply was read (IEEE 488.2, 6.3.2.3)
            self._instruments[role].status.error(-410)
        began = time.monotonic()
        reply = self._answer(connection, line.decode("ascii", "replace"))
        self._took = time.monotonic() - began
        if reply:
            self._outputs[self.addressed] = reply
        return self._read() if self.settings["++auto"] else b""

    def _do(self, line: bytes) -> bytes:
        """One of the adapter's own commands; its reply."""
        word, *values = line.decode("ascii", "replace").lower().split()
        if word == "++ver":
            return _said(VERSION)
        if word == "++addr":
            return self._address(values)
        if word == "++read":
            return self._read()
        if word == "++clr":
            self._outputs.pop(self.addressed, None)
            return b""
        if word == "++spoll":
            role = self.roles.get(self.addressed)
            return b"" if role is None else _said(str(self._instruments[role].status.byte()))
        if word in ("++ifc", "++loc", "++llo", "++trg"):
            return b""
        if word not in self.settings:
            return _said(UNKNOWN)
        if not values:
            return _said(str(self.settings[word]))
        if not values[0].isdecimal():
            return _said(UNKNOWN)
        self.settings[word] = int(values[0])
        return b""

    def _address(self, values: list[str]) -> bytes:
        if not values:
            return _said(str(self.addressed))
        if not values[0].isdecimal() or int(values[0]) > 30:
            return _said(UNKNOWN)
        self.addressed = int(values[0])
        return b""

    def _read(self) -> bytes:
        """What the addressed instrument has to say; nothing if it takes longer than the adapter waits."""
        patience = self.settings["++read_tmo_ms"] / 1000
        if self._took > patience:
            self._took -= patience
            return b""
        return self._outputs.pop(self.addressed, b"")


def _said(text: str) -> bytes:
    return f"{text}\r\n".encode()


def _line(data: bytes) -> tuple[bytes, bool, bytes] | None:
    """The first line of some bytes without its escapes, whether it is the adapter's own, and the rest.

    None if there is no whole line.
    """
    line, position = bytearray(), 0
    while position < len(data):
        letter = data[position]
        if letter == ESCAPE:
            position += 1
            line += data[position : position + 1]
        elif letter in b"\r\n":
            return bytes(line), data.startswith(b"++"), data[position + 1 :]
        else:
            line.append(letter)
        position += 1
    return None
