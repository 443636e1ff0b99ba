"""The reference executor: one block after the other, in this process."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

from spinsweep.axis import key
from spinsweep.cube import execute
from spinsweep.errors import Stopped
from spinsweep.executors import long_running
from spinsweep.executors.events import (
    Attempt,
    Computing,
    Ended,
    Finished,
    LongAttempt,
    Unfinished,
    WorkersChanged,
)
from spinsweep.executors.long_running import BlocksInHand
from spinsweep.executors.protocol import Context, in_process, on_this_machine
from spinsweep.reaper import Reaper
from spinsweep.work import working

NAME = "this process"
LOOK_S = 1.0  # between looks at what is computed for long
LEFT_BEHIND = "a cell that ran longer than its timeout goes on in a thread of this process; workers would be replaced"

NOT_WATCHED = "how much memory a cell uses is not watched in this process; workers would be ended (--workers 1)"


@in_process
@on_this_machine
@contextmanager
def serial(context: Context) -> Iterator[Serial]:
    """Compute in this process; told to end, finish the block in hand, or the cycle at a bench.

    Native code may keep Python from hearing of a signal: then the reaper, if there is one, says what is waited for.
    """
    reaper = Reaper.current if Reaper.current is not None and Reaper.current.relays_signals else None
    executor = Serial(context)

    def say() -> None:
        what = f"the block that is being computed{executor.cell_in_hand()}"
        note = f"stopping: waiting for {what}; Ctrl-C again leaves at once"
        context.run.notes.append(note)
        context.show()

    if reaper is not None:
        reaper.on_first = say
    with reaper.terminal_blocked() if reaper else nullcontext(), executor.watched():
        yield executor


class Serial:
    """Computes a block when it is asked what has happened. What ``execute`` raises ends the run as it is."""

    def __init__(self, context: Context) -> None:
        self._context = context
        run = context.run
        # what else this process holds is not of its cells
        self._job = replace(run.job, sweep=replace(run.job.sweep, memory=None))
        if run.sweep.memory is not None:
            run.notes.append(NOT_WATCHED)
        self._queue: deque[Attempt] = deque()
        self._in_hand = BlocksInHand()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Inside, a thread says what is computed for long: the driver's own computes it."""
        over = threading.Event()
        thread = threading.Thread(target=self._watch, args=(over,), name="long cells", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def cell_in_hand(self) -> str:
        """The cell that is being computed, in brackets; empty where that is not known."""
        cells = [block.cell for block in self._in_hand.now() if block.cell is not None]
        return "".join(f" (now {' '.join(f'{name}={key(value)}' for name, value in c.items())})" for c in cells)

    def _watch(self, over: threading.Event) -> None:
        were_long = False
        while not over.wait(LOOK_S):
            long = [
                LongAttempt(block.block, NAME, block.seconds, block.cell, block.cell_seconds)
                for block in self._in_hand.now()
                if block.seconds >= long_running.LONG_S
            ]
            if long or were_long:
                self._context.note_long(long)
                self._context.show()
            were_long = bool(long)

    def submit(self, attempts: Sequence[Attempt], workers: Collection[str] | None) -> None:
        """Queue them."""
        self._queue.extend(attempts)
        self._context.wake()

    def events(self) -> Iterator[WorkersChanged | Ended]:
        """Compute the next block."""
        yield WorkersChanged({NAME: 1})
        if self._queue:
            yield self._compute(self._queue.popleft())
            self._context.wake()

    def _compute(self, attempt: Attempt) -> Ended:
        with working(self._context.stop_requested, self._report), self._in_hand.block(attempt.number):
            try:
                receipt = execute(self._job, attempt.task)
            except Stopped:
                return Unfinished(attempt.number)
        if receipt.hung and LEFT_BEHIND not in self._context.run.notes:
            self._context.run.notes.append(LEFT_BEHIND)
        return Finished(attempt.number, receipt)

    def _report(self, report: Mapping[str, Any]) -> None:
        self._context.run.on_lane_report(report)
        self._context.show()

    def computing(self) -> Computing:
        """Nothing: this is asked between two blocks."""
        return Computing({}, [NAME])

    def cancel(self, attempts: Collection[int]) -> Collection[int]:
        """Drop them from the queue."""
        dropped = [attempt for attempt in self._queue if attempt.number in attempts]
        self._queue = deque(attempt for attempt in self._queue if attempt.number not in attempts)
        return [attempt.number for attempt in dropped]

    def describe(self) -> str:
        """Nothing to say."""
        return ""
