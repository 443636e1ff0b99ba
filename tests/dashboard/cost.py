"""What the Sweep page costs the scheduler.  Goal: under 1 % of its time at 1,000 blocks a second.

    python tests/dashboard/cost.py

A real scheduler gets the reports that a driver sends each second for 1,000 ended blocks, over TCP; both ends are in
this process, so the figure is an upper bound. What the scheduler spends on calling a plugin that has no hook for
transitions is added for each of a block's transitions. An open window is measured by itself: drawing its largest map
(100 x 100 bins) again.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from bokeh.document import Document
from distributed import Scheduler
from distributed.core import rpc

from spinsweep.analysis.curves import MAX_POINTS, curves
from spinsweep.dashboard.blockmap import BlockState
from spinsweep.dashboard.kiosk import KioskPage
from spinsweep.dashboard.monitor import SweepMonitor
from spinsweep.dashboard.page import SweepPage
from spinsweep.dashboard.plugin import PLUGIN_NAME, SweepPlugin
from spinsweep.dashboard.reader import Reader
from spinsweep.messages import AxisDescription, ProgressReport, RunDescription
from spinsweep.views import MAX_LINES, View

RATE = 1000  # blocks a second
SECONDS = 50  # of reports
SIDE = 250  # blocks along each axis: more than a map has bins
REDRAWS = 20  # of a window, for their mean
TRANSITIONS = 6  # of a task: waiting, processing, memory, released, forgotten, and one to spare
GOAL = 0.01


class Cost(NamedTuple):
    """Shares of the scheduler's one thread, and the time of one redraw."""

    reports: float
    hooks: float
    redraw: float
    """Seconds of CPU."""
    redraw_on_the_wall: float
    """The same of a screen."""
    curves: float
    """Likewise, of eight curves of as many points as there can be."""


DESCRIPTION = RunDescription(
    sweep="cost",
    title="cost",
    axes=tuple(AxisDescription(name, tuple(range(SIDE)), "1", "") for name in "ab"),
    chunk=(1, 1),
    outputs=(),
    path="/no/cube",
    cube_id="none",
    epoch=1,
    cells=SIDE * SIDE,
    measured=False,
    client="none",
)
"""A run of SIDE x SIDE blocks."""

MANY = xr.Dataset(
    {"y": (("line", "x", "seed"), np.random.default_rng(0).random((MAX_LINES, MAX_POINTS, 10)))},
    {"line": range(MAX_LINES), "x": range(MAX_POINTS)},
)


def reported(second: int) -> dict[str, Any]:
    """What a driver sends after a second in which RATE blocks ended."""
    numbers = np.arange(second * RATE, (second + 1) * RATE, dtype=np.uint32)
    report = ProgressReport(
        cells_done=(second + 1) * RATE, blocks=SIDE * SIDE, block_seconds=1.0, seconds=1.0, rate=float(RATE)
    )
    return {
        "report": report.to_json(),
        "numbers": numbers.tobytes(),
        "states": np.full(RATE, BlockState.DONE, np.uint8).tobytes(),
    }


async def measure() -> Cost:
    """All three, in CPU time of this thread."""
    async with Scheduler(host="127.0.0.1", port=0, dashboard_address="127.0.0.1:0") as scheduler:
        plugin = SweepPlugin()
        await scheduler.register_scheduler_plugin(plugin, idempotent=True)
        states = np.full(SIDE * SIDE, BlockState.WAITING, np.uint8)
        async with rpc(scheduler.address) as driver:
            described = {"description": DESCRIPTION.to_json(), "states": states.tobytes()}
            assert await getattr(driver, f"{PLUGIN_NAME}_begin")(run="cost", **described) == ""
            began = time.thread_time()
            for second in range(SECONDS):
                await getattr(driver, f"{PLUGIN_NAME}_report")(run="cost", **reported(second))
            reports = (time.thread_time() - began) / SECONDS
        assert np.count_nonzero(plugin.monitor.runs["cost"].states == BlockState.DONE) == SECONDS * RATE

        began = time.thread_time()
        for number in range(TRANSITIONS * RATE):
            plugin.transition(("cost", "run", number), "processing", "memory", stimulus_id="cost", worker="w")
        hooks = time.thread_time() - began

        redraw, on_the_wall = (redrawn(kind, plugin.monitor) for kind in (SweepPage, KioskPage))

        page = SweepPage(plugin.monitor, Reader(), Document())
        drawn = [curves(MANY + number, View("y", x="x", lines="line")) for number in range(REDRAWS)]
        began = time.thread_time()
        for one in drawn:
            page.curves.show(one, "")
        redraw_of_curves = (time.thread_time() - began) / REDRAWS
    return Cost(reports, hooks, redraw, on_the_wall, redraw_of_curves)


def redrawn(kind: type[SweepPage], monitor: SweepMonitor) -> float:
    """CPU time, s, that one redraw of a window takes."""
    page = kind(monitor, Reader(), Document())
    began = time.thread_time()
    for number in range(REDRAWS):
        monitor.runs["cost"].states[number] = BlockState.FAILED
        monitor._maps.clear()
        page._due = 0.0
        page.update()
    return (time.thread_time() - began) / REDRAWS


def main() -> None:
    """Print the figures."""
    cost = asyncio.run(measure())
    print(f"reports of {RATE} blocks a second  {100 * cost.reports:.3f} % of the scheduler's time")
    print(f"calls of the plugin             {100 * cost.hooks:.3f} %")
    print(f"goal                            {100 * GOAL:.0f} %")
    print(f"one redraw of eight curves      {1e3 * cost.curves:.1f} ms; likewise")
    print(
        f"one redraw of a full map        {1e3 * cost.redraw:.1f} ms, {1e3 * cost.redraw_on_the_wall:.1f} ms on a "
        "screen on the wall; a window takes 1 % at most, so it waits longer"
    )


if __name__ == "__main__":
    main()
