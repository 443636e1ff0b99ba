"""An executor of its own package: the blocks of a run in threads of the driver's process."""

from __future__ import annotations

import queue
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress

from spinsweep.cube import execute
from spinsweep.executors.events import Attempt, Computing, Ended, Finished, WorkersChanged
from spinsweep.executors.protocol import Context, Executor, ended_by, in_process
from spinsweep.ledger import Receipt

NAME = "threads"


@in_process
@contextmanager
def threads(context: Context) -> Iterator[Executor]:
    """As many threads as there are workers."""
    with ThreadPoolExecutor(context.workers) as pool:
        yield Threads(context, pool)


class Threads:
    """A pool's futures as attempts and events."""

    def __init__(self, context: Context, pool: ThreadPoolExecutor) -> None:
        self.context = context
        self.pool = pool
        self.futures: dict[int, Future[Receipt]] = {}
        self.ended: queue.SimpleQueue[int] = queue.SimpleQueue()

    def submit(self, attempts: Sequence[Attempt], workers: Collection[str] | None) -> None:
        for attempt in attempts:
            future = self.pool.submit(execute, self.context.run.job, attempt.task)
            self.futures[attempt.number] = future
            future.add_done_callback(lambda _, number=attempt.number: self.tell(number))

    def tell(self, number: int) -> None:
        self.ended.put(number)
        self.context.wake()

    def events(self) -> Iterator[WorkersChanged | Ended]:
        yield WorkersChanged({NAME: self.context.workers})
        with suppress(queue.Empty):
            while True:
                number = self.ended.get_nowait()
                if future := self.futures.pop(number, None):  # others were dropped
                    error = future.exception()
                    yield ended_by(number, error) if error else Finished(number, future.result())

    def computing(self) -> Computing:
        for future in self.futures.values():
            future.cancel()  # nothing where it has begun
        return Computing({n: NAME for n, future in self.futures.items() if future.running()}, [NAME])

    def cancel(self, attempts: Collection[int]) -> Collection[int]:
        dropped = [n for n in attempts if n in self.futures and self.futures[n].cancel()]
        for number in dropped:
            del self.futures[number]
        return dropped

    def describe(self) -> str:
        return f"{self.context.workers} threads of this process"
