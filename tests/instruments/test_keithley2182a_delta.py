"""The delta mode of a 6221 and a 2182A: readings without thermal voltages, within the same limits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from emulated import HIGH, LOW
from served import bench_of, served_problem, serving, started

from spinneurons.device.pulse_cycle import PulseTrains
from spinsweep.bench.acquire import acquire_bench
from spinsweep.bench.errors import InstrumentFault, LimitError
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
driver = "keithley-2182a-delta"
serial = "EMU2182A"
behind = "source"
nplc = 1.0
"""
WRITE, RESET, READ, WIDTH = 1e-3, -1e-3, 5e-5, 1e-4
THERMAL, DRIFT = 4e-4, 2e-6  # V, and V per voltage


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[SimpleNamespace]:
    """A started bench whose contacts have a thermal voltage that drifts."""
    described = bench_of(SOURCE + METER, tmp_path)
    with serving(described) as emulator:
        dut, plain, count = emulator.circuit.dut, emulator.circuit.dut.voltage, iter(range(10**6))
        dut.voltage = lambda *what: plain(*what) + THERMAL + DRIFT * next(count)
        with started(described) as instruments:
            yield SimpleNamespace(
                emulator=emulator, instruments=instruments, source=instruments.source, meter=instruments.meter
            )


def read(bench: SimpleNamespace, current: float = READ) -> float:
    bench.source.read_on(current)
    try:
        reading = bench.meter.read()
    finally:
        bench.source.read_off()
    assert reading.valid, reading.reason
    return float(reading.volts)


def fault(bench: SimpleNamespace, name: str, role: str, **options: object) -> None:
    with bench.emulator.circuit.lock:
        bench.emulator.circuit.faults.set(name, role, **options)
        bench.emulator._refresh()


def test_thermal_voltages_and_their_drift_cancel(bench: SimpleNamespace) -> None:
    for pulse, ohm in ((RESET, LOW), (WRITE, HIGH)):
        bench.source.pulse(pulse, WIDTH)
        assert read(bench) == pytest.approx(ohm * READ, rel=1e-6)
        assert read(bench, -READ) == pytest.approx(-ohm * READ, rel=1e-6)
    assert bench.emulator.state()["source"]["output"] is False


def test_several_readings_of_one_current_have_the_same_sign(bench: SimpleNamespace) -> None:
    bench.source.pulse(RESET, WIDTH)
    bench.source.read_on(READ)
    volts = [bench.meter.read().volts for _ in range(4)]
    bench.source.read_off()
    assert volts == pytest.approx([LOW * READ] * 4, rel=1e-6)


def test_either_sign_is_within_the_limits_and_no_more_is_sent(
    bench: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    read(bench)
    assert bench.emulator.exposure()["overall"]["max_steady"] == READ
    sent: list[str] = []
    monkeypatch.setattr(Session, "ask", lambda self, message, *_: sent.append(message))
    for current in (7e-5, -7e-5, float("nan"), 0.0):
        with pytest.raises(LimitError, match="nothing was sent"):
            bench.source.read_on(current)
    assert sent == []


def test_nothing_flows_before_limits_are_set(bench: SimpleNamespace) -> None:
    bench.source.start(10.0)
    with pytest.raises(LimitError, match="before the limits of a device"):
        bench.source.read_on(READ)


def test_an_open_contact_ends_the_mode_and_is_compliance(bench: SimpleNamespace) -> None:
    fault(bench, "open", "source", device="a")
    bench.source.read_on(READ)
    reading = bench.meter.read()
    assert not reading.valid
    assert bench.source.read_off() is True
    assert bench.emulator.state()["source"]["output"] is False


def test_the_safe_state_ends_the_mode(bench: SimpleNamespace) -> None:
    bench.source.read_on(READ)
    bench.meter.read()
    assert bench.emulator.state()["source"]["output"] is True
    bench.instruments.safe()
    state = bench.emulator.state()["source"]
    assert (state["output"], state["current"]) == (False, 0.0)
    assert read(bench) == pytest.approx(LOW * READ, rel=1e-6)


def test_an_open_interlock_ends_the_mode_and_lets_none_begin(bench: SimpleNamespace) -> None:
    bench.source.read_on(READ)
    fault(bench, "interlock", "source")
    assert bench.emulator.state()["source"]["output"] is False
    bench.source.read_off()
    with pytest.raises(InstrumentFault, match="802"):
        bench.source.read_on(READ)


@pytest.mark.parametrize("text", ["SENS:VOLT:RANG 1", "SENS:VOLT:NPLC 0.1", "SENS:VOLT:DFIL 1"])
def test_a_meter_that_was_set_otherwise_is_refused(bench: SimpleNamespace, text: str) -> None:
    fault(bench, "foreign", "meter", text=text)
    with pytest.raises(InstrumentFault, match=r"2182A behind the source .* was sent; another program"):
        bench.source.read_on(READ)


def test_what_another_program_sets_between_check_and_use_does_not_reach_the_device(bench: SimpleNamespace) -> None:
    fault(bench, "foreign", "source", text="SOUR:DELT:HIGH 1e-3", match="SOUR:DELT:ARM;")
    assert read(bench) == pytest.approx(LOW * READ, rel=1e-6)
    assert bench.emulator.exposure()["overall"]["max_steady"] == READ


def test_a_source_that_loses_its_power_in_the_mode_gives_no_reading(bench: SimpleNamespace) -> None:
    bench.source.read_on(READ)
    fault(bench, "power_cycle", "source")
    with pytest.raises(InstrumentFault, match="its power was off"):
        bench.meter.read()


def test_a_train_is_measured_in_delta_mode(tmp_path: Path) -> None:
    described = bench_of(SOURCE + METER, tmp_path)
    with serving(described) as emulator, acquire_bench(described) as session:
        with PulseTrains(session, "key") as trains:
            run = trains.run("one", ["a"], np.full((2, 1), WRITE), [RESET], READ)
        assert emulator.exposure()["overall"]["pulses"] == 4
    assert np.allclose(run.v_write, HIGH * READ)
    assert np.allclose(run.v_reset, LOW * READ)


def test_it_is_behind_the_source_or_refused() -> None:
    meter = METER.replace('behind = "source"', 'resource = "GPIB0::7::INSTR"')
    assert 'hangs at the serial port of the 6221; write behind = "source"' in served_problem(SOURCE + meter)
    assert "a reading takes 0.606 s" in served_problem(SOURCE + METER.replace("nplc = 1.0", "nplc = 10.0"))
