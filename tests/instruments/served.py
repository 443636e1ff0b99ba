"""Benches of any instruments, emulated in this process, from the text of their bench file."""

from __future__ import annotations

import socket
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from emulated import Resistors

from instrument_emulator.server import Emulator
from spinneurons.device.emulation import description
from spinsweep.bench.bench_file import Bench, parse
from spinsweep.bench.capabilities import Envelope
from spinsweep.bench.errors import BenchError
from spinsweep.bench.instruments import Instruments

SPEED = 1e4
REST = """
[timing]
speed = {speed}
pulse_width = {width}
[limits]
max_pulse = 1.5e-3
max_read = 6e-5
max_compliance = 10.0
min_width = 5e-5
max_width = 5e-3
[[device]]
name = "a"
labels = {{device = 0}}
"""


def text_of(instruments: str, ports: int = 4, speed: float = SPEED, width: float = 1e-4) -> str:
    """The text of a bench file; ``PORT0`` and so on in ``instruments`` become ports that are free now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(ports)]
        for number, bound in enumerate(sockets):
            instruments = instruments.replace(f"PORT{number}", str(bound.getsockname()[1]))
    return f'name = "served"\n{instruments}\n{REST.format(speed=speed, width=width)}'


def bench_of(instruments: str, folder: Path, speed: float = SPEED, width: float = 1e-4) -> Bench:
    return parse({**tomllib.loads(text_of(instruments, speed=speed, width=width)), "state": str(folder)})


def served_problem(instruments: str, width: float = 1e-4) -> str:
    """What is wrong with a bench file of these instruments; one line."""
    with pytest.raises(BenchError) as refused:
        parse(tomllib.loads(text_of(instruments, width=width)))
    assert "\n" not in str(refused.value)
    return str(refused.value)


@contextmanager
def serving(bench: Bench) -> Iterator[Emulator]:
    with Emulator(description(bench), Resistors([d.name for d in bench.device])) as emulator:
        yield emulator


@contextmanager
def started(bench: Bench) -> Iterator[Instruments]:
    """Its instruments, open and started, with the limits of the device set."""
    instruments = Instruments(bench)
    try:
        instruments.open(5)
        instruments.start()
        device = bench.device[0]
        limits = bench.limits_of(device)
        envelope = Envelope(
            limits.max_pulse, limits.max_read, limits.min_width, limits.max_width, limits.max_compliance
        )
        instruments.source.limit(envelope, bench.range_of(device))
        yield instruments
    finally:
        instruments.close()
