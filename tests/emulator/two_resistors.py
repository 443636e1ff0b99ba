"""Two resistors on an emulated bench, and a plain socket to talk to its instruments."""

from __future__ import annotations

import socket
from dataclasses import replace

from instrument_emulator.circuit import Circuit
from instrument_emulator.clock import EmulatedClock
from instrument_emulator.description import BenchDescription, InstrumentDescription

PATH = 1000.0  # ohm
HALL = {"a": 1.0, "b": 2.0}  # ohm, at the meter
CHANNELS = {"a": ("1!1", "1!11"), "b": ("1!2", "1!12")}
PULSE = "*CLS;:SOUR:WAVE:FUNC ARB0;FREQ 5000;AMPL 1E-3;OFFS 0;DUR:CYCL 1;:SOUR:WAVE:ARB:DATA {sign},0"


class Resistors:
    """Terminals that keep every segment of current that they are told of."""

    def __init__(self) -> None:
        self.pulses: list[tuple[str, float, float]] = []

    def pulse(self, device: str, current: float, width: float) -> None:
        self.pulses.append((device, current, width))

    def voltage(self, device: str, current: float, nplc: float) -> float:
        return current * HALL[device]

    def resistance(self, device: str) -> float:
        return PATH

    def state(self, device: str) -> int:
        return len(self.pulses)


def one_resistor(speed: float = 1.0) -> Circuit:
    """A bench without a switch and with one device, without sockets."""
    return Circuit(Resistors(), {"a": frozenset()}, EmulatedClock(speed))


INSTRUMENTS = {
    "source": InstrumentDescription("keithley-6221", "EMU1", "TCPIP0::127.0.0.1::0::SOCKET"),
    "meter": InstrumentDescription("keithley-2000", "EMU2", "TCPIP1::127.0.0.1::0::SOCKET"),
    "switch": InstrumentDescription("keithley-7001", "EMU3", "TCPIP2::127.0.0.1::0::SOCKET"),
}


def described(switch: bool = True, **changes: dict[str, str]) -> BenchDescription:
    """The resistors at free ports, emulated time 10,000 times faster; ``changes`` are values of instruments."""
    instruments = {role: i for role, i in INSTRUMENTS.items() if switch or role != "switch"}
    for role, values in changes.items():
        instruments[role] = replace(instruments[role], **values)
    routes = {name: frozenset(channels) for name, channels in CHANNELS.items()} if switch else {"a": frozenset[str]()}
    return BenchDescription(instruments, routes, speed=1e4)


class Wire:
    """A plain TCP client that reads line by line."""

    def __init__(self, address: tuple[str, int], timeout: float = 5.0) -> None:
        self.socket = socket.create_connection(address, timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self.socket.makefile("rb")

    def write(self, message: str) -> None:
        self.socket.sendall(message.encode() + b"\n")

    def line(self) -> bytes:
        """The next line with its end; empty if the other side has closed."""
        return self._file.readline()

    def ask(self, message: str) -> str:
        self.write(message)
        line = self.line()
        if not line.endswith(b"\n"):
            raise ConnectionError(f"no whole line but {line!r}")
        return line.rstrip(b"\r\n").decode()

    def close(self) -> None:
        self._file.close()
        self.socket.close()
