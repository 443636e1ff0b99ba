"""The driver's side: tells the scheduler what a run is, and once a second how far it is.

A report holds the numbers of the blocks that ended since the last one, so that the scheduler has no work for a single
block. A report never delays or ends a run: to a scheduler that cannot show the page, nothing more is sent.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from distributed import Client

from spinsweep.axis import json_of
from spinsweep.dashboard.access import OPEN, Pages, pages_of
from spinsweep.dashboard.blockmap import BlockState, initial_states, share_byte
from spinsweep.dashboard.plugin import PLUGIN_NAME, SweepPlugin
from spinsweep.errors import RunnerError
from spinsweep.figure_files import drawn_figures, figures_folder
from spinsweep.ledger import Counts, Receipt
from spinsweep.messages import (
    MAX_GROUPS,
    MAX_LONG,
    AxisDescription,
    EarlierRun,
    FailureGroup,
    OutputDescription,
    ProgressReport,
    RunDescription,
    ViewDescription,
)
from spinsweep.provenance import changes_in_words
from spinsweep.runs import Run

REPORT_INTERVAL_S = 1.0
MAX_ERROR_CHARACTERS = 400  # of an error that a report holds
MAX_ERRORS = 1000  # that are counted apart, of one run
OTHERS = "(other errors)"


class Reports:
    """What one run reports."""

    def __init__(self, run: Run, client: Client, name: str) -> None:
        self.run = run
        self.client = client
        self.name = name
        """Of the run, among all that the scheduler has; the second part of its tasks' keys."""
        self._ended: dict[int, BlockState] = {}
        """State of each block, by number, that ended since the last report."""
        self._shares: dict[int, int] = {}
        """Of those in which cells failed, the share of them; see :func:`share_byte`."""
        self._errors: Counter[str] = Counter()
        """Failed cells of the run by error."""
        self._first: dict[str, Mapping[str, Any]] = {}
        """Coordinates of the first cell with an error, where it is known."""
        self._failed: Counter[int] = Counter()
        """Failed cells of each block that has some and has not ended, by number."""
        self._next = 0.0
        self._sends = False
        """Whether the scheduler takes reports."""

    def begin(self) -> None:
        """Bring the page to the scheduler, if it does not have it, and describe the run."""
        run = self.run
        retry, grid = run.retry_failed, run.cube.grid
        states, self._cells_left, failed = initial_states(run.state, run.requested, grid, retry_failed=retry)
        try:
            self.client.register_plugin(SweepPlugin())
            description = describe(run, self.client.id).to_json()
            problem = self._call("begin", description=description, states=states.tobytes(), failed=failed.tobytes())
        except Exception as error:  # whatever a scheduler with other software answers
            problem = f"{type(error).__name__}: {error}"
        if problem:
            run.notes.append(f"no Sweep page in the dashboard: {problem}")
        self._sends = not problem

    def begin_round(self) -> None:
        """Further cells are to be computed, also of blocks that have ended."""
        run = self.run
        retry, grid = run.retry_failed, run.cube.grid
        _, self._cells_left, _ = initial_states(run.present, run.requested, grid, retry_failed=retry)
        self._ended |= dict.fromkeys(np.flatnonzero(self._cells_left).tolist(), BlockState.WAITING)

    def note(self, receipt: Receipt) -> None:
        """Count a block, or a part of it, that ended."""
        if not self._sends:
            return
        grid = self.run.cube.grid
        index = grid.index(receipt.block.start)
        number = grid.number(index)
        self._cells_left[index] -= receipt.done + receipt.failed
        if receipt.failed:
            self._failed[number] += receipt.failed
            self._group(receipt)
        if self._cells_left[index] <= 0:
            failed = self._failed.pop(number, 0)
            self._ended[number] = BlockState.FAILED if failed else BlockState.DONE
            if failed:
                self._shares[number] = int(share_byte(failed, math.prod(receipt.block.shape)))

    def send(self, *, ended: bool = False) -> None:
        """Report, at most once a second, and at the end."""
        now = time.monotonic()
        if not self._sends or (now < self._next and not ended):
            return
        self._next = now + REPORT_INTERVAL_S
        progress, problems = self.run.progress, self.run.unwritten_blocks
        left = progress.left(now)
        report = ProgressReport(
            cells=progress.cells,
            round=progress.round,
            cells_done=progress.cells_done,
            cells_failed=progress.cells_failed,
            blocks=progress.blocks,
            blocks_ended=progress.blocks_ended,
            block_seconds=progress.block_seconds,
            workers_lost=progress.workers_lost,
            seconds=now - progress.began,
            rate=progress.rate(now),
            seconds_left=None if left is None else left.seconds,
            seconds_left_low=None if left is None else left.low,
            seconds_left_high=None if left is None else left.high,
            waiting=progress.waiting,
            problem=problems[-1] if problems else "",
            ended=ended,
            groups=tuple(FailureGroup(n, self._first.get(e, {}), e) for e, n in self._errors.most_common(MAX_GROUPS)),
            more_groups=max(0, len(self._errors) - MAX_GROUPS),
            long=tuple(progress.long_now(now)[:MAX_LONG]),
            more_long=max(0, len(progress.long) - MAX_LONG),
        )
        numbers = np.array(list(self._ended), np.uint32)
        states = np.array(list(self._ended.values()), np.uint8)
        failed = np.array([self._shares.get(number, 0) for number in self._ended], np.uint8)
        blocks = {"numbers": numbers.tobytes(), "states": states.tobytes(), "failed": failed.tobytes()}
        try:
            self._call("report", report=report.to_json(), **blocks)
        except Exception:  # the run itself will find out what is wrong with the scheduler
            self._sends = False
        self._ended, self._shares = {}, {}

    def _group(self, receipt: Receipt) -> None:
        """Count failed cells by error; a receipt counts its commonest few."""
        counted = {_cut(error): n for error, n in receipt.errors.items()}
        if len(self._errors) < MAX_ERRORS:
            self._errors.update(counted)
        else:
            known = {error: n for error, n in counted.items() if error in self._errors}
            self._errors.update({**known, OTHERS: sum(counted.values()) - sum(known.values())})
        if rest := receipt.failed - sum(receipt.errors.values()):
            self._errors[OTHERS] += rest
        first = _cut(receipt.first_error)
        if first in self._errors and first not in self._first:
            self._first[first] = self._first_failed(receipt)

    def _first_failed(self, receipt: Receipt) -> dict[str, Any]:
        cell = zip(self.run.cube.axes.items(), receipt.first_failed, strict=True)
        return {name: json_of(values[i]) for (name, values), i in cell}

    def _call(self, handler: str, **arguments: Any) -> Any:
        return _call(self.client, handler, run=self.name, **arguments)


def _cut(error: str) -> str:
    kind, _, message = error.partition(": ")
    return f"{kind}: {message[:MAX_ERROR_CHARACTERS]}"


def describe(run: Run, client: str) -> RunDescription:
    """What the page has to know of a run; ``client`` is the id of its driver's client."""
    cube, sweep = run.cube, run.sweep
    store = str(cube.storage)
    return RunDescription(
        sweep=sweep.name,
        title=sweep.title,
        axes=tuple(
            AxisDescription(a.name, tuple(map(json_of, cube.axes[a.name])), a.unit, a.long_name) for a in sweep.axes
        ),
        chunk=cube.grid.chunk,
        outputs=tuple(
            OutputDescription(o.name, o.unit, o.long_name, o.dims)
            for o in sweep.outputs
            if np.dtype(o.dtype).kind in "biuf"
        ),
        path=str(cube.storage),
        cube_id=run.job.cube_id,
        epoch=run.job.epoch,
        cells=run.progress.cells,
        measured=sweep.measured,
        client=client,
        earlier=_earlier(run),
        failed_before=Counts.of(run.state).failed,
        figures=len({file.stem for file in drawn_figures(store)}),
        figures_folder=str(figures_folder(store)),
        views=tuple(
            ViewDescription(v.output, str(v.x), v.lines, v.over, v.inner)
            for v in sweep.dimensions(cube.axes).every(sweep.views)
        ),
    )


def _earlier(run: Run) -> tuple[EarlierRun, ...]:
    """The run that this one is compared with."""
    before, record = run.cube.run_before(run.job.epoch), run.cube.run_record(run.job.epoch)
    if before is None:
        return ()
    epoch, earlier = before
    changes = "" if record is None else changes_in_words(record.changes_since(earlier))
    return (EarlierRun(epoch, earlier.start, earlier.seconds, earlier.cells, earlier.rate, earlier.outcome, changes),)


def serve_watchers(client: Client, port: int, pages: Pages = OPEN) -> str:
    """Serve the Sweep page and the metrics, and nothing else, on a port of the scheduler's machine; its address.

    Raises
    ------
    RunnerError
        The port is taken, or the scheduler cannot serve the page.
    """
    try:
        client.register_plugin(SweepPlugin())
        return str(_call(client, "watchers", port=port, hosts=list(pages.hosts), token=pages.token))
    except Exception as error:
        raise RunnerError(f"--watchers {port}: the page cannot be served on this port: {error}") from None


def page_prefix(client: Client) -> str:
    """The first part of every path of the dashboard of a client's scheduler, or nothing."""
    pages: Pages = client.run_on_scheduler(pages_of)
    return pages.prefix


def _call(client: Client, handler: str, **arguments: Any) -> Any:
    """Call a handler of the plugin at the scheduler."""
    scheduler: Any = client.scheduler
    return client.sync(getattr(scheduler, f"{PLUGIN_NAME}_{handler}"), **arguments)
