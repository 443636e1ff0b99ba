"""Progress as numbers: counts and times in, rate and time left out. No clock and no terminal in here."""

from __future__ import annotations

from dataclasses import dataclass

from spinsweep.ledger import Receipt


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
    longest: str = ""
    """The block that is being computed for the longest, if that is long; where an executor knows it."""
    last_error: str = ""

    def note(self, receipt: Receipt) -> None:
        """Count a block that ended."""
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
        """Cells a second since the start; 0 before the first block ended."""
        return self.cells_ended / (now - self.began) if now > self.began else 0.0

    def seconds_left(self, now: float) -> float | None:
        """Time left at the rate so far; None while nothing is known."""
        rate = self.rate(now)
        return (self.cells - self.cells_ended) / rate if rate > 0 else None

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
        left, text = self.seconds_left(now), self.counted
        if self.waiting:
            return text
        if self.activity:
            text += f", {self.activity}"
        if self.longest:
            text += f", {self.longest}"
        if self.round:
            text += f", {self.round}"
        if left is not None:
            text += f", {self.rate(now):.3g} cells/s, {duration(left)} left"
        return text


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
