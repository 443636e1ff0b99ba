"""A bench of resistors that pulses switch between two values, emulated by a process of its own.

Run as a program it reads the names of bench files, and for each it forks a process that serves that bench and prints
its number and its ports as JSON: what takes longest at the start of an emulator is done once.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tomllib
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from instrument_emulator.control import Control
from instrument_emulator.server import Emulator, instrument_class
from spinneurons.device.emulation import description
from spinsweep.bench import bench_file
from spinsweep.bench.capabilities import Envelope, Surroundings
from spinsweep.bench.clock import Clock
from spinsweep.bench.keithley2000 import Keithley2000
from spinsweep.bench.keithley6221 import Keithley6221
from spinsweep.bench.keithley7001 import Keithley7001
from spinsweep.bench.section import InstrumentSection
from spinsweep.bench.visa import Session

SPEED = 1e4
COMPLIANCE = 10.0  # V
PATH = 1000.0  # ohm, of the current
LOW, HIGH = 1.0, 2.0  # ohm, at the meter
THRESHOLD = 5e-4  # A; a larger pulse sets the high or, negative, the low resistance
RANGE = 2e-3  # A
ENVELOPE = Envelope(max_pulse=1.5e-3, max_read=6e-5, min_width=5e-5, max_width=2e-4, max_compliance=COMPLIANCE)
ROUTES = {"a": ("1!1", "1!11"), "b": ("1!2", "1!12")}
SECTIONS = {
    "source": {"driver": "keithley-6221", "serial": "EMU6221", "range": RANGE, "compliance": COMPLIANCE},
    "meter": {"driver": "keithley-2000", "serial": "EMU2000", "nplc": 1.0},
    "switch": {"driver": "keithley-7001", "serial": "EMU7001"},
}
DRIVERS = {"source": Keithley6221, "meter": Keithley2000, "switch": Keithley7001}

BENCH = f"""
name = "resistors"
[source]
driver = "keithley-6221"
resource = "TCPIP0::127.0.0.1::0::SOCKET"
serial = "EMU6221"
range = {RANGE}
compliance = {COMPLIANCE}
[meter]
driver = "keithley-2000"
resource = "TCPIP1::127.0.0.1::0::SOCKET"
serial = "EMU2000"
nplc = 1
[switch]
driver = "keithley-7001"
resource = "TCPIP2::127.0.0.1::0::SOCKET"
serial = "EMU7001"
[timing]
speed = {SPEED}
[limits]
max_pulse = 1.5e-3
max_read = 6e-5
max_compliance = {COMPLIANCE}
[[device]]
name = "a"
labels = {{device = 0}}
channels = ["1!1", "1!11"]
[[device]]
name = "b"
labels = {{device = 1}}
channels = ["1!2", "1!12"]
"""


class Resistors:
    """Terminals with one resistor a device, which remembers the sign of the last large pulse."""

    def __init__(self, devices: Sequence[str]) -> None:
        self.high = dict.fromkeys(devices, False)

    def pulse(self, device: str, current: float, width: float) -> None:
        if abs(current) > THRESHOLD:
            self.high[device] = current > 0

    def voltage(self, device: str, current: float, nplc: float) -> float:
        return current * (HIGH if self.high[device] else LOW)

    def resistance(self, device: str) -> float:
        return PATH

    def state(self, device: str) -> bool:
        return self.high[device]


@dataclass
class Emulated:
    """The process, from outside."""

    ports: dict[str, int]
    """By role."""
    control: Control

    def instrument(self, role: str, timeout: float = 5.0) -> InstrumentSection:
        resource = f"TCPIP::127.0.0.1::{self.ports[role]}::SOCKET"
        return DRIVERS[role].Section(**SECTIONS[role], resource=resource, timeout=timeout)


class Drivers:
    """Sessions and drivers of the bench, with limits set and device a connected once :meth:`start` is done."""

    def __init__(self, emulated: Emulated, timeout: float = 5.0) -> None:
        sections = {role: emulated.instrument(role, timeout) for role in SECTIONS}
        self.sessions = {role: Session(section, "@py") for role, section in sections.items()}
        channels = tuple(channel for route in ROUTES.values() for channel in route)
        surroundings = Surroundings(Clock(SPEED), 50, channels)
        made = {role: DRIVERS[role](self.sessions[role], sections[role], surroundings) for role in SECTIONS}
        self.source, self.meter, self.switch = made["source"], made["meter"], made["switch"]

    def start(self) -> None:
        for session in self.sessions.values():
            session.open(5)
        self.source.safe()
        self.switch.connect(ROUTES["a"])
        self.source.start(COMPLIANCE)
        self.source.limit(ENVELOPE, RANGE)
        self.meter.start()

    def close(self) -> None:
        for session in self.sessions.values():
            session.close()


@contextmanager
def emulated_bench(folder: Path, text: str = BENCH) -> Iterator[Emulated]:
    """The emulator's process, killed at the end."""
    path = folder / "bench.toml"
    path.write_text(text)
    from tests.forks import forks  # late: as a program this file finds none of the tests

    ports = json.loads(forks(__file__).ask(str(path)))
    process = psutil.Process(ports.pop("process"))
    try:
        with Control(ports.pop("control")) as control:
            yield Emulated(ports, control)
    finally:
        process.kill()
        process.wait()


def _serve(path: str) -> None:
    described = bench_file.load(path)
    with Emulator(description(described), Resistors([d.name for d in described.device])) as running:
        ports = {role: port.address[1] for role, port in running.ports.items()}
        print(json.dumps({**ports, "control": running.control.port, "process": os.getpid()}), flush=True)
        running.ended.wait()


if __name__ == "__main__":
    for one in description(bench_file.parse(tomllib.loads(BENCH))).instruments.values():
        instrument_class(one.model)  # what is looked up once
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the killed ones leave nothing
    for line in sys.stdin:
        if os.fork() == 0:
            try:
                _serve(line.rstrip("\n"))
            except BaseException:
                traceback.print_exc()
                print("null", flush=True)  # whoever waits for the ports is not left waiting
            os._exit(0)
