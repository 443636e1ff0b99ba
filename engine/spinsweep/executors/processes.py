"""A pool of processes of this machine: no scheduler, no port, no page, so it starts sooner than a Dask cluster.

Each worker has one block at a time, so it is known which block a worker died of, and what is queued can be dropped. A
thread hands the next block to a worker that ended one; all else is done in the driver's thread.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter, deque
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from spinsweep.cube import LastResort, used_more
from spinsweep.errors import Fenced, RunnerError, SpecError
from spinsweep.executors import long_running
from spinsweep.executors.events import (
    Attempt,
    Computing,
    Ended,
    Finished,
    Hung,
    LongAttempt,
    LongRunning,
    OverMemory,
    WorkerKilled,
    WorkersChanged,
)
from spinsweep.executors.long_running import BlockInHand, BlocksInHand
from spinsweep.executors.memory_guard import POLL_S, MemoryGuard
from spinsweep.executors.protocol import Context, ended_by, on_this_machine
from spinsweep.executors.worker import CellProcesses, SentJob, WorkerJob
from spinsweep.interrupts import sigint_blocked
from spinsweep.machine import VISIBLE, Devices, Machine, deal
from spinsweep.memory import be_ended_first
from spinsweep.process import SAFE_PATH, environment
from spinsweep.reaper_process import kill_marked
from spinsweep.resources import THREAD_SETTINGS

MAX_FAILED_STARTS = 3  # workers in a row that end before they are ready
EXIT_S = 5.0  # that workers have to end when there is no more work
READY = "ready"


@on_this_machine
@contextmanager
def processes(context: Context) -> Iterator[Processes]:
    """As many processes as the run has blocks, at most ``context.workers``; each uses one thread."""
    if context.run.sweep.resources:
        needs = ", ".join(context.run.sweep.resources)
        raise SpecError(f"sweep {context.run.sweep.name!r} needs {needs}: give it Dask workers that offer it")
    sweep, workers = context.run.sweep, min(context.workers, context.run.most_blocks)
    pool = Processes(context, Machine.here().at_a_time(workers, sweep.memory_bytes, sweep.gpu))
    try:
        yield pool
    except BaseException:
        pool.close(at_once=True)
        raise
    pool.close()


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    questions: Connection
    """Any word asks what it computes."""
    name: str
    stacks: Path
    """Where it writes its stacks, if it ends itself because a cell keeps it from doing anything else."""
    ready: bool = False
    attempt: Attempt | None = None
    """What it computes."""
    since: float = 0.0
    """When it began that, s of the monotonic clock."""
    question_at: float | None = None
    """When it was asked a question that it has not answered."""
    answer: tuple[float, BlockInHand] | None = None
    """Its last answer, and when it came; its block's name is the attempt's number."""
    leaving: bool = False
    """Whether it ends itself, because a cell was given up in it."""
    blocks: int = 0
    """That it has ended."""
    devices: Devices = ()
    """GPUs that its cells see, if they need any."""
    held: int = 0
    """Bytes, when it was ended because it held too much; 0: it was not."""


class Processes:
    """The workers of one run, and the attempts that wait for one."""

    def __init__(self, context: Context, workers: int) -> None:
        self._wake = context.wake
        self._run = f"{context.run.sweep.name}-{uuid.uuid4().hex}"
        self._job = SentJob.of(context.run.job)
        self._size = workers
        memory, gpu = context.run.sweep.memory_bytes, context.run.sweep.gpu
        self._guard = None if memory is None else MemoryGuard(memory)
        self._devices = None if gpu is None else deal(Machine.here().gpus, gpu)[:workers]
        """Of each worker."""
        self._stacks = tempfile.TemporaryDirectory(prefix="spinsweep-stacks-")
        """Has a file for each worker."""
        self._were_long = False
        self._lock = threading.Lock()  # for all below
        self._workers: dict[Any, _Worker] = {}  # by all things that can be waited for: pipes and sentinel
        self._queue: deque[Attempt] = deque()
        self._events: list[Ended | Fenced] = []
        self._halted = False
        self._closed = False
        self._lost = 0
        self._failed_starts = 0
        self._bell, self._ring = multiprocessing.Pipe(duplex=False)  # has the thread look for new workers
        self._start_workers()
        self._thread = threading.Thread(target=self._listen, name="processes", daemon=True)
        self._thread.start()

    def describe(self) -> str:
        """How many there are."""
        return f"{self._size} process{'es' if self._size > 1 else ''} of this machine"

    def submit(self, attempts: Sequence[Attempt], workers: Collection[str] | None) -> None:
        """Queue them, and hand them to idle workers."""
        with self._lock:
            self._queue.extend(attempts)
            for worker in self._alive():
                self._hand_out(worker)

    def events(self) -> Iterator[WorkersChanged | LongRunning | Ended]:
        """What the thread has received; workers that died are replaced."""
        with self._lock:
            events, self._events = self._events, []
            lost, self._lost = self._lost, 0
            failed, halted = self._failed_starts, self._halted
        if failed >= MAX_FAILED_STARTS:
            raise RunnerError(
                "the worker processes ended before they were ready, as said above; a script that runs a sweep does "
                'it under `if __name__ == "__main__":`'
            )
        if not halted:
            self._start_workers()
        with self._lock:
            ready = {worker.name: 1 for worker in self._alive() if worker.ready}
            long = self._long()
        yield WorkersChanged(ready, lost=lost)
        if long or self._were_long:
            yield LongRunning(long)
        self._were_long = bool(long)
        for event in events:
            if isinstance(event, Fenced):
                raise event
            yield event

    def computing(self) -> Computing:
        """The attempts that workers have."""
        with self._lock:
            self._halted = True
            busy = {w.attempt.number: w.name for w in self._alive() if w.attempt is not None}
            return Computing(busy, [w.name for w in self._alive()])

    def cancel(self, attempts: Collection[int]) -> Collection[int]:
        """Drop them from the queue."""
        with self._lock:
            dropped = [attempt.number for attempt in self._queue if attempt.number in attempts]
            self._queue = deque(attempt for attempt in self._queue if attempt.number not in attempts)
        return dropped

    def close(self, *, at_once: bool = False) -> None:
        """End the workers, and what cells have started there."""
        with self._lock:
            self._closed = True
            workers = self._alive()
            for worker in workers:
                if at_once:
                    worker.process.kill()
                else:
                    with suppress(OSError):
                        worker.pipe.send(None)
        self._ring.send(None)
        self._thread.join()
        until = time.monotonic() + EXIT_S
        for worker in workers:
            worker.process.join(max(0.0, until - time.monotonic()))
            worker.process.kill()
            worker.process.join()
            worker.pipe.close()
            worker.questions.close()
        self._bell.close()
        self._ring.close()
        self._stacks.cleanup()
        kill_marked(self._run, {os.getpid()})

    # below: with the lock, or in the thread

    def _long(self) -> list[LongAttempt]:
        """What is computed for long; workers that compute such are asked for the cell now and then."""
        now, long = time.monotonic(), []
        for worker in self._alive():
            if worker.attempt is None or (seconds := now - worker.since) < long_running.LONG_S:
                continue
            number, known = worker.attempt.number, worker.answer
            if worker.question_at is None and (known is None or now >= known[0] + long_running.LOOK_S):
                worker.question_at = now
                with suppress(OSError):  # it died, as its sentinel will say
                    worker.questions.send(number)
            answers = worker.question_at is None or now < worker.question_at + long_running.ANSWER_S
            cell, cell_seconds = None, seconds
            if known is not None and known[1].block == number and known[1].cell is not None:
                cell, cell_seconds = known[1].cell, known[1].cell_seconds + now - known[0]
            long.append(LongAttempt(number, worker.name, seconds, cell, cell_seconds, answers))
        return long

    def _alive(self) -> list[_Worker]:
        return list({id(worker): worker for worker in self._workers.values()}.values())

    def _start_workers(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        variables = {name: os.environ.get(name) or "1" for name in (*THREAD_SETTINGS, SAFE_PATH)}
        while len(alive := self._alive()) < self._size:
            (ours, theirs), (questions, answers) = spawn.Pipe(), spawn.Pipe()
            stacks = Path(self._stacks.name, uuid.uuid4().hex)
            process = spawn.Process(target=_work, args=(theirs, answers, self._job, self._run, stacks))
            devices: Devices = ()
            if self._devices is not None:
                free = Counter(self._devices) - Counter(worker.devices for worker in alive)
                devices = next(iter(free))
                variables[VISIBLE] = ",".join(devices)
            with sigint_blocked(), environment(variables):
                process.start()
            theirs.close()
            answers.close()
            worker = _Worker(process, ours, questions, f"process {process.pid}", stacks, devices=devices)
            with self._lock:
                self._workers |= {ours: worker, questions: worker, process.sentinel: worker}
            self._ring.send(None)

    def _hand_out(self, worker: _Worker) -> None:
        """Give a worker the next attempt, if it is ready for one."""
        idle = worker.ready and not worker.leaving and worker.attempt is None
        if not idle or self._halted or self._closed:
            return
        for attempt in self._queue:
            if attempt.workers is None or worker.name in attempt.workers:
                self._queue.remove(attempt)
                worker.attempt, worker.since = attempt, time.monotonic()
                with suppress(OSError):  # it died, as its sentinel will say
                    worker.pipe.send(worker.attempt)
                return

    def _listen(self) -> None:
        """The thread: take in what workers send, and that they died."""
        while True:
            with self._lock:
                if self._closed:
                    return
                waited_for = [self._bell, *self._workers]
            ready_ones = connection.wait(waited_for, None if self._guard is None else POLL_S)
            with self._lock:
                self._end_what_holds_too_much()
                if self._bell in ready_ones:
                    self._bell.recv()
                # a worker's last words come before its end
                for source in sorted(ready_ones, key=lambda source: isinstance(source, int)):
                    if worker := self._workers.get(source):
                        if source is worker.questions:
                            self._hear_answer(worker)
                        else:
                            self._hear(worker)
            if ready_ones:
                self._wake()

    def _end_what_holds_too_much(self) -> None:
        if self._guard is None:
            return
        for worker in self._alive():
            if worker.attempt is None or worker.held or worker.process.pid is None:
                continue
            if (held := self._guard.excess(worker.process.pid)) is not None:
                worker.held = held
                worker.process.kill()

    def _hear(self, worker: _Worker) -> None:
        try:
            if not worker.pipe.poll():
                raise EOFError
            message = worker.pipe.recv()
        except (EOFError, OSError):
            self._died(worker)
            return
        if message == READY:
            worker.ready, self._failed_starts = True, 0
        else:
            worker.attempt = None
            worker.blocks += 1
            worker.leaving = isinstance(message, Finished) and message.receipt.hung
            self._events.append(message)
        self._hand_out(worker)

    def _hear_answer(self, worker: _Worker) -> None:
        try:
            for block in worker.questions.recv():
                worker.answer = time.monotonic(), block
        except (EOFError, OSError):  # its end is heard of by its sentinel
            del self._workers[worker.questions]
        worker.question_at = None

    def _died(self, worker: _Worker) -> None:
        self._workers = {source: other for source, other in self._workers.items() if other is not worker}
        worker.process.join()
        worker.pipe.close()
        worker.questions.close()
        self._failed_starts += not worker.ready
        if worker.attempt is not None:
            self._lost += 1
            detail = f"{worker.name} ended with exit code {worker.process.exitcode}"
            number = worker.attempt.number
            if worker.held and self._guard is not None:
                message = used_more(self._guard.allowed, worker.held)
                self._events.append(OverMemory(number, message, fresh=not worker.blocks))
            elif left := LastResort.left(worker.stacks):
                self._events.append(Hung.of_stacks(number, left[1]))
            else:
                self._events.append(WorkerKilled(number, "spinsweep.WorkerKilled", detail))


def _work(pipe: Connection, questions: Connection, sent: SentJob, run: str, stacks: Path) -> None:
    """A worker process: compute what the pipe brings until None comes, a cell is given up, or the driver is gone."""
    os.environ[SAFE_PATH] = ""  # programs that a cell starts find the files beside them
    be_ended_first()
    hung = False
    LastResort.begin(stacks)
    job, started = WorkerJob(sent, f"process {os.getpid()}"), CellProcesses(run)
    in_hand = BlocksInHand()
    threading.Thread(target=_answer, args=(questions, in_hand), name="answers", daemon=True).start()
    try:
        pipe.send(READY)
        with started.marked():
            while not hung and (attempt := pipe.recv()) is not None:
                with in_hand.block(attempt.number):
                    ended = _computed(job, attempt)
                hung = isinstance(ended, Finished) and ended.receipt.hung
                pipe.send(ended)
    except (EOFError, OSError):
        pass
    finally:
        started.end()
    if hung:  # the thread that hangs would keep Python from ending
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _answer(questions: Connection, in_hand: BlocksInHand) -> None:
    """A thread of a worker process: say what is computed whenever the driver asks."""
    with suppress(EOFError, OSError):
        while True:
            questions.recv()
            questions.send(in_hand.now())


def _computed(job: WorkerJob, attempt: Attempt) -> Ended | Fenced:
    try:
        return Finished(attempt.number, job.compute(attempt.task))
    except Fenced as error:
        return error
    except Exception as error:
        return ended_by(attempt.number, error)
