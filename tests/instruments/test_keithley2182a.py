"""The nanovoltmeter at an address of its own, and behind the serial port of the source."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from emulated import HIGH, LOW
from served import bench_of, served_problem, serving, started

from instrument_emulator.keithley2182a import EmulatedKeithley2182A
from spinsweep.bench.errors import ConnectionLost, InstrumentFault
from spinsweep.bench.visa import Session

SOURCE = """
[source]
driver = "keithley-6221"
resource = "TCPIP::127.0.0.1::PORT0::SOCKET"
serial = "EMU6221"
range = 2e-3
compliance = 10.0
"""
METER = """
[meter]
driver = "keithley-2182a"
serial = "EMU2182A"
nplc = 1.0
"""
PLACES = {
    "its own address": 'resource = "TCPIP::127.0.0.1::PORT1::SOCKET"',
    "behind the source": 'behind = "source"',
}
READ = 5e-5


@pytest.fixture(params=list(PLACES))
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SimpleNamespace]:
    """A started bench with it, and the emulator."""
    described = bench_of(SOURCE + METER + PLACES[request.param], tmp_path)
    with serving(described) as emulator, started(described) as instruments:
        yield SimpleNamespace(
            bench=described,
            emulator=emulator,
            instruments=instruments,
            source=instruments.source,
            meter=instruments.meter,
            behind=bool(described.meter.behind),
        )


def read(bench: SimpleNamespace) -> float:
    bench.source.read_on(READ)
    try:
        reading = bench.meter.read()
    finally:
        bench.source.read_off()
    assert reading.valid, reading.reason
    return float(reading.volts)


def fault(bench: SimpleNamespace, name: str, **options: object) -> None:
    with bench.emulator.circuit.lock:
        bench.emulator.circuit.faults.set(name, "meter", **options)


def test_it_reads_what_pulses_did(bench: SimpleNamespace) -> None:
    for sign, ohm in ((-1, LOW), (1, HIGH), (-1, LOW)):
        bench.source.pulse(sign * 1e-3, 1e-4)
        assert read(bench) == pytest.approx(ohm * READ, rel=1e-6)


def test_a_voltage_beyond_its_range_is_no_reading(bench: SimpleNamespace) -> None:
    fault(bench, "overflow")
    bench.source.read_on(READ)
    reading = bench.meter.read()
    bench.source.read_off()
    assert (reading.valid, reading.reason) == (False, "overflow")
    assert math.isnan(reading.volts)


@pytest.mark.parametrize(
    "setting",
    [
        "SENS:CHAN 2",
        "SENS:VOLT:RANG 10",
        "SENS:VOLT:NPLC 0.01",
        "SENS:VOLT:DFIL 1",
        "SENS:VOLT:LPAS 1",
        "SYST:FAZ 0",
        "SENS:FUNC 'TEMP'",
    ],
)
def test_a_setting_that_another_program_changed_is_noticed_with_the_reading(
    bench: SimpleNamespace, setting: str
) -> None:
    fault(bench, "foreign", text=setting, match="READ?")
    bench.source.read_on(READ)
    with pytest.raises(InstrumentFault, match=r"2182A .*: .* reads .* where .* was sent; another program"):
        bench.meter.read()
    bench.source.read_off()


@pytest.mark.parametrize(
    ("name", "says"), [("power_cycle", "its power was off"), ("local_key", "its key LOCAL was pressed")]
)
def test_a_reading_after_a_loss_of_power_or_a_key_is_refused(bench: SimpleNamespace, name: str, says: str) -> None:
    fault(bench, name, match="READ?")
    bench.source.read_on(READ)
    with pytest.raises(InstrumentFault, match=says):
        bench.meter.read()
    bench.source.read_off()


def test_a_reading_with_units_is_refused(bench: SimpleNamespace) -> None:
    fault(bench, "units")
    bench.source.read_on(READ)
    with pytest.raises(InstrumentFault, match="with units"):
        bench.meter.read()
    bench.source.read_off()


def test_an_error_of_the_meter_is_told(bench: SimpleNamespace) -> None:
    fault(bench, "errors", match="READ?")
    with pytest.raises(InstrumentFault, match=r"2182A .*reports -221,.*350,\"Queue overflow\" when it was read"):
        bench.meter.read()


def test_another_serial_number_is_refused(tmp_path: Path) -> None:
    for place in PLACES.values():
        described = bench_of(SOURCE + METER + place, tmp_path)
        other = described.model_copy(update={"meter": described.meter.model_copy(update={"serial": "EMU1"})})
        refused = pytest.raises(InstrumentFault, match=r"EMU2182A.* answered.* serial EMU1")
        with serving(described), refused, started(other):
            pass


def test_a_reply_that_does_not_come_back_through_the_source_is_a_lost_connection(tmp_path: Path) -> None:
    described = bench_of(SOURCE + METER + 'timeout = 0.3\nbehind = "source"', tmp_path)
    with serving(described) as emulator, started(described) as instruments:
        emulator.circuit.faults.set("drop", "meter", match="READ?")
        with pytest.raises(ConnectionLost, match=r"2182A behind the source at .*: no complete reply within .* s"):
            instruments.meter.read()
        assert not instruments.sessions["source"].poisoned
        instruments.sessions["meter"].open(5)
        instruments.meter.start()
        assert instruments.meter.read().valid


def test_a_late_reply_never_answers_the_next_question_behind_the_source(tmp_path: Path) -> None:
    described = bench_of(SOURCE + METER + 'behind = "source"', tmp_path)
    with serving(described), started(described) as instruments:
        instruments.sessions["source"].ask(':SYST:COMM:SER:SEND "SENS:CHAN?;*ESE?";*OPC?', 1)
        with pytest.raises(ConnectionLost, match="replies instead of 1"):
            instruments.sessions["meter"].ask("*OPC?", 1)


def test_what_the_source_says_against_relaying_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    described = bench_of(SOURCE + METER + 'behind = "source"', tmp_path)
    with serving(described) as emulator, started(described) as instruments:
        emulator.circuit.faults.set("errors", "source", match="SER:SEND")
        with pytest.raises(ConnectionLost, match="the instrument that relays to it reports -221"):
            instruments.meter.read()


def test_a_lost_link_of_the_source_loses_the_meter_behind_it(tmp_path: Path) -> None:
    described = bench_of(SOURCE + METER + 'behind = "source"', tmp_path)
    with serving(described) as emulator, started(described) as instruments:
        emulator.circuit.faults.set("drop", "source", match="SER:ENT")
        with pytest.raises(ConnectionLost, match="closed the connection"):
            instruments.meter.read()
        assert instruments.sessions["source"].poisoned
        instruments.open(5)
        instruments.start()
        assert instruments.meter.read().valid


def test_messages_behind_the_source_are_short_enough_for_a_reading_of_20_ms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    described = bench_of(SOURCE + METER + 'behind = "source"', tmp_path)
    with serving(described), started(described) as instruments:
        sent: list[str] = []
        ask = Session.ask

        def counted(self: Session, message: str, answers: int, wait: float = 0.0) -> list[str]:
            sent.append(message)
            return ask(self, message, answers, wait)

        monkeypatch.setattr(Session, "ask", counted)
        instruments.meter.read()
        (relayed,) = (message for message in sent if "SER:SEND" in message)
        assert len(relayed) / 1920 < 0.2  # s at 19.2 kBd


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ('behind = "laser"', "meter: behind = 'laser'; it is the name of another instrument's section"),
        ('behind = "meter"', "meter: behind = 'meter'; it is the name"),
        (
            'behind = "source"\nresource = "GPIB0::7::INSTR"',
            "meter: resource 'GPIB0::7::INSTR' is not that of source",
        ),
        (
            'shares = "source"',
            "meter: driver 'keithley-2182a'; with shares = 'source' it is that of the instrument",
        ),
        ("range = 0.02\n" + 'behind = "source"', "meter.range: 0.02 V; it is one of 0.01, 0.1"),
        ("nplc = 20\n" + 'behind = "source"', "meter.nplc: 20 takes 0.8 s with the front end's zero"),
    ],
)
def test_a_section_that_contradicts_itself_is_refused_in_one_line(tmp_path: Path, section: str, says: str) -> None:
    meter = METER.replace("nplc = 1.0\n", "") if "nplc" in section else METER
    assert says in served_problem(SOURCE + meter + section)


def test_only_an_instrument_that_relays_has_another_behind_it() -> None:
    source = SOURCE.replace("keithley-6221", "keithley-2400")
    said = served_problem(source + METER + 'behind = "source"')
    assert "driver 'keithley-2400' relays to no other instrument" in said


def test_the_bench_has_one_owner_by_the_address_of_the_source_and_both_serial_numbers(tmp_path: Path) -> None:
    from spinsweep.bench.lease import exclusive_names

    text = (SOURCE + METER + 'behind = "source"').replace("EMU", "").replace("127.0.0.1::PORT0", "127.0.0.1::9")
    described = bench_of(text, tmp_path, speed=1)
    assert exclusive_names(described) == [
        "TCPIP::127.0.0.1::9::SOCKET",
        "TCPIP::127.0.0.1::9::SOCKET RELAYED",
        "2182A serial 2182A",
        "6221 serial 6221",
    ]


# Its twin.


@pytest.fixture
def twin() -> EmulatedKeithley2182A:
    from emulator.two_resistors import one_resistor

    circuit = one_resistor(1e4)
    circuit.drive(READ, 10.0, circuit.clock.now())
    made = EmulatedKeithley2182A("meter", "EMU1", circuit)
    say(made, "*CLS")
    return made


def say(twin: EmulatedKeithley2182A, message: str) -> str:
    with twin.circuit.lock:
        return twin.execute(message)


def test_the_twin_gives_fresh_readings_old_ones_and_none(twin: EmulatedKeithley2182A) -> None:
    assert say(twin, "FETC?;:SYST:ERR?").startswith("-230")
    first = say(twin, "SENS:VOLT:DFIL 0;:READ?")
    assert say(twin, "FETC?;:SENS:DATA?") == f"{first};{first}"
    assert say(twin, "SENS:DATA:FRES?;:SYST:ERR?").startswith("-230")
    assert say(twin, "TRIG:SOUR BUS;:READ?;:SYST:ERR?").startswith("-214")
    assert say(twin, "INIT;*TRG;:FETC?") == first
    assert say(twin, "INIT:CONT 1;:INIT;:SYST:ERR?").startswith("-213")


def test_the_twins_readings_take_the_time_of_filters_and_zeros(twin: EmulatedKeithley2182A) -> None:
    def time_of(settings: str) -> float:
        before = twin.circuit.clock.now()
        say(twin, f"{settings};:READ?")
        return twin.circuit.clock.now() - before

    assert time_of("SENS:VOLT:NPLC 5;DFIL 0;:SYST:FAZ 0") >= 0.1
    assert time_of("SYST:FAZ 1") >= 0.2
    assert time_of("SENS:VOLT:LPAS 1") >= 0.325
    assert time_of("SENS:VOLT:LPAS 0;DFIL:COUN 20;STAT 1") >= 4.0


def test_the_twins_other_channel_has_nothing_on_it(twin: EmulatedKeithley2182A) -> None:
    assert float(say(twin, "SENS:VOLT:DFIL 0;:READ?")) == pytest.approx(READ)
    assert float(say(twin, "SENS:CHAN 2;:READ?")) == 0.0
    assert say(twin, "SENS:CHAN 1;:FORM:ELEM READ,UNIT;:READ?").endswith("VDC")
