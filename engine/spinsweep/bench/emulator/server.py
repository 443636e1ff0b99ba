"""An emulated bench as a whole: the instruments of a bench file at its addresses, and the control port."""

from __future__ import annotations

import ipaddress
import math
import re
import threading
from collections.abc import Mapping
from typing import Any

from spinsweep.bench.bench_file import EMULATED, Bench
from spinsweep.bench.emulator.circuit import Circuit
from spinsweep.bench.emulator.clock import Clock
from spinsweep.bench.emulator.control import ControlPort
from spinsweep.bench.emulator.dut import DutModel
from spinsweep.bench.emulator.faults import METER, SOURCE, SWITCH
from spinsweep.bench.emulator.instrument import Instrument
from spinsweep.bench.emulator.link import Port
from spinsweep.bench.emulator.meter2000 import Meter2000
from spinsweep.bench.emulator.source6221 import Source6221
from spinsweep.bench.emulator.switch7001 import Switch7001
from spinsweep.bench.errors import BenchError

_SOCKET = re.compile(r"TCPIP\d*::(.+)::(\d+)::SOCKET", re.IGNORECASE)


class Emulator:
    """Serves the instruments of ``bench`` until ``close``; a context manager.

    Parameters
    ----------
    bench : names, addresses (port 0: a free one), serial numbers, wiring
    terminals : the devices, by the names that they have in the bench
    speed : bench seconds in a real one; None: ``timing.speed`` of the bench
    control_port : port of the control port, 0: a free one

    Raises
    ------
    BenchError
        An address is not on loopback or cannot be served, or a serial number is not one of an emulator.
    """

    def __init__(self, bench: Bench, dut: DutModel, speed: float | None = None, control_port: int = 0) -> None:
        addresses = {role: _address(role, i.resource) for role, i in bench.instruments.items()}
        for role, described in bench.instruments.items():
            if not described.emulated:
                raise BenchError(
                    f"{role}: serial {described.serial!r}; those of emulated instruments begin with {EMULATED}"
                )
        self.ended = threading.Event()
        """Set when the control port was asked to quit."""
        routes = {device.name: frozenset(device.channels) for device in bench.device}
        clock = Clock(bench.timing.speed if speed is None else speed)
        self.circuit = Circuit(dut, routes, clock, bench.timing.mains)
        self._source = Source6221(SOURCE, bench.source.serial, self.circuit)
        self._meter = Meter2000(METER, bench.meter.serial, self.circuit)
        self._switch = Switch7001(SWITCH, bench.switch.serial, self.circuit) if bench.switch else None
        instruments: dict[str, Instrument] = {SOURCE: self._source, METER: self._meter}
        if self._switch:
            instruments[SWITCH] = self._switch
        self.ports: dict[str, Port] = {}
        """By role; ``address`` of each is where it is served."""
        try:
            for role, address in addresses.items():
                single = role == SOURCE  # a 6221 has one client at a time
                self.ports[role] = Port(role, address, instruments, self.circuit, single, self._refresh)
            self.control = ControlPort(control_port, self._actions())
        except BenchError:
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

    def audit(self) -> dict[str, Any]:
        """What was done to the devices so far."""
        with self.circuit.lock:
            self.circuit.catch_up()
            return self.circuit.audit.report()

    def state(self) -> dict[str, Any]:
        """Instruments and devices as they are now."""
        with self.circuit.lock:
            self.circuit.catch_up()
            circuit, source = self.circuit, self._source.values
            return {
                "source": {
                    "output": source["output"],
                    "wave": self._source.phase,
                    "level": source["level"],
                    "current": math.fsum(circuit.currents.values()),
                    "compliance": source["compliance"],
                    "in_compliance": circuit.in_compliance,
                },
                "meter": {"range": self._meter.values["range"], "nplc": self._meter.values["nplc"]},
                "switch": {"closed": sorted(circuit.closed)},
                "devices": {
                    device: {
                        "connected": device in circuit.currents,
                        "current": circuit.currents.get(device, 0.0),
                        "state": circuit.dut.state(device),
                    }
                    for device in circuit.routes
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
            "audit": self.audit,
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
        self._source.interlock_changed()
        if self._switch:
            self._switch.again()
        self.circuit.refresh()
        for role, port in self.ports.items():
            if self.circuit.faults.lasting("refuse", role) is None:
                port.listen()
            else:
                port.stop_listening()

    def _clock(self, advance: float = 0.0) -> dict[str, float]:
        if isinstance(advance, bool) or not isinstance(advance, int | float) or not 0 <= advance < math.inf:
            raise BenchError(f"clock: advance {advance!r}; it is a time in s from 0")
        with self.circuit.lock:
            self.circuit.clock.advance(advance)
            self.circuit.lock.notify_all()
            return {"time": self.circuit.catch_up(), "speed": self.circuit.clock.speed}


def _address(role: str, resource: str) -> tuple[str, int]:
    """Host and port of a VISA resource name on loopback."""
    match = _SOCKET.fullmatch(resource)
    if not match:
        raise BenchError(f"{role}: resource {resource!r}; an emulator serves TCPIP::127.0.0.1::PORT::SOCKET")
    host, port = match[1], int(match[2])
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback or port > 65535:
        raise BenchError(f"{role}: resource {resource!r}; an emulator serves loopback only, such as 127.0.0.1")
    return ("127.0.0.1" if host == "localhost" else host), port
