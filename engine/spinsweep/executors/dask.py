"""Dask as an executor: attempts become futures of any ``Client``, and futures become events.

Only receipts come back; futures are released as soon as they are read, so driver and scheduler hold no more at
a million blocks than at a thousand. A block whose worker died is Dask's to run again (its writes are
idempotent); an exception of a block function is a result in the cube and never comes here.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import queue
import time
import uuid
from asyncio import CancelledError
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from dask.utils import key_split
from distributed import Client, Future, KilledWorker
from distributed.client import FutureCancelledError

from spinsweep.dashboard.reports import Reports
from spinsweep.deployment.local_cluster import local_client
from spinsweep.errors import RunnerError
from spinsweep.executors import events
from spinsweep.executors.dask_long import LongLook
from spinsweep.executors.dask_worker import JobPlugin, StopPlugin, compute, hung_topic, stop
from spinsweep.executors.dispatch import AGAIN
from spinsweep.executors.events import (
    Attempt,
    Computing,
    Ended,
    Finished,
    Hung,
    LongRunning,
    NoAnswer,
    WorkersChanged,
)
from spinsweep.executors.protocol import Context, Start, ended_by, on_this_machine
from spinsweep.executors.worker import SentJob
from spinsweep.interrupts import Interrupted
from spinsweep.ledger import Receipt
from spinsweep.machine import in_words
from spinsweep.messages import LANE_TOPIC
from spinsweep.resources import CPU, EXCLUSIVE, GPU, MEMORY
from spinsweep.spec import Sweep

GROUP_S = 0.02  # that several short blocks in one task take together
MOST_IN_GROUP = 16
RECOUNT_S = 2.0  # between looks at the workers
ANSWER_S = 5.0  # in which the scheduler has to answer, or to have receipts fetched
NOTICED_S = 5.0  # in which a batch system notices that a job has ended
RECEIPT_S = 0.01  # more, for each receipt
STOP_ANSWER_S = 1.0  # in which scheduler and workers have to say what is being computed, when a run is stopped
FAREWELL_S = 10.0  # in which the scheduler has to take note of a run's end
Outcome = Receipt | Exception | None  # of a block in a task of several


@on_this_machine
@contextmanager
def dask(context: Context) -> Iterator[Dask]:
    """A cluster of this machine, with as many workers as the run has work for."""
    workers = min(context.workers, context.run.most_blocks)
    with (
        local_client(workers, dashboard=False, resources=needs_of(context.run.sweep)) as client,
        Dask(context, client) as executor,
    ):
        yield executor


def on_client(client: Client, where: str = "", why_gone: Callable[[str], str] = lambda worker: "") -> Start:
    """The executor on a client's workers.

    Parameters
    ----------
    where : what a run says of them
    why_gone : what is known of the end of a worker of that name, in words
    """
    return lambda context: Dask(context, client, where, why_gone)


class Dask:
    """One run on the workers of a client; a context manager."""

    def __init__(
        self, context: Context, client: Client, where: str = "", why_gone: Callable[[str], str] = lambda worker: ""
    ) -> None:
        self._run = context.run
        self._client = client
        self._wake = context.wake
        self._where = where
        self._why_gone = why_gone
        self._name = uuid.uuid4().hex  # of this run among all that the scheduler has
        self._plugin = JobPlugin(SentJob.of(self._run.job), f"{self._run.sweep.name}-{self._name}")
        self._stop_plugin = StopPlugin(self._plugin.name)
        self._reports = Reports(self._run, client, self._name)
        self._long = LongLook(client, self._plugin.name, self._wake)
        self._numbers: dict[Future[Any], tuple[int, ...]] = {}  # of the attempts in flight, in their order
        self._ended: queue.SimpleQueue[Future[Any]] = queue.SimpleQueue()
        self._needs: Mapping[str, float] = {}  # resources that a block asks of a worker
        self._replacing: list[concurrent.futures.Future[None]] = []  # workers in which a cell hangs
        self._hung: queue.SimpleQueue[Mapping[str, str]] = (
            queue.SimpleQueue()
        )  # blocks, and the stacks that they left
        self._recount_at = 0.0
        self._workers: dict[str, str] = {}  # names by address
        self._threads = 1  # of the workers that may compute
        self._gone: deque[tuple[str, float]] = deque()  # names of workers that died, and when to ask why
        self._computed: dict[Any, str] | None = None  # worker by key, as of when workers were told to begin no more

    def __enter__(self) -> Dask:
        self._client.register_plugin(self._plugin, name=self._plugin.name)
        if self._run.sweep.measured:
            self._client.subscribe_topic(LANE_TOPIC, lambda event: self._run.on_lane_report(event[1]))
        if self._run.sweep.timeout is not None:
            self._client.subscribe_topic(hung_topic(self._plugin.name), self._note_hung)
        self._run.on_receipt.append(self._reports.note)
        self._run.on_round.append(self._reports.begin_round)
        self._reports.begin()
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        at_once = kind is not None and issubclass(kind, Interrupted)
        self._long.close()
        self._run.on_receipt.remove(self._reports.note)
        self._run.on_round.remove(self._reports.begin_round)
        if at_once and self._client.cluster is not None:  # all of it ends
            return
        if not at_once:
            self._reports.send(ended=True)
        if self._client.cluster is None:  # else all of it ends
            concurrent.futures.wait(self._replacing, STOP_ANSWER_S if at_once else FAREWELL_S)
        if self._run.sweep.measured:
            with suppress(Exception):
                self._client.unsubscribe_topic(LANE_TOPIC)
        if self._run.sweep.timeout is not None:
            with suppress(Exception):
                self._client.unsubscribe_topic(hung_topic(self._plugin.name))
        plugins = [self._plugin.name] + [self._stop_plugin.name] * (self._computed is not None)
        for plugin in plugins:
            with suppress(Exception):  # the scheduler may be gone, and a worker be busy in native code
                self._client.sync(
                    self._client._unregister_worker_plugin,
                    name=plugin,
                    nanny=False,
                    callback_timeout=(STOP_ANSWER_S / 2 if at_once else FAREWELL_S) / len(plugins),
                )

    def describe(self) -> str:
        """As whoever started the cluster describes it."""
        return self._where

    def submit(self, attempts: Sequence[Attempt], workers: Collection[str] | None) -> None:
        """Send them in one message: each costs the scheduler about as much as a task."""
        self._long.sent(max(attempt.number for attempt in attempts))
        for is_retry in (True, False):
            batch = [attempt for attempt in attempts if attempt.retry == is_retry]
            if not batch:
                continue
            groups = self._grouped(batch)
            futures: list[Future[Any]] = self._client.map(
                partial(compute, self._plugin.name),
                [[attempt.task for attempt in group] for group in groups],
                [max(attempt.needed_s for attempt in group) for group in groups],
                key=[self._key(group[0]) for group in groups],
                pure=False,
                retries=0,
                resources=dict(self._needs) or None,
                workers=None if workers is None else list(workers),
            )
            for future, group in zip(futures, groups, strict=True):
                self._numbers[future] = tuple(attempt.number for attempt in group)
                future.add_done_callback(self._future_ended)

    def _grouped(self, batch: Sequence[Attempt]) -> list[Sequence[Attempt]]:
        """Short blocks several to a Dask task, which costs scheduler and worker about as much as such a block.

        A cell that may end its process is in a task of its own, and so is a block that was tried before.
        """
        sweep = self._run.sweep
        if sweep.measured or sweep.timeout is not None or sweep.memory_bytes is not None:
            return [[attempt] for attempt in batch]
        longest = max(attempt.needed_s for attempt in batch)
        if not 0 < longest <= GROUP_S / 2 or any(attempt.retry or attempt.alone for attempt in batch):
            return [[attempt] for attempt in batch]
        spread = max(1, len(batch) // (2 * self._threads))  # each thread has some
        size = min(MOST_IN_GROUP, int(GROUP_S / longest), spread)
        return [batch[i : i + size] for i in range(0, len(batch), size)]

    def _key(self, attempt: Attempt) -> tuple[Any, ...]:
        """The dashboard finds the run and the block in it; Dask forgets a key only after its future is released."""
        key = (self._run.sweep.name, self._name, *attempt.task.block.start)
        return (*key, f"again {attempt.number}") if attempt.retry else key

    def _future_ended(self, future: Future[Any]) -> None:
        if future in self._numbers:  # others were dropped
            self._ended.put(future)
            self._wake()

    def events(self) -> Iterator[WorkersChanged | NoAnswer | LongRunning | Ended]:
        """The workers, every ``RECOUNT_S`` seconds, and the receipts of futures that ended, fetched together."""
        if self._computed is None and time.monotonic() >= self._recount_at:
            self._recount_at = time.monotonic() + RECOUNT_S
            yield self._count_workers()
        yield from self._ended_themselves()
        ended = []
        with suppress(queue.Empty):
            while True:
                ended.append(self._ended.get_nowait())
        ended = [future for future in ended if future in self._numbers]  # others were dropped before they began
        fetched = self._fetch([future for future in ended if future.status == "finished"])
        for future in ended:
            if happened := self._events_of(future, fetched):
                del self._numbers[future]
                future.release()
                for event in happened:
                    if isinstance(event, Finished) and event.receipt.hung:
                        self._replace_worker(event.receipt.hung_at)
                    yield event
            else:
                future.add_done_callback(self._future_ended)
        yield from self._long.events(self._numbers)
        self._reports.send()

    def _fetch(self, finished: Sequence[Future[Any]]) -> Mapping[Future[Any], Sequence[Outcome]] | None:
        """Receipts, all at once; without those that do not come in time; None: at least one cannot be read.

        A worker that is gone took along the receipts that were not fetched, and Dask computes their blocks again:
        never, if it was the last worker.
        """
        if not finished:
            return {}
        bound = ANSWER_S + RECEIPT_S * len(finished)
        gather: Any = self._client._gather
        try:
            return dict(zip(finished, self._client.sync(gather, finished, callback_timeout=bound), strict=True))
        except TimeoutError:
            return {}
        except Exception:
            return None

    def _events_of(
        self, future: Future[Any], fetched: Mapping[Future[Any], Sequence[Outcome]] | None
    ) -> Sequence[Ended]:
        """What became of each of its attempts; none: nothing is known of it yet, and it is to be heard of again."""
        numbers = self._numbers[future]
        try:
            if fetched is not None and future in fetched:
                outcomes = fetched[future]
            elif future.status in ("error", "cancelled") or (fetched is None and future.status == "finished"):
                outcomes = future.result(ANSWER_S)  # says what is wrong
            else:
                return []
        except (CancelledError, FutureCancelledError):
            if self._client.status != "running":
                raise self._scheduler_lost() from None
            return [events.ReceiptLost(number) for number in numbers]
        except KilledWorker as error:
            deaths = error.allowed_failures + 1
            return [events.WorkerKilled(n, "distributed.KilledWorker", str(error), deaths) for n in numbers]
        except Exception as error:
            if isinstance(error, TimeoutError) and future.status != "error":
                return []
            return [ended_by(number, error) for number in numbers]
        return [_ended(number, outcome) for number, outcome in zip(numbers, outcomes, strict=True)]

    def _note_hung(self, event: tuple[float, Mapping[str, str]]) -> None:
        self._hung.put(event[1])
        self._wake()

    def _ended_themselves(self) -> Iterator[Hung]:
        """The blocks whose worker left its stacks; Dask would compute them again, and lose further workers."""
        with suppress(queue.Empty):
            while True:
                left = self._hung.get_nowait()
                for future in [f for f in self._numbers if str(f.key) == left["key"]]:
                    numbers = self._numbers.pop(future)
                    self._client.cancel([future])
                    yield from (Hung.of_stacks(number, left["stacks"]) for number in numbers)

    def _replace_worker(self, address: str) -> None:
        """Have a worker end in which a cell hangs; its nanny starts another one."""
        loop: Any = self._client.loop
        restarted = asyncio.run_coroutine_threadsafe(_restart(self._client, address), loop.asyncio_loop)
        self._replacing.append(restarted)

    def _count_workers(self) -> WorkersChanged | NoAnswer:
        try:
            workers = self._ask("identity", n_workers=-1)["workers"]
            needs = self._needed([w["resources"] for w in workers.values()])
            if self._needs and not needs:  # what waits for a worker that may never come is sent again
                running = {key for keys in self._ask("processing", workers=None).values() for key in keys}
                self._client.cancel([future for future in self._numbers if future.key not in running])
            removals = {worker: self._removal(worker) for worker in self._workers.keys() - set(workers)}
        except TimeoutError:
            return NoAnswer("the scheduler")
        key_split.cache_clear()  # the scheduler's names of the last 100,000 tasks: up to 80 MB in a local cluster
        self._needs = needs
        names, self._workers = self._workers, {address: str(w["name"]) for address, w in workers.items()}
        offers = " and ".join(_in_words(name, quantity) for name, quantity in needs.items())
        threads = {
            address: int(w["nthreads"])
            for address, w in workers.items()
            if all(w["resources"].get(name, 0) >= quantity for name, quantity in needs.items())
        }
        self._threads = max(1, sum(threads.values()))
        missing = f"a worker with {offers}{_offered(workers.values())}" if needs else "a worker"
        lost = sum(map(_had_work, removals.values()))
        retired = [worker for worker, removal in removals.items() if removal.get("expected")]
        self._say_why_gone([names[worker] for worker in removals if worker not in retired])
        return WorkersChanged(threads, missing, lost, retired)

    def _say_why_gone(self, names: Collection[str]) -> None:
        """Note what is known of workers that died: a little later, when a batch system has noticed it, too."""
        now = time.monotonic()
        self._gone += [(name, now + NOTICED_S) for name in names]
        while self._gone and self._gone[0][1] <= now:
            name, _ = self._gone.popleft()
            if why := self._why_gone(name):
                self._run.notes.append(f"worker {name} died: {why}")

    def _ask(self, name: str, within: float = ANSWER_S, **arguments: Any) -> Any:
        """The scheduler's answer; ``TimeoutError`` if it is stopped, or very busy."""
        if self._client.scheduler is None:
            raise self._scheduler_lost()
        try:
            return self._client.sync(getattr(self._client.scheduler, name), callback_timeout=within, **arguments)
        except TimeoutError:
            raise
        except OSError as error:
            raise self._scheduler_lost() from error

    def _removal(self, worker: str) -> Mapping[str, Any]:
        """How the scheduler removed a worker that is gone; empty: it does not know any more."""
        events = [e for _, e in self._ask("events", topic=worker) if e.get("action") == "remove-worker"]
        return events[-1] if events else {}

    def _needed(self, offered: list[Mapping[str, float]]) -> Mapping[str, float]:
        """What a block has to ask of a worker, so that it lands on none that owns equipment.

        Workers that were started without ``cpu`` are good as long as none offers it and none owns equipment.
        """
        sweep = self._run.sweep
        foreign = offered and not any(CPU in o or EXCLUSIVE in o for o in offered)
        needs = {} if foreign or sweep.resources else {CPU: 1.0}
        needs |= needs_of(sweep)
        if offered and not any(MEMORY in o for o in offered):
            needs.pop(MEMORY, None)
        return needs

    def cancel(self, attempts: Collection[int]) -> Collection[int]:
        """Cancel the futures that have not ended."""
        wanted = set(attempts)
        dropped = {f: ns for f, ns in self._numbers.items() if wanted.issuperset(ns) and not f.done()}
        for future in dropped:
            del self._numbers[future]
        self._client.cancel(list(dropped))
        return [number for numbers in dropped.values() for number in numbers]

    def computing(self) -> Computing | NoAnswer:
        """As scheduler and workers say; once the workers have been told to begin no more, the scheduler knows it."""
        try:
            assigned = self._ask("processing", STOP_ANSWER_S, workers=None)
        except TimeoutError:
            return NoAnswer("the scheduler")
        worker_of = {key: worker for worker, keys in assigned.items() for key in keys}
        if self._computed is None:
            self._computed = worker_of = self._stop_workers(assigned, worker_of)
        numbers = {n: worker_of[f.key] for f, ns in self._numbers.items() if f.key in worker_of for n in ns}
        return Computing(numbers, list(assigned))

    def _stop_workers(self, assigned: Mapping[str, Any], worker_of: Mapping[Any, str]) -> dict[Any, str]:
        """Have workers begin no more; the worker of each key of this run that is being computed.

        The scheduler counts what waits at a worker as begun, so the workers are asked, and begin none after they
        answered.  One that does not answer in time executes native code, and the first that it was sent.
        """
        sent: dict[str, list[Any]] = {}
        for future in self._numbers:  # in the order in which they were sent
            if future.key in worker_of:
                sent.setdefault(worker_of[future.key], []).append(future.key)
        answers = self._client.sync(_executing, self._client, self._plugin.name, self._stop_plugin, list(sent))
        return {
            key: worker
            for worker, executed in answers.items()
            for key in (sent[worker][:1] if executed is None else executed)
        }

    def _scheduler_lost(self) -> RunnerError:
        address = self._client.scheduler.address if self._client.scheduler else "the cluster"
        return RunnerError(f"lost the scheduler at {address}; {AGAIN}")


def _ended(number: int, outcome: Outcome) -> Ended:
    if isinstance(outcome, Exception):
        return ended_by(number, outcome)
    return events.Unfinished(number) if outcome is None else Finished(number, outcome)


def needs_of(sweep: Sweep) -> dict[str, float]:
    """What a block of a sweep asks of a worker beside ``cpu``."""
    needs = dict(sweep.resources)
    if sweep.memory_bytes is not None:
        needs[MEMORY] = float(sweep.memory_bytes)
    if sweep.gpu is not None:
        needs[GPU] = sweep.gpu
    return needs


def _in_words(resource: str, quantity: float) -> str:
    return f"{resource}={in_words(int(quantity)) if resource == MEMORY else f'{quantity:g}'}"


def _had_work(removal: Mapping[str, Any]) -> bool:
    """Whether a worker that is gone left work to be done again, where others were idle or went as they were to."""
    if removal.get("expected"):
        return False
    return not removal or bool(removal["processing-tasks"] or removal["lost-computed-tasks"])


def _offered(workers: Collection[Mapping[str, Any]]) -> str:
    """What the workers that are there offer, in words."""
    if not workers:
        return " (there is no worker)"
    resources = [w["resources"] for w in workers]
    offers = dict.fromkeys(", ".join(_in_words(n, q) for n, q in sorted(r.items())) for r in resources)
    count = f"the {len(workers)} workers offer" if len(workers) > 1 else "the only worker offers"
    return f" ({count} {' or '.join(text or 'none' for text in list(offers)[:5])})"


async def _register(client: Client, plugin: StopPlugin) -> None:
    with suppress(Exception):  # without it a block is begun anew at worst
        await client._register_worker_plugin(plugin, plugin.name, idempotent=True)


async def _restart(client: Client, worker: str) -> None:
    with suppress(Exception):  # it is gone already, or the scheduler is
        await client._restart_workers([worker], timeout=FAREWELL_S, raise_for_error=False)


async def _executing(
    client: Client, plugin: str, stop_plugin: StopPlugin, workers: list[str]
) -> dict[str, list[Any] | None]:
    """Have workers begin no other block of a run; the keys that each executes; None: it does not answer in time."""
    # for workers that come: the scheduler would give them at once what a worker that dies was computing
    registered = asyncio.ensure_future(_register(client, stop_plugin))
    answers = {
        worker: asyncio.ensure_future(client._run(stop, plugin, workers=[worker], on_error="ignore"))
        for worker in workers
    }
    await asyncio.wait([registered, *answers.values()], timeout=STOP_ANSWER_S)
    for answer in [registered, *answers.values()]:
        answer.cancel()  # nothing for those that are done
    return {
        w: answer.result().get(w) if answer.done() and not answer.cancelled() and answer.exception() is None else None
        for w, answer in answers.items()
    }
