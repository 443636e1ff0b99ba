"""The voltmeter: ranges, formats, triggers, the time of a reading."""

from __future__ import annotations

import math
import threading

import pytest
from tests.timing import fastest

from emulator.two_resistors import HALL, one_resistor
from instrument_emulator.circuit import Circuit
from instrument_emulator.keithley2000 import EmulatedKeithley2000
from instrument_emulator.keithley6221 import EmulatedKeithley6221

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
    assert ask(meter, "SYST:PRES;:FORM:ELEM?;*RST;:FORM:ELEM?") == "READ,CHAN,UNIT;READ"


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
    def read() -> None:
        before = circuit.clock.now()
        ask(meter, f"VOLT:NPLC {nplc};:READ?")
        assert nplc / 50 <= circuit.clock.now() - before

    assert fastest(read, 1.0) < 1.0


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


def test_alternating_voltage_is_the_root_mean_square_about_the_mean() -> None:
    circuit = one_resistor(1e4)
    source = EmulatedKeithley6221("source", "EMU1", circuit, arm_delay=0.0)
    meter = EmulatedKeithley2000("meter", "EMU2", circuit)
    wave = "SOUR:WAVE:FUNC SIN;FREQ 1000;AMPL 1E-3;OFFS 2E-4;DUR:TIME INF;:SOUR:WAVE:ARM;INIT"
    with circuit.lock:
        source.execute(wave)
    ask(meter, "FORM:ELEM READ;:CONF:VOLT:AC;:VOLT:AC:RANG:AUTO 1")
    assert float(ask(meter, "READ?")) == pytest.approx(1e-3 / math.sqrt(2), rel=0.01)
    assert float(ask(meter, "MEAS:VOLT:DC?")) == pytest.approx(2e-4, abs=2e-5)
    assert float(ask(meter, "MEAS:FREQ?")) == 1000.0
    assert float(ask(meter, "MEAS:PER?")) == 1e-3
    with circuit.lock:
        source.execute("SOUR:WAVE:ABOR")
    assert float(ask(meter, "MEAS:FREQ?")) == 0.0
    assert error(meter) == 0


@pytest.mark.parametrize("function", ["RES", "FRES", "TEMP", "DIOD", "CONT"])
def test_what_needs_more_than_the_wires_to_the_device_reads_as_with_open_leads(
    meter: EmulatedKeithley2000, function: str
) -> None:
    assert ask(meter, f"MEAS:{function}?") == "+9.9E37"
    assert ask(meter, "SENS:FUNC?") == f'"{function}"'


def test_nothing_flows_through_its_current_terminals(meter: EmulatedKeithley2000) -> None:
    assert [float(ask(meter, f"MEAS:CURR:{kind}?")) for kind in ("DC", "AC")] == [0.0, 0.0]


def test_a_function_keeps_its_settings_until_it_is_configured(meter: EmulatedKeithley2000) -> None:
    ask(meter, "SENS:VOLT:AC:NPLC 5;:SENS:VOLT:DC:NPLC 2;:SENS:FUNC 'VOLT:AC'")
    assert ask(meter, "SENS:VOLT:AC:NPLC?;:SENS:VOLT:NPLC?") == "5.000000E+00;2.000000E+00"
    assert ask(meter, "CONF:VOLT:AC;:SENS:VOLT:AC:NPLC?;:SENS:VOLT:NPLC?") == "1.000000E+00;2.000000E+00"
    assert ask(meter, "FUNC 'VOLT';FUNC?") == '"VOLT:DC"'
    assert error(meter) == 0


def test_a_reference_is_subtracted(meter: EmulatedKeithley2000) -> None:
    ask(meter, "SENS:VOLT:REF:ACQ")
    assert error(meter) == -230  # there is no reading yet
    ask(meter, "READ?")
    assert float(ask(meter, "SENS:VOLT:REF:ACQ;:SENS:VOLT:REF:STAT 1;:READ?")) == 0.0
    assert float(ask(meter, "SENS:VOLT:REF?")) == CURRENT * HALL["a"]
    assert float(ask(meter, "SENS:VOLT:REF 1E-5;:READ?")) == pytest.approx(CURRENT * HALL["a"] - 1e-5)


def test_readings_are_calculated_with_and_kept_so(meter: EmulatedKeithley2000) -> None:
    ask(meter, "CALC:FORM MXB;KMAT:MMF 2;MBF 1;:CALC:STAT 1;:TRAC:POIN 3;FEED CALC;FEED:CONT NEXT;:SAMP:COUN 3;:INIT")
    assert float(ask(meter, "CALC:DATA?")) == pytest.approx(1 + 2 * CURRENT * HALL["a"])
    kept = [float(text) for text in ask(meter, "TRAC:DATA?").split(",")]
    assert kept == pytest.approx([1 + 2 * CURRENT * HALL["a"]] * 3)
    assert float(ask(meter, "CALC2:FORM MEAN;IMM?")) == pytest.approx(kept[0])
    assert float(ask(meter, "CALC2:FORM SDEV;IMM?")) == pytest.approx(0)
    assert ask(meter, "CALC3:LIM:UPP 1E-6;FAIL?") == "1"


def test_the_buffer_says_how_full_it_is(meter: EmulatedKeithley2000) -> None:
    ask(meter, "TRAC:POIN 4;FEED:CONT NEXT;:*CLS")
    ask(meter, "READ?")
    assert int(ask(meter, "STAT:MEAS:COND?")) & 896 == 0
    ask(meter, "READ?")
    assert int(ask(meter, "STAT:MEAS:COND?")) & 896 == 128 + 256
    assert ask(meter, "TRAC:FREE?") == "32,32"


def test_a_scanner_card_is_missing(meter: EmulatedKeithley2000) -> None:
    ask(meter, "ROUT:CLOS (@1)")
    assert error(meter) == -241
    assert ask(meter, "*OPT?") == "0"


def test_a_setup_comes_back_with_its_format(meter: EmulatedKeithley2000) -> None:
    ask(meter, "FORM:ELEM CHAN,READ;:VOLT:NPLC 5;*SAV 0;*RST")
    assert ask(meter, "FORM:ELEM?;:VOLT:NPLC?") == "READ;1.000000E+00"
    assert ask(meter, "*RCL 0;:FORM:ELEM?;:VOLT:NPLC?") == "READ,CHAN;5.000000E+00"
