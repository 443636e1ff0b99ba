"""What a lane reports of the work in hand: curves, readings, levels and time left, and at what cost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from emulated import HIGH, LOW, Emulated

from conftest import described
from spinneurons.characterization.live import SwitchingCurve, train_name
from spinneurons.device.pulse_cycle import PulseTrains
from spinneurons.neurons.laws import LOGISTIC
from spinsweep.bench import session as sessions
from spinsweep.bench.acquire import acquire_bench
from spinsweep.bench.bench_file import Bench
from spinsweep.bench.live import READINGS, Live, LiveView
from spinsweep.messages import LaneReport, Series
from spinsweep.work import working

WRITE, WEAK, RESET, READ = 6e-4, 4e-4, -6e-4, 5e-5


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch) -> list[LaneReport]:
    """All reports of what the test measures inside :func:`reporting`, one at each opportunity."""
    monkeypatch.setattr(sessions, "REPORT_INTERVAL_S", -1.0)
    return []


def reporting(reports: list[LaneReport]) -> Any:
    return working(lambda: False, lambda message: reports.append(LaneReport.from_json(message)))


def test_reports_hold_the_curve_the_readings_the_levels_and_the_time_left_of_the_device_in_hand(
    bench: Bench, reports: list[LaneReport]
) -> None:
    currents = np.array([WEAK, WRITE])
    with acquire_bench(bench) as session, reporting(reports), PulseTrains(session, "cube/cell") as trains:
        trains.expected = 5 + 2 * 30
        trains.curves = SwitchingCurve(trains, "a", currents, LOGISTIC)
        trains.calibrate("a", WRITE, RESET, READ)
        for number, current in enumerate(currents):
            trains.run(train_name(number), ["a"], np.full((30, 1), current), [RESET], READ)
    first, last = reports[0], reports[-1]
    assert first.series == ()
    assert first.readings == ()
    assert first.seconds_left is None
    (points,) = last.series  # too few currents for a fit
    assert (points.x, points.y) == ((WEAK, WRITE), (0.0, 1.0))
    assert points.x_range == (WEAK, WRITE)
    (readings,) = last.readings
    assert readings.name == "a"
    assert len(readings.y) == READINGS
    assert set(np.round(np.divide(readings.y, READ))) == {LOW, HIGH}
    assert list(readings.x) == sorted(readings.x)
    assert {name: round(v / READ) for name, v in last.levels.items()} == {"low": LOW, "high": HIGH}
    left = [r.seconds_left for r in reports if r.seconds_left is not None]
    assert last.seconds_left == pytest.approx(0.0, abs=last.seconds_whole)
    assert left[0] > left[-1]


def test_a_curve_is_drawn_through_four_currents(bench: Bench, reports: list[LaneReport]) -> None:
    currents = np.linspace(4e-4, 5.5e-4, 4)
    with acquire_bench(bench) as session, reporting(reports), PulseTrains(session, "cube/cell") as trains:
        trains.curves = SwitchingCurve(trains, "a", currents, LOGISTIC)
        trains.calibrate("a", WRITE, RESET, READ)
        some = [0.0, 1 / 4, 3 / 4, 1.0]  # of the cycles switch: the resistor does above its threshold
        for number, part in enumerate(some):
            writes = np.where(np.arange(8) < 8 * part, WRITE, WEAK)[:, None]
            trains.run(train_name(number), ["a"], writes, [RESET], READ)
    points, fit = reports[-1].series
    assert points.y == tuple(some)
    assert fit.name == "logistic fit"
    assert fit.line
    p = np.interp(currents, fit.x, fit.y)
    assert np.allclose(p, some, atol=0.1)
    assert np.interp((currents[1] + currents[2]) / 2, fit.x, fit.y) == pytest.approx(0.5, abs=0.02)


def test_an_experiment_that_cannot_draw_itself_loses_its_curve_and_no_sample(
    bench: Bench, reports: list[LaneReport]
) -> None:
    def fails() -> list[Series]:
        raise ZeroDivisionError("no points")

    with acquire_bench(bench) as session, reporting(reports), PulseTrains(session, "key") as trains:
        trains.curves = fails
        run = trains.run("one", ["a"], np.full((5, 1), WRITE), [RESET], READ)
    assert np.isfinite(run.v_write).all()
    assert reports[-1].series == ()
    assert reports[-1].train == "one (its curve cannot be drawn: ZeroDivisionError: no points)"


def test_the_view_is_asked_for_once_a_second_and_a_reading_costs_an_append(
    tmp_path: Path, emulated: Emulated
) -> None:
    calls = []
    bench = described(tmp_path, emulated)
    with acquire_bench(bench) as session, PulseTrains(session, "key") as trains:
        trains.curves = lambda: calls.append(1) or []
        trains.run("one", ["a"], np.full((20, 1), WRITE), [RESET], READ)
        seconds = session.instruments.clock.now() / bench.timing.speed
    assert len(calls) <= 2 + seconds


def test_time_left_follows_the_pace_of_the_last_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("spinsweep.bench.live.time.monotonic", lambda: now[0])
    live, ended = Live(), [0]
    made = LaneReport(bench="b", experiment="e", train="t", cycles=0, pulses=0, worn="a", wear=0.0)

    def view() -> LiveView:
        return LiveView(cycles_ended=ended[0], cycles=100)

    def told(cycles: int, cycles_ended: int) -> LaneReport:
        ended[0] = cycles_ended
        report = live.completed(replace(made, cycles=cycles))
        now[0] += 9.0
        return report

    live.begin(view)
    assert told(0, 40).seconds_left is None
    assert told(1, 41).seconds_left == pytest.approx(59 * 9)
    assert told(2, 42).seconds_whole == pytest.approx(900)
    now[0] += 3600  # nothing was done
    live.begin(view)
    assert told(2, 42).seconds_left == pytest.approx(58 * 9)
