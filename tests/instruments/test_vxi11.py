"""The lock of an instrument on VXI-11, over the protocol itself; the port of its port mapper is root's."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from pyvisa_py.protocols import rpc, vxi11

from spinsweep.bench.errors import ConnectionLost
from spinsweep.bench.keithley2000 import Keithley2000Section
from spinsweep.bench.visa import Session

MAPPER_PORT = 111
IDENTITY = "KEITHLEY INSTRUMENTS INC.,MODEL 2000,1234567,A08 /A02"
DEVICE_LOCKED, END = 11, 4


class Twin:
    """One instrument, and who holds its lock."""

    def __init__(self) -> None:
        self.links = 0
        self.locked_by = 0
        self.ports: dict[int, int] = {}


class Served(rpc.Server):  # type: ignore[misc]
    """A program of RPC on one connection."""

    def __init__(self, twin: Twin, program: int, version: int) -> None:
        self.twin, self.link, self.question = twin, 0, b""
        super().__init__("127.0.0.1", program, version, 0)

    def addpackers(self) -> None:
        self.packer, self.unpacker = vxi11.Vxi11Packer(), vxi11.Vxi11Unpacker("")

    def handle_3(self) -> None:  # of the port mapper
        program = self.unpacker.unpack_uint()
        for _ in range(3):
            self.unpacker.unpack_uint()
        self.turn_around()
        self.packer.pack_uint(self.twin.ports.get(program, 0))

    def handle_10(self) -> None:  # create_link
        self.unpacker.unpack_int(), self.unpacker.unpack_bool()
        self.unpacker.unpack_uint(), self.unpacker.unpack_string()
        self.turn_around()
        self.twin.links += 1
        self.link = self.twin.links
        self.packer.pack_int(0)
        self.packer.pack_int(self.link)
        self.packer.pack_uint(0)
        self.packer.pack_uint(4096)

    def handle_11(self) -> None:  # device_write
        self.unpacker.unpack_int(), self.unpacker.unpack_uint(), self.unpacker.unpack_uint()
        self.unpacker.unpack_int()
        self.question = self.unpacker.unpack_opaque()
        self.turn_around()
        self._pack(0 if self._mine() else DEVICE_LOCKED)
        self.packer.pack_uint(len(self.question))

    def handle_12(self) -> None:  # device_read
        for unpack in ("int", "uint", "uint", "uint", "int", "int"):
            getattr(self.unpacker, f"unpack_{unpack}")()
        self.turn_around()
        self._pack(0)
        self.packer.pack_int(END)
        self.packer.pack_opaque(f"{IDENTITY}\n".encode())

    def handle_15(self) -> None:  # device_clear
        self._generic()
        self._pack(0 if self._mine() else DEVICE_LOCKED)

    def handle_18(self) -> None:  # device_lock
        self.unpacker.unpack_int(), self.unpacker.unpack_int(), self.unpacker.unpack_uint()
        self.turn_around()
        mine = self._mine()
        self.twin.locked_by = self.link if mine else self.twin.locked_by
        self._pack(0 if mine else DEVICE_LOCKED)

    def handle_23(self) -> None:  # destroy_link
        self.unpacker.unpack_int()
        self.turn_around()
        self.ended()
        self._pack(0)

    def ended(self) -> None:
        if self.twin.locked_by == self.link:
            self.twin.locked_by = 0

    def _mine(self) -> bool:
        return self.twin.locked_by in (0, self.link)

    def _generic(self) -> None:
        self.unpacker.unpack_int(), self.unpacker.unpack_int()
        self.unpacker.unpack_uint(), self.unpacker.unpack_uint()
        self.turn_around()

    def _pack(self, error: int) -> None:
        self.packer.pack_int(error)


@contextmanager
def serving(twin: Twin, program: int, version: int, port: int) -> Iterator[int]:
    """A program on a port of loopback, a thread for each connection."""
    with socket.create_server(("127.0.0.1", port)) as listener:

        def serve(connection: socket.socket) -> None:
            def received(size: int) -> bytes:
                if data := connection.recv(size):
                    return data
                raise EOFError  # pyvisa-py's own would ask a connection that has ended again and again, for ever

            served: Any = Served(twin, program, version)
            with connection, suppress(EOFError, OSError):
                while True:
                    reply = served.handle(rpc._recvrecord(connection, None, received))
                    rpc._sendrecord(connection, reply)
            served.ended()

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    threading.Thread(target=serve, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def twin() -> Iterator[Twin]:
    made = Twin()
    try:
        with (
            serving(made, vxi11.DEVICE_CORE_PROG, vxi11.DEVICE_CORE_VERS, 0) as port,
            serving(made, rpc.PMAP_PROG, rpc.PMAP_VERS, MAPPER_PORT),
        ):
            made.ports[vxi11.DEVICE_CORE_PROG] = port
            yield made
    except OSError as error:
        pytest.skip(f"port {MAPPER_PORT} of the port mapper cannot be taken here: {error}")


def session() -> Session:
    section = Keithley2000Section(
        driver="keithley-2000", resource="TCPIP::127.0.0.1::inst0::INSTR", serial="1234567", timeout=2.0
    )
    return Session(section, "@py")


def test_an_instrument_on_vxi11_is_locked_while_it_has_an_owner_and_a_second_program_is_told(twin: Twin) -> None:
    owner, other = session(), session()
    owner.open(1.0)
    assert twin.locked_by == 1
    with pytest.raises(ConnectionLost, match="another program has locked the instrument; end it, and try again"):
        other.open(0.3)
    assert owner.ask("*IDN?", 1) == [IDENTITY]
    owner.close()
    assert twin.locked_by == 0
    other.open(1.0)
    other.close()
