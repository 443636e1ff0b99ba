"""The Dask runner: blocks streamed to any ``Client``, a bounded number in flight.

Only receipts come back; futures are released as soon as they are read, so driver and scheduler hold no more at
a million blocks than at a thousand. A block whose worker died is Dask's to run again (its writes are
idempotent); an exception of a block function is a result in the cube and never comes here.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import queue
import socket
import threading
import time
import uuid
from asyncio import CancelledError
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

import cloudpickle
import numpy as np
from dask.utils import key_split
from distributed import Client, Future, KilledWorker, WorkerPlugin, get_worker
from distributed.client import FutureCancelledError

from spinsweep.cube import Job, Task, execute, keep_origin, open_storage, record_failure
from spinsweep.dashboard.reports import Reports
from spinsweep.errors import Fenced, OtherCode, RunAborted, RunnerError, WorkInterrupted
from spinsweep.evaluate import CellError
from spinsweep.interrupts import Interrupted, Interrupts
from spinsweep.ledger import Receipt
from spinsweep.leftovers import marked_file, marking, sweep
from spinsweep.messages import LANE_TOPIC
from spinsweep.origins import said
from spinsweep.provenance import of_worker, other_code, other_versions
from spinsweep.provenance import worker as worker_record
from spinsweep.resources import CPU, EXCLUSIVE
from spinsweep.runs import Run
from spinsweep.user_modules import Folder, UserModules
from spinsweep.work import working

IN_FLIGHT = 6  # blocks per worker thread: enough to hide the scheduler's few ms, few enough to lose little
MOST_IN_FLIGHT = 30  # the same where blocks are short
AHEAD = 0.2  # seconds of work that a thread has in flight then
REFILL = 3  # part of these that has to have ended before more are sent, in one message
RECOUNT = 2.0  # seconds between looks at the number of workers
TICK = 1.0  # seconds after which a run shows that it is alive
BROKEN = 10  # blocks in a row that cannot be kept before a run gives up
LOSSES = 20  # times that one block's receipt may be lost with a worker before the cluster counts as gone
ASK = 1.0  # seconds in which scheduler and workers have to tell what is being computed, when a run is stopped
FAREWELL = 10.0  # seconds in which the scheduler has to take note of a run's end


def run_dask(run: Run, client: Client, on_progress: Callable[[Run], None] = lambda run: None) -> None:
    """Stream the run's tasks to the cluster until all have ended, or the process is told to end.

    Told so, it drops the blocks that are only queued and waits for those that are being computed.
    ``on_progress`` is called for every block that ended, and every ``TICK`` seconds.

    Raises
    ------
    RunnerError
        The scheduler was lost, or nothing can be written. What is done is in the cube.
    Fenced
        A newer run took over the cube.
    Interrupted
        Told twice to end.
    """
    with _Stream(run, client) as stream, Interrupts(soon=stream.wake) as interrupts:
        run.begin()
        for receipt in stream.receipts():
            on_progress(run)
            if interrupts.requested and receipt is None:  # not within a step: its other futures would be lost
                break
        if interrupts.requested:
            for _ in stream.drain():
                on_progress(run)
            run.outcome = "stopped"


class _Stream:
    """The futures in flight and what they stand for."""

    def __init__(self, run: Run, client: Client) -> None:
        self.run = run
        self.client = client
        self.name = uuid.uuid4().hex  # of this run among all that the scheduler has
        self.carrier = _JobCarrier(
            cloudpickle.dumps(run.job), f"{run.sweep.name}-{self.name}", UserModules.finder().shared()
        )
        self.reports = Reports(run, client, self.name)
        self.waiting = run.tasks()
        self.again: deque[Task] = deque()
        self.suspects: deque[Task] = deque()
        """Single cells of blocks whose workers died."""
        self.alone: Future[Any] | None = None
        """The suspect in flight, if there is one."""
        self.tasks: dict[Future[Any], Task] = {}
        self.ended: queue.SimpleQueue[Future[Any] | None] = queue.SimpleQueue()
        self.threads = 1
        """Of the workers that can take blocks."""
        self.needs: Mapping[str, float] = {}
        """What a block asks of a worker."""
        self.able: list[str] = []
        """Addresses of the workers that can take blocks."""
        self.refused: set[str] = set()
        """Those that have other code."""
        self._recount_at = 0.0
        self._workers: set[str] = set()
        self._numbers = itertools.count(1)
        self._losses: Counter[tuple[int, ...]] = Counter()
        self._broken_in_a_row = 0

    def __enter__(self) -> _Stream:
        self.client.register_plugin(self.carrier, name=self.carrier.name)
        if self.run.sweep.measured:
            self.client.subscribe_topic(LANE_TOPIC, self._lane_tells)
        self.reports.begin()
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        leaves = kind is not None and issubclass(kind, Interrupted)
        if leaves and self.client.cluster is not None:  # all of it ends
            return
        if not leaves:
            self.reports.send(ended=True)
        if self.run.sweep.measured:
            with suppress(Exception):
                self.client.unsubscribe_topic(LANE_TOPIC)
        with suppress(Exception):  # the scheduler may be gone, and a worker be busy in native code
            self.client.sync(
                self.client._unregister_worker_plugin,
                name=self.carrier.name,
                nanny=False,
                callback_timeout=ASK / 2 if leaves else FAREWELL,
            )

    def wake(self) -> None:
        """End the present wait; may be called by a signal handler."""
        self.ended.put(None)

    def receipts(self) -> Iterator[Receipt | None]:
        """Fill the window and yield what comes back, until nothing is left; None at the end of each step."""
        self.fill()
        while self.tasks:
            ended = self._next()
            yield from self._settled(ended)
            self.reports.send()
            yield None
            self.fill()

    @property
    def window(self) -> int:
        """How many blocks may be in flight: more of short ones, which are done sooner than the next can come."""
        if self.run.sweep.measured:  # what waits at a worker that dies is suspected with it
            return max(1, self.threads)
        each = AHEAD / max(self.run.progress.mean_block_seconds, 1e-9)
        return max(2, self.threads * round(min(max(each, IN_FLIGHT), MOST_IN_FLIGHT)))

    def fill(self) -> None:
        """Submit until the window is full."""
        if time.monotonic() >= self._recount_at:
            self._recount_at = time.monotonic() + RECOUNT
            self._recount()
        if self.suspects:  # each alone: what waits at a worker that dies is suspected with it
            if not self.tasks:
                [self.alone] = self._submit([self.suspects.popleft()], again=True)
            return
        window = self.window
        room = window - len(self.tasks)
        if self.tasks and room < window / REFILL:
            return
        again = [self.again.popleft() for _ in range(min(room, len(self.again)))]
        if again:
            self._submit(again, again=True)
        if fresh := list(itertools.islice(self.waiting, room - len(again))):
            self._submit(fresh)

    def drain(self) -> Iterator[Receipt | None]:
        """Drop what is not being computed and wait for what is."""
        if self.run.sweep.measured:  # it may take hours, and stops where it is when it is cancelled
            self._drop(list(self.tasks))
        while (assigned := self._assigned()) is None:
            self.run.progress.waiting = "the scheduler, which does not answer; Ctrl-C again leaves at once"
            yield None
        computing = self._computing(assigned)
        self._drop([f for f in self.tasks if f.key not in computing])
        told = False
        while self.tasks:
            cells = sum(task.cells for task in self.tasks.values())
            self.run.progress.waiting = (
                f"{len(self.tasks)} blocks ({cells} cells) that are being computed; Ctrl-C again leaves at once"
            )
            if not told:
                self.run.notes.append(f"stopping: waiting for {self.run.progress.waiting}")
                told = True
            self.reports.send()
            yield None
            yield from self._settled(self._next())
            if (assigned := self._assigned()) is not None:
                where = {key: worker for worker, keys in assigned.items() for key in keys}
                self._drop(  # whose worker died: others would begin them anew
                    [
                        f
                        for f in self.tasks
                        if (worker := computing.get(f.key))
                        and (worker not in assigned or where.get(f.key, worker) != worker)
                    ]
                )

    def _drop(self, futures: list[Future[Any]]) -> None:
        """Cancel what has not ended yet, and forget it."""
        dropped = [future for future in futures if not future.done()]
        for future in dropped:
            self.tasks.pop(future, None)
        self.client.cancel(dropped)

    def _assigned(self) -> dict[str, list[Any]] | None:
        """The keys of this run's blocks at each worker of the scheduler, in their order; None: no answer in time."""
        scheduler: Any = self.client.scheduler
        try:
            assigned = self.client.sync(scheduler.processing, workers=None, callback_timeout=ASK)
        except TimeoutError:
            return None
        except OSError as error:
            raise _lost(self.client) from error
        there = {key: worker for worker, keys in assigned.items() for key in keys}
        mine: dict[str, list[Any]] = {worker: [] for worker in assigned}
        for future in self.tasks:
            if future.key in there:
                mine[there[future.key]].append(future.key)
        return mine

    def _computing(self, assigned: Mapping[str, list[Any]]) -> dict[Any, str]:
        """The key of each block of this run that is being computed, and its worker.

        The scheduler counts what waits at a worker as begun, so the workers are asked, and begin none after they
        answered.  One that does not answer in time executes native code, and the first that it was sent.
        """
        workers = [worker for worker, keys in assigned.items() if keys]
        answers = self.client.sync(_stopped, self.client, self.carrier.name, workers)
        found = {}
        for worker, executed in answers.items():
            for key in assigned[worker][:1] if executed is None else executed:
                found[key] = worker
        return found

    def _lane_tells(self, event: tuple[float, Any]) -> None:
        self.run.on_lane_report(event[1])

    def _recount(self) -> None:
        try:
            workers = self.client.scheduler_info(n_workers=-1)["workers"]
        except (OSError, TimeoutError) as error:
            raise _lost(self.client) from error
        key_split.cache_clear()  # the scheduler's names of the last 100,000 tasks: up to 80 MB in a local cluster
        needs = self._needed([w["resources"] for w in workers.values()])
        if self.needs and not needs:  # what waits for a worker that may never come is sent again
            running = {key for keys in self.client.processing().values() for key in keys}
            self.client.cancel([future for future in self.tasks if future.key not in running])
        self.needs = needs
        self.able = [
            address
            for address, w in workers.items()
            if address not in self.refused and all(w["resources"].get(n, 0) >= q for n, q in needs.items())
        ]
        self.threads = sum(workers[address]["nthreads"] for address in self.able)
        self.run.progress.workers_lost += sum(map(self._had_work, self._workers - set(workers)))
        offers = " and ".join(f"{name}={quantity:g}" for name, quantity in needs.items())
        self.run.progress.waiting = "" if self.able else "a worker" + (f" with {offers}" if needs else "")
        self._workers = set(workers)

    def _had_work(self, worker: str) -> bool:
        """Whether a worker that is gone left work to be done again, where others were idle and retired."""
        gone = [e for _, e in self.client.get_events(worker) if e.get("action") == "remove-worker"]
        return not gone or bool(gone[-1]["processing-tasks"] or gone[-1]["lost-computed-tasks"])

    def _needed(self, offered: list[Mapping[str, float]]) -> Mapping[str, float]:
        """What a block has to ask of a worker, so that it computes on no lane.

        Workers that were started without ``cpu`` are good as long as none offers it and there is no lane.
        """
        if self.run.sweep.resources:
            return self.run.sweep.resources
        foreign = offered and not any(CPU in o or EXCLUSIVE in o for o in offered)
        return {} if foreign else {CPU: 1.0}

    def _next(self) -> list[Future[Any]]:
        """The futures that ended, or none after ``TICK`` seconds."""
        found: list[Future[Any] | None] = []
        try:
            found.append(self.ended.get(timeout=TICK))
            while True:
                found.append(self.ended.get_nowait())
        except queue.Empty:
            return [future for future in found if future is not None]

    def _submit(self, tasks: list[Task], again: bool = False) -> list[Future[Any]]:
        """Send tasks in one message: each costs the scheduler about as much as a task."""
        keys: list[tuple[Any, ...]] = [(self.run.sweep.name, self.name, *task.block.start) for task in tasks]
        if again:
            keys = [(*key, f"again {next(self._numbers)}") for key in keys]
        futures: list[Future[Any]] = self.client.map(
            partial(_task, self.carrier.name),
            tasks,
            key=keys,
            pure=False,
            retries=0,
            resources=dict(self.needs) or None,
            workers=self.able if self.refused else None,
        )
        for future, task in zip(futures, tasks, strict=True):
            self.tasks[future] = task
            future.add_done_callback(self.ended.put)
        return futures

    def _settled(self, futures: list[Future[Any]]) -> Iterator[Receipt]:
        """The receipts of ended futures, fetched together; the futures are released here."""
        known = [f for f in futures if f in self.tasks]  # others were dropped before they began
        fetched: dict[Future[Any], Receipt] = {}
        finished = [f for f in known if f.status == "finished"]
        with suppress(Exception):  # then each is asked for by itself below, and says what is wrong
            fetched = dict(zip(finished, self.client.gather(finished), strict=True))
        for future in known:
            task = self.tasks[future]
            receipt = fetched.get(future) or self._settle(future, task)
            del self.tasks[future]
            future.release()
            if receipt is not None:
                self._broken_in_a_row = 0
                self.run.note(receipt)
                self.reports.note(receipt)
                yield receipt

    def _settle(self, future: Future[Any], task: Task) -> Receipt | None:
        try:
            receipt: Receipt | None = future.result()
        except (CancelledError, FutureCancelledError):
            self._losses[task.block.start] += 1
            if self.client.status != "running" or self._losses[task.block.start] > LOSSES:
                raise _lost(self.client) from None
            self.again.append(task)  # its receipt was lost with its worker; its writes are idempotent
        except KilledWorker as error:
            return self._killed(future, task, error)
        except Fenced:
            raise
        except OtherCode as error:
            self._refused(task, error)
        except WorkInterrupted:  # its lane ended; what it measured is in the journal
            self.again.append(task)
        except RunAborted as error:
            raise RunnerError(f"{error}; what was measured is kept, the same command goes on") from None
        except Exception as error:
            self._broken(task, error)
        else:
            return receipt
        return None

    def _refused(self, task: Task, error: OtherCode) -> None:
        """A worker with other code gets no further block; when it was the last one, the run ends."""
        self.again.append(task)
        if error.worker in self.refused:
            return
        self.refused.add(error.worker)
        self._recount()
        if not self.able:
            self.run.outcome = "refused"
            raise RunnerError(f"{error}; bring the driver's code there, or --allow-mixed lets it compute as well")
        self.run.notes.append(f"{error}; it gets no block of this run (--allow-mixed would let it compute as well)")

    def _broken(self, task: Task, error: Exception) -> None:
        """A block that could not be written, or not even be begun."""
        what = f"block {task.block.start}: {type(error).__name__}: {error}"
        self.run.unwritten_blocks.append(what)
        self._broken_in_a_row += 1
        if self._broken_in_a_row >= BROKEN:
            self.run.outcome = "broken"
            raise RunnerError(f"{BROKEN} blocks in a row could not be kept, the last: {what}; what is done is kept")

    def _killed(self, future: Future[Any], task: Task, error: KilledWorker) -> Receipt | None:
        if self.run.sweep.measured:  # lanes end and die for many reasons; none is the cell's
            self.again.append(task)
            return None
        if future is not self.alone:  # one of its cells may be at fault, or another block: each cell by itself
            for place in np.argwhere(task.mask):
                one = np.zeros(task.block.shape, bool)
                one[tuple(place)] = True
                self.suspects.append(replace(task, selected=one))
            self.run.progress.blocks += task.cells - 1
            return None
        message = (
            f"the worker died each of the {error.allowed_failures + 1} times that the cell was tried "
            "(out of memory, or a crash in native code)"
        )
        return record_failure(self.run.job, task, CellError("distributed.KilledWorker", message, str(error)))


class _JobCarrier(WorkerPlugin):
    """What all tasks of a run share, brought to every worker once, however large it is.

    What cells have started and left there ends with the run, and not before its last block.
    """

    def __init__(self, job: bytes, name: str, folders: list[Folder]) -> None:
        self.name = name
        self._folders = folders
        self._pickled = job
        self.stopped = False
        """Whether no block is to be begun."""
        self._busy = 0
        self._ended = False
        self._lock = threading.Lock()
        self._address = ""
        self._told = False

    def setup(self, worker: Any) -> None:
        """Called by Dask on the worker."""
        UserModules.finder().add_shared(self._folders)
        self._address = worker.address
        self._mark = f"{self.name}-{uuid.uuid4().hex}"  # of this process: another worker of this machine goes on
        self._file = marked_file(self._mark)

    def teardown(self, worker: Any) -> Awaitable[None] | None:
        """The run ended, or its driver is gone."""
        with self._lock:
            self._ended = True
            return None if self._busy else asyncio.to_thread(self._clear)

    @contextmanager
    def block(self) -> Iterator[None]:
        """While a block is computed."""
        with self._lock:
            self._busy += 1
        try:
            with marking(self._mark):
                yield
        finally:
            with self._lock:
                self._busy -= 1
                last = self._ended and not self._busy
            if last:
                self._clear()

    def _clear(self) -> None:
        os.close(self._file)
        sweep(self._mark, {os.getpid()})

    @property
    def job(self) -> Job:
        """Unpickled at the first task, and compared: this process may have other code than the driver.

        Raises
        ------
        OtherCode
            It has, and is not allowed to compute.
        """
        job, refused = self._compared
        if refused:
            raise OtherCode(refused, self._address)
        return job

    @cached_property
    def _compared(self) -> tuple[Job, str]:
        job = cloudpickle.loads(self._pickled)
        assert isinstance(job, Job)
        origin = of_worker(job.origin)
        there, here = origin.attributes, job.origin.attributes
        if (different := other_code(there, here) + other_versions(there, here)) and not job.allow_mixed:
            return job, f"worker {self._address} on {socket.gethostname()} has other code: {said(different)}"
        if origin.number != job.origin.number:
            keep_origin(open_storage(job.store), origin)
        return replace(job, origin=origin), ""

    def first(self) -> Mapping[str, Any] | None:
        """What this worker is; once, then None."""
        told, self._told = self._told, True
        return None if told else worker_record(self.job.origin, self._address)

    def __reduce__(self) -> tuple[type[_JobCarrier], tuple[Any, ...]]:
        return _JobCarrier, (self._pickled, self.name, self._folders)


def _task(carrier: str, task: Task) -> Receipt | None:
    """Runs on the worker; None: it was not begun, because its run was stopped."""
    worker = get_worker()
    plugin = worker.plugins[carrier]
    assert isinstance(plugin, _JobCarrier)
    if plugin.stopped:
        return None
    key = worker.get_current_task()
    hooks = working(partial(_is_cancelled, worker, key), partial(worker.log_event, LANE_TOPIC))
    with plugin.block(), hooks:
        receipt = execute(plugin.job, task)
    first = plugin.first()
    return replace(receipt, worker=first) if first else receipt


async def _stopped(client: Client, carrier: str, workers: list[str]) -> dict[str, list[Any] | None]:
    """Have workers begin no other block of a run; the keys that each executes; None: it does not answer in time."""
    asked = {
        worker: asyncio.ensure_future(client._run(_stop, carrier, workers=[worker], on_error="ignore"))
        for worker in workers
    }
    if asked:
        await asyncio.wait(asked.values(), timeout=ASK)
    for answer in asked.values():
        answer.cancel()  # nothing for those that are done
    return {
        w: answer.result().get(w) if answer.done() and not answer.cancelled() and answer.exception() is None else None
        for w, answer in asked.items()
    }


def _stop(carrier: str, dask_worker: Any) -> list[Any]:
    """Runs on the worker, where no task can be begun meanwhile."""
    dask_worker.plugins[carrier].stopped = True
    return [task.key for task in dask_worker.state.executing]


def _is_cancelled(worker: Any, key: Any) -> bool:
    """Whether nobody wants a running task's result any more: it was cancelled, or its driver is gone."""
    state = worker.state.tasks.get(key)
    return state is None or state.state == "cancelled"


def _lost(client: Client) -> RunnerError:
    address = client.scheduler.address if client.scheduler else "the cluster"
    return RunnerError(f"lost the scheduler at {address}; what is done is kept, the same command goes on from there")
