"""Emulated benches with field supplies, a gaussmeter, a thermometer and a lock-in, and their bench files."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from emulated import BENCH, SPEED, Emulated, emulated_bench

from spinsweep.bench.bench_file import Bench, parse
from spinsweep.bench.capabilities import Surroundings
from spinsweep.bench.clock import Clock
from spinsweep.bench.drivers import driver
from spinsweep.bench.visa import Session

FIELD, PER_TESLA = 0.02, 100.0  # T, A/T: 2 A in the emulated magnet
RATE = 0.01  # T/s, 1 A/s
MAGNET = f"""
[auxiliary.magnet]
driver = "{{driver}}"
resource = "TCPIP3::127.0.0.1::0::SOCKET"
serial = "EMU1"
field = {FIELD}
current_per_tesla = {PER_TESLA}
max_current = 3.0
ramp = {RATE}
tolerance = 1e-4
"""
KEPCO = MAGNET.format(driver="kepco-bop") + 'supply = "20-20"\nvoltage_limit = 10.0\n'
LAKESHORE = MAGNET.format(driver="lakeshore-643")
GAUSSMETER = f"""
[auxiliary.probe]
driver = "lakeshore-475"
resource = "TCPIP4::127.0.0.1::0::SOCKET"
serial = "EMU2"
field = {FIELD}
tolerance = 2e-4
"""
THERMOMETER = """
[auxiliary.cryostat]
driver = "lakeshore-335"
resource = "TCPIP5::127.0.0.1::0::SOCKET"
serial = "EMU3"
lowest = 290.0
highest = 310.0
"""
LOCK_IN = """[meter]
driver = "sr830"
resource = "TCPIP1::127.0.0.1::0::SOCKET"
serial = "EMU4"
frequency = 137.0
sensitivity = 200e-6
time_constant = 0.03
"""
SINE = BENCH.replace('"keithley-6221"', '"keithley-6221-sine"\nread_frequency = 137.0')
SINE = re.sub(r"\[meter\]\n(?:.+\n)+?(?=\[)", LOCK_IN, SINE)


def parsed(folder: Path, more: str, base: str = BENCH, **changes: Mapping[str, Any]) -> Bench:
    """The bench file with further instruments and other values, its ports as they are in the text."""
    return described({}, folder, base + more, **changes)


def described(ports: Mapping[str, int], folder: Path, text: str, **changes: Mapping[str, Any]) -> Bench:
    """The bench of an emulator that serves ``text``, with other values of instruments' or other sections' keys."""
    raw = tomllib.loads(text)
    auxiliary = raw.get("auxiliary", {})
    for name, section in {**raw, **auxiliary}.items():
        if name in ports:
            section |= {"resource": f"TCPIP::127.0.0.1::{ports[name]}::SOCKET", "timeout": 1.0}
    for name, values in changes.items():
        auxiliary.get(name, raw.get(name, {})).update(values)
    return parse({**raw, "state": str(folder / "state")})


@contextmanager
def emulated(folder: Path, more: str, base: str = BENCH) -> Iterator[Callable[..., tuple[Emulated, Bench]]]:
    """The emulator of a bench with further instruments; called, it gives the bench file with other values."""
    text = base + more
    with emulated_bench(folder, text) as running:
        yield lambda **changes: (running, described(running.ports, folder, text, **changes))


@contextmanager
def opened(bench: Bench, name: str) -> Iterator[Any]:
    """The driver of one instrument, its session open."""
    section = bench.instruments[name]
    session = Session(section, bench.backend)
    made: Any = driver(section.driver)(session, section, Surroundings(Clock(SPEED), 50, bench.channels))
    session.open(5)
    try:
        yield made
    finally:
        session.close()
