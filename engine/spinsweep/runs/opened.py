"""A run that has been opened: its tasks, its counts, and what the user should know of it."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from spinsweep import provenance
from spinsweep.cube import Cube, Durable, Job, Task
from spinsweep.errors import CubeError
from spinsweep.ledger import Counts, Receipt, State, pending
from spinsweep.messages import MAX_LONG, LaneReport, LongBlock, LongReport, MessageError
from spinsweep.progress import Progress
from spinsweep.provenance import WorkerRecord
from spinsweep.runs.planning import missing_tasks
from spinsweep.spec import Sweep
from spinsweep.until import ATTRIBUTE

if TYPE_CHECKING:  # scipy takes long to load
    from spinsweep.runs.rounds import Rounds

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
    rounds: Rounds | None = None
    """Which replicates are computed; None: all that the sweep asks for."""
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
    on_round: list[Callable[[], None]] = field(default_factory=list)
    """Called with each further round of replicates."""
    lane: ReceivedReport | None = None
    """What the lane that measures for this run reported last."""
    _long_kept: bool = False
    _long_unkept: bool = False
    _keep_long_at: float = 0.0
    _kept: int = 0
    _keep_at: float = 0.0
    _present: npt.NDArray[np.uint8] | None = None
    """State of every cell when the present round began, if it is not the first."""
    _tried: npt.NDArray[np.bool_] | None = None
    """Cells that this run computes, in the rounds so far."""

    def tasks(self) -> Iterator[Task]:
        """The tasks of this run, or of the present round, made one by one as they are needed."""
        for task in self._missing():
            self.begun = True
            yield dataclasses.replace(task, batch=self.durable.count_task(task))

    def _missing(self) -> Iterator[Task]:
        return missing_tasks(self.cube, self.present, self.requested, retry_failed=self.retry_failed)

    @property
    def present(self) -> npt.NDArray[np.uint8]:
        """State of every cell when the present round began; what the run has tried and failed counts as done."""
        return self.state if self._present is None else self._present

    def count_tasks(self) -> None:
        """Add the tasks to what there is to do."""
        for task in self._missing():
            self.progress.cells += task.cells
            self.progress.blocks += 1

    def choose(self) -> None:
        """Choose the cells of the present round, and mark them as wanted in the cube."""
        assert self.rounds is not None
        before = self.cube.ledger("cell_state")
        missing = pending(before, retry_failed=self.retry_failed) | (before == State.UNWANTED)
        if self._tried is not None:
            missing &= ~(self._tried & (before == State.FAILED))
        chosen = self.rounds.in_cube(self.cube, self.rounds.choose(self.cube, before, missing))
        state = self.cube.mark_wanted(self.sweep, chosen)
        if self._tried is None:
            self.state = state
        else:
            self._present = np.where(self._tried & (state == State.FAILED), np.uint8(State.DONE), state)
        chosen &= missing
        self._tried = chosen if self._tried is None else self._tried | chosen
        self.cube.commit(self.cube.attributes.with_artifacts({ATTRIBUTE: self.rounds.to_json()}))
        cells = self.progress.cells
        self.count_tasks()
        if self.progress.cells > cells:
            self.notes.append(f"{self.rounds.words()}, {self.progress.cells - cells} cells to compute")
        self.progress.round = self.rounds.words()

    def next_round(self) -> bool:
        """Whether there are further tasks, now that all of the round have ended."""
        if self.rounds is None or self.outcome == "stopped" or self.unwritten_blocks:
            return False
        blocks = self.progress.blocks
        self.choose()
        if self.progress.blocks == blocks:
            return False
        for listener in self.on_round:
            listener()
        return True

    @property
    def most_blocks(self) -> int:
        """How many blocks the run may have to compute at a time."""
        if self.rounds is None:
            return self.progress.blocks
        return max(self.progress.blocks, sum(1 for _ in self.cube.grid.blocks(self.requested)))

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
        if self.rounds is not None:
            return f"{text}; more where {self.rounds.until} is not met"
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
        """Whether every cell asked for is done at the end, and no set of replicates needs more."""
        counts = self.finish()
        return counts.done == counts.total and not (self.rounds is not None and self.rounds.is_open.any())

    def described_workers(self) -> tuple[WorkerRecord, ...]:
        """What computed the run's blocks; where no worker described itself, it was this process."""
        if self.progress.blocks_ended and not self.workers:
            return (WorkerRecord.here(self.job.origin, ""),)
        return tuple(self.workers)
