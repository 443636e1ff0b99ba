"""The lane's part of a window, without a browser: what it draws, who gets the stop button, and what that can do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from bokeh.document import Document
from bokeh.events import ButtonClick
from bokeh.models import Button
from distributed import Worker
from test_page import scheduler

from spinsweep.dashboard.commands import COPY
from spinsweep.dashboard.lane_panel import LanePanel
from spinsweep.dashboard.monitor import SweepMonitor
from spinsweep.dashboard.page import SweepPage
from spinsweep.dashboard.reader import Reader
from spinsweep.dashboard.stopping import StopOutcome
from spinsweep.messages import LANE_STOP, LaneReport, Series, StopAnswer
from spinsweep.resources import EXCLUSIVE

LABELS = {"x_label": "write current", "x_unit": "A", "y_label": "fraction switched"}
RANGES = {"x_range": (3e-4, 7e-4), "y_range": (0.0, 1.0)}
REPORT = LaneReport(
    bench="hall",
    experiment="cube/width=1",
    train="current 6",
    cycles=7,
    pulses=20,
    worn="d1",
    wear=0.1,
    series=(
        Series.of("d1", [3e-4, 4e-4], [0, 0.5], **LABELS, **RANGES),
        Series.of("fit", [3e-4, 7e-4], [0, 1], line=True, **LABELS, **RANGES),
    ),
    readings=(Series.of("d1", [10, 12, 15], [1e-4, 2e-4, 1e-4], y_label="reading", y_unit="V", x_unit="s"),),
    levels={"low": 1e-4, "high": 2e-4},
    seconds_left=90.0,
    seconds_whole=600.0,
)


def within(look: Callable[[Any, SweepMonitor], Awaitable[None]]) -> None:
    """Look at a real scheduler and its monitor, in an event loop."""

    async def run() -> None:
        async with scheduler() as (running, plugin):
            await look(running, plugin.monitor)

    asyncio.run(run())


def panel_of(monitor: SweepMonitor, outcomes: dict[str, StopOutcome] | None = None) -> LanePanel:
    """The panel of a window that may stop."""
    document = Document()
    panel = LanePanel(monitor, {} if outcomes is None else outcomes, document, may_stop=True)
    document.add_root(panel.body)
    return panel


def press(button: Button) -> None:
    button._trigger_event(ButtonClick(button))


def test_the_panel_draws_curve_fit_readings_and_levels_in_the_prefixes_of_their_units() -> None:
    async def look(_: Any, monitor: SweepMonitor) -> None:
        panel = panel_of(monitor)
        assert not panel.body.visible
        monitor.lane_report(REPORT.to_json())
        panel.update()
        assert panel.body.visible
        assert np.allclose(panel.points.data["x"][:-1], [300, 400])  # the last is the gap before another series
        assert np.allclose(panel.points.data["y"][:-1], [0, 0.5])
        assert np.allclose(panel.line.data["x"][:-1], [300, 700])
        assert panel.curve.xaxis[0].axis_label.text == "write current (µA)"
        assert panel.curve.yaxis[0].axis_label.text == "fraction switched"
        assert panel.curve.title.text.text == "d1 (points), fit (line)"
        assert panel.curve.x_range.start < 300
        assert panel.curve.x_range.end > 700
        assert panel.volts.data == {"x": [-5, -3, 0], "y": pytest.approx([100, 200, 100])}
        assert panel.readings.title.text.text == "last 3 readings of d1"
        assert panel.levels.data["name"] == ["low 100 µV", "high 200 µV"]
        assert panel.levels.data["y"] == pytest.approx([100, 200])

        monitor.lane_report(replace(REPORT, series=(), readings=(), levels={}).to_json())
        panel.update()
        assert not panel.curve.visible
        assert not panel.readings.visible

    within(look)


def test_two_benches_are_chosen_from() -> None:
    async def look(_: Any, monitor: SweepMonitor) -> None:
        panel = panel_of(monitor)
        monitor.lane_report(REPORT.to_json())
        panel.update()
        assert panel.bench == "hall"
        assert not panel.select.visible
        monitor.lane_report(replace(REPORT, bench="other", series=()).to_json())
        panel.update()
        assert panel.select.visible
        assert panel.curve.visible
        panel.select.value = "other"
        assert not panel.curve.visible

    within(look)


def _acting(doc: Document) -> list[str]:
    """The buttons of a window that do more than copy a text in the browser."""
    return sorted(b.label for b in doc.select({"type": Button}) if b.label != COPY)


def test_a_window_without_the_right_has_no_button_and_is_told_how_to_stop() -> None:
    async def look(_: Any, monitor: SweepMonitor) -> None:
        documents = {may_stop: Document() for may_stop in (False, True)}
        windows = {may: SweepPage(monitor, Reader(), doc, may_stop=may) for may, doc in documents.items()}
        buttons = {may: _acting(doc) for may, doc in documents.items()}
        assert buttons == {False: [], True: ["No, go on", "Stop and make safe", "Yes, stop now"]}
        assert "spinsweep bench safe BENCH.toml --stop-owner" in windows[False].lane.stop.text

    within(look)


def test_stopping_is_asked_once_for_the_bench_that_was_shown_then_and_can_be_left() -> None:
    async def look(running: Any, monitor: SweepMonitor) -> None:
        outcomes: dict[str, StopOutcome] = {}
        panel = panel_of(monitor, outcomes)
        control = panel.control
        assert control is not None
        for bench in ("hall", "other"):
            monitor.lane_report(replace(REPORT, bench=bench).to_json())
        panel.update()
        press(control.confirm)  # which nobody can see
        assert outcomes == {}
        press(control.ask)
        assert (control.question.visible, control.ask.visible) == (True, False)
        assert "<b>Stop and make safe?</b> What is in hand at bench hall" in control.question_text.text
        press(control.leave)
        assert (control.question.visible, control.ask.visible) == (False, True)
        assert outcomes == {}
        press(control.ask)
        panel.select.value = "other"
        press(control.confirm)
        await asyncio.gather(*control._tasks)
        assert list(outcomes) == ["hall"]
        assert "no lane of bench hall is connected" in outcomes["hall"].text
        assert outcomes["hall"].is_safe is False

    within(look)


async def stopped_by(running: Any, monitor: SweepMonitor, answer: Any) -> tuple[LanePanel, StopOutcome]:
    """What a window shows after the stop of a lane that answers so; None: it knows no such message."""
    outcomes: dict[str, StopOutcome] = {}
    panel = panel_of(monitor, outcomes)
    monitor.lane_report(REPORT.to_json())
    panel.update()
    async with Worker(running.address, name="lane-hall", resources={EXCLUSIVE: 1}, host="127.0.0.1") as lane:
        if answer is not None:

            async def handler() -> Any:
                return answer

            lane.handlers[LANE_STOP] = handler
        assert panel.control is not None
        press(panel.control.ask)
        press(panel.control.confirm)
        await asyncio.gather(*panel.control._tasks)
    panel.update()
    return panel, outcomes["hall"]


def test_a_lane_that_made_its_bench_safe_is_told_so_until_somebody_goes_on_with_it() -> None:
    async def look(running: Any, monitor: SweepMonitor) -> None:
        answer = StopAnswer(state="0 A, output off", doing="width=1: current 6").to_json()
        panel, outcome = await stopped_by(running, monitor, answer)
        assert outcome.is_safe
        assert "bench hall is safe: 0 A, output off; the cycle in hand of width=1: current 6 was given up" in (
            panel.outcome.text
        )
        assert "warn" not in panel.outcome.text
        monitor.lane_report(REPORT.to_json())  # of the lane that somebody started
        panel.update()
        assert not panel.outcome.visible

    within(look)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (StopAnswer(problem="the source does not answer").to_json(), "the source does not answer"),
        (None, "the lane did not answer (MessageError)"),
        ({"version": 99}, "the lane did not answer (MessageError)"),
    ],
)
def test_a_lane_that_does_not_say_that_its_bench_is_safe_is_a_warning(answer: Any, words: str) -> None:
    async def look(running: Any, monitor: SweepMonitor) -> None:
        panel, outcome = await stopped_by(running, monitor, answer)
        assert outcome.is_safe is False
        assert f"bench hall is not known to be safe: {words}" in panel.outcome.text
        assert 'class="warn"' in panel.outcome.text

    within(look)
