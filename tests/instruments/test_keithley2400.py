"""A SourceMeter that is source and meter in one, and its emulated twin."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from emulated import HIGH, LOW, PATH, THRESHOLD
from served import bench_of, served_problem, serving, started

from emulator.two_resistors import one_resistor
from instrument_emulator.keithley2400 import EmulatedKeithley2400
from spinneurons.device.pulse_cycle import PulseTrains
from spinsweep.bench.acquire import acquire_bench
from spinsweep.bench.bench_file import fingerprint
from spinsweep.bench.errors import InstrumentFault, InterlockOpen, LimitError
from spinsweep.bench.keithley2400 import shortest_pulse
from spinsweep.bench.lease import exclusive_names
from spinsweep.bench.visa import Session

SOURCE = """
[source]
driver = "keithley-2400"
resource = "TCPIP::127.0.0.1::PORT0::SOCKET"
serial = "EMU2400"
timeout = 1.0
range = 1e-2
compliance = 10.0
"""
METER = """
[meter]
driver = "keithley-2400"
shares = "source"
nplc = 1.0
"""
WRITE, RESET, READ, WIDTH = 1e-3, -1e-3, 5e-5, 2e-3


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[SimpleNamespace]:
    described = bench_of(SOURCE + METER, tmp_path, width=WIDTH)
    with serving(described) as emulator, started(described) as instruments:
        yield SimpleNamespace(
            bench=described,
            emulator=emulator,
            instruments=instruments,
            source=instruments.source,
            meter=instruments.meter,
        )


def read(bench: SimpleNamespace, current: float = READ) -> float:
    bench.source.read_on(current)
    try:
        reading = bench.meter.read()
    finally:
        bench.source.read_off()
    assert reading.valid, reading.reason
    return float(reading.volts)


def fault(bench: SimpleNamespace, name: str, role: str = "source", **options: object) -> None:
    with bench.emulator.circuit.lock:
        bench.emulator.circuit.faults.set(name, role, **options)
        bench.emulator._refresh()


def pulses(bench: SimpleNamespace) -> int:
    return int(bench.emulator.exposure()["overall"]["pulses"])


def is_safe(bench: SimpleNamespace) -> bool:
    state = bench.emulator.state()["source"]
    return (state["output"], state["level"], state["current"]) == (False, 0.0, 0.0)


def test_one_instrument_pulses_and_reads(bench: SimpleNamespace) -> None:
    for current, ohm in ((RESET, LOW), (WRITE, HIGH), (RESET, LOW)):
        assert bench.source.pulse(current, WIDTH).compliance is False
        assert is_safe(bench)
        assert read(bench) == pytest.approx(ohm * READ, rel=1e-5)
        assert read(bench, -READ) == pytest.approx(-ohm * READ, rel=1e-5)
    assert pulses(bench) == 3
    assert is_safe(bench)


def test_both_roles_have_one_link_and_one_owner(bench: SimpleNamespace) -> None:
    sessions = bench.instruments.sessions
    assert sessions["meter"] is sessions["source"]
    assert bench.emulator.state()["connections"] == {"source": 1}
    address = bench.bench.source.address
    assert exclusive_names(bench.bench) == [address.replace("TCPIP0", "TCPIP")]
    assert bench.bench.meter.serial == "EMU2400"
    assert fingerprint(bench.bench.model_dump(mode="json"))["meter"] == ["keithley-2400", 0.2, 1.0]


def test_a_train_is_measured_with_it(tmp_path: Path) -> None:
    described = bench_of(SOURCE + METER, tmp_path, width=WIDTH)
    writes = np.array([[WRITE], [THRESHOLD / 2], [WRITE]])
    with serving(described) as emulator:
        with acquire_bench(described) as session, PulseTrains(session, "key") as trains:
            run = trains.run("one", ["a"], writes, [RESET], READ)
            rows = [json.loads(line)["op"] for line in trains.journal.path.read_text().splitlines()]
        assert emulator.exposure()["overall"]["pulses"] == 6
        state = emulator.state()["source"]
    assert np.allclose(run.v_write, READ * np.where(writes == WRITE, HIGH, LOW))
    assert np.allclose(run.v_reset, READ * LOW)
    assert rows.count("fire") == rows.count("result") == 3
    assert (state["output"], state["level"]) == (False, 0.0)


@pytest.mark.parametrize("width", [shortest_pulse(50), 1.5e-3, 2e-3, 4.97e-3])
def test_a_pulse_has_its_width_within_a_step_of_the_delay(
    bench: SimpleNamespace, width: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    lasted: list[tuple[float, float]] = []
    dut = bench.emulator.circuit.dut
    monkeypatch.setattr(dut, "pulse", lambda name, current, time: lasted.append((current, time)))
    bench.source.pulse(WRITE, width)
    ((current, time),) = lasted
    assert current == WRITE
    assert abs(time - width) <= 0.5e-4 + 1e-9


def test_a_pulse_beyond_its_limits_is_refused_and_nothing_is_sent(
    bench: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    monkeypatch.setattr(Session, "ask", lambda self, message, *_: sent.append(message))
    refused = [(1.6e-3, WIDTH), (math.nan, WIDTH), (1e-7, WIDTH), (WRITE, 1e-4), (WRITE, 6e-3), (WRITE, math.nan)]
    for current, width in refused:
        with pytest.raises(LimitError, match="nothing was sent"):
            bench.source.pulse(current, width)
    for current in (7e-5, math.inf, math.nan):
        with pytest.raises(LimitError, match="nothing was sent"):
            bench.source.read_on(current)
    assert sent == []


def test_a_pulse_in_compliance_says_so_and_a_read_too(bench: SimpleNamespace) -> None:
    fault(bench, "open", device="a")
    assert bench.source.pulse(WRITE, WIDTH).compliance is True
    bench.source.read_on(READ)
    reading = bench.meter.read()
    assert bench.source.read_off() is True
    assert not reading.valid
    assert is_safe(bench)


def test_the_end_of_the_measuring_range_limits_the_voltage_of_two_wires_and_is_no_reading(tmp_path: Path) -> None:
    two_wires = SOURCE + "four_wire = false\n"
    described = bench_of(two_wires + METER, tmp_path, width=WIDTH)
    with serving(described) as emulator, started(described) as instruments:
        instruments.source.read_on(READ)
        assert instruments.meter.read().volts == pytest.approx(READ * PATH)
        assert instruments.source.read_off() is False
        emulator.circuit.dut.resistance = lambda device: 1e4  # 0.5 V, beyond 0.2 V
        instruments.source.read_on(READ)
        assert not instruments.meter.read().valid
        assert instruments.source.read_off() is True


@pytest.mark.parametrize(
    "command",
    ["SOUR:CURR 1.4e-3", "SENS:VOLT:PROT 5", "SOUR:DEL 0.1", "SYST:RSEN 0", "SOUR:CURR:RANG 0.1", "SOUR:FUNC VOLT"],
)
def test_what_another_program_sets_between_check_and_use_does_not_reach_the_device(
    bench: SimpleNamespace, command: str
) -> None:
    fault(bench, "foreign", text=command, match="READ?")
    bench.source.pulse(WRITE, WIDTH)
    exposure = bench.emulator.exposure()["overall"]
    assert (exposure["pulses"], exposure["max_requested"]) == (1, WRITE)
    assert is_safe(bench)


@pytest.mark.parametrize("command", ["SENS:VOLT:NPLC 0.01", "SENS:VOLT:RANG 2", "SYST:RSEN 0", "SENS:AVER 1"])
def test_a_reading_with_other_settings_is_refused(bench: SimpleNamespace, command: str) -> None:
    bench.source.read_on(READ)
    fault(bench, "foreign", text=command, match="READ?")
    with pytest.raises(InstrumentFault, match="was sent; another program"):
        bench.meter.read()
    bench.source.read_off()


@pytest.mark.parametrize(
    ("name", "says"), [("power_cycle", "its power was off"), ("local_key", "its key LOCAL was pressed")]
)
@pytest.mark.parametrize("action", ["pulse", "read"])
def test_a_loss_of_power_or_a_key_is_noticed(bench: SimpleNamespace, action: str, name: str, says: str) -> None:
    fault(bench, name, match="SENS:FUNC")
    with pytest.raises(InstrumentFault, match=says):
        bench.source.pulse(WRITE, WIDTH) if action == "pulse" else bench.source.read_on(READ)
    assert pulses(bench) == 0


def test_an_open_output_enable_line_is_an_open_interlock_and_takes_the_output_off(bench: SimpleNamespace) -> None:
    bench.source.read_on(READ)
    fault(bench, "interlock")
    assert bench.emulator.state()["source"]["output"] is False
    with pytest.raises(InstrumentFault, match=r"803,.* when it was read"):
        bench.meter.read()
    with pytest.raises(InterlockOpen, match="output-enable line is open"):
        bench.source.pulse(WRITE, WIDTH)
    assert pulses(bench) == 0


def test_the_note_before_firing_comes_before_the_pulse(bench: SimpleNamespace) -> None:
    seen: list[int] = []
    bench.source.on_fire = lambda: seen.append(pulses(bench))
    bench.source.pulse(WRITE, WIDTH)
    assert (seen, pulses(bench)) == ([0], 1)

    def full() -> None:
        raise OSError("no space left on device")

    bench.source.on_fire = full
    with pytest.raises(OSError, match="no space"):
        bench.source.pulse(WRITE, WIDTH)
    assert pulses(bench) == 1
    assert bench.emulator.state()["source"]["output"] is False


def test_nothing_flows_before_limits_are_set(bench: SimpleNamespace) -> None:
    bench.source.start(10.0)
    with pytest.raises(LimitError, match="before the limits of a device"):
        bench.source.pulse(WRITE, WIDTH)
    with pytest.raises(LimitError, match="no range of 0"):
        bench.source.limit(bench.source._envelope or (1.0,) * 5, 0.002)


def test_overflow_and_no_number_are_no_readings(bench: SimpleNamespace) -> None:
    for name in ("overflow", "nan"):
        fault(bench, name, "meter")
        bench.source.read_on(READ)
        reading = bench.meter.read()
        bench.source.read_off()
        assert (reading.valid, reading.reason) == (False, "overflow")


@pytest.mark.parametrize(
    ("text", "width", "says"),
    [
        (SOURCE + METER, 1e-4, "timing.pulse_width 0.0001 s: a 2400 makes no pulse below 0.00108 s at 50 Hz"),
        (SOURCE.replace("1e-2", "2e-3") + METER, WIDTH, "device a: range 0.002 A; it is one of 1e-06, 1e-05"),
        (SOURCE.replace("1e-2", "1e-3") + METER, WIDTH, "device a: max_pulse 0.0015 A is beyond the source's range"),
        (SOURCE + METER + "range = 0.5\n", WIDTH, "meter.range: 0.5 V; it is one of 0.2, 2.0"),
        (
            SOURCE + METER.replace('shares = "source"', 'resource = "GPIB0::9::INSTR"\nserial = "EMU1"'),
            WIDTH,
            'meter: a 2400 measures what it drives itself; write shares = "source"',
        ),
        (SOURCE + METER + "compliance = 3.0\n", WIDTH, "meter.compliance: extra inputs"),
    ],
)
def test_what_it_cannot_do_is_refused_in_one_line(text: str, width: float, says: str) -> None:
    assert says in served_problem(text, width=width)


# Its twin.


@pytest.fixture
def twin() -> EmulatedKeithley2400:
    made = EmulatedKeithley2400("source", "EMU1", one_resistor(1e4))
    say(made, "*CLS;:SOUR:FUNC CURR;:SENS:FUNC:CONC 0;:SENS:FUNC 'VOLT';:FORM:ELEM VOLT,STAT;:SENS:VOLT:PROT 10")
    assert error(made) == 0
    return made


def say(twin: EmulatedKeithley2400, message: str) -> str:
    with twin.circuit.lock:
        return twin.execute(message)


def error(twin: EmulatedKeithley2400) -> int:
    return int(say(twin, "SYST:ERR?").split(",")[0])


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("READ?", 803),
        ("SENS:VOLT:RANG 200", 824),
        ("SENS:VOLT:RANG 20;PROT 0.01", 822),
        ("SENS:VOLT:PROT 100;:SOUR:CURR:RANG 1", 826),
        ("SOUR:CURR:RANG 1E-3;:SOUR:CURR 2E-3", -222),
        ("SOUR:CURR 1E-3;:SOUR:CURR:RANG 1E-4", -221),
        ("ARM:SOUR BUS;:OUTP 1;:READ?", -214),
        ("FETC?", -230),
        ("SOUR:CURR:MODE LIST;:OUTP 1;:INIT", -221),
        ("SENS:FUNC 'RES'", -224),
    ],
)
def test_the_twin_refuses_as_the_manual_says(twin: EmulatedKeithley2400, message: str, code: int) -> None:
    say(twin, message)
    assert error(twin) == code


def test_the_twins_status_tells_compliance(twin: EmulatedKeithley2400) -> None:
    volts, word = say(twin, "SOUR:CURR 1E-3;:OUTP 1;:READ?").split(",")
    assert float(volts) == pytest.approx(1e-3 * PATH)
    assert not int(float(word)) & (1 << 3 | 1 << 16)
    assert say(twin, "SENS:VOLT:PROT:TRIP?;:STAT:MEAS?").split(";")[0] == "0"
    volts, word = say(twin, "SOUR:CURR 2E-2;:READ?").split(",")
    assert float(volts) == pytest.approx(10.0)
    assert int(float(word)) & 1 << 3
    trip, event = say(twin, "SENS:VOLT:PROT:TRIP?;:STAT:MEAS?").split(";")
    assert (trip, int(event) & 1 << 14) == ("1", 1 << 14)
    volts, word = say(twin, "SENS:VOLT:RANG 0.2;:READ?").split(",")
    assert float(volts) == pytest.approx(0.211)
    assert int(float(word)) & 1 << 16


def test_a_list_of_currents_is_played_as_often_as_triggers_say(twin: EmulatedKeithley2400) -> None:
    say(twin, "SOUR:LIST:CURR 1E-3,2E-3,0;:SOUR:CURR:MODE LIST;:TRIG:COUN 3;:FORM:ELEM VOLT;:OUTP 1")
    readings = [float(v) for v in say(twin, "READ?").split(",")]
    assert readings == pytest.approx([1e-3 * PATH, 2e-3 * PATH, 0.0])
    assert say(twin, "OUTP?;:SOUR:LIST:CURR:POIN?") == "1;3"


def test_the_twins_output_goes_off_by_itself_only_when_told_to(twin: EmulatedKeithley2400) -> None:
    assert say(twin, "SOUR:CURR 1E-3;:SOUR:CLE:AUTO 1;:OUTP?") == "0"
    say(twin, "READ?")
    assert say(twin, "OUTP?") == "0"
    assert twin.circuit.exposure.report()["overall"]["pulses"] == 1
    say(twin, "SOUR:CLE:AUTO 0;:OUTP 1;:READ?")
    assert say(twin, "OUTP?") == "1"
    say(twin, "*RST")
    assert twin.state()["output"] is False


def test_autozero_makes_a_pulse_longer(twin: EmulatedKeithley2400) -> None:
    widths = []
    for autozero in (0, 1):
        say(twin, f"SYST:AZER {autozero};:SENS:VOLT:NPLC 0.01;:SOUR:DEL 0;:SOUR:CURR 1E-3;:SOUR:CLE:AUTO 1;:READ?")
        widths.append(twin.circuit.dut.pulses[-1][2])
    assert widths == pytest.approx([1.075e-3, 3.355e-3], rel=1e-6)
