"""An emulated bench as a whole: its instruments at their addresses, and the control port."""

from __future__ import annotations

import ipaddress
import math
import re
import sys
import threading
from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from instrument_emulator.circuit import Circuit
from instrument_emulator.clock import EmulatedClock
from instrument_emulator.control import ControlPort
from instrument_emulator.description import EMULATED, BenchDescription
from instrument_emulator.dut import DutModel
from instrument_emulator.errors import EmulatorError
from instrument_emulator.gpib_adapter import AdapterPort
from instrument_emulator.instrument import Instrument
from instrument_emulator.link import Port

INSTRUMENTS = "instrument_emulator.instruments"
"""Entry point group: name -> class of an :class:`Instrument`."""

_GPIB = re.compile(r"GPIB\d*::(\d+)(::INSTR)?", re.IGNORECASE)
_SOCKET = re.compile(r"TCPIP\d*::(.+)::(\d+)::SOCKET", re.IGNORECASE)


def instrument_class(model: str) -> type[Instrument]:
    """The class of that name among the installed instruments; ``EmulatorError`` if there is none."""
    installed = _installed(tuple(sys.path))
    if model not in installed:
        raise EmulatorError(f"no emulated instrument {model!r} is installed; installed: {', '.join(installed)}")
    chosen: type[Instrument] = installed[model].load()
    return chosen


@cache
def _installed(path: tuple[str, ...]) -> dict[str, EntryPoint]:
    """Looked up once for each search path: each time reads a file of every installed package."""
    return {point.name: point for point in sorted(entry_points(group=INSTRUMENTS))}


class Emulator:
    """Serves the instruments of ``bench`` until ``close``; a context manager.

    Parameters
    ----------
    bench : instruments, addresses (port 0: a free one), serial numbers, wiring
    dut : the devices, by their names in the bench's routes
    control_port : port of the control port, 0: a free one

    Raises
    ------
    EmulatorError
        An address is not on loopback or cannot be served, a serial number is not that of an emulated instrument, or
        no such instrument is installed.
    """

    def __init__(self, bench: BenchDescription, dut: DutModel, control_port: int = 0) -> None:
        served = {role: i for role, i in bench.instruments.items() if not i.shares and not i.behind}
        addresses = {role: _address(role, i.adapter or i.resource) for role, i in served.items()}
        for role, described in bench.instruments.items():
            if not described.serial.startswith(EMULATED):
                raise EmulatorError(
                    f"{role}: serial {described.serial!r}; those of emulated instruments begin with {EMULATED}"
                )
        self.ended = threading.Event()
        """Set when the control port was asked to quit."""
        self.circuit = Circuit(dut, bench.routes, EmulatedClock(bench.speed), bench.mains, tuple(bench.instruments))
        self._instruments = {
            role: instrument_class(described.model)(role, described.serial, self.circuit)
            for role, described in bench.instruments.items()
            if not described.shares
        }
        for role, described in bench.instruments.items():
            if described.shares:
                self._instruments[role] = self._instruments[described.shares]
            if described.behind:
                self._instruments[described.behind].attach(self._instruments[role])
        self.ports: dict[str, Port] = {}
        """By role; ``address`` of each is where it is served.  An adapter is at that of the first on its bus."""
        try:
            buses: dict[tuple[str, int], dict[int, str]] = {}
            for role, address in addresses.items():
                if served[role].adapter:
                    buses.setdefault(address, {})[_gpib_address(role, served[role].resource)] = role
                else:
                    shared = (self._instruments, self.circuit, self._refresh)
                    self.ports[role] = Port(role, address, *shared, served[role].terminator)
            for address, roles in buses.items():
                first = next(iter(roles.values()))
                self.ports[first] = AdapterPort(roles, address, self._instruments, self.circuit, self._refresh)
            self.control = ControlPort(control_port, self._actions())
        except EmulatorError:
            self._close_ports()
            raise

    def __enter__(self) -> Emulator:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End all connections and free the addresses."""
        self.control.close()
        self._close_ports()

    def exposure(self) -> dict[str, Any]:
        """What was done to the devices so far."""
        with self.circuit.lock:
            self.circuit.catch_up()
            return self.circuit.exposure.report()

    def state(self) -> dict[str, Any]:
        """Instruments and devices as they are now."""
        with self.circuit.lock:
            self.circuit.catch_up()
            currents, state_of = self.circuit.currents, self.circuit.dut.state
            return {
                **{role: instrument.state() for role, instrument in self._instruments.items()},
                "devices": {
                    name: {"connected": name in currents, "current": currents.get(name, 0.0), "state": state_of(name)}
                    for name in self.circuit.routes
                },
                "connections": {role: port.connections for role, port in self.ports.items()},
            }

    def _close_ports(self) -> None:
        for port in self.ports.values():
            port.close()

    def _actions(self) -> Mapping[str, Any]:
        return {
            "set": self._set_fault,
            "clear": self._clear_faults,
            "faults": lambda: self.circuit.faults.report(),
            "exposure": self.exposure,
            "state": self.state,
            "clock": self._clock,
            "quit": self.ended.set,
        }

    def _set_fault(self, **request: Any) -> None:
        with self.circuit.lock:
            self.circuit.faults.set(**request)
            self._refresh()

    def _clear_faults(self, fault: str | None = None, instrument: str | None = None) -> None:
        with self.circuit.lock:
            self.circuit.faults.clear(fault, instrument)
            self._refresh()

    def _refresh(self) -> None:
        """Put into effect what lasting faults begin or end now."""
        self.circuit.catch_up()
        for instrument in self._instruments.values():
            instrument.faults_changed()
        self.circuit.refresh()
        for role, port in self.ports.items():
            if self.circuit.faults.lasting("refuse", role) is None:
                port.listen()
            else:
                port.stop_listening()

    def _clock(self, advance: float = 0.0) -> dict[str, float]:
        if isinstance(advance, bool) or not isinstance(advance, int | float) or not 0 <= advance < math.inf:
            raise EmulatorError(f"clock: advance {advance!r}; it must be a time in s from 0")
        with self.circuit.lock:
            self.circuit.clock.advance(advance)
            self.circuit.lock.notify_all()
            return {"time": self.circuit.catch_up(), "speed": self.circuit.clock.speed}


def _address(role: str, resource: str) -> tuple[str, int]:
    """Host and port of a VISA resource name on loopback."""
    match = _SOCKET.fullmatch(resource)
    if not match:
        raise EmulatorError(f"{role}: resource {resource!r}; an emulator serves TCPIP::127.0.0.1::PORT::SOCKET")
    host, port = match[1], int(match[2])
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback or port > 65535:
        raise EmulatorError(f"{role}: resource {resource!r}; an emulator serves loopback only, such as 127.0.0.1")
    return ("127.0.0.1" if host == "localhost" else host), port


def _gpib_address(role: str, resource: str) -> int:
    """The primary address in a VISA resource name."""
    match = _GPIB.fullmatch(resource)
    if not match or int(match[1]) > 30:
        raise EmulatorError(f"{role}: resource {resource!r}; on an adapter's bus it is GPIB0::NUMBER::INSTR, 0 to 30")
    return int(match[1])
