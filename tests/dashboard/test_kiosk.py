"""The Sweep page for a screen on the wall, in a real browser of 1920 x 1080."""

from __future__ import annotations

import asyncio
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bokeh.document import Document
from bokeh.models import Button, Select
from browser import complaints, words
from distributed import Client
from selenium.webdriver import Chrome
from test_page import begin, report, scheduler
from watched import WATCHED, running, until

from spinsweep.dashboard.blockmap import BlockState
from spinsweep.dashboard.kiosk import KioskPage
from spinsweep.dashboard.reader import Reader
from spinsweep.messages import LANE_TOPIC, FailureGroup, LaneReport, Series

SCREEN = (1920, 1080)
TEXT_PX, KEY_PX = 28, 48

TEXTS = """
const found = [];
const look = root => {
  for (const e of root.querySelectorAll('*')) {
    if (e.shadowRoot) look(e.shadowRoot);
    const own = Array.from(e.childNodes).some(n => n.nodeType == 3 && n.textContent.trim());
    if (own && !['STYLE', 'SCRIPT', 'TITLE'].includes(e.tagName) && e.checkVisibility())
      found.push([e.textContent.trim(), parseFloat(getComputedStyle(e).fontSize), e.tagName]);
  }
};
look(document);
return found;
"""
"""Each text on the page with its size in pixels and the tag around it."""
IN_DRAWINGS = """
const sizes = [];
for (const m of Bokeh.documents[0].all_models) {
  for (const name of ['axis_label_text_font_size', 'major_label_text_font_size'])
    if (m[name] !== undefined) sizes.push(m[name]);
  if (m.type == 'Title') sizes.push(m.text_font_size);
}
return sizes;
"""


@pytest.fixture
def screen(window: Chrome) -> Chrome:
    """A window whose inside has the size of the screen."""
    size = {"width": SCREEN[0], "height": SCREEN[1], "deviceScaleFactor": 1, "mobile": False}
    window.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    return window


@pytest.mark.browser
def test_everything_on_the_wall_can_be_read_at_three_metres_and_fits(
    tmp_path: Path, client: Client, screen: Chrome
) -> None:
    with running(WATCHED.with_values(bad=0.003), tmp_path / "c.zarr", client, block=4):
        pass
    screen.get(str(client.dashboard_link).replace("status", "sweep?kiosk=1"))
    until(lambda: "95 of 96 cells done" in words(screen) and "interval of the mean over seed" in words(screen))

    texts = {text: (size, tag) for text, size, tag in screen.execute_script(TEXTS)}
    assert {text: size for text, (size, _) in texts.items() if size < TEXT_PX} == {"×": 22}, "but the key of a colour"
    keys = {text: size for text, (size, tag) in texts.items() if tag == "B"}
    assert {"95", "1"} <= keys.keys()
    assert min(keys.values()) >= KEY_PX
    assert {float(size.removesuffix("px")) for size in screen.execute_script(IN_DRAWINGS)} == {TEXT_PX}
    height = "return [document.documentElement.scrollHeight <= innerHeight, document.documentElement.scrollWidth]"
    assert screen.execute_script(height) == [True, SCREEN[0]]
    for name in ("Status", "Documentation"):
        assert name not in texts, "Dask's tabs"
    assert "1 × ArithmeticError: <b>no</b> number" in texts
    assert complaints(screen) == []


def test_a_screen_follows_the_newest_run_and_has_nothing_that_could_be_changed() -> None:
    async def look() -> None:
        async with scheduler() as (_, plugin):
            doc = Document()
            screen = KioskPage(plugin.monitor, Reader(), doc)
            screen._read = lambda *question: None  # type: ignore[method-assign]  # there is no cube
            assert screen.header.visible
            assert "No sweep yet" in screen.header.text
            for name in ("first", "second"):
                begin(plugin.monitor, name, {"a": [1, 2], "b": [1, 2]}, title=f"the <{name}>")
                screen._due = 0.0
                screen.update()
                assert f"the &lt;{name}&gt;" in screen.numbers.text
            assert not screen.header.visible
            shown: list[Any] = [m for root in doc.roots for m in root.references()]
            assert not [m for m in shown if isinstance(m, Select | Button)]

    asyncio.run(look())


def _shown(screen: KioskPage) -> list[str]:
    """The drawings on a screen, from the left."""
    return [name for name in ("states", "output", "curve_box", "measured") if getattr(screen, name).visible]


def test_a_screen_shows_what_the_bench_draws_and_what_is_wrong() -> None:
    groups = tuple(FailureGroup(4 - n, {}, f"ValueError: {n}") for n in range(3))
    curve = Series.of("loss", range(5), range(5), x_label="step")

    async def look() -> None:
        async with scheduler() as (_, plugin):
            screen = KioskPage(plugin.monitor, Reader(), Document())
            screen._read = lambda *question: None  # type: ignore[method-assign]
            begin(plugin.monitor, "r", {"a": [1, 2]})
            told = {"cells_done": 1, "cells_failed": 3, "groups": groups, "more_groups": 4}
            report(plugin.monitor, "r", [BlockState.DONE], problem="disk full", **told)
            screen._due = 0.0
            screen.update()
            assert _shown(screen) == ["states", "output"]
            lines = re.findall(r">([^<>]+)</div>", screen.below.text)
            assert lines[1:] == ["a block could not be saved: disk full", "4 × ValueError: 0", "3 × ValueError: 1",
                                 "and 5 more errors"]  # fmt: skip
            assert 'class="number failed"><b>3</b>' in screen.numbers.text
            lane = LaneReport(bench="b", experiment="id/a=1", train="current 6", cycles=1, pulses=2, worn="d1",
                              wear=0.1, figures={"loss": 0.25}, series=(curve,), seconds_left=75.0)  # fmt: skip
            plugin.log_event(LANE_TOPIC, lane.to_json())
            screen._due = screen._lane_due = 0.0
            screen.update()
            assert _shown(screen) == ["states", "measured"]
            assert "bench b: a=1, current 6, loss 0.25" in screen.below.text
            assert "<b>1 min 15 s</b>left of this cell" in screen.numbers.text
            nothing_yet = replace(lane, series=(replace(curve, x=(), y=()),))
            plugin.log_event(LANE_TOPIC, nothing_yet.to_json())
            screen._due = screen._lane_due = 0.0
            screen.update()
            assert _shown(screen) == ["states", "output"], "there is nothing to draw"
            for message, second in ((nothing_yet, "curve_box"), (lane, "measured")):
                screen.curves.points.data = {name: [1] for name in screen.curves.points.data}
                plugin.log_event(LANE_TOPIC, message.to_json())
                screen._due, screen._lane_due = math.inf, 0.0
                screen.update()
                assert second in _shown(screen)
                assert "output" not in _shown(screen)
                assert len(_shown(screen)) == 2

    asyncio.run(look())
