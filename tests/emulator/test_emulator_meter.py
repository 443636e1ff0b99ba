"""The voltmeter: ranges, formats, triggers, the time of a reading."""

from __future__ import annotations

import threading
import time

import pytest

from emulator.two_resistors import HALL, one_resistor
from instrument_emulator.circuit import Circuit
from instrument_emulator.keithley2000 import EmulatedKeithley2000

CURRENT = 5e-5  # A


@pytest.fixture
def circuit() -> Circuit:
    circuit = one_resistor(1e4)
    circuit.drive(CURRENT, 10.0, circuit.clock.now())
    return circuit


@pytest.fixture
def meter(circuit: Circuit) -> EmulatedKeithley2000:
    meter = EmulatedKeithley2000("meter", "EMU2", circuit)
    meter.execute("*CLS;:SENS:VOLT:DC:RANG 0.1;:FORM:ELEM READ")
    return meter


def ask(meter: EmulatedKeithley2000, message: str) -> str:
    with meter.circuit.lock:
        return meter.execute(message)


def error(meter: EmulatedKeithley2000) -> int:
    return int(ask(meter, "SYST:ERR?").split(",")[0])


def test_a_reading_is_the_voltage_of_the_device(meter: EmulatedKeithley2000) -> None:
    assert float(ask(meter, "READ?")) == CURRENT * HALL["a"]


def test_replies_have_units_until_told_otherwise(circuit: Circuit) -> None:
    meter = EmulatedKeithley2000("meter", "EMU2", circuit)
    assert ask(meter, "READ?") == "+5.00000000E-05VDC, 0INTCHAN"
    assert ask(meter, "FORM:ELEM CHAN,READ;ELEM?;:READ?") == "READ,CHAN;+5.00000000E-05, 0"
    assert ask(meter, "FORM:ELEM READ;:READ?") == "+5.00000000E-05"


def test_a_voltage_beyond_the_range_is_the_overflow_mark(meter: EmulatedKeithley2000, circuit: Circuit) -> None:
    circuit.drive(0.119, 1e3, circuit.clock.now())
    assert float(ask(meter, "READ?")) == 0.119
    circuit.drive(0.1201, 1e3, circuit.clock.now())
    assert ask(meter, "READ?") == "+9.9E37"
    assert int(ask(meter, "STAT:MEAS:EVEN?")) & 1
    assert float(ask(meter, "SENS:VOLT:DC:RANG 0.5;RANG?;:READ?").split(";")[1]) == 0.1201
    assert ask(meter, "SENS:VOLT:DC:RANG?") == "1.000000E+00"


def test_autorange_finds_the_least_range(meter: EmulatedKeithley2000, circuit: Circuit) -> None:
    circuit.drive(5.0, 1e4, circuit.clock.now())
    assert ask(meter, "SENS:VOLT:DC:RANG:AUTO 1;:READ?;:SENS:VOLT:DC:RANG?") == "+5.00000000E+00;1.000000E+01"


def test_fetch_repeats_the_last_reading_and_fresh_does_not(meter: EmulatedKeithley2000) -> None:
    ask(meter, "FETC?")
    assert error(meter) == -230
    first = ask(meter, "READ?")
    assert ask(meter, "FETC?") == ask(meter, "FETC?") == first
    ask(meter, "SENS:DATA:FRES?")
    assert error(meter) == -230
    assert ask(meter, "INIT;:SENS:DATA:FRES?") == first


@pytest.mark.parametrize("nplc", [1.0, 10.0])
def test_a_reading_takes_its_power_line_cycles(meter: EmulatedKeithley2000, circuit: Circuit, nplc: float) -> None:
    before = circuit.clock.now()
    start = time.monotonic()
    ask(meter, f"VOLT:NPLC {nplc};:READ?")
    assert nplc / 50 <= circuit.clock.now() - before
    assert time.monotonic() - start < 1.0


def test_samples_and_triggers_multiply_until_it_is_configured_anew(meter: EmulatedKeithley2000) -> None:
    assert len(ask(meter, "SAMP:COUN 3;:TRIG:COUN 2;:READ?").split(",")) == 6
    assert ask(meter, "CONF:VOLT:DC;:CONF?;:READ?") == '"VOLT:DC";+5.00000000E-05'


def test_a_trigger_that_never_comes_is_a_deadlock(meter: EmulatedKeithley2000) -> None:
    ask(meter, "TRIG:SOUR BUS;:READ?")
    assert error(meter) == -214
    assert float(ask(meter, "INIT;*TRG;:FETC?")) == CURRENT
    ask(meter, "TRIG:SOUR IMM;*TRG")
    assert error(meter) == -211


def test_a_meter_that_runs_by_itself_cannot_be_started(meter: EmulatedKeithley2000) -> None:
    ask(meter, "INIT:CONT 1;:READ?")
    assert error(meter) == -213
    assert float(ask(meter, "FETC?")) == CURRENT


def test_the_buffer_takes_readings_until_it_is_full(meter: EmulatedKeithley2000) -> None:
    ask(meter, "TRAC:POIN 3;FEED SENS;FEED:CONT NEXT;:SAMP:COUN 2;:INIT;:INIT;:INIT")
    assert len(ask(meter, "TRAC:DATA?").split(",")) == 3
    assert ask(meter, "TRAC:FEED:CONT?") == "NEV"
    assert int(ask(meter, "STAT:MEAS:COND?")) & 512
    ask(meter, "TRAC:CLE;DATA?")
    assert error(meter) == -230


def test_a_current_that_ends_within_a_reading_counts_with_its_mean() -> None:
    circuit = one_resistor()
    circuit.drive(CURRENT, 10.0, circuit.clock.now())
    meter = EmulatedKeithley2000("meter", "EMU2", circuit)

    def end() -> None:
        with circuit.lock:
            circuit.drive(0.0, 10.0, circuit.clock.now())

    timer = threading.Timer(0.1, end)
    timer.start()
    reading = float(ask(meter, "FORM:ELEM READ;:VOLT:NPLC 10;:READ?"))
    timer.join()
    assert 0.3 * CURRENT < reading < 0.9 * CURRENT


def test_averages_take_as_many_readings(meter: EmulatedKeithley2000, circuit: Circuit) -> None:
    before = circuit.clock.now()
    assert float(ask(meter, "VOLT:AVER:COUN 5;STAT 1;:READ?")) == CURRENT
    assert circuit.clock.now() - before >= 5 / 50


def test_only_direct_voltage_is_measured(meter: EmulatedKeithley2000) -> None:
    assert ask(meter, "SENS:FUNC 'VOLT:DC';FUNC?") == '"VOLT:DC"'
    ask(meter, "SENS:FUNC 'RES'")
    assert error(meter) == -224
