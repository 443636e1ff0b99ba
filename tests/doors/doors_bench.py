"""A bench whose instruments have foreign drivers, emulated in this process.

Run as a program, in an environment that has pymeasure, it measures with a meter of pymeasure's and says what it read.
"""

from __future__ import annotations

import socket
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from instrument_emulator.server import Emulator
from spinneurons.device.emulation import description
from spinsweep.bench.bench_file import Bench, parse
from spinsweep.bench.capabilities import Envelope
from spinsweep.bench.instruments import Instruments

WRITE, RESET, READ, WIDTH = 1e-3, -1e-3, 5e-5, 1e-4
SOURCE = """
[source]
driver = "foreign-source"
resource = "TCPIP::127.0.0.1::PORT0::SOCKET"
serial = "EMU6221"
range = 2e-3
compliance = 10.0
"""
METER = """
[meter]
driver = "foreign-meter"
resource = "TCPIP::127.0.0.1::PORT1::SOCKET"
serial = "EMU2000"
"""
AUXILIARY = """
[auxiliary.relays]
driver = "foreign-auxiliary"
resource = "TCPIP::127.0.0.1::PORT2::SOCKET"
serial = "EMU7001"
"""
REST = """
[timing]
speed = 1e4
[limits]
max_pulse = 1.5e-3
max_read = 6e-5
max_compliance = 10.0
[[device]]
name = "a"
labels = {device = 0}
"""
TWINS = {"6221": "keithley-6221", "2000": "keithley-2000", "7001": "keithley-7001"}


class Resistor:
    """1 ohm, and 2 after a large positive pulse."""

    high = False

    def pulse(self, device: str, current: float, width: float) -> None:
        if abs(current) > 5e-4:
            self.high = current > 0

    def voltage(self, device: str, current: float, nplc: float) -> float:
        return current * (2.0 if self.high else 1.0)

    def resistance(self, device: str) -> float:
        return 1000.0

    def state(self, device: str) -> bool:
        return self.high


def bench_of(instruments: str, folder: Path) -> Bench:
    bound = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
    for number, server in enumerate(bound):
        instruments = instruments.replace(f"PORT{number}", str(server.getsockname()[1]))
        server.close()
    return parse({"name": "foreign", "state": str(folder / "state"), **tomllib.loads(instruments + REST)})


@contextmanager
def serving(bench: Bench) -> Iterator[Emulator]:
    """The emulator, with the twin of each model whatever its driver is called."""
    described = description(bench)
    twins = {
        role: replace(i, model=TWINS[bench.instruments[role].model]) for role, i in described.instruments.items()
    }
    with Emulator(replace(described, instruments=twins), Resistor()) as emulator:
        yield emulator


@contextmanager
def started(bench: Bench) -> Iterator[Instruments]:
    """Its instruments, open and started, with the limits of the device set."""
    instruments = Instruments(bench)
    try:
        instruments.open(5)
        instruments.start()
        limits = bench.limits_of(bench.device[0])
        envelope = Envelope(
            limits.max_pulse, limits.max_read, limits.min_width, limits.max_width, limits.max_compliance
        )
        instruments.source.limit(envelope, bench.range_of(bench.device[0]))
        yield instruments
    finally:
        instruments.close()


def main(folder: Path) -> None:
    sys.path.insert(0, str(folder / "site"))
    source = SOURCE.replace("foreign-source", "keithley-6221")
    bench = bench_of(source + METER.replace("foreign-meter", "pymeasure-2000"), folder)
    said = []
    with serving(bench), started(bench) as instruments:
        for current in (RESET, WRITE, RESET):
            instruments.source.pulse(current, WIDTH)
            instruments.source.read_on(READ)
            reading = instruments.meter.read()
            instruments.source.read_off()
            assert reading.valid, reading.reason
            said.append(f"{reading.volts:.0e}")
        foreign = type(instruments.meter.foreign)  # type: ignore[attr-defined]
    print(f"{foreign.__name__} of {foreign.__module__.partition('.')[0]} read {' '.join(said)} V")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
