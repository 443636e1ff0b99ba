"""Instruments with a foreign driver in roles of the bench: with small ones of our own, and with pymeasure's."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from doors_bench import AUXILIARY, METER, READ, RESET, SOURCE, WIDTH, WRITE, bench_of, serving, started
from lab_dist import install

from spinneurons.device.pulse_cycle import PulseTrains
from spinsweep.bench import drivers
from spinsweep.bench.acquire import acquire_bench
from spinsweep.bench.adapter import Line
from spinsweep.bench.errors import ConnectionLost, InstrumentFault, LimitError
from spinsweep.bench.visa import Session

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
DRIVERS = {
    "foreign-meter": "ForeignMeter",
    "foreign-source": "ForeignSource",
    "foreign-auxiliary": "ForeignAuxiliary",
}


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The foreign drivers are found by their entry points."""
    (tmp_path / "site").mkdir()
    site = install(tmp_path / "site", HERE / "foreign_drivers.py", DRIVERS)
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("PYTHONPATH", str(site))  # of the watchdog
    drivers.driver.cache_clear()
    yield
    drivers.driver.cache_clear()


@pytest.fixture
def bench(installed: None, tmp_path: Path) -> Iterator[SimpleNamespace]:
    described = bench_of(SOURCE + METER + AUXILIARY, tmp_path)
    with serving(described) as emulator, started(described) as instruments:
        yield SimpleNamespace(
            bench=described,
            emulator=emulator,
            instruments=instruments,
            source=instruments.source,
            meter=instruments.meter,
        )


def fault(bench: SimpleNamespace, name: str, role: str, **options: object) -> None:
    with bench.emulator.circuit.lock:
        bench.emulator.circuit.faults.set(name, role, **options)


def pulses(bench: SimpleNamespace) -> int:
    return int(bench.emulator.exposure()["overall"]["pulses"])


def test_foreign_drivers_pulse_and_read_under_our_limits(bench: SimpleNamespace) -> None:
    for current, ohm in ((RESET, 1.0), (WRITE, 2.0)):
        assert bench.source.pulse(current, WIDTH).compliance is False
        bench.source.read_on(READ)
        reading = bench.meter.read()
        assert bench.source.read_off() is False
        assert reading.volts == pytest.approx(ohm * READ, rel=1e-5)
    assert pulses(bench) == 2
    assert bench.emulator.state()["source"]["output"] is False


def test_what_is_beyond_the_limits_reaches_no_foreign_driver(
    bench: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    monkeypatch.setattr(Session, "ask", lambda self, message, *_: sent.append(message))
    monkeypatch.setattr(Session, "exchange", lambda self, message, *_: sent.append(message))
    for current, width in ((1.6e-3, WIDTH), (float("nan"), WIDTH), (WRITE, 1e-6), (WRITE, 1.0)):
        with pytest.raises(LimitError, match="nothing was sent"):
            bench.source.pulse(current, width)
    with pytest.raises(LimitError, match="nothing was sent"):
        bench.source.read_on(7e-5)
    assert sent == []


def test_a_value_that_the_foreign_driver_clips_reads_back_otherwise_and_is_refused(bench: SimpleNamespace) -> None:
    with pytest.raises(InstrumentFault, match=r"6221 .*: source_range reads 0\.1 where 0\.2 was sent"):
        bench.source.put({"source_range": 0.2})


@pytest.mark.parametrize(
    ("role", "text", "match", "says"),
    [
        (
            "meter",
            "SENS:VOLT:DC:NPLC 0.01",
            "READ?",
            r"nplc reads 0\.01 where 1\.0 .*the reading is not used",
        ),
        ("source", "SOUR:WAVE:AMPL 1.4e-3", "SOUR:WAVE:ARM", r"amplitude reads 0\.0014 .*a pulse was fired with it"),
    ],
)
def test_a_change_by_another_program_is_found_afterwards(
    bench: SimpleNamespace, role: str, text: str, match: str, says: str
) -> None:
    fault(bench, "foreign", role, text=text, match=match)
    with pytest.raises(InstrumentFault, match=says):
        bench.source.pulse(WRITE, WIDTH) if role == "source" else bench.meter.read()
    assert bench.emulator.state()["source"]["output"] is False


def test_what_is_no_number_is_no_reading(bench: SimpleNamespace) -> None:
    fault(bench, "units", "meter")
    with pytest.raises(InstrumentFault, match=r"gives '.*VDC' instead of a voltage"):
        bench.meter.read()
    fault(bench, "overflow", "meter")
    assert bench.meter.read().valid is False


def test_events_and_errors_are_ours_to_see(bench: SimpleNamespace) -> None:
    fault(bench, "power_cycle", "meter", match="*ESR?")
    with pytest.raises(InstrumentFault, match="its power was off"):
        bench.meter.read()
    with pytest.raises(InstrumentFault, match=r"reports -222.* when its driver sent :SENS:VOLT:NPLC 1000"):
        bench.meter.foreign.line.write(":SENS:VOLT:NPLC 1000")


def test_a_link_that_answers_out_of_step_is_poisoned_as_with_our_own_drivers(bench: SimpleNamespace) -> None:
    fault(bench, "stray", "meter", match="READ?")
    with pytest.raises(ConnectionLost, match="more than one line came"):
        bench.meter.read()
    assert bench.instruments.sessions["meter"].poisoned


def test_an_error_of_the_foreign_driver_is_one_line_of_ours(bench: SimpleNamespace) -> None:
    bench.meter.foreign = SimpleNamespace()
    with pytest.raises(InstrumentFault, match=r"its driver says .*no attribute 'voltage' when it was read") as raised:
        bench.meter.read()
    assert "\n" not in str(raised.value)


def test_a_foreign_driver_that_asks_twice_or_reads_without_asking_is_refused(bench: SimpleNamespace) -> None:
    line = Line(bench.instruments.sessions["meter"])
    with pytest.raises(InstrumentFault, match="reads before it has asked"):
        line.read()
    line.write("*IDN?")
    with pytest.raises(InstrumentFault, match=r"asks '\*OPC\?' before it has read '\*IDN\?'"):
        line.write("*OPC?")
    assert "MODEL 2000" in line.read()


def test_a_train_is_journalled_and_measured_with_foreign_drivers(installed: None, tmp_path: Path) -> None:
    described = bench_of(SOURCE + METER + AUXILIARY, tmp_path)
    with serving(described) as emulator, acquire_bench(described) as session:
        with PulseTrains(session, "key") as trains:
            run = trains.run("one", ["a"], np.full((3, 1), WRITE), [RESET], READ)
        assert emulator.exposure()["overall"]["pulses"] == 6
    assert np.allclose(run.v_write, 2 * READ, rtol=1e-5)
    assert not run.lost


def python_with(package: str) -> str:
    """An interpreter that has a package: this one, or that of the environment which tests/packages.sh makes."""
    if importlib.util.find_spec(package):
        return sys.executable
    other = ROOT / ".venv-pymeasure" / "bin" / "python"
    if not other.exists():
        pytest.skip(f"{package} is not installed; tests/packages.sh makes an environment with it")
    return str(other)


def test_an_instrument_of_pymeasures_measures_a_train(tmp_path: Path) -> None:
    python = python_with("pymeasure")
    (tmp_path / "site").mkdir()
    install(tmp_path / "site", HERE / "pymeasure_meter.py", {"pymeasure-2000": "PymeasureMeter"})
    ended = subprocess.run(
        [python, str(HERE / "doors_bench.py"), str(tmp_path)], capture_output=True, text=True, timeout=300
    )
    assert ended.returncode == 0, ended.stderr
    assert "Keithley2000 of pymeasure read 5e-05 1e-04 5e-05 V" in ended.stdout


def test_the_example_has_15_lines() -> None:
    example = (HERE / "pymeasure_meter.py").read_text().split("from typing import Any\n")[1]
    code = [line for line in example.splitlines() if line.strip()]
    assert len(code) <= 15
    assert example.strip() in (ROOT / "engine/docs/how-to/adapt-driver.md").read_text()
