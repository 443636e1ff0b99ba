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
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np

from spinsweep.cube import TIMED_OUT, LastResort
from spinsweep.errors import Fenced, RunnerError, SpecError
from spinsweep.executors.events import Attempt, Computing, Ended, Finished, Hung, WorkerKilled, WorkersChanged
from spinsweep.executors.protocol import Context, ended_by
from spinsweep.executors.worker import CellProcesses, SentJob, WorkerJob
from spinsweep.interrupts import sigint_blocked
from spinsweep.process import SAFE_PATH, environment
from spinsweep.progress import duration
from spinsweep.reaper_process import kill_marked
from spinsweep.resources import THREAD_SETTINGS

MAX_FAILED_STARTS = 3  # workers in a row that end before they are ready
EXIT_S = 5.0  # that workers have to end when there is no more work
LONG_S = 10.0  # that a block is computed before the progress names it
MAX_STACKS = 100_000  # characters
READY = "ready"


@contextmanager
def processes(context: Context) -> Iterator[Processes]:
    """As many processes as the run has blocks, at most ``context.workers``; each uses one thread."""
    if context.run.sweep.resources:
        needs = ", ".join(context.run.sweep.resources)
        raise SpecError(f"sweep {context.run.sweep.name!r} needs {needs}: give it Dask workers that offer it")
    pool = Processes(context, min(context.workers, context.run.most_blocks))
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
    name: str
    stacks: Path
    """Where it writes its stacks, if it ends itself because a cell keeps it from doing anything else."""
    ready: bool = False
    attempt: Attempt | None = None
    """What it computes."""
    since: float = 0.0
    """When it began that, s of the monotonic clock."""
    leaving: bool = False
    """Whether it ends itself, because a cell hangs in it."""


class Processes:
    """The workers of one run, and the attempts that wait for one."""

    def __init__(self, context: Context, workers: int) -> None:
        self._wake = context.wake
        self._progress, self._axes = context.run.progress, context.run.cube.axes
        self._run = f"{context.run.sweep.name}-{uuid.uuid4().hex}"
        self._job = SentJob.of(context.run.job)
        self._size = workers
        self._stacks = tempfile.TemporaryDirectory(prefix="spinsweep-stacks-")
        """Has a file for each worker."""
        self._lock = threading.Lock()  # for all below
        self._workers: dict[Any, _Worker] = {}  # by both things that can be waited for: pipe and sentinel
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
        """Queue them, and hand them to idle workers; all have the driver's code, or none has."""
        with self._lock:
            self._queue.extend(attempts)
            for worker in self._alive():
                self._hand_out(worker)

    def events(self) -> Iterator[WorkersChanged | Ended]:
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
            self._progress.longest = self._longest()
        yield WorkersChanged(ready, lost=lost)
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
        self._bell.close()
        self._ring.close()
        self._stacks.cleanup()
        kill_marked(self._run, {os.getpid()})

    # below: with the lock, or in the thread

    def _longest(self) -> str:
        """Which cells are being computed since when, where that is long."""
        busy = [worker for worker in self._alive() if worker.attempt is not None]
        worker = min(busy, key=lambda worker: worker.since, default=None)
        if worker is None or worker.attempt is None or (seconds := time.monotonic() - worker.since) < LONG_S:
            return ""
        task = worker.attempt.task
        first = np.argwhere(task.mask)[0] + task.block.start
        cell = " ".join(f"{name}={values[i]}" for (name, values), i in zip(self._axes.items(), first, strict=True))
        more = f" and {task.cells - 1} more" if task.cells > 1 else ""
        return f"{cell}{more} for {duration(seconds)} in {worker.name}"

    def _alive(self) -> list[_Worker]:
        return list({id(worker): worker for worker in self._workers.values()}.values())

    def _start_workers(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        variables = {name: os.environ.get(name) or "1" for name in (*THREAD_SETTINGS, SAFE_PATH)}
        while len(self._alive()) < self._size:
            ours, theirs = spawn.Pipe()
            stacks = Path(self._stacks.name, uuid.uuid4().hex)
            process = spawn.Process(target=_work, args=(theirs, self._job, self._run, stacks))
            with sigint_blocked(), environment(variables):
                process.start()
            theirs.close()
            worker = _Worker(process, ours, f"process {process.pid}", stacks)
            with self._lock:
                self._workers |= {ours: worker, process.sentinel: worker}
            self._ring.send(None)

    def _hand_out(self, worker: _Worker) -> None:
        """Give a worker the next attempt, if it is ready for one."""
        idle = worker.ready and not worker.leaving and worker.attempt is None
        if idle and self._queue and not (self._halted or self._closed):
            worker.attempt, worker.since = self._queue.popleft(), time.monotonic()
            with suppress(OSError):  # it died, as its sentinel will say
                worker.pipe.send(worker.attempt)

    def _listen(self) -> None:
        """The thread: take in what workers send, and that they died."""
        while True:
            with self._lock:
                if self._closed:
                    return
                waited_for = [self._bell, *self._workers]
            ready_ones = connection.wait(waited_for)
            with self._lock:
                if self._bell in ready_ones:
                    self._bell.recv()
                # a worker's last words come before its end
                for source in sorted(ready_ones, key=lambda source: isinstance(source, int)):
                    if worker := self._workers.get(source):
                        self._hear(worker)
            self._wake()

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
            worker.leaving = isinstance(message, Finished) and message.receipt.hung
            self._events.append(message)
        self._hand_out(worker)

    def _died(self, worker: _Worker) -> None:
        self._workers = {source: other for source, other in self._workers.items() if other is not worker}
        worker.process.join()
        worker.pipe.close()
        self._failed_starts += not worker.ready
        if worker.attempt is not None:
            self._lost += 1
            detail = f"{worker.name} ended with exit code {worker.process.exitcode}"
            number = worker.attempt.number
            if worker.stacks.exists() and (stacks := worker.stacks.read_text(errors="replace")):
                message = "ran longer than its timeout, in native code that kept its process from answering"
                self._events.append(Hung(number, TIMED_OUT, message, stacks[:MAX_STACKS]))
            else:
                self._events.append(WorkerKilled(number, "spinsweep.WorkerKilled", detail))


def _work(pipe: Connection, sent: SentJob, run: str, stacks: Path) -> None:
    """A worker process: compute what comes through the pipe until None does, a cell hangs, or the driver is gone."""
    os.environ[SAFE_PATH] = ""  # programs that a cell starts find the files beside them
    hung = False
    LastResort.path = stacks
    job, started = WorkerJob(sent, f"process {os.getpid()}"), CellProcesses(run)
    try:
        pipe.send(READY)
        with started.marked():
            while not hung and (attempt := pipe.recv()) is not None:
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


def _computed(job: WorkerJob, attempt: Attempt) -> Ended | Fenced:
    try:
        return Finished(attempt.number, job.compute(attempt.task))
    except Fenced as error:
        return error
    except Exception as error:
        return ended_by(attempt.number, error)
