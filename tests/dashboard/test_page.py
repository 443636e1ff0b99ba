"""What one window of the page holds, without a browser."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bokeh.document import Document
from cost import DESCRIPTION
from distributed import Client, Scheduler, Worker

from spinsweep.dashboard import html
from spinsweep.dashboard.blockmap import BlockState
from spinsweep.dashboard.monitor import SweepMonitor
from spinsweep.dashboard.page import FIRST_WAIT_S, WINDOW_SHARE, SweepPage
from spinsweep.dashboard.plugin import SweepPlugin
from spinsweep.dashboard.reader import Answer, Question, Reader
from spinsweep.messages import (
    LANE_TOPIC,
    VERSION,
    AxisDescription,
    FailureGroup,
    LaneReport,
    LongBlock,
    OutputDescription,
    ProgressReport,
)
from spinsweep.resources import EXCLUSIVE

OUTPUTS = tuple(OutputDescription(name, "V", name, ()) for name in ("voltage", "power"))


@asynccontextmanager
async def scheduler() -> AsyncIterator[tuple[Any, SweepPlugin]]:
    """A real one, with the plugin."""
    async with Scheduler(host="127.0.0.1", port=0, dashboard_address="127.0.0.1:0") as running:
        plugin = SweepPlugin()
        await running.register_scheduler_plugin(plugin, idempotent=True)
        yield running, plugin


def begin(monitor: SweepMonitor, name: str, axes: dict[str, list[Any]], **more: Any) -> None:
    """A run of that name, of one cell a block, with nothing done."""
    described = tuple(AxisDescription(n, tuple(v), "1", "") for n, v in axes.items())
    cells = int(np.prod([len(v) for v in axes.values()]))
    values = {"axes": described, "chunk": (1,) * len(axes), "outputs": OUTPUTS, "cells": cells, **more}
    run = replace(DESCRIPTION, **values)
    assert monitor.begin(name, run.to_json(), bytes([BlockState.WAITING]) * cells) == ""


def report(monitor: SweepMonitor, name: str, states: list[BlockState], **more: Any) -> None:
    """That the first blocks of a run ended."""
    numbers = np.arange(len(states), dtype=np.uint32)
    monitor.report(name, ProgressReport(seconds=1.0, **more).to_json(), numbers.tobytes(), bytes(states))


def refresh(page: SweepPage) -> SweepPage:
    """As the page does twice a second."""
    page._due = 0.0
    page.update()
    return page


def answer(mean: Any, read: int, ended: int) -> Answer:
    """What the reader would say."""
    return Answer(np.array(mean, float), read, ended, read_for_curves=read)


@pytest.fixture
def page() -> Iterator[Callable[[Callable[[SweepMonitor, SweepPage], None]], None]]:
    """Runs a function of the scheduler's monitor and a window within an event loop."""

    def run(look: Callable[[SweepMonitor, SweepPage], None]) -> None:
        async def within() -> None:
            async with scheduler() as (_, plugin):
                window = SweepPage(plugin.monitor, Reader(), Document())
                window._read = lambda *question: None  # type: ignore[method-assign]  # there is no cube
                look(plugin.monitor, window)

        asyncio.run(within())

    return run


Page = Callable[[Callable[[SweepMonitor, SweepPage], None]], None]


def test_a_sweep_of_one_axis_says_which_lies_across(page: Page) -> None:
    def look(monitor: SweepMonitor, window: SweepPage) -> None:
        begin(monitor, "r", {"current": [1, 2, 3]})
        assert refresh(window).select_x.value == "current"
        assert not window.select_y.visible

    page(look)


def test_the_header_says_which_round_of_replicates_it_is_and_how_many_cells_there_are_by_now(page: Page) -> None:
    def look(monitor: SweepMonitor, window: SweepPage) -> None:
        begin(monitor, "r", {"current": [1, 2, 3]})
        report(monitor, "r", [], cells=7, cells_done=4, round="round 2: 1 of 3 sets <open>")
        text = refresh(window).header.text
        assert "4 of 7 cells" in text
        assert "round 2: 1 of 3 sets &lt;open&gt;" in text
        assert monitor.runs["r"].cells_left == 3

    page(look)


def test_a_window_in_which_nobody_chose_follows_the_newest_run(page: Page) -> None:
    def look(monitor: SweepMonitor, window: SweepPage) -> None:
        for name in ("first", "second"):
            begin(monitor, name, {"a": [1, 2, 3], "b": [1, 2], "c": [1, 2]})
            assert refresh(window).select_run.value == name

    page(look)


def test_what_a_person_chose_stays_when_another_run_begins(page: Page) -> None:
    def look(monitor: SweepMonitor, window: SweepPage) -> None:
        begin(monitor, "first", {"a": [1, 2, 3], "b": [1, 2], "c": [1, 2]})
        refresh(window).select_x.value = "c"
        window.select_output.value = "power"
        begin(monitor, "second", {"a": [1, 2, 3], "b": [1, 2], "c": [1, 2]})
        for run in ("first", "second"):
            window.select_run.value = run  # the first is shown already
            refresh(window)
            assert window.run is monitor.runs[run]
            assert (window.select_x.value, window.select_y.value) == ("c", "a")
            assert window.select_output.value == "power"

    page(look)


def test_two_runs_of_one_cube_read_differently(page: Page) -> None:
    def look(monitor: SweepMonitor, window: SweepPage) -> None:
        for epoch in (1, 2):
            begin(monitor, str(epoch), {"a": [1, 2]}, epoch=epoch)
        labels = [label for _, label in refresh(window).select_run.options]
        assert ["run 2" in label for label in labels] == [True, False]

    page(look)


def test_a_page_that_saw_the_end_says_how_many_blocks_it_has_read(page: Page) -> None:
    def look(monitor: SweepMonitor, window: SweepPage) -> None:
        begin(monitor, "r", {"a": [1, 2, 3], "b": [1, 2]})
        refresh(window)._answer = answer(np.ones((3, 2)), 2, 2)
        report(monitor, "r", [BlockState.DONE] * 6, ended=True)
        assert "2 of the 6 blocks that ended are read" in refresh(window).caption.text

    page(look)


def _burn(seconds: float) -> None:
    """Of this thread's time."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def test_one_slow_drawing_holds_nothing_up_and_slow_drawings_take_their_share_all_the_same(page: Page) -> None:
    def wait_after(window: SweepPage, seconds: float) -> float:
        window._show = lambda run: _burn(seconds)  # type: ignore[method-assign]
        window._due, began = 0.0, time.monotonic()
        window.update()
        return window._due - began

    def look(monitor: SweepMonitor, window: SweepPage) -> None:
        begin(monitor, "r", {"a": [1, 2]})
        least = 0.1 / WINDOW_SHARE
        waits = [wait_after(window, 0.1) for _ in range(4)]
        assert waits[0] == pytest.approx(FIRST_WAIT_S, abs=0.5), "as the first drawing of a window is"
        assert waits == sorted(waits)
        assert waits[-1] >= least, "if all of them are slow"
        assert wait_after(window, 0.0) < waits[0]

    page(look)


def test_an_output_that_is_the_same_everywhere_has_one_label_at_its_colours(page: Page) -> None:
    def look(monitor: SweepMonitor, window: SweepPage) -> None:
        begin(monitor, "r", {"a": [1, 2, 3], "b": [1, 2]})
        refresh(window)._answer = answer(np.full((3, 2), 0.5), 6, 6)
        refresh(window)
        assert (window.maps.colours.low, window.maps.colours.high) == (0.0, 1.0)
        assert window.maps.colour_bar.ticker.ticks == [0.5]
        window._answer = answer([[1, 2], [3, 4], [5, 6]], 6, 6)
        refresh(window)
        assert (window.maps.colours.low, window.maps.colours.high) == (1.0, 6.0)
        assert not hasattr(window.maps.colour_bar.ticker, "ticks")

    page(look)


def test_without_an_output_there_is_no_map_of_the_former_one(page: Page) -> None:
    def look(monitor: SweepMonitor, window: SweepPage) -> None:
        begin(monitor, "r", {"a": [1, 2, 3], "b": [1, 2]})
        assert refresh(window).maps.output_map.visible
        window.select_output.value = "(none)"
        assert not window.maps.output_map.visible

    page(look)


def test_numbers_of_an_output_that_is_no_longer_chosen_are_not_shown_under_the_new_name() -> None:
    class Slow(Reader):
        def __init__(self) -> None:
            super().__init__()
            self.go = threading.Event()

        def ask(self, question: Question) -> Answer:
            self.go.wait(60)
            return answer(np.full((3, 2), OUTPUTS.index(next(o for o in OUTPUTS if o.name == question.output))), 6, 6)

    async def within() -> None:
        async with scheduler() as (_, plugin):
            reader = Slow()
            window = SweepPage(plugin.monitor, reader, Document())
            begin(plugin.monitor, "r", {"a": [1, 2, 3], "b": [1, 2]})
            refresh(window)  # asks for the voltage
            window.select_output.value = "power"
            reader.go.set()
            assert window._reading is not None
            await window._reading
            assert window._answer is None
            refresh(window)
            await window._reading
            assert window._answer is not None
            assert np.unique(window._answer.mean).tolist() == [1.0]

    asyncio.run(within())


def test_crosses_in_a_row_of_a_hundred_bins_do_not_touch_and_no_edge_hides_a_bin(page: Page) -> None:
    def look(monitor: SweepMonitor, window: SweepPage) -> None:
        begin(monitor, "r", {"a": [1, 2], "b": list(range(100))})
        refresh(window)
        assert window.maps.cross.size < 300 / 100
        assert window.maps.state_quads.line_alpha == 0
        begin(monitor, "s", {"a": [1, 2], "b": [1, 2]})
        refresh(window)
        assert (window.maps.cross.size, window.maps.state_quads.line_alpha) == (8, 1)

    page(look)


@pytest.mark.parametrize("word", ["1.23456e-07", "a configuration of 25 char", "7"])
def test_labels_at_an_axis_have_room_and_are_no_longer_than_they_may_be(word: str) -> None:
    axis = AxisDescription("a", (word,) * 30, "1", "")
    ticks = html.MapAxis(axis, 1).ticks(9, 42)
    assert 3 - (len(word) > 14) <= len(ticks) <= 9
    assert sum(len(label) + 1 for label in ticks.values()) <= 42
    assert max(map(len, ticks.values())) <= 14


def test_words_that_are_cut_keep_their_beginnings_and_ends() -> None:
    assert html.shortened("a configuration, the second") == "a confi…second"


def test_the_page_names_a_command_that_lists_the_failures_with_tracebacks(page: Page) -> None:
    def look(monitor: SweepMonitor, window: SweepPage) -> None:
        begin(monitor, "r", {"a": [1, 2]}, path="/a/cube.zarr")
        report(monitor, "r", [BlockState.FAILED], cells_failed=34)
        status = refresh(window).failures.status
        assert "spinsweep status /a/cube.zarr --traceback --failures 34</code>" in status.box.text
        assert status.body.visible

    page(look)


def test_without_failures_there_is_no_command_for_them(page: Page) -> None:
    def look(monitor: SweepMonitor, window: SweepPage) -> None:
        begin(monitor, "r", {"a": [1, 2]})
        panel = refresh(window).failures
        assert "No failures" in panel.heading.text
        assert not panel.status.body.visible

    page(look)


def test_failures_are_grouped_by_error_with_the_command_of_the_first_cell(page: Page) -> None:
    groups = (
        FailureGroup(226, {"a": 0.5, "who": "x y"}, "ValueError: <b>no</b>"),
        FailureGroup(1, {}, "(other errors)"),
    )

    def look(monitor: SweepMonitor, window: SweepPage) -> None:
        begin(monitor, "r", {"a": [1, 2]}, path="/a/cube.zarr")
        report(monitor, "r", [BlockState.FAILED], cells_failed=230, groups=groups, more_groups=3)
        panel = refresh(window).failures
        first, second, *others = panel.groups
        assert first.words.text == "<b>226 cells</b> ValueError: &lt;b&gt;no&lt;/b&gt;"
        assert "spinsweep cell /a/cube.zarr a=0.5 &#x27;who=x y&#x27;</code>" in first.box.text
        assert first.button.visible
        assert second.words.text == "<b>1 cell</b> (other errors)"
        assert not second.button.visible, "no cell of theirs is known"
        assert not any(line.body.visible for line in others)
        assert "and 3 more errors" in panel.more.text

    page(look)


async def _measure(client: Any, run: str, gate: Path) -> Any:
    """A block of a run, which takes until the gate is there."""

    def wait() -> None:
        while not gate.exists():
            time.sleep(0.01)

    return client.submit(wait, key=("hil", run, 0), resources={EXCLUSIVE: 1})


async def _until(true: Callable[[], Any]) -> None:
    async with asyncio.timeout(30):
        while not true():
            await asyncio.sleep(0.02)


def test_the_lane_card_tells_what_is_measured_what_waits_and_what_was_last(tmp_path: Path) -> None:
    async def look() -> None:
        async with scheduler() as (running, plugin):
            monitor = plugin.monitor
            lane = Worker(running.address, name="lane-b", nthreads=1, resources={EXCLUSIVE: 1}, host="127.0.0.1")
            async with (
                lane,
                Client(running.address, asynchronous=True) as first,
                Client(running.address, asynchronous=True) as second,
            ):
                for client, name in ((first, "one"), (second, "two"), (second, "three")):
                    owned = {"client": client.id, "sweep": name, "cube_id": name, "measured": True}
                    begin(monitor, name, {"a": [1, 2]}, **owned)
                reported = LaneReport(
                    bench="b",
                    experiment="one/a=1",
                    train="current 6",
                    cycles=1,
                    pulses=2,
                    worn="d1",
                    wear=0.1,
                    figures={"loss": 0.25},
                )
                plugin.log_event(LANE_TOPIC, reported.to_json())
                assert "last one a=1, train current 6 last loss 0.25" in _card(monitor)
                assert "experiment" not in _card(monitor)

                block = await _measure(first, "one", tmp_path / "gate")
                await _until(monitor.measured)
                card = _card(monitor)
                assert "run one, 2 cells to go experiment one a=1 train current 6 loss so far 0.25" in card
                assert card.endswith("queue two, 2 cells to go three, 2 cells to go")

                await second.close()  # the scheduler sees no more of one that was killed
                await _until(lambda: not monitor.queue())
                two = monitor.runs["two"]
                assert monitor.driver_lost(two)
                assert "the driver is gone" in html.header(two, monitor.block_map(two, 0, 1), driver_lost=True)
                (tmp_path / "gate").touch()
                await block
                report(monitor, "one", [BlockState.DONE] * 2, ended=True, cells_done=2)
                card = _card(monitor)
                assert "queue" not in card
                assert "run none" in card
                assert "experiment" not in card

    asyncio.run(look())


def _card(monitor: SweepMonitor) -> str:
    """The text of the lane card."""
    return _text(html.lanes(monitor))


def _text(marked_up: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", marked_up)).split())


def test_a_message_of_another_version_is_one_line_on_the_page_and_no_exception(page: Page) -> None:
    def look(monitor: SweepMonitor, window: SweepPage) -> None:
        newer = {"version": VERSION + 1, "name": "of a later release"}
        expected = f"sends messages of version {VERSION + 1}, and this process reads version {VERSION}"
        assert expected in monitor.begin("other", newer, b"")
        begin(monitor, "r", {"a": [1, 2]})
        assert not window.unreadable.visible
        monitor.report("r", newer, b"", b"")
        monitor.report("other", newer, b"", b"")
        for _ in range(3):
            monitor.lane_report(newer)
        lines = refresh(window).unreadable.text.split("</div>")[:-1]
        assert [line.partition(": ")[0] for line in map(_text, lines)] == [
            "Cannot show a run's driver",
            "Cannot show a lane",
        ]
        assert all(expected in line for line in lines)
        assert window.unreadable.visible
        assert list(monitor.runs) == ["r"]
        assert "0 of 2 cells" in window.header.text

    page(look)


def test_cells_that_take_long_stand_there_with_worker_and_command_until_the_run_ends(page: Page) -> None:
    def look(monitor: SweepMonitor, window: SweepPage) -> None:
        begin(monitor, "r", {"current": [1, 2, 3], "note": ["<b>a</b>", "b"]}, path="/data/my cube.zarr")
        monitor.driver_lost = lambda run: False  # type: ignore[method-assign]  # there is none
        assert not refresh(window).long_running.visible
        long = (
            LongBlock({"current": 2, "note": "<b>a</b>"}, True, 6, 80.0, 75.0, "worker tls://127.0.0.1:1"),
            LongBlock({"current": 1, "note": "b"}, False, 3, 20.0, 20.0, "worker tls://127.0.0.1:2", answers=False),
        )
        report(monitor, "r", [], long=long, more_long=4)
        shown = refresh(window).long_running.text
        assert refresh(window).long_running.visible
        assert "<b>" not in shown
        plain = " ".join(unescape(re.sub("<[^>]*>", " ", shown)).split())
        assert re.search(r"1 min 1[56] s current 2, note <b>a</b> \(of a block of 6 cells, for 1 min 2", plain)
        assert "20 s 3 cells from current 1, note b on worker tls://127.0.0.1:2, which does not answer" in plain
        assert "and 4 more blocks" in plain
        command = unescape(window.long_command.box.text)
        assert "spinsweep cell '/data/my cube.zarr' current=2 'note=<b>a</b>'</code>" in command
        report(monitor, "r", [], long=long, ended=True)
        assert not refresh(window).long_running.visible
        assert not window.long_command.body.visible

    page(look)
