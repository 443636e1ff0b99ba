"""What runs at a Dask worker: the job, brought once however large it is, and its tasks."""

from __future__ import annotations

import asyncio
import hashlib
import multiprocessing
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import dask
from distributed import Status, WorkerPlugin, get_worker

from spinsweep.cube import LastResort, Task
from spinsweep.executors.leaving import Leaving
from spinsweep.executors.long_running import BlockInHand, BlocksInHand
from spinsweep.executors.worker import CellProcesses, SentJob, WorkerJob
from spinsweep.ledger import Receipt
from spinsweep.memory import be_ended_first
from spinsweep.messages import LANE_TOPIC
from spinsweep.walltime import job_time
from spinsweep.work import working


def hung_topic(plugin: str) -> str:
    """Dask's topic of a run's blocks whose worker ended itself: their keys, as text, and the stacks that it left."""
    return f"spinsweep-hung-{plugin}"


class JobPlugin(WorkerPlugin):
    """Brings a run's job to every worker.

    What cells have started and left there ends with the run, and not before its last block.
    """

    def __init__(self, job: SentJob, name: str) -> None:
        self.name = name
        self.stopped = False
        """Whether no block is to be begun."""
        self.in_hand = BlocksInHand()
        self._sent = job
        self._busy = 0
        self._ended = False
        self._lock = threading.Lock()

    def setup(self, worker: Any) -> None:
        """Called by Dask on the worker."""
        be_ended_first()
        multiprocessing.current_process().daemon = False  # Dask's are daemons, whose cells could start no process
        if worker.nanny and worker.state.nthreads == 1:  # what else it computes would end with it
            _Stacks.begin(worker, self.name)
        self.leaving = Leaving(worker, job_time())
        self.job = WorkerJob(self._sent, worker.address)
        self._processes = CellProcesses(self.name)

    async def teardown(self, worker: Any) -> None:
        """The run ended, its driver is gone, or the worker is closing in order, of which no block is to be blamed."""
        _Stacks.end(self.name)
        self.leaving.cancel()
        if worker.status == Status.closing:
            await self.leaving.unregister()
        with self._lock:
            self._ended = True
            if self._busy:
                return
        await asyncio.to_thread(self._processes.end)

    @contextmanager
    def block(self, key: Any) -> Iterator[None]:
        """While the block of a task is computed."""
        with self._lock:
            self._busy += 1
        try:
            with self._processes.marked(), self.in_hand.block(key):
                yield
        finally:
            with self._lock:
                self._busy -= 1
                last = self._ended and not self._busy
            if last:
                self._processes.end()

    def __reduce__(self) -> tuple[type[JobPlugin], tuple[SentJob, str]]:
        return JobPlugin, (self._sent, self.name)


class _ComputedHere:
    """While a block is computed, dask arrays and what xarray loads are computed in its thread.

    By default they become tasks of the cluster that computes the block; where each of its workers waits for such
    tasks, as for the cube that is an input, nobody computes them. The setting is of the process: the first block
    makes it, and the last one takes it back.
    """

    _lock = threading.Lock()
    _blocks = 0
    _setting: Any = None

    def __enter__(self) -> None:
        cls = type(self)
        with cls._lock:
            cls._blocks += 1
            if cls._blocks == 1:
                cls._setting = dask.config.set(scheduler="synchronous")

    def __exit__(self, *exc: object) -> None:
        cls = type(self)
        with cls._lock:
            cls._blocks -= 1
            if not cls._blocks:
                cls._setting.__exit__(None, None, None)


class StopPlugin(WorkerPlugin):
    """Has every worker begin no further block of a run, also a worker that a nanny brings back after this."""

    def __init__(self, job_plugin: str) -> None:
        self.name = f"{job_plugin}-stopped"
        self._job_plugin = job_plugin

    def setup(self, worker: Any) -> None:
        """Called by Dask on the worker; the job's own plugin is older, and there."""
        worker.plugins[self._job_plugin].stopped = True


class _Stacks:
    """What this process leaves if it ends itself, for the next process of its nanny to report; of all its runs."""

    plugins: ClassVar[set[str]] = set()
    """That use it."""
    refused = ""
    """The block of which the process before this one ended itself: Dask sends it again, before its driver can act."""

    @classmethod
    def begin(cls, worker: Any, plugin: str) -> None:
        """Of the first plugin: report what is left, and leave the like from now on."""
        if not cls.plugins:
            nanny = hashlib.sha256(worker.nanny.encode()).hexdigest()
            path = Path(worker.local_directory).parent / f"stacks-{nanny[:16]}"
            if left := LastResort.left(path):
                cls.refused, stacks = left
                run, _, key = cls.refused.partition("\n")
                worker.log_event(hung_topic(run), {"key": key, "stacks": stacks})
            path.unlink(missing_ok=True)
            LastResort.begin(path)
        cls.plugins.add(plugin)

    @classmethod
    def end(cls, plugin: str) -> None:
        """A run ended."""
        cls.plugins.discard(plugin)
        if not cls.plugins:
            LastResort.end()


def compute(plugin: str, tasks: Sequence[Task], needed_s: float = 0.0) -> list[Receipt | Exception | None]:
    """Tasks at a worker, one after the other, and what became of each.

    None: it was not begun, because its run was stopped, or the worker's job ends too soon. An exception is of its
    task alone, so that no other receipt is lost.

    Parameters
    ----------
    needed_s : that each probably takes; infinite: the whole time of a job
    """
    worker = get_worker()
    job_plugin = worker.plugins[plugin]
    assert isinstance(job_plugin, JobPlugin)
    key = worker.get_current_task()
    hooks = working(partial(_is_cancelled, worker, key), partial(worker.log_event, LANE_TOPIC))
    receipts: list[Receipt | Exception | None] = []
    with hooks, _ComputedHere():
        for number, task in enumerate(tasks):
            try:
                receipts.append(_receipt(job_plugin, (key, number), task, needed_s))
            except Exception as error:
                if len(tasks) == 1:
                    raise  # with its traceback
                receipts.append(error)
    return receipts


def _receipt(plugin: JobPlugin, name: tuple[Any, int], task: Task, needed_s: float) -> Receipt | None:
    if plugin.stopped or not plugin.leaving.has(needed_s, task.cells):
        return None
    LastResort.block = block = f"{plugin.name}\n{name[0]}"
    if block == _Stacks.refused:
        return None
    with plugin.block(name):
        receipt = plugin.job.compute(task)
    plugin.leaving.note(receipt)
    return receipt


def _is_cancelled(worker: Any, key: Any) -> bool:
    """Whether nobody wants a running task's result any more: it was cancelled, or its driver is gone."""
    state = worker.state.tasks.get(key)
    return state is None or state.state == "cancelled"


def blocks_in_hand(plugin: str, dask_worker: Any) -> list[BlockInHand]:
    """What is being computed of a run, as the worker's event loop sees it."""
    blocks: list[BlockInHand] = dask_worker.plugins[plugin].in_hand.now()
    return blocks


def stop(plugin: str, dask_worker: Any) -> list[Any]:
    """Begin no further block of a run; the keys of the tasks that are being executed.

    It runs in the worker's event loop, where no task can be begun meanwhile.
    """
    dask_worker.plugins[plugin].stopped = True
    return [task.key for task in dask_worker.state.executing]
