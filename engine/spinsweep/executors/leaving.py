"""How a Dask worker leaves its cluster before the batch system ends its job, so that nothing is lost or suspected."""

from __future__ import annotations

import asyncio
import random
import signal
import threading
import time
from contextlib import suppress
from typing import Any

from distributed import Status

from spinsweep.executors.dispatch import SPARE
from spinsweep.ledger import Receipt
from spinsweep.walltime import JobTime

STAGGER = 0.05  # of a job's time: jobs that began together do not leave together
FRESH = 0.8  # of a job's time that has to be left for a block that needs all of it
LEFT_S = 5.0  # in which the scheduler has to take note
LOOK_S = 0.1
RECEIPT_S = 2.0  # that a worker stays for its last receipt to be read


class Leaving:
    """One worker, and the job that it runs in.

    It leaves when the job's time is nearly over, and at once when the batch system tells it to end: what waits at it
    goes to others, what it computes ends or is given up, and the scheduler is told that all of this is in order.

    Parameters
    ----------
    worker : a ``distributed.Worker``
    job : None: it runs in none, and never leaves
    """

    def __init__(self, worker: Any, job: JobTime | None) -> None:
        self._worker = worker
        self._job = job
        self._waits_for_nobody = threading.Event()  # from when the scheduler gives it nothing more
        self._cells, self._seconds = 0, 0.0  # computed here
        self._task: asyncio.Task[None] | None = None
        if job is None:
            return
        wait = job.left - random.uniform(0, STAGGER * job.lasts)
        self._loop = worker.loop.asyncio_loop
        self._timer = self._loop.call_later(max(0.0, wait), self._leave)
        if threading.current_thread() is threading.main_thread():
            self._loop.add_signal_handler(signal.SIGTERM, self._told_to_end)

    def note(self, receipt: Receipt) -> None:
        """Learn how long cells take."""
        self._cells += receipt.done + receipt.failed
        self._seconds += receipt.seconds

    def has(self, seconds: float, cells: int) -> bool:
        """Whether there is time for a block; if not, the worker leaves; the answer comes when it is given no more.

        Parameters
        ----------
        seconds : that the block takes, as far as the driver knew when it was sent
        cells : in it
        """
        if self._job is None:
            return True
        here = SPARE * cells * self._seconds / self._cells if self._cells else 0.0
        needed = min(max(seconds, here), FRESH * self._job.lasts)
        if self._task is None and self._job.left >= needed:
            return True
        self._loop.call_soon_threadsafe(self._leave)
        self._waits_for_nobody.wait(LEFT_S)
        return False

    def cancel(self) -> None:
        """The run has ended: the worker stays."""
        if self._job is not None and self._task is None:
            self._timer.cancel()

    def _told_to_end(self) -> None:
        assert self._job is not None
        self._job.told_to_end = True
        self._leave()

    def _leave(self) -> None:
        if self._task is None and self._worker.status == Status.running:
            self._task = self._loop.create_task(self._left())

    async def _left(self) -> None:
        worker, job = self._worker, self._job
        assert job is not None
        worker.status = Status.closing_gracefully  # the scheduler gives it nothing more, and it begins nothing
        for task in [*worker.state.ready, *worker.state.constrained]:
            message = {"op": "reschedule", "key": task.key, "worker": worker.address}
            worker.batched_send({**message, "stimulus_id": f"job-ends-{time.time()}"})
        self._waits_for_nobody.set()
        while worker.state.executing and job.left > -job.margin / 2:
            await asyncio.sleep(LOOK_S)
        until = time.monotonic() + RECEIPT_S
        while worker.data and time.monotonic() < until:
            await asyncio.sleep(LOOK_S)
        await worker.close(nanny=True, reason="the time of its job is over")

    async def unregister(self) -> None:
        """Tell the scheduler that the worker goes in order."""
        with suppress(Exception):  # it is gone, or removed this worker already
            remove = self._worker.scheduler.unregister(
                address=self._worker.address, stimulus_id=f"leaving-{time.time()}", expected=True, close=False
            )
            await asyncio.wait_for(remove, LEFT_S)
