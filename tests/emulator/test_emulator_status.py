"""Error queue, event registers and status byte."""

from __future__ import annotations

import pytest

from emulator.two_resistors import one_resistor
from instrument_emulator.keithley2000 import EmulatedKeithley2000


@pytest.fixture
def meter() -> EmulatedKeithley2000:
    return EmulatedKeithley2000("meter", "EMU2", one_resistor(1e6))


def test_the_queue_holds_ten_errors_and_the_last_becomes_an_overflow(meter: EmulatedKeithley2000) -> None:
    for _ in range(12):
        meter.execute("NONSENSE")
    codes = [int(meter.execute("SYST:ERR?").split(",")[0]) for _ in range(11)]
    assert codes == [-113] * 9 + [350, 0]


def test_errors_come_oldest_first_by_either_query(meter: EmulatedKeithley2000) -> None:
    meter.execute("NONSENSE")
    meter.execute("FETC?")
    assert meter.execute("STAT:QUE?;:SYST:ERR?") == '-113,"Undefined header";-230,"Data corrupt or stale"'


def test_power_on_is_told_once(meter: EmulatedKeithley2000) -> None:
    assert [meter.execute("*ESR?"), meter.execute("*ESR?")] == ["128", "0"]
    meter.execute("VOLT:NPLC 5")
    meter.power_cycle()
    assert meter.execute("*ESR?;:VOLT:NPLC?") == "128;1.000000E+00"


@pytest.mark.parametrize(("message", "bit"), [("NONSENSE", 32), ("VOLT:NPLC 11", 16), ("*OPC", 1)])
def test_each_kind_of_event_has_its_bit(meter: EmulatedKeithley2000, message: str, bit: int) -> None:
    meter.execute("*CLS")
    meter.execute(message)
    assert meter.execute("*ESR?;*ESR?") == f"{bit};0"


def test_the_status_byte_sums_up_what_is_enabled(meter: EmulatedKeithley2000) -> None:
    meter.execute("*CLS")
    assert meter.execute("*STB?") == "0"
    meter.execute("NONSENSE")
    assert meter.execute("*STB?") == "4"
    meter.execute("*ESE 32;*SRE 32")
    assert meter.execute("*STB?;*ESE?;*SRE?") == f"{4 + 32 + 64};32;32"
    meter.execute("STAT:MEAS:ENAB 32;:READ?")
    assert meter.execute("*STB?") == f"{1 + 4 + 32 + 64}"
    meter.execute("STAT:PRES;*CLS")
    assert meter.execute("*STB?;:STAT:MEAS:ENAB?") == "0;0"


def test_an_event_stays_until_it_is_read_and_a_condition_does_not(meter: EmulatedKeithley2000) -> None:
    meter.execute("INIT")
    assert int(meter.execute("STAT:MEAS:COND?")) & 32
    meter.execute("FETC?")
    assert not int(meter.execute("STAT:MEAS:COND?")) & 32
    assert int(meter.execute("STAT:MEAS:EVEN?")) & 32
    assert meter.execute("STAT:MEAS?") == "0"


def test_reset_leaves_errors_and_events_alone(meter: EmulatedKeithley2000) -> None:
    meter.execute("*CLS;:NONSENSE")
    meter.execute("*RST")
    assert meter.execute("*ESR?;:STAT:QUE?").startswith("32;-113")
    meter.execute("NONSENSE")
    meter.execute("SYST:CLE")
    assert meter.execute("STAT:QUE?") == '0,"No error"'
