"""The driver's side: what a run is, and each second how far it is, told to the scheduler.

A report holds the numbers of the blocks that ended since the last one, so that the scheduler has no work for a single
block. Nothing here may hold a run up: a scheduler that cannot show the page is told nothing.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Any

import numpy as np
from distributed import Client

from spinsweep.dashboard.blockmap import BlockState, initial_states
from spinsweep.dashboard.closed import OPEN, Pages, pages_of
from spinsweep.dashboard.plugin import FAILURES, NAME, SweepPlugin
from spinsweep.errors import RunnerError
from spinsweep.ledger import Receipt
from spinsweep.runs import Run

REPORT = 1.0  # seconds between reports
MESSAGE = 400  # characters of an error that are told


class Reports:
    """What one run tells."""

    def __init__(self, run: Run, client: Client, name: str) -> None:
        self.run = run
        self.client = client
        self.name = name
        """Of the run, among all that the scheduler has; the second part of its tasks' keys."""
        self._ended: dict[int, BlockState] = {}
        self._failures: deque[dict[str, Any]] = deque(maxlen=FAILURES)
        self._next = 0.0
        self._failed: set[int] = set()
        self._told = False

    def begin(self) -> None:
        """Bring the page to the scheduler, if it is not there, and describe the run."""
        run, cube = self.run, self.run.cube
        states, self._left = initial_states(run.state, run.requested, cube.grid, run.retry_failed)
        try:
            self.client.register_plugin(SweepPlugin())
            about = {**describe(run), "client": self.client.id}
            self._call("begin", description=about, states=states.tobytes())
            self._told = True
        except Exception as error:  # whatever a scheduler of another make answers
            run.notes.append(f"no Sweep page in the dashboard: {type(error).__name__}: {error}")

    def note(self, receipt: Receipt) -> None:
        """Count a block, or a part of it, that ended."""
        if not self._told:
            return
        grid = self.run.cube.grid
        index = grid.index(receipt.block.start)
        number = grid.number(index)
        self._left[index] -= receipt.done + receipt.failed
        if receipt.failed:
            self._failed.add(number)
            self._failures.append(self._failure(receipt))
        if self._left[index] <= 0:
            self._ended[number] = BlockState.FAILED if number in self._failed else BlockState.DONE
            self._failed.discard(number)

    def tell(self, ended: bool = False) -> None:
        """Report, once a second at most, and at the end."""
        now = time.monotonic()
        if not self._told or (now < self._next and not ended):
            return
        self._next = now + REPORT
        progress = self.run.progress
        report = {
            "cells_done": progress.cells_done,
            "cells_failed": progress.cells_failed,
            "blocks": progress.blocks,
            "blocks_ended": progress.blocks_ended,
            "block_seconds": progress.block_seconds,
            "workers_lost": progress.workers_lost,
            "seconds": now - progress.began,
            "rate": progress.rate(now),
            "left": progress.seconds_left(now),
            "waiting": progress.waiting,
            "problem": self.run.unwritten_blocks[-1] if self.run.unwritten_blocks else "",
            "ended": ended,
        }
        numbers = np.array(list(self._ended), np.uint32)
        states = np.array(list(self._ended.values()), np.uint8)
        try:
            self._call(
                "report",
                report=report,
                numbers=numbers.tobytes(),
                states=states.tobytes(),
                failures=list(self._failures),
            )
        except Exception:  # the run itself will find out what is wrong with the scheduler
            self._told = False
        self._ended = {}
        self._failures.clear()

    def _failure(self, receipt: Receipt) -> dict[str, Any]:
        kind, _, message = receipt.first_error.partition(": ")
        axes = self.run.cube.axes
        cell = ", ".join(f"{n}={v[i]}" for (n, v), i in zip(axes.items(), receipt.first_failed, strict=True))
        return {"cell": cell, "more": receipt.failed - 1, "type": kind, "message": message[:MESSAGE]}

    def _call(self, what: str, **more: Any) -> Any:
        return call(self.client, what, run=self.name, **more)


def describe(run: Run) -> dict[str, Any]:
    """What the page must know of a run."""
    cube, sweep = run.cube, run.sweep
    return {
        "sweep": sweep.name,
        "title": sweep.title,
        "axes": [
            {"name": a.name, "values": list(cube.axes[a.name]), "unit": a.unit, "long_name": a.long_name}
            for a in sweep.axes
        ],
        "chunk": list(cube.grid.chunk),
        "outputs": [
            {"name": o.name, "unit": o.unit, "long_name": o.long_name, "dims": list(o.dims)}
            for o in sweep.outputs
            if np.dtype(o.dtype).kind in "biuf"
        ],
        "path": str(cube.storage),
        "cube_id": run.job.cube_id,
        "epoch": run.job.epoch,
        "cells": run.progress.cells,
        "on_lane": sweep.measured,
    }


def serve_watchers(client: Client, port: int, pages: Pages = OPEN) -> str:
    """Serve the Sweep page and the metrics, and nothing else, on a port of the scheduler's machine; its address.

    Raises
    ------
    RunnerError
        The port is taken, or the scheduler cannot serve the page.
    """
    try:
        client.register_plugin(SweepPlugin())
        return str(call(client, "watchers", port=port, hosts=list(pages.hosts), token=pages.token))
    except Exception as error:
        raise RunnerError(f"--watchers {port}: the page cannot be served there: {error}") from None


def page_prefix(client: Client) -> str:
    """What stands before every path of the dashboard of a client's scheduler."""
    found: Pages = client.run_on_scheduler(pages_of)
    return found.prefix


def call(client: Client, what: str, **more: Any) -> Any:
    """Ask the plugin at the scheduler."""
    scheduler: Any = client.scheduler
    return client.sync(getattr(scheduler, f"{NAME}_{what}"), **more)
