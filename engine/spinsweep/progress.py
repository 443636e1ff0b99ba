"""Progress as numbers: counts and times in, rate and time left out. No clock and no terminal in here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from spinsweep.axis import key
from spinsweep.ledger import Receipt
from spinsweep.messages import LongBlock
from spinsweep.pace import Pace, TimeLeft

WORTH_SAYING, WORTH_SAYING_S = 0.2, 5.0  # of the time left, and s: narrower intervals are not shown


@dataclass
class Progress:
    """How far a run is."""

    cells: int
    """Cells that this run has to compute."""
    blocks: int
    began: float
    """Time of the start, seconds of any steady clock; the same clock as ``now`` below."""
    cells_done: int = 0
    cells_failed: int = 0
    blocks_ended: int = 0
    block_seconds: float = 0.0
    """Sum of the block function's time over the blocks that ended."""
    workers_lost: int = 0
    activity: str = ""
    """What the lane does now, where the work is on a bench."""
    waiting: str = ""
    """What the run waits for; empty while it goes on."""
    round: str = ""
    """The round of replicates and how many sets are open, where there are rounds."""
    long: Sequence[LongBlock] = ()
    """The blocks that have been computed for long, longest first, as they were at ``long_at``."""
    long_at: float = 0.0
    """s of the clock of ``began``."""
    last_error: str = ""
    pace: Pace = field(init=False)

    def __post_init__(self) -> None:
        self.pace = Pace(self.began)

    def begin(self, now: float) -> None:
        """There are workers: rates count from now."""
        self.began = now
        self.pace = Pace(now)

    def wait_for(self, what: str, now: float) -> None:
        """What the run waits for, in words; empty: nothing."""
        self.waiting = what
        self.pace.wait(now, waits=bool(what))

    def note(self, receipt: Receipt, now: float) -> None:
        """Count a block that ended."""
        self.pace.note(now, receipt.done + receipt.failed, receipt.seconds)
        self.cells_done += receipt.done
        self.cells_failed += receipt.failed
        self.blocks_ended += 1
        self.block_seconds += receipt.seconds
        self.last_error = receipt.first_error or self.last_error

    @property
    def cells_ended(self) -> int:
        """Cells done or failed in this run."""
        return self.cells_done + self.cells_failed

    def rate(self, now: float) -> float:
        """Cells a second of the last minutes; 0 before the first block ended."""
        return self.pace.rate(now)

    def left(self, now: float) -> TimeLeft | None:
        """Time left at that rate; None while nothing is known, as when all that is left runs longer than the rest."""
        cells = self.cells - self.cells_ended
        if cells and sum(block.cells for block in self.long) >= cells:
            return None
        return self.pace.left(now, cells)

    def long_now(self, now: float) -> list[LongBlock]:
        """The long blocks with their times as of now, as far as is known."""
        later = max(0.0, now - self.long_at)
        return [replace(b, seconds=b.seconds + later, cell_seconds=b.cell_seconds + later) for b in self.long]

    @property
    def counted(self) -> str:
        """Blocks and cells that ended, what failed, was lost or is waited for."""
        text = f"{self.blocks_ended}/{self.blocks} blocks, {self.cells_ended}/{self.cells} cells"
        if self.waiting:
            return f"{text}, waiting for {self.waiting}"
        if self.cells_failed:
            text += f", {self.cells_failed} failed"
        if self.workers_lost:
            text += f", {self.workers_lost} workers lost (their blocks run again)"
        return text

    def line(self, now: float) -> str:
        """One plain line, as logs show it."""
        left, text = self.left(now), self.counted
        if self.activity and not self.waiting:
            text += f", {self.activity}"
        elif self.long:
            text += f", {long_in_words(self.long_now(now)[0])}"
        if self.waiting:
            return text
        if self.round:
            text += f", {self.round}"
        if left is not None:
            text += f", {self.rate(now):.3g} cells/s, {left_in_words(left)}"
        return text


def left_in_words(left: TimeLeft) -> str:
    """The time left, and within which bounds where they are far apart."""
    if not left_is_wide(left):
        return f"{duration(left.seconds)} left"
    return f"{duration(left.low)} to {duration(left.high)} left"


def left_is_wide(left: TimeLeft) -> bool:
    """Whether the bounds of a time are far enough apart to be worth saying."""
    return left.high - left.low >= max(WORTH_SAYING * left.seconds, WORTH_SAYING_S)


def long_in_words(block: LongBlock) -> str:
    """Which cell is computed since when, and where."""
    cell, more = " ".join(f"{name}={key(value)}" for name, value in block.cell.items()), ""
    if block.cells > 1 and block.in_hand:
        more = f" (of a block of {block.cells} cells, for {duration(block.seconds)})"
    elif block.cells > 1:
        cell += f" and {block.cells - 1} more"
    silent = "" if block.answers else ", which does not answer"
    return f"{cell} for {duration(block.cell_seconds)}{more} in {block.worker}{silent}"


def duration(seconds: float) -> str:
    """``seconds`` as people say it: 0.4 s, 12 s, 3 min 20 s, 2 h 5 min, 3 d 4 h."""
    if seconds < 10:
        return f"{seconds:.2g} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 172_800:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"
