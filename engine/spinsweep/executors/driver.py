"""The loop that runs any executor: its events to the dispatcher, the dispatcher's actions to it and to the run."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Collection, Iterable

from spinsweep.axis import key
from spinsweep.cube import Task, record_failure
from spinsweep.errors import RunnerError
from spinsweep.evaluate import CellError
from spinsweep.executors import events
from spinsweep.executors.dispatch import Dispatcher
from spinsweep.executors.events import Action, Event
from spinsweep.executors.long_running import first_cell, long_blocks
from spinsweep.executors.protocol import Context, Executor, Start
from spinsweep.interrupts import Interrupts, end_now
from spinsweep.ledger import Receipt
from spinsweep.runs import Run

TICK_S = 1.0  # after which a run shows that it is alive


def drive(run: Run, start: Start, on_progress: Callable[[Run], None] = lambda run: None, *, workers: int = 1) -> None:
    """Stream the run's tasks through an executor until all have ended, or the process is told to end.

    Told so, or after too many failures, blocks that are only queued are dropped, and those that are being computed
    are waited for.

    Parameters
    ----------
    on_progress
        Called for every block that ended, and every ``TICK_S`` seconds.
    workers
        How many blocks are to be computed at a time, where the executor starts workers.

    Raises
    ------
    RunnerError
        The workers were lost, or nothing can be written. What is done is in the cube.
    Fenced
        A newer run took over the cube.
    Interrupted
        Told twice to end.
    """
    _Driver(run, on_progress).drive(start, workers)


class _Driver:
    def __init__(self, run: Run, on_progress: Callable[[Run], None]) -> None:
        self.run = run
        self._on_progress = on_progress
        sweep = run.sweep
        self._dispatcher = Dispatcher(
            run.tasks(), measured=sweep.measured, max_failures=sweep.max_failures, named=self._first_cell
        )
        self._wakes: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._interrupts = Interrupts(soon=self._wake)
        self._long: dict[int, events.LongAttempt] = {}  # by number
        self._long_at = 0.0  # when that was so, s of the monotonic clock
        self._showing = threading.RLock()
        self._begun = False  # whether there was a worker
        self._stopping = False

    def drive(self, start: Start, workers: int) -> None:
        context = Context(
            self.run, workers, self._wake, self._show, lambda: self._interrupts.requested, self._note_long
        )
        with start(context) as self._executor:
            if where := self._executor.describe():
                self.run.notes.append(f"on {where}")
            with self._interrupts:
                self._interrupts.requested |= self._interrupts.requested_before  # what its handler raised was lost
                self._step()
                while not self._dispatcher.over or self._next_round():
                    self._wait()
                    self._step()
        if self._interrupts.requested:
            self.run.outcome = "stopped"

    _executor: Executor

    def _first_cell(self, task: Task) -> str:
        return " ".join(f"{name}={key(value)}" for name, value in first_cell(task, self.run.cube.axes).items())

    def _next_round(self) -> bool:
        """Whether the values that are there now ask for further tasks."""
        if self._interrupts.requested or self._dispatcher.stopping or not self.run.next_round():
            return False
        self._dispatcher.go_on(self.run.tasks())
        self._wake()
        return True

    def _wake(self) -> None:
        self._wakes.put(None)

    def _show(self) -> None:
        with self._showing:
            self._on_progress(self.run)

    def _wait(self) -> None:
        """Until the executor or a signal calls, for ``TICK_S`` at most."""
        try:
            self._wakes.get(timeout=TICK_S)
            while True:
                self._wakes.get_nowait()
        except queue.Empty:
            return

    def _step(self) -> None:
        """Hand over all that has happened, then decide."""
        if self._interrupts.requested and Interrupts.received() >= 2:
            end_now()  # what its handler raised was lost
        for event in self._executor.events():
            if isinstance(event, events.Ended) and event.attempt in self._long:
                del self._long[event.attempt]
                self._run_note_long()
            if isinstance(event, events.Finished):
                self._note(event.receipt)
            elif isinstance(event, events.LongRunning):
                self._note_long(event.attempts)
                continue
            elif isinstance(event, events.WorkersChanged):
                self.run.progress.workers_lost += event.lost
                if event.threads and not self._begun:
                    self._begun = True
                    self.run.begin()
            self._handle(event)
        if self._interrupts.requested and not self._stopping:
            self._stopping = True
            self._handle(events.StopRequested())
        self._handle(events.Tick())
        if not self._dispatcher.over:
            self._show()

    def _note_long(self, attempts: Collection[events.LongAttempt]) -> None:
        self._long, self._long_at = {long.attempt: long for long in attempts}, time.monotonic()
        self._run_note_long()

    def _run_note_long(self) -> None:
        blocks = long_blocks(self._long.values(), self._dispatcher.in_flight, self.run.cube.axes)
        self.run.note_long(blocks, self._long_at)

    def _note(self, receipt: Receipt) -> None:
        self.run.note(receipt)
        self._show()

    def _handle(self, event: Event) -> None:
        self._carry_out_all(self._dispatcher.handle(event))

    def _carry_out_all(self, actions: Iterable[Action]) -> None:
        for action in actions:
            self._carry_out(action)

    def _carry_out(self, action: Action) -> None:
        run = self.run
        match action:
            case events.Submit():
                self._executor.submit(action.attempts, action.workers)
            case events.FindComputing():
                self._handle(self._executor.computing())
            case events.Cancel():
                self._handle(events.Dropped(self._executor.cancel(action.attempts)))
            case events.RecordFailure():
                error = CellError(action.error_type, action.message, action.detail)
                receipt = record_failure(run.job, action.task, error)
                self._note(receipt)
                self._carry_out_all(self._dispatcher.count_failures(receipt))
            case events.Split():
                run.progress.blocks += action.parts - 1
            case events.Unwritten():
                run.unwritten_blocks.append(action.text)
            case events.TooManyFailures():
                run.stopped_because = action.text
                run.outcome = "stopped"
                run.notes.append(f"stopping: {action.text} (--max-failures says how many may)")
                self._show()
            case events.Waiting():
                run.progress.wait_for(action.text, time.monotonic())
            case events.Note():
                run.notes.append(action.text)
            case events.GiveUp():
                run.outcome = action.outcome or run.outcome
                raise RunnerError(action.reason)
