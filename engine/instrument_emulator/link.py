"""The TCP port of one instrument: messages in, replies out, and everything that can go wrong with a connection."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from instrument_emulator.circuit import Circuit
from instrument_emulator.errors import EmulatorError
from instrument_emulator.faults import Faults
from instrument_emulator.instrument import Instrument
from instrument_emulator.status import USER_REQUEST

LONGEST_MESSAGE_BYTES = 1 << 20
HANDOVER_S = 0.05
"""How long a new connection waits for the end of the one before to be noticed, s."""


class _Disconnect(Exception):
    """The connection ends here."""


def disturb(instrument: Instrument, faults: Faults, role: str, message: str) -> None:
    """What happens to an instrument before a message, whichever way it comes: power, errors, others, its keys."""
    if faults.take("power_cycle", role, message) is not None:
        instrument.power_cycle()
    if faults.take("errors", role, message) is not None:
        for _ in range(11):
            instrument.status.error(-221)
    for name in ("foreign", "local_key"):
        if (other := faults.take(name, role, message)) is not None:
            instrument.execute(other["text"])
            instrument.status.events |= USER_REQUEST if name == "local_key" else 0


class Port:
    """Where one instrument is reached.  Messages end in a terminator; each has at most one reply, of one line.

    Parameters
    ----------
    role : the instrument that belongs here
    address : host and port; port 0 takes a free one
    instruments : all of the bench
    circuit : the bench
    refresh : called when a lasting fault has begun or ended
    terminator : what ends a message and a reply
    """

    def __init__(
        self,
        role: str,
        address: tuple[str, int],
        instruments: Mapping[str, Instrument],
        circuit: Circuit,
        refresh: Callable[[], None],
        terminator: str = "\n",
    ) -> None:
        self.role = role
        self._instruments, self._circuit, self._refresh = instruments, circuit, refresh
        self._end = terminator.encode()
        self._single = instruments[role].single_client
        self._listener: socket.socket | None = None
        self._connections: set[socket.socket] = set()
        self._free = threading.Condition()
        self._held_until = 0.0
        self.connections = 0
        """How many clients have connected so far, also those that were closed at once."""
        self.address = address
        self.listen()

    def listen(self) -> None:
        """Accept connections from now on."""
        if self._listener is not None:
            return
        family = socket.AF_INET6 if ":" in self.address[0] else socket.AF_INET
        try:
            self._listener = socket.create_server(self.address, family=family, backlog=16)
        except OSError as error:
            host, port = self.address
            raise EmulatorError(
                f"{self.role}: {host}:{port} cannot be served ({error.strerror}); is another emulator running?"
            ) from None
        self.address = self._listener.getsockname()[:2]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def stop_listening(self) -> None:
        """Accept no connection any more; existing ones stay."""
        if self._listener is not None:
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread in accept()
            self._listener.close()
            self._listener = None

    def close(self) -> None:
        """Accept no connection and end all."""
        self.stop_listening()
        with self._free:
            for connection in self._connections:
                with suppress(OSError):  # the other side may have gone
                    connection.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with self._free:
                self.connections += 1
                taken = self._single and not self._free.wait_for(lambda: not self._connections, HANDOVER_S)
                if taken or time.monotonic() < self._held_until:
                    connection.close()
                    continue
                self._connections.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._talk(connection)
        except (_Disconnect, OSError):
            pass
        finally:
            with self._free:
                hold = self._circuit.faults.lasting("hold", self.role)
                self._held_until = time.monotonic() + hold["seconds"] if hold else 0.0
                self._connections.remove(connection)
                connection.close()
                self._free.notify_all()

    def _talk(self, connection: socket.socket) -> None:
        rest, late = b"", b""
        while data := connection.recv(65536):
            *lines, rest = (rest + data).split(self._end[-1:])
            for line in lines:
                reply = self._answer(connection, line.decode("ascii", "replace").strip("\r\n"))
                if late and reply:
                    connection.sendall(late)
                    late = b""
                if reply.endswith(self._end):
                    connection.sendall(reply)
                elif reply:  # cut short: the second half comes late
                    half = len(reply) // 2
                    connection.sendall(reply[:half])
                    late = reply[half:] + self._end
            if len(rest) > LONGEST_MESSAGE_BYTES:
                with self._circuit.lock:
                    self._instruments[self.role].status.error(-363)
                rest = b""

    def _answer(self, connection: socket.socket, message: str) -> bytes:
        """Have the message done; the reply as it goes on the wire, empty if there is none."""
        circuit = self._circuit
        with circuit.lock:
            if not circuit.faults:
                circuit.catch_up()
                reply = self._instruments[self.role].execute(message)
                return reply.encode("ascii") + self._end if reply else b""
            return self._faulty_answer(connection, message)

    def _faulty_answer(self, connection: socket.socket, message: str) -> bytes:
        faults = self._circuit.faults
        if faults.message(self.role, message):
            self._refresh()
        instrument = self._instruments[faults.swapped(self.role)]
        disturb(instrument, faults, self.role, message)
        cuts = {name: faults.take(name, self.role, message) for name in ("drop", "reset")}
        reply = ""
        if all(cut is None or cut["executed"] for cut in cuts.values()):
            self._circuit.catch_up()
            reply = instrument.execute(message)
        if cuts["reset"] is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if any(cut is not None for cut in cuts.values()):
            raise _Disconnect
        return self._faulty_reply(message, reply) if reply else b""

    def _faulty_reply(self, message: str, reply: str) -> bytes:
        faults = self._circuit.faults
        if slow := faults.take("slow", self.role, message):
            until = time.monotonic() + slow["seconds"]
            while (left := until - time.monotonic()) > 0:
                self._circuit.lock.wait(left)
        end = b"\r\n" if faults.lasting("crlf", self.role) is not None else self._end
        text = reply.encode("ascii")
        if faults.take("garbage", self.role, message) is not None:
            text = bytes(byte | 0x80 for byte in text)
        if faults.take("partial", self.role, message) is not None:
            return text
        if stray := faults.take("stray", self.role, message):
            return text + end + str(stray["text"]).encode("ascii", "replace") + end
        return text + end
