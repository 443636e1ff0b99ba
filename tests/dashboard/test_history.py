"""What the page says of how a run went: its rate over time, the run before it, and its figures."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bokeh.document import Document
from cost import DESCRIPTION
from distributed import Client
from test_page import begin, refresh, report, scheduler
from watched import WATCHED, running

from spinsweep.cube import Cube, run_group, write_group
from spinsweep.dashboard.blockmap import BlockState
from spinsweep.dashboard.page import SweepPage
from spinsweep.dashboard.reader import Reader
from spinsweep.messages import EarlierRun, ProgressReport, RunDescription
from spinsweep.pace import MOST_RATES

BEFORE = EarlierRun(3, "2026-12-01T03:10:05+00:00", 90.0, 400, 4.44, "failed <cells>", "numpy 2.3 → 2.4")


def test_a_window_draws_the_rate_and_sets_the_run_beside_the_one_before_it() -> None:
    async def look() -> None:
        async with scheduler() as (_, plugin):
            monitor, window = plugin.monitor, SweepPage(plugin.monitor, Reader(), Document())
            window._read = lambda *question: None  # type: ignore[method-assign]  # there is no cube
            panel = window.history
            assert not panel.body.visible, "there is no run"
            begin(monitor, "first", {"current": [1, 2, 3]})
            report(monitor, "first", [BlockState.DONE], blocks_ended=1, rate=2.0)
            refresh(window)
            assert panel.body.visible
            assert not panel.words.visible, "there is no run before it"
            assert not panel.plot.visible, "one point is no line"
            about = {"earlier": (BEFORE,), "failed_before": 7, "figures": 2, "figures_folder": "/a <b>/x-figures"}
            begin(monitor, "second", {"current": [1, 2, 3]}, **about)
            for second in range(1000):
                progress = {"seconds": float(second), "rate": 10.0 + second, "blocks_ended": 1, "cells_failed": 1}
                monitor.report("second", _report(**progress), b"", b"")
            refresh(window)
            assert panel.plot.visible
            minutes, rates = panel.rates.data["x"], panel.rates.data["y"]
            assert len(minutes) == len(rates) <= MOST_RATES
            assert rates == pytest.approx([10.0 + 60 * minute for minute in minutes])
            assert panel.plot.xaxis.axis_label == "time since the first block was sent (min)"
            assert "at most" in panel.caption.text
            words = panel.words.text
            for said in ("run 3, 2026-12-01 03:10 UTC", "4.44", "1 min 30 s", "400", "7 of the cube after it"):
                assert said in words
            assert "failed &lt;cells&gt;" in words
            assert "numpy 2.3 → 2.4" in words
            assert "2 in /a &lt;b&gt;/x-figures" in panel.figures.text
            commands = [line.box.text for line in panel.commands]
            assert [re.search("spinsweep (figures|page) ", text) is not None for text in commands] == [True, True]

    asyncio.run(look())


def _report(**values: Any) -> dict[str, Any]:
    return ProgressReport(**values).to_json()


def test_a_driver_without_these_fields_is_understood() -> None:
    new = replace(DESCRIPTION, earlier=(BEFORE,), failed_before=1, figures=1, figures_folder="x")
    assert RunDescription.from_json(new.to_json()) == new
    fields = ("earlier", "failed_before", "figures", "figures_folder")
    old = {name: value for name, value in new.to_json().items() if name not in fields}
    assert RunDescription.from_json(old) == replace(DESCRIPTION, client=new.client)


def described(client: Client) -> RunDescription:
    """The newest run as its driver described it."""

    def look(dask_scheduler: Any) -> dict[str, Any]:
        run = list(dask_scheduler.plugins["spinsweep_sweep"].monitor.runs.values())[-1]
        return dict(run.description.to_json())

    return RunDescription.from_json(client.run_on_scheduler(look))


def test_the_driver_tells_of_the_last_run_that_computed_something(tmp_path: Path, client: Client) -> None:
    store = tmp_path / "c.zarr"
    few = WATCHED.with_values(bad=0.003, seed=(0, 1))
    with running(few, store, client, block=4):
        pass
    assert described(client).earlier == ()
    cube = Cube(store)
    first = cube.run_record(1)
    assert first is not None
    assert (first.cells, first.outcome) == (16, "failed cells")
    killed = replace(first, outcome="running", end=None, cells=None, packages={"numpy": "1.0"})
    write_group(run_group(cube.storage, 2), killed.to_json())
    write_group(run_group(cube.storage, 3), {"start": 5})
    (tmp_path / "c-figures").mkdir()
    for name in ("one.png", "one.svg", "one.md", "two.png", "notes.txt"):
        (tmp_path / "c-figures" / name).touch()
    with running(WATCHED.with_values(bad=0.003), store, client, block=4):
        pass
    about = described(client)
    assert about.epoch == 4
    (earlier,) = about.earlier
    assert (earlier.epoch, earlier.cells, earlier.outcome, earlier.changes) == (1, 16, "failed cells", "")
    assert earlier.seconds == first.seconds
    assert earlier.rate == pytest.approx(16 / first.seconds)
    assert (about.failed_before, about.figures) == (1, 2)
    assert about.figures_folder == str(tmp_path / "c-figures")
    before = Cube(store).run_before(1)
    assert before is None
    assert Cube(store).run_before(3) == (1, first), "it computed something; the killed one does not say so"
