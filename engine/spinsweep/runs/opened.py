"""A run that has been opened: its tasks, its counts, and what the user should know of it."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from spinsweep import provenance
from spinsweep.cube import Cube, Durable, Job, Task
from spinsweep.errors import CubeError
from spinsweep.ledger import Counts, Receipt
from spinsweep.messages import MAX_LONG, LaneReport, LongBlock, LongReport, MessageError
from spinsweep.progress import Progress
from spinsweep.provenance import WorkerRecord
from spinsweep.runs.planning import missing_tasks
from spinsweep.spec import Sweep

LONG_KEPT_S = 10.0  # between writes of the run's record, while blocks are computed for long
WORKERS_S = 10.0  # between writes of the run's record, while workers come


@dataclass(frozen=True)
class ReceivedReport:
    """A report of a lane, and when it came."""

    report: LaneReport
    at_time: float
    """s of the monotonic clock."""


@dataclass
class Run:
    """A run that has been announced in the cube; see :func:`spinsweep.runs.open_run`."""

    sweep: Sweep
    cube: Cube
    job: Job
    """What all its tasks share."""
    state: npt.NDArray[np.uint8]
    """State of every cell when the run began, in the cube's shape."""
    requested: tuple[npt.NDArray[np.bool_], ...]
    """Along each axis of the cube, whether the sweep asks for that value."""
    retry_failed: bool
    progress: Progress
    durable: Durable
    begun: bool = False
    """Whether any task was made."""
    outcome: str = "interrupted"
    """As the run's record says it; "stopped" and what an executor says stay, the rest is found at the end."""
    stopped_because: str = ""
    """Why the run stopped by itself; empty if it did not."""
    ended: Counts | None = None
    """The cells asked for by state, at the end."""
    unwritten_blocks: list[str] = field(default_factory=list)
    """Blocks that ended without a receipt, in words."""
    notes: list[str] = field(default_factory=list)
    """What the user should know."""
    workers: list[WorkerRecord] = field(default_factory=list)
    """What computed blocks, each as its first receipt described it."""
    keep_workers: Callable[[], None] = lambda: None
    """Write the workers into the run's record."""
    keep_long: Callable[[LongReport | None], None] = lambda report: None
    """Write into the run's record what has been computed for long."""
    on_receipt: list[Callable[[Receipt], None]] = field(default_factory=list)
    """Called with each block that ended."""
    lane: ReceivedReport | None = None
    """What the lane that measures for this run reported last."""
    _long_kept: bool = False
    _long_unkept: bool = False
    _keep_long_at: float = 0.0
    _kept: int = 0
    _keep_at: float = 0.0

    def tasks(self) -> Iterator[Task]:
        """The tasks of this run, made one by one as they are needed."""
        for task in missing_tasks(self.cube, self.state, self.requested, retry_failed=self.retry_failed):
            self.begun = True
            yield dataclasses.replace(task, batch=self.durable.count_task(task))

    @property
    def counts_before(self) -> Counts:
        """The cells asked for by state, when the run began."""
        return Counts.of(self.state[np.ix_(*self.requested)])

    @property
    def work(self) -> str:
        """What there is to do, and what is there already, in words."""
        cells, before = self.progress.cells, self.counts_before
        failed = 0 if self.retry_failed else before.failed
        kept = before.total - cells - failed
        text = f"{cells} cells to compute in {self.progress.blocks} blocks" if cells else "nothing to compute"
        text += f", {kept} are there" if kept else ""
        text += f", {failed} failed (--retry-failed computes them again)" if failed else ""
        return text + (f", {before.unwanted} are not wanted" if before.unwanted else "")

    def begin(self) -> None:
        """Workers are ready: rates count from now."""
        self.progress.begin(time.monotonic())

    def note(self, receipt: Receipt) -> None:
        """Count a block that ended.

        Raises
        ------
        CubeError
            The disk did not take what was written.
        """
        if receipt.worker is not None:
            self.workers.append(receipt.worker)
        if len(self.workers) > self._kept and time.monotonic() >= self._keep_at:
            self._kept, self._keep_at = len(self.workers), time.monotonic() + WORKERS_S
            self.keep_workers()
        self.progress.note(receipt, time.monotonic())
        self.durable.count_receipt(receipt)
        for listener in self.on_receipt:
            listener(receipt)

    def note_long(self, blocks: Sequence[LongBlock], long_at: float) -> None:
        """Take over which blocks have been computed for long, longest first.

        Parameters
        ----------
        long_at : when that was so, s of the monotonic clock
        """
        self.progress.long, self.progress.long_at = blocks, long_at
        now = time.monotonic()
        if now >= self._keep_long_at and (blocks or self._long_kept):
            self._keep_long_at, self._long_kept = now + LONG_KEPT_S, bool(blocks)
            shown, more = tuple(self.progress.long_now(now)[:MAX_LONG]), max(0, len(blocks) - MAX_LONG)
            try:
                self.keep_long(LongReport(seen=provenance.now(), blocks=shown, more=more) if blocks else None)
            except (CubeError, OSError) as error:  # it harms no cell
                if not self._long_unkept:
                    self.notes.append(f"spinsweep status cannot be told which cells are being computed: {error}")
                self._long_unkept = True

    def on_lane_report(self, message: Mapping[str, Any]) -> None:
        """Take over what a lane reports of this run: its cell, train and cycles."""
        try:
            report = LaneReport.from_json(message)
        except MessageError as error:
            self.progress.activity = f"cannot say what the lane does: {error}"
            return
        if report.measures_for(self.job.cube_id):
            self.progress.activity = f"{report.cell}: {report.train}, {report.cycles} cycles since the lane started"
            self.lane = ReceivedReport(report, time.monotonic())

    def finish(self) -> Counts:
        """Say how the run ended, from the cube; the cells asked for by state. Once: later calls repeat the first."""
        if self.ended is None:
            self.ended = Counts.of(self.cube.ledger("cell_state")[np.ix_(*self.requested)])
            if self.outcome != "stopped":
                self.outcome = "complete" if self.ended.done == self.ended.total else "failed cells"
        return self.ended

    @property
    def complete(self) -> bool:
        """Whether every cell asked for is done at the end."""
        counts = self.finish()
        return counts.done == counts.total

    def described_workers(self) -> tuple[WorkerRecord, ...]:
        """What computed the run's blocks; where no worker described itself, it was this process."""
        if self.progress.blocks_ended and not self.workers:
            return (WorkerRecord.here(self.job.origin, ""),)
        return tuple(self.workers)
