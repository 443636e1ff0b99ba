"""What the drivers and lanes of one scheduler reported, and what the scheduler itself knows of their tasks.

The scheduler does nothing for a single block: the driver's report of each second says which blocks ended, and which
blocks run is looked up when a page asks.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from spinsweep.blocks import BlockGrid
from spinsweep.dashboard.blockmap import BlockMap, BlockState, block_map
from spinsweep.messages import (
    LaneReport,
    LongBlock,
    MessageError,
    ProgressReport,
    RunDescription,
    RunNow,
    RunsReport,
)
from spinsweep.pace import RateHistory
from spinsweep.progress import duration
from spinsweep.resources import EXCLUSIVE

MAX_RUNS = 20  # kept, the newest
SILENCE_S = 10.0  # without a report, after which it is said
MAP_SHARE = 0.01  # of the scheduler's time that drawing maps may take


@dataclass
class WatchedRun:
    """One run as its driver described and reported it."""

    name: str
    """Among all runs of the scheduler; the second part of its tasks' keys."""
    description: RunDescription
    states: npt.NDArray[np.uint8]
    """Of each block, a :class:`BlockState` without RUNNING, in the shape of the grid of blocks."""
    failed: npt.NDArray[np.uint8]
    """Of each block, the share of its cells that failed, 255 for all; it counts where the state is FAILED."""
    report: ProgressReport = field(default_factory=ProgressReport)
    """The driver's last."""
    rates: RateHistory = field(default_factory=RateHistory)
    """The reported rate over the time since the first block was sent."""
    revision: int = 0
    """Grows with every report."""
    last_seen: float = field(default_factory=time.monotonic)
    """When the driver reported last, s of the monotonic clock."""
    began: float = field(default_factory=time.time)
    """When the driver described it, s of the clock."""

    @cached_property
    def grid(self) -> BlockGrid:
        """The cube's blocks."""
        return BlockGrid(tuple(len(axis.values) for axis in self.description.axes), self.description.chunk)

    @property
    def ended(self) -> bool:
        """Whether the driver sent its last report."""
        return self.report.ended

    @property
    def cells(self) -> int:
        """Cells that the run has to compute; rounds of replicates add some."""
        return self.report.cells or self.description.cells

    @property
    def cells_left(self) -> int:
        """Cells that the run has still to compute."""
        return self.cells - self.report.cells_ended

    def long_now(self) -> list[LongBlock]:
        """The blocks that have been computed for long, with their times as of now; none of a run that ended."""
        later = time.monotonic() - self.last_seen
        long = () if self.ended else self.report.long
        return [replace(b, seconds=b.seconds + later, cell_seconds=b.cell_seconds + later) for b in long]

    def problems(self, *, driver_lost: bool) -> Iterator[str]:
        """What is wrong, or may be, one line each."""
        report, silence_s = self.report, time.monotonic() - self.last_seen
        if self.ended and self.cells_left > 0:
            yield f"{self.cells_left:,} cells are left: run the same command again to continue"
        if driver_lost:
            yield "the driver is gone: run the same command again to continue"
        elif not self.ended and silence_s > SILENCE_S:
            yield f"no report from the driver for {duration(round(silence_s))}"
        if not self.ended and not driver_lost and report.waiting:
            yield f"waiting for {report.waiting}"
        if report.workers_lost and not self.ended:
            yield f"lost {report.workers_lost} workers; their blocks run again"
        if report.problem:
            yield f"a block could not be saved: {report.problem}"

    def counts(self, running: int) -> dict[BlockState, int]:
        """Blocks by state, with ``running`` of those that wait running."""
        totals = np.bincount(self.states.ravel(), minlength=len(BlockState))
        counts: dict[BlockState, int] = {s: int(totals[s]) for s in BlockState if s is not BlockState.PARTLY}
        counts[BlockState.WAITING] -= running
        counts[BlockState.RUNNING] = running
        return counts


@dataclass(frozen=True)
class ReportedLane:
    """What a lane reported last."""

    report: LaneReport
    last_seen: float
    """When, s of the monotonic clock."""


class SweepMonitor:
    """The runs and lanes of one scheduler."""

    def __init__(self, scheduler: Any) -> None:
        self.scheduler = scheduler
        self.runs: dict[str, WatchedRun] = {}
        """By name, the newest last."""
        self.lanes: dict[str, ReportedLane] = {}
        """By name of the bench."""
        self.unreadable: dict[str, str] = {}
        """Messages that cannot be read, one line for each sender, the newest last."""
        self._maps: dict[tuple[str, int, int], tuple[float, int, BlockMap]] = {}
        """Maps drawn: when to draw again, the revision of the run, and the map."""

    def begin(self, run: str, description: Mapping[str, Any], states: bytes, failed: bytes = b"") -> str:
        """A driver begins a run; ``states`` and ``failed`` hold one byte a block, last axis fastest.

        Returns
        -------
        Why the run cannot be shown; empty if it can.
        """
        try:
            described = RunDescription.from_json(description)
        except MessageError as error:
            return self._cannot_read(f"a run's driver: {error}", run)
        watched = WatchedRun(run, described, _by_block(states), _by_block(failed or bytes(len(states))))
        watched.states, watched.failed = (a.reshape(watched.grid.lengths) for a in (watched.states, watched.failed))
        self.runs[run] = watched
        for name in list(self.runs)[:-MAX_RUNS]:
            del self.runs[name]
        return ""

    def report(self, run: str, report: Mapping[str, Any], numbers: bytes, states: bytes, failed: bytes = b"") -> None:
        """A driver reports its progress, and of each block that ended since the last report its number (uint32), its
        state, and the share of its cells that failed.
        """
        if run not in self.runs:
            return
        try:
            progress = ProgressReport.from_json(report)
        except MessageError as error:
            self._cannot_read(f"a run's driver: {error}", run)
            return
        watched = self.runs[run]
        ended = np.frombuffer(numbers, np.uint32)
        watched.states.reshape(-1)[ended] = np.frombuffer(states, np.uint8)
        watched.failed.reshape(-1)[ended] = np.frombuffer(failed, np.uint8) if failed else 255
        watched.report = progress
        if progress.blocks_ended:
            watched.rates.note(progress.seconds, progress.rate)
        watched.revision += 1
        watched.last_seen = time.monotonic()

    def lane_report(self, message: Mapping[str, Any]) -> None:
        """A lane reports what it does."""
        try:
            report = LaneReport.from_json(message)
        except MessageError as error:
            self._cannot_read(f"a lane: {error}", "lane")
        else:
            self.lanes[report.bench] = ReportedLane(report, time.monotonic())

    def tell_runs(self) -> dict[str, Any]:
        """The runs, for whoever has no window on the page: a :class:`RunsReport` as JSON."""
        return RunsReport(
            runs=tuple(map(self._now, self.runs.values())), unreadable=tuple(dict.fromkeys(self.unreadable.values()))
        ).to_json()

    def _now(self, run: WatchedRun) -> RunNow:
        about, lost = run.description, self.driver_lost(run)
        return RunNow(
            sweep=about.sweep,
            title=about.title,
            axes={axis.name: len(axis.values) for axis in about.axes},
            path=about.path,
            cube_id=about.cube_id,
            epoch=about.epoch,
            cells=run.cells,
            driver_lost=lost,
            problems=tuple(run.problems(driver_lost=lost)),
            report=replace(run.report, long=tuple(run.long_now())).to_json(),
        )

    def _cannot_read(self, line: str, sender: str) -> str:
        self.unreadable[sender] = line
        for old in list(self.unreadable)[:-MAX_RUNS]:
            del self.unreadable[old]
        return line

    def running(self, run: WatchedRun) -> list[tuple[int, ...]]:
        """Indices of the blocks that workers compute now."""
        indices = []
        axes = len(run.grid.shape)
        for worker in self.scheduler.workers.values():
            for task in _computed(worker):
                key = task.key
                if isinstance(key, tuple) and len(key) >= 2 + axes and key[1] == run.name:
                    indices.append(run.grid.index([int(start) for start in key[2 : 2 + axes]]))
        return indices

    def block_map(self, run: WatchedRun, y: int, x: int) -> BlockMap:
        """The blocks of a run over two axes, now or, where drawing takes long, as of a while ago."""
        key = (run.name, y, x)
        began, spent = time.monotonic(), time.thread_time()
        if key in self._maps:
            due, revision, drawn = self._maps[key]
            if began < due or (run.ended and revision == run.revision):
                return drawn
        states = run.states.copy()
        for block_index in self.running(run):
            if states[block_index] == BlockState.WAITING:
                states[block_index] = BlockState.RUNNING
        drawn = block_map(states, run.failed, y, x)
        if len(self._maps) > MAX_RUNS:
            self._maps.clear()
        self._maps[key] = (began + (time.thread_time() - spent) / MAP_SHARE, run.revision, drawn)
        return drawn

    def driver_lost(self, run: WatchedRun) -> bool:
        """Whether the driver disconnected without a last report."""
        return not run.ended and run.description.client not in self.scheduler.clients

    def lane_owners(self) -> list[str]:
        """Each lane that holds a lease at this scheduler, as it calls itself."""
        lease = self.scheduler.plugins.get("spinsweep-lease")
        held = lease.held if lease else {}
        return [holder for holder, its in held.items() if its.until > time.monotonic()]

    def lane_workers(self) -> list[Any]:
        """The workers that own a bench."""
        return [worker for worker in self.scheduler.workers.values() if worker.resources.get(EXCLUSIVE)]

    def measured(self) -> dict[str, WatchedRun]:
        """The run that each lane works for now, by the name of its worker."""
        runs = {}
        for worker in self.lane_workers():
            for task in _computed(worker):
                run = self.runs.get(task.key[1]) if isinstance(task.key, tuple) and len(task.key) > 1 else None
                if run is not None:
                    runs[str(worker.name)] = run
        return runs

    def queue(self) -> list[WatchedRun]:
        """Runs that wait for a lane."""
        busy = {run.name for run in self.measured().values()}
        on_lane = [run for run in self.runs.values() if run.description.measured]
        return [run for run in on_lane if not (run.ended or self.driver_lost(run) or run.name in busy)]


def _by_block(sent: bytes) -> npt.NDArray[np.uint8]:
    return np.frombuffer(sent, np.uint8).copy()


def _computed(worker: Any) -> list[Any]:
    """The tasks that a worker computes: the first of those that it was given, as many as it has threads."""
    return heapq.nsmallest(worker.nthreads, worker.processing, key=lambda task: task.priority)
