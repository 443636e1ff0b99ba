"""A lock-in that reads what a sine of the source gives, and the source that drives it between rectangular pulses."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from auxiliaries import SINE, emulated, opened, parsed
from emulated import BENCH, ENVELOPE, HIGH, LOW, RANGE, ROUTES, Emulated

from spinneurons.device.pulse_cycle import PulseTrains
from spinsweep.bench.acquire import acquire_bench
from spinsweep.bench.bench_file import Bench
from spinsweep.bench.errors import BenchError, DeviceFault, InstrumentFault, LimitError

RESET, WRITE, READ = -8e-4, 8e-4, 5e-5
PEAK = READ * LOW  # V
FREQUENCY = 137.0

Made = Callable[..., tuple[Emulated, Bench]]


STEPS = 2e-3
"""How far the highest of the 64 steps of an emulated sine is below its peak, relative."""


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Made]:
    monkeypatch.setattr("spinsweep.bench.trains.READ_SLACK_S", 60.0)  # an emulated sine takes time on a busy machine
    with emulated(tmp_path, "", SINE) as make:
        yield make


@contextmanager
def started(bench: Bench) -> Iterator[tuple[Any, Any]]:
    """Source and lock-in, with device a connected and its limits set."""
    with opened(bench, "source") as source, opened(bench, "meter") as meter, opened(bench, "switch") as switch:
        source.safe()
        switch.connect(ROUTES["a"])
        source.start(10.0)
        source.limit(ENVELOPE, RANGE)
        meter.start()
        yield source, meter


def test_a_reading_is_the_peak_of_the_voltage_in_phase_with_the_read_current(made: Made) -> None:
    running, bench = made()
    with started(bench) as (source, meter):
        source.read_on(READ)
        assert running.control.state()["source"]["output"]
        reading = meter.read()
        assert reading.valid, reading.reason
        assert reading.volts == pytest.approx(PEAK, rel=0.011)  # the filter has settled to 99 %
        assert not source.read_off()
        assert not running.control.state()["source"]["output"]
        assert running.control.exposure()["overall"]["max_current"] == pytest.approx(READ, rel=STEPS)


def test_pulses_between_such_reads_are_what_they_were(made: Made) -> None:
    running, bench = made()
    with started(bench) as (source, meter):
        for current in (WRITE, RESET):
            source.read_on(READ)
            source.read_off()
            source.pulse(current, 1e-4)
            source.read_on(READ)
            high = HIGH if current > 0 else LOW
            assert meter.read().volts == pytest.approx(READ * high, rel=0.011)
            source.read_off()
        exposure = running.control.exposure()["devices"]["a"]
        assert (exposure["positive_pulses"], exposure["negative_pulses"]) == (1, 1)
        assert exposure["max_pulse"] == pytest.approx(WRITE)
        assert exposure["max_steady"] == pytest.approx(READ, rel=STEPS)


def test_a_train_is_read_with_a_sine(made: Made) -> None:
    _, bench = made()
    writes = np.array([[WRITE], [2e-4], [WRITE]])
    with acquire_bench(bench) as session, PulseTrains(session, "key") as trains:
        run = trains.run("one", ["a"], writes, [RESET], READ)
    assert not run.lost
    assert run.v_reset == pytest.approx(np.full((3, 1), PEAK), rel=0.011)
    assert run.v_write == pytest.approx(np.where(writes == WRITE, READ * HIGH, READ * LOW), rel=0.011)


@pytest.mark.parametrize("current", [6.1e-5, -READ, 0.0, math.nan])
def test_a_peak_beyond_the_limit_or_without_a_size_is_refused_and_nothing_is_sent(made: Made, current: float) -> None:
    running, bench = made()
    with started(bench) as (source, _):
        with pytest.raises(LimitError, match=r"6221: .* nothing was sent"):
            source.read_on(current)
        assert not running.control.state()["source"]["output"]
        assert running.control.exposure()["overall"]["max_requested"] == 0


def test_a_sine_that_another_program_changes_in_between_is_set_again_before_it_starts(made: Made) -> None:
    running, bench = made()
    with started(bench) as (source, _):
        running.control.set("foreign", "source", text="SOUR:WAVE:AMPL 1E-3", match="SOUR:WAVE:INIT")
        source.read_on(READ)
        assert running.control.exposure()["overall"]["max_current"] == pytest.approx(READ, rel=STEPS)
        source.read_off()


def test_a_sine_that_runs_into_the_compliance_at_its_peak_is_told(made: Made) -> None:
    running, bench = made()
    with started(bench) as (source, _):
        source.read_on(READ)
        running.control.set("open", device="a")
        assert source.read_off()


@pytest.mark.parametrize(
    ("fault", "options", "reason"),
    [
        ("overload", {"bits": 1}, "input overload"),
        ("overload", {"bits": 6}, "filter overload, output overload"),
        ("overload", {"bits": 32}, "its time constant or frequency range changed"),
        ("unlocked", {}, "the reference is not locked"),
    ],
)
def test_a_reading_with_an_overload_or_without_its_reference_is_not_valid(
    made: Made, fault: str, options: dict[str, int], reason: str
) -> None:
    running, bench = made()
    with started(bench) as (source, meter):
        source.read_on(READ)
        running.control.set(fault, "meter", **options)
        reading = meter.read()
        running.control.clear()
        assert (reading.valid, reading.reason) == (False, reason)
        assert meter.read().valid
        source.read_off()


def test_without_a_sine_there_is_no_reading(made: Made) -> None:
    _, bench = made()
    with started(bench) as (_, meter):
        assert meter.read().reason == "the reference is not locked"


def test_a_reading_beyond_the_full_scale_is_not_valid(made: Made) -> None:
    _, bench = made(meter={"sensitivity": 20e-6})
    with started(bench) as (source, meter):
        source.read_on(READ)
        assert meter.read().reason == "output overload"
        source.read_off()


def test_an_overload_spoils_the_cycle_and_three_of_them_leave_the_device_out(made: Made) -> None:
    running, bench = made()
    with acquire_bench(bench) as session, PulseTrains(session, "key") as trains:
        running.control.set("overload", "meter", bits=1)
        with pytest.raises(DeviceFault, match="no valid reading: input overload"):
            trains.run("one", ["a"], np.full((5, 1), WRITE), [RESET], READ)


@pytest.mark.parametrize(
    ("text", "says"),
    [("OFLT 0", r"OFLT\? gives 0 where 7 was sent"), ("OEXP 1,50,0", r"OEXP\? 1 gives 50,0"), ("PHAS 90", r"PHAS\?")],
)
def test_a_setting_that_another_program_changed_is_found_with_the_reading(made: Made, text: str, says: str) -> None:
    running, bench = made()
    with started(bench) as (source, meter):
        source.read_on(READ)
        running.control.set("foreign", "meter", text=text)
        with pytest.raises(InstrumentFault, match=f"{says}.*the reading is not used"):
            meter.read()
        source.read_off()


def test_a_key_that_is_pressed_at_the_lock_in_is_found_with_the_reading(made: Made) -> None:
    running, bench = made()
    with started(bench) as (source, meter):
        source.read_on(READ)
        running.control.set("local_key", "meter")
        with pytest.raises(InstrumentFault, match="key LOCAL was pressed"):
            meter.read()
        source.read_off()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"meter": {"frequency": 138.0}}, r"the source reads with 137 Hz and the meter reads at 138 Hz"),
        (
            {"meter": {"time_constant": 0.1}},
            r"locking and settling take 1\.04 s, longer than timing\.read_time 0\.5 s",
        ),
        ({"meter": {"settle": 9.0}}, r"meter\.settle: 9 time constants; 10 give 99 % at 24 dB"),
        ({"meter": {"sensitivity": 3e-6}}, r"meter\.sensitivity: 3e-06; the nearest that it has is 2e-06"),
        ({"meter": {"time_constant": 0.02}}, r"meter\.time_constant: 0\.02; the nearest that it has is 0\.03"),
        ({"meter": {"harmonic": 1000}}, r"meter\.harmonic: 137000 Hz; it reads up to 102000 Hz"),
        (
            {"source": {"read_frequency": 5.0}, "meter": {"frequency": 5.0}},
            r"5 Hz has 2\.5 periods in timing\.read_time",
        ),
    ],
)
def test_a_lock_in_that_could_not_read_is_refused_by_the_bench_file(
    tmp_path: Path, changes: dict[str, dict[str, float]], says: str
) -> None:
    with pytest.raises(BenchError, match=says):
        parsed(tmp_path, "", SINE, **changes)


def test_a_sine_is_not_read_with_a_direct_voltmeter(tmp_path: Path) -> None:
    text = BENCH.replace('"keithley-6221"', '"keithley-6221-sine"\nread_frequency = 137.0')
    with pytest.raises(BenchError, match=r"reads with 137 Hz and the meter reads at 0 Hz \(0: direct\)"):
        parsed(tmp_path, "", text)
