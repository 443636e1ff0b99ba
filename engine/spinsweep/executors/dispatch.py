"""What to send, when, and what to do about what went wrong: decided from events alone.

No process, no clock and no executor in here: events in, actions out (:mod:`spinsweep.executors.events`), so every
decision can be tested without a cluster.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from math import inf

import numpy as np

from spinsweep.cube import OUT_OF_MEMORY, Task
from spinsweep.executors import events
from spinsweep.executors.events import Action, Attempt, CubeMissing, Ended, Event, Note, OtherCodeFound, Waiting
from spinsweep.executors.failure_limit import FailureLimit
from spinsweep.ledger import Receipt

IN_FLIGHT = 6  # blocks per worker thread: enough to hide a scheduler's few ms, few enough to lose little
MOST_IN_FLIGHT = 100  # the same where blocks are short
AHEAD_S = 0.2  # work that a thread has in flight then
REFILL = 3  # part of the window that has to be free before more are sent, in one message
MAX_UNWRITTEN = 10  # blocks in a row that cannot be kept before a run gives up
MAX_LOSSES = 20  # times that one block's receipt may be lost with a worker before the workers count as gone
# workers that may die of a block before its cells are tried one by one, and of a cell before it failed
MAX_DEATHS = 4
MAX_OVERRUNS = 2  # jobs whose time may be over before a cell has ended, until it failed
OVER_TIME, WORKER_KILLED = "spinsweep.OverWalltime", "spinsweep.WorkerKilled"  # types of errors in a cube
SPARE = 1.2  # time that a block is given, over what others have taken
MAX_OVERS = 3  # processes in a row that held too much memory before one cell of a block was computed
AGAIN = "what is done is kept, run the same command again to continue"


class Dispatcher:
    """The blocks of one run on their way to workers and back.

    Parameters
    ----------
    tasks
        What is to be computed; taken one by one as the window has room.
    measured
        Whether blocks act on the world, as on a bench. Then none waits at a worker (what does so when the worker dies
        is tried again with it), none is blamed for its worker's death, and all are dropped when the run is to stop:
        they may take hours, and end where they are.
    max_failures
        Failed cells at which the run stops, as if it were told to; see :class:`FailureLimit`.
    named
        What to call the first cell of a task.
    """

    def __init__(
        self,
        tasks: Iterator[Task],
        *,
        measured: bool = False,
        max_failures: float | None = None,
        named: Callable[[Task], str] = lambda task: str(task.block.start),
    ) -> None:
        self.in_flight: dict[int, Attempt] = {}
        """Sent and not yet ended, by number."""
        self.over = False
        """Whether nothing is in flight and nothing more will be sent."""
        self._tasks = tasks
        self._left = True  # whether there may be tasks that were never sent
        self._is_first = True  # whether no block can have been sent before, in an earlier round
        self._measured = measured
        self._named = named
        self._numbers = itertools.count(1)
        self._again: deque[Attempt] = deque()
        self._suspects: deque[Attempt] = deque()
        self._quarantine: str | None = None  # the worker that computes suspects, and nothing else
        self._before_quarantine: set[int] = set()  # what was in flight when it was chosen, and may be at it
        self._moving: set[int] = set()  # attempts for workers that are gone
        self._retired: Collection[str] = ()  # those of the workers that went as they were to
        self._threads: Mapping[str, int] = {}
        self._refused: set[str] = set()
        # not yet said: whether another worker remains is not known
        self._refusal: OtherCodeFound | CubeMissing | None = None
        self._blocks, self._cells, self._block_seconds = 0, 0, 0.0
        self._unwritten_in_a_row = 0
        self._failure_limit = FailureLimit(max_failures)
        self._stopping = False
        self._computed_by: dict[int, str] | None = None  # what was being computed when the run was to stop, and where
        self._stop_noted = False

    def go_on(self, tasks: Iterator[Task]) -> None:
        """Take up the tasks of a further round, after all tasks before have ended."""
        assert self.over
        self._tasks, self._left, self.over, self._is_first = tasks, True, False, False

    @property
    def stopping(self) -> bool:
        """Whether nothing more is to be sent."""
        return self._stopping

    def handle(self, event: Event) -> list[Action]:
        """What is to be done after an event."""
        match event:
            case Ended():
                attempt = self.in_flight.pop(event.attempt, None)
                return [] if attempt is None else self._ended(attempt, event)
            case events.Tick():
                return self._drain() if self._stopping else self._fill()
            case events.WorkersChanged():
                return self._workers_changed(event)
            case events.StopRequested():
                return [] if self._stopping else self._stop()
            case events.Computing():
                return self._drop_what_is_not_computed(event)
            case events.NoAnswer():
                if not self._stopping:
                    return [Waiting(f"{event.by}, which does not answer")]
                if self._computed_by is None:
                    return [Waiting(f"{event.by}, which does not answer; Ctrl-C again leaves at once")]
                return self._waiting_for_computed()
            case events.Dropped():
                return self._dropped(event)

    def _ended(self, attempt: Attempt, event: Ended) -> list[Action]:
        """What is to be done about an attempt that ended."""
        match event:
            case events.Finished():
                self._unwritten_in_a_row = 0
                self._blocks += 1
                self._cells += event.receipt.done + event.receipt.failed
                self._block_seconds += event.receipt.seconds
                return self._send_left(attempt, event.receipt) + self.count_failures(event.receipt)
            case events.ReceiptLost():
                return self._lost(attempt)
            case events.WorkerKilled():
                return self._killed(attempt, event)
            case events.Hung():
                return self._hung(attempt, event)
            case events.OverMemory():
                return self._over(attempt, event.message, fresh=event.fresh)
            case events.Raised():
                return self._unwritten(attempt, event)
            case OtherCodeFound() | CubeMissing():
                return self._refuse(attempt, event)
            case events.Unfinished():
                self._send_again(attempt)
            case events.Aborted():
                kept = "what was measured is kept, run the same command again to continue"
                return self._give_up(f"{event.reason}; {kept}")
        return []

    # what is sent

    @property
    def window(self) -> int:
        """How many blocks may be in flight: more of short ones, which are done sooner than the next can come."""
        threads = sum(self._able.values())
        if self._measured:
            return max(1, threads)
        mean = self._block_seconds / self._blocks if self._blocks else float("inf")
        ahead = min(max(AHEAD_S / max(mean, 1e-9), IN_FLIGHT), MOST_IN_FLIGHT)
        return max(2, threads * round(ahead))  # also without a worker: a cluster that scales starts one for them

    @property
    def _able(self) -> dict[str, int]:
        return {worker: n for worker, n in self._threads.items() if worker not in self._refused}

    def _fill(self) -> list[Action]:
        """Submit until the window is full."""
        room = self.window - len(self.in_flight)
        batches = [self._next_suspect()]
        others = tuple(worker for worker in self._able if worker != self._quarantine)
        if (self._refused or self._quarantine) and not others:
            pass  # waits for a worker that does not refuse it, or has nothing to do with suspects
        elif not self.in_flight or room >= self.window / REFILL:
            batch = [self._again.popleft() for _ in range(min(room, len(self._again)))]
            fresh = list(itertools.islice(self._tasks, room - len(batch)))
            self._left = len(batch) + len(fresh) == room
            batch += [Attempt(0, task, retry=not self._is_first) for task in fresh]
            workers = others if self._refused or self._quarantine else None
            batches.append([replace(attempt, workers=workers) for attempt in batch])
        batches = [[self._numbered(attempt) for attempt in batch] for batch in batches if batch]
        self.in_flight.update((attempt.number, attempt) for batch in batches for attempt in batch)
        self.over = not (self.in_flight or self._again or self._suspects or self._left)
        return [events.Submit(tuple(batch)) for batch in batches]

    def _numbered(self, attempt: Attempt) -> Attempt:
        needed = inf if attempt.overruns else SPARE * self._cell_seconds * attempt.task.cells
        return replace(attempt, number=next(self._numbers), needed_s=needed)

    @property
    def _cell_seconds(self) -> float:
        """What a cell took so far, in the mean."""
        return self._block_seconds / self._cells if self._cells else 0.0

    def _next_suspect(self) -> list[Attempt]:
        """The next suspect, if there is one and the worker that is kept for them has nothing else.

        What waits at a worker that dies is suspected with what it computes. So one worker is sent nothing but
        suspects, one by one, from when all has ended that may be there; the others go on meanwhile.
        """
        if any(attempt.alone for attempt in self.in_flight.values()):
            return []
        if not self._suspects:
            self._quarantine = None
            return []
        if self._quarantine not in self._able:
            self._quarantine = min(self._able, key=lambda worker: (self._able[worker], worker), default=None)
            self._before_quarantine = set(self.in_flight)
        self._before_quarantine &= set(self.in_flight)
        if self._quarantine is None or self._before_quarantine:
            return []
        return [replace(self._suspects.popleft(), workers=(self._quarantine,))]

    def _send_again(self, attempt: Attempt) -> None:
        (self._suspects if attempt.alone else self._again).append(replace(attempt, retry=True, workers=None))

    # what went wrong

    def _lost(self, attempt: Attempt) -> list[Action]:
        """Send it again: its writes are idempotent."""
        attempt = replace(attempt, losses=attempt.losses + 1)
        if attempt.losses > MAX_LOSSES:
            lost = f"block {attempt.task.block.start} was lost with its worker {attempt.losses} times"
            return self._give_up(f"{lost}; {AGAIN}")
        self._send_again(attempt)
        return []

    def _send_left(self, attempt: Attempt, receipt: Receipt) -> list[Action]:
        """Send the cells that were not computed because one ran too long."""
        if receipt.left is None:
            return []
        left = replace(attempt, task=replace(attempt.task, selected=receipt.left), overruns=())
        if receipt.over and not receipt.done + receipt.failed:
            return self._over(left, receipt.over, fresh=False)
        left = replace(left, overs=0)
        if receipt.apart:
            parts = _cells_of(left)
        elif receipt.overran:
            parts = self._without_overrun(attempt, receipt, left)
        else:
            parts = [left]
        actions: list[Action] = [events.Split(1 + len(parts))]
        for part in parts:
            if len(part.overruns) < MAX_OVERRUNS:
                self._send_again(part)
                continue
            message = f"had not ended in {MAX_OVERRUNS} jobs when their time was over; give jobs a longer walltime"
            detail = f"It ran {' and '.join(f'{seconds:.0f} s' for seconds in part.overruns)}."
            actions += [events.RecordFailure(part.task, OVER_TIME, message, detail)]
        return actions

    def _without_overrun(self, attempt: Attempt, receipt: Receipt, left: Attempt) -> list[Attempt]:
        """The cell that ran when its job's time was over, which gets the whole time of another, and the rest."""
        assert receipt.left is not None
        one, rest = np.zeros_like(receipt.left), receipt.left.copy()
        one[receipt.overran], rest[receipt.overran] = True, False
        overruns = (*(attempt.overruns if attempt.task.cells == 1 else ()), receipt.overran_s)
        cell = replace(left, task=replace(left.task, selected=one), overruns=overruns)
        return [cell, replace(left, task=replace(left.task, selected=rest))] if rest.any() else [cell]

    def _hung(self, attempt: Attempt, event: events.Hung) -> list[Action]:
        """Which of its cells hung shows when each is computed by itself."""
        if attempt.task.cells == 1:
            return [events.RecordFailure(attempt.task, event.error_type, event.message, event.stack)]
        parts = _cells_of(attempt)
        for part in parts:
            self._send_again(part)
        return [events.Split(len(parts))]

    def _over(self, attempt: Attempt, message: str, *, fresh: bool) -> list[Action]:
        """A cell is at fault by itself alone, in a process that has computed nothing before, or in each of many."""
        attempt = replace(attempt, overs=attempt.overs + 1)
        if attempt.task.cells == 1:
            if fresh or attempt.overs > MAX_OVERS:
                return [events.RecordFailure(attempt.task, OUT_OF_MEMORY, message, "")]
            # in the end without others, with which it may share a process
            self._send_again(replace(attempt, alone=attempt.alone or attempt.overs == MAX_OVERS))
            return []
        if not fresh and attempt.overs < MAX_OVERS:
            self._send_again(attempt)
            return []
        parts = _cells_of(replace(attempt, overs=0))
        for part in parts:
            self._send_again(part)
        return [events.Split(len(parts))]

    def _killed(self, attempt: Attempt, event: events.WorkerKilled) -> list[Action]:
        attempt = replace(attempt, deaths=attempt.deaths + event.deaths)
        if self._measured or attempt.deaths < MAX_DEATHS:
            self._send_again(attempt)
            return []
        if attempt.alone:
            self._unwritten_in_a_row = 0
            message = (
                f"the worker died each of the {attempt.deaths} times that the cell was tried "
                "(out of memory, or a crash in native code)"
            )
            return [events.RecordFailure(attempt.task, event.error_type, message, event.detail)]
        # one of its cells may be at fault, or another block: each cell by itself
        died_as = event.error_type
        cells = [Attempt(0, part.task, retry=True, alone=True, died_as=died_as) for part in _cells_of(attempt)]
        self._suspects.extend(cells)
        return [events.Split(len(cells))]

    def _unwritten(self, attempt: Attempt, event: events.Raised) -> list[Action]:
        text = f"block {attempt.task.block.start}: {event.error}"
        self._unwritten_in_a_row += 1
        actions: list[Action] = [events.Unwritten(text)]
        if self._unwritten_in_a_row >= MAX_UNWRITTEN:
            reason = f"{MAX_UNWRITTEN} blocks in a row could not be kept, the last: {text}; what is done is kept"
            actions += self._give_up(reason, "broken")
        return actions

    def _refuse(self, attempt: Attempt, event: OtherCodeFound | CubeMissing) -> list[Action]:
        """A worker with other code, or without the cube, gets no further block."""
        self._send_again(attempt)
        if event.worker in self._refused:
            return []
        self._refused.add(event.worker)
        self._refusal = event
        # another one may have come since the workers were counted: then the next count decides
        return self._say_refusal() if self._able else []

    def _workers_changed(self, event: events.WorkersChanged) -> list[Action]:
        self._threads = event.threads
        if self._refusal is not None:
            return self._say_refusal()
        if self._stopping:
            return []
        waiting: list[Action] = [Waiting("" if self._able else event.missing)]
        placed = {n: set(a.workers) for n, a in self.in_flight.items() if a.workers is not None}
        stranded = [number for number, workers in placed.items() if not workers & set(self._able)]
        if not stranded:
            return waiting
        self._moving = set(stranded)
        self._retired = event.retired
        return [*waiting, events.Cancel(tuple(stranded))]

    def _dropped(self, event: events.Dropped) -> list[Action]:
        """What was dropped because its workers are gone is sent to others; the rest is not sent again."""
        actions: list[Action] = []
        for number in event.attempts:
            attempt = self.in_flight.pop(number, None)
            if attempt is None or self._stopping or number not in self._moving:
                continue
            if attempt.alone and not set(attempt.workers or ()) & set(self._retired):
                actions += self._killed(attempt, events.WorkerKilled(number, attempt.died_as or WORKER_KILLED))
            else:
                self._send_again(attempt)
        self._moving = set()
        if self._stopping:
            self.over = not self.in_flight
            return self._waiting_for_computed()
        return actions

    def _say_refusal(self) -> list[Action]:
        """A note, or the end of the run when its last worker was refused."""
        assert self._refusal is not None
        message, other_code = self._refusal.message, isinstance(self._refusal, OtherCodeFound)
        self._refusal = None
        if self._able:
            allowed = " (--allow-mixed would let it compute as well)" if other_code else ""
            return [Note(f"{message}; it gets no block of this run{allowed}")]
        remedy = "; bring the driver's code there, or --allow-mixed lets it compute as well" if other_code else ""
        return self._give_up(f"{message}{remedy}", "refused")

    def _give_up(self, reason: str, outcome: str = "") -> list[Action]:
        self.over = True
        return [events.GiveUp(reason, outcome)]

    # the end that the user or too many failures ask for

    def count_failures(self, receipt: Receipt) -> list[Action]:
        """Stop when too many cells have failed; for failures that the driver records, too."""
        reason = self._failure_limit.note(receipt)
        return [events.TooManyFailures(reason), *self._stop()] if reason and not self._stopping else []

    def _stop(self) -> list[Action]:
        """Send nothing more; drop what is only queued, and wait for what is being computed."""
        self._stopping = True
        return [events.Cancel(tuple(self.in_flight))] if self._measured and self.in_flight else []

    def _drain(self) -> list[Action]:
        self.over = not self.in_flight
        if not self.in_flight:
            return []
        # of a measured sweep once more: a receipt may have gone with its worker
        return [events.Cancel(tuple(self.in_flight)) if self._measured else events.FindComputing()]

    def _drop_what_is_not_computed(self, event: events.Computing) -> list[Action]:
        """At first, what no worker has begun; later, what a worker had that died: others would begin it anew.

        What had ended by then cannot be dropped, until it turns out that its receipt went with its worker.
        """
        if self._computed_by is None:
            self._computed_by = dict(event.workers)
            drop = [number for number in self.in_flight if number not in event.workers]
        else:
            drop = [
                number
                for number in self.in_flight
                if (worker := self._computed_by.get(number)) is None
                or worker not in event.alive
                or event.workers.get(number, worker) != worker
            ]
        return [events.Cancel(tuple(drop))] if drop else self._waiting_for_computed()

    def _waiting_for_computed(self) -> list[Action]:
        if not self.in_flight or self._measured:
            return []
        blocks, cells = len(self.in_flight), sum(attempt.task.cells for attempt in self.in_flight.values())
        what = f"{_count(blocks, 'block')} ({_count(cells, 'cell')}) that are being computed"
        last = "Ctrl-C again leaves at once"
        if self._stop_noted:
            return [Waiting(f"{what}; {last}")]
        self._stop_noted = True
        first = self._named(min(self.in_flight.values(), key=lambda attempt: attempt.number).task)
        return [Waiting(f"{what}; {last}"), Note(f"stopping: waiting for {what} (the first cell: {first}); {last}")]


def _cells_of(attempt: Attempt) -> list[Attempt]:
    """One attempt for each of its cells."""
    parts = []
    for cell in np.argwhere(attempt.task.mask):
        mask = np.zeros(attempt.task.block.shape, bool)
        mask[tuple(cell)] = True
        parts.append(replace(attempt, task=replace(attempt.task, selected=mask)))
    return parts


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
