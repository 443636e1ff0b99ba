"""Emulated supplies, thermometers and the lock-in, and the endless sine that it reads, over plain sockets."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest

from emulator.two_resistors import HALL, Resistors, Wire
from instrument_emulator.control import Control
from instrument_emulator.description import BenchDescription, InstrumentDescription
from instrument_emulator.server import Emulator

MODELS = {
    "source": "keithley-6221", "meter": "sr830", "voltmeter": "keithley-2000", "supply": "lakeshore-643",
    "bop": "kepco-bop", "thermometer": "lakeshore-336",
}  # fmt: skip
ENDLESS = "SOUR:WAVE:PMAR:STAT 1;:SOUR:WAVE:FUNC SIN;FREQ 100;AMPL 1E-4;DUR:TIME INF;:SOUR:WAVE:ARM;INIT;*OPC?"
STARTED = f"{ENDLESS};:STAT:QUE?;:OUTP?"
X = 1e-4 * HALL["a"] / math.sqrt(2)


class Bench:
    """One resistor at many instruments; time stands still but for what :meth:`later` adds (a real s is a bench s)."""

    def __init__(self, emulator: Emulator, control: Control) -> None:
        self.control, self.later = control, lambda seconds: control.clock(seconds)
        self.wires = {role: Wire(port.address) for role, port in emulator.ports.items()}

    def ask(self, role: str, message: str) -> str:
        return self.wires[role].ask(message)


@pytest.fixture
def bench() -> Iterator[Bench]:
    instruments = {
        role: InstrumentDescription(model, f"EMU{role}", f"TCPIP{n}::127.0.0.1::0::SOCKET")
        for n, (role, model) in enumerate(MODELS.items())
    }
    described = BenchDescription(instruments, {"a": frozenset()})
    with Emulator(described, Resistors()) as emulator, Control(emulator.control.port) as control:
        made = Bench(emulator, control)
        yield made
        for wire in made.wires.values():
            wire.close()


def test_an_endless_sine_has_hardly_a_mean_at_a_direct_voltmeter(bench: Bench) -> None:
    bench.ask("source", ENDLESS)
    bench.ask("voltmeter", "*RST;:FORM:ELEM READ;*OPC?")
    assert abs(float(bench.ask("voltmeter", "READ?"))) < 1e-5  # of 100 µV: the part of a period that is not whole


def test_the_peak_of_an_endless_sine_counts_for_range_and_compliance(bench: Bench) -> None:
    low = f"SOUR:CURR:RANG 2E-5;:SOUR:WAVE:RANG FIX;:{STARTED}"
    assert bench.ask("source", low).split(";")[1].startswith("-222")
    bench.ask("source", f"*RST;:{ENDLESS}".replace("1E-4", "2E-2"))  # 20 V at 1 kilohm, compliance 10 V
    bench.later(1.0)
    assert int(bench.ask("source", "STAT:MEAS:EVEN?")) & 8


def test_a_lock_in_answers_each_query_on_a_line_of_its_own_and_knows_no_opc(bench: Bench) -> None:
    wire = bench.wires["meter"]
    assert wire.ask("*CLS;SENS?;OFLT?") == "26"
    assert wire.line() == b"8\n"
    assert [wire.ask(message) for message in ("SENS17;SENS?", "OFLT 9;OFLT?", "OEXP?1")] == ["17", "9", "0,0"]
    wire.write("*OPC?")
    assert wire.ask("*ESR?") == "32"


def test_a_lock_in_settles_through_as_many_poles_as_its_slope_says(bench: Bench) -> None:
    bench.ask("meter", "FMOD 0;OFLT 13;OFSL 1;SENS 20;FMOD?")  # 30 s, two poles
    bench.ask("source", ENDLESS)
    shares = []
    for seconds in (30.0, 30.0, 240.0):
        bench.later(seconds)
        shares.append(float(bench.ask("meter", "OUTP? 1")) / X)
    assert shares == pytest.approx([1 - 2 * math.exp(-1), 1 - 3 * math.exp(-2), 1], abs=0.05)
    x, y, frequency = map(float, bench.ask("meter", "SNAP? 1,2,9").split(","))
    assert (x, y, frequency) == (pytest.approx(X, rel=0.01), 0, 100)


def test_a_lock_in_turns_with_its_phase(bench: Bench) -> None:
    bench.ask("meter", "FMOD 0;OFLT 0;SENS 20;PHAS 90;FMOD?")
    bench.ask("source", ENDLESS)
    bench.later(1.0)
    x, y, theta = (float(bench.ask("meter", f"OUTP? {i}")) for i in (1, 2, 4))
    assert (x, y, theta) == (pytest.approx(0, abs=1e-9), pytest.approx(-X, rel=1e-3), pytest.approx(-90))


def test_a_lock_in_keeps_in_its_status_what_has_been_until_it_is_read(bench: Bench) -> None:
    assert bench.ask("meter", "OFLT 0;SENS 20;LIAS?") == "8"  # no reference yet
    bench.ask("source", ENDLESS)
    bench.later(1.0)
    assert [bench.ask("meter", "LIAS?") for _ in range(2)] == ["8", "0"]
    assert bench.ask("meter", "SENS 10;LIAS?") == "4"
    bench.ask("source", f"SOUR:WAVE:ABOR;:{ENDLESS}".replace("STAT 1", "STAT 0"))
    assert bench.ask("meter", "LIAS?") == "12"


def test_a_643_ramps_with_time_stops_and_keeps_its_limits(bench: Bench) -> None:
    assert bench.ask("supply", "*CLS;LIMIT 10,0.5;RATE 0.1;SETI 5;*ESR?") == "0"
    bench.later(20)
    ramping, state = bench.ask("supply", "RDGI?;OPST?").split(";")
    assert float(ramping) == pytest.approx(2, abs=0.1)
    assert state == "000"
    bench.later(40)
    assert bench.ask("supply", "RDGI?;OPST?;SETI?") == "+5.0000;002;+5.0000"
    assert bench.ask("supply", "SETI 11;RATE 0.6;*ESR?;SETI?;RATE?") == "16;+5.0000;+0.1000"
    bench.ask("supply", "SETI 0;RDGI?")
    bench.later(20)
    bench.ask("supply", "STOP;RDGI?")
    bench.later(100)
    assert float(bench.ask("supply", "RDGI?")) == pytest.approx(3, abs=0.1)
    bench.control.set("flow_switch", "supply")
    assert bench.ask("supply", "ERST?;RDGI?") == "000,032;+0.0000"


def test_a_bop_jumps_within_the_limit_of_its_other_channel(bench: Bench) -> None:
    assert bench.ask("bop", "FUNC:MODE CURR;:VOLT 6;:CURR 2;:OUTP 1;:MEAS:CURR?;:FUNC:MODE?") == "2.0000E+00;1"
    assert bench.ask("bop", "CURR -5;:MEAS:CURR?;:MEAS:VOLT?") == "-3.0000E+00;-6.0000E+00"
    assert bench.ask("bop", "OUTP 0;:MEAS:CURR?;:SYST:ERR?") == '0.0000E+00;0,"No error"'
    assert bench.control.state()["bop"]["largest_step"] == 5


def test_a_thermometer_reads_the_sensor_that_is_asked_for(bench: Bench) -> None:
    bench.control.set("temperature", "thermometer", kelvin=4.2)
    assert bench.ask("thermometer", "KRDG? D;RDGST? D") == "+4.200;000"
    assert bench.ask("thermometer", "*CLS;KRDG? E;*ESR?") == "16"
    bench.control.set("sensor", "thermometer")
    assert bench.ask("thermometer", "RDGST? A") == "128"
