"""An emulated bench of two resistors behind a switch, with connections to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from emulator.two_resistors import CHANNELS, Resistors, Wire, described
from instrument_emulator.control import Control
from instrument_emulator.server import Emulator

Connect = Callable[[str], Wire]


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(described(), Resistors()) as running:
        yield running


@pytest.fixture
def control(emulator: Emulator) -> Iterator[Control]:
    with Control(emulator.control.port) as client:
        yield client


@pytest.fixture
def connect(emulator: Emulator) -> Iterator[Connect]:
    """Opens a connection to the instrument of a role; closed at the end."""
    wires: list[Wire] = []

    def open_wire(role: str) -> Wire:
        wires.append(Wire(emulator.ports[role].address))
        return wires[-1]

    yield open_wire
    for wire in wires:
        wire.close()


@pytest.fixture
def source(connect: Connect) -> Wire:
    """The source, its power-on event read, with device ``a`` connected."""
    switch = connect("switch")
    switch.ask(f"ROUT:CLOS (@{','.join(CHANNELS['a'])});*OPC?")
    wire = connect("source")
    wire.ask("*ESR?")
    return wire


@pytest.fixture
def meter(connect: Connect) -> Wire:
    wire = connect("meter")
    wire.ask("FORM:ELEM READ;:VOLT:RANG 0.1;NPLC 1;*ESR?")
    return wire
